/* Heads: what is taken, and every doubt that is refused. */
#include "http/head.h"
#include "lib/str.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

struct request_case {
	const char *text;
	int status; /* 0 = taken */
	const char *method, *target;
	int64_t length;
	bool keep_alive;
};

#define H "Host: a\r\n"
static const struct request_case requests[] = {
	{"GET / HTTP/1.1\r\n" H "\r\n", 0, "GET", "/", 0, true},
	{"GET /a%2Fb?x=%00&y=/../ HTTP/1.1\r\n" H "\r\n", 0, "GET", "/a%2Fb?x=%00&y=/../", 0, true},
	{"GET / HTTP/1.0\r\n\r\n", 0, "GET", "/", 0, false},
	{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0, "GET", "/", 0, false},
	{"GET / HTTP/1.1\r\n" H "Connection: x, Close\r\n\r\n", 0, "GET", "/", 0, false},
	{"OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, "OPTIONS", "*", 0, true},
	{"GET * HTTP/1.1\r\n" H "\r\n", 400, NULL, NULL, 0, false},
	{"POST /x HTTP/1.1\r\n" H "Content-Length: 12\r\n\r\n", 0, "POST", "/x", 12, true},
	{"POST /x HTTP/1.1\r\n" H "Content-Length:0\r\n\r\n", 0, "POST", "/x", 0, true},
	{"POST /x HTTP/1.1\r\n" H "content-length: \t 12 \t\r\n\r\n", 0, "POST", "/x", 12, true},
	{"POST /x HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n", 0, "POST", "/x", -1, true},
	/* Which length counts must not be a question. */
	{.text = "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		.status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
		.status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
		.status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
		.status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Content-Length: 5;\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n",
		.status = 400},
	/* A coding that one reader knows and the other does not. */
	{.text = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n",
		.status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;x\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
		 "chunked\r\n\r\n",
		.status = 400},
	{.text = "POST / HTTP/1.1\r\n" H
		 "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
		.status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H " Transfer-Encoding: chunked\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "X: y\r\n Transfer-Encoding: chunked\r\n\r\n",
		.status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "X: y\rTransfer-Encoding: chunked\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.1\r\n" H "X: y\nTransfer-Encoding: chunked\r\n\r\n", .status = 400},
	{.text = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .status = 400},
	/* Lines. */
	{.text = "GET / HTTP/1.1\nHost: a\n\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\nHost: a\n\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\n" H "\r\n", .status = 400},
	{.text = "\r\nGET / HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\n" H "X y\r\n\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\n" H ": y\r\n\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\n" H "X\t: y\r\n\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\n" H "X(: y\r\n\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\n" H "X\x80: y\r\n\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\n" H "X: a\tb\xc3\xa4\r\n\r\n", 0, "GET", "/", 0, true},
	/* The request line. */
	{.text = "GET  / HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET /  HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET / HTTP/1.1 \r\n" H "\r\n", .status = 400},
	{.text = " GET / HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET\t/ HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET /\r\n" H "\r\n", .status = 400},
	{.text = "GET\r\n\r\n", .status = 400},
	{.text = "/ HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET / HTTP/2.0\r\n" H "\r\n", .status = 505},
	{.text = "GET / HTTP/1.2\r\n" H "\r\n", .status = 505},
	{.text = "GET / http/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET / HTTP/1.10\r\n" H "\r\n", .status = 400},
	{.text = "G(T / HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" H "\r\n",
		.status = 400},
	{.text = "GET x HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET /a#b HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET /a\\b HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET /\x01 HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "CONNECT a:80 HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "PRI * HTTP/2.0\r\n\r\n", .status = 505},
	/* Who is meant. */
	{.text = "GET / HTTP/1.1\r\n\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\n" H H "\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", .status = 400},
	{.text = "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", .status = 400},
	{"GET / HTTP/1.1\r\nHost: [::1]:2375\r\n\r\n", 0, "GET", "/", 0, true},
	{"GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, "GET", "/", 0, true},
	{"GET http://a/x?y HTTP/1.1\r\n" H "\r\n", 0, "GET", "/x?y", 0, true},
	{"GET HTTPS://A/x HTTP/1.1\r\n" H "\r\n", 0, "GET", "/x", 0, true},
	{.text = "GET http://b/x HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET http://a@b/x HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET http://a HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET http:///x HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET ftp://a/x HTTP/1.1\r\n" H "\r\n", .status = 400},
	{.text = "GET http://a/x HTTP/1.0\r\n\r\n", .status = 400},
	/* Expectations. */
	{"POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n", 0, "POST",
		"/", 1, true},
	{.text = "POST / HTTP/1.1\r\n" H "Expect: tea\r\nContent-Length: 1\r\n\r\n", .status = 417},
	{.text = "POST / HTTP/1.1\r\n" H
		 "Expect: 100-continue\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n",
		.status = 417},
};

static void requests_are_taken_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		const struct request_case *t = &requests[i];
		struct err err = ERR_INIT;
		struct head head;
		int status = head_parse_request(t->text, strlen(t->text), &head, &err);

		if (status != t->status)
			fail_msg("'%s' gave %d, wanted %d (%s)", t->text, status, t->status,
				err.msg);
		assert_true((status == 0) == (err.code == ERR_NONE));
		if (status == 0) {
			assert_string_equal(head.method, t->method);
			assert_string_equal(head.target, t->target);
			assert_int_equal(head.body_length, t->length);
			assert_int_equal(head.keep_alive, t->keep_alive);
		}
		head_free(&head);
	}
}

