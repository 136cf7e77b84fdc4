#include "passes/compression/cut.h"

#include <stdlib.h>

CutMap
cut_map(Graph *g, Arena *a)
{
	CutMap m = {.map = channels_of(g, a)};

	m.maker = ARENA_ARRAY(a, const ChannelNode *, g->values.n + 1);
	for (int i = 0; i < m.map.nodes.n; i++) {
		const ChannelNode *c = &m.map.nodes.v[i];

		for (int k = 0; k < c->n->nouts; k++)
			if (c->n->out[k])
				m.maker[c->n->out[k]->id] = c;
	}
	return m;
}

/* The only input of a node from which channel k of the output comes; *k becomes the
 * channel there.  NULL when there are several, or none. */
static const Value *
only_source(const CutMap *m, const ChannelNode *c, int32_t *k)
{
	const Value *found = NULL;
	int32_t channel = -1;

	for (int i = 0; i < c->n->nins; i++) {
		const Value *v = c->n->in[i];
		int32_t source;

		if (!v || value_is_const(v))
			continue;
		source = channel_source(&m->map, c, i, *k);
		if (source < 0 && c->n->op == OP_CONCAT)
			continue;
		if (source < 0 || found)
			return NULL;
		found = v;
		channel = source;
	}
	*k = channel;
	return found;
}

static bool
is_depthwise(const Sums *s)
{
	return s->in == 1 && s->out == 1;
}

/* The number, among the channels of all values, of the one that a layer makes and that
 * channel k of v is; -1 when it cannot be cut. */
static int32_t
made_channel(const CutMap *m, const Value *v, int32_t k)
{
	while (v && v->nuses == 1 && m->map.of[v->id].axis >= 0) {
		const ChannelNode *c = m->maker[v->id];

		if (!c || c->use == USES_WHOLE)
			return -1;
		if (c->use == USES_CHANNELS)
			v = only_source(m, c, &k);
		else if (is_depthwise(c->sums))
			v = c->n->in[0];
		else
			return c->sums->groups == 1 ? m->map.of[v->id].first + k : -1;
	}
	return -1;
}

static int
compare_numbers(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

static bool
has_repetition(const int32_t *v, int32_t n, Arena *a)
{
	int32_t *sorted = arena_copy(a, v, (size_t)n * sizeof *v);

	qsort(sorted, (size_t)n, sizeof *sorted, compare_numbers);
	for (int32_t i = 1; i < n; i++)
		if (sorted[i] == sorted[i - 1])
			return true;
	return false;
}

Cut
cut_of(const CutMap *m, const Layer *l, double share, Arena *a)
{
	const Value *x = l->n->in[0];
	const Channels *of = &m->map.of[x->id];
	int axis = l->is_conv ? layout_channel(node_layout(l->n), x->type.rank) : 1;
	int32_t *number = ARENA_ARRAY(a, int32_t, l->in + 1), n = 0;
	Cut cut = {0};

	if (l->groups != 1 || l->in == 0 || of->axis != axis || of->n != l->in)
		return cut;
	cut.block = ARENA_ARRAY(a, int32_t, l->columns + 1);
	for (int32_t c = 0; c < l->in; c++) {
		int32_t made = made_channel(m, x, c);

		if (made < 0)
			return (Cut){0};
		/* What a reshape makes of one channel lies in a row. */
		if (n == 0 || number[n - 1] != made)
			number[n++] = made;
		for (int32_t t = 0; t < l->taps; t++)
			cut.block[c * l->taps + t] = n - 1;
	}
	/* A channel that comes twice would have to go twice. */
	if (has_repetition(number, n, a))
		return (Cut){0};
	cut.n = n;
	cut.drop = (int32_t)(share * n + 0.5);
	cut.drop = cut.drop < n ? cut.drop : n - 1;
	return cut;
}
