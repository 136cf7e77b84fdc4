/*
 * Matrix products, einsum and det against direct formulas in double.
 */
#include <string.h>

#include "tests/unit/run_node.h"

static const DType types[] = {DT_F32, DT_F64, DT_F16, DT_BF16, DT_I32, DT_U32, DT_I64, DT_U64};

/* The flat index in a tensor of type `t` of flat index `at` of the leading axes of
 * `y`, the last two axes left out: the broadcast of matmul. */
static int32_t
batch_of(const Type *t, const Type *y, int32_t at)
{
	int32_t index = 0, step = 1;

	for (int i = 3; i <= y->rank; i++) {
		int32_t pos = at % y->dim[y->rank - i];

		at /= y->dim[y->rank - i];
		if (i > t->rank)
			continue;
		if (t->dim[t->rank - i] != 1)
			index += pos * step;
		step *= t->dim[t->rank - i];
	}
	return index;
}

START_TEST(matmul_multiplies_and_broadcasts)
{
	uint32_t seed = 1;

	for (int i = 0; i < 3000; i++) {
		int32_t rows = random_int(&seed, 1, 4), columns = random_int(&seed, 1, 4);
		int32_t inner = random_int(&seed, 0, 5), shape[2][MAX_RANK];
		int rank = random_int(&seed, 0, 3), ranks[2];
		DType t = types[random_int(&seed, 0, 7)];
		double *a, *b, *y;
		const Type *ty;
		Run r;

		run_begin(&r);
		for (int k = 0; k < rank; k++) {
			shape[0][k] = shape[1][k] = random_int(&seed, 1, 3);
			switch (random_int(&seed, 0, 3)) {
			case 0: shape[0][k] = 1; break;
			case 1: shape[1][k] = 1; break;
			}
		}
		shape[0][rank] = rows;
		shape[0][rank + 1] = shape[1][rank] = inner;
		shape[1][rank + 1] = columns;
		for (int k = 0; k < 2; k++) {
			/* Leading axes of length 1 may be missing. */
			int skip = 0;

			while (skip < rank && shape[k][skip] == 1 && random_int(&seed, 0, 1))
				skip++;
			ranks[k] = rank + 2 - skip;
			run_random(&r, t, ranks[k], shape[k] + skip, &seed);
		}
		run_node(&r, OP_MATMUL, 1);
		run_compute(&r);
		ty = &r.node->out[0]->type;
		ck_assert_int_eq(ty->rank, ranks[0] > ranks[1] ? ranks[0] : ranks[1]);
		a = run_input(&r, 0);
		b = run_input(&r, 1);
		y = ARENA_ARRAY(r.arena, double, type_numel(ty));
		for (int32_t k = 0; k < type_numel(ty); k++) {
			int32_t m = k / (rows * columns), row = k / columns % rows;
			const double *pa = a + (batch_of(&r.in[0]->type, ty, m) * rows + row) * inner;
			const double *pb = b + batch_of(&r.in[1]->type, ty, m) * inner * columns;

			for (int32_t q = 0; q < inner; q++)
				y[k] += pa[q] * pb[q * columns + k % columns];
		}
		expect_equal(&r, 0, y);
		run_end(&r);
	}
}
END_TEST

START_TEST(integer_products_wrap_around)
{
	static const double a[] = {0x7fffffff, 2};
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_I32, DIMS(1, 2), a);
	run_numbers(&r, DT_I32, DIMS(2, 1), (double[]){3, 1});
	run_node(&r, OP_MATMUL, 1);
	run_compute(&r);
	expect_equal(&r, 0, (double[]){0x7fffffff});
	run_end(&r);
}
END_TEST

START_TEST(products_are_added_in_the_order_of_k)
{
	/* 1e8 + 1 - 1e8 is 0 from the left in f32, and 1 from the right. */
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(1, 3), (double[]){1e8, 1, -1e8});
	run_numbers(&r, DT_F32, DIMS(3, 1), (double[]){1, 1, 1});
	run_node(&r, OP_MATMUL, 1);
	run_compute(&r);
	expect_equal(&r, 0, (double[]){0});
	run_end(&r);
}
END_TEST

