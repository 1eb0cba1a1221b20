/* A cluster with its live half, engines that the test tells what to do, and what is heard of them.
 */
#ifndef TESTS_UNIT_LIVE_FIXTURE_H
#define TESTS_UNIT_LIVE_FIXTURE_H

#include "cluster/live.h"
#include "lib/json.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/fake_engine.h"

/* Long enough for a loaded machine under sanitizers; no test waits for it to pass. */
#define FIXTURE_DEADLINE_MS 60000

/* Nothing an engine takes its time for is an error: for all that is not about deadlines. */
extern const struct live_timing fixture_patient;
/* A hundred times faster than life: for engines in trouble. */
extern const struct live_timing fixture_fast;

enum { FIXTURE_LOG_MAX = 400 };

struct fixture {
	struct loop *loop;
	struct client *client;
	struct cluster *cluster;
	struct live_timing *timing; /* of the cluster; may be changed at any time */
	struct event_listener *listener;
	struct fake_engine *engines[8];
	size_t engines_len;
	char *log[FIXTURE_LOG_MAX]; /* "type action id-or-node" of the events heard */
	size_t log_len;
	char *last_text;
	/* Sees each event when it is heard. It must not assert: its caller is the program. */
	void (*on_event)(struct fixture *f, const struct event *event);
	char wrong[300]; /* the first that callbacks found and no test has failed for; "" = none */
};

/* For cmocka: a patient cluster of no engines; or a fast one, for tests of its deadlines. */
int fixture_setup(void **state);
int fixture_setup_fast(void **state);
int fixture_teardown(void **state);

struct fake_engine *fixture_engine(struct fixture *f, const char *id, const char *name);
/* Tells the cluster of all engines there are. */
void fixture_discover(struct fixture *f);
/* The same, and all are healthy. */
void fixture_connect(struct fixture *f);
struct node *fixture_node(struct fixture *f, const struct fake_engine *engine);

/* Runs the loop for so long, then fails the test when something wrong was heard meanwhile. */
void fixture_run(struct fixture *f, unsigned ms);
/* Fails the test when it never becomes so. */
#define WAIT_UNTIL(f, condition) \
	do { \
		uint64_t end_ = loop_now_ms((f)->loop) + FIXTURE_DEADLINE_MS; \
		while (!(condition) && loop_now_ms((f)->loop) < end_) \
			fixture_run(f, 1); \
		assert_true(condition); \
	} while (0)

/* All engines there are, or none. */
bool fixture_is_healthy(const struct fixture *f);
bool fixture_is_down(const struct fixture *f);
/* How many lines of the log have this in them. */
size_t fixture_count(const struct fixture *f, const char *part);

/* For callbacks, where a failing assertion would jump over the frames of the program: notes what is
 * wrong, for fixture_run and fixture_teardown to fail. */
#define FIXTURE_CHECK(f, condition) \
	((condition) ? (void)0 : fixture_note((f), __FILE__, __LINE__, #condition))
void fixture_note(struct fixture *f, const char *file, int line, const char *what);

#endif
