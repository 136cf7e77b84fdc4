#include "passes/compression/fit.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* One sample in so many is held out. */
enum { HELD_OUT = 5, FEW_HELD_OUT = 20 };

static bool
is_leaf(const Forest *f, int32_t i)
{
	return (f->mode[i] & TREE_MODE_MASK) == TREE_LEAF;
}

static bool
is_kept_leaf(const Forest *f, int32_t i)
{
	return is_leaf(f, i) && !f->gone[i];
}

static double *
values_of(const Forest *f, int32_t leaf)
{
	return f->value + (size_t)leaf * (size_t)f->t->width;
}

static double *
row_of(double *m, const Fit *fit, int32_t sample)
{
	return m + (size_t)sample * (size_t)fit->f->t->outputs;
}

static bool
is_held_out(int32_t sample)
{
	return sample % HELD_OUT == HELD_OUT - 1;
}

/* ---- Running the ensemble ---- */

/* Where each sample ends in each tree. */
static void
walk(Fit *fit)
{
	Forest *f = fit->f;
	int32_t n = fit->s->n;

	fit->leaf = ARENA_ARRAY(fit->arena, int32_t, (size_t)n * (size_t)f->trees);
	for (int32_t i = 0; i < n; i++)
		for (int32_t t = 0; t < f->trees; t++)
			fit->leaf[(size_t)i * (size_t)f->trees + (size_t)t] =
				forest_leaf(f, t, fit->s->x + (size_t)i * (size_t)f->t->features);
}

static int32_t
leaf_of(const Fit *fit, int32_t sample, int32_t tree)
{
	return fit->leaf[(size_t)sample * (size_t)fit->f->trees + (size_t)tree];
}

/* The sums of one sample, with values in units of `step`. */
static void
add_up(const Fit *fit, int32_t sample, double step, double *out)
{
	const Forest *f = fit->f;

	memcpy(out, fit->base, (size_t)f->t->outputs * sizeof *out);
	for (int32_t t = 0; t < f->trees; t++) {
		int32_t leaf = leaf_of(fit, sample, t);

		for (int32_t k = 0; k < f->t->width; k++)
			out[f->target[leaf] + k] += values_of(f, leaf)[k] * step;
	}
}

/* Whether every leaf has shares of all classes, with the same sum. */
static bool
gives_shares(const Fit *fit)
{
	const Forest *f = fit->f;
	double all = -1;

	if (f->t->width != f->t->outputs || f->t->outputs < 2)
		return false;
	for (int32_t i = 0; i < f->nodes; i++) {
		double sum = 0;

		if (!is_leaf(f, i))
			continue;
		for (int32_t k = 0; k < f->t->width; k++) {
			if (values_of(f, i)[k] < 0)
				return false;
			sum += values_of(f, i)[k];
		}
		all = all < 0 ? sum : all;
		if (fabs(sum - all) > 1e-3 * all)
			return false;
	}
	return all > 0;
}

/* The labels as shares, of the size that the ensemble's sums have. */
static void
aim_at_labels(Fit *fit)
{
	int32_t outputs = fit->f->t->outputs;

	for (int32_t i = 0; i < fit->s->n; i++) {
		double *row = row_of(fit->target, fit, i), whole = 0;
		int64_t label = fit->s->labels[i];

		for (int32_t k = 0; k < outputs; k++) {
			whole += row[k];
			row[k] = 0;
		}
		if (label >= 0 && label < outputs)
			row[label] = whole;
	}
}

void
fit_begin(Fit *fit, Arena *a, Forest *f, const TreeSamples *s, const Value *base)
{
	size_t cells = (size_t)s->n * (size_t)f->t->outputs;

	*fit = (Fit){.arena = a, .f = f, .s = s};
	fit->base = ARENA_ARRAY(a, double, f->t->outputs);
	if (base && value_is_const(base) && base->type.rank == 1)
		for (int32_t k = 0; k < f->t->outputs; k++)
			fit->base[k] = value_float(base, k);
	fit->sum = ARENA_ARRAY(a, double, cells);
	fit->target = ARENA_ARRAY(a, double, cells);
	walk(fit);
	for (int32_t i = 0; i < s->n; i++)
		add_up(fit, i, 1, row_of(fit->sum, fit, i));
	memcpy(fit->target, fit->sum, cells * sizeof *fit->sum);
	fit->shares = gives_shares(fit);
	fit->to_labels = s->labels && fit->shares;
	if (fit->to_labels)
		aim_at_labels(fit);
}

