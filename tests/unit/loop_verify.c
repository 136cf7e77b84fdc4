/* The verifier of the loop IR: what it proves, and what it rejects. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ir/loop/loop.h"
#include "ir/loop/range.h"
#include "tests/unit/unit_arena.h"

/* The last function of a text. */
static LFunc *
parse(const char *text)
{
	LFuncs all = {0};

	if (!lfunc_parse(arena, "t.lir", text, strlen(text), &all, &diag))
		ck_abort_msg("line %d: %s\n%s", diag.first->loc.line, diag.first->text, text);
	return all.v[all.n - 1];
}

/* A kernel of x[100], i64 n[100], y[100] and scratch t[100] with that body. */
static LFunc *
kernel(const char *body)
{
	return parse(arena_printf(arena,
	                          "kernel @k(%%x: f32[100] in, %%n: i64[100] in, "
	                          "%%q: i8[100] in, %%d: i32[3] in = {5, -2, 99}, "
	                          "%%s: i16[4] table = {9, 7, 99, 8}, "
	                          "%%y: f32[100] out, %%t: f32[100] scratch) {\n"
	                          "%s\n%%y[0] = 1.0f\n}\n",
	                          body));
}

/* ---- Accepted ---- */

static const char *const good[] = {
	"for %i in 0..100 { %y[%i] = %x[%i] }",
	"for %i in 0..100 { %y[99 - %i] = %x[%i] }",
	"for %i in 0..10 { for %k in 0..10 { %y[%i * 10 + %k] = %x[%k * 10 + %i] } }",
	"for %i in 0..50 { %y[%i * 2 + 1] = %x[%i * 2] }",
	/* the last value of a loop with a step */
	"for %i in 0..100 step 2 { %y[%i + 1] = 0.0f }",
	"for %i in 1..100 step 3 { %y[%i] = 0.0f }",
	"for %i in 0..100 step 8 { %y[%i + 3] = 0.0f }",
	/* four elements at once */
	"for %i in 0..97 { %y[0] = cvt.f32(wide(%q[%i])) }",
	/* sixteen */
	"for %i in 0..93 { %y[%i, 8] = %x[%i, 8] }",
	"for %i in 0..85 { %y[0, 4] = cvt.f32(wide(%q[%i, 4])) }",
	"%y[0] = 2.0f\n let %v: f32x4 = cvt.f32(cvt.i32(%q[96, 4]))\n"
	"%y[96, 4] = select(%v > splat.4(1.0f), %v, select(%y[0] > 1.0f, %x[0, 4], %v))",
	"for %i in 0..85 { %y[0] = cvt.f32(dot(1:i32, %q[%i], %q[84 - %i])) }",
	/* never entered */
	"for %i in 5..5 { %y[%i + 1000] = 0.0f }",
	"for %i in 0..0 { %y[0 - 1] = 0.0f }",
	"if false { %y[100] = 0.0f }",
	"if 1 < 0 { %y[100] = 0.0f }",
	/* division and remainder */
	"for %i in 0..1000 { %y[%i / 10] = %x[%i % 100] }",
	"for %i in 0..300 { %y[%i / 30 * 10 + %i % 10] = 0.0f }",
	"for %i in 0..199 { %y[abs(%i - 99)] = 0.0f }",
	/* padding: the condition narrows a let, an expression, or both */
	"for %o in 0..50 { for %k in 0..3 { let %i: idx = %o * 2 + %k - 1\n"
	"  if %i >= 0 & %i < 100 { %y[0] = %x[%i] } } }",
	"for %o in 0..50 { for %k in 0..3 { let %i: idx = %o * 2 + %k - 1\n"
	"  %y[0] = select(%i >= 0 & %i < 100, %x[%i], 0.0f) } }",
	"for %o in 0..50 { for %k in 0..3 {\n"
	"  if %o * 2 + %k - 1 >= 0 & 99 >= %o * 2 + %k - 1 { %y[0] = %x[%o * 2 + %k - 1] } } }",
	"for %o in 0..50 { for %k in 0..3 { let %i: idx = %o * 2 + %k - 1\n"
	"  if %o * 2 + %k - 1 >= 0 & %o * 2 + %k - 1 < 100 { %y[0] = %x[%i] } } }",
	"for %o in 0..50 { for %k in 0..3 { let %i: idx = %o * 2 + %k - 1\n"
	"  if %i >= 0 & %i < 100 { %y[0] = %x[%o * 2 + %k - 1] } } }",
	"for %o in 0..50 { let %i: idx = %o * 4 - 8\n let %in: bool = %i >= 0 & %i < 100\n"
	"  if %in { %y[%i] = 0.0f } }",
	"for %o in 0..50 { let %i: idx = %o * 4 - 8\n let %out: bool = %i < 0 | %i >= 100\n"
	"  if %out { %y[0] = 0.0f } else { %y[%i] = 0.0f } }",
	"for %o in 0..50 { let %i: idx = %o * 4 - 8\n let %out: bool = %i < 0 | %i >= 100\n"
	"  if ~%out { %y[%i] = 0.0f } }",
	"for %o in 0..50 { if %o * 4 - 8 >= 0 { if %o < 27 { %y[%o * 4 - 8] = 0.0f } } }",
	"for %i in 0..200 { if %i <= 100 { if %i != 100 { %y[%i] = 0.0f } } }",
	"for %i in 0..200 { if %i / 2 == 49 { %y[%i] = 0.0f } }",
	"for %i in 0..200 { if %i + 100 < 200 { %y[%i] = 0.0f } }",
	"for %i in 0..200 { if max(%i, 30) < 100 { %y[%i] = 0.0f } }",
	"for %i in 0..100 { if %i > 0 { %t[0] = 0.0f\n %y[%i - 1] = %t[%i] } }",
	/* one condition inside of another's value */
	"for %i in 0..100 { %y[0] = %x[select(%i > 0, %i - 1, 0)] }",
	"for %i in 0..100 { let %p: idx = select(%i < 50, %i * 2, 0)\n %y[%p] = 0.0f }",
	/* values from data */
	"for %i in 0..100 { %y[0] = %x[cvt.idx(min(max(%n[%i], 0:i64), 99:i64))] }",
	"for %i in 0..100 { let %v: i64 = %n[%i]\n let %w: i64 = select(%v < 0:i64, %v + "
	"100:i64, %v)\n"
	"  if %w >= 0:i64 & %w < 100:i64 { %y[cvt.idx(%w)] = 0.0f } }",
	"for %i in 0..100 { if %n[%i] >= 0:i64 & %n[%i] < 100:i64 { %y[cvt.idx(%n[%i])] = 0.0f } }",
	"for %i in 0..100 { %y[(cvt.idx(cvt.i32(%q[%i])) + 128) / 3] = 0.0f }",
	"for %i in 0..3 { let %v: i32 = %d[%i]\n %y[cvt.idx(select(%v < 0:i32, %v + 100:i32, "
	"%v))] = 0.0f }",
	"for %i in 0..4 { %y[cvt.idx(cvt.i32(%s[%i]))] = 0.0f }",
	"for %i in 0..100 { %y[cvt.idx(cvt.i32(%x[%i]) & 63:i32)] = 0.0f }",
	"for %i in 0..100 { %y[cvt.idx(cvt.u32(%q[%i]) >> 26:u32)] = 0.0f }",
	"for %i in 0..100 { %y[cvt.idx(cvt.u32(%q[%i]) % 100:u32)] = 0.0f }",
	"for %i in 0..100 { %y[cvt.idx(%x[%i] < 1.0f)] = 0.0f }",
	/* bounds that are expressions */
	"for %o in 0..34 { for %k in max(0, 1 - %o)..3 { %y[0] = %x[%o + %k - 1] } }",
	"for %o in 0..100 { for %k in max(0, 1 - %o)..min(3, 101 - %o) { %y[0] = %x[%o + %k - "
	"1] } }",
	"for %o in 0..50 { let %a: idx = max(0, 1 - %o * 2)\n let %b: idx = min(3, 101 - %o * 2)\n"
	"  for %k in %a..%b { %y[0] = %x[%o * 2 + %k - 1] } }",
	"for %i in 0..100 { for %k in %i..100 { %y[%k - %i] = 0.0f } }",
	"for %i in 0..100 { for %k in 0..%i + 1 { %y[%i - %k] = 0.0f } }",
	"for %i in 0..100 { for %k in 0..100 { if %i >= %k { %y[%i - %k] = 0.0f } } }",
	"for %i in 0..100 { for %k in 0..100 { if %i + %k < 100 { %y[%i + %k] = 0.0f } } }",
	/* variables */
	"var %p: idx in [0, 99] = 0\n for %i in 0..1000 { %y[%p] = 0.0f\n"
	"  if %p < 99 { %p = %p + 1 } else { %p = 0 } }",
	"var %p: idx in [0, 100] = 0\n for %i in 0..1000 while %p < 100 { %y[%p] = 0.0f\n %p = "
	"%p + 1 }",
	"var %p: idx = 7\n if %x[0] < 1.0f { %p = 3 } else { %p = 5 }\n %y[%p + 94] = 0.0f",
	"var %p: idx = 7\n if %x[0] < 1.0f { %p = 3 }\n %y[%p - 3] = 0.0f\n %y[%p + 92] = 0.0f",
	"var %p: idx = 700\n %p = 5\n %y[%p] = 0.0f",
	"var %v: i32 = 3:i32\n if %x[0] < 1.0f { %v = 99:i32 }\n %y[cvt.idx(%v)] = 0.0f",
	"var %p: idx in [0, 200] = 7\n for %i in 0..5 { %p = 200 }\n if %p < 100 { %y[%p] = 0.0f }",
	/* reads of what was written */
	"%t[0] = 1.0f\n %y[0] = %t[0] + %t[0]",
	"for %i in 0..9 { if %i > 0 { %y[0] = %y[%i - 1] }\n %y[%i] = 1.0f }",
	/* idx arithmetic close to its ends */
	"for %i in 0..2147483646 { let %k: idx = %i + 1 }",
	"let %k: idx = -2147483648 + 2147483647",
	"for %i in -5..5 { let %k: idx = -%i * 400000000 }",
};

