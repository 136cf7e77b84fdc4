/*
 * Functions of one quantised number, softmax, norms and interpolation against the
 * formulas of TFLite's reference kernels in plain C: all codes of 8-bit numbers, many
 * of 16-bit ones, over random scales and zero points.
 */
#include "ir/ops/qtable.h"
#include "tests/unit/quant_reference.h"

enum { TRIES = 16, WIDE = 1000 };

static const DType types[] = {DT_I8, DT_U8, DT_I16};

/* The input of all codes, or of some. */
static void
add_codes(Run *r, DType t, const Quant *q, uint32_t *seed)
{
	bool is_byte = dtype_info[t].bytes == 1;

	run_quantized(r, t, is_byte ? 256 : WIDE, is_byte, q, seed);
}

static float
real_of(const Run *r, int32_t i)
{
	return scale_of(r, 0) * (float)input_at(r, 0, i);
}

/* ---- Straight functions ---- */

static int32_t
straight(const Run *r, int32_t i)
{
	int32_t x = input_at(r, 0, i);
	double d = (double)(scale_of(r, 0) / scale_of(r, -1));
	float alpha;

	switch ((int)r->node->op) {
	case OP_RELU:
		x = ref_scale(x, d);
		return x < 0 ? 0 : x;
	case OP_ABS: return ref_scale(x < 0 ? -x : x, d);
	case OP_NEG: return ref_scale(-x, d);
	default: break;
	}
	alpha = (float)((const Attr_LEAKY_RELU *)r->node->attr)->alpha;
	if (x >= 0)
		return ref_scale(x, d);
	d = (double)(scale_of(r, 0) * alpha / scale_of(r, -1));
	return d < 0 ? -ref_scale(x, -d) : ref_scale(x, d);
}

static const Op straight_ops[] = {OP_RELU, OP_ABS, OP_NEG, OP_LEAKY_RELU};

START_TEST(straight_functions_are_those_of_the_reference)
{
	Op op = straight_ops[_i / 3];
	DType t = types[_i % 3];
	uint32_t seed = (uint32_t)_i;

	for (int k = 0; k < TRIES; k++) {
		double least = t == DT_I16 ? -6 : -4;
		Run r;

		run_begin(&r);
		add_codes(&r, t, quant_new(&r, random_scale(&seed, -10, -7), random_zero(t, &seed)),
		          &seed);
		run_quantized_node(&r, op, t, quant_new(&r, random_scale(&seed, least, 0),
		                                        random_zero(t, &seed)));
		if (op == OP_LEAKY_RELU)
			((Attr_LEAKY_RELU *)r.node->attr)->alpha =
				random_int(&seed, -4, 12) / 16.0;
		run_compute(&r);
		for (int32_t i = 0; i < r.in[0]->type.dim[0]; i++)
			expect_code(&r, i,
			            ref_clamp((int64_t)straight(&r, i) +
			                              quant_zero(&r.node->out[0]->type),
			                      quant_limits(t)));
		run_end(&r);
	}
}
END_TEST

START_TEST(prelu_is_that_of_the_reference)
{
	DType t = types[_i];
	uint32_t seed = (uint32_t)_i;

	for (int k = 0; k < TRIES; k++) {
		Run r;

		run_begin(&r);
		add_codes(&r, t, quant_new(&r, random_scale(&seed, -8, -5), random_zero(t, &seed)),
		          &seed);
		run_quantized(&r, DT_I8, 1, false,
		              quant_new(&r, random_scale(&seed, -8, -6), random_zero(DT_I8, &seed)),
		              &seed);
		run_quantized_node(&r, OP_PRELU, t, quant_new(&r, random_scale(&seed, -7, -2),
		                                              random_zero(t, &seed)));
		run_compute(&r);
		for (int32_t i = 0; i < r.in[0]->type.dim[0]; i++) {
			int32_t x = input_at(&r, 0, i);
			double d = (double)scale_of(&r, 0);

			if (x < 0) {
				x *= input_at(&r, 1, 0);
				d *= (double)scale_of(&r, 1);
			}
			x = ref_scale(x, d / (double)scale_of(&r, -1));
			expect_code(&r, i,
			            ref_clamp((int64_t)x + quant_zero(&r.node->out[0]->type),
			                      quant_limits(t)));
		}
		run_end(&r);
	}
}
END_TEST

