/* What Consul's key-value interface answers, read with distrust. */
#include "discovery/consul_priv.h"

#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/json_read.h"

#include <stdint.h>
#include <string.h>

/* The longest value that can be an address; longer ones are not decoded. */
#define VALUE_MAX 512
#define PATH_MAX_LEN 512

void consul_key_free(struct consul_key *key)
{
	free(TAKE_PTR(key->value));
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* A short text in base64, owned by the caller. NULL when it is not well-formed, too long, or holds
 * a NUL. */
static char *decode_text(const char *s)
{
	size_t len = strlen(s), data;
	struct buf out;

	if (len % 4 != 0 || len > VALUE_MAX / 3 * 4)
		return NULL;
	data = len;
	while (data > 0 && len - data < 2 && s[data - 1] == '=')
		data--;
	buf_init(&out, VALUE_MAX + 4);
	for (size_t i = 0; i < data; i += 4) {
		unsigned bits = 0;
		size_t n = data - i < 4 ? data - i : 4;

		for (size_t j = 0; j < 4; j++) {
			int digit = j < n ? base64_digit(s[i + j]) : 0;

			if (digit < 0)
				goto err_malformed;
			bits = bits << 6 | (unsigned)digit;
		}
		for (size_t j = 0; j + 1 < n; j++)
			buf_append_char(&out, (char)(bits >> (16 - 8 * j)));
	}
	if (out.len > 0 && memchr(out.data, '\0', out.len) != NULL)
		goto err_malformed;
	return buf_take(&out);

err_malformed:
	buf_reset(&out);
	return NULL;
}

/* The value of an entry as text, owned; "" when it has none, NULL when it is malformed. */
static char *entry_value(const json_t *entry)
{
	const json_t *value = json_get(entry, "Value");

	if (value == NULL || json_is_null(value))
		return xstrdup("");
	return json_is_string(value) ? decode_text(json_string_value(value)) : NULL;
}

/* Cuts blanks off both ends, as editors and shells leave a newline behind. */
static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t\r\n");
	len = strlen(s);
	while (len > 0 && strchr(" \t\r\n", s[len - 1]) != NULL)
		len--;
	s[len] = '\0';
	return s;
}

/* Adds the node that one entry stands for, if it does. */
static int parse_entry(struct json_ref entry, const char *dir, struct str_list *out)
{
	const char *key = json_ref_str(entry, "Key", NULL);
	CLEANUP_FREE char *value = NULL;
	const char *addr;

	if (key == NULL)
		return -1;
	if (!str_has_prefix(key, dir))
		return 0;
	key += strlen(dir);
	if (*key == '\0' || strchr(key, '/') != NULL)
		return 0;
	value = decode_text(json_ref_str(entry, "Value", ""));
	addr = value != NULL ? trim(value) : "";
	str_list_add(out, addr_check_host_port(addr, NULL) == 0 ? addr : key);
	return 0;
}

int consul_parse_list(
	const char *text, size_t len, const char *dir, struct str_list *out, struct err *err)
{
	struct json_reader *reader = json_reader_new();
	struct json_ref list = json_read(reader, text, len, err);
	size_t number = 0;
	int status = 0;

	if (json_ref_kind(list) == JSON_KIND_NONE)
		status = err_wrap(err, "the store's list of nodes");
	else if (json_ref_kind(list) != JSON_KIND_ARRAY)
		status =
			err_set(err, ERR_UPSTREAM, "the store's list of nodes is not a JSON array");
	/* One more than there may be is enough for discovery.c to refuse them all. */
	for (struct json_walk w = json_walk(list);
		status == 0 && out->len <= ADDR_EXPAND_MAX && json_walk_next(&w); number++)
		if (parse_entry(w.value, dir, out) != 0)
			status = err_set(err, ERR_UPSTREAM,
				"entry %zu of the store's list of nodes has no key", number);
	json_reader_free(reader);
	return status;
}

int consul_parse_key(const char *text, size_t len, struct consul_key *out, struct err *err)
{
	CLEANUP_JSON json_t *list = json_parse(text, len, err);
	const json_t *entry;
	const char *session;
	int64_t index;

	*out = (struct consul_key){0};
	if (list == NULL)
		return err_wrap(err, "the store's answer about a key");
	entry = json_array_get(list, 0);
	if (!json_is_object(entry))
		return err_set(err, ERR_UPSTREAM, "the store's answer about a key holds no key");
	session = json_str(entry, "Session", "");
	if (strlen(session) > CONSUL_SESSION_MAX)
		return err_set(err, ERR_UPSTREAM, "the session of a key is too long");
	memcpy(out->session, session, strlen(session) + 1);
	index = json_int(entry, "ModifyIndex", 0);
	out->modify_index = index > 0 ? (uint64_t)index : 0;
	out->value = entry_value(entry);
	if (out->value == NULL)
		out->value = xstrdup("");
	return 0;
}

int consul_parse_session(const char *text, size_t len, char *out, struct err *err)
{
	CLEANUP_JSON json_t *json = json_parse(text, len, err);
	const char *id;

	if (json == NULL)
		return err_wrap(err, "the store's answer about a session");
	id = json_str(json, "ID", "");
	len = strlen(id);
	/* It goes into request targets. */
	if (len == 0 || len > CONSUL_SESSION_MAX || strspn(id, "0123456789abcdefABCDEF-") != len)
		return err_set(err, ERR_UPSTREAM, "the store gave no usable session ID");
	memcpy(out, id, len + 1);
	return 0;
}

uint64_t consul_parse_index(const struct http_headers *headers)
{
	const char *text = http_headers_get(headers, "X-Consul-Index");
	long long index = 0;

	if (text == NULL || str_to_int(text, 0, INT64_MAX, &index, "X-Consul-Index", NULL) != 0)
		return 0;
	return (uint64_t)index;
}

int consul_clean_path(const char *path, char **out, struct err *err)
{
	CLEANUP_STR_LIST struct str_list parts = {0};
	CLEANUP_BUF struct buf clean;

	buf_init(&clean, PATH_MAX_LEN);
	for (const char *c = path; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(err, ERR_INVALID, "a control character in the path");
	str_list_split(&parts, path, "/");
	for (size_t i = 0; i < parts.len; i++) {
		if (str_eq(parts.items[i], ".") || str_eq(parts.items[i], ".."))
			return err_set(err, ERR_INVALID, "'%s' in the path '%.100s'",
				parts.items[i], path);
		if (i > 0)
			buf_append_char(&clean, '/');
		buf_append_str(&clean, parts.items[i]);
	}
	if (clean.failed)
		return err_set(err, ERR_INVALID, "the path is longer than %d bytes", PATH_MAX_LEN);
	*out = buf_take(&clean);
	return 0;
}

char *consul_kv_target(const char *key)
{
	struct buf target;

	/* A key of ours is a path of bounded length and an address; each byte becomes 3 at most. */
	buf_init(&target, 16 + 3 * strlen(key));
	buf_append_str(&target, "/v1/kv/");
	while (*key != '\0') {
		size_t len = strcspn(key, "/");
		CLEANUP_FREE char *part = str_url_encode(key, len);

		buf_append_str(&target, part);
		key += len;
		if (*key == '/') {
			buf_append_char(&target, '/');
			key++;
		}
	}
	return buf_take(&target);
}
