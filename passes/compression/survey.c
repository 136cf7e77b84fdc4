#include "passes/compression/survey.h"

#include <math.h>
#include <stdlib.h>

#include "passes/compression/judge.h"
#include "passes/compression/samples.h"

/* One sample in so many judges weights that the others choose. */
enum { JUDGED = 4 };

/* Finer where each weight that goes costs more. */
static const double shares[] = {0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99};

enum { SHARES = sizeof shares / sizeof *shares };

/* ---- Looking ---- */

typedef struct {
	Survey *out;
	const Judge *judge;
	const Layer *layer; /* the one that is looked at */
	double *loss;       /* its losses, by share */
	Arena *a;
} Look;

static void
look_at_weights(void *user, int k, const float *w, const float *bias)
{
	const Look *look = user;

	look->loss[k] = judge_layer(look->judge, look->layer->n, w, bias);
}

static void
look_at_layer(void *user, const Layer *l, const Moments *m, Arena *a)
{
	Look *look = user;
	LayerLoss loss = {.n = l->n, .weights = (double)l->rows * (double)l->columns};

	if (!weights_can_drop(l))
		return;
	loss.loss = look->loss = ARENA_ARRAY(look->a, double, SHARES);
	look->layer = l;
	weights_try_shares(l, m, shares, SHARES, look_at_weights, look, a);
	VEC_PUSH(look->a, &look->out->layers, loss);
}

bool
survey_walk(Graph *g, const CompressOptions *options, const WalkHooks *hooks, const Samples *s,
            const CallArray *states, const Executor *exec, Arena *a, Diag *d)
{
	Arena *work = arena_child(a);
	CompressOptions floats = *options;
	CompressReport report = {0};
	Graph *to = graph_new(work, g->name);
	bool ok;
	Emit e;

	floats.weights = (WeightOptions){0};
	emit_init(&e, to, g, plan_floats(g, work), d);
	for (int i = 0; i < g->inputs.n; i++)
		e.map[g->inputs.v[i]->id] = graph_input(to, NULL, g->inputs.v[i]->type);
	ok = walk_nodes(g, &e, &floats, hooks, s, states, exec, &report, d);
	arena_free(work);
	return ok;
}

bool
survey_layers(Survey *out, Graph *g, const CompressOptions *options, const Samples *s,
              const CallArray *states, const Executor *exec, Arena *a, Diag *d)
{
	Arena *work = arena_child(a);
	bool sequence = g->states.n > 0, ok;
	Samples fit = sequence ? *s : samples_part(s, g, JUDGED, true, work);
	Samples judged = sequence ? *s : samples_part(s, g, JUDGED, false, work);
	Judge judge;
	Look look = {.out = out, .judge = &judge, .a = a};
	WalkHooks hooks = {.look = look_at_layer, .user = &look};

	*out = (Survey){.nshares = SHARES, .share = shares};
	ok = judge_begin(&judge, g, &judged, SHARES, exec, work, d) &&
	     survey_walk(g, options, &hooks, &fit, states, exec, work, d);
	arena_free(work);
	return ok;
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
