/*
 * Ranges of channels, forward through the graph.
 *
 * Sums are bounded by their terms; all else, from the sum to the number that is stored
 * and from elements to elements, is computed by running the operator's reference
 * lowering at the ends of the ranges, so that there is no second implementation.  That
 * bounds operators that rise or fall with each input, and 8-bit functions of one
 * number, which are run on all of them.  Of other operators only what is the same
 * everywhere is known.
 *
 * Of floats, too: only channels with the same bits everywhere have a range.  A sum is
 * one when all its terms are zeros, where 0 * x counts as 0 for finite x.
 */
#include <assert.h>
#include <math.h>

#include "ir/lower.h"
#include "ir/num.h"
#include "ir/ops/requant.h"
#include "passes/channels.h"

/* Iterations that one run may take. */
enum { ITERATIONS = 1 << 24 };

enum { CODES = 256 };

static bool
is_small_integer(const Type *t)
{
	return dtype_is_integer(t->dtype) && dtype_info[t->dtype].bytes <= 2;
}

/* What is known of any element of the type. */
static void
limits(const Type *t, double *lo, double *hi)
{
	*lo = -HUGE_VAL;
	*hi = HUGE_VAL;
	if (is_small_integer(t)) {
		QRange r = quant_limits(t->dtype);

		*lo = r.lo;
		*hi = r.hi;
	}
}

static bool
same_bits(double x, double y)
{
	return x == y && signbit(x) == signbit(y);
}

/* A range with a NaN, or with zeros of both signs, has no lower end. */
static void
widen(double *lo, double *hi, double x)
{
	if (isnan(x) || (x == *lo && !same_bits(x, *lo)) || (x == *hi && !same_bits(x, *hi)))
		*lo = -HUGE_VAL;
	*lo = x < *lo ? x : *lo;
	*hi = x > *hi ? x : *hi;
}

/* Channel k of input i; where the input is not divided that way, the whole of it. */
static void
range_of_input(const ChannelMap *m, const Value *v, int axis, int32_t k, double *lo, double *hi)
{
	const Channels *c = &m->of[v->id];
	bool divided = axis >= 0 && c->axis == axis && k >= 0;

	*lo = HUGE_VAL;
	*hi = -HUGE_VAL;
	for (int32_t i = divided ? k : 0; i < (divided ? k + 1 : c->n); i++) {
		widen(lo, hi, c->lo[i]);
		widen(lo, hi, c->hi[i]);
	}
}

/* ---- Running a node ---- */

/* A copy of a node in a graph of its own, whose inputs are chosen here. */
typedef struct {
	Arena *a;
	Graph *g;
	Node *n;
	void **bufs;
	int ninputs; /* bufs that are set */
} Trial;

static Trial
begin_trial(const ChannelMap *m)
{
	Trial t = {.a = arena_child(m->a)};

	t.g = graph_new(t.a, "trial");
	t.g->single_rounding = m->g->single_rounding;
	return t;
}

/* Makes the node; the inputs are values of t->g, and attributes are shared. */
static void
make_trial(Trial *t, Op op, const void *attr, int nins, Value **in, const Type *out)
{
	Diag d;
	bool fits;

	diag_init(&d, t->a);
	t->n = graph_insert(t->g, NULL, op, nins, in, 1, NULL);
	t->n->attr = arena_copy(t->a, attr, op_info[op].attr_size);
	t->n->out[0]->type.dtype = out->dtype;
	t->n->out[0]->type.q = out->q;
	fits = node_infer(t->n, &d);
	assert(fits);
	(void)fits;
}

/* Runs it; inputs that are not constants are in `data`, by input.  Returns the
 * output's elements, or NULL when that takes too long. */
static const void *
run_trial(Trial *t, void *const *data)
{
	LFunc *f = node_lower(t->a, t->n);
	void **bufs = ARENA_ARRAY(t->a, void *, f->bufs.n), *y;
	int64_t iterations = ITERATIONS;
	int k = 0;

	for (int i = 0; i < t->n->nins; i++)
		if (t->n->in[i])
			bufs[k++] = data[i];
	y = bufs[k] = arena_alloc(t->a, type_bytes(&t->n->out[0]->type));
	return lcode_run_within(lfunc_compile(t->a, f), bufs, &iterations) ? y : NULL;
}

