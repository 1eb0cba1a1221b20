/* Archives of images, as engines write them and as they might lie: what would give a name that
 * nobody asked for, or bring another image, is refused before its end is let through. */
#include "api/archive_check.h"

#include "http/digest.h"
#include "lib/buf.h"
#include "lib/str.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#define CONFIG "{\"os\":\"linux\"}"
#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct file {
	const char *name; /* %s = the image's digits; NULL = the end of the archive */
	const char *text; /* likewise; of a link its target */
	char type;        /* 0 = a file */
};

static char id[DIGEST_HEX_LEN + 1];

static char *filled(const char *text)
{
	const char *at = strstr(text, "%s");

	return at == NULL ? xstrdup(text)
			  : xasprintf("%.*s%s%s", (int)(at - text), text, id, at + 2);
}

static void add_block(struct buf *out, const char *data, size_t len)
{
	static const char zeros[512];

	buf_append(out, data, len);
	buf_append(out, zeros, (512 - len % 512) % 512);
}

static void add_file(struct buf *out, const struct file *file)
{
	char *name CLEANUP_FREE = filled(file->name);
	char *text CLEANUP_FREE = filled(file->text);
	char header[512] = {0};
	bool is_link = file->type == '1' || file->type == '2';
	size_t len = is_link ? 0 : strlen(text);
	unsigned sum = 0;

	memcpy(header, name, strlen(name) < 100 ? strlen(name) : 100);
	snprintf(header + 124, 12, "%011o", (unsigned)len);
	header[156] = file->type != 0 ? file->type : '0';
	if (is_link)
		memcpy(header + 157, text, strlen(text));
	memcpy(header + 257, "ustar\00000", 8);
	memset(header + 148, ' ', 8);
	for (size_t i = 0; i < sizeof(header); i++)
		sum += (unsigned char)header[i];
	snprintf(header + 148, 8, "%06o", sum);
	buf_append(out, header, sizeof(header));
	if (len > 0)
		add_block(out, text, len);
}

static void archive(struct buf *out, const struct file *files)
{
	static const char end[1024];

	digest_of(CONFIG, strlen(CONFIG), id);
	buf_init(out, 1 << 20);
	for (; files->name != NULL; files++)
		add_file(out, files);
	if (files->text == NULL)
		buf_append(out, end, sizeof(end));
}

/* NULL = let through; else why it was refused. */
static const char *why_refused(const struct buf *text, size_t piece, const char *name)
{
	static struct err err;
	struct archive_check *c = archive_check_new(id, name);
	int done = 0;

	err = (struct err)ERR_INIT;
	for (size_t at = 0; at < text->len && done == 0; at += piece) {
		size_t len = text->len - at < piece ? text->len - at : piece;

		done = archive_check_feed(c, text->data + at, len, &err);
	}
	if (done == 0)
		done = archive_check_end(c, &err);
	archive_check_free(c);
	assert_int_equal(err.code, done == 0 ? ERR_NONE : ERR_UPSTREAM);
	return done == 0 ? NULL : err.msg;
}

#define FINE \
	{ \
		"%s.json", CONFIG, 0 \
	}
#define MANIFEST(more) \
	{ \
		"manifest.json", "[{\"Config\":\"%s.json\"," more "\"Layers\":[\"l\"]}]", 0 \
	}
#define UNTAGGED MANIFEST("\"RepoTags\":null,")
#define END \
	{ \
		NULL, NULL, 0 \
	}

static void expect_fine(const struct file *files, const char *name)
{
	struct buf text CLEANUP_BUF;
	static const size_t pieces[] = {1, 511, 512, 513, 1 << 20};

	archive(&text, files);
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		const char *why = why_refused(&text, pieces[i], name);

		if (why != NULL)
			fail_msg("refused: %s", why);
	}
}

static void test_fine(void **state)
{
	static const struct file old[] = {{HEX "/", "", '5'}, {HEX "/VERSION", "1.0", 0},
		{HEX "/layer.tar", "layer", 0}, {"%s/layer.tar", "../" HEX "/layer.tar", '2'}, FINE,
		UNTAGGED, END};
	static const struct file first[] = {UNTAGGED, {"./", "", '5'}, FINE, END};
	static const struct file newer[] = {{"blobs/sha256/%s", CONFIG, 0},
		{"index.json", "{\"manifests\":[{\"digest\":\"sha256:" HEX "\"}]}", 0},
		{"manifest.json", "[{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":[]}]", 0},
		{"oci-layout", "{}", 0}, {"repositories", "{}", 0}, END};
	static const struct file containerd[] = {{"blobs/sha256/%s", CONFIG, 0},
		{"index.json", "{\"manifests\":[{\"digest\":\"sha256:%s\",\"size\":1}]}", 0}, END};
	static const struct file named[] = {FINE, MANIFEST("\"RepoTags\":[\"a:1\"],"), END};
	static const struct file sized[] = {{"PaxHeaders.0/x", "10 size=5\n", 'x'},
		{HEX "/layer.tar", "layer", 0}, FINE, UNTAGGED, END};

	(void)state;
	expect_fine(old, NULL);
	expect_fine(first, "a:1");
	expect_fine(newer, NULL);
	expect_fine(containerd, NULL);
	expect_fine(named, "a:1");
	expect_fine(sized, NULL);
}

struct lie {
	const char *why;
	struct file files[6];
};

