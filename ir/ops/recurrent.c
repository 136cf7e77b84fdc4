/*
 * Recurrent networks: lstm, gru, rnn.
 *
 * Notation and layouts are those of the ONNX operators.  A row of w and r
 * belongs to one gate of one neuron: row g * H + j for gate g of neuron j.  The
 * sum of a row starts with its biases, then takes the inputs in order, then the
 * state in order.
 *
 * Directions are computed one after the other, within one the sequences of
 * the batch, so that the state is that of one sequence only.  With sequence
 * lengths (clamped to 0 to T) a sequence ends early: y is 0 from there on, y_h
 * and y_c are the state at its end.  The reverse direction starts at the end of
 * the sequence, not at T.
 *
 * `clip` bounds the inputs of the gates' activations.  That of the last
 * activation of an LSTM, the cell, is not clipped, as in ONNX Runtime.
 */
#include <math.h>
#include <string.h>

#include "ir/lower.h"
#include "ir/ops/infer.h"

/* ---- Activations ---- */

typedef enum {
	ACT_AFFINE,
	ACT_ELU,
	ACT_HARD_SIGMOID,
	ACT_LEAKY_RELU,
	ACT_RELU,
	ACT_SCALED_TANH,
	ACT_SIGMOID,
	ACT_SOFTPLUS,
	ACT_SOFTSIGN,
	ACT_TANH,
	ACT_THRESHOLDED_RELU,
	ACT_COUNT
} ActivationKind;

typedef struct {
	ActivationKind kind;
	double alpha, beta;
} GateActivation;

static const struct {
	const char *name; /* in lower case: names are compared without case */
	bool has_alpha, has_beta;
	double alpha, beta; /* defaults */
} activation_info[ACT_COUNT] = {
	[ACT_AFFINE] = {"affine", true, true, 1, 0},
	[ACT_ELU] = {"elu", true, false, 1, 0},
	[ACT_HARD_SIGMOID] = {"hardsigmoid", true, true, 0.2, 0.5},
	[ACT_LEAKY_RELU] = {"leakyrelu", true, false, 0.01, 0},
	[ACT_RELU] = {"relu", false, false, 0, 0},
	[ACT_SCALED_TANH] = {"scaledtanh", true, true, 1, 1},
	[ACT_SIGMOID] = {"sigmoid", false, false, 0, 0},
	[ACT_SOFTPLUS] = {"softplus", false, false, 0, 0},
	[ACT_SOFTSIGN] = {"softsign", false, false, 0, 0},
	[ACT_TANH] = {"tanh", false, false, 0, 0},
	[ACT_THRESHOLDED_RELU] = {"thresholdedrelu", true, false, 1, 0},
};

static bool
same_word(const char *lower, const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = word[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (lower[i] != c)
			return false;
	}
	return lower[length] == '\0';
}

static ActivationKind
find_activation(const char *word, size_t length)
{
	int kind = 0;

	while (kind < ACT_COUNT && !same_word(activation_info[kind].name, word, length))
		kind++;
	return (ActivationKind)kind;
}

static Expr *
activate(LBuilder *b, const GateActivation *a, Expr *x)
{
	Expr *alpha = loop_float(b, x->type, a->alpha), *beta = loop_float(b, x->type, a->beta);
	Expr *zero = loop_float(b, x->type, 0), *one = loop_float(b, x->type, 1);

	switch (a->kind) {
	case ACT_AFFINE: return loop_add(b, loop_mul(b, alpha, x), beta);
	case ACT_ELU:
		x = loop_let(b, "a", x);
		return loop_select(b, loop_op2(b, KOP_GE, x, zero), x,
		                   loop_mul(b, alpha, loop_call1(b, "expm1", x)));
	case ACT_HARD_SIGMOID:
		x = loop_add(b, loop_mul(b, alpha, x), beta);
		return loop_op2(b, KOP_MIN, loop_op2(b, KOP_MAX, x, zero), one);
	case ACT_LEAKY_RELU:
		x = loop_let(b, "a", x);
		return loop_select(b, loop_op2(b, KOP_GE, x, zero), x, loop_mul(b, alpha, x));
	case ACT_RELU: return loop_op2(b, KOP_MAX, x, zero);
	case ACT_SCALED_TANH:
		return loop_mul(b, alpha, loop_call1(b, "tanh", loop_mul(b, beta, x)));
	case ACT_SIGMOID: return loop_call1(b, "sigmoid", x);
	case ACT_SOFTPLUS: return loop_call1(b, "softplus", x);
	case ACT_SOFTSIGN:
		x = loop_let(b, "a", x);
		return loop_op2(b, KOP_DIV, x, loop_add(b, one, loop_op1(b, KOP_ABS, x)));
	case ACT_TANH: return loop_call1(b, "tanh", x);
	case ACT_THRESHOLDED_RELU:
		x = loop_let(b, "a", x);
		return loop_select(b, loop_op2(b, KOP_GE, x, alpha), x, zero);
	case ACT_COUNT: break;
	}
	return x;
}

