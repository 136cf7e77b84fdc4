/* driver/: printing of diagnostics, make rules, comparing, the option table. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "driver/compare.h"
#include "driver/deps.h"
#include "driver/diagprint.h"
#include "driver/help.h"
#include "driver/options.h"
#include "driver/tensor.h"
#include "tests/unit/unit.h"

static Arena *arena;
static Diag diag;
static Str out;
static const DiagStyle text = {.program = "mcc"}, json = {.program = "mcc", .json = true};

static void
set_up(void)
{
	arena = arena_new(NULL, NULL);
	diag_init(&diag, arena);
	str_init(&out, arena);
}

static void
tear_down(void)
{
	arena_free(arena);
}

static void
expect_printed(const DiagStyle *style, const char *expected)
{
	diagprint_messages(&out, &diag, style);
	ck_assert_str_eq(out.s, expected);
}

/* ---- Diagnostics ---- */

START_TEST(a_message_has_place_kind_text_and_code)
{
	Loc binary = {.file = "a.onnx", .where = "node 3 'conv1' (Conv)"};
	Loc line = {.file = "a.mcc", .line = 7, .column = 3};

	diag_report(&diag, &binary, E_SHAPE, "does not fit");
	diag_note(&diag, &line, "like this");
	diag_report(&diag, NULL, W_UNUSED, "nothing");
	expect_printed(&text, "a.onnx: node 3 'conv1' (Conv): error: does not fit [E0207]\n"
	                      "a.mcc:7:3: note: like this\n"
	                      "mcc: warning: nothing [W0603, -Wunused-option]\n");
}
END_TEST

START_TEST(a_warning_made_an_error_says_by_which_option)
{
	diag.as_error[W_UNUSED] = true;
	diag_report(&diag, NULL, W_UNUSED, "nothing");
	expect_printed(&text, "mcc: error: nothing [W0603, -Werror=unused-option]\n");
}
END_TEST

START_TEST(a_caret_stands_under_what_is_meant)
{
	diag_report_at(&diag, NULL, E_SHAPE, "%y = add(%x, \xc3\xa4 z)", 13, 2, "no");
	expect_printed(&text, "mcc: error: no [E0207]\n"
	                      "  %y = add(%x, \xc3\xa4 z)\n"
	                      "               ^\n");
}
END_TEST

START_TEST(a_long_snippet_is_cut_around_the_caret)
{
	char line[1001], *caret;

	memset(line, 'a', 1000);
	line[1000] = '\0';
	memcpy(line + 500, "HERE", 4);
	diag_report_at(&diag, NULL, E_SHAPE, line, 500, 4, "no");
	diagprint_messages(&out, &diag, &text);
	ck_assert_uint_lt(out.n, 300);
	ck_assert_ptr_nonnull(strstr(out.s, "aHEREa"));
	caret = strstr(out.s, "^~~~\n");
	ck_assert_ptr_nonnull(caret);
	/* The same column in both lines. */
	*strrchr(out.s, '\n') = '\0';
	ck_assert_int_eq(caret - strrchr(out.s, '\n'),
	                 strstr(out.s, "HERE") - strstr(out.s, "\n  ..."));
}
END_TEST

START_TEST(carets_outside_of_the_snippet_do_no_harm)
{
	diag_report_at(&diag, NULL, E_SHAPE, "ab", 100, 1000, "no");
	diag_report_at(&diag, NULL, E_SHAPE, "", -5, -7, "no");
	expect_printed(&text, "mcc: error: no [E0207]\n  ab\n    ^\n"
	                      "mcc: error: no [E0207]\n  \n  ^\n");
}
END_TEST

START_TEST(control_characters_are_made_visible)
{
	Loc loc = {.file = "a\033[2J", .where = "b\nc"};

	diag_report_at(&diag, &loc, E_SHAPE, "x\033y", 1, 1, "%s", "tab\there");
	expect_printed(&text, "a\\x1b[2J: b\\x0ac: error: tab\\x09here [E0207]\n  x?y\n   ^\n");
}
END_TEST

