/*
 * Pooling against direct formulas in double, over random shapes and attributes;
 * roi_align against its definition.
 */
#include <string.h>

#include "tests/unit/run_node.h"

enum { CASES = 4000, SPACE = 3 };

typedef struct {
	int n; /* spatial axes */
	int32_t planes[2];
	int32_t size[SPACE], out[SPACE];
	int64_t kernel[SPACE], stride[SPACE], dilation[SPACE], pad[2 * SPACE];
	bool ceil_mode, fits;
	DType t;
} Pool;

/* The number of windows along an axis, counted one by one. */
static int32_t
count_windows(const Pool *p, int a)
{
	int64_t extent = (p->kernel[a] - 1) * p->dilation[a] + 1;
	int64_t begin_and_size = p->pad[a] + p->size[a];
	int64_t padded = begin_and_size + p->pad[p->n + a];
	int32_t n = 0;

	if (extent > padded)
		return 0;
	while (n * p->stride[a] + extent <= padded ||
	       (p->ceil_mode && n * p->stride[a] + extent < padded + p->stride[a] &&
	        n * p->stride[a] < begin_and_size))
		n++;
	return n;
}

static Pool
random_pool(uint32_t *seed)
{
	Pool p = {.n = random_int(seed, 1, SPACE), .fits = true};
	int32_t most = p.n == 1 ? 12 : p.n == 2 ? 8 : 5;

	p.planes[0] = random_int(seed, 1, 2);
	p.planes[1] = random_int(seed, 1, 3);
	p.ceil_mode = random_int(seed, 0, 1);
	for (int i = 0; i < p.n; i++) {
		p.size[i] = random_int(seed, 1, most);
		p.kernel[i] = random_int(seed, 0, 3) ? random_int(seed, 1, 4) : p.size[i];
		p.stride[i] = random_int(seed, 1, 4);
		p.dilation[i] = random_int(seed, 0, 1) ? 1 : random_int(seed, 1, 3);
		p.pad[i] = random_int(seed, 0, 1) ? 0 : random_int(seed, 0, 4);
		p.pad[p.n + i] = random_int(seed, 0, 1) ? 0 : random_int(seed, 0, 4);
	}
	for (int i = 0; i < p.n; i++) {
		p.out[i] = count_windows(&p, i);
		p.fits = p.fits && p.out[i] > 0;
	}
	return p;
}

static void
make_input(Run *r, const Pool *p, uint32_t *seed)
{
	int32_t dim[2 + SPACE] = {p->planes[0], p->planes[1]};

	for (int i = 0; i < p->n; i++)
		dim[2 + i] = p->size[i];
	run_random(r, p->t, 2 + p->n, dim, seed);
}

/* What a window holds, in row-major order. */
typedef struct {
	int n;           /* elements */
	int padding;     /* taps in the padding, without those beyond it */
	double v[1000];
	int32_t at[1000], column_at[1000]; /* flat, by the two orders */
} Members;

static void
gather_window(const Pool *p, const double *x, int32_t plane, int32_t o, Members *m)
{
	int32_t taps = 1, elements = 1, start[SPACE];

	for (int i = p->n; i-- > 0;) {
		start[i] = o % p->out[i] * (int32_t)p->stride[i] - (int32_t)p->pad[i];
		o /= p->out[i];
		taps *= (int32_t)p->kernel[i];
		elements *= p->size[i];
	}
	m->n = m->padding = 0;
	for (int32_t k = 0; k < taps; k++) {
		int32_t rest = k, at = 0, column_at = 0, step = 1, pos[SPACE];
		bool inside = true, padded = true;

		for (int i = p->n; i-- > 0;) {
			pos[i] = start[i] + rest % (int32_t)p->kernel[i] * (int32_t)p->dilation[i];
			rest /= (int32_t)p->kernel[i];
			inside = inside && pos[i] >= 0 && pos[i] < p->size[i];
			padded = padded && pos[i] < p->size[i] + p->pad[p->n + i];
		}
		for (int i = 0; i < p->n; i++) {
			at = at * p->size[i] + pos[i];
			column_at += pos[i] * step;
			step *= p->size[i];
		}
		if (inside) {
			m->at[m->n] = plane * elements + at;
			m->column_at[m->n] = plane * elements + column_at;
			m->v[m->n++] = x[plane * elements + at];
		} else if (padded) {
			m->padding++;
		}
	}
}

