#include "passes/compression/trees.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/num.h"
#include "passes/compression/fit.h"

/* ---- Integers ---- */

static bool
is_kept_leaf(const Forest *f, int32_t i)
{
	return (f->mode[i] & TREE_MODE_MASK) == TREE_LEAF && !f->gone[i];
}

static size_t
first_value(const Forest *f, int32_t i)
{
	return (size_t)i * (size_t)f->t->width;
}

/* Rounds the values to multiples of a step; returns that, or 0 when all are 0. */
static double
round_values(Forest *f, int bits)
{
	double most = 0, limit = (double)((1 << (bits - 1)) - 1), step;

	for (int32_t i = 0; i < f->nodes; i++)
		for (int32_t k = 0; is_kept_leaf(f, i) && k < f->t->width; k++)
			most = fmax(most, fabs(f->value[first_value(f, i) + (size_t)k]));
	step = (double)(float)(most / limit);
	for (int32_t i = 0; step > 0 && i < f->nodes; i++)
		for (int32_t k = 0; is_kept_leaf(f, i) && k < f->t->width; k++) {
			double *v = &f->value[first_value(f, i) + (size_t)k];

			*v = fmin(fmax(nearbyint(*v / step), -limit), limit);
		}
	return step;
}

static bool
is_compared(const Forest *f, int32_t i)
{
	TreeMode m = (TreeMode)(f->mode[i] & TREE_MODE_MASK);

	return m >= TREE_LE && m <= TREE_GT && isfinite(f->threshold[i]) && !f->gone[i];
}

/* Rounds the thresholds of each feature to a grid from the least to the greatest. */
static void
round_thresholds(Arena *a, Forest *f, int bits)
{
	double *lo = ARENA_ARRAY(a, double, f->t->features), *hi = ARENA_ARRAY(a, double, f->t->features);
	bool is_float = f->t->threshold->type.dtype == DT_F32;

	for (int32_t k = 0; k < f->t->features; k++) {
		lo[k] = HUGE_VAL;
		hi[k] = -HUGE_VAL;
	}
	for (int32_t i = 0; i < f->nodes; i++)
		if (is_compared(f, i)) {
			lo[f->feature[i]] = fmin(lo[f->feature[i]], f->threshold[i]);
			hi[f->feature[i]] = fmax(hi[f->feature[i]], f->threshold[i]);
		}
	for (int32_t i = 0; i < f->nodes; i++) {
		int32_t k = f->feature[i];
		double step, v;

		if (!is_compared(f, i))
			continue;
		step = (hi[k] - lo[k]) / (double)((1 << bits) - 2);
		if (!(step > 0) || !isfinite(step))
			continue;
		v = lo[k] + step * nearbyint((f->threshold[i] - lo[k]) / step);
		f->threshold[i] = is_float ? (double)(float)v : v;
	}
}

/* ---- The node ---- */

/* The result of the node, of integers, as the sum it was: cast, scaled, with its base. */
static bool
scale_result(Graph *g, Node *n, double step, Value *base, DType type, Diag *d)
{
	Value *y = n->out[0], *v;
	Node *at = n->next, *last;
	Value *in[2];

	if (!node_infer(n, d))
		return false;
	last = graph_insert(g, at, OP_CAST, 1, (Value *[]){y}, 1, NULL);
	((Attr_CAST *)last->attr)->to = type;
	last->loc = n->loc;
	if (!node_infer(last, d))
		return false;
	v = last->out[0];
	in[0] = v;
	in[1] = graph_const_float(g, NULL, type, step);
	last = graph_insert(g, at, OP_MUL, 2, in, 1, NULL);
	last->loc = n->loc;
	if (!node_infer(last, d))
		return false;
	if (base) {
		in[0] = last->out[0];
		in[1] = base;
		last = graph_insert(g, at, OP_ADD, 2, in, 1, NULL);
		last->loc = n->loc;
		if (!node_infer(last, d))
			return false;
	}
	/* All others that used the sum, but the cast. */
	graph_replace_uses(g, y, last->out[0]);
	for (Node *k = n->next; k != at; k = k->next)
		if (k->op == OP_CAST && k->in[0] == last->out[0])
			node_set_input(k, 0, y);
	return true;
}

static Value *
base_of(const Node *n)
{
	return n->nins > TREES_BASE ? n->in[TREES_BASE] : NULL;
}

/* Sums of integers of 16 bits may not pass 32. */
static bool
store(const Forest *f, Graph *g, Node *n, const TreeShrink *how, double step, Diag *d)
{
	DType type = f->t->value->type.dtype;
	DType sum = n->out[0]->type.dtype;
	Value *base = base_of(n);

	if (how->value_bits && step > 0)
		type = how->value_bits == 8 ? DT_I8 : DT_I16;
	forest_store(f, g, n, type);
	((Attr_TREES *)n->attr)->code = TREE_CODE_walk;
	if (!how->value_bits || !(step > 0))
		return node_infer(n, d);
	if (base)
		node_set_input(n, TREES_BASE, NULL);
	return scale_result(g, n, step, base, sum, d);
}

