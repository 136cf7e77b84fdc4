#include "passes/compression/forest.h"

#include <math.h>
#include <string.h>

#include "ir/num.h"

enum { MAX_NODES = 1 << 24 };

static bool
is_leaf(const Forest *f, int32_t node)
{
	return (f->mode[node] & TREE_MODE_MASK) == TREE_LEAF;
}

/* ---- Copying ---- */

/* A node of the ensemble whose copy is to be the child of `parent`. */
typedef struct {
	int32_t node, parent;
	int branch; /* 0 yes, 1 no, 2 missing; -1: a root */
} Copy;

static Forest *
new_forest(Arena *a, const Trees *t, int32_t nodes)
{
	Forest *f = ARENA_NEW(a, Forest);

	f->t = t;
	f->trees = t->trees;
	f->root = ARENA_ARRAY(a, int32_t, t->trees);
	f->yes = ARENA_ARRAY(a, int32_t, nodes);
	f->no = ARENA_ARRAY(a, int32_t, nodes);
	f->missing = ARENA_ARRAY(a, int32_t, nodes);
	f->feature = ARENA_ARRAY(a, int32_t, nodes);
	f->target = ARENA_ARRAY(a, int32_t, nodes);
	f->threshold = ARENA_ARRAY(a, double, nodes);
	f->mode = ARENA_ARRAY(a, uint8_t, nodes);
	f->gone = ARENA_ARRAY(a, bool, nodes);
	f->value = ARENA_ARRAY(a, double, (size_t)nodes * (size_t)t->width);
	return f;
}

static void
copy_node(Forest *f, int32_t from, int32_t to)
{
	const Trees *t = f->t;

	f->mode[to] = t->mode[from];
	f->feature[to] = t->feature[from];
	f->threshold[to] = value_float(t->threshold, from);
	if (!is_leaf(f, to))
		return;
	f->target[to] = t->target ? t->target[t->yes[from]] : 0;
	for (int32_t k = 0; k < t->width; k++)
		f->value[(size_t)to * (size_t)t->width + (size_t)k] =
			value_float(t->value, t->yes[from] * t->width + k);
}

static void
link_copy(Forest *f, Copy c, int32_t node)
{
	if (c.branch == 0)
		f->yes[c.parent] = node;
	if (c.branch == 1)
		f->no[c.parent] = node;
	if (c.branch == 2)
		f->missing[c.parent] = node;
}

Forest *
forest_copy(Arena *a, const Trees *t)
{
	int64_t tests = trees_count_tests(a, t, NULL);
	int64_t most = 3 * tests + t->trees; /* with a third child each */
	VEC(Copy) todo = {0};
	Forest *f;

	if (most > MAX_NODES || most * t->width > 4 * (int64_t)MAX_NODES)
		return NULL;
	f = new_forest(a, t, (int32_t)most);
	for (int32_t i = 0; i < t->trees; i++) {
		f->root[i] = f->nodes;
		VEC_PUSH(a, &todo, ((Copy){t->root[i], -1, -1}));
		while (todo.n > 0) {
			Copy c = todo.v[--todo.n];
			int32_t node = f->nodes++;

			copy_node(f, c.node, node);
			link_copy(f, c, node);
			if (is_leaf(f, node))
				continue;
			if (t->missing[c.node] != t->yes[c.node] && t->missing[c.node] != t->no[c.node])
				VEC_PUSH(a, &todo, ((Copy){t->missing[c.node], node, 2}));
			f->missing[node] = t->missing[c.node] == t->yes[c.node]  ? -1
			                   : t->missing[c.node] == t->no[c.node] ? -2
			                                                         : 0;
			VEC_PUSH(a, &todo, ((Copy){t->no[c.node], node, 1}));
			VEC_PUSH(a, &todo, ((Copy){t->yes[c.node], node, 0}));
		}
	}
	for (int32_t i = 0; i < f->nodes; i++)
		if (!is_leaf(f, i) && f->missing[i] < 0)
			f->missing[i] = f->missing[i] == -1 ? f->yes[i] : f->no[i];
	return f;
}

void
forest_drop(Arena *a, Forest *f, int32_t node)
{
	VEC(int32_t) todo = {0};

	VEC_PUSH(a, &todo, node);
	while (todo.n > 0) {
		int32_t i = todo.v[--todo.n];

		f->gone[i] = true;
		if (is_leaf(f, i))
			continue;
		VEC_PUSH(a, &todo, f->yes[i]);
		VEC_PUSH(a, &todo, f->no[i]);
		if (f->missing[i] != f->yes[i] && f->missing[i] != f->no[i])
			VEC_PUSH(a, &todo, f->missing[i]);
	}
}

/* ---- Walking ---- */

static bool
in_set(const Trees *t, int32_t set, double c)
{
	int32_t words = t->set_start[set + 1] - t->set_start[set], i;

	if (!(c >= 0 && c < 32.0 * words))
		return false;
	i = (int32_t)c;
	return t->set_word[t->set_start[set] + i / 32] >> (i % 32) & 1;
}

