/*
 * Reductions, positions of extrema, running sums and the k greatest.
 *
 * Elements are taken in the order of memory and accumulated in the compute type.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "ir/lower.h"
#include "ir/ops/infer.h"
#include "ir/ops/requant.h"
#include "ir/ops/scalar.h"

/* All reductions have the same attributes. */
typedef Attr_REDUCE_SUM Attr_REDUCE;

static Attr_REDUCE
reduce_attr(const Node *n)
{
	Attr_REDUCE a;

	assert(op_info[n->op].attr_size == sizeof a);
	memcpy(&a, n->attr, sizeof a);
	return a;
}

static bool
is_reduced(const Ints *axes, int axis)
{
	for (int i = 0; i < axes->n; i++)
		if (axes->v[i] == axis)
			return true;
	return false;
}

bool
infer_reduce(const Node *n, Type *out, Diag *d)
{
	Attr_REDUCE a = reduce_attr(n);
	const Type *t = &n->in[0]->type;
	bool any = n->op == OP_REDUCE_MAX || n->op == OP_REDUCE_MIN;

	if (!check_dtype(n, d, 0, any ? SET_ANY : SET_NUMBER) ||
	    !check_axes(n, d, "axes", &a.axes, t->rank))
		return false;
	out[0].dtype = t->dtype;
	for (int i = 0; i < t->rank; i++) {
		if (!is_reduced(&a.axes, i))
			out[0].dim[out[0].rank++] = t->dim[i];
		else if (a.keepdims)
			out[0].dim[out[0].rank++] = 1;
	}
	return true;
}

/* ---- The loops around a reduction ---- */

/* The axes of a tensor, neighbours of one kind taken together. */
typedef struct {
	int n;
	struct {
		int32_t length, stride;
		bool reduced;
		Expr *at; /* the loop's variable while it is open */
	} axis[MAX_RANK];
	int32_t count; /* elements that are reduced to one */
} Axes;

enum { MAX_BESIDE = 8 };

static Axes
merge_axes(const Type *t, const Ints *reduced)
{
	Axes axes = {.count = 1};
	int32_t stride = 1;

	for (int i = 0; i < t->rank; i++) {
		bool is = is_reduced(reduced, i);

		if (is)
			axes.count *= t->dim[i];
		if (t->dim[i] == 1)
			continue;
		if (axes.n == 0 || axes.axis[axes.n - 1].reduced != is) {
			axes.axis[axes.n].reduced = is;
			axes.axis[axes.n++].length = 1;
		}
		axes.axis[axes.n - 1].length *= t->dim[i];
	}
	for (int i = axes.n; i-- > 0;) {
		axes.axis[i].stride = stride;
		stride *= axes.axis[i].length;
	}
	return axes;
}

static void
open_loops(LowerCtx *cx, Axes *axes, bool reduced)
{
	for (int i = 0; i < axes->n; i++)
		if (axes->axis[i].reduced == reduced)
			axes->axis[i].at =
				loop_for(&cx->b, reduced ? "r" : "i", 0, axes->axis[i].length);
}

static void
close_loops(LowerCtx *cx, const Axes *axes, bool reduced)
{
	for (int i = 0; i < axes->n; i++)
		if (axes->axis[i].reduced == reduced)
			loop_end(&cx->b);
}

/* The index of the element at all the open loops. */
static Expr *
input_index(LowerCtx *cx, const Axes *axes)
{
	LBuilder *b = &cx->b;
	Expr *index = loop_idx(b, 0);

	for (int i = 0; i < axes->n; i++)
		index = loop_add(b, index,
		                 loop_affine(b, axes->axis[i].at, axes->axis[i].stride, 0));
	return index;
}

static Expr *
output_index(LowerCtx *cx, const Axes *axes)
{
	LBuilder *b = &cx->b;
	Expr *index = loop_idx(b, 0);

	for (int i = 0; i < axes->n; i++)
		if (!axes->axis[i].reduced)
			index = loop_add(b, loop_affine(b, index, axes->axis[i].length, 0),
			                 axes->axis[i].at);
	return index;
}

/* ---- Reductions ---- */

/* Logarithms and roots of integers are taken in f64. */
static DType
work_type(const Node *n)
{
	DType t = dtype_compute(n->in[0]->type.dtype);
	bool real = n->op == OP_REDUCE_L2 || n->op == OP_REDUCE_LOG_SUM ||
	            n->op == OP_REDUCE_LOG_SUM_EXP;

	return real && !dtype_is_float(t) ? DT_F64 : t;
}

