/*
 * Kernels with vectors of floats compute the bytes of the reference lowering, on a sweep of
 * convolutions with odd sizes, strides, dilations and padding, in every shape of a block
 * that machines with vectors of 16, 32 and 64 bytes might take; so do elementwise operators
 * by vectors, and sums side by side.
 */
#include <check.h>
#include <math.h>
#include <string.h>

#include "codegen/kernels/vector.h"
#include "ir/op.h"
#include "tests/unit/unit_arena.h"

static uint32_t seed;

static int32_t
draw(int32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (int32_t)((seed >> 8) % (uint32_t)n);
}

static float
draw_float(void)
{
	static const float edge[] = {0.0f, -0.0f, 1e30f, -1e30f, 1e-40f, 3.0f};

	return draw(12) == 0 ? edge[draw(6)] : (float)(draw(2001) - 1000) / 77.0f;
}

static float *
floats(int64_t n)
{
	float *v = ARENA_ARRAY(arena, float, n);

	for (int64_t i = 0; i < n; i++)
		v[i] = draw_float();
	return v;
}

typedef struct {
	int32_t batch, h, w, ic, groups, oc, kh, kw, sy, sx, dy, dx, pad[4];
	bool nhwc, bias, relu, infinite, minus_zero; /* a weight, a bias */
} Layer;

static const char *
layer_text(const Layer *l)
{
	return arena_printf(arena, "%s %dx%d, batch %d, %d inputs, groups %d, %d outputs, kernel "
	                    "%dx%d, stride %d,%d, dilation %d,%d, pads %d,%d,%d,%d%s%s",
	                    l->nhwc ? "nhwc" : "nchw", l->h, l->w, l->batch, l->ic, l->groups,
	                    l->oc, l->kh, l->kw, l->sy, l->sx, l->dy, l->dx, l->pad[0], l->pad[1],
	                    l->pad[2], l->pad[3], l->bias ? ", bias" : "", l->relu ? ", relu" : "");
}

static Ints
ints(int n, const int32_t *v)
{
	int64_t *list = ARENA_ARRAY(arena, int64_t, n);

	for (int i = 0; i < n; i++)
		list[i] = v[i];
	return (Ints){n, list};
}

static Type
image(const Layer *l, int32_t batch, int32_t channels, int32_t h, int32_t w)
{
	return l->nhwc ? type_make(DT_F32, 4, (int32_t[]){batch, h, w, channels})
	               : type_make(DT_F32, 4, (int32_t[]){batch, channels, h, w});
}

static Node *
make_conv(const Layer *l)
{
	Graph *g = graph_new(arena, "g");
	Type x = image(l, l->batch, l->ic, l->h, l->w);
	Type w = image(l, l->oc, l->ic / l->groups, l->kh, l->kw);
	Type bias = type_make(DT_F32, 1, (int32_t[]){l->oc});
	float *b = floats(l->oc), *weights = floats(type_numel(&w));
	Value *in[3];
	Attr_CONV *a;
	Node *n;

	for (int32_t i = 0; i < l->oc; i++)
		b[i] = b[i] == 0 ? (l->minus_zero ? -0.0f : 0) : b[i];
	if (l->minus_zero)
		b[0] = -0.0f;
	if (l->infinite)
		weights[0] = HUGE_VALF;
	in[0] = graph_input(g, "x", x);
	in[1] = graph_const(g, "w", w, weights);
	in[2] = graph_const(g, "b", bias, b);
	n = graph_add(g, OP_CONV, l->bias ? 3 : 2, in, "y");
	a = n->attr;
	a->strides = ints(2, (int32_t[]){l->sy, l->sx});
	a->dilations = ints(2, (int32_t[]){l->dy, l->dx});
	a->pads = ints(4, l->pad);
	a->group = l->groups;
	a->layout = l->nhwc ? LAYOUT_nhwc : LAYOUT_nchw;
	a->activation = l->relu ? ACTIVATION_relu6 : ACTIVATION_none;
	return node_infer(n, &diag) && type_numel(&n->out[0]->type) > 0 ? n : NULL;
}

static float *
run(const LFunc *f, const Node *n, float *const *x)
{
	void **bufs = ARENA_ARRAY(arena, void *, f->bufs.n);
	float *y = ARENA_ARRAY(arena, float, type_numel(&n->out[0]->type));

	for (int i = 0; i < n->nins && x[i]; i++)
		bufs[i] = x[i];
	bufs[n->nins] = y;
	lfunc_run(arena, f, bufs);
	return y;
}

