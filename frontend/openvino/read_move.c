/*
 * Moving elements: concatenations, slices, pads, permutations.
 */
#include <string.h>

#include "frontend/openvino/read.h"

bool
ov_read_transpose(Layer *l)
{
	int perm[MAX_RANK], rank = l->in[0]->type.rank;
	Ints order;

	if (!ov_const_ints(l, 1, &order))
		return false;
	for (int i = 0; i < rank; i++)
		perm[i] = rank - 1 - i;
	if (order.n) {
		if (!ov_norm_axes(l, order, rank, &order))
			return false;
		if (order.n != rank)
			return ov_error_in(l, 1, E_SHAPE, "has %d axes instead of %d", order.n,
			                   rank);
		for (int i = 0; i < rank; i++)
			perm[i] = (int)order.v[i];
	}
	return ov_result(l, ov_transpose_weights(l, l->in[0], perm));
}

bool
ov_read_concat(Layer *l)
{
	int64_t given = ov_int(l, "axis", 0, INT32_MIN, INT32_MAX);
	int axis;

	if (l->failed || !ov_norm_axis(l, given, l->in[0]->type.rank, &axis))
		return false;
	return ov_result(l, l->nins == 1 ? l->in[0]
	                                 : build_concat(&l->b, l->nins, l->in, axis));
}

/* ---- Splits ---- */

static bool
split(Layer *l, int axis, const int64_t *length)
{
	int64_t at = 0;

	for (int i = 0; i < l->nouts; at += length[i++]) {
		if (!ov_wants(l, i))
			continue;
		l->out[i] = build_slice(&l->b, l->in[0], axis, at, length[i], 1);
		if (!l->out[i])
			return false;
	}
	return true;
}

/* The axis that input 1 states. */
static bool
split_axis(Layer *l, int *axis)
{
	int64_t given;

	return ov_const_int(l, 1, INT32_MIN, INT32_MAX, &given) &&
	       ov_norm_axis(l, given, l->in[0]->type.rank, axis);
}

bool
ov_read_split(Layer *l)
{
	int64_t count = ov_int(l, "num_splits", l->nouts, 1, INT32_MAX), *length;
	int32_t total;
	int axis;

	if (l->failed || !split_axis(l, &axis))
		return false;
	total = l->in[0]->type.dim[axis];
	if (count != l->nouts || total % count != 0)
		return ov_error(l, E_SHAPE, "%d elements cannot be split into %lld parts", total,
		                (long long)count);
	length = ARENA_ARRAY(l->r->arena, int64_t, l->nouts);
	for (int i = 0; i < l->nouts; i++)
		length[i] = total / count;
	return split(l, axis, length);
}

bool
ov_read_variadic_split(Layer *l)
{
	int64_t rest, *length;
	int axis, open = -1;
	Ints given;

	if (!split_axis(l, &axis) || !ov_const_ints(l, 2, &given))
		return false;
	if (given.n != l->nouts)
		return ov_error_in(l, 2, E_SHAPE, "has %d lengths for %d outputs", given.n,
		                   l->nouts);
	rest = l->in[0]->type.dim[axis];
	length = ARENA_ARRAY(l->r->arena, int64_t, l->nouts);
	for (int i = 0; i < given.n; i++) {
		length[i] = given.v[i];
		if (length[i] == -1 && open < 0)
			open = i;
		else if (length[i] < 0 || length[i] > rest)
			return ov_error_in(l, 2, E_VALUE, "does not split the %d elements of axis "
			                   "%d", l->in[0]->type.dim[axis], axis);
		else
			rest -= length[i];
	}
	if (open >= 0)
		length[open] = rest;
	else if (rest != 0)
		return ov_error_in(l, 2, E_VALUE, "leaves %lld elements of axis %d",
		                   (long long)rest, axis);
	return split(l, axis, length);
}

/* ---- Slices ---- */

/* What is taken of one axis. */
typedef struct {
	int64_t start, size, step;
} Cut;

static Value *
cut_axes(Layer *l, Value *x, const Cut *cut)
{
	for (int i = 0; x && i < x->type.rank; i++)
		x = build_slice(&l->b, x, i, cut[i].start, cut[i].size, cut[i].step);
	return x;
}

