/*
 * Constants within constants.
 *
 * A constant that has the bytes of another one, or of a part of it that starts at an
 * element, gets no memory of its own: it lies in that other one, at an offset, as a view
 * would.  The larger one is searched for all smaller ones at once: of each the first
 * KEY_BYTES are in a hash table, and the bytes at each element of the larger one are
 * looked up there.  Smaller ones than that are only compared with their equals.
 *
 * Elements are of one type in both, so pointers and alignment stay what they were.  What is
 * compared has a limit of LIMIT bytes for each byte of constants, so that constants made
 * for it (many that differ in their last byte only) cost no time either.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "codegen/program/layout.h"

enum { KEY_BYTES = 8, LIMIT = 16 };

/* A constant; the least index first where sizes are equal. */
typedef struct Piece {
	Buffer *buffer;
	const unsigned char *data;
	size_t size;
	struct Piece *next; /* in the table: with the same slot */
} Piece;

typedef struct {
	Arena *arena;
	int n;
	Piece *piece; /* by size, the largest first */
	int cap;      /* of the table, a power of two */
	Piece **table;
	size_t budget; /* bytes that may still be compared */
} Pool;

static int
compare_pieces(const void *pa, const void *pb)
{
	const Piece *a = pa, *b = pb;

	if (a->size != b->size)
		return a->size > b->size ? -1 : 1;
	return (a->buffer->index > b->buffer->index) - (a->buffer->index < b->buffer->index);
}

/* Lists the constants that steps use. */
static void
list_pieces(Pool *pool, const Program *p)
{
	bool *listed = ARENA_ARRAY(pool->arena, bool, p->buffers.n);
	size_t bytes = 0;

	pool->piece = ARENA_ARRAY(pool->arena, Piece, p->buffers.n);
	for (int t = 0; t < p->steps.n; t++) {
		const Step *step = p->steps.v[t];

		for (int i = 0; i < step->fn->bufs.n; i++) {
			const Buffer *b = step->arg[i].buffer;
			Piece *piece = &pool->piece[pool->n];

			if (!b || b->kind != BUFFER_CONST || listed[b->base->index] ||
			    !lfunc_uses(step->fn, step->fn->bufs.v[i]))
				continue;
			listed[b->base->index] = true;
			*piece = (Piece){.buffer = b->base, .data = b->base->data,
			                 .size = type_bytes(&b->base->type)};
			bytes += piece->size;
			pool->n += piece->size > 0;
		}
	}
	pool->budget = LIMIT * bytes;
	if (pool->n)
		qsort(pool->piece, (size_t)pool->n, sizeof *pool->piece, compare_pieces);
}

static Piece **
slot_of(const Pool *pool, const unsigned char *bytes, size_t n)
{
	return &pool->table[hash_bytes(HASH_START, bytes, n) & (uint64_t)(pool->cap - 1)];
}

static void
lie_in(Piece *piece, const Piece *whole, size_t offset)
{
	piece->buffer->base = whole->buffer;
	piece->buffer->offset = offset;
	piece->size = 0;
}

static bool
is_same_type(const Piece *a, const Piece *b)
{
	return a->buffer->type.dtype == b->buffer->type.dtype;
}

/* Whether the bytes are those of the piece; none are, when too many have been compared,
 * and then nothing is looked for any more. */
static bool
has_bytes(Pool *pool, const Piece *piece, const unsigned char *bytes)
{
	if (pool->budget < piece->size) {
		pool->budget = 0;
		return false;
	}
	pool->budget -= piece->size;
	return memcmp(piece->data, bytes, piece->size) == 0;
}

/* Whole constants that are equal become one, which is the first of them. */
static void
share_equal(Pool *pool)
{
	for (int i = 0; i < pool->n; i++) {
		Piece *piece = &pool->piece[i], **slot = slot_of(pool, piece->data, piece->size);
		const Piece *other = *slot;

		while (other && (other->size != piece->size || !is_same_type(other, piece) ||
		                 memcmp(other->data, piece->data, piece->size) != 0))
			other = other->next;
		if (other) {
			lie_in(piece, other, 0);
		} else {
			piece->next = *slot;
			*slot = piece;
		}
	}
}

/* Finds the smaller ones that `whole` has at a place. */
static void
search_at(Pool *pool, const Piece *whole, size_t at)
{
	Piece **link = slot_of(pool, whole->data + at, KEY_BYTES), *piece;

	while (pool->budget && (piece = *link) != NULL) {
		/* Those that are no smaller, or have their place, are not looked for any more. */
		if (piece->size >= whole->size || piece->size == 0) {
			*link = piece->next;
			continue;
		}
		if (piece->size <= whole->size - at && is_same_type(piece, whole) &&
		    memcmp(piece->data, whole->data + at, KEY_BYTES) == 0 &&
		    has_bytes(pool, piece, whole->data + at))
			lie_in(piece, whole, at);
		else
			link = &piece->next;
	}
}

static void
share_parts(Pool *pool)
{
	memset(pool->table, 0, (size_t)pool->cap * sizeof *pool->table);
	for (int i = pool->n - 1; i >= 0; i--) {
		Piece *piece = &pool->piece[i], **slot;

		if (piece->size < KEY_BYTES)
			continue;
		slot = slot_of(pool, piece->data, KEY_BYTES);
		piece->next = *slot;
		*slot = piece;
	}
	for (int i = 0; i < pool->n && pool->budget; i++) {
		const Piece *whole = &pool->piece[i];
		size_t step = (size_t)dtype_info[whole->buffer->type.dtype].bytes;

		for (size_t at = 0; at + KEY_BYTES <= whole->size && pool->budget; at += step)
			search_at(pool, whole, at);
	}
}

/* Buffers within constants that moved. */
static void
follow_bases(Program *p)
{
	for (int i = 0; i < p->buffers.n; i++) {
		Buffer *b = p->buffers.v[i];

		while (b->kind == BUFFER_CONST && b->base->base != b->base) {
			b->offset += b->base->offset;
			b->base = b->base->base;
		}
	}
}

void
program_share_constants(Program *p)
{
	Pool pool = {.arena = arena_child(p->arena), .cap = 64};

	list_pieces(&pool, p);
	while (pool.cap < 2 * pool.n)
		pool.cap *= 2;
	pool.table = ARENA_ARRAY(pool.arena, Piece *, pool.cap);
	share_equal(&pool);
	share_parts(&pool);
	follow_bases(p);
	arena_free(pool.arena);
}
