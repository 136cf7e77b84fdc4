#include "passes/compression/survey.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/compression/samples.h"
#include "passes/compression/walk.h"

enum {
	JUDGED = 4,       /* one sample in so many judges weights that the others choose */
	MOST_JUDGED = 256,
	LEAST_JUDGED = 32
};

/* Multiply-accumulates that judging may take, above which fewer samples do it. */
static const double most_macs = 4e10;

/* Finer where each weight that goes costs more. */
static const double shares[] = {0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99};

enum { SHARES = sizeof shares / sizeof *shares };

/* ---- The float network with weights that can be exchanged ---- */

typedef struct {
	Survey *out;
	const Graph *g;
	const Executor *exec;
	Arena *a;
	size_t calls;
	void *model;
	CallArray *in, *result, *expected; /* of the model; what it should give */
	int *weights;    /* by number of the layer: which input has its weights; the next one
	                  * has its biases */
	const Node **layer;
	int nlayers;
} Judge;

static bool
is_layer(const Node *n)
{
	Layer l;

	if (plan_kind(n) != KIND_LINEAR)
		return false;
	l = layer_read(n);
	return weights_can_drop(&l);
}

static int
count_layers(const Graph *g)
{
	int n = 0;

	for (const Node *node = g->first; node; node = node->next)
		n += is_layer(node);
	return n;
}

static const float *
biases_of(const Layer *l, Arena *a)
{
	return l->bias ? l->bias : ARENA_ARRAY(a, float, l->rows + 1);
}

static CallArray
same_each_call(const void *data)
{
	CallArray c = {0};

	/* Inputs are not written to. */
	memcpy(&c.data, &data, sizeof data);
	return c;
}

/* Inputs for the weights and biases of all layers, with what the layers have. */
static void
add_weights(Judge *j, Emit *e, Value **input)
{
	int at = graph_plain_inputs(j->g);

	for (const Node *n = j->g->first; n; n = n->next) {
		Layer l;
		Type t;
		int k = j->nlayers;

		if (!is_layer(n))
			continue;
		l = layer_read(n);
		t = type_make(DT_F32, 1, &l.rows);
		j->layer[k] = n;
		j->weights[k] = at;
		input[2 * k] = graph_input(e->to, NULL, n->in[1]->type);
		input[2 * k + 1] = graph_input(e->to, NULL, t);
		j->in[at++] = same_each_call(l.w);
		j->in[at++] = same_each_call(biases_of(&l, j->a));
		j->nlayers++;
	}
}

static bool
add_nodes(const Judge *j, Emit *e, Value **input)
{
	int k = 0;

	for (const Node *n = j->g->first; n; n = n->next) {
		bool ok;

		if (k < j->nlayers && j->layer[k] == n) {
			ok = emit_float_linear(e, n, input[2 * k], input[2 * k + 1]);
			k++;
		} else {
			ok = emit_node(e, n, NULL, true);
		}
		if (!ok)
			return false;
	}
	return true;
}

static bool
add_outputs(const Graph *g, Emit *e)
{
	for (int i = 0; i < g->outputs.n; i++) {
		Value *y = emit_as_is(e, g->outputs.v[i]);

		if (!y)
			return false;
		graph_output(e->to, g->output_names.v[i], y);
	}
	return true;
}

static Value *
no_value(Emit *e, const Value *v)
{
	(void)e;
	(void)v;
	return NULL;
}

