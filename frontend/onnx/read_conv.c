/*
 * Convolutions and pools.
 */
#include "frontend/onnx/window.h"

#include "ir/num.h"

/* ---- Windows ---- */

AutoPad
onnx_auto_pad(ONode *n)
{
	static const char *const words[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};

	return (AutoPad)onnx_word(n, "auto_pad", words, AUTO_NOTSET);
}

/* An attribute with one positive number a spatial axis. */
static bool
window_list(ONode *n, const char *name, int count, int64_t lo, int64_t otherwise, Ints *out)
{
	*out = onnx_has(n, name) ? onnx_ints(n, name) : onnx_filled(n, count, otherwise);
	if (n->failed)
		return false;
	if (out->n != count)
		return onnx_error_attr(n, name, E_ATTRIBUTE,
		                       "attribute '%s' has %d elements instead of %d", name, out->n,
		                       count);
	for (int i = 0; i < count; i++)
		if (out->v[i] < lo || out->v[i] > INT32_MAX)
			return onnx_error_attr(n, name, E_VALUE, "attribute '%s' has the element %lld",
			                       name, (long long)out->v[i]);
	return true;
}

static bool
window_kernel(ONode *n, const int32_t *kernel, Window *w)
{
	int64_t *v;

	if (!kernel && !onnx_has(n, "kernel_shape"))
		return onnx_error(n, E_ATTRIBUTE, "'%s' needs the attribute 'kernel_shape'",
		                  n->info->name);
	if (onnx_has(n, "kernel_shape") &&
	    !window_list(n, "kernel_shape", w->rank, 1, 1, &w->kernel))
		return false;
	if (!kernel)
		return true;
	v = onnx_new_ints(n, w->rank);
	for (int i = 0; i < w->rank; i++) {
		v[i] = kernel[i];
		if (w->kernel.n && w->kernel.v[i] != v[i])
			return onnx_error_attr(n, "kernel_shape", E_SHAPE,
			                       "kernel_shape has %lld in axis %d, the weights %lld",
			                       (long long)w->kernel.v[i], i, (long long)v[i]);
	}
	w->kernel = (Ints){w->rank, v};
	return true;
}

/* ONNX auto_pad: SAME gives ceil(length / stride) positions. */
static Ints
same_pads(ONode *n, const Type *x, const Window *w, bool upper)
{
	int64_t *v = onnx_new_ints(n, 2 * w->rank);

	for (int i = 0; i < w->rank; i++) {
		int64_t length = x->dim[i + 2], stride = w->strides.v[i];
		int64_t span = (w->kernel.v[i] - 1) * w->dilations.v[i] + 1;
		int64_t positions = (length + stride - 1) / stride;
		int64_t total = (positions - 1) * stride + span - length;

		if (total < 0)
			total = 0;
		v[i] = upper ? total / 2 : total - total / 2;
		v[i + w->rank] = total - v[i];
	}
	return (Ints){2 * w->rank, v};
}

bool
onnx_window(ONode *n, const Type *x, const int32_t *kernel, bool transposed, Window *w)
{
	AutoPad pad = onnx_auto_pad(n);

	*w = (Window){.rank = x->rank - 2};
	if (w->rank < 1 || w->rank > MAX_RANK - 2)
		return onnx_error_in(n, 0, E_SHAPE, "'%s' cannot work on %s", n->info->name,
		                     type_text(n->r->arena, x));
	if (!window_kernel(n, kernel, w) ||
	    !window_list(n, "strides", w->rank, 1, 1, &w->strides) ||
	    !window_list(n, "dilations", w->rank, 1, 1, &w->dilations) ||
	    !window_list(n, "pads", 2 * w->rank, 0, 0, &w->pads))
		return false;
	if ((pad == AUTO_SAME_UPPER || pad == AUTO_SAME_LOWER) && !transposed)
		w->pads = same_pads(n, x, w, pad == AUTO_SAME_UPPER);
	if (pad == AUTO_VALID)
		w->pads = onnx_filled(n, 2 * w->rank, 0);
	return !n->failed;
}

/* ---- Convolutions ---- */

Value *
onnx_conv(ONode *n, Value *x, Value *w, Value *bias, const Window *window, int64_t group)
{
	Node *k = x && w ? onnx_node(n, OP_CONV, bias ? 3 : 2, (Value *[]){x, w, bias}, 1) : NULL;

	if (k)
		*(Attr_CONV *)k->attr = (Attr_CONV){.strides = window->strides,
		                                    .pads = window->pads,
		                                    .dilations = window->dilations,
		                                    .group = group};
	return onnx_finish(n, k);
}

