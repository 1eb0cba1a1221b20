/* What stores answer: the first byte says which question. */
#include "discovery/consul_priv.h"
#include "discovery/discovery_priv.h"
#include "lib/addr.h"
#include "lib/log.h"
#include "tests/fuzz/fuzz.h"

/* Whatever was read, what is left of it are addresses that may be called, each once. */
static void check_list(struct str_list *addrs)
{
	struct discovery_entries entries = {0};

	fuzz_check(addrs->len <= ADDR_EXPAND_MAX + 1);
	discovery_entries_clean(&entries, &discovery_consul_ops, ADDR_SPECIAL_ALL, addrs);
	for (size_t i = 0; i < addrs->len; i++) {
		fuzz_check(addr_check_host_port(addrs->items[i], NULL) == 0);
		fuzz_check(discovery_special(addrs->items[i]) == 0);
		fuzz_check(i == 0 || strcmp(addrs->items[i - 1], addrs->items[i]) < 0);
	}
	discovery_entries_free(&entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char session[CONSUL_SESSION_MAX + 1];
	struct str_list addrs = {0};
	struct consul_key key = {0};
	char *text;

	if (size == 0)
		return 0;
	log_set_level(LOG_LEVEL_FATAL);
	text = fuzz_text(data + 1, size - 1);
	switch (data[0]) {
	case 'l':
		if (consul_parse_list(text, strlen(text), "p/nodes/", &addrs, NULL) == 0)
			check_list(&addrs);
		break;
	case 't':
		if (token_parse_list(text, strlen(text), &addrs, NULL) == 0)
			check_list(&addrs);
		break;
	case 'k':
		if (consul_parse_key(text, strlen(text), &key, NULL) == 0)
			fuzz_check(key.value != NULL);
		consul_key_free(&key);
		break;
	default:
		if (consul_parse_session(text, strlen(text), session, NULL) == 0)
			fuzz_check(strlen(session) > 0);
		break;
	}
	str_list_free(&addrs);
	free(text);
	return 0;
}
