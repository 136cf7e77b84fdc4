/*
 * Where values lie.
 *
 * Memory is decided in this order:
 *
 *  1. A result that is an output of the graph is computed in the caller's
 *     buffer, when it is an output once, and a state in the memory of the state that
 *     it follows, when that is dead by then.
 *  2. Views, in the order of the nodes.
 *  3. Pieces of concats; what does not fit is copied.
 *  4. Results in place of inputs that die, in the order of the nodes.
 *  5. Groups of slots that are left without given memory, and scratch, are
 *     planned in the arena; there results may lie partly over inputs that die, as the
 *     order of their kernel's loops allows.
 *
 * Each decision is kept only when the groups of share.h allow it.  All of this is
 * done under several policies; the smallest arena wins, and of equals the first, which
 * copies least.
 */
#include <assert.h>

#include "codegen/program/layout.h"
#include "codegen/program/regions.h"

/* A result that may lie over an input which dies: bytes from the input's start to its
 * own are at most `below`, at least `above`, or, with `same`, 0. */
typedef struct {
	int in, out; /* slots */
	int64_t below, above;
	bool same;
} Near;

/* A layout in the making. */
typedef struct {
	const Plans *p;
	Layout *l;
	VEC(Near) near;
	bool *tagged; /* by slot: `near` speaks of it */
} Maker;

/* ---- Slots ---- */

static int
index_of(Value *const *list, int n, const Value *v)
{
	for (int i = 0; i < n; i++)
		if (list[i] == v)
			return i;
	return -1;
}

static bool
is_io_in_arena(const Plans *p)
{
	return p->options->io == IO_ARENA;
}

static void
set_lifetimes(const Plans *p, Slot *slot)
{
	for (int t = 0; t < p->nnodes; t++) {
		const Node *n = p->node[t];

		for (int i = 0; i < n->nins; i++)
			if (n->in[i] && t > slot[n->in[i]->id].last)
				slot[n->in[i]->id].last = t;
		for (int i = 0; i < n->nouts; i++) {
			if (!n->out[i])
				continue;
			slot[n->out[i]->id].first = t;
			if (t > slot[n->out[i]->id].last)
				slot[n->out[i]->id].last = t;
		}
	}
}

/* The caller's memory: what it holds, and whether it may be written.  States that are
 * outputs are not among it: they are overwritten at the end, when nothing reads them any
 * more, or where they are dead. */
static void
fix_callers_slots(const Plans *p, Sharing *s)
{
	const Graph *g = p->graph;

	for (int i = 0; i < g->inputs.n; i++) {
		int id = g->inputs.v[i]->id;

		sharing_fix(s, id, BUFFER_INPUT);
		if (i < graph_plain_inputs(g) && p->options->clobber_input)
			s->group[s->slot[id].group].writable = true;
	}
	for (int i = 0; i < graph_plain_outputs(g); i++) {
		const Value *v = g->outputs.v[i];

		/* It may be an output twice. */
		if (v->def && s->group[s->slot[v->id].group].base < 0)
			sharing_fix(s, v->id, BUFFER_OUTPUT);
	}
}

static void
fix_constants(const Plans *p, Sharing *s)
{
	for (int i = 0; i < p->graph->values.n; i++) {
		if (!p->graph->values.v[i]->data)
			continue;
		s->slot[i].last = p->nnodes;
		sharing_fix(s, i, BUFFER_CONST);
	}
}

/* An output that is a constant has to be copied to where the caller finds it. */
static void
init_copy_slots(const Plans *p, Layout *l)
{
	const Graph *g = p->graph;

	l->copy_slot = ARENA_ARRAY(p->arena, int, g->outputs.n);
	for (int i = 0; i < g->outputs.n; i++) {
		Slot *slot = &l->sharing.slot[g->values.n + i];

		l->copy_slot[i] = -1;
		slot->first = slot->last = p->nnodes;
		if (!is_io_in_arena(p) || i >= graph_plain_outputs(g) || !g->outputs.v[i]->data)
			continue;
		l->copy_slot[i] = g->values.n + i;
		slot->size = (int64_t)type_bytes(&g->outputs.v[i]->type);
	}
}

