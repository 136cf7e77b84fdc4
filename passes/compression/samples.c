#include "passes/compression/samples.h"

#include <math.h>
#include <string.h>

enum { FEW = 32 };

/* ---- Parts ---- */

static bool
is_part(const Samples *s, bool sequence, size_t every, bool others, size_t i)
{
	if (s->n < SAMPLES_TO_SPLIT)
		return true;
	if (sequence)
		return (i < s->n - s->n / every) == others;
	return (i % every != every - 1) == others;
}

Samples
samples_part(const Samples *s, const Graph *g, size_t every, bool others, Arena *a)
{
	int inputs = graph_plain_inputs(g);
	CallArray *in = ARENA_ARRAY(a, CallArray, inputs + 1);
	int64_t *labels = ARENA_ARRAY(a, int64_t, s->n + 1);
	Samples out = {.file = s->file, .in = in, .labels = s->labels ? labels : NULL};
	bool sequence = g->states.n > 0;

	for (size_t i = 0; i < s->n; i++)
		if (is_part(s, sequence, every, others, i)) {
			if (s->labels)
				labels[out.n] = s->labels[i];
			out.n++;
		}
	for (int k = 0; k < inputs; k++) {
		size_t bytes = type_bytes(&g->inputs.v[k]->type), at = 0;

		in[k].stride = bytes;
		in[k].data = arena_calloc(a, out.n, bytes);
		for (size_t i = 0; i < s->n; i++)
			if (is_part(s, sequence, every, others, i))
				memcpy((char *)in[k].data + at++ * bytes,
				       (const char *)s->in[k].data + i * s->in[k].stride, bytes);
	}
	return out;
}

Samples
samples_first(const Samples *s, size_t n)
{
	Samples out = *s;

	out.n = n < s->n ? n : s->n;
	return out;
}

/* ---- Checks ---- */

static bool
check_input(const Graph *g, const Samples *s, int k, Diag *d)
{
	const Value *v = g->inputs.v[k];
	int32_t n = type_numel(&v->type);
	const float *first = s->in[k].data;
	bool constant = true;

	if (v->type.dtype != DT_F32)
		return true;
	for (size_t c = 0; c < s->n; c++) {
		const char *at = (const char *)s->in[k].data + c * s->in[k].stride;
		const float *x = (const float *)(const void *)at;

		for (int32_t i = 0; i < n; i++) {
			if (!isfinite(x[i]))
				return diag_report(d, &(Loc){.file = s->file}, E_CALIBRATION,
				                   "element %d of '%s' in sample %zu is %s", i,
				                   v->name, c,
				                   isnan(x[i]) ? "not a number" : "infinite");
			constant = constant && x[i] == first[0];
		}
	}
	if (constant && n > 0 && (n > 1 || s->n > 1))
		diag_report(d, &(Loc){.file = s->file}, W_CALIBRATION,
		            "all elements of '%s' are %g in all samples: no range can be seen "
		            "from that; give samples as the model will meet them",
		            v->name, (double)first[0]);
	return true;
}

bool
samples_check(const Samples *s, const Graph *g, Diag *d)
{
	Loc loc = {.file = s->file};

	if (!s->file)
		return true;
	if (s->n == 0)
		return diag_report(d, &loc, E_CALIBRATION, "there are no samples in it");
	for (int k = 0; k < graph_plain_inputs(g); k++)
		if (!check_input(g, s, k, d))
			return false;
	if (s->n < FEW)
		diag_report(d, &loc, W_CALIBRATION,
		            "%zu sample%s: the ranges of values may be wrong by much; give 100 or "
		            "more%s",
		            s->n, s->n == 1 ? " is little" : "s are few",
		            s->n < SAMPLES_TO_SPLIT ? ", of which some can be held out for checks"
		                                  : "");
	return true;
}
