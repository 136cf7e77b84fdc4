/*
 * Kernels for weights that were made small: forms of storage that take less than a byte
 * a weight.  Which of them exist depends on the weights alone, not on how they came to
 * be what they are.
 */
#ifndef MCC_CODEGEN_KERNELS_COMPRESSED_H
#define MCC_CODEGEN_KERNELS_COMPRESSED_H

#include "codegen/kernels/cost.h"
#include "codegen/kernels/kernels.h"

/* All of them for a convolution, in no order, with `costs` or, where that is NULL, with
 * cycles that are not known. */
NodeKernels compressed_list(Arena *a, const Conv *c, const KernelOptions *o, const Costs *costs);

/*
 * Whether the level prefers a compressed kernel to another one: -O3 when it is faster; -O2
 * when the product of cycles and bytes is smaller, bytes are no more, and cycles neither,
 * or for weights of fewer bits at most an eighth more; -Os when it has fewer bytes and the
 * product of cycles and the square of bytes is smaller; -Oz when it has fewer bytes.
 */
bool compressed_is_better(const NodeKernel *k, const NodeKernel *than, char level);

#endif