/* Negative places count from the end. */
static int64_t
wrapped(int64_t at, int32_t length)
{
	return at < 0 && at >= INT64_MIN / 2 ? at + length : at;
}

static int64_t
within(int64_t at, int64_t lo, int64_t hi)
{
	return at < lo ? lo : at > hi ? hi : at;
}

/* As Python slices, places outside are moved to the border. */
static Cut
python_cut(int64_t start, int64_t stop, int64_t step, int32_t length)
{
	Cut c = {.step = step};
	int64_t least = step > 0 ? 0 : -1, most = step > 0 ? length : length - 1, span;

	c.start = within(wrapped(start, length), least, most);
	stop = within(wrapped(stop, length), least, most);
	span = step > 0 ? stop - c.start : c.start - stop;
	/* The negative of a step: -step may not exist, but INT64_MIN is past any length. */
	if (step < -INT32_MAX)
		c.step = -INT32_MAX;
	if (step > INT32_MAX)
		c.step = INT32_MAX;
	step = c.step > 0 ? c.step : -c.step;
	c.size = span > 0 ? (span - 1) / step + 1 : 0;
	if (c.size == 0)
		c.start = 0;
	if (c.size <= 1)
		c.step = 1;
	return c;
}

static void
take_all(const Type *x, Cut *cut)
{
	for (int i = 0; i < x->rank; i++)
		cut[i] = (Cut){0, x->dim[i], 1};
}

bool
ov_read_slice(Layer *l)
{
	const Type *x = &l->in[0]->type;
	Ints start, stop, step, axes;
	Cut cut[MAX_RANK];

	if (!ov_const_ints(l, 1, &start) || !ov_const_ints(l, 2, &stop) ||
	    !ov_const_ints(l, 3, &step))
		return false;
	axes = ov_range(l, 0, start.n);
	if (ov_in(l, 4) && !ov_const_ints(l, 4, &axes))
		return false;
	if (stop.n != start.n || step.n != start.n || axes.n != start.n)
		return ov_error(l, E_SHAPE, "start, stop, step and axes have different lengths");
	if (!ov_norm_axes(l, axes, x->rank, &axes))
		return false;
	take_all(x, cut);
	for (int i = 0; i < axes.n; i++) {
		int axis = (int)axes.v[i];

		if (step.v[i] == 0)
			return ov_error_in(l, 3, E_VALUE, "is 0");
		cut[axis] = python_cut(start.v[i], stop.v[i], step.v[i], x->dim[axis]);
	}
	return ov_result(l, cut_axes(l, l->in[0], cut));
}

/* Bit i of a mask. */
static bool
is_set(Ints mask, int i)
{
	return i < mask.n && mask.v[i] != 0;
}

typedef struct {
	Ints begin, end, step;
	Ints no_begin, no_end, new_axis, shrink, ellipsis;
} Strided;

static bool
read_strided(Layer *l, Strided *s)
{
	s->no_begin = ov_ints(l, "begin_mask");
	s->no_end = ov_ints(l, "end_mask");
	s->new_axis = ov_ints(l, "new_axis_mask");
	s->shrink = ov_ints(l, "shrink_axis_mask");
	s->ellipsis = ov_ints(l, "ellipsis_mask");
	s->step = (Ints)NO_INTS;
	if (l->failed || !ov_const_ints(l, 1, &s->begin) || !ov_const_ints(l, 2, &s->end) ||
	    (ov_in(l, 3) && !ov_const_ints(l, 3, &s->step)))
		return false;
	if (s->end.n != s->begin.n || (ov_in(l, 3) && s->step.n != s->begin.n))
		return ov_error(l, E_SHAPE, "begin, end and strides have different lengths");
	return s->begin.n <= 2 * MAX_RANK ||
	       ov_error(l, E_SIZE, "%d entries for a tensor of rank %d", s->begin.n,
	                l->in[0]->type.rank);
}

