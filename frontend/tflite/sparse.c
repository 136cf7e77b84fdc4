#include "frontend/tflite/sparse.h"

#include <string.h>

enum { FORMAT_DENSE, FORMAT_CSR };

/* A vector of indices: tables of three kinds. */
static bool
read_indices(Tflite *r, int64_t kind, FbRef table, FbVec *out, int *bytes)
{
	FbInt32Vector words;
	FbUint16Vector halves;
	FbUint8Vector octets;

	if (kind == 1 && fb_read(&r->fb, FB_Int32Vector, table, &words)) {
		*out = words.values;
		*bytes = 4;
	} else if (kind == 2 && fb_read(&r->fb, FB_Uint16Vector, table, &halves)) {
		*out = halves.values;
		*bytes = 2;
	} else if (kind == 3 && fb_read(&r->fb, FB_Uint8Vector, table, &octets)) {
		*out = octets.values;
		*bytes = 1;
	} else {
		return false;
	}
	return fb_spend(&r->fb, out->count);
}

/* The children of `nodes` nodes lie one after the other, with indices in the level. */
static const char *
check_children(const Fb *f, const SparseLevel *l, int32_t nodes)
{
	uint32_t last = 0;

	if (l->segments.count != (size_t)nodes + 1)
		return "segments do not fit the level above";
	for (size_t i = 0; i < l->segments.count; i++) {
		uint32_t v = fb_unsigned(f, l->segments, i, l->segment_bytes);

		if (v < last || v > l->indices.count || (i == 0 && v != 0))
			return "segments do not rise from 0 to the number of indices";
		last = v;
	}
	if (last != l->indices.count)
		return "indices behind the last segment";
	for (size_t i = 0; i < l->indices.count; i++)
		if (fb_unsigned(f, l->indices, i, l->index_bytes) >= (uint32_t)l->size)
			return "an index is out of its dimension";
	return NULL;
}

/* Reads level i, whose indices run to `size`; *nodes are those of the level above. */
static const char *
read_level(Tflite *r, const FbSparsityParameters *p, int i, int32_t size, SparseLevel *l,
           int32_t *nodes)
{
	FbDimensionMetadata m;
	const char *wrong;
	FbRef ref;

	if (!fb_ref(&r->fb, p->dim_metadata, (size_t)i, &ref) ||
	    !fb_read(&r->fb, FB_DimensionMetadata, ref, &m))
		return "a level cannot be read";
	l->size = size;
	l->dense = m.format == FORMAT_DENSE;
	if (l->dense) {
		if (m.dense_size != size)
			return "a dense level has another size than its dimension";
		if ((int64_t)*nodes * size > INT32_MAX)
			return "too many numbers";
		*nodes *= size;
		return NULL;
	}
	if (m.format != FORMAT_CSR)
		return "a level has an unknown format";
	if (!read_indices(r, m.segments_type, m.segments, &l->segments, &l->segment_bytes) ||
	    !read_indices(r, m.indices_type, m.indices, &l->indices, &l->index_bytes))
		return "a level's lists cannot be read";
	if ((wrong = check_children(&r->fb, l, *nodes)))
		return wrong;
	*nodes = (int32_t)l->indices.count;
	return NULL;
}

/* Sizes of blocks along the dimensions, 1 without; false when they do not divide them. */
static const char *
read_blocks(Tflite *r, const Type *t, const FbSparsityParameters *p, int32_t block[MAX_RANK])
{
	int blocks = (int)p->block_map.count;

	for (int i = 0; i < t->rank; i++)
		block[i] = 1;
	for (int i = 0; i < blocks; i++) {
		int32_t dim = fb_i32(&r->fb, p->block_map, (size_t)i);
		FbDimensionMetadata m;
		FbRef ref;

		if (dim < 0 || dim >= t->rank || block[dim] != 1)
			return "a block's dimension is wrong";
		if (!fb_ref(&r->fb, p->dim_metadata, (size_t)(t->rank + i), &ref) ||
		    !fb_read(&r->fb, FB_DimensionMetadata, ref, &m))
			return "a level cannot be read";
		if (m.format != FORMAT_DENSE || m.dense_size < 1 || m.dense_size > t->dim[dim] ||
		    t->dim[dim] % m.dense_size != 0)
			return "a block does not divide its dimension";
		block[dim] = (int32_t)m.dense_size;
	}
	return NULL;
}

