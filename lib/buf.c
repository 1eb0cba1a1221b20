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

static void drop_memory(struct buf *b)
{
	if (b->data)
		free(b->data - b->gap);
	b->data = NULL;
	b->len = 0;
	b->cap = 0;
	b->gap = 0;
}

void buf_reset(struct buf *b)
{
	drop_memory(b);
	b->failed = false;
}

static void close_gap(struct buf *b)
{
	if (!b->gap)
		return;
	memmove(b->data - b->gap, b->data, b->len + 1);
	b->data -= b->gap;
	b->gap = 0;
}

char *buf_room(struct buf *b, size_t len)
{
	size_t need;
	size_t cap;

	if (len > b->max - b->len)
		return NULL;
	need = b->len + len + 1;
	if (b->gap + need <= b->cap)
		return b->data + b->len;
	/* Moving no more than was consumed since the last time costs little; else it grows, as far
	 * as it may. */
	cap = b->cap ? b->cap : FIRST_CAP;
	if (need <= cap && b->gap < b->len && cap <= b->max / 2)
		cap *= 2;
	close_gap(b);
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap > b->max + 1)
		cap = b->max + 1;
	if (cap > b->cap) {
		b->data = xrealloc(b->data, cap);
		b->cap = cap;
		b->data[b->len] = '\0';
	}
	return b->data + b->len;
}

void buf_added(struct buf *b, size_t len)
{
	/* Writing past the room given has corrupted memory already: do not go on. */
	if (len && (!b->data || len > b->cap - 1 - b->gap - b->len))
		abort();
	b->len += len;
	if (b->data)
		b->data[b->len] = '\0';
}

int buf_append(struct buf *b, const void *data, size_t len)
{
	char *room;

	/* Mostly there is room, and no more memory than the maximum. */
	if (len < b->cap - b->gap - b->len) {
		if (len > 0)
			memcpy(b->data + b->len, data, len);
		b->len += len;
		b->data[b->len] = '\0';
		return 0;
	}
	room = buf_room(b, len);
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

int buf_append_number(struct buf *b, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	return buf_append(b, digits + at, sizeof(digits) - at);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	/* Mostly there is room already, and one pass is enough. */
	size_t spare = b->data ? b->cap - b->gap - b->len : 0;
	va_list args;
	char *room;
	int n;

	va_start(args, fmt);
	n = vsnprintf(spare ? b->data + b->len : NULL, spare, fmt, args);
	va_end(args);
	if (n >= 0 && (size_t)n < spare && (size_t)n <= b->max - b->len) {
		buf_added(b, (size_t)n);
		return 0;
	}
	if (spare)
		b->data[b->len] = '\0';
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
	b->data += len;
	b->gap += len;
	if (b->len)
		return;
	if (b->cap > KEEP_CAP)
		drop_memory(b);
	else
		close_gap(b);
}

void buf_empty(struct buf *b)
{
	buf_consume(b, b->len);
	b->failed = false;
}

void buf_clear(struct buf *b)
{
	close_gap(b);
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

char *buf_take(struct buf *b)
{
	char *data;

	close_gap(b);
	data = b->data ? b->data : xstrdup("");
	b->data = NULL;
	b->len = 0;
	b->cap = 0;
	return data;
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}