static bool
same_rank(ONode *n)
{
	if (n->in[1]->type.rank == n->in[0]->type.rank && n->in[0]->type.rank >= 3)
		return true;
	return onnx_error_in(n, 1, E_SHAPE, "weights %s do not fit the input %s",
	                     type_text(n->r->arena, &n->in[1]->type),
	                     type_text(n->r->arena, &n->in[0]->type));
}

bool
onnx_read_conv(ONode *n)
{
	Value *x = n->in[0], *w = n->in[1];
	int64_t group = onnx_int_in(n, "group", 1, 1, INT32_MAX);
	Window window;

	return same_rank(n) && onnx_window(n, &x->type, w->type.dim + 2, false, &window) &&
	       onnx_result(n, onnx_conv(n, x, w, onnx_in(n, 2), &window, group));
}

/* Pads that give output_shape (or with SAME: length * stride); ONNX
 * ConvTranspose-11 §output_shape.  What a longer result lacks comes behind. */
static bool
transposed_pads(ONode *n, const Type *x, Window *w, Ints *extra)
{
	AutoPad pad = onnx_auto_pad(n);
	bool same = pad == AUTO_SAME_UPPER || pad == AUTO_SAME_LOWER;
	Ints shape = onnx_ints(n, "output_shape");
	int64_t *v = onnx_new_ints(n, 2 * w->rank), *behind = onnx_new_ints(n, w->rank);

	if (n->failed || (!shape.n && !same))
		return !n->failed;
	/* Some files list batch and channels too. */
	if (shape.n == w->rank + 2)
		shape = (Ints){w->rank, shape.v + 2};
	if (shape.n && shape.n != w->rank)
		return onnx_error_attr(n, "output_shape", E_ATTRIBUTE,
		                       "attribute 'output_shape' has %d elements instead of %d",
		                       shape.n, w->rank);
	for (int i = 0; i < w->rank; i++) {
		int64_t span = (w->kernel.v[i] - 1) * w->dilations.v[i] + 1;
		int64_t full = ((int64_t)x->dim[i + 2] - 1) * w->strides.v[i] + span + extra->v[i];
		int64_t wanted = shape.n ? shape.v[i] : x->dim[i + 2] * w->strides.v[i];
		int64_t total;

		if (wanted < 0 || wanted > INT32_MAX)
			return onnx_error_attr(n, "output_shape", E_VALUE,
			                       "attribute 'output_shape' has the element %lld",
			                       (long long)wanted);
		total = full > wanted ? full - wanted : 0;
		behind[i] = extra->v[i] + (full < wanted ? wanted - full : 0);
		v[i] = pad == AUTO_SAME_UPPER ? total / 2 : total - total / 2;
		v[i + w->rank] = total - v[i];
	}
	w->pads = (Ints){2 * w->rank, v};
	*extra = (Ints){w->rank, behind};
	return true;
}

bool
onnx_read_conv_transpose(ONode *n)
{
	Value *x = n->in[0], *w = n->in[1];
	int64_t group = onnx_int_in(n, "group", 1, 1, INT32_MAX);
	Window window;
	Ints extra;
	Node *k;

	if (!same_rank(n) || !onnx_window(n, &x->type, w->type.dim + 2, true, &window) ||
	    !window_list(n, "output_padding", window.rank, 0, 0, &extra) ||
	    !transposed_pads(n, &x->type, &window, &extra))
		return false;
	k = onnx_node(n, OP_CONV_TRANSPOSE, onnx_in(n, 2) ? 3 : 2, n->in, 1);
	if (k)
		*(Attr_CONV_TRANSPOSE *)k->attr = (Attr_CONV_TRANSPOSE){
			.strides = window.strides,
			.pads = window.pads,
			.dilations = window.dilations,
			.output_padding = extra,
			.group = group};
	return onnx_result(n, onnx_finish(n, k));
}

/* ---- Pools ---- */

/* The attributes that all pools begin with. */
#define SET_POOL(ID, k, w, ceil) \
	do { \
		Attr_##ID *pool_attr = (k)->attr; \
		pool_attr->kernel = (w)->kernel; \
		pool_attr->strides = (w)->strides; \
		pool_attr->pads = (w)->pads; \
		pool_attr->dilations = (w)->dilations; \
		pool_attr->ceil_mode = (ceil); \
	} while (0)

