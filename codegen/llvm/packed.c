/*
 * Packed operations as LLVM values: an intrinsic where the target has one, else
 * plain arithmetic, which LLVM turns into the same instruction where it can.
 */
#include <assert.h>
#include <string.h>

#include "codegen/llvm/module.h"
#include "ir/target.h"

/* The intrinsic of an operation, and the instructions that it needs. */
static const struct {
	const char *name; /* NULL: plain arithmetic is as good */
	unsigned isa;
} intrinsic[POP_COUNT] = {
	[POP_DOT2] = {"llvm.arm.smlad", ISA_ARM_DSP},
	[POP_MAC_BB] = {"llvm.arm.smlabb", ISA_ARM_DSP},
	[POP_MAC_TT] = {"llvm.arm.smlatt", ISA_ARM_DSP},
	[POP_MAC_TB] = {"llvm.arm.smlatb", ISA_ARM_DSP},
	[POP_EVEN8] = {"llvm.arm.sxtb16", ISA_ARM_DSP},
	[POP_ADD2] = {"llvm.arm.sadd16", ISA_ARM_DSP},
	[POP_SUB2] = {"llvm.arm.ssub16", ISA_ARM_DSP},
};

/* What plain arithmetic is built with. */
typedef struct {
	LlvmFunction *f;
	LLVMBuilderRef b;
	int lanes;                      /* 0: scalars */
	LLVMTypeRef i8, i16, i32, i64;  /* vectors of them, where there are lanes */
} Plain;

static LLVMValueRef
number(const Plain *p, uint32_t v)
{
	return llvm_number(p->i32, v);
}

/* Bits of x from `shift` on as a signed number of type `t`, extended. */
static LLVMValueRef
lane(const Plain *p, LLVMValueRef x, unsigned shift, LLVMTypeRef t)
{
	if (shift)
		x = LLVMBuildLShr(p->b, x, number(p, shift), "");
	return LLVMBuildSExt(p->b, LLVMBuildTrunc(p->b, x, t, ""), p->i32, "");
}

static LLVMValueRef
lo(const Plain *p, LLVMValueRef x)
{
	return lane(p, x, 0, p->i16);
}

static LLVMValueRef
hi(const Plain *p, LLVMValueRef x)
{
	return LLVMBuildAShr(p->b, x, number(p, 16), "");
}

static LLVMValueRef
pair(const Plain *p, LLVMValueRef first, LLVMValueRef second)
{
	return LLVMBuildOr(p->b, LLVMBuildAnd(p->b, first, number(p, 0xffff), ""),
	                   LLVMBuildShl(p->b, second, number(p, 16), ""), "");
}

static LLVMValueRef
product(const Plain *p, LLVMValueRef a, LLVMValueRef b)
{
	return LLVMBuildNSWMul(p->b, a, b, "");
}

/* The sum of the products of four bytes; those of a may be unsigned. */
static LLVMValueRef
bytes(const Plain *p, LLVMValueRef a, LLVMValueRef b, bool is_unsigned)
{
	LLVMValueRef sum = NULL;

	for (unsigned shift = 0; shift < 32; shift += 8) {
		LLVMValueRef x = lane(p, a, shift, p->i8), w = lane(p, b, shift, p->i8);

		if (is_unsigned)
			x = LLVMBuildAnd(p->b, x, number(p, 0xff), "");
		x = product(p, x, w);
		sum = sum ? LLVMBuildAdd(p->b, sum, x, "") : x;
	}
	return sum;
}

/* From products of 16-bit halves, for machines that have no longer ones. */
static LLVMValueRef
high_of_halves(const Plain *p, LLVMValueRef a, LLVMValueRef b, bool round)
{
	LLVMBuilderRef build = p->b;
	LLVMValueRef mask = number(p, 0xffff), sixteen = number(p, 16);
	LLVMValueRef low = LLVMBuildAnd(build, a, mask, ""), other = LLVMBuildAnd(build, b, mask, "");
	LLVMValueRef left = LLVMBuildMul(build, hi(p, a), other, "");
	LLVMValueRef right = LLVMBuildMul(build, hi(p, b), low, ""), middle, high;

	middle = LLVMBuildLShr(build, LLVMBuildMul(build, low, other, ""), sixteen, "");
	middle = LLVMBuildAdd(build, middle, LLVMBuildAnd(build, left, mask, ""), "");
	middle = LLVMBuildAdd(build, middle, LLVMBuildAnd(build, right, mask, ""), "");
	if (round)
		middle = LLVMBuildAdd(build, middle, number(p, 0x8000), "");
	high = LLVMBuildAdd(build, LLVMBuildMul(build, hi(p, a), hi(p, b), ""), hi(p, left), "");
	high = LLVMBuildAdd(build, high, hi(p, right), "");
	return LLVMBuildAdd(build, high, LLVMBuildLShr(build, middle, sixteen, ""), "");
}

