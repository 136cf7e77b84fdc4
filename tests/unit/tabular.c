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
#define VECTORS(leaves) \
	"{\"learner\":{\"learner_model_param\":{\"base_score\":\"0\",\"num_class\":\"0\"," \
	"\"num_feature\":\"1\",\"num_target\":\"2\"},\"objective\":{\"name\":" \
	"\"reg:squarederror\"},\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{" \
	"\"trees\":[{\"tree_param\":{\"size_leaf_vector\":\"2\"},\"left_children\":[1,-1,-1]," \
	"\"split_indices\":[0,0,0],\"split_conditions\":[0,0,0],\"default_left\":[0,0,0]," leaves \
	"}],\"tree_info\":[0]}}}}"
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
	{XGB_TREES(XGB_TREE("1,0,-1", "2,2,-1", "0,0,0", "1,2,3"), "0"), 1, 0, "reached twice"},
	{XGB_TREES("\n  {\"left_children\":[1,0,-1],\n\"right_children\":[2,2,-1],\"split_indices\":"
	           "[0,0,0],\"split_conditions\":[1,2,3],\"default_left\":[0,0,0]}", "0"), 2, 20,
	 "tree 0: node 2 is reached twice"},
	{XGB_TREES("\n  {\"left_children\":[1,-1,-1],\n \"right_children\" : [2,-1]}", "0"), 3, 21,
	 "'right_children' must be 3"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "7,-1,-1", "0,0,0", "1,2,3"), "0"), 0, 0,
	 "a child that there is not"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "1.5,-1,-1", "0,0,0", "1,2,3"), "0"), 0, 0,
	 "a child that there is not"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "2,-1,-1", "2,0,0", "1,2,3"), "0"), 0, 0,
	 "a feature that there is not"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "2,-1,-1", "0,0,0", "NaN,2,3"), "0"), 0, 0, "NaN"},
	{XGB_TREES(XGB_TREE("1,-1,-1", "2,-1,-1", "0,0,0", "1,Infinity,3"), "0"), 0, 0,
	 "not finite"},
	{VECTORS("\"right_children\":[2,1,2],\"leaf_weights\":[3,4,1,2]"), 0, 0,
	 "node 2 has no row of 'leaf_weights'"},
	{VECTORS("\"right_children\":[2,1,0],\"leaf_weights\":[3,4,1]"), 0, 0, "rows of 2"},
	{"tree\nversion=v4\nnum_class=1\n\nend of trees\n", 1, 1, "'max_feature_idx' is -1"},
	{"tree\nversion=v4\nnum_class=x\nmax_feature_idx=1\n", 3, 1, "must be a number"},
	{LGB_HEAD "Tree=0\nnum_leaves=1\nleaf_value=1\n\n", 9, 1, "before the line 'end of trees'"},
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

/* Runs a model on one row; the result has up to 8 numbers. */
static void
run_with(const char *text, const FrontendOptions *options, const double *x, int features,
         double *y)
{
	Arena *a = arena_new(NULL, NULL);
	ProgramOptions o = {.align = 0};
	Program *p;
	Graph *g;
	Diag d;
	double out[8];
	float in32[8], out32[8];
	bool is_double;

	diag_init(&d, a);
	g = frontend_read(a, "m", (const uint8_t *)text, strlen(text), options, &d);
	ck_assert_msg(g != NULL, "%s", d.first ? d.first->text : "");
	ck_assert(graph_verify(g, &d));
	p = program_build(a, g, &o, &d);
	ck_assert_ptr_nonnull(p);
	is_double = g->inputs.v[0]->type.dtype == DT_F64;
	for (int i = 0; i < features; i++)
		in32[i] = (float)x[i];
	program_run(p, (const void *[]){is_double ? (const void *)x : in32},
	            (void *[]){is_double ? (void *)out : out32});
	for (int i = 0; i < type_numel(&g->outputs.v[0]->type); i++)
		y[i] = is_double ? out[i] : (double)out32[i];
	arena_free(a);
}

