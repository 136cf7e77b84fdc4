/*
 * Behind the walks of `trees`: from the place where a walk ended to the result.
 */
#include "ir/num.h"
#include "ir/ops/trees.h"

DType
trees_small_type(int64_t most)
{
	return most <= UINT8_MAX ? DT_U8 : most <= UINT16_MAX ? DT_U16 : DT_I32;
}

LBuf *
trees_typed_table(LowerCtx *cx, const char *name, DType t, int32_t n, const int32_t *v)
{
	void *data = arena_calloc(cx->arena, (size_t)n, (size_t)dtype_info[t].bytes);

	for (int32_t i = 0; i < n; i++)
		num_store_int(t, data, (size_t)i, v[i]);
	return loop_buf(&cx->b, name, t, n, LBUF_TABLE, data);
}

LBuf *
trees_int_table(LowerCtx *cx, const char *name, int32_t n, const int32_t *v)
{
	int32_t most = 0;

	for (int32_t i = 0; i < n; i++)
		most = v[i] > most ? v[i] : most;
	return trees_typed_table(cx, name, trees_small_type(most), n, v);
}

/* ---- Targets ---- */

/* Walks with a list of its own: conditions may be nested too deep for the stack. */
static bool
has_one_target(Arena *a, const Trees *t, int32_t root, int32_t *target)
{
	VEC(int32_t) todo = {0};

	VEC_PUSH(a, &todo, root);
	while (todo.n > 0) {
		int32_t i = todo.v[--todo.n], to;

		if (trees_mode(t, i) != TREE_LEAF) {
			VEC_PUSH(a, &todo, t->no[i]);
			VEC_PUSH(a, &todo, t->yes[i]);
			if (t->missing[i] != t->yes[i] && t->missing[i] != t->no[i])
				VEC_PUSH(a, &todo, t->missing[i]);
			continue;
		}
		to = t->target[t->yes[i]];
		if (*target >= 0 && *target != to)
			return false;
		*target = to;
	}
	return true;
}

int32_t
trees_only_target(Arena *a, const Trees *t, int32_t tree)
{
	int32_t target = -1;

	if (t->width != 1)
		return -1;
	if (!t->target)
		return 0;
	return has_one_target(a, t, t->root[tree], &target) ? target : -1;
}

/* The target of each tree; NULL when one has several. */
static int32_t *
targets_of_trees(Arena *a, const Trees *t)
{
	int32_t *target = ARENA_ARRAY(a, int32_t, t->trees);

	for (int32_t i = 0; i < t->trees; i++) {
		target[i] = trees_only_target(a, t, i);
		if (target[i] < 0)
			return NULL;
	}
	return target;
}

/* Trees that serve the outputs in turn need no table. */
static bool
is_in_turn(const Trees *t, const int32_t *target)
{
	for (int32_t i = 0; i < t->trees; i++)
		if (target[i] != i % t->outputs)
			return false;
	return true;
}

static void
find_targets(TreeSum *s)
{
	const Trees *t = s->t;
	int32_t *target;

	if (!t->target || t->outputs == t->width)
		return;
	target = targets_of_trees(s->cx->arena, t);
	if (target && is_in_turn(t, target)) {
		s->period = t->outputs;
		s->of_tree = true;
	} else if (target) {
		s->target = trees_int_table(s->cx, "target", t->trees, target);
		s->of_tree = true;
	} else {
		s->target = trees_int_table(s->cx, "target", t->leaves, t->target);
	}
}

/* ---- Values ---- */

/* Bytes of values at the places themselves. */
static int64_t
direct_bytes(const Trees *t, int64_t places)
{
	return places * t->width * dtype_info[t->value->type.dtype].bytes;
}

static int64_t
indirect_bytes(const Trees *t, int64_t places)
{
	return places * dtype_info[trees_small_type(t->leaves - 1)].bytes +
	       direct_bytes(t, t->leaves);
}

static bool
is_direct(const Trees *t, bool of_tree, int64_t places, bool fast)
{
	int64_t direct = direct_bytes(t, places);

	if (t->target && t->outputs != t->width && !of_tree)
		return false;
	return direct <= indirect_bytes(t, places) || (fast && t->width == 1);
}

