/* Headers: what of a request goes to engines, and of an engine's reply to clients; and those that
 * an engine puts on every reply, its errors included: clients tell by them whom they speak to. A
 * reply that is an engine's has its own, and keeps them. */
#include "api/api_priv.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>

/* What engines send, and clients read. Others would speak to the client in the manager's name: a
 * cookie, a redirection, leave for a web page to read on. */
static bool is_for_clients(const char *name)
{
	static const char *const names[] = {
		"Api-Version",
		"Builder-Version",
		"Cache-Control",
		"Content-Disposition",
		"Content-Encoding",
		"Content-Type",
		"Deprecation",
		"Docker-Experimental",
		"Ostype",
		"Pragma",
		"Retry-After",
		"Sec-WebSocket-Accept",
		"Sec-WebSocket-Extensions",
		"Sec-WebSocket-Protocol",
		"Server",
		"Swarm",
		"Vary",
		"Warning",
		"X-Content-Type-Options",
		"X-Docker-Container-Path-Stat",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_ieq(names[i], name))
			return true;
	}
	return false;
}

/* What a client says of itself is for the manager; and some read `_` in a name as `-`. */
static bool is_for_engines(const char *name)
{
	return !str_ieq(name, "Authorization") && !str_ieq(name, "Cookie") &&
	       strchr(name, '_') == NULL;
}

void api_pass_headers(struct exchange *x)
{
	http_headers_keep(exchange_headers_mutable(x), is_for_engines);
	exchange_pass_headers(x, is_for_clients);
}

void api_default_headers(struct api *api, struct exchange *x)
{
	int minor = api_max_minor(api);

	if (api->defaults_minor != minor) {
		char text[128];

		api->defaults_minor = minor;
		snprintf(text, sizeof(text), "1.%d", minor);
		http_headers_set(&api->defaults, "Api-Version", text);
		http_headers_set(&api->defaults, "Docker-Experimental", "false");
		http_headers_set(&api->defaults, "Ostype", "linux");
		snprintf(text, sizeof(text), "swarm/%s (linux)", api->config.version);
		http_headers_set(&api->defaults, "Server", text);
	}
	exchange_set_defaults(x, &api->defaults);
}