START_TEST(json_is_one_object_a_line_with_notes_inside)
{
	Loc loc = {.file = "a\"\\\xff", .line = 2, .where = "w"};

	diag_report_at(&diag, &loc, E_SHAPE, "s\x01", 1, 2, "m\xe2\x82\xac");
	diag_note(&diag, NULL, "one");
	diag_note(&diag, NULL, "two");
	diag_report(&diag, NULL, E_USAGE, "next");
	expect_printed(
		&json,
		"{\"kind\":\"error\",\"code\":\"E0207\",\"title\":\"shapes do not fit\","
		"\"file\":\"a\\\"\\\\\\ufffd\",\"line\":2,\"where\":\"w\",\"message\":\"m\xe2\x82\xac\","
		"\"snippet\":\"s\\u0001\",\"caret\":1,\"length\":2,\"notes\":["
		"{\"kind\":\"note\",\"message\":\"one\"},{\"kind\":\"note\",\"message\":\"two\"}]}\n"
		"{\"kind\":\"error\",\"code\":\"E0101\",\"title\":\"bad command line\","
		"\"message\":\"next\"}\n");
}
END_TEST

START_TEST(what_is_not_utf8_is_replaced)
{
	/* Overlong, surrogate, beyond U+10FFFF, cut short; then good ones. */
	str_put_json(&out, "\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82");
	ck_assert_str_eq(out.s, "\"\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd "
	                        "\\ufffd\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\"");
	str_init(&out, arena);
	str_put_json(&out, "\xc2\xa2\xef\xbf\xbd\xf0\x9f\x98\x80");
	ck_assert_str_eq(out.s, "\"\xc2\xa2\xef\xbf\xbd\xf0\x9f\x98\x80\"");
}
END_TEST

START_TEST(the_closing_line_counts)
{
	diagprint_total(&out, 0, 0, &text);
	diagprint_total(&out, 3, 0, &json);
	ck_assert_str_eq(out.s, "");
	diagprint_total(&out, 1, 0, &text);
	diagprint_total(&out, 2, 1, &text);
	diagprint_total(&out, 0, 2, &text);
	ck_assert_str_eq(out.s, "1 error generated.\n1 warning and 2 errors generated.\n"
	                        "2 warnings generated.\n");
}
END_TEST

/* ---- Make rules ---- */

START_TEST(names_in_make_rules_are_escaped)
{
	const char *names[] = {"a b", "c#d$e", "f\\ g", "h\\i"};
	PathList files = {.v = names, .n = 4};
	Names targets = {0};

	deps_print(&out, &targets, "o p", &files, true);
	ck_assert_str_eq(out.s, "o\\ p: a\\ b c\\#d$$e f\\\\\\ g h\\i\n"
	                        "\nc\\#d$$e:\n\nf\\\\\\ g:\n\nh\\i:\n");
}
END_TEST

/* ---- Comparing ---- */

START_TEST(only_what_is_further_than_the_tolerances_is_wrong)
{
	static const float r[] = {1, 0, NAN, INFINITY, -INFINITY, 100};
	static const float x[] = {1.01f, 0.005f, NAN, INFINITY, -INFINITY, 102.5f};
	Npy a = {.kind = 'f', .size = 4, .count = 6, .data = x};
	Npy b = {.kind = 'f', .size = 4, .count = 6, .data = r};
	Difference d = compare_arrays(DT_F32, &a, &b, 0.02, 0.01);

	ck_assert_uint_eq(d.wrong, 1);
	ck_assert_uint_eq(d.first_wrong, 5);
	ck_assert_double_eq(d.largest, 2.5);
}
END_TEST

