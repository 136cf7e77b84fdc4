#include "frontend/onnx/ml.h"

#include "ir/num.h"

PostTransform
ml_post_attr(ONode *n)
{
	static const char *const words[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT",
	                                    NULL};

	return (PostTransform)onnx_word(n, "post_transform", words, POST_NONE);
}

/* Softmax that leaves zeros out: they become 0 and do not count. */
static Value *
softmax_zero(ONode *n, Value *x)
{
	Ints axis = onnx_range(n, 1, 2);
	Value *most = onnx_reduce(n, OP_REDUCE_MAX, x, axis, true);
	Value *e = onnx_binary(n, OP_SUB, x, most);
	Value *zero = onnx_with(n, OP_LESS_EQUAL, onnx_unary(n, OP_ABS, x), (double)0.0000001f);
	Value *small, *sum;

	e = onnx_unary(n, OP_EXP, e);
	small = onnx_binary(n, OP_MUL, x, onnx_unary(n, OP_EXP, onnx_unary(n, OP_NEG, most)));
	sum = onnx_where(n, zero, onnx_scalar(n, x->type.dtype, 0), e);
	sum = onnx_reduce(n, OP_REDUCE_SUM, sum, axis, true);
	return onnx_binary(n, OP_DIV, onnx_where(n, zero, small, e), sum);
}

/* sqrt(2) erfinv(2x - 1), by the formula with one logarithm that ONNX Runtime has. */
static Value *
probit(ONode *n, Value *x)
{
	Value *t = onnx_with(n, OP_ADD, onnx_with(n, OP_MUL, x, 2), -1);
	Value *sign = onnx_with(n, OP_LESS, t, 0);
	Value *low = onnx_with(n, OP_ADD, onnx_unary(n, OP_NEG, t), 1), *log, *v, *square;

	log = onnx_binary(n, OP_MUL, low, onnx_with(n, OP_ADD, t, 1));
	log = onnx_unary(n, OP_LOG, log);
	v = onnx_with(n, OP_ADD, onnx_with(n, OP_MUL, log, 0.5), (double)(2 / (3.14159f * 0.147f)));
	square = onnx_binary(n, OP_MUL, v, v);
	square = onnx_binary(n, OP_SUB, square, onnx_with(n, OP_MUL, log, (double)(1 / 0.147f)));
	v = onnx_binary(n, OP_SUB, onnx_unary(n, OP_SQRT, square), v);
	v = onnx_unary(n, OP_SQRT, v);
	v = onnx_where(n, sign, onnx_unary(n, OP_NEG, v), v);
	return onnx_with(n, OP_MUL, v, (double)1.41421356f);
}

Value *
ml_post(ONode *n, Value *scores, PostTransform how)
{
	if (!scores)
		return NULL;
	switch (how) {
	case POST_NONE: return scores;
	case POST_SOFTMAX: return onnx_softmax(n, OP_SOFTMAX, scores, 1);
	case POST_LOGISTIC: return onnx_unary(n, OP_SIGMOID, scores);
	case POST_SOFTMAX_ZERO: return softmax_zero(n, scores);
	case POST_PROBIT: return probit(n, scores);
	}
	return NULL;
}

Value *
ml_rows(ONode *n, DType t)
{
	Value *x = n->in[0];

	if (x->type.rank != 1 && x->type.rank != 2) {
		onnx_error_in(n, 0, E_SHAPE, "'%s' has type %s; rows of features are needed",
		              x->name, type_text(n->r->arena, &x->type));
		return NULL;
	}
	if (x->type.rank == 1)
		x = onnx_unsqueeze(n, x, 0);
	return x && x->type.dtype != t ? onnx_cast(n, x, t) : x;
}

Floats
ml_ints(ONode *n, const char *name)
{
	Ints v = onnx_ints(n, name);
	double *f = ARENA_ARRAY(n->r->arena, double, v.n);

	for (int i = 0; i < v.n; i++)
		f[i] = (double)v.v[i];
	return (Floats){v.n, f};
}

static Value *
numbers(ONode *n, Type type, const double *v)
{
	void *data = onnx_const_data(n, type);

	if (!data)
		return NULL;
	for (int32_t i = 0; i < type_numel(&type); i++)
		num_store(type.dtype, data, (size_t)i, v[i]);
	return onnx_const(n, type, data);
}

Value *
ml_matrix(ONode *n, DType t, int rows, int columns, const double *v)
{
	return numbers(n, type_make(t, 2, (int32_t[]){rows, columns}), v);
}

Value *
ml_vector(ONode *n, DType t, int columns, const double *v)
{
	return numbers(n, type_make(t, 1, (int32_t[]){columns}), v);
}

Value *
ml_columns(ONode *n, Value *rows, int from, int count)
{
	return rows ? onnx_slice(n, rows, 1, from, count, 1) : NULL;
}

/* ---- Labels ---- */

bool
ml_labels(ONode *n, const char *numbers_attr, const char *names_attr, Labels *out)
{
	Ints number = onnx_ints(n, numbers_attr);
	int count = 0;
	const ProtobufCBinaryData *name = onnx_strings(n, names_attr, &count);

	if (n->failed)
		return false;
	*out = (Labels){number.n, number.v};
	if (name && count > 0) {
		const char **label = ARENA_ARRAY(n->r->arena, const char *, count);

		for (int i = 0; i < count; i++)
			label[i] = arena_strndup(n->r->arena, (const char *)name[i].data,
			                         name[i].len);
		n->nlabels = count;
		n->label = label;
		*out = (Labels){count, NULL};
	}
	return out->n > 0 || onnx_error(n, E_ATTRIBUTE, "'%s' has no labels", n->info->name);
}

Value *
ml_label(ONode *n, const Labels *labels, Value *number)
{
	bool same = true;

	for (int i = 0; labels->number && i < labels->n; i++)
		same = same && labels->number[i] == i;
	if (same || !number)
		return number;
	return onnx_gather(n, onnx_int64s(n, (Ints){labels->n, labels->number}), number, 0);
}

Value *
ml_best_label(ONode *n, const Labels *labels, Value *scores)
{
	Node *k = scores ? onnx_node(n, OP_ARG_MAX, 1, &scores, 1) : NULL;

	if (k)
		*(Attr_ARG_MAX *)k->attr = (Attr_ARG_MAX){.axis = 1, .keepdims = false};
	return ml_label(n, labels, k ? onnx_finish(n, k) : NULL);
}

Value *
ml_choose_label(ONode *n, Value *condition, int64_t yes, int64_t no)
{
	Value *a = onnx_int64s(n, (Ints){1, &yes}), *b = onnx_int64s(n, (Ints){1, &no});

	return condition ? onnx_where(n, condition, a, b) : NULL;
}
