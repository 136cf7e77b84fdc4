/*
 * Functions of the loop IR as LLVM functions.
 *
 * Variables that are assigned live in stack slots of the entry block, which
 * LLVM's mem2reg turns into registers; constant ones are values.  A loop becomes
 *
 *	head:  (var < hi and cond) ? body : end
 *	body:  ...; var += step; goto head
 *
 * A kernel takes one pointer an argument buffer; a scalar function takes and
 * returns scalars.
 */
#include <assert.h>
#include <string.h>

#include "codegen/llvm/module.h"

LLVMBasicBlockRef
llvm_new_block(LlvmFunction *f, const char *name)
{
	return LLVMAppendBasicBlockInContext(f->m->context, f->value, name);
}

static LLVMBuilderRef
builder(const LlvmFunction *f)
{
	return f->m->builder;
}

/* Before the branch to the body. */
LLVMValueRef
llvm_new_slot(LlvmFunction *f, LLVMTypeRef type, const char *name)
{
	LLVMBuilderRef b = LLVMCreateBuilderInContext(f->m->context);
	LLVMValueRef slot;

	LLVMPositionBuilderBefore(b, LLVMGetBasicBlockTerminator(f->entry));
	slot = LLVMBuildAlloca(b, type, name);
	LLVMDisposeBuilder(b);
	return slot;
}

static void
declare(LlvmFunction *f, const LVar *v, LLVMValueRef value)
{
	if (v->is_const) {
		f->known[v->index] = value;
		return;
	}
	if (!f->slot[v->index])
		f->slot[v->index] = llvm_new_slot(f, llvm_lanes(llvm_type(f->m, v->type), v->lanes),
		                                  v->name);
	LLVMBuildStore(builder(f), value, f->slot[v->index]);
}

LlvmCounted
llvm_open_counted(LlvmFunction *f, LLVMValueRef lo, LLVMValueRef hi, int32_t step,
                  const char *name)
{
	LLVMBuilderRef b = builder(f);
	LlvmCounted loop = {.lo = lo, .before = LLVMGetInsertBlock(b), .step = step};
	LLVMBasicBlockRef body;

	loop.head = llvm_new_block(f, "head");
	body = llvm_new_block(f, "body");
	loop.end = llvm_new_block(f, "end");
	LLVMBuildBr(b, loop.head);
	LLVMPositionBuilderAtEnd(b, loop.head);
	loop.var = LLVMBuildPhi(b, llvm_type(f->m, DT_IDX), name);
	LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSLT, loop.var, hi, ""), body, loop.end);
	LLVMPositionBuilderAtEnd(b, body);
	return loop;
}

LLVMValueRef
llvm_close_counted(LlvmFunction *f, const LlvmCounted *loop)
{
	LLVMBuilderRef b = builder(f);
	LLVMTypeRef type = LLVMTypeOf(loop->var);
	LLVMValueRef next, branch;

	/* The last step may pass the bound, but never the range of idx. */
	next = LLVMBuildNSWAdd(b, loop->var, LLVMConstInt(type, (unsigned)loop->step, 0), "");
	LLVMAddIncoming(loop->var, (LLVMValueRef[]){loop->lo, next},
	                (LLVMBasicBlockRef[]){loop->before, LLVMGetInsertBlock(b)}, 2);
	branch = LLVMBuildBr(b, loop->head);
	LLVMPositionBuilderAtEnd(b, loop->end);
	return branch;
}

void
llvm_hint_loop(const LlvmModule *m, LLVMValueRef last_branch, const char *name, unsigned value)
{
	LLVMContextRef context = m->context;
	LLVMTypeRef i32 = LLVMInt32TypeInContext(context);
	LLVMMetadataRef pair[] = {LLVMMDStringInContext2(context, name, strlen(name)),
	                          LLVMValueAsMetadata(LLVMConstInt(i32, value, 0))};
	LLVMMetadataRef parts[2], node;

	/* A loop's node names itself first; it can only be put in afterwards. */
	parts[0] = LLVMTemporaryMDNode(context, NULL, 0);
	parts[1] = LLVMMDNodeInContext2(context, pair, 2);
	node = LLVMMDNodeInContext2(context, parts, 2);
	LLVMMetadataReplaceAllUsesWith(parts[0], node);
	LLVMSetMetadata(last_branch, LLVMGetMDKindIDInContext(context, "llvm.loop", 9),
	                LLVMMetadataAsValue(context, node));
}

