#define _POSIX_C_SOURCE 200809L
/*
 * The C printer: what it prints for small kernels, and random kernels over all
 * operations and types, compiled and compared with the interpreter bit by bit.
 */
#include <check.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codegen/c/c.h"
#include "codegen/c/names.h"
#include "codegen/llvm/llvm.h"
#include "ir/num.h"

static Arena *arena;
static Diag diag;
static uint32_t seed;

static void
setup(void)
{
	arena = arena_new(NULL, NULL);
	diag_init(&diag, arena);
}

static void
teardown(void)
{
	arena_free(arena);
}

static uint32_t
random_below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(seed >> 4) * n) >> 28);
}

static const CEmitOptions standard = {
	.prefix = "kws",
	.header_name = "kws.h",
	.model_name = "kws.onnx",
	.model_sha256 = "0123",
	.command = "mcc kws.onnx",
	.version = "1.2.3",
};

/* ---- Printed text ---- */

typedef struct {
	Str source, header;
} Files;

static Files
emit(const Program *p, const CEmitOptions *o)
{
	Files f;

	str_init(&f.source, arena);
	str_init(&f.header, arena);
	ck_assert(c_emit(p, o, &f.source, &f.header, &diag));
	return f;
}

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
	for (int i = 0; i < INPUTS; i++)
		str_printf(&text, "  %%v%d: f32[2] = exp(%%x)\n", i);
	str_printf(&text, "  %%y: f32[%d] = concat(", 2 * INPUTS);
	for (int i = 0; i < INPUTS; i++)
		str_printf(&text, "%s%%v%d", i ? ", " : "", i);
	str_puts(&text, ") {axis=0}\n  return %y\n}\n");
	f = compile_graph(text.s, &standard);
	expect_part(&f.source, "(400 in all)");
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
static LBuf *out_i;

/* A program that calls one kernel whose buffers are all inputs or outputs. */
static Program *
wrap_kernels(LFunc *const *fn, int n)
{
	Program *p = ARENA_NEW(arena, Program);
	Graph *g = graph_new(arena, "g");

	p->arena = arena;
	p->graph = g;
	p->arena_align = 4;
	p->input = ARENA_ARRAY(arena, Buffer *, fn[0]->bufs.n);
	p->output = ARENA_ARRAY(arena, Buffer *, n * fn[0]->bufs.n);
	for (int k = 0; k < n; k++) {
		Step *step = ARENA_NEW(arena, Step);

		step->fn = fn[k];
		step->name = fn[k]->name;
		step->arg = ARENA_ARRAY(arena, Arg, fn[k]->bufs.n);
		VEC_PUSH(arena, &p->steps, step);
		for (int i = 0, at = 0; i < fn[k]->bufs.n; i++) {
			const LBuf *buf = fn[k]->bufs.v[i];
			Type t = type_make(buf->elem, 1, (int32_t[]){buf->count});
			Buffer *buffer;
			Value *v;

			/* All kernels share the inputs of the first. */
			if (buf->role == LBUF_TABLE)
				continue;
			if (k && buf->role == LBUF_IN) {
				step->arg[i].buffer = p->input[at++];
				continue;
			}
			buffer = ARENA_NEW(arena, Buffer);
			buffer->name = arena_printf(arena, "%s%d", buf->name, k);
			buffer->type = t;
			buffer->kind = buf->role == LBUF_IN ? BUFFER_INPUT : BUFFER_OUTPUT;
			buffer->base = buffer;
			buffer->index = p->buffers.n;
			VEC_PUSH(arena, &p->buffers, buffer);
			step->arg[i].buffer = buffer;
			if (buf->role == LBUF_IN) {
				v = graph_input(g, buffer->name, t);
				p->input[g->inputs.n - 1] = buffer;
			} else {
				v = graph_value(g, buffer->name, t);
				graph_output(g, buffer->name, v);
				p->output[g->outputs.n - 1] = buffer;
			}
			at++;
		}
	}
	return p;
}

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
	out_i = loop_buf(&b, "y", DT_I64, 1, LBUF_OUT, NULL);
}

