#include "base/map.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"

enum { FIRST_SIZE = 16 };

void
map_init(Map *m, Arena *a)
{
	*m = (Map){.arena = a};
}

static MapEntry *
find_slot(const Map *m, const char *key)
{
	size_t i = (size_t)hash_text(key) & (m->size - 1);

	while (m->slot[i].key && strcmp(m->slot[i].key, key) != 0)
		i = (i + 1) & (m->size - 1);
	return &m->slot[i];
}

void *
map_get(const Map *m, const char *key)
{
	return m->size ? find_slot(m, key)->value : NULL;
}

static void
grow(Map *m)
{
	Map old = *m;

	m->size = old.size ? 2 * old.size : FIRST_SIZE;
	m->slot = ARENA_ARRAY(m->arena, MapEntry, m->size);
	for (size_t i = 0; i < old.size; i++)
		if (old.slot[i].key)
			*find_slot(m, old.slot[i].key) = old.slot[i];
}

void
map_set(Map *m, const char *key, void *value)
{
	MapEntry *e;

	assert(value);
	if (2 * (m->used + 1) > m->size)
		grow(m);
	e = find_slot(m, key);
	if (!e->key)
		m->used++;
	*e = (MapEntry){key, value};
}
