/* When an output may lie over an input: the analysis, and that its yes is right. */
#include <check.h>
#include <string.h>

#include "ir/loop/loop.h"
#include "tests/unit/unit_arena.h"

static LFunc *
kernel(const char *body)
{
	const char *text = arena_printf(arena,
	                                "kernel @k(%%x: i32[240] in, %%w: i32[240] in, "
	                                "%%y: i32[240] out, %%t: i32[240] scratch) {\n%s\n}\n",
	                                body);
	LFuncs all = {0};
	const char *wrong;

	if (!lfunc_parse(arena, "t.lir", text, strlen(text), &all, &diag))
		ck_abort_msg("line %d: %s\n%s", diag.first->loc.line, diag.first->text, text);
	wrong = lfunc_verify(all.v[0]);
	ck_assert_msg(!wrong, "%s", wrong);
	return all.v[0];
}

static const struct {
	bool share;
	const char *body;
} cases[] = {
	/* elementwise */
	{true, "for %i in 0..240 { %y[%i] = %x[%i] }"},
	{true, "for %i in 0..240 { %y[%i] = %x[%i] * %x[%i] + %w[%i] }"},
	{true, "for %i in 0..240 { let %v: i32 = %x[%i]\n %y[%i] = %v\n %y[%i] = %v + 1:i32 }"},
	{true, "for %i in 0..240 { %y[%i] = %w[0]\n %y[%i] = %y[%i] + %w[%i] }"},
	{true, "for %i in 0..240 { if %x[%i] > 0:i32 { %y[%i] = %x[%i] } else { %y[%i] = 0:i32 "
	 "} }"},
	{false, "for %i in 0..240 { %y[%i] = %x[%i]\n %y[%i] = %x[%i] + 1:i32 }"},
	{false, "for %i in 0..240 { %y[%i] = 0:i32\n %y[%i] = %x[%i] }"},
	{false, "for %i in 0..240 { %y[%i] = %x[239 - %i] }"},
	{true, "for %i in 0..240 { %y[239 - %i] = %x[239 - %i] }"},
	{false, "for %i in 0..240 { %y[%i] = %x[0] }"},
	{false, "for %k in 0..2 { for %i in 0..240 { %y[%i] = %x[%i] } }"},
	{false, "var %k: idx in [0, 239] = 0\n"
	        "for %i in 0..240 { %y[%i] = %x[%k]\n if %k < 239 { %k = %k + 1 } }"},
	{false, "for %i in 0..240 { %y[%i] = %x[%i % 10] }"},
	/* moved by some elements */
	{true, "for %i in 0..239 { %y[%i] = %x[%i + 1] }"},
	{false, "for %i in 0..239 { %y[%i + 1] = %x[%i] }"},
	{true, "for %i in 0..239 { %y[239 - %i] = %x[238 - %i] }"},
	{true, "for %i in 0..230 { %y[%i] = max(%x[%i], %x[%i + 9]) }"},
	{false, "for %i in 0..230 { %y[%i + 1] = max(%x[%i], %x[%i + 9]) }"},
	/* nests, also not in the order of memory, and with steps and gaps */
	{true, "for %a in 0..4 { for %b in 0..6 { for %c in 0..10 {\n"
	       "let %i: idx = (%a * 6 + %b) * 10 + %c\n %y[%i] = %x[(%a * 6 + %b) * 10 + %c] + "
	       "%w[%c] } } }"},
	{true, "for %c in 0..10 { for %a in 0..4 { for %b in 0..6 {\n"
	       "%y[%a * 60 + %b * 10 + %c] = %x[%a * 60 + %b * 10 + %c] } } }"},
	{true, "for %c in 0..12 { for %a in 0..10 step 2 { %y[%a * 24 + %c] = %x[%a * 24 + %c] "
	 "} }"},
	{true, "for %c in 0..24 { for %a in 0..10 step 2 { %y[%a * 12 + %c] = %x[%a * 12 + %c] "
	 "} }"},
	{false, "for %c in 0..25 { for %a in 0..10 step 2 { %y[%a * 12 + %c] = %x[%a * 12 + %c] "
	 "} }"},
	{false, "for %a in 0..4 { for %b in 0..10 { %y[%a * 9 + %b] = %x[%a * 9 + %b] } }"},
	{false, "for %a in 0..10 { for %b in 0..10 { %y[%a * 10 + %b] = %x[%b * 10 + %a] } }"},
	/* vectors */
	{true, "for %i in 0..30 { %y[%i * 8, 8] = %x[%i * 8, 8] }"},
	{true, "for %i in 0..29 { %y[%i * 8, 8] = %x[%i * 8 + 1, 8] }"},
	{false, "for %i in 0..29 { %y[%i * 8 + 1, 8] = %x[%i * 8, 8] }"},
	{false, "for %i in 0..232 { %y[%i, 8] = %x[%i, 8] }"},
	/* rows that are read several times before they are written */
	{true, "for %r in 0..24 { var %m: i32 = %x[%r * 10]\n"
	       "for %a in 1..10 { %m = max(%m, %x[%r * 10 + %a]) }\n"
	       "for %b in 0..10 { %y[%r * 10 + %b] = %x[%r * 10 + %b] - %m } }"},
	{false, "for %r in 0..24 { var %m: i32 = %x[%r * 10]\n"
	        "for %b in 0..10 { %y[%r * 10 + %b] = %x[%r * 10 + %b] - %m }\n"
	        "for %a in 1..10 { %m = max(%m, %x[%r * 10 + %a]) } }"},
	{false, "for %r in 0..23 { var %m: i32 = %x[%r * 10]\n"
	        "for %a in 0..11 { %m = max(%m, %x[%r * 10 + %a]) }\n"
	        "for %b in 0..11 { %y[%r * 10 + %b] = %m } }"},
	/* sums of rows; those of columns read elements that are overwritten */
	{true, "for %r in 0..24 { var %s: i32 = 0:i32\n"
	       "for %a in 0..10 { %s = %s + %x[%r * 10 + %a] }\n %y[%r] = %s }"},
	{true, "for %r in 0..24 { %y[%r] = 0:i32\n for %a in 0..9 { %y[%r] = %y[%r] + %x[%r * "
	 "10 + %a + 1] } }"},
	{false, "for %r in 0..24 { %y[%r] = 0:i32\n for %a in 0..10 { %y[%r] = %y[%r] + %x[%r * "
	 "10 + %a] } }"},
	{false, "for %c in 0..10 { var %s: i32 = 0:i32\n"
	        "for %a in 0..24 { %s = %s + %x[%a * 10 + %c] }\n %y[%c * 2] = %s }"},
	{true, "for %c in 0..10 { var %s: i32 = 0:i32\n"
	       "for %a in 0..24 { %s = %s + %x[%a * 10 + %c] }\n %y[%c] = %s }"},
	/* through scratch memory */
	{true, "for %i in 0..240 { %t[%i] = %x[%i] }\n for %k in 0..240 { %y[239 - %k] = %t[%k] }"},
	{false, "for %k in 0..240 { %y[%k] = %w[%k] }\n for %i in 0..240 { %t[%i] = %x[%i] }"},
	/* not read at all, or never */
	{true, "for %i in 0..240 { %y[%i] = %w[239 - %i] }"},
	{true, "for %i in 0..240 { %y[%i] = 0:i32 }\n for %k in 3..3 { %t[0] = %x[0] }"},
	/* in conditions and bounds, and with bounds that are not constant */
	{true, "for %i in 0..240 while %x[239] > 0:i32 { %t[0] = 0:i32 }\n %y[0] = 0:i32"},
	{false, "for %i in 0..240 while %x[5] > 0:i32 { %y[%i] = 0:i32 }"},
	{true, "for %i in 0..240 while %x[239] > 0:i32 { %y[%i] = 0:i32 }"},
	{false, "for %i in 0..240 { for %k in 0..cvt.idx(%x[5] & 7:i32) { %t[0] = 0:i32 }\n "
	 "%y[%i] = 0:i32 }"},
	{true, "for %i in 0..24 { for %k in 0..10 - %i % 5 { %y[%i * 10 + %k] = %w[%k] }\n}\n"},
	{false, "for %r in 0..24 { for %k in 0..10 - %r % 5 { %y[%r * 10 + %k] = %x[%r * 10 + "
	 "%k] } }"},
};

