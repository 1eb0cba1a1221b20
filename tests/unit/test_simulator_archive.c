/* What the simulated engines read that others made: archives, Dockerfiles, frames of WebSockets. */
#include "http/digest.h"
#include "simulator/dockerfile.h"
#include "simulator/image.h"
#include "simulator/tar.h"
#include "simulator/ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- tar ---- */

static void note_entry(void *arg, const struct sim_tar_entry *e)
{
	buf_printf(
		arg, "%c %s>%s %o %lld [", e->type, e->name, e->link, e->mode, (long long)e->size);
}

static void note_data(void *arg, const char *data, size_t len)
{
	buf_append(arg, data, len);
}

static void note_end(void *arg)
{
	buf_append_str(arg, "]\n");
}

static const struct sim_tar_ops note_ops = {note_entry, note_data, note_end};

/* Reads it in pieces of that size. The notes (to be freed), or NULL. */
static char *notes_of(const char *data, size_t len, size_t piece, struct err *err)
{
	struct buf notes;
	struct sim_tar *t;
	int failed = 0;

	buf_init(&notes, 1 << 20);
	t = sim_tar_new(&note_ops, &notes);
	for (size_t at = 0; at < len && !failed; at += piece)
		failed = sim_tar_feed(t, data + at, len - at < piece ? len - at : piece, err);
	if (!failed)
		failed = sim_tar_finish(t, err);
	sim_tar_free(t);
	if (!failed)
		return buf_take(&notes);
	buf_reset(&notes);
	return NULL;
}

static void archive_make(struct buf *b)
{
	char name[300];
	const struct sim_tar_entry dir = {
		.name = "dir", .link = "", .type = SIM_TAR_DIR, .mode = 0755};
	const struct sim_tar_entry link = {
		.name = "dir/link", .link = "../a", .type = SIM_TAR_SYMLINK, .mode = 0777};

	buf_init(b, 1 << 20);
	sim_tar_write(b, &dir);
	sim_tar_write_file(b, "a", "content", 7);
	sim_tar_write(b, &link);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	sim_tar_write_file(b, name, "", 0);
	sim_tar_write_end(b);
}

static void test_tar_comes_back(void **state)
{
	CLEANUP_BUF struct buf b = {0};
	CLEANUP_FREE char *whole = NULL;
	struct err err = ERR_INIT;

	(void)state;
	archive_make(&b);
	whole = notes_of(b.data, b.len, b.len, &err);
	assert_non_null(whole);
	assert_true(str_has_prefix(whole, "5 dir> 755 0 []\n0 a> 644 7 [content]\n"
					  "2 dir/link>../a 777 0 []\n0 nnnn"));
	assert_int_equal(strlen(strrchr(whole, 'n')), strlen("n> 644 0 []\n"));
	/* It does not matter how it comes. */
	for (size_t piece = 1; piece < 600; piece += 37) {
		CLEANUP_FREE char *again = notes_of(b.data, b.len, piece, &err);

		assert_string_equal(again, whole);
	}
}

static void test_tar_refuses(void **state)
{
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;

	(void)state;
	archive_make(&b);
	assert_null(notes_of(b.data, 515, 100, &err)); /* cut in a header */
	assert_string_equal(err.msg, "unexpected EOF");
	assert_null(notes_of(b.data, 1027, 100, &err)); /* cut in a file */
	for (size_t i = 0; i < 512; i++) {
		struct err why = ERR_INIT;

		b.data[i] = (char)(b.data[i] ^ 0x55);
		free(notes_of(b.data, b.len, 512, &why));
		/* The field of the checksum may say the same in other characters. */
		if (i < 148 || i >= 156)
			assert_string_equal(why.msg, "archive/tar: invalid tar header");
		b.data[i] = (char)(b.data[i] ^ 0x55);
	}
}

/* Sizes, names and records of all kinds must not lead out of the buffers: the sanitizers tell. */
static void test_tar_survives(void **state)
{
	static const char *const extras[] = {"", "1", "9 path=x\n", "10 path=xy\n", "99 path=x\n",
		"10 pathxyz\n", "18446744073709551615 path=x\n", "12 size=-1\n", "0 ", " path=x\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(extras); i++)
		for (const char *type = "xgLK"; *type; type++) {
			CLEANUP_BUF struct buf b = {0};
			struct sim_tar_entry e = {.name = "e",
				.link = "",
				.type = SIM_TAR_FILE,
				.size = (int64_t)strlen(extras[i])};
			unsigned sum = 0;

			buf_init(&b, 1 << 20);
			sim_tar_write(&b, &e);
			b.data[156] = *type;
			memset(b.data + 148, ' ', 8);
			for (size_t k = 0; k < 512; k++)
				sum += (unsigned char)b.data[k];
			snprintf(b.data + 148, 8, "%06o", sum);
			buf_append_str(&b, extras[i]);
			sim_tar_pad(&b, e.size);
			sim_tar_write_file(&b, "next", "x", 1);
			sim_tar_write_end(&b);
			free(notes_of(b.data, b.len, 100, NULL));
		}
}

/* ---- Dockerfiles ---- */

static void test_dockerfile_steps(void **state)
{
	static const char text[] =
		"# note\n\n from a:${V} \\\n# inside\n\n  as b\nRUN x \\\n  && y\n";
	CLEANUP_DOCKERFILE struct sim_dockerfile d = {0};
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(sim_dockerfile_parse(text, strlen(text), &d, &err), 0);
	assert_int_equal(d.len, 2);
	assert_string_equal(d.steps[0].name, "FROM");
	assert_string_equal(d.steps[0].rest, "a:${V}   as b");
	assert_int_equal(d.steps[0].line, 3);
	assert_string_equal(d.steps[1].text, "RUN x   && y");
}

static void test_dockerfile_words(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {{"a  b", "a|b|"}, {"\"a b\" 'c $V'", "a b|c $V|"}, {"$V ${V}x", "v|vx|"},
		{"${N:-d e}", "d e|"}, {"${V:+w}${N:+w}", "w|"}, {"a\\ b", "a b|"}, {"$", "$|"},
		{"${V", "v|"}, {"${:-x}", "x|"}, {"\"", "|"}, {"", ""}};
	CLEANUP_JSON json_t *vars = json_pack("{s:s}", "V", "v");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_STR_LIST struct str_list words = {0};
		CLEANUP_BUF struct buf joined = {0};

		buf_init(&joined, 1000);
		sim_dockerfile_words(cases[i].text, vars, &words);
		for (size_t k = 0; k < words.len; k++)
			buf_printf(&joined, "%s|", words.items[k]);
		assert_string_equal(buf_str(&joined), cases[i].words);
	}
}

