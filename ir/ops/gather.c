/*
 * Operators that move elements to or from places that indices name at run time.
 *
 * Negative indices count from the end; then every index is clamped to its axis,
 * so that no access is out of bounds.
 */
#include <assert.h>

#include "ir/lower.h"
#include "ir/ops/infer.h"
#include "ir/ops/move.h"
#include "ir/ops/scalar.h"

/* An index from a buffer, counted from the start of an axis of that length. */
static Expr *
load_raw_index(LBuilder *b, LBuf *indices, Expr *at, int32_t length)
{
	Expr *k = loop_let(b, "k", loop_load(b, indices, at));
	Expr *from_end = loop_add(b, k, loop_int(b, k->type, length));

	return loop_select(b, scalar_compare(b, KOP_LT, k, 0), from_end, k);
}

static Expr *
load_index(LBuilder *b, LBuf *indices, Expr *at, int32_t length)
{
	Expr *k = load_raw_index(b, indices, at, length);

	return loop_let(b, "at", loop_clamp_idx(b, k, 0, length - 1));
}

/* A loop over [0, n) unless n is 1; the number of open loops goes up. */
static Expr *
loop_over(LBuilder *b, const char *name, int32_t n, int *open)
{
	if (n == 1)
		return loop_idx(b, 0);
	++*open;
	return loop_for(b, name, 0, n);
}

static void
end_loops(LBuilder *b, int open)
{
	while (open-- > 0)
		loop_end(b);
}

static bool
has_elements(const Type *t)
{
	return type_numel(t) > 0;
}

/* ---- Gather ---- */

bool
infer_gather(const Node *n, Type *out, Diag *d)
{
	const Attr_GATHER *a = n->attr;
	const Type *t = &n->in[0]->type, *indices = &n->in[1]->type;
	int axis = (int)a->axis;

	if (!check_axis(n, d, "axis", a->axis, t->rank) || !check_dtype(n, d, 1, SET_INDICES))
		return false;
	out[0].dtype = t->dtype;
	if (!push_dims(n, d, &out[0], t, 0, axis) ||
	    !push_dims(n, d, &out[0], indices, 0, indices->rank) ||
	    !push_dims(n, d, &out[0], t, axis + 1, t->rank))
		return false;
	if (t->dim[axis] == 0 && has_elements(indices))
		return bad_input(n, d, E_SHAPE, 0, "axis %d has no elements", axis);
	return true;
}

void
lower_gather(LowerCtx *cx, const Node *n)
{
	const Attr_GATHER *a = n->attr;
	LBuilder *b = &cx->b;
	const Type *t = &n->in[0]->type;
	int axis = (int)a->axis, open = 0;
	int32_t before = type_product(t, 0, axis), after = type_product(t, axis + 1, t->rank);
	int32_t length = t->dim[axis], count = type_numel(&n->in[1]->type);
	Expr *o = loop_over(b, "o", before, &open), *j = loop_over(b, "j", count, &open);
	Expr *at = load_index(b, cx->in[1], j, length), *i = loop_over(b, "i", after, &open);
	Expr *from = loop_add(b, loop_affine(b, o, (int64_t)length * after, 0),
	                      loop_add(b, loop_affine(b, at, after, 0), i));
	Expr *to = loop_add(b, loop_affine(b, o, (int64_t)count * after, 0),
	                    loop_add(b, loop_affine(b, j, after, 0), i));

	loop_store(b, cx->out[0], to, loop_load(b, cx->in[0], from));
	end_loops(b, open);
}

/* The indices fit into the data but along the axis. */
static bool
check_elements(const Node *n, Diag *d, int64_t axis)
{
	const Type *t = &n->in[0]->type, *indices = &n->in[1]->type;

	if (!check_axis(n, d, "axis", axis, t->rank) || !check_dtype(n, d, 1, SET_INDICES) ||
	    !check_rank(n, d, 1, t->rank, t->rank))
		return false;
	for (int i = 0; i < t->rank; i++)
		if (i != axis && indices->dim[i] > t->dim[i])
			return bad_input(n, d, E_SHAPE, 1, "axis %d is longer than that of input 0",
			                 i);
	if (t->dim[axis] == 0 && has_elements(indices))
		return bad_input(n, d, E_SHAPE, 0, "axis %d has no elements", (int)axis);
	return true;
}

bool
infer_gather_elements(const Node *n, Type *out, Diag *d)
{
	const Attr_GATHER_ELEMENTS *a = n->attr;

	out[0] = n->in[1]->type;
	out[0].dtype = n->in[0]->type.dtype;
	return check_elements(n, d, a->axis);
}

void
lower_gather_elements(LowerCtx *cx, const Node *n)
{
	const Attr_GATHER_ELEMENTS *a = n->attr;
	LBuilder *b = &cx->b;
	const Type *t = &n->in[0]->type, *indices = &n->in[1]->type;
	Expr *at[MAX_RANK], *to;

	lower_loops(cx, indices, "i", at);
	to = lower_index(cx, indices, at);
	at[a->axis] = load_index(b, cx->in[1], to, t->dim[a->axis]);
	loop_store(b, cx->out[0], to, loop_load(b, cx->in[0], lower_index(cx, t, at)));
	lower_end_loops(cx, indices);
}

