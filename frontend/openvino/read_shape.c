/*
 * Shapes: what a tensor looks like, without moving its elements, or making it larger.
 */
#include <math.h>
#include <string.h>

#include "frontend/openvino/read.h"
#include "ir/num.h"

bool
ov_read_shape_of(Layer *l)
{
	DType t = ov_dtype_attr(l, "output_type", DT_I64);
	const Type *x = &l->in[0]->type;
	int64_t dim[MAX_RANK];

	if (l->failed)
		return false;
	if (t != DT_I64 && t != DT_I32)
		return ov_error(l, E_TYPE, "a shape of type %s", dtype_info[t].name);
	for (int i = 0; i < x->rank; i++)
		dim[i] = x->dim[i];
	return ov_result(l, ov_const_list(l, t, x->rank, dim));
}

/* Lengths as a type of x's elements; false when they are none. */
static bool
set_shape(Layer *l, const int64_t *dim, int rank, Type *t)
{
	*t = (Type){.dtype = l->in[0]->type.dtype, .rank = rank};
	for (int i = 0; i < rank; i++) {
		if (dim[i] < 0 || dim[i] > INT32_MAX)
			return ov_error(l, E_SHAPE, "the result would have the dimension %lld",
			                (long long)dim[i]);
		t->dim[i] = (int32_t)dim[i];
	}
	return type_is_representable(t) || ov_error(l, E_SIZE, "the result is larger than 2 GiB");
}

/* The length that -1 stands for: what all others leave of `total`. */
static bool
fill_length(Layer *l, int64_t *dim, int rank, int open, int64_t total)
{
	int64_t rest = 1;

	for (int i = 0; i < rank; i++)
		if (i != open && __builtin_mul_overflow(rest, dim[i], &rest))
			return ov_error(l, E_SIZE, "the result is larger than 2 GiB");
	if (rest <= 0 || total % rest != 0)
		return ov_error(l, E_SHAPE, "%lld elements cannot have this shape",
		                (long long)total);
	dim[open] = total / rest;
	return true;
}

bool
ov_read_reshape(Layer *l)
{
	bool special = ov_bool(l, "special_zero", false);
	const Type *x = &l->in[0]->type;
	int64_t dim[MAX_RANK];
	int open = -1;
	Ints shape;
	Type t;

	if (l->failed || !ov_const_ints(l, 1, &shape))
		return false;
	if (shape.n > MAX_RANK)
		return ov_error(l, E_SIZE, "%d dimensions; at most %d are possible", shape.n,
		                MAX_RANK);
	for (int i = 0; i < shape.n; i++) {
		dim[i] = shape.v[i];
		if (dim[i] == 0 && special) {
			if (i >= x->rank)
				return ov_error(l, E_SHAPE, "dimension %d is to be kept, but %s has "
				                "none", i, type_text(l->r->arena, x));
			dim[i] = x->dim[i];
		}
		if (dim[i] == -1) {
			if (open >= 0)
				return ov_error(l, E_SHAPE, "two dimensions are -1");
			open = i;
		}
	}
	if (open >= 0 && !fill_length(l, dim, shape.n, open, type_numel(x)))
		return false;
	if (!set_shape(l, dim, shape.n, &t))
		return false;
	if (type_numel(&t) != type_numel(x))
		return ov_error(l, E_SHAPE, "%s cannot be reshaped to %s",
		                type_text(l->r->arena, x), type_text(l->r->arena, &t));
	return ov_result(l, ov_reshape_weights(l, l->in[0], &t));
}

bool
ov_read_squeeze(Layer *l)
{
	bool skip = ov_bool(l, "allow_axis_skip", false), drop[MAX_RANK] = {false};
	const Type *x = &l->in[0]->type;
	Type t = {.dtype = x->dtype};
	Ints axes = NO_INTS;

	if (l->failed || (ov_in(l, 1) && (!ov_const_ints(l, 1, &axes) ||
	                                  !ov_norm_axes(l, axes, x->rank, &axes))))
		return false;
	for (int i = 0; i < x->rank; i++)
		drop[i] = axes.n == 0 && x->dim[i] == 1;
	for (int i = 0; i < axes.n; i++) {
		drop[axes.v[i]] = x->dim[axes.v[i]] == 1;
		if (!drop[axes.v[i]] && !skip)
			return ov_error(l, E_SHAPE, "axis %lld of %s is not 1",
			                (long long)axes.v[i], type_text(l->r->arena, x));
	}
	for (int i = 0; i < x->rank; i++)
		if (!drop[i])
			t.dim[t.rank++] = x->dim[i];
	return ov_result(l, ov_reshape_weights(l, l->in[0], &t));
}

bool
ov_read_unsqueeze(Layer *l)
{
	const Type *x = &l->in[0]->type;
	bool added[MAX_RANK] = {false};
	Type t = {.dtype = x->dtype};
	Ints axes;

	if (!ov_const_ints(l, 1, &axes))
		return false;
	if (axes.n + x->rank > MAX_RANK)
		return ov_error(l, E_SIZE, "more than %d dimensions are needed", MAX_RANK);
	t.rank = axes.n + x->rank;
	if (!ov_norm_axes(l, axes, t.rank, &axes))
		return false;
	for (int i = 0; i < axes.n; i++)
		added[axes.v[i]] = true;
	for (int i = 0, k = 0; i < t.rank; i++)
		t.dim[i] = added[i] ? 1 : x->dim[k++];
	return ov_result(l, ov_reshape_weights(l, l->in[0], &t));
}

