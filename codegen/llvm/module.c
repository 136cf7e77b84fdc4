/*
 * A program as an LLVM module: constants, one function a kernel, and NAME_run.
 *
 * Names are those of the generated C.  Weights are marked externally_initialized, so
 * that LLVM does not look into them: it would unroll and expand them into literals,
 * and int8 weights would become vectors of int32.
 */
#include <assert.h>
#include <string.h>

#include "codegen/llvm/compat.h"
#include "codegen/llvm/module.h"

static const char *
text(const LlvmModule *m, const char *name, const char *prefix)
{
	return arena_printf(m->arena, "%s%s", prefix, name);
}

/* ---- Attributes ---- */

void
llvm_add_attribute(const LlvmModule *m, LLVMValueRef fn, LLVMAttributeIndex index,
                   const char *name)
{
	unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));

	assert(kind);
	LLVMAddAttributeAtIndex(fn, index, LLVMCreateEnumAttribute(m->context, kind, 0));
}

static void
add_text_attribute(const LlvmModule *m, LLVMValueRef fn, const char *name, const char *value)
{
	LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
	                        LLVMCreateStringAttribute(m->context, name, (unsigned)strlen(name),
	                                                  value, (unsigned)strlen(value)));
}

void
llvm_finish_function(const LlvmModule *m, LLVMValueRef fn, const char *name)
{
	const LlvmTarget *t = &m->options->target;
	const char *tuning = compat_tuning(t->triple), *comma = *tuning && *t->features ? "," : "";
	LLVMAttributeIndex function = (LLVMAttributeIndex)LLVMAttributeFunctionIndex;

	llvm_add_attribute(m, fn, function, "nounwind");
	if (m->options->size_level > 0)
		llvm_add_attribute(m, fn, function, "optsize");
	if (m->options->size_level > 1)
		llvm_add_attribute(m, fn, function, "minsize");
	/* A freestanding object may not call memcpy and the like. */
	add_text_attribute(m, fn, "no-builtins", "");
	add_text_attribute(m, fn, "frame-pointer", "none");
	if (*t->cpu)
		add_text_attribute(m, fn, "target-cpu", t->cpu);
	if (*t->tune)
		add_text_attribute(m, fn, "tune-cpu", t->tune);
	if (*t->features || *tuning)
		add_text_attribute(m, fn, "target-features",
		                   arena_printf(m->arena, "%s%s%s", tuning, comma, t->features));
	if (m->has_sections)
		LLVMSetSection(fn, text(m, name, ".text."));
}

/* ---- Constants ---- */

/* Vectors that lie across cache lines take twice as long to load. */
static unsigned
alignment_of(const LlvmModule *m, DType t, size_t bytes)
{
	unsigned isa = m->options->target.isa;
	unsigned vector = isa & ISA_X86_AVX512 ? 64 : isa & ISA_X86_AVX2 ? 32 : 0;

	return vector && bytes >= 4 * (size_t)vector ? vector : (unsigned)dtype_info[t].bytes;
}

/* Constants are byte strings: building them element by element is slow. */
LLVMValueRef
llvm_constant(LlvmModule *m, const char *name, DType t, size_t count, const void *data)
{
	size_t bytes = count * (size_t)dtype_info[t].bytes;
	LLVMValueRef init =
		LLVMConstStringInContext(m->context, bytes ? data : "", (unsigned)bytes, 1);
	LLVMValueRef global = LLVMAddGlobal(m->module, LLVMTypeOf(init), name);

	LLVMSetInitializer(global, init);
	LLVMSetLinkage(global, LLVMInternalLinkage);
	LLVMSetGlobalConstant(global, 1);
	LLVMSetExternallyInitialized(global, 1);
	LLVMSetAlignment(global, alignment_of(m, t, bytes));
	if (m->has_sections)
		LLVMSetSection(global, text(m, name, ".rodata."));
	return global;
}