START_TEST(sharing_is_allowed_where_it_is_proven)
{
	const LFunc *f = kernel(cases[_i].body);

	ck_assert_msg(lfunc_may_share(f, f->bufs.v[0], f->bufs.v[2]) == cases[_i].share, "%s",
	              cases[_i].body);
}
END_TEST

/* Runs the kernel with separate buffers and, when that is allowed, in place. */
START_TEST(sharing_does_not_change_results)
{
	const LFunc *f = kernel(cases[_i].body);
	int32_t x[240], w[240], y[240] = {0}, shared[240];
	void *apart[] = {x, w, y, NULL}, *in_place[] = {shared, w, shared, NULL};
	bool stored[240] = {false};

	for (int i = 0; i < 240; i++) {
		x[i] = shared[i] = i * i % 101;
		w[i] = i * 7 % 13;
	}
	/* Elements that the kernel leaves alone are not compared. */
	lfunc_run(arena, f, apart);
	for (int i = 0; i < 240; i++)
		stored[i] = y[i] != 0;
	if (!cases[_i].share)
		return;
	lfunc_run(arena, f, in_place);
	for (int i = 0; i < 240; i++)
		if (stored[i])
			ck_assert_int_eq(shared[i], y[i]);
}
END_TEST

START_TEST(elements_have_to_be_of_one_size)
{
	static const struct {
		const char *text;
		bool share;
	} sizes[] = {
		{"kernel @k(%x: f32[8] in, %y: i32[8] out) {\n"
		 " for %i in 0..8 { %y[%i] = cvt.i32(%x[%i]) }\n}", true},
		{"kernel @k(%x: f32[8] in, %y: f64[8] out) {\n"
		 " for %i in 0..8 { %y[%i] = cvt.f64(%x[%i]) }\n}", false},
		{"kernel @k(%x: i8[8] in, %y: bool[8] out) {\n"
		 " for %i in 0..8 { %y[%i] = cvt.bool(%x[%i]) }\n}", true},
	};

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		LFuncs all = {0};

		ck_assert(lfunc_parse(arena, "t", sizes[i].text, strlen(sizes[i].text), &all,
		                      &diag));
		ck_assert_int_eq(lfunc_may_share(all.v[0], all.v[0]->bufs.v[0],
		                                 all.v[0]->bufs.v[1]), sizes[i].share);
	}
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int
main(void)
{
	Suite *s = suite_create("loop_alias");
	TCase *tc = tcase_create("alias");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, sharing_is_allowed_where_it_is_proven, 0, COUNT(cases));
	tcase_add_loop_test(tc, sharing_does_not_change_results, 0, COUNT(cases));
	tcase_add_test(tc, elements_have_to_be_of_one_size);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