/* ---- Reading a node ---- */

enum { MAX_ACTIVATIONS = 6, MAX_DIRECTIONS = 2 };

/* What the three operators have in common. */
typedef struct {
	Direction direction;
	const char *activations;
	Floats alpha, beta;
	double clip;
	int gates, activations_each; /* activations of one direction */
	bool has_cell;
} RnnAttrs;

static RnnAttrs
rnn_attrs(const Node *n)
{
	if (n->op == OP_LSTM) {
		const Attr_LSTM *a = n->attr;

		return (RnnAttrs){a->direction, a->activations, a->alpha, a->beta, a->clip, 4, 3,
		                  true};
	} else if (n->op == OP_GRU) {
		const Attr_GRU *a = n->attr;

		return (RnnAttrs){a->direction, a->activations, a->alpha, a->beta, a->clip, 3, 2,
		                  false};
	} else {
		const Attr_RNN *a = n->attr;

		return (RnnAttrs){a->direction, a->activations, a->alpha, a->beta, a->clip, 1, 1,
		                  false};
	}
}

static int
count_directions(const RnnAttrs *a)
{
	return a->direction == DIRECTION_bidirectional ? 2 : 1;
}

/* The next of `list` for functions that have such a parameter. */
static double
next_parameter(bool has_it, Floats list, int *used, double otherwise)
{
	return has_it && *used < list.n ? list.v[(*used)++] : otherwise;
}

/* Reads the activations that are used; the list may go on after them. */
static bool
reads_activations(const Node *n, const RnnAttrs *a, GateActivation act[MAX_ACTIVATIONS], Diag *d)
{
	const char *s = a->activations;
	int count = a->activations_each * count_directions(a), alphas = 0, betas = 0;

	for (int i = 0; i < count; i++) {
		size_t length = strcspn(s, ",");
		ActivationKind kind = find_activation(s, length);

		if (length == 0)
			return bad_attribute(n, d, "activations", "names %d functions, needs %d", i,
			                     count);
		if (kind == ACT_COUNT)
			return diag_report(d, &n->loc, E_UNSUPPORTED,
			                   "'%s' with the activation '%.*s' is not supported",
			                   op_info[n->op].name, length < 40 ? (int)length : 40, s);
		act[i].kind = kind;
		act[i].alpha = next_parameter(activation_info[kind].has_alpha, a->alpha, &alphas,
		                              activation_info[kind].alpha);
		act[i].beta = next_parameter(activation_info[kind].has_beta, a->beta, &betas,
		                             activation_info[kind].beta);
		s += length + (s[length] == ',');
	}
	return true;
}

static bool
check_shape3(const Node *n, Diag *d, int i, int32_t d0, int32_t d1, int32_t d2)
{
	return check_rank(n, d, i, 3, 3) && check_dim(n, d, i, 0, d0) &&
	       check_dim(n, d, i, 1, d1) && check_dim(n, d, i, 2, d2);
}

static bool
check_shape2(const Node *n, Diag *d, int i, int32_t d0, int32_t d1)
{
	return check_rank(n, d, i, 2, 2) && check_dim(n, d, i, 0, d0) && check_dim(n, d, i, 1, d1);
}

enum { IN_X, IN_W, IN_R, IN_BIAS, IN_LENGTHS, IN_H, IN_C, IN_PEEPHOLES, MAX_INPUTS };

static bool
check_rnn_types(const Node *n, Diag *d)
{
	if (!check_dtype(n, d, IN_X, SET_FLOAT) || !check_dtype(n, d, IN_LENGTHS, 1 << DT_I32))
		return false;
	for (int i = IN_W; i < n->nins; i++)
		if (i != IN_LENGTHS && !check_same_dtype(n, d, i))
			return false;
	return true;
}

