#include "passes/channel_ties.h"

int32_t
ties_root(const ChannelTies *t, int32_t c)
{
	while (t->tied[c] != c) {
		t->tied[c] = t->tied[t->tied[c]];
		c = t->tied[c];
	}
	return c;
}

bool
ties_alive(const ChannelTies *t, const Value *v, int32_t c)
{
	return t->alive[ties_root(t, t->m->of[v->id].first + c)];
}

void
ties_keep(ChannelTies *t, const Value *v, int32_t c)
{
	bool *alive = &t->alive[ties_root(t, t->m->of[v->id].first + c)];

	t->changed = t->changed || !*alive;
	*alive = true;
}

void
ties_keep_all(ChannelTies *t, const Value *v)
{
	for (int32_t c = 0; v && c < t->m->of[v->id].n; c++)
		ties_keep(t, v, c);
}

static void
tie(ChannelTies *t, const Value *v, int32_t c, const Value *w, int32_t d)
{
	int32_t a = ties_root(t, t->m->of[v->id].first + c), b = ties_root(t, t->m->of[w->id].first + d);
	bool alive = t->alive[a] || t->alive[b];

	/* The smaller number is the root, so that the result has an order. */
	t->tied[a > b ? a : b] = a > b ? b : a;
	t->alive[a > b ? b : a] = alive;
}

/* Ties input i of a node that keeps channels apart to its output. */
static void
tie_input(ChannelTies *t, const ChannelNode *n, int i)
{
	const Value *x = n->n->in[i], *y = n->n->out[0];
	const Channels *in = &t->m->of[x->id], *out = &t->m->of[y->id];
	int from = channel_source_axis(t->m, n, i, out->axis);
	bool divided = in->axis >= 0 && in->axis == from;

	if (!divided)
		ties_keep_all(t, x);
	for (int32_t k = 0; k < out->n; k++) {
		int32_t c = channel_source(t->m, n, i, k);

		if (c >= 0 && divided)
			tie(t, x, c, y, k);
		else if (c >= 0)
			ties_keep(t, y, k);
		else if (n->n->op != OP_CONCAT)
			ties_keep_all(t, x);
	}
}

/* A group of channels is all there or all gone. */
static void
tie_groups(ChannelTies *t, const ChannelNode *n)
{
	const Sums *s = n->sums;
	const Value *x = n->n->in[0], *y = n->n->out[0];

	if (t->m->of[x->id].axis != s->x_axis) {
		ties_keep_all(t, x);
		if (s->groups > 1)
			ties_keep_all(t, y);
		return;
	}
	for (int32_t g = 0; s->groups > 1 && g < s->groups; g++) {
		for (int32_t c = 0; c < s->in; c++)
			tie(t, x, g * s->in + c, y, g * s->out);
		for (int32_t k = 0; k < s->out; k++)
			tie(t, y, g * s->out + k, y, g * s->out);
	}
}

static void
tie_node(ChannelTies *t, const ChannelNode *n)
{
	switch (n->use) {
	case USES_SUMS: tie_groups(t, n); return;
	case USES_CHANNELS:
		for (int i = 0; i < n->n->nins; i++)
			if (n->n->in[i] && !value_is_const(n->n->in[i]))
				tie_input(t, n, i);
		return;
	case USES_WHOLE:
		for (int i = 0; i < n->n->nins; i++)
			ties_keep_all(t, n->n->in[i]);
		for (int i = 0; i < n->n->nouts; i++)
			ties_keep_all(t, n->n->out[i]);
		return;
	}
}

ChannelTies
ties_of(ChannelMap *m)
{
	ChannelTies t = {.m = m};

	t.tied = ARENA_ARRAY(m->a, int32_t, m->total);
	t.alive = ARENA_ARRAY(m->a, bool, m->total);
	for (int32_t i = 0; i < m->total; i++)
		t.tied[i] = i;
	for (int i = 0; i < m->g->inputs.n; i++)
		ties_keep_all(&t, m->g->inputs.v[i]);
	for (int i = 0; i < m->g->outputs.n; i++)
		ties_keep_all(&t, m->g->outputs.v[i]);
	for (int i = 0; i < m->nodes.n; i++)
		tie_node(&t, &m->nodes.v[i]);
	return t;
}
