/*
 * Which channels between layers can be cut out of a network.
 *
 * A channel that no layer looks at any more need not be computed: dead-channels then
 * removes it from the layer that made it and from all that lies between.  That is so for
 * the input channels of a layer when the way back to the layer that makes them has no
 * other user: through activations, depthwise convolutions, pools, reshapes and the like,
 * but not through sums of two values, nor from inputs of the graph.
 */
#ifndef MCC_PASSES_COMPRESSION_CUT_H
#define MCC_PASSES_COMPRESSION_CUT_H

#include "passes/channels.h"
#include "passes/compression/layer.h"

/* The columns of a layer in blocks that belong to one channel each. */
typedef struct {
	int32_t n;      /* blocks; 0: nothing can be cut here */
	int32_t *block; /* by column */
	int32_t drop;   /* how many are to go, fewer than n */
} Cut;

/* Reads the graph once for all its layers. */
typedef struct {
	ChannelMap map;
	const ChannelNode **maker; /* by Value.id: the node that makes it, or NULL */
} CutMap;

CutMap cut_map(Graph *g, Arena *a);

/* The cut of this share of the channels that the layer reads. */
Cut cut_of(const CutMap *m, const Layer *l, double share, Arena *a);

#endif
