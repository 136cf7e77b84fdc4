/* The text form of the loop IR: what is printed reads back as the same text. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "ir/loop/math.h"
#include "ir/loop/text.h"
#include "tests/unit/unit_arena.h"

static LFuncs
parse(const char *text)
{
	LFuncs all = {0};
	bool ok = lfunc_parse(arena, "t.lir", text, strlen(text), &all, &diag);

	if (!ok)
		ck_abort_msg("line %d, column %d: %s\n%s", diag.first->loc.line,
		             diag.first->loc.column, diag.first->text, diag.first->snippet);
	ck_assert_int_eq(diag.errors, 0);
	return all;
}

static const char *
print(const LFuncs *all)
{
	Str s;

	str_init(&s, arena);
	for (int i = 0; i < all->n; i++)
		lfunc_print(&s, all->v[i]);
	return s.s;
}

/* The text is as the printer writes it. */
static void
round_trip(const char *text)
{
	LFuncs all = parse(text);

	ck_assert_str_eq(print(&all), text);
}

/* An expression of one f32 x, u32 u, idx i, bool b and buffer %a. */
static void
expr_round_trip(const char *type, const char *expr)
{
	round_trip(arena_printf(arena,
	                        "func @g(%%y: f32, %%n: i32) -> f32 {\n"
	                        "  return %%y\n"
	                        "}\n"
	                        "kernel @f(%%a: f32[4] in, %%h: f16[4] in) {\n"
	                        "  let %%x: f32 = %%a[0]\n"
	                        "  let %%u: u32 = bits.u32(%%x)\n"
	                        "  let %%s: i32 = cvt.i32(%%x)\n"
	                        "  let %%i: idx = 1 + 1\n"
	                        "  let %%b: bool = %%x < %%x\n"
	                        "  let %%r: %s = %s\n"
	                        "}\n",
	                        type, expr));
}

START_TEST(all_statements_round_trip)
{
	round_trip("func @relu_f32(%x: f32) -> f32 {\n"
	           "  return max(%x, 0.0f)\n"
	           "}\n"
	           "func @next_prime(%i: i32, %p: i32[3] table = {3, 5, 7}) -> i32 {\n"
	           "  return %p[cvt.idx(%i & 1:i32) + 1]\n"
	           "}\n"
	           "kernel @conv(%x: f32[490] in, %w: f32[3] in = {0.5, -1.0, 2.0}, "
	           "%y: f32[100] out, %t: i8[8] scratch) {\n"
	           "  ; a comment: with #, ; and %\n"
	           "  ;\n"
	           "  ;   indented\n"
	           "  let %n: i64 = 12:i64\n"
	           "  let %prime: i32 = next_prime(2:i32)\n"
	           "  let %small: idx in [0, 3] = 2\n"
	           "  var %acc: f32 = 0.0f\n"
	           "  var %k: idx in [-1, 10] = 0\n"
	           "  var %free: idx = 0\n"
	           "  for %i in 0..100 step 2 while %acc < 88.0f {\n"
	           "    if %i < 3 & %n != 0:i64 {\n"
	           "      %acc = %acc + %x[%i * 4 + 3] * relu_f32(%acc)\n"
	           "    } else if %i == 7 {\n"
	           "      %k = min(%i, 10)\n"
	           "    } else {\n"
	           "      if %i > 9 {\n"
	           "        %free = 1\n"
	           "      }\n"
	           "      %t[0] = cvt.i8(%acc)\n"
	           "      let %four: i32 = odd8(wide(%t[%small]))\n"
	           "      let %products: i32 = dot(%four, %t[%small], %t[0])\n"
	           "    }\n"
	           "    %y[%i] = select(%acc > 0.0f, %acc, cvt.f32(%k))\n"
	           "  }\n"
	           "  for %j in %k..%small {\n"
	           "  }\n"
	           "  let %s: f32x8 = splat.8(%acc) * %x[%small, 8]\n"
	           "  var %v: i32x4 = cvt.i32(%t[%small, 4])\n"
	           "  %v = dot4(%v, wide(%t[0, 4]), select(%v < -%v, %v, splat.4(1:i32)))\n"
	           "  %t[%small, 4] = cvt.i8(%v)\n"
	           "  %y[%small, 8] = %s\n"
	           "}\n");
}
END_TEST

