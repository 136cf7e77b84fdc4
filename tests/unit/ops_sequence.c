/*
 * LSTM and SVDF with a state, on floats, against loops written anew.  Quantised ones
 * are compared with recorded models in tests/conformance.
 */
#include "tests/unit/run_node.h"
#include "tests/unit/unit.h"

static Run r;

static void
setup(void)
{
	run_begin(&r);
}

static void
teardown(void)
{
	run_end(&r);
}

/* Runs r.node and gives its outputs in r.result. */
static void
run_all(void)
{
	LFunc *f = node_lower(r.arena, r.node);
	void **bufs = ARENA_ARRAY(r.arena, void *, f->bufs.n);
	int at = 0;

	ck_assert_msg(!lfunc_verify(f), "%s", lfunc_verify(f));
	for (int i = 0; i < r.nins; i++)
		bufs[at++] = r.data[i];
	for (int i = 0; i < r.node->nouts; i++)
		bufs[at++] = r.result[i] =
			arena_alloc(r.arena, type_bytes(&r.node->out[i]->type));
	lfunc_run(r.arena, f, bufs);
}

START_TEST(svdf_remembers_features)
{
	enum { B = 2, I = 3, F = 4, M = 3, RANK = 2, U = F / RANK };
	uint32_t seed = 5;
	const float *x, *wf, *wt, *bias, *s, *y, *next;

	run_random(&r, DT_F32, 2, (int32_t[]){B, I}, &seed);
	run_random(&r, DT_F32, 2, (int32_t[]){F, I}, &seed);
	run_random(&r, DT_F32, 2, (int32_t[]){F, M}, &seed);
	run_random(&r, DT_F32, 1, (int32_t[]){U}, &seed);
	run_random(&r, DT_F32, 2, (int32_t[]){B, F * M}, &seed);
	r.node = graph_insert(r.g, NULL, OP_SVDF, 5, r.in, 2, NULL);
	((Attr_SVDF *)r.node->attr)->rank = RANK;
	((Attr_SVDF *)r.node->attr)->activation = ACTIVATION_relu;
	ck_assert(node_infer(r.node, &r.diag));
	run_all();
	x = r.data[0], wf = r.data[1], wt = r.data[2], bias = r.data[3], s = r.data[4];
	y = r.result[0], next = r.result[1];
	for (int n = 0; n < B; n++)
		for (int u = 0; u < U; u++) {
			float sum = bias[u];

			for (int f = u * RANK; f < (u + 1) * RANK; f++) {
				const float *row = next + (n * F + f) * M;
				float dot = 0;

				for (int i = 0; i < I; i++)
					dot += x[n * I + i] * wf[f * I + i];
				ck_assert(row[M - 1] == dot);
				for (int j = 0; j < M; j++) {
					ck_assert(j == M - 1 || row[j] == s[(n * F + f) * M + j + 1]);
					sum += row[j] * wt[f * M + j];
				}
			}
			ck_assert(y[n * U + u] == (sum > 0 ? sum : 0));
		}
}
END_TEST

/* Without feature weights the input is what the filters give; without a bias units
 * start with 0. */
START_TEST(svdf_takes_features_and_no_bias)
{
	enum { B = 2, F = 3, M = 2 };
	uint32_t seed = 6;
	const float *x, *wt, *s, *y, *next;

	run_random(&r, DT_F32, 2, (int32_t[]){B, F}, &seed);
	run_absent(&r);
	run_random(&r, DT_F32, 2, (int32_t[]){F, M}, &seed);
	run_absent(&r);
	run_random(&r, DT_F32, 2, (int32_t[]){B, F * M}, &seed);
	run_node(&r, OP_SVDF, 2);
	run_compute(&r);
	x = r.data[0], wt = r.data[2], s = r.data[4];
	y = r.result[0], next = r.result[1];
	for (int i = 0; i < B * F; i++) {
		ck_assert(next[i * M] == s[i * M + 1]);
		ck_assert(next[i * M + 1] == x[i]);
		ck_assert(y[i] == next[i * M] * wt[i % F * M] + x[i] * wt[i % F * M + 1]);
	}
}
END_TEST

START_TEST(svdf_needs_a_state)
{
	uint32_t seed = 6;

	run_random(&r, DT_F32, 2, (int32_t[]){2, 3}, &seed);
	run_absent(&r);
	run_random(&r, DT_F32, 2, (int32_t[]){3, 2}, &seed);
	run_node(&r, OP_SVDF, 2);
	expect_error(&r, E_ARITY);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ops_sequence");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, svdf_remembers_features);
	tcase_add_test(t, svdf_takes_features_and_no_bias);
	tcase_add_test(t, svdf_needs_a_state);
	suite_add_tcase(s, t);
	return unit_run(s);
}
