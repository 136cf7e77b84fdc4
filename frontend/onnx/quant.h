/*
 * Pieces of quantised operators.
 */
#ifndef MCC_FRONTEND_ONNX_QUANT_H
#define MCC_FRONTEND_ONNX_QUANT_H

#include "frontend/onnx/read.h"

/* Scales and zero points are scalars, or vectors along `axis`; the zero point may
 * be NULL, then `to` is the result's type. */
Value *onnx_quantize(ONode *n, Value *x, Value *scale, Value *zero, int axis, DType to);
Value *onnx_dequantize(ONode *n, Value *x, Value *scale, Value *zero, int axis);

/* x - zero point in int32; a vector of zero points lies along `axis` (-1: none
 * is allowed). */
Value *onnx_centered(ONode *n, Value *x, Value *zero, int axis);

/* An int32 bias in steps of x_scale * w_scale, real; NULL without one. */
Value *onnx_real_bias(ONode *n, Value *bias, Value *x_scale, Value *w_scale);

Value *onnx_integer_matmul(ONode *n, Value *a, Value *a_zero, Value *b, Value *b_zero);

/* Sums in steps of a_scale * b_scale, quantised. */
Value *onnx_requantize(ONode *n, Value *sum, Value *a_scale, Value *b_scale, Value *y_scale,
                       Value *y_zero, int axis);

#endif
