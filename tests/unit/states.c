/*
 * Graphs that keep a state between calls: text, verifier, program, generated C.
 */
#include <check.h>
#include <string.h>

#include "codegen/c/c.h"
#include "codegen/program/program.h"
#include "ir/graph.h"
#include "tests/unit/unit_arena.h"

static Graph *
parse(const char *text)
{
	return graph_parse(arena, "test", text, strlen(text), &diag);
}

/* A running sum, and the input of the call before. */
static const char running[] =
	"graph @g(%x: f32[2], %sum: f32[2], %last: f32[2]) {\n"
	"  %next = add(%sum, %x)\n"
	"  %y = mul(%next, %last)\n"
	"  %zeros: f32[2] = const [0.0, 0.0]\n"
	"  %start: f32[2] = const [1.0, 2.0]\n"
	"  return %y, %next, %x\n"
	"  states %zeros, %start\n"
	"}\n";

START_TEST(states_survive_the_text_form)
{
	Graph *g = parse(running);
	Str first, second;

	ck_assert_ptr_nonnull(g);
	ck_assert_int_eq(g->states.n, 2);
	ck_assert(graph_verify(g, &diag));
	str_init(&first, arena);
	str_init(&second, arena);
	graph_print(&first, g);
	g = parse(first.s);
	ck_assert_ptr_nonnull(g);
	graph_print(&second, g);
	ck_assert_str_eq(first.s, second.s);
	ck_assert_int_eq(graph_plain_inputs(g), 1);
	ck_assert_int_eq(graph_plain_outputs(g), 1);
}
END_TEST

static void
check_refused_at(const char *text, DiagCode code, int line, int column)
{
	ck_assert_ptr_null(parse(text));
	ck_assert_int_eq(diag.first->code, code);
	ck_assert_int_eq(diag.first->loc.line, line);
	ck_assert_int_eq(diag.first->loc.column, column);
}

START_TEST(text_whose_state_is_another_type_next_is_refused)
{
	check_refused_at("graph @g(%x: f32[2], %s: f32[3]) {\n"
	                 "  %z: f32[3] = const [0.0, 0.0, 0.0]\n"
	                 "  %y = neg(%x)\n"
	                 "  return %y\n"
	                 "  states %z\n"
	                 "}\n",
	                 E_TYPE, 5, 10);
}
END_TEST

START_TEST(text_whose_state_starts_as_another_type_is_refused)
{
	check_refused_at("graph @g(%s: f32[2], %t: f32[2]) {\n"
	                 "  %z: f32[2] = const [0.0, 0.0]\n"
	                 "  %i: i32[2] = const [0, 0]\n"
	                 "  %y = neg(%s)\n"
	                 "  return %y, %y\n"
	                 "  states %z,\n"
	                 "    %i\n"
	                 "}\n",
	                 E_TYPE, 7, 5);
}
END_TEST

START_TEST(text_with_more_states_than_outputs_is_refused)
{
	check_refused_at("graph @g(%x: f32[1]) {\n"
	                 "  %z: f32[1] = const [0.0]\n"
	                 "  %y = neg(%x)\n"
	                 "  return %y\n"
	                 "  states %z, %z\n"
	                 "}\n",
	                 E_VALUE, 5, 14);
}
END_TEST

START_TEST(the_verifier_finds_a_state_that_changes_its_type)
{
	Graph *g = parse("graph @g(%s: f32[2], %t: f32[3]) {\n"
	                 "  %y: f32[2] = const [0.0, 0.0]\n"
	                 "  %z: f32[3] = const [0.0, 0.0, 0.0]\n"
	                 "  return %s, %t\n"
	                 "  states %y, %z\n"
	                 "}\n");
	Value *first;

	ck_assert_ptr_nonnull(g);
	ck_assert(graph_verify(g, &diag));
	first = g->states.v[0];
	g->states.v[0] = g->states.v[1];
	g->states.v[1] = first;
	ck_assert(!graph_verify(g, &diag));
}
END_TEST

