/* The ONNX reader beyond single operators: dimensions, control flow, functions,
 * names, and what is reported about models that cannot be read. */
#include "ir/num.h"
#include "tests/unit/onnx_model.h"
#include "tests/unit/unit.h"

static Model m;

static void
teardown(void)
{
	model_end(&m);
}

static void
begin(int64_t version, const char *x)
{
	model_begin(&m, version);
	input(&m, "x", FLOAT, x);
	output(&m, "y", FLOAT, NULL);
}

/* ---- Dimensions ---- */

START_TEST(a_named_dimension_is_reported_once)
{
	begin(13, "N,3");
	input(&m, "b", FLOAT, "N,1");
	node(&m, "Add", "x,b", "y");
	ck_assert_ptr_null(read_model(&m));
	ck_assert_int_eq(m.diag.errors, 1);
	ck_assert_str_eq(m.diag.first->text,
	                 "dimension 0 of input 'x', named 'N', is not known; give it with "
	                 "-D N=N or -finput-shape=x:?x3");
}
END_TEST

START_TEST(every_unnamed_dimension_is_reported)
{
	begin(13, "?,3,-1");
	node(&m, "Relu", "x", "y");
	ck_assert_ptr_null(read_model(&m));
	ck_assert_int_eq(m.diag.errors, 2);
	ck_assert_str_eq(m.diag.first->text, "dimension 0 of input 'x' is not known; give the "
	                                     "shape with -finput-shape=x:?x3x?");
}
END_TEST

START_TEST(dimensions_are_given_by_name)
{
	static const DimValue dims[] = {{"N", 2}, {"Z", 1}};

	begin(13, "N,3");
	m.options.dims = dims;
	m.options.ndims = 2;
	node(&m, "Relu", "x", "y");
	ck_assert_int_eq(read_model(&m)->inputs.v[0]->type.dim[0], 2);
	/* Z names nothing. */
	ck_assert_int_eq(m.diag.warnings, 1);
	ck_assert_int_eq(m.diag.first->code, W_UNUSED);
}
END_TEST

START_TEST(a_shape_by_option_tells_names_elsewhere)
{
	static const InputShape shapes[] = {{"x", 2, {5, 3}}};

	begin(13, "N,3");
	input(&m, "b", FLOAT, "N,1");
	m.options.shapes = shapes;
	m.options.nshapes = 1;
	node(&m, "Add", "x,b", "y");
	ck_assert_int_eq(read_model(&m)->inputs.v[1]->type.dim[0], 5);
}
END_TEST

static const struct {
	InputShape shape;
	DiagCode code;
	const char *words;
} bad_shapes[] = {
	{{"x", 2, {5, 4}}, E_SHAPE, "the length 4 in dimension 1; it is 3"},
	{{"x", 3, {5, 3, 1}}, E_SHAPE, "3 dimensions; the model has 2"},
	{{"z", 2, {5, 3}}, E_NAME, "no input 'z'"},
};

START_TEST(a_shape_by_option_must_fit)
{
	begin(13, "N,3");
	m.options.shapes = &bad_shapes[_i].shape;
	m.options.nshapes = 1;
	node(&m, "Relu", "x", "y");
	expect_error(&m, bad_shapes[_i].code, bad_shapes[_i].words);
}
END_TEST

START_TEST(an_input_can_be_given_a_value)
{
	static const double one[] = {2.5};
	static const InputValue values[] = {{"b", 1, one}};
	const Graph *g;

	begin(13, "2,3");
	input(&m, "b", FLOAT, "3");
	m.options.values = values;
	m.options.nvalues = 1;
	node(&m, "Add", "x,b", "y");
	g = read_model(&m);
	ck_assert_int_eq(g->inputs.n, 1);
	ck_assert_str_eq(g->inputs.v[0]->name, "x");
	ck_assert(value_is_const(graph_find(g, "b")));
	for (size_t i = 0; i < 3; i++)
		ck_assert(num_load(DT_F32, graph_find(g, "b")->data, i) == 2.5);
}
END_TEST

static const double numbers[] = {1, 2, 300};

static const struct {
	InputValue value;
	DiagCode code;
	const char *words;
} bad_values[] = {
	{{"k", 2, numbers}, E_SHAPE, "'k' has 3 elements, and 2 values are given"},
	{{"k", 3, numbers}, E_VALUE, "300 is no i8"},
	{{"z", 1, numbers}, E_NAME, "no input 'z'"},
};

