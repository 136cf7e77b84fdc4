/*
 * The loop IR: what a kernel does, as structured loops over scalar operations.
 *
 * A function works on buffers (its tensor arguments) or, for the mathematical
 * functions, on scalars with one scalar result.  Everything is defined for
 * every input: arithmetic as kops.def says, and no access is out of bounds,
 * which the verifier proves from the constant bounds of loops and the declared
 * ranges of index variables.
 *
 * Expressions are trees without side effects, evaluated anew wherever they
 * stand; an author names a value with loop_let() to compute it once.  Of a select
 * only the chosen argument is evaluated, so its condition may guard an access.
 *
 * Types: values in expressions are bool, i32, u32, i64, u64, f32, f64 and idx.
 * Narrower types (i8 u8 i16 u16 f16 bf16) exist only in buffers and constants:
 * a load gives the narrow type and a store takes it; in between a narrow value
 * may be chosen by select, and only `cvt` computes with it.
 *
 * Vectors: a value of i32 or f32 may have 2, 4, … or MAX_VECTOR_LANES lanes.  An operation on
 * vectors is that operation on each lane (lanes.c says so in loop IR without vectors); all
 * its operands have as many lanes, and `splat` makes a vector of a scalar.  A load or store
 * of a vector takes as many neighbouring elements, all of which are loaded before any is
 * stored.  Vectors of other types exist only where a narrow integer is loaded and at once
 * converted to i32 or the other way round, where DOT_ELEMENTS of i8 are copied to a buffer
 * of scratch or local memory, and as the condition of a select, which is a comparison.
 * There are no vectors in calls, `bits` and `dot`, and no integer division.
 */
#ifndef MCC_IR_LOOP_LOOP_H
#define MCC_IR_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"
#include "ir/type.h"

typedef enum {
#define KOP(id, name, arity, infix, operands, result) KOP_##id,
#include "ir/loop/kops.def"
	KOP_COUNT
} KOp;

/* Packed operations, see pops.def. */
typedef enum {
#define POP(id, name, result, n, a, b, c) POP_##id,
#include "ir/loop/pops.def"
	POP_COUNT
} POp;

/* Classes of operand types, as sets of 1 << DT_x. */
enum {
	KSET_INDEX = 1 << DT_IDX,
	KSET_INTEGER = 1 << DT_I32 | 1 << DT_U32 | 1 << DT_I64 | 1 << DT_U64,
	KSET_INTEGER_OR_INDEX = KSET_INTEGER | KSET_INDEX,
	KSET_FLOAT = 1 << DT_F32 | 1 << DT_F64,
	KSET_NUMBER = KSET_INTEGER | KSET_FLOAT | KSET_INDEX,
	KSET_BITS = KSET_INTEGER | 1 << DT_BOOL,
	KSET_ANY = KSET_NUMBER | 1 << DT_BOOL
};

typedef struct {
	const char *name;
	int arity;
	const char *infix; /* NULL: written as a function */
	unsigned operands; /* KSET_x */
	bool to_bool;      /* the result is bool, else the operands' type */
} KOpInfo;

extern const KOpInfo kop_info[KOP_COUNT];

enum { MAX_POP_ARGS = 3 };

typedef struct {
	const char *name;
	DType result;
	int nargs;
	DType arg[MAX_POP_ARGS];
} POpInfo;

extern const POpInfo pop_info[POP_COUNT];

/* The value of a packed operation; operands behind the last are ignored. */
int32_t pop_eval(POp op, int32_t a, int32_t b, int32_t c);

typedef struct LFunc LFunc;

/* What a buffer is to the function. */
typedef enum {
	LBUF_IN,      /* read only */
	LBUF_OUT,     /* written; not read before it is written */
	LBUF_SCRATCH, /* private memory of one call, undefined at its start */
	LBUF_LOCAL,   /* the same, but small and not an argument: an array on the stack */
	LBUF_TABLE    /* constants of the function itself, not an argument: a static const
	               * array in C.  A load of an integer is in the range of the contents. */
} LBufRole;

