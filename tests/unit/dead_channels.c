/*
 * Random small graphs, with dead and constant channels, compute the same bytes before
 * and after dead-channels, on random and extreme inputs.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ir/quant.h"
#include "tests/quantized_graph.h"
#include "tests/run_graph.h"
#include "tests/unit/unit_passes.h"

enum { GRAPHS = 600 };

static const char *
print(const Graph *g)
{
	Str s;

	str_init(&s, arena);
	graph_print(&s, g);
	return s.s;
}

static void
compare(const Graph *g, const Graph *after, int number)
{
	uint32_t seed = (uint32_t)number;

	for (int kind = 0; kind < QUANTIZED_INPUTS; kind++) {
		int64_t iterations = INT64_MAX;
		void *input = quantized_input(arena, &g->inputs.v[0]->type, kind, &seed);
		void **x = run_graph(arena, g, &input, &iterations);
		void **y = run_graph(arena, after, &input, &iterations);

		for (int i = 0; i < g->outputs.n; i++) {
			const Value *v = g->outputs.v[i], *w = after->outputs.v[i];

			ck_assert(type_equal(&v->type, &w->type));
			ck_assert_msg(memcmp(x[v->id], y[w->id], type_bytes(&v->type)) == 0,
			              "graph %d, input %d, output %d:\n%s\n%s", number, kind, i,
			              print(g), print(after));
		}
	}
}

/* The operators that compute on quantised numbers. */
static void
note_operators(const Graph *g, bool seen[OP_COUNT])
{
	for (const Node *n = g->first; n; n = n->next)
		seen[n->op] |= node_is_quantized(n);
}

/* Together the graphs have every operator of quant.def. */
START_TEST(random_graphs_have_all_quantized_operators)
{
	bool seen[OP_COUNT] = {false};

	for (int i = 0; i < GRAPHS; i++) {
		note_operators(quantized_graph(arena, i), seen);
		teardown();
		setup_passes();
	}
	for (int op = 0; op < OP_COUNT; op++)
		ck_assert_msg(seen[op] == (quant_info[op].lower != NULL), "%s", op_info[op].name);
}
END_TEST

START_TEST(random_graphs_compute_the_same_with_less)
{
	int smaller = 0, single = 0;

	for (int i = _i * GRAPHS / 4; i < (_i + 1) * GRAPHS / 4; i++) {
		Graph *g = quantized_graph(arena, i), *after = quantized_graph(arena, i);

		ck_assert_msg(graph_verify(g, &diag), "%s", diag.first ? diag.first->text : "");
		ck_assert_msg(pass_run(pass_find("dead-channels"), after, &cx), "graph %d:\n%s\n%s",
		              i, diag.first ? diag.first->text : "", print(g));
		smaller += cx.changed > 0;
		single += g->single_rounding;
		compare(g, after, i);
		/* Nothing is left for a second run. */
		ck_assert(pass_run(pass_find("dead-channels"), after, &cx));
		ck_assert_msg(cx.changed == 0, "graph %d:\n%s", i, print(after));
		teardown();
		setup_passes();
	}
	/* The test tests something. */
	ck_assert_int_gt(smaller, GRAPHS / 4 / 2);
	ck_assert_int_gt(single, GRAPHS / 4 / 10);
}
END_TEST

static const char layer[] =
	"graph @g(%x: i8[1,2] q(1.0, 0)) {\n"
	"  %w1: i8[2,2] q(0.5, 0) = const [1, 2, 3, 4]\n"
	"  %1: i8[1,2] q(1.0, 0) = gemm(%x, %w1) {trans_b=true} as \"first\"\n"
	"  %w2: i8[1,2] q(0.5, 0) = const [1, 0]\n"
	"  %y: i8[1,1] q(1.0, 0) = gemm(%1, %w2) {trans_b=true}\n"
	"  return %y\n"
	"}\n";

START_TEST(remarks_say_what_each_layer_lost)
{
	Graph *g = graph_parse(arena, "t.mcc", layer, strlen(layer), &diag);

	cx.remarks[PASS_dead_channels] = true;
	ck_assert(pass_run(pass_find("dead-channels"), g, &cx));
	ck_assert_int_eq(cx.changed, 1);
	ck_assert_int_eq((int)diag.first->code, (int)R_PASS);
	ck_assert_str_eq(diag.first->text,
	                 "dead-channels: 'first' goes from 2 to 2 input and from 2 to 1 output "
	                 "channels, 2 fewer multiplications, 2 fewer bytes of weights");
	ck_assert_str_eq(diag.first->next->text,
	                 "dead-channels: 'y' goes from 2 to 1 input and from 1 to 1 output "
	                 "channels, 1 fewer multiplications, 1 fewer bytes of weights");
	ck_assert_ptr_null(diag.first->next->next);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("dead_channels");
	TCase *c = tcase_create("graphs");

	suite_add_tcase(s, c);
	tcase_add_checked_fixture(c, setup_passes, teardown);
	tcase_add_test(c, random_graphs_have_all_quantized_operators);
	tcase_add_loop_test(c, random_graphs_compute_the_same_with_less, 0, 4);
	tcase_add_test(c, remarks_say_what_each_layer_lost);
	return unit_run(s);
}