START_TEST(the_verifier_finds_more_states_than_outputs)
{
	Graph *g = parse("graph @g(%s: f32[1]) {\n"
	                 "  %z: f32[1] = const [0.0]\n"
	                 "  return %s\n"
	                 "  states %z\n"
	                 "}\n");

	ck_assert_ptr_nonnull(g);
	ck_assert(graph_verify(g, &diag));
	VEC_PUSH(arena, &g->states, g->states.v[0]);
	g->states.v[0]->nuses++;
	ck_assert(!graph_verify(g, &diag));
}
END_TEST

/* The state's memory is one: what is written at the end is read in the next call. */
START_TEST(a_program_overwrites_states_when_all_is_read)
{
	static const ProgramOptions options = {.align = 0};
	static const float x[3][2] = {{1, 2}, {10, 20}, {5, 5}};
	static const float want[3][2] = {{1, 4}, {11, 44}, {160, 540}};
	float sum[2] = {0, 0}, last[2] = {1, 2}, y[2];
	Graph *g = parse(running);
	Program *p = program_build(arena, g, &options, &diag);

	ck_assert_ptr_nonnull(p);
	for (int call = 0; call < 3; call++) {
		const void *in[] = {x[call], sum, last};
		void *out[] = {y, sum, last};

		program_run(p, in, out);
		ck_assert(y[0] == want[call][0] && y[1] == want[call][1]);
	}
}
END_TEST

START_TEST(states_that_change_places_are_refused)
{
	static const ProgramOptions options = {.align = 0};
	Graph *g = parse("graph @g(%x: f32[1], %a: f32[1], %b: f32[1]) {\n"
	                 "  %z: f32[1] = const [0.0]\n"
	                 "  %y = neg(%x)\n"
	                 "  return %y, %b, %a\n"
	                 "  states %z, %z\n"
	                 "}\n");

	ck_assert_ptr_nonnull(g);
	ck_assert(graph_verify(g, &diag));
	ck_assert_ptr_null(program_build(arena, g, &options, &diag));
	ck_assert_int_eq(diag.first->code, E_UNSUPPORTED);
}
END_TEST

START_TEST(generated_c_has_a_struct_and_a_reset)
{
	static const ProgramOptions options = {.align = 0};
	static const CEmitOptions emit = {.prefix = "m", .header_name = "m.h", .version = "",
	                                  .model_name = "", .model_sha256 = "", .command = ""};
	Graph *g = parse(running);
	Program *p = program_build(arena, g, &options, &diag);
	Str source, header;

	str_init(&source, arena);
	str_init(&header, arena);
	ck_assert(c_emit(p, &emit, &source, &header, &diag));
	ck_assert_ptr_nonnull(strstr(header.s, "\tfloat sum[2];\n\tfloat last[2];\n} m_state;"));
	ck_assert_ptr_nonnull(strstr(header.s, "void m_reset(m_state *state);"));
	ck_assert_ptr_nonnull(
		strstr(header.s, "int m_run(const float *x, float *y, m_state *state, void *arena);"));
	ck_assert_ptr_nonnull(strstr(source.s, "state->sum[i] = 0.0f;"));
	ck_assert_ptr_nonnull(strstr(source.s, "state->last[i] = initial[i];"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("states");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, states_survive_the_text_form);
	tcase_add_test(t, text_whose_state_is_another_type_next_is_refused);
	tcase_add_test(t, text_whose_state_starts_as_another_type_is_refused);
	tcase_add_test(t, text_with_more_states_than_outputs_is_refused);
	tcase_add_test(t, the_verifier_finds_a_state_that_changes_its_type);
	tcase_add_test(t, the_verifier_finds_more_states_than_outputs);
	tcase_add_test(t, a_program_overwrites_states_when_all_is_read);
	tcase_add_test(t, states_that_change_places_are_refused);
	tcase_add_test(t, generated_c_has_a_struct_and_a_reset);
	suite_add_tcase(s, t);
	return unit_run(s);
}
