/*
 * LSTM, GRU and RNN.
 */
#include <math.h>

#include "frontend/onnx/read.h"

static const char *const directions[] = {"forward", "reverse", "bidirectional", NULL};

/* Swaps time and batch when the file has batch first. */
static Value *
batch_second(ONode *n, Value *v, bool batch_first)
{
	static const int64_t swapped[] = {1, 0, 2};

	if (!v || !batch_first)
		return v;
	if (v->type.rank != 3) {
		onnx_error(n, E_SHAPE, "'%s' has type %s; three axes are needed", v->name,
		           type_text(n->r->arena, &v->type));
		return NULL;
	}
	return onnx_transpose(n, v, onnx_list(n, 3, swapped));
}

/* The inputs in the layout of the IR: x, and the initial states from input 5 on. */
static bool
arrange_inputs(ONode *n, bool batch_first, Value **in)
{
	for (int i = 0; i < n->nins; i++) {
		bool moves = i == 0 || i == 5 || i == 6;

		in[i] = moves ? batch_second(n, n->in[i], batch_first) : n->in[i];
	}
	if (in[0] && n->nins > 4 && in[4])
		in[4] = onnx_cast(n, in[4], DT_I32);
	return !n->failed;
}

static bool
finish(ONode *n, Node *k, bool batch_first)
{
	static const int64_t sequence[] = {2, 0, 1, 3}; /* [T, D, B, H] to [B, T, D, H] */
	Value *out[3] = {NULL};

	for (int i = 0; k && i < k->nouts; i++) {
		if (!onnx_wants(n, i)) {
			k->out[i]->def = NULL;
			k->out[i] = NULL;
		}
	}
	if (!onnx_finish_all(n, k, out))
		return false;
	for (int i = 0; i < n->nouts; i++) {
		if (!out[i] || !batch_first)
			n->out[i] = out[i];
		else if (i == 0)
			n->out[i] = onnx_transpose(n, out[i], onnx_list(n, 4, sequence));
		else
			n->out[i] = batch_second(n, out[i], true);
	}
	return !n->failed;
}

/* The attribute says what the weights tell already. */
static void
check_hidden_size(ONode *n)
{
	const Value *weights = n->nins > 2 ? n->in[2] : NULL;
	int64_t size = onnx_int(n, "hidden_size", 0);

	if (onnx_has(n, "hidden_size") && weights && weights->type.rank == 3 &&
	    size != weights->type.dim[2])
		onnx_error(n, E_SHAPE, "hidden_size is %lld, but the recurrence weights are for %d",
		           (long long)size, (int)weights->type.dim[2]);
}

/* What all three have in common: the node with its inputs. */
static Node *
recurrent(ONode *n, bool *batch_first)
{
	Value *in[8] = {NULL};

	*batch_first = onnx_flag(n, "layout", false);
	check_hidden_size(n);
	onnx_ignore(n, "output_sequence");
	if (n->failed || !arrange_inputs(n, *batch_first, in))
		return NULL;
	return onnx_node(n, n->info->op, n->nins, in, n->nouts);
}

static Direction
read_direction(ONode *n)
{
	return (Direction)onnx_word(n, "direction", directions, 0);
}

static void
read_activations(ONode *n, const char **names, Floats *alpha, Floats *beta)
{
	if (onnx_has(n, "activations"))
		*names = onnx_strs(n, "activations");
	*alpha = onnx_floats(n, "activation_alpha");
	*beta = onnx_floats(n, "activation_beta");
}

bool
onnx_read_lstm(ONode *n)
{
	bool batch_first;
	Node *k = recurrent(n, &batch_first);
	Attr_LSTM *a = k ? k->attr : NULL;

	if (a) {
		a->direction = read_direction(n);
		read_activations(n, &a->activations, &a->alpha, &a->beta);
		a->clip = onnx_float(n, "clip", HUGE_VAL);
		a->input_forget = onnx_flag(n, "input_forget", false);
	}
	return finish(n, k, batch_first);
}

bool
onnx_read_gru(ONode *n)
{
	bool batch_first;
	Node *k = recurrent(n, &batch_first);
	Attr_GRU *a = k ? k->attr : NULL;

	if (a) {
		a->direction = read_direction(n);
		read_activations(n, &a->activations, &a->alpha, &a->beta);
		a->clip = onnx_float(n, "clip", HUGE_VAL);
		a->linear_before_reset = onnx_flag(n, "linear_before_reset", false);
	}
	return finish(n, k, batch_first);
}

bool
onnx_read_rnn(ONode *n)
{
	bool batch_first;
	Node *k = recurrent(n, &batch_first);
	Attr_RNN *a = k ? k->attr : NULL;

	if (a) {
		a->direction = read_direction(n);
		read_activations(n, &a->activations, &a->alpha, &a->beta);
		a->clip = onnx_float(n, "clip", HUGE_VAL);
	}
	return finish(n, k, batch_first);
}
