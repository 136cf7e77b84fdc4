/* What the C printer prints for small models and kernels. */
#include <math.h>

#include "codegen/c/names.h"
#include "ir/num.h"
#include "tests/unit/print_kernels.h"
#include "tests/unit/unit.h"

/* ---- Printed text ---- */

static Files
compile_graph(const char *text, const CEmitOptions *o)
{
	Graph *g = graph_parse(arena, "t", text, strlen(text), &diag);
	Program *p;

	if (!g || !graph_verify(g, &diag))
		ck_abort_msg("%s", diag.first ? diag.first->text : "no graph");
	p = program_build(arena, g, &(ProgramOptions){0}, &diag);
	ck_assert_ptr_nonnull(p);
	return emit(p, o);
}

static void
expect_part(const Str *text, const char *part)
{
	if (!strstr(text->s, part))
		ck_abort_msg("expected\n%s\nin\n%s", part, text->s);
}

static int
count_parts(const Str *text, const char *part)
{
	int n = 0;

	for (const char *s = text->s; (s = strstr(s, part)) != NULL; s++)
		n++;
	return n;
}

START_TEST(a_model_becomes_a_function)
{
	Files f = compile_graph("graph @g(%x: f32[1,4]) {\n"
	                        "  %w: f32[4,2] = const [1.0, 0.1, -3.5, 1e-9, 0.0, -0.0, inf, 3.4e38]\n"
	                        "  %a: f32[1,2] = matmul(%x, %w) as \"dense\"\n"
	                        "  %y: f32[2,1] = transpose(%a) {perm=[1,0]}\n"
	                        "  %b: f32[] = reduce_max(%y) {axes=[0,1], keepdims=false}\n"
	                        "  return %b as \"prob\"\n"
	                        "}\n",
	                        &standard);

	expect_part(&f.source, "/* w: f32[4,2], 32 bytes */\n"
	                       "static const float kws_w[8] KWS_CONST = {\n"
	                       "\t1.0f, 0.1f, -3.5f, 1e-09f, 0.0f, -0.0f, KWS_INFINITY, 3.4e+38f\n"
	                       "};\n");
	expect_part(&f.source, "/*\n"
	                       " * dense (matmul): f32[1,4], f32[4,2] -> f32[1,2]\n"
	                       " */\n"
	                       "KWS_LAYER kws_dense(const float *KWS_RESTRICT ");
	expect_part(&f.source, "int kws_run(const float *x, float *prob, void *arena)\n"
	                       "{\n"
	                       "\tuint8_t *const mem = (uint8_t *)arena;\n"
	                       "\tfloat *const a = (float *)(void *)(mem + 0);\n"
	                       "\tfloat *const y = (float *)(void *)(mem + 0);\n"
	                       "\n"
	                       "\tif (arena == NULL || ((uintptr_t)arena & (KWS_ARENA_ALIGN - 1u)) != 0u) {\n"
	                       "\t\treturn KWS_ERROR_ARENA;\n"
	                       "\t}\n"
	                       "\tkws_dense(x, kws_w, a);\n"
	                       "\tkws_b(y, prob);\n"
	                       "\treturn 0;\n"
	                       "}\n");
	expect_part(&f.header, "#define KWS_ARENA_SIZE 8u /* bytes */\n");
	expect_part(&f.header, "#define KWS_X_SIZE 4u\n#define KWS_PROB_SIZE 1u\n");
	expect_part(&f.header, "int kws_run(const float *x, float *prob, void *arena);\n");
	expect_part(&f.header, " * SHA-256 of the model: 0123\n * Command: mcc kws.onnx\n");
	expect_part(&f.header, " * Constants: 32 bytes\n * Multiply-accumulates of one call: 8\n");
}
END_TEST

START_TEST(equal_kernels_and_equal_constants_are_printed_once)
{
	Files f = compile_graph("graph @g(%x: f32[4]) {\n"
	                        "  %v: f32[4] = const [1.0, 2.0, 3.0, 4.0]\n"
	                        "  %w: f32[4] = const [1.0, 2.0, 3.0, 4.0]\n"
	                        "  %a: f32[4] = sub(%x, %v) as \"first\"\n"
	                        "  %b: f32[4] = neg(%x)\n"
	                        "  %c: f32[4] = sub(%b, %w) as \"second\"\n"
	                        "  return %a, %c, %b\n"
	                        "}\n",
	                        &standard);

	ck_assert_int_eq(count_parts(&f.source, "static const float"), 1);
	ck_assert_int_eq(count_parts(&f.source, "KWS_LAYER kws_"), 2);
	expect_part(&f.source, " * first (sub): f32[4], f32[4] -> f32[4]\n"
	                       " * second (sub): f32[4], f32[4] -> f32[4]\n");
	expect_part(&f.source, "kws_first(b, kws_v, c); /* second */\n");
}
END_TEST