START_TEST(good_kernels_are_accepted)
{
	const char *wrong = lfunc_verify(kernel(good[_i]));

	ck_assert_msg(!wrong, "%s", wrong);
}
END_TEST

/* ---- Rejected ---- */

static const struct {
	const char *body, *message;
} bad[] = {
	{"for %i in 0..101 { %y[%i] = 0.0f }",
	 "kernel 'k': `%y[%i] = 0.0f`: the index %i is in [0, 100], but 'y' has 100 elements"},
	{"for %i in 0..100 { %y[0] = %x[%i + 1] }",
	 "`%y[0] = %x[%i + 1]`: the index %i + 1 is in [1, 100], but 'x' has 100 elements"},
	{"for %i in 0..98 { %y[0] = cvt.f32(wide(%q[%i])) }",
	 "the index %i is in [0, 100], but 'q' has 100 elements, several of which are taken"},
	{"for %i in 0..94 { %y[%i, 8] = %x[0, 8] }",
	 "the index %i is in [0, 100], but 'y' has 100 elements, several of which are taken"},
	{"for %i in 0..94 { %y[0, 8] = %x[%i, 8] }", "is in [0, 100], but 'x' has"},
	{"for %i in 0..86 { %y[0, 4] = cvt.f32(wide(%q[%i, 4])) }", "is in [0, 100], but 'q'"},
	/* vectors */
	{"%y[0, 8] = %x[0, 4] + %x[0, 8]", "an argument with 4 lanes for a value with 8"},
	{"%y[0, 4] = %x[0] + %x[0, 4]", "an argument with 1 lanes for a value with 4"},
	{"let %v: f32x4 = %x[0, 8]", "a value with 8 lanes for 'v' with 4"},
	{"let %v: f32x4 = %x[0]", "a value with 1 lanes for 'v' with 4"},
	{"let %v: i64x4 = %n[0, 4]", "a vector of i64"},
	{"let %v: i32x4 = splat.4(1:i32) / splat.4(2:i32)", "'div' of vectors of i32"},
	{"let %v: i32x4 = bits.i32(%x[0, 4])", "there is no such vector"},
	{"let %v: i32x4 = cvt.i32(%x[0, 4])", "vectors of f32 are not converted to i32"},
	{"let %v: f32x4 = cvt.f32(%q[0, 4])", "vectors of i8 are not converted to f32"},
	{"let %v: i32x4 = splat.4(splat.4(1:i32))", "a lane is a vector"},
	{"for %i in 0..4 { if %x[0, 4] < %x[4, 4] { %y[0] = 1.0f } }", "the condition is a vector"},
	{"let %v: f32x4 = select(splat.4(1:i32) < splat.4(2:i32), %x[0, 4], %x[4, 4])",
	 "a choice of f32 by a comparison of another type"},
	{"var %v: f32x4 = %x[0, 4]\n %v = %x[0]", "a value with 1 lanes for 'v' with 4"},
	{"for %i in 0..86 { %y[0] = cvt.f32(dot(1:i32, %q[0], %q[%i])) }", "is in [0, 100]"},
	{"for %i in 0..100 { %y[%i - 1] = 0.0f }", "is in [-1, 98]"},
	{"for %i in 0..100 step 8 { %y[%i + 4] = 0.0f }", "is in [4, 100]"},
	{"for %i in -1..100 { %y[%i] = 0.0f }", "is in [-1, 99]"},
	{"for %i in 0..10 { for %k in 0..11 { %y[%i * 10 + %k] = 0.0f } }", "is in [0, 100]"},
	{"for %i in 0..1001 { %y[%i / 10] = 0.0f }", "is in [0, 100]"},
	{"for %i in -10..10 { %y[%i % 10] = 0.0f }", "is in [-9, 9]"},
	/* half of a condition, or the wrong one */
	{"for %o in 0..51 { for %k in 0..3 { let %i: idx = %o * 2 + %k - 1\n"
	 "  if %i >= 0 { %y[0] = %x[%i] } } }", "the index %i is in [0, 101]"},
	{"for %o in 0..51 { for %k in 0..3 { let %i: idx = %o * 2 + %k - 1\n"
	 "  if %i >= 0 | %i < 100 { %y[0] = %x[%i] } } }", "is in [-1, 101]"},
	{"for %o in 0..51 { for %k in 0..3 { let %i: idx = %o * 2 + %k - 1\n"
	 "  if %i >= 0 & %i <= 100 { %y[0] = %x[%i] } } }", "is in [0, 100]"},
	{"for %o in 0..51 { for %k in 0..3 { let %i: idx = %o * 2 + %k - 1\n"
	 "  if %i >= 0 & %i < 100 { %y[0] = %x[%i] } else { %y[0] = %x[%i] } } }",
	 "is in [-1, 101]"},
	{"for %o in 0..51 { for %k in 0..3 { let %i: idx = %o * 2 + %k - 1\n"
	 "  if %i >= 0 & %i < 100 { %y[0] = %x[%i] }\n %y[0] = %x[%i] } }", "is in [-1, 101]"},
	{"for %i in 0..200 { if %i < 100 & %x[%i] < 0.0f { } }", "is in [0, 199]"},
	{"for %i in 0..101 { %y[0] = select(%i > 99, %x[%i], 0.0f) }", "is in [100, 100]"},
	{"for %i in 0..101 { %y[0] = select(%i < 100, 0.0f, %x[%i]) }", "is in [100, 100]"},
	/* data */
	{"%y[cvt.idx(%n[0])] = 0.0f", "cvt.idx(%n[0]): the value may not fit idx"},
	{"%y[cvt.idx(%x[0])] = 0.0f", "a float may not fit idx"},
	{"%y[cvt.idx(cvt.u64(%n[0]))] = 0.0f", "the value may not fit idx"},
	{"%y[cvt.idx(min(%n[0], 99:i64))] = 0.0f", "the value may not fit idx"},
	{"%y[cvt.idx(min(max(%n[0], 0:i64), 100:i64))] = 0.0f", "is in [0, 100]"},
	{"%y[cvt.idx(cvt.i32(%q[0]))] = 0.0f", "is in [-128, 127]"},
	{"for %i in 0..3 { %y[cvt.idx(%d[%i])] = 0.0f }", "is in [-2, 99]"},
	{"%y[cvt.idx(abs(cvt.i32(%n[0])) % 100:i32)] = 0.0f", "is in [-99, 99]"}, /* INT_MIN */
	/* a sum that wraps around says nothing about its terms */
	{"let %v: i64 = %n[0]\n if %v + 5:i64 < 100:i64 & %v >= 0:i64 { %y[cvt.idx(%v)] = 0.0f }",
	 "the value may not fit idx"},
	{"let %v: i32 = cvt.i32(%n[0])\n if %v * 2:i32 < 100:i32 & %v >= 0:i32 { "
	 "%y[cvt.idx(%v)] = 0.0f }",
	 "is in [0, 2147483647]"},
	{"let %v: i64 = %n[0]\n if cvt.i32(%v) < 100:i32 & cvt.i32(%v) >= 0:i32 { "
	 "%y[cvt.idx(%v)] = 0.0f }",
	 "the value may not fit idx"},
	{"if %t[0] < 1.0f { %t[0] = 1.0f }", "'t' is read before anything is stored there"},
	{"let %v: f32 = %t[0]\n %t[0] = %v", "'t' is read before anything is stored there"},
	/* a narrowed value that changes: scratch memory and variables */
	{"%t[0] = 0.0f\n var %p: idx in [0, 200] = 7\n for %i in 0..5 { %y[%p] = 0.0f\n %p = 200 }",
	 "the index %p is in [0, 200]"},
	{"var %p: idx in [0, 200] = 7\n for %i in 0..5 { %p = 200 }\n %y[%p] = "
	 "0.0f", "is in [0, 200]"},
	{"var %p: idx in [0, 100] = 0\n for %i in 0..9 while %p < 100 { %p = %p + 1\n %y[%p] = "
	 "0.0f }",
	 "is in [1, 100]"},
	{"var %p: idx in [0, 99] = 0\n for %i in 0..1000 { %p = %p + 1 }",
	 "the value is in [1, 100], 'p' may be in [0, 99]"},
	{"var %p: idx in [0, 99] = -1", "the value is in [-1, -1], 'p' may be in [0, 99]"},
	{"var %p: idx = 7\n if %x[0] < 1.0f { %p = 300 }\n %y[%p] = 0.0f", "is in [7, 300]"},
	{"var %p: idx = 7\n if %x[0] < 1.0f { } else { %p = 300 }\n %y[%p] = "
	 "0.0f", "is in [7, 300]"},
	{"var %p: idx = 7\n if %x[0] < 1.0f { %p = 500 }\n let %b: bool = %p < 100\n %p = 400\n"
	 " if %b { %y[%p] = 0.0f }", "is in [400, 400]"},
	/* bounds that are expressions */
	{"for %o in 0..34 { for %k in max(0, 1 - %o)..3 { %y[0] = %x[%o + %k - 2] } }", "is in ["},
	{"for %o in 0..100 { for %k in max(0, 1 - %o)..min(3, 102 - %o) { %y[0] = %x[%o + %k - "
	 "1] } }",
	 "is in ["},
	{"for %i in 0..100 { for %k in 0..%i + 2 { %y[%i - %k] = 0.0f } }", "is in ["},
	{"for %i in 0..100 { for %k in 0..100 { if %i >= %k - 1 { %y[%i - %k] = 0.0f } } }",
	 "is in [-99, 99]"},
	{"for %i in 0..9 { for %k in 0..cvt.idx(%n[0]) { } }", "the value may not fit idx"},
	/* overflow of idx */
	{"for %i in 0..2147483647 { let %k: idx = %i + 2 }", "%i + 2 may leave the range of idx"},
	{"for %i in 0..100000 { let %k: idx = %i * 100000 }", "may leave the range of idx"},
	{"let %k: idx = -(-2147483648)", "may leave the range of idx"},
	{"let %k: idx = abs(-2147483648)", "may leave the range of idx"},
	{"for %i in 0..2147483647 step 2 { }", "'i' may leave the range of idx at the end"},
	{"let %k: idx = 7 / 0", "'div' of idx needs a constant positive divisor"},
	{"let %k: idx = 7\n let %m: idx = 7 % %k", "'rem' of idx needs a constant positive "
	 "divisor"},
	/* roles */
	{"%x[0] = 1.0f", "'x' is read only and cannot be stored to"},
	{"%s[0] = 1:i16", "'s' is read only and cannot be stored to"},
	{"for %i in 0..4 { %y[cvt.idx(cvt.i32(%s[%i])) + 1] = 0.0f }", "is in [8, 100]"},
};

