#include "ir/num.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Typed access without alignment or aliasing assumptions. */
#define LOAD(T, convert) \
	{ \
		T v; \
		memcpy(&v, (const char *)data + i * sizeof v, sizeof v); \
		return convert(v); \
	}
#define STORE(T, expression) \
	{ \
		T v = (T)(expression); \
		memcpy((char *)data + i * sizeof v, &v, sizeof v); \
		return; \
	}

double
num_load(DType t, const void *data, size_t i)
{
	switch (t) {
	case DT_BOOL:
	case DT_U8: LOAD(uint8_t, (double))
	case DT_I8: LOAD(int8_t, (double))
	case DT_I16: LOAD(int16_t, (double))
	case DT_U16: LOAD(uint16_t, (double))
	case DT_IDX:
	case DT_I32: LOAD(int32_t, (double))
	case DT_U32: LOAD(uint32_t, (double))
	case DT_I64: LOAD(int64_t, (double))
	case DT_U64: LOAD(uint64_t, (double))
	case DT_F16: LOAD(uint16_t, (double)num_half_to_float)
	case DT_BF16: LOAD(uint16_t, (double)num_bfloat_to_float)
	case DT_F32: LOAD(float, (double))
	case DT_F64: LOAD(double, )
	case DT_COUNT: break;
	}
	assert(0 && "not a type");
	return 0;
}

int64_t
num_load_int(DType t, const void *data, size_t i)
{
	switch (t) {
	case DT_BOOL:
	case DT_U8: LOAD(uint8_t, (int64_t))
	case DT_I8: LOAD(int8_t, (int64_t))
	case DT_I16: LOAD(int16_t, (int64_t))
	case DT_U16: LOAD(uint16_t, (int64_t))
	case DT_IDX:
	case DT_I32: LOAD(int32_t, (int64_t))
	case DT_U32: LOAD(uint32_t, (int64_t))
	case DT_I64: LOAD(int64_t, )
	case DT_U64: LOAD(uint64_t, (int64_t))
	case DT_F16:
	case DT_BF16:
	case DT_F32:
	case DT_F64: return (int64_t)num_load(t, data, i);
	case DT_COUNT: break;
	}
	assert(0 && "not a type");
	return 0;
}

void
num_store(DType t, void *data, size_t i, double value)
{
	switch (t) {
	case DT_F16: STORE(uint16_t, num_double_to_half(value))
	case DT_BF16: STORE(uint16_t, num_double_to_bfloat(value))
	case DT_F32: STORE(float, value)
	case DT_F64: STORE(double, value)
	case DT_U64: STORE(uint64_t, value)
	case DT_BOOL:
	case DT_I8:
	case DT_U8:
	case DT_I16:
	case DT_U16:
	case DT_I32:
	case DT_U32:
	case DT_I64:
	case DT_IDX: num_store_int(t, data, i, (int64_t)value); return;
	case DT_COUNT: break;
	}
	assert(0 && "not a type");
}

void
num_store_int(DType t, void *data, size_t i, int64_t value)
{
	switch (t) {
	case DT_BOOL: STORE(uint8_t, value != 0)
	case DT_I8:
	case DT_U8: STORE(uint8_t, value)
	case DT_I16:
	case DT_U16: STORE(uint16_t, value)
	case DT_I32:
	case DT_IDX:
	case DT_U32: STORE(uint32_t, value)
	case DT_I64:
	case DT_U64: STORE(int64_t, value)
	case DT_F16:
	case DT_BF16:
	case DT_F32:
	case DT_F64: num_store(t, data, i, (double)value); return;
	case DT_COUNT: break;
	}
	assert(0 && "not a type");
}

int64_t
num_wrap(DType t, int64_t v)
{
	int64_t stored;

	num_store_int(t, &stored, 0, v);
	return num_load_int(t, &stored, 0);
}

static uint32_t
float_bits(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	return u;
}

static float
bits_float(uint32_t u)
{
	float f;

	memcpy(&f, &u, sizeof f);
	return f;
}

