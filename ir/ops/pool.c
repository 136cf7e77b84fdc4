/*
 * Pooling: the largest element, the average or the norm of a window.
 *
 * With the layout nchw batch and channels are one axis, `c`: every plane is pooled
 * alike.  A window is visited row-major.
 */
#include <assert.h>
#include <math.h>

#include "ir/ops/infer.h"
#include "ir/ops/requant.h"
#include "ir/ops/window.h"

/* The attributes that all kinds of pooling have. */
static Ints
pool_attrs(const Node *n, WindowAttrs *w)
{
	if (n->op == OP_MAX_POOL) {
		const Attr_MAX_POOL *a = n->attr;

		*w = (WindowAttrs){a->strides, a->pads, a->dilations, a->ceil_mode, a->layout};
		return a->kernel;
	}
	if (n->op == OP_AVG_POOL) {
		const Attr_AVG_POOL *a = n->attr;

		*w = (WindowAttrs){a->strides, a->pads, a->dilations, a->ceil_mode, a->layout};
		return a->kernel;
	} else {
		const Attr_LP_POOL *a = n->attr;

		*w = (WindowAttrs){a->strides, a->pads, a->dilations, a->ceil_mode, a->layout};
		return a->kernel;
	}
}

static bool
reads_pool(Window *w, const Node *n, Diag *d)
{
	WindowAttrs attr;
	Ints kernel = pool_attrs(n, &attr);

	return window_read(w, n, kernel, &attr, d);
}

static bool
infer_pool_shape(const Node *n, Type *out, Diag *d)
{
	Window w;

	if (!reads_pool(&w, n, d))
		return false;
	if (n->op == OP_LP_POOL &&
	    !check_range(n, d, "p", ((const Attr_LP_POOL *)n->attr)->p, 1, INT32_MAX))
		return false;
	out[0] = n->in[0]->type;
	for (int i = 0; i < w.n; i++)
		out[0].dim[layout_first(node_layout(n)) + i] = w.axis[i].out;
	if (n->nouts > 1) {
		out[1] = out[0];
		out[1].dtype = DT_I64;
	}
	return true;
}

bool
infer_pool(const Node *n, Type *out, Diag *d)
{
	if (n->nouts > 1 && node_layout(n) == LAYOUT_nhwc)
		return bad_attribute(n, d, "layout", "indices are those of the layout nchw");
	return check_dtype(n, d, 0, n->op == OP_MAX_POOL ? SET_NUMBER : SET_FLOAT) &&
	       infer_pool_shape(n, out, d);
}

static bool
keeps_quantization(const Node *n)
{
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type;

	return x->dtype == y->dtype && quant_zero(x) == quant_zero(y) &&
	       fabs((double)quant_scale(x) - (double)quant_scale(y)) <= 1e-6;
}

/* Whether an average is one of real numbers, not of the stored ones: to another
 * quantisation, or with padding, which is 0, among them. */
static bool
averages_real_numbers(const Node *n)
{
	const Attr_AVG_POOL *a = n->attr;

	return node_is_quantized(n) &&
	       (!keeps_quantization(n) ||
	        (a->count_include_pad && quant_zero(&n->in[0]->type) != 0));
}

/* An average has this many bits behind the point before it is scaled. */
enum { AVERAGE_BITS = 8, MAX_AVERAGED = 1 << 15 };

static double
average_factor(const Node *n)
{
	return (double)quant_scale(&n->in[0]->type) / (double)quant_scale(&n->out[0]->type);
}

static bool
check_average(const Node *n, Diag *d)
{
	Ints kernel = ((const Attr_AVG_POOL *)n->attr)->kernel;
	int64_t count = 1;

	for (int i = 0; i < kernel.n && count <= MAX_AVERAGED; i++)
		count *= kernel.v[i];
	if (count > MAX_AVERAGED)
		return bad_attribute(n, d, "kernel", "more than %d elements", MAX_AVERAGED);
	return check_dtype(n, d, 0, SET_Q8) &&
	       check_scale_factor(n, d, average_factor(n), 0x1p20);
}

/* Raw numbers are compared, so the quantisation must stay. */
bool
qinfer_pool(const Node *n, Type *out, Diag *d)
{
	if (n->nouts > 1)
		return diag_report(d, &n->loc, E_UNSUPPORTED,
		                   "'%s' of quantised numbers has no indices", op_info[n->op].name);
	if (!check_quantized(n, d, 0) || !check_output_like_input(n, d) ||
	    !infer_pool_shape(n, out, d))
		return false;
	if (n->op == OP_AVG_POOL)
		return !averages_real_numbers(n) || check_average(n, d);
	return keeps_quantization(n) ||
	       diag_report(d, &n->loc, E_UNSUPPORTED,
	                   "'%s' to another quantisation is not supported",
	                   op_info[n->op].name);
}

