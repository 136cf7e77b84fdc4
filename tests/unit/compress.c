/* passes/compression: ranges, layers, weights, whole graphs run by the interpreter. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/program/program.h"
#include "passes/compression/plan.h"
#include "passes/compression/survey.h"
#include "passes/compression/weights.h"
#include "passes/pass.h"
#include "tests/unit/unit_arena.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- An executor that interprets ---- */

static void *
compile(void *user, Arena *a, const Graph *g)
{
	(void)user;
	return program_build(a, g, &(ProgramOptions){0}, &diag);
}

static void
run(void *user, void *model, size_t calls, const CallArray *in, const CallArray *out)
{
	const Program *p = model;
	const Graph *g = p->graph;
	int plain = graph_plain_inputs(g), outputs = graph_plain_outputs(g);
	const void *x[16];
	void *y[64];

	(void)user;
	ck_assert_int_le(g->inputs.n, 16);
	ck_assert_int_le(g->outputs.n, 64);
	for (size_t c = 0; c < calls; c++) {
		for (int i = 0; i < g->inputs.n; i++)
			x[i] = (const char *)in[i].data + c * in[i].stride;
		for (int k = 0; k < g->states.n && c > 0; k++)
			x[plain + k] = (const char *)out[outputs + k].data +
			               (c - 1) * out[outputs + k].stride;
		for (int i = 0; i < g->outputs.n; i++)
			y[i] = (char *)out[i].data + c * out[i].stride;
		program_run(p, x, y);
	}
}

static void
progress(void *user, const char *what, double part)
{
	(void)user;
	(void)what;
	ck_assert(part >= 0 && part <= 1);
}

static const Executor exec = {compile, run, progress, NULL};

static Graph *
parse(const char *text)
{
	Graph *g = graph_parse(arena, "t.mcc", text, strlen(text), &diag);

	ck_assert_msg(g != NULL, "%s", diag.first ? diag.first->text : "");
	return g;
}

static uint32_t seed;

static float
next(void)
{
	seed = seed * 1664525u + 1013904223u;
	return (float)((double)(seed >> 8) / 0x1p23 - 1);
}

enum { CALLS = 50 };

/* Samples in [-1, 1) for all inputs of g. */
static Samples
samples_of(const Graph *g)
{
	CallArray *in = ARENA_ARRAY(arena, CallArray, g->inputs.n);

	seed = 1;
	for (int i = 0; i < graph_plain_inputs(g); i++) {
		size_t n = (size_t)type_numel(&g->inputs.v[i]->type);
		float *v = ARENA_ARRAY(arena, float, n * CALLS);

		for (size_t k = 0; k < n * CALLS; k++)
			v[k] = next();
		in[i] = (CallArray){v, n * sizeof *v};
	}
	return (Samples){.file = "x.npy", .n = CALLS, .in = in};
}

static CompressReport report;

/* As driver/pipeline.c does. */
static void
prepare(Graph *g)
{
	PassList list = {0};
	PassCtx cx;

	pass_init(&cx, arena, &diag);
	ck_assert(pass_parse_list(arena, "expand,recurrent,layers,fold,fuse-activation,cse,dce",
	                          &list, &diag));
	ck_assert(pass_run_list(&list, g, &cx, 4));
}

static Graph *
compress_with(const char *text, const CompressOptions *o)
{
	Graph *g = parse(text), *q;
	Samples s = samples_of(g);

	prepare(g);
	q = compress_graph(g, o, &s, &exec, &report, &diag);
	ck_assert_msg(q != NULL, "%s", diag.first ? diag.first->text : "");
	ck_assert_msg(graph_verify(q, &diag), "%s", diag.first ? diag.first->text : "");
	return q;
}

static Graph *
compress(const char *text)
{
	return compress_with(text, &(CompressOptions){.codes = DT_I8, .weights = {.most = 127}, .input = DT_I8, .output = DT_I8});
}

static void
expect_integers_only(const Graph *g)
{
	for (const Node *n = g->first; n; n = n->next)
		for (int i = 0; i < n->nins; i++)
			if (n->in[i])
				ck_assert_msg(!dtype_is_float(n->in[i]->type.dtype),
				              "%s computes on floats", op_info[n->op].name);
}

/* ---- Ranges ---- */

static Observed
observe(const float *v, int32_t n)
{
	Observed o = {0};

	observe_constant(&o, arena, v, n);
	return o;
}

START_TEST(every_range_holds_zero)
{
	const float v[] = {3, 4, 5};
	Observed o = observe(v, 3);
	Range r = observe_range(&o, (RangeMethod)_i, 256, arena);

	ck_assert_double_eq(r.lo, 0);
	ck_assert_double_ge(r.hi, 4);
}
END_TEST

START_TEST(least_error_and_percentile_cut_a_lone_outlier)
{
	enum { N = 30000 };
	static float v[N];
	Observed o;
	Range r;

	for (int i = 0; i < N; i++)
		v[i] = next();
	v[17] = 10;
	o = observe(v, N);
	r = observe_range(&o, (RangeMethod)_i, 256, arena);
	ck_assert_double_ge(r.hi, 0.9);
	if ((RangeMethod)_i == RANGE_MIN_MAX)
		ck_assert_double_eq(r.hi, 10);
	else
		ck_assert_double_le(r.hi, 9.9);
}
END_TEST

