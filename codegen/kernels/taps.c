/*
 * Depthwise convolutions in little code and without scratch memory, for machines that
 * multiply 16-bit halves of registers.
 *
 * Four channels of one output at a time, tap by tap: the loops over the window stop at the
 * borders of the input, so that padding is nowhere; what is added is w * (x - zero point),
 * which is 0 there.  The last four channels overlap those before where their number is no
 * multiple of four; each is stored once.  Code for whole fours only knows less of other
 * sizes, but its outputs may lie closer to its inputs.
 *
 * Constants are one array of bytes without any to fill up: the weights, tap by tap; then for
 * each channel the multiplier and, in three or four bytes, what the sum starts with above
 * five bits of the shift.
 *
 * Indices are made of the sizes of images and pixels, not of rows: the fewer numbers there
 * are, the fewer a function for several layers has to load (program/merge.c).
 */
#include <assert.h>
#include <string.h>

#include "codegen/kernels/generate.h"

enum { FOUR = 4, SHIFT_BITS = 5, LEAST_RECORD = 7, MOST_RECORD = 8 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	Scale scale;
	bool whole;                /* fours of channels */
	LBuf *bytes;
	int32_t record;            /* bytes of a channel behind the weights */
	LVar *sum[FOUR];
	Expr *iy0, *ix0;           /* where the window starts */
	Expr *y_lo, *y_hi, *x_lo, *x_hi; /* its taps within the input */
	Expr *image;               /* pixel that the image starts with */
} Taps;

/* Bits in front of the shift, in a word that ends where a record does. */
static int32_t
start_bits(int32_t record)
{
	return 8 * (record - 4) - SHIFT_BITS;
}

static bool
fits_record(const Conv *c, int32_t record)
{
	int32_t most = 1 << (start_bits(record) - 1);

	for (int32_t i = 0; i < c->oc; i++)
		if (c->channel[i].plain < -most || c->channel[i].plain >= most)
			return false;
	return true;
}

bool
taps_fits(const Conv *c)
{
	return c->ic == 1 && c->groups == c->oc && c->oc >= FOUR && c->dy == 1 && c->dx == 1 &&
	       scale_fits_packed(c) && fits_record(c, MOST_RECORD);
}

/* ---- Constants ---- */

/* Lowest byte first. */
static void
put_bytes(uint8_t *to, uint32_t word, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = (uint8_t)(word >> (8 * i));
}

static void
make_bytes(Taps *d)
{
	const Conv *c = d->c;
	int32_t taps = c->kh * c->kw, n = c->oc * (d->record + taps);
	uint8_t *bytes = ARENA_ARRAY(d->cx.arena, uint8_t, n), *at = bytes;

	for (int32_t tap = 0; tap < taps; tap++)
		for (int32_t i = 0; i < c->oc; i++)
			*at++ = (uint8_t)conv_weight_at(c, i * taps + tap);
	for (int32_t i = 0; i < c->oc; i++, at += d->record) {
		uint32_t start = (uint32_t)c->channel[i].plain << SHIFT_BITS;

		put_bytes(at, (uint32_t)scale_multiplier(c, i), 4);
		put_bytes(at + 4, start | scale_packed_shift_of(&d->scale, c, i), d->record - 4);
	}
	assert(at == bytes + n);
	d->bytes = lower_constant(&d->cx, "weights", DT_I8, n, bytes);
}

/* ---- Sums ---- */

/* Where byte `more` of the record of channel `i` behind that at r_at is. */
static Expr *
record_at(Taps *d, Expr *r_at, Expr *i, int32_t more)
{
	LBuilder *b = &d->cx.b;

	return loop_add(b, r_at, loop_affine(b, i, d->record, more));
}

static Expr *
shift_right(Taps *d, Expr *x, int32_t bits)
{
	return loop_op2(&d->cx.b, KOP_SHR, x, loop_int(&d->cx.b, DT_I32, bits));
}

/* Four bytes: the even and the odd ones. */
static void
unpack(Taps *d, LBuf *from, Expr *at, Expr *x[2])
{
	LBuilder *b = &d->cx.b;
	Expr *four = loop_let(b, "four", loop_load_wide(b, from, at));

	x[0] = loop_let(b, "even", loop_packed(b, POP_EVEN8, four, NULL, NULL));
	x[1] = loop_let(b, "odd", loop_packed(b, POP_ODD8, four, NULL, NULL));
}

static void
add_tap(Taps *d, Expr *x_at, Expr *w_at)
{
	LBuilder *b = &d->cx.b;
	uint32_t zero = ((uint32_t)d->c->x_zero & 0xffff) * 0x10001u;
	Expr *x[2], *w[2];

	unpack(d, d->cx.in[0], x_at, x);
	unpack(d, d->bytes, w_at, w);
	for (int i = 0; i < 2; i++)
		x[i] = loop_let(b, "xk", loop_packed(b, POP_SUB2, x[i],
		                                     loop_int(b, DT_I32, (int32_t)zero), NULL));
	for (int i = 0; i < FOUR; i++)
		loop_set(b, d->sum[i], loop_packed(b, i < 2 ? POP_MAC_BB : POP_MAC_TT, x[i % 2],
		                                   w[i % 2], loop_get(b, d->sum[i])));
}

