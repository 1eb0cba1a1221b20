/* The parts of consul:// discovery: reading answers, watching, and the registration of one node. */
#ifndef DISCOVERY_CONSUL_PRIV_H
#define DISCOVERY_CONSUL_PRIV_H

#include "discovery/discovery_priv.h"
#include "discovery/store.h"

/* ---- Answers (consul_kv.c); pure functions. ---- */

/* The most bytes of an answer to a listing. */
#define CONSUL_LIST_MAX (8 * 1024 * 1024)
#define CONSUL_SESSION_MAX 64

/* One key. */
struct consul_key {
	char session[CONSUL_SESSION_MAX + 1]; /* who holds it; "" = nobody */
	char *value;                          /* owned, never NULL */
	uint64_t modify_index;
};
void consul_key_free(struct consul_key *key);

/* Reads the answer to a listing of the keys below dir ("a/b/", no slash in front): adds one address
 * for each direct child. What is deeper belongs to somebody else. The value is the address, as
 * managers of old read it; the key's last part is, when the value is none. Neither is checked
 * further. */
int consul_parse_list(const char *text, size_t len, const char *dir, struct str_list *out,
	struct err *err) MUSTCHECK;
/* Reads the answer to the get of one key. */
int consul_parse_key(
	const char *text, size_t len, struct consul_key *out, struct err *err) MUSTCHECK;
/* Reads the answer to the making of a session into out (CONSUL_SESSION_MAX + 1 bytes). */
int consul_parse_session(const char *text, size_t len, char *out, struct err *err) MUSTCHECK;
/* X-Consul-Index; 0 when it is missing or no number. */
uint64_t consul_parse_index(const struct http_headers *headers);
/* Brings a path to the form "a/b": no slash at either end, none doubled. -1 when it holds "." or
 * ".." as a part or a control character. */
int consul_clean_path(const char *path, char **out, struct err *err) MUSTCHECK;
/* "/v1/kv/" and the key, its parts percent-encoded. Owned by the caller. */
char *consul_kv_target(const char *key);

/* ---- Registration (consul_agent.c) ---- */

struct consul_agent;
/* dir as above. */
struct consul_agent *consul_agent_new(
	const struct discovery_context *context, struct store *store, const char *dir);
void consul_agent_free(struct consul_agent *agent);
/* One beat; ends with discovery_report_published. */
void consul_agent_beat(struct consul_agent *agent, const char *addr);
/* After at least one beat. Ends with discovery_report_withdrawn. */
void consul_agent_withdraw(struct consul_agent *agent);

#endif
