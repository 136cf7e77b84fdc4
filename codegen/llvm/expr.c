/*
 * Expressions as LLVM values.
 *
 * Every operation gets the definition of kops.def, also where LLVM's own
 * instruction would be undefined: division by zero and of INT_MIN by -1, shifts
 * by the width or more, conversions out of range.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "codegen/llvm/module.h"
#include "ir/loop/math.h"
#include "ir/target.h"

static LLVMBuilderRef
builder(const LlvmFunction *f)
{
	return f->m->builder;
}

static DTypeClass
class_of(DType t)
{
	return dtype_info[t].class;
}

/* Signed comparison, division and shift; idx counts as signed. */
static bool
is_signed(DType t)
{
	return class_of(t) == CLASS_SIGNED || class_of(t) == CLASS_INDEX;
}

static bool
is_half(DType t)
{
	return t == DT_F16 || t == DT_BF16;
}

LLVMTypeRef
llvm_type(const LlvmModule *m, DType t)
{
	switch (t) {
	case DT_BOOL: return LLVMInt1TypeInContext(m->context);
	case DT_F32: return LLVMFloatTypeInContext(m->context);
	case DT_F64: return LLVMDoubleTypeInContext(m->context);
	case DT_I8:
	case DT_U8:
	case DT_I16:
	case DT_U16:
	case DT_I32:
	case DT_U32:
	case DT_I64:
	case DT_U64:
	case DT_F16:
	case DT_BF16:
	case DT_IDX: return LLVMIntTypeInContext(m->context, 8 * (unsigned)dtype_info[t].bytes);
	case DT_COUNT: break;
	}
	return LLVMVoidTypeInContext(m->context);
}

LLVMTypeRef
llvm_lanes(LLVMTypeRef t, int lanes)
{
	return lanes ? LLVMVectorType(t, (unsigned)lanes) : t;
}

LLVMValueRef
llvm_number(LLVMTypeRef t, uint64_t v)
{
	LLVMValueRef lane[MAX_VECTOR_LANES];
	unsigned n;

	if (LLVMGetTypeKind(t) != LLVMVectorTypeKind)
		return LLVMConstInt(t, v, 0);
	n = LLVMGetVectorSize(t);
	for (unsigned i = 0; i < n; i++)
		lane[i] = LLVMConstInt(LLVMGetElementType(t), v, 0);
	return LLVMConstVector(lane, n);
}

/* The type of the value of an expression. */
static LLVMTypeRef
type_of(const LlvmModule *m, const Expr *e)
{
	return llvm_lanes(llvm_type(m, e->type), e->lanes);
}

LLVMTypeRef
llvm_memory_type(const LlvmModule *m, DType t)
{
	return t == DT_BOOL ? LLVMInt8TypeInContext(m->context) : llvm_type(m, t);
}

LLVMValueRef
llvm_element(LlvmFunction *f, DType t, LLVMValueRef base, LLVMValueRef index)
{
	return LLVMBuildInBoundsGEP2(builder(f), llvm_memory_type(f->m, t), base, &index, 1, "");
}

/* ---- Intrinsics ---- */

LLVMValueRef
llvm_call_intrinsic(LlvmFunction *f, const char *name, int ntypes, LLVMTypeRef *types, int nargs,
                    LLVMValueRef *args)
{
	unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
	LLVMValueRef fn = LLVMGetIntrinsicDeclaration(f->m->module, id, types, (size_t)ntypes);

	assert(id);
	return LLVMBuildCall2(builder(f), LLVMGlobalGetValueType(fn), fn, args, (unsigned)nargs, "");
}

/* ---- Operations ---- */

static LLVMValueRef
zero_of(LLVMValueRef x)
{
	return LLVMConstNull(LLVMTypeOf(x));
}

static LLVMValueRef
ones_of(LLVMValueRef x)
{
	return LLVMConstAllOnes(LLVMTypeOf(x));
}

static bool
is_harmless_divisor(const Expr *y)
{
	return y->kind == E_CONST && y->u.i != 0 && !(is_signed(y->type) && y->u.i == -1);
}

