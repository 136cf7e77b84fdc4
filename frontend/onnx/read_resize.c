/*
 * Resize and its older form Upsample.
 */
#include <math.h>

#include "frontend/onnx/resize.h"

/* ---- Where the shape comes from ---- */

/* `v` with one entry for each of `axes` as one for every axis of x. */
static Floats
spread(ONode *n, Floats v, Ints axes, double otherwise)
{
	int rank = n->in[0]->type.rank;
	double *all = ARENA_ARRAY(n->r->arena, double, rank);

	for (int i = 0; i < rank; i++)
		all[i] = otherwise;
	for (int i = 0; i < axes.n; i++)
		all[axes.v[i]] = v.v[i];
	return (Floats){rank, all};
}

static bool
set_length(ONode *n, int64_t *shape, int axis, double length)
{
	if (!(length >= 0 && length <= INT32_MAX))
		return onnx_error(n, E_SIZE, "axis %d of the result would have %g elements", axis,
		                  length);
	shape[axis] = (int64_t)length;
	return true;
}

/* Scales are given; lengths follow. */
static bool
shape_from_scales(ONode *n, Floats scales, Attr_RESIZE *a)
{
	const Type *x = &n->in[0]->type;
	int64_t *shape = onnx_new_ints(n, x->rank);

	for (int i = 0; i < x->rank; i++) {
		float length = floorf((float)scales.v[i] * (float)x->dim[i]);

		if (!(scales.v[i] > 0))
			return onnx_error(n, E_VALUE, "the scale of axis %d is %g", i, scales.v[i]);
		if (!set_length(n, shape, i, (double)length))
			return false;
	}
	a->scales = scales;
	a->shape = (Ints){x->rank, shape};
	return true;
}

typedef enum { STRETCH, NOT_LARGER, NOT_SMALLER } Policy;

/* Lengths are given; scales follow.  With a policy all axes get one scale. */
static bool
shape_from_sizes(ONode *n, Floats sizes, Ints axes, Policy policy, Attr_RESIZE *a)
{
	const Type *x = &n->in[0]->type;
	int64_t *shape = onnx_new_ints(n, x->rank);
	double *scales = ARENA_ARRAY(n->r->arena, double, x->rank), common = 0;

	for (int i = 0; i < x->rank; i++) {
		shape[i] = x->dim[i];
		scales[i] = 1;
	}
	for (int i = 0; i < axes.n; i++) {
		int axis = (int)axes.v[i];
		double scale = x->dim[axis] ? sizes.v[i] / x->dim[axis] : 1;

		if (!set_length(n, shape, axis, sizes.v[i]))
			return false;
		scales[axis] = scale;
		if (i == 0 || (policy == NOT_LARGER ? scale < common : scale > common))
			common = scale;
	}
	for (int i = 0; i < axes.n && policy != STRETCH; i++) {
		int axis = (int)axes.v[i];

		if (!set_length(n, shape, axis, floor(common * x->dim[axis] + 0.5)))
			return false;
		scales[axis] = common;
	}
	a->scales = (Floats){x->rank, scales};
	a->shape = (Ints){x->rank, shape};
	return true;
}

/* ---- Resize ---- */

static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
static const char *const coordinates[] = {"half_pixel",
                                          "pytorch_half_pixel",
                                          "half_pixel_symmetric",
                                          "align_corners",
                                          "asymmetric",
                                          "tf_half_pixel_for_nn",
                                          "tf_crop_and_resize",
                                          NULL};
static const char *const nearest_modes[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                            "ceil", NULL};

/* Input i, when it is there and has elements. */
static Value *
given(const ONode *n, int i)
{
	Value *v = onnx_in(n, i);

	return v && type_numel(&v->type) > 0 ? v : NULL;
}

