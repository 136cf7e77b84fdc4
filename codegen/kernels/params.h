/*
 * What a kernel knows of its output channels: what their sums start with, and how they
 * become outputs.  One constant, group by group of channels that are computed together:
 *
 *	i32	of each channel: what its sum starts with
 *	i32	of each channel, unless all have the same: multiplier and shift
 *
 * Where all channels have the same multiplier, it and its shift stand before the groups.
 * Channels that there are not, in the last group, have zeros.
 */
#ifndef MCC_CODEGEN_KERNELS_PARAMS_H
#define MCC_CODEGEN_KERNELS_PARAMS_H

#include "codegen/kernels/conv.h"

typedef struct {
	LowerCtx *cx;
	const Conv *c;
	Scale scale;
	int channels; /* of a group */
	bool has_starts; /* the constant has what sums start with: so it is, unless somebody
	                  * changes it before params_make() */
	LBuf *buf;
} Params;

/* For groups of so many channels; the constant is made by params_make(). */
Params params_begin(LowerCtx *cx, const Conv *c, int channels);

int32_t params_groups(const Params *p);

/* The constant; start() gives what the sum of channel i of a group starts with, whose
 * first one is channel `first`.  NULL: the channel's bias. */
void params_make(Params *p, uint32_t (*start)(void *user, int32_t first, int i), void *user);

/* Where the constants of a group are, and what its sum i starts with. */
Expr *params_of_group(const Params *p, Expr *group);
Expr *params_start(const Params *p, Expr *p_at, int i);

/* A sum as params_store() wants it: twice, or as it is. */
Expr *params_sum(const Params *p, Expr *sum);

/*
 * Stores channel i of a group for a number of pixels, where there is such a channel; y_at
 * is the output of the group's first channel for the first pixel.
 */
void params_store(const Params *p, Expr *group, Expr *p_at, Expr *y_at, int i,
                  Expr *const *sum, int pixels);

/* A signed number at an index, with as many bits as sums have. */
Expr *params_load(LowerCtx *cx, LBuf *buf, Expr *at, int32_t more);

#endif