START_TEST(bad_kernels_are_rejected)
{
	const char *wrong = lfunc_verify(kernel(bad[_i].body));

	ck_assert_msg(wrong != NULL, "accepted: %s", bad[_i].body);
	ck_assert_msg(strstr(wrong, bad[_i].message) != NULL, "%s\ninstead of\n%s", wrong,
	              bad[_i].message);
}
END_TEST

START_TEST(an_empty_buffer_has_no_valid_index)
{
	ck_assert_ptr_nonnull(
		lfunc_verify(parse("kernel @k(%y: f32[0] out) {\n %y[0] = 1.0f\n}")));
	ck_assert_ptr_null(lfunc_verify(
		parse("kernel @k(%y: f32[0] out) {\n for %i in 0..0 { %y[%i] = 1.0f }\n}")));
}
END_TEST

START_TEST(outputs_have_to_be_written)
{
	ck_assert_str_eq(lfunc_verify(parse("kernel @k(%y: f32[1] out) {\n}")),
	                 "kernel 'k': nothing is stored to the output 'y'");
	ck_assert_ptr_null(lfunc_verify(parse("kernel @k(%y: f32[0] out) {\n}")));
}
END_TEST

static const struct {
	const char *text, *message; /* NULL: accepted */
} functions[] = {
	{"func @f(%x: f32) -> f32 {\n return %x\n}", NULL},
	{"func @f(%x: f32) -> f32 {\n}", "function 'f': no return on some path"},
	{"func @f(%x: f32) -> f32 {\n if %x < 1.0f { return %x }\n}", "no return on some path"},
	{"func @f(%x: f32) -> f32 {\n if %x < 1.0f { return %x } else { return -%x }\n}", NULL},
	{"func @f(%x: f32) -> f32 {\n for %i in 0..9 { return %x }\n}", "no return on some path"},
	{"func @f(%x: f32) -> f32 {\n return %x\n return %x\n}", "this is never reached"},
	{"func @f(%x: f32) -> f32 {\n return %x\n ; the end\n}", NULL},
	{"func @f(%x: i8) -> f32 {\n return cvt.f32(%x)\n}", "the parameter 'x' cannot be i8"},
	{"func @f(%x: f32) -> f16 {\n return cvt.f16(%x)\n}", "the result cannot be f16"},
	{"func @f(%x: f32) -> f32 {\n let %h: f16 = cvt.f16(%x)\n return %x\n}",
	 "the variable 'h' cannot be f16"},
	{"func @f(%i: i32, %t: i32[2] table = {3, 5}) -> i32 {\n return %t[cvt.idx(%i & 1:i32)] }",
	 NULL},
	{"func @f(%i: i32, %t: i32[2] table = {3, 5}) -> i32 {\n return %t[cvt.idx(%i & 3:i32)] }",
	 "is in [0, 3], but 't' has 2 elements"},
	{"func @f(%i: i32, %t: i32[2] table = {3, 5}) -> i32 {\n %t[0] = 1:i32\n return %i }",
	 "'t' is read only"},
	/* behind a return the condition holds for the rest */
	{"func @f(%i: idx) -> idx {\n if %i < 0 { return 0 }\n if %i > 9 { return 9 }\n"
	 " return %i * 200000000 }", NULL},
	{"func @f(%i: idx) -> idx {\n if %i < 0 { return 0 }\n if %i < 9 { } else { return 9 }\n"
	 " return %i * 200000000 }", NULL},
	{"func @f(%i: idx) -> idx {\n if %i < 0 { return 0 }\n return %i * 200000000 }",
	 "may leave the range of idx"},
	{"kernel @k(%x: i8[4] in, %c: bool[4] in, %y: i8[4] out) {\n"
	 " for %i in 0..4 { %y[%i] = select(cvt.bool(%c[%i]), %x[%i], 1:i8) }\n}", NULL},
	{"kernel @k(%x: i8[4] in, %y: i8[4] out) {\n %y[0] = %x[3]\n}", NULL},
};

