/*
 * Which channels can only go together (channels.h), and which have to stay.
 *
 * Inputs and outputs of the graph keep all their channels, and so does what a node uses
 * as a whole.  Sums over channels end a tie: what they have weights for is the business of
 * those that look at weights.
 */
#ifndef MCC_PASSES_CHANNEL_TIES_H
#define MCC_PASSES_CHANNEL_TIES_H

#include "passes/channels.h"

typedef struct {
	ChannelMap *m;
	int32_t *tied; /* by number: another channel of the same, or itself: ties_root() */
	bool *alive;   /* by root: they stay */
	bool changed;  /* by ties_keep(), when somebody has cleared it */
} ChannelTies;

ChannelTies ties_of(ChannelMap *m);

/* The number, among the channels of all values, that stands for all that are tied to c. */
int32_t ties_root(const ChannelTies *t, int32_t c);

/* Whether channel c of a value stays. */
bool ties_alive(const ChannelTies *t, const Value *v, int32_t c);

/* Makes one channel stay, or all of a value. */
void ties_keep(ChannelTies *t, const Value *v, int32_t c);
void ties_keep_all(ChannelTies *t, const Value *v);

#endif
