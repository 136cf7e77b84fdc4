/* Regular expressions of PMML's functions; the results are those of Python's re. */
#include <check.h>
#include <string.h>

#include "frontend/pmml/pattern.h"
#include "tests/unit/unit_arena.h"

static const struct {
	const char *pattern, *text, *by, *want; /* by NULL: whether it matches, "1" or "0" */
} cases[] = {
	{"abc", "xabcx", NULL, "1"},
	{"abc", "xabx", NULL, "0"},
	{"", "abc", "-", "-a-b-c-"},
	{"^$", "", NULL, "1"},
	{"^a|b$", "cb", NULL, "1"},
	{"^(a|b)$", "cb", NULL, "0"},
	{"a*", "baac", "<$0>", "<>b<aa><>c<>"},
	{"a+?", "aaa", "x", "xxx"},
	{"(a+)(a*)", "aaa", "$2$1", "aaa"},
	{"(a+?)(a*)", "aaa", "[$1|$2]", "[a|aa]"},
	{"(a|ab)(c|bcd)(d*)", "abcd", "$1,$2,$3", "a,bcd,"},
	{"x{2}", "xxxxx", "y", "yyx"},
	{"x{2,}", "xxxxx", "y", "y"},
	{"x{1,3}", "xxxxx", "y", "yy"},
	{"x{0}z", "xz", "y", "xy"},
	{"(ab){2,3}", "abababab", "<$1>", "<ab>ab"},
	{"[a-c0]+", "xabc0dy", "_", "x_dy"},
	{"[^a-c]+", "abxyca", "_", "ab_ca"},
	{"[]a]", "]", NULL, "1"},
	{"[a-]", "-", NULL, "1"},
	{"[\\d\\-]+", "a1-2b", "#", "a#b"},
	{"\\d+", "a12b345", "#", "a#b#"},
	{"\\D+", "a12b345", "#", "#12#345"},
	{"\\s", "a b\tc\vd", "_", "a_b_c_d"},
	{"\\S+", "ab cd", "x", "x x"},
	{"\\w+", "ab_1-c", "x", "x-x"},
	{"\\W", "ab_1-c", "x", "ab_1xc"},
	{"\\bfoo\\b", "a foo, food", "X", "a X, food"},
	{"\\Bo", "foo", "0", "f00"},
	{"a.c", "a\nc abc", "x", "a\nc x"},
	{"\\.", "a.b", "\\$", "a$b"},
	{"(?:ab)+(c)", "ababc", "$1", "c"},
	{"(?i)ABC[x-z]", "abcY", NULL, "1"},
	{"(a)|b", "b", "<$1>", "<>"},
	{"(a*)*", "aab", "<$0>", "<aa><>b<>"},
	{"(a*)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaab", NULL, "1"},
	{"(a+)+c", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaab", NULL, "0"},
	{"\xc3\xa4.", "x\xc3\xa4\xc3\xb6y", "_", "x_y"},
	{"[\xc3\xa0-\xc3\xbf]", "\xc3\xa4" "b", "_", "_b"},
	{"\\p{Punct}", "a,b;c", "", "abc"},
	{"\\P{Alpha}+", "a1,b", " ", "a b"},
};
enum { CASES = sizeof cases / sizeof *cases };

START_TEST(pattern_matches_and_replaces)
{
	const char *why;
	Pattern *p = pattern_new(arena, cases[_i].pattern, &why);

	ck_assert_msg(p != NULL, "'%s': %s", cases[_i].pattern, why);
	if (cases[_i].by)
		ck_assert_str_eq(pattern_replace(p, cases[_i].text, cases[_i].by),
		                 cases[_i].want);
	else
		ck_assert_str_eq(pattern_find(p, cases[_i].text) ? "1" : "0", cases[_i].want);
}
END_TEST

static const char *const refused[] = {
	"(a", "a)", "[a", "*a", "a**", "a{2", "a{3,2}", "a{x}", "\\", "\\1", "(?=a)", "(?<n>a)",
	"[b-a]", "[a&&b]", "[[:alpha:]]", "\\p{Han}", "\\pL", "\\q", "a{5000}", "(a{900}){900}",
	"((((((((((a))))))))))",
};
enum { REFUSED = sizeof refused / sizeof *refused };

START_TEST(pattern_says_what_it_does_not_understand)
{
	const char *why = NULL;

	ck_assert_ptr_null(pattern_new(arena, refused[_i], &why));
	ck_assert_ptr_nonnull(why);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pattern");
	TCase *tc = tcase_create("pattern");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, pattern_matches_and_replaces, 0, CASES);
	tcase_add_loop_test(tc, pattern_says_what_it_does_not_understand, 0, REFUSED);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