START_TEST(functions_with_many_buffers_have_one_a_line)
{
	round_trip("kernel @many(\n"
	           "    %a: f32[1] in,\n"
	           "    %b: u8[2] in = {0, 255},\n"
	           "    %c: f16[3] in = {0.099975586, inf, -2.0},\n"
	           "    %d: f64[1] out,\n"
	           "    %e: bool[2] in = {0, 1},\n"
	           "    %f: u64[2] table = {0xffffffffffffffff, 3}) {\n"
	           "}\n");
}
END_TEST

static const struct {
	const char *type, *text;
} expressions[] = {
	{"f32", "-%x"},
	{"f32", "-(-%x)"},
	{"f32", "-(1.0f)"},
	{"f32", "-(-1.0f)"},
	{"f32", "-1.0f - -1.0f"},
	{"f32", "%x - (%x - %x)"},
	{"f32", "%x - %x - %x"},
	{"f32", "(%x + %x) * %x / (%x * %x)"},
	{"f32", "abs(min(%x, max(%x, 1.5f)))"},
	{"f32", "select(%b, %x, g(%x, -1:i32))"},
	{"f32", "%a[%i]"},
	{"f32", "cvt.f32(%h[%i])"},
	{"f32", "inf:f32"},
	{"f32", "-inf:f32"},
	{"f32", "nan:f32"},
	{"f32", "0xffc00000:f32"},
	{"f32", "-0.0f"},
	{"f32", "0.1f"},
	{"f32", "3.4028235e+38f"},
	{"f32", "1e-45f"},
	{"f64", "0.1"},
	{"f64", "-1e+300"},
	{"f64", "-inf:f64"},
	{"f64", "nan:f64"},
	{"f64", "0x7ff8000000000001:f64"},
	{"f64", "cvt.f64(%x) + bits.f64(1:i64)"},
	{"bool", "true"},
	{"bool", "~%b & (%b | false) ^ %x <= %x"},
	{"bool", "(%b & %b) == %b"},
	{"bool", "%u << 3:u32 >> 1:u32 == %u"},
	{"u32", "%u << (3:u32 >> 1:u32)"},
	{"u32", "~(%u + %u) & 0xffff0000:u32"},
	{"u32", "%u / 2:u32 % 3:u32 | 65535:u32"},
	{"u32", "-%u"},
	{"u32", "-(5:u32)"},
	{"i32", "-2147483648:i32"},
	{"i32", "%s % %s * (%s % %s)"},
	{"i64", "-9223372036854775808:i64"},
	{"u64", "0xffffffffffffffff:u64"},
	{"i32", "dot2(%s, even8(%s), keep(%s) + 1:i32)"},
	{"i32", "mulh_round(pack_lo(%s, %s), -%s)"},
	{"idx", "-2147483648"},
	{"idx", "%i / 4 % 3 + -1"},
	{"idx", "cvt.idx(select(%b, 1:i32, 2:i32))"},
};

START_TEST(expressions_round_trip)
{
	expr_round_trip(expressions[_i].type, expressions[_i].text);
}
END_TEST

START_TEST(names_of_models_round_trip)
{
	static const char *const names[] = {
		"conv1/Relu:0", "a b", "\"quoted\"", "back\\slash", "", "7", "a.b", "a..b", ".a",
		"a.", "tab\there", "line\nfeed", "Gr\303\266\303\237e", "\x7f", "%x", "]",
	};
	LBuilder b;
	LFuncs all = {0}, again;
	const char *text;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		Expr *k;
		LBuf *x;

		loop_begin(&b, arena, names[i]);
		x = loop_buf(&b, names[i], DT_F32, 4, LBUF_OUT, NULL);
		k = loop_for(&b, arena_printf(arena, "%s!", names[i]), 0, 4);
		loop_store(&b, x, k, loop_float(&b, DT_F32, 1));
		loop_end(&b);
		VEC_PUSH(arena, &all, loop_finish(&b));
	}
	text = print(&all);
	again = parse(text);
	ck_assert_int_eq(again.n, all.n);
	for (int i = 0; i < again.n; i++) {
		ck_assert_str_eq(again.v[i]->name, names[i]);
		ck_assert_str_eq(again.v[i]->bufs.v[0]->name, names[i]);
	}
	ck_assert_str_eq(print(&again), text);
}
END_TEST

