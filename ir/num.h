/*
 * Numbers as they lie in memory, and as text.
 */
#ifndef MCC_IR_NUM_H
#define MCC_IR_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/type.h"

/* Element i of an array of `t`, as a double (64-bit integers may round). */
double num_load(DType t, const void *data, size_t i);

/* Element i of an array of an integer type, bool or idx; u64 wraps. */
int64_t num_load_int(DType t, const void *data, size_t i);

/* Stores a number as element i; half types round to nearest even, integers
 * truncate and must be in range. */
void num_store(DType t, void *data, size_t i, double value);
void num_store_int(DType t, void *data, size_t i, int64_t value);

/* The number of an integer type, bool or idx that v becomes when it is converted. */
int64_t num_wrap(DType t, int64_t v);

/* Half and bfloat16 bits to and from float, round to nearest even. */
float num_half_to_float(uint16_t bits);
uint16_t num_float_to_half(float value);
float num_bfloat_to_float(uint16_t bits);
uint16_t num_float_to_bfloat(float value);
uint16_t num_double_to_half(double value);
uint16_t num_double_to_bfloat(double value);

/* A 64-bit integer as a double rounded to odd: rounding that again to float or a
 * half type gives what rounding the integer once does. */
double num_int_to_odd(int64_t value);
double num_uint_to_odd(uint64_t value);

/* Room for any text that the functions below write. */
enum { NUM_TEXT = 40 };

/*
 * The shortest decimal text that reads back to the same bits, without suffix
 * and always with a '.' or an exponent, so that it is a floating literal in C:
 * 0.1, -1.0, 1.5e-9.  Infinities and NaN give "inf", "-inf", "nan".
 * Returns the length.
 */
int num_float_text(char text[NUM_TEXT], float value);
int num_double_text(char text[NUM_TEXT], double value);

/* Sizes of foreign data: false on overflow. */
static inline bool
size_mul(size_t a, size_t b, size_t *product)
{
	return !__builtin_mul_overflow(a, b, product);
}

static inline bool
size_add(size_t a, size_t b, size_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

#endif
