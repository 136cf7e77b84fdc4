/*
 * fuse-qdq: compute on integers between dequantize and quantize.
 *
 *	%1 = dequantize(%x, 0.5, 3)
 *	%2 = dequantize(%w, 0.25)
 *	%3 = conv(%1, %2)			=>	%4: i8[..] q(2.0, 1) = conv(%x', %w')
 *	%4 = quantize(%3, 2.0, 129)
 *
 * Scales and zero points must be constants, of one number but for weights.  What the
 * pass makes rounds as the reference kernels of TFLite do, the floats as ONNX says:
 * results differ by one step at most.  quantize and dequantize next to floats become
 * requantize.  Codes are stored as signed numbers (see qdq.h); a graph's input or
 * output keeps its element type and gets a quantisation.
 *
 * Operators are found from quantize backwards (qdq_ops.c); what can follow
 * dequantize without rounding, as moved elements and maxima, is found forwards.  A
 * quantize behind anything else, and floats that somebody else needs too, stay.
 */
#include <math.h>
#include <string.h>

#include "ir/num.h"
#include "passes/qdq.h"

/* ---- Facts by value ---- */

static Value **
slot(Qdq *q, const Value *v)
{
	while (q->twin.n <= v->id)
		VEC_PUSH(q->r.cx->scratch, &q->twin, NULL);
	return &q->twin.v[v->id];
}

void
qdq_set_twin(Qdq *q, const Value *v, Value *twin)
{
	*slot(q, v) = twin;
}

/* A parameter of a (de)quantize node: a constant, of one element or a vector. */
static bool
is_parameter(const Value *v)
{
	return value_is_const(v) && v->type.rank <= 1 && type_numel(&v->type) > 0;
}

/* Codes of an unsigned type are those of the signed one and this. */
static int32_t
code_offset(DType t)
{
	return t == DT_U8 ? 1 << 7 : t == DT_U16 ? 1 << 15 : 0;
}

static DType
twin_dtype(DType t)
{
	switch ((int)t) {
	case DT_I8:
	case DT_U8: return DT_I8;
	case DT_I16:
	case DT_U16: return DT_I16;
	default: return DT_COUNT;
	}
}

bool
qdq_read_type(Qdq *q, const Node *n, Type *t)
{
	bool makes_codes = n->op == OP_QUANTIZE;
	DType code = makes_codes ? ((const Attr_QUANTIZE *)n->attr)->to : n->in[0]->type.dtype;
	const Value *scale = n->in[1], *zero = n->nins > 2 ? n->in[2] : NULL;
	Arena *a = q->r.g->arena;
	Quant *quant;
	float *scales;
	int32_t *zeros, count;

	if (twin_dtype(code) == DT_COUNT || !is_parameter(scale) ||
	    scale->type.dtype != DT_F32 || (zero && !is_parameter(zero)) ||
	    (makes_codes && n->in[0]->type.dtype != DT_F32))
		return false;
	count = type_numel(&scale->type);
	scales = ARENA_ARRAY(a, float, count);
	zeros = ARENA_ARRAY(a, int32_t, count);
	for (int32_t i = 0; i < count; i++) {
		scales[i] = (float)value_float(scale, i);
		zeros[i] = (zero ? (int32_t)value_int(zero, i) : 0) - code_offset(code);
		if (!(scales[i] > 0 && isfinite(scales[i])) ||
		    (twin_dtype(code) == DT_I16 && zeros[i] != 0))
			return false;
	}
	quant = ARENA_NEW(a, Quant);
	*quant = (Quant){.n = count, .scale = scales, .zero = zeros};
	if (count > 1)
		quant->axis = (int)(makes_codes ? ((const Attr_QUANTIZE *)n->attr)->axis
		                                : ((const Attr_DEQUANTIZE *)n->attr)->axis);
	*t = n->in[0]->type;
	t->dtype = twin_dtype(code);
	t->q = quant;
	return true;
}

/* ---- Constants ---- */

/* The codes of `v`, less half their range where they are unsigned. */
static const void *
signed_codes(Qdq *q, const Value *v)
{
	DType t = v->type.dtype;
	void *data;

	if (code_offset(t) == 0)
		return v->data;
	data = arena_alloc(q->r.g->arena, type_bytes(&v->type));
	for (int32_t i = 0; i < type_numel(&v->type); i++)
		num_store_int(twin_dtype(t), data, (size_t)i, value_int(v, i) - code_offset(t));
	return data;
}

