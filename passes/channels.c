#include "passes/channels.h"

#include <string.h>

#include "ir/num.h"
#include "ir/ops/requant.h"
#include "ir/ops/window.h"

/* Beyond these numbers of channels values are not divided. */
enum { MAX_CHANNELS = 1 << 16, MAX_ALL_CHANNELS = 1 << 22 };

/* ---- Sums ---- */

int64_t
sums_weight(const Sums *s, int32_t i)
{
	if (s->w->type.dtype == DT_I8)
		return ((const int8_t *)s->w->data)[i] - s->w_zero;
	return value_int(s->w, i) - s->w_zero;
}

bool
sums_matters(const Sums *s, int32_t i)
{
	if (s->quantized)
		return sums_weight(s, i) != 0;
	return value_float(s->w, i) != 0;
}

/* The last position below `positions` at which a * o <= b, or -1; a is positive. */
static int64_t
last_below(int64_t a, int64_t b, int64_t positions)
{
	int64_t o = b < 0 ? -1 : b / a;

	return o < positions ? o : positions - 1;
}

/* Input o * stride + offset is inside for the positions after the last one that is
 * below, up to the last one that is not above. */
static Tap
classify(int64_t stride, int64_t offset, int64_t in, int64_t out)
{
	int64_t below = last_below(stride, -offset - 1, out);
	int64_t inside = last_below(stride, in - 1 - offset, out);

	if (inside <= below)
		return TAP_NEVER;
	return inside - below == out ? TAP_ALWAYS : TAP_SOMETIMES;
}

/* Tap k of a transposed convolution reaches only every stride-th output. */
static Tap
tap_along(const Axis *a, int32_t k, bool transposed)
{
	int64_t offset = (int64_t)k * a->dilation - a->begin;

	if (!transposed)
		return classify(a->stride, offset, a->in, a->out);
	return a->stride > 1 ? TAP_SOMETIMES : classify(1, -offset, a->in, a->out);
}

static unsigned char *
classify_taps(Arena *a, const Window *w, bool transposed)
{
	int32_t taps = window_taps(w);
	unsigned char *tap = ARENA_ARRAY(a, unsigned char, taps);

	for (int32_t t = 0; t < taps; t++) {
		int32_t rest = t;
		Tap worst = TAP_ALWAYS;

		for (int i = w->n; i-- > 0; rest /= w->axis[i].kernel) {
			Tap along = tap_along(&w->axis[i], rest % w->axis[i].kernel, transposed);

			worst = along < worst ? along : worst;
		}
		tap[t] = (unsigned char)worst;
	}
	return tap;
}

static bool
read_conv_window(const Node *n, Window *w)
{
	const Type *t = &n->in[1]->type;
	int first = layout_first(node_layout(n));
	int64_t kernel[MAX_RANK];

	for (int i = 0; i < t->rank - 2; i++)
		kernel[i] = t->dim[first + i];
	if (n->op == OP_CONV) {
		const Attr_CONV *a = n->attr;
		WindowAttrs attr = {a->strides, a->pads, a->dilations, false, a->layout};

		return window_read(w, n, (Ints){t->rank - 2, kernel}, &attr, NULL);
	} else {
		const Attr_CONV_TRANSPOSE *a = n->attr;
		WindowAttrs attr = {a->strides, a->pads, a->dilations, false, a->layout};

		return window_read_transposed(w, n, (Ints){t->rank - 2, kernel}, &attr,
		                              a->output_padding, NULL);
	}
}

/* A transposed convolution with the layout nchw has its weights the other way round;
 * then, and in groups, only what is simple is read. */
