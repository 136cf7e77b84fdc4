/*
 * The model: operator sets, functions, inputs and outputs.
 */
#include <string.h>

#include "frontend/onnx/onnx.h"
#include "frontend/onnx/read.h"
#include "frontend/onnx/wire.h"
#include "frontend/onnx/words.h"

enum { NEWEST_IR = 13, FIELD_ATTRIBUTE_PROTO = 11 };

static Loc
file_loc(const Onnx *r)
{
	return (Loc){.file = r->file->path};
}

/* ---- Operator sets and functions ---- */

static void
check_versions(Onnx *r, const Opsets *opsets)
{
	const Loc loc = file_loc(r);

	if (r->model->ir_version > NEWEST_IR)
		diag_report(r->d, &loc, W_MODEL,
		            "IR version %lld is newer than %d, the newest that is known",
		            (long long)r->model->ir_version, NEWEST_IR);
	for (int i = 0; i < opsets->n; i++)
		if (!*opsets->v[i].domain && opsets->v[i].version > ONNX_NEWEST_OPSET)
			diag_report(r->d, &loc, W_MODEL,
			            "opset %d is newer than %d, by whose rules it is read",
			            opsets->v[i].version, ONNX_NEWEST_OPSET);
}

/* Defaults of attributes came with IR version 9, after Debian's onnx.proto: they
 * are among the unknown fields. */
static bool
read_defaults(Onnx *r, Function *f)
{
	const ProtobufCMessage *m = &f->proto->base;
	const Loc loc = file_loc(r);

	f->defaults = ARENA_ARRAY(r->arena, const AttributeProto *, m->n_unknown_fields);
	for (unsigned i = 0; i < m->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *u = &m->unknown_fields[i];
		Onnx__AttributeProto *a;
		size_t skip = 0;

		if (u->tag != FIELD_ATTRIBUTE_PROTO || u->wire_type != 2)
			continue;
		while (skip < u->len && u->data[skip] >= 0x80) /* the length in front */
			skip++;
		if (skip++ >= u->len)
			continue;
		a = (void *)onnx_unpack(r->arena, &onnx__attribute_proto__descriptor,
		                        u->data + skip, u->len - skip, &loc, r->d);
		if (!a)
			return false;
		if (a->name)
			f->defaults[f->ndefaults++] = a;
	}
	return true;
}

static bool
collect_functions(Onnx *r)
{
	for (size_t i = 0; i < r->model->n_functions; i++) {
		Function *f = ARENA_NEW(r->arena, Function);
		const Loc loc = file_loc(r);
		const char *key;

		f->proto = r->model->functions[i];
		if (!f->proto->name)
			return diag_report(r->d, &loc, E_MALFORMED, "function %zu has no name", i);
		key = arena_printf(r->arena, "%s:%s", onnx_domain(f->proto->domain),
		                   f->proto->name);
		if (map_get(&r->functions, key))
			return diag_report(r->d, &loc, E_NAME, "function '%s' is defined twice",
			                   f->proto->name);
		if (!read_defaults(r, f))
			return false;
		map_set(&r->functions, key, f);
	}
	return true;
}

/* ---- Types ---- */

static const Onnx__TypeProto__Tensor *
tensor_type(const TypeProto *t)
{
	return t && t->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? t->tensor_type : NULL;
}

/* The length of a dimension, or -1 when it is not known. */
static int64_t
dim_length(const Onnx *r, const Onnx__TensorShapeProto__Dimension *d)
{
	const int32_t *known;

	if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
		return d->dim_value;
	if (d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM || !d->dim_param)
		return -1;
	known = map_get(&r->dims, d->dim_param);
	return known ? *known : -1;
}

bool
onnx_resolve_type(Onnx *r, const TypeProto *t, Type *out)
{
	const Onnx__TypeProto__Tensor *tensor = tensor_type(t);

	if (!tensor || !tensor->shape || tensor->shape->n_dim > MAX_RANK)
		return false;
	*out = (Type){.dtype = onnx_dtype(tensor->elem_type), .rank = (int)tensor->shape->n_dim};
	if (out->dtype == DT_COUNT)
		return false;
	for (int i = 0; i < out->rank; i++) {
		int64_t length = dim_length(r, tensor->shape->dim[i]);

		if (length < 0 || length > INT32_MAX)
			return false;
		out->dim[i] = (int32_t)length;
	}
	return type_is_representable(out);
}

/* ---- Inputs ---- */

