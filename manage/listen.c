/* Where a manager listens. */
#include "manage/manage_priv.h"

#include "lib/log.h"

#define MANAGE_PORT 2375 /* when an address names none */

static int parse(const char *host, struct addr *out, struct err *err)
{
	struct err inner = ERR_INIT;
	if (addr_parse(host, MANAGE_PORT, out, &inner) < 0)
		return err_set(err, ERR_USAGE, "invalid --host %s: %s", host, inner.msg);
	return 0;
}

int manage_check_hosts(const struct str_list *hosts, struct err *err)
{
	for (size_t i = 0; i < hosts->len; i++) {
		struct addr addr = {0};
		if (parse(hosts->items[i], &addr, err) < 0)
			return -1;
		addr_free(&addr);
	}
	return 0;
}

static const char *tls_word(const struct manage *m)
{
	if (m->tls == NULL)
		return "no";
	return m->config->tls_verify ? "verified" : "unverified";
}

/* port: the one that was got. */
static void tell(const struct manage *m, struct addr *addr, uint16_t port)
{
	if (addr->kind == ADDR_UNIX) {
		log_info("listening address=unix://%s", addr->path);
		return;
	}
	addr->port = port;
	CLEANUP_FREE char *text = addr_format(addr);
	log_info("listening address=tcp://%s tls=%s", text, tls_word(m));
	if (m->tls == NULL && !addr_is_local(addr))
		log_warn("listening without TLS: anyone who can reach this address is root on "
			 "every node address=tcp://%s",
			text);
}

int manage_listen(struct manage *m, struct err *err)
{
	size_t tcp_count = 0;
	for (size_t i = 0; i < m->config->hosts->len; i++) {
		struct addr addr = {0};
		if (parse(m->config->hosts->items[i], &addr, err) < 0)
			return -1;
		/* Whoever may open a unix socket's file is let in by the file's mode. */
		struct tls_context *tls = addr.kind == ADDR_TCP ? m->tls : NULL;
		int rc = server_listen(m->server, &addr, tls, err);
		if (rc == 0)
			tell(m, &addr,
				addr.kind == ADDR_TCP ? server_port(m->server, tcp_count++) : 0);
		addr_free(&addr);
		if (rc < 0)
			return -1;
	}
	return 0;
}
