/*
 * Variables: what a model keeps between calls.
 *
 * A variable becomes a state of the graph when it is first looked at.  Reading gives
 * what it holds at that point of the call; what was assigned last is what it holds at
 * the end.
 */
#include <string.h>

#include "frontend/tflite/read.h"
#include "ir/num.h"

enum { MAX_VARIABLES = 10000 };

static bool
same_text(FbString a, FbString b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

/* The variable of that name, in all graphs of the file. */
bool
tfl_read_var_handle(TNode *n)
{
	const FbVarHandleOptions *o = &n->options.as_VarHandleOptions;
	Tflite *r = n->r;
	Variable *v;

	if (n->out[0]->file_type != TFL_RESOURCE)
		return tfl_error(n, E_TYPE, "the output must be a resource");
	for (int i = 0; i < r->variables.n; i++) {
		v = r->variables.v[i];
		if (!fb_spend(&r->fb, 1 + o->shared_name.n / 8))
			return false;
		if (same_text(v->container, o->container) && same_text(v->name, o->shared_name)) {
			n->out[0]->variable = v;
			return true;
		}
	}
	if (r->variables.n == MAX_VARIABLES)
		return tfl_error(n, E_SIZE, "more than %d variables", MAX_VARIABLES);
	v = ARENA_NEW(r->arena, Variable);
	*v = (Variable){.container = o->container, .name = o->shared_name};
	VEC_PUSH(r->arena, &r->variables, v);
	n->out[0]->variable = v;
	return true;
}

/* What a variable holds at first: what the graph that runs once gave it, or its zero
 * point where it is of 8 bits, or zero bytes. */
static const void *
initial_of(TNode *n, const Variable *v, const Type *t)
{
	char *zeros;

	if (v->initial) {
		if (type_equal(v->initial_type, t))
			return v->initial;
		tfl_error(n, E_TYPE, "the variable is set up as %s",
		          type_text(n->r->arena, v->initial_type));
		return NULL;
	}
	zeros = tfl_alloc(n, type_bytes(t) + 1);
	if (zeros && t->q && t->dtype == DT_I8)
		memset(zeros, t->q->zero[0], type_bytes(t));
	return zeros;
}

/* Makes the variable a state of type `t`. */
static bool
start_variable(TNode *n, Variable *v, const Type *t)
{
	const char *name = arena_strndup(n->r->arena, v->name.n ? v->name.s : "state",
	                                 v->name.n ? v->name.n : 5);
	const void *initial;

	if (v->value)
		return true;
	if (!(initial = initial_of(n, v, t)))
		return false;
	v->held = v->value = graph_state(n->r->g, name, *t, initial);
	return true;
}

static bool
check_type(TNode *n, const Variable *v, const Tensor *t)
{
	if (type_equal(&v->value->type, &t->type) && type_same_quant(&v->held->type, &t->type))
		return true;
	return tfl_error(n, E_TYPE, "the variable is %s, not %s",
	                 type_text(n->r->arena, &v->held->type),
	                 type_text(n->r->arena, &t->type));
}

bool
tfl_read_read_variable(TNode *n)
{
	Variable *v = tfl_has(n, 0) ? n->in[0]->variable : NULL;

	if (n->r->initialising)
		return tfl_error(n, E_UNSUPPORTED, "a graph that runs once reads a variable");
	if (!v)
		return tfl_error(n, E_TYPE, "the input must be a variable");
	if (!start_variable(n, v, &n->out[0]->type) || !check_type(n, v, n->out[0]))
		return false;
	n->out[0]->value = v->value;
	return true;
}

bool
tfl_read_assign_variable(TNode *n)
{
	Variable *v = tfl_has(n, 0) ? n->in[0]->variable : NULL;
	Tensor *t = tfl_has(n, 1) ? n->in[1] : NULL;

	if (!v || !t || !t->has_type)
		return tfl_error(n, E_TYPE, "the inputs must be a variable and a tensor");
	if (n->r->initialising) {
		if (!t->data || v->held)
			return tfl_error(n, E_UNSUPPORTED,
			                 "variables can only be set up with constants, once");
		v->initial = t->data;
		v->initial_type = &t->type;
		return true;
	}
	if (!start_variable(n, v, &t->type) || !check_type(n, v, t))
		return false;
	v->value = tfl_in(n, 1);
	return true;
}

bool
tfl_read_call_once(TNode *n)
{
	return tfl_run_once(n, n->options.as_CallOnceOptions.init_subgraph);
}

/* ---- Operators that have a state of their own ---- */

/* The variable behind operand i, which only this operator uses. */
static Variable *
own_state(TNode *n, int i)
{
	Tensor *t = n->in[i];
	Variable *v;

	if (!t->is_variable || t->variable || t->value) {
		tfl_error(n, E_UNSUPPORTED, "input %d must be a variable of its own", i);
		return NULL;
	}
	v = ARENA_NEW(n->r->arena, Variable);
	v->name = (FbString){t->name, strlen(t->name)};
	VEC_PUSH(n->r->arena, &n->r->variables, v);
	t->variable = v;
	return start_variable(n, v, &t->type) ? v : NULL;
}

Variable *
tfl_own_variable(TNode *n, const char *name, const Type *t, const void *initial)
{
	Variable *v = ARENA_NEW(n->r->arena, Variable);

	if (n->r->variables.n == MAX_VARIABLES) {
		tfl_error(n, E_SIZE, "more than %d variables", MAX_VARIABLES);
		return NULL;
	}
	v->name = (FbString){name, strlen(name)};
	v->held = v->value = graph_state(n->r->g, name, *t, initial);
	VEC_PUSH(n->r->arena, &n->r->variables, v);
	return v;
}

/* A node whose outputs after the first are what `count` variables hold next. */
static bool
stateful(TNode *n, Node *node, int count, Variable *const *v)
{
	for (int k = 0; k < count; k++) {
		node->out[1 + k]->type.q = v[k]->held->type.q;
		node->out[1 + k]->type.dtype = v[k]->held->type.dtype;
	}
	if (!tfl_result(n, node))
		return false;
	for (int k = 0; k < count; k++)
		v[k]->value = node->out[1 + k];
	return true;
}

static Node *
stateful_node(TNode *n, Op op, int nins, Value *const *in, int nouts)
{
	Node *node = graph_insert(n->r->g, NULL, op, nins, in, nouts, NULL);

	node->loc = n->loc;
	node->name = n->out[0]->name;
	return node;
}

static bool
has_all(TNode *n, int from, int to)
{
	for (int i = from; i < to; i++)
		if (!tfl_has(n, i))
			return tfl_error(n, E_UNSUPPORTED, "without input %d", i);
	return !n->r->initialising || tfl_error(n, E_UNSUPPORTED, "in a graph that runs once");
}

/* The features of a hybrid layer are made before; its other weights become floats. */
static bool
hybrid_features(TNode *n, Value *in[5])
{
	const FbSVDFOptions *o = &n->options.as_SVDFOptions;

	if (tfl_type(n, 0)->rank != 2 || tfl_type(n, 1)->rank != 2)
		return tfl_error(n, E_SHAPE, "input and weights must be matrices");
	in[0] = tfl_value(n, tfl_hybrid_product(n, in[0], in[1], NULL, o->asymmetric,
	                                        ACTIVATION_none));
	in[1] = NULL;
	if (tfl_type(n, 2)->q)
		in[2] = tfl_dequantized(n, 2);
	return in[0] && in[2];
}

bool
tfl_read_svdf(TNode *n)
{
	const FbSVDFOptions *o = &n->options.as_SVDFOptions;
	Activation activation;
	Value *in[5];
	Variable *state;
	Attr_SVDF *a;
	Node *node;

	if (!has_all(n, 0, 3) || !has_all(n, 4, 5) ||
	    !tfl_activation(n, o->activation, &activation) || !(state = own_state(n, 4)))
		return false;
	for (int i = 0; i < 4; i++)
		in[i] = i == 1 || i == 2 ? tfl_weights(n, 0, i, tfl_is_hybrid(n, 0, 1))
		                         : tfl_in(n, i);
	if (tfl_is_hybrid(n, 0, 1) && !hybrid_features(n, in))
		return false;
	in[4] = state->held;
	node = stateful_node(n, OP_SVDF, 5, in, 2);
	a = node->attr;
	a->rank = o->rank;
	a->activation = activation;
	return stateful(n, node, 1, &state);
}

/* Inputs of the file: x, four weights of the input, four recurrent ones, peepholes (9 to
 * 11), four biases (12 to 15), projection (16, 17), hidden and cell state, layer
 * normalisation (20 to 23). */
bool
tfl_read_sequence_lstm(TNode *n)
{
	enum { TANH = 4 };
	const FbLSTMOptions *o = &n->options.as_LSTMOptions;
	Variable *state[2];
	Value *in[15];
	Attr_SEQUENCE_LSTM *a;
	Node *node;

	for (int i = 9; i < n->nins; i++)
		if (n->in[i] && (i < 12 || i == 16 || i == 17 || i > 19))
			return tfl_error(n, E_UNSUPPORTED, "peepholes, projection or layer "
			                 "normalisation");
	if (!has_all(n, 0, 9) || !has_all(n, 12, 16) || !has_all(n, 18, 20))
		return false;
	if (o->activation != TANH)
		return tfl_error(n, E_UNSUPPORTED, "another activation than TANH");
	for (int i = 0; i < 2; i++)
		if (!(state[i] = own_state(n, 18 + i)))
			return false;
	for (int i = 0; i < 13; i++)
		in[i] = i > 0 && i < 9 ? tfl_weights(n, 0, i, true)
		                       : tfl_in(n, i < 9 ? i : i + 3);
	in[13] = state[0]->held;
	in[14] = state[1]->held;
	node = stateful_node(n, OP_SEQUENCE_LSTM, 15, in, 3);
	a = node->attr;
	a->time_major = o->time_major;
	a->cell_clip = o->cell_clip;
	a->symmetric = !o->asymmetric;
	return stateful(n, node, 2, state);
}

bool
tfl_finish_variables(Tflite *r)
{
	for (int i = 0; i < r->g->states.n; i++) {
		const Value *held = r->g->inputs.v[graph_plain_inputs(r->g) + i];

		for (int k = 0; k < r->variables.n; k++)
			if (r->variables.v[k]->held == held)
				graph_output(r->g, arena_printf(r->arena, "%s.next", held->name),
				             r->variables.v[k]->value);
	}
	return true;
}
