/*
 * Convolution and transposed convolution.
 *
 * The accumulator starts with the bias (or 0) and takes the products in the
 * order input channel, then kernel position row-major, in the compute type of
 * the elements.  Taps in the padding are left out, not multiplied by zero.
 */
#include <assert.h>

#include "ir/ops/infer.h"
#include "ir/ops/window.h"

enum {
	SET_CONV = SET_FLOAT | 1 << DT_I32 | 1 << DT_U32 | 1 << DT_I64 | 1 << DT_U64
};

/* The spatial dimensions of the weights are the kernel. */
static Ints
kernel_of(const Type *w, int64_t kernel[MAX_RANK])
{
	for (int i = 2; i < w->rank; i++)
		kernel[i - 2] = w->dim[i];
	return (Ints){w->rank - 2, kernel};
}

static bool
reads_conv(Window *w, const Node *n, Diag *d)
{
	const Attr_CONV *a = n->attr;
	int64_t kernel[MAX_RANK];

	return window_read(w, n, kernel_of(&n->in[1]->type, kernel),
	                   &(WindowAttrs){a->strides, a->pads, a->dilations, false}, d);
}

static bool
reads_conv_transpose(Window *w, const Node *n, Diag *d)
{
	const Attr_CONV_TRANSPOSE *a = n->attr;
	int64_t kernel[MAX_RANK];

	return window_read_transposed(w, n, kernel_of(&n->in[1]->type, kernel),
	                              &(WindowAttrs){a->strides, a->pads, a->dilations, false},
	                              a->output_padding, d);
}

/* What both operators ask of their inputs, but the weights' channels. */
static bool
check_conv_inputs(const Node *n, int64_t group, Diag *d)
{
	const Type *x = &n->in[0]->type, *wt = &n->in[1]->type;

	if (!check_dtypes(n, d, SET_CONV) || !check_rank(n, d, 0, 3, MAX_RANK) ||
	    !check_rank(n, d, 1, x->rank, x->rank))
		return false;
	for (int i = 2; i < wt->rank; i++)
		if (wt->dim[i] == 0)
			return bad_input(n, d, E_SHAPE, 1, "the kernel is empty");
	return check_range(n, d, "group", group, 1, INT32_MAX);
}

static void
set_output(Type *out, const Node *n, int32_t channels, const Window *w)
{
	const Type *x = &n->in[0]->type;

	*out = *x;
	out->dim[1] = channels;
	for (int i = 0; i < w->n; i++)
		out->dim[2 + i] = w->axis[i].out;
}

bool
infer_conv(const Node *n, Type *out, Diag *d)
{
	const Attr_CONV *a = n->attr;
	const Type *x = &n->in[0]->type, *wt = &n->in[1]->type;
	int32_t group = (int32_t)a->group;
	Window w;

	if (!check_conv_inputs(n, a->group, d))
		return false;
	if (x->dim[1] % group != 0 || wt->dim[0] % group != 0)
		return bad_attribute(n, d, "group", "%d groups do not divide %d input and %d "
		                     "output channels", group, x->dim[1], wt->dim[0]);
	if (!check_dim(n, d, 1, 1, x->dim[1] / group) || !check_vector(n, d, 2, wt->dim[0]) ||
	    !reads_conv(&w, n, d))
		return false;
	set_output(&out[0], n, wt->dim[0], &w);
	return true;
}

bool
infer_conv_transpose(const Node *n, Type *out, Diag *d)
{
	const Attr_CONV_TRANSPOSE *a = n->attr;
	const Type *x = &n->in[0]->type, *wt = &n->in[1]->type;
	int32_t group = (int32_t)a->group;
	int64_t channels;
	Window w;

	if (!check_conv_inputs(n, a->group, d))
		return false;
	channels = (int64_t)wt->dim[1] * group;
	if (x->dim[1] % group != 0)
		return bad_attribute(n, d, "group", "%d groups do not divide %d input channels",
		                     group, x->dim[1]);
	if (channels > INT32_MAX)
		return bad_attribute(n, d, "group", "%d groups of %d output channels are too many",
		                     group, wt->dim[1]);
	if (!check_dim(n, d, 1, 0, x->dim[1]) || !check_vector(n, d, 2, (int32_t)channels) ||
	    !reads_conv_transpose(&w, n, d))
		return false;
	set_output(&out[0], n, (int32_t)channels, &w);
	return true;
}

/* The channels as the loops see them. */
typedef struct {
	int32_t batch, groups;
	int32_t in, out; /* channels a group */
} Channels;

/* Opens the loops over batch, group and output channel.  Gives the output channel
 * and the flat indices of the first input and output element of batch and
 * channel. */
