/* Fields and records of a graph, and the operator `kernel`. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "codegen/c/c.h"
#include "ir/lower.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_arena.h"

static Graph *
parse(const char *text)
{
	return graph_parse(arena, "t.mcc", text, strlen(text), &diag);
}

static const char *
print(const Graph *g)
{
	Str s;

	str_init(&s, arena);
	graph_print(&s, g);
	return s.s;
}

#define KERNEL \
	"  %y: f64[1], %k: i32[1] = kernel(%x, %c) {code=\"kernel @f(%x: f64[2] in, " \
	"%c: i32[1] in, %y: f64[1] out, %k: i32[1] out) {\\x0a  %y[0] = %x[0] + %x[1]\\x0a" \
	"  %k[0] = %c[0]\\x0a}\\x0a\"}\n"

static const char whole[] =
	"graph @g(%x: f64[2], %c: i32[1]) {\n" KERNEL
	"  return %y, %k\n"
	"  input 0[1] \"b c\" number missing\n"
	"  input 0[0] \"a\" date\n"
	"  input 1[0] \"colour\" category missing other {\"red\", \"light \\\"blue\\\"\"}\n"
	"  output 0[0] \"sum\" number\n"
	"  output 1[0] \"same\" category other {\"red\", \"light \\\"blue\\\"\"}\n"
	"  tolerance [1e-06,0.0] [1e-16,0.0]\n"
	"  record [1.0,2.0,-1.0] [3.0,nan]\n"
	"}\n";

START_TEST(fields_and_records_read_back)
{
	Graph *g = parse(whole);

	ck_assert_msg(g != NULL, "%s", diag.first ? diag.first->text : "");
	ck_assert(graph_verify(g, &diag));
	ck_assert_str_eq(print(g), whole);
	ck_assert(graph_has_input_fields(g) && graph_has_output_fields(g));
	ck_assert_str_eq(graph_input_field(g, 0, 1)->name, "b c");
	ck_assert_ptr_null(graph_output_field(g, 0, 1));
	ck_assert_int_eq(graph_input_field(g, 1, 0)->nlabels, 2);
}
END_TEST

/* A graph with these lines at its end. */
static const char *
with_fields(const char *lines)
{
	return arena_printf(arena, "%s%s}\n",
	                    "graph @g(%x: f64[2], %c: i32[1]) {\n" KERNEL "  return %y, %k\n",
	                    lines);
}

static const struct {
	const char *line, *message;
} mistakes[] = {
	{"  input 2[0] \"a\" number\n", "there is no such value"},
	{"  input 0[2] \"a\" number\n", "there is no such element"},
	{"  input 0[0] \"a\" colour\n", "expected a kind of field"},
	{"  input 0[0] \"a\" number {\"x\"}\n", "expected '}'"},
	{"  output 0[0] \"a\" category {}\n", "expected '\"'"},
	{"  tolerance [1.0] []\n", "there have to be 0 and 0 numbers"},
	{"  tolerance [] []\n  record [] [2.0]\n", "there have to be 0 and 0 numbers"},
};

START_TEST(a_mistake_in_a_field_is_an_error)
{
	ck_assert_ptr_null(parse(with_fields(mistakes[_i].line)));
	ck_assert_msg(strstr(diag.first->text, mistakes[_i].message) != NULL, "%s",
	              diag.first->text);
}
END_TEST

static const char *const broken[] = {
	"  input 0[0] \"a\" number\n  input 0[0] \"b\" number\n",
	"  input 0[0] \"a\" category {\"x\"}\n",
};

START_TEST(the_verifier_refuses_fields_that_cannot_be)
{
	Graph *g = parse(with_fields(broken[_i]));

	ck_assert_ptr_nonnull(g);
	ck_assert(!graph_verify(g, &diag));
}
END_TEST

START_TEST(a_header_has_structs_and_enums_of_fields)
{
	static const char *const lines[] = {
		"\tM_COLOUR_MISSING = -1,\n",
		"\tM_COLOUR_LIGHT_BLUE = 1, /* 'light \"blue\"' */\n",
		"\tM_COLOUR_OTHER = 2 /* none of these */\n",
		"\tdouble a; /* days since 1970-01-01 */\n",
		"\tdouble b_c; /* 'b c' */\n",
		"\tm_colour colour;\n} m_input;\n",
		"\tm_colour same;\n} m_output;\n",
		"\tx0[1] = in->b_c;\n\tx0[0] = in->a;\n\tx1[0] = (int32_t)in->colour;\n",
		"\tout->same = (m_colour)y1[0];\n",
	};
	CEmitOptions options = {.prefix = "m", .header_name = "m.h", .model_name = "m",
	                        .model_sha256 = "", .command = "mcc", .version = "0"};
	ProgramOptions plan = {0};
	Str source, header;

	str_init(&source, arena);
	str_init(&header, arena);
	ck_assert(c_emit(program_build(arena, parse(whole), &plan, &diag), &options, &source,
	                 &header, &diag));
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		ck_assert_msg(strstr(header.s, lines[i]) != NULL, "%s is not in\n%s", lines[i],
		              header.s);
}
END_TEST