/* The number of taps k in [0, kernel) with lo <= start + k * dilation < hi; sets
 * *may_be_empty when it can be 0. */
static Expr *
count_taps(LowerCtx *cx, const Axis *a, Expr *start, int32_t lo, int32_t hi, bool *may_be_empty)
{
	LBuilder *b = &cx->b;
	int64_t last_start = (int64_t)(a->out - 1) * a->stride - a->begin;
	int64_t last = last_start + (int64_t)(a->kernel - 1) * a->dilation;
	Expr *dilation = loop_idx(b, a->dilation), *zero = loop_idx(b, 0);
	Expr *first = zero, *end = loop_idx(b, a->kernel), *count;

	if (-a->begin < lo) {
		first = loop_sub(b, loop_idx(b, lo + a->dilation - 1), start);
		first = loop_op2(b, KOP_MAX, loop_op2(b, KOP_DIV, first, dilation), zero);
	}
	if (last >= hi) {
		Expr *room = loop_sub(b, loop_idx(b, hi + a->dilation - 1), start);

		end = loop_op2(b, KOP_MIN, loop_op2(b, KOP_DIV, room, dilation), end);
	}
	count = loop_sub(b, end, first);
	if (a->dilation > 1 || lo + a->begin >= a->kernel || last_start >= hi || lo == hi) {
		count = loop_op2(b, KOP_MAX, count, zero);
		*may_be_empty = true;
	}
	return lower_let(cx, arena_printf(cx->arena, "count_%s", a->name), count);
}

/* Which taps are to be counted. */
typedef enum { COUNT_NOTHING, COUNT_INPUTS, COUNT_PADDED } Counting;

/* The loops around a pooled element. */
typedef struct {
	Window w;
	Expr *x_at, *y_at; /* the plane's first element; the output element */
	Expr *from[MAX_SPATIAL];
	Expr *count[MAX_SPATIAL]; /* along each axis, NULL with COUNT_NOTHING */
	bool may_be_empty;        /* a product of counts may be 0 */
} Pool;

/* Finds the first taps and counts them along axis i, at output position o. */
static void
start_axis(LowerCtx *cx, Pool *p, int i, Expr *o, Counting counting)
{
	const Axis *a = &p->w.axis[i];

	p->from[i] = window_start(cx, &p->w, i, o);
	if (counting == COUNT_INPUTS)
		p->count[i] = count_taps(cx, a, p->from[i], 0, a->in, &p->may_be_empty);
	else if (counting == COUNT_PADDED)
		p->count[i] = count_taps(cx, a, p->from[i], -a->begin, a->in + a->end,
		                         &p->may_be_empty);
}

static Pool
open_pool(LowerCtx *cx, const Node *n, bool merge, Counting counting)
{
	const Type *t = &n->in[0]->type;
	bool nhwc = node_layout(n) == LAYOUT_nhwc;
	int32_t channels = t->dim[layout_channel(node_layout(n), t->rank)];
	LBuilder *b = &cx->b;
	Pool p = {.may_be_empty = false};
	Expr *c;
	bool ok = reads_pool(&p.w, n, NULL);

	assert(ok);
	(void)ok;
	if (merge)
		window_merge(&p.w);
	if (nhwc)
		p.w.x_step = p.w.y_step = channels;
	c = nhwc ? lower_for(cx, "n", t->dim[0]) : lower_for(cx, "c", t->dim[0] * channels);
	p.x_at = loop_affine(b, c, window_inputs(&p.w) * p.w.x_step, 0);
	p.x_at = lower_let(cx, nhwc ? "x_n" : "x_c", p.x_at);
	p.y_at = loop_affine(b, c, window_outputs(&p.w) * p.w.y_step, 0);
	p.y_at = lower_let(cx, nhwc ? "y_n" : "y_c", p.y_at);
	for (int i = 0; i < p.w.n; i++)
		start_axis(cx, &p, i, window_open_output(cx, &p.w, i, &p.y_at), counting);
	if (nhwc) {
		c = lower_for(cx, "c", channels);
		p.x_at = lower_let(cx, "x_c", loop_add(b, p.x_at, c));
		p.y_at = lower_let(cx, "y_c", loop_add(b, p.y_at, c));
	}
	return p;
}

