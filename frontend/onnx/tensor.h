/*
 * ONNX tensors: element types, and data ready for use as a constant.
 */
#ifndef MCC_FRONTEND_ONNX_TENSOR_H
#define MCC_FRONTEND_ONNX_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/map.h"
#include "frontend/frontend.h"
#include "ir/type.h"

/*
 * Reads a file that holds one serialised TensorProto (the .pb files of ONNX's
 * test suites).  The data is in host order, as graph_const() wants it, and lives
 * in the arena.  `name` may be NULL.
 */
bool onnx_tensor_read(Arena *a, const char *path, const uint8_t *bytes, size_t n, Type *type,
                      const void **data, const char **name, Diag *d);

/* ---- For the rest of the frontend ---- */

struct Onnx__TensorProto;
struct Onnx__SparseTensorProto;

/* What tensors are read with: the folder for external data, and a limit on the
 * memory that dense copies of sparse tensors take. */
typedef struct {
	Arena *arena;
	const char *path; /* of the model; NULL: no external data */
	size_t bytes_left;
	Diag *d;
	Map files; /* external ones, by their path */
	PathList *paths; /* gets the paths of those; may be NULL */
} TensorReader;

void onnx_tensor_reader(TensorReader *r, Arena *a, const char *path, size_t limit, Diag *d);

/* The name of an ONNX element type for messages: "float8e4m3fn", "type 77". */
const char *onnx_type_name(Arena *a, int32_t elem_type);

/* The element type; DT_COUNT when mcc has none for it. */
DType onnx_dtype(int32_t elem_type);

bool onnx_tensor(TensorReader *r, const struct Onnx__TensorProto *t, const Loc *loc, Type *type,
                 const void **data);
bool onnx_sparse_tensor(TensorReader *r, const struct Onnx__SparseTensorProto *t, const Loc *loc,
                        Type *type, const void **data);

#endif