/* Whether a loop only fills or copies memory. */
static bool
only_moves(const Stmt *loop)
{
	const Stmt *st = loop->body;

	while (st && st->kind == S_COMMENT)
		st = st->next;
	return st && st->kind == S_STORE && !st->next &&
	       (st->value->kind == E_CONST || st->value->kind == E_LOAD);
}

/* How many at a time: four bytes are a word where addresses need not be aligned, and loads
 * of words that stand side by side take one cycle instead of two. */
static unsigned
moves_at_once(const LlvmOptions *o)
{
	return o->opt_level > 2 && (o->target.isa & (ISA_ARM_SINGLE | ISA_ARM_MLA)) ? 16 : 4;
}

static void
build_for(LlvmFunction *f, const Stmt *s)
{
	const LlvmOptions *o = f->m->options;
	LLVMValueRef lo, hi, branch;
	LlvmCounted loop;
	int runs = f->nruns;

	if (f->m->spreads && llvm_build_spread(f, s))
		return;
	lo = llvm_build_expr(f, s->lo);
	hi = llvm_build_expr(f, s->hi);
	loop = llvm_open_counted(f, lo, hi, s->step, s->var->name);
	f->known[s->var->index] = loop.var;
	if (s->cond) {
		LLVMBasicBlockRef go_on = llvm_new_block(f, "go_on");

		LLVMBuildCondBr(builder(f), llvm_build_expr(f, s->cond), go_on, loop.end);
		LLVMPositionBuilderAtEnd(builder(f), go_on);
	}
	llvm_build_block(f, s->body);
	branch = llvm_close_counted(f, &loop);
	/* LLVM does not know how long the instructions of a run are. */
	if (f->nruns > runs)
		llvm_hint_loop(f->m, branch, "llvm.loop.unroll.count", 1);
	/* Without vectors LLVM would unroll these until their addresses take it seconds. */
	if (!f->m->spreads && o->opt_level > 1 && o->size_level == 0 && only_moves(s))
		llvm_hint_loop(f->m, branch, "llvm.loop.unroll.count", moves_at_once(o));
}

static bool
has_terminator(const LlvmFunction *f)
{
	return LLVMGetBasicBlockTerminator(LLVMGetInsertBlock(builder(f))) != NULL;
}

static void
build_branch(LlvmFunction *f, LLVMBasicBlockRef block, const Stmt *body, LLVMBasicBlockRef end)
{
	LLVMPositionBuilderAtEnd(builder(f), block);
	llvm_build_block(f, body);
	if (!has_terminator(f))
		LLVMBuildBr(builder(f), end);
}

static void
build_if(LlvmFunction *f, const Stmt *s)
{
	LLVMBuilderRef b = builder(f);
	LLVMValueRef cond = llvm_build_expr(f, s->cond);
	LLVMBasicBlockRef then = llvm_new_block(f, "then"), end = llvm_new_block(f, "end");
	LLVMBasicBlockRef other = s->other ? llvm_new_block(f, "else") : NULL;

	LLVMBuildCondBr(b, cond, then, other ? other : end);
	build_branch(f, then, s->body, end);
	if (other)
		build_branch(f, other, s->other, end);
	LLVMPositionBuilderAtEnd(b, end);
}

static void
build_store(LlvmFunction *f, const Stmt *s)
{
	LLVMBuilderRef b = builder(f);
	LLVMValueRef at = llvm_element(f, s->buf->elem, f->buf[s->buf->index],
	                               llvm_build_expr(f, s->index));
	LLVMValueRef value = llvm_build_expr(f, s->value), store;

	if (s->buf->elem == DT_BOOL)
		value = LLVMBuildZExt(b, value, llvm_memory_type(f->m, DT_BOOL), "");
	store = LLVMBuildStore(b, value, at);
	LLVMSetAlignment(store, (unsigned)dtype_info[s->buf->elem].bytes);
}

static void
build_stmt(LlvmFunction *f, const Stmt *s)
{
	switch (s->kind) {
	case S_FOR: build_for(f, s); break;
	case S_IF: build_if(f, s); break;
	case S_VAR: declare(f, s->var, llvm_build_expr(f, s->value)); break;
	case S_SET:
		LLVMBuildStore(builder(f), llvm_build_expr(f, s->value), f->slot[s->var->index]);
		break;
	case S_STORE: build_store(f, s); break;
	case S_RETURN: LLVMBuildRet(builder(f), llvm_build_expr(f, s->value)); break;
	case S_COMMENT: break;
	}
}

