/*
 * Tensors from and to .npy files, and as text.
 */
#ifndef MCC_DRIVER_TENSOR_H
#define MCC_DRIVER_TENSOR_H

#include "base/diag.h"
#include "base/npy.h"
#include "base/str.h"
#include "ir/type.h"

/* Whether the array's elements are those of `t`.  A bfloat16 array is one of
 * two raw bytes, as NumPy's extension types write it. */
bool tensor_elements_fit(const Npy *n, DType t);

/* Sets kind and size of the elements. */
void tensor_set_elements(Npy *n, DType t);

/* The type of an array as text, in mcc's spelling where it has one: f32[2,3]. */
const char *tensor_text(Arena *a, const Npy *n);

/* Appends the elements, innermost axis on one line; long tensors are cut. */
void tensor_print(Str *s, const Npy *n, DType t);

#endif
