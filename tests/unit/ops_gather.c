/*
 * Gather, scatter and one_hot against their definitions, over random shapes and
 * indices, some of them negative or out of range.
 */
#include <string.h>

#include "tests/unit/run_node.h"

enum { CASES = 600 };

/* Where an index leads in an axis of that length. */
static int32_t
led_to(int64_t k, int32_t length)
{
	if (k < 0)
		k += length;
	return (int32_t)(k < 0 ? 0 : k >= length ? length - 1 : k);
}

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

typedef struct {
	Run run;
	uint32_t seed;
	int rank, axis;
	int32_t dim[MAX_RANK];
} Case;

/* A case with random data as input 0; the element type is not bool. */
static Case
random_case(int i, int max_rank)
{
	Case c = {.seed = (uint32_t)i};

	c.rank = random_int(&c.seed, 1, max_rank);
	c.axis = random_int(&c.seed, 0, c.rank - 1);
	for (int k = 0; k < c.rank; k++)
		c.dim[k] = random_int(&c.seed, 1, 4);
	run_begin(&c.run);
	run_random(&c.run, (DType)(1 + i % (DT_IDX - 1)), c.rank, c.dim, &c.seed);
	return c;
}

/* An input of indices in or around an axis of that length. */
static void
add_indices(Case *c, int rank, const int32_t *dim, int32_t length)
{
	DType t = random_int(&c->seed, 0, 1) ? DT_I32 : DT_I64;
	void *data = run_zeros(&c->run, t, rank, dim);

	for (int32_t i = 0; i < type_numel(&c->run.in[c->run.nins - 1]->type); i++) {
		int64_t k = random_int(&c->seed, -length - 2, length + 1);

		if (t == DT_I64 && random_int(&c->seed, 0, 30) == 0)
			k = k < 0 ? INT64_MIN : INT64_MAX;
		num_store_int(t, data, (size_t)i, k);
	}
}

static int64_t
index_of(const Run *r, int32_t i)
{
	return num_load_int(r->in[1]->type.dtype, r->data[1], (size_t)i);
}

/* Element `to` of `y` (of the type of input 0) is element `from` of `x`. */
static void
expect_copy(const Run *r, const void *y, int32_t to, const void *x, int32_t from)
{
	size_t bytes = (size_t)dtype_info[r->in[0]->type.dtype].bytes;

	if (memcmp((const char *)y + (size_t)to * bytes, (const char *)x + (size_t)from * bytes,
	           bytes) != 0)
		ck_abort_msg("%s: element %d is wrong", op_info[r->node->op].name, to);
}

SWEEP(gather_replaces_an_axis_by_indices, CASES)
{
	Case c = random_case(_i, 5);
	Run *r = &c.run;
	const Type *t = &r->in[0]->type, *out;
	int32_t dim[3];
	int rank = random_int(&c.seed, 0, 3);

	for (int i = 0; i < rank; i++)
		dim[i] = random_int(&c.seed, 0, 9) ? random_int(&c.seed, 1, 3) : 0;
	add_indices(&c, rank, dim, c.dim[c.axis]);
	((Attr_GATHER *)run_node(r, OP_GATHER, 1))->axis = c.axis;
	run_compute(r);
	out = &r->node->out[0]->type;
	for (int32_t k = 0; k < type_numel(out); k++) {
		int32_t at[MAX_RANK], from[MAX_RANK];

		unflatten(out, k, at);
		memcpy(from, at, sizeof from);
		memcpy(from + c.axis + 1, at + c.axis + rank,
		       (size_t)(c.rank - c.axis - 1) * sizeof *at);
		from[c.axis] =
			led_to(index_of(r, flatten(&r->in[1]->type, at + c.axis)), c.dim[c.axis]);
		expect_copy(r, r->result[0], k, r->data[0], flatten(t, from));
	}
	run_end(r);
}

/* Indices that fit into the data but along the axis. */
static void
add_element_indices(Case *c)
{
	int32_t dim[MAX_RANK];

	for (int i = 0; i < c->rank; i++)
		dim[i] = random_int(&c->seed, 0, 20) ? random_int(&c->seed, 1, c->dim[i]) : 0;
	if (dim[c->axis])
		dim[c->axis] = random_int(&c->seed, 1, 5);
	add_indices(c, c->rank, dim, c->dim[c->axis]);
}

SWEEP(gather_elements_takes_one_index_an_element, CASES)
{
	Case c = random_case(_i, 5);
	Run *r = &c.run;

	add_element_indices(&c);
	((Attr_GATHER_ELEMENTS *)run_node(r, OP_GATHER_ELEMENTS, 1))->axis = c.axis;
	run_compute(r);
	for (int32_t k = 0; k < type_numel(&r->in[1]->type); k++) {
		int32_t at[MAX_RANK];

		unflatten(&r->in[1]->type, k, at);
		at[c.axis] = led_to(index_of(r, k), c.dim[c.axis]);
		expect_copy(r, r->result[0], k, r->data[0], flatten(&r->in[0]->type, at));
	}
	run_end(r);
}

