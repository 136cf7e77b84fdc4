/*
 * The memory planner: where in one arena each item lies.
 *
 * An item is what must move as a whole: usually one buffer, that is one
 * rectangle of bytes by time; several where buffers share memory (the pieces of
 * a concat, a value computed in place, a slice that outlives the rest).
 * Rectangles of different items that overlap in time must not overlap in bytes.
 */
#ifndef MCC_CODEGEN_PROGRAM_PLAN_H
#define MCC_CODEGEN_PROGRAM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct {
	size_t offset, size; /* bytes, from the start of the item */
	int first, last;     /* alive from the one to the other, both included */
} PlanRect;

typedef struct {
	int nrects;
	PlanRect *rect;
	size_t align; /* a power of two */
	size_t place; /* result: bytes from the start of the arena */
} PlanItem;

/* In which order the greedy planner takes the items; each goes to the lowest
 * offset that is free during its lifetime. */
typedef enum {
	PLAN_BY_SIZE,     /* largest first */
	PLAN_BY_LIFETIME, /* longest first */
	PLAN_BY_AREA,     /* bytes times lifetime, largest first */
	PLAN_BY_START,    /* in order of execution */
	PLAN_BY_END,      /* against the order of execution */
	PLAN_BY_PRESSURE, /* most bytes alive at its worst moment first, then size */
	PLAN_ORDER_COUNT
} PlanOrder;

typedef struct {
	size_t size;        /* bytes of the arena */
	size_t bound;       /* no plan of these items is smaller: most bytes alive at once */
	bool optimal;       /* size == bound, or the search looked at all plans */
	const char *method; /* what found it, for the report */
} PlanResult;

/* The most bytes that are alive at one time. */
size_t plan_bound(Arena *scratch, int n, const PlanItem *item);

/* Plans in the given order; returns the size. */
size_t plan_greedy(Arena *scratch, int n, PlanItem *item, PlanOrder order);

/*
 * The best plan we know: all the greedy orders, then improved orders, then for
 * few items an exact search that looks at up to `budget` nodes (0: the default).
 * It stops as soon as the bound is met.  Sets item[i].place.
 */
PlanResult plan_memory(Arena *scratch, int n, PlanItem *item, long budget);

/* ---- Between plan.c and exact.c ---- */

typedef VEC(int) IntVec;

/* For each item the others that overlap in time with it. */
IntVec *plan_conflicts(Arena *scratch, int n, const PlanItem *item);

/* Starts of an item between lo and hi, both excluded, are taken. */
typedef struct {
	int64_t lo, hi;
} Taken;

typedef VEC(Taken) TakenVec;

/* The lowest aligned place of item i that no item with placed[j] forbids.
 * `taken` is room that is used again and again. */
size_t plan_lowest(Arena *scratch, TakenVec *taken, const PlanItem *item, int i,
                   const IntVec *conflicts, const bool *placed);

size_t plan_item_size(const PlanItem *item);
int plan_first(const PlanItem *item);
int plan_last(const PlanItem *item);

/*
 * Searches plans smaller than `best`; returns the size of the best one found
 * and sets the places, or returns `best` and leaves them.  `*complete` says
 * that no smaller one exists.
 */
size_t plan_exact(Arena *scratch, int n, PlanItem *item, size_t bound, size_t best, long budget,
                  bool *complete);

enum { PLAN_EXACT_MAX = 24 }; /* items that plan_exact() takes */

static inline size_t
align_up(size_t x, size_t align)
{
	return (x + align - 1) & ~(align - 1);
}

#endif
