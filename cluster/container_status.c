#include "cluster/record.h"

#include "lib/mem.h"

#include <stdio.h>
#include <string.h>

#define MINUTE ((int64_t)60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* How the engine words a duration: the unit grows once two of the next would be told as one. */
static void duration_words(int64_t seconds, char *out, size_t size)
{
	int64_t hours = (seconds + HOUR / 2) / HOUR; /* rounded, unlike all others */

	if (seconds < 1)
		snprintf(out, size, "Less than a second");
	else if (seconds == 1)
		snprintf(out, size, "1 second");
	else if (seconds < MINUTE)
		snprintf(out, size, "%d seconds", (int)seconds);
	else if (seconds < 2 * MINUTE)
		snprintf(out, size, "About a minute");
	else if (seconds < HOUR)
		snprintf(out, size, "%d minutes", (int)(seconds / MINUTE));
	else if (hours == 1)
		snprintf(out, size, "About an hour");
	else if (hours < 48)
		snprintf(out, size, "%d hours", (int)hours);
	else if (hours < 14 * 24)
		snprintf(out, size, "%d days", (int)(hours / 24));
	else if (hours < 60 * 24)
		snprintf(out, size, "%d weeks", (int)(hours / (7 * 24)));
	else if (hours < 730 * 24)
		snprintf(out, size, "%d months", (int)(hours / (30 * 24)));
	else
		snprintf(out, size, "%lld years", (long long)(seconds / (365 * DAY)));
}

char *container_status(const struct container *container, int64_t now_seconds)
{
	const char *state = container->state;
	const char *health = container->health;
	char up[48], since[48];

	if (container_record(container)->status_text)
		return xstrdup(container_record(container)->status_text);
	duration_words(now_seconds - container->started_at, up, sizeof(up));
	duration_words(now_seconds - container->finished_at, since, sizeof(since));
	if (container->is_paused)
		return xasprintf("Up %s (Paused)", up);
	if (container->is_restarting)
		return xasprintf("Restarting (%d) %s ago", container->exit_code, since);
	if (strcmp(state, "running") == 0) {
		if (strcmp(health, "starting") == 0)
			return xasprintf("Up %s (health: starting)", up);
		if (strcmp(health, "none") != 0)
			return xasprintf("Up %s (%s)", up, health);
		return xasprintf("Up %s", up);
	}
	if (container->is_removing)
		return xstrdup("Removal In Progress");
	if (container->is_dead)
		return xstrdup("Dead");
	if (container->started_at == 0)
		return xstrdup("Created");
	if (container->finished_at == 0)
		return xstrdup("");
	return xasprintf("Exited (%d) %s ago", container->exit_code, since);
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
