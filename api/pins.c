#include "api/pins.h"
#include "lib/hash.h"

struct pin {
	UT_hash_handle hh; /* in the order of their last use, oldest first */
	char *node_id;
	uint64_t used_ms;
	char key[];
};

struct pins {
	struct pin *all;
	size_t max;
	uint64_t ttl_ms;
};

struct pins *pins_new(size_t max, uint64_t ttl_ms)
{
	struct pins *pins = xcalloc(1, sizeof(*pins));

	pins->max = max;
	pins->ttl_ms = ttl_ms;
	return pins;
}

static void pin_free(struct pins *pins, struct pin *pin)
{
	HASH_DEL(pins->all, pin);
	free(pin->node_id);
	free(pin);
}

void pins_free(struct pins *pins)
{
	struct pin *pin, *next;

	if (pins == NULL)
		return;
	HASH_ITER (hh, pins->all, pin, next)
		pin_free(pins, pin);
	free(pins);
}

/* Those that nobody has used for too long are the first. */
static void expire(struct pins *pins, uint64_t now_ms)
{
	while (pins->all != NULL && now_ms - pins->all->used_ms >= pins->ttl_ms)
		pin_free(pins, pins->all);
}

/* The youngest is the last. */
static void use(struct pins *pins, struct pin *pin, uint64_t now_ms)
{
	HASH_DEL(pins->all, pin);
	HASH_ADD_STR(pins->all, key, pin);
	pin->used_ms = now_ms;
}

void pins_set(struct pins *pins, const char *key, const char *node_id, uint64_t now_ms)
{
	size_t len = strlen(key);
	struct pin *pin;

	if (len > PINS_KEY_MAX)
		return;
	expire(pins, now_ms);
	HASH_FIND_STR(pins->all, key, pin);
	if (pin != NULL) {
		free(pin->node_id);
		pin->node_id = xstrdup(node_id);
		use(pins, pin, now_ms);
		return;
	}
	if (HASH_COUNT(pins->all) >= pins->max)
		pin_free(pins, pins->all);
	pin = xcalloc(1, sizeof(*pin) + len + 1);
	memcpy(pin->key, key, len + 1);
	pin->node_id = xstrdup(node_id);
	pin->used_ms = now_ms;
	HASH_ADD_STR(pins->all, key, pin);
}

const char *pins_get(struct pins *pins, const char *key, uint64_t now_ms)
{
	struct pin *pin;

	expire(pins, now_ms);
	HASH_FIND_STR(pins->all, key, pin);
	if (pin == NULL)
		return NULL;
	use(pins, pin, now_ms);
	return pin->node_id;
}
