#include "simulator/ws.h"

#include <stdint.h>
#include <string.h>

#define HEAD_MAX 14
#define CONTROL_MAX 125

struct sim_ws {
	sim_ws_fn *fn;
	void *arg;
	unsigned char head[HEAD_MAX];
	size_t head_len;
	int kind;
	uint64_t left; /* bytes of the frame that are to come */
	uint8_t mask[4];
	unsigned at;   /* in the mask */
	bool in_frame; /* the head is complete */
	char control[CONTROL_MAX];
	size_t control_len;
};

struct sim_ws *sim_ws_new(sim_ws_fn *fn, void *arg)
{
	struct sim_ws *ws = xcalloc(1, sizeof(*ws));

	ws->fn = fn;
	ws->arg = arg;
	ws->kind = SIM_WS_BINARY;
	return ws;
}

void sim_ws_free(struct sim_ws *ws)
{
	free(ws);
}

/* Bytes of the head, as far as it is known yet. */
static size_t head_size(const struct sim_ws *ws)
{
	unsigned size = ws->head_len > 1 ? ws->head[1] & 127u : 0;

	return ws->head_len < 2 ? 2 : 2 + (size == 126 ? 2u : size == 127 ? 8u : 0u) + 4;
}

static int head_take(struct sim_ws *ws)
{
	unsigned size = ws->head[1] & 127u;
	size_t bytes = size == 126 ? 2 : size == 127 ? 8 : 0;
	int kind = ws->head[0] & 15;

	/* Clients mask all that they send; what extends the protocol was not agreed upon. */
	if (!(ws->head[1] & 128) || (ws->head[0] & 0x70))
		return -1;
	if (kind > SIM_WS_PONG || (kind > SIM_WS_BINARY && kind < SIM_WS_CLOSE) ||
		(kind >= SIM_WS_CLOSE && size > CONTROL_MAX))
		return -1;
	ws->left = bytes ? 0 : size;
	for (size_t i = 0; i < bytes; i++)
		ws->left = ws->left << 8 | ws->head[2 + i];
	if (ws->left >> 62)
		return -1;
	memcpy(ws->mask, ws->head + 2 + bytes, 4);
	ws->kind = kind ? kind : SIM_WS_BINARY;
	ws->at = 0;
	ws->head_len = 0;
	ws->control_len = 0;
	ws->in_frame = true;
	return 0;
}

static void frame_data(struct sim_ws *ws, char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (char)(data[i] ^ ws->mask[ws->at++ & 3]);
	ws->left -= len;
	if (ws->kind < SIM_WS_CLOSE) {
		if (len)
			ws->fn(ws->arg, ws->kind, data, len);
		return;
	}
	memcpy(ws->control + ws->control_len, data, len);
	ws->control_len += len;
	if (!ws->left)
		ws->fn(ws->arg, ws->kind, ws->control, ws->control_len);
}

int sim_ws_feed(struct sim_ws *ws, char *data, size_t len)
{
	while (len) {
		size_t n = len;

		if (!ws->in_frame) {
			ws->head[ws->head_len++] = (unsigned char)*data++;
			len--;
			if (ws->head_len < head_size(ws))
				continue;
			if (head_take(ws))
				return -1;
			n = 0;
		} else if (n > ws->left) {
			n = (size_t)ws->left;
		}
		if (n || !ws->left)
			frame_data(ws, data, n);
		ws->in_frame = ws->left > 0;
		data += n;
		len -= n;
	}
	return 0;
}

void sim_ws_write(struct buf *out, int kind, const char *data, size_t len)
{
	char head[10] = {(char)(0x80 | kind)};
	size_t head_len = 2;
	int bytes = len < 126 ? 0 : len < 65536 ? 2 : 8;

	head[1] = (char)(bytes == 0 ? (int)len : bytes == 2 ? 126 : 127);
	for (int i = 0; i < bytes; i++)
		head[head_len++] = (char)((uint64_t)len >> 8 * (bytes - 1 - i));
	buf_append(out, head, head_len);
	buf_append(out, data, len);
}
