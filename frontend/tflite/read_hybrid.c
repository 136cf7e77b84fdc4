/*
 * Hybrid operators, of models with "dynamic range" quantisation: floats times weights of
 * 8 bits.
 *
 * TFLite quantises each row of the input while running, multiplies integers, and makes
 * the sums floats again.  The same is built here from operators:
 *
 *	codes, scale, zero = quantize_rows(x)
 *	sums = product(codes, w) - zero * row sums of w
 *	y = float(sums) * (scale * scale of w) + bias
 *
 * with the order of operations of the portable kernels, so that the floats are the same.
 */
#include <string.h>

#include "frontend/tflite/read.h"
#include "ir/num.h"

static const float one = 1;
static const int32_t nothing = 0;
static const Quant unit = {0, 1, &one, &nothing};

bool
tfl_is_hybrid(const TNode *n, int x, int i)
{
	const Tensor *w = n->in[i];
	const Quant *q = w->type.q;

	if (n->r->file->options->plain_weights)
		return false;
	if (!dtype_is_float(tfl_type(n, x)->dtype) || !q || !w->data ||
	    dtype_info[w->type.dtype].bytes != 1)
		return false;
	for (int32_t k = 0; k < q->n; k++)
		if (q->zero[k] != 0)
			return false;
	return true;
}

/* ---- Weights ---- */

/* The weights as numbers of scale 1.  Old files call signed numbers unsigned. */
static Value *
weight_codes(TNode *n, const Value *w)
{
	Type t = w->type;

	t.dtype = DT_I8;
	t.q = &unit;
	return graph_const(n->r->g, w->name, t, w->data);
}

/* Their scales, which lie along the last axis of the product. */
static Value *
weight_scales(TNode *n, const Value *w)
{
	const Quant *q = w->type.q;

	return graph_const(n->r->g, NULL, type_make(DT_F32, 1, &q->n), q->scale);
}

/* The sums of weights over the axes [from, to), in a tensor of shape `t`. */
static Value *
weight_sums(TNode *n, const Value *w, int from, int to, Type t)
{
	int32_t inner = type_product(&w->type, to, w->type.rank), count = type_numel(&w->type);
	int32_t block = type_product(&w->type, from, w->type.rank);
	int32_t *sums;

	t.dtype = DT_I32;
	if (!(sums = tfl_alloc(n, type_bytes(&t) + 1)))
		return NULL;
	memset(sums, 0, type_bytes(&t));
	for (int32_t i = 0; i < count; i++)
		sums[i / block * inner + i % inner] +=
			(int32_t)num_load_int(DT_I8, w->data, (size_t)i);
	return graph_const(n->r->g, NULL, t, sums);
}

/* ---- Rows ---- */

/* x with each row, from `axis` on, quantised. */
typedef struct {
	Value *codes;
	Value *scale; /* of the rank of the product, to broadcast */
	Value *zero;  /* likewise; NULL: symmetric */
} Rows;

/* `v` has one number a row; the same with axes of length 1 up to `rank`. */
static Value *
by_row(TNode *n, Value *v, int rank)
{
	int32_t dim[MAX_RANK];

	for (int i = 0; i < rank; i++)
		dim[i] = i < v->type.rank ? v->type.dim[i] : 1;
	return tfl_reshape(n, v, rank, dim);
}

static bool
quantized_rows(TNode *n, Value *x, int axis, bool symmetric, Rows *out)
{
	Attr_QUANTIZE_ROWS *a;
	Node *node;

	if (!x)
		return false;
	node = graph_insert(n->r->g, NULL, OP_QUANTIZE_ROWS, 1, &x, symmetric ? 2 : 3, NULL);
	node->loc = n->loc;
	node->name = n->out[0]->name;
	a = node->attr;
	a->axis = axis;
	a->symmetric = symmetric;
	if (!tfl_value(n, node))
		return false;
	out->codes = node->out[0];
	out->scale = by_row(n, node->out[1], x->type.rank);
	out->zero = symmetric ? NULL : by_row(n, node->out[2], x->type.rank);
	return out->scale && (symmetric || out->zero);
}

