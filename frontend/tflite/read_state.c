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
	Variable *v = n->in[0]->variable;

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
	Variable *v = n->in[0]->variable;
	Tensor *t = n->in[1];

	if (!v || !t->has_type)
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
