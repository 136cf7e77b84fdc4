/*
 * Kernels for targets compute the bytes of the reference lowering: every shape that a
 * generator can be asked for, on a sweep of convolutions and products with odd sizes,
 * strides, dilations, padding and extreme values.
 */
#include <check.h>
#include <math.h>
#include <string.h>

#include "codegen/kernels/generate.h"
#include "codegen/kernels/kernels.h"
#include "codegen/kernels/vector.h"
#include "ir/lower.h"
#include "tests/unit/unit_arena.h"

static uint32_t seed;

/* One of so many weights of the kind SPARSE is not 0. */
static int32_t sparsity = 5;

static int32_t
draw(int32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (int32_t)((seed >> 8) % (uint32_t)n);
}

/* What kind of numbers a layer has. */
typedef enum { RANDOM, EXTREME, LEAST, KINDS, BITS4, BITS2, SPARSE, PALETTE, ALL_KINDS } Kind;

/* What the weights of the kind PALETTE are taken from. */
static int8_t palette[64];
static int32_t colors = 1;

static int8_t
draw_i8(Kind kind)
{
	static const int8_t extreme[] = {INT8_MIN, INT8_MAX, -127, 0, 1, -1};

	if (kind == BITS4 || kind == BITS2)
		return (int8_t)(kind == BITS4 ? draw(16) - 8 : draw(4) - 2);
	if (kind == SPARSE)
		return (int8_t)(draw(sparsity) ? 0 : draw(256) - 128);
	if (kind == PALETTE)
		return palette[draw(colors)];
	if (kind == RANDOM)
		return (int8_t)(draw(255) - 127);
	return kind == EXTREME ? extreme[1 + draw(5)] : extreme[draw(6)];
}

static const Quant *
quant(int32_t n, double scale, bool per_channel, int32_t zero)
{
	int32_t count = per_channel ? n : 1;
	Quant *q = ARENA_NEW(arena, Quant);
	float *s = ARENA_ARRAY(arena, float, count);
	int32_t *z = ARENA_ARRAY(arena, int32_t, count);

	for (int32_t i = 0; i < count; i++)
		s[i] = (float)(scale * (1 + draw(100) / 20.0));
	z[0] = zero;
	*q = (Quant){0, count, s, z};
	return q;
}

static Value *
constant(Graph *g, const char *name, Type t, Kind kind)
{
	int32_t n = type_numel(&t);
	void *data = arena_alloc(arena, type_bytes(&t));

	for (int32_t i = 0; i < n; i++)
		if (t.dtype == DT_I8)
			((int8_t *)data)[i] = draw_i8(kind);
		else
			((int32_t *)data)[i] = draw(20001) - 10000;
	return graph_const(g, name, t, data);
}

typedef struct {
	int32_t batch, h, w, ic, groups, oc, kh, kw, sy, sx, dy, dx, pad[4];
	bool per_channel, relu, single, large;
	Kind kind;
} Layer;

static Ints
ints(int n, const int32_t *v)
{
	int64_t *list = ARENA_ARRAY(arena, int64_t, n);

	for (int i = 0; i < n; i++)
		list[i] = v[i];
	return (Ints){n, list};
}

static Node *
finish(Graph *g, Node *n, const Layer *l)
{
	double taps = sqrt((double)l->kh * l->kw * l->ic / l->groups);

	/* Most outputs within the range, or (large) factors of more than a half. */
	n->out[0]->type.dtype = DT_I8;
	n->out[0]->type.q = quant(1, l->large ? 0.0001 : 0.03 * taps, false, draw(256) - 128);
	g->single_rounding = l->single;
	return node_infer(n, &diag) ? n : NULL;
}

