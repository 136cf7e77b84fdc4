/*
 * The walk: node by node, the float network and the compressed one side by side.
 *
 * Both compute all samples before the next node is looked at, so that a layer sees what
 * the layers before it have already lost, and knows what it should have seen.
 */
#ifndef MCC_PASSES_COMPRESSION_WALK_H
#define MCC_PASSES_COMPRESSION_WALK_H

#include "passes/compression/emit.h"

/* `states` is what observe_values() noted.  Appends the nodes of `g` to main->to, whose
 * inputs are in main->map, and a report for each. */
bool walk_nodes(Graph *g, Emit *main, const CompressOptions *options, const Samples *s,
                const CallArray *states, const Executor *exec, CompressReport *report, Diag *d);

#endif