static bool
is_x86(const LlvmModule *m)
{
	return strncmp(m->options->target.triple, "x86_64", 6) == 0;
}

/* 64 bits of the even or the odd lanes of x. */
static LLVMValueRef
every_other(const Plain *p, LLVMValueRef x, bool odd)
{
	LLVMTypeRef type = LLVMVectorType(LLVMInt64TypeInContext(p->f->m->context),
	                                  (unsigned)p->lanes / 2);
	LLVMValueRef half = llvm_number(type, 32);

	x = LLVMBuildBitCast(p->b, x, type, "");
	return LLVMBuildAShr(p->b, odd ? x : LLVMBuildShl(p->b, x, half, ""), half, "");
}

/* The high halves of even and of odd lanes' sums, side by side. */
static LLVMValueRef
high_halves(const Plain *p, LLVMValueRef even, LLVMValueRef odd)
{
	LLVMTypeRef i32 = LLVMInt32TypeInContext(p->f->m->context);
	LLVMValueRef place[MAX_VECTOR_LANES];

	for (unsigned i = 0; i < (unsigned)p->lanes; i++)
		place[i] = LLVMConstInt(i32, i % 2 ? (unsigned)p->lanes + i : i + 1, 0);
	return LLVMBuildShuffleVector(p->b, LLVMBuildBitCast(p->b, even, p->i32, ""),
	                              LLVMBuildBitCast(p->b, odd, p->i32, ""),
	                              LLVMConstVector(place, (unsigned)p->lanes), "");
}

/* The high half of a * b + more, or of a * b + 2^30 c.  x86 multiplies every other lane. */
static LLVMValueRef
high_by_lanes(const Plain *p, LLVMValueRef a, LLVMValueRef b, uint64_t more, LLVMValueRef c)
{
	LLVMBuilderRef build = p->b;
	LLVMValueRef x, y, sum[2];
	int parts = p->lanes && is_x86(p->f->m) ? 2 : 1;

	for (int i = 0; i < parts; i++) {
		x = parts == 2 ? every_other(p, a, i) : LLVMBuildSExt(build, a, p->i64, "");
		y = parts == 2 ? every_other(p, b, i) : LLVMBuildSExt(build, b, p->i64, "");
		sum[i] = LLVMBuildNSWMul(build, x, y, "");
		y = NULL;
		if (c) {
			y = parts == 2 ? every_other(p, c, i) : LLVMBuildSExt(build, c, p->i64, "");
			y = LLVMBuildShl(build, y, llvm_number(LLVMTypeOf(y), 30), "");
		} else if (more) {
			y = llvm_number(LLVMTypeOf(x), more);
		}
		sum[i] = y ? LLVMBuildAdd(build, sum[i], y, "") : sum[i];
	}
	if (parts == 2)
		return high_halves(p, sum[0], sum[1]);
	x = LLVMBuildLShr(build, sum[0], llvm_number(p->i64, 32), "");
	return LLVMBuildTrunc(build, x, p->i32, "");
}

/* (a b + 2^30) / 2^31, which does not fit for one pair of factors. */
static LLVMValueRef
high_of_twice(const Plain *p, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef x = LLVMBuildNSWMul(p->b, LLVMBuildSExt(p->b, a, p->i64, ""),
	                                 LLVMBuildSExt(p->b, b, p->i64, ""), "");
	LLVMValueRef most[] = {NULL, llvm_number(p->i64, INT32_MAX)};
	LLVMTypeRef type = p->i64;

	x = LLVMBuildAdd(p->b, x, llvm_number(p->i64, (uint64_t)1 << 30), "");
	most[0] = LLVMBuildAShr(p->b, x, llvm_number(p->i64, 31), "");
	x = llvm_call_intrinsic(p->f, "llvm.smin", 1, &type, 2, most);
	return LLVMBuildTrunc(p->b, x, p->i32, "");
}

