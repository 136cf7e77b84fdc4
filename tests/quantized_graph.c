#include "tests/quantized_graph.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "ir/num.h"
#include "ir/ops/requant.h"

enum { STEPS = 8 };

/* A graph in the making. */
typedef struct {
	Arena *a;
	Graph *g;
	Diag diag;
	uint32_t seed;
	DType t;
	TensorLayout layout;
	VEC(Value *) made; /* of rank 4 */
} Maker;

static int
draw(Maker *m, int n)
{
	m->seed = m->seed * 1664525u + 1013904223u;
	return (int)((m->seed >> 8) % (uint32_t)n);
}

/* True once in n times. */
static bool
once_in(Maker *m, int n)
{
	return draw(m, n) == 0;
}

static bool
is_real(const Maker *m)
{
	return m->t == DT_F32;
}

static int
channel_axis(const Maker *m)
{
	return m->layout == LAYOUT_nhwc ? 3 : 1;
}

static int32_t
channels(const Maker *m, const Value *v)
{
	return v->type.dim[channel_axis(m)];
}

/* 16-bit numbers are symmetric in any case. */
static const Quant *
make_quant(Maker *m, int32_t n, int axis, double scale, bool symmetric)
{
	Quant *q = ARENA_NEW(m->a, Quant);
	float *s = ARENA_ARRAY(m->a, float, n);
	int32_t *z = ARENA_ARRAY(m->a, int32_t, n);
	QRange r = quant_limits(m->t);

	for (int32_t i = 0; i < n; i++) {
		s[i] = (float)(scale * (1 + draw(m, 100) / 50.0));
		if (!symmetric && m->t != DT_I16)
			z[i] = once_in(m, 2) ? r.lo : r.lo + draw(m, 256);
	}
	*q = (Quant){n == 1 ? 0 : axis, n, s, z};
	return q;
}

static const Quant *
make_activation_quant(Maker *m)
{
	return is_real(m) ? NULL : make_quant(m, 1, 0, 0.02, false);
}

/* A node whose output gets a quantisation; NULL when it is refused. */
static Value *
finish(Maker *m, Node *n, const Quant *q)
{
	Diag d;
	bool fits;

	n->out[0]->type.dtype = m->t;
	n->out[0]->type.q = q;
	diag_init(&d, m->a);
	fits = node_infer(n, &d);
	if (!fits)
		graph_remove(m->g, n);
	else if (n->out[0]->type.rank == 4)
		VEC_PUSH(m->a, &m->made, n->out[0]);
	return fits ? n->out[0] : NULL;
}

static Ints
make_ints(Maker *m, int n, int64_t a, int64_t b, int64_t c, int64_t d)
{
	int64_t v[4] = {a, b, c, d};

	return (Ints){n, arena_copy(m->a, v, sizeof v)};
}

static void
put(DType t, void *data, int32_t i, double x)
{
	if (dtype_is_float(t))
		num_store(t, data, (size_t)i, x);
	else
		num_store_int(t, data, (size_t)i, (int64_t)x);
}

/* Weights [outputs, ..] with `inputs` as the axis c_axis; some are 0 altogether. */
static Value *
make_weights(Maker *m, Type t, int c_axis, int m_axis)
{
	int32_t inner = type_product(&t, c_axis + 1, t.rank), count = type_numel(&t);
	int32_t m_inner = type_product(&t, m_axis + 1, t.rank);
	bool dead_in[64], dead_out[64];
	void *data = arena_alloc(m->a, type_bytes(&t));
	int32_t zero = t.q && t.q->n == 1 ? t.q->zero[0] : 0;

	for (int i = 0; i < 64; i++) {
		dead_in[i] = once_in(m, 5);
		dead_out[i] = once_in(m, 5);
	}
	for (int32_t i = 0; i < count; i++) {
		int32_t c = i / inner % t.dim[c_axis], k = i / m_inner % t.dim[m_axis];
		double x = t.dtype == DT_U8 ? draw(m, 256) : draw(m, 255) - 127;

		if (is_real(m))
			x /= 200;
		put(t.dtype, data, i, dead_in[c % 64] || dead_out[k % 64] ? zero : x);
	}
	return graph_const(m->g, NULL, t, data);
}

