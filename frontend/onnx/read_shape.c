/*
 * Operators that change or tell shapes: Reshape, Squeeze, Expand, Shape, ...
 */
#include "frontend/onnx/read.h"

#include <string.h>

/* ---- Shapes as operands ---- */

/* Fills in the 0 and -1 of Reshape. */
static bool
resolve_reshape(ONode *n, Ints shape, bool allow_zero, const char *attr, Type *y)
{
	const Type *x = &n->in[0]->type;
	int64_t known = 1;
	int free_axis = -1;

	if (shape.n > MAX_RANK)
		return onnx_error(n, E_SIZE, "the new shape has %d dimensions; at most %d are possible",
		                  shape.n, MAX_RANK);
	*y = (Type){.dtype = x->dtype, .rank = shape.n};
	for (int i = 0; i < shape.n; i++) {
		int64_t length = shape.v[i];

		if (length == -1 && free_axis < 0) {
			free_axis = i;
			continue;
		}
		if (length == 0 && !allow_zero) {
			if (i >= x->rank)
				return onnx_error(n, E_SHAPE,
				                  "dimension %d is to be kept, but '%s' has only %d",
				                  i, n->in[0]->name, x->rank);
			length = x->dim[i];
		}
		if (length < 0 || length > INT32_MAX) {
			const char *text = length == -1 ? "two dimensions are -1"
			                                : "a dimension is out of range";

			return attr ? onnx_error_attr(n, attr, E_VALUE, "%s", text)
			            : onnx_error_in(n, 1, E_VALUE, "%s", text);
		}
		y->dim[i] = (int32_t)length;
		if (__builtin_mul_overflow(known, length, &known))
			return onnx_error(n, E_SIZE, "the new shape is too large");
	}
	if (free_axis >= 0) {
		if (known == 0 || type_numel(x) % known)
			return onnx_error(n, E_SHAPE,
			                  "dimension -1 cannot be completed: %d elements in rows of %lld",
			                  type_numel(x), (long long)known);
		y->dim[free_axis] = (int32_t)(type_numel(x) / known);
	}
	if (!type_is_representable(y) || type_numel(y) != type_numel(x))
		return onnx_error(n, E_SHAPE, "%s cannot be reshaped to %s",
		                  type_text(n->r->arena, x), type_text(n->r->arena, y));
	return true;
}

/* The result's shape as the file states it, for an operand i that is not
 * constant; the elements must stay the same ones. */
static bool
declared_reshape(ONode *n, int i, Type *y)
{
	if (!onnx_declared(n, 0, y) || type_numel(y) != type_numel(&n->in[0]->type))
		return onnx_dynamic(n, i);
	y->dtype = n->in[0]->type.dtype;
	return true;
}

bool
onnx_read_reshape(ONode *n)
{
	bool allow_zero = onnx_flag(n, "allowzero", false);
	Ints shape;
	Type y;

	onnx_ignore(n, "consumed_inputs");
	if (n->failed)
		return false;
	if (n->opset < 5) {
		if (!resolve_reshape(n, onnx_ints(n, "shape"), false, "shape", &y))
			return false;
	} else if (onnx_in(n, 1) && !onnx_is_const(n, 1)) {
		if (!declared_reshape(n, 1, &y))
			return false;
	} else if (!onnx_const_ints(n, 1, &shape) ||
	           !resolve_reshape(n, shape, allow_zero, NULL, &y)) {
		return false;
	}
	return onnx_result(n, onnx_reshape_to(n, n->in[0], &y));
}

bool
onnx_read_flatten(ONode *n)
{
	const Type *x = &n->in[0]->type;
	int64_t axis = onnx_int(n, "axis", 1);
	Type y = {.rank = 2};

	if (n->failed)
		return false;
	if (axis < -x->rank || axis > x->rank)
		return onnx_error_attr(n, "axis", E_VALUE,
		                       "axis %lld is outside of a tensor of rank %d",
		                       (long long)axis, x->rank);
	if (axis < 0)
		axis += x->rank;
	y.dim[0] = type_product(x, 0, (int)axis);
	y.dim[1] = type_product(x, (int)axis, x->rank);
	return onnx_result(n, onnx_reshape_to(n, n->in[0], &y));
}

