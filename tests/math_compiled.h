/*
 * The mathematical library and the conversions to and from half types as mcc's C
 * printer gives them, compiled with the tests: see math_emit.c, which writes the
 * table at build time.
 */
#ifndef MCC_TESTS_MATH_COMPILED_H
#define MCC_TESTS_MATH_COMPILED_H

#include <stdint.h>

/* Arguments and result as their bits in 64-bit words, as lcode_call() has them. */
typedef struct {
	const char *name; /* exp_f32; cvt_f64_f16 for a conversion */
	uint64_t (*call)(const uint64_t *arg);
} MathCompiled;

extern const MathCompiled math_compiled[];
extern const int math_ncompiled;

/* The conversions, as kernels of one element. */
#define CONVERSIONS \
	CONVERSION(f16, f32) CONVERSION(f16, f64) CONVERSION(bf16, f32) CONVERSION(bf16, f64) \
	CONVERSION(i32, f16) CONVERSION(u32, f16) CONVERSION(i64, f16) CONVERSION(u64, f16) \
	CONVERSION(f32, f16) CONVERSION(f64, f16) CONVERSION(i32, bf16) CONVERSION(u32, bf16) \
	CONVERSION(i64, bf16) CONVERSION(u64, bf16) CONVERSION(f32, bf16) CONVERSION(f64, bf16)
#define CONVERSION(from, to) \
	"kernel @cvt_" #from "_" #to "(%x: " #from "[1] in, %y: " #to "[1] out) {\n" \
	"\t%y[0] = cvt." #to "(%x[0])\n" \
	"}\n"

#endif