static bool
check_rnn_shapes(const Node *n, const RnnAttrs *a, Diag *d)
{
	const Type *x = &n->in[IN_X]->type, *r = &n->in[IN_R]->type;
	int32_t dirs = count_directions(a), batch, hidden, rows;

	if (!check_rank(n, d, IN_X, 3, 3) || !check_rank(n, d, IN_R, 3, 3))
		return false;
	hidden = r->dim[2];
	batch = x->dim[1];
	/* All four gates with two biases must have an index. */
	if (hidden > INT32_MAX / 8)
		return bad_input(n, d, E_SIZE, IN_R, "too many neurons");
	rows = a->gates * hidden;
	return check_shape3(n, d, IN_W, dirs, rows, x->dim[2]) &&
	       check_shape3(n, d, IN_R, dirs, rows, hidden) &&
	       check_shape2(n, d, IN_BIAS, dirs, 2 * rows) &&
	       check_vector(n, d, IN_LENGTHS, batch) &&
	       check_shape3(n, d, IN_H, dirs, batch, hidden) &&
	       check_shape3(n, d, IN_C, dirs, batch, hidden) &&
	       check_shape2(n, d, IN_PEEPHOLES, dirs, 3 * hidden);
}

bool
infer_lstm(const Node *n, Type *out, Diag *d)
{
	RnnAttrs a = rnn_attrs(n);
	GateActivation act[MAX_ACTIVATIONS];
	const Type *x = &n->in[IN_X]->type;
	int32_t dirs = count_directions(&a), hidden;

	if (!check_rnn_types(n, d) || !check_rnn_shapes(n, &a, d) ||
	    !reads_activations(n, &a, act, d))
		return false;
	if (!(a.clip >= 0))
		return bad_attribute(n, d, "clip", "%g is negative", a.clip);
	hidden = n->in[IN_R]->type.dim[2];
	out[0] = type_make(x->dtype, 4, (int32_t[]){x->dim[0], dirs, x->dim[1], hidden});
	for (int i = 1; i < n->nouts; i++)
		out[i] = type_make(x->dtype, 3, (int32_t[]){dirs, x->dim[1], hidden});
	return true;
}

/* ---- Lowering ---- */

typedef struct {
	LowerCtx *cx;
	LBuilder *b;
	RnnAttrs attr;
	GateActivation act[MAX_ACTIVATIONS];
	DType t; /* in which it computes */
	int32_t time, batch, inputs, hidden, dirs;
	LBuf *in[MAX_INPUTS];
	LBuf *y, *y_h, *y_c;
	LBuf *h, *c;  /* the state */
	LBuf *gate;   /* one entry a row */
	LBuf *mixed;  /* gru: state and reset gate combined; rnn: the next state */

	int dir;                   /* the direction being lowered */
	const GateActivation *dir_act; /* its activations */
	Expr *n;                   /* the sequence of the batch */
	Expr *x_at, *y_at;         /* where the current step's elements lie */
} Rnn;

static void
begin_rnn(Rnn *r, LowerCtx *cx, const Node *n)
{
	const Type *x = &n->in[IN_X]->type;

	*r = (Rnn){.cx = cx, .b = &cx->b, .attr = rnn_attrs(n)};
	reads_activations(n, &r->attr, r->act, NULL);
	r->t = dtype_compute(x->dtype);
	r->time = x->dim[0];
	r->batch = x->dim[1];
	r->inputs = x->dim[2];
	r->hidden = n->in[IN_R]->type.dim[2];
	r->dirs = count_directions(&r->attr);
	lower_name_inputs(cx, n, (const char *const[]){"x", "w", "r", "bias", "lengths",
	                                               "initial_h", "initial_c", "peepholes"});
	lower_name_outputs(cx, n, (const char *const[]){"y", "y_h", "y_c"});
	for (int i = 0; i < n->nins; i++)
		r->in[i] = cx->in[i];
	r->y = cx->out[0];
	r->y_h = n->nouts > 1 ? cx->out[1] : NULL;
	r->y_c = n->nouts > 2 ? cx->out[2] : NULL;
	r->h = lower_scratch(cx, "h", r->t, r->hidden);
	if (r->attr.has_cell)
		r->c = lower_scratch(cx, "c", r->t, r->hidden);
}

/* buf[j + offset] */
static Expr *
at_offset(const Rnn *r, LBuf *buf, Expr *j, int64_t offset)
{
	return loop_load_compute(r->b, buf, loop_affine(r->b, j, 1, offset));
}