/* Now and then so large that an activation saturates, or a sum wraps around. */
static Value *
make_bias(Maker *m, int32_t n)
{
	DType t = is_real(m) ? DT_F32 : m->t == DT_I16 && once_in(m, 2) ? DT_I64 : DT_I32;
	Type type = type_make(t, 1, &n);
	void *data = arena_alloc(m->a, type_bytes(&type));

	for (int32_t i = 0; i < n; i++) {
		double x = draw(m, 4000) - 2000;

		if (once_in(m, 3))
			x *= 1000;
		if (once_in(m, 60) && !is_real(m))
			x = once_in(m, 2) ? INT32_MAX - 5 : INT32_MIN + 5;
		if (once_in(m, 10) && is_real(m))
			x = -0.0;
		put(t, data, i, is_real(m) ? x / 1000 : x);
	}
	return graph_const(m->g, NULL, type, data);
}

static DType
weight_dtype(const Maker *m)
{
	return m->t == DT_I16 ? DT_I8 : m->t;
}

/* The quantisation of weights: often by channel. */
static const Quant *
make_weight_quant(Maker *m, int32_t n, int axis)
{
	double scale = once_in(m, 12) ? 2 : once_in(m, 2) ? 0.0005 : 0.01;
	bool single = n == 1 || once_in(m, 3);

	if (is_real(m))
		return NULL;
	return make_quant(m, single ? 1 : n, axis, scale, m->t != DT_U8 && !once_in(m, 4));
}

static Activation
make_activation(Maker *m)
{
	return once_in(m, 3) ? ACTIVATION_none : once_in(m, 2) ? ACTIVATION_relu
	                                                        : ACTIVATION_relu6;
}

static Value *
pick(Maker *m)
{
	int n = m->made.n, recent = n < 3 ? n : 3;

	return m->made.v[once_in(m, 4) ? draw(m, n) : n - 1 - draw(m, recent)];
}

/* An output with a name of its own. */
static void
give(Maker *m, const char *name, Value *v)
{
	graph_output(m->g, arena_printf(m->a, "%s%d", name, m->g->outputs.n), v);
}

/* Padding, or none. */
static Ints
make_pads(Maker *m)
{
	if (once_in(m, 2))
		return make_ints(m, 4, 0, 0, 0, 0);
	return make_ints(m, 4, draw(m, 2), draw(m, 3), draw(m, 2), draw(m, 2));
}

/* groups 0: as many as channels. */
static void
add_conv(Maker *m, int32_t groups, int32_t outputs)
{
	Value *x = pick(m), *in[3] = {x, NULL, NULL};
	int c = channel_axis(m), first = m->layout == LAYOUT_nhwc ? 1 : 2;
	Type t = type_make(weight_dtype(m), 4, (int32_t[]){0, 0, 0, 0});
	Attr_CONV *a;
	Node *n;

	groups = groups ? groups : channels(m, x);
	if (channels(m, x) % groups != 0)
		groups = 1;
	t.dim[0] = groups * outputs;
	t.dim[c] = channels(m, x) / groups;
	t.dim[first] = 1 + draw(m, 3);
	t.dim[first + 1] = 1 + draw(m, 2);
	t.q = make_weight_quant(m, t.dim[0], 0);
	in[1] = make_weights(m, t, c, 0);
	in[2] = make_bias(m, t.dim[0]);
	n = graph_insert(m->g, NULL, OP_CONV, once_in(m, 6) ? 2 : 3, in, 1, NULL);
	a = n->attr;
	a->layout = m->layout;
	a->group = groups;
	a->activation = make_activation(m);
	a->pads = make_pads(m);
	a->strides = make_ints(m, 2, 1 + draw(m, 2), 1, 0, 0);
	a->dilations = make_ints(m, 2, 1 + once_in(m, 4), 1, 0, 0);
	finish(m, n, make_activation_quant(m));
}