static int32_t
count_outputs(const Pool *p)
{
	int32_t n = p->planes[0] * p->planes[1];

	for (int i = 0; i < p->n; i++)
		n *= p->out[i];
	return n;
}

static void
expect_shape(const Run *r, const Pool *p)
{
	for (int i = 0; i < p->n; i++)
		ck_assert_int_eq(r->node->out[0]->type.dim[2 + i], p->out[i]);
}

static const DType max_types[] = {DT_F32, DT_F64, DT_F16, DT_BF16, DT_I8, DT_U8,
                                  DT_I16, DT_I32, DT_U32, DT_I64, DT_U64};

/* The lowest value of a type, as the pool of an empty window gives it. */
static double
lowest(DType t)
{
	if (dtype_is_float(t))
		return -HUGE_VAL;
	return dtype_info[t].class == CLASS_UNSIGNED
	               ? 0
	               : -ldexp(1, 8 * dtype_info[t].bytes - 1);
}

START_TEST(max_pool_is_the_largest_of_the_window)
{
	uint32_t seed = 1;
	int computed = 0;

	for (int i = 0; i < CASES; i++) {
		Pool p = random_pool(&seed);
		int outputs = random_int(&seed, 1, 2);
		Attr_MAX_POOL *a;
		Run r;

		run_begin(&r);
		p.t = max_types[random_int(&seed, 0, 10)];
		make_input(&r, &p, &seed);
		a = run_node(&r, OP_MAX_POOL, outputs);
		a->kernel = ints(&r, p.n, p.kernel);
		a->strides = ints(&r, p.n, p.stride);
		a->dilations = ints(&r, p.n, p.dilation);
		a->pads = ints(&r, 2 * p.n, p.pad);
		a->ceil_mode = p.ceil_mode;
		a->column_major = random_int(&seed, 0, 1);
		if (!p.fits) {
			expect_error(&r, E_SHAPE);
			run_end(&r);
			continue;
		}
		int32_t count = count_outputs(&p), planes = p.planes[0] * p.planes[1];
		double *x = run_input(&r, 0), *max = ARENA_ARRAY(r.arena, double, count);
		double *best = ARENA_ARRAY(r.arena, double, count);
		Members m;

		for (int32_t o = 0; o < count; o++) {
			max[o] = lowest(p.t);
			best[o] = -1;
			gather_window(&p, x, o / (count / planes), o % (count / planes), &m);
			for (int k = 0; k < m.n; k++) {
				if (k > 0 && m.v[k] <= max[o])
					continue;
				max[o] = m.v[k];
				best[o] = a->column_major ? m.column_at[k] : m.at[k];
			}
		}
		run_compute(&r);
		expect_shape(&r, &p);
		expect_equal(&r, 0, max);
		if (outputs == 2)
			expect_equal(&r, 1, best);
		computed++;
		run_end(&r);
	}
	ck_assert_int_gt(computed, CASES / 2);
}
END_TEST

static const DType float_types[] = {DT_F32, DT_F64, DT_F16, DT_BF16};

