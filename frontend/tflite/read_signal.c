/*
 * The audio operators of TFLite Micro's signal library: custom operators that turn sound
 * into the features of a speech model, in integer arithmetic.
 */
#include <math.h>
#include <string.h>

#include "frontend/tflite/kernel.h"
#include "frontend/tflite/read.h"

/* ---- Checks ---- */

/* Operand i has elements of type `t`. */
static bool
check_in(TNode *n, int i, DType t)
{
	if (tfl_type(n, i)->dtype == t)
		return true;
	return tfl_error(n, E_TYPE, "input %d must be of %s", i, dtype_info[t].name);
}

static bool
check_out(TNode *n, int i, DType t, int32_t count)
{
	const Type *y = &n->out[i]->type;

	if (y->dtype != t)
		return tfl_error(n, E_TYPE, "output %d must be of %s", i, dtype_info[t].name);
	if (type_numel(y) != count)
		return tfl_error(n, E_SHAPE, "output %d has %d numbers, not %d", i, type_numel(y),
		                 count);
	return count > 0 || tfl_error(n, E_SHAPE, "there is nothing to compute");
}

static int32_t
count_of(TNode *n, int i)
{
	return type_numel(tfl_type(n, i));
}

/* The length of the last axis. */
static int32_t
row_length(const Type *t)
{
	return t->rank > 0 ? t->dim[t->rank - 1] : 1;
}

/* ---- Small pieces of kernels ---- */

static Expr *
word(LBuilder *b, DType t, int64_t v)
{
	return loop_int(b, t, v);
}

static Expr *
clamped(LBuilder *b, Expr *x, int64_t lo, int64_t hi)
{
	return loop_op2(b, KOP_MAX, loop_op2(b, KOP_MIN, x, word(b, x->type, hi)),
	                word(b, x->type, lo));
}

/* How many bits the number x, an u32, has: 0 for 0. */
static Expr *
bit_length(LBuilder *b, Expr *x)
{
	Expr *v = loop_let(b, "v", x);
	LVar *rest = loop_var(b, "rest", v), *bits = loop_var(b, "bits", word(b, DT_I32, 0));

	for (int step = 16; step > 0; step /= 2) {
		loop_if(b, loop_op2(b, KOP_GE, loop_get(b, rest),
		                    word(b, DT_U32, (int64_t)1 << step)));
		loop_set(b, rest, loop_op2(b, KOP_SHR, loop_get(b, rest), word(b, DT_U32, step)));
		loop_set(b, bits, loop_add(b, loop_get(b, bits), word(b, DT_I32, step)));
		loop_end(b);
	}
	return loop_let(b, "length", loop_add(b, loop_get(b, bits),
	                                      loop_cvt(b, DT_I32, loop_get(b, rest))));
}

/* Starts a kernel that takes the first inputs of the operator under these names and makes
 * its first output. */
static bool
begin(TflKernel *k, TNode *n, const char *name, const char *const *inputs, int nins, LBuf **in,
      LBuf **y)
{
	tfl_kernel_begin(k, n, name);
	for (int i = 0; i < nins; i++)
		in[i] = tfl_kernel_in(k, inputs[i], tfl_in(n, i));
	*y = tfl_kernel_out(k, "y", 0);
	return !k->failed;
}

/* ---- Window, scale, energy ---- */

bool
tfl_read_signal_window(TNode *n)
{
	int32_t length = row_length(tfl_type(n, 0)), count = count_of(n, 0);
	int64_t shift;
	TflKernel k;
	LBuilder *b = &k.b;
	LBuf *in[2], *y;
	Expr *row, *i, *at, *v;

	if (!tfl_custom(n, "shift", 0, 31, &shift) || !check_in(n, 0, DT_I16) ||
	    !check_in(n, 1, DT_I16) || !check_out(n, 0, DT_I16, count))
		return false;
	if (count_of(n, 1) != length)
		return tfl_error(n, E_SHAPE, "a window of %d numbers for rows of %d",
		                 count_of(n, 1), length);
	if (!begin(&k, n, "window", (const char *const[]){"x", "w"}, 2, in, &y))
		return false;
	row = loop_for(b, "row", 0, count / length);
	i = loop_for(b, "i", 0, length);
	at = loop_let(b, "at", loop_add(b, loop_affine(b, row, length, 0), i));
	v = loop_mul(b, loop_load_compute(b, in[0], at), loop_load_compute(b, in[1], i));
	v = loop_op2(b, KOP_SHR, v, word(b, DT_I32, shift));
	loop_store_cvt(b, y, at, clamped(b, loop_let(b, "v", v), INT16_MIN, INT16_MAX));
	loop_end(b);
	loop_end(b);
	return tfl_kernel_finish(&k);
}

