#include "ir/graph.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "ir/num.h"

const char *const field_kind_name[FIELD_KIND_COUNT] = {
	[FIELD_number] = "number", [FIELD_category] = "category", [FIELD_date] = "date",
	[FIELD_time] = "time",     [FIELD_date_time] = "date_time",
};

/* Names to values: open addressing, power of two. */
typedef struct NameTable {
	Value **slot;
	size_t size, used;
} NameTable;

static Value **
find_slot(const NameTable *t, const char *name)
{
	size_t i = (size_t)hash_text(name) & (t->size - 1);

	while (t->slot[i] && strcmp(t->slot[i]->name, name) != 0)
		i = (i + 1) & (t->size - 1);
	return &t->slot[i];
}

static void
add_name(Graph *g, Value *v)
{
	NameTable *t = g->names;

	if (2 * (t->used + 1) > t->size) {
		NameTable old = *t;

		t->size = 2 * old.size;
		t->slot = ARENA_ARRAY(g->arena, Value *, t->size);
		for (size_t i = 0; i < old.size; i++)
			if (old.slot[i])
				*find_slot(t, old.slot[i]->name) = old.slot[i];
	}
	*find_slot(t, v->name) = v;
	t->used++;
}

Graph *
graph_new(Arena *a, const char *name)
{
	Graph *g = ARENA_NEW(a, Graph);

	g->arena = a;
	g->name = arena_strdup(a, name);
	g->names = ARENA_NEW(a, NameTable);
	g->names->size = 64;
	g->names->slot = ARENA_ARRAY(a, Value *, g->names->size);
	return g;
}

Value *
graph_find(const Graph *g, const char *name)
{
	return *find_slot(g->names, name);
}

/* Gives `v` the name, made unique; see graph_value(). */
static void
name_value(Graph *g, Value *v, const char *name)
{
	if (name && *name && !graph_find(g, name)) {
		v->name = arena_strdup(g->arena, name);
	} else {
		const char *stem = name && *name ? name : "";

		for (int k = name && *name ? 2 : v->id;; k++) {
			v->name = *stem ? arena_printf(g->arena, "%s.%d", stem, k)
			                : arena_printf(g->arena, "%d", k);
			if (!graph_find(g, v->name))
				break;
		}
	}
	add_name(g, v);
}

Value *
graph_value(Graph *g, const char *name, Type type)
{
	Value *v = ARENA_NEW(g->arena, Value);

	assert(type_is_representable(&type));
	v->type = type;
	v->id = g->values.n;
	name_value(g, v, name);
	VEC_PUSH(g->arena, &g->values, v);
	return v;
}

/* The slot of the old name stays behind, with a value that no longer has it:
 * lookups step over it. */
void
graph_rename(Graph *g, Value *v, const char *name)
{
	if (strcmp(v->name, name) != 0)
		name_value(g, v, name);
}

Value *
graph_input(Graph *g, const char *name, Type type)
{
	Value *v = graph_value(g, name, type);

	VEC_PUSH(g->arena, &g->inputs, v);
	return v;
}

Value *
graph_state(Graph *g, const char *name, Type type, const void *initial)
{
	Value *v = graph_input(g, name, type), *c;

	c = graph_const(g, arena_printf(g->arena, "%s.initial", v->name), type, initial);
	c->nuses++;
	VEC_PUSH(g->arena, &g->states, c);
	return v;
}

int
graph_plain_inputs(const Graph *g)
{
	return g->inputs.n - g->states.n;
}

int
graph_plain_outputs(const Graph *g)
{
	return g->outputs.n - g->states.n;
}

bool
graph_is_input(const Graph *g, const Value *v)
{
	for (int i = 0; i < g->inputs.n; i++)
		if (g->inputs.v[i] == v)
			return true;
	return false;
}

Value *
graph_const(Graph *g, const char *name, Type type, const void *data)
{
	Value *v = graph_value(g, name, type);

	assert(data);
	v->data = data;
	return v;
}

bool
value_is_repeated(const Value *v)
{
	size_t width = (size_t)dtype_info[v->type.dtype].bytes, size = type_bytes(&v->type);
	const char *data = v->data;

	return size <= width || memcmp(data, data + width, size - width) == 0;
}

Value *
graph_const_float(Graph *g, const char *name, DType t, double value)
{
	void *data = arena_alloc(g->arena, (size_t)dtype_info[t].bytes);

	num_store(t, data, 0, value);
	return graph_const(g, name, type_scalar(t), data);
}

Value *
graph_const_ints(Graph *g, const char *name, int n, const int64_t *v)
{
	Type t = type_make(DT_I64, 1, (int32_t[]){n});

	return graph_const(g, name, t, arena_copy(g->arena, v, (size_t)n * sizeof *v));
}

