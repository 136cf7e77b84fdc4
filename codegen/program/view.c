/*
 * Which operators only give another shape or name to bytes that exist.
 */
#include <assert.h>

#include "codegen/program/program.h"

/* Axes of length 1 may go anywhere; the others must keep their order. */
static bool
transpose_is_view(const Node *n)
{
	const Attr_TRANSPOSE *a = n->attr;
	const Type *in = &n->in[0]->type;
	int64_t last = -1;

	for (int i = 0; i < a->perm.n; i++) {
		if (in->dim[a->perm.v[i]] == 1)
			continue;
		if (a->perm.v[i] < last)
			return false;
		last = a->perm.v[i];
	}
	return true;
}

/* All of each axis behind the first one that has more than one element. */
static bool
slice_is_view(const Node *n, int32_t *offset)
{
	const Attr_SLICE *a = n->attr;
	const Type *in = &n->in[0]->type;
	int32_t stride[MAX_RANK];
	bool inside = false;

	type_strides(in, stride);
	*offset = 0;
	for (int i = 0; i < in->rank; i++) {
		if (inside && (a->starts.v[i] != 0 || a->sizes.v[i] != in->dim[i]))
			return false;
		if (a->sizes.v[i] > 1 && a->steps.v[i] != 1)
			return false;
		inside = inside || a->sizes.v[i] > 1;
		*offset += (int32_t)a->starts.v[i] * stride[i];
	}
	return true;
}

static bool
all_zero(Ints ints)
{
	for (int i = 0; i < ints.n; i++)
		if (ints.v[i] != 0)
			return false;
	return true;
}

bool
node_is_view(const Node *n, int32_t *offset)
{
	*offset = 0;
	if (n->nins == 0 || !n->in[0] || n->nouts != 1 || !n->out[0] ||
	    n->in[0]->type.dtype != n->out[0]->type.dtype || type_numel(&n->out[0]->type) == 0)
		return false;
	if (op_info[n->op].traits & VIEW)
		return true;
	switch ((int)n->op) {
	case OP_TRANSPOSE: return transpose_is_view(n);
	case OP_SLICE: return slice_is_view(n, offset);
	case OP_PAD: return all_zero(((const Attr_PAD *)n->attr)->pads);
	case OP_EXPAND:
	case OP_TILE: return type_numel(&n->in[0]->type) == type_numel(&n->out[0]->type);
	case OP_CONCAT: return n->nins == 1;
	default: return false;
	}
}

bool
node_concat_offsets(const Node *n, int32_t *offset)
{
	int64_t axis;
	int32_t at = 0;

	if (n->op != OP_CONCAT || !n->out[0])
		return false;
	axis = ((const Attr_CONCAT *)n->attr)->axis;
	if (type_product(&n->out[0]->type, 0, (int)axis) != 1)
		return false;
	for (int i = 0; i < n->nins; i++) {
		offset[i] = at;
		at += type_numel(&n->in[i]->type);
	}
	return true;
}