static Expr *
load_input(LowerCtx *cx, const Node *n, const Axes *axes)
{
	return loop_cvt(&cx->b, work_type(n),
	                loop_load_compute(&cx->b, cx->in[0], input_index(cx, axes)));
}

/* What nothing reduces to. */
static Expr *
start_value(LBuilder *b, const Node *n)
{
	DType t = work_type(n);

	switch ((int)n->op) {
	case OP_REDUCE_PROD: return loop_const(b, t, 1);
	case OP_REDUCE_MAX: return scalar_least(b, n->in[0]->type.dtype);
	case OP_REDUCE_MIN: return scalar_greatest(b, n->in[0]->type.dtype);
	default: return loop_const(b, t, 0);
	}
}

static Expr *
accumulate(LBuilder *b, const Node *n, Expr *sum, Expr *v)
{
	switch ((int)n->op) {
	case OP_REDUCE_PROD: return loop_mul(b, sum, v);
	case OP_REDUCE_MAX: return scalar_max(b, sum, v);
	case OP_REDUCE_MIN: return scalar_min(b, sum, v);
	case OP_REDUCE_L1: return loop_add(b, sum, loop_op1(b, KOP_ABS, v));
	case OP_REDUCE_L2:
	case OP_REDUCE_SUM_SQUARE:
		v = scalar_named(b, "v", v);
		return loop_add(b, sum, loop_mul(b, v, v));
	default: return loop_add(b, sum, v);
	}
}

static Expr *
finish(LBuilder *b, const Node *n, Expr *sum, int32_t count)
{
	switch ((int)n->op) {
	case OP_REDUCE_MEAN: return loop_op2(b, KOP_DIV, sum, loop_int(b, sum->type, count));
	case OP_REDUCE_L2: return loop_call1(b, "sqrt", sum);
	case OP_REDUCE_LOG_SUM: return loop_call1(b, "log", sum);
	default: return sum;
	}
}

/* The greatest of the elements where it is finite, else 0: taken off before
 * exp() it keeps the sum in range. */
static Expr *
find_shift(LowerCtx *cx, const Node *n, Axes *axes)
{
	LBuilder *b = &cx->b;
	DType t = work_type(n);
	LVar *top = loop_var(b, "top", loop_const(b, t, -HUGE_VAL));
	Expr *is_finite;

	open_loops(cx, axes, true);
	loop_set(b, top, loop_op2(b, KOP_MAX, loop_get(b, top), load_input(cx, n, axes)));
	close_loops(cx, axes, true);
	is_finite = loop_op2(b, KOP_LT, loop_op1(b, KOP_ABS, loop_get(b, top)),
	                     loop_const(b, t, HUGE_VAL));
	return loop_let(b, "shift",
	                loop_select(b, is_finite, loop_get(b, top), loop_const(b, t, 0)));
}

void
lower_reduce(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	Attr_REDUCE a = reduce_attr(n);
	Axes axes = merge_axes(&n->in[0]->type, &a.axes);
	Expr *shift = NULL, *v;
	LVar *sum;

	open_loops(cx, &axes, false);
	if (n->op == OP_REDUCE_LOG_SUM_EXP)
		shift = find_shift(cx, n, &axes);
	sum = loop_var(b, "sum", start_value(b, n));
	open_loops(cx, &axes, true);
	v = load_input(cx, n, &axes);
	if (shift)
		v = loop_call1(b, "exp", loop_sub(b, v, shift));
	loop_set(b, sum, accumulate(b, n, loop_get(b, sum), v));
	close_loops(cx, &axes, true);
	v = finish(b, n, loop_get(b, sum), axes.count);
	if (shift)
		v = loop_add(b, loop_call1(b, "log", v), shift);
	v = loop_cvt(b, dtype_compute(n->in[0]->type.dtype), v);
	loop_store_cvt(b, cx->out[0], output_index(cx, &axes), v);
	close_loops(cx, &axes, false);
}