START_TEST(clamp_clamps_the_stored_number)
{
	uint32_t seed = 9;
	const Quant *q;
	Run r;

	run_begin(&r);
	q = quant_new(&r, 0.0625F, -100);
	add_codes(&r, DT_I8, q, &seed);
	*(Attr_CLAMP *)run_quantized_node(&r, OP_CLAMP, DT_I8, q) = (Attr_CLAMP){0, 6, 0};
	run_compute(&r);
	for (int32_t i = 0; i < 256; i++)
		expect_code(&r, i, ref_clamp(i - 128, (QRange){-100, -4}));
	run_end(&r);
}
END_TEST

/* ---- Curved functions ---- */

static int32_t
sigmoid8(const Run *r, int32_t i)
{
	bool is_tanh = r->node->op == OP_TANH;
	QRange range = quant_limits(r->in[0]->type.dtype);
	int32_t m, x = input_at(r, 0, i), radius;
	int shift;

	ref_multiplier((double)scale_of(r, 0) * (1 << 27), &m, &shift);
	radius = (int32_t)floor(15 * (double)((int64_t)1 << 27) / ldexp(1, shift));
	if (x <= -radius)
		return range.lo;
	if (x >= radius)
		return range.hi;
	x = ref_srdhm(x * (1 << shift), m);
	x = is_tanh ? ref_rdp(ref_tanh(x), 24) : ref_rdp(ref_logistic(x), 23);
	return ref_clamp(x + (is_tanh ? (range.lo + range.hi + 1) / 2 : range.lo), range);
}

static int32_t
hard_swish(const Run *r, int32_t i)
{
	float fine = (1.0F / 128.0F) * scale_of(r, 0), unit = 3.0F / 32768.0F;
	int32_t mo, mr, v = input_at(r, 0, i) * 128, pre, x = v;
	int eo, er;

	ref_multiplier((double)(fine / scale_of(r, -1)), &mo, &eo);
	ref_multiplier((double)(fine / unit), &mr, &er);
	mo = mo >= INT32_MAX - (1 << 15) ? INT16_MAX : (mo + (1 << 15)) >> 16;
	mr = mr >= INT32_MAX - (1 << 15) ? INT16_MAX : (mr + (1 << 15)) >> 16;
	pre = (v * mo + (1 << 14)) >> 15;
	if (er > 0)
		x = ref_clamp((int64_t)x * (1 << (er - 1)), quant_limits(DT_I16));
	x = (x * mr + (1 << 14)) >> 15;
	if (er > 0)
		x = ref_clamp(2 * (int64_t)x, quant_limits(DT_I16));
	if (er < 0)
		x = ref_rdp(x, -er);
	x = (x + (1 << 15)) >> 1;
	x = x * pre / (1 << 15);
	return ref_rdp(x, -eo) + quant_zero(&r->node->out[0]->type);
}

static int32_t
rsqrt(const Run *r, int32_t i)
{
	int32_t x = input_at(r, 0, i), m, t;
	double d = 1 / (double)(sqrtf(scale_of(r, 0)) * scale_of(r, -1));
	int left, shift;

	if (x <= 0)
		return 1000;
	m = ref_inverse_root(x, &left);
	t = ref_srdhm(1 << (left + 20), m);
	ref_multiplier(d, &m, &shift);
	shift -= 20;
	t = shift > 0 ? ref_srdhm(t * (1 << shift), m) : ref_rdp(ref_srdhm(t, m), -shift);
	return t + quant_zero(&r->node->out[0]->type);
}

