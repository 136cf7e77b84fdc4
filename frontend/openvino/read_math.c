/*
 * Elementwise operators and reductions.
 */
#include <math.h>

#include "frontend/openvino/read.h"

/* ---- One input ---- */

bool
ov_read_unary(Layer *l)
{
	return ov_result(l, build_unary(&l->b, l->info->op, l->in[0]));
}

bool
ov_read_identity(Layer *l)
{
	return ov_result(l, l->in[0]);
}

/* Of booleans it is the logical operation. */
bool
ov_read_bitwise_not(Layer *l)
{
	Op op = l->in[0]->type.dtype == DT_BOOL ? OP_NOT : OP_BIT_NOT;

	return ov_result(l, build_unary(&l->b, op, l->in[0]));
}

/* Of integers the bounds are rounded inwards. */
bool
ov_read_clamp(Layer *l)
{
	double lo = ov_float(l, "min", (double)NAN), hi = ov_float(l, "max", (double)NAN);

	if (!l->failed && (isnan(lo) || isnan(hi) || lo > hi))
		return ov_error(l, E_ATTRIBUTE, "'min' and 'max' are no range");
	if (dtype_is_integer(l->in[0]->type.dtype)) {
		lo = ceil(lo);
		hi = floor(hi);
	}
	return !l->failed && ov_result(l, build_clamp(&l->b, l->in[0], lo, hi));
}

bool
ov_read_convert(Layer *l)
{
	DType to = ov_dtype_attr(l, "destination_type", DT_COUNT);
	Value *y;

	if (l->failed)
		return false;
	y = ov_cast(l, l->in[0], to);
	if (y)
		ov_codes_cast(l, l->in[0], y);
	return ov_result(l, y);
}

bool
ov_read_convert_like(Layer *l)
{
	return ov_result(l, ov_cast(l, l->in[0], l->in[1]->type.dtype));
}

bool
ov_read_elu(Layer *l)
{
	Node *n = build_node(&l->b, OP_ELU, 1, l->in);

	if (n)
		((Attr_ELU *)n->attr)->alpha = ov_float(l, "alpha", 1);
	return !l->failed && ov_result(l, build_finish(&l->b, n));
}

bool
ov_read_gelu(Layer *l)
{
	static const char *const words[] = {"ERF", "TANH", "erf", "tanh", NULL};
	Node *n = build_node(&l->b, OP_GELU, 1, l->in);

	if (n)
		((Attr_GELU *)n->attr)->approximate =
			ov_word(l, "approximation_mode", words, 0) % 2 ? GELU_tanh : GELU_erf;
	return !l->failed && ov_result(l, build_finish(&l->b, n));
}

/* Input i as one number that is known. */
static bool
known_number(Layer *l, int i, double *out)
{
	Floats list;

	if (!ov_const_floats(l, i, &list))
		return false;
	if (list.n != 1)
		return ov_error_in(l, i, E_SHAPE, "has %d elements; one is needed", list.n);
	*out = list.v[0];
	return true;
}

bool
ov_read_hard_sigmoid(Layer *l)
{
	double alpha, beta;
	Node *n;

	if (!known_number(l, 1, &alpha) || !known_number(l, 2, &beta))
		return false;
	n = build_node(&l->b, OP_HARD_SIGMOID, 1, l->in);
	if (n)
		*(Attr_HARD_SIGMOID *)n->attr = (Attr_HARD_SIGMOID){.alpha = alpha, .beta = beta};
	return ov_result(l, build_finish(&l->b, n));
}

/* min(max(x + 3, 0), 6) / 6 */
bool
ov_read_hsigmoid(Layer *l)
{
	Value *y = build_clamp(&l->b, build_with(&l->b, OP_ADD, l->in[0], 3), 0, 6);

	return ov_result(l, build_with(&l->b, OP_DIV, y, 6));
}

bool
ov_read_is_inf(Layer *l)
{
	Node *n = build_node(&l->b, OP_IS_INF, 1, l->in);

	if (n) {
		Attr_IS_INF *a = n->attr;

		a->negative = ov_bool(l, "detect_negative", true);
		a->positive = ov_bool(l, "detect_positive", true);
	}
	return !l->failed && ov_result(l, build_finish(&l->b, n));
}

bool
ov_read_is_finite(Layer *l)
{
	Value *inf = build_unary(&l->b, OP_IS_INF, l->in[0]);
	Value *nan = build_unary(&l->b, OP_IS_NAN, l->in[0]);

	return ov_result(l, build_unary(&l->b, OP_NOT, build_binary(&l->b, OP_OR, inf, nan)));
}