/* x / y with x / 0 = 0 and INT_MIN / -1 = INT_MIN, or x % y = x - y * (x / y). */
static LLVMValueRef
divide(LlvmFunction *f, const Expr *e, LLVMValueRef x, LLVMValueRef y)
{
	LLVMBuilderRef b = builder(f);
	bool sign = is_signed(e->type), is_rem = e->op == KOP_REM;
	LLVMValueRef by_zero, by_minus, safe, quotient;
	LLVMOpcode opcode = is_rem ? (sign ? LLVMSRem : LLVMURem) : (sign ? LLVMSDiv : LLVMUDiv);

	if (is_harmless_divisor(e->arg[1]))
		return LLVMBuildBinOp(b, opcode, x, y, "");
	by_zero = LLVMBuildICmp(b, LLVMIntEQ, y, zero_of(y), "");
	safe = LLVMBuildSelect(b, by_zero, LLVMConstInt(LLVMTypeOf(y), 1, 0), y, "");
	if (!sign) {
		quotient = LLVMBuildBinOp(b, opcode, x, safe, "");
		return LLVMBuildSelect(b, by_zero, is_rem ? x : zero_of(x), quotient, "");
	}
	by_minus = LLVMBuildICmp(b, LLVMIntEQ, y, ones_of(y), "");
	safe = LLVMBuildSelect(b, by_minus, LLVMConstInt(LLVMTypeOf(y), 1, 0), safe, "");
	quotient = LLVMBuildBinOp(b, opcode, x, safe, "");
	quotient = LLVMBuildSelect(b, by_minus, is_rem ? zero_of(x) : LLVMBuildNeg(b, x, ""),
	                           quotient, "");
	return LLVMBuildSelect(b, by_zero, is_rem ? x : zero_of(x), quotient, "");
}

static LLVMValueRef
shift(LlvmFunction *f, const Expr *e, LLVMValueRef x, LLVMValueRef y)
{
	LLVMBuilderRef b = builder(f);
	LLVMValueRef mask = llvm_number(LLVMTypeOf(x), 8 * (unsigned)dtype_info[e->type].bytes - 1);

	y = LLVMBuildAnd(b, y, mask, "");
	if (e->op == KOP_SHL)
		return LLVMBuildShl(b, x, y, "");
	return is_signed(e->type) ? LLVMBuildAShr(b, x, y, "") : LLVMBuildLShr(b, x, y, "");
}

static LLVMValueRef
compare(LlvmFunction *f, KOp op, DType t, LLVMValueRef x, LLVMValueRef y)
{
	static const struct {
		LLVMIntPredicate with_sign, without;
		LLVMRealPredicate real;
	} predicate[KOP_COUNT] = {
		[KOP_EQ] = {LLVMIntEQ, LLVMIntEQ, LLVMRealOEQ},
		[KOP_NE] = {LLVMIntNE, LLVMIntNE, LLVMRealUNE},
		[KOP_LT] = {LLVMIntSLT, LLVMIntULT, LLVMRealOLT},
		[KOP_LE] = {LLVMIntSLE, LLVMIntULE, LLVMRealOLE},
		[KOP_GT] = {LLVMIntSGT, LLVMIntUGT, LLVMRealOGT},
		[KOP_GE] = {LLVMIntSGE, LLVMIntUGE, LLVMRealOGE},
	};

	if (dtype_is_float(t))
		return LLVMBuildFCmp(builder(f), predicate[op].real, x, y, "");
	return LLVMBuildICmp(builder(f),
	                     is_signed(t) ? predicate[op].with_sign : predicate[op].without, x, y,
	                     "");
}

/* min(a, b) is b < a ? b : a, max(a, b) is a < b ? b : a. */
static LLVMValueRef
choose(LlvmFunction *f, const Expr *e, LLVMValueRef x, LLVMValueRef y)
{
	LLVMValueRef takes_y = e->op == KOP_MIN ? compare(f, KOP_LT, e->type, y, x)
	                                        : compare(f, KOP_LT, e->type, x, y);

	return LLVMBuildSelect(builder(f), takes_y, y, x, "");
}

