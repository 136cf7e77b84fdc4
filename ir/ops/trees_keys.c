#include "ir/ops/trees_keys.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/num.h"
#include "ir/ops/trees.h"

/* Tests of sets and for equality are computed for every row, needed or not. */
enum { MAX_SPECIAL = 32, MAX_KEY_FEATURES = 1 << 20 };

/* ---- Children ---- */

static bool
is_upward(TreeMode m)
{
	return m == TREE_GE || m == TREE_GT || m == TREE_NE;
}

int32_t
trees_low(const Trees *t, int32_t node)
{
	return is_upward(trees_mode(t, node)) ? t->no[node] : t->yes[node];
}

int32_t
trees_high(const Trees *t, int32_t node)
{
	return is_upward(trees_mode(t, node)) ? t->yes[node] : t->no[node];
}

/* ---- Limits ---- */

/* The key of a number; negative zero has that below zero. */
static uint64_t
key_of(DType compare, double v)
{
	uint64_t bits = 0;
	uint32_t half;
	float f = (float)v;

	if (compare == DT_F32) {
		memcpy(&half, &f, sizeof half);
		return half >> 31 ? (uint32_t)~half : half | 0x80000000u;
	}
	memcpy(&bits, &v, sizeof bits);
	return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

/* The least float that is not below v, or the greatest that is not above it. */
static double
next_float(double v, bool up)
{
	float f = (float)v;

	if (up ? (double)f < v : (double)f > v)
		f = nextafterf(f, up ? INFINITY : -INFINITY);
	return (double)f;
}

/* A test goes low for all keys below this. */
static uint64_t
limit_of(const TreeKeys *k, int32_t node)
{
	double v = value_float(k->t->threshold, node);
	TreeMode m = trees_mode(k->t, node);
	bool strict = m == TREE_LT || m == TREE_GE;

	if (m != TREE_LT && m != TREE_GE && m != TREE_LE && m != TREE_GT)
		return 1;
	if (k->compare == DT_F32)
		v = next_float(v, strict);
	if (v == 0)
		v = strict ? -0.0 : 0.0;
	return key_of(k->compare, v) + !strict;
}

/* ---- Slots ---- */

static bool
is_ordered(TreeMode m)
{
	return m >= TREE_LE && m <= TREE_GT;
}

static TreeSlot
slot_for(const Trees *t, int32_t node)
{
	return (TreeSlot){.feature = t->feature[node],
	                  .node = is_ordered(trees_mode(t, node)) ? -1 : node,
	                  .low = t->missing[node] == trees_low(t, node),
	                  .zero_missing = (t->mode[node] & TREE_ZERO_MISSING) != 0};
}

static bool
same_test(const Trees *t, int32_t p, int32_t q)
{
	TreeMode a = trees_mode(t, p), b = trees_mode(t, q);

	a = a == TREE_NE ? TREE_EQ : a;
	b = b == TREE_NE ? TREE_EQ : b;
	return a == b && value_float(t->threshold, p) == value_float(t->threshold, q);
}

/* The slot of a test that is no comparison, or -1. */
static int32_t
find_special(const Trees *t, const TreeSlot *slot, int32_t from, int32_t to, const TreeSlot *s)
{
	for (int32_t i = from; i < to; i++)
		if (slot[i].feature == s->feature && slot[i].low == s->low &&
		    slot[i].zero_missing == s->zero_missing && same_test(t, slot[i].node, s->node))
			return i;
	return -1;
}

static bool
has_own_missing(const Trees *t, int32_t i)
{
	return t->missing[i] != t->yes[i] && t->missing[i] != t->no[i];
}

bool
trees_have_keys(const Trees *t)
{
	TreeSlot special[MAX_SPECIAL];
	int32_t n = 0;

	if (t->features > MAX_KEY_FEATURES || t->nodes >= INT32_MAX / 4 ||
	    t->leaves >= INT32_MAX / 4)
		return false;
	for (int32_t i = 0; i < t->nodes; i++) {
		TreeSlot s;

		if (trees_mode(t, i) == TREE_LEAF)
			continue;
		if (has_own_missing(t, i))
			return false;
		s = slot_for(t, i);
		if (s.node < 0 || find_special(t, special, 0, n, &s) >= 0)
			continue;
		if (n == MAX_SPECIAL)
			return false;
		special[n++] = s;
	}
	return true;
}

/* Which of the four ways of missing values, in the order of their slots. */
static int
kind_of(const TreeSlot *s)
{
	return (s->zero_missing ? 2 : 0) + (s->low ? 1 : 0);
}

/* Numbers the slots of comparisons by kind and feature; `number` has one more than
 * the number of each, by kind and feature. */
static void
number_slots(Arena *a, TreeKeys *k, int32_t *number)
{
	const Trees *t = k->t;
	size_t pairs = 4 * (size_t)t->features;

	for (int32_t i = 0; i < t->nodes; i++) {
		TreeSlot s;

		if (trees_mode(t, i) == TREE_LEAF)
			continue;
		s = slot_for(t, i);
		if (s.node < 0)
			number[(size_t)kind_of(&s) * (size_t)t->features + (size_t)s.feature] = 1;
	}
	for (size_t i = 0; i < pairs; i++)
		k->numbers += number[i];
	k->slot = ARENA_ARRAY(a, TreeSlot, k->numbers + MAX_SPECIAL);
	for (size_t i = 0; i < pairs; i++) {
		int kind = (int)(i / (size_t)t->features);

		if (!number[i])
			continue;
		k->slot[k->nslots++] = (TreeSlot){.feature = (int32_t)(i % (size_t)t->features),
		                                  .node = -1,
		                                  .low = kind & 1,
		                                  .zero_missing = kind & 2};
		number[i] = k->nslots;
	}
}

static void
assign_slots(Arena *a, TreeKeys *k)
{
	const Trees *t = k->t;
	int32_t *number = ARENA_ARRAY(a, int32_t, 4 * (size_t)t->features);

	number_slots(a, k, number);
	for (int32_t i = 0; i < t->nodes; i++) {
		TreeSlot s;

		if (trees_mode(t, i) == TREE_LEAF)
			continue;
		s = slot_for(t, i);
		k->limit[i] = limit_of(k, i);
		if (s.node < 0) {
			k->slot_of[i] = number[(size_t)kind_of(&s) * (size_t)t->features +
			                       (size_t)s.feature] - 1;
			continue;
		}
		k->slot_of[i] = find_special(t, k->slot, k->numbers, k->nslots, &s);
		if (k->slot_of[i] < 0) {
			k->slot_of[i] = k->nslots;
			k->slot[k->nslots++] = s;
		}
	}
}

/* ---- Ranks ---- */

static int
compare_cuts(const void *p, const void *q)
{
	uint64_t a = *(const uint64_t *)p, b = *(const uint64_t *)q;

	return (a > b) - (a < b);
}

/* Sorts the limits of a slot and leaves one of each. */
static void
sort_cuts(TreeSlot *s, uint64_t *cut)
{
	int32_t n = 0;

	qsort(cut, (size_t)s->cuts, sizeof *cut, compare_cuts);
	for (int32_t i = 0; i < s->cuts; i++)
		if (n == 0 || cut[n - 1] != cut[i])
			cut[n++] = cut[i];
	s->cuts = n;
}

/* The place of a limit among those of its slot, from 1. */
static uint64_t
rank_of(const TreeKeys *k, const TreeSlot *s, uint64_t limit)
{
	const uint64_t *cut = k->cut + s->first_cut;

	return (uint64_t)((const uint64_t *)bsearch(&limit, cut, (size_t)s->cuts, sizeof *cut,
	                                            compare_cuts) - cut) + 1;
}

static void
collect_cuts(Arena *a, TreeKeys *k)
{
	const Trees *t = k->t;
	int32_t at = 0, *fill = ARENA_ARRAY(a, int32_t, k->nslots);

	for (int32_t i = 0; i < t->nodes; i++)
		if (trees_mode(t, i) != TREE_LEAF && k->slot_of[i] < k->numbers)
			k->slot[k->slot_of[i]].cuts++;
	for (int32_t i = 0; i < k->numbers; i++) {
		fill[i] = at;
		at += k->slot[i].cuts;
	}
	k->cut = ARENA_ARRAY(a, uint64_t, at);
	for (int32_t i = 0; i < t->nodes; i++)
		if (trees_mode(t, i) != TREE_LEAF && k->slot_of[i] < k->numbers)
			k->cut[fill[k->slot_of[i]]++] = k->limit[i];
	at = 0;
	for (int32_t i = 0; i < k->numbers; i++) {
		TreeSlot *s = &k->slot[i];
		int32_t all = s->cuts;

		sort_cuts(s, k->cut + at);
		memmove(k->cut + k->ncuts, k->cut + at, (size_t)s->cuts * sizeof *k->cut);
		s->first_cut = k->ncuts;
		k->ncuts += s->cuts;
		at += all;
	}
}

static void
make_ranks(Arena *a, TreeKeys *k)
{
	const Trees *t = k->t;
	int32_t most = 1;

	collect_cuts(a, k);
	for (int32_t i = 0; i < k->numbers; i++)
		most = k->slot[i].cuts > most ? k->slot[i].cuts : most;
	for (int32_t i = 0; i < t->nodes; i++)
		if (trees_mode(t, i) != TREE_LEAF && k->slot_of[i] < k->numbers)
			k->limit[i] = rank_of(k, &k->slot[k->slot_of[i]], k->limit[i]);
	k->type = most <= UINT8_MAX ? DT_U8 : most <= UINT16_MAX ? DT_U16 : DT_U32;
}

int
trees_levels(int32_t cuts)
{
	int levels = 1;

	while (((int64_t)1 << levels) - 1 < cuts)
		levels++;
	return levels;
}

/* ---- Both ---- */

/* Whether every value of the type is a float. */
static bool
is_exact_in_float(DType t)
{
	return t == DT_F32 || t == DT_F16 || t == DT_BF16 ||
	       (dtype_is_integer(t) && dtype_info[t].bytes <= 2);
}

TreeKeys *
trees_keys(Arena *a, const Trees *t, TreeKeyKind kind)
{
	TreeKeys *k;

	if (!trees_have_keys(t))
		return NULL;
	k = ARENA_NEW(a, TreeKeys);
	k->t = t;
	k->stride = t->features;
	k->compare = is_exact_in_float(t->x_type) ? DT_F32 : t->threshold->type.dtype;
	k->type = k->cut_type = k->compare == DT_F32 ? DT_U32 : DT_U64;
	k->slot_of = ARENA_ARRAY(a, int32_t, t->nodes);
	k->limit = ARENA_ARRAY(a, uint64_t, t->nodes);
	assign_slots(a, k);
	if (kind == TREE_KEYS_rank)
		make_ranks(a, k);
	return k;
}

int64_t
trees_keys_bytes(const TreeKeys *k)
{
	return (int64_t)k->ncuts * dtype_info[k->cut_type].bytes + (k->ncuts ? 4 * k->nslots : 0);
}

/* ---- Computing them ---- */

typedef struct {
	LowerCtx *cx;
	LBuilder *b;
	const TreeKeys *k;
	LBuf *keys, *cut, *first, *count;
	Expr *row; /* number of the first row */
	int32_t lanes;
} Fill;

/* The number that is compared, of feature `feature` (idx) of the row of the lane. */
static Expr *
load_number(Fill *f, Expr *feature, Expr *lane, DType t)
{
	LBuilder *b = f->b;
	Expr *row = loop_affine(b, loop_add(b, f->row, lane), f->k->stride, 0);
	Expr *x = loop_load_compute(b, f->cx->in[TREES_X], loop_add(b, row, feature));

	return loop_let(b, "x", loop_cvt(b, t, x));
}

static Expr *
is_missing(Fill *f, Expr *x, bool zero_missing)
{
	LBuilder *b = f->b;
	Expr *nan = loop_op2(b, KOP_NE, x, x);

	if (!zero_missing)
		return nan;
	return loop_op2(b, KOP_OR, nan,
	                loop_op2(b, KOP_LE, loop_op1(b, KOP_ABS, x),
	                         loop_float(b, x->type, TREE_ZERO)));
}

/* The same of the bits of x (u32 or u64), without arithmetic on floats: those of
 * magnitudes have the order of integers. */
static Expr *
bits_are_missing(Fill *f, Expr *bits, bool zero_missing)
{
	LBuilder *b = f->b;
	bool wide = bits->type == DT_U64;
	Expr *twice = loop_op2(b, KOP_SHL, bits, loop_int(b, bits->type, 1));
	uint64_t infinity = wide ? (uint64_t)0x7ff0 << 49 : 0xff000000u;
	uint64_t sign = (uint64_t)1 << (wide ? 63 : 31);
	uint64_t zero = (key_of(f->k->compare, TREE_ZERO) ^ sign) * 2;
	Expr *nan;

	twice = loop_let(b, "twice", twice);
	nan = loop_op2(b, KOP_GT, twice, loop_int(b, bits->type, (int64_t)infinity));
	if (!zero_missing)
		return nan;
	return loop_op2(b, KOP_OR, nan,
	                loop_op2(b, KOP_LE, twice, loop_int(b, bits->type, (int64_t)zero)));
}

/* The key of x: its bits in the order of numbers, or an end of it. */
static Expr *
ordered_key(Fill *f, Expr *x, const TreeSlot *slot)
{
	LBuilder *b = f->b;
	bool wide = x->type == DT_F64;
	DType sign = wide ? DT_I64 : DT_I32, type = wide ? DT_U64 : DT_U32;
	Expr *bits = loop_let(b, "bits", loop_bits(b, type, x)), *flip;
	Expr *missing = bits_are_missing(f, bits, slot->zero_missing);

	flip = loop_op2(b, KOP_SHR, loop_bits(b, sign, bits), loop_int(b, sign, wide ? 63 : 31));
	flip = loop_op2(b, KOP_OR, loop_bits(b, type, flip),
	                loop_int(b, type, wide ? INT64_MIN : (int64_t)0x80000000));
	return loop_select(b, missing,
	                   loop_int(b, type, slot->low ? 0 : wide ? -1 : (int64_t)UINT32_MAX),
	                   loop_op2(b, KOP_XOR, bits, flip));
}

/* How many cuts of slot `i` are not above the key, by halving. */
static Expr *
rank(Fill *f, Expr *i, Expr *key, int32_t most)
{
	LBuilder *b = f->b;
	Expr *first = loop_let(b, "first", loop_cvt(b, DT_IDX, loop_load(b, f->first, i)));
	Expr *count = loop_let(b, "count", loop_cvt(b, DT_IDX, loop_load(b, f->count, i)));
	LVar *at = loop_var_idx(b, "rank", loop_idx(b, 0), 0, most);
	int32_t step = 1;

	while (step <= most / 2)
		step *= 2;
	for (; step > 0; step /= 2) {
		Expr *next = loop_let(b, "next", loop_affine(b, loop_get(b, at), 1, step));
		Expr *place = loop_affine(b, loop_add(b, first, next), 1, -1);
		Expr *cut, *up;

		place = loop_op2(b, KOP_MIN, place, loop_idx(b, f->k->ncuts - 1));
		cut = loop_load(b, f->cut, place);
		up = loop_op2(b, KOP_AND, loop_op2(b, KOP_LE, next, count),
		              loop_op2(b, KOP_LE, cut, key));
		loop_set(b, at, loop_op2(b, KOP_MIN, loop_select(b, up, next, loop_get(b, at)),
		                         loop_idx(b, most)));
	}
	return loop_get(b, at);
}

static void
store_key(Fill *f, Expr *slot, Expr *lane, Expr *key)
{
	LBuilder *b = f->b;

	loop_store(b, f->keys, loop_add(b, loop_affine(b, slot, f->lanes, 0), lane),
	           loop_cvt(b, f->k->type, key));
}

/* A table of the features of slots, or an expression where they follow each other. */
static Expr *
feature_of(Fill *f, const int32_t *slot, int32_t n, Expr *i)
{
	const TreeSlot *s = f->k->slot;
	int32_t *feature = ARENA_ARRAY(f->cx->arena, int32_t, n);
	bool dense = true;

	for (int32_t j = 0; j < n; j++) {
		feature[j] = s[slot[j]].feature;
		dense = dense && feature[j] == feature[0] + j;
	}
	return dense ? loop_affine(f->b, i, 1, feature[0])
	             : loop_cvt(f->b, DT_IDX,
	                        loop_load(f->b, trees_int_table(f->cx, "feature", n, feature), i));
}

static int32_t *
slots_between(Fill *f, int32_t from, int32_t to)
{
	int32_t *slot = ARENA_ARRAY(f->cx->arena, int32_t, to - from);

	for (int32_t i = from; i < to; i++)
		slot[i - from] = i;
	return slot;
}

/* Slots [from, to) are of one kind. */
static void
fill_numbers(Fill *f, int32_t from, int32_t to)
{
	const TreeKeys *k = f->k;
	LBuilder *b = f->b;
	int depth = b->depth;
	int32_t most = 1;
	Expr *i = lower_for(f->cx, "i", to - from), *lane = lower_for(f->cx, "lane", f->lanes);
	Expr *slot = loop_affine(b, i, 1, from), *x, *key;

	for (int32_t j = from; j < to; j++)
		most = k->slot[j].cuts > most ? k->slot[j].cuts : most;
	x = load_number(f, feature_of(f, slots_between(f, from, to), to - from, i), lane,
	                k->compare);
	key = ordered_key(f, x, &k->slot[from]);
	if (k->ncuts)
		key = rank(f, slot, loop_let(b, "key", key), most);
	store_key(f, slot, lane, key);
	lower_end_to(f->cx, depth);
}

/* ---- Ranks of many rows ---- */

/* Rows whose searches run side by side: each waits for its own loads. */
enum { SEARCHES = 4, MAX_LEVELS = 31 };

/* The cuts of slots as complete trees, one behind the other: those below node i are 2 i
 * and 2 i + 1.  What is left over has the greatest number. */
static LBuf *
cut_trees(Fill *f, const int32_t *slot, int32_t n, int levels)
{
	const TreeKeys *k = f->k;
	size_t size = (size_t)1 << levels;
	uint64_t *cut = ARENA_ARRAY(f->cx->arena, uint64_t, (size_t)n * size);
	uint64_t none = k->cut_type == DT_U32 ? UINT32_MAX : UINT64_MAX;

	for (int32_t i = 0; i < n; i++) {
		const TreeSlot *s = &k->slot[slot[i]];

		for (int level = 0; level < levels; level++)
			for (size_t p = 0; p < (size_t)1 << level; p++) {
				size_t place = ((2 * p + 1) << (levels - 1 - level)) - 1;
				bool is_cut = place < (size_t)s->cuts;

				cut[(size_t)i * size + ((size_t)1 << level) + p] =
					is_cut ? k->cut[(size_t)s->first_cut + place] : none;
			}
	}
	return trees_number_table(f->cx, "cut", k->cut_type, (int32_t)((size_t)n * size), cut);
}

/* Stores the ranks of the rows from `lane` on, whose slot's cuts begin at `cuts`. */
static void
search(Fill *f, LBuf *cut, Expr *cuts, int levels, Expr *slot, Expr *feature, Expr *lane,
       const TreeSlot *kind)
{
	LBuilder *b = f->b;
	Expr *key[SEARCHES], *at[SEARCHES], *row[SEARCHES];
	int rows = f->lanes % SEARCHES == 0 ? SEARCHES : 1;

	for (int r = 0; r < rows; r++) {
		row[r] = loop_affine(b, lane, 1, r);
		key[r] = ordered_key(f, load_number(f, feature, row[r], f->k->compare), kind);
		key[r] = loop_let(b, "key", key[r]);
		at[r] = loop_idx(b, 1);
	}
	for (int level = 0; level < levels; level++)
		for (int r = 0; r < rows; r++) {
			Expr *up = loop_op2(b, KOP_LE, loop_load(b, cut, loop_add(b, cuts, at[r])),
			                    key[r]);

			up = loop_add(b, loop_affine(b, at[r], 2, 0), loop_cvt(b, DT_IDX, up));
			at[r] = loop_let(b, "rank", up);
		}
	for (int r = 0; r < rows; r++)
		store_key(f, slot, row[r],
		          loop_cvt(b, DT_I32, loop_affine(b, at[r], 1, -((int64_t)1 << levels))));
}

/* Slots of one kind whose ranks take the same number of comparisons. */
static void
fill_ranks(Fill *f, const int32_t *slot, int32_t n, int levels)
{
	LBuilder *b = f->b;
	int depth = b->depth;
	LBuf *cut = cut_trees(f, slot, n, levels);
	Expr *i = lower_for(f->cx, "i", n), *number, *feature, *cuts, *lane;

	number = lower_let(f->cx, "slot",
	                   loop_cvt(b, DT_IDX,
	                            loop_load(b, trees_int_table(f->cx, "slot", n, slot), i)));
	feature = lower_let(f->cx, "feature", feature_of(f, slot, n, i));
	cuts = lower_let(f->cx, "cuts", loop_affine(b, i, (int64_t)1 << levels, 0));
	lane = loop_for_step(b, "lane", 0, f->lanes, f->lanes % SEARCHES == 0 ? SEARCHES : 1);
	search(f, cut, cuts, levels, number, feature, lane, &f->k->slot[slot[0]]);
	lower_end_to(f->cx, depth);
}

/* The same as fill_numbers() for many rows and ranks. */
static void
fill_many(Fill *f, int32_t from, int32_t to)
{
	const TreeKeys *k = f->k;
	int32_t *slot = ARENA_ARRAY(f->cx->arena, int32_t, to - from);

	for (int levels = 1; levels <= MAX_LEVELS; levels++) {
		int32_t n = 0;

		for (int32_t i = from; i < to; i++)
			if (trees_levels(k->slot[i].cuts) == levels)
				slot[n++] = i;
		if (n > 0)
			fill_ranks(f, slot, n, levels);
	}
}

static void
fill_special(Fill *f, int32_t slot)
{
	const TreeSlot *s = &f->k->slot[slot];
	LBuilder *b = f->b;
	int depth = b->depth;
	DType decide = f->k->t->threshold->type.dtype;
	Expr *lane = lower_for(f->cx, "lane", f->lanes);
	Expr *x = load_number(f, loop_idx(b, s->feature), lane, decide);
	Expr *hit = trees_test(f->cx, f->k->t, s->node, x);
	Expr *missing = is_missing(f, x, s->zero_missing);

	if (trees_mode(f->k->t, s->node) == TREE_NE)
		hit = loop_op1(b, KOP_NOT, hit);
	hit = loop_select(b, missing, loop_bool(b, s->low), hit);
	store_key(f, loop_idx(b, slot), lane,
	          loop_select(b, hit, loop_int(b, DT_I32, 0), loop_int(b, DT_I32, 1)));
	lower_end_to(f->cx, depth);
}

LBuf *
trees_keys_buffer(LowerCtx *cx, const TreeKeys *k, int32_t lanes)
{
	return lower_scratch(cx, "keys", k->type, (k->nslots ? k->nslots : 1) * lanes);
}

static void
make_cut_tables(Fill *f)
{
	const TreeKeys *k = f->k;
	Arena *a = f->cx->arena;
	int32_t *first = ARENA_ARRAY(a, int32_t, k->numbers);
	int32_t *count = ARENA_ARRAY(a, int32_t, k->numbers);
	size_t bytes = (size_t)dtype_info[k->cut_type].bytes;
	unsigned char *cut = arena_calloc(a, (size_t)k->ncuts, bytes);

	for (int32_t i = 0; i < k->numbers; i++) {
		first[i] = k->slot[i].first_cut;
		count[i] = k->slot[i].cuts;
	}
	for (int32_t i = 0; i < k->ncuts; i++)
		num_store_int(k->cut_type, cut, (size_t)i, (int64_t)k->cut[i]);
	f->cut = lower_table(f->cx, "cut", k->cut_type, k->ncuts, cut);
	f->first = trees_int_table(f->cx, "first_cut", k->numbers, first);
	f->count = trees_int_table(f->cx, "cuts", k->numbers, count);
}

void
trees_fill_keys(LowerCtx *cx, const TreeKeys *k, LBuf *keys, Expr *first_row, int32_t lanes)
{
	Fill f = {.cx = cx, .b = &cx->b, .k = k, .keys = keys, .row = first_row, .lanes = lanes};

	bool many = k->ncuts && lanes > 1;

	if (k->ncuts && !many)
		make_cut_tables(&f);
	for (int32_t from = 0, to; from < k->numbers; from = to) {
		for (to = from + 1; to < k->numbers; to++)
			if (kind_of(&k->slot[to]) != kind_of(&k->slot[from]))
				break;
		if (many)
			fill_many(&f, from, to);
		else
			fill_numbers(&f, from, to);
	}
	for (int32_t i = k->numbers; i < k->nslots; i++)
		fill_special(&f, i);
}