START_TEST(bad_matmul_is_reported)
{
	static const struct {
		int32_t a[5], b[5]; /* rank first */
		DType ta, tb;
		DiagCode code;
	} bad[] = {
		{{2, 3, 4}, {2, 5, 3}, DT_F32, DT_F32, E_SHAPE},
		{{1, 4}, {2, 4, 3}, DT_F32, DT_F32, E_SHAPE},
		{{2, 3, 4}, {1, 4}, DT_F32, DT_F32, E_SHAPE},
		{{3, 2, 3, 4}, {3, 3, 4, 3}, DT_F32, DT_F32, E_SHAPE},
		{{2, 3, 4}, {2, 4, 3}, DT_F32, DT_F64, E_TYPE},
		{{2, 3, 4}, {2, 4, 3}, DT_I8, DT_I8, E_TYPE},
		{{2, 1 << 17, 0}, {2, 0, 1 << 17}, DT_F32, DT_F32, E_SIZE},
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		Run r;

		run_begin(&r);
		run_zeros(&r, bad[i].ta, bad[i].a[0], bad[i].a + 1);
		run_zeros(&r, bad[i].tb, bad[i].b[0], bad[i].b + 1);
		run_node(&r, OP_MATMUL, 1);
		expect_error(&r, bad[i].code);
		run_end(&r);
	}
}
END_TEST

/* ---- gemm ---- */

START_TEST(gemm_scales_transposes_and_adds)
{
	static const double factors[] = {1, 1, 0, 2, -1, 0.5};
	uint32_t seed = 2;

	for (int i = 0; i < 3000; i++) {
		int32_t rows = random_int(&seed, 1, 4), columns = random_int(&seed, 1, 4);
		int32_t inner = random_int(&seed, 0, 4), c_rank = random_int(&seed, -1, 2);
		DType t = types[random_int(&seed, 0, 7)];
		bool ta = random_int(&seed, 0, 1), tb = random_int(&seed, 0, 1);
		int32_t c_dim[2] = {random_int(&seed, 0, 1) ? rows : 1,
		                    random_int(&seed, 0, 1) ? columns : 1};
		double *a, *b, *c, *y;
		Attr_GEMM *attr;
		Run r;

		run_begin(&r);
		run_random(&r, t, 2, (int32_t[]){ta ? inner : rows, ta ? rows : inner}, &seed);
		run_random(&r, t, 2, (int32_t[]){tb ? columns : inner, tb ? inner : columns}, &seed);
		if (c_rank >= 0)
			run_random(&r, t, c_rank, c_dim + 2 - c_rank, &seed);
		attr = run_node(&r, OP_GEMM, 1);
		attr->trans_a = ta;
		attr->trans_b = tb;
		attr->alpha = factors[random_int(&seed, 0, dtype_is_float(t) ? 5 : 3)];
		attr->beta = factors[random_int(&seed, 0, dtype_is_float(t) ? 5 : 3)];
		run_compute(&r);
		a = run_input(&r, 0);
		b = run_input(&r, 1);
		c = c_rank >= 0 ? run_input(&r, 2) : NULL;
		y = ARENA_ARRAY(r.arena, double, rows * columns);
		for (int32_t k = 0; k < rows * columns; k++) {
			int32_t m = k / columns, n = k % columns;
			int32_t cm = c_rank == 2 && c_dim[0] > 1 ? m : 0;
			int32_t cn = c_rank >= 1 && c_dim[1] > 1 ? n : 0;

			for (int32_t q = 0; q < inner; q++)
				y[k] += attr->alpha * a[ta ? q * rows + m : m * inner + q] *
				        b[tb ? n * inner + q : q * columns + n];
			if (c)
				y[k] += attr->beta * c[cm * c_dim[1] + cn];
		}
		expect_equal(&r, 0, y);
		run_end(&r);
	}
}
END_TEST

START_TEST(gemm_with_beta_0_does_not_look_at_c)
{
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(1, 1), (double[]){3});
	run_numbers(&r, DT_F32, DIMS(1, 1), (double[]){2});
	run_numbers(&r, DT_F32, DIMS(1), (double[]){NOT_A_NUMBER});
	((Attr_GEMM *)run_node(&r, OP_GEMM, 1))->beta = 0;
	run_compute(&r);
	expect_equal(&r, 0, (double[]){6});
	run_end(&r);
}
END_TEST

