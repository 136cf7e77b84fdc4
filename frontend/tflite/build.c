/*
 * What readers of operators build with.
 */
#include <string.h>

#include "frontend/tflite/read.h"
#include "ir/num.h"

bool
tfl_error(TNode *n, DiagCode code, const char *format, ...)
{
	const char *text;
	va_list args;

	va_start(args, format);
	text = arena_vprintf(n->r->arena, format, args);
	va_end(args);
	return diag_report(n->r->d, &n->loc, code, "%s", text);
}

/* ---- Operands ---- */

bool
tfl_has(const TNode *n, int i)
{
	return i < n->nins && n->in[i];
}

Value *
tfl_in(TNode *n, int i)
{
	Tensor *t = i < n->nins ? n->in[i] : NULL;

	if (!t)
		return NULL;
	if (!t->value)
		t->value = graph_const(n->r->g, t->name, t->type,
		                       t->data ? t->data : arena_alloc(n->r->arena, 1));
	return t->value;
}

const Type *
tfl_type(const TNode *n, int i)
{
	return &n->in[i]->type;
}

const Type *
tfl_out_type(const TNode *n)
{
	return &n->out[0]->type;
}

bool
tfl_ints(TNode *n, int i, Ints *out)
{
	const Tensor *t = tfl_has(n, i) ? n->in[i] : NULL;
	const void *data = t && t->value ? t->value->data : t ? t->data : NULL;
	int32_t count = t ? type_numel(&t->type) : 0;
	int64_t *v;

	if (!t)
		return tfl_error(n, E_ARITY, "input %d is missing", i);
	if (!dtype_is_integer(t->type.dtype) || t->type.rank > 2 || count > TFL_MAX_PARTS)
		return tfl_error(n, E_TYPE, "input %d must be a short list of integers", i);
	if (!data && count > 0)
		return tfl_error(n, E_DYNAMIC, "input %d '%s' must be constant", i, t->name);
	v = ARENA_ARRAY(n->r->arena, int64_t, count);
	for (int32_t k = 0; k < count; k++)
		v[k] = num_load_int(t->type.dtype, data, (size_t)k);
	*out = (Ints){count, v};
	return true;
}

bool
tfl_int(TNode *n, int i, int64_t *out)
{
	Ints list;

	if (!tfl_ints(n, i, &list))
		return false;
	if (list.n != 1)
		return tfl_error(n, E_SHAPE, "input %d must be a single number", i);
	*out = list.v[0];
	return true;
}

bool
tfl_axis(TNode *n, int64_t axis, int rank, int64_t *out)
{
	*out = axis < 0 ? axis + rank : axis;
	if (*out >= 0 && *out < rank)
		return true;
	return tfl_error(n, E_ATTRIBUTE, "there is no axis %lld in a tensor of rank %d",
	                 (long long)axis, rank);
}

bool
tfl_custom(TNode *n, const char *name, int64_t lo, int64_t hi, int64_t *out)
{
	if (!flex_find(&n->custom, name, out))
		return tfl_error(n, E_MALFORMED, "the option '%s' is missing", name);
	if (*out >= lo && *out <= hi)
		return true;
	return tfl_error(n, E_ATTRIBUTE, "the option '%s' is %lld, not from %lld to %lld", name,
	                 (long long)*out, (long long)lo, (long long)hi);
}

Ints
tfl_list(TNode *n, int count, const int64_t *v)
{
	return (Ints){count, arena_copy(n->r->g->arena, v, (size_t)count * sizeof *v)};
}

bool
tfl_activation(TNode *n, int64_t code, Activation *out)
{
	if (code >= 0 && code <= 3) {
		*out = (Activation)code; /* they are numbered alike */
		return true;
	}
	return tfl_error(n, E_UNSUPPORTED, "the fused activation %lld is not supported",
	                 (long long)code);
}

bool
tfl_is_quantized(const TNode *n)
{
	return (tfl_has(n, 0) && n->in[0]->type.q) || (n->nouts > 0 && n->out[0]->type.q);
}

/* ---- Building ---- */

Node *
tfl_node(TNode *n, Op op, int nins, Value *const *in)
{
	Node *node;

	for (int i = 0; i < op_info[op].inputs_min; i++)
		if (!in[i])
			return NULL;
	while (nins > op_info[op].inputs_min && !in[nins - 1])
		nins--;
	node = graph_add(n->r->g, op, nins, in, NULL);
	node->loc = n->loc;
	if (n->nouts > 0)
		node->name = n->out[0]->layer;
	return node;
}

/* A node that does not fit is taken out again, so that the graph stays sound. */
static bool
infer(TNode *n, Node *node)
{
	if (node_infer(node, n->r->d))
		return true;
	graph_remove(n->r->g, node);
	return false;
}

Value *
tfl_value(TNode *n, Node *node)
{
	return node && infer(n, node) ? node->out[0] : NULL;
}

