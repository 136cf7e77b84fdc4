#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16, FIRST_BLOCK = 16 << 10, LARGEST_BLOCK = 1 << 20 };

typedef struct Block {
	struct Block *next;
	size_t size; /* bytes behind this header */
} Block;

typedef struct Deferred {
	struct Deferred *next;
	void (*fn)(void *object);
	void *object;
} Deferred;

struct Arena {
	Block *blocks; /* the first one is being filled */
	size_t fill;   /* bytes used in it */
	size_t next_block;
	size_t used;
	size_t limit;
	Deferred *deferred;
	ArenaOom *oom;
	void *user;
	struct Arena *parent, *children;
	struct Arena *prev, *next; /* in the parent's list */
};

#define HEADER ((sizeof(Block) + ALIGN - 1) / ALIGN * ALIGN)

static _Noreturn void
out_of_memory(ArenaOom *oom, void *user, size_t bytes)
{
	if (oom)
		oom(user, bytes);
	abort();
}

Arena *
arena_new(ArenaOom *oom, void *user)
{
	Arena *a = calloc(1, sizeof *a);

	if (!a)
		out_of_memory(oom, user, sizeof *a);
	a->oom = oom;
	a->user = user;
	a->next_block = FIRST_BLOCK;
	return a;
}

Arena *
arena_child(Arena *parent)
{
	Arena *a = arena_new(parent->oom, parent->user);

	if (parent->limit)
		a->limit = parent->limit > parent->used ? parent->limit - parent->used : 1;
	a->parent = parent;
	a->next = parent->children;
	if (a->next)
		a->next->prev = a;
	parent->children = a;
	return a;
}

static void
leave_parent(Arena *a)
{
	if (a->prev)
		a->prev->next = a->next;
	else if (a->parent)
		a->parent->children = a->next;
	if (a->next)
		a->next->prev = a->prev;
}

void
arena_reset(Arena *a)
{
	while (a->children)
		arena_free(a->children);
	for (Deferred *d = a->deferred; d; d = d->next)
		d->fn(d->object);
	for (Block *b = a->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	a->deferred = NULL;
	a->blocks = NULL;
	a->fill = 0;
	a->used = 0;
	a->next_block = FIRST_BLOCK;
}

void
arena_free(Arena *a)
{
	if (!a)
		return;
	arena_reset(a);
	leave_parent(a);
	free(a);
}

void
arena_set_limit(Arena *a, size_t bytes)
{
	a->limit = bytes;
}

size_t
arena_used(const Arena *a)
{
	return a->used;
}

static Block *
new_block(Arena *a, size_t size)
{
	Block *b = size <= SIZE_MAX - HEADER ? calloc(1, HEADER + size) : NULL;

	if (!b)
		out_of_memory(a->oom, a->user, size);
	b->size = size;
	return b;
}

void *
arena_alloc(Arena *a, size_t size)
{
	size_t room = a->blocks ? a->blocks->size - a->fill : 0;
	size_t rounded;
	char *p;

	if (size > SIZE_MAX - ALIGN || (a->limit && size > a->limit - a->used))
		out_of_memory(a->oom, a->user, size);
	rounded = (size ? size + ALIGN - 1 : ALIGN) / ALIGN * ALIGN;
	a->used += size;
	if (rounded <= room) {
		p = (char *)a->blocks + HEADER + a->fill;
		a->fill += rounded;
		return p;
	}
	if (rounded >= a->next_block / 4) {
		/* A block of its own, put behind the one being filled. */
		Block *b = new_block(a, rounded);

		if (a->blocks) {
			b->next = a->blocks->next;
			a->blocks->next = b;
		} else {
			a->blocks = b;
			a->fill = rounded;
		}
		return (char *)b + HEADER;
	}
	{
		Block *b = new_block(a, a->next_block);

		b->next = a->blocks;
		a->blocks = b;
		a->fill = rounded;
		if (a->next_block < LARGEST_BLOCK)
			a->next_block *= 2;
		return (char *)b + HEADER;
	}
}

void *
arena_calloc(Arena *a, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size)
		out_of_memory(a->oom, a->user, SIZE_MAX);
	return arena_alloc(a, count * size);
}

void *
arena_grow(Arena *a, const void *old, size_t old_count, size_t new_count, size_t size)
{
	void *p = arena_calloc(a, new_count, size);

	if (old_count)
		memcpy(p, old, old_count * size);
	return p;
}

void *
arena_copy(Arena *a, const void *data, size_t size)
{
	void *p = arena_alloc(a, size);

	if (size)
		memcpy(p, data, size);
	return p;
}

char *
arena_strndup(Arena *a, const char *s, size_t length)
{
	char *copy = arena_alloc(a, length + 1);

	memcpy(copy, s, length);
	return copy;
}

char *
arena_strdup(Arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *
arena_vprintf(Arena *a, const char *format, va_list args)
{
	va_list again;
	int length;
	char *s;

	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	s = arena_alloc(a, (size_t)(length < 0 ? 0 : length) + 1);
	if (length > 0)
		vsnprintf(s, (size_t)length + 1, format, again);
	va_end(again);
	return s;
}

char *
arena_printf(Arena *a, const char *format, ...)
{
	va_list args;
	char *s;

	va_start(args, format);
	s = arena_vprintf(a, format, args);
	va_end(args);
	return s;
}

void
arena_defer(Arena *a, void (*fn)(void *object), void *object)
{
	Deferred *d = ARENA_NEW(a, Deferred);

	d->fn = fn;
	d->object = object;
	d->next = a->deferred;
	a->deferred = d;
}
