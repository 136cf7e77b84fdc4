/*
 * recurrent: write ONNX's recurrent layers as what quantisation knows.
 *
 *	%y, %h, %c = lstm(%x, %w, %r, %b)	=>	%s = sequence_lstm(%x, ..) {time_major=true}
 *							%y = reshape(%s) ..
 *
 *	gru, rnn				=>	for each step the products, additions and
 *							activations of its formula
 *
 * for constant weights, without lengths of sequences, clipping and peepholes, with the
 * activations sigmoid, tanh and relu; an lstm only with its usual ones.  A direction is a
 * layer of its own; the reverse one takes the steps from the end.  Layers of more than
 * MOST_STEPS steps are left alone unless they are an lstm, since each step becomes code.
 *
 * The sums are taken in another order, so that bits of floats change.
 */
#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "passes/rewrite.h"

enum { MOST_STEPS = 128 };
enum { IN_X, IN_W, IN_R, IN_BIAS, IN_LENGTHS, IN_H, IN_C, IN_PEEPHOLES };
enum { MOST_GATES = 4 };

/* A layer in one direction. */
typedef struct {
	Rewrite *r;
	Node *n;
	int gates;
	int32_t steps, batch, inputs, hidden;
	int dirs, dir;
	bool reverse;
	const char *activations;  /* of all directions */
	bool linear_before_reset; /* gru */
} Recurrent;

/* What a direction gives. */
typedef struct {
	Value *y;    /* [steps, 1, batch, hidden] */
	Value *h, *c; /* [1, batch, hidden]; c: NULL where there is none */
} Result;

static Direction
direction_of(const Node *n)
{
	switch ((int)n->op) {
	case OP_LSTM: return ((const Attr_LSTM *)n->attr)->direction;
	case OP_GRU: return ((const Attr_GRU *)n->attr)->direction;
	default: return ((const Attr_RNN *)n->attr)->direction;
	}
}

static const char *
activations_of(const Node *n)
{
	switch ((int)n->op) {
	case OP_LSTM: return ((const Attr_LSTM *)n->attr)->activations;
	case OP_GRU: return ((const Attr_GRU *)n->attr)->activations;
	default: return ((const Attr_RNN *)n->attr)->activations;
	}
}

static double
clip_of(const Node *n)
{
	switch ((int)n->op) {
	case OP_LSTM: return ((const Attr_LSTM *)n->attr)->clip;
	case OP_GRU: return ((const Attr_GRU *)n->attr)->clip;
	default: return ((const Attr_RNN *)n->attr)->clip;
	}
}

/* ---- What is rewritten ---- */

/* ONNX compares names without case. */
static bool
same_word(const char *lower, const char *word, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!lower[i] || tolower((unsigned char)word[i]) != lower[i])
			return false;
	return !lower[n];
}

/* The operator of activation number i of the list, or OP_COUNT. */
static Op
activation(const char *list, int i)
{
	static const struct {
		const char *name;
		Op op;
	} known[] = {{"sigmoid", OP_SIGMOID}, {"tanh", OP_TANH}, {"relu", OP_RELU}};
	size_t n;

	for (; i > 0 && *list; i--) {
		list += strcspn(list, ",");
		list += *list == ',';
	}
	n = strcspn(list, ",");
	for (size_t k = 0; k < sizeof known / sizeof *known; k++)
		if (same_word(known[k].name, list, n))
			return known[k].op;
	return OP_COUNT;
}

static bool
has_known_activations(const Node *n, int dirs)
{
	static const Op usual[] = {OP_SIGMOID, OP_TANH, OP_TANH};
	int each = n->op == OP_LSTM ? 3 : n->op == OP_GRU ? 2 : 1;

	for (int i = 0; i < each * dirs; i++) {
		Op op = activation(activations_of(n), i);

		if (op == OP_COUNT || (n->op == OP_LSTM && op != usual[i % 3]))
			return false;
	}
	return true;
}

static bool
has_input(const Node *n, int i)
{
	return i < n->nins && n->in[i];
}