static LLVMValueRef
high_product(const Plain *p, LLVMValueRef a, LLVMValueRef b, uint64_t more)
{
	unsigned isa = p->f->m->options->target.isa;
	LLVMValueRef x, low = NULL;

	if ((isa & ISA_MUL) && !(isa & ISA_MUL_HIGH))
		return high_of_halves(p, a, b, more != 0);
	if (p->lanes)
		return high_by_lanes(p, a, b, more, NULL);
	x = LLVMBuildNSWMul(p->b, LLVMBuildSExt(p->b, a, p->i64, ""),
	                    LLVMBuildSExt(p->b, b, p->i64, ""), "");
	/* Where a product has two registers, one that is shifted is added to the other. */
	if (more && (isa & ISA_MUL_HIGH) && !(isa & ISA_ARM_DSP))
		low = LLVMBuildLShr(p->b, LLVMBuildTrunc(p->b, x, p->i32, ""),
		                    llvm_number(p->i32, 31), "");
	else if (more)
		x = LLVMBuildAdd(p->b, x, llvm_number(p->i64, more), "");
	x = LLVMBuildLShr(p->b, x, llvm_number(p->i64, 32), "");
	x = LLVMBuildTrunc(p->b, x, p->i32, "");
	return low ? LLVMBuildAdd(p->b, x, low, "") : x;
}

/* The rounded high half plus c: as one sum of 64 bits, which is one instruction on some
 * machines. */
static LLVMValueRef
high_sum(const Plain *p, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
	const uint64_t round = (uint64_t)1 << 31;
	LLVMValueRef x;

	if (!(p->f->m->options->target.isa & ISA_ARM_DSP))
		return LLVMBuildAdd(p->b, high_product(p, a, b, round), c, "");
	c = LLVMBuildShl(p->b, LLVMBuildZExt(p->b, c, p->i64, ""),
	                 llvm_number(p->i64, 32), "");
	c = LLVMBuildOr(p->b, c, llvm_number(p->i64, round), "");
	x = LLVMBuildNSWMul(p->b, LLVMBuildSExt(p->b, a, p->i64, ""),
	                    LLVMBuildSExt(p->b, b, p->i64, ""), "");
	x = LLVMBuildLShr(p->b, LLVMBuildAdd(p->b, x, c, ""), llvm_number(p->i64, 32), "");
	return LLVMBuildTrunc(p->b, x, p->i32, "");
}

static LLVMValueRef
even8(const Plain *p, LLVMValueRef x)
{
	if (!p->lanes && (p->f->m->options->target.isa & ISA_ARM_DSP))
		return llvm_call_intrinsic(p->f, "llvm.arm.sxtb16", 0, NULL, 1, &x);
	return pair(p, lane(p, x, 0, p->i8), lane(p, x, 16, p->i8));
}

/* Rotated, which is part of the instruction. */
static LLVMValueRef
odd8(const Plain *p, LLVMValueRef x)
{
	LLVMValueRef args[] = {x, x, number(p, 8)};
	LLVMTypeRef type = p->i32;

	return even8(p, llvm_call_intrinsic(p->f, "llvm.fshr", 1, &type, 3, args));
}

static LLVMValueRef
sat8(const Plain *p, LLVMValueRef a)
{
	LLVMValueRef low[] = {a, llvm_number(p->i32, (uint64_t)-128)};
	LLVMValueRef high[] = {NULL, number(p, 127)};
	LLVMTypeRef type = p->i32;

	high[0] = llvm_call_intrinsic(p->f, "llvm.smax", 1, &type, 2, low);
	return llvm_call_intrinsic(p->f, "llvm.smin", 1, &type, 2, high);
}

/* a, but LLVM does not know that. */
static LLVMValueRef
keep(const Plain *p, LLVMValueRef a)
{
	LLVMTypeRef type = LLVMFunctionType(p->i32, (LLVMTypeRef[]){p->i32}, 1, 0);
	char nothing[] = "", constraints[] = "=r,0,~{memory}";
	LLVMValueRef code = LLVMGetInlineAsm(type, nothing, 0, constraints, sizeof constraints - 1,
	                                     1, 0, LLVMInlineAsmDialectATT, 0);

	return LLVMBuildCall2(p->b, type, code, &a, 1, "");
}

