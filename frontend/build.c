#include "frontend/build.h"

#include <string.h>

#include "ir/num.h"

Node *
build_node(Builder *b, Op op, int nins, Value *const *in)
{
	Node *n;

	for (int i = 0; i < nins && i < op_info[op].inputs_min; i++)
		if (!in[i])
			return NULL;
	n = graph_add(b->g, op, nins, in, NULL);
	n->loc = b->loc;
	n->name = b->name;
	return n;
}

Value *
build_finish(Builder *b, Node *n)
{
	return n && node_infer(n, b->d) ? n->out[0] : NULL;
}

Value *
build_unary(Builder *b, Op op, Value *x)
{
	return build_finish(b, build_node(b, op, 1, &x));
}

Value *
build_binary(Builder *b, Op op, Value *x, Value *y)
{
	return build_finish(b, build_node(b, op, 2, (Value *[]){x, y}));
}

Value *
build_with(Builder *b, Op op, Value *x, double y)
{
	return x ? build_binary(b, op, x, build_scalar(b, x->type.dtype, y)) : NULL;
}

Value *
build_where(Builder *b, Value *condition, Value *x, Value *y)
{
	return build_finish(b, build_node(b, OP_WHERE, 3, (Value *[]){condition, x, y}));
}

Value *
build_cast(Builder *b, Value *x, DType to)
{
	Node *n = build_node(b, OP_CAST, 1, &x);

	if (n)
		((Attr_CAST *)n->attr)->to = to;
	return build_finish(b, n);
}

Value *
build_softmax(Builder *b, Value *x, int axis)
{
	Node *n = build_node(b, OP_SOFTMAX, 1, &x);

	if (n)
		((Attr_SOFTMAX *)n->attr)->axis = axis;
	return build_finish(b, n);
}

Value *
build_arg_max(Builder *b, Value *x, int axis)
{
	Node *n = build_node(b, OP_ARG_MAX, 1, &x);

	if (n)
		*(Attr_ARG_MAX *)n->attr = (Attr_ARG_MAX){.axis = axis, .keepdims = false};
	return build_finish(b, n);
}

Value *
build_reshape(Builder *b, Value *x, int rank, const int32_t *dim)
{
	Node *n = build_node(b, OP_RESHAPE, 1, &x);
	int64_t *shape = ARENA_ARRAY(b->g->arena, int64_t, rank);

	for (int i = 0; i < rank; i++)
		shape[i] = dim[i];
	if (n)
		((Attr_RESHAPE *)n->attr)->shape = (Ints){rank, shape};
	return build_finish(b, n);
}

Value *
build_concat(Builder *b, int n, Value *const *x, int axis)
{
	Node *k;

	for (int i = 0; i < n; i++)
		if (!x[i])
			return NULL;
	k = build_node(b, OP_CONCAT, n, x);
	if (k)
		((Attr_CONCAT *)k->attr)->axis = axis;
	return build_finish(b, k);
}

static Ints
ints(Builder *b, int n, const int64_t *v)
{
	return (Ints){n, arena_copy(b->g->arena, v, (size_t)n * sizeof *v)};
}

Value *
build_columns(Builder *b, Value *x, int32_t from, int32_t count)
{
	Node *n = build_node(b, OP_SLICE, 1, &x);

	if (n)
		*(Attr_SLICE *)n->attr =
			(Attr_SLICE){.starts = ints(b, 2, (int64_t[]){0, from}),
		                     .sizes = ints(b, 2, (int64_t[]){x->type.dim[0], count}),
		                     .steps = ints(b, 2, (int64_t[]){1, 1})};
	return build_finish(b, n);
}

Value *
build_reduce_sum(Builder *b, Value *x, int axis)
{
	Node *n = build_node(b, OP_REDUCE_SUM, 1, &x);

	if (n)
		*(Attr_REDUCE_SUM *)n->attr =
			(Attr_REDUCE_SUM){.axes = ints(b, 1, (int64_t[]){axis}), .keepdims = false};
	return build_finish(b, n);
}

Value *
build_cum_sum(Builder *b, Value *x, int axis)
{
	Node *n = build_node(b, OP_CUM_SUM, 1, &x);

	if (n)
		((Attr_CUM_SUM *)n->attr)->axis = axis;
	return build_finish(b, n);
}

Value *
build_linear(Builder *b, Value *x, Value *weights, Value *bias)
{
	Node *n = build_node(b, OP_GEMM, bias ? 3 : 2, (Value *[]){x, weights, bias});

	if (n)
		((Attr_GEMM *)n->attr)->trans_b = true;
	return build_finish(b, n);
}

static Value *
constant(Builder *b, Type type, const double *v)
{
	void *data;

	if (!type_is_representable(&type)) {
		diag_report(b->d, &b->loc, E_SIZE, "a constant of this size is too large");
		return NULL;
	}
	data = arena_alloc(b->g->arena, type_bytes(&type));
	for (int32_t i = 0; i < type_numel(&type); i++)
		num_store(type.dtype, data, (size_t)i, v[i]);
	return graph_const(b->g, NULL, type, data);
}

Value *
build_scalar(Builder *b, DType t, double v)
{
	return constant(b, type_scalar(t), &v);
}

Value *
build_vector(Builder *b, DType t, int32_t n, const double *v)
{
	return constant(b, type_make(t, 1, &n), v);
}

Value *
build_matrix(Builder *b, DType t, int32_t rows, int32_t columns, const double *v)
{
	return constant(b, type_make(t, 2, (int32_t[]){rows, columns}), v);
}

Value *
build_rows(Builder *b, const FrontendOptions *o, const char *name, DType t, int32_t features)
{
	int32_t dim[2] = {1, features};
	Type type;

	for (int i = 0; i < o->nshapes; i++) {
		const InputShape *s = &o->shapes[i];

		if (strcmp(s->input, name) != 0) {
			diag_report(b->d, &b->loc, E_NAME,
			            "-finput-shape: the model has no input '%s', but '%s'", s->input,
			            name);
			return NULL;
		}
		if (s->rank != 2 || s->dim[1] != features) {
			diag_report(b->d, &b->loc, E_SHAPE,
			            "-finput-shape: '%s' has rows of %d features", name, features);
			return NULL;
		}
		dim[0] = s->dim[0];
	}
	for (int i = 0; i < o->ndims; i++)
		diag_report(b->d, &b->loc, W_UNUSED, "-D: no input has a dimension '%s'",
		            o->dims[i].name);
	type = type_make(t, 2, dim);
	if (!type_is_representable(&type)) {
		diag_report(b->d, &b->loc, E_SIZE, "the input is larger than 2 GiB");
		return NULL;
	}
	return graph_input(b->g, name, type);
}

void
build_name_row(Builder *b, const char *const *name)
{
	Graph *g = b->g;
	const Type *x = &g->inputs.v[0]->type, *y = &g->outputs.v[0]->type;
	int32_t results = type_numel(y);

	if (x->dim[0] != 1 || g->input_fields.n)
		return;
	for (int32_t i = 0; i < x->dim[1]; i++) {
		Field f = {.name = name[i], .element = i, .missing = true};

		VEC_PUSH(g->arena, &g->input_fields, f);
	}
	for (int32_t i = 0; i < results; i++) {
		const char *output = g->output_names.v[0];
		Field f = {.name = results == 1 ? output
		                                : arena_printf(g->arena, "%s_%d", output, (int)i),
		           .element = i};

		VEC_PUSH(g->arena, &g->output_fields, f);
	}
}
