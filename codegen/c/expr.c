/*
 * Expressions.
 *
 * An expression is printed as a C expression of the C type of its own type; a
 * bool is an int that is 0 or 1.  Constants may have a narrower type than that
 * where int has 16 bits; such weak operands are cast when nothing else in an
 * operation has the right width.
 *
 * Parentheses are minimal but for operators whose precedence compilers warn
 * about and people look up.
 */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "codegen/c/print.h"
#include "codegen/c/range.h"
#include "ir/num.h"

typedef enum { NONE, PLAIN, WRAP, CALL, DIVIDE, SHIFT, COMPARE, ITSELF, COMPLEMENT } Spelling;

static const struct {
	Spelling by_class[5]; /* DTypeClass */
	const char *operator;
	Prec prec;
} c_kop[] = {
#define CKOP(id, b, s, u, f, i, operator, prec) [KOP_##id] = {{b, s, u, f, i}, operator, prec},
#include "codegen/c/kops.def"
};
_Static_assert(sizeof c_kop / sizeof *c_kop == KOP_COUNT, "kops.def names every operation");

static Prec put_expr(CFunc *f, Str *s, const Expr *e);
static Prec put_unsigned(CFunc *f, Str *s, const Expr *e);

/* ---- Parentheses ---- */

/* Puts what was printed from `start` on into parentheses. */
static void
parenthesize(Str *s, size_t start)
{
	str_puts(s, "()");
	memmove(s->s + start + 1, s->s + start, s->n - 2 - start);
	s->s[start] = '(';
	s->s[s->n - 1] = ')';
}

typedef Prec PutFn(CFunc *f, Str *s, const Expr *e);

static void
put_operand(CFunc *f, Str *s, const Expr *e, Prec at_least, PutFn *put)
{
	size_t start = s->n;

	if (put(f, s, e) < at_least)
		parenthesize(s, start);
}

void
c_expr_print(CFunc *f, Str *s, const Expr *e, Prec at_least)
{
	put_operand(f, s, e, at_least, put_expr);
}

/* What the left and the right operand of a binary operator must be at least. */
static Prec
left_prec(Prec p)
{
	switch (p) {
	case PREC_ADD:
	case PREC_MUL: return p;
	case PREC_COMPARE: return PREC_ADD;
	case PREC_BIT:
	case PREC_SHIFT: return PREC_UNARY;
	case PREC_TERNARY:
	case PREC_OR:
	case PREC_AND:
	case PREC_UNARY:
	case PREC_CAST:
	case PREC_PRIMARY: break;
	}
	return PREC_PRIMARY;
}

static Prec
right_prec(Prec p)
{
	if (p == PREC_ADD)
		return PREC_MUL;
	return p == PREC_MUL ? PREC_UNARY : left_prec(p);
}

/* ---- Constants ---- */

static Prec
put_signed(Str *s, int64_t v)
{
	if (v == INT32_MIN || v == INT64_MIN) {
		str_puts(s, v == INT64_MIN ? "INT64_MIN" : "INT32_MIN");
		return PREC_PRIMARY;
	}
	str_printf(s, "%" PRId64, v);
	return v < 0 ? PREC_UNARY : PREC_PRIMARY;
}

/* Large ones are masks more often than numbers. */
static Prec
put_u(Str *s, uint64_t v)
{
	str_printf(s, v > UINT16_MAX ? "0x%" PRIx64 "u" : "%" PRIu64 "u", v);
	return PREC_PRIMARY;
}

static Prec
put_nonfinite(CFile *f, Str *s, DType t, double v)
{
	bool is_nan = isnan(v), minus = signbit(v);

	f->uses.nan = f->uses.nan || is_nan;
	f->uses.infinity = f->uses.infinity || !is_nan;
	str_printf(s, "%s%s%s_%s", t == DT_F64 ? "(double)" : "", minus ? "-" : "", f->upper,
	           is_nan ? "NAN" : "INFINITY");
	return minus ? PREC_UNARY : t == DT_F64 ? PREC_CAST : PREC_PRIMARY;
}

