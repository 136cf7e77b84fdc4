/*
 * signed-codes: store unsigned 8-bit numbers as signed ones.
 *
 *	%1: u8[..] q(0.5, 130) = conv(%x, %w)	=>	%1: i8[..] q(0.5, 2) = conv(%x, %w')
 *	%2: u8[..] q(0.1, 3) = conv(%1, %w2)	=>	%2: u8[..] q(0.1, 3) = conv(%1, %w2')
 *
 * Codes and zero points go down by 128, so that every number is the same, and nothing is
 * computed for it: operators that take zero points off first, and add them last, do the same
 * with either form, and may have one form in and another one out.  So inputs, outputs and
 * states of the graph stay what they are to the caller, and fast kernels for i8 do the rest.
 *
 * Operators that take the codes themselves (maxima, moves) need one form for what they
 * read and write; those values are tied to each other.  Operators that compute with codes
 * of one form in another way (averages of an even number of them, sums of many tensors) and
 * all that is not in the table keep theirs.
 */
#include "ir/ops/requant.h"
#include "passes/pass.h"

enum { HALF = 128 };

/* What an operator asks of the values that it reads and writes. */
typedef enum {
	KEEPS,     /* they stay as they are */
	ANY,       /* nothing */
	ONE_INPUT, /* one form of all inputs */
	ONE_FORM   /* one form of all */
} Demand;

typedef struct {
	Graph *g;
	int *tied;    /* by Value.id: values that are tied have the same root */
	bool *stays;  /* of roots */
} Forms;

static int
root(Forms *f, int id)
{
	while (f->tied[id] != id) {
		f->tied[id] = f->tied[f->tied[id]];
		id = f->tied[id];
	}
	return id;
}

static void
stay(Forms *f, const Value *v)
{
	f->stays[root(f, v->id)] = true;
}

static bool
is_unsigned(const Value *v)
{
	return v && v->type.dtype == DT_U8 && v->type.q;
}

static void
tie(Forms *f, const Value *v, const Value *w)
{
	int a = root(f, v->id), b = root(f, w->id);

	f->tied[b] = a;
	f->stays[a] = f->stays[a] || f->stays[b];
}

/* ---- Operators ---- */

/* Whether every window has all its elements, and an odd number of them: then no average
 * is half way between two codes. */
static bool
averages_odd_windows(const Node *n)
{
	const Attr_AVG_POOL *a = n->attr;
	int64_t odd = 1;

	if (!type_same_codes(&n->in[0]->type, &n->out[0]->type) || a->ceil_mode)
		return false;
	for (int i = 0; i < a->pads.n; i++)
		if (a->pads.v[i] != 0)
			return false;
	for (int i = 0; i < a->kernel.n; i++)
		odd &= a->kernel.v[i];
	return odd != 0;
}

static Demand
demand_of(const Node *n)
{
	switch ((int)n->op) {
	case OP_CONV:
	case OP_CONV_TRANSPOSE:
	case OP_GEMM:
	case OP_MATMUL:
	case OP_REDUCE_MEAN:
	case OP_REDUCE_SUM:
	case OP_RELU:
	case OP_SIGMOID:
	case OP_TANH:
	case OP_HARD_SWISH:
	case OP_RSQRT:
	case OP_ABS:
	case OP_NEG:
	case OP_LEAKY_RELU:
	case OP_LP_NORM:
	case OP_REQUANTIZE:
	case OP_SOFTMAX:
	case OP_LOG_SOFTMAX:
	case OP_ARG_MAX:
	case OP_ARG_MIN: return ANY;
	case OP_ADD:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV:
	case OP_SQUARED_DIFFERENCE:
	case OP_PRELU:
	case OP_EQUAL:
	case OP_LESS:
	case OP_LESS_EQUAL:
	case OP_GREATER:
	case OP_GREATER_EQUAL: return ONE_INPUT;
	case OP_MIN:
	case OP_MAX:
	case OP_WHERE:
	case OP_CLAMP:
	case OP_MAX_POOL:
	case OP_REDUCE_MAX:
	case OP_REDUCE_MIN:
	case OP_TOP_K:
	case OP_IDENTITY:
	case OP_RESHAPE:
	case OP_TRANSPOSE:
	case OP_SLICE:
	case OP_CONCAT:
	case OP_EXPAND:
	case OP_TILE:
	case OP_GATHER:
	case OP_GATHER_ELEMENTS:
	case OP_GATHER_ND: return ONE_FORM;
	case OP_PAD: return n->nins > 1 && n->in[1] ? ONE_FORM : KEEPS;
	case OP_AVG_POOL: return averages_odd_windows(n) ? ONE_FORM : KEEPS;
	case OP_RESIZE:
		return ((const Attr_RESIZE *)n->attr)->mode == INTERP_nearest ? ONE_FORM : KEEPS;
	default: return KEEPS;
	}
}

/* `first` is the value that others of the node are tied to, or NULL. */
static void
visit(Forms *f, Value *v, Demand demand, const Value **first)
{
	if (!is_unsigned(v))
		return;
	if (demand == KEEPS)
		stay(f, v);
	if (*first)
		tie(f, *first, v);
	*first = demand == ANY ? NULL : v;
}

static void
read_node(Forms *f, const Node *n)
{
	Demand demand = demand_of(n);
	const Value *first = NULL;

	for (int i = 0; i < n->nins; i++)
		visit(f, n->in[i], demand, &first);
	if (demand == ONE_INPUT)
		first = NULL;
	for (int i = 0; i < n->nouts; i++)
		visit(f, n->out[i], demand, &first);
}

/* ---- Values ---- */

static void
read_ends(Forms *f)
{
	for (int i = 0; i < f->g->inputs.n; i++)
		stay(f, f->g->inputs.v[i]);
	for (int i = 0; i < f->g->outputs.n; i++)
		stay(f, f->g->outputs.v[i]);
	/* Zero points of axes have no meaning to some operators. */
	for (int i = 0; i < f->g->values.n; i++)
		if (is_unsigned(f->g->values.v[i]) && f->g->values.v[i]->type.q->n != 1)
			stay(f, f->g->values.v[i]);
}

static const void *
moved_codes(Arena *a, const Value *v)
{
	int32_t count = type_numel(&v->type);
	uint8_t *to = arena_alloc(a, (size_t)count);
	const uint8_t *from = v->data;

	for (int32_t i = 0; i < count; i++)
		to[i] = from[i] ^ HALF;
	return to;
}

static void
make_signed(Graph *g, Value *v)
{
	Quant *q = ARENA_NEW(g->arena, Quant);
	int32_t *zero = ARENA_NEW(g->arena, int32_t);

	*zero = v->type.q->zero[0] - HALF;
	*q = (Quant){0, 1, v->type.q->scale, zero};
	if (v->data)
		v->data = moved_codes(g->arena, v);
	v->type.dtype = DT_I8;
	v->type.q = q;
}

bool
pass_signed_codes(Graph *g, PassCtx *cx)
{
	Forms f = {.g = g, .tied = ARENA_ARRAY(cx->scratch, int, g->values.n),
	           .stays = ARENA_ARRAY(cx->scratch, bool, g->values.n)};

	for (int i = 0; i < g->values.n; i++)
		f.tied[i] = i;
	read_ends(&f);
	for (const Node *n = g->first; n; n = n->next)
		read_node(&f, n);
	for (int i = 0; i < g->values.n; i++) {
		Value *v = g->values.v[i];

		if (is_unsigned(v) && (v->nuses > 0 || v->def) && !f.stays[root(&f, i)]) {
			make_signed(g, v);
			cx->changed++;
		}
	}
	return true;
}
