/*
 * Operators that move elements to places known at compile time.
 *
 * Elements are copied as they are, of any type.  Most of these operators are one
 * strided copy: see Move.
 */
#include <assert.h>
#include <stdlib.h>

#include "ir/lower.h"
#include "ir/ops/infer.h"
#include "ir/ops/move.h"

/* ---- Strided copies ---- */

void
move_axis(Move *m, int32_t length, int32_t from, int32_t to)
{
	assert(m->n < (int)(sizeof m->axis / sizeof m->axis[0]));
	if (length == 1)
		return;
	m->axis[m->n].length = length;
	m->axis[m->n].from = from;
	m->axis[m->n++].to = to;
}

/* Joins neighbouring axes that are one in both tensors. */
static void
join_axes(Move *m)
{
	int last = 0;

	for (int i = 1; i < m->n; i++) {
		int64_t length = m->axis[i].length;

		if (m->axis[last].from == m->axis[i].from * length &&
		    m->axis[last].to == m->axis[i].to * length) {
			m->axis[last].length *= m->axis[i].length;
			m->axis[last].from = m->axis[i].from;
			m->axis[last].to = m->axis[i].to;
		} else {
			m->axis[++last] = m->axis[i];
		}
	}
	if (m->n > 0)
		m->n = last + 1;
}

static Expr *
step(LBuilder *b, Expr *index, Expr *at, int32_t stride)
{
	Expr *offset = loop_mul(b, at, loop_idx(b, abs(stride)));

	return stride < 0 ? loop_sub(b, index, offset) : loop_add(b, index, offset);
}

void
lower_move(LowerCtx *cx, LBuf *in, LBuf *out, Move m)
{
	LBuilder *b = &cx->b;
	Expr *from = loop_idx(b, m.from), *to = loop_idx(b, m.to);

	for (int i = 0; i < m.n; i++)
		if (m.axis[i].length == 0)
			return;
	join_axes(&m);
	for (int i = 0; i < m.n; i++) {
		const char *name = m.n == 1 ? "i" : arena_printf(cx->arena, "i%d", i);
		Expr *at = loop_for(b, name, 0, m.axis[i].length);

		from = step(b, from, at, m.axis[i].from);
		to = step(b, to, at, m.axis[i].to);
	}
	loop_store(b, out, to, loop_load(b, in, from));
	for (int i = 0; i < m.n; i++)
		loop_end(b);
}

void
lower_copy_all(LowerCtx *cx, LBuf *in, LBuf *out)
{
	Move m = {0};

	move_axis(&m, out->count, 1, 1);
	lower_move(cx, in, out, m);
}

void
lower_copy(LowerCtx *cx, const Node *n)
{
	(void)n;
	lower_copy_all(cx, cx->in[0], cx->out[0]);
}

/* ---- Reshape, transpose ---- */

bool
infer_reshape(const Node *n, Type *out, Diag *d)
{
	const Attr_RESHAPE *a = n->attr;
	const Type *t = &n->in[0]->type;

	out[0].dtype = t->dtype;
	for (int i = 0; i < a->shape.n; i++)
		if (!push_dim(n, d, &out[0], a->shape.v[i]))
			return false;
	/* A type that is too large is reported by node_infer(). */
	if (type_is_representable(&out[0]) && type_numel(&out[0]) != type_numel(t))
		return bad_input(n, d, E_SHAPE, 0, "cannot be reshaped to %s",
		                 type_text(d->arena, &out[0]));
	return true;
}

bool
infer_transpose(const Node *n, Type *out, Diag *d)
{
	const Attr_TRANSPOSE *a = n->attr;
	const Type *t = &n->in[0]->type;
	unsigned seen = 0;

	if (!check_ints(n, d, "perm", &a->perm, t->rank, 0, t->rank - 1))
		return false;
	out[0] = *t;
	for (int i = 0; i < t->rank; i++) {
		seen |= 1u << a->perm.v[i];
		out[0].dim[i] = t->dim[a->perm.v[i]];
	}
	if (seen != (1u << t->rank) - 1)
		return bad_attribute(n, d, "perm", "not a permutation");
	return true;
}

void
lower_transpose(LowerCtx *cx, const Node *n)
{
	const Attr_TRANSPOSE *a = n->attr;
	const Type *t = &n->out[0]->type;
	int32_t from[MAX_RANK], to[MAX_RANK];
	Move m = {0};

	type_strides(&n->in[0]->type, from);
	type_strides(t, to);
	for (int i = 0; i < t->rank; i++)
		move_axis(&m, t->dim[i], from[a->perm.v[i]], to[i]);
	lower_move(cx, cx->in[0], cx->out[0], m);
}

