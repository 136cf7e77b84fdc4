/*
 * A program as an LLVM module: constants, one function a layer, and NAME_run.
 *
 * Weights are marked externally_initialized, so that LLVM does not look into them:
 * it would unroll and expand them into literals (measured in Part A of the kernel
 * notes: int8 weights become vectors of int32).
 */
#include <assert.h>
#include <string.h>

#include "codegen/c/c.h"
#include "codegen/llvm/module.h"

static void
add_enum_attribute(const LlvmModule *m, LLVMValueRef fn, const char *name)
{
	unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));

	assert(kind);
	LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
	                        LLVMCreateEnumAttribute(m->context, kind, 0));
}

static void
add_text_attribute(const LlvmModule *m, LLVMValueRef fn, const char *name, const char *value)
{
	LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
	                        LLVMCreateStringAttribute(m->context, name, (unsigned)strlen(name),
	                                                  value, (unsigned)strlen(value)));
}

void
llvm_add_attributes(const LlvmModule *m, LLVMValueRef fn)
{
	const LlvmTarget *t = &m->options->target;

	add_enum_attribute(m, fn, "nounwind");
	if (m->options->size_level > 0)
		add_enum_attribute(m, fn, "optsize");
	if (m->options->size_level > 1)
		add_enum_attribute(m, fn, "minsize");
	/* A freestanding object may not call memcpy and the like. */
	add_text_attribute(m, fn, "no-builtins", "");
	add_text_attribute(m, fn, "frame-pointer", "none");
	if (*t->cpu)
		add_text_attribute(m, fn, "target-cpu", t->cpu);
	if (*t->features)
		add_text_attribute(m, fn, "target-features", t->features);
}

/* ---- Constants ---- */

/* Constants are byte strings: building them element by element is slow. */
LLVMValueRef
llvm_constant(LlvmModule *m, const char *name, DType t, size_t count, const void *data)
{
	size_t bytes = count * (size_t)dtype_info[t].bytes;
	LLVMValueRef init = LLVMConstStringInContext(m->context, data, (unsigned)bytes, 1);
	LLVMValueRef global = LLVMAddGlobal(m->module, LLVMTypeOf(init), name);

	LLVMSetInitializer(global, init);
	LLVMSetLinkage(global, LLVMInternalLinkage);
	LLVMSetGlobalConstant(global, 1);
	LLVMSetExternallyInitialized(global, 1);
	LLVMSetAlignment(global, (unsigned)dtype_info[t].bytes);
	return global;
}

static LLVMValueRef
offset_by(LlvmModule *m, LLVMValueRef base, size_t offset)
{
	LLVMValueRef index = LLVMConstInt(LLVMInt32TypeInContext(m->context), offset, 0);

	if (offset == 0)
		return base;
	return LLVMBuildInBoundsGEP2(m->builder, LLVMInt8TypeInContext(m->context), base, &index, 1,
	                             "");
}

static const char *
identifier(LlvmModule *m, const char *kind, int index, const char *name)
{
	(void)index;
	return arena_printf(m->arena, "%s_%s%s", m->options->prefix, kind, c_prefix(m->arena, name));
}

static LLVMValueRef
constant_of(LlvmModule *m, const Buffer *b)
{
	if (!m->constant[b->index])
		m->constant[b->index] =
			llvm_constant(m, identifier(m, "", b->index, b->name), b->type.dtype,
		                      (size_t)type_numel(&b->type), b->data);
	return m->constant[b->index];
}

/* ---- The entry function ---- */

/* The parameters of NAME_run: the pointer of graph input or output i. */
typedef struct {
	LLVMValueRef fn;
	const Program *p;
} Entry;

static LLVMValueRef
pointer_of(LlvmModule *m, const Entry *e, const Buffer *b)
{
	const Graph *g = e->p->graph;

	switch (b->kind) {
	case BUFFER_CONST: return constant_of(m, b);
	case BUFFER_ARENA:
		return LLVMGetParam(e->fn, (unsigned)(g->inputs.n + g->outputs.n));
	case BUFFER_INPUT:
		for (int i = 0; i < g->inputs.n; i++)
			if (e->p->input[i] == b)
				return LLVMGetParam(e->fn, (unsigned)i);
		break;
	case BUFFER_OUTPUT:
		for (int i = 0; i < g->outputs.n; i++)
			if (e->p->output[i] == b)
				return LLVMGetParam(e->fn, (unsigned)(g->inputs.n + i));
		break;
	}
	assert(0 && "a buffer of the caller that is no parameter");
	return NULL;
}

