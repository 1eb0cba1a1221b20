#include "cluster/record.h"

#include "cluster/intern.h"
#include "lib/mem.h"

#include <string.h>

/* Fills one block: arrays first (aligned), then texts. With base NULL it only measures. */
struct packer {
	char *words, *texts;
	size_t words_len, texts_len;
};

static void *pack_array(struct packer *p, size_t count, size_t size)
{
	size_t bytes = (count * size + 7) & ~(size_t)7;
	void *at = p->words ? p->words + p->words_len : NULL;

	p->words_len += bytes;
	return at;
}

static char *pack_bytes(struct packer *p, const char *bytes, size_t size)
{
	char *at = p->texts ? p->texts + p->texts_len : NULL;

	p->texts_len += size;
	if (at && size > 0)
		memcpy(at, bytes, size);
	return at;
}

static char *pack_text(struct packer *p, const char *s)
{
	return pack_bytes(p, s, strlen(s) + 1);
}

static void pack_list(struct packer *p, struct str_list *to, const struct str_list *from)
{
	char **items = pack_array(p, from->len, sizeof(*items));

	for (size_t i = 0; i < from->len; i++) {
		char *text = pack_text(p, from->items[i]);

		if (items)
			items[i] = text;
	}
	to->items = items;
	to->len = from->len;
}

/* Protocols are one of three words; they need no copy. */
static const char *protocol_static(const char *protocol)
{
	if (strcmp(protocol, "udp") == 0)
		return "udp";
	return strcmp(protocol, "sctp") == 0 ? "sctp" : "tcp";
}

static const struct view_port *pack_ports(
	struct packer *p, const struct view_port *from, size_t len)
{
	struct view_port *ports = pack_array(p, len, sizeof(*ports));

	for (size_t i = 0; i < len; i++) {
		const char *ip = from[i].ip[0] ? pack_text(p, from[i].ip) : "";

		if (ports)
			ports[i] = (struct view_port){.ip = ip,
				.port = from[i].port,
				.protocol = protocol_static(from[i].protocol)};
	}
	return ports;
}

/* The own name is one of the names, behind its slash. */
static const char *pack_name(
	struct packer *p, const struct container *to, const struct record_draft *from)
{
	for (size_t i = 0; i < from->names.len; i++) {
		if (strcmp(from->names.items[i] + 1, from->name) == 0)
			return to->names.items ? to->names.items[i] + 1 : NULL;
	}
	return pack_text(p, from->name);
}

static void pack_draft(
	struct packer *p, struct container_record *to, const struct record_draft *from)
{
	struct container *container = &to->container;
	struct container_view *view = &container->view;

	to->by_name = pack_array(p, from->names.len, sizeof(*to->by_name));
	to->by_swarm_id = from->swarm_id[0] ? pack_array(p, 1, sizeof(*to->by_swarm_id)) : NULL;
	view->labels.items = pack_array(p, from->labels_len, sizeof(*view->labels.items));
	view->labels.len = from->labels_len;
	view->ports = pack_ports(p, from->ports, from->ports_len);
	view->ports_len = from->ports_len;
	view->exposed = pack_ports(p, from->exposed, from->exposed_len);
	view->exposed_len = from->exposed_len;
	pack_list(p, &container->names, &from->names);
	pack_list(p, &container->volumes, &from->volumes);
	container->networks.items = pack_array(p, from->networks.len, sizeof(char *));
	container->networks.len = from->networks.len;
	pack_list(p, &container->published, &from->published);
	pack_list(p, &container->container_ports, &from->container_ports);
	view->id = pack_text(p, from->id);
	view->swarm_id = from->swarm_id[0] ? pack_text(p, from->swarm_id) : "";
	view->name = pack_name(p, container, from);
	container->row_values = pack_bytes(p, from->row_values, from->row_values_len);
	container->ports_json = pack_text(p, from->ports_json);
	to->status_text = from->status_text ? pack_text(p, from->status_text) : NULL;
}

static void share_texts(
	struct container_record *to, const struct record_draft *from, struct inventory *inventory)
{
	struct interned **table = &inventory->strings;
	struct container *container = &to->container;
	struct container_view *view = &container->view;
	struct view_label *labels = (struct view_label *)(uintptr_t)view->labels.items;

