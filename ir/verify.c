/*
 * The verifier of the graph IR: the rules of graph.h, and the types that the
 * operators' shape rules give.
 *
 * A broken rule is a mistake of mcc or of whoever wrote the graph's text; each one
 * is reported with the node's line.
 */
#include <string.h>

#include "ir/graph.h"

typedef struct {
	const Graph *g;
	Arena *scratch;
	Diag *d;
	bool *defined; /* by Value.id: as far as the nodes were looked at */
	int *uses;     /* by Value.id */
	bool ok;
} Verifier;

__attribute__((format(printf, 3, 4))) static void
broken(Verifier *v, const Node *n, const char *format, ...)
{
	Loc loc = n ? n->loc : (Loc){0};
	const char *text;
	va_list args;
	Str line;

	v->ok = false;
	va_start(args, format);
	text = arena_vprintf(v->d->arena, format, args);
	va_end(args);
	if (!n) {
		diag_report(v->d, &loc, E_VERIFY, "%s", text);
		return;
	}
	str_init(&line, v->scratch);
	node_print(&line, n);
	diag_report_at(v->d, &loc, E_VERIFY, line.s, 0, (int)strcspn(line.s, " :"), "%s", text);
}

static bool
belongs(const Verifier *v, const Value *x)
{
	return x->id >= 0 && x->id < v->g->values.n && v->g->values.v[x->id] == x;
}

static void
check_values(Verifier *v)
{
	for (int i = 0; i < v->g->values.n; i++) {
		const Value *x = v->g->values.v[i];

		if (x->id != i)
			broken(v, NULL, "value '%s' has number %d instead of %d", x->name, x->id,
			       i);
		if (graph_find(v->g, x->name) != x)
			broken(v, NULL, "value '%s' is not found by its name", x->name);
		if (x->type.dtype == DT_IDX || !type_is_representable(&x->type))
			broken(v, x->def, "value '%s' has an impossible type", x->name);
		if (x->def && x->data)
			broken(v, x->def, "value '%s' is a constant and computed", x->name);
		v->defined[i] = x->data != NULL;
	}
}

static void
check_inputs(Verifier *v)
{
	for (int i = 0; i < v->g->inputs.n; i++) {
		const Value *x = v->g->inputs.v[i];

		if (!belongs(v, x))
			broken(v, NULL, "input %d is not a value of the graph", i);
		else if (x->def || x->data || v->defined[x->id])
			broken(v, x->def, "input '%s' is defined otherwise or twice", x->name);
		else
			v->defined[x->id] = true;
	}
}

static void
check_use(Verifier *v, const Node *n, const Value *x)
{
	if (!belongs(v, x)) {
		broken(v, n, "'%s' is not a value of the graph", x->name);
		return;
	}
	v->uses[x->id]++;
	if (!v->defined[x->id])
		broken(v, n, "'%s' is used before it is defined", x->name);
}

static void
check_outputs_of(Verifier *v, const Node *n)
{
	bool is_wanted = false;

	for (int i = 0; i < n->nouts; i++) {
		const Value *x = n->out[i];

		if (!x)
			continue;
		is_wanted = true;
		if (!belongs(v, x)) {
			broken(v, n, "'%s' is not a value of the graph", x->name);
			continue;
		}
		if (x->def != n || v->defined[x->id])
			broken(v, n, "'%s' is defined otherwise or twice", x->name);
		v->defined[x->id] = true;
	}
	if (!is_wanted)
		broken(v, n, "no output is wanted");
}

static bool
has_arity(const Node *n)
{
	const OpInfo *info = &op_info[n->op];

	if (n->nins < info->inputs_min || n->nins > info->inputs_max ||
	    n->nouts < info->outputs_min || n->nouts > info->outputs_max)
		return false;
	for (int i = 0; i < info->inputs_min; i++)
		if (!n->in[i])
			return false;
	return true;
}

static void
check_types(Verifier *v, const Node *n)
{
	Type *out = ARENA_ARRAY(v->scratch, Type, n->nouts);

	if (!node_infer_types(n, out, v->d)) {
		v->ok = false;
		return;
	}
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i] && !type_equal(&out[i], &n->out[i]->type))
			broken(v, n, "output %d should be %s", i, type_text(v->scratch, &out[i]));
	if (!node_keeps_quant(n))
		broken(v, n, "the output has another quantisation than the elements moved there");
}