/* NULL when there is no such convolution. */
static Node *
make_conv(const Layer *l)
{
	Graph *g = graph_new(arena, "g");
	Type x = type_make(DT_I8, 4, (int32_t[]){l->batch, l->h, l->w, l->ic});
	Type w = type_make(DT_I8, 4, (int32_t[]){l->oc, l->kh, l->kw, l->ic / l->groups});
	Type bias = type_make(DT_I32, 1, (int32_t[]){l->oc});
	Value *in[3];
	Node *n;
	Attr_CONV *a;

	x.q = quant(1, 0.02, false, draw(256) - 128);
	w.q = quant(l->oc, 0.01, l->per_channel, 0);
	in[0] = graph_input(g, "x", x);
	in[1] = constant(g, "w", w, l->kind);
	in[2] = constant(g, "b", bias, RANDOM);
	n = graph_add(g, OP_CONV, draw(4) ? 3 : 2, in, "y");
	a = n->attr;
	a->strides = ints(2, (int32_t[]){l->sy, l->sx});
	a->dilations = ints(2, (int32_t[]){l->dy, l->dx});
	a->pads = ints(4, l->pad);
	a->group = l->groups;
	a->layout = LAYOUT_nhwc;
	a->activation = l->relu ? ACTIVATION_relu : ACTIVATION_none;
	return finish(g, n, l);
}

static Node *
make_gemm(const Layer *l)
{
	Graph *g = graph_new(arena, "g");
	bool transposed = draw(2);
	Type x = type_make(DT_I8, 2, (int32_t[]){l->batch, l->ic});
	Type w = type_make(DT_I8, 2, (int32_t[]){transposed ? l->oc : l->ic,
	                                         transposed ? l->ic : l->oc});
	Type bias = type_make(DT_I32, 1, (int32_t[]){l->oc});
	Value *in[3];
	Node *n;

	x.q = quant(1, 0.02, false, draw(256) - 128);
	w.q = quant(1, 0.01, false, 0);
	in[0] = graph_input(g, "x", x);
	in[1] = constant(g, "w", w, l->kind);
	in[2] = constant(g, "b", bias, RANDOM);
	n = graph_add(g, OP_GEMM, draw(4) ? 3 : 2, in, "y");
	((Attr_GEMM *)n->attr)->trans_b = transposed;
	return finish(g, n, l);
}

/* ---- Comparing ---- */

static const char *
layer_text(const Layer *l)
{
	return arena_printf(arena, "[%d,%d,%d,%d] groups %d, %d outputs, kernel %dx%d, stride "
	                    "%d,%d, dilation %d,%d, pads %d,%d,%d,%d%s%s%s%s kind %d",
	                    l->batch, l->h, l->w, l->ic, l->groups, l->oc, l->kh, l->kw, l->sy,
	                    l->sx, l->dy, l->dx, l->pad[0], l->pad[1], l->pad[2], l->pad[3],
	                    l->per_channel ? ", a scale a channel" : "", l->relu ? ", relu" : "",
	                    l->single ? ", single rounding" : "", l->large ? ", large" : "",
	                    (int)l->kind);
}

static int8_t *
run(const LFunc *f, const Node *n, int8_t *x)
{
	void **bufs = ARENA_ARRAY(arena, void *, f->bufs.n);
	int8_t *y = ARENA_ARRAY(arena, int8_t, type_numel(&n->out[0]->type));

	bufs[0] = x;
	bufs[n->nins] = y;
	lfunc_run(arena, f, bufs);
	return y;
}

static void
expect_same(const LFunc *f, const char *what, const Node *n, const Layer *l)
{
	const LFunc *reference = node_lower(arena, n);
	int32_t elements = type_numel(&n->in[0]->type);
	const char *problem = lfunc_verify(f);

	ck_assert_msg(!problem, "%s of %s: %s", what, layer_text(l), problem);
	for (int kind = 0; kind < KINDS; kind++) {
		int8_t *x = ARENA_ARRAY(arena, int8_t, elements), *want, *have;

		for (int32_t i = 0; i < elements; i++)
			x[i] = kind == LEAST ? INT8_MIN : draw_i8((Kind)kind);
		want = run(reference, n, x);
		have = run(f, n, x);
		ck_assert_msg(memcmp(want, have, (size_t)type_numel(&n->out[0]->type)) == 0,
		              "%s of %s differs", what, layer_text(l));
	}
}

