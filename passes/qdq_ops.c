/*
 * What fuse-qdq knows of operators.
 *
 * Quantising commutes with what only moves or compares elements, so there it is done
 * on the inputs: quantize(max(a, b)) is max(quantize(a), quantize(b)), and the inputs
 * may be anything that can be quantised.  All other operators need twins as inputs.
 *
 * Convolutions and pools are made in the layout nhwc, which fast kernels know; the
 * transposes around them cancel or go to the ends of the network, since elementwise
 * operators are done below them.
 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "ir/num.h"
#include "passes/qdq.h"

enum { MAX_DEPTH = 12 }; /* of operators between two quantisations */

typedef Value *QuantizeFn(Qdq *q, Node *at, Node *n, const Type *to, int depth);

static Value *quantized_value(Qdq *q, Node *at, Value *x, const Type *to, int depth);

/* ---- Layouts ---- */

static void
perm_to_nhwc(int rank, int64_t *perm)
{
	perm[0] = 0;
	for (int i = 1; i < rank - 1; i++)
		perm[i] = i + 1;
	perm[rank - 1] = 1;
}

static void
perm_from_nhwc(int rank, int64_t *perm)
{
	perm[0] = 0;
	perm[1] = rank - 1;
	for (int i = 2; i < rank; i++)
		perm[i] = i - 1;
}

static Value *
to_nhwc(Qdq *q, Node *at, Value *x)
{
	int64_t perm[MAX_RANK];

	if (!x)
		return NULL;
	perm_to_nhwc(x->type.rank, perm);
	return qdq_transpose(q, at, x, perm);
}

static Value *
from_nhwc(Qdq *q, Node *at, Value *x)
{
	int64_t perm[MAX_RANK];

	if (!x)
		return NULL;
	perm_from_nhwc(x->type.rank, perm);
	return qdq_transpose(q, at, x, perm);
}

static Value *
reshaped(Qdq *q, Node *at, Value *x, const Type *shape)
{
	int64_t dim[MAX_RANK];
	Node *n;

	if (!x || type_same_shape(&x->type, shape))
		return x;
	for (int i = 0; i < shape->rank; i++)
		dim[i] = shape->dim[i];
	n = qdq_node(q, at, OP_RESHAPE, NULL, 1, &x, &x->type);
	((Attr_RESHAPE *)n->attr)->shape = rewrite_ints(&q->r, shape->rank, dim);
	return qdq_try(q, n);
}

/* ---- Sums of products ---- */

/* Whether `v` is one number, or one for each place along the axis of `t`. */
static bool
lies_along(const Type *v, const Type *t, int axis)
{
	int first = t->rank - v->rank;

	if (first < 0)
		return false;
	for (int i = 0; i < v->rank; i++)
		if (v->dim[i] != 1 && (first + i != axis || v->dim[i] != t->dim[axis]))
			return false;
	return true;
}

static Value *
quantized_conv(Qdq *q, Node *at, const Node *n, Value *bias, const Type *to)
{
	Value *x = qdq_uniform_twin(q, n->in[0]), *w = qdq_twin(q, n->in[1]), *in[3];
	bool transposed = n->op == OP_CONV_TRANSPOSE;
	int rank = n->out[0]->type.rank;
	int64_t perm[MAX_RANK];
	Node *k;

	if (!x || !w || !value_is_const(w) || !node_is_plain(n) ||
	    (transposed && ((const Attr_CONV_TRANSPOSE *)n->attr)->group != 1))
		return NULL;
	perm_to_nhwc(rank, perm);
	if (transposed) {
		perm[0] = 1;
		perm[rank - 1] = 0;
	}
	w = qdq_transpose_constant(q, w, perm);
	if (!w || !qdq_bias(q, bias, &x->type, &w->type, w->type.dim[0], &in[2]))
		return NULL;
	in[0] = to_nhwc(q, at, x);
	in[1] = w;
	k = qdq_node_like(q, at, n, n->attr, in[2] ? 3 : 2, in, to);
	if (k)
		node_set_layout(k, LAYOUT_nhwc);
	return from_nhwc(q, at, qdq_try(q, k));
}