static LLVMValueRef
binary(LlvmFunction *f, const Expr *e)
{
	LLVMBuilderRef b = builder(f);
	LLVMValueRef x = llvm_build_expr(f, e->arg[0]), y = llvm_build_expr(f, e->arg[1]);
	DType t = e->arg[0]->type;
	bool real = dtype_is_float(t), no_wrap = t == DT_IDX;

	switch (e->op) {
	case KOP_ADD:
		return real      ? LLVMBuildFAdd(b, x, y, "")
		       : no_wrap ? LLVMBuildNSWAdd(b, x, y, "")
		                 : LLVMBuildAdd(b, x, y, "");
	case KOP_SUB:
		return real      ? LLVMBuildFSub(b, x, y, "")
		       : no_wrap ? LLVMBuildNSWSub(b, x, y, "")
		                 : LLVMBuildSub(b, x, y, "");
	case KOP_MUL:
		return real      ? LLVMBuildFMul(b, x, y, "")
		       : no_wrap ? LLVMBuildNSWMul(b, x, y, "")
		                 : LLVMBuildMul(b, x, y, "");
	case KOP_DIV: return real ? LLVMBuildFDiv(b, x, y, "") : divide(f, e, x, y);
	case KOP_REM: return divide(f, e, x, y);
	case KOP_MIN:
	case KOP_MAX: return choose(f, e, x, y);
	case KOP_AND: return LLVMBuildAnd(b, x, y, "");
	case KOP_OR: return LLVMBuildOr(b, x, y, "");
	case KOP_XOR: return LLVMBuildXor(b, x, y, "");
	case KOP_SHL:
	case KOP_SHR: return shift(f, e, x, y);
	case KOP_EQ:
	case KOP_NE:
	case KOP_LT:
	case KOP_LE:
	case KOP_GT:
	case KOP_GE: return compare(f, e->op, t, x, y);
	case KOP_NEG:
	case KOP_ABS:
	case KOP_NOT:
	case KOP_COUNT: break;
	}
	assert(0 && "not a binary operation");
	return NULL;
}

static LLVMValueRef
unary(LlvmFunction *f, const Expr *e)
{
	LLVMBuilderRef b = builder(f);
	LLVMValueRef x = llvm_build_expr(f, e->arg[0]);
	LLVMTypeRef t = LLVMTypeOf(x);

	if (e->op == KOP_NOT)
		return LLVMBuildNot(b, x, "");
	if (dtype_is_float(e->type)) {
		if (e->op == KOP_NEG)
			return LLVMBuildFNeg(b, x, "");
		return llvm_call_intrinsic(f, "llvm.fabs", 1, &t, 1, &x);
	}
	if (e->op == KOP_NEG)
		return LLVMBuildNeg(b, x, "");
	if (!is_signed(e->type))
		return x;
	return LLVMBuildSelect(b, LLVMBuildICmp(b, LLVMIntSLT, x, zero_of(x), ""),
	                       LLVMBuildNeg(b, x, ""), x, "");
}

/* ---- Select ---- */

/* Whether an expression may be computed although its value is not wanted: it reads
 * no memory and costs little. */
static bool
is_cheap(const Expr *e, int budget)
{
	if (e->kind == E_LOAD || e->kind == E_CALL || e->kind == E_PACKED ||
	    e->kind == E_DOT || budget == 0)
		return false;
	for (int i = 0; i < e->nargs; i++)
		if (!is_cheap(e->arg[i], budget - 1))
			return false;
	return true;
}

static LLVMValueRef
build_select(LlvmFunction *f, const Expr *e)
{
	LLVMBuilderRef b = builder(f);
	LLVMValueRef cond = llvm_build_expr(f, e->arg[0]), value[2], phi;
	LLVMBasicBlockRef arm[2], end;

	if (e->arg[0]->lanes || (is_cheap(e->arg[1], 4) && is_cheap(e->arg[2], 4))) {
		value[0] = llvm_build_expr(f, e->arg[1]);
		value[1] = llvm_build_expr(f, e->arg[2]);
		return LLVMBuildSelect(b, cond, value[0], value[1], "");
	}
	arm[0] = LLVMAppendBasicBlockInContext(f->m->context, f->value, "then");
	arm[1] = LLVMAppendBasicBlockInContext(f->m->context, f->value, "else");
	end = LLVMAppendBasicBlockInContext(f->m->context, f->value, "end");
	LLVMBuildCondBr(b, cond, arm[0], arm[1]);
	for (int i = 0; i < 2; i++) {
		LLVMPositionBuilderAtEnd(b, arm[i]);
		value[i] = llvm_build_expr(f, e->arg[1 + i]);
		LLVMBuildBr(b, end);
		arm[i] = LLVMGetInsertBlock(b);
	}
	LLVMPositionBuilderAtEnd(b, end);
	phi = LLVMBuildPhi(b, type_of(f->m, e), "");
	LLVMAddIncoming(phi, value, arm, 2);
	return phi;
}

