/*
 * Operators that move elements, and shapes.
 */
#include <string.h>

#include "frontend/tflite/read.h"
#include "ir/num.h"

/* ---- Shapes ---- */

/* The output's shape is in the file. */
bool
tfl_read_reshape(TNode *n)
{
	return tfl_result_reshaped(n, tfl_in(n, 0), 0);
}

bool
tfl_read_shape(TNode *n)
{
	const Type *x = tfl_type(n, 0), *y = tfl_out_type(n);
	Value *v;
	void *data;

	if (!dtype_is_integer(y->dtype) || y->rank != 1 || y->dim[0] != x->rank)
		return tfl_error(n, E_SHAPE, "the output must be a list of %d integers", x->rank);
	data = arena_alloc(n->r->arena, 8 * MAX_RANK);
	for (int i = 0; i < x->rank; i++)
		num_store_int(y->dtype, data, (size_t)i, x->dim[i]);
	v = graph_const(n->r->g, n->out[0]->name, *y, data);
	return tfl_bind(n, v, 0);
}

bool
tfl_read_transpose(TNode *n)
{
	Node *node;
	Ints perm;

	if (!tfl_ints(n, 1, &perm))
		return false;
	for (int i = 0; i < perm.n; i++)
		if (perm.v[i] < 0 || perm.v[i] >= perm.n)
			return tfl_error(n, E_ATTRIBUTE, "no permutation");
	node = tfl_node(n, OP_TRANSPOSE, 1, (Value *[]){tfl_in(n, 0)});
	if (node)
		((Attr_TRANSPOSE *)node->attr)->perm = perm;
	return tfl_result(n, node);
}

/* ---- Slices ---- */

static Node *
slice(TNode *n, Value *x, const int64_t *starts, const int64_t *sizes, const int64_t *steps)
{
	Node *node = tfl_node(n, OP_SLICE, 1, &x);
	Attr_SLICE *a;

	if (!node)
		return NULL;
	a = node->attr;
	a->starts = tfl_list(n, x->type.rank, starts);
	a->sizes = tfl_list(n, x->type.rank, sizes);
	a->steps = tfl_list(n, x->type.rank, steps);
	return node;
}

Value *
tfl_slice(TNode *n, Value *x, const int64_t *starts, const int64_t *sizes)
{
	static const int64_t ones[MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};

	return tfl_value(n, slice(n, x, starts, sizes, ones));
}

/* `size` places from `start` on along one axis. */
static Node *
slice_axis(TNode *n, Value *x, int axis, int64_t start, int64_t size)
{
	int64_t starts[MAX_RANK] = {0}, sizes[MAX_RANK], steps[MAX_RANK];

	for (int i = 0; i < x->type.rank; i++) {
		sizes[i] = x->type.dim[i];
		steps[i] = 1;
	}
	starts[axis] = start;
	sizes[axis] = size;
	return slice(n, x, starts, sizes, steps);
}

bool
tfl_read_slice(TNode *n)
{
	const Type *x = tfl_type(n, 0);
	int64_t sizes[MAX_RANK], steps[MAX_RANK];
	Ints begin, size;

	if (!tfl_ints(n, 1, &begin) || !tfl_ints(n, 2, &size))
		return false;
	if (begin.n != x->rank || size.n != x->rank)
		return tfl_error(n, E_SHAPE, "begin and size need %d entries", x->rank);
	for (int i = 0; i < x->rank; i++) {
		int64_t room = x->dim[i] - begin.v[i];

		sizes[i] = size.v[i] == -1 ? room : size.v[i];
		steps[i] = 1;
		if (begin.v[i] < 0 || begin.v[i] > x->dim[i] || sizes[i] < 0 || sizes[i] > room)
			return tfl_error(n, E_VALUE, "the slice leaves axis %d", i);
	}
	return tfl_result(n, slice(n, tfl_in(n, 0), begin.v, sizes, steps));
}

