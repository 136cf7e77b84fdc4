#include "passes/compression/agreement.h"

#include <math.h>
#include <string.h>

#include "passes/compression/emit.h"

enum { MOST_CHUNK = 256 }; /* samples that run together */

typedef struct {
	const Graph *g;
	void *model;
	CallArray *in, *out;
	void **held; /* states between chunks */
} Side;

static bool
begin_side(Side *s, const Graph *g, const Executor *exec, Arena *a, size_t chunk)
{
	s->g = g;
	s->model = exec->compile(exec->user, a, g);
	s->in = ARENA_ARRAY(a, CallArray, g->inputs.n + 1);
	s->out = ARENA_ARRAY(a, CallArray, g->outputs.n + 1);
	s->held = ARENA_ARRAY(a, void *, g->states.n + 1);
	for (int i = 0; i < g->inputs.n; i++) {
		s->in[i].stride = type_bytes(&g->inputs.v[i]->type);
		s->in[i].data = arena_calloc(a, chunk, s->in[i].stride);
	}
	for (int i = 0; i < g->outputs.n; i++) {
		s->out[i].stride = type_bytes(&g->outputs.v[i]->type);
		s->out[i].data = arena_calloc(a, chunk, s->out[i].stride);
	}
	for (int k = 0; k < g->states.n; k++)
		s->held[k] = arena_copy(a, g->states.v[k]->data,
		                        type_bytes(&g->states.v[k]->type));
	return s->model != NULL;
}

/* Copies the inputs of n samples, coded where the side wants it. */
static void
set_inputs(Side *s, const Samples *samples, size_t first, size_t n)
{
	int plain = graph_plain_inputs(s->g);

	for (int i = 0; i < plain; i++) {
		const CallArray *from = &samples->in[i];
		const Type *t = &s->g->inputs.v[i]->type;

		for (size_t c = 0; c < n; c++) {
			const void *x = (const char *)from->data + (first + c) * from->stride;
			void *to = (char *)s->in[i].data + c * s->in[i].stride;

			if (t->q)
				emit_encode(t, x, to);
			else
				memcpy(to, x, s->in[i].stride);
		}
	}
	for (int k = 0; k < s->g->states.n; k++) {
		s->in[plain + k].data = s->held[k];
		s->in[plain + k].stride = 0;
	}
}

static void
run_side(Side *s, const Samples *samples, size_t first, size_t n, const Executor *exec)
{
	int plain = graph_plain_outputs(s->g);

	set_inputs(s, samples, first, n);
	exec->run(exec->user, s->model, n, s->in, s->out);
	for (int k = 0; k < s->g->states.n; k++) {
		const CallArray *last = &s->out[plain + k];

		memcpy(s->held[k], (const char *)last->data + (n - 1) * last->stride,
		       last->stride);
	}
}

/* ---- Comparing ---- */

static size_t
largest(const float *v, size_t n)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++)
		if (v[i] > v[best])
			best = i;
	return best;
}

/* Whether the numbers are probabilities already. */
static bool
is_distribution(const float *v, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (!(v[i] >= -1e-6f))
			return false;
		sum += (double)v[i];
	}
	return fabs(sum - 1) < 1e-3;
}

/* Probabilities from weights; codes may leave out what is small. */
static void
to_probabilities(const float *v, size_t n, bool are, double *p)
{
	double most = (double)v[largest(v, n)], sum = 0;

	for (size_t i = 0; i < n; i++) {
		p[i] = are ? fmax((double)v[i], 0) + 1e-3 / (double)n : exp((double)v[i] - most);
		sum += p[i];
	}
	for (size_t i = 0; i < n; i++)
		p[i] = fmax(p[i] / sum, 1e-12);
}

static void
add_sample(Agreement *o, const float *x0, const float *x, size_t n, double *p, const int64_t *label)
{
	size_t best0 = largest(x0, n), best = largest(x, n);
	bool are = is_distribution(x0, n);

	for (size_t i = 0; i < n; i++) {
		double off = fabs((double)x[i] - (double)x0[i]);

		o->largest = fmax(o->largest, off);
		o->rmse += off * off;
		o->float_rms += (double)x0[i] * (double)x0[i];
	}
	o->same_class += best0 == best;
	if (label) {
		o->right_float += (int64_t)best0 == *label;
		o->right += (int64_t)best == *label;
	}
	to_probabilities(x0, n, are, p);
	to_probabilities(x, n, are, p + n);
	for (size_t i = 0; i < n; i++)
		o->kl += p[i] * log(p[i] / p[n + i]);
}

static void
compare(Agreement *o, const Side side[2], const Samples *s, size_t first, size_t n, Arena *a)
{
	const Type *t0 = &side[0].g->outputs.v[0]->type, *t = &side[1].g->outputs.v[0]->type;
	size_t count = (size_t)type_numel(t0);
	float *x0 = ARENA_ARRAY(a, float, count + 1), *x = ARENA_ARRAY(a, float, count + 1);
	double *p = ARENA_ARRAY(a, double, 2 * count + 1);

	for (size_t c = 0; c < n && count > 0; c++) {
		moments_read(t0, (const char *)side[0].out[0].data + c * side[0].out[0].stride, x0);
		moments_read(t, (const char *)side[1].out[0].data + c * side[1].out[0].stride, x);
		add_sample(o, x0, x, count, p, s->labels ? &s->labels[first + c] : NULL);
	}
}

bool
agreement_measure(Agreement *out, const Graph *g, const Graph *q, const Samples *s,
                  const Executor *exec, Arena *a)
{
	Arena *scratch = arena_child(a);
	size_t chunk = s->n < MOST_CHUNK ? s->n : MOST_CHUNK, all;
	Side side[2];
	bool ok = begin_side(&side[0], g, exec, scratch, chunk) &&
	          begin_side(&side[1], q, exec, scratch, chunk);

	*out = (Agreement){.samples = s->n};
	if (g->outputs.n > 0)
		out->elements = (size_t)type_numel(&g->outputs.v[0]->type);
	out->classes = out->elements > 1;
	for (size_t first = 0, n; ok && first < s->n; first += n) {
		n = s->n - first < chunk ? s->n - first : chunk;
		for (int i = 0; i < 2; i++)
			run_side(&side[i], s, first, n, exec);
		if (g->outputs.n > 0)
			compare(out, side, s, first, n, scratch);
		exec->progress(exec->user, "checking", (double)(first + n) / (double)s->n);
	}
	all = out->elements * s->n;
	if (all > 0) {
		out->rmse = sqrt(out->rmse / (double)all);
		out->float_rms = sqrt(out->float_rms / (double)all);
		out->kl /= (double)s->n;
	}
	arena_free(scratch);
	return ok;
}