/* Codes of the input as quantised numbers of scale 1. */
static Value *
as_quantized(TNode *n, Value *codes)
{
	Node *node = tfl_node(n, OP_CODES, 1, &codes);

	if (!node)
		return NULL;
	node->out[0]->type.dtype = DT_I8;
	node->out[0]->type.q = &unit;
	return tfl_value(n, node);
}

/* ---- From sums to floats ---- */

/* sums - zero * row sums of the weights. */
static Value *
centered(TNode *n, Value *sums, const Rows *x, Value *w_sums)
{
	return tfl_binary(n, OP_SUB, sums, tfl_binary(n, OP_MUL, x->zero, w_sums));
}

/* The floats that `sums` stand for.  CONV_2D multiplies by the scales one after the
 * other. */
static Node *
scaled(TNode *n, Value *sums, const Rows *x, Value *w_scale, bool one_by_one)
{
	Value *v = tfl_cast(n, sums, DT_F32), *by = x->scale;

	if (one_by_one)
		v = tfl_binary(n, OP_MUL, v, w_scale);
	else
		by = tfl_binary(n, OP_MUL, by, w_scale);
	return tfl_node(n, OP_MUL, 2, (Value *[]){v, by});
}

/* With bias and activation; not inferred so far. */
static Node *
finished(TNode *n, Node *product, Value *bias, Activation a)
{
	Value *v;

	if (product && bias) {
		v = tfl_value(n, product);
		product = tfl_node(n, OP_ADD, 2, (Value *[]){v, bias});
	}
	if (product && a != ACTIVATION_none)
		node_set_activation(product, a);
	return product;
}

/* ---- Operators ---- */

Node *
tfl_hybrid_product(TNode *n, Value *x, Value *w, Value *bias, bool asymmetric, Activation a)
{
	Value *sums, *w_sums;
	Rows r;
	Node *node;

	if (!w || !quantized_rows(n, x, 1, !asymmetric, &r))
		return NULL;
	node = tfl_node(n, OP_GEMM, 2, (Value *[]){as_quantized(n, r.codes), weight_codes(n, w)});
	if (node)
		((Attr_GEMM *)node->attr)->trans_b = true;
	sums = tfl_value(n, node);
	if (sums && asymmetric) {
		w_sums = weight_sums(n, w, 1, 2, type_make(DT_I32, 1, w->type.dim));
		sums = centered(n, sums, &r, w_sums);
	}
	return finished(n, scaled(n, sums, &r, weight_scales(n, w), false), bias, a);
}

/* One image of `codes`, with its zero point around it. */
static Value *
padded_image(TNode *n, Value *codes, Value *zero, const Ints *pads, int32_t image)
{
	const Type *t = &codes->type;
	int64_t begin[] = {0, pads->v[0], pads->v[1], 0, 0, pads->v[2], pads->v[3], 0};
	Node *node;

	if (t->dim[0] != 1) {
		codes = tfl_slice(n, codes, (int64_t[]){image, 0, 0, 0},
		                  (int64_t[]){1, t->dim[1], t->dim[2], t->dim[3]});
		zero = tfl_slice(n, zero, (int64_t[]){image, 0, 0, 0}, (int64_t[]){1, 1, 1, 1});
	}
	zero = tfl_cast(n, zero, DT_I8);
	if (!(node = tfl_node(n, OP_PAD, 2, (Value *[]){codes, zero})))
		return NULL;
	((Attr_PAD *)node->attr)->pads = tfl_list(n, 8, begin);
	return tfl_value(n, node);
}

/* Padding is code 0 in the convolution, so that of other zero points is done before. */
static bool
pad_images(TNode *n, Rows *x, Attr_CONV *attr)
{
	int32_t images = x->codes->type.dim[0];
	Value **v;
	Node *node;

	if (!attr->pads.v[0] && !attr->pads.v[1] && !attr->pads.v[2] && !attr->pads.v[3])
		return true;
	if (images > TFL_MAX_PARTS)
		return tfl_error(n, E_SIZE, "more than %d padded images", TFL_MAX_PARTS);
	v = ARENA_ARRAY(n->r->arena, Value *, images);
	for (int32_t i = 0; i < images; i++)
		if (!(v[i] = padded_image(n, x->codes, x->zero, &attr->pads, i)))
			return false;
	attr->pads = tfl_list(n, 4, (int64_t[]){0, 0, 0, 0});
	if (images == 1) {
		x->codes = v[0];
		return true;
	}
	if (!(node = tfl_node(n, OP_CONCAT, images, v)))
		return images == 0;
	x->codes = tfl_value(n, node);
	return x->codes != NULL;
}

