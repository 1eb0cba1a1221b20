/* Create requests: what placement reads out of a body, what goes to the engine, what is refused. */
#include "filters/expr.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/str.h"
#include "scheduler/create_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CPU INT64_C(1000000000)
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct node_view no_node = {
	.id = "E|a", .engine_id = "E", .name = "node1", .addr = "a"};

static struct create_request *parse(
	const char *body, const struct create_options *options, struct err *err)
{
	CLEANUP_JSON json_t *json = json_parse(body, strlen(body), err);

	if (json == NULL)
		fail_msg("the test's own body: %s", err->msg);
	return create_request_new(json, options, err);
}

static struct create_request *good(const char *body)
{
	struct err err = ERR_INIT;
	struct create_request *request = parse(body, NULL, &err);

	if (request == NULL)
		fail_msg("%s: %s", body, err.msg);
	return request;
}

static void bad(const char *body, enum err_code code, const char *words)
{
	struct err err = ERR_INIT;
	struct create_request *request = parse(body, NULL, &err);

	if (request != NULL)
		fail_msg("taken: %s", body);
	assert_int_equal(err.code, code);
	if (strstr(err.msg, words) == NULL)
		fail_msg("%s: no '%s' in: %s", body, words, err.msg);
}

/* The body for an engine must be this JSON, but for the swarm ID. */
static void expect_body(const struct create_request *request, const struct node_view *node,
	int64_t ncpu, const char *expected)
{
	CLEANUP_JSON json_t *body = create_request_body(request, node, ncpu);
	CLEANUP_JSON json_t *wanted = json_parse(expected, strlen(expected), NULL);
	json_t *labels = json_obj(body, "Labels");

	assert_non_null(wanted);
	assert_string_equal(json_str(labels, SWARM_LABEL_ID, ""), create_request_swarm_id(request));
	json_object_del(labels, SWARM_LABEL_ID);
	if (json_equal(body, wanted) != 1) {
		CLEANUP_FREE char *text = json_text(body, NULL);

		fail_msg("\n got  %s\n want %s", text, expected);
	}
}

static void test_unknown_fields_are_kept(void **state)
{
	static const char body[] =
		"{\"Image\":\"nginx\",\"Labels\":{\"a\":\"b\"},\"Future\":{\"X\":[1,2.5,null,true]}"
		","
		"\"HostConfig\":{\"Sysctls\":{\"a.b\":\"1\"},\"Memory\":null,\"Unknown\":-1},"
		"\"Env\":[\"A=b\",\"=x\",\"C\",\"constraints:not\",\"a constraint:x==y\"]}";
	struct create_request *request = good(body);

	(void)state;
	expect_body(request, &no_node, 4, body);
	assert_string_equal(create_request_image(request), "nginx");
	assert_string_equal(create_request_name(request), "");
	create_request_free(request);
	create_request_free(NULL);
}

static void test_minimal(void **state)
{
	struct create_request *request = good("{}");
	const struct container_view *want = &create_request_placement(request)->want;

	(void)state;
	expect_body(request, &no_node, 4, "{\"Labels\":{}}");
	assert_string_equal(want->id, "");
	assert_string_equal(want->image, "");
	assert_string_equal(want->image_id, "");
	assert_string_equal(want->swarm_id, create_request_swarm_id(request));
	assert_true(str_is_hex(want->swarm_id, 64));
	assert_int_equal(want->labels.len, 1);
	assert_int_equal(want->nano_cpus, 0);
	assert_int_equal(want->memory, 0);
	create_request_free(request);
	request = good("{\"Labels\":null,\"Env\":null,\"HostConfig\":null,\"ExposedPorts\":null,"
		       "\"NetworkingConfig\":null}");
	create_request_free(request);
}

static void test_terms(void **state)
{
	struct create_request *request = good(
		"{\"Env\":[\"A=b\",\"constraint:disk==ssd\",\"affinity:container==~web\","
		"\"constraint:node!=~n1\",\"whitelist:node==n1|n2\",\"reschedule:on-node-failure\","
		"\"B=constraint:x\"],"
		"\"Labels\":{\"com.docker.swarm.constraints\":\"[\\\"rack==r1\\\"]\","
		"\"com.docker.swarm.affinities\":\"\"}}");
	const struct placement *p = create_request_placement(request);

	(void)state;
	assert_int_equal(p->constraints_len, 3);
	assert_string_equal(p->constraints[0], "rack==r1");
	assert_string_equal(p->constraints[1], "disk==ssd");
	assert_string_equal(p->constraints[2], "node!=~n1");
	assert_int_equal(p->affinities_len, 1);
	assert_string_equal(p->affinities[0], "container==~web");
	assert_int_equal(p->whitelists_len, 1);
	assert_string_equal(p->whitelists[0], "node==n1|n2");
	expect_body(request, &no_node, 4,
		"{\"Env\":[\"A=b\",\"B=constraint:x\"],\"Labels\":{"
		"\"com.docker.swarm.constraints\":"
		"\"[\\\"rack==r1\\\",\\\"disk==ssd\\\",\\\"node!=~n1\\\"]\","
		"\"com.docker.swarm.affinities\":\"[\\\"container==~web\\\"]\","
		"\"com.docker.swarm.whitelists\":\"[\\\"node==n1|n2\\\"]\","
		"\"com.docker.swarm.reschedule-policies\":\"[\\\"on-node-failure\\\"]\"}}");
	/* Sorted, for lookups. */
	for (size_t i = 1; i < p->want.labels.len; i++)
		assert_true(
			strcmp(p->want.labels.items[i - 1].key, p->want.labels.items[i].key) < 0);
	assert_int_equal(p->want.labels.len, 5);
	create_request_free(request);
}

