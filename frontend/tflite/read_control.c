/*
 * Operators that run other graphs of the file: IF and WHILE.
 *
 * The graphs are read in the place of the operator.  An IF whose condition is only known
 * while running computes both sides and selects; nothing that a graph does has effects
 * but on variables, which are selected too.  A WHILE is unrolled, so how often it runs has
 * to follow from constants.
 */
#include "frontend/tflite/read.h"
#include "ir/num.h"

enum {
	MAX_GRAPH_DEPTH = 16,
	MAX_TRIPS = 1000,
	MAX_FOLDED = 64 /* elements of what is computed to know a condition */
};

/* ---- Reading a graph in place ---- */

/* Operand t is the graph's tensor `index`. */
static bool
bind_input(TNode *n, const Tensor *t, int32_t index)
{
	Tflite *r = n->r;
	Tensor *to = index >= 0 && index < r->ntensors ? &r->tensors[index] : NULL;

	if (!t || !to || to->value || to->data || to->variable)
		return tfl_error(n, E_MALFORMED, "an input of the graph is no tensor of its own");
	to->variable = t->variable;
	if (t->variable)
		return true;
	if (!to->has_type || !type_equal(&t->value->type, &to->type) ||
	    !type_same_quant(&t->value->type, &to->type))
		return tfl_error(n, E_TYPE, "the graph's input '%s' has another type than '%s'",
		                 to->name, t->name);
	to->value = t->value;
	return true;
}

/* The graph's output i is what `out` becomes. */
static bool
take_output(TNode *n, int i, Tensor *out)
{
	Tflite *r = n->r;
	int32_t index = fb_i32(&r->fb, r->graph.outputs, (size_t)i);
	Tensor *t = index >= 0 && index < r->ntensors ? &r->tensors[index] : NULL;

	if (t && !t->value && t->data)
		t->value = graph_const(r->g, t->name, t->type, t->data);
	if (!t || (!t->value && !t->variable))
		return tfl_error(n, E_MALFORMED, "an output of the graph is not defined");
	*out = *t;
	return true;
}

static bool
read_graph(TNode *n, const Tensor *const *in, int nins, Tensor *out, int nouts)
{
	Tflite *r = n->r;

	if (r->graph.inputs.count != (size_t)nins || r->graph.outputs.count != (size_t)nouts)
		return tfl_error(n, E_ARITY, "the graph has %zu inputs and %zu outputs, not %d and %d",
		                 r->graph.inputs.count, r->graph.outputs.count, nins, nouts);
	for (int i = 0; i < nins; i++)
		if (!bind_input(n, in[i], fb_i32(&r->fb, r->graph.inputs, (size_t)i)))
			return false;
	if (!tfl_read_operators(r))
		return false;
	for (int i = 0; i < nouts; i++)
		if (!take_output(n, i, &out[i]))
			return false;
	return true;
}

/* Reads graph `index` with these inputs; its outputs go to `out`. */
static bool
inline_graph(TNode *n, int64_t index, const Tensor *const *in, int nins, Tensor *out, int nouts)
{
	Tflite *r = n->r;
	TflPlace outer;
	bool ok;

	if (r->initialising)
		return tfl_error(n, E_UNSUPPORTED, "a graph that runs once runs another one");
	if (r->depth == MAX_GRAPH_DEPTH)
		return tfl_error(n, E_UNSUPPORTED, "graphs that run graphs, more than %d deep",
		                 MAX_GRAPH_DEPTH);
	if (!tfl_enter(n, index, &outer))
		return false;
	r->depth++;
	ok = read_graph(n, in, nins, out, nouts);
	r->depth--;
	tfl_leave(r, &outer);
	return ok;
}

/* Operands with values, from `first` on. */
static const Tensor **
operands(TNode *n, int first)
{
	const Tensor **in = ARENA_ARRAY(n->r->arena, const Tensor *, n->nins);

	for (int i = first; i < n->nins; i++) {
		if (!n->in[i] || (!n->in[i]->variable && !tfl_in(n, i))) {
			tfl_error(n, E_ARITY, "input %d is missing", i);
			return NULL;
		}
		in[i - first] = n->in[i];
	}
	return in;
}

static bool
bind_result(TNode *n, const Tensor *v, int k)
{
	n->out[k]->variable = v->variable;
	return v->variable || tfl_bind(n, v->value, k);
}

/* Whether `v` is a bool, or the only element of a tensor of them. */
static bool
check_condition(TNode *n, const Tensor *t)
{
	if (t && t->has_type && t->type.dtype == DT_BOOL && type_numel(&t->type) == 1)
		return true;
	return tfl_error(n, E_TYPE, "the condition must be a single bool");
}

/* ---- IF ---- */

/* What variables hold. */
static Value **
held_values(Tflite *r)
{
	Value **v = ARENA_ARRAY(r->arena, Value *, r->variables.n);

	for (int i = 0; i < r->variables.n; i++)
		v[i] = r->variables.v[i]->value;
	return v;
}

/* Puts back what the first `count` variables held; one that was first looked at since
 * holds what it does when the call begins. */
static void
put_back(Tflite *r, Value *const *v, int count)
{
	for (int i = 0; i < r->variables.n; i++)
		r->variables.v[i]->value = i < count && v[i] ? v[i] : r->variables.v[i]->held;
}