/* The largest size of a number, in 16 bits: that of -32768 is -32768, and forgotten at
 * the next number. */
static Expr *
largest_size(LBuilder *b, LBuf *x)
{
	LVar *largest = loop_var(b, "largest", word(b, DT_I32, 0));
	Expr *i = loop_for(b, "i", 0, x->count), *v, *minus;

	v = loop_let(b, "v", loop_load_compute(b, x, i));
	minus = loop_let(b, "minus", loop_op1(b, KOP_NEG, v));
	loop_if(b, loop_op2(b, KOP_GT, v, loop_get(b, largest)));
	loop_set(b, largest, v);
	loop_else(b);
	loop_if(b, loop_op2(b, KOP_GT, minus, loop_get(b, largest)));
	loop_set(b, largest, loop_cvt(b, DT_I32, loop_cvt(b, DT_I16, minus)));
	loop_end(b);
	loop_end(b);
	loop_end(b);
	return loop_get(b, largest);
}

/* Shifts all numbers to the left, so that the largest has 15 bits. */
bool
tfl_read_signal_auto_scale(TNode *n)
{
	TflKernel k;
	LBuilder *b = &k.b;
	LBuf *x, *y, *bits;
	Expr *shift, *i;

	if (!check_in(n, 0, DT_I16) || !check_out(n, 0, DT_I16, count_of(n, 0)) ||
	    !check_out(n, 1, DT_I32, 1))
		return false;
	tfl_kernel_begin(&k, n, "auto_scale");
	x = tfl_kernel_in(&k, "x", tfl_in(n, 0));
	y = tfl_kernel_out(&k, "y", 0);
	bits = tfl_kernel_out(&k, "bits", 1);
	if (k.failed)
		return false;
	shift = bit_length(b, loop_cvt(b, DT_U32, largest_size(b, x)));
	shift = loop_op2(b, KOP_MAX, loop_sub(b, word(b, DT_I32, 15), shift), word(b, DT_I32, 0));
	shift = loop_let(b, "shift", shift);
	loop_store(b, bits, loop_idx(b, 0), shift);
	i = loop_for(b, "j", 0, x->count);
	loop_store_cvt(b, y, i, loop_op2(b, KOP_SHL, loop_load_compute(b, x, i), shift));
	loop_end(b);
	return tfl_kernel_finish(&k);
}

/* The squares of complex numbers from start_index on; the others are 0. */
bool
tfl_read_signal_energy(TNode *n)
{
	int32_t count = count_of(n, 0) / 2;
	int64_t start, end;
	TflKernel k;
	LBuilder *b = &k.b;
	LBuf *x, *y;
	Expr *i, *re, *im;

	if (!tfl_custom(n, "start_index", 0, count, &start) ||
	    !tfl_custom(n, "end_index", start, count, &end) || !check_in(n, 0, DT_I16) ||
	    !check_out(n, 0, DT_U32, count))
		return false;
	if (!begin(&k, n, "energy", (const char *const[]){"x"}, 1, &x, &y))
		return false;
	i = loop_for(b, "i", 0, count);
	loop_store(b, y, i, word(b, DT_U32, 0));
	loop_end(b);
	i = loop_for(b, "j", start, end);
	re = loop_let(b, "re", loop_load_compute(b, x, loop_affine(b, i, 2, 0)));
	im = loop_let(b, "im", loop_load_compute(b, x, loop_affine(b, i, 2, 1)));
	loop_store_cvt(b, y, i, loop_add(b, loop_mul(b, re, re), loop_mul(b, im, im)));
	loop_end(b);
	return tfl_kernel_finish(&k);
}

/* ---- Filter bank ---- */

