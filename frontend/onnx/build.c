/*
 * Making nodes of the graph IR.
 *
 * Whatever has only constant inputs is folded at once, so that arithmetic on
 * shapes is gone before anybody asks for its result.  Large results are left to
 * the passes, which know what they cost; dequantised constants stay as they are,
 * because the quantised form is the one to keep.
 */
#include "frontend/onnx/read.h"

#include "frontend/build.h"
#include "ir/num.h"

/* ---- Operands ---- */

bool
onnx_wants(const ONode *n, int i)
{
	return i < n->nouts && *n->proto->output[i];
}

bool
onnx_is_const(const ONode *n, int i)
{
	const Value *v = onnx_in(n, i);

	return v && value_is_const(v);
}

bool
onnx_dynamic(ONode *n, int i)
{
	return onnx_error_in(n, i, E_DYNAMIC,
	                     "'%s' must be known when compiling: it decides about shapes or the "
	                     "kind of computation, and the model does not tell the outcome",
	                     n->in[i]->name);
}

static bool
is_integer_list(ONode *n, int i)
{
	const Type *t = &n->in[i]->type;

	if (!dtype_is_integer(t->dtype))
		return onnx_error_in(n, i, E_TYPE, "'%s' has type %s; integers are needed",
		                     n->in[i]->name, type_text(n->r->arena, t));
	if (t->rank > 1)
		return onnx_error_in(n, i, E_SHAPE, "'%s' has type %s; a vector is needed",
		                     n->in[i]->name, type_text(n->r->arena, t));
	return true;
}

bool
onnx_const_ints(ONode *n, int i, Ints *out)
{
	const Value *v = onnx_in(n, i);
	int count;
	int64_t *list;

	*out = (Ints)NO_INTS;
	if (!v)
		return onnx_error(n, E_ARITY, "input %d of '%s' is missing", i, n->info->name);
	if (!is_integer_list(n, i))
		return false;
	if (!value_is_const(v))
		return onnx_dynamic(n, i);
	count = type_numel(&v->type);
	if (count > 1 << 20)
		return onnx_error_in(n, i, E_SIZE, "'%s' has %d elements", v->name, count);
	list = onnx_new_ints(n, count);
	for (int k = 0; k < count; k++)
		list[k] = value_int(v, k);
	*out = (Ints){count, list};
	return true;
}

bool
onnx_const_floats(ONode *n, int i, Floats *out)
{
	const Value *v = onnx_in(n, i);
	int count;
	double *list;

	*out = (Floats)NO_FLOATS;
	if (!v)
		return onnx_error(n, E_ARITY, "input %d of '%s' is missing", i, n->info->name);
	if (!value_is_const(v))
		return onnx_dynamic(n, i);
	count = type_numel(&v->type);
	if (count > 1 << 20)
		return onnx_error_in(n, i, E_SIZE, "'%s' has %d elements", v->name, count);
	list = ARENA_ARRAY(n->r->arena, double, count);
	for (int k = 0; k < count; k++)
		list[k] = value_float(v, k);
	*out = (Floats){count, list};
	return true;
}

bool
onnx_const_int(ONode *n, int i, int64_t *out)
{
	Ints list;

	*out = 0;
	if (!onnx_const_ints(n, i, &list))
		return false;
	if (list.n != 1)
		return onnx_error_in(n, i, E_SHAPE, "'%s' has %d elements; one is needed",
		                     n->in[i]->name, list.n);
	*out = list.v[0];
	return true;
}

bool
onnx_declared(const ONode *n, int i, Type *out)
{
	const ValueInfoProto *info;

	if (!onnx_wants(n, i))
		return false;
	info = map_get(&n->scope->declared, n->proto->output[i]);
	return info && info->type && onnx_resolve_type(n->r, info->type, out);
}

/* Insertion sort: axes are few. */
static void
sort_ints(int64_t *v, int n)
{
	for (int i = 1; i < n; i++)
		for (int k = i; k > 0 && v[k - 1] > v[k]; k--) {
			int64_t t = v[k];

			v[k] = v[k - 1];
			v[k - 1] = t;
		}
}

