#include "ir/ops/qtable.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "ir/loop/math.h"

/* ---- Tables of 8-bit numbers ---- */

enum { CODES = 256 };

/* A scalar function around the builder. */
static LCode *
compile_unary(LowerCtx *cx, const Node *n, QUnaryFn *f)
{
	LowerCtx inner = *cx;
	Expr *x;

	loop_begin_scalar(&inner.b, cx->arena, "unary", DT_I32);
	x = loop_param(&inner.b, "x", DT_I32);
	loop_return(&inner.b, f(&inner, n, x));
	return lfunc_compile(cx->arena, loop_finish(&inner.b));
}

/* The index is the number's bits, so that signed and unsigned ones have one form. */
void
q_lower_table(LowerCtx *cx, const Node *n, QUnaryFn *f)
{
	LBuilder *b = &cx->b;
	QRange codes = quant_limits(cx->in[0]->elem);
	LCode *code = compile_unary(cx, n, f);
	uint8_t y[CODES];
	LBuf *table;
	Expr *at, *x;

	assert(dtype_info[cx->in[0]->elem].bytes == 1 && dtype_info[cx->out[0]->elem].bytes == 1);
	for (int32_t q = codes.lo; q <= codes.hi; q++) {
		uint64_t bits = (uint64_t)(int64_t)q;

		y[(uint8_t)q] = (uint8_t)lcode_call(code, &bits);
	}
	table = lower_table(cx, "table", cx->out[0]->elem, CODES, y);
	at = lower_for(cx, "i", cx->in[0]->count);
	x = loop_cvt(b, DT_IDX, loop_cvt(b, DT_U8, loop_load(b, cx->in[0], at)));
	loop_store(b, cx->out[0], at, loop_load(b, table, x));
	lower_end_to(cx, 0);
}

/* ---- Tables of 16-bit numbers ---- */

static double
exponential(Arena *a, double x)
{
	uint64_t bits, result;
	double y;

	memcpy(&bits, &x, sizeof bits);
	result = lfunc_call(a, math_find("exp", DT_F64), &bits);
	memcpy(&y, &result, sizeof y);
	return y;
}

float
qtable_exp(Arena *a, float x)
{
	return (float)exponential(a, (double)x);
}

enum { STEPS = 512, STEP_BITS = 7, MIDDLE = STEPS / 2 };

static int16_t
saturated(float x)
{
	return (int16_t)(x <= -32768 ? -32768 : x >= 32767 ? 32767 : x);
}

/* Each place is moved by half of the error that a straight line has in the middle. */
LBuf *
q_table16(LowerCtx *cx, const char *name, QFloatFn *f, float in_scale, int32_t in_zero,
          float out_scale, int32_t out_zero)
{
	Arena *a = cx->arena;
	float in_least = in_scale * (float)(INT16_MIN - in_zero);
	float in_greatest = in_scale * (float)(INT16_MAX - in_zero);
	float out_least = out_scale * (float)(INT16_MIN - out_zero);
	float out_greatest = out_scale * (float)(INT16_MAX - out_zero);
	float step = (in_greatest - in_least) / (float)STEPS, half = step / 2;
	float unit = 65536 / (out_greatest - out_least);
	int16_t y[STEPS + 1];

	for (int i = 0; i < STEPS; i++) {
		float at = in_least + (float)i * step;
		float v = f(a, at), middle = f(a, at + half);
		float next = f(a, in_least + (float)(i + 1) * step);
		float sample = roundf(v * unit);
		float line = roundf((next * unit + sample) / 2);
		float error = line - roundf(middle * unit);

		y[i] = saturated(sample - roundf(error / 2));
	}
	y[STEPS] = saturated(roundf(f(a, in_greatest) * unit));
	return lower_table(cx, name, DT_I16, STEPS + 1, y);
}