/* Number i of a list of channels. */
static Expr *
channel_number(LBuilder *b, LBuf *list, Expr *i, int32_t limit)
{
	return loop_let(b, "c", loop_clamp_idx(b, loop_load_compute(b, list, i), 0, limit));
}

/* Each filter adds up its energies times weights, and the next one the same energies
 * times other weights; what the first one gets that way is no output. */
static void
add_channels(LBuilder *b, LBuf *const in[6], LBuf *y)
{
	int32_t inputs = in[0]->count, weights = in[1]->count;
	LVar *sum = loop_var(b, "sum", word(b, DT_U64, 0));
	LVar *other = loop_var(b, "other", word(b, DT_U64, 0));
	Expr *i = loop_for(b, "i", 0, y->count + 1), *j, *first, *weight, *at, *v, *w;

	first = channel_number(b, in[3], i, inputs - 1);
	weight = channel_number(b, in[4], i, weights - 1);
	j = loop_for_expr(b, "j", loop_idx(b, 0), channel_number(b, in[5], i, inputs));
	at = loop_op2(b, KOP_MIN, loop_add(b, first, j), loop_idx(b, inputs - 1));
	v = loop_let(b, "v", loop_cvt(b, DT_U64, loop_load(b, in[0], at)));
	at = loop_op2(b, KOP_MIN, loop_add(b, weight, j), loop_idx(b, weights - 1));
	at = loop_let(b, "at", at);
	w = loop_cvt(b, DT_U64, loop_load_compute(b, in[1], at));
	loop_set(b, sum, loop_add(b, loop_get(b, sum), loop_mul(b, w, v)));
	w = loop_cvt(b, DT_U64, loop_load_compute(b, in[2], at));
	loop_set(b, other, loop_add(b, loop_get(b, other), loop_mul(b, w, v)));
	loop_end(b);
	loop_if(b, loop_op2(b, KOP_GT, i, loop_idx(b, 0)));
	at = loop_op2(b, KOP_MAX, loop_affine(b, i, 1, -1), loop_idx(b, 0));
	loop_store(b, y, at, loop_get(b, sum));
	loop_end(b);
	loop_set(b, sum, loop_get(b, other));
	loop_set(b, other, word(b, DT_U64, 0));
	loop_end(b);
}

/* Energies, weights, other weights; of each channel the first energy, the first weight,
 * and how many there are. */
bool
tfl_read_signal_filter_bank(TNode *n)
{
	static const char *const name[6] = {"x", "weights", "unweights", "starts", "firsts",
	                                    "widths"};
	int64_t channels;
	TflKernel k;
	LBuf *in[6], *y;

	if (!tfl_custom(n, "num_channels", 1, 4096, &channels) || !check_in(n, 0, DT_U32) ||
	    !check_out(n, 0, DT_U64, (int32_t)channels))
		return false;
	for (int i = 1; i < 6; i++)
		if (!check_in(n, i, DT_I16))
			return false;
	if (count_of(n, 0) < 1 || count_of(n, 1) < 1 || count_of(n, 2) != count_of(n, 1))
		return tfl_error(n, E_SHAPE, "there are no energies, or two numbers of weights");
	for (int i = 3; i < 6; i++)
		if (count_of(n, i) != channels + 1)
			return tfl_error(n, E_SHAPE, "input %d must have %lld numbers", i,
			                 (long long)channels + 1);
	if (!begin(&k, n, "filter_bank", name, 6, in, &y))
		return false;
	add_channels(&k.b, in, y);
	return tfl_kernel_finish(&k);
}

/* The square root of an u64, rounded, as u32: bit by bit.  That of a number of 32 bits is
 * at most 65535. */