/* Every pair of values that 256 elements can have, in some order. */
static void
expect_same_sum(const LFunc *f, const Node *n)
{
	const LFunc *reference = node_lower(arena, n);
	size_t count = (size_t)type_numel(&n->out[0]->type);

	ck_assert_ptr_null(lfunc_verify(f));
	for (int shift = 0; shift < 256; shift += 5) {
		int8_t x[2][256], y[2][256];
		void *bufs[8] = {x[0], x[1], y[0]};

		for (int i = 0; i < 256; i++) {
			x[0][i] = (int8_t)(i - 128);
			x[1][i] = (int8_t)((i + shift) % 256 - 128);
		}
		lfunc_run(arena, f, bufs);
		bufs[2] = y[1];
		lfunc_run(arena, reference, bufs);
		ck_assert(memcmp(y[0], y[1], count) == 0);
	}
}

/* ---- Shapes ---- */

static void
check_dense(const Conv *c, const Node *n, const Layer *l)
{
	bool direct = conv_is_pointwise(c) && c->ic >= 4;
	int32_t total = c->batch * c->out_h * c->out_w;

	for (int pixels = 1; pixels <= 4; pixels++) {
		DenseShape s = {.pixels = pixels, .pairs = pixels == 1 ? 1 + draw(4) : 1 + draw(2),
		                .step = 1 + draw(2), .body = 2 << draw(3), .unroll = draw(2) * draw(30),
		                .strip = draw(c->out_h + 1), .at_once = draw(4), .split = draw(2),
		                .packed = draw(2), .uniform = draw(2)};

		s.direct = direct && (s.split || total % pixels == 0) && draw(3);
		s.step = s.direct ? 2 : s.step;
		expect_same(dense_lower(arena, c, &s), arena_printf(arena, "dense %dx%d", pixels, s.pairs),
		            n, l);
	}
}

static void
check_depthwise(const Conv *c, const Node *n, const Layer *l)
{
	for (int pixels = 1; pixels <= 2; pixels++) {
		DepthwiseShape s = {.pixels = pixels, .unroll = draw(2) ? 9 : 1,
		                    .bytes = draw(2), .packed = draw(2)};

		expect_same(depthwise_lower(arena, c, &s), "depthwise", n, l);
	}
	if (taps_fits(c))
		expect_same(taps_lower(arena, c, c->oc % 4 == 0 && draw(2)), "taps", n, l);
	for (int i = 0; i < 4; i++) {
		PlanarShape s = {.most = i % 2 ? 100000 : draw(3000), .blocks = 1 + draw(3),
		                 .turned = i >= 2};

		if (!planar_fits(c, s.turned))
			continue;
		expect_same(planar_lower(arena, c, &s), "planar", n, l);
	}
}

static void
check_scalar(const Conv *c, const Node *n, const Layer *l)
{
	int narrow = scalar_narrow(c);
	ScalarShape in_16_bits = {.pixels = 1 + draw(2), .channels = c->groups > 1 ? 1 : 1 + draw(2),
	                          .body = 4 + 4 * draw(2), .unroll = draw(2) * 9, .narrow = narrow};

	ck_assert_int_ge(narrow, 1);
	expect_same(scalar_lower(arena, c, &in_16_bits), "scalar in 16 bits", n, l);
	for (int pixels = 1; pixels <= 5; pixels++) {
		ScalarShape s = {.pixels = pixels, .channels = c->groups > 1 ? 1 : 1 + draw(4),
		                 .body = 1 + draw(4), .unroll = draw(2) * 9,
		                 .vectors = c->groups == 1 && draw(2), .parts = draw(2),
		                 .strip = 1 + draw(c->out_h)};

		expect_same(scalar_lower(arena, c, &s),
		            arena_printf(arena, "scalar %dx%d", pixels, s.channels), n, l);
	}
}

