/*
 * Normalisations and softmax.
 */
#include <math.h>

#include "frontend/onnx/read.h"

/* ---- Softmax ---- */

/* Before opset 13 the axes from `axis` on are taken together. */
bool
onnx_read_softmax(ONode *n)
{
	Value *x = n->in[0], *y;
	int rank = x->type.rank;
	int axis;

	if (n->opset < 13 && rank == 0)
		return onnx_unsupported(n, "a scalar as the input");
	axis = onnx_axis(n, "axis", n->opset < 13 ? (rank > 1 ? 1 : 0) : -1, rank);
	if (n->failed)
		return false;
	if (n->opset >= 13 || axis == rank - 1)
		return onnx_result(n, onnx_softmax(n, n->info->op, x, axis));
	y = onnx_reshape_to(n, x, &(Type){.rank = 2,
	                                  .dim = {type_product(&x->type, 0, axis),
	                                          type_product(&x->type, axis, rank)}});
	y = onnx_softmax(n, n->info->op, y, 1);
	return onnx_result(n, onnx_reshape_to(n, y, &x->type));
}

/* ---- Batch normalisation ---- */

/* Over all axes but the channels. */
static Value *
channel_mean(ONode *n, Value *x)
{
	int64_t axes[MAX_RANK] = {0};
	int rank = x->type.rank;

	for (int i = 1; i + 1 < rank; i++)
		axes[i] = i + 1;
	return onnx_reduce(n, OP_REDUCE_MEAN, x, onnx_list(n, rank - 1, axes), false);
}

/* momentum * old + (1 - momentum) * now */
static Value *
running(ONode *n, Value *old, Value *now, double momentum)
{
	old = onnx_with(n, OP_MUL, old, momentum);
	return onnx_binary(n, OP_ADD, old, onnx_with(n, OP_MUL, now, 1 - momentum));
}

static Value *
batch_norm(ONode *n, Value *mean, Value *variance, double epsilon)
{
	Value *in[] = {n->in[0], n->in[1], n->in[2], mean, variance};
	Node *k = mean && variance ? onnx_node(n, OP_BATCH_NORM, 5, in, 1) : NULL;

	if (k)
		((Attr_BATCH_NORM *)k->attr)->epsilon = epsilon;
	return onnx_finish(n, k);
}

bool
onnx_read_batch_normalization(ONode *n)
{
	double epsilon = onnx_float(n, "epsilon", (double)1e-5f);
	double momentum = onnx_float(n, "momentum", (double)0.9f);
	bool training = onnx_flag(n, "training_mode", false);
	Value *x = n->in[0], *mean, *variance, *difference;

	onnx_ignore(n, "is_test");
	onnx_ignore(n, "consumed_inputs");
	if (n->opset < 9 && !onnx_flag(n, "spatial", true))
		return onnx_unsupported(n, "spatial=0");
	for (int i = 1; i < n->nouts; i++)
		if (onnx_wants(n, i) && (!training || i > 2))
			return onnx_error_out(n, i, E_UNSUPPORTED,
			                      "output %d exists only in training", i);
	if (n->failed)
		return false;
	if (!training)
		return onnx_result(n, batch_norm(n, n->in[3], n->in[4], epsilon));
	if (x->type.rank < 2)
		return onnx_error_in(n, 0, E_SHAPE, "'%s' has no channels", x->name);
	mean = channel_mean(n, x);
	difference = onnx_binary(n, OP_SUB, x, onnx_channels(n, mean, 1, x->type.rank));
	difference = onnx_binary(n, OP_MUL, difference, difference);
	variance = difference ? channel_mean(n, difference) : NULL;
	if (onnx_wants(n, 1))
		n->out[1] = running(n, n->in[3], mean, momentum);
	if (onnx_wants(n, 2))
		n->out[2] = running(n, n->in[4], variance, momentum);
	return onnx_result(n, batch_norm(n, mean, variance, epsilon));
}

/* ---- Instances, groups, layers ---- */

bool
onnx_read_instance_normalization(ONode *n)
{
	Node *k = onnx_node(n, OP_INSTANCE_NORM, 3, n->in, 1);
	double epsilon = onnx_float(n, "epsilon", (double)1e-5f);

	onnx_ignore(n, "consumed_inputs");
	if (k)
		((Attr_INSTANCE_NORM *)k->attr)->epsilon = epsilon;
	return onnx_result(n, onnx_finish(n, k));
}

/* Opset 18 has one scale a group, opset 21 one a channel. */
static Value *
per_channel(ONode *n, Value *v, int32_t groups, int32_t channels)
{
	if (n->opset >= 21 || type_numel(&v->type) == channels)
		return v;
	if (v->type.rank != 1 || v->type.dim[0] != groups || channels % groups) {
		onnx_error(n, E_SHAPE, "'%s' of type %s does not fit %d groups", v->name,
		           type_text(n->r->arena, &v->type), groups);
		return NULL;
	}
	v = onnx_expand(n, onnx_unsqueeze(n, v, 1),
	                &(Type){.rank = 2, .dim = {groups, channels / groups}});
	return onnx_reshape_to(n, v, &(Type){.rank = 1, .dim = {channels}});
}

