/*
 * The file: its version, inputs and outputs.
 */
#include <string.h>

#include "frontend/openvino/openvino.h"
#include "frontend/openvino/read.h"

bool
openvino_sniff(const uint8_t *bytes, size_t n)
{
	size_t length;
	const char *name = xml_root_name(bytes, n, &length);

	return name && length == 3 && memcmp(name, "net", 3) == 0;
}

/* ---- Names ---- */

/* The first of the names that a port has, where a backslash makes a comma part of one. */
static const char *
first_name(Arena *a, const char *names)
{
	Str s;

	str_init(&s, a);
	for (; names && *names && *names != ','; names++) {
		if (*names == '\\' && names[1])
			names++;
		str_putc(&s, *names);
	}
	return s.n ? s.s : NULL;
}

/* What a user calls an output of a layer: the name of the tensor, or that of the layer. */
static const char *
output_name(const Layer *l, int i)
{
	const char *name = first_name(l->r->arena, xml_attr(l->out_port[i].xml, "names"));

	if (name)
		return name;
	return l->nouts == 1 ? l->name : arena_printf(l->r->arena, "%s.%d", l->name, i);
}

static bool
is_called(const Layer *l, const char *name)
{
	return strcmp(l->name, name) == 0 || strcmp(output_name(l, 0), name) == 0;
}

static bool
is_parameter(const Layer *l)
{
	return strcmp(l->type, "Parameter") == 0 && l->nouts == 1;
}

static const Layer *
find_parameter(const Net *net, const char *name)
{
	for (int i = 0; i < net->nlayers; i++)
		if (is_parameter(net->layer[i]) && is_called(net->layer[i], name))
			return net->layer[i];
	return NULL;
}

/* ---- Shapes of inputs ---- */

/* A dimension: 5, or a range of what it may be: ?, -1, 1..5, 1.., ..5. */
typedef struct {
	int64_t least, most;
} Extent;

enum { UNBOUNDED = INT32_MAX };

/* Digits at *s, which is moved behind them. */
static bool
parse_length(const char **s, int64_t *out)
{
	int64_t v = 0;

	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; ++*s)
		if (v <= UNBOUNDED)
			v = 10 * v + (**s - '0');
	*out = v;
	return true;
}

static bool
parse_extent(const char **s, Extent *e)
{
	bool least, range;

	*e = (Extent){0, UNBOUNDED};
	if (**s == '?') {
		++*s;
		return true;
	}
	if ((*s)[0] == '-' && (*s)[1] == '1') {
		*s += 2;
		return true;
	}
	least = parse_length(s, &e->least);
	range = (*s)[0] == '.' && (*s)[1] == '.';
	if (range)
		*s += 2;
	if (!range) {
		e->most = e->least;
		return least;
	}
	parse_length(s, &e->most);
	return true;
}

/* "1,3,?,224"; false when it is no such list. */
static bool
parse_shape(const char *s, Extent *e, int *rank)
{
	*rank = 0;
	for (s += strspn(s, " "); *s; s += strspn(s, ", ")) {
		if (*rank == MAX_RANK || !parse_extent(&s, &e[*rank]) || !strchr(", ", *s))
			return false;
		++*rank;
	}
	return true;
}

/* The dimensions that a port lists. */
static bool
port_shape(const Layer *l, Extent *e, int *rank)
{
	*rank = 0;
	for (const Xml *k = xml_child(l->out_port[0].xml, "dim"); k; k = xml_same(k)) {
		const char *s = xml_trimmed(l->r->arena, k);

		if (*rank == MAX_RANK || !parse_extent(&s, &e[*rank]) || *s)
			return false;
		++*rank;
	}
	return true;
}

static const InputShape *
given_shape(const Layer *l)
{
	const FrontendOptions *o = l->r->file->options;

	for (int i = 0; i < o->nshapes; i++)
		if (is_called(l, o->shapes[i].input))
			return &o->shapes[i];
	return NULL;
}

/* The shape as the option would have it, with ? for what is missing. */
static const char *
shape_pattern(Layer *l, const Extent *e, int rank)
{
	Str s;

	str_init(&s, l->r->arena);
	for (int i = 0; i < rank; i++) {
		str_puts(&s, i ? "x" : "");
		if (e[i].least == e[i].most)
			str_printf(&s, "%lld", (long long)e[i].least);
		else
			str_putc(&s, '?');
	}
	return s.s;
}

