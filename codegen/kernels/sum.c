/*
 * Sums and differences of int8 tensors of one shape: what the reference lowering computes
 * of one input is looked up by its value, so that only the sum itself is scaled.
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
	return largest(s->table[0]) + largest(s->table[1]) < INT32_MAX;
}

/* Element i; `table` has the terms of either input. */
static void
lower_element(LowerCtx *cx, const Sum *s, const Scale *scale, LBuf *const *table, Expr *i)
{
	LBuilder *b = &cx->b;
	Expr *sum = NULL;

	for (int k = 0; k < 2; k++) {
		Expr *at = loop_cvt(b, DT_IDX, loop_load_compute(b, cx->in[k], i)), *term;

		term = loop_load(b, table[k], loop_add(b, at, loop_idx(b, VALUES / 2)));
		sum = k ? loop_add(b, sum, term) : loop_let(b, "term", term);
	}
	scale_store(cx, scale, i, loop_idx(b, 0), sum,
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
	LBuf *table[2];
	int32_t count, step;
	Expr *i;

	if (!read_sum(&s, a, n))
		return NULL;
	lower_begin(&cx, a, n);
	scale = scale_begin(&cx, &s.c);
	if (shape->powers)
		scale_use_powers(&scale, &s.c);
	for (int k = 0; k < 2; k++)
		table[k] = lower_constant(&cx, k ? "terms1" : "terms0", DT_I32, VALUES, s.table[k]);
	count = type_numel(&n->out[0]->type);
	step = count % shape->at_once == 0 ? shape->at_once : 1;
	i = loop_for_step(b, "i", 0, count, step);
	for (int32_t k = 0; k < step; k++)
		lower_element(&cx, &s, &scale, table, loop_add(b, i, loop_idx(b, k)));
	loop_end(b);
	return loop_finish(b);
}
