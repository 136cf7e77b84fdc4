/*
 * Kernels for machines with vectors of floats: what they share.
 *
 * Sums are taken in the order of the reference lowering, one rounding for a product and
 * one for an addition, so results are the same bit for bit; lanes are different outputs.
 * Where the reference lowering leaves padding out, kernels add products with zero, which
 * changes nothing while weights are finite and no sum starts with minus zero.
 */
#ifndef MCC_CODEGEN_KERNELS_VECTOR_H
#define MCC_CODEGEN_KERNELS_VECTOR_H

#include "codegen/kernels/generate.h"
#include "ir/lower.h"
#include "ir/target.h"

/* A convolution of floats with constant weights. */
typedef struct {
	const Node *n;
	bool planar; /* the layout nchw */
	int32_t batch, in_h, in_w, out_h, out_w;
	int32_t groups;
	int32_t ic, oc; /* input channels of a group, output channels of all */
	int32_t kh, kw, sy, sx, dy, dx;
	int32_t top, left; /* padding */
	bool padded;       /* there is some, on any side */
	const float *w;    /* as the node has it: [oc][ic][kh][kw], or nhwc [oc][kh][kw][ic] */
	bool transposed;   /* the weights of a product: [ic][oc] */
} FloatConv;

/* Reads a node; false where it is no such convolution, or zeros cannot stand for padding. */
bool float_conv_read(FloatConv *c, const Node *n);

/* Reads a product with constant weights, and a number for each column added: rows are
 * pixels. */
bool float_product_read(FloatConv *c, const Node *n);

static inline bool
float_conv_is_depthwise(const FloatConv *c)
{
	return c->groups > 1 && c->ic == 1;
}

/* Lanes of the widest and of the shortest vectors of floats; where there are none, both 1. */
int float_lanes_most(const Target *t);
int float_lanes_least(const Target *t);

/* Whether a machine has registers for so many values of so many lanes. */
bool float_fits_registers(const Target *t, int lanes, int values);

/* Cycles of a step with floats one by one, each product with its addition and each load
 * taken as two. */
static inline int64_t
float_scalar_step(int64_t products, int64_t loads)
{
	return 2 * (products + loads);
}

/* And those before and behind the steps of a block of so many outputs. */
static inline int64_t
float_scalar_ends(int64_t outputs)
{
	return 30 + 5 * outputs;
}

/* Outputs that are computed at a time. */
typedef struct {
	int lanes, vectors; /* along a line of pixels */
	int channels;
} FloatShape;

/* The best shape on a machine, with an estimate of the cycles; 0: there is none. */
int64_t float_planar_shape(const FloatConv *c, const Target *t, FloatShape *best);

/* A convolution of the layout nchw with one group, or depthwise (vector_planar.c). */
LFunc *float_planar_lower(Arena *a, const FloatConv *c, const FloatShape *shape);

/* What the lanes of a product of the layout nhwc are made of. */
typedef enum {
	LANES_F32,   /* a float each */
	LANES_BYTES, /* four bytes, those of x unsigned: for machines with such a product */
	LANES_SIGNED, /* four bytes */
	LANES_PAIRS, /* two numbers of 16 bits */
	LANES_WORDS  /* a number of 32 bits; of depthwise convolutions */
} LaneForm;

/* The operations that vectors of i32 become outputs by. */
typedef enum {
	SCALE_WIDE,  /* products of 64 bits with a sum, where one rounding is enough */
	SCALE_TWICE, /* doubled products, rounded, and a shift */
	SCALE_POWERS /* the same, and a rounded product instead of the shift; for shifts by 2 on */
} ScaleForm;

/* The best one on a machine. */
ScaleForm vector_scale_form(const Target *t);

typedef struct {
	ScaleForm form;
	bool single;  /* the graph rounds once */
	int32_t zero;
	QRange range; /* of values that are stored; all of i32: they are not clamped */
} VectorScale;

/* A factor as the operations take it. */
typedef struct {
	int32_t m, shift, more;
} VectorFactor;