static bool
check_given(Layer *l, const InputShape *given, const Extent *e, int rank)
{
	if (given->rank != rank)
		return ov_error(l, E_SHAPE, "-finput-shape gives %d dimensions; the model has %d",
		                given->rank, rank);
	for (int i = 0; i < rank; i++)
		if (given->dim[i] < e[i].least || given->dim[i] > e[i].most)
			return ov_error(l, E_SHAPE,
			                "-finput-shape gives the length %d in dimension %d, which the "
			                "model does not allow: %lld to %lld",
			                given->dim[i], i, (long long)e[i].least,
			                (long long)e[i].most);
	return true;
}

static bool
fixed_shape(Layer *l, const Extent *e, int rank, Type *t)
{
	const char *name = output_name(l, 0);

	t->rank = rank;
	for (int i = 0; i < rank; i++) {
		if (e[i].least != e[i].most)
			return ov_error(l, E_DIMENSION,
			                "dimension %d of input '%s' is not known; give the shape with "
			                "-finput-shape=%s:%s",
			                i, name, name, shape_pattern(l, e, rank));
		if (e[i].least > INT32_MAX)
			return ov_error(l, E_SIZE, "dimension %d is %lld", i, (long long)e[i].least);
		t->dim[i] = (int32_t)e[i].least;
	}
	return true;
}

static bool
parameter_type(Layer *l, Type *t)
{
	const char *element = ov_attr(l, "element_type"), *shape = ov_attr(l, "shape");
	const char *name = output_name(l, 0);
	const InputShape *given = given_shape(l);
	Extent e[MAX_RANK];
	int rank;

	if (!element)
		element = xml_attr(l->out_port[0].xml, "precision");
	*t = (Type){.dtype = element ? ov_dtype(element) : DT_COUNT};
	if (t->dtype == DT_COUNT || (element[0] && strcmp(element + 1, "4") == 0))
		return ov_error(l, E_UNSUPPORTED,
		                "an input with elements of type '%.40s' is not supported",
		                element ? element : "");
	if (shape && strcmp(shape, "...") == 0 && !given)
		return ov_error(l, E_DIMENSION,
		                "the shape of input '%s' is not known; give it with "
		                "-finput-shape=%s:1x2x3",
		                name, name);
	if (shape && strcmp(shape, "...") == 0) {
		*t = type_make(t->dtype, given->rank, given->dim);
	} else {
		if (!(shape ? parse_shape(shape, e, &rank) : port_shape(l, e, &rank)))
			return ov_error(l, E_MALFORMED, "the shape '%.60s' is none of at most %d axes",
			                shape ? shape : "", MAX_RANK);
		if (!given && !fixed_shape(l, e, rank, t))
			return false;
		if (given && !check_given(l, given, e, rank))
			return false;
		if (given)
			*t = type_make(t->dtype, given->rank, given->dim);
	}
	return type_is_representable(t) || ov_error(l, E_SIZE, "the input is larger than 2 GiB");
}

static void
read_inputs(Net *net)
{
	for (int i = 0; i < net->nlayers; i++) {
		Layer *l = net->layer[i];
		Type t;

		if (strcmp(l->type, "Parameter") != 0)
			continue;
		if (l->nouts != 1)
			ov_error(l, E_ARITY, "a parameter has %d outputs", l->nouts);
		else if (parameter_type(l, &t))
			l->out[0] = frontend_input(net->r->file, net->r->g, output_name(l, 0), t,
			                           &l->b.loc, net->r->d);
	}
}

/* -finput-shape, -finput-value and -D must name something. */
static void
check_options(const Net *net, const Loc *loc)
{
	const FrontendOptions *o = net->r->file->options;
	Diag *d = net->r->d;

	for (int i = 0; i < o->nshapes; i++)
		if (!find_parameter(net, o->shapes[i].input))
			diag_report(d, loc, E_NAME, "-finput-shape: the model has no input '%s'",
			            o->shapes[i].input);
	for (int i = 0; i < o->ndims; i++)
		diag_report(d, loc, W_UNUSED,
		            "-D: dimensions of OpenVINO models have no names, as '%s'; "
		            "-finput-shape gives them",
		            o->dims[i].name);
}

