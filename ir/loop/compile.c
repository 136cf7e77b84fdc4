/*
 * From loop IR to the interpreter's bytecode (bytecode.def).
 *
 * One pass over the statements.  Every expression gets a register of its own;
 * there is no allocation.  Three things make the code fast:
 *
 *  - Values that do not change in a loop are computed before it.  Each value has
 *    a level, the depth of the innermost loop that it depends on; its code goes
 *    to the prologue of the loop one deeper.  Only operations move, as they are
 *    defined for all operands; loads and calls stay where they stand.
 *  - Where an operand was made by the instruction just emitted, the two become
 *    one: multiply and add (two roundings), add and load, compare and jump.
 *  - Conversions that do not change a register's bits emit nothing.
 */
#include <assert.h>
#include <string.h>

#include "ir/loop/bytecode.h"

/* Code that is being written, and where its last instruction may no longer be
 * merged with the next one: a jump leads there, or its register has a name. */
typedef struct {
	Insns insns;
	int fence;
} Code;

/* A compiled function. */
typedef struct {
	const LFunc *fn;
	int entry;
	int params, result, return_to; /* registers */
} Unit;

/* Where a value is, and on which loop it depends. */
typedef struct {
	int reg, level;
	bool is_variable; /* the register is one that a later statement may set */
} Place;

/* A function being compiled. */
typedef struct {
	const LFunc *fn;
	Unit unit;
	Code *code;             /* where statements go */
	int depth;              /* open loops */
	VEC(Code *) prologue;   /* of the open loops; the function at 0 has none */
	Place *vars;     /* by LVar.index */
	int first_buf;   /* where its buffers start in LCode.buf */
} Frame;

typedef struct {
	Arena *arena;
	LCode *out;
	VEC(Unit) units;
	VEC(Reg) init; /* contents of all registers at the start */
	int *constants; /* hash of registers: open addressing, 0 is empty */
	int nconstants, constants_size;
	Frame *frame;
} Compiler;

static Place compile_expr(Compiler *c, const Expr *e);

/* ---- Registers ---- */

static int
new_reg(Compiler *c)
{
	VEC_PUSH(c->arena, &c->init, (Reg){.u64 = 0});
	return c->init.n - 1;
}

static int *
constant_slot(Compiler *c, uint64_t bits)
{
	uint64_t h = bits * 0x9e3779b97f4a7c15u;
	int mask = c->constants_size - 1;
	int i = (int)(h >> 40) & mask;

	while (c->constants[i] && c->init.v[c->constants[i]].u64 != bits)
		i = (i + 1) & mask;
	return &c->constants[i];
}

static void
grow_constants(Compiler *c)
{
	int *old = c->constants;
	int old_size = c->constants_size;

	c->constants_size = old_size ? 2 * old_size : 64;
	c->constants = ARENA_ARRAY(c->arena, int, c->constants_size);
	for (int i = 0; i < old_size; i++)
		if (old[i])
			*constant_slot(c, c->init.v[old[i]].u64) = old[i];
}

static Place
constant(Compiler *c, Reg value)
{
	int *slot;

	if (2 * (c->nconstants + 1) > c->constants_size)
		grow_constants(c);
	slot = constant_slot(c, value.u64);
	if (!*slot) {
		*slot = new_reg(c);
		c->init.v[*slot] = value;
		c->nconstants++;
	}
	return (Place){.reg = *slot, .level = 0};
}

static Reg
reg_i32(int64_t v)
{
	Reg r = {.u64 = 0};

	r.i32 = (int32_t)v;
	return r;
}

static Place
compile_const(Compiler *c, const Expr *e)
{
	Reg r = {.u64 = 0};

	switch (e->type) {
	case DT_F32: r.f32 = (float)e->u.f; break;
	case DT_F64: r.f64 = e->u.f; break;
	case DT_I64:
	case DT_U64: r.i64 = e->u.i; break;
	case DT_U32: r.u32 = (uint32_t)e->u.i; break;
	case DT_BOOL:
	case DT_I8:
	case DT_U8:
	case DT_I16:
	case DT_U16:
	case DT_I32:
	case DT_F16:
	case DT_BF16:
	case DT_IDX:
	case DT_COUNT: r = reg_i32(e->u.i); break;
	}
	return constant(c, r);
}

