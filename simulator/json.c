#include "simulator/simulator_priv.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int sim_fail(struct err *err, int status, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		err->code = status == 404   ? ERR_NOT_FOUND
			    : status == 409 ? ERR_CONFLICT
			    : status >= 500 ? ERR_SYSTEM
					    : ERR_INVALID;
		va_start(ap, fmt);
		vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
		va_end(ap);
	}
	return status;
}

void sim_json_quote(struct buf *b, const char *s)
{
	const char *run = s;

	buf_append_char(b, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		const char *escape;

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_append(b, run, (size_t)(s - run));
		run = s + 1;
		escape = c == '"'    ? "\\\""
			 : c == '\\' ? "\\\\"
			 : c == '\n' ? "\\n"
			 : c == '\r' ? "\\r"
			 : c == '\t' ? "\\t"
				     : NULL;
		if (escape)
			buf_append_str(b, escape);
		else
			buf_printf(b, "\\u%04x", c);
	}
	buf_append(b, run, (size_t)(s - run));
	buf_append_char(b, '"');
}

void sim_json_item(struct buf *b)
{
	if (b->len && b->data[b->len - 1] != '{' && b->data[b->len - 1] != '[')
		buf_append_char(b, ',');
}

void sim_json_key(struct buf *b, const char *key)
{
	sim_json_item(b);
	sim_json_quote(b, key);
	buf_append_char(b, ':');
}

void sim_json_s(struct buf *b, const char *key, const char *value)
{
	sim_json_key(b, key);
	sim_json_quote(b, value);
}

void sim_json_i(struct buf *b, const char *key, int64_t value)
{
	sim_json_key(b, key);
	buf_printf(b, "%lld", (long long)value);
}

void sim_json_b(struct buf *b, const char *key, bool value)
{
	sim_json_raw(b, key, value ? "true" : "false");
}

void sim_json_raw(struct buf *b, const char *key, const char *json)
{
	sim_json_key(b, key);
	buf_append_str(b, json);
}

static int append_dump(const char *data, size_t len, void *arg)
{
	return buf_append(arg, data, len);
}

void sim_json_value(struct buf *b, const char *key, const json_t *value, const char *otherwise)
{
	sim_json_key(b, key);
	if (!value || json_is_null(value))
		buf_append_str(b, otherwise);
	else
		json_dump_callback(
			value, append_dump, b, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

void sim_time_text(int64_t ns, char *out, size_t out_size)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	char frac[16];
	size_t len;

	if (!ns) {
		snprintf(out, out_size, "0001-01-01T00:00:00Z");
		return;
	}
	gmtime_r(&seconds, &tm);
	snprintf(frac, sizeof(frac), ".%09lld", (long long)(ns % 1000000000));
	len = strlen(frac);
	while (len && (frac[len - 1] == '0' || frac[len - 1] == '.'))
		len--;
	frac[len] = '\0';
	snprintf(out, out_size, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, frac);
}

void sim_json_time(struct buf *b, const char *key, int64_t ns)
{
	char text[80];

	sim_time_text(ns, text, sizeof(text));
	sim_json_s(b, key, text);
}

void sim_duration_text(int64_t seconds, char *out, size_t out_size)
{
	long long s = seconds < 0 ? 0 : seconds;
	long long hours = (s + 1800) / 3600;

	if (s < 1)
		snprintf(out, out_size, "Less than a second");
	else if (s == 1)
		snprintf(out, out_size, "1 second");
	else if (s < 60)
		snprintf(out, out_size, "%lld seconds", s);
	else if (s < 120)
		snprintf(out, out_size, "About a minute");
	else if (s < 3600)
		snprintf(out, out_size, "%lld minutes", s / 60);
	else if (hours == 1)
		snprintf(out, out_size, "About an hour");
	else if (hours < 48)
		snprintf(out, out_size, "%lld hours", hours);
	else if (hours < 24 * 7 * 2)
		snprintf(out, out_size, "%lld days", hours / 24);
	else if (hours < 24 * 30 * 2)
		snprintf(out, out_size, "%lld weeks", hours / 24 / 7);
	else if (hours < 24 * 365 * 2)
		snprintf(out, out_size, "%lld months", hours / 24 / 30);
	else
		snprintf(out, out_size, "%lld years", s / 3600 / 24 / 365);
}

int sim_time_parse(const char *text, int64_t *ns)
{
	struct tm tm = {0};
	const char *p = text;
	int64_t fraction = 0;
	int64_t unit = 100000000;
	int offset = 0;
	int fields;
	int hours;
	int minutes;
	char sign;

	fields = strlen(text) > 64
			 ? 0
			 : sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon,
				   &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec);
	if (fields < 3 || (fields == 3 && strlen(text) != 10))
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	p += strcspn(p, "T");
	p += strcspn(p, ".Z+-");
	/* A date alone has no 'T'; its day begins. */
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
			fraction += (*p - '0') * unit;
	if (sscanf(p, "%c%2d:%2d", &sign, &hours, &minutes) == 3 && (sign == '+' || sign == '-'))
		offset = (sign == '-' ? -60 : 60) * (60 * hours + minutes);
	else if (*p && !str_eq(p, "Z"))
		return -1;
	*ns = tm.tm_year < 70 - 1 ? 0 : (timegm(&tm) - offset) * 1000000000ll + fraction;
	return 0;
}

/* ---- Progress ---- */

void sim_progress(struct buf *b, const char *status, const char *id)
{
	buf_append_char(b, '{');
	sim_json_s(b, "status", status);
	if (id)
		sim_json_s(b, "id", id);
	buf_append_str(b, "}\r\n");
}

void sim_progress_detail(struct buf *b, const char *status, const char *id)
{
	buf_append_char(b, '{');
	sim_json_s(b, "status", status);
	buf_append_str(b, ",\"progressDetail\":{}");
	sim_json_s(b, "id", id);
	buf_append_str(b, "}\r\n");
}

/* As Go writes JSON for the web. */
static void quote_web(struct buf *b, const char *text)
{
	CLEANUP_BUF struct buf plain = {0};

	buf_init(&plain, SIM_REPLY_MAX);
	sim_json_quote(&plain, text);
	for (size_t i = 0; i < plain.len; i++) {
		char c = plain.data[i];

		if (c == '<' || c == '>' || c == '&')
			buf_printf(b, "\\u%04x", (unsigned)c);
		else
			buf_append_char(b, c);
	}
}

void sim_progress_stream(struct buf *b, const char *text)
{
	buf_append_str(b, "{\"stream\":");
	quote_web(b, text);
	buf_append_str(b, "}\r\n");
}

void sim_progress_error(struct buf *b, const char *message)
{
	buf_append_str(b, "{\"errorDetail\":{\"message\":");
	quote_web(b, message);
	buf_append_str(b, "},\"error\":");
	quote_web(b, message);
	buf_append_str(b, "}\r\n");
}
