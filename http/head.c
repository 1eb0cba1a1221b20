#include "http/head.h"
#include "lib/str.h"

#include <string.h>
#include <strings.h>

void head_free(struct head *head)
{
	free(head->method);
	free(head->target);
	http_headers_free(&head->headers);
	memset(head, 0, sizeof(*head));
}

ssize_t head_find_end(const char *data, size_t len, struct head_scan *scan)
{
	const char *lf;

	while (scan->at < len && (lf = memchr(data + scan->at, '\n', len - scan->at)) != NULL) {
		size_t next = (size_t)(lf - data) + 1;
		size_t blank = next < len && data[next] == '\r' ? next + 1 : next;

		/* What comes behind it tells whether this is the last line. */
		if (blank == len) {
			scan->at = next - 1;
			return 0;
		}
		if (data[blank] == '\n') {
			memset(scan, 0, sizeof(*scan));
			return (ssize_t)blank + 1;
		}
		scan->at = next;
		if (++scan->lines > HEAD_HEADERS_MAX)
			return -1;
	}
	scan->at = len;
	return 0;
}

/* RFC 9110 section 5.6.2. A table: every byte of every name is asked for. */
static bool is_tchar(unsigned char c)
{
	static const bool table[256] = {['0' ... '9'] = true,
		['A' ... 'Z'] = true,
		['a' ... 'z'] = true,
		['!'] = true,
		['#'] = true,
		['$'] = true,
		['%'] = true,
		['&'] = true,
		['\''] = true,
		['*'] = true,
		['+'] = true,
		['-'] = true,
		['.'] = true,
		['^'] = true,
		['_'] = true,
		['`'] = true,
		['|'] = true,
		['~'] = true};

	return table[c];
}

bool head_is_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!is_tchar((unsigned char)s[i]))
			return false;
	}
	return len > 0;
}

/* One line that ends in CRLF and holds no other CR, LF or NUL. Its length without CRLF, or -1. */
static ssize_t line_length(const char *data, size_t len)
{
	const char *lf = memchr(data, '\n', len);
	size_t n;

	if (lf == NULL || lf == data || lf[-1] != '\r')
		return -1;
	n = (size_t)(lf - data) - 1;
	if (memchr(data, '\r', n) != NULL || memchr(data, '\0', n) != NULL)
		return -1;
	return (ssize_t)n;
}

static int parse_field(const char *line, size_t len, struct http_headers *out, struct err *err)
{
	const char *colon = memchr(line, ':', len), *value, *end = line + len;

	if (line[0] == ' ' || line[0] == '\t')
		return err_set(err, ERR_INVALID, "folded header lines are not accepted");
	if (colon == NULL || !head_is_token(line, (size_t)(colon - line)))
		return err_set(err, ERR_INVALID, "malformed header line");
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	for (const char *p = value; p < end; p++) {
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return err_set(err, ERR_INVALID, "control character in a header");
	}
	if (out->len >= HEAD_HEADERS_MAX)
		return err_set(err, ERR_TOO_LARGE, "more than %d header lines", HEAD_HEADERS_MAX);
	http_headers_add_text(out, line, (size_t)(colon - line), value, (size_t)(end - value));
	return 0;
}

int head_parse_fields(const char *data, size_t len, struct http_headers *out, struct err *err)
{
	while (len > 0) {
		ssize_t n = line_length(data, len);

		if (n < 0)
			return err_set(err, ERR_INVALID, "header lines must end in CRLF");
		if (n == 0)
			return 0;
		if (parse_field(data, (size_t)n, out, err) != 0)
			return -1;
		data += n + 2;
		len -= (size_t)n + 2;
	}
	return 0;
}

static size_t count_headers(const struct http_headers *h, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->len; i++)
		n += strcasecmp(h->items[i].name, name) == 0;
	return n;
}

static int parse_length(const char *value, int64_t *out)
{
	int64_t n = 0;

	if (*value == '\0' || strlen(value) > 18)
		return -1;
	for (; *value != '\0'; value++) {
		if (*value < '0' || *value > '9')
			return -1;
		n = n * 10 + (*value - '0');
	}
	*out = n;
	return 0;
}

/* Content-Length and Transfer-Encoding; 0, or the status to refuse with. */
static int parse_framing(struct head *head, struct err *err)
{
	const char *length = http_headers_get(&head->headers, "Content-Length");
	const char *coding = http_headers_get(&head->headers, "Transfer-Encoding");

	if (coding != NULL) {
		if (length != NULL) {
			err_set(err, ERR_INVALID, "both Content-Length and Transfer-Encoding");
			return 400;
		}
		if (head->is_http10 || count_headers(&head->headers, "Transfer-Encoding") != 1) {
			err_set(err, ERR_INVALID, "Transfer-Encoding is not acceptable here");
			return 400;
		}
		if (strcasecmp(coding, "chunked") != 0) {
			err_set(err, ERR_INVALID,
				"only the transfer coding \"chunked\" is accepted");
			return 400;
		}
		head->body_length = -1;
	} else if (length != NULL) {
		if (count_headers(&head->headers, "Content-Length") != 1 ||
			parse_length(length, &head->body_length) != 0) {
			err_set(err, ERR_INVALID, "bad Content-Length");
			return 400;
		}
	}
	return 0;
}