/* Outputs from `first` on, each the sum of `length` neighbours. */
static void
lower_sums_beside(LowerCtx *cx, const Node *n, Expr *first, int outputs, int32_t length)
{
	LBuilder *b = &cx->b;
	LVar *sum[MAX_BESIDE];
	Expr *at = lower_let(cx, "x_o", loop_affine(b, first, length, 0)), *i;

	for (int k = 0; k < outputs; k++)
		sum[k] = loop_var(b, "sum", start_value(b, n));
	i = loop_for(b, "i", 0, length);
	for (int k = 0; k < outputs; k++) {
		Expr *x = loop_add(b, at, loop_affine(b, i, 1, k * length));

		loop_set(b, sum[k], accumulate(b, n, loop_get(b, sum[k]), loop_load(b, cx->in[0], x)));
	}
	loop_end(b);
	for (int k = 0; k < outputs; k++)
		loop_store(b, cx->out[0], loop_add(b, first, loop_idx(b, k)),
		           finish(b, n, loop_get(b, sum[k]), length));
}

LFunc *
node_lower_beside(Arena *a, const Node *n, int outputs)
{
	LowerCtx cx;
	LBuilder *b = &cx.b;
	Attr_REDUCE attr;
	Axes axes;
	int32_t count, whole;

	if ((n->op != OP_REDUCE_SUM && n->op != OP_REDUCE_MEAN) || node_is_quantized(n) ||
	    n->in[0]->type.dtype != DT_F32 || work_type(n) != DT_F32 ||
	    type_numel(&n->in[0]->type) == 0 || outputs > MAX_BESIDE)
		return NULL;
	attr = reduce_attr(n);
	axes = merge_axes(&n->in[0]->type, &attr.axes);
	if (axes.n != 2 || axes.axis[0].reduced)
		return NULL;
	count = axes.axis[0].length;
	whole = count / outputs * outputs;
	lower_begin(&cx, a, n);
	if (whole) {
		lower_sums_beside(&cx, n, loop_for_step(b, "o", 0, whole, outputs), outputs,
		                  axes.axis[1].length);
		loop_end(b);
	}
	if (whole < count)
		lower_sums_beside(&cx, n, loop_idx(b, whole), (int)(count - whole),
		                  axes.axis[1].length);
	return loop_finish(b);
}

/* ---- Sums and extrema of quantised numbers ---- */

/* Extrema are those of the raw numbers, so the quantisation must stay. */
bool
qinfer_reduce(const Node *n, Type *out, Diag *d)
{
	bool raw = n->op == OP_REDUCE_MAX || n->op == OP_REDUCE_MIN;

	if (!check_quantized(n, d, 0) || !check_output_like_input(n, d))
		return false;
	if (raw && !type_same_codes(&n->in[0]->type, &n->out[0]->type))
		return diag_report(d, &n->loc, E_UNSUPPORTED,
		                   "'%s' to another quantisation is not supported",
		                   op_info[n->op].name);
	if (!raw && !check_scale_factor(n, d,
	                                (double)quant_scale(&n->in[0]->type) /
	                                        (double)quant_scale(&n->out[0]->type),
	                                MAX_FACTOR))
		return false;
	return infer_reduce(n, out, d);
}

/* The factor of scales; for a mean divided by the number of elements after as many
 * bits as fit were added in front, as TFLite does it. */
static Multiplier
sum_multiplier(LowerCtx *cx, const Node *n, int32_t count)
{
	double factor = (double)quant_scale(&n->in[0]->type) /
	                (double)quant_scale(&n->out[0]->type);
	Multiplier by = q_multiplier(cx, factor);
	int more = 0;

	if (n->op != OP_REDUCE_MEAN || count == 0)
		return by;
	while (count >> more > 1)
		more++;
	if (more > 31 + by.shift)
		more = 31 + by.shift;
	by.m = (int32_t)((int64_t)((uint64_t)by.m << more) / count);
	by.shift -= more;
	return by;
}

void
qlower_reduce(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type;
	Attr_REDUCE a = reduce_attr(n);
	Axes axes = merge_axes(x, &a.axes);
	Expr *v;
	LVar *sum;

	if (n->op == OP_REDUCE_MAX || n->op == OP_REDUCE_MIN) {
		lower_reduce(cx, n);
		return;
	}
	open_loops(cx, &axes, false);
	/* The zero points of all elements; sums wrap around. */
	v = loop_mul(b, q_int(cx, -quant_zero(x)), q_int(cx, axes.count));
	sum = loop_var(b, "sum", v);
	open_loops(cx, &axes, true);
	v = loop_load_compute(b, cx->in[0], input_index(cx, &axes));
	loop_set(b, sum, loop_add(b, loop_get(b, sum), v));
	close_loops(cx, &axes, true);
	v = q_mbqm(cx, loop_get(b, sum), sum_multiplier(cx, n, axes.count));
	q_store(cx, cx->out[0], output_index(cx, &axes), v, quant_zero(y),
	        quant_limits(y->dtype));
	close_loops(cx, &axes, false);
}

