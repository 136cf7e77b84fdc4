/*
 * Layers and edges.
 *
 * Only what a result or an Assign needs is read; a file may hold layers that nobody uses.
 */
#include <string.h>

#include "frontend/openvino/read.h"

/* ---- Layers ---- */

static bool
fail_at(Ov *r, const Xml *e, DiagCode code, const char *text)
{
	const Loc loc = {.file = r->file->path, .line = e->line, .column = e->column};

	return diag_report(r->d, &loc, code, "%s", text);
}

/* opset1, opset2, ...; 0 for anything else. */
static int
opset_number(const char *version)
{
	int n = 0;

	if (!version || strncmp(version, "opset", 5) != 0 || !version[5])
		return 0;
	for (const char *s = version + 5; *s; s++) {
		if (*s < '0' || *s > '9' || n > 1000)
			return 0;
		n = 10 * n + (*s - '0');
	}
	return n;
}

static const char *
port_key(Ov *r, const char *layer, const char *port)
{
	return arena_printf(r->arena, "%s:%s", layer, port);
}

/* The ports in `list`, an <input> or <output> or NULL. */
static bool
read_ports(Layer *l, const Xml *list, Map *map, int *count, Port **ports)
{
	Ov *r = l->r;
	int n = list ? xml_count(list, "port") : 0, i = 0;

	if (n > r->ports_left)
		return fail_at(r, list, E_SIZE, "the model has too many ports");
	r->ports_left -= n;
	*count = n;
	*ports = ARENA_ARRAY(r->arena, Port, n);
	for (const Xml *p = xml_child(list, "port"); p; p = xml_same(p), i++) {
		const char *id = xml_attr(p, "id"), *key;

		if (!id)
			return fail_at(r, p, E_MALFORMED, "a port without an id");
		key = port_key(r, l->id, id);
		if (map_get(map, key))
			return fail_at(r, p, E_NAME, "a layer has two ports of the same id");
		(*ports)[i].xml = p;
		map_set(map, key, &(*ports)[i]);
	}
	return true;
}

static Loc
layer_loc(const Ov *r, const Layer *l, int number)
{
	return (Loc){.file = r->file->path,
	             .line = l->xml->line,
	             .column = l->xml->column,
	             .where = arena_printf(r->arena, "layer %.20s '%.100s' (%.60s)", l->id,
	                                   l->name, l->type),
	             .node = number + 1};
}

static Layer *
read_layer(Net *net, const Xml *e, int number)
{
	Ov *r = net->r;
	Layer *l = ARENA_NEW(r->arena, Layer);

	*l = (Layer){.net = net, .r = r, .xml = e, .data = xml_child(e, "data")};
	l->id = xml_attr(e, "id");
	l->type = xml_attr(e, "type");
	l->name = xml_attr(e, "name");
	if (!l->id || !l->type) {
		fail_at(r, e, E_MALFORMED, "a layer without an id or a type");
		return NULL;
	}
	if (!l->name)
		l->name = l->id;
	l->opset = opset_number(xml_attr(e, "version"));
	if (map_get(&net->by_id, l->id)) {
		fail_at(r, e, E_NAME, "two layers have the same id");
		return NULL;
	}
	map_set(&net->by_id, l->id, l);
	if (!read_ports(l, xml_child(e, "input"), &net->in_ports, &l->nins, &l->in_port) ||
	    !read_ports(l, xml_child(e, "output"), &net->out_ports, &l->nouts, &l->out_port))
		return NULL;
	l->in = ARENA_ARRAY(r->arena, Value *, l->nins);
	l->out = ARENA_ARRAY(r->arena, Value *, l->nouts);
	l->wanted = ARENA_ARRAY(r->arena, bool, l->nouts);
	l->b = (Builder){.g = r->g,
	                 .d = r->d,
	                 .loc = layer_loc(r, l, number),
	                 .name = l->name,
	                 .fold_left = &r->fold_left,
	                 .nodes_left = &r->nodes_left};
	return l;
}

static bool
read_layers(Net *net, const Xml *e)
{
	Ov *r = net->r;
	const Xml *list = xml_child(e, "layers");
	int n = list ? xml_count(list, "layer") : 0;

	if (!list)
		return fail_at(r, e, E_MALFORMED, "there is no list of layers");
	if (n > r->layers_left)
		return fail_at(r, list, E_SIZE, "the model has too many layers");
	r->layers_left -= n;
	net->layer = ARENA_ARRAY(r->arena, Layer *, n);
	for (const Xml *k = xml_child(list, "layer"); k; k = xml_same(k)) {
		net->layer[net->nlayers] = read_layer(net, k, net->nlayers);
		if (!net->layer[net->nlayers])
			return false;
		net->nlayers++;
	}
	return true;
}

