#include "lib/log_priv.h"

#include "lib/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Helper threads of the loop log as well. */
static atomic_int threshold = LOG_LEVEL_INFO;

static const char *const level_names[] = {"debug", "info", "warn", "error", "fatal"};

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

int log_level_parse(const char *name, enum log_level *out, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (!strcasecmp(name, level_names[i])) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	if (!strcasecmp(name, "warning")) {
		*out = LOG_LEVEL_WARN;
		return 0;
	}
	if (!strcasecmp(name, "panic")) {
		*out = LOG_LEVEL_FATAL;
		return 0;
	}
	return err_set(err, ERR_USAGE, "not a valid log level: \"%.64s\"", name);
}

/* The length of the printable UTF-8 sequence at s; 0 when the byte there must be escaped: a
 * control character (C0, DEL, C1), or no valid UTF-8. */
static size_t printable_len(const unsigned char *s, size_t len)
{
	size_t need;
	unsigned code;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		need = 2;
		code = s[0] & 0x1fu;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		need = 3;
		code = s[0] & 0x0fu;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		need = 4;
		code = s[0] & 0x07u;
	} else {
		return 0;
	}
	if (len < need)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3fu);
	}
	if ((need == 2 && code < 0xa0) || (need == 3 && code < 0x800) ||
		(need == 4 && code < 0x10000))
		return 0;
	if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
		return 0;
	return need;
}

/* Copies text into out (size bytes, no NUL), escaping what could forge lines or move a terminal's
 * cursor. What does not fit is replaced by "...". Returns the bytes written. */
static size_t escape(char *out, size_t size, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	static const char more[] = "...";
	const unsigned char *s = (const unsigned char *)text;
	size_t len = strlen(text);
	size_t used = 0;

	while (len) {
		size_t n = printable_len(s, len);
		size_t need = n ? n : 4;

		/* Unless this is the end, the mark must still fit afterwards. */
		if (used + need + (len > (n ? n : 1) ? sizeof(more) - 1 : 0) > size) {
			memcpy(out + used, more, sizeof(more) - 1);
			return used + sizeof(more) - 1;
		}
		if (n) {
			memcpy(out + used, s, n);
		} else {
			out[used] = '\\';
			out[used + 1] = 'x';
			out[used + 2] = hex[s[0] >> 4];
			out[used + 3] = hex[s[0] & 15];
			n = 1;
		}
		used += need;
		s += n;
		len -= n;
	}
	return used;
}

/* Fills line, of LOG_LINE_MAX; how many it has, with its newline. */
static size_t format_line(char *line, enum log_level level, const char *message)
{
	struct timespec now;
	struct tm tm;
	size_t used;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	used = strftime(line, LOG_LINE_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	used += (size_t)snprintf(line + used, LOG_LINE_MAX - used, ".%03dZ %-5s ",
		(int)(now.tv_nsec / 1000000), level_names[level]);
	used += escape(line + used, LOG_LINE_MAX - used - 1, message);
	line[used++] = '\n';
	return used;
}

size_t log_format_lost(char *line, unsigned long long lost)
{
	char message[80];

	(void)snprintf(message, sizeof(message),
		"%llu lines were lost: standard error was not read", lost);
	return format_line(line, LOG_LEVEL_WARN, message);
}

static void __attribute__((format(printf, 2, 0)))
write_line(enum log_level level, const char *fmt, va_list args)
{
	int saved = errno;
	char message[LOG_LINE_MAX];
	char line[LOG_LINE_MAX];

	if (level < log_get_level())
		return;
	(void)vsnprintf(message, sizeof(message), fmt, args);
	log_writer_put(line, format_line(line, level, message));
	errno = saved;
}

void log_debug(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	write_line(LOG_LEVEL_DEBUG, fmt, args);
	va_end(args);
}

void log_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	write_line(LOG_LEVEL_INFO, fmt, args);
	va_end(args);
}

void log_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	write_line(LOG_LEVEL_WARN, fmt, args);
	va_end(args);
}

void log_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	write_line(LOG_LEVEL_ERROR, fmt, args);
	va_end(args);
}
