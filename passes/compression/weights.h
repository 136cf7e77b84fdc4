/*
 * Integer weights and biases of a layer.
 */
#ifndef MCC_PASSES_COMPRESSION_WEIGHTS_H
#define MCC_PASSES_COMPRESSION_WEIGHTS_H

#include "passes/compression/cut.h"
#include "passes/compression/moments.h"

/* What the weights of a layer are to become. */
typedef struct {
	int most;          /* the greatest code: 127, 64, 7 or 1; 0: they stay float */
	bool powers;       /* codes are powers of 2, with either sign, or 0 */
	int cluster;       /* codes of a layer are of a palette with so many bits; 0: no palette */
	double sparsity;   /* part of the weights that is dropped; 0: none */
	bool each_layer;   /* that part of each layer's; else of all layers' together, more
	                    * where it harms less */
	bool blocks;       /* and of its blocks of four input channels at one tap */
	int keep, of;      /* or that at most `keep` of `of` neighbours stay, input channels at
	                    * one tap; 0: no such rule */
	double channels;   /* part of the channels between layers that is cut; 0: none */
} WeightOptions;

/* Bits of a weight where codes are as `o` says. */
int weights_bits(const WeightOptions *o);

/* Whether a layer has weights to spare. */
bool weights_can_drop(const Layer *l);

/* Whether choosing weights so looks at second moments of what the layer sees. */
bool weights_need_moments(const Layer *l, const WeightOptions *o, const Cut *cut);

/* The constants of a compressed layer. */
typedef struct {
	Type type;        /* of the weights, with the scale of each row, or of all */
	const void *w;    /* int8, or float where the type is */
	DType bias_type;  /* DT_I32; DT_I64 where 16-bit inputs need it; DT_F32 */
	const void *bias; /* one a row */
	double x_scale;   /* of the layer's input, when these are codes */
	double sparsity;
} NewWeights;

/*
 * The weights of the layer as `o` says.  On 8 bits each is rounded by itself, with the
 * scales of the least square error; on fewer, or when some are dropped, all weights of a
 * row are chosen together (solve.h).  The bias takes up what the mean of each row would
 * lose, from the means of what the layer sees; its unit follows from `x`, the type of the
 * layer's input.  Weights on the channels that `cut` takes away are all 0.
 */
NewWeights weights_choose(const Layer *l, const Moments *m, const WeightOptions *o,
                          const Cut *cut, const Type *x, Arena *a);

/*
 * Calls look() with what the layer's weights and biases become, on floats, when each of n
 * shares of its weights, from the least to the greatest, is dropped.
 */
void weights_try_shares(const Layer *l, const Moments *m, const double *share, int n,
                        void (*look)(void *user, int k, const float *w, const float *bias),
                        void *user, Arena *a);

#endif
