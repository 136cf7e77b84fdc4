/*
 * The frontend of OpenVINO IR, versions 10 and 11: an .xml with layers and edges, and the
 * constants in a .bin beside it.
 *
 *	model.c     the file: its version, inputs, outputs, states
 *	net.c       layers and edges, in an order in which they can be computed
 *	layer.c     one layer: its operator, inputs, attributes, errors
 *	weights.c   constants and the .bin file
 *	ops.def     operators and the functions in read_*.c that read them
 */
#ifndef MCC_FRONTEND_OPENVINO_OPENVINO_H
#define MCC_FRONTEND_OPENVINO_OPENVINO_H

#include <stdbool.h>

#include "frontend/frontend.h"

/* For --print-supported-ops: row i of the operator table, false past its end. */
typedef struct {
	const char *name;
	int since; /* opset */
} OvSupported;
bool ov_supported(int i, OvSupported *out);

#endif
