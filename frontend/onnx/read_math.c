/*
 * Elementwise operators.
 */
#include <math.h>

#include "frontend/onnx/read.h"

/* ---- One input ---- */

bool
onnx_read_unary(ONode *n)
{
	onnx_ignore(n, "consumed_inputs");
	return onnx_result(n, onnx_unary(n, n->info->op, n->in[0]));
}

/* LeakyRelu, Elu, Celu, ThresholdedRelu: they differ in alpha's default. */
bool
onnx_read_alpha(ONode *n)
{
	Node *k = onnx_node(n, n->info->op, 1, n->in, 1);
	double alpha = onnx_float(n, "alpha", n->info->op == OP_LEAKY_RELU ? 0.01 : 1.0);

	/* All have alpha as their only attribute. */
	if (k)
		((Attr_LEAKY_RELU *)k->attr)->alpha = alpha;
	onnx_ignore(n, "consumed_inputs");
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_selu(ONode *n)
{
	Node *k = onnx_node(n, OP_SELU, 1, n->in, 1);
	bool old = n->opset < 6;

	if (k)
		*(Attr_SELU *)k->attr = (Attr_SELU){
			.alpha = onnx_float(n, "alpha",
		                            old ? 1.6732 : 1.67326319217681884765625),
			.gamma = onnx_float(n, "gamma",
		                            old ? 1.0507 : 1.05070102214813232421875)};
	onnx_ignore(n, "consumed_inputs");
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_hard_sigmoid(ONode *n)
{
	Node *k = onnx_node(n, OP_HARD_SIGMOID, 1, n->in, 1);

	if (k)
		*(Attr_HARD_SIGMOID *)k->attr = (Attr_HARD_SIGMOID){
			.alpha = onnx_float(n, "alpha", 0.2), .beta = onnx_float(n, "beta", 0.5)};
	onnx_ignore(n, "consumed_inputs");
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_gelu(ONode *n)
{
	static const char *const words[] = {"none", "tanh", NULL};
	Node *k = onnx_node(n, OP_GELU, 1, n->in, 1);
	bool tanh_form = onnx_word(n, "approximate", words, 0) == 1;

	if (k)
		((Attr_GELU *)k->attr)->approximate = tanh_form ? GELU_tanh : GELU_erf;
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_shrink(ONode *n)
{
	Node *k = onnx_node(n, OP_SHRINK, 1, n->in, 1);

	if (k)
		*(Attr_SHRINK *)k->attr = (Attr_SHRINK){.lambd = onnx_float(n, "lambd", 0.5),
		                                        .bias = onnx_float(n, "bias", 0.0)};
	return onnx_result(n, onnx_finish(n, k));
}

/* x * sigmoid(alpha * x) */
bool
onnx_read_swish(ONode *n)
{
	double alpha = onnx_float(n, "alpha", n->info->op == OP_GELU ? (double)1.702f : 1.0);
	Value *x = n->in[0], *scaled = alpha == 1 ? x : onnx_with(n, OP_MUL, x, alpha);

	return onnx_result(n, onnx_binary(n, OP_MUL, x, onnx_unary(n, OP_SIGMOID, scaled)));
}

bool
onnx_read_is_inf(ONode *n)
{
	Node *k = onnx_node(n, OP_IS_INF, 1, n->in, 1);

	if (k)
		*(Attr_IS_INF *)k->attr =
			(Attr_IS_INF){.negative = onnx_flag(n, "detect_negative", true),
		                      .positive = onnx_flag(n, "detect_positive", true)};
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_cast(ONode *n)
{
	DType to = onnx_dtype_attr(n, "to", DT_COUNT);

	onnx_ignore(n, "saturate"); /* concerns float8 only */
	onnx_ignore(n, "round_mode");
	if (!n->failed && to == DT_COUNT)
		return onnx_error(n, E_ATTRIBUTE, "'Cast' needs the attribute 'to'");
	return !n->failed && onnx_result(n, onnx_cast(n, n->in[0], to));
}

bool
onnx_read_cast_like(ONode *n)
{
	onnx_ignore(n, "saturate");
	onnx_ignore(n, "round_mode");
	return onnx_result(n, onnx_cast(n, n->in[0], n->in[1]->type.dtype));
}

bool
onnx_read_identity(ONode *n)
{
	if (n->in_sequence[0]) {
		n->out_sequence[0] = n->in_sequence[0];
		return true;
	}
	return onnx_result(n, n->in[0]);
}

/* Inference passes x through; with training on, only a ratio of 0 is no dice. */
bool
onnx_read_dropout(ONode *n)
{
	Type mask = n->in[0]->type;
	bool training = false;

	onnx_ignore(n, "is_test");
	onnx_ignore(n, "seed");
	onnx_ignore(n, "ratio");
	onnx_ignore(n, "consumed_inputs");
	if (onnx_in(n, 2)) {
		if (!onnx_is_const(n, 2))
			return onnx_dynamic(n, 2);
		training = value_float(n->in[2], 0) != 0;
	}
	if (training && onnx_in(n, 1) && onnx_is_const(n, 1) && value_float(n->in[1], 0) == 0)
		training = false;
	if (training)
		return onnx_unsupported(n, "training mode");
	if (onnx_wants(n, 1)) {
		mask.dtype = n->opset < 10 ? mask.dtype : DT_BOOL;
		n->out[1] = onnx_full(n, &mask, 1);
	}
	return onnx_result(n, n->in[0]);
}

/* ---- Two inputs ---- */

/* Up to opset 6, y is lined up with x's axes from `axis` on and only when the
 * attribute `broadcast` says so; numpy's rules align at the end. */
static Value *
legacy_operand(ONode *n, Value *x, Value *y)
{
	bool broadcast;
	int axis;
	Type t;

	if (n->opset >= 7)
		return y;
	broadcast = onnx_flag(n, "broadcast", false);
	onnx_ignore(n, "consumed_inputs");
	if (!onnx_has(n, "axis"))
		return y;
	axis = onnx_axis(n, "axis", 0, x->type.rank);
	if (!broadcast || n->failed || axis + y->type.rank > x->type.rank)
		return y;
	t = y->type;
	t.rank = x->type.rank - axis;
	for (int i = y->type.rank; i < t.rank; i++)
		t.dim[i] = 1;
	return onnx_reshape_to(n, y, &t);
}

bool
onnx_read_binary(ONode *n)
{
	Value *y = legacy_operand(n, n->in[0], n->in[1]);

	return onnx_result(n, onnx_binary(n, n->info->op, n->in[0], y));
}

/* Base and exponent may differ in type; the result has the base's. */
bool
onnx_read_pow(ONode *n)
{
	Value *x = n->in[0], *y = legacy_operand(n, x, n->in[1]);
	DType t = x->type.dtype;

	if (!y)
		return false;
	if (dtype_is_float(y->type.dtype) && !dtype_is_float(t)) {
		DType wide = dtype_info[t].bytes > 2 ? DT_F64 : y->type.dtype;

		x = onnx_cast(n, x, wide);
		y = onnx_binary(n, OP_POW, x, onnx_cast(n, y, wide));
		return onnx_result(n, onnx_cast(n, y, t));
	}
	return onnx_result(n, onnx_binary(n, OP_POW, x, onnx_cast(n, y, t)));
}

bool
onnx_read_mod(ONode *n)
{
	Node *k = onnx_node(n, OP_MOD, 2, n->in, 1);
	bool fmod_form = onnx_flag(n, "fmod", false);

	if (k)
		((Attr_MOD *)k->attr)->fmod = fmod_form;
	return onnx_result(n, onnx_finish(n, k));
}

bool
onnx_read_bit_shift(ONode *n)
{
	static const char *const words[] = {"LEFT", "RIGHT", NULL};
	int right = onnx_word(n, "direction", words, -1);

	if (!n->failed && right < 0)
		return onnx_error(n, E_ATTRIBUTE, "'BitShift' needs the attribute 'direction'");
	return onnx_result(n, onnx_binary(n, right ? OP_SHR : OP_SHL, n->in[0], n->in[1]));
}

/* The slope is broadcast to x, never the other way round; up to opset 6 it is
 * one number or one a channel. */
bool
onnx_read_prelu(ONode *n)
{
	Value *x = n->in[0], *slope = n->in[1];

	onnx_ignore(n, "consumed_inputs");
	if (n->opset < 7 && slope->type.rank == 1 && x->type.rank > 1)
		slope = onnx_channels(n, slope, slope->type.dim[0] == 1 ? 0 : 1, x->type.rank);
	return onnx_result(n, onnx_binary(n, OP_PRELU, x, slope));
}

/* ---- Any number of inputs ---- */

static Value *
chain(ONode *n, Op op)
{
	Value *v = n->in[0];

	for (int i = 1; i < n->nins; i++)
		v = onnx_binary(n, op, v, n->in[i]);
	return v;
}

static bool
all_present(ONode *n)
{
	onnx_ignore(n, "consumed_inputs");
	for (int i = 0; i < n->nins; i++)
		if (!n->in[i])
			return onnx_error(n, E_ARITY, "input %d of '%s' is missing", i,
			                  n->info->name);
	return true;
}

bool
onnx_read_variadic(ONode *n)
{
	return all_present(n) && onnx_result(n, chain(n, n->info->op));
}

bool
onnx_read_mean(ONode *n)
{
	Value *sum = all_present(n) ? chain(n, OP_ADD) : NULL;

	return onnx_result(n, n->nins == 1 ? sum : onnx_with(n, OP_DIV, sum, n->nins));
}

/* ---- Clip ---- */

static bool
is_scalar(const Value *v)
{
	return type_numel(&v->type) == 1;
}

/* Bounds that are constant floats go into one operator. */
static bool
has_plain_bounds(const ONode *n)
{
	for (int i = 1; i < 3; i++)
		if (onnx_in(n, i) && (!onnx_is_const(n, i) || !is_scalar(n->in[i])))
			return false;
	return dtype_is_float(n->in[0]->type.dtype);
}

bool
onnx_read_clip(ONode *n)
{
	Value *x = n->in[0], *lo = onnx_in(n, 1), *hi = onnx_in(n, 2);

	onnx_ignore(n, "consumed_inputs");
	if (n->opset < 11) {
		double min = onnx_float(n, "min", -HUGE_VAL);
		double max = onnx_float(n, "max", HUGE_VAL);

		return onnx_result(n, onnx_clamp(n, x, min, max));
	}
	if (!lo && !hi)
		return onnx_result(n, x);
	for (int i = 1; i < 3; i++)
		if (onnx_in(n, i) && n->in[i]->type.dtype != x->type.dtype)
			return onnx_error_in(n, i, E_TYPE, "'%s' has type %s, not %s as '%s'",
			                     n->in[i]->name, dtype_info[n->in[i]->type.dtype].name,
			                     dtype_info[x->type.dtype].name, x->name);
	if (has_plain_bounds(n))
		return onnx_result(n, onnx_clamp(n, x, lo ? value_float(lo, 0) : -HUGE_VAL,
		                                 hi ? value_float(hi, 0) : HUGE_VAL));
	if (lo)
		x = onnx_binary(n, OP_MAX, x, lo);
	if (hi)
		x = onnx_binary(n, OP_MIN, x, hi);
	return onnx_result(n, x);
}

bool
onnx_read_where(ONode *n)
{
	return onnx_result(n, onnx_where(n, n->in[0], n->in[1], n->in[2]));
}
