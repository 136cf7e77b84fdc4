/*
 * The kernel generators, and the shapes that they can be asked for.
 */
#ifndef MCC_CODEGEN_KERNELS_GENERATE_H
#define MCC_CODEGEN_KERNELS_GENERATE_H

#include "codegen/kernels/conv.h"

/* Pixels by pairs of output channels at a time. */
typedef struct {
	int pixels, pairs;
	int step;       /* words of the kernel's rows at a time: even without a buffer; loads
	                 * of neighbours become one instruction unless it is 1 */
	int body;       /* words in the body of the loop over them, a multiple of step */
	int unroll;     /* windows or rows of up to so many words have no loop */
	bool direct;    /* without a buffer: pointwise, four channels or more, blocks that are
	                 * whole or split */
	int32_t strip;  /* output rows that are buffered at a time; 0: one, in a ring */
	int at_once;    /* fours of elements that are converted in the body of a loop */
	bool split;     /* pixels that make no whole block get code of their own */
	bool packed;    /* constants as small as can be, for an instruction or two more */
	bool uniform;   /* code that differs as little as can be from that for other sizes, so
	                 * that layers share functions */
} DenseShape;

/* A convolution with one group, for two 16-bit products an instruction (dense.c); and
 * whether that takes one byte a weight, else two. */
bool dense_is_dual(const Conv *c);
LFunc *dense_lower(Arena *a, const Conv *c, const DenseShape *shape);

typedef struct {
	int pixels;  /* of a row at a time */
	int unroll;  /* kernels of up to so many taps have no loop over their rows */
	bool bytes;  /* a byte a weight instead of two, which takes an instruction more */
	bool packed; /* starts and shifts in one word */
} DepthwiseShape;

/* A convolution of each channel by itself, for products of 16-bit halves (depthwise.c). */
LFunc *depthwise_lower(Arena *a, const Conv *c, const DepthwiseShape *shape);

typedef struct {
	int32_t most;   /* bytes of scratch, if a few rows fit them */
	int32_t blocks; /* two pixels each, in the body of a loop */
	bool turned;    /* pixels are in a column */
} PlanarShape;

/* The same where taps are neighbours, channel by channel (planar.c). */
bool planar_fits(const Conv *c, bool turned);
LFunc *planar_lower(Arena *a, const Conv *c, const PlanarShape *shape);

/* The same, of four channels or more, without gaps: little code and no scratch (taps.c).
 * With `whole`, for a multiple of four channels. */
bool taps_fits(const Conv *c);
LFunc *taps_lower(Arena *a, const Conv *c, bool whole);

/* Pixels by output channels at a time. */
typedef struct {
	int pixels, channels; /* up to 5 by 4; of a depthwise convolution one channel */
	int body;             /* steps in the body of the loop over a row of the kernel */
	int unroll;           /* depthwise kernels of up to so many taps have no loop over rows */
	int32_t strip;        /* output rows that are buffered at a time; 0: one, in a ring */
	bool vectors;         /* sixteen products at once; not depthwise */
	bool dual;            /* two channels, whose weights share words; not depthwise */
	int narrow;           /* products of up to so many steps are summed in 16 bits, which
	                       * scalar_narrow() says has room for them; 0: in 32 */
	bool parts;           /* scale_use_parts() */
} ScalarShape;

/* Whether there is such a kernel for a convolution, and the kernel: elements as they
 * are (scalar.c). */
bool scalar_fits(const Conv *c);
bool scalar_fits_dual(const Conv *c);
int scalar_narrow(const Conv *c); /* 0: not even one has room */
LFunc *scalar_lower(Arena *a, const Conv *c, const ScalarShape *shape);

typedef struct {
	int pixels;    /* up to 4 at a time, */
	int sets;      /* by up to 3 sets of channels, */
	int body;      /* taps in the body of the loop over a row of the kernel */
	int32_t strip; /* output rows that are buffered at a time; 0: a ring */
	bool one_by_one; /* weights are loaded one by one, for want of registers */
	bool parts;    /* scale_use_parts() */
} BraidShape;

/* How many output channels share words one less, 0: none can; and a convolution with
 * one group so, for machines that multiply one by one (braid.c). */
int braid_sums(const Conv *c);
LFunc *braid_lower(Arena *a, const Conv *c, const BraidShape *shape);

/* Weights of 4 or 2 bits, or numbers of weights in a palette, of 1 to 6: pixels by pairs of
 * output channels, or by channels, at a time. */
typedef struct {
	int bits;
	bool palette; /* packed_scalar: numbers */
	int pixels;   /* up to 4 */
	int pairs;    /* of packed_dot2: up to 3 */
	int channels; /* of packed_scalar: 1, 2 or 4; of palette: up to 6 */
	int body;     /* words of x, or elements, in the body of the loop over a row; of palette,
	               * as many words of x as a byte has pairs of weights, but at least two */
	int unroll;   /* packed_dot2: rows of up to so many words of x have no loop */
	int32_t strip; /* packed_dot2: output rows that are buffered at a time; 0: a ring */
	bool tested;  /* packed_scalar: no row buffer, taps are tested; one pixel */
} PackedShape;

/* Whether weights and sums have few enough bits; and a convolution with one group, for
 * two 16-bit products an instruction (packed_dot2.c). */
bool packed_dot2_fits(const Conv *c, int bits);
LFunc *packed_dot2_lower(Arena *a, const Conv *c, const PackedShape *shape);

/* Weights from a palette, by numbers of up to 4 bits, for the same machines (palette.c). */
bool palette_fits(const Conv *c, int bits);
LFunc *palette_lower(Arena *a, const Conv *c, const PackedShape *shape);

