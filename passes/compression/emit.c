#include "passes/compression/emit.h"

#include <math.h>
#include <string.h>

#include "ir/num.h"

void
emit_init(Emit *e, Graph *to, const Graph *from, const Type *plan, Diag *d)
{
	size_t n = (size_t)from->values.n + 1;

	*e = (Emit){.to = to, .d = d, .plan = plan};
	e->map = ARENA_ARRAY(to->arena, Value *, n);
	e->plain = ARENA_ARRAY(to->arena, Value *, n);
	e->coded = ARENA_ARRAY(to->arena, Value *, n);
	to->single_rounding = from->single_rounding;
}

/* ---- Values ---- */

/* The least and greatest code. */
static void
find_limits(DType t, double *lo, double *hi)
{
	int bits = 8 * dtype_info[t].bytes;

	*lo = dtype_info[t].class == CLASS_UNSIGNED ? 0 : -ldexp(1, bits - 1);
	*hi = *lo + ldexp(1, bits) - 1;
}

void
emit_encode(const Type *type, const float *v, void *out)
{
	double lo, hi;

	find_limits(type->dtype, &lo, &hi);
	for (int32_t i = 0; i < type_numel(type); i++) {
		double x = round((double)(v[i] / type->q->scale[0])) + type->q->zero[0];

		num_store_int(type->dtype, out, (size_t)i, (int64_t)fmin(fmax(x, lo), hi));
	}
}

static Value *
constant(Emit *e, const char *name, Type type, const void *data)
{
	e->bytes += type_bytes(&type);
	return graph_const(e->to, name, type, data);
}

/* The constant v in codes of the type t. */
static Value *
coded_constant(Emit *e, const Value *v, const Type *t)
{
	Type type = v->type;
	void *data;

	type.dtype = t->dtype;
	type.q = t->q;
	data = arena_alloc(e->to->arena, type_bytes(&type) + 1);
	emit_encode(&type, v->data, data);
	return constant(e, v->name, type, data);
}

/* A node with one output of the type's element and quantisation. */
static Value *
insert(Emit *e, Op op, int nins, Value *const *in, const void *attr, const Type *like,
       const Node *of)
{
	Node *n = graph_insert(e->to, NULL, op, nins, in, 1, NULL);

	if (attr)
		memcpy(n->attr, attr, op_info[op].attr_size);
	if (of) {
		n->name = of->name;
		n->loc = of->loc;
	}
	if (like) {
		n->out[0]->type.dtype = like->dtype;
		n->out[0]->type.q = like->q;
	}
	return node_infer(n, e->d) ? n->out[0] : NULL;
}

Value *
emit_convert(Emit *e, Value *x, DType t, const Quant *q)
{
	Type like = {.dtype = t, .q = q};
	Attr_REQUANTIZE attr = {.to = t};

	return insert(e, OP_REQUANTIZE, 1, &x, &attr, q ? &like : NULL, x->def);
}

Value *
emit_as_is(Emit *e, Value *v)
{
	if (value_is_const(v)) {
		if (!e->plain[v->id])
			e->plain[v->id] = constant(e, v->name, v->type, v->data);
		return e->plain[v->id];
	}
	if (!e->map[v->id] && e->missing)
		e->map[v->id] = e->missing(e, v);
	return e->map[v->id];
}

static bool
has_type(const Value *v, const Type *t)
{
	return v->type.q && v->type.dtype == t->dtype && v->type.q->scale[0] == t->q->scale[0] &&
	       v->type.q->zero[0] == t->q->zero[0];
}

static Value *
as_type(Emit *e, Value *v, const Type *t)
{
	Value *x;

	if (value_is_const(v))
		return coded_constant(e, v, t);
	x = emit_as_is(e, v);
	if (has_type(x, t))
		return x;
	return emit_convert(e, x, t->dtype, t->q);
}

Value *
emit_coded(Emit *e, Value *v)
{
	if (!e->coded[v->id])
		e->coded[v->id] = as_type(e, v, &e->plan[v->id]);
	return e->coded[v->id];
}

