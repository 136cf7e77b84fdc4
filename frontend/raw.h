/*
 * Elements of tensors as files store them: little-endian, packed.
 */
#ifndef MCC_FRONTEND_RAW_H
#define MCC_FRONTEND_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "ir/type.h"

/* `n` bytes, whole elements of type `t`, as the graph IR has them: borrowed where alignment
 * and byte order allow.  Never NULL. */
const void *raw_elements(Arena *a, DType t, const uint8_t *bytes, size_t n);

/* `count` elements of 4 bits, two a byte and the first in the low half, as bytes. */
void *raw_nibbles(Arena *a, const uint8_t *bytes, size_t count, bool is_signed);

#endif