/* An array argument of a function. */
typedef struct LBuf {
	const char *name;
	DType elem;
	int32_t count;   /* elements */
	LBufRole role;
	const void *data; /* LBUF_IN: the contents when they are constant, else NULL;
	                   * LBUF_TABLE: the contents, owned by the function's arena */
	int index;       /* in LFunc.bufs */
} LBuf;

static inline bool
lbuf_is_read_only(const LBuf *b)
{
	return b->role == LBUF_IN || b->role == LBUF_TABLE;
}

/* Whether the caller gives its memory. */
static inline bool
lbuf_is_argument(const LBuf *b)
{
	return b->role != LBUF_LOCAL && b->role != LBUF_TABLE;
}

/* A scalar variable: of a loop, a parameter, or declared in a block. */
typedef struct LVar {
	const char *name; /* unique in the function */
	DType type;
	bool is_const;   /* never assigned again: lets, loop variables, parameters */
	int64_t lo, hi;  /* idx: the range that all its values are in, both ends included */
	int index;       /* in LFunc.vars */
	int lanes;       /* 0: a scalar */
} LVar;

typedef enum {
	E_CONST,
	E_VAR,
	E_LOAD,
	E_KOP,
	E_SELECT,
	E_CVT,
	E_BITS,
	E_CALL,
	E_PACKED,
	E_DOT,
	E_SPLAT
} ExprKind;

enum { MAX_CALL_ARGS = 4, MAX_VECTOR_LANES = 64 };

struct Expr {
	ExprKind kind;
	DType type; /* of a lane */
	int lanes;  /* 0: a scalar */
	KOp op;     /* E_KOP */
	union {
		int64_t i;     /* E_CONST of bool, integers (u64: its bits) and idx */
		double f;      /* E_CONST of f32 (exact) and f64 */
		LVar *var;     /* E_VAR */
		LBuf *buf;     /* E_LOAD: arg[0] is the element index (idx).  Of type i32 from
		                * a buffer of i8, u8 or i16 it is a wide load: of the 4 or 2
		                * elements from that index on, the first in the low bits */
		LFunc *callee; /* E_CALL: a scalar function */
		POp pop;       /* E_PACKED */
	} u;
	int nargs;
	struct Expr *arg[MAX_CALL_ARGS]; /* E_SELECT: condition, then, else; E_DOT: what the
	                                  * sum starts with (i32), and a load of the first
	                                  * of DOT_ELEMENTS factors on either side (i8; on
	                                  * the first side also i32, of words of four, the
	                                  * first one in the low bits);
	                                  * E_SPLAT: the scalar */
};

enum { DOT_ELEMENTS = 16 };

#ifndef MCC_EXPR_DECLARED
#define MCC_EXPR_DECLARED
typedef struct Expr Expr;
typedef struct LBuilder LBuilder;
#endif

typedef enum { S_FOR, S_IF, S_VAR, S_SET, S_STORE, S_RETURN, S_COMMENT } StmtKind;

typedef struct Stmt {
	struct Stmt *next;
	StmtKind kind;
	LVar *var;          /* S_FOR, S_VAR, S_SET */
	Expr *lo, *hi;      /* S_FOR: var = lo; var < hi; var += step; both idx, evaluated once */
	int32_t step;       /* S_FOR: positive */
	Expr *cond;         /* S_IF; S_FOR: NULL, or goes on only while this is true */
	Expr *value;        /* S_VAR, S_SET, S_STORE, S_RETURN */
	LBuf *buf;          /* S_STORE */
	Expr *index;        /* S_STORE: element (idx) */
	struct Stmt *body;  /* S_FOR, S_IF */
	struct Stmt *other; /* S_IF: the else branch */
	const char *text;   /* S_COMMENT: one line */
} Stmt;

/* How many lanes; a scalar counts as one. */
static inline int
expr_lanes(const Expr *e)
{
	return e->lanes ? e->lanes : 1;
}

/* How many elements of the buffer a lane of a load reads: more than one of a wide load. */
static inline int
load_elements_of_lane(const Expr *e)
{
	return dtype_info[e->type].bytes / dtype_info[e->u.buf->elem].bytes;
}

/* How many elements a load reads. */
static inline int
load_elements(const Expr *e)
{
	return expr_lanes(e) * load_elements_of_lane(e);
}

