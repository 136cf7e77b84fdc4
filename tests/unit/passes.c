/* The pass manager, and rules of passes over all combinations of small domains. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "ir/lower.h"
#include "tests/unit/unit_passes.h"

static Graph *
parse(const char *text)
{
	Graph *g = graph_parse(arena, "t.mir", text, strlen(text), &diag);

	ck_assert_msg(g != NULL, "%s", diag.first ? diag.first->text : "");
	return g;
}

static const char *
print(const Graph *g)
{
	Str s;

	str_init(&s, arena);
	graph_print(&s, g);
	return s.s;
}

static const char dead[] = "graph @g(%x: f32[2]) {\n"
                           "  %1: f32[2] = relu(%x)\n"
                           "  %2: f32[2] = neg(%x)\n"
                           "  return %2\n"
                           "}\n";

START_TEST(every_pass_is_found_by_its_name)
{
	for (int i = 0; i < PASS_COUNT; i++) {
		ck_assert_ptr_eq(pass_find(pass_info[i].name), &pass_info[i]);
		ck_assert_int_eq((int)pass_info[i].id, i);
	}
	ck_assert_ptr_null(pass_find("fol"));
	ck_assert_ptr_null(pass_find(""));
}
END_TEST

START_TEST(lists_are_parsed_in_order_and_may_repeat)
{
	PassList list = {0};

	ck_assert(pass_parse_list(arena, "cse,dce,cse", &list, &diag));
	ck_assert_int_eq(list.n, 3);
	ck_assert_int_eq((int)list.v[0]->id, PASS_cse);
	ck_assert_int_eq((int)list.v[1]->id, PASS_dce);
	ck_assert_int_eq((int)list.v[2]->id, PASS_cse);
}
END_TEST

START_TEST(unknown_and_empty_names_are_errors)
{
	static const char *const texts[] = {"",   "dce,",    ",dce",  "dce,,cse",
					    "dc", "dce cse", "unroll"};
	PassList list = {0};

	ck_assert(!pass_parse_list(arena, texts[_i], &list, &diag));
	ck_assert_int_eq(diag.errors, 1);
	ck_assert_int_eq(diag.first->code, E_PASS);
}
END_TEST

static int before_calls, after_calls;

static void
before(void *user, const PassInfo *p, const Graph *g)
{
	ck_assert_ptr_eq(user, &before_calls);
	ck_assert_int_eq((int)p->id, PASS_dce);
	if (before_calls++ == 0)
		ck_assert_str_eq(print(g), dead);
}

static void
after(void *user, const PassInfo *p, const Graph *g, int changed)
{
	(void)user;
	(void)p;
	if (after_calls++ == 0) {
		ck_assert_int_eq(changed, 1);
		ck_assert_str_ne(print(g), dead);
	} else {
		ck_assert_int_eq(changed, 0);
	}
}

START_TEST(hooks_and_statistics_see_each_run)
{
	Graph *g = parse(dead);
	PassList list = {0};

	before_calls = after_calls = 0;
	cx.hooks = (PassHooks){.before = before, .after = after, .user = &before_calls};
	ck_assert(pass_parse_list(arena, "dce", &list, &diag));
	ck_assert(pass_run_list(&list, g, &cx, 10));
	ck_assert_int_eq(before_calls, 2);
	ck_assert_int_eq(after_calls, 2);
	ck_assert_int_eq(cx.stats[PASS_dce].runs, 2);
	ck_assert_int_eq(cx.stats[PASS_dce].changed, 1);
	ck_assert(cx.stats[PASS_dce].seconds >= 0);
}
END_TEST

START_TEST(rounds_are_bounded)
{
	Graph *g = parse(dead);
	PassList list = {0};

	ck_assert(pass_parse_list(arena, "dce,cse", &list, &diag));
	ck_assert(pass_run_list(&list, g, &cx, 1));
	ck_assert_int_eq(cx.stats[PASS_cse].runs, 1);
}
END_TEST

START_TEST(a_broken_graph_names_the_pass)
{
	Graph *g = parse(dead);

	graph_find(g, "x")->nuses++;
	ck_assert(!pass_run(pass_find("dce"), g, &cx));
	ck_assert_int_eq(diag.first->code, E_VERIFY);
	ck_assert_ptr_nonnull(strstr(diag.last->text, "dce"));
}
END_TEST

START_TEST(folding_a_graph_has_an_allowance)
{
	Graph *g = parse(
		"graph @g() {\n"
		"  %a: f32[100] = const x\""
		"0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f"
		"0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f"
		"0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f"
		"0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f"
		"0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f"
		"0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f"
		"0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f"
		"0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f"
		"0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f"
		"0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f"
		"\"\n"
		"  %b = neg(%a)\n"
		"  %c = neg(%b)\n"
		"  return %c\n"
		"}\n");

	cx.fold_iterations = 150;
	ck_assert(pass_run(pass_find("fold"), g, &cx));
	ck_assert(value_is_const(graph_find(g, "b")));
	ck_assert(!value_is_const(graph_find(g, "c")));
	ck_assert_int_eq(cx.fold_iterations, 0);
}
END_TEST

/* ---- Rules over small domains ---- */