START_TEST(nothing_but_zero_has_a_scale_all_the_same)
{
	const float v[] = {0, 0};
	Observed o = observe(v, 2);
	const Quant *q = plan_affine(arena, observe_range(&o, RANGE_MSE, 256, arena));

	ck_assert_double_gt((double)q->scale[0], 0);
	ck_assert_int_ge(q->zero[0], -128);
	ck_assert_int_le(q->zero[0], 127);
}
END_TEST

/* ---- Layers ---- */

/* The sums over gathered columns are what the operator computes. */
static void
expect_matrix_of(const char *text)
{
	Graph *g = parse(text);
	Node *n = g->last;
	Layer l = layer_read(n);
	int32_t count = type_numel(&n->in[0]->type), outputs = type_numel(&n->out[0]->type);
	float *x = ARENA_ARRAY(arena, float, count), *y = ARENA_ARRAY(arena, float, outputs);
	float *column = ARENA_ARRAY(arena, float, l.columns), *w = layer_matrix(&l, arena);
	CallArray in = {x, 0}, out = {y, 0};
	int axis = n->op == OP_GEMM ? 1 : layout_channel(node_layout(n), n->out[0]->type.rank);
	int32_t inner = type_product(&n->out[0]->type, axis + 1, n->out[0]->type.rank);

	ck_assert_int_eq(l.rows * l.positions, outputs);
	for (int32_t i = 0; i < count; i++)
		x[i] = next();
	run(NULL, compile(NULL, arena, g), 1, &in, &out);
	for (int32_t m = 0; m < l.rows; m++)
		for (int32_t p = 0; p < l.positions; p++) {
			int32_t batch = p / inner, pixel = p % inner;
			int32_t at = n->op == OP_GEMM ? p * l.rows + m
			                              : (batch * l.rows + m) * inner + pixel;
			double sum = l.bias ? (double)l.bias[m] : 0;

			if (n->op != OP_GEMM && node_layout(n) == LAYOUT_nhwc)
				at = p * l.rows + m;
			layer_gather(&l, x, p, m / l.out, column);
			for (int32_t j = 0; j < l.columns; j++)
				sum += (double)w[m * l.columns + j] * (double)column[j];
			ck_assert_double_eq_tol(sum, (double)y[at], 1e-5);
		}
}

static const char *const layers[] = {
	"graph @g(%x: f32[2,4]) {\n  %w: f32[3,4] = const [1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0,9.0,10.0,11.0,12.0]\n"
	"  %b: f32[3] = const [1.0,2.0,3.0]\n  %y = gemm(%x, %w, %b) {trans_b=true}\n  return %y\n}\n",
	"graph @g(%x: f32[2,2]) {\n  %w: f32[2,3] = const [1.0,2.0,3.0,4.0,5.0,6.0]\n"
	"  %y = gemm(%x, %w)\n  return %y\n}\n",
	"graph @g(%x: f32[2,2,3,3]) {\n"
	"  %w: f32[2,1,2,2] = const [1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0]\n"
	"  %y = conv(%x, %w) {group=2, strides=[2,1], pads=[1,0,0,1]}\n  return %y\n}\n",
	"graph @g(%x: f32[1,3,3,2]) {\n"
	"  %w: f32[3,2,1,2] = const [1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0,9.0,10.0,11.0,12.0]\n"
	"  %y = conv(%x, %w) {layout=nhwc, pads=[1,0,0,0], dilations=[2,1]}\n  return %y\n}\n",
	"graph @g(%x: f32[1,2,3]) {\n  %w: f32[2,3,2] = const [1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0,9.0,10.0,11.0,12.0]\n"
	"  %y = conv_transpose(%x, %w) {strides=[2], pads=[1,0]}\n  return %y\n}\n",
	"graph @g(%x: f32[1,4,3]) {\n  %w: f32[4,1,2] = const [1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0]\n"
	"  %y = conv_transpose(%x, %w) {strides=[2], group=2}\n  return %y\n}\n",
	"graph @g(%x: f32[1,3,2]) {\n  %w: f32[3,2,2] = const [1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0,9.0,10.0,11.0,12.0]\n"
	"  %y = conv_transpose(%x, %w) {strides=[2], layout=nhwc, dilations=[2]}\n  return %y\n}\n",
};

START_TEST(a_layer_is_a_matrix_times_gathered_columns)
{
	expect_matrix_of(layers[_i]);
}
END_TEST

