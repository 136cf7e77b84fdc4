/*
 * Interpolate in its three forms.
 */
#include <math.h>
#include <string.h>

#include "frontend/openvino/read.h"

/* What has to be done: lengths and scales, one entry an axis. */
typedef struct {
	Value *x; /* padded */
	int64_t shape[MAX_RANK];
	double scale[MAX_RANK];
	Interpolation mode;
	CoordMode coordinates;
	NearestMode nearest;
	double cubic;
	bool simple; /* NEAREST_ceil or _floor, as axes shrink or grow */
} Resize;

static bool
refuse(Layer *l, const char *what)
{
	return ov_error(l, E_UNSUPPORTED, "%s is not supported", what);
}

/* Pads stand for the leading axes. */
static bool
pad_input(Layer *l, Resize *r)
{
	Ints begin = ov_ints(l, "pads_begin"), end = ov_ints(l, "pads_end");
	int rank = l->in[0]->type.rank;
	int64_t pads[2 * MAX_RANK] = {0};

	if (l->failed)
		return false;
	for (int i = 0; i < rank; i++) {
		pads[i] = i < begin.n ? begin.v[i] : 0;
		pads[rank + i] = i < end.n ? end.v[i] : 0;
		if (pads[i] < 0 || pads[i] > INT32_MAX || pads[rank + i] < 0 ||
		    pads[rank + i] > INT32_MAX)
			return ov_error(l, E_VALUE, "axis %d is padded by %lld and %lld elements", i,
			                (long long)pads[i], (long long)pads[rank + i]);
	}
	r->x = build_pad(&l->b, l->in[0], pads, PAD_constant, NULL);
	return r->x != NULL;
}

static void
keep_all(Resize *r)
{
	for (int i = 0; i < r->x->type.rank; i++) {
		r->shape[i] = r->x->type.dim[i];
		r->scale[i] = 1;
	}
}

/* Resizes the axes that `now` marks; x itself when there are none. */
static Value *
resize(Layer *l, const Resize *r, Value *x, const bool *now, NearestMode nearest)
{
	int64_t shape[MAX_RANK];
	double scale[MAX_RANK];
	bool any = false;
	Node *n;

	for (int i = 0; x && i < x->type.rank; i++) {
		shape[i] = now[i] ? r->shape[i] : x->type.dim[i];
		scale[i] = now[i] ? r->scale[i] : 1;
		any |= now[i];
	}
	if (!x || !any)
		return x;
	n = build_node(&l->b, OP_RESIZE, 1, &x);
	if (n) {
		Attr_RESIZE *a = n->attr;
		int rank = x->type.rank;

		a->shape = build_ints(&l->b, rank, shape);
		a->scales = (Floats){rank, arena_copy(l->r->g->arena, scale,
		                                      (size_t)rank * sizeof *scale)};
		a->mode = r->mode;
		a->coordinates = r->coordinates;
		a->nearest = nearest;
		a->cubic_a = r->cubic;
	}
	return build_finish(&l->b, n);
}

/* By the rule "simple" axes that shrink take the next neighbour, and others the last. */
static bool
finish(Layer *l, const Resize *r)
{
	bool shrinks[MAX_RANK] = {false}, others[MAX_RANK] = {false};
	Value *x = r->x;

	for (int i = 0; i < x->type.rank; i++) {
		bool same = r->shape[i] == x->type.dim[i] && r->scale[i] == 1;

		shrinks[i] = r->simple && r->scale[i] < 1;
		others[i] = !same && !shrinks[i];
	}
	x = resize(l, r, x, shrinks, NEAREST_ceil);
	x = resize(l, r, x, others, r->simple ? NEAREST_floor : r->nearest);
	return ov_result(l, x);
}

static bool
set_length(Layer *l, Resize *r, int axis, double length)
{
	if (!(length >= 1 && length <= INT32_MAX))
		return ov_error(l, E_SIZE, "axis %d of the result would have %g elements", axis,
		                length);
	r->shape[axis] = (int64_t)length;
	return true;
}

/* Lengths, or scales from which they follow. */
static bool
set_sizes(Layer *l, Resize *r, bool sizes, int input, Ints axes)
{
	const Type *x = &r->x->type;
	Floats given;

	if (!ov_const_floats(l, input, &given))
		return false;
	if (given.n != axes.n)
		return ov_error_in(l, input, E_SHAPE, "has %d elements for %d axes", given.n,
		                   axes.n);
	for (int i = 0; i < axes.n; i++) {
		int axis = (int)axes.v[i];
		float scale = sizes ? (float)given.v[i] / (float)x->dim[axis] : (float)given.v[i];

		if (x->dim[axis] == 0)
			return ov_error_in(l, 0, E_SHAPE, "axis %d has no elements", axis);
		if (!set_length(l, r, axis,
		                sizes ? given.v[i] : (double)floorf(scale * (float)x->dim[axis])))
			return false;
		r->scale[axis] = (double)scale;
	}
	return true;
}