/* Ones are put before the shorter of shape and repeats. */
bool
ov_read_tile(Layer *l)
{
	Value *x = l->in[0];
	int64_t repeats[MAX_RANK];
	Ints given;
	Node *n;

	if (!ov_const_ints(l, 1, &given))
		return false;
	if (given.n > MAX_RANK)
		return ov_error(l, E_SIZE, "%d dimensions; at most %d are possible", given.n,
		                MAX_RANK);
	while (x && x->type.rank < given.n)
		x = build_unsqueeze(&l->b, x, 0);
	if (!x)
		return false;
	for (int i = 0; i < x->type.rank; i++) {
		int k = i - (x->type.rank - given.n);

		repeats[i] = k < 0 ? 1 : given.v[k];
		if (repeats[i] < 0)
			return ov_error_in(l, 1, E_VALUE, "has the element %lld",
			                   (long long)repeats[i]);
	}
	n = build_node(&l->b, OP_TILE, 1, &x);
	if (n)
		((Attr_TILE *)n->attr)->repeats = build_ints(&l->b, x->type.rank, repeats);
	return ov_result(l, build_finish(&l->b, n));
}

/* ---- Broadcast ---- */

/* x's axis i becomes axis map[i] of the target; all others of x are 1. */
static Value *
place_axes(Layer *l, Ints map, const Type *target)
{
	const Type *x = &l->in[0]->type;
	Type t = {.dtype = x->dtype, .rank = target->rank};
	int64_t last = -1;

	if (map.n != x->rank) {
		ov_error(l, E_SHAPE, "%d axes are mapped, and %s has others", map.n,
		         type_text(l->r->arena, x));
		return NULL;
	}
	for (int i = 0; i < t.rank; i++)
		t.dim[i] = 1;
	for (int i = 0; i < map.n; i++) {
		if (map.v[i] <= last || map.v[i] >= t.rank) {
			ov_error_in(l, 2, E_VALUE, "maps axis %d to %lld", i, (long long)map.v[i]);
			return NULL;
		}
		last = map.v[i];
		t.dim[last] = x->dim[i];
	}
	return build_reshape_to(&l->b, l->in[0], &t);
}

bool
ov_read_broadcast(Layer *l)
{
	enum { NUMPY, EXPLICIT, PDPD, BIDIRECTIONAL };
	static const char *const words[] = {"numpy", "explicit", "pdpd", "bidirectional", NULL};
	int mode = ov_word(l, "mode", words, ov_in(l, 2) ? EXPLICIT : NUMPY);
	Value *x = l->in[0];
	Ints shape, map;
	Type t, both;

	if (l->failed || !ov_const_ints(l, 1, &shape))
		return false;
	if (shape.n > MAX_RANK)
		return ov_error(l, E_SIZE, "%d dimensions; at most %d are possible", shape.n,
		                MAX_RANK);
	if (!set_shape(l, shape.v, shape.n, &t))
		return false;
	if (mode == EXPLICIT) {
		if (!ov_const_ints(l, 2, &map))
			return false;
		x = place_axes(l, map, &t);
		if (!x)
			return false;
	}
	both = t;
	if (!type_broadcast(&x->type, &t, &both) ||
	    (mode != BIDIRECTIONAL && !type_same_shape(&both, &t)))
		return ov_error(l, E_SHAPE, "%s cannot be broadcast to %s",
		                type_text(l->r->arena, &x->type), type_text(l->r->arena, &t));
	return ov_result(l, build_expand(&l->b, x, &both));
}

/* ---- Range ---- */

/* Input i as a number that is known. */
static bool
bound(Layer *l, int i, double *out)
{
	Floats list;

	if (!ov_const_floats(l, i, &list))
		return false;
	if (list.n != 1 || !isfinite(list.v[0]))
		return ov_error_in(l, i, E_VALUE, "is no number");
	*out = list.v[0];
	return true;
}

/* Of integers bounds that are not whole are cut first. */
bool
ov_read_range(Layer *l)
{
	DType to = ov_dtype_attr(l, "output_type", l->in[0]->type.dtype);
	double start, stop, step, count;
	Type t;
	void *data;

	if (l->failed || !bound(l, 0, &start) || !bound(l, 1, &stop) || !bound(l, 2, &step))
		return false;
	if (dtype_is_integer(to)) {
		start = trunc(start);
		stop = trunc(stop);
		step = trunc(step);
	}
	if (step == 0)
		return ov_error_in(l, 2, E_VALUE, "is 0");
	count = ceil((stop - start) / step);
	if (count > (double)OV_LIST)
		return ov_error(l, E_SIZE, "the range has %g elements", count);
	t = type_make(to, 1, &(int32_t){count > 0 ? (int32_t)count : 0});
	data = ov_const_data(l, &t);
	for (int32_t i = 0; data && i < t.dim[0]; i++)
		num_store(to, data, (size_t)i, start + i * step);
	return data && ov_result(l, graph_const(l->r->g, NULL, t, data));
}
