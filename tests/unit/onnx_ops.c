/* How operators of ONNX become nodes of the graph IR, by the rules of their opset. */
#include "tests/unit/onnx_model.h"
#include "tests/unit/unit.h"

static Model m;

static void
teardown(void)
{
	model_end(&m);
}

/* A model with one input and one output whose shape is not stated. */
static void
begin(int64_t version, const char *x)
{
	model_begin(&m, version);
	input(&m, "x", FLOAT, x);
	output(&m, "y", FLOAT, NULL);
}

/* ---- Elementwise ---- */

START_TEST(clip_takes_attributes_up_to_opset_10)
{
	Node_ *n;

	begin(10, "4");
	n = node(&m, "Clip", "x", "y");
	set_float(&m, n, "max", 6);
	expect_body(&m, "y = clamp(%x) {hi=6.0}\n");
}
END_TEST

START_TEST(clip_takes_inputs_from_opset_11)
{
	begin(11, "4");
	floats(&m, "lo", "", "0");
	floats(&m, "hi", "", "6");
	node(&m, "Clip", "x,lo,hi", "y");
	expect_body(&m, "y = clamp(%x) {lo=0.0, hi=6.0}\n");
}
END_TEST

START_TEST(clip_with_a_computed_bound_is_a_minimum)
{
	begin(13, "4");
	input(&m, "hi", FLOAT, "");
	node(&m, "Clip", "x,,hi", "y");
	expect_body(&m, "y = min(%x, %hi)\n");
}
END_TEST

START_TEST(opset_6_lines_operands_up_at_an_axis)
{
	Node_ *n;

	begin(6, "2,3,4");
	input(&m, "b", FLOAT, "3");
	n = node(&m, "Add", "x,b", "y");
	set_int(&m, n, "axis", 1);
	set_int(&m, n, "broadcast", 1);
	expect_body(&m, "2 = reshape(%b) {shape=[3,1]}\n"
	                "y = add(%x, %2)\n");
}
END_TEST

START_TEST(identity_and_dropout_leave_nothing_behind)
{
	begin(13, "4");
	node(&m, "Identity", "x", "a");
	node(&m, "Dropout", "a", "b");
	node(&m, "Relu", "b", "y");
	expect_body(&m, "y = relu(%x)\n");
}
END_TEST

START_TEST(variadic_operators_become_chains)
{
	begin(13, "4");
	input(&m, "a", FLOAT, "4");
	input(&m, "b", FLOAT, "1");
	node(&m, "Mean", "x,a,b", "y");
	expect_body(&m, "3 = add(%x, %a)\n"
	                "4 = add(%3, %b)\n"
	                "y = div(%4, %5)\n");
}
END_TEST

START_TEST(pow_takes_exponents_of_another_type)
{
	begin(13, "4");
	input(&m, "e", INT64, "");
	node(&m, "Pow", "x,e", "y");
	expect_body(&m, "2 = cast(%e)\n"
	                "y = pow(%x, %2)\n");
}
END_TEST

/* ---- Shapes ---- */

START_TEST(shape_arithmetic_folds_away)
{
	begin(13, "2,6");
	int64s(&m, "zero", "", "0");
	int64s(&m, "axis", "1", "0");
	int64s(&m, "rest", "1", "-1");
	node(&m, "Shape", "x", "s");
	node(&m, "Gather", "s,zero", "n");
	node(&m, "Add", "n,n", "d");
	node(&m, "Unsqueeze", "d,axis", "u");
	node(&m, "Concat", "u,rest", "c");
	set_int(&m, m.graph->node[4], "axis", 0);
	node(&m, "Reshape", "x,c", "y");
	expect_body(&m, "y = reshape(%x) {shape=[4,3]}\n");
}
END_TEST

START_TEST(reshape_copies_dimensions_for_zero)
{
	begin(13, "2,6");
	int64s(&m, "s", "3", "0,-1,2");
	node(&m, "Reshape", "x,s", "y");
	expect_body(&m, "y = reshape(%x) {shape=[2,3,2]}\n");
}
END_TEST

