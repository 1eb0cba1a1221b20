/* The option parser, on a table of its own. */
#include "cli/options.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

static const struct option_spec specs[] = {
	{
		.name = "host",
		.letter = 'H',
		.kind = OPTION_LIST,
		.argument = "ADDRESS",
		.variable = "TEST_HOST",
		.fallback = "tcp://127.0.0.1:2375",
		.help = "Where to listen.",
	},
	{
		.name = "advertise",
		.aliases = "addr announce",
		.kind = OPTION_TEXT,
		.argument = "HOST:PORT",
		.variable = "TEST_ADVERTISE",
		.help = "Its address.",
	},
	{.name = "tls", .kind = OPTION_BOOL, .help = "Use TLS."},
	{.name = "tlsverify", .kind = OPTION_BOOL, .help = "Verify."},
	{.name = "debug", .letter = 'D', .kind = OPTION_BOOL, .help = "Log all."},
	{
		.name = "log-level",
		.letter = 'l',
		.kind = OPTION_TEXT,
		.argument = "LEVEL",
		.help = "What to log.",
	},
	{
		.name = "heartbeat",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "60s",
		.help = "How often.",
	},
	{
		.name = "retry",
		.kind = OPTION_NUMBER,
		.argument = "COUNT",
		.fallback = "3",
		.help = "How many.",
	},
	{.name = "replication", .kind = OPTION_BOOL, .refusal = "not in this version"},
	{.name = NULL},
};

static const struct option_table table = {
	.program = "swarm test",
	.arguments = "[DISCOVERY]",
	.summary = "A command for the test.",
	.specs = specs,
	.arguments_max = 1,
};

static const struct option_table stopping_table = {
	.program = "swarm",
	.arguments = "COMMAND",
	.summary = "A program for the test.",
	.specs = specs,
	.stops_at_argument = true,
};

/* Up to 15 words behind "swarm". */
static struct options *parse_with(
	const struct option_table *t, struct err *err, const char *const *words)
{
	char *argv[17] = {(char *)"swarm"};
	int argc = 1;
	for (; words[argc - 1] != NULL; argc++)
		argv[argc] = (char *)words[argc - 1];
	return options_parse(t, argc, argv, err);
}

#define PARSE(err, ...) parse_with(&table, err, (const char *const[]){__VA_ARGS__, NULL})
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int no_environment(void **state)
{
	(void)state;
	unsetenv("TEST_HOST");
	unsetenv("TEST_ADVERTISE");
	return 0;
}

static void both_dash_forms_and_both_separators(void **state)
{
	(void)state;
	const char *const *forms[] = {
		WORDS("--advertise", "a:1"),
		WORDS("--advertise=a:1"),
		WORDS("-advertise", "a:1"),
		WORDS("-advertise=a:1"),
		WORDS("--addr", "a:1"),
		WORDS("-addr=a:1"),
		WORDS("--announce=a:1"),
	};
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct err err = ERR_INIT;
		struct options *o = parse_with(&table, &err, forms[i]);
		assert_non_null(o);
		assert_string_equal(options_text(o, "advertise"), "a:1");
		assert_true(options_is_given(o, "advertise"));
		assert_int_equal(options_arguments(o)->len, 0);
		options_free(o);
	}
}

static void letters_take_values_in_every_form(void **state)
{
	(void)state;
	const char *const *forms[] = {
		WORDS("-H", "unix:///x"),
		WORDS("-H=unix:///x"),
		WORDS("--H", "unix:///x"),
		WORDS("--H=unix:///x"),
		WORDS("-Hunix:///x"),
	};
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct err err = ERR_INIT;
		struct options *o = parse_with(&table, &err, forms[i]);
		assert_non_null(o);
		assert_int_equal(options_list(o, "host")->len, 1);
		assert_string_equal(options_list(o, "host")->items[0], "unix:///x");
		options_free(o);
	}
}

static void letters_may_stand_together(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct options *o = PARSE(&err, "-Dl", "warn");
	assert_non_null(o);
	assert_true(options_bool(o, "debug"));
	assert_string_equal(options_text(o, "log-level"), "warn");
	options_free(o);
}

static void booleans_take_values_only_behind_equals(void **state)
{
	(void)state;
	static const struct {
		const char *word;
		bool want;
	} cases[] = {
		{"--tls", true},
		{"-tls", true},
		{"--tls=true", true},
		{"--tls=1", true},
		{"--tls=false", false},
		{"-tls=F", false},
		{"--tls=0", false},
	};
	struct err err = ERR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct options *o = PARSE(&err, cases[i].word);
		assert_non_null(o);
		assert_int_equal(options_bool(o, "tls"), cases[i].want);
		assert_true(options_is_given(o, "tls"));
		assert_false(options_bool(o, "tlsverify"));
		options_free(o);
	}
	struct options *o = PARSE(&err, "--tls", "consul://x/y");
	assert_non_null(o);
	assert_true(options_bool(o, "tls"));
	assert_string_equal(options_arguments(o)->items[0], "consul://x/y");
	options_free(o);
	assert_null(PARSE(&err, "--tls=maybe"));
	assert_int_equal(err.code, ERR_USAGE);
	assert_non_null(strstr(err.msg, "--tls"));
	assert_null(PARSE(&err, "--tls="));
}

