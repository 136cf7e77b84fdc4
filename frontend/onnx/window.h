/*
 * Windows that slide over spatial axes: what convolutions and pools share.
 */
#ifndef MCC_FRONTEND_ONNX_WINDOW_H
#define MCC_FRONTEND_ONNX_WINDOW_H

#include "frontend/onnx/read.h"

/* One entry a spatial axis; `pads` holds all the begins, then all the ends. */
typedef struct {
	int rank; /* spatial axes */
	Ints kernel, strides, dilations, pads;
} Window;

/*
 * Reads kernel_shape, strides, dilations, pads and auto_pad of a window over x.
 * `kernel` comes from the weights (NULL: the attribute is required).  auto_pad
 * is resolved to pads, except for transposed convolutions (`transposed`), whose
 * pads depend on output_shape.
 */
bool onnx_window(ONode *n, const Type *x, const int32_t *kernel, bool transposed, Window *w);

typedef enum { AUTO_NOTSET, AUTO_SAME_UPPER, AUTO_SAME_LOWER, AUTO_VALID } AutoPad;
AutoPad onnx_auto_pad(ONode *n);

/* A convolution, whose bias may be NULL. */
Value *onnx_conv(ONode *n, Value *x, Value *w, Value *bias, const Window *window, int64_t group);

#endif
