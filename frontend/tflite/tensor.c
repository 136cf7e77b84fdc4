/*
 * Tensors: types, quantisation and the bytes of constants.
 */
#include <math.h>
#include <string.h>

#include "base/map.h"
#include "frontend/tflite/sparse.h"
#include "frontend/tflite/tflite.h"
#include "ir/num.h"

/* Of the file's element types by number: ours, and the bits of an element. */
static const struct {
	const char *name;
	DType dtype;
	int bits;
} elem_types[] = {
	{"FLOAT32", DT_F32, 32},   {"FLOAT16", DT_F16, 16},     {"INT32", DT_I32, 32},
	{"UINT8", DT_U8, 8},       {"INT64", DT_I64, 64},       {"STRING", DT_COUNT, 0},
	{"BOOL", DT_BOOL, 8},      {"INT16", DT_I16, 16},       {"COMPLEX64", DT_COUNT, 0},
	{"INT8", DT_I8, 8},        {"FLOAT64", DT_F64, 64},     {"COMPLEX128", DT_COUNT, 0},
	{"UINT64", DT_U64, 64},    {"RESOURCE", DT_COUNT, 0},   {"VARIANT", DT_COUNT, 0},
	{"UINT32", DT_U32, 32},    {"UINT16", DT_U16, 16},      {"INT4", DT_I8, 4},
	{"BFLOAT16", DT_BF16, 16}, {"INT2", DT_I8, 2},          {"UINT4", DT_U8, 4},
};

enum { NELEM_TYPES = sizeof elem_types / sizeof elem_types[0] };

typedef struct {
	Tflite *r;
	Tensor *t;
	FbTensor fb;
	Loc loc;
} Reading;

__attribute__((format(printf, 3, 4))) static bool
bad(const Reading *x, DiagCode code, const char *format, ...)
{
	const char *text;
	va_list args;

	va_start(args, format);
	text = arena_vprintf(x->r->arena, format, args);
	va_end(args);
	return diag_report(x->r->d, &x->loc, code, "%s", text);
}

static bool
read_shape(Reading *x)
{
	Type *t = &x->t->type;

	if (x->fb.shape.count > MAX_RANK)
		return bad(x, E_SIZE, "%zu dimensions; at most %d are possible",
		           x->fb.shape.count, MAX_RANK);
	t->rank = (int)x->fb.shape.count;
	for (int i = 0; i < t->rank; i++) {
		t->dim[i] = fb_i32(&x->r->fb, x->fb.shape, (size_t)i);
		if (t->dim[i] < 0)
			return bad(x, E_SHAPE, "dimension %d is %d", i, t->dim[i]);
	}
	if (x->t->has_type && !type_is_representable(t))
		return bad(x, E_SIZE, "larger than 2 GiB");
	return true;
}

/* Whether numbers of the type can be quantised ones. */
static bool
can_be_quantized(DType t)
{
	return t == DT_I8 || t == DT_U8 || t == DT_I16 || t == DT_I32;
}

/* Checks and copies scales and zero points; a shorter list of zero points stands for
 * its first one everywhere. */
static bool
read_scales(Reading *x, const FbQuantizationParameters *q, Quant *out)
{
	float *scale = ARENA_ARRAY(x->r->arena, float, out->n);
	int32_t *zero = ARENA_ARRAY(x->r->arena, int32_t, out->n);

	for (int32_t i = 0; i < out->n; i++) {
		bool has_own = q->zero_point.count == q->scale.count;
		int64_t z = fb_i64(&x->r->fb, q->zero_point, has_own ? (size_t)i : 0);

		scale[i] = fb_f32(&x->r->fb, q->scale, (size_t)i);
		if (!isfinite(scale[i]) || !(scale[i] > 0))
			return bad(x, E_VALUE, "scale %d is %g", i, (double)scale[i]);
		if (!quant_zero_fits(x->t->type.dtype, z))
			return bad(x, E_VALUE, "zero point %d is %lld", i, (long long)z);
		zero[i] = (int32_t)z;
	}
	out->scale = scale;
	out->zero = zero;
	return true;
}

/* A table without scales means nothing, and without zero points neither, as TFLite
 * Micro has it.  The axis of a vector is often wrong and can only be 0. */
