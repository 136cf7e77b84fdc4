/*
 * If, Loop and Scan: everything is decided here.  Branches whose condition is
 * known are inlined, loops whose number of trips is known are unrolled.
 */
#include "frontend/onnx/read.h"

#include <string.h>

/* ---- If ---- */

static Value *
scalar(ONode *n, Value *v)
{
	return v ? onnx_reshape_to(n, v, &(Type){.rank = 0}) : NULL;
}

/* Computes both branches and picks the results: right because no operator has
 * effects, and worth it only when the branches are small. */
static bool
read_both(ONode *n, const GraphProto *yes, const GraphProto *no)
{
	Value **a = ARENA_ARRAY(n->r->arena, Value *, n->nouts);
	Value **b = ARENA_ARRAY(n->r->arena, Value *, n->nouts);
	Value *condition = scalar(n, n->in[0]);
	int before = n->r->nodes_left;

	if (!condition || !onnx_read_subgraph(n, yes, "then", 0, NULL, n->nouts, a) ||
	    !onnx_read_subgraph(n, no, "else", 0, NULL, n->nouts, b))
		return false;
	if (before - n->r->nodes_left > ONNX_MAX_BRANCH)
		return onnx_error_in(n, 0, E_DYNAMIC,
		                     "'%s' is not constant, and the branches are too large to "
		                     "compute both",
		                     n->in[0]->name);
	for (int i = 0; i < n->nouts; i++) {
		if (!type_equal(&a[i]->type, &b[i]->type))
			return onnx_error_in(n, 0, E_DYNAMIC,
			                     "'%s' is not constant, and the branches give %s and %s",
			                     n->in[0]->name, type_text(n->r->arena, &a[i]->type),
			                     type_text(n->r->arena, &b[i]->type));
		n->out[i] = a[i] == b[i] ? a[i] : onnx_where(n, condition, a[i], b[i]);
	}
	return !n->failed;
}

bool
onnx_read_if(ONode *n)
{
	const GraphProto *yes = onnx_graph(n, "then_branch"), *no = onnx_graph(n, "else_branch");
	const Type *t = &n->in[0]->type;

	if (!yes || !no)
		return false;
	if (t->dtype != DT_BOOL || type_numel(t) != 1)
		return onnx_error_in(n, 0, E_TYPE, "the condition has type %s",
		                     type_text(n->r->arena, t));
	if (!onnx_is_const(n, 0))
		return read_both(n, yes, no);
	return onnx_read_subgraph(n, value_int(n->in[0], 0) ? yes : no, "", 0, NULL, n->nouts,
	                          n->out);
}

/* ---- Results that grow by one element a trip ---- */

typedef struct {
	Value **v; /* trips */
	int n;
} Collected;

static bool
stack(ONode *n, int output, const Collected *c, int axis, bool reverse, Value **out)
{
	Value **v = ARENA_ARRAY(n->r->arena, Value *, c->n);
	Type t;

	if (c->n == 0) {
		if (!onnx_declared(n, output, &t))
			return onnx_error_out(n, output, E_DYNAMIC,
			                      "a loop without trips whose result's shape is not stated");
		*out = onnx_full(n, &t, 0);
		return *out != NULL;
	}
	if (axis < -(c->v[0]->type.rank + 1) || axis > c->v[0]->type.rank)
		return onnx_error_out(n, output, E_VALUE, "axis %d is outside of the tensor", axis);
	if (axis < 0)
		axis += c->v[0]->type.rank + 1;
	for (int i = 0; i < c->n; i++)
		v[i] = onnx_unsqueeze(n, c->v[reverse ? c->n - 1 - i : i], axis);
	*out = onnx_concat(n, c->n, v, axis);
	return *out != NULL;
}

/* ---- Loop ---- */

typedef struct {
	const GraphProto *body;
	int carried, scanned;
	int64_t trips;      /* at most; -1: until the condition fails */
	bool stated;        /* the number of trips comes from a stated shape */
	Value *alive;       /* NULL, or a condition that is known only at run time */
	Value **in, **out;  /* of the body */
	Collected *collected;
} Loop;

/* The number of trips from the stated length of a result that grows with them. */
static bool
stated_trips(const ONode *n, Loop *l)
{
	Type t;

	for (int i = l->carried; i < n->nouts; i++) {
		if (onnx_declared(n, i, &t) && t.rank > 0) {
			l->trips = t.dim[0];
			l->stated = true;
			return true;
		}
	}
	return false;
}

static bool
loop_trips(ONode *n, Loop *l)
{
	Value *trips = onnx_in(n, 0), *condition = onnx_in(n, 1);

	l->trips = -1;
	if (trips && value_is_const(trips) && !onnx_const_int(n, 0, &l->trips))
		return false;
	if (trips && l->trips < 0 && value_is_const(trips))
		l->trips = 0;
	if (condition && value_is_const(condition) && !value_int(condition, 0))
		l->trips = 0;
	if ((trips && !value_is_const(trips)) || (condition && !value_is_const(condition))) {
		if (l->trips != 0 && !stated_trips(n, l))
			return onnx_dynamic(n, trips && !value_is_const(trips) ? 0 : 1);
	}
	if (l->trips > ONNX_MAX_TRIPS)
		return onnx_error_in(n, 0, E_SIZE, "%lld trips; at most %d can be unrolled",
		                     (long long)l->trips, ONNX_MAX_TRIPS);
	return true;
}

