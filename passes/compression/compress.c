#include "passes/compression/compress.h"

#include <string.h>

#include "ir/num.h"
#include "passes/compression/agreement.h"
#include "passes/compression/judge.h"
#include "passes/compression/samples.h"
#include "passes/compression/survey.h"
#include "passes/compression/walk.h"

enum { HOLD_OUT = 5 }; /* one sample in so many is held out */

/* ---- The graph ---- */

static bool
check_names(const Graph *g, const CompressOptions *o, Diag *d)
{
	for (int i = 0; i < o->nkeep; i++) {
		bool found = graph_find(g, o->keep[i]) != NULL;

		for (const Node *n = g->first; n && !found; n = n->next)
			found = n->name && strcmp(n->name, o->keep[i]) == 0;
		if (!found)
			return diag_report(d, NULL, E_NAME, "there is no layer or value '%s' to keep "
			                   "in float", o->keep[i]);
	}
	return true;
}

static bool
is_named(const Node *n, const char *name)
{
	if (n->name && strcmp(n->name, name) == 0)
		return true;
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i] && strcmp(n->out[i]->name, name) == 0)
			return true;
	return false;
}

bool
options_keep(const CompressOptions *o, const Node *n)
{
	for (int i = 0; i < o->nkeep; i++)
		if (is_named(n, o->keep[i]))
			return true;
	return false;
}

/* Of an input or output that is planned as `plan`. */
static Type
outer_type(Arena *a, const Value *v, const Type *plan, DType wanted)
{
	if (!plan_is_float(v) || wanted == DT_F32)
		return v->type;
	return plan_outer(a, plan, wanted);
}

static const void *
coded_state(Arena *a, const Type *t, const Value *initial)
{
	void *data;

	if (!t->q)
		return initial->data;
	data = arena_alloc(a, type_bytes(t) + 1);
	emit_encode(t, initial->data, data);
	return data;
}

static void
add_inputs(Emit *e, const Graph *g, const CompressOptions *o)
{
	Arena *a = e->to->arena;
	int plain = graph_plain_inputs(g);

	for (int i = 0; i < g->inputs.n; i++) {
		const Value *v = g->inputs.v[i];
		const Type *plan = &e->plan[v->id];
		Type t = i < plain ? outer_type(a, v, plan, o->input) : *plan;

		e->map[v->id] = i < plain
		                        ? graph_input(e->to, v->name, t)
		                        : graph_state(e->to, v->name, t,
		                                      coded_state(a, &t, g->states.v[i - plain]));
	}
	/* After all inputs are made: a node may not stand between them. */
	for (int i = 0; i < plain; i++) {
		const Value *v = g->inputs.v[i];
		const Type *plan = &e->plan[v->id];

		if (e->map[v->id]->type.q && o->input != plan->dtype)
			e->map[v->id] = emit_convert(e, e->map[v->id], plan->dtype, plan->q);
	}
}

static bool
add_outputs(Emit *e, const Graph *g, const CompressOptions *o)
{
	int plain = graph_plain_outputs(g), inputs = graph_plain_inputs(g);

	for (int i = 0; i < g->outputs.n; i++) {
		Value *v = g->outputs.v[i], *y;

		if (i >= plain && plan_is_float(v)) {
			/* A state ends as what it begins as. */
			Type t = e->plan[g->inputs.v[inputs + i - plain]->id];

			y = t.q ? emit_coded(e, v) : emit_plain(e, v);
			if (y && t.q && !type_same_quant(&y->type, &t))
				y = emit_convert(e, y, t.dtype, t.q);
		} else if (!plan_is_float(v)) {
			y = emit_as_is(e, v);
		} else if (o->output == DT_F32) {
			y = emit_plain(e, v);
		} else {
			y = emit_coded(e, v);
			if (y && o->output != y->type.dtype)
				y = emit_convert(e, y, o->output,
				                 plan_outer(e->to->arena, &y->type, o->output).q);
		}
		if (!y)
			return false;
		graph_output(e->to, g->output_names.v[i], y);
	}
	return true;
}

/* Room for what states hold when the calls begin. */
static CallArray *
new_states(const Graph *g, size_t calls, Arena *a)
{
	CallArray *s = ARENA_ARRAY(a, CallArray, g->states.n + 1);

	for (int k = 0; k < g->states.n; k++) {
		s[k].stride = type_bytes(&g->states.v[k]->type);
		s[k].data = arena_calloc(a, calls, s[k].stride);
	}
	return s;
}

size_t
compress_constant_bytes(const Graph *g)
{
	size_t bytes = 0;

	for (int i = 0; i < g->values.n; i++)
		if (value_is_const(g->values.v[i]) && g->values.v[i]->nuses > 0)
			bytes += type_bytes(&g->values.v[i]->type);
	return bytes;
}

/* ---- Shares of a target for the whole ---- */

typedef struct {
	const WeightOptions *all;
	const Survey *survey;
	const double *share; /* by layer of the survey */
} Shares;

static WeightOptions
options_of(void *user, const Node *n)
{
	const Shares *s = user;
	WeightOptions o = *s->all;

	o.sparsity = 0;
	for (int i = 0; i < s->survey->layers.n; i++)
		if (s->survey->layers.v[i].n == n)
			o.sparsity = s->share[i];
	return o;
}

