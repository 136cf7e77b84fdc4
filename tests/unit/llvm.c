/*
 * The LLVM backend: what it emits, and that layers compute in memory what the
 * interpreter does.  Random kernels over all operations are in cprint.c.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/llvm/llvm.h"
#include "ir/num.h"
#include "ir/target.h"
#include "tests/unit/unit_arena.h"

static uint32_t seed;

static int
random_below(int n)
{
	seed = seed * 1664525u + 1013904223u;
	return (int)(((uint64_t)(seed >> 4) * (uint32_t)n) >> 28);
}

static Program *
program_of(const char *text)
{
	Graph *g = graph_parse(arena, "t", text, strlen(text), &diag);
	Program *p = NULL;

	if (g && graph_verify(g, &diag))
		p = program_build(arena, g, &(ProgramOptions){0}, &diag);
	if (!p)
		ck_abort_msg("%s\n%s", diag.first ? diag.first->text : "no program", text);
	return p;
}

/* ---- Text ---- */

static const char *
emit(const Program *p, LlvmOptions o, LlvmOutput kind)
{
	Str s;

	o.prefix = "m";
	o.model_name = "m.onnx";
	o.producer = "test";
	if (!o.target.triple)
		o.target = (LlvmTarget){"thumbv7em-none-eabihf", "cortex-m4", "", "", "",
		                        RELOC_STATIC, "", 0};
	str_init(&s, arena);
	if (!llvm_emit(p, &o, kind, &s, &diag))
		ck_abort_msg("%s", diag.first->text);
	return s.s;
}

static void
expect_part(const char *text, const char *part)
{
	if (!strstr(text, part))
		ck_abort_msg("expected '%s' in\n%.3000s", part, text);
}

static const char dense[] = "graph @g(%x: f32[1,4]) {\n"
			    "  %w: f32[4,8] = const [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0,"
			    " 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 1.0, 2.0, 3.0, 4.0, 5.0,"
			    " 6.0, 7.0, 8.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]\n"
			    "  %h: f32[1,8] = matmul(%x, %w) as \"dense\"\n"
			    "  %t: f32[8,1] = transpose(%h) {perm=[1,0]}\n"
			    "  %y: f32[8,1] = exp(%t) as \"last\"\n"
			    "  return %y\n"
			    "}\n";

START_TEST(names_sections_and_attributes_are_those_of_firmware)
{
	const char *ir = emit(program_of(dense), (LlvmOptions){.opt_level = 0}, LLVM_IR);

	expect_part(ir, "@m_w = internal externally_initialized constant [128 x i8]");
	expect_part(ir, "section \".rodata.m_w\", align 4");
	expect_part(ir, "define internal void @m_dense(");
	expect_part(ir, "section \".text.m_dense\"");
	expect_part(ir, "define i32 @m_run(ptr %0, ptr %1, ptr %2)");
	expect_part(ir, "\"no-builtins\"");
	expect_part(ir, "noinline");
	ck_assert_ptr_null(strstr(ir, " fast "));
	ck_assert_ptr_null(strstr(ir, "fmuladd"));
}
END_TEST

START_TEST(debug_lines_are_numbers_of_nodes)
{
	const char *ir =
		emit(program_of(dense), (LlvmOptions){.opt_level = 0, .debug = true}, LLVM_IR);

	/* Of a text format they are the file's lines. */
	expect_part(ir, "!DIFile(filename: \"m.onnx\"");
	expect_part(ir, "!DISubprogram(name: \"dense\", scope:");
	expect_part(ir, "!DISubprogram(name: \"last\", scope:");
	expect_part(ir, "line: 5");
}
END_TEST

static int
count_parts(const char *text, const char *part)
{
	int n = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return n;
}

/* LLVM would unroll it whole, for which it takes seconds where there are many. */
START_TEST(loops_that_move_data_stay_short)
{
	const Program *p = program_of("graph @g(%x: f32[66]) {\n"
	                              "  return %x\n"
	                              "}\n");
	const char *ir = emit(p, (LlvmOptions){.opt_level = 2}, LLVM_IR);

	ck_assert_int_ge(count_parts(ir, "store float"), 2);
	ck_assert_int_le(count_parts(ir, "store float"), 6);
}
END_TEST

START_TEST(small_machines_have_a_small_int)
{
	LlvmOptions o = {.target = {"avr-unknown-unknown", "atmega328p", "", "", "", RELOC_STATIC,
	                            "", 0}};

	expect_part(emit(program_of(dense), o, LLVM_IR), "define i16 @m_run(");
}
END_TEST