bool
onnx_read_max_pool(ONode *n)
{
	bool ceil = onnx_flag(n, "ceil_mode", false);
	bool column_major = onnx_flag(n, "storage_order", false);
	Value *out[2];
	Window w;
	Node *k;

	if (!onnx_window(n, &n->in[0]->type, NULL, false, &w))
		return false;
	k = onnx_node(n, OP_MAX_POOL, 1, n->in, onnx_wants(n, 1) ? 2 : 1);
	if (k) {
		SET_POOL(MAX_POOL, k, &w, ceil);
		((Attr_MAX_POOL *)k->attr)->column_major = column_major;
	}
	if (!onnx_finish_all(n, k, out))
		return false;
	n->out[0] = out[0];
	if (onnx_wants(n, 1))
		n->out[1] = out[1];
	return true;
}

bool
onnx_read_average_pool(ONode *n)
{
	bool ceil = onnx_flag(n, "ceil_mode", false);
	bool all = onnx_flag(n, "count_include_pad", false);
	Window w;
	Node *k;

	if (!onnx_window(n, &n->in[0]->type, NULL, false, &w))
		return false;
	k = onnx_node(n, OP_AVG_POOL, 1, n->in, 1);
	if (k) {
		SET_POOL(AVG_POOL, k, &w, ceil);
		((Attr_AVG_POOL *)k->attr)->count_include_pad = all;
	}
	return onnx_result(n, onnx_finish(n, k));
}

/* p is a float in opset 1. */
static int64_t
norm_order(ONode *n)
{
	double p;

	if (n->opset > 1)
		return onnx_int_in(n, "p", 2, 1, INT32_MAX);
	p = onnx_float(n, "p", 2);
	if (!n->failed && !(p >= 1 && p <= INT32_MAX && p == (double)(int64_t)p))
		onnx_error_attr(n, "p", E_VALUE, "the order %g of a norm is not supported", p);
	return n->failed ? 2 : (int64_t)p;
}

bool
onnx_read_lp_pool(ONode *n)
{
	bool ceil = onnx_flag(n, "ceil_mode", false);
	int64_t p = norm_order(n);
	Window w;
	Node *k;

	if (!onnx_window(n, &n->in[0]->type, NULL, false, &w))
		return false;
	k = onnx_node(n, OP_LP_POOL, 1, n->in, 1);
	if (k) {
		SET_POOL(LP_POOL, k, &w, ceil);
		((Attr_LP_POOL *)k->attr)->p = p;
	}
	return onnx_result(n, onnx_finish(n, k));
}

static bool
has_spatial_axes(ONode *n)
{
	return n->in[0]->type.rank >= 3 ||
	       onnx_error_in(n, 0, E_SHAPE, "'%s' cannot work on %s", n->info->name,
	                     type_text(n->r->arena, &n->in[0]->type));
}

bool
onnx_read_global_pool(ONode *n)
{
	Value *x = n->in[0];

	return has_spatial_axes(n) &&
	       onnx_result(n, onnx_reduce(n, n->info->op, x, onnx_range(n, 2, x->type.rank), true));
}

bool
onnx_read_global_lp_pool(ONode *n)
{
	Value *x = n->in[0];
	int64_t p = norm_order(n);
	Ints axes = onnx_range(n, 2, x->type.rank);

	if (n->failed || !has_spatial_axes(n))
		return false;
	if (p <= 2)
		return onnx_result(n, onnx_reduce(n, p == 1 ? OP_REDUCE_L1 : OP_REDUCE_L2, x, axes,
		                                  true));
	x = onnx_with(n, OP_POW, onnx_unary(n, OP_ABS, x), (double)p);
	x = onnx_reduce(n, OP_REDUCE_SUM, x, axes, true);
	return onnx_result(n, onnx_with(n, OP_POW, x, 1.0 / (double)p));
}

/*
 * Values go back to the places that the flat indices name, in a tensor of the
 * size that the pool would have come from; a larger output_shape adds zeros
 * behind.
 */
