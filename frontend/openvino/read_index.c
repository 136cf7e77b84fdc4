/*
 * Gathering and scattering by indices.
 */
#include <string.h>

#include "frontend/openvino/read.h"

/* Indices as the graph IR takes them. */
static Value *
indices(Layer *l, int i)
{
	DType t = l->in[i]->type.dtype;

	if (!dtype_is_integer(t)) {
		ov_error_in(l, i, E_TYPE, "has type %s; integers are needed",
		            type_text(l->r->arena, &l->in[i]->type));
		return NULL;
	}
	return t == DT_I32 || t == DT_I64 ? l->in[i] : ov_cast(l, l->in[i], DT_I64);
}

/* The axis that input i states. */
static bool
axis_input(Layer *l, int i, int rank, int *axis)
{
	int64_t given;

	return ov_const_int(l, i, INT32_MIN, INT32_MAX, &given) &&
	       ov_norm_axis(l, given, rank, axis);
}

/* With `batch` leading axes in common: a gather of tuples of one index. */
static Value *
gather_batched(Layer *l, Value *at, int axis, int batch)
{
	Builder *b = &l->b;
	const Type *x = &l->in[0]->type;
	int own = at ? at->type.rank - batch : 0, middle = axis - batch;
	int perm[MAX_RANK] = {0}, k = 0, rank = x->rank - 1 + own;
	Value *y;
	Node *n;

	if (rank > MAX_RANK) {
		ov_error(l, E_SIZE, "more than %d dimensions are needed", MAX_RANK);
		return NULL;
	}
	at = at ? build_unsqueeze(b, at, at->type.rank) : NULL;
	y = build_move_axis(b, l->in[0], axis, batch);
	n = build_node(b, OP_GATHER_ND, 2, (Value *[]){y, at});
	if (n)
		((Attr_GATHER_ND *)n->attr)->batch_dims = batch;
	y = build_finish(b, n);
	/* batch, own, middle, rest to batch, middle, own, rest */
	for (; k < batch; k++)
		perm[k] = k;
	for (int i = 0; i < middle; i++)
		perm[k++] = batch + own + i;
	for (int i = 0; i < own; i++)
		perm[k++] = batch + i;
	for (; k < rank; k++)
		perm[k] = k;
	return build_transpose(b, y, rank, perm);
}

bool
ov_read_gather(Layer *l)
{
	int64_t batch = ov_int(l, "batch_dims", 0, -MAX_RANK, MAX_RANK);
	const Type *x = &l->in[0]->type;
	Value *at;
	int axis;

	if (l->failed || !axis_input(l, 2, x->rank, &axis))
		return false;
	at = indices(l, 1);
	if (!at)
		return false;
	if (batch < 0)
		batch += at->type.rank;
	if (batch < 0 || batch > axis || batch > at->type.rank)
		return ov_error(l, E_VALUE, "batch_dims does not fit axis %d and indices of rank %d",
		                axis, at->type.rank);
	for (int i = 0; i < batch; i++)
		if (x->dim[i] != at->type.dim[i])
			return ov_error_in(l, 1, E_SHAPE, "has another length in batch axis %d", i);
	if (batch == 0)
		return ov_result(l, build_gather(&l->b, l->in[0], at, axis));
	return ov_result(l, gather_batched(l, at, axis, (int)batch));
}

bool
ov_read_gather_elements(Layer *l)
{
	int64_t given = ov_int(l, "axis", 0, INT32_MIN, INT32_MAX);
	Value *at;
	Node *n;
	int axis;

	if (l->failed || !ov_norm_axis(l, given, l->in[0]->type.rank, &axis))
		return false;
	at = indices(l, 1);
	n = build_node(&l->b, OP_GATHER_ELEMENTS, 2, (Value *[]){l->in[0], at});
	if (n)
		((Attr_GATHER_ELEMENTS *)n->attr)->axis = axis;
	return ov_result(l, build_finish(&l->b, n));
}

static Value *
gather_nd(Layer *l, int64_t batch)
{
	Value *at = indices(l, 1);
	Node *n = build_node(&l->b, OP_GATHER_ND, 2, (Value *[]){l->in[0], at});

	if (n)
		((Attr_GATHER_ND *)n->attr)->batch_dims = batch;
	return build_finish(&l->b, n);
}

bool
ov_read_gather_nd(Layer *l)
{
	int64_t batch = ov_int(l, "batch_dims", 0, 0, MAX_RANK);

	return !l->failed && ov_result(l, gather_nd(l, batch));
}

/* In its first form the batch axes of the result are one. */
bool
ov_read_gather_nd_flat(Layer *l)
{
	int batch = (int)ov_int(l, "batch_dims", 0, 0, MAX_RANK);
	Value *y = l->failed ? NULL : gather_nd(l, batch);
	Type t;

	if (!y || batch < 2)
		return ov_result(l, y);
	t = (Type){.rank = y->type.rank - batch + 1};
	t.dim[0] = type_product(&y->type, 0, batch);
	for (int i = 1; i < t.rank; i++)
		t.dim[i] = y->type.dim[batch - 1 + i];
	return ov_result(l, build_reshape_to(&l->b, y, &t));
}

/* ---- Scatter ---- */