static bool
read_conv(Arena *a, const Node *n, Sums *s)
{
	const Type *x = &n->in[0]->type, *w = &n->in[1]->type;
	bool nhwc = node_layout(n) == LAYOUT_nhwc, transposed = n->op == OP_CONV_TRANSPOSE;
	int64_t group = transposed ? ((const Attr_CONV_TRANSPOSE *)n->attr)->group
	                           : ((const Attr_CONV *)n->attr)->group;
	bool turned = transposed && !nhwc;
	Window window;

	if ((transposed && group != 1) || (turned && w->q && w->q->n != 1) ||
	    !read_conv_window(n, &window))
		return false;
	s->x_axis = layout_channel(node_layout(n), x->rank);
	s->m_axis = turned ? 1 : 0;
	s->c_axis = turned ? 0 : s->x_axis;
	s->groups = (int32_t)group;
	s->in = x->dim[s->x_axis] / s->groups;
	s->out = w->dim[s->m_axis] / s->groups;
	s->taps = window_taps(&window);
	s->t_step = nhwc ? s->in : 1;
	s->c_step = nhwc ? 1 : s->taps * (turned ? s->out : 1);
	s->m_step = turned ? s->taps : s->taps * s->in;
	s->tap = classify_taps(a, &window, transposed);
	return true;
}

/* The last axis of `a` times a constant matrix. */
static bool
read_product(Arena *a, const Node *n, Sums *s)
{
	const Type *x = &n->in[0]->type, *w = &n->in[1]->type;
	bool turned = n->op == OP_GEMM && ((const Attr_GEMM *)n->attr)->trans_b;
	unsigned char always = TAP_ALWAYS;

	/* A product of 16-bit numbers is nothing that gemm knows. */
	if ((n->op == OP_GEMM && ((const Attr_GEMM *)n->attr)->trans_a) || w->rank != 2 ||
	    w->dtype == DT_I16)
		return false;
	s->x_axis = x->rank - 1;
	s->m_axis = turned ? 0 : 1;
	s->c_axis = turned ? 1 : 0;
	s->groups = s->taps = 1;
	s->in = w->dim[s->c_axis];
	s->out = w->dim[s->m_axis];
	s->m_step = turned ? s->in : 1;
	s->c_step = turned ? 1 : s->out;
	s->tap = arena_copy(a, &always, 1);
	return true;
}

static bool
is_vector(const Value *v, int32_t n)
{
	return type_numel(&v->type) == n && (v->type.rank == 0 || v->type.dim[v->type.rank - 1] == n);
}

/* A factor other than 1 of a product rounds or wraps by itself. */
static bool
has_factors(const Node *n)
{
	const Attr_GEMM *a = n->attr;

	return n->op == OP_GEMM && (a->alpha != 1 || a->beta != 1);
}

static Sums *
read_sums(Arena *a, const Node *n)
{
	Sums *s = ARENA_NEW(a, Sums);
	const Value *x = n->in[0], *w = n->in[1], *bias = n->nins > 2 ? n->in[2] : NULL;
	bool is_conv = n->op == OP_CONV || n->op == OP_CONV_TRANSPOSE;

	if (value_is_const(x) || !value_is_const(w) || type_numel(&n->out[0]->type) == 0 ||
	    type_numel(&x->type) == 0 || !(is_conv ? read_conv : read_product)(a, n, s))
		return NULL;
	if (bias && (!value_is_const(bias) || !is_vector(bias, s->groups * s->out)))
		return NULL;
	s->w = w;
	s->bias = bias;
	s->takes_bias = n->op != OP_MATMUL && !has_factors(n);
	s->quantized = node_is_quantized(n);
	if (s->quantized) {
		s->x_zero = quant_zero(&x->type);
		s->w_zero = w->type.q->n == 1 ? quant_zero(&w->type) : 0;
	}
	return s;
}

/* ---- Nodes that keep channels apart ---- */

/* The axis of a reduction's input that is axis b of its output. */
static int
reduced_axis(const Node *n, int b)
{
	const Attr_REDUCE_SUM *a = n->attr;
	int kept = -1;

	for (int i = 0, k = 0; i < n->in[0]->type.rank; i++) {
		bool reduced = k < a->axes.n && a->axes.v[k] == i;

		k += reduced;
		if (reduced && !a->keepdims)
			continue;
		if (++kept == b)
			return reduced ? -1 : i;
	}
	return -1;
}

