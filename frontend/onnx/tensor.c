#include "frontend/onnx/tensor.h"

#include <onnx/onnx.pb-c.h>
#include <string.h>

#include "frontend/onnx/external.h"
#include "frontend/onnx/wire.h"
#include "frontend/raw.h"
#include "ir/num.h"

enum { ELEM_STRING = 8, ELEM_UINT4 = 21, ELEM_INT4 = 22 };

/* ONNX's element types in the order of their numbers, and ours.  int4 data is
 * unpacked to 8 bits; there is no arithmetic on it. */
static const struct {
	const char *name;
	DType dtype;
} elem_types[] = {
	{"undefined", DT_COUNT},
	{"float", DT_F32},
	{"uint8", DT_U8},
	{"int8", DT_I8},
	{"uint16", DT_U16},
	{"int16", DT_I16},
	{"int32", DT_I32},
	{"int64", DT_I64},
	{"string", DT_COUNT},
	{"bool", DT_BOOL},
	{"float16", DT_F16},
	{"double", DT_F64},
	{"uint32", DT_U32},
	{"uint64", DT_U64},
	{"complex64", DT_COUNT},
	{"complex128", DT_COUNT},
	{"bfloat16", DT_BF16},
	{"float8e4m3fn", DT_COUNT},
	{"float8e4m3fnuz", DT_COUNT},
	{"float8e5m2", DT_COUNT},
	{"float8e5m2fnuz", DT_COUNT},
	{"uint4", DT_COUNT},
	{"int4", DT_COUNT},
	{"float4e2m1", DT_COUNT},
	{"float8e8m0", DT_COUNT},
	{"uint2", DT_COUNT},
	{"int2", DT_COUNT},
};

enum { NELEM_TYPES = sizeof elem_types / sizeof elem_types[0] };

const char *
onnx_type_name(Arena *a, int32_t elem_type)
{
	if (elem_type < 0 || elem_type >= NELEM_TYPES)
		return arena_printf(a, "number %d", elem_type);
	return elem_types[elem_type].name;
}

DType
onnx_dtype(int32_t elem_type)
{
	return elem_type < 0 || elem_type >= NELEM_TYPES ? DT_COUNT : elem_types[elem_type].dtype;
}

void
onnx_tensor_reader(TensorReader *r, Arena *a, const char *path, size_t limit, Diag *d)
{
	*r = (TensorReader){.arena = a, .path = path, .bytes_left = limit, .d = d};
	map_init(&r->files, a);
}

/* ---- Shapes ---- */

static bool
read_shape(TensorReader *r, const char *name, size_t n, const int64_t *dims, const Loc *loc,
           Type *type)
{
	if (n > MAX_RANK)
		return diag_report(r->d, loc, E_SIZE, "tensor '%s' has %zu dimensions; at most %d "
		                   "are possible", name, n, MAX_RANK);
	type->rank = (int)n;
	for (size_t i = 0; i < n; i++) {
		if (dims[i] < 0 || dims[i] > INT32_MAX)
			return diag_report(r->d, loc, dims[i] < 0 ? E_MALFORMED : E_SIZE,
			                   "dimension %zu of tensor '%s' is %lld", i, name,
			                   (long long)dims[i]);
		type->dim[i] = (int32_t)dims[i];
	}
	if (!type_is_representable(type))
		return diag_report(r->d, loc, E_SIZE, "tensor '%s' is larger than 2 GiB", name);
	return true;
}

/* ---- Data ---- */

static bool
wrong_size(TensorReader *r, const char *name, const Loc *loc, const Type *type, size_t have)
{
	return diag_report(r->d, loc, E_MALFORMED,
	                   "tensor '%s' of type %s has %zu bytes of data instead of %zu", name,
	                   type_text(r->arena, type), have, type_bytes(type));
}

/* Raw little-endian data; borrowed where alignment and byte order allow. */
static bool
use_raw(TensorReader *r, const char *name, const Loc *loc, const Type *type, const uint8_t *bytes,
        size_t n, const void **data)
{
	if (n != type_bytes(type))
		return wrong_size(r, name, loc, type, n);
	*data = raw_elements(r->arena, type->dtype, bytes, n);
	return true;
}

/* Two elements a byte, the first in the low half. */
static bool
unpack_nibbles(TensorReader *r, const char *name, const Loc *loc, const Type *type,
               const uint8_t *bytes, size_t n, bool is_signed, const void **data)
{
	size_t count = type_bytes(type);

	if (n != (count + 1) / 2)
		return diag_report(r->d, loc, E_MALFORMED,
		                   "tensor '%s' of %zu 4-bit elements has %zu bytes of data", name,
		                   count, n);
	*data = raw_nibbles(r->arena, bytes, count, is_signed);
	return true;
}

