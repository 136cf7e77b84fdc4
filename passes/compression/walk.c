#include "passes/compression/walk.h"

#include <math.h>
#include <string.h>

#include "ir/lower.h"
#include "passes/compression/solve.h"

/* What the values of all samples may take together. */
#define MOST_BYTES ((size_t)1 << 30)

/* A value in all calls. */
typedef struct {
	Arena *arena;
	CallArray v;
} Stored;

typedef struct {
	const Graph *g;
	Emit *main;
	const CompressOptions *options;
	const WalkHooks *hooks; /* or NULL */
	const Executor *exec;
	CompressReport *report;
	Diag *d;
	Arena *a;
	size_t calls;
	Stored *x0, *x;  /* by Value.id: in the float network, in the compressed one */
	const Node *lacking; /* the layer that needs most samples more; NULL: none does */
	size_t calls_wanted, places; /* by it; that it has seen */
	int *uses;       /* by the same: uses as an input that are still to come */
} Walk;

/* ---- Values of all calls ---- */

static void
store(Walk *w, Stored *s, size_t bytes)
{
	s->arena = arena_child(w->a);
	s->v.stride = bytes;
	s->v.data = arena_calloc(s->arena, w->calls, bytes);
}

static void
drop(Stored *s)
{
	arena_free(s->arena);
	*s = (Stored){0};
}

static void
use_inputs(Walk *w, const Node *n)
{
	for (int i = 0; i < n->nins; i++) {
		const Value *v = n->in[i];

		if (v && !value_is_const(v) && --w->uses[v->id] == 0) {
			drop(&w->x0[v->id]);
			drop(&w->x[v->id]);
		}
	}
	for (int i = 0; i < n->nouts; i++) {
		const Value *v = n->out[i];

		if (v && w->uses[v->id] == 0) {
			drop(&w->x0[v->id]);
			drop(&w->x[v->id]);
		}
	}
}

/* Bytes of one call in both networks, at most. */
static size_t
bytes_of(const Value *v)
{
	return 2 * type_bytes(&v->type);
}

/* How many calls fit the memory that may be used. */
static size_t
calls_that_fit(const Walk *w, size_t n)
{
	size_t live = 0, most = 1;
	int *left = arena_copy(w->a, w->uses, (size_t)w->g->values.n * sizeof *left);

	for (int i = 0; i < w->g->inputs.n; i++)
		live += bytes_of(w->g->inputs.v[i]);
	for (const Node *node = w->g->first; node; node = node->next) {
		for (int i = 0; i < node->nouts; i++)
			live += node->out[i] ? bytes_of(node->out[i]) : 0;
		most = live > most ? live : most;
		for (int i = 0; i < node->nins; i++)
			if (node->in[i] && !value_is_const(node->in[i]) &&
			    --left[node->in[i]->id] == 0)
				live -= bytes_of(node->in[i]);
		for (int i = 0; i < node->nouts; i++)
			live -= node->out[i] && left[node->out[i]->id] == 0
			                ? bytes_of(node->out[i])
			                : 0;
	}
	most = MOST_BYTES / most;
	return most == 0 ? 1 : most < n ? most : n;
}

/* The inputs of the network, as floats and in the form that the compressed one has. */
static void
store_inputs(Walk *w, const Samples *s, const CallArray *states)
{
	for (int i = 0; i < w->g->inputs.n; i++) {
		const Value *v = w->g->inputs.v[i];
		const Type *t = &w->main->map[v->id]->type;
		int plain = graph_plain_inputs(w->g);
		CallArray from = i < plain ? s->in[i] : states[i - plain];
		Stored *x0 = &w->x0[v->id], *x = &w->x[v->id];

		store(w, x0, type_bytes(&v->type));
		store(w, x, type_bytes(t));
		for (size_t c = 0; c < w->calls; c++) {
			char *to0 = (char *)x0->v.data + c * x0->v.stride;
			char *to = (char *)x->v.data + c * x->v.stride;

			memcpy(to0, (const char *)from.data + c * from.stride, x0->v.stride);
			if (t->q)
				emit_encode(t, (const float *)(const void *)to0, to);
			else
				memcpy(to, to0, x->v.stride);
		}
	}
}

