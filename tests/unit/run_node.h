/*
 * What the tests of operators share: a graph of one node, numbers for its
 * inputs, its shape rule, and its reference lowering run by the interpreter.
 *
 * Numbers are small multiples of 1/4, so that sums of products are exact in
 * every type that mcc computes in and a test can ask for equality.
 */
#ifndef MCC_TESTS_UNIT_RUN_NODE_H
#define MCC_TESTS_UNIT_RUN_NODE_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ir/graph.h"
#include "ir/lower.h"
#include "ir/num.h"
#include "tests/unit/unit.h"

#define NOT_A_NUMBER ((double)NAN)

typedef struct {
	Arena *arena;
	Diag diag;
	Graph *g;
	Node *node;
	int nins;
	Value *in[16];
	void *data[16]; /* the inputs' elements */
	void *result[3];
} Run;

static inline void
run_begin(Run *r)
{
	*r = (Run){.arena = arena_new(NULL, NULL)};
	diag_init(&r->diag, r->arena);
	r->g = graph_new(r->arena, "g");
}

static inline void
run_end(Run *r)
{
	arena_free(r->arena);
}

/* A number in [lo, hi] that depends on all earlier calls. */
static inline int32_t
random_int(uint32_t *seed, int32_t lo, int32_t hi)
{
	*seed = *seed * 1664525u + 1013904223u;
	return lo + (int32_t)((*seed >> 8) % (uint32_t)(hi - lo + 1));
}

/* An input of zeros. */
static inline void *
run_zeros(Run *r, DType t, int rank, const int32_t *dim)
{
	Type type = type_make(t, rank, dim);
	int i = r->nins++;

	r->in[i] = graph_input(r->g, NULL, type);
	r->data[i] = arena_alloc(r->arena, type_bytes(&type));
	return r->data[i];
}

/* An input of random numbers: multiples of 1/4 in [-2, 2], or integers in
 * [-8, 8], or in [0, 16] for unsigned types. */
static inline void
run_random(Run *r, DType t, int rank, const int32_t *dim, uint32_t *seed)
{
	void *data = run_zeros(r, t, rank, dim);
	int32_t count = type_numel(&r->in[r->nins - 1]->type);

	for (int32_t i = 0; i < count; i++) {
		int32_t v = random_int(seed, -8, 8);

		if (dtype_is_float(t))
			num_store(t, data, (size_t)i, v / 4.0);
		else
			num_store_int(t, data, (size_t)i,
			              dtype_info[t].class == CLASS_UNSIGNED ? v + 8 : v);
	}
}

/* An input with these numbers. */
static inline void
run_numbers(Run *r, DType t, int rank, const int32_t *dim, const double *v)
{
	void *data = run_zeros(r, t, rank, dim);
	int32_t count = type_numel(&r->in[r->nins - 1]->type);

	for (int32_t i = 0; i < count; i++)
		num_store(t, data, (size_t)i, v[i]);
}

static inline void
run_absent(Run *r)
{
	r->in[r->nins++] = NULL;
}

/* The node, of which the caller sets the attributes. */
static inline void *
run_node(Run *r, Op op, int nouts)
{
	r->node = graph_insert(r->g, NULL, op, r->nins, r->in, nouts, NULL);
	return r->node->attr;
}

static inline bool
run_infer(Run *r)
{
	return node_infer(r->node, &r->diag);
}

/* Infers, which must work, and lowers to a function that passes the verifier. */
static inline LFunc *
run_lower(Run *r)
{
	const char *flaw;
	LFunc *f;

	if (!run_infer(r))
		ck_abort_msg("%s", r->diag.last->text);
	f = node_lower(r->arena, r->node);
	flaw = lfunc_verify(f);
	if (flaw) {
		Str s;

		str_init(&s, r->arena);
		lfunc_print(&s, f);
		ck_abort_msg("%s\n%s", flaw, s.s);
	}
	return f;
}

/* Lowers and computes the outputs. */
static inline void
run_compute(Run *r)
{
	LFunc *f = run_lower(r);
	void *bufs[24];
	int count = 0;

	for (int i = 0; i < r->nins; i++)
		if (r->in[i])
			bufs[count++] = r->data[i];
	for (int i = 0; i < r->node->nouts; i++) {
		if (!r->node->out[i])
			continue;
		r->result[i] = arena_alloc(r->arena, type_bytes(&r->node->out[i]->type));
		bufs[count++] = r->result[i];
	}
	lfunc_run(r->arena, f, bufs);
}

