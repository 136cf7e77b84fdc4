/*
 * LSTM, GRU and RNN, as cells and as sequences.
 *
 * The graph IR has ONNX's forms: time first, the gates of an LSTM in the order input,
 * output, forget, cell (here: forget, input, cell, output), and two biases that are added.
 */
#include <math.h>
#include <string.h>

#include "frontend/openvino/read.h"

enum { MAX_GATES = 4 };

/* The inputs, with directions, of all kinds. */
typedef struct {
	Value *x, *h, *c, *lengths, *w, *r, *b, *peepholes;
	int gates;
	bool cell;
} Rnn;

/* ---- Attributes ---- */

static const struct {
	const char *name, *onnx;
} activations[] = {
	{"sigmoid", "Sigmoid"},         {"tanh", "Tanh"}, {"relu", "Relu"},
	{"hardsigmoid", "HardSigmoid"}, {"elu", "Elu"},   {"softsign", "Softsign"},
};

/* One name of the list; its length is stored. */
static const char *
activation(const char *s, size_t *n)
{
	*n = strcspn(s, ", ");
	for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
		if (strlen(activations[i].name) == *n && strncmp(activations[i].name, s, *n) == 0)
			return activations[i].onnx;
	return NULL;
}

/* `otherwise` is for one direction. */
static const char *
read_activations(Layer *l, const char *otherwise, bool both)
{
	const char *s = ov_attr(l, "activations");
	Str out;

	str_init(&out, l->r->arena);
	if (!s) {
		str_puts(&out, otherwise);
		if (both)
			str_printf(&out, ",%s", otherwise);
		return out.s;
	}
	while (*s) {
		size_t n;
		const char *name = activation(s, &n);

		if (!name) {
			ov_error(l, E_UNSUPPORTED, "the activation '%.20s' is not supported", s);
			return "";
		}
		str_printf(&out, out.n ? ",%s" : "%s", name);
		s += n;
		s += strspn(s, ", ");
	}
	return out.s;
}

static Direction
read_direction(Layer *l)
{
	static const char *const words[] = {"forward", "reverse", "bidirectional",
	                                    "FORWARD", "REVERSE", "BIDIRECTIONAL", NULL};

	return (Direction)(ov_word(l, "direction", words, 0) % 3);
}

/* 0 means that nothing is clipped. */
static double
read_clip(Layer *l)
{
	double clip = ov_float(l, "clip", HUGE_VAL);

	return clip == 0 ? HUGE_VAL : clip;
}

/* ---- Inputs ---- */

static bool
check_ranks(Layer *l, const Rnn *k)
{
	int data = k->cell ? 2 : 3, vector = k->cell ? 1 : 2;

	if (k->x->type.rank == data && k->h->type.rank == data &&
	    (!k->c || k->c->type.rank == data) && k->w->type.rank == data &&
	    k->r->type.rank == data && (!k->b || k->b->type.rank == vector) &&
	    (!k->peepholes || k->peepholes->type.rank == vector))
		return true;
	return ov_error(l, E_SHAPE, "the ranks of the inputs are not those of a %s",
	                k->cell ? "cell" : "sequence");
}

/* Sequences that are all as long as the input need no lengths. */
static bool
are_full(const Value *lengths, int32_t time)
{
	if (!value_is_const(lengths) || !dtype_is_integer(lengths->type.dtype))
		return false;
	for (int32_t i = 0; i < type_numel(&lengths->type); i++)
		if (value_int(lengths, i) != time)
			return false;
	return true;
}

/* Batch and the axis before it change places. */
static Value *
swapped(Layer *l, Value *v)
{
	return v ? build_transpose(&l->b, v, 3, (int[]){1, 0, 2}) : NULL;
}

/* Adds the axes that cells lack, and puts batches second. */
static bool
arrange(Layer *l, Rnn *k)
{
	Builder *b = &l->b;
	Value **first[] = {&k->x, &k->h, &k->c, &k->w, &k->r, &k->b, &k->peepholes};

	for (size_t i = 0; k->cell && i < sizeof first / sizeof first[0]; i++)
		if (*first[i] && !(*first[i] = build_unsqueeze(b, *first[i], 0)))
			return false;
	if (k->cell)
		return true;
	k->x = swapped(l, k->x);
	k->h = swapped(l, k->h);
	k->c = swapped(l, k->c);
	if (!k->x || !k->h)
		return false;
	if (k->lengths && are_full(k->lengths, k->x->type.dim[0]))
		k->lengths = NULL;
	if (k->lengths)
		k->lengths = ov_cast(l, k->lengths, DT_I32);
	return true;
}

