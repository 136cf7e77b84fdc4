/*
 * roi_align: regions of a picture, resampled to one size.
 *
 * Each bin of a region is sampled on a grid of sampling_ratio points an axis,
 * or, with 0, of as many as the bin has pixels, rounded up; the samples'
 * average or maximum is the output.  A sample is the bilinear interpolation
 * of the four pixels around it; one that lies more than a pixel outside the
 * picture is 0.  As in ONNX Runtime, the maximum is taken over the four
 * weighted pixels, not over their sum, and batch indices out of range are
 * clamped.
 */
#include "ir/lower.h"
#include "ir/ops/infer.h"

/* Most samples of a bin along an axis when the region decides: regions are
 * run-time data, and every loop has a bound. */
enum { MAX_SAMPLES = 4096 };

bool
infer_roi_align(const Node *n, Type *out, Diag *d)
{
	const Attr_ROI_ALIGN *a = n->attr;
	const Type *x = &n->in[0]->type, *rois = &n->in[1]->type;

	if (!check_dtype(n, d, 0, SET_FLOAT) || !check_same_dtype(n, d, 1) ||
	    !check_dtype(n, d, 2, SET_INDICES) || !check_rank(n, d, 0, 4, 4) ||
	    !check_rank(n, d, 1, 2, 2) || !check_dim(n, d, 1, 1, 4) ||
	    !check_vector(n, d, 2, rois->dim[0]) ||
	    !check_range(n, d, "height", a->height, 1, INT32_MAX) ||
	    !check_range(n, d, "width", a->width, 1, INT32_MAX) ||
	    !check_range(n, d, "sampling_ratio", a->sampling_ratio, 0, MAX_SAMPLES))
		return false;
	if (type_numel(x) == 0)
		return bad_input(n, d, E_SHAPE, 0, "there is nothing to sample");
	*out = type_make(x->dtype, 4, (int32_t[]){rois->dim[0], x->dim[1], (int32_t)a->height,
	                                          (int32_t)a->width});
	return true;
}

/* One axis of a region. */
typedef struct {
	const char *name;
	int32_t length, bins; /* of the picture, of the output */
	Expr *start, *bin;    /* where the region starts, the size of a bin: pixels */
	Expr *samples;        /* a bin: idx */
} Side;

/* A sample along one axis: two neighbours and their weights. */
typedef struct {
	Expr *inside, *low, *high, *low_weight, *high_weight;
} Sample;

static void
read_side(LowerCtx *cx, const Attr_ROI_ALIGN *a, Side *s, Expr *first, Expr *last)
{
	LBuilder *b = &cx->b;
	DType t = dtype_compute(cx->in[1]->elem);
	Expr *shift = loop_float(b, t, a->half_pixel ? 0.5 : 0);
	Expr *from = loop_load_compute(b, cx->in[1], first);
	Expr *to = loop_load_compute(b, cx->in[1], last);
	Expr *length;

	if (a->spatial_scale != 1) {
		from = loop_mul(b, from, loop_float(b, t, a->spatial_scale));
		to = loop_mul(b, to, loop_float(b, t, a->spatial_scale));
	}
	s->start = loop_let(b, arena_printf(cx->arena, "start_%s", s->name),
	                    a->half_pixel ? loop_sub(b, from, shift) : from);
	length = loop_sub(b, a->half_pixel ? loop_sub(b, to, shift) : to, s->start);
	if (!a->half_pixel)
		length = loop_op2(b, KOP_MAX, length, loop_float(b, t, 1));
	s->bin = loop_let(b, arena_printf(cx->arena, "bin_%s", s->name),
	                  loop_op2(b, KOP_DIV, length, loop_float(b, t, s->bins)));
	s->samples = loop_idx(b, a->sampling_ratio);
	if (a->sampling_ratio == 0) {
		Expr *pixels = loop_cvt(b, DT_I32, loop_call1(b, "ceil", s->bin));

		s->samples = loop_let(b, arena_printf(cx->arena, "samples_%s", s->name),
		                      loop_clamp_idx(b, pixels, 0, MAX_SAMPLES));
	}
}