START_TEST(reshape_by_an_input_needs_a_stated_result)
{
	begin(13, "2,6");
	input(&m, "s", INT64, "2");
	node(&m, "Reshape", "x,s", "y");
	expect_error(&m, E_DYNAMIC, "'s' must be known when compiling");
	model_end(&m);

	model_begin(&m, 13);
	input(&m, "x", FLOAT, "2,6");
	input(&m, "s", INT64, "2");
	output(&m, "y", FLOAT, "3,4");
	node(&m, "Reshape", "x,s", "y");
	expect_body(&m, "y = reshape(%x) {shape=[3,4]}\n");
}
END_TEST

START_TEST(reshape_refuses_another_number_of_elements)
{
	begin(13, "2,6");
	int64s(&m, "s", "2", "5,-1");
	node(&m, "Reshape", "x,s", "y");
	expect_error(&m, E_SHAPE, "12 elements in rows of 5");
}
END_TEST

START_TEST(squeeze_and_unsqueeze_changed_in_opset_13)
{
	Node_ *n;

	begin(11, "1,3,1");
	n = node(&m, "Squeeze", "x", "a");
	set_ints(&m, n, "axes", "-1");
	n = node(&m, "Unsqueeze", "a", "y");
	set_ints(&m, n, "axes", "0,3");
	expect_body(&m, "a = reshape(%x) {shape=[1,3]}\n"
	                "y = reshape(%a) {shape=[1,1,3,1]}\n");
	model_end(&m);

	begin(13, "1,3,1");
	int64s(&m, "axes", "1", "-1");
	node(&m, "Squeeze", "x,axes", "y");
	expect_body(&m, "y = reshape(%x) {shape=[1,3]}\n");
}
END_TEST

START_TEST(split_becomes_slices)
{
	begin(13, "2,6");
	output(&m, "z", FLOAT, NULL);
	int64s(&m, "parts", "2", "2,4");
	set_int(&m, node(&m, "Split", "x,parts", "y,z"), "axis", 1);
	expect_body(&m, "y = slice(%x) {starts=[0,0], sizes=[2,2], steps=[1,1]}\n"
	                "z = slice(%x) {starts=[0,2], sizes=[2,4], steps=[1,1]}\n");
}
END_TEST

START_TEST(split_into_unequal_parts_is_new_in_opset_18)
{
	for (int version = 13; version <= 18; version += 5) {
		Node_ *n;

		begin(version, "5");
		output(&m, "z", FLOAT, NULL);
		n = node(&m, "Split", "x", "y,z");
		if (version == 13) {
			expect_error(&m, E_SHAPE, "5 elements cannot be split into 2 equal parts");
			model_end(&m);
			continue;
		}
		set_int(&m, n, "num_outputs", 2);
		expect_body(&m, "y = slice(%x) {starts=[0], sizes=[3], steps=[1]}\n"
		                "z = slice(%x) {starts=[3], sizes=[2], steps=[1]}\n");
	}
}
END_TEST

START_TEST(slices_are_clamped_to_the_tensor)
{
	begin(13, "4,6");
	int64s(&m, "starts", "2", "-1,2");
	int64s(&m, "ends", "2", "-9223372036854775808,9223372036854775807");
	int64s(&m, "axes", "2", "0,1");
	int64s(&m, "steps", "2", "-2,3");
	node(&m, "Slice", "x,starts,ends,axes,steps", "y");
	expect_body(&m, "y = slice(%x) {starts=[3,2], sizes=[2,2], steps=[-2,3]}\n");
}
END_TEST

START_TEST(a_slice_of_everything_is_nothing)
{
	begin(9, "4,6");
	set_ints(&m, node(&m, "Slice", "x", "a"), "starts", "0");
	set_ints(&m, m.graph->node[0], "ends", "100");
	node(&m, "Neg", "a", "y");
	expect_body(&m, "y = neg(%x)\n");
}
END_TEST

START_TEST(pads_of_some_axes_are_spread)
{
	begin(18, "2,3,4");
	int64s(&m, "pads", "2", "1,2");
	int64s(&m, "axes", "1", "-1");
	node(&m, "Pad", "x,pads,,axes", "y");
	expect_body(&m, "y = pad(%x) {pads=[0,0,1,0,0,2]}\n");
}
END_TEST