/* ---- Emitting ---- */

static void
put(Compiler *c, Code *code, Insn insn)
{
	VEC_PUSH(c->arena, &code->insns, insn);
}

/* Where a value of `level` is computed. */
static Code *
code_at(Compiler *c, int level)
{
	Frame *f = c->frame;

	return level == f->depth ? f->code : f->prologue.v[level];
}

/* The instruction before, when it made register `reg` for us alone. */
static Insn *
just_made(Code *code, int reg)
{
	Insn *last;

	if (code->insns.n <= code->fence)
		return NULL;
	last = &code->insns.v[code->insns.n - 1];
	return last->op < BC_STORE_8 && last->a == reg ? last : NULL;
}

static Place
emit(Compiler *c, int level, Insn insn)
{
	insn.a = new_reg(c);
	put(c, code_at(c, level), insn);
	return (Place){.reg = insn.a, .level = level};
}

static Place
emit1(Compiler *c, Bytecode op, Place x)
{
	return emit(c, x.level, (Insn){.op = op, .b = x.reg});
}

static int
max_level(Place x, Place y)
{
	return x.level > y.level ? x.level : y.level;
}

/* Turns the multiplication that made x or y into multiply and add. */
static bool
merge_madd(Compiler *c, Bytecode mul, Bytecode madd, Place x, Place y, Place *result)
{
	int level = max_level(x, y);
	Code *code = code_at(c, level);
	Insn *last;

	if ((last = just_made(code, y.reg)) != NULL && last->op == mul)
		last->d = x.reg;
	else if ((last = just_made(code, x.reg)) != NULL && last->op == mul)
		last->d = y.reg;
	else
		return false;
	last->op = madd;
	*result = (Place){.reg = last->a, .level = level};
	return true;
}

static Place
emit2(Compiler *c, Bytecode op, Place x, Place y)
{
	Place result;

	if (x.reg != y.reg) {
		if (op == BC_ADD_U32 && merge_madd(c, BC_MUL_U32, BC_MADD_U32, x, y, &result))
			return result;
		if (op == BC_ADD_F32 && merge_madd(c, BC_MUL_F32, BC_MADD_F32, x, y, &result))
			return result;
	}
	return emit(c, max_level(x, y), (Insn){.op = op, .b = x.reg, .c = y.reg});
}

/* Sets a named register to a value at this point. */
static void
move_to(Compiler *c, int reg, Place x)
{
	Code *code = c->frame->code;
	Insn *last = x.level == c->frame->depth ? just_made(code, x.reg) : NULL;

	if (last)
		last->a = reg;
	else
		put(c, code, (Insn){.op = BC_MOV, .a = reg, .b = x.reg});
	code->fence = code->insns.n;
}

/* Emits a jump; returns its place for land(). */
static int
jump(Compiler *c, Bytecode op, int b)
{
	put(c, c->frame->code, (Insn){.op = op, .b = b});
	return c->frame->code->insns.n - 1;
}

/* Makes the jump at `from` lead here. */
static void
land(Compiler *c, int from)
{
	Code *code = c->frame->code;

	code->insns.v[from].d = code->insns.n - from - 1;
	code->fence = code->insns.n;
}

/* ---- Operations ---- */

enum { T_I32, T_U32, T_I64, T_U64, T_F32, T_F64, T_COUNT };