/* `["container\!=c1"]` is what a shell leaves of an exclamation mark that was escaped for it. */
static void test_shell_escapes(void **state)
{
	struct create_request *request =
		good("{\"Labels\":{\"com.docker.swarm.affinities\":\"[\\\"container\\\\!=c1\\\"]\","
		     "\"com.docker.swarm.constraints\":\"[\\\"disk==/a\\\\\\\\.b/\\\"]\"}}");
	const struct placement *p = create_request_placement(request);

	(void)state;
	assert_string_equal(p->affinities[0], "container!=c1");
	assert_string_equal(p->constraints[0], "disk==/a\\.b/");
	expect_body(request, &no_node, 4,
		"{\"Labels\":{\"com.docker.swarm.affinities\":\"[\\\"container!=c1\\\"]\","
		"\"com.docker.swarm.constraints\":\"[\\\"disk==/a\\\\\\\\.b/\\\"]\"}}");
	create_request_free(request);
	bad("{\"Labels\":{\"com.docker.swarm.affinities\":\"[\\\"container\\\\?=c1\\\"]\"}}",
		ERR_INVALID, "JSON array");
}

static void test_terms_refused(void **state)
{
	struct buf many;

	(void)state;
	bad("{\"Env\":[\"constraint:node==/\"]}", ERR_INVALID, "invalid constraint 'node==/'");
	bad("{\"Env\":[\"affinity:image==/x(/\"]}", ERR_INVALID, "invalid affinity 'image==/x(/'");
	bad("{\"Env\":[\"whitelist:node==\"]}", ERR_INVALID, "invalid whitelist 'node=='");
	bad("{\"Env\":[\"constraint:\"]}", ERR_INVALID, "==");
	bad("{\"Env\":[\"constraint:disk=ssd\"]}", ERR_INVALID, "'disk=ssd'");
	bad("{\"Env\":[\"constraint:d==ssd\"]}", ERR_INVALID, "two characters");
	bad("{\"Labels\":{\"com.docker.swarm.constraints\":\"disk==ssd\"}}", ERR_INVALID,
		"com.docker.swarm.constraints must hold a JSON array");
	bad("{\"Labels\":{\"com.docker.swarm.affinities\":\"[1]\"}}", ERR_INVALID,
		"array of strings");
	bad("{\"Labels\":{\"com.docker.swarm.whitelists\":\"{}\"}}", ERR_INVALID,
		"array of strings");
	bad("{\"Labels\":{\"com.docker.swarm.constraints\":\"[\\\"n==1\\\"]\"}}", ERR_INVALID,
		"'n==1'");
	bad("{\"Env\":[\"reschedule:always\"]}", ERR_INVALID, "invalid reschedule policy: always");
	bad("{\"Env\":[\"reschedule:off\",\"reschedule:off\"]}", ERR_INVALID,
		"too many reschedule policies");
	bad("{\"Env\":[\"reschedule:off\"],\"Labels\":{"
	    "\"com.docker.swarm.reschedule-policies\":\"[\\\"off\\\"]\"}}",
		ERR_INVALID, "too many reschedule policies");
	buf_init(&many, 1 << 20);
	buf_append_str(&many, "{\"Env\":[\"A=b\"");
	for (int i = 0; i <= EXPR_TERMS_MAX; i++)
		buf_append_str(&many, ",\"constraint:node!=x\"");
	buf_append_str(&many, "]}");
	bad(buf_str(&many), ERR_INVALID, "too many");
	buf_reset(&many);
}

static void test_swarm_id(void **state)
{
	static const char body[] = "{\"Labels\":{\"com.docker.swarm.id\":\"" HEX64 "\"}}";
	struct create_options options = {.swarm_id = HEX64};
	struct create_request *one = good("{}");
	struct create_request *other = good("{}");
	struct err err = ERR_INIT;

	(void)state;
	assert_string_not_equal(create_request_swarm_id(one), create_request_swarm_id(other));
	create_request_free(one);
	create_request_free(other);
	bad(body, ERR_CONFLICT, "com.docker.swarm.id");
	one = good("{\"Labels\":{\"com.docker.swarm.id\":\"\"}}");
	assert_true(str_is_hex(create_request_swarm_id(one), 64));
	expect_body(one, &no_node, 1, "{\"Labels\":{}}");
	create_request_free(one);
	/* Made again by the cluster itself. */
	one = parse(body, &options, &err);
	assert_non_null(one);
	assert_string_equal(create_request_swarm_id(one), HEX64);
	expect_body(one, &no_node, 1, "{\"Labels\":{}}");
	create_request_free(one);
	options.swarm_id = "beef";
	assert_null(parse(body, &options, &err));
	assert_int_equal(err.code, ERR_INVALID);
}