START_TEST(functions_return_and_types_fit)
{
	const char *wrong = lfunc_verify(parse(functions[_i].text));

	if (functions[_i].message) {
		ck_assert_msg(wrong != NULL, "accepted: %s", functions[_i].text);
		ck_assert_msg(strstr(wrong, functions[_i].message) != NULL, "%s", wrong);
	} else {
		ck_assert_msg(!wrong, "%s", wrong);
	}
}
END_TEST

/* ---- What the parser would not let through ---- */

static void
expect_wrong(const LFunc *f, const char *message)
{
	const char *wrong = lfunc_verify(f);

	ck_assert_msg(wrong != NULL, "accepted although %s", message);
	ck_assert_msg(strstr(wrong, message) != NULL, "%s", wrong);
}

/* for %i in 0..4 { let %v: f32 = %x[%i]; %y[%i] = %v + 1.0f } */
static LFunc *
sample(Stmt **loop)
{
	LFunc *f = parse("func @g(%p: f32) -> f32 {\n return %p\n}\n"
	                 "kernel @k(%x: f32[4] in, %y: f32[4] out) {\n for %i in 0..4 {\n"
	                 "  let %v: f32 = %x[%i]\n  var %w: f32 = g(%v)\n  %w = 2.0f\n"
	                 "  %y[%i] = %v + 1.0f\n }\n}");

	*loop = f->body;
	ck_assert_ptr_null(lfunc_verify(f));
	return f;
}