/* Opens the loop over the samples of bin `at` along one axis. */
static Sample
open_sample(LowerCtx *cx, const Side *s, Expr *at)
{
	LBuilder *b = &cx->b;
	DType t = s->bin->type;
	Expr *k, *bins, *part, *pos, *fraction, *last = loop_idx(b, s->length - 1);
	Sample r;

	k = loop_for_expr(b, arena_printf(cx->arena, "s%s", s->name), loop_idx(b, 0), s->samples);
	bins = loop_mul(b, loop_cvt(b, t, at), s->bin);
	part = loop_add(b, loop_cvt(b, t, k), loop_float(b, t, 0.5));
	part = loop_op2(b, KOP_DIV, loop_mul(b, part, s->bin), loop_cvt(b, t, s->samples));
	pos = loop_let(b, arena_printf(cx->arena, "pos_%s", s->name),
	               loop_add(b, loop_add(b, s->start, bins), part));
	r.inside = loop_op2(b, KOP_AND, loop_op2(b, KOP_GE, pos, loop_float(b, t, -1)),
	                    loop_op2(b, KOP_LE, pos, loop_float(b, t, s->length)));
	pos = loop_let(b, arena_printf(cx->arena, "in_%s", s->name),
	               loop_op2(b, KOP_MAX, pos, loop_float(b, t, 0)));
	r.low = loop_let(b, arena_printf(cx->arena, "low_%s", s->name),
	                 loop_clamp_idx(b, loop_cvt(b, DT_I32, pos), 0, s->length - 1));
	r.high = loop_let(b, arena_printf(cx->arena, "high_%s", s->name),
	                  loop_op2(b, KOP_MIN, loop_affine(b, r.low, 1, 1), last));
	fraction = loop_select(b, loop_op2(b, KOP_GE, r.low, last), loop_float(b, t, 0),
	                       loop_sub(b, pos, loop_cvt(b, t, r.low)));
	r.high_weight = loop_let(b, arena_printf(cx->arena, "high_weight_%s", s->name), fraction);
	r.low_weight = loop_let(b, arena_printf(cx->arena, "low_weight_%s", s->name),
	                        loop_sub(b, loop_float(b, t, 1), r.high_weight));
	return r;
}

/* The four weighted pixels around a sample, by `op`: their sum or maximum. */
static Expr *
interpolate(LowerCtx *cx, const Sample *y, const Sample *x, Expr *plane, int32_t width, KOp op)
{
	LBuilder *b = &cx->b;
	Expr *result = NULL;

	for (int i = 0; i < 4; i++) {
		Expr *row = loop_affine(b, i < 2 ? y->low : y->high, width, 0);
		Expr *at = loop_add(b, loop_add(b, plane, row), i % 2 == 0 ? x->low : x->high);
		Expr *weight = loop_mul(b, i < 2 ? y->low_weight : y->high_weight,
		                        i % 2 == 0 ? x->low_weight : x->high_weight);
		Expr *term = loop_mul(b, weight, loop_load_compute(b, cx->in[0], at));

		result = result ? loop_op2(b, op, result, term) : term;
	}
	return result;
}

void
lower_roi_align(LowerCtx *cx, const Node *n)
{
	const Attr_ROI_ALIGN *a = n->attr;
	const Type *t = &n->in[0]->type, *ty = &n->out[0]->type;
	DType compute = dtype_compute(t->dtype);
	bool max = a->mode == POOL_max;
	LBuilder *b = &cx->b;
	Side y = {.name = "y", .length = t->dim[2], .bins = ty->dim[2]};
	Side x = {.name = "x", .length = t->dim[3], .bins = ty->dim[3]};
	Expr *r, *roi, *picture, *c, *plane, *at_y, *at_x, *value, *count, *result;
	Expr *zero = loop_float(b, compute, 0);
	Sample sy, sx;
	LVar *acc, *sample;
	int depth;

	lower_name_inputs(cx, n, (const char *const[]){"picture", "rois", "batch"});
	r = lower_for(cx, "r", ty->dim[0]);
	roi = lower_let(cx, "roi", loop_affine(b, r, 4, 0));
	picture = loop_clamp_idx(b, loop_load(b, cx->in[2], r), 0, t->dim[0] - 1);
	picture = lower_let(cx, "picture_at",
	                    loop_affine(b, picture, type_product(t, 1, 4), 0));
	read_side(cx, a, &y, loop_affine(b, roi, 1, 1), loop_affine(b, roi, 1, 3));
	read_side(cx, a, &x, roi, loop_affine(b, roi, 1, 2));
	count = loop_let(b, "count", loop_mul(b, y.samples, x.samples));
	c = lower_for(cx, "c", t->dim[1]);
	plane = lower_let(cx, "plane",
	                  loop_add(b, picture, loop_affine(b, c, t->dim[2] * t->dim[3], 0)));
	at_y = lower_for(cx, "oy", y.bins);
	at_x = lower_for(cx, "ox", x.bins);
	acc = loop_var(b, "acc", loop_float(b, compute, max ? -HUGE_VAL : 0));
	depth = b->depth;
	sy = open_sample(cx, &y, at_y);
	sx = open_sample(cx, &x, at_x);
	sample = loop_var(b, "sample", zero);
	loop_if(b, loop_op2(b, KOP_AND, sy.inside, sx.inside));
	loop_set(b, sample, interpolate(cx, &sy, &sx, plane, x.length, max ? KOP_MAX : KOP_ADD));
	loop_end(b);
	value = loop_get(b, sample);
	loop_set(b, acc, loop_op2(b, max ? KOP_MAX : KOP_ADD, loop_get(b, acc), value));
	lower_end_to(cx, depth);
	if (max)
		result = loop_select(b, loop_op2(b, KOP_GT, count, loop_idx(b, 0)),
		                     loop_get(b, acc), zero);
	else
		result = loop_op2(b, KOP_DIV, loop_get(b, acc),
		                  loop_cvt(b, compute, loop_op2(b, KOP_MAX, count,
		                                                loop_idx(b, 1))));
	loop_store_cvt(b, cx->out[0], lower_index(cx, ty, (Expr *[MAX_RANK]){r, c, at_y, at_x}),
	               result);
	lower_end_to(cx, 0);
}
