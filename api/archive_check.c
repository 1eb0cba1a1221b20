/* Reads tar as strictly as can be: whatever two readers might understand in two ways is refused.
 * Engines write plain headers with short names; of pax records they need the sizes. */
#include "api/archive_check.h"
#include "http/digest.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/str.h"

#include <string.h>

#define BLOCK 512
#define NAME_LEN 100
#define PREFIX_AT 345
#define KEEP_MAX ((size_t)4 * 1024 * 1024) /* bytes of a file that is looked at */
#define SIZE_MAX_BYTES ((uint64_t)1 << 50) /* of any file */

/* The files that are looked at. The image's own is at one of two places. */
enum kept {
	MANIFEST,
	INDEX,
	REPOSITORIES,
	CONFIG,
	BLOB,
	KEPT,
};

struct archive_check {
	char *paths[KEPT];
	char id[DIGEST_HEX_LEN + 1];
	char *name;
	bool seen[KEPT];
	json_t *files[REPOSITORIES + 1];
	/* What comes next: the rest of a header, or of a file with its padding. */
	char header[BLOCK];
	size_t header_len;
	uint64_t left, padding;
	enum kept keeps; /* KEPT = the file goes by */
	bool is_pax, is_ended;
	struct buf text; /* of the file */
	uint64_t pax_size;
	bool has_pax_size;
};

struct archive_check *archive_check_new(const char *id, const char *name)
{
	struct archive_check *c = xcalloc(1, sizeof(*c));

	strlcpy(c->id, str_has_prefix(id, "sha256:") ? id + 7 : id, sizeof(c->id));
	c->name = name != NULL ? xstrdup(name) : NULL;
	c->paths[MANIFEST] = xstrdup("manifest.json");
	c->paths[INDEX] = xstrdup("index.json");
	c->paths[REPOSITORIES] = xstrdup("repositories");
	c->paths[CONFIG] = xasprintf("%s.json", c->id);
	c->paths[BLOB] = xasprintf("blobs/sha256/%s", c->id);
	c->keeps = KEPT;
	buf_init(&c->text, KEEP_MAX);
	return c;
}

void archive_check_free(struct archive_check *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(c->paths); i++)
		free(c->paths[i]);
	for (size_t i = 0; i < ARRAY_LEN(c->files); i++)
		json_decref(c->files[i]);
	buf_reset(&c->text);
	free(c->name);
	free(c);
}

static int refuse(struct err *err, const char *why)
{
	return err_set(err, ERR_UPSTREAM, "its archive is refused: %s", why);
}

/* ---- What is in the files ---- */

/* Engines read field names in any case, and the last one counts; so none but these are let in. */
static bool has_only(const json_t *object, const char *const *known)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
		size_t i = 0;

		while (known[i] != NULL && !str_eq(known[i], key))
			i++;
		if (known[i] == NULL)
			return false;
	}
	return json_is_object(object);
}

static bool are_tags_fine(const struct archive_check *c, const json_t *tags)
{
	const json_t *tag;
	size_t i;

	json_array_foreach (tags, i, tag) {
		if (c->name == NULL || !str_eq(json_string_value(tag), c->name))
			return false;
	}
	return tags == NULL || json_is_null(tags) || json_is_array(tags);
}

/* [{"Config": ..., "RepoTags": ..., "Layers": ...}] */
static int check_manifest(const struct archive_check *c, struct err *err)
{
	static const char *const known[] = {
		"Config", "RepoTags", "Layers", "LayerSources", "Parent", NULL};
	const json_t *entry = json_array_get(c->files[MANIFEST], 0);

	if (!json_is_array(c->files[MANIFEST]) || json_array_size(c->files[MANIFEST]) != 1 ||
		!has_only(entry, known))
		return refuse(err, "its manifest is not that of one image");
	if (!are_tags_fine(c, json_object_get(entry, "RepoTags")))
		return refuse(err, "it brings a name that was not asked for");
	return 0;
}

/* {"manifests": [{"digest": ...}]}; names are annotations. */
static int check_index(const struct archive_check *c, struct err *err)
{
	static const char *const known[] = {"schemaVersion", "mediaType", "artifactType",
		"manifests", "annotations", "subject", NULL};
	static const char *const known_of_each[] = {"mediaType", "digest", "size", "annotations",
		"platform", "urls", "data", "artifactType", NULL};
	const json_t *entries = json_object_get(c->files[INDEX], "manifests");
	const json_t *entry;
	size_t i;

	if (!has_only(c->files[INDEX], known) || !json_is_array(entries))
		return refuse(err, "its index is none");
	json_array_foreach (entries, i, entry) {
		const json_t *notes = json_object_get(entry, "annotations");

		if (!has_only(entry, known_of_each))
			return refuse(err, "its index is none");
		if (json_object_get(notes, "io.containerd.image.name") != NULL ||
			json_object_get(notes, "org.opencontainers.image.ref.name") != NULL)
			return refuse(err, "it brings a name that was not asked for");
	}
	return 0;
}

