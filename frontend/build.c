#include "frontend/build.h"

#include <string.h>

#include "ir/num.h"

/* Whether one more node may be made; the first one too many is reported. */
static bool
may_make_node(Builder *b)
{
	if (!b->nodes_left || *b->nodes_left > 0) {
		if (b->nodes_left)
			--*b->nodes_left;
		return true;
	}
	if (*b->nodes_left == 0) {
		*b->nodes_left = -1;
		diag_report(b->d, &b->loc, E_SIZE, "the graph has too many nodes");
	}
	return false;
}

Node *
build_node_outputs(Builder *b, Op op, int nins, Value *const *in, int nouts)
{
	Node *n;

	for (int i = 0; i < nins && i < op_info[op].inputs_min; i++)
		if (!in[i])
			return NULL;
	if (!may_make_node(b))
		return NULL;
	n = graph_insert(b->g, NULL, op, nins, in, nouts, NULL);
	n->loc = b->loc;
	n->name = b->name;
	return n;
}

Node *
build_node(Builder *b, Op op, int nins, Value *const *in)
{
	return build_node_outputs(b, op, nins, in, 1);
}

/* Elements of a constant that is always worth its room. */
enum { SMALL_CONSTANT = 4096 };

/* Codes of 8 bits are the form to keep. */
bool
build_worth_storing(const Node *n)
{
	size_t in = 0, out = 0;

	if (n->op == OP_DEQUANTIZE)
		return false;
	for (int i = 0; i < n->nins; i++)
		in += n->in[i] ? type_bytes(&n->in[i]->type) : 0;
	for (int i = 0; i < n->nouts; i++)
		out += n->out[i] ? type_bytes(&n->out[i]->type) : 0;
	return out <= 2 * in || out <= 8 * SMALL_CONSTANT;
}

bool
build_finish_all(Builder *b, Node *n, Value **out)
{
	if (!n || !node_infer(n, b->d))
		return false;
	for (int i = 0; i < n->nouts; i++)
		out[i] = n->out[i];
	if (b->fold_left && build_worth_storing(n) && node_fold_within(b->g, n, b->fold_left))
		graph_remove(b->g, n);
	return true;
}

