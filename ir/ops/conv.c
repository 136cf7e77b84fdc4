/*
 * Convolution and transposed convolution.
 *
 * The accumulator starts with the bias (or 0) and takes the products in the
 * compute type of the elements: with the layout nchw in the order input channel,
 * then kernel position row-major, with nhwc kernel position, then input channel.
 * Taps in the padding are left out, not multiplied by zero.
 */
#include <assert.h>

#include "ir/ops/infer.h"
#include "ir/ops/dot.h"
#include "ir/ops/window.h"

enum {
	SET_CONV = SET_FLOAT | 1 << DT_I32 | 1 << DT_U32 | 1 << DT_I64 | 1 << DT_U64
};

/* The spatial dimensions of the weights are the kernel. */
static Ints
kernel_of(const Type *w, TensorLayout layout, int64_t kernel[MAX_RANK])
{
	int first = layout_first(layout);

	for (int i = 0; i < w->rank - 2; i++)
		kernel[i] = w->dim[first + i];
	return (Ints){w->rank - 2, kernel};
}

static bool
reads_conv(Window *w, const Node *n, Diag *d)
{
	const Attr_CONV *a = n->attr;
	int64_t kernel[MAX_RANK];

	return window_read(w, n, kernel_of(&n->in[1]->type, a->layout, kernel),
	                   &(WindowAttrs){a->strides, a->pads, a->dilations, false, a->layout}, d);
}

static bool
reads_conv_transpose(Window *w, const Node *n, Diag *d)
{
	const Attr_CONV_TRANSPOSE *a = n->attr;
	int64_t kernel[MAX_RANK];

	return window_read_transposed(
		w, n, kernel_of(&n->in[1]->type, a->layout, kernel),
		&(WindowAttrs){a->strides, a->pads, a->dilations, false, a->layout},
		a->output_padding, d);
}

/* What both operators ask of the shapes of their inputs, but the weights' channels. */
static bool
check_conv_inputs(const Node *n, int64_t group, Diag *d)
{
	const Type *x = &n->in[0]->type, *wt = &n->in[1]->type;
	int first = layout_first(node_layout(n));

	if (!check_rank(n, d, 0, 3, MAX_RANK) || !check_rank(n, d, 1, x->rank, x->rank))
		return false;
	for (int i = 0; i < wt->rank - 2; i++)
		if (wt->dim[first + i] == 0)
			return bad_input(n, d, E_SHAPE, 1, "the kernel is empty");
	return check_range(n, d, "group", group, 1, INT32_MAX);
}

static void
set_output(Type *out, const Node *n, int32_t channels, const Window *w)
{
	const Type *x = &n->in[0]->type;
	TensorLayout layout = node_layout(n);

	*out = *x;
	out->q = NULL;
	out->dim[layout_channel(layout, x->rank)] = channels;
	for (int i = 0; i < w->n; i++)
		out->dim[layout_first(layout) + i] = w->axis[i].out;
}

static bool
infer_conv_shape(const Node *n, Type *out, Diag *d)
{
	const Attr_CONV *a = n->attr;
	const Type *x = &n->in[0]->type, *wt = &n->in[1]->type;
	int32_t group = (int32_t)a->group, channels;
	int axis = layout_channel(a->layout, x->rank);
	Window w;

	if (!check_conv_inputs(n, a->group, d))
		return false;
	channels = x->dim[axis];
	if (channels % group != 0 || wt->dim[0] % group != 0)
		return bad_attribute(n, d, "group", "%d groups do not divide %d input and %d "
		                     "output channels", group, channels, wt->dim[0]);
	if (!check_dim(n, d, 1, axis, channels / group) || !check_vector(n, d, 2, wt->dim[0]) ||
	    !reads_conv(&w, n, d))
		return false;
	set_output(&out[0], n, wt->dim[0], &w);
	return true;
}

bool
infer_conv(const Node *n, Type *out, Diag *d)
{
	return check_dtypes(n, d, SET_CONV) && infer_conv_shape(n, out, d);
}

bool
qinfer_conv(const Node *n, Type *out, Diag *d)
{
	if (!infer_conv_shape(n, out, d) || !check_dot_quantized(n, d, 0))
		return false;
	out[0].dtype = dot_output_type(n);
	return true;
}

