/*
 * Operators that move data: for every element of the output the test says, from
 * the definition, which element of the input it is.  All element types, random
 * shapes up to rank 8, axes of length 0 and 1 among them.
 */
#include <string.h>

#include "tests/unit/run_node.h"

enum { CASES = 600 };

typedef struct {
	Run run;
	uint32_t seed;
	DType t;
	int rank;
	int32_t dim[MAX_RANK];
	int64_t a[2 * MAX_RANK], b[MAX_RANK], c[MAX_RANK]; /* attributes */
} Case;

static Case
random_case(int i, int max_rank, int32_t shortest)
{
	Case c = {.seed = (uint32_t)i, .t = (DType)(i % DT_IDX)};

	c.rank = random_int(&c.seed, 0, max_rank);
	for (int k = 0; k < c.rank; k++)
		c.dim[k] = random_int(&c.seed, 0, 12) ? random_int(&c.seed, 1, c.rank > 5 ? 2 : 4)
		                                      : shortest;
	run_begin(&c.run);
	run_random(&c.run, c.t, c.rank, c.dim, &c.seed);
	return c;
}

/* The place of flat index k in a tensor of type t. */
static void
unflatten(const Type *t, int32_t k, int32_t at[MAX_RANK])
{
	for (int i = t->rank; i-- > 0; k /= t->dim[i])
		at[i] = k % t->dim[i];
}

static int32_t
flatten(const Type *t, const int32_t *at)
{
	int32_t k = 0;

	for (int i = 0; i < t->rank; i++)
		k = k * t->dim[i] + at[i];
	return k;
}

/* From the place in the output, the place in the input; false: the output is 0. */
typedef bool Source(const Case *c, const int32_t *at, int32_t *from);

static void
expect_source(Case *c, Source *source)
{
	Run *r = &c->run;
	const Type *t = &r->node->out[0]->type, *in = &r->in[0]->type;
	size_t bytes = (size_t)dtype_info[t->dtype].bytes;
	static const char zeros[8];

	for (int32_t k = 0; k < type_numel(t); k++) {
		int32_t at[MAX_RANK] = {0}, from[MAX_RANK] = {0};
		const char *got = (const char *)r->result[0] + (size_t)k * bytes, *want = zeros;

		unflatten(t, k, at);
		if (source(c, at, from))
			want = (const char *)r->data[0] + (size_t)flatten(in, from) * bytes;
		if (memcmp(got, want, bytes) != 0)
			ck_abort_msg("%s: element %d of %s is wrong", op_info[r->node->op].name, k,
			             type_text(r->arena, t));
	}
	run_end(r);
}

/* ---- Copies, transpose, slice, expand, tile ---- */

SWEEP(copies_keep_all_bytes, CASES)
{
	Case c = random_case(_i, MAX_RANK, 0);
	Run *r = &c.run;
	const Type *t = &r->in[0]->type;
	int64_t flat = type_numel(t);

	run_node(r, OP_IDENTITY, 1);
	run_compute(r);
	ck_assert(type_equal(t, &r->node->out[0]->type));
	ck_assert(memcmp(r->result[0], r->data[0], type_bytes(t)) == 0);
	((Attr_RESHAPE *)run_node(r, OP_RESHAPE, 1))->shape = ints(r, 1, &flat);
	run_compute(r);
	ck_assert(memcmp(r->result[0], r->data[0], type_bytes(t)) == 0);
	run_end(r);
}

static bool
transposed(const Case *c, const int32_t *at, int32_t *from)
{
	for (int i = 0; i < c->rank; i++)
		from[c->a[i]] = at[i];
	return true;
}

SWEEP(transpose_takes_every_permutation, CASES)
{
	Case c = random_case(_i, MAX_RANK, 0);

	for (int i = 0; i < c.rank; i++) {
		int k = random_int(&c.seed, 0, i);

		c.a[i] = c.a[k];
		c.a[k] = i;
	}
	((Attr_TRANSPOSE *)run_node(&c.run, OP_TRANSPOSE, 1))->perm = ints(&c.run, c.rank, c.a);
	run_compute(&c.run);
	expect_source(&c, transposed);
}