static void test_names(void **state)
{
	static const char *const names[] = {"web", "/web", "a.b-c_d", "00"};
	static const char *const refused[] = {"a", "/", "//web", "we/b", "-web", "_web", ".web",
		"we b", "w\xc3\xb6", "web\n", "web\"", "web%2f"};
	char longest[CREATE_NAME_MAX + 2];
	struct create_options options = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct err err = ERR_INIT;
		struct create_request *request;

		options.name = names[i];
		request = parse("{}", &options, &err);
		assert_non_null(request);
		assert_string_equal(
			create_request_name(request), names[i] + (names[i][0] == '/' ? 1 : 0));
		assert_string_equal(
			create_request_placement(request)->want.name, create_request_name(request));
		create_request_free(request);
	}
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i <= ARRAY_LEN(refused); i++) {
		struct err err = ERR_INIT;

		options.name = i < ARRAY_LEN(refused) ? refused[i] : longest;
		if (parse("{}", &options, &err) != NULL)
			fail_msg("taken: %s", options.name);
		assert_int_equal(err.code, ERR_INVALID);
		assert_true(str_has_prefix(err.msg, "Invalid container name ("));
	}
}

static void test_ports(void **state)
{
	struct create_request *request = good(
		"{\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{},\"7000-7002/tcp\":{},\"90\":{}},"
		"\"HostConfig\":{\"PortBindings\":{"
		"\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"},"
		"{\"HostIp\":\"0:0:0:0:0:0:0:1\",\"HostPort\":\"8081\"}],"
		"\"53/UDP\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"53\"},"
		"{\"HostIp\":\"::\",\"HostPort\":\"54\"},{\"HostIp\":\"10.0.0.1\",\"HostPort\":"
		"\"55\"}],"
		"\"81\":[{\"HostPort\":\"8100-8110\"},{\"HostPort\":\"\"},{\"HostPort\":\"0\"},{},"
		"{\"HostPort\":null,\"HostIp\":null},{\"HostPort\":\"9000-9000\"}],"
		"\"82/sctp\":null,\"83/tcp\":[]}}}");
	static const struct view_port expected[] = {{"", 8080, "tcp"}, {"::1", 8081, "tcp"},
		{"", 53, "udp"}, {"", 54, "udp"}, {"10.0.0.1", 55, "udp"}, {"", 9000, "tcp"}};
	const struct container_view *want = &create_request_placement(request)->want;

	(void)state;
	assert_int_equal(want->ports_len, ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		bool found = false;

		for (size_t j = 0; j < want->ports_len; j++) {
			found |= want->ports[j].port == expected[i].port &&
				 strcmp(want->ports[j].ip, expected[i].ip) == 0 &&
				 strcmp(want->ports[j].protocol, expected[i].protocol) == 0;
		}
		if (!found)
			fail_msg("port %u", (unsigned)expected[i].port);
	}
	assert_int_equal(want->exposed_len, 6);
	assert_false(want->host_network);
	create_request_free(request);
}

static void test_ports_refused(void **state)
{
	static const char *const ports[] = {"65536", "99999", "100000", "-1", "+80", " 80", "80 ",
		"x", "80/tcp", "90-80", "80-", "-80", "80-65536", "1-2-3", "0x50"};
	static const char *const keys[] = {"", "/tcp", "0/tcp", "65536/tcp", "80/", "80/icmp",
		"x/tcp", "80/tcp/udp", "0-5/tcp"};
	char body[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		snprintf(body, sizeof(body),
			"{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"%s\"}]}}}",
			ports[i]);
		bad(body, ERR_INVALID, "HostConfig.PortBindings");
	}
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		snprintf(body, sizeof(body), "{\"HostConfig\":{\"PortBindings\":{\"%s\":[]}}}",
			keys[i]);
		bad(body, ERR_INVALID, "HostConfig.PortBindings");
		snprintf(body, sizeof(body), "{\"ExposedPorts\":{\"%s\":{}}}", keys[i]);
		bad(body, ERR_INVALID, "ExposedPorts");
	}
	bad("{\"ExposedPorts\":{\"1-65535/tcp\":{}}}", ERR_INVALID, "more than 4096 ports");
}

static void test_host_network(void **state)
{
	struct create_request *request =
		good("{\"ExposedPorts\":{\"80/tcp\":{}},\"HostConfig\":{\"NetworkMode\":\"host\","
		     "\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"8080\"}]}}}");
	const struct container_view *want = &create_request_placement(request)->want;

	(void)state;
	assert_true(want->host_network);
	assert_int_equal(want->ports_len, 0);
	assert_int_equal(want->exposed_len, 1);
	create_request_free(request);
}

static void expect_resources(const char *host, int64_t nano_cpus, int64_t memory)
{
	CLEANUP_FREE char *body = xasprintf("{\"HostConfig\":%s}", host);
	struct create_request *request = good(body);
	const struct container_view *want = &create_request_placement(request)->want;

	if (want->nano_cpus != nano_cpus || want->memory != memory)
		fail_msg("%s: %lld CPU, %lld memory", host, (long long)want->nano_cpus,
			(long long)want->memory);
	create_request_free(request);
}