static void lists_repeat_and_texts_are_replaced(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct options *o =
		PARSE(&err, "-H", "tcp://a:1", "--addr", "x:1", "--host=tcp://b:2", "--addr=y:2");
	assert_non_null(o);
	const struct str_list *hosts = options_list(o, "host");
	assert_int_equal(hosts->len, 2);
	assert_string_equal(hosts->items[0], "tcp://a:1");
	assert_string_equal(hosts->items[1], "tcp://b:2");
	assert_string_equal(options_text(o, "advertise"), "y:2");
	options_free(o);
}

static void defaults_hold_when_nothing_is_given(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct options *o = parse_with(&table, &err, (const char *const[]){NULL});
	assert_non_null(o);
	assert_int_equal(options_list(o, "host")->len, 1);
	assert_string_equal(options_list(o, "host")->items[0], "tcp://127.0.0.1:2375");
	assert_false(options_is_set(o, "host"));
	assert_null(options_text(o, "advertise"));
	assert_false(options_bool(o, "tls"));
	long long value = 0;
	assert_int_equal(options_duration(o, "heartbeat", &value, &err), 0);
	assert_int_equal(value, 60000);
	assert_int_equal(options_number(o, "retry", &value, &err), 0);
	assert_int_equal(value, 3);
	options_free(o);
}

static void the_command_line_wins_over_the_environment(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	setenv("TEST_HOST", "tcp://e:1,unix:///e", 1);
	setenv("TEST_ADVERTISE", "e:1", 1);
	struct options *o = parse_with(&table, &err, (const char *const[]){NULL});
	assert_non_null(o);
	assert_int_equal(options_list(o, "host")->len, 2);
	assert_string_equal(options_list(o, "host")->items[1], "unix:///e");
	assert_string_equal(options_text(o, "advertise"), "e:1");
	assert_true(options_is_set(o, "advertise"));
	assert_false(options_is_given(o, "advertise"));
	options_free(o);
	o = PARSE(&err, "-H", "tcp://c:1", "--advertise", "c:1");
	assert_non_null(o);
	assert_int_equal(options_list(o, "host")->len, 1);
	assert_string_equal(options_list(o, "host")->items[0], "tcp://c:1");
	assert_string_equal(options_text(o, "advertise"), "c:1");
	options_free(o);
	/* An empty variable is as good as none. */
	setenv("TEST_ADVERTISE", "", 1);
	o = PARSE(&err, "-D");
	assert_non_null(o);
	assert_null(options_text(o, "advertise"));
	options_free(o);
}

static void arguments_may_stand_anywhere(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *const *forms[] = {
		WORDS("consul://s/p", "-H", "tcp://a:1", "--tls"),
		WORDS("-H", "tcp://a:1", "consul://s/p", "--tls"),
		WORDS("-H", "tcp://a:1", "--tls", "consul://s/p"),
		WORDS("-H", "tcp://a:1", "--tls", "--", "consul://s/p"),
	};
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct options *o = parse_with(&table, &err, forms[i]);
		assert_non_null(o);
		assert_true(options_bool(o, "tls"));
		assert_int_equal(options_arguments(o)->len, 1);
		assert_string_equal(options_arguments(o)->items[0], "consul://s/p");
		options_free(o);
	}
	assert_null(PARSE(&err, "one", "two"));
	assert_int_equal(err.code, ERR_USAGE);
	assert_string_equal(err.msg, "unexpected argument: two. See 'swarm test --help'.");
}

static void a_stopping_table_leaves_the_rest_alone(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct options *o = parse_with(&stopping_table, &err,
		WORDS("-l", "debug", "-debug", "manage", "-H", "tcp://a:1", "--no-such", "two"));
	assert_non_null(o);
	assert_string_equal(options_text(o, "log-level"), "debug");
	assert_false(options_is_given(o, "host"));
	const struct str_list *rest = options_arguments(o);
	assert_int_equal(rest->len, 5);
	assert_string_equal(rest->items[0], "manage");
	assert_string_equal(rest->items[3], "--no-such");
	options_free(o);
}

