/*
 * couple_pairs: probabilities of classes from those of pairs of them, by the second
 * method of Wu, Lin and Weng (JMLR 5, 2004), as libsvm and ONNX Runtime do it.
 *
 * r[i][j] is the probability of class i when it is i or j.  With
 *
 *	Q[i][i] = sum over j of r[j][i]^2		Q[i][j] = -r[j][i] r[i][j]
 *
 * the result p is what makes p' Q p least; it is approached one class at a time, until
 * all elements of Q p are the same to 0.005 / k or k, at least 100, rounds were made.
 */
#include "ir/lower.h"
#include "ir/ops/infer.h"

enum { MAX_CLASSES = 1000, LEAST_ROUNDS = 100 };

static int64_t
pairs_of(int64_t classes)
{
	return classes * (classes - 1) / 2;
}

bool
infer_couple_pairs(const Node *n, Type *out, Diag *d)
{
	const Attr_COUPLE_PAIRS *a = n->attr;
	const Type *x = &n->in[0]->type;

	if (!check_dtype(n, d, 0, SET_FLOAT) || !check_rank(n, d, 0, 2, 2) ||
	    !check_range(n, d, "classes", a->classes, 2, MAX_CLASSES) ||
	    !check_dim(n, d, 0, 1, (int32_t)pairs_of(a->classes)))
		return false;
	out->dtype = x->dtype;
	return push_dims(n, d, out, x, 0, 1) && push_dim(n, d, out, a->classes);
}

typedef struct {
	LowerCtx *cx;
	LBuilder *b;
	DType t;
	int32_t classes;
	LBuf *r, *q, *qp, *p; /* [classes, classes] twice, [classes] twice */
} Couple;

static Expr *
at(Couple *c, Expr *row, Expr *column)
{
	return loop_add(c->b, loop_affine(c->b, row, c->classes, 0), column);
}

static Expr *
zero(Couple *c)
{
	return loop_float(c->b, c->t, 0);
}

static Expr *
one(Couple *c)
{
	return loop_float(c->b, c->t, 1);
}

/* The classes of each pair. */
static LBuf *
pair_table(Couple *c, const char *name, bool second)
{
	int32_t n = (int32_t)pairs_of(c->classes), k = 0;
	uint16_t *v = ARENA_ARRAY(c->cx->arena, uint16_t, n);

	for (int32_t i = 0; i < c->classes; i++)
		for (int32_t j = i + 1; j < c->classes; j++)
			v[k++] = (uint16_t)(second ? j : i);
	return lower_table(c->cx, name, DT_U16, n, v);
}

static void
fill_r(Couple *c, Expr *row)
{
	LBuilder *b = c->b;
	int depth = b->depth;
	int32_t pairs = (int32_t)pairs_of(c->classes);
	Expr *i = lower_for(c->cx, "i", c->classes), *k, *j, *v;

	loop_store(b, c->r, at(c, i, i), zero(c));
	lower_end_to(c->cx, depth);
	k = lower_for(c->cx, "pair", pairs);
	i = loop_let(b, "first", loop_cvt(b, DT_IDX, loop_load(b, pair_table(c, "low", false), k)));
	j = loop_let(b, "second", loop_cvt(b, DT_IDX, loop_load(b, pair_table(c, "high", true), k)));
	v = loop_load_compute(b, c->cx->in[0], loop_add(b, loop_affine(b, row, pairs, 0), k));
	v = loop_let(b, "v", v);
	loop_store(b, c->r, at(c, i, j), v);
	loop_store(b, c->r, at(c, j, i), loop_sub(b, one(c), v));
	lower_end_to(c->cx, depth);
}

static void
fill_q(Couple *c)
{
	LBuilder *b = c->b;
	int depth = b->depth, inside;
	Expr *i = lower_for(c->cx, "i", c->classes), *j, *other, *same;
	LVar *sum = loop_var(b, "sum", zero(c));

	inside = b->depth;
	j = lower_for(c->cx, "j", c->classes);
	other = loop_let(b, "other", loop_load(b, c->r, at(c, j, i)));
	same = loop_load(b, c->r, at(c, i, j));
	loop_set(b, sum, loop_add(b, loop_get(b, sum), loop_mul(b, other, other)));
	loop_store(b, c->q, at(c, i, j), loop_op1(b, KOP_NEG, loop_mul(b, other, same)));
	lower_end_to(c->cx, inside);
	loop_store(b, c->q, at(c, i, i), loop_get(b, sum));
	loop_store(b, c->p, i, loop_float(b, c->t, c->t == DT_F32 ? (double)(1.0f / (float)c->classes)
	                                                          : 1.0 / c->classes));
	lower_end_to(c->cx, depth);
}

