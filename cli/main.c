/* The program's entry: options before the command, the command table, exit statuses. */
#include "cli/commands.h"

#include "lib/buf.h"
#include "lib/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* could not start, or did not end well */
	EXIT_USAGE = 2,  /* the command line itself is wrong */
};

static const struct command *const commands[] = {
	&command_manage,
	&command_join,
	&command_list,
	&command_create,
	&command_token_server,
	&command_simulate,
	NULL,
};

static const struct option_spec program_specs[] = {
	COMMON_OPTIONS,
	{
		.name = "version",
		.letter = 'v',
		.kind = OPTION_BOOL,
		.help = "Print the version.",
	},
	{.name = NULL},
};

static const struct option_table program_table = {
	.program = "swarm",
	.arguments = "COMMAND [ARGUMENT...]",
	.summary = "One Docker Remote API for many Docker engines.",
	.specs = program_specs,
	.stops_at_argument = true,
};

static int fail(const struct err *err)
{
	/* Behind what was logged before. */
	(void)log_flush();
	fprintf(stderr, "swarm: %s\n", err->msg);
	return err->code == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; commands[i] != NULL; i++) {
		if (str_eq(commands[i]->name, name) ||
			(commands[i]->alias != NULL && str_eq(commands[i]->alias, name)))
			return commands[i];
	}
	return NULL;
}

static int print_program_help(void)
{
	CLEANUP_BUF struct buf list;
	buf_init(&list, 16384);
	buf_append_str(&list, "Commands:\n");
	for (size_t i = 0; commands[i] != NULL; i++) {
		CLEANUP_FREE char *names =
			commands[i]->alias != NULL
				? xasprintf("%s, %s", commands[i]->name, commands[i]->alias)
				: xstrdup(commands[i]->name);
		buf_printf(&list, "  %-14s  %s\n", names, commands[i]->brief);
	}
	buf_printf(&list, "  %-14s  %s\n", "help", "Show this text, or that of a command");
	buf_printf(&list, "  %-14s  %s\n", "version", "Print the version");
	buf_append_str(&list, "\n'swarm COMMAND --help' tells more of a command.\n");
	CLEANUP_FREE char *text = options_help(&program_table, buf_str(&list));
	fputs(text, stdout);
	return EXIT_OK;
}

static int print_command_help(const struct command *command)
{
	CLEANUP_FREE char *text = options_help(command->table, NULL);
	fputs(text, stdout);
	return EXIT_OK;
}

static int print_version(void)
{
	puts("swarm version " PACKAGE_VERSION);
	return EXIT_OK;
}

/* After the command the options override what stood before it. */
static int set_log_level(const struct options *options, struct err *err)
{
	const char *name = options_text(options, "log-level");
	enum log_level level = log_get_level();
	if (name != NULL && log_level_parse(name, &level, err) < 0) {
		err->code = ERR_USAGE;
		return -1;
	}
	if (options_bool(options, "debug"))
		level = LOG_LEVEL_DEBUG;
	log_set_level(level);
	return 0;
}

static int unknown_command(const char *name)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_USAGE, "unknown command: %s. See 'swarm --help'.", name);
	return fail(&err);
}

static int run_command(const struct command *command, int argc, char *argv[])
{
	struct err err = ERR_INIT;
	struct options *options = options_parse(command->table, argc, argv, &err);
	if (options == NULL)
		return fail(&err);
	int status = EXIT_OK;
	if (options_bool(options, "help"))
		status = print_command_help(command);
	else if (set_log_level(options, &err) < 0 || command->run(options, &err) < 0)
		status = fail(&err);
	options_free(options);
	return status;
}

/* help [COMMAND] */
static int run_help(int argc, char *argv[])
{
	if (argc < 2)
		return print_program_help();
	const struct command *command = find_command(argv[1]);
	return command != NULL ? print_command_help(command) : unknown_command(argv[1]);
}

static int run_program(const struct options *options, int argc, char *argv[])
{
	struct err err = ERR_INIT;
	if (options_bool(options, "help"))
		return print_program_help();
	if (options_bool(options, "version"))
		return print_version();
	if (set_log_level(options, &err) < 0)
		return fail(&err);
	/* What follows the program's options stands at the end of argv, in its order. */
	int rest = (int)options_arguments(options)->len;
	if (rest == 0)
		return print_program_help();
	argv += argc - rest;
	if (str_eq(argv[0], "help") || str_eq(argv[0], "h"))
		return run_help(rest, argv);
	if (str_eq(argv[0], "version"))
		return print_version();
	const struct command *command = find_command(argv[0]);
	return command != NULL ? run_command(command, rest, argv) : unknown_command(argv[0]);
}

/* Every client and every engine costs descriptors; the soft limit is often 1024. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		log_warn("cannot raise the limit of open files: %s", strerror(errno));
}

int main(int argc, char *argv[])
{
	struct err err = ERR_INIT;
	/* A peer that goes away is an error of one write, not the end of the program. */
	signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
	struct options *options = options_parse(&program_table, argc, argv, &err);
	if (options == NULL)
		return fail(&err);
	int status = run_program(options, argc, argv);
	options_free(options);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		err_errno(&err, ERR_SYSTEM, errno, "cannot write to standard output");
		if (status == EXIT_OK)
			status = fail(&err);
	}
	return status;
}