START_TEST(a_number_is_never_close_to_nan_or_infinity)
{
	static const float r[] = {NAN, 1, INFINITY, 1, INFINITY};
	static const float x[] = {1, NAN, 1, INFINITY, -INFINITY};
	Npy a = {.kind = 'f', .size = 4, .count = 5, .data = x};
	Npy b = {.kind = 'f', .size = 4, .count = 5, .data = r};

	ck_assert_uint_eq(compare_arrays(DT_F32, &a, &b, 1e9, 1e9).wrong, 5);
}
END_TEST

START_TEST(integers_have_to_be_the_same)
{
	static const int64_t r[] = {INT64_MAX, 5}, x[] = {INT64_MAX - 1, 5};
	Npy a = {.kind = 'i', .size = 8, .count = 2, .data = x};
	Npy b = {.kind = 'i', .size = 8, .count = 2, .data = r};

	ck_assert_uint_eq(compare_arrays(DT_I64, &a, &b, 1, 1e9).wrong, 1);
}
END_TEST

START_TEST(every_element_type_has_a_numpy_type)
{
	Npy n = {.rank = 1, .dim = {2}};

	tensor_set_elements(&n, (DType)_i);
	ck_assert(tensor_elements_fit(&n, (DType)_i));
	for (int t = 0; t < DT_IDX; t++)
		ck_assert_int_eq(tensor_elements_fit(&n, (DType)t), t == _i);
	ck_assert_str_eq(tensor_text(arena, &n),
	                 arena_printf(arena, "%s[2]", dtype_info[_i].name));
}
END_TEST

/* ---- Options ---- */

static Options options;

static bool
parse(Tool tool, const char *const *words)
{
	char *argv[16];
	int argc = 0;

	argv[argc++] = arena_strdup(arena, "program");
	for (; *words; words++)
		argv[argc++] = arena_strdup(arena, *words);
	return options_parse(&options, tool, argc, argv, arena, &diag);
}

START_TEST(the_longest_spelling_wins)
{
	const char *const words[] = {"-Wno-model", "-Werror=model", "-Werror", "-Wignored",
	                             "-O",         "m.onnx",        NULL};

	ck_assert(parse(TOOL_MCC, words));
	ck_assert(!options.warning_off[W_MODEL] && options.warning_as_error[W_MODEL]);
	ck_assert(options.werror);
	ck_assert_int_eq(options.level, '1');
	ck_assert_int_eq(options.inputs.n, 1);
}
END_TEST

START_TEST(later_options_count)
{
	const char *const words[] = {"-ox.c", "-o", "y.c", "-O3", "-Os", "-fmax-memory=2m", NULL};

	ck_assert(parse(TOOL_MCC, words));
	ck_assert_str_eq(options.output, "y.c");
	ck_assert_int_eq(options.level, 's');
	ck_assert_uint_eq(options.max_memory, 2 << 20);
}
END_TEST

START_TEST(options_belong_to_a_tool)
{
	const char *const engine[] = {"--engine=c", NULL}, *const deps[] = {"-MD", NULL};

	ck_assert(parse(TOOL_RUN, engine) && options.engine == ENGINE_C);
	ck_assert(!parse(TOOL_MCC, engine));
	ck_assert(parse(TOOL_MCC, deps) && options.deps);
	ck_assert(!parse(TOOL_RUN, deps));
}
END_TEST

START_TEST(sizes_that_overflow_are_refused)
{
	const char *const bits[] = {"-fmax-memory=99999999999999999999", NULL};
	const char *const unit[] = {"-fmax-memory=99999999999G", NULL};

	ck_assert(!parse(TOOL_MCC, bits));
	ck_assert(!parse(TOOL_MCC, unit));
}
END_TEST

START_TEST(words_are_quoted_for_a_shell)
{
	quote_word(&out, "a/b.c=1");
	quote_word(&out, "");
	quote_word(&out, "it's $x");
	ck_assert_str_eq(out.s, "a/b.c=1'''it'\\''s $x'");
}
END_TEST

