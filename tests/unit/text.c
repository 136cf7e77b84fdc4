/* The graph's text form and the verifier. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/graph.h"
#include "ir/num.h"
#include "tests/unit/unit_arena.h"

static Graph *
parse(const char *text)
{
	/* Exactly as long as the text, so that reading past its end is noticed. */
	size_t n = strlen(text);
	char *copy = malloc(n ? n : 1);
	Graph *g;

	memcpy(copy, text, n);
	g = graph_parse(arena, "t.mir", copy, n, &diag);
	free(copy);
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

static const char *const round_trips[] = {
	"graph @empty() {\n"
	"  return\n"
	"}\n",
	"graph @kws(%mel: f32[1,1,49,10], %unused: i64[]) {\n"
	"  %w: f32[1,1,2,2] = const [1.0, 2.5, -0.0, inf]\n"
	"  %b: f32[1] = const [0.1]\n"
	"  %3: f32[1,1,25,5] = conv(%mel, %w, %b) {strides=[2,2], pads=[1,0,1,0]} as \"conv1\""
	"   ; at kws.onnx: node 3 'conv1'\n"
	"  %4: f32[1,1,25,5] = clamp(%3) {lo=0.0, hi=6.0}   ; at kws.onnx\n"
	"  return %4 as \"prob\", %3, %mel\n"
	"}\n",
	"graph @top(%x: f32[3,4]) {\n"
	"  %v: f32[3,2], %i: i64[3,2] = top_k(%x) {k=2, axis=1}\n"
	"  %w: f32[3,1], _ = top_k(%x) {axis=1, largest=false}\n"
	"  _, %j: i64[3,3] = top_k(%x) {k=3, axis=1}\n"
	"  return %v, %i, %w, %j\n"
	"}\n",
	"graph @\"odd name\"(%\"a b\": bool[2]) {\n"
	"  %\"say \\\"hi\\\\\\x0a\\x7f\": bool[2] = not(%\"a b\")\n"
	"  %/model/layer-1/out_0.x: bool[2] = not(%\"say \\\"hi\\\\\\x0a\\x7f\")\n"
	"  %\"\xc3\xa4\": bool[2] = not(%/model/layer-1/out_0.x)\n"
	"  return %\"\xc3\xa4\" as \"\xc3\xa4 \\x01\"\n"
	"}\n",
	"graph @scalars(%x: f64[]) {\n"
	"  %one: f64[] = const 1.0\n"
	"  %y: f64[] = add(%x, %one)\n"
	"  %n: i64[0] = const []\n"
	"  %b: bool[2] = const [true, false]\n"
	"  %u: u64[1] = const [18446744073709551615]\n"
	"  %i: i64[2] = const [-9223372036854775808, 9223372036854775807]\n"
	"  %h: f16[2] = const [0.099975586, -65504.0]\n"
	"  %bytes: i8[2] = const [-128, 127]\n"
	"  %nan: f32[] = const x\"4523c17f\"\n"
	"  %long: u16[17] = const "
	"x\"0100020003000400050006000700080009000a000b000c000d000e000f0010001100\"\n"
	"  return %y, %n, %b, %u, %i, %h, %bytes, %nan, %long\n"
	"}\n",
	"graph @words(%x: f32[1,1,4,4]) {\n"
	"  %1: f32[1,1,8,8] = resize(%x) {shape=[1,1,8,8], scales=[1.0,1.0,2.0,2.0], mode=cubic,"
	" coordinates=align_corners, cubic_a=-0.5, exclude_outside=true}\n"
	"  %2: u8[1,1,8,8] = cast(%1) {to=u8}\n"
	"  %3: f32[8,4] = einsum(%1, %x) {equation=\"abcd,abef->ce\"}\n"
	"  return %2, %3\n"
	"}\n",
};

START_TEST(what_was_printed_reads_back_to_the_same_text)
{
	Graph *g = parse(round_trips[_i]);

	ck_assert_msg(g != NULL, "%s", diag.first ? diag.first->text : "");
	ck_assert_str_eq(print(g), round_trips[_i]);
	ck_assert(graph_verify(g, &diag));
}
END_TEST

START_TEST(blanks_comments_and_types_of_outputs_are_free)
{
	Graph *g = parse("; a comment\n graph@g ( %x:f32 [ 2 ] ){%1=relu(%x);another\r\n"
	                 "%2 : f32[2]\n=\nneg\n(%1)return%2}\t; end");

	ck_assert(g);
	ck_assert_str_eq(print(g), "graph @g(%x: f32[2]) {\n"
	                           "  %1: f32[2] = relu(%x)\n"
	                           "  %2: f32[2] = neg(%1)\n"
	                           "  return %2\n"
	                           "}\n");
}
END_TEST

