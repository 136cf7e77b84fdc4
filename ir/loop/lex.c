#include "ir/loop/lex.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/loop/text.h"
#include "ir/num.h"

/* Longest number that is read: a double may need 767 digits to be exact. */
enum { MAX_NUMBER = 1100 };

/* A snippet below an error shows at most this much before and behind the caret. */
enum { SNIPPET_SIDE = 60 };

/* ---- Errors ---- */

/* The line of `at`, shortened around it, without control characters. */
static char *
snippet_of(const Lexer *x, const char *at, int *caret)
{
	const char *from = at, *to = at;
	char *line;

	while (from > x->text && from[-1] != '\n' && at - from < SNIPPET_SIDE)
		from--;
	while (to < x->end && *to != '\n' && to - at < SNIPPET_SIDE)
		to++;
	line = arena_strndup(x->arena, from, (size_t)(to - from));
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	*caret = (int)(at - from);
	return line;
}

static Loc
place_of(const Lexer *x, const char *at)
{
	Loc loc = {.file = x->file, .line = 1, .column = 1};
	const char *line = x->text;

	for (const char *c = x->text; c < at; c++)
		if (*c == '\n') {
			loc.line++;
			line = c + 1;
		}
	loc.column += (int)(at - line);
	return loc;
}

bool
lex_fail(Lexer *x, const Token *at, DiagCode code, const char *format, ...)
{
	int caret, length = at->n > SNIPPET_SIDE ? SNIPPET_SIDE : at->n ? (int)at->n : 1;
	va_list args;
	char *text, *line;
	Loc loc;

	if (x->failed)
		return false;
	line = snippet_of(x, at->s, &caret);
	loc = place_of(x, at->s);
	va_start(args, format);
	text = arena_vprintf(x->arena, format, args);
	va_end(args);
	diag_report_at(x->diag, &loc, code, line, caret, length, "%s", text);
	x->failed = true;
	x->p = x->end;
	x->tok = (Token){.kind = T_END, .s = x->end, .name = ""};
	return false;
}

/* ---- Tokens ---- */

static bool
at_word_char(const Lexer *x, const char *p)
{
	return p < x->end && text_is_word_char(*p);
}

static bool
is_digit(const Lexer *x, const char *p)
{
	return p < x->end && *p >= '0' && *p <= '9';
}

/* The end of a word; dots inside belong to it. */
static const char *
word_end(const Lexer *x, const char *p)
{
	while (at_word_char(x, p) || (p < x->end && *p == '.' && at_word_char(x, p + 1)))
		p++;
	return p;
}

static const char *
digits_end(const Lexer *x, const char *p)
{
	while (is_digit(x, p))
		p++;
	return p;
}

static bool
is_hex_digit(const Lexer *x, const char *p)
{
	return is_digit(x, p) ||
	       (p < x->end && ((*p >= 'a' && *p <= 'f') || (*p >= 'A' && *p <= 'F')));
}

static const char *
number_end(const Lexer *x, const char *p)
{
	bool hex = *p == '0' && p + 1 < x->end && p[1] == 'x';
	char exponent = hex ? 'p' : 'e';

	p += hex ? 2 : 0;
	while (hex ? is_hex_digit(x, p) : is_digit(x, p))
		p++;
	if (p < x->end && *p == '.' && (hex ? is_hex_digit(x, p + 1) : is_digit(x, p + 1)))
		for (p++; hex ? is_hex_digit(x, p) : is_digit(x, p);)
			p++;
	if (p < x->end && *p == exponent) {
		p++;
		if (p < x->end && (*p == '-' || *p == '+'))
			p++;
		p = digits_end(x, p);
	}
	while (at_word_char(x, p)) /* a suffix, or what should not be there */
		p++;
	return p;
}