START_TEST(states_are_members_of_a_struct)
{
	const Program *p = program_of("graph @g(%x: f32[2], %a: i8[3], %b: f32[2]) {\n"
	                              "  %y = add(%x, %b)\n"
	                              "  %c = neg(%a)\n"
	                              "  %five: i8[3] = const [5, 5, 5]\n"
	                              "  %start: f32[2] = const [1.0, 2.0]\n"
	                              "  return %y, %c, %x\n"
	                              "  states %five, %start\n"
	                              "}\n");
	const char *ir = emit(p, (LlvmOptions){.opt_level = 0}, LLVM_IR);

	expect_part(ir, "define i32 @m_run(ptr %0, ptr %1, ptr %2, ptr %3)");
	expect_part(ir, "{ [3 x i8], [2 x float] }, ptr %2, i32 0, i32 1");
	expect_part(ir, "define void @m_reset(ptr %0)");
	/* What is the same everywhere takes one element. */
	expect_part(ir, "@m_reset_initial0 = internal constant [1 x i8]");
	expect_part(ir, "@m_reset_initial1 = internal externally_initialized constant [8 x i8]");
}
END_TEST

START_TEST(an_impossible_target_is_an_error)
{
	LlvmOptions o = {.target = {"pdp11-dec-unix", "", "", "", "", RELOC_STATIC, "", 0},
	                 .prefix = "m", .model_name = "m", .producer = "m"};
	Str s;

	str_init(&s, arena);
	ck_assert(!llvm_emit(program_of(dense), &o, LLVM_OBJECT, &s, &diag));
	ck_assert_int_eq(diag.first->code, E_TARGET);
}
END_TEST

/* ---- Layers in memory against the interpreter ---- */

static void
fill(const Type *t, void *data)
{
	for (int32_t i = 0; i < type_numel(t); i++)
		num_store(t->dtype, data, (size_t)i, (double)(random_below(2001) - 1000) / 64);
}

/* Runs both on random inputs; all bytes must be the same. */
static void
check_program(const char *text)
{
	const Program *p = program_of(text);
	const Graph *g = p->graph;
	const void **in = ARENA_ARRAY(arena, const void *, g->inputs.n);
	void **out = ARENA_ARRAY(arena, void *, g->outputs.n);
	void **expected = ARENA_ARRAY(arena, void *, g->outputs.n);
	LlvmJit *jit = llvm_jit(arena, p, 2, &diag);
	void *memory = arena_alloc(arena, p->arena_size + 64);

	if (!jit)
		ck_abort_msg("%s", diag.first->text);
	for (int i = 0; i < g->inputs.n; i++) {
		void *data = arena_alloc(arena, type_bytes(&g->inputs.v[i]->type));

		fill(&g->inputs.v[i]->type, data);
		in[i] = data;
	}
	for (int i = 0; i < g->outputs.n; i++) {
		out[i] = arena_alloc(arena, type_bytes(&g->outputs.v[i]->type));
		expected[i] = arena_alloc(arena, type_bytes(&g->outputs.v[i]->type));
	}
	program_run(p, in, expected);
	llvm_jit_run(jit, in, out, memory);
	for (int i = 0; i < g->outputs.n; i++)
		if (memcmp(out[i], expected[i], type_bytes(&g->outputs.v[i]->type)) != 0)
			ck_abort_msg("output %d differs of\n%s", i, text);
}

/* Convolutions whose rows are of all lengths and at all distances from the border. */
START_TEST(random_convolutions_give_the_same_bytes)
{
	seed = (uint32_t)_i + 1;
	for (int n = 0; n < 6; n++) {
		int channels = 1 + random_below(3), outs = 1 + random_below(3);
		int k[2] = {1 + random_below(4), 1 + random_below(4)};
		int stride[2] = {1 + random_below(2), 1 + random_below(3)};
		int dilation[2] = {1, 1 + random_below(2)};
		int begin[2] = {random_below(3), random_below(4)}, end[2] = {random_below(3),
		                                                             random_below(4)};
		int size[2], out[2];

		for (int a = 0; a < 2; a++) {
			size[a] = (k[a] - 1) * dilation[a] + 1 + random_below(a ? 40 : 6);
			out[a] = (size[a] + begin[a] + end[a] - (k[a] - 1) * dilation[a] - 1) /
			                 stride[a] + 1;
		}
		check_program(arena_printf(
			arena,
			"graph @g(%%x: f32[1,%d,%d,%d], %%w: f32[%d,%d,%d,%d], %%b: f32[%d]) {\n"
			"  %%y: f32[1,%d,%d,%d] = conv(%%x, %%w, %%b) {strides=[%d,%d],"
			" pads=[%d,%d,%d,%d], dilations=[%d,%d]}\n"
			"  return %%y\n"
			"}\n",
			channels, size[0], size[1], outs, channels, k[0], k[1], outs, outs, out[0],
			out[1], stride[0], stride[1], begin[0], begin[1], end[0], end[1],
			dilation[0], dilation[1]));
	}
}
END_TEST