START_TEST(names_are_legal_and_unique)
{
	Files f = compile_graph("graph @g(%int: f32[4], %\"int\\x01\": f32[4], %arena: f32[4],"
	                        " %7: f32[4], %\"a//b\": f32[4], %_A: f32[4], %kws_run: f32[4],"
	                        " %INT32_MAX: f32[4], %NULL: f32[4]) {\n"
	                        "  %\"*/ int main\": f32[4] = neg(%int) as \"run\"\n"
	                        "  return %\"*/ int main\" as \"int\"\n"
	                        "}\n",
	                        &standard);

	expect_part(&f.header, "int kws_run(const float *t_int, const float *t_int_2, const float *t_arena, "
	                       "const float *t_7,\n"
	                       "\t\tconst float *a_b, const float *A, const float *tkws_run, "
	                       "const float *t_INT32_MAX,\n"
	                       "\t\tconst float *t_NULL, float *t_int_3, void *arena);\n");
	expect_part(&f.source, "KWS_LAYER kws_run_2(");
	expect_part(&f.header, "#define KWS_ARENA_SIZE 0u");
	expect_part(&f.header, "#define KWS_ARENA_SIZE_2 4u");
	expect_part(&f.header, " *   input  t_int_2: f32[4], 16 bytes, 'int_' in the model\n");
}
END_TEST

START_TEST(a_name_asked_for_again_takes_the_next_free_suffix)
{
	Names names;

	names_init(&names, arena);
	ck_assert_str_eq(names_add(&names, "a"), "a");
	ck_assert_str_eq(names_add(&names, "a_3"), "a_3");
	ck_assert_str_eq(names_add(&names, "a"), "a_2");
	ck_assert_str_eq(names_add(&names, "a"), "a_4");
	ck_assert_str_eq(names_add(&names, "a_3"), "a_3_2");
	ck_assert_str_eq(names_add(&names, "a_4"), "a_4_2");
	ck_assert_str_eq(names_add(&names, "a"), "a_5");
}
END_TEST

/* Trying all suffixes from 2 on takes memory that grows as the square: 16 MB. */
START_TEST(thousands_of_equal_names_take_little_memory)
{
	size_t before = arena_used(arena);
	Names names;

	names_init(&names, arena);
	for (int i = 0; i < 2000; i++)
		names_add(&names, "layer");
	ck_assert_uint_lt(arena_used(arena) - before, 1 << 20);
}
END_TEST

START_TEST(no_line_is_longer_than_100_columns)
{
	Files f = compile_graph(
		"graph @g(%an_input_with_a_rather_long_name_indeed: f32[64],"
		" %another_input_with_a_rather_long_name: f32[64], %c: f64[6]) {\n"
		"  %a: f32[64] = sigmoid(%an_input_with_a_rather_long_name_indeed)"
		" as \"a/layer/with/a/path/of/many/parts/that/goes/on/for/more/than/a/hundred/columns/in/all\"\n"
		"  %b: f32[64] = add(%a, %another_input_with_a_rather_long_name)\n"
		"  %d: f64[6] = tanh(%c)\n"
		"  %e: f64[6] = exp(%d)\n"
		"  return %b, %e\n"
		"}\n",
		&standard);

	for (int i = 0; i < 2; i++) {
		int column = 0;

		for (const char *s = i ? f.header.s : f.source.s; *s; s++) {
			column = *s == '\n' ? 0 : *s == '\t' ? column + 8 : column + 1;
			ck_assert_msg(column <= 100, "%.120s", s > f.source.s + 100 ? s - 100 : s);
		}
	}
}
END_TEST