Value *
emit_plain(Emit *e, Value *v)
{
	Value *x;

	if (value_is_const(v) || !plan_is_float(v))
		return emit_as_is(e, v);
	x = emit_as_is(e, v);
	if (!x || !x->type.q)
		return x;
	return emit_convert(e, x, DT_F32, NULL);
}

/* ---- Nodes ---- */

/* The node with the inputs `in`; `plan` gives the outputs their quantisation. */
static bool
copy_node(Emit *e, const Node *n, int nins, Value *const *in, const Type *plan)
{
	Node *c;

	for (int i = 0; i < nins; i++)
		if (!in[i] && (i >= n->nins || n->in[i]))
			return false;
	c = graph_insert(e->to, NULL, n->op, nins, in, n->nouts, NULL);
	memcpy(c->attr, n->attr, op_info[n->op].attr_size);
	c->name = n->name;
	c->loc = n->loc;
	for (int i = 0; i < n->nouts; i++) {
		if (!n->out[i]) {
			c->out[i] = NULL;
			continue;
		}
		graph_rename(e->to, c->out[i], n->out[i]->name);
		if (plan && plan_is_float(n->out[i])) {
			c->out[i]->type.dtype = plan[n->out[i]->id].dtype;
			c->out[i]->type.q = plan[n->out[i]->id].q;
		} else if (!plan_is_float(n->out[i])) {
			/* Operators on codes do not always say what they give. */
			c->out[i]->type.dtype = n->out[i]->type.dtype;
			c->out[i]->type.q = n->out[i]->type.q;
		}
	}
	if (!node_infer(c, e->d))
		return false;
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i])
			e->map[n->out[i]->id] = c->out[i];
	return true;
}

/* All float inputs by `form`, the others as they are. */
static bool
emit_with(Emit *e, const Node *n, Value *(*form)(Emit *e, Value *v), const Type *plan)
{
	Value **in = ARENA_ARRAY(e->to->arena, Value *, n->nins + 1);

	for (int i = 0; i < n->nins; i++)
		if (n->in[i])
			in[i] = plan_is_float(n->in[i]) ? form(e, n->in[i])
			                                : emit_as_is(e, n->in[i]);
	return copy_node(e, n, n->nins, in, plan);
}

/* All inputs in the quantisation of one value. */
static bool
emit_joined(Emit *e, const Node *n, const Type *t)
{
	Value **in = ARENA_ARRAY(e->to->arena, Value *, n->nins + 1);

	for (int i = 0; i < n->nins; i++)
		in[i] = as_type(e, n->in[i], t);
	return copy_node(e, n, n->nins, in, e->plan);
}

/* What is padded with is a code too. */
static Value *
pad_value(Emit *e, const Node *n, const Type *t)
{
	float zero = 0;
	const Value *v = n->nins > 1 ? n->in[1] : NULL;
	Type type = type_scalar(t->dtype);
	int8_t *code = arena_alloc(e->to->arena, 8);

	type.q = t->q;
	emit_encode(&type, v ? v->data : &zero, code);
	return constant(e, NULL, type, code);
}

static bool
emit_kept(Emit *e, const Node *n)
{
	Value **in = ARENA_ARRAY(e->to->arena, Value *, n->nins + 2);
	int nins = n->nins;

	in[0] = emit_coded(e, n->in[0]);
	for (int i = 1; i < nins; i++)
		if (n->in[i])
			in[i] = emit_as_is(e, n->in[i]);
	if (n->op == OP_PAD && ((const Attr_PAD *)n->attr)->mode == PAD_constant) {
		if (nins > 1 && n->in[1] && !value_is_const(n->in[1]))
			return diag_report(e->d, &n->loc, E_UNSUPPORTED,
			                   "padding with a number that is not constant");
		in[1] = pad_value(e, n, &e->plan[n->in[0]->id]);
		nins = 2;
	}
	return copy_node(e, n, nins, in, e->plan);
}

bool
emit_float_linear(Emit *e, const Node *n, Value *w, Value *bias)
{
	Value *in[] = {emit_plain(e, n->in[0]), w, bias};

	return copy_node(e, n, 3, in, NULL);
}