/* The text between { and } of a graph with an input, where the error is, and a
 * part of its message. */
static const struct {
	const char *body;
	DiagCode code;
	int line, column;
	const char *message;
} errors[] = {
	{"%1 = relo(%x)\nreturn %1", E_OP, 2, 6, "'relo' is not an operator"},
	{"%1 = relu(%y)\nreturn %1", E_NAME, 2, 11, "'y' is not defined"},
	{"%1 = relu(%1)\nreturn %1", E_NAME, 2, 11, "'1' is not defined"},
	{"%x = relu(%x)\nreturn %x", E_NAME, 2, 1, "'x' is already defined"},
	{"%1, %1 = top_k(%x)\nreturn %1", E_NAME, 2, 5, "'1' is defined twice"},
	{"%1: f32[3] = relu(%x)\nreturn %1", E_TYPE, 2, 1,
	 "written as f32[3], but 'relu' gives f32[2,3]"},
	{"%1: i8[6] q(0.5, 0) = const [0,1,2,3,4,5]\n"
	 "%2: i8[2,3] q(1.0, 0) = reshape(%1) {shape=[2,3]}\nreturn %2", E_TYPE, 3, 1,
	 "'2' has another quantisation than '1', whose elements 'reshape' moves"},
	{"%1 =\n relu(%x) {k=1}\nreturn %1", E_ATTRIBUTE, 3, 12, "'relu' has no attribute 'k'"},
	{"%1 = clamp(%x) {lo=1, lo=2}\nreturn %1", E_ATTRIBUTE, 2, 23, "'lo' is given twice"},
	{"%1 = clamp(%x) {lo=one}\nreturn %1", E_SYNTAX, 2, 20, "'one' is not a number"},
	{"%1 = top_k(%x) {k=9223372036854775808}\nreturn %1", E_SYNTAX, 2, 19,
	 "not an integer of 64 bits"},
	{"%1 = gelu(%x) {approximate=rough}\nreturn %1", E_ATTRIBUTE, 2, 28,
	 "'approximate' cannot be 'rough'"},
	{"%1 = cast(%x) {to=idx}\nreturn %1", E_SYNTAX, 2, 19, "expected an element type"},
	{"_ = relu(%x)\nreturn %x", E_ARITY, 2, 5, "none is wanted"},
	{"%1, %2 = relu(%x)\nreturn %1", E_ARITY, 2, 10, "cannot have 2 outputs"},
	{"%1 = relu(%x, %x)\nreturn %1", E_ARITY, 2, 6, "cannot have 2 inputs"},
	{"%1 = relu(_)\nreturn %1", E_ARITY, 2, 6, "input 0 of 'relu' is missing"},
	{"%1 = matmul(%x, %x)\nreturn %1", E_SHAPE, 2, 6, ""},
	{"%1: f32[2] = const [1]\nreturn %1", E_SHAPE, 2, 22, "1 elements, but the type has 2"},
	{"%1: f32[1] = const [1, 2]\nreturn %1", E_SHAPE, 2, 22, "more elements"},
	{"%1: i8[1] = const [128]\nreturn %1", E_VALUE, 2, 20, "out of range of i8"},
	{"%1: u8[] = const -1\nreturn %1", E_VALUE, 2, 18, "out of range of u8"},
	{"%1: u64[] = const -1\nreturn %1", E_SYNTAX, 2, 19, "not an unsigned integer"},
	{"%1: f32[1000000] = const x\"00\"\nreturn %1", E_SHAPE, 2, 28,
	 "fewer than the type's 1000000"},
	{"%1: u8[2] = const x\"0x11\"\nreturn %1", E_SYNTAX, 2, 22, "expected a hexadecimal digit"},
	{"%1: u8[1] = const x\"0011\"\nreturn %1", E_SYNTAX, 2, 23, "expected '\"'"},
	{"%1 = const 1\nreturn %1", E_SYNTAX, 2, 11, "a constant needs one name and its type"},
	{"%1: f32[99999,99999] = const [1]\nreturn %1", E_SIZE, 2, 5, "larger than 2 GiB"},
	{"%1: f32[1,1,1,1,1,1,1,1,1] = const [1]\nreturn %1", E_SHAPE, 2, 25,
	 "at most 8 dimensions"},
	{"%1: f32[-1] = const [1]\nreturn %1", E_SHAPE, 2, 5, "out of range"},
	{"%\"a\nb\" = relu(%x)\nreturn %1", E_SYNTAX, 2, 4, "the string's end"},
	{"%\"\\q\" = relu(%x)\nreturn %1", E_SYNTAX, 2, 4, "expected '\"', '\\' or 'x'"},
	{"%\"\" = relu(%x)\nreturn %1", E_NAME, 2, 1, "a value's name is empty"},
	{"return %x as", E_SYNTAX, 2, 13, "expected '\"'"},
	{"return %x } return", E_SYNTAX, 2, 13, "expected nothing more"},
	{"return _", E_SYNTAX, 2, 9, "expected a value"},
};

