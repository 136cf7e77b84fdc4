/*
 * Reads a TFLite model: the main graph, operator by operator.
 */
#include "frontend/tflite/tflite.h"

#include <string.h>

enum { CODE_PLACEHOLDER = 127, CODE_CUSTOM = 32 };

static const TfliteOp tfl_ops[] = {
#define TFL_OP(code, name, options, table, lo, hi, outs_lo, outs_hi, reader, op) \
	[code] = {name,    options, FB_##table, lo, hi, outs_lo, outs_hi, tfl_read_##reader, \
	          op, false, OPTIONS_TABLE},
#define TFL_STATE(code, name, options, table, lo, hi, outs_lo, outs_hi, reader) \
	[code] = {name,     options, FB_##table, lo, hi, outs_lo, outs_hi, tfl_read_##reader, \
	          OP_COUNT, true, OPTIONS_TABLE},
#define TFL_REFUSED(code, name) \
	[code] = {name, 0, FB_NoOptions, 0, 0, 0, 0, NULL, OP_COUNT, false, OPTIONS_TABLE},
#include "frontend/tflite/ops.def"
};

static const TfliteOp custom_ops[] = {
#define TFL_CUSTOM(name, lo, hi, outs_lo, outs_hi, reader) \
	{name, 0, FB_NoOptions, lo, hi, outs_lo, outs_hi, tfl_read_##reader, OP_COUNT, false, \
	 OPTIONS_MAP},
#define TFL_RAW(name, lo, hi, outs_lo, outs_hi, reader) \
	{name, 0, FB_NoOptions, lo, hi, outs_lo, outs_hi, tfl_read_##reader, OP_COUNT, false, \
	 OPTIONS_RAW},
#include "frontend/tflite/ops.def"
};

enum { NCUSTOM = sizeof custom_ops / sizeof custom_ops[0] };

static const TfliteOp *
custom_op(const FbString *name)
{
	for (int i = 0; i < NCUSTOM; i++)
		if (strlen(custom_ops[i].name) == name->n &&
		    memcmp(custom_ops[i].name, name->s, name->n) == 0)
			return &custom_ops[i];
	return NULL;
}

enum { NOPS = sizeof tfl_ops / sizeof tfl_ops[0] };

const TfliteOp *
tfl_op(int64_t code)
{
	return code >= 0 && code < NOPS && tfl_ops[code].name ? &tfl_ops[code] : NULL;
}

static bool
malformed(Tflite *r, const char *text)
{
	const Loc loc = {.file = r->file->path};

	return diag_report(r->d, &loc, E_MALFORMED, "%s", text);
}

/* Once the layout itself is broken nothing that follows can be trusted. */
static bool
report_layout(Tflite *r)
{
	const Loc loc = {.file = r->file->path};

	if (!r->fb.error)
		return true;
	return diag_report(r->d, &loc, E_MALFORMED, "%s (at byte %zu)", r->fb.error, r->fb.where);
}

/* The name of an operator, also of one that is not known. */
static const char *
code_name(Tflite *r, int64_t code, const FbOperatorCode *c)
{
	const TfliteOp *op = tfl_op(code);

	if (code == CODE_CUSTOM)
		return arena_printf(r->arena, "CUSTOM:%.*s",
		                    c->custom_code.n > 100 ? 100 : (int)c->custom_code.n,
		                    c->custom_code.n ? c->custom_code.s : "");
	return op ? op->name : arena_printf(r->arena, "code %lld", (long long)code);
}

/* ---- Operands ---- */

static bool
tensor_at(TNode *n, int32_t index, bool may_be_absent, Tensor **out)
{
	*out = NULL;
	if (index == -1 && may_be_absent)
		return true;
	if (index < 0 || index >= n->r->ntensors)
		return tfl_error(n, E_MALFORMED, "there is no tensor %d", index);
	*out = &n->r->tensors[index];
	return true;
}