/* ---- Slice, concat ---- */

bool
infer_slice(const Node *n, Type *out, Diag *d)
{
	const Attr_SLICE *a = n->attr;
	const Type *t = &n->in[0]->type;

	if (!check_ints(n, d, "sizes", &a->sizes, t->rank, 0, INT32_MAX) ||
	    !check_ints(n, d, "starts", &a->starts, t->rank, INT64_MIN, INT64_MAX) ||
	    !check_ints(n, d, "steps", &a->steps, t->rank, INT64_MIN, INT64_MAX))
		return false;
	out[0] = *t;
	for (int i = 0; i < t->rank; i++) {
		int64_t size = a->sizes.v[i], start = a->starts.v[i], step = a->steps.v[i];

		out[0].dim[i] = (int32_t)size;
		if (size > 0 && !check_range(n, d, "starts", start, 0, t->dim[i] - 1))
			return false;
		if (size <= 1)
			continue;
		if (!check_range(n, d, "steps", step, -t->dim[i], t->dim[i]))
			return false;
		start += step * (size - 1);
		if (start < 0 || start >= t->dim[i])
			return bad_input(n, d, E_SHAPE, 0, "the slice leaves axis %d", i);
	}
	return true;
}

void
lower_slice(LowerCtx *cx, const Node *n)
{
	const Attr_SLICE *a = n->attr;
	const Type *t = &n->out[0]->type;
	int32_t from[MAX_RANK], to[MAX_RANK];
	Move m = {0};

	type_strides(&n->in[0]->type, from);
	type_strides(t, to);
	for (int i = 0; i < t->rank; i++) {
		m.from += (int32_t)a->starts.v[i] * from[i];
		if (t->dim[i] > 1)
			move_axis(&m, t->dim[i], (int32_t)a->steps.v[i] * from[i], to[i]);
	}
	lower_move(cx, cx->in[0], cx->out[0], m);
}

bool
infer_concat(const Node *n, Type *out, Diag *d)
{
	const Attr_CONCAT *a = n->attr;
	int64_t length = 0;

	out[0] = n->in[0]->type;
	if (!check_axis(n, d, "axis", a->axis, out[0].rank) || !check_dtypes(n, d, SET_ANY))
		return false;
	for (int i = 0; i < n->nins; i++) {
		if (!n->in[i])
			return bad_input(n, d, E_ARITY, i, "missing");
		if (!check_rank(n, d, i, out[0].rank, out[0].rank))
			return false;
		for (int k = 0; k < out[0].rank; k++)
			if (k != a->axis && !check_dim(n, d, i, k, out[0].dim[k]))
				return false;
		length += n->in[i]->type.dim[a->axis];
	}
	if (length > INT32_MAX)
		return bad_attribute(n, d, "axis", "the output would have length %lld",
		                     (long long)length);
	out[0].dim[a->axis] = (int32_t)length;
	return true;
}

void
lower_concat(LowerCtx *cx, const Node *n)
{
	const Attr_CONCAT *a = n->attr;
	const Type *t = &n->out[0]->type;
	int axis = (int)a->axis;
	int32_t before = type_product(t, 0, axis), after = type_product(t, axis + 1, t->rank);
	int32_t start = 0;

	for (int i = 0; i < n->nins; i++) {
		int32_t block = n->in[i]->type.dim[axis] * after;
		Move m = {.to = start};

		move_axis(&m, before, block, t->dim[axis] * after);
		move_axis(&m, block, 1, 1);
		lower_move(cx, cx->in[i], cx->out[0], m);
		start += block;
	}
}

/* ---- Expand, tile ---- */

bool
infer_expand(const Node *n, Type *out, Diag *d)
{
	const Attr_EXPAND *a = n->attr;

	out[0].dtype = n->in[0]->type.dtype;
	for (int i = 0; i < a->shape.n; i++)
		if (!push_dim(n, d, &out[0], a->shape.v[i]))
			return false;
	return check_broadcasts_to(n, d, 0, &out[0]);
}

void
lower_expand(LowerCtx *cx, const Node *n)
{
	const Type *t = &n->out[0]->type, *in = &n->in[0]->type;
	int32_t from[MAX_RANK], to[MAX_RANK];
	Move m = {0};

	type_strides(in, from);
	type_strides(t, to);
	for (int i = 0; i < t->rank; i++) {
		int k = i - (t->rank - in->rank);

		move_axis(&m, t->dim[i], k < 0 || in->dim[k] == 1 ? 0 : from[k], to[i]);
	}
	lower_move(cx, cx->in[0], cx->out[0], m);
}

