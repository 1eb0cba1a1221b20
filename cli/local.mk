# The program: main, options, the command table.

swarm_SOURCES = cli/main.c
swarm_LDADD = backends/libswarm_backends.a join/libswarm_join.a $(MANAGE_LIBS)
