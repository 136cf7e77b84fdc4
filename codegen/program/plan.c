/*
 * Greedy planning in several orders, and the choice of the best plan.
 *
 * Each greedy plan is a function of the order only, so all of it is
 * deterministic: ties are broken by the item's number.
 */
#include "codegen/program/plan.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* How often a plan's highest item is moved to the front of its order. */
enum { PROMOTIONS = 48 };

static const char *const order_name[PLAN_ORDER_COUNT] = {
	[PLAN_BY_SIZE] = "greedy by size",
	[PLAN_BY_LIFETIME] = "greedy by lifetime",
	[PLAN_BY_AREA] = "greedy by area",
	[PLAN_BY_START] = "greedy in order of execution",
	[PLAN_BY_END] = "greedy against the order of execution",
	[PLAN_BY_PRESSURE] = "greedy by pressure",
};

size_t
plan_item_size(const PlanItem *item)
{
	size_t size = 0;

	for (int i = 0; i < item->nrects; i++)
		if (item->rect[i].offset + item->rect[i].size > size)
			size = item->rect[i].offset + item->rect[i].size;
	return size;
}

int
plan_first(const PlanItem *item)
{
	int first = item->nrects ? item->rect[0].first : 0;

	for (int i = 1; i < item->nrects; i++)
		if (item->rect[i].first < first)
			first = item->rect[i].first;
	return first;
}

int
plan_last(const PlanItem *item)
{
	int last = item->nrects ? item->rect[0].last : -1;

	for (int i = 1; i < item->nrects; i++)
		if (item->rect[i].last > last)
			last = item->rect[i].last;
	return last;
}

/* ---- The lower bound ---- */

static int
compare_rects(const void *a, const void *b)
{
	const PlanRect *p = a, *q = b;

	return p->offset < q->offset ? -1 : p->offset > q->offset;
}

/* Bytes of the item that are alive at time t; rect is sorted by offset. */
static size_t
live_bytes(int n, const PlanRect *rect, int t)
{
	size_t sum = 0, end = 0;

	for (int i = 0; i < n; i++) {
		size_t lo = rect[i].offset, hi = lo + rect[i].size;

		if (t < rect[i].first || t > rect[i].last || hi <= end)
			continue;
		sum += hi - (lo > end ? lo : end);
		end = hi;
	}
	return sum;
}

static void
add_live_bytes(Arena *scratch, const PlanItem *item, int start, size_t *live)
{
	PlanRect *rect = arena_copy(scratch, item->rect, (size_t)item->nrects * sizeof *rect);

	qsort(rect, (size_t)item->nrects, sizeof *rect, compare_rects);
	for (int t = plan_first(item); t <= plan_last(item); t++)
		live[t - start] += live_bytes(item->nrects, rect, t);
}

/* Bytes alive at each time from *start on; returns how many times there are. */
static int
live_profile(Arena *scratch, int n, const PlanItem *item, int *start, size_t **live)
{
	int first = INT32_MAX, last = INT32_MIN;

	for (int i = 0; i < n; i++) {
		if (item[i].nrects && plan_first(&item[i]) < first)
			first = plan_first(&item[i]);
		if (item[i].nrects && plan_last(&item[i]) > last)
			last = plan_last(&item[i]);
	}
	if (first > last)
		return 0;
	*start = first;
	*live = ARENA_ARRAY(scratch, size_t, last - first + 1);
	for (int i = 0; i < n; i++)
		if (item[i].nrects)
			add_live_bytes(scratch, &item[i], first, *live);
	return last - first + 1;
}

size_t
plan_bound(Arena *scratch, int n, const PlanItem *item)
{
	size_t *live = NULL, bound = 0;
	int start, count = live_profile(scratch, n, item, &start, &live);

	for (int t = 0; t < count; t++)
		if (live[t] > bound)
			bound = live[t];
	return bound;
}

/* ---- Placing one item ---- */

static bool
overlap_in_time(const PlanRect *a, const PlanRect *b)
{
	return a->first <= b->last && b->first <= a->last && a->size && b->size;
}

static bool
items_conflict(const PlanItem *a, const PlanItem *b)
{
	for (int i = 0; i < a->nrects; i++)
		for (int j = 0; j < b->nrects; j++)
			if (overlap_in_time(&a->rect[i], &b->rect[j]))
				return true;
	return false;
}

typedef struct {
	int first, last, index;
} Span;

static int
compare_spans(const void *a, const void *b)
{
	const Span *p = a, *q = b;

	return p->first != q->first ? (p->first < q->first ? -1 : 1) : p->index - q->index;
}