/* One entry of the lists, which is about `axis`. */
static bool
strided_cut(Layer *l, const Strided *s, int i, int axis, Cut *cut)
{
	int32_t length = l->in[0]->type.dim[axis];
	int64_t step = s->step.n ? s->step.v[i] : 1;

	if (step == 0)
		return ov_error_in(l, 3, E_VALUE, "is 0");
	if (is_set(s->shrink, i)) {
		int64_t at = is_set(s->no_begin, i) ? (step > 0 ? 0 : length - 1)
		                                    : wrapped(s->begin.v[i], length);

		if (at < 0 || at >= length)
			return ov_error_in(l, 1, E_VALUE, "is outside of axis %d", axis);
		*cut = (Cut){at, 1, 1};
		return true;
	}
	*cut = python_cut(is_set(s->no_begin, i) ? (step > 0 ? 0 : INT64_MAX) : s->begin.v[i],
	                  is_set(s->no_end, i) ? (step > 0 ? INT64_MAX : INT64_MIN) : s->end.v[i],
	                  step, length);
	return true;
}

bool
ov_read_strided_slice(Layer *l)
{
	const Type *x = &l->in[0]->type;
	Cut cut[MAX_RANK];
	Type t = {.dtype = x->dtype};
	int32_t dim[4 * MAX_RANK];
	int axis = 0, ndims = 0, used = 0;
	bool seen = false;
	Strided s;
	Value *y;

	if (!read_strided(l, &s))
		return false;
	take_all(x, cut);
	for (int i = 0; i < s.begin.n; i++)
		used += !is_set(s.new_axis, i) && !is_set(s.ellipsis, i);
	if (used > x->rank)
		return ov_error(l, E_SHAPE, "%d entries for a tensor of rank %d", used, x->rank);
	for (int i = 0; i < s.begin.n; i++) {
		if (is_set(s.ellipsis, i)) {
			if (seen)
				return ov_error(l, E_ATTRIBUTE, "more than one ellipsis");
			seen = true;
			for (int k = used; k < x->rank; k++, axis++)
				dim[ndims++] = x->dim[axis];
		} else if (is_set(s.new_axis, i)) {
			dim[ndims++] = 1;
		} else {
			if (!strided_cut(l, &s, i, axis, &cut[axis]))
				return false;
			if (!is_set(s.shrink, i))
				dim[ndims++] = (int32_t)cut[axis].size;
			axis++;
		}
	}
	for (; axis < x->rank; axis++)
		dim[ndims++] = x->dim[axis];
	if (ndims > MAX_RANK)
		return ov_error(l, E_SIZE, "more than %d dimensions are needed", MAX_RANK);
	t = type_make(x->dtype, ndims, dim);
	y = cut_axes(l, l->in[0], cut);
	return ov_result(l, build_reshape_to(&l->b, y, &t));
}

/* Axes, or a flag for each axis. */
bool
ov_read_reverse(Layer *l)
{
	static const char *const words[] = {"index", "mask", NULL};
	bool mask = ov_word(l, "mode", words, 0) == 1;
	const Type *x = &l->in[0]->type;
	bool turned[MAX_RANK] = {false};
	Cut cut[MAX_RANK];
	Floats flags;
	Ints axes;

	if (l->failed)
		return false;
	if (mask) {
		if (!ov_const_floats(l, 1, &flags))
			return false;
		if (flags.n != x->rank)
			return ov_error_in(l, 1, E_SHAPE, "has %d flags for %d axes", flags.n,
			                   x->rank);
		for (int i = 0; i < x->rank; i++)
			turned[i] = flags.v[i] != 0;
	} else {
		if (!ov_const_ints(l, 1, &axes) || !ov_norm_axes(l, axes, x->rank, &axes))
			return false;
		for (int i = 0; i < axes.n; i++)
			turned[axes.v[i]] = true;
	}
	take_all(x, cut);
	for (int i = 0; i < x->rank; i++)
		if (turned[i] && x->dim[i] > 1)
			cut[i] = (Cut){x->dim[i] - 1, x->dim[i], -1};
	return ov_result(l, cut_axes(l, l->in[0], cut));
}

/* ---- Pads ---- */

/* `count` elements of an axis from `from` on, backwards. */
static Value *
mirrored(Layer *l, Value *x, int axis, int64_t from, int64_t count)
{
	return build_slice(&l->b, x, axis, from, count, count > 1 ? -1 : 1);
}