static int check_json(struct archive_check *c, struct err *err)
{
	json_t **file = &c->files[c->keeps];

	*file = json_parse(c->text.data, c->text.len, NULL);
	if (c->keeps == MANIFEST)
		return check_manifest(c, err);
	if (c->keeps == INDEX)
		return check_index(c, err);
	if (!json_is_object(*file) || json_object_size(*file) > 0)
		return refuse(err, "it brings a name that was not asked for");
	return 0;
}

static int check_file(struct archive_check *c, struct err *err)
{
	char digest[DIGEST_HEX_LEN + 1];

	if (c->keeps <= REPOSITORIES)
		return check_json(c, err);
	digest_of(buf_str(&c->text), c->text.len, digest);
	if (!str_eq(digest, c->id))
		return refuse(err, "it is another image than the one that the engine lists");
	return 0;
}

/* It holds the image of that ID. An engine's ID is the digest of the configuration, or, where
 * images are kept by containerd, that of the manifest in the index. */
static bool is_complete(const struct archive_check *c)
{
	const char *config = json_str(json_array_get(c->files[MANIFEST], 0), "Config", "");
	const json_t *entries = json_object_get(c->files[INDEX], "manifests");
	const char *digest = json_str(json_array_get(entries, 0), "digest", "");

	if ((c->seen[CONFIG] && str_eq(config, c->paths[CONFIG])) ||
		(c->seen[BLOB] && str_eq(config, c->paths[BLOB])))
		return true;
	return c->seen[BLOB] && json_array_size(entries) == 1 &&
	       str_has_prefix(digest, "sha256:") && str_eq(digest + 7, c->id);
}

/* ---- Headers ---- */

static bool is_zero(const char *block)
{
	for (size_t i = 0; i < BLOCK; i++) {
		if (block[i] != 0)
			return false;
	}
	return true;
}

/* Octal digits, or with the highest bit set a number of bytes. */
static int read_number(const char *field, size_t len, uint64_t *out)
{
	size_t i = 0;

	*out = 0;
	if ((unsigned char)field[0] == 0x80) {
		for (i = 1; i < len; i++) {
			if (*out > SIZE_MAX_BYTES)
				return -1;
			*out = *out << 8 | (unsigned char)field[i];
		}
		return *out > SIZE_MAX_BYTES ? -1 : 0;
	}
	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		*out = *out * 8 + (uint64_t)(field[i] - '0');
	while (i < len && (field[i] == ' ' || field[i] == '\0'))
		i++;
	return i == len ? 0 : -1;
}

static bool has_checksum(const char *header)
{
	uint64_t told, sum = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char)header[i];
	return read_number(header + 148, 8, &told) == 0 && told == sum;
}

/* Without what stands for the folder itself. NULL: it leads out of it, or has two spellings. */
static const char *plain_name(char *name)
{
	size_t len;
	char *part = name;

	while (str_has_prefix(part, "./"))
		part += 2;
	name = part;
	len = strlen(name);
	if (len > 0 && name[len - 1] == '/')
		name[len - 1] = '\0';
	while (*part != '\0') {
		len = strcspn(part, "/");
		if (len == 0 || (len == 1 && part[0] == '.') ||
			(len == 2 && part[0] == '.' && part[1] == '.'))
			return NULL;
		part += len + (part[len] == '/' && part[len + 1] != '\0');
		if (*part == '/')
			return NULL;
	}
	return name;
}

/* "<64 digits>/layer.tar" */
static bool is_layer(const char *name)
{
	return strlen(name) == 64 + 10 && strspn(name, "0123456789abcdef") == 64 &&
	       str_eq(name + 64, "/layer.tar");
}

/* Engines of old save a layer that is in twice as a link to the first; nothing else is one. */
static int check_link(const char *name, const char *link, struct err *err)
{
	if (is_layer(name) && str_has_prefix(link, "../") && is_layer(link + 3))
		return 0;
	return refuse(err, "it has a link that is none of an image's");
}

static int begin_file(struct archive_check *c, const char *name, uint64_t size, struct err *err)
{
	for (enum kept i = 0; i < KEPT; i++) {
		if (!str_eq(name, c->paths[i]))
			continue;
		if (c->seen[i])
			return refuse(err, "it has a file twice");
		if (size > KEEP_MAX)
			return refuse(err, "a file that describes it is too large");
		c->seen[i] = true;
		c->keeps = i;
	}
	return 0;
}

/* The file's text, or what a pax header says, begins. */
static int begin_content(struct archive_check *c, const char *name, char type, bool is_folder,
	uint64_t size, struct err *err)
{
	c->left = size;
	c->padding = (BLOCK - size % BLOCK) % BLOCK;
	c->is_pax = type == 'x';
	buf_clear(&c->text);
	if (c->is_pax)
		return size <= KEEP_MAX ? 0 : refuse(err, "a header is too large");
	c->has_pax_size = false;
	if (is_folder)
		return size == 0 ? 0 : refuse(err, "a folder has content");
	return begin_file(c, name, size, err);
}