/* The text of an expression. */
static void
expect_c(Expr *e, const char *text)
{
	LFunc *fn;
	Files f;
	const char *start;
	DType t = e->type == DT_BOOL ? DT_I64 : e->type;
	LBuf *out = loop_buf(&b, "z", e->type, 1, LBUF_OUT, NULL);

	(void)t;
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
	expect_c(loop_cvt(&b, DT_F16, loop_cvt(&b, DT_F64, fx)), "kws_f32_to_f16(kws_f64_to_odd((double)f))");
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

/* ---- Random kernels ---- */

enum { COUNT = 48, NTYPES = DT_IDX };

static LBuf *in_buf[NTYPES];
static Expr *loop_index;
static VEC(Expr *) named;

static const DType value_types[] = {DT_BOOL, DT_I32, DT_U32, DT_I64, DT_U64, DT_F32, DT_F64};

static Expr *gen(DType t, int depth);

static bool
is_float(DType t)
{
	return t == DT_F32 || t == DT_F64;
}

static double
edge_float(DType t)
{
	static const double edge[] = {0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0x1p-149, 0x1p-24,
	                              0x1p-25, 0x1.8p-25, 65504, 65519.9, 65520, 0x1p31, -0x1p31, 0x1p32,
	                              0x1p63, -0x1p63, 0x1p64, 127.5, 128, -128.9, 255.9, 256, 32767.6,
	                              65535.5, 2147483520.0, 1e38, -1e38, 3.3e38, 1e-38, 0.1, HUGE_VAL,
	                              -HUGE_VAL, (double)NAN, 16777217.0, 2049, 2051, 257, 259};
	double x = edge[random_below(sizeof edge / sizeof *edge)];

	if (random_below(3) == 0)
		x = ((double)random_below(20001) - 10000) / 64;
	return t == DT_F32 ? (double)(float)x : x;
}

static int64_t
edge_int(void)
{
	static const int64_t edge[] = {0, 1, -1, 2, 7, -7, 31, 32, 33, 63, 64, 127, 128, -128, 255, 256,
	                               32767, 32768, -32768, 65535, 65536, INT32_MAX, INT32_MIN,
	                               (int64_t)INT32_MAX + 1, UINT32_MAX, INT64_MAX, INT64_MIN,
	                               0x7ffffffffffffc00, 0x100000080, 16777217, 0x1000001000001};

	if (random_below(4) == 0)
		return (int64_t)random_below(2001) - 1000;
	return edge[random_below(sizeof edge / sizeof *edge)];
}

static Expr *
gen_const(DType t)
{
	if (is_float(t))
		return loop_float(&b, t, edge_float(t));
	return loop_int(&b, t, edge_int());
}

/* An index that is in range. */
static Expr *
gen_index(int depth)
{
	Expr *i = loop_index;

	switch (random_below(depth > 0 ? 6 : 2)) {
	case 0: return i;
	case 1: return loop_op2(&b, KOP_REM, loop_affine(&b, i, 3, (int64_t)random_below(9)), loop_idx(&b, COUNT));
	case 2: return loop_op2(&b, KOP_DIV, i, loop_idx(&b, 2 + random_below(4)));
	case 3: return loop_clamp_idx(&b, gen(random_below(2) ? DT_I32 : DT_I64, depth - 1), 0, COUNT - 1);
	case 4: return loop_op2(&b, KOP_MIN, i, loop_idx(&b, random_below(COUNT)));
	default:
		return loop_select(&b, gen(DT_BOOL, depth - 1), i,
		                   loop_sub(&b, loop_idx(&b, COUNT - 1), i));
	}
}

static Expr *
gen_leaf(DType t)
{
	DType s = (DType)random_below(NTYPES);

	for (int i = named.n - 1; i >= 0; i--)
		if (named.v[i]->type == t && random_below(3) == 0)
			return named.v[i];
	if (random_below(4) == 0)
		return gen_const(t);
	if (random_below(2))
		s = t;
	if (random_below(8) == 0)
		return loop_cvt(&b, t, gen_index(0));
	return loop_cvt(&b, t, loop_load(&b, in_buf[s], gen_index(0)));
}

/* A float without NaN, whose bits are the same everywhere. */
static Expr *
gen_not_nan(DType t, int depth)
{
	Expr *x = loop_let(&b, "v", gen(t, depth));

	return loop_select(&b, loop_op2(&b, KOP_EQ, x, x), x, loop_float(&b, t, 1));
}

static Expr *
gen_bits(DType t, int depth)
{
	bool wide = dtype_info[t].bytes == 8;

	if (is_float(t)) {
		/* Any bits but those of NaN. */
		DType s = random_below(2) ? (wide ? DT_I64 : DT_I32) : (wide ? DT_U64 : DT_U32);
		Expr *x = loop_let(&b, "v", loop_bits(&b, t, gen(s, depth)));

		return loop_select(&b, loop_op2(&b, KOP_EQ, x, x), x, loop_float(&b, t, 2));
	}
	switch (random_below(2)) {
	case 0: return loop_bits(&b, t, gen_not_nan(wide ? DT_F64 : DT_F32, depth));
	default:
		return loop_bits(&b, t, gen(t == DT_I32   ? DT_U32
		                            : t == DT_U32 ? DT_I32
		                            : t == DT_I64 ? DT_U64
		                                          : DT_I64,
		                            depth));
	}
}

/* Through a narrow type and back. */
static Expr *
gen_narrow(DType t, int depth)
{
	static const DType narrow[] = {DT_I8, DT_U8, DT_I16, DT_U16, DT_F16, DT_BF16, DT_BOOL};
	DType s = value_types[random_below(7)];

	return loop_cvt(&b, t, loop_cvt(&b, narrow[random_below(7)], gen(s, depth)));
}

static Expr *
gen_call(DType t, int depth)
{
	static const char *const unary[] = {"exp", "tanh", "rint", "sigmoid", "sqrt"};
	Expr *x;

	if (!is_float(t))
		return gen_leaf(t);
	x = gen(t, depth);
	return loop_call1(&b, unary[random_below(5)], x);
}

static Expr *
gen_kop(DType t, int depth)
{
	for (;;) {
		KOp op = (KOp)random_below(KOP_COUNT);
		DType s = kop_info[op].to_bool ? value_types[random_below(7)] : t;
		Expr *x, *y;

		if (kop_info[op].to_bool != (t == DT_BOOL) && t != DT_BOOL)
			continue;
		if (!(kop_info[op].operands >> s & 1))
			continue;
		x = gen(s, depth);
		if (kop_info[op].arity == 1)
			return loop_op1(&b, op, x);
		y = random_below(4) ? gen(s, depth) : gen_const(s);
		return loop_op2(&b, op, x, y);
	}
}

static Expr *
gen(DType t, int depth)
{
	if (depth <= 0)
		return gen_leaf(t);
	switch (random_below(10)) {
	case 0: return gen_leaf(t);
	case 1: return loop_select(&b, gen(DT_BOOL, depth - 1), gen(t, depth - 1), gen(t, depth - 1));
	case 2: return loop_cvt(&b, t, gen(value_types[random_below(7)], depth - 1));
	case 3: return t == DT_BOOL ? gen_leaf(t) : gen_bits(t, depth - 1);
	case 4: return gen_narrow(t, depth - 1);
	case 5: return random_below(3) ? gen_leaf(t) : gen_call(t, depth - 1);
	default: return gen_kop(t, depth - 1);
	}
}

/* One of several shapes of statements that store to out[i]. */
static void
gen_body(LBuf *out)
{
	DType t = out->elem, c = dtype_compute(t);
	LVar *v;
	Expr *x;

	switch (random_below(5)) {
	case 0:
		loop_store_cvt(&b, out, loop_index, gen(value_types[random_below(7)], 5));
		return;
	case 1:
		for (int i = 0; i < 3; i++) {
			x = loop_let(&b, "w", gen(value_types[random_below(7)], 3));
			VEC_PUSH(arena, &named, x);
		}
		loop_store_cvt(&b, out, loop_index, gen(c, 3));
		return;
	case 2:
		v = loop_var(&b, "acc", gen(c, 2));
		x = loop_get(&b, v);
		VEC_PUSH(arena, &named, x);
		loop_for_while(&b, "n", 0, 3 + random_below(3), gen(DT_BOOL, 2));
		loop_set(&b, v, gen_kop(c, 2));
		loop_end(&b);
		loop_store_cvt(&b, out, loop_index, x);
		return;
	case 3:
		loop_if(&b, gen(DT_BOOL, 2));
		loop_store_cvt(&b, out, loop_index, gen(c, 3));
		loop_else(&b);
		named.n = 0;
		loop_store_cvt(&b, out, loop_index, gen(c, 3));
		loop_end(&b);
		return;
	default: loop_store_cvt(&b, out, loop_index, gen(c, 4)); return;
	}
}

static LFunc *
random_kernel(int number)
{
	LBuf *out;
	LFunc *fn;
	const char *problem;

	loop_begin(&b, arena, arena_printf(arena, "k%d", number));
	for (int t = 0; t < NTYPES; t++)
		in_buf[t] = loop_buf(&b, arena_printf(arena, "x_%s", dtype_info[t].name), (DType)t,
		                     COUNT, LBUF_IN, NULL);
	out = loop_buf(&b, "y", (DType)(number % NTYPES), COUNT, LBUF_OUT, NULL);
	named.n = 0;
	loop_index = loop_for(&b, "i", 0, COUNT);
	gen_body(out);
	loop_end(&b);
	fn = loop_finish(&b);
	problem = lfunc_verify(fn);
	if (problem) {
		Str s;

		str_init(&s, arena);
		lfunc_print(&s, fn);
		ck_abort_msg("%s\n%s", problem, s.s);
	}
	return fn;
}

static void *
edge_values(DType t)
{
	void *data = arena_calloc(arena, COUNT, 8);

	for (size_t i = 0; i < COUNT; i++) {
		if (t == DT_F16 || t == DT_BF16)
			((uint16_t *)data)[i] = (uint16_t)random_below(65536);
		else if (is_float(t))
			num_store(t, data, i, edge_float(t));
		else
			num_store_int(t, data, i, edge_int());
	}
	return data;
}

/* ---- Compiling and comparing ---- */

static char folder[] = "/tmp/mcc-cprint-XXXXXX";

/* Random expressions contain contradictions that no compiler could leave uncommented. */
static const char warnings[] = "-pedantic -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow "
			       "-Wdouble-promotion -Wfloat-conversion -Wparentheses -Werror "
			       "-Wno-tautological-compare -Wno-type-limits -Wno-sign-compare "
			       "-Wno-bool-compare -Wno-unknown-warning-option";

static void
write_file(const char *name, const char *text)
{
	FILE *f = fopen(arena_printf(arena, "%s/%s", folder, name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static bool
have_tool(const char *tool)
{
	return system(arena_printf(arena, "command -v %s >/dev/null 2>&1", tool)) == 0;
}

static void
run_command(const char *command)
{
	if (system(command) != 0)
		ck_abort_msg("failed: %s", command);
}

/* A function that takes the arguments as arrays. */
static void
write_program(const Program *p)
{
	CEmitOptions o = standard;
	Files f;
	Str s;

	o.prefix = "fuzz";
	o.header_name = "fuzz.h";
	f = emit(p, &o);
	write_file("fuzz.c", f.source.s);
	write_file("fuzz.h", f.header.s);
	str_init(&s, arena);
	str_puts(&s, "#include \"fuzz.h\"\n"
	             "int call_fuzz(const void *const *in, void *const *out);\n"
	             "int call_fuzz(const void *const *in, void *const *out)\n"
	             "{\n\treturn fuzz_run(");
	for (int i = 0; i < p->graph->inputs.n; i++)
		str_printf(&s, "in[%d], ", i);
	for (int i = 0; i < p->graph->outputs.n; i++)
		str_printf(&s, "out[%d], ", i);
	str_puts(&s, "0);\n}\n");
	write_file("call.c", s.s);
}

static bool
same_element(DType t, const void *a, const void *c, size_t i)
{
	size_t size = (size_t)dtype_info[t].bytes;
	double x, y;

	if (memcmp((const char *)a + i * size, (const char *)c + i * size, size) == 0)
		return true;
	if (!dtype_is_float(t))
		return false;
	x = num_load(t, a, i);
	y = num_load(t, c, i);
	return isnan(x) && isnan(y);
}

static void
compare_outputs(const Program *p, void *const *out, void *const *expected, const char *how)
{
	for (int k = 0; k < p->graph->outputs.n; k++) {
		for (size_t i = 0; i < COUNT; i++) {
			Str s;

			if (same_element(p->output[k]->type.dtype, out[k], expected[k], i))
				continue;
			str_init(&s, arena);
			lfunc_print(&s, p->steps.v[k]->fn);
			ck_abort_msg("%s: element %zu is %.17g, not %.17g, of\n%s", how, i,
			             num_load(p->output[k]->type.dtype, out[k], i),
			             num_load(p->output[k]->type.dtype, expected[k], i), s.s);
		}
	}
}

typedef int CallFuzz(const void *const *in, void *const *out);

static void
run_compiled(const Program *p, const char *compiler, void *const *in, void *const *expected)
{
	static int number;
	const char *library = arena_printf(arena, "%s/lib%d.so", folder, number++);
	int n = p->graph->outputs.n;
	void **out = ARENA_ARRAY(arena, void *, n), *handle;
	CallFuzz *call;

	run_command(arena_printf(arena, "%s -std=c99 -fPIC -shared %s -o %s %s/fuzz.c %s/call.c",
	                         compiler, warnings, library, folder, folder));
	handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(handle != NULL, "%s", dlerror());
	*(void **)&call = dlsym(handle, "call_fuzz");
	ck_assert(call != NULL);
	for (int i = 0; i < n; i++)
		out[i] = arena_calloc(arena, COUNT, 8);
	ck_assert_int_eq(call((const void *const *)in, out), 0);
	compare_outputs(p, out, expected, compiler);
	dlclose(handle);
}

/* Steps one by one and all together. */
static void
run_in_memory(const Program *p, int level, void *const *in, void *const *expected)
{
	const void *const *from = (const void *const *)in;
	int n = p->graph->outputs.n;
	void **out = ARENA_ARRAY(arena, void *, n), **by_step = ARENA_ARRAY(arena, void *, n);
	LlvmJit *jit = llvm_jit(arena, p, level, &diag);

	if (!jit)
		ck_abort_msg("%s", diag.first->text);
	for (int i = 0; i < n; i++) {
		out[i] = arena_calloc(arena, COUNT, 8);
		by_step[i] = arena_calloc(arena, COUNT, 8);
	}
	llvm_jit_run(jit, from, out, NULL);
	compare_outputs(p, out, expected, arena_printf(arena, "JIT at -O%d", level));
	for (int i = 0; i < p->steps.n; i++)
		llvm_jit_run_step(jit, i, from, by_step, NULL);
	compare_outputs(p, by_step, expected, arena_printf(arena, "JIT, steps, at -O%d", level));
}

static void
compare_with_compilers(const Program *p)
{
	static const char *const compiler[] = {"gcc -O0", "gcc -O3", "clang -O0", "clang -O3"};
	void *in[NTYPES];
	void **expected = ARENA_ARRAY(arena, void *, p->graph->outputs.n);

	for (int t = 0; t < NTYPES; t++)
		in[t] = edge_values((DType)t);
	for (int i = 0; i < p->graph->outputs.n; i++)
		expected[i] = arena_calloc(arena, COUNT, 8);
	program_run(p, (const void *const *)in, expected);
	for (int level = 0; level <= 3 && llvm_major_version(); level++)
		run_in_memory(p, level, in, expected);
	for (size_t i = 0; i < sizeof compiler / sizeof *compiler; i++)
		if (have_tool(arena_strndup(arena, compiler[i], strcspn(compiler[i], " "))))
			run_compiled(p, compiler[i], in, expected);
	if (have_tool("g++"))
		run_command(arena_printf(arena, "g++ -std=c++11 -x c++ %s -c -o %s/cc.o %s/fuzz.c",
		                         warnings, folder, folder));
}

/* MCC_FUZZ_SEED and MCC_FUZZ_KERNELS ask for other and more kernels. */
static int
setting(const char *name, int standard_value)
{
	const char *text = getenv(name);

	return text ? atoi(text) : standard_value;
}

START_TEST(random_kernels_compute_the_same_when_compiled)
{
	int n = setting("MCC_FUZZ_KERNELS", 110);
	LFunc **fn = ARENA_ARRAY(arena, LFunc *, n);
	Program *p;

	seed = (uint32_t)(setting("MCC_FUZZ_SEED", 1) + _i);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (int i = 0; i < n; i++)
		fn[i] = random_kernel(i);
	p = wrap_kernels(fn, n);
	write_program(p);
	compare_with_compilers(p);
	run_command(arena_printf(arena, "rm -r %s", folder));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("cprint");
	TCase *tc = tcase_create("text"), *fuzz = tcase_create("random");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_model_becomes_a_function);
	tcase_add_test(tc, equal_kernels_and_equal_constants_are_printed_once);
	tcase_add_test(tc, names_are_legal_and_unique);
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
	tcase_add_checked_fixture(fuzz, setup, teardown);
	tcase_set_timeout(fuzz, 500);
	tcase_add_loop_test(fuzz, random_kernels_compute_the_same_when_compiled, 0, 2);
	suite_add_tcase(s, fuzz);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
