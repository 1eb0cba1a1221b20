/* Log lines to stderr: time, level, message with key=value tail; one line per event.
 * Never a token, key or authorization header. Control characters from peers are escaped.
 *
 * Logging never blocks, also where stderr does: a pipe that nobody reads, a terminal that is held,
 * a file on a server that is gone. A thread of its own writes the lines, in their order, from 4
 * MiB that wait for it. What comes while those are full is dropped, and counted: once all that
 * waits is written, a line says how many were lost. (Without a thread there is no way: O_NONBLOCK
 * would belong to everybody who shares the file, and files and terminals know nothing like it.) */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include "lib/err.h"

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_FATAL,
};

/* Lines below the level are dropped. Starts at LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "debug", "info", "warn"/"warning", "error", "fatal"/"panic"; -1 with a message otherwise. */
int log_level_parse(const char *name, enum log_level *out, struct err *err);

/* Waits until all that was logged is written, but not for long (LOG_FLUSH_MS): false when some of
 * it is not. Runs at exit by itself; what another way of writing to stderr follows needs it. */
#define LOG_FLUSH_MS 500
bool log_flush(void);

void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