static bool
resize_axes(ONode *n, Ints *axes)
{
	int rank = n->in[0]->type.rank;
	Ints sorted, given_axes = onnx_ints(n, "axes");
	int64_t *v = onnx_new_ints(n, given_axes.n);

	if (n->failed)
		return false;
	*axes = onnx_range(n, 0, rank);
	if (!given_axes.n)
		return true;
	if (!onnx_norm_axes(n, given_axes, rank, "axes", 0, &sorted))
		return false;
	for (int i = 0; i < given_axes.n; i++)
		v[i] = given_axes.v[i] < 0 ? given_axes.v[i] + rank : given_axes.v[i];
	*axes = (Ints){given_axes.n, v};
	return true;
}

static bool
wrong_length(ONode *n, int i, int have, int need)
{
	return onnx_error_in(n, i, E_SHAPE, "'%s' has %d elements instead of %d", n->in[i]->name,
	                     have, need);
}

/* Sizes from an operand, or from the stated shape when it is not constant. */
static bool
read_sizes(ONode *n, Ints axes, Floats *sizes)
{
	double *v = ARENA_ARRAY(n->r->arena, double, axes.n);
	Type y;

	if (onnx_is_const(n, 3))
		return onnx_const_floats(n, 3, sizes);
	if (!onnx_declared(n, 0, &y) || y.rank != n->in[0]->type.rank)
		return onnx_dynamic(n, 3);
	for (int i = 0; i < axes.n; i++)
		v[i] = y.dim[axes.v[i]];
	*sizes = (Floats){axes.n, v};
	return true;
}

static bool
read_shape(ONode *n, Attr_RESIZE *a)
{
	static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
	Policy policy = (Policy)onnx_word(n, "keep_aspect_ratio_policy", policies, STRETCH);
	int scales_at = n->opset < 11 ? 1 : 2;
	Floats v;
	Ints axes;

	if (!resize_axes(n, &axes) || n->failed)
		return false;
	if (n->opset >= 11 && given(n, 3)) {
		if (!read_sizes(n, axes, &v))
			return false;
		return v.n == axes.n ? shape_from_sizes(n, v, axes, policy, a)
		                     : wrong_length(n, 3, v.n, axes.n);
	}
	if (!given(n, scales_at))
		return onnx_error(n, E_ARITY, "'%s' needs scales or sizes", n->info->name);
	if (!onnx_const_floats(n, scales_at, &v))
		return false;
	return v.n == axes.n ? shape_from_scales(n, spread(n, v, axes, 1), a)
	                     : wrong_length(n, scales_at, v.n, axes.n);
}

/* The region of tf_crop_and_resize: starts, then ends. */
static bool
read_roi(ONode *n, Attr_RESIZE *a)
{
	int rank = n->in[0]->type.rank;
	double *all = ARENA_ARRAY(n->r->arena, double, 2 * rank);
	Floats v, starts, ends;
	Ints axes;

	if (a->coordinates != COORD_tf_crop_and_resize)
		return true;
	if (!given(n, 1))
		return onnx_error(n, E_ARITY, "tf_crop_and_resize needs a region");
	if (!onnx_const_floats(n, 1, &v) || !resize_axes(n, &axes))
		return false;
	if (v.n != 2 * axes.n)
		return wrong_length(n, 1, v.n, 2 * axes.n);
	starts = spread(n, (Floats){axes.n, v.v}, axes, 0);
	ends = spread(n, (Floats){axes.n, v.v + axes.n}, axes, 1);
	for (int i = 0; i < rank; i++) {
		all[i] = starts.v[i];
		all[i + rank] = ends.v[i];
	}
	a->roi = (Floats){2 * rank, all};
	return true;
}

/* Antialiasing changes only what is made smaller. */
static bool
check_antialias(ONode *n, const Attr_RESIZE *a)
{
	if (!onnx_flag(n, "antialias", false) || a->mode == INTERP_nearest)
		return true;
	for (int i = 0; i < a->scales.n; i++)
		if (a->scales.v[i] < 1)
			return onnx_error_attr(n, "antialias", E_UNSUPPORTED,
			                       "antialiasing is not supported");
	return true;
}

static bool
finish(ONode *n, const Attr_RESIZE *a)
{
	Node *k = n->failed ? NULL : onnx_node(n, OP_RESIZE, 1, n->in, 1);

	if (k)
		*(Attr_RESIZE *)k->attr = *a;
	return onnx_result(n, onnx_finish(n, k));
}

