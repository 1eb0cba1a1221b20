/* The thread that writes log lines. */
#include "lib/log_priv.h"

#include "lib/mem.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FLUSH_STEP_MS 5

/* All of it but the buffer that the thread writes from is under the lock, which nobody holds while
 * writing. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	char waiting[LOG_WAITING_MAX]; /* a ring of whole lines */
	size_t start, len;
	unsigned long long lost; /* lines, since the ring was last empty */
	bool is_started;
	bool is_writing; /* the thread has taken a line that is not out yet */
} writer = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

/* As write(2) until all is out. Nobody can be told of a failure. */
static void write_all(const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, data, len);

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			/* Another process that shares the file has made it non-blocking. */
			struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};

			(void)poll(&room, 1, -1);
		} else if (errno != EINTR) {
			return;
		}
	}
}

/* Takes the oldest line out of the ring, which is not empty. */
static size_t take_line(char *line)
{
	size_t len = 0;

	do {
		line[len] = writer.waiting[writer.start];
		writer.start = (writer.start + 1) % LOG_WAITING_MAX;
		writer.len--;
	} while (line[len++] != '\n');
	return len;
}

/* The next line to be written; waits for one. */
static size_t next_line(char *line)
{
	size_t len;

	pthread_mutex_lock(&writer.lock);
	writer.is_writing = false;
	while (!writer.len && !writer.lost)
		pthread_cond_wait(&writer.more, &writer.lock);
	writer.is_writing = true;
	if (writer.len) {
		len = take_line(line);
	} else {
		len = log_format_lost(line, writer.lost);
		writer.lost = 0;
	}
	pthread_mutex_unlock(&writer.lock);
	return len;
}

static void *run(void *arg)
{
	static char line[LOG_LINE_MAX];

	(void)arg;
	/* One write for each, so that lines of several processes do not mix. */
	for (;;)
		write_all(line, next_line(line));
	return NULL;
}

/* A child that was forked has no thread, and what waits is its parent's to write. */
static void forget_in_child(void)
{
	pthread_mutex_init(&writer.lock, NULL);
	pthread_cond_init(&writer.more, NULL);
	writer.start = writer.len = 0;
	writer.lost = 0;
	writer.is_started = writer.is_writing = false;
}

static void flush_at_exit(void)
{
	(void)log_flush();
}

/* The thread takes no signal: those are the loop's. */
static bool start_thread(void)
{
	sigset_t all, old;
	pthread_t thread;
	int status;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	status = pthread_create(&thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (status)
		return false;
	pthread_detach(thread);
	return true;
}

static void prepare_once(void)
{
	pthread_atfork(NULL, NULL, forget_in_child);
	atexit(flush_at_exit);
}

static void put(const char *line, size_t len)
{
	size_t end = (writer.start + writer.len) % LOG_WAITING_MAX;
	size_t first = len < LOG_WAITING_MAX - end ? len : LOG_WAITING_MAX - end;

	/* Once one is lost, so are those behind it until that is told: the order stays right. */
	if (writer.lost || writer.len + len > LOG_WAITING_MAX) {
		writer.lost++;
		return;
	}
	memcpy(writer.waiting + end, line, first);
	memcpy(writer.waiting, line + first, len - first);
	writer.len += len;
}

void log_writer_put(const char *line, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, prepare_once);
	pthread_mutex_lock(&writer.lock);
	put(line, len);
	/* Where no thread can be had now, the next line tries again. */
	if (!writer.is_started)
		writer.is_started = start_thread();
	pthread_cond_signal(&writer.more);
	pthread_mutex_unlock(&writer.lock);
}

/* Looks again and again, since a clock that a condition could wait by may be a test's. */
bool log_flush(void)
{
	const struct timespec step = {.tv_nsec = FLUSH_STEP_MS * 1000000L};

	for (int waited = 0;; waited += FLUSH_STEP_MS) {
		bool is_done;

		pthread_mutex_lock(&writer.lock);
		is_done = !writer.len && !writer.lost && !writer.is_writing;
		pthread_mutex_unlock(&writer.lock);
		if (is_done || waited >= LOG_FLUSH_MS)
			return is_done;
		nanosleep(&step, NULL);
	}
}
