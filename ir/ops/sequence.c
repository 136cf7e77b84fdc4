/*
 * Recurrent layers as TFLite has them: they keep their state between calls, so what
 * they hold next is an output.  The arithmetic is that of the reference kernels, on
 * floats and on quantised numbers.
 */
#include <math.h>

#include "ir/ops/infer.h"
#include "ir/ops/lstm.h"
#include "ir/ops/qtable.h"
#include "ir/ops/rows.h"

/* Numbers to multiply: a buffer from some element on, less a zero point. */
typedef struct {
	LBuf *buf;
	Expr *at;
	int32_t zero;
} Vector;

static Vector
vector(const Value *v, LBuf *buf, Expr *at)
{
	return (Vector){buf, at, quant_zero(&v->type)};
}

/* sum += v[k] * w[k], for k < count. */
static void
add_dot(LowerCtx *cx, LVar *sum, Vector v, Vector w, int32_t count)
{
	LBuilder *b = &cx->b;
	int depth = b->depth;
	Expr *k, *p;

	if (count == 0)
		return;
	k = lower_for(cx, "k", count);
	p = loop_mul(b, q_load(cx, v.buf, loop_add(b, v.at, k), v.zero),
	             q_load(cx, w.buf, loop_add(b, w.at, k), w.zero));
	if (p->type != sum->type)
		p = loop_cvt(b, sum->type, p);
	loop_set(b, sum, loop_add(b, loop_get(b, sum), p));
	lower_end_to(cx, depth);
}

/* ---- svdf: x [B, I], feature weights [F, I] or none (x is features), time weights
 * [F, M], bias [U], state [B, F * M]; y [B, U], the next state; F = U * rank ---- */

static bool
check_svdf_inputs(const Node *n, Diag *d)
{
	for (int i = 0; i < 5; i++)
		if (i != 1 && i != 3 && (i >= n->nins || !n->in[i]))
			return diag_report(d, &n->loc, E_ARITY, "input %d of 'svdf' is missing", i);
	return check_rank(n, d, 0, 2, 2) && check_rank(n, d, 2, 2, 2) && check_rank(n, d, 4, 2, 2);
}

static bool
infer_svdf_shape(const Node *n, Type *out, Diag *d)
{
	const Attr_SVDF *a = n->attr;
	const Type *x = &n->in[0]->type, *wt = &n->in[2]->type;
	int32_t filters = n->in[1] ? n->in[1]->type.dim[0] : x->dim[1];

	if (n->in[1] && (!check_rank(n, d, 1, 2, 2) || !check_dim(n, d, 1, 1, x->dim[1])))
		return false;
	if (!check_dim(n, d, 2, 0, filters) || !check_range(n, d, "rank", a->rank, 1, INT32_MAX))
		return false;
	if (filters % a->rank != 0)
		return bad_attribute(n, d, "rank", "%d filters are no multiple of it", filters);
	if (wt->dim[1] < 1 || (int64_t)filters * wt->dim[1] > INT32_MAX)
		return bad_input(n, d, E_SIZE, 2, "empty or too large");
	if (!check_dim(n, d, 4, 0, x->dim[0]) || !check_dim(n, d, 4, 1, filters * wt->dim[1]) ||
	    !check_vector(n, d, 3, filters / (int32_t)a->rank))
		return false;
	out[0] = type_make(x->dtype, 2, (int32_t[]){x->dim[0], filters / (int32_t)a->rank});
	out[1] = n->in[4]->type;
	out[1].q = NULL;
	return true;
}

bool
infer_svdf(const Node *n, Type *out, Diag *d)
{
	return check_svdf_inputs(n, d) && check_dtypes(n, d, 1 << DT_F32) &&
	       infer_svdf_shape(n, out, d);
}

/* From a filter's sum to the state, and from a unit's sum to the output. */
static double
feature_factor(const Node *n)
{
	return (double)(quant_scale(&n->in[0]->type) * quant_scale(&n->in[1]->type) /
	                quant_scale(&n->in[4]->type));
}