Layer *
ov_find_layer(const Net *net, const char *id)
{
	return id ? map_get(&net->by_id, id) : NULL;
}

/* ---- Edges ---- */

static bool
read_edge(Net *net, const Xml *e)
{
	Ov *r = net->r;
	const char *from = xml_attr(e, "from-layer"), *from_port = xml_attr(e, "from-port");
	const char *to = xml_attr(e, "to-layer"), *to_port = xml_attr(e, "to-port");
	Port *source, *sink;
	Layer *l;

	if (!from || !from_port || !to || !to_port)
		return fail_at(r, e, E_MALFORMED, "an edge does not say what it connects");
	source = map_get(&net->out_ports, port_key(r, from, from_port));
	sink = map_get(&net->in_ports, port_key(r, to, to_port));
	if (!source || !sink)
		return fail_at(r, e, E_NAME,
		               arena_printf(r->arena, "there is no %s port %.20s of layer %.20s",
		                            source ? "input" : "output",
		                            source ? to_port : from_port, source ? to : from));
	if (sink->from)
		return fail_at(r, e, E_NAME, "the input of this edge has one already");
	l = map_get(&net->by_id, from);
	sink->from = l;
	sink->from_output = (int)(source - l->out_port);
	l->wanted[sink->from_output] = true;
	return true;
}

/* ---- Order ---- */

static bool
cycle(const Layer *l)
{
	return diag_report(l->r->d, &l->b.loc, E_CYCLE, "the layer depends on itself");
}

/* Puts `root` and what it needs into the order; `stack` and `next` have room for all. */
static bool
visit(Net *net, Layer *root, Layer **stack, int *next)
{
	int depth = 0;

	if (root->mark == LAYER_DONE)
		return true;
	root->mark = LAYER_OPEN;
	stack[0] = root;
	next[0] = 0;
	while (depth >= 0) {
		Layer *l = stack[depth], *needed;

		if (next[depth] == l->nins) {
			l->mark = LAYER_DONE;
			net->order[net->norder++] = l;
			depth--;
			continue;
		}
		needed = l->in_port[next[depth]++].from;
		if (!needed || needed->mark == LAYER_DONE)
			continue;
		if (needed->mark == LAYER_OPEN)
			return cycle(needed);
		needed->mark = LAYER_OPEN;
		stack[++depth] = needed;
		next[depth] = 0;
	}
	return true;
}

/* Backwards from everything that has an effect, so that the order is the file's where
 * that is one. */
static bool
put_in_order(Net *net)
{
	Arena *a = net->r->arena;
	Layer **stack = ARENA_ARRAY(a, Layer *, net->nlayers);
	bool *wanted = ARENA_ARRAY(a, bool, net->nlayers);
	int *next = ARENA_ARRAY(a, int, net->nlayers);

	net->order = ARENA_ARRAY(a, Layer *, net->nlayers);
	for (int i = 0; i < net->nlayers; i++) {
		Layer *l = net->layer[i];

		wanted[i] = l->nouts == 0 || strcmp(l->type, "Assign") == 0;
		if (wanted[i] && !visit(net, l, stack, next))
			return false;
	}
	/* Once more, now that it is known what is needed. */
	for (int i = 0; i < net->nlayers; i++) {
		wanted[i] = net->layer[i]->mark == LAYER_DONE;
		net->layer[i]->mark = LAYER_NEW;
	}
	net->norder = 0;
	for (int i = 0; i < net->nlayers; i++)
		if (wanted[i] && !visit(net, net->layer[i], stack, next))
			return false;
	return true;
}

Net *
ov_net(Ov *r, const Xml *e, const char *prefix)
{
	Net *net = ARENA_NEW(r->arena, Net);
	const Xml *edges = xml_child(e, "edges");

	*net = (Net){.r = r, .prefix = prefix};
	map_init(&net->by_id, r->arena);
	map_init(&net->in_ports, r->arena);
	map_init(&net->out_ports, r->arena);
	if (!read_layers(net, e))
		return NULL;
	for (const Xml *k = xml_child(edges, "edge"); k; k = xml_same(k))
		if (!read_edge(net, k))
			return NULL;
	return put_in_order(net) ? net : NULL;
}