START_TEST(avg_pool_is_the_mean_of_what_counts)
{
	uint32_t seed = 2;
	int computed = 0;

	for (int i = 0; i < CASES; i++) {
		Pool p = random_pool(&seed);
		Attr_AVG_POOL *a;
		Run r;

		run_begin(&r);
		p.t = float_types[random_int(&seed, 0, 3)];
		make_input(&r, &p, &seed);
		a = run_node(&r, OP_AVG_POOL, 1);
		a->kernel = ints(&r, p.n, p.kernel);
		a->strides = ints(&r, p.n, p.stride);
		a->dilations = ints(&r, p.n, p.dilation);
		a->pads = ints(&r, 2 * p.n, p.pad);
		a->ceil_mode = p.ceil_mode;
		a->count_include_pad = random_int(&seed, 0, 1);
		if (!p.fits) {
			expect_error(&r, E_SHAPE);
			run_end(&r);
			continue;
		}
		int32_t count = count_outputs(&p), planes = p.planes[0] * p.planes[1];
		double *x = run_input(&r, 0), *y = ARENA_ARRAY(r.arena, double, count);
		Members m;

		for (int32_t o = 0; o < count; o++) {
			gather_window(&p, x, o / (count / planes), o % (count / planes), &m);
			for (int k = 0; k < m.n; k++)
				y[o] += m.v[k];
			if (a->count_include_pad)
				m.n += m.padding;
			if (m.n > 0)
				y[o] /= m.n;
			if (p.t != DT_F64)
				y[o] = (double)(float)y[o];
		}
		run_compute(&r);
		expect_shape(&r, &p);
		expect_equal(&r, 0, y);
		computed++;
		run_end(&r);
	}
	ck_assert_int_gt(computed, CASES / 2);
}
END_TEST

START_TEST(lp_pool_is_the_norm_of_the_window)
{
	uint32_t seed = 3;

	for (int i = 0; i < CASES / 4; i++) {
		Pool p = random_pool(&seed);
		Attr_LP_POOL *a;
		Run r;

		run_begin(&r);
		p.t = float_types[random_int(&seed, 0, 1)];
		make_input(&r, &p, &seed);
		a = run_node(&r, OP_LP_POOL, 1);
		a->kernel = ints(&r, p.n, p.kernel);
		a->strides = ints(&r, p.n, p.stride);
		a->dilations = ints(&r, p.n, p.dilation);
		a->pads = ints(&r, 2 * p.n, p.pad);
		a->ceil_mode = p.ceil_mode;
		a->p = random_int(&seed, 1, 3);
		if (!p.fits) {
			expect_error(&r, E_SHAPE);
			run_end(&r);
			continue;
		}
		int32_t count = count_outputs(&p), planes = p.planes[0] * p.planes[1];
		double *x = run_input(&r, 0), *y = ARENA_ARRAY(r.arena, double, count);
		Members m;

		for (int32_t o = 0; o < count; o++) {
			gather_window(&p, x, o / (count / planes), o % (count / planes), &m);
			for (int k = 0; k < m.n; k++)
				y[o] += pow(fabs(m.v[k]), (double)a->p);
			y[o] = pow(y[o], 1.0 / (double)a->p);
		}
		run_compute(&r);
		expect_shape(&r, &p);
		expect_close(&r, 0, y, p.t == DT_F64 ? 1e-14 : 1e-6);
		run_end(&r);
	}
}
END_TEST

START_TEST(max_pool_passes_nan_over_and_finds_infinities)
{
	const double nan = NOT_A_NUMBER, inf = HUGE_VAL;
	const double x[9] = {nan, nan, nan, -inf, nan, -inf, nan, 1, inf};
	Attr_MAX_POOL *a;
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(1, 1, 9), x);
	a = run_node(&r, OP_MAX_POOL, 2);
	a->kernel = INTS(&r, 3);
	a->strides = INTS(&r, 3);
	run_compute(&r);
	expect_equal(&r, 0, (double[]){-inf, -inf, inf});
	expect_equal(&r, 1, (double[]){-1, 3, 8});
	run_end(&r);
}
END_TEST

START_TEST(indices_alone_can_be_asked_for)
{
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(1, 1, 4), (double[]){1, 2, 4, 3});
	((Attr_MAX_POOL *)run_node(&r, OP_MAX_POOL, 2))->kernel = INTS(&r, 2);
	r.node->out[0] = NULL;
	run_compute(&r);
	expect_equal(&r, 1, (double[]){1, 2, 2});
	run_end(&r);
}
END_TEST