static bool
read_operands(TNode *n, const FbOperator *op)
{
	Tflite *r = n->r;

	if (!fb_spend(&r->fb, op->inputs.count) || !fb_spend(&r->fb, op->outputs.count))
		return false;
	n->nins = (int)op->inputs.count;
	n->nouts = (int)op->outputs.count;
	n->in = ARENA_ARRAY(r->arena, Tensor *, n->nins);
	n->out = ARENA_ARRAY(r->arena, Tensor *, n->nouts);
	for (int i = 0; i < n->nins; i++)
		if (!tensor_at(n, fb_i32(&r->fb, op->inputs, (size_t)i), true, &n->in[i]))
			return false;
	for (int i = 0; i < n->nouts; i++)
		if (!tensor_at(n, fb_i32(&r->fb, op->outputs, (size_t)i), false, &n->out[i]))
			return false;
	return true;
}

static bool
check_arity(TNode *n)
{
	const TfliteOp *op = n->info;
	bool ok = n->nins >= op->in_min && n->nins <= op->in_max && n->nouts >= op->out_min &&
	          n->nouts <= op->out_max;

	/* Operators with a state look for themselves. */
	for (int i = 0; ok && i < op->in_min && !op->takes_resources; i++)
		ok = n->in[i] != NULL;
	if (!ok)
		return tfl_error(n, E_ARITY, "cannot have these %d inputs and %d outputs", n->nins,
		                 n->nouts);
	return true;
}

/* What is read must be there by now, and nothing is defined twice. */
static bool
check_operands(TNode *n)
{
	for (int i = 0; i < n->nins; i++) {
		const Tensor *t = n->in[i];

		if (!t || t->value || t->data || t->variable)
			continue;
		if (t->is_variable && n->info && n->info->takes_resources)
			continue;
		if (t->is_variable)
			return tfl_error(n, E_UNSUPPORTED,
			                 "the variable '%s' keeps a state between calls, which is "
			                 "not supported", t->name);
		if (t->has_type && type_numel(&t->type) == 0)
			continue;
		return tfl_error(n, E_MALFORMED, "the input '%s' is not defined before", t->name);
	}
	for (int i = 0; i < n->nouts; i++) {
		if (n->out[i]->value || n->out[i]->data || n->out[i]->variable)
			return tfl_error(n, E_MALFORMED, "the output '%s' is defined twice",
			                 n->out[i]->name);
		for (int k = 0; k < i; k++)
			if (n->out[k] == n->out[i])
				return tfl_error(n, E_MALFORMED, "two outputs are one tensor");
	}
	return true;
}

static bool
check_types(TNode *n)
{
	for (int i = 0; i < n->nins + n->nouts; i++) {
		const Tensor *t = i < n->nins ? n->in[i] : n->out[i - n->nins];

		if (t && t->file_type == TFL_RESOURCE && n->info->takes_resources)
			continue;
		if (t && !t->has_type)
			return tfl_error(n, E_UNSUPPORTED,
			                 "the element type of the tensor '%s' is not supported",
			                 t->name);
	}
	return true;
}

/* ---- Operators ---- */

static bool
read_options(TNode *n, const FbOperator *op)
{
	const unsigned char *custom = n->r->fb.bytes + op->custom_options.at;

	if (n->info->form == OPTIONS_MAP && op->custom_options.count > 0 &&
	    !flex_read(&n->custom, custom, op->custom_options.count))
		return tfl_error(n, E_MALFORMED, "its options cannot be read");
	if (n->info->form == OPTIONS_RAW && op->custom_options.count > 0) {
		n->raw = custom;
		n->nraw = op->custom_options.count;
	}
	if (n->info->options == 0)
		return fb_read(&n->r->fb, n->info->table, (FbRef){0}, &n->options);
	if (op->builtin_options_type != 0 && op->builtin_options_type != n->info->options)
		return tfl_error(n, E_MALFORMED, "its options are those of another operator");
	return fb_read(&n->r->fb, n->info->table, op->builtin_options, &n->options);
}

static bool
read_code(Tflite *r, const FbOperator *op, int64_t *code, FbOperatorCode *c)
{
	FbRef ref;

	if ((uint64_t)op->opcode_index >= r->model.operator_codes.count)
		return malformed(r, "an operator's code is not in the list");
	if (!fb_ref(&r->fb, r->model.operator_codes, (size_t)op->opcode_index, &ref) ||
	    !fb_read(&r->fb, FB_OperatorCode, ref, c))
		return false;
	*code = c->builtin_code > c->deprecated_builtin_code ? c->builtin_code
	                                                     : c->deprecated_builtin_code;
	return true;
}

