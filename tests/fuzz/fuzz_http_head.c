/* Heads of requests and replies from bytes that a peer chose. What is taken has to survive being
 * written and read again: two readers must agree. */
#include "http/head.h"
#include "lib/str.h"
#include "tests/fuzz/fuzz.h"

/* What one side wrote of the headers, the other reads: all but those of the connection, and those
 * whose values are not written. */
static void check_headers(const struct http_headers *from, const struct http_headers *to)
{
	size_t at = 0;

	for (size_t i = 0; i < from->len; i++) {
		if (http_headers_is_hop(from, from->items[i].name))
			continue;
		fuzz_check(at < to->len && str_eq(from->items[i].name, to->items[at].name));
		fuzz_check(str_eq(from->items[i].value, to->items[at].value));
		at++;
	}
	fuzz_check(at == to->len);
}

static size_t find_end(const char *data, size_t len)
{
	struct head_scan scan = {0};
	ssize_t end = head_find_end(data, len, &scan);

	fuzz_check(end >= -1 && end <= (ssize_t)len);
	return end > 0 ? (size_t)end : 0;
}

/* The same, byte by byte. */
static size_t find_end_slowly(const char *data, size_t len)
{
	struct head_scan scan = {0};

	for (size_t n = 0; n <= len; n++) {
		ssize_t end = head_find_end(data, n, &scan);

		fuzz_check(scan.at <= n);
		if (end != 0)
			return end > 0 ? (size_t)end : 0;
	}
	return 0;
}

static void read_request_again(const struct head *first)
{
	struct head second;
	struct buf out;

	buf_init(&out, 16 * 1024 * 1024);
	head_write_request(&out, first->method, first->target, "host", &first->headers);
	fuzz_check(buf_append(&out, "\r\n", 2) == 0);
	/* Host was perhaps not there, and is one line of the maximum. */
	if (first->headers.len < HEAD_HEADERS_MAX) {
		fuzz_check(find_end(out.data, out.len) == out.len);
		fuzz_check(head_parse_request(out.data, out.len, &second, NULL) == 0);
		fuzz_check(str_eq(first->method, second.method));
		fuzz_check(str_eq(first->target, second.target));
		fuzz_check(second.body_length == 0 && second.keep_alive);
		fuzz_check(str_eq(second.headers.items[0].name, "Host"));
		http_headers_remove(&second.headers, "Host");
		check_headers(&first->headers, &second.headers);
		head_free(&second);
	}
	buf_reset(&out);
}

static void read_reply_again(const struct head *first)
{
	struct head second;
	struct buf out;

	buf_init(&out, 16 * 1024 * 1024);
	head_write_reply(&out, first->status, &first->headers, NULL);
	fuzz_check(buf_append(&out, "\r\n", 2) == 0);
	fuzz_check(find_end(out.data, out.len) == out.len);
	fuzz_check(head_parse_reply(out.data, out.len, "GET", &second, NULL) == 0);
	fuzz_check(first->status == second.status && second.keep_alive);
	check_headers(&first->headers, &second.headers);
	head_free(&second);
	buf_reset(&out);
}

static void check_request(const char *text, size_t len)
{
	struct head head;

	if (head_parse_request(text, len, &head, NULL) == 0) {
		fuzz_check(head.method != NULL && head.target != NULL);
		fuzz_check(head.body_length >= -1);
		fuzz_check(head.target[0] == '/' || str_eq(head.target, "*"));
		read_request_again(&head);
		http_headers_strip_hop(&head.headers);
		fuzz_check(http_headers_get(&head.headers, "Transfer_Encoding") == NULL);
	}
	head_free(&head);
}

static void check_reply(const char *text, size_t len, const char *method)
{
	struct head head;

	if (head_parse_reply(text, len, method, &head, NULL) == 0) {
		fuzz_check(head.status >= 100 && head.status <= 599);
		fuzz_check(head.body_length >= HEAD_UNTIL_CLOSE);
		fuzz_check(!str_eq(method, "HEAD") || head.body_length == 0);
		read_reply_again(&head);
	}
	head_free(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);
	size_t end = find_end(text, size);

	fuzz_check(find_end_slowly(text, size) == end);
	if (end > 0) {
		check_request(text, end);
		check_reply(text, end, "GET");
		check_reply(text, end, "HEAD");
	}
	free(text);
	return 0;
}
