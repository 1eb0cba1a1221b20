/* The text of --help, from the same table as the parser. */
#include "cli/options.h"

#include "lib/buf.h"

#include <string.h>

#define HELP_MAX (64 * 1024)
#define HELP_WIDTH 79
#define HELP_INDENT 8

/* Words of text, broken at HELP_WIDTH columns, every line indented. */
static void add_wrapped(struct buf *out, const char *text, size_t indent)
{
	CLEANUP_STR_LIST struct str_list words = {0};
	str_list_split(&words, text, " \n");
	size_t column = 0;
	for (size_t i = 0; i < words.len; i++) {
		size_t len = strlen(words.items[i]);
		if (column > 0 && column + 1 + len > HELP_WIDTH) {
			buf_append_char(out, '\n');
			column = 0;
		}
		if (column == 0) {
			buf_printf(out, "%*s", (int)indent, "");
			column = indent;
		} else {
			buf_append_char(out, ' ');
			column++;
		}
		buf_append_str(out, words.items[i]);
		column += len;
	}
	if (column > 0)
		buf_append_char(out, '\n');
}

static void add_names(struct buf *out, const struct option_spec *spec)
{
	buf_append_str(out, "  ");
	if (spec->letter != 0)
		buf_printf(out, "-%c, ", spec->letter);
	buf_printf(out, "--%s", spec->name);
	CLEANUP_STR_LIST struct str_list aliases = {0};
	if (spec->aliases != NULL)
		str_list_split(&aliases, spec->aliases, " ");
	for (size_t i = 0; i < aliases.len; i++)
		buf_printf(out, ", --%s", aliases.items[i]);
	if (spec->argument != NULL)
		buf_printf(out, " %s", spec->argument);
	buf_append_char(out, '\n');
}

static void add_option(struct buf *out, const struct option_spec *spec)
{
	CLEANUP_BUF struct buf text;
	buf_init(&text, HELP_MAX);
	buf_append_str(&text, spec->help);
	if (spec->kind == OPTION_LIST)
		buf_append_str(&text, " May be repeated.");
	if (spec->fallback != NULL)
		buf_printf(&text, " Default: %s.", spec->fallback);
	if (spec->variable != NULL)
		buf_printf(&text, " Environment: %s.", spec->variable);
	add_names(out, spec);
	add_wrapped(out, buf_str(&text), HELP_INDENT);
}

char *options_help(const struct option_table *table, const char *commands)
{
	CLEANUP_BUF struct buf out;
	buf_init(&out, HELP_MAX);
	buf_printf(&out, "Usage: %s [OPTIONS]%s%s\n\n", table->program,
		table->arguments[0] != '\0' ? " " : "", table->arguments);
	add_wrapped(&out, table->summary, 0);
	buf_append_str(&out, "\nOptions:\n");
	for (const struct option_spec *s = table->specs; s->name != NULL; s++) {
		if (s->refusal == NULL)
			add_option(&out, s);
	}
	if (commands != NULL)
		buf_printf(&out, "\n%s", commands);
	return buf_take(&out);
}
