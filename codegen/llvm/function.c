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

static void build_block(LlvmFunction *f, const Stmt *s);

static LLVMBasicBlockRef
new_block(LlvmFunction *f, const char *name)
{
	return LLVMAppendBasicBlockInContext(f->m->context, f->value, name);
}

static LLVMBuilderRef
builder(const LlvmFunction *f)
{
	return f->m->builder;
}

/* A stack slot of the entry block, before its branch to the body. */
static LLVMValueRef
new_slot(LlvmFunction *f, const LVar *v)
{
	LLVMBuilderRef b = LLVMCreateBuilderInContext(f->m->context);
	LLVMValueRef slot;

	LLVMPositionBuilderBefore(b, LLVMGetBasicBlockTerminator(f->entry));
	slot = LLVMBuildAlloca(b, llvm_type(f->m, v->type), v->name);
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
		f->slot[v->index] = new_slot(f, v);
	LLVMBuildStore(builder(f), value, f->slot[v->index]);
}

static void
build_for(LlvmFunction *f, const Stmt *s)
{
	LLVMBuilderRef b = builder(f);
	LLVMValueRef lo = llvm_build_expr(f, s->lo), hi = llvm_build_expr(f, s->hi), var, next;
	LLVMBasicBlockRef before = LLVMGetInsertBlock(b), head = new_block(f, "head"),
	                  body = new_block(f, "body"), end = new_block(f, "end"), last;

	LLVMBuildBr(b, head);
	LLVMPositionBuilderAtEnd(b, head);
	var = LLVMBuildPhi(b, llvm_type(f->m, DT_IDX), s->var->name);
	f->known[s->var->index] = var;
	if (s->cond) {
		LLVMBasicBlockRef check = new_block(f, "check");

		LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSLT, var, hi, ""), check, end);
		LLVMPositionBuilderAtEnd(b, check);
		LLVMBuildCondBr(b, llvm_build_expr(f, s->cond), body, end);
	} else {
		LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSLT, var, hi, ""), body, end);
	}
	LLVMPositionBuilderAtEnd(b, body);
	build_block(f, s->body);
	/* The last step may pass the bound, but never the range of idx. */
	next = LLVMBuildNSWAdd(b, var, LLVMConstInt(LLVMTypeOf(var), (unsigned)s->step, 0), "");
	last = LLVMGetInsertBlock(b);
	LLVMBuildBr(b, head);
	LLVMAddIncoming(var, (LLVMValueRef[]){lo, next}, (LLVMBasicBlockRef[]){before, last}, 2);
	LLVMPositionBuilderAtEnd(b, end);
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
	build_block(f, body);
	if (!has_terminator(f))
		LLVMBuildBr(builder(f), end);
}

static void
build_if(LlvmFunction *f, const Stmt *s)
{
	LLVMBuilderRef b = builder(f);
	LLVMValueRef cond = llvm_build_expr(f, s->cond);
	LLVMBasicBlockRef then = new_block(f, "then"), other = s->other ? new_block(f, "else") : NULL,
	                  end = new_block(f, "end");

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

static void
build_block(LlvmFunction *f, const Stmt *s)
{
	for (; s && !has_terminator(f); s = s->next)
		build_stmt(f, s);
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
		if (fn->bufs.v[i]->role != LBUF_TABLE && used[i])
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
		if (!f->used[i])
			continue;
		f->buf[i] = LLVMGetParam(f->value, arg++);
		LLVMSetValueName2(f->buf[i], b->name, strlen(b->name));
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
                    LLVMMetadataRef subprogram, unsigned line)
{
	LlvmFunction f = {.m = m, .fn = fn, .used = used};
	LLVMBasicBlockRef outer = LLVMGetInsertBlock(m->builder), body;
	LLVMMetadataRef outer_place = LLVMGetCurrentDebugLocation2(m->builder);

	f.value = LLVMAddFunction(m->module, name, type_of_function(m, fn, used));
	LLVMSetLinkage(f.value, LLVMInternalLinkage);
	llvm_finish_function(m, f.value, name);
	f.slot = ARENA_ARRAY(m->arena, LLVMValueRef, fn->vars.n);
	f.known = ARENA_ARRAY(m->arena, LLVMValueRef, fn->vars.n);
	f.buf = ARENA_ARRAY(m->arena, LLVMValueRef, fn->bufs.n);
	bind_params(&f);
	bind_buffers(&f, name);
	f.entry = new_block(&f, "entry");
	body = new_block(&f, "start");
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
	LLVMPositionBuilderAtEnd(m->builder, body);
	build_block(&f, fn->body);
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
		m, fn, arena_printf(m->arena, "%s_%s", m->options->prefix, fn->name), NULL, NULL, 0);
	VEC_PUSH(m->arena, &m->callees, callee);
	return callee.value;
}