/* The mean of a row over the samples is kept, whatever rounding takes off. */
START_TEST(the_bias_keeps_the_mean)
{
	enum { D = 3, N = 64 };
	Graph *g = parse("graph @g(%x: f32[1,3]) {\n  %w: f32[1,3] = const [0.501, -1.0, 0.2502]\n"
	                 "  %y = gemm(%x, %w) {trans_b=true}\n  return %y\n}\n");
	Layer l = layer_read(g->last);
	static float x0[N][D];
	static int8_t x[N][D];
	Type t = type_make(DT_I8, 2, (int32_t[]){1, D});
	CallArray a0 = {x0, sizeof *x0}, a = {x, sizeof *x};
	double want = 0, got = 0;
	Moments m;
	NewWeights w;

	t.q = plan_quant(arena, 1.0 / 64, 3);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < D; j++) {
			x0[i][j] = next() + 0.3f;
			x[i][j] = (int8_t)fmin(rint((double)x0[i][j] * 64) + 3, 127);
		}
	m = moments_collect(&l, N, &a0, &a, &t, false, arena);
	w = weights_choose(&l, &m, &(WeightOptions){.most = 127}, &(Cut){0}, &t, arena);
	for (int i = 0; i < N; i++) {
		double unit = (double)w.type.q->scale[0] / 64, sum = ((const int32_t *)w.bias)[0];

		for (int j = 0; j < D; j++) {
			want += (double)x0[i][j] * (double)l.w[j];
			sum += (double)((const int8_t *)w.w)[j] * (x[i][j] - 3);
		}
		got += sum * unit;
	}
	ck_assert_double_eq_tol(got / (double)N, want / (double)N, (double)w.type.q->scale[0] / 64);
}
END_TEST

START_TEST(moments_are_those_of_the_columns)
{
	enum { D = 20, N = 200 };
	static float x[N][D], x0[N][D];
	Graph *g = parse("graph @g(%x: f32[1,20], %w: f32[1,20]) {\n"
	                 "  %y = gemm(%x, %w) {trans_b=true}\n  return %y\n}\n");
	Type t = type_make(DT_F32, 2, (int32_t[]){1, D});
	CallArray a0 = {x0, sizeof *x0}, a = {x, sizeof *x};
	double mu[D] = {0}, mu0[D] = {0};
	Layer l = layer_read(g->last);
	Moments m;

	for (int i = 0; i < N; i++)
		for (int j = 0; j < D; j++) {
			x[i][j] = next() + (float)(j % 3);
			x0[i][j] = x[i][j] + next() / 4;
			mu[j] += (double)x[i][j] / (double)N;
			mu0[j] += (double)x0[i][j] / (double)N;
		}
	m = moments_collect(&l, N, &a0, &a, &t, true, arena);
	ck_assert_uint_eq(m.n, N);
	for (int j = 0; j < D; j++) {
		ck_assert_double_eq_tol(m.mu[j], mu[j], 1e-6);
		ck_assert_double_eq_tol(m.mu0[j], mu0[j], 1e-6);
		for (int k = 0; k < D; k++) {
			double h = 0, c = 0;

			for (int i = 0; i < N; i++) {
				h += ((double)x[i][j] - mu[j]) * ((double)x[i][k] - mu[k]) / (double)N;
				c += ((double)x0[i][j] - mu0[j]) * ((double)x[i][k] - mu[k]) / (double)N;
			}
			ck_assert_double_eq_tol(m.h[j * D + k], h, 1e-4);
			ck_assert_double_eq_tol(m.g[j * D + k], c, 1e-4);
		}
	}
}
END_TEST

/* ---- Whole graphs ---- */