static bool
is_same(float a, float b)
{
	return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void
expect_same(const LFunc *f, const char *what, const Node *n, const char *layer)
{
	const char *problem = lfunc_verify(f);
	float *x[3] = {NULL}, *want, *have;

	ck_assert_msg(!problem, "%s of %s: %s", what, layer, problem);
	for (int i = 0; i < n->nins && !n->in[i]->data; i++)
		x[i] = floats(type_numel(&n->in[i]->type));
	want = run(node_lower(arena, n), n, x);
	have = run(f, n, x);
	for (int64_t i = 0; i < type_numel(&n->out[0]->type); i++)
		ck_assert_msg(is_same(want[i], have[i]), "%s of %s: output %d is %a, not %a", what,
		              layer, (int)i, (double)have[i], (double)want[i]);
}

static const Target machines[] = {
	{.name = "sse", .vector_bytes = 16, .vector_registers = 16},
	{.name = "avx", .vector_bytes = 32, .vector_registers = 16},
	{.name = "avx512", .vector_bytes = 64, .vector_registers = 32},
	{.name = "neon", .vector_bytes = 16, .vector_registers = 32},
	{.name = "floats one by one"},
};

static Layer
random_layer(bool nhwc)
{
	Layer l = {.batch = 1 + draw(2), .h = 1 + draw(10), .w = 1 + draw(20), .ic = 1 + draw(6),
	           .groups = 1, .oc = 1 + draw(30), .kh = 1 + draw(4), .kw = 1 + draw(4),
	           .sy = 1 + draw(3), .sx = 1 + draw(3), .dy = 1 + draw(2), .dx = 1 + draw(2),
	           .nhwc = nhwc, .bias = draw(3), .relu = draw(2)};

	for (int i = 0; i < 4; i++)
		l.pad[i] = draw(3);
	if (draw(3) == 0)
		l.kh = l.kw = l.sy = l.sx = 1;
	if (draw(3) == 0) {
		l.groups = l.ic;
		l.oc = l.ic * (1 + draw(2));
	}
	if (draw(12) == 0)
		l.kh = l.kw = 7;
	if (draw(6) == 0)
		memset(l.pad, 0, sizeof l.pad);
	return l;
}

START_TEST(planar_convolutions_have_the_reference_bytes)
{
	int made = 0;

	for (seed = (uint32_t)(100 * _i + 1); made < 40;) {
		Layer l = random_layer(false);
		Node *n = make_conv(&l);
		FloatConv c;

		if (!n)
			continue;
		ck_assert(float_conv_read(&c, n));
		for (size_t m = 0; m < sizeof machines / sizeof *machines; m++) {
			FloatShape s;

			if (float_planar_shape(&c, &machines[m], &s) > 0) {
				expect_same(float_planar_lower(arena, &c, &s), machines[m].name, n,
				            layer_text(&l));
				made++;
			}
		}
	}
}
END_TEST

START_TEST(channel_convolutions_have_the_reference_bytes)
{
	int made = 0;

	for (seed = (uint32_t)(100 * _i + 3); made < 40;) {
		Layer l = random_layer(_i % 2 == 0);
		Node *n = make_conv(&l);
		FloatConv f;

		if (!n)
			continue;
		ck_assert(float_conv_read(&f, n));
		for (size_t m = 0; m < sizeof machines / sizeof *machines; m++) {
			ChannelConv c = channel_conv_of_floats(&f);
			ChannelShape s;

			if (channel_shape(&c, &machines[m], &s) == 0)
				continue;
			expect_same(channel_lower(arena, &c, &s), machines[m].name, n, layer_text(&l));
			s.pixels = 1 + draw(s.pixels);
			expect_same(channel_lower(arena, &c, &s), "fewer pixels", n, layer_text(&l));
			made++;
		}
	}
}
END_TEST

/* Every block of a layer whose rows are vectors, parts of vectors, or neither. */
START_TEST(planar_blocks_have_the_reference_bytes)
{
	static const int32_t widths[] = {4, 8, 16, 12, 9};
	Layer l = {.batch = 1, .h = 8, .w = widths[_i], .ic = 2, .groups = 1, .oc = 5, .kh = 3,
	           .kw = 3, .sy = 1, .sx = 1, .dy = 1, .dx = 1, .pad = {1, 1, 1, 1}, .bias = true};
	Node *n;
	FloatConv c;

	seed = 77;
	n = make_conv(&l);
	ck_assert(float_conv_read(&c, n));
	for (int lanes = 1; lanes <= 16; lanes *= lanes == 1 ? 4 : 2)
		for (int vectors = 1; vectors <= 6; vectors++)
			for (int channels = 1; channels <= 4; channels++) {
				FloatShape s = {lanes, vectors, channels};

				expect_same(float_planar_lower(arena, &c, &s), "a block", n,
				            layer_text(&l));
			}
}
END_TEST

static Node *
make_product(bool gemm, bool trans_b, bool bias)
{
	Graph *g = graph_new(arena, "g");
	int32_t k = 1 + draw(20), columns = 1 + draw(20);
	int32_t x[] = {1 + draw(3), gemm ? k : 1 + draw(9), k};
	Type w = type_make(DT_F32, 2, (int32_t[]){trans_b ? columns : k, trans_b ? k : columns});
	Value *in[3];
	Attr_GEMM *a;
	Node *n;

	in[0] = graph_input(g, "x", type_make(DT_F32, gemm ? 2 : 3, x));
	in[1] = graph_const(g, "w", w, floats(type_numel(&w)));
	in[2] = bias ? graph_const(g, "b", type_make(DT_F32, 1, (int32_t[]){columns}), floats(columns))
	             : NULL;
	n = graph_add(g, gemm ? OP_GEMM : OP_MATMUL, bias ? 3 : 2, in, "y");
	a = gemm ? n->attr : NULL;
	if (a)
		*a = (Attr_GEMM){.alpha = 1, .beta = 1, .trans_b = trans_b,
		                 .activation = draw(2) ? ACTIVATION_relu : ACTIVATION_none};
	ck_assert(node_infer(n, &diag));
	return n;
}

START_TEST(products_have_the_reference_bytes)
{
	seed = 11;
	for (int i = 0; i < 60; i++) {
		bool gemm = i % 3 > 0;
		Node *n = make_product(gemm, i % 3 == 2, gemm && draw(3));
		ChannelConv c;
		ChannelShape s;
		FloatConv f;

		ck_assert(float_product_read(&f, n));
		c = channel_conv_of_floats(&f);
		for (size_t m = 0; m < sizeof machines / sizeof *machines; m++)
			if (channel_shape(&c, &machines[m], &s) > 0)
				expect_same(channel_lower(arena, &c, &s), machines[m].name, n, "a product");
	}
}
END_TEST

/* A product with zero is not nothing then. */
START_TEST(padding_is_left_out_where_zero_is_not_neutral)
{
	Layer l = {.batch = 1, .h = 8, .w = 8, .ic = 1, .groups = 1, .oc = 2, .kh = 3, .kw = 3,
	           .sy = 1, .sx = 1, .dy = 1, .dx = 1, .pad = {1, 1, 1, 1}, .bias = true};
	FloatConv c;

	seed = 5;
	ck_assert(float_conv_read(&c, make_conv(&l)));
	l.infinite = true;
	ck_assert(!float_conv_read(&c, make_conv(&l)));
	l.infinite = false;
	l.minus_zero = true;
	ck_assert(!float_conv_read(&c, make_conv(&l)));
	memset(l.pad, 0, sizeof l.pad);
	ck_assert(float_conv_read(&c, make_conv(&l)));
}
END_TEST

/* Of the first input: a whole tensor, an axis of length 1 here and there, one number. */
START_TEST(elementwise_operators_have_the_reference_bytes)
{
	static const Op ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MIN, OP_MAX, OP_PRELU, OP_NEG,
	                         OP_ABS, OP_RELU, OP_CLAMP, OP_LEAKY_RELU, OP_HARD_SIGMOID,
	                         OP_HARD_SWISH};
	int made = 0;

	seed = 900 + (uint32_t)_i;
	for (int k = 0; k < 12; k++) {
		Graph *g = graph_new(arena, "g");
		int32_t dim[] = {1 + draw(2), 1 + draw(3), 1 + draw(5), 1 + draw(40)}, other[4];
		Value *in[2];
		LFunc *f;
		Node *n;

		for (int i = 0; i < 4; i++)
			other[i] = draw(2) ? dim[i] : 1;
		in[0] = graph_input(g, "x", type_make(DT_F32, 4, dim));
		in[1] = graph_input(g, "z", type_make(DT_F32, 4, other));
		n = graph_add(g, ops[_i], _i < 7 ? 2 : 1, in, "y");
		if (!node_infer(n, &diag))
			continue;
		f = node_lower_lanes(arena, n, 4 << draw(3));
		if (f)
			expect_same(f, op_info[ops[_i]].name, n, "some shape");
		made += f != NULL;
	}
	ck_assert_int_gt(made, 6);
}
END_TEST

