/* The live half of a cluster: what keeps the inventory true. One struct node_live a node; the files
 * node.c (states), connect.c, sync.c, fetch.c, parts.c, watch.c (one engine's stream), event.c
 * (publication) share it. Inside cluster/ only.
 *
 * Owned by struct node while it is in the cluster. When the node is removed everything is cancelled
 * at once and the memory goes at the next turn, so that a callback on the way up the stack still
 * finds it, with is_removed set. */
#ifndef CLUSTER_LIVE_H
#define CLUSTER_LIVE_H

#include "cluster/cluster_priv.h"
#include "cluster/facts.h"
#include "cluster/json_split.h"
#include "lib/hash.h"

/* What an engine waits for its turn to, so that not all of a large fleet do it at once. */
enum turn_kind {
	TURN_CONNECT, /* until its event stream is open */
	TURN_SYNC,
	TURN_KINDS,
};
struct turns {
	unsigned taken, max;
	struct node_live *waiting; /* in order */
};

/* Times in milliseconds; one place, so that tests can run a hundred times faster. */
struct live_timing {
	unsigned probe;         /* between two probes of an engine that answers */
	unsigned probe_each;    /* least, times the number of nodes */
	unsigned probe_slot;    /* those due within so long are made together; 0 = each by itself */
	unsigned probe_spacing; /* least, between two that were asked for */
	unsigned probe_fast;    /* while one fails; up to half more at random */
	unsigned probe_timeout; /* for the answer */
	unsigned probe_fast_timeout; /* while one fails */
	unsigned down_after;         /* failing for less is no reason to change the state */
	unsigned settle;  /* unhealthy for this long: may turn to disconnected, and back */
	unsigned backoff; /* first wait between attempts to reach one that is down */
	unsigned backoff_max;
	unsigned stream_proof;     /* an event stream that ends before ended soon */
	unsigned connect;          /* deadlines: connection, */
	unsigned head;             /* a reply's head, */
	unsigned idle;             /* no byte of a body, */
	unsigned list;             /* a whole list, */
	unsigned inspect;          /* a whole object, */
	unsigned hold;             /* an event waits for the inventory */
	unsigned debounce;         /* changes of images, networks, volumes are gathered */
	unsigned period;           /* see LIVE_EVENTS_PERIOD_MAX */
	unsigned turn[TURN_KINDS]; /* who is slower than this lets others begin */
	unsigned resync_spacing;   /* least, between two regular ones, over all nodes */
};
extern const struct live_timing live_default_timing;

/* Of failure_retry: a node is down after so long, if timing.down_after is not less. */
#define LIVE_DOWN_AFTER_EACH_MS 3300

/* Bounds of what an engine can make us take. */
#define LIVE_PING_MAX (4 * 1024)
#define LIVE_INFO_MAX (1024 * 1024)
#define LIVE_PART_MAX (16 * 1024 * 1024)    /* a list of images, networks or volumes */
#define LIVE_OBJECT_MAX (4 * 1024 * 1024)   /* an inspection */
#define LIVE_ENTRY_MAX (1024 * 1024)        /* an entry of a list; a larger one is shortened */
#define LIVE_ENTRIES_MAX (16 * 1024 * 1024) /* entries that wait for their inspections */
#define LIVE_EVENT_MAX (1024 * 1024)        /* a larger one is shortened */
/* JSON grows when it is parsed: so many values and twice as many brackets, at most. */
#define LIVE_LIST_VALUES 1000000
#define LIVE_OBJECT_VALUES 100000
#define LIVE_INFO_VALUES 20000
#define LIVE_EVENTS_HELD_MAX 4096                /* events waiting, of one engine */
#define LIVE_EVENTS_HELD_BYTES (8 * 1024 * 1024) /* and their size */
#define LIVE_EVENTS_REMEMBERED 512               /* to know a repetition; an engine keeps 256 */
#define LIVE_EVENTS_OVERLAP_NS 1000000000 /* of a stream with the one that it takes over from */
/* Connections over which an engine is asked for containers: with its stream, no more than may stay
 * idle. While other engines wait for their turn it is one: they are asked beside it, and each
 * connection costs as much as the answers of several containers. */
#define LIVE_LINES_MAX 3
/* Questions under way on each. */
#define LIVE_LINE_LEN 8
/* From this version on, they are. Engines before it were built with a Go whose server takes the
 * next request for the end of the one before it (golang.org/doc/go1.11, net/http). */
