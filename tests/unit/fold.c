/* Constant folding and expansion, as the frontends use them. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "ir/graph.h"
#include "tests/unit/unit_arena.h"

static Graph *
parse(const char *text)
{
	Graph *g = graph_parse(arena, "t.mir", text, strlen(text), &diag);

	ck_assert_msg(g != NULL, "%s", diag.first ? diag.first->text : "");
	return g;
}

START_TEST(a_folded_value_keeps_its_name_and_the_node_stays_unused)
{
	Graph *g = parse("graph @g() {\n"
	                 "  %a: f32[2] = const [1.5, -2.0]\n"
	                 "  %b = mul(%a, %a)\n"
	                 "  return %b\n"
	                 "}\n");
	Node *n = g->first;
	Value *b = graph_find(g, "b");

	ck_assert(node_fold(g, n));
	ck_assert(value_is_const(b));
	ck_assert_ptr_null(b->def);
	ck_assert(value_float(b, 0) == 2.25 && value_float(b, 1) == 4.0);
	ck_assert_ptr_eq(g->outputs.v[0], b);
	ck_assert_int_eq(n->out[0]->nuses, 0);
	ck_assert(graph_verify(g, &diag));
	graph_remove(g, n);
	ck_assert(graph_verify(g, &diag));
}
END_TEST

START_TEST(views_of_constants_share_their_bytes)
{
	Graph *g = parse("graph @g() {\n"
	                 "  %a: f32[4] = const [1.0, 2.0, 3.0, 4.0]\n"
	                 "  %b = reshape(%a) {shape=[2,2]}\n"
	                 "  return %b\n"
	                 "}\n");

	ck_assert(node_fold(g, g->first));
	ck_assert_ptr_eq(graph_find(g, "b")->data, graph_find(g, "a")->data);
}
END_TEST

START_TEST(what_depends_on_an_input_is_not_folded)
{
	Graph *g = parse("graph @g(%x: f32[2]) {\n"
	                 "  %a: f32[2] = const [1.0, 2.0]\n"
	                 "  %b = add(%x, %a)\n"
	                 "  return %b\n"
	                 "}\n");

	ck_assert(!node_fold(g, g->first));
	ck_assert(!value_is_const(graph_find(g, "b")));
}
END_TEST

/* All outputs at once, with one that nobody wants and an optional input left out. */
START_TEST(several_outputs_fold_together)
{
	Graph *g = parse("graph @g() {\n"
	                 "  %a: f32[4] = const [3.0, 9.0, -1.0, 9.0]\n"
	                 "  %v, %i = top_k(%a) {k=2}\n"
	                 "  _, %j = top_k(%a) {k=1, largest=false}\n"
	                 "  %x: f32[1,1,2] = const [1.0, 2.0]\n"
	                 "  %w: f32[1,1,1] = const [10.0]\n"
	                 "  %y = conv(%x, %w, _)\n"
	                 "  return %v, %i, %j, %y\n"
	                 "}\n");

	for (Node *n = g->first; n; n = n->next)
		ck_assert(node_fold(g, n));
	ck_assert(value_float(g->outputs.v[0], 1) == 9.0);
	ck_assert_int_eq(value_int(g->outputs.v[1], 0), 1);
	ck_assert_int_eq(value_int(g->outputs.v[1], 1), 3);
	ck_assert_int_eq(value_int(g->outputs.v[2], 0), 2);
	ck_assert(value_float(g->outputs.v[3], 1) == 20.0);
	ck_assert(graph_verify(g, &diag));
}
END_TEST

START_TEST(folding_stops_at_its_allowance)
{
	Graph *g = parse("graph @g() {\n"
	                 "  %a: f32[1] = const [1.0]\n"
	                 "  %b = tile(%a) {repeats=[1000]}\n"
	                 "  return %b\n"
	                 "}\n");
	int64_t iterations = 100;

	ck_assert(!node_fold_within(g, g->first, &iterations));
	ck_assert_int_eq(iterations, 0);
	ck_assert(!value_is_const(graph_find(g, "b")));
	ck_assert(graph_verify(g, &diag));
	iterations = 2000;
	ck_assert(node_fold_within(g, g->first, &iterations));
	ck_assert_int_ge(iterations, 0);
	ck_assert_int_le(iterations, 1000);
}
END_TEST

START_TEST(folding_empty_tensors_works)
{
	Graph *g = parse("graph @g() {\n"
	                 "  %a: f32[0,3] = const []\n"
	                 "  %b = relu(%a)\n"
	                 "  %c = reduce_max(%a) {axes=[1]}\n"
	                 "  return %b, %c\n"
	                 "}\n");

	ck_assert(node_fold(g, g->first));
	ck_assert(node_fold(g, g->last));
	ck_assert(graph_verify(g, &diag));
}
END_TEST

START_TEST(expansion_leaves_no_sugar_and_the_same_types)
{
	Graph *g = parse("graph @g(%x: f32[1,8,2,3]) {\n"
	                 "  %y = depth_to_space(%x) {block=2, order=crd}\n"
	                 "  %z = space_to_depth(%y) {block=2}\n"
	                 "  return %z\n"
	                 "}\n");

	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (op_info[n->op].kind == OP_SUGAR)
			node_expand(g, n);
	}
	for (const Node *n = g->first; n; n = n->next)
		ck_assert(op_info[n->op].kind != OP_SUGAR);
	ck_assert(graph_verify(g, &diag));
	ck_assert_str_eq(type_text(arena, &g->outputs.v[0]->type), "f32[1,8,2,3]");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("fold");
	TCase *tc = tcase_create("fold");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_folded_value_keeps_its_name_and_the_node_stays_unused);
	tcase_add_test(tc, views_of_constants_share_their_bytes);
	tcase_add_test(tc, what_depends_on_an_input_is_not_folded);
	tcase_add_test(tc, several_outputs_fold_together);
	tcase_add_test(tc, folding_stops_at_its_allowance);
	tcase_add_test(tc, folding_empty_tensors_works);
	tcase_add_test(tc, expansion_leaves_no_sugar_and_the_same_types);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