/* Every one must come out on integers alone, and near to what it was. */
static const char *const graphs[] = {
	/* residual add, concat, pools, softmax */
	"graph @g(%x: f32[1,2,4,4]) {\n"
	"  %w: f32[2,2,1,1] = const [0.5, -0.25, 1.0, 0.125]\n"
	"  %1 = conv(%x, %w) {activation=relu}\n"
	"  %2 = add(%x, %1)\n"
	"  %3 = concat(%1, %2, %x) {axis=1}\n"
	"  %4 = max_pool(%3) {kernel=[2,2], strides=[2,2]}\n"
	"  %5 = avg_pool(%4) {kernel=[2,2]}\n"
	"  %6 = reshape(%5) {shape=[1,6]}\n"
	"  %7 = softmax(%6) {axis=1}\n"
	"  return %7\n}\n",
	/* padding with a number, slices, constants, products */
	"graph @g(%x: f32[1,4]) {\n"
	"  %v: f32[] = const 0.5\n"
	"  %c: f32[1,4] = const [1.0, -2.0, 0.5, 0.25]\n"
	"  %1 = pad(%x, %v) {pads=[0,1,0,1]}\n"
	"  %2 = slice(%1) {starts=[0,1], sizes=[1,4], steps=[1,1]}\n"
	"  %3 = mul(%2, %c)\n"
	"  %4 = sigmoid(%3)\n"
	"  %5 = tanh(%x)\n"
	"  %6 = concat(%4, %5, %c) {axis=0}\n"
	"  %7 = max(%6, %c)\n"
	"  %8 = clamp(%7) {lo=-0.5, hi=0.75}\n"
	"  return %8\n}\n",
	/* a product of two values, means, functions by table */
	"graph @g(%x: f32[2,3], %y: f32[3,2]) {\n"
	"  %1 = matmul(%x, %y)\n"
	"  %2 = gelu(%1)\n"
	"  %3 = reduce_mean(%2) {axes=[1]}\n"
	"  %4 = hard_swish(%3)\n"
	"  return %4\n}\n",
	/* scales along the second axis of the weights, and no axis at all */
	"graph @g(%x: f32[1,2,3]) {\n"
	"  %w: f32[2,3,2] = const [1.0,2.0,3.0,4.0,5.0,6.0,7.0,-8.0,9.0,10.0,11.0,12.0]\n"
	"  %u: f32[3,1,2] = const [0.5, -0.5, 0.25, 0.125, 1.0, 1.0]\n"
	"  %1 = conv_transpose(%x, %w) {strides=[2]}\n"
	"  %2 = conv_transpose(%1, %u) {strides=[2], group=3}\n"
	"  return %2\n}\n",
	/* a table that is looked up */
	"graph @g(%x: f32[1,2]) {\n"
	"  %i: i32[2] = const [2, 0]\n"
	"  %t: f32[3,2] = const [0.5, -1.0, 1.5, 2.0, 0.25, 3.0]\n"
	"  %1 = gather(%t, %i) {axis=0}\n"
	"  %2 = add(%1, %x)\n"
	"  return %2\n}\n",
	/* recurrent layers with states that come from outside */
	"graph @g(%x: f32[3,1,2], %h: f32[1,1,1]) {\n"
	"  %w: f32[1,4,2] = const [0.1, 0.9, -0.7, 0.4, 0.8, 0.6, -0.9, 0.8]\n"
	"  %r: f32[1,4,1] = const [0.5, -0.2, 0.3, -0.4]\n"
	"  %b: f32[1,8] = const [0.5, 0.2, 0.3, 0.4, 0.1, 0.1, 0.1, 0.1]\n"
	"  %y, %yh, %yc = lstm(%x, %w, %r, %b, _, %h)\n"
	"  %z = lstm(%x, %w, %r, %b)\n"
	"  %v = add(%y, %z)\n"
	"  return %v, %yh, %yc\n}\n",
	/* and those that become steps */
	"graph @g(%x: f32[3,1,2]) {\n"
	"  %w: f32[1,3,2] = const [0.1, 0.9, -0.7, 0.4, 0.8, 0.6]\n"
	"  %r: f32[1,3,1] = const [0.5, -0.2, 0.3]\n"
	"  %y, %yh = gru(%x, %w, %r) {linear_before_reset=true}\n"
	"  %u: f32[1,1,1] = const [0.7]\n"
	"  %k: f32[1,1,1] = const [0.6]\n"
	"  %t = reshape(%yh) {shape=[1,1,1]}\n"
	"  %z, %zh = rnn(%t, %k, %u)\n"
	"  return %y, %zh\n}\n",
	/* a function whose range is given, beside small numbers and a large constant */
	"graph @g(%x: f32[1,4]) {\n"
	"  %h: f32[] = const 0.01\n"
	"  %c: f32[1,2] = const [9.0, -4.0]\n"
	"  %1 = mul(%x, %h)\n"
	"  %2 = sigmoid(%x)\n"
	"  %3 = concat(%1, %2) {axis=1}\n"
	"  %4 = concat(%1, %c) {axis=1}\n"
	"  %5 = max(%2, %1)\n"
	"  return %3, %4, %5\n}\n",
	/* a state */
	"graph @g(%x: f32[1,4], %s: f32[1,4]) {\n"
	"  %z: f32[1,4] = const [0.0, 0.0, 0.0, 0.0]\n"
	"  %h: f32[] = const 0.5\n"
	"  %1 = add(%x, %s)\n"
	"  %2 = mul(%1, %h)\n"
	"  return %2, %2\n  states %z\n}\n",
};

START_TEST(graphs_become_integer_and_stay_near)
{
	Graph *q = compress(graphs[_i]);

	expect_integers_only(q);
	ck_assert_int_eq(report.kept_float, 0);
	ck_assert_uint_eq(report.used, 40);
	ck_assert_uint_eq(report.held_out, 10);
	ck_assert_double_lt(report.agreement.rmse, 0.02 * report.agreement.float_rms + 0.005);
}
END_TEST

START_TEST(sixteen_bits_lose_less)
{
	const CompressOptions o = {.codes = DT_I16, .weights = {.most = 127},
	                           .input = DT_I16, .output = DT_I16};
	double error;
	Graph *q;

	compress(graphs[_i]);
	error = report.agreement.rmse;
	q = compress_with(graphs[_i], &o);
	for (int i = 0; i < graph_plain_outputs(q); i++) {
		ck_assert_int_eq(q->outputs.v[i]->type.dtype, DT_I16);
		ck_assert_int_eq(q->outputs.v[i]->type.q->zero[0], 0);
	}
	ck_assert_double_le(report.agreement.rmse, error);
}
END_TEST

/* The types at the border are of the same numbers. */
START_TEST(the_border_may_have_other_types)
{
	static const DType types[] = {DT_I8, DT_U8, DT_I16, DT_F32};
	const CompressOptions o = {.codes = _i % 2 ? DT_I16 : DT_I8, .weights = {.most = 127},
	                           .input = types[_i / 2], .output = types[3 - _i / 2]};
	Graph *q = compress_with(graphs[0], &o);

	ck_assert_int_eq(q->inputs.v[0]->type.dtype, o.input);
	ck_assert_int_eq(q->outputs.v[0]->type.dtype, o.output);
	ck_assert_double_lt(report.agreement.rmse, 0.02 * report.agreement.float_rms + 0.005);
}
END_TEST