/* TFLite's rule for tables; e^x in double, rounded once, is what expf() gives. */
static int32_t
by_table(const Run *r, int32_t i)
{
	float x = real_of(r, i), y, inverse = 1.0F / scale_of(r, -1);
	float e = (float)exp((double)x);

	y = r->node->op == OP_EXP ? e : x < 0 ? e - 1 : x;
	y = roundf(y * inverse) + (float)quant_zero(&r->node->out[0]->type);
	return y >= 1e9F ? INT32_MAX / 2 : (int32_t)y;
}

static int32_t
curved(const Run *r, int32_t i)
{
	switch ((int)r->node->op) {
	case OP_SIGMOID:
	case OP_TANH: return sigmoid8(r, i);
	case OP_HARD_SWISH: return hard_swish(r, i);
	case OP_RSQRT: return rsqrt(r, i);
	default: return by_table(r, i);
	}
}

static const Op curved_ops[] = {OP_SIGMOID, OP_TANH, OP_HARD_SWISH, OP_RSQRT, OP_EXP, OP_ELU};

START_TEST(curved_functions_are_those_of_the_reference)
{
	Op op = curved_ops[_i / 2];
	DType t = types[_i % 2];
	uint32_t seed = (uint32_t)_i;

	for (int k = 0; k < TRIES; k++) {
		const Quant *q;
		Run r;

		run_begin(&r);
		q = quant_new(&r, random_scale(&seed, -7, -3), random_zero(t, &seed));
		if (op == OP_SIGMOID)
			q = quant_new(&r, 0x1p-8F, quant_limits(t).lo);
		if (op == OP_TANH)
			q = quant_new(&r, 0x1p-7F, t == DT_U8 ? 128 : 0);
		add_codes(&r, t, quant_new(&r, random_scale(&seed, -8, op == OP_HARD_SWISH ? -2 : -1),
		                           random_zero(t, &seed)),
		          &seed);
		run_quantized_node(&r, op, t, q);
		run_compute(&r);
		for (int32_t i = 0; i < 256; i++)
			expect_code(&r, i, ref_clamp(curved(&r, i), quant_limits(t)));
		run_end(&r);
	}
}
END_TEST

/* ---- Sigmoid and tanh of 16 bits ---- */

START_TEST(the_logistic_table_is_that_of_the_reference)
{
	Arena *a = arena_new(NULL, NULL);
	LowerCtx cx = {.arena = a};
	uint32_t crc = UINT32_MAX;
	int64_t sum = 0;
	LBuf *table;

	loop_begin(&cx.b, a, "f");
	table = q_logistic_table(&cx);
	ck_assert_int_eq(table->count, 256);
	for (int i = 0; i < 256; i++) {
		uint32_t v = ((const uint16_t *)table->data)[i];

		sum += v;
		for (int bit = 0; bit < 16; bit++)
			crc = crc >> 1 ^ ((crc ^ v >> bit) & 1 ? 0xEDB88320u : 0);
	}
	ck_assert_int_eq(sum, 15670629);
	ck_assert_uint_eq(~crc, 3092212404u);
	arena_free(a);
}
END_TEST

/* What the formula gives without the table's steps is within two of it. */
START_TEST(wide_sigmoid_and_tanh_are_close_to_the_functions)
{
	Op op = _i % 2 ? OP_TANH : OP_SIGMOID;
	uint32_t seed = (uint32_t)_i;
	float scale = _i < 2 ? 0x1p-12F : random_scale(&seed, -16, -10);
	Run r;

	run_begin(&r);
	add_codes(&r, DT_I16, quant_new(&r, scale, 0), &seed);
	run_quantized_node(&r, op, DT_I16, quant_new(&r, 0x1p-15F, 0));
	run_compute(&r);
	for (int32_t i = 0; i < WIDE; i++) {
		double x = (double)real_of(&r, i), y = op == OP_TANH ? tanh(x) : 1 / (1 + exp(-x));

		ck_assert(fabs(output_at(&r, i) / 32768.0 - y) < 2e-3);
	}
	run_end(&r);
}
END_TEST

