#include "passes/compression/judge.h"

#include <math.h>
#include <string.h>

#include "passes/compression/emit.h"

enum { MOST_JUDGED = 256, LEAST_JUDGED = 32 }; /* samples */

/* Multiply-accumulates that judging may take, above which fewer samples do it. */
static const double most_macs = 4e10;

/* ---- The float network with weights that can be exchanged ---- */

static bool
is_layer(const Node *n)
{
	return plan_kind(n) == KIND_LINEAR;
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

	j->first = at;
	for (const Node *n = j->g->first; n; n = n->next) {
		Layer l;
		Type t;
		int k = j->nlayers;

		if (!is_layer(n))
			continue;
		l = layer_read(n);
		t = type_make(DT_F32, 1, &l.rows);
		j->layer[k] = n;
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
	emit_init(&e, to, g, plan_floats(g, j->a), d);
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
loss_of(const Judge *j)
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

static void
run_model(const Judge *j, const CallArray *out)
{
	j->exec->run(j->exec->user, j->model, j->calls, j->in, out);
}

double
judge_layer(const Judge *j, const Node *n, const float *w, const float *bias)
{
	int k = 0;
	CallArray *in, old[2];

	while (k < j->nlayers && j->layer[k] != n)
		k++;
	if (k == j->nlayers)
		return 0;
	in = &j->in[j->first + 2 * k];
	memcpy(old, in, sizeof old);
	in[0] = same_each_call(w);
	in[1] = same_each_call(bias);
	run_model(j, j->result);
	memcpy(in, old, sizeof old);
	return loss_of(j);
}

/* How many samples judge; fewer for large networks. */
static size_t
count_judged(const Graph *g, size_t n, double runs)
{
	double macs = 0, most;

	for (const Node *node = g->first; node; node = node->next)
		macs += (double)node_macs(node);
	most = fmax(most_macs / (fmax(macs, 1) * fmax(runs, 1)), LEAST_JUDGED);
	most = fmin(most, MOST_JUDGED);
	return n < (size_t)most ? n : (size_t)most;
}

bool
judge_begin(Judge *j, const Graph *g, const Samples *s, int runs, const Executor *exec, Arena *a,
            Diag *d)
{
	*j = (Judge){.g = g, .exec = exec, .a = a};
	j->calls = count_judged(g, s->n, (double)runs * count_layers(g));
	if (!build_model(j, s, d))
		return false;
	j->expected = new_outputs(j);
	j->result = new_outputs(j);
	run_model(j, j->expected);
	return true;
}