static int
hex_value(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Reads "…" from the quote on; the token covers it afterwards. */
static bool
quoted_name(Lexer *x, const char *p)
{
	Str s;

	str_init(&s, x->arena);
	for (p++; p < x->end && *p != '"'; p++) {
		char c = *p;

		x->tok.n = (size_t)(p - x->tok.s);
		if (c == '\n' || c == '\0')
			break;
		if (c == '\\' && p + 3 < x->end && p[1] == 'x' && is_hex_digit(x, p + 2) &&
		    is_hex_digit(x, p + 3)) {
			c = (char)(hex_value(p[2]) * 16 + hex_value(p[3]));
			p += 3;
		} else if (c == '\\' && p + 1 < x->end && (p[1] == '"' || p[1] == '\\')) {
			c = *++p;
		} else if (c == '\\') {
			return lex_fail(x, &x->tok, E_SYNTAX, "unknown escape in a name");
		}
		if (c == '\0')
			return lex_fail(x, &x->tok, E_SYNTAX, "a name cannot contain \\x00");
		str_putc(&s, c);
	}
	if (p >= x->end || *p != '"')
		return lex_fail(x, &x->tok, E_SYNTAX, "a name without closing quote");
	x->tok.name = s.s;
	x->p = p + 1;
	return true;
}

/* %name or @name, when a name follows. */
static bool
sigil_name(Lexer *x)
{
	const char *p = x->tok.s + 1;

	if (p >= x->end || (*p != '"' && !text_is_word_char(*p)))
		return false;
	x->tok.kind = *x->tok.s == '%' ? T_VAR : T_FUNC;
	if (*p == '"')
		return quoted_name(x, p) || true;
	x->p = word_end(x, p);
	x->tok.name = arena_strndup(x->arena, p, (size_t)(x->p - p));
	return true;
}

static void
comment(Lexer *x)
{
	const char *from = x->tok.s + 1, *to;
	const char *newline = memchr(from, '\n', (size_t)(x->end - from));
	char *text;

	to = newline ? newline : x->end;
	if (from < to && *from == ' ')
		from++;
	x->p = to;
	x->tok.kind = T_COMMENT;
	text = arena_strndup(x->arena, from, (size_t)(to - from));
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' && *c != '\t')
			*c = ' ';
	x->tok.name = text;
}

static void
punctuation(Lexer *x)
{
	static const char two[][3] = {"->", "..", "<<", ">>", "<=", ">=", "==", "!="};
	static const char one[] = "()[]{}:,=+-*/%&|^~<>";
	const char *p = x->tok.s;

	x->tok.kind = T_PUNCT;
	x->tok.n = 1;
	x->p = p + 1;
	for (size_t i = 0; i < sizeof two / sizeof two[0]; i++)
		if (p + 1 < x->end && memcmp(p, two[i], 2) == 0) {
			x->p = p + 2;
			return;
		}
	if (*p == '\0' || !strchr(one, *p))
		lex_fail(x, &x->tok, E_SYNTAX, "this character has no meaning here");
}

static void
skip_blanks(Lexer *x)
{
	const char *p = x->p;

	while (p < x->end) {
		if (*p == '#') {
			while (p < x->end && *p != '\n')
				p++;
		} else if (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r') {
			p++;
		} else {
			break;
		}
	}
	x->p = p;
}

void
lex_next(Lexer *x)
{
	const char *p;

	skip_blanks(x);
	p = x->p;
	x->tok = (Token){.kind = T_END, .s = p, .name = ""};
	if (p >= x->end)
		return;
	if (*p == ';') {
		comment(x);
	} else if (is_digit(x, p)) {
		x->tok.kind = T_NUMBER;
		x->p = number_end(x, p);
	} else if (text_is_word_char(*p)) {
		x->tok.kind = T_WORD;
		x->p = word_end(x, p);
	} else if ((*p != '%' && *p != '@') || !sigil_name(x)) {
		punctuation(x);
	}
	if (!x->failed)
		x->tok.n = (size_t)(x->p - p);
}

void
lex_init(Lexer *x, Arena *a, const char *file, const char *text, size_t length, Diag *d)
{
	*x = (Lexer){.arena = a, .diag = d, .file = file, .text = text, .end = text + length};
	x->p = text;
	lex_next(x);
}

bool
lex_is(const Lexer *x, const char *s)
{
	return (x->tok.kind == T_WORD || x->tok.kind == T_PUNCT) && strlen(s) == x->tok.n &&
	       memcmp(s, x->tok.s, x->tok.n) == 0;
}

bool
lex_accept(Lexer *x, const char *s)
{
	if (!lex_is(x, s))
		return false;
	lex_next(x);
	return true;
}

bool
lex_expect(Lexer *x, const char *s)
{
	if (lex_accept(x, s))
		return true;
	return lex_fail(x, &x->tok, E_SYNTAX, "expected '%s'", s);
}

bool
lex_type(Lexer *x, DType *t)
{
	*t = x->tok.kind == T_WORD ? dtype_find(x->tok.s, x->tok.n) : DT_COUNT;
	if (*t == DT_COUNT)
		return lex_fail(x, &x->tok, E_SYNTAX, "expected an element type");
	lex_next(x);
	return true;
}

/* ---- Literals ---- */

bool
lex_at_literal(const Lexer *x)
{
	return x->tok.kind == T_NUMBER || lex_is(x, "inf") || lex_is(x, "nan") ||
	       lex_is(x, "true") || lex_is(x, "false");
}

static bool
is_hex(const Token *t)
{
	return t->n > 2 && t->s[0] == '0' && t->s[1] == 'x';
}

static bool
has_char(const Token *t, const char *any)
{
	for (size_t i = 0; i < t->n; i++)
		if (strchr(any, t->s[i]))
			return true;
	return false;
}

static bool
is_hex_float(const Token *t)
{
	return is_hex(t) && has_char(t, "p.");
}

static bool
has_f32_suffix(const Token *t)
{
	return t->kind == T_NUMBER && t->s[t->n - 1] == 'f' && (!is_hex(t) || is_hex_float(t));
}

/* The type that a literal without one has. */
static DType
type_of_literal(const Token *t)
{
	if (t->kind == T_WORD)
		return t->s[0] == 't' || t->s[0] == 'f' ? DT_BOOL : DT_COUNT;
	if (has_f32_suffix(t))
		return DT_F32;
	if (is_hex(t) ? is_hex_float(t) : has_char(t, ".e"))
		return DT_F64;
	return DT_IDX;
}

/* The token as an unsigned number, decimal or hexadecimal; false when it is not
 * one, and *fits false when it is too large. */
static bool
whole_number(const Token *t, uint64_t *value, bool *fits)
{
	unsigned base = is_hex(t) ? 16 : 10;
	uint64_t v = 0;

	*fits = true;
	for (size_t i = is_hex(t) ? 2 : 0; i < t->n; i++) {
		char c = t->s[i];
		bool digit = c >= '0' && c <= '9';
		bool letter = base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));

		if (!digit && !letter)
			return false;
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)hex_value(c), &v))
			*fits = false;
	}
	*value = v;
	return true;
}

