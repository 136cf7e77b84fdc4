/*
 * Operators whose results follow from shapes and indices.
 */
#include <math.h>

#include "frontend/tflite/kernel.h"
#include "frontend/tflite/read.h"
#include "ir/num.h"

/* ---- Constants ---- */

/* Output 0 is a constant of its type. */
static bool
bind_constant(TNode *n, const void *data)
{
	return tfl_bind(n, graph_const(n->r->g, n->out[0]->name, *tfl_out_type(n), data), 0);
}

bool
tfl_read_rank(TNode *n)
{
	const Type *y = tfl_out_type(n);
	void *data;

	if (!dtype_is_integer(y->dtype) || type_numel(y) != 1)
		return tfl_error(n, E_SHAPE, "the output must be an integer");
	data = arena_alloc(n->r->arena, 8);
	num_store_int(y->dtype, data, 0, tfl_type(n, 0)->rank);
	return bind_constant(n, data);
}

/* The shape that two shapes broadcast to. */
bool
tfl_read_broadcast_args(TNode *n)
{
	const Type *y = tfl_out_type(n);
	Ints a, b;
	void *data;

	if (!tfl_ints(n, 0, &a) || !tfl_ints(n, 1, &b))
		return false;
	if (!dtype_is_integer(y->dtype) || y->rank != 1 || y->dim[0] != (a.n > b.n ? a.n : b.n))
		return tfl_error(n, E_SHAPE, "the output has another rank than the inputs");
	data = arena_alloc(n->r->arena, (size_t)y->dim[0] * 8 + 1);
	for (int i = 0; i < y->dim[0]; i++) {
		int ia = i - y->dim[0] + a.n, ib = i - y->dim[0] + b.n;
		int64_t da = ia < 0 ? 1 : a.v[ia], db = ib < 0 ? 1 : b.v[ib];

		if (da != db && da != 1 && db != 1)
			return tfl_error(n, E_SHAPE, "%lld and %lld do not broadcast",
			                 (long long)da, (long long)db);
		num_store_int(y->dtype, data, (size_t)i, da == 1 ? db : da);
	}
	return bind_constant(n, data);
}

/* The number that operand i, constant, is. */
static bool
constant_number(TNode *n, int i, double *out)
{
	const Tensor *t = n->in[i];
	const void *data = t->value ? t->value->data : t->data;

	if (!data)
		return tfl_error(n, E_DYNAMIC, "input %d '%s' must be constant", i, t->name);
	if (type_numel(&t->type) != 1 || t->type.dtype == DT_BOOL)
		return tfl_error(n, E_SHAPE, "input %d must be a single number", i);
	*out = num_load(t->type.dtype, data, 0);
	return true;
}

/* start, limit, step: the numbers before the limit. */
bool
tfl_read_range(TNode *n)
{
	const Type *y = tfl_out_type(n);
	double start, limit, step, count;
	void *data;

	if (!constant_number(n, 0, &start) || !constant_number(n, 1, &limit) ||
	    !constant_number(n, 2, &step))
		return false;
	count = step == 0 ? -1 : fmax(ceil((limit - start) / step), 0);
	if (y->rank != 1 || !(count == y->dim[0]))
		return tfl_error(n, E_SHAPE, "the output has %d numbers, but %g to %g by %g are %g",
		                 type_numel(y), start, limit, step, count);
	if (!(data = tfl_alloc(n, type_bytes(y) + 1)))
		return false;
	/* Floats are added up in single precision. */
	for (int32_t i = 0; i < y->dim[0]; i++) {
		num_store(y->dtype, data, (size_t)i, start);
		start = y->dtype == DT_F32 ? (double)((float)start + (float)step) : start + step;
	}
	return bind_constant(n, data);
}

/* The value of a constant of less than a byte, or one that is stored sparsely, which
 * the reader made dense. */
bool
tfl_read_densify(TNode *n)
{
	return tfl_bind(n, tfl_in(n, 0), 0);
}

/* ---- Searching ---- */

/* The greatest of the last axis, and where they are. */
bool
tfl_read_top_k(TNode *n)
{
	Value *x = tfl_in(n, 0), *at;
	int64_t k;
	Node *node;

	if (!tfl_int(n, 1, &k))
		return false;
	if (x->type.rank < 1)
		return tfl_error(n, E_SHAPE, "the input has no axis");
	node = graph_insert(n->r->g, NULL, OP_TOP_K, 1, &x, 2, NULL);
	node->loc = n->loc;
	node->name = n->out[0]->name;
	*(Attr_TOP_K *)node->attr = (Attr_TOP_K){.k = k, .axis = x->type.rank - 1, .largest = true};
	if (!tfl_result(n, node))
		return false;
	at = node->out[1];
	node = tfl_node(n, OP_CAST, 1, &at);
	if (node)
		((Attr_CAST *)node->attr)->to = n->out[1]->type.dtype;
	return tfl_result_of(n, node, 1);
}