/* Sums of 16-bit codes that may leave 32 bits have biases of 64. */
START_TEST(long_rows_have_long_sums)
{
	enum { D = 1024, N = 20 };
	Graph *g = parse("graph @g(%x: f32[1,1024], %w: f32[1,1024]) {\n"
	                 "  %y = gemm(%x, %w) {trans_b=true}\n  return %y\n}\n");
	static float w[D], x0[N][D];
	static int16_t x[N][D];
	Type t = type_make(DT_I16, 2, (int32_t[]){1, D});
	CallArray a0 = {x0, sizeof *x0}, a = {x, sizeof *x};
	NewWeights made[2];

	t.q = plan_symmetric(arena, (Range){-1, 1});
	g->inputs.v[1]->data = w;
	for (int k = 0; k < 2; k++) {
		Layer l = layer_read(g->last);
		Moments m;

		/* All weights have the greatest code, or one of them. */
		for (int i = 0; i < D; i++)
			w[i] = k && i ? 0.001f : 1;
		m = moments_collect(&l, N, &a0, &a, &t, false, arena);
		made[k] = weights_choose(&l, &m, &(WeightOptions){.most = 127}, &(Cut){0}, &t, arena);
	}
	ck_assert_int_eq(made[0].bias_type, DT_I64);
	ck_assert_int_eq(made[1].bias_type, DT_I32);
}
END_TEST

/* Which codes the weights of a graph's first convolution have. */
static int
codes_of(const Graph *q, bool used[256])
{
	int n = 0;

	memset(used, 0, 256 * sizeof *used);
	for (const Node *node = q->first; node; node = node->next)
		for (int32_t i = 0; node->op == OP_CONV && i < type_numel(&node->in[1]->type); i++) {
			int code = ((const int8_t *)node->in[1]->data)[i] + 128;

			n += !used[code];
			used[code] = true;
		}
	return n;
}

static const char *const eighty_weights =
	"graph @g(%x: f32[1,4,5,5]) {\n"
	"  %w: f32[5,4,2,2] = const [0.91,-0.12,0.33,0.48,-0.77,0.05,0.61,-0.29,0.14,0.83,-0.57,"
	"0.22,-0.68,0.39,0.71,-0.03,0.55,-0.91,0.27,0.18,0.66,-0.44,0.09,0.37,-0.81,0.52,0.13,-0.62,"
	"0.74,-0.21,0.46,0.95,-0.35,0.58,0.02,-0.87,0.69,0.24,-0.51,0.11,0.88,-0.16,0.43,-0.73,0.31,"
	"0.64,-0.08,0.79,-0.26,0.54,0.17,-0.93,0.41,-0.59,0.07,0.85,-0.38,0.72,0.29,-0.65,0.97,0.19,"
	"-0.47,0.34,-0.11,0.76,0.56,-0.82,0.23,0.04,-0.53,0.89,-0.32,0.63,0.15,-0.71,0.49,-0.06,0.36,"
	"0.8]\n"
	"  %1 = conv(%x, %w)\n"
	"  return %1\n}\n";

START_TEST(palettes_have_as_many_weights_as_they_may)
{
	CompressOptions o = {.codes = DT_I8, .weights = {.most = 127, .cluster = _i}, .input = DT_I8,
	                     .output = DT_I8};
	bool used[256];
	int n = codes_of(compress_with(eighty_weights, &o), used);

	ck_assert_int_le(n, 1 << _i);
	ck_assert_int_ge(n, _i < 5 ? 1 << _i : 25);
	ck_assert_int_eq(report.layers.v[0].bits, _i);
	o.weights.sparsity = 0.5;
	o.weights.each_layer = true;
	ck_assert_int_le(codes_of(compress_with(eighty_weights, &o), used), 1 << _i);
	ck_assert(used[128]);
	ck_assert_double_ge(report.layers.v[0].sparsity, 0.5);
}
END_TEST

START_TEST(weights_may_be_powers_of_two)
{
	const CompressOptions o = {.codes = DT_I8, .weights = {.most = 64, .powers = true}, .input = DT_I8,
	                           .output = DT_I8};
	bool used[256];

	ck_assert_int_gt(codes_of(compress_with(eighty_weights, &o), used), 6);
	for (int i = 0; i < 256; i++) {
		int size = abs(i - 128);

		ck_assert(!used[i] || ((size & (size - 1)) == 0 && size <= 64));
	}
	ck_assert_double_lt(report.agreement.rmse, 0.2 * report.agreement.float_rms);
}
END_TEST

/* Kernels do not take just any factor. */
START_TEST(a_row_of_zeros_has_the_scale_of_another)
{
	Graph *q = compress("graph @g(%x: f32[1,2]) {\n"
	                    "  %w: f32[3,2] = const [0.5, -1.0, 0.0, 0.0, 0.25, 0.5]\n"
	                    "  %b: f32[3] = const [0.1, 0.2, 0.3]\n"
	                    "  %1 = gemm(%x, %w, %b) {trans_b=true}\n"
	                    "  return %1\n}\n");
	const Node *n = q->first;

	while (n->op != OP_GEMM)
		n = n->next;
	ck_assert_int_eq(n->in[1]->type.q->n, 3);
	ck_assert(n->in[1]->type.q->scale[1] == n->in[1]->type.q->scale[0]);
}
END_TEST