static void
open_channels(LowerCtx *cx, const Channels *c, const Window *w, Expr **group, Expr **oc,
              Expr **channel, Expr **x_at, Expr **y_at)
{
	LBuilder *b = &cx->b;
	bool depthwise = c->in == 1 && c->out == 1;
	const char *suffix = depthwise ? "c" : c->groups == 1 ? "oc" : "m";
	Expr *batch = lower_for(cx, "n", c->batch);

	*group = lower_for(cx, depthwise ? "c" : "g", c->groups);
	*x_at = loop_add(b, loop_affine(b, batch, c->groups * c->in * window_inputs(w), 0),
	                 loop_affine(b, *group, c->in * window_inputs(w), 0));
	*x_at = lower_let(cx, depthwise ? "x_c" : "x_g", *x_at);
	*oc = lower_for(cx, "oc", c->out);
	*channel = lower_let(cx, "m", loop_add(b, loop_affine(b, *group, c->out, 0), *oc));
	*y_at = loop_add(b, loop_affine(b, batch, c->groups * c->out * window_outputs(w), 0),
	                 loop_affine(b, *channel, window_outputs(w), 0));
	*y_at = lower_let(cx, arena_printf(cx->arena, "y_%s", suffix), *y_at);
}

/* Opens the loop over input channels, which lie `w_step` weights apart. */
static void
open_input_channel(LowerCtx *cx, const Window *w, int32_t count, int32_t w_step, Expr **x_at,
                   Expr **w_at)
{
	LBuilder *b = &cx->b;
	Expr *ic = lower_for(cx, "ic", count);

	*x_at = loop_add(b, *x_at, loop_affine(b, ic, window_inputs(w), 0));
	*x_at = lower_let(cx, "x_ic", *x_at);
	*w_at = lower_let(cx, "w_ic", loop_add(b, *w_at, loop_affine(b, ic, w_step, 0)));
}

static LVar *
new_accumulator(LowerCtx *cx, LBuf *bias, Expr *channel)
{
	LBuilder *b = &cx->b;
	DType t = dtype_compute(cx->out[0]->elem);

	return loop_var(b, "acc",
	                bias ? loop_load_compute(b, bias, channel) : loop_const(b, t, 0));
}

static void
accumulate(LowerCtx *cx, LVar *acc, Expr *x_at, Expr *w_at)
{
	LBuilder *b = &cx->b;
	Expr *product = loop_mul(b, loop_load_compute(b, cx->in[0], x_at),
	                         loop_load_compute(b, cx->in[1], w_at));

	loop_set(b, acc, loop_add(b, loop_get(b, acc), product));
}

/* Whether there is anything to sum; if not, the output is the bias. */
static bool
has_products(LowerCtx *cx)
{
	return cx->in[0]->count > 0 && cx->in[1]->count > 0;
}

static LBuf *
bias_of(LowerCtx *cx, const Node *n)
{
	lower_name_inputs(cx, n, (const char *const[]){"x", "w", "bias"});
	return n->nins > 2 ? cx->in[2] : NULL;
}

void
lower_conv(LowerCtx *cx, const Node *n)
{
	const Type *wt = &n->in[1]->type;
	int32_t group = (int32_t)((const Attr_CONV *)n->attr)->group;
	Channels c = {n->in[0]->type.dim[0], group, wt->dim[1], wt->dim[0] / group};
	LBuf *bias = bias_of(cx, n);
	LBuilder *b = &cx->b;
	Expr *g, *oc, *m, *x_at, *w_at, *y_at, *from[MAX_SPATIAL];
	LVar *acc;
	Window w;
	bool ok = reads_conv(&w, n, NULL);

	assert(ok);
	(void)ok;
	window_merge(&w);
	open_channels(cx, &c, &w, &g, &oc, &m, &x_at, &y_at);
	w_at = loop_affine(b, m, c.in * window_taps(&w), 0);
	w_at = lower_let(cx, c.groups == 1 ? "w_oc" : "w_m", w_at);
	for (int a = 0; a < w.n; a++)
		from[a] = window_start(cx, &w, a, window_open_output(cx, &w, a, &y_at));
	acc = new_accumulator(cx, bias, m);
	if (has_products(cx)) {
		int depth = b->depth;

		open_input_channel(cx, &w, c.in, window_taps(&w), &x_at, &w_at);
		for (int a = 0; a < w.n; a++)
			window_open_tap(cx, &w, a, from[a], &x_at, &w_at);
		accumulate(cx, acc, x_at, w_at);
		lower_end_to(cx, depth);
	}
	loop_store_cvt(b, cx->out[0], y_at, loop_get(b, acc));
	lower_end_to(cx, 0);
}

/*
 * The taps of a transposed convolution that reach output position o are those
 * with i * stride + k * dilation = o + begin for an input position i.
 *
 * Without dilation these are every stride-th one, from the remainder of
 * (o + begin) / stride on, while i falls from the quotient.  With dilation all
 * taps are tried.
 */
typedef struct {
	Expr *k, *i;    /* undilated: the first tap and its input position */
	Expr *position; /* dilated: o + begin */
} Taps;