static double
time_factor(const Node *n)
{
	return (double)(quant_scale(&n->in[4]->type) * quant_scale(&n->in[2]->type) /
	                quant_scale(&n->out[0]->type));
}

/* All but the bias have one scale; the state keeps its own. */
bool
qinfer_svdf(const Node *n, Type *out, Diag *d)
{
	if (!check_svdf_inputs(n, d))
		return false;
	if (!n->in[1])
		return diag_report(d, &n->loc, E_ARITY, "input 1 of 'svdf' is missing");
	for (int i = 0; i < 5; i++)
		if (i != 3 && !check_quantized(n, d, i))
			return false;
	if (!check_output_like_input(n, d) || !check_dtype(n, d, 1, SET_Q8) ||
	    !check_dtype(n, d, 2, SET_Q8 | SET_Q16) || !check_dtype(n, d, 3, 1 << DT_I32) ||
	    !check_dtype(n, d, 4, SET_Q8 | SET_Q16) || !infer_svdf_shape(n, out, d) ||
	    !check_scale_factor(n, d, feature_factor(n), MAX_FACTOR) ||
	    !check_scale_factor(n, d, time_factor(n), MAX_FACTOR))
		return false;
	if (!n->out[1] || (n->out[1]->type.q && type_same_quant(&n->out[1]->type, &n->in[4]->type) &&
	                   n->out[1]->type.dtype == n->in[4]->type.dtype))
		return true;
	return diag_report(d, &n->loc, E_TYPE, "the next state has another type than the state");
}

/* Moves the filter's memory on by one place; the last one is what x gives now. */
static void
remember(LowerCtx *cx, const Node *n, Expr *x_at, Expr *f, Expr *s_at)
{
	LBuilder *b = &cx->b;
	const Type *x = &n->in[0]->type, *s = &n->in[4]->type;
	int32_t memory = n->in[2]->type.dim[1];
	bool quantized = node_is_quantized(n);
	LVar *sum;
	Expr *j, *v;

	if (memory > 1) {
		j = loop_for(b, "j", 0, memory - 1);
		v = loop_load(b, cx->in[4], loop_add(b, s_at, loop_affine(b, j, 1, 1)));
		loop_store(b, cx->out[1], loop_add(b, s_at, j), v);
		loop_end(b);
	}
	if (!cx->in[1]) {
		loop_store(b, cx->out[1], loop_affine(b, s_at, 1, memory - 1),
		           loop_load(b, cx->in[0], loop_add(b, x_at, f)));
		return;
	}
	sum = loop_var(b, "feature", loop_const(b, dtype_compute(x->dtype), 0));
	add_dot(cx, sum, vector(n->in[0], cx->in[0], x_at),
	        vector(n->in[1], cx->in[1], loop_affine(b, f, x->dim[1], 0)), x->dim[1]);
	v = loop_get(b, sum);
	if (quantized) {
		v = q_clamp(cx, q_scale(cx, v, feature_factor(n)), quant_limits(s->dtype));
		v = loop_add(b, v, q_int(cx, quant_zero(s)));
	}
	loop_store_cvt(b, cx->out[1], loop_affine(b, s_at, 1, memory - 1), v);
}

