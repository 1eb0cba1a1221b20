/* The private side of a container's record, and how it is made. Inside the data half only. */
#ifndef CLUSTER_RECORD_H
#define CLUSTER_RECORD_H

#include "cluster/cluster_priv.h"
#include "lib/json_read.h"

struct exec;

/* The place in the order of lists: newest first, then by ID, then by node (the same container on
 * two: a cloned machine). No two records in the inventory share it. */
struct record_age {
	int64_t ns;
	const char *id;
	uint64_t node;
};

/* One block of memory: the struct, its arrays, its texts. Interned are row_template, and with
 * others' texts view.image, view.image_id, networks, and the labels' keys and values, but for the
 * value that is view.swarm_id. */
struct container_record {
	struct container container; /* first: a container is its record */
	RB_ENTRY(container_record) by_age;
	struct record_age age; /* while it is in the inventory */
	unsigned state;        /* the tree that it is in */
	uint32_t names_at;     /* place in node_inventory.names */
	struct index_entry by_id;
	struct index_entry *by_name;     /* names.len of them */
	struct index_entry *by_swarm_id; /* NULL = it has none */
	int64_t created_ns;
	uint64_t seq;            /* of the put that entered it; 0 = not in the inventory */
	uint64_t listed_at;      /* inventory_ask of the last list that held it */
	uint64_t listed_digest;  /* of the last entry that was found to be the record's; 0 = none */
	size_t bytes;            /* its weight in node_inventory.bytes */
	bool is_light;           /* less than the engine told, for its node is over its share */
	bool is_partial;         /* of what the engine has, it knows a part */
	uint32_t at;             /* place in node_inventory.containers */
	uint32_t view_at;        /* place in node_inventory.views */
	const char *status_text; /* the engine's words, when there is no inspect to make our own */
	struct reservation *covers; /* the reservation that this is the container of */
	struct exec *execs;
	struct container_record *next_grave;
};

static inline struct container_record *container_record(const struct container *container)
{
	return (struct container_record *)(uintptr_t)container;
}

RB_PROTOTYPE(record_tree, container_record, by_age, record_age_cmp)
int record_age_cmp(const struct container_record *a, const struct container_record *b);

/* What a record is made of, with texts borrowed from the JSON. */
struct record_draft {
	struct container_record record; /* scalars only */
	const char *id, *swarm_id, *name, *image, *image_id, *status_text;
	struct view_label *labels;
	size_t labels_len, labels_cap;
	struct view_port *ports;
	size_t ports_len;
	struct view_port *exposed;
	size_t exposed_len;
	/* Owned copies. */
	struct str_list names, volumes, networks, published, container_ports;
	char *row_template, *row_values, *ports_json;
	size_t row_values_len;
};
/* Makes the record of a draft, with one reference. */
struct container_record *record_pack(struct node *node, const struct record_draft *draft);
void record_draft_free(struct record_draft *draft);

/* A deep copy of a view in one block, to be freed with free(). */
struct container_view *view_dup(const struct container_view *view);

/* What inspecting a container told, and those parts of it that are looked at more than once; all
 * zeros when there is no inspection. */
struct inspection {
	struct json_ref whole;
	struct json_ref config, host, settings; /* HostConfig, NetworkSettings */
};

/* ---- container_ports.c ---- */

/* view.ports, view.exposed, published and container_ports. */
void draft_ports(struct record_draft *draft, struct json_ref entry, const struct inspection *told);
/* "80/tcp" or "80": false unless the port is 1 to 65535. The protocol is a static text. */
bool port_parse(const char *text, uint16_t *port, const char **protocol);

/* ---- container_summary.c ---- */

/* The row. text: what entry was read from, and a NUL. templates: those of other rows, which need no
 * look at what is in them. */
void draft_summary(struct record_draft *draft, const struct interned *templates,
	struct json_ref entry, const char *text, size_t len);
/* The row of what remains of an entry that is too long to be kept in memory for every list. */
void draft_row_short(struct record_draft *draft, struct json_ref entry);
/* ports_json. ip stands where the engine says "any address". */
void draft_ports_text(struct record_draft *draft, struct json_ref entry, const char *ip);

/* ---- container_row.c ---- */

/* row_template and row_values of an entry, JSON that was read or written already, and a NUL. False,
 * and nothing set, when it is longer than a row may be. */