/* The constant of a buffer that is its own base. */
static LLVMValueRef
constant_of(LlvmModule *m, const Buffer *b)
{
	const char *name = m->symbols.constant[b->index];

	if (!m->constant[b->index])
		m->constant[b->index] = llvm_constant(m, name, b->type.dtype,
		                                      (size_t)type_numel(&b->type), b->data);
	return m->constant[b->index];
}

/* ---- Debug information ---- */

static void
add_flag(LlvmModule *m, LLVMModuleFlagBehavior behaviour, const char *name, unsigned value)
{
	LLVMAddModuleFlag(m->module, behaviour, name, strlen(name),
	                  LLVMValueAsMetadata(LLVMConstInt(LLVMInt32TypeInContext(m->context),
	                                                   value, 0)));
}

static void
start_debug(LlvmModule *m)
{
	const char *file = m->options->model_name, *producer = m->options->producer;

	m->di = LLVMCreateDIBuilder(m->module);
	m->di_file = LLVMDIBuilderCreateFile(m->di, file, strlen(file), ".", 1);
	m->di_unit = LLVMDIBuilderCreateCompileUnit(
		m->di, LLVMDWARFSourceLanguageC99, m->di_file, producer, strlen(producer), 1, "", 0,
		0, "", 0, LLVMDWARFEmissionFull, 0, 0, 0, "", 0, "", 0);
	m->di_type = LLVMDIBuilderCreateSubroutineType(m->di, m->di_file, NULL, 0, 0);
	add_flag(m, LLVMModuleFlagBehaviorWarning, "Debug Info Version",
	         LLVMDebugMetadataVersion());
	add_flag(m, LLVMModuleFlagBehaviorWarning, "Dwarf Version", 4);
}

/* The description of a function; NULL without -g.  It has no other name, which debuggers
 * would take instead; the symbol they know anyway. */
static LLVMMetadataRef
describe_function(LlvmModule *m, const char *name, unsigned line, bool is_local)
{
	if (!m->di)
		return NULL;
	return LLVMDIBuilderCreateFunction(m->di, m->di_file, name, strlen(name), "", 0,
	                                   m->di_file, line, m->di_type, is_local,
	                                   1, line, LLVMDIFlagZero, 1);
}

/* ---- Kernels ---- */

/* Formats without lines have numbered nodes. */
static unsigned
line_of(const Step *step)
{
	const Loc *loc = step->node ? &step->node->loc : NULL;

	return !loc ? 0 : (unsigned)(loc->node ? loc->node : loc->line);
}

static LLVMValueRef
build_kernel(LlvmModule *m, const CKernel *k, int step)
{
	const Step *s = program_step(m->program, step);
	const LFunc *fn = s->fn;
	unsigned line = line_of(s), param = 1;
	LLVMMetadataRef place = describe_function(m, s->name, line, true);
	const bool *used = m->symbols.used[step];
	LLVMValueRef value = llvm_build_function(m, fn, k->name, used, m->symbols.shared[step],
	                                         place, line);

	/* Each layer is a function of its own, for who looks at the code or measures it. */
	llvm_add_attribute(m, value, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "noinline");
	for (int i = 0; i < fn->bufs.n; i++) {
		if (!lbuf_is_argument(fn->bufs.v[i]) || !used[i])
			continue;
		if (!m->symbols.shared[step][i])
			llvm_add_attribute(m, value, param, "noalias");
		if (lbuf_is_read_only(fn->bufs.v[i]))
			llvm_add_attribute(m, value, param, "readonly");
		param++;
	}
	return value;
}

/* Steps share functions, unless weights go into them (spread.c). */
static void
build_kernels(LlvmModule *m)
{
	if (m->spreads) {
		for (int i = 0; i < program_all_steps(m->program); i++)
			m->kernel[i] = build_kernel(
				m, &m->symbols.kernel[m->symbols.kernel_of[i]], i);
		return;
	}
	for (int i = 0; i < m->symbols.nkernels; i++)
		m->kernel[i] = build_kernel(m, &m->symbols.kernel[i], m->symbols.kernel[i].index);
}

