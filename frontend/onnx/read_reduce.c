/*
 * Reductions, sorting and cumulative sums.
 */
#include <math.h>

#include "frontend/onnx/read.h"

/* ---- Axes that are known only at run time ---- */

/* The value for the axis that `axis` (one integer, maybe negative) names:
 * result[k] for axis k. */
static Value *
choose(ONode *n, Value *axis, int rank, Value *const *result)
{
	static const Type scalar = {.rank = 0};
	Value *at = onnx_cast(n, onnx_reshape_to(n, axis, &scalar), DT_I64);
	Value *y = NULL;

	at = onnx_wrapped(n, at, onnx_scalar(n, DT_I64, rank));
	for (int k = 0; k < rank; k++) {
		if (!result[k])
			continue;
		y = y ? onnx_where(n, onnx_with(n, OP_EQUAL, at, k), result[k], y) : result[k];
	}
	return y;
}

/* Whether removing (or, with keepdims, flattening) the axes of `mask` turns x's
 * shape into y's. */
static bool
reduces_to(const Type *x, unsigned mask, bool keepdims, const Type *y)
{
	int k = 0;

	for (int i = 0; i < x->rank; i++) {
		bool reduced = mask >> i & 1;

		if (reduced && !keepdims)
			continue;
		if (k >= y->rank || y->dim[k] != (reduced ? 1 : x->dim[i]))
			return false;
		k++;
	}
	return k == y->rank;
}

static Ints
mask_axes(ONode *n, unsigned mask, int rank)
{
	int64_t axes[MAX_RANK];
	int count = 0;

	for (int i = 0; i < rank; i++)
		if (mask >> i & 1)
			axes[count++] = i;
	return onnx_list(n, count, axes);
}

/* How many axes the operand lists; -1 when it may be empty and mean all. */
static int
listed_axes(const ONode *n)
{
	return type_numel(&n->in[1]->type);
}

/*
 * Axes in an operand that is not constant: the stated shape of the result says
 * which they are, up to axes of length 1, which change nothing.  Where one axis
 * is reduced and several fit, all are computed and the right one is chosen.
 */
static Value *
reduce_by_shape(ONode *n, Op op, bool keepdims)
{
	Value *x = n->in[0], *result[MAX_RANK] = {NULL};
	int rank = x->type.rank, listed = listed_axes(n), fits = 0;
	Type y;

	if (!onnx_declared(n, 0, &y)) {
		onnx_dynamic(n, 1);
		return NULL;
	}
	if (listed == 0) { /* static: nothing is listed */
		if (reduces_to(&x->type, 0, keepdims, &y))
			return x;
		return onnx_reduce(n, op, x, onnx_range(n, 0, rank), keepdims);
	}
	for (unsigned mask = 1; mask < 1u << rank; mask++) {
		int bits = 0;

		for (int i = 0; i < rank; i++)
			bits += (int)(mask >> i & 1);
		if (bits != listed || !reduces_to(&x->type, mask, keepdims, &y))
			continue;
		if (fits++ && listed > 1)
			break;
		for (int i = 0; i < rank; i++)
			if (mask >> i & 1)
				result[i] = onnx_reduce(n, op, x, mask_axes(n, mask, rank), keepdims);
	}
	if (fits == 1)
		for (int i = 0; i < rank; i++)
			if (result[i])
				return result[i];
	if (fits > 1 && listed == 1)
		return choose(n, n->in[1], rank, result);
	onnx_dynamic(n, 1);
	return NULL;
}

/* ---- Reductions over axes ---- */

static Value *
reduce(ONode *n, Op op, int moved)
{
	bool keepdims = onnx_flag(n, "keepdims", true);
	bool noop = onnx_flag(n, "noop_with_empty_axes", false), present;
	Value *x = n->in[0];
	Ints axes;

	if (n->failed)
		return NULL;
	if (n->opset >= moved && onnx_in(n, 1) && !onnx_is_const(n, 1))
		return reduce_by_shape(n, op, keepdims);
	if (!onnx_axes(n, moved, 1, x->type.rank, &present, &axes))
		return NULL;
	if (axes.n == 0 && noop)
		return x;
	if (axes.n == 0)
		axes = onnx_range(n, 0, x->type.rank);
	return onnx_reduce(n, op, x, axes, keepdims);
}

/* Bools are reduced as bytes. */
static bool
read_reduce(ONode *n, int moved)
{
	Value *x = n->in[0], *y;
	DType t = x->type.dtype;

	if (t == DT_BOOL)
		n->in[0] = onnx_cast(n, x, DT_U8);
	y = n->in[0] ? reduce(n, n->info->op, moved) : NULL;
	return onnx_result(n, t == DT_BOOL ? onnx_cast(n, y, t) : y);
}

