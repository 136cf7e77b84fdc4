#include "passes/compression/plan.h"

#include <float.h>
#include <math.h>

static const RuleKind rule_kind[OP_COUNT] = {
#define RULE(op, kind) [OP_##op] = KIND_##kind,
#include "passes/compression/rules.def"
};

bool
plan_is_float(const Value *v)
{
	return v->type.dtype == DT_F32 && !v->type.q;
}

bool
plan_has_float(const Node *n)
{
	for (int i = 0; i < n->nins; i++)
		if (n->in[i] && plan_is_float(n->in[i]))
			return true;
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i] && plan_is_float(n->out[i]))
			return true;
	return false;
}

/* The pass `layers` has brought what can be to this form. */
static bool
has_constant_weights(const Node *n)
{
	const Attr_GEMM *a = n->attr;

	if (!value_is_const(n->in[1]) || value_is_const(n->in[0]) ||
	    (n->nins > 2 && n->in[2] && !value_is_const(n->in[2])))
		return false;
	return n->op != OP_GEMM || (a->alpha == 1 && a->beta == 1 && !a->trans_a &&
	                            (n->nins < 3 || !n->in[2] || n->in[2]->type.rank == 1));
}

RuleKind
plan_kind(const Node *n)
{
	RuleKind k = rule_kind[n->op];

	if (!plan_has_float(n) || node_has_quantized(n))
		return KIND_FLOAT;
	if (k == KIND_LINEAR && !has_constant_weights(n))
		return KIND_FLOAT;
	return k;
}

/* ---- Quantisations ---- */

const Quant *
plan_quant(Arena *a, double scale, int32_t zero)
{
	Quant *q = ARENA_NEW(a, Quant);
	float *s = ARENA_NEW(a, float);
	int32_t *z = ARENA_NEW(a, int32_t);

	*s = (float)scale;
	*z = zero;
	*q = (Quant){.n = 1, .scale = s, .zero = z};
	return q;
}

/* Scales far below what a real range has would leave what factors can be. */
#define LEAST_SCALE 0x1p-30

const Quant *
plan_affine(Arena *a, Range r)
{
	double scale = fmax((r.hi - r.lo) / 255, LEAST_SCALE);
	double zero = fmin(fmax(rint(-128 - r.lo / scale), -128), 127);

	return plan_quant(a, scale, (int32_t)zero);
}

const Quant *
plan_symmetric(Arena *a, Range r)
{
	return plan_quant(a, fmax(fmax(-r.lo, r.hi) / INT16_MAX, LEAST_SCALE), 0);
}

Type
plan_outer(Arena *a, const Type *plan, DType t)
{
	double scale = (double)plan->q->scale[0];
	int32_t zero = plan->q->zero[0];
	Type outer = *plan;

	if (t == plan->dtype)
		return outer;
	outer.dtype = t;
	if (t == DT_I16)
		outer.q = plan_symmetric(a, (Range){scale * (-128 - zero), scale * (127 - zero)});
	else if (plan->dtype == DT_I16)
		outer.q = plan_quant(a, scale * INT16_MAX / 127, t == DT_U8 ? 128 : 0);
	else
		outer.q = plan_quant(a, scale, zero + 128);
	return outer;
}

/* As the operators of TFLite have it. */
static const Quant *
fixed_quant(Arena *a, Op op, DType codes)
{
	if (codes == DT_I16 && (op == OP_SIGMOID || op == OP_TANH || op == OP_SOFTMAX))
		return plan_quant(a, 0x1p-15, 0);
	switch ((int)op) {
	case OP_LOG_SOFTMAX: return plan_quant(a, 0x1p-4, 127);
	case OP_TANH:
	case OP_LP_NORM: return plan_quant(a, 0x1p-7, 0);
	default: return plan_quant(a, 0x1p-8, -128);
	}
}

/* ---- Values that share a quantisation ---- */

/* Of the cell of an LSTM, unless it is seen to be beyond 16. */
#define CELL_SCALE 0x1p-11