/* Outputs of an operator that could not be read: those that depend on it are read
 * as if it had been, to find their errors too. */
static void
stand_in(TNode *n)
{
	for (int i = 0; i < n->nouts; i++)
		if (n->out[i] && !n->out[i]->value && n->out[i]->has_type)
			n->out[i]->value = graph_value(n->r->g, NULL, n->out[i]->type);
}

static bool
read_operator(Tflite *r, int i)
{
	TNode n = {.r = r, .loc = {.file = r->file->path, .node = i + 1}};
	FbOperatorCode c;
	const char *name;
	FbOperator op;
	int64_t code = 0;
	FbRef ref;
	bool ok;

	if (!fb_ref(&r->fb, r->graph.operators, (size_t)i, &ref) ||
	    !fb_read(&r->fb, FB_Operator, ref, &op) || !read_code(r, &op, &code, &c))
		return false;
	name = code_name(r, code, &c);
	n.info = code == CODE_CUSTOM ? custom_op(&c.custom_code) : tfl_op(code);
	n.loc.where = arena_printf(r->arena, "%sop %d (%s)", r->where, i, name);
	if (!read_operands(&n, &op))
		return false;
	if (n.nouts > 0)
		n.loc.where = arena_printf(r->arena, "%sop %d '%s' (%s)", r->where, i,
		                           n.out[0]->name, name);
	if (r->initialising && (!n.info || !n.info->takes_resources))
		ok = tfl_error(&n, E_UNSUPPORTED, "%s in a graph that runs once", name);
	else if (!n.info || !n.info->read)
		ok = tfl_error(&n, E_OP, "operator %s is not supported", name);
	else
		ok = check_arity(&n) && check_operands(&n) && check_types(&n) &&
		     read_options(&n, &op) && n.info->read(&n);
	if (!ok)
		stand_in(&n);
	return ok;
}

/* ---- Graph ---- */

static bool
read_inputs(Tflite *r)
{
	const Loc loc = {.file = r->file->path};

	if (!fb_spend(&r->fb, r->graph.inputs.count))
		return false;
	for (size_t i = 0; i < r->graph.inputs.count; i++) {
		int32_t index = fb_i32(&r->fb, r->graph.inputs, i);
		Tensor *t = index >= 0 && index < r->ntensors ? &r->tensors[index] : NULL;

		if (!t || t->value || t->data)
			return malformed(r, "an input of the model is no tensor of its own");
		if (!t->has_type)
			return diag_report(r->d, &loc, E_UNSUPPORTED,
			                   "the element type of the input '%s' is not supported",
			                   t->name);
		t->value = frontend_input(r->file, r->g, t->name, t->type, &loc, r->d);
		if (!t->value)
			return false;
	}
	return true;
}

static bool
read_outputs(Tflite *r)
{
	if (!fb_spend(&r->fb, r->graph.outputs.count))
		return false;
	for (size_t i = 0; i < r->graph.outputs.count; i++) {
		int32_t index = fb_i32(&r->fb, r->graph.outputs, i);
		Tensor *t = index >= 0 && index < r->ntensors ? &r->tensors[index] : NULL;

		if (t && !t->value && t->data)
			t->value = graph_const(r->g, t->name, t->type, t->data);
		if (!t || !t->value)
			return malformed(r, "an output of the model is not defined");
		graph_output(r->g, t->name, t->value);
	}
	return true;
}

bool
tfl_read_operators(Tflite *r)
{
	bool ok = true;

	for (size_t i = 0; i < r->graph.operators.count && !diag_full(r->d) && !r->fb.error; i++)
		ok = read_operator(r, (int)i) && ok;
	return ok;
}

bool
tfl_enter(TNode *n, int64_t index, TflPlace *outer)
{
	Tflite *r = n->r;
	FbRef ref;

	*outer = (TflPlace){r->graph, r->tensors, r->ntensors, r->where};
	if (index < 1 || (uint64_t)index >= r->model.subgraphs.count)
		return tfl_error(n, E_MALFORMED, "there is no graph %lld", (long long)index);
	r->where = arena_printf(r->arena, "graph %lld, ", (long long)index);
	if (fb_ref(&r->fb, r->model.subgraphs, (size_t)index, &ref) &&
	    fb_read(&r->fb, FB_SubGraph, ref, &r->graph) && tfl_read_tensors(r))
		return true;
	tfl_leave(r, outer);
	return false;
}