/* ---- Softmax ---- */

static int32_t
softmax8(const Run *r, int32_t i, int32_t n, double beta)
{
	QRange range = quant_limits(r->node->out[0]->type.dtype);
	double factor = beta * (double)scale_of(r, 0) * (1 << 26);
	int32_t m, top = INT32_MIN, sum = 0, scale, radius, x;
	int shift, bits;

	ref_multiplier(factor < INT32_MAX ? factor : INT32_MAX, &m, &shift);
	radius = (int32_t)fmin(floor(31 * ldexp(1, 26) / ldexp(1, shift)), INT32_MAX);
	for (int32_t k = 0; k < n; k++)
		top = input_at(r, 0, k) > top ? input_at(r, 0, k) : top;
	for (int32_t k = 0; k < n; k++)
		if ((x = input_at(r, 0, k) - top) >= -radius)
			sum += ref_rdp(ref_exp(ref_srdhm(x * (1 << shift), m), 5), 12);
	scale = ref_reciprocal(sum, 12, &bits);
	bits += 31 - 8 * dtype_info[r->node->out[0]->type.dtype].bytes;
	x = input_at(r, 0, i) - top;
	if (x < -radius)
		return range.lo;
	x = ref_rdp(ref_srdhm(scale, ref_exp(ref_srdhm(x * (1 << shift), m), 5)), bits);
	return ref_clamp((int64_t)x + range.lo, range);
}

START_TEST(softmax_is_that_of_the_reference)
{
	DType from = _i % 3 == 1 ? DT_U8 : DT_I8, to = _i % 3 == 2 ? DT_I16 : from;
	float unit = to == DT_I16 ? 0x1p-16F : 0x1p-8F;
	uint32_t seed = (uint32_t)_i;

	for (int k = 0; k < 10; k++) {
		int32_t n = random_int(&seed, 1, 60);
		double beta = k % 2 ? 1 : 0.5;
		Attr_SOFTMAX *a;
		Run r;

		run_begin(&r);
		run_quantized(&r, from, n, false,
		              quant_new(&r, random_scale(&seed, -9, 1), random_zero(from, &seed)),
		              &seed);
		a = run_quantized_node(&r, OP_SOFTMAX, to,
		                       quant_new(&r, unit, quant_limits(to).lo));
		a->beta = beta;
		run_compute(&r);
		for (int32_t i = 0; i < n; i++)
			expect_code(&r, i, softmax8(&r, i, n, beta));
		run_end(&r);
	}
}
END_TEST

START_TEST(softmax_of_a_long_line_is_that_of_the_reference)
{
	uint32_t seed = 1;
	Run r;

	run_begin(&r);
	run_quantized(&r, DT_I8, 500, true, quant_new(&r, 0.001F, 0), &seed);
	run_quantized_node(&r, OP_SOFTMAX, DT_I8, quant_new(&r, 0x1p-8F, -128));
	run_compute(&r);
	for (int32_t i = 0; i < 500; i += 13)
		expect_code(&r, i, softmax8(&r, i, 500, 1));
	run_end(&r);
}
END_TEST

/* The fixed-point arithmetic is exact to much more than what is stored. */
START_TEST(log_softmax_and_wide_softmax_are_close_to_the_functions)
{
	bool is_log = _i % 2 == 0;
	DType t = is_log ? DT_I8 : DT_I16;
	uint32_t seed = (uint32_t)_i;
	int32_t n = random_int(&seed, 1, 40);
	double sum = 0;
	Run r;

	run_begin(&r);
	run_quantized(&r, t, n, false, quant_new(&r, is_log ? 0.03F : 0.0003F, 0), &seed);
	run_quantized_node(&r, is_log ? OP_LOG_SOFTMAX : OP_SOFTMAX, t,
	                   quant_new(&r, is_log ? 0.0625F : 0x1p-15F, is_log ? 127 : 0));
	run_compute(&r);
	for (int32_t i = 0; i < n; i++)
		sum += exp((double)real_of(&r, i));
	for (int32_t i = 0; i < n; i++) {
		double p = exp((double)real_of(&r, i)) / sum;

		if (is_log)
			ck_assert(fabs((output_at(&r, i) - 127) / 16.0 - fmax(log(p), -15.9375)) <
			          0.04);
		else
			ck_assert(fabs(output_at(&r, i) / 32768.0 - p) < 2e-3);
	}
	run_end(&r);
}
END_TEST