void
lower_svdf(LowerCtx *cx, const Node *n)
{
	LBuilder *b = &cx->b;
	const Type *x = &n->in[0]->type, *wt = &n->in[2]->type, *s = &n->in[4]->type;
	const Type *y = &n->out[0]->type;
	int32_t rank = (int32_t)((const Attr_SVDF *)n->attr)->rank, memory = wt->dim[1];
	DType t = dtype_compute(x->dtype);
	LBuf *bias = cx->in[3];
	Expr *n_at, *u, *r, *f, *s_at, *v;
	LVar *sum;

	n_at = lower_for(cx, "n", x->dim[0]);
	u = lower_for(cx, "u", y->dim[1]);
	sum = loop_var(b, "acc", bias ? loop_load_compute(b, bias, u) : loop_const(b, t, 0));
	r = lower_for(cx, "r", rank);
	f = lower_let(cx, "f", loop_add(b, loop_affine(b, u, rank, 0), r));
	s_at = loop_add(b, loop_affine(b, n_at, s->dim[1], 0), loop_affine(b, f, memory, 0));
	s_at = lower_let(cx, "s_f", s_at);
	remember(cx, n, loop_affine(b, n_at, x->dim[1], 0), f, s_at);
	add_dot(cx, sum, vector(n->in[4], cx->out[1], s_at),
	        vector(n->in[2], cx->in[2], loop_affine(b, f, memory, 0)), memory);
	if (rank > 1)
		loop_end(b);
	v = loop_get(b, sum);
	f = loop_add(b, loop_affine(b, n_at, y->dim[1], 0), u);
	if (node_is_quantized(n)) {
		v = q_scale(cx, v, time_factor(n));
		q_store(cx, cx->out[0], f, v, quant_zero(y), quant_limits(y->dtype));
	} else {
		loop_store(b, cx->out[0], f, lower_activation(cx, n, v));
	}
	lower_end_to(cx, 0);
}

void
qlower_svdf(LowerCtx *cx, const Node *n)
{
	lower_svdf(cx, n);
}

/* ---- sequence_lstm ---- */

static bool
is_time_major(const Node *n)
{
	return ((const Attr_SEQUENCE_LSTM *)n->attr)->time_major;
}

int32_t
lstm_batches(const Node *n)
{
	return n->in[LSTM_X]->type.dim[is_time_major(n) ? 1 : 0];
}

int32_t
lstm_steps(const Node *n)
{
	return n->in[LSTM_X]->type.dim[is_time_major(n) ? 0 : 1];
}

static bool
infer_lstm_shape(const Node *n, Type *out, Diag *d)
{
	const Type *x = &n->in[LSTM_X]->type, *h = &n->in[LSTM_H]->type;
	int32_t units;

	if (!check_rank(n, d, LSTM_X, 3, 3) || !check_rank(n, d, LSTM_H, 2, 2) ||
	    !check_rank(n, d, LSTM_C, 2, 2))
		return false;
	units = h->dim[1];
	for (int g = 0; g < GATES; g++)
		if (!check_rank(n, d, LSTM_W + g, 2, 2) || !check_rank(n, d, LSTM_R + g, 2, 2) ||
		    !check_dim(n, d, LSTM_W + g, 0, units) ||
		    !check_dim(n, d, LSTM_W + g, 1, x->dim[2]) ||
		    !check_dim(n, d, LSTM_R + g, 0, units) ||
		    !check_dim(n, d, LSTM_R + g, 1, units) ||
		    !check_vector(n, d, LSTM_BIAS + g, units))
			return false;
	if (!check_dim(n, d, LSTM_H, 0, lstm_batches(n)) ||
	    !check_dim(n, d, LSTM_C, 0, lstm_batches(n)) ||
	    !check_dim(n, d, LSTM_C, 1, units))
		return false;
	out[0] = type_make(h->dtype, 3, (int32_t[]){x->dim[0], x->dim[1], units});
	out[1] = *h;
	out[2] = n->in[LSTM_C]->type;
	out[1].q = out[2].q = NULL;
	return true;
}

bool
infer_sequence_lstm(const Node *n, Type *out, Diag *d)
{
	return check_dtypes(n, d, 1 << DT_F32) && infer_lstm_shape(n, out, d);
}

/* From a sum of products of operands v and w to units of 2^-12. */
static double
gate_factor(const Node *n, int v, int w)
{
	return (double)(quant_scale(&n->in[v]->type) * quant_scale(&n->in[w]->type)) / 0x1p-12;
}