static bool
read_quantization(Reading *x)
{
	const Type *t = &x->t->type;
	FbQuantizationParameters q;
	Quant *out;
	size_t n;

	if (!fb_read(&x->r->fb, FB_QuantizationParameters, x->fb.quantization, &q))
		return false;
	n = q.scale.count;
	if (q.details_type != 0)
		return bad(x, E_UNSUPPORTED, "custom or blockwise quantisation");
	if (n == 0 || q.zero_point.count == 0 || !x->t->has_type || !can_be_quantized(t->dtype))
		return true;
	if (!fb_spend(&x->r->fb, n))
		return false;
	out = ARENA_NEW(x->r->arena, Quant);
	if (t->rank == 1)
		q.quantized_dimension = 0;
	if (n > 1 && (q.quantized_dimension < 0 || q.quantized_dimension >= t->rank ||
	              (size_t)t->dim[q.quantized_dimension] != n))
		return bad(x, E_SHAPE, "%zu scales do not fit axis %lld", n,
		           (long long)q.quantized_dimension);
	if (q.zero_point.count != 1 && q.zero_point.count != n)
		return bad(x, E_VALUE, "%zu zero points beside %zu scales", q.zero_point.count, n);
	*out = (Quant){n > 1 ? (int)q.quantized_dimension : 0, (int32_t)n, NULL, NULL};
	x->t->type.q = out;
	return read_scales(x, &q, out);
}

/* Elements of less than a byte: the first in the low bits, rows not padded. */
static const void *
unpack(Reading *x, const uint8_t *bytes, int32_t count, int bits)
{
	uint8_t *out = ARENA_ARRAY(x->r->arena, uint8_t, count);
	bool is_signed = x->t->type.dtype == DT_I8;
	int mask = (1 << bits) - 1, sign = 1 << (bits - 1), per_byte = 8 / bits;

	for (int32_t i = 0; i < count; i++) {
		int v = bytes[i / per_byte] >> (bits * (i % per_byte)) & mask;

		if (is_signed && v & sign)
			v -= mask + 1;
		out[i] = (uint8_t)v;
	}
	return out;
}

/* Numbers of the file, little endian, for this machine; in place where that does. */
static const void *
native(Reading *x, const uint8_t *bytes, size_t n)
{
	DType t = x->t->type.dtype;
	size_t width = (size_t)dtype_info[t].bytes;
	const uint16_t probe = 1;
	bool is_little = *(const uint8_t *)&probe == 1;
	uint8_t *out;

	if (t == DT_BOOL) {
		out = ARENA_ARRAY(x->r->arena, uint8_t, n);
		for (size_t i = 0; i < n; i++)
			out[i] = bytes[i] != 0;
		return out;
	}
	if (is_little && (uintptr_t)bytes % width == 0)
		return bytes;
	out = arena_copy(x->r->arena, bytes, n);
	for (size_t i = 0; i < n && !is_little; i++)
		out[i] = bytes[i - i % width + (width - 1 - i % width)];
	return out;
}

/* `count` numbers of the buffer; NULL after an error. */
static const void *
stored_numbers(Reading *x, FbVec data, size_t count)
{
	Tflite *r = x->r;
	int bits = elem_types[x->t->file_type].bits;
	size_t want = (count * (size_t)bits + 7) / 8;
	const uint8_t *at = r->fb.bytes + data.at;
	const void *out;

	if (data.count != want) {
		bad(x, E_SIZE, "%zu bytes of data instead of %zu", data.count, want);
		return NULL;
	}
	/* Files may name one buffer many times. */
	if (count > r->bytes_left || want > r->bytes_left) {
		bad(x, E_SIZE, "constants need too much memory");
		return NULL;
	}
	out = bits < 8 ? unpack(x, at, (int32_t)count, bits) : native(x, at, data.count);
	if (out != at)
		r->bytes_left -= bits < 8 ? count : want;
	return out;
}

/* The numbers that are not stored are zero. */
static const void *
dense_numbers(Reading *x, FbVec data)
{
	const Type *t = &x->t->type;
	size_t bytes = (size_t)dtype_info[t->dtype].bytes;
	const void *stored;
	const char *wrong;
	void *out;
	Sparse s;

	if ((wrong = sparse_read(x->r, t, x->fb.sparsity, &s))) {
		bad(x, E_MALFORMED, "its sparse storage: %s", wrong);
		return NULL;
	}
	if (!(stored = stored_numbers(x, data, (size_t)s.count)))
		return NULL;
	if (type_bytes(t) > x->r->bytes_left) {
		bad(x, E_SIZE, "constants need too much memory");
		return NULL;
	}
	x->r->bytes_left -= type_bytes(t);
	out = arena_alloc(x->r->arena, type_bytes(t) + 1);
	memset(out, 0, type_bytes(t));
	sparse_scatter(&x->r->fb, &s, stored, bytes, out);
	return out;
}

