#include "cluster/live.h"
#include "lib/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

char *live_target(const struct node_live *live, const char *path)
{
	return xasprintf("/v%s%s", live->api[0] ? live->api : NODE_API_MIN, path);
}

struct call *live_get_in_line(struct node_live *live, const char *path, size_t max,
	unsigned total_ms, unsigned lines, call_collect_fn *done, void *arg)
{
	const struct live_timing *t = &live->shared->timing;
	struct call_request request = {
		.method = "GET",
		.target = path,
		.lines = lines,
		.connect_timeout_ms = t->connect,
		.head_timeout_ms = total_ms,
		.idle_timeout_ms = t->idle,
		.total_timeout_ms = total_ms,
	};

	return call_collect(live->endpoint, &request, max, done, arg);
}

struct call *live_get(struct node_live *live, const char *path, size_t max, unsigned total_ms,
	call_collect_fn *done, void *arg)
{
	return live_get_in_line(live, path, max, total_ms, 0, done, arg);
}

struct call *live_probe(struct node_live *live, unsigned total_ms, call_collect_fn *done, void *arg)
{
	const struct call_request request = {
		.method = "GET",
		.target = "/_ping",
		.is_rounds = true,
		.connect_timeout_ms = live->shared->timing.connect,
		.head_timeout_ms = total_ms,
		.total_timeout_ms = total_ms,
	};

	return call_collect(live->endpoint, &request, LIVE_PING_MAX, done, arg);
}

/* The engine's own words, short and on one line, of {"message"}. Other text is not repeated: what
 * answers may be no engine, and its pages are nobody's to read here. */
static void engine_message(const struct reply *reply, char *out, size_t size)
{
	json_t *json CLEANUP_JSON =
		live_parse(reply->body, reply->body_len, LIVE_INFO_VALUES, NULL);
	const char *text = json_str(json, "message", "");
	size_t n = 0;

	while (*text && n + 1 < size && n < 300) {
		unsigned char c = (unsigned char)*text++;

		out[n++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

int live_status_error(const char *path, const struct reply *reply, struct err *err)
{
	char message[320];

	if (reply->status == 400 && strstr(reply->body, "HTTPS server"))
		return err_set(err, ERR_UPSTREAM,
			"the engine speaks TLS and was asked without: give the manager its TLS "
			"options");
	engine_message(reply, message, sizeof(message));
	return err_set(err, reply->status == 404 ? ERR_NOT_FOUND : ERR_UPSTREAM,
		"GET %s: the engine answered %d%s%s", path, reply->status, message[0] ? ": " : "",
		message);
}

static int check_values(const char *text, size_t len, size_t values_max, struct err *err)
{
	if (json_values_bound(text, len) <= values_max)
		return 0;
	return err_set(err, ERR_TOO_LARGE, "more than %zu values", values_max);
}

json_t *live_parse(const char *text, size_t len, size_t values_max, struct err *err)
{
	return check_values(text, len, values_max, err) == 0 ? json_parse_told(text, len, err)
							     : NULL;
}

int live_reply_check(
	const char *path, const struct reply *reply, const struct err *failed, struct err *err)
{
	if (failed)
		return err_set(err, failed->code, "GET %s: %s", path, failed->msg);
	return reply->status == 200 ? 0 : live_status_error(path, reply, err);
}

struct json_ref live_reply_read(struct node_live *live, const char *path, const struct reply *reply,
	const struct err *failed, struct err *err)
{
	struct json_ref value = {0};
	struct err why = ERR_INIT;

	if (live_reply_check(path, reply, failed, err) != 0)
		return value;
	if (check_values(reply->body, reply->body_len, LIVE_LIST_VALUES, &why) != 0) {
		err_set(err, ERR_TOO_LARGE, "GET %s: %s", path, why.msg);
		return value;
	}
	value = json_read(live->shared->reader, reply->body, reply->body_len, &why);
	if (json_ref_kind(value) == JSON_KIND_OBJECT)
		return value;
	err_set(err, ERR_UPSTREAM, "GET %s: the answer is not %s%s", path,
		value.document ? "a JSON object" : "JSON: ", value.document ? "" : why.msg);
	return (struct json_ref){0};
}

/* Two digits, or -1. */
static int two(const char *s)
{
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return -1;
	return (s[0] - '0') * 10 + (s[1] - '0');
}

/* "+01:00", "-05:30" or "Z" as seconds. */
static bool parse_offset(const char *s, long *out)
{
	if (strcmp(s, "Z") == 0 || strcmp(s, "z") == 0) {
		*out = 0;
		return true;
	}
	if ((s[0] != '+' && s[0] != '-') || strlen(s) != 6 || s[3] != ':' || two(s + 1) < 0 ||
		two(s + 4) < 0)
		return false;
	*out = (two(s + 1) * 60L + two(s + 4)) * 60L * (s[0] == '-' ? -1 : 1);
	return true;
}

int64_t live_parse_time(const char *text)
{
	struct tm tm = {0};
	int64_t nano = 0, unit = 100000000;
	long offset;
	const char *s = text;

	if (strlen(s) < 20 || s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != 't') ||
		s[13] != ':' || s[16] != ':' || two(s) < 0)
		return 0;
	tm.tm_year = two(s) * 100 + two(s + 2) - 1900;
	tm.tm_mon = two(s + 5) - 1;
	tm.tm_mday = two(s + 8);
	tm.tm_hour = two(s + 11);
	tm.tm_min = two(s + 14);
	tm.tm_sec = two(s + 17);
	if (two(s + 2) < 0 || tm.tm_year < 70 || tm.tm_year > 300 || tm.tm_mon < 0 ||
		tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 ||
		tm.tm_min < 0 || tm.tm_sec < 0)
		return 0;
	s += 19;
	if (*s == '.')
		for (s++; *s >= '0' && *s <= '9'; s++, unit /= 10)
			nano += (*s - '0') * unit;
	if (!parse_offset(s, &offset))
		return 0;
	return ((int64_t)timegm(&tm) - offset) * 1000000000 + nano;
}

int64_t live_parse_date(const char *text)
{
	struct tm tm = {0};
	const char *end = text ? strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) : NULL;

	return end && *end == '\0' ? (int64_t)timegm(&tm) : 0;
}

/* FNV-1a, 64 bits: two states of one container that collide are a state noticed late, no more. */
uint64_t live_digest(const char *data, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325U;
	size_t i;

	for (i = 0; i < len; i++) {
		hash ^= (unsigned char)data[i];
		hash *= 0x100000001b3U;
	}
	return hash;
}