/* ---- Outputs ---- */

/* Whether an input or output is called so. */
static bool
is_taken(const Graph *g, const char *name)
{
	for (int i = 0; i < g->output_names.n; i++)
		if (strcmp(g->output_names.v[i], name) == 0)
			return true;
	for (int i = 0; i < g->inputs.n; i++)
		if (strcmp(g->inputs.v[i]->name, name) == 0)
			return true;
	return false;
}

static void
read_outputs(Net *net)
{
	for (int i = 0; i < net->nlayers; i++) {
		Layer *l = net->layer[i];
		const char *name;

		if (strcmp(l->type, "Result") != 0)
			continue;
		if (l->nins != 1 || !l->in_port[0].from) {
			ov_error(l, E_ARITY, "a result needs one input");
			continue;
		}
		if (!l->in[0])
			continue;
		name = output_name(l->in_port[0].from, l->in_port[0].from_output);
		if (is_taken(net->r->g, name))
			name = l->name;
		graph_output(net->r->g, name, l->in[0]);
	}
}

/* ---- The whole ---- */

/* How many layers are not supported; shown also behind the last error that is shown. */
static void
report_refusals(Ov *r, const Loc *loc)
{
	int total = 0;
	Str s;

	str_init(&s, r->arena);
	for (int i = 0; i < r->refusals.n; i++) {
		total += r->refusals.v[i]->count;
		if (i < 20)
			str_printf(&s, i ? ", %.60s (%d)" : "%.60s (%d)", r->refusals.v[i]->name,
			           r->refusals.v[i]->count);
	}
	if (total > 1)
		diag_summary(r->d, loc, "%d layers are of types that are not supported: %s%s", total,
		             s.s, r->refusals.n > 20 ? ", ..." : "");
}

static bool
check_version(Ov *r, const Xml *root)
{
	const Loc loc = {.file = r->file->path, .line = root->line, .column = root->column};
	const char *version = xml_attr(root, "version");

	if (!xml_is(root, "net"))
		return diag_report(r->d, &loc, E_MALFORMED,
		                   "the file is no OpenVINO IR: it is a <%.60s>, not a <net>",
		                   root->name);
	if (!version)
		return diag_report(r->d, &loc, E_MALFORMED, "the model has no version");
	if (strcmp(version, "10") != 0 && strcmp(version, "11") != 0)
		return diag_report(r->d, &loc, E_UNSUPPORTED,
		                   "OpenVINO IR version %.20s is not supported; 10 and 11 are",
		                   version);
	return true;
}

static bool
read_model(Ov *r, const Xml *root)
{
	const Loc loc = {.file = r->file->path, .line = root->line, .column = root->column};
	Net *net = ov_net(r, root, "");

	if (!net)
		return false;
	read_inputs(net);
	check_options(net, &loc);
	ov_run(net);
	read_outputs(net);
	report_refusals(r, &loc);
	if (r->d->errors)
		return false;
	if (r->g->outputs.n == 0)
		return diag_report(r->d, &loc, E_MALFORMED, "the model has no results");
	return ov_finish_variables(r);
}

Graph *
openvino_read(const FrontendFile *f, Diag *d)
{
	const Xml *root = xml_parse(f->arena, f->path, f->bytes, f->size, d);
	Ov r = {.arena = f->arena,
	        .d = d,
	        .file = f,
	        .layers_left = OV_MAX_LAYERS,
	        .ports_left = OV_MAX_PORTS,
	        .nodes_left = OV_MAX_NODES,
	        .reads_left = OV_MAX_READS,
	        .fold_left = OV_FOLD_BUDGET,
	        .bytes_left = OV_CONST_BYTES};
	const char *name;

	if (!root || !check_version(&r, root))
		return NULL;
	name = xml_attr(root, "name");
	r.g = graph_new(f->arena, name && *name ? name : "model");
	map_init(&r.refused, f->arena);
	map_init(&r.variables, f->arena);
	map_init(&r.codes, f->arena);
	return read_model(&r, root) ? r.g : NULL;
}