static Prec
put_float(CFile *f, Str *s, DType t, double v)
{
	char text[NUM_TEXT];

	if (!isfinite(v))
		return put_nonfinite(f, s, t, v);
	if (t == DT_F32) {
		str_write(s, text, (size_t)num_float_text(text, (float)v));
		str_putc(s, 'f');
	} else {
		str_write(s, text, (size_t)num_double_text(text, v));
	}
	return signbit(v) ? PREC_UNARY : PREC_PRIMARY;
}

static Prec
put_int(Str *s, DType t, int64_t v)
{
	switch (t) {
	case DT_U8:
	case DT_U16: str_printf(s, "%" PRId64, v); return PREC_PRIMARY;
	case DT_F16:
	case DT_BF16: str_printf(s, "0x%04" PRIx64, (uint64_t)v & 0xffff); return PREC_PRIMARY;
	case DT_U32: return put_u(s, (uint32_t)v);
	case DT_U64: return put_u(s, (uint64_t)v);
	case DT_BOOL: str_putc(s, v ? '1' : '0'); return PREC_PRIMARY;
	case DT_I8:
	case DT_I16:
	case DT_I32:
	case DT_I64:
	case DT_IDX: return put_signed(s, v);
	case DT_F32:
	case DT_F64:
	case DT_COUNT: break;
	}
	assert(0 && "not an integer");
	return PREC_PRIMARY;
}

void
const_print(CFile *f, Str *s, DType t, const void *data, size_t i)
{
	uint16_t half;

	switch (t) {
	case DT_F32:
	case DT_F64: put_float(f, s, t, num_load(t, data, i)); break;
	case DT_F16:
	case DT_BF16:
		memcpy(&half, (const char *)data + 2 * i, sizeof half);
		put_int(s, t, half);
		break;
	case DT_BOOL:
	case DT_I8:
	case DT_U8:
	case DT_I16:
	case DT_U16:
	case DT_I32:
	case DT_U32:
	case DT_I64:
	case DT_U64:
	case DT_IDX: put_int(s, t, num_load_int(t, data, i)); break;
	case DT_COUNT: break;
	}
}

static bool
is_float(DType t)
{
	return t == DT_F32 || t == DT_F64;
}

static Prec
put_const(CFunc *f, Str *s, const Expr *e)
{
	return is_float(e->type) ? put_float(f->file, s, e->type, e->u.f)
	                         : put_int(s, e->type, e->u.i);
}

static bool
is_int_const(const Expr *e, int64_t v)
{
	return e->kind == E_CONST && !is_float(e->type) && e->u.i == v;
}

/* Conversions between integers, and abs of unsigned ones. */
static bool
is_int_conversion(const Expr *e)
{
	if (e->kind == E_KOP)
		return e->op == KOP_ABS && dtype_info[e->type].class == CLASS_UNSIGNED;
	return (e->kind == E_CVT || e->kind == E_BITS) && e->type != DT_BOOL &&
	       !dtype_is_float(e->type) && !dtype_is_float(e->arg[0]->type);
}

/* Integers whose C type may be narrower than their type: constants, and what
 * may be printed as they are. */
static bool
is_weak(const Expr *e)
{
	if (is_float(e->type))
		return false;
	if (e->kind == E_SELECT)
		return is_weak(e->arg[1]) && is_weak(e->arg[2]);
	return e->kind == E_CONST || (is_int_conversion(e) && is_weak(e->arg[0]));
}

/* Whether the exact result of a signed operation is in the range of its type, so
 * that it needs no wrapping. */
static bool
cannot_wrap(const Expr *e)
{
	CRange x = c_range(e->arg[0]), y = c_range(e->arg[e->nargs - 1]);
	bool small = x.lo >= INT16_MIN && x.hi <= INT16_MAX && y.lo >= INT16_MIN && y.hi <= INT16_MAX;

	if (e->op == KOP_ADD || e->op == KOP_SUB || e->op == KOP_MUL)
		return small && !(is_weak(e->arg[0]) && is_weak(e->arg[1]));
	return false;
}

/* ---- Operations ---- */

static const char *
c_type(const Expr *e)
{
	return e->type == DT_BOOL ? "int" : dtype_info[e->type].c_type;
}

static void
put_cast(CFunc *f, Str *s, const char *type, const Expr *e, PutFn *put)
{
	str_printf(s, "(%s)", type);
	put_operand(f, s, e, PREC_CAST, put);
}