void
graph_output(Graph *g, const char *name, Value *v)
{
	const char *copy = arena_strdup(g->arena, name);

	VEC_PUSH(g->arena, &g->outputs, v);
	VEC_PUSH(g->arena, &g->output_names, copy);
	v->nuses++;
}

void
graph_further_output(Graph *g, const char *name, Value *v)
{
	int at = graph_plain_outputs(g);
	const char *copy;

	graph_output(g, name, v);
	copy = g->output_names.v[g->outputs.n - 1];
	for (int i = g->outputs.n - 1; i > at; i--) {
		g->outputs.v[i] = g->outputs.v[i - 1];
		g->output_names.v[i] = g->output_names.v[i - 1];
	}
	g->outputs.v[at] = v;
	g->output_names.v[at] = copy;
}

static void
link_before(Graph *g, Node *n, Node *at)
{
	n->next = at;
	n->prev = at ? at->prev : g->last;
	if (n->prev)
		n->prev->next = n;
	else
		g->first = n;
	if (at)
		at->prev = n;
	else
		g->last = n;
}

Node *
graph_insert(Graph *g, Node *at, Op op, int nins, Value *const *in, int nouts,
             const char *const *out_names)
{
	const OpInfo *info = &op_info[op];
	Node *n = ARENA_NEW(g->arena, Node);

	n->op = op;
	n->graph = g;
	n->nins = nins;
	n->in = ARENA_ARRAY(g->arena, Value *, nins);
	for (int i = 0; i < nins; i++)
		node_set_input(n, i, in[i]);
	n->nouts = nouts;
	n->out = ARENA_ARRAY(g->arena, Value *, nouts);
	for (int i = 0; i < nouts; i++) {
		n->out[i] = graph_value(g, out_names ? out_names[i] : NULL, type_scalar(DT_F32));
		n->out[i]->def = n;
	}
	n->attr = arena_copy(g->arena, info->attr_default, info->attr_size);
	if (at) {
		n->loc = at->loc;
		n->name = at->name;
	}
	link_before(g, n, at);
	return n;
}

Node *
graph_add(Graph *g, Op op, int nins, Value *const *in, const char *out_name)
{
	return graph_insert(g, NULL, op, nins, in, 1, &out_name);
}

/* The quantisation that output i has because its elements come from input 0.  Scales
 * along an axis do not survive that. */
static const Quant *
moved_quant(const Node *n, int i)
{
	const Quant *q = n->nins && n->in[0] ? n->in[0]->type.q : NULL;

	return i == 0 && q && q->n == 1 && op_info[n->op].traits & (MOVES | VIEW) &&
	                       n->op != OP_CODES
	               ? q
	               : NULL;
}

bool
node_infer(Node *n, Diag *d)
{
	const OpInfo *info = &op_info[n->op];
	Type few[8] = {{0}}, *out = few;

	if (n->nouts > (int)(sizeof few / sizeof *few))
		out = ARENA_ARRAY(n->graph->arena, Type, n->nouts);
	if (n->nins < info->inputs_min || n->nins > info->inputs_max ||
	    n->nouts < info->outputs_min || n->nouts > info->outputs_max)
		return diag_report(d, &n->loc, E_ARITY, "'%s' cannot have %d inputs and %d outputs",
		                   info->name, n->nins, n->nouts);
	for (int i = 0; i < info->inputs_min; i++)
		if (!n->in[i])
			return diag_report(d, &n->loc, E_ARITY, "input %d of '%s' is missing", i,
			                   info->name);
	/* Operators without optional outputs work in them. */
	for (int i = 0; i < n->nouts && info->outputs_min == info->outputs_max; i++)
		if (!n->out[i])
			return diag_report(d, &n->loc, E_ARITY, "output %d of '%s' is missing", i,
			                   info->name);
	if (!node_infer_types(n, out, d))
		return false;
	for (int i = 0; i < n->nouts; i++) {
		if (!type_is_representable(&out[i]))
			return diag_report(d, &n->loc, E_SIZE,
			                   "output %d of '%s' is larger than 2 GiB", i, info->name);
		if (n->out[i]) {
			out[i].q = n->out[i]->type.q ? n->out[i]->type.q : moved_quant(n, i);
			n->out[i]->type = out[i];
		}
	}
	return true;
}

bool
node_has_quantized(const Node *n)
{
	for (int i = 0; i < n->nins; i++)
		if (n->in[i] && n->in[i]->type.q)
			return true;
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i] && n->out[i]->type.q)
			return true;
	return false;
}