/* ---- From sums to elements ---- */

/* The type of an input or of weights with one input channel and one tap. */
static Type
thin(const Type *t, int axis, int32_t n)
{
	Type r = *t;

	for (int i = 0; i < r.rank; i++)
		r.dim[i] = i == axis ? n : 1;
	return r;
}

static DType
sum_type(const Node *n)
{
	const Value *bias = n->nins > 2 ? n->in[2] : NULL;

	if (!node_is_quantized(n))
		return n->in[0]->type.dtype;
	return n->in[0]->type.dtype == DT_I16 && !(bias && bias->type.dtype == DT_I32) ? DT_I64
	                                                                              : DT_I32;
}

static const void *
uniform(Arena *a, const Type *t, int64_t x)
{
	void *data = arena_alloc(a, type_bytes(t));

	for (int32_t i = 0; x != 0 && i < type_numel(t); i++)
		num_store_int(t->dtype, data, (size_t)i, x);
	return data;
}

/* A convolution without padding, or a product, with the activation of n. */
static const void *
trial_attr(Arena *a, const Node *n, Op *op)
{
	if (n->op == OP_CONV || n->op == OP_CONV_TRANSPOSE) {
		Attr_CONV *attr = arena_copy(a, op_info[OP_CONV].attr_default, sizeof *attr);

		*op = OP_CONV;
		attr->layout = node_layout(n);
		attr->activation = node_activation(n);
		return attr;
	} else {
		Attr_GEMM *attr = arena_copy(a, op_info[OP_GEMM].attr_default, sizeof *attr);

		*op = OP_GEMM;
		attr->activation = node_activation(n);
		attr->trans_b = n->op == OP_GEMM && ((const Attr_GEMM *)n->attr)->trans_b;
		return attr;
	}
}

/*
 * Stores in y what the node makes of the sums, which are exact, for all its channels: it
 * is run with the sums as its bias and one product that is 0.
 */
static void
finish_sums(const ChannelMap *m, const Node *n, const Sums *s, const double *sum, double *y)
{
	Trial t = begin_trial(m);
	int32_t channels = s->groups * s->out;
	bool is_conv = n->op == OP_CONV || n->op == OP_CONV_TRANSPOSE;
	Type x = thin(&n->in[0]->type, -1, 1);
	Type w = thin(&s->w->type, is_conv ? 0 : s->m_axis, channels);
	Type b = type_make(sum_type(n), 1, &channels);
	void *bias = arena_alloc(t.a, type_bytes(&b));
	const void *attr, *out;
	Value *in[3];
	Op op;

	for (int32_t i = 0; i < channels; i++)
		num_store(b.dtype, bias, (size_t)i, sum[i]);
	if (!is_conv)
		x = type_make(x.dtype, 2, (int32_t[]){1, 1});
	x.q = n->in[0]->type.q;
	attr = trial_attr(t.a, n, &op);
	in[0] = graph_const(t.g, NULL, x, uniform(t.a, &x, s->x_zero));
	in[1] = graph_const(t.g, NULL, w, uniform(t.a, &w, s->w_zero));
	in[2] = graph_const(t.g, NULL, b, bias);
	make_trial(&t, op, attr, 3, in, &n->out[0]->type);
	out = run_trial(&t, (void *[3]){NULL, NULL, NULL});
	assert(out);
	for (int32_t i = 0; i < channels; i++)
		y[i] = num_load(n->out[0]->type.dtype, out, (size_t)i);
	arena_free(t.a);
}

/* ---- Ranges of sums ---- */

/* Adds the range of weight * [lo, hi] at a tap; false on overflow. */
static bool
add_term(int64_t weight, double x_lo, double x_hi, Tap tap, int64_t *lo, int64_t *hi)
{
	int64_t a = weight * (int64_t)x_lo, b = weight * (int64_t)x_hi;
	int64_t least = a < b ? a : b, most = a < b ? b : a;

	if (tap == TAP_SOMETIMES) {
		least = least < 0 ? least : 0;
		most = most > 0 ? most : 0;
	}
	return !__builtin_add_overflow(*lo, least, lo) && !__builtin_add_overflow(*hi, most, hi);
}