static void
add_conv_transpose(Maker *m)
{
	Value *x = pick(m), *in[3] = {x, NULL, NULL};
	bool nhwc = m->layout == LAYOUT_nhwc;
	int32_t outputs = 1 + draw(m, 5);
	Type t = type_make(weight_dtype(m), 4, (int32_t[]){outputs, 1 + draw(m, 2), 2, 0});
	Attr_CONV_TRANSPOSE *a;
	Node *n;

	if (type_numel(&x->type) >= 400)
		return;
	t.dim[3] = channels(m, x);
	if (!nhwc)
		t = type_make(t.dtype, 4, (int32_t[]){channels(m, x), outputs, 2, 1});
	t.q = is_real(m) ? NULL : make_quant(m, nhwc && m->t != DT_U8 ? outputs : 1, 0, 0.001,
	                                     m->t != DT_U8);
	in[1] = make_weights(m, t, nhwc ? 3 : 0, nhwc ? 0 : 1);
	in[2] = make_bias(m, outputs);
	n = graph_insert(m->g, NULL, OP_CONV_TRANSPOSE, 3, in, 1, NULL);
	a = n->attr;
	a->layout = m->layout;
	a->activation = make_activation(m);
	a->strides = make_ints(m, 2, 1 + draw(m, 2), 1, 0, 0);
	finish(m, n, make_activation_quant(m));
}

static void
add_pool(Maker *m, Op op)
{
	Value *x = pick(m);
	Node *n = graph_insert(m->g, NULL, op, 1, &x, 1, NULL);
	Ints kernel = make_ints(m, 2, 1 + draw(m, 2), 2, 0, 0);
	Ints pads = once_in(m, 2) ? make_ints(m, 4, 0, 1, 0, 0) : make_ints(m, 4, 0, 0, 0, 0);

	if (op == OP_MAX_POOL)
		*(Attr_MAX_POOL *)n->attr = (Attr_MAX_POOL){
			.kernel = kernel, .pads = pads, .layout = m->layout,
			.activation = make_activation(m)};
	else
		*(Attr_AVG_POOL *)n->attr = (Attr_AVG_POOL){
			.kernel = kernel, .pads = pads, .layout = m->layout,
			.count_include_pad = once_in(m, 2), .activation = make_activation(m)};
	finish(m, n, x->type.q);
}

/* Another value of the same shape, or a constant by channel. */
static Value *
make_partner(Maker *m, const Value *x)
{
	int32_t n = channels(m, x);
	Type t = type_make(m->t, 1, &n);
	void *data;

	for (int i = m->made.n; i-- > 0;)
		if (m->made.v[i] != x && type_same_shape(&m->made.v[i]->type, &x->type) &&
		    once_in(m, 2))
			return m->made.v[i];
	if (m->layout == LAYOUT_nchw)
		t = type_make(m->t, 3, (int32_t[]){n, 1, 1});
	t.q = make_activation_quant(m);
	data = arena_alloc(m->a, type_bytes(&t));
	for (int32_t i = 0; i < n; i++)
		put(m->t, data, i, m->t == DT_U8 ? draw(m, 256) : draw(m, 100) - 50);
	return graph_const(m->g, NULL, t, data);
}

static void
add_binary(Maker *m)
{
	static const Op ops[] = {OP_ADD, OP_ADD, OP_ADD, OP_SUB, OP_MUL, OP_MUL,
	                         OP_SQUARED_DIFFERENCE, OP_ADD_N, OP_MAX};
	Op op = ops[draw(m, sizeof ops / sizeof *ops)];
	Value *x = pick(m), *in[2] = {x, make_partner(m, x)};

	if (op == OP_ADD_N && !type_same_shape(&in[0]->type, &in[1]->type))
		op = OP_ADD;
	if (op == OP_SQUARED_DIFFERENCE && is_real(m))
		op = OP_SUB;
	if (once_in(m, 2) && op != OP_SUB) {
		in[0] = in[1];
		in[1] = x;
	}
	finish(m, graph_insert(m->g, NULL, op, 2, in, 1, NULL),
	       op == OP_MAX ? x->type.q : make_activation_quant(m));
}

static void
add_unary(Maker *m)
{
	static const Op ops[] = {OP_RELU, OP_CLAMP, OP_SIGMOID, OP_LEAKY_RELU, OP_REQUANTIZE,
	                         OP_ABS, OP_HARD_SWISH, OP_NEG};
	Op op = ops[draw(m, sizeof ops / sizeof *ops)];
	Value *x = pick(m);
	Node *n = graph_insert(m->g, NULL, op, 1, &x, 1, NULL);

	if (op == OP_CLAMP)
		*(Attr_CLAMP *)n->attr = (Attr_CLAMP){.lo = 0, .hi = 0.25};
	finish(m, n, op == OP_CLAMP ? x->type.q : make_activation_quant(m));
}

