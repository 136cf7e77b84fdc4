/*
 * The Fourier transforms of TFLite Micro's signal library: of real numbers, by a complex
 * transform of half the length, with the arithmetic of KISS FFT.
 *
 * A complex transform of length n = p1 p2 .. (as many 4s as go, then a 2) puts its inputs
 * in their final order and then runs a stage for each factor, the last one first: blocks of
 * p parts of m numbers each become one block of p m.  Fixed-point numbers are divided by p
 * in each stage, and products rounded, so that nothing overflows but at full scale, where
 * sums wrap around.
 */
#include <math.h>

#include "frontend/tflite/kernel.h"
#include "frontend/tflite/read.h"
#include "ir/num.h"

enum { MAX_FACTORS = 16, MIN_FFT = 4, MAX_FFT = 1 << 15 };

typedef struct {
	TNode *n;
	TflKernel *k;
	DType t;    /* of the numbers: i16, i32 or f32 */
	int length; /* of the complex transform */
	bool inverse;
	int nfactors, factor[MAX_FACTORS];
	LBuf *work, *twiddle, *super, *place;
} Fft;

typedef struct {
	Expr *re, *im;
} Complex;

static bool
is_fixed(const Fft *f)
{
	return f->t != DT_F32;
}

/* Bits behind the point. */
static int
fraction_bits(const Fft *f)
{
	return f->t == DT_I16 ? 15 : 31;
}

/* ---- Constants ---- */

/* Number i of a constant gets e^(i phase). */
static void
store_root(const Fft *f, void *data, int i, double phase)
{
	double unit = is_fixed(f) ? ldexp(1, fraction_bits(f)) - 1 : 1;
	double v[2] = {cos(phase), sin(phase)};

	for (int k = 0; k < 2; k++)
		num_store(f->t, data, (size_t)(2 * i + k),
		          is_fixed(f) ? floor(0.5 + unit * v[k]) : v[k]);
}

static LBuf *
constant(Fft *f, const char *name, DType t, int count, const void *data)
{
	Type type = type_make(t, 1, (int32_t[]){count});

	return tfl_kernel_in(f->k, name, graph_const(f->n->r->g, NULL, type, data));
}

static void
add_roots(Fft *f)
{
	const double pi = 3.141592653589793238462643383279502884197169399375105820974944;
	double turn = f->inverse ? 1 : -1;
	void *roots = arena_alloc(f->n->r->arena, (size_t)f->length * 8);
	void *super = arena_alloc(f->n->r->arena, (size_t)f->length * 8);

	for (int i = 0; i < f->length; i++)
		store_root(f, roots, i, turn * 2 * pi * i / f->length);
	for (int i = 0; i < f->length / 2; i++)
		store_root(f, super, i, turn * pi * ((double)(i + 1) / f->length + 0.5));
	f->twiddle = constant(f, "roots", f->t, 2 * f->length, roots);
	f->super = constant(f, "half_roots", f->t, f->length, super);
}

/* Where the complex input i has its place before the first stage. */
static void
add_places(Fft *f)
{
	int16_t *place = ARENA_ARRAY(f->n->r->arena, int16_t, f->length);

	for (int at = 0; at < f->length; at++) {
		int from = 0, stride = 1, span = f->length, rest = at;

		for (int k = 0; k < f->nfactors; k++) {
			span /= f->factor[k];
			from += rest / span * stride;
			rest %= span;
			stride *= f->factor[k];
		}
		place[from] = (int16_t)at;
	}
	f->place = constant(f, "place", DT_I16, f->length, place);
}

/* ---- Arithmetic ---- */

/* x as it is stored: the width of the numbers. */
static Expr *
stored(Fft *f, Expr *x)
{
	LBuilder *b = &f->k->b;

	if (!is_fixed(f))
		return x;
	return f->t == DT_I16 ? loop_cvt(b, DT_I32, loop_cvt(b, DT_I16, x)) : loop_cvt(b, DT_I32, x);
}

static Expr *
product(Fft *f, Expr *x, Expr *y)
{
	LBuilder *b = &f->k->b;

	if (f->t == DT_I32) {
		x = loop_cvt(b, DT_I64, x);
		y = loop_cvt(b, DT_I64, y);
	}
	return loop_mul(b, x, y);
}

/* A sum of products without the bits of one factor's fraction. */
static Expr *
rounded(Fft *f, Expr *x)
{
	LBuilder *b = &f->k->b;
	int bits = fraction_bits(f);

	if (!is_fixed(f))
		return x;
	x = loop_add(b, x, loop_int(b, x->type, (int64_t)1 << (bits - 1)));
	return stored(f, loop_op2(b, KOP_SHR, x, loop_int(b, x->type, bits)));
}

