/*
 * Sums and differences of int8 tensors of one shape: what the reference lowering computes
 * of one input is looked up by its value, so that only the sum itself is scaled.  The input
 * with the larger scale is often only shifted, which needs no table.
 */
#include "codegen/kernels/generate.h"
#include "ir/op.h"

enum { VALUES = 256 };

typedef struct {
	SumFactors f;
	ConvChannel channel; /* of the sum: its multiplier */
	Conv c;              /* for scale_begin() */
	int32_t *table[2];   /* by value + 128: twice the term, that of a difference's second
	                      * input negated */
	int shifted;         /* the input whose terms are its values times 2^shift, but for
	                      * what the other one's have more; -1: none */
	int shift;
} Sum;

/* The terms of input i: its values scaled as the reference lowering does. */
static int32_t *
make_table(Arena *a, const Node *n, const SumFactors *f, int i)
{
	int32_t *table = ARENA_ARRAY(a, int32_t, VALUES);
	LowerCtx cx = {.arena = a, .single_rounding = n->graph->single_rounding};
	LBuilder *b = &cx.b;
	Expr *k, *x;
	LBuf *out;

	loop_begin(b, a, "terms");
	out = loop_buf(b, "table", DT_I32, VALUES, LBUF_OUT, NULL);
	k = loop_for(b, "k", 0, VALUES);
	x = loop_sub(b, loop_cvt(b, DT_I32, k), q_int(&cx, 128 + quant_zero(&n->in[i]->type)));
	x = q_scale(&cx, loop_op2(b, KOP_SHL, x, q_int(&cx, f->left)), f->in[i]);
	if (n->op == OP_SUB && i == 1)
		x = loop_op1(b, KOP_NEG, x);
	loop_store(b, out, k, loop_op2(b, KOP_SHL, x, q_int(&cx, 1)));
	loop_end(b);
	lfunc_run(a, loop_finish(b), (void *[]){table});
	return table;
}

static int64_t
largest(const int32_t *table)
{
	int64_t most = 0;

	for (int i = 0; i < VALUES; i++) {
		int64_t v = table[i] < 0 ? -(int64_t)table[i] : table[i];

		most = v > most ? v : most;
	}
	return most;
}

/* Whether terms are values times a power of two, and a number. */
static bool
is_shifted(const int32_t *table, int *shift)
{
	int64_t step = (int64_t)table[1] - table[0];

	for (*shift = 0; *shift < 24 && step != INT64_C(1) << *shift; ++*shift)
		continue;
	for (int i = 1; i < VALUES; i++)
		if ((int64_t)table[i] - table[i - 1] != INT64_C(1) << *shift)
			return false;
	return true;
}

/* Moves what a shift does not give to the other input's terms; there is room for it, as
 * it is the term of value 0. */
static void
find_shifted(Sum *s)
{
	s->shifted = -1;
	for (int i = 0; i < 2 && s->shifted < 0; i++)
		if (is_shifted(s->table[i], &s->shift))
			s->shifted = i;
	for (int i = 0; i < VALUES && s->shifted >= 0; i++)
		s->table[1 - s->shifted][i] += s->table[s->shifted][VALUES / 2];
}

static bool
is_int8_like(const Value *v, const Type *t)
{
	return v && !v->data && v->type.dtype == DT_I8 && type_same_shape(&v->type, t);
}

static bool
read_sum(Sum *s, Arena *a, const Node *n)
{
	const Type *y = n->out[0] ? &n->out[0]->type : NULL;

	if ((n->op != OP_ADD && n->op != OP_SUB) || !y || !node_is_quantized(n) ||
	    !is_int8_like(n->in[0], y) || !is_int8_like(n->in[1], y) || type_numel(y) == 0)
		return false;
	s->f = q_sum_factors(n);
	s->channel.by = quantize_multiplier(s->f.out, n->graph->single_rounding);
	if (s->channel.by.shift > -1 || s->channel.by.shift < -31)
		return false;
	s->c = (Conv){.n = n, .oc = 1, .channel = &s->channel, .y_zero = quant_zero(y),
	              .range = quant_range(y, node_activation(n))};
	for (int i = 0; i < 2; i++)
		s->table[i] = make_table(a, n, &s->f, i);
	if (largest(s->table[0]) + largest(s->table[1]) >= INT32_MAX)
		return false;
	find_shifted(s);
	return true;
}

enum { TOGETHER = 2 };

/* The term of input k, whose value is x. */
static Expr *
term_of(LowerCtx *cx, const Sum *s, LBuf *const *table, int k, Expr *x)
{
	LBuilder *b = &cx->b;

	if (k == s->shifted)
		return loop_op2(b, KOP_SHL, x, loop_int(b, DT_I32, s->shift));
	x = loop_add(b, loop_cvt(b, DT_IDX, x), loop_idx(b, VALUES / 2));
	return loop_let(b, "term", loop_load(b, table[k], x));
}

/* Elements i and on, loads before what needs them; `table` has the terms of either input. */
static void
add_elements(LowerCtx *cx, const Sum *s, const Scale *scale, LBuf *const *table, Expr *i,
               int n)
{
	LBuilder *b = &cx->b;
	Expr *x[2][TOGETHER], *sum[TOGETHER];

	for (int e = 0; e < n; e++)
		for (int k = 0; k < 2; k++)
			x[k][e] = loop_let(b, "x", loop_load_compute(b, cx->in[k],
			                                             loop_add(b, i, loop_idx(b, e))));
	for (int e = 0; e < n; e++) {
		int first = s->shifted == 0;

		sum[e] = term_of(cx, s, table, first, x[first][e]);
		sum[e] = loop_let(b, "sum", loop_add(b, sum[e], term_of(cx, s, table, 1 - first,
		                                                       x[1 - first][e])));
	}
	for (int e = 0; e < n; e++)
		scale_store(cx, scale, loop_add(b, i, loop_idx(b, e)), loop_idx(b, 0), sum[e],
		            loop_int(b, DT_I32, scale_multiplier(&s->c, 0)),
		            loop_int(b, DT_I32, scale_shift(scale, &s->c, 0)));
}

LFunc *
sum_lower(Arena *a, const Node *n, const SumShape *shape)
{
	Sum s;
	LowerCtx cx;
	LBuilder *b = &cx.b;
	Scale scale;
	LBuf *table[2] = {NULL};
	int32_t count, step, each;
	Expr *i;

	if (!read_sum(&s, a, n))
		return NULL;
	lower_begin(&cx, a, n);
	scale = scale_begin(&cx, &s.c);
	if (shape->powers)
		scale_use_powers(&scale, &s.c);
	for (int k = 0; k < 2; k++)
		if (k != s.shifted)
			table[k] = lower_constant(&cx, k ? "terms1" : "terms0", DT_I32, VALUES, s.table[k]);
	count = type_numel(&n->out[0]->type);
	step = count % shape->at_once == 0 ? shape->at_once : 1;
	i = loop_for_step(b, "i", 0, count, step);
	each = step % TOGETHER == 0 ? TOGETHER : 1;
	for (int32_t k = 0; k < step; k += each)
		add_elements(&cx, &s, &scale, table, loop_add(b, i, loop_idx(b, k)), each);
	loop_end(b);
	return loop_finish(b);
}
