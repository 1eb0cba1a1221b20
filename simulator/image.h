/* Images of simulated engines. What an image is (its configuration, its ID, the layers' names) is
 * content, which all engines of a simulator share; an engine adds names to it. Layers have no
 * bytes. */
#ifndef SIMULATOR_IMAGE_H
#define SIMULATOR_IMAGE_H

#include "simulator/simulator_priv.h"

#define SIM_IMAGE_CONFIG_MAX (1u << 20) /* bytes of an image's configuration */
#define SIM_LAYERS_MAX 127              /* as many as an engine takes */

/* ---- Content (content.c) ---- */

struct sim_layer {
	char diff_id[SIM_ID_LEN + 1];
	int64_t size;
};
struct sim_content {
	UT_hash_handle hh;
	unsigned refs;
	char id[SIM_ID_LEN + 1]; /* the digest of text; without "sha256:" */
	char *text;              /* the image's configuration as archives hold it */
	size_t len;
	char *config; /* of it, what containers get: Cmd, Env, Labels ... JSON */
	int64_t created_ns, size;
	struct sim_layer *layers; /* bottom first */
	size_t layers_len;
};

/* sizes: one for each layer of rootfs.diff_ids, or NULL. A reference, or NULL with err. */
struct sim_content *sim_content_make(struct sim_contents *contents, const char *text, size_t len,
	const int64_t *sizes, struct err *err) MUSTCHECK;
/* What the registry has under a name nobody has pushed: the same on every engine. */
struct sim_content *sim_content_of_name(
	struct sim_contents *contents, const char *reference) MUSTCHECK;
struct sim_content *sim_content_ref(struct sim_content *c);
void sim_content_unref(struct sim_contents *contents, struct sim_content *c);
/* A layer's own ID in the engine's store: it depends on those below. i < layers_len. */
void sim_content_chain_id(const struct sim_content *c, size_t i, char out[SIM_ID_LEN + 1]);
/* The digest under which registries know it. */
void sim_content_manifest_digest(const struct sim_content *c, char out[SIM_ID_LEN + 1]);

/* What a new image adds to the one below it. */
struct sim_content_change {
	const struct sim_content *parent; /* NULL = from nothing */
	json_t *config;                   /* what containers get; borrowed */
	json_t *container_config;         /* borrowed; NULL = the same */
	const char *container, *comment, *author, *created_by;
	const char *layer; /* digits of the layer's content; NULL = none */
	int64_t size;      /* of the layer */
	const char *server_version;
	int64_t created_ns;
};
struct sim_content *sim_content_derive(struct sim_contents *contents,
	const struct sim_content_change *change, struct err *err) MUSTCHECK;

/* ---- Images of one engine (image.c) ---- */

struct sim_image {
	struct sim_image *prev, *next; /* newest first */
	unsigned refs;                 /* the engine's list, and containers */
	const char *id;                /* of the content */
	struct sim_content *content;
	struct sim_contents *contents; /* where that came from */
	struct sim_image *parent;      /* made from it here; NULL = none. A reference. */
	unsigned children;             /* images of the list that were made from it */
	bool is_listed;                /* in the engine's list */
	struct str_list tags;          /* repo:tag */
	struct str_list digests;       /* repo@sha256:... */
	int64_t tagged_ns;
};

void sim_images_free(struct sim_engine *e);
/* The image of this content, which is taken over; one that is there already, or a new one. NULL:
 * there are too many. */
struct sim_image *sim_image_put(
	struct sim_engine *e, struct sim_content *content_take, struct sim_image *parent);
/* Adds a reference ("nginx:latest", "a/b:c") as a pull of it does. NULL: there are too many. */
struct sim_image *sim_image_add(struct sim_engine *e, const char *reference);
struct sim_image *sim_image_find(struct sim_engine *e, const char *reference);
struct sim_image *sim_image_ref(struct sim_image *image);
void sim_image_unref(struct sim_image *image);
/* Owned "repo:tag" or "repo@digest" of a reference, or NULL with err (400). */
char *sim_image_normal(const char *reference, struct err *err) MUSTCHECK;
/* 404 in the engine's words. */
int sim_image_missing(const char *reference, struct err *err);
int sim_image_tag(struct sim_engine *e, const char *source, const char *repo, const char *tag,
	struct err *err) MUSTCHECK;
/* Moves the name (normal form) to this image. told: the name as the event says it; NULL = neither
 * an event nor a time of tagging. */
int sim_image_name(struct sim_engine *e, struct sim_image *image, const char *name,
	const char *told, struct err *err) MUSTCHECK;
void sim_image_add_digest(struct sim_image *image, const char *name);
void sim_image_event(
	struct sim_engine *e, const struct sim_image *image, const char *action, const char *name);

/* Deleting (image_delete.c). Writes the records of what was untagged and deleted, with commas
 * between, and adds up the bytes. */
struct sim_deleted {
	struct buf *records;
	int64_t bytes;
};
int sim_image_delete(struct sim_engine *e, const char *key, bool force, bool prune,
	struct sim_deleted *out, struct err *err) MUSTCHECK;
int sim_images_prune(struct sim_engine *e, const json_t *filters, struct sim_deleted *out,
	struct err *err) MUSTCHECK;

/* Bytes of the layers that no other image has; earlier: that no image before it in the list has. */
int64_t sim_image_own_size(const struct sim_engine *e, const struct sim_image *image, bool earlier);

/* Writing them (image_view.c). */
struct sim_image_shown {
	const struct str_list *tags, *digests;
	long long containers; /* that use it; -1 = not counted */
	int64_t shared;       /* bytes that it has in common with others; -1 = not counted */
};
void sim_image_write_summary(struct buf *b, const struct sim_engine *e,
	const struct sim_image *image, const struct sim_image_shown *shown);
void sim_image_write(struct buf *b, const struct sim_engine *e, const struct sim_image *image);
void sim_image_write_history(struct buf *b, const struct sim_image *image);

/* ---- The registry behind all engines (registry.c) ---- */

/* The content that was pushed under this name ("repo:tag", "repo@sha256:..."), or what there has
 * always been. A reference, or NULL with err (404). */
struct sim_content *sim_registry_get(
	struct sim_options *options, const char *name, struct err *err) MUSTCHECK;
int sim_registry_put(struct sim_options *options, const char *name, struct sim_content *content,
	struct err *err) MUSTCHECK;
void sim_registry_free(struct sim_options *options);

#endif