static bool
wrong_count(TensorReader *r, const Onnx__TensorProto *t, const char *name, const Loc *loc,
            const Type *type, size_t have)
{
	if (have == 0 && t->n_float_data + t->n_int32_data + t->n_int64_data + t->n_double_data +
	                                 t->n_uint64_data >
	                         0)
		return diag_report(r->d, loc, E_MALFORMED,
		                   "tensor '%s' of type %s has its data in the field of another "
		                   "type",
		                   name, type_text(r->arena, type));
	return diag_report(r->d, loc, E_MALFORMED,
	                   "tensor '%s' of type %s has %zu elements of data instead of %d", name,
	                   type_text(r->arena, type), have, type_numel(type));
}

/* Data in int32_data or uint64_data, each element stored in a wider number. */
static const void *
narrow(Arena *a, const Onnx__TensorProto *t, const Type *type)
{
	size_t n = (size_t)type_numel(type);
	size_t width = (size_t)dtype_info[type->dtype].bytes;
	uint8_t *out = arena_calloc(a, n, width);

	for (size_t i = 0; i < n; i++) {
		uint64_t v = type->dtype == DT_U32 ? t->uint64_data[i]
		                                   : (uint64_t)(int64_t)t->int32_data[i];
		uint8_t v8 = type->dtype == DT_BOOL ? v != 0 : (uint8_t)v;
		uint16_t v16 = (uint16_t)v;
		uint32_t v32 = (uint32_t)v;

		memcpy(out + i * width, width == 1 ? (void *)&v8 : width == 2 ? (void *)&v16 : &v32,
		       width);
	}
	return out;
}

static size_t
typed_count(const Onnx__TensorProto *t, DType dtype)
{
	switch (dtype) {
	case DT_F32: return t->n_float_data;
	case DT_F64: return t->n_double_data;
	case DT_I64: return t->n_int64_data;
	case DT_U32:
	case DT_U64: return t->n_uint64_data;
	case DT_BOOL:
	case DT_I8:
	case DT_U8:
	case DT_I16:
	case DT_U16:
	case DT_I32:
	case DT_F16:
	case DT_BF16: return t->n_int32_data;
	case DT_IDX:
	case DT_COUNT: break;
	}
	return 0;
}

static bool
use_typed(TensorReader *r, const Onnx__TensorProto *t, const char *name, const Loc *loc,
          const Type *type, const void **data)
{
	size_t have = typed_count(t, type->dtype);

	if (have != (size_t)type_numel(type))
		return wrong_count(r, t, name, loc, type, have);
	if (have == 0)
		*data = arena_alloc(r->arena, 1);
	else if (type->dtype == DT_F32)
		*data = t->float_data;
	else if (type->dtype == DT_F64)
		*data = t->double_data;
	else if (type->dtype == DT_I64)
		*data = t->int64_data;
	else if (type->dtype == DT_U64)
		*data = t->uint64_data;
	else if (type->dtype == DT_I32)
		*data = t->int32_data;
	else
		*data = narrow(r->arena, t, type);
	return true;
}

/* int4 data in int32_data holds one packed byte a number. */
static bool
use_nibbles(TensorReader *r, const Onnx__TensorProto *t, const char *name, const Loc *loc,
            const Type *type, const uint8_t *raw, size_t nraw, const void **data)
{
	bool is_signed = t->data_type == ELEM_INT4;
	uint8_t *packed;

	if (raw)
		return unpack_nibbles(r, name, loc, type, raw, nraw, is_signed, data);
	packed = arena_alloc(r->arena, t->n_int32_data);
	for (size_t i = 0; i < t->n_int32_data; i++)
		packed[i] = (uint8_t)t->int32_data[i];
	return unpack_nibbles(r, name, loc, type, packed, t->n_int32_data, is_signed, data);
}

