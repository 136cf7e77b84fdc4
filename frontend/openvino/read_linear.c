/*
 * Products, convolutions and pools.
 */
#include <string.h>

#include "frontend/openvino/read.h"

/* ---- Products ---- */

/* Swaps the last two axes. */
static Value *
transposed(Layer *l, Value *x)
{
	int perm[MAX_RANK], rank = x->type.rank;

	for (int i = 0; i < rank; i++)
		perm[i] = i;
	perm[rank - 2] = rank - 1;
	perm[rank - 1] = rank - 2;
	return ov_transpose_weights(l, x, perm);
}

bool
ov_read_matmul(Layer *l)
{
	bool first = ov_bool(l, "transpose_a", false) && l->in[0]->type.rank > 1;
	bool second = ov_bool(l, "transpose_b", false) && l->in[1]->type.rank > 1;
	Value *x = l->in[0], *y = l->in[1];

	if (l->failed)
		return false;
	if (x->type.rank == 0 || y->type.rank == 0)
		return ov_error(l, E_SHAPE, "a number cannot be multiplied as a matrix");
	if (x->type.rank == 2 && y->type.rank == 2) {
		Node *n = build_node(&l->b, OP_GEMM, 2, l->in);

		if (n) {
			((Attr_GEMM *)n->attr)->trans_a = first;
			((Attr_GEMM *)n->attr)->trans_b = second;
		}
		return ov_result(l, build_finish(&l->b, n));
	}
	if (first)
		x = transposed(l, x);
	if (second)
		y = transposed(l, y);
	return ov_result(l, build_matmul(&l->b, x, y));
}

/* ---- Windows ---- */

typedef enum { PAD_EXPLICIT, PAD_SAME_UPPER, PAD_SAME_LOWER, PAD_VALID } AutoPad;

enum { WINDOW_MAX = 1 << 24 }; /* of strides, pads and the like, so that sums fit */

typedef struct {
	int rank; /* spatial axes */
	int64_t kernel[MAX_RANK], stride[MAX_RANK], dilation[MAX_RANK];
	int64_t pad[2 * MAX_RANK]; /* all begins, then all ends */
	AutoPad automatic;
} Window;

static AutoPad
read_auto_pad(Layer *l)
{
	static const char *const words[] = {"explicit", "same_upper", "same_lower", "valid",
	                                    "notset", NULL};

	return (AutoPad)(ov_word(l, "auto_pad", words, 0) % 4);
}

/* One number a spatial axis; the absent attribute means `otherwise` for each. */
static bool
window_list(Layer *l, const char *name, int n, int64_t lo, int64_t otherwise, int64_t *out)
{
	Ints given = ov_ints(l, name);

	if (l->failed)
		return false;
	for (int i = 0; i < n; i++)
		out[i] = otherwise;
	if (!ov_attr(l, name))
		return true;
	if (given.n != n)
		return ov_error(l, E_ATTRIBUTE, "attribute '%s' has %d elements instead of %d", name,
		                given.n, n);
	for (int i = 0; i < n; i++) {
		if (given.v[i] < lo || given.v[i] > WINDOW_MAX)
			return ov_error(l, E_VALUE, "attribute '%s' has the element %lld", name,
			                (long long)given.v[i]);
		out[i] = given.v[i];
	}
	return true;
}

static int64_t
span(const Window *w, int i)
{
	return (w->kernel[i] - 1) * w->dilation[i] + 1;
}

/* As many positions as there are steps in the input. */
static void
pad_same(Window *w, const Type *x)
{
	for (int i = 0; i < w->rank; i++) {
		int64_t length = x->dim[2 + i];
		int64_t positions = (length + w->stride[i] - 1) / w->stride[i];
		int64_t total = (positions - 1) * w->stride[i] + span(w, i) - length;
		int64_t half;

		if (total < 0)
			total = 0;
		half = w->automatic == PAD_SAME_UPPER ? total / 2 : total - total / 2;
		w->pad[i] = half;
		w->pad[w->rank + i] = total - half;
	}
}