/* A constant's text: n numbers. */
static const char *
numbers(int n)
{
	Str s;

	str_init(&s, arena);
	for (int i = 0; i < n; i++)
		str_printf(&s, "%s%d.%d", i ? ", " : "", random_below(9) - 4, random_below(1000));
	return s.s;
}

/* Weights that are constants, and lie across the outputs. */
START_TEST(layers_with_constant_weights_give_the_same_bytes)
{
	seed = (uint32_t)_i + 1;
	for (int n = 0; n < 4; n++) {
		int h = 3 + random_below(4), w = 3 + random_below(4), in = 1 + random_below(20);
		int out = 1 + random_below(20), k = 1 + random_below(3);

		check_program(arena_printf(
			arena,
			"graph @g(%%x: f32[1,%d,%d,%d]) {\n"
			"  %%w: f32[%d,%d,%d,%d] = const [%s]\n"
			"  %%b: f32[%d] = const [%s]\n"
			"  %%y: f32[1,%d,%d,%d] = conv(%%x, %%w, %%b) {strides=[1,1],"
			" pads=[0,1,1,1], dilations=[1,1], layout=nhwc}\n"
			"  return %%y\n"
			"}\n",
			h, w, in, out, k, k, in, numbers(out * k * k * in), out, numbers(out),
			h + 2 - k, w + 3 - k, out));
		check_program(arena_printf(arena,
		                           "graph @g(%%x: f32[2,%d]) {\n"
		                           "  %%w: f32[%d,%d] = const [%s]\n"
		                           "  %%y: f32[2,%d] = gemm(%%x, %%w) {trans_b=true}\n"
		                           "  return %%y\n"
		                           "}\n",
		                           in, out, in, numbers(out * in), out));
	}
}
END_TEST

/* Channels outside and pixels inside: the loop over the channels goes in (spread.c). */
START_TEST(channels_first_give_the_same_bytes)
{
	seed = (uint32_t)_i + 1;
	for (int n = 0; n < 4; n++) {
		int h = 2 + random_below(6), w = 2 + random_below(8), in = 1 + random_below(5);
		int groups = 1 + random_below(2), out = groups * (6 + random_below(14));
		int k = 1 + random_below(2), stride = 1 + random_below(2), pad = random_below(2);

		check_program(arena_printf(
			arena,
			"graph @g(%%x: f32[1,%d,%d,%d]) {\n"
			"  %%w: f32[%d,%d,%d,%d] = const [%s]\n"
			"  %%b: f32[%d] = const [%s]\n"
			"  %%y: f32[1,%d,%d,%d] = conv(%%x, %%w, %%b) {strides=[%d,1],"
			" pads=[%d,%d,0,1], dilations=[1,1], group=%d}\n"
			"  %%z: f32[1,%d,%d,%d] = relu(%%y)\n"
			"  return %%z\n"
			"}\n",
			groups * in, h, w, out, in, k, k, numbers(out * in * k * k), out,
			numbers(out), out, (h + pad - k) / stride + 1, w + pad + 2 - k, stride, pad,
			pad, groups, out, (h + pad - k) / stride + 1, w + pad + 2 - k));
	}
}
END_TEST

START_TEST(the_loop_over_channels_goes_inside)
{
	LlvmOptions o = {.target = {"x86_64-unknown-linux-gnu", "x86-64", "", "", "",
	                            RELOC_PIC, "", 0},
	                 .spreads = true};
	const char *text = arena_printf(arena,
	                                "graph @g(%%x: f32[1,2,5,5]) {\n"
	                                "  %%w: f32[8,2,3,3] = const [%s]\n"
	                                "  %%y: f32[1,8,3,3] = conv(%%x, %%w)\n"
	                                "  return %%y\n"
	                                "}\n",
	                                numbers(8 * 2 * 3 * 3));
	const char *ir = emit(program_of(text), o, LLVM_IR);

	expect_part(ir, "alloca [8 x float]");
	ck_assert_ptr_null(strstr(ir, "alloca [3 x float]"));
	o.spreads = false;
	ck_assert_ptr_null(strstr(emit(program_of(text), o, LLVM_IR), "alloca [8 x float]"));
}
END_TEST