static void
check_node(Verifier *v, const Node *n)
{
	if ((n->prev ? n->prev->next : v->g->first) != n ||
	    (n->next ? n->next->prev : v->g->last) != n)
		broken(v, n, "the list of nodes is not linked both ways");
	if (!n->attr) {
		broken(v, n, "the node has no attributes");
		return;
	}
	for (int i = 0; i < n->nins; i++)
		if (n->in[i])
			check_use(v, n, n->in[i]);
	check_outputs_of(v, n);
	if (!has_arity(n))
		broken(v, n, "'%s' cannot have these inputs and outputs", op_info[n->op].name);
	else if (v->ok)
		check_types(v, n);
}

static void
check_graph_outputs(Verifier *v)
{
	const Graph *g = v->g;

	if (g->outputs.n != g->output_names.n)
		broken(v, NULL, "%d outputs have %d names", g->outputs.n, g->output_names.n);
	for (int i = 0; i < g->outputs.n; i++)
		check_use(v, NULL, g->outputs.v[i]);
}

static void
check_states(Verifier *v)
{
	const Graph *g = v->g;

	if (g->states.n > g->inputs.n || g->states.n > g->outputs.n) {
		broken(v, NULL, "there are more states than inputs or outputs");
		return;
	}
	for (int i = 0; i < g->states.n; i++) {
		const Value *c = g->states.v[i];
		const Value *held = g->inputs.v[graph_plain_inputs(g) + i];
		const Value *next = g->outputs.v[graph_plain_outputs(g) + i];

		check_use(v, NULL, c);
		if (!c->data)
			broken(v, NULL, "'%s' is not a constant", c->name);
		if (!type_equal(&held->type, &c->type) || !type_equal(&held->type, &next->type))
			broken(v, NULL, "the state '%s' changes its type", held->name);
	}
}

/* Fields name each element once at most, and categories are integers. */
static void
check_fields(Verifier *v, const Field *f, int n, Value *const *values, int nvalues)
{
	bool **seen = ARENA_ARRAY(v->scratch, bool *, nvalues);

	for (int i = 0; i < n; i++, f++) {
		const Type *t;

		if (f->index < 0 || f->index >= nvalues) {
			broken(v, NULL, "the field '%s' is no input or output", f->name);
			continue;
		}
		t = &values[f->index]->type;
		if (!seen[f->index])
			seen[f->index] = ARENA_ARRAY(v->scratch, bool, type_numel(t));
		if (f->element < 0 || f->element >= type_numel(t) || seen[f->index][f->element])
			broken(v, NULL, "the field '%s' is no element, or one that has a name",
			       f->name);
		else
			seen[f->index][f->element] = true;
		if (f->kind == FIELD_category ? !dtype_is_integer(t->dtype) : f->nlabels > 0)
			broken(v, NULL, "the field '%s' cannot have labels", f->name);
	}
}

static void
check_use_counts(Verifier *v)
{
	for (int i = 0; i < v->g->values.n; i++) {
		const Value *x = v->g->values.v[i];

		if (x->nuses != v->uses[i])
			broken(v, x->def, "'%s' has %d uses, not %d", x->name, v->uses[i],
			       x->nuses);
	}
}

bool
graph_verify(const Graph *g, Diag *d)
{
	Arena *scratch = arena_child(g->arena);
	Verifier v = {
		.g = g,
		.scratch = scratch,
		.d = d,
		.defined = ARENA_ARRAY(scratch, bool, g->values.n),
		.uses = ARENA_ARRAY(scratch, int, g->values.n),
		.ok = true,
	};

	check_values(&v);
	check_inputs(&v);
	for (const Node *n = g->first; n && !diag_full(d); n = n->next)
		check_node(&v, n);
	check_graph_outputs(&v);
	check_states(&v);
	check_fields(&v, g->input_fields.v, g->input_fields.n, g->inputs.v, g->inputs.n);
	check_fields(&v, g->output_fields.v, g->output_fields.n, g->outputs.v, g->outputs.n);
	check_use_counts(&v);
	arena_free(scratch);
	return v.ok;
}