/* ---- Tuples of indices ---- */

/* Indices [.., m]: tuples that name a place in the axes [batch, batch + m) of
 * the data, and so a slice of `size` elements. */
typedef struct {
	int batch, m;
	int32_t batches; /* product of the batch axes */
	int32_t tuples;  /* in each batch */
	int32_t size;
} Tuples;

static bool
check_tuples(const Node *n, Diag *d, int64_t batch)
{
	const Type *t = &n->in[0]->type, *indices = &n->in[1]->type;
	int32_t m;

	if (!check_dtype(n, d, 1, SET_INDICES) || !check_rank(n, d, 1, 1, MAX_RANK) ||
	    !check_range(n, d, "batch_dims", batch, 0, indices->rank - 1) ||
	    !check_range(n, d, "batch_dims", batch, 0, t->rank))
		return false;
	for (int i = 0; i < batch; i++)
		if (!check_dim(n, d, 1, i, t->dim[i]))
			return false;
	m = indices->dim[indices->rank - 1];
	if (m > t->rank - batch)
		return bad_input(n, d, E_SHAPE, 1, "tuples of %d indices are too long", m);
	for (int i = 0; i < m; i++)
		if (t->dim[batch + i] == 0 && has_elements(indices))
			return bad_input(n, d, E_SHAPE, 0, "axis %d has no elements",
			                 (int)batch + i);
	return true;
}

static Tuples
make_tuples(const Node *n, int64_t batch)
{
	const Type *t = &n->in[0]->type, *indices = &n->in[1]->type;
	Tuples s = {.batch = (int)batch, .m = indices->dim[indices->rank - 1]};

	s.batches = type_product(t, 0, s.batch);
	s.tuples = type_product(indices, s.batch, indices->rank - 1);
	s.size = type_product(t, s.batch + s.m, t->rank);
	return s;
}

/* Where the slice that tuple j of batch o names begins. */
static Expr *
slice_start(LowerCtx *cx, const Node *n, const Tuples *s, Expr *o, Expr *j)
{
	LBuilder *b = &cx->b;
	const Type *t = &n->in[0]->type;
	Expr *tuple = loop_add(b, loop_affine(b, o, (int64_t)s->tuples * s->m, 0),
	                       loop_affine(b, j, s->m, 0));
	Expr *start = loop_affine(b, o, type_product(t, s->batch, t->rank), 0);

	for (int i = 0; i < s->m; i++) {
		int axis = s->batch + i;
		Expr *at = load_index(b, cx->in[1], loop_affine(b, tuple, 1, i), t->dim[axis]);

		start = loop_add(b, start,
		                 loop_affine(b, at, type_product(t, axis + 1, t->rank), 0));
	}
	return start;
}

bool
infer_gather_nd(const Node *n, Type *out, Diag *d)
{
	const Attr_GATHER_ND *a = n->attr;
	const Type *t = &n->in[0]->type, *indices = &n->in[1]->type;
	int last = indices->rank - 1;

	if (!check_tuples(n, d, a->batch_dims))
		return false;
	out[0].dtype = t->dtype;
	return push_dims(n, d, &out[0], indices, 0, last) &&
	       push_dims(n, d, &out[0], t, (int)a->batch_dims + indices->dim[last], t->rank);
}

void
lower_gather_nd(LowerCtx *cx, const Node *n)
{
	const Attr_GATHER_ND *a = n->attr;
	LBuilder *b = &cx->b;
	Tuples s = make_tuples(n, a->batch_dims);
	int open = 0;
	Expr *o = loop_over(b, "o", s.batches, &open), *j = loop_over(b, "j", s.tuples, &open);
	Expr *start = slice_start(cx, n, &s, o, j), *i = loop_over(b, "i", s.size, &open);
	Expr *to = loop_add(b, loop_affine(b, o, (int64_t)s.tuples * s.size, 0),
	                    loop_affine(b, j, s.size, 0));

	loop_store(b, cx->out[0], loop_add(b, to, i),
	           loop_load(b, cx->in[0], loop_add(b, start, i)));
	end_loops(b, open);
}

/* ---- Scatter ---- */

static bool
check_reduction(const Node *n, Diag *d, Reduction reduction)
{
	if (n->in[2]->type.dtype != n->in[0]->type.dtype)
		return bad_input(n, d, E_TYPE, 2, "the element type must be %s, as that of input 0",
		                 dtype_info[n->in[0]->type.dtype].name);
	return reduction == REDUCTION_none || check_dtype(n, d, 0, SET_NUMBER);
}

