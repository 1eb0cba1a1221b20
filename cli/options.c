/* Parsing by getopt_long_only from the table. */
#include "cli/options.h"

#include "lib/buf.h"

#include <assert.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>

/* What getopt returns for the table's entry 0; above every character. */
#define OPTION_VALUE_BASE 1000

struct option_value {
	struct str_list given; /* from the command line, else from the environment */
	struct str_list all;   /* given, or the default */
	bool is_true;          /* OPTION_BOOL */
	bool is_set;           /* by either */
	bool is_given;         /* on the command line */
};

struct options {
	const struct option_table *table;
	struct option_value *values; /* one per entry of the table */
	struct str_list arguments;
};

/* What getopt is told of a table. */
struct option_getopt {
	struct option *longs;
	char *names; /* the aliases' and letters' bytes */
	char *shorts;
};

static size_t specs_count(const struct option_table *table)
{
	size_t n = 0;
	while (table->specs[n].name != NULL)
		n++;
	return n;
}

static int usage_error(
	const struct option_table *table, struct err *err, const char *what, const char *which)
{
	return err_set(err, ERR_USAGE, "%s: %s. See '%s --help'.", what, which, table->program);
}

/* ---- Telling getopt ---- */

static void getopt_add(struct option_getopt *g, size_t *len, const char *name,
	const struct option_spec *spec, size_t index)
{
	g->longs = xreallocarray(g->longs, *len + 2, sizeof(*g->longs));
	g->longs[*len] = (struct option){
		.name = name,
		.has_arg = spec->kind == OPTION_BOOL ? optional_argument : required_argument,
		.val = OPTION_VALUE_BASE + (int)index,
	};
	g->longs[*len + 1] = (struct option){.name = NULL};
	(*len)++;
}

/* Aliases and letters become long names too, so that "-H=x" and "--addr x" work. */
static void getopt_prepare(const struct option_table *table, struct option_getopt *g)
{
	size_t len = 0;
	CLEANUP_BUF struct buf shorts;
	buf_init(&shorts, 4096);
	/* '+': stop at the first argument; ':': tell a missing value from an unknown flag. */
	buf_append_str(&shorts, table->stops_at_argument ? "+:" : ":");
	size_t room = 1;
	for (const struct option_spec *s = table->specs; s->name != NULL; s++)
		room += (s->aliases != NULL ? strlen(s->aliases) + 1 : 0) + 2;
	g->names = xcalloc(room, 1);
	char *free_name = g->names;
	for (size_t i = 0; table->specs[i].name != NULL; i++) {
		const struct option_spec *s = &table->specs[i];
		getopt_add(g, &len, s->name, s, i);
		CLEANUP_STR_LIST struct str_list aliases = {0};
		if (s->aliases != NULL)
			str_list_split(&aliases, s->aliases, " ");
		for (size_t j = 0; j < aliases.len; j++) {
			size_t size = strlen(aliases.items[j]) + 1;
			memcpy(free_name, aliases.items[j], size);
			getopt_add(g, &len, free_name, s, i);
			free_name += size;
		}
		if (s->letter != 0) {
			free_name[0] = s->letter;
			getopt_add(g, &len, free_name, s, i);
			free_name += 2;
			buf_append_char(&shorts, s->letter);
			if (s->kind != OPTION_BOOL)
				buf_append_char(&shorts, ':');
		}
	}
	g->shorts = buf_take(&shorts);
}

static void getopt_release(struct option_getopt *g)
{
	free(g->longs);
	free(g->names);
	free(g->shorts);
}

/* ---- Reading ---- */

static int value_add(
	struct options *o, size_t index, const char *text, const char *origin, struct err *err)
{
	const struct option_spec *spec = &o->table->specs[index];
	struct option_value *v = &o->values[index];
	if (spec->refusal != NULL)
		return err_set(err, ERR_USAGE, "%s: %s", origin, spec->refusal);
	v->is_set = true;
	if (spec->kind == OPTION_BOOL) {
		v->is_true = true;
		if (text != NULL && str_to_bool(text, &v->is_true) < 0)
			return usage_error(
				o->table, err, "value is neither true nor false", origin);
		return 0;
	}
	if (str_is_empty(text) && spec->is_mandatory)
		return err_set(err, ERR_USAGE, "missing mandatory --%s flag", spec->name);
	if (str_is_empty(text))
		return usage_error(o->table, err, "flag needs an argument", origin);
	if (spec->kind != OPTION_LIST)
		str_list_free(&v->given);
	str_list_add(&v->given, text);
	return 0;
}

/* The word on the command line that getopt has just dealt with, without its value. */
static char *current_word(char *const argv[])
{
	const char *word = argv[optind - 1];
	if (optarg != NULL && optarg == argv[optind - 1])
		word = argv[optind - 2];
	return xstrndup(word, strcspn(word, "="));
}

/* getopt takes any unique beginning of a name; a script that relied on it would break with the next
 * flag of that beginning. */
static bool is_abbreviation(const char *word, const struct option *found)
{
	const char *name = word + strspn(word, "-");
	return found != NULL && !str_eq(name, found->name);
}

static int bad_flag(const struct option_table *table, int letter, const char *word, struct err *err)
{
	if (letter > 0 && letter < OPTION_VALUE_BASE) {
		char flag[] = {'-', (char)letter, '\0'};
		return usage_error(table, err, "unknown flag", flag);
	}
	return usage_error(table, err, "unknown flag", word);
}

static size_t letter_index(const struct option_table *table, int letter)
{
	for (size_t i = 0; table->specs[i].name != NULL; i++) {
		if (table->specs[i].letter == letter)
			return i;
	}
	abort(); /* getopt knows only letters of the table */
}

