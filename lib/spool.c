/* The blocks of a spool stand in one list, oldest first:
 *
 *     head ... in the file only ... | dirty ... in memory only ... tail
 *
 * head is where the slowest reader is, or before it; what all have passed is freed. A reader that
 * comes to a block which is in the file only has it loaded. `dirty` moves on as blocks are written,
 * which is done for those that the fastest reader has passed and others have not. */
#include "lib/spool_file.h"

#include <assert.h>
#include <string.h>

/* Of the blocks of the window: */
#define WINDOW_BLOCKS (SPOOL_WINDOW / SPOOL_BLOCK)
#define AHEAD_BLOCKS 8  /* that the fastest reader may have before it */
#define BEHIND_BLOCKS 8 /* behind it, before they are written */
#define SPARE_MAX 16

struct block {
	struct block *next;
	uint64_t number;
	char *data; /* SPOOL_BLOCK bytes; NULL = in the file only */
	size_t len;
	unsigned readers; /* that stand in it */
	bool is_busy;     /* a helper thread has it */
	bool is_in_file;
	uint32_t slot;
};

struct spool_reader {
	struct spool *spool;
	struct spool_reader *next;
	struct block *at; /* NULL once it failed */
	size_t offset;
	bool waits; /* its last look found nothing */
	struct err err;
	void (*ready)(void *arg);
	void *arg;
};

struct spool {
	struct loop *loop;
	void (*room)(void *arg);
	void *arg;
	struct block *head, *tail, *dirty;
	struct spool_reader *readers;
	struct spool_file file;
	char *spare[SPARE_MAX]; /* memory of blocks, to be used again */
	size_t spare_len, memory;
	unsigned refs; /* the owner's, one for each helper, one for a notice that is due */
	bool is_freed, has_ended;
	bool is_writing;   /* one helper at a time */
	bool writer_waits; /* spool_write could not take all */
	bool notice_is_due;
	struct err failure; /* of writing the file: it is not tried again */
};

/* One helper thread at work. */
struct spool_job {
	struct spool *spool;
	struct spool_io io;
	struct block *blocks[SPOOL_BATCH];
};

static void notify_soon(struct spool *s);
static void write_out(struct spool *s);

/* ---- Memory ---- */

static char *data_new(struct spool *s)
{
	s->memory += SPOOL_BLOCK;
	return s->spare_len > 0 ? s->spare[--s->spare_len] : xmalloc(SPOOL_BLOCK);
}

static void data_free(struct spool *s, char *data)
{
	if (data == NULL)
		return;
	s->memory -= SPOOL_BLOCK;
	if (s->spare_len < SPARE_MAX)
		s->spare[s->spare_len++] = data;
	else
		free(data);
}

static void spool_unref(struct spool *s)
{
	struct block *block;

	if (--s->refs > 0)
		return;
	while ((block = s->head) != NULL) {
		s->head = block->next;
		free(block->data);
		free(block);
	}
	while (s->spare_len > 0)
		free(s->spare[--s->spare_len]);
	spool_file_reset(&s->file);
	free(s);
}

/* ---- Blocks ---- */

static void append_block(struct spool *s)
{
	struct block *block = xcalloc(1, sizeof(*block));

	block->data = data_new(s);
	if (s->tail != NULL) {
		block->number = s->tail->number + 1;
		s->tail->next = block;
	} else {
		s->head = s->dirty = block;
	}
	s->tail = block;
}

/* Frees what all readers have passed. */
static void trim(struct spool *s)
{
	while (s->head != s->tail && s->head->readers == 0 && !s->head->is_busy) {
		struct block *block = s->head;

		s->head = block->next;
		if (s->dirty == block)
			s->dirty = block->next;
		if (block->is_in_file)
			spool_file_give_slot(&s->file, block->slot);
		data_free(s, block->data);
		free(block);
	}
}

/* Nobody stands in it now: what is in the file too need not be in memory. */
static void block_left(struct spool *s, struct block *block)
{
	if (block->readers == 0 && block->is_in_file && !block->is_busy)
		data_free(s, TAKE_PTR(block->data));
}

/* The block that the fastest reader is in; NULL without readers. */
static const struct block *front(const struct spool *s)
{
	const struct block *first = NULL;

	for (const struct spool_reader *r = s->readers; r != NULL; r = r->next) {
		if (r->at != NULL && (first == NULL || r->at->number > first->number))
			first = r->at;
	}
	return first;
}

/* ---- Readers ---- */

static void reader_leave(struct spool_reader *r)
{
	struct block *block = TAKE_PTR(r->at);

	if (block == NULL)
		return;
	block->readers--;
	block_left(r->spool, block);
}