/* ---- The report ---- */

static int64_t
smallest_tables(Arena *a, const Trees *t)
{
	int64_t best = INT64_MAX;

	for (int code = TREE_CODE_walk; code <= TREE_CODE_packed; code++)
		for (int keys = 0; keys < TREE_KEYS_none; keys++) {
			TreeCost c;

			if (!trees_have_code(a, t, (TreeCode)code, (TreeKeyKind)keys))
				continue;
			c = trees_cost(a, t, (TreeCode)code, (TreeKeyKind)keys);
			best = c.bytes < best ? c.bytes : best;
		}
	return best;
}

static void
note_size(Arena *a, const Trees *t, TreeShrinkReport *r, int when)
{
	r->trees[when] = t->trees;
	r->tests[when] = trees_count_tests(a, t, NULL);
	r->bytes[when] = smallest_tables(a, t);
}

void
trees_shrink_report(Str *s, const TreeShrinkReport *r)
{
	str_printf(s, "trees '%s': %d of %d trees, %d of %d tests, %lld of %lld bytes of tables\n",
	           r->name, r->trees[1], r->trees[0], r->tests[1], r->tests[0],
	           (long long)r->bytes[1], (long long)r->bytes[0]);
	if (!r->samples) {
		str_puts(s, "  what that does to results is not known: there are no samples\n");
		return;
	}
	str_printf(s, "  on %d samples: sums differ by %.3g (root mean square; they are %.3g large)",
	           r->samples, r->error, r->rms);
	if (r->same >= 0)
		str_printf(s, ", %d have the same class", r->same);
	str_putc(s, '\n');
	if (r->right[0] >= 0)
		str_printf(s, "  right before: %d (%.2f %%), right now: %d (%.2f %%)\n", r->right[0],
		           100.0 * r->right[0] / r->samples, r->right[1],
		           100.0 * r->right[1] / r->samples);
	if (r->ridge > 0)
		str_printf(s, "  leaves were refined, with %g holding them where they were\n", r->ridge);
}

void
trees_shrink_report_json(Str *s, const TreeShrinkReport *r)
{
	str_puts(s, "{\"name\": ");
	str_put_json(s, r->name);
	str_printf(s, ", \"trees_before\": %d, \"trees\": %d, \"tests_before\": %d, "
	              "\"tests\": %d, \"bytes_before\": %lld, \"bytes\": %lld, \"samples\": %d",
	           r->trees[0], r->trees[1], r->tests[0], r->tests[1], (long long)r->bytes[0],
	           (long long)r->bytes[1], r->samples);
	if (r->samples)
		str_printf(s, ", \"rms\": %.9g, \"error\": %.9g", r->rms, r->error);
	if (r->samples && r->same >= 0)
		str_printf(s, ", \"same_class\": %d", r->same);
	if (r->right[0] >= 0)
		str_printf(s, ", \"right_before\": %d, \"right\": %d", r->right[0], r->right[1]);
	str_puts(s, "}");
}

/* ---- All of it ---- */

static bool
check(const Node *n, const Trees *t, const TreeShrink *how, const TreeSamples *s, Diag *d)
{
	if (t->aggregate != TREES_sum || !dtype_is_float(t->value->type.dtype))
		return diag_report(d, &n->loc, E_UNSUPPORTED,
		                   "only trees whose numbers are added as floats can be compressed");
	if ((how->trees < 1 || how->leaves < 1) && s->n < 10)
		return diag_report(d, &n->loc, E_UNSUPPORTED,
		                   "pruning trees needs at least 10 samples, there are %d", s->n);
	return true;
}

bool
trees_shrink(Graph *g, Node *n, const TreeShrink *how, const TreeSamples *samples,
             TreeShrinkReport *report, Diag *d)
{
	Arena *a = arena_child(g->arena);
	Trees t = trees_of(n);
	Forest *f;
	Fit fit;
	double step = 0;
	bool ok;

	*report = (TreeShrinkReport){.name = n->name ? n->name : n->out[0]->name,
	                             .right = {-1, -1}, .same = -1};
	if (!check(n, &t, how, samples, d))
		return false;
	note_size(a, &t, report, 0);
	f = forest_copy(a, &t);
	if (!f)
		return diag_report(d, &n->loc, E_SIZE, "the trees are too large to be compressed");
	fit_begin(&fit, a, f, samples, base_of(n));
	if (how->trees < 1)
		fit_select(&fit, how->trees);
	if (how->leaves < 1)
		fit_prune(&fit, how->leaves);
	/* Votes of whole trees stay the few different ones that they are. */
	if (how->leaves < 1 || (how->trees < 1 && !fit.shares))
		report->ridge = fit_refine(&fit);
	if (how->threshold_bits)
		round_thresholds(a, f, how->threshold_bits);
	if (how->value_bits)
		step = round_values(f, how->value_bits);
	fit_measure(&fit, step > 0 ? step : 1, report);
	ok = store(f, g, n, how, step, d);
	if (ok) {
		Trees now = trees_of(n);

		note_size(a, &now, report, 1);
	}
	arena_free(a);
	return ok;
}
