/*
 * Sequences of tensors: lists that are resolved while reading, so that the graph
 * has only tensors.  Positions and lengths must be constant.
 */
#include "frontend/onnx/read.h"

#include <string.h>

static Sequence *
new_sequence(ONode *n, int count)
{
	Sequence *s = ARENA_NEW(n->r->arena, Sequence);

	s->v = ARENA_ARRAY(n->r->arena, Value *, count);
	s->n = count;
	return s;
}

/* Input i, which must be a sequence. */
static const Sequence *
sequence_in(ONode *n, int i)
{
	if (!n->in_sequence[i])
		onnx_error_in(n, i, E_TYPE, "'%s' is no sequence", n->proto->input[i]);
	return n->in_sequence[i];
}

static bool
no_sequence_in(ONode *n, int i)
{
	return !n->in_sequence[i] ||
	       onnx_error_in(n, i, E_TYPE, "'%s' is a sequence", n->proto->input[i]);
}

/* A position from constant input i, counted from the end when negative; without
 * the input it is `otherwise`. */
static bool
position(ONode *n, int i, int count, int otherwise, int *out)
{
	int64_t v = otherwise;

	if (i < n->nins && !no_sequence_in(n, i))
		return false;
	if (onnx_in(n, i) && !onnx_const_int(n, i, &v))
		return false;
	if (v < 0)
		v += count;
	if (v < 0 || v >= count)
		return onnx_error(n, E_VALUE, "there is no such position in the sequence");
	*out = (int)v;
	return true;
}

bool
onnx_read_sequence_construct(ONode *n)
{
	Sequence *s = new_sequence(n, n->nins);

	onnx_ignore(n, "dtype");
	for (int i = 0; i < n->nins; i++)
		s->v[i] = n->in[i];
	n->out_sequence[0] = s;
	return true;
}

bool
onnx_read_sequence_insert(ONode *n)
{
	const Sequence *s = sequence_in(n, 0);
	Sequence *y;
	int at;

	if (!s || !no_sequence_in(n, 1) || !position(n, 2, s->n + 1, s->n, &at))
		return false;
	/* Negative positions count from the end of the old sequence. */
	if (onnx_in(n, 2) && value_int(n->in[2], 0) < 0)
		at--;
	if (at < 0)
		return onnx_error(n, E_VALUE, "there is no such position in the sequence");
	y = new_sequence(n, s->n + 1);
	for (int i = 0; i < y->n; i++)
		y->v[i] = i == at ? n->in[1] : s->v[i - (i > at)];
	n->out_sequence[0] = y;
	return true;
}

bool
onnx_read_sequence_erase(ONode *n)
{
	const Sequence *s = sequence_in(n, 0);
	Sequence *y;
	int at;

	if (!s || !position(n, 1, s->n, s->n - 1, &at))
		return false;
	y = new_sequence(n, s->n - 1);
	for (int i = 0; i < y->n; i++)
		y->v[i] = s->v[i + (i >= at)];
	n->out_sequence[0] = y;
	return true;
}

bool
onnx_read_sequence_at(ONode *n)
{
	const Sequence *s = sequence_in(n, 0);
	int at;

	return s && position(n, 1, s->n, 0, &at) && onnx_result(n, s->v[at]);
}

bool
onnx_read_sequence_length(ONode *n)
{
	const Sequence *s = sequence_in(n, 0);

	return s && onnx_result(n, onnx_scalar(n, DT_I64, s->n));
}

