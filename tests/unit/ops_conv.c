/*
 * Convolution and transposed convolution against direct formulas in double, over
 * random shapes and attributes.
 */
#include "tests/unit/run_node.h"

enum { CASES = 1000, SPACE = 6 };

typedef struct {
	int n; /* spatial axes */
	int32_t batch, groups, in, out; /* channels a group */
	int32_t size[SPACE], kernel[SPACE];
	int64_t stride[SPACE], dilation[SPACE], pad[2 * SPACE], more[SPACE];
	bool bias;
	DType t;
} Conv;

static const DType types[] = {DT_F32, DT_F32, DT_F64, DT_F16, DT_BF16,
                              DT_I32, DT_U32, DT_I64, DT_U64};

static Conv
random_conv(uint32_t *seed)
{
	Conv c = {.n = random_int(seed, 1, 3)};
	int32_t most;

	if (random_int(seed, 0, 9) == 0)
		c.n = random_int(seed, 4, 6);
	most = c.n == 1 ? 12 : c.n == 2 ? 7 : c.n == 3 ? 5 : 2;
	c.batch = random_int(seed, 1, 2);
	c.groups = random_int(seed, 1, 3);
	c.in = random_int(seed, 1, 3);
	c.out = random_int(seed, 1, 3);
	for (int i = 0; i < c.n; i++) {
		c.size[i] = random_int(seed, 1, most);
		c.kernel[i] = random_int(seed, 0, 3) ? random_int(seed, 1, 3) : c.size[i];
		c.stride[i] = random_int(seed, 1, 3);
		c.dilation[i] = random_int(seed, 0, 1) ? 1 : random_int(seed, 1, 3);
		c.pad[i] = random_int(seed, 0, 1) ? 0 : random_int(seed, 0, 3);
		c.pad[c.n + i] = random_int(seed, 0, 1) ? 0 : random_int(seed, 0, 3);
		c.more[i] = random_int(seed, 0, 1) ? 0 : random_int(seed, 0, 2);
	}
	/* Every fourth case is pointwise. */
	for (int i = 0; i < c.n && *seed % 4 == 0; i++) {
		c.kernel[i] = 1;
		c.stride[i] = 1;
		c.pad[i] = c.pad[c.n + i] = 0;
	}
	c.bias = random_int(seed, 0, 1);
	c.t = types[random_int(seed, 0, (int32_t)(sizeof types / sizeof types[0]) - 1)];
	return c;
}

static void
set_attrs(Run *r, const Conv *c, Ints *strides, Ints *dilations, Ints *pads)
{
	*strides = ints(r, c->n, c->stride);
	*dilations = ints(r, c->n, c->dilation);
	*pads = ints(r, 2 * c->n, c->pad);
}

static int32_t
product(const int32_t *v, int n)
{
	int32_t p = 1;

	for (int i = 0; i < n; i++)
		p *= v[i];
	return p;
}

/* The position of flat index `at` of a tensor of these sizes. */
static void
unflatten(int32_t at, const int32_t *size, int n, int32_t *pos)
{
	for (int i = n; i-- > 0;) {
		pos[i] = at % size[i];
		at /= size[i];
	}
}

/*
 * For all pairs of input position, tap and output position that belong together,
 * with i and o being flat: position(o) * stride + tap * dilation - pad = position(i),
 * where i and o change places for the transposed convolution.
 */
static bool
tap_joins(const Conv *c, const int32_t *wide, const int32_t *narrow, const int32_t *tap)
{
	for (int a = 0; a < c->n; a++)
		if (narrow[a] * c->stride[a] + tap[a] * c->dilation[a] - c->pad[a] != wide[a])
			return false;
	return true;
}

