/* Addresses that are no place for an engine: what they are, in all their spellings. */
#include "lib/addr.h"

#include <arpa/inet.h>
#include <string.h>

static const struct {
	unsigned kind;
	const char *name;
} kinds[] = {
	{ADDR_SPECIAL_UNSPECIFIED, "unspecified"},
	{ADDR_SPECIAL_LINK_LOCAL, "link-local"},
	{ADDR_SPECIAL_MULTICAST, "multicast"},
	{ADDR_SPECIAL_BROADCAST, "broadcast"},
	{ADDR_SPECIAL_METADATA, "metadata"},
};

const char *addr_special_name(unsigned kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].kind & kind)
			return kinds[i].name;
	return NULL;
}

int addr_special_parse(const char *names, unsigned *out, struct err *err)
{
	CLEANUP_STR_LIST struct str_list list = {0};

	*out = 0;
	str_list_split(&list, names, ",");
	for (size_t i = 0; i < list.len; i++) {
		unsigned kind = str_eq(list.items[i], "all") ? ADDR_SPECIAL_ALL : 0;

		for (size_t j = 0; j < ARRAY_LEN(kinds); j++)
			if (str_eq(list.items[i], kinds[j].name))
				kind = kinds[j].kind;
		if (!kind)
			return err_set(err, ERR_USAGE,
				"'%.64s' is no kind of address: unspecified, link-local, "
				"multicast, broadcast, metadata or all is expected",
				list.items[i]);
		*out |= kind;
	}
	return 0;
}

static unsigned special_v4(const uint8_t *ip)
{
	static const uint8_t broadcast[] = {255, 255, 255, 255};
	/* Where clouds serve credentials beside 169.254.169.254. */
	static const uint8_t metadata[] = {100, 100, 100, 200};

	if (ip[0] == 0)
		return ADDR_SPECIAL_UNSPECIFIED;
	if (ip[0] == 169 && ip[1] == 254)
		return ADDR_SPECIAL_LINK_LOCAL;
	if (ip[0] >= 224 && ip[0] <= 239)
		return ADDR_SPECIAL_MULTICAST;
	if (memcmp(ip, broadcast, sizeof(broadcast)) == 0)
		return ADDR_SPECIAL_BROADCAST;
	return memcmp(ip, metadata, sizeof(metadata)) == 0 ? ADDR_SPECIAL_METADATA : 0;
}

static unsigned special_v6(const struct in6_addr *ip)
{
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	static const uint8_t metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
	const uint8_t *bytes = ip->s6_addr;

	if (IN6_IS_ADDR_UNSPECIFIED(ip))
		return ADDR_SPECIAL_UNSPECIFIED;
	if (IN6_IS_ADDR_LOOPBACK(ip))
		return 0;
	if (IN6_IS_ADDR_LINKLOCAL(ip))
		return ADDR_SPECIAL_LINK_LOCAL;
	if (IN6_IS_ADDR_MULTICAST(ip))
		return ADDR_SPECIAL_MULTICAST;
	if (memcmp(bytes, metadata, sizeof(metadata)) == 0)
		return ADDR_SPECIAL_METADATA;
	/* Those that stand for an IPv4 address: mapped, compatible, translated, 6to4. */
	if (IN6_IS_ADDR_V4MAPPED(ip) || IN6_IS_ADDR_V4COMPAT(ip) ||
		memcmp(bytes, nat64, sizeof(nat64)) == 0)
		return special_v4(bytes + 12);
	if (bytes[0] == 0x20 && bytes[1] == 0x02)
		return special_v4(bytes + 2);
	return 0;
}

unsigned addr_special_socket(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

		return special_v4((const uint8_t *)&v4->sin_addr);
	}
	if (address->sa_family == AF_INET6)
		return special_v6(&((const struct sockaddr_in6 *)address)->sin6_addr);
	return 0;
}

unsigned addr_special_host(const char *host)
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;

	/* As the resolver reads them: "169.254.43518" and "2852039166" are addresses, too. */
	if (inet_aton(host, &v4))
		return special_v4((const uint8_t *)&v4);
	if (strlcpy(text, host, sizeof(text)) >= sizeof(text) && !strchr(text, '%'))
		return 0;
	text[strcspn(text, "%")] = '\0';
	return inet_pton(AF_INET6, text, &v6) == 1 ? special_v6(&v6) : 0;
}