bool
onnx_read_group_normalization(ONode *n)
{
	int64_t groups = onnx_int_in(n, "num_groups", 0, 1, INT32_MAX);
	double epsilon = onnx_float(n, "epsilon", (double)1e-5f);
	Value *scale, *bias;
	Node *k;

	onnx_ignore(n, "stash_type");
	if (n->failed)
		return false;
	if (n->in[0]->type.rank < 3)
		return onnx_error_in(n, 0, E_SHAPE, "'%s' has no spatial axes", n->in[0]->name);
	scale = per_channel(n, n->in[1], (int32_t)groups, n->in[0]->type.dim[1]);
	bias = per_channel(n, n->in[2], (int32_t)groups, n->in[0]->type.dim[1]);
	if (!scale || !bias)
		return false;
	k = onnx_node(n, OP_GROUP_NORM, 3, (Value *[]){n->in[0], scale, bias}, 1);
	if (k)
		*(Attr_GROUP_NORM *)k->attr = (Attr_GROUP_NORM){.groups = groups, .epsilon = epsilon};
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_layer_normalization(ONode *n)
{
	int axis = onnx_axis(n, "axis", -1, n->in[0]->type.rank);
	double epsilon = onnx_float(n, "epsilon", (double)1e-5f);
	Value *out[3];
	Node *k;

	onnx_ignore(n, "stash_type");
	k = onnx_node(n, OP_LAYER_NORM, onnx_in(n, 2) ? 3 : 2, n->in, n->nouts);
	if (k)
		*(Attr_LAYER_NORM *)k->attr = (Attr_LAYER_NORM){.axis = axis, .epsilon = epsilon};
	if (!onnx_finish_all(n, k, out))
		return false;
	for (int i = 0; i < n->nouts; i++)
		n->out[i] = out[i];
	return true;
}

/* x / sqrt(mean(x^2) + epsilon) * scale over the axes from `axis` on; out[1] of
 * SimplifiedLayerNormalization is the reciprocal of the root. */
bool
onnx_read_rms_normalization(ONode *n)
{
	Value *x = n->in[0], *square, *inverse;
	int axis = onnx_axis(n, "axis", -1, x->type.rank);
	double epsilon = onnx_float(n, "epsilon", (double)1e-5f);

	onnx_ignore(n, "stash_type");
	if (n->failed)
		return false;
	square = onnx_reduce(n, OP_REDUCE_MEAN, onnx_binary(n, OP_MUL, x, x),
	                     onnx_range(n, axis, x->type.rank), true);
	inverse = onnx_unary(n, OP_SQRT, onnx_with(n, OP_ADD, square, epsilon));
	inverse = onnx_unary(n, OP_RECIPROCAL, inverse);
	if (onnx_wants(n, 1))
		n->out[1] = inverse;
	x = onnx_binary(n, OP_MUL, x, inverse);
	return onnx_result(n, onnx_binary(n, OP_MUL, x, n->in[1]));
}

/* (x - mean) / (deviation + 1e-9) over the given axes. */
bool
onnx_read_mean_variance(ONode *n)
{
	static const int64_t usual[] = {0, 2, 3};
	Value *x = n->in[0], *mean, *square;
	Ints axes = onnx_has(n, "axes") ? onnx_ints(n, "axes") : onnx_list(n, 3, usual);

	if (n->failed || !onnx_norm_axes(n, axes, x->type.rank, "axes", 0, &axes))
		return false;
	mean = onnx_reduce(n, OP_REDUCE_MEAN, x, axes, true);
	x = onnx_binary(n, OP_SUB, x, mean);
	square = onnx_reduce(n, OP_REDUCE_MEAN, onnx_binary(n, OP_MUL, x, x), axes, true);
	square = onnx_with(n, OP_ADD, onnx_unary(n, OP_SQRT, square), 1e-9);
	return onnx_result(n, onnx_binary(n, OP_DIV, x, square));
}

bool
onnx_read_lrn(ONode *n)
{
	Attr_LRN a = {.size = onnx_int_in(n, "size", 0, 1, INT32_MAX),
	              .alpha = onnx_float(n, "alpha", (double)0.0001f),
	              .beta = onnx_float(n, "beta", 0.75),
	              .bias = onnx_float(n, "bias", 1.0)};
	Node *k = onnx_node(n, OP_LRN, 1, n->in, 1);

	if (k)
		*(Attr_LRN *)k->attr = a;
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_lp_normalization(ONode *n)
{
	int axis = onnx_axis(n, "axis", -1, n->in[0]->type.rank);
	int64_t p = onnx_int_in(n, "p", 2, 1, 2);
	Node *k = onnx_node(n, OP_LP_NORM, 1, n->in, 1);

	if (k)
		*(Attr_LP_NORM *)k->attr = (Attr_LP_NORM){.axis = axis, .p = p};
	return onnx_result(n, onnx_finish(n, k));
}
