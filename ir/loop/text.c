/*
 * The printer of the loop IR; ir/loop/text.h describes the text form.
 *
 * Anything can be printed, also what the verifier would reject.
 */
#include "ir/loop/text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ir/num.h"

int
kop_precedence(KOp op)
{
	switch (op) {
	case KOP_OR: return 1;
	case KOP_XOR: return 2;
	case KOP_AND: return 3;
	case KOP_EQ:
	case KOP_NE: return 4;
	case KOP_LT:
	case KOP_LE:
	case KOP_GT:
	case KOP_GE: return 5;
	case KOP_SHL:
	case KOP_SHR: return 6;
	case KOP_ADD:
	case KOP_SUB: return 7;
	case KOP_MUL:
	case KOP_DIV:
	case KOP_REM: return 8;
	case KOP_NEG:
	case KOP_NOT: return PREC_UNARY;
	case KOP_MIN:
	case KOP_MAX:
	case KOP_ABS:
	case KOP_COUNT: break;
	}
	return PREC_PRIMARY;
}

/* ---- Names ---- */

bool
text_is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static bool
is_bare(const char *name)
{
	if (!text_is_word_char(name[0]))
		return false;
	for (size_t i = 1; name[i]; i++) {
		bool inner_dot = name[i] == '.' && text_is_word_char(name[i + 1]);

		if (!text_is_word_char(name[i]) && !inner_dot)
			return false;
	}
	return true;
}

bool
text_is_reserved(const char *word, size_t length)
{
	static const char *const other[] = {"select", "true", "false", "inf", "nan", "wide", "dot"};

	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
		if (strlen(other[i]) == length && memcmp(other[i], word, length) == 0)
			return true;
	for (int i = 0; i < POP_COUNT; i++)
		if (strlen(pop_info[i].name) == length &&
		    memcmp(pop_info[i].name, word, length) == 0)
			return true;
	for (int i = 0; i < KOP_COUNT; i++)
		if (!kop_info[i].infix && strlen(kop_info[i].name) == length &&
		    memcmp(kop_info[i].name, word, length) == 0)
			return true;
	return (length > 4 && memcmp(word, "cvt.", 4) == 0) ||
	       (length > 6 && memcmp(word, "splat.", 6) == 0) ||
	       (length > 5 && memcmp(word, "bits.", 5) == 0);
}

static void
print_name(Str *s, char sigil, const char *name)
{
	str_putc(s, sigil);
	if (is_bare(name)) {
		str_puts(s, name);
		return;
	}
	str_putc(s, '"');
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c < ' ' || c == 0x7f)
			str_printf(s, "\\x%02x", c);
		else if (c == '"' || c == '\\')
			str_printf(s, "\\%c", c);
		else
			str_putc(s, *name);
	}
	str_putc(s, '"');
}

static void
print_var(Str *s, const LVar *v)
{
	print_name(s, '%', v ? v->name : "?");
}

static void
print_buf_name(Str *s, const LBuf *b)
{
	print_name(s, '%', b ? b->name : "?");
}

static const char *
type_name(DType t)
{
	return t < DT_COUNT ? dtype_info[t].name : "none";
}

/* ---- Literals ---- */

/* The bits of a constant as its element type has them. */
static uint64_t
float_bits(DType t, const Expr *e)
{
	float f = (float)e->u.f;
	uint32_t narrow;
	uint64_t wide;

	if (t == DT_F64) {
		memcpy(&wide, &e->u.f, sizeof wide);
		return wide;
	}
	if (t != DT_F32)
		return (uint16_t)e->u.i;
	memcpy(&narrow, &f, sizeof narrow);
	return narrow;
}

static uint64_t
plain_nan(DType t)
{
	return t == DT_F64   ? 0x7ff8000000000000
	       : t == DT_F32 ? 0x7fc00000
	       : t == DT_F16 ? 0x7e00
	                     : 0x7fc0;
}

