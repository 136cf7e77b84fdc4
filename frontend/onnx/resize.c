/*
 * Resizing by numbers that the program computes: axis by axis, each element is
 * the sum of neighbours that are gathered, times weights.  Coordinates are
 * vectors along the axis, in f64.
 */
#include "frontend/onnx/resize.h"

#include <math.h>

enum { MAX_TAPS = 4 };

/* One axis. */
typedef struct {
	const Attr_RESIZE *a;
	int axis;
	int32_t from, to;          /* its lengths */
	Value *scale, *start, *end; /* f64 vectors of one element; the region may be NULL */
} Axis;

/* ---- Arithmetic on f64 vectors ---- */

static Value *
add(ONode *n, Value *x, double y)
{
	return onnx_with(n, OP_ADD, x, y);
}

static Value *
times(ONode *n, Value *x, double y)
{
	return onnx_with(n, OP_MUL, x, y);
}

/* (x + before) / scale + after */
static Value *
scaled_back(ONode *n, const Axis *k, Value *x, double before, double after)
{
	return add(n, onnx_binary(n, OP_DIV, add(n, x, before), k->scale), after);
}

/* (length of the resized axis, which need not be whole) - 1 */
static Value *
resized_less_one(ONode *n, const Axis *k)
{
	return add(n, times(n, k->scale, k->from), -1);
}

static Value *
symmetric(ONode *n, const Axis *k, Value *at)
{
	Value *resized = times(n, k->scale, k->from), *start;

	start = onnx_binary(n, OP_DIV, onnx_scalar(n, DT_F64, k->to), resized);
	start = times(n, add(n, onnx_unary(n, OP_NEG, start), 1), k->from / 2.0);
	return onnx_binary(n, OP_ADD, scaled_back(n, k, at, 0.5, -0.5), start);
}

/* Between start and end of the region. */
static Value *
cropped(ONode *n, const Axis *k, Value *at)
{
	Value *span;

	if (k->to <= 1)
		return times(n, onnx_binary(n, OP_ADD, k->start, k->end), 0.5 * (k->from - 1));
	span = times(n, onnx_binary(n, OP_SUB, k->end, k->start), k->from - 1);
	span = onnx_binary(n, OP_DIV, span, resized_less_one(n, k));
	at = onnx_binary(n, OP_MUL, at, span);
	return onnx_binary(n, OP_ADD, at, times(n, k->start, k->from - 1));
}

/* Where the elements of the resized axis lie in the original one. */
static Value *
coordinates(ONode *n, const Axis *k)
{
	Value *at = onnx_iota(n, DT_F64, k->to, 0, 1);

	switch (k->a->coordinates) {
	case COORD_asymmetric: return scaled_back(n, k, at, 0, 0);
	case COORD_tf_half_pixel_for_nn: return scaled_back(n, k, at, 0.5, 0);
	case COORD_half_pixel_symmetric: return symmetric(n, k, at);
	case COORD_tf_crop_and_resize: return cropped(n, k, at);
	case COORD_align_corners:
		if (k->to <= 1)
			return times(n, at, 0);
		return onnx_binary(n, OP_DIV, times(n, at, k->from - 1), resized_less_one(n, k));
	case COORD_pytorch_half_pixel:
		if (k->to <= 1)
			return times(n, at, 0);
		break;
	case COORD_half_pixel:
	case COORD_COUNT: break;
	}
	return scaled_back(n, k, at, 0.5, -0.5);
}

/* ---- Neighbours ---- */

static Value *
nearest(ONode *n, const Axis *k, Value *at)
{
	switch (k->a->nearest) {
	case NEAREST_round_prefer_floor: return onnx_unary(n, OP_CEIL, add(n, at, -0.5));
	case NEAREST_round_prefer_ceil: return onnx_unary(n, OP_FLOOR, add(n, at, 0.5));
	case NEAREST_ceil: return onnx_unary(n, OP_CEIL, at);
	case NEAREST_floor:
	case NEAREST_COUNT: break;
	}
	return onnx_unary(n, OP_FLOOR, at);
}

/* ((a*x + b)*x + c)*x + d */
static Value *
cubic(ONode *n, Value *x, double a, double b, double c, double d)
{
	Value *y = onnx_binary(n, OP_MUL, add(n, times(n, x, a), b), x);

	return add(n, onnx_binary(n, OP_MUL, add(n, y, c), x), d);
}

/* Weights of the neighbours at -1, 0, 1 and 2, `r` behind neighbour 0. */
static void
cubic_weights(ONode *n, Value *r, double a, Value *weight[MAX_TAPS])
{
	Value *rest = add(n, onnx_unary(n, OP_NEG, r), 1);

	weight[0] = cubic(n, add(n, r, 1), a, -5 * a, 8 * a, -4 * a);
	weight[1] = cubic(n, r, a + 2, -(a + 3), 0, 1);
	weight[2] = cubic(n, rest, a + 2, -(a + 3), 0, 1);
	weight[3] = cubic(n, add(n, rest, 1), a, -5 * a, 8 * a, -4 * a);
}

