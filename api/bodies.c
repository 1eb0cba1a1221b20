/* What a request's body may be, and the fields in it that the manager reads or acts upon. */
#include "api/bodies.h"
#include "api/api_priv.h"
#include "api/routes.h"
#include "lib/str.h"

#include <string.h>
#include <strings.h>

/* ---- Fields ---- */

const struct body_field body_any[] = {{0}};

/* create_request.h looks at what is in them. */
const struct body_field body_container_create[] = {
	{"HostConfig", JSON_OBJECT, NULL},
	{"Image", JSON_STRING, NULL},
	{"Labels", JSON_OBJECT, NULL},
	{"NetworkingConfig", JSON_OBJECT, NULL},
	{0},
};

const struct body_field body_exec_create[] = {
	{"AttachStderr", JSON_TRUE, NULL},
	{"AttachStdin", JSON_TRUE, NULL},
	{"AttachStdout", JSON_TRUE, NULL},
	{"Cmd", JSON_ARRAY, NULL},
	{"Detach", JSON_TRUE, NULL},
	{"Env", JSON_ARRAY, NULL},
	{"Privileged", JSON_TRUE, NULL},
	{"Tty", JSON_TRUE, NULL},
	{"User", JSON_STRING, NULL},
	{"WorkingDir", JSON_STRING, NULL},
	{0},
};

const struct body_field body_exec_start[] = {
	{"Detach", JSON_TRUE, NULL},
	{"Tty", JSON_TRUE, NULL},
	{0},
};

const struct body_field body_network_connect[] = {
	{"Container", JSON_STRING, NULL},
	{"EndpointConfig", JSON_OBJECT, body_any},
	{0},
};

const struct body_field body_network_disconnect[] = {
	{"Container", JSON_STRING, NULL},
	{"Force", JSON_TRUE, NULL},
	{0},
};

static const struct body_field config_from[] = {
	{"Network", JSON_STRING, NULL},
	{0},
};

const struct body_field body_network_create[] = {
	{"ConfigFrom", JSON_OBJECT, config_from},
	{"Driver", JSON_STRING, NULL},
	{"Labels", JSON_OBJECT, NULL},
	{"Name", JSON_STRING, NULL},
	{"Options", JSON_OBJECT, NULL},
	{"Scope", JSON_STRING, NULL},
	{0},
};

const struct body_field body_volume_create[] = {
	{"ClusterVolumeSpec", JSON_OBJECT, body_any},
	{"Driver", JSON_STRING, NULL},
	{"DriverOpts", JSON_OBJECT, NULL},
	{"Labels", JSON_OBJECT, NULL},
	{"Name", JSON_STRING, NULL},
	{0},
};

/* ---- What comes before the fields ---- */

/* Without regard to parameters ("; charset=utf-8") and case. */
static bool is_media_type(const char *value, const char *type)
{
	size_t len = strcspn(value, ";");

	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		len--;
	return len == strlen(type) && strncasecmp(value, type, len) == 0;
}

/* Go reads such a body into the parameters of the query, in front of them or behind. */
static bool is_form(const char *value)
{
	return is_media_type(value, "application/x-www-form-urlencoded") ||
	       strncasecmp(value, "multipart/", strlen("multipart/")) == 0;
}

/* The words for another type than JSON are an engine's. False: the error was sent. */
static bool type_check(struct request *r, const char *type)
{
	bool has_body = exchange_body_length(r->x) != 0;

	if (is_form(type)) {
		if (has_body)
			exchange_reply_error(r->x, 415, "forms are not read here: %.100s", type);
		else
			http_headers_remove(exchange_headers_mutable(r->x), "Content-Type");
		return !has_body;
	}
	if (r->route->body != ROUTE_JSON || !has_body || is_media_type(type, "application/json"))
		return true;
	exchange_reply_error(
		r->x, 400, "Content-Type specified (%.100s) must be 'application/json'", type);
	return false;
}

bool body_head_check(struct request *r)
{
	const struct http_headers *headers = exchange_headers(r->x);
	const char *type = http_headers_get(headers, "Content-Type");
	const char *coding = http_headers_get(headers, "Content-Encoding");
	size_t types = 0;

	for (size_t i = 0; type != NULL && i < headers->len; i++)
		types += str_ieq(headers->items[i].name, "Content-Type");
	if (types > 1) {
		exchange_reply_error(r->x, 400, "more than one Content-Type header");
		return false;
	}
	if (coding != NULL && r->route->body == ROUTE_JSON && !str_ieq(coding, "identity")) {
		exchange_reply_error(
			r->x, 415, "a body in the coding %.100s is not read here", coding);
		return false;
	}
	return type == NULL || type_check(r, type);
}
