/*
 * Vectors in C: types, the functions of vectors.def, and expressions that call them.
 *
 * Where the compiler has vectors of the machine's registers (gcc and clang), a vector is
 * one; elsewhere it is a struct of lanes, and functions are loops.  What instructions do
 * that compilers do not find stands beside, as intrinsics under #if.
 */
#include <assert.h>
#include <string.h>

#include "codegen/c/print.h"

/* Lanes of vectors: 2 << size. */
static const struct {
	const char *name, *result, *params, *lane, *gnu;
} vector_info[VECTOR_COUNT] = {
#define VECTOR(id, name, result, params, lane, gnu) \
	[VECTOR_##id] = {name, result, params, lane, gnu},
#define NATIVE(id, lanes, condition, text)
#include "codegen/c/vectors.def"
};

static const struct {
	VectorKind kind;
	int lanes;
	const char *condition, *text;
} natives[] = {
#define VECTOR(id, name, result, params, lane, gnu)
#define NATIVE(id, lanes, condition, text) {VECTOR_##id, lanes, condition, text},
#include "codegen/c/vectors.def"
};

enum { NNATIVES = sizeof natives / sizeof *natives };

static int
size_of(int lanes)
{
	int size = 0;

	while (2 << size < lanes)
		size++;
	return size;
}

/* ---- Functions ---- */

typedef struct {
	const CFile *file;
	int lanes;
	bool prefix;      /* of types */
	const char *lane; /* what stands between a vector and an index */
} Expansion;

static void
expand(Str *out, const Expansion *x, const char *text)
{
	const char *before = x->prefix ? x->file->prefix : "", *between = x->prefix ? "_" : "";

	for (; *text; text++) {
		if (*text != '@') {
			str_putc(out, *text);
			continue;
		}
		switch (*++text) {
		case 'P': str_puts(out, x->file->prefix); break;
		case 'N': str_printf(out, "%d", x->lanes); break;
		case 'F': str_printf(out, "%s%sf32x%d", before, between, x->lanes); break;
		case 'I': str_printf(out, "%s%si32x%d", before, between, x->lanes); break;
		case 'U': str_printf(out, "%s%su32x%d", before, between, x->lanes); break;
		case 'X':
			for (int i = 0; i < x->lanes; i++)
				str_puts(out, i ? ", x" : "x");
			break;
		case '.': str_puts(out, x->lane); break;
		default: assert(0 && "unknown placeholder"); break;
		}
	}
}

static const char *
expanded(const CFile *f, const char *text, int lanes, bool prefix, const char *lane)
{
	Expansion x = {f, lanes, prefix, lane};
	Str s;

	str_init(&s, f->arena);
	expand(&s, &x, text);
	return s.s;
}

static const char *
name_of(const CFile *f, VectorKind kind, int size)
{
	return expanded(f, vector_info[kind].name, 2 << size, false, "");
}

const char *
vector_type(const CFile *f, DType t, int lanes)
{
	return expanded(f, t == DT_F32 ? "@F" : "@I", lanes, true, "");
}

/* A loop over the lanes; with `start` r is known from the beginning. */
static void
put_lanes(Str *s, const CFile *f, VectorKind kind, int lanes, const char *lane, bool start)
{
	const char *result = expanded(f, vector_info[kind].result, lanes, true, "");
	bool is_void = strcmp(result, "void") == 0;

	if (!is_void)
		str_printf(s, "\t%s r%s;\n\n", result, start ? " = {0}" : "");
	str_printf(s, "\tfor (int i = 0; i < %d; i++) {\n\t\t%s\n\t}\n", lanes,
	           expanded(f, vector_info[kind].lane, lanes, true, lane));
	if (!is_void)
		str_puts(s, "\treturn r;\n");
}

static void
put_function(Str *s, const CFile *f, VectorKind kind, int size)
{
	int lanes = 2 << size;
	const char *start = "if";
	const char *gnu = vector_info[kind].gnu;

	str_printf(s, "\nstatic inline %s %s(%s)\n{\n",
	           expanded(f, vector_info[kind].result, lanes, true, ""), name_of(f, kind, size),
	           expanded(f, vector_info[kind].params, lanes, true, ""));
	for (int i = 0; i < NNATIVES; i++)
		if (natives[i].kind == kind && natives[i].lanes == lanes) {
			str_printf(s, "#%s %s_VECTOR_BYTES >= %d && %s\n", start, f->upper, 4 * lanes,
			           natives[i].condition);
			str_puts(s, expanded(f, natives[i].text, lanes, true, ""));
			start = "elif";
		}
	str_printf(s, "#%s %s_VECTOR_BYTES >= %d\n", start, f->upper, 4 * lanes);
	if (gnu)
		str_puts(s, expanded(f, gnu, lanes, true, ""));
	else
		put_lanes(s, f, kind, lanes, "", true);
	str_puts(s, "#else\n");
	put_lanes(s, f, kind, lanes, ".v", false);
	str_puts(s, "#endif\n}\n");
}

static bool
has_size(const CFile *f, int size)
{
	for (int kind = 0; kind < VECTOR_COUNT; kind++)
		if (f->uses.vector[kind][size])
			return true;
	return false;
}

static void
put_types(Str *s, const CFile *f, int lanes)
{
	static const char *const type[][2] = {{"float", "@F"}, {"int32_t", "@I"}, {"uint32_t", "@U"}};

	str_printf(s, "\n#if %s_VECTOR_BYTES >= %d\n", f->upper, 4 * lanes);
	for (int i = 0; i < 3; i++)
		str_printf(s, "typedef %s %s __attribute__((vector_size(%d)));\n", type[i][0],
		           expanded(f, type[i][1], lanes, true, ""), 4 * lanes);
	str_puts(s, "#else\n");
	for (int i = 0; i < 2; i++)
		str_printf(s, "typedef struct {\n\t%s v[%d];\n} %s;\n", type[i][0], lanes,
		           expanded(f, type[i][1], lanes, true, ""));
	str_puts(s, "#endif\n");
}

static bool
vectors_are_used(const CFile *f)
{
	for (int size = 0; size < VECTOR_SIZES; size++)
		if (has_size(f, size))
			return true;
	return false;
}

static void
put_prologue(Str *s, const CFile *f)
{
	str_printf(s,
	           "\n/* Vectors that fit the machine's registers. */\n"
	           "#if !defined(__GNUC__)\n"
	           "#define %s_VECTOR_BYTES 0\n"
	           "#elif defined(__AVX512F__)\n"
	           "#define %s_VECTOR_BYTES 64\n"
	           "#elif defined(__AVX2__)\n"
	           "#define %s_VECTOR_BYTES 32\n"
	           "#elif defined(__SSE2__) || defined(__ARM_NEON) || defined(__ARM_FEATURE_MVE) \\\n"
	           "        || defined(__riscv)\n"
	           "#define %s_VECTOR_BYTES 16\n"
	           "#else\n"
	           "#define %s_VECTOR_BYTES 0\n"
	           "#endif\n"
	           "#if %s_VECTOR_BYTES > 0 && defined(__SSE2__)\n"
	           "#include <immintrin.h>\n"
	           "#elif %s_VECTOR_BYTES > 0 && defined(__ARM_FEATURE_MVE)\n"
	           "#include <arm_mve.h>\n"
	           "#elif %s_VECTOR_BYTES > 0 && defined(__ARM_NEON)\n"
	           "#include <arm_neon.h>\n"
	           "#endif\n",
	           f->upper, f->upper, f->upper, f->upper, f->upper, f->upper, f->upper, f->upper);
}

void
vectors_print(Str *s, const CFile *f)
{
	if (!vectors_are_used(f))
		return;
	put_prologue(s, f);
	for (int size = 0; size < VECTOR_SIZES; size++)
		if (has_size(f, size))
			put_types(s, f, 2 << size);
	for (int kind = 0; kind < VECTOR_COUNT; kind++)
		for (int size = 0; size < VECTOR_SIZES; size++)
			if (f->uses.vector[kind][size])
				put_function(s, f, (VectorKind)kind, size);
}

void
vectors_reserve(CFile *f)
{
	static const char *const type[] = {"@P_@F", "@P_@I", "@P_@U"};

	for (int size = 0; size < VECTOR_SIZES; size++) {
		for (int kind = 0; kind < VECTOR_COUNT; kind++)
			names_add(&f->names, name_of(f, (VectorKind)kind, size));
		for (int i = 0; i < 3; i++)
			names_add(&f->names, expanded(f, type[i], 2 << size, false, ""));
	}
}

/* ---- Expressions ---- */

static void
put_name(CFunc *f, Str *s, VectorKind kind, int lanes)
{
	int size = size_of(lanes);

	f->file->uses.vector[kind][size] = true;
	str_printf(s, "%s(", name_of(f->file, kind, size));
}

static void
put_call(CFunc *f, Str *s, VectorKind kind, int lanes, int nargs, Expr *const *arg)
{
	put_name(f, s, kind, lanes);
	for (int i = 0; i < nargs; i++) {
		str_puts(s, i ? ", " : "");
		c_expr_print(f, s, arg[i], PREC_TERNARY);
	}
	str_putc(s, ')');
}

static void
put_place(CFunc *f, Str *s, const LBuf *buf, const Expr *index)
{
	f->buf_used[buf->index] = true;
	str_printf(s, "&%s[", f->buf_name[buf->index]);
	c_expr_print(f, s, index, PREC_TERNARY);
	str_putc(s, ']');
}

static VectorKind
load_kind(const Expr *e)
{
	bool wide = load_elements_of_lane(e) > 1;

	switch (e->u.buf->elem) {
	case DT_F32: return VECTOR_LOAD_f32;
	case DT_I32: return VECTOR_LOAD_i32;
	case DT_I8: return wide ? VECTOR_WIDE_i8 : VECTOR_LOAD_i8;
	case DT_U8: return wide ? VECTOR_WIDE_u8 : VECTOR_LOAD_u8;
	case DT_I16: return wide ? VECTOR_WIDE_i16 : VECTOR_LOAD_i16;
	case DT_U16: return VECTOR_LOAD_u16;
	case DT_BOOL:
	case DT_U32:
	case DT_I64:
	case DT_U64:
	case DT_F16:
	case DT_BF16:
	case DT_F64:
	case DT_IDX:
	case DT_COUNT: break;
	}
	assert(0 && "no vectors of that type");
	return VECTOR_COUNT;
}

static VectorKind
store_kind(DType t)
{
	switch (t) {
	case DT_F32: return VECTOR_STORE_f32;
	case DT_I32: return VECTOR_STORE_i32;
	case DT_I8: return VECTOR_STORE_i8;
	case DT_U8: return VECTOR_STORE_u8;
	case DT_I16: return VECTOR_STORE_i16;
	case DT_U16: return VECTOR_STORE_u16;
	case DT_BOOL:
	case DT_U32:
	case DT_I64:
	case DT_U64:
	case DT_F16:
	case DT_BF16:
	case DT_F64:
	case DT_IDX:
	case DT_COUNT: break;
	}
	assert(0 && "no vectors of that type");
	return VECTOR_COUNT;
}

static void
put_load(CFunc *f, Str *s, const Expr *e)
{
	put_name(f, s, load_kind(e), e->lanes);
	put_place(f, s, e->u.buf, e->arg[0]);
	str_putc(s, ')');
}

/* Bytes as they are. */
static void
put_copy(CFunc *f, Str *s, const Stmt *st)
{
	f->file->uses.dot = true;
	str_printf(s, "%s(", helper_name(f->file, HELPER_COPY16, DT_I32, DT_I32));
	put_place(f, s, st->buf, st->index);
	str_puts(s, ", ");
	put_place(f, s, st->value->u.buf, st->value->arg[0]);
	str_puts(s, ");");
}

void
vector_store_print(CFunc *f, Str *s, const Stmt *st)
{
	const Expr *value = st->value;

	if (value->kind == E_LOAD && value->type == DT_I8) {
		put_copy(f, s, st);
		return;
	}
	/* The function for narrow elements converts them. */
	if (value->kind == E_CVT && st->buf->elem != DT_F32)
		value = value->arg[0];
	put_name(f, s, store_kind(st->buf->elem), value->lanes);
	put_place(f, s, st->buf, st->index);
	str_puts(s, ", ");
	c_expr_print(f, s, value, PREC_TERNARY);
	str_puts(s, ");");
}

static VectorKind
kop_kind(KOp op, DType t)
{
#define BOTH(id) [KOP_##id] = {VECTOR_##id##_f32, VECTOR_##id##_i32}
#define INT(id) [KOP_##id] = {VECTOR_COUNT, VECTOR_##id##_i32}
	static const VectorKind kind[KOP_COUNT][2] = {
		BOTH(ADD), BOTH(SUB), BOTH(MUL), BOTH(MIN), BOTH(MAX), BOTH(NEG), BOTH(ABS),
		INT(AND), INT(OR), INT(XOR), INT(NOT), INT(SHL), INT(SHR),
		[KOP_DIV] = {VECTOR_DIV_f32, VECTOR_COUNT},
	};

	return kind[op][t == DT_I32];
}

static VectorKind
choice_kind(KOp op, DType t)
{
	static const VectorKind kind[KOP_COUNT][2] = {
		[KOP_LT] = {VECTOR_SELECT_LT_f32, VECTOR_SELECT_LT_i32},
		[KOP_LE] = {VECTOR_SELECT_LE_f32, VECTOR_SELECT_LE_i32},
		[KOP_GT] = {VECTOR_SELECT_LT_f32, VECTOR_SELECT_LT_i32}, /* operands exchanged */
		[KOP_GE] = {VECTOR_SELECT_LE_f32, VECTOR_SELECT_LE_i32},
		[KOP_EQ] = {VECTOR_SELECT_EQ_f32, VECTOR_SELECT_EQ_i32},
		[KOP_NE] = {VECTOR_SELECT_NE_f32, VECTOR_SELECT_NE_i32},
	};

	return kind[op][t == DT_I32];
}

static void
put_select(CFunc *f, Str *s, const Expr *e)
{
	const Expr *c = e->arg[0];
	bool exchanged = c->lanes && (c->op == KOP_GT || c->op == KOP_GE);

	if (c->lanes) {
		put_call(f, s, choice_kind(c->op, e->type), e->lanes, 4,
		         (Expr *[]){c->arg[exchanged], c->arg[!exchanged], e->arg[1], e->arg[2]});
		return;
	}
	str_putc(s, '(');
	c_expr_print(f, s, c, PREC_OR);
	str_puts(s, " ? ");
	c_expr_print(f, s, e->arg[1], PREC_OR);
	str_puts(s, " : ");
	c_expr_print(f, s, e->arg[2], PREC_TERNARY);
	str_putc(s, ')');
}

static void
put_kop(CFunc *f, Str *s, const Expr *e)
{
	if (e->op == KOP_ABS && e->type == DT_F32)
		helper_name(f->file, HELPER_ABS_FLOAT, DT_F32, DT_F32);
	if (e->op == KOP_SHR)
		f->file->uses.signed_shift = true;
	put_call(f, s, kop_kind(e->op, e->type), e->lanes, e->nargs, e->arg);
}

static void
put_packed(CFunc *f, Str *s, const Expr *e)
{
	static const VectorKind kind[POP_COUNT] = {
#define POP(id, name, result, n, a, b, c) [POP_##id] = VECTOR_##id,
#include "ir/loop/pops.def"
	};

	f->file->uses.signed_shift = true;
	put_call(f, s, kind[e->u.pop], e->lanes, e->nargs, e->arg);
}

void
vector_print(CFunc *f, Str *s, const Expr *e)
{
	switch (e->kind) {
	case E_LOAD: put_load(f, s, e); return;
	case E_KOP: put_kop(f, s, e); return;
	case E_SELECT: put_select(f, s, e); return;
	case E_PACKED: put_packed(f, s, e); return;
	case E_SPLAT:
		put_call(f, s, e->type == DT_F32 ? VECTOR_SPLAT_f32 : VECTOR_SPLAT_i32, e->lanes, 1,
		         e->arg);
		return;
	case E_CVT:
		/* What is loaded from narrow elements is converted. */
		if (e->type == DT_I32)
			put_load(f, s, e->arg[0]);
		else
			put_call(f, s, VECTOR_I32_TO_F32, e->lanes, 1, e->arg);
		return;
	case E_VAR:
	case E_CONST:
	case E_BITS:
	case E_CALL:
	case E_DOT: break;
	}
	assert(0 && "not an operation on vectors");
}
