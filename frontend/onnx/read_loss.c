/*
 * Losses and optimisers of training, as compositions.
 */
#include "frontend/onnx/read.h"

/* ---- Losses ---- */

typedef enum { LOSS_NONE, LOSS_SUM, LOSS_MEAN } LossReduction;

static Value *
sum_all(ONode *n, Value *x)
{
	return x ? onnx_reduce(n, OP_REDUCE_SUM, x, onnx_range(n, 0, x->type.rank), false) : NULL;
}

/*
 * The weight of each target: weight[target], or 1; 0 where the target is to be
 * ignored.  NULL when all are 1.  *target becomes a valid index everywhere.
 */
static Value *
loss_weights(ONode *n, Value **target, Value *weight, DType t)
{
	Value *ignored = NULL, *w = NULL;

	if (onnx_has(n, "ignore_index")) {
		double index = (double)onnx_int(n, "ignore_index", 0);

		ignored = onnx_with(n, OP_EQUAL, onnx_cast(n, *target, DT_I64), index);
		*target = onnx_where(n, ignored, onnx_scalar(n, (*target)->type.dtype, 0), *target);
	}
	if (weight)
		w = onnx_gather(n, weight, *target, 0);
	if (ignored) {
		Value *zero = onnx_scalar(n, t, 0);

		w = onnx_where(n, ignored, zero, w ? w : onnx_scalar(n, t, 1));
	}
	return w;
}

/* -x[target] * weight over the classes in axis 1, reduced. */
static Value *
nll_loss(ONode *n, Value *x, Value *target, Value *weight)
{
	static const char *const words[] = {"none", "sum", "mean", NULL};
	LossReduction reduction = (LossReduction)onnx_word(n, "reduction", words, LOSS_MEAN);
	Value *w, *loss;
	Node *k;

	if (n->failed || !x)
		return NULL;
	if (x->type.rank < 2 || target->type.rank != x->type.rank - 1) {
		onnx_error(n, E_SHAPE, "scores %s and targets %s do not fit",
		           type_text(n->r->arena, &x->type), type_text(n->r->arena, &target->type));
		return NULL;
	}
	w = loss_weights(n, &target, weight, x->type.dtype);
	target = onnx_unsqueeze(n, target, 1);
	if (!target)
		return NULL;
	k = onnx_node(n, OP_GATHER_ELEMENTS, 2, (Value *[]){x, target}, 1);
	if (k)
		((Attr_GATHER_ELEMENTS *)k->attr)->axis = 1;
	loss = onnx_unary(n, OP_NEG, onnx_squeeze(n, onnx_finish(n, k), 1));
	if (w)
		loss = onnx_binary(n, OP_MUL, loss, w);
	switch (reduction) {
	case LOSS_NONE: break;
	case LOSS_SUM: return sum_all(n, loss);
	case LOSS_MEAN:
		if (w) {
			loss = sum_all(n, loss);
			return onnx_binary(n, OP_DIV, loss, sum_all(n, w));
		}
		return loss ? onnx_reduce(n, OP_REDUCE_MEAN, loss,
		                          onnx_range(n, 0, loss->type.rank), false)
		            : NULL;
	}
	return loss;
}

bool
onnx_read_nll_loss(ONode *n)
{
	return onnx_result(n, nll_loss(n, n->in[0], n->in[1], onnx_in(n, 2)));
}

bool
onnx_read_softmax_loss(ONode *n)
{
	Value *log_prob;

	if (n->in[0]->type.rank < 2)
		return onnx_error_in(n, 0, E_SHAPE, "'%s' has no axis of classes", n->in[0]->name);
	log_prob = onnx_softmax(n, OP_LOG_SOFTMAX, n->in[0], 1);
	if (onnx_wants(n, 1))
		n->out[1] = log_prob;
	return onnx_result(n, nll_loss(n, log_prob, n->in[1], onnx_in(n, 2)));
}

/* ---- Optimisers: rate, step count, then `kinds` lists of tensors ---- */

/* The number of tensors that are optimised at once, 0 after an error. */
static int
optimised(ONode *n, int kinds, int results)
{
	int count = (n->nins - 2) / kinds;

	if (count < 1 || n->nins != 2 + kinds * count || n->nouts != results * count) {
		onnx_error(n, E_ARITY, "'%s' cannot have %d inputs and %d outputs", n->info->name,
		           n->nins, n->nouts);
		return 0;
	}
	for (int i = 2; i < n->nins; i++) {
		if (!n->in[i]) {
			onnx_error(n, E_ARITY, "input %d of '%s' is missing", i, n->info->name);
			return 0;
		}
	}
	return count;
}

static Value *
mul(ONode *n, Value *x, Value *y)
{
	return onnx_binary(n, OP_MUL, x, y);
}

/* a * x + y */
static Value *
scaled_sum(ONode *n, double a, Value *x, Value *y)
{
	return onnx_binary(n, OP_ADD, onnx_with(n, OP_MUL, x, a), y);
}