static void
init_slots(const Plans *p, Layout *l)
{
	const Graph *g = p->graph;
	Sharing *s = &l->sharing;

	sharing_init(s, p->arena, g->values.n + g->outputs.n);
	for (int i = 0; i < g->values.n; i++) {
		s->slot[i].size = (int64_t)type_bytes(&g->values.v[i]->type);
		s->slot[i].first = s->slot[i].last = -1;
	}
	set_lifetimes(p, s->slot);
	for (int i = 0; i < g->outputs.n; i++)
		s->slot[g->outputs.v[i]->id].last = p->nnodes;
	fix_constants(p, s);
	if (!is_io_in_arena(p))
		fix_callers_slots(p, s);
	init_copy_slots(p, l);
}

/* ---- Sharing ---- */

/* Whether the kernel may write its result over `v`, forward and from the same start,
 * for every input that is v. */
static bool
kernel_may_overwrite(const Plans *p, int t, const Value *v, const Value *result)
{
	ArgPairs pairs = versions_pairs(p->arena, p->node[t]);

	for (int i = 0; i < pairs.n; i++)
		if (pairs.v[i].value == v->id && pairs.v[i].result == result->id &&
		    !versions_may_share(p->kernel[t], pairs.v[i].in, pairs.v[i].out))
			return false;
	return true;
}

static int
time_of(const Plans *p, const Node *n)
{
	int t = 0;

	while (p->node[t] != n)
		t++;
	return t;
}

/* Whether what state k holds next can be computed where it is: nothing else is made of
 * the value, and nothing reads the state afterwards. */
static bool
can_update_in_place(const Plans *p, const Sharing *s, int k)
{
	const Graph *g = p->graph;
	const Value *in = g->inputs.v[graph_plain_inputs(g) + k];
	const Value *out = g->outputs.v[graph_plain_outputs(g) + k];
	int uses = 0;

	for (int i = 0; i < g->outputs.n; i++)
		uses += g->outputs.v[i] == out || g->outputs.v[i] == in;
	if (uses != 1 || !out->def || s->slot[out->id].size == 0 ||
	    s->slot[in->id].last > s->slot[out->id].first)
		return false;
	return s->slot[in->id].last < s->slot[out->id].first ||
	       kernel_may_overwrite(p, time_of(p, out->def), in, out);
}

/* All other inputs are needed to the end of the call, and so are states that are
 * overwritten then. */
static void
share_states(const Plans *p, Layout *l)
{
	const Graph *g = p->graph;
	Sharing *s = &l->sharing;

	for (int i = 0; i < g->inputs.n; i++) {
		int k = i - graph_plain_inputs(g), in = g->inputs.v[i]->id;

		if (k >= 0 && l->policy.in_place && can_update_in_place(p, s, k) &&
		    sharing_state(s, in, g->outputs.v[graph_plain_outputs(g) + k]->id))
			continue;
		if (k >= 0 || (!is_io_in_arena(p) && !p->options->clobber_input))
			s->slot[in].last = p->nnodes;
	}
}

static void
share_views(const Plans *p, Layout *l)
{
	for (int t = 0; t < p->nnodes; t++) {
		const Node *n = p->node[t];
		int32_t offset;

		if (!l->no_kernel[t] && node_is_view(n, &offset))
			l->no_kernel[t] = sharing_view(
				&l->sharing, n->in[0]->id,
				(int64_t)offset * dtype_info[n->in[0]->type.dtype].bytes,
				n->out[0]->id);
	}
}

int64_t
layout_piece_offset(const Node *n, int i, const int32_t *offset)
{
	return (int64_t)offset[i] * dtype_info[n->out[0]->type.dtype].bytes;
}

bool
layout_piece_is_in_place(const Layout *l, const Node *n, int i, const int32_t *offset)
{
	const Slot *slot = l->sharing.slot;
	const Slot *in = &slot[n->in[i]->id], *out = &slot[n->out[0]->id];

	return in->size == 0 ||
	       (in->group == out->group && in->at == out->at + layout_piece_offset(n, i, offset));
}

static void
share_concats(const Plans *p, Layout *l)
{
	for (int t = 0; t < p->nnodes; t++) {
		const Node *n = p->node[t];
		int32_t *offset = ARENA_ARRAY(p->arena, int32_t, n->nins);

		if (l->no_kernel[t] || !node_concat_offsets(n, offset))
			continue;
		for (int i = 0; i < n->nins; i++)
			if (sharing_piece(&l->sharing, n->out[0]->id, layout_piece_offset(n, i, offset),
			                  n->in[i]->id))
				l->no_kernel[t] = true;
	}
}

