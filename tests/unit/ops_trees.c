/*
 * The operator `trees` against a plain evaluation of the nodes as a file has them.
 */
#include <string.h>

#include "ir/trees.h"
#include "run_node.h"

enum { FEATURES = 5, ROWS = 40, MAX_NODES = 64, TREES = 19, SETS = 4, SET_WORDS = 3, WIDTH = 2 };

/* A random ensemble, and the graph that is made of it. */
typedef struct {
	Arena *arena;
	Diag diag;
	Graph *g;
	Node *node;
	DType decide, sum;
	TreeAggregate aggregate;
	int outputs, width, rows;
	bool has_base;
	uint32_t word[SETS][SET_WORDS];
	TreeNode tree[TREES][MAX_NODES];
	int32_t n[TREES], root[TREES];
	double value[TREES][MAX_NODES][WIDTH];
	int32_t target[TREES][MAX_NODES];
	double base[8];
	double x[ROWS * FEATURES];
} Random;

static const double special[] = {0.0, -0.0, 1e-36, -1e-35, 0.5, -0.5, 1.0, 33.0, 95.0, 96.0, -1.0};

static double
random_number(Random *r, uint32_t *seed)
{
	double v = special[random_int(seed, 0, (int)(sizeof special / sizeof *special) - 1)];

	return random_int(seed, 0, 1) ? v : random_int(seed, -9, 9) + (r->decide == DT_F32 ? 0.1 : 0.2);
}

/* Beside modes: no node has a child of its own for missing values. */
enum { TWO_CHILDREN = 1 << 15 };

/* Modes that compare, and zero for missing. */
enum {
	ORDERED = 1 << TREE_LE | 1 << TREE_LT | 1 << TREE_GE | 1 << TREE_GT | 1 | TWO_CHILDREN
};

/* Grows a subtree with numbers given from the end of the array, so that children
 * come before parents in the file. */
static int32_t
grow(Random *r, Ensemble *e, int t, int depth, uint32_t *seed, unsigned modes)
{
	int32_t yes, no, missing, at;
	TreeNode *node;

	if (depth == 0 || r->n[t] > MAX_NODES - 40 || random_int(seed, 0, 5) == 0) {
		at = r->n[t]++;
		r->tree[t][at].mode = TREE_LEAF;
		r->tree[t][at].weight = random_int(seed, 0, 2);
		r->target[t][at] = random_int(seed, 0, r->outputs - r->width);
		for (int i = 0; i < r->width; i++)
			r->value[t][at][i] = random_int(seed, -100, 100) / (dtype_is_integer(r->sum) ? 1 : 7.0);
		r->tree[t][at].leaf = ensemble_leaf(e, r->value[t][at], r->target[t][at]);
		return at;
	}
	yes = grow(r, e, t, depth - 1, seed, modes);
	no = grow(r, e, t, depth - 1, seed, modes);
	missing = random_int(seed, 0, modes & TWO_CHILDREN ? 1 : 2);
	missing = missing == 0 ? yes : missing == 1 ? no : grow(r, e, t, 0, seed, modes);
	at = r->n[t]++;
	node = &r->tree[t][at];
	do
		node->mode = (TreeMode)random_int(seed, TREE_LE, TREE_IN_TRUNC);
	while (!(modes >> node->mode & 1));
	node->zero_missing = (modes & 1) && random_int(seed, 0, 3) == 0;
	node->feature = random_int(seed, 0, FEATURES - 1);
	node->threshold = random_number(r, seed);
	node->set = random_int(seed, 0, SETS - 1);
	node->yes = yes;
	node->no = no;
	node->missing = missing;
	node->weight = random_int(seed, 0, 2);
	return at;
}

