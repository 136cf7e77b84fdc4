/* Runs of products as Arm instructions: which statements become one, and in which order
 * their instructions stand.  That they compute the same is for tests/emulated/kernels.py. */
#include <check.h>
#include <string.h>

#include "codegen/target/arm_products.h"
#include "ir/target.h"
#include "tests/unit/unit_arena.h"

static const LFunc *fn;

static void
parse(const char *body)
{
	const char *text = arena_printf(arena,
	                                "kernel @k(%%x: i32[4096] in, %%w: i32[4096] in, "
	                                "%%b: i8[64] in, %%y: i32[64] out) {\n%s\n}\n",
	                                body);
	LFuncs all = {0};

	if (!lfunc_parse(arena, "t.lir", text, strlen(text), &all, &diag))
		ck_abort_msg("line %d: %s\n%s", diag.first->loc.line, diag.first->text, text);
	fn = all.v[0];
	if (lfunc_verify(fn))
		ck_abort_msg("%s\n%s", lfunc_verify(fn), text);
}

/* `count` words of either side from element `from` on, and two sums of their products. */
static const char *
words(int from, int count)
{
	Str s;

	str_init(&s, arena);
	for (int k = from; k < from + count; k++)
		str_printf(&s, "let %%w%d: i32 = %%w[%d]\nlet %%x%d: i32 = %%x[%d]\n"
		               "let %%e%d: i32 = even8(%%w%d)\n"
		               "%%s = dot2(%%x%d, %%w%d, %%s)\n%%t = dot2(%%x%d, %%e%d, %%t)\n",
		           k, k, k, k, k, k, k, k, k, k);
	return s.s;
}

static ArmRun run;

/* Whether a run starts at the first statement of that text on such a machine. */
static bool
finds_on(unsigned isa, const char *start)
{
	ArmProducts *p = arm_products_new(arena, fn, isa);

	for (const Stmt *s = fn->body; s; s = s->next) {
		Str head;

		str_init(&head, arena);
		stmt_print_head(&head, s);
		if (strncmp(head.s, start, strlen(start)) == 0)
			return arm_products_find(p, s, &run);
	}
	ck_abort_msg("no statement %s", start);
	return false;
}

static bool
finds(const char *start)
{
	return finds_on(ISA_ARM_SINGLE, start);
}

static int
count_of(const char *word)
{
	int n = 0;

	for (const char *at = run.text.s; (at = strstr(at, word)) != NULL; at++)
		n++;
	return n;
}

START_TEST(sums_that_are_read_later_go_in_and_out)
{
	parse(arena_printf(arena, "var %%s: i32 = %%x[0]\nvar %%t: i32 = %%x[1]\n%s"
	                          "%%y[0] = %%s + %%t", words(0, 4)));
	ck_assert(finds("let %w0"));
	ck_assert_int_eq(run.nsums, 2);
	ck_assert_int_eq(run.nbases, 2);
	ck_assert_int_eq(run.ntemps, ARM_RUN_REGISTERS - 4);
	ck_assert_int_eq(count_of("ldr"), 8);
	ck_assert_int_eq(count_of("sxtb16"), 4);
	ck_assert_int_eq(count_of("smlad"), 8);
	ck_assert_int_eq(run.past->kind, S_STORE);
}
END_TEST

START_TEST(loads_stand_side_by_side)
{
	parse(arena_printf(arena, "var %%s: i32 = %%x[0]\nvar %%t: i32 = %%x[1]\n%s"
	                          "%%y[0] = %%s + %%t", words(0, 4)));
	ck_assert(finds("let %w0"));
	ck_assert(strncmp(run.text.s, "ldr %2,[%10]\nldr %3,[%11]\nldr %4,[%10,#4]\n"
	                              "ldr %5,[%11,#4]\n", 56) == 0);
}
END_TEST

START_TEST(sums_of_its_own_start_with_a_product_and_end_in_a_store)
{
	parse(arena_printf(arena, "var %%s: i32 = 0:i32\nvar %%t: i32 = 0:i32\n%s"
	                          "%%y[0] = %%s\n%%y[1] = %%t", words(0, 4)));
	ck_assert(finds("var %s"));
	ck_assert_int_eq(run.nsums, 0);
	ck_assert_int_eq(run.nbases, 3);
	ck_assert_int_eq(count_of("smuad"), 2);
	ck_assert_int_eq(count_of("smlad"), 6);
	ck_assert_int_eq(count_of("str"), 2);
	ck_assert_ptr_null(run.past);
}
END_TEST