/* Buffer 0 stands for no data. */
static bool
read_data(Reading *x)
{
	Tflite *r = x->r;
	FbRef ref;
	FbBuffer b;

	if ((uint64_t)x->fb.buffer >= r->model.buffers.count && x->fb.buffer != 0)
		return bad(x, E_MALFORMED, "there is no buffer %lld", (long long)x->fb.buffer);
	if (x->fb.external_buffer != 0)
		return bad(x, E_UNSUPPORTED, "its data is in another file");
	if (x->fb.buffer == 0)
		return true;
	if (!fb_ref(&r->fb, r->model.buffers, (size_t)x->fb.buffer, &ref) ||
	    !fb_read(&r->fb, FB_Buffer, ref, &b))
		return false;
	if (b.offset > 1 || b.size > 1)
		return bad(x, E_UNSUPPORTED, "its data is behind the model, as in files above 2 GB");
	if (b.data.count == 0)
		return true;
	if (!x->t->has_type)
		return bad(x, E_UNSUPPORTED, "constants of this element type");
	x->t->data = x->fb.sparsity.at != 0
	                     ? dense_numbers(x, b.data)
	                     : stored_numbers(x, b.data, (size_t)type_numel(&x->t->type));
	return x->t->data != NULL;
}

static const char *
tensor_name(Tflite *r, const FbString *s, int i)
{
	return s->n ? arena_strndup(r->arena, s->s, s->n) : arena_printf(r->arena, "t%d", i);
}

static bool
read_tensor(Tflite *r, Tensor *t, int i)
{
	Reading x = {.r = r, .t = t, .loc = {.file = r->file->path}};
	FbRef ref;

	if (!fb_ref(&r->fb, r->graph.tensors, (size_t)i, &ref) ||
	    !fb_read(&r->fb, FB_Tensor, ref, &x.fb) || !fb_spend(&r->fb, x.fb.name.n))
		return false;
	t->name = tensor_name(r, &x.fb.name, i);
	x.loc.where = arena_printf(r->arena, "tensor %d '%s'", i, t->name);
	t->is_variable = x.fb.is_variable;
	t->file_type = (int)x.fb.type;
	if (t->file_type < 0 || t->file_type >= NELEM_TYPES)
		return bad(&x, E_UNSUPPORTED, "its element type has the unknown number %d",
		           t->file_type);
	t->type.dtype = elem_types[t->file_type].dtype;
	t->has_type = t->type.dtype != DT_COUNT;
	if (!t->has_type)
		t->type.dtype = DT_I32;
	return read_shape(&x) && read_quantization(&x) && read_data(&x);
}

/* Converters join the names of all that one operator computes: "a/Relu;a/BiasAdd;a/Conv2D".
 * The first of them names the layer, unless it would name two. Constants have such
 * names too. */
static void
name_layers(Tflite *r)
{
	Map first;

	map_init(&first, r->arena);
	for (int i = 0; i < r->ntensors; i++) {
		Tensor *t = &r->tensors[i], *other;
		size_t n = strcspn(t->name, ";");

		t->layer = n > 0 && t->name[n] ? arena_strndup(r->arena, t->name, n) : t->name;
		if (t->data)
			continue;
		other = map_get(&first, t->layer);
		if (!other) {
			map_set(&first, t->layer, t);
			continue;
		}
		t->layer = t->name;
		other->layer = other->name;
	}
}

bool
tfl_read_tensors(Tflite *r)
{
	size_t n = r->graph.tensors.count;
	bool ok = true;

	if (!fb_spend(&r->fb, n))
		return false;
	r->ntensors = (int)n;
	r->tensors = ARENA_ARRAY(r->arena, Tensor, n);
	for (int i = 0; i < r->ntensors && !r->fb.error && !diag_full(r->d); i++)
		ok = read_tensor(r, &r->tensors[i], i) && ok;
	if (ok)
		name_layers(r);
	return ok;
}
