/*
 * State, and control flow whose course is known: loops are unrolled, and of If only the
 * branch that is taken is read.
 */
#include <string.h>

#include "frontend/openvino/read.h"
#include "ir/num.h"

/* ---- State ---- */

static Variable *
variable(Layer *l)
{
	const char *name = ov_attr(l, "variable_id");
	Variable *v;

	if (!name) {
		ov_error(l, E_ATTRIBUTE, "the attribute 'variable_id' is missing");
		return NULL;
	}
	v = map_get(&l->r->variables, name);
	if (!v) {
		v = ARENA_NEW(l->r->arena, Variable);
		v->name = name;
		map_set(&l->r->variables, name, v);
		VEC_PUSH(l->r->arena, &l->r->variable_list, v);
	}
	return v;
}

/* Without an initial value the attributes give the type, and all is 0. */
static bool
zero_state(Layer *l, Type *t, const void **data)
{
	Ints shape = ov_ints(l, "variable_shape");
	DType dtype = ov_dtype_attr(l, "variable_type", DT_COUNT);

	if (l->failed)
		return false;
	if (shape.n > MAX_RANK)
		return ov_error(l, E_SIZE, "%d dimensions; at most %d are possible", shape.n,
		                MAX_RANK);
	*t = (Type){.dtype = dtype, .rank = shape.n};
	for (int i = 0; i < shape.n; i++) {
		if (shape.v[i] < 0 || shape.v[i] > INT32_MAX)
			return ov_error(l, E_DIMENSION, "dimension %d of the state is not known", i);
		t->dim[i] = (int32_t)shape.v[i];
	}
	*data = ov_const_data(l, t);
	return *data != NULL;
}

bool
ov_read_read_value(Layer *l)
{
	Variable *v = variable(l);
	Value *initial = ov_in(l, 0);
	const void *data = NULL;
	Type t;

	if (!v)
		return false;
	if (v->held)
		return ov_result(l, v->held);
	if (initial && !value_is_const(initial))
		return ov_error_in(l, 0, E_DYNAMIC, "is no constant: what a state holds before the "
		                   "first call must be known when compiling");
	if (initial) {
		t = initial->type;
		data = initial->data;
	} else if (!zero_state(l, &t, &data)) {
		return false;
	}
	v->held = graph_state(l->r->g, v->name, t, data);
	return ov_result(l, v->held);
}

bool
ov_read_assign(Layer *l)
{
	Variable *v = variable(l);

	if (!v)
		return false;
	if (v->next)
		return ov_error(l, E_NAME, "the state '%.60s' is assigned twice", v->name);
	v->next = l->in[0];
	if (l->nouts > 0)
		l->out[0] = l->in[0];
	return true;
}

/* The outputs of the states, in the order in which these were made. */
bool
ov_finish_variables(Ov *r)
{
	const Loc loc = {.file = r->file->path};
	Graph *g = r->g;

	for (int i = 0; i < g->states.n; i++) {
		Value *held = g->inputs.v[graph_plain_inputs(g) + i];

		for (int k = 0; k < r->variable_list.n; k++) {
			const Variable *v = r->variable_list.v[k];
			Value *next = v->next ? v->next : v->held;

			if (v->held != held)
				continue;
			if (!type_equal(&next->type, &held->type))
				return diag_report(r->d, &loc, E_TYPE,
				                   "the state '%.60s' of type %s becomes %s", v->name,
				                   type_text(r->arena, &held->type),
				                   type_text(r->arena, &next->type));
			graph_output(g, arena_printf(r->arena, "%s.next", held->name), next);
		}
	}
	return true;
}

/* ---- Bodies ---- */

/* The body of that name, read when it is met first. */
static Net *
body(Layer *l, const char *name, int which)
{
	const Xml *e = xml_child(l->xml, name);

	if (l->body[which])
		return l->body[which];
	if (!e) {
		ov_error(l, E_MALFORMED, "the layer has no <%s>", name);
		return NULL;
	}
	l->body[which] = ov_net(l->r, e, "");
	return l->body[which];
}