static uint64_t
largest(DType t)
{
	int bits = dtype_info[t].bytes * 8;

	if (t == DT_BOOL)
		return 1;
	if (dtype_info[t].class != CLASS_UNSIGNED)
		bits--;
	return UINT64_MAX >> (64 - bits);
}

/* An integer in the range of its type; hexadecimal ones may be given as bits. */
static bool
int_literal(Lexer *x, const Token *t, bool negative, DType type, Expr *e)
{
	bool is_signed = dtype_info[type].class == CLASS_SIGNED || type == DT_IDX;
	uint64_t v, max = largest(type);
	bool fits;

	if (t->kind != T_NUMBER || !whole_number(t, &v, &fits))
		return lex_fail(x, t, E_SYNTAX, "not a number of type %s", dtype_info[type].name);
	if (fits && is_signed && is_hex(t) && !negative && v > max && v <= 2 * max + 1)
		v |= ~max; /* the sign bit is set */
	else if (!fits || v > max + (negative && is_signed) || (negative && !is_signed && v))
		return lex_fail(x, t, E_VALUE, "out of range of %s", dtype_info[type].name);
	e->u.i = (int64_t)(negative ? 0 - v : v);
	return true;
}

static bool
float_bits(Lexer *x, const Token *t, bool negative, DType type, Expr *e)
{
	uint64_t v;
	uint32_t low;
	float f;
	bool fits;

	if (negative || !whole_number(t, &v, &fits) || !fits ||
	    v > UINT64_MAX >> (64 - dtype_info[type].bytes * 8))
		return lex_fail(x, t, E_VALUE, "not the bits of a %s", dtype_info[type].name);
	if (type == DT_F64) {
		memcpy(&e->u.f, &v, sizeof v);
	} else if (type == DT_F32) {
		low = (uint32_t)v;
		memcpy(&f, &low, sizeof f);
		e->u.f = (double)f;
	} else {
		e->u.i = (int64_t)v;
	}
	return true;
}