Value *
tfl_value_like(TNode *n, Node *node, int k)
{
	const Type *t = &n->out[k]->type;

	if (node && t->q) {
		node->out[0]->type.q = t->q;
		node->out[0]->type.dtype = t->dtype;
	}
	return tfl_value(n, node);
}

/* The file's shape must be the one that follows from the inputs. */
static bool
check_result(TNode *n, const Value *v, int k)
{
	const Tensor *t = n->out[k];

	if (type_equal(&v->type, &t->type))
		return true;
	return tfl_error(n, v->type.dtype == t->type.dtype ? E_SHAPE : E_TYPE,
	                 "the output '%s' is %s in the file, but %s by its inputs", t->name,
	                 type_text(n->r->arena, &t->type), type_text(n->r->arena, &v->type));
}

/* Elements that are only moved keep their meaning. */
static bool
keeps_quantization(const Node *node)
{
	const Quant *q = node->nins && node->in[0] ? node->in[0]->type.q : NULL;

	return !(op_info[node->op].traits & (MOVES | VIEW)) || !q || q->n != 1 ||
	       type_same_quant(&node->in[0]->type, &node->out[0]->type);
}

bool
tfl_result_of(TNode *n, Node *node, int k)
{
	Tensor *t = n->out[k];
	Value *v = node ? node->out[0] : NULL;

	if (!node)
		return false;
	if (t->type.q) {
		v->type.q = t->type.q;
		v->type.dtype = t->type.dtype;
	}
	if (!infer(n, node) || !check_result(n, v, k))
		return false;
	if (!keeps_quantization(node) || !type_same_quant(&v->type, &t->type))
		return tfl_error(n, E_UNSUPPORTED,
		                 "the output '%s' has another quantisation than its input", t->name);
	graph_rename(n->r->g, v, t->name);
	t->value = v;
	return true;
}

bool
tfl_result(TNode *n, Node *node)
{
	return tfl_result_of(n, node, 0);
}

bool
tfl_folded_result(TNode *n, Node *node)
{
	Tflite *r = n->r;

	if (!tfl_result(n, node))
		return false;
	if (type_bytes(&n->out[0]->type) > r->bytes_left)
		return true;
	if (node_fold_within(r->g, node, &r->fold_left)) {
		r->bytes_left -= type_bytes(&n->out[0]->type);
		graph_remove(r->g, node);
	}
	return true;
}

bool
tfl_bind(TNode *n, Value *v, int k)
{
	if (!v || !check_result(n, v, k))
		return false;
	n->out[k]->value = v;
	return true;
}

Value *
tfl_unary(TNode *n, Op op, Value *x)
{
	return tfl_value(n, tfl_node(n, op, 1, &x));
}

Value *
tfl_binary(TNode *n, Op op, Value *x, Value *y)
{
	return tfl_value(n, tfl_node(n, op, 2, (Value *[]){x, y}));
}

Value *
tfl_reshape(TNode *n, Value *x, int rank, const int32_t *dim)
{
	Node *node = tfl_node(n, OP_RESHAPE, 1, &x);
	int64_t shape[MAX_RANK];

	if (!node)
		return NULL;
	for (int i = 0; i < rank; i++)
		shape[i] = dim[i];
	((Attr_RESHAPE *)node->attr)->shape = tfl_list(n, rank, shape);
	return tfl_value(n, node);
}

Value *
tfl_transpose(TNode *n, Value *x, const int64_t *perm)
{
	Node *node = tfl_node(n, OP_TRANSPOSE, 1, &x);

	if (!node)
		return NULL;
	((Attr_TRANSPOSE *)node->attr)->perm = tfl_list(n, x->type.rank, perm);
	return tfl_value(n, node);
}

Value *
tfl_cast(TNode *n, Value *x, DType to)
{
	Node *node;

	if (!x || x->type.dtype == to)
		return x;
	node = tfl_node(n, OP_CAST, 1, &x);
	((Attr_CAST *)node->attr)->to = to;
	return tfl_value(n, node);
}

Value *
tfl_number(TNode *n, const Value *x, double v)
{
	return x ? graph_const_float(n->r->g, NULL, x->type.dtype, v) : NULL;
}

bool
tfl_result_reshaped(TNode *n, Value *x, int k)
{
	const Type *t = &n->out[k]->type;
	Node *node = tfl_node(n, OP_RESHAPE, 1, &x);
	int64_t shape[MAX_RANK];

	if (!node)
		return false;
	for (int i = 0; i < t->rank; i++)
		shape[i] = t->dim[i];
	((Attr_RESHAPE *)node->attr)->shape = tfl_list(n, t->rank, shape);
	return tfl_result_of(n, node, k);
}

void *
tfl_alloc(TNode *n, size_t count)
{
	if (count > n->r->bytes_left) {
		tfl_error(n, E_SIZE, "constants need too much memory");
		return NULL;
	}
	n->r->bytes_left -= count;
	return arena_alloc(n->r->arena, count);
}
