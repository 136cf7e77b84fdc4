/*
 * Multiply-accumulates of an operator, counted as the field does: from the
 * formula, padding included, without what activations and normalisations take.
 */
#include "ir/ops/lstm.h"

/* Each output element is a sum over the weights of its channel. */
static int64_t
conv_macs(const Node *n)
{
	const Type *w = &n->in[1]->type;

	return (int64_t)type_numel(&n->out[0]->type) * type_product(w, 1, w->rank);
}

static int64_t
conv_transpose_macs(const Node *n)
{
	const Type *x = &n->in[0]->type;
	int32_t channels = x->dim[node_layout(n) == LAYOUT_nhwc ? x->rank - 1 : 1];
	int64_t weights = type_numel(&n->in[1]->type);

	return channels == 0 ? 0 : type_numel(x) / channels * weights;
}

static int64_t
gemm_macs(const Node *n)
{
	const Attr_GEMM *a = n->attr;
	const Type *t = &n->in[0]->type;

	return (int64_t)type_numel(&n->out[0]->type) * t->dim[a->trans_a ? 0 : 1];
}

static int64_t
matmul_macs(const Node *n)
{
	const Type *t = &n->in[0]->type;

	return (int64_t)type_numel(&n->out[0]->type) * t->dim[t->rank - 1];
}

/* All labels together span the multiplications. */
static int64_t
einsum_macs(const Node *n)
{
	const char *c = ((const Attr_EINSUM *)n->attr)->equation;
	bool seen[128] = {false};
	int64_t product = 1;
	int input = 0, axis = 0;

	for (; *c && *c != '-'; c++) {
		const Type *t = input < n->nins ? &n->in[input]->type : NULL;

		if (*c == ',') {
			input++;
			axis = 0;
			continue;
		}
		if (*c == ' ' || !t || axis >= t->rank)
			continue;
		if ((unsigned char)*c < 128 && !seen[(unsigned char)*c]) {
			seen[(unsigned char)*c] = true;
			product *= t->dim[axis];
		}
		axis++;
	}
	return product;
}

/* Every time step multiplies each batch row by both weight matrices. */
static int64_t
recurrent_macs(const Node *n)
{
	const Type *x = &n->in[0]->type, *w = &n->in[1]->type, *r = &n->in[2]->type;
	int64_t weights = (int64_t)type_numel(w) + type_numel(r);

	return weights * x->dim[0] * x->dim[1];
}

/* The same with weights for each gate. */
static int64_t
sequence_lstm_macs(const Node *n)
{
	int64_t weights = (int64_t)type_numel(&n->in[LSTM_W]->type) +
	                  type_numel(&n->in[LSTM_R]->type);

	return GATES * weights * lstm_batches(n) * lstm_steps(n);
}

/* Every feature of a batch row is computed from its inputs, then from what is remembered. */
static int64_t
svdf_macs(const Node *n)
{
	const Value *w = n->in[1], *time = n->in[2];
	int64_t weights = (w ? (int64_t)type_numel(&w->type) : 0) + type_numel(&time->type);

	return weights * n->in[0]->type.dim[0];
}

int64_t
node_macs(const Node *n)
{
	switch ((int)n->op) {
	case OP_CONV: return conv_macs(n);
	case OP_CONV_TRANSPOSE: return conv_transpose_macs(n);
	case OP_GEMM: return gemm_macs(n);
	case OP_MATMUL: return matmul_macs(n);
	case OP_EINSUM: return einsum_macs(n);
	case OP_LSTM:
	case OP_GRU:
	case OP_RNN: return recurrent_macs(n);
	case OP_SEQUENCE_LSTM: return sequence_lstm_macs(n);
	case OP_SVDF: return svdf_macs(n);
	default: return 0;
	}
}