/* The border is mirrored together with its element. */
static Value *
pad_symmetric(Layer *l, Value *x, const int64_t *pads)
{
	for (int i = 0; x && i < x->type.rank; i++) {
		int64_t before = pads[i], behind = pads[x->type.rank + i], length = x->type.dim[i];
		Value *part[3];
		int n = 0;

		if (before < 0 || behind < 0 || before > length || behind > length) {
			ov_error(l, E_VALUE, "axis %d cannot be mirrored by %lld and %lld elements",
			         i, (long long)before, (long long)behind);
			return NULL;
		}
		if (before)
			part[n++] = mirrored(l, x, i, before - 1, before);
		part[n++] = x;
		if (behind)
			part[n++] = mirrored(l, x, i, length - 1, behind);
		x = n == 1 ? x : build_concat(&l->b, n, part, i);
	}
	return x;
}

/* What is left of an axis may not be mirrored further than it reaches. */
static bool
check_reflection(Layer *l, const int64_t *pads)
{
	const Type *x = &l->in[0]->type;

	for (int i = 0; i < x->rank; i++)
		if (pads[i] >= x->dim[i] || pads[x->rank + i] >= x->dim[i])
			if (pads[i] > 0 || pads[x->rank + i] > 0)
				return ov_error(l, E_VALUE,
				                "axis %d cannot be reflected by %lld and %lld elements",
				                i, (long long)pads[i],
				                (long long)pads[x->rank + i]);
	return true;
}

bool
ov_read_pad(Layer *l)
{
	enum { SYMMETRIC = 3 };
	static const char *const words[] = {"constant", "reflect", "edge", "symmetric", NULL};
	static const PadMode modes[] = {PAD_constant, PAD_reflect, PAD_edge};
	int mode = ov_word(l, "pad_mode", words, 0), rank = l->in[0]->type.rank;
	Value *value = ov_in(l, 3);
	int64_t pads[2 * MAX_RANK];
	Ints begin, end;

	if (l->failed || !ov_const_ints(l, 1, &begin) || !ov_const_ints(l, 2, &end))
		return false;
	if (begin.n != rank || end.n != rank)
		return ov_error(l, E_SHAPE, "%d and %d pads for a tensor of rank %d", begin.n,
		                end.n, rank);
	for (int i = 0; i < rank; i++) {
		pads[i] = begin.v[i];
		pads[rank + i] = end.v[i];
	}
	if (mode == SYMMETRIC)
		return ov_result(l, pad_symmetric(l, l->in[0], pads));
	if (modes[mode] == PAD_reflect && !check_reflection(l, pads))
		return false;
	if (modes[mode] != PAD_constant)
		value = NULL;
	if (value && type_numel(&value->type) == 1)
		value = build_reshape_to(&l->b, value, &(Type){.rank = 0});
	return ov_result(l, build_pad(&l->b, l->in[0], pads, modes[mode], value));
}

/* ---- Blocks ---- */

typedef struct {
	int32_t block, channels; /* channels: those of the side with larger images */
	int images;              /* spatial axes */
	bool depth_first;
} Blocks;

/* Axes: batch, [blocks], channels, [blocks], then the images. */
static Type
block_type(const Blocks *k, const Type *image, bool interleaved)
{
	Type t = {.rank = 0};

	t.dim[t.rank++] = image->dim[0];
	if (interleaved) {
		t.dim[t.rank++] = k->channels;
		for (int i = 0; i < k->images; i++) {
			t.dim[t.rank++] = image->dim[2 + i];
			t.dim[t.rank++] = k->block;
		}
		return t;
	}
	if (k->depth_first)
		t.dim[t.rank++] = k->channels;
	for (int i = 0; i < k->images; i++)
		t.dim[t.rank++] = k->block;
	if (!k->depth_first)
		t.dim[t.rank++] = k->channels;
	for (int i = 0; i < k->images; i++)
		t.dim[t.rank++] = image->dim[2 + i];
	return t;
}

/* Where the axes of block_type(interleaved) are in the other form. */
static void
block_order(const Blocks *k, int *perm)
{
	int blocks = k->depth_first ? 2 : 1, channel = k->depth_first ? 1 : 1 + k->images, n = 0;

	perm[n++] = 0;
	perm[n++] = channel;
	for (int i = 0; i < k->images; i++) {
		perm[n++] = 2 + k->images + i;
		perm[n++] = blocks + i;
	}
}