/* Along the channels, of values that differ there only. */
static void
add_concat(Maker *m)
{
	Value *in[3] = {pick(m), pick(m), NULL};
	int axis = channel_axis(m), count = 2;
	Type t = in[0]->type;
	Node *n;

	for (int i = 0; i < 4; i++)
		if (i != axis && in[1]->type.dim[i] != t.dim[i])
			in[1] = in[0];
	if (!type_same_quant(&in[0]->type, &in[1]->type))
		in[1] = finish(m, graph_insert(m->g, NULL, OP_REQUANTIZE, 1, &in[1], 1, NULL), t.q);
	if (once_in(m, 2)) {
		void *data;

		t.dim[axis] = 2;
		data = arena_alloc(m->a, type_bytes(&t));
		in[count++] = graph_const(m->g, NULL, t, data);
	}
	if (once_in(m, 2)) {
		Value *first = in[0];

		in[0] = in[count - 1];
		in[count - 1] = first;
	}
	n = graph_insert(m->g, NULL, OP_CONCAT, count, in, 1, NULL);
	((Attr_CONCAT *)n->attr)->axis = axis;
	finish(m, n, in[0]->type.q);
}

static void
add_slice(Maker *m)
{
	Value *x = pick(m);
	int axis = once_in(m, 4) ? 0 : channel_axis(m);
	int32_t length = x->type.dim[axis], start = draw(m, length);
	int64_t starts[4] = {0}, sizes[4], steps[4] = {1, 1, 1, 1};
	Node *n = graph_insert(m->g, NULL, OP_SLICE, 1, &x, 1, NULL);
	Attr_SLICE *a = n->attr;

	for (int i = 0; i < 4; i++)
		sizes[i] = x->type.dim[i];
	starts[axis] = start;
	sizes[axis] = 1 + draw(m, length - start);
	if (once_in(m, 6) && start + 1 == length && length > 1) {
		steps[axis] = -2;
		sizes[axis] = (length + 1) / 2;
	}
	a->starts = (Ints){4, arena_copy(m->a, starts, sizeof starts)};
	a->sizes = (Ints){4, arena_copy(m->a, sizes, sizeof sizes)};
	a->steps = (Ints){4, arena_copy(m->a, steps, sizeof steps)};
	finish(m, n, x->type.q);
}

static void
add_pad(Maker *m)
{
	Value *in[2] = {pick(m), NULL};
	Type t = type_scalar(m->t);
	void *data = arena_alloc(m->a, 8);
	int64_t pads[8] = {0};
	Node *n;

	pads[m->layout == LAYOUT_nhwc ? 1 : 2] = draw(m, 2);
	pads[m->layout == LAYOUT_nhwc ? 6 : 7] = 1;
	pads[4 + channel_axis(m)] = once_in(m, 5);
	t.q = in[0]->type.q;
	put(m->t, data, 0, once_in(m, 2) ? 3 : quant_zero(&t));
	in[1] = once_in(m, 3) ? NULL : graph_const(m->g, NULL, t, data);
	n = graph_insert(m->g, NULL, OP_PAD, 2, in, 1, NULL);
	((Attr_PAD *)n->attr)->pads = (Ints){8, arena_copy(m->a, pads, sizeof pads)};
	finish(m, n, in[0]->type.q);
}

