# The program: main, options, the command table.

swarm_SOURCES = \
	cli/commands.h \
	cli/main.c \
	cli/options.c \
	cli/options.h \
	cli/options_help.c
swarm_LDADD = backends/libswarm_backends.a join/libswarm_join.a $(MANAGE_LIBS)

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_cli_options
endif
tests_unit_test_cli_options_SOURCES = \
	tests/unit/test_cli_options.c \
	cli/options.c \
	cli/options_help.c
tests_unit_test_cli_options_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cli_options_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