/* qp = Q p; adds p' Q p to `pqp`. */
static void
multiply(Couple *c, LVar *pqp)
{
	LBuilder *b = c->b;
	int depth = b->depth, inside;
	Expr *i = lower_for(c->cx, "i", c->classes), *j;
	LVar *sum = loop_var(b, "sum", zero(c));

	inside = b->depth;
	j = lower_for(c->cx, "j", c->classes);
	loop_set(b, sum, loop_add(b, loop_get(b, sum), loop_mul(b, loop_load(b, c->q, at(c, i, j)),
	                                                        loop_load(b, c->p, j))));
	lower_end_to(c->cx, inside);
	loop_store(b, c->qp, i, loop_get(b, sum));
	loop_set(b, pqp, loop_add(b, loop_get(b, pqp),
	                          loop_mul(b, loop_load(b, c->p, i), loop_get(b, sum))));
	lower_end_to(c->cx, depth);
}

static Expr *
largest_error(Couple *c, LVar *pqp)
{
	LBuilder *b = c->b;
	int depth = b->depth;
	LVar *most = loop_var(b, "most", zero(c));
	Expr *i = lower_for(c->cx, "i", c->classes);
	Expr *error = loop_sub(b, loop_load(b, c->qp, i), loop_get(b, pqp));

	loop_set(b, most, loop_op2(b, KOP_MAX, loop_get(b, most), loop_op1(b, KOP_ABS, error)));
	lower_end_to(c->cx, depth);
	return loop_get(b, most);
}

/* Moves one class after the other. */
static void
move_classes(Couple *c, LVar *pqp)
{
	LBuilder *b = c->b;
	int depth = b->depth;
	Expr *i = lower_for(c->cx, "i", c->classes), *j, *diff, *scale, *qii, *sum, *qp;

	qii = loop_let(b, "qii", loop_load(b, c->q, at(c, i, i)));
	qp = loop_let(b, "qp_i", loop_load(b, c->qp, i));
	diff = loop_let(b, "diff", loop_op2(b, KOP_DIV, loop_sub(b, loop_get(b, pqp), qp), qii));
	scale = loop_let(b, "scale", loop_add(b, one(c), diff));
	loop_store(b, c->p, i, loop_add(b, loop_load(b, c->p, i), diff));
	sum = loop_add(b, loop_mul(b, diff, qii), loop_mul(b, loop_float(b, c->t, 2), qp));
	sum = loop_add(b, loop_get(b, pqp), loop_mul(b, diff, sum));
	loop_set(b, pqp, loop_op2(b, KOP_DIV, loop_op2(b, KOP_DIV, sum, scale), scale));
	j = lower_for(c->cx, "j", c->classes);
	sum = loop_add(b, loop_load(b, c->qp, j),
	               loop_mul(b, diff, loop_load(b, c->q, at(c, i, j))));
	loop_store(b, c->qp, j, loop_op2(b, KOP_DIV, sum, scale));
	loop_store(b, c->p, j, loop_op2(b, KOP_DIV, loop_load(b, c->p, j), scale));
	lower_end_to(c->cx, depth);
}

static void
iterate(Couple *c)
{
	LBuilder *b = c->b;
	int32_t rounds = c->classes > LEAST_ROUNDS ? c->classes : LEAST_ROUNDS;
	double near = c->t == DT_F32 ? (double)(0.005f / (float)c->classes) : 0.005 / c->classes;
	LVar *go = loop_var(b, "go", loop_bool(b, true)), *pqp;

	loop_for_while(b, "round", 0, rounds, loop_get(b, go));
	pqp = loop_var(b, "pqp", zero(c));
	multiply(c, pqp);
	loop_set(b, go, loop_op1(b, KOP_NOT, loop_op2(b, KOP_LT, largest_error(c, pqp),
	                                              loop_float(b, c->t, near))));
	loop_if(b, loop_get(b, go));
	move_classes(c, pqp);
	loop_end(b);
	loop_end(b);
}

void
lower_couple_pairs(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	int32_t classes = (int32_t)((const Attr_COUPLE_PAIRS *)n->attr)->classes;
	DType t = dtype_compute(n->in[0]->type.dtype);
	Couple c = {.cx = cx, .b = b, .t = t, .classes = classes};
	Expr *row, *i;

	c.r = lower_scratch(cx, "r", t, classes * classes);
	c.q = lower_scratch(cx, "q", t, classes * classes);
	c.qp = lower_scratch(cx, "qp", t, classes);
	c.p = lower_scratch(cx, "p", t, classes);
	row = lower_for(cx, "row", n->in[0]->type.dim[0]);
	fill_r(&c, row);
	fill_q(&c);
	iterate(&c);
	i = lower_for(cx, "i", classes);
	loop_store_cvt(b, cx->out[0], loop_add(b, loop_affine(b, row, classes, 0), i),
	               loop_load(b, c.p, i));
	lower_end_to(cx, 0);
}