static Complex
named(Fft *f, Complex x)
{
	LBuilder *b = &f->k->b;

	return (Complex){loop_let(b, "re", x.re), loop_let(b, "im", x.im)};
}

/* Fixed-point numbers divided by `by`. */
static Complex
divided(Fft *f, Complex x, int by)
{
	LBuilder *b = &f->k->b;
	int64_t one = ((int64_t)1 << fraction_bits(f)) - 1;

	if (!is_fixed(f))
		return x;
	return named(f, (Complex){
		rounded(f, product(f, x.re, loop_int(b, DT_I32, one / by))),
		rounded(f, product(f, x.im, loop_int(b, DT_I32, one / by)))});
}

static Complex
times(Fft *f, Complex x, Complex y)
{
	LBuilder *b = &f->k->b;

	return named(f, (Complex){
		rounded(f, loop_sub(b, product(f, x.re, y.re), product(f, x.im, y.im))),
		rounded(f, loop_add(b, product(f, x.re, y.im), product(f, x.im, y.re)))});
}

static Complex
plus(Fft *f, Complex x, Complex y)
{
	LBuilder *b = &f->k->b;

	return named(f, (Complex){loop_add(b, x.re, y.re), loop_add(b, x.im, y.im)});
}

static Complex
minus(Fft *f, Complex x, Complex y)
{
	LBuilder *b = &f->k->b;

	return named(f, (Complex){loop_sub(b, x.re, y.re), loop_sub(b, x.im, y.im)});
}

static Complex
load(Fft *f, LBuf *buf, Expr *at)
{
	LBuilder *b = &f->k->b;

	return named(f, (Complex){loop_load_compute(b, buf, loop_affine(b, at, 2, 0)),
	                          loop_load_compute(b, buf, loop_affine(b, at, 2, 1))});
}

static void
store(Fft *f, LBuf *buf, Expr *at, Complex x)
{
	LBuilder *b = &f->k->b;

	loop_store_cvt(b, buf, loop_affine(b, at, 2, 0), x.re);
	loop_store_cvt(b, buf, loop_affine(b, at, 2, 1), x.im);
}

/* ---- The complex transform, in place ---- */

static void
pair(Fft *f, const Complex x[2], Expr *const at[2])
{
	store(f, f->work, at[0], plus(f, x[0], x[1]));
	store(f, f->work, at[1], minus(f, x[0], x[1]));
}

static void
quadruple(Fft *f, const Complex x[4], Expr *const at[4])
{
	LBuilder *b = &f->k->b;
	Complex even = plus(f, x[0], x[2]), odd = minus(f, x[0], x[2]);
	Complex sum = plus(f, x[1], x[3]), gap = minus(f, x[1], x[3]);
	/* i * gap, or -i * gap forward. */
	Complex left = {loop_sub(b, odd.re, gap.im), loop_add(b, odd.im, gap.re)};
	Complex right = {loop_add(b, odd.re, gap.im), loop_sub(b, odd.im, gap.re)};

	store(f, f->work, at[2], minus(f, even, sum));
	store(f, f->work, at[0], plus(f, even, sum));
	store(f, f->work, at[1], f->inverse ? left : right);
	store(f, f->work, at[3], f->inverse ? right : left);
}

/* A stage: `blocks` blocks of p parts of m numbers. */
static void
add_stage(Fft *f, int blocks, int p, int m)
{
	LBuilder *b = &f->k->b;
	Expr *block = loop_for(b, "block", 0, blocks), *i = loop_for(b, "i", 0, m), *at[4];
	Complex x[4];

	for (int q = 0; q < p; q++) {
		at[q] = loop_add(b, loop_affine(b, block, p * m, q * m), i);
		at[q] = loop_let(b, "at", at[q]);
		x[q] = divided(f, load(f, f->work, at[q]), p);
	}
	for (int q = 1; q < p; q++)
		x[q] = times(f, x[q],
		             load(f, f->twiddle, loop_affine(b, i, (int64_t)q * blocks, 0)));
	if (p == 2)
		pair(f, x, at);
	else
		quadruple(f, x, at);
	loop_end(b);
	loop_end(b);
}

static void
transform(Fft *f)
{
	int blocks = f->length, m = 1;

	for (int k = f->nfactors; k-- > 0;) {
		blocks /= f->factor[k];
		add_stage(f, blocks, f->factor[k], m);
		m *= f->factor[k];
	}
}

/* Where the complex number `i` of the input lies in the work area. */
static Expr *
place_of(Fft *f, Expr *i)
{
	LBuilder *b = &f->k->b;

	return loop_let(b, "place", loop_clamp_idx(b, loop_load_compute(b, f->place, i), 0,
	                                           f->length - 1));
}

