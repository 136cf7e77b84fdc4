/*
 * Softmax, its logarithm, and hardmax, along one axis.
 *
 * The greatest element is taken off before exp(), so that nothing overflows.
 */
#include <math.h>

#include "ir/lower.h"
#include "ir/ops/infer.h"
#include "ir/ops/scalar.h"

static int64_t
axis_of(const Node *n)
{
	if (n->op == OP_SOFTMAX)
		return ((const Attr_SOFTMAX *)n->attr)->axis;
	if (n->op == OP_LOG_SOFTMAX)
		return ((const Attr_LOG_SOFTMAX *)n->attr)->axis;
	return ((const Attr_HARDMAX *)n->attr)->axis;
}

static double
softmax_beta(const Node *n)
{
	return n->op == OP_SOFTMAX ? ((const Attr_SOFTMAX *)n->attr)->beta : 1;
}

bool
infer_softmax(const Node *n, Type *out, Diag *d)
{
	out[0] = n->in[0]->type;
	if (!isfinite(softmax_beta(n)))
		return bad_attribute(n, d, "beta", "not a finite number");
	return check_dtype(n, d, 0, SET_FLOAT) && check_axis(n, d, "axis", axis_of(n), out[0].rank);
}

static Expr *
load(LowerCtx *cx, const Line *line, Expr *r)
{
	return loop_load_compute(&cx->b, cx->in[0], lower_line_index(cx, line, r));
}

static Expr *
find_greatest(LowerCtx *cx, const Line *line)
{
	LBuilder *b = &cx->b;
	DType t = dtype_compute(cx->in[0]->elem);
	LVar *top = loop_var(b, "top", loop_const(b, t, -HUGE_VAL));
	Expr *r = loop_for(b, "r", 0, line->length);

	loop_set(b, top, loop_op2(b, KOP_MAX, loop_get(b, top), load(cx, line, r)));
	loop_end(b);
	return loop_get(b, top);
}

/* exp(beta * (x - top)) goes to the output and is divided there by its sum; the half types
 * keep it in f32 between. */
static void
lower_plain(LowerCtx *cx, const Line *line, double beta)
{
	LBuilder *b = &cx->b;
	LBuf *y = cx->out[0], *part = y;
	DType t = dtype_compute(y->elem);
	Expr *top, *r, *e, *at;
	LVar *sum;

	if (t != y->elem)
		part = lower_scratch(cx, "part", t, line->length);
	top = find_greatest(cx, line);
	sum = loop_var(b, "sum", loop_const(b, t, 0));
	r = loop_for(b, "r", 0, line->length);
	e = loop_sub(b, load(cx, line, r), top);
	if (beta != 1)
		e = loop_mul(b, e, loop_const(b, t, beta));
	e = loop_let(b, "e", loop_call1(b, "exp", e));
	loop_store(b, part, part == y ? lower_line_index(cx, line, r) : r, e);
	loop_set(b, sum, loop_add(b, loop_get(b, sum), e));
	loop_end(b);
	r = loop_for(b, "r", 0, line->length);
	at = lower_line_index(cx, line, r);
	e = loop_load(b, part, part == y ? at : r);
	loop_store_cvt(b, y, at, scalar_div(b, e, loop_get(b, sum)));
	loop_end(b);
}

/* y = (x - top) - log(sum of exp(x - top)) */
static void
lower_log(LowerCtx *cx, const Line *line)
{
	LBuilder *b = &cx->b;
	DType t = dtype_compute(cx->in[0]->elem);
	Expr *top = find_greatest(cx, line), *r, *e, *log_sum;
	LVar *sum = loop_var(b, "sum", loop_const(b, t, 0));

	r = loop_for(b, "r", 0, line->length);
	e = loop_call1(b, "exp", loop_sub(b, load(cx, line, r), top));
	loop_set(b, sum, loop_add(b, loop_get(b, sum), e));
	loop_end(b);
	log_sum = loop_let(b, "log_sum", loop_call1(b, "log", loop_get(b, sum)));
	r = loop_for(b, "r", 0, line->length);
	e = loop_sub(b, loop_sub(b, load(cx, line, r), top), log_sum);
	loop_store_cvt(b, cx->out[0], lower_line_index(cx, line, r), e);
	loop_end(b);
}

void
lower_softmax(LowerCtx *cx, const Node *n)
{
	Line line = lower_lines(cx, &n->in[0]->type, axis_of(n));

	if (n->op == OP_SOFTMAX)
		lower_plain(cx, &line, softmax_beta(n));
	else
		lower_log(cx, &line);
	lower_end_lines(cx, &line);
}

/* 1 at the first of the greatest, else 0. */
void
lower_hardmax(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	Line line = lower_lines(cx, &n->in[0]->type, axis_of(n));
	DType elem = cx->out[0]->elem;
	LVar *best = loop_var(b, "best", load(cx, &line, loop_idx(b, 0)));
	LVar *at = loop_var_idx(b, "at", loop_idx(b, 0), 0, line.length - 1);
	Expr *r = loop_for(b, "r", 0, line.length), *v;

	loop_store(b, cx->out[0], lower_line_index(cx, &line, r), loop_const(b, elem, 0));
	v = loop_let(b, "v", load(cx, &line, r));
	loop_if(b, loop_op2(b, KOP_GT, v, loop_get(b, best)));
	loop_set(b, best, v);
	loop_set(b, at, r);
	loop_end(b);
	loop_end(b);
	loop_store(b, cx->out[0], lower_line_index(cx, &line, loop_get(b, at)),
	           loop_const(b, elem, 1));
	lower_end_lines(cx, &line);
}