/* The body's counter and condition may be scalars or vectors of one element. */
static Value *
shaped_like(ONode *n, Value *v, const ValueInfoProto *info)
{
	Type t;

	if (v && info->type && onnx_resolve_type(n->r, info->type, &t) && type_numel(&t) == 1)
		return onnx_reshape_to(n, v, &t);
	return v;
}

/* One trip.  Sets *more to whether another one follows. */
static bool
loop_trip(ONode *n, Loop *l, int64_t trip, bool *more)
{
	Value *condition, *next;
	const char *tag = arena_printf(n->r->arena, "body/%lld", (long long)trip);

	l->in[0] = shaped_like(n, onnx_const(n, type_scalar(DT_I64), onnx_list(n, 1, &trip).v),
	                       l->body->input[0]);
	l->in[1] = shaped_like(n, l->alive ? l->alive : onnx_scalar(n, DT_BOOL, 1),
	                       l->body->input[1]);
	if (!l->in[0] || !l->in[1] ||
	    !onnx_read_subgraph(n, l->body, tag, 2 + l->carried, l->in, 1 + l->carried + l->scanned,
	                        l->out))
		return false;
	condition = l->out[0];
	if (condition->type.dtype != DT_BOOL || type_numel(&condition->type) != 1)
		return onnx_error(n, E_TYPE, "the loop's condition has type %s",
		                  type_text(n->r->arena, &condition->type));
	for (int i = 0; i < l->carried; i++) {
		next = l->out[1 + i];
		if (l->alive) {
			if (!type_equal(&next->type, &l->in[2 + i]->type))
				return onnx_error(n, E_DYNAMIC, "a loop of unknown length changes the "
				                  "type of '%s' to %s", l->in[2 + i]->name,
				                  type_text(n->r->arena, &next->type));
			next = onnx_where(n, l->alive, next, l->in[2 + i]);
		}
		l->in[2 + i] = next;
	}
	for (int i = 0; i < l->scanned; i++)
		l->collected[i].v[l->collected[i].n++] = l->out[1 + l->carried + i];
	if (l->stated)
		return !n->failed;
	if (value_is_const(condition)) {
		*more = value_int(condition, 0) != 0;
		return !n->failed;
	}
	if (l->trips < 0 || l->scanned > 0)
		return onnx_error(n, E_DYNAMIC,
		                  "the loop's condition '%s' is not constant, so that the number of "
		                  "trips is not known",
		                  condition->name);
	condition = scalar(n, condition);
	l->alive = l->alive ? onnx_binary(n, OP_AND, l->alive, condition) : condition;
	return l->alive != NULL;
}

bool
onnx_read_loop(ONode *n)
{
	Loop l = {.body = onnx_graph(n, "body")};
	bool more = true;

	if (!l.body)
		return false;
	l.carried = n->nins > 2 ? n->nins - 2 : 0;
	l.scanned = (int)l.body->n_output - 1 - l.carried;
	if (l.scanned < 0 || n->nouts > l.carried + l.scanned ||
	    l.body->n_input != (size_t)(2 + l.carried))
		return onnx_error(n, E_ARITY, "the body has %zu inputs and %zu outputs",
		                  l.body->n_input, l.body->n_output);
	if (!loop_trips(n, &l))
		return false;
	l.in = ARENA_ARRAY(n->r->arena, Value *, l.carried + 2);
	l.out = ARENA_ARRAY(n->r->arena, Value *, l.body->n_output);
	l.collected = ARENA_ARRAY(n->r->arena, Collected, l.scanned);
	for (int i = 0; i < l.scanned; i++)
		l.collected[i].v = ARENA_ARRAY(n->r->arena, Value *, ONNX_MAX_TRIPS);
	for (int i = 0; i < l.carried; i++) {
		l.in[2 + i] = n->in[2 + i];
		if (!n->in[2 + i])
			return onnx_error(n, E_ARITY, "input %d of 'Loop' is missing", 2 + i);
	}
	for (int64_t trip = 0; more && (l.trips < 0 || trip < l.trips); trip++) {
		if (trip == ONNX_MAX_TRIPS)
			return onnx_error(n, E_SIZE, "the loop does not end within %d trips",
			                  ONNX_MAX_TRIPS);
		if (!loop_trip(n, &l, trip, &more))
			return false;
	}
	for (int i = 0; i < n->nouts; i++) {
		if (i < l.carried)
			n->out[i] = l.in[2 + i];
		else if (onnx_wants(n, i) &&
		         !stack(n, i, &l.collected[i - l.carried], 0, false, &n->out[i]))
			return false;
	}
	return true;
}

