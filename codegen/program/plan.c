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

/* How often a plan's highest item is moved to the front of its order, pairs of items that
 * greedy planning may look at (about a second), and nodes of the exact search. */
enum { PROMOTIONS = 48, MAX_WORK = 100000000, DEFAULT_BUDGET = 20000 };

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

/* ---- Pairs of items ---- */

void
planner_init(Planner *x, Arena *scratch, const PlanProblem *p)
{
	*x = (Planner){.arena = scratch, .n = p->n, .item = p->item, .relation = p->relation,
	               .nrelations = p->nrelations};
	x->first = ARENA_ARRAY(scratch, int, p->n);
	x->last = ARENA_ARRAY(scratch, int, p->n);
	x->size = ARENA_ARRAY(scratch, size_t, p->n);
	for (int i = 0; i < p->n; i++) {
		x->first[i] = plan_first(&p->item[i]);
		x->last[i] = plan_last(&p->item[i]);
		x->size[i] = plan_item_size(&p->item[i]);
	}
	if (p->nrelations)
		x->related = ARENA_ARRAY(scratch, IntVec, p->n);
	for (int k = 0; k < p->nrelations; k++) {
		VEC_PUSH(scratch, &x->related[p->relation[k].in], k);
		VEC_PUSH(scratch, &x->related[p->relation[k].out], k);
	}
}

static bool
overlap_in_time(const PlanRect *a, const PlanRect *b)
{
	return a->first <= b->last && b->first <= a->last && a->size && b->size;
}

/* The relation between rectangle p of item i and q of item j, or NULL. */
static const PlanRelation *
find_relation(const Planner *x, int i, const PlanRect *p, int j, const PlanRect *q)
{
	if (!x->related || !p->tag || !q->tag)
		return NULL;
	for (int k = 0; k < x->related[i].n; k++) {
		const PlanRelation *r = &x->relation[x->related[i].v[k]];

		if ((r->in == i && r->out == j && r->in_tag == p->tag && r->out_tag == q->tag) ||
		    (r->in == j && r->out == i && r->in_tag == q->tag && r->out_tag == p->tag))
			return r;
	}
	return NULL;
}

static void
push_taken(const Planner *x, TakenVec *taken, int64_t lo, int64_t hi)
{
	Taken t = {lo, hi};

	if (lo + 1 < hi)
		VEC_PUSH(x->arena, taken, t);
}

/* Distances place of i - place of j that the relation forbids. */
static void
add_related(const Planner *x, const PlanRelation *r, int i, TakenVec *taken)
{
	int64_t sign = r->out == i ? 1 : -1;
	int64_t lo = sign > 0 ? r->lo : -r->hi, hi = sign > 0 ? r->hi : -r->lo;
	int64_t at = sign * r->at;

	if (r->has_at && at > lo && at < hi) {
		push_taken(x, taken, lo, at);
		push_taken(x, taken, at, hi);
	} else {
		push_taken(x, taken, lo, hi);
	}
}

void
planner_add_taken(const Planner *x, int i, int j, TakenVec *taken)
{
	const PlanItem *a = &x->item[i], *b = &x->item[j];

	if (x->first[i] > x->last[j] || x->first[j] > x->last[i])
		return;
	for (int k = 0; k < a->nrects; k++) {
		for (int m = 0; m < b->nrects; m++) {
			const PlanRect *p = &a->rect[k], *q = &b->rect[m];
			const PlanRelation *r;
			int64_t start;

			if (!overlap_in_time(p, q))
				continue;
			r = find_relation(x, i, p, j, q);
			start = (int64_t)q->offset - (int64_t)p->offset;
			if (r)
				add_related(x, r, i, taken);
			else
				push_taken(x, taken, start - (int64_t)p->size,
				           start + (int64_t)q->size);
		}
	}
}

static int
compare_taken(const void *a, const void *b)
{
	const Taken *p = a, *q = b;

	if (p->lo != q->lo)
		return p->lo < q->lo ? -1 : 1;
	return p->hi < q->hi ? -1 : p->hi > q->hi;
}

void
planner_sort_taken(TakenVec *taken)
{
	bool sorted = true;

	for (int k = 1; k < taken->n && sorted; k++)
		sorted = compare_taken(&taken->v[k - 1], &taken->v[k]) <= 0;
	if (!sorted)
		qsort(taken->v, (size_t)taken->n, sizeof *taken->v, compare_taken);
}

