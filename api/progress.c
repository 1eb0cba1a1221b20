#include "api/progress.h"
#include "lib/json.h"
#include "lib/mem.h"

#define LINE_MAX_BYTES (1024 * 1024)

void progress_init(struct progress *p)
{
	*p = (struct progress){0};
	json_split_init(&p->split, LINE_MAX_BYTES, false);
}

void progress_reset(struct progress *p)
{
	json_split_reset(&p->split);
	free(TAKE_PTR(p->error));
}

static bool progress_line(const char *text, size_t len, void *arg)
{
	struct progress *p = arg;
	json_t *json CLEANUP_JSON = json_parse(text, len, NULL);
	const char *error = json_str(json, p->status >= 300 ? "message" : "error", NULL);

	if (error != NULL) {
		free(p->error);
		p->error = xstrdup(error);
	} else {
		p->has_begun = true;
	}
	return true;
}

void progress_feed(struct progress *p, const char *data, size_t len)
{
	struct err err = ERR_INIT;

	if (json_split_feed(&p->split, data, len, progress_line, p, &err) != 0 && p->error == NULL)
		p->error = xstrdup(err.msg);
}

const char *progress_error(const struct progress *p)
{
	if (p->error != NULL)
		return p->error;
	return p->status < 300 ? NULL : "the engine gave no reason";
}
