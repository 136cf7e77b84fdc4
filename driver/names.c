#include "driver/names.h"

#include <string.h>

#include "base/file.h"
#include "codegen/c/c.h"

static const char *const suffixes[] = {
	[OUTPUT_AUTO] = ".c",    [OUTPUT_C] = ".c",   [OUTPUT_ASSEMBLY] = ".s",
	[OUTPUT_OBJECT] = ".o", [OUTPUT_IR] = ".ll", [OUTPUT_BITCODE] = ".bc",
};

static OutputKind
kind_of_suffix(const char *path)
{
	const char *dot = strrchr(file_basename(path), '.');

	for (int i = OUTPUT_C; dot && i <= OUTPUT_BITCODE; i++)
		if (strcmp(dot, suffixes[i]) == 0)
			return (OutputKind)i;
	return OUTPUT_AUTO;
}

OutputKind
output_kind(const Options *o)
{
	OutputKind named = o->output ? kind_of_suffix(o->output) : OUTPUT_AUTO;

	if (o->assemble)
		return o->emit_llvm ? OUTPUT_IR : OUTPUT_ASSEMBLY;
	if (o->emit_llvm)
		return named == OUTPUT_IR && !o->compile ? OUTPUT_IR : OUTPUT_BITCODE;
	if (o->compile)
		return OUTPUT_OBJECT;
	return named == OUTPUT_AUTO ? OUTPUT_C : named;
}

const char *
output_suffix(OutputKind kind)
{
	return suffixes[kind];
}

OutputNames
output_names(Arena *a, const Options *o, const InputFile *input)
{
	bool from_stdin = strcmp(input->path, "-") == 0;
	const char *model = from_stdin ? "model" : file_basename(input->path);
	OutputNames names = {.kind = output_kind(o), .temps = file_with_suffix(a, model, "")};

	if (o->output)
		names.code = o->output;
	else if (from_stdin || o->print_graph)
		names.code = "-";
	else
		names.code = file_with_suffix(a, model, suffixes[names.kind]);
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