static bool
says_yes(const Forest *f, int32_t node, double x)
{
	double v = f->threshold[node];

	switch ((TreeMode)(f->mode[node] & TREE_MODE_MASK)) {
	case TREE_LE: return x <= v;
	case TREE_LT: return x < v;
	case TREE_GE: return x >= v;
	case TREE_GT: return x > v;
	case TREE_EQ: return x == v;
	case TREE_NE: return x != v;
	case TREE_IN_EXACT: return x == floor(x) && in_set(f->t, (int32_t)v, x);
	case TREE_IN_FLOOR: return in_set(f->t, (int32_t)v, floor(x));
	case TREE_IN_TRUNC: return in_set(f->t, (int32_t)v, trunc(x));
	case TREE_LEAF:
	case TREE_MODE_COUNT: break;
	}
	return false;
}

int32_t
forest_leaf(const Forest *f, int32_t tree, const double *row)
{
	bool is_float = f->t->threshold->type.dtype == DT_F32;
	int32_t at = f->root[tree];

	while (!is_leaf(f, at)) {
		double x = row[f->feature[at]];

		x = is_float ? (double)(float)x : x;
		if (isnan(x) || ((f->mode[at] & TREE_ZERO_MISSING) && fabs(x) <= TREE_ZERO))
			at = f->missing[at];
		else
			at = says_yes(f, at, x) ? f->yes[at] : f->no[at];
	}
	return at;
}

/* ---- Storing ---- */

/* What is stored: nodes in an order in which children come behind their parents. */
typedef struct {
	const Forest *f;
	Arena *a;
	int32_t *same;  /* by node: the first that is equal to it, or what it comes to */
	int32_t *slot;  /* of a hash table: node + 1 */
	int32_t nslots;
	int32_t *row;   /* by leaf that is kept: its row of values */
	VEC(double) value;
	VEC(int32_t) target;
} Store;

static uint32_t
mix(uint32_t h, uint32_t v)
{
	return (h ^ v) * 0x9e3779b1u ^ (h >> 15);
}

static uint32_t
mix_double(uint32_t h, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	return mix(mix(h, (uint32_t)bits), (uint32_t)(bits >> 32));
}

static uint32_t
hash_node(const Store *s, int32_t i)
{
	const Forest *f = s->f;
	int32_t width = f->t->width;
	uint32_t h = mix(f->mode[i], 1);

	if (is_leaf(f, i)) {
		h = mix(h, (uint32_t)f->target[i]);
		for (int32_t k = 0; k < width; k++)
			h = mix_double(h, f->value[(size_t)i * (size_t)width + (size_t)k]);
		return h;
	}
	h = mix_double(mix(h, (uint32_t)f->feature[i]), f->threshold[i]);
	h = mix(mix(h, (uint32_t)s->same[f->yes[i]]), (uint32_t)s->same[f->no[i]]);
	return mix(h, (uint32_t)s->same[f->missing[i]]);
}

static bool
are_equal(const Store *s, int32_t p, int32_t q)
{
	const Forest *f = s->f;
	size_t width = (size_t)f->t->width;

	if (f->mode[p] != f->mode[q])
		return false;
	if (is_leaf(f, p))
		return f->target[p] == f->target[q] &&
		       memcmp(f->value + (size_t)p * width, f->value + (size_t)q * width,
		              width * sizeof *f->value) == 0;
	return f->feature[p] == f->feature[q] && s->same[f->yes[p]] == s->same[f->yes[q]] &&
	       memcmp(&f->threshold[p], &f->threshold[q], sizeof *f->threshold) == 0 &&
	       s->same[f->no[p]] == s->same[f->no[q]] &&
	       s->same[f->missing[p]] == s->same[f->missing[q]];
}

/* Children have greater numbers than their parents, in a copy and when it was pruned. */
static void
find_equal(Store *s)
{
	const Forest *f = s->f;

	s->nslots = 64;
	while (s->nslots < 2 * f->nodes)
		s->nslots *= 2;
	s->slot = ARENA_ARRAY(s->a, int32_t, s->nslots);
	s->same = ARENA_ARRAY(s->a, int32_t, f->nodes);
	for (int32_t i = f->nodes - 1; i >= 0; i--) {
		uint32_t at;

		s->same[i] = i;
		if (!is_leaf(f, i) && s->same[f->yes[i]] == s->same[f->no[i]] &&
		    s->same[f->yes[i]] == s->same[f->missing[i]]) {
			s->same[i] = s->same[f->yes[i]];
			continue;
		}
		at = hash_node(s, i) & ((uint32_t)s->nslots - 1);
		while (s->slot[at] && !are_equal(s, s->slot[at] - 1, i))
			at = (at + 1) & ((uint32_t)s->nslots - 1);
		if (s->slot[at])
			s->same[i] = s->slot[at] - 1;
		else
			s->slot[at] = i + 1;
	}
}

