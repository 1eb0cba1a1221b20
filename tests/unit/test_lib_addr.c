#include "lib/addr.h"
#include "lib/env.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

static void addresses_come_back(void **state)
{
	static const struct {
		const char *text;
		uint16_t default_port;
		const char *host;
		uint16_t port;
		const char *formatted;
	} cases[] = {
		{"10.0.0.1:2375", 0, "10.0.0.1", 2375, "10.0.0.1:2375"},
		{"tcp://host-1.example:80", 0, "host-1.example", 80, "host-1.example:80"},
		{"tcp://0.0.0.0", 2375, "0.0.0.0", 2375, "0.0.0.0:2375"},
		{"[::1]:2375", 0, "::1", 2375, "[::1]:2375"},
		{"tcp://[fe80::1%eth0]", 2376, "fe80::1%eth0", 2376, "[fe80::1%eth0]:2376"},
		{":3375", 0, "", 3375, ":3375"},
		{"localhost:0", 2375, "localhost", 0, "localhost:0"},
		{"h:65535", 1, "h", 65535, "h:65535"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct addr a;
		char *s;

		assert_int_equal(addr_parse(cases[i].text, cases[i].default_port, &a, &err), 0);
		assert_int_equal(a.kind, ADDR_TCP);
		assert_string_equal(a.host, cases[i].host);
		assert_int_equal(a.port, cases[i].port);
		s = addr_format(&a);
		assert_string_equal(s, cases[i].formatted);
		free(s);
		addr_free(&a);
		assert_null(a.host);
	}
}

static void unix_sockets(void **state)
{
	struct err err = ERR_INIT;
	char text[200] = "unix:///";
	struct addr a;
	char *s;

	(void)state;
	assert_int_equal(addr_parse("unix:///var/run/docker.sock", 0, &a, &err), 0);
	assert_int_equal(a.kind, ADDR_UNIX);
	assert_string_equal(a.path, "/var/run/docker.sock");
	assert_true(addr_is_local(&a));
	s = addr_format(&a);
	assert_string_equal(s, "unix:///var/run/docker.sock");
	free(s);
	addr_free(&a);
	assert_int_equal(addr_parse("unix://", 0, &a, &err), -1);
	assert_int_equal(addr_parse("unix:///a\nb", 0, &a, &err), -1);
	memset(text + 8, 'x', 106);
	assert_int_equal(addr_parse(text, 0, &a, &err), 0);
	addr_free(&a);
	text[8 + 106] = 'x'; /* one more than fits into sun_path */
	assert_int_equal(addr_parse(text, 0, &a, &err), -1);
}

static void hostile_addresses_are_refused(void **state)
{
	static const char *const bad[] = {"", "tcp://", "http://h:1", "fd://", "TCP://h:1", "h",
		"h:", "h:x", "h:-1", "h:+1", "h: 1", "h:65536", "h:000080", "h:1:2", "::1",
		"::1:2375", "[::1", "[::1]x", "[::1]2375", "[]:1", "[h]:1", "[1.2.3.4]:1", "h/x:1",
		"h:1/x", "a b:1", "a\nb:1", "user@h:1", "h?:1", "h#:1", "h%41:1", "\303\244:1",
		"[::1%]:1", "[::1%a/b]:1", "h\\:1", "unix:/x"};
	char longest[512];
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(addr_parse(bad[i], 0, &a, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		addr_free(&a); /* harmless after a failure */
		assert_int_equal(addr_check_host_port(bad[i], &err), -1);
	}
	memset(longest, 'a', sizeof(longest));
	memcpy(longest + 300, ":1", 3);
	assert_int_equal(addr_parse(longest, 0, &a, NULL), -1);
}

static void local_addresses(void **state)
{
	static const char *const local[] = {
		"127.0.0.1:1", "127.9.8.7:1", "[::1]:1", "LocalHost:1", "[::ffff:127.0.0.1]:1"};
	static const char *const remote[] = {"10.0.0.1:1", ":1", "0.0.0.0:1", "[::]:1",
		"localhost.example:1", "127.0.0.1.example:1", "[::2]:1", "1270.0.0.1:1"};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(local); i++) {
		assert_int_equal(addr_parse(local[i], 0, &a, NULL), 0);
		assert_true(addr_is_local(&a));
		addr_free(&a);
	}
	for (size_t i = 0; i < ARRAY_LEN(remote); i++) {
		assert_int_equal(addr_parse(remote[i], 0, &a, NULL), 0);
		assert_false(addr_is_local(&a));
		addr_free(&a);
	}
}

static void engine_addresses(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(addr_check_host_port("10.0.0.1:2375", &err), 0);
	assert_int_equal(addr_check_host_port("node_1.example:1", &err), 0);
	assert_int_equal(addr_check_host_port("[2001:db8::1]:65535", &err), 0);
	assert_int_equal(addr_check_host_port("h:0", &err), -1);
	assert_int_equal(addr_check_host_port(":2375", &err), -1);
	assert_int_equal(addr_check_host_port("tcp://h:1", &err), -1);
	assert_int_equal(addr_check_host_port("h:1\n", &err), -1);
}

static void expands_to(const char *pattern, const char *joined)
{
	CLEANUP_STR_LIST struct str_list expected = {0};
	CLEANUP_STR_LIST struct str_list list = {0};
	struct err err = ERR_INIT;

	assert_int_equal(addr_expand(pattern, &list, &err), 0);
	str_list_split(&expected, joined, " ");
	assert_int_equal(list.len, expected.len);
	for (size_t i = 0; i < list.len; i++)
		assert_string_equal(list.items[i], expected.items[i]);
}

static void ranges(void **state)
{
	(void)state;
	expands_to("10.0.0.[11:13]:2375", "10.0.0.11:2375 10.0.0.12:2375 10.0.0.13:2375");
	expands_to("node[08:10]:1", "node08:1 node09:1 node10:1");
	expands_to("n[098:101]", "n098 n099 n100 n101");
	expands_to("n[0:2]", "n0 n1 n2");
	expands_to("n[7:7]", "n7");
	expands_to("plain:2375", "plain:2375");
	expands_to("r[1:2]n[1:2]:5", "r1n1:5 r1n2:5 r2n1:5 r2n2:5");
	expands_to("[1:2].0.0.1:[5:6]", "1.0.0.1:5 1.0.0.1:6 2.0.0.1:5 2.0.0.1:6");
	expands_to("[2001:db8::1]:2375", "[2001:db8::1]:2375");
	expands_to("[::1]:[1:2]", "[::1]:1 [::1]:2");
	expands_to("n[999999998:999999999]", "n999999998 n999999999");
	expands_to("%s%n[1:2]", "%s%n1 %s%n2");
}

static void bad_ranges_add_nothing(void **state)
{
	static const char *const bad[] = {"", "[", "]", "a[", "a]", "a[]", "a[1]", "a[1:]", "a[:1]",
		"a[1:2", "a[2:1]", "a[-1:2]", "a[1:2]]", "a[[1:2]]", "a[1-2]", "a[x:y]", "a[ 1:2]",
		"a[1:1000000000]", "[1:1000000000]", "a[1:99999999999999999999]", "a[0:16384]",
		"[0:999999999]", "[1:1000][1:1000]",
		"[1:16384][1:16384][1:16384][1:16384][1:16384]",
		"[1:1][1:1][1:1][1:1][1:1][1:1][1:1][1:1][1:1]"};
	CLEANUP_STR_LIST struct str_list list = {0};
	char longest[2048];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(addr_expand(bad[i], &list, &err), -1);
		assert_int_not_equal(err.code, ERR_NONE);
		assert_int_equal(list.len, 0);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(addr_expand(longest, &list, NULL), -1);
}

static void the_list_is_bounded_too(void **state)
{
	CLEANUP_STR_LIST struct str_list list = {0};
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(addr_expand("a[1:16384]", &list, &err), 0);
	assert_int_equal(list.len, ADDR_EXPAND_MAX);
	assert_string_equal(list.items[16383], "a16384");
	assert_int_equal(addr_expand("b", &list, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
	assert_int_equal(list.len, ADDR_EXPAND_MAX);
}

static uint32_t highest(const struct env *env, uint32_t bound)
{
	(void)env;
	return bound - 1;
}

static uint32_t lowest(const struct env *env, uint32_t bound)
{
	(void)env;
	assert_true(bound > 0);
	return 0;
}

static void backoff_grows_to_the_cap(void **state)
{
	const struct env high = {.random_below = highest};
	const struct env low = {.random_below = lowest};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(env_backoff_ms(&high, i, 100, 100000), 100u << i);
		assert_int_equal(env_backoff_ms(&low, i, 100, 100000), (100u << i) / 2);
	}
	assert_int_equal(env_backoff_ms(&high, 10, 100, 5000), 5000);
	assert_int_equal(env_backoff_ms(&high, UINT32_MAX, 1, 5001), 5001);
	assert_int_equal(env_backoff_ms(&low, UINT32_MAX, 1, 5001), 2501);
	assert_int_equal(env_backoff_ms(&high, 3, 0, 5000), 0);
	assert_int_equal(env_backoff_ms(&high, 0, 900, 500), 500);
	assert_true(env_backoff_ms(&high, 200, 1, UINT64_MAX) > UINT64_MAX / 2);
}

static void the_system_rolls_every_face(void **state)
{
	const struct env *env = env_system();
	unsigned seen[6] = {0};
	uint64_t before = env->now_ms(env);

	(void)state;
	for (int i = 0; i < 1200; i++) {
		uint32_t face = env->random_below(env, 6);

		assert_in_range(face, 0, 5);
		seen[face]++;
	}
	/* 200 each, with a standard deviation of 13. */
	for (int i = 0; i < 6; i++)
		assert_in_range(seen[i], 70, 330);
	assert_int_equal(env->random_below(env, 1), 0);
	assert_true(env->random_below(env, UINT32_MAX) < UINT32_MAX);
	assert_true(env->now_ms(env) >= before);
	assert_true(env->wall_ns(env) / 1000000000 > 1700000000);
}

static void special_addresses_are_known(void **state)
{
	static const struct {
		const char *host;
		unsigned kind;
	} cases[] = {
		{"10.0.0.1", 0},
		{"127.0.0.1", 0},
		{"::1", 0},
		{"240.0.0.1", 0},
		{"fd00::1", 0},
		{"2001:db8::1", 0},
		{"example.org", 0},
		{"", 0},
		{"0.0.0.0", ADDR_SPECIAL_UNSPECIFIED},
		{"0", ADDR_SPECIAL_UNSPECIFIED},
		{"0.1.2.3", ADDR_SPECIAL_UNSPECIFIED},
		{"::", ADDR_SPECIAL_UNSPECIFIED},
		{"0:0:0:0:0:0:0:0", ADDR_SPECIAL_UNSPECIFIED},
		{"::ffff:0.0.0.0", ADDR_SPECIAL_UNSPECIFIED},
		{"169.254.0.1", ADDR_SPECIAL_LINK_LOCAL},
		{"169.254.169.254", ADDR_SPECIAL_LINK_LOCAL},
		{"169.254.43518", ADDR_SPECIAL_LINK_LOCAL},
		{"2852039166", ADDR_SPECIAL_LINK_LOCAL},
		{"0xa9fea9fe", ADDR_SPECIAL_LINK_LOCAL},
		{"0251.0376.0251.0376", ADDR_SPECIAL_LINK_LOCAL},
		{"::ffff:169.254.169.254", ADDR_SPECIAL_LINK_LOCAL},
		{"::ffff:a9fe:a9fe", ADDR_SPECIAL_LINK_LOCAL},
		{"::169.254.169.254", ADDR_SPECIAL_LINK_LOCAL},
		{"64:ff9b::a9fe:a9fe", ADDR_SPECIAL_LINK_LOCAL},
		{"2002:a9fe:a9fe::1", ADDR_SPECIAL_LINK_LOCAL},
		{"fe80::1", ADDR_SPECIAL_LINK_LOCAL},
		{"febf::1", ADDR_SPECIAL_LINK_LOCAL},
		{"FE80::1%eth0", ADDR_SPECIAL_LINK_LOCAL},
		{"fe80::1%an-interface-with-a-name-of-more-than-40-bytes", ADDR_SPECIAL_LINK_LOCAL},
		{"224.0.0.1", ADDR_SPECIAL_MULTICAST},
		{"239.255.255.255", ADDR_SPECIAL_MULTICAST},
		{"ff02::1", ADDR_SPECIAL_MULTICAST},
		{"::ffff:224.0.0.1", ADDR_SPECIAL_MULTICAST},
		{"255.255.255.255", ADDR_SPECIAL_BROADCAST},
		{"::ffff:255.255.255.255", ADDR_SPECIAL_BROADCAST},
		{"100.100.100.200", ADDR_SPECIAL_METADATA},
		{"fd00:ec2::254", ADDR_SPECIAL_METADATA},
	};
	unsigned kinds = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (addr_special_host(cases[i].host) != cases[i].kind)
			fail_msg("%s: %u", cases[i].host, addr_special_host(cases[i].host));
	assert_int_equal(addr_special_parse("all", &kinds, NULL), 0);
	assert_int_equal(kinds, ADDR_SPECIAL_ALL);
	assert_int_equal(addr_special_parse("multicast,broadcast", &kinds, NULL), 0);
	assert_int_equal(kinds, ADDR_SPECIAL_MULTICAST | ADDR_SPECIAL_BROADCAST);
	assert_int_equal(addr_special_parse("", &kinds, NULL), 0);
	assert_int_equal(kinds, 0);
	assert_int_equal(addr_special_parse("multicast,loopback", &kinds, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(special_addresses_are_known),
		cmocka_unit_test(addresses_come_back),
		cmocka_unit_test(unix_sockets),
		cmocka_unit_test(hostile_addresses_are_refused),
		cmocka_unit_test(local_addresses),
		cmocka_unit_test(engine_addresses),
		cmocka_unit_test(ranges),
		cmocka_unit_test(bad_ranges_add_nothing),
		cmocka_unit_test(the_list_is_bounded_too),
		cmocka_unit_test(backoff_grows_to_the_cap),
		cmocka_unit_test(the_system_rolls_every_face),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