static int read_flags(struct options *o, int argc, char *argv[], struct err *err)
{
	int result = -1;
	struct option_getopt g = {0};
	getopt_prepare(o->table, &g);
	opterr = 0;
	optind = 0; /* makes glibc start anew */
	for (;;) {
		int found = -1;
		optarg = NULL;
		int c = getopt_long_only(argc, argv, g.shorts, g.longs, &found);
		if (c == -1)
			break;
		CLEANUP_FREE char *word = current_word(argv);
		if (c == ':') {
			usage_error(o->table, err, "flag needs an argument", word);
			goto out;
		}
		if (c == '?' || (found >= 0 && is_abbreviation(word, &g.longs[found]))) {
			bad_flag(o->table, c == '?' ? optopt : 0, word, err);
			goto out;
		}
		size_t index = c >= OPTION_VALUE_BASE ? (size_t)(c - OPTION_VALUE_BASE)
						      : letter_index(o->table, c);
		if (value_add(o, index, optarg, word, err) < 0)
			goto out;
		o->values[index].is_given = true;
	}
	for (int i = optind; i < argc; i++)
		str_list_add(&o->arguments, argv[i]);
	result = 0;
out:
	getopt_release(&g);
	return result;
}

static int read_environment(struct options *o, struct err *err)
{
	for (size_t i = 0; o->table->specs[i].name != NULL; i++) {
		const struct option_spec *spec = &o->table->specs[i];
		const char *text = spec->variable != NULL ? getenv(spec->variable) : NULL;
		if (str_is_empty(text) || o->values[i].is_set)
			continue;
		CLEANUP_STR_LIST struct str_list parts = {0};
		if (spec->kind == OPTION_LIST)
			str_list_split(&parts, text, ",");
		else
			str_list_add(&parts, text);
		for (size_t j = 0; j < parts.len; j++) {
			if (value_add(o, i, parts.items[j], spec->variable, err) < 0)
				return -1;
		}
	}
	return 0;
}

static void set_fallbacks(struct options *o)
{
	for (size_t i = 0; o->table->specs[i].name != NULL; i++) {
		struct option_value *v = &o->values[i];
		for (size_t j = 0; j < v->given.len; j++)
			str_list_add(&v->all, v->given.items[j]);
		if (v->all.len == 0 && o->table->specs[i].fallback != NULL)
			str_list_add(&v->all, o->table->specs[i].fallback);
	}
}

struct options *options_parse(
	const struct option_table *table, int argc, char *const argv[], struct err *err)
{
	struct options *o = xcalloc(1, sizeof(*o));
	o->table = table;
	o->values = xcalloc(specs_count(table) + 1, sizeof(*o->values));
	/* getopt moves the words about; the caller's array stays as it is. */
	char **words = xcalloc((size_t)argc + 1, sizeof(*words));
	memcpy(words, argv, (size_t)argc * sizeof(*words));
	int rc = read_flags(o, argc, words, err);
	free(words);
	if (rc < 0 || read_environment(o, err) < 0) {
		options_free(o);
		return NULL;
	}
	if (!table->stops_at_argument && o->arguments.len > table->arguments_max) {
		usage_error(table, err, "unexpected argument",
			o->arguments.items[table->arguments_max]);
		options_free(o);
		return NULL;
	}
	set_fallbacks(o);
	return o;
}

void options_free(struct options *o)
{
	if (o == NULL)
		return;
	for (size_t i = 0; o->table->specs[i].name != NULL; i++) {
		str_list_free(&o->values[i].given);
		str_list_free(&o->values[i].all);
	}
	free(o->values);
	str_list_free(&o->arguments);
	free(o);
}

/* ---- Getters ---- */

static const struct option_value *value_of(const struct options *o, const char *name)
{
	for (size_t i = 0; o->table->specs[i].name != NULL; i++) {
		if (str_eq(o->table->specs[i].name, name))
			return &o->values[i];
	}
	assert(!"an option that is in the table");
	abort();
}

bool options_is_given(const struct options *o, const char *name)
{
	return value_of(o, name)->is_given;
}

bool options_is_set(const struct options *o, const char *name)
{
	return value_of(o, name)->is_set;
}

bool options_bool(const struct options *o, const char *name)
{
	return value_of(o, name)->is_true;
}

const char *options_text(const struct options *o, const char *name)
{
	const struct option_value *v = value_of(o, name);
	return v->all.len > 0 ? v->all.items[v->all.len - 1] : NULL;
}

const struct str_list *options_list(const struct options *o, const char *name)
{
	return &value_of(o, name)->all;
}

int options_duration(const struct options *o, const char *name, long long *out_ms, struct err *err)
{
	const char *text = options_text(o, name);
	struct err inner = ERR_INIT;
	assert(text != NULL); /* durations have a default */
	if (str_to_duration_ms(text, out_ms, "duration", &inner) < 0)
		return err_set(err, ERR_USAGE, "invalid --%s: %s", name, inner.msg);
	return 0;
}

int options_number(const struct options *o, const char *name, long long *out, struct err *err)
{
	const char *text = options_text(o, name);
	struct err inner = ERR_INIT;
	assert(text != NULL);
	if (str_to_int(text, INT_MIN, INT_MAX, out, "number", &inner) < 0)
		return err_set(err, ERR_USAGE, "invalid --%s: %s", name, inner.msg);
	return 0;
}

const struct str_list *options_arguments(const struct options *o)
{
	return &o->arguments;
}
