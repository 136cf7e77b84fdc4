/*
 * Operators that move elements: Transpose, Slice, Concat, Gather, Pad, ...
 */
#include "frontend/onnx/read.h"

#include <string.h>

bool
onnx_read_transpose(ONode *n)
{
	int rank = n->in[0]->type.rank;
	Ints perm = onnx_ints(n, "perm"), sorted;
	int64_t *reversed = onnx_new_ints(n, rank);

	for (int i = 0; i < rank; i++)
		reversed[i] = rank - 1 - i;
	if (n->failed)
		return false;
	if (!onnx_has(n, "perm"))
		return onnx_result(n, onnx_transpose(n, n->in[0], (Ints){rank, reversed}));
	if (perm.n != rank)
		return onnx_error_attr(n, "perm", E_ATTRIBUTE,
		                       "a permutation of %d axes for a tensor of rank %d", perm.n,
		                       rank);
	for (int i = 0; i < rank; i++)
		if (perm.v[i] < 0)
			return onnx_error_attr(n, "perm", E_VALUE, "axis %lld is negative",
			                       (long long)perm.v[i]);
	return onnx_norm_axes(n, perm, rank, "perm", 0, &sorted) &&
	       onnx_result(n, onnx_transpose(n, n->in[0], perm));
}

bool
onnx_read_concat(ONode *n)
{
	int axis;

	for (int i = 0; i < n->nins; i++)
		if (!n->in[i])
			return onnx_error(n, E_ARITY, "input %d of 'Concat' is missing", i);
	if (n->opset >= 4 && !onnx_has(n, "axis"))
		return onnx_error(n, E_ATTRIBUTE, "'Concat' needs the attribute 'axis'");
	axis = onnx_axis(n, "axis", 1, n->in[0]->type.rank);
	return !n->failed && onnx_result(n, onnx_concat(n, n->nins, n->in, axis));
}

/* ---- Split ---- */

/* The lengths of the parts, where nothing states them: equal ones, the last one
 * shorter from opset 18 on. */
static bool
equal_parts(ONode *n, int32_t length, Ints *out)
{
	int parts = (int)onnx_int_in(n, "num_outputs", n->nouts, 1, INT32_MAX);
	int64_t chunk, *v;

	if (n->failed)
		return false;
	if (parts != n->nouts)
		return onnx_error(n, E_ARITY, "%d outputs for %d parts", n->nouts, parts);
	chunk = (length + parts - 1) / parts;
	if (n->opset < 18 && chunk * parts != length)
		return onnx_error(n, E_SHAPE, "%d elements cannot be split into %d equal parts",
		                  length, parts);
	v = onnx_new_ints(n, parts);
	for (int i = 0; i < parts; i++) {
		int64_t left = length - i * chunk;

		v[i] = left < 0 ? 0 : left < chunk ? left : chunk;
	}
	*out = (Ints){parts, v};
	return true;
}

static bool
declared_parts(ONode *n, int axis, Ints *out)
{
	int64_t *v = onnx_new_ints(n, n->nouts);
	Type t;

	for (int i = 0; i < n->nouts; i++) {
		if (!onnx_declared(n, i, &t) || t.rank != n->in[0]->type.rank)
			return onnx_dynamic(n, 1);
		v[i] = t.dim[axis];
	}
	*out = (Ints){n->nouts, v};
	return true;
}

static bool
split_parts(ONode *n, int axis, Ints *out)
{
	if (n->opset < 13 && onnx_has(n, "split")) {
		*out = onnx_ints(n, "split");
		return !n->failed;
	}
	if (n->opset >= 13 && onnx_in(n, 1))
		return onnx_is_const(n, 1) ? onnx_const_ints(n, 1, out)
		                           : declared_parts(n, axis, out);
	return equal_parts(n, n->in[0]->type.dim[axis], out);
}

