/* The output of one container: entries in a buffer, the oldest dropped when it is full. */
#include "simulator/simulator_priv.h"

#include <string.h>
#include <time.h>

/* Entries have the form that the kernel of `logs` needs and no more. */
struct entry {
	int64_t ns;
	uint32_t len;
	uint32_t fd;
};

struct sim_log {
	struct buf entries;
};

struct sim_log *sim_log_new(void)
{
	struct sim_log *log = xcalloc(1, sizeof(*log));

	buf_init(&log->entries, 2 * SIM_LOG_MAX);
	return log;
}

void sim_log_free(struct sim_log *log)
{
	if (!log)
		return;
	buf_reset(&log->entries);
	free(log);
}

static void log_trim(struct sim_log *log)
{
	size_t drop = 0;

	if (log->entries.len <= SIM_LOG_MAX)
		return;
	while (log->entries.len - drop > SIM_LOG_MAX / 2) {
		struct entry entry;

		memcpy(&entry, log->entries.data + drop, sizeof(entry));
		drop += sizeof(entry) + entry.len;
	}
	buf_consume(&log->entries, drop);
}

void sim_log_add(struct sim_log *log, int64_t ns, int fd, const char *data, size_t len)
{
	while (len) {
		const char *newline = memchr(data, '\n', len);
		size_t piece = newline ? (size_t)(newline - data) + 1 : len;
		struct entry entry;

		if (piece > 16384)
			piece = 16384; /* as the engine's json-file driver splits long lines */
		entry = (struct entry){.ns = ns, .len = (uint32_t)piece, .fd = (uint32_t)fd};
		buf_append(&log->entries, &entry, sizeof(entry));
		buf_append(&log->entries, data, piece);
		log_trim(log);
		data += piece;
		len -= piece;
	}
}

void sim_frame(struct buf *b, int fd, const char *data, size_t len)
{
	unsigned char head[8] = {0};

	head[0] = (unsigned char)fd;
	head[4] = (unsigned char)(len >> 24);
	head[5] = (unsigned char)(len >> 16);
	head[6] = (unsigned char)(len >> 8);
	head[7] = (unsigned char)len;
	buf_append(b, head, sizeof(head));
	buf_append(b, data, len);
}

void sim_log_write_entry(struct buf *b, const struct sim_log_query *query, int64_t ns, int fd,
	const char *data, size_t len)
{
	CLEANUP_BUF struct buf line = {0};
	char stamp[80];
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;

	if (fd == SIM_STDERR ? !query->err : !query->out)
		return;
	if (query->since_ns && ns < query->since_ns)
		return;
	if (query->until_ns && ns > query->until_ns)
		return;
	buf_init(&line, len + sizeof(stamp) + 16);
	if (query->timestamps) {
		/* Always nine digits here, other than in JSON. */
		gmtime_r(&seconds, &tm);
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
		buf_printf(&line, "%s.%09lldZ ", stamp, (long long)(ns % 1000000000));
	}
	buf_append(&line, data, len);
	if (query->framed)
		sim_frame(b, fd, line.data ? line.data : "", line.len);
	else
		buf_append(b, line.data ? line.data : "", line.len);
}

static bool entry_wanted(const struct sim_log_query *query, const struct entry *entry)
{
	return (entry->fd == SIM_STDERR ? query->err : query->out) &&
	       (!query->since_ns || entry->ns >= query->since_ns) &&
	       (!query->until_ns || entry->ns <= query->until_ns);
}

void sim_log_write(const struct sim_log *log, const struct sim_log_query *query, struct buf *b)
{
	const struct buf *entries = &log->entries;
	struct entry entry;
	long long wanted = 0;
	size_t at;

	for (at = 0; at < entries->len; at += sizeof(entry) + entry.len) {
		memcpy(&entry, entries->data + at, sizeof(entry));
		wanted += entry_wanted(query, &entry);
	}
	for (at = 0; at < entries->len; at += sizeof(entry) + entry.len) {
		memcpy(&entry, entries->data + at, sizeof(entry));
		if (!entry_wanted(query, &entry))
			continue;
		if (query->tail < 0 || wanted <= query->tail)
			sim_log_write_entry(b, query, entry.ns, (int)entry.fd,
				entries->data + at + sizeof(entry), entry.len);
		wanted--;
	}
}
