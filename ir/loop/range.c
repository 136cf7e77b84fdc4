/*
 * Arithmetic of ranges.
 *
 * The result is computed as if int64 had room for it; when it has not, or when
 * it leaves the range of the type, the operation may wrap around and anything
 * can come out.
 */
#include "ir/loop/range.h"

static const Range anything = {INT64_MIN, INT64_MAX};

Range
range_of_type(DType t)
{
	switch (t) {
	case DT_BOOL: return (Range){0, 1};
	case DT_I8: return (Range){INT8_MIN, INT8_MAX};
	case DT_U8: return (Range){0, UINT8_MAX};
	case DT_I16: return (Range){INT16_MIN, INT16_MAX};
	case DT_U16: return (Range){0, UINT16_MAX};
	case DT_I32:
	case DT_IDX: return (Range){INT32_MIN, INT32_MAX};
	case DT_U32: return (Range){0, UINT32_MAX};
	case DT_I64:
	case DT_U64:
	case DT_F16:
	case DT_BF16:
	case DT_F32:
	case DT_F64:
	case DT_COUNT: break;
	}
	return anything;
}

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

Range
range_join(Range a, Range b)
{
	return (Range){smaller(a.lo, b.lo), larger(a.hi, b.hi)};
}

Range
range_meet(Range a, Range b)
{
	return (Range){larger(a.lo, b.lo), smaller(a.hi, b.hi)};
}

static bool
is_single(Range r)
{
	return r.lo == r.hi;
}

/* The bits of a u64 say as much as a signed number only below 2^63. */
static bool
is_plain(DType t, Range r)
{
	return t != DT_U64 || r.lo >= 0;
}

/* Saturating arithmetic: good for bounds, where infinity is as good. */
static int64_t
add_sat(int64_t a, int64_t b)
{
	int64_t r;

	return __builtin_add_overflow(a, b, &r) ? (a < 0 ? INT64_MIN : INT64_MAX) : r;
}

static int64_t
sub_sat(int64_t a, int64_t b)
{
	int64_t r;

	return __builtin_sub_overflow(a, b, &r) ? (a < 0 ? INT64_MIN : INT64_MAX) : r;
}

static int64_t
mul_sat(int64_t a, int64_t b)
{
	int64_t r;

	return __builtin_mul_overflow(a, b, &r) ? ((a < 0) == (b < 0) ? INT64_MAX : INT64_MIN) : r;
}

static Range
product(Range x, Range y, bool *exact)
{
	const int64_t p[] = {x.lo, x.lo, x.hi, x.hi}, q[] = {y.lo, y.hi, y.lo, y.hi};
	Range r = {INT64_MAX, INT64_MIN};

	for (int i = 0; i < 4; i++) {
		int64_t v;

		if (__builtin_mul_overflow(p[i], q[i], &v))
			*exact = false;
		else
			r = range_join(r, (Range){v, v});
	}
	return *exact ? r : anything;
}

/* Truncating division; x / 0 is 0. */
static Range
quotient(Range x, Range y)
{
	if (y.lo > 0) {
		Range r = {smaller(x.lo / y.lo, x.lo / y.hi), larger(x.hi / y.lo, x.hi / y.hi)};

		return r;
	}
	if (x.lo >= 0 && y.lo >= 0)
		return (Range){0, x.hi};
	return anything;
}

/* The remainder has the sign of x and at most its magnitude; rem(x, 0) is x. */
static Range
rest(Range x, Range y)
{
	Range r = {smaller(x.lo, 0), larger(x.hi, 0)};

	if (y.lo > 0)
		r = range_meet(r, (Range){1 - y.hi, y.hi - 1});
	return r;
}

/* The smallest 2^k - 1 that is not below v >= 0. */
static int64_t
mask_over(int64_t v)
{
	int64_t mask = 0;

	while (mask < v)
		mask = mask * 2 + 1;
	return mask;
}

static Range
bitwise(KOp op, Range x, Range y)
{
	bool both = x.lo >= 0 && y.lo >= 0;

	if (is_single(x) && is_single(y)) {
		int64_t v = op == KOP_AND  ? x.lo & y.lo
		            : op == KOP_OR ? x.lo | y.lo
		                           : x.lo ^ y.lo;

		return (Range){v, v};
	}
	if (op == KOP_AND && (x.lo >= 0 || y.lo >= 0))
		return (Range){0, both ? smaller(x.hi, y.hi) : x.lo >= 0 ? x.hi : y.hi};
	if (op != KOP_AND && both)
		return (Range){op == KOP_OR ? larger(x.lo, y.lo) : 0,
		               mask_over(larger(x.hi, y.hi))};
	return anything;
}

