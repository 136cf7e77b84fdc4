#include "passes/compression/cut.h"

#include "passes/compression/plan.h"
#include "passes/compression/solve.h"

struct CutGroup {
	CutGroup *in;   /* another group that this one is now a part of, or NULL */
	int readers;    /* layers */
	int32_t n;      /* channels */
	int32_t *number; /* of each channel: which of the group it is; by what stands for it */
	bool *gone;     /* by number; NULL: not chosen yet */
	Arena *arena;   /* of what readers show */
	VEC(BlockReader) seen;
};

/* ---- Groups ---- */

static CutGroup *
whole(CutGroup *g)
{
	while (g && g->in)
		g = g->in;
	return g;
}

/* What stands for channel c of the value that a node reads. */
static int32_t
channel_of(const CutMap *m, const ChannelNode *c, int32_t k)
{
	return ties_root(&m->ties, m->map.of[c->n->in[0]->id].first + k);
}

static int32_t
channels_read(const ChannelNode *c)
{
	return c->sums->groups * c->sums->in;
}

static bool
is_divided(const CutMap *m, const ChannelNode *c)
{
	const Channels *of = &m->map.of[c->n->in[0]->id];

	return of->axis == c->sums->x_axis && of->n == channels_read(c);
}

/* Puts all channels that a node reads and that may go into one group. */
static void
join_channels(CutMap *m, const ChannelNode *c)
{
	CutGroup *g = NULL;

	for (int32_t k = 0; k < channels_read(c); k++) {
		int32_t root = channel_of(m, c, k);
		CutGroup *other = whole(m->group[root]);

		if (m->ties.alive[root])
			continue;
		if (!g)
			g = other ? other : ARENA_NEW(m->arena, CutGroup);
		if (other && other != g) {
			other->in = g;
			g->readers += other->readers;
		}
		m->group[root] = g;
	}
	if (g)
		g->readers++;
}

static void
number_channels(CutMap *m)
{
	int32_t *number = ARENA_ARRAY(m->arena, int32_t, m->map.total + 1);

	for (int32_t i = 0; i < m->map.total; i++) {
		CutGroup *g = m->group[i] = whole(m->group[i]);

		if (!g)
			continue;
		number[i] = g->n++;
		g->number = number;
		m->joint = m->joint || g->readers > 1;
	}
}

/* Sums that may not change keep what they read; so do those that have no say of single
 * channels. */
static bool
may_lose(const CutMap *m, const ChannelNode *c, bool (*can_change)(void *, const Node *),
         void *user)
{
	return c->sums->groups == 1 && is_divided(m, c) && plan_kind(c->n) == KIND_LINEAR &&
	       can_change(user, c->n);
}

CutMap
cut_map(Graph *g, double share, bool (*can_change)(void *user, const Node *n), void *user,
        Arena *a)
{
	CutMap m = {.arena = a, .map = channels_of(g, a), .share = share};

	m.ties = ties_of(&m.map);
	m.group = ARENA_ARRAY(a, CutGroup *, m.map.total + 1);
	m.node = ARENA_ARRAY(a, const ChannelNode *, m.map.nodes.n + 1);
	for (int i = 0; i < m.map.nodes.n; i++) {
		const ChannelNode *c = &m.map.nodes.v[i];

		if (c->use != USES_SUMS)
			continue;
		if (may_lose(&m, c, can_change, user))
			m.node[m.nnodes++] = c;
		else if (c->sums->groups == 1)
			ties_keep_all(&m.ties, c->n->in[0]);
	}
	for (int i = 0; i < m.nnodes; i++)
		join_channels(&m, m.node[i]);
	number_channels(&m);
	m.ties.m = NULL; /* the map moves with its owner */
	return m;
}

static const ChannelNode *
find_node(const CutMap *m, const Node *n)
{
	for (int i = 0; i < m->nnodes; i++)
		if (m->node[i]->n == n)
			return m->node[i];
	return NULL;
}

