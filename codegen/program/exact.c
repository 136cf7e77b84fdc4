/*
 * Exact planning by branch and bound.
 *
 * Every plan of plain items (one rectangle each) can be pushed down until each
 * item lies at 0 or on top of items that overlap with it in time, without
 * growing.  Sorted by place, such a plan is built by placing its items one
 * after the other, each on the highest end of those it overlaps with that are
 * placed already.  So it is enough to search orders of items in which the
 * places never fall.
 *
 * Items of several rectangles may interlock, where this argument does not hold;
 * they go to the lowest free place, and a search that ends without meeting the
 * bound then proves nothing.
 */
#include <stdint.h>
#include <string.h>

#include "codegen/program/plan.h"

typedef struct {
	Arena *scratch;
	int n;
	PlanItem *item;
	const IntVec *conflicts;
	TakenVec taken;
	size_t bound, best;
	long budget;
	bool plain; /* all items have one rectangle */
	bool placed[PLAN_EXACT_MAX];
	size_t size[PLAN_EXACT_MAX];
	size_t best_place[PLAN_EXACT_MAX];
} Exact;

static size_t
next_place(Exact *x, int i)
{
	size_t place = 0;

	if (!x->plain)
		return plan_lowest(x->scratch, &x->taken, x->item, i, x->conflicts, x->placed);
	for (int k = 0; k < x->conflicts[i].n; k++) {
		int j = x->conflicts[i].v[k];

		if (x->placed[j] && x->item[j].place + x->size[j] > place)
			place = x->item[j].place + x->size[j];
	}
	return align_up(place, x->item[i].align);
}

/* Whether the unplaced items alive when item i starts cannot fit below the best
 * plan: they all lie at or above the lowest of their places. */
static bool
too_high_at_start_of(const Exact *x, int i, const size_t *place)
{
	int t = plan_first(&x->item[i]);
	size_t lowest = place[i], sum = x->size[i];

	for (int k = 0; k < x->conflicts[i].n; k++) {
		int j = x->conflicts[i].v[k];

		if (x->placed[j] || plan_first(&x->item[j]) > t || plan_last(&x->item[j]) < t)
			continue;
		sum += x->size[j];
		if (place[j] < lowest)
			lowest = place[j];
	}
	return lowest + sum >= x->best;
}

/* Computes where each unplaced item could go next; false when no completion can
 * beat the best plan.  *ceiling is the lowest end that one of them would have. */
static bool
bound_places(Exact *x, size_t floor, size_t *natural, size_t *ceiling)
{
	size_t place[PLAN_EXACT_MAX];

	*ceiling = SIZE_MAX;
	for (int i = 0; i < x->n; i++) {
		if (x->placed[i])
			continue;
		natural[i] = next_place(x, i);
		place[i] = natural[i] > floor ? natural[i] : align_up(floor, x->item[i].align);
		if (!x->plain)
			place[i] = natural[i];
		if (place[i] + x->size[i] >= x->best)
			return false;
		if (x->size[i] && place[i] + x->size[i] < *ceiling)
			*ceiling = place[i] + x->size[i];
	}
	if (!x->plain)
		return true;
	for (int i = 0; i < x->n; i++)
		if (!x->placed[i] && too_high_at_start_of(x, i, place))
			return false;
	return true;
}

/* The next item to try: low places first, then large items; -1: none is left. */
static int
next_candidate(const Exact *x, const size_t *natural, const bool *tried, size_t floor,
               size_t ceiling)
{
	int best = -1;

	for (int i = 0; i < x->n; i++) {
		if (x->placed[i] || tried[i])
			continue;
		/* An item that would end below would be placed first. */
		if (x->plain && (natural[i] < floor || (x->size[i] && natural[i] >= ceiling)))
			continue;
		if (best < 0 || natural[i] < natural[best] ||
		    (natural[i] == natural[best] && x->size[i] > x->size[best]))
			best = i;
	}
	return best;
}

static void
keep_plan(Exact *x, size_t height)
{
	x->best = height;
	for (int i = 0; i < x->n; i++)
		x->best_place[i] = x->item[i].place;
}

/* Recursion is as deep as there are items. */
static void
search(Exact *x, int nplaced, size_t floor, size_t height)
{
	size_t natural[PLAN_EXACT_MAX], ceiling;
	bool tried[PLAN_EXACT_MAX] = {false};

	if (x->best == x->bound || x->budget-- <= 0)
		return;
	if (nplaced == x->n) {
		keep_plan(x, height);
		return;
	}
	if (!bound_places(x, floor, natural, &ceiling))
		return;
	for (;;) {
		int i = next_candidate(x, natural, tried, floor, ceiling);
		size_t end;

		if (i < 0 || x->best == x->bound || x->budget <= 0)
			return;
		tried[i] = true;
		end = natural[i] + x->size[i];
		if (end >= x->best)
			continue;
		x->item[i].place = natural[i];
		x->placed[i] = true;
		search(x, nplaced + 1, natural[i], end > height ? end : height);
		x->placed[i] = false;
	}
}

size_t
plan_exact(Arena *scratch, int n, PlanItem *item, size_t bound, size_t best, long budget,
           bool *complete)
{
	Exact x = {.scratch = scratch, .n = n, .item = item, .bound = bound, .best = best,
	           .budget = budget, .plain = true};

	*complete = false;
	if (n > PLAN_EXACT_MAX)
		return best;
	for (int i = 0; i < n; i++) {
		x.size[i] = plan_item_size(&item[i]);
		x.best_place[i] = item[i].place;
		if (item[i].nrects > 1)
			x.plain = false;
	}
	x.conflicts = plan_conflicts(scratch, n, item);
	search(&x, 0, 0, 0);
	for (int i = 0; i < n; i++)
		item[i].place = x.best_place[i];
	*complete = x.best == bound || (x.plain && x.budget > 0);
	return x.best;
}