/* How many elements a dot reads from one side, whose load this is. */
static inline int
dot_elements(const Expr *load)
{
	return DOT_ELEMENTS / dtype_info[load->u.buf->elem].bytes;
}

/* How many elements a S_STORE writes. */
static inline int
store_elements(const Stmt *s)
{
	return expr_lanes(s->value);
}

/* Whether an operation has a form for vectors of that type. */
bool kop_has_vectors(KOp op, DType t);

/* Whether a buffer of that type can be read by wide loads. */
static inline bool
dtype_has_wide_load(DType t)
{
	return t == DT_I8 || t == DT_U8 || t == DT_I16;
}

struct LFunc {
	Arena *arena;
	const char *name;
	VEC(LBuf *) bufs;     /* of scalar functions: only tables */
	VEC(LVar *) params;   /* scalar functions */
	VEC(LVar *) vars;     /* all variables, params and loop variables among them */
	DType result;         /* scalar functions; DT_COUNT for kernels */
	Stmt *body;
};

static inline bool
lfunc_is_scalar(const LFunc *f)
{
	return f->result != DT_COUNT;
}

/* ---- Building (build.c) ---- */

/*
 * A cursor into a function under construction.  loop_for(), loop_if() and
 * loop_else() open a block that loop_end() closes; statements go to the end of
 * the innermost open block.  Misuse (types that do not match) is a bug and
 * asserts.  Expressions are simplified as they are made when the result is
 * exactly the same: constants fold, x + 0 and x * 1 of idx vanish.
 */
struct LBuilder {
	Arena *arena;
	LFunc *fn;
	struct LName *names; /* a hash table of the names that are taken */
	int nnames, names_cap;
	int depth;
	struct {
		Stmt *stmt;  /* the S_FOR or S_IF that is open */
		Stmt **tail; /* where its next statement goes */
	} open[64];
};

/* Starts a kernel (no scalar result). */
void loop_begin(LBuilder *b, Arena *a, const char *name);
/* Starts a scalar function. */
void loop_begin_scalar(LBuilder *b, Arena *a, const char *name, DType result);
/* Starts another version of a kernel: with its buffers and variables, which are shared,
 * and no statements yet. */
void loop_begin_version(LBuilder *b, Arena *a, const LFunc *f);
/* The finished function; all blocks must be closed. */
LFunc *loop_finish(LBuilder *b);

LBuf *loop_buf(LBuilder *b, const char *name, DType elem, int32_t count, LBufRole role,
               const void *data);
Expr *loop_param(LBuilder *b, const char *name, DType type);

/* Constants.  loop_const takes any type, narrow ones too, and converts as
 * num_store() does. */
Expr *loop_idx(LBuilder *b, int64_t v);
Expr *loop_int(LBuilder *b, DType t, int64_t v);
Expr *loop_float(LBuilder *b, DType t, double v);
Expr *loop_const(LBuilder *b, DType t, double v);
Expr *loop_bool(LBuilder *b, bool v);

Expr *loop_op1(LBuilder *b, KOp op, Expr *x);
Expr *loop_op2(LBuilder *b, KOp op, Expr *x, Expr *y);
Expr *loop_add(LBuilder *b, Expr *x, Expr *y);
Expr *loop_sub(LBuilder *b, Expr *x, Expr *y);
Expr *loop_mul(LBuilder *b, Expr *x, Expr *y);
/* x * factor + offset of idx, the usual way to step through a tensor. */
Expr *loop_affine(LBuilder *b, Expr *x, int64_t factor, int64_t offset);
Expr *loop_select(LBuilder *b, Expr *cond, Expr *x, Expr *y);

/*
 * Conversion between any two types (also narrow ones and bool), defined for
 * every value: integers wrap around; integer to float rounds to nearest even;
 * float to integer truncates, saturates, and takes NaN to 0; float to narrower
 * float rounds to nearest even; anything to bool is x != 0.  To idx: the value
 * must be in the range of int32, which the verifier must be able to prove
 * (use loop_clamp_idx()).
 */
Expr *loop_cvt(LBuilder *b, DType to, Expr *x);
/* The same bits as another type of the same size: f32 with i32 and u32, f64
 * with i64 and u64, signed with unsigned. */
