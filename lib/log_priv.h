/* Between making lines (log.c) and writing them (log_writer.c). */
#ifndef LIB_LOG_PRIV_H
#define LIB_LOG_PRIV_H

#include "lib/log.h"

#include <stddef.h>

/* The longest line, with its newline. */
#define LOG_LINE_MAX 8192
/* Bytes of lines that wait to be written: room for the state of a large fleet, which comes at once.
 */
#define LOG_WAITING_MAX ((size_t)4 * 1024 * 1024)

/* A whole line, with its newline, at most LOG_LINE_MAX bytes. Does not block, from any thread. */
void log_writer_put(const char *line, size_t len);
/* Makes the line that tells of so many lost ones; line has room for LOG_LINE_MAX bytes. */
size_t log_format_lost(char *line, unsigned long long lost);

#endif