START_TEST(small_fills_are_constants_and_large_ones_are_computed)
{
	model_begin(&m, 13);
	input(&m, "x", FLOAT, "");
	output(&m, "y", FLOAT, NULL);
	output(&m, "z", FLOAT, NULL);
	int64s(&m, "small", "1", "3");
	int64s(&m, "large", "2", "1000,1000");
	node(&m, "ConstantOfShape", "small", "a");
	node(&m, "ConstantOfShape", "large", "b");
	node(&m, "Add", "x,a", "y");
	node(&m, "Add", "x,b", "z");
	expect_body(&m, "b = expand(%4) {shape=[1000,1000]}\n"
	                "y = add(%x, %a)\n"
	                "z = add(%x, %b)\n");
}
END_TEST

START_TEST(gather_checks_constant_indices)
{
	begin(13, "4,3");
	int64s(&m, "i", "2", "-4,4");
	node(&m, "Gather", "x,i", "y");
	expect_error(&m, E_VALUE, "index 4 is outside of an axis of 4 elements");
}
END_TEST

/* ---- Reductions ---- */

START_TEST(reductions_take_axes_as_their_opset_says)
{
	Node_ *n;

	begin(13, "2,3,4");
	n = node(&m, "ReduceMax", "x", "y");
	set_ints(&m, n, "axes", "-1,0");
	set_int(&m, n, "keepdims", 0);
	expect_body(&m, "y = reduce_max(%x) {axes=[0,2], keepdims=false}\n");
	model_end(&m);

	begin(18, "2,3,4");
	int64s(&m, "axes", "1", "1");
	node(&m, "ReduceMax", "x,axes", "y");
	expect_body(&m, "y = reduce_max(%x) {axes=[1]}\n");
	model_end(&m);

	begin(13, "2,3");
	node(&m, "ReduceSum", "x", "y");
	expect_body(&m, "y = reduce_sum(%x) {axes=[0,1]}\n");
	model_end(&m);

	begin(13, "2,3");
	set_int(&m, node(&m, "ReduceSum", "x", "a"), "noop_with_empty_axes", 1);
	node(&m, "Neg", "a", "y");
	expect_body(&m, "y = neg(%x)\n");
}
END_TEST

START_TEST(axes_of_a_reduction_are_checked)
{
	begin(13, "2,3");
	set_ints(&m, node(&m, "ReduceMean", "x", "y"), "axes", "1,-1");
	expect_error(&m, E_VALUE, "axis 1 is given twice");
	ck_assert_str_eq(m.diag.first->snippet, "y = ReduceMean(x) {axes=[1,-1]}");
	ck_assert_int_eq(m.diag.first->caret, 19);
	ck_assert_int_eq(m.diag.first->length, 11);
}
END_TEST

START_TEST(the_stated_shape_tells_axes_that_are_inputs)
{
	model_begin(&m, 13);
	input(&m, "x", FLOAT, "2,3,4");
	input(&m, "axes", INT64, "1");
	output(&m, "y", FLOAT, "2,1,4");
	node(&m, "ReduceSum", "x,axes", "y");
	expect_body(&m, "y = reduce_sum(%x) {axes=[1]}\n");
}
END_TEST

START_TEST(softmax_before_opset_13_takes_axes_together)
{
	begin(11, "2,3,4");
	node(&m, "Softmax", "x", "y");
	expect_body(&m, "1 = reshape(%x) {shape=[2,12]}\n"
	                "2 = softmax(%1) {axis=1}\n"
	                "y = reshape(%2) {shape=[2,3,4]}\n");
	model_end(&m);

	begin(13, "2,3,4");
	node(&m, "Softmax", "x", "y");
	expect_body(&m, "y = softmax(%x) {axis=2}\n");
}
END_TEST

/* ---- Convolution, pooling, normalisation ---- */

static const struct {
	const char *mode, *pads;
} auto_pads[] = {
	{"SAME_UPPER", "0,1,1,1"},
	{"SAME_LOWER", "1,1,0,1"},
	{"VALID", "0,0,0,0"},
	{"NOTSET", "0,0,0,0"},
};