START_TEST(sums_that_somebody_reads_after_a_store_are_not_its_own)
{
	parse(arena_printf(arena, "var %%s: i32 = 0:i32\nvar %%t: i32 = 0:i32\n%s"
	                          "%%y[0] = %%s\n%%y[1] = %%t\n%%y[2] = %%s + 1:i32", words(0, 4)));
	ck_assert(finds("var %s"));
	ck_assert_int_eq(run.nsums, 1);
	ck_assert_int_eq(run.lets.n, 1);
	ck_assert_int_eq(count_of("smuad"), 1);
}
END_TEST

START_TEST(a_value_that_is_read_later_ends_a_run_before_it)
{
	parse(arena_printf(arena, "var %%s: i32 = %%x[0]\nvar %%t: i32 = %%x[1]\n%s"
	                          "%%y[0] = %%s + %%t + %%w5", words(0, 8)));
	ck_assert(finds("let %w0"));
	ck_assert_int_eq(count_of("smlad"), 10);
	ck_assert_int_eq(run.past->kind, S_VAR);
	ck_assert_str_eq(run.past->var->name, "w5");
}
END_TEST

START_TEST(a_few_products_are_no_run)
{
	parse(arena_printf(arena, "var %%s: i32 = %%x[0]\nvar %%t: i32 = %%x[1]\n%s"
	                          "%%y[0] = %%s + %%t", words(0, 3)));
	ck_assert(!finds("let %w0"));
}
END_TEST

START_TEST(far_offsets_get_an_address_of_their_own)
{
	parse(arena_printf(arena, "var %%s: i32 = %%x[0]\nvar %%t: i32 = %%x[1]\n%s%s"
	                          "%%y[0] = %%s + %%t", words(0, 4), words(2000, 4)));
	ck_assert(finds("let %w0"));
	ck_assert_int_eq(run.nbases, 4);
	ck_assert_int_eq(count_of("smlad"), 16);
}
END_TEST

START_TEST(wide_loads_of_bytes_may_be_unaligned)
{
	parse("var %s: i32 = %x[0]\nvar %t: i32 = %x[1]\n"
	      "let %w0: i32 = %w[0]\nlet %w1: i32 = %w[1]\n"
	      "let %v: i32 = wide(%b[1])\nlet %e: i32 = even8(%v)\nlet %o: i32 = odd8(%v)\n"
	      "%s = dot2(%e, %w0, %s)\n%t = dot2(%o, %w0, %t)\n"
	      "%s = dot2(%e, %w1, %s)\n%t = dot2(%o, %w1, %t)\n"
	      "%s = dot2(%o, %w0, %s)\n%t = dot2(%e, %w0, %t)\n"
	      "%s = dot2(%o, %w1, %s)\n%t = dot2(%e, %w1, %t)\n"
	      "%y[0] = %s + %t");
	ck_assert(finds("let %w0"));
	ck_assert(run.is_unaligned);
	ck_assert_int_eq(count_of(",ror #8"), 1);
}
END_TEST

/* Two products of an element and a word for each of `count` elements, added to two sums. */
static const char *
elements(int count)
{
	Str s;

	str_init(&s, arena);
	for (int k = 0; k < count; k++)
		str_printf(&s, "let %%x%d: i32 = cvt.i32(%%b[%d])\nlet %%w%d: i32 = %%w[%d]\n"
		               "%%s = keep(%%s + %%x%d * %%w%d)\n%%t = keep(%%t + %%x%d * %%x%d)\n",
		           k, k, k, k, k, k, k, k);
	return s.s;
}

START_TEST(without_pairs_products_are_added_one_by_one)
{
	parse(arena_printf(arena, "var %%s: i32 = %%x[0]\nvar %%t: i32 = 0:i32\n%s"
	                          "%%y[0] = %%t\n%%y[1] = %%s", elements(4)));
	ck_assert(finds_on(ISA_ARM_MLA, "let %x0"));
	ck_assert_int_eq(count_of("ldrsb %"), 4);
	ck_assert_int_eq(count_of("ldr %"), 4);
	ck_assert_int_eq(count_of("mla %"), 8);
	ck_assert(finds_on(ISA_ARM_MLA, "var %t"));
	ck_assert_int_eq(count_of("mul %"), 1);
	ck_assert_int_eq(count_of("mla %"), 7);
	ck_assert_int_eq(count_of("str %"), 2);
	ck_assert(!finds_on(ISA_ARM_SINGLE, "let %x0"));
}
END_TEST