/* x from -32768 to 32767, in i32. */
Expr *
q_interpolate(LowerCtx *cx, LBuf *table, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *v = lower_let(cx, "v", x), *at, *base, *slope, *offset;

	at = loop_add(b, loop_op2(b, KOP_SHR, v, q_int(cx, STEP_BITS)), q_int(cx, MIDDLE));
	at = loop_let(b, "place", loop_clamp_idx(b, at, 0, STEPS - 1));
	base = loop_let(b, "base", loop_load_compute(b, table, at));
	slope = loop_sub(b, loop_load_compute(b, table, loop_affine(b, at, 1, 1)), base);
	slope = loop_cvt(b, DT_I32, loop_cvt(b, DT_I16, slope));
	offset = loop_op2(b, KOP_AND, v, q_int(cx, (1 << STEP_BITS) - 1));
	slope = loop_add(b, loop_mul(b, slope, offset), q_int(cx, 1 << (STEP_BITS - 1)));
	return loop_add(b, base, loop_op2(b, KOP_SHR, slope, q_int(cx, STEP_BITS)));
}

/* ---- The logistic function ---- */

/* Where the reference's table is 1 more than the rounded function. */
static const uint8_t one_more[] = {4,  8,  12, 14, 15, 16, 17, 19, 20,  21,  22,  25,
                                   27, 28, 29, 30, 31, 33, 34, 35, 37,  39,  40,  41,
                                   43, 44, 45, 46, 49, 50, 54, 62, 63,  64,  66,  82,
                                   86, 93, 100, 103, 112, 116, 135, 255};

LBuf *
q_logistic_table(LowerCtx *cx)
{
	uint16_t y[CODES];

	for (int i = 0; i < CODES; i++) {
		double v = round(65536 / (1 + exponential(cx->arena, -(double)i / 24)));

		y[i] = (uint16_t)(v > 65535 ? 65535 : v);
	}
	for (size_t i = 0; i < sizeof one_more; i++)
		y[one_more[i]]++;
	return lower_table(cx, "logistic", DT_U16, CODES, y);
}

/* The table at |x| >> bits with `bits` bits between, times 2^bits; `full` beyond its
 * end. */
static Expr *
logistic_of_magnitude(LowerCtx *cx, LBuf *table, Expr *x, int bits, int64_t full)
{
	LBuilder *b = &cx->b;
	Expr *a = loop_let(b, "a", loop_op1(b, KOP_ABS, x));
	Expr *u = loop_let(b, "u", loop_op2(b, KOP_SHR, a, q_int(cx, bits)));
	Expr *at = loop_let(b, "place", loop_clamp_idx(b, u, 0, CODES - 2));
	Expr *base = loop_let(b, "base", loop_load_compute(b, table, at));
	Expr *slope = loop_sub(b, loop_load_compute(b, table, loop_affine(b, at, 1, 1)), base);
	Expr *offset = loop_op2(b, KOP_AND, a, q_int(cx, (1 << bits) - 1));
	Expr *y = loop_op2(b, KOP_SHL, base, q_int(cx, bits));

	y = loop_add(b, y, loop_mul(b, offset, slope));
	y = loop_select(b, loop_op2(b, KOP_GE, u, q_int(cx, CODES - 1)), q_int(cx, full), y);
	return loop_let(b, "y", y);
}

Expr *
q_logistic16(LowerCtx *cx, LBuf *table, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *v = lower_let(cx, "v", x);
	Expr *y = logistic_of_magnitude(cx, table, v, 9, 0x7FFF << 10);
	Expr *positive = loop_add(b, y, q_int(cx, 1 << 9));
	Expr *negative = loop_sub(b, q_int(cx, (1 << 25) + (1 << 9) - 1), y);

	y = loop_select(b, loop_op2(b, KOP_GE, v, q_int(cx, 0)), positive, negative);
	return loop_op2(b, KOP_SHR, y, q_int(cx, 10));
}

/* tanh(x) = 2 * logistic(2x) - 1 */
Expr *
q_tanh16(LowerCtx *cx, LBuf *table, Expr *x)
{
	LBuilder *b = &cx->b;
	Expr *v = lower_let(cx, "v", x);
	Expr *y = logistic_of_magnitude(cx, table, v, 8, 0xFFFF << 8);
	Expr *positive = loop_sub(b, y, q_int(cx, (1 << 23) - (1 << 7)));
	Expr *negative = loop_sub(b, q_int(cx, (1 << 23) + (1 << 7) - 1), y);

	y = loop_select(b, loop_op2(b, KOP_GE, v, q_int(cx, 0)), positive, negative);
	return loop_op2(b, KOP_SHR, y, q_int(cx, 8));
}