/* ---- Positions of extrema ---- */

typedef Attr_ARG_MAX Attr_ARG;

static Attr_ARG
arg_attr(const Node *n)
{
	Attr_ARG a;

	assert(op_info[n->op].attr_size == sizeof a);
	memcpy(&a, n->attr, sizeof a);
	return a;
}

bool
infer_arg_reduce(const Node *n, Type *out, Diag *d)
{
	Attr_ARG a = arg_attr(n);
	const Type *t = &n->in[0]->type;

	if (!check_dtype(n, d, 0, SET_NUMBER) || !check_axis(n, d, "axis", a.axis, t->rank))
		return false;
	if (t->dim[a.axis] == 0)
		return bad_input(n, d, E_SHAPE, 0, "there is no extremum of nothing");
	out[0].dtype = DT_I64;
	for (int i = 0; i < t->rank; i++) {
		if (i != a.axis)
			out[0].dim[out[0].rank++] = t->dim[i];
		else if (a.keepdims)
			out[0].dim[out[0].rank++] = 1;
	}
	return true;
}

/* A NaN is no extremum, but where it comes first. */
void
lower_arg_reduce(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	Attr_ARG a = arg_attr(n);
	bool max = n->op == OP_ARG_MAX;
	KOp better = a.select_last ? (max ? KOP_GE : KOP_LE) : (max ? KOP_GT : KOP_LT);
	Line line = lower_lines(cx, &n->in[0]->type, a.axis), result = line;
	Expr *first = lower_line_index(cx, &line, loop_idx(b, 0)), *r, *v;
	LVar *best = loop_var(b, "best", loop_load_compute(b, cx->in[0], first));
	LVar *at = loop_var(b, "at", loop_int(b, DT_I64, 0));

	r = loop_for(b, "r", 1, line.length);
	v = loop_let(b, "v", loop_load_compute(b, cx->in[0], lower_line_index(cx, &line, r)));
	loop_if(b, loop_op2(b, better, v, loop_get(b, best)));
	loop_set(b, best, v);
	loop_set(b, at, loop_cvt(b, DT_I64, r));
	loop_end(b);
	loop_end(b);
	result.length = 1;
	loop_store(b, cx->out[0], lower_line_index(cx, &result, loop_idx(b, 0)), loop_get(b, at));
	lower_end_lines(cx, &line);
}

/* Of quantised numbers: those of the raw ones. */
bool
qinfer_arg_reduce(const Node *n, Type *out, Diag *d)
{
	return check_quantized(n, d, 0) && check_plain_output(n, d) && infer_arg_reduce(n, out, d);
}

void
qlower_arg_reduce(LowerCtx *cx, const Node *n)
{
	lower_arg_reduce(cx, n);
}

/* ---- Running sums ---- */

bool
infer_cum_sum(const Node *n, Type *out, Diag *d)
{
	const Attr_CUM_SUM *a = n->attr;

	out[0] = n->in[0]->type;
	return check_dtype(n, d, 0, SET_NUMBER) && check_axis(n, d, "axis", a->axis, out[0].rank);
}

void
lower_cum_sum(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	const Attr_CUM_SUM *a = n->attr;
	DType t = dtype_compute(n->in[0]->type.dtype);
	Line line = lower_lines(cx, &n->in[0]->type, a->axis);
	LVar *sum = loop_var(b, "sum", loop_const(b, t, 0));
	Expr *r = loop_for(b, "r", 0, line.length), *v, *index, *next;

	if (a->reverse)
		r = loop_sub(b, loop_idx(b, line.length - 1), r);
	index = lower_line_index(cx, &line, r);
	v = loop_load_compute(b, cx->in[0], index);
	next = loop_add(b, loop_get(b, sum), v);
	if (a->exclusive)
		next = loop_let(b, "next", next);
	else
		loop_set(b, sum, next);
	loop_store_cvt(b, cx->out[0], index, loop_get(b, sum));
	if (a->exclusive)
		loop_set(b, sum, next);
	loop_end(b);
	lower_end_lines(cx, &line);
}

