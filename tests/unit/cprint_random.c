#define _POSIX_C_SOURCE 200809L
/*
 * The C printer over random kernels of all operations and types: compiled and
 * compared with the interpreter, bit by bit.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "codegen/llvm/llvm.h"
#include "ir/num.h"
#include "tests/unit/print_kernels.h"
#include "tests/unit/unit.h"

static uint32_t seed;
static LBuilder b;

static uint32_t
random_below(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(seed >> 4) * n) >> 28);
}

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
	case 1:
		i = loop_affine(&b, i, 3, (int64_t)random_below(9));
		return loop_op2(&b, KOP_REM, i, loop_idx(&b, COUNT));
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
		if (named.v[i]->type == t && !named.v[i]->lanes && random_below(3) == 0)
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
gen_packed(int depth)
{
	POp op = (POp)random_below(POP_COUNT);
	Expr *x[MAX_POP_ARGS] = {NULL};

	for (int i = 0; i < pop_info[op].nargs; i++)
		x[i] = gen(pop_info[op].arg[i], depth);
	return loop_packed(&b, op, x[0], x[1], x[2]);
}

static Expr *
gen_dot(int depth)
{
	LBuf *x = in_buf[depth % 2 ? DT_I32 : DT_I8];
	Expr *at[2];

	for (int i = 0; i < 2; i++)
		at[i] = loop_op2(&b, KOP_MIN, gen_index(0), loop_idx(&b, COUNT - DOT_ELEMENTS));
	return loop_dot(&b, gen(DT_I32, depth), x, at[0], in_buf[DT_I8], at[1]);
}

static Expr *
gen_wide_load(void)
{
	static const DType narrow[] = {DT_I8, DT_U8, DT_I16};

	return loop_load_wide(&b, in_buf[narrow[random_below(3)]],
	                      loop_op2(&b, KOP_MIN, gen_index(0), loop_idx(&b, COUNT - 4)));
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
	if (t == DT_I32 && random_below(5) == 0)
		return random_below(4)   ? gen_packed(depth - 1)
		       : random_below(2) ? gen_wide_load()
		                         : gen_dot(depth - 1);
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

/* ---- Vectors ---- */

static int lanes;

static Expr *
gen_vector_leaf(DType t)
{
	static const DType narrow[] = {DT_I8, DT_U8, DT_I16, DT_U16};
	Expr *at = loop_op2(&b, KOP_MIN, gen_index(1), loop_idx(&b, COUNT - lanes));
	LBuf *buf = in_buf[narrow[random_below(4)]];

	for (int i = named.n - 1; i >= 0; i--)
		if (named.v[i]->type == t && named.v[i]->lanes && random_below(2))
			return named.v[i];
	if (random_below(3) == 0)
		return loop_splat(&b, gen(t, 1), lanes);
	if (t == DT_F32 || random_below(3) == 0)
		return loop_load_lanes(&b, in_buf[t], at, lanes);
	if (lanes > 8 || random_below(2) || !dtype_has_wide_load(buf->elem))
		return loop_cvt(&b, DT_I32, loop_load_lanes(&b, buf, at, lanes));
	at = loop_op2(&b, KOP_MIN, gen_index(1), loop_idx(&b, COUNT - 4 * lanes));
	return loop_load_wide_lanes(&b, buf, at, lanes);
}

static Expr *
gen_vector(DType t, int depth)
{
	KOp op = (KOp)random_below(KOP_COUNT);
	POp pop = (POp)random_below(POP_COUNT);
	Expr *x[4] = {NULL};

	if (depth <= 0)
		return gen_vector_leaf(t);
	if (t == DT_I32 && random_below(3) == 0) {
		for (int i = 0; i < pop_info[pop].nargs; i++)
			x[i] = gen_vector(t, depth - 1);
		return loop_packed(&b, pop, x[0], x[1], x[2]);
	}
	if (t == DT_F32 && random_below(8) == 0)
		return loop_cvt(&b, t, gen_vector(DT_I32, depth - 1));
	for (int i = 0; i < 4; i++)
		x[i] = gen_vector(t, depth - 1);
	while (!kop_has_vectors(op, t))
		op = (KOp)random_below(KOP_COUNT);
	if (kop_info[op].to_bool)
		return loop_select(&b, random_below(4) ? loop_op2(&b, op, x[0], x[1]) : gen(DT_BOOL, 2),
		                   x[2], x[3]);
	return kop_info[op].arity == 1 ? loop_op1(&b, op, x[0]) : loop_op2(&b, op, x[0], x[1]);
}

/* Stores to `lanes` elements from out[i] on. */
static void
gen_vector_body(LBuf *out)
{
	DType t = out->elem == DT_F32 ? DT_F32 : DT_I32;
	LVar *v;

	VEC_PUSH(arena, &named, loop_let(&b, "w", gen_vector(DT_F32, 2)));
	VEC_PUSH(arena, &named, loop_let(&b, "w", gen_vector(DT_I32, 2)));
	v = loop_var(&b, "acc", gen_vector(t, 2));
	VEC_PUSH(arena, &named, loop_get(&b, v));
	loop_for(&b, "n", 0, 2);
	loop_set(&b, v, gen_vector(t, 2));
	loop_end(&b);
	loop_store_cvt(&b, out, loop_index, gen_vector(t, 1 + (int)random_below(2)));
}

static bool
has_vectors(DType t)
{
	return t == DT_F32 || t == DT_I32 || t == DT_I8 || t == DT_U8 || t == DT_I16 || t == DT_U16;
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
	lanes = has_vectors(out->elem) && random_below(2) ? 2 << random_below(4) : 0;
	loop_index = loop_for_step(&b, "i", 0, COUNT, lanes ? lanes : 1);
	if (lanes)
		gen_vector_body(out);
	else
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
	static const char *const compiler[] = {
		"gcc -O0", "gcc -O3", "clang -O0", "clang -O3",
		"gcc -O3 -march=native", "clang -O1 -march=native", "gcc -O1 -march=native -mno-avx512f"};
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
	Suite *s = suite_create("cprint_random");
	TCase *tc = tcase_create("random");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 500);
	tcase_add_loop_test(tc, random_kernels_compute_the_same_when_compiled, 0, 2);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