/* By vectors of output channels, on machines with and without products of bytes. */
static void
check_channels(const Conv *c, const Node *n, const Layer *l)
{
	static const Target machines[] = {
		{.name = "sse", .vector_bytes = 16, .vector_registers = 16, .isa = ISA_X86_SSE2},
		{.name = "avx vnni", .vector_bytes = 32, .vector_registers = 16, .isa = ISA_X86_VNNI},
		{.name = "avx512", .vector_bytes = 64, .vector_registers = 32, .isa = ISA_X86_SSE2},
		{.name = "riscv", .vector_bytes = 32, .vector_registers = 32},
		{.name = "mve", .vector_bytes = 16, .vector_registers = 8, .isa = ISA_ARM_MVE},
		{.name = "avx512 vnni", .vector_bytes = 64, .vector_registers = 32,
		 .isa = ISA_X86_VNNI},
		{.name = "neon", .vector_bytes = 16, .vector_registers = 32, .isa = ISA_ARM_NEON},
		{.name = "neon dot", .vector_bytes = 16, .vector_registers = 32,
		 .isa = ISA_ARM_NEON | ISA_ARM_DOT},
	};
	ChannelConv conv = channel_conv_of_int8(c);

	for (size_t m = 0; m < sizeof machines / sizeof *machines; m++) {
		ChannelShape s;

		if (channel_shape(&conv, &machines[m], &s) == 0)
			continue;
		expect_same(channel_lower(arena, &conv, &s), machines[m].name, n, l);
		s.copied = !s.copied;
		s.pixels = 1 + draw(s.pixels);
		expect_same(channel_lower(arena, &conv, &s), "another block", n, l);
	}
}

/* Sums of sixteen products, and outputs by vectors. */
static void
check_dots(const Conv *c, const Node *n, const Layer *l)
{
	for (int pixels = 1; pixels <= 4; pixels++) {
		DotsShape s = {.pixels = pixels, .channels = 1 << draw(3), .unroll = draw(12),
		               .chunk = 1 + draw(30)};

		s.body = 1 + draw(s.unroll < 3 ? s.unroll + 1 : 3);
		expect_same(dots_lower(arena, c, &s),
		            arena_printf(arena, "dots %dx%d", pixels, s.channels), n, l);
	}
}

static void
check_columns(const Conv *c, const Node *n, const Layer *l)
{
	for (int body = 1; body <= 6; body += 2)
		expect_same(columns_lower(arena, c, &(ColumnsShape){.body = body}), "columns", n, l);
}

static void
check_dual(const Conv *c, const Node *n, const Layer *l)
{
	for (int pixels = 1; pixels <= 2; pixels++) {
		ScalarShape s = {.pixels = pixels, .channels = 2, .body = 1 + draw(4), .dual = true,
		                 .parts = draw(2)};

		expect_same(scalar_lower(arena, c, &s), "scalar, dual", n, l);
	}
}

static void
check_braid(const Conv *c, const Node *n, const Layer *l)
{
	for (int pixels = 1; pixels <= 4; pixels++) {
		BraidShape s = {.pixels = pixels, .sets = 1 + draw(3), .body = 1 + draw(4),
		                .strip = draw(2) ? 1 + draw(c->out_h) : 0,
		                .one_by_one = draw(2), .parts = draw(2)};

		expect_same(braid_lower(arena, c, &s), "braid", n, l);
	}
}

static void
check_unpacked(const Conv *c, const Node *n, const Layer *l)
{
	for (int i = 0; i < 6; i++) {
		UnpackedShape s = {.form = (UnpackForm)(i % 3), .pixels = 1 + draw(4),
		                   .body = 1 + draw(9), .strip = 1 + draw(c->out_h),
		                   .bits = 1 << draw(3)};

		if (unpacked_fits(c, &s))
			expect_same(unpacked_lower(arena, c, &s), "unpacked", n, l);
	}
}

static void
check_packed(const Conv *c, const Node *n, const Layer *l)
{
	int bits = conv_weight_bits(c);

	if (bits > 4)
		return;
	for (int pixels = 1; pixels <= 4; pixels++) {
		PackedShape s = {.bits = bits, .pixels = pixels, .pairs = pixels == 1 ? 1 + draw(3) : 1,
		                 .channels = 1 << draw(3), .body = draw(2) ? 4 : 8,
		                 .unroll = draw(30), .strip = draw(2) ? 1 + draw(c->out_h) : 0};

		if (packed_dot2_fits(c, bits))
			expect_same(packed_dot2_lower(arena, c, &s), "packed dot2", n, l);
		expect_same(packed_scalar_lower(arena, c, &s), "packed scalar", n, l);
		s.tested = true;
		s.pixels = 1;
		expect_same(packed_scalar_lower(arena, c, &s), "packed", n, l);
	}
}

