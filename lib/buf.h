/* The one growable buffer. Its maximum is given when it is made; passing it is an error, not
 * growth. */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include "lib/mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;  /* len bytes; always followed by a NUL when not NULL */
	size_t len;  /* bytes in use */
	size_t cap;  /* bytes allocated, those in front of data included */
	size_t gap;  /* bytes in front of data that were consumed */
	size_t max;  /* most bytes it may ever hold */
	bool failed; /* an append did not fit; sticky until buf_reset */
};

/* Starts an empty buffer that allocates nothing until used. */
void buf_init(struct buf *b, size_t max);
/* Frees the memory and leaves the buffer empty, with the same maximum. */
void buf_reset(struct buf *b);
#define CLEANUP_BUF __attribute__((cleanup(buf_reset)))

/* Append; 0, or -1 when it would pass the maximum (nothing is appended, failed is set). */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *s);
int buf_append_char(struct buf *b, char c);
int buf_append_number(struct buf *b, uint64_t number); /* in decimal */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Room for at least len more bytes at data + len, or NULL when it would pass the maximum.
 * The caller writes there and calls buf_added. */
char *buf_room(struct buf *b, size_t len) MUSTCHECK;
void buf_added(struct buf *b, size_t len);

/* Drops len (<= b->len) bytes from the front, without moving the others; memory goes back when it
 * becomes empty and was large. */
void buf_consume(struct buf *b, size_t len);

/* Drops all bytes, and the memory when it was large; and the failure, if there was one. */
void buf_empty(struct buf *b);

/* Drops all bytes and keeps the memory. */
void buf_clear(struct buf *b);

/* The bytes as an owned NUL-ended string (never NULL); the buffer is left empty. */
char *buf_take(struct buf *b) MUSTCHECK;

/* The content as a C string, "" when empty. Borrowed. */
const char *buf_str(const struct buf *b);

#endif
