/* Kernels chosen within budgets of memory, flash and cycles. */
#include <string.h>

#include "codegen/program/program.h"
#include "tests/unit/unit_arena.h"

static const Target cortex_m4 = {
	.name = "armv7em", .cpu = "cortex-m4", .int_bytes = 4, .pointer_bytes = 4,
	.isa = ISA_MUL | ISA_MUL_HIGH | ISA_DIVIDE | ISA_ARM_DSP};

/* A network of four layers that have several kernels each. */
static Graph *
network(void)
{
	static const int channels[] = {8, 16, 16, 24, 8};
	Graph *g;
	Str s;

	str_init(&s, arena);
	str_puts(&s, "graph @net(%v0: i8[1,12,12,8] q(0.5, 3)) {\n");
	for (int i = 0; i < 4; i++) {
		int n = channels[i + 1] * 9 * channels[i];

		str_printf(&s, "%%w%d: i8[%d,3,3,%d] q(0.01, 0) = const [", i, channels[i + 1],
		           channels[i]);
		for (int k = 0; k < n; k++)
			str_printf(&s, "%s%d", k ? ", " : "", (k * 37 + i) % 41 - 20);
		str_printf(&s, "]\n%%v%d: i8[1,12,12,%d] q(0.5, 1) = conv(%%v%d, %%w%d) "
		               "{layout=nhwc, pads=[1,1,1,1]}\n", i + 1, channels[i + 1], i, i);
	}
	str_puts(&s, "return %v4\n}\n");
	g = graph_parse(arena, "t", s.s, s.n, &diag);
	if (!g || !graph_verify(g, &diag))
		ck_abort_msg("%s", diag.first ? diag.first->text : "no graph");
	return g;
}

static Program *
build(const Graph *g, char level, ProgramBudget budget)
{
	KernelOptions *kernels = ARENA_NEW(arena, KernelOptions);
	ProgramOptions options = {.kernels = kernels, .budget = budget};

	*kernels = (KernelOptions){.target = &cortex_m4, .level = level};
	return program_build(arena, g, &options, &diag);
}

static ProgramCost
cost_of(const Graph *g, char level, ProgramBudget budget)
{
	Program *p = build(g, level, budget);

	if (!p)
		ck_abort_msg("%s", diag.last->text);
	return program_cost(p);
}

static void
refuses(const Graph *g, char level, ProgramBudget budget, const char *text)
{
	int errors = diag.errors;

	ck_assert_ptr_null(build(g, level, budget));
	ck_assert_int_eq(diag.errors, errors + 1);
	for (const Message *m = diag.first; m; m = m->next)
		if (m->code == E_BUDGET && strstr(m->text, text))
			return;
	ck_abort_msg("'%s' is not said", text);
}

/* From the smallest to the largest: never beyond the budget, and never slower. */
START_TEST(more_flash_is_never_slower)
{
	const Graph *g = network();
	ProgramCost least, most = cost_of(g, '2', (ProgramBudget){.flash = SIZE_MAX / 2});
	ProgramCost before;
	size_t flash = program_flash(&most);
	int different = 0;

	while (flash > 1 && build(g, '2', (ProgramBudget){.flash = flash - 1})) {
		least = cost_of(g, '2', (ProgramBudget){.flash = flash - 1});
		ck_assert_uint_lt(program_flash(&least), flash);
		flash = program_flash(&least);
	}
	before = least;
	for (; flash <= program_flash(&most); flash += 512) {
		ProgramCost now = cost_of(g, '2', (ProgramBudget){.flash = flash});

		ck_assert_uint_le(program_flash(&now), flash);
		ck_assert_int_le(now.cycles, before.cycles);
		different += now.cycles != before.cycles;
		before = now;
	}
	ck_assert_int_ge(different, 3);
	ck_assert_int_gt(least.cycles, most.cycles);
	refuses(g, '2', (ProgramBudget){.flash = program_flash(&least) - 1}, "1 more in all");
}
END_TEST

START_TEST(more_memory_is_never_slower)
{
	const Graph *g = network();
	ProgramCost plain = cost_of(g, '0', (ProgramBudget){0}), before = plain, most;

	refuses(g, '2', (ProgramBudget){.ram = plain.ram - 1}, "1 more than allowed");
	for (size_t ram = plain.ram; ram < 3 * plain.ram; ram += 256) {
		ProgramCost now = cost_of(g, '2', (ProgramBudget){.ram = ram});

		ck_assert_uint_le(now.ram, ram);
		ck_assert_int_le(now.cycles, before.cycles);
		before = now;
	}
	most = cost_of(g, '3', (ProgramBudget){0});
	before = cost_of(g, '2', (ProgramBudget){.ram = most.ram});
	ck_assert_int_eq(before.cycles, most.cycles);
	ck_assert_int_lt(before.cycles, plain.cycles);
}
END_TEST

/* At -Os few bytes, as the cycles allow; which functions will be merged is not known when
 * bytes are added up, so that looser limits may cost a few bytes. */
START_TEST(cycles_are_a_limit_and_bytes_the_goal_for_size)
{
	const Graph *g = network();
	ProgramCost fast = cost_of(g, '3', (ProgramBudget){.ram = 1 << 20});
	size_t before = SIZE_MAX;

	for (int64_t cycles = fast.cycles; cycles < 40 * fast.cycles; cycles += cycles / 3) {
		ProgramCost now = cost_of(g, 's', (ProgramBudget){.cycles = cycles, .ram = 1 << 20});

		ck_assert_int_le(now.cycles, cycles);
		ck_assert_uint_le(program_flash(&now), before);
		before = program_flash(&now) + program_flash(&now) / 20;
	}
	ck_assert_uint_lt(before, program_flash(&fast));
	refuses(g, '3', (ProgramBudget){.cycles = fast.cycles - 1}, "1 more than allowed");
	refuses(g, 's', (ProgramBudget){.cycles = fast.cycles - 1}, "1 more than allowed");
}
END_TEST

START_TEST(all_choices_compute_the_same)
{
	const Graph *g = network();
	int8_t x[12 * 12 * 8], y[12 * 12 * 8], expected[12 * 12 * 8];
	const void *in[] = {x};
	void *out[] = {y};
	ProgramCost fast = cost_of(g, '3', (ProgramBudget){0});

	for (size_t i = 0; i < sizeof x; i++)
		x[i] = (int8_t)(i * 73 % 251);
	out[0] = expected;
	program_run(build(g, '0', (ProgramBudget){0}), in, out);
	out[0] = y;
	for (size_t flash = program_flash(&fast) * 2; flash; flash = flash * 7 / 8) {
		Program *p = build(g, '2', (ProgramBudget){.flash = flash});

		if (!p)
			break;
		memset(y, 0, sizeof y);
		program_run(p, in, out);
		ck_assert_mem_eq(y, expected, sizeof y);
	}
}
END_TEST

START_TEST(cycles_need_a_known_target)
{
	KernelOptions kernels = {.level = '2'};
	ProgramOptions options = {.kernels = &kernels, .budget = {.cycles = 1000000000}};

	ck_assert_ptr_null(program_build(arena, network(), &options, &diag));
	ck_assert_int_eq(diag.last->code, E_BUDGET);
	ck_assert_ptr_nonnull(strstr(diag.last->text, "-mcpu="));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("choose");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, more_flash_is_never_slower);
	tcase_add_test(tc, more_memory_is_never_slower);
	tcase_add_test(tc, cycles_are_a_limit_and_bytes_the_goal_for_size);
	tcase_add_test(tc, all_choices_compute_the_same);
	tcase_add_test(tc, cycles_need_a_known_target);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