static void
check_palette(const Conv *c, const Node *n, const Layer *l)
{
	for (int pixels = 1; pixels <= 4; pixels++)
		for (int bits = 1; bits <= 6; bits++) {
			PackedShape s = {.bits = bits, .palette = true, .pixels = pixels,
			                 .channels = pixels == 1 ? 1 + draw(6) : 1 + draw(2),
			                 .body = 1 + draw(3), .strip = draw(2) ? 1 + draw(c->out_h) : 0};

			if (palette_fits(c, bits))
				expect_same(palette_lower(arena, c, &s), "palette", n, l);
			s.channels = 1 << draw(3);
			if (packed_scalar_fits(c, &s))
				expect_same(packed_scalar_lower(arena, c, &s), "packed palette", n, l);
			s.tested = true;
			s.pixels = 1;
			if (packed_scalar_fits(c, &s))
				expect_same(packed_scalar_lower(arena, c, &s), "palette without buffer",
				            n, l);
		}
}

static void
check_sparse(const Conv *c, const Node *n, const Layer *l)
{
	int bits = conv_weight_bits(c);

	for (int pixels = 1; pixels <= 8; pixels++)
		for (int planes = 0; planes < 2; planes++) {
			SparseShape s = {.planes = planes, .strip = draw(2) ? 1 + draw(c->out_h) : 0, .dsp = draw(2), .pixels = pixels, .unit = 1 << draw(3),
			                 .bits = bits};

			while (s.unit * bits % 8 != 0)
				s.unit *= 2;
			if ((planes && pixels % 2) || !sparse_fits(c, &s))
				continue;
			expect_same(sparse_lower(arena, c, &s), planes ? "planes" : "sparse", n, l);
		}
	for (int pixels = 1; pixels <= 4; pixels++) {
		QuadShape s = {.pixels = pixels, .unit = 1 << draw(3),
		               .strip = draw(2) ? 1 + draw(c->out_h) : 0};

		s.window = s.strip && draw(2);
		if (quads_fits(c, &s))
			expect_same(quads_lower(arena, c, &s), "blocks", n, l);
	}
	for (int channels = 1; channels <= 8 && unrolled_fits(c); channels++) {
		UnrolledShape s = {.channels = channels, .dsp = draw(2)};

		expect_same(unrolled_lower(arena, c, &s), "unrolled", n, l);
	}
	for (int pixels = 1; pixels <= 4; pixels++) {
		SparseShape s = {.mask = true, .pixels = pixels, .unit = 1, .bits = 8, .dsp = draw(2)};

		if (sparse_fits(c, &s))
			expect_same(sparse_lower(arena, c, &s), "mask", n, l);
	}
}

static void
check_node(const Node *n, const Layer *l)
{
	Conv c;

	ck_assert_msg(conv_read(&c, arena, n), "%s is not read", layer_text(l));
	if (c.groups == 1) {
		check_packed(&c, n, l);
		check_unpacked(&c, n, l);
	}
	if (scalar_fits(&c))
		check_scalar(&c, n, l);
	check_channels(&c, n, l);
	if (columns_fits(&c))
		check_columns(&c, n, l);
	if (dots_fits(&c))
		check_dots(&c, n, l);
	if (scalar_fits_dual(&c))
		check_dual(&c, n, l);
	if (braid_sums(&c))
		check_braid(&c, n, l);
	if (c.groups == 1)
		check_dense(&c, n, l);
	else
		check_depthwise(&c, n, l);
}

static Layer
draw_layer(void)
{
	static const int32_t channels[] = {1, 2, 3, 4, 5, 7, 8, 10, 12, 16, 17, 31, 32, 70};
	Layer l = {.batch = 1 + draw(2), .h = 1 + draw(9), .w = 1 + draw(9),
	           .ic = channels[draw(14)], .groups = 1, .oc = channels[draw(14)],
	           .kh = 1 + draw(4), .kw = 1 + draw(4), .sy = 1 + draw(3), .sx = 1 + draw(3),
	           .dy = draw(4) ? 1 : 2, .dx = draw(4) ? 1 : 2, .per_channel = draw(2),
	           .relu = draw(2), .single = draw(4) == 0, .large = draw(5) == 0,
	           .kind = (Kind)draw(KINDS)};

	for (int i = 0; i < 4; i++)
		l.pad[i] = draw(3);
	if (draw(4) == 0)
		l.kh = l.kw = l.sy = l.sx = 1, memset(l.pad, 0, sizeof l.pad);
	return l;
}