/* Of factors of less than one; false where no form fits. */
bool vector_factor(const VectorScale *s, Multiplier by, VectorFactor *f);

/* x times m / 2^31 / 2^n, rounded as the graph does, plus the zero point, clamped: with
 * m, shift and more of the factor in every lane, shift NULL where n is 0
 * (vector_scale.c). */
Expr *vector_scale(LowerCtx *cx, const VectorScale *s, Expr *x, Expr *m, Expr *shift, Expr *more);

/* Outputs that are computed at a time: pixels by vectors of output channels. */
typedef struct {
	LaneForm form;
	int lanes, vectors, pixels;
	ScaleForm scale; /* of int8 */
	bool copied;     /* the input is copied also where it could be read as it is */
} ChannelShape;

/* A convolution or product of the layout nhwc: of floats, or c->w NULL and of `q`. */
typedef struct {
	FloatConv c;
	const Conv *q; /* NULL: of floats */
} ChannelConv;

ChannelConv channel_conv_of_floats(const FloatConv *c);
ChannelConv channel_conv_of_int8(const Conv *q);

/* The best shape on a machine with an estimate of the cycles; 0: there is none.  With MVE
 * for depthwise convolutions of int8 alone. */
int64_t channel_shape(const ChannelConv *c, const Target *t, ChannelShape *best);

/* Whether the input is read as it is; the shape without `copied` may do so. */
bool channel_is_direct(const ChannelConv *c, const ChannelShape *shape);

/* With one group, or depthwise with as many outputs as inputs (vector_channels.c). */
LFunc *channel_lower(Arena *a, const ChannelConv *c, const ChannelShape *shape);

/* How sums become outputs, vector by vector of neighbouring channels (vector_outputs.c). */
typedef struct {
	LowerCtx *cx;
	const Conv *c;
	VectorScale scale;
	int lanes;
	LBuf *start, *multipliers, *shifts, *more; /* the last three NULL: all channels have
	                                            * the same */
} ChannelOutputs;

/* Whether there is a vector of so many channels, and all are scaled by less than a half. */
bool channel_outputs_fit(const Conv *c, int lanes);

/* By the operations of MVE where they fit. */
ChannelOutputs channel_outputs_begin(LowerCtx *cx, const Conv *c, int lanes);

/* Stores a vector of channels of some pixels, whose sums are at s_at and every `width` further
 * on; y_at is where the outputs of the first pixel start. */
void channel_vector_store(const ChannelOutputs *o, LBuf *sums, Expr *s_at, int32_t width,
                          Expr *y_at, Expr *channel, int pixels);

/* Stores `count` channels, at least a vector, from `first` on, of some pixels, whose sums of
 * i32 have `width` elements a pixel; y_at is where the outputs of the first pixel start. */
void channel_outputs_store(const ChannelOutputs *o, LBuf *sums, int32_t width, Expr *y_at,
                           Expr *first, int32_t count, int pixels);

typedef struct {
	int pixels, channels; /* up to 4; 1, 2 or 4 */
	int32_t unroll; /* most vectors of a window that have no loop */
	int body;       /* vectors at a time in that; up to unroll + 1 */
	int32_t chunk;  /* about so many channels are summed before outputs are made */
} DotsShape;

/* Convolutions with one group for sums of sixteen products, and their cycles with MVE
 * (vector_dot.c). */
bool dots_fits(const Conv *c);
LFunc *dots_lower(Arena *a, const Conv *c, const DotsShape *shape);
int64_t dots_cost(const Conv *c, const DotsShape *shape);

typedef struct {
	int body; /* pixels in the body of a loop */
} ColumnsShape;

/* Depthwise convolutions with up to 8 rows of taps for the same, and their cycles
 * (vector_columns.c). */
bool columns_fits(const Conv *c);
LFunc *columns_lower(Arena *a, const Conv *c, const ColumnsShape *shape);
int64_t columns_cost(const Conv *c);

/* A sum or difference of int8 tensors of one shape, so many elements at a time; NULL where
 * n is none. */
LFunc *vector_sum_lower(Arena *a, const Node *n, int lanes, ScaleForm form);

#endif
