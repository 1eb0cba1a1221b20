/* Errors: one value on the caller's stack, filled where something fails, never allocated. */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#include <stdarg.h>

/* Domain words. Only api/ maps them to HTTP statuses, only cli/ to exit statuses. */
enum err_code {
	ERR_NONE = 0,
	ERR_INVALID,     /* the request, file or argument is malformed or out of range */
	ERR_USAGE,       /* wrong command line */
	ERR_NOT_FOUND,   /* no such object */
	ERR_CONFLICT,    /* exists already, or is in use */
	ERR_TOO_LARGE,   /* over a stated limit */
	ERR_NO_NODE,     /* nothing in the cluster can take it */
	ERR_UNSUPPORTED, /* known, and not offered */
	ERR_UNAVAILABLE, /* a peer cannot be reached now; trying later may help */
	ERR_UPSTREAM,    /* a peer answered nonsense, or broke off */
	ERR_TIMEOUT,     /* a deadline passed */
	ERR_CANCELED,    /* the one who asked has gone */
	ERR_EXHAUSTED,   /* this process is short of descriptors or memory: no peer is to blame */
	ERR_SYSTEM,      /* the operating system refused */
};

struct err {
	enum err_code code;
	char msg[1024]; /* valid UTF-8: what is not, and control characters, became '?' */
};

#define ERR_INIT \
	{ \
		.code = ERR_NONE, .msg = "" \
	}

/* Fills err (may be NULL) and returns -1, so that a caller writes `return err_set(...)`. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Like err_set, with ": " and the text of errnum behind the message. */
int err_errno(struct err *err, enum err_code code, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The code of a system call's errno: ERR_EXHAUSTED when this process or its system ran out of
 * descriptors or memory, else otherwise. */
enum err_code err_code_of_errno(int errnum, enum err_code otherwise);

/* Puts context in front: "outer: inner". Keeps the code. Returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Stable lower-case word of a code, for logs ("not_found"). Never NULL. */
const char *err_code_name(enum err_code code);

#endif