static Expr *
square_root(LBuilder *b, Expr *x)
{
	LVar *rest = loop_var(b, "rest", x), *root = loop_var(b, "root", word(b, DT_U64, 0));
	LVar *bit = loop_var(b, "bit", word(b, DT_U64, (int64_t)1 << 62));
	Expr *tried, *limit, *one = word(b, DT_U64, 1), *up;

	limit = loop_op2(b, KOP_EQ, loop_op2(b, KOP_SHR, x, word(b, DT_U64, 32)),
	                 word(b, DT_U64, 0));
	limit = loop_let(b, "limit", loop_select(b, limit, word(b, DT_U64, UINT16_MAX),
	                                         word(b, DT_U64, UINT32_MAX)));
	loop_for(b, "step", 0, 32);
	tried = loop_let(b, "tried", loop_add(b, loop_get(b, root), loop_get(b, bit)));
	loop_set(b, root, loop_op2(b, KOP_SHR, loop_get(b, root), one));
	loop_if(b, loop_op2(b, KOP_GE, loop_get(b, rest), tried));
	loop_set(b, rest, loop_sub(b, loop_get(b, rest), tried));
	loop_set(b, root, loop_add(b, loop_get(b, root), loop_get(b, bit)));
	loop_end(b);
	loop_set(b, bit, loop_op2(b, KOP_SHR, loop_get(b, bit), word(b, DT_U64, 2)));
	loop_end(b);
	up = loop_op2(b, KOP_AND, loop_op2(b, KOP_GT, loop_get(b, rest), loop_get(b, root)),
	              loop_op2(b, KOP_NE, loop_get(b, root), limit));
	return loop_cvt(b, DT_U32, loop_add(b, loop_get(b, root),
	                                    loop_select(b, up, one, word(b, DT_U64, 0))));
}

/* Energies, and how far those numbers were shifted that they come from. */
bool
tfl_read_signal_square_root(TNode *n)
{
	TflKernel k;
	LBuilder *b = &k.b;
	LBuf *in[2], *y;
	Expr *shift, *i, *v;

	if (!check_in(n, 0, DT_U64) || !check_in(n, 1, DT_I32) ||
	    !check_out(n, 0, DT_U32, count_of(n, 0)))
		return false;
	if (count_of(n, 1) != 1)
		return tfl_error(n, E_SHAPE, "input 1 must be a single number");
	if (!begin(&k, n, "square_root", (const char *const[]){"x", "bits"}, 2, in, &y))
		return false;
	shift = loop_let(b, "shift", loop_cvt(b, DT_U32, loop_load(b, in[1], loop_idx(b, 0))));
	i = loop_for(b, "i", 0, in[0]->count);
	v = square_root(b, loop_let(b, "x_i", loop_load(b, in[0], i)));
	loop_store(b, y, i, loop_op2(b, KOP_SHR, v, shift));
	loop_end(b);
	return tfl_kernel_finish(&k);
}

/* ---- Noise ---- */

typedef struct {
	int64_t smoothing[2], rest[2]; /* of even and odd channels */
	int64_t least, bits, fraction, clamping;
} Subtraction;

static bool
read_subtraction(TNode *n, Subtraction *s)
{
	int64_t channels, top = UINT32_MAX;

	return tfl_custom(n, "num_channels", count_of(n, 0), count_of(n, 0), &channels) &&
	       tfl_custom(n, "smoothing", 0, top, &s->smoothing[0]) &&
	       tfl_custom(n, "one_minus_smoothing", 0, top, &s->rest[0]) &&
	       tfl_custom(n, "alternate_smoothing", 0, top, &s->smoothing[1]) &&
	       tfl_custom(n, "alternate_one_minus_smoothing", 0, top, &s->rest[1]) &&
	       tfl_custom(n, "min_signal_remaining", 0, top, &s->least) &&
	       tfl_custom(n, "smoothing_bits", 0, 31, &s->bits) &&
	       tfl_custom(n, "spectral_subtraction_bits", 0, 31, &s->fraction) &&
	       tfl_custom(n, "clamping", 0, 1, &s->clamping);
}

/* x * factor without `fraction` bits, in 64 bits. */
static Expr *
wide_product(LBuilder *b, Expr *x, Expr *factor)
{
	return loop_mul(b, loop_cvt(b, DT_U64, x), loop_cvt(b, DT_U64, factor));
}