static void errors_name_the_flag(void **state)
{
	(void)state;
	static const struct {
		const char *words[3];
		const char *want;
	} cases[] = {
		{{"--no-such"}, "unknown flag: --no-such. See 'swarm test --help'."},
		{{"-no-such=3"}, "unknown flag: -no-such. See 'swarm test --help'."},
		{{"-x"}, "unknown flag: -x. See 'swarm test --help'."},
		{{"-Dx"}, "unknown flag: -x. See 'swarm test --help'."},
		{{"-"}, NULL},
		/* No abbreviations, unique or not. */
		{{"--tlsv"}, "unknown flag: --tlsv. See 'swarm test --help'."},
		{{"--adv", "a:1"}, "unknown flag: --adv. See 'swarm test --help'."},
		{{"-a", "a:1"}, "unknown flag: -a. See 'swarm test --help'."},
		{{"-r"}, "unknown flag: -r. See 'swarm test --help'."},
		{{"--tl"}, "unknown flag: --tl. See 'swarm test --help'."},
		{{"--advertise"}, "flag needs an argument: --advertise. See 'swarm test --help'."},
		{{"-addr"}, "flag needs an argument: -addr. See 'swarm test --help'."},
		{{"-H"}, "flag needs an argument: -H. See 'swarm test --help'."},
		{{"--advertise="}, "flag needs an argument: --advertise. See 'swarm test --help'."},
		{{"--advertise", ""},
			"flag needs an argument: --advertise. See 'swarm test --help'."},
		{{"--replication"}, "--replication: not in this version"},
		{{"--replication=false"}, "--replication: not in this version"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct options *o = parse_with(&table, &err, cases[i].words);
		if (cases[i].want == NULL) {
			assert_non_null(o);
			options_free(o);
			continue;
		}
		assert_null(o);
		assert_int_equal(err.code, ERR_USAGE);
		assert_string_equal(err.msg, cases[i].want);
	}
}

static void values_are_checked_when_they_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool is_good;
		long long want;
	} durations[] = {
		{"90s", true, 90000},
		{"1m30s", true, 90000},
		{"500ms", true, 500},
		{"20", true, 20000},
		{"-5s", true, -5000},
		{"soon", false, 0},
		{"5 s", false, 0},
		{"5x", false, 0},
		{"99999999999999999999s", false, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		struct err err = ERR_INIT;
		long long ms = 1;
		struct options *o = PARSE(&err, "--heartbeat", durations[i].text);
		assert_non_null(o);
		int rc = options_duration(o, "heartbeat", &ms, &err);
		assert_int_equal(rc, durations[i].is_good ? 0 : -1);
		if (rc == 0) {
			assert_int_equal(ms, durations[i].want);
		} else {
			assert_int_equal(err.code, ERR_USAGE);
			assert_ptr_equal(strstr(err.msg, "invalid --heartbeat: "), err.msg);
		}
		options_free(o);
	}
	static const char *const numbers[] = {"three", "3.5", "", "99999999999", "3 "};
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		struct err err = ERR_INIT;
		long long n = 0;
		struct options *o = PARSE(&err, "--retry", numbers[i]);
		if (o == NULL) {
			assert_string_equal(numbers[i], "");
			continue;
		}
		assert_int_equal(options_number(o, "retry", &n, &err), -1);
		assert_int_equal(err.code, ERR_USAGE);
		options_free(o);
	}
}

static void help_names_everything_but_what_is_refused(void **state)
{
	(void)state;
	CLEANUP_FREE char *text = options_help(&table, "Commands:\n  x\n");
	assert_non_null(strstr(text, "Usage: swarm test [OPTIONS] [DISCOVERY]\n"));
	assert_non_null(strstr(text, "  -H, --host ADDRESS\n"));
	assert_non_null(strstr(text, "  --advertise, --addr, --announce HOST:PORT\n"));
	assert_non_null(strstr(text, "May be repeated."));
	assert_non_null(strstr(text, "Default: 60s."));
	assert_non_null(strstr(text, "Environment: TEST_HOST."));
	assert_non_null(strstr(text, "\nCommands:\n  x\n"));
	assert_null(strstr(text, "replication"));
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") < 80);
}

static void parsing_twice_gives_the_same(void **state)
{
	(void)state;
	const char *const words[] = {"one", "-D", "--addr", "a:1", NULL};
	for (int i = 0; i < 3; i++) {
		struct err err = ERR_INIT;
		struct options *o = parse_with(&table, &err, words);
		assert_non_null(o);
		assert_true(options_bool(o, "debug"));
		assert_string_equal(options_text(o, "advertise"), "a:1");
		assert_string_equal(options_arguments(o)->items[0], "one");
		options_free(o);
		assert_null(PARSE(&err, "-D", "--no-such"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(both_dash_forms_and_both_separators, no_environment),
		cmocka_unit_test_setup(letters_take_values_in_every_form, no_environment),
		cmocka_unit_test_setup(letters_may_stand_together, no_environment),
		cmocka_unit_test_setup(booleans_take_values_only_behind_equals, no_environment),
		cmocka_unit_test_setup(lists_repeat_and_texts_are_replaced, no_environment),
		cmocka_unit_test_setup(defaults_hold_when_nothing_is_given, no_environment),
		cmocka_unit_test_setup(the_command_line_wins_over_the_environment, no_environment),
		cmocka_unit_test_setup(arguments_may_stand_anywhere, no_environment),
		cmocka_unit_test_setup(a_stopping_table_leaves_the_rest_alone, no_environment),
		cmocka_unit_test_setup(errors_name_the_flag, no_environment),
		cmocka_unit_test_setup(values_are_checked_when_they_are_read, no_environment),
		cmocka_unit_test_setup(help_names_everything_but_what_is_refused, no_environment),
		cmocka_unit_test_setup(parsing_twice_gives_the_same, no_environment),
	};
	return cmocka_run_group_tests_name("cli_options", tests, NULL, NULL);
}