/* Whether the step count, in the rate's type, is positive. */
static Value *
is_later_step(ONode *n, Value *steps)
{
	return onnx_with(n, OP_GREATER, steps, 0);
}

bool
onnx_read_adagrad(ONode *n)
{
	double norm = onnx_float(n, "norm_coefficient", 0), epsilon = onnx_float(n, "epsilon", (double)1e-6f);
	double decay = onnx_float(n, "decay_factor", 0);
	int count = optimised(n, 3, 2);
	Value *rate = n->in[0], *steps = onnx_cast(n, n->in[1], rate->type.dtype);

	if (!count)
		return false;
	rate = onnx_binary(n, OP_DIV, rate,
	                   onnx_with(n, OP_ADD, onnx_with(n, OP_MUL, steps, decay), 1));
	for (int i = 0; i < count; i++) {
		Value *x = n->in[2 + i], *h = n->in[2 + 2 * count + i];
		Value *g = scaled_sum(n, norm, x, n->in[2 + count + i]), *root;

		h = onnx_binary(n, OP_ADD, h, mul(n, g, g));
		root = onnx_with(n, OP_ADD, onnx_unary(n, OP_SQRT, h), epsilon);
		g = onnx_binary(n, OP_DIV, mul(n, rate, g), root);
		n->out[i] = onnx_binary(n, OP_SUB, x, g);
		n->out[count + i] = h;
	}
	return !n->failed;
}

/* rate * sqrt(1 - beta^steps) / (1 - alpha^steps), from the first step on */
static Value *
adam_rate(ONode *n, Value *rate, double alpha, double beta)
{
	DType t = rate->type.dtype;
	Value *steps = onnx_cast(n, n->in[1], t), *a, *b, *one = onnx_scalar(n, t, 1);

	a = onnx_binary(n, OP_SUB, one, onnx_binary(n, OP_POW, onnx_scalar(n, t, alpha), steps));
	b = onnx_binary(n, OP_SUB, one, onnx_binary(n, OP_POW, onnx_scalar(n, t, beta), steps));
	b = onnx_binary(n, OP_DIV, mul(n, rate, onnx_unary(n, OP_SQRT, b)), a);
	return onnx_where(n, is_later_step(n, steps), b, rate);
}

bool
onnx_read_adam(ONode *n)
{
	double alpha = onnx_float(n, "alpha", (double)0.9f);
	double beta = onnx_float(n, "beta", (double)0.999f);
	double norm = onnx_float(n, "norm_coefficient", 0), epsilon = onnx_float(n, "epsilon", (double)1e-6f);
	double post = onnx_float(n, "norm_coefficient_post", 0);
	int count = optimised(n, 4, 3);
	Value *rate;

	if (!count)
		return false;
	rate = adam_rate(n, n->in[0], alpha, beta);
	for (int i = 0; i < count; i++) {
		Value *x = n->in[2 + i], *v = n->in[2 + 2 * count + i];
		Value *h = n->in[2 + 3 * count + i], *root;
		Value *g = scaled_sum(n, norm, x, n->in[2 + count + i]);

		v = scaled_sum(n, alpha, v, onnx_with(n, OP_MUL, g, 1 - alpha));
		h = scaled_sum(n, beta, h, onnx_with(n, OP_MUL, mul(n, g, g), 1 - beta));
		root = onnx_with(n, OP_ADD, onnx_unary(n, OP_SQRT, h), epsilon);
		g = onnx_binary(n, OP_DIV, mul(n, rate, v), root);
		x = onnx_binary(n, OP_SUB, x, g);
		n->out[i] = onnx_with(n, OP_MUL, x, 1 - post);
		n->out[count + i] = v;
		n->out[2 * count + i] = h;
	}
	return !n->failed;
}

bool
onnx_read_momentum(ONode *n)
{
	static const char *const modes[] = {"standard", "nesterov", NULL};
	bool nesterov = onnx_word(n, "mode", modes, 0) == 1;
	double alpha = onnx_float(n, "alpha", 0), beta = onnx_float(n, "beta", 0);
	double norm = onnx_float(n, "norm_coefficient", 0);
	int count = optimised(n, 3, 2);
	DType t = n->in[0]->type.dtype;
	Value *factor, *later;

	if (!count)
		return false;
	later = is_later_step(n, onnx_cast(n, n->in[1], t));
	factor = onnx_scalar(n, t, beta);
	factor = onnx_where(n, later, factor, onnx_scalar(n, t, 1));
	for (int i = 0; i < count; i++) {
		Value *x = n->in[2 + i], *v = n->in[2 + 2 * count + i], *step;
		Value *g = scaled_sum(n, norm, x, n->in[2 + count + i]);

		v = scaled_sum(n, alpha, v, mul(n, factor, g));
		step = nesterov ? scaled_sum(n, alpha, v, g) : v;
		n->out[i] = onnx_binary(n, OP_SUB, x, mul(n, n->in[0], step));
		n->out[count + i] = v;
	}
	return !n->failed;
}