START_TEST(sums_side_by_side_have_the_reference_bytes)
{
	seed = 3;
	for (int32_t channels = 2; channels < 20; channels++) {
		Graph *g = graph_new(arena, "g");
		Value *x = graph_input(g, "x", type_make(DT_F32, 4, (int32_t[]){1, channels, 3, 7}));
		Node *n = graph_add(g, channels % 2 ? OP_REDUCE_MEAN : OP_REDUCE_SUM, 1, &x, "y");
		Attr_REDUCE_SUM a = {.axes = ints(2, (int32_t[]){2, 3}), .keepdims = true};

		memcpy(n->attr, &a, sizeof a);
		ck_assert(node_infer(n, &diag));
		expect_same(node_lower_beside(arena, n, 8), "sums", n, "some channels");
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("vector kernels");
	TCase *tc = tcase_create("vectors");

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, planar_convolutions_have_the_reference_bytes, 0, 4);
	tcase_add_loop_test(tc, channel_convolutions_have_the_reference_bytes, 0, 8);
	tcase_add_loop_test(tc, planar_blocks_have_the_reference_bytes, 0, 5);
	tcase_add_loop_test(tc, elementwise_operators_have_the_reference_bytes, 0, 14);
	tcase_add_test(tc, sums_side_by_side_have_the_reference_bytes);
	tcase_add_test(tc, padding_is_left_out_where_zero_is_not_neutral);
	tcase_add_test(tc, products_have_the_reference_bytes);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