bool
onnx_read_split(ONode *n)
{
	Value *x = n->in[0];
	int axis = onnx_axis(n, "axis", 0, x->type.rank);
	int64_t at = 0;
	Ints parts;

	if (n->failed || !split_parts(n, axis, &parts))
		return false;
	if (parts.n != n->nouts)
		return onnx_error(n, E_ARITY, "%d outputs for %d parts", n->nouts, parts.n);
	for (int i = 0; i < parts.n; i++) {
		if (parts.v[i] < 0 || parts.v[i] > x->type.dim[axis] - at)
			return onnx_error(n, E_SHAPE, "the parts do not add up to the %d elements of "
			                  "axis %d", x->type.dim[axis], axis);
		n->out[i] = onnx_slice(n, x, axis, at, parts.v[i], 1);
		at += parts.v[i];
	}
	if (at != x->type.dim[axis])
		return onnx_error(n, E_SHAPE, "the parts do not add up to the %d elements of axis %d",
		                  x->type.dim[axis], axis);
	return !n->failed;
}

/* ---- Slice ---- */

/* One axis: where it starts and how many elements are taken. */
static void
clamp_slice(int64_t start, int64_t end, int64_t step, int64_t length, int64_t *first, int64_t *size)
{
	int64_t lo = step > 0 ? 0 : -1, hi = step > 0 ? length : length - 1, span;

	start += start < 0 ? length : 0;
	end += end < 0 ? length : 0;
	start = start < lo ? lo : start > hi ? hi : start;
	end = end < lo ? lo : end > hi ? hi : end;
	span = step > 0 ? end - start : start - end;
	if (step < 0)
		step = -step;
	*size = span > 0 ? (span - 1) / step + 1 : 0;
	*first = *size ? start : 0;
}

static bool
static_slice(ONode *n, Ints starts, Ints ends, Ints axes, Ints steps)
{
	const Type *x = &n->in[0]->type;
	int64_t first[MAX_RANK] = {0}, size[MAX_RANK], step[MAX_RANK];
	bool seen[MAX_RANK] = {false}, whole = true;
	Node *k;

	if (ends.n != starts.n || axes.n != starts.n || steps.n != starts.n)
		return onnx_error(n, E_SHAPE, "%d starts, %d ends, %d axes and %d steps", starts.n,
		                  ends.n, axes.n, steps.n);
	for (int i = 0; i < x->rank; i++) {
		size[i] = x->dim[i];
		step[i] = 1;
	}
	for (int i = 0; i < starts.n; i++) {
		int64_t axis = axes.v[i] < 0 ? axes.v[i] + x->rank : axes.v[i];

		if (axis < 0 || axis >= x->rank || seen[axis])
			return onnx_error(n, E_VALUE, "axis %lld %s", (long long)axes.v[i],
			                  axis < 0 || axis >= x->rank ? "is outside of the tensor"
			                                              : "is given twice");
		if (steps.v[i] == 0)
			return onnx_error(n, E_VALUE, "the step of axis %lld is 0", (long long)axis);
		seen[axis] = true;
		/* Every step beyond the tensor takes one element. */
		step[axis] = steps.v[i] > INT32_MAX    ? INT32_MAX
		             : steps.v[i] < -INT32_MAX ? -INT32_MAX
		                                       : steps.v[i];
		clamp_slice(starts.v[i], ends.v[i], step[axis], x->dim[axis], &first[axis],
		            &size[axis]);
		if (size[axis] <= 1)
			step[axis] = 1;
	}
	for (int i = 0; i < x->rank; i++)
		whole &= first[i] == 0 && size[i] == x->dim[i] && step[i] == 1;
	if (whole)
		return onnx_result(n, n->in[0]);
	k = onnx_node(n, OP_SLICE, 1, n->in, 1);
	if (k)
		*(Attr_SLICE *)k->attr = (Attr_SLICE){.starts = onnx_list(n, x->rank, first),
		                                      .sizes = onnx_list(n, x->rank, size),
		                                      .steps = onnx_list(n, x->rank, step)};
	return onnx_result(n, onnx_finish(n, k));
}