/* ---- Runs of products ---- */

/* Operands in the order of arm_products.h, then the sums again, as what goes in. */
static char *
run_constraints(LlvmFunction *f, const ArmRun *run)
{
	Str s;

	str_init(&s, f->m->arena);
	for (int i = 0; i < run->nsums + run->ntemps; i++)
		str_puts(&s, i ? ",=&r" : "=&r");
	for (int i = 0; i < run->nbases; i++)
		str_puts(&s, ",r");
	for (int i = 0; i < run->nsums; i++)
		str_printf(&s, ",%d", i);
	str_puts(&s, ",~{memory}");
	return s.s;
}

static char *
run_text(LlvmFunction *f, const ArmRun *run)
{
	Str s;

	str_init(&s, f->m->arena);
	for (const char *c = run->text.s; *c; c++)
		str_putc(&s, *c == '%' ? '$' : *c);
	return s.s;
}

static void
build_run(LlvmFunction *f, const ArmRun *run)
{
	LLVMBuilderRef b = builder(f);
	LLVMTypeRef i32 = llvm_type(f->m, DT_I32), result[ARM_RUN_REGISTERS], type;
	LLVMTypeRef in_type[ARM_RUN_REGISTERS];
	LLVMValueRef in[ARM_RUN_REGISTERS], out;
	char *text = run_text(f, run), *constraints = run_constraints(f, run);
	unsigned n = 0;

	f->nruns++;
	for (int i = 0; i < run->lets.n; i++)
		build_stmt(f, run->lets.v[i]);
	for (int i = 0; i < run->nsums + run->ntemps; i++)
		result[i] = i32;
	for (int i = 0; i < run->nbases; i++) {
		const LBuf *buf = run->base[i].buf;

		in_type[n] = f->m->ptr;
		in[n++] = llvm_element(f, buf->elem, f->buf[buf->index],
		                       llvm_build_expr(f, run->base[i].index));
	}
	for (int i = 0; i < run->nsums; i++) {
		in_type[n] = i32;
		in[n++] = LLVMBuildLoad2(b, i32, f->slot[run->sum[i]->index], "");
	}
	type = LLVMStructTypeInContext(f->m->context, result,
	                               (unsigned)(run->nsums + run->ntemps), 0);
	type = LLVMFunctionType(type, in_type, n, 0);
	out = LLVMGetInlineAsm(type, text, strlen(text), constraints, strlen(constraints), 1, 0,
	                       LLVMInlineAsmDialectATT, 0);
	out = LLVMBuildCall2(b, type, out, in, n, "");
	for (int i = 0; i < run->nsums; i++)
		LLVMBuildStore(b, LLVMBuildExtractValue(b, out, (unsigned)i, ""),
		               f->slot[run->sum[i]->index]);
}

/* Whether a run can be found at a statement, and may be made of instructions. */
static bool
find_run(LlvmFunction *f, const Stmt *s, ArmRun *run)
{
	return f->products && arm_products_find(f->products, s, run) &&
	       (!run->is_unaligned ||
	        !strstr(f->m->options->target.features, "+strict-align"));
}

void
llvm_build_block(LlvmFunction *f, const Stmt *s)
{
	ArmRun run;

	while (s && !has_terminator(f)) {
		if (find_run(f, s, &run)) {
			build_run(f, &run);
			s = run.past;
		} else {
			build_stmt(f, s);
			s = s->next;
		}
	}
}

/* ---- The function around it ---- */

static LLVMTypeRef
type_of_function(LlvmModule *m, const LFunc *fn, const bool *used)
{
	LLVMTypeRef *params = ARENA_ARRAY(m->arena, LLVMTypeRef, fn->params.n + fn->bufs.n);
	int n = 0;

	for (int i = 0; i < fn->params.n; i++)
		params[n++] = llvm_type(m, fn->params.v[i]->type);
	for (int i = 0; i < fn->bufs.n; i++)
		if (lbuf_is_argument(fn->bufs.v[i]) && used[i])
			params[n++] = m->ptr;
	return LLVMFunctionType(lfunc_is_scalar(fn) ? llvm_type(m, fn->result)
	                                            : LLVMVoidTypeInContext(m->context),
	                        params, (unsigned)n, 0);
}

