/*
 * ONNX models made in memory, for the tests of the reader.
 *
 * Names come in lists separated by commas: node(m, "Add", "x,y", "z"); an empty
 * name is an absent input.  Dimensions are numbers, names or ?: "1,N,?".
 */
#ifndef MCC_TESTS_UNIT_ONNX_MODEL_H
#define MCC_TESTS_UNIT_ONNX_MODEL_H

#include <check.h>
#include <onnx/onnx.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "ir/graph.h"

enum { FLOAT = 1, UINT8 = 2, INT8 = 3, INT32 = 6, INT64 = 7, BOOL = 9, FLOAT16 = 10 };

typedef Onnx__NodeProto Node_;
typedef Onnx__GraphProto Graph_;

typedef struct {
	Arena *arena;
	Diag diag;
	Onnx__ModelProto model;
	Graph_ *graph; /* the one that nodes and values are added to */
	FrontendOptions options;
	const char *path;
} Model;

/* Appends to an array of pointers of a protobuf message. */
#define ADD(m, array, count, item) \
	do { \
		(array) = arena_grow((m)->arena, (array), (count), (count) + 1, sizeof *(array)); \
		(array)[(count)++] = (item); \
	} while (0)

#define NEW(m, T, init) ((T *)init(arena_alloc((m)->arena, sizeof(T))))

static inline char *
text(Model *m, const char *s)
{
	return arena_strdup(m->arena, s);
}

static inline void
opset(Model *m, const char *domain, int64_t version)
{
	Onnx__OperatorSetIdProto *o = ARENA_NEW(m->arena, Onnx__OperatorSetIdProto);

	onnx__operator_set_id_proto__init(o);
	o->domain = text(m, domain);
	o->version = version;
	o->has_version = 1;
	ADD(m, m->model.opset_import, m->model.n_opset_import, o);
}

static inline Graph_ *
new_graph(Model *m)
{
	Graph_ *g = ARENA_NEW(m->arena, Graph_);

	onnx__graph_proto__init(g);
	g->name = text(m, "g");
	return g;
}

static inline void
model_begin(Model *m, int64_t version)
{
	*m = (Model){.arena = arena_new(NULL, NULL), .path = "m.onnx"};
	diag_init(&m->diag, m->arena);
	onnx__model_proto__init(&m->model);
	m->model.graph = m->graph = new_graph(m);
	if (version)
		opset(m, "", version);
}

static inline void
model_end(Model *m)
{
	arena_free(m->arena);
}

/* ---- Values ---- */

/* The next part of a list, NULL at its end. */
static inline char *
next_part(Model *m, const char **list)
{
	size_t n;
	char *part;

	if (!*list)
		return NULL;
	n = strcspn(*list, ",");
	part = arena_strndup(m->arena, *list, n);
	*list = (*list)[n] ? *list + n + 1 : NULL;
	return part;
}

static inline Onnx__TypeProto *
new_type(Model *m, int elem, const char *dims)
{
	Onnx__TypeProto *t = ARENA_NEW(m->arena, Onnx__TypeProto);
	Onnx__TypeProto__Tensor *tensor = ARENA_NEW(m->arena, Onnx__TypeProto__Tensor);

	onnx__type_proto__init(t);
	onnx__type_proto__tensor__init(tensor);
	t->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	t->tensor_type = tensor;
	tensor->has_elem_type = 1;
	tensor->elem_type = elem;
	if (!dims)
		return t;
	tensor->shape = ARENA_NEW(m->arena, Onnx__TensorShapeProto);
	onnx__tensor_shape_proto__init(tensor->shape);
	for (char *part; *dims && (part = next_part(m, &dims)) != NULL;) {
		Onnx__TensorShapeProto__Dimension *d =
			ARENA_NEW(m->arena, Onnx__TensorShapeProto__Dimension);

		onnx__tensor_shape_proto__dimension__init(d);
		if (strchr("-0123456789", *part)) {
			d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
			d->dim_value = strtoll(part, NULL, 10);
		} else if (*part != '?') {
			d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			d->dim_param = part;
		}
		ADD(m, tensor->shape->dim, tensor->shape->n_dim, d);
		if (!dims)
			break;
	}
	return t;
}