/* ---- Conversions ---- */

static LLVMValueRef
call_library(LlvmFunction *f, const char *name, DType t, LLVMValueRef x)
{
	LLVMValueRef callee = llvm_find_callee(f->m, math_find(name, t));

	return LLVMBuildCall2(builder(f), LLVMGlobalGetValueType(callee), callee, &x, 1, "");
}

static LLVMValueRef
float_to_int(LlvmFunction *f, DType from, DType to, LLVMValueRef x)
{
	bool sign = class_of(to) != CLASS_UNSIGNED;
	LLVMTypeRef types[] = {llvm_type(f->m, to), llvm_type(f->m, from)};

	return llvm_call_intrinsic(f, sign ? "llvm.fptosi.sat" : "llvm.fptoui.sat", 2, types, 1, &x);
}

static LLVMValueRef
int_to_int(LlvmFunction *f, DType from, DType to, LLVMValueRef x)
{
	LLVMTypeRef t = llvm_type(f->m, to);
	LLVMBuilderRef b = builder(f);

	if (dtype_info[to].bytes < dtype_info[from].bytes)
		return LLVMBuildTrunc(b, x, t, "");
	if (dtype_info[to].bytes == dtype_info[from].bytes && from != DT_BOOL)
		return x;
	return is_signed(from) ? LLVMBuildSExt(b, x, t, "") : LLVMBuildZExt(b, x, t, "");
}

static LLVMValueRef
is_not_zero(LlvmFunction *f, DType from, LLVMValueRef x)
{
	if (dtype_is_float(from))
		return LLVMBuildFCmp(builder(f), LLVMRealUNE, x, zero_of(x), "");
	return LLVMBuildICmp(builder(f), LLVMIntNE, x, zero_of(x), "");
}

static LLVMValueRef convert(LlvmFunction *f, DType from, DType to, LLVMValueRef x);

/* To f16 or bf16, rounding once. */
static LLVMValueRef
to_half(LlvmFunction *f, DType from, DType to, LLVMValueRef x)
{
	const char *name = to == DT_F16 ? "to_f16" : "to_bf16";
	bool is_int = !dtype_is_float(from) && from != DT_BOOL;
	DType via = dtype_info[from].bytes == 8             ? from
	            : is_int && dtype_info[from].bytes == 4 ? DT_F64
	                                                    : DT_F32;

	x = call_library(f, name, via, convert(f, from, via, x));
	return int_to_int(f, DT_U32, DT_U16, x);
}

static LLVMValueRef
convert(LlvmFunction *f, DType from, DType to, LLVMValueRef x)
{
	LLVMBuilderRef b = builder(f);

	if (from == to)
		return x;
	if (is_half(from)) {
		LLVMValueRef bits = int_to_int(f, DT_U16, DT_U32, x);

		x = call_library(f, from == DT_F16 ? "from_f16" : "from_bf16", DT_U32, bits);
		return convert(f, DT_F32, to, x);
	}
	if (is_half(to))
		return to_half(f, from, to, x);
	if (to == DT_BOOL)
		return is_not_zero(f, from, x);
	if (dtype_is_float(from) && dtype_is_float(to))
		return to == DT_F64 ? LLVMBuildFPExt(b, x, llvm_type(f->m, to), "")
		                    : LLVMBuildFPTrunc(b, x, llvm_type(f->m, to), "");
	if (dtype_is_float(from))
		return float_to_int(f, from, to, x);
	if (dtype_is_float(to))
		return is_signed(from) ? LLVMBuildSIToFP(b, x, llvm_type(f->m, to), "")
		                       : LLVMBuildUIToFP(b, x, llvm_type(f->m, to), "");
	return int_to_int(f, from, to, x);
}