	container->row_template = intern(&inventory->templates, from->row_template);
	for (size_t i = 0; i < from->networks.len; i++)
		container->networks.items[i] =
			(char *)(uintptr_t)intern(table, from->networks.items[i]);
	view->image = intern(table, from->image);
	view->image_id = intern(table, from->image_id);
	for (size_t i = 0; i < from->labels_len; i++) {
		labels[i].key = intern(table, from->labels[i].key);
		/* The one value that no other container has. */
		if (from->swarm_id[0] && from->labels[i].value == from->swarm_id)
			labels[i].value = view->swarm_id;
		else
			labels[i].value = intern(table, from->labels[i].value);
	}
}

struct container_record *record_pack(struct node *node, const struct record_draft *draft)
{
	struct container_record measured = draft->record;
	struct packer p = {.words = NULL};
	struct container_record *record;

	/* The measuring pass leaves only NULLs and lengths in the copy. */
	pack_draft(&p, &measured, draft);
	size_t head = (sizeof(*record) + 7) & ~(size_t)7;
	size_t words = p.words_len;
	char *block = xcalloc(1, head + words + p.texts_len);

	record = (struct container_record *)(void *)block;
	*record = draft->record;
	p = (struct packer){.words = block + head, .texts = block + head + words};
	pack_draft(&p, record, draft);
	share_texts(record, draft, &node->cluster->inventory);
	record->container.node = node;
	record->container.refs = 1;
	node_ref(node);
	return record;
}

void record_draft_free(struct record_draft *draft)
{
	free(draft->labels);
	free(draft->ports);
	free(draft->exposed);
	str_list_free(&draft->names);
	str_list_free(&draft->volumes);
	str_list_free(&draft->networks);
	str_list_free(&draft->published);
	str_list_free(&draft->container_ports);
	free(draft->row_template);
	free(draft->row_values);
	free(draft->ports_json);
}

struct container *container_ref(struct container *container)
{
	container->refs++;
	return container;
}

void container_unref(struct container *container)
{
	if (!container || --container->refs > 0)
		return;

	struct inventory *inventory = &container->node->cluster->inventory;
	struct interned **table = &inventory->strings;
	const struct container_view *view = &container->view;

	intern_release(&inventory->templates, container->row_template);
	for (size_t i = 0; i < container->networks.len; i++)
		intern_release(table, container->networks.items[i]);
	intern_release(table, view->image);
	intern_release(table, view->image_id);
	for (size_t i = 0; i < view->labels.len; i++) {
		intern_release(table, view->labels.items[i].key);
		if (view->labels.items[i].value != view->swarm_id)
			intern_release(table, view->labels.items[i].value);
	}
	node_unref(container->node);
	free(container_record(container));
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static void pack_view(
	struct packer *p, struct container_view *to, const struct container_view *from)
{
	struct view_label *labels = pack_array(p, from->labels.len, sizeof(*labels));

	to->ports = pack_ports(p, from->ports, from->ports_len);
	to->exposed = pack_ports(p, from->exposed, from->exposed_len);
	for (size_t i = 0; i < from->labels.len; i++) {
		char *key = pack_text(p, from->labels.items[i].key);
		char *value = pack_text(p, from->labels.items[i].value);

		if (labels)
			labels[i] = (struct view_label){.key = key, .value = value};
	}
	to->labels.items = labels;
	to->id = pack_text(p, or_empty(from->id));
	to->swarm_id = pack_text(p, or_empty(from->swarm_id));
	to->name = pack_text(p, or_empty(from->name));
	to->image = pack_text(p, or_empty(from->image));
	to->image_id = pack_text(p, or_empty(from->image_id));
}

struct container_view *view_dup(const struct container_view *view)
{
	struct container_view measured = *view;
	struct packer p = {.words = NULL};

	pack_view(&p, &measured, view);
	size_t head = (sizeof(*view) + 7) & ~(size_t)7;
	size_t words = p.words_len;
	char *block = xcalloc(1, head + words + p.texts_len);
	struct container_view *copy = (struct container_view *)(void *)block;

	*copy = *view;
	p = (struct packer){.words = block + head, .texts = block + head + words};
	pack_view(&p, copy, view);
	return copy;
}