START_TEST(convolutions_have_the_reference_bytes)
{
	int made = 0;

	for (seed = 1000u * (uint32_t)_i; made < 60;) {
		Layer l = draw_layer();
		Node *n = make_conv(&l);

		if (n) {
			check_node(n, &l);
			made++;
		}
	}
}
END_TEST

START_TEST(depthwise_convolutions_have_the_reference_bytes)
{
	int made = 0;

	for (seed = 77000u + 1000u * (uint32_t)_i; made < 60;) {
		Layer l = draw_layer();
		Node *n;

		l.ic = l.groups = l.oc = l.ic == 1 ? 6 : l.ic;
		n = make_conv(&l);
		if (n) {
			check_node(n, &l);
			made++;
		}
	}
}
END_TEST

START_TEST(winograd_has_the_reference_bytes)
{
	int made = 0;
	static const int32_t channels[] = {8, 12, 16, 36, 9, 11};

	for (seed = 31000u + 1000u * (uint32_t)_i; made < 12;) {
		Layer l = draw_layer();
		Node *n;
		Conv c;

		l.ic = channels[draw(4)];
		l.oc = channels[draw(6)];
		l.kh = l.kw = 3;
		l.h += draw(12);
		l.w += draw(12);
		l.dy = l.dx = 1;
		l.sy = l.sx = 1 + draw(2);
		n = make_conv(&l);
		if (!n)
			continue;
		ck_assert(conv_read(&c, arena, n));
		for (int i = 0; i < 6; i++) {
			bool pairs = i % 2;
			WinogradShape s = {.tile = 2 + i / 2, .pairs = pairs, .tiles = 1 + draw(4),
			                   .body = 4 * draw(5), .in_order = draw(2),
			                   .parts = !pairs && draw(2)};

			ck_assert(winograd_fits(&c, s.tile));

			expect_same(winograd_lower(arena, &c, &s), "winograd", n, &l);
		}
		made++;
	}
}
END_TEST

/* Sums of more than 25 bits do not survive. */
START_TEST(winograd_refuses_large_sums)
{
	Layer l = {.batch = 1, .h = 4, .w = 4, .ic = 256, .groups = 1, .oc = 8, .kh = 3, .kw = 3,
	           .sy = 1, .sx = 1, .dy = 1, .dx = 1, .kind = EXTREME};
	Conv c;

	for (seed = 1; seed < 4; seed++) {
		int64_t most = 0;

		ck_assert(conv_read(&c, arena, make_conv(&l)));
		for (int32_t i = 0; i < c.oc; i++)
			most = c.channel[i].hi > most ? c.channel[i].hi : most;
		ck_assert_int_eq(winograd_fits(&c, 4), most < 1 << 25);
		ck_assert(winograd_fits(&c, 3) && winograd_fits(&c, 2));
	}
}
END_TEST

START_TEST(sums_have_the_reference_bytes)
{
	int made = 0, kernels = 0, vectors = 0;

	for (seed = 400; made < 60;) {
		Graph *g = graph_new(arena, "g");
		Type t = type_make(DT_I8, 2, (int32_t[]){16, 14 + draw(3)});
		Value *in[2];
		Node *n;
		LFunc *f;

		for (int i = 0; i < 2; i++) {
			t.q = quant(1, draw(3) ? 0.02 : 0.0002, false, draw(256) - 128);
			in[i] = graph_input(g, i ? "b" : "a", t);
		}
		n = graph_add(g, draw(2) ? OP_ADD : OP_SUB, 2, in, "y");
		n->out[0]->type.dtype = DT_I8;
		n->out[0]->type.q = quant(1, draw(3) ? 0.03 : 0.0003, false, draw(256) - 128);
		g->single_rounding = draw(3) == 0;
		if (!node_infer(n, &diag))
			continue;
		made++;
		f = sum_lower(arena, n, &(SumShape){.at_once = 1 + draw(5), .powers = draw(2)});
		if (f)
			expect_same_sum(f, n);
		kernels += f != NULL;
		f = vector_sum_lower(arena, n, 4 << draw(3), (ScaleForm)draw(3));
		if (f)
			expect_same_sum(f, n);
		vectors += f != NULL;
	}
	ck_assert_int_gt(kernels, 20);
	ck_assert_int_gt(vectors, 20);
}
END_TEST

