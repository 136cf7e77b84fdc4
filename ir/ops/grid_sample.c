/*
 * Grid sample: the input read at the places that a grid names at run time.
 *
 * Coordinates outside the input are first reflected or, where one neighbour or
 * two decide, brought to its border, as the padding says; then each neighbour that
 * still lies outside is taken from the border, from its mirror image, or as 0.
 */
#include <math.h>

#include "ir/lower.h"
#include "ir/ops/infer.h"
#include "ir/ops/scalar.h"

bool
infer_grid_sample(const Node *n, Type *out, Diag *d)
{
	const Attr_GRID_SAMPLE *a = n->attr;
	const Type *t = &n->in[0]->type, *grid = &n->in[1]->type;

	if (!check_dtype(n, d, 0, a->mode == INTERP_nearest ? SET_NUMBER : SET_FLOAT) ||
	    !check_dtype(n, d, 1, SET_FLOAT) || !check_rank(n, d, 0, 3, MAX_RANK) ||
	    !check_rank(n, d, 1, t->rank, t->rank) || !check_dim(n, d, 1, 0, t->dim[0]) ||
	    !check_dim(n, d, 1, t->rank - 1, t->rank - 2))
		return false;
	if (a->mode == INTERP_cubic && t->rank > 4)
		return bad_attribute(n, d, "mode", "cubic needs one or two spatial axes");
	for (int i = 2; i < t->rank; i++)
		if (t->dim[i] == 0)
			return bad_input(n, d, E_SHAPE, 0, "axis %d has no elements", i);
	out[0].dtype = t->dtype;
	return push_dims(n, d, &out[0], t, 0, 2) && push_dims(n, d, &out[0], grid, 1, t->rank - 1);
}

enum { MAX_TAPS = 4 };

/* The neighbours of a place along one spatial axis. */
typedef struct {
	int32_t length, stride;
	Expr *at[MAX_TAPS];     /* in the axis, clamped */
	Expr *inside[MAX_TAPS]; /* zero padding: whether the neighbour exists */
	Expr *weight[MAX_TAPS]; /* NULL: 1 */
} Taps;

typedef struct {
	const Attr_GRID_SAMPLE *attr;
	int axes, taps;
	Taps axis[MAX_RANK];
} Place;

/* x reflected at lo and hi until it is between. */
static Expr *
reflect(LBuilder *b, Expr *x, double lo, double hi)
{
	double span = hi - lo;
	Expr *turns, *far;

	if (span <= 0)
		return scalar_number(b, x, lo);
	x = loop_op1(b, KOP_ABS, loop_sub(b, x, scalar_number(b, x, lo)));
	x = loop_let(b, "far", x);
	turns = loop_call1(b, "floor", loop_mul(b, x, scalar_number(b, x, 0.5 / span)));
	x = loop_sub(b, x, loop_mul(b, turns, scalar_number(b, x, 2 * span)));
	x = loop_let(b, "turn", x);
	far = loop_sub(b, scalar_number(b, x, 2 * span), x);
	x = loop_select(b, scalar_compare(b, KOP_GT, x, span), far, x);
	return loop_add(b, x, scalar_number(b, x, lo));
}

/* A coordinate outside the input goes to the first or last element.  Cubic weights
 * depend on it, so it keeps its place there while some of the four neighbours are
 * inside; further out all are the same element. */
static Expr *
to_border(LBuilder *b, Expr *x, Interpolation mode, int32_t length)
{
	double outside = mode == INTERP_cubic ? 3 : 0, lo = -outside, hi = length - 1 + outside;

	x = loop_let(b, "x", x);
	x = loop_select(b, scalar_compare(b, KOP_LT, x, lo), scalar_number(b, x, lo), x);
	x = loop_let(b, "x", x);
	return loop_select(b, scalar_compare(b, KOP_GT, x, hi), scalar_number(b, x, hi), x);
}