static void reader_fail(struct spool_reader *r, const struct err *err)
{
	reader_leave(r);
	r->err = *err;
	r->waits = true;
	notify_soon(r->spool);
}

static bool reader_has_news(const struct spool_reader *r)
{
	const struct block *block = r->at;

	if (block == NULL)
		return true;
	if (block->next == NULL)
		return r->offset < block->len || r->spool->has_ended;
	return r->offset == block->len || block->data != NULL;
}

struct spool_reader *spool_reader_new(struct spool *s, void (*ready)(void *arg), void *arg)
{
	struct spool_reader *r = xcalloc(1, sizeof(*r));

	assert(s->tail->number == 0 && s->tail->len == 0);
	r->spool = s;
	r->at = s->head;
	r->at->readers++;
	r->ready = ready;
	r->arg = arg;
	r->next = s->readers;
	s->readers = r;
	return r;
}

void spool_reader_free(struct spool_reader *r)
{
	struct spool_reader **at;
	struct spool *s;

	if (r == NULL)
		return;
	s = r->spool;
	at = &s->readers;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	reader_leave(r);
	free(r);
	trim(s);
	write_out(s);
	notify_soon(s);
}

/* ---- Helpers ---- */

static void job_work(void *arg)
{
	struct spool_job *job = arg;

	spool_io_run(&job->io);
}

static struct spool_job *job_new(struct spool *s, bool is_write)
{
	struct spool_job *job = xcalloc(1, sizeof(*job));

	job->spool = s;
	job->io.folder = s->file.folder;
	job->io.fd = s->file.fd;
	job->io.is_write = is_write;
	return job;
}

static void job_add(struct spool_job *job, struct block *block, char *data)
{
	job->io.pieces[job->io.len] =
		(struct spool_piece){.data = data, .len = block->len, .slot = block->slot};
	job->blocks[job->io.len++] = block;
	block->is_busy = true;
}

static void written(void *arg, bool canceled)
{
	struct spool_job *job = arg;
	struct spool *s = job->spool;

	(void)canceled;
	s->is_writing = false;
	s->file.fd = job->io.fd;
	if (job->io.err.code != ERR_NONE)
		s->failure = job->io.err;
	for (size_t i = 0; i < job->io.len; i++) {
		struct block *block = job->blocks[i];

		block->is_busy = false;
		if (job->io.err.code != ERR_NONE) {
			spool_file_give_slot(&s->file, block->slot);
			continue;
		}
		block->is_in_file = true;
		s->dirty = block->next;
		block_left(s, block);
	}
	free(job);
	trim(s);
	if (!s->is_freed) {
		write_out(s);
		notify_soon(s);
	}
	spool_unref(s);
}

/* Begins to write what only slower readers need, when there is enough of it. */
static void write_out(struct spool *s)
{
	const struct block *first = front(s);
	struct spool_job *job;

	if (s->is_writing || s->failure.code != ERR_NONE || first == NULL ||
		first->number < s->dirty->number + BEHIND_BLOCKS || spool_file_is_full(&s->file))
		return;
	job = job_new(s, true);
	for (struct block *block = s->dirty;
		block->number < first->number && job->io.len < SPOOL_BATCH &&
		!spool_file_is_full(&s->file);
		block = block->next) {
		block->slot = spool_file_take_slot(&s->file);
		job_add(job, block, block->data);
	}
	s->is_writing = true;
	s->refs++;
	loop_work_start(s->loop, job_work, written, job);
}

static void loaded(void *arg, bool canceled)
{
	struct spool_job *job = arg;
	struct spool *s = job->spool;
	struct block *block = job->blocks[0];

	(void)canceled;
	block->is_busy = false;
	block->data = job->io.pieces[0].data;
	if (job->io.err.code != ERR_NONE) {
		for (struct spool_reader *r = s->readers; r != NULL; r = r->next) {
			if (r->at == block)
				reader_fail(r, &job->io.err);
		}
	}
	block_left(s, block);
	free(job);
	trim(s);
	if (!s->is_freed)
		notify_soon(s);
	spool_unref(s);
}

static void load(struct spool *s, struct block *block)
{
	struct spool_job *job = job_new(s, false);

	job_add(job, block, data_new(s));
	s->refs++;
	loop_work_start(s->loop, job_work, loaded, job);
}

/* ---- Writing ---- */

/* The file is lost, and the window full of what it should have taken: those who are behind cannot
 * be served, so that the others can. */
static void fail_those_behind(struct spool *s)
{
	struct err err = s->failure;

	err_wrap(
		&err, "it is slower than other nodes, and what it has still to get cannot be kept");
	for (struct spool_reader *r = s->readers; r != NULL; r = r->next) {
		if (r->at != NULL && r->at->number <= s->dirty->number)
			reader_fail(r, &err);
	}
	trim(s);
}

