/*
 * The pass signed-codes keeps every bit: each operator that it knows, on all codes and random
 * ones, computed before and after.  Operators that compute with codes in another way stay.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit_passes.h"

enum { COUNT = 256 };

static uint32_t seed;

static int
draw(int n)
{
	seed = seed * 1664525u + 1013904223u;
	return (int)((seed >> 8) % (uint32_t)n);
}

/* %x holds all codes, %z others, as [1,16,8,2]; %y is computed from them, and is not the
 * output, which the pass would leave alone. */
static const struct {
	const char *y; /* its type, with room for a zero point */
	const char *text; /* a + before those that stay */
} cases[] = {
	{"u8[1,8,4,5] q(0.9, %d)", "conv(%x, %w) {layout=nhwc, strides=[2,2], pads=[1,1,1,1], "
	                           "float_scale=true, activation=relu}"},
	{"u8[1,16,8,2] q(0.9, %d)", "conv(%x, %d) {layout=nhwc, pads=[1,1,1,1], group=2}"},
	{"u8[1,17,9,5] q(0.9, %d)", "conv_transpose(%x, %t) {layout=nhwc, float_scale=true}"},
	{"u8[1,16,8,3] q(0.9, %d)", "matmul(%x, %m)"},
	{"u8[1,16,8,2] q(0.07, %d)", "add(%x, %z)"},
	{"u8[1,16,8,2] q(0.07, %d)", "sub(%x, %z) {activation=relu6}"},
	{"u8[1,16,8,2] q(0.3, %d)", "mul(%x, %z)"},
	{"u8[1,16,8,2] q(0.3, %d)", "div(%x, %z)"},
	{"u8[1,16,8,2] q(3, %d)", "squared_difference(%x, %z)"},
	{"u8[1,16,8,2] q(0.1, %d)", "prelu(%x, %z)"},
	{"u8[1,16,8,2] q(0.05, 7)", "min(%x, %s)"},
	{"u8[1,16,8,2] q(0.05, 7)", "max(%x, %s)"},
	{"u8[1,16,8,2] q(0.15, %d)", "+add_n(%x, %s, %x)"},
	{"u8[1,16,8,2] q(0.05, 7)", "clamp(%x) {lo=-1.5, hi=6}"},
	{"u8[1,16,8,2] q(0.1, %d)", "relu(%x)"},
	{"u8[1,16,8,2] q(0.1, %d)", "abs(%x)"},
	{"u8[1,16,8,2] q(0.1, %d)", "neg(%x)"},
	{"u8[1,16,8,2] q(0.1, %d)", "leaky_relu(%x) {alpha=0.3}"},
	{"u8[1,16,8,2] q(0.1, %d)", "hard_swish(%x)"},
	{"u8[1,16,8,2] q(0.1, %d)", "rsqrt(%x)"},
	{"u8[1,16,8,2] q(0.00390625, 0)", "sigmoid(%x)"},
	{"u8[1,16,8,2] q(0.01, %d)", "sigmoid(%x)"},
	{"u8[1,16,8,2] q(0.0078125, 128)", "tanh(%x)"},
	{"u8[1,16,8,2] q(0.00390625, 0)", "softmax(%x) {axis=2}"},
	{"u8[1,16,8,2] q(0.0625, 255)", "log_softmax(%x) {axis=1}"},
	{"u8[1,16,8,2] q(0.0078125, 128)", "lp_norm(%x) {axis=1, p=2}"},
	{"u8[1,16,8,2] q(0.07, %d)", "requantize(%x)"},
	{"u8[1,1,8,2] q(0.05, %d)", "reduce_mean(%x) {axes=[1]}"},
	{"u8[1,1,8,2] q(0.5, %d)", "reduce_sum(%x) {axes=[1]}"},
	{"u8[1,1,8,2] q(0.05, 7)", "reduce_max(%x) {axes=[1]}"},
	{"u8[1,1,8,2] q(0.05, 7)", "reduce_min(%x) {axes=[1]}"},
	{"u8[1,14,6,2] q(0.05, 7)", "avg_pool(%x) {kernel=[3,3], layout=nhwc}"},
	{"u8[1,8,4,2] q(0.05, 7)", "max_pool(%x) {kernel=[2,2], strides=[2,2], layout=nhwc}"},
	{"u8[1,8,4,2] q(0.05, 7)", "+avg_pool(%x) {kernel=[2,2], strides=[2,2], layout=nhwc}"},
	{"u8[1,16,8,4] q(0.05, 7)", "concat(%x, %s) {axis=3}"},
	{"u8[1,16,9,2] q(0.05, 7)", "pad(%x, %c) {pads=[0,0,0,0,0,0,1,0]}"},
	{"u8[1,16,9,2] q(0.05, 7)", "+pad(%x) {pads=[0,0,0,0,0,0,1,0]}"},
	{"u8[1,8,16,2] q(0.05, 7)", "transpose(%x) {perm=[0,2,1,3]}"},
	{"u8[1,4,8,2] q(0.05, 7)", "slice(%x) {starts=[0,3,0,0], sizes=[1,4,8,2], steps=[1,2,1,1]}"},
	{"u8[1,32,8,2] q(0.05, 7)",
	 "+resize(%x) {shape=[1,32,8,2], scales=[1,2,1,1], mode=linear}"},
	{"u8[1,32,8,2] q(0.05, 7)", "resize(%x) {shape=[1,32,8,2], scales=[1,2,1,1]}"},
};

