/* A token's file, damaged in any way. */
#include "discovery/token_entries.h"
#include "discovery/token_store_priv.h"
#include "tests/fuzz/fuzz.h"

/* What the file says now; the text is the caller's. */
static void render(struct token_entries *entries, struct buf *out)
{
	buf_init(out, TOKEN_FILE_MAX);
	buf_append_str(out, TOKEN_FILE_HEAD);
	token_entries_render(entries, out);
	token_entries_written(entries, true, 0);
	fuzz_check(!out->failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t shared = 0, shared_again = 0;
	struct token_entries first = {.shared = &shared}, second = {.shared = &shared_again};
	char *text = xmalloc(size + 1);
	bool was_used = false;
	struct buf out;

	memcpy(text, data, size);
	text[size] = '\0';
	token_entries_read(&first, text, size, 0, &was_used);
	fuzz_check(first.count == 0 || was_used);
	/* What is written of it is whole. */
	render(&first, &out);
	fuzz_check(token_entries_read(&second, out.data, out.len, 0, &was_used) == 0);
	fuzz_check(first.count == second.count);
	token_entries_free(&first);
	token_entries_free(&second);
	fuzz_check(shared == 0 && shared_again == 0);
	buf_reset(&out);
	free(text);
	return 0;
}