__attribute__((format(printf, 4, 5))) static bool
bad_axes(ONode *n, const char *attr, int i, const char *format, ...)
{
	va_list args;
	const char *text;

	va_start(args, format);
	text = arena_vprintf(n->r->arena, format, args);
	va_end(args);
	return attr ? onnx_error_attr(n, attr, E_VALUE, "%s", text)
	            : onnx_error_in(n, i, E_VALUE, "%s", text);
}

bool
onnx_norm_axes(ONode *n, Ints axes, int rank, const char *attr, int i, Ints *out)
{
	int64_t *v = onnx_new_ints(n, axes.n);

	if (axes.n > rank)
		return bad_axes(n, attr, i, "%d axes for a tensor of rank %d", axes.n, rank);
	for (int k = 0; k < axes.n; k++) {
		if (axes.v[k] < -rank || axes.v[k] >= rank)
			return bad_axes(n, attr, i, "axis %lld is outside of a tensor of rank %d",
			                (long long)axes.v[k], rank);
		v[k] = axes.v[k] < 0 ? axes.v[k] + rank : axes.v[k];
	}
	sort_ints(v, axes.n);
	for (int k = 1; k < axes.n; k++)
		if (v[k] == v[k - 1])
			return bad_axes(n, attr, i, "axis %lld is given twice", (long long)v[k]);
	*out = (Ints){axes.n, v};
	return true;
}

bool
onnx_axes(ONode *n, int moved, int i, int rank, bool *present, Ints *out)
{
	Ints axes;

	*out = (Ints)NO_INTS;
	*present = n->opset < moved ? onnx_has(n, "axes") : onnx_in(n, i) != NULL;
	if (!*present)
		return true;
	if (n->opset >= moved)
		return onnx_const_ints(n, i, &axes) &&
		       onnx_norm_axes(n, axes, rank, NULL, i, out);
	axes = onnx_ints(n, "axes");
	return !n->failed && onnx_norm_axes(n, axes, rank, "axes", 0, out);
}

/* ---- Lists ---- */

int64_t *
onnx_new_ints(ONode *n, int count)
{
	return ARENA_ARRAY(n->r->arena, int64_t, count);
}

Ints
onnx_list(ONode *n, int count, const int64_t *v)
{
	return (Ints){count, arena_copy(n->r->arena, v, (size_t)count * sizeof *v)};
}

Ints
onnx_range(ONode *n, int from, int to)
{
	int count = to > from ? to - from : 0;
	int64_t *v = onnx_new_ints(n, count);

	for (int i = 0; i < count; i++)
		v[i] = from + i;
	return (Ints){count, v};
}

Ints
onnx_filled(ONode *n, int count, int64_t value)
{
	int64_t *v = onnx_new_ints(n, count);

	for (int i = 0; i < count; i++)
		v[i] = value;
	return (Ints){count, v};
}

Ints
onnx_shape(ONode *n, const Value *x)
{
	int64_t *v = onnx_new_ints(n, x->type.rank);

	for (int i = 0; i < x->type.rank; i++)
		v[i] = x->type.dim[i];
	return (Ints){x->type.rank, v};
}

/* ---- Nodes ---- */

Node *
onnx_node(ONode *n, Op op, int nins, Value *const *in, int nouts)
{
	Onnx *r = n->r;
	Node *k;

	if (n->failed)
		return NULL;
	if (r->nodes_left <= 0) {
		n->failed = true;
		if (!r->exhausted)
			onnx_error(n, E_SIZE, "the graph has more than %d nodes", ONNX_MAX_NODES);
		r->exhausted = true;
		return NULL;
	}
	r->nodes_left--;
	k = graph_insert(r->g, NULL, op, nins, in, nouts, NULL);
	k->loc = n->loc;
	k->name = n->name;
	return k;
}