START_TEST(a_pool_without_elements_has_a_value)
{
	Attr_MAX_POOL *m;
	Attr_AVG_POOL *a;
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_I8, DIMS(1, 1, 0));
	m = run_node(&r, OP_MAX_POOL, 2);
	m->kernel = INTS(&r, 2);
	m->pads = INTS(&r, 1, 2);
	run_compute(&r);
	expect_equal(&r, 0, (double[]){-128, -128});
	expect_equal(&r, 1, (double[]){-1, -1});
	run_end(&r);
	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(1, 1, 0));
	a = run_node(&r, OP_AVG_POOL, 1);
	a->kernel = INTS(&r, 2);
	a->pads = INTS(&r, 1, 2);
	run_compute(&r);
	expect_equal(&r, 0, (double[]){0, 0});
	run_end(&r);
	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 0, 4));
	a = run_node(&r, OP_AVG_POOL, 1);
	a->kernel = INTS(&r, 2);
	run_compute(&r);
	run_end(&r);
}
END_TEST

START_TEST(extreme_attributes_keep_every_index_in_range)
{
	static const int64_t half = (1 << 29) - 4;
	static const struct {
		int64_t kernel, stride, dilation, begin, end;
	} cases[] = {
		{2, 1 << 20, half, half, half},        {half, 1 << 20, 1, half, half},
		{2, (1 << 30) - 1, 1, half, half},     {half, (1 << 30) - 1, 2, half, half},
		{1, 1 << 20, (1 << 30) - 1, 0, half},  {3, half, half / 2, 0, 2 * half},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (int flags = 0; flags < 4; flags++) {
			Attr_AVG_POOL *a;
			Run r;

			run_begin(&r);
			run_zeros(&r, DT_F32, DIMS(1, 1, 3));
			a = run_node(&r, OP_AVG_POOL, 1);
			a->kernel = INTS(&r, cases[i].kernel);
			a->strides = INTS(&r, cases[i].stride);
			a->dilations = INTS(&r, cases[i].dilation);
			a->pads = INTS(&r, cases[i].begin, cases[i].end);
			a->ceil_mode = flags & 1;
			a->count_include_pad = flags & 2;
			run_lower(&r);
			run_end(&r);
		}
}
END_TEST

START_TEST(bad_pools_are_reported)
{
	static const struct {
		int rank;
		int64_t kernel[3], stride[3], pad[3], dilation[3], p; /* count first */
		DiagCode code;
	} bad[] = {
		{3, {0}, {0}, {0}, {0}, 2, E_ATTRIBUTE},
		{3, {2, 1, 1}, {0}, {0}, {0}, 2, E_ATTRIBUTE},
		{3, {1, 0}, {0}, {0}, {0}, 2, E_ATTRIBUTE},
		{3, {1, INT64_MIN}, {0}, {0}, {0}, 2, E_ATTRIBUTE},
		{3, {1, 7}, {0}, {0}, {0}, 2, E_SHAPE},
		{3, {1, 2}, {1, 0}, {0}, {0}, 2, E_ATTRIBUTE},
		{3, {1, 2}, {0}, {1, 0}, {0}, 2, E_ATTRIBUTE},
		{3, {1, 2}, {0}, {2, 0, -1}, {0}, 2, E_ATTRIBUTE},
		{3, {1, 2}, {0}, {0}, {1, 0}, 2, E_ATTRIBUTE},
		{3, {1, 2}, {0}, {0}, {0}, 0, E_ATTRIBUTE},
		{2, {1, 2}, {0}, {0}, {0}, 2, E_SHAPE},
	};
	Attr_LP_POOL *a;
	Run r;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		run_begin(&r);
		run_zeros(&r, DT_F32, bad[i].rank, (const int32_t[]){1, 2, 6});
		a = run_node(&r, OP_LP_POOL, 1);
		a->kernel = ints(&r, (int)bad[i].kernel[0], bad[i].kernel + 1);
		a->strides = ints(&r, (int)bad[i].stride[0], bad[i].stride + 1);
		a->pads = ints(&r, (int)bad[i].pad[0], bad[i].pad + 1);
		a->dilations = ints(&r, (int)bad[i].dilation[0], bad[i].dilation + 1);
		a->p = bad[i].p;
		expect_error(&r, bad[i].code);
		run_end(&r);
	}
	run_begin(&r);
	run_zeros(&r, DT_I8, DIMS(1, 2, 6));
	((Attr_AVG_POOL *)run_node(&r, OP_AVG_POOL, 1))->kernel = INTS(&r, 2);
	expect_error(&r, E_TYPE);
	run_end(&r);
}
END_TEST