START_TEST(functions_named_like_operations_are_called_with_their_sigil)
{
	round_trip("func @min(%x: f32) -> f32 {\n"
	           "  return %x\n"
	           "}\n"
	           "func @\"a b\"(%x: f32) -> f32 {\n"
	           "  return @min(%x)\n"
	           "}\n"
	           "func @c(%x: f32) -> f32 {\n"
	           "  return @\"a b\"(%x) + floor_f32(%x)\n"
	           "}\n");
}
END_TEST

START_TEST(comments_stay_one_line)
{
	LBuilder b;
	LFuncs all = {0}, again;

	loop_begin(&b, arena, "f");
	loop_comment(&b, "two\nlines");
	loop_comment(&b, "%s", "");
	VEC_PUSH(arena, &all, loop_finish(&b));
	ck_assert_str_eq(print(&all), "kernel @f() {\n  ; two lines\n  ;\n}\n");
	again = parse(print(&all));
	ck_assert_str_eq(print(&again), print(&all));
}
END_TEST

START_TEST(large_constant_data_is_not_shown)
{
	static const float w[TEXT_MAX_DATA + 1];
	LBuilder b;
	LFuncs all = {0};

	loop_begin(&b, arena, "f");
	loop_buf(&b, "w", DT_F32, TEXT_MAX_DATA + 1, LBUF_IN, w);
	VEC_PUSH(arena, &all, loop_finish(&b));
	ck_assert_str_eq(print(&all), "kernel @f(%w: f32[65] in) {\n}\n");
}
END_TEST

/* Nobody else has the contents of a table. */
START_TEST(tables_are_shown_whatever_their_size)
{
	static const float w[TEXT_MAX_DATA + 1];
	LBuilder b;
	LFuncs all = {0}, again;

	loop_begin(&b, arena, "f");
	loop_buf(&b, "w", DT_F32, TEXT_MAX_DATA + 1, LBUF_TABLE, w);
	VEC_PUSH(arena, &all, loop_finish(&b));
	again = parse(print(&all));
	ck_assert_str_eq(print(&again), print(&all));
	ck_assert_ptr_nonnull(again.v[0]->bufs.v[0]->data);
}
END_TEST

START_TEST(other_spellings_are_read)
{
	LFuncs all = parse("# skipped\n"
	                   "; also outside of functions\n"
	                   "func @f(%x:f32)->f32{let %a:f32=0x1.8p1:f32 # three\n"
	                   "let %b:f32=0x40400000:f32 let %c:f32=3:f32 let %d:f32=0x1.8p+1f\n"
	                   "let %e:i32=0xffffffff:i32 let %g:f16=1.5:f16 let %h:u8=0xff:u8\n"
	                   "return %a}");

	ck_assert_str_eq(print(&all), "func @f(%x: f32) -> f32 {\n"
	                              "  let %a: f32 = 3.0f\n"
	                              "  let %b: f32 = 3.0f\n"
	                              "  let %c: f32 = 3.0f\n"
	                              "  let %d: f32 = 3.0f\n"
	                              "  let %e: i32 = -1:i32\n"
	                              "  let %g: f16 = 1.5:f16\n"
	                              "  let %h: u8 = 255:u8\n"
	                              "  return %a\n"
	                              "}\n");
}
END_TEST

/* ---- Errors ---- */

#define K "kernel @k(%x: f32[4] in, %y: f32[4] out) {\n"

