/* What the options of `swarm manage` become, told by a manager that the test plays. */
#include "cli/manage_command.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

/* ---- The manager that is played ---- */

struct manage {
	const struct manage_config *config;
};

static struct manage the_manager;
static int runs, frees;
static void (*check)(const struct manage_config *config);

struct manage *manage_new(const struct manage_config *config, struct err *err)
{
	the_manager.config = config;
	if (check == NULL) {
		err_set(err, ERR_SYSTEM, "cannot listen");
		return NULL;
	}
	return &the_manager;
}

void manage_run(struct manage *manage)
{
	runs++;
	check(manage->config);
}

void manage_free(struct manage *manage)
{
	assert_ptr_equal(manage, &the_manager);
	frees++;
}

static int run(
	struct err *err, void (*check_with)(const struct manage_config *), const char *const *words)
{
	char *argv[64] = {(char *)"manage"};
	int argc = 1;
	for (; words[argc - 1] != NULL; argc++)
		argv[argc] = (char *)words[argc - 1];
	struct options *options = options_parse(command_manage.table, argc, argv, err);
	assert_non_null(options);
	check = check_with;
	runs = frees = 0;
	int rc = command_manage.run(options, err);
	options_free(options);
	return rc;
}

#define RUN(err, check, ...) run(err, check, (const char *const[]){__VA_ARGS__, NULL})

static int no_environment(void **state)
{
	(void)state;
	unsetenv("SWARM_DISCOVERY");
	unsetenv("SWARM_HOST");
	unsetenv("SWARM_STRATEGY");
	return 0;
}

/* ---- Tests ---- */

static void check_defaults(const struct manage_config *c)
{
	assert_string_equal(c->version, PACKAGE_VERSION);
	assert_string_equal(c->discovery, "nodes://a:1");
	assert_int_equal(c->discovery_options->len, 0);
	assert_int_equal(c->hosts->len, 1);
	assert_string_equal(c->hosts->items[0], "tcp://127.0.0.1:2375");
	assert_int_equal(c->heartbeat_ms, 60000);
	assert_string_equal(c->strategy, "spread");
	assert_int_equal(c->filters->len, 0);
	assert_int_equal(c->refresh_min_ms, 30000);
	assert_int_equal(c->refresh_max_ms, 60000);
	assert_int_equal(c->failure_retry, 3);
	assert_true(c->overcommit > 0.0499 && c->overcommit < 0.0501);
	assert_int_equal(c->create_retry, 0);
	assert_false(c->volumes_everywhere);
	assert_int_equal(c->shares, CREATE_SHARES_AUTO);
	assert_false(c->tls || c->tls_verify);
	assert_null(c->tls_ca);
	assert_null(c->tls_cert);
	assert_null(c->tls_key);
}

static void defaults_are_those_of_old(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(RUN(&err, check_defaults, "nodes://a:1"), 0);
	assert_int_equal(runs, 1);
	assert_int_equal(frees, 1);
}

static void check_all(const struct manage_config *c)
{
	assert_string_equal(c->discovery, "consul://s/p");
	assert_int_equal(c->discovery_options->len, 2);
	assert_string_equal(c->discovery_options->items[0], "kv.path=x");
	assert_string_equal(c->discovery_options->items[1], "kv.token=a=b");
	assert_int_equal(c->hosts->len, 2);
	assert_string_equal(c->hosts->items[1], "unix:///x");
	assert_int_equal(c->origins->len, 1);
	assert_string_equal(c->origins->items[0], "https://ui");
	assert_int_equal(c->host_names->len, 2);
	assert_int_equal(c->heartbeat_ms, 1500);
	assert_string_equal(c->strategy, "binpacking");
	assert_int_equal(c->filters->len, 2);
	assert_string_equal(c->filters->items[0], "port");
	assert_string_equal(c->filters->items[1], "health");
	assert_int_equal(c->refresh_min_ms, 5000);
	assert_int_equal(c->refresh_max_ms, 5000);
	assert_int_equal(c->failure_retry, 7);
	assert_true(c->overcommit > -0.51 && c->overcommit < -0.49);
	assert_int_equal(c->create_retry, 2);
	assert_true(c->volumes_everywhere);
	assert_int_equal(c->shares, CREATE_SHARES_WEIGHT);
	assert_true(c->tls);
	assert_true(c->tls_verify);
	assert_string_equal(c->tls_ca, "ca.pem");
	assert_string_equal(c->tls_cert, "cert.pem");
	assert_string_equal(c->tls_key, "key.pem");
}

static void every_option_arrives(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(
		RUN(&err, check_all, "-H", "tcp://0.0.0.0:1", "-host=unix:///x", "--heartbeat",
			"1.5s", "-strategy=binpacking", "--filter=port", "-f", "health",
			"--engine-refresh-min-interval=5s", "--engine-refresh-max-interval=5",
			"--engine-failure-retry=7", "--cluster-opt", "swarm.overcommit=-0.5",
			"--cluster-opt", "swarm.createretry=2", "--cluster-opt",
			"swarm.volumes=all", "--cluster-opt", "swarm.cpushares=weight",
			"--discovery-opt", "kv.path=x", "--discovery-opt=kv.token=a=b",
			"--tlsverify", "--tlscacert=ca.pem", "--tlscert=cert.pem",
			"--tlskey=key.pem", "--origin", "https://ui", "--host-name=a",
			"--host-name=b", "--discovery", "consul://s/p"),
		0);
	assert_int_equal(runs, 1);
}

static void check_unverified(const struct manage_config *c)
{
	assert_true(c->tls);
	assert_false(c->tls_verify);
	assert_null(c->tls_ca);
}

static void tls_alone_verifies_nobody(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(
		RUN(&err, check_unverified, "--tls", "--tlscert=c", "--tlskey=k", "a:1"), 0);
	assert_int_equal(RUN(&err, check_unverified, "--tls", "--tlsverify=false", "--tlscert=c",
				 "--tlskey=k", "a:1"),
		0);
}

static void check_environment(const struct manage_config *c)
{
	assert_string_equal(c->discovery, "nodes://e:1");
	assert_int_equal(c->hosts->len, 2);
	assert_string_equal(c->hosts->items[0], "tcp://e:1");
	assert_string_equal(c->strategy, "random");
}

static void the_environment_stands_in(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	setenv("SWARM_DISCOVERY", "nodes://e:1", 1);
	setenv("SWARM_HOST", "tcp://e:1,tcp://e:2", 1);
	setenv("SWARM_STRATEGY", "random", 1);
	assert_int_equal(RUN(&err, check_environment, "--refresh-on-node-filter",
				 "--container-name-refresh-filter", "x"),
		0);
	assert_int_equal(runs, 1);
	/* The variable and the argument together are no contradiction: the argument wins. */
	setenv("SWARM_STRATEGY", "spread", 1);
	unsetenv("SWARM_HOST");
	assert_int_equal(RUN(&err, check_defaults, "nodes://a:1"), 0);
}

static void a_manager_that_cannot_start_is_an_error(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(RUN(&err, NULL, "nodes://a:1"), -1);
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_string_equal(err.msg, "cannot listen");
	assert_int_equal(runs + frees, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults_are_those_of_old, no_environment),
		cmocka_unit_test_setup(every_option_arrives, no_environment),
		cmocka_unit_test_setup(tls_alone_verifies_nobody, no_environment),
		cmocka_unit_test_setup(the_environment_stands_in, no_environment),
		cmocka_unit_test_setup(a_manager_that_cannot_start_is_an_error, no_environment),
	};
	return cmocka_run_group_tests_name("cli_manage", tests, NULL, NULL);
}
