#include "lib/addr.h"

#include "lib/buf.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#define HOST_MAX 253
#define PATH_BYTES_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static bool is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '.' || c == '_';
}

static bool is_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!is_name_char(s[i]))
			return false;
	}
	return len > 0 && len <= HOST_MAX;
}

/* "fe80::1" or "fe80::1%eth0". */
static bool is_ipv6(const char *s, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	const char *zone = memchr(s, '%', len);
	size_t ip_len = zone ? (size_t)(zone - s) : len;
	struct in6_addr ip;

	if (ip_len >= sizeof(text))
		return false;
	memcpy(text, s, ip_len);
	text[ip_len] = '\0';
	return inet_pton(AF_INET6, text, &ip) == 1 &&
	       (!zone || is_name(zone + 1, len - ip_len - 1));
}

/* Splits "host:port", "[v6]:port", or either without port. The port's text is NULL when there is
 * none. Returns -1 when it is none of these. */
static int split_host_port(const char *s, const char **host, size_t *host_len, const char **port)
{
	const char *end;

	*port = NULL;
	if (*s == '[') {
		end = strchr(s, ']');
		if (!end)
			return -1;
		*host = s + 1;
		*host_len = (size_t)(end - s - 1);
		end++;
		if (!is_ipv6(*host, *host_len) || (*end && *end != ':'))
			return -1;
	} else {
		end = s + strcspn(s, ":");
		*host = s;
		*host_len = (size_t)(end - s);
		if (*host_len && !is_name(*host, *host_len))
			return -1;
	}
	if (*end == ':')
		*port = end + 1;
	return 0;
}

static int parse_port(const char *s, long long min, uint16_t *out)
{
	long long value;

	if (s[0] < '0' || s[0] > '9' || strlen(s) > 5 ||
		str_to_int(s, min, UINT16_MAX, &value, "port", NULL))
		return -1;
	*out = (uint16_t)value;
	return 0;
}

static int parse_unix(const char *path, struct addr *out, struct err *err)
{
	size_t len = strlen(path);

	if (!len)
		return err_set(err, ERR_INVALID, "unix socket without a path");
	if (len > PATH_BYTES_MAX)
		return err_set(err, ERR_INVALID, "path of unix socket is longer than %zu bytes",
			PATH_BYTES_MAX);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
			return err_set(
				err, ERR_INVALID, "path of unix socket holds a control character");
	}
	out->kind = ADDR_UNIX;
	out->path = xstrdup(path);
	return 0;
}

int addr_parse(const char *s, uint16_t default_port, struct addr *out, struct err *err)
{
	const char *rest = s;
	const char *scheme_end = strstr(s, "://");
	const char *host;
	const char *port;
	size_t host_len;

	memset(out, 0, sizeof(*out));
	if (str_has_prefix(s, "unix://"))
		return parse_unix(s + strlen("unix://"), out, err);
	if (str_has_prefix(s, "tcp://"))
		rest = s + strlen("tcp://");
	else if (scheme_end)
		return err_set(err, ERR_INVALID,
			"address \"%.256s\": the scheme must be tcp:// or unix://", s);
	if (!*rest || split_host_port(rest, &host, &host_len, &port))
		return err_set(err, ERR_INVALID,
			"address \"%.256s\" is not of the form host:port or [IPv6]:port", s);
	if (!port && !default_port)
		return err_set(err, ERR_INVALID, "address \"%.256s\" has no port", s);
	out->port = default_port;
	if (port && parse_port(port, 0, &out->port))
		return err_set(err, ERR_INVALID,
			"address \"%.256s\": the port is not a number up to 65535", s);
	out->kind = ADDR_TCP;
	out->host = xstrndup(host, host_len);
	return 0;
}

void addr_free(struct addr *a)
{
	free(a->host);
	free(a->path);
	memset(a, 0, sizeof(*a));
}

char *addr_format(const struct addr *a)
{
	if (a->kind == ADDR_UNIX)
		return xasprintf("unix://%s", a->path);
	if (strchr(a->host, ':'))
		return xasprintf("[%s]:%u", a->host, (unsigned)a->port);
	return xasprintf("%s:%u", a->host, (unsigned)a->port);
}

static bool is_loopback4(const struct in_addr *v4)
{
	return ntohl(v4->s_addr) >> 24 == 127;
}

static bool is_loopback6(const struct in6_addr *v6)
{
	return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

bool addr_is_local(const struct addr *a)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (a->kind == ADDR_UNIX || str_ieq(a->host, "localhost"))
		return true;
	if (inet_pton(AF_INET, a->host, &v4) == 1)
		return is_loopback4(&v4);
	return inet_pton(AF_INET6, a->host, &v6) == 1 && is_loopback6(&v6);
}

bool addr_is_loopback_socket(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return is_loopback4(&((const struct sockaddr_in *)address)->sin_addr);
	return address->sa_family == AF_INET6 &&
	       is_loopback6(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

int addr_check_host_port(const char *s, struct err *err)
{
	const char *host;
	const char *port;
	size_t host_len;
	uint16_t value;

	if (split_host_port(s, &host, &host_len, &port) || !host_len || !port ||
		parse_port(port, 1, &value))
		return err_set(err, ERR_INVALID,
			"\"%.256s\" is not of the form ip:port or hostname:port", s);
	return 0;
}