/* condition ? x : y as a node that is not inferred. */
static Node *
selected(TNode *n, Value *condition, Value *x, Value *y)
{
	return tfl_node(n, OP_WHERE, 3, (Value *[]){condition, x, y});
}

static bool
select_variables(TNode *n, Value *condition, Value *const *then, int count)
{
	Tflite *r = n->r;

	for (int i = 0; i < r->variables.n; i++) {
		Variable *v = r->variables.v[i];
		Value *x = i < count && then[i] ? then[i] : v->held;
		Node *node;

		if (x == v->value)
			continue;
		if (!(node = selected(n, condition, x, v->value)))
			return false;
		node->out[0]->type.q = v->held->type.q;
		node->out[0]->type.dtype = v->held->type.dtype;
		if (!(v->value = tfl_value(n, node)))
			return false;
	}
	return true;
}

static bool
select_results(TNode *n, Value *condition, const Tensor *then, const Tensor *other)
{
	for (int k = 0; k < n->nouts; k++) {
		if (then[k].variable || other[k].variable)
			return tfl_error(n, E_UNSUPPORTED, "a choice between variables");
		if (then[k].value == other[k].value) {
			if (!tfl_bind(n, then[k].value, k))
				return false;
			continue;
		}
		if (!tfl_result_of(n, selected(n, condition, then[k].value, other[k].value), k))
			return false;
	}
	return true;
}

/* Both sides are computed. */
static bool
read_both(TNode *n, const Tensor *const *in)
{
	const FbIfOptions *o = &n->options.as_IfOptions;
	Tflite *r = n->r;
	Value *condition = tfl_reshape(n, tfl_in(n, 0), 0, NULL), **before, **then_values;
	Tensor *then = ARENA_ARRAY(r->arena, Tensor, n->nouts);
	Tensor *other = ARENA_ARRAY(r->arena, Tensor, n->nouts);
	int nbefore = r->variables.n, nthen;

	before = held_values(r);
	if (!inline_graph(n, o->then_graph, in, n->nins - 1, then, n->nouts))
		return false;
	nthen = r->variables.n;
	then_values = held_values(r);
	put_back(r, before, nbefore);
	return inline_graph(n, o->else_graph, in, n->nins - 1, other, n->nouts) &&
	       select_variables(n, condition, then_values, nthen) &&
	       select_results(n, condition, then, other);
}

bool
tfl_read_if(TNode *n)
{
	const FbIfOptions *o = &n->options.as_IfOptions;
	const Tensor **in = operands(n, 1);
	Tensor *out = ARENA_ARRAY(n->r->arena, Tensor, n->nouts);
	Value *condition;
	bool taken;

	if (!in || !check_condition(n, n->in[0]) || !(condition = tfl_in(n, 0)))
		return false;
	if (!value_is_const(condition))
		return read_both(n, in);
	taken = value_int(condition, 0) != 0;
	if (!inline_graph(n, taken ? o->then_graph : o->else_graph, in, n->nins - 1, out, n->nouts))
		return false;
	for (int k = 0; k < n->nouts; k++)
		if (!bind_result(n, &out[k], k))
			return false;
	return true;
}

/* ---- WHILE ---- */

/* Computes what can be, of the nodes after `last`: counters and what they lead to. */
static void
fold_after(Tflite *r, Node *last)
{
	Node *next;

	for (Node *n = last ? last->next : r->g->first; n; n = next) {
		bool small = true;

		next = n->next;
		for (int k = 0; k < n->nouts; k++)
			small &= n->out[k] && type_numel(&n->out[k]->type) <= MAX_FOLDED;
		if (small && node_fold_within(r->g, n, &r->fold_left))
			graph_remove(r->g, n);
	}
}

/* Whether the loop goes on. */
static bool
read_condition(TNode *n, const Tensor *const *state, bool *goes_on)
{
	Node *last = n->r->g->last;
	Tensor condition;

	if (!inline_graph(n, n->options.as_WhileOptions.condition, state, n->nins, &condition, 1) ||
	    !check_condition(n, &condition))
		return false;
	fold_after(n->r, last);
	if (!value_is_const(condition.value))
		return tfl_error(n, E_DYNAMIC,
		                 "how often the loop runs depends on data; it is unrolled, so that "
		                 "its condition has to follow from constants");
	*goes_on = value_int(condition.value, 0) != 0;
	return true;
}

bool
tfl_read_while(TNode *n)
{
	const FbWhileOptions *o = &n->options.as_WhileOptions;
	const Tensor **state = operands(n, 0);
	bool goes_on;

	if (!state)
		return false;
	if (n->nins != n->nouts)
		return tfl_error(n, E_ARITY, "%d inputs, but %d outputs", n->nins, n->nouts);
	for (int i = 0; read_condition(n, state, &goes_on); i++) {
		Node *last = n->r->g->last;
		Tensor *next = ARENA_ARRAY(n->r->arena, Tensor, n->nins);

		if (!goes_on) {
			for (int k = 0; k < n->nouts; k++)
				if (!bind_result(n, state[k], k))
					return false;
			return true;
		}
		if (i == MAX_TRIPS)
			return tfl_error(n, E_SIZE, "the loop runs more than %d times", MAX_TRIPS);
		if (!inline_graph(n, o->body, state, n->nins, next, n->nins))
			return false;
		fold_after(n->r, last);
		for (int k = 0; k < n->nins; k++)
			state[k] = &next[k];
	}
	return false;
}
