/*
 * Small convolutions and matrix products as straight-line code: weights are numbers in
 * the code, and those of zero are nothing.  Weights of a power of two, with either sign,
 * take a shift and a sum instead of a product.
 *
 *	const int32_t xk = x[x_k + 7];
 *	sum += xk * 5;
 *	sum_2 -= xk << 3;
 *
 * One pixel at a time, for several channels, so that each element is loaded once for
 * those.  Pixels come from the input where no window leaves it, else from a row buffer of
 * elements as they are.
 */
#include <assert.h>

#include "codegen/kernels/blocks.h"
#include "codegen/kernels/generate.h"
#include "codegen/kernels/params.h"

enum { MAX_CHANNELS = 8, MOST_WEIGHTS = 1024 };

typedef struct {
	LowerCtx cx;
	const Conv *c;
	Params params;
	Rows rows;
	LBuf *x;
	LVar *sum[MAX_CHANNELS];
} Unrolled;

static LBuilder *
builder(Unrolled *d)
{
	return &d->cx.b;
}

bool
unrolled_fits(const Conv *c)
{
	return c->groups == 1 && conv_nonzeros(c) <= MOST_WEIGHTS && c->oc <= MOST_WEIGHTS &&
	       c->kh <= MOST_WEIGHTS;
}

/* The exponent of a power of two; -1: it is none. */
static int
exponent_of(int32_t w)
{
	int32_t size = w < 0 ? -w : w;

	for (int i = 0; i < 8; i++)
		if (size == 1 << i)
			return i;
	return -1;
}

UnrolledCount
unrolled_count(const Conv *c, int channels)
{
	UnrolledCount n = {0};
	int32_t taps = c->kh * c->kw * c->ic;

	for (int32_t first = 0; first < c->oc; first += channels)
		for (int32_t at = 0; at < taps; at++) {
			bool used = false;

			for (int32_t oc = first; oc < first + channels && oc < c->oc; oc++) {
				int32_t w = conv_weight_at(c, oc * taps + at);

				n.powers += w != 0 && exponent_of(w) >= 0;
				n.products += w != 0 && exponent_of(w) < 0;
				used |= w != 0;
			}
			n.loads += used;
		}
	return n;
}

/* sum + x w */
static Expr *
add_product(Unrolled *d, Expr *sum, Expr *x, int32_t w)
{
	LBuilder *b = builder(d);
	int shift = exponent_of(w);

	if (shift < 0)
		return loop_add(b, sum, loop_mul(b, x, loop_int(b, DT_I32, w)));
	if (shift > 0)
		x = loop_op2(b, KOP_SHL, x, loop_int(b, DT_I32, shift));
	return w > 0 ? loop_add(b, sum, x) : loop_sub(b, sum, x);
}

/* Element `at` of a row of the kernel, for the channels from `first` on. */
static void
add_element(Unrolled *d, Expr *row, int32_t first, int32_t ky, int32_t at)
{
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int32_t kx = at / c->ic, ic = at % c->ic;
	Expr *x = NULL;

	for (int32_t oc = first; oc < first + d->params.channels && oc < c->oc; oc++) {
		int32_t w = conv_weight(c, oc, ky, kx, ic);
		LVar *sum = d->sum[oc - first];
		Expr *next;

		if (w == 0)
			continue;
		if (!x)
			x = loop_let(b, "xk", params_load(&d->cx, d->x, row, kx * c->dx * c->ic + ic));
		next = add_product(d, loop_get(b, sum), x, w);
		loop_set(b, sum, loop_packed(b, POP_KEEP, next, NULL, NULL));
	}
}

static bool
has_weights(const Unrolled *d, int32_t first, int32_t ky)
{
	const Conv *c = d->c;

	for (int32_t oc = first; oc < first + d->params.channels && oc < c->oc; oc++)
		for (int32_t at = 0; at < c->kw * c->ic; at++)
			if (conv_weight(c, oc, ky, at / c->ic, at % c->ic) != 0)
				return true;
	return false;
}

static void
lower_block(void *user, Expr *slot, Expr *x_at, Expr *y_at, int pixels)
{
	Unrolled *d = user;
	const Conv *c = d->c;
	LBuilder *b = builder(d);
	int channels = d->params.channels;

	assert(pixels == 1);
	for (int32_t first = 0; first < c->oc; first += channels) {
		Expr *group = loop_idx(b, first / channels), *p_at = params_of_group(&d->params, group);

		for (int i = 0; i < channels && first + i < c->oc; i++)
			d->sum[i] = loop_var(b, "sum", loop_int(b, DT_I32, c->channel[first + i].bias));
		for (int32_t ky = 0; ky < c->kh; ky++) {
			Expr *row = loop_add(b, x_at, loop_idx(b, ky * c->dy * c->in_w * c->ic));

			if (!has_weights(d, first, ky))
				continue;
			if (d->rows.buf)
				row = loop_add(b, x_at, rows_row(&d->cx, &d->rows, slot, loop_idx(b, ky)));
			row = lower_let(&d->cx, "x_k", row);
			for (int32_t at = 0; at < c->kw * c->ic; at++)
				add_element(d, row, first, ky, at);
		}
		for (int i = 0; i < channels && first + i < c->oc; i++) {
			Expr *sum = params_sum(&d->params, loop_get(b, d->sum[i]));

			params_store(&d->params, group, p_at, loop_add(b, y_at, loop_idx(b, first)), i,
			             &sum, 1);
		}
	}
}

LFunc *
unrolled_lower(Arena *a, const Conv *c, const UnrolledShape *shape)
{
	Unrolled d = {.c = c};
	Blocks bl = {.cx = &d.cx, .c = c, .pixels = 1, .pixel_units = c->sx * c->ic, .user = &d,
	             .block = lower_block};

	assert(unrolled_fits(c) && shape->channels <= MAX_CHANNELS);
	lower_begin(&d.cx, a, c->n);
	d.params = params_begin(&d.cx, c, shape->channels);
	d.params.has_starts = false;
	if (shape->dsp)
		scale_use_powers(&d.params.scale, c);
	params_make(&d.params, NULL, NULL);
	lower_name_inputs(&d.cx, c->n, (const char *const[]){"x", "w", "bias"});
	d.x = d.cx.in[0];
	if (!conv_is_unpadded(c)) {
		d.rows = rows_plan_single(c, c->out_w, 0);
		rows_begin(&d.cx, &d.rows);
		bl.rows = &d.rows;
		d.x = d.rows.buf;
	}
	blocks_lower(&bl);
	return loop_finish(&d.cx.b);
}