/* Operand i of Slice spread over all axes: `otherwise` where `axes` has none. */
static Value *
spread(ONode *n, Value *v, Value *axes, int rank, double otherwise)
{
	Value *all = onnx_full(n, &(Type){.dtype = DT_I64, .rank = 1, .dim = {rank}}, otherwise);
	Node *k;

	v = onnx_cast(n, v, DT_I64);
	if (!all || !v || !axes)
		return NULL;
	k = onnx_node(n, OP_SCATTER_ELEMENTS, 3, (Value *[]){all, axes, v}, 1);
	return onnx_finish(n, k);
}

/*
 * Starts, axes or steps that are not constant; the stated shape says how many
 * elements are taken.  Each axis is gathered: element i comes from start + i *
 * step, with the start counted from the end when negative and then clamped.
 */
static bool
dynamic_slice(ONode *n)
{
	Value *x = n->in[0], *axes, *starts, *steps, *length, *backwards, *last, *y = x;
	int rank = x->type.rank, count = type_numel(&n->in[1]->type);
	int blame = !onnx_is_const(n, 1) ? 1 : !onnx_is_const(n, 2) ? 2 : onnx_in(n, 4) ? 4 : 3;
	Type t;

	if (!onnx_declared(n, 0, &t) || t.rank != rank || count > rank)
		return onnx_dynamic(n, blame);
	axes = onnx_in(n, 3) ? onnx_cast(n, n->in[3], DT_I64)
	                     : onnx_iota(n, DT_I64, count, 0, 1);
	if (axes && onnx_in(n, 3))
		axes = onnx_wrapped(n, axes, onnx_scalar(n, DT_I64, rank));
	starts = spread(n, n->in[1], axes, rank, 0);
	steps = onnx_in(n, 4) ? spread(n, n->in[4], axes, rank, 1)
	                      : onnx_full(n, &(Type){.dtype = DT_I64, .rank = 1, .dim = {rank}}, 1);
	length = onnx_int64s(n, onnx_shape(n, x));
	if (!starts || !steps || !length)
		return false;
	starts = onnx_with(n, OP_MAX, onnx_wrapped(n, starts, length), 0);
	backwards = onnx_with(n, OP_LESS, steps, 0);
	last = onnx_where(n, backwards, onnx_with(n, OP_SUB, length, 1), length);
	starts = onnx_binary(n, OP_MIN, starts, last);
	for (int i = 0; i < rank && y; i++) {
		Value *at = onnx_iota(n, DT_I64, t.dim[i], 0, 1);

		at = onnx_binary(n, OP_MUL, at, onnx_slice(n, steps, 0, i, 1, 1));
		at = onnx_binary(n, OP_ADD, at, onnx_slice(n, starts, 0, i, 1, 1));
		y = onnx_gather(n, y, at, i);
	}
	return onnx_result(n, y);
}

bool
onnx_read_slice(ONode *n)
{
	Ints starts, ends, axes, steps;
	bool is_static = true;

	if (n->opset < 10) {
		starts = onnx_ints(n, "starts");
		ends = onnx_ints(n, "ends");
		axes = onnx_has(n, "axes") ? onnx_ints(n, "axes") : onnx_range(n, 0, starts.n);
		return !n->failed &&
		       static_slice(n, starts, ends, axes, onnx_filled(n, starts.n, 1));
	}
	if (n->nins < 3 || !n->in[1] || !n->in[2])
		return onnx_error(n, E_ARITY, "'Slice' needs starts and ends");
	for (int i = 1; i < n->nins; i++)
		is_static &= !n->in[i] || value_is_const(n->in[i]);
	if (!is_static)
		return dynamic_slice(n);
	if (!onnx_const_ints(n, 1, &starts) || !onnx_const_ints(n, 2, &ends))
		return false;
	axes = onnx_range(n, 0, starts.n);
	steps = onnx_filled(n, starts.n, 1);
	if ((onnx_in(n, 3) && !onnx_const_ints(n, 3, &axes)) ||
	    (onnx_in(n, 4) && !onnx_const_ints(n, 4, &steps)))
		return false;
	return static_slice(n, starts, ends, axes, steps);
}

/* ---- Pad ---- */

