/* Heads of requests and replies from bytes that a peer chose. What is taken has to survive being
 * written and read again: two readers must agree. */
#include "http/head.h"
#include "lib/str.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_so)
{
	if (!is_so)
		abort();
}

static void read_again(const struct head *first)
{
	struct http_headers headers = {0};
	struct head second;
	struct buf out;

	buf_init(&out, 16 * 1024 * 1024);
	http_headers_copy(&headers, &first->headers);
	http_headers_remove(&headers, "Host");
	head_write_request(&out, first->method, first->target, "host", &headers);
	check(buf_append(&out, "\r\n", 2) == 0);
	check(head_find_end(out.data, out.len) == out.len);
	/* Host was perhaps not there, and is one line of the maximum. */
	if (headers.len < HEAD_HEADERS_MAX && !first->is_http10) {
		check(head_parse_request(out.data, out.len, &second, NULL) == 0);
		check(str_eq(first->method, second.method));
		check(str_eq(first->target, second.target));
		check(first->body_length == second.body_length);
		check(first->headers.len <= second.headers.len);
		head_free(&second);
	}
	http_headers_free(&headers);
	buf_reset(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Exactly as long as the bytes, so that reading past them is seen. */
	char *text = xmalloc(size + 1);
	struct head head;
	size_t end;

	memcpy(text, data, size);
	text = xrealloc(text, size > 0 ? size : 1);
	end = head_find_end(text, size);
	check(end <= size);
	if (end > 0) {
		if (head_parse_request(text, end, &head, NULL) == 0) {
			check(head.method != NULL && head.target != NULL);
			check(head.body_length >= -1);
			check(head.target[0] == '/' || str_eq(head.target, "*"));
			read_again(&head);
			http_headers_strip_hop(&head.headers);
		}
		head_free(&head);
		if (head_parse_reply(text, end, "GET", &head, NULL) == 0)
			check(head.status >= 100 && head.status <= 599 &&
				head.body_length >= HEAD_UNTIL_CLOSE);
		head_free(&head);
	}
	free(text);
	return 0;
}
