/* How much memory the test itself has, for tests of what must not be kept. */
#ifndef TESTS_UNIT_HEAP_H
#define TESTS_UNIT_HEAP_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAP_IS_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HEAP_IS_SANITIZED
#endif

#ifdef HEAP_IS_SANITIZED
/* Of sanitizer/allocator_interface.h, which comes with clang alone. */
size_t __sanitizer_get_current_allocated_bytes(void);
#else
#include <malloc.h>
#endif

/* Bytes that are allocated now, with what the allocator adds to each. */
static inline size_t heap_in_use(void)
{
#ifdef HEAP_IS_SANITIZED
	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#endif
}

#endif