/* The range of the sum of quantised channel k. */
static bool
bound_sum(const ChannelMap *m, const Node *n, const Sums *s, int32_t k, int64_t *lo, int64_t *hi)
{
	int32_t group = k / s->out;

	*lo = *hi = s->bias ? value_int(s->bias, k) : 0;
	for (int32_t c = 0; c < s->in; c++) {
		double x_lo, x_hi;

		range_of_input(m, n->in[0], s->x_axis, group * s->in + c, &x_lo, &x_hi);
		for (int32_t t = 0; t < s->taps; t++) {
			int64_t w = sums_weight(s, k * s->m_step + t * s->t_step + c * s->c_step);

			if (w != 0 && s->tap[t] != TAP_NEVER &&
			    !add_term(w, x_lo - (double)s->x_zero, x_hi - (double)s->x_zero,
			              (Tap)s->tap[t], lo, hi))
				return false;
		}
	}
	return true;
}

/* Whether the arithmetic behind the sum stays clear of wrapping around, so that it
 * rises with the sum: the scaled sum, shifted by one bit more than needed, and the
 * zero point fit. */
static bool
is_tame(const Node *n, const Sums *s, int32_t k, int64_t sum)
{
	const Quant *q = s->w->type.q;
	double factor = (double)quant_scale(&n->in[0]->type) *
	                (double)q->scale[q->n == 1 ? 0 : k] / (double)quant_scale(&n->out[0]->type);
	double size = fabs((double)sum), limit = sum_type(n) == DT_I32 ? 0x1p31 : 0x1p46;

	return size < limit && 2 * size * factor < 0x1p30;
}

static void
range_quantized_sums(ChannelMap *m, const Node *n, const Sums *s)
{
	Channels *c = &m->of[n->out[0]->id];
	double *lo = ARENA_ARRAY(m->a, double, c->n), *hi = ARENA_ARRAY(m->a, double, c->n);
	bool *known = ARENA_ARRAY(m->a, bool, c->n);

	for (int32_t k = 0; k < c->n; k++) {
		int64_t least, most;

		known[k] = bound_sum(m, n, s, k, &least, &most) && is_tame(n, s, k, least) &&
		           is_tame(n, s, k, most);
		lo[k] = known[k] ? (double)least : 0;
		hi[k] = known[k] ? (double)most : 0;
	}
	finish_sums(m, n, s, lo, lo);
	finish_sums(m, n, s, hi, hi);
	for (int32_t k = 0; k < c->n; k++) {
		if (known[k]) {
			c->lo[k] = lo[k];
			c->hi[k] = hi[k];
		}
	}
}

/* Whether all terms of channel k are zeros. */
static bool
is_zero_sum(const ChannelMap *m, const Node *n, const Sums *s, int32_t k)
{
	for (int32_t c = 0; c < s->in; c++) {
		double lo, hi;

		range_of_input(m, n->in[0], s->x_axis, k / s->out * s->in + c, &lo, &hi);
		for (int32_t t = 0; t < s->taps; t++) {
			int32_t at = k * s->m_step + t * s->t_step + c * s->c_step;

			if (s->tap[t] != TAP_NEVER && sums_matters(s, at) &&
			    (lo != 0 || hi != 0 || !isfinite(value_float(s->w, at))))
				return false;
		}
	}
	return true;
}

/* A sum that starts with -0 may become 0. */
static void
range_plain_sums(ChannelMap *m, const Node *n, const Sums *s)
{
	Channels *c = &m->of[n->out[0]->id];
	double *y = ARENA_ARRAY(m->a, double, c->n);
	bool *known = ARENA_ARRAY(m->a, bool, c->n), any = false;

	if (!s->takes_bias ||
	    (!dtype_is_float(n->in[0]->type.dtype) && dtype_info[n->in[0]->type.dtype].bytes > 4))
		return;
	for (int32_t k = 0; k < c->n; k++) {
		double start = s->bias ? value_float(s->bias, k) : 0;

		known[k] = isfinite(start) && !same_bits(start, -0.0) && is_zero_sum(m, n, s, k);
		y[k] = known[k] ? start : 0;
		any = any || known[k];
	}
	if (any)
		finish_sums(m, n, s, y, y);
	for (int32_t k = 0; k < c->n; k++)
		if (known[k])
			c->lo[k] = c->hi[k] = y[k];
}

