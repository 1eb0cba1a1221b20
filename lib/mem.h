/* Memory of sizes that we choose: allocation never fails here, it ends the process.
 * Anything whose size a peer can influence goes through struct buf (buf.h) or is bounded first. */
#ifndef LIB_MEM_H
#define LIB_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define MUSTCHECK __attribute__((warn_unused_result))

/* All return zeroed (xcalloc) or uninitialised (xmalloc) memory, never NULL; abort when out of it.
 */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *ptr, size_t size) __attribute__((returns_nonnull));
/* Grows an array of count items of the given size; aborts when the product overflows. */
void *xreallocarray(void *ptr, size_t count, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/* Copies len bytes and ends them with NUL. */
char *xstrndup(const char *s, size_t len) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Gives free memory back to the system, wherever it lies. free() alone does so at the end of the
 * heap, where something small that stays keeps all that was ever in use. Takes some 0.2 ms for each
 * MB that goes back; with nothing to give less than 1 ms at 300 MB, and 25 ms at 1.4 GB. */
void mem_give_back(void);

/* Moves ownership out of a pointer: returns its value, leaves NULL. */
#define TAKE_PTR(p) \
	({ \
		__typeof__(p) take_ptr_ = (p); \
		(p) = NULL; \
		take_ptr_; \
	})

/* For locals: freed or closed when they leave scope; NULL and -1 are fine. */
#define CLEANUP_FREE __attribute__((cleanup(mem_cleanup_free)))
#define CLEANUP_FD __attribute__((cleanup(mem_cleanup_fd)))
void mem_cleanup_free(void *pointer_to_pointer);
void mem_cleanup_fd(int *fd);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The object that embeds a member, from the member's address. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
