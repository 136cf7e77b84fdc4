#include "passes/compression/layer.h"

#include <assert.h>

static Window
window_of(const Node *n)
{
	const Type *t = &n->in[1]->type;
	int first = layout_first(node_layout(n));
	int64_t kernel[MAX_RANK];
	Ints k = {t->rank - 2, kernel};
	Window w;
	bool ok;

	for (int i = 0; i < k.n; i++)
		kernel[i] = t->dim[first + i];
	if (n->op == OP_CONV) {
		const Attr_CONV *a = n->attr;
		WindowAttrs attr = {a->strides, a->pads, a->dilations, false, a->layout};

		ok = window_read(&w, n, k, &attr, NULL);
	} else {
		const Attr_CONV_TRANSPOSE *a = n->attr;
		WindowAttrs attr = {a->strides, a->pads, a->dilations, false, a->layout};

		ok = window_read_transposed(&w, n, k, &attr, a->output_padding, NULL);
	}
	assert(ok);
	(void)ok;
	return w;
}

static void
read_conv(Layer *l, const Node *n)
{
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type;
	int axis = layout_channel(node_layout(n), x->rank);

	l->is_conv = true;
	l->nhwc = node_layout(n) == LAYOUT_nhwc;
	l->transposed = n->op == OP_CONV_TRANSPOSE;
	l->groups = (int32_t)(l->transposed ? ((const Attr_CONV_TRANSPOSE *)n->attr)->group
	                                    : ((const Attr_CONV *)n->attr)->group);
	l->window = window_of(n);
	l->taps = window_taps(&l->window);
	l->x_channels = x->dim[axis];
	l->in = x->dim[axis] / l->groups;
	l->out = y->dim[axis] / l->groups;
	l->x_pixels = window_inputs(&l->window);
	l->y_pixels = window_outputs(&l->window);
	l->positions = x->dim[0] * l->y_pixels;
}

Layer
layer_read(const Node *n)
{
	Layer l = {.n = n, .groups = 1, .taps = 1};

	if (n->op == OP_GEMM) {
		l.in = n->in[0]->type.dim[1];
		l.out = n->out[0]->type.dim[1];
		l.positions = n->in[0]->type.dim[0];
	} else {
		read_conv(&l, n);
	}
	l.rows = l.groups * l.out;
	l.columns = l.in * l.taps;
	l.w = n->in[1]->data;
	l.bias = n->nins > 2 && n->in[2] ? n->in[2]->data : NULL;
	return l;
}

size_t
layer_weight(const Layer *l, int32_t m, int32_t j)
{
	size_t row = (size_t)m, c = (size_t)(j / l->taps), t = (size_t)(j % l->taps);
	size_t in = (size_t)l->in, out = (size_t)l->out, taps = (size_t)l->taps;

	if (!l->is_conv)
		return ((const Attr_GEMM *)l->n->attr)->trans_b ? row * in + c : c * out + row;
	if (l->nhwc)
		return (row * taps + t) * in + c;
	if (l->transposed)
		return ((row / out * in + c) * out + row % out) * taps + t;
	return (row * in + c) * taps + t;
}

int
layer_row_axis(const Layer *l)
{
	if (!l->is_conv)
		return ((const Attr_GEMM *)l->n->attr)->trans_b ? 0 : 1;
	if (l->transposed && !l->nhwc)
		return l->groups == 1 ? 1 : -1;
	return 0;
}

/* The input position behind tap k of output position o, or -1. */
static int32_t
input_of(const Axis *a, bool transposed, int32_t o, int32_t k)
{
	int64_t at;

	if (transposed) {
		at = (int64_t)o + a->begin - (int64_t)k * a->dilation;
		if (at < 0 || at % a->stride != 0)
			return -1;
		at /= a->stride;
	} else {
		at = (int64_t)o * a->stride + (int64_t)k * a->dilation - a->begin;
	}
	return at < 0 || at >= a->in ? -1 : (int32_t)at;
}

/* The pixel of the input behind tap t, or -1. */
static int32_t
pixel_of(const Layer *l, const int32_t *o, int32_t t)
{
	const Window *w = &l->window;
	int32_t pixel = 0, step = 1;

	for (int i = w->n; i-- > 0; t /= w->axis[i].kernel) {
		int32_t at = input_of(&w->axis[i], l->transposed, o[i], t % w->axis[i].kernel);

		if (at < 0)
			return -1;
		pixel += at * step;
		step *= w->axis[i].in;
	}
	return pixel;
}

void
layer_gather(const Layer *l, const float *x, int32_t position, int32_t g, float *column)
{
	int32_t o[MAX_SPATIAL], rest;
	size_t c_step, p_step;

	if (!l->is_conv) {
		for (int32_t c = 0; c < l->in; c++)
			column[c] = x[(size_t)position * (size_t)l->in + (size_t)c];
		return;
	}
	rest = position % l->y_pixels;
	x += (size_t)(position / l->y_pixels) * (size_t)l->x_channels * (size_t)l->x_pixels;
	c_step = l->nhwc ? 1 : (size_t)l->x_pixels;
	p_step = l->nhwc ? (size_t)l->x_channels : 1;
	x += (size_t)g * (size_t)l->in * c_step;
	for (int i = l->window.n; i-- > 0; rest /= l->window.axis[i].out)
		o[i] = rest % l->window.axis[i].out;
	for (int32_t t = 0; t < l->taps; t++) {
		int32_t pixel = pixel_of(l, o, t);

		for (int32_t c = 0; c < l->in; c++)
			column[c * l->taps + t] =
				pixel < 0 ? 0 : x[(size_t)pixel * p_step + (size_t)c * c_step];
	}
}

float *
layer_matrix(const Layer *l, Arena *a)
{
	float *w = arena_calloc(a, (size_t)l->rows * (size_t)l->columns + 1, sizeof *w);

	for (int32_t m = 0; m < l->rows; m++)
		for (int32_t j = 0; j < l->columns; j++)
			w[(size_t)m * (size_t)l->columns + (size_t)j] = l->w[layer_weight(l, m, j)];
	return w;
}
