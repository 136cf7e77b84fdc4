/*
 * The reader of OpenVINO IR: what graph it makes of layers, and what it says of files that
 * are wrong.  Numbers are checked by tests/conformance/openvino_*.py.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "frontend/frontend.h"
#include "tests/unit/unit_arena.h"

/* ---- Models in pieces ---- */

#define LAYER(id, type, opset, data, ports) \
	"<layer id='" id "' name='L" id "' type='" type "' version='opset" opset "'>" data ports \
	"</layer>\n"
#define NONE "<output><port id='9'/></output>"
#define ONE "<input><port id='0'/></input>" NONE
#define TWO "<input><port id='0'/><port id='1'/></input>" NONE
#define FIVE \
	"<input><port id='0'/><port id='1'/><port id='2'/><port id='3'/><port id='4'/></input>" NONE
#define X(type, shape) \
	LAYER("x", "Parameter", "1", "<data element_type='" type "' shape='" shape "'/>", NONE)
#define CONST(id, type, shape, offset, size) \
	LAYER(id, "Const", "1", \
	      "<data element_type='" type "' shape='" shape "' offset='" offset "' size='" size "'/>", \
	      NONE)
#define RESULT "<layer id='r' type='Result' version='opset1'><input><port id='0'/></input></layer>"
#define EDGE(from, to, port) \
	"<edge from-layer='" from "' from-port='9' to-layer='" to "' to-port='" port "'/>"
#define NET(layers, edges) \
	"<net name='n' version='11'><layers>" layers RESULT "</layers><edges>" edges "</edges></net>"

/* Reads the model with these bytes as its .bin. */
static Graph *
read_model(const char *xml, const void *weights, size_t n)
{
	const FrontendOptions options = {.format = "openvino"};
	const char *folder = file_temp_folder(arena, &diag);
	FILE *f = fopen(file_temp_path(arena, folder, "m.bin"), "wb");
	size_t written;

	ck_assert_ptr_nonnull(f);
	written = n ? fwrite(weights, 1, n, f) : 0;
	ck_assert_uint_eq(written, n);
	ck_assert_int_eq(fclose(f), 0);
	return frontend_read(arena, arena_printf(arena, "%s/m.xml", folder), (const uint8_t *)xml,
	                     strlen(xml), &options, &diag);
}

static const char *
text_of(const Graph *g)
{
	Str s;

	ck_assert_msg(g != NULL, "%s", diag.first ? diag.first->text : "");
	str_init(&s, arena);
	graph_print(&s, g);
	return s.s;
}

static void
expect_in(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "no '%s' in\n%s", part, text);
}

/* ---- Graphs ---- */

START_TEST(layers_may_stand_in_any_order)
{
	const char *text = text_of(read_model(NET(
		LAYER("b", "Exp", "1", "", ONE) LAYER("a", "Abs", "1", "", ONE) X("f32", "2,3"),
		EDGE("b", "r", "0") EDGE("a", "b", "0") EDGE("x", "a", "0")), NULL, 0));

	expect_in(text, "%1: f32[2,3] = abs(%Lx) as \"La\"");
	expect_in(text, "exp(%1)");
}
END_TEST

START_TEST(layers_that_nobody_needs_are_passed_over)
{
	const char *text = text_of(read_model(NET(
		X("f32", "4") LAYER("a", "NonMaxSuppression", "1", "", ONE)
		LAYER("b", "Abs", "1", "", ONE),
		EDGE("x", "a", "0") EDGE("x", "b", "0") EDGE("b", "r", "0")), NULL, 0));

	expect_in(text, "abs(");
}
END_TEST

START_TEST(the_first_name_of_a_tensor_counts)
{
	Graph *g = read_model(NET(
		LAYER("x", "Parameter", "1", "<data element_type='f32' shape='4'/>",
		      "<output><port id='9' names='a\\,b,c'/></output>")
		LAYER("b", "Abs", "1", "", "<input><port id='0'/></input>"
		      "<output><port id='9' names='out:0'/></output>"),
		EDGE("x", "b", "0") EDGE("b", "r", "0")), NULL, 0);

	ck_assert_msg(g != NULL, "not read");
	ck_assert_str_eq(g->inputs.v[0]->name, "a,b");
	ck_assert_str_eq(g->output_names.v[0], "out:0");
}
END_TEST

