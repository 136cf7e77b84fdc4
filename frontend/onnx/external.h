/*
 * Tensor data in files beside the model.
 */
#ifndef MCC_FRONTEND_ONNX_EXTERNAL_H
#define MCC_FRONTEND_ONNX_EXTERNAL_H

#include "frontend/onnx/tensor.h"

/*
 * The bytes of a tensor with data_location EXTERNAL; `needed` of them where the
 * file does not say how many.  The file must lie in the
 * model's folder or below, also when symbolic links are followed; it is mapped
 * and lives as long as the arena.
 */
bool onnx_external(TensorReader *r, const struct Onnx__TensorProto *t, size_t needed,
                   const Loc *loc, const uint8_t **bytes, size_t *n);

#endif