/* The activation number `which` of the current direction, its input clipped. */
static Expr *
activate_clipped(const Rnn *r, int which, Expr *x)
{
	Expr *limit = loop_float(r->b, r->t, r->attr.clip);

	if (!isinf(r->attr.clip)) {
		x = loop_op2(r->b, KOP_MAX, x, loop_float(r->b, r->t, -r->attr.clip));
		x = loop_op2(r->b, KOP_MIN, x, limit);
	}
	return activate(r->b, &r->dir_act[which], x);
}

static Expr *
bias_of_row(const Rnn *r, Expr *row, bool of_r)
{
	int32_t rows = r->attr.gates * r->hidden;

	return at_offset(r, r->in[IN_BIAS], row, (int64_t)rows * (2 * r->dir + of_r));
}

/* Which parts of a row are summed. */
enum { SUM_X = 1, SUM_H = 2 };

/* acc += matrix[row, :] * vector[from : from + count] */
static void
add_row(const Rnn *r, LVar *acc, LBuf *matrix, Expr *row, LBuf *vector, Expr *from, int32_t count,
        const char *names[2])
{
	LBuilder *b = r->b;
	int32_t rows = r->attr.gates * r->hidden;
	int depth = b->depth;
	Expr *k, *row_at, *product;

	if (count == 0)
		return;
	row_at = lower_let(r->cx, names[1],
	                   loop_affine(b, row, count, (int64_t)r->dir * rows * count));
	k = lower_for(r->cx, names[0], count);
	product = loop_mul(b, loop_load_compute(b, vector, loop_add(b, from, k)),
	                   loop_load_compute(b, matrix, loop_add(b, row_at, k)));
	loop_set(b, acc, loop_add(b, loop_get(b, acc), product));
	lower_end_to(r->cx, depth);
}

/* Biases + x * w + state * r of a row, or one of the two halves. */
static Expr *
sum_row(const Rnn *r, Expr *row, int parts, LBuf *state)
{
	LBuilder *b = r->b;
	Expr *start = loop_const(b, r->t, 0);
	LVar *acc;

	if (r->in[IN_BIAS]) {
		start = bias_of_row(r, row, !(parts & SUM_X));
		if (parts == (SUM_X | SUM_H))
			start = loop_add(b, start, bias_of_row(r, row, true));
	}
	acc = loop_var(b, "acc", start);
	if (parts & SUM_X)
		add_row(r, acc, r->in[IN_W], row, r->in[IN_X], r->x_at, r->inputs,
		        (const char *[]){"i", "w_row"});
	if (parts & SUM_H)
		add_row(r, acc, r->in[IN_R], row, state, loop_idx(b, 0), r->hidden,
		        (const char *[]){"k", "r_row"});
	return loop_get(b, acc);
}

/* Opens the loop over the neurons of a gate, or of several. */
static Expr *
open_rows(const Rnn *r, const char *name, int gates)
{
	return loop_for(r->b, name, 0, gates * r->hidden);
}

static void
store_state(const Rnn *r, Expr *j, Expr *h)
{
	loop_store(r->b, r->h, j, h);
	if (r->y)
		loop_store_cvt(r->b, r->y, loop_add(r->b, r->y_at, j), h);
}

/* The state before the first step: initial_h and the like, or 0. */
static void
init_state(const Rnn *r, LBuf *state, LBuf *initial)
{
	LBuilder *b = r->b;
	Expr *at = loop_affine(b, r->n, r->hidden, (int64_t)r->dir * r->batch * r->hidden);
	Expr *j = open_rows(r, "j", 1);

	loop_store(b, state, j,
	           initial ? loop_load_compute(b, initial, loop_add(b, at, j))
	                   : loop_const(b, r->t, 0));
	loop_end(b);
}

static void
store_final_state(const Rnn *r, LBuf *out, LBuf *state)
{
	LBuilder *b = r->b;
	Expr *at = loop_affine(b, r->n, r->hidden, (int64_t)r->dir * r->batch * r->hidden);
	Expr *j;

	if (!out)
		return;
	j = open_rows(r, "j", 1);
	loop_store_cvt(b, out, loop_add(b, at, j), loop_load(b, state, j));
	loop_end(b);
}

/* Where the outputs of step `t` start. */
static Expr *
y_at_step(const Rnn *r, Expr *t)
{
	LBuilder *b = r->b;
	int32_t step = r->batch * r->hidden;

	return lower_let(r->cx, "y_t",
	                 loop_add(b, loop_affine(b, t, (int64_t)r->dirs * step, (int64_t)r->dir * step),
	                          loop_affine(b, r->n, r->hidden, 0)));
}