/* Pads of some axes as pads of all. */
static bool
spread_pads(ONode *n, Ints pads, Ints *out)
{
	int rank = n->in[0]->type.rank;
	int64_t *v = onnx_new_ints(n, 2 * rank);
	Ints axes = onnx_range(n, 0, rank);

	if (onnx_in(n, 3) && !onnx_const_ints(n, 3, &axes))
		return false;
	if (pads.n != 2 * axes.n)
		return onnx_error(n, E_SHAPE, "%d pads for %d axes", pads.n, axes.n);
	for (int i = 0; i < axes.n; i++) {
		int64_t axis = axes.v[i] < 0 ? axes.v[i] + rank : axes.v[i];

		if (axis < 0 || axis >= rank)
			return onnx_error_in(n, 3, E_VALUE,
			                     "axis %lld is outside of a tensor of rank %d",
			                     (long long)axes.v[i], rank);
		v[axis] = pads.v[i];
		v[rank + axis] = pads.v[i + axes.n];
	}
	for (int i = 0; i < 2 * rank; i++)
		if (v[i] > INT32_MAX || v[i] < -INT32_MAX)
			return onnx_error(n, E_SIZE, "a pad is %lld", (long long)v[i]);
	*out = (Ints){2 * rank, v};
	return true;
}

/* Where element `at` of a padded axis lies in the axis of `length` elements. */
static Value *
source_index(ONode *n, Value *at, int32_t length, PadMode mode)
{
	Value *period;

	switch (mode) {
	case PAD_reflect:
		/* ... 2 1 | 0 1 2 3 | 2 1 0 1 ...: period 2 (length - 1) */
		if (length == 1)
			return onnx_with(n, OP_MUL, at, 0);
		at = onnx_with(n, OP_MOD, at, 2.0 * (length - 1));
		period = onnx_scalar(n, DT_I64, 2.0 * (length - 1));
		return onnx_binary(n, OP_MIN, at, onnx_binary(n, OP_SUB, period, at));
	case PAD_wrap: return onnx_with(n, OP_MOD, at, length);
	case PAD_constant:
	case PAD_edge:
	case PAD_COUNT: break;
	}
	at = onnx_with(n, OP_MAX, at, 0);
	return onnx_with(n, OP_MIN, at, length - 1);
}

/* Pads that are not constant: the stated shape says how long the result is, and
 * only the pads before an axis matter. */
static bool
dynamic_pad(ONode *n, PadMode mode, Value *fill)
{
	Value *x = n->in[0], *y = x, *pads = onnx_cast(n, n->in[1], DT_I64);
	int rank = x->type.rank;
	Type t;

	if (!onnx_declared(n, 0, &t) || t.rank != rank || onnx_in(n, 3) ||
	    type_numel(&n->in[1]->type) != 2 * rank)
		return onnx_dynamic(n, 1);
	if (!fill)
		fill = onnx_scalar(n, x->type.dtype, 0);
	for (int i = 0; i < rank && y; i++) {
		Value *at = onnx_iota(n, DT_I64, t.dim[i], 0, 1), *inside;

		if (x->type.dim[i] == 0)
			return onnx_dynamic(n, 1);
		at = onnx_binary(n, OP_SUB, at, onnx_slice(n, pads, 0, i, 1, 1));
		y = onnx_gather(n, y, source_index(n, at, x->type.dim[i], mode), i);
		if (mode != PAD_constant || !at)
			continue;
		inside = onnx_with(n, OP_GREATER_EQUAL, at, 0);
		inside = onnx_binary(n, OP_AND, inside,
		                     onnx_with(n, OP_LESS, at, x->type.dim[i]));
		y = onnx_where(n, onnx_channels(n, inside, i, rank), y, fill);
	}
	return onnx_result(n, y);
}