START_TEST(bad_gemm_is_reported)
{
	static const struct {
		int32_t a[4], b[4], c[4]; /* rank first; c of rank 0 is a scalar */
		DType t;
		double alpha;
		bool trans_a;
		DiagCode code;
	} bad[] = {
		{{2, 3, 4}, {2, 3, 4}, {0}, DT_F32, 1, false, E_SHAPE},
		{{2, 3, 4}, {2, 4, 5}, {0}, DT_F32, 1, true, E_SHAPE},
		{{2, 3, 4}, {2, 4, 5}, {1, 3}, DT_F32, 1, false, E_SHAPE},
		{{2, 1, 4}, {2, 4, 5}, {2, 3, 5}, DT_F32, 1, false, E_SHAPE},
		{{2, 3, 4}, {2, 4, 5}, {3, 1, 3, 5}, DT_F32, 1, false, E_SHAPE},
		{{3, 1, 3, 4}, {2, 4, 5}, {0}, DT_F32, 1, false, E_SHAPE},
		{{2, 3, 4}, {2, 4, 5}, {0}, DT_I32, 0.5, false, E_ATTRIBUTE},
		{{2, 3, 4}, {2, 4, 5}, {0}, DT_I32, 1e300, false, E_ATTRIBUTE},
		{{2, 3, 4}, {2, 4, 5}, {0}, DT_U8, 1, false, E_TYPE},
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		Attr_GEMM *a;
		Run r;

		run_begin(&r);
		run_zeros(&r, bad[i].t, bad[i].a[0], bad[i].a + 1);
		run_zeros(&r, bad[i].t, bad[i].b[0], bad[i].b + 1);
		run_zeros(&r, bad[i].t, bad[i].c[0], bad[i].c + 1);
		a = run_node(&r, OP_GEMM, 1);
		a->alpha = bad[i].alpha;
		a->trans_a = bad[i].trans_a;
		expect_error(&r, bad[i].code);
		run_end(&r);
	}
}
END_TEST

/* ---- einsum ---- */

/* What an equation means, by trying all values of all letters. */
static double *
expected_einsum(Run *r, const char *equation)
{
	const char *output = strstr(equation, "->") + 2;
	int32_t length[128], value[128] = {0}, total = 1, outs = 1;
	double *y, *x[8];
	const char *s = equation;

	for (int c = 0; c < 128; c++)
		length[c] = 1;
	for (int i = 0; i < r->nins; i++, s++) {
		x[i] = run_input(r, i);
		for (int k = 0; k < r->in[i]->type.rank; k++, s++)
			if (r->in[i]->type.dim[k] != 1)
				length[(int)*s] = r->in[i]->type.dim[k];
	}
	for (int c = 0; c < 128; c++)
		total *= length[c];
	for (s = output; *s; s++)
		outs *= length[(int)*s];
	y = ARENA_ARRAY(r->arena, double, outs);
	for (int32_t n = 0; n < total; n++) {
		int32_t rest = n, at = 0;
		double product = 1;

		for (int c = 0; c < 128; c++) {
			value[c] = rest % length[c];
			rest /= length[c];
		}
		for (s = output; *s; s++)
			at = at * length[(int)*s] + value[(int)*s];
		s = equation;
		for (int i = 0; i < r->nins; i++, s++) {
			int32_t from = 0;

			for (int k = 0; k < r->in[i]->type.rank; k++, s++) {
				int32_t dim = r->in[i]->type.dim[k];

				from = from * dim + (dim == 1 ? 0 : value[(int)*s]);
			}
			product *= x[i][from];
		}
		y[at] += product;
	}
	return y;
}

START_TEST(einsum_means_what_the_equation_says)
{
	static const struct {
		const char *equation;
		int32_t shape[3][4];
		int rank[3];
	} cases[] = {
		{"ij,jk->ik", {{2, 3}, {3, 4}}, {2, 2}},
		{"ij->ji", {{2, 3}}, {2}},
		{"ij->", {{2, 3}}, {2}},
		{"ij->j", {{2, 3}}, {2}},
		{"ii->i", {{3, 3}}, {2}},
		{"ii->", {{3, 3}}, {2}},
		{"iji->j", {{3, 2, 3}}, {3}},
		{"bij,bjk->bik", {{2, 3, 4}, {2, 4, 2}}, {3, 3}},
		{"bij,bjk->bik", {{2, 3, 4}, {1, 4, 2}}, {3, 3}},
		{"bij,bjk->bik", {{1, 3, 4}, {2, 4, 2}}, {3, 3}},
		{"i,j->ij", {{3}, {4}}, {1, 1}},
		{"i,i->", {{3}, {3}}, {1, 1}},
		{"ij,jk,kl->il", {{2, 3}, {3, 2}, {2, 4}}, {2, 2, 2}},
		{"aA,Ab->bAa", {{2, 3}, {3, 2}}, {2, 2}},
		{",i->i", {{0}, {3}}, {0, 1}},
		{"->", {{0}}, {0}},
		{"xij,yij->xy", {{2, 1, 3}, {3, 2, 1}}, {3, 3}},
	};
	uint32_t seed = 3;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
			int operands = 1;
			Run r;

			run_begin(&r);
			for (const char *s = cases[i].equation; *s; s++)
				operands += *s == ',';
			for (int k = 0; k < operands; k++)
				run_random(&r, types[t], cases[i].rank[k], cases[i].shape[k], &seed);
			((Attr_EINSUM *)run_node(&r, OP_EINSUM, 1))->equation = cases[i].equation;
			run_compute(&r);
			expect_equal(&r, 0, expected_einsum(&r, cases[i].equation));
			run_end(&r);
		}
}
END_TEST

