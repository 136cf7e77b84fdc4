/*
 * The kernel generators, and the shapes that they can be asked for.
 */
#ifndef MCC_CODEGEN_KERNELS_GENERATE_H
#define MCC_CODEGEN_KERNELS_GENERATE_H

#include "codegen/kernels/conv.h"

/* Pixels by pairs of output channels at a time. */
typedef struct {
	int pixels, pairs;
	int step;       /* words of the kernel's rows at a time, even */
	int body;       /* words in the body of the loop over them, a multiple of step */
	int unroll;     /* windows or rows of up to so many words have no loop */
	bool direct;    /* without a buffer: pointwise, whole quads, whole blocks */
	int32_t strip;  /* output rows that are buffered at a time; 0: one, in a ring */
	int at_once;    /* fours of elements that are converted in the body of a loop */
	bool split;     /* pixels that make no whole block get code of their own */
} DenseShape;

/* A convolution with one group, for two 16-bit products an instruction (dense.c). */
LFunc *dense_lower(Arena *a, const Conv *c, const DenseShape *shape);

typedef struct {
	int pixels;  /* of a row at a time */
	int unroll;  /* kernels of up to so many taps have no loop over their rows */
	bool bytes;  /* a byte a weight instead of two, which takes an instruction more */
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

/* Pixels by output channels at a time. */
typedef struct {
	int pixels, channels; /* up to 4; of a depthwise convolution one channel */
	int body;             /* steps in the body of the loop over a row of the kernel */
	bool vectors;         /* sixteen products at once; not depthwise */
} ScalarShape;

/* Whether there is such a kernel for a convolution, and the kernel: elements as they
 * are (scalar.c). */
bool scalar_fits(const Conv *c);
LFunc *scalar_lower(Arena *a, const Conv *c, const ScalarShape *shape);

typedef struct {
	bool pairs; /* two products an instruction */
	int tiles;  /* at most so many at a time, up to 4 */
} WinogradShape;

/* Whether a convolution can be computed by exact Winograd F(4x4, 3x3); and that, with 8
 * bytes a weight (winograd.c). */
bool winograd_fits(const Conv *c);
LFunc *winograd_lower(Arena *a, const Conv *c, const WinogradShape *shape);

/* A sum or difference of int8 tensors of one shape by two tables of 1 KB; NULL where n is
 * none (sum.c). */
LFunc *sum_lower(Arena *a, const Node *n);

/* Whether an LSTM layer is one of int8 with constant weights, and a kernel for products of
 * 16-bit halves (lstm.c). */
bool lstm_fits(const Node *n);
LFunc *lstm_lower(Arena *a, const Node *n);

#endif
