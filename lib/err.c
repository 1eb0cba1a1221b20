#include "lib/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Length of the UTF-8 sequence at s; 0 when there is none (overlong forms and surrogates too). */
static size_t utf8_len(const unsigned char *s)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	size_t i;

	if (len == 0 || s[0] > 0xf4)
		return 0;
	for (i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

/* Messages quote peers, and go into JSON and onto terminals. */
static void clean(char *msg)
{
	while (*msg) {
		size_t len = utf8_len((const unsigned char *)msg);

		if (len == 0 || (len == 1 && ((unsigned char)*msg < 0x20 || *msg == 0x7f) &&
					*msg != '\n' && *msg != '\t')) {
			*msg = '?';
			len = 1;
		}
		msg += len;
	}
}

/* Messages are built aside first: an argument may point into err->msg itself. */

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	char msg[sizeof(err->msg)];
	va_list args;

	if (!err)
		return -1;
	va_start(args, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, args);
	va_end(args);
	err->code = code;
	strlcpy(err->msg, msg, sizeof(err->msg));
	clean(err->msg);
	return -1;
}

int err_errno(struct err *err, enum err_code code, int errnum, const char *fmt, ...)
{
	char msg[sizeof(err->msg)];
	char reason[128];
	va_list args;

	if (!err)
		return -1;
	va_start(args, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, args);
	va_end(args);
	err->code = code;
	strlcpy(err->msg, msg, sizeof(err->msg));
	strlcat(err->msg, ": ", sizeof(err->msg));
	/* The GNU form, which may return a constant string instead of using the buffer. */
	strlcat(err->msg, strerror_r(errnum, reason, sizeof(reason)), sizeof(err->msg));
	clean(err->msg);
	return -1;
}

enum err_code err_code_of_errno(int errnum, enum err_code otherwise)
{
	switch (errnum) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return ERR_EXHAUSTED;
	default:
		return otherwise;
	}
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char msg[sizeof(err->msg)];
	va_list args;

	if (!err)
		return -1;
	va_start(args, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, args);
	va_end(args);
	strlcat(msg, ": ", sizeof(msg));
	strlcat(msg, err->msg, sizeof(msg));
	strlcpy(err->msg, msg, sizeof(err->msg));
	clean(err->msg);
	return -1;
}

const char *err_code_name(enum err_code code)
{
	switch (code) {
	case ERR_NONE:
		return "none";
	case ERR_INVALID:
		return "invalid";
	case ERR_USAGE:
		return "usage";
	case ERR_NOT_FOUND:
		return "not_found";
	case ERR_CONFLICT:
		return "conflict";
	case ERR_TOO_LARGE:
		return "too_large";
	case ERR_NO_NODE:
		return "no_node";
	case ERR_UNSUPPORTED:
		return "unsupported";
	case ERR_UNAVAILABLE:
		return "unavailable";
	case ERR_UPSTREAM:
		return "upstream";
	case ERR_TIMEOUT:
		return "timeout";
	case ERR_CANCELED:
		return "canceled";
	case ERR_EXHAUSTED:
		return "exhausted";
	case ERR_SYSTEM:
		return "system";
	}
	return "unknown";
}