static int64_t
map_number(Layer *l, const Xml *e, const char *name, int64_t otherwise)
{
	const char *s = xml_attr(e, name);
	Ints list;

	if (!s)
		return otherwise;
	if (ov_parse_ints(l->r->arena, s, &list) && list.n == 1 && list.v[0] >= INT32_MIN &&
	    list.v[0] <= INT32_MAX)
		return list.v[0];
	ov_error(l, E_MALFORMED, "'%s' of a port map is '%.40s'", name, s);
	return otherwise;
}

/* The layer of the body that an attribute names. */
static Layer *
inner_layer(Layer *l, Net *net, const Xml *e, const char *name, const char *type)
{
	Layer *k = ov_find_layer(net, xml_attr(e, name));

	if (k && strcmp(k->type, type) == 0 && (*type == 'P' ? k->nouts : k->nins) == 1)
		return k;
	ov_error(l, E_MALFORMED, "'%s' of a port map names no %s of the body", name, type);
	return NULL;
}

/* The number of the input or output of l with that port id; -1: none. */
static int
port_number(const Layer *l, const char *id, bool output)
{
	const Port *port = output ? l->out_port : l->in_port;
	int n = output ? l->nouts : l->nins;

	for (int i = 0; id && i < n; i++)
		if (strcmp(xml_attr(port[i].xml, "id"), id) == 0)
			return i;
	return -1;
}

/* What a result of a body has got. */
static Value *
result_of(const Layer *k)
{
	const Port *p = &k->in_port[0];

	return p->from ? p->from->out[p->from_output] : NULL;
}

/* Binds the parameters that the map lists as they are. */
static bool
bind_inputs(Layer *l, Net *net, const Xml *map)
{
	for (const Xml *e = xml_child(map, "input"); e; e = xml_same(e)) {
		Layer *k = inner_layer(l, net, e, "internal_layer_id", "Parameter");
		int i = port_number(l, xml_attr(e, "external_port_id"), false);

		if (!k)
			return false;
		if (i < 0)
			return ov_error(l, E_MALFORMED, "a port map names no input of the layer");
		k->out[0] = l->in[i];
	}
	return true;
}

static bool
is_deep(Layer *l)
{
	if (l->r->depth < OV_MAX_DEPTH)
		return false;
	ov_error(l, E_SIZE, "bodies are nested deeper than %d", OV_MAX_DEPTH);
	return true;
}

/* Reads the body once more, with the names of this round. */
static bool
run_body(Layer *l, Net *net)
{
	bool ok;

	l->r->depth++;
	ok = ov_run(net);
	l->r->depth--;
	if (!ok)
		l->failed = true;
	return ok;
}

/* Names of layers in round i of a body. */
static const char *
round_prefix(const Layer *l, int round)
{
	return arena_printf(l->r->arena, "%s%s/%d/", l->net->prefix, l->name, round);
}

/* ---- If ---- */

/* Outputs are numbered from 0, or by the ids of their ports. */
static bool
take_results(Layer *l, Net *net, const Xml *map)
{
	bool counted = false;

	for (const Xml *e = xml_child(map, "output"); e; e = xml_same(e))
		counted |= map_number(l, e, "external_port_id", -1) == 0;
	for (const Xml *e = xml_child(map, "output"); e && !l->failed; e = xml_same(e)) {
		Layer *k = inner_layer(l, net, e, "internal_layer_id", "Result");
		int64_t i = counted ? map_number(l, e, "external_port_id", -1)
		                    : port_number(l, xml_attr(e, "external_port_id"), true);

		if (!k)
			return false;
		if (i < 0 || i >= l->nouts)
			return ov_error(l, E_MALFORMED, "a port map names no output of the layer");
		l->out[i] = result_of(k);
	}
	for (int i = 0; i < l->nouts; i++)
		if (!l->failed && ov_wants(l, i) && !l->out[i])
			return ov_error(l, E_MALFORMED, "output %d is not in the port map", i);
	return !l->failed;
}

