/*
 * Normalisation: batch, instance, group, layer, local response, Lp.
 *
 * Means and variances are taken in two passes, in the compute type.
 */
#include "ir/lower.h"
#include "ir/ops/infer.h"
#include "ir/ops/scalar.h"

/* ---- Batch normalisation ---- */

static int32_t
channels(const Type *t)
{
	return t->rank > 1 ? t->dim[1] : 1;
}

/* Inputs [1, nins) are vectors, one number a channel. */
static bool
check_channel_vectors(const Node *n, Diag *d)
{
	if (!check_dtypes(n, d, SET_FLOAT) || !check_rank(n, d, 0, 1, MAX_RANK))
		return false;
	for (int i = 1; i < n->nins; i++)
		if (!check_vector(n, d, i, channels(&n->in[0]->type)))
			return false;
	return true;
}

bool
infer_batch_norm(const Node *n, Type *out, Diag *d)
{
	out[0] = n->in[0]->type;
	return check_channel_vectors(n, d);
}

static Value *
insert(Graph *g, Node *at, Op op, Value *x, Value *y)
{
	Node *n = graph_insert(g, at, op, y ? 2 : 1, (Value *[]){x, y}, 1, NULL);

	expand_infer(g, n);
	return n->out[0];
}

/* A vector of the channels in the shape that broadcasts to n's input. */
static Value *
insert_channel_shape(Graph *g, Node *n, Value *v)
{
	const Type *t = &n->in[0]->type;
	Attr_RESHAPE *a;
	Node *reshape;
	int64_t *shape;

	if (t->rank <= 2)
		return v;
	shape = ARENA_ARRAY(g->arena, int64_t, t->rank - 1);
	shape[0] = channels(t);
	for (int i = 1; i < t->rank - 1; i++)
		shape[i] = 1;
	reshape = graph_insert(g, n, OP_RESHAPE, 1, &v, 1, NULL);
	a = reshape->attr;
	a->shape = (Ints){t->rank - 1, shape};
	expand_infer(g, reshape);
	return reshape->out[0];
}

/*
 * factor = scale / sqrt(variance + epsilon), offset = bias - mean * factor,
 * y = x * factor + offset: with constant statistics two operations are left.
 */
void
expand_batch_norm(Graph *g, Node *n)
{
	const Attr_BATCH_NORM *a = n->attr;
	Value *x = n->in[0], *scale = n->in[1], *bias = n->in[2], *mean = n->in[3];
	Value *epsilon = graph_const_float(g, NULL, x->type.dtype, a->epsilon), *v, *factor;

	v = insert(g, n, OP_SQRT, insert(g, n, OP_ADD, n->in[4], epsilon), NULL);
	factor = insert(g, n, OP_DIV, scale, v);
	v = insert(g, n, OP_SUB, bias, insert(g, n, OP_MUL, mean, factor));
	x = insert(g, n, OP_MUL, x, insert_channel_shape(g, n, factor));
	x = insert(g, n, OP_ADD, x, insert_channel_shape(g, n, v));
	graph_replace_uses(g, n->out[0], x);
}

/* ---- Mean and deviation of a run of elements ---- */

typedef struct {
	Expr *mean, *inverse; /* 1 / sqrt(variance + epsilon) */
} Moments;

static Expr *
load(LowerCtx *cx, Expr *start, Expr *i)
{
	return loop_load_compute(&cx->b, cx->in[0], loop_add(&cx->b, start, i));
}