/* 0 for neighbours outside of the axis; the rest is scaled to a sum of 1. */
static void
exclude_outside(ONode *n, const Axis *k, int taps, Value *const *place, Value **weight)
{
	Value *sum = NULL;

	for (int i = 0; i < taps; i++) {
		Value *inside = place[i] ? onnx_with(n, OP_GREATER_EQUAL, place[i], 0) : NULL;

		inside = onnx_binary(n, OP_AND, inside,
		                     onnx_with(n, OP_LESS, place[i], k->from));
		weight[i] = onnx_where(n, inside, weight[i], onnx_scalar(n, DT_F64, 0));
		sum = i ? onnx_binary(n, OP_ADD, sum, weight[i]) : weight[i];
	}
	for (int i = 0; i < taps; i++)
		weight[i] = onnx_binary(n, OP_DIV, weight[i], sum);
}

/* x gathered along the axis at `place`, clamped to the axis. */
static Value *
take(ONode *n, const Axis *k, Value *x, Value *place)
{
	place = onnx_clamp(n, place, 0, k->from - 1);
	return onnx_gather(n, x, onnx_cast(n, place, DT_I64), k->axis);
}

static Value *
resize_axis(ONode *n, const Axis *k, Value *x, Value *at)
{
	int taps = k->a->mode == INTERP_cubic ? 4 : 2, first = taps == 4 ? -1 : 0;
	Value *place[MAX_TAPS], *weight[MAX_TAPS], *base, *r, *y = NULL;

	if (k->a->mode == INTERP_nearest)
		return take(n, k, x, nearest(n, k, at));
	base = onnx_unary(n, OP_FLOOR, at);
	r = onnx_binary(n, OP_SUB, at, base);
	if (taps == 4) {
		cubic_weights(n, r, k->a->cubic_a, weight);
	} else {
		weight[0] = add(n, onnx_unary(n, OP_NEG, r), 1);
		weight[1] = r;
	}
	for (int i = 0; i < taps; i++)
		place[i] = add(n, base, first + i);
	if (k->a->exclude_outside)
		exclude_outside(n, k, taps, place, weight);
	for (int i = 0; i < taps && x; i++) {
		Value *w = onnx_cast(n, weight[i], x->type.dtype), *term = take(n, k, x, place[i]);

		w = onnx_channels(n, w, k->axis, x->type.rank);
		term = onnx_binary(n, OP_MUL, term, w);
		y = i ? onnx_binary(n, OP_ADD, y, term) : term;
	}
	return y;
}

/* Elements whose coordinate lies outside of the axis get the extrapolation. */
static Value *
extrapolate(ONode *n, const Axis *k, Value *y, Value *at)
{
	Value *inside = at ? onnx_with(n, OP_GREATER_EQUAL, at, 0) : NULL;

	inside = onnx_binary(n, OP_AND, inside, onnx_with(n, OP_LESS_EQUAL, at, k->from - 1));
	if (!y || !inside)
		return NULL;
	inside = onnx_channels(n, inside, k->axis, y->type.rank);
	return onnx_where(n, inside, y, onnx_scalar(n, y->type.dtype, k->a->extrapolation));
}

bool
onnx_resize_computed(ONode *n, const Attr_RESIZE *a, const Type *shape, Value *scales, Value *roi)
{
	Value *x = n->in[0], *y = x, *at[MAX_RANK];
	int rank = x->type.rank;
	Axis axes[MAX_RANK];

	scales = onnx_cast(n, scales, DT_F64);
	roi = onnx_cast(n, roi, DT_F64);
	for (int i = 0; i < rank && !n->failed; i++) {
		Axis *k = &axes[i];

		*k = (Axis){.a = a, .axis = i, .from = x->type.dim[i], .to = shape->dim[i]};
		if (k->from == 0)
			return onnx_unsupported(n, "an empty axis");
		k->scale = scales ? onnx_slice(n, scales, 0, i, 1, 1)
		                  : onnx_scalar(n, DT_F64, (double)k->to / k->from);
		if (roi) {
			k->start = onnx_slice(n, roi, 0, i, 1, 1);
			k->end = onnx_slice(n, roi, 0, rank + i, 1, 1);
		}
		at[i] = coordinates(n, k);
		if (k->from > 1 || k->to > 1)
			y = resize_axis(n, k, y, at[i]);
	}
	for (int i = 0; i < rank && a->coordinates == COORD_tf_crop_and_resize && !n->failed; i++)
		y = extrapolate(n, &axes[i], y, at[i]);
	return onnx_result(n, y);
}