/* Whether scales or a region that matters are not constant. */
static bool
is_computed(const ONode *n, const Attr_RESIZE *a)
{
	int scales_at = n->opset < 11 ? 1 : 2;
	bool sizes = n->opset >= 11 && given(n, 3);

	return (!sizes && given(n, scales_at) && !onnx_is_const(n, scales_at)) ||
	       (a->coordinates == COORD_tf_crop_and_resize && given(n, 1) && !onnx_is_const(n, 1));
}

/* The stated shape and one scale an axis are needed; Upsample's scales are input 1. */
static bool
computed(ONode *n, const Attr_RESIZE *a)
{
	bool sizes = n->opset >= 11 && given(n, 3);
	bool crops = a->coordinates == COORD_tf_crop_and_resize;
	int rank = n->in[0]->type.rank, at = sizes ? 3 : n->opset < 11 ? 1 : 2;
	Value *scales = sizes ? NULL : given(n, at);
	Type y;

	if (onnx_has(n, "axes") || onnx_has(n, "antialias") ||
	    onnx_has(n, "keep_aspect_ratio_policy") || !onnx_declared(n, 0, &y) || y.rank != rank)
		return onnx_dynamic(n, onnx_in(n, at) ? at : 1);
	if ((scales && type_numel(&scales->type) != rank) ||
	    (crops && (!given(n, 1) || type_numel(&n->in[1]->type) != 2 * rank)))
		return onnx_error(n, E_SHAPE, "scales or region do not have one number an axis");
	return !n->failed && onnx_resize_computed(n, a, &y, scales, crops ? n->in[1] : NULL);
}

bool
onnx_read_resize(ONode *n)
{
	bool old = n->opset < 11;
	Attr_RESIZE a = {
		.mode = (Interpolation)onnx_word(n, "mode", modes, INTERP_nearest),
		.coordinates = (CoordMode)onnx_word(n, "coordinate_transformation_mode", coordinates,
	                                            old ? COORD_asymmetric : COORD_half_pixel),
		.nearest = (NearestMode)onnx_word(n, "nearest_mode", nearest_modes,
	                                          old ? NEAREST_floor : NEAREST_round_prefer_floor),
		.cubic_a = onnx_float(n, "cubic_coeff_a", -0.75),
		.exclude_outside = onnx_flag(n, "exclude_outside", false),
		.extrapolation = onnx_float(n, "extrapolation_value", 0)};

	if (n->failed)
		return false;
	if (is_computed(n, &a))
		return computed(n, &a);
	if (!read_shape(n, &a) || !read_roi(n, &a) || !check_antialias(n, &a))
		return false;
	return finish(n, &a);
}

bool
onnx_read_upsample(ONode *n)
{
	static const char *const words[] = {"nearest", "linear", "bilinear", NULL};
	int mode = onnx_word(n, "mode", words, 0);
	int rank = n->in[0]->type.rank;
	Attr_RESIZE a = {.mode = mode ? INTERP_linear : INTERP_nearest,
	                 .coordinates = COORD_asymmetric,
	                 .nearest = NEAREST_floor,
	                 .cubic_a = -0.75};
	Floats scales;

	if (n->opset < 7) {
		double *v = ARENA_ARRAY(n->r->arena, double, 4);

		v[0] = v[1] = 1;
		v[2] = onnx_float(n, "height_scale", 1);
		v[3] = onnx_float(n, "width_scale", 1);
		scales = (Floats){4, v};
	} else if (n->opset < 9) {
		scales = onnx_floats(n, "scales");
	} else if (!onnx_in(n, 1)) {
		return onnx_error(n, E_ARITY, "'Upsample' needs scales");
	} else if (is_computed(n, &a)) {
		return computed(n, &a);
	} else if (!onnx_const_floats(n, 1, &scales)) {
		return false;
	}
	if (n->failed)
		return false;
	if (scales.n != rank)
		return onnx_error(n, E_SHAPE, "%d scales for a tensor of rank %d", scales.n, rank);
	return shape_from_scales(n, scales, &a) && finish(n, &a);
}