START_TEST(hosted_code_calls_math_h)
{
	static const char text[] = "graph @g(%x: f32[4], %y: f64[4]) {\n"
				   "  %a: f32[4] = exp(%x)\n"
				   "  %b: f64[4] = tanh(%y)\n"
				   "  return %a, %b\n"
				   "}\n";
	CEmitOptions o = standard;
	Files f = compile_graph(text, &o);

	ck_assert_ptr_null(strstr(f.source.s, "math.h"));
	expect_part(&f.source, "y[i] = kws_exp_f32(x[i]);\n");
	o.hosted = true;
	f = compile_graph(text, &o);
	expect_part(&f.source, "#include <math.h>\n");
	expect_part(&f.source, "y[i] = expf(x[i]);\n");
	expect_part(&f.source, "y[i] = tanh(x[i]);\n");
	ck_assert_ptr_null(strstr(f.source.s, "exp_f32"));
}
END_TEST

START_TEST(two_runs_give_the_same_bytes)
{
	static const char text[] = "graph @g(%x: f32[4]) {\n"
				   "  %a: f32[4] = exp(%x)\n"
				   "  %b: f32[4] = sqrt(%a)\n"
				   "  %c: f32[8] = concat(%a, %b) {axis=0}\n"
				   "  %d: f32[8] = softmax(%c) {axis=0}\n"
				   "  return %d, %b\n"
				   "}\n";
	Files f = compile_graph(text, &standard), again = compile_graph(text, &standard);

	ck_assert_str_eq(f.source.s, again.source.s);
	ck_assert_str_eq(f.header.s, again.header.s);
}
END_TEST

START_TEST(comments_do_not_grow_with_the_number_of_inputs)
{
	enum { INPUTS = 400 };
	Files f;
	Str text;

	str_init(&text, arena);
	str_puts(&text, "graph @g(%x: f32[2]) {\n");
	str_printf(&text, "  %%y: f32[%d] = concat(", 2 * INPUTS);
	for (int i = 0; i < INPUTS; i++)
		str_puts(&text, i ? ", %x" : "%x");
	str_puts(&text, ") {axis=0}\n  return %y\n}\n");
	f = compile_graph(text.s, &standard);
	ck_assert_ptr_nonnull(strstr(f.source.s, "in all)"));
	ck_assert_msg(f.source.n < 400 * INPUTS, "%zu bytes", f.source.n);
}
END_TEST

START_TEST(prefixes_must_be_safe)
{
	static const char *const bad[] = {"", "_a", "a_", "a__b", "1a", "a-b", "a b"};
	CEmitOptions o = standard;
	Str s, h;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!c_prefix_is_valid(bad[i]), "'%s'", bad[i]);
	ck_assert(c_prefix_is_valid("kws_2"));
	ck_assert_str_eq(c_prefix(arena, "dir.d/my-model.v2.onnx"), "my_model_v2");
	ck_assert_str_eq(c_prefix(arena, "2nd.onnx"), "m2nd");
	ck_assert_str_eq(c_prefix(arena, "/.onnx"), "onnx");
	o.prefix = "1a";
	str_init(&s, arena);
	str_init(&h, arena);
	ck_assert(!c_emit(&(Program){0}, &o, &s, &h, &diag));
	ck_assert_int_eq(diag.first->code, E_NAME);
}
END_TEST

/* ---- Expressions as text ---- */

static LBuilder b;
static Expr *ix, *fx, *ux, *lx, *bx, *cx, *jx, *kx;

static Expr *
input_value(const char *name, DType t, int count)
{
	LBuf *buf = loop_buf(&b, arena_printf(arena, "in_%s", name), t, count, LBUF_IN, NULL);

	return loop_let(&b, name, loop_load_compute(&b, buf, loop_idx(&b, 0)));
}

/* Starts a kernel with a variable of each type. */
static void
begin_expression(void)
{
	loop_begin(&b, arena, "k");
	ix = input_value("i", DT_I32, 1);
	jx = input_value("j", DT_I32, 1);
	ux = input_value("u", DT_U32, 1);
	lx = input_value("l", DT_I64, 1);
	fx = input_value("f", DT_F32, 1);
	bx = input_value("b", DT_BOOL, 1);
	cx = input_value("c", DT_BOOL, 1);
	kx = input_value("k8", DT_I8, 1);
}

