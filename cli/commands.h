/* The subcommands: each a table of options and a function, all in one list in main.c. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

#include <stdint.h>

struct command {
	const char *name;
	const char *alias; /* short form, or NULL */
	const char *brief; /* for the list of commands */
	const struct option_table *table;
	/* Runs it to its end. err: one line for stderr; ERR_USAGE ends the program with status 2,
	 * any other with status 1. */
	int (*run)(const struct options *options, struct err *err);
};

extern const struct command command_manage;
extern const struct command command_join;
extern const struct command command_list;
extern const struct command command_create;
extern const struct command command_token_server;
extern const struct command command_simulate;

/* Options that every command takes, as the program itself does before the command. */
/* clang-format off */
#define COMMON_OPTIONS \
	{.name = "debug", .letter = 'D', .kind = OPTION_BOOL, .help = "Log all; the same as --log-level debug."}, \
	{.name = "log-level", .letter = 'l', .kind = OPTION_TEXT, .argument = "LEVEL", \
	 .help = "Least level of what is logged to standard error: debug, info, warn, error or fatal."}, \
	{.name = "experimental", .kind = OPTION_BOOL, .help = "Accepted for compatibility; changes nothing."}, \
	{.name = "help", .letter = 'h', .kind = OPTION_BOOL, .help = "Show this text."}
#define DISCOVERY_OPT_OPTION \
	{.name = "discovery-opt", .kind = OPTION_LIST, .argument = "KEY=VALUE", \
	 .help = "Option of the discovery back end: kv.path, kv.token, kv.cacertfile, kv.certfile, " \
		 "kv.keyfile; token.scheme, token.cacertfile, token.certfile, token.keyfile; allow.special."}
#define DISCOVERY_OPTIONS \
	{.name = "discovery", .kind = OPTION_TEXT, .argument = "URL", .variable = "SWARM_DISCOVERY", \
	 .help = "Where the engines are listed; the same as the argument DISCOVERY."}, \
	DISCOVERY_OPT_OPTION
/* who: whom the command meets over TLS, for the help. */
#define TLS_OPTIONS(who) \
	{.name = "tls", .kind = OPTION_BOOL, \
	 .help = "TLS with " who ", without verifying them. Implied by --tlsverify."}, \
	{.name = "tlsverify", .kind = OPTION_BOOL, \
	 .help = "TLS with " who ", who must hold a certificate that --tlscacert vouches for."}, \
	{.name = "tlscacert", .kind = OPTION_TEXT, .argument = "FILE", \
	 .help = "Certificates (PEM) of the authorities to trust."}, \
	{.name = "tlscert", .kind = OPTION_TEXT, .argument = "FILE", \
	 .help = "Our certificate (PEM), with intermediate ones behind it."}, \
	{.name = "tlskey", .kind = OPTION_TEXT, .argument = "FILE", .help = "Key (PEM) of --tlscert."}
/* clang-format on */

/* TLS_OPTIONS as given, and consistent. Texts are borrowed; NULL when not given. */
struct command_tls {
	bool is_enabled;
	bool is_verified;
	const char *ca, *cert, *key;
};
int command_tls(const struct options *options, struct command_tls *out, struct err *err) MUSTCHECK;

/* The discovery URL: the argument, --discovery or the environment, in this order; the argument and
 * the flag together are an error. purpose: "manage", "join", "list", for the message when there is
 * none. NULL and err then. */
const char *command_discovery(
	const struct options *options, const char *purpose, struct err *err) MUSTCHECK;
/* --discovery-opt: every one must be key=value. */
int command_discovery_options(
	const struct options *options, const struct str_list **out, struct err *err) MUSTCHECK;
/* --heartbeat in ms, at least a second. */
int command_heartbeat(const struct options *options, uint64_t *out_ms, struct err *err) MUSTCHECK;

struct loop;
/* Runs the loop until SIGTERM or SIGINT; reload (may be NULL) is called at each SIGHUP. */
void command_serve(struct loop *loop, void (*reload)(void *arg), void *arg);

#endif