START_TEST(broken_trees_are_rejected)
{
	Stmt *loop;
	LFunc *f = sample(&loop);
	Stmt *let, *var, *set, *store;

#define ANEW \
	(f = sample(&loop), let = loop->body, var = let->next, set = var->next, store = set->next)
	ANEW, store->value->type = DT_F64, expect_wrong(f, "'add' of f32 gives f64");
	ANEW, store->value->arg[1]->type = DT_F64, expect_wrong(f, "'add' of f32 and f64");
	ANEW, store->value->op = KOP_AND, expect_wrong(f, "'and' of f32");
	ANEW, store->value->nargs = 1, expect_wrong(f, "'add' with 1 operands");
	ANEW, store->value->arg[1] = NULL, expect_wrong(f, "an expression is missing");
	ANEW, store->value->arg[1]->u.f = 0.1, expect_wrong(f, "a constant is no f32");
	ANEW, store->index = store->value, expect_wrong(f, "the index is f32 and has to be idx");
	ANEW, store->buf = NULL, expect_wrong(f, "a store to no buffer");
	ANEW, store->value = store->index, expect_wrong(f, "the value is idx and has to be f32");
	ANEW, set->var = let->var, expect_wrong(f, "'v' cannot be assigned");
	ANEW, set->var = loop->var, expect_wrong(f, "'i' cannot be assigned");
	ANEW, set->next = NULL, loop->next = store,
		expect_wrong(f, "'i' is used outside of its block");
	ANEW, loop->body = var, var->next = store, store->next = let, let->next = NULL,
		expect_wrong(f, "'v' is used before its declaration");
	ANEW, set->next = NULL, expect_wrong(f, "nothing is stored to the output 'y'");
	ANEW, var->var = let->var, expect_wrong(f, "'v' is declared twice");
	ANEW, var->var->name = "x", expect_wrong(f, "the name 'x' is used twice");
	ANEW, loop->step = 0, expect_wrong(f, "the step is not positive");
	ANEW, loop->hi = store->value, expect_wrong(f, "'v' is used before its declaration");
	ANEW, loop->hi = set->value, expect_wrong(f, "the upper bound is f32");
	ANEW, loop->cond = set->value, expect_wrong(f, "the condition is f32");
	ANEW, loop->var->is_const = false, expect_wrong(f, "is no constant idx");
	ANEW, var->value->nargs = 0, expect_wrong(f, "'g' is called with 0 arguments");
	ANEW, var->value->u.callee = f, expect_wrong(f, "a call of what is no scalar function");
	ANEW, var->value->arg[0] = loop->lo, expect_wrong(f, "an argument is idx");
	ANEW, var->value->u.callee->params.n = 0, expect_wrong(f, "'g' is called with 1 arguments");
	ANEW, f->bufs.v[0]->elem = DT_F64, expect_wrong(f, "'x' is used with a wrong type");
	ANEW, f->bufs.v[0]->role = LBUF_TABLE, expect_wrong(f, "the table 'x' has no contents");
	ANEW, f->bufs.v[0]->index = 1, expect_wrong(f, "the buffer 'x' is malformed");
	ANEW, f->bufs.v[0]->count = INT32_MAX, expect_wrong(f, "the buffer 'x' is too large");
	ANEW, let->value->arg[0] = var->value, expect_wrong(f, "'v' is used before");
#undef ANEW
}
END_TEST

