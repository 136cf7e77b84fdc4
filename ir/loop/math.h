/*
 * The mathematical library: scalar functions in loop IR.
 *
 * The functions are written in the loop IR's text form (math_f32.lir,
 * math_f64.lir), which the build embeds.  Interpreter, C printer and LLVM builder
 * all take them from here, so that their results agree bit for bit.
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
