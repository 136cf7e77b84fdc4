/*
 * Normalisation.
 */
#include <string.h>

#include "frontend/openvino/read.h"

/* Both spellings of the attribute occur. */
static double
epsilon(Layer *l)
{
	return ov_float(l, ov_attr(l, "epsilon") ? "epsilon" : "eps", 1e-5);
}

static bool
batch_norm(Layer *l, Value *x, Value *scale, Value *bias)
{
	Node *n = build_node(&l->b, OP_BATCH_NORM, 5,
	                     (Value *[]){x, scale, bias, l->in[3], l->in[4]});

	if (n)
		((Attr_BATCH_NORM *)n->attr)->epsilon = epsilon(l);
	return !l->failed && ov_result(l, build_finish(&l->b, n));
}

bool
ov_read_batch_norm_first(Layer *l)
{
	return batch_norm(l, l->in[2], l->in[0], l->in[1]);
}

bool
ov_read_batch_norm(Layer *l)
{
	return batch_norm(l, l->in[0], l->in[1], l->in[2]);
}

static bool
has_channels(Layer *l)
{
	return l->in[0]->type.rank >= 2 ||
	       ov_error_in(l, 0, E_SHAPE, "has type %s; channels are needed",
	                   type_text(l->r->arena, &l->in[0]->type));
}

/* x / sqrt(sum over channels of x^2 + bias) */
bool
ov_read_grn(Layer *l)
{
	double bias = ov_float(l, "bias", 0);
	Value *sum;

	if (l->failed || !has_channels(l))
		return false;
	sum = build_reduce(&l->b, OP_REDUCE_SUM_SQUARE, l->in[0], ov_range(l, 1, 2), true);
	sum = build_unary(&l->b, OP_SQRT, build_with(&l->b, OP_ADD, sum, bias));
	return ov_result(l, build_binary(&l->b, OP_DIV, l->in[0], sum));
}

bool
ov_read_group_norm(Layer *l)
{
	int64_t groups = ov_int(l, "num_groups", 1, 1, INT32_MAX);
	Node *n = build_node(&l->b, OP_GROUP_NORM, 3, l->in);

	if (n)
		*(Attr_GROUP_NORM *)n->attr =
			(Attr_GROUP_NORM){.groups = groups, .epsilon = epsilon(l)};
	return !l->failed && ov_result(l, build_finish(&l->b, n));
}

/* Across channels; as ONNX has it. */
bool
ov_read_lrn(Layer *l)
{
	Attr_LRN a = {.size = ov_int(l, "size", 1, 1, INT32_MAX),
	              .alpha = ov_float(l, "alpha", 1),
	              .beta = ov_float(l, "beta", 0.5),
	              .bias = ov_float(l, "bias", 1)};
	Ints axes = ov_range(l, 1, 2);
	Node *n;

	if (l->failed || (ov_in(l, 1) && !ov_const_ints(l, 1, &axes)) ||
	    !ov_norm_axes(l, axes, l->in[0]->type.rank, &axes))
		return false;
	if (axes.n != 1 || axes.v[0] != 1)
		return ov_error(l, E_UNSUPPORTED,
		                "only the axis of the channels, 1, can be normalised");
	n = build_node(&l->b, OP_LRN, 1, l->in);
	if (n)
		*(Attr_LRN *)n->attr = a;
	return ov_result(l, build_finish(&l->b, n));
}

bool
ov_read_softmax(Layer *l)
{
	int64_t given = ov_int(l, "axis", 1, INT32_MIN, INT32_MAX);
	Node *n;
	int axis;

	if (l->failed || !ov_norm_axis(l, given, l->in[0]->type.rank, &axis))
		return false;
	n = build_node(&l->b, l->info->op, 1, l->in);
	if (n) /* softmax and log_softmax begin alike */
		((Attr_LOG_SOFTMAX *)n->attr)->axis = axis;
	return ov_result(l, build_finish(&l->b, n));
}

_Static_assert(offsetof(Attr_SOFTMAX, axis) == offsetof(Attr_LOG_SOFTMAX, axis),
               "softmax and log_softmax differ");

/* (x - mean) / deviation over the axes; eps is added below the root, or to it. */
static bool
normalize(Layer *l, Ints axes, bool variance, double eps, bool outside)
{
	Builder *b = &l->b;
	Value *mean = build_reduce(b, OP_REDUCE_MEAN, l->in[0], axes, true);
	Value *x = build_binary(b, OP_SUB, l->in[0], mean), *square, *deviation;

	if (!variance)
		return ov_result(l, x);
	square = build_binary(b, OP_MUL, x, x);
	deviation = build_reduce(b, OP_REDUCE_MEAN, square, axes, true);
	if (outside)
		deviation = build_with(b, OP_ADD, build_unary(b, OP_SQRT, deviation), eps);
	else
		deviation = build_unary(b, OP_SQRT, build_with(b, OP_ADD, deviation, eps));
	return ov_result(l, build_binary(b, OP_DIV, x, deviation));
}

bool
ov_read_mvn_first(Layer *l)
{
	bool across = ov_bool(l, "across_channels", false);
	bool variance = ov_bool(l, "normalize_variance", true);
	double eps = ov_float(l, "eps", 1e-9);
	int rank = l->in[0]->type.rank;
	Ints axes = ov_ints(l, "reduction_axes");

	if (l->failed || !has_channels(l))
		return false;
	if (!axes.n)
		axes = ov_range(l, across ? 1 : 2, rank);
	return ov_sorted_axes(l, axes, rank, &axes) && normalize(l, axes, variance, eps, false);
}

bool
ov_read_mvn(Layer *l)
{
	static const char *const modes[] = {"inside_sqrt", "INSIDE_SQRT", "outside_sqrt",
	                                    "OUTSIDE_SQRT", NULL};
	bool outside = ov_word(l, "eps_mode", modes, 0) >= 2;
	bool variance = ov_bool(l, "normalize_variance", true);
	double eps = ov_float(l, "eps", 1e-9);
	Ints axes;

	return !l->failed && ov_const_ints(l, 1, &axes) &&
	       ov_sorted_axes(l, axes, l->in[0]->type.rank, &axes) &&
	       normalize(l, axes, variance, eps, outside);
}

/* x / sqrt(sum of x^2, with eps added or as its least value).  Over no axes every element
 * is a sum of its own. */
bool
ov_read_normalize_l2(Layer *l)
{
	static const char *const modes[] = {"add", "max", NULL};
	bool largest = ov_word(l, "eps_mode", modes, 0) == 1;
	double eps = ov_float(l, "eps", 0);
	Value *sum;
	Ints axes;

	if (l->failed || !ov_const_ints(l, 1, &axes) ||
	    !ov_sorted_axes(l, axes, l->in[0]->type.rank, &axes))
		return false;
	sum = build_reduce(&l->b, OP_REDUCE_SUM_SQUARE, l->in[0], axes, true);
	sum = build_with(&l->b, largest ? OP_MAX : OP_ADD, sum, eps);
	sum = build_unary(&l->b, OP_SQRT, sum);
	return ov_result(l, build_binary(&l->b, OP_DIV, l->in[0], sum));
}