bool
onnx_read_squeeze(ONode *n)
{
	const Type *x = &n->in[0]->type;
	Type y = {.rank = 0};
	bool present;
	Ints axes;
	int k = 0;

	if (n->opset >= 13 && onnx_in(n, 1) && !onnx_is_const(n, 1))
		return declared_reshape(n, 1, &y) &&
		       onnx_result(n, onnx_reshape_to(n, n->in[0], &y));
	if (!onnx_axes(n, 13, 1, x->rank, &present, &axes))
		return false;
	for (int i = 0; i < x->rank; i++) {
		bool named = k < axes.n && axes.v[k] == i;

		k += named;
		if (named && x->dim[i] != 1)
			return onnx_error(n, E_SHAPE, "axis %d of %s has more than one element", i,
			                  type_text(n->r->arena, x));
		if (!(present ? named : x->dim[i] == 1))
			y.dim[y.rank++] = x->dim[i];
	}
	return onnx_result(n, onnx_reshape_to(n, n->in[0], &y));
}

bool
onnx_read_unsqueeze(ONode *n)
{
	const Type *x = &n->in[0]->type;
	const char *attr = n->opset < 13 ? "axes" : NULL;
	Type y = {.rank = 0};
	Ints axes;
	int k = 0;

	if (!attr && onnx_in(n, 1) && !onnx_is_const(n, 1))
		return declared_reshape(n, 1, &y) &&
		       onnx_result(n, onnx_reshape_to(n, n->in[0], &y));
	if (attr)
		axes = onnx_ints(n, "axes");
	else if (!onnx_const_ints(n, 1, &axes))
		return false;
	if (n->failed)
		return false;
	if (x->rank + axes.n > MAX_RANK)
		return onnx_error(n, E_SIZE, "the result has %d dimensions; at most %d are possible",
		                  x->rank + axes.n, MAX_RANK);
	y.rank = x->rank + axes.n;
	if (!onnx_norm_axes(n, axes, y.rank, attr, 1, &axes))
		return false;
	for (int i = 0; i < y.rank; i++)
		y.dim[i] = k < axes.n && axes.v[k] == i ? (k++, 1) : x->dim[i - k];
	return onnx_result(n, onnx_reshape_to(n, n->in[0], &y));
}

/* ---- Telling shapes ---- */

static int
clamp_axis(int64_t v, int rank)
{
	if (v < 0)
		v += rank;
	return v < 0 ? 0 : v > rank ? rank : (int)v;
}

bool
onnx_read_shape(ONode *n)
{
	Ints all = onnx_shape(n, n->in[0]);
	int start = clamp_axis(onnx_int(n, "start", 0), all.n);
	int end = clamp_axis(onnx_int(n, "end", all.n), all.n);

	return onnx_result(n, onnx_int64s(n, (Ints){end > start ? end - start : 0, all.v + start}));
}

bool
onnx_read_size(ONode *n)
{
	return onnx_result(n, onnx_scalar(n, DT_I64, type_numel(&n->in[0]->type)));
}

/* ---- Repeating ---- */

/* A shape of non-negative dimensions out of constant operand i. */
static bool
shape_operand(ONode *n, int i, Type *t)
{
	Ints list;

	if (!onnx_const_ints(n, i, &list))
		return false;
	if (list.n > MAX_RANK)
		return onnx_error_in(n, i, E_SIZE, "'%s' lists %d dimensions; at most %d are possible",
		                     n->in[i]->name, list.n, MAX_RANK);
	t->rank = list.n;
	for (int k = 0; k < list.n; k++) {
		if (list.v[k] < 0 || list.v[k] > INT32_MAX)
			return onnx_error_in(n, i, E_VALUE, "dimension %d is %lld", k,
			                     (long long)list.v[k]);
		t->dim[k] = (int32_t)list.v[k];
	}
	if (!type_is_representable(t))
		return onnx_error_in(n, i, E_SIZE, "a tensor of this shape is larger than 2 GiB");
	return true;
}

bool
onnx_read_expand(ONode *n)
{
	const Type *x = &n->in[0]->type;
	Type shape = {.dtype = x->dtype}, y = {.dtype = x->dtype};

	if (onnx_is_const(n, 1)) {
		if (!shape_operand(n, 1, &shape))
			return false;
	} else if (!onnx_declared(n, 0, &shape)) {
		return onnx_dynamic(n, 1);
	}
	if (!type_broadcast(x, &shape, &y))
		return onnx_error(n, E_SHAPE, "%s cannot be expanded to %s",
		                  type_text(n->r->arena, x), type_text(n->r->arena, &shape));
	if (!type_is_representable(&y))
		return onnx_error(n, E_SIZE, "the result is larger than 2 GiB");
	return onnx_result(n, onnx_expand(n, n->in[0], &y));
}