static void test_resources(void **state)
{
	(void)state;
	expect_resources("{}", 0, 0);
	expect_resources("{\"CpuShares\":2}", 2 * CPU, 0);
	expect_resources("{\"NanoCpus\":1500000000}", 3 * CPU / 2, 0);
	expect_resources("{\"NanoCpus\":1500000000,\"CpuShares\":4}", 3 * CPU / 2, 0);
	expect_resources("{\"CpuShares\":9223372036854775807}", INT64_MAX, 0);
	expect_resources("{\"Memory\":1024}", 0, 1024);
	expect_resources("{\"MemoryReservation\":512}", 0, 512);
	expect_resources("{\"Memory\":1024,\"MemoryReservation\":512}", 0, 1024);
	expect_resources("{\"Memory\":-1,\"MemoryReservation\":-1,\"NanoCpus\":-1}", 0, 0);
	expect_resources("{\"memory\":7,\"nanocpus\":8}", 8, 7);
}

static void expect_shares(const char *shares, int64_t ncpu, int64_t expected)
{
	CLEANUP_FREE char *body = xasprintf("{\"HostConfig\":{\"CpuShares\":%s}}", shares);
	struct create_request *request = good(body);
	CLEANUP_JSON json_t *out = create_request_body(request, &no_node, ncpu);

	assert_int_equal(json_int(json_obj(out, "HostConfig"), "CpuShares", -1), expected);
	create_request_free(request);
}

/* How many CPUs it counts as, and whether the engine gets the number as it was. */
static void expect_counted(
	enum create_shares shares, int64_t cpus_max, int asked, int64_t cpus, bool is_weight)
{
	const struct create_options options = {.shares = shares, .cpus_max = cpus_max};
	struct err err = ERR_INIT;
	CLEANUP_FREE char *text = xasprintf("{\"Labels\":{\"" SWARM_LABEL_SHARES
					    "\":\"weight\"},\"HostConfig\":{\"CpuShares\":%d}}",
		asked);
	struct create_request *request = parse(text, &options, &err);
	CLEANUP_JSON json_t *body = NULL;

	assert_non_null(request);
	assert_int_equal(create_request_placement(request)->want.nano_cpus, cpus * CPU);
	body = create_request_body(request, &no_node, 4);
	assert_int_equal(json_int(json_obj(body, "HostConfig"), "CpuShares", -1),
		is_weight ? asked : asked * 256);
	assert_string_equal(json_str(json_obj(body, "Labels"), SWARM_LABEL_SHARES, "none"),
		is_weight ? "weight" : "");
	create_request_free(request);
}

static void test_weights(void **state)
{
	(void)state;
	expect_counted(CREATE_SHARES_AUTO, 4, 1, 1, false);
	expect_counted(CREATE_SHARES_AUTO, 4, 4, 4, false);
	expect_counted(CREATE_SHARES_AUTO, 4, 5, 0, true);
	expect_counted(CREATE_SHARES_AUTO, 4, 512, 0, true);
	expect_counted(CREATE_SHARES_AUTO, 0, 512, 512, false);
	expect_counted(CREATE_SHARES_COUNT, 4, 512, 512, false);
	expect_counted(CREATE_SHARES_WEIGHT, 4, 1, 0, true);
}

static void expect_moved(const char *body, const char *expected)
{
	struct create_request *request = good(body);

	expect_body(request, &no_node, 4, expected);
	create_request_free(request);
}

/* What stands beside HostConfig is obeyed by some engines: it is put where all look, and placement,
 * or is refused. */
static void test_fields_beside_the_host(void **state)
{
	struct create_request *request;

	(void)state;
	expect_moved("{\"Privileged\":true,\"binds\":[\"n1/vol:/h\"],\"Labels\":{}}",
		"{\"HostConfig\":{\"Privileged\":true,\"Binds\":[\"vol:/h\"]},\"Labels\":{"
		"\"com.docker.swarm.constraints\":\"[\\\"node==n1\\\"]\"}}");
	expect_moved("{\"Memory\":5,\"MemorySwap\":6,\"Cpuset\":\"0\",\"HostConfig\":null,"
		     "\"Labels\":{}}",
		"{\"HostConfig\":{\"Memory\":5,\"MemorySwap\":6,\"CpusetCpus\":\"0\"},\"Labels\":{}"
		"}");
	expect_moved(
		"{\"memory\":5,\"VolumeDriver\":\"\",\"hostconfig\":{\"memory\":0},\"Labels\":{}}",
		"{\"hostconfig\":{\"memory\":5},\"Labels\":{}}");
	expect_moved("{\"Memory\":5,\"HostConfig\":{\"Memory\":5},\"Labels\":{}}",
		"{\"HostConfig\":{\"Memory\":5},\"Labels\":{}}");
	/* No engine looks at these beside a HostConfig. */
	expect_moved("{\"Privileged\":true,\"HostConfig\":{},\"Labels\":{}}",
		"{\"HostConfig\":{},\"Labels\":{}}");
	bad("{\"Memory\":5,\"HostConfig\":{\"Memory\":6}}", ERR_INVALID, "in HostConfig alone");
	bad("{\"Cpuset\":\"1\",\"HostConfig\":{\"CpusetCpus\":\"0\"}}", ERR_INVALID, "Cpuset");
	bad("{\"Memory\":\"x\"}", ERR_INVALID, "HostConfig.Memory");
	request = good("{\"Memory\":5,\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"80\"}]}}");
	assert_int_equal(create_request_placement(request)->want.memory, 5);
	assert_int_equal(create_request_placement(request)->want.ports_len, 1);
	create_request_free(request);
}