START_TEST(auto_pad_becomes_pads)
{
	Node_ *n;
	char want[200];

	begin(13, "1,1,4,5");
	floats(&m, "w", "1,1,3,3", "1,1,1,1,1,1,1,1,1");
	n = node(&m, "Conv", "x,w", "y");
	set_str(&m, n, "auto_pad", auto_pads[_i].mode);
	set_ints(&m, n, "strides", "2,2");
	snprintf(want, sizeof want,
	         "y = conv(%%x, %%w) {strides=[2,2], pads=[%s], dilations=[1,1]}\n",
	         auto_pads[_i].pads);
	expect_body(&m, want);
}
END_TEST

START_TEST(a_zero_stride_is_pointed_at)
{
	Node_ *n;

	begin(13, "1,1,4,4");
	floats(&m, "w", "1,1,2,2", "1,1,1,1");
	n = node(&m, "Conv", "x,w", "y");
	n->name = text(&m, "conv1");
	set_int(&m, n, "group", 1);
	set_ints(&m, n, "strides", "0,1");
	expect_error(&m, E_VALUE, "attribute 'strides' has the element 0");
	ck_assert_str_eq(m.diag.first->loc.where, "node 0 'conv1' (Conv)");
	ck_assert_str_eq(m.diag.first->snippet, "y = Conv(x, w) {group=1, strides=[0,1]}");
	ck_assert_int_eq(m.diag.first->caret, 25);
	ck_assert_int_eq(m.diag.first->length, 13);
}
END_TEST

START_TEST(kernel_shape_must_be_that_of_the_weights)
{
	begin(13, "1,1,4,4");
	floats(&m, "w", "1,1,2,2", "1,1,1,1");
	set_ints(&m, node(&m, "Conv", "x,w", "y"), "kernel_shape", "2,3");
	expect_error(&m, E_SHAPE, "kernel_shape has 3 in axis 1, the weights 2");
}
END_TEST

START_TEST(output_shape_of_a_transposed_convolution_gives_its_pads)
{
	Node_ *n;

	begin(13, "1,1,3,3");
	floats(&m, "w", "1,1,3,3", "1,1,1,1,1,1,1,1,1");
	n = node(&m, "ConvTranspose", "x,w", "y");
	set_ints(&m, n, "strides", "3,2");
	set_ints(&m, n, "output_shape", "10,6");
	expect_body(&m, "y = conv_transpose(%x, %w) {strides=[3,2], pads=[0,1,0,0], "
	                "dilations=[1,1], output_padding=[1,0]}\n");
}
END_TEST

START_TEST(global_pools_are_reductions)
{
	begin(13, "1,2,4,4");
	node(&m, "GlobalAveragePool", "x", "y");
	expect_body(&m, "y = reduce_mean(%x) {axes=[2,3]}\n");
}
END_TEST

START_TEST(batch_norm_in_training_computes_its_statistics)
{
	begin(14, "2,3,4");
	output(&m, "mean", FLOAT, NULL);
	output(&m, "variance", FLOAT, NULL);
	for (int i = 0; i < 4; i++)
		input(&m, (const char *[]){"s", "b", "m", "v"}[i], FLOAT, "3");
	set_int(&m, node(&m, "BatchNormalization", "x,s,b,m,v", "y,mean,variance"),
	        "training_mode", 1);
	ck_assert_ptr_nonnull(read_model(&m));
	model_end(&m);

	begin(13, "2,3,4");
	output(&m, "mean", FLOAT, NULL);
	for (int i = 0; i < 4; i++)
		input(&m, (const char *[]){"s", "b", "m", "v"}[i], FLOAT, "3");
	node(&m, "BatchNormalization", "x,s,b,m,v", "y,mean");
	expect_error(&m, E_UNSUPPORTED, "output 1 exists only in training");
}
END_TEST

/* ---- Quantisation ---- */

START_TEST(dequantised_constants_stay_quantised)
{
	model_begin(&m, 13);
	input(&m, "x", FLOAT, "2");
	output(&m, "y", FLOAT, NULL);
	smalls(&m, "w", INT8, "2", "1,2");
	floats(&m, "s", "1", "0.5");
	node(&m, "DequantizeLinear", "w,s", "d");
	node(&m, "Mul", "x,d", "y");
	expect_body(&m, "d = dequantize(%w, %3)\n"
	                "y = mul(%x, %d)\n");
}
END_TEST

