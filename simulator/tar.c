#include "simulator/tar.h"

#include "lib/str.h"

#include <stdio.h>
#include <string.h>

#define EXTRA_MAX (64 << 10) /* bytes of a long name or of pax records */
#define NAME_FIELD 100
#define SIZE_MAX_BYTES (1ll << 50)

/* Where the fields of a header lie. */
enum {
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_SUM = 148,
	AT_TYPE = 156,
	AT_LINK = 157,
	AT_MAGIC = 257,
	AT_PREFIX = 345,
};

struct sim_tar {
	const struct sim_tar_ops *ops;
	void *arg;
	char block[SIM_TAR_BLOCK];
	size_t block_len;
	int64_t left, pad; /* of the current entry */
	char special;      /* the entry is a long name or pax records: its type; else 0 */
	struct buf extra;  /* those */
	char *name, *link; /* for the next entry, when they do not fit its header */
	int64_t size;      /* the same; -1 = none */
	bool in_entry, seen_any, over;
};

struct sim_tar *sim_tar_new(const struct sim_tar_ops *ops, void *arg)
{
	struct sim_tar *t = xcalloc(1, sizeof(*t));

	t->ops = ops;
	t->arg = arg;
	t->size = -1;
	buf_init(&t->extra, EXTRA_MAX);
	return t;
}

void sim_tar_free(struct sim_tar *t)
{
	if (!t)
		return;
	buf_reset(&t->extra);
	free(t->name);
	free(t->link);
	free(t);
}

/* Octal digits, or a big-endian number marked by its first bit. -1: neither. */
static int64_t number(const char *field, size_t len)
{
	int64_t n = 0;
	size_t i = 0;

	if ((unsigned char)field[0] == 0x80) {
		for (i = len > 8 ? len - 8 : 1; i < len; i++)
			n = (int64_t)((uint64_t)n << 8 | (unsigned char)field[i]);
		return n;
	}
	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] && field[i] != ' '; i++) {
		if (field[i] < '0' || field[i] > '7')
			return -1;
		n = n << 3 | (field[i] - '0');
	}
	return n;
}

static unsigned checksum(const char *block)
{
	unsigned sum = 0;

	for (int i = 0; i < SIM_TAR_BLOCK; i++)
		sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : (unsigned char)block[i];
	return sum;
}

static bool is_zero(const char *block)
{
	for (int i = 0; i < SIM_TAR_BLOCK; i++)
		if (block[i])
			return false;
	return true;
}

/* "./a/b/" is "a/b". Owned. */
static char *tidy(const char *name)
{
	size_t len;

	while (*name == '/' || (name[0] == '.' && name[1] == '/'))
		name++;
	len = strlen(name);
	while (len && name[len - 1] == '/')
		len--;
	return len == 1 && *name == '.' ? xstrdup("") : xstrndup(name, len);
}

/* Records "LENGTH KEY=VALUE\n". */
static void pax_take(struct sim_tar *t)
{
	const char *p = t->extra.data;
	size_t left = t->extra.len;

	while (left) {
		char *end;
		unsigned long len = strtoul(p, &end, 10);
		const char *key = end + 1;
		const char *equals;
		CLEANUP_FREE char *value = NULL;

		if (*end != ' ' || len > left || key >= p + len)
			return;
		equals = memchr(key, '=', (size_t)(p + len - key));
		if (!equals || equals + 1 > p + len - 1)
			return;
		value = xstrndup(equals + 1, (size_t)(p + len - 1 - (equals + 1)));
		if (strncmp(key, "path=", 5) == 0) {
			free(t->name);
			t->name = TAKE_PTR(value);
		} else if (strncmp(key, "linkpath=", 9) == 0) {
			free(t->link);
			t->link = TAKE_PTR(value);
		} else if (strncmp(key, "size=", 5) == 0) {
			long long n;

			t->size = str_to_int(value, 0, SIZE_MAX_BYTES, &n, "size", NULL) ? -1 : n;
		}
		p += len;
		left -= len;
	}
}

static void special_end(struct sim_tar *t)
{
	if (t->special == 'L') {
		free(t->name);
		t->name = xstrdup(buf_str(&t->extra));
	} else if (t->special == 'K') {
		free(t->link);
		t->link = xstrdup(buf_str(&t->extra));
	} else if (t->special == 'x' && t->extra.len) {
		pax_take(t);
	}
	buf_reset(&t->extra);
	t->special = 0;
}

static void entry_end(struct sim_tar *t)
{
	t->in_entry = false;
	if (t->special)
		special_end(t);
	else
		t->ops->end(t->arg);
}

static void entry_tell(struct sim_tar *t, const char *h, char type, int64_t size)
{
	bool ustar = memcmp(h + AT_MAGIC, "ustar\0", 6) == 0;
	CLEANUP_FREE char *own = xstrndup(h, NAME_FIELD);
	CLEANUP_FREE char *prefix = xstrndup(h + AT_PREFIX, ustar ? 155 : 0);
	CLEANUP_FREE char *joined = *prefix ? xasprintf("%s/%s", prefix, own) : xstrdup(own);
	CLEANUP_FREE char *name = tidy(t->name ? t->name : joined);
	CLEANUP_FREE char *link = t->link ? xstrdup(t->link) : xstrndup(h + AT_LINK, NAME_FIELD);
	const struct sim_tar_entry entry = {
		.name = name,
		.link = link,
		.type = type,
		.mode = (unsigned)number(h + AT_MODE, 8) & 07777,
		.uid = (unsigned)number(h + AT_UID, 8),
		.gid = (unsigned)number(h + AT_GID, 8),
		.size = size,
		.mtime = number(h + AT_MTIME, 12),
	};

	free(TAKE_PTR(t->name));
	free(TAKE_PTR(t->link));
	t->size = -1;
	t->ops->entry(t->arg, &entry);
}