/* Weights with one scale: the input's codes are symmetric. */
Node *
tfl_hybrid_conv(TNode *n, const Attr_CONV *attr, Value *w, Value *bias, bool depthwise)
{
	bool symmetric = w->type.q->n == 1 && !depthwise;
	Attr_CONV a = *attr;
	Value *sums, *w_sums;
	Node *node;
	Rows r;

	if (!quantized_rows(n, tfl_in(n, 0), 1, symmetric, &r) ||
	    (!symmetric && !pad_images(n, &r, &a)))
		return NULL;
	node = tfl_node(n, OP_CONV, 2, (Value *[]){as_quantized(n, r.codes), weight_codes(n, w)});
	if (!node)
		return NULL;
	a.activation = ACTIVATION_none;
	*(Attr_CONV *)node->attr = a;
	sums = tfl_value(n, node);
	if (sums && !symmetric) {
		w_sums = weight_sums(n, w, 1, 4, type_make(DT_I32, 1, w->type.dim));
		sums = centered(n, sums, &r, w_sums);
	}
	return finished(n, scaled(n, sums, &r, weight_scales(n, w), !symmetric && !depthwise),
	                bias, attr->activation);
}

Node *
tfl_hybrid_matmul(TNode *n, Value *x, bool adj_y, bool asymmetric)
{
	Value *w = tfl_in(n, 1), *codes, *sums = NULL, *w_sums;
	int rank = w ? w->type.rank : 0, axis = adj_y ? rank - 1 : rank - 2;
	Type t;
	Rows r;

	if (!x || rank < 2 || x->type.rank < 2) {
		tfl_error(n, E_SHAPE, "the ranks must be at least 2");
		return NULL;
	}
	if (w->type.q->n != 1) {
		tfl_error(n, E_UNSUPPORTED, "scales along an axis are not supported here");
		return NULL;
	}
	if (!quantized_rows(n, x, x->type.rank - 1, !asymmetric, &r))
		return NULL;
	codes = tfl_adjoint(n, weight_codes(n, w), adj_y);
	sums = tfl_binary(n, OP_MATMUL, as_quantized(n, r.codes), codes);
	if (sums && asymmetric) {
		t = codes->type;
		t.q = NULL;
		t.dim[rank - 2] = 1;
		w_sums = weight_sums(n, w, axis, axis + 1, t);
		sums = centered(n, sums, &r, w_sums);
	}
	return scaled(n, sums, &r, weight_scales(n, w), false);
}

/* Rows of a table of 8-bit numbers, each with its scale or all with one. */
bool
tfl_hybrid_lookup(TNode *n, Value *indices)
{
	const Value *w = tfl_in(n, 1);
	const Quant *q = w ? w->type.q : NULL;
	Type t;
	Value *v, *scale;
	int32_t dim[MAX_RANK];

	if (!q || !indices)
		return false;
	if (q->n != 1 && q->axis != 0)
		return tfl_error(n, E_UNSUPPORTED, "the scales must lie along axis 0");
	t = type_make(DT_I8, w->type.rank, w->type.dim);
	v = tfl_cast(n, tfl_gather_by(n, graph_const(n->r->g, w->name, t, w->data), indices),
	             DT_F32);
	scale = weight_scales(n, w);
	if (q->n != 1) {
		scale = tfl_gather_by(n, scale, indices);
		for (int i = 0; v && i < v->type.rank; i++)
			dim[i] = i < indices->type.rank ? indices->type.dim[i] : 1;
		scale = v && scale ? tfl_reshape(n, scale, v->type.rank, dim) : NULL;
	}
	return tfl_result(n, tfl_node(n, OP_MUL, 2, (Value *[]){v, scale}));
}