static double
combine(Reduction reduction, double old, double new)
{
	switch (reduction) {
	case REDUCTION_add: return old + new;
	case REDUCTION_mul: return old * new;
	case REDUCTION_min: return new < old ? new : old;
	case REDUCTION_max: return new > old ? new : old;
	case REDUCTION_none:
	case REDUCTION_COUNT: break;
	}
	return new;
}

/* Element `to` of the expected output y takes up element `from` of the updates.
 * Stored to its type after each step, as the operator does. */
static void
update(const Run *r, void *y, int32_t to, Reduction reduction, int32_t from)
{
	DType t = r->in[0]->type.dtype;
	double v = combine(reduction, num_load(t, y, (size_t)to),
	                   num_load(t, r->data[2], (size_t)from));

	if (dtype_is_float(t))
		num_store(t, y, (size_t)to, v);
	else
		num_store_int(t, y, (size_t)to, (int64_t)v);
}

static void *
copy_of_data(const Run *r)
{
	return arena_copy(r->arena, r->data[0], type_bytes(&r->in[0]->type));
}

static void
expect_bytes(const Run *r, const void *y)
{
	ck_assert(memcmp(y, r->result[0], type_bytes(&r->in[0]->type)) == 0);
}

SWEEP(scatter_elements_puts_one_update_an_index, CASES)
{
	Case c = random_case(_i, 4);
	Run *r = &c.run;
	Attr_SCATTER_ELEMENTS *a;
	const Type *t;
	void *y;

	add_element_indices(&c);
	t = &r->in[1]->type;
	run_random(r, r->in[0]->type.dtype, t->rank, t->dim, &c.seed);
	a = run_node(r, OP_SCATTER_ELEMENTS, 1);
	a->axis = c.axis;
	a->reduction = (Reduction)(_i / 13 % REDUCTION_COUNT);
	run_compute(r);
	y = copy_of_data(r);
	for (int32_t k = 0; k < type_numel(t); k++) {
		int32_t at[MAX_RANK];

		unflatten(t, k, at);
		at[c.axis] = led_to(index_of(r, k), c.dim[c.axis]);
		update(r, y, flatten(&r->in[0]->type, at), a->reduction, k);
	}
	expect_bytes(r, y);
	run_end(r);
}

/* Indices [data's first `batch` axes, .., m]. */
static int
add_tuples(Case *c, int batch, int m)
{
	int32_t dim[MAX_RANK];
	int rank = batch + random_int(&c->seed, 0, 2);

	for (int i = 0; i < rank; i++)
		dim[i] = i < batch ? c->dim[i] : random_int(&c->seed, 1, 3);
	dim[rank] = m;
	add_indices(c, rank + 1, dim, 3);
	return rank;
}

/* The place that the tuple with its first index at `k` names. */
static void
follow_tuple(const Case *c, int batch, int32_t k, int32_t *at)
{
	int m = c->run.in[1]->type.dim[c->run.in[1]->type.rank - 1];

	for (int i = 0; i < m; i++)
		at[batch + i] = led_to(index_of(&c->run, k + i), c->dim[batch + i]);
}

SWEEP(gather_nd_follows_tuples, CASES)
{
	Case c = random_case(_i, 4);
	Run *r = &c.run;
	int batch = random_int(&c.seed, 0, c.rank - 1), m = random_int(&c.seed, 0, c.rank - batch);
	int rank = add_tuples(&c, batch, m);
	const Type *out;

	((Attr_GATHER_ND *)run_node(r, OP_GATHER_ND, 1))->batch_dims = batch;
	run_compute(r);
	out = &r->node->out[0]->type;
	ck_assert_int_eq(out->rank, rank + c.rank - batch - m);
	for (int32_t k = 0; k < type_numel(out); k++) {
		int32_t at[MAX_RANK] = {0}, from[MAX_RANK], tuple[MAX_RANK] = {0};

		unflatten(out, k, at);
		memcpy(tuple, at, (size_t)rank * sizeof *at);
		memcpy(from, at, sizeof from);
		memcpy(from + batch + m, at + rank, (size_t)(c.rank - batch - m) * sizeof *at);
		follow_tuple(&c, batch, m ? flatten(&r->in[1]->type, tuple) : 0, from);
		expect_copy(r, r->result[0], k, r->data[0], flatten(&r->in[0]->type, from));
	}
	run_end(r);
}