/* Opens the loops over the window's elements; gives their positions. */
static Expr *
open_taps(LowerCtx *cx, const Pool *p, Expr *i[MAX_SPATIAL])
{
	Expr *x_at = p->x_at;

	for (int a = 0; a < p->w.n; a++)
		i[a] = window_open_tap(cx, &p->w, a, p->from[a], &x_at, NULL);
	return x_at;
}

/* The flat index of an element when each plane is stored column by column. */
static Expr *
column_major_index(LowerCtx *cx, const Pool *p, Expr *const i[MAX_SPATIAL])
{
	Expr *index = p->x_at;
	int32_t step = 1;

	for (int a = 0; a < p->w.n; a++) {
		index = loop_add(&cx->b, index, loop_affine(&cx->b, i[a], step, 0));
		step *= p->w.axis[a].in;
	}
	return index;
}

static double
lowest(DType t)
{
	if (dtype_is_float(t))
		return -HUGE_VAL;
	return dtype_info[t].class == CLASS_SIGNED ? -ldexp(1, 8 * dtype_info[t].bytes - 1) : 0;
}

/*
 * ---- max_pool ----
 *
 * The largest element, from the lowest value of the type on: NaN is passed over,
 * and so is padding.  The index is that of the first of equal elements, and -1 when
 * there is none.
 */

static void
take_larger(LowerCtx *cx, LVar *max, Expr *value)
{
	loop_set(&cx->b, max, loop_op2(&cx->b, KOP_MAX, loop_get(&cx->b, max), value));
}

static void
take_larger_and_index(LowerCtx *cx, LVar *max, LVar *best, Expr *value, Expr *index)
{
	LBuilder *b = &cx->b;
	Expr *v = loop_let(b, "value", value);
	Expr *larger = loop_op2(b, KOP_GT, v, loop_get(b, max));
	Expr *equal = loop_op2(b, KOP_EQ, v, loop_get(b, max));
	Expr *first = loop_op2(b, KOP_LT, loop_get(b, best), loop_idx(b, 0));

	loop_if(b, loop_op2(b, KOP_OR, larger, loop_op2(b, KOP_AND, first, equal)));
	loop_set(b, max, v);
	loop_set(b, best, index);
}

/* Stores an element with the activation. */
static void
store(LowerCtx *cx, const Node *n, Expr *y_at, Expr *value)
{
	if (node_is_quantized(n))
		q_store(cx, cx->out[0], y_at, value, 0,
		        quant_range(&n->out[0]->type, node_activation(n)));
	else
		loop_store_cvt(&cx->b, cx->out[0], y_at, lower_activation(cx, n, value));
}

void
lower_max_pool(LowerCtx *cx, const Node *n)
{
	bool column_major = ((const Attr_MAX_POOL *)n->attr)->column_major;
	DType t = n->in[0]->type.dtype;
	LBuf *x = cx->in[0], *indices = n->nouts > 1 ? cx->out[1] : NULL;
	LBuilder *b = &cx->b;
	Pool p = open_pool(cx, n, !(indices && column_major), COUNT_NOTHING);
	LVar *max = loop_var(b, "max", loop_const(b, dtype_compute(t), lowest(t))), *best = NULL;

	if (indices)
		best = loop_var_idx(b, "best", loop_idx(b, -1), -1, x->count - 1);
	if (x->count > 0) {
		int depth = b->depth;
		Expr *i[MAX_SPATIAL], *x_at = open_taps(cx, &p, i);
		Expr *value = loop_load_compute(b, x, x_at);

		if (indices)
			take_larger_and_index(
				cx, max, best, value,
				column_major ? column_major_index(cx, &p, i) : x_at);
		else
			take_larger(cx, max, value);
		lower_end_to(cx, depth);
	}
	if (cx->out[0])
		store(cx, n, p.y_at, loop_get(b, max));
	if (indices)
		loop_store_cvt(b, indices, p.y_at, loop_get(b, best));
	lower_end_to(cx, 0);
}

void
qlower_max_pool(LowerCtx *cx, const Node *n)
{
	lower_max_pool(cx, n);
}

/*
 * ---- avg_pool ----
 *
 * The sum of the window's elements divided by their number.  With
 * count_include_pad the padding counts too, but not what ceil_mode adds beyond.  A
 * window without any element gives 0.
 */

/* The number of elements that count in the window. */
static Expr *
count_window(LowerCtx *cx, const Pool *p)
{
	Expr *count = loop_idx(&cx->b, 1);

	for (int i = 0; i < p->w.n; i++)
		count = loop_mul(&cx->b, count, p->count[i]);
	return p->may_be_empty ? loop_op2(&cx->b, KOP_MAX, count, loop_idx(&cx->b, 1)) : count;
}

