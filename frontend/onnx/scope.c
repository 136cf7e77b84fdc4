/*
 * Names, and the loop over the nodes of a graph.
 *
 * An error in one node poisons its outputs; nodes that depend on them are
 * skipped without a word, so that one reading finds every independent problem.
 */
#include "frontend/onnx/read.h"
#include "frontend/onnx/words.h"

#include <string.h>

#include "frontend/onnx/onnx.h"

/* Reading goes on behind errors that are no longer shown, to count them, but not
 * for ever. */
enum { MAX_COUNTED_ERRORS = 10000 };

/* ---- The operator table ---- */

static const OnnxOp onnx_ops[] = {
#define ONNX_OP(name, domain, first, last, in_min, in_max, out_min, out_max, reader, op) \
	{name, domain, first, last, in_min, in_max, out_min, out_max, onnx_read_##reader, op},
#include "frontend/onnx/ops.def"
};

enum { NOPS = sizeof onnx_ops / sizeof onnx_ops[0] };

bool
onnx_supported(int i, OnnxSupported *out)
{
	if (i < 0 || i >= NOPS)
		return false;
	*out = (OnnxSupported){onnx_ops[i].name, onnx_ops[i].domain, onnx_ops[i].first,
	                       onnx_ops[i].last};
	return true;
}

const OnnxOp *
onnx_find_op(const char *domain, const char *name, int opset, bool *other_version)
{
	*other_version = false;
	for (int i = 0; i < NOPS; i++) {
		const OnnxOp *o = &onnx_ops[i];

		if (strcmp(o->name, name) != 0 || strcmp(o->domain, domain) != 0)
			continue;
		if (opset >= o->first && (!o->last || opset <= o->last))
			return o;
		*other_version = true;
	}
	return NULL;
}

/* ai.onnx has two spellings. */
const char *
onnx_domain(const char *domain)
{
	return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

/* The imported version; 1 for a domain that the file forgot to import, as some
 * exporters do with com.microsoft, but 0 for ai.onnx, where it matters. */
int
onnx_opset(const Scope *s, const char *domain)
{
	for (int i = 0; i < s->opsets->n; i++)
		if (strcmp(s->opsets->v[i].domain, domain) == 0)
			return s->opsets->v[i].version;
	return *domain ? 1 : 0;
}

/* ---- Names ---- */

void
onnx_scope_init(Scope *s, Onnx *r, const Scope *outer)
{
	*s = (Scope){.outer = outer, .prefix = "", .where = ""};
	map_init(&s->names, r->arena);
	map_init(&s->declared, r->arena);
	if (outer) {
		s->opsets = outer->opsets;
		s->call = outer->call;
		s->function = outer->function;
		s->prefix = outer->prefix;
		s->where = outer->where;
		s->node = outer->node;
		s->depth = outer->depth + 1;
	}
}

bool
onnx_bind(Onnx *r, Scope *s, const char *name, Value *v, const Loc *loc)
{
	Binding *b;

	if (map_get(&s->names, name))
		return diag_report(r->d, loc, E_NAME, "the name '%s' is defined twice", name);
	b = ARENA_NEW(r->arena, Binding);
	*b = (Binding){.value = v};
	map_set(&s->names, name, b);
	return true;
}

const Binding *
onnx_lookup(const Scope *s, const char *name)
{
	for (; s; s = s->outer) {
		const Binding *b = map_get(&s->names, name);

		if (b)
			return b;
	}
	return NULL;
}

void
onnx_declare(Onnx *r, Scope *s, ValueInfoProto *const *infos, size_t n)
{
	(void)r;
	for (size_t i = 0; i < n; i++)
		if (infos[i]->name && *infos[i]->name)
			map_set(&s->declared, infos[i]->name, infos[i]);
}

/* Where a name is defined that cannot be found: the node, or -1. */
static int
find_producer(const Scope *s, const char *name)
{
	for (size_t i = 0; i < s->nnodes; i++)
		for (size_t k = 0; k < s->nodes[i]->n_output; k++)
			if (strcmp(s->nodes[i]->output[k], name) == 0)
				return (int)i;
	return -1;
}

static void
report_unknown(ONode *n, int i)
{
	const char *name = n->proto->input[i];
	int producer = diag_full(n->r->d) ? -1 : find_producer(n->scope, name);

	if (producer < 0)
		onnx_error_in(n, i, E_NAME, "there is no value '%s'", name);
	else if (n->scope->nodes[producer] == n->proto)
		onnx_error_in(n, i, E_CYCLE, "'%s' depends on itself", name);
	else
		onnx_error_in(n, i, E_CYCLE,
		              "'%s' is used before node %d defines it: the nodes are in no order "
		              "or depend on each other in a circle",
		              name, producer);
}

/* ---- Initialisers ---- */

/* `data` is NULL when the tensor could not be read. */
static void
bind_constant(Onnx *r, Scope *s, const char *name, const Loc *loc, const void *data, Type type)
{
	const char *full = *s->prefix ? arena_printf(r->arena, "%s%s", s->prefix, name) : name;

	onnx_bind(r, s, name, data ? graph_const(r->g, full, type, data) : NULL, loc);
}

bool
onnx_read_initializers(Onnx *r, Scope *s, const GraphProto *g, const Loc *loc)
{
	for (size_t i = 0; i < g->n_initializer; i++) {
		const TensorProto *t = g->initializer[i];
		Type type = {.rank = 0};
		const void *data = NULL;
		bool ok;

		if (!t->name || !*t->name) {
			diag_report(r->d, loc, E_MALFORMED, "initializer %zu has no name", i);
			continue;
		}
		ok = onnx_tensor(&r->tensors, t, loc, &type, &data);
		bind_constant(r, s, t->name, loc, ok ? data : NULL, type);
	}
	for (size_t i = 0; i < g->n_sparse_initializer; i++) {
		const SparseTensorProto *t = g->sparse_initializer[i];
		Type type = {.rank = 0};
		const void *data = NULL;
		bool ok;

		if (!t->values || !t->values->name || !*t->values->name) {
			diag_report(r->d, loc, E_MALFORMED, "sparse initializer %zu has no name", i);
			continue;
		}
		ok = onnx_sparse_tensor(&r->tensors, t, loc, &type, &data);
		bind_constant(r, s, t->values->name, loc, ok ? data : NULL, type);
	}
	return r->d->errors < MAX_COUNTED_ERRORS;
}

/* ---- One node ---- */

static const char *
node_where(Onnx *r, const Scope *s, const NodeProto *p, size_t index)
{
	const char *type = p->op_type ? p->op_type : "?";

	if (p->name && *p->name)
		return arena_printf(r->arena, "%snode %zu '%s' (%s)", s->where, index, p->name,
		                    type);
	return arena_printf(r->arena, "%snode %zu (%s)", s->where, index, type);
}

/* The user's name, or else that of the first output. */
static const char *
node_name(Onnx *r, const Scope *s, const NodeProto *p)
{
	const char *name = p->name && *p->name ? p->name : p->n_output ? p->output[0] : "";

	return *s->prefix ? arena_printf(r->arena, "%s%s", s->prefix, name) : name;
}

static int
trimmed(char *const *names, size_t n)
{
	while (n > 0 && !*names[n - 1])
		n--;
	return (int)n;
}

static void
refuse(ONode *n, bool other_version)
{
	Onnx *r = n->r;
	const char *domain = onnx_domain(n->proto->domain);
	const char *name = n->proto->op_type ? n->proto->op_type : "";
	const char *full = *domain ? arena_printf(r->arena, "%s.%s", domain, name) : name;
	Refused *k = map_get(&r->refused, full);

	if (!k) {
		k = ARENA_NEW(r->arena, Refused);
		k->name = full;
		map_set(&r->refused, full, k);
		VEC_PUSH(r->arena, &r->refusals, k);
	}
	k->count++;
	onnx_error(n, E_OP, "operator '%s' of domain '%s' is not supported%s (opset %d)", name,
	           *domain ? domain : "ai.onnx", other_version ? " in this version" : "", n->opset);
}

static bool
check_arity(ONode *n)
{
	const OnnxOp *o = n->info;
	int least = o->in_min < 0 ? -o->in_min : o->in_min;

	if (n->nins < least || n->nins > o->in_max)
		return onnx_error(n, E_ARITY, "'%s' cannot have %d inputs; it takes %d to %d",
		                  o->name, n->nins, least, o->in_max);
	if (n->nouts < o->out_min || n->nouts > o->out_max)
		return onnx_error(n, E_ARITY, "'%s' cannot have %d outputs; it makes %d to %d",
		                  o->name, n->nouts, o->out_min, o->out_max);
	return true;
}

/* Whether a reader looks at in_sequence. */
static bool
takes_sequences(const OnnxOp *o)
{
	return o && (o->read == onnx_read_identity || o->read == onnx_read_sequence_insert ||
	             o->read == onnx_read_sequence_erase || o->read == onnx_read_sequence_at ||
	             o->read == onnx_read_sequence_length || o->read == onnx_read_sequence_map ||
	             o->read == onnx_read_concat_from_sequence);
}

/* Looks the inputs up.  False when one is poisoned or missing. */
static bool
resolve_inputs(ONode *n, int required)
{
	bool ok = true;

	n->in = ARENA_ARRAY(n->r->arena, Value *, n->nins);
	n->in_sequence = ARENA_ARRAY(n->r->arena, const Sequence *, n->nins);
	for (int i = 0; i < n->nins; i++) {
		const char *name = n->proto->input[i];
		const Binding *b = *name ? onnx_lookup(n->scope, name) : NULL;

		if (b) {
			n->in[i] = b->value;
			n->in_sequence[i] = b->sequence;
		} else if (*name) {
			report_unknown(n, i);
		}
		if (b && b->sequence && !takes_sequences(n->info))
			onnx_error_in(n, i, E_UNSUPPORTED, "'%s' is a sequence, which '%s' cannot take",
			              name, n->proto->op_type);
		if ((!*name || (b && b->absent)) && i < required)
			onnx_error(n, E_ARITY, "input %d of '%s' is missing", i,
			           n->proto->op_type);
		if (*name && (!b || (!b->value && !b->absent && !b->sequence)))
			ok = false;
	}
	return ok && !n->failed;
}

static bool
check_attributes(ONode *n)
{
	for (size_t i = 0; i < n->proto->n_attribute; i++) {
		const char *name = n->proto->attribute[i]->name;

		if (!n->attr_used[i])
			onnx_error_attr(n, name ? name : "", E_ATTRIBUTE,
			                "attribute '%s' of '%s' is not supported (opset %d)",
			                name ? name : "", n->proto->op_type, n->opset);
	}
	return !n->failed;
}

static void
bind_sequence(Onnx *r, Scope *s, const char *name, const Sequence *sequence)
{
	Binding *b = ARENA_NEW(r->arena, Binding);

	b->sequence = sequence;
	map_set(&s->names, name, b);
}

/* Gives the values that the node made the names that the user gave them. */
static void
bind_outputs(ONode *n, bool ok, int first_new)
{
	Onnx *r = n->r;

	for (int i = 0; i < n->nouts; i++) {
		const char *name = n->proto->output[i];
		Value *v = ok ? n->out[i] : NULL;

		if (!*name)
			continue;
		if (ok && !v && !n->out_sequence[i])
			onnx_error_out(n, i, E_UNSUPPORTED, "output %d of '%s' is not supported", i,
			               n->proto->op_type);
		if (v && v->id >= first_new)
			graph_rename(r->g, v,
			             arena_printf(r->arena, "%s%s", n->scope->prefix, name));
		if (map_get(&n->scope->names, name))
			onnx_error_out(n, i, E_NAME, "the name '%s' is defined twice", name);
		else if (ok && n->out_sequence[i])
			bind_sequence(r, n->scope, name, n->out_sequence[i]);
		else
			onnx_bind(r, n->scope, name, v, &n->loc);
	}
}

static bool read_call(ONode *n, const Function *function);

static void
read_node(Onnx *r, Scope *s, size_t index)
{
	const NodeProto *p = s->nodes[index];
	const char *domain = onnx_domain(p->domain), *type = p->op_type ? p->op_type : "";
	const Function *f =
		map_get(&r->functions, arena_printf(r->arena, "%s:%s", domain, type));
	int first_new = r->g->values.n;
	bool other_version, ok = false;
	ONode n = {.r = r, .scope = s, .proto = p};

	n.opset = onnx_opset(s, domain);
	n.loc = (Loc){.file = r->file->path,
	              .where = node_where(r, s, p, index),
	              .node = s->node ? s->node : (int)index + 1};
	n.name = node_name(r, s, p);
	n.nins = trimmed(p->input, p->n_input);
	n.nouts = trimmed(p->output, p->n_output);
	n.attr_used = ARENA_ARRAY(r->arena, bool, p->n_attribute);
	n.out = ARENA_ARRAY(r->arena, Value *, n.nouts);
	n.out_sequence = ARENA_ARRAY(r->arena, const Sequence *, n.nouts);
	n.info = f ? NULL : onnx_find_op(domain, type, n.opset, &other_version);
	if (f) {
		ok = resolve_inputs(&n, 0) && read_call(&n, f);
	} else if (!*domain && n.opset < 1) {
		onnx_error(&n, E_MALFORMED, "the model does not say which opset '%s' is from", type);
	} else if (!n.info) {
		refuse(&n, other_version);
	} else if (check_arity(&n) && resolve_inputs(&n, n.info->in_min) &&
	           words_may_be_taken(&n)) {
		ok = n.info->read(&n);
		if (!ok && !n.failed)
			onnx_error(&n, E_ARITY, "an input that '%s' needs is missing", type);
		ok = ok && !n.failed && check_attributes(&n);
	}
	if (ok && !n.failed && n.nlabels && n.nouts > 0 && n.out[0])
		VEC_PUSH(r->arena, &r->labelled, ((Labelled){n.out[0], n.nlabels, n.label}));
	bind_outputs(&n, ok && !n.failed, first_new);
}

bool
onnx_read_nodes(Onnx *r, Scope *s)
{
	for (size_t i = 0; i < s->nnodes; i++) {
		const Loc loc = {.file = r->file->path, .where = s->where};

		if (r->nodes_left-- <= 0 && !r->exhausted) {
			r->exhausted = true;
			diag_report(r->d, &loc, E_SIZE, "the graph has more than %d nodes",
			            ONNX_MAX_NODES);
		}
		if (r->exhausted || r->d->errors >= MAX_COUNTED_ERRORS)
			return false;
		read_node(r, s, i);
	}
	return true;
}

/* ---- Subgraphs and functions ---- */

static bool
is_too_deep(ONode *n)
{
	if (n->scope->depth < ONNX_MAX_DEPTH)
		return false;
	onnx_error(n, E_CYCLE, "functions and subgraphs are nested more than %d deep",
	           ONNX_MAX_DEPTH);
	return true;
}

/* The end of a long location: the nodes that are nearest. */
static const char *
shortened(Onnx *r, const char *where)
{
	enum { KEEP = 200 };
	size_t n = strlen(where);
	const char *end = n <= KEEP ? where : where + n - KEEP, *node = strstr(end, ", node ");

	if (end == where)
		return where;
	return arena_printf(r->arena, "... %s", node ? node + strlen(", ") : end);
}

/* Names in a copy are prefixed, so that copies do not collide. */
static const char *
copy_prefix(ONode *n, const char *tag)
{
	return *tag ? arena_printf(n->r->arena, "%s/%s/", n->name, tag) : n->scope->prefix;
}

bool
onnx_read_subgraph(ONode *n, const GraphProto *g, const char *tag, int nins, Value *const *in,
                   int nouts, Value **out)
{
	Onnx *r = n->r;
	Scope s;

	if (is_too_deep(n))
		return false;
	if (g->n_input != (size_t)nins || g->n_output != (size_t)nouts)
		return onnx_error(n, E_ARITY,
		                  "a subgraph has %zu inputs and %zu outputs instead of %d and %d",
		                  g->n_input, g->n_output, nins, nouts);
	onnx_scope_init(&s, r, n->scope);
	s.prefix = copy_prefix(n, tag);
	s.where = arena_printf(r->arena, *tag ? "%s, %s, " : "%s, ", shortened(r, n->loc.where), tag);
	s.node = n->loc.node;
	s.nodes = g->node;
	s.nnodes = g->n_node;
	onnx_declare(r, &s, g->value_info, g->n_value_info);
	onnx_declare(r, &s, g->output, g->n_output);
	for (int i = 0; i < nins; i++)
		if (g->input[i]->name && *g->input[i]->name)
			onnx_bind(r, &s, g->input[i]->name, in[i], &n->loc);
	if (!onnx_read_initializers(r, &s, g, &n->loc) || !onnx_read_nodes(r, &s)) {
		n->failed = true;
		return false;
	}
	for (int i = 0; i < nouts; i++) {
		const char *name = g->output[i]->name ? g->output[i]->name : "";
		const Binding *b = onnx_lookup(&s, name);

		if (!b)
			return onnx_error(n, E_NAME, "there is no value '%s' for output %d of the "
			                  "subgraph", name, i);
		out[i] = b->value;
		if (b->sequence)
			return onnx_error(n, E_UNSUPPORTED, "output '%s' of the subgraph is a sequence",
			                  name);
		if (!b->value)
			n->failed = true;
	}
	return !n->failed;
}

void
onnx_read_opsets(Onnx *r, Onnx__OperatorSetIdProto *const *v, size_t n, Opsets *out)
{
	for (size_t i = 0; i < n; i++) {
		int64_t version = v[i]->version;
		Opset o = {onnx_domain(v[i]->domain),
		           version < 0 ? 0 : version > INT32_MAX ? INT32_MAX : (int)version};

		VEC_PUSH(r->arena, out, o);
	}
}

/* An optional input that the caller leaves out. */
static void
bind_absent(Onnx *r, Scope *s, const char *name)
{
	Binding *b = ARENA_NEW(r->arena, Binding);

	b->absent = true;
	map_set(&s->names, name, b);
}

/* A node that calls a function of the model: its body in a scope of its own. */
static bool
read_call(ONode *n, const Function *function)
{
	const FunctionProto *f = function->proto;
	Onnx *r = n->r;
	OnnxOp info = {.name = f->name};
	Opsets opsets = {NULL, 0, 0};
	Scope s;

	n->info = &info;
	if (is_too_deep(n))
		return false;
	if ((size_t)n->nins > f->n_input || (size_t)n->nouts > f->n_output)
		return onnx_error(n, E_ARITY,
		                  "function '%s' has %zu inputs and %zu outputs, not %d and %d",
		                  f->name, f->n_input, f->n_output, n->nins, n->nouts);
	onnx_scope_init(&s, r, NULL);
	onnx_read_opsets(r, f->opset_import, f->n_opset_import, &opsets);
	s.opsets = f->n_opset_import ? &opsets : n->scope->opsets;
	s.call = n;
	s.function = function;
	s.depth = n->scope->depth + 1;
	s.prefix = copy_prefix(n, f->name);
	s.where = arena_printf(r->arena, "%s, ", shortened(r, n->loc.where));
	s.node = n->loc.node;
	s.nodes = f->node;
	s.nnodes = f->n_node;
	for (size_t i = 0; i < f->n_input; i++)
		if ((int)i < n->nins && n->in[i])
			onnx_bind(r, &s, f->input[i], n->in[i], &n->loc);
		else
			bind_absent(r, &s, f->input[i]);
	if (!onnx_read_nodes(r, &s)) {
		n->failed = true;
		return false;
	}
	for (int i = 0; i < n->nouts; i++) {
		const Binding *b = onnx_lookup(&s, f->output[i]);

		if (!b)
			return onnx_error(n, E_NAME, "function '%s' does not define its output '%s'",
			                  f->name, f->output[i]);
		n->out[i] = b->value;
		n->out_sequence[i] = b->sequence;
		if (!b->value && !b->sequence)
			n->failed = true;
	}
	for (size_t i = 0; i < f->n_attribute; i++)
		onnx_ignore(n, f->attribute[i]);
	for (int i = 0; i < function->ndefaults; i++)
		onnx_ignore(n, function->defaults[i]->name);
	return !n->failed && check_attributes(n);
}
