/* Addresses as Docker writes them: "host:port", "[::1]:2375", "tcp://host:port", "unix:///path". */
#ifndef LIB_ADDR_H
#define LIB_ADDR_H

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum addr_kind {
	ADDR_TCP,
	ADDR_UNIX,
};

struct addr {
	enum addr_kind kind;
	char *host;    /* ADDR_TCP: name or IP without brackets; may be "" for "any" when allowed */
	uint16_t port; /* ADDR_TCP: 1 to 65535, or 0 where allowed */
	char *path;    /* ADDR_UNIX: file path */
	/* ADDR_SPECIAL_*: kinds of address that host, when it is a name, must not stand for. 0
	 * after addr_parse. */
	unsigned refused;
};

/* Parses a listen or connect address. default_port is used when none is written; 0 means that a
 * port must be written. Scheme "tcp://" is optional. An empty host and a written port 0 are taken:
 * they mean something to a listener. */
int addr_parse(const char *s, uint16_t default_port, struct addr *out, struct err *err) MUSTCHECK;
void addr_free(struct addr *a);
/* "host:port", with brackets around IPv6, or "unix:///path". Owned by the caller. */
char *addr_format(const struct addr *a);
/* True for unix sockets and for 127.0.0.0/8, ::1 and "localhost". */
bool addr_is_local(const struct addr *a);
/* 127.0.0.0/8, ::1, and the IPv6 form of the former. */
bool addr_is_loopback_socket(const struct sockaddr *address);

/* Validates the "ip:port or hostname:port" of an engine (port 1 to 65535, host without '/', blanks
 * or control characters). */
int addr_check_host_port(const char *s, struct err *err) MUSTCHECK;

/* Kinds of address where no engine is, and which a list from elsewhere must not make us call. */
enum {
	ADDR_SPECIAL_UNSPECIFIED = 1, /* 0.0.0.0/8, :: */
	ADDR_SPECIAL_LINK_LOCAL = 2, /* 169.254.0.0/16, where clouds serve credentials; fe80::/10 */
	ADDR_SPECIAL_MULTICAST = 4,
	ADDR_SPECIAL_BROADCAST = 8, /* 255.255.255.255 */
	ADDR_SPECIAL_METADATA = 16, /* where clouds serve credentials elsewhere */
	ADDR_SPECIAL_ALL = 31
};
/* The kind of an address, 0 = none of these. IPv6 forms of IPv4 addresses count as those. */
unsigned addr_special_socket(const struct sockaddr *address);
/* The same for a host as it is written; 0 for names. */
unsigned addr_special_host(const char *host);
/* "link-local"; of several the first. NULL for 0. */
const char *addr_special_name(unsigned kind);
/* Reads names with commas between, or "all". */
int addr_special_parse(const char *names, unsigned *out, struct err *err) MUSTCHECK;

/* The most addresses that one range pattern, or one list, may expand to. */
#define ADDR_EXPAND_MAX 16384

/* Expands integer ranges: "10.0.0.[11:13]:2375" gives three addresses, "node[01:10]:2375" keeps
 * leading zeros; several ranges in one pattern multiply. Fails (nothing added) when more than
 * ADDR_EXPAND_MAX addresses would result, or when a range is malformed or runs backwards. */
int addr_expand(const char *pattern, struct str_list *out, struct err *err) MUSTCHECK;

#endif