static bool
build_model(Judge *j, const Samples *s, Diag *d)
{
	const Graph *g = j->g;
	Graph *to = graph_new(j->a, g->name);
	int plain = graph_plain_inputs(g), most = count_layers(g);
	Value **input = ARENA_ARRAY(j->a, Value *, 2 * most + 1);
	Emit e;

	j->in = ARENA_ARRAY(j->a, CallArray, g->inputs.n + 2 * most + 1);
	j->layer = ARENA_ARRAY(j->a, const Node *, most + 1);
	j->weights = ARENA_ARRAY(j->a, int, most + 1);
	emit_init(&e, to, g, plan_floats(g, j->a), d);
	e.missing = no_value;
	for (int i = 0; i < plain; i++) {
		e.map[g->inputs.v[i]->id] = graph_input(to, NULL, g->inputs.v[i]->type);
		j->in[i] = s->in[i];
	}
	add_weights(j, &e, input);
	for (int k = 0; k < g->states.n; k++) {
		const Value *v = g->inputs.v[plain + k];

		e.map[v->id] = graph_state(to, NULL, v->type, g->states.v[k]->data);
		j->in[plain + 2 * j->nlayers + k] = same_each_call(g->states.v[k]->data);
	}
	if (!add_nodes(j, &e, input) || !add_outputs(g, &e))
		return false;
	j->model = j->exec->compile(j->exec->user, j->a, to);
	return j->model != NULL;
}

/* ---- Judging ---- */

static CallArray *
new_outputs(const Judge *j)
{
	const Graph *g = j->g;
	CallArray *out = ARENA_ARRAY(j->a, CallArray, g->outputs.n + 1);

	for (int i = 0; i < g->outputs.n; i++) {
		out[i].stride = type_bytes(&g->outputs.v[i]->type);
		out[i].data = arena_calloc(j->a, j->calls, out[i].stride);
	}
	return out;
}

/* The elements of output i in all calls; NULL where it is not of floats. */
static const float *
numbers_of(const Judge *j, const CallArray *out, int i, size_t *n)
{
	*n = j->calls * (size_t)type_numel(&j->g->outputs.v[i]->type);
	return plan_is_float(j->g->outputs.v[i]) ? out[i].data : NULL;
}

static double
variance_of(const Judge *j, int i)
{
	size_t n;
	const float *v = numbers_of(j, j->expected, i, &n);
	double sum = 0, squares = 0;

	for (size_t k = 0; v && k < n; k++) {
		sum += (double)v[k];
		squares += (double)v[k] * (double)v[k];
	}
	return n > 0 ? squares / (double)n - sum / (double)n * (sum / (double)n) : 0;
}

/* How far the outputs are off, each against its variance. */
static double
judge(const Judge *j)
{
	double loss = 0;

	for (int i = 0; i < graph_plain_outputs(j->g); i++) {
		size_t n;
		const float *y0 = numbers_of(j, j->expected, i, &n);
		const float *y = numbers_of(j, j->result, i, &n);
		double sum = 0;

		for (size_t k = 0; y && k < n; k++) {
			double off = (double)y[k] - (double)y0[k];

			sum += off * off;
		}
		if (n > 0)
			loss += sum / (double)n / fmax(variance_of(j, i), 1e-30);
	}
	return loss;
}

typedef struct {
	Judge *judge;
	double *loss;
	int input; /* with the weights */
} Look;

static void
look_at_weights(void *user, int k, const float *w, const float *bias)
{
	const Look *look = user;
	const Judge *j = look->judge;
	CallArray weights = j->in[look->input], biases = j->in[look->input + 1];

	j->in[look->input] = same_each_call(w);
	j->in[look->input + 1] = same_each_call(bias);
	j->exec->run(j->exec->user, j->model, j->calls, j->in, j->result);
	look->loss[k] = judge(j);
	j->in[look->input] = weights;
	j->in[look->input + 1] = biases;
}

static void
look_at_layer(void *user, const Layer *l, const Moments *m, Arena *a)
{
	Judge *j = user;
	LayerLoss loss = {.n = l->n, .weights = (double)l->rows * (double)l->columns};
	Look look = {.judge = j};

	for (int k = 0; k < j->nlayers; k++) {
		if (j->layer[k] != l->n)
			continue;
		loss.loss = look.loss = ARENA_ARRAY(j->a, double, SHARES);
		look.input = j->weights[k];
		weights_try_shares(l, m, shares, SHARES, look_at_weights, &look, a);
		VEC_PUSH(j->a, &j->out->layers, loss);
	}
}

/* How many samples judge; fewer for large networks. */
static size_t
count_judged(const Graph *g, size_t n, int layers)
{
	double macs = 0, most, runs = fmax(layers, 1) * (double)SHARES;

	for (const Node *node = g->first; node; node = node->next)
		macs += (double)node_macs(node);
	most = fmax(most_macs / (fmax(macs, 1) * runs), LEAST_JUDGED);
	most = fmin(most, MOST_JUDGED);
	return n < (size_t)most ? n : (size_t)most;
}