static bool
sliced(const Case *c, const int32_t *at, int32_t *from)
{
	for (int i = 0; i < c->rank; i++)
		from[i] = (int32_t)(c->a[i] + at[i] * c->c[i]);
	return true;
}

SWEEP(slices_go_both_ways, CASES)
{
	Case c = random_case(_i, MAX_RANK, 0);
	Attr_SLICE *a;

	for (int i = 0; i < c.rank; i++) {
		int32_t room;

		c.a[i] = c.dim[i] ? random_int(&c.seed, 0, c.dim[i] - 1) : 0;
		c.c[i] = random_int(&c.seed, 0, 1) ? random_int(&c.seed, 1, 2)
		                                   : -random_int(&c.seed, 1, 2);
		room = (int32_t)(c.c[i] > 0 ? c.dim[i] - 1 - c.a[i] : c.a[i]);
		room /= (int32_t)(c.c[i] > 0 ? c.c[i] : -c.c[i]);
		c.b[i] = c.dim[i] && random_int(&c.seed, 0, 9) ? random_int(&c.seed, 1, room + 1)
		                                               : 0;
		if (c.b[i] <= 1 && random_int(&c.seed, 0, 1))
			c.c[i] = INT64_MIN;
	}
	a = run_node(&c.run, OP_SLICE, 1);
	a->starts = ints(&c.run, c.rank, c.a);
	a->sizes = ints(&c.run, c.rank, c.b);
	a->steps = ints(&c.run, c.rank, c.c);
	run_compute(&c.run);
	for (int i = 0; i < c.rank; i++)
		c.c[i] = c.b[i] <= 1 ? 1 : c.c[i];
	expect_source(&c, sliced);
}

SWEEP(slices_that_leave_the_tensor_are_reported, 9)
{
	static const int64_t bad[][3] = {{-1, 1, 1},        {4, 1, 1},         {0, 5, 1},
	                                 {0, 2, 4},         {1, 3, -1},        {0, -1, 1},
	                                 {0, 2, INT64_MAX}, {3, 2, INT64_MIN}, {INT64_MAX, 1, 1}};
	Attr_SLICE *a;
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(4));
	a = run_node(&r, OP_SLICE, 1);
	a->starts = ints(&r, 1, &bad[_i][0]);
	a->sizes = ints(&r, 1, &bad[_i][1]);
	a->steps = ints(&r, 1, &bad[_i][2]);
	ck_assert(!run_infer(&r));
	ck_assert_int_eq(r.diag.errors, 1);
	run_end(&r);
}

static bool
expanded(const Case *c, const int32_t *at, int32_t *from)
{
	int more = c->run.node->out[0]->type.rank - c->rank;

	for (int i = 0; i < c->rank; i++)
		from[i] = c->dim[i] == 1 ? 0 : at[more + i];
	return true;
}

SWEEP(expand_repeats_axes_of_length_1, CASES)
{
	Case c = random_case(_i, 6, 0);
	int more = random_int(&c.seed, 0, 2);

	for (int i = 0; i < more + c.rank; i++)
		c.a[i] = i >= more && c.dim[i - more] != 1 ? c.dim[i - more]
		                                           : random_int(&c.seed, 0, 3);
	((Attr_EXPAND *)run_node(&c.run, OP_EXPAND, 1))->shape = ints(&c.run, more + c.rank, c.a);
	run_compute(&c.run);
	expect_source(&c, expanded);
}

static bool
tiled(const Case *c, const int32_t *at, int32_t *from)
{
	for (int i = 0; i < c->rank; i++)
		from[i] = at[i] % c->dim[i];
	return true;
}

SWEEP(tile_repeats_the_whole, CASES)
{
	Case c = random_case(_i, MAX_RANK, 0);

	for (int i = 0; i < c.rank; i++)
		c.a[i] = random_int(&c.seed, 0, 9) ? random_int(&c.seed, 1, 2) : 0;
	((Attr_TILE *)run_node(&c.run, OP_TILE, 1))->repeats = ints(&c.run, c.rank, c.a);
	run_compute(&c.run);
	expect_source(&c, tiled);
}