static LLVMValueRef
plain(const Plain *p, POp op, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
	LLVMBuilderRef build = p->b;

	switch (op) {
	case POP_DOT2:
		a = LLVMBuildAdd(build, product(p, lo(p, a), lo(p, b)),
		                 product(p, hi(p, a), hi(p, b)), "");
		return LLVMBuildAdd(build, a, c, "");
	case POP_MAC_BB:
		return LLVMBuildAdd(build, product(p, lo(p, a), lo(p, b)), c, "");
	case POP_MAC_TT:
		return LLVMBuildAdd(build, product(p, hi(p, a), hi(p, b)), c, "");
	case POP_DOT4: return LLVMBuildAdd(build, bytes(p, a, b, false), c, "");
	case POP_DOT4U: return LLVMBuildAdd(build, bytes(p, a, b, true), c, "");
	case POP_MAC_TB:
		return LLVMBuildAdd(build, product(p, hi(p, a), lo(p, b)), c, "");
	case POP_EVEN8: return even8(p, a);
	case POP_ODD8: return odd8(p, a);
	case POP_PACK_LO: return pair(p, a, b);
	case POP_PACK_HI: return pair(p, hi(p, a), hi(p, b));
	case POP_ADD2:
		return pair(p, LLVMBuildAdd(build, a, b, ""),
		            LLVMBuildAdd(build, hi(p, a), hi(p, b), ""));
	case POP_SUB2:
		return pair(p, LLVMBuildSub(build, a, b, ""),
		            LLVMBuildSub(build, hi(p, a), hi(p, b), ""));
	case POP_MULH: return high_product(p, a, b, 0);
	case POP_MULH_ROUND: return high_product(p, a, b, (uint64_t)1 << 31);
	case POP_MULH_ROUND_ADD: return high_sum(p, a, b, c);
	case POP_MULH_WIDE: return high_by_lanes(p, a, b, 0, c);
	case POP_MULH_TWICE: return high_of_twice(p, a, b);
	case POP_SAT8: return sat8(p, a);
	case POP_KEEP: return p->lanes ? a : keep(p, a);
	case POP_COUNT: break;
	}
	assert(0 && "not a packed operation");
	return NULL;
}

/* Operations on vectors of so many lanes that are an instruction of x86. */
static const struct {
	POp op;
	int lanes;
	unsigned isa; /* 0: all of them have it */
	const char *name;
} x86_vectors[] = {
	{POP_DOT2, 4, 0, "llvm.x86.sse2.pmadd.wd"},
	{POP_DOT2, 8, ISA_X86_AVX2, "llvm.x86.avx2.pmadd.wd"},
	{POP_DOT2, 16, ISA_X86_AVX512, "llvm.x86.avx512.pmaddw.d.512"},
	{POP_DOT4U, 4, ISA_X86_VNNI, "llvm.x86.avx512.vpdpbusd.128"},
	{POP_DOT4U, 8, ISA_X86_VNNI, "llvm.x86.avx512.vpdpbusd.256"},
	{POP_DOT4U, 16, ISA_X86_VNNI | ISA_X86_AVX512, "llvm.x86.avx512.vpdpbusd.512"},
};

/* The intrinsic of x86 for an operation on vectors; NULL: there is none. */
static const char *
x86_intrinsic(const LlvmModule *m, const Expr *e)
{
	const LlvmTarget *t = &m->options->target;

	if (!e->lanes || !is_x86(m))
		return NULL;
	for (size_t i = 0; i < sizeof x86_vectors / sizeof *x86_vectors; i++)
		if (x86_vectors[i].op == e->u.pop && x86_vectors[i].lanes == e->lanes &&
		    (t->isa & x86_vectors[i].isa) == x86_vectors[i].isa &&
		    LLVMLookupIntrinsicID(x86_vectors[i].name, strlen(x86_vectors[i].name)))
			return x86_vectors[i].name;
	return NULL;
}

/* Calls it with vectors of the types that it wants, which differ between versions. */
static LLVMValueRef
call_x86(const Plain *p, const char *name, int nargs, LLVMValueRef *arg)
{
	unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
	LLVMValueRef fn = LLVMGetIntrinsicDeclaration(p->f->m->module, id, NULL, 0);
	LLVMTypeRef type = LLVMGlobalGetValueType(fn), param[MAX_POP_ARGS];

	LLVMGetParamTypes(type, param);
	for (int i = 0; i < nargs; i++)
		arg[i] = LLVMBuildBitCast(p->b, arg[i], param[i], "");
	return LLVMBuildBitCast(p->b, LLVMBuildCall2(p->b, type, fn, arg, (unsigned)nargs, ""),
	                        p->i32, "");
}

static LLVMValueRef
build_x86(const Plain *p, const char *name, POp op, LLVMValueRef *arg)
{
	LLVMValueRef sum = arg[2], factor[] = {arg[0], arg[1]};

	if (op == POP_DOT2)
		return LLVMBuildAdd(p->b, call_x86(p, name, 2, factor), sum, "");
	return call_x86(p, name, 3, (LLVMValueRef[]){sum, arg[0], arg[1]});
}

