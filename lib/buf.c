#include "lib/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The first allocation, and the capacity above which an emptied buffer gives its memory back. */
#define FIRST_CAP 64
#define KEEP_CAP (16 * 1024)

void buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	/* One byte stays free for the NUL behind the data. */
	b->max = max < SIZE_MAX ? max : SIZE_MAX - 1;
}

void buf_reset(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = 0;
	b->cap = 0;
	b->failed = false;
}

char *buf_room(struct buf *b, size_t len)
{
	size_t need;
	size_t cap;

	if (len > b->max - b->len)
		return NULL;
	need = b->len + len + 1;
	if (need > b->cap) {
		cap = b->cap ? b->cap : FIRST_CAP;
		while (cap < need)
			cap = cap > SIZE_MAX / 2 ? need : cap * 2;
		if (cap > b->max + 1)
			cap = b->max + 1;
		b->data = xrealloc(b->data, cap);
		b->cap = cap;
		b->data[b->len] = '\0';
	}
	return b->data + b->len;
}

void buf_added(struct buf *b, size_t len)
{
	/* Writing past the room given has corrupted memory already: do not go on. */
	if (len && (!b->data || len > b->cap - 1 - b->len))
		abort();
	b->len += len;
	if (b->data)
		b->data[b->len] = '\0';
}

int buf_append(struct buf *b, const void *data, size_t len)
{
	char *room = buf_room(b, len);

	if (!room) {
		b->failed = true;
		return -1;
	}
	if (len)
		memcpy(room, data, len);
	buf_added(b, len);
	return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}

int buf_append_char(struct buf *b, char c)
{
	return buf_append(b, &c, 1);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args;
	char *room;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	room = n < 0 ? NULL : buf_room(b, (size_t)n);
	if (!room) {
		b->failed = true;
		return -1;
	}
	va_start(args, fmt);
	(void)vsnprintf(room, (size_t)n + 1, fmt, args);
	va_end(args);
	buf_added(b, (size_t)n);
	return 0;
}

void buf_consume(struct buf *b, size_t len)
{
	if (len > b->len)
		abort();
	if (!len)
		return;
	b->len -= len;
	if (!b->len && b->cap > KEEP_CAP) {
		free(b->data);
		b->data = NULL;
		b->cap = 0;
		return;
	}
	memmove(b->data, b->data + len, b->len + 1);
}

char *buf_take(struct buf *b)
{
	char *data = b->data ? b->data : xstrdup("");

	b->data = NULL;
	b->len = 0;
	b->cap = 0;
	return data;
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}