static bool
is_constant(const Node *n, int i)
{
	return has_input(n, i) && value_is_const(n->in[i]);
}

static bool
is_rewritten(const Node *n)
{
	int dirs = direction_of(n) == DIRECTION_bidirectional ? 2 : 1;
	const Type *x = &n->in[IN_X]->type;

	if (x->dtype != DT_F32 || type_numel(x) == 0 || !is_constant(n, IN_W) ||
	    !is_constant(n, IN_R) || n->in[IN_R]->type.dim[2] == 0 ||
	    (has_input(n, IN_BIAS) && !is_constant(n, IN_BIAS)) || has_input(n, IN_LENGTHS) ||
	    !isinf(clip_of(n)) || !has_known_activations(n, dirs))
		return false;
	if (n->op == OP_LSTM)
		return !has_input(n, IN_PEEPHOLES) && !((const Attr_LSTM *)n->attr)->input_forget;
	return (int64_t)x->dim[0] * dirs <= MOST_STEPS;
}

/* ---- Nodes ---- */

static Node *
insert(Recurrent *l, Op op, int nins, Value *const *in)
{
	Node *n = rewrite_insert(l->r, l->n, op, nins, in);

	n->name = l->n->name;
	n->loc = l->n->loc;
	return n;
}

static Value *
apply(Recurrent *l, Op op, Value *x)
{
	return rewrite_infer(l->r, insert(l, op, 1, &x));
}

static Value *
apply2(Recurrent *l, Op op, Value *x, Value *y)
{
	Value *in[] = {x, y};

	return rewrite_infer(l->r, insert(l, op, 2, in));
}

static Value *
reshape(Recurrent *l, Value *x, int rank, const int32_t *dim)
{
	Type t = type_make(DT_F32, rank, dim);

	return rewrite_reshape(l->r, l->n, x, &t);
}

/* Elements [from, from + count) of axis 0, or all of them backwards. */
static Value *
slice(Recurrent *l, Value *x, int32_t from, int32_t count, int step)
{
	int64_t starts[MAX_RANK] = {from}, sizes[MAX_RANK] = {count}, steps[MAX_RANK] = {step};
	int rank = x->type.rank;
	Node *n;
	Attr_SLICE *a;

	if (count == x->type.dim[0] && step == 1)
		return x;
	for (int i = 1; i < rank; i++) {
		sizes[i] = x->type.dim[i];
		steps[i] = 1;
	}
	n = insert(l, OP_SLICE, 1, &x);
	a = n->attr;
	a->starts = rewrite_ints(l->r, rank, starts);
	a->sizes = rewrite_ints(l->r, rank, sizes);
	a->steps = rewrite_ints(l->r, rank, steps);
	return rewrite_infer(l->r, n);
}

static Value *
backwards(Recurrent *l, Value *x)
{
	return l->reverse ? slice(l, x, x->type.dim[0] - 1, x->type.dim[0], -1) : x;
}

static Value *
concat(Recurrent *l, int n, Value *const *v, int axis)
{
	Node *c;

	if (n == 1)
		return v[0];
	c = insert(l, OP_CONCAT, n, v);
	((Attr_CONCAT *)c->attr)->axis = axis;
	return rewrite_infer(l->r, c);
}

/* ---- Constants ---- */

/* The rows of one gate, of w or r. */
static Value *
weights_of(Recurrent *l, int which, int gate)
{
	const Value *v = l->n->in[which];
	int32_t columns = v->type.dim[2], shape[2] = {l->hidden, columns};
	size_t row = (size_t)(l->dir * l->gates + gate) * (size_t)l->hidden;

	return graph_const(l->r->g, v->name, type_make(DT_F32, 2, shape),
	                   (const float *)v->data + row * (size_t)columns);
}