/* Gives each layer its share of what is to be dropped. */
static bool
share_out(Shares *out, Graph *g, const CompressOptions *o, const Samples *used,
          const CallArray *states, const Executor *exec, Arena *a, Diag *d)
{
	Survey *survey = o->survey ? o->survey : ARENA_NEW(a, Survey);

	out->all = &o->weights;
	out->survey = survey;
	if (survey->nshares == 0 &&
	    !survey_layers(survey, g, o, used, states, exec, o->survey ? g->arena : a, d))
		return false;
	out->share = survey_allocate(survey, o->weights.sparsity, a);
	return true;
}

/* ---- Channels ---- */

static bool
can_change(void *user, const Node *n)
{
	return !options_keep(user, n);
}

static void
look_at_layer(void *user, const Layer *l, const Moments *m, Arena *a)
{
	(void)a;
	cut_look(user, l, m);
}

/* Decides which channels go where several layers read them. */
static bool
find_cuts(CutMap *out, Graph *g, const CompressOptions *o, const Samples *used,
          const CallArray *states, const Executor *exec, Arena *a, Diag *d)
{
	CompressOptions all = *o;
	WalkHooks hooks = {.look = look_at_layer, .user = out};

	*out = cut_map(g, o->weights.channels, can_change, &all, a);
	return !out->joint || survey_walk(g, o, &hooks, used, states, exec, a, d);
}

/* ---- Shares of the error ---- */

/* Weights or biases as numbers: codes times their scales. */
static const float *
plain_weights(const NewWeights *w, Arena *a)
{
	float *v;
	int32_t n = type_numel(&w->type), inner = 1;
	const Quant *q = w->type.q;

	if (!q)
		return w->w;
	v = ARENA_ARRAY(a, float, n + 1);
	for (int i = q->axis + 1; i < w->type.rank; i++)
		inner *= w->type.dim[i];
	for (int32_t i = 0; i < n; i++)
		v[i] = (float)((const int8_t *)w->w)[i] * q->scale[q->n == 1 ? 0 : i / inner % q->n];
	return v;
}

static const float *
plain_biases(const NewWeights *w, int32_t rows, Arena *a)
{
	const Quant *q = w->type.q;
	float *v;

	if (!q)
		return w->bias;
	v = ARENA_ARRAY(a, float, rows + 1);
	for (int32_t r = 0; r < rows; r++)
		v[r] = (float)(num_load(w->bias_type, w->bias, (size_t)r) * w->x_scale *
		               (double)q->scale[q->n == 1 ? 0 : r]);
	return v;
}

/* What the weights of each layer alone do to the float network's outputs. */
static bool
measure_shares(CompressReport *r, const Graph *g, const Samples *s, const Executor *exec,
               Arena *a, Diag *d)
{
	double sum = 0;
	Judge judge;

	if (!judge_begin(&judge, g, s, 1, exec, a, d))
		return false;
	for (int i = 0; i < r->layers.n; i++) {
		LayerReport *l = &r->layers.v[i];
		Arena *copy = arena_child(a);

		if (l->weights)
			l->share = judge_layer(&judge, l->node, plain_weights(l->weights, copy),
			                       plain_biases(l->weights, layer_read(l->node).rows,
			                                    copy));
		sum += l->share;
		arena_free(copy);
	}
	for (int i = 0; i < r->layers.n && sum > 0; i++)
		r->layers.v[i].share /= sum;
	return true;
}

static Graph *
compress(Graph *g, const CompressOptions *o, const Samples *all, const Executor *exec,
         CompressReport *r, Arena *scratch, Diag *d)
{
	Samples used = samples_part(all, g, HOLD_OUT, true, scratch);
	Samples held = samples_part(all, g, HOLD_OUT, false, scratch);
	CallArray *states = new_states(g, used.n, scratch);
	Observed *of = observe_values(g, &used, states, exec, scratch, d);
	Graph *q = graph_new(g->arena, g->name);
	bool shared = o->weights.sparsity > 0 && !o->weights.each_layer;
	Shares shares;
	WalkHooks hooks = {.options = shared ? options_of : NULL, .user = &shares};
	CutMap cuts;
	const Type *plan;
	Emit e;

	if (!of || (shared && !share_out(&shares, g, o, &used, states, exec, scratch, d)))
		return NULL;
	if (o->weights.channels > 0) {
		if (!find_cuts(&cuts, g, o, &used, states, exec, scratch, d))
			return NULL;
		hooks.cuts = &cuts;
	}
	plan = o->weights.most ? plan_make(g, of, o->ranges, o->codes, g->arena) : plan_floats(g, g->arena);
	emit_init(&e, q, g, plan, d);
	add_inputs(&e, g, o);
	if (!walk_nodes(g, &e, o, &hooks, &used, states, exec, r, d) || !add_outputs(&e, g, o))
		return NULL;
	r->used = used.n;
	r->held_out = all->n < SAMPLES_TO_SPLIT ? 0 : held.n;
	r->has_labels = all->labels != NULL;
	r->made_up = all->file == NULL;
	r->float_bytes = compress_constant_bytes(g);
	r->bytes = compress_constant_bytes(q);
	if (!agreement_measure(&r->agreement, g, q, &held, exec, scratch))
		return NULL;
	if (o->measure_shares && !measure_shares(r, g, &held, exec, scratch, d))
		return NULL;
	return q;
}

Graph *
compress_graph(Graph *g, const CompressOptions *options, const Samples *samples,
               const Executor *exec, CompressReport *report, Diag *d)
{
	Arena *scratch;
	Graph *q;

	*report = (CompressReport){0};
	if (!check_names(g, options, d) || !samples_check(samples, g, d))
		return NULL;
	scratch = arena_child(g->arena);
	q = compress(g, options, samples, exec, report, scratch, d);
	arena_free(scratch);
	return q;
}
