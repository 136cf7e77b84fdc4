#include "ir/ops/dot.h"

#include "ir/ops/infer.h"

bool
dot_rounds_scales(const Node *n)
{
	switch ((int)n->op) {
	case OP_CONV: return ((const Attr_CONV *)n->attr)->float_scale;
	case OP_CONV_TRANSPOSE: return ((const Attr_CONV_TRANSPOSE *)n->attr)->float_scale;
	default: return true;
	}
}

/* One factor for s_x * s_w: the product is rounded to float first where TFLite's
 * kernel does so. */
static double
scale_product(const Node *n, float x, float w)
{
	return dot_rounds_scales(n) ? (double)(x * w) : (double)x * (double)w;
}

/* The factor of output channel i, or of all. */
static double
factor_of(const Node *n, int32_t i)
{
	const Quant *w = n->in[1]->type.q;
	float x = quant_scale(&n->in[0]->type), y = quant_scale(&n->out[0]->type);

	if (w->n == 1)
		return scale_product(n, x, w->scale[0]) / (double)y;
	return (double)x * (double)w->scale[i] / (double)y;
}

Multiplier
dot_multiplier(const Node *n, int32_t channel)
{
	return quantize_multiplier(factor_of(n, channel), n->graph->single_rounding);
}

static Multipliers
factors(LowerCtx *cx, const Node *n, bool wide)
{
	int32_t count = n->in[1]->type.q->n;
	double *factor = ARENA_ARRAY(cx->arena, double, count);

	for (int32_t i = 0; i < count; i++)
		factor[i] = factor_of(n, i);
	return q_multipliers(cx, count, factor, wide);
}

bool
check_dot_factors(const Node *n, Diag *d)
{
	bool wide = n->in[0]->type.dtype == DT_I16;

	for (int32_t i = 0; i < n->in[1]->type.q->n; i++)
		if (!check_scale_factor(n, d, factor_of(n, i), wide ? MAX_WIDE_FACTOR : MAX_FACTOR))
			return false;
	return true;
}

DType
dot_sum_type(const Node *n)
{
	bool narrow_bias = n->nins > 2 && n->in[2] && n->in[2]->type.dtype == DT_I32;

	return n->in[0]->type.dtype == DT_I16 && !narrow_bias ? DT_I64 : DT_I32;
}

Dot
dot_begin(LowerCtx *cx, const Node *n)
{
	const Type *x = &n->in[0]->type, *w = &n->in[1]->type, *y = &n->out[0]->type;
	Dot l = {.n = n, .quantized = node_is_quantized(n)};

	if (!l.quantized) {
		l.type = dtype_compute(y->dtype);
		return l;
	}
	l.type = dot_sum_type(n);
	l.x_zero = quant_zero(x);
	/* With a scale a channel the reference kernels take no notice of zero points. */
	l.w_zero = w->q->n == 1 ? quant_zero(w) : 0;
	if (!y->q)
		return l;
	l.y_zero = quant_zero(y);
	l.by = factors(cx, n, l.type == DT_I64);
	l.range = quant_range(y, node_activation(n));
	return l;
}

LVar *
dot_sum(LowerCtx *cx, const Dot *l, LBuf *bias, Expr *channel)
{
	LBuilder *b = &cx->b;
	Expr *start = bias ? loop_load_compute(b, bias, channel) : loop_const(b, l->type, 0);

	return loop_var(b, "acc", start->type == l->type ? start : loop_cvt(b, l->type, start));
}

void
dot_add(LowerCtx *cx, const Dot *l, LVar *sum, Expr *x_at, Expr *w_at)
{
	LBuilder *b = &cx->b;
	Expr *x, *w, *product;

	if (l->quantized) {
		x = q_load(cx, cx->in[0], x_at, l->x_zero);
		w = q_load(cx, cx->in[1], w_at, l->w_zero);
	} else {
		x = loop_load_compute(b, cx->in[0], x_at);
		w = loop_load_compute(b, cx->in[1], w_at);
	}
	product = loop_mul(b, x, w);
	if (product->type != l->type)
		product = loop_cvt(b, l->type, product);
	loop_set(b, sum, loop_add(b, loop_get(b, sum), product));
}

void
dot_store(LowerCtx *cx, const Dot *l, Expr *y_at, Expr *channel, Expr *sum)
{
	if (!l->quantized || !l->n->out[0]->type.q) {
		loop_store_cvt(&cx->b, cx->out[0], y_at, lower_activation(cx, l->n, sum));
		return;
	}
	sum = q_scale_channel(cx, &l->by, channel, sum);
	q_store(cx, cx->out[0], y_at, sum, l->y_zero, l->range);
}

/* Scales and zero points of the weights. */
static bool
check_weights(const Node *n, Diag *d, int axis)
{
	const Type *x = &n->in[0]->type, *w = &n->in[1]->type;

	if (w->dtype != DT_I8 && (w->dtype != DT_U8 || x->dtype == DT_I16))
		return bad_input(n, d, E_UNSUPPORTED, 1, "the weights must be stored as i8%s",
		                 x->dtype == DT_I16 ? "" : " or u8");
	if (!w->q)
		return bad_input(n, d, E_UNSUPPORTED, 1, "must be quantised, as input 0 is");
	if (w->q->n == 1)
		return true;
	if (w->q->axis != axis)
		return bad_input(n, d, E_UNSUPPORTED, 1,
		                 "scales along axis %d are not supported here", w->q->axis);
	return true;
}

static bool
check_bias(const Node *n, Diag *d)
{
	const Value *bias = n->nins > 2 ? n->in[2] : NULL;
	bool wide = n->in[0]->type.dtype == DT_I16;

	if (!bias || bias->type.dtype == DT_I32 || (wide && bias->type.dtype == DT_I64))
		return true;
	return bad_input(n, d, E_UNSUPPORTED, 2, "the bias must be stored as i32%s",
	                 wide ? " or i64" : "");
}

/* 8-bit numbers of scale 1, whose sum is an integer. */
static bool
is_sum_of_codes(const Node *n)
{
	const Type *x = &n->in[0]->type, *w = &n->in[1]->type;

	return !n->out[0]->type.q && dtype_info[x->dtype].bytes == 1 && quant_scale(x) == 1 &&
	       w->q->n == 1 && quant_scale(w) == 1 && node_activation(n) == ACTIVATION_none;
}

DType
dot_output_type(const Node *n)
{
	return node_is_quantized(n) && !n->out[0]->type.q ? DT_I32 : n->in[0]->type.dtype;
}

bool
check_dot_quantized(const Node *n, Diag *d, int axis)
{
	bool wide = n->in[0]->type.dtype == DT_I16;

	return check_quantized(n, d, 0) && check_weights(n, d, axis) && check_bias(n, d) &&
	       (is_sum_of_codes(n) || check_output_like_input(n, d)) &&
	       (!wide || (check_symmetric(n, d, 0) && check_symmetric(n, d, 1) &&
	                  check_symmetric(n, d, -1))) &&
	       check_dot_factors(n, d);
}