/* ---- Ranges of moved elements ---- */

static void
widen_by_const(const Value *v, int axis, int32_t k, double *lo, double *hi)
{
	int32_t inner = axis < 0 ? 1 : type_product(&v->type, axis + 1, v->type.rank);
	int32_t n = axis < 0 ? 1 : v->type.dim[axis];

	for (int32_t i = 0; i < type_numel(&v->type); i++)
		if (axis < 0 || i / inner % n == k)
			widen(lo, hi, value_float(v, i));
}

static void
widen_by_input(const ChannelMap *m, const Value *v, int axis, int32_t k, double *lo, double *hi)
{
	double x_lo, x_hi;

	if (value_is_const(v)) {
		widen_by_const(v, axis, k, lo, hi);
		return;
	}
	range_of_input(m, v, axis, k, &x_lo, &x_hi);
	widen(lo, hi, x_lo);
	widen(lo, hi, x_hi);
}

static bool
adds_padding(const Node *n)
{
	const Attr_PAD *a = n->attr;

	for (int i = 0; i < a->pads.n; i++)
		if (a->pads.v[i] > 0)
			return a->mode == PAD_constant;
	return false;
}

static void
range_moved(ChannelMap *m, const ChannelNode *c)
{
	const Node *n = c->n;
	Channels *y = &m->of[n->out[0]->id];
	bool padded = n->op == OP_PAD && adds_padding(n);
	int inputs = n->op == OP_CONCAT ? n->nins : 1;

	for (int32_t k = 0; k < y->n; k++) {
		double lo = HUGE_VAL, hi = -HUGE_VAL;

		for (int i = 0; i < inputs; i++) {
			int32_t from = channel_source(m, c, i, k);

			if (from >= 0)
				widen_by_input(m, n->in[i], channel_source_axis(m, c, i, y->axis),
				               from, &lo, &hi);
		}
		if (padded && n->nins > 1 && n->in[1])
			widen_by_input(m, n->in[1], -1, 0, &lo, &hi);
		else if (padded)
			widen(&lo, &hi, 0);
		y->lo[k] = lo;
		y->hi[k] = hi;
	}
}

/* ---- Ranges of computed elements ---- */

/* How the output follows the inputs. */
typedef enum {
	FOLLOWS_CONSTANTS, /* the same everywhere when they are */
	FOLLOWS_ENDS,      /* rises or falls with each of them */
	FOLLOWS_ALL        /* it is enough to know it for each code */
} Following;

static Following
following(const Node *n)
{
	const Type *x = &n->in[0]->type;

	if (!node_is_quantized(n))
		return FOLLOWS_CONSTANTS;
	if (n->nins == 1 && dtype_is_integer(x->dtype) && dtype_info[x->dtype].bytes == 1 &&
	    (op_info[n->op].kind == OP_ELEMENTWISE || n->op == OP_REQUANTIZE))
		return FOLLOWS_ALL;
	switch ((int)n->op) {
	case OP_RELU:
	case OP_CLAMP:
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_MIN:
	case OP_MAX:
	case OP_ADD_N:
	case OP_MAX_POOL:
	case OP_AVG_POOL:
	case OP_REDUCE_MAX:
	case OP_REDUCE_MIN: return FOLLOWS_ENDS;
	default: return FOLLOWS_CONSTANTS;
	}
}