/* ---- Greedy ---- */

typedef struct {
	Planner x;
	TakenVec taken; /* room that is used again and again */
	int *placed;    /* items that have a place, lowest first */
	int nplaced;
	int *sequence;  /* the order that is being tried */
	size_t bound;
	PlanResult best;
	size_t *place;  /* of the best plan */
	int64_t work;   /* pairs that may still be looked at */
	/* While all that is placed is of one rectangle, and alive together from `first` to
	 * `last`: where it ends, and the largest gap below, or more. */
	bool together;
	int first, last;
	size_t top, gap;
} Search;

/* ---- Items that are all alive together ---- */

static void
clear_places(Search *s)
{
	s->nplaced = 0;
	s->together = true;
	s->first = INT32_MIN;
	s->last = INT32_MAX;
	s->top = s->gap = 0;
}

static bool
is_plain(const PlanItem *item)
{
	return item->nrects == 1 && !item->rect->tag && item->rect->size > 0 &&
	       item->rect->offset == 0;
}

/* What is alive with all of them and fits no gap goes on top: thousands of outputs are
 * such items, and looking at each pair of them would take long. */
static bool
goes_on_top(const Search *s, int i)
{
	return s->together && is_plain(&s->x.item[i]) && s->x.size[i] > s->gap &&
	       s->x.first[i] <= s->last && s->x.last[i] >= s->first;
}

static void
note_place(Search *s, int i, size_t place)
{
	if (s->x.first[i] > s->first)
		s->first = s->x.first[i];
	if (s->x.last[i] < s->last)
		s->last = s->x.last[i];
	s->together = s->together && is_plain(&s->x.item[i]) && s->first <= s->last;
	if (place > s->top && place - s->top > s->gap)
		s->gap = place - s->top;
	if (place + s->x.size[i] > s->top)
		s->top = place + s->x.size[i];
}

/* ---- Places ---- */

/* The lowest aligned place of item i that no placed item forbids. */
static size_t
lowest_place(Search *s, int i)
{
	const PlanItem *item = s->x.item;
	int64_t place = 0;

	s->taken.n = 0;
	for (int k = 0; k < s->nplaced; k++) {
		int from = s->taken.n, j = s->placed[k];

		planner_add_taken(&s->x, i, j, &s->taken);
		for (int m = from; m < s->taken.n; m++) {
			s->taken.v[m].lo += (int64_t)item[j].place;
			s->taken.v[m].hi += (int64_t)item[j].place;
		}
	}
	planner_sort_taken(&s->taken);
	/* An interval below may reach further up than one that starts after it. */
	for (int k = 0; k < s->taken.n && s->taken.v[k].lo < place; k++)
		if (s->taken.v[k].hi > place)
			place = (int64_t)align_up((size_t)s->taken.v[k].hi, item[i].align);
	s->work -= s->nplaced;
	return (size_t)place;
}

static void
put_at(Search *s, int i, size_t place)
{
	const PlanItem *item = s->x.item;
	int lo = 0, hi = s->nplaced;

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (item[s->placed[mid]].place <= place)
			lo = mid + 1;
		else
			hi = mid;
	}
	memmove(s->placed + lo + 1, s->placed + lo, (size_t)(s->nplaced - lo) * sizeof *s->placed);
	s->placed[lo] = i;
	s->nplaced++;
	s->x.item[i].place = place;
}

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
pressure(const Planner *x, int i, int start, const size_t *live)
{
	size_t most = 0;

	for (int t = x->first[i]; t <= x->last[i]; t++)
		if (live[t - start] > most)
			most = live[t - start];
	return most;
}

static Rank
rank_item(const Planner *x, int i, PlanOrder order, int start, const size_t *live)
{
	size_t size = x->size[i];
	size_t life = (size_t)(x->last[i] - x->first[i] + 1);

	switch (order) {
	case PLAN_BY_SIZE: return (Rank){size, life, i};
	case PLAN_BY_LIFETIME: return (Rank){life, size, i};
	case PLAN_BY_AREA: return (Rank){size * life, size, i};
	case PLAN_BY_START: return (Rank){(size_t)((int64_t)INT32_MAX - x->first[i]), size, i};
	case PLAN_BY_END: return (Rank){(size_t)((int64_t)x->last[i] + 1), size, i};
	case PLAN_BY_PRESSURE: return (Rank){pressure(x, i, start, live), size, i};
	case PLAN_ORDER_COUNT: break;
	}
	assert(0 && "not an order");
	return (Rank){0};
}

