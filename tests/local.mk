# Tests that belong to no one folder. A folder's unit tests stand in its own local.mk.

# The tree itself: who includes whom, and headers that compile alone.
EXTRA_DIST += scripts/check-tree docs/internals/dependencies.md docs/internals/inventory.md docs/internals/builds.md docs/internals/versions.md docs/internals/nodes.md
dist_check_SCRIPTS += tests/check-tree.sh tests/check-tree-finds.sh
# The table of routes in the documentation.
EXTRA_DIST += docs/api.md docs/internals/architecture.md docs/internals/lists.md docs/internals/performance.md docs/internals/transfer.md tests/instructions.sh
dist_check_SCRIPTS += tests/check-routes.sh
AM_TESTS_ENVIRONMENT += \
	AWK='$(AWK)'; export AWK; CC='$(CC)'; export CC; \
	TREE_CPPFLAGS='$(DEFS) $(AM_CPPFLAGS) $(MICROHTTPD_CFLAGS) $(CURL_CFLAGS) $(OPENSSL_CFLAGS) $(CMOCKA_CFLAGS) $(CPPFLAGS)'; \
	export TREE_CPPFLAGS;

# Scripts, and the tests of the whole.
EXTRA_DIST += docs/simulator.md README.md NEWS CONTRIBUTING.md SECURITY.md LICENSE .ci/run \
	scripts/debian-source scripts/install-consul scripts/install-newer-docker scripts/quickstart \
	scripts/fuzz scripts/setup scripts/test scripts/tidy .clang-tidy .shellcheckrc \
	tests/integration/conftest.py \
	tests/integration/lab/__init__.py tests/integration/lab/certs.py \
	tests/integration/lab/cli.py tests/integration/lab/consul.py \
	tests/integration/lab/engine.py tests/integration/lab/etcd.py \
	tests/integration/lab/fail_call.c tests/integration/lab/fake_engine.py \
	tests/integration/lab/http.py tests/integration/lab/likeness.py \
	tests/integration/lab/machine.py \
	tests/integration/lab/registry.py tests/integration/lab/swarm.py \
	tests/integration/lab/volume_plugin.py tests/integration/lab/waiting.py \
	tests/integration/test_aborts.py tests/integration/test_clients.py \
	tests/integration/test_create_images.py \
	tests/integration/test_discovery.py tests/integration/test_failing_calls.py \
	tests/integration/test_faults.py \
	tests/integration/test_global_scope.py \
	tests/integration/test_inventory.py tests/integration/test_lists.py \
	tests/integration/test_networks.py tests/integration/test_proxy.py \
	tests/integration/test_quick.py tests/integration/test_schedule.py tests/integration/test_simulator.py \
	tests/integration/test_fleet_trouble.py tests/integration/test_simulator_fleet.py \
	tests/integration/test_smuggling.py tests/integration/test_startup.py \
	tests/integration/test_streams.py tests/integration/test_system.py \
	tests/integration/test_tls.py tests/integration/test_transfer.py \
	tests/integration/test_volumes.py \
	tests/integration/test_api_like_engine.py tests/integration/test_build.py \
	tests/integration/test_cli_like_engine.py tests/integration/test_compose.py \
	tests/integration/test_sdk.py tests/integration/test_sdk_ruby.py \
	tests/integration/lab/sdk.rb \
	tests/integration/test_upgrade.py \
	tests/integration/test_images.py \
	tests/integration/test_events.py \
	tests/integration/test_versions.py