/* floor(v / 2^n), an arithmetic shift. */
static int64_t
shift_right(int64_t v, int64_t n)
{
	return v >= 0 ? v >> n : -(-(v + 1) >> n) - 1;
}

static Range
shifted(KOp op, DType t, Range x, Range y, bool *exact)
{
	int64_t width = dtype_info[t].bytes * 8;

	if (op == KOP_SHR && x.lo >= 0 && !is_single(y))
		return (Range){0, x.hi};
	if (!is_single(y) || y.lo < 0 || y.lo >= width || (op == KOP_SHL && y.lo > 62))
		return anything;
	if (op == KOP_SHL)
		return product(x, (Range){(int64_t)1 << y.lo, (int64_t)1 << y.lo}, exact);
	if (!is_plain(t, x))
		return anything;
	return (Range){shift_right(x.lo, y.lo), shift_right(x.hi, y.lo)};
}

static Range
magnitude(Range x)
{
	if (x.lo >= 0)
		return x;
	if (x.lo == INT64_MIN)
		return anything;
	return (Range){x.hi <= 0 ? -x.hi : 0, larger(-x.lo, x.hi)};
}

static Range
inverted(DType t, Range x)
{
	if (t == DT_BOOL || t == DT_U32) {
		int64_t max = range_of_type(t).hi;

		return (Range){max - x.hi, max - x.lo};
	}
	return (Range){~x.hi, ~x.lo};
}

static Range
minimum(DType t, Range x, Range y)
{
	if (is_plain(t, x) && is_plain(t, y))
		return (Range){smaller(x.lo, y.lo), smaller(x.hi, y.hi)};
	if (is_plain(t, x))
		return (Range){0, x.hi};
	return is_plain(t, y) ? (Range){0, y.hi} : anything;
}

static Range
maximum(DType t, Range x, Range y)
{
	if (is_plain(t, x) && is_plain(t, y))
		return (Range){larger(x.lo, y.lo), larger(x.hi, y.hi)};
	return anything;
}

static Range
compared(KOp op, DType t, Range x, Range y)
{
	if (dtype_is_float(t) || !is_plain(t, x) || !is_plain(t, y))
		return (Range){0, 1};
	if (range_is_empty(range_if_compared(op, t, x, y)))
		return (Range){0, 0};
	if (range_is_empty(range_if_compared(kop_negated(op), t, x, y)))
		return (Range){1, 1};
	return (Range){0, 1};
}

Range
range_kop(KOp op, DType t, Range x, Range y, bool *exact)
{
	Range r = anything, all = range_of_type(t);
	bool plain = is_plain(t, x) && is_plain(t, y);

	*exact = true;
	if (kop_info[op].to_bool)
		return compared(op, t, x, y);
	if (dtype_is_float(t))
		return anything;
	switch (op) {
	case KOP_ADD:
		*exact = !__builtin_add_overflow(x.lo, y.lo, &r.lo);
		*exact &= !__builtin_add_overflow(x.hi, y.hi, &r.hi);
		break;
	case KOP_SUB:
		*exact = !__builtin_sub_overflow(x.lo, y.hi, &r.lo);
		*exact &= !__builtin_sub_overflow(x.hi, y.lo, &r.hi);
		break;
	case KOP_NEG:
		*exact = !__builtin_sub_overflow(0, x.hi, &r.lo);
		*exact &= !__builtin_sub_overflow(0, x.lo, &r.hi);
		break;
	case KOP_MUL: r = product(x, y, exact); break;
	case KOP_DIV: r = plain ? quotient(x, y) : anything; break;
	case KOP_REM: r = plain ? rest(x, y) : anything; break;
	case KOP_MIN: r = minimum(t, x, y); break;
	case KOP_MAX: r = maximum(t, x, y); break;
	case KOP_ABS: r = is_plain(t, x) ? magnitude(x) : anything; break;
	case KOP_AND:
	case KOP_OR:
	case KOP_XOR: r = bitwise(op, x, y); break;
	case KOP_NOT: r = inverted(t, x); break;
	case KOP_SHL:
	case KOP_SHR: r = shifted(op, t, x, y, exact); break;
	case KOP_EQ:
	case KOP_NE:
	case KOP_LT:
	case KOP_LE:
	case KOP_GT:
	case KOP_GE:
	case KOP_COUNT: break;
	}
	if (*exact && range_within(r, all) && !range_within(anything, r))
		return r;
	*exact = false;
	return all;
}

