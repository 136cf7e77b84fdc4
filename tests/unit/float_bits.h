/* Floats as their IEEE 754 bits and back. */
#ifndef MCC_TESTS_UNIT_FLOAT_BITS_H
#define MCC_TESTS_UNIT_FLOAT_BITS_H

#include <stdint.h>
#include <string.h>

static inline uint64_t
bits_of_float(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	return u;
}

static inline float
float_of(uint64_t bits)
{
	uint32_t u = (uint32_t)bits;
	float f;

	memcpy(&f, &u, sizeof f);
	return f;
}

static inline uint64_t
bits_of_double(double f)
{
	uint64_t u;

	memcpy(&u, &f, sizeof u);
	return u;
}

static inline double
double_of(uint64_t bits)
{
	double f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

#endif