/* What is below conversions between integers. */
static const Expr *
unconverted(const Expr *e)
{
	while (is_int_conversion(e))
		e = e->arg[0];
	return e;
}

/* Whether e is a narrow signed integer or a truth value, widened. */
static bool
is_widened(const Expr *e)
{
	if (is_int_conversion(e) && e->type != DT_I8 && e->type != DT_I16)
		return is_widened(e->arg[0]);
	if (e->kind == E_SELECT)
		return is_widened(e->arg[1]) || is_widened(e->arg[2]);
	if (e->kind == E_KOP && e->type != DT_BOOL)
		return is_widened(e->arg[0]) || is_widened(e->arg[e->nargs - 1]);
	return e->type == DT_I8 || e->type == DT_I16 || e->type == DT_BOOL;
}

/* Whether an unsigned value of 32 bits goes into e. */
static bool
comes_from_u32(const Expr *e)
{
	if (e->type == DT_U32)
		return true;
	for (int i = 0; i < e->nargs; i++)
		if ((e->kind == E_KOP || e->kind == E_CVT || e->kind == E_BITS) &&
		    comes_from_u32(e->arg[i]))
			return true;
	return false;
}

/* gcc 12 believes that an unsigned value and a widened negative one give
 * something signed, and warns about it; not so when zero is added first. */
static bool
needs_zero_added(const Expr *x, const Expr *y)
{
	return dtype_info[y->type].bytes == 4 && is_widened(y) && comes_from_u32(x);
}

/* x op y, where both may be weak. */
static Prec
put_infix(CFunc *f, Str *s, const Expr *x, const Expr *y, KOp op, const char *type, PutFn *put)
{
	Prec prec = c_kop[op].prec;

	if (is_weak(x) && is_weak(y))
		put_cast(f, s, type, x, put);
	else
		put_operand(f, s, x, left_prec(prec), put);
	/* Adding a negative index is subtracting. */
	if (y->kind == E_CONST && y->type == DT_IDX && y->u.i < 0 && y->u.i > INT32_MIN &&
	    prec == PREC_ADD) {
		str_printf(s, " %c %" PRId64, op == KOP_ADD ? '-' : '+', -y->u.i);
		return prec;
	}
	str_printf(s, " %s ", c_kop[op].operator);
	if ((put == put_unsigned || y->type == DT_U32) && needs_zero_added(x, y)) {
		str_puts(s, "(uint32_t)(");
		c_expr_print(f, s, y, PREC_ADD);
		str_puts(s, " + 0)");
	} else {
		put_operand(f, s, y, right_prec(prec), put);
	}
	return prec;
}

static Prec
put_logic(CFunc *f, Str *s, const Expr *e)
{
	Prec prec = e->op == KOP_AND ? PREC_AND : PREC_OR;

	if (e->op == KOP_NOT) {
		str_putc(s, '!');
		c_expr_print(f, s, e->arg[0], PREC_PRIMARY);
		return PREC_UNARY;
	}
	if (e->op == KOP_XOR && expr_equal(e->arg[0], e->arg[1])) {
		str_putc(s, '0');
		return PREC_PRIMARY;
	}
	if (e->op == KOP_XOR) {
		c_expr_print(f, s, e->arg[0], PREC_PRIMARY);
		str_puts(s, " != ");
		c_expr_print(f, s, e->arg[1], PREC_PRIMARY);
		return PREC_COMPARE;
	}
	for (int i = 0; i < 2; i++) {
		const Expr *x = e->arg[i];
		bool same = x->kind == E_KOP && x->type == DT_BOOL && x->op == e->op;

		if (i)
			str_puts(s, e->op == KOP_AND ? " && " : " || ");
		c_expr_print(f, s, x, same && i == 0 ? prec : PREC_COMPARE);
	}
	return prec;
}

static Prec
put_unary(CFunc *f, Str *s, const Expr *e)
{
	/* Compilers take ~ of a truth value for a mistake. */
	if (e->op == KOP_NOT && unconverted(e->arg[0])->type == DT_BOOL) {
		c_expr_print(f, s, e->arg[0], PREC_UNARY);
		str_printf(s, " ^ %s",
		           dtype_info[e->type].class == CLASS_SIGNED ? "-1"
		           : dtype_info[e->type].bytes == 4          ? "0xffffffffu"
		                                                     : "0xffffffffffffffffu");
		return PREC_BIT;
	}
	str_puts(s, c_kop[e->op].operator);
	if (is_weak(e->arg[0]))
		put_cast(f, s, c_type(e), e->arg[0], put_expr);
	else
		c_expr_print(f, s, e->arg[0], PREC_CAST);
	return PREC_UNARY;
}

