/*
 * Region by region, in the order in which they were given: the items are sorted, and as
 * many from the front go in as a plan has room for, then single ones further behind; the
 * last region has to take what is left.  What fits no later region goes first.
 *
 * That is done for items sorted by accesses for their bytes, by accesses, by size, and by
 * size times lifetime; the best counts: where all fits, and with the fewest accesses to
 * slow memory.
 */
#include "codegen/program/regions.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SINGLES = 64 }; /* items behind the front that are tried one by one */

typedef enum { BY_DENSITY, BY_ACCESSES, BY_SIZE, BY_AREA, SORT_COUNT } Sort;

typedef struct {
	Arena *arena;
	const PlanProblem *problem;
	const double *accesses;
	const MemoryRegion *region;
	int nregions;
	long budget;
	size_t *size; /* by item */
	int *sequence; /* items that have no region yet, in their order */
	int nleft;
} Spread;

/* ---- Some of the items ---- */

/* The problem of the items in set[0..n). */
static PlanProblem
part_of(const Spread *s, Arena *a, const int *set, int n)
{
	PlanProblem part = {.n = n, .item = ARENA_ARRAY(a, PlanItem, n)};
	int *index = ARENA_ARRAY(a, int, s->problem->n);
	PlanRelation *relation = ARENA_ARRAY(a, PlanRelation, s->problem->nrelations);

	memset(index, -1, (size_t)s->problem->n * sizeof *index);
	for (int i = 0; i < n; i++) {
		part.item[i] = s->problem->item[set[i]];
		index[set[i]] = i;
	}
	for (int i = 0; i < s->problem->nrelations; i++) {
		PlanRelation r = s->problem->relation[i];

		if (index[r.in] < 0 || index[r.out] < 0)
			continue;
		r.in = index[r.in];
		r.out = index[r.out];
		relation[part.nrelations++] = r;
	}
	part.relation = relation;
	return part;
}

/* Whether a greedy plan of the items has at most so many bytes. */
static bool
fits(const Spread *s, const int *set, int n, size_t limit)
{
	static const PlanOrder orders[] = {PLAN_BY_SIZE, PLAN_BY_PRESSURE, PLAN_BY_LIFETIME};
	Arena *a = arena_child(s->arena);
	PlanProblem part = part_of(s, a, set, n);
	bool ok = plan_bound(a, &part) <= limit, any = n == 0;

	for (size_t i = 0; ok && !any && i < sizeof orders / sizeof *orders; i++)
		any = plan_greedy(a, &part, orders[i]) <= limit;
	arena_free(a);
	return ok && any;
}

/* ---- Filling one region ---- */

/* Bytes of the largest region behind r. */
static size_t
largest_behind(const Spread *s, int r)
{
	size_t most = 0;

	for (int i = r + 1; i < s->nregions; i++)
		if (s->region[i].size > most)
			most = s->region[i].size;
	return most;
}

/* Moves what fits no region behind r to the front. */
static void
force_large(Spread *s, int r)
{
	int *sorted = ARENA_ARRAY(s->arena, int, s->nleft), n = 0;
	size_t most = largest_behind(s, r);

	for (int i = 0; i < s->nleft; i++)
		if (s->size[s->sequence[i]] > most)
			sorted[n++] = s->sequence[i];
	for (int i = 0; i < s->nleft; i++)
		if (s->size[s->sequence[i]] <= most)
			sorted[n++] = s->sequence[i];
	memcpy(s->sequence, sorted, (size_t)n * sizeof *sorted);
}

/* How many items from the front fit together. */
static int
front_that_fits(const Spread *s, size_t limit)
{
	int lo = 0, hi = s->nleft;

	while (lo < hi) {
		int middle = hi - (hi - lo) / 2;

		if (fits(s, s->sequence, middle, limit))
			lo = middle;
		else
			hi = middle - 1;
	}
	return lo;
}