/* ---- roi_align ---- */

/* The bilinear terms of one sample; false when it is outside. */
static bool
sample_terms(const double *plane, int32_t h, int32_t w, double y, double x, double term[4])
{
	double fy, fx;
	int32_t y0, x0, y1, x1;

	if (y < -1 || y > h || x < -1 || x > w)
		return false;
	y = y < 0 ? 0 : y > h - 1 ? h - 1 : y;
	x = x < 0 ? 0 : x > w - 1 ? w - 1 : x;
	y0 = (int32_t)floor(y);
	x0 = (int32_t)floor(x);
	y1 = y0 + 1 < h ? y0 + 1 : y0;
	x1 = x0 + 1 < w ? x0 + 1 : x0;
	fy = y - y0;
	fx = x - x0;
	term[0] = (1 - fy) * (1 - fx) * plane[y0 * w + x0];
	term[1] = (1 - fy) * fx * plane[y0 * w + x1];
	term[2] = fy * (1 - fx) * plane[y1 * w + x0];
	term[3] = fy * fx * plane[y1 * w + x1];
	return true;
}

static double
roi_bin(const double *plane, int32_t h, int32_t w, const double *roi, const Attr_ROI_ALIGN *a,
        int64_t by, int64_t bx)
{
	double shift = a->half_pixel ? 0.5 : 0, best = -HUGE_VAL, sum = 0;
	double x0 = roi[0] * a->spatial_scale - shift, y0 = roi[1] * a->spatial_scale - shift;
	double width = roi[2] * a->spatial_scale - shift - x0;
	double height = roi[3] * a->spatial_scale - shift - y0;

	if (!a->half_pixel) {
		width = width < 1 ? 1 : width;
		height = height < 1 ? 1 : height;
	}
	width /= (double)a->width;
	height /= (double)a->height;
	int64_t ny = a->sampling_ratio ? a->sampling_ratio : (int64_t)ceil(height);
	int64_t nx = a->sampling_ratio ? a->sampling_ratio : (int64_t)ceil(width);

	if (ny <= 0 || nx <= 0)
		return 0;
	for (int64_t i = 0; i < ny; i++)
		for (int64_t k = 0; k < nx; k++) {
			double term[4] = {0};

			sample_terms(plane, h, w,
			             y0 + height * ((double)by + ((double)i + 0.5) / (double)ny),
			             x0 + width * ((double)bx + ((double)k + 0.5) / (double)nx), term);
			for (int t = 0; t < 4; t++) {
				sum += term[t];
				best = fmax(best, term[t]);
			}
		}
	return a->mode == POOL_max ? best : sum / (double)(ny * nx);
}

