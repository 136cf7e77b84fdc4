/*
 * Resize with scales or a region that are known only at run time.
 */
#ifndef MCC_FRONTEND_ONNX_RESIZE_H
#define MCC_FRONTEND_ONNX_RESIZE_H

#include "frontend/onnx/read.h"

/*
 * `a` says how to resize, but not yet to which shape: that is `shape`, as the
 * model states it.  `scales` has one number an axis (NULL: the ratio of the
 * shapes), `roi` two (NULL: none is used).
 */
bool onnx_resize_computed(ONode *n, const Attr_RESIZE *a, const Type *shape, Value *scales,
                          Value *roi);

#endif
