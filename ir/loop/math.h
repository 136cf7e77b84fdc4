/*
 * The mathematical library: scalar functions in loop IR.
 *
 * The functions are written in the loop IR's text form (math_f32.lir,
 * math_f64.lir, math_fixed.lir), which the build embeds.  Interpreter, C printer and LLVM builder
 * all take them from here, so that their results agree bit for bit.
 *
 * Beside the usual functions (docs/math.md) there are the conversions of the 16-bit
 * formats for code generators without such types, which take and give their bits as
 * u32: from_f16_u32 and from_bf16_u32 give f32, to_f16 and to_bf16 exist for f32,
 * f64, i64 and u64 and round once.  They do what cvt does.
 */
#ifndef MCC_IR_LOOP_MATH_H
#define MCC_IR_LOOP_MATH_H

#include "ir/loop/loop.h"

/* The function `name` for arguments of type `t`, for example ("exp", DT_F32)
 * gives exp_f32; NULL when there is none.  The library is read once and shared;
 * it lives until the process ends. */
LFunc *math_find(const char *name, DType t);

/* The function of that full name, for example exp_f32, or NULL. */
LFunc *math_find_full(const char *name, size_t length);

/* All functions in the order of the text; NULL: it could not be read, our bug. */
int math_count(void);
LFunc *math_get(int i);

/* What is wrong with the text of a function that could not be read; NULL: nothing. */
const char *math_error(void);

#endif