static Prec
put_call(CFunc *f, Str *s, const char *name, const Expr *e)
{
	str_printf(s, "%s(", name);
	for (int i = 0; i < e->nargs; i++) {
		if (i)
			str_puts(s, ", ");
		c_expr_print(f, s, e->arg[i], PREC_TERNARY);
	}
	str_putc(s, ')');
	return PREC_PRIMARY;
}

static HelperKind
helper_of(const Expr *e)
{
	bool is_unsigned = dtype_info[e->type].class == CLASS_UNSIGNED;

	switch ((int)e->op) {
	case KOP_MIN: return HELPER_MIN;
	case KOP_MAX: return HELPER_MAX;
	case KOP_ABS: return is_float(e->type) ? HELPER_ABS_FLOAT : HELPER_ABS_INT;
	case KOP_DIV: return is_unsigned ? HELPER_DIV_UNSIGNED : HELPER_DIV_SIGNED;
	case KOP_REM: return is_unsigned ? HELPER_REM_UNSIGNED : HELPER_REM_SIGNED;
	default: assert(0 && "not an operation with a helper"); return HELPER_COUNT;
	}
}

static Prec
put_helper_call(CFunc *f, Str *s, const Expr *e)
{
	return put_call(f, s, helper_name(f->file, helper_of(e), e->type, e->type), e);
}

/* Integers: the divisor decides. */
static Prec
put_division(CFunc *f, Str *s, const Expr *e)
{
	const Expr *y = e->arg[1];

	if (y->kind != E_CONST || is_int_const(y, 0) ||
	    (is_int_const(y, -1) && dtype_info[e->type].class == CLASS_SIGNED))
		return put_helper_call(f, s, e);
	return put_infix(f, s, e->arg[0], y, e->op, c_type(e), put_expr);
}

/* The count of a shift, modulo the width. */
static void
put_count(CFunc *f, Str *s, const Expr *count)
{
	int mask = 8 * dtype_info[count->type].bytes - 1;

	if (count->kind == E_CONST) {
		str_printf(s, "%d", (int)(count->u.i & mask));
		return;
	}
	str_putc(s, '(');
	c_expr_print(f, s, count, PREC_UNARY);
	str_printf(s, " & %d%s)", mask, dtype_info[count->type].class == CLASS_UNSIGNED ? "u" : "");
}

static Prec
put_shift(CFunc *f, Str *s, const Expr *e, PutFn *put, const char *type)
{
	if (dtype_info[e->type].class == CLASS_SIGNED && e->op == KOP_SHR)
		f->file->uses.signed_shift = true;
	if (is_weak(e->arg[0]))
		put_cast(f, s, type, e->arg[0], put);
	else
		put_operand(f, s, e->arg[0], PREC_UNARY, put);
	str_printf(s, " %s ", c_kop[e->op].operator);
	put_count(f, s, e->arg[1]);
	return PREC_SHIFT;
}

/* ---- Comparisons ---- */

static Prec
put_comparison(CFunc *f, Str *s, const Expr *e)
{
	int known = c_decided(e);
	/* Comparisons of truth values look like mistakes without parentheses. */
	Prec operand = e->arg[0]->type == DT_BOOL ? PREC_PRIMARY : PREC_ADD;

	if (known >= 0) {
		str_putc(s, known ? '1' : '0');
		return PREC_PRIMARY;
	}
	c_expr_print(f, s, e->arg[0], operand);
	str_printf(s, " %s ", c_kop[e->op].operator);
	c_expr_print(f, s, e->arg[1], operand);
	return PREC_COMPARE;
}

/* ---- Wrapping arithmetic of signed integers ---- */

