#include "frontend/tflite/flatbuf.h"

#include <string.h>

#include "frontend/tflite/bytes.h"

typedef enum {
	KIND_bool, KIND_i8, KIND_u8, KIND_i32, KIND_u32, KIND_i64, KIND_u64, KIND_f32,
	KIND_string, KIND_table,
	KIND_vec_i8, KIND_vec_u8, KIND_vec_u16, KIND_vec_i32, KIND_vec_i64, KIND_vec_f32, KIND_vec_table
} FieldKind;

/* Bytes of a scalar or of a vector's element. */
static const uint8_t kind_bytes[] = {
	[KIND_bool] = 1, [KIND_i8] = 1, [KIND_u8] = 1, [KIND_i32] = 4, [KIND_u32] = 4,
	[KIND_i64] = 8, [KIND_u64] = 8, [KIND_f32] = 4, [KIND_string] = 4, [KIND_table] = 4,
	[KIND_vec_i8] = 1, [KIND_vec_u8] = 1, [KIND_vec_u16] = 2, [KIND_vec_i32] = 4,
	[KIND_vec_i64] = 8, [KIND_vec_f32] = 4, [KIND_vec_table] = 4,
};

typedef struct {
	int slot;
	FieldKind kind;
	size_t offset; /* in the struct */
	int init;      /* of integers */
} FieldInfo;

#define FB_TABLE(name) static const FieldInfo fields_##name[] = {
#define FIELD(table, slot, kind, field, init) \
	{slot, KIND_##kind, offsetof(Fb##table, field), init},
#define FB_END(name) \
	{ \
		-1, KIND_bool, 0, 0 \
	} \
	} \
	;
#include "frontend/tflite/tables.def"

typedef struct {
	const FieldInfo *fields; /* end with a slot of -1 */
	size_t size;             /* of the struct */
} TableInfo;

static const TableInfo table_info[FB_COUNT] = {
#define FB_TABLE(name) [FB_##name] = {fields_##name, sizeof(Fb##name)},
#include "frontend/tflite/tables.def"
};

static bool
fail(Fb *f, size_t where, const char *error)
{
	if (!f->error) {
		f->error = error;
		f->where = where;
	}
	return false;
}

/* In bounds. */
static uint64_t
number(const Fb *f, size_t at, int bytes)
{
	return bytes_number(f->bytes + at, (size_t)bytes);
}

static bool
has_bytes(const Fb *f, size_t at, uint64_t count)
{
	return at <= f->size && count <= f->size - at;
}

/* Follows the offset at byte `at`, which is in bounds. */
static bool
follow(Fb *f, size_t at, size_t *to)
{
	uint64_t offset = number(f, at, 4);

	if (offset == 0 || offset > f->size - at || f->size - at - offset < 4)
		return fail(f, at, "an offset leads out of the file");
	*to = at + (size_t)offset;
	return true;
}

static bool
read_vector(Fb *f, size_t at, int element, FbVec *out)
{
	size_t to;
	uint64_t count;

	if (!follow(f, at, &to))
		return false;
	count = number(f, to, 4);
	if (!has_bytes(f, to + 4, count * (uint64_t)element))
		return fail(f, to, "a vector is longer than the file");
	*out = (FbVec){to + 4, (size_t)count, true};
	return true;
}

static bool
read_string(Fb *f, size_t at, FbString *out)
{
	FbVec v;

	if (!read_vector(f, at, 1, &v))
		return false;
	if (!has_bytes(f, v.at, (uint64_t)v.count + 1) || f->bytes[v.at + v.count] != 0)
		return fail(f, v.at, "a string does not end with a zero byte");
	*out = (FbString){(const char *)f->bytes + v.at, v.count};
	return true;
}

static int64_t
scalar(const Fb *f, size_t at, FieldKind kind)
{
	uint64_t v = number(f, at, kind_bytes[kind]);

	if (kind == KIND_bool)
		return v != 0;
	if (kind == KIND_i8)
		return (int8_t)v;
	return kind == KIND_i32 ? (int32_t)v : (int64_t)v;
}

static bool
read_field(Fb *f, const FieldInfo *field, size_t at, char *out)
{
	char *to = out + field->offset;
	double real;
	float single;
	uint32_t bits;
	FbRef ref = {0};
	int64_t integer;

	switch (field->kind) {
	case KIND_bool:
	case KIND_i8:
	case KIND_u8:
	case KIND_i32:
	case KIND_u32:
	case KIND_i64:
	case KIND_u64:
		integer = scalar(f, at, field->kind);
		memcpy(to, &integer, sizeof integer);
		return true;
	case KIND_f32:
		bits = (uint32_t)number(f, at, 4);
		memcpy(&single, &bits, sizeof single);
		real = (double)single;
		memcpy(to, &real, sizeof real);
		return true;
	case KIND_string: return read_string(f, at, (FbString *)(void *)to);
	case KIND_table:
		if (!follow(f, at, &ref.at))
			return false;
		memcpy(to, &ref, sizeof ref);
		return true;
	case KIND_vec_i8:
	case KIND_vec_u8:
	case KIND_vec_u16:
	case KIND_vec_i32:
	case KIND_vec_i64:
	case KIND_vec_f32:
	case KIND_vec_table:
		return read_vector(f, at, kind_bytes[field->kind], (FbVec *)(void *)to);
	}
	return true;
}