bool
survey_layers(Survey *out, Graph *g, const CompressOptions *options, const Samples *s,
              const CallArray *states, const Executor *exec, Arena *a, Diag *d)
{
	bool sequence = g->states.n > 0;
	Samples fit = sequence ? *s : samples_part(s, g, JUDGED, true, a);
	Samples judged = sequence ? *s : samples_part(s, g, JUDGED, false, a);
	Judge j = {.out = out, .g = g, .exec = exec, .a = a};
	WalkHooks hooks = {.look = look_at_layer, .user = &j};
	CompressOptions floats = *options;
	CompressReport report = {0};
	Graph *to = graph_new(a, g->name);
	Emit e;

	*out = (Survey){.nshares = SHARES, .share = shares};
	judged = samples_first(&judged, count_judged(g, judged.n, count_layers(g)));
	j.calls = judged.n;
	if (!build_model(&j, &judged, d))
		return false;
	j.expected = new_outputs(&j);
	j.result = new_outputs(&j);
	exec->run(exec->user, j.model, j.calls, j.in, j.expected);
	floats.weights = (WeightOptions){0};
	emit_init(&e, to, g, plan_floats(g, a), d);
	e.missing = no_value;
	for (int i = 0; i < g->inputs.n; i++)
		e.map[g->inputs.v[i]->id] = graph_input(to, NULL, g->inputs.v[i]->type);
	return walk_nodes(g, &e, &floats, &hooks, &fit, states, exec, &report, d);
}

/* ---- Allocation ---- */

/* A step from one share of a layer's weights to a greater one. */
typedef struct {
	int layer, share;
	double weights; /* that it drops */
	double cost;    /* of each */
} Step;

static int
compare_steps(const void *a, const void *b)
{
	const Step *x = a, *y = b;

	if (x->cost != y->cost)
		return x->cost < y->cost ? -1 : 1;
	if (x->layer != y->layer)
		return x->layer < y->layer ? -1 : 1;
	return (x->share > y->share) - (x->share < y->share);
}

/*
 * Steps of a layer along the lower convex hull of its losses, which begins where nothing is
 * dropped.  With all costs growing, taking the cheapest steps of all layers first is the
 * best way to any total.
 */
static int
add_steps(const Survey *s, int layer, Step *step)
{
	const LayerLoss *l = &s->layers.v[layer];
	double share = 0, loss = 0;
	int n = 0;

	for (int at = -1; at < s->nshares - 1;) {
		int best = -1;
		double least = HUGE_VAL;

		for (int k = at + 1; k < s->nshares; k++) {
			double slope = (fmax(l->loss[k], 0) - loss) / (s->share[k] - share);

			if (slope <= least) {
				least = slope;
				best = k;
			}
		}
		step[n++] = (Step){layer, best, (s->share[best] - share) * l->weights,
		                   least / l->weights};
		share = s->share[best];
		loss = l->loss[best];
		at = best;
	}
	return n;
}

double *
survey_allocate(const Survey *s, double target, Arena *a)
{
	double *share = ARENA_ARRAY(a, double, s->layers.n + 1), wanted = 0;
	Step *step = ARENA_ARRAY(a, Step, s->layers.n * s->nshares + 1);
	int n = 0;

	if (target > s->share[s->nshares - 1]) {
		for (int i = 0; i < s->layers.n; i++)
			share[i] = target;
		return share;
	}
	for (int i = 0; i < s->layers.n; i++) {
		wanted += target * s->layers.v[i].weights;
		n += add_steps(s, i, step + n);
	}
	qsort(step, (size_t)n, sizeof *step, compare_steps);
	for (int i = 0; i < n && wanted > 0; i++) {
		const Step *t = &step[i];
		double taken = fmin(t->weights, wanted);

		share[t->layer] += taken / s->layers.v[t->layer].weights;
		wanted -= taken;
	}
	return share;
}
