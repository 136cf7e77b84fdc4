#include "codegen/kernels/conv.h"

#include "ir/op.h"

/* Constants may have eight times as many bytes. */
enum { MOST_WEIGHTS = 1 << 26 };

static int64_t
int_at(Ints list, int i, int64_t otherwise)
{
	return i < list.n ? list.v[i] : otherwise;
}

/* Windows of one axis are windows over one row. */
static bool
read_window(Conv *c, const Node *n)
{
	const Attr_CONV *a = n->attr;
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type, *w = &n->in[1]->type;
	int axes = x->rank - 2, last = axes - 1;
	bool flat = axes == 1;

	if (a->layout != LAYOUT_nhwc || axes < 1 || axes > 2)
		return false;
	c->batch = x->dim[0];
	c->groups = (int32_t)a->group;
	c->oc = w->dim[0];
	c->ic = w->dim[w->rank - 1];
	c->in_h = flat ? 1 : x->dim[1];
	c->in_w = x->dim[1 + last];
	c->out_h = flat ? 1 : y->dim[1];
	c->out_w = y->dim[1 + last];
	c->kh = flat ? 1 : w->dim[1];
	c->kw = w->dim[1 + last];
	c->sy = flat ? 1 : (int32_t)int_at(a->strides, 0, 1);
	c->sx = (int32_t)int_at(a->strides, last, 1);
	c->dy = flat ? 1 : (int32_t)int_at(a->dilations, 0, 1);
	c->dx = (int32_t)int_at(a->dilations, last, 1);
	c->top = flat ? 0 : (int32_t)int_at(a->pads, 0, 0);
	c->left = (int32_t)int_at(a->pads, last, 0);
	return c->top >= 0 && c->left >= 0;
}

/* The rows of x as pixels. */
static void
set_product(Conv *c, int32_t rows, int32_t k, int32_t columns)
{
	*c = (Conv){.n = c->n, .batch = 1, .in_h = 1, .in_w = rows, .out_h = 1, .out_w = rows,
	            .groups = 1, .ic = k, .oc = columns, .kh = 1, .kw = 1, .sy = 1, .sx = 1,
	            .dy = 1, .dx = 1};
}

static bool
read_gemm(Conv *c, const Node *n, bool *transposed)
{
	const Attr_GEMM *a = n->attr;
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type;

	if (a->trans_a || a->alpha != 1 || a->beta != 1)
		return false;
	*transposed = !a->trans_b;
	set_product(c, x->dim[0], x->dim[1], y->dim[1]);
	return true;
}

static bool
read_matmul(Conv *c, const Node *n, bool *transposed)
{
	const Type *x = &n->in[0]->type, *w = &n->in[1]->type;

	if (x->rank < 2 || w->rank != 2)
		return false;
	*transposed = true;
	set_product(c, type_product(x, 0, x->rank - 1), w->dim[0], w->dim[1]);
	return true;
}

static bool
read_shape(Conv *c, const Node *n, bool *transposed)
{
	*transposed = false;
	switch ((int)n->op) {
	case OP_CONV: return read_window(c, n);
	case OP_GEMM: return read_gemm(c, n, transposed);
	case OP_MATMUL: return read_matmul(c, n, transposed);
	default: return false;
	}
}

/* Columns become rows. */
static const int8_t *
transpose(Arena *a, const int8_t *w, int32_t rows, int32_t columns)
{
	int8_t *t = ARENA_ARRAY(a, int8_t, rows * columns);

	for (int32_t i = 0; i < rows; i++)
		for (int32_t k = 0; k < columns; k++)
			t[k * rows + i] = w[i * columns + k];
	return t;
}

/* One number a channel, or none. */
static bool
is_bias(const Conv *c, const Value *bias)
{
	return !bias || (bias->data && dtype_is_integer(bias->type.dtype) &&
	                 type_numel(&bias->type) == c->oc &&
	                 bias->type.dim[bias->type.rank - 1] == c->oc);
}