/* Absent fields are zero but for integers with another default. */
static void
set_defaults(const TableInfo *t, char *out)
{
	memset(out, 0, t->size);
	for (const FieldInfo *i = t->fields; i->slot >= 0; i++) {
		int64_t init = i->init;

		if (init != 0)
			memcpy(out + i->offset, &init, sizeof init);
	}
}

/* Finds the vtable of the table at `at`: its position, its bytes and the table's. */
static bool
find_vtable(Fb *f, size_t at, size_t *vtable, size_t *vtable_bytes, size_t *table_bytes)
{
	int64_t to;

	if (!has_bytes(f, at, 4))
		return fail(f, at, "a table is outside the file");
	to = (int64_t)at - (int32_t)number(f, at, 4);
	if (to < 0 || !has_bytes(f, (size_t)to, 4))
		return fail(f, at, "a table's description is outside the file");
	*vtable = (size_t)to;
	*vtable_bytes = (size_t)number(f, *vtable, 2);
	*table_bytes = (size_t)number(f, *vtable + 2, 2);
	if (*vtable_bytes < 4 || *vtable_bytes % 2 != 0 || !has_bytes(f, *vtable, *vtable_bytes))
		return fail(f, *vtable, "a table's description is malformed");
	if (*table_bytes < 4 || !has_bytes(f, at, *table_bytes))
		return fail(f, at, "a table is longer than the file");
	return true;
}

/* Bytes of a field in its table: vectors, strings and tables are offsets. */
static size_t
inline_bytes(FieldKind kind)
{
	return kind >= KIND_string ? 4 : kind_bytes[kind];
}

bool
fb_read(Fb *f, FbKind kind, FbRef table, void *out)
{
	const TableInfo *t = &table_info[kind];
	size_t vtable, vtable_bytes, table_bytes;

	set_defaults(t, out);
	if (table.at == 0)
		return true;
	if (!fb_spend(f, 1) || !find_vtable(f, table.at, &vtable, &vtable_bytes, &table_bytes))
		return false;
	for (const FieldInfo *i = t->fields; i->slot >= 0; i++) {
		size_t entry = 4 + 2 * (size_t)i->slot, offset;

		if (entry + 2 > vtable_bytes)
			continue;
		offset = (size_t)number(f, vtable + entry, 2);
		if (offset == 0)
			continue;
		if (offset < 4 || offset + inline_bytes(i->kind) > table_bytes)
			return fail(f, table.at, "a field is outside its table");
		if (!read_field(f, i, table.at + offset, out))
			return false;
	}
	return true;
}

bool
fb_begin(Fb *f, const uint8_t *bytes, size_t size, const char *identifier, FbRef *root)
{
	*f = (Fb){.bytes = bytes, .size = size, .work = 1000000 + 4 * (int64_t)size};
	if (size < 8 || memcmp(bytes + 4, identifier, 4) != 0)
		return fail(f, 0, "the file does not start as a TFLite model does");
	return follow(f, 0, &root->at);
}

bool
fb_spend(Fb *f, size_t elements)
{
	if ((int64_t)elements > f->work)
		return fail(f, 0, "the file's parts refer to each other too often");
	f->work -= (int64_t)elements;
	return true;
}

int32_t
fb_i32(const Fb *f, FbVec v, size_t i)
{
	return (int32_t)number(f, v.at + 4 * i, 4);
}

uint32_t
fb_unsigned(const Fb *f, FbVec v, size_t i, int bytes)
{
	return (uint32_t)number(f, v.at + (size_t)bytes * i, bytes);
}

int64_t
fb_i64(const Fb *f, FbVec v, size_t i)
{
	return (int64_t)number(f, v.at + 8 * i, 8);
}

float
fb_f32(const Fb *f, FbVec v, size_t i)
{
	uint32_t bits = (uint32_t)number(f, v.at + 4 * i, 4);
	float x;

	memcpy(&x, &bits, sizeof x);
	return x;
}

bool
fb_ref(Fb *f, FbVec v, size_t i, FbRef *out)
{
	return follow(f, v.at + 4 * i, &out->at);
}