/* Four values with their sums and differences, and `stores`. */
static const char *
sums_of_values(const char *stores)
{
	return arena_printf(arena,
	                    "let %%a: i32 = %%x[0]\nlet %%e: i32 = %%x[1]\n"
	                    "let %%c: i32 = %%x[2]\nlet %%d: i32 = %%x[3]\n"
	                    "let %%p: i32 = add2(%%a, %%e)\nlet %%q: i32 = sub2(%%a, %%e)\n"
	                    "let %%r: i32 = %%c + %%d\nlet %%s: i32 = %%c - %%d\n"
	                    "let %%t: i32 = %%p + (%%r << 2:i32)\nlet %%u: i32 = (%%q << 1:i32) - %%s\n"
	                    "let %%v: i32 = %%t << 3:i32\nlet %%w0: i32 = %%u - %%t\n%s",
	                    stores);
}

START_TEST(values_are_summed_and_stored)
{
	parse(sums_of_values("%y[0] = %v\n%y[1] = %w0\n%y[2] = %s"));
	ck_assert(finds("let %a"));
	ck_assert_int_eq(run.nsums, 0);
	ck_assert_int_eq(run.nbases, 2);
	ck_assert_int_le(run.ntemps, 6);
	ck_assert_int_eq(count_of("sadd16") + count_of("ssub16"), 2);
	ck_assert_int_eq(count_of(",lsl #2") + count_of(",lsl #1"), 2);
	ck_assert_int_eq(count_of("rsb"), 1);
	ck_assert_int_eq(count_of("lsl %"), 1);
	ck_assert_int_eq(count_of("str"), 3);
	ck_assert_ptr_null(run.past);
}
END_TEST

/* Values that are read later are no part of a run, nor is what they are made of. */
START_TEST(values_that_are_read_later_are_left_alone)
{
	parse(sums_of_values("%y[0] = %v\n%y[1] = %w0\n%y[2] = %s + 1:i32"));
	ck_assert(!finds("let %a"));
}
END_TEST

START_TEST(nothing_is_stored_before_what_it_could_change_is_loaded)
{
	parse(sums_of_values("%y[0] = %v\n%y[1] = %w0\nlet %z: i32 = %y[1]\n%y[2] = %s\n"
	                     "%y[3] = %z"));
	ck_assert(!finds("let %a"));
}
END_TEST

/* On a machine that starts two instructions at a time, a load stands behind every product
 * while there is one to be done. */
START_TEST(loads_stand_beside_products)
{
	const char *text, *at;
	int beside = 0;

	parse(arena_printf(arena, "var %%s: i32 = %%x[0]\nvar %%t: i32 = %%x[1]\n%s"
	                          "%%y[0] = %%s + %%t", words(0, 16)));
	ck_assert(finds_on(ISA_ARM_DUAL, "let %w0"));
	ck_assert_int_eq(count_of("ldr"), 32);
	ck_assert_int_eq(count_of("smlad"), 32);
	text = run.text.s;
	for (at = text; (at = strstr(at, "smlad")) != NULL; at = strchr(at, '\n') + 1) {
		const char *next = strchr(at, '\n') + 1;

		beside += strncmp(next, "smlad", 5) != 0;
	}
	ck_assert_int_ge(beside, 28);
}
END_TEST

START_TEST(other_machines_have_no_runs)
{
	parse(arena_printf(arena, "var %%s: i32 = %%x[0]\nvar %%t: i32 = %%x[1]\n%s"
	                          "%%y[0] = %%s + %%t", words(0, 4)));
	ck_assert_ptr_null(arm_products_new(arena, fn, ISA_ARM_DSP | ISA_ARM_MVE));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("arm_products");
	TCase *tc = tcase_create("arm_products");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sums_that_are_read_later_go_in_and_out);
	tcase_add_test(tc, loads_stand_side_by_side);
	tcase_add_test(tc, sums_of_its_own_start_with_a_product_and_end_in_a_store);
	tcase_add_test(tc, sums_that_somebody_reads_after_a_store_are_not_its_own);
	tcase_add_test(tc, a_value_that_is_read_later_ends_a_run_before_it);
	tcase_add_test(tc, a_few_products_are_no_run);
	tcase_add_test(tc, far_offsets_get_an_address_of_their_own);
	tcase_add_test(tc, wide_loads_of_bytes_may_be_unaligned);
	tcase_add_test(tc, without_pairs_products_are_added_one_by_one);
	tcase_add_test(tc, values_are_summed_and_stored);
	tcase_add_test(tc, values_that_are_read_later_are_left_alone);
	tcase_add_test(tc, nothing_is_stored_before_what_it_could_change_is_loaded);
	tcase_add_test(tc, loads_stand_beside_products);
	tcase_add_test(tc, other_machines_have_no_runs);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