/* The biases of one gate: of w, of r, or their sum. */
static Value *
bias_of(Recurrent *l, int gate, bool of_w, bool of_r)
{
	const float *b = has_input(l->n, IN_BIAS) ? l->n->in[IN_BIAS]->data : NULL;
	float *sum = ARENA_ARRAY(l->r->g->arena, float, l->hidden);
	size_t rows = (size_t)l->gates * (size_t)l->hidden;
	size_t at = 2 * rows * (size_t)l->dir + (size_t)gate * (size_t)l->hidden;

	for (int32_t i = 0; i < l->hidden && b; i++)
		sum[i] = (of_w ? b[at + (size_t)i] : 0) + (of_r ? b[at + rows + (size_t)i] : 0);
	return graph_const(l->r->g, b ? l->n->in[IN_BIAS]->name : NULL,
	                   type_make(DT_F32, 1, &l->hidden), sum);
}

/* What a state of the direction starts with, [batch, hidden]. */
static Value *
initial_state(Recurrent *l, int which)
{
	int32_t shape[2] = {l->batch, l->hidden};
	Type t = type_make(DT_F32, 2, shape);

	if (has_input(l->n, which))
		return reshape(l, slice(l, l->n->in[which], l->dir, 1, 1), 2, shape);
	return graph_const(l->r->g, NULL, t, arena_alloc(l->r->g->arena, type_bytes(&t)));
}

/* x w' + b */
static Value *
product(Recurrent *l, Value *x, Value *w, Value *b)
{
	Value *in[] = {x, w, b};
	Node *n = insert(l, OP_GEMM, 3, in);

	((Attr_GEMM *)n->attr)->trans_b = true;
	return rewrite_infer(l->r, n);
}

/* ---- LSTM ---- */

/* Gates as sequence_lstm has them, i f c o, among ONNX's i o f c. */
static Result
make_lstm(Recurrent *l)
{
	static const int gate[] = {0, 2, 3, 1};
	int32_t y[4] = {l->steps, 1, l->batch, l->hidden}, state[3] = {1, l->batch, l->hidden};
	Value *in[15] = {backwards(l, l->n->in[IN_X])};
	Node *n;
	Result out;
	bool fits;

	for (int g = 0; g < 4; g++) {
		in[1 + g] = weights_of(l, IN_W, gate[g]);
		in[5 + g] = weights_of(l, IN_R, gate[g]);
		in[9 + g] = bias_of(l, gate[g], true, true);
	}
	in[13] = initial_state(l, IN_H);
	in[14] = initial_state(l, IN_C);
	n = graph_insert(l->r->g, l->n, OP_SEQUENCE_LSTM, 15, in, 3, NULL);
	n->name = l->n->name;
	n->loc = l->n->loc;
	((Attr_SEQUENCE_LSTM *)n->attr)->time_major = true;
	fits = node_infer(n, l->r->cx->diag);
	assert(fits);
	(void)fits;
	out.y = backwards(l, reshape(l, n->out[0], 4, y));
	out.h = reshape(l, n->out[1], 3, state);
	out.c = reshape(l, n->out[2], 3, state);
	return out;
}

/* ---- GRU and RNN ---- */

/* What the inputs give to the gates, for all steps at once: [steps * batch, hidden] each. */
static void
input_products(Recurrent *l, Value *part[MOST_GATES])
{
	int32_t flat[2] = {l->steps * l->batch, l->inputs};
	Value *x = reshape(l, l->n->in[IN_X], 2, flat);

	for (int g = 0; g < l->gates; g++) {
		Value *w = weights_of(l, IN_W, g), *b = bias_of(l, g, true, false);

		part[g] = product(l, x, w, b);
	}
}

static Value *
part_of_step(Recurrent *l, Value *part, int32_t step)
{
	return slice(l, part, step * l->batch, l->batch, 1);
}

static Value *
state_product(Recurrent *l, Value *h, int gate)
{
	Value *r = weights_of(l, IN_R, gate), *b = bias_of(l, gate, false, true);

	return product(l, h, r, b);
}

static Op
function(const Recurrent *l, int i)
{
	int each = l->n->op == OP_GRU ? 2 : 1;

	return activation(l->activations, l->dir * each + i);
}

/* Part of the inputs plus part of the state.  Nodes are made in one order, whatever a
 * compiler makes of arguments. */
