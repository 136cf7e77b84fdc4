/*
 * The operators that compute on quantised numbers: the table quant.def.
 */
#ifndef MCC_IR_QUANT_H
#define MCC_IR_QUANT_H

#include "ir/op.h"

#define QUANT(id, infer, lower, types) \
	InferFn qinfer_##infer; \
	LowerFn qlower_##lower;
#include "ir/quant.def"

typedef struct {
	InferFn *infer; /* NULL: not defined for quantised numbers */
	LowerFn *lower;
	unsigned types; /* of input 0: bits 1 << DT_x */
} QuantInfo;

extern const QuantInfo quant_info[OP_COUNT];

#endif