/* `modes`: bits of the modes to use; bit 0: some take zero for missing. */
static Random *
make_random(uint32_t seed, DType decide, DType sum, TreeAggregate aggregate, unsigned modes,
            int depth)
{
	Arena *a = arena_new(NULL, NULL);
	Random *r = ARENA_NEW(a, Random);
	/* A few rows, or enough to be done side by side. */
	int rows = seed % 3 == 0 ? 5 : ROWS;
	Type type = type_make(decide, 2, (int32_t[]){rows, FEATURES});
	Ensemble *e;
	Value *x, *base = NULL;

	r->arena = a;
	r->rows = rows;
	diag_init(&r->diag, a);
	r->g = graph_new(a, "g");
	r->decide = decide;
	r->sum = sum;
	r->aggregate = aggregate;
	r->outputs = random_int(&seed, 1, 4);
	r->width = r->outputs > 1 ? random_int(&seed, 1, WIDTH) : 1;
	r->has_base = random_int(&seed, 0, 1);
	e = ensemble_new(a, decide, sum, FEATURES, r->outputs, r->width);
	for (int i = 0; i < SETS; i++) {
		for (int k = 0; k < SET_WORDS && i > 0; k++)
			r->word[i][k] = seed = seed * 1664525u + 1013904223u;
		ensemble_set(e, r->word[i], SET_WORDS);
	}
	for (int t = 0; t < TREES; t++) {
		Loc loc = {.where = "here"};

		r->root[t] = grow(r, e, t, depth, &seed, modes);
		ck_assert(ensemble_tree(e, r->tree[t], r->n[t], r->root[t], "tree", &loc, &r->diag));
	}
	for (int i = 0; i < ROWS * FEATURES; i++)
		r->x[i] = random_int(&seed, 0, 7) ? random_number(r, &seed) : NOT_A_NUMBER;
	x = graph_input(r->g, "x", type);
	for (int i = 0; i < r->outputs; i++)
		r->base[i] = random_int(&seed, -50, 50);
	if (r->has_base) {
		Type row = type_make(dtype_compute(sum), 1, (int32_t[]){r->outputs});
		void *data = arena_alloc(a, type_bytes(&row));

		for (int i = 0; i < r->outputs; i++)
			num_store(row.dtype, data, (size_t)i, r->base[i]);
		base = graph_const(r->g, "base", row, data);
	}
	r->node = ensemble_finish(e, r->g, x, base, aggregate, "y");
	ck_assert(node_infer(r->node, &r->diag));
	graph_output(r->g, "y", r->node->out[0]);
	return r;
}

static double
to_type(DType t, double v)
{
	return t == DT_F32 ? (double)(float)v : v;
}

static bool
in_set(const Random *r, int32_t set, double c)
{
	int32_t i;

	if (!(c >= 0 && c < 32 * SET_WORDS))
		return false;
	i = (int32_t)c;
	return r->word[set][i / 32] >> (i % 32) & 1;
}

static bool
says_yes(const Random *r, const TreeNode *t, double x)
{
	double c = to_type(r->decide, t->threshold);

	switch (t->mode) {
	case TREE_LE: return x <= c;
	case TREE_LT: return x < c;
	case TREE_GE: return x >= c;
	case TREE_GT: return x > c;
	case TREE_EQ: return x == c;
	case TREE_NE: return x != c;
	case TREE_IN_EXACT: return x == floor(x) && in_set(r, t->set, x);
	case TREE_IN_FLOOR: return in_set(r, t->set, floor(x));
	case TREE_IN_TRUNC: return in_set(r, t->set, trunc(x));
	case TREE_LEAF:
	case TREE_MODE_COUNT: break;
	}
	return false;
}

static int32_t
walk(const Random *r, int t, const double *row)
{
	int32_t at = r->root[t];

	while (r->tree[t][at].mode != TREE_LEAF) {
		const TreeNode *node = &r->tree[t][at];
		double x = to_type(r->decide, row[node->feature]);

		if (isnan(x) || (node->zero_missing && fabs(x) <= (double)1e-35f))
			at = node->missing;
		else
			at = says_yes(r, node, x) ? node->yes : node->no;
	}
	return at;
}

static double
take_in(const Random *r, double y, double v)
{
	v = to_type(r->sum, v);
	if (r->aggregate == TREES_sum)
		return to_type(r->sum, y + v);
	return r->aggregate == TREES_min ? (v < y ? v : y) : (y < v ? v : y);
}

static double
start(const Random *r, int k)
{
	if (r->has_base)
		return r->base[k];
	if (r->aggregate == TREES_sum)
		return 0;
	if (dtype_is_integer(r->sum))
		return r->aggregate == TREES_min ? INT32_MAX : INT32_MIN;
	return r->aggregate == TREES_min ? HUGE_VAL : -HUGE_VAL;
}