/* ---- Concat ---- */

SWEEP(concat_puts_blocks_side_by_side, CASES)
{
	Case c = random_case(_i, MAX_RANK, 0);
	Run *r = &c.run;
	int axis = c.rank ? random_int(&c.seed, 0, c.rank - 1) : 0, count;
	size_t bytes = (size_t)dtype_info[c.t].bytes;
	int32_t start = 0;

	if (c.rank == 0) {
		run_end(r);
		return;
	}
	count = random_int(&c.seed, 0, 3);
	for (int i = 0; i < count; i++) {
		c.dim[axis] = random_int(&c.seed, 0, 3);
		run_random(r, c.t, c.rank, c.dim, &c.seed);
	}
	((Attr_CONCAT *)run_node(r, OP_CONCAT, 1))->axis = axis;
	run_compute(r);
	for (int i = 0; i < r->nins; start += r->in[i++]->type.dim[axis]) {
		const Type *in = &r->in[i]->type;

		for (int32_t k = 0; k < type_numel(in); k++) {
			int32_t at[MAX_RANK];

			unflatten(in, k, at);
			at[axis] += start;
			ck_assert(
				memcmp((char *)r->data[i] + (size_t)k * bytes,
			               (char *)r->result[0] +
			                       (size_t)flatten(&r->node->out[0]->type, at) * bytes,
			               bytes) == 0);
		}
	}
	ck_assert_int_eq(r->node->out[0]->type.dim[axis], start);
	run_end(r);
}

/* ---- Pad ---- */

/* Where place i of an axis of that length comes from, one step at a time. */
static int32_t
padded_place(PadMode mode, int64_t i, int32_t length)
{
	while (i < 0 || i >= length) {
		if (mode == PAD_edge)
			i = i < 0 ? 0 : length - 1;
		else if (mode == PAD_wrap)
			i += i < 0 ? length : -length;
		else if (length == 1)
			i = 0;
		else
			i = i < 0 ? -i : 2 * (length - 1) - i;
	}
	return (int32_t)i;
}

static bool
padded(const Case *c, const int32_t *at, int32_t *from)
{
	const Attr_PAD *a = c->run.node->attr;

	for (int i = 0; i < c->rank; i++) {
		int64_t k = at[i] - c->a[i];

		if (a->mode == PAD_constant && (k < 0 || k >= c->dim[i]))
			return false;
		from[i] = padded_place(a->mode, k, c->dim[i]);
	}
	return true;
}

SWEEP(pads_add_and_crop_in_every_mode, 2 * CASES)
{
	PadMode mode = (PadMode)(_i % PAD_COUNT);
	Case c = random_case(_i / PAD_COUNT, 5, mode == PAD_constant ? 0 : 1);
	Attr_PAD *a;

	for (int i = 0; i < c.rank; i++) {
		c.a[i] = random_int(&c.seed, -2, 5);
		c.a[c.rank + i] = random_int(&c.seed, -2, 5);
		if (c.dim[i] + c.a[i] + c.a[c.rank + i] < 0)
			c.a[i] = c.a[c.rank + i] = 0;
	}
	a = run_node(&c.run, OP_PAD, 1);
	a->pads = ints(&c.run, 2 * c.rank, c.a);
	a->mode = mode;
	run_compute(&c.run);
	expect_source(&c, padded);
}

START_TEST(pads_take_a_value)
{
	Attr_PAD *a;
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_I16, DIMS(2), (const double[]){1, 2});
	run_numbers(&r, DT_I16, DIMS(1), (const double[]){-7});
	a = run_node(&r, OP_PAD, 1);
	a->pads = INTS(&r, 1, 2);
	run_compute(&r);
	expect_equal(&r, 0, (const double[]){-7, 1, 2, -7, -7});
	a->pads = INTS(&r, 1, -10);
	expect_error(&r, E_SIZE);
	run_end(&r);
}
END_TEST

