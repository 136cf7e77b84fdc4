/*
 * The definitions of packed operations (pops.def).
 */
#include <assert.h>

#include "ir/loop/loop.h"

const POpInfo pop_info[POP_COUNT] = {
#define POP(id, name, result, n, a, b, c) \
	[POP_##id] = {name, DT_##result, n, {DT_##a, DT_##b, DT_##c}},
#include "ir/loop/pops.def"
};

/* The low bits of x as a signed number of that width. */
static int32_t
extend(uint32_t x, int bits)
{
	uint32_t sign = (uint32_t)1 << (bits - 1);

	x &= 2 * sign - 1;
	return (int32_t)((int64_t)(x ^ sign) - (int64_t)sign);
}

static int32_t
lo(int32_t x)
{
	return extend((uint32_t)x, 16);
}

static int32_t
hi(int32_t x)
{
	return extend((uint32_t)x >> 16, 16);
}

static int32_t
byte(int32_t x, int lane)
{
	return extend((uint32_t)x >> (8 * lane), 8);
}

static uint32_t
pair(int32_t first, int32_t second)
{
	return ((uint32_t)first & 0xffff) | (uint32_t)second << 16;
}

/* Two factors of 16 bits. */
static uint32_t
product(int32_t a, int32_t b)
{
	return (uint32_t)(a * b);
}

/* The sum of the products of four bytes; those of a may be unsigned. */
static uint32_t
bytes(int32_t a, int32_t b, bool is_unsigned)
{
	int32_t sum = 0;

	for (int i = 0; i < 4; i++) {
		int32_t x = byte(a, i);

		sum += (is_unsigned ? x & 0xff : x) * byte(b, i);
	}
	return (uint32_t)sum;
}

static uint32_t
high(int32_t a, int32_t b, uint64_t more)
{
	return (uint32_t)(((uint64_t)((int64_t)a * b) + more) >> 32);
}

/* Twice the product, which needs 64 bits and a sign but for one. */
static uint32_t
high_of_twice(int32_t a, int32_t b)
{
	if (a == INT32_MIN && b == INT32_MIN)
		return INT32_MAX;
	return (uint32_t)((((uint64_t)((int64_t)a * b) << 1) + ((uint64_t)1 << 31)) >> 32);
}

static uint32_t
bits_of(POp op, int32_t a, int32_t b, int32_t c)
{
	switch (op) {
	case POP_DOT2: return product(lo(a), lo(b)) + product(hi(a), hi(b)) + (uint32_t)c;
	case POP_MAC_BB: return product(lo(a), lo(b)) + (uint32_t)c;
	case POP_MAC_TT: return product(hi(a), hi(b)) + (uint32_t)c;
	case POP_DOT4: return bytes(a, b, false) + (uint32_t)c;
	case POP_DOT4U: return bytes(a, b, true) + (uint32_t)c;
	case POP_MAC_TB: return product(hi(a), lo(b)) + (uint32_t)c;
	case POP_EVEN8: return pair(byte(a, 0), byte(a, 2));
	case POP_ODD8: return pair(byte(a, 1), byte(a, 3));
	case POP_PACK_LO: return pair(lo(a), lo(b));
	case POP_PACK_HI: return pair(hi(a), hi(b));
	case POP_ADD2: return pair(lo(a) + lo(b), hi(a) + hi(b));
	case POP_SUB2: return pair(lo(a) - lo(b), hi(a) - hi(b));
	case POP_MULH: return high(a, b, 0);
	case POP_MULH_ROUND: return high(a, b, (uint64_t)1 << 31);
	case POP_MULH_ROUND_ADD: return high(a, b, (uint64_t)1 << 31) + (uint32_t)c;
	case POP_MULH_WIDE: return high(a, b, (uint64_t)((int64_t)c * (1 << 30)));
	case POP_MULH_TWICE: return high_of_twice(a, b);
	case POP_SAT8: return (uint32_t)(a < INT8_MIN ? INT8_MIN : a > INT8_MAX ? INT8_MAX : a);
	case POP_KEEP: return (uint32_t)a;
	case POP_COUNT: break;
	}
	assert(0 && "not a packed operation");
	return 0;
}

int32_t
pop_eval(POp op, int32_t a, int32_t b, int32_t c)
{
	return extend(bits_of(op, a, b, c), 32);
}