static const struct {
	const char *text;
	int line, column;
	const char *message;
} errors[] = {
	{"bad", 1, 1, "expected func or kernel"},
	{"kernel k", 1, 8, "expected a name with @"},
	{"kernel @k(%x: f32[4])", 1, 21, "expected in, out, scratch, local or table"},
	{"kernel @k(%x: idx[4] in)", 1, 11, "a buffer cannot hold idx"},
	{"kernel @k(%x: f32[-1] in)", 1, 19, "the number must be from 0 to 536870911"},
	{"kernel @k(%x: f32[536870912] in)", 1, 19, "the number must be from 0 to 536870911"},
	{"kernel @k(%x: f32[99999999999999999999] in)", 1, 19, "out of range of i64"},
	{"kernel @k(%x: f32[2] in, %x: f32[2] in)", 1, 26,
	 "the name 'x' is used twice in this function"},
	{"kernel @k(%x: f32[2] in = {1.0})", 1, 31, "expected ','"},
	{"kernel @k(%x: f32[1] in = {1.0, 2.0})", 1, 31, "expected '}'"},
	{"kernel @k(%x: f32[500000000] in = {1.0})", 1, 35, "fewer than 500000000 elements"},
	{"func @f(%x: f32[1] in)", 1, 9, "a scalar function has no buffers but tables"},
	{"kernel @k(%x: f32[1] table)", 1, 27, "expected '='"},
	{"kernel @k(%x: u8[1] in = {256})", 1, 27, "out of range of u8"},
	{"kernel @k(%x: u8[1] in = {-1})", 1, 28, "out of range of u8"},
	{K, 2, 1, "expected a statement"},
	{K "  %z = 1", 2, 3, "nothing is called 'z'"},
	{K "  let %a: f32 = 1.0f\n  %a = 2.0f", 3, 3, "'a' cannot be assigned"},
	{K "  for %i in 0..4 {\n  }\n  %y[%i] = 1.0f", 4, 6,
	 "outside of the block that declares 'i'"},
	{K "  for %i in 0..4 {\n    let %i: i32 = 1:i32", 3, 9,
	 "the name 'i' is used twice in this function"},
	{K "  for %i in 0..4 step 0 {", 2, 23, "the number must be from 1 to 2147483647"},
	{K "  for %i in 0..1.5 {", 2, 16, "this is f64 where idx is needed"},
	{K "  %y[0] = 1.0", 2, 11, "this is f64 where f32 is needed"},
	{K "  %y[0] = cvt.f32(wide(%x[0]))", 2, 19, "'wide' needs a load of i8, u8 or i16"},
	{K "  let %v: f32x3 = %x[0, 3]", 2, 11, "a vector has 2, 4, 8, 16, 32 or 64 lanes"},
	{K "  let %v: f32x99999999999 = %x[0]", 2, 11, "a vector has 2, 4, 8, 16, 32 or 64 lanes"},
	{K "  %y[0] = %x[0, 128]", 2, 17, "a vector has 2, 4, 8, 16, 32 or 64 lanes"},
	{K "  %y[0] = %x[0, 4]", 2, 11, "a value with 4 lanes where 1 are stored"},
	{K "  %y[0, 4] = %x[0]", 2, 14, "a value with 1 lanes where 4 are stored"},
	{K "  %y[0, 4] = splat.5(%x[0])", 2, 14, "a vector has 2, 4, 8, 16, 32 or 64 lanes"},
	{K "  %y[0] = cvt.f32(dot2(1:i32, 2:i32, %x[0]))", 2, 19,
	 "this is f32 where i32 is needed"},
	{K "  %y[0] = cvt.f32(even8(1:i32, 2:i32))", 2, 30, "too many arguments"},
	{K "  %y[0] = %x[0] + 1.0", 2, 17, "'+' of f32 and f64"},
	{K "  %y[0] = %x[0] & %x[0]", 2, 17, "'&' of f32"},
	{K "  %y[0] = min(%x[0])", 2, 14, "2 arguments are needed"},
	{K "  %y[0] = abs(%x[0], %x[0])", 2, 20, "too many arguments"},
	{K "  %y[0] = select(1, %x[0], %x[0])", 2, 11, "this is idx where bool is needed"},
	{K "  %y[0] = bits.f32(%x[0] < %x[0])", 2, 11, "the bits of bool are not those of f32"},
	{K "  %y[0] = cvt.f99(%x[0])", 2, 11, "unknown element type"},
	{K "  %y[0] = nothing(%x[0])", 2, 11, "there is no function 'nothing' above"},
	{K "  %y[0] = floor_f32(1.0)", 2, 11, "this is f64 where f32 is needed"},
	{K "  %y[0] = floor_f32(1.0f, 1.0f)", 2, 25, "too many arguments"},
	{K "  %y[0] = inf", 2, 11, "'inf' needs a type, as in inf:f32"},
	{K "  %y[0] = 1e999f", 2, 11, "out of range of f32"},
	{K "  %y[0] = 12ab", 2, 11, "not a number of type idx"},
	{K "  %y[0] = 1.5f:f64", 2, 11, "not a number of type f64"},
	{K "  %y[0] = true:f32", 2, 11, "a truth value is not a number"},
	{K "  %y[2147483648] = 1.0f", 2, 6, "out of range of idx"},
	{K "  %y[0] = 1.0f $", 2, 16, "this character has no meaning here"},
	{K "  %y[0] = (1.0f", 2, 16, "expected ')'"},
	{K "  %\"open = 1.0f", 2, 3, "a name without closing quote"},
	{K "  %\"\\q\" = 1.0f", 2, 3, "unknown escape in a name"},
	{K "  %\"\\x00\" = 1.0f", 2, 3, "a name cannot contain \\x00"},
	{K "  var %k: idx in [3, 2] = 1", 2, 22, "the number must be from 3 to 2147483647"},
	{K "  return 1.0f", 2, 3, "a kernel returns nothing"},
	{K "}\nkernel @k() {\n}", 3, 8, "there is already a function 'k'"},
	{K "}\nfunc @f(%x: f32) -> f32 {\n  return k(%x)", 4, 10,
	 "'k' is a kernel; it has no value"},
	{"func @f(%x: f32) -> f32 {\n  return f(%x)", 2, 10, "there is no function 'f' above"},
};