/* The outputs from the end of the sequence on. */
static void
clear_rest(const Rnn *r, Expr *length)
{
	LBuilder *b = r->b;
	Expr *t, *j, *at;

	if (!r->y)
		return;
	t = loop_for_expr(b, "t", length, loop_idx(b, r->time));
	at = y_at_step(r, t);
	j = open_rows(r, "j", 1);
	loop_store(b, r->y, loop_add(b, at, j), loop_const(b, r->y->elem, 0));
	loop_end(b);
	loop_end(b);
}

typedef void StepFn(const Rnn *r);

/* All steps of one sequence. */
static void
lower_sequence(Rnn *r, bool reverse, StepFn *step)
{
	LBuilder *b = r->b;
	Expr *zero = loop_idx(b, 0), *length = loop_idx(b, r->time), *s, *t;
	LBuf *lengths = r->in[IN_LENGTHS];

	if (lengths)
		length = loop_let(b, "length",
		                  loop_clamp_idx(b, loop_load(b, lengths, r->n), 0, r->time));
	t = s = loop_for_expr(b, reverse ? "s" : "t", zero, length);
	if (reverse) {
		t = loop_sub(b, loop_affine(b, length, 1, -1), s);
		/* True anyway, but the length's range does not show it. */
		if (lengths)
			t = loop_op2(b, KOP_MAX, t, zero);
		t = loop_let(b, "t", t);
	}
	r->x_at = lower_let(r->cx, "x_t",
	                    loop_add(b, loop_affine(b, t, (int64_t)r->batch * r->inputs, 0),
	                             loop_affine(b, r->n, r->inputs, 0)));
	if (r->y)
		r->y_at = y_at_step(r, t);
	step(r);
	loop_end(b);
	if (lengths)
		clear_rest(r, length);
}

static void
lower_rnn_with(Rnn *r, StepFn *step)
{
	for (r->dir = 0; r->dir < r->dirs; r->dir++) {
		bool reverse = r->attr.direction == DIRECTION_reverse || r->dir == 1;

		if (r->dirs > 1)
			loop_comment(r->b, "%s", reverse ? "backward" : "forward");
		r->dir_act = r->act + r->dir * r->attr.activations_each;
		r->n = lower_for(r->cx, "n", r->batch);
		init_state(r, r->h, r->in[IN_H]);
		if (r->attr.has_cell)
			init_state(r, r->c, r->in[IN_C]);
		if (r->time > 0)
			lower_sequence(r, reverse, step);
		store_final_state(r, r->y_h, r->h);
		if (r->attr.has_cell)
			store_final_state(r, r->y_c, r->c);
		lower_end_to(r->cx, 0);
	}
}

/* ---- lstm: gates in the order i, o, f, c; peepholes i, o, f ---- */

/* The sum of gate `which` of neuron j, with its peephole at `cell`. */
static Expr *
lstm_gate(const Rnn *r, int which, Expr *j, Expr *cell)
{
	LBuilder *b = r->b;
	Expr *sum = at_offset(r, r->gate, j, (int64_t)which * r->hidden);
	LBuf *peepholes = r->in[IN_PEEPHOLES];

	if (!peepholes || !cell)
		return sum;
	return loop_add(b, sum,
	                loop_mul(b, at_offset(r, peepholes, j,
	                                      (int64_t)r->hidden * (3 * r->dir + which)),
	                         cell));
}

static void
step_lstm_with(const Rnn *r, bool input_forget)
{
	LBuilder *b = r->b;
	Expr *row, *j, *old, *cell, *i, *f, *g, *o;

	row = open_rows(r, "row", 4);
	loop_store(b, r->gate, row, sum_row(r, row, SUM_X | SUM_H, r->h));
	loop_end(b);
	j = open_rows(r, "j", 1);
	old = loop_let(b, "old", loop_load(b, r->c, j));
	i = loop_let(b, "input", activate_clipped(r, 0, lstm_gate(r, 0, j, old)));
	f = loop_let(b, "forget",
	             input_forget ? loop_sub(b, loop_float(b, r->t, 1), i)
	                          : activate_clipped(r, 0, lstm_gate(r, 2, j, old)));
	g = activate_clipped(r, 1, lstm_gate(r, 3, j, NULL));
	cell = loop_let(b, "cell", loop_add(b, loop_mul(b, f, old), loop_mul(b, i, g)));
	o = loop_let(b, "output", activate_clipped(r, 0, lstm_gate(r, 1, j, cell)));
	loop_store(b, r->c, j, cell);
	store_state(r, j, loop_let(b, "state", loop_mul(b, o, activate(b, &r->dir_act[2], cell))));
	loop_end(b);
}

