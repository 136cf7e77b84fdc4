/*
 * LSTM layers on int8: the sums of all four gates of a unit at a time, two products an
 * instruction.
 *
 * A step's x and hidden state are unpacked once into words of 16-bit lanes, elements
 * (0, 2), (1, 3), (4, 6), …, and each word serves the four gates.  Weights stand in one
 * stream in the order of use: for each unit the biases of its gates and what the zero point
 * of the state takes off; then for each four elements of x, and of the state, a word of
 * each gate with the weights as they are.  Zero points are folded into these first words,
 * since the weights are known.
 */
#include "codegen/kernels/generate.h"
#include "ir/ops/lstm.h"

enum { QUAD = 4, QUAD_WORDS = 2 /* of a row */ };

/* What is multiplied: x or the hidden state. */
typedef struct {
	LBuf *codes;
	int32_t count, quads;
	int first; /* the input with the first gate's weights */
	int32_t zero;
} Part;

typedef struct {
	LstmProducts products;
	const Node *n;
	Part x, h;
	LBuf *stream;
	int32_t unit_words;
} Lstm;

static bool
is_int8_constant(const Value *v)
{
	return v->data && v->type.dtype == DT_I8 && quant_zero(&v->type) == 0;
}

bool
lstm_fits(const Node *n)
{
	if (n->op != OP_SEQUENCE_LSTM || !node_is_quantized(n) || !n->out[0] ||
	    n->in[LSTM_X]->type.dtype != DT_I8 || type_numel(&n->out[0]->type) == 0)
		return false;
	for (int g = 0; g < GATES; g++)
		if (!is_int8_constant(n->in[LSTM_W + g]) || !is_int8_constant(n->in[LSTM_R + g]) ||
		    !n->in[LSTM_BIAS + g]->data ||
		    n->in[LSTM_BIAS + g]->type.dtype != DT_I32)
			return false;
	return true;
}

static Part
part_of(const Node *n, int input, int first)
{
	const Type *t = &n->in[input]->type;
	int32_t count = t->dim[t->rank - 1];

	return (Part){.count = count, .quads = (count + QUAD - 1) / QUAD, .first = first,
	              .zero = quant_zero(t)};
}

/* ---- The stream ---- */

static const int8_t *
weights_of(const Node *n, const Part *p, int gate, int32_t unit)
{
	return (const int8_t *)n->in[p->first + gate]->data + (size_t)unit * (size_t)p->count;
}

/* What the zero point takes off a sum. */
static uint32_t
zero_part(const Node *n, const Part *p, int gate, int32_t unit)
{
	const int8_t *w = weights_of(n, p, gate, unit);
	uint32_t sum = 0;

	for (int32_t k = 0; k < p->count; k++)
		sum += (uint32_t)w[k] * (uint32_t)p->zero;
	return sum;
}

static void
put_weights(const Node *n, const Part *p, int32_t unit, Stream *to)
{
	for (int32_t q = 0; q < p->quads; q++)
		for (int g = 0; g < GATES; g++) {
			const int8_t *w = weights_of(n, p, g, unit) + (size_t)q * QUAD;
			uint32_t word = 0;

			for (int i = 0; i < QUAD && q * QUAD + i < p->count; i++)
				word |= (uint32_t)(uint8_t)w[i] << 8 * i;
			stream_put(to, word);
		}
}

static LBuf *
make_stream(LowerCtx *cx, const Lstm *l)
{
	const Node *n = l->n;
	int32_t units = l->h.count, words = units * l->unit_words;
	Stream to = {.word = ARENA_ARRAY(cx->arena, int32_t, words)};

	for (int32_t u = 0; u < units; u++) {
		for (int g = 0; g < GATES; g++) {
			const int32_t *bias = n->in[LSTM_BIAS + g]->data;

			stream_put(&to, (uint32_t)bias[u] - zero_part(n, &l->x, g, u));
		}
		for (int g = 0; g < GATES; g++)
			stream_put(&to, 0u - zero_part(n, &l->h, g, u));
		put_weights(n, &l->x, u, &to);
		put_weights(n, &l->h, u, &to);
	}
	return lower_constant(cx, "weights", DT_I32, words, to.word);
}

/* ---- A step ---- */

/* Element `i` of a row behind quad q of its elements; behind its end 0. */
static Expr *
element(LowerCtx *cx, const Part *p, LBuf *buf, Expr *at, int32_t quad, int i)
{
	LBuilder *b = &cx->b;

	if (quad * QUAD + i >= p->count)
		return loop_int(b, DT_I32, 0);
	return loop_load_compute(b, buf, loop_add(b, at, loop_idx(b, i)));
}

/* Unpacks the four elements from `from` on, those of quad number `quad` or of one that is as
 * full, to the words at `to`. */