/* What the inventory would not take of the container. */
static void test_long_labels(void **state)
{
	struct buf body;

	(void)state;
	for (int over = 0; over < 2; over++) {
		buf_init(&body, SIZE_MAX);
		buf_append_str(&body, "{\"Labels\":{\"k\":\"");
		for (int i = 1; i < CREATE_LABELS_BYTES_MAX + over; i++)
			buf_append_char(&body, 'x');
		buf_append_str(&body, "\"}}");
		if (over)
			bad(body.data, ERR_INVALID, "bytes in all");
		else
			create_request_free(good(body.data));
		buf_reset(&body);
	}
}

static void test_shares(void **state)
{
	(void)state;
	expect_shares("1", 1, 1024);
	expect_shares("1", 4, 256);
	expect_shares("1", 3, 342);
	expect_shares("2", 3, 683);
	expect_shares("0", 4, 0);
	expect_shares("1", 0, 1024);
	expect_shares("9223372036854775807", 1, 262144);
	/* The number of CPUs can be read back from the weight. */
	for (int ncpu = 1; ncpu <= 256; ncpu++) {
		for (int cpus = 1; cpus <= ncpu; cpus++) {
			CLEANUP_FREE char *body =
				xasprintf("{\"HostConfig\":{\"CpuShares\":%d}}", cpus);
			struct create_request *request;
			CLEANUP_JSON json_t *out = NULL;

			if (cpus > 3 && cpus < ncpu - 1)
				continue;
			request = good(body);
			out = create_request_body(request, &no_node, ncpu);
			assert_int_equal(
				json_int(json_obj(out, "HostConfig"), "CpuShares", 0) * ncpu / 1024,
				cpus);
			create_request_free(request);
		}
	}
}

static void test_dependencies(void **state)
{
	static const char body[] =
		"{\"Labels\":{},\"HostConfig\":{\"VolumesFrom\":[\"node1/db:ro\",\"db\",\"" HEX64
		"\"],"
		"\"Links\":[\"/E/db:data\",\"/db:/x/y\",\"db\"],\"NetworkMode\":\"container:node1/"
		"db\"}}";
	const struct container_view db = {
		.id = "ffff3456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
		.swarm_id = HEX64,
		.name = "db",
		.image = "",
		.image_id = "",
	};
	const struct container_view *containers[] = {&db};
	struct node_view node = no_node;
	struct create_request *request = good(body);
	const struct placement *p = create_request_placement(request);

	(void)state;
	assert_int_equal(p->volumes_from_len, 3);
	assert_string_equal(p->volumes_from[0], "node1/db");
	assert_string_equal(p->volumes_from[1], "db");
	assert_int_equal(p->links_len, 3);
	assert_string_equal(p->links[0], "/E/db:data");
	assert_string_equal(p->network_container, "node1/db");
	/* What is not there stays as it was written. */
	expect_body(request, &node, 4, body);
	node.containers = containers;
	node.containers_len = 1;
	expect_body(request, &node, 4,
		"{\"Labels\":{},\"HostConfig\":{\"VolumesFrom\":[\"db:ro\",\"db\",\"db\"],"
		"\"Links\":[\"db:data\",\"/db:/x/y\",\"db\"],\"NetworkMode\":\"container:db\"}}");
	/* Making one body does not change the next. */
	node.containers_len = 0;
	expect_body(request, &node, 4, body);
	create_request_free(request);
}

static void test_links_of_an_end_point(void **state)
{
	static const char body[] =
		"{\"Labels\":{},\"NetworkingConfig\":{\"EndpointsConfig\":{\"back\":{\"Links\":"
		"[\"" HEX64 ":a\",\"node9/web:b\",\"/web:c/d\",\"web:e\",7]},\"x\":null}}}";
	const struct container_view db = {
		.id = "ffff3456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
		.swarm_id = HEX64,
		.name = "db",
		.image = "",
		.image_id = "",
	};
	const struct container_view *containers[] = {&db};
	struct node_view node = no_node;
	struct create_request *request = good(body);

	(void)state;
	node.containers = containers;
	node.containers_len = 1;
	expect_body(request, &node, 4,
		"{\"Labels\":{},\"NetworkingConfig\":{\"EndpointsConfig\":{\"back\":{\"Links\":"
		"[\"db:a\",\"web:b\",\"web:c/d\",\"web:e\",7]},\"x\":null}}}");
	create_request_free(request);
}

static void test_network_of_a_node(void **state)
{
	struct create_request *request =
		good("{\"HostConfig\":{\"networkmode\":\"node7/front\"},\"NetworkingConfig\":"
		     "{\"EndpointsConfig\":{\"node7/front\":{\"Aliases\":[\"a\"]},\"back\":{}}}}");
	const struct placement *p = create_request_placement(request);

	(void)state;
	assert_int_equal(p->constraints_len, 1);
	assert_string_equal(p->constraints[0], "node==~node7");
	expect_body(request, &no_node, 4,
		"{\"Labels\":{\"com.docker.swarm.constraints\":\"[\\\"node==~node7\\\"]\"},"
		"\"HostConfig\":{\"networkmode\":\"front\"},\"NetworkingConfig\":"
		"{\"EndpointsConfig\":{\"front\":{\"Aliases\":[\"a\"]},\"back\":{}}}}");
	create_request_free(request);
}