/* Four input channels at a tap go together or stay. */
START_TEST(blocks_go_as_a_whole)
{
	const CompressOptions o = {.codes = DT_I8, .input = DT_I8, .output = DT_I8,
	                           .weights = {.most = 127, .sparsity = 0.5, .each_layer = true,
	                                       .blocks = true}};
	const Node *n = compress_with(eighty_weights, &o)->first;
	const int8_t *w;
	int zeros = 0;

	while (n->op != OP_CONV)
		n = n->next;
	w = n->in[1]->data;
	for (int block = 0; block < 20; block++) {
		int tap = block % 4, first = block / 4 * 16 + tap, gone = 0;

		for (int c = 0; c < 4; c++)
			gone += w[first + 4 * c] == 0;
		ck_assert(gone == 0 || gone == 4);
		zeros += gone;
	}
	ck_assert_int_eq(zeros, 40);
}
END_TEST

START_TEST(the_same_samples_give_the_same_graph)
{
	Str a, b;

	str_init(&a, arena);
	str_init(&b, arena);
	graph_print(&a, compress(graphs[0]));
	graph_print(&b, compress(graphs[0]));
	ck_assert_str_eq(a.s, b.s);
}
END_TEST

START_TEST(layers_that_are_named_stay_float)
{
	const char *const keep[] = {"2"};
	Graph *q = compress_with(graphs[0], &(CompressOptions){.codes = DT_I8, .weights = {.most = 127}, .input = DT_F32, .output = DT_U8,
	                                                       .nkeep = 1, .keep = keep});
	bool found = false;

	for (const Node *n = q->first; n; n = n->next)
		if (n->op == OP_ADD) {
			ck_assert(!node_is_quantized(n));
			found = true;
		}
	ck_assert(found);
	ck_assert_int_eq(report.kept_float, 1);
	ck_assert_int_eq(q->inputs.v[0]->type.dtype, DT_F32);
	ck_assert_int_eq(q->outputs.v[0]->type.dtype, DT_U8);
	ck_assert_int_eq(diag.warnings, 0);
}
END_TEST

START_TEST(what_has_no_integer_form_stays_float_with_a_warning)
{
	Graph *q = compress("graph @g(%x: f32[1,4]) {\n  %1 = sign(%x)\n  %2 = add(%1, %x)\n"
	                    "  return %2\n}\n");

	ck_assert_int_eq(report.kept_float, 1);
	ck_assert_int_eq(diag.first->code, W_FLOAT);
	ck_assert_int_eq(q->outputs.v[0]->type.dtype, DT_I8);
}
END_TEST

/* ---- Cutting channels ---- */

/* The network, from a convolution over what `middle` does to another layer. */
static int32_t
channels_left(const char *middle, DType type)
{
	const char *text = arena_printf(
		arena, "graph @g(%%x: f32[1,1,4,4]) {\n"
		       "  %%w: f32[4,1,2,2] = const [0.5, 0.1, 0.2, -0.3, 0.9, -0.8, 0.7, 0.1, 0.3, "
		       "0.4, -0.6, 0.2, 0.8, 0.9, -0.1, 0.4]\n"
		       "  %%d: f32[4,1,2,2] = const [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.4, 0.3, "
		       "0.2, 0.1, 0.9, 0.8, 0.7, 0.6]\n"
		       "  %%v: f32[2,4,1,1] = const [0.5, -0.6, 0.7, 0.2, 0.9, 0.8, -0.1, 0.3]\n"
		       "  %%f: f32[2,4] = const [0.5, -0.6, 0.7, 0.2, 0.9, 0.8, -0.1, 0.3]\n"
		       "  %%1 = conv(%%x, %%w) {activation=relu}\n%s}\n", middle);
	Graph *q = compress_with(text, &(CompressOptions){
		.codes = DT_I8, .weights = {.most = type == DT_F32 ? 0 : 127, .channels = 0.5},
		.input = type, .output = type});
	const PassInfo *dead = pass_find("dead-channels");
	PassCtx cx;

	pass_init(&cx, arena, &diag);
	ck_assert(pass_run(dead, q, &cx));
	ck_assert(graph_verify(q, &diag));
	for (const Node *n = q->first; n; n = n->next)
		if (n->op == OP_CONV)
			return n->out[0]->type.dim[1];
	return 0;
}

static const struct {
	const char *middle;
	int left; /* of 4 channels */
} cuts[] = {
	{"  %2 = conv(%1, %v)\n  return %2\n", 2},
	/* through a depthwise convolution and a pool */
	{"  %2 = conv(%1, %d) {group=4}\n  %3 = max_pool(%2) {kernel=[2,2]}\n"
	 "  %4 = conv(%3, %v)\n  return %4\n", 2},
	/* through a reshape */
	{"  %2 = avg_pool(%1) {kernel=[3,3]}\n  %3 = reshape(%2) {shape=[1,4]}\n"
	 "  %4 = gemm(%3, %f) {trans_b=true}\n  return %4\n", 2},
	/* not what somebody else looks at too */
	{"  %2 = conv(%1, %v)\n  return %2, %1\n", 4},
	/* what two layers read, from both of them */
	{"  %2 = conv(%1, %v)\n  %3 = conv(%1, %v) {activation=relu}\n  %4 = add(%2, %3)\n  return %4\n", 2},
	/* what sums tie, together */
	{"  %2 = sigmoid(%1)\n  %3 = add(%1, %2)\n  %4 = conv(%3, %v)\n  return %4\n", 2},
	{"  %u: f32[4,4,1,1] = const [0.5, -0.6, 0.7, 0.2, 0.9, 0.8, -0.1, 0.3, 0.1, 0.2, 0.3, 0.4, "
	 "0.6, -0.3, 0.2, 0.1]\n  %2 = conv(%1, %u)\n  %3 = add(%1, %2)\n"
	 "  %4 = conv(%3, %v)\n  return %4\n", 2},
	/* not where they meet a value that stays */
	{"  %2 = sigmoid(%1)\n  %3 = conv(%2, %v)\n  %4 = add(%1, %2)\n  return %3, %4\n", 4},
};

