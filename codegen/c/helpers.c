#include <assert.h>
#include <string.h>

#include "codegen/c/print.h"

static const struct {
	const char *name, *text;
} helper_info[HELPER_COUNT] = {
#define HELPER(id, name, text) [HELPER_##id] = {name, text},
#include "codegen/c/helpers.def"
};

/* What the placeholders of helpers.def stand for, by type. */
static const struct {
	const char *name, *unsigned_type, *sign, *min, *max;
	const char *low, *high; /* min and max + 1 as decimal text */
} type_info[DT_COUNT] = {
	[DT_BOOL] = {"bool", "uint8_t", "", "0", "1", "0.0", "2.0"},
	[DT_I8] = {"i8", "uint8_t", "", "INT8_MIN", "INT8_MAX", "-128.0", "128.0"},
	[DT_U8] = {"u8", "uint8_t", "", "0", "UINT8_MAX", "0.0", "256.0"},
	[DT_I16] = {"i16", "uint16_t", "", "INT16_MIN", "INT16_MAX", "-32768.0", "32768.0"},
	[DT_U16] = {"u16", "uint16_t", "", "0", "UINT16_MAX", "0.0", "65536.0"},
	[DT_I32] = {"i32", "uint32_t", "", "INT32_MIN", "INT32_MAX", "-2147483648.0",
	            "2147483648.0"},
	[DT_U32] = {"u32", "uint32_t", "", "0", "UINT32_MAX", "0.0", "4294967296.0"},
	[DT_I64] = {"i64", "uint64_t", "", "INT64_MIN", "INT64_MAX", "-9223372036854775808.0",
	            "9223372036854775808.0"},
	[DT_U64] = {"u64", "uint64_t", "", "0", "UINT64_MAX", "0.0", "18446744073709551616.0"},
	[DT_F16] = {"f16", "uint16_t", "", "", "", "", ""},
	[DT_BF16] = {"bf16", "uint16_t", "", "", "", "", ""},
	[DT_F32] = {"f32", "uint32_t", "0x80000000u", "", "", "", ""},
	[DT_F64] = {"f64", "uint64_t", "0x8000000000000000u", "", "", "", ""},
	[DT_IDX] = {"i32", "uint32_t", "", "INT32_MIN", "INT32_MAX", "-2147483648.0",
	            "2147483648.0"},
};

const char *
unsigned_type(DType t)
{
	return type_info[t].unsigned_type;
}

static void
expand(Str *out, const CFile *f, const char *text, DType t, DType s)
{
	const char *suffix = s == DT_F32 ? "f" : "";

	for (; *text; text++) {
		if (*text != '@') {
			str_putc(out, *text);
			continue;
		}
		switch (*++text) {
		case 'P': str_puts(out, f->prefix); break;
		case 't': str_puts(out, type_info[t].name); break;
		case 'T': str_puts(out, dtype_info[t].c_type); break;
		case 'U': str_puts(out, type_info[t].unsigned_type); break;
		case 's': str_puts(out, type_info[s].name); break;
		case 'S': str_puts(out, dtype_info[s].c_type); break;
		case 'm': str_puts(out, type_info[t].min); break;
		case 'M': str_puts(out, type_info[t].max); break;
		case 'l': str_printf(out, "%s%s", type_info[t].low, suffix); break;
		case 'h': str_printf(out, "%s%s", type_info[t].high, suffix); break;
		case 'b': str_puts(out, type_info[t].sign); break;
		default: assert(0 && "unknown placeholder"); break;
		}
	}
}

/* Marks the helpers that a helper calls. */
static void
need_callees(CFile *f, HelperKind kind, DType t)
{
	switch (kind) {
	case HELPER_ABS_FLOAT:
		helper_name(f, HELPER_BITS_OF, t, t);
		helper_name(f, HELPER_FROM_BITS, t, t);
		break;
	case HELPER_F16_TO_F32:
	case HELPER_BF16_TO_F32: helper_name(f, HELPER_FROM_BITS, DT_F32, DT_F32); break;
	case HELPER_F32_TO_F16:
	case HELPER_F64_TO_ODD:
		helper_name(f, HELPER_BITS_OF, DT_F32, DT_F32);
		helper_name(f, HELPER_FROM_BITS, DT_F32, DT_F32);
		break;
	case HELPER_F32_TO_BF16: helper_name(f, HELPER_BITS_OF, DT_F32, DT_F32); break;
	case HELPER_I64_TO_ODD: helper_name(f, HELPER_U64_TO_ODD, DT_F32, DT_F32); break;
	case HELPER_ODD8: helper_name(f, HELPER_EVEN8, DT_I32, DT_I32); break;
	case HELPER_BITS_OF:
	case HELPER_FROM_BITS:
	case HELPER_MIN:
	case HELPER_MAX:
	case HELPER_ABS_INT:
	case HELPER_DIV_SIGNED:
	case HELPER_DIV_UNSIGNED:
	case HELPER_REM_SIGNED:
	case HELPER_REM_UNSIGNED:
	case HELPER_TO_SIGNED:
	case HELPER_F32_TO_I32:
	case HELPER_TO_UNSIGNED:
	case HELPER_U64_TO_ODD:
	case HELPER_DOT2:
	case HELPER_MAC_BB:
	case HELPER_MAC_TT:
	case HELPER_DOT4:
	case HELPER_DOT4U:
	case HELPER_MAC_TB:
	case HELPER_EVEN8:
	case HELPER_PACK_LO:
	case HELPER_PACK_HI:
	case HELPER_ADD2:
	case HELPER_SUB2:
	case HELPER_MULH:
	case HELPER_MULH_ROUND:
	case HELPER_MULH_ROUND_ADD:
	case HELPER_MULH_WIDE:
	case HELPER_MULH_TWICE:
	case HELPER_SAT8:
	case HELPER_KEEP:
	case HELPER_DOT16:
	case HELPER_DOT16_WORDS:
	case HELPER_COPY16:
	case HELPER_WIDE_8:
	case HELPER_WIDE_16:
	case HELPER_COUNT: break;
	}
}

const char *
helper_name(CFile *f, HelperKind kind, DType t, DType s)
{
	Str name;

	/* Indices are int32_t in C. */
	t = t == DT_IDX ? DT_I32 : t;
	s = s == DT_IDX ? DT_I32 : s;
	f->uses.helper[kind][t][s] = true;
	need_callees(f, kind, t);
	str_init(&name, f->arena);
	expand(&name, f, helper_info[kind].name, t, s);
	return name.s;
}

/* Two kinds may have one name, for different types. */
void
helpers_reserve(CFile *f)
{
	Names seen;

	names_init(&seen, f->arena);
	for (int kind = 0; kind < HELPER_COUNT; kind++) {
		for (int t = 0; t < DT_COUNT; t++) {
			for (int s = DT_F32; s <= DT_F64; s++) {
				Str name;

				str_init(&name, f->arena);
				expand(&name, f, helper_info[kind].name, (DType)t, (DType)s);
				if (strcmp(names_add(&seen, name.s), name.s) == 0)
					names_add(&f->names, name.s);
			}
		}
	}
}

void
helpers_print(Str *out, const CFile *f)
{
	for (int kind = 0; kind < HELPER_COUNT; kind++) {
		for (int t = 0; t < DT_COUNT; t++) {
			for (int s = 0; s < DT_COUNT; s++) {
				if (!f->uses.helper[kind][t][s])
					continue;
				str_putc(out, '\n');
				expand(out, f, helper_info[kind].text, (DType)t, (DType)s);
			}
		}
	}
}