/* The coordinate in elements, from one in [-1, 1], after padding. */
static Expr *
coordinate(LBuilder *b, const Attr_GRID_SAMPLE *a, Expr *g, int32_t length)
{
	double lo = a->align_corners ? 0 : -0.5, hi = length - 1 - lo;
	Expr *one = scalar_number(b, g, 1), *half = scalar_number(b, g, 0.5), *x;

	x = loop_add(b, g, one);
	if (a->align_corners)
		x = loop_mul(b, loop_mul(b, x, half), scalar_number(b, x, length - 1));
	else
		x = loop_mul(b, loop_sub(b, loop_mul(b, x, scalar_number(b, x, length)), one),
		             half);
	if (a->mode == INTERP_nearest)
		x = loop_call1(b, "rint", x);
	switch (a->padding) {
	case GRID_border: return to_border(b, x, a->mode, length);
	case GRID_reflection: return reflect(b, x, lo, hi);
	case GRID_zeros:
	case GRID_COUNT: break;
	}
	return x;
}

/* The place of a neighbour, by its number in i32. */
static void
set_tap(LBuilder *b, const Attr_GRID_SAMPLE *a, Taps *t, int k, Expr *i)
{
	Expr *last = loop_int(b, DT_I32, t->length - 1), *zero = loop_int(b, DT_I32, 0);

	i = scalar_named(b, "tap", i);
	if (a->padding == GRID_zeros)
		t->inside[k] = loop_let(b, "inside",
		                        loop_op2(b, KOP_AND, loop_op2(b, KOP_GE, i, zero),
		                                 loop_op2(b, KOP_LE, i, last)));
	if (a->padding == GRID_reflection && a->align_corners) {
		/* last - |last - |i|| */
		i = loop_sub(b, last, loop_op1(b, KOP_ABS, i));
		i = loop_sub(b, last, loop_op1(b, KOP_ABS, i));
	} else if (a->padding == GRID_reflection) {
		/* -1 is the image of 0, and length of length - 1. */
		i = loop_select(b, loop_op2(b, KOP_LT, i, zero), loop_op1(b, KOP_NOT, i), i);
		i = scalar_named(b, "mirrored", i);
		i = loop_select(b, loop_op2(b, KOP_GT, i, last),
		                loop_sub(b, loop_int(b, DT_I32, 2 * (int64_t)t->length - 1), i), i);
	}
	t->at[k] = loop_let(b, "at", loop_clamp_idx(b, i, 0, t->length - 1));
}

/* The cubic convolution kernel with a = -0.75, at a distance s <= 1 or beyond. */
static Expr *
near_weight(LBuilder *b, Expr *s)
{
	const double a = -0.75;
	Expr *w = loop_mul(b, scalar_number(b, s, a + 2), s);

	w = loop_mul(b, loop_mul(b, loop_sub(b, w, scalar_number(b, s, a + 3)), s), s);
	return loop_add(b, w, scalar_number(b, s, 1));
}

static Expr *
far_weight(LBuilder *b, Expr *s)
{
	const double a = -0.75;
	Expr *w = loop_sub(b, loop_mul(b, scalar_number(b, s, a), s), scalar_number(b, s, 5 * a));

	w = loop_add(b, loop_mul(b, w, s), scalar_number(b, s, 8 * a));
	return loop_sub(b, loop_mul(b, w, s), scalar_number(b, s, 4 * a));
}

/* Weights for a fraction t of the way from one neighbour to the next, in the
 * type in which elements are computed. */
static void
set_weights(LowerCtx *cx, const Place *p, Taps *taps, Expr *t)
{
	LBuilder *b = &cx->b;
	DType type = dtype_compute(cx->in[0]->elem);
	Expr *one = scalar_number(b, t, 1), *rest, *w[MAX_TAPS];

	t = loop_let(b, "t", t);
	rest = loop_let(b, "rest", loop_sub(b, one, t));
	if (p->attr->mode == INTERP_linear) {
		w[0] = rest;
		w[1] = t;
	} else {
		w[0] = far_weight(b, loop_let(b, "s", loop_add(b, t, one)));
		w[1] = near_weight(b, t);
		w[2] = near_weight(b, rest);
		w[3] = far_weight(b, loop_let(b, "s", loop_add(b, rest, one)));
	}
	for (int k = 0; k < p->taps; k++)
		taps->weight[k] = loop_let(b, "w", loop_cvt(b, type, w[k]));
}

