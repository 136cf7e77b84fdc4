#include "codegen/program/share.h"

#include <assert.h>

void
sharing_init(Sharing *s, Arena *a, int n)
{
	*s = (Sharing){.arena = a, .n = n};
	s->slot = ARENA_ARRAY(a, Slot, n);
	s->group = ARENA_ARRAY(a, Group, n);
	for (int i = 0; i < n; i++) {
		s->slot[i] = (Slot){.group = i, .class = i, .shares = -1};
		s->group[i] = (Group){.kind = BUFFER_ARENA, .base = -1, .next = -1};
		VEC_PUSH(a, &s->group[i].slots, i);
	}
}

void
sharing_fix(Sharing *s, int i, BufferKind kind)
{
	Group *g = &s->group[s->slot[i].group];

	assert(g->slots.n == 1 && kind != BUFFER_ARENA);
	g->kind = kind;
	g->base = i;
	g->capacity = s->slot[i].size;
}

/* A merge that is being considered: slot b goes to `offset` bytes into slot a. */
typedef struct {
	int a, b;
	int64_t offset;
	bool same_bytes;
} Merge;

/* Bytes to add to places in b's group to get places in a's. */
static int64_t
group_shift(const Sharing *s, const Merge *m)
{
	return s->slot[m->a].at + m->offset - s->slot[m->b].at;
}

static bool
overlap(const Slot *u, const Slot *v, int64_t shift_v)
{
	return u->at < v->at + shift_v + v->size && v->at + shift_v < u->at + u->size &&
	       u->first <= v->last && v->first <= u->last;
}

/* Whether slots u of a's group and v of b's may overlap in bytes and time. */
static bool
may_overlap(const Sharing *s, const Merge *m, int u, int v)
{
	const Slot *slot = s->slot;

	if (m->same_bytes)
		return slot[u].class == slot[m->a].class && slot[v].class == slot[m->b].class;
	return u == m->a && v == m->b && slot[u].last == slot[v].first;
}

static bool
within(const Sharing *s, const Group *moved, int64_t shift, const Group *given)
{
	for (int i = 0; i < moved->slots.n; i++) {
		const Slot *slot = &s->slot[moved->slots.v[i]];

		if (slot->at + shift < 0 || slot->at + shift + slot->size > given->capacity)
			return false;
	}
	return true;
}

static bool
groups_fit(const Sharing *s, const Merge *m)
{
	const Group *ga = &s->group[s->slot[m->a].group], *gb = &s->group[s->slot[m->b].group];
	int64_t shift = group_shift(s, m);

	if (ga == gb || (ga->base >= 0 && gb->base >= 0))
		return false;
	if (ga->base >= 0 && !within(s, gb, shift, ga))
		return false;
	if (gb->base >= 0 && !within(s, ga, -shift, gb))
		return false;
	for (int i = 0; i < ga->slots.n; i++) {
		for (int j = 0; j < gb->slots.n; j++) {
			int u = ga->slots.v[i], v = gb->slots.v[j];

			if (overlap(&s->slot[u], &s->slot[v], shift) && !may_overlap(s, m, u, v))
				return false;
		}
	}
	return true;
}

static void
join_classes(Sharing *s, const Merge *m)
{
	int to = s->slot[m->a].class, from = s->slot[m->b].class;
	int64_t shift = s->slot[m->a].in_class + m->offset - s->slot[m->b].in_class;
	const Group *g = &s->group[s->slot[m->b].group];

	for (int i = 0; i < g->slots.n; i++) {
		Slot *slot = &s->slot[g->slots.v[i]];

		if (slot->class == from) {
			slot->class = to;
			slot->in_class += shift;
		}
	}
}

static void
move_group(Sharing *s, int from, int to, int64_t shift)
{
	Group *g = &s->group[from], *target = &s->group[to];

	for (int i = 0; i < g->slots.n; i++) {
		Slot *slot = &s->slot[g->slots.v[i]];

		slot->group = to;
		slot->at += shift;
		VEC_PUSH(s->arena, &target->slots, g->slots.v[i]);
	}
	g->slots.n = 0;
}

static bool
merge(Sharing *s, const Merge *m)
{
	int ga = s->slot[m->a].group, gb = s->slot[m->b].group;
	int64_t shift = group_shift(s, m);

	if (!groups_fit(s, m))
		return false;
	if (m->same_bytes)
		join_classes(s, m);
	if (s->group[gb].base >= 0)
		move_group(s, ga, gb, -shift);
	else
		move_group(s, gb, ga, shift);
	return true;
}

bool
sharing_view(Sharing *s, int whole, int64_t offset, int part)
{
	if (!merge(s, &(Merge){whole, part, offset, true}))
		return false;
	s->slot[part].share = SHARE_VIEW;
	s->slot[part].shares = whole;
	return true;
}

/* Whether all slots of piece's class lie within it. */
static bool
covers_its_class(const Sharing *s, int piece)
{
	const Slot *p = &s->slot[piece];
	const Group *g = &s->group[p->group];

	for (int i = 0; i < g->slots.n; i++) {
		const Slot *slot = &s->slot[g->slots.v[i]];

		if (slot->class == p->class &&
		    (slot->in_class < p->in_class ||
		     slot->in_class + slot->size > p->in_class + p->size))
			return false;
	}
	return true;
}

bool
sharing_piece(Sharing *s, int whole, int64_t offset, int piece)
{
	/* Otherwise bytes beside the piece would count as bytes of the whole. */
	if (!covers_its_class(s, piece) || s->group[s->slot[piece].group].kind != BUFFER_ARENA ||
	    !merge(s, &(Merge){whole, piece, offset, true}))
		return false;
	if (s->slot[piece].share == SHARE_NONE) {
		s->slot[piece].share = SHARE_PIECE;
		s->slot[piece].shares = whole;
	}
	return true;
}

bool
sharing_in_place(Sharing *s, int in, int out)
{
	const Group *g = &s->group[s->slot[in].group];

	if (g->kind == BUFFER_CONST || (g->kind == BUFFER_INPUT && !g->writable) ||
	    !merge(s, &(Merge){in, out, 0, false}))
		return false;
	if (s->slot[out].share == SHARE_NONE) {
		s->slot[out].share = SHARE_IN_PLACE;
		s->slot[out].shares = in;
	}
	return true;
}

bool
sharing_state(Sharing *s, int state, int next)
{
	Group *g;

	if (!merge(s, &(Merge){state, next, 0, false}))
		return false;
	g = &s->group[s->slot[state].group];
	g->writable = true;
	g->next = next;
	s->slot[next].share = SHARE_IN_PLACE;
	s->slot[next].shares = state;
	return true;
}