START_TEST(errors_name_their_place)
{
	LFuncs all = {0};
	const char *text = errors[_i].text;
	const Message *m;

	ck_assert(!lfunc_parse(arena, "t.lir", text, strlen(text), &all, &diag));
	ck_assert_int_eq(diag.errors, 1);
	m = diag.first;
	ck_assert_str_eq(m->text, errors[_i].message);
	ck_assert_str_eq(m->loc.file, "t.lir");
	ck_assert_int_eq(m->loc.line, errors[_i].line);
	ck_assert_int_eq(m->loc.column, errors[_i].column);
	ck_assert_int_eq(m->caret, errors[_i].column - 1);
}
END_TEST

START_TEST(the_caret_is_in_a_short_piece_of_a_long_line)
{
	LFuncs all = {0};
	Str s;

	str_init(&s, arena);
	str_puts(&s, "kernel @k(%y: f32[4] out) {");
	for (int i = 0; i < 5000; i++)
		str_puts(&s, " %y[0] = 1.0f");
	s.s[30000] = '$';
	ck_assert(!lfunc_parse(arena, "t.lir", s.s, s.n, &all, &diag));
	ck_assert_int_eq(diag.first->loc.column, 30001);
	ck_assert_uint_lt(strlen(diag.first->snippet), 150);
	ck_assert_int_eq(diag.first->snippet[diag.first->caret], '$');
}
END_TEST

static void
repeat(Str *s, const char *piece, int n)
{
	while (n-- > 0)
		str_puts(s, piece);
}

START_TEST(deep_nesting_is_an_error)
{
	static const struct {
		const char *start, *piece;
	} deep[] = {
		{K "%y[0] = ", "("},
		{K "%y[0] = ", "-"},
		{K "%y[0] = ", "min("},
		{K "%y[0] = 1.0f", " + 1.0f"},
		{K "%y[0] = ", "select(true, "},
		{K "%y[", "cvt.idx(%x["},
		{K, "if true {"},
		{K "if true { } ", "else if true { } "},
	};
	LFuncs all = {0};
	Str s;

	str_init(&s, arena);
	str_puts(&s, deep[_i].start);
	repeat(&s, deep[_i].piece, 100000);
	ck_assert(!lfunc_parse(arena, "t.lir", s.s, s.n, &all, &diag));
	ck_assert_str_eq(diag.first->text, "nested too deeply");
}
END_TEST

