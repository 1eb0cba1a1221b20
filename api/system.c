/* What the manager answers about itself. */
#include "api/paced.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* What an engine adds to its replies. Some clients read the operating system out of Server. */
static void add_headers(struct api *api, struct http_headers *headers)
{
	char version[16];
	char *server CLEANUP_FREE = xasprintf("Docker/swarm/%s (linux)", api->config.version);

	snprintf(version, sizeof(version), "1.%d", api_max_minor(api));
	http_headers_add(headers, "Api-Version", version);
	http_headers_add(headers, "Docker-Experimental", "false");
	http_headers_add(headers, "Ostype", "linux");
	http_headers_add(headers, "Server", server);
}

/* And to a ping, which clients negotiate by. */
static void add_ping_headers(struct api *api, struct http_headers *headers)
{
	add_headers(api, headers);
	/* Clients that leave the choice to the engine build with BuildKit if it says 2. */
	http_headers_add(headers, "Builder-Version", api_prefers_buildkit(api) ? "2" : "1");
	http_headers_add(headers, "Swarm", "inactive");
	http_headers_add(headers, "Cache-Control", "no-cache, no-store, must-revalidate");
	http_headers_add(headers, "Pragma", "no-cache");
}

void system_reply(struct request *r, json_t *json_take)
{
	struct http_headers headers = {0};

	add_headers(r->api, &headers);
	paced_reply_json(r, &headers, json_take, "");
	http_headers_free(&headers);
}

void system_paced_reply(struct request *r, const struct paced_spec *spec)
{
	struct http_headers headers = {0};

	add_headers(r->api, &headers);
	http_headers_add(&headers, "Content-Type", "application/json");
	paced_reply(r, &headers, spec);
	http_headers_free(&headers);
}

void system_ping(struct request *r)
{
	struct http_headers headers = {0};
	bool is_head = str_eq(exchange_method(r->x), "HEAD");

	add_ping_headers(r->api, &headers);
	http_headers_add(&headers, "Content-Type", "text/plain; charset=utf-8");
	exchange_reply(r->x, 200, &headers, "OK", is_head ? 0 : 2);
	http_headers_free(&headers);
}

/* The machine's architecture as Go, and so an engine, calls it. */
static const char *go_arch(const char *machine)
{
	static const char *const names[][2] = {{"x86_64", "amd64"}, {"aarch64", "arm64"},
		{"armv7l", "arm"}, {"armv6l", "arm"}, {"i686", "386"}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(machine, names[i][0]))
			return names[i][1];
	}
	return machine; /* the rest is called the same: ppc64le, s390x, riscv64 */
}

void system_version(struct request *r)
{
	char *server CLEANUP_FREE = xasprintf("swarm/%s", r->api->config.version);
	char api_version[16], min_version[16];
	struct utsname host;
	json_t *version;

	uname(&host);
	snprintf(api_version, sizeof(api_version), "1.%d", api_max_minor(r->api));
	snprintf(min_version, sizeof(min_version), "1.%d", api_min_minor(r->api));
	/* What there is no answer to is empty: clients print these without looking. */
	version = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "ApiVersion", api_version,
		"MinAPIVersion", min_version, "Os", "linux", "Arch", go_arch(host.machine),
		"KernelVersion", host.release, "GitCommit", "", "GoVersion", "", "BuildTime", "");
	json_object_set_new(version, "Components",
		json_pack("[{s:s,s:s,s:o}]", "Name", "Engine", "Version", server, "Details",
			json_copy(version)));
	json_object_set_new(
		json_object_get(
			json_array_get(json_object_get(version, "Components"), 0), "Details"),
		"Experimental", json_string("false"));
	json_object_set_new(version, "Version", json_string(server));
	json_object_set_new(
		version, "Platform", json_pack("{s:s}", "Name", "Docker Swarm (cluster manager)"));
	system_reply(r, version);
}