/* The scale of the cell is a power of 2, not so large that tanh loses it. */
static bool
check_lstm_scales(const Node *n, Diag *d)
{
	double limit = n->in[LSTM_X]->type.dtype == DT_I16 ? MAX_WIDE_FACTOR : MAX_FACTOR;
	double cell = (double)quant_scale(&n->in[LSTM_C]->type), power = log2(cell);

	for (int g = 0; g < GATES; g++)
		if (!check_scale_factor(n, d, gate_factor(n, LSTM_X, LSTM_W + g), limit) ||
		    !check_scale_factor(n, d, gate_factor(n, LSTM_H, LSTM_R + g), limit))
			return false;
	if (fabs(power - round(power)) >= 1e-3)
		return bad_input(n, d, E_UNSUPPORTED, LSTM_C, "the scale must be a power of 2");
	return check_scale_factor(n, d, cell, 4) && check_scale_factor(n, d, 1 / cell, 0x1p28) &&
	       check_scale_factor(n, d, 0x1p-30 / (double)quant_scale(&n->in[LSTM_H]->type),
	                          MAX_FACTOR);
}

/* Floats and weights of 8 bits. */
static bool
is_hybrid(const Node *n)
{
	return node_is_quantized(n) && dtype_is_float(n->in[LSTM_X]->type.dtype);
}

static bool
is_integer(const Node *n)
{
	return node_is_quantized(n) && !is_hybrid(n);
}

static bool
infer_hybrid_lstm(const Node *n, Type *out, Diag *d)
{
	for (int i = 0; i < n->nins; i++) {
		bool is_weight = i >= LSTM_W && i < LSTM_BIAS;

		if (!check_dtype(n, d, i, 1u << (is_weight ? DT_I8 : DT_F32)))
			return false;
		if (is_weight && (!check_quantized(n, d, i) || !check_symmetric(n, d, i)))
			return false;
	}
	return check_plain_output(n, d) && infer_lstm_shape(n, out, d);
}

bool
qinfer_sequence_lstm(const Node *n, Type *out, Diag *d)
{
	DType t = n->in[LSTM_X]->type.dtype;

	if (is_hybrid(n))
		return infer_hybrid_lstm(n, out, d);
	for (int i = 0; i < n->nins; i++) {
		bool is_bias = i >= LSTM_BIAS && i < LSTM_H;
		unsigned set = is_bias        ? SET_INDICES
		               : i == LSTM_X || i == LSTM_H ? 1u << t
		               : i == LSTM_C    ? SET_Q16
		                              : 1u << DT_I8;

		if (!check_dtype(n, d, i, set) || (!is_bias && !check_quantized(n, d, i)))
			return false;
	}
	if (t == DT_I16 && (!check_symmetric(n, d, LSTM_X) || !check_symmetric(n, d, LSTM_H)))
		return false;
	for (int i = 0; i < 3; i++) {
		const Type *held = &n->in[i == 2 ? LSTM_C : LSTM_H]->type;
		const Type *y = n->out[i] ? &n->out[i]->type : held;

		if (!y->q || y->dtype != held->dtype || !type_same_quant(y, held))
			return diag_report(d, &n->loc, E_TYPE,
			                   "output %d has another quantisation than its state", i);
	}
	return check_lstm_scales(n, d) && infer_lstm_shape(n, out, d);
}

/* A product of weights with a scale of its own, in units of 2^-12. */
static Expr *
gate_part(LowerCtx *cx, const Node *n, Expr *sum, int v, int w)
{
	return q_sat16(cx, q_scale(cx, sum, gate_factor(n, v, w)));
}

