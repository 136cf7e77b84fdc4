/*
 * Which channels between layers can be cut out of a network.
 *
 * A channel that no layer looks at any more need not be computed: dead-channels then
 * removes it from the layer that made it and from all that lies between.  Channels that
 * are tied to each other (channel_ties.h), as those of all values that residual sums add
 * up, can only go together, from all layers that read them; channels that the network's
 * inputs, outputs or operators of other kinds need cannot go.
 *
 * Tied channels count as one here.  Those that have a reader in common are a group, of
 * which a share goes.  Where a group has one reader, that layer chooses which, when its
 * turn comes (weights.h).  Where it has several, the choice is made for all of them in
 * advance, from the float network: each time that channel goes whose loss the other
 * channels can make up for best, in all readers together, each reader's error being
 * measured against the variance of what it computes.
 */
#ifndef MCC_PASSES_COMPRESSION_CUT_H
#define MCC_PASSES_COMPRESSION_CUT_H

#include "passes/channel_ties.h"
#include "passes/compression/layer.h"
#include "passes/compression/moments.h"

/* The columns of a layer in blocks that belong to one channel each. */
typedef struct {
	int32_t n;        /* blocks; 0: nothing can be cut here */
	int32_t *block;   /* by column; -1: its channel stays */
	int32_t drop;     /* how many are to go, fewer than n */
	const bool *gone; /* by block: those that go; NULL: any may */
} Cut;

typedef struct CutGroup CutGroup;

/* Reads the graph once for all its layers. */
typedef struct {
	Arena *arena;
	ChannelMap map;
	ChannelTies ties;
	double share;
	CutGroup **group; /* by the number that stands for a channel; NULL: it stays */
	const ChannelNode **node; /* the sums that may lose input channels */
	int nnodes;
	bool joint;       /* some group has several readers: cut_look() is wanted */
} CutMap;

/* For a share of the channels; layers for which can_change() is false keep what they
 * read. */
CutMap cut_map(Graph *g, double share, bool (*can_change)(void *user, const Node *n), void *user,
               Arena *a);

/* Shows a layer and what it sees in the float network: all of them, in their order, before
 * the first cut is asked for, when there are groups of several readers. */
void cut_look(CutMap *m, const Layer *l, const Moments *seen);

/* The cut of the channels that the layer reads. */
Cut cut_of(const CutMap *m, const Layer *l, Arena *a);

#endif