/* Values of the class of `by` also stand for those of `v`, which is not in it. */
typedef struct {
	const Value *v, *by;
} Cover;

typedef struct {
	int *leader;           /* by Value.id: another one of the class, or itself */
	const Quant **fixed;   /* by leader */
	bool *repeats;         /* a value that shows nothing new */
	VEC(Cover) covers;
	DType codes;
	const Graph *g;
	Arena *a;
} Classes;

static int
leader_of(Classes *c, const Value *v)
{
	int i = v->id;

	while (c->leader[i] != i)
		i = c->leader[i] = c->leader[c->leader[i]];
	return i;
}

/* Two classes with quantisations that are given stay apart. */
static void
unite(Classes *c, const Value *v, const Value *w)
{
	int i = leader_of(c, v), k = leader_of(c, w);

	if (i == k || (c->fixed[i] && c->fixed[k]))
		return;
	if (c->fixed[k]) {
		int swap = i;

		i = k;
		k = swap;
	}
	c->leader[k] = i;
}

/* The same unless one of them is given: then a conversion is better. */
static void
unite_free(Classes *c, const Value *v, const Value *w)
{
	if (!c->fixed[leader_of(c, v)] && !c->fixed[leader_of(c, w)])
		unite(c, v, w);
}

/* Inputs that cannot be in the class, as they are constant or have a quantisation that is
 * given, are converted: it has to have room for them. */
static void
unite_inputs(Classes *c, const Node *n, const Value *with)
{
	for (int i = 0; i < n->nins; i++) {
		const Value *v = n->in[i];

		if (!v || !plan_is_float(v))
			continue;
		if (!value_is_const(v))
			unite_free(c, with, v);
		if (leader_of(c, v) != leader_of(c, with))
			VEC_PUSH(c->a, &c->covers, ((Cover){v, with}));
	}
}

/* y, hidden state and the next one; the cell has 16 bits and a power of 2.  States that
 * start with a constant may share that with others, so they are not looked at; nor is a
 * hidden state that is a part of the same value as the cell. */
static void
unite_lstm(Classes *c, const Node *n)
{
	enum { HIDDEN = 13, CELL = 14 };
	const Value *h = value_is_const(n->in[HIDDEN]) ? NULL : n->in[HIDDEN];
	const Value *cell = value_is_const(n->in[CELL]) ? NULL : n->in[CELL];

	if (h && cell && leader_of(c, h) == leader_of(c, cell))
		h = NULL;
	for (int i = 0; i < 2; i++) {
		if (n->out[i] && h)
			unite(c, h, n->out[i]);
		h = n->out[i] ? n->out[i] : h;
	}
	if (cell)
		c->fixed[leader_of(c, cell)] = plan_quant(c->a, CELL_SCALE, 0);
	else if (n->out[2])
		c->fixed[leader_of(c, n->out[2])] = plan_quant(c->a, CELL_SCALE, 0);
	if (cell && n->out[2])
		unite(c, cell, n->out[2]);
}

static void
unite_node(Classes *c, const Node *n)
{
	const Value *x = n->nins ? n->in[0] : NULL, *y = n->nouts ? n->out[0] : NULL;

	if (!y)
		return;
	switch (plan_kind(n)) {
	case KIND_KEEP:
		unite(c, x, y);
		/* What is clipped behind a value need not be in its range. */
		if (n->op == OP_CLAMP && x->nuses == 1 && x->def)
			c->repeats[x->id] = true;
		else
			c->repeats[y->id] = true;
		break;
	case KIND_JOIN:
		unite_inputs(c, n, y);
		c->repeats[y->id] = true;
		break;
	case KIND_ALIKE:
		unite_inputs(c, n, x);
		break;
	case KIND_FIXED:
		c->fixed[leader_of(c, y)] = fixed_quant(c->a, n->op, c->codes);
		break;
	case KIND_LSTM:
		unite_lstm(c, n);
		break;
	case KIND_FLOAT:
	case KIND_LINEAR:
	case KIND_FREE:
	case KIND_PLAIN:
		break;
	}
}