static void
expected_row(const Random *r, const double *row, double *y)
{
	for (int k = 0; k < r->outputs; k++)
		y[k] = start(r, k);
	for (int t = 0; t < TREES; t++) {
		int32_t leaf = walk(r, t, row);

		for (int i = 0; i < r->width; i++) {
			int32_t k = r->target[t][leaf] + i;

			y[k] = take_in(r, y[k], r->value[t][leaf][i]);
		}
	}
}

static bool
has_keys(const LFunc *f)
{
	for (int i = 0; i < f->bufs.n; i++)
		if (strcmp(f->bufs.v[i]->name, "keys") == 0)
			return true;
	return false;
}

/* Whether the attributes ask for something that is possible and has keys. */
static bool
wants_keys(const Random *r)
{
	const Attr_TREES *a = r->node->attr;
	Trees t = trees_of(r->node);

	return a->code != TREE_CODE_walk && a->keys != TREE_KEYS_none &&
	       trees_have_code(r->arena, &t, a->code, a->keys);
}

static void
expect_lowering(Random *r)
{
	LFunc *f = node_lower(r->arena, r->node);
	const char *flaw = lfunc_verify(f);
	const Type *t = &r->node->out[0]->type;
	void *bufs[32] = {0}, *y = arena_alloc(r->arena, type_bytes(t));
	void *x = arena_alloc(r->arena, type_bytes(&r->node->in[0]->type));
	int nbufs = 1;

	ck_assert_msg(!flaw, "%s", flaw);
	ck_assert_int_eq(has_keys(f), wants_keys(r));
	for (int i = 0; i < r->rows * FEATURES; i++)
		num_store(r->decide, x, (size_t)i, r->x[i]);
	bufs[0] = x;
	for (int i = 1; i < r->node->nins; i++)
		nbufs += r->node->in[i] != NULL;
	bufs[nbufs] = y;
	lfunc_run(r->arena, f, bufs);
	for (int i = 0; i < r->rows; i++) {
		double want[8];

		expected_row(r, r->x + i * FEATURES, want);
		for (int k = 0; k < r->outputs; k++) {
			double v = num_load(t->dtype, y, (size_t)(i * r->outputs + k));

			ck_assert_msg(v == want[k], "row %d, output %d: %.17g, not %.17g", i, k, v,
			              want[k]);
		}
	}
}

/* Numbers between the rows of x and of the result that nobody may touch. */
enum { X_STRIDE = FEATURES + 3, Y_GAP = 2 };

static void
expect_row(Random *r, const void *y, int row)
{
	int stride = r->outputs + Y_GAP;
	DType t = r->node->out[0]->type.dtype;
	double want[8];

	expected_row(r, r->x + row * FEATURES, want);
	for (int k = 0; k < stride; k++) {
		double v = num_load(t, y, (size_t)(row * stride + k));

		ck_assert_msg(v == (k < r->outputs ? want[k] : 77), "row %d, element %d: %.17g", row, k,
		              v);
	}
}

/* What NAME_run_batch calls, for rows that do not lie side by side. */
static void
expect_many_rows(Random *r)
{
	int stride = r->outputs + Y_GAP, nbufs = 1;
	int32_t in[TREES_INPUTS] = {X_STRIDE}, out[1] = {stride};
	DType t = r->node->out[0]->type.dtype;
	Type x_type = type_make(r->decide, 1, (int32_t[]){ROWS * X_STRIDE});
	Type y_type = type_make(t, 1, (int32_t[]){ROWS * stride});
	void *bufs[32] = {0}, *x = arena_alloc(r->arena, type_bytes(&x_type));
	void *y = arena_alloc(r->arena, type_bytes(&y_type));
	LFunc *f = node_lower_rows(r->arena, r->node, ROWS, &(RowStrides){in, out});
	const char *flaw = lfunc_verify(f);

	ck_assert_msg(!flaw, "%s", flaw);
	for (int i = 0; i < ROWS * X_STRIDE; i++)
		num_store(r->decide, x, (size_t)i,
		          i % X_STRIDE < FEATURES ? r->x[i / X_STRIDE * FEATURES + i % X_STRIDE] : 0.25);
	for (int i = 0; i < ROWS * stride; i++)
		num_store(t, y, (size_t)i, 77);
	bufs[0] = x;
	for (int i = 1; i < r->node->nins; i++)
		nbufs += r->node->in[i] != NULL;
	bufs[nbufs] = y;
	lfunc_run(r->arena, f, bufs);
	for (int i = 0; i < ROWS; i++)
		expect_row(r, y, i);
}