/* ---- One node in both networks ---- */

/* A graph of one node of either network. */
typedef struct {
	Walk *w;
	Graph *g;
	Emit e;
	Value **map0;   /* by Value.id of the float network */
	VEC(CallArray) in, out;
} Trial;

static Value *
add_input(Trial *t, const Type *type, CallArray v)
{
	VEC_PUSH(t->g->arena, &t->in, v);
	return graph_input(t->g, NULL, *type);
}

static Value *
missing_input(Emit *e, const Value *v)
{
	Trial *t = e->user;

	return add_input(t, &t->w->main->map[v->id]->type, t->w->x[v->id].v);
}

static Value *
float_input(Trial *t, const Value *v)
{
	if (value_is_const(v))
		return graph_const(t->g, NULL, v->type, v->data);
	if (!t->map0[v->id])
		t->map0[v->id] = add_input(t, &v->type, t->w->x0[v->id].v);
	return t->map0[v->id];
}

/* The node as it is in the float network. */
static Node *
add_float_node(Trial *t, const Node *n)
{
	Value **in = ARENA_ARRAY(t->g->arena, Value *, n->nins + 1);
	Node *c;

	for (int i = 0; i < n->nins; i++)
		in[i] = n->in[i] ? float_input(t, n->in[i]) : NULL;
	c = graph_insert(t->g, NULL, n->op, n->nins, in, n->nouts, NULL);
	memcpy(c->attr, n->attr, op_info[n->op].attr_size);
	for (int i = 0; i < n->nouts; i++) {
		if (!n->out[i]) {
			c->out[i] = NULL;
			continue;
		}
		c->out[i]->type.dtype = n->out[i]->type.dtype;
		c->out[i]->type.q = n->out[i]->type.q;
	}
	return node_infer(c, t->w->d) ? c : NULL;
}

static void
begin_trial(Trial *t, Walk *w, Arena *a)
{
	*t = (Trial){.w = w, .g = graph_new(a, "layer")};
	t->g->single_rounding = w->g->single_rounding;
	t->map0 = ARENA_ARRAY(a, Value *, w->g->values.n + 1);
}

/* Whether the node can be written so, in a graph of its own. */
static bool
is_accepted(Trial *t, Walk *w, const Node *n, const NewWeights *weights, bool in_float,
            Arena *a)
{
	Diag *quiet = ARENA_NEW(a, Diag);

	begin_trial(t, w, a);
	diag_init(quiet, a);
	emit_init(&t->e, t->g, w->g, w->main->plan, quiet);
	t->e.missing = missing_input;
	t->e.user = t;
	return emit_node(&t->e, n, weights, in_float);
}

static bool
run_trial(Trial *t, const Node *n, Arena *a)
{
	Walk *w = t->w;
	Node *c = add_float_node(t, n);
	void *model;

	if (!c)
		return false;
	for (int i = 0; i < n->nouts; i++) {
		const Value *v = n->out[i];

		if (!v)
			continue;
		store(w, &w->x0[v->id], type_bytes(&v->type));
		graph_output(t->g, v->name, c->out[i]);
		VEC_PUSH(a, &t->out, w->x0[v->id].v);
		store(w, &w->x[v->id], type_bytes(&t->e.map[v->id]->type));
		graph_output(t->g, v->name, t->e.map[v->id]);
		VEC_PUSH(a, &t->out, w->x[v->id].v);
	}
	model = w->exec->compile(w->exec->user, a, t->g);
	if (!model)
		return false;
	w->exec->run(w->exec->user, model, w->calls, t->in.v, t->out.v);
	return true;
}

/* ---- Reports ---- */

static const char *
name_of(const Node *n)
{
	if (n->name)
		return n->name;
	return n->nouts && n->out[0] ? n->out[0]->name : op_info[n->op].name;
}