START_TEST(recursion_is_rejected)
{
	LFuncs all = {0};
	const char *text = "func @f(%x: f32) -> f32 {\n return %x\n}\n"
	                   "func @g(%x: f32) -> f32 {\n return f(%x)\n}\n"
	                   "func @h(%x: f32) -> f32 {\n return g(%x) + g(%x)\n}\n";

	ck_assert(lfunc_parse(arena, "t.lir", text, strlen(text), &all, &diag));
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_null(lfunc_verify(all.v[i]));
	all.v[0]->body->value = all.v[2]->body->value;
	all.v[0]->body->value->arg[0]->arg[0]->u.var = all.v[0]->params.v[0];
	all.v[0]->body->value->arg[1]->arg[0]->u.var = all.v[0]->params.v[0];
	expect_wrong(all.v[0], "'g' calls this function: recursion");
	/* a cycle that the function is not part of ends as well */
	ck_assert_ptr_nonnull(lfunc_verify(all.v[1]));
}
END_TEST

/* ---- Ranges, against all values of small ones ---- */

static int64_t
value_of(KOp op, int64_t x, int64_t y)
{
	switch (op) {
	case KOP_ADD: return x + y;
	case KOP_SUB: return x - y;
	case KOP_MUL: return x * y;
	case KOP_DIV: return y ? x / y : 0;
	case KOP_REM: return y ? x % y : x;
	case KOP_MIN: return x < y ? x : y;
	case KOP_MAX: return x > y ? x : y;
	case KOP_NEG: return -x;
	case KOP_ABS: return x < 0 ? -x : x;
	case KOP_AND: return x & y;
	case KOP_OR: return x | y;
	case KOP_XOR: return x ^ y;
	case KOP_NOT: return ~x;
	case KOP_SHL: return x * ((int64_t)1 << (y & 31));
	case KOP_SHR: return x >> (y & 31);
	case KOP_EQ: return x == y;
	case KOP_NE: return x != y;
	case KOP_LT: return x < y;
	case KOP_LE: return x <= y;
	case KOP_GT: return x > y;
	case KOP_GE: return x >= y;
	case KOP_COUNT: break;
	}
	return 0;
}