Value *
build_finish(Builder *b, Node *n)
{
	Value *out[8] = {NULL};

	return build_finish_all(b, n, out) ? out[0] : NULL;
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
build_reshape_to(Builder *b, Value *x, const Type *shape)
{
	if (!x || type_same_shape(&x->type, shape))
		return x;
	return build_reshape(b, x, shape->rank, shape->dim);
}

Value *
build_unsqueeze(Builder *b, Value *x, int axis)
{
	Type t;

	if (!x)
		return NULL;
	if (x->type.rank == MAX_RANK) {
		diag_report(b->d, &b->loc, E_SIZE, "more than %d dimensions are needed", MAX_RANK);
		return NULL;
	}
	t = x->type;
	for (int i = t.rank++; i > axis; i--)
		t.dim[i] = t.dim[i - 1];
	t.dim[axis] = 1;
	return build_reshape_to(b, x, &t);
}

Value *
build_squeeze(Builder *b, Value *x, int axis)
{
	Type t;

	if (!x)
		return NULL;
	t = x->type;
	t.rank--;
	for (int i = axis; i < t.rank; i++)
		t.dim[i] = t.dim[i + 1];
	return build_reshape_to(b, x, &t);
}

Value *
build_channels(Builder *b, Value *x, int axis, int rank)
{
	Type t = {.rank = rank};

	if (!x)
		return NULL;
	for (int i = 0; i < rank; i++)
		t.dim[i] = i == axis ? type_numel(&x->type) : 1;
	return build_reshape_to(b, x, &t);
}

Value *
build_transpose(Builder *b, Value *x, int rank, const int *perm)
{
	int64_t list[MAX_RANK] = {0};
	bool same = true;
	Node *n;

	for (int i = 0; i < rank; i++) {
		list[i] = perm[i];
		same &= perm[i] == i;
	}
	if (!x || same)
		return x;
	n = build_node(b, OP_TRANSPOSE, 1, &x);
	if (n)
		((Attr_TRANSPOSE *)n->attr)->perm = build_ints(b, rank, list);
	return build_finish(b, n);
}

Value *
build_move_axis(Builder *b, Value *x, int from, int to)
{
	int perm[MAX_RANK] = {0}, k = 0;

	if (!x)
		return NULL;
	for (int i = 0; i < x->type.rank; i++) {
		if (k == from)
			k++;
		perm[i] = i == to ? from : k++;
	}
	return build_transpose(b, x, x->type.rank, perm);
}

Value *
build_expand(Builder *b, Value *x, const Type *shape)
{
	int64_t dim[MAX_RANK] = {0};
	Node *n;

	if (!x || type_same_shape(&x->type, shape))
		return x;
	for (int i = 0; i < shape->rank; i++)
		dim[i] = shape->dim[i];
	n = build_node(b, OP_EXPAND, 1, &x);
	if (n)
		((Attr_EXPAND *)n->attr)->shape = build_ints(b, shape->rank, dim);
	return build_finish(b, n);
}

Value *
build_slice(Builder *b, Value *x, int axis, int64_t start, int64_t size, int64_t step)
{
	int64_t starts[MAX_RANK] = {0}, sizes[MAX_RANK] = {0}, steps[MAX_RANK] = {0};
	Node *n;

	if (!x || (start == 0 && step == 1 && size == x->type.dim[axis]))
		return x;
	for (int i = 0; i < x->type.rank; i++) {
		starts[i] = i == axis ? start : 0;
		sizes[i] = i == axis ? size : x->type.dim[i];
		steps[i] = i == axis ? step : 1;
	}
	n = build_node(b, OP_SLICE, 1, &x);
	if (n)
		*(Attr_SLICE *)n->attr = (Attr_SLICE){.starts = build_ints(b, x->type.rank, starts),
		                                      .sizes = build_ints(b, x->type.rank, sizes),
		                                      .steps = build_ints(b, x->type.rank, steps)};
	return build_finish(b, n);
}

Value *
build_pad(Builder *b, Value *x, const int64_t *pads, PadMode mode, Value *value)
{
	bool none = true;
	Node *n;

	for (int i = 0; x && i < 2 * x->type.rank; i++)
		none &= pads[i] == 0;
	if (!x || none)
		return x;
	n = build_node(b, OP_PAD, value ? 2 : 1, (Value *[]){x, value});
	if (n)
		*(Attr_PAD *)n->attr = (Attr_PAD){.pads = build_ints(b, 2 * x->type.rank, pads),
		                                  .mode = mode};
	return build_finish(b, n);
}

Value *
build_gather(Builder *b, Value *x, Value *indices, int axis)
{
	Node *n = build_node(b, OP_GATHER, 2, (Value *[]){x, indices});

	if (n)
		((Attr_GATHER *)n->attr)->axis = axis;
	return build_finish(b, n);
}

Value *
build_clamp(Builder *b, Value *x, double lo, double hi)
{
	Node *n = build_node(b, OP_CLAMP, 1, &x);

	if (n)
		*(Attr_CLAMP *)n->attr = (Attr_CLAMP){.lo = lo, .hi = hi};
	return build_finish(b, n);
}

Value *
build_matmul(Builder *b, Value *x, Value *y)
{
	bool row = x && x->type.rank == 1, column = y && y->type.rank == 1;

	if (row)
		x = build_unsqueeze(b, x, 0);
	if (column)
		y = build_unsqueeze(b, y, 1);
	y = build_binary(b, OP_MATMUL, x, y);
	if (y && column)
		y = build_squeeze(b, y, y->type.rank - 1);
	if (y && row)
		y = build_squeeze(b, y, y->type.rank - (column ? 1 : 2));
	return y;
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

Ints
build_ints(Builder *b, int n, const int64_t *v)
{
	return (Ints){n, arena_copy(b->g->arena, v, (size_t)n * sizeof *v)};
}

Value *
build_columns(Builder *b, Value *x, int32_t from, int32_t count)
{
	Node *n = build_node(b, OP_SLICE, 1, &x);

	if (n)
		*(Attr_SLICE *)n->attr =
			(Attr_SLICE){.starts = build_ints(b, 2, (int64_t[]){0, from}),
		                     .sizes = build_ints(b, 2, (int64_t[]){x->type.dim[0], count}),
		                     .steps = build_ints(b, 2, (int64_t[]){1, 1})};
	return build_finish(b, n);
}

/* All reductions over axes have the same attributes. */
_Static_assert(sizeof(Attr_REDUCE_SUM) == sizeof(Attr_REDUCE_LOG_SUM_EXP) &&
                       offsetof(Attr_REDUCE_SUM, keepdims) ==
                               offsetof(Attr_REDUCE_LOG_SUM_EXP, keepdims),
               "reductions differ");

Value *
build_reduce(Builder *b, Op op, Value *x, Ints axes, bool keepdims)
{
	Node *n = build_node(b, op, 1, &x);

	if (n) {
		Attr_REDUCE_SUM *a = n->attr;

		a->axes = axes;
		a->keepdims = keepdims;
	}
	return build_finish(b, n);
}

Value *
build_reduce_sum(Builder *b, Value *x, int axis)
{
	return build_reduce(b, OP_REDUCE_SUM, x, build_ints(b, 1, (int64_t[]){axis}), false);
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