float
num_half_to_float(uint16_t bits)
{
	uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
	uint32_t exponent = (bits >> 10) & 31, fraction = bits & 0x3ff;

	if (exponent == 31)
		return bits_float(sign | 0x7f800000 | fraction << 13);
	if (exponent == 0) {
		float magnitude = (float)fraction * 0x1p-24f;

		return bits_float(sign | float_bits(magnitude));
	}
	return bits_float(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t
num_float_to_half(float value)
{
	uint32_t u = float_bits(value), sign = u >> 16 & 0x8000, rest = u & 0x7fffffff;

	if (rest > 0x7f800000)
		return (uint16_t)(sign | 0x7e00);
	if (rest >= 0x477ff000) /* rounds to 65536 or more */
		return (uint16_t)(sign | 0x7c00);
	if (rest < 0x38800000) /* below 2^-14: a multiple of 2^-24, rounded by the addition */
		return (uint16_t)(sign | (float_bits(bits_float(rest) + 0.5f) - float_bits(0.5f)));
	rest += 0xfff + (rest >> 13 & 1);
	return (uint16_t)(sign | ((rest >> 13) - (112 << 10)));
}

float
num_bfloat_to_float(uint16_t bits)
{
	return bits_float((uint32_t)bits << 16);
}

uint16_t
num_float_to_bfloat(float value)
{
	uint32_t u = float_bits(value);

	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/*
 * Rounding twice is rounding once when the first result has at least two bits
 * more and is rounded to odd: an inexact result gets an odd last bit, so that it
 * never looks like a tie.
 */
static float
double_to_odd(double value)
{
	float f = (float)value;
	uint32_t u = float_bits(f);

	if ((double)f == value || isnan(value) || (u & 1))
		return f;
	if (isinf(f))
		return copysignf(0x1.fffffep127f, f);
	/* f is even and inexact: the neighbour towards the value is odd. */
	u += fabs((double)f) < fabs(value) ? 1 : (uint32_t)-1;
	return bits_float(u);
}

uint16_t
num_double_to_half(double value)
{
	return num_float_to_half(double_to_odd(value));
}

uint16_t
num_double_to_bfloat(double value)
{
	return num_float_to_bfloat(double_to_odd(value));
}

double
num_uint_to_odd(uint64_t value)
{
	/* With 64 bits in use, a double lacks the last 11. */
	if (value >> 53)
		value = (value & ~(uint64_t)0xfff) | (uint64_t)((value & 0xfff) != 0) << 11;
	return (double)value;
}

double
num_int_to_odd(int64_t value)
{
	if (value < 0)
		return -num_uint_to_odd(0 - (uint64_t)value);
	return num_uint_to_odd((uint64_t)value);
}

/* Makes sure that the text is a floating literal. */
static int
finish(char *text)
{
	size_t n = strlen(text);

	if (!strpbrk(text, ".en")) {
		memcpy(text + n, ".0", 3);
		n += 2;
	}
	return (int)n;
}

/*
 * For magnitudes between 1e-4 and 1e7 and up to 9 digits: v * 10^k as an
 * integer, tried for growing k.  The candidate is checked by reading it back,
 * so that the arithmetic need not be exact.
 */
static int
short_decimal(char *text, float value)
{
	static const double power[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
	double v = fabs((double)value);

	for (int k = 1; k <= 12; k++) {
		double scaled = nearbyint(v * power[k]);

		if (scaled >= 1e9)
			return 0;
		if ((float)(scaled / power[k]) == (float)v) {
			uint32_t digits = (uint32_t)scaled;
			char buffer[16];
			int n = 0, i = 0;

			while (digits || n <= k) {
				buffer[n++] = (char)('0' + digits % 10);
				digits /= 10;
			}
			if (value < 0)
				text[i++] = '-';
			while (n > 0) {
				text[i++] = buffer[--n];
				if (n == k)
					text[i++] = '.';
			}
			text[i] = '\0';
			return strtof(text, NULL) == value ? i : 0;
		}
	}
	return 0;
}

/*
 * For magnitudes below 1e-4 the same with an exponent: the first number of digits
 * whose integer, divided by a power of ten, is the value.
 */
static int
short_scientific(char text[NUM_TEXT], float value)
{
	static const double power[] = {
		1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
		1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27,
		1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41,
		1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54, 1e55};
	double v = fabs((double)value);
	int lead = 4, n = 0;

	/* v * 10^lead is the digit before the point and a fraction. */
	while (v * power[lead] < 1)
		lead++;
	for (int digits = 1; digits <= 9; digits++) {
		double scaled = nearbyint(v * power[lead + digits - 1]);
		char buffer[16];

		if ((float)(scaled / power[lead + digits - 1]) != (float)v)
			continue;
		if (scaled >= power[digits])
			return 0;
		snprintf(buffer, sizeof buffer, "%u", (unsigned)scaled);
		if (value < 0)
			text[n++] = '-';
		text[n++] = buffer[0];
		if (digits > 1)
			text[n++] = '.';
		memcpy(text + n, buffer + 1, (size_t)digits - 1);
		n += digits - 1;
		n += snprintf(text + n, (size_t)(NUM_TEXT - n), "e-%02d", lead);
		return strtof(text, NULL) == value ? n : 0;
	}
	return 0;
}

int
num_float_text(char text[NUM_TEXT], float value)
{
	if (isnan(value) || isinf(value))
		return snprintf(text, NUM_TEXT, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
	if (value == 0)
		return snprintf(text, NUM_TEXT, signbit(value) ? "-0.0" : "0.0");
	if (fabsf(value) >= 1e-4f && fabsf(value) < 1e7f) {
		int n = short_decimal(text, value);

		if (n)
			return n;
	}
	if (fabsf(value) < 1e-4f) {
		int n = short_scientific(text, value);

		if (n)
			return n;
	}
	for (int digits = 1; digits <= 9; digits++) {
		snprintf(text, NUM_TEXT, "%.*g", digits, (double)value);
		if (strtof(text, NULL) == value)
			break;
	}
	return finish(text);
}

int
num_double_text(char text[NUM_TEXT], double value)
{
	if (isnan(value) || isinf(value))
		return snprintf(text, NUM_TEXT, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
	/* 60.0 is as exact as 6e+01 and easier to read. */
	if (value == floor(value) && fabs(value) < 1e7 && value != 0)
		return snprintf(text, NUM_TEXT, "%.1f", value);
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, NUM_TEXT, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return finish(text);
}
