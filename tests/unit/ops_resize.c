/*
 * Resize and grid_sample, element by element from their definitions.
 */
#include "tests/unit/run_node.h"

/* ---- Interpolation along one axis, in double ---- */

static double
kernel(double a, double s)
{
	s = fabs(s);
	return s <= 1  ? (a + 2) * s * s * s - (a + 3) * s * s + 1
	       : s < 2 ? a * s * s * s - 5 * a * s * s + 8 * a * s - 4 * a
	               : 0;
}

typedef struct {
	int n;
	int64_t at[4]; /* may lie outside */
	double weight[4];
} Taps;

static Taps
find_taps(Interpolation mode, double x, double cubic_a)
{
	int64_t lower = (int64_t)floor(x);
	Taps t = {.n = mode == INTERP_linear ? 2 : 4};

	for (int k = 0; k < t.n; k++) {
		t.at[k] = lower + k - (mode == INTERP_cubic);
		t.weight[k] = mode == INTERP_linear ? 1 - fabs(x - (double)t.at[k])
		                                    : kernel(cubic_a, x - (double)t.at[k]);
	}
	return t;
}

static double
nearest(NearestMode mode, double x)
{
	return mode == NEAREST_round_prefer_floor  ? ceil(x - 0.5)
	       : mode == NEAREST_round_prefer_ceil ? floor(x + 0.5)
	       : mode == NEAREST_floor             ? floor(x)
	                                           : ceil(x);
}

static int64_t
clamped(double i, int64_t length)
{
	return i < 0 ? 0 : i >= (double)length ? length - 1 : (int64_t)i;
}

/* ---- Resize ---- */

static double
coordinate(const Attr_RESIZE *a, int axis, int rank, double o, int32_t length)
{
	double scale = a->scales.v[axis], resized = (double)a->shape.v[axis];

	switch (a->coordinates) {
	case COORD_pytorch_half_pixel: return resized > 1 ? (o + 0.5) / scale - 0.5 : 0;
	case COORD_half_pixel_symmetric:
		return length / 2.0 * (1 - resized / (scale * length)) + (o + 0.5) / scale - 0.5;
	case COORD_align_corners: return resized > 1 ? o * (length - 1) / (resized - 1) : 0;
	case COORD_asymmetric: return o / scale;
	case COORD_tf_half_pixel_for_nn: return (o + 0.5) / scale;
	case COORD_tf_crop_and_resize: {
		double start = a->roi.v[axis], end = a->roi.v[rank + axis];

		return resized > 1 ? start * (length - 1) +
		                             o * (end - start) * (length - 1) / (resized - 1)
		                   : 0.5 * (start + end) * (length - 1);
	}
	case COORD_half_pixel:
	case COORD_COUNT: break;
	}
	return (o + 0.5) / scale - 0.5;
}

/* The value at place `at` of the output, over the axes from `axis` on. */
static double
resized(const Attr_RESIZE *a, const Type *t, const double *x, const int32_t *at, int axis)
{
	int32_t length = t->dim[axis], stride = type_product(t, axis + 1, t->rank);
	double sum = 0, total = 0, c;
	Taps taps;

	if (axis == t->rank)
		return *x;
	c = coordinate(a, axis, t->rank, at[axis], length);
	if (a->mode == INTERP_nearest)
		return resized(a, t, x + clamped(nearest(a->nearest, c), length) * stride, at,
		               axis + 1);
	taps = find_taps(a->mode, c, a->cubic_a);
	for (int k = 0; k < taps.n; k++) {
		int64_t i = clamped((double)taps.at[k], length);

		if (a->exclude_outside && i != taps.at[k])
			continue;
		total += taps.weight[k];
		sum += taps.weight[k] * resized(a, t, x + i * stride, at, axis + 1);
	}
	return a->exclude_outside ? sum / total : sum;
}