/* The value of a signed expression as the unsigned type of its size. */
static Prec
put_unsigned(CFunc *f, Str *s, const Expr *e)
{
	const char *type = unsigned_type(e->type);

	if (e->kind == E_KOP && !cannot_wrap(e)) {
		switch ((int)e->op) {
		case KOP_ADD:
		case KOP_SUB:
		case KOP_MUL: return put_infix(f, s, e->arg[0], e->arg[1], e->op, type, put_unsigned);
		case KOP_NEG:
			str_puts(s, "0u - ");
			if (is_weak(e->arg[0]))
				put_cast(f, s, type, e->arg[0], put_unsigned);
			else
				put_operand(f, s, e->arg[0], PREC_MUL, put_unsigned);
			return PREC_ADD;
		case KOP_SHL: return put_shift(f, s, e, put_unsigned, type);
		default: break;
		}
	}
	if (e->kind == E_CONST && e->u.i >= 0)
		return put_u(s, (uint64_t)e->u.i);
	/* Conversions between integers keep the low bits, so one of them is enough. */
	if (e->kind == E_CVT && dtype_info[e->arg[0]->type].class != CLASS_FLOAT)
		put_cast(f, s, type, e->arg[0], put_expr);
	else if (e->kind == E_BITS && !is_float(e->arg[0]->type))
		return put_expr(f, s, e->arg[0]);
	else
		put_cast(f, s, type, e, put_expr);
	return PREC_CAST;
}

static Prec
put_wrapped(CFunc *f, Str *s, const Expr *e)
{
	if (cannot_wrap(e))
		return put_infix(f, s, e->arg[0], e->arg[1], e->op, c_type(e), put_expr);
	put_cast(f, s, c_type(e), e, put_unsigned);
	return PREC_CAST;
}

static Prec
put_kop(CFunc *f, Str *s, const Expr *e)
{
	DTypeClass class = dtype_info[e->arg[0]->type].class;

	switch (c_kop[e->op].by_class[class]) {
	case PLAIN:
		if (class == CLASS_BOOL)
			return put_logic(f, s, e);
		if (e->nargs == 1)
			return put_unary(f, s, e);
		return put_infix(f, s, e->arg[0], e->arg[1], e->op, c_type(e), put_expr);
	case WRAP: return put_wrapped(f, s, e);
	case CALL: return put_helper_call(f, s, e);
	case DIVIDE: return put_division(f, s, e);
	case SHIFT: return put_shift(f, s, e, put_expr, c_type(e));
	case COMPARE: return put_comparison(f, s, e);
	case ITSELF: return put_expr(f, s, e->arg[0]);
	case COMPLEMENT:
		str_puts(s, "0u - ");
		if (is_weak(e->arg[0]))
			put_cast(f, s, c_type(e), e->arg[0], put_expr);
		else
			c_expr_print(f, s, e->arg[0], PREC_MUL);
		return PREC_ADD;
	case NONE: break;
	}
	assert(0 && "operation on a type that it does not have");
	return PREC_PRIMARY;
}

/* ---- Conversions ---- */

/* Prints `e` as a float or double: half types are widened, others as they are;
 * returns the type. */
static DType
put_widened(CFunc *f, Str *s, const Expr *e)
{
	DType t = e->type;

	if (t != DT_F16 && t != DT_BF16) {
		c_expr_print(f, s, e, PREC_TERNARY);
		return t;
	}
	str_printf(s, "%s(", helper_name(f->file, t == DT_F16 ? HELPER_F16_TO_F32 : HELPER_BF16_TO_F32,
	                                 DT_F32, DT_F32));
	c_expr_print(f, s, e, PREC_TERNARY);
	str_putc(s, ')');
	return DT_F32;
}

static Prec
put_cvt_bool(CFunc *f, Str *s, const Expr *x)
{
	DType t = x->type;

	if (t == DT_F16 || t == DT_BF16) {
		str_putc(s, '(');
		c_expr_print(f, s, x, PREC_UNARY);
		str_puts(s, " & 0x7fff) != 0");
		return PREC_COMPARE;
	}
	if (!is_float(t) && c_never_zero(x)) {
		str_putc(s, '1');
		return PREC_PRIMARY;
	}
	c_expr_print(f, s, x, PREC_ADD);
	str_puts(s, t == DT_F32   ? " != 0.0f"
	            : t == DT_F64 ? " != 0.0"
	                          : " != 0");
	if (dtype_info[t].class == CLASS_UNSIGNED)
		str_putc(s, 'u');
	return PREC_COMPARE;
}