bool
infer_tile(const Node *n, Type *out, Diag *d)
{
	const Attr_TILE *a = n->attr;
	const Type *t = &n->in[0]->type;

	if (!check_ints(n, d, "repeats", &a->repeats, t->rank, 0, INT32_MAX))
		return false;
	out[0].dtype = t->dtype;
	for (int i = 0; i < t->rank; i++)
		if (!push_dim(n, d, &out[0], t->dim[i] * a->repeats.v[i]))
			return false;
	return true;
}

void
lower_tile(LowerCtx *cx, const Node *n)
{
	const Attr_TILE *a = n->attr;
	const Type *in = &n->in[0]->type;
	int32_t from[MAX_RANK], to[MAX_RANK];
	Move m = {0};

	type_strides(in, from);
	type_strides(&n->out[0]->type, to);
	for (int i = 0; i < in->rank; i++) {
		move_axis(&m, (int32_t)a->repeats.v[i], 0, to[i] * in->dim[i]);
		move_axis(&m, in->dim[i], from[i], to[i]);
	}
	lower_move(cx, cx->in[0], cx->out[0], m);
}

/* ---- Pad ---- */

bool
infer_pad(const Node *n, Type *out, Diag *d)
{
	const Attr_PAD *a = n->attr;
	const Type *t = &n->in[0]->type;

	if (!check_ints(n, d, "pads", &a->pads, 2 * t->rank, -INT32_MAX, INT32_MAX) ||
	    !check_same_dtype(n, d, 1))
		return false;
	if (n->nins > 1 && n->in[1] && type_numel(&n->in[1]->type) != 1)
		return bad_input(n, d, E_SHAPE, 1, "must be one number");
	out[0].dtype = t->dtype;
	for (int i = 0; i < t->rank; i++) {
		int64_t length = t->dim[i] + a->pads.v[i] + a->pads.v[t->rank + i];

		if (!push_dim(n, d, &out[0], length))
			return false;
		if (a->mode != PAD_constant && t->dim[i] == 0 && length > 0)
			return bad_input(n, d, E_SHAPE, 0, "axis %d has nothing to pad with", i);
	}
	return true;
}

static void
fill(LowerCtx *cx, LBuf *out, LBuf *value)
{
	LBuilder *b = &cx->b;
	Expr *i = loop_for(b, "i", 0, out->count);

	loop_store(b, out, i,
	           value ? loop_load(b, value, loop_idx(b, 0)) : loop_const(b, out->elem, 0));
	loop_end(b);
}

/* Fills the output, then copies what is left of the input to its place. */
static void
pad_constant(LowerCtx *cx, const Node *n)
{
	const Attr_PAD *a = n->attr;
	const Type *t = &n->out[0]->type, *in = &n->in[0]->type;
	int32_t from[MAX_RANK], to[MAX_RANK];
	bool whole = true;
	Move m = {0};

	type_strides(in, from);
	type_strides(t, to);
	for (int i = 0; i < t->rank; i++) {
		int32_t begin = (int32_t)a->pads.v[i], crop = begin < 0 ? -begin : 0;
		int32_t skip = begin > 0 ? begin : 0;
		int32_t length = in->dim[i] - crop, room = t->dim[i] - skip;

		if (length > room)
			length = room;
		if (length < 0)
			length = 0;
		if (length < t->dim[i])
			whole = false;
		if (length > 0) {
			m.from += crop * from[i];
			m.to += skip * to[i];
		}
		move_axis(&m, length, from[i], to[i]);
	}
	if (!whole)
		fill(cx, cx->out[0], n->nins > 1 ? cx->in[1] : NULL);
	lower_move(cx, cx->in[0], cx->out[0], m);
}