static double *
expected_conv(Run *r, const Conv *c, const int32_t *out_size, bool transposed)
{
	const double *x = run_input(r, 0), *w = run_input(r, 1);
	const double *bias = c->bias ? run_input(r, 2) : NULL;
	int32_t ins = product(c->size, c->n), outs = product(out_size, c->n);
	int32_t taps = product(c->kernel, c->n), channels = c->groups * c->out;
	double *y = ARENA_ARRAY(r->arena, double, c->batch * channels * outs);

	for (int32_t o = 0; o < outs; o++)
		for (int32_t i = 0; i < ins; i++)
			for (int32_t k = 0; k < taps; k++) {
				int32_t po[SPACE], pi[SPACE], pk[SPACE];

				unflatten(o, out_size, c->n, po);
				unflatten(i, c->size, c->n, pi);
				unflatten(k, c->kernel, c->n, pk);
				if (!tap_joins(c, transposed ? po : pi, transposed ? pi : po, pk))
					continue;
				for (int32_t n = 0; n < c->batch; n++)
					for (int32_t m = 0; m < channels; m++)
						for (int32_t ic = 0; ic < c->in; ic++) {
							int32_t ch = m / c->out * c->in + ic;
							int32_t row = transposed ? ch * c->out + m % c->out
							                         : m * c->in + ic;

							y[(n * channels + m) * outs + o] +=
								x[(n * c->groups * c->in + ch) * ins + i] *
								w[row * taps + k];
						}
			}
	for (int32_t i = 0; bias && i < c->batch * channels * outs; i++)
		y[i] += bias[i / outs % channels];
	return y;
}

static void
make_inputs(Run *r, const Conv *c, bool transposed, uint32_t *seed)
{
	int32_t x[2 + SPACE] = {c->batch, c->groups * c->in}, w[2 + SPACE];

	w[0] = transposed ? c->groups * c->in : c->groups * c->out;
	w[1] = transposed ? c->out : c->in;
	for (int i = 0; i < c->n; i++) {
		x[2 + i] = c->size[i];
		w[2 + i] = c->kernel[i];
	}
	run_random(r, c->t, 2 + c->n, x, seed);
	run_random(r, c->t, 2 + c->n, w, seed);
	if (c->bias)
		run_random(r, c->t, 1, (const int32_t[]){c->groups * c->out}, seed);
}

START_TEST(conv_is_the_sum_over_the_taps)
{
	uint32_t seed = 1;
	int computed = 0;

	for (int i = 0; i < CASES; i++) {
		Conv c = random_conv(&seed);
		int32_t out[SPACE];
		bool fits = true;
		Attr_CONV *a;
		Run r;

		run_begin(&r);
		make_inputs(&r, &c, false, &seed);
		a = run_node(&r, OP_CONV, 1);
		set_attrs(&r, &c, &a->strides, &a->dilations, &a->pads);
		a->group = c.groups;
		for (int k = 0; k < c.n; k++) {
			int64_t room = c.size[k] + c.pad[k] + c.pad[c.n + k] -
			               ((c.kernel[k] - 1) * c.dilation[k] + 1);

			out[k] = room < 0 ? 0 : (int32_t)(room / c.stride[k] + 1);
			fits = fits && room >= 0;
		}
		if (fits) {
			run_compute(&r);
			for (int k = 0; k < c.n; k++)
				ck_assert_int_eq(r.node->out[0]->type.dim[2 + k], out[k]);
			expect_equal(&r, 0, expected_conv(&r, &c, out, false));
			computed++;
		} else {
			expect_error(&r, E_SHAPE);
		}
		run_end(&r);
	}
	ck_assert_int_gt(computed, CASES / 2);
}
END_TEST