/* The lengths of the parts: each given, or equal ones with a shorter last, or 1. */
static bool
part_lengths(ONode *n, int32_t length, Ints *out)
{
	int64_t chunk = 1, *v;
	int count;

	if (onnx_in(n, 1)) {
		if (!onnx_const_ints(n, 1, out))
			return false;
		if (n->in[1]->type.rank == 1)
			return true;
		chunk = out->v[0];
	}
	if (chunk < 1)
		return onnx_error_in(n, 1, E_VALUE, "parts of %lld elements", (long long)chunk);
	if (chunk > length)
		chunk = length > 0 ? length : 1;
	count = (int)((length + chunk - 1) / chunk);
	if (count > ONNX_MAX_TRIPS)
		return onnx_error(n, E_SIZE, "%d parts; at most %d are possible", count,
		                  ONNX_MAX_TRIPS);
	v = onnx_new_ints(n, count);
	for (int i = 0; i < count; i++)
		v[i] = length - i * chunk < chunk ? length - i * chunk : chunk;
	*out = (Ints){count, v};
	return true;
}

bool
onnx_read_split_to_sequence(ONode *n)
{
	Value *x = n->in[0];
	int axis = onnx_axis(n, "axis", 0, x->type.rank);
	bool keepdims = onnx_flag(n, "keepdims", true) || onnx_in(n, 1);
	int64_t at = 0;
	Sequence *s;
	Ints parts;

	if (n->failed || !part_lengths(n, x->type.dim[axis], &parts))
		return false;
	s = new_sequence(n, parts.n);
	for (int i = 0; i < parts.n; i++) {
		if (parts.v[i] < 0 || parts.v[i] > x->type.dim[axis] - at)
			return onnx_error_in(n, 1, E_SHAPE,
			                     "the parts do not add up to the %d elements of axis %d",
			                     x->type.dim[axis], axis);
		s->v[i] = onnx_slice(n, x, axis, at, parts.v[i], 1);
		if (!keepdims)
			s->v[i] = onnx_squeeze(n, s->v[i], axis);
		at += parts.v[i];
	}
	n->out_sequence[0] = s;
	return !n->failed;
}

bool
onnx_read_concat_from_sequence(ONode *n)
{
	const Sequence *s = sequence_in(n, 0);
	bool new_axis = onnx_flag(n, "new_axis", false);
	Value **v;
	int axis;

	if (!s)
		return false;
	if (s->n == 0)
		return onnx_error_in(n, 0, E_SHAPE, "the sequence is empty");
	if (!onnx_has(n, "axis"))
		return onnx_error(n, E_ATTRIBUTE, "'ConcatFromSequence' needs the attribute 'axis'");
	axis = onnx_axis(n, "axis", 0, s->v[0]->type.rank + new_axis);
	v = arena_copy(n->r->arena, s->v, (size_t)s->n * sizeof *v);
	for (int i = 0; i < s->n && !n->failed; i++)
		if (new_axis)
			v[i] = onnx_unsqueeze(n, v[i], axis);
	return !n->failed && onnx_result(n, onnx_concat(n, s->n, v, axis));
}

/* The body for each element; inputs that are tensors are the same each time. */
bool
onnx_read_sequence_map(ONode *n)
{
	const GraphProto *body = onnx_graph(n, "body");
	const Sequence *s = sequence_in(n, 0);
	Value **in = ARENA_ARRAY(n->r->arena, Value *, n->nins);
	Value **out = ARENA_ARRAY(n->r->arena, Value *, n->nouts);
	Sequence **y = ARENA_ARRAY(n->r->arena, Sequence *, n->nouts);

	if (!body || !s)
		return false;
	for (int k = 0; k < n->nouts; k++)
		n->out_sequence[k] = y[k] = new_sequence(n, s->n);
	for (int i = 0; i < s->n; i++) {
		for (int k = 0; k < n->nins; k++) {
			const Sequence *other = n->in_sequence[k];

			if (other && other->n != s->n)
				return onnx_error_in(n, k, E_SHAPE, "sequences of %d and %d elements",
				                     s->n, other->n);
			in[k] = other ? other->v[i] : n->in[k];
		}
		if (!onnx_read_subgraph(n, body, arena_printf(n->r->arena, "body/%d", i), n->nins,
		                        in, n->nouts, out))
			return false;
		for (int k = 0; k < n->nouts; k++)
			y[k]->v[i] = out[k];
	}
	return true;
}