static const InputShape *
given_shape(const Onnx *r, const char *name)
{
	const FrontendOptions *o = r->file->options;

	for (int i = 0; i < o->nshapes; i++)
		if (strcmp(o->shapes[i].input, name) == 0)
			return &o->shapes[i];
	return NULL;
}

static void
set_dim(Onnx *r, const char *name, int32_t value)
{
	int32_t *v = ARENA_NEW(r->arena, int32_t);

	*v = value;
	map_set(&r->dims, name, v);
}

/* Checks a shape given by option against what the model says and learns the
 * values of named dimensions from it. */
static bool
learn_dims(Onnx *r, const ValueInfoProto *info, const InputShape *given, const Loc *loc)
{
	const Onnx__TypeProto__Tensor *t = tensor_type(info->type);

	if (!t || !t->shape)
		return true;
	if (t->shape->n_dim != (size_t)given->rank)
		return diag_report(r->d, loc, E_SHAPE,
		                   "-finput-shape gives input '%s' %d dimensions; the model has %zu",
		                   info->name, given->rank, t->shape->n_dim);
	for (int i = 0; i < given->rank; i++) {
		const Onnx__TensorShapeProto__Dimension *dim = t->shape->dim[i];
		int64_t length = dim_length(r, dim);

		if (length >= 0 && length != given->dim[i])
			return diag_report(r->d, loc, E_SHAPE,
			                   "-finput-shape gives input '%s' the length %d in "
			                   "dimension %d; it is %lld",
			                   info->name, given->dim[i], i, (long long)length);
		if (length < 0 && dim->value_case ==
		                          ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM)
			set_dim(r, dim->dim_param, given->dim[i]);
	}
	return true;
}

/* The shape as the option would have it, with ? for what is missing. */
static const char *
shape_pattern(Onnx *r, const Onnx__TensorShapeProto *shape)
{
	Str s;

	str_init(&s, r->arena);
	for (size_t i = 0; i < shape->n_dim && i < MAX_RANK; i++) {
		int64_t length = dim_length(r, shape->dim[i]);

		str_puts(&s, i ? "x" : "");
		if (length < 0)
			str_putc(&s, '?');
		else
			str_printf(&s, "%lld", (long long)length);
	}
	return s.s;
}

/* One error for each dimension that nobody gave; a named one only once. */
static void
report_missing_dims(Onnx *r, const ValueInfoProto *info, const Loc *loc, Map *reported)
{
	const Onnx__TensorShapeProto *shape = tensor_type(info->type)->shape;

	for (size_t i = 0; i < shape->n_dim; i++) {
		const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
		const char *name =
			dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
				? dim->dim_param
				: NULL;

		if (dim_length(r, dim) >= 0)
			continue;
		if (!name || !*name) {
			diag_report(r->d, loc, E_DIMENSION,
			            "dimension %zu of input '%s' is not known; give the shape "
			            "with -finput-shape=%s:%s",
			            i, info->name, info->name, shape_pattern(r, shape));
		} else if (!map_get(reported, name)) {
			map_set(reported, name, r);
			diag_report(r->d, loc, E_DIMENSION,
			            "dimension %zu of input '%s', named '%s', is not known; give "
			            "it with -D %s=N or -finput-shape=%s:%s",
			            i, info->name, name, name, info->name,
			            shape_pattern(r, shape));
		}
	}
}

static bool
check_shape(Onnx *r, const char *name, const Type *t, const Loc *loc)
{
	if (type_is_representable(t))
		return true;
	return diag_report(r->d, loc, E_SIZE, "input '%s' is larger than 2 GiB", name);
}

/* Strings are numbers of words; see words.h. */
static bool
is_string(const Onnx__TypeProto__Tensor *t)
{
	return t && t->elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
}