static void test_networks(void **state)
{
	struct create_request *request =
		good("{\"HostConfig\":{\"NetworkMode\":\"front\"},\"NetworkingConfig\":"
		     "{\"EndpointsConfig\":{\"front\":{},\"node7/"
		     "back\":{},\"bridge\":{},\"none\":{}}}}");
	const struct placement *p = create_request_placement(request);

	(void)state;
	assert_int_equal(p->networks_len, 2);
	assert_string_equal(p->networks[0], "front");
	assert_string_equal(p->networks[1], "back");
	assert_int_equal(p->needs_len, 0);
	create_request_free(request);
	request = good("{\"HostConfig\":{\"NetworkMode\":\"default\"}}");
	assert_int_equal(create_request_placement(request)->networks_len, 0);
	create_request_free(request);
	request = good("{\"HostConfig\":{\"NetworkMode\":\"container:x\"}}");
	assert_int_equal(create_request_placement(request)->networks_len, 0);
	create_request_free(request);
}

static void test_volumes(void **state)
{
	struct create_request *request = good(
		"{\"Labels\":{},\"HostConfig\":{\"binds\":[\"data:/d\",\"/a/b:/c\",\"/only\","
		"\"C:\\\\x:C:\\\\y\",\"data:/e:ro\"],\"Mounts\":[{\"Type\":\"volume\",\"Source\":"
		"\"more\",\"Target\":\"/m\"},{\"Type\":\"volume\",\"Source\":\"\"},{\"Type\":"
		"\"bind\",\"Source\":\"/x\"},{\"Type\":\"tmpfs\"}]}}");
	const struct placement *p = create_request_placement(request);

	(void)state;
	assert_int_equal(p->volumes_len, 2);
	assert_string_equal(p->volumes[0], "data");
	assert_string_equal(p->volumes[1], "more");
	assert_int_equal(p->constraints_len, 0);
	assert_true(create_request_names_volumes(request));
	create_request_free(request);
	request = good("{\"HostConfig\":{\"Binds\":[\"/a:/b\"]}}");
	assert_false(create_request_names_volumes(request));
	create_request_free(request);
	bad("{\"HostConfig\":{\"Binds\":[7]}}", ERR_INVALID, "HostConfig.Binds");
	bad("{\"HostConfig\":{\"Binds\":\"a:b\"}}", ERR_INVALID, "HostConfig.Binds");
	bad("{\"HostConfig\":{\"Mounts\":[7]}}", ERR_INVALID, "HostConfig.Mounts");
	bad("{\"HostConfig\":{\"Mounts\":[{\"Type\":7}]}}", ERR_INVALID, "HostConfig.Mounts.Type");
	bad("{\"HostConfig\":{\"Mounts\":[{\"Source\":[]}]}}", ERR_INVALID,
		"HostConfig.Mounts.Source");
	bad("{\"HostConfig\":{\"Mounts\":[{\"Source\":\"a\",\"source\":\"b\"}]}}", ERR_INVALID,
		"more than once");
}

/* The node is decided, and what other nodes have of that name is another volume. */
static void test_volumes_of_a_node(void **state)
{
	struct create_request *request =
		good("{\"HostConfig\":{\"Binds\":[\"node7/data:/d:ro\"],\"Mounts\":[{\"Type\":"
		     "\"volume\",\"source\":\"node7/more\",\"Target\":\"/m\"}]}}");
	const struct placement *p = create_request_placement(request);

	(void)state;
	assert_int_equal(p->constraints_len, 1);
	assert_string_equal(p->constraints[0], "node==node7");
	assert_int_equal(p->volumes_len, 0);
	assert_true(create_request_names_volumes(request));
	expect_body(request, &no_node, 4,
		"{\"Labels\":{\"com.docker.swarm.constraints\":\"[\\\"node==node7\\\"]\"},"
		"\"HostConfig\":{\"Binds\":[\"data:/d:ro\"],\"Mounts\":[{\"Type\":\"volume\","
		"\"source\":\"more\",\"Target\":\"/m\"}]}}");
	create_request_free(request);
}

/* A request cannot name so many that looking them up is felt. */
static void test_too_many_places(void **state)
{
	struct buf body;

	(void)state;
	buf_init(&body, 1 << 20);
	buf_append_str(&body, "{\"HostConfig\":{\"Binds\":[\"/a:/b\"");
	for (int i = 0; i < CREATE_PLACES_MAX; i++)
		buf_printf(&body, ",\"v%d:/%d\"", i + 10, i);
	buf_append_str(&body, "]}}");
	create_request_free(good(buf_str(&body)));
	body.len -= 3;
	buf_append_str(&body, ",\"one:/more\"]}}");
	bad(buf_str(&body), ERR_INVALID, "HostConfig.Binds names more than 256");
	buf_reset(&body);
}