/* ---- Real numbers ---- */

/* `count` numbers of x from `at` on, then zeros, two by two. */
static void
put_pairs(Fft *f, LBuf *x, Expr *at, int count)
{
	LBuilder *b = &f->k->b;
	Expr *zero = loop_const(b, dtype_compute(f->t), 0), *i, *from;
	int pairs = count / 2;

	i = loop_for(b, "i", 0, 2 * f->length);
	loop_store_cvt(b, f->work, i, zero);
	loop_end(b);
	if (pairs > 0) {
		i = loop_for(b, "i", 0, pairs);
		from = loop_add(b, at, loop_affine(b, i, 2, 0));
		store(f, f->work, place_of(f, i), (Complex){
			loop_load_compute(b, x, from),
			loop_load_compute(b, x, loop_affine(b, from, 1, 1))});
		loop_end(b);
	}
	if (count % 2)
		store(f, f->work, place_of(f, loop_idx(b, pairs)), (Complex){
			loop_load_compute(b, x, loop_affine(b, at, 1, count - 1)), zero});
}

static Expr *
halved(Fft *f, Expr *x)
{
	LBuilder *b = &f->k->b;

	return is_fixed(f) ? loop_op2(b, KOP_SHR, x, loop_int(b, DT_I32, 1))
	                   : loop_mul(b, x, loop_float(b, DT_F32, 0.5));
}

/* -x as it is stored. */
static Expr *
negated(Fft *f, Expr *x)
{
	return stored(f, loop_op1(&f->k->b, KOP_NEG, x));
}

/* Complex numbers k and length - k of the result from those of the half transform. */
static void
split_pair(Fft *f, LBuf *y, Expr *y_at, Expr *k)
{
	LBuilder *b = &f->k->b;
	Expr *mirror = loop_let(b, "mirror", loop_sub(b, loop_idx(b, f->length), k));
	Complex x = divided(f, load(f, f->work, k), 2), z = load(f, f->work, mirror), sum, t;

	z = divided(f, (Complex){z.re, negated(f, z.im)}, 2);
	sum = plus(f, x, z);
	t = times(f, minus(f, x, z), load(f, f->super, loop_affine(b, k, 1, -1)));
	store(f, y, loop_add(b, y_at, k), (Complex){halved(f, loop_add(b, sum.re, t.re)),
	                                            halved(f, loop_add(b, sum.im, t.im))});
	store(f, y, loop_add(b, y_at, mirror), (Complex){halved(f, loop_sub(b, sum.re, t.re)),
	                                                 halved(f, loop_sub(b, t.im, sum.im))});
}

static void
forward(Fft *f, LBuf *x, LBuf *y, int rows, int count)
{
	LBuilder *b = &f->k->b;
	Expr *row = loop_for(b, "row", 0, rows), *y_at, *k, *zero;
	Complex first;

	y_at = loop_affine(b, row, f->length + 1, 0);
	put_pairs(f, x, loop_affine(b, row, count, 0), count);
	transform(f);
	first = divided(f, load(f, f->work, loop_idx(b, 0)), 2);
	zero = loop_const(b, first.re->type, 0);
	store(f, y, y_at, (Complex){loop_add(b, first.re, first.im), zero});
	store(f, y, loop_affine(b, y_at, 1, f->length),
	      (Complex){loop_sub(b, first.re, first.im), zero});
	k = loop_for(b, "k", 1, f->length / 2 + 1);
	split_pair(f, y, y_at, k);
	loop_end(b);
	loop_end(b);
}

/* The reverse of split_pair(). */
static void
join_pair(Fft *f, LBuf *x, Expr *x_at, Expr *k)
{
	LBuilder *b = &f->k->b;
	Expr *mirror = loop_let(b, "mirror", loop_sub(b, loop_idx(b, f->length), k));
	Complex v = divided(f, load(f, x, loop_add(b, x_at, k)), 2);
	Complex z = load(f, x, loop_add(b, x_at, mirror)), sum, t;

	z = divided(f, (Complex){z.re, negated(f, z.im)}, 2);
	sum = plus(f, v, z);
	t = times(f, minus(f, v, z), load(f, f->super, loop_affine(b, k, 1, -1)));
	store(f, f->work, place_of(f, k), plus(f, sum, t));
	t = minus(f, sum, t);
	store(f, f->work, place_of(f, mirror), (Complex){t.re, loop_op1(b, KOP_NEG, t.im)});
}