static Reduction
read_reduction(Layer *l)
{
	enum { SUM = 1, PROD = 2, MIN = 3, MAX = 4 };
	static const char *const words[] = {"none", "sum", "prod", "min", "max", "mean",
	                                    "sub", NULL};
	int word = ov_word(l, "reduction", words, 0);

	if (word > MAX)
		ov_error(l, E_UNSUPPORTED, "the reduction '%s' is not supported", words[word]);
	if (word && !ov_bool(l, "use_init_val", true))
		ov_error(l, E_UNSUPPORTED, "a reduction without the values that are replaced is "
		         "not supported");
	switch (word) {
	case SUM: return REDUCTION_add;
	case PROD: return REDUCTION_mul;
	case MIN: return REDUCTION_min;
	case MAX: return REDUCTION_max;
	default: return REDUCTION_none;
	}
}

bool
ov_read_scatter_elements(Layer *l)
{
	Reduction reduction = read_reduction(l);
	Value *at;
	Node *n;
	int axis;

	if (l->failed || !axis_input(l, 3, l->in[0]->type.rank, &axis))
		return false;
	at = indices(l, 1);
	n = build_node(&l->b, OP_SCATTER_ELEMENTS, 3, (Value *[]){l->in[0], at, l->in[2]});
	if (n)
		*(Attr_SCATTER_ELEMENTS *)n->attr =
			(Attr_SCATTER_ELEMENTS){.axis = axis, .reduction = reduction};
	return ov_result(l, build_finish(&l->b, n));
}

static Value *
scatter_nd(Layer *l, Value *x, Value *at, Value *updates, Reduction reduction)
{
	Node *n = build_node(&l->b, OP_SCATTER_ND, 3, (Value *[]){x, at, updates});

	if (n)
		((Attr_SCATTER_ND *)n->attr)->reduction = reduction;
	return build_finish(&l->b, n);
}

bool
ov_read_scatter_nd(Layer *l)
{
	Reduction reduction = read_reduction(l);
	Value *at = l->failed ? NULL : indices(l, 1);

	return ov_result(l, scatter_nd(l, l->in[0], at, l->in[2], reduction));
}

/* Whole slices along an axis, which comes to the front meanwhile. */
bool
ov_read_scatter_update(Layer *l)
{
	Builder *b = &l->b;
	Value *x = l->in[0], *updates = l->in[2], *at;
	int axis, own, perm[MAX_RANK], k = 0;

	if (!axis_input(l, 3, x->type.rank, &axis))
		return false;
	at = indices(l, 1);
	if (!at)
		return false;
	own = at->type.rank;
	if (updates->type.rank != x->type.rank - 1 + own)
		return ov_error_in(l, 2, E_SHAPE, "has type %s, which does not fit",
		                   type_text(l->r->arena, &updates->type));
	for (int i = 0; i < own; i++)
		perm[k++] = axis + i;
	for (int i = 0; i < axis; i++)
		perm[k++] = i;
	for (; k < updates->type.rank; k++)
		perm[k] = k;
	updates = build_transpose(b, updates, updates->type.rank, perm);
	x = build_move_axis(b, x, axis, 0);
	at = build_unsqueeze(b, at, own);
	x = scatter_nd(l, x, at, updates, REDUCTION_none);
	return ov_result(l, build_move_axis(b, x, 0, axis));
}

/* ---- Others ---- */

/* Indices below 0 are outside as those behind the end are; the graph IR would count them
 * from the end. */
static Value *
without_negatives(Layer *l, Value *at, int64_t depth)
{
	Value *negative = build_with(&l->b, OP_LESS, at, 0), *outside;

	if (!at)
		return NULL;
	outside = build_scalar(&l->b, at->type.dtype, (double)depth);
	return build_where(&l->b, negative, outside, at);
}

bool
ov_read_one_hot(Layer *l)
{
	static const char *const words[] = {"ignore_negative", "normalize", NULL};
	int64_t given = ov_int(l, "axis", -1, INT32_MIN, INT32_MAX), depth;
	bool from_end = ov_word(l, "negative_indices_mode", words, 0) == 1;
	Value *value[2], *values, *at;
	int axis;
	Node *n;

	if (l->failed || !ov_const_int(l, 1, 0, INT32_MAX, &depth) ||
	    !ov_norm_axis(l, given, l->in[0]->type.rank + 1, &axis))
		return false;
	at = indices(l, 0);
	if (!from_end)
		at = without_negatives(l, at, depth);
	for (int i = 0; i < 2; i++) {
		Value *v = l->in[i == 0 ? 3 : 2];

		if (type_numel(&v->type) != 1)
			return ov_error(l, E_SHAPE, "the values on and off are not one number each");
		value[i] = build_channels(&l->b, v, 0, 1);
	}
	values = build_concat(&l->b, 2, value, 0);
	n = build_node(&l->b, OP_ONE_HOT, 2, (Value *[]){at, values});
	if (n)
		*(Attr_ONE_HOT *)n->attr = (Attr_ONE_HOT){.axis = axis, .depth = depth};
	return ov_result(l, build_finish(&l->b, n));
}

bool
ov_read_reverse_sequence(Layer *l)
{
	int64_t batch = ov_int(l, "batch_axis", 0, INT32_MIN, INT32_MAX);
	int64_t time = ov_int(l, "seq_axis", 1, INT32_MIN, INT32_MAX);
	int rank = l->in[0]->type.rank, b, t;
	Value *lengths;
	Node *n;

	if (l->failed || !ov_norm_axis(l, batch, rank, &b) || !ov_norm_axis(l, time, rank, &t))
		return false;
	lengths = ov_cast(l, l->in[1], DT_I64);
	n = build_node(&l->b, OP_REVERSE_SEQUENCE, 2, (Value *[]){l->in[0], lengths});
	if (n)
		*(Attr_REVERSE_SEQUENCE *)n->attr =
			(Attr_REVERSE_SEQUENCE){.batch_axis = b, .time_axis = t};
	return ov_result(l, build_finish(&l->b, n));
}