/*
 * Of 16-bit numbers (x * m + 2^(n-1)) >> n with m of 15 bits, as q_mbqm64() has it, is
 * ((mulh(x, m << 16) >> (n - 17)) + 1) >> 1 for n >= 17: what one rounding makes of
 * the multiplier m << 15 and twice x.
 */
static Multiplier
multiplier_of(const Conv *c, int32_t oc)
{
	Multiplier by = dot_multiplier(c->n, c->n->in[1]->type.q->n == 1 ? 0 : oc);

	if (dot_sum_type(c->n) != DT_I64)
		return by;
	by = requant_narrowed(by);
	return (Multiplier){by.m << 16, 16 - by.shift};
}

/* Moves the zero point of x into the bias; false where that does not fit. */
static bool
read_channel(const Conv *c, int32_t oc, const Value *bias, ConvChannel *out)
{
	int64_t b = bias ? value_int(bias, oc) : 0, sum = 0, taps = (int64_t)c->kh * c->kw * c->ic;
	int64_t least = dot_sum_type(c->n) == DT_I64 ? INT32_MIN : INT32_MIN / 2;
	QRange x = quant_limits(c->x_type);

	if (b < INT32_MIN || b > INT32_MAX)
		return false;
	out->lo = out->hi = b;
	for (int64_t i = 0; i < taps; i++) {
		int32_t w = conv_weight_at(c, oc * taps + i);
		int64_t low = (int64_t)w * (x.lo - c->x_zero), high = (int64_t)w * (x.hi - c->x_zero);

		sum += w;
		out->lo += low < high ? low : high;
		out->hi += low < high ? high : low;
	}
	out->plain = (int32_t)b;
	b -= sum * c->x_zero;
	out->bias = (int32_t)b;
	out->by = multiplier_of(c, oc);
	return b == out->bias && out->lo >= least && out->hi <= -(least + 1);
}

static bool
read_channels(Conv *c, Arena *a, const Value *bias)
{
	ConvChannel *channel = ARENA_ARRAY(a, ConvChannel, c->oc);

	c->channel = channel;
	for (int32_t i = 0; i < c->oc; i++)
		if (!read_channel(c, i, bias, &channel[i]))
			return false;
	return true;
}

/* Whether buffers for all rows of an image with its padding can be addressed, for any
 * block of pixels. */
static bool
has_moderate_rows(const Conv *c)
{
	enum { MOST = 1 << 26, MOST_PIXELS = 4 };
	int64_t pixels = (int64_t)(c->out_w + MOST_PIXELS) * c->sx + (int64_t)c->kw * c->dx;
	int64_t rows = (int64_t)c->out_h * c->sy + (int64_t)c->kh * c->dy;
	int64_t channels = (int64_t)c->groups * c->ic + 1;

	return pixels < MOST && rows < MOST && channels < MOST && pixels * rows < MOST &&
	       pixels * rows * channels < MOST;
}

static bool
has_elements(const Node *n)
{
	for (int i = 0; i < 2; i++)
		if (type_numel(&n->in[i]->type) == 0)
			return false;
	return type_numel(&n->out[0]->type) > 0;
}

/* Takes the zero point off the weights, unless they are wide then. */
static void
read_weights(Conv *c, Arena *a, const Type *type)
{
	int64_t count = (int64_t)c->oc * c->kh * c->kw * c->ic;
	int8_t *w;

	c->w_zero = type->q->n == 1 ? quant_zero(type) : 0;
	for (int64_t i = 0; i < count && c->w_zero; i++) {
		int32_t v = conv_weight_at(c, i);

		c->wide |= v < INT8_MIN || v > INT8_MAX;
	}
	if (c->w_zero == 0 || c->wide)
		return;
	w = arena_alloc(a, (size_t)count);
	for (int64_t i = 0; i < count; i++)
		w[i] = (int8_t)conv_weight_at(c, i);
	c->w = w;
	c->w_zero = 0;
}