/* ---- Triangles, sequences, blocks ---- */

static bool
in_triangle(const Case *c, const int32_t *at, int32_t *from)
{
	int64_t k = at[c->rank - 1] - (int64_t)at[c->rank - 2];

	memcpy(from, at, (size_t)c->rank * sizeof *at);
	return c->a[0] ? k >= c->a[1] : k <= c->a[1];
}

SWEEP(triangles_have_any_diagonal, CASES)
{
	static const int64_t diagonals[] = {-2, -1, 0, 1, 2, INT64_MIN, INT64_MAX};
	Case c = random_case(_i, 5, 0);
	Attr_TRILU *a;

	if (c.rank < 2) {
		run_node(&c.run, OP_TRILU, 1);
		expect_error(&c.run, E_SHAPE);
		run_end(&c.run);
		return;
	}
	a = run_node(&c.run, OP_TRILU, 1);
	c.a[0] = a->upper = random_int(&c.seed, 0, 1);
	c.a[1] = a->k = diagonals[random_int(&c.seed, 0, 6)];
	run_compute(&c.run);
	expect_source(&c, in_triangle);
}

static bool
reversed(const Case *c, const int32_t *at, int32_t *from)
{
	const Attr_REVERSE_SEQUENCE *a = c->run.node->attr;
	int64_t length = c->b[at[a->batch_axis]];
	int32_t time = c->dim[a->time_axis];

	length = length < 0 ? 0 : length > time ? time : length;
	memcpy(from, at, (size_t)c->rank * sizeof *at);
	if (at[a->time_axis] < length)
		from[a->time_axis] = (int32_t)length - 1 - at[a->time_axis];
	return true;
}

SWEEP(sequences_are_reversed_up_to_their_length, CASES)
{
	Case c = random_case(_i, 5, 0);
	int batch = random_int(&c.seed, 0, 4), time = random_int(&c.seed, 0, 4);
	Attr_REVERSE_SEQUENCE *a;
	int64_t *lengths;

	if (batch >= c.rank || time >= c.rank || batch == time) {
		run_end(&c.run);
		return;
	}
	lengths = run_zeros(&c.run, DT_I64, 1, &c.dim[batch]);
	for (int i = 0; i < c.dim[batch]; i++)
		c.b[i] = lengths[i] = random_int(&c.seed, -1, c.dim[time] + 1);
	a = run_node(&c.run, OP_REVERSE_SEQUENCE, 1);
	a->batch_axis = batch;
	a->time_axis = time;
	run_compute(&c.run);
	expect_source(&c, reversed);
}

SWEEP(blocks_move_between_channels_and_space, 2)
{
	enum { B = 2, C = 3, H = 2, W = 3 };
	BlockOrder order = (BlockOrder)(_i % 2);
	int32_t *x, *y;
	Run r;

	run_begin(&r);
	x = run_zeros(&r, DT_I32, DIMS(2, C * B * B, H, W));
	for (int32_t i = 0; i < type_numel(&r.in[0]->type); i++)
		x[i] = i;
	run_node(&r, OP_DEPTH_TO_SPACE, 1);
	*(Attr_DEPTH_TO_SPACE *)r.node->attr = (Attr_DEPTH_TO_SPACE){.block = B, .order = order};
	run_expanded(&r);
	y = r.result[0];
	for (int32_t i = 0; i < 2 * C * B * B * H * W; i++) {
		int32_t w = i % (W * B), h = i / (W * B) % (H * B), c = i / (W * B * H * B) % C;
		int32_t n = i / (W * B * H * B * C), block = h % B * B + w % B;
		int32_t channel = order == BLOCK_dcr ? block * C + c : c * B * B + block;

		ck_assert_int_eq(y[i], ((n * C * B * B + channel) * H + h / B) * W + w / B);
	}
	run_end(&r);
}