bool
onnx_finish_all(ONode *n, Node *k, Value **out)
{
	Diag *d = n->r->d;
	Message *last = d->last;

	if (!k)
		return false;
	for (int i = 0; i < k->nouts; i++)
		out[i] = NULL;
	if (n->failed)
		return false;
	if (!node_infer(k, d)) {
		n->failed = true;
		if (d->last != last)
			onnx_show_node(n, d->last);
		return false;
	}
	for (int i = 0; i < k->nouts; i++)
		out[i] = k->out[i];
	if (build_worth_storing(k) && node_fold_within(n->r->g, k, &n->r->fold_left))
		graph_remove(n->r->g, k);
	return true;
}

Value *
onnx_finish(ONode *n, Node *k)
{
	Value *out[8];

	return onnx_finish_all(n, k, out) ? out[0] : NULL;
}

Value *
onnx_unary(ONode *n, Op op, Value *x)
{
	return x ? onnx_finish(n, onnx_node(n, op, 1, &x, 1)) : NULL;
}

Value *
onnx_binary(ONode *n, Op op, Value *x, Value *y)
{
	return x && y ? onnx_finish(n, onnx_node(n, op, 2, (Value *[]){x, y}, 1)) : NULL;
}

Value *
onnx_with(ONode *n, Op op, Value *x, double y)
{
	return x ? onnx_binary(n, op, x, onnx_scalar(n, x->type.dtype, y)) : NULL;
}

Value *
onnx_where(ONode *n, Value *c, Value *x, Value *y)
{
	if (!c || !x || !y)
		return NULL;
	return onnx_finish(n, onnx_node(n, OP_WHERE, 3, (Value *[]){c, x, y}, 1));
}

Value *
onnx_wrapped(ONode *n, Value *i, Value *length)
{
	Value *negative = i ? onnx_with(n, OP_LESS, i, 0) : NULL;
	Value *wrapped = onnx_binary(n, OP_ADD, i, length);

	return onnx_where(n, negative, wrapped, i);
}

Value *
onnx_cast(ONode *n, Value *x, DType to)
{
	Node *k;

	if (!x || x->type.dtype == to)
		return x;
	k = onnx_node(n, OP_CAST, 1, &x, 1);
	if (k)
		((Attr_CAST *)k->attr)->to = to;
	return onnx_finish(n, k);
}

Value *
onnx_reshape(ONode *n, Value *x, Ints shape)
{
	Node *k = x ? onnx_node(n, OP_RESHAPE, 1, &x, 1) : NULL;

	if (k)
		((Attr_RESHAPE *)k->attr)->shape = shape;
	return onnx_finish(n, k);
}

Value *
onnx_reshape_to(ONode *n, Value *x, const Type *shape)
{
	int64_t dim[MAX_RANK];

	if (!x || type_same_shape(&x->type, shape))
		return x;
	for (int i = 0; i < shape->rank; i++)
		dim[i] = shape->dim[i];
	return onnx_reshape(n, x, onnx_list(n, shape->rank, dim));
}

Value *
onnx_transpose(ONode *n, Value *x, Ints perm)
{
	Node *k;
	bool same = true;

	for (int i = 0; i < perm.n; i++)
		same &= perm.v[i] == i;
	if (!x || same)
		return x;
	k = onnx_node(n, OP_TRANSPOSE, 1, &x, 1);
	if (k)
		((Attr_TRANSPOSE *)k->attr)->perm = perm;
	return onnx_finish(n, k);
}

Value *
onnx_expand(ONode *n, Value *x, const Type *shape)
{
	int64_t dim[MAX_RANK];
	Node *k;

	if (!x || type_same_shape(&x->type, shape))
		return x;
	for (int i = 0; i < shape->rank; i++)
		dim[i] = shape->dim[i];
	k = onnx_node(n, OP_EXPAND, 1, &x, 1);
	if (k)
		((Attr_EXPAND *)k->attr)->shape = onnx_list(n, shape->rank, dim);
	return onnx_finish(n, k);
}

/* All reductions over axes have the same attributes. */
_Static_assert(sizeof(Attr_REDUCE_SUM) == sizeof(Attr_REDUCE_LOG_SUM_EXP) &&
                       offsetof(Attr_REDUCE_SUM, keepdims) ==
                               offsetof(Attr_REDUCE_LOG_SUM_EXP, keepdims),
               "reductions differ");