bool
onnx_tensor(TensorReader *r, const Onnx__TensorProto *t, const Loc *loc, Type *type,
            const void **data)
{
	const char *name = t->name ? t->name : "";
	bool nibbles = t->data_type == ELEM_INT4 || t->data_type == ELEM_UINT4;
	const uint8_t *raw = NULL;
	size_t nraw = 0;

	*type = (Type){.dtype = onnx_dtype(t->data_type)};
	if (nibbles)
		type->dtype = t->data_type == ELEM_INT4 ? DT_I8 : DT_U8;
	if (type->dtype == DT_COUNT)
		return diag_report(r->d, loc, E_UNSUPPORTED,
		                   "tensor '%s' has elements of type %s, which is not supported",
		                   name, onnx_type_name(r->arena, t->data_type));
	if (t->segment)
		return diag_report(r->d, loc, E_UNSUPPORTED, "tensor '%s' is stored in segments",
		                   name);
	if (!read_shape(r, name, t->n_dims, t->dims, loc, type))
		return false;
	if (t->has_data_location &&
	    t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
		if (!onnx_external(r, t, nibbles ? (type_bytes(type) + 1) / 2 : type_bytes(type),
		                   loc, &raw, &nraw))
			return false;
	} else if (t->has_raw_data) {
		raw = t->raw_data.data;
		nraw = t->raw_data.len;
	} else if (!nibbles) {
		return use_typed(r, t, name, loc, type, data);
	}
	if (nibbles)
		return use_nibbles(r, t, name, loc, type, raw, nraw, data);
	return use_raw(r, name, loc, type, raw, nraw, data);
}

/* ---- Sparse tensors ---- */

/* The flat position of non-zero element i, or -1 when it is outside. */
static int64_t
sparse_position(const Type *type, const Type *index_type, const int64_t *index, int32_t i)
{
	int64_t at = 0;

	if (index_type->rank == 1)
		return index[i] >= 0 && index[i] < type_numel(type) ? index[i] : -1;
	for (int k = 0; k < type->rank; k++) {
		int64_t v = index[(int64_t)i * type->rank + k];

		if (v < 0 || v >= type->dim[k])
			return -1;
		at = at * type->dim[k] + v;
	}
	return at;
}

bool
onnx_sparse_tensor(TensorReader *r, const Onnx__SparseTensorProto *t, const Loc *loc, Type *type,
                   const void **data)
{
	const char *name = t->values && t->values->name ? t->values->name : "";
	Type values_type, index_type;
	const void *values, *index;
	size_t width;
	uint8_t *dense;

	if (!t->values || !t->indices)
		return diag_report(r->d, loc, E_MALFORMED, "a sparse tensor without values or indices");
	if (!onnx_tensor(r, t->values, loc, &values_type, &values) ||
	    !onnx_tensor(r, t->indices, loc, &index_type, &index))
		return false;
	*type = (Type){.dtype = values_type.dtype};
	if (!read_shape(r, name, t->n_dims, t->dims, loc, type))
		return false;
	if (values_type.rank != 1 || index_type.dtype != DT_I64 ||
	    !((index_type.rank == 1 && index_type.dim[0] == values_type.dim[0]) ||
	      (index_type.rank == 2 && index_type.dim[0] == values_type.dim[0] &&
	       index_type.dim[1] == type->rank)))
		return diag_report(r->d, loc, E_MALFORMED,
		                   "sparse tensor '%s': values %s and indices %s do not fit", name,
		                   type_text(r->arena, &values_type),
		                   type_text(r->arena, &index_type));
	if (type_bytes(type) > r->bytes_left)
		return diag_report(r->d, loc, E_SIZE, "sparse tensor '%s' is too large when dense",
		                   name);
	r->bytes_left -= type_bytes(type);
	width = (size_t)dtype_info[type->dtype].bytes;
	dense = arena_alloc(r->arena, type_bytes(type));
	for (int32_t i = 0; i < values_type.dim[0]; i++) {
		int64_t at = sparse_position(type, &index_type, index, i);

		if (at < 0)
			return diag_report(r->d, loc, E_VALUE,
			                   "sparse tensor '%s': index %d is outside of the tensor",
			                   name, i);
		memcpy(dense + (size_t)at * width, (const uint8_t *)values + (size_t)i * width,
		       width);
	}
	*data = dense;
	return true;
}

bool
onnx_tensor_read(Arena *a, const char *path, const uint8_t *bytes, size_t n, Type *type,
                 const void **data, const char **name, Diag *d)
{
	const Loc loc = {.file = path};
	TensorReader r;
	const ProtobufCMessage *m =
		onnx_unpack(a, &onnx__tensor_proto__descriptor, bytes, n, &loc, d);
	const Onnx__TensorProto *t = (const void *)m;

	if (!t)
		return false;
	onnx_tensor_reader(&r, a, NULL, SIZE_MAX, d);
	if (name)
		*name = t->name ? t->name : "";
	return onnx_tensor(&r, t, &loc, type, data);
}
