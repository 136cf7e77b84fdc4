/*
 * Exact planning by branch and bound.
 *
 * For each pair of items the distances that they may have are a few ranges: one lies
 * below the other, above it, or over it as their relation allows.  A node of the search
 * tree has chosen a range for some pairs.  Each choice is one or two inequalities
 *
 *	place[j] >= place[i] + w
 *
 * From these follow a lowest and, as the arena has the size that is looked for, a highest
 * place of each item.  They rule out ranges of other pairs; where one is left, it is
 * chosen, and where none is, the node is dead.  When every pair has a choice or can no
 * longer conflict, the lowest places are a plan.
 *
 * The sizes that are looked for close in on the smallest one from both sides: a plan that
 * is found is smaller than the best one so far, and a search that ends without one raises
 * the bound.
 */
#include <stdint.h>
#include <string.h>

#include "codegen/program/plan.h"

/* A pair and the distances place[j] - place[i] that it may have, both ends included. */
typedef struct {
	int i, j, nranges;
	Taken *range;
} Pair;

typedef struct {
	int from, to;
	int64_t w;
} Edge;

/* What is known at a node. */
typedef struct {
	int64_t lo[PLAN_EXACT_MAX], hi[PLAN_EXACT_MAX]; /* of the places */
	int *chosen; /* by pair: its range, or UNDECIDED */
	int nedges;
} Node;

typedef struct {
	const Planner *x;
	VEC(Pair) pairs;
	VEC(Edge) edges; /* those of the node at hand are the first ones */
	Node now;
	VEC(Node *) saved; /* by depth in the tree */
	long budget;
	int64_t nranges;
} Exact;

enum { UNDECIDED = -1, MAX_RANGES = 100000 };

static const int64_t unlimited = INT64_MAX / 4;

/* ---- Pairs ---- */

/* The gaps between forbidden distances, which are sorted. */
static Pair
allowed_ranges(Arena *a, int i, int j, const TakenVec *taken)
{
	Pair p = {.i = i, .j = j};
	int64_t lo = -unlimited;

	p.range = ARENA_ARRAY(a, Taken, taken->n + 1);
	for (int k = 0; k < taken->n; k++) {
		if (taken->v[k].lo >= lo)
			p.range[p.nranges++] = (Taken){lo, taken->v[k].lo};
		if (taken->v[k].hi > lo)
			lo = taken->v[k].hi;
	}
	p.range[p.nranges++] = (Taken){lo, unlimited};
	return p;
}

static void
make_pairs(Exact *e)
{
	const Planner *x = e->x;
	TakenVec taken = {0};

	for (int i = 0; i < x->n; i++) {
		for (int j = i + 1; j < x->n; j++) {
			taken.n = 0;
			planner_add_taken(x, j, i, &taken);
			planner_sort_taken(&taken);
			if (taken.n) {
				Pair p = allowed_ranges(x->arena, i, j, &taken);

				VEC_PUSH(x->arena, &e->pairs, p);
				e->nranges += p.nranges;
			}
		}
	}
	e->now.chosen = ARENA_ARRAY(x->arena, int, e->pairs.n);
}

/* ---- Consequences ---- */

static int64_t
up(int64_t v, size_t align)
{
	return v <= 0 ? 0 : (int64_t)align_up((size_t)v, align);
}

static int64_t
down(int64_t v, size_t align)
{
	return v < 0 ? -1 : (int64_t)((size_t)v & ~(align - 1));
}

/* Tightens the places at both ends of an edge; false when there is none left. */
static bool
tighten(Exact *e, const Edge *edge, bool *changed)
{
	const PlanItem *item = e->x->item;
	int64_t lo = up(e->now.lo[edge->from] + edge->w, item[edge->to].align);
	int64_t hi = down(e->now.hi[edge->to] - edge->w, item[edge->from].align);

	if (lo > e->now.lo[edge->to]) {
		e->now.lo[edge->to] = lo;
		*changed = true;
	}
	if (hi < e->now.hi[edge->from]) {
		e->now.hi[edge->from] = hi;
		*changed = true;
	}
	return e->now.lo[edge->to] <= e->now.hi[edge->to] &&
	       e->now.lo[edge->from] <= e->now.hi[edge->from];
}

/* The distances that the places allow. */
static Taken
possible(const Exact *e, const Pair *p)
{
	return (Taken){e->now.lo[p->j] - e->now.hi[p->i], e->now.hi[p->j] - e->now.lo[p->i]};
}

static bool
meets(Taken a, Taken b)
{
	return a.lo <= b.hi && b.lo <= a.hi;
}

static bool
within(Taken a, Taken b)
{
	return a.lo >= b.lo && a.hi <= b.hi;
}

static void
choose(Exact *e, int pair, int range)
{
	const Pair *p = &e->pairs.v[pair];
	Taken r = p->range[range];

	e->now.chosen[pair] = range;
	if (r.lo > -unlimited)
		VEC_PUSH(e->x->arena, &e->edges, ((Edge){p->i, p->j, r.lo}));
	if (r.hi < unlimited)
		VEC_PUSH(e->x->arena, &e->edges, ((Edge){p->j, p->i, -r.hi}));
}

/* How many ranges of a pair are possible; *only is the last of them. */
static int
count_ranges(const Exact *e, const Pair *p, int *only)
{
	Taken d = possible(e, p);
	int n = 0;

	for (int k = 0; k < p->nranges; k++) {
		if (meets(d, p->range[k])) {
			n++;
			*only = k;
		}
	}
	return n;
}