/* A float without its type; true when it has to be written as bits. */
static bool
float_text(char text[NUM_TEXT], const Expr *e)
{
	double v = e->type == DT_F16    ? (double)num_half_to_float((uint16_t)e->u.i)
	           : e->type == DT_BF16 ? (double)num_bfloat_to_float((uint16_t)e->u.i)
	                                : e->u.f;

	if (e->type == DT_F64)
		num_double_text(text, v);
	else
		num_float_text(text, (float)v);
	return isnan(v) && float_bits(e->type, e) != plain_nan(e->type);
}

static void
print_float(Str *s, const Expr *e, bool typed)
{
	char text[NUM_TEXT];
	double v = e->u.f;

	if (float_text(text, e))
		str_printf(s, "0x%" PRIx64, float_bits(e->type, e));
	else
		str_puts(s, text);
	if (!typed || (e->type == DT_F64 && isfinite(v)))
		return;
	if (e->type == DT_F32 && isfinite(v))
		str_putc(s, 'f');
	else
		str_printf(s, ":%s", type_name(e->type));
}

/* Large unsigned numbers are mostly masks: hexadecimal. */
static void
print_int(Str *s, const Expr *e, bool typed)
{
	bool is_unsigned = e->type == DT_U64 || e->type == DT_U32;

	if (is_unsigned && (uint64_t)e->u.i > UINT16_MAX)
		str_printf(s, "0x%" PRIx64, (uint64_t)e->u.i);
	else
		str_printf(s, "%" PRId64, e->u.i);
	if (typed && e->type != DT_IDX)
		str_printf(s, ":%s", type_name(e->type));
}

static void
print_const(Str *s, const Expr *e, bool typed)
{
	if (e->type < DT_COUNT && dtype_is_float(e->type))
		print_float(s, e, typed);
	else if (e->type == DT_BOOL && typed)
		str_puts(s, e->u.i ? "true" : "false");
	else
		print_int(s, e, typed);
}

/* ---- Expressions ---- */

static void print_expr(Str *s, const Expr *e, int least);

static void
print_args(Str *s, const Expr *e)
{
	str_putc(s, '(');
	for (int i = 0; i < e->nargs; i++) {
		str_puts(s, i ? ", " : "");
		print_expr(s, e->arg[i], PREC_LOWEST);
	}
	str_putc(s, ')');
}

/* -x where x starts like a literal or with another minus needs parentheses to
 * be read as written. */
static bool
hides_minus(const Expr *e)
{
	return e && (e->kind == E_CONST || (e->kind == E_KOP && e->op == KOP_NEG));
}

static void
print_kop(Str *s, const Expr *e, int least)
{
	const KOpInfo *info = &kop_info[e->op];
	int prec = kop_precedence(e->op);

	if (!info->infix) {
		str_puts(s, info->name);
		print_args(s, e);
		return;
	}
	if (prec < least)
		str_putc(s, '(');
	if (info->arity == 1) {
		bool wrap = e->op == KOP_NEG && hides_minus(e->arg[0]);

		str_puts(s, info->infix);
		str_puts(s, wrap ? "(" : "");
		print_expr(s, e->arg[0], wrap ? PREC_LOWEST : PREC_UNARY);
		str_puts(s, wrap ? ")" : "");
	} else {
		print_expr(s, e->arg[0], prec);
		str_printf(s, " %s ", info->infix);
		print_expr(s, e->arg[1], prec + 1);
	}
	if (prec < least)
		str_putc(s, ')');
}

static void
print_call(Str *s, const Expr *e)
{
	const char *name = e->u.callee ? e->u.callee->name : "?";

	if (is_bare(name) && !text_is_reserved(name, strlen(name)) &&
	    !(name[0] >= '0' && name[0] <= '9'))
		str_puts(s, name);
	else
		print_name(s, '@', name);
	print_args(s, e);
}