/* Merges the spatial axes, or turns them; or the same values at twice the size. */
static void
add_move(Maker *m)
{
	Value *x = pick(m);
	const int32_t *d = x->type.dim;
	bool nhwc = m->layout == LAYOUT_nhwc;
	Op op = once_in(m, 3) ? OP_RESHAPE : once_in(m, 2) ? OP_TRANSPOSE : OP_RESIZE;
	Node *n = graph_insert(m->g, NULL, op, 1, &x, 1, NULL);

	if (op == OP_RESHAPE) {
		((Attr_RESHAPE *)n->attr)->shape =
			nhwc ? make_ints(m, 4, d[0], 1, d[1] * d[2], d[3])
			     : make_ints(m, 4, d[0], d[1], d[2] * d[3], 1);
	} else if (op == OP_TRANSPOSE) {
		((Attr_TRANSPOSE *)n->attr)->perm =
			nhwc ? make_ints(m, 4, 0, 2, 1, 3) : make_ints(m, 4, 0, 1, 3, 2);
	} else {
		Attr_RESIZE *a = n->attr;
		double scales[4] = {1, nhwc ? 2 : 1, nhwc ? 1 : 2, 1};

		a->shape = make_ints(m, 4, d[0], d[1] * (nhwc ? 2 : 1), d[2] * (nhwc ? 1 : 2), d[3]);
		a->scales = (Floats){4, arena_copy(m->a, scales, sizeof scales)};
		a->coordinates = COORD_asymmetric;
	}
	finish(m, n, x->type.q);
}

/* Averages or flattens, then multiplies by a matrix. */
static void
add_head(Maker *m)
{
	Value *x = pick(m), *in[3];
	int32_t features, outputs = 1 + draw(m, 5);
	bool turned = once_in(m, 2);
	Type t = type_make(weight_dtype(m), 2, (int32_t[]){0, 0});
	Node *n;

	if (once_in(m, 2)) {
		n = graph_insert(m->g, NULL, OP_REDUCE_MEAN, 1, &x, 1, NULL);
		((Attr_REDUCE_MEAN *)n->attr)->axes = m->layout == LAYOUT_nhwc
			? make_ints(m, 2, 1, 2, 0, 0) : make_ints(m, 2, 2, 3, 0, 0);
		((Attr_REDUCE_MEAN *)n->attr)->keepdims = once_in(m, 2);
		x = finish(m, n, make_activation_quant(m));
		assert(x);
	}
	features = type_product(&x->type, 1, x->type.rank);
	n = graph_insert(m->g, NULL, OP_RESHAPE, 1, &x, 1, NULL);
	((Attr_RESHAPE *)n->attr)->shape = make_ints(m, 2, x->type.dim[0], features, 0, 0);
	in[0] = finish(m, n, x->type.q);
	t.dim[0] = turned ? outputs : features;
	t.dim[1] = turned ? features : outputs;
	t.q = make_weight_quant(m, outputs, turned ? 0 : 1);
	in[1] = make_weights(m, t, turned ? 1 : 0, turned ? 0 : 1);
	in[2] = make_bias(m, outputs);
	n = graph_insert(m->g, NULL, OP_GEMM, once_in(m, 4) ? 2 : 3, in, 1, NULL);
	((Attr_GEMM *)n->attr)->trans_b = turned;
	((Attr_GEMM *)n->attr)->activation = make_activation(m);
	x = finish(m, n, make_activation_quant(m));
	assert(x);
	give(m, "y", x);
}

/* ---- Operators that see channels as they see anything else ---- */

/* One scale; the zero point as far from the least number. */
static const Quant *
fixed_quant(Maker *m, double scale, int32_t above_least)
{
	Quant *q = ARENA_NEW(m->a, Quant);
	float s = (float)scale;
	int32_t z = m->t == DT_I16 ? 0 : quant_limits(m->t).lo + above_least;

	*q = (Quant){0, 1, arena_copy(m->a, &s, sizeof s), arena_copy(m->a, &z, sizeof z)};
	return q;
}

/* What these operators give. */
static const Quant *
usual_quant(Maker *m, Op op)
{
	bool wide = m->t == DT_I16;

	switch ((int)op) {
	case OP_SIGMOID:
	case OP_SOFTMAX: return fixed_quant(m, wide ? 0x1p-15 : 0x1p-8, 0);
	case OP_TANH:
	case OP_LP_NORM: return fixed_quant(m, wide ? 0x1p-15 : 0x1p-7, 128);
	case OP_LOG_SOFTMAX: return fixed_quant(m, 0x1p-4, 255);
	}
	return make_activation_quant(m);
}

