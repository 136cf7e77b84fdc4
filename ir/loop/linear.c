#include "ir/loop/linear.h"

#include <assert.h>

/* So many nodes are looked into, those of definitions included; what is left
 * then becomes atoms. */
enum { MAX_NODES = 100 };

/* Facts used in one proof, and steps tried before giving up. */
enum { MAX_FACTS = 3, MAX_STEPS = 500 };

static bool
add_const(Linear *l, int64_t v, int64_t c)
{
	int64_t term;

	return !__builtin_mul_overflow(v, c, &term) && !__builtin_add_overflow(l->k, term, &l->k);
}

static bool
add_atom(Linear *l, const Expr *e, int64_t c)
{
	for (int i = 0; i < l->n; i++) {
		if (!expr_equal(l->atom[i], e))
			continue;
		if (__builtin_add_overflow(l->c[i], c, &l->c[i]))
			return false;
		if (l->c[i] == 0) {
			l->n--;
			l->c[i] = l->c[l->n];
			l->atom[i] = l->atom[l->n];
		}
		return true;
	}
	if (l->n == LINEAR_TERMS)
		return false;
	l->c[l->n] = c;
	l->atom[l->n++] = e;
	return true;
}

/* Other variables say more themselves, since conditions may have narrowed them. */
static bool
is_sum(const Expr *e)
{
	return e->kind == E_VAR || e->kind == E_CONST ||
	       (e->kind == E_KOP && (e->op == KOP_ADD || e->op == KOP_SUB || e->op == KOP_MUL ||
	                             e->op == KOP_NEG));
}

static bool
add(Linear *l, const Expr *e, int64_t c, Expr *const *def, int *nodes)
{
	const Expr *x = e->arg[0], *y = e->arg[1];
	int64_t scaled;

	if (c == 0)
		return true;
	if (e->kind == E_CONST)
		return add_const(l, e->u.i, c);
	if (--*nodes < 0)
		return add_atom(l, e, c);
	if (e->kind == E_VAR && def[e->u.var->index] && is_sum(def[e->u.var->index]))
		return add(l, def[e->u.var->index], c, def, nodes);
	if (e->kind != E_KOP)
		return add_atom(l, e, c);
	switch ((int)e->op) {
	case KOP_ADD: return add(l, x, c, def, nodes) && add(l, y, c, def, nodes);
	case KOP_SUB: return add(l, x, c, def, nodes) && add(l, y, -c, def, nodes);
	case KOP_NEG: return add(l, x, -c, def, nodes);
	case KOP_MUL:
		if (x->kind == E_CONST) {
			x = e->arg[1];
			y = e->arg[0];
		}
		if (y->kind != E_CONST)
			return add_atom(l, e, c);
		return !__builtin_mul_overflow(c, y->u.i, &scaled) && scaled != INT64_MIN &&
		       add(l, x, scaled, def, nodes);
	default: return add_atom(l, e, c);
	}
}

bool
linear_add(Linear *l, const Expr *e, int64_t c, Expr *const *def)
{
	int nodes = MAX_NODES;

	assert(e->type == DT_IDX);
	return add(l, e, c, def, &nodes);
}

/* ---- Proofs ---- */

typedef struct {
	const Linear *fact;
	int nfacts;
	LinearRange *range;
	void *user;
	int steps;
} Proof;

static bool
positive_by_ranges(const Proof *p, const Linear *l)
{
	int64_t least = l->k;

	for (int i = 0; i < l->n; i++) {
		Range r = p->range(p->user, l->atom[i]);
		int64_t term;

		if (__builtin_mul_overflow(l->c[i], l->c[i] > 0 ? r.lo : r.hi, &term) ||
		    __builtin_add_overflow(least, term, &least))
			return false;
	}
	return least >= 0;
}

/* l - times * f */
static bool
subtract(Linear *l, const Linear *f, int64_t times)
{
	if (!add_const(l, f->k, -times))
		return false;
	for (int i = 0; i < f->n; i++) {
		int64_t c;

		if (__builtin_mul_overflow(f->c[i], -times, &c) || !add_atom(l, f->atom[i], c))
			return false;
	}
	return true;
}

/* How often f has to be taken off l so that this term of l vanishes; 0: that
 * cannot be. */
static int64_t
times_in(const Linear *l, int term, const Linear *f)
{
	int64_t c = l->c[term];

	for (int i = 0; i < f->n; i++) {
		int64_t d = f->c[i];

		if (!expr_equal(f->atom[i], l->atom[term]))
			continue;
		if ((c > 0) != (d > 0) || c == INT64_MIN || c % d != 0)
			return 0;
		return c / d;
	}
	return 0;
}

static bool
is_positive(Proof *p, const Linear *l, int facts_left)
{
	if (positive_by_ranges(p, l))
		return true;
	if (facts_left == 0)
		return false;
	for (int t = 0; t < l->n; t++)
		for (int i = p->nfacts - 1; i >= 0; i--) {
			Linear rest = *l;
			int64_t times = times_in(l, t, &p->fact[i]);

			if (times == 0)
				continue;
			if (++p->steps > MAX_STEPS)
				return false;
			if (subtract(&rest, &p->fact[i], times) &&
			    is_positive(p, &rest, facts_left - 1))
				return true;
		}
	return false;
}

bool
linear_is_positive(const Linear *l, const Linear *fact, int nfacts, LinearRange *range, void *user)
{
	Proof p = {.fact = fact, .nfacts = nfacts, .range = range, .user = user};

	return is_positive(&p, l, MAX_FACTS);
}