/* The text of an expression. */
static void
expect_c(Expr *e, const char *text)
{
	LFunc *fn;
	Files f;
	const char *start;
	LBuf *out = loop_buf(&b, "z", e->type, 1, LBUF_OUT, NULL);

	loop_store(&b, out, loop_idx(&b, 0), e);
	fn = loop_finish(&b);
	f = emit(wrap_kernels(&fn, 1), &standard);
	start = strstr(f.source.s, "z[0] = ");
	ck_assert_ptr_nonnull(start);
	start += strlen("z[0] = ");
	ck_assert_str_eq(arena_strndup(arena, start, strcspn(start, ";")), text);
	begin_expression();
}

static Expr *
op2(KOp op, Expr *x, Expr *y)
{
	return loop_op2(&b, op, x, y);
}

static Expr *
i32(int64_t v)
{
	return loop_int(&b, DT_I32, v);
}

START_TEST(signed_arithmetic_wraps_around)
{
	begin_expression();
	expect_c(op2(KOP_ADD, ix, i32(1)), "(int32_t)((uint32_t)i + 1u)");
	expect_c(op2(KOP_SUB, ix, op2(KOP_MUL, jx, i32(-3))),
	         "(int32_t)((uint32_t)i - (uint32_t)j * (uint32_t)(-3))");
	expect_c(op2(KOP_MUL, op2(KOP_ADD, ix, jx), jx),
	         "(int32_t)(((uint32_t)i + (uint32_t)j) * (uint32_t)j)");
	expect_c(loop_op1(&b, KOP_NEG, ix), "(int32_t)(0u - (uint32_t)i)");
	expect_c(op2(KOP_SHL, ix, i32(35)), "(int32_t)((uint32_t)i << 3)");
	expect_c(op2(KOP_SHL, ix, jx), "(int32_t)((uint32_t)i << (j & 31))");
	expect_c(op2(KOP_ADD, ux, loop_int(&b, DT_U32, 70000)), "u + 0x11170u");
	/* Products of narrow integers cannot overflow. */
	expect_c(op2(KOP_MUL, kx, i32(7)), "(int32_t)((uint32_t)k8 * 7u)");
}
END_TEST

START_TEST(divisions_are_guarded_unless_the_divisor_is_harmless)
{
	begin_expression();
	expect_c(op2(KOP_DIV, ix, jx), "kws_div_i32(i, j)");
	expect_c(op2(KOP_DIV, ix, i32(7)), "i / 7");
	expect_c(op2(KOP_DIV, ix, i32(-1)), "kws_div_i32(i, -1)");
	expect_c(op2(KOP_REM, lx, loop_int(&b, DT_I64, 0)), "kws_rem_i64(l, 0)");
	expect_c(op2(KOP_DIV, fx, fx), "f / f");
}
END_TEST

START_TEST(parentheses_stand_where_they_are_needed)
{
	Expr *less, *sum;

	begin_expression();
	expect_c(op2(KOP_SUB, fx, op2(KOP_SUB, fx, fx)), "f - (f - f)");
	expect_c(op2(KOP_SUB, op2(KOP_SUB, fx, fx), fx), "f - f - f");
	expect_c(op2(KOP_MUL, op2(KOP_ADD, fx, fx), loop_op1(&b, KOP_NEG, fx)), "(f + f) * -f");
	expect_c(loop_op1(&b, KOP_NEG, loop_op1(&b, KOP_NEG, fx)), "-(-f)");
	expect_c(op2(KOP_DIV, fx, op2(KOP_MUL, fx, fx)), "f / (f * f)");
	expect_c(op2(KOP_OR, op2(KOP_AND, ux, ux), ux), "(u & u) | u");
	expect_c(op2(KOP_AND, ux, op2(KOP_ADD, ux, ux)), "u & (u + u)");
	less = op2(KOP_LT, ix, jx);
	expect_c(op2(KOP_OR, op2(KOP_AND, less, bx), cx), "(uint8_t)((i < j && b) || c)");
	less = op2(KOP_LT, ix, jx);
	expect_c(op2(KOP_EQ, less, bx), "(uint8_t)((i < j) == b)");
	less = op2(KOP_LT, ix, jx);
	expect_c(loop_op1(&b, KOP_NOT, op2(KOP_XOR, less, bx)), "(uint8_t)(!((i < j) != b))");
	less = op2(KOP_LT, ix, jx);
	sum = op2(KOP_ADD, fx, fx);
	expect_c(op2(KOP_MUL, loop_select(&b, less, sum, fx), fx), "(i < j ? f + f : f) * f");
	less = op2(KOP_LT, ix, jx);
	expect_c(loop_select(&b, less, fx, loop_select(&b, bx, fx, sum)), "i < j ? f : b ? f : f + f");
	less = op2(KOP_LT, op2(KOP_SHR, ix, i32(1)), jx);
	expect_c(less, "(uint8_t)((i >> 1) < j)");
}
END_TEST