/* How often each axis is repeated. */
static bool
tile_repeats(ONode *n, Ints *out)
{
	const Type *x = &n->in[0]->type;
	int64_t *v = onnx_new_ints(n, x->rank);
	Type y;

	if (onnx_is_const(n, 1))
		return onnx_const_ints(n, 1, out);
	if (!onnx_declared(n, 0, &y) || y.rank != x->rank)
		return onnx_dynamic(n, 1);
	for (int i = 0; i < x->rank; i++) {
		if (x->dim[i] == 0 || y.dim[i] % x->dim[i])
			return onnx_dynamic(n, 1);
		v[i] = y.dim[i] / x->dim[i];
	}
	*out = (Ints){x->rank, v};
	return true;
}

/* Opset 1: one axis, how often. */
static bool
old_tile_repeats(ONode *n, Ints *out)
{
	int rank = n->in[0]->type.rank;
	int64_t *v = onnx_new_ints(n, rank), count, axis;

	if (!onnx_const_int(n, 1, &count) || !onnx_const_int(n, 2, &axis))
		return false;
	if (axis < 0 || axis >= rank)
		return onnx_error_in(n, 2, E_VALUE, "axis %lld is outside of a tensor of rank %d",
		                     (long long)axis, rank);
	for (int i = 0; i < rank; i++)
		v[i] = i == axis ? count : 1;
	*out = (Ints){rank, v};
	return true;
}

bool
onnx_read_tile(ONode *n)
{
	Ints repeats;
	Node *k;

	if (!(n->opset < 6 ? old_tile_repeats(n, &repeats) : tile_repeats(n, &repeats)))
		return false;
	if (repeats.n != n->in[0]->type.rank)
		return onnx_error_in(n, 1, E_SHAPE, "%d repeats for a tensor of rank %d", repeats.n,
		                     n->in[0]->type.rank);
	for (int i = 0; i < repeats.n; i++)
		if (repeats.v[i] < 0 || repeats.v[i] > INT32_MAX)
			return onnx_error_in(n, 1, E_VALUE, "repeat %d is %lld", i,
			                     (long long)repeats.v[i]);
	k = onnx_node(n, OP_TILE, 1, n->in, 1);
	if (k)
		((Attr_TILE *)k->attr)->repeats = repeats;
	return onnx_result(n, onnx_finish(n, k));
}

/* ---- Constants ---- */

bool
onnx_read_constant_of_shape(ONode *n)
{
	Type y = {.dtype = DT_F32}, t;
	const void *data = NULL;

	if (onnx_has(n, "value")) {
		if (!onnx_tensor_attr(n, "value", &t, &data))
			return false;
		if (type_numel(&t) != 1)
			return onnx_error_attr(n, "value", E_ATTRIBUTE,
			                       "attribute 'value' must have one element");
		y.dtype = t.dtype;
	}
	if (onnx_is_const(n, 0)) {
		if (!shape_operand(n, 0, &y))
			return false;
	} else {
		if (!onnx_declared(n, 0, &t))
			return onnx_dynamic(n, 0);
		t.dtype = y.dtype;
		y = t;
	}
	if (!type_is_representable(&y))
		return onnx_error(n, E_SIZE, "the result is larger than 2 GiB");
	if (!data)
		return onnx_result(n, onnx_full(n, &y, 0));
	t = y;
	t.rank = 0;
	return onnx_result(n, onnx_expand(n, onnx_const(n, t, data), &y));
}

static Value *
float_list(ONode *n, Floats v)
{
	Type t = {.dtype = DT_F32, .rank = 1, .dim = {v.n}};
	float *data = onnx_const_data(n, t);

	for (int i = 0; data && i < v.n; i++)
		data[i] = (float)v.v[i];
	return onnx_const(n, t, data);
}