bool
node_keeps_quant(const Node *n)
{
	const Value *x = n->nins ? n->in[0] : NULL, *y = n->nouts ? n->out[0] : NULL;

	return !(op_info[n->op].traits & (MOVES | VIEW)) || n->op == OP_CODES || !x || !y ||
	       !x->type.q || x->type.q->n != 1 || type_same_quant(&x->type, &y->type);
}

bool
node_is_quantized(const Node *n)
{
	return !(op_info[n->op].traits & (MOVES | VIEW)) && node_has_quantized(n);
}

/* The attribute of that name, or NULL. */
static void *
find_attr(const Node *n, const char *name)
{
	const AttrInfo *a = op_info[n->op].attrs;

	while (a->name && strcmp(a->name, name) != 0)
		a++;
	return a->name ? (char *)n->attr + a->offset : NULL;
}

/* The value of an attribute that is an enumeration, 0 when there is none of that
 * name. */
static int
enum_attr(const Node *n, const char *name)
{
	const void *a = find_attr(n, name);
	int value = 0;

	if (a)
		memcpy(&value, a, sizeof value);
	return value;
}

Activation
node_activation(const Node *n)
{
	return (Activation)enum_attr(n, "activation");
}

TensorLayout
node_layout(const Node *n)
{
	return (TensorLayout)enum_attr(n, "layout");
}

bool
node_set_activation(Node *n, Activation a)
{
	Activation *own = find_attr(n, "activation");

	if (own)
		*own = a;
	return own != NULL;
}

bool
node_set_layout(Node *n, TensorLayout layout)
{
	TensorLayout *own = find_attr(n, "layout");

	if (own)
		*own = layout;
	return own != NULL;
}

bool
node_is_plain(const Node *n)
{
	return !node_is_quantized(n) && node_activation(n) == ACTIVATION_none &&
	       node_layout(n) == LAYOUT_nchw;
}

void
graph_remove(Graph *g, Node *n)
{
	for (int i = 0; i < n->nouts; i++)
		assert(!n->out[i] || n->out[i]->def != n || n->out[i]->nuses == 0);
	for (int i = 0; i < n->nins; i++)
		node_set_input(n, i, NULL);
	if (n->prev)
		n->prev->next = n->next;
	else
		g->first = n->next;
	if (n->next)
		n->next->prev = n->prev;
	else
		g->last = n->prev;
}

void
graph_replace_uses(Graph *g, Value *from, Value *to)
{
	for (Node *n = g->first; n; n = n->next)
		for (int i = 0; i < n->nins; i++)
			if (n->in[i] == from)
				node_set_input(n, i, to);
	for (int i = 0; i < g->outputs.n; i++) {
		if (g->outputs.v[i] == from) {
			g->outputs.v[i] = to;
			from->nuses--;
			to->nuses++;
		}
	}
}

void
node_set_input(Node *n, int i, Value *v)
{
	if (n->in[i])
		n->in[i]->nuses--;
	n->in[i] = v;
	if (v)
		v->nuses++;
}

void
graph_make_const(Graph *g, Value *v, const void *data)
{
	Node *n = v->def;

	assert(data);
	v->data = data;
	v->def = NULL;
	for (int i = 0; n && i < n->nouts; i++) {
		if (n->out[i] == v) {
			n->out[i] = graph_value(g, NULL, v->type);
			n->out[i]->def = n;
		}
	}
}

int64_t
value_int(const Value *v, int32_t i)
{
	return num_load_int(v->type.dtype, v->data, (size_t)i);
}

double
value_float(const Value *v, int32_t i)
{
	return num_load(v->type.dtype, v->data, (size_t)i);
}

/* ---- Fields ---- */

static const Field *
find_field(const Field *v, int n, int index, int32_t element)
{
	for (int i = 0; i < n; i++)
		if (v[i].index == index && v[i].element == element)
			return &v[i];
	return NULL;
}

const Field *
graph_input_field(const Graph *g, int index, int32_t element)
{
	return find_field(g->input_fields.v, g->input_fields.n, index, element);
}

const Field *
graph_output_field(const Graph *g, int index, int32_t element)
{
	return find_field(g->output_fields.v, g->output_fields.n, index, element);
}

/* The verifier has seen that no element is two fields, so counting is enough. */
bool
graph_has_input_fields(const Graph *g)
{
	int64_t elements = 0;

	for (int i = 0; i < graph_plain_inputs(g); i++)
		elements += type_numel(&g->inputs.v[i]->type);
	return elements > 0 && elements == g->input_fields.n;
}

bool
graph_has_output_fields(const Graph *g)
{
	int64_t elements = 0;

	for (int i = 0; i < graph_plain_outputs(g); i++)
		elements += type_numel(&g->outputs.v[i]->type);
	return elements > 0 && elements == g->output_fields.n;
}