/* Every prefix of a good text, and the text with any byte changed: no crash. */
START_TEST(damaged_text_is_survived)
{
	static const char text[] =
		"func @g(%x: f32) -> f32 {\n return max(%x, -0x1.8p1f)\n}\n"
		"kernel @\"k\\x0a\"(%x: f32[2] in = {0.5, nan}, %y: f32[4] out) {\n"
		" ; note\n var %k: idx in [0, 3] = 0\n"
		" for %i in 0..4 step 2 while %k < 2 {\n"
		"  if %i > 1 | ~true { %k = %k + 1 } else { %y[%i] = g(%x[%k]) }\n }\n}\n";
	static const char other[] = "\0\"%@(){}[]0.x;#\\\n-a\xff";
	size_t n = sizeof text - 1;

	for (size_t i = 0; i < n; i++) {
		LFuncs all = {0};

		arena_reset(arena);
		diag_init(&diag, arena);
		lfunc_parse(arena, "t.lir", arena_strndup(arena, text, i), i, &all, &diag);
		for (size_t k = 0; k < sizeof other - 1; k++) {
			char *damaged = arena_strndup(arena, text, n);
			bool ok;

			damaged[i] = other[k];
			all = (LFuncs){0};
			diag_init(&diag, arena);
			ok = lfunc_parse(arena, "t.lir", damaged, n, &all, &diag);
			ck_assert_int_eq(ok, diag.errors == 0);
			for (int f = 0; f < all.n; f++)
				lfunc_verify(all.v[f]);
		}
	}
}
END_TEST

/* ---- The mathematical library ---- */

START_TEST(the_library_is_well_formed)
{
	LFuncs all = {0}, again;
	const char *text;

	ck_assert_int_gt(math_count(), 0);
	for (int i = 0; i < math_count(); i++) {
		LFunc *f = math_get(i);
		const char *wrong;

		if (!f)
			ck_abort_msg("function %d does not parse: %s", i, math_error());
		wrong = lfunc_verify(f);
		ck_assert_msg(!wrong, "%s", wrong);
		ck_assert_ptr_eq(math_find_full(f->name, strlen(f->name)), f);
		VEC_PUSH(arena, &all, f);
	}
	text = print(&all);
	again = parse(text);
	ck_assert_str_eq(print(&again), text);
}
END_TEST

START_TEST(functions_are_found_by_name_and_type)
{
	ck_assert_str_eq(math_find("exp", DT_F32)->name, "exp_f32");
	ck_assert_str_eq(math_find("exp", DT_F64)->name, "exp_f64");
	ck_assert_ptr_eq(math_find("exp", DT_F32), math_find_full("exp_f32", 7));
	ck_assert_ptr_null(math_find("exp", DT_I32));
	ck_assert_ptr_null(math_find("ex", DT_F32));
	ck_assert_ptr_null(math_find("expp", DT_F32));
	ck_assert_ptr_null(math_find("", DT_F32));
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int
main(void)
{
	Suite *s = suite_create("loop_text");
	TCase *tc = tcase_create("text");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, all_statements_round_trip);
	tcase_add_test(tc, functions_with_many_buffers_have_one_a_line);
	tcase_add_loop_test(tc, expressions_round_trip, 0, COUNT(expressions));
	tcase_add_test(tc, names_of_models_round_trip);
	tcase_add_test(tc, functions_named_like_operations_are_called_with_their_sigil);
	tcase_add_test(tc, comments_stay_one_line);
	tcase_add_test(tc, large_constant_data_is_not_shown);
	tcase_add_test(tc, tables_are_shown_whatever_their_size);
	tcase_add_test(tc, other_spellings_are_read);
	tcase_add_loop_test(tc, errors_name_their_place, 0, COUNT(errors));
	tcase_add_test(tc, the_caret_is_in_a_short_piece_of_a_long_line);
	tcase_add_loop_test(tc, deep_nesting_is_an_error, 0, 8);
	tcase_add_test(tc, damaged_text_is_survived);
	tcase_add_test(tc, the_library_is_well_formed);
	tcase_add_test(tc, functions_are_found_by_name_and_type);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