/* Scaling by a factor of more than 1 may wrap around. */
static bool
scales_up(const Node *n)
{
	double x = (double)quant_scale(&n->in[0]->type), y = (double)quant_scale(&n->out[0]->type);
	double size = dtype_info[n->in[0]->type.dtype].bytes == 1 ? 0x1p8 : 0x1p16;

	if (n->op == OP_MUL)
		return size * size * x * (double)quant_scale(&n->in[1]->type) / y >= 0x1p29;
	return (n->op == OP_RELU && size * x / y >= 0x1p29) || (n->op == OP_ADD_N && x / y >= 0x1p18);
}

/* Whether all constant inputs have one element or are divided as the output is, so
 * that one position stands for all. */
static bool
is_same_everywhere(const Node *n, int axis)
{
	if (op_info[n->op].kind != OP_ELEMENTWISE && n->op != OP_REQUANTIZE && n->op != OP_ADD_N)
		return false;
	for (int i = 0; i < n->nins; i++) {
		const Type *t = &n->in[i]->type;
		int from = axis - (n->out[0]->type.rank - t->rank);

		if (value_is_const(n->in[i]) &&
		    type_numel(t) != (from >= 0 ? t->dim[from] : 1))
			return false;
	}
	return true;
}

/* Fills an input with an end of the ranges of its channels. */
static void *
fill_input(const ChannelMap *m, Arena *a, const Value *v, const Type *t, int axis, bool upper)
{
	int32_t inner = axis < 0 ? 1 : type_product(t, axis + 1, t->rank);
	int32_t n = axis < 0 ? 1 : t->dim[axis];
	void *data = arena_alloc(a, type_bytes(t));

	for (int32_t i = 0; i < type_numel(t); i++) {
		double lo, hi, x;

		range_of_input(m, v, axis, n > 1 ? i / inner % n : 0, &lo, &hi);
		x = upper ? hi : lo;
		num_store(t->dtype, data, (size_t)i, lo == hi || isfinite(x) ? x : 0);
	}
	return data;
}

/* Runs the node with the upper ends of the inputs whose bit is set, and widens. */
static bool
run_at_ends(const ChannelMap *m, const ChannelNode *c, unsigned upper, double *lo, double *hi)
{
	const Node *n = c->n;
	int axis = m->of[n->out[0]->id].axis;
	bool one = is_same_everywhere(n, axis);
	Trial t = begin_trial(m);
	Value **in = ARENA_ARRAY(t.a, Value *, n->nins);
	void **data = ARENA_ARRAY(t.a, void *, n->nins);
	const void *y;
	const Type *out;

	for (int i = 0; i < n->nins; i++) {
		int from = channel_source_axis(m, c, i, axis);
		const Value *v = n->in[i];
		Type type = one ? thin(&v->type, from, from < 0 ? 1 : v->type.dim[from]) : v->type;

		if (value_is_const(v)) {
			in[i] = graph_const(t.g, NULL, v->type, v->data);
			continue;
		}
		in[i] = graph_input(t.g, NULL, type);
		data[i] = fill_input(m, t.a, v, &type, from, upper >> (i < 2 ? i : 2) & 1);
	}
	make_trial(&t, n->op, n->attr, n->nins, in, &n->out[0]->type);
	y = run_trial(&t, data);
	out = &t.n->out[0]->type;
	for (int32_t i = 0; y && i < type_numel(out); i++) {
		int32_t k = i / type_product(out, axis + 1, out->rank) % out->dim[axis];

		widen(&lo[k], &hi[k], num_load(out->dtype, y, (size_t)i));
	}
	arena_free(t.a);
	return y != NULL;
}

/* Whether the inputs behind channel k are the same everywhere. */
static bool
has_constant_inputs(const ChannelMap *m, const ChannelNode *c, int32_t k)
{
	const Node *n = c->n;
	int axis = m->of[n->out[0]->id].axis;

	for (int i = 0; i < n->nins; i++) {
		double lo, hi;

		if (value_is_const(n->in[i]))
			continue;
		range_of_input(m, n->in[i], channel_source_axis(m, c, i, axis),
		               channel_source(m, c, i, k), &lo, &hi);
		if (!same_bits(lo, hi))
			return false;
	}
	return true;
}