/* [index], or of a vector [index, lanes]. */
static void
print_index(Str *s, const Expr *index, int lanes)
{
	str_putc(s, '[');
	print_expr(s, index, PREC_LOWEST);
	if (lanes)
		str_printf(s, ", %d", lanes);
	str_putc(s, ']');
}

static void
print_load(Str *s, const Expr *e)
{
	bool is_wide = e->u.buf && e->type != e->u.buf->elem;

	str_puts(s, is_wide ? "wide(" : "");
	print_buf_name(s, e->u.buf);
	print_index(s, e->arg[0], e->lanes);
	str_puts(s, is_wide ? ")" : "");
}

static void
print_expr(Str *s, const Expr *e, int least)
{
	if (!e) {
		str_putc(s, '?');
		return;
	}
	switch (e->kind) {
	case E_CONST: print_const(s, e, true); break;
	case E_VAR: print_var(s, e->u.var); break;
	case E_LOAD: print_load(s, e); break;
	case E_KOP: print_kop(s, e, least); break;
	case E_SELECT:
		str_puts(s, "select");
		print_args(s, e);
		break;
	case E_CVT:
	case E_BITS:
		str_printf(s, "%s.%s", e->kind == E_CVT ? "cvt" : "bits", type_name(e->type));
		print_args(s, e);
		break;
	case E_CALL: print_call(s, e); break;
	case E_SPLAT:
		str_printf(s, "splat.%d", e->lanes);
		print_args(s, e);
		break;
	case E_DOT:
		str_puts(s, "dot");
		print_args(s, e);
		break;
	case E_PACKED:
		str_puts(s, pop_info[e->u.pop].name);
		print_args(s, e);
		break;
	}
}

void
expr_print(Str *s, const Expr *e)
{
	print_expr(s, e, PREC_LOWEST);
}

/* ---- Statements ---- */

static void
print_declaration(Str *s, const LVar *v)
{
	str_puts(s, v && !v->is_const ? "var " : "let ");
	print_var(s, v);
	if (!v)
		return;
	str_printf(s, ": %s", type_name(v->type));
	if (v->lanes)
		str_printf(s, "x%d", v->lanes);
	if (v->type == DT_IDX && (v->lo != INT32_MIN || v->hi != INT32_MAX))
		str_printf(s, " in [%" PRId64 ", %" PRId64 "]", v->lo, v->hi);
}

static void
print_for_head(Str *s, const Stmt *f)
{
	str_puts(s, "for ");
	print_var(s, f->var);
	str_puts(s, " in ");
	expr_print(s, f->lo);
	str_puts(s, "..");
	expr_print(s, f->hi);
	if (f->step != 1)
		str_printf(s, " step %" PRId32, f->step);
	if (f->cond) {
		str_puts(s, " while ");
		expr_print(s, f->cond);
	}
}

/* One line whatever is in it. */
static void
print_comment(Str *s, const char *text)
{
	str_puts(s, *text ? "; " : ";");
	for (; *text; text++)
		str_putc(s, (unsigned char)*text < ' ' && *text != '\t' ? ' ' : *text);
}

void
stmt_print_head(Str *s, const Stmt *st)
{
	switch (st->kind) {
	case S_FOR: print_for_head(s, st); break;
	case S_IF:
		str_puts(s, "if ");
		expr_print(s, st->cond);
		break;
	case S_VAR:
		print_declaration(s, st->var);
		str_puts(s, " = ");
		expr_print(s, st->value);
		break;
	case S_SET:
		print_var(s, st->var);
		str_puts(s, " = ");
		expr_print(s, st->value);
		break;
	case S_STORE:
		print_buf_name(s, st->buf);
		print_index(s, st->index, st->value ? st->value->lanes : 0);
		str_puts(s, " = ");
		expr_print(s, st->value);
		break;
	case S_RETURN:
		str_puts(s, "return ");
		expr_print(s, st->value);
		break;
	case S_COMMENT: print_comment(s, st->text); break;
	}
}