/* The gates of a tensor along axis 1, in another order. */
static Value *
reorder(Layer *l, Value *v, int gates, const int *order)
{
	Value *part[MAX_GATES];
	int32_t size = v ? v->type.dim[1] / gates : 0;

	if (!v)
		return NULL;
	for (int i = 0; i < gates; i++)
		part[i] = build_slice(&l->b, v, 1, (int64_t)order[i] * size, size, 1);
	return build_concat(&l->b, gates, part, 1);
}

/* Zeros behind a bias: [directions, size]. */
static Value *
extend_bias(Layer *l, Value *b, int32_t size)
{
	int64_t pads[4] = {0, 0, 0, size};

	return build_pad(&l->b, b, pads, PAD_constant, NULL);
}

/* Whether `v` has gates * hidden elements along axis 1. */
static bool
check_gates(Layer *l, const Value *v, int64_t gates, int32_t hidden, const char *what)
{
	return !v || v->type.dim[1] == gates * hidden ||
	       ov_error(l, E_SHAPE, "%s have %d elements instead of %lld", what, v->type.dim[1],
	                (long long)gates * hidden);
}

static bool
check_sizes(Layer *l, const Rnn *k, int biases)
{
	int32_t hidden = k->r->type.dim[2];
	int64_t stated = ov_int(l, "hidden_size", hidden, 0, INT32_MAX);

	if (l->failed)
		return false;
	if (stated != hidden)
		return ov_error(l, E_SHAPE, "hidden_size is %lld, but the weights are for %d",
		                (long long)stated, hidden);
	return check_gates(l, k->w, k->gates, hidden, "weights") &&
	       check_gates(l, k->r, k->gates, hidden, "recurrent weights") &&
	       check_gates(l, k->b, biases, hidden, "biases") &&
	       check_gates(l, k->peepholes, 3, hidden, "peepholes");
}

/* ---- Outputs ---- */

/* y for sequences, then the last states, of what somebody uses. */
static bool
finish(Layer *l, Node *n, bool cell)
{
	Value *out[3] = {NULL};
	int count = n ? n->nouts : 0;

	ov_drop_outputs(l, n, cell);
	if (n && cell && n->out[0]) {
		n->out[0]->def = NULL;
		n->out[0] = NULL;
	}
	if (!build_finish_all(&l->b, n, out))
		return false;
	for (int i = cell; i < count; i++) {
		Value **to = &l->out[i - cell];

		if (!out[i])
			continue;
		if (cell)
			*to = build_squeeze(&l->b, out[i], 0);
		else if (i == 0)
			*to = build_transpose(&l->b, out[0], 4, (int[]){2, 1, 0, 3});
		else
			*to = swapped(l, out[i]);
		if (!*to)
			return false;
	}
	return true;
}

/* ---- LSTM ---- */

static bool
read_lstm(Layer *l, Rnn *k)
{
	static const int order[] = {1, 3, 0, 2}; /* input, output, forget, cell */
	Direction direction = k->cell ? DIRECTION_forward : read_direction(l);
	Node *n;

	k->gates = 4;
	if (l->failed || !check_ranks(l, k) || !arrange(l, k) || !check_sizes(l, k, 4))
		return false;
	k->w = reorder(l, k->w, 4, order);
	k->r = reorder(l, k->r, 4, order);
	k->b = reorder(l, k->b, 4, order);
	if (k->b)
		k->b = extend_bias(l, k->b, k->b->type.dim[1]);
	n = build_node_outputs(&l->b, OP_LSTM, 8,
	                       (Value *[]){k->x, k->w, k->r, k->b, k->lengths, k->h, k->c,
	                                   k->peepholes},
	                       3);
	if (n) {
		Attr_LSTM *a = n->attr;

		a->direction = direction;
		a->activations = read_activations(l, "Sigmoid,Tanh,Tanh",
		                                  direction == DIRECTION_bidirectional);
		a->alpha = ov_floats(l, "activations_alpha");
		a->beta = ov_floats(l, "activations_beta");
		a->clip = read_clip(l);
		a->input_forget = ov_bool(l, "input_forget", false);
	}
	return !l->failed && finish(l, n, k->cell);
}