static const unsigned mode_sets[] = {1 << TREE_LE,
                                     1 << TREE_LT,
                                     1 << TREE_LE | 1,
                                     1 << TREE_GE | 1 << TREE_GT,
                                     1 << TREE_EQ | 1 << TREE_NE | 1,
                                     1 << TREE_IN_EXACT | 1 << TREE_LT,
                                     1 << TREE_IN_FLOOR | 1 << TREE_LT,
                                     1 << TREE_IN_TRUNC | 1 << TREE_LE | 1,
                                     0x3ff,
                                     1 << TREE_LE | TWO_CHILDREN,
                                     1 << TREE_LT | TWO_CHILDREN,
                                     1 << TREE_LT | 1 << TREE_GE | TWO_CHILDREN,
                                     1 << TREE_LE | 1 << TREE_GT | TWO_CHILDREN,
                                     0x3ff | TWO_CHILDREN};
enum { MODE_SETS = sizeof mode_sets / sizeof *mode_sets, CASES = 2 * 4 * 3 * MODE_SETS };

static Random *
random_case(int i)
{
	static const DType decide[] = {DT_F32, DT_F64}, sum[] = {DT_F32, DT_F64, DT_I32, DT_I8};
	static const TreeAggregate aggregate[] = {TREES_sum, TREES_min, TREES_max};

	return make_random((uint32_t)i + 1, decide[i % 2], sum[i / 2 % 4], aggregate[i / 8 % 3],
	                   mode_sets[i / 24], 1 + i % 5);
}

START_TEST(an_ensemble_means_what_its_nodes_say)
{
	Random *r = random_case(_i);
	unsigned modes = mode_sets[_i / 24];
	Trees t = trees_of(r->node);

	ck_assert(trees_have_code(r->arena, &t, TREE_CODE_branches, TREE_KEYS_none));
	ck_assert(trees_have_keys(&t) || !(modes & TWO_CHILDREN) || (modes & ~(unsigned)ORDERED));
	for (int code = 0; code < TREE_CODE_COUNT; code++)
		for (int keys = 0; keys < TREE_KEYS_COUNT; keys++) {
			Attr_TREES *a = r->node->attr;

			a->code = (TreeCode)code;
			a->keys = (TreeKeyKind)keys;
			expect_lowering(r);
		}
	arena_free(r->arena);
}
END_TEST

START_TEST(many_rows_are_each_computed_as_one)
{
	Random *r = random_case(_i);
	Attr_TREES *a = r->node->attr;
	Trees t;

	r->node->in[TREES_X]->type.dim[0] = 1;
	ck_assert(node_infer(r->node, &r->diag));
	t = trees_of(r->node);
	ck_assert(!node_lower_rows(r->arena, r->node, ROWS, NULL));
	a->batch = true;
	if (trees_have_many_rows(r->arena, &t))
		expect_many_rows(r);
	else
		ck_assert(!trees_have_keys(&t) || trees_count_tests(r->arena, &t, NULL) == 0);
	arena_free(r->arena);
}
END_TEST

START_TEST(the_likely_child_comes_first)
{
	static const TreeNode node[3] = {
		{.mode = TREE_LT, .yes = 1, .no = 2, .missing = 1, .threshold = 5},
		{.mode = TREE_LEAF, .leaf = 0, .weight = 1},
		{.mode = TREE_LEAF, .leaf = 1, .weight = 9},
	};
	Arena *a = arena_new(NULL, NULL);
	Graph *g = graph_new(a, "g");
	Value *x = graph_input(g, "x", type_make(DT_F32, 2, (int32_t[]){1, 1}));
	Ensemble *e = ensemble_new(a, DT_F32, DT_F32, 1, 1, 1);
	Diag d;
	Trees t;

	diag_init(&d, a);
	ensemble_leaf(e, (double[]){10}, 0);
	ensemble_leaf(e, (double[]){20}, 0);
	ck_assert(ensemble_tree(e, node, 3, 0, "tree", &(Loc){0}, &d));
	t = trees_of(ensemble_finish(e, g, x, NULL, TREES_sum, "y"));
	ck_assert(t.mode[0] == TREE_GE && t.yes[t.yes[0]] == 1 && t.yes[t.no[0]] == 0);
	ck_assert_int_eq(t.missing[0], t.no[0]);
	arena_free(a);
}
END_TEST