/* ---- All kinds ---- */

static LLVMValueRef
constant(const LlvmModule *m, const Expr *e)
{
	LLVMTypeRef t = llvm_type(m, e->type);

	if (e->type == DT_F32 || e->type == DT_F64) {
		/* Through the bits: LLVMConstReal takes a double, which would not keep
		 * the payload of a NaN of f32. */
		uint64_t bits = 0;

		if (e->type == DT_F32) {
			float value = (float)e->u.f;
			uint32_t narrow;

			memcpy(&narrow, &value, sizeof narrow);
			bits = narrow;
		} else {
			memcpy(&bits, &e->u.f, sizeof bits);
		}
		return LLVMConstBitCast(
			LLVMConstInt(LLVMIntTypeInContext(
					     m->context, 8 * (unsigned)dtype_info[e->type].bytes),
		                     bits, 0),
			t);
	}
	return LLVMConstInt(t, (unsigned long long)e->u.i, is_signed(e->type));
}

/* The address of a load in a table with rows and columns exchanged; NULL: it is another. */
static LLVMValueRef
exchanged_address(LlvmFunction *f, const Expr *e)
{
	LLVMBuilderRef b = builder(f);
	LLVMTypeRef t = llvm_type(f->m, DT_IDX);

	for (int i = 0; i < f->exchanged.n; i++) {
		const LlvmExchanged *x = &f->exchanged.v[i];
		LLVMValueRef var = f->known[x->var->index], rest;

		if (x->load != e)
			continue;
		rest = LLVMBuildNSWMul(b, var, LLVMConstInt(t, (unsigned)x->columns, 0), "");
		rest = LLVMBuildNSWSub(b, llvm_build_expr(f, e->arg[0]), rest, "");
		rest = LLVMBuildNSWMul(b, rest, LLVMConstInt(t, (unsigned)x->rows, 0), "");
		return llvm_element(f, e->u.buf->elem, x->table, LLVMBuildNSWAdd(b, rest, var, ""));
	}
	return NULL;
}

static LLVMValueRef
load(LlvmFunction *f, const Expr *e)
{
	LLVMBuilderRef b = builder(f);
	const LBuf *buf = e->u.buf;
	LLVMValueRef at, x;

	/* No parameter, because nothing comes of what is loaded from it. */
	if (!f->buf[buf->index])
		return LLVMConstNull(type_of(f->m, e));
	at = exchanged_address(f, e);
	if (!at)
		at = llvm_element(f, buf->elem, f->buf[buf->index],
		                  llvm_build_expr(f, e->arg[0]));
	x = LLVMBuildLoad2(b, llvm_lanes(llvm_memory_type(f->m, e->type), e->lanes), at, "");
	LLVMSetAlignment(x, (unsigned)dtype_info[buf->elem].bytes);
	return buf->elem == DT_BOOL ? is_not_zero(f, DT_U8, x) : x;
}

static LLVMValueRef
variable(LlvmFunction *f, const LVar *v)
{
	if (f->known[v->index])
		return f->known[v->index];
	assert(f->slot[v->index]);
	return LLVMBuildLoad2(builder(f), llvm_lanes(llvm_type(f->m, v->type), v->lanes),
	                      f->slot[v->index], v->name);
}

/* Whether the machine has an instruction for the square root, which rounds as the function
 * of the library does; those with doubles that are not told by `isa` are this machine. */
static bool
has_root(const LlvmModule *m, DType t)
{
	const LlvmTarget *target = &m->options->target;

	return (target->isa & (t == DT_F64 ? ISA_DOUBLE : ISA_FLOAT)) ||
	       strncmp(target->triple, "x86_64", 6) == 0 ||
	       strncmp(target->triple, "aarch64", 7) == 0;
}

/*
 * What is below 0 gives the same NaN everywhere.  That is tested on the bits, from those of
 * the smallest negative number to those of minus infinity: to LLVM one NaN is as good as
 * another, and where it sees x < 0 it takes the one of the instruction.
 */