/* One channel: what is left of v when the noise is taken off. */
static void
subtract_noise(LBuilder *b, const Subtraction *s, Expr *i, LBuf *const buf[5])
{
	Expr *odd = loop_op2(b, KOP_NE, loop_op2(b, KOP_AND, loop_cvt(b, DT_I32, i),
	                                         word(b, DT_I32, 1)), word(b, DT_I32, 0));
	Expr *smoothing, *rest, *v, *scaled, *noise, *over, *floor_value;

	odd = loop_let(b, "odd", odd);
	smoothing = loop_select(b, odd, word(b, DT_U32, s->smoothing[1]),
	                        word(b, DT_U32, s->smoothing[0]));
	rest = loop_select(b, odd, word(b, DT_U32, s->rest[1]), word(b, DT_U32, s->rest[0]));
	v = loop_let(b, "v", loop_load(b, buf[0], i));
	scaled = loop_let(b, "scaled", loop_op2(b, KOP_SHL, v, word(b, DT_U32, s->bits)));
	noise = loop_add(b, wide_product(b, scaled, smoothing),
	                 wide_product(b, loop_load(b, buf[1], i), rest));
	noise = loop_op2(b, KOP_SHR, noise, word(b, DT_U64, s->fraction));
	noise = loop_let(b, "noise", loop_cvt(b, DT_U32, noise));
	over = loop_let(b, "over", loop_op2(b, KOP_MIN, noise, scaled));
	if (s->clamping)
		noise = over;
	loop_store(b, buf[3], i, noise);
	loop_store(b, buf[4], i, noise);
	floor_value = wide_product(b, v, word(b, DT_U32, s->least));
	floor_value = loop_op2(b, KOP_SHR, floor_value, word(b, DT_U64, s->fraction));
	v = loop_op2(b, KOP_SHR, loop_sub(b, scaled, over), word(b, DT_U32, s->bits));
	loop_store(b, buf[2], i, loop_op2(b, KOP_MAX, v, loop_cvt(b, DT_U32, floor_value)));
}

/* The noise is a running average of each channel. */
bool
tfl_read_signal_subtraction(TNode *n)
{
	int32_t count = count_of(n, 0);
	Type t = type_make(DT_U32, 1, &count);
	Variable *state;
	Subtraction s;
	TflKernel k;
	LBuf *buf[5];
	void *zeros;
	Expr *i;

	if (!check_in(n, 0, DT_U32) || !check_out(n, 0, DT_U32, count) ||
	    !check_out(n, 1, DT_U32, count) || !read_subtraction(n, &s) ||
	    !(zeros = tfl_alloc(n, type_bytes(&t))))
		return false;
	memset(zeros, 0, type_bytes(&t));
	if (!(state = tfl_own_variable(n, "noise", &t, zeros)))
		return false;
	tfl_kernel_begin(&k, n, "spectral_subtraction");
	buf[0] = tfl_kernel_in(&k, "x", tfl_in(n, 0));
	buf[1] = tfl_kernel_in(&k, "noise_before", state->held);
	buf[2] = tfl_kernel_out(&k, "y", 0);
	buf[3] = tfl_kernel_out(&k, "estimate", 1);
	buf[4] = tfl_kernel_next(&k, "noise_after", state);
	if (k.failed)
		return false;
	i = loop_for(&k.b, "i", 0, count);
	subtract_noise(&k.b, &s, i, buf);
	loop_end(&k.b);
	return tfl_kernel_finish(&k);
}

/* ---- Gain ---- */

enum { SNR_BITS = 12, GAIN_BITS = 6, LUT_NUMBERS = 125 };

