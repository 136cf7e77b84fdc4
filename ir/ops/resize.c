/*
 * Resize: where each place of an axis comes from is computed here, once, and kept
 * as a formula in integers where one exists, else as a table.
 *
 * Axes whose coordinates do not change take no part in the interpolation.
 */
#include <assert.h>
#include <math.h>

#include "ir/lower.h"
#include "ir/ops/infer.h"
#include "ir/ops/scalar.h"

/* ---- Coordinates ---- */

/* Where place `x` of the resized axis lies in the original one.  The resized
 * length is the product of length and scale, which need not be whole. */
static double
original_coordinate(const Attr_RESIZE *a, int rank, int axis, double x, int32_t length)
{
	double scale = a->scales.v[axis], resized = scale * length, start, end;
	int32_t whole = (int32_t)a->shape.v[axis];

	switch (a->coordinates) {
	case COORD_pytorch_half_pixel:
		if (whole <= 1)
			return 0;
		break;
	case COORD_half_pixel_symmetric:
		start = (double)length / 2 * (1 - (double)whole / resized);
		return start + (x + 0.5) / scale - 0.5;
	case COORD_align_corners:
		return whole <= 1 || resized == 1 ? 0 : x * (length - 1) / (resized - 1);
	case COORD_asymmetric: return x / scale;
	case COORD_tf_half_pixel_for_nn: return (x + 0.5) / scale;
	case COORD_tf_crop_and_resize:
		start = a->roi.v[axis];
		end = a->roi.v[rank + axis];
		if (whole <= 1 || resized == 1)
			return 0.5 * (start + end) * (length - 1);
		return start * (length - 1) + x * (end - start) * (length - 1) / (resized - 1);
	case COORD_half_pixel:
	case COORD_COUNT: break;
	}
	return (x + 0.5) / scale - 0.5;
}

/* Cubic interpolation takes 4^axes neighbours for each element. */
enum { MAX_CUBIC_AXES = 3 };

/* Whether the places of an axis are those of the input; coordinates are linear,
 * so that both ends decide it. */
static bool
keeps_places(const Attr_RESIZE *a, const Type *in, int axis)
{
	int32_t length = in->dim[axis];

	return a->shape.v[axis] == length &&
	       original_coordinate(a, in->rank, axis, 0, length) == 0 &&
	       original_coordinate(a, in->rank, axis, length - 1, length) == length - 1;
}

static bool
check_roi(const Node *n, Diag *d)
{
	const Attr_RESIZE *a = n->attr;
	int rank = n->in[0]->type.rank;

	if (a->roi.n != 2 * rank)
		return bad_attribute(n, d, "roi", "needs %d entries", 2 * rank);
	for (int i = 0; i < a->roi.n; i++)
		if (!isfinite(a->roi.v[i]))
			return bad_attribute(n, d, "roi", "not a number");
	return true;
}

bool
infer_resize(const Node *n, Type *out, Diag *d)
{
	const Attr_RESIZE *a = n->attr;
	const Type *t = &n->in[0]->type;
	int resized = 0;

	if (!check_dtype(n, d, 0, a->mode == INTERP_nearest ? SET_ANY : SET_NUMBER) ||
	    !check_ints(n, d, "shape", &a->shape, t->rank, 0, INT32_MAX))
		return false;
	if (a->scales.n != t->rank)
		return bad_attribute(n, d, "scales", "needs %d entries", t->rank);
	for (int i = 0; i < t->rank; i++) {
		if (!(a->scales.v[i] > 0) || isinf(a->scales.v[i]))
			return bad_attribute(n, d, "scales", "%g is not positive", a->scales.v[i]);
		if (t->dim[i] == 0 && a->shape.v[i] > 0)
			return bad_input(n, d, E_SHAPE, 0, "axis %d has no elements", i);
	}
	if (a->coordinates == COORD_tf_crop_and_resize && !check_roi(n, d))
		return false;
	out[0].dtype = t->dtype;
	for (int i = 0; i < t->rank; i++) {
		if (!push_dim(n, d, &out[0], a->shape.v[i]))
			return false;
		resized += !keeps_places(a, t, i);
	}
	if (a->mode == INTERP_cubic && resized > MAX_CUBIC_AXES)
		return diag_report(d, &n->loc, E_UNSUPPORTED,
		                   "cubic interpolation along more than %d axes", MAX_CUBIC_AXES);
	return true;
}

