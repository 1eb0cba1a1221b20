/* The words for a placement that failed: which conditions there were, which filter removed how many
 * nodes, and why. Everything in them is bounded; the message has to fit struct err. */
#include "filters/text.h"
#include "lib/buf.h"
#include "scheduler/scheduler_priv.h"

#include <stdio.h>
#include <string.h>

/* Bytes of all conditions together, of one of them, and of one reason. */
#define CONDITIONS_MAX 480
#define CONDITION_MAX 240
#define REASON_MAX 200
/* Nodes named for one reason, reasons given for one filter. */
#define NAMES_MAX 5
#define REASONS_MAX 4

/* Cuts a text that is longer than max. */
static void clip(struct buf *text, size_t max)
{
	if (text->len <= max || max < 3)
		return;
	text->len = max;
	text->data[max] = '\0';
	memcpy(text->data + max - 3, "...", 3);
}

static size_t count_removed(const struct selection *s, int by)
{
	size_t count = 0;

	for (size_t i = 0; i < s->len; i++)
		count += s->removals[i].by == by;
	return count;
}

/* "[disk==ssd node!=n1]" of each filter up to the last one that removed a node, a line each. */
static void conditions_print(const struct selection *s, struct buf *out)
{
	int last = -1;
	size_t start = out->len;

	for (size_t i = 0; i < s->len; i++)
		last = s->removals[i].by > last ? s->removals[i].by : last;
	for (int i = 0; i <= last; i++) {
		struct buf line;

		if (s->filters[i]->conditions == NULL)
			continue;
		buf_init(&line, 64 * 1024);
		s->filters[i]->conditions(s->request, &line);
		clip(&line, CONDITION_MAX);
		if (line.len > 0 && out->len - start + line.len + 3 <= CONDITIONS_MAX)
			buf_printf(out, "\n[%s]", buf_str(&line));
		buf_reset(&line);
	}
}

static void names_print(const struct selection *s, int by, size_t why, struct buf *out)
{
	size_t count = 0;
	struct text_clip name;

	for (size_t i = 0; i < s->len; i++) {
		if (s->removals[i].by != by || s->removals[i].why != why)
			continue;
		if (count++ < NAMES_MAX)
			buf_printf(out, "%s%.48s", count > 1 ? ", " : "",
				text_clip(&name, s->nodes[i]->name));
	}
	if (count > NAMES_MAX)
		buf_printf(out, " and %zu more", count - NAMES_MAX);
}

static void reason_print(const struct selection *s, int by, size_t why, struct buf *out)
{
	struct buf text;

	buf_init(&text, 4096);
	if (by >= 0)
		s->filters[by]->reason(s->request, why, &text);
	else if (by == REMOVED_UNKNOWN)
		buf_append_str(&text, "the engine has not answered yet");
	else if (by == REMOVED_EXCLUDED)
		buf_append_str(&text, "the engine refused this container");
	else
		buf_append_str(&text, "too little CPU or memory left");
	clip(&text, REASON_MAX);
	buf_append_str(out, buf_str(&text));
	buf_reset(&text);
}

/* "port: 3 of 5 nodes removed (port 80/tcp is taken: node1, node2, node3)" */
static void removals_print(const struct selection *s, int by, const char *name, struct buf *out)
{
	size_t whys[REASONS_MAX];
	size_t whys_len = 0;
	size_t count = count_removed(s, by);
	struct buf line;

	if (count == 0)
		return;
	buf_init(&line, 64 * 1024);
	buf_printf(&line, "\n%s: %zu of %zu nodes removed (", name, count, s->len);
	for (size_t i = 0; i < s->len; i++) {
		size_t why = s->removals[i].why;
		size_t known = 0;

		if (s->removals[i].by != by)
			continue;
		while (known < whys_len && whys[known] != why)
			known++;
		if (known < whys_len)
			continue;
		if (whys_len == REASONS_MAX) {
			buf_append_str(&line, "; and for other reasons");
			break;
		}
		whys[whys_len++] = why;
		if (whys_len > 1)
			buf_append_str(&line, "; ");
		reason_print(s, by, why, &line);
		buf_append_str(&line, ": ");
		names_print(s, by, why, &line);
	}
	buf_append_char(&line, ')');
	clip(&line, out->max - out->len);
	buf_append_str(out, buf_str(&line));
	buf_reset(&line);
}

static void removals_print_all(const struct selection *s, struct buf *out)
{
	removals_print(s, REMOVED_UNKNOWN, "health", out);
	for (size_t i = 0; i < s->filters_len; i++)
		removals_print(s, (int)i, s->filters[i]->name, out);
	removals_print(s, REMOVED_EXCLUDED, "retry", out);
	removals_print(s, REMOVED_ROOM, "resources", out);
}

/* What is asked for. */
static void wish_print(const struct container_view *want, struct buf *out)
{
	char bytes[32];

	buf_append_str(out, ": it asks for ");
	if (want->nano_cpus > 0)
		buf_printf(out, "%.6g CPUs", (double)want->nano_cpus / 1e9);
	if (want->nano_cpus > 0 && want->memory > 0)
		buf_append_str(out, " and ");
	if (want->memory > 0)
		buf_printf(out, "%s of memory",
			str_human_bytes((double)want->memory, bytes, sizeof(bytes)));
}

/* The most that one of the nodes without room has left. */
static void room_print(const struct selection *s, struct buf *out)
{
	int64_t cpus = 0;
	int64_t memory = 0;
	char bytes[32];

	for (size_t i = 0; i < s->len; i++) {
		const struct node_view *node = s->nodes[i];

		if (s->removals[i].by != REMOVED_ROOM)
			continue;
		if (node->total_nano_cpus - node->used_nano_cpus > cpus)
			cpus = node->total_nano_cpus - node->used_nano_cpus;
		if (node->total_memory - node->used_memory > memory)
			memory = node->total_memory - node->used_memory;
	}
	buf_printf(out, "; the most left on one node is %.6g CPUs, and %s", (double)cpus / 1e9,
		str_human_bytes((double)memory, bytes, sizeof(bytes)));
}

int report_no_node(const struct selection *s, struct err *err)
{
	size_t unhealthy = count_removed(s, REMOVED_UNKNOWN);
	struct buf out;

	buf_init(&out, sizeof(err->msg) - 1);
	for (size_t i = 0; i < s->filters_len; i++) {
		if (strcmp(s->filters[i]->name, "health") == 0)
			unhealthy += count_removed(s, (int)i);
	}
	if (unhealthy == s->len) {
		buf_append_str(&out, "No healthy node available in the cluster");
	} else if (count_removed(s, REMOVED_ROOM) > 0) {
		buf_append_str(&out, "no resources available to schedule container");
		wish_print(&filter_request_placement(s->request)->want, &out);
		room_print(s, &out);
	} else {
		buf_append_str(
			&out, "Unable to find a node that satisfies the following conditions ");
		conditions_print(s, &out);
	}
	removals_print_all(s, &out);
	err_set(err, ERR_NO_NODE, "%s", buf_str(&out));
	buf_reset(&out);
	return -1;
}