static bool has_room(struct spool *s)
{
	const struct block *first = front(s);

	if (first == NULL || s->tail->len < SPOOL_BLOCK)
		return true;
	if (s->tail->number - first->number >= AHEAD_BLOCKS)
		return false;
	if (s->failure.code != ERR_NONE && s->tail->number - s->dirty->number + 1 >= WINDOW_BLOCKS)
		fail_those_behind(s);
	return s->tail->number - s->dirty->number + 1 < WINDOW_BLOCKS;
}

size_t spool_write(struct spool *s, const void *data, size_t len)
{
	size_t taken = 0;

	if (front(s) == NULL)
		return len;
	while (taken < len) {
		size_t n = len - taken;

		if (!has_room(s)) {
			s->writer_waits = true;
			break;
		}
		if (s->tail->len == SPOOL_BLOCK)
			append_block(s);
		if (n > SPOOL_BLOCK - s->tail->len)
			n = SPOOL_BLOCK - s->tail->len;
		memcpy(s->tail->data + s->tail->len, (const char *)data + taken, n);
		s->tail->len += n;
		taken += n;
	}
	notify_soon(s);
	return taken;
}

void spool_end(struct spool *s)
{
	s->has_ended = true;
	notify_soon(s);
}

/* ---- Reading ---- */

/* On to the next block, as often as this one is used up. */
static void reader_advance(struct spool_reader *r)
{
	struct spool *s = r->spool;
	bool moved = false;

	while (r->at->next != NULL && r->offset == r->at->len) {
		struct block *next = r->at->next;

		reader_leave(r);
		r->at = next;
		r->offset = 0;
		next->readers++;
		moved = true;
	}
	if (!moved)
		return;
	trim(s);
	write_out(s);
	if (s->writer_waits)
		notify_soon(s);
}

ssize_t spool_look(struct spool_reader *r, const char **data, struct err *err)
{
	if (r->at != NULL)
		reader_advance(r);
	if (r->at == NULL) {
		*err = r->err;
		return -1;
	}
	if (r->at->data == NULL && !r->at->is_busy)
		load(r->spool, r->at);
	if (r->at->data == NULL || r->offset == r->at->len) {
		r->waits = !spool_reader_is_done(r);
		return 0;
	}
	*data = r->at->data + r->offset;
	return (ssize_t)(r->at->len - r->offset);
}

void spool_take(struct spool_reader *r, size_t len)
{
	assert(r->at != NULL && len <= r->at->len - r->offset);
	r->offset += len;
	reader_advance(r);
}

bool spool_reader_is_done(const struct spool_reader *r)
{
	return r->at != NULL && r->spool->has_ended && r->at->next == NULL &&
	       r->offset == r->at->len;
}

/* ---- Notices ---- */

/* One at a time, since any of them may free readers, or the spool. */
static bool notify_one(struct spool *s)
{
	for (struct spool_reader *r = s->readers; r != NULL; r = r->next) {
		if (r->waits && reader_has_news(r)) {
			r->waits = false;
			r->ready(r->arg);
			return true;
		}
	}
	if (!s->writer_waits || !has_room(s))
		return false;
	s->writer_waits = false;
	s->room(s->arg);
	return true;
}

static void notify(void *arg)
{
	struct spool *s = arg;

	s->notice_is_due = false;
	while (!s->is_freed && notify_one(s))
		;
	spool_unref(s);
}

static void notify_soon(struct spool *s)
{
	if (s->notice_is_due || s->is_freed)
		return;
	s->notice_is_due = true;
	s->refs++;
	loop_defer(s->loop, notify, s);
}

/* ---- The whole ---- */

const char *spool_folder(void)
{
	const char *folder = getenv("TMPDIR");

	return folder != NULL && folder[0] != '\0' ? folder : "/var/tmp";
}

struct spool *spool_new(struct loop *loop, const struct spool_config *config)
{
	struct spool *s = xcalloc(1, sizeof(*s));

	s->loop = loop;
	s->room = config->room;
	s->arg = config->arg;
	s->refs = 1;
	spool_file_init(&s->file, config->folder != NULL ? config->folder : spool_folder(),
		config->file_max > 0 ? config->file_max : SPOOL_FILE_MAX);
	append_block(s);
	return s;
}

void spool_free(struct spool *s)
{
	if (s == NULL)
		return;
	assert(s->readers == NULL);
	s->is_freed = true;
	spool_unref(s);
}

uint64_t spool_file_bytes(const struct spool *s)
{
	return (uint64_t)s->file.used * SPOOL_BLOCK;
}

size_t spool_memory(const struct spool *s)
{
	return s->memory + s->spare_len * SPOOL_BLOCK;
}