START_TEST(a_given_value_must_fit)
{
	begin(13, "2,3");
	input(&m, "k", INT8, "3");
	m.options.values = &bad_values[_i].value;
	m.options.nvalues = 1;
	node(&m, "Relu", "x", "y");
	expect_error(&m, bad_values[_i].code, bad_values[_i].words);
}
END_TEST

START_TEST(inputs_without_shape_or_tensor_are_errors)
{
	begin(13, NULL);
	node(&m, "Relu", "x", "y");
	expect_error(&m, E_DIMENSION, "-finput-shape=x:1x2x3");
	model_end(&m);

	model_begin(&m, 13);
	input(&m, "x", 0, NULL);
	output(&m, "y", FLOAT, NULL);
	node(&m, "Relu", "x", "y");
	expect_error(&m, E_UNSUPPORTED, "input 'x' has no type");
	model_end(&m);

	model_begin(&m, 13);
	input(&m, "x", 8, "3");
	output(&m, "y", FLOAT, NULL);
	node(&m, "Relu", "x", "y");
	expect_error(&m, E_TYPE, "'x' has strings, which 'Relu' does not take");
	model_end(&m);

	model_begin(&m, 13);
	input(&m, "x", 14, "3");
	output(&m, "y", FLOAT, NULL);
	node(&m, "Relu", "x", "y");
	expect_error(&m, E_UNSUPPORTED, "elements of type complex64");
}
END_TEST

START_TEST(huge_inputs_are_errors)
{
	begin(13, "1099511627776,2");
	node(&m, "Relu", "x", "y");
	expect_error(&m, E_SIZE, "dimension 0 of input 'x' is 1099511627776");
	model_end(&m);

	begin(13, "2147483647,2147483647");
	node(&m, "Relu", "x", "y");
	expect_error(&m, E_SIZE, "larger than 2 GiB");
	model_end(&m);

	begin(13, "1,1,1,1,1,1,1,1,1");
	node(&m, "Relu", "x", "y");
	expect_error(&m, E_SIZE, "9 dimensions; at most 8");
}
END_TEST

START_TEST(initializers_that_are_inputs_are_constants)
{
	begin(7, "3");
	input(&m, "w", FLOAT, "3");
	floats(&m, "w", "3", "1,2,3");
	node(&m, "Mul", "x,w", "y");
	ck_assert_int_eq(read_model(&m)->inputs.n, 1);
}
END_TEST

START_TEST(a_stated_result_of_another_shape_is_a_warning)
{
	model_begin(&m, 13);
	input(&m, "x", FLOAT, "3");
	output(&m, "y", FLOAT, "4");
	node(&m, "Relu", "x", "y");
	ck_assert_ptr_nonnull(read_model(&m));
	ck_assert_int_eq(m.diag.first->code, W_MODEL);
	model_end(&m);

	model_begin(&m, 13);
	input(&m, "x", FLOAT, "3");
	output(&m, "y", INT64, "3");
	node(&m, "Relu", "x", "y");
	expect_error(&m, E_TYPE, "the model says type int64 but the result has type f32");
}
END_TEST

/* ---- Names ---- */

START_TEST(values_and_layers_keep_the_names_of_the_file)
{
	Graph *g;

	begin(13, "3");
	output(&m, "also", FLOAT, NULL);
	node(&m, "Relu", "x", "hidden/0");
	node(&m, "Neg", "hidden/0", "y")->name = text(&m, "last layer");
	node(&m, "Identity", "x", "also");
	g = read_model(&m);
	ck_assert_ptr_nonnull(graph_find(g, "hidden/0"));
	ck_assert_str_eq(g->first->name, "hidden/0");
	ck_assert_str_eq(g->last->name, "last layer");
	ck_assert_str_eq(g->last->loc.where, "node 1 'last layer' (Neg)");
	ck_assert_str_eq(g->output_names.v[1], "also");
	ck_assert_ptr_eq(g->outputs.v[1], g->inputs.v[0]);
}
END_TEST

START_TEST(unknown_names_are_pointed_at)
{
	begin(13, "3");
	node(&m, "Add", "x,nowhere", "y");
	expect_error(&m, E_NAME, "there is no value 'nowhere'");
	ck_assert_int_eq(m.diag.first->caret, 11);
	ck_assert_int_eq(m.diag.first->length, 7);
}
END_TEST