/* Mean squares of the first output and of its error. */
static void
measure(const Walk *w, const Node *n, LayerReport *r, Arena *a)
{
	const Value *v = n->out[0];
	const Type *t;
	float *x;
	size_t count;

	if (!v || !plan_is_float(v) || w->calls == 0)
		return;
	t = &w->main->map[v->id]->type;
	count = (size_t)type_numel(t);
	x = ARENA_ARRAY(a, float, count + 1);
	for (size_t c = 0; c < w->calls; c++) {
		const char *at = (const char *)w->x0[v->id].v.data + c * w->x0[v->id].v.stride;
		const float *x0 = (const float *)(const void *)at;

		moments_read(t, (const char *)w->x[v->id].v.data + c * w->x[v->id].v.stride, x);
		for (size_t i = 0; i < count; i++) {
			double off = (double)x[i] - (double)x0[i];

			r->noise += off * off;
			r->signal += (double)x0[i] * (double)x0[i];
		}
	}
	if (count > 0) {
		r->noise /= (double)(count * w->calls);
		r->signal /= (double)(count * w->calls);
	}
}

static size_t
constant_bytes(const Node *n)
{
	size_t bytes = 0;

	for (int i = 0; i < n->nins; i++)
		if (n->in[i] && value_is_const(n->in[i]))
			bytes += type_bytes(&n->in[i]->type);
	return bytes;
}

static LayerReport
report_of(const Node *n, const NewWeights *weights, const WeightOptions *o, bool in_float)
{
	bool linear = plan_kind(n) == KIND_LINEAR;

	return (LayerReport){
		.node = n,
		.weights = weights,
		.name = name_of(n),
		.integer = !in_float || !plan_has_float(n),
		.bits = weights && weights->type.q ? weights_bits(o)
		        : linear                   ? 32
		                                   : 0,
		.sparsity = weights ? weights->sparsity : 0,
		.float_bytes = constant_bytes(n),
		.macs = node_macs(n),
	};
}

/* ---- The walk ---- */


/* Moments of d columns ask for this many times d places. */
enum { PLACES_A_COLUMN = 2 };

/* Remembers the layer that lacks most places. */
static void
note_rank(Walk *w, const Layer *l, const Moments *m)
{
	size_t wanted = PLACES_A_COLUMN * (size_t)l->columns;
	size_t each = m->n / (w->calls ? w->calls : 1), calls = (wanted - 1) / (each ? each : 1) + 1;

	if (m->n < wanted && calls > w->calls_wanted) {
		w->calls_wanted = calls;
		w->lacking = l->n;
		w->places = m->n;
	}
}

static void
warn_of_rank(const Walk *w, const Samples *s)
{
	const Node *n = w->lacking;

	if (!n || !s->file)
		return;
	diag_report(w->d, &n->loc, W_CALIBRATION,
	            "the weights of '%s' are chosen from %zu places that samples show it, too few "
	            "for its %d inputs a channel: give %zu samples or more",
	            name_of(n), w->places, layer_read(n).columns,
	            w->calls_wanted + w->calls_wanted / 4 + 1);
}

static bool
is_surveyed(const Walk *w)
{
	return w->hooks && w->hooks->look;
}

static void
show_layer(Walk *w, const Node *n, Arena *a)
{
	Layer l = layer_read(n);
	const Value *x = n->in[0];
	Moments m = moments_collect(&l, w->calls, &w->x0[x->id].v, &w->x[x->id].v,
	                            &w->main->map[x->id]->type,
	                            l.columns <= SOLVE_MOST_COLUMNS, a);

	w->hooks->look(w->hooks->user, &l, &m, a);
}