/* All taps, of four channels from `first` on. */
static void
add_window(Taps *d, Expr *first)
{
	const Conv *c = d->c;
	LBuilder *b = &d->cx.b;
	Expr *ky, *kx, *x_at, *w_at;

	ky = loop_for_expr(b, "ky", d->y_lo, d->y_hi);
	x_at = loop_affine(b, loop_add(b, d->iy0, ky), c->in_w, 0);
	x_at = lower_let(&d->cx, "x_ky", loop_add(b, loop_add(b, d->image, d->ix0), x_at));
	w_at = lower_let(&d->cx, "w_ky", loop_affine(b, ky, c->kw, 0));
	kx = loop_for_expr(b, "kx", d->x_lo, d->x_hi);
	x_at = loop_affine(b, loop_add(b, x_at, kx), c->oc, 0);
	w_at = loop_affine(b, loop_add(b, w_at, kx), c->oc, 0);
	add_tap(d, loop_add(b, x_at, first), loop_add(b, w_at, first));
	loop_end(b);
	loop_end(b);
}

/* ---- Outputs ---- */

/* Channel `i` behind `first`. */
static void
store_channel(Taps *d, Expr *y_at, Expr *r_at, Expr *first, Expr *i, LVar *sum)
{
	LBuilder *b = &d->cx.b;
	Expr *channel = loop_add(b, first, i), *m, *shift;

	m = loop_let(b, "m", loop_load_wide(b, d->bytes, record_at(d, r_at, i, 0)));
	shift = loop_cvt(b, DT_I32, loop_load(b, d->bytes, record_at(d, r_at, i, 4)));
	shift = loop_let(b, "shift", scale_packed_shift(&d->cx, &d->scale, shift));
	scale_store(&d->cx, &d->scale, loop_add(b, y_at, channel), channel,
	            loop_op2(b, KOP_SHL, loop_get(b, sum), loop_int(b, DT_I32, 1)), m, shift);
}

/* Four channels from `first` on, but those before `from`. */
static void
store_channels(Taps *d, Expr *y_at, Expr *r_at, Expr *first, Expr *from)
{
	LBuilder *b = &d->cx.b;
	Expr *i;

	for (int k = 0; k < FOUR && d->whole; k++)
		store_channel(d, y_at, r_at, first, loop_idx(b, k), d->sum[k]);
	if (d->whole)
		return;
	/* A loop is less code than four times the rest of this. */
	i = loop_for(b, "i", 0, FOUR);
	loop_if(b, loop_op2(b, KOP_GE, loop_add(b, first, i), from));
	store_channel(d, y_at, r_at, first, i, d->sum[0]);
	loop_end(b);
	for (int k = 0; k + 1 < FOUR; k++)
		loop_set(b, d->sum[k], loop_get(b, d->sum[k + 1]));
	loop_end(b);
}

/* All channels of an output. */
static void
lower_pixel(Taps *d, Expr *y_at)
{
	const Conv *c = d->c;
	LBuilder *b = &d->cx.b;
	Expr *from = loop_for_step(b, "from", 0, c->oc, FOUR), *first, *r_at;

	first = d->whole ? from : loop_op2(b, KOP_MIN, from, loop_idx(b, c->oc - FOUR));
	first = lower_let(&d->cx, "first", first);
	r_at = lower_let(&d->cx, "r_at", loop_affine(b, first, d->record, c->kh * c->kw * c->oc));
	for (int i = 0; i < FOUR; i++) {
		Expr *start = record_at(d, r_at, loop_idx(b, i), d->record - 4);

		start = loop_load_wide(b, d->bytes, start);
		d->sum[i] = loop_var(b, "sum", shift_right(d, start, 32 - start_bits(d->record)));
	}
	add_window(d, first);
	store_channels(d, y_at, r_at, first, from);
	loop_end(b);
}

/* The taps of an axis of a window that starts at `at` that are within the input. */
static void
clip(Taps *d, Expr *at, int32_t taps, int32_t size, Expr **lo, Expr **hi)
{
	LBuilder *b = &d->cx.b;
	Expr *zero = loop_idx(b, 0);

	*lo = lower_let(&d->cx, "lo", loop_op2(b, KOP_MAX, loop_sub(b, zero, at), zero));
	*hi = lower_let(&d->cx, "hi", loop_op2(b, KOP_MIN, loop_sub(b, loop_idx(b, size), at),
	                                       loop_idx(b, taps)));
}

LFunc *
taps_lower(Arena *a, const Conv *c, bool whole)
{
	Taps d = {.c = c, .whole = whole};
	LBuilder *b = &d.cx.b;
	Expr *image, *oy, *ox, *y_at;

	assert(taps_fits(c) && (!whole || c->oc % FOUR == 0));
	lower_begin(&d.cx, a, c->n);
	d.scale = scale_begin(&d.cx, c);
	scale_use_powers(&d.scale, c);
	d.record = fits_record(c, LEAST_RECORD) ? LEAST_RECORD : MOST_RECORD;
	make_bytes(&d);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	image = lower_for(&d.cx, "n", c->batch);
	d.image = lower_let(&d.cx, "x_n", loop_affine(b, image, c->in_h * c->in_w, 0));
	y_at = loop_affine(b, image, c->out_h * c->out_w, 0);
	oy = loop_for(b, "oy", 0, c->out_h);
	d.iy0 = lower_let(&d.cx, "iy", loop_affine(b, oy, c->sy, -c->top));
	clip(&d, d.iy0, c->kh, c->in_h, &d.y_lo, &d.y_hi);
	y_at = lower_let(&d.cx, "y_oy", loop_add(b, y_at, loop_affine(b, oy, c->out_w, 0)));
	ox = loop_for(b, "ox", 0, c->out_w);
	d.ix0 = lower_let(&d.cx, "ix", loop_affine(b, ox, c->sx, -c->left));
	clip(&d, d.ix0, c->kw, c->in_w, &d.x_lo, &d.x_hi);
	lower_pixel(&d, lower_let(&d.cx, "y_ox", loop_affine(b, loop_add(b, y_at, ox), c->oc, 0)));
	lower_end_to(&d.cx, 0);
	return loop_finish(b);
}
