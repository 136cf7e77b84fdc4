#include "codegen/c/range.h"

#include "ir/num.h"

static CRange
type_range(DType t)
{
	switch (t) {
	case DT_BOOL: return (CRange){0, 1};
	case DT_I8: return (CRange){INT8_MIN, INT8_MAX};
	case DT_U8: return (CRange){0, UINT8_MAX};
	case DT_I16: return (CRange){INT16_MIN, INT16_MAX};
	case DT_U16: return (CRange){0, UINT16_MAX};
	case DT_U32: return (CRange){0, UINT32_MAX};
	case DT_I32:
	case DT_IDX: return (CRange){INT32_MIN, INT32_MAX};
	case DT_U64: return (CRange){0, INT64_MAX};
	case DT_I64:
	case DT_F16:
	case DT_BF16:
	case DT_F32:
	case DT_F64:
	case DT_COUNT: break;
	}
	return (CRange){INT64_MIN, INT64_MAX};
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
greatest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static CRange
const_range(const Expr *e)
{
	if (e->type == DT_U64 && e->u.i < 0)
		return (CRange){INT64_MAX, INT64_MAX};
	return (CRange){e->u.i, e->u.i};
}

/* A constant that is converted. */
static CRange
wrap(DType t, int64_t v)
{
	if (t == DT_U64)
		v = v < 0 ? INT64_MAX : v;
	else if (!dtype_is_float(t))
		v = num_wrap(t, v);
	return (CRange){v, v};
}

static CRange
cvt_range(const Expr *e)
{
	CRange all = type_range(e->type), x;

	if (dtype_info[e->arg[0]->type].class == CLASS_FLOAT ||
	    dtype_info[e->type].class == CLASS_FLOAT)
		return all;
	x = c_range(e->arg[0]);
	if (e->arg[0]->type == DT_U64 && x.hi == INT64_MAX)
		return all;
	if (x.lo == x.hi)
		return wrap(e->type, x.lo);
	return x.lo >= all.lo && x.hi <= all.hi ? x : all;
}

static CRange
not_range(DType t, CRange x)
{
	if (t == DT_U32)
		return (CRange){UINT32_MAX - x.hi, UINT32_MAX - x.lo};
	if (t == DT_U64)
		return (CRange){x.hi < INT64_MAX ? INT64_MAX : 0, INT64_MAX};
	return (CRange){-1 - x.hi, -1 - x.lo};
}

static CRange
and_range(CRange x, CRange y, CRange all)
{
	if (x.lo >= 0 && y.lo >= 0)
		return (CRange){0, least(x.hi, y.hi)};
	if (x.lo >= 0 || y.lo >= 0)
		return (CRange){0, x.lo >= 0 ? x.hi : y.hi};
	return all;
}

static CRange
shift_range(const Expr *e, CRange all)
{
	CRange x = c_range(e->arg[0]);
	int width = 8 * dtype_info[e->type].bytes, n;

	if (e->arg[1]->kind != E_CONST)
		return all;
	n = (int)(e->arg[1]->u.i & (width - 1));
	if (n == 0)
		return x;
	if (e->op == KOP_SHR && e->type == DT_U64 && x.hi == INT64_MAX)
		return (CRange){x.lo >> n, (int64_t)(UINT64_MAX >> n)};
	if (e->op == KOP_SHR)
		return (CRange){x.lo < 0 ? ~(~x.lo >> n) : x.lo >> n,
		                x.hi < 0 ? ~(~x.hi >> n) : x.hi >> n};
	/* A shift to the left is known when nothing is lost. */
	if (x.lo >= 0 && x.hi <= all.hi >> n && all.hi != INT64_MAX)
		return (CRange){(int64_t)((uint64_t)x.lo << n), (int64_t)((uint64_t)x.hi << n)};
	return all;
}

static CRange
kop_range(const Expr *e)
{
	CRange all = type_range(e->type), x, y;

	if (e->type == DT_BOOL || dtype_info[e->type].class == CLASS_FLOAT)
		return all;
	x = c_range(e->arg[0]);
	y = c_range(e->arg[e->nargs - 1]);
	switch ((int)e->op) {
	case KOP_NOT: return not_range(e->type, x);
	case KOP_AND: return and_range(x, y, all);
	case KOP_OR: return x.lo >= 0 && y.lo >= 0 ? (CRange){greatest(x.lo, y.lo), all.hi} : all;
	case KOP_SHL:
	case KOP_SHR: return shift_range(e, all);
	default: return all;
	}
}

CRange
c_range(const Expr *e)
{
	CRange x, y;

	switch (e->kind) {
	case E_CONST: return const_range(e);
	case E_BITS:
	case E_CVT: return cvt_range(e);
	case E_KOP: return kop_range(e);
	case E_SELECT:
		x = c_range(e->arg[1]);
		y = c_range(e->arg[2]);
		return (CRange){least(x.lo, y.lo), greatest(x.hi, y.hi)};
	case E_VAR:
	case E_LOAD:
	case E_CALL:
	case E_PACKED:
	case E_DOT:
	case E_SPLAT: break;
	}
	return type_range(e->type);
}

bool
c_never_zero(const Expr *e)
{
	CRange r = c_range(e);

	if (r.lo > 0 || r.hi < 0)
		return true;
	if (e->kind == E_KOP && e->op == KOP_OR)
		return c_never_zero(e->arg[0]) || c_never_zero(e->arg[1]);
	return false;
}

/* A widened signed value as unsigned against a constant that is none of its values. */
static bool
is_beyond(const Expr *x, const Expr *y)
{
	bool is_wide = x->type == DT_U64;
	CRange r;

	if (y->kind != E_CONST || (x->type != DT_U32 && !is_wide) ||
	    (x->kind != E_CVT && x->kind != E_BITS) ||
	    dtype_info[x->arg[0]->type].class != CLASS_SIGNED)
		return false;
	r = c_range(x->arg[0]);
	if (!is_wide && (r.lo < INT32_MIN || r.hi > INT32_MAX))
		return false;
	if (is_wide)
		return y->u.i < r.lo || y->u.i > r.hi;
	return (int32_t)y->u.i < r.lo || (int32_t)y->u.i > r.hi;
}

/* x & c or x | c against a constant that has other bits. */
static bool
bits_differ(const Expr *x, const Expr *y)
{
	for (int i = 0; x->kind == E_KOP && y->kind == E_CONST && i < 2; i++) {
		uint64_t c, want = (uint64_t)y->u.i;

		if (x->nargs != 2 || x->arg[i]->kind != E_CONST)
			continue;
		c = (uint64_t)x->arg[i]->u.i;
		if ((x->op == KOP_AND && (want & ~c)) || (x->op == KOP_OR && (c & ~want)))
			return true;
	}
	return false;
}

static int
decided_by_order(KOp op, CRange a, CRange b)
{
	bool known_end = a.hi < INT64_MAX || b.lo < INT64_MAX;
	bool known_start = a.lo < INT64_MAX || b.hi < INT64_MAX;

	if (a.hi < b.lo)
		return op == KOP_NE || op == KOP_LT || op == KOP_LE;
	if (a.lo > b.hi)
		return op == KOP_NE || op == KOP_GT || op == KOP_GE;
	if (a.hi == b.lo && known_end && (op == KOP_LE || op == KOP_GT))
		return op == KOP_LE;
	if (a.lo == b.hi && known_start && (op == KOP_GE || op == KOP_LT))
		return op == KOP_GE;
	return -1;
}

int
c_decided(const Expr *e)
{
	const Expr *x = e->arg[0], *y = e->arg[1];

	if (dtype_info[x->type].class == CLASS_FLOAT)
		return -1;
	if (expr_equal(x, y))
		return e->op == KOP_EQ || e->op == KOP_LE || e->op == KOP_GE;
	if ((e->op == KOP_EQ || e->op == KOP_NE) && x->type != DT_BOOL &&
	    (bits_differ(x, y) || bits_differ(y, x) || is_beyond(x, y) || is_beyond(y, x)))
		return e->op == KOP_NE;
	return decided_by_order(e->op, c_range(x), c_range(y));
}