/* With weights of 4 and 2 bits, sums of more bits than packed words allow among them. */
START_TEST(packed_weights_have_the_reference_bytes)
{
	int made = 0;

	for (seed = 91000u + 1000u * (uint32_t)_i; made < 40;) {
		Layer l = draw_layer();
		Node *n;
		Conv c;

		l.kind = _i % 2 ? BITS4 : BITS2;
		l.ic = draw(9) == 0 ? 700 : l.ic;
		l.kind = draw(9) == 0 && _i % 2 ? BITS2 : l.kind;
		n = draw(3) ? make_conv(&l) : make_gemm(&l);
		if (!n)
			continue;
		ck_assert(conv_read(&c, arena, n));
		check_packed(&c, n, &l);
		check_unpacked(&c, n, &l);
		made++;
	}
}
END_TEST

/* Of 1 to 64 different weights, with or without a zero. */
START_TEST(palettes_have_the_reference_bytes)
{
	static const int32_t counts[] = {1, 2, 4, 15, 16, 64};
	int made = 0;

	colors = counts[_i];
	for (seed = 71000u + 1000u * (uint32_t)_i; made < 15;) {
		Layer l = draw_layer();
		Node *n;
		Conv c;

		for (int i = 0; i < 64; i++)
			palette[i] = draw_i8(draw(2) ? RANDOM : LEAST);
		l.kind = PALETTE;
		n = draw(3) ? make_conv(&l) : make_gemm(&l);
		if (!n)
			continue;
		ck_assert(conv_read(&c, arena, n));
		check_palette(&c, n, &l);
		made++;
	}
}
END_TEST

/* From no weight that is not zero to no zero, alone and in rows of more than a list can
 * have. */
START_TEST(sparse_weights_have_the_reference_bytes)
{
	static const int32_t patterns[] = {1, 2, 5, 20, 1 << 20};
	int made = 0;

	sparsity = patterns[_i];
	for (seed = 61000u + 1000u * (uint32_t)_i; made < 25;) {
		Layer l = draw_layer();
		Node *n;
		Conv c;

		l.kind = draw(3) ? SPARSE : (Kind)(BITS4 + draw(2));
		l.ic = draw(5) == 0 ? 300 : l.ic;
		n = draw(3) ? make_conv(&l) : make_gemm(&l);
		if (!n)
			continue;
		ck_assert(conv_read(&c, arena, n));
		check_sparse(&c, n, &l);
		check_unpacked(&c, n, &l);
		made++;
	}
}
END_TEST

/* All but one weight are zero, wherever that is. */
START_TEST(one_weight_has_the_reference_bytes)
{
	Layer l = {.batch = 1, .h = 5, .w = 7, .ic = 3, .groups = 1, .oc = 2, .kh = 2, .kw = 3,
	           .sy = 1, .sx = 2, .dy = 1, .dx = 2, .pad = {1, 2, 0, 2}, .kind = SPARSE};

	sparsity = 1 << 20;
	for (int32_t i = 0; i < 2 * 2 * 3 * 3; i++) {
		Node *n;
		Conv c;

		seed = 17;
		n = make_conv(&l);
		((int8_t *)(uintptr_t)n->in[1]->data)[i] = i % 2 ? INT8_MIN : INT8_MAX;
		ck_assert(conv_read(&c, arena, n));
		check_sparse(&c, n, &l);
		check_unpacked(&c, n, &l);
	}
}
END_TEST