static double
round_nearest(NearestMode mode, double x)
{
	switch (mode) {
	case NEAREST_round_prefer_floor: return ceil(x - 0.5);
	case NEAREST_round_prefer_ceil: return floor(x + 0.5);
	case NEAREST_floor: return floor(x);
	case NEAREST_ceil: return ceil(x);
	case NEAREST_COUNT: break;
	}
	return x;
}

/* Weights of the four neighbours floor(x) - 1 .. floor(x) + 2 for t = x - floor(x). */
static void
cubic_weights(double a, double t, double w[4])
{
	for (int k = 0; k < 4; k++) {
		double s = fabs(t - (k - 1)); /* distance to the neighbour */

		w[k] = s <= 1 ? ((a + 2) * s - (a + 3)) * s * s + 1
		              : ((a * s - 5 * a) * s + 8 * a) * s - 4 * a;
	}
}

/* ---- Axes ---- */

/* A place without neighbours; others are at least LOWEST, so that the four
 * neighbours from there on are all before the axis. */
enum { OUTSIDE = INT32_MIN, LOWEST = -3 };

/* An axis of the output, or several that are copied as they are. */
typedef struct {
	bool resized;
	int32_t length, from; /* of the output; of the input */
	int32_t stride;       /* in the input */
	/* Resized: for each place the first neighbour, OUTSIDE where there is none,
	 * and the weights: one for linear, of the second; four for cubic. */
	int32_t *first;
	double *weight;
	bool has_outside;
	/* While its loop is open. */
	Expr *at, *neighbour[4], *w[4];
} Axis;

typedef struct {
	int n;
	Axis axis[MAX_RANK];
	const Attr_RESIZE *attr;
	DType compute; /* of weights and sums */
} Plan;

static int32_t
clamp(double x, int32_t lo, int32_t hi)
{
	return x <= lo ? lo : x >= hi ? hi : (int32_t)x;
}

/* Drops the weights of neighbours that do not exist. */
static void
exclude_outside(double w[4], double first, int32_t length)
{
	double sum = 0;

	for (int k = 0; k < 4; k++) {
		if (first + k < 0 || first + k >= length)
			w[k] = 0;
		sum += w[k];
	}
	for (int k = 0; k < 4 && sum != 0; k++)
		w[k] /= sum;
}

static void
place(const Attr_RESIZE *a, Axis *axis, int32_t o, double x)
{
	int32_t last = axis->from - 1;
	double lower = floor(x);

	switch (a->mode) {
	case INTERP_nearest: axis->first[o] = clamp(round_nearest(a->nearest, x), 0, last); break;
	case INTERP_linear:
		axis->first[o] = clamp(lower, 0, last);
		axis->weight[o] = x <= 0 || x >= last ? 0 : x - lower;
		break;
	case INTERP_cubic:
		axis->first[o] = clamp(lower - 1, LOWEST, axis->from);
		cubic_weights(a->cubic_a, x - lower, axis->weight + 4 * (size_t)o);
		if (a->exclude_outside)
			exclude_outside(axis->weight + 4 * (size_t)o, lower - 1, axis->from);
		break;
	case INTERP_COUNT: break;
	}
}

/* Fills in the tables of a resized axis. */
static void
place_all(LowerCtx *cx, const Attr_RESIZE *a, int rank, int i, Axis *axis)
{
	bool crop = a->coordinates == COORD_tf_crop_and_resize;
	size_t weights = a->mode == INTERP_nearest ? 0 : a->mode == INTERP_linear ? 1 : 4;

	axis->first = ARENA_ARRAY(cx->arena, int32_t, axis->length);
	axis->weight = ARENA_ARRAY(cx->arena, double, weights *(size_t)axis->length);
	for (int32_t o = 0; o < axis->length; o++) {
		double x = original_coordinate(a, rank, i, o, axis->from);

		if (crop && !(x >= 0 && x <= axis->from - 1)) {
			axis->first[o] = OUTSIDE;
			axis->has_outside = true;
		} else {
			place(a, axis, o, x);
		}
	}
}