static void
unpack(LowerCtx *cx, const Part *p, LBuf *buf, Expr *from, int32_t quad, Expr *to)
{
	LBuilder *b = &cx->b;

	for (int i = 0; i < QUAD_WORDS; i++) {
		Expr *lo = element(cx, p, buf, from, quad, i);
		Expr *hi = element(cx, p, buf, from, quad, i + QUAD_WORDS);

		loop_store(b, p->codes, loop_add(b, to, loop_idx(b, i)),
		           loop_packed(b, POP_PACK_LO, lo, hi, NULL));
	}
}

static void
unpack_row(LowerCtx *cx, const Part *p, LBuf *buf, Expr *at)
{
	LBuilder *b = &cx->b;
	int32_t whole = p->count / QUAD;
	Expr *q;

	if (whole > 0) {
		q = loop_for(b, "q", 0, whole);
		unpack(cx, p, buf, loop_add(b, at, loop_affine(b, q, QUAD, 0)), 0,
		       loop_affine(b, q, QUAD_WORDS, 0));
		loop_end(b);
	}
	if (whole < p->quads)
		unpack(cx, p, buf, loop_add(b, at, loop_idx(b, (int64_t)whole * QUAD)), whole,
		       loop_idx(b, (int64_t)whole * QUAD_WORDS));
}

static void
begin_step(LowerCtx *cx, const LstmProducts *products, const LstmStep *s)
{
	const Lstm *l = (const Lstm *)products;

	unpack_row(cx, &l->x, cx->in[LSTM_X], s->x_at);
	unpack_row(cx, &l->h, cx->out[1], s->h_at);
}

/* Adds the products of a part to sums that start with the stream's words from `start` on;
 * its weights are at `at`. */
static void
sum_gates(LowerCtx *cx, const Lstm *l, const Part *p, Expr *start, Expr *at, Expr *out[GATES])
{
	static const char *const name[GATES] = {"i_sum", "f_sum", "g_sum", "o_sum"};
	LBuilder *b = &cx->b;
	LVar *sum[GATES];
	Expr *q, *lanes[QUAD_WORDS];

	for (int g = 0; g < GATES; g++)
		sum[g] = loop_var(b, name[g],
		                  loop_load(b, l->stream, loop_add(b, start, loop_idx(b, g))));
	q = loop_for(b, "q", 0, p->quads);
	for (int i = 0; i < QUAD_WORDS; i++)
		lanes[i] = loop_let(b, i ? "odd" : "even",
		                    loop_load(b, p->codes, loop_affine(b, q, QUAD_WORDS, i)));
	at = loop_add(b, at, loop_affine(b, q, GATES, 0));
	for (int g = 0; g < GATES; g++) {
		Expr *w = loop_let(b, "w", loop_load(b, l->stream, loop_add(b, at, loop_idx(b, g))));

		loop_set(b, sum[g], loop_packed(b, POP_DOT2, lanes[0],
		                                loop_packed(b, POP_EVEN8, w, NULL, NULL),
		                                loop_get(b, sum[g])));
		loop_set(b, sum[g], loop_packed(b, POP_DOT2, lanes[1],
		                                loop_packed(b, POP_ODD8, w, NULL, NULL),
		                                loop_get(b, sum[g])));
	}
	loop_end(b);
	for (int g = 0; g < GATES; g++)
		out[g] = loop_get(b, sum[g]);
}

static void
sum_unit(LowerCtx *cx, const LstmProducts *products, LstmStep *s)
{
	const Lstm *l = (const Lstm *)products;
	LBuilder *b = &cx->b;
	Expr *at = lower_let(cx, "at", loop_affine(b, s->unit, l->unit_words, 0));
	int64_t weights = 2 * GATES;

	sum_gates(cx, l, &l->x, at, loop_add(b, at, loop_idx(b, weights)), s->a);
	weights += (int64_t)l->x.quads * GATES;
	sum_gates(cx, l, &l->h, loop_add(b, at, loop_idx(b, GATES)),
	          loop_add(b, at, loop_idx(b, weights)), s->r);
}

LFunc *
lstm_lower(Arena *a, const Node *n)
{
	Lstm l = {.products = {begin_step, sum_unit}, .n = n};
	LowerCtx cx;

	l.x = part_of(n, LSTM_X, LSTM_W);
	l.h = part_of(n, LSTM_H, LSTM_R);
	l.unit_words = GATES * (2 + l.x.quads + l.h.quads);
	lower_begin(&cx, a, n);
	l.x.codes = lower_scratch(&cx, "x_lanes", DT_I32, QUAD_WORDS * l.x.quads);
	l.h.codes = lower_scratch(&cx, "h_lanes", DT_I32, QUAD_WORDS * l.h.quads);
	l.stream = make_stream(&cx, &l);
	lstm_lower_with(&cx, n, &l.products);
	return loop_finish(&cx.b);
}