START_TEST(an_ensemble_reads_back_from_its_text)
{
	Random *r = random_case(_i);
	Str first, second;
	Graph *g;

	str_init(&first, r->arena);
	str_init(&second, r->arena);
	graph_print(&first, r->g);
	g = graph_parse(r->arena, "t", first.s, first.n, &r->diag);
	ck_assert_ptr_nonnull(g);
	graph_print(&second, g);
	ck_assert_str_eq(first.s, second.s);
	ck_assert(graph_verify(g, &r->diag));
	arena_free(r->arena);
}
END_TEST

START_TEST(an_ensemble_without_trees_is_its_base)
{
	Arena *a = arena_new(NULL, NULL);
	Graph *g = graph_new(a, "g");
	Value *x = graph_input(g, "x", type_make(DT_F32, 2, (int32_t[]){2, 3}));
	Ensemble *e = ensemble_new(a, DT_F32, DT_F32, 3, 2, 1);
	float base[2] = {-0.0f, 2.5f}, y[4] = {1, 1, 1, 1};
	Value *b = graph_const(g, "b", type_make(DT_F32, 1, (int32_t[]){2}), base);
	Node *n = ensemble_finish(e, g, x, b, TREES_sum, "y");
	float row[6] = {0};
	void *bufs[16] = {0};
	int nbufs = 0;
	Diag d;

	diag_init(&d, a);
	ck_assert(node_infer(n, &d));
	for (int i = 0; i < n->nins; i++)
		nbufs += n->in[i] != NULL;
	bufs[0] = row;
	bufs[nbufs] = y;
	lfunc_run(a, node_lower(a, n), bufs);
	ck_assert(signbit(y[0]) && y[1] == 2.5f && signbit(y[2]) && y[3] == 2.5f);
	arena_free(a);
}
END_TEST

/* ---- What files may have wrong ---- */

typedef struct {
	TreeNode node[5];
	int32_t root;
	const char *message;
} Bad;

#define TEST(y, n, m) \
	{ \
		.mode = TREE_LT, .yes = (y), .no = (n), .missing = (m) \
	}
#define LEAF \
	{ \
		.mode = TREE_LEAF \
	}
static const Bad bad_trees[] = {
	{{TEST(1, 2, 1), LEAF, LEAF}, 5, "tree 3: root 0 is no node"},
	{{TEST(1, 2, 1), LEAF, LEAF}, -1, "tree 3: root 0 is no node"},
	{{TEST(1, 5, 1), LEAF, LEAF}, 0, "tree 3: node 0 has a child that there is not"},
	{{TEST(-1, 1, 1), LEAF, LEAF}, 0, "tree 3: node 0 has a child that there is not"},
	{{TEST(1, 2, 0), LEAF, LEAF}, 0, "tree 3: node 0 is reached twice"},
	{{TEST(1, 1, 1), LEAF, LEAF}, 0, "tree 3: node 1 is reached twice"},
	{{TEST(1, 2, 1), TEST(0, 3, 3), LEAF, LEAF}, 0, "tree 3: node 0 is reached twice"},
	{{TEST(1, 2, 1), {.mode = TREE_LT, .yes = 3, .no = 4, .missing = 3, .feature = 9}, LEAF, LEAF,
	  LEAF}, 0, "tree 3: node 1 tests a feature that there is not"},
	{{{.mode = TREE_LT, .yes = 1, .no = 2, .missing = 1, .threshold = (double)NAN}, LEAF, LEAF}, 0,
	 "tree 3: node 0 compares with NaN"},
};

START_TEST(a_tree_that_is_none_is_reported)
{
	const Bad *bad = &bad_trees[_i];
	Arena *a = arena_new(NULL, NULL);
	Ensemble *e = ensemble_new(a, DT_F32, DT_F32, 4, 1, 1);
	double one = 1;
	Loc loc = {.file = "f"};
	Diag d;

	diag_init(&d, a);
	ensemble_leaf(e, &one, 0);
	ck_assert(!ensemble_tree(e, bad->node, 5, bad->root, "tree 3", &loc, &d));
	ck_assert_int_eq(d.errors, 1);
	ck_assert_str_eq(d.first->text, bad->message);
	arena_free(a);
}
END_TEST

