/* The filters of image lists about time: `before`, `since`, `until`. Inside api/ only. */
#ifndef API_IMAGE_AGE_H
#define API_IMAGE_AGE_H

#include "api/api_priv.h"

/* Seconds since 1970; images are wanted that are created behind the one and before the other. */
struct image_age {
	int64_t after, before;
};

/* ERR_INVALID for an image that is not there, and for what is no time. */
int image_age_compile(const struct request *r, const json_t *filters, struct image_age *age,
	struct err *err) MUSTCHECK;
bool image_age_fits(const struct image_age *age, int64_t created);

/* A time as engines take it: seconds since 1970 with an optional fraction, a date with or without a
 * time and a zone (RFC 3339, without = UTC), or a duration ("1h30m") before now. */
int image_age_parse(const char *text, int64_t now, int64_t *seconds) MUSTCHECK;

#endif