START_TEST(einsum_over_nothing_is_zero)
{
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 0));
	run_zeros(&r, DT_F32, DIMS(0, 2));
	((Attr_EINSUM *)run_node(&r, OP_EINSUM, 1))->equation = "ij,jk->ik";
	run_compute(&r);
	expect_equal(&r, 0, (double[]){0, 0, 0, 0});
	run_end(&r);
}
END_TEST

START_TEST(bad_equations_are_reported)
{
	static const struct {
		const char *equation;
		DiagCode code;
	} bad[] = {
		{"", E_SHAPE},           {"ij,jk", E_ATTRIBUTE},    {"ij->ik", E_ATTRIBUTE},
		{"ij,jk->iz", E_ATTRIBUTE}, {"ij,jk->ii", E_ATTRIBUTE}, {"ijk,jk->i", E_SHAPE},
		{"i,jk->i", E_SHAPE},    {"ij,ik->i", E_SHAPE},     {"ij,jk,k->i", E_ATTRIBUTE},
		{"ij,jk->i k", E_ATTRIBUTE}, {"i j,jk->ik", E_SHAPE},  {"ij,jk->ik->", E_ATTRIBUTE},
		{"...,jk->jk", E_SHAPE}, {"ij,jk-", E_ATTRIBUTE},   {"ij,jk->ik,", E_ATTRIBUTE},
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		Run r;

		run_begin(&r);
		run_zeros(&r, DT_F32, DIMS(2, 3));
		run_zeros(&r, DT_F32, DIMS(3, 4));
		((Attr_EINSUM *)run_node(&r, OP_EINSUM, 1))->equation = bad[i].equation;
		expect_error(&r, bad[i].code);
		run_end(&r);
	}
}
END_TEST

START_TEST(an_equation_of_any_length_is_read)
{
	/* Longer than any shape rule's buffer could be. */
	enum { LENGTH = 100000 };
	Attr_EINSUM *a;
	char *text;
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(2, 3));
	text = arena_alloc(r.arena, LENGTH + 1);
	memset(text, 'a', LENGTH);
	a = run_node(&r, OP_EINSUM, 1);
	a->equation = text;
	expect_error(&r, E_SHAPE);
	run_end(&r);
}
END_TEST

/* ---- det ---- */

/* By the first row, recursively. */
static double
determinant(const double *m, int n)
{
	double minor[36], sum = 0;

	if (n == 0)
		return 1;
	for (int k = 0; k < n; k++) {
		for (int i = 1; i < n; i++)
			for (int j = 0, to = 0; j < n; j++)
				if (j != k)
					minor[(i - 1) * (n - 1) + to++] = m[i * n + j];
		sum += (k % 2 ? -1 : 1) * m[k] * determinant(minor, n - 1);
	}
	return sum;
}

START_TEST(det_is_that_of_the_rows_formula)
{
	uint32_t seed = 4;

	for (int i = 0; i < 1000; i++) {
		int32_t n = random_int(&seed, 0, 5), batch = random_int(&seed, 1, 3);
		DType t = random_int(&seed, 0, 1) ? DT_F32 : DT_F64;
		double *x, y[3];
		Run r;

		run_begin(&r);
		run_random(&r, t, 3, (int32_t[]){batch, n, n}, &seed);
		run_node(&r, OP_DET, 1);
		run_compute(&r);
		x = run_input(&r, 0);
		for (int k = 0; k < batch; k++)
			y[k] = determinant(x + k * n * n, n);
		expect_close(&r, 0, y, t == DT_F32 ? 1e-4 : 1e-12);
		run_end(&r);
	}
}
END_TEST