static Value *
sum_of_gate(Recurrent *l, Value *part, int gate, int32_t step, Value *h)
{
	Value *x = part_of_step(l, part, step), *y = state_product(l, h, gate);

	return apply2(l, OP_ADD, x, y);
}

/* Gates z, r, h: h' = (1 - z) * g + z * h, written g + z * (h - g). */
static Value *
gru_step(Recurrent *l, Value *const part[MOST_GATES], int32_t step, Value *h)
{
	Value *gate[2], *g, *x = part_of_step(l, part[2], step);

	for (int i = 0; i < 2; i++)
		gate[i] = apply(l, function(l, 0), sum_of_gate(l, part[i], i, step, h));
	if (l->linear_before_reset)
		g = apply2(l, OP_MUL, gate[1], state_product(l, h, 2));
	else
		g = state_product(l, apply2(l, OP_MUL, gate[1], h), 2);
	g = apply(l, function(l, 1), apply2(l, OP_ADD, x, g));
	return apply2(l, OP_ADD, g, apply2(l, OP_MUL, gate[0], apply2(l, OP_SUB, h, g)));
}

static Value *
rnn_step(Recurrent *l, Value *const part[MOST_GATES], int32_t step, Value *h)
{
	return apply(l, function(l, 0), sum_of_gate(l, part[0], 0, step, h));
}

static Result
make_steps(Recurrent *l)
{
	int32_t y[4] = {1, 1, l->batch, l->hidden}, state[3] = {1, l->batch, l->hidden};
	Value **all = ARENA_ARRAY(l->r->cx->scratch, Value *, l->steps);
	Value *part[MOST_GATES], *h = initial_state(l, IN_H);

	input_products(l, part);
	for (int32_t i = 0; i < l->steps; i++) {
		int32_t step = l->reverse ? l->steps - 1 - i : i;

		h = l->n->op == OP_GRU ? gru_step(l, part, step, h) : rnn_step(l, part, step, h);
		all[step] = reshape(l, h, 4, y);
	}
	return (Result){.y = concat(l, l->steps, all, 0), .h = reshape(l, h, 3, state)};
}

/* ---- The pass ---- */

static Recurrent
read_layer(Rewrite *r, Node *n)
{
	const Type *x = &n->in[IN_X]->type;

	return (Recurrent){
		.r = r,
		.n = n,
		.gates = n->op == OP_LSTM ? 4 : n->op == OP_GRU ? 3 : 1,
		.steps = x->dim[0],
		.batch = x->dim[1],
		.inputs = x->dim[2],
		.hidden = n->in[IN_R]->type.dim[2],
		.dirs = direction_of(n) == DIRECTION_bidirectional ? 2 : 1,
		.activations = activations_of(n),
		.linear_before_reset = n->op == OP_GRU &&
		                       ((const Attr_GRU *)n->attr)->linear_before_reset,
	};
}

static void
rewrite_layer(Rewrite *r, Node *n)
{
	Recurrent l = read_layer(r, n);
	Value *y[2], *h[2], *c[2], *out[3];

	for (l.dir = 0; l.dir < l.dirs; l.dir++) {
		Result one;

		l.reverse = direction_of(n) == DIRECTION_reverse || l.dir == 1;
		one = n->op == OP_LSTM ? make_lstm(&l) : make_steps(&l);
		y[l.dir] = one.y;
		h[l.dir] = one.h;
		c[l.dir] = one.c;
	}
	out[0] = concat(&l, l.dirs, y, 1);
	out[1] = concat(&l, l.dirs, h, 0);
	out[2] = c[0] ? concat(&l, l.dirs, c, 0) : NULL;
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i])
			rewrite_value(r, n->out[i], out[i]);
	VEC_PUSH(r->cx->scratch, &r->dead, n);
	r->cx->changed++;
}

bool
pass_recurrent(Graph *g, PassCtx *cx)
{
	Rewrite r = rewrite_begin(g, cx);

	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		rewrite_inputs(&r, n);
		if ((n->op == OP_LSTM || n->op == OP_GRU || n->op == OP_RNN) && is_rewritten(n))
			rewrite_layer(&r, n);
	}
	rewrite_end(&r);
	return true;
}
