/* Keeps web pages away from a server. A browser sends requests to any address that a page names, a
 * loopback one too, and a POST without reading the answer is enough to do harm. It tells whose page
 * asks: by Origin, and by Sec-Fetch-Site where there is no Origin. A page of a name that its owner
 * lets point to us (DNS rebinding) is of our own origin for the browser, but its Host is that name.
 */
#ifndef HTTP_WEB_H
#define HTTP_WEB_H

#include "http/exchange.h"

/* Both are borrowed, and may be NULL: none. */
struct web_rules {
	const struct str_list *origins;    /* of pages that may ask: "https://ui.example.com" */
	const struct str_list *host_names; /* that clients may call a loopback listener by */
};

/* A handler that refuses, before anything else looks at the request:
 * - 403: an Origin that is neither allowed nor ours (the Host it was sent to, which must be one
 *   that is known below); without Origin, Sec-Fetch-Site cross-site or same-site;
 * - 421, at loopback TCP listeners alone: a Host that has a dot and is no IP address, not below
 *   "localhost", not the name of this machine, nor one of host_names. Without Host, or with an
 *   empty one, it passes: no browser sends that. */
struct handler *web_guard_new(const struct web_rules *rules, struct handler *next_take);

/* ERR_USAGE unless it is as browsers send it: "null", or scheme://host[:port] and no more. */
int web_check_origin(const char *origin, struct err *err) MUSTCHECK;

#endif
