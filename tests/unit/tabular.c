/*
 * The readers of XGBoost and LightGBM: what they make of models, and what they say of
 * files that are none.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/program/program.h"
#include "frontend/frontend.h"
#include "tests/unit/unit.h"

/* ---- Malformed files ---- */

#define XGB_HEAD \
	"{\"learner\":{\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_class\":\"0\"," \
	"\"num_feature\":\"2\"},\"objective\":{\"name\":\"reg:squarederror\"},"
#define XGB_TREES(trees, info) \
	XGB_HEAD "\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"trees\":[" trees \
	         "],\"tree_info\":[" info "]}}}}"
#define XGB_TREE(left, right, feature, condition) \
	"{\"left_children\":[" left "],\"right_children\":[" right "],\"split_indices\":[" \
	feature "],\"split_conditions\":[" condition "],\"default_left\":[0,0,0]}"
#define LGB_HEAD "tree\nversion=v4\nnum_class=1\nmax_feature_idx=1\n\n"
#define LGB_TREE(feature, threshold, type, left, right) \
	"Tree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=" feature "\nthreshold=" threshold \
	"\ndecision_type=" type "\nleft_child=" left "\nright_child=" right \
	"\nleaf_value=1 2 3\n\nend of trees\n"

static const struct {
	const char *text;
	int line, column; /* 0: not asked for */
	const char *message;
} bad_files[] = {
	{"{\"learner\":\n  {\"a\": 01}}", 2, 0, ""},
	{"{\"learner\":\n{\"a\": nul}}", 2, 0, "invalid token"},
	{"{\"learner\":{}", 1, 0, ""},
	{"{\"learner\":{},\"learner\":{}}", 1, 0, "duplicate"},
	{"{\"learner\":{\n\"gradient_booster\":{}}}", 0, 0, "no objective"},
	{XGB_HEAD "\"gradient_booster\":{\"name\":\"gbforest\"}}}", 0, 0, "booster 'gbforest'"},
	{XGB_HEAD "\"gradient_booster\":{\"name\":\"gblinear\",\"model\":{\"weights\":[1]}}}}", 0, 0,
	 "there must be 3"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "2,-1,-1", "0,0,0", "1,2,3"), "1"), 0, 0, "output 1 of 1"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "2,-1", "0,0,0", "1,2,3"), "0"), 0, 0,
	 "'right_children' must be 3"},
	{XGB_TREES(XGB_TREE("1,0,-1", "2,2,-1", "0,0,0", "1,2,3"), "0"), 0, 0, "reached twice"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "7,-1,-1", "0,0,0", "1,2,3"), "0"), 0, 0,
	 "a child that there is not"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "1.5,-1,-1", "0,0,0", "1,2,3"), "0"), 0, 0,
	 "a child that there is not"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "2,-1,-1", "2,0,0", "1,2,3"), "0"), 0, 0,
	 "a feature that there is not"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "2,-1,-1", "0,0,0", "NaN,2,3"), "0"), 0, 0, "NaN"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "2,-1,-1", "0,0,0", "1,Infinity,3"), "0"), 0, 0,
	 "not finite"},
	{"tree\nversion=v4\nnum_class=1\n\nend of trees\n", 1, 1, "'max_feature_idx' is -1"},
	{"tree\nversion=v4\nnum_class=x\nmax_feature_idx=1\n", 3, 1, "must be a number"},
	{"tree\nversion=v4\nmax_feature_idx=1\nobjective=magic\n", 4, 1, "objective 'magic'"},
	{LGB_HEAD LGB_TREE("0 1", "1 2", "2 2", "1 -1", "0 -2"), 6, 1, "reached twice"},
	{LGB_HEAD LGB_TREE("0 1", "1 2", "2 2", "1 -1", "-9 -2"), 6, 1, "a child that there is not"},
	{LGB_HEAD LGB_TREE("0 2", "1 2", "2 2", "1 -1", "-3 -2"), 6, 1,
	 "a feature that there is not"},
	{LGB_HEAD LGB_TREE("0 1", "1 nan", "2 2", "1 -1", "-3 -2"), 6, 1, "NaN"},
	{LGB_HEAD LGB_TREE("0 1", "1", "2 2", "1 -1", "-3 -2"), 10, 1, "must be 2 numbers"},
	{LGB_HEAD LGB_TREE("0 1", "1 2 3", "2 2", "1 -1", "-3 -2"), 10, 1, "more than 2"},
	{LGB_HEAD LGB_TREE("0 1", "1 2", "1 2", "1 -1", "-3 -2"), 6, 1, "tests set 1 of 0"},
};

START_TEST(a_malformed_file_is_reported_where_it_is_wrong)
{
	Arena *a = arena_new(NULL, NULL);
	const char *text = bad_files[_i].text;
	Diag d;

	diag_init(&d, a);
	ck_assert_ptr_null(frontend_read(a, "m", (const uint8_t *)text, strlen(text), NULL, &d));
	ck_assert_int_ge(d.errors, 1);
	ck_assert_msg(strstr(d.first->text, bad_files[_i].message) != NULL, "%s", d.first->text);
	ck_assert_str_eq(d.first->loc.file, "m");
	if (bad_files[_i].line)
		ck_assert_int_eq(d.first->loc.line, bad_files[_i].line);
	if (bad_files[_i].column)
		ck_assert_int_eq(d.first->loc.column, bad_files[_i].column);
	arena_free(a);
}
END_TEST

