/* Bodies of creates that a client chose: what is refused has a reason, and what is taken makes a
 * body for the engine that is taken in its turn. */
#include "lib/json.h"
#include "scheduler/create_request.h"
#include "tests/fuzz/fuzz.h"

static void check_taken(const struct create_request *request)
{
	struct node_view node = {.id = "E|a", .engine_id = "E", .name = "n1", .addr = "a"};
	json_t *body CLEANUP_JSON = create_request_body(request, &node, 4);
	size_t len;
	char *text CLEANUP_FREE = json_text(body, &len);
	json_t *again CLEANUP_JSON = json_parse(text, len, NULL);

	fuzz_check(create_request_placement(request) != NULL);
	fuzz_check(again != NULL && json_equal(again, body) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct create_options options = {.name = "web"};
	struct err err = ERR_INIT;
	char *text = fuzz_copy(data, size);
	json_t *body = json_parse(text, size, &err);
	struct create_request *request;

	if (body != NULL) {
		request = create_request_new(body, &options, &err);
		if (request != NULL)
			check_taken(request);
		else
			fuzz_check(err.code != ERR_NONE && err.msg[0] != '\0');
		create_request_free(request);
	}
	json_decref(body);
	free(text);
	return 0;
}