bool
onnx_read_pad(ONode *n)
{
	static const char *const words[] = {"constant", "reflect", "edge", "wrap", NULL};
	PadMode mode = (PadMode)onnx_word(n, "mode", words, PAD_constant);
	Value *fill = onnx_in(n, 2);
	Ints pads;

	if (n->opset < 11) {
		double value = onnx_float(n, "value", 0);

		pads = onnx_ints(n, n->opset < 2 ? "paddings" : "pads");
		if (value != 0)
			fill = onnx_scalar(n, n->in[0]->type.dtype, value);
	} else if (!onnx_in(n, 1)) {
		return onnx_error(n, E_ARITY, "'Pad' needs pads");
	} else if (!onnx_is_const(n, 1)) {
		return !n->failed && dynamic_pad(n, mode, fill);
	} else if (!onnx_const_ints(n, 1, &pads)) {
		return false;
	}
	if (n->failed || !spread_pads(n, pads, &pads))
		return false;
	if (fill && type_numel(&fill->type) == 1)
		fill = onnx_reshape_to(n, fill, &(Type){.rank = 0});
	return onnx_result(n, onnx_pad(n, n->in[0], pads, mode, fill));
}

/* ---- Gather and scatter ---- */

/* Constant indices must be inside of an axis; others are clamped at run time. */
static bool
check_indices(ONode *n, int i, int32_t length)
{
	const Value *v = n->in[i];

	if (!dtype_is_integer(v->type.dtype))
		return onnx_error_in(n, i, E_TYPE, "'%s' has type %s; integers are needed", v->name,
		                     dtype_info[v->type.dtype].name);
	for (int k = 0; value_is_const(v) && k < type_numel(&v->type); k++) {
		int64_t at = value_int(v, k);

		if (at < -length || at >= length)
			return onnx_error_in(n, i, E_VALUE,
			                     "index %lld is outside of an axis of %d elements",
			                     (long long)at, length);
	}
	return true;
}

bool
onnx_read_gather(ONode *n)
{
	const Type *x = &n->in[0]->type;
	int axis = onnx_axis(n, "axis", 0, x->rank);

	return !n->failed && check_indices(n, 1, x->dim[axis]) &&
	       onnx_result(n, onnx_gather(n, n->in[0], n->in[1], axis));
}