static Prec
put_cvt_half(CFunc *f, Str *s, DType to, const Expr *x)
{
	static const HelperKind odd[] = {[CLASS_BOOL] = HELPER_U64_TO_ODD,
	                                 [CLASS_SIGNED] = HELPER_I64_TO_ODD,
	                                 [CLASS_UNSIGNED] = HELPER_U64_TO_ODD,
	                                 [CLASS_FLOAT] = HELPER_F64_TO_ODD,
	                                 [CLASS_INDEX] = HELPER_I64_TO_ODD};
	DTypeClass class = dtype_info[x->type].class;
	bool inexact = class != CLASS_FLOAT || x->type == DT_F64;

	str_printf(s, "%s(", helper_name(f->file, to == DT_F16 ? HELPER_F32_TO_F16 : HELPER_F32_TO_BF16,
	                                 DT_F32, DT_F32));
	if (inexact)
		str_printf(s, "%s(", helper_name(f->file, odd[class], DT_F32, DT_F32));
	if (odd[class] == HELPER_U64_TO_ODD)
		put_cast(f, s, "uint64_t", x, put_expr);
	else
		put_widened(f, s, x);
	str_puts(s, inexact ? "))" : ")");
	return PREC_PRIMARY;
}

static Prec
put_float_to_int(CFunc *f, Str *s, DType to, const Expr *x)
{
	DType from = x->type == DT_F64 ? DT_F64 : DT_F32;
	bool is_unsigned = dtype_info[to].class == CLASS_UNSIGNED;
	bool is_i32 = from == DT_F32 && (to == DT_I32 || to == DT_IDX);

	str_printf(s, "%s(",
	           is_i32 ? helper_name(f->file, HELPER_F32_TO_I32, DT_I32, DT_F32)
	                  : helper_name(f->file, is_unsigned ? HELPER_TO_UNSIGNED : HELPER_TO_SIGNED,
	                                to, from));
	put_widened(f, s, x);
	str_putc(s, ')');
	return PREC_PRIMARY;
}

static Prec
put_cvt(CFunc *f, Str *s, const Expr *e)
{
	const Expr *x = e->arg[0];
	bool from_half = x->type == DT_F16 || x->type == DT_BF16;

	if (e->type == DT_BOOL)
		return put_cvt_bool(f, s, x);
	if (e->type == DT_F16 || e->type == DT_BF16)
		return put_cvt_half(f, s, e->type, x);
	if (dtype_is_float(x->type) && !is_float(e->type))
		return put_float_to_int(f, s, e->type, x);
	if (from_half) {
		if (e->type == DT_F64)
			str_puts(s, "(double)");
		put_widened(f, s, x);
		return e->type == DT_F64 ? PREC_CAST : PREC_PRIMARY;
	}
	/* i32 and idx are the same in C. */
	if (x->type != DT_BOOL && strcmp(dtype_info[e->type].c_type, dtype_info[x->type].c_type) == 0)
		return put_expr(f, s, x);
	if (dtype_info[x->type].class == CLASS_SIGNED &&
	    strcmp(c_type(e), unsigned_type(x->type)) == 0 && dtype_info[x->type].bytes >= 4)
		return put_unsigned(f, s, x);
	put_cast(f, s, c_type(e), x, put_expr);
	return PREC_CAST;
}

static Prec
put_bits(CFunc *f, Str *s, const Expr *e)
{
	const Expr *x = e->arg[0];
	bool is_signed = dtype_info[e->type].class == CLASS_SIGNED;

	if (is_float(e->type)) {
		str_printf(s, "%s(", helper_name(f->file, HELPER_FROM_BITS, e->type, e->type));
		if (dtype_info[x->type].class == CLASS_SIGNED)
			put_unsigned(f, s, x);
		else
			put_expr(f, s, x);
		str_putc(s, ')');
		return PREC_PRIMARY;
	}
	if (is_float(x->type)) {
		if (is_signed)
			str_printf(s, "(%s)", c_type(e));
		put_call(f, s, helper_name(f->file, HELPER_BITS_OF, x->type, x->type), e);
		return is_signed ? PREC_CAST : PREC_PRIMARY;
	}
	if (!is_signed)
		return put_unsigned(f, s, x);
	put_cast(f, s, c_type(e), x, put_expr);
	return PREC_CAST;
}