static NewWeights *
choose_weights(Walk *w, const Node *n, const WeightOptions *o, Arena *a)
{
	Layer l = layer_read(n);
	const Value *x = n->in[0];
	const Type *coded = &w->main->plan[x->id];
	NewWeights *out = ARENA_NEW(w->main->to->arena, NewWeights);
	Cut cut = w->hooks && w->hooks->cuts ? cut_of(w->hooks->cuts, &l, a) : (Cut){0};
	Moments m = moments_collect(&l, w->calls, &w->x0[x->id].v, &w->x[x->id].v,
	                            &w->main->map[x->id]->type,
	                            weights_need_moments(&l, o, &cut), a);

	if (weights_need_moments(&l, o, &cut))
		note_rank(w, &l, &m);
	*out = weights_choose(&l, &m, o, &cut, coded, w->main->to->arena);
	return out;
}

static void
note_float(Walk *w, const Node *n, const Diag *why)
{
	w->report->kept_float++;
	diag_report(w->d, &n->loc, W_FLOAT, "'%s' (%s) is computed in float: %s", name_of(n),
	            op_info[n->op].name,
	            why ? why->first->text : "the operator has no integer form");
}

static bool
walk_node(Walk *w, const Node *n)
{
	Arena *a = arena_child(w->a);
	WeightOptions o = w->hooks && w->hooks->options ? w->hooks->options(w->hooks->user, n)
	                                                : w->options->weights;
	bool asked = options_keep(w->options, n), integers = o.most > 0;
	bool in_float = asked || !integers || plan_kind(n) == KIND_FLOAT;
	NewWeights *weights = NULL;
	size_t before = w->main->bytes;
	LayerReport r;
	Trial t;
	bool ok;

	if (!asked && plan_kind(n) == KIND_LINEAR && is_surveyed(w))
		show_layer(w, n, a);
	else if (!asked && plan_kind(n) == KIND_LINEAR)
		weights = choose_weights(w, n, &o, a);
	ok = is_accepted(&t, w, n, weights, in_float, a);
	if (!ok && !in_float) {
		note_float(w, n, t.e.d);
		in_float = true;
		weights = NULL;
		ok = is_accepted(&t, w, n, weights, in_float, a);
	} else if (in_float && integers && plan_has_float(n)) {
		if (asked)
			w->report->kept_float++;
		else
			note_float(w, n, NULL);
	}
	if (!ok)
		diag_report(w->d, &n->loc, E_INTERNAL, "'%s' cannot be written in float", name_of(n));
	r = report_of(n, weights, &o, in_float);
	ok = ok && run_trial(&t, n, a) && emit_node(w->main, n, weights, in_float);
	if (ok) {
		measure(w, n, &r, a);
		r.bytes = w->main->bytes - before;
		VEC_PUSH(w->main->to->arena, &w->report->layers, r);
		use_inputs(w, n);
	}
	arena_free(a);
	return ok;
}

bool
walk_nodes(Graph *g, Emit *main, const CompressOptions *options, const WalkHooks *hooks,
           const Samples *s, const CallArray *states, const Executor *exec,
           CompressReport *report, Diag *d)
{
	Walk w = {.g = g, .main = main, .options = options, .hooks = hooks, .exec = exec,
	          .report = report, .d = d, .a = arena_child(main->to->arena)};
	int nodes = 0, done = 0;
	bool ok = true;

	w.x0 = ARENA_ARRAY(w.a, Stored, g->values.n + 1);
	w.x = ARENA_ARRAY(w.a, Stored, g->values.n + 1);
	w.uses = ARENA_ARRAY(w.a, int, g->values.n + 1);
	for (const Node *n = g->first; n; n = n->next, nodes++)
		for (int i = 0; i < n->nins; i++)
			if (n->in[i])
				w.uses[n->in[i]->id]++;
	w.calls = calls_that_fit(&w, s->n);
	store_inputs(&w, s, states);
	for (const Node *n = g->first; n && ok; n = n->next) {
		ok = walk_node(&w, n);
		exec->progress(exec->user, is_surveyed(&w) ? "measuring" : "compressing",
		               (double)++done / nodes);
	}
	warn_of_rank(&w, s);
	arena_free(w.a);
	return ok && d->errors == 0;
}
