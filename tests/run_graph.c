#include "tests/run_graph.h"

#include <math.h>

#include "ir/lower.h"
#include "ir/num.h"

/* Zeros, ones, numbers that round and overflow; to be within reach of a tolerance
 * only those that do not. */
static double
sample(uint32_t *seed, bool moderate)
{
	static const double special[] = {0, -0.0, 1, -1, 0.5, 6, -7, 3e38, 1e-40, (double)INFINITY,
	                                 -(double)INFINITY, (double)NAN};
	uint32_t r;

	*seed = *seed * 1664525u + 1013904223u;
	r = *seed >> 8;
	if (moderate || r % 3)
		return (double)(r % 4001) / 200 - 10;
	return special[r / 3 % (sizeof special / sizeof special[0])];
}

static void *
sample_input(Arena *a, const Type *t, uint32_t *seed, bool moderate)
{
	void *data = arena_alloc(a, type_bytes(t));

	for (int32_t i = 0; i < type_numel(t); i++) {
		double v = sample(seed, moderate);

		if (dtype_is_float(t->dtype))
			num_store(t->dtype, data, (size_t)i, v);
		else
			num_store_int(t->dtype, data, (size_t)i, fabs(v) < 100 ? (int64_t)v : 77);
	}
	return data;
}

static void **
sample_inputs(Arena *a, const Graph *g, bool moderate)
{
	void **data = ARENA_ARRAY(a, void *, g->inputs.n);
	uint32_t seed = 1;

	for (int i = 0; i < g->inputs.n; i++)
		data[i] = sample_input(a, &g->inputs.v[i]->type, &seed, moderate);
	return data;
}

static bool
run_node(Arena *a, const Node *n, void **memory, int64_t *iterations)
{
	LFunc *f = node_lower(a, n);
	void **bufs = ARENA_ARRAY(a, void *, f->bufs.n);
	int k = 0;

	for (int i = 0; i < n->nins; i++)
		if (n->in[i])
			bufs[k++] = memory[n->in[i]->id];
	for (int i = 0; i < n->nouts; i++) {
		if (n->out[i]) {
			memory[n->out[i]->id] = arena_alloc(a, type_bytes(&n->out[i]->type));
			bufs[k++] = memory[n->out[i]->id];
		}
	}
	return lcode_run_within(lfunc_compile(a, f), bufs, iterations);
}

void **
run_graph(Arena *a, const Graph *g, void *const *inputs, int64_t *iterations)
{
	void **memory = ARENA_ARRAY(a, void *, g->values.n);

	for (int i = 0; i < g->values.n; i++)
		if (value_is_const(g->values.v[i]))
			memory[i] = arena_copy(a, g->values.v[i]->data,
					       type_bytes(&g->values.v[i]->type));
	for (int i = 0; i < g->inputs.n; i++)
		memory[g->inputs.v[i]->id] = inputs[i];
	for (const Node *n = g->first; n; n = n->next)
		if (!run_node(a, n, memory, iterations))
			return NULL;
	return memory;
}

static bool
same_number(DType t, const void *x, const void *y, size_t i, RunHow how)
{
	double p = num_load(t, x, i), q = num_load(t, y, i);

	if (how == RUN_NEARLY)
		return fabs(p - q) <= 1e-5 * (1 + fabs(p));
	if (isnan(p) || isnan(q))
		return isnan(p) && isnan(q);
	if (dtype_is_float(t))
		return p == q && signbit(p) == signbit(q);
	return num_load_int(t, x, i) == num_load_int(t, y, i);
}

const char *
run_compare(Arena *a, const Graph *before, const Graph *after, RunHow how, int64_t *iterations)
{
	void **inputs = sample_inputs(a, before, how != RUN_EXACT);
	void **x = run_graph(a, before, inputs, iterations);
	void **y = x ? run_graph(a, after, inputs, iterations) : NULL;

	if (!y)
		return NULL;

	for (int k = 0; k < before->outputs.n; k++) {
		const Value *v = before->outputs.v[k], *w = after->outputs.v[k];

		if (!type_equal(&v->type, &w->type))
			return arena_printf(a, "output %d has another type", k);
		for (int32_t i = 0; i < type_numel(&v->type); i++)
			if (!same_number(v->type.dtype, x[v->id], y[w->id], (size_t)i, how))
				return arena_printf(a, "element %d of output %d is %g, not %g\n", i,
						    k, num_load(v->type.dtype, y[w->id], (size_t)i),
						    num_load(v->type.dtype, x[v->id], (size_t)i));
	}
	return NULL;
}