START_TEST(cycles_are_errors)
{
	begin(13, "3");
	node(&m, "Add", "x,b", "a");
	node(&m, "Relu", "a", "b");
	node(&m, "Neg", "b", "y");
	expect_error(&m, E_CYCLE, "'b' is used before node 1 defines it");
	ck_assert_int_eq(m.diag.errors, 1);
	model_end(&m);

	begin(13, "3");
	node(&m, "Add", "x,y", "y");
	expect_error(&m, E_CYCLE, "'y' depends on itself");
}
END_TEST

START_TEST(names_are_defined_once)
{
	begin(13, "3");
	node(&m, "Relu", "x", "y");
	node(&m, "Neg", "x", "y");
	expect_error(&m, E_NAME, "the name 'y' is defined twice");
}
END_TEST

START_TEST(outputs_must_exist)
{
	begin(13, "3");
	node(&m, "Relu", "x", "z");
	expect_error(&m, E_NAME, "there is no value 'y'");
	model_end(&m);

	model_begin(&m, 13);
	expect_error(&m, E_MALFORMED, "the graph has no outputs");
}
END_TEST

/* ---- What is not supported ---- */

START_TEST(every_node_that_is_not_supported_is_reported)
{
	const Message *last;

	begin(13, "3");
	node(&m, "Frob", "x", "a")->name = text(&m, "first");
	node(&m, "Relu", "a", "b"); /* depends on it: silent */
	node(&m, "Frob", "b", "c");
	node(&m, "Nicate", "x", "d")->domain = text(&m, "my.domain");
	node(&m, "Add", "c,d", "y");
	expect_error(&m, E_OP, "operator 'Frob' of domain 'ai.onnx' is not supported (opset 13)");
	ck_assert_str_eq(m.diag.first->loc.where, "node 0 'first' (Frob)");
	ck_assert_int_eq(m.diag.errors, 3);
	last = m.diag.last;
	ck_assert_int_eq(last->kind, DIAG_NOTE);
	ck_assert_str_eq(last->text, "3 nodes use operators that are not supported: Frob (2), "
	                             "my.domain.Nicate (1)");
}
END_TEST

START_TEST(many_errors_are_counted_to_the_end)
{
	int shown = 0;

	begin(13, "3");
	for (int i = 0; i < 100; i++)
		node(&m, "Frob", "x", arena_printf(m.arena, "a%d", i));
	node(&m, "Relu", "x", "y");
	ck_assert_ptr_null(read_model(&m));
	for (const Message *k = m.diag.first; k; k = k->next)
		shown += k->kind == DIAG_ERROR;
	ck_assert_int_eq(shown, DIAG_MAX_ERRORS);
	ck_assert_int_eq(m.diag.errors, 100);
	ck_assert_str_eq(m.diag.last->text,
	                 "100 nodes use operators that are not supported: Frob (100)");
}
END_TEST

START_TEST(operators_of_a_later_opset_are_not_known_earlier)
{
	begin(13, "3");
	node(&m, "Mish", "x", "y");
	expect_error(&m, E_OP, "not supported in this version (opset 13)");
}
END_TEST

START_TEST(opsets_are_imported)
{
	begin(0, "3");
	node(&m, "Relu", "x", "y");
	expect_error(&m, E_MALFORMED, "does not say which opset 'Relu' is from");
	model_end(&m);

	begin(99, "3");
	node(&m, "Relu", "x", "y");
	ck_assert_ptr_nonnull(read_model(&m));
	ck_assert_int_eq(m.diag.first->code, W_MODEL);
}
END_TEST

/* ---- If ---- */

static Graph_ *
branch(const char *op, const char *dims)
{
	Graph_ *outside = m.graph, *g = m.graph = new_graph(&m);

	node(&m, op, "x", "o");
	output(&m, "o", FLOAT, dims);
	m.graph = outside;
	return g;
}

static void
add_if(const char *condition, const char *yes, const char *no)
{
	Node_ *n = node(&m, "If", condition, "y");

	set_graph(&m, n, "then_branch", branch(yes, "2,3"));
	set_graph(&m, n, "else_branch", branch(no, "2,3"));
}