/* What is counted is not looked at one by one first. */
static void test_counts_first(void **state)
{
	enum { COUNT = 100000 };
	/* What stands in front of all, before and behind the number of each, and behind all. */
	static const struct {
		const char *begin, *before, *after, *end;
	} table[] = {
		{"{\"Env\":[", "\"constraint:n", "==1\"", "]}"},
		{"{\"Env\":[", "\"n", "=1\"", "]}"},
		{"{\"Labels\":{", "\"n", "\":\"\"", "}}"},
		{"{\"ExposedPorts\":{", "\"", "/tcp\":{}", "}}"},
		{"{\"HostConfig\":{\"Binds\":[", "\"n", "/v:/x\"", "]}}"},
		{"{\"HostConfig\":{\"Binds\":[", "\"vv:/", "\"", "]}}"},
		{"{\"hostconfig\":{\"binds\":[", "\"/a:/", "\"", "]}}"},
		{"{\"HostConfig\":{\"Mounts\":[", "{\"Target\":\"/", "\"}", "]}}"},
		{"{\"HostConfig\":{\"Links\":[", "\"n", "\"", "]}}"},
		{"{\"HostConfig\":{\"VolumesFrom\":[", "\"n", "\"", "]}}"},
		{"{\"HostConfig\":{\"PortBindings\":{", "\"", "/tcp\":[]", "}}}"},
		{"{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[",
			"{\"HostPort\":\"\",\"x\":", "}", "]}}}"},
		{"{\"NetworkingConfig\":{\"EndpointsConfig\":{", "\"n", "/v\":{}", "}}}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct buf body;

		buf_init(&body, SIZE_MAX);
		buf_append_str(&body, table[i].begin);
		for (int k = 0; k < COUNT; k++)
			buf_printf(&body, "%s%s%d%s", k > 0 ? "," : "", table[i].before, k,
				table[i].after);
		buf_append_str(&body, table[i].end);
		bad(body.data, ERR_INVALID, "more than");
		buf_reset(&body);
	}
}

/* Each node that a name brings along is a term, and there are no more of them than of others. */
static void test_nodes_of_names_are_terms(void **state)
{
	struct buf body;

	(void)state;
	buf_init(&body, SIZE_MAX);
	buf_append_str(&body, "{\"HostConfig\":{\"Binds\":[");
	for (int i = 0; i <= EXPR_TERMS_MAX; i++)
		buf_printf(&body, "%s\"n%d/v:/x\"", i > 0 ? "," : "", i);
	buf_append_str(&body, "]}}");
	bad(body.data, ERR_INVALID, "each `node/name` is one");
	buf_reset(&body);
}

static void test_added_terms(void **state)
{
	struct create_request *request = good("{\"Env\":[\"affinity:image==x1\"]}");
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
		create_request_add_term(request, CREATE_AFFINITY, "image==~sha256:00", &err), 0);
	assert_int_equal(
		create_request_add_term(request, CREATE_CONSTRAINT, "ostype==linux", &err), 0);
	assert_int_equal(create_request_placement(request)->affinities_len, 2);
	assert_string_equal(create_request_placement(request)->constraints[0], "ostype==linux");
	assert_int_equal(create_request_add_term(request, CREATE_WHITELIST, "node==/", &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(create_request_placement(request)->whitelists_len, 0);
	/* Not stored with the container. */
	expect_body(request, &no_node, 4,
		"{\"Env\":[],\"Labels\":"
		"{\"com.docker.swarm.affinities\":\"[\\\"image==x1\\\"]\"}}");
	create_request_free(request);
}

static void test_wrong_types(void **state)
{
	static const char *const table[][2] = {
		{"{\"HostConfig\":[]}", "HostConfig must be an object"},
		{"{\"Env\":\"A=b\"}", "Env must be a list"},
		{"{\"Env\":[1]}", "Env must be a list of strings"},
		{"{\"Env\":[null]}", "Env must be a list of strings"},
		{"{\"Labels\":[]}", "Labels must be an object"},
		{"{\"Labels\":{\"a\":1}}", "'a' must be a string"},
		{"{\"Labels\":{\"a\":null}}", "'a' must be a string"},
		{"{\"Image\":7}", "Image must be a string"},
		{"{\"ExposedPorts\":[]}", "ExposedPorts must be an object"},
		{"{\"NetworkingConfig\":7}", "NetworkingConfig must be an object"},
		{"{\"NetworkingConfig\":{\"EndpointsConfig\":[]}}", "EndpointsConfig must be"},
		{"{\"HostConfig\":{\"Memory\":\"1g\"}}",
			"HostConfig.Memory must be a whole number"},
		{"{\"HostConfig\":{\"Memory\":1.5}}", "HostConfig.Memory must be a whole number"},
		{"{\"HostConfig\":{\"NanoCpus\":true}}", "HostConfig.NanoCpus must be"},
		{"{\"HostConfig\":{\"CpuShares\":{}}}", "HostConfig.CpuShares must be"},
		{"{\"HostConfig\":{\"CpuShares\":-1}}",
			"HostConfig.CpuShares must not be negative"},
		{"{\"HostConfig\":{\"MemoryReservation\":[]}}",
			"HostConfig.MemoryReservation must"},
		{"{\"HostConfig\":{\"NetworkMode\":1}}", "HostConfig.NetworkMode must be a string"},
		{"{\"HostConfig\":{\"Links\":{}}}", "HostConfig.Links must be a list"},
		{"{\"HostConfig\":{\"Links\":[1]}}", "HostConfig.Links must be a list of strings"},
		{"{\"HostConfig\":{\"VolumesFrom\":[{}]}}",
			"HostConfig.VolumesFrom must be a list"},
		{"{\"HostConfig\":{\"PortBindings\":[]}}", "HostConfig.PortBindings must be"},
		{"{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":{}}}}", "PortBindings must hold"},
		{"{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[80]}}}", "PortBindings must hold"},
		{"{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":80}]}}}",
			"HostPort must be a string"},
		{"{\"HostConfig\":{\"PortBindings\":{\"80/"
		 "tcp\":[{\"HostIp\":1,\"HostPort\":\"1\"}]}}}",
			"HostIp must be a string"},
		{"[]", "JSON object"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		bad(table[i][0], ERR_INVALID, table[i][1]);
	assert_null(create_request_new(NULL, NULL, NULL));
}