/* ---- Scan ---- */

typedef struct {
	const GraphProto *body;
	int states, scanned_in, scanned_out;
	Ints in_axes, in_reverse, out_axes, out_reverse;
} Scan;

static bool
scan_list(ONode *n, const char *name, int count, Ints *out)
{
	*out = onnx_has(n, name) ? onnx_ints(n, name) : onnx_filled(n, count, 0);
	if (n->failed)
		return false;
	return out->n == count || onnx_error_attr(n, name, E_ATTRIBUTE,
	                                          "attribute '%s' has %d elements instead of %d",
	                                          name, out->n, count);
}

static bool
read_scan_attributes(ONode *n, Scan *s)
{
	s->body = onnx_graph(n, "body");
	s->scanned_in = (int)onnx_int_in(n, "num_scan_inputs", 0, 1, n->nins);
	if (!s->body || n->failed)
		return false;
	s->states = n->nins - s->scanned_in;
	s->scanned_out = (int)s->body->n_output - s->states;
	if (s->scanned_out < 0 || n->nouts > s->states + s->scanned_out ||
	    s->body->n_input != (size_t)n->nins)
		return onnx_error(n, E_ARITY, "the body has %zu inputs and %zu outputs",
		                  s->body->n_input, s->body->n_output);
	for (int i = 0; i < n->nins; i++)
		if (!n->in[i])
			return onnx_error(n, E_ARITY, "input %d of 'Scan' is missing", i);
	return scan_list(n, "scan_input_axes", s->scanned_in, &s->in_axes) &&
	       scan_list(n, "scan_input_directions", s->scanned_in, &s->in_reverse) &&
	       scan_list(n, "scan_output_axes", s->scanned_out, &s->out_axes) &&
	       scan_list(n, "scan_output_directions", s->scanned_out, &s->out_reverse);
}

/* The number of trips, which all scanned inputs agree on; makes axes positive. */
static bool
scan_trips(ONode *n, Scan *s, int64_t *axes, int32_t *trips)
{
	*trips = -1;
	for (int i = 0; i < s->scanned_in; i++) {
		const Value *x = n->in[s->states + i];

		axes[i] = s->in_axes.v[i] < 0 ? s->in_axes.v[i] + x->type.rank : s->in_axes.v[i];
		if (axes[i] < 0 || axes[i] >= x->type.rank)
			return onnx_error_in(n, s->states + i, E_VALUE, "'%s' has no axis %lld",
			                     x->name, (long long)s->in_axes.v[i]);
		if (*trips >= 0 && *trips != x->type.dim[axes[i]])
			return onnx_error_in(n, s->states + i, E_SHAPE,
			                     "'%s' has %d elements to scan, not %d", x->name,
			                     x->type.dim[axes[i]], *trips);
		*trips = x->type.dim[axes[i]];
	}
	if (*trips > ONNX_MAX_TRIPS)
		return onnx_error(n, E_SIZE, "%d trips; at most %d can be unrolled", *trips,
		                  ONNX_MAX_TRIPS);
	return true;
}

bool
onnx_read_scan(ONode *n)
{
	Arena *a = n->r->arena;
	Scan s = {.body = NULL};
	Collected *collected;
	Value **in, **out;
	int64_t *axes;
	int32_t trips;

	if (!read_scan_attributes(n, &s))
		return false;
	axes = onnx_new_ints(n, s.scanned_in);
	if (!scan_trips(n, &s, axes, &trips))
		return false;
	in = arena_copy(a, n->in, (size_t)n->nins * sizeof *in);
	out = ARENA_ARRAY(a, Value *, s.body->n_output);
	collected = ARENA_ARRAY(a, Collected, s.scanned_out);
	for (int i = 0; i < s.scanned_out; i++)
		collected[i].v = ARENA_ARRAY(a, Value *, trips);
	for (int32_t trip = 0; trip < trips; trip++) {
		for (int i = 0; i < s.scanned_in; i++) {
			int at = s.in_reverse.v[i] ? trips - 1 - trip : trip, axis = (int)axes[i];
			Value *x = onnx_slice(n, n->in[s.states + i], axis, at, 1, 1);

			in[s.states + i] = onnx_squeeze(n, x, axis);
		}
		if (n->failed || !onnx_read_subgraph(n, s.body, arena_printf(a, "body/%d", trip),
		                                     n->nins, in, (int)s.body->n_output, out))
			return false;
		for (int i = 0; i < s.states; i++)
			in[i] = out[i];
		for (int i = 0; i < s.scanned_out; i++)
			collected[i].v[collected[i].n++] = out[s.states + i];
	}
	for (int i = 0; i < n->nouts; i++) {
		int k = i - s.states;

		if (k < 0)
			n->out[i] = in[i];
		else if (onnx_wants(n, i) &&
		         !stack(n, i, &collected[k], (int)s.out_axes.v[k],
		                s.out_reverse.v[k] != 0, &n->out[i]))
			return false;
	}
	return true;
}
