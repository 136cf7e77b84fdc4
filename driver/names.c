#include "driver/names.h"

#include <string.h>

#include "base/file.h"
#include "codegen/c/c.h"

OutputNames
output_names(Arena *a, const Options *o, const InputFile *input)
{
	bool from_stdin = strcmp(input->path, "-") == 0;
	const char *model = from_stdin ? "model" : file_basename(input->path);
	OutputNames names = {.temps = file_with_suffix(a, model, "")};

	if (o->output)
		names.code = o->output;
	else if (from_stdin || o->print_graph)
		names.code = "-";
	else
		names.code = file_with_suffix(a, model, ".c");
	names.prefix = c_prefix(a, model);
	if (strcmp(names.code, "-") != 0 && !file_is_special(names.code)) {
		names.header = file_with_suffix(a, names.code, ".h");
		names.deps = file_with_suffix(a, names.code, ".d");
		names.temps = file_with_suffix(a, names.code, "");
		names.prefix = c_prefix(a, names.code);
	}
	if (o->save_temps_in_cwd)
		names.temps = file_basename(names.temps);
	if (o->deps_file)
		names.deps = o->deps_file;
	if (o->prefix)
		names.prefix = o->prefix;
	return names;
}
