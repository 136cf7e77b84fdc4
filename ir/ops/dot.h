/*
 * What the operators share that sum products: convolutions and matrix products.
 *
 * On plain numbers the sum starts with the bias and is taken in the compute type.
 * On quantised ones the zero points are subtracted from the elements, the bias is
 * an integer, and the sum is multiplied by s_x * s_w / s_y, which may depend on the
 * channel: TFLite's reference kernels, 8-bit with i32 sums, 16-bit with i64 sums
 * but where the bias is i32.  Where x and w have the scale 1 and the output is not
 * quantised, the sum itself is stored, in i32.
 */
#ifndef MCC_IR_OPS_DOT_H
#define MCC_IR_OPS_DOT_H

#include "ir/ops/requant.h"

typedef struct {
	const Node *n;
	DType type; /* of the sum */
	bool quantized;
	int32_t x_zero, w_zero, y_zero;
	Multipliers by;
	QRange range;
} Dot;

/* For the sums of n, whose inputs are x, w and perhaps a bias. */
Dot dot_begin(LowerCtx *cx, const Node *n);

/* A variable that starts with the bias of the channel, or 0 without one. */
LVar *dot_sum(LowerCtx *cx, const Dot *l, LBuf *bias, Expr *channel);

/* Adds x[x_at] * w[w_at]. */
void dot_add(LowerCtx *cx, const Dot *l, LVar *sum, Expr *x_at, Expr *w_at);

/* Stores the sum, scaled and with the activation, as the output's element y_at. */
void dot_store(LowerCtx *cx, const Dot *l, Expr *y_at, Expr *channel, Expr *sum);

/* What a quantised node's sums are taken in. */
DType dot_sum_type(const Node *n);

/* The multiplier of a quantised node's output channel. */
Multiplier dot_multiplier(const Node *n, int32_t channel);

/* Whether the product of the two scales is rounded to float, where the weights have one. */
bool dot_rounds_scales(const Node *n);

/* The factors of all channels, which follow from scales that were checked, can be
 * applied. */
bool check_dot_factors(const Node *n, Diag *d);

/* The element type of the output: of an output without quantisation that of the sums. */
DType dot_output_type(const Node *n);

/* The checks of a quantised node: x and the output have one scale, w has one or one
 * a channel along `axis`, the bias is an integer of the right size, 16-bit numbers
 * are symmetric. */
bool check_dot_quantized(const Node *n, Diag *d, int axis);

#endif