/* ---- Selection ---- */

/* The squared error when `tree` is added to what is chosen; shares are made whole. */
static double
error_with(const Fit *fit, const double *chosen, int32_t tree, double scale)
{
	const Forest *f = fit->f;
	double error = 0;

	for (int32_t i = 0; i < fit->s->n; i++) {
		int32_t leaf = leaf_of(fit, i, tree), first = f->target[leaf];
		const double *want = fit->target + (size_t)i * (size_t)f->t->outputs;
		const double *have = chosen + (size_t)i * (size_t)f->t->outputs;

		if (is_held_out(i))
			continue;
		for (int32_t k = 0; k < f->t->outputs; k++) {
			bool mine = k >= first && k < first + f->t->width;
			double e = want[k] -
			           scale * (have[k] + (mine ? values_of(f, leaf)[k - first] : 0));

			error += e * e;
		}
	}
	return error;
}

static void
choose(Fit *fit, double *chosen, int32_t tree)
{
	const Forest *f = fit->f;

	for (int32_t i = 0; i < fit->s->n; i++) {
		int32_t leaf = leaf_of(fit, i, tree);

		for (int32_t k = 0; k < f->t->width; k++)
			row_of(chosen, fit, i)[f->target[leaf] + k] += values_of(f, leaf)[k];
	}
}

/* Keeps the trees that are marked, in their order, and makes shares whole again. */
static void
keep_trees(Fit *fit, const bool *kept, double scale)
{
	Forest *f = fit->f;
	int32_t n = 0;

	for (int32_t t = 0; t < f->trees; t++)
		if (kept[t])
			f->root[n++] = f->root[t];
		else
			forest_drop(fit->arena, f, f->root[t]);
	f->trees = n;
	for (int32_t i = 0; i < f->nodes; i++)
		for (int32_t k = 0; is_kept_leaf(f, i) && k < f->t->width; k++)
			values_of(f, i)[k] *= scale;
	walk(fit);
}

void
fit_select(Fit *fit, double share)
{
	Forest *f = fit->f;
	int32_t wanted = (int32_t)fmax(1, nearbyint(share * f->trees));
	bool *kept = ARENA_ARRAY(fit->arena, bool, f->trees);
	size_t cells = (size_t)fit->s->n * (size_t)f->t->outputs;
	double *chosen = ARENA_ARRAY(fit->arena, double, cells);

	if (!fit->shares)
		for (int32_t i = 0; i < fit->s->n; i++)
			memcpy(row_of(chosen, fit, i), fit->base,
			       (size_t)f->t->outputs * sizeof *chosen);
	for (int32_t m = 1; m <= wanted; m++) {
		double least = HUGE_VAL, scale = fit->shares ? (double)f->trees / m : 1;
		int32_t best = -1;

		for (int32_t t = 0; t < f->trees; t++) {
			double e = kept[t] ? HUGE_VAL : error_with(fit, chosen, t, scale);

			if (e < least) {
				least = e;
				best = t;
			}
		}
		if (best < 0)
			break;
		kept[best] = true;
		choose(fit, chosen, best);
	}
	keep_trees(fit, kept, fit->shares ? (double)f->trees / wanted : 1);
}

/* ---- Pruning ---- */

/* What is known of each node. */
typedef struct {
	Fit *fit;
	double *count;   /* samples that come through it */
	double *mean;    /* [nodes, outputs] of the values that they get */
	double *square;  /* of the values, summed */
	double *cost;    /* what the leaves below it cost now */
	int32_t *leaves; /* below it */
	int32_t *parent;
} Pruning;

/* Children have greater numbers.  The target of a node is that of all leaves below it, or
 * -1: then no leaf can take its place. */
static void
add_child(Pruning *p, int32_t node, int32_t child)
{
	Forest *f = p->fit->f;
	size_t width = (size_t)f->t->outputs;

	f->target[node] = p->leaves[node] == 0 || f->target[node] == f->target[child]
	                          ? f->target[child]
	                          : -1;
	p->count[node] += p->count[child];
	p->square[node] += p->square[child];
	p->leaves[node] += p->leaves[child];
	p->cost[node] += p->cost[child];
	p->parent[child] = node;
	for (size_t k = 0; k < width; k++)
		p->mean[(size_t)node * width + k] += p->mean[(size_t)child * width + k];
}

static bool
has_own_missing(const Forest *f, int32_t i)
{
	return f->missing[i] != f->yes[i] && f->missing[i] != f->no[i];
}