bool
onnx_read_reduce(ONode *n)
{
	return read_reduce(n, 18);
}

bool
onnx_read_reduce_sum(ONode *n)
{
	return read_reduce(n, 13);
}

bool
onnx_read_arg(ONode *n)
{
	Node *k = onnx_node(n, n->info->op, 1, n->in, 1);
	bool keepdims = onnx_flag(n, "keepdims", true);
	bool last = onnx_flag(n, "select_last_index", false);
	int axis = onnx_axis(n, "axis", 0, n->in[0]->type.rank);

	if (k) /* arg_max and arg_min have the same attributes */
		*(Attr_ARG_MAX *)k->attr =
			(Attr_ARG_MAX){.axis = axis, .keepdims = keepdims, .select_last = last};
	return onnx_result(n, onnx_finish(n, k));
}

/* ---- Sums along an axis ---- */

static Value *
cum_sum(ONode *n, int axis, bool exclusive, bool reverse)
{
	Node *k = onnx_node(n, OP_CUM_SUM, 1, n->in, 1);

	if (k)
		*(Attr_CUM_SUM *)k->attr = (Attr_CUM_SUM){
			.axis = axis, .exclusive = exclusive, .reverse = reverse};
	return onnx_finish(n, k);
}

bool
onnx_read_cum_sum(ONode *n)
{
	bool exclusive = onnx_flag(n, "exclusive", false);
	bool reverse = onnx_flag(n, "reverse", false);
	int rank = n->in[0]->type.rank;
	Value *result[MAX_RANK] = {NULL};
	int64_t axis;

	if (n->failed)
		return false;
	if (onnx_is_const(n, 1)) {
		if (!onnx_const_int(n, 1, &axis))
			return false;
		if (axis < -rank || axis >= rank)
			return onnx_error_in(n, 1, E_VALUE,
			                     "axis %lld is outside of a tensor of rank %d",
			                     (long long)axis, rank);
		axis = axis < 0 ? axis + rank : axis;
		return onnx_result(n, cum_sum(n, (int)axis, exclusive, reverse));
	}
	if (type_numel(&n->in[1]->type) != 1 || !dtype_is_integer(n->in[1]->type.dtype))
		return onnx_error_in(n, 1, E_TYPE, "'%s' has type %s; one integer is needed",
		                     n->in[1]->name, type_text(n->r->arena, &n->in[1]->type));
	for (int k = 0; k < rank; k++)
		result[k] = cum_sum(n, k, exclusive, reverse);
	return !n->failed && onnx_result(n, choose(n, n->in[1], rank, result));
}

/* ---- The largest k ---- */

static bool
top_k_count(ONode *n, int axis, int64_t *k)
{
	Type y;

	if (n->opset < 10) {
		*k = onnx_int_in(n, "k", -1, 0, INT32_MAX);
		return !n->failed;
	}
	if (!onnx_in(n, 1))
		return onnx_error(n, E_ARITY, "input 1 of 'TopK' is missing");
	if (onnx_is_const(n, 1))
		return onnx_const_int(n, 1, k);
	for (int i = 0; i < 2; i++) {
		if (onnx_declared(n, i, &y) && y.rank == n->in[0]->type.rank) {
			*k = y.dim[axis];
			return true;
		}
	}
	return onnx_dynamic(n, 1);
}

bool
onnx_read_top_k(ONode *n)
{
	int axis = onnx_axis(n, "axis", -1, n->in[0]->type.rank);
	bool largest = onnx_flag(n, "largest", true);
	int64_t count = 0;
	Value *out[2];
	Node *k;

	onnx_ignore(n, "sorted"); /* sorted also when that is not asked for */
	if (n->failed || !top_k_count(n, axis, &count))
		return false;
	if (count < 0 || count > n->in[0]->type.dim[axis])
		return onnx_error_in(n, n->nins > 1, E_VALUE, "k is %lld, but axis %d has %d elements",
		                     (long long)count, axis, n->in[0]->type.dim[axis]);
	k = onnx_node(n, OP_TOP_K, 1, n->in, 2);
	if (k)
		*(Attr_TOP_K *)k->attr = (Attr_TOP_K){.k = count, .axis = axis, .largest = largest};
	if (!onnx_finish_all(n, k, out))
		return false;
	for (int i = 0; i < n->nouts; i++)
		n->out[i] = out[i];
	return true;
}
