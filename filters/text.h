/* Text of users and engines on its way into a message: bounded, printable, one line. */
#ifndef FILTERS_TEXT_H
#define FILTERS_TEXT_H

#include <stddef.h>

/* Bytes of one quoted piece in a message, with its NUL. */
#define TEXT_CLIP_SIZE 128

struct text_clip {
	char text[TEXT_CLIP_SIZE];
};

/* Copies s; control characters and bytes beyond ASCII become '?', and what does not fit is replaced
 * by "...". Returns out->text. s may be NULL (then ""). */
const char *text_clip(struct text_clip *out, const char *s);

#endif