bool
onnx_read_gather_elements(ONode *n)
{
	const Type *x = &n->in[0]->type;
	int axis = onnx_axis(n, "axis", 0, x->rank);
	Node *k;

	if (n->failed || !check_indices(n, 1, x->dim[axis]))
		return false;
	k = onnx_node(n, OP_GATHER_ELEMENTS, 2, n->in, 1);
	if (k)
		((Attr_GATHER_ELEMENTS *)k->attr)->axis = axis;
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_gather_nd(ONode *n)
{
	int64_t batch = onnx_int_in(n, "batch_dims", 0, 0, MAX_RANK);
	Node *k = onnx_node(n, OP_GATHER_ND, 2, n->in, 1);

	if (k)
		((Attr_GATHER_ND *)k->attr)->batch_dims = batch;
	return onnx_result(n, onnx_finish(n, k));
}

static const char *const reductions[] = {"none", "add", "mul", "min", "max", NULL};

bool
onnx_read_scatter_elements(ONode *n)
{
	const Type *x = &n->in[0]->type;
	int axis = onnx_axis(n, "axis", 0, x->rank);
	Reduction reduction = (Reduction)onnx_word(n, "reduction", reductions, REDUCTION_none);
	Node *k;

	if (n->failed || !check_indices(n, 1, x->dim[axis]))
		return false;
	k = onnx_node(n, OP_SCATTER_ELEMENTS, 3, n->in, 1);
	if (k)
		*(Attr_SCATTER_ELEMENTS *)k->attr =
			(Attr_SCATTER_ELEMENTS){.axis = axis, .reduction = reduction};
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_scatter_nd(ONode *n)
{
	Reduction reduction = (Reduction)onnx_word(n, "reduction", reductions, REDUCTION_none);
	Node *k = onnx_node(n, OP_SCATTER_ND, 3, n->in, 1);

	if (k)
		((Attr_SCATTER_ND *)k->attr)->reduction = reduction;
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_one_hot(ONode *n)
{
	Value *indices = onnx_cast(n, n->in[0], DT_I64);
	int rank = n->in[0]->type.rank, axis = onnx_axis(n, "axis", -1, rank + 1);
	int64_t depth = 0;
	Node *k;
	Type y;

	if (n->failed)
		return false;
	if (onnx_is_const(n, 1)) {
		Floats v; /* any number type is allowed */

		if (!onnx_const_floats(n, 1, &v))
			return false;
		if (v.n != 1 || !(v.v[0] >= 1) || v.v[0] > INT32_MAX)
			return onnx_error_in(n, 1, E_VALUE, "'%s' is no depth", n->in[1]->name);
		depth = (int64_t)v.v[0];
	} else if (onnx_declared(n, 0, &y) && y.rank == rank + 1) {
		depth = y.dim[axis];
	} else {
		return onnx_dynamic(n, 1);
	}
	/* Negative indices count from the end, once. */
	indices = onnx_wrapped(n, indices, onnx_scalar(n, DT_I64, (double)depth));
	if (!indices)
		return false;
	k = onnx_node(n, OP_ONE_HOT, 2, (Value *[]){indices, n->in[2]}, 1);
	if (k)
		*(Attr_ONE_HOT *)k->attr = (Attr_ONE_HOT){.axis = axis, .depth = depth};
	return onnx_result(n, onnx_finish(n, k));
}

/* ---- Elements chosen by their values ---- */

/*
 * The flat positions of the `count` true elements of vector `c`, in order: the
 * largest `count` elements of 0s and 1s, of which equal ones come in order.
 */
static Value *
true_positions(ONode *n, Value *c, int64_t count)
{
	Node *k;
	Value *out[2];

	c = onnx_cast(n, c, DT_I32);
	k = c ? onnx_node(n, OP_TOP_K, 1, &c, 2) : NULL;
	if (k)
		*(Attr_TOP_K *)k->attr = (Attr_TOP_K){.k = count, .axis = 0, .largest = true};
	return onnx_finish_all(n, k, out) ? out[1] : NULL;
}

static Value *
flatten(ONode *n, Value *x)
{
	return onnx_reshape_to(n, x, &(Type){.rank = 1, .dim = {type_numel(&x->type)}});
}

/* How many elements of a constant are not 0. */
static int64_t
count_true(const Value *v, int32_t limit)
{
	int64_t count = 0;

	for (int32_t i = 0; i < type_numel(&v->type) && i < limit; i++)
		count += value_float(v, i) != 0;
	return count;
}

bool
onnx_read_compress(ONode *n)
{
	Value *x = n->in[0], *c = n->in[1];
	bool flat = !onnx_has(n, "axis");
	int axis = flat ? 0 : onnx_axis(n, "axis", 0, x->type.rank);
	int64_t count;
	Type t;

	if (n->failed)
		return false;
	if (c->type.rank != 1)
		return onnx_error_in(n, 1, E_SHAPE, "'%s' must be a vector", c->name);
	if (flat)
		x = flatten(n, x);
	if (!x)
		return false;
	if (c->type.dim[0] > x->type.dim[axis])
		c = onnx_slice(n, c, 0, 0, x->type.dim[axis], 1);
	if (!c)
		return false;
	if (value_is_const(c))
		count = count_true(c, INT32_MAX);
	else if (onnx_declared(n, 0, &t) && t.rank == x->type.rank &&
	         t.dim[axis] <= c->type.dim[0])
		count = t.dim[axis];
	else
		return onnx_dynamic(n, 1);
	return onnx_result(n, onnx_gather(n, x, true_positions(n, c, count), axis));
}

/* The coordinates of the elements that are not 0, one row an axis. */
bool
onnx_read_non_zero(ONode *n)
{
	Value *x = n->in[0], *flat, *at, *row[MAX_RANK];
	int rank = x->type.rank;
	int64_t count;
	Type t;

	if (rank == 0)
		return onnx_unsupported(n, "a scalar as the input");
	if (value_is_const(x))
		count = count_true(x, INT32_MAX);
	else if (onnx_declared(n, 0, &t) && t.rank == 2 && t.dim[1] <= type_numel(&x->type))
		count = t.dim[1];
	else
		return onnx_dynamic(n, 0);
	flat = onnx_cast(n, flatten(n, x), DT_BOOL);
	at = true_positions(n, flat, count);
	for (int i = rank; i-- > 0 && at;) {
		row[i] = onnx_with(n, OP_MOD, at, x->type.dim[i] ? x->type.dim[i] : 1);
		row[i] = onnx_unsqueeze(n, row[i], 0);
		at = onnx_with(n, OP_DIV, at, x->type.dim[i] ? x->type.dim[i] : 1);
	}
	return at && onnx_result(n, onnx_concat(n, rank, row, 0));
}

/* ---- Others ---- */

/* The triangle that stays; a diagonal that is not constant is compared with. */
bool
onnx_read_trilu(ONode *n)
{
	Value *x = n->in[0], *k = onnx_in(n, 1), *row, *column, *keep;
	bool upper = onnx_flag(n, "upper", true);
	int rank = x->type.rank;
	int64_t diagonal = 0;

	if (n->failed)
		return false;
	if (rank < 2)
		return onnx_error_in(n, 0, E_SHAPE, "'%s' must be a matrix", x->name);
	if (!k || value_is_const(k)) {
		Node *node;

		if (k && !onnx_const_int(n, 1, &diagonal))
			return false;
		if (diagonal > INT32_MAX || diagonal < -INT32_MAX)
			diagonal = diagonal < 0 ? -INT32_MAX : INT32_MAX;
		node = onnx_node(n, OP_TRILU, 1, n->in, 1);
		if (node)
			*(Attr_TRILU *)node->attr = (Attr_TRILU){.upper = upper, .k = diagonal};
		return onnx_result(n, onnx_finish(n, node));
	}
	row = onnx_iota(n, DT_I64, x->type.dim[rank - 2], 0, 1);
	column = onnx_iota(n, DT_I64, x->type.dim[rank - 1], 0, 1);
	k = onnx_reshape_to(n, k, &(Type){.rank = 0});
	row = onnx_unsqueeze(n, onnx_binary(n, OP_ADD, row, k), 1);
	keep = onnx_binary(n, upper ? OP_GREATER_EQUAL : OP_LESS_EQUAL, column, row);
	return onnx_result(n, onnx_where(n, keep, x, onnx_scalar(n, x->type.dtype, 0)));
}

bool
onnx_read_reverse_sequence(ONode *n)
{
	int rank = n->in[0]->type.rank;
	int batch = onnx_axis(n, "batch_axis", 1, rank), time = onnx_axis(n, "time_axis", 0, rank);
	Value *lengths = onnx_cast(n, n->in[1], DT_I64);
	Node *k;

	if (n->failed || !lengths)
		return false;
	k = onnx_node(n, OP_REVERSE_SEQUENCE, 2, (Value *[]){n->in[0], lengths}, 1);
	if (k)
		*(Attr_REVERSE_SEQUENCE *)k->attr =
			(Attr_REVERSE_SEQUENCE){.batch_axis = batch, .time_axis = time};
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_depth_to_space(ONode *n)
{
	static const char *const words[] = {"DCR", "CRD", NULL};
	int64_t block = onnx_int_in(n, "blocksize", 0, 1, INT32_MAX);
	BlockOrder order = onnx_word(n, "mode", words, 0) == 1 ? BLOCK_crd : BLOCK_dcr;
	Node *k = onnx_node(n, OP_DEPTH_TO_SPACE, 1, n->in, 1);

	if (k)
		*(Attr_DEPTH_TO_SPACE *)k->attr =
			(Attr_DEPTH_TO_SPACE){.block = block, .order = order};
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_space_to_depth(ONode *n)
{
	int64_t block = onnx_int_in(n, "blocksize", 0, 1, INT32_MAX);
	Node *k = onnx_node(n, OP_SPACE_TO_DEPTH, 1, n->in, 1);

	if (k)
		((Attr_SPACE_TO_DEPTH *)k->attr)->block = block;
	return onnx_result(n, onnx_finish(n, k));
}