static void
bind_buffers(LlvmFunction *f, const char *name)
{
	const LFunc *fn = f->fn;
	unsigned arg = (unsigned)fn->params.n;

	for (int i = 0; i < fn->bufs.n; i++) {
		const LBuf *b = fn->bufs.v[i];

		if (b->role == LBUF_TABLE) {
			f->buf[i] = llvm_constant(f->m,
			                          arena_printf(f->m->arena, "%s_%s", name, b->name),
			                          b->elem, (size_t)b->count, b->data);
			continue;
		}
		if (!lbuf_is_argument(b) || !f->used[i])
			continue;
		f->buf[i] = LLVMGetParam(f->value, arg++);
		LLVMSetValueName2(f->buf[i], b->name, strlen(b->name));
	}
}

/* Local memory lies on the stack. */
static void
bind_locals(LlvmFunction *f)
{
	for (int i = 0; i < f->fn->bufs.n; i++) {
		const LBuf *b = f->fn->bufs.v[i];
		LLVMTypeRef elem = llvm_memory_type(f->m, b->elem);

		if (b->role == LBUF_LOCAL)
			f->buf[i] = llvm_new_slot(f, LLVMArrayType(elem, (unsigned)b->count),
			                          b->name);
	}
}

static void
bind_params(LlvmFunction *f)
{
	for (int i = 0; i < f->fn->params.n; i++) {
		const LVar *v = f->fn->params.v[i];
		LLVMValueRef value = LLVMGetParam(f->value, (unsigned)i);

		LLVMSetValueName2(value, v->name, strlen(v->name));
		f->known[v->index] = value;
	}
}

LLVMValueRef
llvm_build_function(LlvmModule *m, const LFunc *fn, const char *name, const bool *used,
                    const bool *shared, LLVMMetadataRef subprogram, unsigned line)
{
	LlvmFunction f = {.m = m, .fn = fn, .used = used, .shared = shared};
	LLVMBasicBlockRef outer = LLVMGetInsertBlock(m->builder), body;
	LLVMMetadataRef outer_place = LLVMGetCurrentDebugLocation2(m->builder);

	f.value = LLVMAddFunction(m->module, name, type_of_function(m, fn, used));
	LLVMSetLinkage(f.value, LLVMInternalLinkage);
	llvm_finish_function(m, f.value, name);
	f.slot = ARENA_ARRAY(m->arena, LLVMValueRef, fn->vars.n);
	f.known = ARENA_ARRAY(m->arena, LLVMValueRef, fn->vars.n);
	f.buf = ARENA_ARRAY(m->arena, LLVMValueRef, fn->bufs.n);
	f.products = arm_products_new(m->arena, fn, m->options->target.isa);
	bind_params(&f);
	bind_buffers(&f, name);
	f.entry = llvm_new_block(&f, "entry");
	body = llvm_new_block(&f, "start");
	LLVMPositionBuilderAtEnd(m->builder, f.entry);
	if (subprogram) {
		LLVMSetSubprogram(f.value, subprogram);
		LLVMSetCurrentDebugLocation2(
			m->builder,
			LLVMDIBuilderCreateDebugLocation(m->context, line, 0, subprogram, NULL));
	} else {
		LLVMSetCurrentDebugLocation2(m->builder, NULL);
	}
	LLVMBuildBr(m->builder, body);
	bind_locals(&f);
	LLVMPositionBuilderAtEnd(m->builder, body);
	llvm_build_block(&f, fn->body);
	if (!has_terminator(&f)) {
		if (lfunc_is_scalar(fn))
			LLVMBuildUnreachable(m->builder);
		else
			LLVMBuildRetVoid(m->builder);
	}
	if (outer)
		LLVMPositionBuilderAtEnd(m->builder, outer);
	LLVMSetCurrentDebugLocation2(m->builder, outer_place);
	return f.value;
}

LLVMValueRef
llvm_find_callee(LlvmModule *m, const LFunc *fn)
{
	LlvmCallee callee = {.fn = fn};

	assert(fn);
	for (int i = 0; i < m->callees.n; i++)
		if (m->callees.v[i].fn == fn)
			return m->callees.v[i].value;
	callee.value = llvm_build_function(
		m, fn, arena_printf(m->arena, "%s_%s", m->options->prefix, fn->name), NULL, NULL,
		NULL, 0);
	VEC_PUSH(m->arena, &m->callees, callee);
	return callee.value;
}