START_TEST(errors_name_their_place)
{
	const char *text = arena_printf(arena, "graph @g(%%x: f32[2,3]) {\n%s}", errors[_i].body);
	const Message *m;

	ck_assert_ptr_null(parse(text));
	ck_assert_int_eq(diag.errors, 1);
	m = diag.first;
	ck_assert_int_eq(m->code, errors[_i].code);
	ck_assert_msg(strstr(m->text, errors[_i].message) != NULL, "%s", m->text);
	ck_assert_str_eq(m->loc.file, "t.mir");
	ck_assert_int_eq(m->loc.line, errors[_i].line);
	ck_assert_int_eq(m->loc.column, errors[_i].column);
	ck_assert_ptr_nonnull(m->snippet);
	ck_assert_int_ge(m->caret, 0);
	ck_assert_int_le(m->caret, (int)strlen(m->snippet));
}
END_TEST

START_TEST(snippets_of_long_lines_are_short)
{
	Str s;

	str_init(&s, arena);
	str_puts(&s, "graph @g() {\n  %w: u8[2000] = const x\"");
	for (int i = 0; i < 3000; i++)
		str_putc(&s, i == 1500 ? '?' : '0');
	str_puts(&s, "\"\n  return %w\n}\n");
	ck_assert_ptr_null(parse(s.s));
	ck_assert_uint_le(strlen(diag.first->snippet), 130);
	ck_assert_int_eq(diag.first->snippet[diag.first->caret], '0');
}
END_TEST

/* Every beginning of a text, and every text with one byte changed, is read or
 * refused with a located error. */
START_TEST(cut_and_changed_texts_are_read_or_refused)
{
	const char *text = round_trips[_i];
	size_t n = strlen(text);
	char *copy = arena_strdup(arena, text);

	for (size_t k = 0; k < n; k++) {
		Arena *outer = arena;

		setup();
		copy[k] = '\0';
		/* A text without its last newline is whole. */
		if (k < n - 1)
			ck_assert_ptr_null(parse(copy));
		for (const char *c = "\"%[]0;9x_\n"; *c; c++) {
			Graph *g;

			copy[k] = *c;
			diag_init(&diag, arena);
			g = parse(copy);
			if ((g != NULL) != (diag.errors == 0))
				ck_abort_msg("%s", copy);
			if (g && !graph_verify(g, &diag))
				ck_abort_msg("%s", copy);
		}
		copy[k] = text[k];
		teardown();
		arena = outer;
	}
}
END_TEST

START_TEST(every_float_survives_its_text)
{
	float values[16];
	uint32_t bits = (uint32_t)_i;

	for (int k = 0; k < 200; k++) {
		Graph *g = graph_new(arena, "g"), *again;

		for (int i = 0; i < 16; i++) {
			bits = bits * 1664525u + 1013904223u;
			memcpy(&values[i], &bits, sizeof bits);
		}
		graph_output(g, "v",
			     graph_const(g, "v", type_make(DT_F32, 1, (int32_t[]){16}), values));
		again = parse(print(g));
		if (!again || memcmp(again->outputs.v[0]->data, values, sizeof values) != 0)
			ck_abort_msg("%s", print(g));
	}
}
END_TEST

/* ---- Verifier ---- */

static Graph *
small_graph(Node **first, Node **second)
{
	Graph *g = graph_new(arena, "g");
	Value *x = graph_input(g, "x", type_make(DT_F32, 1, (int32_t[]){4}));

	*first = graph_add(g, OP_RELU, 1, &x, "a");
	ck_assert(node_infer(*first, &diag));
	*second = graph_add(g, OP_NEG, 1, (*first)->out, "b");
	ck_assert(node_infer(*second, &diag));
	graph_output(g, "b", (*second)->out[0]);
	return g;
}