START_TEST(conv_transpose_is_the_adjoint_of_conv)
{
	uint32_t seed = 2;
	int computed = 0;

	for (int i = 0; i < CASES; i++) {
		Conv c = random_conv(&seed);
		int32_t out[SPACE];
		bool fits = true;
		Attr_CONV_TRANSPOSE *a;
		Run r;

		run_begin(&r);
		make_inputs(&r, &c, true, &seed);
		a = run_node(&r, OP_CONV_TRANSPOSE, 1);
		set_attrs(&r, &c, &a->strides, &a->dilations, &a->pads);
		a->output_padding = ints(&r, c.n, c.more);
		a->group = c.groups;
		for (int k = 0; k < c.n; k++) {
			out[k] = (int32_t)((c.size[k] - 1) * c.stride[k] +
			                   (c.kernel[k] - 1) * c.dilation[k] + 1 + c.more[k] -
			                   c.pad[k] - c.pad[c.n + k]);
			fits = fits && out[k] > 0;
		}
		if (fits) {
			run_compute(&r);
			for (int k = 0; k < c.n; k++)
				ck_assert_int_eq(r.node->out[0]->type.dim[2 + k], out[k]);
			expect_equal(&r, 0, expected_conv(&r, &c, out, true));
			computed++;
		} else {
			expect_error(&r, E_SHAPE);
		}
		run_end(&r);
	}
	ck_assert_int_gt(computed, CASES / 2);
}
END_TEST

START_TEST(attributes_that_are_absent_have_their_defaults)
{
	uint32_t seed = 3;
	Run r;

	run_begin(&r);
	run_random(&r, DT_F32, DIMS(1, 1, 3, 3), &seed);
	run_random(&r, DT_F32, DIMS(1, 1, 3, 3), &seed);
	run_node(&r, OP_CONV, 1);
	run_compute(&r);
	ck_assert_int_eq(type_numel(&r.node->out[0]->type), 1);
	run_end(&r);
}
END_TEST

START_TEST(empty_tensors_work)
{
	double bias[2] = {3, -1};
	double planes[18] = {3, 3, 3, 3, 3, 3, 3, 3, 3, -1, -1, -1, -1, -1, -1, -1, -1, -1};
	uint32_t seed = 4;
	Run r;

	/* No batch. */
	run_begin(&r);
	run_random(&r, DT_F32, DIMS(0, 2, 3, 3), &seed);
	run_random(&r, DT_F32, DIMS(2, 2, 3, 3), &seed);
	run_node(&r, OP_CONV, 1);
	run_compute(&r);
	run_end(&r);
	/* No input channels: the bias stays. */
	for (int op = OP_CONV; op <= OP_CONV_TRANSPOSE; op++) {
		run_begin(&r);
		run_random(&r, DT_F32, DIMS(1, 0, 3, 3), &seed);
		run_random(&r, DT_F32, 4,
		           op == OP_CONV ? (const int32_t[]){2, 0, 1, 1}
		                         : (const int32_t[]){0, 2, 1, 1},
		           &seed);
		run_numbers(&r, DT_F32, DIMS(2), bias);
		run_node(&r, (Op)op, 1);
		run_compute(&r);
		expect_equal(&r, 0, planes);
		run_end(&r);
	}
	/* Nothing but padding. */
	run_begin(&r);
	run_random(&r, DT_F32, DIMS(1, 1, 0), &seed);
	run_random(&r, DT_F32, DIMS(1, 1, 1), &seed);
	((Attr_CONV *)run_node(&r, OP_CONV, 1))->pads = INTS(&r, 1, 2);
	run_compute(&r);
	expect_equal(&r, 0, (double[3]){0});
	run_end(&r);
}
END_TEST