static void
begin_quantised_convolution(void)
{
	model_begin(&m, 13);
	input(&m, "x", UINT8, "1,1,3,3");
	output(&m, "y", UINT8, NULL);
	smalls(&m, "w", INT8, "1,1,2,2", "1,2,3,4");
	for (int i = 0; i < 3; i++)
		floats(&m, (const char *[]){"xs", "ws", "ys"}[i], "", "0.5");
	smalls(&m, "wz", INT8, "", "0");
	smalls(&m, "yz", UINT8, "", "7");
}

/* What the pass fuse-qdq recognises. */
START_TEST(quantised_convolution_is_one_of_real_numbers)
{
	begin_quantised_convolution();
	smalls(&m, "xz", UINT8, "", "3");
	node(&m, "QLinearConv", "x,xs,xz,w,ws,wz,ys,yz", "y");
	expect_body(&m, "8 = dequantize(%x, %xs, %xz)\n"
	                "9 = dequantize(%w, %ws, %wz)\n"
	                "10 = conv(%8, %9) {strides=[1,1], pads=[0,0,0,0], dilations=[1,1]}\n"
	                "y = quantize(%10, %ys, %yz) {axis=1}\n");
}
END_TEST

START_TEST(quantised_convolution_with_an_unknown_zero_counts_in_int32)
{
	begin_quantised_convolution();
	input(&m, "xz", UINT8, "");
	node(&m, "QLinearConv", "x,xs,xz,w,ws,wz,ys,yz", "y");
	expect_body(&m, "8 = cast(%xz) {to=i32}\n"
	                "9 = cast(%x) {to=i32}\n"
	                "10 = sub(%9, %8)\n"
	                "15 = conv(%10, %13) {strides=[1,1], pads=[0,0,0,0], dilations=[1,1]}\n"
	                "18 = dequantize(%15, %16) {axis=1}\n"
	                "y = quantize(%18, %ys, %yz) {axis=1}\n");
}
END_TEST

START_TEST(integer_convolution_is_one_of_codes)
{
	begin_quantised_convolution();
	smalls(&m, "xz", UINT8, "", "3");
	output(&m, "z", INT32, NULL);
	node(&m, "ConvInteger", "x,w,xz,wz", "z");
	node(&m, "Relu", "x", "y");
	expect_body(&m, "8 = codes(%x)\n"
	                "z = conv(%8, %9) {strides=[1,1], pads=[0,0,0,0], dilations=[1,1]}\n"
	                "y = relu(%x)\n");
}
END_TEST

/* ---- Attributes and arity ---- */

START_TEST(attributes_that_nobody_reads_are_errors)
{
	begin(13, "4");
	set_int(&m, node(&m, "Relu", "x", "y"), "slope", 3);
	expect_error(&m, E_ATTRIBUTE, "attribute 'slope' of 'Relu' is not supported (opset 13)");
}
END_TEST

START_TEST(attributes_have_types)
{
	begin(13, "4");
	set_int(&m, node(&m, "LeakyRelu", "x", "y"), "alpha", 3);
	expect_error(&m, E_ATTRIBUTE, "'alpha' of 'LeakyRelu' must be a float, not an int");
}
END_TEST

START_TEST(words_are_listed_when_one_is_wrong)
{
	begin(13, "1,4,1,1");
	set_int(&m, node(&m, "DepthToSpace", "x", "y"), "blocksize", 2);
	set_str(&m, m.graph->node[0], "mode", "XYZ");
	expect_error(&m, E_ATTRIBUTE, "cannot be 'XYZ'; it is one of: DCR, CRD");
}
END_TEST

START_TEST(operators_have_arities)
{
	begin(13, "4");
	node(&m, "Add", "x", "y");
	expect_error(&m, E_ARITY, "'Add' cannot have 1 inputs; it takes 2 to 2");
	model_end(&m);

	begin(13, "4");
	node(&m, "Add", ",x", "y");
	expect_error(&m, E_ARITY, "input 0 of 'Add' is missing");
}
END_TEST

