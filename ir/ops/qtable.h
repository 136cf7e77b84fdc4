/*
 * Tables of functions of quantised numbers, computed while compiling.
 *
 * They are made by running loop IR, so that they are the same on every host: with
 * the integer functions of the mathematical library, or with its functions in double
 * precision rounded once to float, which is what a good float function gives.
 */
#ifndef MCC_IR_OPS_QTABLE_H
#define MCC_IR_OPS_QTABLE_H

#include "ir/ops/requant.h"

/* Builds the output's number from input 0's, both i32. */
typedef Expr *QUnaryFn(LowerCtx *cx, const Node *n, Expr *x);

/* y = table[x] for a unary operator on 8-bit numbers. */
void q_lower_table(LowerCtx *cx, const Node *n, QUnaryFn *f);

/* e^x, rounded to float. */
float qtable_exp(Arena *a, float x);

/* A function on float in a table for 16-bit numbers: 513 places of i16, between which
 * q_interpolate() goes straight. */
typedef float QFloatFn(Arena *a, float x);
LBuf *q_table16(LowerCtx *cx, const char *name, QFloatFn *f, float in_scale, int32_t in_zero,
                float out_scale, int32_t out_zero);
Expr *q_interpolate(LowerCtx *cx, LBuf *table, Expr *x);

/* The logistic function for 16 bits: 65536 / (1 + e^-(i / 24)), which serves sigmoid
 * and tanh of x in units of 1/12288 (that is i / 512); they give i32 of 1/32768. */
LBuf *q_logistic_table(LowerCtx *cx);
Expr *q_logistic16(LowerCtx *cx, LBuf *table, Expr *x);
Expr *q_tanh16(LowerCtx *cx, LBuf *table, Expr *x);

#endif
