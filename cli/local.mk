# The program: main, options, the command table; its manual page and units.

swarm_SOURCES = \
	cli/commands.h \
	cli/create_command.c \
	cli/discovery_options.c \
	cli/join_command.c \
	cli/list_command.c \
	cli/main.c \
	cli/manage_command.c \
	cli/manage_command.h \
	cli/manage_options.c \
	cli/options.c \
	cli/options.h \
	cli/options_help.c \
	cli/serve.c \
	cli/simulate_command.c \
	cli/tls_options.c \
	cli/token_server_command.c
# Handlers of simulator/ stand on cluster/ too, so they come in front of it.
swarm_LDADD = simulator/libswarm_simulator.a join/libswarm_join.a $(MANAGE_LIBS)

dist_man1_MANS = swarm.1

# Units are installed below the prefix: --prefix=/usr puts them where systemd looks.
systemdunitdir = $(prefix)/lib/systemd/system
nodist_systemdunit_DATA = packaging/swarm.service packaging/swarm-join.service
sysusersdir = $(prefix)/lib/sysusers.d
dist_sysusers_DATA = packaging/swarm.conf
EXTRA_DIST += \
	docs/commands.md \
	docs/internals/operations.md \
	packaging/swarm-join.service.in \
	packaging/swarm.default \
	packaging/swarm.service.in
CLEANFILES += $(nodist_systemdunit_DATA)

packaging/swarm.service: packaging/swarm.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) packaging && \
	sed 's|@bindir[@]|$(bindir)|g' $(srcdir)/packaging/swarm.service.in >$@.tmp && mv $@.tmp $@
packaging/swarm-join.service: packaging/swarm-join.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) packaging && \
	sed 's|@bindir[@]|$(bindir)|g' $(srcdir)/packaging/swarm-join.service.in >$@.tmp && mv $@.tmp $@

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_cli_manage tests/unit/test_cli_options
endif
# The manager is played by the test.
tests_unit_test_cli_manage_SOURCES = \
	tests/unit/test_cli_manage.c \
	cli/discovery_options.c \
	cli/manage_command.c \
	cli/manage_options.c \
	cli/options.c \
	cli/options_help.c \
	cli/tls_options.c
tests_unit_test_cli_manage_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cli_manage_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cli_options_SOURCES = \
	tests/unit/test_cli_options.c \
	cli/options.c \
	cli/options_help.c
tests_unit_test_cli_options_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cli_options_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)

dist_check_SCRIPTS += \
	tests/cli/errors.sh \
	tests/cli/flags.sh \
	tests/cli/join.sh \
	tests/cli/manage.sh \
	tests/cli/simulate.sh
EXTRA_DIST += tests/cli/tap.sh
