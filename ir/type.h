/*
 * Element types and tensor types.
 */
#ifndef MCC_IR_TYPE_H
#define MCC_IR_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

typedef enum {
#define DTYPE(id, name, bytes, c_type, class) DT_##id,
#include "ir/dtypes.def"
	DT_COUNT
} DType;

typedef enum { CLASS_BOOL, CLASS_SIGNED, CLASS_UNSIGNED, CLASS_FLOAT, CLASS_INDEX } DTypeClass;

typedef struct {
	const char *name;
	int bytes;
	const char *c_type;
	DTypeClass class;
} DTypeInfo;

extern const DTypeInfo dtype_info[DT_COUNT];

/* The type of that name, or DT_COUNT. */
DType dtype_find(const char *name, size_t length);

static inline bool
dtype_is_float(DType t)
{
	return dtype_info[t].class == CLASS_FLOAT;
}

static inline bool
dtype_is_integer(DType t)
{
	return dtype_info[t].class == CLASS_SIGNED || dtype_info[t].class == CLASS_UNSIGNED;
}

/* The type in which mcc computes on values stored as `t`: f16 and bf16 in f32,
 * integers below 32 bits in i32, all others in themselves. */
DType dtype_compute(DType t);

enum { MAX_RANK = 8 };

/* No tensor is larger than this many bytes, so that every index fits int32. */
#define MAX_TENSOR_BYTES ((size_t)INT32_MAX)

/*
 * Affine quantisation: real = scale * (q - zero).
 *
 * n is 1 for the whole tensor, or the length of axis `axis`, which then has a
 * scale and a zero point each.  Scales are finite and positive, zero points in the
 * range of the element type.
 */
typedef struct {
	int axis; /* 0 when n is 1 */
	int32_t n;
	const float *scale;
	const int32_t *zero;
} Quant;

/* A tensor type: element type and shape, row-major.  Rank 0 is a scalar. */
typedef struct {
	DType dtype;
	int rank;
	int32_t dim[MAX_RANK];
	const Quant *q; /* NULL: the elements are the numbers themselves */
} Type;

Type type_scalar(DType t);
Type type_make(DType t, int rank, const int32_t *dim);

/* Number of elements; a type that was accepted into a graph has at most
 * MAX_TENSOR_BYTES bytes, so this fits. */
int32_t type_numel(const Type *t);
size_t type_bytes(const Type *t);

/* False when the rank, a dimension or the byte size is out of range. */
bool type_is_representable(const Type *t);

/* Equal element type and shape; type_same_quant() compares the rest. */
bool type_equal(const Type *a, const Type *b);
bool type_same_quant(const Type *a, const Type *b);
/* Whether equal codes mean equal numbers: element type and quantisation. */
bool type_same_codes(const Type *a, const Type *b);
bool type_same_shape(const Type *a, const Type *b);

/* Elements between neighbours along each axis. */
void type_strides(const Type *t, int32_t stride[MAX_RANK]);

/* Product of the dimensions [from, to). */
int32_t type_product(const Type *t, int from, int to);

/* The numpy broadcast of two shapes into out->rank and out->dim (the element
 * type is left alone); false when they do not fit. */
bool type_broadcast(const Type *a, const Type *b, Type *out);

/* Whether elements of `t` can have this zero point. */
bool quant_zero_fits(DType t, int64_t zero);

/* Prints f32[1,49,10], or i8[1,10] q(0.25, -128), or with scales along axis 0
 * i8[2,9] q[0](0.25, 0.5)(3, 4), where zero points that are all 0 are left out. */
void type_print(Str *s, const Type *t);

/* The same for people: of more than a few scales only the least and the largest,
 * i8[64,10,4,1] q[0](0.0003 to 0.002). */
const char *type_text(Arena *a, const Type *t);

#endif