/* ---- Reading ---- */

/* The values of the inputs; false when one could not be read, or is missing. */
static bool
take_inputs(Layer *l)
{
	for (int i = 0; i < l->nins; i++) {
		const Port *p = &l->in_port[i];

		l->in[i] = p->from ? p->from->out[p->from_output] : NULL;
		if (p->from && !l->in[i])
			return false;
		if (!p->from && (!l->info || i < l->info->in_min))
			return ov_error(l, E_ARITY, "input %d is not connected", i);
	}
	return true;
}

static bool
refuse(Layer *l)
{
	Ov *r = l->r;
	const char *version = xml_attr(l->xml, "version");
	Refused *k = map_get(&r->refused, l->type);

	if (!k) {
		k = ARENA_NEW(r->arena, Refused);
		k->name = l->type;
		map_set(&r->refused, l->type, k);
		VEC_PUSH(r->arena, &r->refusals, k);
	}
	k->count++;
	return ov_error(l, E_OP, "layers of type '%.60s' (%.40s) are not supported", l->type,
	                version ? version : "of no opset");
}

static bool
check_arity(Layer *l)
{
	const OvOp *o = l->info;

	if (l->nins < o->in_min || l->nins > o->in_max)
		return ov_error(l, E_ARITY, "'%s' cannot have %d inputs; it takes %d to %d", o->name,
		                l->nins, o->in_min, o->in_max);
	if (l->nouts < o->out_min || l->nouts > o->out_max)
		return ov_error(l, E_ARITY, "'%s' cannot have %d outputs; it makes %d to %d",
		                o->name, l->nouts, o->out_min, o->out_max);
	return true;
}

/* A result that is not of the type that the file states is worth a word. */
static void
check_precision(Layer *l, int i)
{
	const char *stated = xml_attr(l->out_port[i].xml, "precision");
	DType t = stated ? ov_dtype(stated) : DT_COUNT;

	if (l->out[i] && t != DT_COUNT && t != l->out[i]->type.dtype)
		diag_report(l->r->d, &l->b.loc, W_MODEL,
		            "the model says %s but the result has type %s", stated,
		            dtype_info[l->out[i]->type.dtype].name);
}

/* Whether one more layer may be read; the first one too many is reported. */
static bool
may_read(Layer *l)
{
	Ov *r = l->r;

	if (r->reads_left > 0 && r->nodes_left >= 0) {
		r->reads_left--;
		return true;
	}
	if (r->reads_left-- == 0)
		ov_error(l, E_SIZE, "more than %d layers, unrolled", OV_MAX_READS);
	r->reads_left = -1;
	return false;
}

static void
warn_newer(Layer *l)
{
	if (l->opset > OV_NEWEST_OPSET && !l->r->newer)
		diag_report(l->r->d, &l->b.loc, W_MODEL,
		            "opset%d is newer than opset%d, by whose rules it is read", l->opset,
		            OV_NEWEST_OPSET);
	l->r->newer |= l->opset > OV_NEWEST_OPSET;
}

static void
run_layer(Layer *l)
{
	l->failed = false;
	l->info = ov_find_op(l->type, l->opset);
	if (!may_read(l))
		return;
	if (!l->info) {
		refuse(l);
		return;
	}
	warn_newer(l);
	if (!check_arity(l) || !take_inputs(l))
		return;
	if (!l->info->read(l) || l->failed) {
		for (int i = 0; i < l->nouts; i++)
			l->out[i] = NULL;
		return;
	}
	for (int i = 0; i < l->nouts; i++)
		check_precision(l, i);
}

bool
ov_run(Net *net)
{
	int errors = net->r->d->errors;

	for (int i = 0; i < net->norder; i++) {
		Layer *l = net->order[i];

		if (strcmp(l->type, "Result") == 0)
			take_inputs(l);
		else if (strcmp(l->type, "Parameter") != 0)
			run_layer(l);
	}
	return net->r->d->errors == errors;
}

void
ov_reset(Net *net, const char *prefix)
{
	net->prefix = prefix;
	for (int i = 0; i < net->nlayers; i++) {
		Layer *l = net->layer[i];

		for (int k = 0; k < l->nouts; k++)
			l->out[k] = NULL;
		l->b.name = *prefix ? arena_printf(net->r->arena, "%s%s", prefix, l->name) : l->name;
	}
}
