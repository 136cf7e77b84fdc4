/*
 * Kernels of layers whose numbers are not all signed bytes: inputs and outputs of u8 and
 * i16, weights with a zero point of 9 bits less it; and tables of functions of one number.
 * Every kernel that a level lists for a
 * machine computes the bytes of the reference lowering.
 */
#include <check.h>
#include <math.h>
#include <string.h>

#include "codegen/kernels/generate.h"
#include "codegen/kernels/kernels.h"
#include "ir/lower.h"
#include "ir/num.h"
#include "tests/unit/unit_arena.h"

static uint32_t seed;

static int32_t
draw(int32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (int32_t)((seed >> 8) % (uint32_t)n);
}

/* A number of the type; where `extreme` one of its ends, 0 and near it. */
static int32_t
draw_number(DType t, bool extreme)
{
	QRange r = quant_limits(t);
	const int32_t ends[] = {r.lo, r.hi, r.lo + 1, 0, 1};

	return extreme ? ends[draw(5)] : r.lo + draw(r.hi - r.lo + 1);
}

static const Quant *
quant(int32_t n, double scale, int32_t zero)
{
	Quant *q = ARENA_NEW(arena, Quant);
	float *s = ARENA_ARRAY(arena, float, n);
	int32_t *z = ARENA_ARRAY(arena, int32_t, n);

	for (int32_t i = 0; i < n; i++)
		s[i] = (float)(scale * (1 + draw(100) / 20.0));
	z[0] = zero;
	*q = (Quant){0, n, s, z};
	return q;
}

static Value *
constant(Graph *g, Type t, int32_t least, int32_t count)
{
	int32_t n = type_numel(&t);
	void *data = arena_alloc(arena, type_bytes(&t));

	for (int32_t i = 0; i < n; i++)
		num_store_int(t.dtype, data, (size_t)i, least + draw(count));
	return graph_const(g, NULL, t, data);
}

static int32_t
zero_of(DType t)
{
	return t == DT_I16 ? 0 : draw_number(t, false);
}

/* What a layer is made of. */
typedef struct {
	DType x, y;
	bool depthwise, per_channel, small_weights;
	int32_t w_zero;
	const char *text;
} Layer;

static Ints
ints(int n, const int32_t *v)
{
	int64_t *list = ARENA_ARRAY(arena, int64_t, n);

	for (int i = 0; i < n; i++)
		list[i] = v[i];
	return (Ints){n, list};
}

static Value *
weights(Graph *g, const Layer *l, const int32_t *dim)
{
	Type t = type_make(DT_I8, 4, dim);

	t.q = quant(l->per_channel ? dim[0] : 1, 0.01, l->w_zero);
	return l->small_weights ? constant(g, t, -20, 41) : constant(g, t, -128, 256);
}

/* NULL when there is no such convolution. */
static Node *
make_conv(Layer *l)
{
	static const int32_t channels[] = {1, 2, 3, 4, 5, 8, 10, 12, 16, 17, 31};
	Graph *g = graph_new(arena, "g");
	int32_t ic = channels[draw(11)], oc = l->depthwise ? ic + 1 : channels[draw(11)];
	int32_t h = 1 + draw(8), w = 1 + draw(8), kh = 1 + draw(4), kw = 1 + draw(4), pad = draw(3);
	int32_t s = 1 + draw(2), batch = 1 + draw(2);
	Value *in[3];
	Type x, bias;
	Attr_CONV *a;
	Node *n;

	if (draw(3) == 0 && !l->depthwise)
		kh = kw = s = 1, pad = 0;
	ic = l->depthwise ? oc : ic;
	x = type_make(l->x, 4, (int32_t[]){batch, h, w, ic});
	x.q = quant(1, 0.02, zero_of(l->x));
	in[0] = graph_input(g, "x", x);
	in[1] = weights(g, l, (int32_t[]){oc, kh, kw, l->depthwise ? 1 : ic});
	bias = type_make(l->x == DT_I16 && draw(4) ? DT_I64 : DT_I32, 1, (int32_t[]){oc});
	in[2] = constant(g, bias, -10000, 20001);
	n = graph_add(g, OP_CONV, draw(4) ? 3 : 2, in, "y");
	a = n->attr;
	a->strides = ints(2, (int32_t[]){s, s});
	a->pads = ints(4, (int32_t[]){pad, draw(2), draw(2), pad});
	a->group = l->depthwise ? oc : 1;
	a->layout = LAYOUT_nhwc;
	a->activation = draw(2) ? ACTIVATION_relu : ACTIVATION_none;
	a->float_scale = draw(2);
	n->out[0]->type.dtype = l->y;
	n->out[0]->type.q = quant(1, (draw(5) ? 0.03 : 0.0005) * sqrt((double)kh * kw * ic),
	                          zero_of(l->y));
	g->single_rounding = draw(4) == 0;
	l->text = arena_printf(arena, "%s to %s, zero %d, [%d,%d,%d,%d] to %d, %dx%d stride %d "
	                       "pad %d%s", dtype_info[l->x].name, dtype_info[l->y].name, l->w_zero,
	                       batch, h, w, ic, oc, kh, kw, s, pad, l->depthwise ? " depthwise" : "");
	return node_infer(n, &diag) ? n : NULL;
}