/* Elements keep their type: C compilers may assume that memory is not accessed
 * as two types in one function. */
static bool
can_try_in_place(const Sharing *s, int t, const Value *in, const Value *out)
{
	return in && in->type.dtype == out->type.dtype && s->slot[in->id].last == t &&
	       s->slot[in->id].size > 0 && s->slot[out->id].size > 0 &&
	       s->slot[in->id].size >= s->slot[out->id].size;
}

static void
share_in_place(const Plans *p, Layout *l)
{
	Sharing *s = &l->sharing;

	for (int t = 0; t < p->nnodes; t++) {
		const Node *n = p->node[t];

		for (int k = 0; k < n->nouts && !l->no_kernel[t]; k++)
			for (int i = 0; i < n->nins && n->out[k]; i++)
				if (can_try_in_place(s, t, n->in[i], n->out[k]) &&
				    kernel_may_overwrite(p, t, n->in[i], n->out[k]) &&
				    sharing_in_place(s, n->in[i]->id, n->out[k]->id))
					break;
	}
}

/* ---- Results that lie partly over inputs ---- */

static Slot *
slot_of(const Maker *m, int i)
{
	return &m->l->sharing.slot[i];
}

static bool
is_in_arena(const Maker *m, int slot)
{
	return m->l->sharing.group[slot_of(m, slot)->group].kind == BUFFER_ARENA;
}

/* Whether memory of the pair is planned, and only there both are alive together. */
static bool
may_be_near(const Maker *m, const ArgPair *p, int t)
{
	const Slot *in = slot_of(m, p->value), *out = slot_of(m, p->result);

	return in->group != out->group && in->last == t && out->first == t && in->size > 0 &&
	       out->size > 0 && is_in_arena(m, p->value) && is_in_arena(m, p->result);
}

/* Whether the order suits arguments that lie in each other's memory already. */
static bool
order_fits(const Maker *m, int t, Order order, const ArgPairs *pairs)
{
	const Policy *policy = &m->l->policy;
	Versions *k = m->p->kernel[t];

	if (order > m->p->last_order[t] || (order >= ORDER_HELD && !policy->hold))
		return false;
	for (int i = 0; i < pairs->n; i++) {
		const ArgPair *p = &pairs->v[i];
		const Slot *in = slot_of(m, p->value), *out = slot_of(m, p->result);

		if (in->group == out->group && !versions_allow(k, order, p->in, p->out,
		                                               out->at - in->at))
			return false;
	}
	return versions_has(k, order);
}

/* The distances of a pair: what any of the orders allows, or, when another pair decides
 * the order, what all of them do. */
static Near
distances(const Maker *m, int t, const ArgPairs *pairs, const ArgPair *pair, const bool *fits,
          bool any)
{
	Near r = {.in = pair->value, .out = pair->result, .same = true,
	          .below = any ? INT64_MIN : INT64_MAX, .above = any ? INT64_MAX : INT64_MIN};

	for (int order = 0; order < ORDER_COUNT; order++) {
		LDistance d = {INT64_MAX, INT64_MIN};

		for (int i = 0; i < pairs->n && fits[order]; i++) {
			const ArgPair *p = &pairs->v[i];
			LDistance one;

			if (p->value != pair->value || p->result != pair->result)
				continue;
			one = versions_distance(m->p->kernel[t], (Order)order, p->in, p->out);
			d.below = one.below < d.below ? one.below : d.below;
			d.above = one.above > d.above ? one.above : d.above;
			if ((order == ORDER_FORWARD || !any) &&
			    !versions_allow(m->p->kernel[t], (Order)order, p->in, p->out, 0))
				r.same = false;
		}
		if (!fits[order])
			continue;
		r.below = any == (d.below > r.below) ? d.below : r.below;
		r.above = any == (d.above < r.above) ? d.above : r.above;
	}
	r.same = r.same && fits[ORDER_FORWARD];
	return r;
}

static int64_t
smaller_size(const Maker *m, const ArgPair *p)
{
	int64_t in = slot_of(m, p->value)->size, out = slot_of(m, p->result)->size;

	return in < out ? in : out;
}