START_TEST(shapes_are_computed_while_reading)
{
	static const int64_t minus_one = -1;
	const char *text = text_of(read_model(NET(
		X("f32", "2,3") LAYER("s", "ShapeOf", "3", "", ONE)
		CONST("m", "i64", "1", "0", "8")
		LAYER("p", "ReduceProd", "1", "<data keep_dims='true'/>", TWO)
		CONST("z", "i64", "1", "0", "8")
		LAYER("y", "Reshape", "1", "<data special_zero='true'/>", TWO),
		EDGE("x", "s", "0") EDGE("s", "p", "0") EDGE("m", "p", "1") EDGE("x", "y", "0")
		EDGE("p", "y", "1") EDGE("y", "r", "0")), &minus_one, 8));

	expect_in(text, "f32[6] = reshape(%Lx) {shape=[6]}");
}
END_TEST

/* Convert(u8) - 8 times 0.5 */
START_TEST(compressed_weights_stay_codes)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 0, 0, 0, 0x41, 0, 0, 0, 0x3f};
	const char *text = text_of(read_model(NET(
		X("f32", "2") CONST("w", "u8", "2,2", "0", "4")
		LAYER("c", "Convert", "1", "<data destination_type='f32'/>", ONE)
		CONST("z", "f32", "", "4", "4") LAYER("s", "Subtract", "1", "", TWO)
		CONST("k", "f32", "", "8", "4") LAYER("m", "Multiply", "1", "", TWO)
		LAYER("y", "MatMul", "1", "<data transpose_b='true'/>", TWO),
		EDGE("w", "c", "0") EDGE("c", "s", "0") EDGE("z", "s", "1") EDGE("s", "m", "0")
		EDGE("k", "m", "1") EDGE("x", "y", "0") EDGE("m", "y", "1") EDGE("y", "r", "0")),
		bytes, sizeof bytes));

	expect_in(text, "u8[2,2] = const [1, 3, 2, 4]");
	expect_in(text, "f32[2,2] = dequantize(");
}
END_TEST

/* From -1.28 to 1.27 and back: bounds that a zero point of 0 fits. */
#define FAKE(shape) \
	NET(X("f32", shape) CONST("a", "f32", "", "0", "4") CONST("b", "f32", "", "4", "4") \
	    LAYER("y", "FakeQuantize", "1", "<data levels='256'/>", FIVE), \
	    EDGE("x", "y", "0") EDGE("a", "y", "1") EDGE("b", "y", "2") EDGE("a", "y", "3") \
	    EDGE("b", "y", "4") EDGE("y", "r", "0"))

START_TEST(fake_quantize_on_a_grid_is_quantised)
{
	static const float bounds[] = {-1.28f, 1.27f};
	const char *text = text_of(read_model(FAKE("4"), bounds, sizeof bounds));

	expect_in(text, "i8[4] = quantize(%Lx");
	expect_in(text, "i8[] = const 0\n");
	expect_in(text, "f32[4] = dequantize(");
}
END_TEST

START_TEST(fake_quantize_off_the_grid_stays_float)
{
	static const float bounds[] = {-1.28f, 1.275f};
	const char *text = text_of(read_model(FAKE("4"), bounds, sizeof bounds));

	expect_in(text, "round(");
	ck_assert_ptr_null(strstr(text, "quantize("));
}
END_TEST

START_TEST(outputs_that_nobody_uses_are_not_computed)
{
	const char *text = text_of(read_model(NET(
		X("f32", "1,1,4")
		LAYER("p", "MaxPool", "8",
		      "<data kernel='2' strides='2' dilations='1' pads_begin='0' pads_end='0'/>",
		      "<input><port id='0'/></input><output><port id='9'/><port id='8'/></output>"),
		EDGE("x", "p", "0") EDGE("p", "r", "0")), NULL, 0));

	expect_in(text, "%1: f32[1,1,2] = max_pool(%Lx)");
}
END_TEST

/* ---- Errors ---- */

#define POOL(data) \
	NET(X("f32", "1,1,4") LAYER("p", "MaxPool", "1", "<data " data "/>", ONE), \
	    EDGE("x", "p", "0") EDGE("p", "r", "0"))
#define UNARY(type, opset, data) \
	NET(X("f32", "2,3") LAYER("p", type, opset, "<data " data "/>", ONE), \
	    EDGE("x", "p", "0") EDGE("p", "r", "0"))