static void
indent(Str *s, int depth)
{
	for (int i = 0; i < depth; i++)
		str_puts(s, "  ");
}

static void print_block(Str *s, const Stmt *st, int depth);

/* The one statement of an else branch when it is an if. */
static const Stmt *
else_if(const Stmt *st)
{
	const Stmt *other = st->other;

	return other && other->kind == S_IF && !other->next ? other : NULL;
}

static void
print_if(Str *s, const Stmt *st, int depth)
{
	for (const Stmt *next;; st = next) {
		stmt_print_head(s, st);
		str_puts(s, " {\n");
		print_block(s, st->body, depth + 1);
		indent(s, depth);
		next = else_if(st);
		if (!next)
			break;
		str_puts(s, "} else ");
	}
	if (st->other) {
		str_puts(s, "} else {\n");
		print_block(s, st->other, depth + 1);
		indent(s, depth);
	}
	str_puts(s, "}");
}

static void
print_block(Str *s, const Stmt *st, int depth)
{
	for (; st; st = st->next) {
		indent(s, depth);
		if (st->kind == S_IF)
			print_if(s, st, depth);
		else
			stmt_print_head(s, st);
		if (st->kind == S_FOR) {
			str_puts(s, " {\n");
			print_block(s, st->body, depth + 1);
			indent(s, depth);
			str_putc(s, '}');
		}
		str_putc(s, '\n');
	}
}

/* ---- Functions ---- */

static void
print_data(Str *s, const LBuf *b)
{
	str_puts(s, " = {");
	for (int32_t i = 0; i < b->count; i++) {
		Expr e = {.kind = E_CONST, .type = b->elem};

		if (b->elem == DT_F32 || b->elem == DT_F64)
			e.u.f = num_load(b->elem, b->data, (size_t)i);
		else if (b->elem == DT_F16 || b->elem == DT_BF16)
			e.u.i = num_load_int(DT_U16, b->data, (size_t)i);
		else
			e.u.i = num_load_int(b->elem, b->data, (size_t)i);
		str_puts(s, i ? ", " : "");
		print_const(s, &e, false);
	}
	str_putc(s, '}');
}

static void
print_buf(Str *s, const LBuf *b)
{
	static const char *const role[] = {
		[LBUF_IN] = "in", [LBUF_OUT] = "out", [LBUF_SCRATCH] = "scratch",
		[LBUF_LOCAL] = "local", [LBUF_TABLE] = "table"};

	print_name(s, '%', b->name);
	str_printf(s, ": %s[%" PRId32 "] %s", type_name(b->elem), b->count, role[b->role]);
	if (b->data && (b->count <= TEXT_MAX_DATA || b->role == LBUF_TABLE))
		print_data(s, b);
}

/* On one line when it is short, else one parameter a line. */
static void
print_bufs(Str *s, const LFunc *f)
{
	bool one_line = f->bufs.n <= 4;

	for (int i = 0; i < f->bufs.n; i++) {
		bool first = i == 0 && f->params.n == 0;

		str_puts(s, first ? "" : ",");
		str_puts(s, !one_line ? "\n    " : first ? "" : " ");
		print_buf(s, f->bufs.v[i]);
	}
}

void
lfunc_print(Str *s, const LFunc *f)
{
	str_puts(s, lfunc_is_scalar(f) ? "func " : "kernel ");
	print_name(s, '@', f->name);
	str_putc(s, '(');
	for (int i = 0; i < f->params.n; i++) {
		str_puts(s, i ? ", " : "");
		print_name(s, '%', f->params.v[i]->name);
		str_printf(s, ": %s", type_name(f->params.v[i]->type));
	}
	print_bufs(s, f);
	str_putc(s, ')');
	if (lfunc_is_scalar(f))
		str_printf(s, " -> %s", type_name(f->result));
	str_puts(s, " {\n");
	print_block(s, f->body, 1);
	str_puts(s, "}\n");
}