START_TEST(comparisons_that_compilers_warn_about_are_decided)
{
	begin_expression();
	expect_c(op2(KOP_GE, ux, loop_int(&b, DT_U32, 0)), "(uint8_t)1");
	expect_c(op2(KOP_LT, ux, loop_int(&b, DT_U32, 0)), "(uint8_t)0");
	expect_c(op2(KOP_NE, ix, ix), "(uint8_t)0");
	expect_c(op2(KOP_NE, fx, fx), "(uint8_t)(f != f)");
}
END_TEST

START_TEST(conversions_say_what_they_do)
{
	begin_expression();
	expect_c(loop_cvt(&b, DT_F32, ix), "(float)i");
	expect_c(loop_cvt(&b, DT_I32, fx), "kws_f32_to_i32(f)");
	expect_c(loop_cvt(&b, DT_U8, op2(KOP_ADD, fx, fx)), "kws_f32_to_u8(f + f)");
	expect_c(loop_cvt(&b, DT_I8, ix), "(int8_t)i");
	expect_c(loop_cvt(&b, DT_F16, loop_cvt(&b, DT_F64, fx)),
	         "kws_f32_to_f16(kws_f64_to_odd((double)f))");
	expect_c(loop_cvt(&b, DT_BF16, lx), "kws_f32_to_bf16(kws_i64_to_odd(l))");
	expect_c(loop_cvt(&b, DT_BOOL, fx), "(uint8_t)(f != 0.0f)");
	expect_c(loop_cvt(&b, DT_I64, op2(KOP_LT, ix, jx)), "(int64_t)(i < j)");
	expect_c(loop_bits(&b, DT_F32, op2(KOP_ADD, ix, i32(1))), "kws_from_bits_f32((uint32_t)i + 1u)");
	expect_c(loop_bits(&b, DT_I32, fx), "(int32_t)kws_bits_f32(f)");
	expect_c(loop_bits(&b, DT_I32, ux), "(int32_t)u");
	expect_c(loop_float(&b, DT_F64, -HUGE_VAL), "(double)-KWS_INFINITY");
}
END_TEST

START_TEST(what_is_never_read_is_not_printed)
{
	LFunc *fn;
	LVar *v;
	LBuf *x, *y, *unused;
	Expr *i, *dead;
	Files f;

	loop_begin(&b, arena, "k");
	x = loop_buf(&b, "x", DT_F32, 4, LBUF_IN, NULL);
	unused = loop_buf(&b, "unused", DT_F32, 4, LBUF_IN, NULL);
	y = loop_buf(&b, "y", DT_F32, 4, LBUF_OUT, NULL);
	i = loop_for(&b, "i", 0, 4);
	dead = loop_let(&b, "dead", op2(KOP_MAX, loop_load(&b, unused, i), loop_load(&b, x, i)));
	v = loop_var(&b, "also_dead", dead);
	loop_set(&b, v, op2(KOP_ADD, loop_get(&b, v), dead));
	loop_store(&b, y, i, loop_load(&b, x, i));
	loop_end(&b);
	fn = loop_finish(&b);
	f = emit(wrap_kernels(&fn, 1), &standard);
	expect_part(&f.source, "KWS_LAYER kws_k(const float *KWS_RESTRICT x, float *KWS_RESTRICT y)\n"
	                       "{\n"
	                       "\tfor (int32_t i = 0; i < 4; i++) {\n"
	                       "\t\ty[i] = x[i];\n"
	                       "\t}\n"
	                       "}\n");
	ck_assert_ptr_null(strstr(f.source.s, "kws_max_f32"));
	expect_part(&f.source, "\t(void)unused0;\n");
}
END_TEST