static double
run(const char *text, const double *x, int features)
{
	double y[8];

	run_with(text, NULL, x, features, y);
	return y[0];
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

/* Left of 1: 10 + 2 a - b, or 5 when a or b is missing; right: 7 - a, or 6. */
#define LINEAR_TREE \
	"num_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=1\ndecision_type=10\nleft_child=-1\n" \
	"right_child=-2\nleaf_value=5 6\nis_linear=1\nleaf_const=10 7\nnum_features=2 1\n" \
	"leaf_features=0 1  0 \nleaf_coeff=2 -1  -1 \n\n"

static const struct {
	double x[2], y;
} linear[] = {
	{{0.5, 3}, 8},     {{1, 0}, 12},       {{2, 100}, 5},     {{2, NANS}, 5},
	{{0.5, NANS}, 5},  {{NANS, 1}, 5},     {{2, HUGE_VAL}, 5}, {{-4, 0.25}, 1.75},
};

START_TEST(leaves_of_lightgbm_may_be_linear)
{
	const double *x = linear[_i].x;
	double y = linear[_i].y, two[8];

	ck_assert(run(LGB_HEAD "Tree=0\n" LINEAR_TREE "end of trees\n", x, 2) == y);
	/* Beside a tree without, and in several classes. */
	ck_assert(run(LGB_HEAD "Tree=0\n" LINEAR_TREE "Tree=1\nnum_leaves=1\nleaf_value=0.5\n\n"
	                       "Tree=2\n" LINEAR_TREE "end of trees\n", x, 2) == 2 * y + 0.5);
	run_with("tree\nversion=v4\nnum_class=2\nnum_tree_per_iteration=2\nmax_feature_idx=1\n\n"
	         "Tree=0\nnum_leaves=1\nleaf_value=0.5\n\nTree=1\n" LINEAR_TREE "end of trees\n",
	         NULL, x, 2, two);
	ck_assert(two[0] == 0.5 && two[1] == y);
}
END_TEST

START_TEST(linear_leaves_that_do_not_fit_are_reported)
{
	static const char *const wrong[] = {"num_features=2 9", "num_features=2 -1",
	                                    "num_features=1 1", "num_features=2 1.5"};
	static const char text[] = LGB_HEAD "Tree=0\n" LINEAR_TREE "end of trees\n";
	Arena *a = arena_new(NULL, NULL);
	char *bad = arena_strdup(a, text), *at = strstr(bad, "num_features=2 1");
	const char *spoilt;
	Diag d;

	diag_init(&d, a);
	*at = 0;
	spoilt = arena_printf(a, "%s%s%s", bad, wrong[_i], at + strlen("num_features=2 1"));
	ck_assert_ptr_null(frontend_read(a, "m", (const uint8_t *)spoilt, strlen(spoilt), NULL, &d));
	ck_assert_int_gt(d.first->loc.line, 0);
	arena_free(a);
}
END_TEST

#define STUMP(left, right) XGB_TREE("1,-1,-1", "2,-1,-1", "0,0,0", "0," left "," right)

START_TEST(expectiles_rise)
{
	const char *text =
		"{\"learner\":{\"learner_model_param\":{\"base_score\":\"[0,1,3]\",\"num_class\":\"0\","
		"\"num_feature\":\"1\",\"num_target\":\"3\"},\"objective\":{\"name\":"
		"\"reg:expectileerror\"},\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"trees\":["
		STUMP("0", "1") "," STUMP("0", "-2") "," STUMP("0", "3") "],\"tree_info\":[0,1,2]}}}}";
	double y[8], raw = log(expm1(1.0)) - 2, last = log(expm1(2.0)) + 3;

	run_with(text, NULL, (double[]){-1}, 1, y);
	ck_assert(fabs(y[0]) < 1e-6 && fabs(y[1] - 1) < 1e-5 && fabs(y[2] - 3) < 1e-5);
	run_with(text, NULL, (double[]){1}, 1, y);
	ck_assert(fabs(y[0] - 1) < 1e-6);
	ck_assert_msg(fabs(y[1] - 1 - log1p(exp(raw))) < 1e-5, "%g", y[1]);
	ck_assert_msg(fabs(y[2] - y[1] - log1p(exp(last))) < 1e-5, "%g", y[2]);
}
END_TEST

/* By node, and by the number that the leaf has as its right child. */
static const char *const vectors[] = {
	VECTORS("\"right_children\":[2,-1,-1],\"base_weights\":[9,9,1,2,3,4]"),
	VECTORS("\"right_children\":[2,1,0],\"base_weights\":[9,9,9],\"leaf_weights\":[3,4,1,2]"),
};

START_TEST(a_leaf_may_have_a_number_for_each_target)
{
	double y[8];

	run_with(vectors[_i], NULL, (double[]){-1}, 1, y);
	ck_assert(y[0] == 1 && y[1] == 2);
	run_with(vectors[_i], NULL, (double[]){1}, 1, y);
	ck_assert(y[0] == 3 && y[1] == 4);
}
END_TEST

START_TEST(the_first_iterations_may_count_alone)
{
	const char *text =
		"{\"learner\":{\"attributes\":{\"best_iteration\":\"1\"},\"learner_model_param\":"
		"{\"base_score\":\"0\",\"num_feature\":\"1\"},\"objective\":{\"name\":\"reg:linear\"},"
		"\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"trees\":["
		STUMP("1", "1") "," STUMP("2", "2") "," STUMP("4", "4") "],\"tree_info\":[0,0,0]}}}}";
	static const double sums[] = {7, 1, 3, 7, 7};
	const char *lgb = LGB_HEAD "Tree=0\nnum_leaves=1\nleaf_value=1\n\nTree=1\nnum_leaves=1\n"
	                           "leaf_value=2\n\nend of trees\n";
	double y[8];

	for (int limit = 0; limit < 5; limit++) {
		run_with(text, &(FrontendOptions){.tree_limit = limit}, (double[]){0}, 1, y);
		ck_assert(y[0] == sums[limit]);
	}
	run_with(text, &(FrontendOptions){.tree_limit = TREE_LIMIT_BEST}, (double[]){0}, 1, y);
	ck_assert(y[0] == 3);
	run_with(lgb, &(FrontendOptions){.tree_limit = 1}, (double[]){0, 0}, 2, y);
	ck_assert(y[0] == 1);
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
	tcase_add_loop_test(tc, leaves_of_lightgbm_may_be_linear, 0,
	                    (int)(sizeof linear / sizeof *linear));
	tcase_add_loop_test(tc, linear_leaves_that_do_not_fit_are_reported, 0, 4);
	tcase_add_test(tc, expectiles_rise);
	tcase_add_loop_test(tc, a_leaf_may_have_a_number_for_each_target, 0, 2);
	tcase_add_test(tc, the_first_iterations_may_count_alone);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
