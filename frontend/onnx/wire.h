/*
 * Unpacking ONNX's protobuf messages into an arena.
 *
 * protobuf-c does the work, but it recurses as deep as the file says, merges
 * repeated sub-messages in quadratic time and allocates what it is asked to.
 * So the bytes are checked first against the message's descriptor: nesting,
 * lengths, wire types, sub-messages that are given twice, and the memory that
 * unpacking would take.
 */
#ifndef MCC_FRONTEND_ONNX_WIRE_H
#define MCC_FRONTEND_ONNX_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"

/* The message, living in the arena, or NULL after an error.  Strings and bytes
 * are copies, aligned for any scalar type. */
ProtobufCMessage *onnx_unpack(Arena *a, const ProtobufCMessageDescriptor *type,
                              const uint8_t *bytes, size_t n, const Loc *loc, Diag *d);

#endif
