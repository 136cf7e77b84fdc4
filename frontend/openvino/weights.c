/*
 * Constants, which lie in a file beside the model: the same name with the suffix .bin.
 */
#include <string.h>

#include "frontend/openvino/read.h"
#include "frontend/raw.h"
#include "ir/num.h"

/* The .bin file, read when the first constant asks for it. */
static bool
open_weights(Layer *l)
{
	Ov *r = l->r;
	PathList *files = r->file->options->files;
	const char *path;

	if (r->weights_state != WEIGHTS_UNREAD)
		return r->weights_state == WEIGHTS_READ;
	r->weights_state = WEIGHTS_MISSING;
	if (strcmp(r->file->path, "-") == 0)
		return ov_error(l, E_EXTERNAL,
		                "constants are in a .bin file beside the model, which has no place "
		                "when it is read from standard input");
	path = file_with_suffix(r->arena, r->file->path, ".bin");
	if (!file_is_readable(path))
		return ov_error(l, E_EXTERNAL,
		                "the constants of the model are in '%s', which cannot be read",
		                path);
	if (!file_read(r->arena, path, &r->weights, r->d))
		return false;
	r->weights_state = WEIGHTS_READ;
	if (files)
		VEC_PUSH(r->arena, files, path);
	return true;
}

/* Whether elements of the type have 4 bits. */
static bool
is_nibble(const char *type)
{
	return strcmp(type, "i4") == 0 || strcmp(type, "u4") == 0;
}

static bool
read_type(Layer *l, Type *t)
{
	const char *element = ov_attr(l, "element_type");
	Ints shape = ov_ints(l, "shape");

	if (l->failed)
		return false;
	if (!element)
		return ov_error(l, E_MALFORMED, "a constant without an element type");
	*t = (Type){.dtype = ov_dtype(element), .rank = shape.n};
	if (t->dtype == DT_COUNT)
		return ov_error(l, E_UNSUPPORTED, "elements of type '%.40s' are not supported",
		                element);
	if (shape.n > MAX_RANK)
		return ov_error(l, E_SIZE, "%d dimensions; at most %d are possible", shape.n,
		                MAX_RANK);
	for (int i = 0; i < shape.n; i++) {
		if (shape.v[i] < 0 || shape.v[i] > INT32_MAX)
			return ov_error(l, E_MALFORMED, "dimension %d is %lld", i,
			                (long long)shape.v[i]);
		t->dim[i] = (int32_t)shape.v[i];
	}
	return type_is_representable(t) || ov_error(l, E_SIZE, "the constant is larger than 2 GiB");
}

/* The bytes that offset and size name, which are as many as the type needs. */
static bool
find_bytes(Layer *l, size_t needed, const uint8_t **bytes)
{
	Ov *r = l->r;
	int64_t offset = ov_int(l, "offset", 0, 0, INT64_MAX);
	int64_t size = ov_int(l, "size", 0, 0, INT64_MAX);

	*bytes = NULL;
	if (l->failed)
		return false;
	if (!ov_attr(l, "offset") || !ov_attr(l, "size"))
		return ov_error(l, E_MALFORMED, "a constant without an offset or a size");
	if ((uint64_t)size < needed)
		return ov_error(l, E_MALFORMED, "the constant has %lld bytes, and its shape needs %zu",
		                (long long)size, needed);
	if (needed == 0)
		return true;
	if (!open_weights(l))
		return false;
	if ((uint64_t)offset > r->weights.size || (uint64_t)size > r->weights.size - (uint64_t)offset)
		return ov_error(l, E_EXTERNAL,
		                "%lld bytes at offset %lld are outside of the .bin file, which has %zu",
		                (long long)size, (long long)offset, r->weights.size);
	*bytes = r->weights.data + offset;
	return true;
}

bool
ov_read_const(Layer *l)
{
	const uint8_t *bytes;
	const void *data;
	Type t;
	bool nibbles;
	size_t needed;

	if (!read_type(l, &t))
		return false;
	nibbles = is_nibble(ov_attr(l, "element_type"));
	needed = nibbles ? (type_bytes(&t) + 1) / 2 : type_bytes(&t);
	if (!find_bytes(l, needed, &bytes))
		return false;
	if (nibbles)
		data = raw_nibbles(l->r->arena, bytes, type_bytes(&t), t.dtype == DT_I8);
	else
		data = raw_elements(l->r->arena, t.dtype, bytes, needed);
	return ov_result(l, graph_const(l->r->g, l->b.name, t, data));
}