static LLVMValueRef
build_root(LlvmFunction *f, DType t, LLVMValueRef x)
{
	LLVMBuilderRef b = builder(f);
	LLVMTypeRef type = llvm_type(f->m, t);
	LLVMTypeRef word = llvm_type(f->m, t == DT_F64 ? DT_U64 : DT_U32);
	uint64_t sign = t == DT_F64 ? 0x8000000000000000u : 0x80000000u;
	uint64_t infinity = t == DT_F64 ? 0x7ff0000000000000u : 0x7f800000u;
	LLVMValueRef nan = LLVMConstInt(word, infinity + (infinity & (0 - infinity)) / 2, 0);
	LLVMValueRef root = llvm_call_intrinsic(f, "llvm.sqrt", 1, &type, 1, &x), below;

	below = LLVMBuildSub(b, LLVMBuildBitCast(b, x, word, ""), LLVMConstInt(word, sign + 1, 0), "");
	below = LLVMBuildICmp(b, LLVMIntULT, below, LLVMConstInt(word, infinity, 0), "");
	return LLVMBuildSelect(b, below, LLVMConstBitCast(nan, type), root, "");
}

static LLVMValueRef
call(LlvmFunction *f, const Expr *e)
{
	LLVMValueRef callee, args[MAX_CALL_ARGS];

	if (e->u.callee == math_find("sqrt", e->type) && has_root(f->m, e->type))
		return build_root(f, e->type, llvm_build_expr(f, e->arg[0]));
	callee = llvm_find_callee(f->m, e->u.callee);

	for (int i = 0; i < e->nargs; i++)
		args[i] = llvm_build_expr(f, e->arg[i]);
	return LLVMBuildCall2(builder(f), LLVMGlobalGetValueType(callee), callee, args,
	                      (unsigned)e->nargs, "");
}

static LLVMValueRef
splat(LlvmFunction *f, const Expr *e)
{
	LLVMBuilderRef b = builder(f);
	LLVMTypeRef type = type_of(f->m, e), i32 = LLVMInt32TypeInContext(f->m->context);
	LLVMValueRef x = llvm_build_expr(f, e->arg[0]), none = LLVMGetPoison(type);

	x = LLVMBuildInsertElement(b, none, x, LLVMConstInt(i32, 0, 0), "");
	return LLVMBuildShuffleVector(b, x, none, LLVMConstNull(llvm_lanes(i32, e->lanes)), "");
}

/* What vectors are converted between: i32, narrower integers, and to f32. */
static LLVMValueRef
convert_lanes(LlvmFunction *f, const Expr *e)
{
	LLVMBuilderRef b = builder(f);
	LLVMValueRef x = llvm_build_expr(f, e->arg[0]);
	LLVMTypeRef type = type_of(f->m, e);
	DType from = e->arg[0]->type;

	if (e->type == DT_F32)
		return LLVMBuildSIToFP(b, x, type, "");
	if (e->type != DT_I32)
		return LLVMBuildTrunc(b, x, type, "");
	return is_signed(from) ? LLVMBuildSExt(b, x, type, "") : LLVMBuildZExt(b, x, type, "");
}

LLVMValueRef
llvm_build_expr(LlvmFunction *f, const Expr *e)
{
	switch (e->kind) {
	case E_CONST: return constant(f->m, e);
	case E_VAR: return variable(f, e->u.var);
	case E_LOAD: return load(f, e);
	case E_KOP: return e->nargs == 2 ? binary(f, e) : unary(f, e);
	case E_SELECT: return build_select(f, e);
	case E_CVT:
		if (e->lanes)
			return convert_lanes(f, e);
		return convert(f, e->arg[0]->type, e->type, llvm_build_expr(f, e->arg[0]));
	case E_BITS:
		return LLVMBuildBitCast(builder(f), llvm_build_expr(f, e->arg[0]),
		                        llvm_type(f->m, e->type), "");
	case E_CALL: return call(f, e);
	case E_PACKED: return llvm_build_packed(f, e);
	case E_DOT: return llvm_build_dot(f, e);
	case E_SPLAT: return splat(f, e);
	}
	return NULL;
}