/* A function of every number, or along the last axis. */
static void
add_function(Maker *m)
{
	static const Op ops[] = {
		OP_SIGMOID, OP_TANH, OP_RSQRT, OP_ELU, OP_SELU, OP_CELU, OP_EXP, OP_LOG, OP_SQRT,
		OP_RECIPROCAL, OP_SIN, OP_COS, OP_TAN, OP_ASIN, OP_ACOS, OP_ATAN, OP_SINH, OP_COSH,
		OP_ASINH, OP_ACOSH, OP_ATANH, OP_ERF, OP_GELU, OP_MISH, OP_SOFTPLUS, OP_SOFTSIGN,
		OP_HARD_SIGMOID, OP_THRESHOLDED_RELU, OP_FLOOR, OP_CEIL, OP_ROUND, OP_CUM_SUM,
		OP_LP_NORM, OP_SOFTMAX, OP_LOG_SOFTMAX};
	Op op = ops[draw(m, sizeof ops / sizeof *ops)];
	Value *x = pick(m);
	Node *n = graph_insert(m->g, NULL, op, 1, &x, 1, NULL);

	if (op == OP_CUM_SUM)
		*(Attr_CUM_SUM *)n->attr = (Attr_CUM_SUM){3, once_in(m, 2), once_in(m, 2), 0};
	if (op == OP_LP_NORM)
		*(Attr_LP_NORM *)n->attr = (Attr_LP_NORM){.axis = 3, .p = 2};
	if (op == OP_SOFTMAX)
		((Attr_SOFTMAX *)n->attr)->axis = 3;
	if (op == OP_LOG_SOFTMAX)
		((Attr_LOG_SOFTMAX *)n->attr)->axis = 3;
	finish(m, n, usual_quant(m, op));
}

static void
add_comparison(Maker *m)
{
	static const Op ops[] = {OP_EQUAL, OP_LESS, OP_LESS_EQUAL, OP_GREATER, OP_GREATER_EQUAL};
	Value *x = pick(m), *y = make_partner(m, x), *in[3] = {x, y, NULL};
	Node *n = graph_insert(m->g, NULL, ops[draw(m, 5)], 2, in, 1, NULL);
	Diag d;

	diag_init(&d, m->a);
	if (!node_infer(n, &d) || n->out[0]->type.rank != 4) {
		graph_remove(m->g, n);
		return;
	}
	if (once_in(m, 4)) {
		give(m, "less", n->out[0]);
		return;
	}
	in[0] = n->out[0];
	in[1] = in[2] = x;
	if (type_same_quant(&y->type, &x->type))
		in[2] = y;
	n = graph_insert(m->g, NULL, OP_WHERE, 3, in, 1, NULL);
	finish(m, n, x->type.q);
}

static void
add_rare_binary(Maker *m)
{
	static const Op ops[] = {OP_DIV, OP_MIN, OP_PRELU};
	Op op = ops[draw(m, 3)];
	Value *x = pick(m), *in[2] = {x, make_partner(m, x)};
	const Quant *q = op == OP_MIN ? x->type.q : make_activation_quant(m);

	if (op == OP_MIN && !type_same_quant(&in[1]->type, &x->type))
		in[1] = x;
	finish(m, graph_insert(m->g, NULL, op, 2, in, 1, NULL), q);
}

/* Along one axis, which stays. */
static void
add_reduction(Maker *m)
{
	static const Op ops[] = {OP_REDUCE_SUM, OP_REDUCE_MAX, OP_REDUCE_MIN, OP_REDUCE_MEAN};
	Op op = ops[draw(m, 4)];
	Value *x = pick(m);
	Node *n = graph_insert(m->g, NULL, op, 1, &x, 1, NULL);
	bool same = op == OP_REDUCE_MAX || op == OP_REDUCE_MIN;

	/* They have the same attributes. */
	*(Attr_REDUCE_SUM *)n->attr =
		(Attr_REDUCE_SUM){make_ints(m, 1, 1 + draw(m, 3), 0, 0, 0), true, 0};
	finish(m, n, same ? x->type.q : make_activation_quant(m));
}