enum { SIDE = 5 };

static bool
holds(Range r, int64_t v)
{
	return v >= r.lo && v <= r.hi;
}

/* Values that 32 bits hold, so only those need to be in the range. */
static void
check_range(KOp op, Range x, Range y)
{
	bool exact, is_shift = op == KOP_SHL || op == KOP_SHR;
	Range r = range_kop(op, DT_I32, x, y, &exact);

	for (int64_t p = x.lo; p <= x.hi; p++)
		for (int64_t q = y.lo; q <= y.hi; q++) {
			int64_t v = value_of(op, p, q);

			if (v != (int32_t)v)
				continue;
			if (!holds(r, v))
				ck_abort_msg("%s of %d, %d", kop_info[op].name, (int)p, (int)q);
			if (kop_info[op].to_bool) {
				if (v && !holds(range_if_compared(op, DT_I32, x, y), p))
					ck_abort_msg("x of %s, %d, %d", kop_info[op].name, (int)p,
					             (int)q);
				continue;
			}
			if (!is_shift && (!holds(range_first_operand(op, (Range){v, v}, y), p) ||
			                  !holds(range_second_operand(op, (Range){v, v}, x), q)))
				ck_abort_msg("back from %s of %d, %d", kop_info[op].name, (int)p,
				             (int)q);
		}
}

