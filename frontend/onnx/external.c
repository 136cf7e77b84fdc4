#define _XOPEN_SOURCE 700 /* realpath */

#include "frontend/onnx/external.h"

#include <onnx/onnx.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

typedef struct {
	const char *location;
	uint64_t offset, length;
	bool has_length;
} Place;

static bool
parse_size(const char *s, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > (UINT64_MAX - 9) / 10)
			return false;
		v = 10 * v + (uint64_t)(*s - '0');
	}
	*out = v;
	return true;
}

static bool
read_place(TensorReader *r, const Onnx__TensorProto *t, const char *name, const Loc *loc, Place *p)
{
	*p = (Place){.location = NULL};
	for (size_t i = 0; i < t->n_external_data; i++) {
		const char *key = t->external_data[i]->key, *value = t->external_data[i]->value;

		if (!key || !value)
			continue;
		if (strcmp(key, "location") == 0)
			p->location = value;
		if (strcmp(key, "offset") == 0 && !parse_size(value, &p->offset))
			return diag_report(r->d, loc, E_EXTERNAL,
			                   "tensor '%s': '%s' is no offset into a file", name,
			                   value);
		if (strcmp(key, "length") == 0) {
			if (!parse_size(value, &p->length))
				return diag_report(r->d, loc, E_EXTERNAL,
				                   "tensor '%s': '%s' is no length", name,
				                   value);
			p->has_length = true;
		}
	}
	if (!p->location || !*p->location)
		return diag_report(r->d, loc, E_EXTERNAL,
		                   "tensor '%s' does not say in which file its data is", name);
	return true;
}

/* Whether one of the path's parts is "..". */
static bool
goes_up(const char *path)
{
	for (const char *s = path; *s;) {
		size_t n = strcspn(s, "/\\");

		if (n == 2 && s[0] == '.' && s[1] == '.')
			return true;
		s += n + (s[n] != '\0');
	}
	return false;
}

/* The path with links resolved; NULL when there is no such file-> */
static const char *
resolve(Arena *a, const char *path)
{
	char *real = realpath(path, NULL);

	if (!real)
		return NULL;
	arena_defer(a, free, real);
	return real;
}

static const char *
folder_of(Arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return ".";
	return slash == path ? "/" : arena_strndup(a, path, (size_t)(slash - path));
}

static bool
is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	if (n > 0 && folder[n - 1] == '/')
		n--;
	return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* The file, mapped when it is met first.  `real` is its path with links
 * resolved, `path` the one to tell others. */
static const FileBytes *
open_file(TensorReader *r, const char *real, const char *path)
{
	FileBytes *file = map_get(&r->files, real);

	if (!file) {
		file = ARENA_NEW(r->arena, FileBytes);
		if (!file_read(r->arena, real, file, r->d))
			return NULL;
		map_set(&r->files, real, file);
		if (r->paths)
			VEC_PUSH(r->arena, r->paths, path);
	}
	return file;
}

bool
onnx_external(TensorReader *r, const Onnx__TensorProto *t, size_t needed, const Loc *loc,
              const uint8_t **bytes, size_t *n)
{
	const char *name = t->name ? t->name : "", *folder, *path, *real, *root;
	const FileBytes *file;
	Place p;

	if (!r->path)
		return diag_report(r->d, loc, E_EXTERNAL,
		                   "tensor '%s' has its data in another file", name);
	if (!read_place(r, t, name, loc, &p))
		return false;
	if (p.location[0] == '/' || p.location[0] == '\\' || goes_up(p.location))
		return diag_report(r->d, loc, E_EXTERNAL,
		                   "tensor '%s': the path '%s' leaves the model's folder", name,
		                   p.location);
	folder = folder_of(r->arena, r->path);
	path = arena_printf(r->arena, "%s/%s", folder, p.location);
	real = resolve(r->arena, path);
	root = resolve(r->arena, folder);
	if (!real || !root)
		return diag_report(r->d, loc, E_EXTERNAL,
		                   "tensor '%s': there is no file '%s' beside the model", name,
		                   p.location);
	if (!is_below(real, root))
		return diag_report(r->d, loc, E_EXTERNAL,
		                   "tensor '%s': the link '%s' leaves the model's folder", name,
		                   p.location);
	file = open_file(r, real, strchr(r->path, '/') ? path : arena_strdup(r->arena, p.location));
	if (!file)
		return false;
	if (p.offset > file->size || (p.has_length && p.length > file->size - p.offset))
		return diag_report(r->d, loc, E_EXTERNAL,
		                   "tensor '%s': '%s' has only %zu bytes", name, p.location,
		                   file->size);
	*bytes = file->data + p.offset;
	*n = file->size - (size_t)p.offset;
	if (p.has_length)
		*n = (size_t)p.length;
	else if (*n > needed)
		*n = needed;
	return true;
}