/* All but the kernel, whose lengths are set. */
static bool
read_window(Layer *l, const Type *x, bool transposes, Window *w)
{
	if (!window_list(l, "strides", w->rank, 1, 1, w->stride) ||
	    !window_list(l, "dilations", w->rank, 1, 1, w->dilation) ||
	    !window_list(l, "pads_begin", w->rank, 0, 0, w->pad) ||
	    !window_list(l, "pads_end", w->rank, 0, 0, w->pad + w->rank))
		return false;
	w->automatic = read_auto_pad(l);
	if (w->automatic != PAD_EXPLICIT)
		memset(w->pad, 0, sizeof w->pad);
	if (!transposes && (w->automatic == PAD_SAME_UPPER || w->automatic == PAD_SAME_LOWER))
		pad_same(w, x);
	return !l->failed;
}

/* ---- Convolutions ---- */

/* Weights with an axis of groups in front as the graph IR has them: the groups are merged
 * into the first of the other axes. */
static Value *
merge_groups(Layer *l, Value *w, int64_t *group)
{
	Type t = {.dtype = w->type.dtype, .rank = w->type.rank - 1};

	*group = w->type.dim[0];
	if (*group * w->type.dim[1] > INT32_MAX || *group == 0) {
		ov_error_in(l, 1, E_SHAPE, "has type %s", type_text(l->r->arena, &w->type));
		return NULL;
	}
	for (int i = 0; i < t.rank; i++)
		t.dim[i] = w->type.dim[i + 1];
	t.dim[0] *= w->type.dim[0];
	return ov_reshape_weights(l, w, &t);
}

/* The kernel of weights that fit x, with the groups taken out. */
static Value *
conv_weights(Layer *l, bool grouped, int64_t *group, Window *w)
{
	const Type *x = &l->in[0]->type;
	Value *weights = l->in[1];

	*group = 1;
	*w = (Window){.rank = x->rank - 2};
	if (x->rank < 3 || weights->type.rank != x->rank + grouped) {
		ov_error_in(l, 1, E_SHAPE, "of type %s does not fit the input %s",
		            type_text(l->r->arena, &weights->type), type_text(l->r->arena, x));
		return NULL;
	}
	if (grouped)
		weights = merge_groups(l, weights, group);
	for (int i = 0; weights && i < w->rank; i++) {
		w->kernel[i] = weights->type.dim[2 + i];
		if (w->kernel[i] < 1 || w->kernel[i] > WINDOW_MAX) {
			ov_error_in(l, 1, E_SHAPE, "has type %s",
			            type_text(l->r->arena, &weights->type));
			return NULL;
		}
	}
	return weights;
}

static bool
read_conv(Layer *l, bool grouped)
{
	int64_t group;
	Window w;
	Value *weights = conv_weights(l, grouped, &group, &w);
	Node *n;

	if (!weights || !read_window(l, &l->in[0]->type, false, &w))
		return false;
	n = build_node(&l->b, OP_CONV, 2, (Value *[]){l->in[0], weights});
	if (n) {
		Attr_CONV *a = n->attr;

		a->strides = build_ints(&l->b, w.rank, w.stride);
		a->pads = build_ints(&l->b, 2 * w.rank, w.pad);
		a->dilations = build_ints(&l->b, w.rank, w.dilation);
		a->group = group;
	}
	return ov_result(l, build_finish(&l->b, n));
}

bool
ov_read_conv(Layer *l)
{
	return read_conv(l, false);
}

bool
ov_read_group_conv(Layer *l)
{
	return read_conv(l, true);
}