static Expr *
activated(LowerCtx *cx, const Node *n, const LstmStep *s, int g, Expr *v)
{
	LBuilder *b = &cx->b;

	if (!is_integer(n))
		return g == GATE_CELL ? loop_call1(b, "tanh", v)
		                      : op_info[OP_SIGMOID].scalar(b, n, &v);
	v = loop_mul(b, q_sat16(cx, v), q_int(cx, 3));
	return g == GATE_CELL ? q_tanh16(cx, s->table, v) : q_logistic16(cx, s->table, v);
}

/* A sum of codes as a float. */
static Expr *
hybrid_part(LowerCtx *cx, const Node *n, Expr *sum, Expr *scale, int w)
{
	LBuilder *b = &cx->b;
	double w_scale = (double)quant_scale(&n->in[w]->type);

	scale = loop_mul(b, scale, loop_float(b, DT_F32, w_scale));
	return loop_mul(b, loop_cvt(b, DT_F32, sum), scale);
}

/* The sums of products of a gate's unit: of x, with the bias unless that is no integer,
 * and of the hidden state. */
static void
gate_sums(LowerCtx *cx, const Node *n, LstmStep *s, int g)
{
	LBuilder *b = &cx->b;
	const Type *x = &n->in[LSTM_X]->type;
	int32_t inputs = x->dim[2], units = n->in[LSTM_H]->type.dim[1];
	bool hybrid = is_hybrid(n);
	DType t = hybrid ? DT_I32 : x->dtype == DT_I16 ? DT_I64 : dtype_compute(x->dtype);
	Expr *zero = loop_const(b, t, 0), *bias = zero;
	Vector xv = hybrid ? (Vector){s->x_codes, loop_idx(b, 0), 0}
	                   : vector(n->in[LSTM_X], cx->in[LSTM_X], s->x_at);
	Vector hv = hybrid ? (Vector){s->h_codes, loop_idx(b, 0), 0}
	                   : vector(n->in[LSTM_H], cx->out[1], s->h_at);
	LVar *a, *r;

	if (!hybrid)
		bias = loop_load_compute(b, cx->in[LSTM_BIAS + g], s->unit);
	a = loop_var(b, "a", bias->type == t ? bias : loop_cvt(b, t, bias));
	r = loop_var(b, "r", zero);
	add_dot(cx, a, xv, vector(n->in[LSTM_W + g], cx->in[LSTM_W + g],
	                          loop_affine(b, s->unit, inputs, 0)), inputs);
	add_dot(cx, r, hv, vector(n->in[LSTM_R + g], cx->in[LSTM_R + g],
	                          loop_affine(b, s->unit, units, 0)), units);
	s->a[g] = loop_get(b, a);
	s->r[g] = loop_get(b, r);
}

/* What a gate's unit adds up to, before its activation. */
static Expr *
gate_sum(LowerCtx *cx, const Node *n, const LstmStep *s, int g)
{
	LBuilder *b = &cx->b;
	Expr *bias;

	if (is_hybrid(n)) {
		bias = loop_load_compute(b, cx->in[LSTM_BIAS + g], s->unit);
		bias = loop_add(b, bias, hybrid_part(cx, n, s->a[g], s->x_scale, LSTM_W + g));
		return loop_add(b, bias, hybrid_part(cx, n, s->r[g], s->h_scale, LSTM_R + g));
	}
	if (is_integer(n))
		return loop_add(b, gate_part(cx, n, s->a[g], LSTM_X, LSTM_W + g),
		                gate_part(cx, n, s->r[g], LSTM_H, LSTM_R + g));
	return loop_add(b, s->a[g], s->r[g]);
}

/* The value of one gate of one unit. */
static Expr *
gate(LowerCtx *cx, const Node *n, LstmStep *s, const LstmProducts *p, int g)
{
	static const char *const name[GATES] = {"i", "f", "g", "o"};
	LBuilder *b = &cx->b;

	if (!p)
		gate_sums(cx, n, s, g);
	return loop_let(b, name[g],
	                activated(cx, n, s, g, loop_let(b, "v", gate_sum(cx, n, s, g))));
}