/* ---- Calls of kernels ---- */

/* A function that calls kernels, and what its parameters stand for. */
typedef struct {
	LLVMValueRef fn;
	LLVMValueRef *in, *out, *region; /* the last by region of the arena */
	LLVMValueRef row; /* of many; NULL: there is one */
} Entry;

static LLVMValueRef
offset_by(LlvmModule *m, LLVMValueRef base, size_t offset)
{
	LLVMValueRef index = LLVMConstInt(m->c_address, offset, 0);

	if (offset == 0)
		return base;
	return LLVMBuildInBoundsGEP2(m->builder, LLVMInt8TypeInContext(m->context), base, &index, 1,
	                             "");
}

static int
index_of(Buffer *const *list, int n, const Buffer *b)
{
	int i = 0;

	while (i < n && list[i] != b)
		i++;
	assert(i < n);
	return i;
}

static LLVMValueRef
base_of(LlvmModule *m, const Entry *e, const Buffer *b)
{
	const Program *p = m->program;

	switch (b->kind) {
	case BUFFER_CONST: return constant_of(m, b->base);
	case BUFFER_ARENA: return e->region[b->region];
	case BUFFER_INPUT: return e->in[index_of(p->input, p->graph->inputs.n, b->base)];
	case BUFFER_OUTPUT: return e->out[index_of(p->output, p->graph->outputs.n, b->base)];
	}
	return NULL;
}

/* What begins at `base` for the row at hand. */
static LLVMValueRef
of_row(LlvmModule *m, const Entry *e, LLVMValueRef base, const Buffer *b)
{
	size_t stride = b->kind == BUFFER_ARENA ? m->program->batch.stride
	                                        : type_bytes(&b->base->type);
	LLVMValueRef offset;

	if (!e->row || b->kind == BUFFER_CONST)
		return base;
	offset = LLVMBuildNUWMul(m->builder, e->row, LLVMConstInt(m->c_address, stride, 0), "");
	return LLVMBuildInBoundsGEP2(m->builder, LLVMInt8TypeInContext(m->context), base, &offset, 1,
	                             "");
}

static LLVMValueRef
argument_of(LlvmModule *m, const Entry *e, const Arg *a)
{
	const Buffer *b = a->buffer;
	size_t offset = b->kind == BUFFER_ARENA ? program_in_region(m->program, b) : b->offset;

	return offset_by(m, of_row(m, e, base_of(m, e, b), b), offset + a->offset);
}

static void
call_step(LlvmModule *m, const Entry *e, int index)
{
	const Step *s = program_step(m->program, index);
	LLVMValueRef *args = ARENA_ARRAY(m->arena, LLVMValueRef, s->fn->bufs.n);
	LLVMValueRef kernel = m->kernel[m->spreads ? index : m->symbols.kernel_of[index]];
	unsigned n = 0;

	for (int i = 0; i < s->fn->bufs.n; i++)
		if (lbuf_is_argument(s->fn->bufs.v[i]) && m->symbols.used[index][i])
			args[n++] = argument_of(m, e, &s->arg[i]);
	LLVMBuildCall2(m->builder, LLVMGlobalGetValueType(kernel), kernel, args, n, "");
}

/* ---- State between calls ---- */

static LLVMTypeRef
state_type(const LlvmModule *m, int i)
{
	const Type *t = &m->program->graph->states.v[i]->type;
	unsigned n = (unsigned)type_numel(t);

	return LLVMArrayType(llvm_memory_type(m, t->dtype), n ? n : 1);
}

