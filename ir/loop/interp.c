/*
 * The interpreter of the loop IR: a register machine over bytecode.def.
 *
 * Each instruction is the operation that kops.def and loop.h define, for all
 * operands.  Float arithmetic is the host's, which must evaluate float in float.
 */
#include <assert.h>
#include <float.h>
#include <string.h>

#include "ir/loop/bytecode.h"
#include "ir/num.h"

_Static_assert(FLT_EVAL_METHOD == 0, "float operations must round to float");

static int32_t
div_i32(int32_t x, int32_t y)
{
	if (y == 0)
		return 0;
	return y == -1 ? (int32_t)(0 - (uint32_t)x) : x / y;
}

static int64_t
div_i64(int64_t x, int64_t y)
{
	if (y == 0)
		return 0;
	return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

static int32_t
rem_i32(int32_t x, int32_t y)
{
	if (y == 0)
		return x;
	return y == -1 ? 0 : x % y;
}

static int64_t
rem_i64(int64_t x, int64_t y)
{
	if (y == 0)
		return x;
	return y == -1 ? 0 : x % y;
}

static float
abs_f32(float x)
{
	uint32_t u;

	memcpy(&u, &x, sizeof u);
	u &= 0x7fffffff;
	memcpy(&x, &u, sizeof u);
	return x;
}

static double
abs_f64(double x)
{
	uint64_t u;

	memcpy(&u, &x, sizeof u);
	u &= INT64_MAX;
	memcpy(&x, &u, sizeof u);
	return x;
}

/* Arithmetic, sign bit copied and inverted instead of negated: also of NaN. */
static uint32_t
neg_f32(uint32_t bits)
{
	return bits ^ 0x80000000u;
}

static uint64_t
neg_f64(uint64_t bits)
{
	return bits ^ 0x8000000000000000u;
}

/* The shift of a negative number is written for any compiler. */
static int32_t
shr_i32(int32_t x, uint32_t count)
{
	count &= 31;
	return x < 0 ? ~(~x >> count) : x >> count;
}

static int64_t
shr_i64(int64_t x, uint64_t count)
{
	count &= 63;
	return x < 0 ? ~(~x >> count) : x >> count;
}

/* Truncates to [lo, hi]; NaN gives 0. */
static int32_t
to_int(double x, int32_t lo, int32_t hi)
{
	if (x != x)
		return 0;
	return x <= (double)lo ? lo : x >= (double)hi ? hi : (int32_t)x;
}

static uint32_t
to_u32(double x)
{
	return x >= 0x1p32 ? UINT32_MAX : x > 0 ? (uint32_t)x : 0;
}

static int64_t
to_i64(double x)
{
	if (x != x)
		return 0;
	return x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : (int64_t)x;
}

static uint64_t
to_u64(double x)
{
	return x >= 0x1p64 ? UINT64_MAX : x > 0 ? (uint64_t)x : 0;
}

static uint32_t
wide_8(const void *at)
{
	const uint8_t *p = at;

	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t
wide_16(const void *at)
{
	uint16_t p[2];

	memcpy(p, at, sizeof p);
	return p[0] | (uint32_t)p[1] << 16;
}

/* Checks in debug builds that element `index` exists. */
static size_t
in_bounds(const LCode *code, int buf, int32_t index)
{
	assert(index >= 0 && index < code->buf.v[buf]->count);
	(void)code;
	(void)buf;
	return (size_t)index;
}

/* Families of cases: T is the type in the instruction's name, m the register's
 * member. */
#define A r[i->a]
#define B r[i->b]
#define C r[i->c]
#define D r[i->d]
#define SET(op, m, value) \
	case BC_##op: A.m = (value); break;
#define UNSIGNED(op, infix) \
	SET(op##_U32, u32, B.u32 infix C.u32) \
	SET(op##_U64, u64, B.u64 infix C.u64)
#define FLOATS(op, infix) \
	SET(op##_F32, f32, B.f32 infix C.f32) \
	SET(op##_F64, f64, B.f64 infix C.f64)
#define COMPARE(op, T, m, infix) SET(op##_##T, u32, B.m infix C.m)
#define EQUALITY(op, infix) \
	COMPARE(op, U32, u32, infix) \
	COMPARE(op, U64, u64, infix) \
	COMPARE(op, F32, f32, infix) \
	COMPARE(op, F64, f64, infix)
#define ORDER(op, infix) \
	COMPARE(op, I32, i32, infix) \
	COMPARE(op, I64, i64, infix) \
	EQUALITY(op, infix)
#define PICKS(op, p, q, other) \
	SET(op##_I32, i32, p.i32 < q.i32 ? other.i32 : B.i32) \
	SET(op##_U32, u32, p.u32 < q.u32 ? other.u32 : B.u32) \
	SET(op##_I64, i64, p.i64 < q.i64 ? other.i64 : B.i64) \
	SET(op##_U64, u64, p.u64 < q.u64 ? other.u64 : B.u64) \
	SET(op##_F32, f32, p.f32 < q.f32 ? other.f32 : B.f32) \
	SET(op##_F64, f64, p.f64 < q.f64 ? other.f64 : B.f64)
#define ADDRESS(size) \
	((char *)code->bufs[i->b] + in_bounds(code, i->b, C.i32 + D.i32) * (size))
#define LOAD(op, T, m) \
	case BC_##op: { \
		T v; \
		memcpy(&v, ADDRESS(sizeof v), sizeof v); \
		A.m = v; \
		break; \
	}
#define STORE(op, T, m) \
	case BC_##op: { \
		T v = (T)A.m; \
		memcpy(ADDRESS(sizeof v), &v, sizeof v); \
		break; \
	}
#define JUMP_WHEN(op, condition) \
	case BC_##op: \
		if (condition) \
			i += i->d; \
		break;

/* From one type to another. */
#define CONVERSIONS \
	SET(I32_TO_I64, i64, B.i32) \
	SET(U32_TO_U64, u64, B.u32) \
	SET(U64_TO_U32, u32, (uint32_t)B.u64) \
	SET(WRAP_I8, i32, (int8_t)B.u32) \
	SET(WRAP_U8, u32, (uint8_t)B.u32) \
	SET(WRAP_I16, i32, (int16_t)B.u32) \
	SET(WRAP_U16, u32, (uint16_t)B.u32) \
	SET(I32_TO_F32, f32, (float)B.i32) \
	SET(U32_TO_F32, f32, (float)B.u32) \
	SET(I64_TO_F32, f32, (float)B.i64) \
	SET(U64_TO_F32, f32, (float)B.u64) \
	SET(I32_TO_F64, f64, B.i32) \
	SET(U32_TO_F64, f64, B.u32) \
	SET(I64_TO_F64, f64, (double)B.i64) \
	SET(U64_TO_F64, f64, (double)B.u64) \
	SET(I64_TO_F64_ODD, f64, num_int_to_odd(B.i64)) \
	SET(U64_TO_F64_ODD, f64, num_uint_to_odd(B.u64)) \
	SET(F32_TO_F64, f64, (double)B.f32) \
	SET(F64_TO_F32, f32, (float)B.f64) \
	SET(F16_TO_F32, f32, num_half_to_float((uint16_t)B.u32)) \
	SET(BF16_TO_F32, f32, num_bfloat_to_float((uint16_t)B.u32)) \
	SET(F32_TO_F16, u32, num_float_to_half(B.f32)) \
	SET(F32_TO_BF16, u32, num_float_to_bfloat(B.f32)) \
	SET(F64_TO_F16, u32, num_double_to_half(B.f64)) \
	SET(F64_TO_BF16, u32, num_double_to_bfloat(B.f64)) \
	SET(F32_TO_INT, i32, to_int((double)B.f32, i->c, i->d)) \
	SET(F64_TO_INT, i32, to_int(B.f64, i->c, i->d)) \
	SET(F32_TO_U32, u32, to_u32((double)B.f32)) \
	SET(F64_TO_U32, u32, to_u32(B.f64)) \
	SET(F32_TO_I64, i64, to_i64((double)B.f32)) \
	SET(F64_TO_I64, i64, to_i64(B.f64)) \
	SET(F32_TO_U64, u64, to_u64((double)B.f32)) \
	SET(F64_TO_U64, u64, to_u64(B.f64))

/* Runs until the end, or false when `iterations` are used up. */
static bool
run(const LCode *code, int64_t *iterations)
{
	Reg *r = code->regs;
	int64_t left = *iterations, next;

	for (const Insn *i = code->insns.v + code->entry;; i++) {
		switch (i->op) {
		SET(MOV, u64, B.u64)
		SET(SELECT, u64, B.u32 ? C.u64 : D.u64)
		UNSIGNED(ADD, +)
		FLOATS(ADD, +)
		UNSIGNED(SUB, -)
		FLOATS(SUB, -)
		UNSIGNED(MUL, *)
		FLOATS(MUL, *)
		SET(DIV_I32, i32, div_i32(B.i32, C.i32))
		SET(DIV_I64, i64, div_i64(B.i64, C.i64))
		SET(DIV_U32, u32, C.u32 ? B.u32 / C.u32 : 0)
		SET(DIV_U64, u64, C.u64 ? B.u64 / C.u64 : 0)
		FLOATS(DIV, /)
		SET(REM_I32, i32, rem_i32(B.i32, C.i32))
		SET(REM_I64, i64, rem_i64(B.i64, C.i64))
		SET(REM_U32, u32, C.u32 ? B.u32 % C.u32 : B.u32)
		SET(REM_U64, u64, C.u64 ? B.u64 % C.u64 : B.u64)
		PICKS(MIN, C, B, C)
		PICKS(MAX, B, C, C)
		SET(NEG_U32, u32, 0 - B.u32)
		SET(NEG_U64, u64, 0 - B.u64)
		SET(NEG_F32, u32, neg_f32(B.u32))
		SET(NEG_F64, u64, neg_f64(B.u64))
		SET(ABS_I32, u32, B.i32 < 0 ? 0 - B.u32 : B.u32)
		SET(ABS_I64, u64, B.i64 < 0 ? 0 - B.u64 : B.u64)
		SET(ABS_F32, f32, abs_f32(B.f32))
		SET(ABS_F64, f64, abs_f64(B.f64))
		UNSIGNED(AND, &)
		UNSIGNED(OR, |)
		UNSIGNED(XOR, ^)
		SET(NOT_U32, u32, ~B.u32)
		SET(NOT_U64, u64, ~B.u64)
		SET(NOT_BOOL, u32, !B.u32)
		SET(SHL_U32, u32, B.u32 << (C.u32 & 31))
		SET(SHL_U64, u64, B.u64 << (C.u64 & 63))
		SET(SHR_I32, i32, shr_i32(B.i32, C.u32))
		SET(SHR_I64, i64, shr_i64(B.i64, C.u64))
		SET(SHR_U32, u32, B.u32 >> (C.u32 & 31))
		SET(SHR_U64, u64, B.u64 >> (C.u64 & 63))
		EQUALITY(EQ, ==)
		EQUALITY(NE, !=)
		ORDER(LT, <)
		ORDER(LE, <=)
		SET(MADD_U32, u32, B.u32 * C.u32 + D.u32)
		SET(MADD_F32, f32, B.f32 * C.f32 + D.f32)
		CONVERSIONS
#define POP(id, name, result, n, a, b, c) SET(id, i32, pop_eval(POP_##id, B.i32, C.i32, D.i32))
#include "ir/loop/pops.def"
		LOAD(LOAD_I8, int8_t, i32)
		LOAD(LOAD_U8, uint8_t, u32)
		LOAD(LOAD_I16, int16_t, i32)
		LOAD(LOAD_U16, uint16_t, u32)
		LOAD(LOAD_32, uint32_t, u32)
		LOAD(LOAD_64, uint64_t, u64)
		case BC_WIDE_8: A.u32 = wide_8(ADDRESS(1)); break;
		case BC_WIDE_16: A.u32 = wide_16(ADDRESS(2)); break;
		STORE(STORE_8, uint8_t, u32)
		STORE(STORE_16, uint16_t, u32)
		STORE(STORE_32, uint32_t, u32)
		STORE(STORE_64, uint64_t, u64)
		JUMP_WHEN(JUMP, true)
		JUMP_WHEN(JUMP_NOT, !B.u32)
		JUMP_WHEN(JUMP_NOT_EQ, B.u32 != C.u32)
		JUMP_WHEN(JUMP_NOT_NE, B.u32 == C.u32)
		JUMP_WHEN(JUMP_NOT_LT, B.i32 >= C.i32)
		JUMP_WHEN(JUMP_NOT_LE, B.i32 > C.i32)
		case BC_LOOP:
			if (--left < 0) {
				*iterations = 0;
				return false;
			}
			next = (int64_t)A.i32 + i->c;
			if (next < B.i32) {
				A.i32 = (int32_t)next;
				i += i->d;
			}
			break;
		case BC_CALL:
			A.i32 = (int32_t)(i - code->insns.v);
			i = code->insns.v + i->b - 1;
			break;
		case BC_RETURN: i = code->insns.v + A.i32; break;
		case BC_HALT: *iterations = left; return true;
		case BC_COUNT: assert(0 && "not an instruction"); break;
		}
	}
}

bool
lcode_run_within(LCode *code, void *const *bufs, int64_t *iterations)
{
	const LFunc *f = code->fn;

	assert(!lfunc_is_scalar(f));
	for (int i = 0; i < f->bufs.n; i++) {
		const LBuf *b = f->bufs.v[i];

		if (b->role == LBUF_SCRATCH || !lbuf_is_argument(b))
			continue;
		if (bufs[i])
			code->bufs[i] = bufs[i];
		else /* only loads use the address */
			memcpy(&code->bufs[i], &b->data, sizeof b->data);
		assert(code->bufs[i] || b->count == 0);
	}
	return run(code, iterations);
}

void
lcode_run(LCode *code, void *const *bufs)
{
	int64_t iterations = INT64_MAX;

	lcode_run_within(code, bufs, &iterations);
}

uint64_t
lcode_call(LCode *code, const uint64_t *args)
{
	const LFunc *f = code->fn;
	Reg *r = code->regs;
	int64_t iterations = INT64_MAX;

	assert(lfunc_is_scalar(f));
	for (int i = 0; i < f->params.n; i++) {
		if (dtype_info[f->params.v[i]->type].bytes == 8)
			r[code->params + i].u64 = args[i];
		else
			r[code->params + i].u32 = (uint32_t)args[i];
	}
	run(code, &iterations);
	if (dtype_info[f->result].bytes == 8)
		return r[code->result].u64;
	if (f->result == DT_I32 || f->result == DT_IDX)
		return (uint64_t)(int64_t)r[code->result].i32;
	return r[code->result].u32;
}

void
lfunc_run(Arena *a, const LFunc *f, void *const *bufs)
{
	lcode_run(lfunc_compile(a, f), bufs);
}

uint64_t
lfunc_call(Arena *a, const LFunc *f, const uint64_t *args)
{
	return lcode_call(lfunc_compile(a, f), args);
}
