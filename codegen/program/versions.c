/*
 * Kernels in other orders, made when they are asked for, and how far their outputs may
 * lie over their inputs.
 */
#include <string.h>

#include "codegen/kernels/measure.h"
#include "codegen/program/layout.h"

Versions *
versions_new(Arena *a, const Node *n, LFunc *f)
{
	Versions *v = ARENA_NEW(a, Versions);

	for (int i = 0; i < n->nins; i++)
		v->nins += n->in[i] != NULL;
	for (int i = 0; i < n->nouts; i++)
		v->nouts += n->out[i] != NULL;
	v->fn[ORDER_FORWARD] = f;
	return v;
}

/* Makes all of them and room for what is asked about them.  Where an access cannot be
 * proved in bounds in another order, there is no such version. */
static void
make(Versions *v)
{
	Arena *a = v->fn[ORDER_FORWARD]->arena;
	int n = v->nins * v->nouts;

	if (v->may_share)
		return;
	v->fn[ORDER_BACKWARD] = lfunc_backward(a, v->fn[ORDER_FORWARD]);
	v->fn[ORDER_HELD] = lfunc_hold(a, v->fn[ORDER_FORWARD]);
	if (v->fn[ORDER_HELD])
		v->fn[ORDER_HELD_BACKWARD] = lfunc_backward(a, v->fn[ORDER_HELD]);
	for (int i = ORDER_BACKWARD; i < ORDER_COUNT; i++)
		if (v->fn[i] && lfunc_verify(v->fn[i]))
			v->fn[i] = NULL;
	for (int i = 0; i < ORDER_COUNT; i++) {
		v->distance[i] = ARENA_ARRAY(a, LDistance, n);
		v->known[i] = ARENA_ARRAY(a, bool, n);
	}
	v->may_share = ARENA_ARRAY(a, signed char, n);
	memset(v->may_share, -1, (size_t)n);
}

/* Elements keep their type but for bytes: C compilers may assume that memory is not
 * accessed as two types in one function, unless one of them is a character. */
static bool
may_lie_over(const LBuf *in, const LBuf *out)
{
	return in->elem == out->elem || dtype_info[in->elem].bytes == 1 ||
	       dtype_info[out->elem].bytes == 1;
}

LDistance
versions_distance(Versions *v, Order order, int in, int out)
{
	const LFunc *f;
	const LBuf *x, *y;
	int i = in * v->nouts + out;

	make(v);
	f = v->fn[order] ? v->fn[order] : v->fn[ORDER_FORWARD];
	x = f->bufs.v[in];
	y = f->bufs.v[v->nins + out];
	if (v->known[order][i])
		return v->distance[order][i];
	v->known[order][i] = true;
	if (v->fn[order] && may_lie_over(x, y))
		v->distance[order][i] = lfunc_distance(f, x, y);
	else
		v->distance[order][i] =
			(LDistance){-(int64_t)y->count * dtype_info[y->elem].bytes,
		                    (int64_t)x->count * dtype_info[x->elem].bytes};
	return v->distance[order][i];
}

bool
versions_may_share(Versions *v, int in, int out)
{
	const LFunc *f = v->fn[ORDER_FORWARD];
	int i = in * v->nouts + out;

	make(v);
	if (v->may_share[i] < 0)
		v->may_share[i] = f->bufs.v[in]->elem == f->bufs.v[v->nins + out]->elem &&
		                  lfunc_may_share(f, f->bufs.v[in], f->bufs.v[v->nins + out]);
	return v->may_share[i];
}

bool
versions_allow(Versions *v, Order order, int in, int out, int64_t d)
{
	LDistance allowed;

	make(v);
	if (!v->fn[order])
		return false;
	if (d == 0 && order == ORDER_FORWARD && versions_may_share(v, in, out))
		return true;
	allowed = versions_distance(v, order, in, out);
	return d <= allowed.below || d >= allowed.above;
}

bool
versions_has(Versions *v, Order order)
{
	make(v);
	return v->fn[order] != NULL;
}

const double *
versions_accesses(Versions *v)
{
	const LFunc *f = v->fn[ORDER_FORWARD];

	if (!v->accesses) {
		v->accesses = ARENA_ARRAY(f->arena, double, f->bufs.n);
		measure_accesses(f, v->accesses);
	}
	return v->accesses;
}

ArgPairs
versions_pairs(Arena *a, const Node *n)
{
	ArgPairs pairs = {0};

	for (int i = 0, in = 0; i < n->nins; i++) {
		for (int k = 0, out = 0; k < n->nouts && n->in[i] && !n->in[i]->data; k++) {
			if (n->out[k])
				VEC_PUSH(a, &pairs,
				         ((ArgPair){in, out, n->in[i]->id, n->out[k]->id}));
			out += n->out[k] != NULL;
		}
		in += n->in[i] != NULL;
	}
	return pairs;
}