/* The neighbours of the place that the grid names at index `from`. */
static Place
find_place(LowerCtx *cx, const Node *n, Expr *from)
{
	LBuilder *b = &cx->b;
	const Type *t = &n->in[0]->type;
	Place p = {.attr = n->attr, .axes = t->rank - 2};
	int before;

	p.taps = p.attr->mode == INTERP_nearest ? 1 : p.attr->mode == INTERP_linear ? 2 : 4;
	before = p.taps == 4 ? 1 : 0;
	for (int i = 0; i < p.axes; i++) {
		Taps *taps = &p.axis[i];
		/* Grids count from the innermost axis. */
		Expr *g = loop_load_compute(b, cx->in[1], loop_affine(b, from, 1, p.axes - 1 - i));
		Expr *x, *lower, *first;

		taps->length = t->dim[2 + i];
		taps->stride = type_product(t, 3 + i, t->rank);
		x = loop_let(b, "place", coordinate(b, p.attr, loop_let(b, "g", g), taps->length));
		if (p.taps == 1) {
			/* A reflection may have left the whole numbers. */
			set_tap(b, p.attr, taps, 0, loop_cvt(b, DT_I32, loop_call1(b, "rint", x)));
			continue;
		}
		lower = loop_let(b, "lower", loop_call1(b, "floor", x));
		first = loop_let(b, "first", loop_cvt(b, DT_I32, lower));
		for (int k = 0; k < p.taps; k++)
			set_tap(b, p.attr, taps, k,
			        loop_add(b, first, loop_int(b, DT_I32, k - before)));
		set_weights(cx, &p, taps, loop_sub(b, x, lower));
	}
	return p;
}

/* The weighted sum over the neighbours along the axes [i, axes). */
static Expr *
sample(LowerCtx *cx, const Place *p, int i, Expr *index, Expr *inside)
{
	LBuilder *b = &cx->b;
	const Taps *taps = &p->axis[i];
	Expr *sum = NULL;

	if (i == p->axes) {
		Expr *v = loop_load_compute(b, cx->in[0], index);

		return inside ? loop_select(b, inside, v, scalar_number(b, v, 0)) : v;
	}
	for (int k = 0; k < p->taps; k++) {
		Expr *at = loop_add(b, index, loop_affine(b, taps->at[k], taps->stride, 0));
		Expr *in = taps->inside[k], *v;

		if (inside && in)
			in = loop_op2(b, KOP_AND, inside, in);
		v = sample(cx, p, i + 1, at, in);
		if (taps->weight[k])
			v = loop_mul(b, v, taps->weight[k]);
		sum = sum ? loop_add(b, sum, v) : v;
	}
	return sum;
}

void
lower_grid_sample(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	const Type *t = &n->in[0]->type, *out = &n->out[0]->type;
	int32_t channels = t->dim[1], size = type_product(t, 2, t->rank);
	int32_t places = type_product(out, 2, out->rank);
	Expr *batch = loop_for(b, "n", 0, t->dim[0]), *i = loop_for(b, "i", 0, places), *c;
	Place p = find_place(cx, n,
	                     loop_mul(b, loop_add(b, loop_affine(b, batch, places, 0), i),
	                              loop_idx(b, t->rank - 2)));
	Expr *channel;

	c = loop_for(b, "c", 0, channels);
	channel = loop_add(b, loop_affine(b, batch, channels, 0), c);
	loop_store_cvt(b, cx->out[0], loop_add(b, loop_affine(b, channel, places, 0), i),
	               sample(cx, &p, 0, loop_affine(b, channel, size, 0), NULL));
	loop_end(b);
	loop_end(b);
	loop_end(b);
}