START_TEST(roi_align_resamples_regions)
{
	uint32_t seed = 5;

	for (int i = 0; i < 500; i++) {
		int32_t h = random_int(&seed, 1, 9), w = random_int(&seed, 1, 9);
		int32_t rois = random_int(&seed, 0, 4), channels = random_int(&seed, 1, 3);
		double corner[16], *expected, *x;
		int64_t *batch;
		Attr_ROI_ALIGN *a;
		Run r;

		run_begin(&r);
		run_random(&r, DT_F64, DIMS(2, channels, h, w), &seed);
		for (int k = 0; k < 4 * rois; k++)
			corner[k] = random_int(&seed, -20, 100) / 7.0;
		run_numbers(&r, DT_F64, DIMS(rois, 4), corner);
		batch = run_zeros(&r, DT_I64, DIMS(rois));
		for (int k = 0; k < rois; k++)
			batch[k] = random_int(&seed, 0, 1);
		a = run_node(&r, OP_ROI_ALIGN, 1);
		a->height = random_int(&seed, 1, 4);
		a->width = random_int(&seed, 1, 4);
		a->sampling_ratio = random_int(&seed, 0, 3);
		a->spatial_scale = random_int(&seed, 0, 1) ? 1 : 0.625;
		a->half_pixel = random_int(&seed, 0, 1);
		a->mode = random_int(&seed, 0, 1) ? POOL_max : POOL_average;
		run_compute(&r);
		x = run_input(&r, 0);
		expected = ARENA_ARRAY(r.arena, double, rois * channels * a->height * a->width);
		for (int64_t k = 0; k < rois * channels * a->height * a->width; k++) {
			int64_t bx = k % a->width, by = k / a->width % a->height;
			int64_t c = k / (a->width * a->height);

			expected[k] = roi_bin(x + (batch[c / channels] * channels + c % channels) * h * w,
			                      h, w, corner + 4 * (c / channels), a, by, bx);
		}
		expect_close(&r, 0, expected, 1e-12);
		run_end(&r);
	}
}
END_TEST

START_TEST(roi_align_clamps_hostile_data)
{
	const double nan = NOT_A_NUMBER;
	const double roi[] = {-1e30, -1e30, 1e30, 1e30, nan, nan, nan, nan};
	Attr_ROI_ALIGN *a;
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(1, 1, 3, 3));
	run_numbers(&r, DT_F32, DIMS(2, 4), roi);
	memcpy(run_zeros(&r, DT_I64, DIMS(2)), (int64_t[]){INT64_MAX, -7}, 16);
	a = run_node(&r, OP_ROI_ALIGN, 1);
	a->sampling_ratio = 2;
	run_compute(&r);
	expect_equal(&r, 0, (double[]){0, 0});
	run_end(&r);
}
END_TEST

START_TEST(bad_roi_align_is_reported)
{
	static const struct {
		int32_t rois, columns, batch, height;
		int64_t bins, ratio;
		DType index;
		DiagCode code;
	} bad[] = {
		{2, 4, 2, 5, 0, 0, DT_I64, E_ATTRIBUTE},  {2, 4, 2, 5, 1, -1, DT_I64, E_ATTRIBUTE},
		{2, 5, 2, 5, 1, 0, DT_I64, E_SHAPE},      {2, 4, 3, 5, 1, 0, DT_I64, E_SHAPE},
		{2, 4, 2, 0, 1, 0, DT_I64, E_SHAPE},      {2, 4, 2, 5, 1, 0, DT_F32, E_TYPE},
		{2, 4, 2, 5, 1, 1 << 20, DT_I64, E_ATTRIBUTE},
	};
	Run r;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		Attr_ROI_ALIGN *a;

		run_begin(&r);
		run_zeros(&r, DT_F32, DIMS(1, 1, bad[i].height, 4));
		run_zeros(&r, DT_F32, DIMS(bad[i].rois, bad[i].columns));
		run_zeros(&r, bad[i].index, DIMS(bad[i].batch));
		a = run_node(&r, OP_ROI_ALIGN, 1);
		a->height = bad[i].bins;
		a->sampling_ratio = bad[i].ratio;
		expect_error(&r, bad[i].code);
		run_end(&r);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("pool");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, max_pool_is_the_largest_of_the_window);
	tcase_add_test(tc, avg_pool_is_the_mean_of_what_counts);
	tcase_add_test(tc, lp_pool_is_the_norm_of_the_window);
	tcase_add_test(tc, max_pool_passes_nan_over_and_finds_infinities);
	tcase_add_test(tc, indices_alone_can_be_asked_for);
	tcase_add_test(tc, a_pool_without_elements_has_a_value);
	tcase_add_test(tc, extreme_attributes_keep_every_index_in_range);
	tcase_add_test(tc, bad_pools_are_reported);
	tcase_add_test(tc, roi_align_resamples_regions);
	tcase_add_test(tc, roi_align_clamps_hostile_data);
	tcase_add_test(tc, bad_roi_align_is_reported);
	return run_suite(tc, "pool");
}
