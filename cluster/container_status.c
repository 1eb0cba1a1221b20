#include "cluster/record.h"

#include "lib/json.h"
#include "lib/mem.h"

#include <stdio.h>
#include <string.h>

#define MINUTE ((int64_t)60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static void append_count(struct buf *out, int64_t count, const char *unit)
{
	char digits[24];
	char *from = digits + sizeof(digits) - 1;

	*from = '\0';
	do
		*--from = (char)('0' + count % 10);
	while ((count /= 10) > 0);
	buf_append_str(out, from);
	buf_append_str(out, unit);
}

/* How the engine words a duration: the unit grows once two of the next would be told as one. */
static void append_duration(struct buf *out, int64_t seconds)
{
	int64_t hours = (seconds + HOUR / 2) / HOUR; /* rounded, unlike all others */

	if (seconds < 1)
		buf_append_str(out, "Less than a second");
	else if (seconds == 1)
		buf_append_str(out, "1 second");
	else if (seconds < MINUTE)
		append_count(out, seconds, " seconds");
	else if (seconds < 2 * MINUTE)
		buf_append_str(out, "About a minute");
	else if (seconds < HOUR)
		append_count(out, seconds / MINUTE, " minutes");
	else if (hours == 1)
		buf_append_str(out, "About an hour");
	else if (hours < 48)
		append_count(out, hours, " hours");
	else if (hours < 14 * 24)
		append_count(out, hours / 24, " days");
	else if (hours < 60 * 24)
		append_count(out, hours / (7 * 24), " weeks");
	else if (hours < 730 * 24)
		append_count(out, hours / (30 * 24), " months");
	else
		append_count(out, seconds / (365 * DAY), " years");
}

static void append_ended(
	struct buf *out, const char *what, const struct container *container, int64_t now)
{
	char code[16];

	snprintf(code, sizeof(code), " (%d) ", container->exit_code);
	buf_append_str(out, what);
	buf_append_str(out, code);
	append_duration(out, now - container->finished_at);
	buf_append_str(out, " ago");
}

static void append_up(struct buf *out, const struct container *container, int64_t now)
{
	const char *health = container->health;

	buf_append_str(out, "Up ");
	append_duration(out, now - container->started_at);
	if (container->is_paused) {
		buf_append_str(out, " (Paused)");
	} else if (strcmp(health, "none") != 0) {
		buf_append_str(out, strcmp(health, "starting") == 0 ? " (health: " : " (");
		buf_append_str(out, health);
		buf_append_str(out, ")");
	}
}

void container_status_append(
	struct buf *out, const struct container *container, int64_t now_seconds)
{
	if (container_record(container)->status_text)
		json_append_escaped(out, container_record(container)->status_text);
	else if (container->is_restarting && !container->is_paused)
		append_ended(out, "Restarting", container, now_seconds);
	else if (container->is_paused || strcmp(container->state, "running") == 0)
		append_up(out, container, now_seconds);
	else if (container->is_removing)
		buf_append_str(out, "Removal In Progress");
	else if (container->is_dead)
		buf_append_str(out, "Dead");
	else if (container->started_at == 0)
		buf_append_str(out, "Created");
	else if (container->finished_at != 0)
		append_ended(out, "Exited", container, now_seconds);
}

char *container_status(const struct container *container, int64_t now_seconds)
{
	struct buf text;

	if (container_record(container)->status_text)
		return xstrdup(container_record(container)->status_text);
	buf_init(&text, INVENTORY_TEXT_MAX);
	container_status_append(&text, container, now_seconds);
	return buf_take(&text);
}

/* len decimal digits at *s, which moves behind them; -1 when there are none. */
static int digits(const char **s, int len)
{
	int value = 0;

	for (int i = 0; i < len; i++) {
		char c = (*s)[i];

		if (c < '0' || c > '9')
			return -1;
		value = value * 10 + (c - '0');
	}
	*s += len;
	return value;
}

static bool literal(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

/* Days since 1970-01-01 in the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int64_t last = year - 1;
	int64_t days = last * 365 + last / 4 - last / 100 + last / 400 - 719162;
	bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days + before[month - 1] + (month > 2 && is_leap) + day - 1;
}

/* The part behind the seconds: ".123456789", then "Z" or "+01:00". */
static int tail_parse(const char *s, int64_t *nanos, int64_t *offset_seconds)
{
	int64_t unit = 100000000;
	int hour, minute, sign;

	*nanos = *offset_seconds = 0;
	if (literal(&s, '.')) {
		if (*s < '0' || *s > '9')
			return -1;
		for (; *s >= '0' && *s <= '9'; s++, unit /= 10)
			*nanos += (*s - '0') * unit;
	}
	if (literal(&s, 'Z'))
		return *s ? -1 : 0;
	if (*s != '+' && *s != '-')
		return -1;
	sign = *s++ == '-' ? -1 : 1;
	if ((hour = digits(&s, 2)) < 0 || hour > 23 || !literal(&s, ':') ||
		(minute = digits(&s, 2)) < 0 || minute > 59 || *s)
		return -1;
	*offset_seconds = sign * (hour * HOUR + minute * MINUTE);
	return 0;
}

int64_t time_parse_ns(const char *s)
{
	int year, month, day, hour, minute, second;
	int64_t nanos, offset, seconds;

	if ((year = digits(&s, 4)) < 1970 || year > 2261 || !literal(&s, '-'))
		return 0;
	if ((month = digits(&s, 2)) < 1 || month > 12 || !literal(&s, '-'))
		return 0;
	if ((day = digits(&s, 2)) < 1 || day > 31 || !literal(&s, 'T'))
		return 0;
	if ((hour = digits(&s, 2)) < 0 || hour > 23 || !literal(&s, ':'))
		return 0;
	if ((minute = digits(&s, 2)) < 0 || minute > 59 || !literal(&s, ':'))
		return 0;
	if ((second = digits(&s, 2)) < 0 || second > 60 || tail_parse(s, &nanos, &offset) < 0)
		return 0;
	seconds = days_of(year, month, day) * DAY + hour * HOUR + minute * MINUTE + second - offset;
	return seconds < 0 ? 0 : seconds * 1000000000 + nanos;
}