/* A function of x, an u32, given by a quadratic for each number of bits. */
static Expr *
wide_function(LBuilder *b, Expr *x, LBuf *lut)
{
	Expr *bits, *at, *fraction, *v, *left, *right, *low;

	x = loop_let(b, "x_i", x);
	bits = bit_length(b, x);
	low = loop_load_compute(b, lut, loop_clamp_idx(b, loop_cvt(b, DT_I64, x), 0, 2));
	at = loop_sub(b, loop_mul(b, bits, word(b, DT_I32, 4)), word(b, DT_I32, 6));
	at = loop_let(b, "at", loop_clamp_idx(b, at, 0, LUT_NUMBERS - 3));
	left = loop_op2(b, KOP_SHL, x, loop_cvt(b, DT_U32, loop_sub(b, word(b, DT_I32, 11), bits)));
	right = loop_op2(b, KOP_SHR, x, loop_cvt(b, DT_U32, loop_sub(b, bits, word(b, DT_I32, 11))));
	fraction = loop_select(b, loop_op2(b, KOP_LT, bits, word(b, DT_I32, 11)), left, right);
	fraction = loop_op2(b, KOP_AND, fraction, word(b, DT_U32, 0x3ff));
	fraction = loop_let(b, "fraction", loop_cvt(b, DT_I32, fraction));
	v = loop_mul(b, loop_load_compute(b, lut, loop_affine(b, at, 1, 2)), fraction);
	v = loop_op2(b, KOP_SHR, v, word(b, DT_I32, 5));
	v = loop_add(b, v, loop_op2(b, KOP_SHL, loop_load_compute(b, lut, loop_affine(b, at, 1, 1)),
	                            word(b, DT_I32, 5)));
	v = loop_add(b, loop_mul(b, v, fraction), word(b, DT_I32, 1 << 14));
	v = loop_add(b, loop_op2(b, KOP_SHR, v, word(b, DT_I32, 15)), loop_load_compute(b, lut, at));
	v = loop_cvt(b, DT_I32, loop_cvt(b, DT_I16, v));
	return loop_select(b, loop_op2(b, KOP_LE, x, word(b, DT_U32, 2)), low, v);
}

/* x^2 / 4 below 2, else x - 1. */
static Expr *
shrunk(LBuilder *b, Expr *x)
{
	Expr *square, *line;

	x = loop_let(b, "snr", x);
	square = loop_op2(b, KOP_SHR, loop_mul(b, x, x),
	                  word(b, DT_U32, 2 + 2 * SNR_BITS - GAIN_BITS));
	line = loop_sub(b, loop_op2(b, KOP_SHR, x, word(b, DT_U32, SNR_BITS - GAIN_BITS)),
	                word(b, DT_U32, 1 << GAIN_BITS));
	return loop_select(b, loop_op2(b, KOP_LT, x, word(b, DT_U32, 2 << SNR_BITS)), square, line);
}

/* Channels, their noise, and the table of the gain for a noise. */
bool
tfl_read_signal_pcan(TNode *n)
{
	int64_t shift;
	TflKernel k;
	LBuilder *b = &k.b;
	LBuf *in[3], *y;
	Expr *i, *v;

	if (!tfl_custom(n, "snr_shift", 0, 63, &shift) || !check_in(n, 0, DT_U32) ||
	    !check_in(n, 1, DT_U32) || !check_in(n, 2, DT_I16) ||
	    !check_out(n, 0, DT_U32, count_of(n, 0)))
		return false;
	if (count_of(n, 1) != count_of(n, 0) || count_of(n, 2) < LUT_NUMBERS)
		return tfl_error(n, E_SHAPE, "inputs of %d and %d numbers, a table of %d",
		                 count_of(n, 0), count_of(n, 1), count_of(n, 2));
	if (!begin(&k, n, "pcan", (const char *const[]){"x", "noise", "lut"}, 3, in, &y))
		return false;
	i = loop_for(b, "i", 0, in[0]->count);
	v = loop_cvt(b, DT_U32, wide_function(b, loop_load(b, in[1], i), in[2]));
	v = wide_product(b, loop_load(b, in[0], i), v);
	v = loop_cvt(b, DT_U32, loop_op2(b, KOP_SHR, v, word(b, DT_U64, shift)));
	loop_store(b, y, i, shrunk(b, v));
	loop_end(b);
	return tfl_kernel_finish(&k);
}

/* ---- Logarithm ---- */

enum { LOG_SEGMENTS = 128, LOG_SEGMENT_BITS = 7, LOG_BITS = 16, LOG_OF_2 = 45426 };

/* log2(1 + f) - f for f = i / 128. */
static Value *
logarithm_table(TNode *n)
{
	int16_t *v = ARENA_ARRAY(n->r->arena, int16_t, LOG_SEGMENTS + 1);

	for (int i = 0; i <= LOG_SEGMENTS; i++) {
		double f = ldexp(i, -LOG_SEGMENT_BITS);

		v[i] = (int16_t)floor(ldexp(log2(1 + f) - f, LOG_BITS) + 0.5);
	}
	return graph_const(n->r->g, NULL, type_make(DT_I16, 1, (int32_t[]){LOG_SEGMENTS + 1}), v);
}