static bool
is_outside(const Attr_RESIZE *a, const Type *t, const int32_t *at)
{
	for (int i = 0; a->coordinates == COORD_tf_crop_and_resize && i < t->rank; i++) {
		double c = coordinate(a, i, t->rank, at[i], t->dim[i]);

		if (c < 0 || c > t->dim[i] - 1)
			return true;
	}
	return false;
}

static void
expect_resized(Run *r, double tolerance)
{
	const Attr_RESIZE *a = r->node->attr;
	const Type *t = &r->node->out[0]->type, *in = &r->in[0]->type;
	double *x = run_input(r, 0), *y;

	run_compute(r);
	y = ARENA_ARRAY(r->arena, double, type_numel(t));
	for (int32_t k = 0; k < type_numel(t); k++) {
		int32_t at[MAX_RANK], rest = k;

		for (int i = t->rank; i-- > 0; rest /= t->dim[i])
			at[i] = rest % t->dim[i];
		y[k] = is_outside(a, in, at) ? a->extrapolation : resized(a, in, x, at, 0);
	}
	expect_close(r, 0, y, tolerance);
}

static Floats
floats(Run *r, int n, const double *v)
{
	return (Floats){n, arena_copy(r->arena, v, (size_t)n * sizeof *v)};
}

/* Lengths are multiples of each other now and then, so that integer formulas and
 * tables both occur. */
SWEEP(resizing_follows_the_coordinates, 3000)
{
	static const DType types[] = {DT_F32, DT_F64, DT_F16};
	uint32_t seed = (uint32_t)_i;
	int rank = random_int(&seed, 1, 3), type = random_int(&seed, 0, 2);
	int32_t dim[3];
	int64_t shape[3];
	double scales[3], roi[6];
	Attr_RESIZE *a;
	Run r;

	for (int i = 0; i < rank; i++) {
		dim[i] = random_int(&seed, 1, 6);
		shape[i] = random_int(&seed, 0, 2) ? random_int(&seed, 1, 9)
		                                   : dim[i] * random_int(&seed, 1, 3);
		/* The scale of a file is a little more than the lengths say. */
		scales[i] = ((double)shape[i] + (random_int(&seed, 0, 3) ? 0 : 0.3)) / dim[i];
		roi[i] = random_int(&seed, -1, 4) / 8.0;
		roi[rank + i] = random_int(&seed, 4, 9) / 8.0;
	}
	run_begin(&r);
	run_random(&r, types[type], rank, dim, &seed);
	a = run_node(&r, OP_RESIZE, 1);
	a->mode = (Interpolation)random_int(&seed, 0, 2);
	a->coordinates = (CoordMode)random_int(&seed, 0, COORD_COUNT - 1);
	if (a->coordinates == COORD_align_corners || a->coordinates == COORD_tf_crop_and_resize)
		for (int i = 0; i < rank; i++)
			scales[i] = (double)shape[i] / dim[i];
	a->nearest = (NearestMode)random_int(&seed, 0, NEAREST_COUNT - 1);
	a->exclude_outside = random_int(&seed, 0, 1) && a->mode == INTERP_cubic &&
	                     a->coordinates == COORD_half_pixel;
	a->cubic_a = random_int(&seed, 0, 1) ? -0.5 : -0.75;
	a->extrapolation = 7;
	a->shape = ints(&r, rank, shape);
	a->scales = floats(&r, rank, scales);
	a->roi = floats(&r, 2 * rank, roi);
	expect_resized(&r, types[type] == DT_F16 ? 4e-3 : 1e-5);
	run_end(&r);
}