/* The nodes that are reached, from the roots down; *number is where each one is. */
static int32_t
order_nodes(Store *s, int32_t *order, int32_t *number)
{
	const Forest *f = s->f;
	bool *reached = ARENA_ARRAY(s->a, bool, f->nodes);
	int32_t n = 0;
	VEC(int32_t) todo = {0};

	/* An equal node is the one with the greatest number, so that what it is equal to
	 * stands behind all its parents. */
	for (int32_t i = 0; i < f->trees; i++)
		VEC_PUSH(s->a, &todo, s->same[f->root[i]]);
	while (todo.n > 0) {
		int32_t i = todo.v[--todo.n];

		if (reached[i])
			continue;
		reached[i] = true;
		if (is_leaf(f, i))
			continue;
		VEC_PUSH(s->a, &todo, s->same[f->missing[i]]);
		VEC_PUSH(s->a, &todo, s->same[f->no[i]]);
		VEC_PUSH(s->a, &todo, s->same[f->yes[i]]);
	}
	for (int32_t i = 0; i < f->nodes; i++)
		if (reached[i]) {
			number[i] = n;
			order[n++] = i;
		}
	return n;
}

static void
collect_rows(Store *s, const int32_t *order, int32_t n)
{
	const Forest *f = s->f;
	int32_t width = f->t->width;

	s->row = ARENA_ARRAY(s->a, int32_t, f->nodes);
	for (int32_t i = 0; i < n; i++) {
		int32_t node = order[i];

		if (!is_leaf(f, node))
			continue;
		s->row[node] = s->target.n;
		VEC_PUSH(s->a, &s->target, f->target[node]);
		for (int32_t k = 0; k < width; k++)
			VEC_PUSH(s->a, &s->value, f->value[(size_t)node * (size_t)width + (size_t)k]);
	}
}

static void
set_vector(Graph *g, Node *n, int input, const char *name, DType t, int32_t count, const double *v)
{
	void *data = arena_calloc(g->arena, (size_t)count, (size_t)dtype_info[t].bytes);

	for (int32_t i = 0; i < count; i++)
		num_store(t, data, (size_t)i, v[i]);
	node_set_input(n, input, graph_const(g, name, type_make(t, 1, &count), data));
}

static void
set_ints(Graph *g, Node *n, int input, const char *name, int32_t count, int32_t *v)
{
	int32_t *data = arena_copy(g->arena, v, (size_t)count * sizeof *v);

	node_set_input(n, input, graph_const(g, name, type_make(DT_I32, 1, &count), data));
}

static void
set_values(Store *s, Graph *g, Node *n, DType type)
{
	int32_t shape[2] = {s->target.n, s->f->t->width};
	void *data = arena_calloc(g->arena, (size_t)s->value.n, (size_t)dtype_info[type].bytes);

	for (int32_t i = 0; i < s->value.n; i++)
		num_store(type, data, (size_t)i, s->value.v[i]);
	node_set_input(n, TREES_VALUE, graph_const(g, "value", type_make(type, 2, shape), data));
	if (n->nins > TREES_TARGET && n->in[TREES_TARGET])
		set_ints(g, n, TREES_TARGET, "target", s->target.n, s->target.v);
}

void
forest_store(const Forest *f, Graph *g, Node *n, DType value)
{
	Arena *a = arena_child(g->arena);
	Store s = {.f = f, .a = a};
	int32_t *order = ARENA_ARRAY(a, int32_t, f->nodes), *number = ARENA_ARRAY(a, int32_t, f->nodes);
	int32_t *feature, *yes, *no, *missing, *root = ARENA_ARRAY(a, int32_t, f->trees), count;
	double *threshold;
	uint8_t *mode;

	find_equal(&s);
	count = order_nodes(&s, order, number);
	collect_rows(&s, order, count);
	feature = ARENA_ARRAY(a, int32_t, count);
	yes = ARENA_ARRAY(a, int32_t, count);
	no = ARENA_ARRAY(a, int32_t, count);
	missing = ARENA_ARRAY(a, int32_t, count);
	threshold = ARENA_ARRAY(a, double, count);
	mode = ARENA_ARRAY(g->arena, uint8_t, count);
	for (int32_t k = 0; k < count; k++) {
		int32_t i = order[k];
		bool leaf = is_leaf(f, i);

		mode[k] = f->mode[i];
		feature[k] = leaf ? 0 : f->feature[i];
		threshold[k] = leaf ? 0 : f->threshold[i];
		yes[k] = leaf ? s.row[i] : number[s.same[f->yes[i]]];
		no[k] = leaf ? 0 : number[s.same[f->no[i]]];
		missing[k] = leaf ? 0 : number[s.same[f->missing[i]]];
	}
	for (int32_t i = 0; i < f->trees; i++)
		root[i] = number[s.same[f->root[i]]];
	set_vector(g, n, TREES_THRESHOLD, "threshold", f->t->threshold->type.dtype, count, threshold);
	set_ints(g, n, TREES_FEATURE, "feature", count, feature);
	set_ints(g, n, TREES_YES, "yes", count, yes);
	set_ints(g, n, TREES_NO, "no", count, no);
	set_ints(g, n, TREES_MISSING, "missing", count, missing);
	set_ints(g, n, TREES_ROOT, "root", f->trees, root);
	node_set_input(n, TREES_MODE, graph_const(g, "mode", type_make(DT_U8, 1, &count), mode));
	set_values(&s, g, n, value);
	arena_free(a);
}