/* x times a constant matrix, as a fully connected layer; n is the product. */
static Value *
quantized_dense(Qdq *q, Node *at, const Node *n, Value *x, const Value *w, bool trans_b,
                Value *bias, const Type *to)
{
	Attr_GEMM attr = {.alpha = 1, .beta = 1, .trans_b = true};
	Node like = {.op = OP_GEMM, .name = n->name, .loc = n->loc};
	Value *in[3] = {0};
	Type rows;

	if (!x || !w || !value_is_const(w) || w->type.rank != 2)
		return NULL;
	in[1] = qdq_transpose_constant(q, w, trans_b ? (int64_t[]){0, 1} : (int64_t[]){1, 0});
	if (!in[1] || !qdq_bias(q, bias, &x->type, &in[1]->type, in[1]->type.dim[0], &in[2]))
		return NULL;
	rows = type_make(x->type.dtype, 2, (int32_t[]){type_product(&x->type, 0, x->type.rank - 1),
	                                               x->type.dim[x->type.rank - 1]});
	in[0] = reshaped(q, at, x, &rows);
	x = qdq_try(q, qdq_node_like(q, at, &like, &attr, in[2] ? 3 : 2, in, to));
	return reshaped(q, at, x, &n->out[0]->type);
}

static Value *
quantized_gemm(Qdq *q, Node *at, const Node *n, Value *bias, const Type *to)
{
	const Attr_GEMM *a = n->attr;
	Value *x = qdq_uniform_twin(q, n->in[0]);

	if (!node_is_plain(n) || a->alpha != 1 || (bias && a->beta != 1))
		return NULL;
	if (x && a->trans_a)
		x = qdq_transpose(q, at, x, (int64_t[]){1, 0});
	return quantized_dense(q, at, n, x, qdq_twin(q, n->in[1]), a->trans_b, bias, to);
}

static Value *
quantized_matmul(Qdq *q, Node *at, const Node *n, Value *bias, const Type *to)
{
	Value *in[2] = {qdq_uniform_twin(q, n->in[0]), qdq_twin(q, n->in[1])};

	if (in[1] && value_is_const(in[1]) && in[1]->type.rank == 2)
		return quantized_dense(q, at, n, in[0], in[1], false, bias, to);
	return bias || !in[1] || in[1]->type.q->n != 1 ? NULL
	                                               : qdq_apply(q, at, n, 2, in, to);
}

/* `bias` is added to the output of n, or NULL. */
static Value *
quantized_dot(Qdq *q, Node *at, const Node *n, Value *bias, const Type *to)
{
	const Type *t = &n->out[0]->type;
	Value *own = n->nins > 2 ? n->in[2] : NULL;
	bool is_conv = n->op == OP_CONV || n->op == OP_CONV_TRANSPOSE;

	if (bias && (own || !lies_along(&bias->type, t, is_conv ? 1 : t->rank - 1)))
		return NULL;
	if (own && !is_conv && !lies_along(&own->type, t, t->rank - 1))
		return NULL;
	bias = own ? own : bias;
	if (is_conv)
		return quantized_conv(q, at, n, bias, to);
	return n->op == OP_GEMM ? quantized_gemm(q, at, n, bias, to)
	                        : quantized_matmul(q, at, n, bias, to);
}

static Value *
dot(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	(void)depth;
	return quantized_dot(q, at, n, NULL, to);
}

/* ---- Elementwise ---- */

/* Inputs that are all transposed alike, or one number, as they were before; false, and
 * as they are, else. */