START_TEST(a_given_value_decides_the_branch)
{
	static const double yes[] = {1};
	static const InputValue values[] = {{"c", 1, yes}};

	begin(13, "2,3");
	input(&m, "c", BOOL, "");
	m.options.values = values;
	m.options.nvalues = 1;
	add_if("c", "Relu", "Frob");
	expect_body(&m, "y = relu(%x)\n");
}
END_TEST

START_TEST(the_branch_of_a_constant_condition_is_inlined)
{
	begin(13, "2,3");
	smalls(&m, "c", BOOL, "", _i ? "1" : "0");
	add_if("c", _i ? "Relu" : "Frob", _i ? "Frob" : "Neg");
	expect_body(&m, _i ? "y = relu(%x)\n" : "y = neg(%x)\n");
}
END_TEST

START_TEST(both_branches_of_a_computed_condition_are_computed)
{
	begin(13, "2,3");
	input(&m, "c", BOOL, "1");
	add_if("c", "Relu", "Neg");
	expect_body(&m, "2 = reshape(%c)\n"
	                "y/then/o = relu(%x)\n"
	                "y/else/o = neg(%x)\n"
	                "y = where(%2, %y/then/o, %y/else/o)\n");
}
END_TEST

START_TEST(branches_of_different_types_need_a_constant_condition)
{
	begin(13, "2,3");
	input(&m, "c", BOOL, "");
	add_if("c", "Relu", "Transpose");
	expect_error(&m, E_DYNAMIC, "the branches give f32[2,3] and f32[3,2]");
}
END_TEST

/* ---- Loop and Scan ---- */

/* s += x, with the condition `again` and s as a result of each trip. */
static Graph_ *
loop_body(bool collect, const char *again)
{
	Graph_ *outside = m.graph, *g = m.graph = new_graph(&m);

	input(&m, "i", INT64, "");
	input(&m, "c", BOOL, "");
	input(&m, "s", FLOAT, "3");
	node(&m, "Add", "s,x", "t");
	if (strcmp(again, "small") == 0) {
		node(&m, "ReduceMax", "t", "top");
		set_int(&m, m.graph->node[1], "keepdims", 0);
		node(&m, "Less", "top,limit", "small");
	}
	if (collect)
		node(&m, "Identity", "t", "o");
	output(&m, again, BOOL, "");
	output(&m, "t", FLOAT, "3");
	if (collect)
		output(&m, "o", FLOAT, "3");
	m.graph = outside;
	return g;
}

START_TEST(a_loop_is_unrolled)
{
	begin(13, "3");
	output(&m, "z", FLOAT, NULL);
	int64s(&m, "trips", "", "2");
	set_graph(&m, node(&m, "Loop", "trips,,x", "y,z"), "body", loop_body(true, "c"));
	expect_body(&m, "y/body/0/t = add(%x, %x)\n"
	                "y = add(%y/body/0/t, %x)\n"
	                "8 = reshape(%y/body/0/t) {shape=[1,3]}\n"
	                "9 = reshape(%y) {shape=[1,3]}\n"
	                "z = concat(%8, %9)\n");
}
END_TEST

START_TEST(a_loop_without_trips_passes_its_values_on)
{
	begin(13, "3");
	int64s(&m, "trips", "", "0");
	set_graph(&m, node(&m, "Loop", "trips,,x", "a"), "body", loop_body(false, "c"));
	node(&m, "Neg", "a", "y");
	expect_body(&m, "y = neg(%x)\n");
}
END_TEST

START_TEST(a_condition_that_is_known_ends_a_loop)
{
	model_begin(&m, 13);
	output(&m, "y", FLOAT, NULL);
	floats(&m, "x", "3", "1,2,3");
	floats(&m, "limit", "", "10");
	set_graph(&m, node(&m, "Loop", ",,x", "y"), "body", loop_body(false, "small"));
	/* 3, 6, 9, 12: all folded */
	ck_assert_double_eq(value_float(expect_body(&m, "")->outputs.v[0], 2), 12);
}
END_TEST

START_TEST(a_condition_that_is_computed_keeps_the_old_values)
{
	Graph *g;
	int where = 0;

	begin(13, "3");
	floats(&m, "limit", "", "10");
	int64s(&m, "trips", "", "3");
	set_graph(&m, node(&m, "Loop", "trips,,x", "y"), "body", loop_body(false, "small"));
	g = read_model(&m);
	ck_assert_ptr_nonnull(g);
	for (const Node *n = g->first; n; n = n->next)
		where += n->op == OP_WHERE;
	ck_assert_int_eq(where, 2);
}
END_TEST