/* The pair that has most to share decides the order of the kernel. */
static const ArgPair *
leading_pair(const Maker *m, const ArgPairs *pairs, int t)
{
	const ArgPair *lead = NULL;

	for (int i = 0; i < pairs->n; i++)
		if (may_be_near(m, &pairs->v[i], t) &&
		    (!lead || smaller_size(m, &pairs->v[i]) > smaller_size(m, lead)))
			lead = &pairs->v[i];
	return lead;
}

static bool
is_known_pair(const Maker *m, const ArgPair *p)
{
	for (int i = m->near.n - 1; i >= 0 && m->near.v[i].out == p->result; i--)
		if (m->near.v[i].in == p->value)
			return true;
	return false;
}

static void
find_near(Maker *m, int t)
{
	ArgPairs pairs = versions_pairs(m->p->arena, m->p->node[t]);
	const ArgPair *lead = leading_pair(m, &pairs, t);
	bool fits[ORDER_COUNT];

	if (!lead)
		return;
	for (int order = 0; order < ORDER_COUNT; order++)
		fits[order] = order_fits(m, t, (Order)order, &pairs);
	for (int i = 0; i < pairs.n; i++) {
		const ArgPair *p = &pairs.v[i];
		bool leads = p->value == lead->value && p->result == lead->result;
		Near near;

		if (!may_be_near(m, p, t) || is_known_pair(m, p))
			continue;
		near = distances(m, t, &pairs, p, fits, leads);
		VEC_PUSH(m->p->arena, &m->near, near);
		m->tagged[near.in] = m->tagged[near.out] = true;
	}
}

/* Bytes of inputs and outputs in the arena that a kernel works on. */
static int64_t
working_set(const Maker *m, int t)
{
	ArgPairs pairs = versions_pairs(m->p->arena, m->p->node[t]);
	int64_t most = 0;

	for (int i = 0; i < pairs.n; i++)
		if (may_be_near(m, &pairs.v[i], t) && most < slot_of(m, pairs.v[i].value)->size +
		                                                     slot_of(m, pairs.v[i].result)->size)
			most = slot_of(m, pairs.v[i].value)->size +
			       slot_of(m, pairs.v[i].result)->size;
	return most;
}

/* Small layers have room anyway. */
static void
find_all_near(Maker *m)
{
	int64_t most = 0;

	for (int t = 0; t < m->p->nnodes; t++)
		if (!m->l->no_kernel[t] && working_set(m, t) > most)
			most = working_set(m, t);
	for (int t = 0; t < m->p->nnodes; t++)
		if (!m->l->no_kernel[t] && working_set(m, t) > most / 4)
			find_near(m, t);
}

/* ---- Items of the planner ---- */

static DType
slot_dtype(const Plans *p, int slot)
{
	const Graph *g = p->graph;

	return slot < g->values.n ? g->values.v[slot]->type.dtype
	                          : g->outputs.v[slot - g->values.n]->type.dtype;
}

/* The rectangle of a slot, its bytes rounded outward to the alignment. */
static PlanRect
slot_rect(const Plans *p, const Slot *slot, int64_t origin, int tag)
{
	size_t lo = (size_t)(slot->at - origin), hi = lo + (size_t)slot->size;

	lo &= ~(p->align - 1);
	return (PlanRect){lo, align_up(hi, p->align) - lo, slot->first, slot->last, tag};
}

/* Makes b part of a when it adds nothing to it, or only time to the same bytes. */
static bool
absorb_rect(PlanRect *a, const PlanRect *b)
{
	bool same = a->offset == b->offset && a->size == b->size;

	if (same && a->first <= b->last + 1 && b->first <= a->last + 1) {
		a->first = a->first < b->first ? a->first : b->first;
		a->last = a->last > b->last ? a->last : b->last;
		return true;
	}
	return a->offset <= b->offset && b->offset + b->size <= a->offset + a->size &&
	       a->first <= b->first && b->last <= a->last;
}

static void
add_rect(PlanItem *item, PlanRect rect)
{
	for (int i = 0; i < item->nrects; i++) {
		PlanRect old = item->rect[i];

		if (rect.tag || old.tag ||
		    (!absorb_rect(&rect, &old) && !absorb_rect(&old, &rect)))
			continue;
		/* Grown or replaced, it may take in others. */
		if (absorb_rect(&old, &rect))
			rect = old;
		item->rect[i] = item->rect[--item->nrects];
		i = -1;
	}
	item->rect[item->nrects++] = rect;
}