Value *
onnx_reduce(ONode *n, Op op, Value *x, Ints axes, bool keepdims)
{
	Node *k = x ? onnx_node(n, op, 1, &x, 1) : NULL;

	if (k) {
		Attr_REDUCE_SUM *a = k->attr;

		a->axes = axes;
		a->keepdims = keepdims;
	}
	return onnx_finish(n, k);
}

Value *
onnx_slice(ONode *n, Value *x, int axis, int64_t start, int64_t size, int64_t step)
{
	int64_t starts[MAX_RANK] = {0}, sizes[MAX_RANK] = {0}, steps[MAX_RANK] = {0};
	Node *k;

	if (!x || (start == 0 && step == 1 && size == x->type.dim[axis]))
		return x;
	for (int i = 0; i < x->type.rank; i++) {
		starts[i] = i == axis ? start : 0;
		sizes[i] = i == axis ? size : x->type.dim[i];
		steps[i] = i == axis ? step : 1;
	}
	k = onnx_node(n, OP_SLICE, 1, &x, 1);
	if (k) {
		Attr_SLICE *a = k->attr;

		a->starts = onnx_list(n, x->type.rank, starts);
		a->sizes = onnx_list(n, x->type.rank, sizes);
		a->steps = onnx_list(n, x->type.rank, steps);
	}
	return onnx_finish(n, k);
}

Value *
onnx_concat(ONode *n, int count, Value *const *v, int axis)
{
	Node *k;

	for (int i = 0; i < count; i++)
		if (!v[i])
			return NULL;
	if (count == 1)
		return v[0];
	k = onnx_node(n, OP_CONCAT, count, v, 1);
	if (k)
		((Attr_CONCAT *)k->attr)->axis = axis;
	return onnx_finish(n, k);
}

Value *
onnx_gather(ONode *n, Value *x, Value *indices, int axis)
{
	Node *k = x && indices ? onnx_node(n, OP_GATHER, 2, (Value *[]){x, indices}, 1) : NULL;

	if (k)
		((Attr_GATHER *)k->attr)->axis = axis;
	return onnx_finish(n, k);
}

Value *
onnx_pad(ONode *n, Value *x, Ints pads, PadMode mode, Value *value)
{
	Node *k;
	bool none = true;

	for (int i = 0; i < pads.n; i++)
		none &= pads.v[i] == 0;
	if (!x || none)
		return x;
	k = onnx_node(n, OP_PAD, value ? 2 : 1, (Value *[]){x, value}, 1);
	if (k) {
		Attr_PAD *a = k->attr;

		a->pads = pads;
		a->mode = mode;
	}
	return onnx_finish(n, k);
}

/* numpy's rules for vectors: a row before, a column behind. */
Value *
onnx_matmul(ONode *n, Value *a, Value *b)
{
	bool row, column;
	Value *y;

	if (!a || !b)
		return NULL;
	row = a->type.rank == 1;
	column = b->type.rank == 1;
	if (row)
		a = onnx_unsqueeze(n, a, 0);
	if (column)
		b = onnx_unsqueeze(n, b, 1);
	y = onnx_binary(n, OP_MATMUL, a, b);
	if (y && column)
		y = onnx_squeeze(n, y, y->type.rank - 1);
	if (y && row)
		y = onnx_squeeze(n, y, y->type.rank - (column ? 1 : 2));
	return y;
}

Value *
onnx_softmax(ONode *n, Op op, Value *x, int axis)
{
	Node *k = x ? onnx_node(n, op, 1, &x, 1) : NULL;

	if (k) /* softmax, log_softmax and hardmax have the same attributes */
		((Attr_SOFTMAX *)k->attr)->axis = axis;
	return onnx_finish(n, k);
}

Value *
onnx_clamp(ONode *n, Value *x, double lo, double hi)
{
	Node *k = x ? onnx_node(n, OP_CLAMP, 1, &x, 1) : NULL;

	if (k)
		*(Attr_CLAMP *)k->attr = (Attr_CLAMP){.lo = lo, .hi = hi};
	return onnx_finish(n, k);
}