/* Where element `at` of the padded axis comes from; `begin` is negative to crop. */
static Expr *
source(LBuilder *b, PadMode mode, Expr *at, int32_t begin, int32_t end, int32_t length)
{
	int64_t last = length - 1, period = 2 * last;
	Expr *i;

	if (mode == PAD_wrap) {
		int32_t shift = begin > 0 ? (length - begin % length) % length : -begin;

		return loop_op2(b, KOP_REM, loop_affine(b, at, 1, shift), loop_idx(b, length));
	}
	i = loop_affine(b, at, 1, -begin);
	if (mode == PAD_edge || last == 0)
		return loop_op2(b, KOP_MIN, loop_op2(b, KOP_MAX, i, loop_idx(b, 0)),
		                loop_idx(b, last));
	/* last - |last - |i|| is i reflected at both ends, once. */
	if (begin > 0)
		i = loop_op1(b, KOP_ABS, i);
	if (begin > period || end > last)
		i = loop_op2(b, KOP_REM, i, loop_idx(b, period));
	return loop_sub(b, loop_idx(b, last),
	                loop_op1(b, KOP_ABS, loop_sub(b, loop_idx(b, last), i)));
}

void
lower_pad(LowerCtx *cx, const Node *n)
{
	const Attr_PAD *a = n->attr;
	const Type *t = &n->out[0]->type, *in = &n->in[0]->type;
	LBuilder *b = &cx->b;
	Expr *at[MAX_RANK], *from[MAX_RANK];

	if (a->mode == PAD_constant) {
		pad_constant(cx, n);
		return;
	}
	lower_loops(cx, t, "i", at);
	for (int i = 0; i < t->rank; i++) {
		int32_t begin = (int32_t)a->pads.v[i], end = (int32_t)a->pads.v[t->rank + i];

		from[i] = begin || end ? source(b, a->mode, at[i], begin, end, in->dim[i]) : at[i];
	}
	loop_store(b, cx->out[0], lower_index(cx, t, at),
	           loop_load(b, cx->in[0], lower_index(cx, in, from)));
	lower_end_loops(cx, t);
}

/* ---- Triangles, reversed sequences ---- */

bool
infer_trilu(const Node *n, Type *out, Diag *d)
{
	out[0] = n->in[0]->type;
	return check_rank(n, d, 0, 2, MAX_RANK);
}

void
lower_trilu(LowerCtx *cx, const Node *n)
{
	const Attr_TRILU *a = n->attr;
	LBuilder *b = &cx->b;
	const Type *t = &n->out[0]->type;
	int64_t k = a->k < -INT32_MAX ? -INT32_MAX : a->k > INT32_MAX ? INT32_MAX : a->k;
	Expr *at[MAX_RANK], *diagonal, *index;

	lower_loops(cx, t, "i", at);
	diagonal = loop_sub(b, at[t->rank - 1], at[t->rank - 2]);
	index = lower_index(cx, t, at);
	loop_if(b, loop_op2(b, a->upper ? KOP_GE : KOP_LE, diagonal, loop_idx(b, k)));
	loop_store(b, cx->out[0], index, loop_load(b, cx->in[0], index));
	loop_else(b);
	loop_store(b, cx->out[0], index, loop_const(b, t->dtype, 0));
	loop_end(b);
	lower_end_loops(cx, t);
}

bool
infer_reverse_sequence(const Node *n, Type *out, Diag *d)
{
	const Attr_REVERSE_SEQUENCE *a = n->attr;
	int rank = n->in[0]->type.rank;

	out[0] = n->in[0]->type;
	if (!check_axis(n, d, "batch_axis", a->batch_axis, rank) ||
	    !check_axis(n, d, "time_axis", a->time_axis, rank))
		return false;
	if (a->batch_axis == a->time_axis)
		return bad_attribute(n, d, "time_axis", "must differ from batch_axis");
	return check_dtype(n, d, 1, SET_INDICES) &&
	       check_vector(n, d, 1, out[0].dim[a->batch_axis]);
}

void
lower_reverse_sequence(LowerCtx *cx, const Node *n)
{
	const Attr_REVERSE_SEQUENCE *a = n->attr;
	LBuilder *b = &cx->b;
	const Type *t = &n->out[0]->type;
	Expr *at[MAX_RANK], *to, *length, *time, *mirrored;

	lower_loops(cx, t, "i", at);
	to = lower_index(cx, t, at);
	time = at[a->time_axis];
	length = loop_let(b, "length",
	                  loop_clamp_idx(b, loop_load(b, cx->in[1], at[a->batch_axis]), 0,
	                                 t->dim[a->time_axis]));
	/* The maximum changes nothing where the mirrored time is taken. */
	mirrored = loop_op2(b, KOP_MAX, loop_sub(b, loop_affine(b, length, 1, -1), time),
	                    loop_idx(b, 0));
	at[a->time_axis] = loop_let(
		b, "from", loop_select(b, loop_op2(b, KOP_LT, time, length), mirrored, time));
	loop_store(b, cx->out[0], to, loop_load(b, cx->in[0], lower_index(cx, t, at)));
	lower_end_loops(cx, t);
}

