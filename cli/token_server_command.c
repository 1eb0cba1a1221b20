/* `swarm token-server`: a server for token discovery. */
#include "cli/commands.h"
#include "discovery/token_server.h"
#include "lib/addr.h"
#include "lib/log.h"

static const struct option_spec specs[] = {
	{
		.name = "host",
		.letter = 'H',
		.kind = OPTION_LIST,
		.argument = "ADDRESS",
		.fallback = "tcp://127.0.0.1:2378",
		.help = "Where to listen: tcp://HOST:PORT or unix:///PATH.",
	},
	{
		.name = "data-dir",
		.kind = OPTION_TEXT,
		.argument = "FOLDER",
		.is_mandatory = true,
		.help = "Where tokens and their lists are kept; made when it is missing.",
	},
	TLS_OPTIONS("clients"),
	COMMON_OPTIONS,
	{.name = NULL},
};

static const struct option_table table = {
	.program = "swarm token-server",
	.arguments = "",
	.summary = "Serve token discovery: who knows a token may add engines under it and list "
		   "them. Tokens are made by 'swarm create'.",
	.specs = specs,
};

static void on_reload(void *arg)
{
	struct err err = ERR_INIT;
	if (token_server_reload_tls(arg, &err) < 0)
		log_error("certificates not replaced, the old ones stay in use: %s", err.msg);
	else
		log_info("certificates read again; new connections use them");
}

/* Says in the log where the server listens, with the ports that it got. */
static void tell(const struct token_server *server, const struct str_list *hosts, bool has_tls)
{
	size_t tcp_count = 0;
	for (size_t i = 0; i < hosts->len; i++) {
		struct addr addr = {0};
		if (addr_parse(hosts->items[i], 0, &addr, NULL) < 0)
			continue; /* the server has listened on it, so this does not happen */
		if (addr.kind == ADDR_TCP)
			addr.port = token_server_port(server, tcp_count++);
		CLEANUP_FREE char *text = addr_format(&addr);
		log_info("listening address=%s%s", addr.kind == ADDR_TCP ? "tcp://" : "", text);
		if (!has_tls && !addr_is_local(&addr))
			log_warn("listening without TLS: tokens can be read on the way "
				 "address=tcp://%s",
				text);
		addr_free(&addr);
	}
}

static int check_hosts(const struct str_list *hosts, struct err *err)
{
	for (size_t i = 0; i < hosts->len; i++) {
		struct addr addr = {0};
		struct err inner = ERR_INIT;
		if (addr_parse(hosts->items[i], 0, &addr, &inner) < 0)
			return err_set(err, ERR_USAGE, "invalid --host %s: %s", hosts->items[i],
				inner.msg);
		addr_free(&addr);
	}
	return 0;
}

static int run(const struct options *options, struct err *err)
{
	struct command_tls tls;
	if (command_tls(options, &tls, err) < 0)
		return -1;
	struct tls_config files = {
		.ca_file = tls.ca,
		.cert_file = tls.cert,
		.key_file = tls.key,
		.verify = tls.is_verified,
	};
	struct token_server_config config = {
		.listen = options_list(options, "host"),
		.tls = tls.is_enabled ? &files : NULL,
		.data_dir = options_text(options, "data-dir"),
	};
	if (config.data_dir == NULL)
		return err_set(err, ERR_USAGE, "missing mandatory --data-dir flag");
	if (check_hosts(config.listen, err) < 0)
		return -1;
	struct loop *loop = loop_new();
	struct token_server *server = token_server_new(loop, env_system(), &config, err);
	if (server != NULL) {
		tell(server, config.listen, tls.is_enabled);
		command_serve(loop, on_reload, server);
	}
	token_server_free(server);
	loop_free(loop);
	return server != NULL ? 0 : -1;
}

const struct command command_token_server = {
	.name = "token-server",
	.brief = "Serve token discovery",
	.table = &table,
	.run = run,
};