/* f * c + i * g, clipped. */
static Expr *
next_cell(LowerCtx *cx, const Node *n, Expr *f, Expr *c, Expr *i, Expr *g)
{
	double clip = ((const Attr_SEQUENCE_LSTM *)n->attr)->cell_clip;
	double scale = (double)quant_scale(&n->in[LSTM_C]->type);
	LBuilder *b = &cx->b;
	Expr *v, *w;
	double q;

	if (!is_integer(n)) {
		v = loop_add(b, loop_mul(b, f, c), loop_mul(b, i, g));
		if (clip > 0) {
			v = loop_op2(b, KOP_MIN, v, loop_float(b, DT_F32, clip));
			v = loop_op2(b, KOP_MAX, v, loop_float(b, DT_F32, -clip));
		}
		return v;
	}
	v = q_sat16(cx, q_scale(cx, loop_mul(b, f, c), 0x1p-15 * scale / scale));
	w = q_sat16(cx, q_scale(cx, loop_mul(b, i, g), 0x1p-30 / scale));
	v = q_sat16(cx, loop_add(b, v, w));
	if (clip > 0) {
		q = fmin(fmax(clip / scale, INT16_MIN), INT16_MAX);
		v = q_clamp(cx, v, (QRange){-(int32_t)q, (int32_t)q});
	}
	return v;
}

/* tanh of the cell, which for quantised numbers is in units of a power of 2. */
static Expr *
cell_tanh(LowerCtx *cx, const Node *n, const LstmStep *s, Expr *c)
{
	LBuilder *b = &cx->b;
	int power;

	if (!is_integer(n))
		return loop_call1(b, "tanh", c);
	power = 12 + (int)lround(log2((double)quant_scale(&n->in[LSTM_C]->type)));
	if (power >= 0)
		return q_tanh16(cx, s->table, loop_mul(b, c, q_int(cx, 3 << power)));
	c = loop_add(b, loop_mul(b, c, q_int(cx, 3)), q_int(cx, 1 << (-power - 1)));
	return q_tanh16(cx, s->table, loop_op2(b, KOP_SHR, c, q_int(cx, -power)));
}

/* One step of one unit; what it hands on goes to scratch, since the other units still
 * need the old one. */
static void
lower_unit(LowerCtx *cx, const Node *n, LstmStep *s, const LstmProducts *p, LBuf *hidden)
{
	LBuilder *b = &cx->b;
	const Type *h = &n->in[LSTM_H]->type;
	Expr *c_at = lower_let(cx, "c_at", loop_add(b, s->h_at, s->unit));
	Expr *f, *i, *g, *o, *c, *v;

	if (p)
		p->unit(cx, p, s);
	f = gate(cx, n, s, p, GATE_FORGET);
	i = gate(cx, n, s, p, GATE_INPUT);
	g = gate(cx, n, s, p, GATE_CELL);
	o = gate(cx, n, s, p, GATE_OUTPUT);
	c = loop_load_compute(b, cx->out[2], c_at);
	c = loop_let(b, "cell", next_cell(cx, n, f, c, i, g));
	loop_store_cvt(b, cx->out[2], c_at, c);
	v = loop_mul(b, cell_tanh(cx, n, s, c), o);
	if (!is_integer(n)) {
		loop_store(b, hidden, s->unit, v);
		return;
	}
	v = q_scale(cx, v, 0x1p-30 / (double)quant_scale(h));
	q_store(cx, hidden, s->unit, v, quant_zero(h), quant_limits(h->dtype));
}

static void
copy_state(LowerCtx *cx, LBuf *from, LBuf *to)
{
	Expr *i = lower_for(cx, "i", from->count);

	loop_store(&cx->b, to, i, loop_load(&cx->b, from, i));
	lower_end_to(cx, 0);
}

