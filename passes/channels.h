/*
 * Channels: the places along one axis of a value, as dead-channels sees them.
 *
 * Where two values have to lose the same channels together because a node takes
 * channel k of one from channel c of the other (elementwise operators, pools, moves,
 * groups of a convolution), the two are tied; sums over all channels (convolutions,
 * matrix products) end a tie.  A value that some node uses in another way is not
 * divided: it is one channel, which stays.
 */
#ifndef MCC_PASSES_CHANNELS_H
#define MCC_PASSES_CHANNELS_H

#include "passes/pass.h"

typedef struct {
	int axis;        /* of the channels; -1: the value is not divided */
	int32_t n;       /* channels; 1 where it is not divided, 0 for constants */
	int32_t first;   /* the number of channel 0 among the channels of all values */
	double *lo, *hi; /* no element of the channel is outside of [lo, hi] */
} Channels;

/* Which of the positions of a window find an input behind a tap, and not padding. */
typedef enum { TAP_NEVER, TAP_SOMETIMES, TAP_ALWAYS } Tap;

/*
 * A node that sums x times constant weights w over channels and taps.  The weight
 * of output channel m (of all), tap t and input channel c (of the group) is element
 * m * m_step + t * t_step + c * c_step of w.
 */
typedef struct {
	const Value *w;
	const Value *bias;         /* one constant a channel, or NULL */
	bool takes_bias;           /* it has one that starts the sum, or could */
	int x_axis, m_axis, c_axis; /* channels of x; of outputs and inputs in w */
	int32_t groups, in, out;   /* channels of a group */
	int32_t taps, m_step, t_step, c_step;
	const unsigned char *tap;  /* a Tap for each */
	bool quantized;
	int64_t x_zero, w_zero;    /* subtracted from the elements */
} Sums;

typedef enum { USES_WHOLE, USES_SUMS, USES_CHANNELS } ChannelUse;

typedef struct {
	Node *n;
	ChannelUse use;
	Sums *sums;    /* USES_SUMS */
	int32_t inner; /* reshape: consecutive channels of the output from the same one */
} ChannelNode;

typedef struct {
	Graph *g;
	Arena *a;
	Channels *of; /* by Value.id */
	int32_t total;
	VEC(ChannelNode) nodes; /* of g, in order */
} ChannelMap;

/* Divides the values of g, without ranges. */
ChannelMap channels_of(Graph *g, Arena *a);

/* The channel of input i that channel k of the output of a USES_CHANNELS node comes
 * from: -1 when it is another input's, or this one has the same for all. */
int32_t channel_source(const ChannelMap *m, const ChannelNode *c, int i, int32_t k);

/* The axis of input i that corresponds to axis `axis` of the output, or less than 0. */
int channel_source_axis(const ChannelMap *m, const ChannelNode *c, int i, int axis);

/* Element i of the weights less the zero point, and whether it is not 0. */
int64_t sums_weight(const Sums *s, int32_t i);
bool sums_matters(const Sums *s, int32_t i);

/* Fills in lo and hi. */
void channels_find_ranges(ChannelMap *m);

#endif
