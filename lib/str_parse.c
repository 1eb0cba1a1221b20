/* Strings as users write them, read as numbers, durations and truth values. */
#include "lib/str.h"

#include <limits.h>
#include <string.h>

#define NS_PER_MS 1000000LL
#define NS_PER_S (1000 * NS_PER_MS)
#define DURATION_MAX_MS (3650LL * 24 * 3600 * 1000)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int str_to_int(const char *s, long long min, long long max, long long *out, const char *what,
	struct err *err)
{
	bool negative = *s == '-';
	const char *p = s + (*s == '-' || *s == '+');
	long long value = 0;
	bool overflow = false;

	if (!*p || p[strspn(p, "0123456789")])
		return err_set(err, ERR_INVALID, "%s: \"%.64s\" is not a number", what, s);
	for (; *p && !overflow; p++) {
		int digit = *p - '0';

		overflow = __builtin_mul_overflow(value, 10, &value) ||
			   __builtin_sub_overflow(value, negative ? digit : -digit, &value);
	}
	if (overflow || value < min || value > max)
		return err_set(err, ERR_INVALID, "%s: %.64s is not within %lld to %lld", what, s,
			min, max);
	*out = value;
	return 0;
}

/* Nanoseconds of the unit at s (to the next digit, point or the end); 0 when unknown. */
static long long unit_ns(const char *s, size_t len)
{
	static const struct {
		const char *name;
		long long ns;
	} units[] = {
		{"ns", 1},
		{"us", 1000},
		{"\302\265s", 1000}, /* micro sign */
		{"\316\274s", 1000}, /* Greek mu */
		{"ms", NS_PER_MS},
		{"s", NS_PER_S},
		{"m", 60 * NS_PER_S},
		{"h", 3600 * NS_PER_S},
	};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strlen(units[i].name) == len && !memcmp(units[i].name, s, len))
			return units[i].ns;
	}
	return 0;
}

/* Reads "12", "1.5", ".5" at *p: the whole part, and the fraction in 10^-9. -1 when there is no
 * digit or the number is absurdly large. */
static int read_number(const char **p, long long *whole, long long *nano)
{
	const char *s = *p;
	bool any = false;
	long long scale = 100000000;

	*whole = 0;
	*nano = 0;
	for (; is_digit(*s); s++, any = true) {
		if (__builtin_mul_overflow(*whole, 10, whole) ||
			__builtin_add_overflow(*whole, *s - '0', whole))
			return -1;
	}
	if (*s == '.') {
		for (s++; is_digit(*s); s++, any = true) {
			*nano += (*s - '0') * scale;
			scale /= 10;
		}
	}
	*p = s;
	return any ? 0 : -1;
}

/* The sum of the parts in nanoseconds; -1 when malformed or out of range. */
static long long duration_ns(const char *s)
{
	long long total = 0;
	bool first = true;

	if (!*s)
		return -1;
	while (*s) {
		long long whole;
		long long nano;
		long long ns;
		size_t len;

		if (read_number(&s, &whole, &nano))
			return -1;
		len = strcspn(s, "0123456789.");
		/* Only a number alone may go without a unit. */
		ns = !len && first && !*s ? NS_PER_S : unit_ns(s, len);
		if (!ns || __builtin_mul_overflow(whole, ns, &whole) ||
			__builtin_add_overflow(total, whole, &total) ||
			__builtin_add_overflow(
				total, (long long)((__int128)nano * ns / NS_PER_S), &total))
			return -1;
		s += len;
		first = false;
	}
	return total;
}

int str_to_duration_ms(const char *s, long long *out, const char *what, struct err *err)
{
	bool negative = *s == '-';
	long long ns = duration_ns(s + (*s == '-' || *s == '+'));
	/* Upwards, so that a short time does not become none. */
	long long ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);

	if (ns < 0 || ms > DURATION_MAX_MS)
		return err_set(err, ERR_INVALID,
			"%s: \"%.64s\" is not a duration such as 300ms, 20s or 1h30m", what, s);
	*out = negative ? -ms : ms;
	return 0;
}

int str_to_bool(const char *s, bool *out)
{
	static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
	static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};

	if (!s)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (!strcmp(s, yes[i]) || !strcmp(s, no[i])) {
			*out = !strcmp(s, yes[i]);
			return 0;
		}
	}
	return -1;
}