static void
run_once(const Graph *g, const void *in, void *out)
{
	void **memory = ARENA_ARRAY(arena, void *, g->values.n);
	Value *result = g->outputs.v[0];

	for (int i = 0; i < g->values.n; i++)
		memory[i] = arena_calloc(arena, 1, type_bytes(&g->values.v[i]->type));
	memcpy(memory[g->inputs.v[0]->id], in, type_bytes(&g->inputs.v[0]->type));
	for (const Node *n = g->first; n; n = n->next) {
		LFunc *f = node_lower(arena, n);
		void *bufs[4] = {0};
		int k = 0;

		for (int i = 0; i < n->nins; i++)
			bufs[k++] = value_is_const(n->in[i]) ? NULL : memory[n->in[i]->id];
		bufs[k] = memory[n->out[0]->id];
		lfunc_run(arena, f, bufs);
	}
	memcpy(out, memory[result->id], type_bytes(&result->type));
}

static const double bounds[] = {-(double)INFINITY, -3, -0.0, 0.0, 0.5, 6, (double)INFINITY};
enum { NBOUNDS = sizeof bounds / sizeof bounds[0] };

/* All pairs of clamps with 7 bounds each, inverted and infinite ones too, on
 * numbers below, between, above and at the bounds. */
START_TEST(merged_clamps_give_the_same_bits)
{
	static const float x[] = {-4, -3, -1,       -0.0f,     0,   0.25f,  0.5f,    1,
				  6,  7,  INFINITY, -INFINITY, NAN, 1e-45f, -1e-45f, 0.1f};
	uint32_t before[16], now[16];

	for (int k = 0; k < NBOUNDS * NBOUNDS; k++) {
		Arena *outer = arena;
		Graph *g;
		Node *first, *second;
		Value *v;

		setup_passes();
		g = graph_new(arena, "g");
		v = graph_input(g, "x", type_make(DT_F32, 1, (int32_t[]){16}));
		first = graph_add(g, OP_CLAMP, 1, &v, NULL);
		*(Attr_CLAMP *)first->attr =
			(Attr_CLAMP){.lo = bounds[_i % NBOUNDS], .hi = bounds[_i / NBOUNDS]};
		ck_assert(node_infer(first, &diag));
		second = graph_add(g, OP_CLAMP, 1, first->out, NULL);
		*(Attr_CLAMP *)second->attr =
			(Attr_CLAMP){.lo = bounds[k % NBOUNDS], .hi = bounds[k / NBOUNDS]};
		ck_assert(node_infer(second, &diag));
		graph_output(g, "y", second->out[0]);
		run_once(g, x, before);
		ck_assert(pass_run(pass_find("simplify"), g, &cx));
		run_once(g, x, now);
		if (memcmp(before, now, sizeof now) != 0)
			ck_abort_msg("%s", print(g));
		teardown();
		arena = outer;
	}
}
END_TEST

/* A cast to another type and back, for all pairs of types, on values that some types
 * lack: whatever the pass removes changed nothing. */
START_TEST(casts_that_go_change_nothing)
{
	static const double samples[] = {0,   -0.0,   1,     2,      -1,    127,      128,
					 255, 256,    2049,  32767,  65535, 16777217, 2147483647,
					 0.5, -40.25, 1e-30, 0x1p53, 4e9,   1e19};
	DType from = (DType)(_i % DT_IDX), via = (DType)(_i / DT_IDX);
	enum { N = sizeof samples / sizeof samples[0] };
	char x[8 * N] = {0}, before[8 * N], now[8 * N];
	Graph *g = graph_new(arena, "g");
	Type t = type_make(from, 1, (int32_t[]){N}), f64 = t;
	Value *v;
	Node *n, *to;

	/* The samples as numbers of the type, by its own conversion. */
	f64.dtype = DT_F64;
	v = graph_const(g, "s", f64, samples);
	to = graph_add(g, OP_CAST, 1, &v, NULL);
	((Attr_CAST *)to->attr)->to = from;
	ck_assert(node_infer(to, &diag));
	v = to->out[0];
	ck_assert(node_fold(g, to));
	memcpy(x, v->data, type_bytes(&t));

	g = graph_new(arena, "g");
	v = graph_input(g, "x", t);
	n = graph_add(g, OP_CAST, 1, &v, NULL);
	((Attr_CAST *)n->attr)->to = via;
	ck_assert(node_infer(n, &diag));
	n = graph_add(g, OP_CAST, 1, n->out, NULL);
	((Attr_CAST *)n->attr)->to = from;
	ck_assert(node_infer(n, &diag));
	graph_output(g, "y", n->out[0]);
	run_once(g, x, before);
	ck_assert(pass_run(pass_find("simplify"), g, &cx));
	ck_assert(pass_run(pass_find("dce"), g, &cx));
	run_once(g, x, now);
	ck_assert_mem_eq(now, before, type_bytes(&t));
	/* And what can go does. */
	if (from == via || (from == DT_I8 && via == DT_I16) || (from == DT_F16 && via == DT_F32))
		ck_assert_ptr_null(g->first);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("passes");
	TCase *tc = tcase_create("passes");

	tcase_add_checked_fixture(tc, setup_passes, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_pass_is_found_by_its_name);
	tcase_add_test(tc, lists_are_parsed_in_order_and_may_repeat);
	tcase_add_loop_test(tc, unknown_and_empty_names_are_errors, 0, 7);
	tcase_add_test(tc, hooks_and_statistics_see_each_run);
	tcase_add_test(tc, rounds_are_bounded);
	tcase_add_test(tc, a_broken_graph_names_the_pass);
	tcase_add_test(tc, folding_a_graph_has_an_allowance);
	tcase_add_loop_test(tc, merged_clamps_give_the_same_bits, 0, NBOUNDS * NBOUNDS);
	tcase_add_loop_test(tc, casts_that_go_change_nothing, 0, DT_IDX * DT_IDX);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