static int64_t
floor_to(int64_t x, size_t align)
{
	return x - (int64_t)((uint64_t)x & (align - 1));
}

static void
make_group_item(const Maker *m, int group)
{
	const Plans *p = m->p;
	Layout *l = m->l;
	const Group *g = &l->sharing.group[group];
	PlanItem *item = &l->item[l->nitems];
	int64_t lo = INT64_MAX;

	item->align = p->align;
	item->rect = ARENA_ARRAY(p->arena, PlanRect, g->slots.n);
	for (int i = 0; i < g->slots.n; i++) {
		const Slot *slot = &l->sharing.slot[g->slots.v[i]];
		size_t align = (size_t)dtype_info[slot_dtype(p, g->slots.v[i])].bytes;

		if (slot->size > 0 && slot->at < lo)
			lo = slot->at;
		if (align > item->align)
			item->align = align;
	}
	if (lo == INT64_MAX)
		return;
	l->origin[group] = floor_to(lo, item->align);
	for (int i = 0; i < g->slots.n; i++) {
		int s = g->slots.v[i];

		if (l->sharing.slot[s].size > 0)
			add_rect(item, slot_rect(p, &l->sharing.slot[s], l->origin[group],
			                         m->tagged[s] ? s + 1 : 0));
	}
	l->item_of[group] = l->nitems++;
}

static void
make_scratch_item(const Plans *p, Layout *l, const LBuf *buf, int t)
{
	size_t size = (size_t)buf->count * (size_t)dtype_info[buf->elem].bytes;
	size_t align = (size_t)dtype_info[buf->elem].bytes;
	PlanItem *item = &l->item[l->nitems++];

	item->align = align > p->align ? align : p->align;
	item->rect = ARENA_NEW(p->arena, PlanRect);
	*item->rect = (PlanRect){0, align_up(size, p->align), t, t, 0};
	item->nrects = size > 0;
}

/* Whether any of the group's memory is used: values that nothing defines are left over
 * from passes. */
static bool
is_group_used(const Plans *p, const Layout *l, const Group *g)
{
	for (int i = 0; i < g->slots.n; i++) {
		const Value *v = g->slots.v[i] < p->graph->values.n
		                         ? p->graph->values.v[g->slots.v[i]]
		                         : NULL;

		if (!v || v->def ? l->sharing.slot[g->slots.v[i]].first >= 0
		                 : index_of(p->graph->inputs.v, p->graph->inputs.n, v) >= 0)
			return true;
	}
	return false;
}

static void
make_items(const Maker *m)
{
	const Plans *p = m->p;
	Layout *l = m->l;
	int room = l->sharing.n;

	for (int t = 0; t < p->nnodes; t++)
		if (!l->no_kernel[t])
			room += p->kernel[t]->fn[ORDER_FORWARD]->bufs.n;
	l->item = ARENA_ARRAY(p->arena, PlanItem, room);
	l->item_of = ARENA_ARRAY(p->arena, int, l->sharing.n);
	l->origin = ARENA_ARRAY(p->arena, int64_t, l->sharing.n);
	l->scratch_item = ARENA_ARRAY(p->arena, int, p->nnodes);
	for (int i = 0; i < l->sharing.n; i++) {
		const Group *g = &l->sharing.group[i];

		l->item_of[i] = -1;
		if (g->kind == BUFFER_ARENA && is_group_used(p, l, g))
			make_group_item(m, i);
	}
	for (int t = 0; t < p->nnodes; t++) {
		const LFunc *f = p->kernel[t]->fn[ORDER_FORWARD];

		l->scratch_item[t] = l->nitems;
		for (int i = 0; !l->no_kernel[t] && i < f->bufs.n; i++)
			if (f->bufs.v[i]->role == LBUF_SCRATCH)
				make_scratch_item(p, l, f->bufs.v[i], t);
	}
}

/* ---- Relations ---- */

/* Bytes from the start of its item to a slot. */
static int64_t
offset_in_item(const Layout *l, int slot)
{
	const Slot *s = &l->sharing.slot[slot];

	return s->at - l->origin[s->group];
}