/* hidden_size says again what the weights do. */
START_TEST(hidden_size_must_be_that_of_the_weights)
{
	static const char *const ops[] = {"LSTM", "GRU", "RNN"};
	static const int gates[] = {4, 3, 1};

	for (int size = 3; size <= 4; size++) {
		Node_ *n;

		begin(14, "5,1,2");
		input(&m, "w", FLOAT, arena_printf(m.arena, "1,%d,2", 3 * gates[_i]));
		input(&m, "r", FLOAT, arena_printf(m.arena, "1,%d,3", 3 * gates[_i]));
		n = node(&m, ops[_i], "x,w,r", "y");
		set_int(&m, n, "hidden_size", size);
		if (size == 4)
			expect_error(&m, E_SHAPE, "hidden_size is 4, but the recurrence weights "
			                          "are for 3");
		else
			ck_assert_ptr_nonnull(read_model(&m));
		model_end(&m);
	}
	model_begin(&m, 14);
}
END_TEST

START_TEST(rules_of_the_ir_show_the_node_of_the_file)
{
	begin(13, "4");
	input(&m, "b", FLOAT, "3");
	node(&m, "Add", "x,b", "y");
	expect_error(&m, E_SHAPE, "");
	ck_assert_str_eq(m.diag.first->snippet, "y = Add(x, b)");
	ck_assert_int_eq(m.diag.first->caret, 4);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("onnx_ops");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, clip_takes_attributes_up_to_opset_10);
	tcase_add_test(t, clip_takes_inputs_from_opset_11);
	tcase_add_test(t, clip_with_a_computed_bound_is_a_minimum);
	tcase_add_test(t, opset_6_lines_operands_up_at_an_axis);
	tcase_add_test(t, identity_and_dropout_leave_nothing_behind);
	tcase_add_test(t, variadic_operators_become_chains);
	tcase_add_test(t, pow_takes_exponents_of_another_type);
	tcase_add_test(t, shape_arithmetic_folds_away);
	tcase_add_test(t, reshape_copies_dimensions_for_zero);
	tcase_add_test(t, reshape_by_an_input_needs_a_stated_result);
	tcase_add_test(t, reshape_refuses_another_number_of_elements);
	tcase_add_test(t, squeeze_and_unsqueeze_changed_in_opset_13);
	tcase_add_test(t, split_becomes_slices);
	tcase_add_test(t, split_into_unequal_parts_is_new_in_opset_18);
	tcase_add_test(t, slices_are_clamped_to_the_tensor);
	tcase_add_test(t, a_slice_of_everything_is_nothing);
	tcase_add_test(t, pads_of_some_axes_are_spread);
	tcase_add_test(t, small_fills_are_constants_and_large_ones_are_computed);
	tcase_add_test(t, gather_checks_constant_indices);
	tcase_add_test(t, reductions_take_axes_as_their_opset_says);
	tcase_add_test(t, axes_of_a_reduction_are_checked);
	tcase_add_test(t, the_stated_shape_tells_axes_that_are_inputs);
	tcase_add_test(t, softmax_before_opset_13_takes_axes_together);
	tcase_add_loop_test(t, auto_pad_becomes_pads, 0,
	                    (int)(sizeof auto_pads / sizeof auto_pads[0]));
	tcase_add_test(t, a_zero_stride_is_pointed_at);
	tcase_add_test(t, kernel_shape_must_be_that_of_the_weights);
	tcase_add_test(t, output_shape_of_a_transposed_convolution_gives_its_pads);
	tcase_add_test(t, global_pools_are_reductions);
	tcase_add_test(t, batch_norm_in_training_computes_its_statistics);
	tcase_add_test(t, dequantised_constants_stay_quantised);
	tcase_add_test(t, quantised_convolution_is_one_of_real_numbers);
	tcase_add_test(t, quantised_convolution_with_an_unknown_zero_counts_in_int32);
	tcase_add_test(t, integer_convolution_is_one_of_codes);
	tcase_add_test(t, attributes_that_nobody_reads_are_errors);
	tcase_add_test(t, attributes_have_types);
	tcase_add_test(t, words_are_listed_when_one_is_wrong);
	tcase_add_test(t, operators_have_arities);
	tcase_add_loop_test(t, hidden_size_must_be_that_of_the_weights, 0, 3);
	tcase_add_test(t, rules_of_the_ir_show_the_node_of_the_file);
	suite_add_tcase(s, t);
	return unit_run(s);
}