static bool
has_types(const Node *n)
{
	DType x = n->in[0]->type.dtype, y = n->out[0]->type.dtype;

	return n->in[1]->type.dtype == DT_I8 && n->in[1]->type.q && n->out[0]->type.q &&
	       (x == DT_I16 ? y == DT_I16
	                    : (x == DT_I8 || x == DT_U8) && (y == DT_I8 || y == DT_U8));
}

bool
conv_read(Conv *c, Arena *a, const Node *n)
{
	const Value *bias = n->nins > 2 ? n->in[2] : NULL;
	bool transposed;

	*c = (Conv){.n = n};
	if (n->nins < 2 || !n->in[0] || !n->in[1] || !n->out[0] || !node_is_quantized(n))
		return false;
	if (!has_types(n) || !n->in[1]->data || !has_elements(n) ||
	    !read_shape(c, n, &transposed) || !is_bias(c, bias))
		return false;
	if (!has_moderate_rows(c) || type_numel(&n->in[1]->type) > MOST_WEIGHTS)
		return false;
	c->w = n->in[1]->data;
	if (transposed)
		c->w = transpose(a, c->w, c->ic, c->oc);
	read_weights(c, a, &n->in[1]->type);
	c->x_type = n->in[0]->type.dtype;
	c->x_zero = quant_zero(&n->in[0]->type);
	c->y_zero = quant_zero(&n->out[0]->type);
	c->range = quant_range(&n->out[0]->type, node_activation(n));
	return read_channels(c, a, bias);
}

bool
conv_has_int8_tensors(const Conv *c)
{
	return c->x_type == DT_I8 && c->n->out[0]->type.dtype == DT_I8;
}

bool
conv_is_int8(const Conv *c)
{
	return conv_has_int8_tensors(c) && !c->wide;
}

bool
conv_is_pointwise(const Conv *c)
{
	return c->kh == 1 && c->kw == 1 && c->sy == 1 && c->sx == 1 && c->top == 0 &&
	       c->left == 0 && c->in_h == c->out_h && c->in_w == c->out_w;
}

bool
conv_is_unpadded(const Conv *c)
{
	int64_t h = (int64_t)(c->out_h - 1) * c->sy + (int64_t)(c->kh - 1) * c->dy + 1;
	int64_t w = (int64_t)(c->out_w - 1) * c->sx + (int64_t)(c->kw - 1) * c->dx + 1;

	return c->top == 0 && c->left == 0 && h <= c->in_h && w <= c->in_w;
}

int64_t
conv_row_pixels(const Conv *c)
{
	return conv_is_pointwise(c) ? (int64_t)c->batch * c->out_h * c->out_w : c->out_w;
}

static int64_t
weights_of(const Conv *c)
{
	return (int64_t)c->oc * c->kh * c->kw * c->ic;
}

int
conv_weight_bits(const Conv *c)
{
	int bits = 2;

	for (int64_t i = 0; i < weights_of(c) && bits < 16; i++) {
		int32_t w = conv_weight_at(c, i);

		while (w >> (bits - 1) != 0 && w >> (bits - 1) != -1)
			bits *= 2;
	}
	return bits;
}

int64_t
conv_nonzeros(const Conv *c)
{
	int64_t count = 0;

	for (int64_t i = 0; i < weights_of(c); i++)
		count += conv_weight_at(c, i) != 0;
	return count;
}

int
conv_color(const int8_t *color, int n, int32_t w)
{
	for (int i = 0; i < n; i++)
		if (color[i] == w)
			return i;
	return -1;
}

int
conv_palette(const Conv *c, int8_t color[CONV_MOST_COLORS])
{
	bool used[256] = {false};
	int n = 0;

	for (int64_t i = 0; i < weights_of(c); i++) {
		int32_t w = conv_weight_at(c, i);

		if (w < INT8_MIN || w > INT8_MAX)
			return 0;
		used[w - INT8_MIN] = true;
	}
	for (int w = 0; w < 256; w++) {
		if (used[w] && n == CONV_MOST_COLORS)
			return 0;
		if (used[w])
			color[n++] = (int8_t)(w + INT8_MIN);
	}
	return n;
}