/* ---- Along axes ---- */

START_TEST(norms_are_those_of_the_reference)
{
	uint32_t seed = (uint32_t)_i;
	int32_t n = random_int(&seed, 1, 300), sum = 0, m;
	int left;
	Run r;

	run_begin(&r);
	run_quantized(&r, DT_I8, n, false,
	              quant_new(&r, 0.1F, _i % 3 ? random_zero(DT_I8, &seed) : 127), &seed);
	if (_i % 5 == 0)
		for (int32_t i = 1; i < n; i++)
			((int8_t *)r.data[0])[i] = (int8_t)quant_zero(&r.in[0]->type);
	run_quantized_node(&r, OP_LP_NORM, DT_I8, quant_new(&r, 0x1p-7F, 0));
	run_compute(&r);
	for (int32_t i = 0; i < n; i++)
		sum += input_at(&r, 0, i) * input_at(&r, 0, i);
	m = ref_inverse_root(sum, &left);
	left += 7;
	for (int32_t i = 0; i < n; i++) {
		int32_t x = input_at(&r, 0, i) * (1 << (left > 0 ? left : 0));

		expect_code(&r, i, ref_clamp(ref_rdp(ref_srdhm(x, m), left < 0 ? -left : 0),
		                             quant_limits(DT_I8)));
	}
	run_end(&r);
}
END_TEST

START_TEST(running_sums_are_those_of_the_reference)
{
	bool exclusive = _i & 1, reverse = _i & 2;
	uint32_t seed = (uint32_t)_i;
	int32_t n = 12, zero = random_zero(DT_I8, &seed), acc;
	float scale = random_scale(&seed, -6, -5), out = random_scale(&seed, -5, -2);
	Attr_CUM_SUM *a;
	Run r;

	run_begin(&r);
	run_quantized(&r, DT_I8, n, false, quant_new(&r, scale, zero), &seed);
	a = run_quantized_node(&r, OP_CUM_SUM, DT_I8, quant_new(&r, out, -5));
	*a = (Attr_CUM_SUM){0, exclusive, reverse, 0};
	run_compute(&r);
	acc = ref_scale(-zero * (1 << 20), 0.5);
	for (int32_t k = 0; k < n; k++) {
		int32_t i = reverse ? n - 1 - k : k, y;

		y = ref_scale(input_at(&r, 0, i) * (1 << 20), 0.5);
		acc += exclusive ? 0 : y;
		expect_code(&r, i,
		            ref_clamp(ref_scale(acc, 2 * (double)scale /
		                                             ((1 << 20) * (double)out)) - 5,
		                      quant_limits(DT_I8)));
		acc += exclusive ? y : 0;
	}
	run_end(&r);
}
END_TEST

typedef struct {
	int32_t at[2], weight[2];
} Places;

static Places
places(int32_t v, int32_t in, int32_t out, bool align, bool half)
{
	int32_t scale = (1024 * in + out / 2) / out, p;
	Places k;

	if (align && out > 1)
		scale = (1024 * (in - 1) + (out - 1) / 2) / (out - 1);
	p = half ? v * scale + scale / 2 - 512 : v * scale;
	k.at[0] = p / 1024 > 0 ? p / 1024 : 0;
	k.at[1] = (p + 1023) / 1024 < in - 1 ? (p + 1023) / 1024 : in - 1;
	k.weight[1] = p - 1024 * k.at[0];
	k.weight[0] = 1024 - k.weight[1];
	return k;
}