/* ---- Blocks between channels and space ---- */

/* 1 <= block with a square that fits, input [N, C, H, W]. */
static bool
check_block(const Node *n, Diag *d, int64_t block)
{
	return check_rank(n, d, 0, 4, 4) && check_range(n, d, "block", block, 1, INT16_MAX);
}

bool
infer_depth_to_space(const Node *n, Type *out, Diag *d)
{
	const Attr_DEPTH_TO_SPACE *a = n->attr;
	const Type *t = &n->in[0]->type;

	if (!check_block(n, d, a->block))
		return false;
	if (t->dim[1] % (a->block * a->block) != 0)
		return bad_attribute(n, d, "block", "its square does not divide %d channels",
		                     t->dim[1]);
	out[0].dtype = t->dtype;
	return push_dim(n, d, &out[0], t->dim[0]) &&
	       push_dim(n, d, &out[0], t->dim[1] / (a->block * a->block)) &&
	       push_dim(n, d, &out[0], t->dim[2] * a->block) &&
	       push_dim(n, d, &out[0], t->dim[3] * a->block);
}

bool
infer_space_to_depth(const Node *n, Type *out, Diag *d)
{
	const Attr_SPACE_TO_DEPTH *a = n->attr;
	const Type *t = &n->in[0]->type;

	if (!check_block(n, d, a->block))
		return false;
	if (t->dim[2] % a->block != 0 || t->dim[3] % a->block != 0)
		return bad_attribute(n, d, "block", "does not divide %d times %d", t->dim[2],
		                     t->dim[3]);
	out[0].dtype = t->dtype;
	return push_dim(n, d, &out[0], t->dim[0]) &&
	       push_dim(n, d, &out[0], t->dim[1] * a->block * a->block) &&
	       push_dim(n, d, &out[0], t->dim[2] / a->block) &&
	       push_dim(n, d, &out[0], t->dim[3] / a->block);
}

static Ints
copy_ints(Graph *g, int n, const int64_t *v)
{
	return (Ints){n, arena_copy(g->arena, v, (size_t)n * sizeof *v)};
}

/* Six axes, permuted, then seen in the shape of n's output. */
static void
expand_to_transpose(Graph *g, Node *n, const int64_t shape[6], const int64_t perm[6])
{
	const Type *t = &n->out[0]->type;
	const int64_t last[4] = {t->dim[0], t->dim[1], t->dim[2], t->dim[3]};
	Node *split = graph_insert(g, n, OP_RESHAPE, 1, n->in, 1, NULL);
	Node *turn = graph_insert(g, n, OP_TRANSPOSE, 1, split->out, 1, NULL);
	Node *join = graph_insert(g, n, OP_RESHAPE, 1, turn->out, 1, NULL);

	((Attr_RESHAPE *)split->attr)->shape = copy_ints(g, 6, shape);
	((Attr_TRANSPOSE *)turn->attr)->perm = copy_ints(g, 6, perm);
	((Attr_RESHAPE *)join->attr)->shape = copy_ints(g, 4, last);
	expand_infer(g, split);
	expand_infer(g, turn);
	expand_infer(g, join);
	graph_replace_uses(g, n->out[0], join->out[0]);
}

/* dcr: depth, column, row is the order of the blocks in the channels; crd: column, row, depth. */
void
expand_depth_to_space(Graph *g, Node *n)
{
	const Attr_DEPTH_TO_SPACE *a = n->attr;
	const Type *t = &n->in[0]->type;
	int64_t b = a->block, c = t->dim[1] / (b * b);

	if (a->order == BLOCK_dcr)
		expand_to_transpose(g, n, (int64_t[]){t->dim[0], b, b, c, t->dim[2], t->dim[3]},
		                    (int64_t[]){0, 3, 4, 1, 5, 2});
	else
		expand_to_transpose(g, n, (int64_t[]){t->dim[0], c, b, b, t->dim[2], t->dim[3]},
		                    (int64_t[]){0, 1, 4, 2, 5, 3});
}

void
expand_space_to_depth(Graph *g, Node *n)
{
	const Attr_SPACE_TO_DEPTH *a = n->attr;
	const Type *t = &n->in[0]->type;
	int64_t b = a->block;

	expand_to_transpose(g, n,
	                    (int64_t[]){t->dim[0], t->dim[1], t->dim[2] / b, b, t->dim[3] / b, b},
	                    (int64_t[]){0, 3, 5, 1, 2, 4});
}