static void
sort_items(Search *s, PlanOrder order)
{
	Rank *rank = ARENA_ARRAY(s->x.arena, Rank, s->x.n);
	size_t *live = NULL;
	int start = 0;

	planner_profile(&s->x, &start, &live);
	for (int i = 0; i < s->x.n; i++)
		rank[i] = rank_item(&s->x, i, order, start, live);
	qsort(rank, (size_t)s->x.n, sizeof *rank, compare_ranks);
	for (int i = 0; i < s->x.n; i++)
		s->sequence[i] = rank[i].index;
}

/* Places the items in the order of the sequence; returns the size of the arena. */
static size_t
place_all(Search *s)
{
	size_t size = 0;

	clear_places(s);
	for (int k = 0; k < s->x.n; k++) {
		int i = s->sequence[k];
		size_t place = goes_on_top(s, i) ? align_up(s->top, s->x.item[i].align)
		                                 : lowest_place(s, i);

		put_at(s, i, place);
		note_place(s, i, place);
		if (place + s->x.size[i] > size)
			size = place + s->x.size[i];
	}
	return size;
}

static Search
start_search(Arena *scratch, const PlanProblem *p)
{
	Search s = {.work = MAX_WORK};

	planner_init(&s.x, scratch, p);
	s.placed = ARENA_ARRAY(scratch, int, p->n);
	s.sequence = ARENA_ARRAY(scratch, int, p->n);
	s.place = ARENA_ARRAY(scratch, size_t, p->n);
	return s;
}

size_t
plan_greedy(Arena *scratch, const PlanProblem *p, PlanOrder order)
{
	Search s = start_search(scratch, p);

	sort_items(&s, order);
	return place_all(&s);
}

/* ---- The best of all ---- */

/* Tries an order and keeps the plan when it is the best so far. */
static void
try_sequence(Search *s, const char *method)
{
	size_t size = place_all(s);

	if (size < s->best.size) {
		s->best.size = size;
		s->best.method = method;
		for (int i = 0; i < s->x.n; i++)
			s->place[i] = s->x.item[i].place;
	}
}

/* Moves the item that reaches highest to the front of the order; false when it
 * stands there already. */
static bool
promote_highest(const Search *s)
{
	int *sequence = s->sequence, at = 0, highest;
	size_t top = 0;

	for (int k = 0; k < s->x.n; k++) {
		int i = sequence[k];

		if (s->x.item[i].place + s->x.size[i] > top) {
			top = s->x.item[i].place + s->x.size[i];
			at = k;
		}
	}
	highest = sequence[at];
	memmove(sequence + 1, sequence, (size_t)at * sizeof *sequence);
	sequence[0] = highest;
	return at > 0;
}

static bool
goes_on(const Search *s)
{
	return s->best.size > s->bound && s->work > 0;
}

static void
improve_order(Search *s, PlanOrder order)
{
	sort_items(s, order);
	try_sequence(s, order_name[order]);
	for (int k = 0; k < PROMOTIONS && goes_on(s); k++) {
		if (!promote_highest(s))
			break;
		try_sequence(s, "greedy, improved");
	}
}

PlanResult
plan_memory(Arena *scratch, const PlanProblem *p, long budget)
{
	Search s = start_search(scratch, p);

	if (p->n == 0)
		return (PlanResult){.optimal = true, .method = "nothing to place"};
	s.bound = planner_bound(&s.x);
	s.best = (PlanResult){.size = SIZE_MAX, .bound = s.bound};
	for (int order = 0; order < PLAN_ORDER_COUNT && (order == 0 || goes_on(&s)); order++) {
		sort_items(&s, (PlanOrder)order);
		try_sequence(&s, order_name[order]);
	}
	for (int order = 0; order < PLAN_ORDER_COUNT && goes_on(&s); order++)
		improve_order(&s, (PlanOrder)order);
	for (int i = 0; i < p->n; i++)
		p->item[i].place = s.place[i];
	s.best.optimal = s.best.size == s.bound;
	if (!s.best.optimal && p->n <= PLAN_EXACT_MAX)
		planner_search(&s.x, &s.best, budget ? budget : DEFAULT_BUDGET);
	return s.best;
}