/* ---- Backwards ---- */

/* Values whose truncated quotient by c > 0 is in `r`. */
static Range
dividend(Range r, int64_t c)
{
	int64_t lo = mul_sat(r.lo, c), hi = mul_sat(r.hi, c);

	return (Range){r.lo <= 0 ? sub_sat(lo, c - 1) : lo, r.hi >= 0 ? add_sat(hi, c - 1) : hi};
}

/* Values whose product with c > 0 is in `r`. */
static Range
factor(Range r, int64_t c)
{
	int64_t lo = r.lo / c, hi = r.hi / c;

	return (Range){r.lo > 0 && r.lo % c ? lo + 1 : lo, r.hi < 0 && r.hi % c ? hi - 1 : hi};
}

Range
range_first_operand(KOp op, Range r, Range y)
{
	bool positive = is_single(y) && y.lo > 0;

	switch ((int)op) {
	case KOP_ADD: return (Range){sub_sat(r.lo, y.hi), sub_sat(r.hi, y.lo)};
	case KOP_SUB: return (Range){add_sat(r.lo, y.lo), add_sat(r.hi, y.hi)};
	case KOP_MUL: return positive ? factor(r, y.lo) : anything;
	case KOP_DIV: return positive ? dividend(r, y.lo) : anything;
	case KOP_NEG: return (Range){sub_sat(0, r.hi), sub_sat(0, r.lo)};
	case KOP_MIN: return (Range){r.lo, y.lo > r.hi ? r.hi : INT64_MAX};
	case KOP_MAX: return (Range){y.hi < r.lo ? r.lo : INT64_MIN, r.hi};
	default: return anything;
	}
}

Range
range_second_operand(KOp op, Range r, Range x)
{
	switch ((int)op) {
	case KOP_SUB: return (Range){sub_sat(x.lo, r.hi), sub_sat(x.hi, r.lo)};
	case KOP_ADD:
	case KOP_MUL:
	case KOP_MIN:
	case KOP_MAX: return range_first_operand(op, r, x);
	default: return anything;
	}
}

/* ---- Comparisons ---- */

KOp
kop_negated(KOp op)
{
	switch ((int)op) {
	case KOP_EQ: return KOP_NE;
	case KOP_NE: return KOP_EQ;
	case KOP_LT: return KOP_GE;
	case KOP_GE: return KOP_LT;
	case KOP_GT: return KOP_LE;
	case KOP_LE: return KOP_GT;
	default: return op;
	}
}

KOp
kop_swapped(KOp op)
{
	switch ((int)op) {
	case KOP_LT: return KOP_GT;
	case KOP_GT: return KOP_LT;
	case KOP_LE: return KOP_GE;
	case KOP_GE: return KOP_LE;
	default: return op;
	}
}

Range
range_if_compared(KOp op, DType t, Range x, Range y)
{
	bool huge = !is_plain(t, x);

	if (dtype_is_float(t) || !is_plain(t, y))
		return x;
	/* x < y of u64 with a plain y makes x plain; nothing else helps a huge x. */
	if (huge && (op == KOP_LT || op == KOP_LE || op == KOP_EQ))
		x = range_meet(x, (Range){0, INT64_MAX});
	else if (huge)
		return x;
	switch ((int)op) {
	case KOP_EQ: return range_meet(x, y);
	case KOP_NE:
		if (is_single(y) && x.lo == y.lo)
			x.lo = add_sat(x.lo, 1);
		else if (is_single(y) && x.hi == y.lo)
			x.hi = sub_sat(x.hi, 1);
		return x;
	case KOP_LT: return range_meet(x, (Range){INT64_MIN, sub_sat(y.hi, 1)});
	case KOP_LE: return range_meet(x, (Range){INT64_MIN, y.hi});
	case KOP_GT: return range_meet(x, (Range){add_sat(y.lo, 1), INT64_MAX});
	case KOP_GE: return range_meet(x, (Range){y.lo, INT64_MAX});
	default: return x;
	}
}