/* ---- WebSockets ---- */

static void note_message(void *arg, int kind, const char *data, size_t len)
{
	buf_printf(arg, "%d:%.*s ", kind, (int)len, data);
}

static void test_ws_frames(void **state)
{
	/* "hi" masked with 1, 2, 3, 4; a ping; a close. */
	static const char frames[] = "\x82\x82\x01\x02\x03\x04\x69\x6b"
				     "\x89\x81\x01\x02\x03\x04q"
				     "\x88\x80\x01\x02\x03\x04";
	CLEANUP_BUF struct buf notes = {0};
	CLEANUP_BUF struct buf out = {0};
	struct sim_ws *ws;

	(void)state;
	buf_init(&notes, 1000);
	ws = sim_ws_new(note_message, &notes);
	for (size_t i = 0; i < sizeof(frames) - 1; i++) {
		char c = frames[i];

		assert_int_equal(sim_ws_feed(ws, &c, 1), 0);
	}
	sim_ws_free(ws);
	assert_string_equal(buf_str(&notes), "2:h 2:i 9:p 8: ");
	buf_init(&out, 1 << 20);
	sim_ws_write(&out, SIM_WS_BINARY, frames, 0);
	assert_memory_equal(out.data, "\x82\x00", 2);
}

static void test_ws_refuses(void **state)
{
	static const char *const bad[] = {"\x82\x02hi", "\xc2\x82", "\x83\x82", "\x8b\x82",
		"\x89\xfe\x01\x01", "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP_BUF struct buf notes = {0};
		struct sim_ws *ws;
		char data[32] = "";
		size_t len = strlen(bad[i]);

		buf_init(&notes, 1000);
		memcpy(data, bad[i], len);
		ws = sim_ws_new(note_message, &notes);
		assert_int_equal(sim_ws_feed(ws, data, sizeof(data)), -1);
		sim_ws_free(ws);
	}
}

static void test_digests(void **state)
{
	CLEANUP_FREE char *accept = digest_websocket_accept("dGhlIHNhbXBsZSBub25jZQ==");
	char hex[DIGEST_HEX_LEN + 1];

	(void)state;
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455 */
	digest_of("abc", 3, hex);
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* ---- Content ---- */

static void test_content_is_shared(void **state)
{
	struct sim_contents contents = {0};
	struct sim_content *a = sim_content_of_name(&contents, "nginx:latest");
	struct sim_content *b = sim_content_of_name(&contents, "nginx:latest");
	struct sim_content *c = sim_content_of_name(&contents, "nginx:1");
	char id[DIGEST_HEX_LEN + 1];

	(void)state;
	assert_ptr_equal(a, b);
	assert_string_not_equal(a->id, c->id);
	digest_of(a->text, a->len, id);
	assert_string_equal(a->id, id);
	sim_content_unref(&contents, a);
	sim_content_unref(&contents, b);
	sim_content_unref(&contents, c);
	assert_null(contents.by_id);
}

static void test_bad_content(void **state)
{
	static const char md5[] = "{\"rootfs\":{\"diff_ids\":[\"md5:012345678901234567890123456789"
				  "0123456789012345678901234567890123\"]}}";
	static const char *const bad[] = {"", "{", "[]", "1", "{\"rootfs\":{\"diff_ids\":[1]}}",
		"{\"rootfs\":{\"diff_ids\":[\"sha256:12\"]}}", md5};
	struct sim_contents contents = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;

		assert_null(sim_content_make(&contents, bad[i], strlen(bad[i]), NULL, &err));
		assert_int_not_equal(err.code, ERR_NONE);
	}
	assert_null(contents.by_id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tar_comes_back),
		cmocka_unit_test(test_tar_refuses),
		cmocka_unit_test(test_tar_survives),
		cmocka_unit_test(test_dockerfile_steps),
		cmocka_unit_test(test_dockerfile_words),
		cmocka_unit_test(test_ws_frames),
		cmocka_unit_test(test_ws_refuses),
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_content_is_shared),
		cmocka_unit_test(test_bad_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