START_TEST(loops_without_end_are_errors)
{
	begin(13, "3");
	set_graph(&m, node(&m, "Loop", ",,x", "y"), "body", loop_body(false, "c"));
	expect_error(&m, E_SIZE, "does not end within 1000 trips");
	model_end(&m);

	begin(13, "3");
	int64s(&m, "trips", "", "100000000");
	set_graph(&m, node(&m, "Loop", "trips,,x", "y"), "body", loop_body(false, "c"));
	expect_error(&m, E_SIZE, "100000000 trips; at most 1000");
	model_end(&m);

	begin(13, "3");
	input(&m, "trips", INT64, "");
	set_graph(&m, node(&m, "Loop", "trips,,x", "y"), "body", loop_body(false, "c"));
	expect_error(&m, E_DYNAMIC, "'trips' must be known");
}
END_TEST

START_TEST(a_scan_is_unrolled_backwards)
{
	Graph_ *outside, *g;
	Node_ *n;

	begin(13, "2,3");
	output(&m, "z", FLOAT, NULL);
	floats(&m, "zero", "3", "0,0,0");
	outside = m.graph;
	g = m.graph = new_graph(&m);
	input(&m, "s", FLOAT, "3");
	input(&m, "v", FLOAT, "3");
	node(&m, "Add", "s,v", "t");
	node(&m, "Neg", "v", "o");
	output(&m, "t", FLOAT, "3");
	output(&m, "o", FLOAT, "3");
	m.graph = outside;
	n = node(&m, "Scan", "zero,x", "y,z");
	set_graph(&m, n, "body", g);
	set_int(&m, n, "num_scan_inputs", 1);
	set_ints(&m, n, "scan_input_directions", "1");
	set_ints(&m, n, "scan_output_axes", "-1");
	expect_body(&m, "2 = slice(%x) {starts=[1,0], sizes=[1,3], steps=[1,1]}\n"
	                "3 = reshape(%2) {shape=[3]}\n"
	                "y/body/0/t = add(%zero, %3)\n"
	                "y/body/0/o = neg(%3)\n"
	                "6 = slice(%x) {starts=[0,0], sizes=[1,3], steps=[1,1]}\n"
	                "7 = reshape(%6) {shape=[3]}\n"
	                "y = add(%y/body/0/t, %7)\n"
	                "y/body/1/o = neg(%7)\n"
	                "10 = reshape(%y/body/0/o) {shape=[3,1]}\n"
	                "11 = reshape(%y/body/1/o) {shape=[3,1]}\n"
	                "z = concat(%10, %11) {axis=1}\n");
}
END_TEST

/* ---- Sequences ---- */

START_TEST(sequences_are_resolved)
{
	begin(13, "2,3");
	output(&m, "n", INT64, NULL);
	int64s(&m, "last", "", "-1");
	set_int(&m, node(&m, "SplitToSequence", "x", "s"), "axis", 1);
	set_int(&m, m.graph->node[0], "keepdims", 0);
	node(&m, "SequenceErase", "s", "t");
	node(&m, "SequenceAt", "s,last", "a");
	node(&m, "SequenceInsert", "t,a,last", "u");
	node(&m, "SequenceLength", "u", "n");
	set_int(&m, node(&m, "ConcatFromSequence", "u", "y"), "axis", 0);
	expect_body(&m, "2 = slice(%x) {starts=[0,0], sizes=[2,1], steps=[1,1]}\n"
	                "3 = reshape(%2) {shape=[2]}\n"
	                "4 = slice(%x) {starts=[0,1], sizes=[2,1], steps=[1,1]}\n"
	                "5 = reshape(%4) {shape=[2]}\n"
	                "6 = slice(%x) {starts=[0,2], sizes=[2,1], steps=[1,1]}\n"
	                "7 = reshape(%6) {shape=[2]}\n"
	                "y = concat(%3, %7, %5)\n");
}
END_TEST