/* Both for any machine, with one product at a time (packed_scalar.c). */
bool packed_scalar_fits(const Conv *c, const PackedShape *shape);
LFunc *packed_scalar_lower(Arena *a, const Conv *c, const PackedShape *shape);

/* Weights of zero left out. */
typedef struct {
	bool planes; /* 16-bit numbers, of two pixels at a time; pixels is even */
	int32_t strip; /* 0: lists of rows of the kernel, and a ring; else lists of the whole
	                * window, and so many output rows are buffered at a time, or none are
	                * where there is no padding */
	int pixels;  /* up to 8 */
	int unit;    /* weights that the loop over a list takes at a time: 1, 2 or 4 */
	int bits;    /* of a weight: 8, 4 or 2; a unit has whole bytes of them */
	bool dsp;    /* for machines with DSP instructions */
	bool mask;   /* masks instead of lists; without planes and strips, a unit of 1 */
} SparseShape;

/* What is stored of a convolution so. */
typedef struct {
	bool planes, window;
	int32_t runs, run;     /* of a row of the kernel, or the window: pieces without gaps,
	                        * positions of one */
	int32_t chunk, chunks; /* positions of a segment, and segments of a run */
	int32_t segments;      /* of an output channel */
	int32_t units;         /* of all lists */
} SparseLists;

/* The lists but for their units, and the number of those (sparse.c). */
SparseLists sparse_lists(const Conv *c, const SparseShape *shape);
int64_t sparse_units(const Conv *c, const SparseLists *l, int unit);

bool sparse_fits(const Conv *c, const SparseShape *shape);
LFunc *sparse_lower(Arena *a, const Conv *c, const SparseShape *shape);

typedef struct {
	int pixels;    /* up to 4 */
	int unit;      /* blocks that the loop over a list takes at a time */
	int32_t strip; /* output rows that are buffered at a time; 0: a ring */
	bool window;   /* with a strip: one list a channel, of 16-bit places in the window */
} QuadShape;

/* Blocks of four weights of zero left out, for two 16-bit products an instruction; and how
 * many units of others there are (quads.c). */
bool quads_fits(const Conv *c, const QuadShape *shape);
int64_t quads_units(const Conv *c, const QuadShape *shape);
LFunc *quads_lower(Arena *a, const Conv *c, const QuadShape *shape);

/* How weights are stored that are brought to RAM to be used. */
typedef enum { UNPACK_FIELDS, UNPACK_PALETTE, UNPACK_MASK } UnpackForm;

typedef struct {
	UnpackForm form;
	int bits;      /* of a field, or a color's number */
	int pixels;    /* up to 4, by a pair of channels, at a time */
	int body;      /* words of x in the body of the loop over a row */
	int32_t strip; /* output rows that weights are unpacked for */
} UnpackedShape;

/* Weights that are stored small and unpacked to RAM, group by group of output channels, for
 * two 16-bit products an instruction (unpacked.c). */
bool unpacked_fits(const Conv *c, const UnpackedShape *shape);
LFunc *unpacked_lower(Arena *a, const Conv *c, const UnpackedShape *shape);

typedef struct {
	int channels; /* at a time, up to 8 */
	bool dsp;     /* for machines with DSP instructions */
} UnrolledShape;

/* What there is of it for each pixel. */
typedef struct {
	int64_t loads, products, powers; /* powers: products with powers of two */
} UnrolledCount;

/* Few weights as straight-line code, for one pixel after the other (unrolled.c). */
bool unrolled_fits(const Conv *c);
UnrolledCount unrolled_count(const Conv *c, int channels);
LFunc *unrolled_lower(Arena *a, const Conv *c, const UnrolledShape *shape);

typedef struct {
	int tile;      /* outputs in a row and column of a tile: 2, 3 or 4 */
	bool pairs;    /* two products an instruction */
	int tiles;     /* at most so many at a time, up to 4 */
	int body;      /* words in the body of the loop over them; up to so many (with pairs
	                * at least 8) have no loop.  0: 4 */
	bool in_order; /* as written, tile by tile: with that few registers compilers that
	                * reorder products have to spill */
	bool parts;    /* scale_use_parts(); without pairs */
} WinogradShape;

/* Whether a convolution can be computed by exact Winograd of such tiles, with 3x3 taps and
 * stride 1 or 2; and that, with two bytes for each of points^2 products of weights
 * (winograd.c). */
bool winograd_fits(const Conv *c, int tile);
LFunc *winograd_lower(Arena *a, const Conv *c, const WinogradShape *shape);

/* Of an axis: points, and sums that their products go to. */
int32_t winograd_points(const Conv *c, int tile);
int32_t winograd_sums(const Conv *c, int tile);

typedef struct {
	int at_once; /* elements in the body of the loop, where that divides their number */
	bool powers; /* scale_use_powers() */
} SumShape;

/* A sum or difference of int8 tensors of one shape by two tables of 1 KB; NULL where n is
 * none (sum.c). */
LFunc *sum_lower(Arena *a, const Node *n, const SumShape *shape);

/* A function of one 8-bit number by a table of what it gives for all of them; NULL where n is
 * none.  And the code of 8 bits that a float has, by the floats where codes begin, 1 KB, for
 * machines without floating point (lookup.c). */
LFunc *lookup_lower(Arena *a, const Node *n);
LFunc *thresholds_lower(Arena *a, const Node *n);

/* Whether an LSTM layer is one of int8 with constant weights, and a kernel for products of
 * 16-bit halves (lstm.c). */
bool lstm_fits(const Node *n);
LFunc *lstm_lower(Arena *a, const Node *n);

#endif