static void
expect_broken(const Graph *g, const char *message)
{
	ck_assert(!graph_verify(g, &diag));
	ck_assert_msg(strstr(diag.first->text, message) != NULL, "%s", diag.first->text);
}

START_TEST(the_verifier_accepts_a_correct_graph)
{
	Node *a, *b;

	ck_assert(graph_verify(small_graph(&a, &b), &diag));
}
END_TEST

START_TEST(the_verifier_sees_broken_rules)
{
	static const char *const message[] = {
		"should be f32[4]",      "has 1 uses, not 2",     "used before it is defined",
		"defined otherwise",     "cannot have these",     "impossible type",
		"not found by its name", "no output is wanted",   "constant and computed",
		"not linked both ways",  "is not a value of the", "has 0 uses, not 1",
		"1 outputs have 0 names"};
	Node *a, *b;
	Graph *g = small_graph(&a, &b);
	Value *x = g->inputs.v[0];
	Graph *other = graph_new(arena, "other");

	switch (_i) {
	case 0: a->out[0]->type.dim[0] = 5; break;
	case 1: x->nuses++; break;
	case 2: node_set_input(a, 0, b->out[0]); break;
	case 3: b->out[0]->def = a; break;
	case 4: b->in[0] = NULL, a->out[0]->nuses--; break;
	case 5: x->type.dim[0] = -1; break;
	case 6: x->name = "y"; break;
	case 7: b->out[0] = NULL; break;
	case 8: a->out[0]->data = "data of it"; break;
	case 9: b->prev = NULL; break;
	case 10: node_set_input(b, 0, graph_input(other, "z", x->type)); break;
	case 11: g->outputs.n = 0, g->output_names.n = 0; break;
	case 12: g->output_names.n = 0; break;
	default: ck_abort();
	}
	expect_broken(g, message[_i]);
}
END_TEST

START_TEST(a_broken_graph_can_be_printed)
{
	Node *a, *b;
	Graph *g = small_graph(&a, &b);

	node_set_input(a, 0, b->out[0]);
	b->out[0]->type = (Type){.dtype = DT_IDX, .rank = 1, .dim = {-7}};
	a->out[0]->def = NULL;
	b->in[0] = NULL;
	ck_assert_str_eq(print(g), "graph @g(%x: f32[4]) {\n"
	                           "  %a: f32[4] = relu(%b)\n"
	                           "  %b: idx[-7] = neg(_)\n"
	                           "  return %b\n"
	                           "}\n");
}
END_TEST

START_TEST(people_read_the_range_of_many_scales)
{
	float scale[5] = {0.5F, 0.25F, 4.0F, 1.0F, 2.0F};
	int32_t zero[5] = {0, 0, 0, 0, 0};
	Quant q = {.scale = scale, .zero = zero, .n = 4, .axis = 0};
	Type t = {.dtype = DT_I8, .rank = 2, .dim = {4, 9}, .q = &q};
	Str exact;

	ck_assert_str_eq(type_text(arena, &t), "i8[4,9] q[0](0.5, 0.25, 4.0, 1.0)");
	q.n = t.dim[0] = 5;
	ck_assert_str_eq(type_text(arena, &t), "i8[5,9] q[0](0.25 to 4.0)");
	zero[3] = -7;
	ck_assert_str_eq(type_text(arena, &t), "i8[5,9] q[0](0.25 to 4.0)(-7 to 0)");
	str_init(&exact, arena);
	type_print(&exact, &t);
	ck_assert_str_eq(exact.s, "i8[5,9] q[0](0.5, 0.25, 4.0, 1.0, 2.0)(0, 0, 0, -7, 0)");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("text");
	TCase *tc = tcase_create("text");
	enum { TRIPS = sizeof round_trips / sizeof round_trips[0] };

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, what_was_printed_reads_back_to_the_same_text, 0, TRIPS);
	tcase_add_test(tc, blanks_comments_and_types_of_outputs_are_free);
	tcase_add_loop_test(tc, errors_name_their_place, 0, sizeof errors / sizeof errors[0]);
	tcase_add_test(tc, snippets_of_long_lines_are_short);
	tcase_add_loop_test(tc, cut_and_changed_texts_are_read_or_refused, 0, TRIPS);
	tcase_add_loop_test(tc, every_float_survives_its_text, 0, 20);
	tcase_add_test(tc, the_verifier_accepts_a_correct_graph);
	tcase_add_loop_test(tc, the_verifier_sees_broken_rules, 0, 13);
	tcase_add_test(tc, a_broken_graph_can_be_printed);
	tcase_add_test(tc, people_read_the_range_of_many_scales);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