#define LIVE_API_LINES "1.40"
#define LIVE_FETCHES_QUEUED_MAX 8192 /* beyond, an event asks for everything anew instead */
/* Events of one engine in one period; then its stream waits for the next. */
#define LIVE_EVENTS_PERIOD_MAX 500
#define LIVE_CONNECTS_MAX 64 /* engines connected at once, */
#define LIVE_SYNCS_MAX 64    /* and synchronised */

/* Callbacks that wait for the same thing. */
typedef void live_done_fn(void *arg, const struct err *err);
struct live_waiter {
	live_done_fn *done;
	void *arg;
	struct live_waiter *next;
};
void live_wait(struct live_waiter **list, live_done_fn *done, void *arg);
/* Empties the list, then calls them in the order of their coming. */
void live_wake(struct live_waiter **list, const struct err *err);

/* The cluster's live half. */
struct cluster_live {
	struct cluster *cluster;
	struct loop *loop;
	const struct env *env;
	struct client *client;
	struct tls_context *tls;
	struct live_timing timing;
	uint64_t refresh_min, refresh_max;
	unsigned failure_retry;
	unsigned refused;          /* ADDR_SPECIAL_* kinds that nodes' names must not stand for */
	uint64_t round;            /* of cluster_set_nodes */
	struct node_live *nodes;   /* hash by address */
	struct node_live *removed; /* to be freed by reap */
	struct facts *facts;       /* all that nodes tell */
	struct json_reader *reader;
	struct loop_timer *reap; /* at the next turn */
	struct loop_timer *tick; /* once a second */
	struct event_listener *listeners;
	unsigned publishing; /* depth of event_publish */
	struct turns turns[TURN_KINDS];
	unsigned long shortages; /* attempts that found this process short of descriptors */
	uint64_t shortage_told_at;
	struct live_call_later *later; /* done callbacks of the next turn */
	struct loop_timer *later_timer;
};

/* Calls done with this error (NULL = none) in the next turn, never now. */
void live_later(struct cluster_live *shared, live_done_fn *done, void *arg, const struct err *err);

enum connect_stage {
	CONNECT_NONE,
	CONNECT_TURN, /* waits for one */
	CONNECT_VERSION,
	CONNECT_PING,
	CONNECT_INFO,
	CONNECT_EVENTS,
	CONNECT_SYNC,
};

/* One full resynchronisation (sync.c). */
struct sync {
	bool is_running;
	struct call *call; /* the list of containers */
	struct json_split split;
	size_t listed;     /* entries of the list so far */
	uint64_t asked_at; /* inventory_ask before the question */
	int status;
	int64_t engine_now;   /* unix seconds, the engine's clock */
	unsigned outstanding; /* the list, and the containers being asked for */
	unsigned parts_asked; /* images, networks, volumes, behind these */
	unsigned timeouts;    /* containers that could not be asked */
	size_t changed;       /* containers that came, went or changed their state unnoticed */
	size_t good, bad;     /* of them: records made, and not */
	struct err *bad_err;  /* of the last of these */
	unsigned generation;  /* callbacks of an older one are ignored */
	live_done_fn *done;
	void *arg;
};

/* One part (images, networks, volumes) of a node (parts.c). */
struct part {
	struct node_live *live;
	const struct part_kind *kind;
	struct call *call;
	uint64_t asked_at; /* the call, as inventory_ask counts */
	int status;
	struct json_split split; /* of the answer, as it comes */
	size_t matched;          /* letters of what stands in front of the array */
	struct buf text;         /* the entries so far, an array that is still open */
	size_t values;           /* in it */
	size_t left_out;         /* entries for which there was no room */
	size_t left_out_logged;  /* of the last answer */
	struct loop_timer *debounce;
	struct live_waiter *waiters; /* of the call that runs, or of the next when none runs */
	struct live_waiter *next;    /* of the one after it */
	bool is_wanted;              /* once more, after the one that runs */
	bool is_bad; /* the last answer was none, or nonsense; not an error told in order */
};
enum { PARTS = 3 };

/* One engine's event stream (watch.c). */
struct watch {
	struct call *call;
	bool is_open; /* its head came */
	int status;   /* of the head */
	struct json_split split;
	uint64_t opened_at;   /* env time */
	unsigned early;       /* streams in a row that ended soon */
	unsigned drops;       /* streams in a row that told nonsense */
	int64_t since_nano;   /* where the next stream starts; 0 = now */
	int64_t from_nano;    /* where the first one started; 0 = none did */
	uint64_t *remembered; /* digests of the last events, a ring */
	size_t remembered_len, remembered_at;
	uint64_t seen;           /* events, for good */
	unsigned left_out;       /* of this stream, events that could not be read */
	int64_t clock_nano;      /* the engine's clock at */
	uint64_t clock_at;       /* env time; 0, 0 = it told none */
	struct held_event *held; /* oldest first */
	size_t held_len, held_bytes;
	struct loop_timer *timer;  /* when the first must go */
	struct loop_timer *check;  /* after a resync that found what no event told */
	uint64_t check_seen;       /* events, when that resync began */
	struct loop_timer *period; /* runs while events of this period are counted */
	unsigned period_events;
	bool is_paused; /* until the period ends */
};