static void
take(Spread *s, int r, int *set, int n, RegionPlan *plan)
{
	PlanProblem part = part_of(s, s->arena, set, n);
	size_t limit = s->region[r].size;

	plan->region[r] = plan_memory(s->arena, &part, s->budget);
	for (int i = 0; i < n; i++) {
		s->problem->item[set[i]].place = part.item[i].place;
		plan->of[set[i]] = r;
		plan->slow += r * s->accesses[set[i]];
	}
	if (plan->region[r].size > limit) {
		plan->overflow += plan->region[r].size - limit;
		plan->full = r;
	}
}

static void
fill_region(Spread *s, int r, RegionPlan *plan)
{
	int *set = ARENA_ARRAY(s->arena, int, s->nleft), n, left = 0;
	bool is_last = r == s->nregions - 1;

	force_large(s, r);
	n = is_last ? s->nleft : front_that_fits(s, s->region[r].size);
	memcpy(set, s->sequence, (size_t)n * sizeof *set);
	for (int i = n, tries = 0; i < s->nleft; i++) {
		set[n] = s->sequence[i];
		if (tries++ < MAX_SINGLES && fits(s, set, n + 1, s->region[r].size))
			n++;
		else
			s->sequence[left++] = s->sequence[i];
	}
	s->nleft = left;
	take(s, r, set, n, plan);
}

/* ---- All of them ---- */

typedef struct {
	double key;
	int item;
} Keyed;

static int
compare_keys(const void *pa, const void *pb)
{
	const Keyed *a = pa, *b = pb;

	if (a->key < b->key || b->key < a->key)
		return a->key > b->key ? -1 : 1;
	return (a->item > b->item) - (a->item < b->item);
}

static double
key_of(const Spread *s, int i, Sort sort)
{
	double size = (double)s->size[i];
	const PlanItem *item = &s->problem->item[i];

	switch (sort) {
	case BY_DENSITY: return size > 0 ? s->accesses[i] / size : 0;
	case BY_ACCESSES: return s->accesses[i];
	case BY_SIZE: return size;
	case BY_AREA: return size > 0 ? size * (plan_last(item) - plan_first(item) + 1) : 0;
	case SORT_COUNT: break;
	}
	return 0;
}

static RegionPlan
spread(Spread *s, Sort sort)
{
	Keyed *keyed = ARENA_ARRAY(s->arena, Keyed, s->problem->n);
	RegionPlan plan = {.region = ARENA_ARRAY(s->arena, PlanResult, s->nregions),
	                   .of = ARENA_ARRAY(s->arena, int, s->problem->n)};

	s->nleft = s->problem->n;
	for (int i = 0; i < s->nleft; i++)
		keyed[i] = (Keyed){key_of(s, i, sort), i};
	if (s->nleft)
		qsort(keyed, (size_t)s->nleft, sizeof *keyed, compare_keys);
	for (int i = 0; i < s->nleft; i++)
		s->sequence[i] = keyed[i].item;
	for (int r = 0; r < s->nregions; r++)
		fill_region(s, r, &plan);
	return plan;
}

static bool
is_better(const RegionPlan *a, const RegionPlan *b)
{
	if (a->overflow != b->overflow)
		return a->overflow < b->overflow;
	return a->slow < b->slow;
}

RegionPlan
regions_plan(Arena *a, const PlanProblem *p, const double *accesses, const MemoryRegion *region,
             int n, long budget)
{
	Spread s = {.arena = a, .problem = p, .accesses = accesses, .region = region,
	            .nregions = n, .budget = budget};
	size_t *place = ARENA_ARRAY(a, size_t, p->n);
	RegionPlan best = {0};

	s.size = ARENA_ARRAY(a, size_t, p->n);
	s.sequence = ARENA_ARRAY(a, int, p->n);
	for (int i = 0; i < p->n; i++)
		s.size[i] = plan_item_size(&p->item[i]);
	for (int sort = 0; sort < SORT_COUNT; sort++) {
		RegionPlan plan = spread(&s, (Sort)sort);

		if (sort && !is_better(&plan, &best))
			continue;
		best = plan;
		for (int i = 0; i < p->n; i++)
			place[i] = p->item[i].place;
	}
	for (int i = 0; i < p->n; i++)
		p->item[i].place = place[i];
	return best;
}