START_TEST(extreme_attributes_keep_every_index_in_range)
{
	static const struct {
		int32_t size, kernel;
		int64_t stride, dilation, begin, end, more;
	} conv[] = {
		{3, 2, 1 << 20, (1 << 29) - 4, (1 << 29) - 4, (1 << 29) - 4, 0},
		{3, 2, (1 << 30) - 1, 1, (1 << 29) - 4, (1 << 29) - 4, 0},
		{1 << 20, 3, 7, 1 << 18, 1 << 29, 1, 0},
	}, transposed[] = {
		{2, 2, (1 << 30) - 8, 1, (1 << 29) - 4, (1 << 29) - 4, 5},
		{2, 2, 1, (1 << 30) - 8, (1 << 29) - 4, (1 << 29) - 4, 5},
		{2, 3, 3, (1 << 29) - 4, 5, (1 << 30) - 16, 0},
		{1, 1, (1 << 30) - 1, (1 << 30) - 1, 0, 0, 1 << 20},
	};

	for (size_t i = 0; i < sizeof conv / sizeof conv[0]; i++) {
		Attr_CONV *a;
		Run r;

		run_begin(&r);
		run_zeros(&r, DT_F32, DIMS(1, 1, conv[i].size));
		run_zeros(&r, DT_F32, DIMS(1, 1, conv[i].kernel));
		a = run_node(&r, OP_CONV, 1);
		a->strides = INTS(&r, conv[i].stride);
		a->dilations = INTS(&r, conv[i].dilation);
		a->pads = INTS(&r, conv[i].begin, conv[i].end);
		run_lower(&r);
		run_end(&r);
	}
	for (size_t i = 0; i < sizeof transposed / sizeof transposed[0]; i++) {
		Attr_CONV_TRANSPOSE *a;
		Run r;

		run_begin(&r);
		run_zeros(&r, DT_F32, DIMS(1, 1, transposed[i].size));
		run_zeros(&r, DT_F32, DIMS(1, 1, transposed[i].kernel));
		a = run_node(&r, OP_CONV_TRANSPOSE, 1);
		a->strides = INTS(&r, transposed[i].stride);
		a->dilations = INTS(&r, transposed[i].dilation);
		a->pads = INTS(&r, transposed[i].begin, transposed[i].end);
		a->output_padding = INTS(&r, transposed[i].more);
		run_lower(&r);
		run_end(&r);
	}
}
END_TEST

#define PICTURE \
	{ \
		4, 1, 4, 5, 5 \
	}
#define KERNEL \
	{ \
		4, 4, 4, 3, 3 \
	}
#define BOTH(code) code, code

/* Attributes and shapes that no convolution can have. */
static const struct {
	int32_t x[5], w[5], bias; /* rank first; bias 0: none */
	int64_t group, stride[3], pad[5], dilation[3], more[3]; /* count first */
	DiagCode conv, transpose; /* DIAG_COUNT: not tried */
} bad[] = {
	{PICTURE, KERNEL, 0, 0, {0}, {0}, {0}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, KERNEL, 0, -1, {0}, {0}, {0}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, KERNEL, 0, INT64_MAX, {0}, {0}, {0}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, {4, 4, 1, 3, 3}, 0, 3, {0}, {0}, {0}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, {4, 3, 3, 3, 3}, 0, 1, {0}, {0}, {0}, {0}, BOTH(E_SHAPE)},
	{PICTURE, {3, 4, 4, 3}, 0, 1, {0}, {0}, {0}, {0}, BOTH(E_SHAPE)},
	{{2, 1, 4}, {2, 4, 4}, 0, 1, {0}, {0}, {0}, {0}, BOTH(E_SHAPE)},
	{PICTURE, {4, 4, 4, 0, 3}, 0, 1, {0}, {0}, {0}, {0}, BOTH(E_SHAPE)},
	{PICTURE, KERNEL, 3, 1, {0}, {0}, {0}, {0}, BOTH(E_SHAPE)},
	{PICTURE, KERNEL, 0, 1, {2, 0, 1}, {0}, {0}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, KERNEL, 0, 1, {2, 1, -1}, {0}, {0}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, KERNEL, 0, 1, {1, 1}, {0}, {0}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, KERNEL, 0, 1, {2, INT64_MAX, 1}, {0}, {0}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, KERNEL, 0, 1, {0}, {4, -1, 0, 0, 0}, {0}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, KERNEL, 0, 1, {0}, {2, 1, 1}, {0}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, KERNEL, 0, 1, {0}, {4, 1 << 30, 0, 1 << 30, 0}, {0}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, KERNEL, 0, 1, {0}, {4, (1 << 30) - 1, 0, 9, 0}, {0}, {0}, E_SIZE, E_SHAPE},
	{PICTURE, KERNEL, 0, 1, {0}, {4, 1 << 29, 0, 9, 0}, {0}, {0}, E_SIZE, E_SHAPE},
	{PICTURE, KERNEL, 0, 1, {0}, {0}, {2, 0, 1}, {0}, BOTH(E_ATTRIBUTE)},
	{PICTURE, KERNEL, 0, 1, {0}, {0}, {2, 3, 1}, {0}, E_SHAPE, DIAG_COUNT},
	{PICTURE, KERNEL, 0, 1, {0}, {0}, {2, (1 << 30) - 1, 1}, {0}, E_SHAPE, E_SIZE},
	{PICTURE, KERNEL, 0, 1, {2, (1 << 30) - 1, 1}, {0}, {0}, {0}, DIAG_COUNT, E_SIZE},
	{PICTURE, KERNEL, 0, 1, {0}, {0}, {0}, {2, -1, 0}, DIAG_COUNT, E_ATTRIBUTE},
	{PICTURE, KERNEL, 0, 1, {0}, {0}, {0}, {1, 0}, DIAG_COUNT, E_ATTRIBUTE},
	{{4, 1, 4, 0, 5}, {4, 4, 4, 1, 3}, 0, 1, {0}, {0}, {0}, {0}, BOTH(E_SHAPE)},
};