struct node_live {
	bool is_removed;
	struct node *node; /* referenced */
	struct cluster_live *shared;
	char *addr;
	struct endpoint *endpoint;
	UT_hash_handle hh;             /* shared->nodes */
	uint64_t round;                /* of cluster_set_nodes that named it last */
	struct node_live *prev, *next; /* turns.waiting, shared->removed */

	enum node_state state; /* changes only in set_state */
	char *error;           /* of the last attempt that failed; NULL = none since one did not */
	bool was_healthy;
	struct facts *facts; /* of the last /info; NULL before the first */
	char api_max[12], api_min[12], api[12];
	char server_version[64];
	bool prefers_buildkit; /* says its /_ping */
	bool takes_lines;      /* requests that do not wait for answers */
	int64_t updated_at;    /* unix seconds */

	/* Attempts: a probe when the stream is open, else a connection (connect.c). */
	struct loop_timer *timer;
	uint64_t timer_at; /* env time it fires */
	struct call *probe;
	uint64_t attempt_at;    /* env time the last one began */
	unsigned failures;      /* in a row */
	uint64_t failing_since; /* env time the first of them began */
	uint64_t down_since;
	unsigned backoffs; /* attempts since it is down */
	struct loop_timer *resync_timer;
	struct node_waiter *waiters;

	enum connect_stage stage;
	bool is_resync; /* of stage: the stream stays */
	struct call *connect_call;
	enum turn_kind turn; /* the last that was asked for */
	bool has_turn, in_queue;
	struct loop_timer *turn_timer;
	struct loop_resolve *resolve;

	struct sync sync;
	struct fetch *fetches; /* hash by container ID */
	struct fetch *queue;   /* those that wait */
	size_t fetches_len;
	size_t entries_bytes; /* held by them */
	unsigned fetching;    /* of them under way */
	struct part parts[PARTS];
	struct watch watch;
};

/* ---- node.c ---- */

/* NULL and err when the address is none. The node is pending and contacted in the next turn. */
struct node_live *live_new(struct cluster *cluster, const char *addr, struct err *err) MUSTCHECK;
/* Takes the node out of the cluster: engine_disconnect, waiters, everything cancelled. */
void live_remove(struct node_live *live);
void live_free(struct node_live *live); /* after live_remove */
/* An attempt failed: counts, schedules the next, changes the state when it is time. */
void live_failed(struct node_live *live, const struct err *err);
void live_connected(struct node_live *live); /* the connection sequence is complete */
void live_pinged(struct node_live *live, const struct reply *reply); /* 200 from /_ping */
void live_answered(struct node_live *live);                          /* and is to be trusted */
/* The stream ended, or a resynchronisation failed: the engine must be connected anew.
 * is_suspicious: it told nonsense. */