static int take_header(struct archive_check *c, struct err *err)
{
	const char *h = c->header;
	char raw[NAME_LEN + 1], link[NAME_LEN + 1];
	const char *name;
	char type = h[156];
	bool is_folder;
	uint64_t size;

	if (is_zero(h)) {
		c->is_ended = true;
		return is_complete(c) ? 0 : refuse(err, "it does not hold the image");
	}
	if (memcmp(h + 257, "ustar", 5) != 0 || !has_checksum(h) ||
		read_number(h + 124, 12, &size) != 0 || h[PREFIX_AT] != '\0')
		return refuse(err, "it is no archive as engines write them");
	memcpy(raw, h, NAME_LEN);
	raw[NAME_LEN] = '\0';
	memcpy(link, h + 157, NAME_LEN);
	link[NAME_LEN] = '\0';
	is_folder = type == '5';
	if (type != '0' && type != '\0' && type != '5' && type != '2' && type != 'x')
		return refuse(err, "it has an entry of a kind that is none of an image's");
	if (!is_folder && raw[0] != '\0' && raw[strlen(raw) - 1] == '/')
		return refuse(err, "it has a file with the name of a folder");
	name = plain_name(raw);
	if (name == NULL || (name[0] == '\0' && !is_folder))
		return refuse(err, "it has a name that leads elsewhere");
	if (c->has_pax_size && type != 'x')
		size = c->pax_size;
	if (type == '2' && (size != 0 || check_link(name, link, err) != 0))
		return refuse(err, "it has a link that is none of an image's");
	return begin_content(c, name, type, is_folder || type == '2', size, err);
}

/* "20 size=123\n" and so on. Sizes are needed; what would name another file, or make another kind
 * of one, is refused. */
static int take_pax(struct archive_check *c, struct err *err)
{
	const char *p = buf_str(&c->text), *end = p + c->text.len;

	while (p < end) {
		char *rest;
		unsigned long len = *p >= '1' && *p <= '9' ? strtoul(p, &rest, 10) : 0;
		const char *key, *value;
		long long size;

		if (len == 0 || *rest != ' ' || len > (size_t)(end - p) || p[len - 1] != '\n')
			return refuse(err, "it has a header that cannot be read");
		key = rest + 1;
		value = key < p + len ? memchr(key, '=', (size_t)(p + len - key)) : NULL;
		if (value == NULL || memchr(p, '\0', len) != NULL || str_has_prefix(key, "path=") ||
			str_has_prefix(key, "linkpath=") || str_has_prefix(key, "GNU."))
			return refuse(err, "it has a header that is none of an image's");
		if (str_has_prefix(key, "size=")) {
			char *text CLEANUP_FREE =
				xstrndup(value + 1, (size_t)(p + len - 1 - (value + 1)));

			if (c->has_pax_size || str_to_int(text, 0, (long long)SIZE_MAX_BYTES, &size,
						       "size", NULL) != 0)
				return refuse(err, "it has a size that cannot be read");
			c->pax_size = (uint64_t)size;
			c->has_pax_size = true;
		}
		p += len;
	}
	return 0;
}

/* ---- The bytes ---- */

static size_t at_most(uint64_t wanted, size_t len)
{
	return wanted < len ? (size_t)wanted : len;
}

static int end_content(struct archive_check *c, struct err *err)
{
	int done = 0;

	if (c->is_pax)
		done = take_pax(c, err);
	else if (c->keeps != KEPT)
		done = check_file(c, err);
	c->is_pax = false;
	c->keeps = KEPT;
	return done;
}

static int feed_header(struct archive_check *c, const char *data, size_t len, struct err *err)
{
	memcpy(c->header + c->header_len, data, len);
	c->header_len += len;
	if (c->header_len < BLOCK)
		return 0;
	c->header_len = 0;
	if (take_header(c, err) != 0)
		return -1;
	return c->left == 0 && !c->is_ended ? end_content(c, err) : 0;
}

static int feed_content(struct archive_check *c, const char *data, size_t len, struct err *err)
{
	if ((c->is_pax || c->keeps != KEPT) && buf_append(&c->text, data, len) != 0)
		return refuse(err, "a file that describes it is too large");
	c->left -= len;
	return c->left == 0 ? end_content(c, err) : 0;
}

int archive_check_feed(struct archive_check *c, const char *data, size_t len, struct err *err)
{
	while (len > 0) {
		size_t used = len;
		int done = 0;

		if (c->is_ended) {
			for (size_t i = 0; i < len; i++) {
				if (data[i] != 0)
					return refuse(err, "it goes on behind its end");
			}
		} else if (c->left > 0) {
			used = at_most(c->left, len);
			done = feed_content(c, data, used, err);
		} else if (c->padding > 0) {
			used = at_most(c->padding, len);
			c->padding -= used;
		} else {
			used = at_most(BLOCK - c->header_len, len);
			done = feed_header(c, data, used, err);
		}
		if (done != 0)
			return -1;
		data += used;
		len -= used;
	}
	return 0;
}

int archive_check_end(const struct archive_check *c, struct err *err)
{
	if (!c->is_ended)
		return refuse(err, "it breaks off");
	return 0;
}