bool
onnx_read_max_unpool(ONode *n)
{
	Value *x = n->in[0], *index = n->in[1], *flat, *y;
	Type full = x->type, wanted;
	int64_t *pads = onnx_new_ints(n, 2 * MAX_RANK);
	Window w;
	Node *k;

	if (!onnx_window(n, &x->type, NULL, false, &w))
		return false;
	for (int i = 0; i < w.rank; i++) {
		int64_t length = (x->type.dim[i + 2] - 1) * w.strides.v[i] + w.kernel.v[i] -
		                 w.pads.v[i] - w.pads.v[i + w.rank];

		if (length < 0 || length > INT32_MAX)
			return onnx_error(n, E_SIZE, "the result has the length %lld",
			                  (long long)length);
		full.dim[i + 2] = (int32_t)length;
	}
	wanted = full;
	if (onnx_in(n, 2) && onnx_is_const(n, 2)) {
		Ints shape;

		if (!onnx_const_ints(n, 2, &shape))
			return false;
		if (shape.n != full.rank)
			return onnx_error_in(n, 2, E_SHAPE, "a shape of %d dimensions instead of %d",
			                     shape.n, full.rank);
		for (int i = 0; i < full.rank; i++)
			wanted.dim[i] = shape.v[i] < 0 || shape.v[i] > INT32_MAX
			                        ? -1
			                        : (int32_t)shape.v[i];
	} else if (onnx_in(n, 2) && (!onnx_declared(n, 0, &wanted) || wanted.rank != full.rank)) {
		return onnx_dynamic(n, 2);
	}
	for (int i = 0; i < full.rank; i++) {
		pads[i + full.rank] = (int64_t)wanted.dim[i] - full.dim[i];
		if (pads[i + full.rank] < 0)
			return onnx_error_in(n, 2, E_SHAPE, "the output shape is smaller than %s",
			                     type_text(n->r->arena, &full));
	}
	if (!type_is_representable(&full))
		return onnx_error(n, E_SIZE, "the result is larger than 2 GiB");
	flat = onnx_full(n, &(Type){.dtype = x->type.dtype, .rank = 1, .dim = {type_numel(&full)}}, 0);
	index = onnx_reshape_to(n, index, &(Type){.rank = 1, .dim = {type_numel(&index->type)}});
	x = onnx_reshape_to(n, x, &(Type){.rank = 1, .dim = {type_numel(&x->type)}});
	k = flat && index && x
	            ? onnx_node(n, OP_SCATTER_ELEMENTS, 3, (Value *[]){flat, index, x}, 1)
	            : NULL;
	y = onnx_reshape_to(n, onnx_finish(n, k), &full);
	return onnx_result(n, onnx_pad(n, y, (Ints){2 * full.rank, pads}, PAD_constant, NULL));
}

bool
onnx_read_roi_align(ONode *n)
{
	static const char *const modes[] = {"avg", "max", NULL};
	static const char *const coordinates[] = {"half_pixel", "output_half_pixel", NULL};
	Attr_ROI_ALIGN a = {
		.height = onnx_int_in(n, "output_height", 1, 1, INT32_MAX),
		.width = onnx_int_in(n, "output_width", 1, 1, INT32_MAX),
		.sampling_ratio = onnx_int_in(n, "sampling_ratio", 0, 0, INT32_MAX),
		.spatial_scale = onnx_float(n, "spatial_scale", 1.0),
		.half_pixel = onnx_word(n, "coordinate_transformation_mode", coordinates,
	                                n->opset < 16) == 0,
		.mode = onnx_word(n, "mode", modes, 0) ? POOL_max : POOL_average};
	Node *k = onnx_node(n, OP_ROI_ALIGN, 3, n->in, 1);

	if (k)
		*(Attr_ROI_ALIGN *)k->attr = a;
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_grid_sample(ONode *n)
{
	/* opset 16 and 20 spell the modes differently */
	static const char *const modes[] = {"nearest", "bilinear", "linear", "bicubic", "cubic",
	                                    NULL};
	static const Interpolation kinds[] = {INTERP_nearest, INTERP_linear, INTERP_linear,
	                                      INTERP_cubic, INTERP_cubic};
	static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
	Node *k = onnx_node(n, OP_GRID_SAMPLE, 2, n->in, 1);
	Attr_GRID_SAMPLE a = {
		.mode = kinds[onnx_word(n, "mode", modes, 1)],
		.padding = (GridPadding)onnx_word(n, "padding_mode", paddings, GRID_zeros),
		.align_corners = onnx_flag(n, "align_corners", false)};

	if (k)
		*(Attr_GRID_SAMPLE *)k->attr = a;
	return onnx_result(n, onnx_finish(n, k));
}