static inline Onnx__ValueInfoProto *
value_info(Model *m, const char *name, int elem, const char *dims)
{
	Onnx__ValueInfoProto *v = ARENA_NEW(m->arena, Onnx__ValueInfoProto);

	onnx__value_info_proto__init(v);
	v->name = text(m, name);
	v->type = elem ? new_type(m, elem, dims) : NULL;
	return v;
}

/* `dims` NULL: no shape; elem 0: no type. */
static inline void
input(Model *m, const char *name, int elem, const char *dims)
{
	ADD(m, m->graph->input, m->graph->n_input, value_info(m, name, elem, dims));
}

static inline void
output(Model *m, const char *name, int elem, const char *dims)
{
	ADD(m, m->graph->output, m->graph->n_output, value_info(m, name, elem, dims));
}

static inline void
state_type(Model *m, const char *name, int elem, const char *dims)
{
	ADD(m, m->graph->value_info, m->graph->n_value_info, value_info(m, name, elem, dims));
}

static inline Onnx__TensorProto *
new_tensor(Model *m, const char *name, int elem, const char *dims)
{
	Onnx__TensorProto *t = ARENA_NEW(m->arena, Onnx__TensorProto);

	onnx__tensor_proto__init(t);
	t->name = text(m, name);
	t->has_data_type = 1;
	t->data_type = elem;
	for (char *part; dims && *dims && (part = next_part(m, &dims)) != NULL;)
		ADD(m, t->dims, t->n_dims, strtoll(part, NULL, 10));
	return t;
}

/* An initializer without data. */
static inline Onnx__TensorProto *
tensor(Model *m, const char *name, int elem, const char *dims)
{
	Onnx__TensorProto *t = new_tensor(m, name, elem, dims);

	ADD(m, m->graph->initializer, m->graph->n_initializer, t);
	return t;
}

/* Vectors of numbers; with dims "" scalars. */
static inline Onnx__TensorProto *
int64s(Model *m, const char *name, const char *dims, const char *numbers)
{
	Onnx__TensorProto *t = tensor(m, name, INT64, dims);

	for (char *part; numbers && *numbers && (part = next_part(m, &numbers)) != NULL;)
		ADD(m, t->int64_data, t->n_int64_data, strtoll(part, NULL, 10));
	return t;
}

static inline Onnx__TensorProto *
floats(Model *m, const char *name, const char *dims, const char *numbers)
{
	Onnx__TensorProto *t = tensor(m, name, FLOAT, dims);

	for (char *part; numbers && *numbers && (part = next_part(m, &numbers)) != NULL;)
		ADD(m, t->float_data, t->n_float_data, strtof(part, NULL));
	return t;
}

/* Numbers of a type that is stored in int32_data. */
static inline Onnx__TensorProto *
smalls(Model *m, const char *name, int elem, const char *dims, const char *numbers)
{
	Onnx__TensorProto *t = tensor(m, name, elem, dims);

	for (char *part; numbers && *numbers && (part = next_part(m, &numbers)) != NULL;)
		ADD(m, t->int32_data, t->n_int32_data, (int32_t)strtol(part, NULL, 10));
	return t;
}

static inline void
raw(Model *m, Onnx__TensorProto *t, const void *data, size_t n)
{
	t->has_raw_data = 1;
	t->raw_data.len = n;
	t->raw_data.data = arena_copy(m->arena, data, n);
}

/* ---- Nodes ---- */

static inline Node_ *
new_node(Model *m, const char *op, const char *ins, const char *outs)
{
	Node_ *n = ARENA_NEW(m->arena, Node_);

	onnx__node_proto__init(n);
	n->op_type = text(m, op);
	for (char *part; ins && (part = next_part(m, &ins)) != NULL;)
		ADD(m, n->input, n->n_input, part);
	for (char *part; outs && (part = next_part(m, &outs)) != NULL;)
		ADD(m, n->output, n->n_output, part);
	return n;
}

/* `ins` NULL: none. */
static inline Node_ *
node(Model *m, const char *op, const char *ins, const char *outs)
{
	Node_ *n = new_node(m, op, ins, outs);

	ADD(m, m->graph->node, m->graph->n_node, n);
	return n;
}

