/*
 * The walk: node by node, the float network and the compressed one side by side.
 *
 * Both compute all samples before the next node is looked at, so that a layer sees what
 * the layers before it have already lost, and knows what it should have seen.
 */
#ifndef MCC_PASSES_COMPRESSION_WALK_H
#define MCC_PASSES_COMPRESSION_WALK_H

#include "passes/compression/emit.h"

/* What another one wants of the layers whose weights may be chosen. */
typedef struct {
	/* Sees a layer and the moments of its columns.  The arena is emptied afterwards. */
	void (*look)(void *user, const Layer *l, const Moments *m, Arena *a);
	/* What the weights of a layer are to become, when they are chosen. */
	WeightOptions (*options)(void *user, const Node *n);
	/* The channels that are cut, or NULL. */
	const CutMap *cuts;
	void *user;
} WalkHooks;

/* `states` is what observe_values() noted.  Appends the nodes of `g` to main->to, whose
 * inputs are in main->map, and a report for each.  `hooks` may be NULL; with look() no
 * weights are chosen. */
bool walk_nodes(Graph *g, Emit *main, const CompressOptions *options, const WalkHooks *hooks,
                const Samples *s, const CallArray *states, const Executor *exec,
                CompressReport *report, Diag *d);

#endif
