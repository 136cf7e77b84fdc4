#include "passes/compression/observe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Looking at values ---- */

enum {
	MOST_ELEMENTS = 1 << 15,     /* of one value that are kept */
	CHUNK_BYTES = 64 << 20       /* of all values of the calls that run together */
};

static void
keep(Observed *o, Arena *a, float x)
{
	if (o->n == o->cap) {
		int cap = o->cap ? 2 * o->cap : 256;

		o->v = arena_grow(a, o->v, (size_t)o->n, (size_t)cap, sizeof *o->v);
		o->cap = cap;
	}
	o->v[o->n++] = x;
}

static void
widen(Observed *o, double lo, double hi)
{
	o->lo = o->seen && o->lo < lo ? o->lo : lo;
	o->hi = o->seen && o->hi > hi ? o->hi : hi;
	o->seen = true;
}

/* Looks at n elements and keeps `part` of them, from places that differ by call. */
static void
look(Observed *o, Arena *a, const float *v, int32_t n, int32_t part, uint32_t seed)
{
	double lo = HUGE_VAL, hi = -HUGE_VAL;

	for (int32_t i = 0; i < n; i++) {
		/* Written so that NaN is not lost. */
		lo = (double)v[i] >= lo ? lo : (double)v[i];
		hi = (double)v[i] <= hi ? hi : (double)v[i];
	}
	if (n > 0)
		widen(o, lo, hi);
	for (int32_t i = 0; i < part; i++) {
		int32_t from = (int32_t)((int64_t)n * i / part);
		int32_t to = (int32_t)((int64_t)n * (i + 1) / part);

		seed = seed * 1664525u + 1013904223u;
		keep(o, a, v[from + (int32_t)((seed >> 8) % (uint32_t)(to - from))]);
	}
}

void
observe_constant(Observed *o, Arena *a, const float *v, int32_t n)
{
	look(o, a, v, n, n < MOST_ELEMENTS ? n : MOST_ELEMENTS, 1);
}

void
observe_join(Observed *to, Arena *a, const Observed *from)
{
	if (!from->seen)
		return;
	widen(to, from->lo, from->hi);
	for (int i = 0; i < from->n; i++)
		keep(to, a, from->v[i]);
}

static bool
is_observed(const Value *v)
{
	return v->type.dtype == DT_F32 && !v->type.q && !value_is_const(v);
}

/* What observing needs at hand. */
typedef struct {
	Graph *g;
	Arena *a;
	const Samples *s;
	const Executor *exec;
	Observed *of;
	int taps;           /* the first output that is there to be looked at */
	int32_t *part;      /* by output: how many elements of a call are kept */
	size_t chunk; /* calls that run together */
} Observer;

/* Puts an output before those of the states, which must be the last ones. */
static void
insert_output(Graph *g, Value *v)
{
	int at = graph_plain_outputs(g);

	graph_output(g, v->name, v);
	for (int i = g->outputs.n - 1; i > at; i--) {
		g->outputs.v[i] = g->outputs.v[i - 1];
		g->output_names.v[i] = g->output_names.v[i - 1];
	}
	g->outputs.v[at] = v;
	g->output_names.v[at] = v->name;
}

/* Makes every float value an output. */
static void
add_taps(Observer *o)
{
	Graph *g = o->g;

	o->taps = graph_plain_outputs(g);
	for (const Node *n = g->first; n; n = n->next)
		for (int i = 0; i < n->nouts; i++)
			if (n->out[i] && is_observed(n->out[i]))
				insert_output(g, n->out[i]);
}

static void
remove_taps(Observer *o)
{
	Graph *g = o->g;
	int end = graph_plain_outputs(g), n = end - o->taps;

	for (int i = o->taps; i < end; i++)
		g->outputs.v[i]->nuses--;
	for (int i = end; i < g->outputs.n; i++) {
		g->outputs.v[i - n] = g->outputs.v[i];
		g->output_names.v[i - n] = g->output_names.v[i];
	}
	g->outputs.n -= n;
	g->output_names.n -= n;
}

static void
set_sizes(Observer *o)
{
	const Graph *g = o->g;
	size_t bytes = 1;

	o->part = ARENA_ARRAY(o->a, int32_t, g->inputs.n + g->outputs.n);
	for (int i = 0; i < g->inputs.n + g->outputs.n; i++) {
		const Value *v = i < g->inputs.n ? g->inputs.v[i] : g->outputs.v[i - g->inputs.n];
		size_t part = MOST_ELEMENTS / o->s->n + 1;
		int32_t n = type_numel(&v->type);

		o->part[i] = part < (size_t)n ? (int32_t)part : n;
		bytes += type_bytes(&v->type);
	}
	o->chunk = CHUNK_BYTES / bytes + 1;
}