static inline Onnx__AttributeProto *
attribute(Model *m, Node_ *n, const char *name, int type)
{
	Onnx__AttributeProto *a = ARENA_NEW(m->arena, Onnx__AttributeProto);

	onnx__attribute_proto__init(a);
	a->name = text(m, name);
	a->has_type = 1;
	a->type = (Onnx__AttributeProto__AttributeType)type;
	if (n)
		ADD(m, n->attribute, n->n_attribute, a);
	return a;
}

static inline void
set_int(Model *m, Node_ *n, const char *name, int64_t v)
{
	Onnx__AttributeProto *a = attribute(m, n, name, 2);

	a->has_i = 1;
	a->i = v;
}

static inline Onnx__AttributeProto *
set_float(Model *m, Node_ *n, const char *name, float v)
{
	Onnx__AttributeProto *a = attribute(m, n, name, 1);

	a->has_f = 1;
	a->f = v;
	return a;
}

static inline void
set_str(Model *m, Node_ *n, const char *name, const char *s)
{
	Onnx__AttributeProto *a = attribute(m, n, name, 3);

	a->has_s = 1;
	a->s.len = strlen(s);
	a->s.data = arena_copy(m->arena, s, a->s.len + 1);
}

static inline void
set_ints(Model *m, Node_ *n, const char *name, const char *numbers)
{
	Onnx__AttributeProto *a = attribute(m, n, name, 7);

	for (char *part; numbers && *numbers && (part = next_part(m, &numbers)) != NULL;)
		ADD(m, a->ints, a->n_ints, strtoll(part, NULL, 10));
}

static inline void
set_graph(Model *m, Node_ *n, const char *name, Graph_ *g)
{
	attribute(m, n, name, 5)->g = g;
}

/* ---- Reading ---- */

static inline size_t
pack(Model *m, uint8_t **bytes)
{
	size_t n = onnx__model_proto__get_packed_size(&m->model);

	*bytes = arena_alloc(m->arena, n ? n : 1);
	return onnx__model_proto__pack(&m->model, *bytes);
}

static inline Graph *
read_model(Model *m)
{
	FrontendOptions o = m->options;
	uint8_t *bytes;
	size_t n = pack(m, &bytes);
	Graph *g;

	o.format = "onnx";
	g = frontend_read(m->arena, m->path, bytes, n, &o, &m->diag);
	if (g)
		ck_assert(graph_verify(g, &m->diag));
	return g;
}

static inline const char *
messages(Model *m)
{
	Str s;

	str_init(&s, m->arena);
	for (const Message *k = m->diag.first; k; k = k->next)
		str_printf(&s, "%s: %s\n", k->loc.where ? k->loc.where : "", k->text);
	return s.s;
}

/* The nodes of the graph as text, one a line, without types, names of layers and
 * places; constants only by name. */
static inline const char *
body_of(Model *m, const Graph *g)
{
	Str s;

	str_init(&s, m->arena);
	for (const Node *n = g->first; n; n = n->next) {
		Str line;
		const char *end, *equals;

		str_init(&line, m->arena);
		node_print(&line, n);
		equals = strstr(line.s, " = ");
		ck_assert_ptr_nonnull(equals);
		end = strstr(line.s, " as \"");
		end = end ? end : strstr(line.s, "   ; at");
		end = end ? end : line.s + line.n;
		for (int i = 0; i < n->nouts; i++)
			str_printf(&s, i ? ", %s" : "%s", n->out[i] ? n->out[i]->name : "_");
		str_write(&s, equals, (size_t)(end - equals));
		str_putc(&s, '\n');
	}
	return s.s;
}

/* Reads the model and compares its nodes. */
static inline Graph *
expect_body(Model *m, const char *want)
{
	Graph *g = read_model(m);

	ck_assert_msg(g != NULL, "%s", messages(m));
	ck_assert_str_eq(body_of(m, g), want);
	return g;
}

/* Reads the model, which must fail with `code` first and `words` in the text. */
static inline void
expect_error(Model *m, DiagCode code, const char *words)
{
	Graph *g = read_model(m);

	ck_assert(g == NULL);
	ck_assert_ptr_nonnull(m->diag.first);
	ck_assert_msg(m->diag.first->code == code && strstr(m->diag.first->text, words), "%s",
	              messages(m));
}

#endif