int
channel_source_axis(const ChannelMap *m, const ChannelNode *c, int i, int axis)
{
	const Node *n = c->n;

	switch ((int)n->op) {
	case OP_TRANSPOSE: return (int)((const Attr_TRANSPOSE *)n->attr)->perm.v[axis];
	case OP_REDUCE_SUM:
	case OP_REDUCE_MEAN:
	case OP_REDUCE_MAX:
	case OP_REDUCE_MIN: return reduced_axis(n, axis);
	case OP_RESHAPE: return m->of[n->in[0]->id].axis;
	case OP_PAD: return i == 0 ? axis : -1;
	default: return axis - (n->out[0]->type.rank - n->in[i]->type.rank);
	}
}

/* Whether the operator, with these attributes, keeps the places along an axis of its
 * output apart. */
static bool
keeps_apart(const Node *n, int axis)
{
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type;

	switch ((int)n->op) {
	case OP_MAX_POOL:
	case OP_AVG_POOL:
	case OP_LP_POOL: return axis == layout_channel(node_layout(n), y->rank);
	case OP_RESIZE: {
		const Attr_RESIZE *a = n->attr;

		return axis > 0 && x->dim[axis] == y->dim[axis] &&
		       a->coordinates != COORD_tf_crop_and_resize && a->scales.v[axis] == 1;
	}
	case OP_PAD: {
		const Attr_PAD *a = n->attr;

		return a->pads.v[axis] == 0 && a->pads.v[x->rank + axis] == 0;
	}
	case OP_SLICE: return ((const Attr_SLICE *)n->attr)->steps.v[axis] == 1;
	default: return true;
	}
}

static bool
may_keep_apart(const Node *n)
{
	if (n->nouts != 1 || !n->out[0] || n->nins == 0 || type_numel(&n->out[0]->type) == 0)
		return false;
	for (int i = 0; i < n->nins; i++)
		if (!n->in[i] && n->op != OP_PAD)
			return false;
	for (int i = 1; i < n->nins && n->op == OP_CONCAT; i++)
		if (!type_same_quant(&n->in[i]->type, &n->in[0]->type))
			return false;
	switch ((int)n->op) {
	case OP_ADD_N:
	case OP_REQUANTIZE:
	case OP_IDENTITY:
	case OP_RESHAPE:
	case OP_TRANSPOSE:
	case OP_SLICE:
	case OP_CONCAT:
	case OP_PAD:
	case OP_RESIZE:
	case OP_MAX_POOL:
	case OP_AVG_POOL:
	case OP_LP_POOL:
	case OP_REDUCE_SUM:
	case OP_REDUCE_MEAN:
	case OP_REDUCE_MAX:
	case OP_REDUCE_MIN: return true;
	default: return op_info[n->op].kind == OP_ELEMENTWISE;
	}
}

/* The axis of a reshaped value in which the places along `axis` of the input lie, each
 * `inner` times in a row; -1 when they are torn apart. */
static int
reshaped_axis(const Node *n, int axis, int32_t *inner)
{
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type;
	int32_t before = type_product(x, 0, axis), after = type_product(x, axis + 1, x->rank);

	for (int b = 0; b < y->rank; b++) {
		int32_t y_before = type_product(y, 0, b), y_after = type_product(y, b + 1, y->rank);

		if (before % y_before == 0 && after % y_after == 0 &&
		    (int64_t)y->dim[b] == (int64_t)(before / y_before) * x->dim[axis] *
		                                  (after / y_after)) {
			*inner = after / y_after;
			return b;
		}
	}
	return -1;
}

/* The axis of the output along which input i is divided, or -1. */
static int
axis_after(const ChannelMap *m, ChannelNode *c, int i)
{
	const Node *n = c->n;
	int axis = n->in[i] ? m->of[n->in[i]->id].axis : -1;

	if (axis < 0)
		return -1;
	if (n->op == OP_RESHAPE)
		return reshaped_axis(n, axis, &c->inner);
	for (int b = 0; b < n->out[0]->type.rank; b++)
		if (channel_source_axis(m, c, i, b) == axis)
			return keeps_apart(n, b) ? b : -1;
	return -1;
}

