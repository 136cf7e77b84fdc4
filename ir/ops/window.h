/*
 * Sliding windows: what convolution and pooling share.
 *
 * A window is described axis by axis.  Tap k of output position o lies at input
 * position o * stride + k * dilation - begin, which is in the padding when it
 * is outside [0, in).
 */
#ifndef MCC_IR_OPS_WINDOW_H
#define MCC_IR_OPS_WINDOW_H

#include "ir/lower.h"

enum { MAX_SPATIAL = MAX_RANK - 2 };

typedef struct {
	const char *name; /* in the names of loop variables: "y" gives oy, ky, iy */
	int32_t in, out, kernel;
	int32_t stride, dilation; /* 1 where they make no difference */
	int32_t begin, end;       /* padding */
} Axis;

typedef struct {
	int n;
	Axis axis[MAX_SPATIAL];
	/* Elements between neighbouring pixels of input and output, and between taps of
	 * the kernel: 1, or with the layout nhwc the number of channels. */
	int32_t x_step, y_step, k_step;
} Window;

/* The attributes as they stand in the graph; an absent list means its default. */
typedef struct {
	Ints strides, pads, dilations;
	bool ceil_mode;
	TensorLayout layout;
} WindowAttrs;

/* The first spatial axis, and the axis of channels of a tensor of that rank. */
static inline int
layout_first(TensorLayout layout)
{
	return layout == LAYOUT_nhwc ? 1 : 2;
}

static inline int
layout_channel(TensorLayout layout, int rank)
{
	return layout == LAYOUT_nhwc ? rank - 1 : 1;
}

/*
 * Reads and checks the window of `n` over the spatial axes of input 0; kernel has
 * one entry an axis.  Computes `out` as ONNX does: with ceil_mode a window may
 * reach beyond the end padding but must start before it.  Every position of a
 * tap fits int32.  The steps are set to 1.  `d` may be NULL for a node that was checked before.
 */
bool window_read(Window *w, const Node *n, Ints kernel, const WindowAttrs *attr, Diag *d);

/* The same for the transposed convolution, where `in` and `out` change places:
 * out = (in - 1) * stride + (kernel - 1) * dilation + 1 + more - begin - end. */
bool window_read_transposed(Window *w, const Node *n, Ints kernel, const WindowAttrs *attr,
                            Ints more, Diag *d);

/* Merges neighbouring axes wherever the same elements are visited in the same
 * order: the pixels of a 1x1 kernel, the rows that a kernel covers in full. */
void window_merge(Window *w);

/* Pixels of input and output and taps of the kernel over all axes. */
int32_t window_inputs(const Window *w);
int32_t window_outputs(const Window *w);
int32_t window_taps(const Window *w);

/* Opens the loop over output positions of axis `a`; returns the position and
 * advances the flat index `y_at`. */
Expr *window_open_output(LowerCtx *cx, const Window *w, int a, Expr **y_at);

/* Input position of the first tap at output position `o`. */
Expr *window_start(LowerCtx *cx, const Window *w, int a, Expr *o);

/* Opens a conditional for 0 <= i < length that tests only what may be violated;
 * length is not 0.  Returns `i`, or 0 in code that is never reached. */
Expr *window_if_inside(LowerCtx *cx, Expr *i, bool may_be_below, bool may_be_above,
                       int32_t length);

/*
 * Opens the loop over the taps of axis `a` and skips those in the padding;
 * returns the input position and advances the flat indices into the input and,
 * unless it is NULL, the kernel.
 */
Expr *window_open_tap(LowerCtx *cx, const Window *w, int a, Expr *start, Expr **x_at, Expr **k_at);

/* Advances the flat indices to input position `i` and, unless k_at is NULL, tap `k`. */
void window_advance(LowerCtx *cx, const Window *w, int a, Expr *i, Expr *k, Expr **x_at,
                    Expr **k_at);

#endif