START_TEST(det_of_a_singular_matrix_is_0)
{
	Run r;

	run_begin(&r);
	run_numbers(&r, DT_F32, DIMS(2, 2), (double[]){1, 2, 2, 4});
	run_node(&r, OP_DET, 1);
	run_compute(&r);
	ck_assert_int_eq(r.node->out[0]->type.rank, 0);
	expect_equal(&r, 0, (double[]){0});
	run_end(&r);
	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(3, 3));
	run_node(&r, OP_DET, 1);
	run_compute(&r);
	expect_equal(&r, 0, (double[]){0});
	run_end(&r);
}
END_TEST

START_TEST(det_needs_square_float_matrices)
{
	static const struct {
		int32_t dim[3]; /* rank first */
		DType t;
		DiagCode code;
	} bad[] = {{{2, 2, 3}, DT_F32, E_SHAPE}, {{1, 2}, DT_F32, E_SHAPE}, {{2, 2, 2}, DT_I32, E_TYPE}};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		Run r;

		run_begin(&r);
		run_zeros(&r, bad[i].t, bad[i].dim[0], bad[i].dim + 1);
		run_node(&r, OP_DET, 1);
		expect_error(&r, bad[i].code);
		run_end(&r);
	}
}
END_TEST

/* ---- couple_pairs ---- */

START_TEST(probabilities_of_pairs_give_those_that_they_are_made_of)
{
	uint32_t seed = 5;

	for (int round = 0; round < 200; round++) {
		int32_t k = random_int(&seed, 2, 6), rows = random_int(&seed, 1, 3), at = 0;
		DType t = random_int(&seed, 0, 1) ? DT_F32 : DT_F64;
		double p[18], sum[3] = {0}, *y;
		void *data;
		Run r;

		run_begin(&r);
		data = run_zeros(&r, t, 2, (int32_t[]){rows, k * (k - 1) / 2});
		for (int i = 0; i < rows * k; i++) {
			p[i] = random_int(&seed, 1, 100);
			sum[i / k] += p[i];
		}
		for (int row = 0; row < rows; row++)
			for (int i = 0; i < k; i++)
				for (int j = i + 1; j < k; j++)
					num_store(t, data, (size_t)at++,
					          p[row * k + i] / (p[row * k + i] + p[row * k + j]));
		run_node(&r, OP_COUPLE_PAIRS, 1);
		((Attr_COUPLE_PAIRS *)r.node->attr)->classes = k;
		run_compute(&r);
		y = p;
		for (int i = 0; i < rows * k; i++)
			y[i] /= sum[i / k];
		expect_close(&r, 0, y, 0.02);
		run_end(&r);
	}
}
END_TEST

START_TEST(pairs_must_be_those_of_the_classes)
{
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, 2, (int32_t[]){2, 4});
	run_node(&r, OP_COUPLE_PAIRS, 1);
	((Attr_COUPLE_PAIRS *)r.node->attr)->classes = 3;
	expect_error(&r, E_SHAPE);
	run_end(&r);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("linalg");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, matmul_multiplies_and_broadcasts);
	tcase_add_test(tc, integer_products_wrap_around);
	tcase_add_test(tc, products_are_added_in_the_order_of_k);
	tcase_add_test(tc, bad_matmul_is_reported);
	tcase_add_test(tc, gemm_scales_transposes_and_adds);
	tcase_add_test(tc, gemm_with_beta_0_does_not_look_at_c);
	tcase_add_test(tc, bad_gemm_is_reported);
	tcase_add_test(tc, einsum_means_what_the_equation_says);
	tcase_add_test(tc, einsum_over_nothing_is_zero);
	tcase_add_test(tc, bad_equations_are_reported);
	tcase_add_test(tc, an_equation_of_any_length_is_read);
	tcase_add_test(tc, det_is_that_of_the_rows_formula);
	tcase_add_test(tc, det_of_a_singular_matrix_is_0);
	tcase_add_test(tc, det_needs_square_float_matrices);
	tcase_add_test(tc, probabilities_of_pairs_give_those_that_they_are_made_of);
	tcase_add_test(tc, pairs_must_be_those_of_the_classes);
	return run_suite(tc, "linalg");
}