static void no_byte_but_token_characters_in_names(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX_: y\r\n\r\n";
		char *hole = strchr(text, '_');
		bool is_token = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				(c >= 'A' && c <= 'Z') ||
				(c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
		struct head head;

		if (c == ':') /* then ": y" is the value */
			continue;
		*hole = (char)c;
		assert_int_equal(head_parse_request(text, sizeof(text) - 1, &head, NULL),
			is_token ? 0 : 400);
		head_free(&head);
	}
}

static void nul_bytes_are_refused(void **state)
{
	static const char *const texts[] = {"GET /_ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a_\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: _\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char *text CLEANUP_FREE = xstrdup(texts[i]);
		size_t len = strlen(text);
		struct head head;

		*strchr(text, '_') = '\0';
		assert_int_equal(head_parse_request(text, len, &head, NULL), 400);
		head_free(&head);
	}
}

static void too_many_headers_are_refused(void **state)
{
	struct buf text CLEANUP_BUF;
	struct head head;

	(void)state;
	for (int extra = 0; extra < 2; extra++) {
		buf_init(&text, 1024 * 1024);
		buf_append_str(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
		for (int i = 0; i < HEAD_HEADERS_MAX - 1 + extra; i++)
			buf_append_str(&text, "X: y\r\n");
		buf_append_str(&text, "\r\n");
		assert_int_equal(
			head_parse_request(text.data, text.len, &head, NULL), extra == 0 ? 0 : 431);
		head_free(&head);
		buf_reset(&text);
	}
}

static void the_end_is_found_wherever_the_text_is_cut(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest\r\n\r\n";
	ssize_t end = (ssize_t)strlen("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	struct head_scan scan = {0}, all;

	(void)state;
	for (size_t n = 0; (ssize_t)n <= end; n++) {
		all = (struct head_scan){0};
		assert_int_equal(head_find_end(text, n, &all), (ssize_t)n < end ? 0 : end);
		assert_int_equal(head_find_end(text, n, &scan), (ssize_t)n < end ? 0 : end);
	}
	all = (struct head_scan){0};
	assert_int_equal(head_find_end(text, sizeof(text), &all), end);
	/* Malformed ends are found too, so that they are refused at once. Each leaves the scan as
	 * new. */
	assert_int_equal(head_find_end(NULL, 0, &scan), 0);
	assert_int_equal(head_find_end("a\n\nb", 4, &scan), 3);
	assert_int_equal(head_find_end("a\n\r\nb", 5, &scan), 4);
	assert_int_equal(head_find_end("a\r\n\nb", 5, &scan), 4);
}

/* A peer may send it byte by byte. */
static void what_was_looked_at_is_not_looked_at_again(void **state)
{
	static const char line[] = "X-Name: value\r\n";
	struct head_scan scan = {0};
	struct buf text;
	size_t seen = 0;

	(void)state;
	buf_init(&text, 16 * 1024);
	for (size_t i = 0; i < 200 * strlen(line); i++) {
		size_t from = scan.at;

		buf_append_char(&text, line[i % strlen(line)]);
		assert_int_equal(head_find_end(text.data, text.len, &scan), 0);
		seen += text.len - from;
	}
	/* A line's end is looked at again until it is known what follows it. */
	assert_true(seen <= 2 * text.len);
	buf_reset(&text);
}

static void more_lines_than_a_head_may_have_are_seen_at_once(void **state)
{
	struct head_scan scan = {0};
	struct buf text;

	(void)state;
	buf_init(&text, 16 * 1024);
	buf_append_str(&text, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < HEAD_HEADERS_MAX; i++)
		buf_append_str(&text, "X: y\r\n");
	assert_int_equal(head_find_end(text.data, text.len, &scan), 0);
	buf_append_str(&text, "\r\n");
	assert_int_equal(head_find_end(text.data, text.len, &scan), text.len);
	memcpy(text.data + text.len - 2, "X:", 2);
	assert_int_equal(head_find_end(text.data, text.len, &scan), -1);
	buf_reset(&text);
}

struct reply_case {
	const char *text, *method;
	int result, status;
	int64_t length;
	bool keep_alive;
};

static const struct reply_case replies[] = {
	{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", 0, 200, 3, true},
	{"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n", "GET", 0, 200, 3, true},
	{"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", "GET", 0, 200, -1, true},
	{"HTTP/1.1 200 OK\r\n\r\n", "GET", 0, 200, HEAD_UNTIL_CLOSE, true},
	{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", 0, 200, 0, false},
	{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", 0, 200, 0, true},
	{"HTTP/1.1 204 No\r\n\r\n", "GET", 0, 204, 0, true},
	{"HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\n", "GET", 0, 304, 0, true},
	{"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\n", "POST", 0, 101, 0, true},
	{"HTTP/1.1 20 OK\r\n\r\n", "GET", -1, 0, 0, false},
	{"HTTP/1.1 2000 OK\r\n\r\n", "GET", -1, 0, 0, false},
	{"HTTP/1.1 099 OK\r\n\r\n", "GET", -1, 0, 0, false},
	{"HTTP/1.1 600 OK\r\n\r\n", "GET", -1, 0, 0, false},
	{"HTTP/1.1 2x0 OK\r\n\r\n", "GET", -1, 0, 0, false},
	{"HTTP/2.0 200 OK\r\n\r\n", "GET", -1, 0, 0, false},
	{"HTTP/1.1  200 OK\r\n\r\n", "GET", -1, 0, 0, false},
	{"HTTP/1.1 200OK\r\n\r\n", "GET", -1, 0, 0, false},
	{"ICY 200 OK\r\n\r\n", "GET", -1, 0, 0, false},
	{"\r\n\r\n", "GET", -1, 0, 0, false},
	{"HTTP/1.1 200 OK\n\n", "GET", -1, 0, 0, false},
	{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "GET", -1, 0, 0,
		false},
	{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", -1, 0,
		0, false},
	{"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n", "GET", -1, 0, 0, false},
	{"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "GET", -1, 0, 0, false},
	{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", -1, 0, 0, false},
};

static void replies_are_taken_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
		const struct reply_case *t = &replies[i];
		struct err err = ERR_INIT;
		struct head head;
		int result = head_parse_reply(t->text, strlen(t->text), t->method, &head, &err);

		if (result != t->result)
			fail_msg("'%s' gave %d (%s)", t->text, result, err.msg);
		if (result == 0) {
			assert_int_equal(head.status, t->status);
			assert_int_equal(head.body_length, t->length);
			assert_int_equal(head.keep_alive, t->keep_alive);
		} else {
			assert_int_equal(err.code, ERR_UPSTREAM);
		}
		head_free(&head);
	}
}

static void what_would_split_a_head_is_not_written(void **state)
{
	struct http_headers headers = {0};
	struct buf out CLEANUP_BUF;

	(void)state;
	buf_init(&out, 4096);
	http_headers_add(&headers, "A", "1");
	http_headers_add(&headers, "B\r\nEvil", "2");
	http_headers_add(&headers, "C", "3\r\nEvil: 3");
	http_headers_add(&headers, " D", "4");
	http_headers_add(&headers, "E", "");
	head_write_reply(&out, 404, &headers, NULL);
	assert_string_equal(buf_str(&out), "HTTP/1.1 404 Not Found\r\nA: 1\r\nE: \r\n");
	buf_reset(&out);
	head_write_request(&out, "GET", "/x", "h", &headers);
	assert_string_equal(buf_str(&out), "GET /x HTTP/1.1\r\nHost: h\r\nA: 1\r\nE: \r\n");
	http_headers_free(&headers);
	assert_string_equal(head_reason(299), "Status");
}

static void hop_by_hop_headers_are_stripped(void **state)
{
	static const char *const gone[] = {"Connection", "Keep-Alive", "X-Named", "X-Other", "TE",
		"Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings", "Content-Length",
		"Host", "Expect", "Date", "Proxy-Authorization", "Proxy-Connection",
		"Transfer_Encoding", "content_length", "PROXY_CONNECTION"};
	struct http_headers headers = {0}, copy = {0};

	(void)state;
	for (size_t i = 1; i < ARRAY_LEN(gone); i++)
		http_headers_add(&headers, gone[i], "v");
	http_headers_add(&headers, "connection", "close, x-named");
	http_headers_add(&headers, "Connection", " ,X-Other ,");
	http_headers_add(&headers, "Accept", "a");
	http_headers_add(&headers, "accept", "b");
	assert_true(http_headers_has_token(&headers, "CONNECTION", "X-NAMED"));
	assert_false(http_headers_has_token(&headers, "Connection", "named"));
	http_headers_copy(&copy, &headers);
	http_headers_strip_hop(&copy);
	assert_int_equal(copy.len, 2);
	assert_string_equal(http_headers_get(&copy, "ACCEPT"), "a");
	http_headers_set(&copy, "Accept", http_headers_get(&copy, "Accept"));
	assert_int_equal(copy.len, 1);
	assert_string_equal(http_headers_get(&copy, "Accept"), "a");
	http_headers_free(&copy);
	http_headers_free(&headers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_taken_or_refused),
		cmocka_unit_test(no_byte_but_token_characters_in_names),
		cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(too_many_headers_are_refused),
		cmocka_unit_test(the_end_is_found_wherever_the_text_is_cut),
		cmocka_unit_test(what_was_looked_at_is_not_looked_at_again),
		cmocka_unit_test(more_lines_than_a_head_may_have_are_seen_at_once),
		cmocka_unit_test(replies_are_taken_or_refused),
		cmocka_unit_test(what_would_split_a_head_is_not_written),
		cmocka_unit_test(hop_by_hop_headers_are_stripped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