/* ---- The k greatest or smallest ---- */

bool
infer_top_k(const Node *n, Type *out, Diag *d)
{
	const Attr_TOP_K *a = n->attr;
	const Type *t = &n->in[0]->type;

	if (!check_dtype(n, d, 0, SET_NUMBER) || !check_axis(n, d, "axis", a->axis, t->rank) ||
	    !check_range(n, d, "k", a->k, 0, t->dim[a->axis]))
		return false;
	out[0] = *t;
	out[0].dim[a->axis] = (int32_t)a->k;
	if (n->nouts > 1) {
		out[1] = out[0];
		out[1].dtype = DT_I64;
	}
	return true;
}

/* Of quantised numbers: those of the raw ones, which keep their scale. */
bool
qinfer_top_k(const Node *n, Type *out, Diag *d)
{
	const Type *y = n->out[0] ? &n->out[0]->type : NULL;

	if (!check_quantized(n, d, 0) || !infer_top_k(n, out, d))
		return false;
	out[0].q = NULL;
	if (!y || type_same_quant(y, &n->in[0]->type))
		return true;
	return diag_report(d, &n->loc, E_UNSUPPORTED,
	                   "input and output of 'top_k' must have one quantisation");
}

void
qlower_top_k(LowerCtx *cx, const Node *n)
{
	lower_top_k(cx, n);
}

/* Whether v comes before w; NaN counts as the greatest of all. */
static Expr *
comes_before(LBuilder *b, bool largest, Expr *v, Expr *w)
{
	Expr *before = loop_op2(b, largest ? KOP_GT : KOP_LT, v, w);
	Expr *nan = largest ? v : w, *number = largest ? w : v;

	if (!dtype_is_float(v->type))
		return before;
	return loop_op2(b, KOP_OR, before,
	                loop_op2(b, KOP_AND, loop_op2(b, KOP_NE, nan, nan),
	                         loop_op2(b, KOP_EQ, number, number)));
}

/* Each round takes the first of those that come after the round before. */
void
lower_top_k(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	const Attr_TOP_K *a = n->attr;
	DType t = dtype_compute(n->in[0]->type.dtype);
	Line line = lower_lines(cx, &n->in[0]->type, a->axis), result = line;
	LVar *last = loop_var(b, "last", loop_const(b, t, 0));
	LVar *last_at = loop_var_idx(b, "last_at", loop_idx(b, -1), -1, line.length - 1);
	Expr *j = loop_for(b, "j", 0, a->k), *r, *v, *follows, *beyond;
	LVar *best = loop_var(b, "best", loop_const(b, t, 0));
	LVar *at = loop_var_idx(b, "at", loop_idx(b, -1), -1, line.length - 1);

	r = loop_for(b, "r", 0, line.length);
	v = loop_let(b, "v", loop_load_compute(b, cx->in[0], lower_line_index(cx, &line, r)));
	beyond = loop_op2(b, KOP_GT, r, loop_get(b, last_at));
	follows = loop_op2(
		b, KOP_OR,
		loop_op2(b, KOP_AND, beyond,
	                 loop_op1(b, KOP_NOT, comes_before(b, a->largest, v, loop_get(b, last)))),
		comes_before(b, a->largest, loop_get(b, last), v));
	follows = loop_op2(b, KOP_OR, loop_op2(b, KOP_EQ, j, loop_idx(b, 0)), follows);
	loop_if(b, follows);
	loop_if(b, loop_op2(b, KOP_OR, loop_op2(b, KOP_LT, loop_get(b, at), loop_idx(b, 0)),
	                    comes_before(b, a->largest, v, loop_get(b, best))));
	loop_set(b, best, v);
	loop_set(b, at, r);
	loop_end(b);
	loop_end(b);
	loop_end(b);
	result.length = (int32_t)a->k;
	if (cx->out[0])
		loop_store_cvt(b, cx->out[0], lower_line_index(cx, &result, j), loop_get(b, best));
	if (n->nouts > 1 && cx->out[1])
		loop_store_cvt(b, cx->out[1], lower_line_index(cx, &result, j), loop_get(b, at));
	loop_set(b, last, loop_get(b, best));
	loop_set(b, last_at, loop_get(b, at));
	loop_end(b);
	lower_end_lines(cx, &line);
}
