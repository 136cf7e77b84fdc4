#include "ir/type.h"

#include <string.h>

#include "ir/num.h"

const DTypeInfo dtype_info[DT_COUNT] = {
#define DTYPE(id, name, bytes, c_type, class) [DT_##id] = {name, bytes, c_type, class},
#include "ir/dtypes.def"
};

DType
dtype_find(const char *name, size_t length)
{
	for (int i = 0; i < DT_COUNT; i++)
		if (strlen(dtype_info[i].name) == length &&
		    memcmp(dtype_info[i].name, name, length) == 0)
			return (DType)i;
	return DT_COUNT;
}

DType
dtype_compute(DType t)
{
	if (t == DT_F16 || t == DT_BF16)
		return DT_F32;
	if (dtype_is_integer(t) && dtype_info[t].bytes < 4)
		return DT_I32;
	return t;
}

Type
type_scalar(DType t)
{
	return (Type){.dtype = t};
}

Type
type_make(DType t, int rank, const int32_t *dim)
{
	Type type = {.dtype = t, .rank = rank};

	if (rank > 0)
		memcpy(type.dim, dim, (size_t)rank * sizeof *dim);
	return type;
}

int32_t
type_product(const Type *t, int from, int to)
{
	int32_t n = 1;

	for (int i = from; i < to; i++)
		n *= t->dim[i];
	return n;
}

int32_t
type_numel(const Type *t)
{
	return type_product(t, 0, t->rank);
}

size_t
type_bytes(const Type *t)
{
	return (size_t)type_numel(t) * (size_t)dtype_info[t->dtype].bytes;
}

bool
type_is_representable(const Type *t)
{
	/* Products are taken over dimensions of at least 1, so that a zero does
	 * not hide an overflow from strides and partial products. */
	size_t n = (size_t)dtype_info[t->dtype].bytes;

	if (t->rank < 0 || t->rank > MAX_RANK)
		return false;
	for (int i = 0; i < t->rank; i++) {
		if (t->dim[i] < 0)
			return false;
		if (t->dim[i] > 1) {
			if (n > MAX_TENSOR_BYTES / (size_t)t->dim[i])
				return false;
			n *= (size_t)t->dim[i];
		}
	}
	return true;
}

bool
type_same_codes(const Type *a, const Type *b)
{
	return a->dtype == b->dtype && type_same_quant(a, b);
}

bool
type_same_shape(const Type *a, const Type *b)
{
	return a->rank == b->rank &&
	       (a->rank == 0 || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0);
}

bool
type_equal(const Type *a, const Type *b)
{
	return a->dtype == b->dtype && type_same_shape(a, b);
}

bool
quant_zero_fits(DType t, int64_t zero)
{
	int bits = 8 * dtype_info[t].bytes;

	if (dtype_info[t].class == CLASS_UNSIGNED)
		return zero >= 0 && zero <= (bits < 32 ? (1 << bits) - 1 : INT32_MAX);
	return dtype_info[t].class == CLASS_SIGNED &&
	       (bits >= 32 ? zero >= INT32_MIN && zero <= INT32_MAX
	                   : zero >= -(1 << (bits - 1)) && zero < 1 << (bits - 1));
}

bool
type_same_quant(const Type *a, const Type *b)
{
	const Quant *p = a->q, *q = b->q;

	if (p == q)
		return true;
	return p && q && p->n == q->n && (p->n == 1 || p->axis == q->axis) &&
	       memcmp(p->scale, q->scale, (size_t)p->n * sizeof *p->scale) == 0 &&
	       memcmp(p->zero, q->zero, (size_t)p->n * sizeof *p->zero) == 0;
}

void
type_strides(const Type *t, int32_t stride[MAX_RANK])
{
	int32_t n = 1;

	for (int i = t->rank; i-- > 0;) {
		stride[i] = n;
		n *= t->dim[i];
	}
}

bool
type_broadcast(const Type *a, const Type *b, Type *out)
{
	int rank = a->rank > b->rank ? a->rank : b->rank;

	for (int i = 0; i < rank; i++) {
		int ia = i - (rank - a->rank), ib = i - (rank - b->rank);
		int32_t da = ia < 0 ? 1 : a->dim[ia];
		int32_t db = ib < 0 ? 1 : b->dim[ib];

		if (da != db && da != 1 && db != 1)
			return false;
		out->dim[i] = da == 1 ? db : da;
	}
	out->rank = rank;
	return true;
}

static void
print_scale(Str *s, float scale)
{
	char text[NUM_TEXT];

	num_float_text(text, scale);
	str_puts(s, text);
}

static bool
is_symmetric(const Quant *q)
{
	for (int32_t i = 0; i < q->n; i++)
		if (q->zero[i] != 0)
			return false;
	return true;
}

static void
print_quant(Str *s, const Quant *q)
{
	bool has_axis = q->n != 1;

	if (has_axis)
		str_printf(s, " q[%d](", q->axis);
	else
		str_puts(s, " q(");
	for (int32_t i = 0; i < q->n; i++) {
		str_puts(s, i ? ", " : "");
		print_scale(s, q->scale[i]);
	}
	if (has_axis && is_symmetric(q)) {
		str_putc(s, ')');
		return;
	}
	str_puts(s, has_axis ? ")(" : ", ");
	for (int32_t i = 0; i < q->n; i++)
		str_printf(s, i ? ", %d" : "%d", q->zero[i]);
	str_putc(s, ')');
}

/* The ranges of scales and zero points. */
static void
summarize_quant(Str *s, const Quant *q)
{
	float low = q->scale[0], high = low;
	int32_t least = q->zero[0], most = least;

	for (int32_t i = 1; i < q->n; i++) {
		low = q->scale[i] < low ? q->scale[i] : low;
		high = q->scale[i] > high ? q->scale[i] : high;
		least = q->zero[i] < least ? q->zero[i] : least;
		most = q->zero[i] > most ? q->zero[i] : most;
	}
	str_printf(s, " q[%d](", q->axis);
	print_scale(s, low);
	str_puts(s, " to ");
	print_scale(s, high);
	str_putc(s, ')');
	if (!is_symmetric(q))
		str_printf(s, "(%d to %d)", least, most);
}

static void
print_shape(Str *s, const Type *t)
{
	str_puts(s, dtype_info[t->dtype].name);
	str_putc(s, '[');
	for (int i = 0; i < t->rank; i++)
		str_printf(s, i ? ",%d" : "%d", t->dim[i]);
	str_putc(s, ']');
}

void
type_print(Str *s, const Type *t)
{
	print_shape(s, t);
	if (t->q)
		print_quant(s, t->q);
}

const char *
type_text(Arena *a, const Type *t)
{
	const int32_t most = 4;
	Str s;

	str_init(&s, a);
	print_shape(&s, t);
	if (t->q && t->q->n > most)
		summarize_quant(&s, t->q);
	else if (t->q)
		print_quant(&s, t->q);
	return s.s;
}