bool
ov_read_if(Layer *l)
{
	Value *condition = l->in[0];
	bool taken;
	const Xml *map;
	Net *net;

	if (!value_is_const(condition) || type_numel(&condition->type) != 1)
		return ov_error_in(l, 0, E_DYNAMIC, "is no constant: which branch is taken must be "
		                   "known when compiling");
	taken = value_float(condition, 0) != 0;
	if (is_deep(l))
		return false;
	net = body(l, taken ? "then_body" : "else_body", taken);
	map = xml_child(l->xml, taken ? "then_port_map" : "else_port_map");
	if (!net)
		return false;
	ov_reset(net, round_prefix(l, 0));
	return bind_inputs(l, net, map) && run_body(l, net) && take_results(l, net, map);
}

/* ---- Loops ---- */

/* An input or output that is cut along an axis, or not: axis -1. */
typedef struct {
	Layer *layer; /* of the body */
	int port;     /* of the loop */
	int axis;
	int64_t start, stride, part;
	int trips;    /* inputs: how many parts there are */
	Value **parts; /* outputs: one a trip */
} Mapping;

typedef struct {
	Layer *from, *to; /* a result and the parameter that gets it in the next round */
	Value *value;
} BackEdge;

typedef struct {
	Net *net;
	VEC(Mapping) in, out;
	VEC(BackEdge) back;
	Layer *counter, *condition; /* of Loop; may be NULL */
	int64_t most;               /* trips that Loop allows; -1: any number */
} Unroll;

/* Parts of an input: from start to end, which is part of them. */
static bool
input_parts(Layer *l, const Xml *e, Mapping *m)
{
	const Type *t = &l->in[m->port]->type;
	int64_t end, length;

	if (!ov_norm_axis(l, m->axis, t->rank, &m->axis))
		return false;
	length = t->dim[m->axis];
	m->start = map_number(l, e, "start", 0);
	end = map_number(l, e, "end", -1);
	m->stride = map_number(l, e, "stride", 1);
	m->part = map_number(l, e, "part_size", 1);
	if (l->failed)
		return false;
	m->start += m->start < 0 ? length : 0;
	end += end < 0 ? length : 0;
	if (m->start < 0 || m->start >= length || end < 0 || end >= length || m->part < 1 ||
	    m->stride == 0 || (m->stride < 0 ? -m->stride : m->stride) != m->part)
		return ov_error(l, E_VALUE, "a port map cuts %s along axis %d by what does not fit",
		                type_text(l->r->arena, t), m->axis);
	length = m->stride > 0 ? end - m->start + 1 : m->start - end + 1;
	if (length < 1 || length % m->part != 0 || length / m->part > OV_MAX_TRIPS)
		return ov_error(l, E_SIZE, "%lld elements in parts of %lld: at most %d rounds can "
		                "be unrolled", (long long)length, (long long)m->part, OV_MAX_TRIPS);
	m->trips = (int)(length / m->part);
	return true;
}

static bool
read_input(Layer *l, Unroll *u, const Xml *e)
{
	const char *purpose = xml_attr(e, "purpose");
	Mapping m = {.axis = (int)map_number(l, e, "axis", INT32_MIN)};

	m.layer = inner_layer(l, u->net, e, "internal_layer_id", "Parameter");
	if (!m.layer)
		return false;
	if (purpose && strcmp(purpose, "current_iteration") == 0) {
		u->counter = m.layer;
		return true;
	}
	m.port = port_number(l, xml_attr(e, "external_port_id"), false);
	if (m.port < 0 || !l->in[m.port])
		return ov_error(l, E_MALFORMED, "a port map names no input of the layer");
	if (m.axis == INT32_MIN)
		m.axis = -1;
	else if (!input_parts(l, e, &m))
		return false;
	VEC_PUSH(l->r->arena, &u->in, m);
	return true;
}