enum { CASES = sizeof cases / sizeof *cases };

static bool
stays(int i)
{
	return cases[i].text[0] == '+';
}

static void
put_constant(Str *s, const char *name, const char *type, int count, bool all)
{
	str_printf(s, "  %%%s: %s = const [", name, type);
	for (int i = 0; i < count; i++)
		str_printf(s, "%s%d", i ? ", " : "", all ? i : draw(256));
	str_puts(s, "]\n");
}

static const char *
graph_text(int i)
{
	int zero = draw(3) ? draw(256) : draw(2) * 255;
	Str s;

	str_init(&s, arena);
	str_puts(&s, "graph @g() {\n");
	put_constant(&s, "x", "u8[1,16,8,2] q(0.05, 7)", COUNT, true);
	put_constant(&s, "s", "u8[1,16,8,2] q(0.05, 7)", COUNT, false);
	put_constant(&s, "z", arena_printf(arena, "u8[1,16,8,2] q(0.08, %d)", draw(256)), COUNT, false);
	put_constant(&s, "w", arena_printf(arena, "u8[5,3,3,2] q(0.02, %d)", draw(256)), 90, false);
	put_constant(&s, "d", arena_printf(arena, "u8[2,3,3,1] q(0.02, %d)", draw(256)), 18, false);
	put_constant(&s, "t", arena_printf(arena, "u8[5,2,2,2] q(0.02, %d)", draw(256)), 40, false);
	put_constant(&s, "m", arena_printf(arena, "u8[2,3] q(0.02, %d)", draw(256)), 6, false);
	put_constant(&s, "c", "u8[] q(0.05, 7)", 1, false);
	str_puts(&s, "  %y: ");
	for (const char *p = cases[i].y; *p; p++)
		if (*p == '%')
			str_printf(&s, "%d", zero), p++;
		else
			str_printf(&s, "%c", *p);
	str_printf(&s, " = %s\n  %%v = requantize(%%y) {to=f32}\n  return %%v\n}\n",
	           cases[i].text + stays(i));
	return s.s;
}

/* What the graph computes. */
static const Value *
computed(const char *text, bool with_pass, int *changed)
{
	Graph *g = graph_parse(arena, "case", text, strlen(text), &diag);

	ck_assert_ptr_nonnull(g);
	if (with_pass)
		ck_assert(pass_run(pass_find("signed-codes"), g, &cx));
	*changed = cx.changed;
	ck_assert(pass_run(pass_find("fold"), g, &cx));
	ck_assert_ptr_nonnull(g->outputs.v[0]->data);
	return g->outputs.v[0];
}

START_TEST(every_operator_computes_the_same)
{
	seed = 5u + (uint32_t)_i;
	for (int round = 0; round < 6; round++) {
		const char *text = graph_text(_i);
		int changed, none;
		const Value *before = computed(text, false, &none);
		const Value *after = computed(text, true, &changed);

		ck_assert_msg((changed == 0) == stays(_i), "%s", cases[_i].text);
		ck_assert_msg(memcmp(before->data, after->data, type_bytes(&before->type)) == 0,
		              "%s differs", cases[_i].text);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("signed_codes");
	TCase *tc = tcase_create("signed_codes");

	tcase_add_checked_fixture(tc, setup_passes, teardown);
	tcase_add_loop_test(tc, every_operator_computes_the_same, 0, CASES);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