START_TEST(statements_are_printed_as_c)
{
	static const float table[] = {0.5f, 0.25f};
	LFunc *fn;
	LVar *sum;
	LBuf *x, *y, *n, *t;
	Expr *i, *j, *end;
	Files f;

	loop_begin(&b, arena, "k");
	x = loop_buf(&b, "x", DT_F32, 8, LBUF_IN, NULL);
	n = loop_buf(&b, "n", DT_I32, 1, LBUF_IN, NULL);
	y = loop_buf(&b, "y", DT_F32, 8, LBUF_OUT, NULL);
	t = loop_buf(&b, "weights", DT_F32, 2, LBUF_TABLE, table);
	loop_comment(&b, "a comment that ends */ early");
	i = loop_for_step(&b, "i", 0, 8, 2);
	sum = loop_var(&b, "sum", loop_float(&b, DT_F32, 0));
	end = loop_clamp_idx(&b, loop_load(&b, n, loop_idx(&b, 0)), 0, 8);
	j = loop_for_expr(&b, "j", loop_idx(&b, 0), end);
	loop_set(&b, sum, loop_add(&b, loop_get(&b, sum), loop_load(&b, x, j)));
	loop_end(&b);
	j = loop_for_while(&b, "j", 0, 2, op2(KOP_LT, loop_get(&b, sum), loop_float(&b, DT_F32, 9)));
	loop_set(&b, sum, loop_mul(&b, loop_get(&b, sum), loop_load(&b, t, j)));
	loop_end(&b);
	loop_if(&b, op2(KOP_EQ, i, loop_idx(&b, 2)));
	loop_store(&b, y, i, loop_get(&b, sum));
	loop_else(&b);
	loop_if(&b, op2(KOP_EQ, i, loop_idx(&b, 4)));
	loop_store(&b, y, i, loop_float(&b, DT_F32, 1));
	loop_else(&b);
	loop_store(&b, y, i, loop_float(&b, DT_F32, 2));
	loop_end(&b);
	loop_end(&b);
	loop_end(&b);
	fn = loop_finish(&b);
	f = emit(wrap_kernels(&fn, 1), &standard);
	expect_part(&f.source,
	            "{\n"
	            "\tstatic const float weights[2] KWS_CONST = {\n"
	            "\t\t0.5f, 0.25f\n"
	            "\t};\n"
	            "\t/* a comment that ends *_ early */\n"
	            "\tfor (int32_t i = 0; i < 8; i += 2) {\n"
	            "\t\tfloat sum = 0.0f;\n"
	            "\t\tconst int32_t j_end = kws_min_i32(kws_max_i32(n[0], 0), 8);\n"
	            "\t\tfor (int32_t j = 0; j < j_end; j++) {\n"
	            "\t\t\tsum = sum + x[j];\n"
	            "\t\t}\n"
	            "\t\tfor (int32_t j_2 = 0; j_2 < 2 && sum < 9.0f; j_2++) {\n"
	            "\t\t\tsum = sum * weights[j_2];\n"
	            "\t\t}\n"
	            "\t\tif (i == 2) {\n"
	            "\t\t\ty[i] = sum;\n"
	            "\t\t} else if (i == 4) {\n"
	            "\t\t\ty[i] = 1.0f;\n"
	            "\t\t} else {\n"
	            "\t\t\ty[i] = 2.0f;\n"
	            "\t\t}\n"
	            "\t}\n"
	            "}\n");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("cprint");
	TCase *tc = tcase_create("text");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_model_becomes_a_function);
	tcase_add_test(tc, equal_kernels_and_equal_constants_are_printed_once);
	tcase_add_test(tc, names_are_legal_and_unique);
	tcase_add_test(tc, a_name_asked_for_again_takes_the_next_free_suffix);
	tcase_add_test(tc, thousands_of_equal_names_take_little_memory);
	tcase_add_test(tc, no_line_is_longer_than_100_columns);
	tcase_add_test(tc, hosted_code_calls_math_h);
	tcase_add_test(tc, two_runs_give_the_same_bytes);
	tcase_add_test(tc, comments_do_not_grow_with_the_number_of_inputs);
	tcase_add_test(tc, prefixes_must_be_safe);
	tcase_add_test(tc, signed_arithmetic_wraps_around);
	tcase_add_test(tc, divisions_are_guarded_unless_the_divisor_is_harmless);
	tcase_add_test(tc, parentheses_stand_where_they_are_needed);
	tcase_add_test(tc, comparisons_that_compilers_warn_about_are_decided);
	tcase_add_test(tc, conversions_say_what_they_do);
	tcase_add_test(tc, what_is_never_read_is_not_printed);
	tcase_add_test(tc, statements_are_printed_as_c);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
