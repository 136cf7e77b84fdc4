/*
 * A map from names to objects, in an arena.  Entries are never removed.
 */
#ifndef MCC_BASE_MAP_H
#define MCC_BASE_MAP_H

#include <stddef.h>

#include "base/arena.h"

typedef struct {
	const char *key;
	void *value; /* never NULL */
} MapEntry;

typedef struct {
	Arena *arena;
	MapEntry *slot; /* open addressing, a power of two */
	size_t size, used;
} Map;

/* An empty map; it allocates when the first entry is added. */
void map_init(Map *m, Arena *a);

/* The object of that name, or NULL. */
void *map_get(const Map *m, const char *key);

/* Adds or replaces; `key` is borrowed.  Objects are kept as they are, const or
 * not, so the caller casts what it takes out to what it put in. */
void map_set(Map *m, const char *key, void *value);

#endif