bool draft_row(struct record_draft *draft, const char *entry);
bool row_is_same(const struct record_draft *draft, const struct container *container);

/* ---- container_status.c ---- */

/* Nanoseconds since 1970 of an RFC 3339 time; 0 when it is malformed, before 1970 or after 2261. */
int64_t time_parse_ns(const char *s);

/* ---- schema.c ---- */

/* A field that clients decode, and the type they decode it into. */
enum field_type {
	FIELD_TEXT,
	FIELD_INT,
	FIELD_BOOL,
	FIELD_TEXTS,    /* array of texts */
	FIELD_TEXT_MAP, /* object of texts */
	FIELD_OBJECT,
	FIELD_ARRAY,      /* array of objects */
	FIELD_OBJECT_MAP, /* object of objects */
};
struct field {
	const char *name;
	enum field_type type;
	const struct field *inner; /* fields of the objects inside; NULL = not looked at */
};
/* Tables end with a NULL name. Null and missing fields are fine. True when every field that is
 * there has its type: one that had not would make a client refuse the whole list. */
bool fields_fit(struct json_ref object, const struct field *fields);
/* Takes out of object (and of what is in it) every field that does not fit. */
void fields_clean(json_t *object, const struct field *fields);

/* ---- outcome.c ---- */

/* Of a request to a node that was not answered: from when on its lists tell whether it was done. */
struct outcome {
	uint64_t since_ms;
	uint64_t settled_at; /* as inventory_ask counts; 0 = it may be under way still */
};
void outcome_init(struct outcome *outcome, const struct node *node);
/* The engine does nothing more about it. */
void outcome_settle(struct outcome *outcome, struct inventory *inventory);
/* Settles what is old enough. */
void outcome_tick(struct outcome *outcome, struct inventory *inventory, uint64_t now);
/* Whether a list that was asked for then tells. */
bool outcome_is_told(const struct outcome *outcome, uint64_t asked_at);

/* ---- other files of the data half ---- */

/* reservation.c: a record came or goes; keeps it from counting beside its reservation. */
void reservations_cover(struct container_record *record);
void reservations_uncover(struct container_record *record);
void reservations_drop_node(struct node *node);
void reservations_tick(struct inventory *inventory, uint64_t now);
/* For those that were left: the node is not healthy any more; and its list, whose containers are
 * all put, was asked for at asked_at. */
void reservations_node_down(struct node *node);
void reservations_listed(struct node *node, uint64_t asked_at);
void reservations_detach_all(struct inventory *inventory);
/* What it holds on its node; NULL while it holds nothing there. */
const struct container_view *reservation_view(const struct reservation *reservation);
/* promise.c */
void promises_drop_node(struct node *node);
void promises_tick(struct inventory *inventory, uint64_t now);
void promises_node_down(struct node *node);
void promises_listed(struct node *node, enum promise_kind kind, uint64_t asked_at);
void promises_detach_all(struct inventory *inventory);

/* networks.c: whether it is said to be one for all nodes. What the engine's own driver makes is on
 * its machine, whatever it says. */
bool network_is_shared(const struct network *network);
bool volume_is_shared(const struct volume *volume);

/* project.c: the project that something is of, by its label; "" = none. */
const char *project_of_entry(struct json_ref entry);
void project_enter(struct inventory *inventory, enum project_kind kind, struct index_entry *entry,
	const char *project, const struct node *node, void *item);

/* name_text.c: the record's names go into the text of its node, and out. */
void name_text_add(struct container_record *record);
void name_text_remove(struct container_record *record);
/* execs.c */
void execs_move(struct container_record *from, struct container_record *to);
void execs_drop(struct container_record *record);
void execs_free(struct inventory *inventory);
/* inventory_nodes.c: view.containers. at is kept current while the view is in. */
void node_view_add(struct node *node, const struct container_view *view, uint32_t *at);
void node_view_remove(struct node *node, const struct container_view *view, uint32_t at);
/* node_parts.c */
void node_parts_set_health(struct node *node, bool is_healthy);
void node_parts_drop_node(struct node *node);
void node_parts_sweep(struct inventory *inventory);
/* inventory_containers.c */
void containers_drop_node(struct node *node);

#endif