START_TEST(channels_that_layers_alone_read_are_cut)
{
	ck_assert_int_eq(channels_left(cuts[_i].middle, DT_I8), cuts[_i].left);
	ck_assert_int_eq(channels_left(cuts[_i].middle, DT_F32), cuts[_i].left);
}
END_TEST

/* ---- Shares of the layers ---- */

/* A layer for which each share of its weights costs `factor` times the share's square. */
static LayerLoss
layer_loss(double weights, double factor, const Survey *s)
{
	LayerLoss l = {.weights = weights, .loss = ARENA_ARRAY(arena, double, s->nshares)};

	for (int k = 0; k < s->nshares; k++)
		l.loss[k] = factor * s->share[k] * s->share[k];
	return l;
}

START_TEST(more_goes_where_it_costs_less)
{
	static const double share[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
	Survey s = {.nshares = COUNT(share), .share = share};
	double *part, target = _i / 10.0;

	VEC_PUSH(arena, &s.layers, layer_loss(1000, 1, &s));
	VEC_PUSH(arena, &s.layers, layer_loss(1000, 3, &s));
	VEC_PUSH(arena, &s.layers, layer_loss(500, 0.5, &s));
	part = survey_allocate(&s, target, arena);
	ck_assert_double_eq_tol(1000 * part[0] + 1000 * part[1] + 500 * part[2], 2500 * target, 1e-6);
	ck_assert_double_ge(part[0] + 1e-9, part[1]);
	/* Half the weights at half the cost: each costs the same. */
	ck_assert_double_eq_tol(part[0], part[2], 0.1 + 1e-9);
	for (int i = 0; i < 3 && target <= 0.9; i++)
		ck_assert_double_le(part[i], 0.9 + 1e-9);
}
END_TEST

START_TEST(what_costs_nothing_goes_first)
{
	static const double share[] = {0.5, 0.9};
	Survey s = {.nshares = 2, .share = share};
	double *part;

	VEC_PUSH(arena, &s.layers, layer_loss(100, 1, &s));
	VEC_PUSH(arena, &s.layers, layer_loss(300, 0, &s));
	part = survey_allocate(&s, 0.6, arena);
	ck_assert_double_eq_tol(part[0], 0, 1e-9);
	ck_assert_double_eq_tol(part[1], 0.8, 1e-9);
}
END_TEST

/* The second layer's output hardly counts beside the first one's. */
static const char unequal[] =
	"graph @g(%x: f32[1,16]) {\n"
	"  %w: f32[4,16] = const [1, 2, -1, 2, 1, -2, 1, 2, 1, 1, 2, -1, 2, 1, 2, 1, "
	"2, 1, 1, -2, 1, 2, -1, 1, 2, 1, 1, 2, 1, -2, 1, 1, 1, 1, 2, 1, -1, 2, 1, 2, 1, 1, -2, 1, 2, "
	"1, 1, 2, -1, 2, 1, 1, 2, -1, 2, 1, 1, 2, 1, -1, 2, 1, 2, 1]\n"
	"  %v: f32[4,16] = const [2, 1, -1, 1, 2, -1, 1, 2, 1, 1, 2, -1, 2, 1, 2, 1, "
	"2, 1, 1, -2, 1, 2, -1, 1, 2, 1, 1, 2, 1, -2, 1, 1, 1, 1, 2, 1, -1, 2, 1, 2, 1, 1, -2, 1, 2, "
	"1, 1, 2, -1, 2, 1, 1, 2, -1, 2, 1, 1, 2, 1, -1, 2, 1, 2, 1]\n"
	"  %little: f32[] = const [0.01]\n"
	"  %1 = gemm(%x, %w) {trans_b=true}\n"
	"  %2 = gemm(%x, %v) {trans_b=true}\n"
	"  %3 = mul(%2, %little)\n"
	"  %4 = add(%1, %3)\n"
	"  return %4\n}\n";

START_TEST(layers_that_hardly_count_lose_more)
{
	double sum = 0;

	compress_with(unequal, &(CompressOptions){.weights = {.sparsity = 0.4 + _i / 10.0},
	                                          .input = DT_F32, .output = DT_F32});
	ck_assert_double_lt(report.layers.v[0].sparsity, report.layers.v[1].sparsity);
	for (int i = 0; i < 2; i++)
		sum += report.layers.v[i].sparsity / 2;
	ck_assert_double_eq_tol(sum, 0.4 + _i / 10.0, 0.02);
}
END_TEST

/* ---- Bad data ---- */

static const char small[] = "graph @g(%x: f32[1,4]) {\n  %1 = add(%x, %x)\n  return %1\n}\n";

static DiagCode
code_for(float value, size_t n, const char *keep)
{
	Graph *g = parse(small);
	Samples s = samples_of(g);
	const CompressOptions o = {.codes = DT_I8, .weights = {.most = 127}, .input = DT_I8, .output = DT_I8, .nkeep = keep != NULL,
	                           .keep = &keep};

	if (value != 0)
		((float *)s.in[0].data)[6] = value;
	if (n == 1)
		memset(s.in[0].data, 0, s.in[0].stride);
	s.n = n;
	compress_graph(g, &o, &s, &exec, &report, &diag);
	return diag.first ? diag.first->code : DIAG_COUNT;
}

START_TEST(bad_samples_are_reported)
{
	ck_assert_int_eq(code_for(NAN, CALLS, NULL), E_CALIBRATION);
}
END_TEST

START_TEST(infinite_samples_are_reported)
{
	ck_assert_int_eq(code_for(HUGE_VALF, CALLS, NULL), E_CALIBRATION);
}
END_TEST

START_TEST(no_samples_are_reported)
{
	ck_assert_int_eq(code_for(0, 0, NULL), E_CALIBRATION);
}
END_TEST

START_TEST(constant_and_few_samples_are_warned_of)
{
	ck_assert_int_eq(code_for(0, 1, NULL), W_CALIBRATION);
	ck_assert_int_eq(diag.warnings, 2);
	ck_assert_int_eq(diag.errors, 0);
}
END_TEST

/* 40 samples of one place each; 20 columns are seen often enough, 21 are not. */
START_TEST(layers_with_more_inputs_than_samples_show_are_warned_of)
{
	const char *text = arena_printf(
		arena, "graph @g(%%x: f32[1,%d]) {\n  %%o: f32[1] = const [1.0]\n"
		       "  %%w = expand(%%o) {shape=[2,%d]}\n"
		       "  %%y = gemm(%%x, %%w) {trans_b=true}\n  return %%y\n}\n", _i, _i);
	const CompressOptions o = {.codes = DT_I8, .weights = {.most = 7}, .input = DT_I8, .output = DT_I8};

	compress_with(text, &o);
	ck_assert_int_eq(diag.warnings, _i > 20);
	if (_i > 20)
		ck_assert_int_eq(diag.first->code, W_CALIBRATION);
}
END_TEST

START_TEST(a_layer_that_is_not_there_cannot_be_kept)
{
	ck_assert_int_eq(code_for(0, CALLS, "nothing"), E_NAME);
}
END_TEST

START_TEST(values_that_overflow_on_samples_are_reported)
{
	Graph *g = parse("graph @g(%x: f32[1,4]) {\n  %1 = log(%x)\n  return %1\n}\n");
	Samples s = samples_of(g);
	const CompressOptions o = {.codes = DT_I8, .weights = {.most = 127}, .input = DT_I8, .output = DT_I8};

	ck_assert_ptr_null(compress_graph(g, &o, &s, &exec, &report, &diag));
	ck_assert_int_eq(diag.first->code, E_CALIBRATION);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("compress");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, every_range_holds_zero, 0, RANGE_KL + 1);
	tcase_add_loop_test(tc, least_error_and_percentile_cut_a_lone_outlier, 0, RANGE_KL + 1);
	tcase_add_test(tc, nothing_but_zero_has_a_scale_all_the_same);
	tcase_add_loop_test(tc, a_layer_is_a_matrix_times_gathered_columns, 0, COUNT(layers));
	tcase_add_test(tc, the_bias_keeps_the_mean);
	tcase_add_test(tc, moments_are_those_of_the_columns);
	tcase_add_loop_test(tc, graphs_become_integer_and_stay_near, 0, COUNT(graphs));
	tcase_add_loop_test(tc, sixteen_bits_lose_less, 0, COUNT(graphs));
	tcase_add_loop_test(tc, the_border_may_have_other_types, 0, 8);
	tcase_add_test(tc, long_rows_have_long_sums);
	tcase_add_loop_test(tc, palettes_have_as_many_weights_as_they_may, 1, 7);
	tcase_add_test(tc, weights_may_be_powers_of_two);
	tcase_add_test(tc, a_row_of_zeros_has_the_scale_of_another);
	tcase_add_test(tc, blocks_go_as_a_whole);
	tcase_add_test(tc, the_same_samples_give_the_same_graph);
	tcase_add_test(tc, layers_that_are_named_stay_float);
	tcase_add_test(tc, what_has_no_integer_form_stays_float_with_a_warning);
	tcase_add_loop_test(tc, channels_that_layers_alone_read_are_cut, 0, COUNT(cuts));
	tcase_add_loop_test(tc, more_goes_where_it_costs_less, 1, 10);
	tcase_add_test(tc, what_costs_nothing_goes_first);
	tcase_add_loop_test(tc, layers_that_hardly_count_lose_more, 0, 4);
	tcase_add_test(tc, bad_samples_are_reported);
	tcase_add_test(tc, infinite_samples_are_reported);
	tcase_add_test(tc, no_samples_are_reported);
	tcase_add_test(tc, constant_and_few_samples_are_warned_of);
	tcase_add_loop_test(tc, layers_with_more_inputs_than_samples_show_are_warned_of, 20, 22);
	tcase_add_test(tc, a_layer_that_is_not_there_cannot_be_kept);
	tcase_add_test(tc, values_that_overflow_on_samples_are_reported);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