/* Infers and expands the node, which is sugar, and computes what comes of it;
 * result[0] is that of the last node. */
static inline void
run_expanded(Run *r)
{
	void **data;

	if (!run_infer(r))
		ck_abort_msg("%s", r->diag.last->text);
	op_info[r->node->op].expand(r->g, r->node);
	data = ARENA_ARRAY(r->arena, void *, r->g->values.n);
	for (int i = 0; i < r->g->values.n; i++)
		if (r->g->values.v[i]->data)
			data[i] = arena_copy(r->arena, r->g->values.v[i]->data,
			                     type_bytes(&r->g->values.v[i]->type));
	for (int i = 0; i < r->nins; i++)
		data[r->in[i]->id] = r->data[i];
	for (Node *n = r->g->first; n != r->node; n = n->next) {
		LFunc *f = node_lower(r->arena, n);
		void *bufs[8];
		int k = 0;

		ck_assert_ptr_null(lfunc_verify(f));
		for (; k < n->nins; k++)
			bufs[k] = data[n->in[k]->id];
		r->result[0] = bufs[k] = arena_alloc(r->arena, type_bytes(&n->out[0]->type));
		data[n->out[0]->id] = bufs[k];
		lfunc_run(r->arena, f, bufs);
	}
}

/* Numbers of inputs and outputs as doubles. */
static inline double *
run_doubles(Run *r, const Type *t, const void *data)
{
	double *v = ARENA_ARRAY(r->arena, double, type_numel(t));

	for (int32_t i = 0; i < type_numel(t); i++)
		v[i] = num_load(t->dtype, data, (size_t)i);
	return v;
}

static inline double *
run_input(Run *r, int i)
{
	return run_doubles(r, &r->in[i]->type, r->data[i]);
}

static inline double *
run_output(Run *r, int i)
{
	return run_doubles(r, &r->node->out[i]->type, r->result[i]);
}

/* The double rounded as a store to `t` does. */
static inline double
rounded(DType t, double v)
{
	double storage;

	num_store(t, &storage, 0, v);
	return num_load(t, &storage, 0);
}

/* Output i must be exactly these numbers, rounded to its type. */
static inline void
expect_equal(Run *r, int i, const double *expected)
{
	const Type *t = &r->node->out[i]->type;
	double *v = run_output(r, i);

	for (int32_t k = 0; k < type_numel(t); k++)
		if (!(v[k] == rounded(t->dtype, expected[k])))
			ck_abort_msg("element %d of output %d (%s) is %.9g, not %.9g", k, i,
			             type_text(r->arena, t), v[k], expected[k]);
}

/* Output i must be these numbers to within a relative and absolute error. */
static inline void
expect_close(Run *r, int i, const double *expected, double tolerance)
{
	const Type *t = &r->node->out[i]->type;
	double *v = run_output(r, i);

	for (int32_t k = 0; k < type_numel(t); k++)
		if (!(fabs(v[k] - expected[k]) <= tolerance * (1 + fabs(expected[k]))))
			ck_abort_msg("element %d of output %d (%s) is %.9g, not %.9g", k, i,
			             type_text(r->arena, t), v[k], expected[k]);
}

/* The shape rule must report exactly this error. */
static inline void
expect_error(Run *r, DiagCode code)
{
	ck_assert(!run_infer(r));
	ck_assert_int_eq(r->diag.errors, 1);
	if (r->diag.last->code != code)
		ck_abort_msg("reported %d: %s", diag_info[r->diag.last->code].number,
		             r->diag.last->text);
}

static inline Ints
ints(Run *r, int n, const int64_t *v)
{
	return (Ints){n, arena_copy(r->arena, v, (size_t)n * sizeof *v)};
}

/* A test over many cases, whose number is `_i`; as one process each they would
 * take longer to start than to run. */
#define SWEEP(name, count) \
	static void name##_case(int _i); \
	START_TEST(name) \
	{ \
		for (int i = 0; i < (count); i++) \
			name##_case(i); \
	} \
	END_TEST \
	static void name##_case(int _i)

#define DIMS(...) \
	(int)(sizeof(int32_t[]){__VA_ARGS__} / sizeof(int32_t)), (const int32_t[]){__VA_ARGS__}
#define INTS(r, ...) \
	ints(r, (int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)), \
	     (const int64_t[]){__VA_ARGS__})

/* Runs a suite of one test case as a whole program. */
static inline int
run_suite(TCase *tc, const char *name)
{
	Suite *s = suite_create(name);

	suite_add_tcase(s, tc);
	return unit_run(s);
}

#endif