/* Pads that give the shape that input 2 states; what it has more comes behind. */
static bool
pads_for_shape(Layer *l, Window *w, int64_t *more)
{
	const Type *x = &l->in[0]->type;
	Ints shape;

	if (!ov_const_ints(l, 2, &shape))
		return false;
	if (shape.n != w->rank)
		return ov_error_in(l, 2, E_SHAPE, "has %d lengths for %d axes", shape.n, w->rank);
	for (int i = 0; i < w->rank; i++) {
		int64_t full = ((int64_t)x->dim[2 + i] - 1) * w->stride[i] + span(w, i) + more[i];
		int64_t total, half;

		if (shape.v[i] < 0 || shape.v[i] > INT32_MAX)
			return ov_error_in(l, 2, E_VALUE, "has the element %lld",
			                   (long long)shape.v[i]);
		total = full - shape.v[i];
		if (total < 0) {
			more[i] -= total;
			total = 0;
		}
		half = w->automatic == PAD_SAME_UPPER ? total - total / 2 : total / 2;
		w->pad[i] = half;
		w->pad[w->rank + i] = total - half;
	}
	return true;
}

static bool
read_backprop(Layer *l, bool grouped)
{
	int64_t group, more[MAX_RANK];
	Window w;
	Value *weights = conv_weights(l, grouped, &group, &w);
	Node *n;

	if (!weights || !read_window(l, &l->in[0]->type, true, &w) ||
	    !window_list(l, "output_padding", w.rank, 0, 0, more) ||
	    (ov_in(l, 2) && !pads_for_shape(l, &w, more)))
		return false;
	n = build_node(&l->b, OP_CONV_TRANSPOSE, 2, (Value *[]){l->in[0], weights});
	if (n) {
		Attr_CONV_TRANSPOSE *a = n->attr;

		a->strides = build_ints(&l->b, w.rank, w.stride);
		a->pads = build_ints(&l->b, 2 * w.rank, w.pad);
		a->dilations = build_ints(&l->b, w.rank, w.dilation);
		a->output_padding = build_ints(&l->b, w.rank, more);
		a->group = group;
	}
	return ov_result(l, build_finish(&l->b, n));
}

bool
ov_read_conv_backprop(Layer *l)
{
	return read_backprop(l, false);
}

bool
ov_read_group_conv_backprop(Layer *l)
{
	return read_backprop(l, true);
}

/* ---- Pools ---- */

typedef enum { ROUND_FLOOR, ROUND_CEIL, ROUND_CEIL_TORCH } Rounding;

static Rounding
read_rounding(Layer *l)
{
	static const char *const words[] = {"floor", "ceil", "ceil_torch", NULL};

	return (Rounding)ov_word(l, "rounding_type", words, ROUND_FLOOR);
}

static bool
pool_window(Layer *l, Window *w)
{
	const Type *x = &l->in[0]->type;

	*w = (Window){.rank = x->rank - 2};
	if (x->rank < 3)
		return ov_error_in(l, 0, E_SHAPE, "has type %s; spatial axes are needed",
		                   type_text(l->r->arena, x));
	if (!ov_attr(l, "kernel"))
		return ov_error(l, E_ATTRIBUTE, "the attribute 'kernel' is missing");
	return window_list(l, "kernel", w->rank, 1, 1, w->kernel) &&
	       read_window(l, x, false, w);
}

/* How far the last window reaches beyond the padded input where positions are rounded up. */
static int64_t
overhang(const Window *w, const Type *x, int i)
{
	int64_t padded = x->dim[2 + i] + w->pad[i] + w->pad[w->rank + i];
	int64_t rest = (padded - span(w, i)) % w->stride[i];

	return padded < span(w, i) || rest == 0 ? 0 : w->stride[i] - rest;
}

/* A window that begins behind the input is counted by "ceil", but not by the graph IR. */
static bool
check_ceil(Layer *l, const Window *w, Rounding rounding)
{
	const Type *x = &l->in[0]->type;

	for (int i = 0; rounding == ROUND_CEIL && i < w->rank; i++) {
		int64_t over = overhang(w, x, i);
		int64_t end = x->dim[2 + i] + w->pad[i] + w->pad[w->rank + i] + over;

		if (over > 0 && end - span(w, i) >= x->dim[2 + i] + w->pad[i])
			return ov_error(l, E_UNSUPPORTED,
			                "the last window of axis %d lies outside of the input", 2 + i);
	}
	return true;
}

