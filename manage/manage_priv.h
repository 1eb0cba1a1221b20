/* Inside manage/: the parts of one manager. */
#ifndef MANAGE_MANAGE_PRIV_H
#define MANAGE_MANAGE_PRIV_H

#include "cluster/cluster.h"
#include "discovery/discovery.h"
#include "http/server.h"
#include "manage/manage.h"
#include "web/web.h"

struct scheduler;

enum manage_state {
	MANAGE_SERVING,
	MANAGE_DRAINING, /* not listening any more; exchanges in flight may end */
	MANAGE_LEAVING,  /* they have; what the sockets still hold may go out */
};

enum {
	MANAGE_SIGNAL_TERM,
	MANAGE_SIGNAL_INT,
	MANAGE_SIGNAL_HUP,
	MANAGE_SIGNAL_USR1,
	MANAGE_SIGNALS
};

struct manage {
	const struct manage_config *config;
	struct loop *loop;
	const struct env *env;
	struct client *client;
	struct tls_context *tls; /* NULL = plain; for clients and engines alike */
	struct cluster *cluster;
	struct scheduler *scheduler;
	struct handler *gate; /* and the API handler behind it */
	struct server *server;
	struct discovery *discovery;
	struct web *web; /* NULL = none was asked for */
	struct web_config web_config;

	enum manage_state state;
	struct loop_timer *stop_timer;
	struct loop_timer *give_back; /* memory, again and again */
	struct loop_signal *signals[MANAGE_SIGNALS];

	bool has_nodes; /* discovery has answered */
	enum err_code
		discovery_failure; /* last one told of; ERR_NONE = none since the nodes changed */
	uint64_t discovery_failed_at;
};

/* Reads certificate, key and CA; NULL with err (ERR_SYSTEM) names the file. */
struct tls_context *manage_tls_load(const struct manage_config *config, struct err *err) MUSTCHECK;

/* A failure was reported lately. A store that works again with the same nodes says nothing. */
bool manage_is_discovery_failing(const struct manage *manage);

/* Checks the addresses alone (ERR_USAGE). */
int manage_check_hosts(const struct str_list *hosts, struct err *err) MUSTCHECK;
/* Listens on all of them, and says so in the log. */
int manage_listen(struct manage *manage, struct err *err) MUSTCHECK;

/* Takes over the signals of the process. */
void manage_signals_start(struct manage *manage);
void manage_signals_stop(struct manage *manage);

/* Writes what there is to the log. */
void manage_dump(const struct manage *manage);

#endif
