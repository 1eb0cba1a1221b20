#include "http/framing.h"
#include "http/head.h"

#include <string.h>

void framing_init(struct framing *f, int64_t length)
{
	memset(f, 0, sizeof(*f));
	if (length == 0) {
		f->state = FRAMING_DONE;
	} else if (length == -1) {
		f->state = FRAMING_CHUNK_SIZE;
	} else if (length == HEAD_UNTIL_CLOSE) {
		f->state = FRAMING_UNTIL_CLOSE;
	} else {
		f->state = FRAMING_LENGTH;
		f->remaining = length;
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* "1a2b\r\n" and nothing else. */
static ssize_t feed_size(struct framing *f, const char *data, size_t len, struct err *err)
{
	int64_t size = 0;
	size_t i;

	for (i = 0; i < len && hex_value(data[i]) >= 0; i++) {
		if (i >= 15)
			return err_set(err, ERR_INVALID, "chunk size is too large");
		size = size * 16 + hex_value(data[i]);
	}
	if (i == len)
		return 0;
	if (i == 0 || data[i] != '\r')
		return err_set(err, ERR_INVALID, "malformed chunk size");
	if (i + 1 == len)
		return 0;
	if (data[i + 1] != '\n')
		return err_set(err, ERR_INVALID, "malformed chunk size");
	f->remaining = size;
	f->state = size > 0 ? FRAMING_CHUNK_DATA : FRAMING_TRAILER;
	return (ssize_t)i + 2;
}

/* Trailers are checked like headers and dropped: nothing here needs one. */
static ssize_t feed_trailer(struct framing *f, const char *data, size_t len, struct err *err)
{
	static const char *const forbidden[] = {
		"Content-Length", "Transfer-Encoding", "Host", "Trailer"};
	struct http_headers fields = {0};
	ssize_t end;
	int status = 0;

	if (len < 2)
		return 0;
	if (memcmp(data, "\r\n", 2) == 0) {
		f->state = FRAMING_DONE;
		return 2;
	}
	end = head_find_end(data, len, &f->trailer);
	if (end < 0 || (end == 0 ? len : (size_t)end) > FRAMING_TRAILER_MAX)
		return err_set(err, ERR_INVALID, "trailers are too large");
	if (end == 0)
		return 0;
	if (head_parse_fields(data, (size_t)end, &fields, err) != 0)
		status = -1;
	for (size_t i = 0; status == 0 && i < ARRAY_LEN(forbidden); i++) {
		if (http_headers_get(&fields, forbidden[i]) != NULL)
			status = err_set(
				err, ERR_INVALID, "%s is not allowed in trailers", forbidden[i]);
	}
	http_headers_free(&fields);
	if (status != 0)
		return -1;
	f->state = FRAMING_DONE;
	return end;
}

static ssize_t feed_data(
	struct framing *f, const char *data, size_t len, const char **body, size_t *body_len)
{
	size_t n = len;

	if (f->state != FRAMING_UNTIL_CLOSE) {
		if ((int64_t)n > f->remaining)
			n = (size_t)f->remaining;
		f->remaining -= (int64_t)n;
		if (f->remaining == 0)
			f->state = f->state == FRAMING_LENGTH ? FRAMING_DONE : FRAMING_CHUNK_END;
	}
	*body = data;
	*body_len = n;
	return (ssize_t)n;
}

ssize_t framing_feed(struct framing *f, const char *data, size_t len, const char **body,
	size_t *body_len, struct err *err)
{
	*body = NULL;
	*body_len = 0;
	if (len == 0)
		return 0;
	switch (f->state) {
	case FRAMING_DONE:
		return 0;
	case FRAMING_CHUNK_SIZE:
		return feed_size(f, data, len, err);
	case FRAMING_CHUNK_END:
		if (len < 2)
			return data[0] == '\r' ? 0 : err_set(err, ERR_INVALID, "malformed chunk");
		if (memcmp(data, "\r\n", 2) != 0)
			return err_set(err, ERR_INVALID, "malformed chunk");
		f->state = FRAMING_CHUNK_SIZE;
		return 2;
	case FRAMING_TRAILER:
		return feed_trailer(f, data, len, err);
	case FRAMING_LENGTH:
	case FRAMING_UNTIL_CLOSE:
	case FRAMING_CHUNK_DATA:
		return feed_data(f, data, len, body, body_len);
	}
	return 0;
}

void framing_give_back(struct framing *f, size_t len)
{
	if (len == 0)
		return;
	if (f->state == FRAMING_DONE)
		f->state = FRAMING_LENGTH;
	else if (f->state == FRAMING_CHUNK_END)
		f->state = FRAMING_CHUNK_DATA;
	if (f->state != FRAMING_UNTIL_CLOSE)
		f->remaining += (int64_t)len;
}