static void
make_relations(const Maker *m)
{
	Layout *l = m->l;

	for (int i = 0; i < m->near.n; i++) {
		const Near *n = &m->near.v[i];
		int64_t shift = offset_in_item(l, n->in) - offset_in_item(l, n->out);
		PlanRelation r = {.in = l->item_of[l->sharing.slot[n->in].group],
		                  .out = l->item_of[l->sharing.slot[n->out].group],
		                  .in_tag = n->in + 1,
		                  .out_tag = n->out + 1,
		                  .lo = n->below + shift,
		                  .hi = n->above + shift,
		                  .has_at = n->same,
		                  .at = shift};

		VEC_PUSH(m->p->arena, &l->relations, r);
	}
}

size_t
layout_place(const Layout *l, int slot)
{
	const Slot *s = &l->sharing.slot[slot];

	if (s->size == 0)
		return 0;
	return l->item[l->item_of[s->group]].place + (size_t)(s->at - l->origin[s->group]);
}

/* ---- Orders ---- */

/* Whether a kernel may run in that order in the memory that was planned. */
static bool
order_is_safe(const Maker *m, int t, Order order, const ArgPairs *pairs)
{
	Versions *k = m->p->kernel[t];

	if (!versions_has(k, order))
		return false;
	for (int i = 0; i < pairs->n; i++) {
		const ArgPair *p = &pairs->v[i];
		const Slot *in = slot_of(m, p->value), *out = slot_of(m, p->result);
		int64_t d;

		if (in->size == 0 || out->size == 0)
			continue;
		if (in->group == out->group)
			d = out->at - in->at;
		else if (is_in_arena(m, p->value) && is_in_arena(m, p->result))
			d = (int64_t)layout_place(m->l, p->result) -
			    (int64_t)layout_place(m->l, p->value);
		else
			continue;
		if (!versions_allow(k, order, p->in, p->out, d))
			return false;
	}
	return true;
}

/* The first order that is safe; the plan has seen to it that there is one. */
static void
choose_orders(const Maker *m)
{
	for (int t = 0; t < m->p->nnodes; t++) {
		ArgPairs pairs;
		Order order = ORDER_FORWARD;

		if (m->l->no_kernel[t])
			continue;
		pairs = versions_pairs(m->p->arena, m->p->node[t]);
		while (order < ORDER_COUNT && !order_is_safe(m, t, order, &pairs))
			order++;
		assert(order < ORDER_COUNT);
		m->l->order[t] = order;
	}
}

/* ---- Regions ---- */

/* Loads and stores of a call by item. */
static double *
count_accesses(const Maker *m)
{
	const Layout *l = m->l;
	double *accesses = ARENA_ARRAY(m->p->arena, double, l->nitems);

	for (int t = 0; t < m->p->nnodes; t++) {
		const Node *n = m->p->node[t];
		const LFunc *f = m->p->kernel[t]->fn[ORDER_FORWARD];
		const double *of;
		int at = 0, scratch = l->scratch_item[t];

		if (l->no_kernel[t])
			continue;
		of = versions_accesses(m->p->kernel[t]);
		for (int i = 0; i < n->nins + n->nouts; i++) {
			const Value *v = i < n->nins ? n->in[i] : n->out[i - n->nins];
			int item = v ? l->item_of[slot_of(m, v->id)->group] : -1;

			if (item >= 0)
				accesses[item] += of[at];
			at += v != NULL;
		}
		for (int i = 0; i < f->bufs.n; i++)
			if (f->bufs.v[i]->role == LBUF_SCRATCH)
				accesses[scratch++] += of[i];
	}
	return accesses;
}

/* One region behind the other: from here on places are those in an arena of one piece.
 * Regions start where elements of any type may. */
static void
line_up_regions(Layout *l, const PlanProblem *problem, const RegionPlan *plan)
{
	enum { MAX_ALIGN = 8 };
	size_t end = 0;

	l->result = (PlanResult){.optimal = true, .method = plan->region[0].method};
	for (int r = 0; r < l->nregions; r++) {
		const PlanResult *result = &plan->region[r];

		l->region[r].base = align_up(end, MAX_ALIGN);
		l->region[r].size = result->size;
		end = l->region[r].base + result->size;
		l->result.bound += result->bound;
		l->result.optimal = l->result.optimal && result->optimal;
	}
	l->result.size = end;
	for (int i = 0; i < problem->n; i++)
		problem->item[i].place += l->region[plan->of[i]].base;
	l->overflow = plan->overflow;
	l->full = plan->full;
	l->slow = plan->slow;
}

