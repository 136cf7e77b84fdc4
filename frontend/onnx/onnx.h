/*
 * The ONNX frontend: ai.onnx from opset 7 on and the parts of com.microsoft
 * that exporters and quantisers write.
 *
 *	wire.c      protobuf, checked before it is unpacked
 *	tensor.c    tensors: types, data, external files, sparse ones
 *	model.c     the model: opsets, inputs, outputs, functions
 *	scope.c     names, and the loop over the nodes
 *	attr.c      attributes of a node, and its place in diagnostics
 *	build.c     making IR nodes
 *	ops.def     operators and the functions in read_*.c that read them
 */
#ifndef MCC_FRONTEND_ONNX_ONNX_H
#define MCC_FRONTEND_ONNX_ONNX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend/frontend.h"
#include "ir/graph.h"

bool onnx_sniff(const uint8_t *bytes, size_t n);
Graph *onnx_read(const FrontendFile *f, Diag *d);

/* For --print-supported-ops: row i of the operator table, false past its end.
 * `last` is 0 when the operator still exists; the domain of ai.onnx is "". */
typedef struct {
	const char *name, *domain;
	int first, last;
} OnnxSupported;
bool onnx_supported(int i, OnnxSupported *out);

#endif