static void
step_lstm(const Rnn *r)
{
	step_lstm_with(r, false);
}

static void
step_lstm_input_forget(const Rnn *r)
{
	step_lstm_with(r, true);
}

void
lower_lstm(LowerCtx *cx, const Node *n)
{
	Rnn r;

	begin_rnn(&r, cx, n);
	r.gate = lower_scratch(cx, "gate", r.t, 4 * r.hidden);
	lower_rnn_with(&r, ((const Attr_LSTM *)n->attr)->input_forget ? step_lstm_input_forget
	                                                              : step_lstm);
}

/* ---- gru: gates in the order z, r, h ---- */

static void
compute_gru_gates(const Rnn *r)
{
	LBuilder *b = r->b;
	Expr *row = open_rows(r, "row", 2);

	loop_store(b, r->gate, row,
	           activate_clipped(r, 0, sum_row(r, row, SUM_X | SUM_H, r->h)));
	loop_end(b);
}

/* The new state of neuron j, from the sum of its hidden gate. */
static void
finish_gru(const Rnn *r, Expr *j, Expr *sum)
{
	LBuilder *b = r->b;
	Expr *g = loop_let(b, "hidden", activate_clipped(r, 1, sum));
	Expr *z = loop_let(b, "update", at_offset(r, r->gate, j, 0));
	Expr *one = loop_float(b, r->t, 1);

	store_state(r, j,
	            loop_let(b, "state", loop_add(b, loop_mul(b, loop_sub(b, one, z), g),
	                                          loop_mul(b, z, loop_load(b, r->h, j)))));
}

/* The hidden gate sees the state times the reset gate. */
static void
step_gru(const Rnn *r)
{
	LBuilder *b = r->b;
	Expr *j, *sum;

	compute_gru_gates(r);
	j = open_rows(r, "j", 1);
	loop_store(b, r->mixed, j,
	           loop_mul(b, at_offset(r, r->gate, j, r->hidden), loop_load(b, r->h, j)));
	loop_end(b);
	j = open_rows(r, "j", 1);
	sum = sum_row(r, loop_affine(b, j, 1, 2 * (int64_t)r->hidden), SUM_X | SUM_H, r->mixed);
	finish_gru(r, j, sum);
	loop_end(b);
}

/* linear_before_reset: the reset gate multiplies the state's part of the sum. */
static void
step_gru_linear(const Rnn *r)
{
	LBuilder *b = r->b;
	Expr *j, *sum;

	compute_gru_gates(r);
	j = open_rows(r, "j", 1);
	sum = sum_row(r, loop_affine(b, j, 1, 2 * (int64_t)r->hidden), SUM_H, r->h);
	loop_store(b, r->mixed, j, loop_mul(b, at_offset(r, r->gate, j, r->hidden), sum));
	loop_end(b);
	j = open_rows(r, "j", 1);
	sum = sum_row(r, loop_affine(b, j, 1, 2 * (int64_t)r->hidden), SUM_X, NULL);
	finish_gru(r, j, loop_add(b, sum, loop_load(b, r->mixed, j)));
	loop_end(b);
}

void
lower_gru(LowerCtx *cx, const Node *n)
{
	Rnn r;

	begin_rnn(&r, cx, n);
	r.gate = lower_scratch(cx, "gate", r.t, 2 * r.hidden);
	r.mixed = lower_scratch(cx, "mixed", r.t, r.hidden);
	lower_rnn_with(&r, ((const Attr_GRU *)n->attr)->linear_before_reset ? step_gru_linear
	                                                                    : step_gru);
}

/* ---- rnn ---- */

static void
step_rnn(const Rnn *r)
{
	LBuilder *b = r->b;
	Expr *j = open_rows(r, "j", 1);

	loop_store(b, r->mixed, j,
	           activate_clipped(r, 0, sum_row(r, j, SUM_X | SUM_H, r->h)));
	loop_end(b);
	j = open_rows(r, "j", 1);
	store_state(r, j, loop_let(b, "state", loop_load(b, r->mixed, j)));
	loop_end(b);
}

void
lower_rnn(LowerCtx *cx, const Node *n)
{
	Rnn r;

	begin_rnn(&r, cx, n);
	r.mixed = lower_scratch(cx, "next", r.t, r.hidden);
	lower_rnn_with(&r, step_rnn);
}