START_TEST(space_goes_to_depth_and_back)
{
	int32_t *x, *y;
	Run r;

	run_begin(&r);
	x = run_zeros(&r, DT_I32, DIMS(1, 2, 4, 6));
	for (int32_t i = 0; i < 48; i++)
		x[i] = i;
	((Attr_SPACE_TO_DEPTH *)run_node(&r, OP_SPACE_TO_DEPTH, 1))->block = 2;
	run_expanded(&r);
	y = r.result[0];
	for (int32_t i = 0; i < 48; i++) {
		int32_t w = i % 3, h = i / 3 % 2, c = i / 6 % 2, block = i / 12;

		ck_assert_int_eq(y[i], (c * 4 + 2 * h + block / 2) * 6 + 2 * w + block % 2);
	}
	run_end(&r);
}
END_TEST

SWEEP(blocks_that_do_not_divide_are_reported, 5)
{
	static const int64_t bad[] = {0, -1, 2, 3, INT64_MAX};
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(1, 5, 5, 5));
	((Attr_DEPTH_TO_SPACE *)run_node(&r, OP_DEPTH_TO_SPACE, 1))->block = bad[_i];
	expect_error(&r, E_ATTRIBUTE);
	run_node(&r, OP_SPACE_TO_DEPTH, 1);
	((Attr_SPACE_TO_DEPTH *)r.node->attr)->block = bad[_i];
	ck_assert(!run_infer(&r));
	run_end(&r);
}

START_TEST(reshape_keeps_the_number_of_elements)
{
	Attr_RESHAPE *a;
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 3));
	a = run_node(&r, OP_RESHAPE, 1);
	a->shape = INTS(&r, 7);
	expect_error(&r, E_SHAPE);
	a->shape = INTS(&r, 1 << 20, 1 << 20);
	ck_assert(!run_infer(&r));
	a->shape = INTS(&r, 1, 1, 1, 1, 1, 1, 1, 1, 6);
	ck_assert(!run_infer(&r));
	a->shape = INTS(&r, -1, -6);
	ck_assert(!run_infer(&r));
	a->shape = INTS(&r, 6, 1);
	ck_assert(run_infer(&r));
	run_end(&r);
}
END_TEST

/* Axes that stay together are one loop. */
START_TEST(transpose_joins_axes)
{
	Str s;
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 3, 4, 5));
	((Attr_TRANSPOSE *)run_node(&r, OP_TRANSPOSE, 1))->perm = INTS(&r, 2, 3, 0, 1);
	str_init(&s, r.arena);
	lfunc_print(&s, run_lower(&r));
	ck_assert_str_eq(s.s, "kernel @transpose_1(%x: f32[120] in, %y: f32[120] out) {\n"
	                      "  for %i0 in 0..20 {\n"
	                      "    for %i1 in 0..6 {\n"
	                      "      %y[%i0 * 6 + %i1] = %x[%i0 + %i1 * 20]\n"
	                      "    }\n"
	                      "  }\n"
	                      "}\n");
	run_end(&r);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("move");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, copies_keep_all_bytes);
	tcase_add_test(tc, transpose_takes_every_permutation);
	tcase_add_test(tc, slices_go_both_ways);
	tcase_add_test(tc, slices_that_leave_the_tensor_are_reported);
	tcase_add_test(tc, expand_repeats_axes_of_length_1);
	tcase_add_test(tc, tile_repeats_the_whole);
	tcase_add_test(tc, concat_puts_blocks_side_by_side);
	tcase_add_test(tc, pads_add_and_crop_in_every_mode);
	tcase_add_test(tc, pads_take_a_value);
	tcase_add_test(tc, triangles_have_any_diagonal);
	tcase_add_test(tc, sequences_are_reversed_up_to_their_length);
	tcase_add_test(tc, blocks_move_between_channels_and_space);
	tcase_add_test(tc, space_goes_to_depth_and_back);
	tcase_add_test(tc, blocks_that_do_not_divide_are_reported);
	tcase_add_test(tc, reshape_keeps_the_number_of_elements);
	tcase_add_test(tc, transpose_joins_axes);
	return run_suite(tc, "moving data");
}
