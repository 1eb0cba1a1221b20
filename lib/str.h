/* Strings: small pure helpers. */
#ifndef LIB_STR_H
#define LIB_STR_H

#include "lib/err.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool str_eq(const char *a, const char *b);  /* NULL equals only NULL */
bool str_ieq(const char *a, const char *b); /* ASCII case ignored */
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);
bool str_is_empty(const char *s);           /* NULL or "" */
bool str_is_hex(const char *s, size_t len); /* len lower-case hexadecimal digits */

/* The whole of s as a decimal number within [min, max]; else -1 with a message that names `what`.
 */
int str_to_int(const char *s, long long min, long long max, long long *out, const char *what,
	struct err *err) MUSTCHECK;

/* A duration: Go's form ("1h30m", "1.5s", "300ms", "0") as Docker's flags take it, or a bare number
 * of seconds. Result in milliseconds, rounded up, at most 10 years. A leading '-' gives a negative
 * result. */
int str_to_duration_ms(const char *s, long long *out, const char *what, struct err *err) MUSTCHECK;

/* Truth as Go's strconv.ParseBool and as the Docker API read it: 1 t T TRUE true True / 0 f ...
 * -1 when it is neither. */
int str_to_bool(const char *s, bool *out) MUSTCHECK;

/* Bytes for people in binary units with four significant digits, as Docker prints them: "24.72
 * GiB", "0 B". Writes into out (at least 24 bytes) and returns it. */
char *str_human_bytes(double bytes, char *out, size_t out_size);

/* Natural order, digits compared as numbers: "node2" < "node10". <0, 0, >0. */
int str_natural_cmp(const char *a, const char *b);

/* UTC time as RFC 3339 with seconds ("2016-03-01T12:00:00Z") into out (>= 32 bytes). */
char *str_rfc3339(int64_t unix_seconds, char *out, size_t out_size);

/* Percent-decoding (RFC 3986). plus_is_space for query strings. NULL when the input holds a bad
 * escape or an encoded NUL; the result is owned by the caller. */
char *str_url_decode(const char *s, size_t len, bool plus_is_space) MUSTCHECK;
/* Percent-encodes everything but unreserved characters (RFC 3986 section 2.3). Owned by the caller.
 */
char *str_url_encode(const char *s, size_t len) MUSTCHECK;

/* Fills out with len random lower-case hexadecimal digits and a NUL (out holds len + 1), from the
 * system's cryptographic source. */
void str_random_hex(char *out, size_t len);

/* List of owned strings. Zeroed is empty. Items are added by these functions only, which keep the
 * capacity; they may be changed and cut off in place. */
struct str_list {
	char **items;
	size_t len;
};
void str_list_add(struct str_list *list, const char *s);
void str_list_add_take(struct str_list *list, char *s);
bool str_list_has(const struct str_list *list, const char *s);
void str_list_sort(struct str_list *list); /* by byte value */
void str_list_free(struct str_list *list); /* the items; the list is empty afterwards */
/* Splits at any character of seps, trims blanks, drops empty parts. */
void str_list_split(struct str_list *list, const char *s, const char *seps);
#define CLEANUP_STR_LIST __attribute__((cleanup(str_list_free)))

#endif