static bool
emit_linear(Emit *e, const Node *n, const NewWeights *w)
{
	const Type *y = &n->out[0]->type;
	bool has_bias = n->nins > 2 && n->in[2];
	int axis = n->op == OP_GEMM ? 1 : layout_channel(node_layout(n), y->rank);
	bool coded = w->type.q != NULL;
	Value *in[3];

	in[0] = coded ? emit_coded(e, n->in[0]) : emit_plain(e, n->in[0]);
	in[1] = constant(e, n->in[1]->name, w->type, w->w);
	in[2] = constant(e, has_bias ? n->in[2]->name : NULL,
	                 type_make(w->bias_type, 1, &y->dim[axis]), w->bias);
	return copy_node(e, n, 3, in, coded ? e->plan : NULL);
}

/* ---- LSTM ---- */

/* A matrix of weights on one scale. */
static Value *
lstm_weights(Emit *e, const Value *v)
{
	double most = 0;
	Type t = {.dtype = DT_I8};

	for (int32_t i = 0; i < type_numel(&v->type); i++)
		most = fmax(most, fabs((double)((const float *)v->data)[i]));
	t.q = plan_quant(e->to->arena, fmax(most / 127, 0x1p-30), 0);
	return coded_constant(e, v, &t);
}

static Value *
lstm_bias(Emit *e, const Value *v, double scale)
{
	Type t = v->type;
	int32_t *b = ARENA_ARRAY(e->to->arena, int32_t, type_numel(&t) + 1);

	t.dtype = DT_I32;
	for (int32_t i = 0; i < type_numel(&t); i++)
		b[i] = (int32_t)fmin(fmax(rint((double)((const float *)v->data)[i] / scale),
		                          INT32_MIN), INT32_MAX);
	return constant(e, v->name, t, b);
}

/* A state in the type of what it becomes. */
static Value *
lstm_state(Emit *e, Value *v, const Value *next)
{
	return next ? as_type(e, v, &e->plan[next->id]) : emit_coded(e, v);
}

static bool
emit_lstm(Emit *e, const Node *n)
{
	enum { WEIGHTS = 1, BIASES = 9, HIDDEN = 13, CELL = 14, INPUTS = 15, GATES = 4 };
	Value *in[INPUTS];
	double x_scale;

	for (int i = WEIGHTS; i < HIDDEN; i++)
		if (!value_is_const(n->in[i]))
			return diag_report(e->d, &n->loc, E_UNSUPPORTED,
			                   "weights that are not constant");
	in[0] = emit_coded(e, n->in[0]);
	if (!in[0])
		return false;
	x_scale = (double)in[0]->type.q->scale[0];
	for (int i = WEIGHTS; i < BIASES; i++)
		in[i] = lstm_weights(e, n->in[i]);
	for (int i = 0; i < GATES; i++)
		in[BIASES + i] = lstm_bias(e, n->in[BIASES + i],
		                           x_scale * (double)in[WEIGHTS + i]->type.q->scale[0]);
	in[HIDDEN] = lstm_state(e, n->in[HIDDEN], n->out[1] ? n->out[1] : n->out[0]);
	in[CELL] = lstm_state(e, n->in[CELL], n->out[2]);
	return copy_node(e, n, INPUTS, in, e->plan);
}

bool
emit_node(Emit *e, const Node *n, const NewWeights *weights, bool in_float)
{
	if (in_float)
		return weights ? emit_linear(e, n, weights) : emit_with(e, n, emit_plain, NULL);
	switch (plan_kind(n)) {
	case KIND_LINEAR: return emit_linear(e, n, weights);
	case KIND_KEEP: return emit_kept(e, n);
	case KIND_JOIN: return emit_joined(e, n, &e->plan[n->out[0]->id]);
	case KIND_ALIKE: return emit_joined(e, n, &e->plan[n->in[0]->id]);
	case KIND_FREE:
	case KIND_FIXED: return emit_with(e, n, emit_coded, e->plan);
	case KIND_PLAIN: return emit_with(e, n, emit_coded, NULL);
	case KIND_LSTM: return emit_lstm(e, n);
	case KIND_FLOAT: break;
	}
	return emit_with(e, n, emit_plain, NULL);
}
