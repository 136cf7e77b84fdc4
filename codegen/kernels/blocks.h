/*
 * The frame of a kernel: loops over the output pixels of a convolution, in blocks of
 * several pixels of a row.  A generator gives the code of a block.
 */
#ifndef MCC_CODEGEN_KERNELS_BLOCKS_H
#define MCC_CODEGEN_KERNELS_BLOCKS_H

#include "codegen/kernels/rows.h"

typedef struct {
	LowerCtx *cx;
	const Conv *c;
	const Rows *rows;    /* NULL: straight from the input, as the kernel has one tap or
	                      * there is no padding */
	int pixels;          /* of a block; what is left of a row has code of its own */
	int32_t pixel_units; /* from the window of a pixel to the next, in units of the rows
	                      * or elements of the input */
	void *user;
	/* NULL, or opens loops over parts of the output channels, each time that rows have been
	 * brought in; then block() computes such a part. */
	void (*group)(void *user);
	/* All channels of a block: `first` is the slot of the window's first row, x_at where
	 * the block starts in a row or in the input, y_at its first output. */
	void (*block)(void *user, Expr *first, Expr *x_at, Expr *y_at, int pixels);
} Blocks;

void blocks_lower(const Blocks *bl);

#endif