/* A float constant that is the same everywhere is exact. */
static Value *
uniform_constant(Qdq *q, const Value *v)
{
	Type t = v->type;
	double x;
	int8_t *data;

	if (t.dtype != DT_F32 || !value_is_uniform(v, &x) || !isfinite(x))
		return NULL;
	t.dtype = DT_I8;
	t.q = qdq_quant(q, x == 0 ? 1 : (float)fabs(x) / INT8_MAX, 0);
	if (!(t.q->scale[0] > 0))
		return NULL;
	data = arena_alloc(q->r.g->arena, type_bytes(&t));
	memset(data, x == 0 ? 0 : x < 0 ? -INT8_MAX : INT8_MAX, type_bytes(&t));
	return graph_const(q->r.g, NULL, t, data);
}

static Value *
make_constant(Qdq *q, Value *v)
{
	const Node *n = v->def;
	Type t;

	if (value_is_const(v))
		return uniform_constant(q, v);
	if (!n || n->op != OP_DEQUANTIZE || !value_is_const(n->in[0]) || !qdq_read_type(q, n, &t))
		return NULL;
	return graph_const(q->r.g, NULL, t, signed_codes(q, n->in[0]));
}

Value *
qdq_twin(Qdq *q, Value *v)
{
	Value *twin = *slot(q, v);

	if (!twin) {
		twin = make_constant(q, v);
		qdq_set_twin(q, v, twin);
	}
	return twin;
}

Value *
qdq_uniform_twin(Qdq *q, Value *v)
{
	Value *twin = qdq_twin(q, v);

	return twin && twin->type.q->n == 1 ? twin : NULL;
}

/* ---- Codes ---- */

/* The type of plain codes with the meaning of their twin. */
static Type
labelled(Qdq *q, DType codes, const Type *twin)
{
	Type t = *twin;

	t.dtype = codes;
	t.q = qdq_quant(q, twin->q->scale[0], twin->q->zero[0] + code_offset(codes));
	return t;
}

/* Whether everybody takes `v` for numbers of the type `t`. */
static bool
has_one_meaning(Qdq *q, const Value *v, const Type *t)
{
	int uses = 0;

	for (const Node *n = q->r.g->first; n; n = n->next) {
		Type other;

		for (int i = 0; i < n->nins; i++) {
			if (n->in[i] != v)
				continue;
			if (i != 0 || n->op != OP_DEQUANTIZE || !qdq_read_type(q, n, &other) ||
			    !type_same_quant(t, &other))
				return false;
			uses++;
		}
	}
	return uses == v->nuses;
}

/* A twin of plain codes that come from elsewhere, for a dequantize node of type t. */
static Value *
name_codes(Qdq *q, Node *at, Value *v, const Type *t)
{
	Type own = labelled(q, v->type.dtype, t);
	Value *codes = v;

	if (graph_is_input(q->r.g, v) && has_one_meaning(q, v, t))
		v->type.q = own.q;
	else
		codes = qdq_try(q, qdq_node(q, at, OP_CODES, NULL, 1, &v, &own));
	return codes ? qdq_requantize(q, at, codes, t) : NULL;
}

static void
read_dequantize(Qdq *q, Node *n)
{
	Value *v = n->in[0], *twin, *y;
	Type t;

	/* Constants get their twins when somebody wants them. */
	if (value_is_const(v) || n->out[0]->type.dtype != DT_F32 || !qdq_read_type(q, n, &t) ||
	    t.q->n != 1)
		return;
	twin = *slot(q, v);
	if (twin && !type_same_quant(&twin->type, &t))
		return;
	if (!twin) {
		twin = name_codes(q, n, v, &t);
		if (!twin)
			return;
		qdq_set_twin(q, v, twin);
	}
	y = qdq_try(q, qdq_node(q, n, OP_REQUANTIZE, NULL, 1, &twin, NULL));
	if (!y)
		return;
	qdq_set_twin(q, y, twin);
	rewrite_replace(&q->r, n, y);
}

/* ---- Quantize ---- */

/* Plain codes of the twin, for whoever needs them. */
static Value *
plain_codes(Qdq *q, Node *at, Value *twin, DType codes)
{
	Type own = labelled(q, codes, &twin->type);
	Value *v = qdq_requantize(q, at, twin, &own);

	return qdq_try(q, qdq_node(q, at, OP_CODES, NULL, 1, &v, NULL));
}