/* The address of a member of the struct NAME_state, laid out as in C. */
static LLVMValueRef
state_member(LlvmModule *m, LLVMValueRef state, int i)
{
	int n = m->program->graph->states.n;
	LLVMTypeRef *members = ARENA_ARRAY(m->arena, LLVMTypeRef, n);

	for (int k = 0; k < n; k++)
		members[k] = state_type(m, k);
	return LLVMBuildStructGEP2(m->builder,
	                           LLVMStructTypeInContext(m->context, members, (unsigned)n, 0),
	                           state, (unsigned)i, "");
}

static LLVMValueRef
load_element(LlvmFunction *f, DType t, LLVMValueRef base, LLVMValueRef index)
{
	return LLVMBuildLoad2(f->m->builder, llvm_memory_type(f->m, t),
	                      llvm_element(f, t, base, index), "");
}

/* Stores what a state holds before the first call; when that is the same everywhere it
 * takes no table. */
static void
reset_state(LlvmFunction *f, const char *name, LLVMValueRef state, int i)
{
	LlvmModule *m = f->m;
	const Program *p = m->program;
	const Value *v = p->graph->states.v[i];
	DType t = v->type.dtype;
	LLVMTypeRef idx = llvm_type(m, DT_IDX);
	LLVMValueRef zero = LLVMConstInt(idx, 0, 0), to, table, first;
	size_t n = (size_t)type_numel(&v->type);
	bool repeated = value_is_repeated(v);
	LlvmCounted loop;

	if (n == 0)
		return;
	to = p->io == IO_ARENA
	             ? offset_by(m, state,
	                         program_in_region(p, p->input[graph_plain_inputs(p->graph) + i]))
	             : state_member(m, state, i);
	table = llvm_constant(m, arena_printf(m->arena, "%s_initial%d", name, i), t,
	                      repeated ? 1 : n, v->data);
	/* LLVM may look into a single element. */
	if (repeated)
		LLVMSetExternallyInitialized(table, 0);
	first = repeated ? load_element(f, t, table, zero) : NULL;
	loop = llvm_open_counted(f, zero, LLVMConstInt(idx, n, 0), 1, "i");
	LLVMBuildStore(m->builder, first ? first : load_element(f, t, table, loop.var),
	               llvm_element(f, t, to, loop.var));
	llvm_close_counted(f, &loop);
}

static Entry
start_entry(LlvmModule *m, const char *name, LLVMTypeRef result, int nparams)
{
	const Graph *g = m->program->graph;
	LLVMTypeRef *params = ARENA_ARRAY(m->arena, LLVMTypeRef, nparams);
	Entry e = {0};

	for (int i = 0; i < nparams; i++)
		params[i] = m->ptr;
	e.fn = LLVMAddFunction(m->module, name,
	                       LLVMFunctionType(result, params, (unsigned)nparams, 0));
	e.in = ARENA_ARRAY(m->arena, LLVMValueRef, g->inputs.n);
	e.out = ARENA_ARRAY(m->arena, LLVMValueRef, g->outputs.n);
	e.region = ARENA_ARRAY(m->arena, LLVMValueRef, m->program->nregions);
	llvm_finish_function(m, e.fn, name);
	LLVMPositionBuilderAtEnd(m->builder,
	                         LLVMAppendBasicBlockInContext(m->context, e.fn, "entry"));
	LLVMSetCurrentDebugLocation2(m->builder, NULL);
	return e;
}

/* The arenas are the last parameters. */
static void
take_regions(LlvmModule *m, Entry *e)
{
	unsigned first = LLVMCountParams(e->fn) - (unsigned)m->program->nregions;

	for (int r = 0; r < m->program->nregions; r++)
		e->region[r] = LLVMGetParam(e->fn, first + (unsigned)r);
}