static bool
read_output(Layer *l, Unroll *u, const Xml *e)
{
	const char *purpose = xml_attr(e, "purpose");
	Mapping m = {.axis = (int)map_number(l, e, "axis", INT32_MIN)};

	m.layer = inner_layer(l, u->net, e, "internal_layer_id", "Result");
	if (!m.layer)
		return false;
	if (purpose && strcmp(purpose, "execution_condition") == 0)
		u->condition = m.layer;
	m.port = port_number(l, xml_attr(e, "external_port_id"), true);
	if (m.port < 0)
		return u->condition == m.layer ||
		       ov_error(l, E_MALFORMED, "a port map names no output of the layer");
	m.stride = map_number(l, e, "stride", 1);
	m.parts = ARENA_ARRAY(l->r->arena, Value *, m.axis == INT32_MIN ? 1 : OV_MAX_TRIPS);
	VEC_PUSH(l->r->arena, &u->out, m);
	return true;
}

static bool
read_back_edges(Layer *l, Unroll *u)
{
	const Xml *list = xml_child(l->xml, "back_edges");

	for (const Xml *e = xml_child(list, "edge"); e; e = xml_same(e)) {
		BackEdge b = {.from = inner_layer(l, u->net, e, "from-layer", "Result")};

		b.to = b.from ? inner_layer(l, u->net, e, "to-layer", "Parameter") : NULL;
		if (!b.to)
			return false;
		VEC_PUSH(l->r->arena, &u->back, b);
	}
	return true;
}

static bool
read_maps(Layer *l, Unroll *u)
{
	const Xml *map = xml_child(l->xml, "port_map");

	u->net = body(l, "body", 0);
	if (!u->net)
		return false;
	for (const Xml *e = xml_child(map, "input"); e; e = xml_same(e))
		if (!read_input(l, u, e))
			return false;
	for (const Xml *e = xml_child(map, "output"); e; e = xml_same(e))
		if (!read_output(l, u, e))
			return false;
	return read_back_edges(l, u) && !l->failed;
}

/* The number of the round, as the body declares it. */
static Value *
counter(Layer *l, const Layer *k, int round)
{
	const char *element = ov_attr(k, "element_type");
	const char *shape = ov_attr(k, "shape");
	DType t = element ? ov_dtype(element) : DT_I64;

	if (t != DT_I32 && t != DT_I64) {
		ov_error(l, E_TYPE, "the number of the round is no integer of 32 or 64 bits");
		return NULL;
	}
	return shape && *shape ? ov_const_list(l, t, 1, (int64_t[]){round})
	                       : build_scalar(&l->b, t, round);
}

static bool
begin_round(Layer *l, Unroll *u, int round)
{
	ov_reset(u->net, round_prefix(l, round));
	for (int i = 0; i < u->in.n; i++) {
		const Mapping *m = &u->in.v[i];
		Value *v = l->in[m->port];

		if (m->axis >= 0) {
			int64_t at = m->start + round * m->stride;

			if (m->stride < 0)
				at -= m->part - 1;
			v = build_slice(&l->b, v, m->axis, at, m->part, 1);
		}
		if (!v)
			return false;
		m->layer->out[0] = v;
	}
	for (int i = 0; round > 0 && i < u->back.n; i++)
		u->back.v[i].to->out[0] = u->back.v[i].value;
	if (u->counter)
		u->counter->out[0] = counter(l, u->counter, round);
	return !u->counter || u->counter->out[0];
}

static bool
end_round(Layer *l, Unroll *u, int round)
{
	for (int i = 0; i < u->back.n; i++) {
		u->back.v[i].value = result_of(u->back.v[i].from);
		if (!u->back.v[i].value)
			return ov_error(l, E_MALFORMED, "a result of the body has no value");
	}
	for (int i = 0; i < u->out.n; i++) {
		const Mapping *m = &u->out.v[i];
		Value *v = result_of(m->layer);

		if (!v)
			return ov_error(l, E_MALFORMED, "a result of the body has no value");
		m->parts[m->axis == INT32_MIN ? 0 : round] = v;
	}
	return true;
}