bool
onnx_read_constant(ONode *n)
{
	Type t;
	const void *data;

	if (onnx_has(n, "value"))
		return onnx_tensor_attr(n, "value", &t, &data) &&
		       onnx_result(n, onnx_const(n, t, data));
	if (onnx_has(n, "sparse_value"))
		return onnx_sparse_attr(n, "sparse_value", &t, &data) &&
		       onnx_result(n, onnx_const(n, t, data));
	if (onnx_has(n, "value_float"))
		return onnx_result(n, onnx_scalar(n, DT_F32, onnx_float(n, "value_float", 0)));
	if (onnx_has(n, "value_floats"))
		return onnx_result(n, float_list(n, onnx_floats(n, "value_floats")));
	if (onnx_has(n, "value_int")) {
		int64_t v = onnx_int(n, "value_int", 0);

		return !n->failed && onnx_result(n, onnx_const(n, type_scalar(DT_I64),
		                                               onnx_list(n, 1, &v).v));
	}
	if (onnx_has(n, "value_ints"))
		return onnx_result(n, onnx_int64s(n, onnx_ints(n, "value_ints")));
	if (onnx_has(n, "value_string") || onnx_has(n, "value_strings"))
		return onnx_unsupported(n, "a string as the value");
	return onnx_error(n, E_ATTRIBUTE, "'Constant' has no value");
}

/* ---- Range ---- */

static int64_t
range_count(const ONode *n)
{
	double start = value_float(n->in[0], 0), limit = value_float(n->in[1], 0);
	double step = value_float(n->in[2], 0), count;

	if (dtype_is_integer(n->in[0]->type.dtype)) {
		int64_t span, by = value_int(n->in[2], 0);

		if (by == 0 || by == INT64_MIN ||
		    __builtin_sub_overflow(value_int(n->in[1], 0), value_int(n->in[0], 0), &span))
			return -1;
		if (span == 0 || (span > 0) != (by > 0))
			return 0;
		return span / by + (span % by != 0);
	}
	count = (limit - start) / step;
	if (!(count < INT32_MAX))
		return -1;
	return count > 0 ? (int64_t)count + ((double)(int64_t)count < count) : 0;
}

/* start + i * step; the length is constant or stated. */
bool
onnx_read_range(ONode *n)
{
	DType t = n->in[0]->type.dtype;
	Type declared;
	int64_t count;
	Value *i;

	for (int k = 0; k < 3; k++)
		if (type_numel(&n->in[k]->type) != 1)
			return onnx_error_in(n, k, E_SHAPE, "'%s' must be a scalar", n->in[k]->name);
	if (onnx_is_const(n, 0) && onnx_is_const(n, 1) && onnx_is_const(n, 2)) {
		count = range_count(n);
		if (count < 0 || count > INT32_MAX)
			return onnx_error(n, E_VALUE, "a range without an end");
	} else if (onnx_declared(n, 0, &declared) && declared.rank == 1) {
		count = declared.dim[0];
	} else {
		return onnx_dynamic(n, onnx_is_const(n, 0) ? onnx_is_const(n, 1) ? 2 : 1 : 0);
	}
	if (t == DT_BOOL)
		return onnx_unsupported(n, "element type bool");
	/* int16 counts beyond its range wrap as the additions would. */
	i = onnx_cast(n, onnx_iota(n, DT_I64, count, 0, 1), t);
	i = onnx_binary(n, OP_MUL, i, onnx_reshape_to(n, n->in[2], &(Type){.rank = 0}));
	return onnx_result(n, onnx_binary(n, OP_ADD, i,
	                                  onnx_reshape_to(n, n->in[0], &(Type){.rank = 0})));
}

bool
onnx_read_eye_like(ONode *n)
{
	Type t = n->in[0]->type;
	int64_t k = onnx_int(n, "k", 0);
	Value *y;
	Node *node;

	t.dtype = onnx_dtype_attr(n, "dtype", t.dtype);
	if (n->failed)
		return false;
	if (t.rank != 2)
		return onnx_error_in(n, 0, E_SHAPE, "'%s' must be a matrix", n->in[0]->name);
	if (k < -INT32_MAX || k > INT32_MAX)
		k = k < 0 ? -INT32_MAX : INT32_MAX;
	/* Ones, with what is below and above diagonal k cut off. */
	y = onnx_full(n, &t, 1);
	for (int upper = 0; upper < 2; upper++) {
		node = y ? onnx_node(n, OP_TRILU, 1, &y, 1) : NULL;
		if (node)
			*(Attr_TRILU *)node->attr = (Attr_TRILU){.upper = upper, .k = k};
		y = onnx_finish(n, node);
	}
	return onnx_result(n, y);
}