/* y[to] = x2[from], or combined with what is there. */
static void
scatter_one(LowerCtx *cx, Reduction reduction, Expr *to, Expr *from)
{
	LBuilder *b = &cx->b;
	LBuf *y = cx->out[0];
	Expr *old, *new;

	if (reduction == REDUCTION_none) {
		loop_store(b, y, to, loop_load(b, cx->in[2], from));
		return;
	}
	to = scalar_named(b, "to", to);
	old = loop_load_compute(b, y, to);
	new = loop_load_compute(b, cx->in[2], from);
	switch (reduction) {
	case REDUCTION_add: new = loop_add(b, old, new); break;
	case REDUCTION_mul: new = loop_mul(b, old, new); break;
	case REDUCTION_min: new = scalar_min(b, old, new); break;
	case REDUCTION_max: new = scalar_max(b, old, new); break;
	case REDUCTION_none:
	case REDUCTION_COUNT: break;
	}
	loop_store_cvt(b, y, to, new);
}

bool
infer_scatter_elements(const Node *n, Type *out, Diag *d)
{
	const Attr_SCATTER_ELEMENTS *a = n->attr;

	out[0] = n->in[0]->type;
	if (!check_elements(n, d, a->axis) || !check_reduction(n, d, a->reduction))
		return false;
	if (!type_same_shape(&n->in[1]->type, &n->in[2]->type))
		return bad_input(n, d, E_SHAPE, 2, "must have the shape of the indices, %s",
		                 type_text(d->arena, &n->in[1]->type));
	return true;
}

void
lower_scatter_elements(LowerCtx *cx, const Node *n)
{
	const Attr_SCATTER_ELEMENTS *a = n->attr;
	const Type *t = &n->in[0]->type, *indices = &n->in[1]->type;
	Expr *at[MAX_RANK], *from;

	lower_copy_all(cx, cx->in[0], cx->out[0]);
	if (!has_elements(indices))
		return;
	lower_loops(cx, indices, "i", at);
	from = lower_index(cx, indices, at);
	at[a->axis] = load_index(&cx->b, cx->in[1], from, t->dim[a->axis]);
	scatter_one(cx, a->reduction, lower_index(cx, t, at), from);
	lower_end_loops(cx, indices);
}

bool
infer_scatter_nd(const Node *n, Type *out, Diag *d)
{
	const Attr_SCATTER_ND *a = n->attr;
	const Type *t = &n->in[0]->type, *indices = &n->in[1]->type;
	Type updates = {0};
	int last = indices->rank - 1;

	out[0] = *t;
	if (!check_tuples(n, d, 0) || !check_reduction(n, d, a->reduction) ||
	    !push_dims(n, d, &updates, indices, 0, last) ||
	    !push_dims(n, d, &updates, t, indices->dim[last], t->rank))
		return false;
	updates.dtype = t->dtype;
	if (!type_same_shape(&updates, &n->in[2]->type))
		return bad_input(n, d, E_SHAPE, 2, "must be %s", type_text(d->arena, &updates));
	return true;
}

void
lower_scatter_nd(LowerCtx *cx, const Node *n)
{
	const Attr_SCATTER_ND *a = n->attr;
	LBuilder *b = &cx->b;
	Tuples s = make_tuples(n, 0);
	int open = 0;
	Expr *j, *start, *i;

	lower_copy_all(cx, cx->in[0], cx->out[0]);
	if (!has_elements(&n->in[2]->type))
		return;
	j = loop_over(b, "j", s.tuples, &open);
	start = slice_start(cx, n, &s, loop_idx(b, 0), j);
	i = loop_over(b, "i", s.size, &open);
	scatter_one(cx, a->reduction, loop_add(b, start, i),
	            loop_add(b, loop_affine(b, j, s.size, 0), i));
	end_loops(b, open);
}

/* ---- One hot ---- */

bool
infer_one_hot(const Node *n, Type *out, Diag *d)
{
	const Attr_ONE_HOT *a = n->attr;
	const Type *t = &n->in[0]->type;

	if (!check_dtype(n, d, 0, SET_INDICES) || !check_range(n, d, "axis", a->axis, 0, t->rank) ||
	    !check_range(n, d, "depth", a->depth, 0, INT32_MAX) || !check_vector(n, d, 1, 2))
		return false;
	out[0].dtype = n->in[1]->type.dtype;
	return push_dims(n, d, &out[0], t, 0, (int)a->axis) && push_dim(n, d, &out[0], a->depth) &&
	       push_dims(n, d, &out[0], t, (int)a->axis, t->rank);
}

void
lower_one_hot(LowerCtx *cx, const Node *n)
{
	const Attr_ONE_HOT *a = n->attr;
	LBuilder *b = &cx->b;
	Line line = lower_lines(cx, &n->out[0]->type, a->axis), index = line;
	Expr *hot, *d, *is_hot, *which;

	index.length = 1;
	hot = loop_let(b, "hot",
	               load_raw_index(b, cx->in[0], lower_line_index(cx, &index, loop_idx(b, 0)),
	                              line.length));
	d = loop_for(b, "d", 0, line.length);
	is_hot = loop_op2(b, KOP_EQ, hot, loop_cvt(b, hot->type, d));
	which = loop_select(b, is_hot, loop_idx(b, 1), loop_idx(b, 0));
	loop_store(b, cx->out[0], lower_line_index(cx, &line, d), loop_load(b, cx->in[1], which));
	loop_end(b);
	lower_end_lines(cx, &line);
}