/* Places are i / 2; there is no table and no arithmetic in floats. */
START_TEST(doubling_by_the_nearest_is_a_copy)
{
	Attr_RESIZE *a;
	Str s;
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_U8, DIMS(2, 3, 4, 5));
	a = run_node(&r, OP_RESIZE, 1);
	a->shape = INTS(&r, 2, 3, 8, 10);
	a->scales = floats(&r, 4, (const double[]){1, 1, 2, 2});
	str_init(&s, r.arena);
	lfunc_print(&s, run_lower(&r));
	ck_assert_str_eq(s.s, "kernel @resize_1(%x: u8[120] in, %y: u8[480] out) {\n"
	                      "  for %i0 in 0..6 {\n"
	                      "    for %i1 in 0..8 {\n"
	                      "      let %first: idx = %i1 / 2\n"
	                      "      for %i2 in 0..10 {\n"
	                      "        let %first_2: idx = %i2 / 2\n"
	                      "        %y[(%i0 * 8 + %i1) * 10 + %i2] = "
	                      "%x[%i0 * 20 + %first * 5 + %first_2]\n"
	                      "      }\n"
	                      "    }\n"
	                      "  }\n"
	                      "}\n");
	run_end(&r);
}
END_TEST

START_TEST(integers_are_interpolated_too)
{
	Attr_RESIZE *a;
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_U8, DIMS(2), (const double[]){0, 200});
	a = run_node(&r, OP_RESIZE, 1);
	a->mode = INTERP_linear;
	a->shape = INTS(&r, 4);
	a->scales = floats(&r, 1, (const double[]){2});
	run_compute(&r);
	expect_equal(&r, 0, (const double[]){0, 50, 150, 200});
	run_end(&r);
}
END_TEST

SWEEP(bad_scales_are_reported, 4)
{
	const double bad[] = {0, -1, NOT_A_NUMBER, HUGE_VAL};
	Attr_RESIZE *a;
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2));
	a = run_node(&r, OP_RESIZE, 1);
	a->shape = INTS(&r, 4);
	expect_error(&r, E_ATTRIBUTE);
	a->scales = floats(&r, 1, &bad[_i]);
	ck_assert(!run_infer(&r));
	a->scales = floats(&r, 1, (const double[]){2});
	a->shape = INTS(&r, INT64_MAX);
	ck_assert(!run_infer(&r));
	a->shape = INTS(&r, 4);
	a->coordinates = COORD_tf_crop_and_resize;
	ck_assert(!run_infer(&r));
	run_end(&r);
}

/* ---- Grid sample ---- */

static double
reflected(double x, double lo, double hi)
{
	while (hi > lo && (x < lo || x > hi))
		x = x < lo ? 2 * lo - x : 2 * hi - x;
	return hi > lo ? x : lo;
}

/* The element of an image at a place that may lie outside. */
static double
pixel(const Attr_GRID_SAMPLE *a, const Type *t, const double *x, const int64_t *at)
{
	int64_t index = 0;

	for (int i = 0; i < t->rank - 2; i++) {
		int64_t n = t->dim[2 + i], k = at[i];
		double lo = a->align_corners ? 0 : -0.5;

		if (a->padding == GRID_zeros && (k < 0 || k >= n))
			return 0;
		if (a->padding == GRID_reflection)
			k = (int64_t)rint(reflected((double)k, lo, (double)n - 1 - lo));
		index = index * n + clamped((double)k, n);
	}
	return x[index];
}

static double
sampled(const Attr_GRID_SAMPLE *a, const Type *t, const double *x, const double *place, int axis,
        int64_t *at)
{
	double sum = 0;
	Taps taps;

	if (axis == t->rank - 2)
		return pixel(a, t, x, at);
	if (a->mode == INTERP_nearest) {
		at[axis] = (int64_t)rint(place[axis]);
		return sampled(a, t, x, place, axis + 1, at);
	}
	taps = find_taps(a->mode, place[axis], -0.75);
	for (int k = 0; k < taps.n; k++) {
		at[axis] = taps.at[k];
		sum += taps.weight[k] * sampled(a, t, x, place, axis + 1, at);
	}
	return sum;
}