/* Draws all conclusions; false when no plan is left. */
static bool
propagate(Exact *e)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (int k = 0; k < e->edges.n; k++)
			if (!tighten(e, &e->edges.v[k], &changed))
				return false;
		for (int k = 0; k < e->pairs.n && !changed; k++) {
			int only = 0, n;

			if (e->now.chosen[k] != UNDECIDED)
				continue;
			n = count_ranges(e, &e->pairs.v[k], &only);
			if (n == 0)
				return false;
			if (n == 1) {
				choose(e, k, only);
				changed = true;
			}
		}
	}
	return true;
}

/* ---- The tree ---- */

/* The pair with the least freedom of those that may still conflict; -1: none. */
static int
next_pair(const Exact *e)
{
	int best = -1;
	int64_t least = INT64_MAX;

	for (int k = 0; k < e->pairs.n; k++) {
		const Pair *p = &e->pairs.v[k];
		Taken d = possible(e, p);
		int64_t freedom = 0;
		bool settled = false;

		if (e->now.chosen[k] != UNDECIDED)
			continue;
		for (int m = 0; m < p->nranges; m++) {
			int64_t lo = p->range[m].lo > d.lo ? p->range[m].lo : d.lo;
			int64_t hi = p->range[m].hi < d.hi ? p->range[m].hi : d.hi;

			settled = settled || within(d, p->range[m]);
			freedom += hi >= lo ? hi - lo + 1 : 0;
		}
		if (!settled && freedom < least) {
			least = freedom;
			best = k;
		}
	}
	return best;
}

static void
copy_node(const Exact *e, Node *to, const Node *from)
{
	memcpy(to->lo, from->lo, sizeof to->lo);
	memcpy(to->hi, from->hi, sizeof to->hi);
	if (e->pairs.n)
		memcpy(to->chosen, from->chosen, (size_t)e->pairs.n * sizeof *to->chosen);
}

static void
save(Exact *e, int depth)
{
	if (depth == e->saved.n) {
		Node *n = ARENA_NEW(e->x->arena, Node);

		n->chosen = ARENA_ARRAY(e->x->arena, int, e->pairs.n);
		VEC_PUSH(e->x->arena, &e->saved, n);
	}
	copy_node(e, e->saved.v[depth], &e->now);
	e->saved.v[depth]->nedges = e->edges.n;
}

static void
restore(Exact *e, int depth)
{
	copy_node(e, &e->now, e->saved.v[depth]);
	e->edges.n = e->saved.v[depth]->nedges;
}

/* Whether there is a plan below this node; then its places are the lowest ones.  The
 * recursion is at most as deep as there are pairs. */
static bool
search(Exact *e, int depth)
{
	int pair;

	if (e->budget-- <= 0 || !propagate(e))
		return false;
	pair = next_pair(e);
	if (pair < 0)
		return true;
	save(e, depth);
	for (int k = 0; k < e->pairs.v[pair].nranges && e->budget > 0; k++) {
		if (!meets(possible(e, &e->pairs.v[pair]), e->pairs.v[pair].range[k]))
			continue;
		choose(e, pair, k);
		if (search(e, depth + 1))
			return true;
		restore(e, depth);
	}
	return false;
}

/* Looks for a plan of at most `size` bytes and stores its places. */
static bool
find_plan(Exact *e, size_t size, PlanResult *r)
{
	const Planner *x = e->x;
	size_t top = 0;

	e->edges.n = 0;
	for (int k = 0; k < e->pairs.n; k++)
		e->now.chosen[k] = UNDECIDED;
	for (int i = 0; i < x->n; i++) {
		e->now.lo[i] = 0;
		e->now.hi[i] = down((int64_t)size - (int64_t)x->size[i], x->item[i].align);
		if (e->now.hi[i] < 0)
			return false;
	}
	if (!search(e, 0))
		return false;
	for (int i = 0; i < x->n; i++) {
		x->item[i].place = (size_t)e->now.lo[i];
		if (x->item[i].place + x->size[i] > top)
			top = x->item[i].place + x->size[i];
	}
	r->size = top;
	r->method = "exact search";
	return true;
}

/* What all sizes are multiples of. */
static size_t
unit_of(const Planner *x)
{
	size_t unit = 4096;

	for (int i = 0; i < x->n; i++)
		while (x->size[i] % unit || x->item[i].align % unit)
			unit /= 2;
	return unit;
}

void
planner_search(const Planner *x, PlanResult *r, long budget)
{
	Exact *e = ARENA_NEW(x->arena, Exact);
	size_t unit = unit_of(x), unknown = 0; /* looked for in vain below this */

	if (x->n > PLAN_EXACT_MAX)
		return;
	e->x = x;
	make_pairs(e);
	if (e->nranges > MAX_RANGES)
		return;
	r->bound = align_up(r->bound, unit);
	/* First the bound itself, which most often is reached. */
	for (size_t size = r->bound; r->size > r->bound;) {
		long part = budget / 2 + 1;

		e->budget = part;
		if (!find_plan(e, size, r)) {
			if (e->budget > 0)
				r->bound = size + unit;
			else
				unknown = size + unit;
		}
		budget -= part - (e->budget > 0 ? e->budget : 0);
		size = unknown > r->bound ? unknown : r->bound;
		if (size >= r->size)
			break;
		size += (r->size - unit - size) / 2 / unit * unit;
	}
	r->optimal = r->size == r->bound;
}