START_TEST(a_cut_file_is_reported_or_read)
{
	const char *text = XGB_TREES(XGB_TREE("1,-1,-1", "2,-1,-1", "0,0,0", "1,2,3"), "0");
	size_t n = strlen(text) * (size_t)_i / 100;
	Arena *a = arena_new(NULL, NULL);
	FrontendOptions o = {.format = "xgboost"};
	Diag d;

	diag_init(&d, a);
	ck_assert_ptr_null(frontend_read(a, "m", (const uint8_t *)text, n, &o, &d));
	ck_assert_int_eq(d.errors, 1);
	arena_free(a);
}
END_TEST

/* ---- Models ---- */

/* Runs a model of one output on one row. */
static double
run(const char *text, const double *x, int features)
{
	Arena *a = arena_new(NULL, NULL);
	ProgramOptions o = {.align = 0};
	Program *p;
	Graph *g;
	Diag d;
	double out;
	float in32[8], out32;
	bool is_double;

	diag_init(&d, a);
	g = frontend_read(a, "m", (const uint8_t *)text, strlen(text), NULL, &d);
	ck_assert_msg(g != NULL, "%s", d.first ? d.first->text : "");
	ck_assert(graph_verify(g, &d));
	p = program_build(a, g, &o, &d);
	ck_assert_ptr_nonnull(p);
	is_double = g->inputs.v[0]->type.dtype == DT_F64;
	for (int i = 0; i < features; i++)
		in32[i] = (float)x[i];
	program_run(p, (const void *[]){is_double ? (const void *)x : in32},
	            (void *[]){is_double ? (void *)&out : &out32});
	if (!is_double)
		out = (double)out32;
	arena_free(a);
	return out;
}

#define NANS ((double)NAN)

/* A node on feature 0 at 0.5, to the right of it one on feature 1 at -1; leaves 1 2 3. */
static const struct {
	const char *types;
	double x[2], y;
} missing[] = {
	{"0 0", {0.5, 0}, 1},   {"0 0", {0.6, -1}, 3},   {"0 0", {NANS, 0}, 1},
	{"0 0", {1, NANS}, 2},  {"2 2", {NANS, 0}, 1},   {"4 4", {0.6, 1e-36}, 2},
	{"6 6", {0, 5}, 1},     {"4 6", {0, 0}, 3},      {"4 6", {1, 0}, 3},
	{"4 4", {NANS, 0}, 2},  {"8 8", {NANS, 0}, 2},   {"10 8", {NANS, 0}, 1},
	{"8 10", {NANS, NANS}, 3}, {"8 8", {0, 0}, 1},
};

START_TEST(missing_values_of_lightgbm_go_as_the_node_says)
{
	Arena *a = arena_new(NULL, NULL);
	const char *text = arena_printf(a, LGB_HEAD LGB_TREE("0 1", "0.5 -1", "%s", "-1 -3", "1 -2"),
	                                missing[_i].types);

	ck_assert(run(text, missing[_i].x, 2) == missing[_i].y);
	arena_free(a);
}
END_TEST

START_TEST(the_average_of_a_forest_is_squared)
{
	const char *text = "tree\r\nversion=v3\r\nmax_feature_idx=0\r\naverage_output\r\n"
	                   "objective=regression sqrt\r\n\r\nTree=0\r\nnum_leaves=1\r\n"
	                   "leaf_value=-1\r\n\r\nTree=1\r\nnum_leaves=1\r\nleaf_value=-2\r\n\r\n"
	                   "end of trees\r\n";

	ck_assert(run(text, (double[]){0}, 1) == -2.25);
}
END_TEST

START_TEST(a_model_without_trees_gives_its_base)
{
	ck_assert(run(XGB_TREES("", ""), (double[]){0, 0}, 2) == 0.5);
}
END_TEST

START_TEST(base_scores_in_a_list_are_read)
{
	const char *text = "{\"learner\":{\"learner_model_param\":{\"base_score\":\"[2.5E0]\","
	                   "\"num_feature\":\"1\"},\"objective\":{\"name\":\"reg:linear\"},"
	                   "\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"trees\":[],"
	                   "\"tree_info\":[]}}}}";

	ck_assert(run(text, (double[]){0}, 1) == 2.5);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("tabular");
	TCase *tc = tcase_create("tabular");

	tcase_add_loop_test(tc, a_malformed_file_is_reported_where_it_is_wrong, 0,
	                    (int)(sizeof bad_files / sizeof *bad_files));
	tcase_add_loop_test(tc, a_cut_file_is_reported_or_read, 0, 100);
	tcase_add_loop_test(tc, missing_values_of_lightgbm_go_as_the_node_says, 0,
	                    (int)(sizeof missing / sizeof *missing));
	tcase_add_test(tc, the_average_of_a_forest_is_squared);
	tcase_add_test(tc, a_model_without_trees_gives_its_base);
	tcase_add_test(tc, base_scores_in_a_list_are_read);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