/* Halves away from zero: the part that truncation drops is exact. */
static Value *
round_away(Layer *l, Value *x)
{
	Builder *b = &l->b;
	Value *whole = build_unary(b, OP_TRUNC, x);
	Value *rest = build_unary(b, OP_ABS, build_binary(b, OP_SUB, x, whole));
	Value *up = build_with(b, OP_GREATER_EQUAL, rest, 0.5);
	Value *next = build_unary(b, OP_SIGN, x);

	next = build_binary(b, OP_ADD, whole, next);
	return build_where(b, up, next, whole);
}

bool
ov_read_round(Layer *l)
{
	static const char *const words[] = {"half_to_even", "half_away_from_zero", NULL};
	bool away = ov_word(l, "mode", words, 0) == 1;

	if (l->failed || !dtype_is_float(l->in[0]->type.dtype))
		return !l->failed && ov_result(l, l->in[0]);
	return ov_result(l, away ? round_away(l, l->in[0])
	                         : build_unary(&l->b, OP_ROUND, l->in[0]));
}

bool
ov_read_selu(Layer *l)
{
	double alpha, lambda;
	Node *n;

	if (!known_number(l, 1, &alpha) || !known_number(l, 2, &lambda))
		return false;
	n = build_node(&l->b, OP_SELU, 1, l->in);
	if (n)
		*(Attr_SELU *)n->attr = (Attr_SELU){.alpha = alpha, .gamma = lambda};
	return ov_result(l, build_finish(&l->b, n));
}

/* x * sigmoid(beta * x) */
bool
ov_read_swish(Layer *l)
{
	Value *beta = ov_in(l, 1), *x = l->in[0];

	if (beta && type_numel(&beta->type) != 1)
		return ov_error_in(l, 1, E_SHAPE, "has %d elements; one is needed",
		                   type_numel(&beta->type));
	if (beta)
		beta = build_reshape_to(&l->b, beta, &(Type){.rank = 0});
	if (beta && !(value_is_const(beta) && value_float(beta, 0) == 1))
		x = build_binary(&l->b, OP_MUL, x, beta);
	x = build_unary(&l->b, OP_SIGMOID, x);
	return ov_result(l, build_binary(&l->b, OP_MUL, l->in[0], x));
}

/* ---- Two inputs ---- */

/* Whether the shapes of the inputs are as the attribute says: "pdpd" with its axis, which
 * no file states, at the end is numpy's rule that leaves the first input as it is. */
static bool
check_broadcast(Layer *l)
{
	static const char *const words[] = {"numpy", "none", "pdpd", NULL};
	const Type *a = &l->in[0]->type, *b = &l->in[1]->type;
	int rule = ov_word(l, "auto_broadcast", words, 0);
	Type t = *a;

	if (l->failed)
		return false;
	if (rule == 1 && !type_same_shape(a, b))
		return ov_error_in(l, 1, E_SHAPE, "has type %s, and input 0 %s; nothing is broadcast",
		                   type_text(l->r->arena, b), type_text(l->r->arena, a));
	if (rule == 2 && (!type_broadcast(a, b, &t) || !type_same_shape(a, &t)))
		return ov_error_in(l, 1, E_SHAPE, "of type %s cannot be broadcast to %s",
		                   type_text(l->r->arena, b), type_text(l->r->arena, a));
	return true;
}

bool
ov_read_binary(Layer *l)
{
	return check_broadcast(l) &&
	       ov_result(l, build_binary(&l->b, l->info->op, l->in[0], l->in[1]));
}

/* Of booleans it is the logical operation. */
bool
ov_read_bitwise(Layer *l)
{
	Op op = l->info->op;

	if (l->in[0]->type.dtype == DT_BOOL)
		op = op == OP_BIT_AND ? OP_AND : op == OP_BIT_OR ? OP_OR : OP_XOR;
	return check_broadcast(l) && ov_result(l, build_binary(&l->b, op, l->in[0], l->in[1]));
}

/* Integers are divided as in Python, unless the layer says otherwise. */
bool
ov_read_divide(Layer *l)
{
	bool floors = ov_bool(l, "m_pythondiv", true);
	bool whole = dtype_is_integer(l->in[0]->type.dtype);

	return check_broadcast(l) &&
	       ov_result(l, build_binary(&l->b, floors && whole ? OP_FLOOR_DIV : OP_DIV, l->in[0],
	                                 l->in[1]));
}

bool
ov_read_multiply(Layer *l)
{
	Value *y;

	if (!check_broadcast(l))
		return false;
	y = ov_codes_multiply(l, l->in[0], l->in[1]);
	if (!y && !l->failed)
		y = ov_codes_multiply(l, l->in[1], l->in[0]);
	if (!y && !l->failed)
		y = build_binary(&l->b, OP_MUL, l->in[0], l->in[1]);
	return ov_result(l, y);
}

