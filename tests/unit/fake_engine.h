/* An engine for tests of cluster/ and api/: speaks just enough of the API over a plain socket, byte
 * by byte, so that it can also misbehave in every way a peer can. On the loop of the test. */
#ifndef TESTS_UNIT_FAKE_ENGINE_H
#define TESTS_UNIT_FAKE_ENGINE_H

#include "lib/buf.h"
#include "lib/loop.h"

/* 64 digits, for IDs of images. */
#define FAKE_HEX "1111111111111111111111111111111111111111111111111111111111111111"

enum fake_fault {
	FAKE_NONE,
	FAKE_SILENCE,         /* takes the request and says nothing */
	FAKE_GARBAGE,         /* bytes that are not HTTP */
	FAKE_ENDLESS_HEADERS, /* a head that never ends */
	FAKE_TRUNCATED,       /* half of the body, then closes */
	FAKE_NOT_JSON,        /* a body that is not JSON */
	FAKE_WRONG_TYPE,      /* JSON of another type */
	FAKE_ERROR,           /* 500 */
	FAKE_EMPTY,           /* 200 and no body */
	FAKE_CLOSE,           /* closes without a word */
	FAKE_ENDLESS_BODY,    /* one string that never ends */
	FAKE_HTTPS,           /* what a Go server says to plain HTTP on its TLS port */
	FAKE_HOLD,            /* as it should be, but not before fake_engine_release */
};

struct fake_container {
	char id[65];
	char name[32];
	char state[16];  /* "running", "exited", ... */
	char status[64]; /* "Up 5 minutes" */
	char started[40];
	const char *label; /* value of the one that it has; NULL = none */
	bool is_gone;
	enum fake_fault fault; /* of its inspection */
};

struct fake_client;
struct fake_engine {
	struct loop *loop;
	int fd;      /* -1 = not listening: refused */
	int port_fd; /* never listens; keeps the port from others while the engine is stopped */
	uint16_t port;
	struct loop_watch *watch;
	struct fake_client *clients;
	char id[64], name[64];
	const char *api, *api_min;               /* "1.41", "1.12" */
	const char *labels;                      /* JSON array */
	const char *images, *networks, *volumes; /* JSON answers */
	struct fake_container containers[64];
	size_t containers_len;
	bool is_paused;         /* like SIGSTOP: accepts, reads nothing, says nothing */
	const char *fault_path; /* what the fault is for: "/info", "/containers/json", ... */
	enum fake_fault fault;
	char *history[64]; /* events that were emitted, for since */
	size_t history_len;
	const char *exec_id; /* of an instance in its first container; NULL = none */
	bool splits_events;  /* sends them one byte at a time */
	bool has_since;      /* of the last GET /events */
	unsigned requests, pings, infos, lists, filtered, inspects, parts, streams, creates, execs;
};

struct fake_engine *fake_engine_new(struct loop *loop, const char *id, const char *name);
void fake_engine_free(struct fake_engine *engine);
/* "127.0.0.1:PORT" */
char *fake_engine_addr(const struct fake_engine *engine);
/* As if the process died; and came back at the same port. */
void fake_engine_stop(struct fake_engine *engine);
void fake_engine_start(struct fake_engine *engine);
/* As SIGSTOP and SIGCONT. */
void fake_engine_pause(struct fake_engine *engine);
void fake_engine_resume(struct fake_engine *engine);
/* Requests that are held, and the answers to them, whatever the fault is by now. */
size_t fake_engine_held(const struct fake_engine *engine);
/* Requests that wait for the answer to one before them on their connection. */
size_t fake_engine_waiting(const struct fake_engine *engine);
void fake_engine_release(struct fake_engine *engine);

/* Adds a container "running"; no event. Its ID is made of its number. */
struct fake_container *fake_engine_add(struct fake_engine *engine, const char *name);
/* An event of a container, now; given to the streams unless is_lost. */
void fake_engine_event(struct fake_engine *engine, const struct fake_container *container,
	const char *action, bool is_lost);
/* Any text to the streams. */
void fake_engine_send(struct fake_engine *engine, const char *text, size_t len);
/* Closes the event streams. */
void fake_engine_drop_streams(struct fake_engine *engine);
size_t fake_engine_open_streams(const struct fake_engine *engine);
/* All connections that are open, streams included. */
size_t fake_engine_connections(const struct fake_engine *engine);

#endif