Value *
onnx_move_axis(ONode *n, Value *x, int from, int to)
{
	int64_t perm[MAX_RANK] = {0};
	int k = 0;

	if (!x)
		return NULL;
	for (int i = 0; i < x->type.rank; i++) {
		if (k == from)
			k++;
		perm[i] = i == to ? from : k++;
	}
	return onnx_transpose(n, x, onnx_list(n, x->type.rank, perm));
}

Value *
onnx_unsqueeze(ONode *n, Value *x, int axis)
{
	Type t;

	if (!x)
		return NULL;
	if (x->type.rank == MAX_RANK) {
		onnx_error(n, E_SIZE, "more than %d dimensions are needed", MAX_RANK);
		return NULL;
	}
	t = x->type;
	for (int i = t.rank; i > axis; i--)
		t.dim[i] = t.dim[i - 1];
	t.dim[axis] = 1;
	t.rank++;
	return onnx_reshape_to(n, x, &t);
}

Value *
onnx_squeeze(ONode *n, Value *x, int axis)
{
	Type t;

	if (!x)
		return NULL;
	t = x->type;
	t.rank--;
	for (int i = axis; i < t.rank; i++)
		t.dim[i] = t.dim[i + 1];
	return onnx_reshape_to(n, x, &t);
}

Value *
onnx_channels(ONode *n, Value *x, int axis, int rank)
{
	Type t = {.rank = rank};

	if (!x)
		return NULL;
	for (int i = 0; i < rank; i++)
		t.dim[i] = i == axis ? type_numel(&x->type) : 1;
	return onnx_reshape_to(n, x, &t);
}

/* ---- Constants ---- */

void *
onnx_const_data(ONode *n, Type type)
{
	if (n->failed)
		return NULL;
	if (!type_is_representable(&type) || type_bytes(&type) > n->r->tensors.bytes_left) {
		onnx_error(n, E_SIZE, "a constant of this size is too large");
		return NULL;
	}
	n->r->tensors.bytes_left -= type_bytes(&type);
	return arena_alloc(n->r->arena, type_bytes(&type));
}

Value *
onnx_const(ONode *n, Type type, const void *data)
{
	return data ? graph_const(n->r->g, NULL, type, data) : NULL;
}

Value *
onnx_scalar(ONode *n, DType t, double value)
{
	void *data = onnx_const_data(n, type_scalar(t));

	if (data)
		num_store(t, data, 0, value);
	return onnx_const(n, type_scalar(t), data);
}

Value *
onnx_int64s(ONode *n, Ints v)
{
	return n->failed ? NULL : graph_const_ints(n->r->g, NULL, v.n, v.v);
}

/* Large fills are computed by the program; they need not take flash. */
Value *
onnx_full(ONode *n, const Type *type, double value)
{
	uint8_t *data;

	if (!type_is_representable(type)) {
		onnx_error(n, E_SIZE, "a tensor of this size is larger than 2 GiB");
		return NULL;
	}
	if (type_numel(type) > ONNX_SMALL)
		return onnx_expand(n, onnx_scalar(n, type->dtype, value), type);
	data = onnx_const_data(n, *type);
	if (!data)
		return NULL;
	for (size_t i = 0; i < (size_t)type_numel(type); i++)
		num_store(type->dtype, data, i, value);
	return onnx_const(n, *type, data);
}

Value *
onnx_iota(ONode *n, DType t, int64_t count, double start, double step)
{
	Type type = {.dtype = t, .rank = 1, .dim = {(int32_t)count}};
	void *data;

	if (count < 0 || count > INT32_MAX) {
		onnx_error(n, E_SIZE, "%lld elements are too many", (long long)count);
		return NULL;
	}
	data = onnx_const_data(n, type);
	if (!data)
		return NULL;
	for (int64_t i = 0; i < count; i++)
		num_store(t, data, (size_t)i, start + (double)i * step);
	return onnx_const(n, type, data);
}

bool
onnx_result(ONode *n, Value *v)
{
	n->out[0] = v;
	return v != NULL;
}