static void *
run(const LFunc *f, const Node *n, void *x)
{
	void **bufs = ARENA_ARRAY(arena, void *, f->bufs.n);
	void *y = arena_alloc(arena, type_bytes(&n->out[0]->type));

	bufs[0] = x;
	bufs[n->nins] = y;
	lfunc_run(arena, f, bufs);
	return y;
}

static void
expect_same(const NodeKernel *k, const Node *n, const Layer *l)
{
	const LFunc *reference = node_lower(arena, n);
	const Type *t = &n->in[0]->type;
	const char *problem = lfunc_verify(k->fn);

	ck_assert_msg(!problem, "%s of %s: %s", k->name, l->text, problem);
	for (int extreme = 0; extreme < 2; extreme++) {
		void *x = arena_alloc(arena, type_bytes(t));

		for (int32_t i = 0; i < type_numel(t); i++)
			num_store_int(t->dtype, x, (size_t)i, draw_number(t->dtype, extreme));
		ck_assert_msg(memcmp(run(reference, n, x), run(k->fn, n, x),
		                     type_bytes(&n->out[0]->type)) == 0,
		              "%s of %s differs", k->name, l->text);
	}
}

static const Target machines[] = {
	{.name = "armv7em", .isa = ISA_MUL | ISA_MUL_HIGH | ISA_ARM_DSP | ISA_ARM_SINGLE},
	{.name = "cortex-m7", .isa = ISA_MUL | ISA_MUL_HIGH | ISA_ARM_DSP},
	{.name = "cortex-m55", .vector_bytes = 16, .vector_registers = 8,
	 .isa = ISA_MUL | ISA_MUL_HIGH | ISA_ARM_DSP | ISA_ARM_MVE | ISA_VECTOR},
	{.name = "armv7m", .isa = ISA_MUL | ISA_MUL_HIGH | ISA_ARM_MLA},
	{.name = "avr", .int_bytes = 2},
	{.name = "armv6m", .isa = ISA_MUL},
	{.name = "riscv32", .isa = ISA_MUL | ISA_MUL_HIGH},
	{.name = "x86-64", .vector_bytes = 32, .vector_registers = 16,
	 .isa = ISA_MUL | ISA_FLOAT | ISA_X86_AVX2},
};

/* Layers by the type of the input and the output, and the zero point of the weights. */
static Layer
layer_of(int i)
{
	static const DType type[][2] = {
		{DT_I8, DT_U8}, {DT_U8, DT_I8}, {DT_U8, DT_U8}, {DT_I8, DT_I8}, {DT_I16, DT_I16}};
	int k = i % 5;
	Layer l = {.x = type[k][0], .y = type[k][1], .depthwise = draw(3) == 0,
	           .per_channel = draw(2), .small_weights = draw(2)};

	if (!l.per_channel && l.x != DT_I16)
		l.w_zero = draw(256) - 128;
	return l;
}

START_TEST(all_types_have_the_reference_bytes)
{
	static const char levels[] = "32s";
	int made = 0, kernels = 0;

	seed = 77u * (uint32_t)_i;
	for (int i = 0; made < 60; i++) {
		Layer l = layer_of(i);
		Node *n = make_conv(&l);

		for (size_t m = 0; n && m < sizeof machines / sizeof *machines; m++)
			for (const char *level = levels; *level; level++) {
				KernelOptions o = {.target = &machines[m], .level = *level};
				NodeKernels all = kernels_of(arena, n, &o);

				for (int k = 0; k + 1 < all.n; k++, kernels++)
					expect_same(&all.v[k], n, &l);
			}
		made += n != NULL;
	}
	ck_assert_int_ge(kernels, 200);
}
END_TEST

