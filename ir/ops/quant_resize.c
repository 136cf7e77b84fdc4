/*
 * Linear interpolation of quantised numbers, along at most two axes.
 *
 * Places have 10 bits behind the point.  A place before the first one counts as a
 * negative part of the way from the first to itself.
 */
#include <math.h>

#include "ir/ops/infer.h"
#include "ir/ops/requant.h"

enum { PLACE_BITS = 10, UNIT = 1 << PLACE_BITS, MAX_AXES = 2, MAX_LENGTH = 1 << 20 };

static int
resized_axes(const Node *n, int axis[MAX_RANK])
{
	const Attr_RESIZE *a = n->attr;
	int count = 0;

	for (int i = 0; i < n->in[0]->type.rank; i++)
		if (a->shape.v[i] != n->in[0]->type.dim[i])
			axis[count++] = i;
	return count;
}

static bool
check_linear(const Node *n, Diag *d)
{
	const Attr_RESIZE *a = n->attr;
	int axis[MAX_RANK], count = resized_axes(n, axis);

	if (a->mode != INTERP_linear)
		return bad_attribute(n, d, "mode", "not supported on quantised numbers");
	if (a->coordinates != COORD_asymmetric && a->coordinates != COORD_align_corners &&
	    a->coordinates != COORD_half_pixel)
		return bad_attribute(n, d, "coordinates", "not supported on quantised numbers");
	if (count > MAX_AXES)
		return bad_attribute(n, d, "shape", "changes more than %d axes", MAX_AXES);
	for (int i = 0; i < count; i++)
		if (n->in[0]->type.dim[axis[i]] > MAX_LENGTH || a->shape.v[axis[i]] > MAX_LENGTH)
			return bad_attribute(n, d, "shape", "more than %d places along an axis",
			                     MAX_LENGTH);
	return true;
}

static double
scale_ratio(const Node *n)
{
	return (double)quant_scale(&n->in[0]->type) / (double)quant_scale(&n->out[0]->type);
}

bool
qinfer_resize(const Node *n, Type *out, Diag *d)
{
	if (!check_all_quantized(n, d) || !infer_resize(n, out, d) ||
	    !check_output_like_input(n, d))
		return false;
	if (((const Attr_RESIZE *)n->attr)->mode != INTERP_nearest)
		return check_dtype(n, d, 0, SET_Q8) && check_linear(n, d) &&
		       check_scale_factor(n, d, scale_ratio(n), 0x1p20);
	return type_same_codes(&n->in[0]->type, &n->out[0]->type) ||
	       diag_report(d, &n->loc, E_UNSUPPORTED,
	                   "input and output of '%s' must have one quantisation",
	                   op_info[n->op].name);
}

/* Two neighbours and their weights, which are UNIT together. */
typedef struct {
	Expr *at[2], *weight[2];
} Neighbours;

static Neighbours
find_neighbours(LowerCtx *cx, CoordMode mode, Expr *place, int32_t in, int32_t out)
{
	LBuilder *b = &cx->b;
	Expr *last = loop_idx(b, in - 1), *p;
	bool align = mode == COORD_align_corners && out > 1, half = mode == COORD_half_pixel;
	int32_t scale = align ? (UNIT * (in - 1) + (out - 1) / 2) / (out - 1)
	                      : (UNIT * in + out / 2) / out;
	Neighbours k;

	p = loop_let(b, "p", loop_affine(b, place, scale, half ? scale / 2 - UNIT / 2 : 0));
	k.at[0] = loop_op2(b, KOP_DIV, p, loop_idx(b, UNIT));
	k.at[0] = loop_op2(b, KOP_MIN, loop_op2(b, KOP_MAX, k.at[0], loop_idx(b, 0)), last);
	k.at[0] = loop_let(b, "at", k.at[0]);
	k.at[1] = loop_op2(b, KOP_DIV, loop_affine(b, p, 1, UNIT - 1), loop_idx(b, UNIT));
	k.at[1] = loop_op2(b, KOP_MIN, loop_op2(b, KOP_MAX, k.at[1], loop_idx(b, 0)), last);
	k.at[1] = loop_let(b, "next", k.at[1]);
	k.weight[1] = loop_sub(b, p, loop_affine(b, k.at[0], UNIT, 0));
	k.weight[1] = loop_let(b, "w", loop_cvt(b, DT_I32, k.weight[1]));
	k.weight[0] = loop_let(b, "rest", loop_sub(b, q_int(cx, UNIT), k.weight[1]));
	return k;
}

/* The sum over the neighbours along the axes [i, count), weighted. */
static Expr *
weighted_sum(LowerCtx *cx, const Type *t, int i, int count, const int *axis,
             const Neighbours *k, Expr *at[MAX_RANK])
{
	LBuilder *b = &cx->b;
	Expr *sum = NULL;

	if (i == count)
		return loop_load_compute(b, cx->in[0], lower_index(cx, t, at));
	for (int s = 0; s < 2; s++) {
		Expr *v;

		at[axis[i]] = k[i].at[s];
		v = weighted_sum(cx, t, i + 1, count, axis, k, at);
		v = loop_mul(b, v, k[i].weight[s]);
		sum = sum ? loop_add(b, sum, v) : v;
	}
	return sum;
}

/* sum / 2^bits, rounded half away from zero. */
static void
store_rounded(LowerCtx *cx, Expr *index, Expr *x, int bits)
{
	LBuilder *b = &cx->b;
	Expr *sum = loop_let(b, "sum", x), *half = q_int(cx, 1 << (bits - 1));
	Expr *negative = q_int(cx, -(1 << (bits - 1)));

	half = loop_select(b, loop_op2(b, KOP_GT, sum, q_int(cx, 0)), half, negative);
	sum = loop_op2(b, KOP_DIV, loop_add(b, sum, half), q_int(cx, 1 << bits));
	loop_store_cvt(b, cx->out[0], index, sum);
}

/* The same to another quantisation. */
static void
store_scaled(LowerCtx *cx, const Node *n, Expr *index, Expr *sum, int bits)
{
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type;

	sum = loop_sub(&cx->b, sum, q_int(cx, (int64_t)quant_zero(x) * (1 << bits)));
	sum = q_scale(cx, sum, ldexp(scale_ratio(n), -bits));
	q_store(cx, cx->out[0], index, sum, quant_zero(y), quant_limits(y->dtype));
}

void
qlower_resize(LowerCtx *cx, const Node *n)
{
	const Attr_RESIZE *a = n->attr;
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type;
	int axis[MAX_RANK], count = resized_axes(n, axis), bits = PLACE_BITS * count;
	bool same = type_same_codes(x, y);
	Expr *at[MAX_RANK], *index, *sum;
	Neighbours k[MAX_AXES];

	if (a->mode == INTERP_nearest || (count == 0 && same)) {
		lower_resize(cx, n);
		return;
	}
	lower_loops(cx, y, "i", at);
	index = lower_index(cx, y, at);
	for (int i = 0; i < count; i++)
		k[i] = find_neighbours(cx, a->coordinates, at[axis[i]], x->dim[axis[i]],
		                       y->dim[axis[i]]);
	sum = weighted_sum(cx, x, 0, count, axis, k, at);
	if (same)
		store_rounded(cx, index, sum, bits);
	else
		store_scaled(cx, n, index, sum, bits);
	lower_end_loops(cx, y);
}