Expr *loop_bits(LBuilder *b, DType to, Expr *x);
/* An index from an i32 or i64 value, clamped to [lo, hi]. */
Expr *loop_clamp_idx(LBuilder *b, Expr *x, int64_t lo, int64_t hi);

Expr *loop_load(LBuilder *b, LBuf *buf, Expr *index);
/* A wide load: several elements from `index` on, packed in an i32. */
Expr *loop_load_wide(LBuilder *b, LBuf *buf, Expr *index);
/* Vectors: of the elements from `index` on, in a wide load four or two of them a lane;
 * and of one scalar.  Of 0 lanes and of 1 they are scalars. */
Expr *loop_load_lanes(LBuilder *b, LBuf *buf, Expr *index, int lanes);
Expr *loop_load_wide_lanes(LBuilder *b, LBuf *buf, Expr *index, int lanes);
Expr *loop_splat(LBuilder *b, Expr *x, int lanes);
/* loop_load() converted to the compute type of the buffer's element type. */
Expr *loop_load_compute(LBuilder *b, LBuf *buf, Expr *index);
void loop_store(LBuilder *b, LBuf *buf, Expr *index, Expr *value);
/* A copy of one statement of a version of this kernel, with empty blocks. */
Stmt *loop_copy(LBuilder *b, const Stmt *s);
/* Opens a block of the copy: its body, or `other`. */
void loop_open_copy(LBuilder *b, Stmt *s, bool other);
/* Converts to the buffer's element type, then stores. */
void loop_store_cvt(LBuilder *b, LBuf *buf, Expr *index, Expr *value);

/* A packed operation with as many operands as pops.def says; the others are NULL. */
Expr *loop_packed(LBuilder *b, POp op, Expr *x, Expr *y, Expr *z);

/* sum + the products of DOT_ELEMENTS elements of x from x_at on with those of w from
 * w_at on, both of i8, or x of words; in i32, wrapping around.  One or two vector
 * instructions on some machines. */
Expr *loop_dot(LBuilder *b, Expr *sum, LBuf *x, Expr *x_at, LBuf *w, Expr *w_at);

/* A call of a function of the mathematical library by name, for example
 * "exp" with f32 arguments calls exp_f32.  See ir/loop/math.h. */
Expr *loop_call(LBuilder *b, const char *name, int nargs, Expr *const *args);
Expr *loop_call1(LBuilder *b, const char *name, Expr *x);
Expr *loop_call2(LBuilder *b, const char *name, Expr *x, Expr *y);

/* Opens a loop of a new variable over [lo, hi); returns the variable's value. */
Expr *loop_for(LBuilder *b, const char *name, int64_t lo, int64_t hi);
Expr *loop_for_step(LBuilder *b, const char *name, int64_t lo, int64_t hi, int32_t step);
/* With bounds that are expressions; the verifier must be able to bound them. */
Expr *loop_for_expr(LBuilder *b, const char *name, Expr *lo, Expr *hi);
/* As loop_for(), going on only while `cond` holds before each iteration.
 * `cond` cannot use the loop's own variable. */
Expr *loop_for_while(LBuilder *b, const char *name, int64_t lo, int64_t hi, Expr *cond);
void loop_if(LBuilder *b, Expr *cond);
void loop_else(LBuilder *b);
void loop_end(LBuilder *b);

/* Names a value: declares a constant variable and returns its value. */
Expr *loop_let(LBuilder *b, const char *name, Expr *value);
/* The same for a constant variable that exists but is no longer declared otherwise. */
void loop_let_var(LBuilder *b, LVar *v, Expr *value);
/* Declares a variable; read it with loop_get().  An idx variable needs a range. */
LVar *loop_var(LBuilder *b, const char *name, Expr *init);
LVar *loop_var_idx(LBuilder *b, const char *name, Expr *init, int64_t lo, int64_t hi);
Expr *loop_get(LBuilder *b, LVar *v);
void loop_set(LBuilder *b, LVar *v, Expr *value);
void loop_return(LBuilder *b, Expr *value);
__attribute__((format(printf, 2, 3))) void loop_comment(LBuilder *b, const char *format, ...);