START_TEST(the_table_is_well_formed)
{
	for (const Option *t = option_table; t->spelling; t++) {
		bool takes_value = t->kind != OPTION_FLAG;

		ck_assert_msg(takes_value == (t->metavar != NULL), "%s", t->spelling);
		ck_assert_msg(t->programs != 0, "%s", t->spelling);
		ck_assert_msg((t->help == NULL) == (t->action == ACTION_REJECT), "%s", t->spelling);
		ck_assert_msg(!t->help || t->help[strlen(t->help) - 1] == '.', "%s", t->spelling);
		for (const Option *u = option_table; u < t; u++)
			ck_assert_msg(!(u->programs & t->programs) ||
			                      strcmp(u->spelling, t->spelling) != 0,
			              "%s", t->spelling);
	}
}
END_TEST

START_TEST(the_formats_of_x_are_those_that_can_be_read)
{
	const Option *x = option_table;
	Str list;

	while (strcmp(x->spelling, "-x") != 0)
		x++;
	str_init(&list, arena);
	for (const FrontendFormat *f = frontend_formats; f->name; f++) {
		ck_assert_ptr_nonnull(strstr(x->metavar, f->name));
		str_printf(&list, "%s|", f->name);
	}
	ck_assert_uint_eq(list.n + strlen("none"), strlen(x->metavar));
}
END_TEST

START_TEST(the_manual_has_every_option)
{
	help_man(&out, TOOL_MCC);
	ck_assert_ptr_nonnull(strstr(out.s, ".TP\n\\fB\\-fprefix=\\fR\\fINAME\\fR\n"));
	for (const char *line = out.s; (line = strchr(line, '\n')) != NULL; line++)
		ck_assert(line[1] != '\'');
}
END_TEST

static TCase *
diagnostics_case(void)
{
	TCase *tc = tcase_create("diagnostics");

	tcase_add_test(tc, a_message_has_place_kind_text_and_code);
	tcase_add_test(tc, a_warning_made_an_error_says_by_which_option);
	tcase_add_test(tc, a_caret_stands_under_what_is_meant);
	tcase_add_test(tc, a_long_snippet_is_cut_around_the_caret);
	tcase_add_test(tc, carets_outside_of_the_snippet_do_no_harm);
	tcase_add_test(tc, control_characters_are_made_visible);
	tcase_add_test(tc, json_is_one_object_a_line_with_notes_inside);
	tcase_add_test(tc, what_is_not_utf8_is_replaced);
	tcase_add_test(tc, the_closing_line_counts);
	return tc;
}

static TCase *
other_case(void)
{
	TCase *tc = tcase_create("options and arrays");

	tcase_add_test(tc, names_in_make_rules_are_escaped);
	tcase_add_test(tc, only_what_is_further_than_the_tolerances_is_wrong);
	tcase_add_test(tc, a_number_is_never_close_to_nan_or_infinity);
	tcase_add_test(tc, integers_have_to_be_the_same);
	tcase_add_loop_test(tc, every_element_type_has_a_numpy_type, 0, DT_IDX);
	tcase_add_test(tc, the_longest_spelling_wins);
	tcase_add_test(tc, later_options_count);
	tcase_add_test(tc, options_belong_to_a_tool);
	tcase_add_test(tc, sizes_that_overflow_are_refused);
	tcase_add_test(tc, words_are_quoted_for_a_shell);
	tcase_add_test(tc, the_table_is_well_formed);
	tcase_add_test(tc, the_formats_of_x_are_those_that_can_be_read);
	tcase_add_test(tc, the_manual_has_every_option);
	return tc;
}

int
main(void)
{
	Suite *suite = suite_create("driver");
	TCase *cases[] = {diagnostics_case(), other_case()};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		tcase_add_checked_fixture(cases[i], set_up, tear_down);
		suite_add_tcase(suite, cases[i]);
	}
	return unit_run(suite);
}