/* Quantises `length` elements from `at` on into `codes`; gives their scale. */
static Expr *
quantize_step(LowerCtx *cx, const Node *n, LBuf *buf, Expr *at, LBuf *codes)
{
	bool symmetric = ((const Attr_SEQUENCE_LSTM *)n->attr)->symmetric;
	LBuilder *b = &cx->b;
	RowScale s = rows_scale(cx, buf, at, codes->count, symmetric);
	Expr *k = loop_for(b, "k", 0, codes->count), *v;

	v = rows_code(cx, &s, loop_load(b, buf, loop_add(b, at, k)));
	loop_store_cvt(b, codes, k, loop_sub(b, v, s.zero));
	loop_end(b);
	return s.scale;
}

/* Makes room for the codes of a step; less a zero point they take 9 bits. */
static void
prepare_hybrid(LowerCtx *cx, const Node *n, LstmStep *s)
{
	DType t = ((const Attr_SEQUENCE_LSTM *)n->attr)->symmetric ? DT_I8 : DT_I16;

	if (!is_hybrid(n))
		return;
	s->x_codes = lower_scratch(cx, "x_codes", t, n->in[LSTM_X]->type.dim[2]);
	s->h_codes = lower_scratch(cx, "h_codes", t, n->in[LSTM_H]->type.dim[1]);
}

static void
begin_step(LowerCtx *cx, const Node *n, LstmStep *s)
{
	if (!is_hybrid(n))
		return;
	s->x_scale = quantize_step(cx, n, cx->in[LSTM_X], s->x_at, s->x_codes);
	s->h_scale = quantize_step(cx, n, cx->out[1], s->h_at, s->h_codes);
}

/* The outputs of states hold them during the steps. */
void
lstm_lower_with(LowerCtx *cx, const Node *n, const LstmProducts *p)
{
	LBuilder *b = &cx->b;
	const Type *x = &n->in[LSTM_X]->type;
	int32_t units = n->in[LSTM_H]->type.dim[1];
	int32_t batch = lstm_batches(n), steps = lstm_steps(n);
	Expr *row, *t, *at, *u;
	LBuf *hidden;
	LstmStep s = {.table = is_integer(n) ? q_logistic_table(cx) : NULL};

	if (cx->in[LSTM_H]->count == 0)
		return;
	hidden = lower_scratch(cx, "hidden", cx->in[LSTM_H]->elem, units);
	prepare_hybrid(cx, n, &s);
	copy_state(cx, cx->in[LSTM_H], cx->out[1]);
	copy_state(cx, cx->in[LSTM_C], cx->out[2]);
	if (cx->out[0]->count == 0)
		return;
	row = lower_for(cx, "n", batch);
	t = lower_for(cx, "t", steps);
	at = is_time_major(n) ? loop_add(b, loop_affine(b, t, batch, 0), row)
	                      : loop_add(b, loop_affine(b, row, steps, 0), t);
	at = lower_let(cx, "at", at);
	s.x_at = lower_let(cx, "x_at", loop_affine(b, at, x->dim[2], 0));
	s.h_at = lower_let(cx, "h_at", loop_affine(b, row, units, 0));
	begin_step(cx, n, &s);
	if (p)
		p->step(cx, p, &s);
	s.unit = loop_for(b, "u", 0, units);
	lower_unit(cx, n, &s, p, hidden);
	loop_end(b);
	u = loop_for(b, "v", 0, units);
	loop_store(b, cx->out[1], loop_add(b, s.h_at, u), loop_load(b, hidden, u));
	loop_store(b, cx->out[0], loop_add(b, loop_affine(b, at, units, 0), u),
	           loop_load(b, hidden, u));
	lower_end_to(cx, 0);
}

void
lower_sequence_lstm(LowerCtx *cx, const Node *n)
{
	lstm_lower_with(cx, n, NULL);
}

void
qlower_sequence_lstm(LowerCtx *cx, const Node *n)
{
	lstm_lower_with(cx, n, NULL);
}