/* A little weight for every leaf, so that nodes without samples have a mean too. */
#define FAINT 1e-6

static void
begin_pruning(Pruning *p)
{
	Fit *fit = p->fit;
	const Forest *f = fit->f;
	size_t width = (size_t)f->t->outputs;

	for (int32_t i = 0; i < fit->s->n; i++)
		for (int32_t t = 0; t < f->trees && !is_held_out(i); t++)
			p->count[leaf_of(fit, i, t)] += 1;
	for (int32_t i = f->nodes - 1; i >= 0; i--) {
		if (is_leaf(f, i)) {
			p->leaves[i] = 1;
			p->count[i] += FAINT;
			for (int32_t k = 0; k < f->t->width; k++) {
				double v = values_of(f, i)[k];

				p->mean[(size_t)i * width + (size_t)(f->target[i] + k)] = p->count[i] * v;
				p->square[i] += p->count[i] * v * v;
			}
			continue;
		}
		add_child(p, i, f->yes[i]);
		add_child(p, i, f->no[i]);
		if (has_own_missing(f, i))
			add_child(p, i, f->missing[i]);
	}
}

/* The squared error of one leaf in place of the node. */
static double
cost_as_leaf(const Pruning *p, int32_t node)
{
	size_t width = (size_t)p->fit->f->t->outputs;
	double sum = 0;

	for (size_t k = 0; k < width; k++) {
		double m = p->mean[(size_t)node * width + k];

		sum += m * m;
	}
	return fmax(0, p->square[node] - sum / p->count[node]);
}

static double
price(const Pruning *p, int32_t node)
{
	return (cost_as_leaf(p, node) - p->cost[node]) / (p->leaves[node] - 1);
}

static void
collapse(Pruning *p, int32_t node)
{
	Forest *f = p->fit->f;
	size_t width = (size_t)f->t->outputs;
	int32_t saved = p->leaves[node] - 1;
	double more = cost_as_leaf(p, node) - p->cost[node];

	forest_drop(p->fit->arena, f, node);
	f->gone[node] = false;
	f->mode[node] = TREE_LEAF;
	for (int32_t k = 0; k < f->t->width; k++)
		values_of(f, node)[k] = p->mean[(size_t)node * width + (size_t)(f->target[node] + k)] /
		                        p->count[node];
	for (int32_t i = node; i >= 0; i = p->parent[i]) {
		p->leaves[i] -= saved;
		p->cost[i] += more;
	}
}

/* A heap of prices that may be old: a node is looked at again when it comes up. */
typedef struct {
	double price;
	int32_t node;
} Entry;

static void
sift_down(Entry *heap, int32_t n, int32_t at)
{
	for (;;) {
		int32_t child = 2 * at + 1;
		Entry e = heap[at];

		if (child >= n)
			return;
		if (child + 1 < n && heap[child + 1].price < heap[child].price)
			child++;
		if (!(heap[child].price < e.price))
			return;
		heap[at] = heap[child];
		heap[child] = e;
		at = child;
	}
}

static bool
is_candidate(const Pruning *p, int32_t i)
{
	const Forest *f = p->fit->f;

	return !f->gone[i] && !is_leaf(f, i) && f->target[i] >= 0;
}

/* Collapses the cheapest nodes until few enough leaves are left.  Prices above a
 * collapsed node change, so the cheapest is priced anew before it is taken. */
static void
collapse_cheapest(Pruning *p, int64_t leaves, int64_t wanted)
{
	const Forest *f = p->fit->f;
	Entry *heap = ARENA_ARRAY(p->fit->arena, Entry, f->nodes);
	int32_t n = 0;

	for (int32_t i = 0; i < f->nodes; i++)
		if (is_candidate(p, i))
			heap[n++] = (Entry){price(p, i), i};
	for (int32_t i = n / 2; i >= 0; i--)
		sift_down(heap, n, i);
	while (n > 0 && leaves > wanted) {
		int32_t i = heap[0].node;
		double now = is_candidate(p, i) ? price(p, i) : -1;

		if (is_candidate(p, i) && now > heap[0].price) {
			heap[0].price = now;
			sift_down(heap, n, 0);
			continue;
		}
		if (is_candidate(p, i)) {
			leaves -= p->leaves[i] - 1;
			collapse(p, i);
		}
		heap[0] = heap[--n];
		sift_down(heap, n, 0);
	}
}

