/* Inside of the simulated engines. An engine is a state machine without HTTP (engine.c and what
 * it stands on); http.c and the route files put the Docker Remote API before it.
 *
 *	simulator --owns--> sim_host (one per node: server, handler, faults)
 *	sim_host  --owns--> sim_engine --owns--> containers, images, networks, volumes, execs
 *	container --refs--> sim_spec (shared by equal requests), sim_image
 *
 * Operations return 0, or the HTTP status of the refusal with its text in err. */
#ifndef SIMULATOR_SIMULATOR_PRIV_H
#define SIMULATOR_SIMULATOR_PRIV_H

#include "http/stream.h"
#include "lib/buf.h"
#include "lib/env.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/loop.h"
#include "lib/str.h"

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#define SIM_REPLY_MAX (256u << 20) /* bytes of one whole answer */
#define SIM_BODY_MAX (4u << 20)    /* bytes of one request's JSON body */
#define SIM_LOG_MAX (64u << 10)    /* bytes of output kept per container */
#define SIM_EXECS_MAX 1000         /* finished and waiting exec instances kept per engine */
#define SIM_OBJECTS_MAX 100000     /* containers, images, networks, volumes: each, per engine */
#define SIM_ID_LEN 64
#define SIM_FILL_NAME "container-" /* of containers from the start; a number follows */

struct sim_engine;
struct sim_container;

