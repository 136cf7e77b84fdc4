/*
 * Nodes as a hostile file would have them: random operators, element types,
 * shapes and attributes.  A shape rule refuses with one error or accepts; what it
 * accepts has a lowering that the verifier passes and that runs.
 */
#include <string.h>

#include "ir/ops/requant.h"
#include "tests/unit/run_node.h"

enum { NODES = 1000, MAX_ELEMENTS = 3000 };

static int64_t
random_number(uint32_t *seed)
{
	static const int64_t odd[] = {0,         1,         2,         -1,        7,        100,
	                              INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1u << 31, 65536};

	return random_int(seed, 0, 5) ? random_int(seed, -1, 3) : odd[random_int(seed, 0, 11)];
}

static double
random_float(uint32_t *seed)
{
	const double odd[] = {0, -1, 1e-300, 1e300, HUGE_VAL, -HUGE_VAL, NOT_A_NUMBER, 0.5};

	return random_int(seed, 0, 3) ? random_int(seed, 1, 8) / 4.0 : odd[random_int(seed, 0, 7)];
}

static int
count_words(const AttrInfo *info)
{
	int n = 0;

	while (info->word[n])
		n++;
	return n;
}

static void
set_ints(Run *r, Ints *a, int rank, uint32_t *seed)
{
	int64_t *v = ARENA_ARRAY(r->arena, int64_t, 2 * MAX_RANK);
	bool rising = random_int(seed, 0, 1), small = random_int(seed, 0, 3);

	*a = (Ints){random_int(seed, 0, 3) ? rank : random_int(seed, 0, 2 * MAX_RANK), v};
	for (int i = 0; i < a->n; i++)
		v[i] = rising ? i : small ? random_int(seed, 0, 3) : random_number(seed);
}

static void
set_floats(Run *r, Floats *a, int rank, uint32_t *seed)
{
	double *v = ARENA_ARRAY(r->arena, double, 2 * MAX_RANK);

	*a = (Floats){random_int(seed, 0, 3) ? rank : random_int(seed, 0, 2 * MAX_RANK), v};
	for (int i = 0; i < a->n; i++)
		v[i] = random_float(seed);
}

/* Changes some of the attributes; every second one stays at its default. */
static void
set_attributes(Run *r, int rank, uint32_t *seed)
{
	static const char *const words[] = {"",    ",",  "Tanh",        "ab,bc->ac",
	                                    "a->", "->", "Relu,Sigmoid"};

	for (const AttrInfo *i = op_info[r->node->op].attrs; i->name; i++) {
		void *at = (char *)r->node->attr + i->offset;

		if (i->kind != ATTR_KIND_ints && random_int(seed, 0, 1))
			continue;
		switch (i->kind) {
		case ATTR_KIND_int: *(attr_int *)at = random_number(seed); break;
		case ATTR_KIND_float: *(attr_float *)at = random_float(seed); break;
		case ATTR_KIND_bool: *(attr_bool *)at = random_int(seed, 0, 1); break;
		case ATTR_KIND_ints: set_ints(r, at, rank, seed); break;
		case ATTR_KIND_floats: set_floats(r, at, rank, seed); break;
		case ATTR_KIND_dtype:
			*(attr_dtype *)at = (DType)random_int(seed, 0, DT_COUNT);
			break;
		case ATTR_KIND_str: *(attr_str *)at = words[random_int(seed, 0, 6)]; break;
		case ATTR_KIND_enum: *(int *)at = random_int(seed, 0, count_words(i) - 1); break;
		}
	}
}

/* Inputs that are alike now and then, so that rules accept a part of the nodes. */
static int
add_inputs(Run *r, Op op, uint32_t *seed)
{
	const OpInfo *info = &op_info[op];
	int most = info->inputs_max < 4   ? info->inputs_max
	           : info->inputs_min < 4 ? 4
	                                  : info->inputs_min;
	int count = random_int(seed, info->inputs_min, most);
	int rank = random_int(seed, 0, random_int(seed, 0, 3) ? 4 : MAX_RANK);
	DType t = (DType)random_int(seed, 0, DT_IDX - 1);

	bool vectors = random_int(seed, 0, 2) == 0;

	if (random_int(seed, 0, 1))
		t = DT_F32;
	for (int k = 0; k < count; k++) {
		int32_t dim[MAX_RANK];
		int own = random_int(seed, 0, 3) ? rank : random_int(seed, 0, 4);
		DType type = random_int(seed, 0, 3) ? t : (DType)random_int(seed, 0, DT_IDX - 1);

		if (k > 0 && vectors)
			own = 1;
		if (k > 0 && random_int(seed, 0, 2) == 0)
			type = random_int(seed, 0, 1) ? DT_I64 : DT_I32;
		if (k >= info->inputs_min && random_int(seed, 0, 3) == 0) {
			run_absent(r);
			continue;
		}
		for (int i = 0; i < own; i++)
			dim[i] = own > 4                  ? random_int(seed, 1, 2)
			         : random_int(seed, 0, 9) ? 2
			                                  : random_int(seed, 0, 4);
		run_random(r, type, own, dim, seed);
	}
	return rank;
}