/* What the engine could read otherwise than placement does. */
static void test_ambiguous_fields(void **state)
{
	(void)state;
	bad("{\"HostConfig\":{},\"hostconfig\":{\"PortBindings\":{}}}", ERR_INVALID,
		"more than once");
	bad("{\"HostConfig\":{\"Memory\":1,\"MEMORY\":2}}", ERR_INVALID, "more than once");
	bad("{\"Ho\xc5\xbftConfig\":{}}", ERR_INVALID, "unknown field");
	bad("{\"HostConfig\":{\"Lin\xe2\x84\xaas\":[]}}", ERR_INVALID, "unknown field");
	bad("{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":"
	    "[{\"HostPort\":\"1\",\"hostport\":\"2\"}]}}}",
		ERR_INVALID, "more than once");
}

static struct create_request *labels_of(const char *body, struct err *err)
{
	CLEANUP_JSON json_t *json = json_parse(body, strlen(body), err);

	return create_request_new_labels(json, err);
}

/* What is no container brings terms in its labels, and is not changed. */
static void test_labels(void **state)
{
	static const char body[] =
		"{\"Name\":\"x\",\"labels\":{\"com.docker.swarm.constraints\":\"[\\\"disk==ssd\\\"]"
		"\","
		"\"com.docker.swarm.whitelists\":\"[\\\"node==a|b\\\"]\",\"k\":\"v\"}}";
	static const char *const wrong[] = {
		"[]",
		"{\"Labels\":5}",
		"{\"Labels\":{\"k\":5}}",
		"{\"Labels\":{\"com.docker.swarm.constraints\":\"x\"}}",
		"{\"Labels\":{\"com.docker.swarm.constraints\":\"[\\\"x\\\"]\"}}",
		"{\"Name\":\"a\",\"NAME\":\"b\"}",
	};
	struct err err = ERR_INIT;
	struct create_request *request = labels_of(body, &err);
	const struct placement *p;

	(void)state;
	assert_non_null(request);
	p = create_request_placement(request);
	assert_int_equal(p->constraints_len, 1);
	assert_string_equal(p->constraints[0], "disk==ssd");
	assert_int_equal(p->whitelists_len, 1);
	assert_int_equal(
		create_request_add_term(request, CREATE_CONSTRAINT, "node==~E|a:1", &err), 0);
	assert_int_equal(create_request_placement(request)->constraints_len, 2);
	create_request_free(request);
	request = labels_of("{\"Labels\":null}", &err);
	assert_non_null(request);
	create_request_free(request);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_null(labels_of(wrong[i], &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void test_build(void **state)
{
	static const char args[] = "{\"constraint:disk\":\"=ssd\",\"affinity:image!\":\"x1\","
				   "\"HTTP_PROXY\":\"http://p\",\"X\":null}";
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *json = json_parse(args, strlen(args), &err);
	struct create_request *request = create_request_new_build(json, &err);
	CLEANUP_JSON json_t *rest = NULL;
	CLEANUP_JSON json_t *bad_args = json_pack("{s:s}", "constraint:node", "=/");
	CLEANUP_JSON json_t *no_value = json_pack("{s:n}", "constraint:node");

	(void)state;
	assert_non_null(request);
	assert_string_equal(create_request_placement(request)->constraints[0], "disk==ssd");
	assert_string_equal(create_request_placement(request)->affinities[0], "image!=x1");
	rest = create_request_body(request, &no_node, 1);
	assert_int_equal(json_object_size(rest), 2);
	assert_string_equal(json_str(rest, "HTTP_PROXY", ""), "http://p");
	json_decref(TAKE_PTR(rest));
	create_request_free(request);
	assert_null(create_request_new_build(bad_args, &err));
	assert_non_null(strstr(err.msg, "'node==/'"));
	assert_null(create_request_new_build(no_value, &err));
	assert_int_equal(err.code, ERR_INVALID);
	request = create_request_new_build(NULL, &err);
	assert_non_null(request);
	rest = create_request_body(request, &no_node, 1);
	assert_int_equal(json_object_size(rest), 0);
	create_request_free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_fields_are_kept),
		cmocka_unit_test(test_minimal),
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_terms_refused),
		cmocka_unit_test(test_swarm_id),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_ports_refused),
		cmocka_unit_test(test_host_network),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_fields_beside_the_host),
		cmocka_unit_test(test_long_labels),
		cmocka_unit_test(test_shell_escapes),
		cmocka_unit_test(test_dependencies),
		cmocka_unit_test(test_links_of_an_end_point),
		cmocka_unit_test(test_network_of_a_node),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_volumes_of_a_node),
		cmocka_unit_test(test_too_many_places),
		cmocka_unit_test(test_counts_first),
		cmocka_unit_test(test_nodes_of_names_are_terms),
		cmocka_unit_test(test_added_terms),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_ambiguous_fields),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