/* The intrinsic of Arm for an operation on vectors of four lanes; NULL: there is none. */
static const char *
arm_intrinsic(const LlvmModule *m, POp op)
{
	unsigned isa = m->options->target.isa;

	if (op == POP_MULH_ROUND && (isa & ISA_ARM_MVE))
		return "llvm.arm.mve.vrmulh";
	if (op == POP_MULH_TWICE && (isa & ISA_ARM_MVE))
		return "llvm.arm.mve.vqrdmulh";
	if (op == POP_MULH_TWICE && (isa & ISA_ARM_NEON))
		return "llvm.aarch64.neon.sqrdmulh";
	return NULL;
}

LLVMValueRef
llvm_build_packed(LlvmFunction *f, const Expr *e)
{
	LLVMContextRef context = f->m->context;
	Plain p = {.f = f, .b = f->m->builder, .lanes = e->lanes,
	           .i8 = llvm_lanes(LLVMInt8TypeInContext(context), e->lanes),
	           .i16 = llvm_lanes(LLVMInt16TypeInContext(context), e->lanes),
	           .i32 = llvm_lanes(LLVMInt32TypeInContext(context), e->lanes),
	           .i64 = llvm_lanes(LLVMInt64TypeInContext(context), e->lanes)};
	unsigned isa = intrinsic[e->u.pop].isa;
	LLVMValueRef arg[MAX_POP_ARGS] = {NULL};

	for (int i = 0; i < e->nargs; i++)
		arg[i] = llvm_build_expr(f, e->arg[i]);
	if (!e->lanes && intrinsic[e->u.pop].name && (f->m->options->target.isa & isa) == isa)
		return llvm_call_intrinsic(f, intrinsic[e->u.pop].name, 0, NULL, e->nargs, arg);
	if (e->lanes == 4 && arm_intrinsic(f->m, e->u.pop)) {
		if (e->u.pop == POP_MULH_ROUND) /* signed */
			arg[2] = LLVMConstInt(LLVMInt32TypeInContext(context), 0, 0);
		return llvm_call_intrinsic(f, arm_intrinsic(f->m, e->u.pop), 1, &p.i32,
		                           arg[2] ? 3 : 2, arg);
	}
	if (x86_intrinsic(f->m, e))
		return build_x86(&p, x86_intrinsic(f->m, e), e->u.pop, arg);
	return plain(&p, e->u.pop, arg[0], arg[1], arg[2]);
}

/* The factors on one side, as a vector. */
static LLVMValueRef
factors(LlvmFunction *f, const Expr *load, LLVMTypeRef type)
{
	LLVMValueRef at, x;

	/* Only a value that nothing reads is made of a buffer that is no parameter. */
	if (!f->buf[load->u.buf->index])
		return LLVMConstNull(type);
	at = llvm_element(f, load->type, f->buf[load->u.buf->index],
	                  llvm_build_expr(f, load->arg[0]));
	x = LLVMBuildLoad2(f->m->builder, type, at, "");
	LLVMSetAlignment(x, (unsigned)dtype_info[load->type].bytes);
	return x;
}

LLVMValueRef
llvm_build_dot(LlvmFunction *f, const Expr *e)
{
	LLVMBuilderRef b = f->m->builder;
	LLVMContextRef context = f->m->context;
	LLVMTypeRef i32 = LLVMInt32TypeInContext(context);
	LLVMTypeRef bytes = LLVMVectorType(LLVMInt8TypeInContext(context), DOT_ELEMENTS);
	LLVMTypeRef words = LLVMVectorType(i32, DOT_ELEMENTS);
	LLVMValueRef zero = LLVMConstInt(i32, 0, 0), sum = llvm_build_expr(f, e->arg[0]);
	LLVMValueRef x = factors(f, e->arg[1], bytes), w = factors(f, e->arg[2], bytes);

	if (f->m->options->target.isa & ISA_ARM_MVE)
		return llvm_call_intrinsic(f, "llvm.arm.mve.vmldava", 1, &bytes, 6,
		                           (LLVMValueRef[]){zero, zero, zero, sum, x, w});
	x = LLVMBuildMul(b, LLVMBuildSExt(b, x, words, ""), LLVMBuildSExt(b, w, words, ""), "");
	x = llvm_call_intrinsic(f, "llvm.vector.reduce.add", 1, &words, 1, &x);
	return LLVMBuildAdd(b, sum, x, "");
}