/* Returns an error from the function when an arena is NULL or not aligned, as in C. */
static void
check_memory(LlvmModule *m, LLVMValueRef fn, LLVMValueRef arena)
{
	LLVMBuilderRef b = m->builder;
	LLVMTypeRef word = m->c_address;
	LLVMValueRef address = LLVMBuildPtrToInt(b, arena, word, ""), bad;
	LLVMBasicBlockRef fail, go;

	address = LLVMBuildAnd(b, address, LLVMConstInt(word, m->program->arena_align - 1, 0), "");
	bad = LLVMBuildOr(b, LLVMBuildIsNull(b, arena, ""),
	                  LLVMBuildICmp(b, LLVMIntNE, address, LLVMConstInt(word, 0, 0), ""), "");
	fail = LLVMAppendBasicBlockInContext(m->context, fn, "bad_arena");
	go = LLVMAppendBasicBlockInContext(m->context, fn, "go");
	LLVMBuildCondBr(b, bad, fail, go);
	LLVMPositionBuilderAtEnd(b, fail);
	LLVMBuildRet(b, LLVMConstInt(m->c_int, 1, 0));
	LLVMPositionBuilderAtEnd(b, go);
}

/* The line table of a function that belongs to no layer: line 0. */
static void
place_entry(LlvmModule *m, LLVMValueRef fn, const char *name)
{
	LLVMMetadataRef place = describe_function(m, name, 0, false);

	if (!place)
		return;
	LLVMSetSubprogram(fn, place);
	LLVMSetCurrentDebugLocation2(
		m->builder, LLVMDIBuilderCreateDebugLocation(m->context, 0, 0, place, NULL));
}

static void
build_run(LlvmModule *m)
{
	const Program *p = m->program;
	bool in_arena = p->io == IO_ARENA;
	int nin = in_arena ? 0 : graph_plain_inputs(p->graph);
	int nout = in_arena ? 0 : graph_plain_outputs(p->graph);
	int nstates = in_arena ? 0 : p->graph->states.n;
	const char *name = text(m, "_run", m->options->prefix);
	Entry e = start_entry(m, name, m->c_int, nin + nout + (nstates > 0) + p->nregions);

	for (int i = 0; i < nin; i++)
		e.in[i] = LLVMGetParam(e.fn, (unsigned)i);
	for (int i = 0; i < nout; i++)
		e.out[i] = LLVMGetParam(e.fn, (unsigned)(nin + i));
	place_entry(m, e.fn, name);
	/* As they are read and as they are written when all is read. */
	for (int i = 0; i < nstates; i++)
		e.in[nin + i] = e.out[nout + i] =
			state_member(m, LLVMGetParam(e.fn, (unsigned)(nin + nout)), i);
	take_regions(m, &e);
	for (int r = 0; r < p->nregions; r++)
		if (p->region[r].size > 0)
			check_memory(m, e.fn, e.region[r]);
	for (int i = 0; i < p->steps.n; i++)
		call_step(m, &e, i);
	LLVMBuildRet(m->builder, LLVMConstInt(m->c_int, 0, 0));
}

/* The pointer to what call number `call` has of a tensor. */
static LLVMValueRef
part_of_call(LlvmModule *m, LLVMValueRef base, LLVMValueRef call, const Buffer *b)
{
	LLVMValueRef bytes = LLVMConstInt(m->c_address, type_bytes(&b->type), 0);
	LLVMValueRef offset = LLVMBuildNUWMul(m->builder, call, bytes, "");

	return LLVMBuildInBoundsGEP2(m->builder, LLVMInt8TypeInContext(m->context), base, &offset, 1,
	                             "");
}

/* ---- Many rows ---- */

static void
call_steps_of_rows(LlvmModule *m, LlvmFunction *f, Entry *e)
{
	const Program *p = m->program;
	LLVMTypeRef idx = llvm_type(m, DT_IDX);
	LLVMValueRef zero = LLVMConstInt(idx, 0, 0);
	LLVMValueRef rows = LLVMConstInt(idx, (unsigned)p->batch.rows, 0);

	for (int i = 0; i < p->steps.n; i++) {
		LlvmCounted loop;

		if (p->batch.step_of[i]) {
			e->row = NULL;
			call_step(m, e, p->batch.step_of[i]->index);
			continue;
		}
		loop = llvm_open_counted(f, zero, rows, 1, "row");
		e->row = LLVMBuildZExtOrBitCast(m->builder, loop.var, m->c_address, "");
		call_step(m, e, i);
		llvm_close_counted(f, &loop);
	}
}

