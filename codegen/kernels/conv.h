/*
 * What a kernel generator knows of a quantised convolution or matrix product: its
 * shape, its constants in one form, and bounds of its sums.
 *
 * A matrix product with constant weights is the convolution of rows * 1 pixels with a
 * kernel of one tap.
 */
#ifndef MCC_CODEGEN_KERNELS_CONV_H
#define MCC_CODEGEN_KERNELS_CONV_H

#include "ir/lower.h"
#include "ir/ops/dot.h"

/* What is known of an output channel at compile time. */
typedef struct {
	int32_t bias;     /* to be added to the sum of w * x, with x as it is stored */
	int32_t plain;    /* the same of w * (x - its zero point) */
	int64_t lo, hi;   /* bounds of that sum with the bias, for every input */
	Multiplier by;
} ConvChannel;

typedef struct {
	const Node *n;
	int32_t batch, in_h, in_w, out_h, out_w;
	int32_t groups;
	int32_t ic, oc; /* input channels of a group, output channels of all */
	int32_t kh, kw, sy, sx, dy, dx;
	int32_t top, left; /* padding */
	DType x_type;      /* i8, u8 or i16 */
	const int8_t *w;   /* [oc][kh][kw][ic] */
	bool wide;         /* less their zero point not all of them fit i8: w is as stored, */
	int32_t w_zero;    /* and conv_weight() takes this off; else 0 */
	const ConvChannel *channel; /* oc of them */
	int32_t x_zero, y_zero;
	QRange range; /* of the output, which is of i8, u8 or i16 */
} Conv;

/*
 * Reads a node; false where it is no such convolution or product: weights other than
 * i8, weights or bias that are not constant, sums of more than 31 bits (of 16-bit numbers
 * 32), the layout nchw, more than two spatial axes, more padding or gaps than a buffer
 * should have.
 *
 * Multipliers of 16-bit numbers are those of one rounding that give the same, doubled.
 */
bool conv_read(Conv *c, Arena *a, const Node *n);

/* Whether elements of x, of the output and weights are i8, as all kernels take them. */
bool conv_is_int8(const Conv *c);

/* The same but for weights, which have up to 9 bits. */
bool conv_has_int8_tensors(const Conv *c);

/* Whether the kernel has one tap and takes every pixel. */
bool conv_is_pointwise(const Conv *c);

/* Whether all windows lie in the input, so that it can be read as it is. */
bool conv_is_unpadded(const Conv *c);

/* Pixels that a kernel can take one after the other: of a row, or all. */
int64_t conv_row_pixels(const Conv *c);

/* x / y rounded up, where that has 31 bits. */
static inline int32_t
divide_up(int64_t x, int64_t y)
{
	return (int32_t)((x - 1) / y + 1);
}

/* The weight of an output channel at a tap for an input channel of its group. */
static inline int32_t
conv_weight(const Conv *c, int32_t oc, int32_t ky, int32_t kx, int32_t ic)
{
	return c->w[((oc * c->kh + ky) * c->kw + kx) * c->ic + ic] - c->w_zero;
}

/* The same by its place among all of them. */
static inline int32_t
conv_weight_at(const Conv *c, int64_t i)
{
	return c->w[i] - c->w_zero;
}

/* The least of 2, 4, 8 and 16 bits that every weight fits, and how many are not 0. */
int conv_weight_bits(const Conv *c);
int64_t conv_nonzeros(const Conv *c);

/* The different weights, ascending, and how many there are: 0 when more than
 * CONV_MOST_COLORS. */
enum { CONV_MOST_COLORS = 64 };
int conv_palette(const Conv *c, int8_t color[CONV_MOST_COLORS]);

/* The number of a color in a palette; -1: it is not there. */
int conv_color(const int8_t *color, int n, int32_t w);

/* ---- From sums to outputs (scale.c) ---- */

/* How the sums of all channels become outputs. */
typedef struct {
	bool fast;    /* as scale_fast() does; else as the reference lowering does */
	bool single;  /* rounds once */
	bool uniform; /* one multiplier for all channels */
	bool powers;  /* shifts are products with a power of two */
	bool packed;  /* what a sum starts with and the shift are one word */
	bool twice;   /* scale_store() takes twice the sum */
	bool doubled; /* multipliers are doubled instead: those of 16-bit numbers */
	int part;     /* bits of a part of a multiplier, where it has parts; 0: it is whole */
	int32_t y_zero;
	QRange range;
	Dot dot;
} Scale;

Scale scale_begin(LowerCtx *cx, const Conv *c);

/* For machines on which a rounded high product with a sum is one instruction. */
void scale_use_powers(Scale *s, const Conv *c);

/* For machines without a high product, where sums have bits to spare: the multiplier is
 * taken apart into three or four, whose products with a sum have 32 bits. */
void scale_use_parts(Scale *s, const Conv *c);

/* For small constants, where all sums start with 24 bits: one word has that, and below it
 * the shift.  Kernels that do so put the word where the sum's start would be, and only
 * the multiplier with scale_put_channels(). */
void scale_pack(Scale *s, const Conv *c);
bool scale_fits_packed(const Conv *c);
uint32_t scale_packed_shift_of(const Scale *s, const Conv *c, int32_t channel);
uint32_t scale_packed_word(const Scale *s, const Conv *c, int32_t channel, int32_t start);

/* What is in the word. */
Expr *scale_packed_start(LowerCtx *cx, Expr *word);
Expr *scale_packed_shift(LowerCtx *cx, const Scale *s, Expr *word);

/* What scale_fast() wants to know of a channel: multiplier, and shift or power. */
int32_t scale_multiplier(const Conv *c, int32_t channel);
int32_t scale_shift(const Scale *s, const Conv *c, int32_t channel);

/* Words of a channel that scale_put_channels() puts. */
int32_t scale_channel_words(const Scale *s);

/* Whether each channel has its own in a kernel's constants, and how many words stand before
 * those of all groups: the one multiplier and its shift, or none. */
bool scale_is_by_channel(const Scale *s);
int32_t scale_header_words(const Scale *s);

/* Words of constants in the order of use. */
typedef struct {
	int32_t *word;
	int32_t n; /* so far */
} Stream;

void stream_put(Stream *to, uint32_t word);

/* The words before those of all groups. */
void scale_put_header(const Scale *s, const Conv *c, Stream *to);

/* The multiplier and the shift of each of `count` channels from `first` on, where they
 * have their own; 0 for channels that there are not. */
void scale_put_channels(const Scale *s, const Conv *c, int32_t first, int32_t count, Stream *to);

/*
 * Stores the output of a channel.  `sum2` is twice the sum where scale.twice, else the
 * sum; m and shift are used where scale.fast.
 */
void scale_store(LowerCtx *cx, const Scale *s, Expr *y_at, Expr *channel, Expr *sum2, Expr *m,
                 Expr *shift);

#endif
