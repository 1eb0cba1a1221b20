#include "lib/log.h"
#include "lib/mem.h"
#include "tests/unit/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Standard error is a datagram socket here: each write(2) arrives as one message. */
static int captured = -1;
static int real_stderr = -1;

static int capture_start(void **state)
{
	int fds[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	real_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	captured = fds[0];
	return fcntl(captured, F_SETFL, O_NONBLOCK);
}

static int capture_stop(void **state)
{
	(void)state;
	(void)log_flush();
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(captured);
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

/* The next line, or "" when there is none. */
static char *next_line(char *out, size_t size)
{
	ssize_t n;

	assert_true(log_flush());
	n = read(captured, out, size - 1);

	out[n > 0 ? n : 0] = '\0';
	return out;
}

/* Where the message of a line starts. */
static const char *message(const char *line)
{
	return strlen(line) > 31 ? line + 31 : "";
}

static void a_line_has_time_level_and_message(void **state)
{
	char line[256];
	int year;
	int n = 0;

	(void)state;
	log_info("node %s is %s", "n1", "healthy");
	next_line(line, sizeof(line));
	assert_int_equal(sscanf(line, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ%n", &year, &n), 1);
	assert_int_equal(n, 24);
	assert_true(year >= 2024);
	assert_string_equal(line + 24, " info  node n1 is healthy\n");
	log_error("x");
	assert_string_equal(next_line(line, sizeof(line)) + 24, " error x\n");
	assert_string_equal(next_line(line, sizeof(line)), "");
}

static void levels_below_are_dropped(void **state)
{
	char line[256];

	(void)state;
	log_debug("hidden");
	assert_string_equal(next_line(line, sizeof(line)), "");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("shown");
	assert_string_equal(message(next_line(line, sizeof(line))), "shown\n");
	log_set_level(LOG_LEVEL_FATAL);
	log_warn("hidden");
	log_error("hidden");
	assert_string_equal(next_line(line, sizeof(line)), "");
	assert_int_equal(log_get_level(), LOG_LEVEL_FATAL);
}

static void hostile_bytes_are_escaped(void **state)
{
	static const struct {
		const char *text;
		const char *shown;
	} cases[] = {
		{"a\nb\r\tc\033[2J\177", "a\\x0ab\\x0d\\x09c\\x1b[2J\\x7f"},
		{"caf\303\251 \342\202\254 \360\237\220\263",
			"caf\303\251 \342\202\254 \360\237\220\263"},
		{"\302\233x", "\\xc2\\x9bx"},                 /* a C1 control character */
		{"\300\212", "\\xc0\\x8a"},                   /* overlong newline */
		{"\340\200\212", "\\xe0\\x80\\x8a"},          /* the same in three bytes */
		{"\355\240\200", "\\xed\\xa0\\x80"},          /* half a surrogate pair */
		{"\364\220\200\200", "\\xf4\\x90\\x80\\x80"}, /* above U+10FFFF */
		{"\377\376\200", "\\xff\\xfe\\x80"},          /* never valid */
		{"cut \342\202", "cut \\xe2\\x82"},
	};
	char line[256];
	char expected[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		log_info("%s", cases[i].text);
		snprintf(expected, sizeof(expected), "%s\n", cases[i].shown);
		assert_string_equal(message(next_line(line, sizeof(line))), expected);
	}
}

static void long_lines_are_cut(void **state)
{
	char text[20000];
	char line[20000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	next_line(line, sizeof(line));
	assert_int_equal(strlen(line), 8192);
	assert_string_equal(line + 8192 - 5, "x...\n");
	memset(text, '\n', sizeof(text) - 1);
	log_info("%s", text);
	next_line(line, sizeof(line));
	assert_in_range(strlen(line), 8180, 8192);
	assert_string_equal(line + strlen(line) - 8, "\\x0a...\n");
	assert_string_equal(next_line(line, sizeof(line)), "");
}

static void errno_survives(void **state)
{
	char line[256];

	(void)state;
	errno = EXDEV;
	log_info("x");
	assert_int_equal(errno, EXDEV);
	next_line(line, sizeof(line));
}

static void level_names(void **state)
{
	struct err err = ERR_INIT;
	enum log_level level;

	(void)state;
	assert_int_equal(log_level_parse("debug", &level, &err), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("warning", &level, &err), 0);
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_level_parse("warn", &level, &err), 0);
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_level_parse("panic", &level, &err), 0);
	assert_int_equal(level, LOG_LEVEL_FATAL);
	assert_int_equal(log_level_parse("loud", &level, &err), -1);
	assert_non_null(strstr(err.msg, "loud"));
	assert_int_equal(log_level_parse("", &level, &err), -1);
}

/* ---- A pipe that is not read ---- */

/* More than the 4 MiB that may wait. */
#define MANY 20000
#define TEXT_MAX ((size_t)16 * 1024 * 1024)

static char *read_all(int fd, size_t *len)
{
	char *text = xmalloc(TEXT_MAX);
	ssize_t n;

	for (*len = 0; *len < TEXT_MAX - 1; *len += (size_t)n) {
		n = read(fd, text + *len, TEXT_MAX - 1 - *len);
		if (n <= 0)
			break;
	}
	text[*len] = '\0';
	return text;
}

/* Reads on another thread, so that log_flush has somebody to wait for. */
struct reader {
	pthread_t thread;
	int fd;
	char *text;
	size_t len;
};

static void *read_to_the_end(void *arg)
{
	struct reader *r = arg;

	r->text = read_all(r->fd, &r->len);
	return NULL;
}

static void a_pipe_that_nobody_reads_does_not_block(void **state)
{
	struct reader r = {0};
	unsigned long lost, lines = 0;
	char *end, *line;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	real_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	for (int i = 0; i < MANY; i++)
		log_info("line %-400d", i);
	/* Others who have the pipe still have it as it was. */
	assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
	assert_false(log_flush());
	r.fd = fds[0];
	assert_int_equal(pthread_create(&r.thread, NULL, read_to_the_end, &r), 0);
	for (int i = 0; i < 1000 && !log_flush(); i++)
		;
	log_info("behind");
	assert_true(log_flush());
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	pthread_join(r.thread, NULL);
	close(fds[0]);
	/* The first ones in their order, how many are missing, and what came afterwards. */
	for (line = r.text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		char expected[512];

		*end = '\0';
		snprintf(expected, sizeof(expected), "line %-400lu", lines);
		if (strcmp(message(line), expected) != 0)
			break;
		lines++;
	}
	assert_in_range(lines, 1000, MANY - 1);
	assert_int_equal(sscanf(message(line), "%lu lines were lost", &lost), 1);
	assert_int_equal(lines + lost, MANY);
	assert_string_equal(message(end + 1), "behind\n");
	free(r.text);
}

int main(void)
{
#define CAPTURED(test) cmocka_unit_test_setup_teardown(test, capture_start, capture_stop)
	const struct CMUnitTest tests[] = {
		CAPTURED(a_line_has_time_level_and_message),
		CAPTURED(levels_below_are_dropped),
		CAPTURED(hostile_bytes_are_escaped),
		CAPTURED(long_lines_are_cut),
		CAPTURED(errno_survives),
		cmocka_unit_test(a_pipe_that_nobody_reads_does_not_block),
		cmocka_unit_test(level_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
