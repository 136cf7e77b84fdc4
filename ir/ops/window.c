#include "ir/ops/window.h"

#include "ir/ops/infer.h"

/* Padded sizes stay below this, so that sums of two of them fit int32. */
enum { MAX_EXTENT = INT32_MAX / 2 };

static bool
check_list(const Node *n, Diag *d, const char *name, Ints list, int count, int64_t lo)
{
	return list.n == 0 || check_ints(n, d, name, &list, count, lo, MAX_EXTENT);
}

static int32_t
value_or(Ints list, int i, int32_t otherwise)
{
	return list.n ? (int32_t)list.v[i] : otherwise;
}

static const char *
axis_name(int axis, int count)
{
	static const char *const letter[] = {"z", "y", "x"};
	static const char *const digit[] = {"0", "1", "2", "3", "4", "5"};

	_Static_assert(MAX_SPATIAL == 6, "a name for every axis");
	return count <= 3 ? letter[3 - count + axis] : digit[axis];
}

/* All but the output size. */
static bool
reads_axes(Window *w, const Node *n, Ints kernel, const WindowAttrs *attr, Diag *d)
{
	const Type *x = &n->in[0]->type;

	if (!check_rank(n, d, 0, 3, MAX_RANK))
		return false;
	*w = (Window){.n = x->rank - 2, .x_step = 1, .y_step = 1, .k_step = 1};
	if (!check_ints(n, d, "kernel", &kernel, w->n, 1, MAX_EXTENT) ||
	    !check_list(n, d, "strides", attr->strides, w->n, 1) ||
	    !check_list(n, d, "dilations", attr->dilations, w->n, 1) ||
	    !check_list(n, d, "pads", attr->pads, 2 * w->n, 0))
		return false;
	for (int i = 0; i < w->n; i++)
		w->axis[i] = (Axis){
			.name = axis_name(i, w->n),
			.in = x->dim[layout_first(attr->layout) + i],
			.kernel = (int32_t)kernel.v[i],
			.stride = value_or(attr->strides, i, 1),
			.dilation = kernel.v[i] == 1 ? 1 : value_or(attr->dilations, i, 1),
			.begin = value_or(attr->pads, i, 0),
			.end = value_or(attr->pads, w->n + i, 0),
		};
	return true;
}

bool
window_read(Window *w, const Node *n, Ints kernel, const WindowAttrs *attr, Diag *d)
{
	const char *op = op_info[n->op].name;
	int first = layout_first(attr->layout);

	if (!reads_axes(w, n, kernel, attr, d))
		return false;
	for (int i = 0; i < w->n; i++) {
		Axis *a = &w->axis[i];
		int64_t padded = (int64_t)a->in + a->begin + a->end;
		int64_t extent = (int64_t)(a->kernel - 1) * a->dilation + 1;

		if (padded > MAX_EXTENT)
			return diag_report(d, &n->loc, E_SIZE,
			                   "axis %d of '%s' is too large with its padding", first + i, op);
		if (extent > padded)
			return diag_report(d, &n->loc, E_SHAPE,
			                   "the kernel of '%s' spans %lld elements of axis %d, which "
			                   "has only %lld with its padding",
			                   op, (long long)extent, first + i, (long long)padded);
		a->out = (int32_t)((padded - extent) / a->stride + 1);
		if (attr->ceil_mode && (padded - extent) % a->stride != 0 &&
		    (int64_t)a->out * a->stride < (int64_t)a->in + a->begin)
			a->out++;
		if (a->out == 1)
			a->stride = 1;
	}
	return true;
}

bool
window_read_transposed(Window *w, const Node *n, Ints kernel, const WindowAttrs *attr, Ints more,
                       Diag *d)
{
	const char *op = op_info[n->op].name;
	int first = layout_first(attr->layout);

	if (!reads_axes(w, n, kernel, attr, d) ||
	    !check_list(n, d, "output_padding", more, w->n, 0))
		return false;
	for (int i = 0; i < w->n; i++) {
		Axis *a = &w->axis[i];
		int64_t extent = (int64_t)(a->kernel - 1) * a->dilation + 1;
		int64_t spread = (int64_t)(a->in - 1) * a->stride;
		int64_t out = spread + extent + value_or(more, i, 0) - a->begin - a->end;

		if (extent > MAX_EXTENT || spread > MAX_EXTENT || out > MAX_EXTENT)
			return diag_report(d, &n->loc, E_SIZE,
			                   "axis %d of the output of '%s' is too large", first + i, op);
		if (a->in == 0 || out < 1)
			return diag_report(d, &n->loc, E_SHAPE,
			                   "axis %d of the output of '%s' would be empty", first + i, op);
		a->out = (int32_t)out;
	}
	return true;
}

static bool
is_pointwise(const Axis *a)
{
	return a->kernel == 1 && a->in == a->out && a->stride == 1 && a->begin == 0 && a->end == 0;
}

static bool
covers_all(const Axis *a)
{
	return a->kernel == a->in && a->out == 1 && a->dilation == 1 && a->begin == 0 &&
	       a->end == 0;
}