static void
set_float(DType type, double v, Expr *e)
{
	if (type == DT_F16)
		e->u.i = num_float_to_half((float)v);
	else if (type == DT_BF16)
		e->u.i = num_float_to_bfloat((float)v);
	else
		e->u.f = v;
}

static bool
float_literal(Lexer *x, const Token *t, bool negative, DType type, Expr *e)
{
	char text[MAX_NUMBER + 1], *stop;
	size_t n = t->n - has_f32_suffix(t);
	double v;

	if (t->kind == T_WORD) {
		v = t->s[0] == 'i' ? HUGE_VAL : (double)NAN;
		set_float(type, negative ? -v : v, e);
		return true;
	}
	if (is_hex(t) && !is_hex_float(t))
		return float_bits(x, t, negative, type, e);
	if (n > MAX_NUMBER)
		return lex_fail(x, t, E_VALUE, "too many digits");
	memcpy(text, t->s, n);
	text[n] = '\0';
	v = type == DT_F64 ? strtod(text, &stop) : (double)strtof(text, &stop);
	if (*stop || (has_f32_suffix(t) && type != DT_F32))
		return lex_fail(x, t, E_SYNTAX, "not a number of type %s", dtype_info[type].name);
	if (isinf(v))
		return lex_fail(x, t, E_VALUE, "out of range of %s", dtype_info[type].name);
	set_float(type, negative ? -v : v, e);
	return true;
}

bool
lex_literal(Lexer *x, bool negative, DType type, Expr *e)
{
	Token t = x->tok;
	bool is_truth = lex_is(x, "true") || lex_is(x, "false");

	if (!lex_at_literal(x))
		return lex_fail(x, &x->tok, E_SYNTAX, "expected a number");
	lex_next(x);
	if (type == DT_COUNT)
		type = type_of_literal(&t);
	if (lex_accept(x, ":") && !lex_type(x, &type))
		return false;
	if (type == DT_COUNT)
		return lex_fail(x, &t, E_SYNTAX, "'%.*s' needs a type, as in inf:f32",
		                (int)t.n, t.s);
	e->kind = E_CONST;
	e->type = type;
	if (is_truth) {
		e->u.i = t.s[0] == 't';
		if (type != DT_BOOL || negative)
			return lex_fail(x, &t, E_SYNTAX, "a truth value is not a number");
		return true;
	}
	if (dtype_is_float(type))
		return float_literal(x, &t, negative, type, e);
	return int_literal(x, &t, negative, type, e);
}

bool
lex_int(Lexer *x, int64_t lo, int64_t hi, int64_t *value)
{
	Token t = x->tok;
	bool negative = lex_accept(x, "-");
	Expr e = {.kind = E_CONST};

	if (!lex_at_literal(x))
		return lex_fail(x, &x->tok, E_SYNTAX, "expected a whole number");
	if (!lex_literal(x, negative, DT_I64, &e))
		return false;
	if (e.type != DT_I64 || e.u.i < lo || e.u.i > hi)
		return lex_fail(x, &t, E_VALUE, "the number must be from %lld to %lld",
		                (long long)lo, (long long)hi);
	*value = e.u.i;
	return true;
}

bool
lex_lanes(Lexer *x, const Token *at, size_t skip, int *lanes)
{
	int v = 0;

	for (size_t i = skip; i < at->n; i++) {
		if (at->s[i] < '0' || at->s[i] > '9' || v > MAX_VECTOR_LANES)
			v = MAX_VECTOR_LANES;
		v = 10 * v + (at->s[i] - '0');
	}
	*lanes = v;
	for (v = MAX_VECTOR_LANES; v > 1; v /= 2)
		if (v == *lanes)
			return true;
	return lex_fail(x, at, E_TYPE, "a vector has 2, 4, 8, 16, 32 or 64 lanes");
}

bool
lex_var_type(Lexer *x, DType *t, int *lanes)
{
	Token at = x->tok;
	size_t n = 0;

	*lanes = 0;
	while (n < at.n && at.s[n] != 'x')
		n++;
	/* idx has an x as well. */
	if (at.kind != T_WORD || n + 1 >= at.n || dtype_find(at.s, n) == DT_COUNT)
		return lex_type(x, t);
	*t = dtype_find(at.s, n);
	if (!lex_lanes(x, &at, n + 1, lanes))
		return false;
	lex_next(x);
	return true;
}