int64_t
trees_sum_bytes(Arena *a, const Trees *t, int32_t places, bool fast)
{
	bool many = t->target && t->outputs != t->width;
	int32_t *target = many ? targets_of_trees(a, t) : NULL;
	int64_t bytes = is_direct(t, target != NULL, places, fast) ? direct_bytes(t, places)
	                                                           : indirect_bytes(t, places);

	if (many && !target)
		bytes += t->leaves * dtype_info[trees_small_type(t->outputs - 1)].bytes;
	else if (many && !is_in_turn(t, target))
		bytes += t->trees * dtype_info[trees_small_type(t->outputs - 1)].bytes;
	return bytes;
}

static LBuf *
values_by_place(TreeSum *s, const int32_t *row_at, int32_t places)
{
	const Trees *t = s->t;
	DType type = t->value->type.dtype;
	size_t row = (size_t)t->width * (size_t)dtype_info[type].bytes;
	unsigned char *data = arena_calloc(s->cx->arena, (size_t)places, row);
	const unsigned char *from = t->value->data;

	for (int32_t i = 0; i < places; i++)
		for (size_t k = 0; k < row; k++)
			data[(size_t)i * row + k] = from[(size_t)row_at[i] * row + k];
	return loop_buf(&s->cx->b, "value", type, places * t->width, LBUF_TABLE, data);
}

TreeSum
trees_sum(LowerCtx *cx, const Node *n, const Trees *t, const int32_t *row_at, int32_t places,
          bool fast)
{
	TreeSum s = {.cx = cx, .n = n, .t = t};

	find_targets(&s);
	if (is_direct(t, s.of_tree, places, fast)) {
		s.value = values_by_place(&s, row_at, places);
	} else {
		s.value = cx->in[TREES_VALUE];
		s.row = trees_int_table(cx, "row", places, row_at);
	}
	return s;
}

/* ---- The result ---- */

void
trees_sum_begin(TreeSum *s, Expr *out_row)
{
	LBuilder *b = &s->cx->b;

	s->out = lower_let(s->cx, "out", out_row);
	if (s->t->outputs == 1)
		s->sum = loop_var(b, "sum", trees_base(s->cx, s->n, s->out, loop_idx(b, 0)));
	else
		trees_store_base(s->cx, s->n, s->out);
}

void
trees_sum_end(TreeSum *s)
{
	if (s->sum)
		loop_store(&s->cx->b, s->cx->out[0], s->out, loop_get(&s->cx->b, s->sum));
}

/* Where the values of the row go. */
static Expr *
first_output(TreeSum *s, Expr *row, Expr *tree)
{
	LBuilder *b = &s->cx->b;

	if (s->period && tree->kind == E_CONST)
		return loop_affine(b, s->out, 1, tree->u.i % s->period);
	if (s->period)
		return loop_add(b, s->out, loop_op2(b, KOP_REM, tree, loop_idx(b, s->period)));
	if (!s->target)
		return s->out;
	return loop_add(b, s->out, loop_cvt(b, DT_IDX,
	                                    loop_load(b, s->target, s->of_tree ? tree : row)));
}

void
trees_sum_add(TreeSum *s, Expr *place, Expr *tree)
{
	const Attr_TREES *a = s->n->attr;
	LBuilder *b = &s->cx->b;
	LBuf *y = s->cx->out[0];
	int depth = b->depth;
	Expr *row = place, *first, *k, *v, *to;

	if (s->row)
		row = lower_let(s->cx, "leaf", loop_cvt(b, DT_IDX, loop_load(b, s->row, place)));
	if (s->sum) {
		v = loop_load_compute(b, s->value, row);
		loop_set(b, s->sum, trees_take_in(b, a->aggregate, loop_get(b, s->sum), v));
		return;
	}
	row = lower_let(s->cx, "leaf", row);
	first = lower_let(s->cx, "first", first_output(s, row, tree));
	k = lower_for(s->cx, "k", s->t->width);
	v = loop_load_compute(b, s->value, loop_add(b, loop_affine(b, row, s->t->width, 0), k));
	to = loop_add(b, first, k);
	loop_store(b, y, to, trees_take_in(b, a->aggregate, loop_load(b, y, to), v));
	lower_end_to(s->cx, depth);
}