/* The type of an input; false after an error. */
static bool
input_type(Onnx *r, const ValueInfoProto *info, const Loc *loc, Map *reported, Type *out)
{
	const Onnx__TypeProto__Tensor *t = tensor_type(info->type);
	const InputShape *given = given_shape(r, info->name);

	if (!t)
		return diag_report(r->d, loc, E_UNSUPPORTED,
		                   info->type ? "input '%s' is no tensor"
		                              : "input '%s' has no type",
		                   info->name);
	*out = (Type){.dtype = is_string(t) ? DT_I64 : onnx_dtype(t->elem_type)};
	if (out->dtype == DT_COUNT)
		return diag_report(r->d, loc, E_UNSUPPORTED,
		                   "input '%s' has elements of type %s, which is not supported",
		                   info->name, onnx_type_name(r->arena, t->elem_type));
	if (given) {
		*out = type_make(out->dtype, given->rank, given->dim);
		return check_shape(r, info->name, out, loc);
	}
	if (!t->shape)
		return diag_report(r->d, loc, E_DIMENSION,
		                   "the shape of input '%s' is not known; give it with "
		                   "-finput-shape=%s:1x2x3",
		                   info->name, info->name);
	if (t->shape->n_dim > MAX_RANK)
		return diag_report(r->d, loc, E_SIZE,
		                   "input '%s' has %zu dimensions; at most %d are possible",
		                   info->name, t->shape->n_dim, MAX_RANK);
	out->rank = (int)t->shape->n_dim;
	for (int i = 0; i < out->rank; i++) {
		int64_t length = dim_length(r, t->shape->dim[i]);

		if (length < 0) {
			report_missing_dims(r, info, loc, reported);
			return false;
		}
		if (length > INT32_MAX)
			return diag_report(r->d, loc, E_SIZE, "dimension %d of input '%s' is %lld",
			                   i, info->name, (long long)length);
		out->dim[i] = (int32_t)length;
	}
	return check_shape(r, info->name, out, loc);
}

/* Whether an input has a dimension of that name. */
static bool
uses_dim(const GraphProto *g, const char *name)
{
	for (size_t i = 0; i < g->n_input; i++) {
		const Onnx__TypeProto__Tensor *t = tensor_type(g->input[i]->type);

		for (size_t k = 0; t && t->shape && k < t->shape->n_dim; k++)
			if (t->shape->dim[k]->value_case ==
			            ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
			    strcmp(t->shape->dim[k]->dim_param, name) == 0)
				return true;
	}
	return false;
}

/* Whether there is an input of that name which is no initialiser. */
static bool
is_plain_input(const GraphProto *g, const Scope *s, const char *name)
{
	for (size_t i = 0; i < g->n_input; i++)
		if (g->input[i]->name && strcmp(g->input[i]->name, name) == 0)
			return !map_get(&s->names, name);
	return false;
}

/* -finput-shape, -finput-value and -D must name something. */
static void
check_options(Onnx *r, const GraphProto *g, const Scope *s)
{
	const FrontendOptions *o = r->file->options;
	const Loc loc = file_loc(r);

	for (int i = 0; i < o->nshapes; i++)
		if (!is_plain_input(g, s, o->shapes[i].input))
			diag_report(r->d, &loc, E_NAME,
			            "-finput-shape: the model has no input '%s'",
			            o->shapes[i].input);
	for (int i = 0; i < o->nvalues; i++)
		if (!is_plain_input(g, s, o->values[i].input))
			diag_report(r->d, &loc, E_NAME,
			            "-finput-value: the model has no input '%s'",
			            o->values[i].input);
	for (int i = 0; i < o->ndims; i++)
		if (!uses_dim(g, o->dims[i].name))
			diag_report(r->d, &loc, W_UNUSED, "-D: no input has a dimension '%s'",
			            o->dims[i].name);
}

static void
read_inputs(Onnx *r, Scope *s, const GraphProto *g)
{
	Map reported;

	map_init(&reported, r->arena);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < g->n_input; i++) {
			const ValueInfoProto *info = g->input[i];
			const char *name = info->name ? info->name : "";
			const Loc loc = {.file = r->file->path,
			                 .where = arena_printf(r->arena, "input '%s'", name)};
			const InputShape *given = given_shape(r, name);
			const char *const *keys = NULL;
			Type t;
			Value *v = NULL;
			bool ok;

			if (!*name) {
				if (pass == 0)
					diag_report(r->d, &loc, E_MALFORMED,
					            "input %zu has no name", i);
				continue;
			}
			if (pass == 0 && given)
				learn_dims(r, info, given, &loc);
			if (pass == 0 || map_get(&s->names, name)) /* an initialiser */
				continue;
			ok = words_is_map(info->type)
			             ? words_map_input(r, g, info, &loc, &t, &keys)
			             : input_type(r, info, &loc, &reported, &t);
			if (ok)
				v = frontend_input(r->file, r->g, name, t, &loc, r->d);
			if (v && keys)
				words_add_map(r, v, keys);
			else if (v && is_string(tensor_type(info->type)))
				words_add_input(r, v);
			onnx_bind(r, s, name, v, &loc);
		}
	}
}

/* ---- Outputs ---- */

