/*
 * The memory planner: where in one arena each item lies.
 *
 * An item is what must move as a whole: usually one buffer, that is one
 * rectangle of bytes by time; several where buffers share memory (the pieces of
 * a concat, a value computed in place, a slice that outlives the rest).
 * Rectangles of different items that overlap in time must not overlap in bytes,
 * but for those that a relation speaks of: an input that dies and an output that
 * is born in one step need only as much distance as the step's kernel asks for.
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
	int tag;             /* its name in relations; 0: none */
} PlanRect;

typedef struct {
	int nrects;
	PlanRect *rect;
	size_t align; /* a power of two */
	size_t place; /* result: bytes from the start of the arena */
} PlanItem;

/*
 * How a rectangle `out` of one item may lie over a rectangle `in` of another: with the
 * distance place of out's item - place of in's item not between lo and hi, both
 * excluded; yet it may be `at`, when has_at.
 */
typedef struct {
	int in, out;         /* items */
	int in_tag, out_tag; /* their rectangles */
	int64_t lo, hi;
	bool has_at;
	int64_t at;
} PlanRelation;

typedef struct {
	int n;
	PlanItem *item;
	int nrelations;
	const PlanRelation *relation;
} PlanProblem;

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
	size_t bound;       /* no plan of these items is smaller, as far as is known */
	bool optimal;       /* size == bound */
	const char *method; /* what found it, for the report */
} PlanResult;

/* The most bytes that are alive at one time, less what relations may save. */
size_t plan_bound(Arena *scratch, const PlanProblem *p);

/* Plans in the given order; returns the size. */
size_t plan_greedy(Arena *scratch, const PlanProblem *p, PlanOrder order);

/*
 * The best plan we know: all the greedy orders, then improved orders, then for at most
 * PLAN_EXACT_MAX items an exact search that looks at up to `budget` nodes (0: the
 * default).  It stops as soon as the bound is met.  Sets item[i].place.
 */
PlanResult plan_memory(Arena *scratch, const PlanProblem *p, long budget);

size_t plan_item_size(const PlanItem *item);
int plan_first(const PlanItem *item);
int plan_last(const PlanItem *item);

/* ---- Between the files of the planner ---- */

typedef VEC(int) IntVec;

/* Distances between lo and hi, both excluded, are taken. */
typedef struct {
	int64_t lo, hi;
} Taken;

typedef VEC(Taken) TakenVec;

/* A problem with what is often asked about it. */
typedef struct {
	Arena *arena;
	int n;
	PlanItem *item;
	const PlanRelation *relation;
	int nrelations;
	IntVec *related;  /* by item: its relations; NULL: there are none at all */
	int *first, *last;
	size_t *size;
} Planner;

void planner_init(Planner *x, Arena *scratch, const PlanProblem *p);

/* Appends the distances that item i may not have from item j: i's place - j's place. */
void planner_add_taken(const Planner *x, int i, int j, TakenVec *taken);

/* Sorts them by `lo`, then by `hi`; fast when they nearly are. */
void planner_sort_taken(TakenVec *taken);

/* Bytes alive at each time from *start on, relations left out of account; returns how
 * many times there are. */
int planner_profile(const Planner *x, int *start, size_t **live);

size_t planner_bound(const Planner *x);

/*
 * Searches plans smaller than `best`, of which the items have the places.  Sets places
 * and r->size when it finds one, r->bound to what it proves, and r->optimal.
 */
void planner_search(const Planner *x, PlanResult *r, long budget);

enum { PLAN_EXACT_MAX = 64 }; /* items that planner_search() takes */

static inline size_t
align_up(size_t x, size_t align)
{
	return (x + align - 1) & ~(align - 1);
}

#endif
