/* Who looks at replies on their way to the client. */
#include "http/server_priv.h"

struct tap {
	struct tap *next;
	const struct exchange_tap_ops *ops;
	void *arg;
};

struct exchange_taps {
	struct tap *first; /* the last one added, which is the nearest to who replies */
	struct exchange_summary summary;
};

void exchange_tap(struct exchange *x, const struct exchange_tap_ops *ops, void *arg)
{
	struct tap *tap = xcalloc(1, sizeof(*tap));

	if (x->taps == NULL)
		x->taps = xcalloc(1, sizeof(*x->taps));
	tap->ops = ops;
	tap->arg = arg;
	tap->next = x->taps->first;
	x->taps->first = tap;
}

void taps_head(struct exchange *x, int *status, struct http_headers *headers, bool is_raw)
{
	for (struct tap *tap = x->taps->first; tap != NULL; tap = tap->next) {
		int wanted = *status;

		if (tap->ops->head == NULL)
			continue;
		tap->ops->head(x, &wanted, headers, is_raw, tap->arg);
		if (!is_raw)
			*status = wanted;
	}
	x->taps->summary.status = *status;
	x->taps->summary.is_raw = is_raw;
}

void taps_piece(struct exchange *x, const char *data, size_t len)
{
	x->taps->summary.bytes += len;
	for (struct tap *tap = x->taps->first; tap != NULL; tap = tap->next) {
		if (tap->ops->piece != NULL)
			tap->ops->piece(x, data, len, tap->arg);
	}
}

void taps_end(struct exchange *x, bool is_finished)
{
	struct tap *tap;

	x->taps->summary.is_finished = is_finished;
	while ((tap = x->taps->first) != NULL) {
		x->taps->first = tap->next;
		if (tap->ops->end != NULL)
			tap->ops->end(x, &x->taps->summary, tap->arg);
		free(tap);
	}
	free(TAKE_PTR(x->taps));
}