static const struct lie lies[] = {
	{"a name that", {FINE, MANIFEST("\"RepoTags\":[\"busybox:latest\",\"a:1\"],"), END}},
	{"a name that", {MANIFEST("\"RepoTags\":[\"a:1\",\"busybox:latest\"],"), FINE, END}},
	{"a name that", {FINE, MANIFEST("\"RepoTags\":\"busybox:latest\","), END}},
	/* Engines read field names in any case. */
	{"not that of one", {FINE, MANIFEST("\"RepoTags\":null,\"repotags\":[\"b:1\"],"), END}},
	{"not that of one", {FINE, MANIFEST("\"RepoTags\":null,\"RepoTags\":[\"b:1\"],"), END}},
	{"not that of one", {FINE, {"manifest.json", "[{\"Config\":\"%s.json\"},{}]", 0}, END}},
	{"not that of one", {FINE, {"manifest.json", "[]", 0}, END}},
	{"not that of one", {FINE, {"manifest.json", "", 0}, END}},
	{"a name that", {FINE, UNTAGGED, {"repositories", "{\"b\":{\"1\":\"x\"}}", 0}, END}},
	{"a name that",
		{{"blobs/sha256/%s", CONFIG, 0},
			{"index.json",
				"{\"manifests\":[{\"digest\":\"sha256:%s\",\"annotations\":{"
				"\"io.containerd.image.name\":\"docker.io/library/b:1\"}}]}",
				0},
			END}},
	{"index is none", {{"blobs/sha256/%s", CONFIG, 0},
				  {"index.json", "{\"manifests\":[],\"Manifests\":[]}", 0}, END}},
	/* Twice: the last one counts. */
	{"a file twice", {FINE, UNTAGGED, UNTAGGED, END}},
	{"a file twice", {FINE, FINE, UNTAGGED, END}},
	{"a file twice", {FINE, UNTAGGED, {"././manifest.json", "[]", 0}, END}},
	/* The same file by another way. */
	{"leads elsewhere", {FINE, UNTAGGED, {"x/../manifest.json", "[]", 0}, END}},
	{"leads elsewhere", {FINE, UNTAGGED, {"/manifest.json", "[]", 0}, END}},
	{"leads elsewhere", {FINE, UNTAGGED, {"x//y", "[]", 0}, END}},
	{"name of a folder", {FINE, UNTAGGED, {"manifest.json/", "[]", 0}, END}},
	{"none of an image's",
		{FINE, UNTAGGED, {"x", ".", '2'}, {"x/manifest.json", "[]", 0}, END}},
	{"none of an image's", {FINE, {"manifest.json", "other", '2'}, {"other", "[]", 0}, END}},
	{"none of an image's", {FINE, {"manifest.json", "other", '1'}, {"other", "[]", 0}, END}},
	{"none of an image's",
		{FINE, UNTAGGED, {HEX "/layer.tar", "../../etc/layer.tar", '2'}, END}},
	{"none of an image's",
		{FINE, UNTAGGED, {"p", "22 path=manifest.json\n", 'x'}, {"x", "[]", 0}, END}},
	{"none of an image's", {FINE, UNTAGGED, {"p", "manifest.json", 'L'}, {"x", "[]", 0}, END}},
	{"none of an image's", {FINE, UNTAGGED, {"p", "10 size=5\n", 'g'}, END}},
	{"cannot be read", {{"p", "10 size=5", 'x'}, {"x", "[]", 0}, END}},
	{"cannot be read", {{"p", "99 size=5\n", 'x'}, {"x", "[]", 0}, END}},
	/* Another image, or none. */
	{"another image", {{"%s.json", "{\"os\":\"evil\"}", 0}, UNTAGGED, END}},
	{"does not hold", {{"evil.json", CONFIG, 0},
				  {"manifest.json", "[{\"Config\":\"evil.json\"}]", 0}, END}},
	{"does not hold", {FINE, {"manifest.json", "[{\"Config\":\"evil.json\"}]", 0}, END}},
	{"does not hold", {FINE, END}},
	{"does not hold", {UNTAGGED, END}},
	{"does not hold", {END}},
	{"breaks off", {FINE, UNTAGGED, {NULL, "", 0}}},
};

static void test_lies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		struct buf text CLEANUP_BUF;
		const char *why;

		archive(&text, lies[i].files);
		for (size_t piece = 1; piece <= text.len; piece = piece * 7 + 1) {
			why = why_refused(&text, piece, "a:1");
			if (why == NULL || strstr(why, lies[i].why) == NULL)
				fail_msg("lie %zu: %s, not: %s", i, lies[i].why,
					why != NULL ? why : "let through");
		}
	}
}

/* The end is what an engine acts upon; it is not let through before all is known. */
static void test_the_end_is_held_back(void **state)
{
	static const struct file files[] = {UNTAGGED, END};
	struct archive_check *c;
	struct buf text CLEANUP_BUF;
	struct err err = ERR_INIT;

	(void)state;
	archive(&text, files);
	c = archive_check_new(id, NULL);
	assert_int_equal(archive_check_feed(c, text.data, text.len - 1024 + 511, &err), 0);
	assert_int_equal(archive_check_feed(c, text.data + text.len - 513, 1, &err), -1);
	archive_check_free(c);
}

static void test_what_is_no_archive(void **state)
{
	static const struct file files[] = {FINE, UNTAGGED, END};
	struct buf text CLEANUP_BUF;

	(void)state;
	archive(&text, files);
	buf_append_str(&text, "more");
	assert_non_null(why_refused(&text, 100, NULL));
	buf_clear(&text);
	buf_append(&text, "\x1f\x8b\x08", 3);
	for (size_t i = 0; i < 2000; i++)
		buf_append_char(&text, (char)(i * 7));
	assert_non_null(why_refused(&text, 100, NULL));
	buf_reset(&text);
	archive(&text, files);
	text.data[0] = 'x'; /* the sum is another */
	assert_non_null(why_refused(&text, 100, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fine),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_the_end_is_held_back),
		cmocka_unit_test(test_what_is_no_archive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