/* Of the elements [start, start + length) of input 0. */
static Moments
lower_moments(LowerCtx *cx, Expr *start, int32_t length, double epsilon)
{
	LBuilder *b = &cx->b;
	DType t = dtype_compute(cx->in[0]->elem);
	Expr *count = loop_int(b, t, length), *i, *d, *variance, *root;
	LVar *sum = loop_var(b, "sum", loop_const(b, t, 0)), *squares;
	Moments m;

	i = loop_for(b, "r", 0, length);
	loop_set(b, sum, loop_add(b, loop_get(b, sum), load(cx, start, i)));
	loop_end(b);
	m.mean = loop_let(b, "mean", scalar_div(b, loop_get(b, sum), count));

	squares = loop_var(b, "squares", loop_const(b, t, 0));
	i = loop_for(b, "r", 0, length);
	d = loop_let(b, "d", loop_sub(b, load(cx, start, i), m.mean));
	loop_set(b, squares, loop_add(b, loop_get(b, squares), loop_mul(b, d, d)));
	loop_end(b);
	variance = scalar_div(b, loop_get(b, squares), count);
	root = loop_call1(b, "sqrt", loop_add(b, variance, loop_const(b, t, epsilon)));
	m.inverse = loop_let(b, "inverse", scalar_div(b, loop_const(b, t, 1), root));
	return m;
}

/* ---- Instance and group normalisation ---- */

bool
infer_instance_norm(const Node *n, Type *out, Diag *d)
{
	out[0] = n->in[0]->type;
	return check_channel_vectors(n, d);
}

bool
infer_group_norm(const Node *n, Type *out, Diag *d)
{
	const Attr_GROUP_NORM *a = n->attr;
	int32_t count = channels(&n->in[0]->type);

	out[0] = n->in[0]->type;
	if (!check_channel_vectors(n, d) ||
	    !check_range(n, d, "groups", a->groups, 1, count > 1 ? count : 1))
		return false;
	if (count % a->groups != 0)
		return bad_attribute(n, d, "groups", "does not divide %d channels", count);
	return true;
}

/* y = (x - mean) * (scale * inverse) + bias, with mean and deviation of each of
 * the groups that the channels fall into. */
static void
lower_groups(LowerCtx *cx, const Node *n, int32_t groups, double epsilon)
{
	LBuilder *b = &cx->b;
	const Type *t = &n->in[0]->type;
	int32_t size = t->rank > 2 ? type_product(t, 2, t->rank) : 1; /* of a channel */
	int32_t members = channels(t) / groups;
	Expr *batch = loop_for(b, "n", 0, t->dim[0]);
	Expr *group = loop_for(b, "g", 0, groups), *start, *c, *channel, *i, *factor, *d;
	Moments m;

	start = loop_add(b, loop_affine(b, batch, groups, 0), group);
	start = loop_let(b, "start", loop_affine(b, start, members * size, 0));
	m = lower_moments(cx, start, members * size, epsilon);
	c = members == 1 ? loop_idx(b, 0) : loop_for(b, "c", 0, members);
	channel = loop_add(b, loop_affine(b, group, members, 0), c);
	factor = loop_let(b, "factor",
	                  loop_mul(b, loop_load_compute(b, cx->in[1], channel), m.inverse));
	i = loop_for(b, "i", 0, size);
	i = loop_add(b, loop_affine(b, c, size, 0), i);
	d = loop_mul(b, loop_sub(b, load(cx, start, i), m.mean), factor);
	loop_store_cvt(b, cx->out[0], loop_add(b, start, i),
	               loop_add(b, d, loop_load_compute(b, cx->in[2], channel)));
	loop_end(b);
	if (members != 1)
		loop_end(b);
	loop_end(b);
	loop_end(b);
}

void
lower_instance_norm(LowerCtx *cx, const Node *n)
{
	const Attr_INSTANCE_NORM *a = n->attr;

	lower_groups(cx, n, channels(&n->in[0]->type), a->epsilon);
}

void
lower_group_norm(LowerCtx *cx, const Node *n)
{
	const Attr_GROUP_NORM *a = n->attr;

	lower_groups(cx, n, (int32_t)a->groups, a->epsilon);
}

/* ---- Layer normalisation ---- */

bool
infer_layer_norm(const Node *n, Type *out, Diag *d)
{
	const Attr_LAYER_NORM *a = n->attr;
	const Type *t = &n->in[0]->type;

	if (!check_dtypes(n, d, SET_FLOAT) || !check_axis(n, d, "axis", a->axis, t->rank) ||
	    !check_broadcasts_to(n, d, 1, t) || !check_broadcasts_to(n, d, 2, t))
		return false;
	out[0] = *t;
	for (int k = 1; k < n->nouts; k++) {
		out[k] = *t;
		out[k].dtype = dtype_compute(t->dtype);
		for (int i = (int)a->axis; i < t->rank; i++)
			out[k].dim[i] = 1;
	}
	return true;
}

