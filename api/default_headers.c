/* The headers that an engine puts on every reply, its errors included: clients tell by them whom
 * they speak to. A reply that is an engine's has its own, and keeps them. */
#include "api/api_priv.h"

#include <stdio.h>

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
