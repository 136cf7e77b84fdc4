#include "ir/ops/infer.h"

#include <assert.h>

bool
bad_input(const Node *n, Diag *d, DiagCode code, int i, const char *format, ...)
{
	va_list args;
	const char *why, *type = n->in[i] ? type_text(d->arena, &n->in[i]->type) : "absent";

	va_start(args, format);
	why = arena_vprintf(d->arena, format, args);
	va_end(args);
	return diag_report(d, &n->loc, code, "input %d of '%s' (%s): %s", i, op_info[n->op].name,
	                   type, why);
}

bool
bad_attribute(const Node *n, Diag *d, const char *name, const char *format, ...)
{
	va_list args;
	const char *why;

	va_start(args, format);
	why = arena_vprintf(d->arena, format, args);
	va_end(args);
	return diag_report(d, &n->loc, E_ATTRIBUTE, "attribute '%s' of '%s': %s", name,
	                   op_info[n->op].name, why);
}

bool
check_dtype(const Node *n, Diag *d, int i, unsigned set)
{
	if (i >= n->nins || !n->in[i] || set >> n->in[i]->type.dtype & 1)
		return true;
	return bad_input(n, d, E_TYPE, i, "'%s' is not defined for elements of type %s",
	                 op_info[n->op].name, dtype_info[n->in[i]->type.dtype].name);
}

bool
check_same_dtype(const Node *n, Diag *d, int i)
{
	if (i >= n->nins || !n->in[i] || n->in[i]->type.dtype == n->in[0]->type.dtype)
		return true;
	return bad_input(n, d, E_TYPE, i, "the element type must be %s, as that of input 0",
	                 dtype_info[n->in[0]->type.dtype].name);
}

bool
check_dtypes(const Node *n, Diag *d, unsigned set)
{
	if (!check_dtype(n, d, 0, set))
		return false;
	for (int i = 1; i < n->nins; i++)
		if (!check_same_dtype(n, d, i))
			return false;
	return true;
}

bool
check_rank(const Node *n, Diag *d, int i, int lo, int hi)
{
	int rank;

	if (i >= n->nins || !n->in[i])
		return true;
	rank = n->in[i]->type.rank;
	if (rank >= lo && rank <= hi)
		return true;
	if (lo == hi)
		return bad_input(n, d, E_SHAPE, i, "the rank must be %d", lo);
	if (rank < lo)
		return bad_input(n, d, E_SHAPE, i, "the rank must be at least %d", lo);
	return bad_input(n, d, E_SHAPE, i, "the rank must be at most %d", hi);
}

bool
check_dim(const Node *n, Diag *d, int i, int axis, int32_t length)
{
	const Type *t;

	if (i >= n->nins || !n->in[i])
		return true;
	t = &n->in[i]->type;
	if (axis < t->rank && t->dim[axis] == length)
		return true;
	return bad_input(n, d, E_SHAPE, i, "axis %d must have length %d", axis, length);
}

bool
check_vector(const Node *n, Diag *d, int i, int32_t length)
{
	return check_rank(n, d, i, 1, 1) && check_dim(n, d, i, 0, length);
}

bool
check_broadcasts_to(const Node *n, Diag *d, int i, const Type *t)
{
	Type sum = {0};

	if (i >= n->nins || !n->in[i])
		return true;
	if (type_broadcast(&n->in[i]->type, t, &sum) && type_same_shape(&sum, t))
		return true;
	return bad_input(n, d, E_SHAPE, i, "does not broadcast to %s", type_text(d->arena, t));
}

bool
check_axis(const Node *n, Diag *d, const char *name, int64_t axis, int rank)
{
	if (axis >= 0 && axis < rank)
		return true;
	return bad_attribute(n, d, name, "there is no axis %lld in a tensor of rank %d",
	                     (long long)axis, rank);
}

bool
check_axes(const Node *n, Diag *d, const char *name, const Ints *axes, int rank)
{
	for (int i = 0; i < axes->n; i++) {
		if (!check_axis(n, d, name, axes->v[i], rank))
			return false;
		if (i > 0 && axes->v[i] <= axes->v[i - 1])
			return bad_attribute(n, d, name, "axes must rise without repetition");
	}
	return true;
}

bool
check_range(const Node *n, Diag *d, const char *name, int64_t value, int64_t lo, int64_t hi)
{
	if (value >= lo && value <= hi)
		return true;
	return bad_attribute(n, d, name, "%lld is not in %lld to %lld", (long long)value,
	                     (long long)lo, (long long)hi);
}

bool
check_ints(const Node *n, Diag *d, const char *name, const Ints *v, int count, int64_t lo,
           int64_t hi)
{
	if (v->n != count)
		return bad_attribute(n, d, name, "has %d entries where %d are needed", v->n, count);
	for (int i = 0; i < count; i++)
		if (!check_range(n, d, name, v->v[i], lo, hi))
			return false;
	return true;
}

bool
push_dim(const Node *n, Diag *d, Type *t, int64_t length)
{
	assert(t->rank <= MAX_RANK);
	if (t->rank == MAX_RANK)
		return diag_report(d, &n->loc, E_SIZE, "the output of '%s' has more than %d axes",
		                   op_info[n->op].name, MAX_RANK);
	if (length < 0 || length > INT32_MAX)
		return diag_report(d, &n->loc, E_SIZE,
		                   "axis %d of the output of '%s' would have length %lld", t->rank,
		                   op_info[n->op].name, (long long)length);
	t->dim[t->rank++] = (int32_t)length;
	return true;
}

bool
push_dims(const Node *n, Diag *d, Type *t, const Type *shape, int from, int to)
{
	for (int i = from; i < to; i++)
		if (!push_dim(n, d, t, shape->dim[i]))
			return false;
	return true;
}

void
expand_infer(Graph *g, Node *n)
{
	Diag d;
	bool fits;

	diag_init(&d, g->arena);
	fits = node_infer(n, &d);
	assert(fits);
	(void)fits;
}