START_TEST(interpolation_is_that_of_the_reference)
{
	bool align = _i % 3 == 1, half = _i % 3 == 2;
	uint32_t seed = (uint32_t)_i;
	int32_t in[2], to[2];
	Run r;
	const Quant *q;
	Attr_RESIZE *a;

	run_begin(&r);
	for (int k = 0; k < 2; k++) {
		in[k] = random_int(&seed, 1, 9);
		to[k] = random_int(&seed, 1, 20);
	}
	q = quant_new(&r, 1, 4);
	run_quantized(&r, DT_I8, in[0] * in[1] * 2, false, q, &seed);
	r.in[0]->type = type_make(DT_I8, 4, (const int32_t[]){1, in[0], in[1], 2});
	r.in[0]->type.q = q;
	a = run_quantized_node(&r, OP_RESIZE, DT_I8, q);
	a->shape = INTS(&r, 1, to[0], to[1], 2);
	a->scales = (Floats){4, (const double[]){1, (double)to[0] / in[0], (double)to[1] / in[1], 1}};
	a->mode = INTERP_linear;
	a->coordinates = align ? COORD_align_corners : half ? COORD_half_pixel : COORD_asymmetric;
	run_compute(&r);
	for (int32_t i = 0; i < to[0] * to[1] * 2; i++) {
		Places y = places(i / 2 / to[1], in[0], to[0], align, half);
		Places x = places(i / 2 % to[1], in[1], to[1], align, half);
		int64_t sum = 0;

		for (int k = 0; k < 4; k++)
			sum += (int64_t)((const int8_t *)
			                         r.data[0])[(y.at[k / 2] * in[1] + x.at[k % 2]) * 2 +
			                                    i % 2] *
			       y.weight[k / 2] * x.weight[k % 2];
		expect_code(&r, i, (int8_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20)));
	}
	run_end(&r);
}
END_TEST

/* ---- Shape rules ---- */

START_TEST(the_quantisation_of_the_output_is_checked)
{
	static const Op ops[] = {OP_SOFTMAX, OP_LOG_SOFTMAX, OP_LP_NORM, OP_SIGMOID, OP_TANH};
	DType t = _i < 3 ? DT_I8 : DT_I16;
	uint32_t seed = 1;
	Run r;

	run_begin(&r);
	run_quantized(&r, t, 4, false, quant_new(&r, 0.1F, 0), &seed);
	run_quantized_node(&r, ops[_i], t, quant_new(&r, 0x1p-6F, 0));
	expect_error(&r, E_UNSUPPORTED);
	run_end(&r);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("quantised functions");

	tcase_add_loop_test(tc, straight_functions_are_those_of_the_reference, 0, 12);
	tcase_add_loop_test(tc, prelu_is_that_of_the_reference, 0, 3);
	tcase_add_test(tc, clamp_clamps_the_stored_number);
	tcase_add_loop_test(tc, curved_functions_are_those_of_the_reference, 0, 12);
	tcase_add_test(tc, the_logistic_table_is_that_of_the_reference);
	tcase_add_loop_test(tc, wide_sigmoid_and_tanh_are_close_to_the_functions, 0, 12);
	tcase_add_loop_test(tc, softmax_is_that_of_the_reference, 0, 9);
	tcase_add_test(tc, softmax_of_a_long_line_is_that_of_the_reference);
	tcase_add_loop_test(tc, log_softmax_and_wide_softmax_are_close_to_the_functions, 0, 30);
	tcase_add_loop_test(tc, norms_are_those_of_the_reference, 0, 40);
	tcase_add_loop_test(tc, running_sums_are_those_of_the_reference, 0, 16);
	tcase_add_loop_test(tc, interpolation_is_that_of_the_reference, 0, 60);
	tcase_add_loop_test(tc, the_quantisation_of_the_output_is_checked, 0, 5);
	return run_suite(tc, "quantised functions");
}