/* Outputs that are indices, or the greatest numbers. */
static void
add_search(Maker *m)
{
	static const Op ops[] = {OP_ARG_MAX, OP_ARG_MIN, OP_TOP_K};
	Op op = ops[draw(m, 3)];
	Value *x = pick(m);
	Node *n = graph_insert(m->g, NULL, op, 1, &x, 1, NULL);
	Diag d;

	if (op == OP_TOP_K) {
		*(Attr_TOP_K *)n->attr = (Attr_TOP_K){1 + draw(m, x->type.dim[3]), 3,
		                                      once_in(m, 2), 0};
		finish(m, n, x->type.q);
		return;
	}
	*(Attr_ARG_MAX *)n->attr = (Attr_ARG_MAX){draw(m, 4), once_in(m, 2), once_in(m, 2), 0};
	diag_init(&d, m->a);
	if (node_infer(n, &d))
		give(m, "at", n->out[0]);
	else
		graph_remove(m->g, n);
}

static void
add_matmul(Maker *m)
{
	Value *in[2] = {pick(m), NULL};
	int32_t rows = in[0]->type.dim[3], outputs = 1 + draw(m, 4);
	Type t = type_make(m->t, 2, (int32_t[]){rows, outputs});

	t.q = is_real(m) ? NULL : make_quant(m, 1, 0, 0.01, false);
	in[1] = make_weights(m, t, 0, 1);
	finish(m, graph_insert(m->g, NULL, OP_MATMUL, 2, in, 1, NULL), make_activation_quant(m));
}

static void
add_interpolation(Maker *m)
{
	Value *x = pick(m);
	const int32_t *d = x->type.dim;
	bool nhwc = m->layout == LAYOUT_nhwc;
	double scales[4] = {1, nhwc ? 2 : 1, 1, nhwc ? 1 : 2};
	Node *n = graph_insert(m->g, NULL, OP_RESIZE, 1, &x, 1, NULL);
	Attr_RESIZE *a = n->attr;

	a->mode = INTERP_linear;
	a->shape = make_ints(m, 4, d[0], d[1] * (nhwc ? 2 : 1), d[2], d[3] * (nhwc ? 1 : 2));
	a->scales = (Floats){4, arena_copy(m->a, scales, sizeof scales)};
	a->coordinates = once_in(m, 2) ? COORD_asymmetric : COORD_half_pixel;
	finish(m, n, x->type.q);
}

/* A constant of random numbers. */
static Value *
make_const(Maker *m, DType t, int rank, int32_t a, int32_t b, const Quant *q)
{
	Type type = type_make(t, rank, (int32_t[]){a, b});
	void *data = arena_alloc(m->a, type_bytes(&type));

	for (int32_t i = 0; i < type_numel(&type); i++)
		put(t, data, i, is_real(m) ? draw(m, 100) / 50.0 - 1 : draw(m, 200) - 100);
	type.q = is_real(m) ? NULL : q;
	return graph_const(m->g, NULL, type, data);
}

/* Layers with a state, which is a constant here. */
static void
add_recurrent(Maker *m)
{
	enum { FILTERS = 4, UNITS = 3 };
	bool svdf = once_in(m, 2);
	Value *x = pick(m), *in[15];
	int32_t features = type_numel(&x->type);
	Node *n;
	const Quant *weights = fixed_quant(m, 0.003, 128), *state = make_activation_quant(m);
	DType bias = is_real(m) ? DT_F32 : DT_I32;

	if (m->t == DT_U8 || features > 200)
		return;
	n = graph_insert(m->g, NULL, OP_RESHAPE, 1, &x, 1, NULL);
	((Attr_RESHAPE *)n->attr)->shape = svdf ? make_ints(m, 2, 1, features, 0, 0)
	                                        : make_ints(m, 3, 1, 1, features, 0);
	in[0] = finish(m, n, x->type.q);
	if (svdf) {
		in[1] = make_const(m, m->t, 2, FILTERS, features, weights);
		in[2] = make_const(m, m->t, 2, FILTERS, 3, weights);
		in[3] = make_const(m, bias, 1, FILTERS / 2, 0, NULL);
		in[4] = make_const(m, m->t, 2, 1, FILTERS * 3, state);
		n = graph_insert(m->g, NULL, OP_SVDF, 5, in, 2, NULL);
		((Attr_SVDF *)n->attr)->rank = 2;
		n->out[1]->type = in[4]->type;
		finish(m, n, make_activation_quant(m));
		return;
	}
	for (int i = 1; i < 13; i++)
		in[i] = i > 8 ? make_const(m, bias, 1, UNITS, 0, NULL)
		              : make_const(m, weight_dtype(m), 2, UNITS, i > 4 ? UNITS : features,
		                           fixed_quant(m, 0.003, 128));
	in[13] = make_const(m, m->t, 2, 1, UNITS, fixed_quant(m, 0x1p-7, 128));
	m->t = m->t == DT_I8 ? DT_I16 : m->t;
	in[14] = make_const(m, m->t, 2, 1, UNITS, fixed_quant(m, 0x1p-11, 0));
	m->t = in[0]->type.dtype;
	n = graph_insert(m->g, NULL, OP_SEQUENCE_LSTM, 15, in, 3, NULL);
	n->out[1]->type = in[13]->type;
	n->out[2]->type = in[14]->type;
	if ((x = finish(m, n, in[13]->type.q)))
		give(m, "hidden", x);
}

