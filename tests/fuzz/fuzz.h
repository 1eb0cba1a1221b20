/* What the fuzz targets share. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert, whatever the build. */
static inline void fuzz_check(bool is_so)
{
	if (!is_so)
		abort();
}

/* A copy of exactly that size, so that the address sanitizer sees a read behind it. */
static inline char *fuzz_copy(const uint8_t *data, size_t size)
{
	char *copy = xmalloc(size);

	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

/* The same as a text; what stands behind a NUL is never seen. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	return xstrndup((const char *)data, size);
}

#endif
