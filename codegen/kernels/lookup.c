/*
 * Functions of one number by what is known of all numbers.
 *
 * Of 8-bit numbers all results of the reference lowering stand in a table, that of the
 * number's bits.  Codes of floats rise with the float: another table holds, for each code
 * but the least, the least float that has it, as the integer whose order is that of floats;
 * the code is how many of them are not above x, found in eight steps.  That needs no floating
 * point, and only the reference lowering knows what rounding is.
 */
#include "codegen/kernels/generate.h"
#include "ir/op.h"

enum { VALUES = 256, AT_ONCE = 4, MAGNITUDE = 0x7fffffff, INFINITE = 0x7f800000 };

/* ---- What the node computes ---- */

/* Results of a copy of the node for other numbers. */
static void *
results(Arena *a, const Node *n, int32_t count, void *x)
{
	Graph *g = graph_new(a, "table");
	Type type = n->in[0]->type;
	Value *in;
	Diag quiet;
	Node *k;
	void *y;

	diag_init(&quiet, a);
	g->single_rounding = n->graph->single_rounding;
	type.rank = 1;
	type.dim[0] = count;
	in = graph_input(g, "x", type);
	k = graph_add(g, n->op, 1, &in, "y");
	k->attr = n->attr;
	k->out[0]->type.dtype = n->out[0]->type.dtype;
	k->out[0]->type.q = n->out[0]->type.q;
	if (!node_infer(k, &quiet))
		return NULL;
	y = arena_alloc(a, type_bytes(&k->out[0]->type));
	lfunc_run(a, node_lower(a, k), (void *[]){x, y});
	return y;
}

/* Whether it takes each number for itself, of a type of 8 bits or of floats. */
static bool
is_function(const Node *n)
{
	return n->nins == 1 && n->nouts == 1 && n->out[0] && node_is_quantized(n) &&
	       (op_info[n->op].kind == OP_ELEMENTWISE || n->op == OP_REQUANTIZE) &&
	       type_same_shape(&n->in[0]->type, &n->out[0]->type) &&
	       type_numel(&n->out[0]->type) > 0 &&
	       (!n->in[0]->type.q || n->in[0]->type.q->n == 1);
}

/* ---- Tables ---- */

LFunc *
lookup_lower(Arena *a, const Node *n)
{
	int32_t count = type_numel(&n->out[0]->type), step = count % AT_ONCE == 0 ? AT_ONCE : 1;
	LowerCtx cx = {0};
	LBuilder *b = &cx.b;
	uint8_t codes[VALUES];
	LBuf *table;
	Expr *i;
	void *y;

	if (!is_function(n) || dtype_info[n->in[0]->type.dtype].bytes != 1)
		return NULL;
	for (int k = 0; k < VALUES; k++)
		codes[k] = (uint8_t)k;
	if (!(y = results(a, n, VALUES, codes)))
		return NULL;
	lower_begin(&cx, a, n);
	table = lower_constant(&cx, "table", n->out[0]->type.dtype, VALUES, y);
	i = loop_for_step(b, "i", 0, count, step);
	for (int k = 0; k < step; k++) {
		Expr *at = loop_add(b, i, loop_idx(b, k));
		Expr *x = loop_cvt(b, DT_U8, loop_load(b, cx.in[0], at));

		loop_store(b, cx.out[0], at, loop_load(b, table, loop_cvt(b, DT_IDX, x)));
	}
	loop_end(b);
	return loop_finish(b);
}

/* ---- Thresholds ---- */

/* The integer in the order of floats that has these bits, and back. */
static int32_t
key_of(int32_t bits)
{
	return bits < 0 ? bits ^ MAGNITUDE : bits;
}

/* Of each code but the least the least key that has it, by halving what is left. */
static int32_t *
find_thresholds(Arena *a, const Node *n)
{
	int32_t *lo = ARENA_ARRAY(a, int32_t, VALUES), *hi = ARENA_ARRAY(a, int32_t, VALUES);
	int32_t *x = ARENA_ARRAY(a, int32_t, VALUES), least = quant_limits(n->out[0]->type.dtype).lo;

	for (int k = 0; k < VALUES; k++) {
		lo[k] = key_of(INT32_MIN | INFINITE);
		hi[k] = INFINITE;
	}
	for (int step = 0; step < 33; step++) {
		const uint8_t *y;

		for (int k = 0; k < VALUES; k++)
			x[k] = key_of((int32_t)(lo[k] + ((int64_t)hi[k] - lo[k]) / 2));
		if (!(y = results(a, n, VALUES, x)))
			return NULL;
		for (int k = 0; k < VALUES; k++) {
			int32_t code = least < 0 ? (int8_t)y[k] : y[k];

			if (lo[k] == hi[k])
				continue;
			if (code - least > k)
				hi[k] = key_of(x[k]);
			else
				lo[k] = key_of(x[k]) + 1;
		}
	}
	return lo;
}

/* How many thresholds are not above the key: at most VALUES - 1, and as many stand in
 * front of the greatest code. */
static Expr *
count_thresholds(LBuilder *b, LBuf *table, Expr *key)
{
	Expr *at = loop_idx(b, 0);

	for (int half = VALUES / 2; half > 0; half /= 2) {
		Expr *probe = loop_load(b, table, loop_add(b, at, loop_idx(b, half - 1)));
		Expr *more = loop_select(b, loop_op2(b, KOP_GE, key, probe), loop_idx(b, half),
		                         loop_idx(b, 0));

		at = loop_let(b, "at", loop_add(b, at, more));
	}
	return at;
}

LFunc *
thresholds_lower(Arena *a, const Node *n)
{
	const Type *t = &n->out[0]->type;
	int32_t *thresholds, least = quant_limits(t->dtype).lo;
	LowerCtx cx = {0};
	LBuilder *b = &cx.b;
	Expr *i, *bits, *key, *code, *is_nan;
	LBuf *table;

	if (!is_function(n) || n->op != OP_REQUANTIZE || n->in[0]->type.dtype != DT_F32 ||
	    dtype_info[t->dtype].bytes != 1 || !(thresholds = find_thresholds(a, n)))
		return NULL;
	lower_begin(&cx, a, n);
	table = lower_constant(&cx, "thresholds", DT_I32, VALUES - 1, thresholds);
	i = lower_for(&cx, "i", type_numel(t));
	bits = loop_let(b, "bits", loop_bits(b, DT_I32, loop_load(b, cx.in[0], i)));
	key = loop_op2(b, KOP_SHR, bits, loop_int(b, DT_I32, 31));
	key = loop_op2(b, KOP_AND, key, loop_int(b, DT_I32, MAGNITUDE));
	key = loop_let(b, "key", loop_op2(b, KOP_XOR, bits, key));
	code = loop_cvt(b, DT_I32, count_thresholds(b, table, key));
	code = loop_let(b, "code", loop_add(b, code, loop_int(b, DT_I32, least)));
	/* What is no number has the code of 0. */
	is_nan = loop_op2(b, KOP_AND, bits, loop_int(b, DT_I32, MAGNITUDE));
	is_nan = loop_op2(b, KOP_GT, is_nan, loop_int(b, DT_I32, INFINITE));
	code = loop_select(b, is_nan, loop_int(b, DT_I32, quant_zero(t)), code);
	loop_store_cvt(b, cx.out[0], i, code);
	lower_end_to(&cx, 0);
	return loop_finish(b);
}