/* From a number of the grid to elements; `n` is the length of the axis. */
static double
grid_place(const Attr_GRID_SAMPLE *a, double g, int32_t n)
{
	double c = a->align_corners ? (g + 1) / 2 * (n - 1) : ((g + 1) * n - 1) / 2;
	double lo = a->align_corners ? 0 : -0.5, hi = n - 1 - lo;

	if (a->mode == INTERP_nearest)
		c = rint(c);
	if (c >= lo && c <= hi)
		return c;
	/* The four neighbours of a cubic place go to the border one by one. */
	if (a->padding == GRID_border && a->mode != INTERP_cubic)
		return c < 0 ? 0 : n - 1;
	return a->padding == GRID_reflection ? reflected(c, lo, hi) : c;
}

SWEEP(grids_name_places_in_every_mode, 1500)
{
	uint32_t seed = (uint32_t)_i;
	Interpolation mode = (Interpolation)random_int(&seed, 0, 2);
	int axes = random_int(&seed, 1, mode == INTERP_cubic ? 2 : 3);
	int32_t dim[5] = {2, 2}, grid[5] = {2}, places = 1, size = 1;
	double *x, *g, *y;
	Attr_GRID_SAMPLE *a;
	Run r;

	for (int i = 0; i < axes; i++) {
		dim[2 + i] = random_int(&seed, mode == INTERP_cubic ? 2 : 1, 4);
		grid[1 + i] = random_int(&seed, 1, 3);
		places *= grid[1 + i];
		size *= dim[2 + i];
	}
	grid[1 + axes] = axes;
	run_begin(&r);
	run_random(&r, DT_F64, axes + 2, dim, &seed);
	run_zeros(&r, DT_F64, axes + 2, grid);
	for (int32_t i = 0; i < 2 * places * axes; i++)
		num_store(DT_F64, r.data[1], (size_t)i,
		          random_int(&seed, -1000, 1000) /
		                  (random_int(&seed, 0, 5) ? 750.0 : 250.0));
	x = run_input(&r, 0);
	g = run_input(&r, 1);
	a = run_node(&r, OP_GRID_SAMPLE, 1);
	a->mode = mode;
	a->padding = (GridPadding)random_int(&seed, 0, 2);
	a->align_corners = random_int(&seed, 0, 1);
	run_compute(&r);
	y = ARENA_ARRAY(r.arena, double, 4 * places);
	for (int32_t k = 0; k < 4 * places; k++) {
		int32_t i = k / (2 * places) * places + k % places;
		double place[3];
		int64_t at[3];

		for (int j = 0; j < axes; j++)
			place[j] = grid_place(a, g[i * axes + axes - 1 - j], dim[2 + j]);
		y[k] = sampled(a, &r.in[0]->type, x + k / places * size, place, 0, at);
	}
	expect_close(&r, 0, y, 1e-9);
	run_end(&r);
}

/* Numbers that no index can hold still read only the input. */
SWEEP(absurd_grids_do_no_harm, 18)
{
	const double g[] = {1e30, -1e30, HUGE_VAL, -HUGE_VAL, NOT_A_NUMBER, 3e9};
	Attr_GRID_SAMPLE *a;
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(1, 1, 3));
	run_numbers(&r, DT_F32, DIMS(1, 6, 1), g);
	a = run_node(&r, OP_GRID_SAMPLE, 1);
	a->mode = (Interpolation)(_i % 3);
	a->padding = (GridPadding)(_i / 3 % 3);
	a->align_corners = _i / 9;
	run_compute(&r);
	run_end(&r);
}

int
main(void)
{
	TCase *tc = tcase_create("resize");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, resizing_follows_the_coordinates);
	tcase_add_test(tc, doubling_by_the_nearest_is_a_copy);
	tcase_add_test(tc, integers_are_interpolated_too);
	tcase_add_test(tc, bad_scales_are_reported);
	tcase_add_test(tc, grids_name_places_in_every_mode);
	tcase_add_test(tc, absurd_grids_do_no_harm);
	return run_suite(tc, "resize and grid sample");
}
