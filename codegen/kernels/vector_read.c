#include <math.h>

#include "codegen/kernels/vector.h"
#include "ir/op.h"

static int64_t
int_at(Ints list, int i, int64_t otherwise)
{
	return i < list.n ? list.v[i] : otherwise;
}

/* Windows of one axis are windows over one row. */
static bool
read_window(FloatConv *c, const Node *n)
{
	const Attr_CONV *a = n->attr;
	const Type *x = &n->in[0]->type, *y = &n->out[0]->type, *w = &n->in[1]->type;
	int axes = x->rank - 2, last = axes - 1, first, channel;
	bool flat = axes == 1;

	if (axes < 1 || axes > 2)
		return false;
	c->planar = a->layout == LAYOUT_nchw;
	first = c->planar ? 2 : 1;
	channel = c->planar ? 1 : x->rank - 1;
	c->batch = x->dim[0];
	c->groups = (int32_t)a->group;
	c->oc = w->dim[0];
	c->ic = w->dim[channel];
	c->in_h = flat ? 1 : x->dim[first];
	c->in_w = x->dim[first + last];
	c->out_h = flat ? 1 : y->dim[first];
	c->out_w = y->dim[first + last];
	c->kh = flat ? 1 : w->dim[first];
	c->kw = w->dim[first + last];
	c->sy = flat ? 1 : (int32_t)int_at(a->strides, 0, 1);
	c->sx = (int32_t)int_at(a->strides, last, 1);
	c->dy = flat ? 1 : (int32_t)int_at(a->dilations, 0, 1);
	c->dx = (int32_t)int_at(a->dilations, last, 1);
	c->top = flat ? 0 : (int32_t)int_at(a->pads, 0, 0);
	c->left = (int32_t)int_at(a->pads, last, 0);
	return c->top >= 0 && c->left >= 0;
}

/* Whether windows fit moderate buffers, whatever the padding. */
static bool
is_moderate(const FloatConv *c)
{
	enum { MOST = 1 << 26 };
	int64_t rows = (int64_t)c->out_h * c->sy + (int64_t)c->kh * c->dy;
	int64_t columns = (int64_t)c->out_w * c->sx + (int64_t)c->kw * c->dx;
	int64_t channels = (int64_t)c->groups * c->ic;

	return rows < MOST && columns < MOST && rows * columns < MOST &&
	       rows * columns * channels < MOST;
}

static bool
is_zero_neutral(const Node *n)
{
	const Value *w = n->in[1], *bias = n->nins > 2 ? n->in[2] : NULL;
	const float *v = w->data;

	for (int64_t i = 0; i < type_numel(&w->type); i++)
		if (!isfinite(v[i]))
			return false;
	v = bias ? bias->data : NULL;
	for (int64_t i = 0; bias && i < type_numel(&bias->type); i++)
		if (!v || (v[i] == 0 && signbit(v[i])))
			return false;
	return true;
}

static bool
is_f32(const Value *v)
{
	return v && v->type.dtype == DT_F32 && type_numel(&v->type) > 0;
}

bool
float_conv_read(FloatConv *c, const Node *n)
{
	*c = (FloatConv){.n = n};
	if (n->op != OP_CONV || node_is_quantized(n) || n->nins < 2 || !n->out[0] ||
	    !is_f32(n->in[0]) || !is_f32(n->in[1]) || !is_f32(n->out[0]) || !n->in[1]->data ||
	    (n->nins > 2 && n->in[2] && !is_f32(n->in[2])))
		return false;
	if (!read_window(c, n) || !is_moderate(c))
		return false;
	c->w = n->in[1]->data;
	c->padded = c->top > 0 || c->left > 0 ||
	            (c->out_h - 1) * c->sy + (c->kh - 1) * c->dy - c->top >= c->in_h ||
	            (c->out_w - 1) * c->sx + (c->kw - 1) * c->dx - c->left >= c->in_w;
	return !c->padded || is_zero_neutral(n);
}

static bool
has_vectors(const Target *t)
{
	return t->vector_bytes >= 16 && !(t->isa & ISA_ARM_MVE);
}

int
float_lanes_most(const Target *t)
{
	return has_vectors(t) ? t->vector_bytes / 4 : 1;
}

int
float_lanes_least(const Target *t)
{
	return has_vectors(t) ? 4 : 1;
}

bool
float_fits_registers(const Target *t, int lanes, int values)
{
	const int scalars = 32; /* Arm, RISC-V */

	return values <= (lanes == 1 ? scalars : t->vector_registers);
}

bool
float_product_read(FloatConv *c, const Node *n)
{
	const Attr_GEMM *a = n->op == OP_GEMM ? n->attr : NULL;
	const Type *x, *w, *bias = n->nins > 2 && n->in[2] ? &n->in[2]->type : NULL;
	bool by_rows = a && a->trans_b;

	if ((n->op != OP_GEMM && n->op != OP_MATMUL) || node_is_quantized(n) || !is_f32(n->in[0]) ||
	    !is_f32(n->in[1]) || !is_f32(n->out[0]) || !n->in[1]->data)
		return false;
	x = &n->in[0]->type;
	w = &n->in[1]->type;
	if (w->rank != 2 || x->rank < 2 || (a && (a->trans_a || a->alpha != 1 || a->beta != 1)))
		return false;
	*c = (FloatConv){.n = n, .batch = 1, .in_h = 1, .out_h = 1, .groups = 1, .kh = 1, .kw = 1,
	                 .sy = 1, .sx = 1, .dy = 1, .dx = 1, .w = n->in[1]->data,
	                 .in_w = type_product(x, 0, x->rank - 1), .ic = x->dim[x->rank - 1],
	                 .oc = w->dim[by_rows ? 0 : 1], .transposed = !by_rows};
	c->out_w = c->in_w;
	return is_moderate(c) && (!bias || (is_f32(n->in[2]) && type_numel(bias) == c->oc &&
	                                    bias->dim[bias->rank - 1] == c->oc));
}