START_TEST(other_sums_give_the_same_bytes)
{
	seed = 7;
	check_program("graph @g(%x: f32[5,7], %w: f32[7,33]) {\n"
	              "  %y: f32[5,33] = matmul(%x, %w)\n"
	              "  %z: f32[5,33] = relu(%y)\n"
	              "  return %y, %z\n"
	              "}\n");
	check_program("graph @g(%x: f32[1,2,9,21]) {\n"
	              "  %y: f32[1,2,4,10] = max_pool(%x) {kernel=[3,3], strides=[2,2]}\n"
	              "  %z: f32[1,2,4,10] = avg_pool(%x) {kernel=[3,3], strides=[2,2]}\n"
	              "  return %y, %z\n"
	              "}\n");
	check_program("graph @g(%x: f32[3,40]) {\n"
	              "  %y: f32[3] = reduce_sum(%x) {axes=[1], keepdims=false}\n"
	              "  %z: f32[40] = reduce_sum(%x) {axes=[0], keepdims=false}\n"
	              "  %s: f32[3,40] = softmax(%x) {axis=1}\n"
	              "  return %y, %z, %s\n"
	              "}\n");
}
END_TEST

START_TEST(square_roots_are_instructions_with_the_bits_of_the_library)
{
	static const char text[] = "graph @g(%x: f32[999], %z: f64[999]) {\n"
				   "  %y: f32[999] = sqrt(%x)\n"
				   "  %w: f64[999] = sqrt(%z)\n"
				   "  return %y, %w\n"
				   "}\n";
	LlvmOptions o = {.target = {"thumbv7em-none-eabihf", "cortex-m4", "", "-fp64", "",
	                            RELOC_STATIC, "", ISA_FLOAT}};
	const char *ir;

	seed = 9;
	check_program(text);
	ir = emit(program_of(text), o, LLVM_IR);
	expect_part(ir, "@llvm.sqrt.f32(");
	ck_assert_ptr_null(strstr(ir, "@llvm.sqrt.f64("));
	o.target.isa = 0;
	ck_assert_ptr_null(strstr(emit(program_of(text), o, LLVM_IR), "llvm.sqrt"));
}
END_TEST

/* Layers of empty tensors have the same empty body, but not as many arguments. */
/* A buffer of which nothing comes is no parameter, whatever reads it. */
START_TEST(values_that_nothing_reads_need_no_parameter)
{
	static const char *const unread[] = {
		"dot(%z[0], %x[0], %x[0])", "cvt.i32(%x[0])", "%z[0] + dot(%z[0], %x[0], %x[0])",
	};

	for (size_t i = 0; i < sizeof unread / sizeof *unread; i++) {
		const char *text = arena_printf(
			arena,
			"graph @g(%%x: i8[16], %%z: i32[1]) {\n"
			"  %%y: i32[1] = kernel(%%x, %%z) {code=\"kernel @f(%%x: i8[16] in, "
			"%%z: i32[1] in, %%y: i32[1] out) { let %%v: i32 = %s  %%y[0] = %%z[0] }\"}\n"
			"  return %%y\n}\n", unread[i]);
		int8_t x[16] = {1};
		int32_t z = 7, y = 0;
		LlvmJit *jit = llvm_jit(arena, program_of(text), 2, &diag);

		ck_assert_ptr_nonnull(jit);
		llvm_jit_run(jit, (const void *[]){x, &z}, (void *[]){&y}, NULL);
		ck_assert_int_eq(y, 7);
	}
}
END_TEST

START_TEST(shared_kernels_get_the_arguments_that_they_use)
{
	check_program("graph @g(%x: f32[0,4], %y: f32[2]) {\n"
	              "  %a: f32[0,4] = add(%x, %x)\n"
	              "  %b: f32[0,4] = relu(%x)\n"
	              "  %c: f32[2] = relu(%y)\n"
	              "  return %a, %b, %c\n"
	              "}\n");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("llvm");
	TCase *tc = tcase_create("llvm");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 300);
	if (llvm_major_version()) {
		tcase_add_test(tc, names_sections_and_attributes_are_those_of_firmware);
		tcase_add_test(tc, debug_lines_are_numbers_of_nodes);
		tcase_add_test(tc, loops_that_move_data_stay_short);
		tcase_add_test(tc, small_machines_have_a_small_int);
		tcase_add_test(tc, states_are_members_of_a_struct);
		tcase_add_test(tc, an_impossible_target_is_an_error);
		tcase_add_loop_test(tc, random_convolutions_give_the_same_bytes, 0, 6);
		tcase_add_loop_test(tc, layers_with_constant_weights_give_the_same_bytes, 0, 4);
		tcase_add_loop_test(tc, channels_first_give_the_same_bytes, 0, 6);
		tcase_add_test(tc, the_loop_over_channels_goes_inside);
		tcase_add_test(tc, other_sums_give_the_same_bytes);
		tcase_add_test(tc, square_roots_are_instructions_with_the_bits_of_the_library);
		tcase_add_test(tc, values_that_nothing_reads_need_no_parameter);
		tcase_add_test(tc, shared_kernels_get_the_arguments_that_they_use);
	}
	suite_add_tcase(s, tc);
	return unit_run(s);
}