static int header_take(struct sim_tar *t, struct err *err)
{
	const char *h = t->block;
	char type = h[AT_TYPE];
	int64_t size;

	if (is_zero(h)) {
		t->over = true;
		return 0;
	}
	size = t->size >= 0 ? t->size : number(h + AT_SIZE, 12);
	if (number(h + AT_SUM, 8) != checksum(h) || size < 0 || size > SIZE_MAX_BYTES)
		return err_set(err, ERR_INVALID, "archive/tar: invalid tar header");
	t->seen_any = true;
	t->special = strchr("LKxg", type) && type ? type : '\0';
	if (type == '\0' || type == '7')
		type = SIM_TAR_FILE;
	if (!t->special && type != SIM_TAR_FILE)
		size = 0;
	if (t->special && size >= EXTRA_MAX)
		return err_set(err, ERR_INVALID, "archive/tar: header field too long");
	t->left = size;
	t->pad = (SIM_TAR_BLOCK - size % SIM_TAR_BLOCK) % SIM_TAR_BLOCK;
	t->in_entry = true;
	if (!t->special)
		entry_tell(t, h, type, size);
	if (!size)
		entry_end(t);
	return 0;
}

int sim_tar_feed(struct sim_tar *t, const char *data, size_t len, struct err *err)
{
	while (len && !t->over) {
		size_t n;

		if (t->in_entry) {
			n = (int64_t)len < t->left ? len : (size_t)t->left;
			if (t->special)
				buf_append(&t->extra, data, n);
			else
				t->ops->data(t->arg, data, n);
			t->left -= (int64_t)n;
			if (!t->left)
				entry_end(t);
		} else if (t->pad) {
			n = (int64_t)len < t->pad ? len : (size_t)t->pad;
			t->pad -= (int64_t)n;
		} else {
			n = SIM_TAR_BLOCK - t->block_len;
			n = len < n ? len : n;
			memcpy(t->block + t->block_len, data, n);
			t->block_len += n;
			if (t->block_len == SIM_TAR_BLOCK) {
				t->block_len = 0;
				if (header_take(t, err))
					return -1;
			}
		}
		data += n;
		len -= n;
	}
	return 0;
}

int sim_tar_finish(struct sim_tar *t, struct err *err)
{
	if (t->in_entry || t->block_len)
		return err_set(err, ERR_INVALID, "unexpected EOF");
	return 0;
}

/* ---- Writing ---- */

/* Digits with zeros in front, and a NUL: what does not fit is cut, as no number here does. */
static void octal(char *field, size_t len, int64_t n)
{
	uint64_t left = (uint64_t)n;

	for (size_t i = len - 1; i-- > 0; left >>= 3)
		field[i] = (char)('0' + (left & 7));
}

static void header_write(struct buf *b, const struct sim_tar_entry *e)
{
	char h[SIM_TAR_BLOCK] = {0};
	size_t len = strlen(e->name);

	/* A name that is too long stands in an entry of its own before; it is only cut here. */
	memcpy(h, e->name, len < NAME_FIELD ? len : NAME_FIELD);
	octal(h + AT_MODE, 8, e->mode & 07777);
	octal(h + AT_UID, 8, e->uid & 07777777);
	octal(h + AT_GID, 8, e->gid & 07777777);
	octal(h + AT_SIZE, 12, e->size);
	octal(h + AT_MTIME, 12, e->mtime > 0 ? e->mtime : 0);
	h[AT_TYPE] = e->type;
	len = strlen(e->link);
	memcpy(h + AT_LINK, e->link, len < NAME_FIELD ? len : NAME_FIELD);
	memcpy(h + AT_MAGIC, "ustar  ", 8);
	octal(h + AT_SUM, 7, checksum(h));
	h[AT_SUM + 7] = ' ';
	buf_append(b, h, sizeof(h));
}

static void long_write(struct buf *b, char type, const char *text)
{
	const struct sim_tar_entry e = {.name = "././@LongLink",
		.link = "",
		.type = type,
		.size = (int64_t)strlen(text) + 1};

	if (strlen(text) <= NAME_FIELD)
		return;
	header_write(b, &e);
	buf_append(b, text, (size_t)e.size);
	sim_tar_pad(b, e.size);
}

void sim_tar_write(struct buf *b, const struct sim_tar_entry *entry)
{
	struct sim_tar_entry e = *entry;
	CLEANUP_FREE char *dir = NULL;

	if (e.type == SIM_TAR_DIR) {
		dir = xasprintf("%s/", *e.name ? e.name : ".");
		e.name = dir;
	}
	if (e.type != SIM_TAR_FILE)
		e.size = 0;
	long_write(b, 'L', e.name);
	long_write(b, 'K', e.link);
	header_write(b, &e);
}

void sim_tar_pad(struct buf *b, int64_t size)
{
	static const char zeros[SIM_TAR_BLOCK];

	buf_append(b, zeros, (size_t)((SIM_TAR_BLOCK - size % SIM_TAR_BLOCK) % SIM_TAR_BLOCK));
}

void sim_tar_write_file(struct buf *b, const char *name, const void *data, size_t len)
{
	const struct sim_tar_entry e = {
		.name = name, .link = "", .type = SIM_TAR_FILE, .mode = 0644, .size = (int64_t)len};

	sim_tar_write(b, &e);
	buf_append(b, data, len);
	sim_tar_pad(b, e.size);
}

void sim_tar_write_end(struct buf *b)
{
	static const char zeros[2 * SIM_TAR_BLOCK];

	buf_append(b, zeros, sizeof(zeros));
}
