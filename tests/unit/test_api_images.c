/* What the API remembers of images that clients want, and how it reads times. */
#include "api/image_age.h"
#include "api/wanted_image.h"
#include "lib/str.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

static uint64_t now;

static uint64_t clock_ms(const struct env *env)
{
	(void)env;
	return now;
}

static const struct env env = {.now_ms = clock_ms};

static void check(
	struct wanted_images *wanted, const char *image, const char *peer, const char *node)
{
	const char *found = wanted_image_node_id(wanted, image, peer);

	if (node == NULL)
		assert_null(found);
	else
		assert_string_equal(found != NULL ? found : "(none)", node);
}

/* One client is one host, and one image all its spellings. */
static void test_whose_and_what(void **state)
{
	struct wanted_images *wanted = wanted_images_new(&env);

	(void)state;
	wanted_image_remember(wanted, "app", "192.0.2.1:4711", "n1");
	wanted_image_remember(wanted, "app", "192.0.2.2:4711", "n2");
	wanted_image_remember(wanted, "app", "[2001:db8::1]:4711", "n3");
	wanted_image_remember(wanted, "app", "unix", "n4");
	wanted_image_remember(wanted, "app:1", "unix", "n5");
	check(wanted, "app", "192.0.2.1:1", "n1");
	check(wanted, "docker.io/library/app:latest", "192.0.2.2:80", "n2");
	check(wanted, "library/app", "[2001:db8::1]:1", "n3");
	check(wanted, "app", "[2001:db8::2]:4711", NULL);
	check(wanted, "app", "unix", "n4");
	check(wanted, "app:1", "unix", "n5");
	check(wanted, "app:2", "unix", NULL);
	/* The last word counts. */
	wanted_image_remember(wanted, "app:latest", "unix", "n6");
	check(wanted, "app", "unix", "n6");
	wanted_image_forget(wanted, "docker.io/app", "unix");
	check(wanted, "app", "unix", NULL);
	check(wanted, "app:1", "unix", "n5");
	wanted_image_forget(wanted, "app", "unix");
	wanted_images_free(wanted);
}

static void test_for_some_minutes(void **state)
{
	struct wanted_images *wanted = wanted_images_new(&env);

	(void)state;
	now = 1000;
	wanted_image_remember(wanted, "app", "unix", "n1");
	now += WANTED_MS - 1;
	check(wanted, "app", "unix", "n1");
	now++;
	check(wanted, "app", "unix", NULL);
	wanted_images_free(wanted);
}

/* However many clients ask, the table stays small; the oldest go. */
static void test_bounded(void **state)
{
	struct wanted_images *wanted = wanted_images_new(&env);
	char image[16];
	char *huge = xcalloc(1, 1 << 20);

	(void)state;
	for (int i = 0; i < 3 * WANTED_MAX; i++) {
		snprintf(image, sizeof(image), "app%d", i);
		wanted_image_remember(wanted, image, "unix", "n1");
	}
	check(wanted, image, "unix", "n1");
	snprintf(image, sizeof(image), "app%d", 2 * WANTED_MAX);
	check(wanted, image, "unix", "n1");
	snprintf(image, sizeof(image), "app%d", 2 * WANTED_MAX - 1);
	check(wanted, image, "unix", NULL);
	memset(huge, 'a', (1 << 20) - 1);
	wanted_image_remember(wanted, huge, "unix", "n1");
	check(wanted, huge, "unix", NULL);
	free(huge);
	wanted_images_free(wanted);
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds; /* -1 = none */
	} table[] = {
		{"0", 0},
		{"1577836800", 1577836800},
		{"1577836800.999999999", 1577836800},
		{"2020-01-01", 1577836800},
		{"2020-01-01T00", 1577836800},
		{"2020-01-01T00:00", 1577836800},
		{"2020-01-01T00:00:00", 1577836800},
		{"2020-01-01T00:00:00Z", 1577836800},
		{"2020-01-01T00:00:00.123456789Z", 1577836800},
		{"2020-01-01T02:30:00+02:30", 1577836800},
		{"2019-12-31T22:00:00.5-02:00", 1577836800},
		{"10m", 1000000 - 600},
		{"1h30m", 1000000 - 5400},
		{"", -1},
		{"x", -1},
		{"-5", -1},
		{"2020-13-01", -1},
		{"2020-01-01T00:00:00+2:00", -1},
		{"2020-01-01T00:00:00+02:60", -1},
		{"2020-01-01T00:00:00Zx", -1},
		{"1577836800.9x", -1},
		{"99999999999999999999", -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		int64_t seconds = -1;

		if (image_age_parse(table[i].text, 1000000, &seconds) != 0)
			seconds = -1;
		if (seconds != table[i].seconds)
			fail_msg("%s: %lld", table[i].text, (long long)seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose_and_what),
		cmocka_unit_test(test_for_some_minutes),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