static bool
take_below(int n, Value **x, Ints *perm)
{
	Value *below[MAX_ELEMENTWISE];
	bool any = false;

	for (int i = 0; i < n; i++) {
		Ints own;

		below[i] = x[i];
		if (type_numel(&x[i]->type) == 1)
			continue;
		below[i] = qdq_below_transpose(x[i], &own);
		if (!own.n || (any && (own.n != perm->n ||
		                       memcmp(own.v, perm->v, (size_t)own.n * sizeof *own.v) != 0)))
			return false;
		*perm = own;
		any = true;
	}
	for (int i = 0; i < n && any; i++)
		x[i] = below[i];
	return any;
}

static Value *
elementwise(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	Value *in[MAX_ELEMENTWISE], *y;
	bool below;
	Ints perm;

	(void)depth;
	if (n->nins > MAX_ELEMENTWISE || !quant_info[n->op].infer)
		return NULL;
	for (int i = 0; i < n->nins; i++) {
		in[i] = qdq_uniform_twin(q, n->in[i]);
		if (!in[i])
			return NULL;
	}
	below = take_below(n->nins, in, &perm);
	y = qdq_apply(q, at, n, n->nins, in, to);
	return below ? qdq_transpose(q, at, y, perm.v) : y;
}

/* A constant that is added to a sum of products is its bias. */
static Value *
add(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	for (int i = 0; i < 2; i++) {
		const Node *k = n->in[i]->def;
		Value *bias = n->in[1 - i], *y;

		if (!k || n->in[i]->nuses != 1 || (k->op != OP_CONV && k->op != OP_CONV_TRANSPOSE &&
		                                   k->op != OP_GEMM && k->op != OP_MATMUL) ||
		    !type_same_shape(&n->in[i]->type, &n->out[0]->type))
			continue;
		y = quantized_dot(q, at, k, bias, to);
		if (y)
			return y;
	}
	return elementwise(q, at, n, to, depth);
}

static Value *
clamped(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	const Attr_CLAMP *a = n->attr;
	int fresh = q->r.g->values.n;
	Value *x = quantized_value(q, at, n->in[0], to, depth);

	if (!x)
		return NULL;
	return n->op == OP_RELU ? qdq_clamp(q, at, x, 0, HUGE_VAL, fresh)
	                        : qdq_clamp(q, at, x, a->lo, a->hi, fresh);
}

/* ---- Movement and comparison ---- */

/* Whether elements of the first input are all that n moves. */
static bool
moves_one_input(const Node *n)
{
	switch ((int)n->op) {
	case OP_IDENTITY:
	case OP_RESHAPE:
	case OP_TRANSPOSE:
	case OP_SLICE:
	case OP_EXPAND:
	case OP_TILE:
	case OP_GATHER:
	case OP_GATHER_ELEMENTS:
	case OP_GATHER_ND:
	case OP_REVERSE_SEQUENCE: return true;
	default: return false;
	}
}

/* n on x, which is quantised. */
static Value *
moved(Qdq *q, Node *at, const Node *n, Value *x)
{
	Value *in[2] = {x, n->nins > 1 ? n->in[1] : NULL};

	if (!x)
		return NULL;
	if (n->op == OP_TRANSPOSE)
		return qdq_transpose(q, at, x, ((const Attr_TRANSPOSE *)n->attr)->perm.v);
	return qdq_apply(q, at, n, n->nins, in, &x->type);
}

static Value *
move(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	return moved(q, at, n, quantized_value(q, at, n->in[0], to, depth));
}

/* The code that stands for the value of a constant pad. */
static Value *
padded(Qdq *q, Node *at, const Node *n, Value *x)
{
	const Value *value = n->nins > 1 ? n->in[1] : NULL;
	Type t = x->type;
	void *code = arena_alloc(q->r.g->arena, sizeof(int64_t));
	Value *in[2] = {x, NULL};

	if (value && !value_is_const(value))
		return NULL;
	t.rank = 0;
	num_store_int(t.dtype, code, 0, qdq_code(&t, value ? value_float(value, 0) : 0));
	in[1] = graph_const(q->r.g, NULL, t, code);
	return qdq_apply(q, at, n, 2, in, &x->type);
}

