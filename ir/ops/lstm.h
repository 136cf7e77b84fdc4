/*
 * The LSTM layer sequence_lstm, for the reference lowering and for kernels: these compute
 * the sums of products in another way, and nothing else.
 */
#ifndef MCC_IR_OPS_LSTM_H
#define MCC_IR_OPS_LSTM_H

#include "ir/lower.h"

/* Inputs by number; four gates each: input, forget, cell, output. */
enum { LSTM_X, LSTM_W = 1, LSTM_R = 5, LSTM_BIAS = 9, LSTM_H = 13, LSTM_C = 14 };
enum { GATE_INPUT, GATE_FORGET, GATE_CELL, GATE_OUTPUT, GATES };

/* Where a step of one batch row is. */
typedef struct {
	Expr *x_at, *h_at; /* of the first element of x in this step; of the row's state */
	Expr *unit;
	Expr *a[GATES], *r[GATES]; /* by LstmProducts: the sums of the unit's gates */
	LBuf *table; /* of the logistic function for quantised numbers */
	/* Hybrid: what x and the hidden state are in this step, less their zero points. */
	LBuf *x_codes, *h_codes;
	Expr *x_scale, *h_scale;
} LstmStep;

/* How a kernel computes sums of 32 bits: it prepares a step, whose state so far is in
 * cx->out[1], and gives for each gate of a unit s->a, the bias and the products of x,
 * and s->r, the products of the state, both less their zero points. */
typedef struct LstmProducts {
	void (*step)(LowerCtx *cx, const struct LstmProducts *p, const LstmStep *s);
	void (*unit)(LowerCtx *cx, const struct LstmProducts *p, LstmStep *s);
} LstmProducts;

/* The body of a lowering; with NULL the reference's. */
void lstm_lower_with(LowerCtx *cx, const Node *n, const LstmProducts *p);

/* Batch rows, and steps of each. */
int32_t lstm_batches(const Node *n);
int32_t lstm_steps(const Node *n);

#endif