static Ints
counted(Run *r, const int64_t *v)
{
	return ints(r, (int)v[0], v + 1);
}

START_TEST(nonsense_is_reported)
{
	for (int transposed = 0; transposed < 2; transposed++) {
		DiagCode code = transposed ? bad[_i].transpose : bad[_i].conv;
		Run r;

		if (code == DIAG_COUNT)
			continue;
		run_begin(&r);
		run_zeros(&r, DT_F32, bad[_i].x[0], bad[_i].x + 1);
		run_zeros(&r, DT_F32, bad[_i].w[0], bad[_i].w + 1);
		if (bad[_i].bias)
			run_zeros(&r, DT_F32, 1, &bad[_i].bias);
		if (transposed) {
			Attr_CONV_TRANSPOSE *a = run_node(&r, OP_CONV_TRANSPOSE, 1);

			*a = (Attr_CONV_TRANSPOSE){
				.strides = counted(&r, bad[_i].stride),
				.pads = counted(&r, bad[_i].pad),
				.dilations = counted(&r, bad[_i].dilation),
				.output_padding = counted(&r, bad[_i].more),
				.group = bad[_i].group,
			};
		} else {
			Attr_CONV *a = run_node(&r, OP_CONV, 1);

			*a = (Attr_CONV){
				.strides = counted(&r, bad[_i].stride),
				.pads = counted(&r, bad[_i].pad),
				.dilations = counted(&r, bad[_i].dilation),
				.group = bad[_i].group,
			};
		}
		expect_error(&r, code);
		run_end(&r);
	}
}
END_TEST

START_TEST(elements_have_one_type_that_is_computed_in)
{
	static const DType pairs[][2] = {{DT_F32, DT_F64}, {DT_I8, DT_I8}, {DT_BOOL, DT_BOOL},
	                                 {DT_I32, DT_F32}, {DT_U16, DT_U16}};
	Run r;

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		run_begin(&r);
		run_zeros(&r, pairs[i][0], DIMS(1, 1, 3));
		run_zeros(&r, pairs[i][1], DIMS(1, 1, 3));
		run_node(&r, OP_CONV, 1);
		expect_error(&r, E_TYPE);
		run_end(&r);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("conv");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, conv_is_the_sum_over_the_taps);
	tcase_add_test(tc, conv_transpose_is_the_adjoint_of_conv);
	tcase_add_test(tc, attributes_that_are_absent_have_their_defaults);
	tcase_add_test(tc, empty_tensors_work);
	tcase_add_test(tc, extreme_attributes_keep_every_index_in_range);
	tcase_add_loop_test(tc, nonsense_is_reported, 0, (int)(sizeof bad / sizeof bad[0]));
	tcase_add_test(tc, elements_have_one_type_that_is_computed_in);
	return run_suite(tc, "conv");
}