bool
ov_read_lstm_cell(Layer *l)
{
	Rnn k = {.x = l->in[0],
	         .h = l->in[1],
	         .c = l->in[2],
	         .w = l->in[3],
	         .r = l->in[4],
	         .b = ov_in(l, 5),
	         .peepholes = ov_in(l, 6),
	         .cell = true};
	const char *format = ov_attr(l, "weights_format");

	if (format && strcmp(format, "fico") != 0)
		return ov_error(l, E_UNSUPPORTED, "weights in the order '%.20s' are not supported",
		                format);
	return read_lstm(l, &k);
}

bool
ov_read_lstm_sequence(Layer *l)
{
	Rnn k = {.x = l->in[0],
	         .h = l->in[1],
	         .c = l->in[2],
	         .lengths = l->in[3],
	         .w = l->in[4],
	         .r = l->in[5],
	         .b = l->in[6]};

	return read_lstm(l, &k);
}

/* ---- GRU ---- */

/* With a reset that comes after the product the hidden gate has two biases. */
static Value *
gru_bias(Layer *l, Value *b, bool linear, int32_t hidden)
{
	Value *part[3];

	if (!linear)
		return extend_bias(l, b, 3 * hidden);
	part[0] = build_slice(&l->b, b, 1, 0, 3 * (int64_t)hidden, 1);
	part[2] = build_slice(&l->b, b, 1, 3 * (int64_t)hidden, hidden, 1);
	part[1] = build_with(&l->b, OP_MUL, part[2], 0);
	part[1] = part[1] ? build_concat(&l->b, 2, (Value *[]){part[1], part[1]}, 1) : NULL;
	return build_concat(&l->b, 3, part, 1);
}

static bool
read_gru(Layer *l, Rnn *k)
{
	Direction direction = k->cell ? DIRECTION_forward : read_direction(l);
	bool linear = ov_bool(l, "linear_before_reset", false);
	Node *n;

	k->gates = 3;
	if (l->failed || !check_ranks(l, k) || !arrange(l, k) ||
	    !check_sizes(l, k, linear ? 4 : 3))
		return false;
	k->b = gru_bias(l, k->b, linear, k->r->type.dim[2]);
	n = build_node_outputs(&l->b, OP_GRU, 6,
	                       (Value *[]){k->x, k->w, k->r, k->b, k->lengths, k->h}, 2);
	if (n) {
		Attr_GRU *a = n->attr;

		a->direction = direction;
		a->activations = read_activations(l, "Sigmoid,Tanh",
		                                  direction == DIRECTION_bidirectional);
		a->alpha = ov_floats(l, "activations_alpha");
		a->beta = ov_floats(l, "activations_beta");
		a->clip = read_clip(l);
		a->linear_before_reset = linear;
	}
	return !l->failed && finish(l, n, k->cell);
}

/* What GRU and RNN cells and sequences begin with. */
static Rnn
plain_inputs(const Layer *l, bool cell)
{
	int w = cell ? 2 : 3;

	return (Rnn){.x = l->in[0],
	             .h = l->in[1],
	             .lengths = cell ? NULL : l->in[2],
	             .w = l->in[w],
	             .r = l->in[w + 1],
	             .b = l->in[w + 2],
	             .cell = cell};
}

bool
ov_read_gru_cell(Layer *l)
{
	Rnn k = plain_inputs(l, true);

	return read_gru(l, &k);
}

bool
ov_read_gru_sequence(Layer *l)
{
	Rnn k = plain_inputs(l, false);

	return read_gru(l, &k);
}

/* ---- RNN ---- */

static bool
read_rnn(Layer *l, Rnn *k)
{
	Direction direction = k->cell ? DIRECTION_forward : read_direction(l);
	Node *n;

	k->gates = 1;
	if (l->failed || !check_ranks(l, k) || !arrange(l, k) || !check_sizes(l, k, 1))
		return false;
	k->b = extend_bias(l, k->b, k->b->type.dim[1]);
	n = build_node_outputs(&l->b, OP_RNN, 6,
	                       (Value *[]){k->x, k->w, k->r, k->b, k->lengths, k->h}, 2);
	if (n) {
		Attr_RNN *a = n->attr;

		a->direction = direction;
		a->activations = read_activations(l, "Tanh", direction == DIRECTION_bidirectional);
		a->alpha = ov_floats(l, "activations_alpha");
		a->beta = ov_floats(l, "activations_beta");
		a->clip = read_clip(l);
	}
	return !l->failed && finish(l, n, k->cell);
}

bool
ov_read_rnn_cell(Layer *l)
{
	Rnn k = plain_inputs(l, true);

	return read_rnn(l, &k);
}

bool
ov_read_rnn_sequence(Layer *l)
{
	Rnn k = plain_inputs(l, false);

	return read_rnn(l, &k);
}