static Classes
find_classes(const Graph *g, DType codes, Arena *a)
{
	Classes c = {.g = g, .codes = codes, .a = a};
	int plain = graph_plain_inputs(g), outputs = graph_plain_outputs(g);

	c.leader = ARENA_ARRAY(a, int, g->values.n + 1);
	c.fixed = ARENA_ARRAY(a, const Quant *, g->values.n + 1);
	c.repeats = ARENA_ARRAY(a, bool, g->values.n + 1);
	for (int i = 0; i < g->values.n; i++)
		c.leader[i] = i;
	for (const Node *n = g->first; n; n = n->next)
		unite_node(&c, n);
	for (int k = 0; k < g->states.n; k++)
		unite_free(&c, g->inputs.v[plain + k], g->outputs.v[outputs + k]);
	return c;
}

/* ---- The plan ---- */

static void
observe_constants(const Graph *g, Observed *of, Arena *a)
{
	for (int i = 0; i < g->values.n; i++) {
		const Value *v = g->values.v[i];

		if (plan_is_float(v) && value_is_const(v) && v->nuses > 0)
			observe_constant(&of[i], a, v->data, type_numel(&v->type));
	}
}

/* A cell that was seen to leave the usual range gets a wider one: what it is within a
 * sequence is not seen. */
static const Quant *
cell_quant(Arena *a, const Quant *usual, const Observed *o)
{
	double scale = (double)usual->scale[0], most = fmax(fabs(o->lo), fabs(o->hi));

	if (!o->seen)
		return usual;
	while (scale * INT16_MAX < 2 * most && scale < 1)
		scale *= 2;
	return plan_quant(a, scale, 0);
}

/* Of a class that no operator has one for. */
static const Quant *
seen_quant(const Observed *o, RangeMethod method, DType codes, Arena *a)
{
	if (codes == DT_I16)
		return plan_symmetric(a, observe_range(o, method, 1 << 16, a));
	return plan_affine(a, observe_range(o, method, 1 << 8, a));
}

Type *
plan_make(const Graph *g, Observed *of, RangeMethod method, DType codes, Arena *a)
{
	Classes c = find_classes(g, codes, a);
	Type *type = ARENA_ARRAY(a, Type, g->values.n + 1);
	Observed *class = ARENA_ARRAY(a, Observed, g->values.n + 1);
	const Quant **q = ARENA_ARRAY(a, const Quant *, g->values.n + 1);

	observe_constants(g, of, a);
	for (int i = 0; i < g->values.n; i++)
		if (!c.repeats[i])
			observe_join(&class[leader_of(&c, g->values.v[i])], a, &of[i]);
	for (int i = 0; i < c.covers.n; i++) {
		int v = c.covers.v[i].v->id, by = leader_of(&c, c.covers.v[i].by);

		if (leader_of(&c, c.covers.v[i].v) != by)
			observe_join(&class[by], a, &of[v]);
	}
	for (int i = 0; i < g->values.n; i++) {
		const Value *v = g->values.v[i];
		int leader = leader_of(&c, v);
		bool cell = c.fixed[leader] && c.fixed[leader]->scale[0] == (float)CELL_SCALE;

		type[i] = v->type;
		if (!plan_is_float(v))
			continue;
		if (!q[leader])
			q[leader] = cell ? cell_quant(a, c.fixed[leader], &class[leader])
			            : c.fixed[leader]
			                    ? c.fixed[leader]
			                    : seen_quant(&class[leader], method, codes, a);
		type[i].dtype = cell ? DT_I16 : codes;
		type[i].q = q[leader];
	}
	return type;
}

Type *
plan_floats(const Graph *g, Arena *a)
{
	Type *plan = ARENA_ARRAY(a, Type, g->values.n + 1);

	for (int i = 0; i < g->values.n; i++)
		plan[g->values.v[i]->id] = g->values.v[i]->type;
	return plan;
}