/* The axes [from, to) as a type of their own. */
static Type
part(const Type *t, int from, int to)
{
	return type_make(t->dtype, to - from, t->dim + from);
}

/* Whether an operand that broadcasts to x is one run over the axes from `axis`
 * on, or one number. */
static bool
is_run(const Type *t, const Type *x, int axis)
{
	int before = t->rank - (x->rank - axis);

	return type_numel(t) == 1 || ((before <= 0 || type_product(t, 0, before) == 1) &&
	                              type_numel(t) == type_product(x, axis, x->rank));
}

static Type
as_vector(const Type *t)
{
	return type_make(t->dtype, 1, (int32_t[]){type_numel(t)});
}

/* The types of x, scale and bias, seen with as few axes as possible. */
typedef struct {
	Type x, scale, bias;
	int axis;
} Shapes;

static Shapes
find_shapes(const Node *n, int axis)
{
	Shapes s = {n->in[0]->type, n->in[1]->type, {0}, axis};
	Type x = s.x;

	if (n->nins > 2 && n->in[2])
		s.bias = n->in[2]->type;
	if (is_run(&s.scale, &x, axis) && is_run(&s.bias, &x, axis)) {
		s.x = type_make(
			x.dtype, 2,
			(int32_t[]){type_product(&x, 0, axis), type_product(&x, axis, x.rank)});
		s.scale = as_vector(&s.scale);
		s.bias = as_vector(&s.bias);
		s.axis = 1;
	}
	return s;
}

void
lower_layer_norm(LowerCtx *cx, const Node *n)
{
	const Attr_LAYER_NORM *a = n->attr;
	LBuilder *b = &cx->b;
	Shapes s = find_shapes(n, (int)a->axis);
	Type outer = part(&s.x, 0, s.axis), inner = part(&s.x, s.axis, s.x.rank);
	int32_t length = type_numel(&inner);
	Expr *at[MAX_RANK], *row, *start, *index, *in_row[MAX_RANK], *v;
	Moments m;

	lower_loops(cx, &outer, "o", at);
	row = lower_index(cx, &outer, at);
	start = loop_let(b, "start", loop_affine(b, row, length, 0));
	m = lower_moments(cx, start, length, a->epsilon);
	if (n->nouts > 1 && cx->out[1])
		loop_store_cvt(b, cx->out[1], row, m.mean);
	if (n->nouts > 2 && cx->out[2])
		loop_store_cvt(b, cx->out[2], row, m.inverse);

	lower_loops(cx, &inner, "i", in_row);
	for (int i = 0; i < inner.rank; i++)
		at[s.axis + i] = in_row[i];
	index = lower_index(cx, &inner, in_row);
	v = loop_mul(b, loop_sub(b, load(cx, start, index), m.mean), m.inverse);
	v = loop_mul(
		b, v,
		loop_load_compute(b, cx->in[1], lower_broadcast_index(cx, &s.scale, s.x.rank, at)));
	if (n->nins > 2 && cx->in[2])
		v = loop_add(b, v,
		             loop_load_compute(b, cx->in[2],
		                               lower_broadcast_index(cx, &s.bias, s.x.rank, at)));
	if (cx->out[0])
		loop_store_cvt(b, cx->out[0], loop_add(b, start, index), v);
	lower_end_loops(cx, &inner);
	lower_end_loops(cx, &outer);
}

/* ---- Local response normalisation ---- */

bool
infer_lrn(const Node *n, Type *out, Diag *d)
{
	const Attr_LRN *a = n->attr;

	out[0] = n->in[0]->type;
	return check_dtype(n, d, 0, SET_FLOAT) && check_rank(n, d, 0, 2, MAX_RANK) &&
	       check_range(n, d, "size", a->size, 1, INT32_MAX);
}

static Expr *
largest(LBuilder *b, Expr *x, int64_t v)
{
	return loop_op2(b, KOP_MAX, x, loop_idx(b, v));
}

