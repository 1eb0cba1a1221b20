#include "api/image_age.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* "" and "Z" are UTC, else "+01:00"; an optional fraction stands in front. */
static int parse_zone(const char *text, int64_t *offset)
{
	int hours, minutes, n = 0;

	if (text[0] == '.')
		text += 1 + strspn(text + 1, "0123456789");
	*offset = 0;
	if (text[0] == '\0' || str_eq(text, "Z"))
		return 0;
	if ((text[0] != '+' && text[0] != '-') ||
		sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 || n != 5 ||
		text[6] != '\0' || hours < 0 || minutes < 0 || minutes > 59)
		return -1;
	*offset = (hours * 3600 + minutes * 60) * (text[0] == '-' ? -1 : 1);
	return 0;
}

static int parse_date(const char *text, int64_t *seconds)
{
	static const char *const forms[] = {
		"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d"};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm tm = {0};
		const char *rest = strptime(text, forms[i], &tm);
		int64_t offset;

		if (rest == NULL || parse_zone(rest, &offset) != 0)
			continue;
		*seconds = (int64_t)timegm(&tm) - offset;
		return 0;
	}
	return -1;
}

int image_age_parse(const char *text, int64_t now, int64_t *seconds)
{
	size_t whole = strcspn(text, ".");
	char *digits CLEANUP_FREE = xstrndup(text, whole);
	const char *fraction = text[whole] == '.' ? text + whole + 1 : "";
	long long number;

	if (str_to_int(digits, 0, INT64_MAX, &number, "time", NULL) == 0 &&
		strspn(fraction, "0123456789") == strlen(fraction)) {
		*seconds = number;
		return 0;
	}
	if (parse_date(text, seconds) == 0)
		return 0;
	/* A bare number is no duration here. */
	if (!str_has_suffix(text, "s") && !str_has_suffix(text, "m") && !str_has_suffix(text, "h"))
		return -1;
	if (str_to_duration_ms(text, &number, "time", NULL) != 0)
		return -1;
	*seconds = now - number / 1000;
	return 0;
}

/* When the image named was created. */
static int created_of(const struct request *r, const char *filter, const char *reference,
	int64_t *created, struct err *err)
{
	size_t len;
	struct image **found = cluster_images_find(r->api->config.cluster, reference, &len);

	if (len > 0)
		*created = found[0]->created;
	free(found);
	return len > 0 ? 0
		       : err_set(err, ERR_INVALID, "invalid filter '%s': no such image found: '%s'",
				 filter, reference);
}

int image_age_compile(
	const struct request *r, const json_t *filters, struct image_age *age, struct err *err)
{
	json_t *value;
	int64_t when;
	size_t i;

	*age = (struct image_age){.after = INT64_MIN, .before = INT64_MAX};
	json_array_foreach (json_object_get(filters, "before"), i, value) {
		if (created_of(r, "before", json_string_value(value), &when, err) != 0)
			return -1;
		age->before = when < age->before ? when : age->before;
	}
	json_array_foreach (json_object_get(filters, "since"), i, value) {
		if (created_of(r, "since", json_string_value(value), &when, err) != 0)
			return -1;
		age->after = when > age->after ? when : age->after;
	}
	json_array_foreach (json_object_get(filters, "until"), i, value) {
		if (image_age_parse(json_string_value(value),
			    r->api->config.env->wall_ns(r->api->config.env) / 1000000000,
			    &when) != 0)
			return err_set(err, ERR_INVALID, "invalid filter 'until': '%s' is no time",
				json_string_value(value));
		age->before = when < age->before ? when : age->before;
	}
	return 0;
}

bool image_age_fits(const struct image_age *age, int64_t created)
{
	return created > age->after && created < age->before;
}
