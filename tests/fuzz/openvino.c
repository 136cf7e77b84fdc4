/*
 * The reader of OpenVINO IR: XML, and behind the first byte 0 the contents of its .bin.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tests/fuzz/reader.h"

/* A path in a temporary folder that vanishes when the process ends. */
static const char *
temporary(const char *name)
{
	static Arena *arena;
	static const char *folder;
	static Diag diag;
	const char *path;

	if (!arena) {
		arena = arena_new(NULL, NULL);
		diag_init(&diag, arena);
		folder = file_temp_folder(arena, &diag);
		atexit(file_remove_pending);
	}
	path = folder ? file_temp_path(arena, folder, name) : NULL;
	if (!path)
		abort();
	return path;
}

static void
write_weights(const char *path, const uint8_t *data, size_t size)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *model, *weights;
	FrontendOptions options = {.format = "openvino"};
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	size_t xml = end ? (size_t)(end - data) : size;

	if (!model) {
		model = temporary("fuzz.xml");
		weights = temporary("fuzz.bin");
	}
	write_weights(weights, end ? end + 1 : data, end ? size - xml - 1 : 0);
	fuzz_reader(model, &options, data, xml);
	return 0;
}