bool
ov_read_subtract(Layer *l)
{
	Value *y = check_broadcast(l) ? build_binary(&l->b, OP_SUB, l->in[0], l->in[1]) : NULL;

	if (y)
		ov_codes_subtract(l, l->in[0], l->in[1], y);
	return ov_result(l, y);
}

/* FloorMod has the sign of the divisor, Mod that of the dividend. */
bool
ov_read_mod(Layer *l)
{
	Node *n = check_broadcast(l) ? build_node(&l->b, OP_MOD, 2, l->in) : NULL;

	if (n)
		((Attr_MOD *)n->attr)->fmod = l->info->name[0] == 'M';
	return ov_result(l, build_finish(&l->b, n));
}

bool
ov_read_not_equal(Layer *l)
{
	return check_broadcast(l) && ov_result(l, ov_not_equal(l, l->in[0], l->in[1]));
}

/* A vector of slopes is one for each channel. */
bool
ov_read_prelu(Layer *l)
{
	Value *x = l->in[0], *slope = l->in[1];

	if (slope->type.rank == 1 && x->type.rank > 1 &&
	    slope->type.dim[0] == x->type.dim[1] && slope->type.dim[0] != 1)
		slope = build_channels(&l->b, slope, 1, x->type.rank);
	return ov_result(l, build_binary(&l->b, OP_PRELU, x, slope));
}

bool
ov_read_select(Layer *l)
{
	return ov_result(l, build_where(&l->b, l->in[0], l->in[1], l->in[2]));
}

/* ---- Reductions ---- */

bool
ov_read_reduce(Layer *l)
{
	bool keep = ov_bool(l, "keep_dims", false);
	Ints axes;

	return !l->failed && ov_const_ints(l, 1, &axes) &&
	       ov_sorted_axes(l, axes, l->in[0]->type.rank, &axes) &&
	       ov_result(l, build_reduce(&l->b, l->info->op, l->in[0], axes, keep));
}

bool
ov_read_cum_sum(Layer *l)
{
	int64_t given = 0;
	int axis;
	Node *n;

	if (ov_in(l, 1) && !ov_const_int(l, 1, INT32_MIN, INT32_MAX, &given))
		return false;
	if (!ov_norm_axis(l, given, l->in[0]->type.rank, &axis))
		return false;
	n = build_node(&l->b, OP_CUM_SUM, 1, l->in);
	if (n)
		*(Attr_CUM_SUM *)n->attr = (Attr_CUM_SUM){
			.axis = axis,
			.exclusive = ov_bool(l, "exclusive", false),
			.reverse = ov_bool(l, "reverse", false)};
	return !l->failed && ov_result(l, build_finish(&l->b, n));
}

/* The k best in the order of their places: places are sorted, and values follow. */
static void
sort_by_place(Layer *l, int axis, Value **values, Value **places)
{
	Node *n = build_node_outputs(&l->b, OP_TOP_K, 1, places, 2);
	Value *out[2] = {NULL}, *order;

	if (n)
		*(Attr_TOP_K *)n->attr = (Attr_TOP_K){
			.k = (*places)->type.dim[axis], .axis = axis, .largest = false};
	build_finish_all(&l->b, n, out);
	*places = out[0];
	order = out[1];
	n = order ? build_node(&l->b, OP_GATHER_ELEMENTS, 2, (Value *[]){*values, order}) : NULL;
	if (n)
		((Attr_GATHER_ELEMENTS *)n->attr)->axis = axis;
	*values = build_finish(&l->b, n);
}

bool
ov_read_top_k(Layer *l)
{
	static const char *const modes[] = {"min", "max", NULL};
	static const char *const sorts[] = {"none", "value", "index", NULL};
	int64_t given = ov_int(l, "axis", -1, INT32_MIN, INT32_MAX), k;
	bool largest = ov_word(l, "mode", modes, 1) == 1;
	int sort = ov_word(l, "sort", sorts, 1), axis;
	DType place = ov_dtype_attr(l, "index_element_type", DT_I32);
	Value *out[2] = {NULL};
	Node *n;

	if (l->failed || !ov_norm_axis(l, given, l->in[0]->type.rank, &axis) ||
	    !ov_const_int(l, 1, 0, l->in[0]->type.dim[axis], &k))
		return false;
	n = build_node_outputs(&l->b, OP_TOP_K, 1, l->in, sort == 2 || ov_wants(l, 1) ? 2 : 1);
	if (n)
		*(Attr_TOP_K *)n->attr =
			(Attr_TOP_K){.k = k, .axis = axis, .largest = largest};
	if (!build_finish_all(&l->b, n, out))
		return false;
	if (sort == 2)
		sort_by_place(l, axis, &out[0], &out[1]);
	l->out[0] = out[0];
	if (!ov_wants(l, 1))
		return out[0] != NULL;
	l->out[1] = ov_cast(l, out[1], place);
	return out[0] && l->out[1];
}