static Expr *
smallest(LBuilder *b, Expr *x, int64_t v)
{
	return loop_op2(b, KOP_MIN, x, loop_idx(b, v));
}

/* y = x / (bias + alpha / size * sum of squares of the channels around)^beta */
void
lower_lrn(LowerCtx *cx, const Node *n)
{
	const Attr_LRN *a = n->attr;
	LBuilder *b = &cx->b;
	DType t = dtype_compute(cx->in[0]->elem);
	int32_t last = n->in[0]->type.dim[1] - 1;
	int64_t before = (a->size - 1) / 2, after = a->size / 2;
	Line line = lower_lines(cx, &n->in[0]->type, 1);
	Expr *c, *k, *v, *index;
	LVar *sum;

	before = before > last ? last : before;
	after = after > last ? last : after;
	c = loop_for(b, "c", 0, line.length);
	sum = loop_var(b, "sum", loop_const(b, t, 0));
	k = loop_for_expr(b, "k", largest(b, loop_affine(b, c, 1, -before), 0),
	                  smallest(b, loop_affine(b, c, 1, after + 1), line.length));
	v = loop_let(b, "v", loop_load_compute(b, cx->in[0], lower_line_index(cx, &line, k)));
	loop_set(b, sum, loop_add(b, loop_get(b, sum), loop_mul(b, v, v)));
	loop_end(b);
	index = lower_line_index(cx, &line, c);
	v = loop_mul(b, loop_get(b, sum), loop_const(b, t, a->alpha / (double)a->size));
	v = loop_call2(b, "pow", loop_add(b, v, loop_const(b, t, a->bias)),
	               loop_const(b, t, a->beta));
	v = scalar_div(b, loop_load_compute(b, cx->in[0], index), v);
	loop_store_cvt(b, cx->out[0], index, v);
	loop_end(b);
	lower_end_lines(cx, &line);
}

/* ---- Lp normalisation ---- */

bool
infer_lp_norm(const Node *n, Type *out, Diag *d)
{
	const Attr_LP_NORM *a = n->attr;

	out[0] = n->in[0]->type;
	if (!(a->epsilon >= 0 && isfinite(a->epsilon)))
		return bad_attribute(n, d, "epsilon", "%g is not a length", a->epsilon);
	return check_dtype(n, d, 0, SET_FLOAT) && check_axis(n, d, "axis", a->axis, out[0].rank) &&
	       check_range(n, d, "p", a->p, 1, 2);
}

/* A line of zeros stays as it is. */
void
lower_lp_norm(LowerCtx *cx, const Node *n)
{
	const Attr_LP_NORM *a = n->attr;
	LBuilder *b = &cx->b;
	DType t = dtype_compute(cx->in[0]->elem);
	Line line = lower_lines(cx, &n->in[0]->type, a->axis);
	LVar *sum = loop_var(b, "sum", loop_const(b, t, 0));
	Expr *r = loop_for(b, "r", 0, line.length), *v, *norm, *is_zero;

	v = loop_let(b, "v", loop_load_compute(b, cx->in[0], lower_line_index(cx, &line, r)));
	v = a->p == 1 ? loop_op1(b, KOP_ABS, v) : loop_mul(b, v, v);
	loop_set(b, sum, loop_add(b, loop_get(b, sum), v));
	loop_end(b);
	norm = loop_get(b, sum);
	is_zero = scalar_compare(b, KOP_EQ, norm, 0);
	norm = a->p == 1 ? norm : loop_call1(b, "sqrt", norm);
	if (a->epsilon > 0)
		norm = loop_op2(b, KOP_MAX, norm, loop_const(b, t, a->epsilon));
	norm = loop_let(b, "norm", loop_select(b, is_zero, loop_const(b, t, 1), norm));
	r = loop_for(b, "r", 0, line.length);
	v = loop_load_compute(b, cx->in[0], lower_line_index(cx, &line, r));
	loop_store_cvt(b, cx->out[0], lower_line_index(cx, &line, r), scalar_div(b, v, norm));
	loop_end(b);
	lower_end_lines(cx, &line);
}
