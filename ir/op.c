#include "ir/op.h"

#include <limits.h>
#include <assert.h>
#include <string.h>

/* The words of each enumeration. */
#define ENUM(type, prefix) static const char *const words_##type[] = {
#define WORD(prefix, word) #word,
#define END_ENUM(type, prefix) \
	NULL \
	} \
	;
#include "ir/enums.def"

/* The attributes of each operator: name, kind and place. */
#define EOP(id, name, inputs, infer, traits) static const AttrInfo attrs_##id[] = {
#define OP(id, name, lo, hi, outs_lo, outs_hi, infer, lower, traits) static const AttrInfo attrs_##id[] = {
#define SOP(id, name, lo, hi, outs_lo, outs_hi, infer, expand, traits) static const AttrInfo attrs_##id[] = {
#define ATTR(id, type, field, init) {#field, ATTR_KIND_##type, offsetof(Attr_##id, field), NULL},
#define ATTR_ENUM(id, type, field, init) {#field, ATTR_KIND_enum, offsetof(Attr_##id, field), words_##type},
#define END(id) \
	{ \
		NULL, ATTR_KIND_int, 0, NULL \
	} \
	} \
	;
#include "ir/ops.def"

/* Enumerations are read and written through int. */
#define ENUM(type, prefix) _Static_assert(sizeof(type) == sizeof(int), "enum " #type " is not an int");
#define WORD(prefix, word)
#define END_ENUM(type, prefix)
#include "ir/enums.def"

/* The defaults of each operator's attributes. */
#define EOP(id, name, inputs, infer, traits) static const Attr_##id default_##id = {
#define OP(id, name, lo, hi, outs_lo, outs_hi, infer, lower, traits) static const Attr_##id default_##id = {
#define SOP(id, name, lo, hi, outs_lo, outs_hi, infer, expand, traits) static const Attr_##id default_##id = {
#define ATTR(id, type, field, init) .field = init,
#define ATTR_ENUM(id, type, field, init) .field = init,
#define END(id) \
	.unused = 0 \
	} \
	;
#include "ir/ops.def"

const OpInfo op_info[OP_COUNT] = {
#define EOP(id, name, inputs, infer, traits) \
	[OP_##id] = {name,      OP_ELEMENTWISE,      inputs,       inputs,          1,           1,   traits, \
	             attrs_##id, sizeof(Attr_##id), &default_##id, infer_##infer, scalar_##id, NULL, NULL},
#define OP(id, name, lo, hi, outs_lo, outs_hi, infer, lower, traits) \
	[OP_##id] = {name,       OP_PRIMITIVE,      lo,            hi,            outs_lo, outs_hi,       traits, \
	             attrs_##id, sizeof(Attr_##id), &default_##id, infer_##infer, NULL,    lower_##lower, NULL},
#define SOP(id, name, lo, hi, outs_lo, outs_hi, infer, expand, traits) \
	[OP_##id] = {name,       OP_SUGAR,          lo,            hi,            outs_lo, outs_hi, traits, \
	             attrs_##id, sizeof(Attr_##id), &default_##id, infer_##infer, NULL,    NULL,    expand_##expand},
#include "ir/ops.def"
};

Op
op_find(const char *name, size_t length)
{
	for (int i = 0; i < OP_COUNT; i++)
		if (strlen(op_info[i].name) == length && memcmp(op_info[i].name, name, length) == 0)
			return (Op)i;
	return OP_COUNT;
}

const char *const *
op_enum_words(Op op, const char *attr)
{
	const AttrInfo *a = op_info[op].attrs;

	while (a->name && strcmp(a->name, attr) != 0)
		a++;
	assert(a->name && a->kind == ATTR_KIND_enum);
	return a->word;
}
