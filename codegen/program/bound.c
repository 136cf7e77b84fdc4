/*
 * What is alive when, and the lower bound that follows.
 *
 * At the time of a step all that is alive has to lie somewhere.  An output may lie over
 * inputs as far as its relations allow, and over all of them no more than its own size.
 */
#include <stdlib.h>

#include "codegen/program/plan.h"

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

static int
compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return x < y ? -1 : x > y;
}

/* Adds the bytes of item i to the changes of what is alive from one time to the next. */
static void
add_changes(const Planner *x, int i, int start, int64_t *change)
{
	const PlanItem *item = &x->item[i];
	PlanRect *rect = arena_copy(x->arena, item->rect, (size_t)item->nrects * sizeof *rect);
	int *time = ARENA_ARRAY(x->arena, int, 2 * item->nrects);
	size_t before = 0;

	qsort(rect, (size_t)item->nrects, sizeof *rect, compare_rects);
	for (int k = 0; k < item->nrects; k++) {
		time[2 * k] = rect[k].first;
		time[2 * k + 1] = rect[k].last + 1;
	}
	qsort(time, (size_t)(2 * item->nrects), sizeof *time, compare_ints);
	for (int k = 0; k < 2 * item->nrects; k++) {
		size_t now;

		if (k && time[k] == time[k - 1])
			continue;
		now = live_bytes(item->nrects, rect, time[k]);
		change[time[k] - start] += (int64_t)now - (int64_t)before;
		before = now;
	}
}

int
planner_profile(const Planner *x, int *start, size_t **live)
{
	int first = INT32_MAX, last = INT32_MIN;
	int64_t *change, sum = 0;

	for (int i = 0; i < x->n; i++) {
		if (x->item[i].nrects && x->first[i] < first)
			first = x->first[i];
		if (x->item[i].nrects && x->last[i] > last)
			last = x->last[i];
	}
	if (first > last)
		return 0;
	*start = first;
	change = ARENA_ARRAY(x->arena, int64_t, last - first + 2);
	*live = ARENA_ARRAY(x->arena, size_t, last - first + 1);
	for (int i = 0; i < x->n; i++)
		if (x->item[i].nrects)
			add_changes(x, i, first, change);
	for (int t = 0; t <= last - first; t++) {
		sum += change[t];
		(*live)[t] = (size_t)sum;
	}
	return last - first + 1;
}

/* ---- What relations save ---- */

/* Bytes that [0, in) and [d, d + out) share. */
static int64_t
shared_at(int64_t d, int64_t in, int64_t out)
{
	int64_t lo = d > 0 ? d : 0, hi = d + out < in ? d + out : in;

	return hi > lo ? hi - lo : 0;
}

static int64_t
most_shared(int64_t lo, int64_t hi, int64_t in, int64_t out)
{
	int64_t first = in < out ? in - out : 0, last = in < out ? 0 : in - out;
	int64_t below = shared_at(lo < first ? lo : first, in, out);
	int64_t above = shared_at(hi > last ? hi : last, in, out);

	return below > above ? below : above;
}

static const PlanRect *
rect_of(const PlanItem *item, int tag)
{
	for (int i = 0; i < item->nrects; i++)
		if (item->rect[i].tag == tag)
			return &item->rect[i];
	return NULL;
}

/* The most bytes that the relation lets its output share with its input. */
static size_t
saving(const Planner *x, const PlanRelation *r, int *time)
{
	const PlanItem *a = &x->item[r->in], *b = &x->item[r->out];
	const PlanRect *in = rect_of(a, r->in_tag), *out = rect_of(b, r->out_tag);
	int64_t shift = (int64_t)out->offset - (int64_t)in->offset;
	int64_t n = most_shared(r->lo + shift, r->hi + shift, (int64_t)in->size,
	                        (int64_t)out->size);
	int64_t at = r->has_at ? shared_at(r->at + shift, (int64_t)in->size, (int64_t)out->size) : 0;

	/* Rectangles are rounded outward, so their starts may be further apart. */
	n += (int64_t)(a->align > b->align ? a->align : b->align);
	*time = out->first;
	return (size_t)(n > at ? n : at);
}

/* Subtracts what all relations save; those of one output stand together. */
static void
subtract_savings(const Planner *x, int start, size_t *live)
{
	for (int i = 0; i < x->nrelations;) {
		const PlanRelation *r = &x->relation[i];
		size_t sum = 0, size = rect_of(&x->item[r->out], r->out_tag)->size;
		int time = 0;

		for (; i < x->nrelations && x->relation[i].out_tag == r->out_tag; i++)
			sum += saving(x, &x->relation[i], &time);
		live[time - start] -= sum < size ? sum : size;
	}
}

size_t
planner_bound(const Planner *x)
{
	size_t *live = NULL, bound = 0;
	int start, count = planner_profile(x, &start, &live);

	if (count)
		subtract_savings(x, start, live);
	for (int t = 0; t < count; t++)
		if (live[t] > bound)
			bound = live[t];
	for (int i = 0; i < x->n; i++)
		if (x->size[i] > bound)
			bound = x->size[i];
	return bound;
}

size_t
plan_bound(Arena *scratch, const PlanProblem *p)
{
	Planner x;

	planner_init(&x, scratch, p);
	return planner_bound(&x);
}