/* The function that does a block of rows, as NAME_rows in C; NULL: there are none. */
static LLVMValueRef
build_rows(LlvmModule *m)
{
	const Program *p = m->program;
	int nin = p->graph->inputs.n, nout = p->graph->outputs.n;
	const char *name = text(m, "_rows", m->options->prefix);
	LlvmFunction f = {.m = m};
	Entry e;

	if (!p->batch.rows)
		return NULL;
	e = start_entry(m, name, LLVMVoidTypeInContext(m->context), nin + nout + 1);
	f.value = e.fn;
	LLVMSetLinkage(e.fn, LLVMInternalLinkage);
	for (int i = 0; i < nin; i++)
		e.in[i] = LLVMGetParam(e.fn, (unsigned)i);
	for (int i = 0; i < nout; i++)
		e.out[i] = LLVMGetParam(e.fn, (unsigned)(nin + i));
	place_entry(m, e.fn, name);
	take_regions(m, &e);
	call_steps_of_rows(m, &f, &e);
	LLVMBuildRetVoid(m->builder);
	return e.fn;
}

/* A loop of run_batch: as long as `size` more calls are left it does them by `callee`. */
typedef struct {
	LLVMValueRef fn, callee, start; /* start: number of its first call */
	unsigned size;
	LLVMBasicBlockRef before, head, end;
	LLVMValueRef call, status;
} BatchLoop;

static void
open_batch_loop(LlvmModule *m, BatchLoop *l)
{
	const Program *p = m->program;
	int nin = p->graph->inputs.n, n = nin + p->graph->outputs.n, all = n + p->nregions;
	LLVMBuilderRef b = m->builder;
	LLVMValueRef *args = ARENA_ARRAY(m->arena, LLVMValueRef, all), left;
	LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(m->context, l->fn, "body");

	l->before = LLVMGetInsertBlock(b);
	l->head = LLVMAppendBasicBlockInContext(m->context, l->fn, "head");
	l->end = LLVMAppendBasicBlockInContext(m->context, l->fn, "end");
	LLVMBuildBr(b, l->head);
	LLVMPositionBuilderAtEnd(b, l->head);
	l->call = LLVMBuildPhi(b, m->c_address, "call");
	left = LLVMBuildNUWSub(b, LLVMGetParam(l->fn, 0), l->call, "");
	LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntUGE, left,
	                                 LLVMConstInt(m->c_address, l->size, 0), ""),
	                body, l->end);
	LLVMPositionBuilderAtEnd(b, body);
	for (int i = 0; i < n; i++)
		args[i] = part_of_call(m, LLVMGetParam(l->fn, (unsigned)i + 1), l->call,
		                       i < nin ? p->input[i] : p->output[i - nin]);
	for (int i = n; i < all; i++)
		args[i] = LLVMGetParam(l->fn, (unsigned)i + 1);
	l->status = LLVMBuildCall2(b, LLVMGlobalGetValueType(l->callee), l->callee, args,
	                           (unsigned)all, "");
}

/* The builder is behind the loop then. */
static void
close_batch_loop(LlvmModule *m, const BatchLoop *l)
{
	LLVMBuilderRef b = m->builder;
	LLVMValueRef next = LLVMBuildNUWAdd(b, l->call, LLVMConstInt(m->c_address, l->size, 0), "");

	LLVMAddIncoming(l->call, (LLVMValueRef[]){l->start, next},
	                (LLVMBasicBlockRef[]){l->before, LLVMGetInsertBlock(b)}, 2);
	LLVMBuildBr(b, l->head);
	LLVMPositionBuilderAtEnd(b, l->end);
}