/* The dimension that a level goes through: below the rank one of the tensor's, from there
 * on one inside a block.  Blocks come last. */
static int
dimension_of(const Fb *f, const Type *t, const FbSparsityParameters *p, int level)
{
	int32_t d = fb_i32(f, p->traversal_order, (size_t)level);
	int64_t all = t->rank + (int64_t)p->block_map.count;

	if (d < 0 || d >= all || (level < t->rank) != (d < t->rank))
		return -1;
	for (int k = 0; k < level; k++)
		if (fb_i32(f, p->traversal_order, (size_t)k) == d)
			return -1;
	return d;
}

const char *
sparse_read(Tflite *r, const Type *t, FbRef sparsity, Sparse *out)
{
	FbSparsityParameters p;
	int32_t block[MAX_RANK], stride[MAX_RANK];
	const char *wrong;

	if (!fb_read(&r->fb, FB_SparsityParameters, sparsity, &p))
		return "it cannot be read";
	if (p.block_map.count > MAX_RANK || p.traversal_order.count != p.dim_metadata.count ||
	    p.dim_metadata.count != (size_t)t->rank + p.block_map.count)
		return "its lists have different lengths";
	if ((wrong = read_blocks(r, t, &p, block)))
		return wrong;
	type_strides(t, stride);
	*out = (Sparse){.levels = (int)p.dim_metadata.count, .count = 1};
	for (int i = 0; i < out->levels; i++) {
		int d = dimension_of(&r->fb, t, &p, i);
		bool inside = d >= t->rank;
		int of = inside ? fb_i32(&r->fb, p.block_map, (size_t)(d - t->rank)) : d;

		if (d < 0)
			return "its order of traversal is no permutation";
		out->level[i].stride = stride[of] * (inside ? 1 : block[of]);
		wrong = read_level(r, &p, i, inside ? block[of] : t->dim[of] / block[of],
		                   &out->level[i], &out->count);
		if (wrong)
			return wrong;
	}
	return NULL;
}

/* The children of node p of level i, in terms of the level's own nodes. */
static void
children(const Fb *f, const SparseLevel *l, int32_t p, int32_t *from, int32_t *to)
{
	*from = l->dense ? p * l->size
	                 : (int32_t)fb_unsigned(f, l->segments, (size_t)p, l->segment_bytes);
	*to = l->dense ? *from + l->size
	               : (int32_t)fb_unsigned(f, l->segments, (size_t)p + 1, l->segment_bytes);
}

void
sparse_scatter(const Fb *f, const Sparse *s, const void *stored, size_t bytes, void *to)
{
	int32_t next[TFL_LEVELS + 1], end[TFL_LEVELS + 1], at[TFL_LEVELS + 1] = {0};
	int i = 0;

	if (s->count == 0)
		return;
	if (s->levels == 0) {
		memcpy(to, stored, bytes);
		return;
	}
	children(f, &s->level[0], 0, &next[0], &end[0]);
	while (i >= 0) {
		const SparseLevel *l = &s->level[i];
		int32_t child = next[i]++, index;

		if (child >= end[i]) {
			i--;
			continue;
		}
		index = l->dense ? child % l->size
		                 : (int32_t)fb_unsigned(f, l->indices, (size_t)child, l->index_bytes);
		at[i + 1] = at[i] + index * l->stride;
		if (i + 1 == s->levels) {
			memcpy((char *)to + (size_t)at[i + 1] * bytes,
			       (const char *)stored + (size_t)child * bytes, bytes);
			continue;
		}
		i++;
		children(f, &s->level[i], child, &next[i], &end[i]);
	}
}
