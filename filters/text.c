#include "filters/text.h"

#include <string.h>

const char *text_clip(struct text_clip *out, const char *s)
{
	size_t i;

	if (s == NULL)
		s = "";
	for (i = 0; s[i] != '\0' && i < sizeof(out->text) - 1; i++) {
		unsigned char c = (unsigned char)s[i];

		out->text[i] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
	}
	out->text[i] = '\0';
	if (s[i] != '\0')
		memcpy(out->text + sizeof(out->text) - 4, "...", 4);
	return out->text;
}