static const struct {
	const char *xml;
	DiagCode code;
	const char *message;
} wrong[] = {
	{"<pet version='11'/>", E_MALFORMED, "it is a <pet>, not a <net>"},
	{"<net/>", E_MALFORMED, "no version"},
	{"<net version='11'/>", E_MALFORMED, "no list of layers"},
	{NET("", ""), E_ARITY, "input 0 is not connected"},
	{"<net version='11'><layers/></net>", E_MALFORMED, "no results"},
	{NET(X("nf4", "1"), EDGE("x", "r", "0")), E_UNSUPPORTED, "elements of type 'nf4'"},
	{NET(X("u4", "1"), EDGE("x", "r", "0")), E_UNSUPPORTED, "elements of type 'u4'"},
	{NET(X("f32", "1,a"), EDGE("x", "r", "0")), E_MALFORMED, "the shape '1,a'"},
	{NET(X("f32", "1,1,1,1,1,1,1,1,1"), EDGE("x", "r", "0")), E_MALFORMED, "at most 8 axes"},
	{NET(X("f32", "99999,99999"), EDGE("x", "r", "0")), E_SIZE, "larger than 2 GiB"},
	{NET(X("f32", "..."), EDGE("x", "r", "0")), E_DIMENSION, "-finput-shape=Lx:1x2x3"},
	{POOL("strides='1'"), E_ATTRIBUTE, "'kernel' is missing"},
	{POOL("kernel='2,2'"), E_ATTRIBUTE, "'kernel' has 2 elements instead of 1"},
	{POOL("kernel='0'"), E_VALUE, "'kernel' has the element 0"},
	{POOL("kernel='2;'"), E_ATTRIBUTE, "a list of numbers is needed"},
	{POOL("kernel='99999999999999999999'"), E_ATTRIBUTE, "a list of numbers is needed"},
	{POOL("kernel='2' auto_pad='same'"), E_ATTRIBUTE, "one of explicit, same_upper"},
	{POOL("kernel='2' strides='4' pads_end='3' rounding_type='ceil'"), E_UNSUPPORTED,
	 "the last window of axis 2 lies outside"},
	{UNARY("Clamp", "1", "min='1'"), E_ATTRIBUTE, "'min' and 'max' are no range"},
	{UNARY("Clamp", "1", "min='1' max='x'"), E_ATTRIBUTE, "'max' is 'x'; a number is needed"},
	{UNARY("Softmax", "8", "axis='-3'"), E_VALUE, "axis -3 is outside"},
	{UNARY("Softmax", "8", "axis='1.5'"), E_ATTRIBUTE, "a number is needed"},
	{UNARY("Convert", "1", "destination_type='u4'"), E_UNSUPPORTED, "type 'u4'"},
	{UNARY("Convert", "1", ""), E_ATTRIBUTE, "destination_type is missing"},
	{UNARY("Mish", "3", ""), E_OP, "layers of type 'Mish' (opset3) are not supported"},
	{UNARY("Assign", "3", ""), E_ATTRIBUTE, "'variable_id' is missing"},
	{UNARY("ReadValue", "3", "variable_id='a'"), E_DYNAMIC, "is no constant"},
	{UNARY("TensorIterator", "1", ""), E_MALFORMED, "the layer has no <body>"},
	{UNARY("If", "8", ""), E_DYNAMIC, "which branch is taken"},
	{UNARY("Add", "1", ""), E_ARITY, "'Add' cannot have 1 inputs"},
	{NET(X("f32", "2") LAYER("y", "Reshape", "1", "", TWO),
	     EDGE("x", "y", "0") EDGE("x", "y", "1") EDGE("y", "r", "0")), E_DYNAMIC,
	 "must be known when compiling"},
};

START_TEST(wrong_files_are_errors)
{
	int i = _i;
	Graph *g = read_model(wrong[i].xml, NULL, 0);
	const Message *m = diag.first;

	ck_assert_msg(!g && m, "%d: no error", i);
	ck_assert_msg(m->code == wrong[i].code && strstr(m->text, wrong[i].message), "%d: E%04d %s",
	              i, diag_info[m->code].number, m->text);
	ck_assert_msg(m->loc.line > 0 && m->loc.column > 0, "%d: no place", i);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("openvino");
	TCase *t = tcase_create("openvino");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, layers_may_stand_in_any_order);
	tcase_add_test(t, layers_that_nobody_needs_are_passed_over);
	tcase_add_test(t, the_first_name_of_a_tensor_counts);
	tcase_add_test(t, shapes_are_computed_while_reading);
	tcase_add_test(t, compressed_weights_stay_codes);
	tcase_add_test(t, fake_quantize_on_a_grid_is_quantised);
	tcase_add_test(t, fake_quantize_off_the_grid_stays_float);
	tcase_add_test(t, outputs_that_nobody_uses_are_not_computed);
	tcase_add_loop_test(t, wrong_files_are_errors, 0, sizeof wrong / sizeof wrong[0]);
	suite_add_tcase(s, t);
	return unit_run(s);
}