START_TEST(products_have_the_reference_bytes)
{
	seed = 5;
	for (int32_t k = 1; k <= 70; k += 1 + draw(2)) {
		Layer l = {.batch = 1 + draw(6), .h = 1, .w = 1, .ic = k, .groups = 1,
		           .oc = 1 + draw(40), .kh = 1, .kw = 1, .single = draw(3) == 0,
		           .large = draw(4) == 0, .kind = (Kind)draw(KINDS)};

		check_node(make_gemm(&l), &l);
	}
}
END_TEST

/* Nobody wants a buffer of that much padding. */
START_TEST(wide_gaps_are_left_to_the_reference)
{
	Layer l = {.batch = 1, .h = 1, .w = 1, .ic = 1, .groups = 1, .oc = 1, .kh = 1, .kw = 3,
	           .sy = 1, .sx = 1, .dy = 1, .dx = 1 << 28, .pad = {0, 1 << 28, 0, 1 << 28}};
	Conv c;

	seed = 3;
	ck_assert(!conv_read(&c, arena, make_conv(&l)));
}
END_TEST

/* Sums that need more than 24 bits cannot share a word of weights. */
START_TEST(large_sums_are_exact)
{
	for (seed = 9; seed < 12; seed++) {
		Layer l = {.batch = 1, .h = 1, .w = 3, .ic = 700, .groups = 1, .oc = 3, .kh = 1,
		           .kw = 1, .sy = 1, .sx = 1, .dy = 1, .dx = 1, .kind = EXTREME};

		check_node(make_conv(&l), &l);
	}
}
END_TEST

/* Sums of as many bits as share words by two, three and four, and of one bit more. */
START_TEST(braids_hold_the_largest_sums)
{
	static const struct {
		int32_t elements;
		int sums;
	} rows[] = {{1, 2}, {2, 2}, {3, 3}, {64, 3}, {65, 4}, {257, 4}, {259, 0}};

	seed = 77;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		Layer l = {.batch = 3, .h = 1, .w = 1, .ic = rows[i].elements, .groups = 1, .oc = 7,
		           .kh = 1, .kw = 1, .sy = 1, .sx = 1, .dy = 1, .dx = 1, .kind = LEAST};
		Node *n = make_gemm(&l);
		int8_t *w = ARENA_ARRAY(arena, int8_t, l.ic * l.oc);
		Conv c;

		/* Channels of both signs, all of the greatest weight. */
		n->nins = 2;
		((Attr_GEMM *)n->attr)->trans_b = true;
		n->in[1]->type.dim[0] = l.oc;
		n->in[1]->type.dim[1] = l.ic;
		for (int32_t k = 0; k < l.ic * l.oc; k++)
			w[k] = k / l.ic % 3 == 1 ? -127 : 127;
		n->in[1]->data = w;
		n->in[0]->type.q = quant(1, 0.02, false, 0);
		ck_assert(conv_read(&c, arena, n));
		ck_assert_int_eq(braid_sums(&c), rows[i].sums);
		if (rows[i].sums)
			check_braid(&c, n, &l);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("kernels");
	TCase *tc = tcase_create("kernels"), *winograd = tcase_create("winograd");

	tcase_set_timeout(winograd, 300);
	tcase_add_checked_fixture(winograd, setup, teardown);
	tcase_add_loop_test(winograd, winograd_has_the_reference_bytes, 0, 6);
	tcase_add_test(winograd, winograd_refuses_large_sums);
	suite_add_tcase(s, winograd);
	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, convolutions_have_the_reference_bytes, 0, 6);
	tcase_add_loop_test(tc, depthwise_convolutions_have_the_reference_bytes, 0, 3);
	tcase_add_loop_test(tc, packed_weights_have_the_reference_bytes, 0, 4);
	tcase_add_loop_test(tc, palettes_have_the_reference_bytes, 0, 6);
	tcase_add_loop_test(tc, sparse_weights_have_the_reference_bytes, 0, 5);
	tcase_add_test(tc, one_weight_has_the_reference_bytes);
	tcase_add_test(tc, braids_hold_the_largest_sums);
	tcase_add_test(tc, sums_have_the_reference_bytes);
	tcase_add_test(tc, products_have_the_reference_bytes);
	tcase_add_test(tc, large_sums_are_exact);
	tcase_add_test(tc, wide_gaps_are_left_to_the_reference);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