/* Weights of the layout nchw are [C, M/group, ..], of nhwc [M, .., C/group]. */
static bool
infer_conv_transpose_shape(const Node *n, Type *out, Diag *d)
{
	const Attr_CONV_TRANSPOSE *a = n->attr;
	const Type *x = &n->in[0]->type, *wt = &n->in[1]->type;
	bool nhwc = a->layout == LAYOUT_nhwc;
	int32_t group = (int32_t)a->group, in;
	int64_t channels;
	Window w;

	if (!check_conv_inputs(n, a->group, d))
		return false;
	in = x->dim[layout_channel(a->layout, x->rank)];
	channels = nhwc ? wt->dim[0] : (int64_t)wt->dim[1] * group;
	if (in % group != 0 || channels % group != 0)
		return bad_attribute(n, d, "group", "%d groups do not divide %d input channels",
		                     group, in);
	if (channels > INT32_MAX)
		return bad_attribute(n, d, "group", "%d groups of %d output channels are too many",
		                     group, wt->dim[1]);
	if (!(nhwc ? check_dim(n, d, 1, wt->rank - 1, in / group) : check_dim(n, d, 1, 0, in)) ||
	    !check_vector(n, d, 2, (int32_t)channels) || !reads_conv_transpose(&w, n, d))
		return false;
	set_output(&out[0], n, (int32_t)channels, &w);
	return true;
}

bool
infer_conv_transpose(const Node *n, Type *out, Diag *d)
{
	return check_dtypes(n, d, SET_CONV) && infer_conv_transpose_shape(n, out, d);
}

bool
qinfer_conv_transpose(const Node *n, Type *out, Diag *d)
{
	const Attr_CONV_TRANSPOSE *a = n->attr;
	/* The output channels of the layout nchw lie along an axis when there is one group. */
	int axis = a->layout == LAYOUT_nhwc ? 0 : a->group == 1 ? 1 : -1;

	return infer_conv_transpose_shape(n, out, d) && check_dot_quantized(n, d, axis);
}

/* The loops around one output element. */
typedef struct {
	Window w;
	bool nhwc;
	int32_t batch, groups;
	int32_t in, out;   /* channels a group */
	int32_t w_group, w_out, w_in; /* weights between groups, output and input channels */
	Expr *g, *oc, *m;  /* group, channel in it, channel */
	Expr *x_at, *w_at, *y_at;
	Dot dot;
	LBuf *bias;
	LVar *acc;
} Conv;

/* Sets the numbers of channels and where they lie. */
static void
read_channels(Conv *c, const Node *n, int32_t group)
{
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type;
	int axis;

	c->nhwc = node_layout(n) == LAYOUT_nhwc;
	axis = layout_channel(node_layout(n), x->rank);
	c->batch = x->dim[0];
	c->groups = group;
	c->in = x->dim[axis] / group;
	c->out = y->dim[axis] / group;
	if (c->nhwc) {
		c->w.x_step = x->dim[axis];
		c->w.y_step = y->dim[axis];
		c->w.k_step = c->in;
	}
	window_merge(&c->w);
	c->w_in = c->nhwc ? 1 : window_taps(&c->w);
	c->w_out = c->in * window_taps(&c->w);
	c->w_group = c->out * c->w_out;
}

static LBuf *
bias_of(LowerCtx *cx, const Node *n)
{
	lower_name_inputs(cx, n, (const char *const[]){"x", "w", "bias"});
	return n->nins > 2 ? cx->in[2] : NULL;
}

/* Opens the loop over the batch. */
static void
open_batch(LowerCtx *cx, Conv *c)
{
	LBuilder *b = &cx->b;
	Expr *n = lower_for(cx, "n", c->batch);

	c->x_at = loop_affine(b, n, c->groups * c->in * window_inputs(&c->w), 0);
	c->y_at = loop_affine(b, n, c->groups * c->out * window_outputs(&c->w), 0);
}

/* Opens the loops over groups and output channels, which give where input, weights
 * and output of the channel start. */
static void
open_channels(LowerCtx *cx, Conv *c)
{
	LBuilder *b = &cx->b;
	bool depthwise = c->in == 1 && c->out == 1;
	const char *suffix = depthwise ? "c" : c->groups == 1 ? "oc" : "m";
	int32_t x_step = c->nhwc ? 1 : window_inputs(&c->w);
	int32_t y_step = c->nhwc ? 1 : window_outputs(&c->w);

	c->g = lower_for(cx, depthwise ? "c" : "g", c->groups);
	c->x_at = loop_add(b, c->x_at, loop_affine(b, c->g, c->in * x_step, 0));
	c->x_at = lower_let(cx, depthwise ? "x_c" : "x_g", c->x_at);
	c->oc = lower_for(cx, "oc", c->out);
	c->m = lower_let(cx, "m", loop_add(b, loop_affine(b, c->g, c->out, 0), c->oc));
	c->y_at = loop_add(b, c->y_at, loop_affine(b, c->m, y_step, 0));
	c->y_at = lower_let(cx, arena_printf(cx->arena, "y_%s", suffix), c->y_at);
	c->w_at = loop_add(b, loop_affine(b, c->g, c->w_group, 0),
	                   loop_affine(b, c->oc, c->w_out, 0));
	c->w_at = lower_let(cx, c->groups == 1 ? "w_oc" : "w_m", c->w_at);
}