/* The form in which a register holds a value of that type; not for halves. */
static int
reg_type(DType t)
{
	switch (t) {
	case DT_BOOL:
	case DT_U8:
	case DT_U16:
	case DT_U32: return T_U32;
	case DT_I8:
	case DT_I16:
	case DT_I32:
	case DT_IDX: return T_I32;
	case DT_I64: return T_I64;
	case DT_U64: return T_U64;
	case DT_F32: return T_F32;
	case DT_F64: return T_F64;
	case DT_F16:
	case DT_BF16:
	case DT_COUNT: break;
	}
	assert(0 && "not a type to compute with");
	return T_I32;
}

#define NO BC_HALT
#define SIGNLESS(op) {BC_##op##_U32, BC_##op##_U32, BC_##op##_U64, BC_##op##_U64, NO, NO}
#define SIGNLESS_FLOAT(op) \
	{BC_##op##_U32, BC_##op##_U32, BC_##op##_U64, BC_##op##_U64, BC_##op##_F32, BC_##op##_F64}
#define SIGNED(op) {BC_##op##_I32, BC_##op##_U32, BC_##op##_I64, BC_##op##_U64, NO, NO}
#define SIGNED_FLOAT(op) \
	{BC_##op##_I32, BC_##op##_U32, BC_##op##_I64, BC_##op##_U64, BC_##op##_F32, BC_##op##_F64}

static const Bytecode operation[KOP_COUNT][T_COUNT] = {
	[KOP_ADD] = SIGNLESS_FLOAT(ADD),
	[KOP_SUB] = SIGNLESS_FLOAT(SUB),
	[KOP_MUL] = SIGNLESS_FLOAT(MUL),
	[KOP_DIV] = SIGNED_FLOAT(DIV),
	[KOP_REM] = SIGNED(REM),
	[KOP_MIN] = SIGNED_FLOAT(MIN),
	[KOP_MAX] = SIGNED_FLOAT(MAX),
	[KOP_NEG] = SIGNLESS_FLOAT(NEG),
	[KOP_ABS] = {BC_ABS_I32, BC_MOV, BC_ABS_I64, BC_MOV, BC_ABS_F32, BC_ABS_F64},
	[KOP_AND] = SIGNLESS(AND),
	[KOP_OR] = SIGNLESS(OR),
	[KOP_XOR] = SIGNLESS(XOR),
	[KOP_NOT] = SIGNLESS(NOT),
	[KOP_SHL] = SIGNLESS(SHL),
	[KOP_SHR] = SIGNED(SHR),
	[KOP_EQ] = SIGNLESS_FLOAT(EQ),
	[KOP_NE] = SIGNLESS_FLOAT(NE),
	[KOP_LT] = SIGNED_FLOAT(LT),
	[KOP_LE] = SIGNED_FLOAT(LE),
	[KOP_GT] = SIGNED_FLOAT(LT), /* with its operands exchanged */
	[KOP_GE] = SIGNED_FLOAT(LE),
};

static Place
compile_kop(Compiler *c, const Expr *e)
{
	Bytecode op = operation[e->op][reg_type(e->arg[0]->type)];
	Place x = compile_expr(c, e->arg[0]), y;

	assert(op != NO);
	if (e->nargs == 1) {
		if (e->op == KOP_NOT && e->type == DT_BOOL)
			op = BC_NOT_BOOL;
		return emit1(c, op, x);
	}
	y = compile_expr(c, e->arg[1]);
	if (e->op == KOP_GT || e->op == KOP_GE)
		return emit2(c, op, y, x);
	return emit2(c, op, x, y);
}

/* ---- Conversions ---- */

static Place
to_float(Compiler *c, DType to, int from, Place x)
{
	static const Bytecode to_f32[T_COUNT] = {BC_I32_TO_F32, BC_U32_TO_F32, BC_I64_TO_F32,
	                                         BC_U64_TO_F32, BC_MOV, BC_F64_TO_F32};
	static const Bytecode to_f64[T_COUNT] = {BC_I32_TO_F64, BC_U32_TO_F64, BC_I64_TO_F64,
	                                         BC_U64_TO_F64, BC_F32_TO_F64, BC_MOV};
	/* To a half type: what comes before the rounding. */
	static const Bytecode before[T_COUNT] = {BC_I32_TO_F64, BC_U32_TO_F64, BC_I64_TO_F64_ODD,
	                                         BC_U64_TO_F64_ODD, BC_MOV, BC_MOV};

	if (to == DT_F32)
		return from == T_F32 ? x : emit1(c, to_f32[from], x);
	if (to == DT_F64)
		return from == T_F64 ? x : emit1(c, to_f64[from], x);
	if (before[from] != BC_MOV)
		x = emit1(c, before[from], x);
	if (from == T_F32)
		return emit1(c, to == DT_F16 ? BC_F32_TO_F16 : BC_F32_TO_BF16, x);
	return emit1(c, to == DT_F16 ? BC_F64_TO_F16 : BC_F64_TO_BF16, x);
}

static Place
float_to_int(Compiler *c, DType to, bool is_double, Place x)
{
	Insn insn = {.op = is_double ? BC_F64_TO_INT : BC_F32_TO_INT, .b = x.reg};

	switch (to) {
	case DT_I8: insn.c = INT8_MIN, insn.d = INT8_MAX; break;
	case DT_U8: insn.d = UINT8_MAX; break;
	case DT_I16: insn.c = INT16_MIN, insn.d = INT16_MAX; break;
	case DT_U16: insn.d = UINT16_MAX; break;
	case DT_I32:
	case DT_IDX: insn.c = INT32_MIN, insn.d = INT32_MAX; break;
	case DT_U32: insn.op = is_double ? BC_F64_TO_U32 : BC_F32_TO_U32; break;
	case DT_I64: insn.op = is_double ? BC_F64_TO_I64 : BC_F32_TO_I64; break;
	case DT_U64: insn.op = is_double ? BC_F64_TO_U64 : BC_F32_TO_U64; break;
	case DT_BOOL:
	case DT_F16:
	case DT_BF16:
	case DT_F32:
	case DT_F64:
	case DT_COUNT: assert(0 && "not an integer type"); break;
	}
	return emit(c, x.level, insn);
}

static Place
int_to_int(Compiler *c, DType to, DType from, Place x)
{
	bool is_wide = dtype_info[from].bytes == 8;

	if (dtype_info[to].bytes == 8) {
		if (is_wide)
			return x;
		return emit1(c, reg_type(from) == T_I32 ? BC_I32_TO_I64 : BC_U32_TO_U64, x);
	}
	if (is_wide)
		x = emit1(c, BC_U64_TO_U32, x);
	if (from == DT_BOOL)
		return x;
	switch (to) {
	case DT_I8: return emit1(c, BC_WRAP_I8, x);
	case DT_U8: return emit1(c, BC_WRAP_U8, x);
	case DT_I16: return emit1(c, BC_WRAP_I16, x);
	case DT_U16: return emit1(c, BC_WRAP_U16, x);
	case DT_BOOL:
	case DT_I32:
	case DT_U32:
	case DT_I64:
	case DT_U64:
	case DT_F16:
	case DT_BF16:
	case DT_F32:
	case DT_F64:
	case DT_IDX:
	case DT_COUNT: break;
	}
	return x;
}

static Place
compile_cvt(Compiler *c, DType to, DType from, Place x)
{
	if (from == to)
		return x;
	if (from == DT_F16 || from == DT_BF16) {
		x = emit1(c, from == DT_F16 ? BC_F16_TO_F32 : BC_BF16_TO_F32, x);
		from = DT_F32;
	}
	if (to == DT_BOOL)
		return emit2(c, operation[KOP_NE][reg_type(from)], x, constant(c, (Reg){.u64 = 0}));
	if (dtype_is_float(to))
		return to_float(c, to, reg_type(from), x);
	if (dtype_is_float(from))
		return float_to_int(c, to, from == DT_F64, x);
	return int_to_int(c, to, from, x);
}

/* ---- Select, load, call ---- */

static bool
may_be_costly(const Expr *e)
{
	if (e->kind == E_LOAD || e->kind == E_CALL)
		return true;
	for (int i = 0; i < e->nargs; i++)
		if (may_be_costly(e->arg[i]))
			return true;
	return false;
}

/* Loads and calls in a branch run only when it is chosen. */
static Place
compile_select(Compiler *c, const Expr *e)
{
	Place cond = compile_expr(c, e->arg[0]);
	Place result = {.level = c->frame->depth};
	int otherwise, end;

	if (!may_be_costly(e->arg[1]) && !may_be_costly(e->arg[2])) {
		Place x = compile_expr(c, e->arg[1]), y = compile_expr(c, e->arg[2]);
		int level = max_level(x, y);

		return emit(c, cond.level > level ? cond.level : level,
		            (Insn){.op = BC_SELECT, .b = cond.reg, .c = x.reg, .d = y.reg});
	}
	result.reg = new_reg(c);
	otherwise = jump(c, BC_JUMP_NOT, cond.reg);
	move_to(c, result.reg, compile_expr(c, e->arg[1]));
	end = jump(c, BC_JUMP, 0);
	land(c, otherwise);
	move_to(c, result.reg, compile_expr(c, e->arg[2]));
	land(c, end);
	return result;
}

/* Splits an index into two registers whose sum it is. */
static void
split_index(Compiler *c, Place index, int *first, int *second)
{
	Code *code = c->frame->code;
	Insn *last = index.level == c->frame->depth ? just_made(code, index.reg) : NULL;

	if (last && last->op == BC_ADD_U32) {
		*first = last->b;
		*second = last->c;
		code->insns.n--;
	} else {
		*first = index.reg;
		*second = constant(c, (Reg){.u64 = 0}).reg;
	}
}

static Bytecode
load_op(DType t)
{
	switch (t) {
	case DT_I8: return BC_LOAD_I8;
	case DT_BOOL:
	case DT_U8: return BC_LOAD_U8;
	case DT_I16: return BC_LOAD_I16;
	case DT_U16:
	case DT_F16:
	case DT_BF16: return BC_LOAD_U16;
	case DT_I32:
	case DT_U32:
	case DT_F32: return BC_LOAD_32;
	case DT_I64:
	case DT_U64:
	case DT_F64: return BC_LOAD_64;
	case DT_IDX:
	case DT_COUNT: break;
	}
	assert(0 && "not an element type");
	return BC_LOAD_32;
}

/* Where the buffer's memory is in LCode.bufs. */
static int
slot_of(const Compiler *c, const LBuf *b)
{
	return c->frame->first_buf + b->index;
}

static Place
compile_load(Compiler *c, const Expr *e)
{
	Insn insn = {.op = load_op(e->u.buf->elem), .b = slot_of(c, e->u.buf)};

	if (load_elements(e) > 1)
		insn.op = load_elements(e) == 4 ? BC_WIDE_8 : BC_WIDE_16;
	split_index(c, compile_expr(c, e->arg[0]), &insn.c, &insn.d);
	return emit(c, c->frame->depth, insn);
}

static Unit compile_func(Compiler *c, const LFunc *fn);

static Unit
find_unit(Compiler *c, const LFunc *fn)
{
	Unit unit;

	for (int i = 0; i < c->units.n; i++)
		if (c->units.v[i].fn == fn)
			return c->units.v[i];
	unit = compile_func(c, fn);
	VEC_PUSH(c->arena, &c->units, unit);
	return unit;
}

static Place
compile_call(Compiler *c, const Expr *e)
{
	Unit unit = find_unit(c, e->u.callee);
	Code *code = c->frame->code;
	Place args[MAX_CALL_ARGS];

	/* All arguments before the first parameter: they may call the same function. */
	for (int i = 0; i < e->nargs; i++)
		args[i] = compile_expr(c, e->arg[i]);
	move_to(c, unit.params + e->nargs - 1, args[e->nargs - 1]);
	for (int i = 0; i < e->nargs - 1; i++)
		put(c, code, (Insn){.op = BC_MOV, .a = unit.params + i, .b = args[i].reg});
	put(c, code, (Insn){.op = BC_CALL, .a = unit.return_to, .b = unit.entry});
	return emit(c, c->frame->depth, (Insn){.op = BC_MOV, .b = unit.result});
}

/* Factor i of those of a load, whose index is at `at`: of words their bytes. */
static Place
compile_factor(Compiler *c, const Expr *load, Place at, int i)
{
	bool words = load->type == DT_I32;
	Insn insn = {.op = words ? BC_LOAD_32 : BC_LOAD_I8, .b = slot_of(c, load->u.buf), .c = at.reg,
	             .d = constant(c, reg_i32(words ? i / 4 : i)).reg};
	Place x = emit(c, c->frame->depth, insn);

	if (!words)
		return x;
	x = emit2(c, BC_SHL_U32, x, constant(c, reg_i32(24 - i % 4 * 8)));
	return emit2(c, BC_SHR_I32, x, constant(c, reg_i32(24)));
}

static Place
compile_dot(Compiler *c, const Expr *e)
{
	Place sum = compile_expr(c, e->arg[0]), at[2];

	for (int k = 0; k < 2; k++)
		at[k] = compile_expr(c, e->arg[1 + k]->arg[0]);
	for (int i = 0; i < DOT_ELEMENTS; i++) {
		Place x[2];

		for (int k = 0; k < 2; k++)
			x[k] = compile_factor(c, e->arg[1 + k], at[k], i);
		sum = emit2(c, BC_ADD_U32, emit2(c, BC_MUL_U32, x[0], x[1]), sum);
	}
	return sum;
}

static Place
compile_packed(Compiler *c, const Expr *e)
{
	static const Bytecode op[POP_COUNT] = {
#define POP(id, name, result, n, a, b, c) [POP_##id] = BC_##id,
#include "ir/loop/pops.def"
	};
	Place arg[MAX_POP_ARGS] = {{0}};
	int level = 0;

	for (int i = 0; i < e->nargs; i++) {
		arg[i] = compile_expr(c, e->arg[i]);
		level = arg[i].level > level ? arg[i].level : level;
	}
	return emit(c, level, (Insn){.op = op[e->u.pop], .b = arg[0].reg, .c = arg[1].reg,
	                             .d = arg[2].reg});
}

static Place
compile_var(Compiler *c, const LVar *v)
{
	Place p = c->frame->vars[v->index];

	assert(p.reg >= 0);
	if (!v->is_const) {
		p.level = c->frame->depth;
		p.is_variable = true;
	}
	return p;
}

static Place
compile_expr(Compiler *c, const Expr *e)
{
	switch (e->kind) {
	case E_CONST: return compile_const(c, e);
	case E_VAR: return compile_var(c, e->u.var);
	case E_LOAD: return compile_load(c, e);
	case E_KOP: return compile_kop(c, e);
	case E_SELECT: return compile_select(c, e);
	case E_CVT: return compile_cvt(c, e->type, e->arg[0]->type, compile_expr(c, e->arg[0]));
	case E_BITS: return compile_expr(c, e->arg[0]);
	case E_CALL: return compile_call(c, e);
	case E_PACKED: return compile_packed(c, e);
	case E_DOT: return compile_dot(c, e);
	case E_SPLAT: break; /* there are no vectors here */
	}
	assert(0 && "not an expression");
	return (Place){0};
}

/* ---- Statements ---- */

typedef VEC(int) Jumps;

/* Adds jumps that are taken when `e` is false. */
static void
jump_unless(Compiler *c, const Expr *e, Jumps *jumps)
{
	Code *code = c->frame->code;
	Place cond;
	Insn *last;
	int at;

	if (e->kind == E_KOP && e->op == KOP_AND) {
		jump_unless(c, e->arg[0], jumps);
		jump_unless(c, e->arg[1], jumps);
		return;
	}
	cond = compile_expr(c, e);
	last = cond.level == c->frame->depth ? just_made(code, cond.reg) : NULL;
	if (last && (last->op == BC_LT_I32 || last->op == BC_LE_I32 || last->op == BC_EQ_U32 ||
	             last->op == BC_NE_U32)) {
		last->op = last->op == BC_LT_I32   ? BC_JUMP_NOT_LT
		           : last->op == BC_LE_I32 ? BC_JUMP_NOT_LE
		           : last->op == BC_EQ_U32 ? BC_JUMP_NOT_EQ
		                                   : BC_JUMP_NOT_NE;
		at = code->insns.n - 1;
	} else {
		at = jump(c, BC_JUMP_NOT, cond.reg);
	}
	VEC_PUSH(c->arena, jumps, at);
}

static void
land_all(Compiler *c, const Jumps *jumps)
{
	for (int i = 0; i < jumps->n; i++)
		land(c, jumps->v[i]);
}

static void compile_stmts(Compiler *c, const Stmt *s);

/*
 *	(prologue)
 *	var = lo; jump to end unless var < hi
 *	head: jump to end unless cond; body
 *	loop to head
 *	end:
 */
static void
compile_for(Compiler *c, const Stmt *s)
{
	Frame *f = c->frame;
	Code *outer = f->code, body = {.fence = 0}, prologue = {.fence = 0};
	Place lo = compile_expr(c, s->lo), hi = compile_expr(c, s->hi);
	int hi_reg = new_reg(c), var = new_reg(c);
	Jumps to_end = {0};
	int before;

	f->vars[s->var->index] = (Place){.reg = var, .level = f->depth + 1};
	VEC_PUSH(c->arena, &f->prologue, &prologue);
	assert(f->prologue.n == f->depth + 1);
	f->depth++;
	f->code = &body;
	if (s->cond)
		jump_unless(c, s->cond, &to_end);
	compile_stmts(c, s->body);
	put(c, &body, (Insn){.op = BC_LOOP, .a = var, .b = hi_reg, .c = s->step});
	body.insns.v[body.insns.n - 1].d = -body.insns.n;
	f->depth--;
	f->prologue.n--;
	f->code = outer;

	for (int i = 0; i < prologue.insns.n; i++)
		put(c, outer, prologue.insns.v[i]);
	outer->fence = outer->insns.n;
	move_to(c, var, lo);
	move_to(c, hi_reg, hi);
	before = jump(c, BC_JUMP_NOT_LT, var);
	outer->insns.v[before].c = hi_reg;
	for (int i = 0; i < to_end.n; i++)
		to_end.v[i] += outer->insns.n;
	for (int i = 0; i < body.insns.n; i++)
		put(c, outer, body.insns.v[i]);
	land_all(c, &to_end);
	land(c, before);
}

static void
compile_if(Compiler *c, const Stmt *s)
{
	Jumps otherwise = {0};
	int end;

	jump_unless(c, s->cond, &otherwise);
	compile_stmts(c, s->body);
	if (s->other) {
		end = jump(c, BC_JUMP, 0);
		land_all(c, &otherwise);
		compile_stmts(c, s->other);
		land(c, end);
	} else {
		land_all(c, &otherwise);
	}
}

static void
compile_store(Compiler *c, const Stmt *s)
{
	Place value = compile_expr(c, s->value);
	Insn insn = {.a = value.reg, .b = slot_of(c, s->buf)};

	split_index(c, compile_expr(c, s->index), &insn.c, &insn.d);
	switch (dtype_info[s->buf->elem].bytes) {
	case 1: insn.op = BC_STORE_8; break;
	case 2: insn.op = BC_STORE_16; break;
	case 4: insn.op = BC_STORE_32; break;
	default: insn.op = BC_STORE_64; break;
	}
	put(c, c->frame->code, insn);
}

/* A declared name.  What is never assigned again shares its value's register. */
static void
compile_var_stmt(Compiler *c, const Stmt *s)
{
	Frame *f = c->frame;
	Place value = compile_expr(c, s->value);
	Place *var = &f->vars[s->var->index];
	Code *code = code_at(c, value.level);

	if (s->var->is_const && !value.is_variable) {
		*var = value;
		code->fence = code->insns.n;
		return;
	}
	*var = (Place){.reg = new_reg(c), .level = f->depth};
	move_to(c, var->reg, value);
}

static void
compile_stmts(Compiler *c, const Stmt *s)
{
	Frame *f = c->frame;

	for (; s; s = s->next) {
		switch (s->kind) {
		case S_FOR: compile_for(c, s); break;
		case S_IF: compile_if(c, s); break;
		case S_VAR: compile_var_stmt(c, s); break;
		case S_SET:
			move_to(c, f->vars[s->var->index].reg, compile_expr(c, s->value));
			break;
		case S_STORE: compile_store(c, s); break;
		case S_RETURN:
			if (s->value)
				move_to(c, f->unit.result, compile_expr(c, s->value));
			put(c, f->code, (Insn){.op = BC_RETURN, .a = f->unit.return_to});
			break;
		case S_COMMENT: break;
		}
	}
}

/* ---- Functions ---- */

static void
start_frame(Compiler *c, Frame *f, Code *code, const LFunc *fn)
{
	*f = (Frame){.fn = fn, .code = code, .first_buf = c->out->buf.n};
	for (int i = 0; i < fn->bufs.n; i++)
		VEC_PUSH(c->arena, &c->out->buf, fn->bufs.v[i]);
	f->unit.fn = fn;
	f->unit.params = c->init.n;
	f->vars = ARENA_ARRAY(c->arena, Place, fn->vars.n);
	for (int i = 0; i < fn->vars.n; i++)
		f->vars[i].reg = -1;
	for (int i = 0; i < fn->params.n; i++)
		f->vars[fn->params.v[i]->index].reg = new_reg(c);
	f->unit.result = new_reg(c);
	f->unit.return_to = new_reg(c);
}

/* Writes the function to the end of the final code. */
static Unit
compile_func(Compiler *c, const LFunc *fn)
{
	Frame *outer = c->frame, f;
	Code code = {.fence = 0};

	start_frame(c, &f, &code, fn);
	c->frame = &f;
	compile_stmts(c, fn->body);
	put(c, &code, (Insn){.op = BC_RETURN, .a = f.unit.return_to});
	c->frame = outer;
	f.unit.entry = c->out->insns.n;
	for (int i = 0; i < code.insns.n; i++)
		VEC_PUSH(c->arena, &c->out->insns, code.insns.v[i]);
	return f.unit;
}

LCode *
lfunc_compile(Arena *a, const LFunc *fn)
{
	Compiler c = {.arena = a, .out = ARENA_NEW(a, LCode)};
	LCode *out = c.out;
	Unit unit;

	fn = lfunc_without_lanes(a, fn);
	new_reg(&c); /* register 0 is no constant: 0 is empty in their table */
	unit = compile_func(&c, fn);
	out->fn = fn;
	out->entry = out->insns.n;
	VEC_PUSH(a, &out->insns, ((Insn){.op = BC_CALL, .a = unit.return_to, .b = unit.entry}));
	VEC_PUSH(a, &out->insns, (Insn){.op = BC_HALT});
	out->params = unit.params;
	out->result = unit.result;
	out->regs = c.init.v;
	out->nregs = c.init.n;
	out->bufs = ARENA_ARRAY(a, void *, out->buf.n);
	for (int i = 0; i < out->buf.n; i++) {
		const LBuf *b = out->buf.v[i];

		if (b->role == LBUF_SCRATCH || b->role == LBUF_LOCAL)
			out->bufs[i] = arena_calloc(a, (size_t)b->count,
			                            (size_t)dtype_info[b->elem].bytes);
		if (b->role == LBUF_TABLE) /* only loads use the address */
			memcpy(&out->bufs[i], &b->data, sizeof b->data);
	}
	return out;
}