void live_lost(struct node_live *live, bool is_suspicious, const struct err *err);
/* Brings the next full resynchronisation forward. */
void live_resync_soon(struct node_live *live);
/* Tries again now those that are not healthy. */
void live_retry_now(struct node_live *live);
void node_log(const struct node_live *live, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- call.c ---- */

/* GET of an API path (live_target is applied unless is_bare); the reply is collected. */
struct call *live_get(struct node_live *live, const char *path, size_t max, unsigned total_ms,
	call_collect_fn *done, void *arg);
/* The same; it may wait for others, see call_request.lines. */
struct call *live_get_in_line(struct node_live *live, const char *path, size_t max,
	unsigned total_ms, unsigned lines, call_collect_fn *done, void *arg);
/* GET /_ping of one node after the other. */
struct call *live_probe(
	struct node_live *live, unsigned total_ms, call_collect_fn *done, void *arg);
/* "/v1.41/..." */
char *live_target(const struct node_live *live, const char *path);
/* Text of an engine as JSON, a new reference, as json_parse_told reads it; ERR_TOO_LARGE when it
 * holds more than so many values. */
json_t *live_parse(const char *text, size_t len, size_t values_max, struct err *err) MUSTCHECK;
/* -1 with an error that says what was asked when there is no reply of status 200: ERR_UPSTREAM with
 * the engine's message, or ERR_NOT_FOUND for 404. */
int live_reply_check(const char *path, const struct reply *reply, const struct err *failed,
	struct err *err) MUSTCHECK;
/* The reply, an object that is only read: it lives until the next one is. No document, and an error
 * as live_reply_check has or ERR_UPSTREAM or ERR_TOO_LARGE, when there is none. */
struct json_ref live_reply_read(struct node_live *live, const char *path, const struct reply *reply,
	const struct err *failed, struct err *err) MUSTCHECK;
/* The error for such a status. */
int live_status_error(const char *path, const struct reply *reply, struct err *err);
/* RFC 3339 with fraction and offset to nanoseconds since 1970; 0 when it is none. */
int64_t live_parse_time(const char *text);
/* "Sat, 21 Nov 2026 09:27:02 GMT" to unix seconds; 0 when it is none. */
int64_t live_parse_date(const char *text);
uint64_t live_digest(const char *data, size_t len);

/* ---- connect.c ---- */

void connect_init(struct node_live *live);
void connect_free(struct node_live *live);
/* Version, info, event stream, everything the engine has; live_connected or live_failed follows. */
void connect_start(struct node_live *live);
/* Info and everything the engine has, while the stream stays; live_lost may follow. */
void connect_resync(struct node_live *live);
void connect_cancel(struct node_live *live);
void connect_stream_open(struct node_live *live);                   /* the watch has its head, */
void connect_failed(struct node_live *live, const struct err *err); /* or will never */

/* ---- sync.c ---- */

/* Everything anew. done is never called from inside, and not after sync_cancel. */
void sync_start(struct node_live *live, live_done_fn *done, void *arg);
void sync_cancel(struct node_live *live);

/* ---- fetch.c ---- */

/* One container anew, both by the list and by inspection. at_once: not behind others. */
void fetch_container(
	struct node_live *live, const char *id, bool at_once, live_done_fn *done, void *arg);
/* Its list entry (JSON text, copied) came with the whole list already. is_short: not all of it. */
void fetch_container_entry(struct node_live *live, const char *id, const char *entry, size_t len,
	bool is_short, live_done_fn *done, void *arg);
/* The container was destroyed: answers under way that still show it do not count. */
void fetch_forget(struct node_live *live, const char *id);
/* Forgets those of fetch_container_entry that were not started. */
void fetch_cancel_entries(struct node_live *live);
/* Ends all; their waiters get err. */
void fetch_cancel_all(struct node_live *live, const struct err *err);

/* ---- parts.c ---- */

void parts_init(struct node_live *live);
void parts_free(struct node_live *live);
/* True when the last answer for some part was none, or nonsense. An error that is told in order
 * (the engine has a broken volume plugin, say) does not count. */
bool parts_are_broken(const struct node_live *live);
void parts_cancel(struct node_live *live, const struct err *err);
/* debounced: wait a little for more of the same. done as in node_refresh_parts. */
void parts_refresh(
	struct node_live *live, unsigned parts, bool debounced, live_done_fn *done, void *arg);

/* ---- watch.c ---- */

void watch_init(struct node_live *live);
void watch_free(struct node_live *live);
/* Opens the stream where the last one ended; connect_stream_open or live_failed follows. */
void watch_open(struct node_live *live);
/* Events that came stay and are published when they can be. */
void watch_close(struct node_live *live);
/* The engine's clock now, in ns since 1970; 0 = it tells none. */
void watch_set_clock(struct node_live *live, int64_t engine_nano);
/* Publishes what may be published; after the node became healthy. */
void watch_flush(struct node_live *live);
/* Another engine answers at this address: where the stream stood means nothing any more. */
void watch_forget(struct node_live *live);
/* A resynchronisation found changes: unless events tell of them soon, the stream is dead. */
void watch_check(struct node_live *live);

/* ---- event.c ---- */

/* Adds what the manager adds, and gives it to the listeners. */
void event_publish(struct node_live *live, json_t *json);
/* engine_connect, engine_reconnect, engine_disconnect */
void event_publish_engine(struct node_live *live, const char *action);
/* The fields of an event in the form of any API version: borrowed, "" when missing. */
struct event_key {
	const char *type, *action, *id;
	int64_t time_nano;
};
void event_key_of(const json_t *event, struct event_key *out);
/* Those that are left hear nothing any more. */
void event_listeners_detach(struct cluster_live *shared);

#endif