/* sum / count; of quantised numbers rounded half away from zero. */
static Expr *
average(LowerCtx *cx, const Node *n, Expr *sum, Expr *count)
{
	LBuilder *b = &cx->b;
	Expr *half, *zero;

	if (!node_is_quantized(n))
		return loop_op2(b, KOP_DIV, sum, count);
	zero = q_int(cx, 0);
	count = lower_let(cx, "count", count);
	half = loop_op2(b, KOP_DIV, count, q_int(cx, 2));
	half = loop_select(b, loop_op2(b, KOP_GT, sum, zero), half, loop_op1(b, KOP_NEG, half));
	return loop_op2(b, KOP_DIV, loop_add(b, sum, half), count);
}

/* sum / count in the output's quantisation, for a sum less its zero points. */
static void
store_real_average(LowerCtx *cx, const Node *n, Expr *y_at, Expr *sum, Expr *count)
{
	const Type *y = &n->out[0]->type;

	sum = lower_let(cx, "shifted", loop_op2(&cx->b, KOP_SHL, sum, q_int(cx, AVERAGE_BITS)));
	sum = q_scale(cx, average(cx, n, sum, count), ldexp(average_factor(n), -AVERAGE_BITS));
	q_store(cx, cx->out[0], y_at, sum, quant_zero(y), quant_range(y, node_activation(n)));
}

void
lower_avg_pool(LowerCtx *cx, const Node *n)
{
	bool real = averages_real_numbers(n);
	int32_t zero = real ? quant_zero(&n->in[0]->type) : 0;
	bool include_pad = ((const Attr_AVG_POOL *)n->attr)->count_include_pad;
	DType t = dtype_compute(n->in[0]->type.dtype);
	LBuilder *b = &cx->b;
	Pool p = open_pool(cx, n, true, include_pad ? COUNT_PADDED : COUNT_INPUTS);
	LVar *sum = loop_var(b, "sum", loop_const(b, t, 0));
	Expr *count;

	if (cx->in[0]->count > 0) {
		int depth = b->depth;
		Expr *i[MAX_SPATIAL], *x_at = open_taps(cx, &p, i);

		loop_set(b, sum,
		         loop_add(b, loop_get(b, sum), q_load(cx, cx->in[0], x_at, zero)));
		lower_end_to(cx, depth);
	}
	count = count_window(cx, &p);
	count = count->kind == E_CONST ? loop_const(b, t, (double)count->u.i)
	                               : loop_cvt(b, t, count);
	if (real)
		store_real_average(cx, n, p.y_at, loop_get(b, sum), count);
	else
		store(cx, n, p.y_at, average(cx, n, loop_get(b, sum), count));
	lower_end_to(cx, 0);
}

void
qlower_avg_pool(LowerCtx *cx, const Node *n)
{
	lower_avg_pool(cx, n);
}

/* ---- lp_pool: (sum of |x|^p)^(1/p) ---- */

static Expr *
power(LBuilder *b, Expr *x, int64_t p)
{
	if (p == 2) {
		x = loop_let(b, "value", x);
		return loop_mul(b, x, x);
	}
	x = loop_op1(b, KOP_ABS, x);
	return p == 1 ? x : loop_call2(b, "pow", x, loop_float(b, x->type, (double)p));
}

static Expr *
root(LBuilder *b, Expr *x, int64_t p)
{
	if (p == 1)
		return x;
	return p == 2 ? loop_call1(b, "sqrt", x)
	              : loop_call2(b, "pow", x, loop_float(b, x->type, 1.0 / (double)p));
}

void
lower_lp_pool(LowerCtx *cx, const Node *n)
{
	int64_t exponent = ((const Attr_LP_POOL *)n->attr)->p;
	LBuilder *b = &cx->b;
	Pool p = open_pool(cx, n, true, COUNT_NOTHING);
	LVar *sum = loop_var(b, "sum", loop_const(b, dtype_compute(n->in[0]->type.dtype), 0));

	if (cx->in[0]->count > 0) {
		int depth = b->depth;
		Expr *i[MAX_SPATIAL], *x_at = open_taps(cx, &p, i);
		Expr *term = power(b, loop_load_compute(b, cx->in[0], x_at), exponent);

		loop_set(b, sum, loop_add(b, loop_get(b, sum), term));
		lower_end_to(cx, depth);
	}
	store(cx, n, p.y_at, root(b, loop_get(b, sum), exponent));
	lower_end_to(cx, 0);
}