/* Whether another round follows; what the body says must be known. */
static bool
goes_on(Layer *l, const Unroll *u, bool *more)
{
	const Value *v = u->condition ? result_of(u->condition) : NULL;

	*more = true;
	if (!u->condition)
		return true;
	if (!v || !value_is_const(v) || type_numel(&v->type) != 1)
		return ov_error(l, E_DYNAMIC, "whether another round follows must be known when "
		                "compiling");
	*more = value_float(v, 0) != 0;
	return true;
}

static bool
collect(Layer *l, const Unroll *u, int rounds)
{
	for (int i = 0; i < u->out.n; i++) {
		const Mapping *m = &u->out.v[i];
		Value *v = m->parts[0];
		int axis;

		if (m->axis != INT32_MIN) {
			if (!ov_norm_axis(l, m->axis, v->type.rank, &axis))
				return false;
			for (int k = 0; m->stride < 0 && k < rounds / 2; k++) {
				Value *t = m->parts[k];

				m->parts[k] = m->parts[rounds - 1 - k];
				m->parts[rounds - 1 - k] = t;
			}
			v = rounds == 1 ? m->parts[0]
			                : build_concat(&l->b, rounds, m->parts, axis);
		}
		l->out[m->port] = v;
	}
	for (int i = 0; i < l->nouts; i++)
		if (ov_wants(l, i) && !l->out[i])
			return ov_error(l, E_MALFORMED, "output %d is not in the port map", i);
	return !l->failed;
}

static bool
unroll(Layer *l, Unroll *u)
{
	int64_t trips = u->most;
	bool more = true;
	int round = 0;

	for (int i = 0; i < u->in.n; i++) {
		const Mapping *m = &u->in.v[i];

		if (m->axis < 0 || (trips >= 0 && trips <= m->trips))
			continue;
		if (trips < 0 || u->condition)
			trips = m->trips;
	}
	if (trips < 0 && !u->condition)
		return ov_error(l, E_MALFORMED, "no input says how many rounds there are");
	if (trips == 0)
		return ov_error(l, E_UNSUPPORTED, "a loop without a round is not supported");
	if (trips > OV_MAX_TRIPS)
		return ov_error(l, E_SIZE, "%lld rounds; at most %d can be unrolled",
		                (long long)trips, OV_MAX_TRIPS);
	for (; more && (trips < 0 || round < trips); round++) {
		if (round == OV_MAX_TRIPS)
			return ov_error(l, E_SIZE, "more than %d rounds cannot be unrolled",
			                OV_MAX_TRIPS);
		if (!begin_round(l, u, round) || !run_body(l, u->net) || !end_round(l, u, round) ||
		    !goes_on(l, u, &more))
			return false;
	}
	return collect(l, u, round);
}

bool
ov_read_tensor_iterator(Layer *l)
{
	Unroll u = {.most = -1};

	return !is_deep(l) && read_maps(l, &u) && unroll(l, &u);
}

/* Input 0 bounds the rounds, input 1 says whether there is one. */
bool
ov_read_loop(Layer *l)
{
	Unroll u = {.most = -1};
	const Value *first = l->in[1];

	if (is_deep(l) || !ov_const_int(l, 0, -1, INT64_MAX, &u.most))
		return false;
	if (!value_is_const(first) || type_numel(&first->type) != 1)
		return ov_error_in(l, 1, E_DYNAMIC, "is no constant: whether there is a round must be "
		                   "known when compiling");
	if (value_float(first, 0) == 0)
		return ov_error(l, E_UNSUPPORTED, "a loop without a round is not supported");
	return read_maps(l, &u) && unroll(l, &u);
}