/* The natural logarithm of x, an u32 above 1, times `scale`, in u32. */
static Expr *
logarithm(LBuilder *b, Expr *x, LBuf *table, int64_t scale)
{
	Expr *whole = loop_sub(b, bit_length(b, x), word(b, DT_I32, 1));
	Expr *fraction, *segment, *low, *high, *v, *wide;

	whole = loop_let(b, "whole", whole);
	fraction = loop_sub(b, x, loop_op2(b, KOP_SHL, word(b, DT_U32, 1),
	                                   loop_cvt(b, DT_U32, whole)));
	wide = loop_op2(b, KOP_SHL, loop_cvt(b, DT_U64, fraction), word(b, DT_U64, LOG_BITS));
	fraction = loop_op2(b, KOP_SHR, wide, loop_cvt(b, DT_U64, whole));
	fraction = loop_let(b, "fraction", loop_cvt(b, DT_I32, fraction));
	segment = loop_op2(b, KOP_SHR, fraction, word(b, DT_I32, LOG_BITS - LOG_SEGMENT_BITS));
	segment = loop_let(b, "segment", segment);
	v = loop_let(b, "index", loop_clamp_idx(b, segment, 0, LOG_SEGMENTS - 1));
	low = loop_let(b, "low", loop_load_compute(b, table, v));
	high = loop_load_compute(b, table, loop_affine(b, v, 1, 1));
	v = loop_op2(b, KOP_SHL, segment, word(b, DT_I32, LOG_BITS - LOG_SEGMENT_BITS));
	v = loop_mul(b, loop_sub(b, high, low), loop_sub(b, fraction, v));
	v = loop_add(b, loop_add(b, fraction, low), loop_op2(b, KOP_SHR, v, word(b, DT_I32, LOG_BITS)));
	v = loop_add(b, loop_op2(b, KOP_SHL, whole, word(b, DT_I32, LOG_BITS)), v);
	wide = loop_mul(b, loop_cvt(b, DT_U64, loop_cvt(b, DT_U32, v)), word(b, DT_U64, LOG_OF_2));
	wide = loop_add(b, wide, word(b, DT_U64, 1 << (LOG_BITS - 1)));
	v = loop_cvt(b, DT_U32, loop_op2(b, KOP_SHR, wide, word(b, DT_U64, LOG_BITS)));
	v = loop_add(b, loop_mul(b, v, word(b, DT_U32, scale)), word(b, DT_U32, 1 << (LOG_BITS - 1)));
	return loop_op2(b, KOP_SHR, v, word(b, DT_U32, LOG_BITS));
}

bool
tfl_read_signal_log(TNode *n)
{
	int64_t scale, shift;
	TflKernel k;
	LBuilder *b = &k.b;
	LBuf *x, *table, *y;
	Expr *i, *v;

	if (!tfl_custom(n, "output_scale", 0, INT32_MAX, &scale) ||
	    !tfl_custom(n, "input_correction_bits", 0, 31, &shift) || !check_in(n, 0, DT_U32) ||
	    !check_out(n, 0, DT_I16, count_of(n, 0)))
		return false;
	tfl_kernel_begin(&k, n, "logarithm");
	x = tfl_kernel_in(&k, "x", tfl_in(n, 0));
	table = tfl_kernel_in(&k, "table", logarithm_table(n));
	y = tfl_kernel_out(&k, "y", 0);
	if (k.failed)
		return false;
	i = loop_for(b, "i", 0, x->count);
	v = loop_op2(b, KOP_SHL, loop_load(b, x, i), word(b, DT_U32, shift));
	v = loop_let(b, "x_i", v);
	loop_if(b, loop_op2(b, KOP_GT, v, word(b, DT_U32, 1)));
	v = loop_op2(b, KOP_MIN, logarithm(b, v, table, scale), word(b, DT_U32, INT16_MAX));
	loop_store_cvt(b, y, i, v);
	loop_else(b);
	loop_store(b, y, i, loop_const(b, DT_I16, 0));
	loop_end(b);
	loop_end(b);
	return tfl_kernel_finish(&k);
}