/* Looks at one value in the n calls from number `first` on. */
static void
look_at_calls(Observer *o, const Value *v, const CallArray *x, int32_t part, size_t first,
              size_t n)
{
	if (!is_observed(v))
		return;
	for (size_t c = 0; c < n; c++)
		look(&o->of[v->id], o->a,
		     (const float *)(const void *)((const char *)x->data + c * x->stride),
		     type_numel(&v->type), part,
		     (uint32_t)(first + c) * 2654435761u + (uint32_t)v->id);
}

/* What states hold when the calls begin. */
static void
note_states(const Observer *o, const CallArray *in, const CallArray *out, size_t first,
            size_t n, const CallArray *states)
{
	const Graph *g = o->g;

	for (int k = 0; k < g->states.n; k++) {
		size_t bytes = states[k].stride;
		char *to = (char *)states[k].data + first * bytes;

		memcpy(to, in[graph_plain_inputs(g) + k].data, bytes);
		memcpy(to + bytes, out[graph_plain_outputs(g) + k].data, (n - 1) * bytes);
	}
}

/* The inputs of the calls from `first` on; states go on where the last chunk ended. */
static void
set_inputs(const Observer *o, CallArray *in, size_t first, void *const *held)
{
	int plain = graph_plain_inputs(o->g);

	for (int i = 0; i < plain; i++) {
		in[i] = o->s->in[i];
		in[i].data = (char *)in[i].data + first * in[i].stride;
	}
	for (int k = 0; k < o->g->states.n; k++)
		in[plain + k] = (CallArray){held[k], 0};
}

static bool
run_chunks(Observer *o, const CallArray *states, Arena *scratch)
{
	const Graph *g = o->g;
	CallArray *in = ARENA_ARRAY(scratch, CallArray, g->inputs.n + 1);
	CallArray *out = ARENA_ARRAY(scratch, CallArray, g->outputs.n);
	void **held = ARENA_ARRAY(scratch, void *, g->states.n + 1);
	void *model = o->exec->compile(o->exec->user, scratch, g);

	if (!model)
		return false;
	for (int i = 0; i < g->outputs.n; i++) {
		out[i].stride = type_bytes(&g->outputs.v[i]->type);
		out[i].data = arena_calloc(scratch, o->chunk, out[i].stride);
	}
	for (int k = 0; k < g->states.n; k++)
		held[k] = arena_copy(scratch, g->states.v[k]->data,
		                     type_bytes(&g->states.v[k]->type));
	for (size_t first = 0, n; first < o->s->n; first += n) {
		n = o->s->n - first < o->chunk ? o->s->n - first : o->chunk;
		set_inputs(o, in, first, held);
		o->exec->run(o->exec->user, model, n, in, out);
		for (int i = 0; i < g->inputs.n; i++)
			look_at_calls(o, g->inputs.v[i], &in[i], o->part[i], first, n);
		for (int i = o->taps; i < graph_plain_outputs(g); i++)
			look_at_calls(o, g->outputs.v[i], &out[i], o->part[g->inputs.n + i], first, n);
		note_states(o, in, out, first, n, states);
		for (int k = 0; k < g->states.n; k++) {
			const CallArray *last = &out[graph_plain_outputs(g) + k];

			memcpy(held[k], (const char *)last->data + (n - 1) * last->stride,
			       last->stride);
		}
		o->exec->progress(o->exec->user, "calibrating",
		                  (double)(first + n) / (double)o->s->n);
	}
	return true;
}

static bool
check_finite(const Observer *o, const Samples *s, Diag *d)
{
	for (int i = 0; i < o->g->values.n; i++) {
		const Value *v = o->g->values.v[i];
		const Observed *seen = &o->of[v->id];

		if (seen->seen && !(isfinite(seen->lo) && isfinite(seen->hi)))
			return diag_report(d, &(Loc){.file = s->file}, E_CALIBRATION,
			                   "'%s' is infinite or not a number on calibration data",
			                   v->name);
	}
	return true;
}