/* Ends of at most two inputs, or of all together. */
static void
range_by_ends(ChannelMap *m, const ChannelNode *c, bool only_constants)
{
	Channels *y = &m->of[c->n->out[0]->id];
	double *lo = ARENA_ARRAY(m->a, double, y->n), *hi = ARENA_ARRAY(m->a, double, y->n);
	unsigned all = c->n->op == OP_ADD_N || c->n->nins > 2 ? 7 : c->n->nins == 2 ? 3 : 1;
	bool *known = ARENA_ARRAY(m->a, bool, y->n), any = false;

	for (int32_t k = 0; k < y->n; k++) {
		known[k] = !only_constants || has_constant_inputs(m, c, k);
		any = any || known[k];
		lo[k] = HUGE_VAL;
		hi[k] = -HUGE_VAL;
	}
	for (unsigned ends = 0; any && ends <= (only_constants ? 0 : all); ends++) {
		if (all == 7 && ends != 0 && ends != 7)
			continue;
		if (!run_at_ends(m, c, ends, lo, hi))
			return;
	}
	for (int32_t k = 0; k < y->n; k++) {
		if (known[k] && lo[k] <= hi[k] && (!only_constants || same_bits(lo[k], hi[k]))) {
			y->lo[k] = lo[k];
			y->hi[k] = hi[k];
		}
	}
}

/* The function of all codes, then of those in each range. */
static void
range_by_codes(ChannelMap *m, const ChannelNode *c)
{
	const Node *n = c->n;
	Channels *y = &m->of[n->out[0]->id];
	Type t = type_make(n->in[0]->type.dtype, 1, (int32_t[]){CODES});
	QRange codes = quant_limits(t.dtype);
	Trial trial = begin_trial(m);
	uint8_t x[CODES];
	const void *f;
	Value *in;

	for (int i = 0; i < CODES; i++)
		x[i] = (uint8_t)(codes.lo + i);
	t.q = n->in[0]->type.q;
	in = graph_input(trial.g, NULL, t);
	make_trial(&trial, n->op, n->attr, 1, &in, &n->out[0]->type);
	f = run_trial(&trial, (void *[1]){x});
	for (int32_t k = 0; f && k < y->n; k++) {
		double from, to, lo = HUGE_VAL, hi = -HUGE_VAL;

		range_of_input(m, n->in[0], channel_source_axis(m, c, 0, y->axis),
		               channel_source(m, c, 0, k), &from, &to);
		for (int i = (int)from; i <= (int)to; i++)
			widen(&lo, &hi, num_load(n->out[0]->type.dtype, f,
			                         (size_t)(i - codes.lo)));
		y->lo[k] = lo;
		y->hi[k] = hi;
	}
	arena_free(trial.a);
}

static void
range_computed(ChannelMap *m, const ChannelNode *c)
{
	switch (following(c->n)) {
	case FOLLOWS_ALL: range_by_codes(m, c); break;
	case FOLLOWS_ENDS: range_by_ends(m, c, scales_up(c->n)); break;
	case FOLLOWS_CONSTANTS: range_by_ends(m, c, true); break;
	}
}

/* ---- All values ---- */

static void
set_limits(ChannelMap *m, const Value *v)
{
	Channels *c = &m->of[v->id];

	for (int32_t k = 0; k < c->n; k++)
		limits(&v->type, &c->lo[k], &c->hi[k]);
}

void
channels_find_ranges(ChannelMap *m)
{
	for (int i = 0; i < m->g->inputs.n; i++)
		set_limits(m, m->g->inputs.v[i]);
	for (int i = 0; i < m->nodes.n; i++) {
		const ChannelNode *c = &m->nodes.v[i];

		for (int k = 0; k < c->n->nouts; k++)
			if (c->n->out[k])
				set_limits(m, c->n->out[k]);
		if (c->use == USES_SUMS && c->sums->quantized)
			range_quantized_sums(m, c->n, c->sums);
		else if (c->use == USES_SUMS)
			range_plain_sums(m, c->n, c->sums);
		else if (c->use == USES_CHANNELS && op_info[c->n->op].traits & (MOVES | VIEW))
			range_moved(m, c);
		else if (c->use == USES_CHANNELS)
			range_computed(m, c);
	}
}
