/*
 * UBJSON as XGBoost writes it (read 1.6 to 3.0): all numbers big-endian, keys without a
 * type, typed arrays with a count in front.
 */
#include <string.h>

#include "frontend/xgboost/doc.h"

typedef struct {
	Arena *a;
	Diag *d;
	const char *path;
	const uint8_t *bytes;
	size_t at, n;
} Ubj;

static bool read_value(Ubj *u, int marker, int depth, Doc *out);

static bool
fail(Ubj *u, const char *what)
{
	Loc loc = {.file = u->path, .where = arena_printf(u->d->arena, "byte %zu", u->at)};

	return diag_report(u->d, &loc, E_MALFORMED, "%s", what);
}

/* The next byte, or -1 at the end. */
static int
take(Ubj *u)
{
	return u->at < u->n ? u->bytes[u->at++] : -1;
}

/* Bytes of a number, 0: the marker is of none. */
static size_t
number_size(int marker)
{
	switch (marker) {
	case 'i':
	case 'U': return 1;
	case 'I': return 2;
	case 'l':
	case 'd': return 4;
	case 'L':
	case 'D': return 8;
	default: return 0;
	}
}

static double
decode(int marker, uint64_t bits)
{
	uint32_t word = (uint32_t)bits;
	float f;
	double v;

	switch (marker) {
	case 'i': return (int8_t)bits;
	case 'I': return (int16_t)bits;
	case 'l': return (int32_t)bits;
	case 'L': return (double)(int64_t)bits;
	case 'd': memcpy(&f, &word, sizeof f); return (double)f;
	case 'D': memcpy(&v, &bits, sizeof v); return v;
	default: return (double)bits;
	}
}

static bool
read_number(Ubj *u, int marker, double *out)
{
	size_t size = number_size(marker);
	uint64_t bits = 0;

	if (size > u->n - u->at)
		return fail(u, "the file ends within a number");
	for (size_t i = 0; i < size; i++)
		bits = bits << 8 | u->bytes[u->at++];
	*out = decode(marker, bits);
	return true;
}

static bool
read_length(Ubj *u, size_t *out)
{
	int marker = take(u);
	double v;

	if (number_size(marker) == 0 || marker == 'd' || marker == 'D')
		return fail(u, "a length must be an integer");
	if (!read_number(u, marker, &v))
		return false;
	if (v < 0)
		return fail(u, "a length is negative");
	/* Nothing takes less than a byte, and typed arrays are checked by their reader. */
	if (v > (double)(u->n - u->at))
		return fail(u, "a length goes beyond the end of the file");
	*out = (size_t)v;
	return true;
}

static bool
read_string(Ubj *u, const char **out)
{
	size_t n;

	if (!read_length(u, &n))
		return false;
	*out = arena_strndup(u->a, (const char *)u->bytes + u->at, n);
	u->at += n;
	return true;
}

static bool
read_typed(Ubj *u, int marker, size_t n, Doc *out)
{
	size_t size = number_size(marker);
	double *v;

	if (size == 0)
		return fail(u, "a typed array must be of numbers");
	if (n > (u->n - u->at) / size || n > INT32_MAX / 64)
		return fail(u, "an array goes beyond the end of the file");
	out->kind = DOC_NUMBERS;
	out->n = (int)n;
	out->numbers = v = ARENA_ARRAY(u->a, double, n);
	for (size_t i = 0; i < n; i++)
		if (!read_number(u, marker, &v[i]))
			return false;
	return true;
}

/* An array of nothing but numbers becomes a plain one. */
static void
flatten(Ubj *u, Doc *array)
{
	double *v;

	for (int i = 0; i < array->n; i++)
		if (array->item[i].kind != DOC_NUMBER && array->item[i].kind != DOC_BOOL)
			return;
	v = ARENA_ARRAY(u->a, double, array->n);
	for (int i = 0; i < array->n; i++)
		v[i] = array->item[i].number;
	array->kind = DOC_NUMBERS;
	array->numbers = v;
}

static bool
read_array(Ubj *u, int depth, Doc *out)
{
	VEC(Doc) items = {0};
	int marker = take(u), type = 0;
	size_t count = 0;
	bool counted = false;

	if (marker == '$') {
		type = take(u);
		marker = take(u);
		if (marker != '#')
			return fail(u, "a typed array has no count");
	}
	if (marker == '#') {
		counted = true;
		if (!read_length(u, &count))
			return false;
	}
	if (type)
		return read_typed(u, type, count, out);
	if (counted)
		marker = count > 0 ? take(u) : ']';
	while (counted ? (size_t)items.n < count : marker != ']') {
		Doc item = {0};

		if (!read_value(u, marker, depth + 1, &item))
			return false;
		VEC_PUSH(u->a, &items, item);
		if (!counted || (size_t)items.n < count)
			marker = take(u);
	}
	out->kind = DOC_ARRAY;
	out->n = items.n;
	out->item = items.v;
	flatten(u, out);
	return true;
}

static bool
read_object(Ubj *u, int depth, Doc *out)
{
	VEC(Doc) items = {0};
	VEC(const char *) keys = {0};

	while (u->at < u->n && u->bytes[u->at] != '}') {
		Doc item = {0};
		const char *key;

		if (!read_string(u, &key) || !read_value(u, take(u), depth + 1, &item))
			return false;
		VEC_PUSH(u->a, &keys, key);
		VEC_PUSH(u->a, &items, item);
	}
	if (take(u) != '}')
		return fail(u, "the file ends within an object");
	out->kind = DOC_OBJECT;
	out->n = items.n;
	out->item = items.v;
	out->key = keys.v;
	return true;
}

static bool
read_value(Ubj *u, int marker, int depth, Doc *out)
{
	if (depth > DOC_MAX_DEPTH)
		return fail(u, "arrays and objects are nested too deep");
	out->at = u->at;
	if (number_size(marker)) {
		out->kind = DOC_NUMBER;
		return read_number(u, marker, &out->number);
	}
	switch (marker) {
	case '{': return read_object(u, depth, out);
	case '[': return read_array(u, depth, out);
	case 'S': out->kind = DOC_STRING; return read_string(u, &out->string);
	case 'Z': out->kind = DOC_NULL; return true;
	case 'T':
	case 'F':
		out->kind = DOC_BOOL;
		out->number = marker == 'T';
		return true;
	case -1: return fail(u, "the file ends within a value");
	default: return fail(u, "there is no such kind of value");
	}
}

bool
ubjson_read(Arena *a, const char *path, const uint8_t *bytes, size_t n, Doc *out, Diag *d)
{
	Ubj u = {a, d, path, bytes, 0, n};

	return read_value(&u, take(&u), 0, out);
}

bool
ubjson_sniff(const uint8_t *bytes, size_t n)
{
	return n > 10 && bytes[0] == '{' && strchr("iUIlL", bytes[1]) != NULL && bytes[1];
}