/* int NAME_run_batch(size_t count, inputs, outputs, void *arena): blocks of rows where
 * there are some, and a loop over NAME_run for the rest. */
static void
build_run_batch(LlvmModule *m)
{
	const Program *p = m->program;
	int all = p->graph->inputs.n + p->graph->outputs.n + p->nregions;
	LLVMBuilderRef b = m->builder;
	LLVMTypeRef *params = ARENA_ARRAY(m->arena, LLVMTypeRef, all + 1);
	const char *name = text(m, "_run_batch", m->options->prefix);
	LLVMBasicBlockRef good, bad;
	BatchLoop loop = {.size = 1}, blocks = {.size = (unsigned)p->batch.rows};

	if (!m->options->batch)
		return;
	blocks.callee = build_rows(m);
	params[0] = m->c_address;
	for (int i = 0; i < all; i++)
		params[i + 1] = m->ptr;
	loop.fn = blocks.fn = LLVMAddFunction(
		m->module, name, LLVMFunctionType(m->c_int, params, (unsigned)all + 1, 0));
	llvm_finish_function(m, loop.fn, name);
	loop.callee = LLVMGetNamedFunction(m->module, text(m, "_run", m->options->prefix));
	LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(m->context, loop.fn, "entry"));
	place_entry(m, loop.fn, name);
	loop.start = blocks.start = LLVMConstInt(m->c_address, 0, 0);
	if (blocks.callee) {
		check_memory(m, loop.fn, LLVMGetParam(loop.fn, (unsigned)all));
		open_batch_loop(m, &blocks);
		close_batch_loop(m, &blocks);
		loop.start = blocks.call;
	}
	open_batch_loop(m, &loop);
	good = LLVMAppendBasicBlockInContext(m->context, loop.fn, "good");
	bad = LLVMAppendBasicBlockInContext(m->context, loop.fn, "bad");
	LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntEQ, loop.status, LLVMConstInt(m->c_int, 0, 0), ""),
	                good, bad);
	LLVMPositionBuilderAtEnd(b, bad);
	LLVMBuildRet(b, loop.status);
	LLVMPositionBuilderAtEnd(b, good);
	close_batch_loop(m, &loop);
	LLVMBuildRet(b, LLVMConstInt(m->c_int, 0, 0));
}

/* void NAME_reset(NAME_state *state), or of the arena where states lie in it. */
static void
build_reset(LlvmModule *m)
{
	const Program *p = m->program;
	int nstates = p->graph->states.n, at = graph_plain_inputs(p->graph);
	const char *name = text(m, "_reset", m->options->prefix);
	bool in_arena = p->io == IO_ARENA;
	LlvmFunction f = {.m = m};

	if (nstates == 0)
		return;
	f.value = start_entry(m, name, LLVMVoidTypeInContext(m->context), in_arena ? p->nregions : 1).fn;
	place_entry(m, f.value, name);
	for (int i = 0; i < nstates; i++)
		reset_state(&f, name,
		            LLVMGetParam(f.value, in_arena ? (unsigned)p->input[at + i]->region : 0), i);
	LLVMBuildRetVoid(m->builder);
}

/* ---- For the JIT ---- */

static void
load_pointers(LlvmModule *m, LLVMValueRef array, int n, LLVMValueRef *out)
{
	for (int i = 0; i < n; i++) {
		LLVMValueRef index = LLVMConstInt(m->c_address, (unsigned long long)i, 0);
		LLVMValueRef at = LLVMBuildInBoundsGEP2(m->builder, m->ptr, array, &index, 1, "");

		out[i] = LLVMBuildLoad2(m->builder, m->ptr, at, "");
	}
}

/* void NAME(const void *const *in, void *const *out, void *arena) for the steps
 * [from, to). */
