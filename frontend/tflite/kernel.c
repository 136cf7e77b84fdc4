#include "frontend/tflite/kernel.h"

void
tfl_kernel_begin(TflKernel *k, TNode *n, const char *name)
{
	*k = (TflKernel){.n = n};
	loop_begin(&k->b, n->r->arena, name);
}

/* The value without its quantisation. */
static Value *
stored(TNode *n, Value *v)
{
	return v && v->type.q ? tfl_value(n, tfl_node(n, OP_CODES, 1, &v)) : v;
}

LBuf *
tfl_kernel_in(TflKernel *k, const char *name, Value *v)
{
	if (!(v = stored(k->n, v))) {
		k->failed = true;
		return NULL;
	}
	k->in[k->nins++] = v;
	return loop_buf(&k->b, name, v->type.dtype, type_numel(&v->type), LBUF_IN, NULL);
}

static LBuf *
add_out(TflKernel *k, const char *name, const Type *t, int number)
{
	k->out[k->nouts++] = number;
	return loop_buf(&k->b, name, t->dtype, type_numel(t), LBUF_OUT, NULL);
}

LBuf *
tfl_kernel_out(TflKernel *k, const char *name, int number)
{
	return add_out(k, name, &k->n->out[number]->type, number);
}

LBuf *
tfl_kernel_next(TflKernel *k, const char *name, Variable *v)
{
	k->state[k->nouts] = v;
	return add_out(k, name, &v->held->type, -1);
}

LBuf *
tfl_kernel_scratch(TflKernel *k, const char *name, DType t, int32_t count)
{
	return loop_buf(&k->b, name, t, count, LBUF_SCRATCH, NULL);
}

/* Kernels give vectors: the same bytes in the shape and with the quantisation of `t`. */
static Node *
shaped(TNode *n, Value *v, const Type *t)
{
	int32_t dim[MAX_RANK];
	Node *node;

	for (int i = 0; i < t->rank; i++)
		dim[i] = t->dim[i];
	if (!t->q) {
		int64_t shape[MAX_RANK];

		for (int i = 0; i < t->rank; i++)
			shape[i] = t->dim[i];
		if ((node = tfl_node(n, OP_RESHAPE, 1, &v)))
			((Attr_RESHAPE *)node->attr)->shape = tfl_list(n, t->rank, shape);
		return node;
	}
	v = tfl_reshape(n, v, t->rank, dim);
	return tfl_node(n, OP_CODES, 1, &v);
}

static bool
bind_output(TflKernel *k, Value *v, int i)
{
	Variable *state = k->state[i];
	Node *node;

	if (!state)
		return tfl_result_of(k->n, shaped(k->n, v, &k->n->out[k->out[i]]->type), k->out[i]);
	node = shaped(k->n, v, &state->held->type);
	if (!node)
		return false;
	node->out[0]->type.q = state->held->type.q;
	node->out[0]->type.dtype = state->held->type.dtype;
	state->value = tfl_value(k->n, node);
	return state->value != NULL;
}

bool
tfl_kernel_finish(TflKernel *k)
{
	TNode *n = k->n;
	LFunc *f = loop_finish(&k->b);
	Node *node;
	Str s;

	str_init(&s, n->r->arena);
	lfunc_print(&s, f);
	node = graph_insert(n->r->g, NULL, OP_KERNEL, k->nins, k->in, k->nouts, NULL);
	node->loc = n->loc;
	node->name = n->out[0]->name;
	((Attr_KERNEL *)node->attr)->code = s.s;
	if (!tfl_value(n, node))
		return false;
	for (int i = 0; i < k->nouts; i++)
		if (!bind_output(k, node->out[i], i))
			return false;
	return true;
}