START_TEST(ranges_hold_all_results)
{
	KOp op = (KOp)_i;

	for (int64_t a = -SIDE; a <= SIDE; a++)
		for (int64_t b = a; b <= SIDE; b++)
			for (int64_t c = -SIDE; c <= SIDE; c++)
				for (int64_t d = c; d <= SIDE; d++)
					check_range(op, (Range){a, b}, (Range){c, d});
}
END_TEST

START_TEST(ranges_that_may_wrap_are_those_of_the_type)
{
	bool exact;
	Range big = {INT32_MAX - 1, INT32_MAX}, two = {2, 2};
	Range r = range_kop(KOP_ADD, DT_I32, big, two, &exact);

	ck_assert(!exact && r.lo == INT32_MIN && r.hi == INT32_MAX);
	r = range_kop(KOP_ADD, DT_I64, big, two, &exact);
	ck_assert(exact && r.lo == INT32_MAX + (int64_t)1);
	r = range_kop(KOP_ADD, DT_I64, (Range){INT64_MAX, INT64_MAX}, two, &exact);
	ck_assert(!exact && r.lo == INT64_MIN && r.hi == INT64_MAX);
	r = range_kop(KOP_SUB, DT_U32, (Range){0, 1}, two, &exact);
	ck_assert(!exact && r.lo == 0 && r.hi == UINT32_MAX);
	r = range_kop(KOP_ABS, DT_I32, (Range){INT32_MIN, 0}, two, &exact);
	ck_assert(!exact && r.lo == INT32_MIN);
	r = range_kop(KOP_DIV, DT_U64, (Range){-1, 5}, two, &exact);
	ck_assert(!exact && r.lo == INT64_MIN);
}
END_TEST

/* ---- Time ---- */

/* Nested conditions inside of conditions, chains of lets of lets, long bodies. */
START_TEST(time_does_not_explode)
{
	clock_t start = clock();
	LBuilder b;
	LBuf *x, *y;
	Expr *e, *c, *i;

	loop_begin(&b, arena, "k");
	x = loop_buf(&b, "x", DT_F32, 100, LBUF_IN, NULL);
	y = loop_buf(&b, "y", DT_F32, 100, LBUF_OUT, NULL);
	i = loop_for(&b, "i", 0, 100);
	e = i;
	for (int k = 0; k < 300; k++) {
		c = loop_op2(&b, KOP_LT, e, loop_idx(&b, 50 + k));
		e = loop_select(&b, c, i, loop_idx(&b, k % 100));
	}
	loop_store(&b, y, e, loop_load(&b, x, e));
	e = i;
	c = loop_op2(&b, KOP_LT, i, loop_idx(&b, 40));
	for (int k = 0; k < 60; k++) {
		e = loop_let(&b, arena_printf(arena, "e%d", k), loop_op2(&b, KOP_MAX, e, e));
		c = loop_let(&b, arena_printf(arena, "c%d", k), loop_op2(&b, KOP_AND, c, c));
	}
	loop_if(&b, c);
	loop_store(&b, y, e, loop_float(&b, DT_F32, 0));
	loop_end(&b);
	for (int k = 0; k < 3000; k++) {
		loop_if(&b, loop_op2(&b, KOP_LT, i, loop_idx(&b, k % 100)));
		loop_store(&b, y, loop_op2(&b, KOP_ADD, i, loop_idx(&b, 1)), loop_load(&b, x, i));
		loop_end(&b);
	}
	loop_end(&b);
	ck_assert_ptr_null(lfunc_verify(loop_finish(&b)));
	ck_assert_double_lt((double)(clock() - start) / CLOCKS_PER_SEC, 1.0);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int
main(void)
{
	Suite *s = suite_create("loop_verify");
	TCase *tc = tcase_create("verify");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, good_kernels_are_accepted, 0, COUNT(good));
	tcase_add_loop_test(tc, bad_kernels_are_rejected, 0, COUNT(bad));
	tcase_add_test(tc, an_empty_buffer_has_no_valid_index);
	tcase_add_test(tc, outputs_have_to_be_written);
	tcase_add_loop_test(tc, functions_return_and_types_fit, 0, COUNT(functions));
	tcase_add_test(tc, broken_trees_are_rejected);
	tcase_add_test(tc, recursion_is_rejected);
	tcase_add_loop_test(tc, ranges_hold_all_results, 0, KOP_COUNT);
	tcase_add_test(tc, ranges_that_may_wrap_are_those_of_the_type);
	tcase_add_test(tc, time_does_not_explode);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