/* ---- Functions of one number ---- */

enum { NUMBERS = 4096 };

static Node *
make_function(Op op, DType x, DType y)
{
	Graph *g = graph_new(arena, "g");
	Type in = type_make(x, 1, (int32_t[]){NUMBERS + draw(4)}), *out;
	Value *v;
	Node *n;

	in.q = x == DT_F32 ? NULL : quant(1, 0.02, draw_number(x, false));
	v = graph_input(g, "x", in);
	n = graph_add(g, op, 1, &v, "y");
	out = &n->out[0]->type;
	out->dtype = y;
	out->q = y == DT_F32 ? NULL : quant(1, 0.01, draw_number(y, draw(2)));
	if (y == DT_F32)
		((Attr_REQUANTIZE *)n->attr)->to = DT_F32;
	else if (op == OP_REQUANTIZE)
		((Attr_REQUANTIZE *)n->attr)->half_even = draw(2);
	ck_assert(node_infer(n, &diag));
	return n;
}

/* Any float, a multiple of half a step, or the one before or behind it. */
static float
draw_float(float step)
{
	uint32_t bits = (uint32_t)draw(1 << 16) << 16 | (uint32_t)draw(1 << 16);
	float x;

	if (draw(3) == 0) {
		memcpy(&x, &bits, sizeof x);
		return x;
	}
	x = (float)(draw(1200) - 600) * 0.5f * step;
	return draw(3) ? nextafterf(x, draw(2) ? INFINITY : -INFINITY) : x;
}

static void
expect_same_function(const LFunc *f, const Node *n)
{
	const Type *t = &n->in[0]->type;
	void *x = arena_alloc(arena, type_bytes(t));

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_null(lfunc_verify(f));
	for (int32_t i = 0; i < type_numel(t); i++)
		if (t->dtype == DT_F32)
			((float *)x)[i] = draw_float(quant_scale(&n->out[0]->type));
		else
			num_store_int(t->dtype, x, (size_t)i, draw_number(t->dtype, draw(2)));
	ck_assert(memcmp(run(node_lower(arena, n), n, x), run(f, n, x),
	                 type_bytes(&n->out[0]->type)) == 0);
}

START_TEST(tables_have_the_reference_bytes)
{
	static const Op op[] = {OP_REQUANTIZE, OP_RELU, OP_ABS, OP_LEAKY_RELU, OP_HARD_SWISH};
	static const DType type[] = {DT_I8, DT_U8};

	seed = 3;
	for (int i = 0; i < 40; i++) {
		Node *n = make_function(op[draw(5)], type[draw(2)], type[draw(2)]);

		expect_same_function(lookup_lower(arena, n), n);
	}
	for (int i = 0; i < 4; i++) {
		Node *n = make_function(OP_REQUANTIZE, type[draw(2)], DT_F32);

		expect_same_function(lookup_lower(arena, n), n);
	}
}
END_TEST

START_TEST(thresholds_have_the_reference_bytes)
{
	seed = 4;
	for (int i = 0; i < 30; i++) {
		Node *n = make_function(OP_REQUANTIZE, DT_F32, draw(2) ? DT_I8 : DT_U8);

		expect_same_function(thresholds_lower(arena, n), n);
	}
}
END_TEST

START_TEST(other_functions_have_no_tables)
{
	Node *wide = make_function(OP_REQUANTIZE, DT_F32, DT_I16);

	seed = 5;
	ck_assert_ptr_null(thresholds_lower(arena, wide));
	ck_assert_ptr_null(lookup_lower(arena, wide));
	ck_assert_ptr_null(lookup_lower(arena, make_function(OP_REQUANTIZE, DT_I16, DT_I8)));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("kernel_types");
	TCase *tc = tcase_create("kernel_types");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, all_types_have_the_reference_bytes, 0, 6);
	tcase_add_test(tc, tables_have_the_reference_bytes);
	tcase_add_test(tc, thresholds_have_the_reference_bytes);
	tcase_add_test(tc, other_functions_have_no_tables);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