static void
place_items(const Maker *m, const PlanProblem *problem)
{
	const ProgramOptions *o = m->p->options;
	Layout *l = m->l;
	RegionPlan plan;

	l->nregions = o->nregions ? o->nregions : 1;
	l->region = ARENA_ARRAY(m->p->arena, Region, l->nregions);
	if (!o->nregions) {
		l->result = plan_memory(m->p->arena, problem, o->search_budget);
		l->region[0].size = l->result.size;
		return;
	}
	for (int r = 0; r < l->nregions; r++)
		l->region[r].memory = o->region[r];
	plan = regions_plan(m->p->arena, problem, count_accesses(m), o->region, o->nregions,
	                    o->search_budget);
	line_up_regions(l, problem, &plan);
}

/* ---- Layouts ---- */

/* Whether n has nothing to compute: all its outputs are empty. */
static bool
has_no_elements(const Node *n)
{
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i] && type_numel(&n->out[i]->type) > 0)
			return false;
	return true;
}

static Layout *
make_layout(const Plans *p, Policy policy)
{
	Layout *l = ARENA_NEW(p->arena, Layout);
	Maker m = {.p = p, .l = l};
	PlanProblem problem;

	l->policy = policy;
	l->no_kernel = ARENA_ARRAY(p->arena, bool, p->nnodes);
	l->order = ARENA_ARRAY(p->arena, Order, p->nnodes);
	init_slots(p, l);
	m.tagged = ARENA_ARRAY(p->arena, bool, l->sharing.n);
	for (int t = 0; t < p->nnodes; t++)
		l->no_kernel[t] = has_no_elements(p->node[t]);
	share_states(p, l);
	if (policy.views)
		share_views(p, l);
	if (policy.concat)
		share_concats(p, l);
	if (policy.in_place)
		share_in_place(p, l);
	if (policy.overlap)
		find_all_near(&m);
	make_items(&m);
	make_relations(&m);
	problem = (PlanProblem){l->nitems, l->item, l->relations.n, l->relations.v};
	place_items(&m, &problem);
	choose_orders(&m);
	return l;
}

/* Whether a is the better one: it fits, needs slow memory less often, or is smaller. */
static bool
is_better(const Layout *a, const Layout *b)
{
	if (a->overflow != b->overflow)
		return a->overflow < b->overflow;
	if (a->slow < b->slow || b->slow < a->slow)
		return a->slow < b->slow;
	return a->result.size < b->result.size;
}

/* Takes orders back that do not make the arena smaller: holding takes time, and what runs
 * forward may share its function with others.  `most` is the last one that may stay. */
static Layout *
without_idle_orders(const Plans *p, Layout *best, Order most)
{
	for (int t = 0; t < p->nnodes && p->nnodes <= PLAN_EXACT_MAX; t++) {
		Order before = p->last_order[t];
		Layout *l;

		if (best->order[t] <= most)
			continue;
		p->last_order[t] = most;
		l = make_layout(p, best->policy);
		if (!is_better(best, l))
			best = l;
		else
			p->last_order[t] = before;
	}
	return best;
}

const Layout *
layout_choose(const Plans *p)
{
	const ProgramOptions *o = p->options;
	bool v = !o->no_views, c = !o->no_concat, i = !o->no_in_place, near = !o->no_overlap;
	const Policy policy[] = {
		{v, c, i, near, false},
		{v, false, i, near, false},
		{v, c, false, near, false},
		{v, c, i, near, near},
		{v, c, false, near, near},
		{false, false, false, false, false},
	};
	Layout *best = NULL;

	for (int t = 0; t < p->nnodes; t++)
		p->last_order[t] = ORDER_COUNT - 1;
	for (size_t k = 0; k < sizeof policy / sizeof *policy; k++) {
		Layout *l = make_layout(p, policy[k]);

		if (!best || is_better(l, best))
			best = l;
	}
	if (best->policy.hold)
		best = without_idle_orders(p, best, ORDER_BACKWARD);
	return without_idle_orders(p, best, ORDER_FORWARD);
}
