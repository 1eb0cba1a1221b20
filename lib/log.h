/* Log lines to stderr: time, level, message with key=value tail; one line per event.
 * Never a token, key or authorization header. Control characters from peers are escaped. */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include "lib/err.h"

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

void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