static bool
read_modes(Layer *l, Resize *r, bool *sizes)
{
	enum { NEAREST, LINEAR, LINEAR_ONNX, CUBIC };
	enum { SIMPLE = 4 };
	static const char *const modes[] = {"nearest", "linear", "linear_onnx", "cubic",
	                                    "bilinear_pillow", "bicubic_pillow", NULL};
	static const char *const calculations[] = {"sizes", "scales", NULL};
	static const char *const coordinates[] = {"half_pixel", "pytorch_half_pixel", "asymmetric",
	                                          "tf_half_pixel_for_nn", "align_corners", NULL};
	static const CoordMode coordinate[] = {COORD_half_pixel, COORD_pytorch_half_pixel,
	                                       COORD_asymmetric, COORD_tf_half_pixel_for_nn,
	                                       COORD_align_corners};
	static const char *const nearests[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
	                                       "ceil", "simple", NULL};
	static const NearestMode nearest[] = {NEAREST_round_prefer_floor, NEAREST_round_prefer_ceil,
	                                      NEAREST_floor, NEAREST_ceil, NEAREST_floor};
	int mode = ov_word(l, "mode", modes, NEAREST);
	int near = ov_word(l, "nearest_mode", nearests, 0);

	*sizes = ov_word(l, "shape_calculation_mode", calculations, 0) == 0;
	r->coordinates = coordinate[ov_word(l, "coordinate_transformation_mode", coordinates, 0)];
	r->nearest = nearest[near];
	r->simple = mode == NEAREST && near == SIMPLE;
	r->cubic = ov_float(l, "cube_coeff", -0.75);
	if (mode > CUBIC)
		return refuse(l, "interpolation as by Pillow");
	if (ov_bool(l, "antialias", false) && mode == LINEAR)
		return refuse(l, "antialiasing");
	r->mode = mode == NEAREST ? INTERP_nearest : mode == CUBIC ? INTERP_cubic : INTERP_linear;
	return !l->failed;
}

/* Before opset 11 both sizes and scales are inputs, later one of them is. */
bool
ov_read_interpolate(Layer *l)
{
	bool both = l->info->since < 11, sizes;
	int place = both ? 3 : 2;
	Resize r = {.x = NULL};
	Ints axes;

	if (!read_modes(l, &r, &sizes) || !pad_input(l, &r))
		return false;
	keep_all(&r);
	axes = ov_range(l, 0, r.x->type.rank);
	if (ov_in(l, place) && (!ov_const_ints(l, place, &axes) ||
	                        !ov_norm_axes(l, axes, r.x->type.rank, &axes)))
		return false;
	return set_sizes(l, &r, sizes, both && !sizes ? 2 : 1, axes) && finish(l, &r);
}

static bool
has_pads(Layer *l)
{
	Ints begin = ov_ints(l, "pads_begin"), end = ov_ints(l, "pads_end");

	for (int i = 0; i < begin.n; i++)
		if (begin.v[i])
			return true;
	for (int i = 0; i < end.n; i++)
		if (end.v[i])
			return true;
	return false;
}

static bool
are_images(const Type *x, Ints axes)
{
	return x->rank == 4 && axes.n == 2 && axes.v[0] + axes.v[1] == 5 &&
	       (axes.v[0] == 2 || axes.v[0] == 3);
}

/* The first form, in the meaning that OpenVINO gives it today: corners are aligned or not,
 * and lengths are given. */
bool
ov_read_interpolate_first(Layer *l)
{
	static const char *const modes[] = {"nearest", "linear", "cubic", "area", NULL};
	static const Interpolation mode[] = {INTERP_nearest, INTERP_linear, INTERP_cubic};
	int word = ov_word(l, "mode", modes, 0);
	bool corners = ov_bool(l, "align_corners", true);
	Ints axes = ov_ints(l, "axes");
	Resize r = {.cubic = -0.75};

	if (l->failed)
		return false;
	if (word == 3)
		return refuse(l, "interpolation by areas");
	if (ov_bool(l, "antialias", false) && word == 1)
		return refuse(l, "antialiasing");
	if (!pad_input(l, &r) || !ov_norm_axes(l, axes, r.x->type.rank, &axes))
		return false;
	r.mode = mode[word];
	r.simple = r.mode == INTERP_nearest;
	r.coordinates = corners ? COORD_align_corners : COORD_asymmetric;
	if (!corners && r.mode == INTERP_linear && !has_pads(l) && !are_images(&r.x->type, axes))
		r.coordinates = COORD_half_pixel;
	keep_all(&r);
	return set_sizes(l, &r, true, 1, axes) && finish(l, &r);
}