static void
build_steps(LlvmModule *m, const char *name, int from, int to)
{
	const Graph *g = m->program->graph;
	Entry e = start_entry(m, name, LLVMVoidTypeInContext(m->context), 3);

	for (int r = 0; r < m->program->nregions; r++)
		e.region[r] = offset_by(m, LLVMGetParam(e.fn, 2), m->program->region[r].base);
	load_pointers(m, LLVMGetParam(e.fn, 0), g->inputs.n, e.in);
	load_pointers(m, LLVMGetParam(e.fn, 1), g->outputs.n, e.out);
	for (int i = from; i < to; i++)
		call_step(m, &e, i);
	LLVMBuildRetVoid(m->builder);
}

static void
build_jit_entries(LlvmModule *m)
{
	int n = m->program->steps.n;

	build_steps(m, "mcc_run", 0, n);
	for (int i = 0; i < n; i++)
		build_steps(m, arena_printf(m->arena, "mcc_step_%d", i), i, i + 1);
}

/* ---- The whole module ---- */

static bool
is_elf(const char *triple)
{
	return !strstr(triple, "wasm") && !strstr(triple, "darwin") && !strstr(triple, "macos") &&
	       !strstr(triple, "windows");
}

static void
set_target(LlvmModule *m, LLVMTargetMachineRef machine)
{
	const LlvmTarget *t = &m->options->target;
	LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
	unsigned pointer = LLVMPointerSize(layout);
	char *triple = LLVMGetTargetMachineTriple(machine);

	LLVMSetTarget(m->module, triple);
	LLVMDisposeMessage(triple);
	LLVMSetModuleDataLayout(m->module, layout);
	m->c_address = LLVMIntTypeInContext(m->context, 8 * pointer);
	m->c_int = LLVMIntTypeInContext(m->context, pointer < 4 ? 16 : 32);
	LLVMDisposeTargetData(layout);
	if (*t->abi) {
		LLVMMetadataRef abi = LLVMMDStringInContext2(m->context, t->abi, strlen(t->abi));

		LLVMAddModuleFlag(m->module, LLVMModuleFlagBehaviorError, "target-abi",
		                  strlen("target-abi"), abi);
	}
	if (t->reloc == RELOC_PIC)
		add_flag(m, LLVMModuleFlagBehaviorError, "PIC Level", 2);
}

void
llvm_build_module(LlvmModule *m, Arena *a, const Program *p, const LlvmOptions *options,
                  LLVMContextRef context, LLVMTargetMachineRef machine, bool for_jit)
{
	*m = (LlvmModule){.arena = a, .program = p, .options = options, .context = context};
	c_symbols(a, p, options->prefix, &m->symbols);
	m->for_jit = for_jit;
	m->spreads = for_jit || options->spreads;
	m->has_sections = !for_jit && is_elf(options->target.triple);
	m->module = LLVMModuleCreateWithNameInContext(options->model_name, context);
	LLVMSetSourceFileName(m->module, options->model_name, strlen(options->model_name));
	m->builder = LLVMCreateBuilderInContext(context);
	m->ptr = LLVMPointerTypeInContext(context, 0);
	m->constant = ARENA_ARRAY(a, LLVMValueRef, program_all_buffers(p));
	m->kernel = ARENA_ARRAY(a, LLVMValueRef, m->spreads ? program_all_steps(p) : m->symbols.nkernels);
	set_target(m, machine);
	if (options->debug && !for_jit)
		start_debug(m);
	build_kernels(m);
	if (for_jit) {
		build_jit_entries(m);
	} else {
		build_reset(m);
		build_run(m);
		build_run_batch(m);
	}
	if (m->di)
		LLVMDIBuilderFinalize(m->di);
}

void
llvm_dispose_builders(LlvmModule *m)
{
	if (m->di)
		LLVMDisposeDIBuilder(m->di);
	LLVMDisposeBuilder(m->builder);
}