IntVec *
plan_conflicts(Arena *scratch, int n, const PlanItem *item)
{
	IntVec *conflicts = ARENA_ARRAY(scratch, IntVec, n);
	Span *span = ARENA_ARRAY(scratch, Span, n);
	int *active = ARENA_ARRAY(scratch, int, n), nactive = 0;

	for (int i = 0; i < n; i++)
		span[i] = (Span){plan_first(&item[i]), plan_last(&item[i]), i};
	qsort(span, (size_t)n, sizeof *span, compare_spans);
	for (int k = 0; k < n; k++) {
		int kept = 0, i = span[k].index;

		for (int m = 0; m < nactive; m++) {
			int s = active[m], j = span[s].index;

			if (span[s].last < span[k].first)
				continue;
			active[kept++] = s;
			if (items_conflict(&item[i], &item[j])) {
				VEC_PUSH(scratch, &conflicts[i], j);
				VEC_PUSH(scratch, &conflicts[j], i);
			}
		}
		active[kept++] = k;
		nactive = kept;
	}
	return conflicts;
}


static int
compare_taken(const void *a, const void *b)
{
	const Taken *p = a, *q = b;

	if (p->lo != q->lo)
		return p->lo < q->lo ? -1 : 1;
	return p->hi < q->hi ? -1 : p->hi > q->hi;
}

static void
add_taken(Arena *scratch, TakenVec *taken, const PlanItem *a, const PlanItem *b)
{
	for (int i = 0; i < a->nrects; i++) {
		for (int j = 0; j < b->nrects; j++) {
			const PlanRect *p = &a->rect[i], *q = &b->rect[j];
			int64_t start = (int64_t)(b->place + q->offset) - (int64_t)p->offset;
			Taken t = {start - (int64_t)p->size, start + (int64_t)q->size};

			if (overlap_in_time(p, q))
				VEC_PUSH(scratch, taken, t);
		}
	}
}

size_t
plan_lowest(Arena *scratch, TakenVec *taken, const PlanItem *item, int i, const IntVec *conflicts,
            const bool *placed)
{
	int64_t place = 0;

	taken->n = 0;
	for (int k = 0; k < conflicts[i].n; k++)
		if (placed[conflicts[i].v[k]])
			add_taken(scratch, taken, &item[i], &item[conflicts[i].v[k]]);
	if (taken->n)
		qsort(taken->v, (size_t)taken->n, sizeof *taken->v, compare_taken);
	for (int k = 0; k < taken->n && taken->v[k].lo < place; k++)
		if (taken->v[k].hi > place)
			place = (int64_t)align_up((size_t)taken->v[k].hi, item[i].align);
	return (size_t)place;
}

/* ---- Greedy ---- */

typedef struct {
	Arena *scratch;
	int n;
	PlanItem *item;
	const IntVec *conflicts;
	TakenVec taken;
	bool *placed;
	int *sequence; /* the order that is being tried */
	size_t bound;
	PlanResult best;
	size_t *place; /* of the best plan */
} Search;

/* What decides the order: larger keys first, then the lower number. */
typedef struct {
	size_t key, second;
	int index;
} Rank;

static int
compare_ranks(const void *a, const void *b)
{
	const Rank *p = a, *q = b;

	if (p->key != q->key)
		return p->key > q->key ? -1 : 1;
	if (p->second != q->second)
		return p->second > q->second ? -1 : 1;
	return p->index - q->index;
}

/* The most bytes alive together with the item. */
static size_t
pressure(const PlanItem *item, int start, const size_t *live)
{
	size_t most = 0;

	for (int t = plan_first(item); t <= plan_last(item); t++)
		if (live[t - start] > most)
			most = live[t - start];
	return most;
}

static Rank
rank_item(const PlanItem *item, PlanOrder order, int start, const size_t *live)
{
	size_t size = plan_item_size(item);
	size_t life = (size_t)(plan_last(item) - plan_first(item) + 1);

	switch (order) {
	case PLAN_BY_SIZE: return (Rank){size, life, 0};
	case PLAN_BY_LIFETIME: return (Rank){life, size, 0};
	case PLAN_BY_AREA: return (Rank){size * life, size, 0};
	case PLAN_BY_START: return (Rank){(size_t)(INT32_MAX - plan_first(item)), size, 0};
	case PLAN_BY_END: return (Rank){(size_t)((int64_t)plan_last(item) + 1), size, 0};
	case PLAN_BY_PRESSURE: return (Rank){pressure(item, start, live), size, 0};
	case PLAN_ORDER_COUNT: break;
	}
	assert(0 && "not an order");
	return (Rank){0};
}