static void
read_quantize(Qdq *q, Node *n)
{
	Value *x = n->in[0], *twin, *codes;
	Type t;

	if (!qdq_read_type(q, n, &t) || t.q->n != 1)
		return;
	twin = qdq_quantized(q, n, x, &t);
	if (twin) {
		codes = plain_codes(q, n, twin, n->out[0]->type.dtype);
		if (!codes)
			return;
		qdq_set_twin(q, codes, twin);
		rewrite_replace(&q->r, n, codes);
		return;
	}
	/* Floats from outside. */
	twin = qdq_try(q, qdq_node(q, n, OP_REQUANTIZE, &(Attr_REQUANTIZE){DT_F32, true, 0}, 1,
	                           &x, &t));
	qdq_set_twin(q, n->out[0], twin);
}

/* Positions of extrema are the same among codes. */
static void
read_arg_reduce(Qdq *q, Node *n)
{
	Value *twin = value_is_const(n->in[0]) ? NULL : qdq_uniform_twin(q, n->in[0]);

	if (!twin || n->in[0] == twin)
		return;
	node_set_input(n, 0, twin);
	q->r.cx->changed++;
}

/* ---- The pass ---- */

/* Counts the quantize nodes on each value that all give the same numbers. */
static void
count_quantizers(Qdq *q)
{
	const Graph *g = q->r.g;
	Arena *a = q->r.cx->scratch;
	const Node **first = ARENA_ARRAY(a, const Node *, g->values.n);

	for (int i = 0; i < g->values.n; i++)
		VEC_PUSH(a, &q->quantizers, 0);
	for (const Node *n = g->first; n; n = n->next) {
		int id = n->nins ? (n->in[0] ? n->in[0]->id : 0) : 0;
		Type t, other;

		if (n->op != OP_QUANTIZE || !qdq_read_type(q, n, &t))
			continue;
		if (!first[id])
			first[id] = n;
		if (qdq_read_type(q, first[id], &other) && type_equal(&t, &other) &&
		    type_same_quant(&t, &other))
			q->quantizers.v[id]++;
	}
}

/* Outputs of the graph that are plain codes say what they mean. */
static void
label_outputs(Graph *g)
{
	for (int i = 0; i < graph_plain_outputs(g); i++) {
		Value *v = g->outputs.v[i], *x;

		if (!v->def || v->def->op != OP_CODES || !v->def->in[0]->type.q || v->type.q)
			continue;
		x = v->def->in[0];
		v->nuses--;
		x->nuses++;
		g->outputs.v[i] = x;
	}
}

/* What was tried and is not needed goes, from the last node to the first. */
static void
remove_unused(Graph *g, int first_value)
{
	Node *before;

	for (Node *n = g->last; n; n = before) {
		bool is_new = n->out[0] && n->out[0]->id >= first_value, is_used = false;

		before = n->prev;
		for (int i = 0; i < n->nouts; i++)
			is_used = is_used || (n->out[i] && n->out[i]->nuses > 0);
		if (is_new && !is_used)
			graph_remove(g, n);
	}
}

static bool
has_pairs(const Graph *g)
{
	for (const Node *n = g->first; n; n = n->next)
		if (n->op == OP_QUANTIZE || n->op == OP_DEQUANTIZE)
			return true;
	return false;
}

bool
pass_fuse_qdq(Graph *g, PassCtx *cx)
{
	int first_value = g->values.n;
	Qdq q;

	if (!has_pairs(g))
		return true;
	q = (Qdq){.r = rewrite_begin(g, cx)};
	diag_init(&q.quiet, cx->scratch);
	count_quantizers(&q);
	for (Node *n = g->first; n; n = n->next) {
		rewrite_inputs(&q.r, n);
		if (n->op == OP_QUANTIZE)
			read_quantize(&q, n);
		else if (n->op == OP_DEQUANTIZE)
			read_dequantize(&q, n);
		else if (n->op == OP_ARG_MAX || n->op == OP_ARG_MIN)
			read_arg_reduce(&q, n);
		else if (n->out[0])
			qdq_set_twin(&q, n->out[0], qdq_exact(&q, n));
	}
	rewrite_end(&q.r);
	label_outputs(g);
	remove_unused(g, first_value);
	return true;
}