static Value *
pad(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	Value *x = quantized_value(q, at, n->in[0], to, depth);

	return x ? padded(q, at, n, x) : NULL;
}

/* max_pool and avg_pool of x, which is quantised. */
static Value *
pooled(Qdq *q, Node *at, const Node *n, Value *x, const Type *to)
{
	Node *k;

	if (!x || n->nouts > 1 || node_layout(n) != LAYOUT_nchw ||
	    (n->op == OP_MAX_POOL && ((const Attr_MAX_POOL *)n->attr)->column_major))
		return NULL;
	x = to_nhwc(q, at, x);
	k = qdq_node_like(q, at, n, n->attr, 1, &x, to);
	if (k)
		node_set_layout(k, LAYOUT_nhwc);
	return from_nhwc(q, at, qdq_try(q, k));
}

static Value *
max_pool(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	return pooled(q, at, n, quantized_value(q, at, n->in[0], to, depth), to);
}

/* All inputs in one quantisation. */
static Value *
of_one_kind(Qdq *q, Node *at, const Node *n, Value **x, const Type *to)
{
	const void *attr = n->attr;
	Attr_CONCAT concat = {0};
	bool below = false;
	Value *y;
	Ints perm;

	if (n->nins <= MAX_ELEMENTWISE)
		below = take_below(n->nins, x, &perm);
	if (below && n->op == OP_CONCAT) {
		concat.axis = perm.v[((const Attr_CONCAT *)attr)->axis];
		attr = &concat;
	}
	y = qdq_try(q, qdq_node_like(q, at, n, attr, n->nins, x, to));
	return below ? qdq_transpose(q, at, y, perm.v) : y;
}

static Value *
choose(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	Value **x = ARENA_ARRAY(q->r.g->arena, Value *, n->nins);

	for (int i = 0; i < n->nins; i++) {
		x[i] = quantized_value(q, at, n->in[i], to, depth);
		if (!x[i])
			return NULL;
	}
	return of_one_kind(q, at, n, x, to);
}

static Value *
where(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	Value *in[3] = {n->in[0]};

	in[1] = quantized_value(q, at, n->in[1], to, depth);
	in[2] = quantized_value(q, at, n->in[2], to, depth);
	return in[1] && in[2] ? qdq_apply(q, at, n, 3, in, to) : NULL;
}

/* Nearest elements are moved.  Between them, fixed point is exact enough only where
 * the places are: for whole fractions of 1/1024. */
static bool
has_exact_places(const Node *n)
{
	const Attr_RESIZE *a = n->attr;
	bool align = a->coordinates == COORD_align_corners;

	for (int i = 0; i < a->shape.n; i++) {
		int64_t in = n->in[0]->type.dim[i] - align, out = a->shape.v[i] - align;

		if (in != out && (out <= 0 || 1024 * in % out != 0 || a->scales.n <= i ||
		                  fabs(a->scales.v[i] * (double)n->in[0]->type.dim[i] -
		                       (double)a->shape.v[i]) > 1e-3))
			return false;
	}
	return true;
}

static Value *
resize(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	const Attr_RESIZE *a = n->attr;
	Value *x;

	if (a->mode == INTERP_nearest && a->coordinates != COORD_tf_crop_and_resize)
		return moved(q, at, n, quantized_value(q, at, n->in[0], to, depth));
	x = qdq_uniform_twin(q, n->in[0]);
	return x && a->mode == INTERP_linear && has_exact_places(n)
	               ? qdq_apply(q, at, n, 1, &x, to)
	               : NULL;
}

/* ---- Reductions and normalisation ---- */

static Value *
average_pool(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	(void)depth;
	return pooled(q, at, n, qdq_uniform_twin(q, n->in[0]), to);
}

typedef Attr_REDUCE_MEAN Attr_REDUCE;

/* The axes of a reduction below a transpose, and whether its result needs it too; false
 * where that is another one. */