/* The constants of one small tree, one of which is spoilt. */
typedef struct {
	int input, element;
	double value;
	DiagCode code;
} Spoil;

static const Spoil spoils[] = {
	{TREES_FEATURE, 0, 3, E_VALUE},  {TREES_FEATURE, 0, -1, E_VALUE},
	{TREES_YES, 0, 0, E_VALUE},      {TREES_YES, 0, 5, E_VALUE},
	{TREES_NO, 2, 1, E_VALUE},       {TREES_MISSING, 0, -7, E_VALUE},
	{TREES_YES, 1, 3, E_VALUE},      {TREES_YES, 1, -1, E_VALUE},
	{TREES_ROOT, 0, 5, E_VALUE},     {TREES_ROOT, 0, -1, E_VALUE},
	{TREES_MODE, 0, 10, E_VALUE},    {TREES_MODE, 0, 0x21, E_VALUE},
	{TREES_MODE, 1, 0x10, E_VALUE},  {TREES_MODE, 0, TREE_IN_EXACT, E_VALUE},
	{TREES_TARGET, 2, 2, E_VALUE},   {TREES_TARGET, 0, -1, E_VALUE},
	{TREES_SET_START, 0, -1, E_VALUE}, {TREES_SET_START, 1, 4, E_VALUE},
	{TREES_THRESHOLD, 0, (double)NAN, E_VALUE}, {TREES_THRESHOLD, 2, 1.5, E_VALUE},
	{TREES_THRESHOLD, 2, -1, E_VALUE}, {TREES_THRESHOLD, 2, 1, E_VALUE},
};

START_TEST(constants_that_are_no_trees_are_reported)
{
	const Spoil *bad = &spoils[_i];
	Run r;

	run_begin(&r);
	run_zeros(&r, DT_F32, DIMS(1, 3));
	run_numbers(&r, DT_I32, DIMS(5), (double[]){0, 0, 2, 0, 0});
	run_numbers(&r, DT_F32, DIMS(5), (double[]){0.5, 0, 0, 0, 0});
	run_numbers(&r, DT_I32, DIMS(5), (double[]){1, 0, 3, 1, 2});
	run_numbers(&r, DT_I32, DIMS(5), (double[]){2, 0, 4, 0, 0});
	run_numbers(&r, DT_I32, DIMS(5), (double[]){1, 0, 3, 0, 0});
	run_numbers(&r, DT_U8, DIMS(5), (double[]){1, 0, 8, 0, 0});
	run_numbers(&r, DT_I32, DIMS(1), (double[]){0});
	run_numbers(&r, DT_F32, DIMS(3, 1), (double[]){1, 2, 3});
	run_numbers(&r, DT_I32, DIMS(3), (double[]){0, 1, 0});
	run_absent(&r);
	run_numbers(&r, DT_I32, DIMS(2), (double[]){0, 1});
	run_numbers(&r, DT_U32, DIMS(1), (double[]){5});
	for (int i = 1; i < r.nins; i++)
		if (r.in[i])
			r.in[i]->data = r.data[i];
	((Attr_TREES *)run_node(&r, OP_TREES, 1))->outputs = 2;
	ck_assert(run_infer(&r));
	num_store(r.in[bad->input]->type.dtype, r.data[bad->input], (size_t)bad->element, bad->value);
	expect_error(&r, bad->code);
	num_store(r.in[bad->input]->type.dtype, r.data[bad->input], (size_t)bad->element, 0);
	run_end(&r);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("trees");

	tcase_add_loop_test(tc, an_ensemble_means_what_its_nodes_say, 0, CASES);
	tcase_add_loop_test(tc, many_rows_are_each_computed_as_one, 0, CASES);
	tcase_add_loop_test(tc, an_ensemble_reads_back_from_its_text, 0, CASES);
	tcase_add_test(tc, the_likely_child_comes_first);
	tcase_add_test(tc, an_ensemble_without_trees_is_its_base);
	tcase_add_loop_test(tc, a_tree_that_is_none_is_reported, 0,
	                    (int)(sizeof bad_trees / sizeof *bad_trees));
	tcase_add_loop_test(tc, constants_that_are_no_trees_are_reported, 0,
	                    (int)(sizeof spoils / sizeof *spoils));
	return run_suite(tc, "trees");
}