START_TEST(sequences_are_no_tensors)
{
	begin(13, "2,3");
	node(&m, "SequenceConstruct", "x,x", "s");
	node(&m, "Relu", "s", "y");
	expect_error(&m, E_UNSUPPORTED, "'s' is a sequence, which 'Relu' cannot take");
	model_end(&m);

	begin(13, "2,3");
	node(&m, "SequenceConstruct", "x,x", "y");
	expect_error(&m, E_UNSUPPORTED, "output 'y' is a sequence");
	model_end(&m);

	begin(13, "2,3");
	int64s(&m, "i", "", "2");
	node(&m, "SequenceConstruct", "x,x", "s");
	node(&m, "SequenceAt", "s,i", "y");
	expect_error(&m, E_VALUE, "no such position");
}
END_TEST

/* ---- Functions ---- */

static Onnx__FunctionProto *
function(const char *name, const char *ins, const char *outs)
{
	Onnx__FunctionProto *f = ARENA_NEW(m.arena, Onnx__FunctionProto);

	onnx__function_proto__init(f);
	f->name = text(&m, name);
	f->domain = text(&m, "my");
	for (char *part; (part = next_part(&m, &ins)) != NULL;)
		ADD(&m, f->input, f->n_input, part);
	for (char *part; (part = next_part(&m, &outs)) != NULL;)
		ADD(&m, f->output, f->n_output, part);
	ADD(&m, m.model.functions, m.model.n_functions, f);
	return f;
}

static Node_ *
body_node(Onnx__FunctionProto *f, Node_ *n)
{
	ADD(&m, f->node, f->n_node, n);
	return n;
}

START_TEST(functions_are_expanded_with_their_attributes)
{
	Onnx__FunctionProto *f;
	Node_ *n;

	begin(16, "4");
	f = function("F", "a,b", "c");
	ADD(&m, f->attribute, f->n_attribute, text(&m, "slope"));
	n = body_node(f, new_node(&m, "LeakyRelu", "a", "t"));
	attribute(&m, n, "alpha", 1)->ref_attr_name = text(&m, "slope");
	body_node(f, new_node(&m, "Clip", "t,,b", "c")); /* b is absent in the second call */
	floats(&m, "six", "", "6");
	n = node(&m, "F", "x,six", "h");
	n->domain = text(&m, "my");
	set_float(&m, n, "slope", 0.25f);
	node(&m, "F", "h", "y")->domain = text(&m, "my");
	/* Without the attribute LeakyRelu's own default holds. */
	expect_body(&m, "h/F/t = leaky_relu(%x) {alpha=0.25}\n"
	                "h = clamp(%h/F/t) {hi=6.0}\n"
	                "y = leaky_relu(%h)\n");
}
END_TEST

/* Defaults are in a field that came after Debian's onnx.proto. */
START_TEST(functions_have_default_attributes)
{
	Onnx__FunctionProto *f;
	Onnx__AttributeProto *standard;
	ProtobufCMessageUnknownField *u;
	Node_ *n;

	begin(18, "4");
	f = function("F", "a", "c");
	n = body_node(f, new_node(&m, "LeakyRelu", "a", "c"));
	attribute(&m, n, "alpha", 1)->ref_attr_name = text(&m, "slope");
	standard = set_float(&m, NULL, "slope", 0.5f);
	u = ARENA_NEW(m.arena, ProtobufCMessageUnknownField);
	u->tag = 11;
	u->wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
	u->data = arena_alloc(m.arena, 100);
	u->data[0] = (uint8_t)onnx__attribute_proto__pack(standard, u->data + 1);
	u->len = u->data[0] + 1u;
	f->base.n_unknown_fields = 1;
	f->base.unknown_fields = u;
	node(&m, "F", "x", "h")->domain = text(&m, "my");
	n = node(&m, "F", "h", "y");
	n->domain = text(&m, "my");
	set_float(&m, n, "slope", 0.25f);
	expect_body(&m, "h = leaky_relu(%x) {alpha=0.5}\n"
	                "y = leaky_relu(%h) {alpha=0.25}\n");
}
END_TEST

START_TEST(functions_may_not_call_themselves)
{
	Onnx__FunctionProto *f;

	begin(16, "4");
	f = function("F", "a", "c");
	body_node(f, new_node(&m, "F", "a", "t"))->domain = text(&m, "my");
	body_node(f, new_node(&m, "F", "t", "c"))->domain = text(&m, "my");
	node(&m, "F", "x", "y")->domain = text(&m, "my");
	expect_error(&m, E_CYCLE, "nested more than 40 deep");
	/* Of the place only the end is shown, from a node on. */
	if (strncmp(m.diag.first->loc.where, "... node ", 9) != 0)
		ck_abort_msg("%s", m.diag.first->loc.where);
}
END_TEST