static Node *
pool_node(Layer *l, Op op, Value *x, const Window *w, bool ceil, int nouts)
{
	Node *n = build_node_outputs(&l->b, op, 1, &x, nouts);
	Attr_MAX_POOL *a = n ? n->attr : NULL; /* both pools begin alike */

	if (a) {
		a->kernel = build_ints(&l->b, w->rank, w->kernel);
		a->strides = build_ints(&l->b, w->rank, w->stride);
		a->pads = build_ints(&l->b, 2 * w->rank, w->pad);
		a->dilations = build_ints(&l->b, w->rank, w->dilation);
		a->ceil_mode = ceil;
	}
	return n;
}

_Static_assert(offsetof(Attr_MAX_POOL, ceil_mode) == offsetof(Attr_AVG_POOL, ceil_mode) &&
                       offsetof(Attr_MAX_POOL, dilations) == offsetof(Attr_AVG_POOL, dilations),
               "pools differ");

/* Places are counted from `axis` on. */
static Value *
places_from(Layer *l, Value *places, int64_t given, DType t)
{
	const Type *x = &l->in[0]->type;
	Node *n;
	int axis;

	if (!ov_norm_axis(l, given, x->rank, &axis))
		return NULL;
	if (axis > 0) {
		Value *count = build_scalar(&l->b, DT_I64, type_product(x, axis, x->rank));

		n = build_node(&l->b, OP_MOD, 2, (Value *[]){places, count});
		places = build_finish(&l->b, n);
	}
	return ov_cast(l, places, t);
}

bool
ov_read_max_pool(Layer *l)
{
	int64_t axis = ov_int(l, "axis", 0, INT32_MIN, INT32_MAX);
	DType place = ov_dtype_attr(l, "index_element_type", DT_I64);
	Rounding rounding = read_rounding(l);
	Value *out[2] = {NULL};
	Window w;
	Node *n;

	if (l->failed || !pool_window(l, &w) || !check_ceil(l, &w, rounding))
		return false;
	n = pool_node(l, OP_MAX_POOL, l->in[0], &w, rounding != ROUND_FLOOR,
	              ov_wants(l, 1) ? 2 : 1);
	if (!build_finish_all(&l->b, n, out))
		return false;
	l->out[0] = out[0];
	if (!ov_wants(l, 1))
		return true;
	l->out[1] = places_from(l, out[1], axis, place);
	return l->out[1] != NULL;
}

static bool
has_pads(const Window *w)
{
	for (int i = 0; i < 2 * w->rank; i++)
		if (w->pad[i])
			return true;
	return false;
}

/* Pads as zeros of the input, with what the last windows reach further. */
static Value *
pad_input(Layer *l, Window *w, bool ceil)
{
	const Type *x = &l->in[0]->type;
	int64_t pads[2 * MAX_RANK] = {0};

	for (int i = 0; i < w->rank; i++) {
		pads[2 + i] = w->pad[i];
		pads[x->rank + 2 + i] = w->pad[w->rank + i] + (ceil ? overhang(w, x, i) : 0);
	}
	memset(w->pad, 0, sizeof w->pad);
	return build_pad(&l->b, l->in[0], pads, PAD_constant, NULL);
}

/* With pads that count every window has its full size, also where it reaches beyond them;
 * without pads only elements of the input count. */
bool
ov_read_avg_pool(Layer *l)
{
	bool exclude = ov_bool(l, "exclude-pad", false);
	Rounding rounding = read_rounding(l);
	Value *x = l->in[0];
	bool ceil = rounding != ROUND_FLOOR;
	Window w;
	Node *n;

	if (l->failed || !pool_window(l, &w) || !check_ceil(l, &w, rounding))
		return false;
	if (!exclude && ceil && has_pads(&w)) {
		x = pad_input(l, &w, true);
		ceil = false;
	} else if (!has_pads(&w)) {
		exclude = true;
	}
	n = pool_node(l, OP_AVG_POOL, x, &w, ceil, 1);
	if (n)
		((Attr_AVG_POOL *)n->attr)->count_include_pad = !exclude;
	return ov_result(l, build_finish(&l->b, n));
}