static bool
axes_below(Qdq *q, const Attr_REDUCE *from, Ints perm, Attr_REDUCE *to)
{
	bool gone[MAX_RANK] = {false};
	int64_t axes[MAX_RANK], last = -1;
	int count = 0;

	for (int i = 0; i < from->axes.n; i++)
		gone[perm.v[from->axes.v[i]]] = true;
	for (int i = 0; i < perm.n; i++)
		if (gone[i])
			axes[count++] = i;
	*to = *from;
	to->axes = rewrite_ints(&q->r, count, axes);
	for (int i = 0; i < perm.n && !from->keepdims; i++) {
		if (gone[perm.v[i]])
			continue;
		if (perm.v[i] < last)
			return false;
		last = perm.v[i];
	}
	return true;
}

static Value *
reduced(Qdq *q, Node *at, const Node *n, Value *x, const Type *to)
{
	Attr_REDUCE attr;
	Value *below, *y;
	Ints perm;

	below = qdq_below_transpose(x, &perm);
	if (!perm.n || !axes_below(q, n->attr, perm, &attr))
		return qdq_apply(q, at, n, 1, &x, to);
	y = qdq_try(q, qdq_node_like(q, at, n, &attr, 1, &below, to));
	return attr.keepdims ? qdq_transpose(q, at, y, perm.v) : y;
}

static Value *
reduce(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	Value *x = qdq_uniform_twin(q, n->in[0]);

	(void)depth;
	return x ? reduced(q, at, n, x, to) : NULL;
}

static Value *
reduce_extremum(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	Value *x = quantized_value(q, at, n->in[0], to, depth);

	return x ? reduced(q, at, n, x, to) : NULL;
}

/* The kernel has an output of its own, the finest one in 16 bits. */
static Value *
softmax(Qdq *q, Node *at, Node *n, const Type *to, int depth)
{
	Value *x = qdq_uniform_twin(q, n->in[0]), *y;
	Type fine = *to;

	(void)depth;
	if (!x)
		return NULL;
	y = qdq_apply(q, at, n, 1, &x, to);
	if (y || n->op != OP_SOFTMAX)
		return y;
	fine.dtype = DT_I16;
	fine.q = x->type.dtype == DT_I8 ? qdq_quant(q, 0x1p-16f, INT16_MIN)
	                                : qdq_quant(q, 0x1p-15f, 0);
	return qdq_requantize(q, at, qdq_apply(q, at, n, 1, &x, &fine), to);
}

/* ---- The table ---- */

static QuantizeFn *
rule_of(const Node *n)
{
	switch ((int)n->op) {
	case OP_CONV:
	case OP_CONV_TRANSPOSE:
	case OP_GEMM:
	case OP_MATMUL: return dot;
	case OP_ADD: return add;
	case OP_RELU:
	case OP_CLAMP: return clamped;
	case OP_PAD: return pad;
	case OP_MAX_POOL: return max_pool;
	case OP_AVG_POOL: return average_pool;
	case OP_CONCAT:
	case OP_MIN:
	case OP_MAX: return choose;
	case OP_RESIZE: return resize;
	case OP_WHERE: return where;
	case OP_REDUCE_MEAN:
	case OP_REDUCE_SUM: return reduce;
	case OP_REDUCE_MAX:
	case OP_REDUCE_MIN: return reduce_extremum;
	case OP_SOFTMAX:
	case OP_LOG_SOFTMAX: return softmax;
	default: break;
	}
	if (moves_one_input(n))
		return move;
	return op_info[n->op].kind == OP_ELEMENTWISE ? elementwise : NULL;
}

bool
qdq_knows(const Node *n)
{
	return rule_of(n) != NULL;
}

/* A float constant in the quantisation of `to`. */
static Value *
quantized_constant(Qdq *q, const Value *v, const Type *to)
{
	Type t = v->type;
	void *data;

	t.dtype = to->dtype;
	t.q = to->q;
	data = arena_alloc(q->r.g->arena, type_bytes(&t));
	for (int32_t i = 0; i < type_numel(&t); i++) {
		double x = value_float(v, i);

		if (isnan(x))
			return NULL;
		num_store_int(t.dtype, data, (size_t)i, qdq_code(&t, x));
	}
	return graph_const(q->r.g, NULL, t, data);
}