Observed *
observe_values(Graph *g, const Samples *s, const CallArray *states, const Executor *exec,
               Arena *a, Diag *d)
{
	Observer o = {.g = g, .a = a, .s = s, .exec = exec};
	Arena *scratch = arena_child(a);
	bool ok;

	o.of = ARENA_ARRAY(a, Observed, g->values.n);
	add_taps(&o);
	set_sizes(&o);
	ok = run_chunks(&o, states, scratch);
	remove_taps(&o);
	arena_free(scratch);
	return ok && check_finite(&o, s, d) ? o.of : NULL;
}

/* ---- Choosing ranges ---- */

/* Either end is moved in down to this part of what was seen. */
static const double least_part = 0.3, step = 0.02;

/* Mean square of what rounding and clipping take off the elements. */
static double
error_of(const Observed *o, Range r, int levels)
{
	double scale = (r.hi - r.lo) / (levels - 1), sum = 0;

	for (int i = 0; i < o->n; i++) {
		double x = (double)o->v[i], q = rint((x - r.lo) / scale);

		q = fmin(fmax(q, 0), levels - 1);
		q = r.lo + q * scale - x;
		sum += q * q;
	}
	return sum;
}

enum { BINS = 2048 };

/* Counts of the elements, those outside of the range at its ends. */
static void
fill_bins(const Observed *o, Range r, double *bins)
{
	memset(bins, 0, BINS * sizeof *bins);
	for (int i = 0; i < o->n; i++) {
		double at = floor(((double)o->v[i] - r.lo) / (r.hi - r.lo) * (double)BINS);

		bins[(int)fmin(fmax(at, 0), BINS - 1)]++;
	}
}

/* Divergence of the elements' distribution from the one of their codes. */
static double
divergence_of(const Observed *o, Range r, int levels, double *bins)
{
	double sum = 0;

	fill_bins(o, r, bins);
	for (int i = 0, next; i < BINS; i = next) {
		int code = (int)((int64_t)i * levels / BINS), used = 0;
		double total = 0;

		for (next = i; next < BINS && (int)((int64_t)next * levels / BINS) == code; next++) {
			total += bins[next];
			used += bins[next] > 0;
		}
		for (int k = i; k < next; k++)
			if (bins[k] > 0)
				sum += bins[k] * log(bins[k] * used / total);
	}
	/* What is clipped has moved to another bin, which the sum does not see. */
	for (int i = 0; i < o->n; i++)
		sum += ((double)o->v[i] < r.lo || (double)o->v[i] > r.hi) * log(levels);
	return sum;
}

/* The best range with one end moved in. */
static Range
move_end(const Observed *o, RangeMethod method, Range from, bool high, int levels, double *bins)
{
	double least = HUGE_VAL;
	Range best = from;

	for (int i = 0; 1 - i * step >= least_part; i++) {
		Range r = from;
		double e;

		*(high ? &r.hi : &r.lo) *= 1 - i * step;
		e = method == RANGE_KL ? divergence_of(o, r, levels, bins)
		                       : error_of(o, r, levels);
		if (e < least) {
			least = e;
			best = r;
		}
	}
	return best;
}

/* The longer end first, on which most depends. */
static Range
best_part(const Observed *o, RangeMethod method, Range whole, int levels, Arena *scratch)
{
	double *bins = ARENA_ARRAY(scratch, double, BINS);
	bool high = whole.hi >= -whole.lo;
	Range r = move_end(o, method, whole, high, levels, bins);

	return move_end(o, method, r, !high, levels, bins);
}

static int
compare_floats(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* All but one in 10,000 elements on either side. */
static Range
percentile(const Observed *o, Arena *scratch)
{
	float *v = arena_copy(scratch, o->v, (size_t)o->n * sizeof *v);
	int off = o->n / 10000;

	qsort(v, (size_t)o->n, sizeof *v, compare_floats);
	return (Range){fmin((double)v[off], 0), fmax((double)v[o->n - 1 - off], 0)};
}

Range
observe_range(const Observed *o, RangeMethod method, int levels, Arena *scratch)
{
	Range whole = {o->seen ? fmin(o->lo, 0) : 0, o->seen ? fmax(o->hi, 0) : 0};

	if (whole.hi == whole.lo || o->n == 0)
		return whole;
	switch (method) {
	case RANGE_MIN_MAX: return whole;
	case RANGE_PERCENTILE: return percentile(o, scratch);
	case RANGE_MSE:
	case RANGE_KL: break;
	}
	return best_part(o, method, whole, levels, scratch);
}
