/*
 * Arithmetic on quantised numbers, exactly as TFLite's reference kernels do it.
 *
 * A real factor becomes an integer multiplier with a shift at compile time; the
 * builders below multiply by it in loop IR.  Values are i32 unless stated, products
 * are i64.  Builders that use a value more than once name it first.
 */
#ifndef MCC_IR_OPS_REQUANT_H
#define MCC_IR_OPS_REQUANT_H

#include "ir/lower.h"
#include "ir/quant.h"

/* ---- At compile time ---- */

/* The factor m * 2^(shift - 31). */
typedef struct {
	int32_t m;
	int shift;
} Multiplier;

/* TFLite's QuantizeMultiplier; with `single`, as in builds that round once. */
Multiplier quantize_multiplier(double factor, bool single);

/* What q_mbqm64() makes of it: the multiplier in 15 bits, and the shift to the right that
 * goes with it. */
Multiplier requant_narrowed(Multiplier by);

/* Scale and zero point of a quantised type; of one with an axis, the first ones.  Of
 * any other type 1 and 0. */
float quant_scale(const Type *t);
int32_t quant_zero(const Type *t);

/* Round half away from zero, saturated to int32. */
int32_t quant_round(double x);

/* A range of quantised numbers, both ends included. */
typedef struct {
	int32_t lo, hi;
} QRange;

/* What fits an integer type of up to 32 bits. */
QRange quant_limits(DType t);

/* What an activation leaves of a quantised type. */
QRange quant_range(const Type *t, Activation a);

/* How many bits an int32 can be shifted left without changing sign: 31 for 0. */
int quant_headroom(int32_t x);

/* ---- Checks of the shape rules ---- */

/* Input i is quantised with one scale, or absent; all inputs; output 0. */
bool check_quantized(const Node *n, Diag *d, int i);
bool check_all_quantized(const Node *n, Diag *d);
bool check_quantized_output(const Node *n, Diag *d);

/* The output, quantised, has the element type of input 0, or both have 8 bits. */
bool check_output_like_input(const Node *n, Diag *d);

/* Input i, or the output for -1, has zero points 0, as 16-bit numbers must. */
bool check_symmetric(const Node *n, Diag *d, int i);

/* A factor made from scales is a positive number below `limit`, which is at most
 * MAX_FACTOR. */
#define MAX_FACTOR 0x1p30
#define MAX_WIDE_FACTOR 0x1p7 /* of i64 accumulators */
bool check_scale_factor(const Node *n, Diag *d, double factor, double limit);

/* The output is not quantised. */
bool check_plain_output(const Node *n, Diag *d);

/* 16-bit inputs and a 16-bit output have zero points 0. */
bool check_symmetric_16(const Node *n, Diag *d);

/* ---- Loop IR: fixed point ---- */

Expr *q_int(LowerCtx *cx, int64_t v);   /* i32 */
Expr *q_int64(LowerCtx *cx, int64_t v); /* i64 */

/* Rounding doubling high product: (a * b + 2^30) >> 31, saturated where both are
 * INT32_MIN. */
Expr *q_srdhm(LowerCtx *cx, Expr *a, Expr *b);

/* x / 2^n, rounded half away from zero; n in 0 to 31. */
Expr *q_rdp(LowerCtx *cx, Expr *x, int n);

/* x * 2^n, saturated for n > 0, rounded half away from zero for n < 0. */
Expr *q_sat_mul_pot(LowerCtx *cx, Expr *x, int n);

/* (a + b) / 2, rounded half away from zero. */
Expr *q_half_sum(LowerCtx *cx, Expr *a, Expr *b);

/* Leading zeros of an i32 taken as u32; 32 for 0. */
Expr *q_clz(LowerCtx *cx, Expr *x);

/* The shift to the right that goes with invsqrt() of the mathematical library, for a
 * named x; 0 to 12. */
Expr *q_inverse_root_shift(LowerCtx *cx, Expr *x);

/* x as i16: x in i32, clamped to 16 bits. */
Expr *q_sat16(LowerCtx *cx, Expr *x);

/* MultiplyByQuantizedMultiplier: x << left, q_srdhm(), q_rdp(); or with one rounding
 * where the graph says so.  The shift to the left wraps around. */
Expr *q_mbqm(LowerCtx *cx, Expr *x, Multiplier by);

/* The same for an i64 accumulator, which uses 15 bits of the multiplier; gives i32. */
Expr *q_mbqm64(LowerCtx *cx, Expr *x, Multiplier by);

/* quantize_multiplier() as the graph rounds. */
Multiplier q_multiplier(const LowerCtx *cx, double factor);

/* q_mbqm() or, for an i64 value, q_mbqm64(), by a factor. */
Expr *q_scale(LowerCtx *cx, Expr *x, double factor);

/* How a sum or difference of two tensors is computed: each input, less its zero point
 * and shifted to the left, times its factor; their sum times `out`. */
typedef struct {
	double in[2], out;
	int left;
} SumFactors;

SumFactors q_sum_factors(const Node *n);

/* ---- Loop IR: factors by channel ---- */

typedef struct {
	int n;            /* 1: `one` for every channel */
	Multiplier one;
	bool wide;        /* for i64 accumulators */
	LBuf *m, *right;  /* multiplier; shift to the right, less 1 where `narrow` */
	LBuf *left;       /* shift to the left, or NULL */
	bool never_zero;  /* every shift to the right is at least 1 */
} Multipliers;

Multipliers q_multipliers(LowerCtx *cx, int n, const double *factor, bool wide);

/* x times the factor of the channel; gives i32. */
Expr *q_scale_channel(LowerCtx *cx, const Multipliers *by, Expr *channel, Expr *x);

/* ---- Loop IR: elements ---- */

/* Element of a quantised buffer less a zero point, as i32. */
Expr *q_load(LowerCtx *cx, LBuf *buf, Expr *index, int32_t zero);

Expr *q_clamp(LowerCtx *cx, Expr *x, QRange r);

/* A float rounded to a whole number, half away from zero, as i32: saturated, NaN is 0. */
Expr *q_round_away(LowerCtx *cx, Expr *x);

/* Stores x + zero, clamped. */
void q_store(LowerCtx *cx, LBuf *buf, Expr *index, Expr *x, int32_t zero, QRange r);

#endif
