#include "api/filter_values.h"
#include "lib/hash.h"

#include <stdio.h>
#include <string.h>

#define PORTS 65536

struct filter_value {
	UT_hash_handle hh;
	const char *text;
};

static bool have(const struct filter_values *values, const char *text, size_t len)
{
	struct filter_value *value;

	HASH_FIND(hh, values->texts, text, len, value);
	return value != NULL;
}

void filter_values_add(struct filter_values *values, const char *text)
{
	size_t len = strlen(text);
	struct filter_value *value;

	if (have(values, text, len))
		return;
	value = xcalloc(1, sizeof(*value));
	value->text = text;
	HASH_ADD_KEYPTR(hh, values->texts, value->text, len, value);
	if (len <= FILTER_PREFIX_MAX)
		values->has_len[len] = true;
}

bool filter_values_have(const struct filter_values *values, const char *text)
{
	return have(values, text, strlen(text));
}

bool filter_values_have_any(const struct filter_values *values, const struct str_list *texts)
{
	for (size_t i = 0; i < texts->len; i++) {
		if (filter_values_have(values, texts->items[i]))
			return true;
	}
	return false;
}

bool filter_values_have_prefix_of(const struct filter_values *values, const char *id)
{
	size_t len = strlen(id);

	for (size_t i = 0; i <= FILTER_PREFIX_MAX && i <= len; i++) {
		if (values->has_len[i] && have(values, id, i))
			return true;
	}
	return len > FILTER_PREFIX_MAX && have(values, id, len);
}

/* ---- Ports ---- */

/* -1: containers have none of that protocol. */
static int protocol_number(const char *protocol)
{
	static const char *const protocols[] = {"tcp", "udp", "sctp"};

	for (int i = 0; i < (int)ARRAY_LEN(protocols); i++) {
		if (str_eq(protocol, protocols[i]))
			return i;
	}
	return -1;
}

static void add_range(uint8_t *bits, unsigned from, unsigned to)
{
	while (from <= to) {
		bool is_whole = from % 8 == 0 && to - from >= 7;

		bits[from / 8] |= (uint8_t)(is_whole ? 0xff : 1u << from % 8);
		from += is_whole ? 8 : 1;
	}
}

int filter_values_add_ports(struct filter_values *values, const char *text, struct err *err)
{
	const char *protocol = "tcp";
	unsigned from, to;
	int n = 0, number;

	if (sscanf(text, "%5u-%5u%n", &from, &to, &n) != 2) {
		if (sscanf(text, "%5u%n", &from, &n) != 1)
			return err_set(err, ERR_INVALID, "invalid port in filter: %s", text);
		to = from;
	}
	if (text[n] == '/')
		protocol = text + n + 1;
	else if (text[n] != '\0')
		return err_set(err, ERR_INVALID, "invalid port in filter: %s", text);
	if (from > to || to >= PORTS)
		return err_set(err, ERR_INVALID, "invalid port range in filter: %s", text);
	number = protocol_number(protocol);
	if (number < 0)
		return 0;
	if (values->ports[number] == NULL)
		values->ports[number] = xcalloc(1, PORTS / 8);
	add_range(values->ports[number], from, to);
	return 0;
}

bool filter_values_have_port(const struct filter_values *values, const struct str_list *ports)
{
	for (size_t i = 0; i < ports->len; i++) {
		const char *p = ports->items[i];
		unsigned port = 0;
		int number;

		for (; *p >= '0' && *p <= '9' && port < PORTS; p++)
			port = port * 10 + (unsigned)(*p - '0');
		if (*p != '/' || p == ports->items[i] || port >= PORTS)
			continue;
		number = protocol_number(p + 1);
		if (number >= 0 && values->ports[number] != NULL &&
			(values->ports[number][port / 8] & 1u << port % 8) != 0)
			return true;
	}
	return false;
}

void filter_values_free(struct filter_values *values)
{
	struct filter_value *value, *next;

	HASH_ITER (hh, values->texts, value, next) {
		HASH_DEL(values->texts, value);
		free(value);
	}
	for (size_t i = 0; i < ARRAY_LEN(values->ports); i++)
		free(values->ports[i]);
}