static void
backward(Fft *f, LBuf *x, LBuf *y, int rows)
{
	LBuilder *b = &f->k->b;
	int count = 2 * f->length;
	Expr *row = loop_for(b, "row", 0, rows), *x_at, *k, *v;
	Complex first, last;

	x_at = loop_affine(b, row, f->length + 1, 0);
	first = load(f, x, x_at);
	last = load(f, x, loop_affine(b, x_at, 1, f->length));
	first = (Complex){stored(f, loop_add(b, first.re, last.re)),
	                  stored(f, loop_sub(b, first.re, last.re))};
	store(f, f->work, place_of(f, loop_idx(b, 0)), divided(f, named(f, first), 2));
	k = loop_for(b, "k", 1, f->length / 2 + 1);
	join_pair(f, x, x_at, k);
	loop_end(b);
	transform(f);
	k = loop_for(b, "i", 0, count);
	v = loop_load_compute(b, f->work, k);
	if (!is_fixed(f))
		v = loop_op2(b, KOP_DIV, v, loop_float(b, DT_F32, count));
	loop_store_cvt(b, y, loop_add(b, loop_affine(b, row, count, 0), k), v);
	loop_end(b);
	loop_end(b);
}

/* ---- Operators ---- */

/* Sets up a transform of `size` real numbers; 4 is the largest factor. */
static bool
begin(Fft *f, TflKernel *k, TNode *n, bool inverse)
{
	DType t = tfl_type(n, 0)->dtype;
	int64_t size;

	if (!tfl_custom(n, "fft_length", MIN_FFT, MAX_FFT, &size))
		return false;
	if ((size & (size - 1)) != 0)
		return tfl_error(n, E_UNSUPPORTED, "a length of %lld, which is no power of 2",
		                 (long long)size);
	if ((t != DT_I16 && t != DT_I32 && t != DT_F32) || tfl_out_type(n)->dtype != t)
		return tfl_error(n, E_TYPE, "input and output must be i16, i32 or f32");
	*f = (Fft){.n = n, .k = k, .t = t, .length = (int)size / 2, .inverse = inverse};
	for (int rest = f->length; rest > 1; rest /= f->factor[f->nfactors - 1])
		f->factor[f->nfactors++] = rest % 4 == 0 ? 4 : 2;
	tfl_kernel_begin(k, n, inverse ? "irfft" : "rfft");
	return true;
}

/* How many rows there are, which must have from lo to hi numbers; 0: an error. */
static int
count_rows(TNode *n, const Type *t, int lo, int hi)
{
	int length = t->rank > 0 ? t->dim[t->rank - 1] : 1;
	int rows = length > 0 ? type_numel(t) / length : 0;

	if (rows > 0 && length >= lo && length <= hi)
		return rows;
	tfl_error(n, E_SHAPE, "rows of %d numbers do not fit the transform", length);
	return 0;
}

/* The same for the input, and the output, of which all rows have `out` numbers. */
static int
check_rows(TNode *n, int lo, int hi, int out)
{
	int rows = count_rows(n, tfl_type(n, 0), lo, hi);
	int out_rows = rows ? count_rows(n, tfl_out_type(n), out, out) : 0;

	if (out_rows && rows != out_rows)
		tfl_error(n, E_SHAPE, "%d rows, but %d of the output", rows, out_rows);
	return rows == out_rows ? rows : 0;
}

static bool
add_buffers(Fft *f, LBuf **x, LBuf **y)
{
	*x = tfl_kernel_in(f->k, "x", tfl_in(f->n, 0));
	add_roots(f);
	add_places(f);
	*y = tfl_kernel_out(f->k, "y", 0);
	if (f->k->failed)
		return false;
	f->work = tfl_kernel_scratch(f->k, "work", f->t, 2 * f->length);
	return true;
}

bool
tfl_read_signal_rfft(TNode *n)
{
	TflKernel k;
	LBuf *x, *y;
	Fft f;
	int rows;

	if (!begin(&f, &k, n, false) ||
	    !(rows = check_rows(n, 1, 2 * f.length, 2 * f.length + 2)) || !add_buffers(&f, &x, &y))
		return false;
	forward(&f, x, y, rows, x->count / rows);
	return tfl_kernel_finish(&k);
}

bool
tfl_read_signal_irfft(TNode *n)
{
	TflKernel k;
	LBuf *x, *y;
	Fft f;
	int rows;

	if (!begin(&f, &k, n, true) ||
	    !(rows = check_rows(n, 2 * f.length + 2, 2 * f.length + 2, 2 * f.length)) ||
	    !add_buffers(&f, &x, &y))
		return false;
	backward(&f, x, y, rows);
	return tfl_kernel_finish(&k);
}