static Taps
find_taps(LowerCtx *cx, const Axis *a, Expr *o)
{
	LBuilder *b = &cx->b;
	Expr *position = lower_let(cx, arena_printf(cx->arena, "to_%s", a->name),
	                           loop_affine(b, o, 1, a->begin));
	Taps t = {.position = position};

	if (a->dilation > 1)
		return t;
	t.k = lower_let(cx, arena_printf(cx->arena, "first_k%s", a->name),
	                loop_op2(b, KOP_REM, position, loop_idx(b, a->stride)));
	t.i = lower_let(cx, arena_printf(cx->arena, "from_%s", a->name),
	                loop_op2(b, KOP_DIV, position, loop_idx(b, a->stride)));
	return t;
}

static void
open_undilated_tap(LowerCtx *cx, const Axis *a, const Taps *t, Expr **k, Expr **i)
{
	LBuilder *b = &cx->b;
	int32_t trips = (a->kernel - 1) / a->stride + 1;
	Expr *s = lower_for(cx, arena_printf(cx->arena, "s%s", a->name), trips);

	*k = lower_let(cx, arena_printf(cx->arena, "k%s", a->name),
	               loop_add(b, t->k, loop_affine(b, s, trips == 1 ? 1 : a->stride, 0)));
	*i = lower_let(cx, arena_printf(cx->arena, "i%s", a->name), loop_sub(b, t->i, s));
	*k = window_if_inside(cx, *k, false, a->kernel % a->stride != 0, a->kernel);
	*i = window_if_inside(cx, *i, a->begin / a->stride < trips - 1,
	                      (a->out - 1 + a->begin) / a->stride >= a->in, a->in);
}

static void
open_dilated_tap(LowerCtx *cx, const Axis *a, const Taps *t, Expr **k, Expr **i)
{
	LBuilder *b = &cx->b;
	int64_t least = a->begin - (int64_t)(a->kernel - 1) * a->dilation;
	Expr *scaled;

	*k = lower_for(cx, arena_printf(cx->arena, "k%s", a->name), a->kernel);
	scaled = lower_let(cx, arena_printf(cx->arena, "scaled_i%s", a->name),
	                   loop_sub(b, t->position, loop_affine(b, *k, a->dilation, 0)));
	if (a->stride > 1)
		loop_if(b, loop_op2(b, KOP_EQ,
		                    loop_op2(b, KOP_REM, scaled, loop_idx(b, a->stride)),
		                    loop_idx(b, 0)));
	*i = lower_let(cx, arena_printf(cx->arena, "i%s", a->name),
	               loop_op2(b, KOP_DIV, scaled, loop_idx(b, a->stride)));
	*i = window_if_inside(cx, *i, least < 0, (a->out - 1 + a->begin) / a->stride >= a->in,
	                      a->in);
}

static void
open_transposed_tap(LowerCtx *cx, const Window *w, int a, const Taps *t, Expr **x_at, Expr **w_at)
{
	Expr *k, *i;

	if (w->axis[a].dilation > 1)
		open_dilated_tap(cx, &w->axis[a], t, &k, &i);
	else
		open_undilated_tap(cx, &w->axis[a], t, &k, &i);
	window_advance(cx, w, a, i, k, x_at, w_at);
}

void
lower_conv_transpose(LowerCtx *cx, const Node *n)
{
	const Type *wt = &n->in[1]->type;
	int32_t group = (int32_t)((const Attr_CONV_TRANSPOSE *)n->attr)->group;
	Channels c = {n->in[0]->type.dim[0], group, wt->dim[0] / group, wt->dim[1]};
	LBuf *bias = bias_of(cx, n);
	LBuilder *b = &cx->b;
	Expr *g, *oc, *m, *x_at, *w_at, *y_at;
	Taps taps[MAX_SPATIAL];
	LVar *acc;
	Window w;
	bool ok = reads_conv_transpose(&w, n, NULL);

	assert(ok);
	(void)ok;
	window_merge(&w);
	open_channels(cx, &c, &w, &g, &oc, &m, &x_at, &y_at);
	w_at = loop_add(b, loop_affine(b, g, c.in * c.out * window_taps(&w), 0),
	                loop_affine(b, oc, window_taps(&w), 0));
	w_at = lower_let(cx, c.groups == 1 ? "w_oc" : "w_m", w_at);
	for (int a = 0; a < w.n; a++)
		taps[a] = find_taps(cx, &w.axis[a], window_open_output(cx, &w, a, &y_at));
	acc = new_accumulator(cx, bias, m);
	if (has_products(cx)) {
		int depth = b->depth;

		open_input_channel(cx, &w, c.in, c.out * window_taps(&w), &x_at, &w_at);
		for (int a = 0; a < w.n; a++)
			open_transposed_tap(cx, &w, a, &taps[a], &x_at, &w_at);
		accumulate(cx, acc, x_at, w_at);
		lower_end_to(cx, depth);
	}
	loop_store_cvt(b, cx->out[0], y_at, loop_get(b, acc));
	lower_end_to(cx, 0);
}