static bool
is_only_quantized(const Qdq *q, const Value *x)
{
	return x->nuses == 1 || (x->id < q->quantizers.n && q->quantizers.v[x->id] == x->nuses);
}

static Value *
quantized_value(Qdq *q, Node *at, Value *x, const Type *to, int depth)
{
	Value *twin;
	QuantizeFn *rule;

	if (value_is_const(x))
		return x->type.dtype == DT_F32 ? quantized_constant(q, x, to) : NULL;
	twin = qdq_uniform_twin(q, x);
	if (twin)
		return qdq_requantize(q, at, twin, to);
	if (!x->def || x->def->nouts != 1 || depth == 0 || x->type.dtype != DT_F32 ||
	    !is_only_quantized(q, x))
		return NULL;
	rule = rule_of(x->def);
	return rule ? rule(q, at, x->def, to, depth - 1) : NULL;
}

Value *
qdq_quantized(Qdq *q, Node *at, Value *x, const Type *to)
{
	Value *y;

	while (q->quantized.n <= x->id)
		VEC_PUSH(q->r.cx->scratch, &q->quantized, NULL);
	y = q->quantized.v[x->id];
	if (y && y->type.dtype == to->dtype && type_same_quant(&y->type, to))
		return y;
	y = quantized_value(q, at, x, to, MAX_DEPTH);
	q->quantized.v[x->id] = y;
	return y;
}

/* ---- Forwards ---- */

/* Inputs in one quantisation that the output has too. */
static Value *
choose_exactly(Qdq *q, Node *n)
{
	Value **x = ARENA_ARRAY(q->r.g->arena, Value *, n->nins);

	for (int i = 0; i < n->nins; i++) {
		x[i] = value_is_const(n->in[i]) ? NULL : qdq_uniform_twin(q, n->in[i]);
		if (!x[i] || !type_same_quant(&x[i]->type, &x[0]->type) ||
		    x[i]->type.dtype != x[0]->type.dtype)
			return NULL;
	}
	return of_one_kind(q, n, n, x, &x[0]->type);
}

static bool
pads_with_zero(const Node *n)
{
	const Value *v = n->nins > 1 ? n->in[1] : NULL;

	return dtype_is_float(n->in[0]->type.dtype) &&
	       (!v || (value_is_const(v) && value_float(v, 0) == 0));
}

Value *
qdq_exact(Qdq *q, Node *n)
{
	Value *x;

	if (n->nins == 0 || !n->in[0] || value_is_const(n->in[0]) || node_is_quantized(n) ||
	    n->in[0]->type.q)
		return NULL;
	if (n->op == OP_CONCAT || n->op == OP_MIN || n->op == OP_MAX)
		return choose_exactly(q, n);
	x = qdq_twin(q, n->in[0]);
	if (!x)
		return NULL;
	if (moves_one_input(n) && value_is_const(x) && n->nins == 1)
		return qdq_move_constant(q, n, x, &n->out[0]->type);
	if (x->type.q->n != 1)
		return NULL;
	if (moves_one_input(n))
		return moved(q, n, n, x);
	switch ((int)n->op) {
	case OP_RELU: return qdq_clamp(q, n, x, 0, HUGE_VAL, INT_MAX);
	case OP_MAX_POOL: return pooled(q, n, n, x, &x->type);
	case OP_REDUCE_MAX:
	case OP_REDUCE_MIN: return reduced(q, n, n, x, &x->type);
	case OP_PAD: return pads_with_zero(n) ? padded(q, n, n, x) : NULL;
	case OP_RESIZE:
		return ((const Attr_RESIZE *)n->attr)->mode == INTERP_nearest ? moved(q, n, n, x)
		                                                              : NULL;
	default: return NULL;
	}
}
