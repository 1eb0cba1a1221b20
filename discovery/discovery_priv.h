/* What discovery.c and its back ends say to each other. */
#ifndef DISCOVERY_DISCOVERY_PRIV_H
#define DISCOVERY_DISCOVERY_PRIV_H

#include "discovery/discovery.h"

/* What a back end is opened with; everything is borrowed and outlives the back end. */
struct discovery_context {
	struct discovery *discovery; /* who is reported to */
	struct loop *loop;
	const struct env *env;
	struct client *client;
	const struct str_list *options; /* checked: each is "name=value" */
	uint64_t heartbeat_ms;          /* > 0 */
	uint64_t ttl_ms;                /* > 0 */
};

/* One back end. look, publish and withdraw start something that ends later (never from inside the
 * call) with exactly one report; discovery.c starts one of a kind at a time, decides when the next
 * one is due, and retries after errors. */
struct discovery_ops {
	const char *name;           /* for messages */
	const char *scheme;         /* before "://" */
	const char *const *options; /* NULL-ended names that --discovery-opt may set; may be NULL */
	/* place is what stands behind "://". NULL with err when it is malformed. Does no I/O that
	 * could block. */
	void *(*open)(const struct discovery_context *context, const char *place, struct err *err);
	/* Its lists are written by hand on this machine, so engines of this machine may stand in
	 * them by their socket. A list from elsewhere must not point to local files. */
	bool takes_sockets;
	/* Its entries vanish by themselves when they are not renewed. */
	bool expires;
	/* Starts to learn the full set; ends with discovery_report_set or discovery_report_error.
	 */
	void (*look)(void *self);
	/* Starts to make sure that addr (the same in every call) is registered; ends with
	 * discovery_report_published. NULL = it cannot register. */
	void (*publish)(void *self, const char *addr);
	/* Called after at least one publish. Starts to take back what it did, giving up a publish
	 * that has not ended (which then reports nothing); ends with discovery_report_withdrawn.
	 * NULL when publish is. */
	void (*withdraw)(void *self);
	/* Stops everything and frees; nothing is reported any more. */
	void (*close)(void *self);
};

extern const struct discovery_ops discovery_nodes_ops;
extern const struct discovery_ops discovery_file_ops;
extern const struct discovery_ops discovery_consul_ops;
extern const struct discovery_ops discovery_token_ops;

/* When to look again after a good answer: at once (a back end whose look waits for a change by
 * itself), never, or after so many milliseconds. */
#define DISCOVERY_LOOK_NOW 0
#define DISCOVERY_LOOK_NEVER UINT64_MAX

/* "host:port", or with takes_sockets also "unix:///path". */
int discovery_check_addr(const char *addr, bool takes_sockets, struct err *err) MUSTCHECK;

/* Adds what a token server's answer lists; at most ADDR_EXPAND_MAX + 1 entries are read. */
int token_parse_list(const char *text, size_t len, struct str_list *out, struct err *err) MUSTCHECK;

/* Sorted, each once. */
void discovery_sort_unique(struct str_list *addrs);
/* The ADDR_SPECIAL_* kind of a checked entry; 0 = none, or a name. */
unsigned discovery_special(const char *entry);

/* What the log was told of, so that it is told once. All zeros at first. */
struct discovery_entries {
	struct str_list bad;     /* entries of the last list that are no address, sorted */
	struct str_list special; /* and those of a refused kind */
};
/* Leaves in addrs what is believed, sorted and each once. What is skipped is named in the log when
 * the list before did not have it. */
void discovery_entries_clean(struct discovery_entries *entries, const struct discovery_ops *ops,
	unsigned refused, struct str_list *addrs);
void discovery_entries_free(struct discovery_entries *entries);

/* The reports. Each may close the discovery, and so free the back end, before it returns: reporting
 * is the last thing that a callback does. */

/* The full set as the store has it: any order, duplicates and malformed addresses allowed. The list
 * is emptied. */
void discovery_report_set(
	struct discovery *discovery, struct str_list *addrs_take, uint64_t look_again_ms);
void discovery_report_error(struct discovery *discovery, const struct err *err);
void discovery_report_published(struct discovery *discovery, const struct err *err);
void discovery_report_withdrawn(struct discovery *discovery, const struct err *err);

/* The back end noticed that a look is worth while before it is due. Nothing when one is under way
 * or nobody watches. */
void discovery_look_soon(struct discovery *discovery, uint64_t delay_ms);

/* The value of an option, the last one given; NULL when it is not. Borrowed. */
const char *discovery_option(const struct str_list *options, const char *name);

#endif
