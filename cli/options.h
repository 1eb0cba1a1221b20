/* Command-line options, from one table per command: parsing, environment, defaults and help text
 * all come from it. Long options take one dash or two, and their value behind '=' or a blank. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/str.h"

#include <stdbool.h>

enum option_kind {
	OPTION_BOOL,     /* --x, --x=true, --x=false; no blank before the value */
	OPTION_TEXT,     /* one value; given again, the last one counts */
	OPTION_LIST,     /* may be given again; in the environment, commas stand between */
	OPTION_DURATION, /* "90s", "1m30s", "500ms", or a bare number of seconds */
	OPTION_NUMBER,   /* a decimal number */
};

struct option_spec {
	const char *name;    /* long name without dashes; NULL ends a table */
	const char *aliases; /* further long names, blanks between; may be NULL */
	char letter;         /* one-letter form, or 0 */
	enum option_kind kind;
	const char *argument; /* what the help calls the value; NULL for OPTION_BOOL */
	const char *variable; /* environment variable that stands in for it; may be NULL */
	const char *fallback; /* value when it is not given at all; may be NULL */
	const char *help;
	bool is_mandatory;   /* the command needs it: an empty value is as good as none */
	const char *refusal; /* not NULL: known, not listed, and its use is an error of this text */
};

struct options;

/* What --help says of a command, and what its command line may hold. */
struct option_table {
	const char *program;             /* "swarm manage" */
	const char *arguments;           /* "[DISCOVERY]"; "" when it takes none */
	const char *summary;             /* a line or more of plain text */
	const struct option_spec *specs; /* ends with a NULL name */
	size_t arguments_max;
	bool stops_at_argument; /* what follows the first argument is not for this table */
};

/* Reads a command line (argv[0] is skipped) and the environment; the command line wins. ERR_USAGE
 * names the flag and suggests --help. Values are checked for being there, not for their sense: the
 * getters do that. */
struct options *options_parse(
	const struct option_table *table, int argc, char *const argv[], struct err *err) MUSTCHECK;
void options_free(struct options *options);

/* The getters take a long name that is in the table (anything else aborts). */

/* Given on the command line; the environment does not count. */
bool options_is_given(const struct options *options, const char *name);
/* Given on the command line or in the environment. */
bool options_is_set(const struct options *options, const char *name);
bool options_bool(const struct options *options, const char *name);
/* The value, or the default, or NULL. Borrowed. */
const char *options_text(const struct options *options, const char *name);
/* All values, in order; the default alone when none was given. Borrowed. */
const struct str_list *options_list(const struct options *options, const char *name);
/* Milliseconds, negative ones too; ERR_USAGE "invalid --NAME: ...". */
int options_duration(const struct options *options, const char *name, long long *out_ms,
	struct err *err) MUSTCHECK;
/* ERR_USAGE "invalid --NAME: ..." when it is not a number from -2^31 to 2^31 - 1. */
int options_number(
	const struct options *options, const char *name, long long *out, struct err *err) MUSTCHECK;
/* What is not an option, in order. Borrowed. */
const struct str_list *options_arguments(const struct options *options);

/* The text of --help, owned by the caller. commands: text to put behind the options, or NULL. */
char *options_help(const struct option_table *table, const char *commands);

#endif