START_TEST(functions_that_call_each_other_twice_do_not_explode)
{
	begin(16, "4");
	for (int i = 0; i < 30; i++) {
		Onnx__FunctionProto *f =
			function(arena_printf(m.arena, "F%d", i), "a", "c");
		const char *callee = i ? arena_printf(m.arena, "F%d", i - 1) : "Neg";

		body_node(f, new_node(&m, callee, "a", "t"))->domain = text(&m, i ? "my" : "");
		body_node(f, new_node(&m, callee, "t", "c"))->domain = text(&m, i ? "my" : "");
	}
	node(&m, "F29", "x", "y")->domain = text(&m, "my");
	expect_error(&m, E_SIZE, "more than 250000 nodes");
}
END_TEST

START_TEST(errors_in_functions_say_where_they_were_called)
{
	Onnx__FunctionProto *f;

	begin(16, "4");
	f = function("F", "a", "c");
	body_node(f, new_node(&m, "Frob", "a", "c"));
	node(&m, "F", "x", "y")->domain = text(&m, "my");
	expect_error(&m, E_OP, "operator 'Frob'");
	ck_assert_str_eq(m.diag.first->loc.where, "node 0 (F), node 0 (Frob)");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("onnx_graph");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_named_dimension_is_reported_once);
	tcase_add_test(t, every_unnamed_dimension_is_reported);
	tcase_add_test(t, dimensions_are_given_by_name);
	tcase_add_test(t, a_shape_by_option_tells_names_elsewhere);
	tcase_add_loop_test(t, a_shape_by_option_must_fit, 0,
	                    (int)(sizeof bad_shapes / sizeof bad_shapes[0]));
	tcase_add_test(t, an_input_can_be_given_a_value);
	tcase_add_loop_test(t, a_given_value_must_fit, 0,
	                    sizeof bad_values / sizeof *bad_values);
	tcase_add_test(t, a_given_value_decides_the_branch);
	tcase_add_test(t, inputs_without_shape_or_tensor_are_errors);
	tcase_add_test(t, huge_inputs_are_errors);
	tcase_add_test(t, initializers_that_are_inputs_are_constants);
	tcase_add_test(t, a_stated_result_of_another_shape_is_a_warning);
	tcase_add_test(t, values_and_layers_keep_the_names_of_the_file);
	tcase_add_test(t, unknown_names_are_pointed_at);
	tcase_add_test(t, cycles_are_errors);
	tcase_add_test(t, names_are_defined_once);
	tcase_add_test(t, outputs_must_exist);
	tcase_add_test(t, every_node_that_is_not_supported_is_reported);
	tcase_add_test(t, many_errors_are_counted_to_the_end);
	tcase_add_test(t, operators_of_a_later_opset_are_not_known_earlier);
	tcase_add_test(t, opsets_are_imported);
	tcase_add_loop_test(t, the_branch_of_a_constant_condition_is_inlined, 0, 2);
	tcase_add_test(t, both_branches_of_a_computed_condition_are_computed);
	tcase_add_test(t, branches_of_different_types_need_a_constant_condition);
	tcase_add_test(t, a_loop_is_unrolled);
	tcase_add_test(t, a_loop_without_trips_passes_its_values_on);
	tcase_add_test(t, a_condition_that_is_known_ends_a_loop);
	tcase_add_test(t, a_condition_that_is_computed_keeps_the_old_values);
	tcase_add_test(t, loops_without_end_are_errors);
	tcase_add_test(t, a_scan_is_unrolled_backwards);
	tcase_add_test(t, functions_are_expanded_with_their_attributes);
	tcase_add_test(t, functions_have_default_attributes);
	tcase_add_test(t, sequences_are_resolved);
	tcase_add_test(t, sequences_are_no_tensors);
	tcase_add_test(t, functions_may_not_call_themselves);
	tcase_add_test(t, functions_that_call_each_other_twice_do_not_explode);
	tcase_add_test(t, errors_in_functions_say_where_they_were_called);
	suite_add_tcase(s, t);
	return unit_run(s);
}