/* ---- All of them ---- */

static Prec
put_select(CFunc *f, Str *s, const Expr *e)
{
	c_expr_print(f, s, e->arg[0], PREC_OR);
	str_puts(s, " ? ");
	c_expr_print(f, s, e->arg[1], PREC_OR);
	str_puts(s, " : ");
	c_expr_print(f, s, e->arg[2], PREC_TERNARY);
	return PREC_TERNARY;
}

static Prec
put_packed(CFunc *f, Str *s, const Expr *e)
{
	static const HelperKind helper[POP_COUNT] = {
#define POP(id, name, result, n, a, b, c) [POP_##id] = HELPER_##id,
#include "ir/loop/pops.def"
	};

	f->file->uses.packed = true;
	f->file->uses.signed_shift = true;
	return put_call(f, s, helper_name(f->file, helper[e->u.pop], DT_I32, DT_I32), e);
}

static Prec
put_dot(CFunc *f, Str *s, const Expr *e)
{
	HelperKind kind = e->arg[1]->type == DT_I32 ? HELPER_DOT16_WORDS : HELPER_DOT16;

	f->file->uses.dot = true;
	str_printf(s, "%s(", helper_name(f->file, kind, DT_I32, DT_I32));
	c_expr_print(f, s, e->arg[0], PREC_TERNARY);
	for (int i = 1; i <= 2; i++) {
		const LBuf *buf = e->arg[i]->u.buf;

		f->buf_used[buf->index] = true;
		str_printf(s, ", &%s[", f->buf_name[buf->index]);
		c_expr_print(f, s, e->arg[i]->arg[0], PREC_TERNARY);
		str_putc(s, ']');
	}
	str_putc(s, ')');
	return PREC_PRIMARY;
}

static Prec
put_wide_load(CFunc *f, Str *s, const Expr *e)
{
	HelperKind helper = load_elements_of_lane(e) == 4 ? HELPER_WIDE_8 : HELPER_WIDE_16;
	DType elem = e->u.buf->elem;

	str_printf(s, "%s(&%s[", helper_name(f->file, helper, elem, elem),
	           f->buf_name[e->u.buf->index]);
	c_expr_print(f, s, e->arg[0], PREC_TERNARY);
	str_puts(s, "])");
	return PREC_PRIMARY;
}

static Prec
put_load(CFunc *f, Str *s, const Expr *e)
{
	f->buf_used[e->u.buf->index] = true;
	if (load_elements_of_lane(e) > 1)
		return put_wide_load(f, s, e);
	str_printf(s, "%s[", f->buf_name[e->u.buf->index]);
	c_expr_print(f, s, e->arg[0], PREC_TERNARY);
	str_putc(s, ']');
	if (e->type != DT_BOOL)
		return PREC_PRIMARY;
	/* Callers may pass any uint8_t. */
	str_puts(s, " != 0");
	return PREC_COMPARE;
}

static Prec
put_expr(CFunc *f, Str *s, const Expr *e)
{
	f->file->uses.floats = f->file->uses.floats || is_float(e->type);
	f->file->uses.doubles = f->file->uses.doubles || e->type == DT_F64;
	if (e->lanes && e->kind != E_VAR) {
		vector_print(f, s, e);
		return PREC_PRIMARY;
	}
	switch (e->kind) {
	case E_CONST: return put_const(f, s, e);
	case E_VAR:
		f->var_used[e->u.var->index] = true;
		str_puts(s, f->var_name[e->u.var->index]);
		return PREC_PRIMARY;
	case E_LOAD: return put_load(f, s, e);
	case E_KOP: return put_kop(f, s, e);
	case E_SELECT: return put_select(f, s, e);
	case E_CVT: return put_cvt(f, s, e);
	case E_BITS: return put_bits(f, s, e);
	case E_CALL: return put_call(f, s, scalar_name(f->file, e->u.callee), e);
	case E_PACKED: return put_packed(f, s, e);
	case E_DOT: return put_dot(f, s, e);
	case E_SPLAT: break;
	}
	assert(0 && "not an expression");
	return PREC_PRIMARY;
}