static bool
is_dense(const Axis *a)
{
	return a->dilation == 1 && a->begin == 0 && a->end == 0;
}

/* The axis that does what `a` and then `b` do, if there is one. */
static bool
merge_axes(Axis *a, const Axis *b)
{
	bool pointwise = is_pointwise(a) && is_pointwise(b);

	if (!pointwise && !(is_dense(a) && covers_all(b)))
		return false;
	/* A stride above 1 is less than a->in, so the product is within the input. */
	a->stride = pointwise || a->out == 1 ? 1 : a->stride * b->in;
	a->in *= b->in;
	a->out *= b->out;
	a->kernel *= b->kernel;
	a->name = "p";
	return true;
}

void
window_merge(Window *w)
{
	for (int i = w->n - 1; i-- > 0;) {
		if (!merge_axes(&w->axis[i], &w->axis[i + 1]))
			continue;
		for (int k = i + 1; k + 1 < w->n; k++)
			w->axis[k] = w->axis[k + 1];
		w->n--;
	}
}

/* Products over the axes after `a`. */
static int32_t
inputs_after(const Window *w, int a)
{
	int32_t n = 1;

	for (int i = a + 1; i < w->n; i++)
		n *= w->axis[i].in;
	return n;
}

static int32_t
outputs_after(const Window *w, int a)
{
	int32_t n = 1;

	for (int i = a + 1; i < w->n; i++)
		n *= w->axis[i].out;
	return n;
}

static int32_t
taps_after(const Window *w, int a)
{
	int32_t n = 1;

	for (int i = a + 1; i < w->n; i++)
		n *= w->axis[i].kernel;
	return n;
}

int32_t
window_inputs(const Window *w)
{
	return inputs_after(w, -1);
}

int32_t
window_outputs(const Window *w)
{
	return outputs_after(w, -1);
}

int32_t
window_taps(const Window *w)
{
	return taps_after(w, -1);
}

/* base + position * step, named prefix_NAME unless it is the innermost axis. */
static Expr *
advance(LowerCtx *cx, const Window *w, int a, const char *prefix, Expr *base, Expr *position,
        int32_t step)
{
	Expr *e = loop_add(&cx->b, base, loop_affine(&cx->b, position, step, 0));

	if (a == w->n - 1)
		return e;
	return lower_let(cx, arena_printf(cx->arena, "%s%s", prefix, w->axis[a].name), e);
}

Expr *
window_open_output(LowerCtx *cx, const Window *w, int a, Expr **y_at)
{
	const Axis *axis = &w->axis[a];
	Expr *o = lower_for(cx, arena_printf(cx->arena, "o%s", axis->name), axis->out);

	*y_at = advance(cx, w, a, "y_o", *y_at, o, outputs_after(w, a) * w->y_step);
	return o;
}

Expr *
window_start(LowerCtx *cx, const Window *w, int a, Expr *o)
{
	const Axis *axis = &w->axis[a];

	return lower_let(cx, arena_printf(cx->arena, "from_%s", axis->name),
	                 loop_affine(&cx->b, o, axis->stride, -axis->begin));
}

Expr *
window_if_inside(LowerCtx *cx, Expr *i, bool may_be_below, bool may_be_above, int32_t length)
{
	LBuilder *b = &cx->b;
	Expr *above = loop_op2(b, KOP_GE, i, loop_idx(b, 0));
	Expr *below = loop_op2(b, KOP_LT, i, loop_idx(b, length));

	if (i->kind == E_CONST) {
		if (i->u.i >= 0 && i->u.i < length)
			return i;
		loop_if(b, loop_bool(b, false));
		return loop_idx(b, 0);
	}
	if (may_be_below && may_be_above)
		loop_if(b, loop_op2(b, KOP_AND, above, below));
	else if (may_be_below)
		loop_if(b, above);
	else if (may_be_above)
		loop_if(b, below);
	return i;
}

void
window_advance(LowerCtx *cx, const Window *w, int a, Expr *i, Expr *k, Expr **x_at, Expr **k_at)
{
	*x_at = advance(cx, w, a, "x_i", *x_at, i, inputs_after(w, a) * w->x_step);
	if (k_at)
		*k_at = advance(cx, w, a, "w_k", *k_at, k, taps_after(w, a) * w->k_step);
}

Expr *
window_open_tap(LowerCtx *cx, const Window *w, int a, Expr *start, Expr **x_at, Expr **k_at)
{
	const Axis *axis = &w->axis[a];
	LBuilder *b = &cx->b;
	Expr *k = lower_for(cx, arena_printf(cx->arena, "k%s", axis->name), axis->kernel);
	Expr *step = loop_affine(b, k, axis->dilation, 0);
	Expr *i = lower_let(cx, arena_printf(cx->arena, "i%s", axis->name),
	                    loop_add(b, start, step));
	int64_t last = (int64_t)(axis->out - 1) * axis->stride +
	               (int64_t)(axis->kernel - 1) * axis->dilation - axis->begin;

	i = window_if_inside(cx, i, axis->begin > 0, last >= axis->in, axis->in);
	window_advance(cx, w, a, i, k, x_at, k_at);
	return i;
}