/* One channel of a group stays. */
static int32_t
drops_of(const CutMap *m, int32_t n)
{
	int32_t drop = (int32_t)(m->share * n + 0.5);

	return drop < n ? drop : n - 1;
}

/* ---- Readers ---- */

/* The number of each column's channel in its group, of which a reader has one; -1: the
 * channel stays. */
static int32_t *
blocks_of(const CutMap *m, const ChannelNode *c, const Layer *l, CutGroup **group, Arena *a)
{
	int32_t *block = ARENA_ARRAY(a, int32_t, l->columns + 1);

	*group = NULL;
	for (int32_t k = 0; k < l->in; k++) {
		int32_t root = channel_of(m, c, k);
		CutGroup *g = m->group[root];

		*group = g ? g : *group;
		for (int32_t t = 0; t < l->taps; t++)
			block[k * l->taps + t] = g ? g->number[root] : -1;
	}
	return block;
}

/* The variance of what a layer computes. */
static double
variance_of(const Layer *l, const Moments *m, const double *w)
{
	size_t d = (size_t)l->columns;
	double sum = 0;

	for (size_t r = 0; r < (size_t)l->rows; r++)
		for (size_t i = 0; i < d; i++) {
			const double *h = &m->h[i * d];
			double part = 0;

			for (size_t j = 0; j < d; j++)
				part += h[j] * w[r * d + j];
			sum += part * w[r * d + i];
		}
	return sum;
}

static double
squares_of(const double *w, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += w[i] * w[i];
	return sum;
}

/* Layers that are too wide for moments are judged by the size of their weights. */
static void
add_reader(CutGroup *g, const Layer *l, const int32_t *block, const Moments *seen)
{
	size_t n = (size_t)l->rows * (size_t)l->columns;
	const float *w = layer_matrix(l, g->arena);
	double *rows = ARENA_ARRAY(g->arena, double, n + 1), most;
	BlockReader r = {.d = l->columns, .rows = l->rows, .w = rows, .block = block};
	Arena *work = arena_child(g->arena);
	Problem p;

	for (size_t i = 0; i < n; i++)
		rows[i] = (double)w[i];
	if (seen->h && solve_prepare(&p, seen->h, seen->g, l->columns, true, work))
		r.inverse = arena_copy(g->arena, p.inverse,
		                       (size_t)l->columns * (size_t)l->columns * sizeof *p.inverse);
	most = r.inverse ? variance_of(l, seen, rows) : squares_of(rows, n);
	r.weight = most > 0 ? 1 / most : 1;
	arena_free(work);
	VEC_PUSH(g->arena, &g->seen, r);
}

static void
choose(CutMap *m, CutGroup *g)
{
	g->gone = ARENA_ARRAY(m->arena, bool, g->n + 1);
	solve_drop_blocks(g->seen.v, g->seen.n, g->n, drops_of(m, g->n), g->gone, g->arena);
	arena_free(g->arena);
}

void
cut_look(CutMap *m, const Layer *l, const Moments *seen)
{
	const ChannelNode *c = find_node(m, l->n);
	CutGroup *g;
	int32_t *block;

	if (!c)
		return;
	block = blocks_of(m, c, l, &g, m->arena);
	if (!g || g->readers < 2)
		return;
	if (!g->arena)
		g->arena = arena_child(m->arena);
	add_reader(g, l, block, seen);
	if (g->seen.n == g->readers)
		choose(m, g);
}

Cut
cut_of(const CutMap *m, const Layer *l, Arena *a)
{
	const ChannelNode *c = find_node(m, l->n);
	CutGroup *g = NULL;
	Cut cut = {0};

	if (!c)
		return cut;
	cut.block = blocks_of(m, c, l, &g, a);
	if (!g)
		return (Cut){0};
	cut.n = g->n;
	cut.drop = drops_of(m, g->n);
	cut.gone = g->gone;
	return cut;
}