/* ---- The operator ---- */

START_TEST(a_kernel_runs)
{
	Graph *g = parse(whole);
	double x[2] = {1.5, 2}, y = 0;
	int32_t c = 7, k = 0;

	lfunc_run(arena, node_lower(arena, g->first), (void *[]){x, &c, &y, &k});
	ck_assert_double_eq(y, 3.5);
	ck_assert_int_eq(k, 7);
}
END_TEST

START_TEST(an_output_that_nobody_wants_is_memory_of_the_kernel)
{
	Graph *g = parse("graph @g(%x: f64[2], %c: i32[1]) {\n"
	                 "  _, %k: i32[1] = kernel(%x, %c) {code=\"kernel @f(%x: f64[2] in, "
	                 "%c: i32[1] in, %y: f64[1] out, %k: i32[1] out) {\\x0a  %y[0] = %x[0]\\x0a"
	                 "  %k[0] = cvt.i32(%y[0])\\x0a}\\x0a\"}\n"
	                 "  return %k\n}\n");
	LFunc *f = node_lower(arena, g->first);
	double x[2] = {4, 2};
	int32_t c = 0, k = 0;

	ck_assert_ptr_null(lfunc_verify(f));
	ck_assert_int_eq((int)f->bufs.v[3]->role, LBUF_SCRATCH);
	lfunc_run(arena, f, (void *[]){x, &c, &k, NULL});
	ck_assert_int_eq(k, 4);
}
END_TEST

static const struct {
	const char *code, *message;
} bad_code[] = {
	{"", "one kernel"},
	{"kernel @f(", "expected"},
	{"func @f(%x: f64) -> f64 {\\x0a return %x\\x0a}", "one kernel"},
	{"kernel @f(%x: f64[2] in) {\\x0a}", "1 buffers for 1 inputs and 1 outputs"},
	{"kernel @f(%y: f64[1] out, %x: f64[2] in) {\\x0a}", "not where its role wants it"},
	{"kernel @f(%x: f64[3] in, %y: f64[1] out) {\\x0a}", "the kernel takes 3 elements of f64"},
	{"kernel @f(%x: f32[2] in, %y: f64[1] out) {\\x0a}", "the kernel takes 2 elements of f32"},
	{"kernel @f(%x: f64[2] in = {1.0, 2.0}, %y: f64[1] out) {\\x0a}", "its role"},
	{"kernel @f(%x: f64[2] in, %y: f64[1] out) {\\x0a %y[0] = %x[2]\\x0a}", "has 2 elements"},
	{"kernel @f(%x: f64[2] in, %y: f64[1] out) {\\x0a %x[0] = 1.0\\x0a}", "%x"},
};

START_TEST(code_that_does_not_fit_is_refused)
{
	const char *text = arena_printf(
		arena,
		"graph @g(%%x: f64[2]) {\n  %%y = kernel(%%x) {code=\"%s\"}\n  return %%y\n}\n",
		bad_code[_i].code);

	ck_assert_ptr_null(parse(text));
	ck_assert_msg(strstr(diag.first->text, bad_code[_i].message) != NULL, "%s",
	              diag.first->text);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("fields");
	TCase *tc = tcase_create("fields");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, fields_and_records_read_back);
	tcase_add_loop_test(tc, a_mistake_in_a_field_is_an_error, 0,
	                    sizeof mistakes / sizeof *mistakes);
	tcase_add_loop_test(tc, the_verifier_refuses_fields_that_cannot_be, 0,
	                    sizeof broken / sizeof *broken);
	tcase_add_test(tc, a_header_has_structs_and_enums_of_fields);
	tcase_add_test(tc, a_kernel_runs);
	tcase_add_test(tc, an_output_that_nobody_wants_is_memory_of_the_kernel);
	tcase_add_loop_test(tc, code_that_does_not_fit_is_refused, 0,
	                    sizeof bad_code / sizeof *bad_code);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