static void
add_rare(Maker *m)
{
	switch (draw(m, 10)) {
	case 0:
	case 1:
	case 2: add_function(m); break;
	case 3: add_comparison(m); break;
	case 4: add_rare_binary(m); break;
	case 5: add_reduction(m); break;
	case 6: add_search(m); break;
	case 7: add_matmul(m); break;
	case 8: add_interpolation(m); break;
	default: add_recurrent(m); break;
	}
}

static void
add_step(Maker *m)
{
	switch (draw(m, 20)) {
	case 0:
	case 1:
	case 2:
	case 3: add_conv(m, 1, 1 + draw(m, 6)); break;
	case 4:
	case 5: add_conv(m, 0, 1 + once_in(m, 4)); break;
	case 6: add_conv(m, 2, 1 + draw(m, 3)); break;
	case 7: add_conv_transpose(m); break;
	case 8: add_pool(m, once_in(m, 2) ? OP_MAX_POOL : OP_AVG_POOL); break;
	case 9:
	case 10: add_binary(m); break;
	case 11: add_unary(m); break;
	case 12: add_concat(m); break;
	case 13: add_slice(m); break;
	case 14: add_pad(m); break;
	case 15: add_move(m); break;
	default: add_rare(m); break;
	}
}

Graph *
quantized_graph(Arena *a, int number)
{
	static const DType types[] = {DT_I8, DT_I8, DT_U8, DT_I16, DT_F32};
	Maker m = {.a = a, .g = graph_new(a, "g"), .seed = (uint32_t)number};
	int32_t c = 1 + number % 4;
	Type t;

	m.t = types[draw(&m, 5)];
	m.layout = once_in(&m, 3) ? LAYOUT_nchw : LAYOUT_nhwc;
	m.g->single_rounding = once_in(&m, 4);
	t = m.layout == LAYOUT_nhwc ? type_make(m.t, 4, (int32_t[]){1, 5, 4, c})
	                            : type_make(m.t, 4, (int32_t[]){1, c, 5, 4});
	t.q = make_activation_quant(&m);
	VEC_PUSH(a, &m.made, graph_input(m.g, NULL, t));
	add_conv(&m, 1, 4);
	for (int i = 0; i < STEPS; i++)
		add_step(&m);
	if (once_in(&m, 3))
		give(&m, "z", pick(&m));
	add_head(&m);
	return m.g;
}

void *
quantized_input(Arena *a, const Type *t, int kind, uint32_t *seed)
{
	void *data = arena_alloc(a, type_bytes(t));
	QRange r = dtype_is_float(t->dtype) ? (QRange){-100, 100} : quant_limits(t->dtype);

	for (int32_t i = 0; i < type_numel(t); i++) {
		int32_t x;

		*seed = *seed * 1664525u + 1013904223u;
		x = r.lo + (int32_t)((*seed >> 8) % (uint32_t)(r.hi - r.lo + 1));
		if (kind == 1 || kind == 3)
			x = kind == 3 && i % 2 ? r.hi : r.lo;
		if (kind == 2 || kind == 4)
			x = kind == 4 ? quant_zero(t) : r.hi;
		put(t->dtype, data, i, dtype_is_float(t->dtype) ? x / 16.0 : x);
	}
	return data;
}