/* The range of one axis of a strided slice. */
typedef struct {
	int64_t start, stop, step;
} Range;

static int64_t
bounded(int64_t v, int64_t lo, int64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

static int64_t
range_size(const Range *r)
{
	int64_t span = r->step > 0 ? r->stop - r->start : r->start - r->stop;
	int64_t step = r->step > 0 ? r->step : -r->step;

	return span <= 0 ? 0 : (span + step - 1) / step;
}

/* Axis `axis` of the input by entry i of begin, end and strides. */
static Range
range_of(const FbStridedSliceOptions *o, int i, int64_t length, Range r)
{
	bool up = r.step > 0;
	int64_t lo = up ? 0 : -1, hi = up ? length : length - 1;

	if (o->begin_mask >> i & 1)
		r.start = up ? lo : hi;
	else
		r.start = bounded(r.start < 0 ? r.start + length : r.start, lo, hi);
	if (o->shrink_axis_mask >> i & 1) {
		r.stop = r.start + 1;
		r.step = 1;
		return r;
	}
	if (o->end_mask >> i & 1)
		r.stop = up ? hi : lo;
	else
		r.stop = bounded(r.stop < 0 ? r.stop + length : r.stop, lo, hi);
	return r;
}

/* Entries of begin, end and strides are spread over the input's axes: an ellipsis
 * takes those that are left, a new axis none. */
static bool
strided_ranges(TNode *n, const Ints list[3], Range *range)
{
	const FbStridedSliceOptions *o = &n->options.as_StridedSliceOptions;
	const Type *x = tfl_type(n, 0);
	int axis = 0, left = x->rank;

	for (int i = 0; i < list[0].n; i++)
		left -= !((o->new_axis_mask | o->ellipsis_mask) >> i & 1);
	if (left < 0)
		return tfl_error(n, E_SHAPE, "more ranges than axes");
	for (int i = 0; i < x->rank; i++)
		range[i] = (Range){0, x->dim[i], 1};
	for (int i = 0; i < list[0].n; i++) {
		Range r = {list[0].v[i], list[1].v[i], list[2].v[i]};

		if (o->ellipsis_mask >> i & 1) {
			axis += left;
			continue;
		}
		if (o->new_axis_mask >> i & 1)
			continue;
		if (r.step == 0 || r.step < INT32_MIN || r.step > INT32_MAX)
			return tfl_error(n, E_VALUE, "stride %d is %lld", i, (long long)r.step);
		if (o->offset)
			r.stop = bounded(r.stop, INT32_MIN, INT32_MAX) +
			         bounded(r.start, INT32_MIN, INT32_MAX);
		range[axis] = range_of(o, i, x->dim[axis], r);
		if (o->shrink_axis_mask >> i & 1 && range[axis].start >= x->dim[axis])
			return tfl_error(n, E_VALUE, "there is no element %lld of axis %d",
			                 (long long)r.start, axis);
		axis++;
	}
	return true;
}

bool
tfl_read_strided_slice(TNode *n)
{
	const Type *x = tfl_type(n, 0);
	int64_t starts[MAX_RANK], sizes[MAX_RANK], steps[MAX_RANK];
	Range range[MAX_RANK];
	Ints list[3];

	for (int i = 0; i < 3; i++)
		if (!tfl_ints(n, 1 + i, &list[i]))
			return false;
	if (list[1].n != list[0].n || list[2].n != list[0].n || list[0].n > 2 * MAX_RANK)
		return tfl_error(n, E_SHAPE, "begin, end and strides differ in length");
	if (!strided_ranges(n, list, range))
		return false;
	for (int i = 0; i < x->rank; i++) {
		sizes[i] = range_size(&range[i]);
		starts[i] = sizes[i] == 0 ? 0 : range[i].start;
		steps[i] = sizes[i] <= 1 ? 1 : range[i].step;
	}
	return tfl_result_reshaped(n, tfl_value(n, slice(n, tfl_in(n, 0), starts, sizes, steps)),
	                           0);
}

bool
tfl_read_reverse(TNode *n)
{
	const Type *x = tfl_type(n, 0);
	int64_t starts[MAX_RANK] = {0}, sizes[MAX_RANK], steps[MAX_RANK], axis;
	Ints axes;

	if (!tfl_ints(n, 1, &axes))
		return false;
	for (int i = 0; i < x->rank; i++) {
		sizes[i] = x->dim[i];
		steps[i] = 1;
	}
	for (int i = 0; i < axes.n; i++) {
		if (!tfl_axis(n, axes.v[i], x->rank, &axis))
			return false;
		if (sizes[axis] > 0) {
			starts[axis] = sizes[axis] - 1;
			steps[axis] = -1;
		}
	}
	return tfl_result(n, slice(n, tfl_in(n, 0), starts, sizes, steps));
}

/* ---- Splitting and joining ---- */

static bool
split(TNode *n, int data, int64_t axis, const int64_t *sizes)
{
	const Type *x = tfl_type(n, data);
	int64_t at = 0;

	if (!tfl_axis(n, axis, x->rank, &axis))
		return false;
	for (int i = 0; i < n->nouts; i++) {
		if (sizes[i] < 0 || sizes[i] > x->dim[axis] - at)
			return tfl_error(n, E_SHAPE, "part %d leaves axis %lld", i,
			                 (long long)axis);
		if (!tfl_result_of(n, slice_axis(n, tfl_in(n, data), (int)axis, at, sizes[i]), i))
			return false;
		at += sizes[i];
	}
	if (at != x->dim[axis])
		return tfl_error(n, E_SHAPE, "the parts do not cover axis %lld", (long long)axis);
	return true;
}

bool
tfl_read_split(TNode *n)
{
	int64_t axis, *sizes = ARENA_ARRAY(n->r->arena, int64_t, n->nouts), positive;
	const Type *x = tfl_type(n, 1);

	if (!tfl_int(n, 0, &axis) || !tfl_axis(n, axis, x->rank, &positive))
		return false;
	if (x->dim[positive] % n->nouts != 0)
		return tfl_error(n, E_SHAPE, "axis %lld does not split into %d equal parts",
		                 (long long)positive, n->nouts);
	for (int i = 0; i < n->nouts; i++)
		sizes[i] = x->dim[positive] / n->nouts;
	return split(n, 1, positive, sizes);
}

/* One size may be -1: what the others leave. */
bool
tfl_read_split_v(TNode *n)
{
	const Type *x = tfl_type(n, 0);
	int64_t axis, rest, *sizes = ARENA_ARRAY(n->r->arena, int64_t, n->nouts);
	Ints list;
	int open = -1;

	if (!tfl_ints(n, 1, &list) || !tfl_int(n, 2, &axis) || !tfl_axis(n, axis, x->rank, &axis))
		return false;
	if (list.n != n->nouts)
		return tfl_error(n, E_SHAPE, "%d sizes for %d outputs", list.n, n->nouts);
	rest = x->dim[axis];
	for (int i = 0; i < list.n; i++) {
		sizes[i] = list.v[i];
		if (sizes[i] == -1 && open < 0)
			open = i;
		else if (sizes[i] < 0 || sizes[i] > rest)
			return tfl_error(n, E_SHAPE, "the sizes do not fit axis %lld",
			                 (long long)axis);
		else
			rest -= sizes[i];
	}
	if (open >= 0)
		sizes[open] = rest;
	return split(n, 0, axis, sizes);
}

bool
tfl_read_unpack(TNode *n)
{
	const Type *x = tfl_type(n, 0);
	int64_t axis;

	if (!tfl_axis(n, n->options.as_PackOptions.axis, x->rank, &axis))
		return false;
	if (x->dim[axis] != n->nouts)
		return tfl_error(n, E_SHAPE, "%d outputs for %d places", n->nouts, x->dim[axis]);
	for (int i = 0; i < n->nouts; i++) {
		Value *v = tfl_value(n, slice_axis(n, tfl_in(n, 0), (int)axis, i, 1));

		if (!tfl_result_reshaped(n, v, i))
			return false;
	}
	return true;
}

static Node *
concat(TNode *n, int count, Value *const *in, int64_t axis)
{
	Node *node;

	for (int i = 0; i < count; i++)
		if (!in[i])
			return NULL;
	node = tfl_node(n, OP_CONCAT, count, in);
	if (node)
		((Attr_CONCAT *)node->attr)->axis = axis;
	return node;
}

bool
tfl_read_pack(TNode *n)
{
	Value **in = ARENA_ARRAY(n->r->arena, Value *, n->nins);
	const Type *x = tfl_type(n, 0);
	int64_t axis;
	Type t = *x;

	if (x->rank >= MAX_RANK)
		return tfl_error(n, E_SIZE, "the output would have too many axes");
	if (!tfl_axis(n, n->options.as_PackOptions.axis, x->rank + 1, &axis))
		return false;
	memmove(t.dim + axis + 1, t.dim + axis, (size_t)(x->rank - axis) * sizeof *t.dim);
	t.dim[axis] = 1;
	for (int i = 0; i < n->nins; i++) {
		if (!n->in[i] || !type_same_shape(tfl_type(n, i), x))
			return tfl_error(n, E_SHAPE, "the inputs differ in shape");
		in[i] = tfl_reshape(n, tfl_in(n, i), x->rank + 1, t.dim);
	}
	return tfl_result(n, concat(n, n->nins, in, axis));
}

/* Inputs with another quantisation than the output are requantised first. */
bool
tfl_read_concatenation(TNode *n)
{
	const FbConcatenationOptions *o = &n->options.as_ConcatenationOptions;
	Value **in = ARENA_ARRAY(n->r->arena, Value *, n->nins);
	const Type *y = tfl_out_type(n);
	int64_t axis;

	if (o->activation != 0)
		return tfl_error(n, E_UNSUPPORTED, "a fused activation");
	if (!tfl_axis(n, o->axis, tfl_type(n, 0)->rank, &axis))
		return false;
	for (int i = 0; i < n->nins; i++) {
		if (!n->in[i])
			return tfl_error(n, E_ARITY, "input %d is missing", i);
		in[i] = tfl_requantized(n, tfl_in(n, i), y);
	}
	return tfl_result(n, concat(n, n->nins, in, axis));
}

/* ---- Padding ---- */

/* The list [[before, after], ..] as the IR has it; nothing negative. */
static bool
read_pads(TNode *n, int i, int rank, int64_t pads[2 * MAX_RANK])
{
	Ints list;

	if (!tfl_ints(n, i, &list))
		return false;
	if (list.n != 2 * rank)
		return tfl_error(n, E_SHAPE, "%d paddings for %d axes", list.n, rank);
	for (int k = 0; k < list.n; k++) {
		if (list.v[k] < 0 || list.v[k] > INT32_MAX)
			return tfl_error(n, E_VALUE, "padding %d is %lld", k, (long long)list.v[k]);
		pads[k / 2 + (k % 2) * rank] = list.v[k];
	}
	return true;
}

static Node *
pad(TNode *n, Value *x, const int64_t *pads, Value *value)
{
	Node *node = tfl_node(n, OP_PAD, 2, (Value *[]){x, value});

	if (node)
		((Attr_PAD *)node->attr)->pads = tfl_list(n, 2 * x->type.rank, pads);
	return node;
}

/* What quantised numbers are padded with: the one that stands for 0. */
static Value *
zero_of(TNode *n, const Type *t)
{
	return t->q ? graph_const_float(n->r->g, NULL, t->dtype, t->q->zero[0]) : NULL;
}

bool
tfl_read_pad(TNode *n)
{
	int64_t pads[2 * MAX_RANK];
	Value *value = zero_of(n, tfl_out_type(n));

	if (!read_pads(n, 1, tfl_type(n, 0)->rank, pads))
		return false;
	if (tfl_has(n, 2)) {
		Value *given = tfl_in(n, 2);

		if (type_numel(&given->type) != 1 || given->type.dtype != tfl_type(n, 0)->dtype)
			return tfl_error(n, E_TYPE, "the padding must be one number of the input's "
			                 "type");
		value = given->type.rank == 0 ? given : tfl_reshape(n, given, 0, NULL);
		if (!value)
			return false;
	}
	return tfl_result(n, pad(n, tfl_in(n, 0), pads, value));
}

Value *
tfl_gather(TNode *n, Value *x, int axis, int32_t count, const int64_t *index)
{
	Value *places = graph_const_ints(n->r->g, NULL, count, index);
	Node *node = tfl_node(n, OP_GATHER, 2, (Value *[]){x, places});

	if (node)
		((Attr_GATHER *)node->attr)->axis = axis;
	return tfl_value(n, node);
}

/* Mirrors at the border, which is repeated (offset 0) or not (1). */
bool
tfl_read_mirror_pad(TNode *n)
{
	int64_t offset = n->options.as_MirrorPadOptions.mode == 0, pads[2 * MAX_RANK];
	const Type *x = tfl_type(n, 0);
	Value *v = tfl_in(n, 0);

	if (!read_pads(n, 1, x->rank, pads))
		return false;
	for (int i = 0; i < x->rank && v; i++) {
		int64_t before = pads[i], after = pads[x->rank + i], length = x->dim[i], *at;

		if (before == 0 && after == 0)
			continue;
		if (before > length - offset || after > length - offset)
			return tfl_error(n, E_VALUE, "the padding is wider than axis %d", i);
		at = tfl_alloc(n, (size_t)(before + length + after) * sizeof *at);
		if (!at)
			return false;
		for (int64_t k = 0; k < before + length + after; k++) {
			int64_t p = k - before;

			at[k] = p < 0 ? -p - 1 + offset
			              : p >= length ? 2 * length - 1 - offset - p : p;
		}
		v = tfl_gather(n, v, i, (int32_t)(before + length + after), at);
	}
	return tfl_result(n, tfl_node(n, OP_IDENTITY, 1, &v));
}

/* ---- Blocks ---- */

/* [N, H, W, b, b, C] to [N, H, b, W, b, C]. */
bool
tfl_read_depth_to_space(TNode *n)
{
	const Type *x = tfl_type(n, 0);
	int64_t b = n->options.as_BlockOptions.block_size;
	const int64_t perm[] = {0, 1, 3, 2, 4, 5};
	int32_t k = (int32_t)b;
	Value *v;

	if (x->rank != 4 || b < 1 || b > INT16_MAX || x->dim[3] % (b * b) != 0)
		return tfl_error(n, E_SHAPE, "blocks of %lld do not fit the channels",
		                 (long long)b);
	v = tfl_reshape(n, tfl_in(n, 0), 6,
	                (int32_t[]){x->dim[0], x->dim[1], x->dim[2], k, k, x->dim[3] / (k * k)});
	return v && tfl_result_reshaped(n, tfl_transpose(n, v, perm), 0);
}

bool
tfl_read_space_to_depth(TNode *n)
{
	const Type *x = tfl_type(n, 0);
	int64_t b = n->options.as_BlockOptions.block_size;
	const int64_t perm[] = {0, 1, 3, 2, 4, 5};
	int32_t k = (int32_t)b;
	Value *v;

	if (x->rank != 4 || b < 1 || b > INT16_MAX || x->dim[1] % b != 0 || x->dim[2] % b != 0)
		return tfl_error(n, E_SHAPE, "blocks of %lld do not fit", (long long)b);
	v = tfl_reshape(n, tfl_in(n, 0), 6,
	                (int32_t[]){x->dim[0], x->dim[1] / k, k, x->dim[2] / k, k, x->dim[3]});
	return v && tfl_result_reshaped(n, tfl_transpose(n, v, perm), 0);
}

/* The blocks of operand 1: one for each axis after the first, up to two. */
static bool
read_blocks(TNode *n, int32_t block[2], int *count)
{
	Ints list;

	if (!tfl_ints(n, 1, &list))
		return false;
	if (list.n < 1 || list.n > 2 || tfl_type(n, 0)->rank < list.n + 1)
		return tfl_error(n, E_UNSUPPORTED, "blocks along %d axes", list.n);
	*count = list.n;
	block[1] = 1;
	for (int i = 0; i < list.n; i++) {
		if (list.v[i] < 1 || list.v[i] > INT16_MAX)
			return tfl_error(n, E_VALUE, "a block of %lld", (long long)list.v[i]);
		block[i] = (int32_t)list.v[i];
	}
	return true;
}

/* Elements of the axes from `from` on. */
static int32_t
rest_of(const Type *t, int from)
{
	return type_product(t, from, t->rank);
}

/* Output batch: position in the block, then input batch. */
bool
tfl_read_space_to_batch(TNode *n)
{
	const int64_t perm[] = {2, 4, 0, 1, 3, 5};
	int64_t pads[2 * MAX_RANK] = {0}, listed[2 * MAX_RANK];
	int32_t block[2], h, w;
	int count, rank = tfl_type(n, 0)->rank;
	Value *v;

	if (!read_blocks(n, block, &count) || !read_pads(n, 2, count, listed))
		return false;
	for (int i = 0; i < count; i++) {
		pads[1 + i] = listed[i];
		pads[rank + 1 + i] = listed[count + i];
	}
	v = tfl_value(n, pad(n, tfl_in(n, 0), pads, zero_of(n, tfl_out_type(n))));
	if (!v)
		return false;
	h = v->type.dim[1];
	w = count > 1 ? v->type.dim[2] : 1;
	if (h % block[0] != 0 || w % block[1] != 0)
		return tfl_error(n, E_SHAPE, "the blocks do not fit the padded axes");
	v = tfl_reshape(n, v, 6,
	                (int32_t[]){v->type.dim[0], h / block[0], block[0], w / block[1],
	                            block[1], rest_of(&v->type, 1 + count)});
	return v && tfl_result_reshaped(n, tfl_transpose(n, v, perm), 0);
}

bool
tfl_read_batch_to_space(TNode *n)
{
	const int64_t perm[] = {2, 3, 0, 4, 1, 5};
	const Type *x = tfl_type(n, 0);
	int64_t starts[MAX_RANK] = {0}, sizes[MAX_RANK], steps[MAX_RANK], crop[2 * MAX_RANK];
	int32_t block[2], h, w, batch;
	int count;
	Value *v;

	if (!read_blocks(n, block, &count) || !read_pads(n, 2, count, crop))
		return false;
	h = x->dim[1];
	w = count > 1 ? x->dim[2] : 1;
	if (x->dim[0] % (block[0] * block[1]) != 0)
		return tfl_error(n, E_SHAPE, "the blocks do not fit the batch");
	batch = x->dim[0] / (block[0] * block[1]);
	v = tfl_reshape(n, tfl_in(n, 0), 6,
	                (int32_t[]){block[0], block[1], batch, h, w, rest_of(x, 1 + count)});
	v = v ? tfl_transpose(n, v, perm) : NULL;
	v = v ? tfl_reshape(n, v, 4,
	                    (int32_t[]){batch, h * block[0], w * block[1], rest_of(x, 1 + count)})
	      : NULL;
	if (!v)
		return false;
	for (int i = 0; i < 4; i++) {
		sizes[i] = v->type.dim[i];
		steps[i] = 1;
	}
	for (int i = 0; i < count; i++) {
		starts[1 + i] = crop[i];
		sizes[1 + i] -= crop[i] + crop[count + i];
		if (sizes[1 + i] < 0)
			return tfl_error(n, E_VALUE, "more is cropped than there is");
	}
	return tfl_result_reshaped(n, tfl_value(n, slice(n, v, starts, sizes, steps)), 0);
}

/* ---- Gathering and repeating ---- */

bool
tfl_read_gather(TNode *n)
{
	const FbGatherOptions *o = &n->options.as_GatherOptions;
	int64_t axis;
	Node *node;

	if (o->batch_dims != 0)
		return tfl_error(n, E_UNSUPPORTED, "batch dimensions");
	if (!tfl_axis(n, o->axis, tfl_type(n, 0)->rank, &axis))
		return false;
	node = tfl_node(n, OP_GATHER, 2, (Value *[]){tfl_in(n, 0), tfl_in(n, 1)});
	if (node)
		((Attr_GATHER *)node->attr)->axis = axis;
	return tfl_result(n, node);
}

bool
tfl_read_gather_nd(TNode *n)
{
	return tfl_result(n, tfl_node(n, OP_GATHER_ND, 2,
	                              (Value *[]){tfl_in(n, 0), tfl_in(n, 1)}));
}

/* Rows of operand 1 by the places of operand 0. */
Value *
tfl_gather_by(TNode *n, Value *x, Value *indices)
{
	return tfl_binary(n, OP_GATHER, x, indices);
}

bool
tfl_read_embedding_lookup(TNode *n)
{
	if (tfl_type(n, 1)->q && n->in[1]->data && dtype_is_float(tfl_out_type(n)->dtype))
		return tfl_hybrid_lookup(n, tfl_in(n, 0));
	return tfl_result(n, tfl_node(n, OP_GATHER, 2, (Value *[]){tfl_in(n, 1), tfl_in(n, 0)}));
}

bool
tfl_read_tile(TNode *n)
{
	Node *node;
	Ints repeats;

	if (!tfl_ints(n, 1, &repeats))
		return false;
	node = tfl_node(n, OP_TILE, 1, (Value *[]){tfl_in(n, 0)});
	if (node)
		((Attr_TILE *)node->attr)->repeats = repeats;
	return tfl_result(n, node);
}

static bool
expand(TNode *n, Value *x)
{
	const Type *t = tfl_out_type(n);
	Node *node = tfl_node(n, OP_EXPAND, 1, &x);
	int64_t shape[MAX_RANK];

	if (!node)
		return false;
	for (int i = 0; i < t->rank; i++)
		shape[i] = t->dim[i];
	((Attr_EXPAND *)node->attr)->shape = tfl_list(n, t->rank, shape);
	return tfl_result(n, node);
}

bool
tfl_read_broadcast_to(TNode *n)
{
	return expand(n, tfl_in(n, 0));
}

/* Dimensions, value. */
bool
tfl_read_fill(TNode *n)
{
	return expand(n, tfl_in(n, 1));
}

bool
tfl_read_zeros_like(TNode *n)
{
	const Type *t = tfl_out_type(n);
	Value *zero = zero_of(n, t);

	if (t->q)
		return tfl_error(n, E_UNSUPPORTED, "zeros of quantised numbers");
	if (!zero)
		zero = graph_const_float(n->r->g, NULL, t->dtype, 0);
	return expand(n, zero);
}

bool
tfl_read_reverse_sequence(TNode *n)
{
	const FbReverseSequenceOptions *o = &n->options.as_ReverseSequenceOptions;
	Value *lengths = tfl_cast(n, tfl_in(n, 1), DT_I64);
	Node *node = tfl_node(n, OP_REVERSE_SEQUENCE, 2, (Value *[]){tfl_in(n, 0), lengths});
	Attr_REVERSE_SEQUENCE *a;

	if (!node)
		return false;
	a = node->attr;
	a->batch_axis = o->batch_dim;
	a->time_axis = o->seq_dim;
	return tfl_result(n, node);
}