/* Indices, depth, the number at the index, the other number. */
bool
tfl_read_one_hot(TNode *n)
{
	int64_t axis = n->options.as_OneHotOptions.axis, depth;
	int rank = tfl_type(n, 0)->rank;
	Value *on = tfl_in(n, 2), *off = tfl_in(n, 3), *both;
	Node *node;

	if (!tfl_int(n, 1, &depth) || !tfl_axis(n, axis, rank + 1, &axis))
		return false;
	on = on ? tfl_reshape(n, on, 1, (int32_t[]){1}) : NULL;
	off = off ? tfl_reshape(n, off, 1, (int32_t[]){1}) : NULL;
	both = tfl_value(n, tfl_node(n, OP_CONCAT, 2, (Value *[]){off, on}));
	node = tfl_node(n, OP_ONE_HOT, 2, (Value *[]){tfl_in(n, 0), both});
	if (node)
		*(Attr_ONE_HOT *)node->attr = (Attr_ONE_HOT){.axis = axis, .depth = depth};
	return tfl_result(n, node);
}

/* ---- Writing at indices ---- */

/* Indices, updates, shape: updates at one place are added up. */
bool
tfl_read_scatter_nd(TNode *n)
{
	Value *updates = tfl_in(n, 1), *zero = tfl_number(n, updates, 0);
	const Type *y = tfl_out_type(n);
	int64_t shape[MAX_RANK];
	Node *node = tfl_node(n, OP_EXPAND, 1, &zero);

	if (!node)
		return false;
	for (int i = 0; i < y->rank; i++)
		shape[i] = y->dim[i];
	((Attr_EXPAND *)node->attr)->shape = tfl_list(n, y->rank, shape);
	zero = tfl_value(n, node);
	node = tfl_node(n, OP_SCATTER_ND, 3, (Value *[]){zero, tfl_in(n, 0), updates});
	if (node)
		((Attr_SCATTER_ND *)node->attr)->reduction = REDUCTION_add;
	return tfl_result(n, node);
}

/* Copies `count` elements. */
static void
copy_all(LBuilder *b, LBuf *from, LBuf *to)
{
	Expr *i = loop_for(b, "i", 0, from->count);

	loop_store(b, to, i, loop_load(b, from, i));
	loop_end(b);
}

/* x with `update` from the place `start` on, moved so that it fits. */
bool
tfl_read_dynamic_update_slice(TNode *n)
{
	const Type *t = tfl_type(n, 0), *u = tfl_type(n, 1);
	int32_t stride[MAX_RANK], u_stride[MAX_RANK];
	TflKernel k;
	LBuilder *b = &k.b;
	LBuf *x, *update, *start, *y;
	Expr *at, *u_at;

	if (u->rank != t->rank || tfl_type(n, 2)->rank != 1 || tfl_type(n, 2)->dim[0] != t->rank)
		return tfl_error(n, E_SHAPE, "input, update and start have different ranks");
	for (int i = 0; i < t->rank; i++)
		if (u->dim[i] > t->dim[i])
			return tfl_error(n, E_SHAPE, "the update is larger than the input");
	if (u->dtype != t->dtype || !type_same_quant(u, t) || !type_same_quant(t, tfl_out_type(n)))
		return tfl_error(n, E_TYPE, "input, update and output have different types");
	tfl_kernel_begin(&k, n, "update");
	x = tfl_kernel_in(&k, "x", tfl_in(n, 0));
	update = tfl_kernel_in(&k, "update", tfl_in(n, 1));
	start = tfl_kernel_in(&k, "start", tfl_in(n, 2));
	y = tfl_kernel_out(&k, "y", 0);
	if (k.failed)
		return false;
	type_strides(t, stride);
	type_strides(u, u_stride);
	if (x->count > 0)
		copy_all(b, x, y);
	at = u_at = loop_idx(b, 0);
	for (int i = 0; i < t->rank && update->count > 0; i++) {
		Expr *s = loop_clamp_idx(b, loop_load(b, start, loop_idx(b, i)), 0,
		                         t->dim[i] - u->dim[i]);
		Expr *j;

		s = loop_let(b, "s", s);
		j = loop_for(b, "j", 0, u->dim[i]);
		at = loop_add(b, at, loop_affine(b, loop_add(b, s, j), stride[i], 0));
		u_at = loop_add(b, u_at, loop_affine(b, j, u_stride[i], 0));
	}
	if (update->count > 0)
		loop_store(b, y, at, loop_load(b, update, u_at));
	for (int i = 0; i < t->rank && update->count > 0; i++)
		loop_end(b);
	return tfl_kernel_finish(&k);
}