static void
check_declared(Onnx *r, const ValueInfoProto *info, const Value *v, const Loc *loc)
{
	const Onnx__TypeProto__Tensor *t = tensor_type(info->type);
	Type declared;

	if (!t)
		return;
	if (t->elem_type && onnx_dtype(t->elem_type) != v->type.dtype)
		diag_report(r->d, loc, E_TYPE, "the model says type %s but the result has type %s",
		            onnx_type_name(r->arena, t->elem_type),
		            dtype_info[v->type.dtype].name);
	else if (onnx_resolve_type(r, info->type, &declared) &&
	         !type_same_shape(&declared, &v->type))
		diag_report(r->d, loc, W_MODEL, "the model says %s but the result is %s",
		            type_text(r->arena, &declared), type_text(r->arena, &v->type));
}

static void
read_outputs(Onnx *r, const Scope *s, const GraphProto *g)
{
	for (size_t i = 0; i < g->n_output; i++) {
		const ValueInfoProto *info = g->output[i];
		const char *name = info->name ? info->name : "";
		const Loc loc = {.file = r->file->path,
		                 .where = arena_printf(r->arena, "output '%s'", name)};
		const Binding *b = onnx_lookup(s, name);

		if (!b) {
			diag_report(r->d, &loc, E_NAME, "there is no value '%s'", name);
		} else if (b->sequence) {
			diag_report(r->d, &loc, E_UNSUPPORTED,
			            "output '%s' is a sequence, which is not supported", name);
		} else if (b->value) {
			graph_output(r->g, name, b->value);
			/* Declared as strings, they are the numbers of strings. */
			if (!words_are_strings(r, b->value))
				check_declared(r, info, b->value, &loc);
		}
	}
	words_declare(r);
}

/* ---- The whole ---- */

/* How many nodes use what is not supported; shown also behind the last error
 * that is shown. */
static void
report_refusals(Onnx *r)
{
	const Loc loc = file_loc(r);
	int total = 0;
	Str s;

	str_init(&s, r->arena);
	for (int i = 0; i < r->refusals.n; i++) {
		total += r->refusals.v[i]->count;
		if (i < 20)
			str_printf(&s, i ? ", %s (%d)" : "%s (%d)", r->refusals.v[i]->name,
			           r->refusals.v[i]->count);
	}
	if (total > 1)
		diag_summary(r->d, &loc, "%d nodes use operators that are not supported: %s%s",
		             total, s.s, r->refusals.n > 20 ? ", ..." : "");
}

static void
read_model(Onnx *r)
{
	const GraphProto *g = r->model->graph;
	const Loc loc = file_loc(r);
	Opsets opsets = {NULL, 0, 0};
	Scope s;

	onnx_read_opsets(r, r->model->opset_import, r->model->n_opset_import, &opsets);
	check_versions(r, &opsets);
	if (!collect_functions(r))
		return;
	onnx_scope_init(&s, r, NULL);
	s.opsets = &opsets;
	s.nodes = g->node;
	s.nnodes = g->n_node;
	onnx_declare(r, &s, g->value_info, g->n_value_info);
	onnx_declare(r, &s, g->output, g->n_output);
	onnx_read_initializers(r, &s, g, &loc);
	check_options(r, g, &s);
	read_inputs(r, &s, g);
	if (onnx_read_nodes(r, &s))
		read_outputs(r, &s, g);
	report_refusals(r);
	if (g->n_output == 0)
		diag_report(r->d, &loc, E_MALFORMED, "the graph has no outputs");
}

Graph *
onnx_read(const FrontendFile *f, Diag *d)
{
	const FrontendOptions *o = f->options;
	const Loc loc = {.file = f->path};
	int errors = d->errors;
	Onnx r = {.arena = f->arena, .d = d, .file = f};

	r.model = (const void *)onnx_unpack(f->arena, &onnx__model_proto__descriptor, f->bytes,
	                                    f->size, &loc, d);
	if (!r.model)
		return NULL;
	if (!r.model->graph) {
		diag_report(d, &loc, E_MALFORMED, "the file holds no graph");
		return NULL;
	}
	r.g = graph_new(f->arena, r.model->graph->name ? r.model->graph->name : "");
	r.nodes_left = ONNX_MAX_NODES;
	r.fold_left = ONNX_FOLD_BUDGET;
	onnx_tensor_reader(&r.tensors, f->arena, f->path, ONNX_CONST_BYTES, d);
	r.tensors.paths = f->options->files;
	map_init(&r.dims, f->arena);
	map_init(&r.functions, f->arena);
	map_init(&r.refused, f->arena);
	for (int i = 0; i < o->ndims; i++)
		set_dim(&r, o->dims[i].name, o->dims[i].value);
	read_model(&r);
	return d->errors == errors ? r.g : NULL;
}