void
fit_prune(Fit *fit, double share)
{
	Forest *f = fit->f;
	Arena *a = fit->arena;
	size_t cells = (size_t)f->nodes * (size_t)f->t->outputs;
	Pruning p = {.fit = fit,
	             .count = ARENA_ARRAY(a, double, f->nodes),
	             .mean = ARENA_ARRAY(a, double, cells),
	             .square = ARENA_ARRAY(a, double, f->nodes),
	             .cost = ARENA_ARRAY(a, double, f->nodes),
	             .leaves = ARENA_ARRAY(a, int32_t, f->nodes),
	             .parent = ARENA_ARRAY(a, int32_t, f->nodes)};
	int64_t leaves = 0;

	for (int32_t i = 0; i < f->nodes; i++)
		p.parent[i] = -1;
	begin_pruning(&p);
	for (int32_t t = 0; t < f->trees; t++)
		leaves += p.leaves[f->root[t]];
	collapse_cheapest(&p, leaves, (int64_t)fmax(f->trees, nearbyint(share * (double)leaves)));
	walk(fit);
}

/* ---- Refinement ---- */

/* The least squares problem: which changes of the leaves' values make the ensemble's
 * error on the samples least. */
typedef struct {
	const Fit *fit;
	int32_t *number; /* by node: of its first value among the unknowns */
	int32_t unknowns;
	double *residual; /* [n, outputs]: what the ensemble is off */
	double *gap;      /* [outputs]: scratch */
} Squares;

/* out = Z' Z v + ridge v, over the samples that are not held out. */
static void
apply(const Squares *q, const double *v, double ridge, double *out)
{
	const Fit *fit = q->fit;
	const Forest *f = fit->f;

	for (int32_t i = 0; i < q->unknowns; i++)
		out[i] = ridge * v[i];
	for (int32_t i = 0; i < fit->s->n; i++) {
		if (is_held_out(i))
			continue;
		memset(q->gap, 0, (size_t)f->t->outputs * sizeof *q->gap);
		for (int32_t t = 0; t < f->trees; t++) {
			int32_t leaf = leaf_of(fit, i, t);

			for (int32_t k = 0; k < f->t->width; k++)
				q->gap[f->target[leaf] + k] += v[q->number[leaf] + k];
		}
		for (int32_t t = 0; t < f->trees; t++) {
			int32_t leaf = leaf_of(fit, i, t);

			for (int32_t k = 0; k < f->t->width; k++)
				out[q->number[leaf] + k] += q->gap[f->target[leaf] + k];
		}
	}
}