void
tfl_leave(Tflite *r, const TflPlace *outer)
{
	r->graph = outer->graph;
	r->tensors = outer->tensors;
	r->ntensors = outer->ntensors;
	r->where = outer->where;
}

bool
tfl_run_once(TNode *n, int64_t index)
{
	Tflite *r = n->r;
	TflPlace outer;
	bool ok;

	if (r->initialising)
		return tfl_error(n, E_UNSUPPORTED, "a graph that runs once calls another one");
	if (!tfl_enter(n, index, &outer))
		return false;
	r->initialising = true;
	ok = tfl_read_operators(r);
	r->initialising = false;
	tfl_leave(r, &outer);
	return ok;
}

/* Weights that are packed in a way that only some builds of TFLite know. */
static bool
check_metadata(Tflite *r)
{
	static const char compressed[] = "COMPRESSION_METADATA";

	for (size_t i = 0; i < r->model.metadata.count; i++) {
		FbMetadata m;
		FbRef ref;

		if (!fb_ref(&r->fb, r->model.metadata, i, &ref) ||
		    !fb_read(&r->fb, FB_Metadata, ref, &m))
			return false;
		if (m.name.n == sizeof compressed - 1 &&
		    memcmp(m.name.s, compressed, m.name.n) == 0)
			return diag_report(r->d, &(Loc){.file = r->file->path}, E_UNSUPPORTED,
			                   "weights compressed by TFLite Micro are not supported");
	}
	return true;
}

/* A shape that the user asks for must be the one of the file. */
static bool
check_shapes(Tflite *r)
{
	const FrontendOptions *o = r->file->options;

	for (int i = 0; i < o->nshapes; i++) {
		const Value *v = graph_find(r->g, o->shapes[i].input);
		Type t = type_make(v ? v->type.dtype : DT_F32, o->shapes[i].rank, o->shapes[i].dim);

		if (!v || !type_same_shape(&t, &v->type))
			return diag_report(r->d, NULL, E_UNSUPPORTED,
			                   "the shape of the input '%s' of a TFLite model cannot "
			                   "be changed", o->shapes[i].input);
	}
	return true;
}

static bool
read_model(Tflite *r)
{
	FbRef root, main_graph;

	if (!fb_begin(&r->fb, r->file->bytes, r->file->size, "TFL3", &root) ||
	    !fb_read(&r->fb, FB_Model, root, &r->model))
		return false;
	if (r->model.version != 3)
		return diag_report(r->d, &(Loc){.file = r->file->path}, E_UNSUPPORTED,
		                   "version %lld of the TFLite format; only 3 is known",
		                   (long long)r->model.version);
	if (r->model.subgraphs.count == 0)
		return malformed(r, "the model has no graph");
	if (!check_metadata(r) || !fb_ref(&r->fb, r->model.subgraphs, 0, &main_graph) ||
	    !fb_read(&r->fb, FB_SubGraph, main_graph, &r->graph))
		return false;
	if (!tfl_read_tensors(r) || !read_inputs(r) || !tfl_read_operators(r) || !read_outputs(r) ||
	    !tfl_finish_variables(r))
		return false;
	return check_shapes(r);
}

bool
tflite_sniff(const uint8_t *bytes, size_t n)
{
	return n >= 8 && memcmp(bytes + 4, "TFL3", 4) == 0;
}

Graph *
tflite_read(const FrontendFile *f, Diag *d)
{
	Tflite *r = ARENA_NEW(f->arena, Tflite);

	r->arena = f->arena;
	r->d = d;
	r->file = f;
	r->bytes_left = ((size_t)64 << 20) + 4 * f->size;
	r->fold_left = FOLD_ITERATIONS;
	r->where = "";
	r->g = graph_new(f->arena, "main");
	if (read_model(r))
		return r->g;
	report_layout(r);
	if (d->errors == 0)
		malformed(r, "the model cannot be read");
	return NULL;
}