static bool
read_blocks(Layer *l, Blocks *k)
{
	static const char *const words[] = {"blocks_first", "depth_first", NULL};
	const Type *x = &l->in[0]->type;

	*k = (Blocks){.block = (int32_t)ov_int(l, "block_size", 1, 1, INT32_MAX),
	              .images = x->rank - 2,
	              .depth_first = ov_word(l, "mode", words, 0) == 1};
	if (l->failed)
		return false;
	if (x->rank < 3 || 2 + 2 * k->images > MAX_RANK)
		return ov_error_in(l, 0, E_SHAPE, "has type %s; one to three spatial axes are "
		                   "possible", type_text(l->r->arena, x));
	return true;
}

bool
ov_read_depth_to_space(Layer *l)
{
	Type x = l->in[0]->type, t, y = x;
	int perm[MAX_RANK];
	int64_t parts = 1;
	Value *v;
	Blocks k;

	if (!read_blocks(l, &k))
		return false;
	for (int i = 0; i < k.images && parts <= x.dim[1]; i++)
		parts *= k.block;
	if (parts > x.dim[1] || x.dim[1] % parts != 0)
		return ov_error(l, E_SHAPE, "%d channels are no blocks of %d", x.dim[1], k.block);
	k.channels = (int32_t)(x.dim[1] / parts);
	y.dim[1] = k.channels;
	for (int i = 0; i < k.images; i++)
		y.dim[2 + i] = x.dim[2 + i] * k.block;
	t = block_type(&k, &x, false);
	block_order(&k, perm);
	v = build_reshape_to(&l->b, l->in[0], &t);
	v = build_transpose(&l->b, v, t.rank, perm);
	return ov_result(l, build_reshape_to(&l->b, v, &y));
}

bool
ov_read_space_to_depth(Layer *l)
{
	Type x = l->in[0]->type, t, y = x;
	int perm[MAX_RANK], back[MAX_RANK];
	int64_t channels = x.rank > 1 ? x.dim[1] : 0;
	Value *v;
	Blocks k;

	if (!read_blocks(l, &k))
		return false;
	k.channels = x.dim[1];
	for (int i = 0; i < k.images; i++) {
		if (x.dim[2 + i] % k.block != 0)
			return ov_error(l, E_SHAPE, "axis %d of %s has no blocks of %d", 2 + i,
			                type_text(l->r->arena, &x), k.block);
		y.dim[2 + i] = x.dim[2 + i] / k.block;
		channels *= k.block;
		if (channels > INT32_MAX)
			return ov_error(l, E_SIZE, "the result has too many channels");
	}
	y.dim[1] = (int32_t)channels;
	t = block_type(&k, &y, true);
	block_order(&k, perm);
	for (int i = 0; i < t.rank; i++)
		back[perm[i]] = i;
	v = build_reshape_to(&l->b, l->in[0], &t);
	v = build_transpose(&l->b, v, t.rank, back);
	return ov_result(l, build_reshape_to(&l->b, v, &y));
}

/* Channels as a matrix of groups, transposed. */
bool
ov_read_shuffle_channels(Layer *l)
{
	int64_t given = ov_int(l, "axis", 1, INT32_MIN, INT32_MAX);
	int64_t group = ov_int(l, "group", 1, 1, INT32_MAX);
	Type x = l->in[0]->type, t;
	int axis;
	Value *v;

	if (l->failed || !ov_norm_axis(l, given, x.rank, &axis))
		return false;
	if (x.dim[axis] % group != 0)
		return ov_error(l, E_SHAPE, "%d channels are no %lld groups", x.dim[axis],
		                (long long)group);
	t = (Type){.rank = 4};
	t.dim[0] = type_product(&x, 0, axis);
	t.dim[1] = (int32_t)group;
	t.dim[2] = (int32_t)(x.dim[axis] / group);
	t.dim[3] = type_product(&x, axis + 1, x.rank);
	v = build_reshape_to(&l->b, l->in[0], &t);
	v = build_transpose(&l->b, v, 4, (int[]){0, 2, 1, 3});
	return ov_result(l, build_reshape_to(&l->b, v, &x));
}