/* Opens the loop over input channels. */
static void
open_input_channel(LowerCtx *cx, Conv *c)
{
	LBuilder *b = &cx->b;
	Expr *ic = lower_for(cx, "ic", c->in);

	c->x_at = loop_add(b, c->x_at,
	                   loop_affine(b, ic, c->nhwc ? 1 : window_inputs(&c->w), 0));
	c->w_at = loop_add(b, c->w_at, loop_affine(b, ic, c->w_in, 0));
	if (c->nhwc)
		return;
	c->x_at = lower_let(cx, "x_ic", c->x_at);
	c->w_at = lower_let(cx, "w_ic", c->w_at);
}

/* Whether there is anything to sum; if not, the output is the bias. */
static bool
has_products(LowerCtx *cx)
{
	return cx->in[0]->count > 0 && cx->in[1]->count > 0;
}

/* Where the taps of an output position start: per axis. */
typedef struct {
	Expr *from;     /* convolution: input position of the first tap */
	Expr *k, *i;    /* transposed, undilated: the first tap and its input position */
	Expr *position; /* transposed, dilated: o + begin */
} Taps;

typedef Taps FindTaps(LowerCtx *cx, const Window *w, int a, Expr *o);
typedef void OpenTap(LowerCtx *cx, const Window *w, int a, const Taps *t, Expr **x_at,
                     Expr **w_at);

/* The loops and statements of either convolution, which differ in how the taps of an
 * output position are found. */
static void
lower_sums(LowerCtx *cx, Conv *c, FindTaps *find, OpenTap *open)
{
	Taps taps[MAX_SPATIAL];

	open_batch(cx, c);
	if (!c->nhwc)
		open_channels(cx, c);
	for (int a = 0; a < c->w.n; a++)
		taps[a] = find(cx, &c->w, a, window_open_output(cx, &c->w, a, &c->y_at));
	if (c->nhwc)
		open_channels(cx, c);
	c->acc = dot_sum(cx, &c->dot, c->bias, c->m);
	if (has_products(cx)) {
		int depth = cx->b.depth;

		if (!c->nhwc)
			open_input_channel(cx, c);
		for (int a = 0; a < c->w.n; a++)
			open(cx, &c->w, a, &taps[a], &c->x_at, &c->w_at);
		if (c->nhwc)
			open_input_channel(cx, c);
		dot_add(cx, &c->dot, c->acc, c->x_at, c->w_at);
		lower_end_to(cx, depth);
	}
	dot_store(cx, &c->dot, c->y_at, c->m, loop_get(&cx->b, c->acc));
	lower_end_to(cx, 0);
}

static Taps
find_start(LowerCtx *cx, const Window *w, int a, Expr *o)
{
	return (Taps){.from = window_start(cx, w, a, o)};
}

static void
open_tap(LowerCtx *cx, const Window *w, int a, const Taps *t, Expr **x_at, Expr **w_at)
{
	window_open_tap(cx, w, a, t->from, x_at, w_at);
}

void
lower_conv(LowerCtx *cx, const Node *n)
{
	Conv c = {.bias = bias_of(cx, n)};
	bool ok = reads_conv(&c.w, n, NULL);

	assert(ok);
	(void)ok;
	read_channels(&c, n, (int32_t)((const Attr_CONV *)n->attr)->group);
	c.dot = dot_begin(cx, n);
	lower_sums(cx, &c, find_start, open_tap);
}

void
qlower_conv(LowerCtx *cx, const Node *n)
{
	lower_conv(cx, n);
}

/*
 * The taps of a transposed convolution that reach output position o are those
 * with i * stride + k * dilation = o + begin for an input position i.
 *
 * Without dilation these are every stride-th one, from the remainder of
 * (o + begin) / stride on, while i falls from the quotient.  With dilation all
 * taps are tried.
 */
static Taps
find_taps(LowerCtx *cx, const Window *w, int axis, Expr *o)
{
	const Axis *a = &w->axis[axis];
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

/* With the layout nchw the weights of an input channel lie apart. */
static void
read_transposed_weights(Conv *c)
{
	if (c->nhwc)
		return;
	c->w_out = window_taps(&c->w);
	c->w_in = c->out * c->w_out;
	c->w_group = c->in * c->w_in;
}

void
lower_conv_transpose(LowerCtx *cx, const Node *n)
{
	Conv c = {.bias = bias_of(cx, n)};
	bool ok = reads_conv_transpose(&c.w, n, NULL);

	assert(ok);
	(void)ok;
	read_channels(&c, n, (int32_t)((const Attr_CONV_TRANSPOSE *)n->attr)->group);
	read_transposed_weights(&c);
	c.dot = dot_begin(cx, n);
	lower_sums(cx, &c, find_taps, open_transposed_tap);
}

void
qlower_conv_transpose(LowerCtx *cx, const Node *n)
{
	lower_conv_transpose(cx, n);
}
