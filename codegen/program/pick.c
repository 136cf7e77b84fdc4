/*
 * A greedy choice first: from the lightest ways on, whatever saves most cost for its
 * weight and still fits.  Where it first does not fit is the price of weight, lambda; by
 * it no choice of the items from i on with weight w costs less than
 *
 *	sum of min(cost + lambda * weight) - lambda * w
 *
 * Then item by item, all partial choices that no other one beats in both cost and weight,
 * and that may end up cheaper than the best known by that bound.
 */
#include "codegen/program/pick.h"

#include <math.h>
#include <stdlib.h>

/* A partial choice: of the items up to some one. */
typedef struct {
	int64_t cost, weight;
	int before; /* the state of the items before, in `all`; -1: none */
	int way;
} State;

typedef VEC(State) States;

typedef struct {
	Arena *arena;
	const PickItem *items;
	int n;
	int64_t limit;
	int64_t *lightest; /* by item: weight of the lightest ways from it on */
	double *priced;    /* by item: cost of the ways from it on, with lambda for weight */
	double lambda;
	int64_t best;      /* the cost of a choice that is known */
	States all;
	bool cut;          /* states were left out */
} Picker;

static int
lightest_way(const PickItem *item)
{
	int best = 0;

	for (int k = 1; k < item->n; k++)
		if (item->way[k].weight < item->way[best].weight ||
		    (item->way[k].weight == item->way[best].weight &&
		     item->way[k].cost < item->way[best].cost))
			best = k;
	return best;
}

int64_t
pick_least_weight(const PickItem *items, int n)
{
	int64_t weight = 0;

	for (int i = 0; i < n; i++)
		weight += items[i].way[lightest_way(&items[i])].weight;
	return weight;
}

/* ---- Greedy ---- */

/* Cost saved for each unit of weight by taking `to` instead of `from`; 0: none. */
static double
gain(const PickWay *from, const PickWay *to)
{
	int64_t saved = from->cost - to->cost, weight = to->weight - from->weight;

	if (saved <= 0)
		return 0;
	return weight <= 0 ? HUGE_VAL : (double)saved / (double)weight;
}

/* The best single change; false when there is none that is of use. */
static bool
best_change(const Picker *p, const int *picked, int64_t room, int *item, int *way, double *dropped)
{
	double best = 0;

	for (int i = 0; i < p->n; i++) {
		const PickWay *now = &p->items[i].way[picked[i]];

		for (int k = 0; k < p->items[i].n; k++) {
			const PickWay *other = &p->items[i].way[k];
			double g = gain(now, other);

			if (other->weight - now->weight > room) {
				*dropped = g > *dropped ? g : *dropped;
			} else if (g > best) {
				best = g;
				*item = i;
				*way = k;
			}
		}
	}
	return best > 0;
}

static void
pick_greedily(Picker *p, int *picked)
{
	int64_t weight = 0, cost = 0;
	double dropped = 0;
	int item, way;

	for (int i = 0; i < p->n; i++) {
		picked[i] = lightest_way(&p->items[i]);
		weight += p->items[i].way[picked[i]].weight;
		cost += p->items[i].way[picked[i]].cost;
	}
	while (best_change(p, picked, p->limit - weight, &item, &way, &dropped)) {
		const PickWay *from = &p->items[item].way[picked[item]];
		const PickWay *to = &p->items[item].way[way];

		weight += to->weight - from->weight;
		cost += to->cost - from->cost;
		picked[item] = way;
	}
	p->best = cost;
	p->lambda = dropped;
}

/* ---- All that may be better ---- */

static void
set_bounds(Picker *p)
{
	p->lightest = ARENA_ARRAY(p->arena, int64_t, p->n + 1);
	p->priced = ARENA_ARRAY(p->arena, double, p->n + 1);
	for (int i = p->n - 1; i >= 0; i--) {
		const PickItem *item = &p->items[i];
		double least = 0;

		for (int k = 0; k < item->n; k++) {
			double priced = (double)item->way[k].cost +
			                p->lambda * (double)item->way[k].weight;

			least = !k || priced < least ? priced : least;
		}
		p->priced[i] = p->priced[i + 1] + least;
		p->lightest[i] = p->lightest[i + 1] + item->way[lightest_way(item)].weight;
	}
}

/* Whether a choice of the items before `next` may become better than the best. */
static bool
is_promising(const Picker *p, const State *s, int next)
{
	double bound = (double)s->cost + p->priced[next] -
	               p->lambda * (double)(p->limit - s->weight);

	return s->weight + p->lightest[next] <= p->limit &&
	       bound < (double)p->best - 0.5 && s->cost < p->best;
}

static int
compare_states(const void *pa, const void *pb)
{
	const State *a = pa, *b = pb;

	if (a->weight != b->weight)
		return a->weight < b->weight ? -1 : 1;
	if (a->cost != b->cost)
		return a->cost < b->cost ? -1 : 1;
	if (a->before != b->before)
		return a->before < b->before ? -1 : 1;
	return (a->way > b->way) - (a->way < b->way);
}

/* Leaves those that no other one beats: cost falls as weight grows. */
static int
keep_best(State *s, int n)
{
	int kept = 0;

	qsort(s, (size_t)n, sizeof *s, compare_states);
	for (int i = 0; i < n; i++)
		if (!kept || s[i].cost < s[kept - 1].cost)
			s[kept++] = s[i];
	return kept;
}

/* Adds all choices that go on from those of `first` to the end with item i. */
static void
add_item(Picker *p, int i, int first)
{
	const PickItem *item = &p->items[i];
	int end = p->all.n, n = 0;
	State *next = ARENA_ARRAY(p->arena, State, (end - first) * item->n);

	for (int s = first; s < end; s++)
		for (int k = 0; k < item->n; k++) {
			const State *old = &p->all.v[s];
			State state = {old->cost + item->way[k].cost,
			               old->weight + item->way[k].weight, s, k};

			if (is_promising(p, &state, i + 1))
				next[n++] = state;
		}
	n = keep_best(next, n);
	if (n > PICK_STATES) {
		n = PICK_STATES;
		p->cut = true;
	}
	for (int s = 0; s < n; s++)
		VEC_PUSH(p->arena, &p->all, next[s]);
}

/* Replaces a greedy choice by a better one where there is one. */
static void
search(Picker *p, int *picked)
{
	int first = 0, best = -1;

	set_bounds(p);
	VEC_PUSH(p->arena, &p->all, ((State){.before = -1}));
	for (int i = 0; i < p->n; i++) {
		int end = p->all.n;

		add_item(p, i, first);
		first = end;
	}
	for (int s = first; s < p->all.n; s++)
		if (p->all.v[s].cost < p->best) {
			p->best = p->all.v[s].cost;
			best = s;
		}
	for (int i = p->n - 1, s = best; i >= 0 && best >= 0; i--) {
		picked[i] = p->all.v[s].way;
		s = p->all.v[s].before;
	}
}

bool
pick_ways(Arena *scratch, const PickItem *items, int n, int64_t limit, int *picked,
          PickResult *result)
{
	Picker p = {.arena = scratch, .items = items, .n = n, .limit = limit};

	if (pick_least_weight(items, n) > limit)
		return false;
	pick_greedily(&p, picked);
	search(&p, picked);
	*result = (PickResult){.optimal = !p.cut};
	for (int i = 0; i < n; i++) {
		result->cost += items[i].way[picked[i]].cost;
		result->weight += items[i].way[picked[i]].weight;
	}
	return true;
}
