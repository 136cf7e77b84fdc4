/*
 * Rows of floats that are quantised while running: TFLite's portable kernels.
 */
#ifndef MCC_IR_OPS_ROWS_H
#define MCC_IR_OPS_ROWS_H

#include "ir/ops/requant.h"

/* How a row is quantised: named values, in f32 but for the zero point, which is i32. */
typedef struct {
	Expr *scale, *inverse, *zero;
	bool symmetric;
} RowScale;

/* For `length` elements of `buf` from `at` on.  Symmetric codes are at most 127 in size
 * and have the zero point 0. */
RowScale rows_scale(LowerCtx *cx, LBuf *buf, Expr *at, int32_t length, bool symmetric);

/* The code of an element of the row, in i32. */
Expr *rows_code(LowerCtx *cx, const RowScale *s, Expr *x);

#endif