static bool
is_small(const Run *r)
{
	int64_t elements = 0;

	for (int i = 0; i < r->node->nouts; i++)
		elements += type_numel(&r->node->out[i]->type);
	return elements <= MAX_ELEMENTS;
}

/* Windows, cells, trees and kernels, whose attributes and shapes must fit in too many ways; their
 * own tests have random nodes that do. */
static bool
needs_more_than_chance(Op op)
{
	return op_info[op].infer == infer_conv || op_info[op].infer == infer_conv_transpose ||
	       op_info[op].infer == infer_pool || op_info[op].infer == infer_lstm ||
	       op_info[op].infer == infer_roi_align || op_info[op].infer == infer_trees ||
	       op_info[op].infer == infer_sequence_lstm || op_info[op].infer == infer_svdf ||
	       op_info[op].infer == infer_kernel || op_info[op].infer == infer_couple_pairs;
}

/* A quantisation with scales from all of float's range, also of no number. */
static const Quant *
random_quant(Run *r, DType t, uint32_t *seed)
{
	QRange range = dtype_is_integer(t) ? quant_limits(t) : (QRange){0, 0};
	float scale = (float)exp2(random_int(seed, 0, 5) ? random_int(seed, -9, -1)
	                                                 : random_int(seed, -149, 127));
	int32_t zero = random_int(seed, 0, 2) && dtype_info[t].bytes == 1
	                       ? random_int(seed, range.lo, range.hi)
	                       : 0;
	Quant *q = ARENA_NEW(r->arena, Quant);

	*q = (Quant){.n = 1,
	             .scale = arena_copy(r->arena, &scale, sizeof scale),
	             .zero = arena_copy(r->arena, &zero, sizeof zero)};
	return q;
}

/* Quantises most inputs and the output, in 8 or 16 bits for the most part. */
static void
quantise(Run *r, uint32_t *seed)
{
	static const DType types[] = {DT_I8, DT_I8, DT_U8, DT_I16, DT_I32};
	DType t = types[random_int(seed, 0, 4)];

	r->g->single_rounding = random_int(seed, 0, 1);
	for (int i = 0; i < r->nins; i++) {
		Type *type = r->in[i] ? &r->in[i]->type : NULL;

		if (!type || random_int(seed, 0, 9) == 0)
			continue;
		if (!dtype_is_integer(type->dtype) || dtype_info[type->dtype].bytes > 2)
			continue;
		type->q = random_quant(r, type->dtype, seed);
		t = type->dtype;
	}
	if (r->node->out[0] && random_int(seed, 0, 9)) {
		r->node->out[0]->type.dtype = t;
		r->node->out[0]->type.q = random_quant(r, t, seed);
	}
}

/* Whether the shape rule accepts it. */
static bool
run_hostile_node(Op op, bool quantised, uint32_t *seed)
{
	const OpInfo *info = &op_info[op];
	bool accepted;
	int rank;
	Run r;

	run_begin(&r);
	rank = add_inputs(&r, op, seed);
	run_node(&r, op, random_int(seed, info->outputs_min, info->outputs_max));
	set_attributes(&r, rank, seed);
	if (quantised)
		quantise(&r, seed);
	accepted = run_infer(&r);
	if (!accepted)
		ck_assert_int_eq(r.diag.errors, 1);
	else if (is_small(&r) && info->kind == OP_SUGAR)
		run_expanded(&r);
	else if (is_small(&r))
		run_compute(&r);
	run_end(&r);
	return accepted;
}

START_TEST(any_node_is_refused_or_runs)
{
	uint32_t seed = (uint32_t)_i;
	int accepted = 0;

	for (int k = 0; k < NODES; k++)
		accepted += run_hostile_node((Op)_i, false, &seed);
	ck_assert(accepted > 0 || needs_more_than_chance((Op)_i));
}
END_TEST

START_TEST(any_quantised_node_is_refused_or_runs)
{
	uint32_t seed = (uint32_t)_i + 77;

	for (int k = 0; quant_info[_i].infer && k < 4 * NODES; k++)
		run_hostile_node((Op)_i, true, &seed);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("hostile");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, any_node_is_refused_or_runs, 0, OP_COUNT);
	tcase_add_loop_test(tc, any_quantised_node_is_refused_or_runs, 0, OP_COUNT);
	return run_suite(tc, "hostile nodes");
}