SWEEP(scatter_nd_follows_tuples, CASES)
{
	Case c = random_case(_i, 4);
	Run *r = &c.run;
	int m = random_int(&c.seed, 0, c.rank), rank = add_tuples(&c, 0, m);
	Type updates = type_make(r->in[0]->type.dtype, rank, r->in[1]->type.dim);
	Attr_SCATTER_ND *a;
	void *y;

	for (int i = m; i < c.rank; i++)
		updates.dim[updates.rank++] = c.dim[i];
	run_random(r, updates.dtype, updates.rank, updates.dim, &c.seed);
	a = run_node(r, OP_SCATTER_ND, 1);
	a->reduction = (Reduction)(_i / 13 % REDUCTION_COUNT);
	run_compute(r);
	y = copy_of_data(r);
	for (int32_t k = 0; k < type_numel(&updates); k++) {
		int32_t at[MAX_RANK] = {0}, to[MAX_RANK] = {0}, tuple[MAX_RANK] = {0};

		unflatten(&updates, k, at);
		memcpy(tuple, at, (size_t)rank * sizeof *at);
		memcpy(to + m, at + rank, (size_t)(c.rank - m) * sizeof *at);
		follow_tuple(&c, 0, m ? flatten(&r->in[1]->type, tuple) : 0, to);
		update(r, y, flatten(&r->in[0]->type, to), a->reduction, k);
	}
	expect_bytes(r, y);
	run_end(r);
}

SWEEP(one_hot_marks_the_index, CASES)
{
	enum { DEPTH = 4 };
	Case c = {.seed = (uint32_t)_i, .rank = _i % 4};
	Run *r = &c.run;
	DType t = (DType)(_i % DT_IDX);
	int axis = random_int(&c.seed, 0, c.rank);
	Attr_ONE_HOT *a;
	const Type *out;

	for (int k = 0; k < c.rank; k++)
		c.dim[k] = random_int(&c.seed, 1, 3);
	run_begin(r);
	add_indices(&c, c.rank, c.dim, DEPTH);
	run_numbers(r, t, DIMS(2), (const double[]){0, 1});
	a = run_node(r, OP_ONE_HOT, 1);
	a->axis = axis;
	a->depth = DEPTH;
	run_compute(r);
	out = &r->node->out[0]->type;
	for (int32_t k = 0; k < type_numel(out); k++) {
		int32_t at[MAX_RANK], index[MAX_RANK];
		int64_t hot;

		unflatten(out, k, at);
		memcpy(index, at, sizeof index);
		memmove(index + axis, at + axis + 1, (size_t)(c.rank - axis) * sizeof *at);
		hot = num_load_int(r->in[0]->type.dtype, r->data[0],
		                   (size_t)flatten(&r->in[0]->type, index));
		ck_assert(num_load(t, r->result[0], (size_t)k) ==
		          (hot == at[axis] || hot == at[axis] - DEPTH));
	}
	run_end(r);
}

/* ---- Errors ---- */

SWEEP(indices_into_nothing_are_reported, 3)
{
	static const Op ops[] = {OP_GATHER, OP_GATHER_ELEMENTS, OP_GATHER_ND};
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(0));
	run_zeros(&r, DT_I64, DIMS(1));
	run_node(&r, ops[_i], 1);
	expect_error(&r, E_SHAPE);
	run_end(&r);
}

SWEEP(updates_that_do_not_fit_are_reported, 2)
{
	static const Op ops[] = {OP_SCATTER_ELEMENTS, OP_SCATTER_ND};
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(4));
	run_zeros(&r, DT_I64, DIMS(2));
	run_zeros(&r, DT_F32, DIMS(3));
	run_node(&r, ops[_i], 1);
	expect_error(&r, E_SHAPE);
	run_end(&r);

	run_begin(&r);
	run_zeros(&r, DT_BOOL, DIMS(4));
	run_zeros(&r, DT_I64, DIMS(2));
	run_zeros(&r, DT_BOOL, DIMS(2));
	run_node(&r, OP_SCATTER_ELEMENTS, 1);
	((Attr_SCATTER_ELEMENTS *)r.node->attr)->reduction = REDUCTION_add;
	expect_error(&r, E_TYPE);
	run_end(&r);
}

START_TEST(tuples_that_are_too_long_are_reported)
{
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(4, 4));
	run_zeros(&r, DT_I64, DIMS(2, 3));
	run_node(&r, OP_GATHER_ND, 1);
	expect_error(&r, E_SHAPE);
	((Attr_GATHER_ND *)r.node->attr)->batch_dims = 2;
	ck_assert(!run_infer(&r));
	run_end(&r);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("gather");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, gather_replaces_an_axis_by_indices);
	tcase_add_test(tc, gather_elements_takes_one_index_an_element);
	tcase_add_test(tc, scatter_elements_puts_one_update_an_index);
	tcase_add_test(tc, gather_nd_follows_tuples);
	tcase_add_test(tc, scatter_nd_follows_tuples);
	tcase_add_test(tc, one_hot_marks_the_index);
	tcase_add_test(tc, indices_into_nothing_are_reported);
	tcase_add_test(tc, updates_that_do_not_fit_are_reported);
	tcase_add_test(tc, tuples_that_are_too_long_are_reported);
	return run_suite(tc, "gather and scatter");
}
