/*
 * Arenas: everything of one lifetime, freed at once.
 *
 * An arena hands out zeroed memory aligned for any scalar type.  There is no
 * free for a single object; arena_free() releases all of it and runs the
 * functions registered with arena_defer(), last registered first.
 *
 * Allocation never returns NULL.  When memory runs out, or the arena's limit
 * is reached, the out-of-memory hook is called; it must not return (the driver
 * longjmps to its boundary).  Without a hook the process is aborted.
 *
 * This is the only module that calls malloc and free.
 */
#ifndef MCC_BASE_ARENA_H
#define MCC_BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Arena Arena;

/* Called with the number of bytes that were asked for; must not return. */
typedef void ArenaOom(void *user, size_t bytes);

/* A new, empty arena.  `oom` and `user` as above; `oom` may be NULL. */
Arena *arena_new(ArenaOom *oom, void *user);

/*
 * A new, empty arena for what is needed only for a while: free it when done.  It
 * has the hook of `parent`, may hold what parent's limit leaves at this moment,
 * and is freed with parent at the latest.
 */
Arena *arena_child(Arena *parent);

/* Frees the arena and all that came from it.  NULL is allowed. */
void arena_free(Arena *a);

/* Frees what was allocated and children, runs the deferred functions, keeps the arena. */
void arena_reset(Arena *a);

/* The most bytes the arena may hold, 0 (the default) for no limit. */
void arena_set_limit(Arena *a, size_t bytes);

/* Bytes handed out so far. */
size_t arena_used(const Arena *a);

/* `size` zeroed bytes; a unique pointer also for size 0. */
void *arena_alloc(Arena *a, size_t size);

/* `count` zeroed elements of `size` bytes; the product may overflow, which is
 * out of memory. */
void *arena_calloc(Arena *a, size_t count, size_t size);

/* Grows an array from `old_count` to `new_count` elements, contents kept. */
void *arena_grow(Arena *a, const void *old, size_t old_count, size_t new_count, size_t size);

/* A copy of `size` bytes. */
void *arena_copy(Arena *a, const void *data, size_t size);

char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t length);

__attribute__((format(printf, 2, 3))) char *arena_printf(Arena *a, const char *format, ...);
__attribute__((format(printf, 2, 0))) char *arena_vprintf(Arena *a, const char *format, va_list args);

/* Calls fn(object) when the arena is freed or reset: ties foreign objects
 * (mapped files, protobuf messages) to its lifetime. */
void arena_defer(Arena *a, void (*fn)(void *object), void *object);

/* One zeroed T, or an array of n of them. */
#define ARENA_NEW(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define ARENA_ARRAY(a, T, n) ((T *)arena_calloc((a), (size_t)(n), sizeof(T)))

/*
 * A growable array living in an arena: declare members `T *v; int n, cap;` in
 * a struct, or use VEC(T).  Growing leaves the old copy in the arena.
 */
#define VEC(T) \
	struct { \
		T *v; \
		int n, cap; \
	}
#define VEC_PUSH(a, vec, item) \
	do { \
		if ((vec)->n == (vec)->cap) { \
			int vec_cap = (vec)->cap ? 2 * (vec)->cap : 8; \
			(vec)->v = arena_grow((a), (vec)->v, (size_t)(vec)->n, (size_t)vec_cap, \
			                      sizeof *(vec)->v); \
			(vec)->cap = vec_cap; \
		} \
		(vec)->v[(vec)->n++] = (item); \
	} while (0)

#endif