/* Values that are broadcast along the axis do not decide about it. */
static int
axis_of_output(const ChannelMap *m, ChannelNode *c)
{
	const Node *n = c->n;

	for (int i = 0; i < n->nins; i++) {
		int axis = axis_after(m, c, i);
		const Type *y = &n->out[0]->type;

		if (axis >= 0 && (m->of[n->in[i]->id].n == y->dim[axis] || n->op == OP_SLICE ||
		                  n->op == OP_RESHAPE || n->op == OP_CONCAT))
			return axis;
	}
	return -1;
}

/* Where concatenated inputs before i end along the axis. */
static int32_t
concat_offset(const Node *n, int i, int axis)
{
	int32_t offset = 0;

	for (int k = 0; k < i; k++)
		offset += n->in[k]->type.dim[axis];
	return offset;
}

int32_t
channel_source(const ChannelMap *m, const ChannelNode *c, int i, int32_t k)
{
	const Node *n = c->n;
	int axis = m->of[n->out[0]->id].axis, from = channel_source_axis(m, c, i, axis);
	int32_t length = from < 0 ? 1 : n->in[i]->type.dim[from];

	if (from < 0)
		return -1;
	if (n->op == OP_RESHAPE)
		return k / c->inner % length;
	if (n->op == OP_SLICE)
		return k + (int32_t)((const Attr_SLICE *)n->attr)->starts.v[axis];
	if (n->op == OP_CONCAT && ((const Attr_CONCAT *)n->attr)->axis == axis) {
		k -= concat_offset(n, i, axis);
		return k >= 0 && k < length ? k : -1;
	}
	return length == m->of[n->out[0]->id].n ? k : -1;
}

/* ---- All values ---- */

static void
divide(ChannelMap *m, const Value *v, int axis)
{
	Channels *c = &m->of[v->id];

	*c = (Channels){.axis = axis, .n = axis < 0 ? 1 : v->type.dim[axis], .first = m->total};
	if (c->n > MAX_CHANNELS || c->n > MAX_ALL_CHANNELS - m->total ||
	    (v->type.q && v->type.q->n != 1)) {
		c->axis = -1;
		c->n = 1;
	}
	c->lo = ARENA_ARRAY(m->a, double, c->n);
	c->hi = ARENA_ARRAY(m->a, double, c->n);
	m->total += c->n;
}

static bool
is_sum(const Node *n)
{
	return n->op == OP_CONV || n->op == OP_CONV_TRANSPOSE || n->op == OP_GEMM ||
	       n->op == OP_MATMUL;
}

static void
divide_outputs(ChannelMap *m, Node *n)
{
	ChannelNode c = {.n = n};
	int axis = -1;

	if (is_sum(n) && n->out[0] && (c.sums = read_sums(m->a, n))) {
		c.use = USES_SUMS;
		axis = n->op == OP_MATMUL || n->op == OP_GEMM ? n->out[0]->type.rank - 1
		                                              : c.sums->x_axis;
	} else if (may_keep_apart(n) && (axis = axis_of_output(m, &c)) >= 0) {
		c.use = USES_CHANNELS;
	}
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i])
			divide(m, n->out[i], axis);
	if (axis >= 0 && m->of[n->out[0]->id].axis < 0)
		c.use = USES_WHOLE;
	VEC_PUSH(m->a, &m->nodes, c);
}

ChannelMap
channels_of(Graph *g, Arena *a)
{
	ChannelMap m = {.g = g, .a = a, .of = ARENA_ARRAY(a, Channels, g->values.n)};

	for (int i = 0; i < g->values.n; i++)
		m.of[i].axis = -1;
	for (int i = 0; i < g->inputs.n; i++)
		divide(&m, g->inputs.v[i], -1);
	for (Node *n = g->first; n; n = n->next)
		divide_outputs(&m, n);
	return m;
}