static LLVMValueRef
argument_of(LlvmModule *m, const Entry *e, const Arg *a)
{
	const Buffer *b = a->buffer, *base = b->kind == BUFFER_ARENA ? b : b->base;

	return offset_by(m, pointer_of(m, e, base), b->offset + a->offset);
}

static void
call_step(LlvmModule *m, const Entry *e, int index)
{
	const Step *s = e->p->steps.v[index];
	LLVMValueRef *args = ARENA_ARRAY(m->arena, LLVMValueRef, s->fn->bufs.n);
	unsigned n = 0;

	for (int i = 0; i < s->fn->bufs.n; i++)
		if (s->fn->bufs.v[i]->role != LBUF_TABLE)
			args[n++] = argument_of(m, e, &s->arg[i]);
	LLVMBuildCall2(m->builder, LLVMGlobalGetValueType(m->step[index]), m->step[index], args, n,
	               "");
}

/* A function with the parameters of NAME_run; the builder is in its body. */
static Entry
start_entry(LlvmModule *m, const char *name, LLVMTypeRef result)
{
	const Graph *g = m->program->graph;
	int n = g->inputs.n + g->outputs.n + 1;
	LLVMTypeRef *params = ARENA_ARRAY(m->arena, LLVMTypeRef, n);
	Entry e = {.p = m->program};

	for (int i = 0; i < n; i++)
		params[i] = m->ptr;
	e.fn = LLVMAddFunction(m->module, name, LLVMFunctionType(result, params, (unsigned)n, 0));
	llvm_add_attributes(m, e.fn);
	LLVMPositionBuilderAtEnd(m->builder,
	                         LLVMAppendBasicBlockInContext(m->context, e.fn, "entry"));
	return e;
}

/* NAME_run refuses an arena that is NULL or not aligned, as in C. */
static void
check_arena(LlvmModule *m, const Entry *e)
{
	LLVMBuilderRef b = m->builder;
	LLVMTypeRef i32 = LLVMInt32TypeInContext(m->context), word = LLVMInt64TypeInContext(m->context);
	LLVMValueRef arena = LLVMGetParam(e->fn, LLVMCountParams(e->fn) - 1), address, bad;
	LLVMBasicBlockRef fail, go;

	if (m->program->arena_size == 0)
		return;
	address = LLVMBuildPtrToInt(b, arena, word, "");
	address = LLVMBuildAnd(b, address, LLVMConstInt(word, m->program->arena_align - 1, 0), "");
	bad = LLVMBuildOr(b, LLVMBuildIsNull(b, arena, ""),
	                  LLVMBuildICmp(b, LLVMIntNE, address, LLVMConstInt(word, 0, 0), ""), "");
	fail = LLVMAppendBasicBlockInContext(m->context, e->fn, "bad_arena");
	go = LLVMAppendBasicBlockInContext(m->context, e->fn, "go");
	LLVMBuildCondBr(b, bad, fail, go);
	LLVMPositionBuilderAtEnd(b, fail);
	LLVMBuildRet(b, LLVMConstInt(i32, 1, 0));
	LLVMPositionBuilderAtEnd(b, go);
}

void
llvm_build_module(LlvmModule *m, Arena *a, const Program *p, const LlvmOptions *options)
{
	*m = (LlvmModule){.arena = a, .program = p, .options = options};
	m->context = LLVMContextCreate();
	m->module = LLVMModuleCreateWithNameInContext(options->model_name, m->context);
	LLVMSetSourceFileName(m->module, options->model_name, strlen(options->model_name));
	m->builder = LLVMCreateBuilderInContext(m->context);
	m->ptr = LLVMPointerTypeInContext(m->context, 0);
	m->constant = ARENA_ARRAY(a, LLVMValueRef, p->buffers.n);
	m->step = ARENA_ARRAY(a, LLVMValueRef, p->steps.n);
}