bool head_is_target(const char *target, size_t len)
{
	static const bool table[256] = {['!'] = true,
		['$' ... ';'] = true,
		['='] = true,
		['?' ... '['] = true,
		[']' ... '~'] = true};

	for (size_t i = 0; i < len; i++) {
		if (!table[(unsigned char)target[i]])
			return false;
	}
	return len > 0;
}

/* The target in origin form, owned; NULL when it is of no acceptable form. authority gets what an
 * absolute form names. */
static char *origin_form(const char *method, const char *target, size_t len, char **authority)
{
	const char *rest, *slash;

	*authority = NULL;
	if (!head_is_target(target, len))
		return NULL;
	if (target[0] == '/')
		return xstrndup(target, len);
	if (len == 1 && target[0] == '*')
		return str_eq(method, "OPTIONS") ? xstrdup("*") : NULL;
	if (strncasecmp(target, "http://", 7) == 0)
		rest = target + 7;
	else if (strncasecmp(target, "https://", 8) == 0)
		rest = target + 8;
	else
		return NULL;
	slash = memchr(rest, '/', len - (size_t)(rest - target));
	if (slash == NULL || slash == rest)
		return NULL;
	*authority = xstrndup(rest, (size_t)(slash - rest));
	return xstrndup(slash, len - (size_t)(slash - target));
}

static bool host_is_valid(const char *host)
{
	for (const char *p = host; *p != '\0'; p++) {
		if (!is_tchar((unsigned char)*p) && strchr(":[]", *p) == NULL)
			return false;
	}
	return true;
}

static int parse_request_line(
	const char *line, size_t len, struct head *head, char **authority, struct err *err)
{
	const char *sp1 = memchr(line, ' ', len), *sp2;
	size_t rest;

	if (sp1 == NULL || !head_is_token(line, (size_t)(sp1 - line)) || sp1 - line > 32)
		goto bad;
	rest = len - (size_t)(sp1 + 1 - line);
	sp2 = memchr(sp1 + 1, ' ', rest);
	if (sp2 == NULL)
		goto bad;
	rest = len - (size_t)(sp2 + 1 - line);
	if (rest != 8 || memcmp(sp2 + 1, "HTTP/", 5) != 0)
		goto bad;
	if (memcmp(sp2 + 1, "HTTP/1.1", 8) != 0 && memcmp(sp2 + 1, "HTTP/1.0", 8) != 0) {
		err_set(err, ERR_INVALID, "only HTTP/1.1 and HTTP/1.0 are spoken here");
		return 505;
	}
	head->is_http10 = sp2[8] == '0';
	head->method = xstrndup(line, (size_t)(sp1 - line));
	head->target = origin_form(head->method, sp1 + 1, (size_t)(sp2 - sp1 - 1), authority);
	if (head->target != NULL)
		return 0;
bad:
	err_set(err, ERR_INVALID, "malformed request line");
	return 400;
}

static int check_host(const struct head *head, const char *authority, struct err *err)
{
	const char *host = http_headers_get(&head->headers, "Host");
	size_t hosts = count_headers(&head->headers, "Host");

	if (hosts > 1 || (hosts == 0 && !head->is_http10)) {
		err_set(err, ERR_INVALID,
			hosts > 1 ? "more than one Host header" : "no Host header");
		return 400;
	}
	if (host != NULL && !host_is_valid(host)) {
		err_set(err, ERR_INVALID, "bad Host header");
		return 400;
	}
	if (authority != NULL && !str_ieq(authority, host)) {
		err_set(err, ERR_INVALID,
			"the request target names another host than the Host header");
		return 400;
	}
	return 0;
}

/* Each line of them: the second may ask for what the first does not. */
static bool expectations_are_met(const struct head *head)
{
	if (http_headers_get(&head->headers, "Expect") == NULL)
		return true;
	for (size_t i = 0; i < head->headers.len; i++) {
		const struct http_header *item = &head->headers.items[i];

		if (strcasecmp(item->name, "Expect") == 0 &&
			strcasecmp(item->value, "100-continue") != 0)
			return false;
	}
	return true;
}

int head_parse_request(const char *data, size_t len, struct head *head, struct err *err)
{
	char *authority CLEANUP_FREE = NULL;
	ssize_t line;
	int status;

	memset(head, 0, sizeof(*head));
	line = line_length(data, len);
	if (line < 0) {
		err_set(err, ERR_INVALID, "lines must end in CRLF");
		return 400;
	}
	status = parse_request_line(data, (size_t)line, head, &authority, err);
	if (status != 0)
		return status;
	if (head_parse_fields(data + line + 2, len - (size_t)line - 2, &head->headers, err) != 0)
		return head->headers.len >= HEAD_HEADERS_MAX ? 431 : 400;
	status = check_host(head, authority, err);
	if (status == 0)
		status = parse_framing(head, err);
	if (status != 0)
		return status;
	if (!expectations_are_met(head)) {
		err_set(err, ERR_INVALID, "no such expectation can be met");
		return 417;
	}
	head->expects_continue = http_headers_get(&head->headers, "Expect") != NULL &&
				 !head->is_http10 && head->body_length != 0;
	head->keep_alive =
		!head->is_http10 && !http_headers_has_token(&head->headers, "Connection", "close");
	return 0;
}