/* Fills err's text and returns status. */
int sim_fail(struct err *err, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- JSON text in the order in which an engine writes it (json.c) ---- */

void sim_json_quote(struct buf *b, const char *s);
void sim_json_key(struct buf *b, const char *key); /* with the comma before, when needed */
void sim_json_item(struct buf *b);                 /* the comma before a list's item, when needed */
void sim_json_s(struct buf *b, const char *key, const char *value);
void sim_json_i(struct buf *b, const char *key, int64_t value);
void sim_json_b(struct buf *b, const char *key, bool value);
void sim_json_raw(struct buf *b, const char *key, const char *json);
/* The value as compact text with sorted keys; NULL gives otherwise. */
void sim_json_value(struct buf *b, const char *key, const json_t *value, const char *otherwise);
/* RFC 3339 with nanoseconds, trailing zeros cut, as Go prints times; 0 is year 1. */
void sim_json_time(struct buf *b, const char *key, int64_t ns);
void sim_time_text(int64_t ns, char *out, size_t out_size);
/* RFC 3339, with a fraction or without, in UTC or with an offset, or its date alone. -1: it is
 * neither. */
int sim_time_parse(const char *text, int64_t *ns) MUSTCHECK;
/* "Less than a second", "About a minute", "3 weeks", as an engine words durations. */
void sim_duration_text(int64_t seconds, char *out, size_t out_size);

/* Lines of progress of streamed answers. id NULL = none. */
void sim_progress(struct buf *b, const char *status, const char *id);
void sim_progress_detail(struct buf *b, const char *status, const char *id);
void sim_progress_stream(struct buf *b, const char *text);
void sim_progress_error(struct buf *b, const char *message);

/* ---- Patterns of the configuration (pattern.c) ---- */

/* Owned text, or NULL with err. */
char *sim_pattern_expand(const char *pattern, unsigned i, struct err *err) MUSTCHECK;

/* ---- What a create request asks for (spec.c) ---- */

struct sim_port_spec {
	uint16_t port;
	char proto[8];
	char *host_ip; /* NULL = none given */
	uint16_t host_first, host_last;
	bool bound;     /* has a binding; else exposed only */
	bool ephemeral; /* the binding names no host port */
};

struct sim_mount_spec {
	char *name;   /* volume, NULL = anonymous; unused for binds */
	char *source; /* host path of a bind; NULL for volumes */
	char *target;
	char *mode;
	bool rw, from_image;
};

struct sim_spec {
	UT_hash_handle hh;
	unsigned refs;
	char *key; /* host text, newline, config text */
	size_t host_len;
	char *image;   /* as asked for */
	char *command; /* as the list shows it */
	char *labels;  /* JSON object, sorted */
	char *network_mode;
	char *stop_signal, *user, *restart_policy;
	struct str_list argv;
	struct sim_port_spec *ports; /* sorted by port, protocol */
	size_t ports_len;
	struct sim_mount_spec *mounts;
	size_t mounts_len;
	int64_t memory, nano_cpus;
	unsigned restart_max;
	bool tty, open_stdin, stdin_once, auto_remove, publish_all;
	/* As inspect shows them, without the host name; NULL until several containers share it. */
	char *host_text, *config_text;
};

/* Specs of equal text are one object; owned by the simulator. */
struct sim_specs {
	struct sim_spec *by_key;
};
struct sim_image;
/* From a request's body (Config with HostConfig), merged with the image's defaults. The reference
 * is the caller's. Returns 0 or a status. */
int sim_spec_make(struct sim_specs *specs, const struct sim_engine *engine, const json_t *body,
	const struct sim_image *image, struct sim_spec **out, struct err *err) MUSTCHECK;
/* The same with changed HostConfig fields (update). */
int sim_spec_update(struct sim_specs *specs, struct sim_engine *engine, const char *id,
	const struct sim_spec *old, const json_t *changes, struct sim_spec **out,
	struct err *err) MUSTCHECK;
struct sim_spec *sim_spec_ref(struct sim_spec *spec);
void sim_spec_unref(struct sim_specs *specs, struct sim_spec *spec);
/* New references; never NULL. */
json_t *sim_spec_config(const struct sim_spec *spec);
json_t *sim_spec_host(const struct sim_spec *spec);
/* The containers' HostConfig and Config, as inspect shows them. */
void sim_spec_show_host(struct buf *b, struct sim_spec *spec);
void sim_spec_show_config(struct buf *b, struct sim_spec *spec, const char *hostname);
/* Writes Config and HostConfig as inspect shows them (fields.c). */
void sim_spec_write_config(
	struct buf *b, const json_t *config, const char *hostname, bool container_form);
void sim_spec_write_host(struct buf *b, const json_t *host);
/* A Config with an image's defaults, fields under their proper names. A new reference. */
json_t *sim_spec_merge(const json_t *body, const json_t *image);
/* The configuration of a container as images made of it get it. A new reference. */
json_t *sim_container_config(const struct sim_container *c);
/* Checks the JSON types of the fields of a create request. 0 or a status. */
int sim_spec_check_types(const json_t *body, struct err *err) MUSTCHECK;

/* ---- Programs (proc.c) ---- */

struct sim_proc;
enum {
	SIM_STDIN = 0,
	SIM_STDOUT = 1,
	SIM_STDERR = 2,
};
struct sim_proc_ops {
	void (*output)(void *arg, int fd, const char *data, size_t len);
	/* The program has ended by itself; never called from inside sim_proc_start. */
	void (*exit)(void *arg, int code);
};
struct sim_proc *sim_proc_new(struct loop *loop, const struct str_list *argv, bool has_stdin,
	bool tty, const struct sim_proc_ops *ops, void *arg);
void sim_proc_input(struct sim_proc *proc, const char *data, size_t len);
void sim_proc_input_end(struct sim_proc *proc);
void sim_proc_pause(struct sim_proc *proc, bool paused);
/* From now on what is not built in ends with 0 at once. */
void sim_proc_brief(struct sim_proc *proc);
void sim_proc_free(struct sim_proc *proc);
/* A program that does nothing until it is stopped; such need no sim_proc. */
bool sim_proc_is_idle(const struct str_list *argv, bool has_stdin, bool tty);

/* ---- Output that is kept (log.c) ---- */

struct sim_log;
struct sim_log *sim_log_new(void);
void sim_log_free(struct sim_log *log);
void sim_log_add(struct sim_log *log, int64_t ns, int fd, const char *data, size_t len);
struct sim_log_query {
	bool out, err, timestamps, framed;
	int64_t since_ns, until_ns; /* 0 = no bound */
	long long tail;             /* lines from the end; -1 = all */
};
/* One line (or a piece of one) as the logs endpoint sends it. */
void sim_log_write_entry(struct buf *b, const struct sim_log_query *query, int64_t ns, int fd,
	const char *data, size_t len);
void sim_log_write(const struct sim_log *log, const struct sim_log_query *query, struct buf *b);
void sim_frame(struct buf *b, int fd, const char *data, size_t len); /* stdcopy header and data */

/* ---- Networks and volumes (network.c, volume.c); images: image.h ---- */

struct sim_network {
	struct sim_network *prev, *next;
	char id[SIM_ID_LEN + 1];
	char *name, *driver, *labels, *options, *ipam; /* the last three JSON */
	bool internal, attachable, ipv6, predefined;
	uint32_t base;   /* of its IPv4 addresses; 0 = none */
	uint8_t bits;    /* of the prefix */
	uint8_t *in_use; /* bit per host number */
	size_t in_use_len;
	int64_t created_ns;
	unsigned endpoints; /* connected ones */
};

struct sim_endpoint {
	struct sim_endpoint *next;
	struct sim_network *network; /* NULL: not found yet (name then) */
	char *name;                  /* the network's, as asked for */
	char *aliases;               /* JSON list, or NULL */
	uint64_t id;                 /* seed of its 64 digits; 0 = not connected */
	uint32_t host;               /* number in the subnet; 0 = none */
	bool known;                  /* was connected once: the network's ID is shown */
};

struct sim_volume {
	struct sim_volume *prev, *next;
	char *name, *labels, *options; /* labels, options: JSON or NULL */
	int64_t created_ns;
	unsigned users; /* mounts of containers */
	bool anonymous;
};

struct sim_mount {
	struct sim_volume *volume; /* NULL = bind */
};

/* ---- Events (event.c) ---- */

struct sim_event_attr {
	const char *key, *value;
};
struct sim_event {
	int64_t time_ns;
	char *text; /* a line of JSON */
	size_t len;
};
typedef void sim_event_fn(
	void *arg, const json_t *event, const char *text, size_t len, int64_t time_ns);
struct sim_listener {
	struct sim_listener *prev, *next;
	sim_event_fn *fn;
	void *arg;
};
void sim_listen(struct sim_engine *e, struct sim_listener *listener);
void sim_unlisten(struct sim_engine *e, struct sim_listener *listener);
/* attrs end with a NULL key. The container's image, name and labels are added. */
void sim_event_container(struct sim_engine *e, const struct sim_container *c, const char *action,
	const struct sim_event_attr *attrs);
void sim_event_emit(struct sim_engine *e, const char *type, const char *action, const char *id,
	const struct sim_event_attr *attrs);
/* Past events in [since, until], oldest first. */
void sim_event_replay(
	struct sim_engine *e, int64_t since_ns, int64_t until_ns, sim_event_fn *fn, void *arg);

/* ---- Containers ---- */

enum sim_state {
	SIM_CREATED,
	SIM_RUNNING,
	SIM_PAUSED,
	SIM_RESTARTING,
	SIM_EXITED,
};

struct sim_port {
	uint16_t port, host_port;
	bool any; /* all addresses, of both families */
	char proto[8];
	char host_ip[46];
};

/* Called once: when the condition holds (removed: err NULL, code of the last exit), or with err
 * set. */
enum sim_condition {
	SIM_NOT_RUNNING,
	SIM_NEXT_EXIT,
	SIM_REMOVED,
};
struct sim_waiter {
	struct sim_waiter *prev, *next;
	enum sim_condition condition;
	void (*fn)(void *arg, int code);
	void *arg;
	struct sim_container *container; /* NULL after the call */
};

/* Who follows a container's output: attach and logs. data NULL: it has stopped; fd SIM_STDIN: it
 * has been started, and takes input from now on. */
struct sim_follower {
	struct sim_follower *prev, *next;
	void (*fn)(void *arg, int fd, const char *data, size_t len, int64_t ns);
	void *arg;
	struct sim_container *container; /* NULL once the container is gone or has stopped */
};

struct sim_container {
	RB_ENTRY(sim_container) by_id;
	RB_ENTRY(sim_container) by_name;
	struct sim_container *prev, *next; /* newest first */
	struct sim_engine *engine;
	char id[SIM_ID_LEN + 1];
	enum sim_state state;
	char *name;
	struct sim_spec *spec;
	struct sim_image *image;
	char *hostname; /* NULL: the ID's first 12 digits */
	int64_t created_ns, started_ns, finished_ns;
	uint64_t sandbox; /* seed of its 64 digits; 0 = none yet */
	uint32_t pid;
	int exit_code;
	unsigned restarts;
	bool stopped_by_user, was_started;
	bool is_handled; /* a request is at work: it does not remove itself now */
	char *error;
	struct sim_endpoint *endpoints;
	struct sim_port *ports;
	size_t ports_len;
	struct sim_mount *mounts; /* one per spec mount */
	struct sim_file *files;   /* what was put into it (files.c) */
	struct sim_proc *proc;
	struct loop_timer *restart_timer;
	struct sim_log *log;
	struct sim_waiter *waiters;
	struct sim_follower *followers;
};

RB_HEAD(sim_ids, sim_container);
RB_HEAD(sim_names, sim_container);
RB_PROTOTYPE(sim_ids, sim_container, by_id, )
RB_PROTOTYPE(sim_names, sim_container, by_name, )

struct sim_host_port {
	RB_ENTRY(sim_host_port) entry;
	uint16_t port;
	char proto[8];
	char ip[46]; /* "" = any */
};
RB_HEAD(sim_host_ports, sim_host_port);

/* ---- Exec instances (exec.c) ---- */

struct sim_exec {
	UT_hash_handle hh; /* oldest first */
	char id[SIM_ID_LEN + 1];
	struct sim_engine *engine;
	struct sim_container *container; /* NULL when it was removed */
	char container_id[SIM_ID_LEN + 1];
	struct str_list argv;
	bool tty, in, out, err, privileged, started, running;
	int exit_code;
	uint32_t pid;
	char *detach_keys;
	struct sim_proc *proc;
	/* The one client of its streams: fn with data NULL at the end. */
	void (*fn)(void *arg, int fd, const char *data, size_t len, int64_t ns);
	void *arg;
};
int sim_exec_create(struct sim_engine *e, const char *container, const json_t *body,
	struct sim_exec **out, struct err *err) MUSTCHECK;
struct sim_exec *sim_exec_find(struct sim_engine *e, const char *id, struct err *err);
/* 0, or a status (409 when it has run). fn may be NULL (detached). */
int sim_exec_start(struct sim_exec *x,
	void (*fn)(void *arg, int fd, const char *data, size_t len, int64_t ns), void *arg,
	struct err *err) MUSTCHECK;
void sim_exec_leave(struct sim_exec *x); /* its client has gone */
void sim_exec_write(struct buf *b, const struct sim_exec *x);
void sim_exec_discard(struct sim_exec *x);
void sim_exec_container_gone(struct sim_engine *e, struct sim_container *c, bool removed);

/* ---- The engine ---- */

struct sim_content;
struct sim_contents {
	struct sim_content *by_id; /* what images are; owned by the simulator */
};
struct sim_pushed;

struct sim_options {
	struct loop *loop;
	const struct env *env;
	struct sim_specs specs;
	struct sim_contents contents;
	struct sim_pushed *registry; /* what was pushed, by name */
	unsigned cpus;
	int64_t memory;
	char *server_version, *api_version, *api_min_version;
	unsigned api, api_min; /* major * 1000 + minor */
	unsigned events_kept;
};

struct sim_engine {
	struct sim_options *options;
	unsigned index;
	char *name;
	struct str_list labels;
	char id[60];
	char root[32]; /* "/var/lib/docker" */
	uint64_t rng;
	int64_t started_ns;
	uint32_t next_pid;
	struct sim_ids ids;
	struct sim_names names;
	struct sim_container *containers; /* newest first */
	size_t containers_len, running, paused;
	struct sim_image *images;
	size_t images_len;
	struct sim_network *networks;
	size_t networks_len;
	struct sim_volume *volumes;
	size_t volumes_len;
	struct sim_host_ports host_ports;
	uint16_t next_tcp, next_udp;
	struct sim_exec *execs;
	struct sim_listener *listeners;
	size_t listeners_len;
	struct sim_event *events; /* ring */
	size_t events_cap, events_first, events_len;
};

/* name and labels are taken over. seed 0 = by chance. */
struct sim_engine *sim_engine_new(struct sim_options *options, unsigned index, char *name_take,
	struct str_list *labels_take, uint64_t seed);
void sim_engine_free(struct sim_engine *e);
uint64_t sim_random(struct sim_engine *e);
void sim_hex(uint64_t seed, char out[SIM_ID_LEN + 1]);
int64_t sim_now(const struct sim_engine *e);

/* Containers: container.c. name NULL or "" = one is made up. */
int sim_container_create(struct sim_engine *e, const char *name, const json_t *request,
	struct sim_container **out, struct err *err) MUSTCHECK;
/* Another one on the same engine that was asked for in the same words, but for its name. */
int sim_container_create_like(const struct sim_container *model, const char *name,
	struct sim_container **out, struct err *err) MUSTCHECK;
/* Full ID, name (with or without '/'), or unique prefix of an ID. NULL with err (*status 404, 400).
 */
struct sim_container *sim_container_find(
	struct sim_engine *e, const char *key, int *status, struct err *err);
int sim_container_remove(
	struct sim_container *c, bool force, bool volumes, struct err *err) MUSTCHECK;
int sim_container_rename(struct sim_container *c, const char *name, struct err *err) MUSTCHECK;
int sim_container_update(struct sim_container *c, const json_t *body, struct err *err) MUSTCHECK;
bool sim_container_is_running(const struct sim_container *c); /* paused ones too */
const char *sim_state_name(enum sim_state state);
void sim_container_status(const struct sim_container *c, int64_t now_ns, char *out, size_t size);

/* Life: run.c. Each returns 0 (done), 304 (already so), or a status with err. */
int sim_container_start(struct sim_container *c, struct err *err) MUSTCHECK;
int sim_container_stop(struct sim_container *c, struct err *err) MUSTCHECK;
int sim_container_restart(struct sim_container *c, struct err *err) MUSTCHECK;
int sim_container_kill(
	struct sim_container *c, const char *key, const char *signal, struct err *err) MUSTCHECK;
int sim_container_pause(struct sim_container *c, struct err *err) MUSTCHECK;
int sim_container_unpause(struct sim_container *c, struct err *err) MUSTCHECK;
/* Takes a container that does not run out of the engine, and frees it. */
void sim_container_drop(struct sim_container *c, bool volumes);
/* Ends its program with that status; the container may be gone afterwards. */
void sim_container_end(struct sim_container *c, int code);
void sim_container_wait(struct sim_container *c, struct sim_waiter *waiter);
void sim_container_wait_cancel(struct sim_waiter *waiter);
void sim_container_wake(struct sim_container *c, bool removed);
void sim_container_follow(struct sim_container *c, struct sim_follower *follower);
void sim_container_unfollow(struct sim_follower *follower);
void sim_container_input(struct sim_container *c, const char *data, size_t len);
void sim_container_input_end(struct sim_container *c);
/* Signal number of "9", "KILL", "SIGKILL"; -1. */
int sim_signal_number(const char *name);

/* Ports: port.c */
int sim_ports_parse(struct sim_spec *spec, const json_t *exposed, const json_t *bindings,
	struct err *err) MUSTCHECK;
int sim_ports_allocate(struct sim_container *c, const char *endpoint, struct err *err) MUSTCHECK;
void sim_ports_release(struct sim_container *c);
void sim_ports_free(struct sim_engine *e);
void sim_ports_write_map(struct buf *b, const struct sim_container *c);  /* NetworkSettings.Ports */
void sim_ports_write_list(struct buf *b, const struct sim_container *c); /* Ports of lists */

/* Networks */
void sim_networks_init(struct sim_engine *e);
void sim_networks_free(struct sim_engine *e);
struct sim_network *sim_network_find(struct sim_engine *e, const char *key);
/* *warning: NULL, or an owned text. */
int sim_network_create(struct sim_engine *e, const json_t *body, struct sim_network **out,
	char **warning, struct err *err) MUSTCHECK;
void sim_network_drop(struct sim_engine *e, struct sim_network *n);
int sim_network_remove(struct sim_engine *e, const char *key, struct err *err) MUSTCHECK;
int sim_network_connect(struct sim_engine *e, const char *key, const char *container,
	const json_t *config, struct err *err) MUSTCHECK;
int sim_network_disconnect(struct sim_engine *e, const char *key, const char *container, bool force,
	struct err *err) MUSTCHECK;
void sim_network_write(struct buf *b, const struct sim_engine *e, const struct sim_network *n,
	bool with_containers);
int sim_endpoints_init(
	struct sim_container *c, const json_t *networking, struct err *err) MUSTCHECK;
int sim_endpoints_up(struct sim_container *c, struct err *err) MUSTCHECK;
void sim_endpoints_down(struct sim_container *c);
void sim_endpoints_free(struct sim_container *c);
void sim_endpoints_write(struct buf *b, const struct sim_container *c); /* Networks */
struct sim_address {
	char ip[16], gateway[16], mac[20];
	unsigned bits;
};
void sim_endpoint_address(const struct sim_endpoint *ep, struct sim_address *out);

/* Volumes */
void sim_volumes_free(struct sim_engine *e);
struct sim_volume *sim_volume_find(struct sim_engine *e, const char *name);
int sim_volume_create(struct sim_engine *e, const char *name, const char *driver,
	const json_t *labels, const json_t *options, struct sim_volume **out,
	struct err *err) MUSTCHECK;
int sim_volume_remove(
	struct sim_engine *e, const char *name, bool force, struct err *err) MUSTCHECK;
void sim_volume_drop(struct sim_engine *e, struct sim_volume *v); /* must have no users */
void sim_volume_write(struct buf *b, const struct sim_engine *e, const struct sim_volume *v);
int sim_mounts_init(struct sim_container *c, struct err *err) MUSTCHECK;
void sim_mounts_events(struct sim_container *c, const char *action);
void sim_mounts_free(struct sim_container *c, bool remove_anonymous);
void sim_mounts_write(struct buf *b, const struct sim_container *c);

/* Views: view.c, info.c */
void sim_container_write(struct buf *b, const struct sim_container *c, bool size);
void sim_container_write_summary(
	struct buf *b, const struct sim_container *c, int64_t now_ns, bool size);
void sim_info_write(struct buf *b, const struct sim_engine *e);
void sim_version_write(struct buf *b, const struct sim_engine *e);
void sim_stats_write(struct buf *b, const struct sim_container *c, bool first);

#endif