/* Whether anything is loaded from the buffer or stored there. */
bool lfunc_uses(const LFunc *f, const LBuf *buf);

/* Whether there are vectors in it, and the same function without them: lane by lane.  The
 * function itself where there are none (lanes.c). */
bool lfunc_has_lanes(const LFunc *f);
const LFunc *lfunc_without_lanes(Arena *a, const LFunc *f);

/* Structural equality of expressions. */
bool expr_equal(const Expr *a, const Expr *b);

/* ---- Text form (text.c, parse.c); ir/loop/text.h describes it ---- */

void lfunc_print(Str *s, const LFunc *f);
void expr_print(Str *s, const Expr *e);
/* The line that a statement starts with, without newline and brace. */
void stmt_print_head(Str *s, const Stmt *st);

/* Reads functions one after the other; calls of scalar functions must name one
 * that was read before, one in `out`, or one of the mathematical library.
 * Appends to `out`; false and an error in `d` when malformed. */
typedef VEC(LFunc *) LFuncs;
bool lfunc_parse(Arena *a, const char *file, const char *text, size_t length, LFuncs *out, Diag *d);

/* ---- Verifier (verify.c) ---- */

/* Checks types, declarations, and proves every access in bounds and every idx
 * operation free of overflow; prove.c says how.  A failure is our bug, so the text
 * of the first one is returned (NULL: all is well). */
const char *lfunc_verify(const LFunc *f);

/* ---- Analysis (alias.c) ---- */

/* Whether `out` may share its memory with `in` (same start): at each point of
 * the function where an element of `out` is stored, that element of `in` is
 * never read afterwards.  Conservative; alias.c says what is proven. */
bool lfunc_may_share(const LFunc *f, const LBuf *in, const LBuf *out);

/*
 * Where `out` may lie over `in` (overlap.c): let d be the bytes from the start of `in` to
 * the start of `out`.  With d <= below or d >= above no store to `out` hits a byte of
 * `in` that is read afterwards.  Never further apart than memory without overlap, and
 * when nothing is known no closer.
 */
typedef struct {
	int64_t below, above;
} LDistance;

LDistance lfunc_distance(const LFunc *f, const LBuf *in, const LBuf *out);

/* ---- Other orders (reorder.c) ---- */

/*
 * The same kernel with its loops over outputs run backward, wherever their iterations
 * are independent of each other; NULL: there is none.  Results are the same bit for
 * bit.  Variables, buffers and expressions are shared with `f`.
 */
LFunc *lfunc_backward(Arena *a, const LFunc *f);

/*
 * The same kernel with the outputs of one pixel (what its innermost loops over outputs
 * compute) held in local memory until all of them are computed, and then stored; NULL:
 * they are not contiguous, or take more than LFUNC_HOLD_BYTES.
 */
LFunc *lfunc_hold(Arena *a, const LFunc *f);

enum { LFUNC_HOLD_BYTES = 512 };

/* Bytes of local memory of a call. */
int64_t lfunc_local_bytes(const LFunc *f);

/* ---- Interpreter (compile.c, interp.c) ---- */

/* A function made ready to run many times.  It owns its registers and scratch
 * memory, so that one of them runs once at a time. */
typedef struct LCode LCode;

LCode *lfunc_compile(Arena *a, const LFunc *f);

/* Runs a kernel; bufs[i] is the memory of f->bufs.v[i], not necessarily aligned.
 * The entries of scratch and tables are not looked at, and that of an input with
 * constant contents may be NULL. */
void lcode_run(LCode *code, void *const *bufs);

/* The same, but gives up and returns false once loops have run *iterations times;
 * what is left of them is stored there, then 0. */
bool lcode_run_within(LCode *code, void *const *bufs, int64_t *iterations);

/* Calls a scalar function; values are passed as bits in 64-bit words: integers
 * sign- or zero-extended, f32 in the low half. */
uint64_t lcode_call(LCode *code, const uint64_t *args);

/* The same for one run; the code and scratch are allocated in `a`. */
void lfunc_run(Arena *a, const LFunc *f, void *const *bufs);
uint64_t lfunc_call(Arena *a, const LFunc *f, const uint64_t *args);

#endif