int head_parse_reply(
	const char *data, size_t len, const char *method, struct head *head, struct err *err)
{
	ssize_t line = line_length(data, len);
	struct err why = ERR_INIT;

	memset(head, 0, sizeof(*head));
	if (line < 12 || memcmp(data, "HTTP/1.", 7) != 0 || (data[7] != '0' && data[7] != '1') ||
		data[8] != ' ' || (line > 12 && data[12] != ' '))
		return err_set(err, ERR_UPSTREAM, "the answer is not HTTP/1");
	for (int i = 9; i < 12; i++) {
		if (data[i] < '0' || data[i] > '9')
			return err_set(err, ERR_UPSTREAM, "the answer has a malformed status line");
		head->status = head->status * 10 + (data[i] - '0');
	}
	head->is_http10 = data[7] == '0';
	if (head->status < 100 || head->status > 599)
		return err_set(err, ERR_UPSTREAM, "the answer has status %d", head->status);
	if (head_parse_fields(data + line + 2, len - (size_t)line - 2, &head->headers, &why) != 0 ||
		parse_framing(head, &why) != 0)
		return err_set(err, ERR_UPSTREAM, "the answer has a bad head: %s", why.msg);
	head->keep_alive =
		!head->is_http10 && !http_headers_has_token(&head->headers, "Connection", "close");
	if (str_eq(method, "HEAD") || head->status < 200 || head->status == 204 ||
		head->status == 304)
		head->body_length = 0;
	else if (http_headers_get(&head->headers, "Content-Length") == NULL &&
		 head->body_length == 0)
		head->body_length = HEAD_UNTIL_CLOSE;
	return 0;
}

void head_write_field(struct buf *out, const char *name, const char *value)
{
	buf_append_str(out, name);
	buf_append(out, ": ", 2);
	buf_append_str(out, value);
	buf_append(out, "\r\n", 2);
}

static void write_headers(
	struct buf *out, const struct http_headers *headers, bool (*passes)(const char *name))
{
	const struct http_headers *names_hop = headers;

	if (headers != NULL && http_headers_get(headers, "Connection") == NULL)
		names_hop = NULL;
	for (size_t i = 0; headers != NULL && i < headers->len; i++) {
		const char *name = headers->items[i].name, *value = headers->items[i].value;

		if (!head_is_token(name, strlen(name)) || strpbrk(value, "\r\n") != NULL ||
			http_headers_is_hop(names_hop, name) || (passes != NULL && !passes(name)))
			continue;
		head_write_field(out, name, value);
	}
}

/* So that a head does not grow its buffer line by line. From 1 KiB on the allocator has to look for
 * a piece, and tidies up before it does, which costs more the more memory is in use. */
#define HEAD_ROOM 500

void head_write_reply(struct buf *out, int status, const struct http_headers *headers,
	bool (*passes)(const char *name))
{
	if (buf_room(out, HEAD_ROOM) == NULL)
		return;
	buf_append_str(out, "HTTP/1.1 ");
	buf_append_number(out, (uint64_t)status);
	buf_append_char(out, ' ');
	buf_append_str(out, head_reason(status));
	buf_append(out, "\r\n", 2);
	write_headers(out, headers, passes);
}

void head_write_request(struct buf *out, const char *method, const char *target, const char *host,
	const struct http_headers *headers)
{
	if (buf_room(out, HEAD_ROOM) == NULL)
		return;
	buf_append_str(out, method);
	buf_append_char(out, ' ');
	buf_append_str(out, target);
	buf_append_str(out, " HTTP/1.1\r\nHost: ");
	buf_append_str(out, host);
	buf_append(out, "\r\n", 2);
	write_headers(out, headers, NULL);
}

const char *head_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} table[] = {{101, "UPGRADED"}, {200, "OK"}, {201, "Created"}, {202, "Accepted"},
		{204, "No Content"}, {304, "Not Modified"}, {400, "Bad Request"},
		{401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"},
		{405, "Method Not Allowed"}, {406, "Not Acceptable"}, {408, "Request Timeout"},
		{409, "Conflict"}, {413, "Content Too Large"}, {415, "Unsupported Media Type"},
		{417, "Expectation Failed"}, {421, "Misdirected Request"},
		{429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"},
		{503, "Service Unavailable"}, {504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"}, {507, "Insufficient Storage"}};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].status == status)
			return table[i].reason;
	}
	return "Status";
}