static Plan
make_plan(LowerCtx *cx, const Node *n)
{
	const Type *t = &n->out[0]->type, *in = &n->in[0]->type;
	Plan p = {.attr = n->attr, .compute = dtype_compute(in->dtype)};
	int32_t stride[MAX_RANK];

	if (!dtype_is_float(p.compute))
		p.compute = dtype_info[in->dtype].bytes < 4 ? DT_F32 : DT_F64;
	type_strides(in, stride);
	for (int i = 0; i < t->rank; i++) {
		Axis axis = {.length = t->dim[i], .from = in->dim[i], .stride = stride[i]};

		axis.resized = !keeps_places(p.attr, in, i);
		if (axis.resized)
			place_all(cx, p.attr, t->rank, i, &axis);
		if (!axis.resized && p.n > 0 && !p.axis[p.n - 1].resized) {
			p.axis[p.n - 1].length *= axis.length;
			p.axis[p.n - 1].stride = axis.stride;
		} else {
			p.axis[p.n++] = axis;
		}
	}
	return p;
}

/* ---- Neighbours in the loop IR ---- */

/* A formula (a*o + b) / c + shift that gives first[o] for every place o. */
typedef struct {
	int64_t a, b, c, shift;
} Formula;

static int64_t
greatest_divisor(int64_t a, int64_t b)
{
	while (b) {
		int64_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/* The slope is that of the lengths; b must keep every quotient, rounded towards
 * zero, at its place. */
static bool
find_formula(const Axis *axis, Formula *f)
{
	int64_t divisor = greatest_divisor(axis->from, axis->length), lo = INT32_MIN,
		hi = INT32_MAX;

	f->a = axis->from / divisor;
	f->c = axis->length / divisor;
	f->shift = axis->first[0] < 0 ? axis->first[0] : 0;
	if (f->a * axis->length >= INT32_MAX / 2 || f->c >= INT32_MAX / 2)
		return false;
	for (int32_t o = 0; o < axis->length; o++) {
		int64_t quotient = axis->first[o] - f->shift;
		int64_t least = quotient > 0 ? quotient * f->c : 1 - f->c;
		int64_t most = (quotient + 1) * f->c - 1;

		if (quotient < 0)
			return false;
		lo = least - f->a * o > lo ? least - f->a * o : lo;
		hi = most - f->a * o < hi ? most - f->a * o : hi;
	}
	f->b = lo > 0 ? lo : hi < 0 ? hi : 0;
	return lo <= hi;
}

/* first[at] as an index, as a formula or from a table in as few bytes as go. */
static Expr *
first_neighbour(LowerCtx *cx, const Axis *axis)
{
	LBuilder *b = &cx->b;
	int16_t *narrow;
	Formula f;
	LBuf *table;

	if (axis->length == 1)
		return loop_idx(b, axis->first[0]);
	if (!axis->has_outside && find_formula(axis, &f))
		return loop_affine(
			b,
			loop_op2(b, KOP_DIV, loop_affine(b, axis->at, f.a, f.b), loop_idx(b, f.c)),
			1, f.shift);
	if (axis->from >= INT16_MAX) {
		table = lower_table(cx, "first", DT_I32, axis->length, axis->first);
	} else {
		narrow = ARENA_ARRAY(cx->arena, int16_t, axis->length);
		for (int32_t o = 0; o < axis->length; o++)
			narrow[o] =
				(int16_t)(axis->first[o] == OUTSIDE ? INT16_MIN : axis->first[o]);
		table = lower_table(cx, "first", DT_I16, axis->length, narrow);
	}
	return loop_cvt(b, DT_IDX, loop_load(b, table, axis->at));
}

static LBuf *
weight_table(LowerCtx *cx, const Axis *axis, DType t, int each)
{
	size_t count = (size_t)axis->length * (size_t)each;
	float *narrow;

	if (t == DT_F64)
		return lower_table(cx, "weight", t, (int32_t)count, axis->weight);
	narrow = ARENA_ARRAY(cx->arena, float, count);
	for (size_t i = 0; i < count; i++)
		narrow[i] = (float)axis->weight[i];
	return lower_table(cx, "weight", t, (int32_t)count, narrow);
}

/* Names the neighbours of the place that the axis' loop is at, and their weights. */
static void
find_neighbours(LowerCtx *cx, const Plan *p, Axis *axis, Expr *first)
{
	LBuilder *b = &cx->b;
	Expr *last = loop_idx(b, axis->from - 1);
	LBuf *table;

	switch (p->attr->mode) {
	case INTERP_nearest: axis->neighbour[0] = first; break;
	case INTERP_linear:
		axis->neighbour[0] = first;
		axis->neighbour[1] = loop_let(
			b, "next", loop_op2(b, KOP_MIN, loop_affine(b, first, 1, 1), last));
		table = weight_table(cx, axis, p->compute, 1);
		axis->w[1] = loop_let(b, "w", loop_load(b, table, axis->at));
		axis->w[0] =
			loop_let(b, "rest", loop_sub(b, loop_const(b, p->compute, 1), axis->w[1]));
		break;
	case INTERP_cubic:
		table = weight_table(cx, axis, p->compute, 4);
		for (int k = 0; k < 4; k++) {
			Expr *at = loop_affine(b, first, 1, k);

			at = loop_op2(b, KOP_MAX, loop_op2(b, KOP_MIN, at, last), loop_idx(b, 0));
			axis->neighbour[k] = loop_let(b, arena_printf(cx->arena, "at%d", k), at);
			axis->w[k] = loop_let(b, arena_printf(cx->arena, "w%d", k),
			                      loop_load(b, table, loop_affine(b, axis->at, 4, k)));
		}
		break;
	case INTERP_COUNT: break;
	}
}

/* The weighted sum over the neighbours along the axes [i, n). */
static Expr *
interpolate(LowerCtx *cx, const Plan *p, int i, Expr *index)
{
	LBuilder *b = &cx->b;
	const Axis *axis = &p->axis[i];
	int taps = p->attr->mode == INTERP_cubic ? 4 : 2;
	Expr *sum = NULL;

	if (i == p->n)
		return loop_cvt(b, p->compute, loop_load_compute(b, cx->in[0], index));
	if (!axis->resized)
		return interpolate(cx, p, i + 1,
		                   loop_add(b, index, loop_affine(b, axis->at, axis->stride, 0)));
	for (int k = 0; k < taps; k++) {
		Expr *at = loop_add(b, index, loop_affine(b, axis->neighbour[k], axis->stride, 0));
		Expr *v = loop_mul(b, interpolate(cx, p, i + 1, at), axis->w[k]);

		sum = sum ? loop_add(b, sum, v) : v;
	}
	return sum;
}

static Expr *
nearest_index(LBuilder *b, const Plan *p)
{
	Expr *index = loop_idx(b, 0);

	for (int i = 0; i < p->n; i++) {
		const Axis *axis = &p->axis[i];

		index = loop_add(b, index,
		                 loop_affine(b, axis->resized ? axis->neighbour[0] : axis->at,
		                             axis->stride, 0));
	}
	return index;
}

/* The first neighbour; whether there is none is added to `outside`. */
static Expr *
find_first(LowerCtx *cx, const Plan *p, const Axis *axis, Expr **outside)
{
	LBuilder *b = &cx->b;
	Expr *first = loop_let(b, "first", first_neighbour(cx, axis)), *is_outside;
	Expr *lowest = loop_idx(b, p->attr->mode == INTERP_cubic ? LOWEST : 0);

	if (!axis->has_outside)
		return first;
	is_outside = loop_op2(b, KOP_LT, first, lowest);
	*outside = *outside ? loop_op2(b, KOP_OR, *outside, is_outside) : is_outside;
	return loop_let(b, "inside", loop_op2(b, KOP_MAX, first, lowest));
}

void
lower_resize(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	Plan p = make_plan(cx, n);
	Expr *to = loop_idx(b, 0), *outside = NULL;

	for (int i = 0; i < p.n; i++) {
		Axis *axis = &p.axis[i];

		axis->at = axis->length == 1 ? loop_idx(b, 0)
		                             : loop_for(b, arena_printf(cx->arena, "i%d", i), 0,
		                                        axis->length);
		to = loop_add(b, loop_affine(b, to, axis->length, 0), axis->at);
		if (axis->resized)
			find_neighbours(cx, &p, axis, find_first(cx, &p, axis, &outside));
	}
	if (outside) {
		loop_if(b, outside);
		loop_store(b, cx->out[0], to,
		           loop_const(b, cx->out[0]->elem, p.attr->extrapolation));
		loop_else(b);
	}
	if (p.attr->mode == INTERP_nearest)
		loop_store(b, cx->out[0], to, loop_load(b, cx->in[0], nearest_index(b, &p)));
	else
		loop_store_cvt(b, cx->out[0], to, interpolate(cx, &p, 0, loop_idx(b, 0)));
	if (outside)
		loop_end(b);
	for (int i = 0; i < p.n; i++)
		if (p.axis[i].length != 1)
			loop_end(b);
}