static double
dot(const double *a, const double *b, int32_t n)
{
	double sum = 0;

	for (int32_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

/* The right side: Z' residual. */
static void
project(const Squares *q, double *out)
{
	const Fit *fit = q->fit;
	const Forest *f = fit->f;

	memset(out, 0, (size_t)q->unknowns * sizeof *out);
	for (int32_t i = 0; i < fit->s->n; i++)
		for (int32_t t = 0; t < f->trees && !is_held_out(i); t++) {
			int32_t leaf = leaf_of(fit, i, t);

			for (int32_t k = 0; k < f->t->width; k++)
				out[q->number[leaf] + k] +=
					row_of(q->residual, fit, i)[f->target[leaf] + k];
		}
}

enum { STEPS = 60 };

/* Conjugate gradients from 0. */
static void
solve(const Squares *q, double ridge, double *v)
{
	Arena *a = arena_child(q->fit->arena);
	int32_t n = q->unknowns;
	double *r = ARENA_ARRAY(a, double, n), *p = ARENA_ARRAY(a, double, n);
	double *ap = ARENA_ARRAY(a, double, n), rr, start;

	memset(v, 0, (size_t)n * sizeof *v);
	project(q, r);
	memcpy(p, r, (size_t)n * sizeof *p);
	start = rr = dot(r, r, n);
	for (int step = 0; step < STEPS && rr > 1e-12 * start; step++) {
		double alpha, old = rr;

		apply(q, p, ridge, ap);
		alpha = rr / dot(p, ap, n);
		for (int32_t i = 0; i < n; i++) {
			v[i] += alpha * p[i];
			r[i] -= alpha * ap[i];
		}
		rr = dot(r, r, n);
		for (int32_t i = 0; i < n; i++)
			p[i] = r[i] + rr / old * p[i];
	}
	arena_free(a);
}

/* The squared error on the samples held out when values change by v; NULL: not. */
static double
held_out_error(const Squares *q, const double *v)
{
	const Fit *fit = q->fit;
	const Forest *f = fit->f;
	double error = 0;

	for (int32_t i = 0; i < fit->s->n; i++) {
		if (!is_held_out(i))
			continue;
		memcpy(q->gap, row_of(q->residual, fit, i), (size_t)f->t->outputs * sizeof *q->gap);
		for (int32_t t = 0; v && t < f->trees; t++) {
			int32_t leaf = leaf_of(fit, i, t);

			for (int32_t k = 0; k < f->t->width; k++)
				q->gap[f->target[leaf] + k] -= v[q->number[leaf] + k];
		}
		error += dot(q->gap, q->gap, f->t->outputs);
	}
	return error;
}

static Squares
begin_squares(const Fit *fit)
{
	const Forest *f = fit->f;
	Arena *a = fit->arena;
	Squares q = {.fit = fit, .number = ARENA_ARRAY(a, int32_t, f->nodes),
	             .gap = ARENA_ARRAY(a, double, f->t->outputs),
	             .residual = ARENA_ARRAY(a, double,
	                                     (size_t)fit->s->n * (size_t)f->t->outputs)};

	for (int32_t i = 0; i < f->nodes; i++)
		if (is_kept_leaf(f, i)) {
			q.number[i] = q.unknowns;
			q.unknowns += f->t->width;
		}
	for (int32_t i = 0; i < fit->s->n; i++) {
		double *gap = row_of(q.residual, fit, i);
		const double *want = row_of(fit->target, fit, i);

		add_up(fit, i, 1, gap);
		for (int32_t k = 0; k < f->t->outputs; k++)
			gap[k] = want[k] - gap[k];
	}
	return q;
}

double
fit_refine(Fit *fit)
{
	static const double ridges[] = {100, 30, 10, 3, 1, 0.3, 0.1};
	Forest *f = fit->f;
	Squares q = begin_squares(fit);
	double *v = ARENA_ARRAY(fit->arena, double, q.unknowns);
	double *best = ARENA_ARRAY(fit->arena, double, q.unknowns);
	double least = held_out_error(&q, NULL), ridge = 0;

	for (size_t i = 0; i < sizeof ridges / sizeof *ridges; i++) {
		double error;

		solve(&q, ridges[i], v);
		error = held_out_error(&q, v);
		if (!(error < least))
			continue;
		least = error;
		ridge = ridges[i];
		memcpy(best, v, (size_t)q.unknowns * sizeof *v);
	}
	for (int32_t i = 0; ridge > 0 && i < f->nodes; i++)
		for (int32_t k = 0; is_kept_leaf(f, i) && k < f->t->width; k++)
			values_of(f, i)[k] += best[q.number[i] + k];
	return ridge;
}

/* ---- Measuring ---- */

/* The class that sums say: the greatest, or of one sum whether it is on the upper side. */
static int64_t
class_of(const Fit *fit, const double *sum)
{
	int32_t best = 0, n = fit->f->t->outputs;

	if (n == 1)
		return sum[0] > 0;
	for (int32_t k = 1; k < n; k++)
		if (sum[k] > sum[best])
			best = k;
	return best;
}

void
fit_measure(Fit *fit, double step, TreeShrinkReport *r)
{
	int32_t n = fit->s->n, outputs = fit->f->t->outputs;
	bool some = n / HELD_OUT >= FEW_HELD_OUT, classes = outputs > 1 || fit->s->labels;
	double *now = ARENA_ARRAY(fit->arena, double, outputs), square = 0, error = 0;

	r->same = classes ? 0 : -1;
	if (fit->s->labels)
		r->right[0] = r->right[1] = 0;
	walk(fit);
	for (int32_t i = 0; i < n; i++) {
		const double *was = row_of(fit->sum, fit, i);
		int64_t before, after;

		if (some && !is_held_out(i))
			continue;
		r->samples++;
		add_up(fit, i, step, now);
		before = class_of(fit, was);
		after = class_of(fit, now);
		r->same += classes && before == after;
		if (fit->s->labels) {
			r->right[0] += before == fit->s->labels[i];
			r->right[1] += after == fit->s->labels[i];
		}
		for (int32_t k = 0; k < outputs; k++) {
			square += was[k] * was[k];
			error += (now[k] - was[k]) * (now[k] - was[k]);
		}
	}
	if (r->samples) {
		r->rms = sqrt(square / r->samples / outputs);
		r->error = sqrt(error / r->samples / outputs);
	}
}