static void
sort_items(Arena *scratch, int n, const PlanItem *item, PlanOrder order, int *sequence)
{
	Rank *rank = ARENA_ARRAY(scratch, Rank, n);
	size_t *live = NULL;
	int start = 0;

	live_profile(scratch, n, item, &start, &live);
	for (int i = 0; i < n; i++) {
		rank[i] = rank_item(&item[i], order, start, live);
		rank[i].index = i;
	}
	qsort(rank, (size_t)n, sizeof *rank, compare_ranks);
	for (int i = 0; i < n; i++)
		sequence[i] = rank[i].index;
}

/* Places the items in the order of `sequence`; returns the size of the arena. */
static size_t
place_all(Search *s, const int *sequence)
{
	size_t size = 0;

	memset(s->placed, 0, (size_t)s->n * sizeof *s->placed);
	for (int k = 0; k < s->n; k++) {
		int i = sequence[k];
		PlanItem *item = &s->item[i];
		size_t end;

		item->place = plan_lowest(s->scratch, &s->taken, s->item, i, s->conflicts, s->placed);
		s->placed[i] = true;
		end = item->place + plan_item_size(item);
		if (end > size)
			size = end;
	}
	return size;
}

static Search
start_search(Arena *scratch, int n, PlanItem *item)
{
	Search s = {.scratch = scratch, .n = n, .item = item};

	s.conflicts = plan_conflicts(scratch, n, item);
	s.placed = ARENA_ARRAY(scratch, bool, n);
	s.sequence = ARENA_ARRAY(scratch, int, n);
	s.place = ARENA_ARRAY(scratch, size_t, n);
	return s;
}

size_t
plan_greedy(Arena *scratch, int n, PlanItem *item, PlanOrder order)
{
	Search s = start_search(scratch, n, item);

	sort_items(scratch, n, item, order, s.sequence);
	return place_all(&s, s.sequence);
}

/* ---- The best of all ---- */

/* Tries an order and keeps the plan when it is the best so far. */
static void
try_sequence(Search *s, const char *method)
{
	size_t size = place_all(s, s->sequence);

	if (size < s->best.size) {
		s->best.size = size;
		s->best.method = method;
		for (int i = 0; i < s->n; i++)
			s->place[i] = s->item[i].place;
	}
}

/* Moves the item that reaches highest to the front of the order; false when it
 * stands there already. */
static bool
promote_highest(const Search *s)
{
	int *sequence = s->sequence, at = 0, highest;
	size_t top = 0;

	for (int k = 0; k < s->n; k++) {
		const PlanItem *item = &s->item[sequence[k]];

		if (item->place + plan_item_size(item) > top) {
			top = item->place + plan_item_size(item);
			at = k;
		}
	}
	highest = sequence[at];
	memmove(sequence + 1, sequence, (size_t)at * sizeof *sequence);
	sequence[0] = highest;
	return at > 0;
}

static void
improve_order(Search *s, PlanOrder order)
{
	sort_items(s->scratch, s->n, s->item, order, s->sequence);
	try_sequence(s, order_name[order]);
	for (int k = 0; k < PROMOTIONS && s->best.size > s->bound; k++) {
		if (!promote_highest(s))
			break;
		try_sequence(s, "greedy, improved");
	}
}

PlanResult
plan_memory(Arena *scratch, int n, PlanItem *item, long budget)
{
	Search s = start_search(scratch, n, item);

	if (n == 0)
		return (PlanResult){.optimal = true, .method = "nothing to place"};
	s.bound = plan_bound(scratch, n, item);
	s.best = (PlanResult){.size = SIZE_MAX, .bound = s.bound};
	for (int order = 0; order < PLAN_ORDER_COUNT && s.best.size > s.bound; order++) {
		sort_items(scratch, n, item, (PlanOrder)order, s.sequence);
		try_sequence(&s, order_name[order]);
	}
	for (int order = 0; order < PLAN_ORDER_COUNT && s.best.size > s.bound; order++)
		improve_order(&s, (PlanOrder)order);
	for (int i = 0; i < n; i++)
		item[i].place = s.place[i];
	s.best.optimal = s.best.size == s.bound;
	if (!s.best.optimal && n <= PLAN_EXACT_MAX) {
		size_t size = plan_exact(scratch, n, item, s.bound, s.best.size,
		                         budget ? budget : 100000, &s.best.optimal);

		if (size < s.best.size)
			s.best.method = "exact search";
		s.best.size = size;
	}
	return s.best;
}
