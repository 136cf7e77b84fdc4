/*
 * The options in force, as a command that does the same.
 */
#include "driver/options.h"

#include <string.h>

#include "base/file.h"
#include "ir/num.h"
#include "ir/op.h"

void
quote_word(Str *s, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                            "0123456789%+,-./:=@_^";

	if (*word && !word[strspn(word, plain)]) {
		str_puts(s, word);
		return;
	}
	str_putc(s, '\'');
	for (; *word; word++)
		if (*word == '\'')
			str_puts(s, "'\\''");
		else
			str_putc(s, *word);
	str_putc(s, '\'');
}

/* " -fprefix=NAME", quoted. */
static void
print_joined(Str *s, const char *option, const char *value)
{
	str_putc(s, ' ');
	quote_word(s, arena_printf(s->arena, "%s%s", option, value));
}

static void
print_shape(Str *s, const InputShape *shape)
{
	Str value;

	str_init(&value, s->arena);
	str_printf(&value, "%s:", shape->input);
	for (int i = 0; i < shape->rank; i++)
		str_printf(&value, "%s%ld", i ? "x" : "", (long)shape->dim[i]);
	print_joined(s, "-finput-shape=", value.s);
}

static void
print_input_value(Str *s, const InputValue *given)
{
	char number[NUM_TEXT];
	Str value;

	str_init(&value, s->arena);
	str_printf(&value, "%s:", given->input);
	for (int i = 0; i < given->n; i++) {
		num_double_text(number, given->value[i]);
		str_printf(&value, "%s%s", i ? "," : "", number);
	}
	print_joined(s, "-finput-value=", value.s);
}

static void
print_machine(Str *s, const Options *o)
{
	const TargetRequest *q = &o->request;
	const struct {
		const char *option, *value;
	} texts[] = {
		{"-mcpu=", q->cpu},   {"-march=", q->arch},         {"-mtune=", q->tune},
		{"-mfpu=", q->fpu},   {"-mfloat-abi=", q->float_abi}, {"-mabi=", q->abi},
		{"-mcmodel=", q->code_model},
	};

	print_joined(s, "--target=", q->target ? q->target : o->machine.facts.name);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (texts[i].value)
			print_joined(s, texts[i].option, texts[i].value);
	for (int i = 0; i < o->attrs.n; i++)
		print_joined(s, "-mattr=", o->attrs.v[i]);
	for (int i = 0; i < o->machine_flags.n; i++)
		print_joined(s, "-m", o->machine_flags.v[i]);
	if (q->thumb)
		str_puts(s, " -mthumb");
	if (q->arm)
		str_puts(s, " -marm");
	if (q->reloc != RELOC_DEFAULT)
		str_puts(s, q->reloc == RELOC_PIC ? " -fpic" : " -fno-pic");
}

static void
print_tree_options(Str *s, const Options *o)
{
	const TreeShrink *k = &o->shrink;

	if (o->tree_code >= 0)
		print_joined(s, "-ftrees=",
		             arena_printf(s->arena, "%s%s%s",
		                          op_enum_words(OP_TREES, "code")[o->tree_code],
		                          o->tree_keys < 0 ? "" : ",",
		                          o->tree_keys < 0 ? ""
		                                           : op_enum_words(OP_TREES, "keys")[o->tree_keys]));
	if (o->shrink_auto)
		print_joined(s, "-fprune-trees=", "auto");
	if (k->leaves < 1)
		print_joined(s, "-fprune-trees=", arena_printf(s->arena, "%g", k->leaves));
	if (k->trees < 1)
		print_joined(s, "-fselect-trees=", arena_printf(s->arena, "%g", k->trees));
	if (k->value_bits && k->threshold_bits)
		print_joined(s, "-fquantize-trees=",
		             arena_printf(s->arena, "%d,%d", k->value_bits, k->threshold_bits));
	else if (k->value_bits)
		print_joined(s, "-fquantize-trees=", arena_printf(s->arena, "%d", k->value_bits));
}

static const char *
outer_type_word(DType t)
{
	return t == DT_I8 ? "int8" : t == DT_U8 ? "uint8" : t == DT_I16 ? "int16" : "float";
}

static void
print_outer_type(Str *s, const char *option, DType asked, DType codes)
{
	print_joined(s, option, outer_type_word(asked == DT_COUNT ? codes : asked));
}

/* Data are named without folders: the text is the same on every machine. */
static void
print_compression(Str *s, const Options *o)
{
	static const char *const ranges[] = {"mse", "minmax", "percentile", "kl"};

	if (o->calib)
		print_joined(s, "-fcalib=", file_basename(o->calib));
	if (o->prune_auto)
		print_joined(s, "-fprune=", "auto");
	if (o->has_max_drop)
		print_joined(s, "--max-drop=", arena_printf(s->arena, "%g", o->max_drop));
	if (o->weights.sparsity > 0)
		print_joined(s, o->weights.blocks       ? "-fprune=block:"
		                : o->weights.each_layer ? "-fprune=layer:"
		                                        : "-fprune=",
		             arena_printf(s->arena, "%g", o->weights.sparsity));
	if (o->weights.channels > 0)
		print_joined(s, "-fprune=channel:", arena_printf(s->arena, "%g", o->weights.channels));
	if (o->weights.of)
		print_joined(s, "-fprune=", arena_printf(s->arena, "%d:%d", o->weights.keep,
		                                         o->weights.of));
	for (int i = 0; i < o->keep_float.n; i++)
		print_joined(s, "-fkeep-float=", o->keep_float.v[i]);
	if (!o->weights.most)
		return;
	print_joined(s, "-fquantize=", o->codes == DT_I16       ? "int16x8"
	                               : o->weights.powers      ? "pow2"
	                               : o->weights.most == 127 ? "int8"
	                               : o->weights.most == 7   ? "int4"
	                                                        : "ternary");
	if (o->weights.cluster)
		print_joined(s, "-fcluster=", arena_printf(s->arena, "%d", o->weights.cluster));
	if (o->ranges != RANGE_MSE)
		print_joined(s, "-fcalib-ranges=", ranges[o->ranges]);
	if (o->tool == TOOL_MCC) {
		print_outer_type(s, "-finput-type=", o->input_type, o->codes);
		print_outer_type(s, "-foutput-type=", o->output_type, o->codes);
	}
}

static void
print_budget(Str *s, const ProgramBudget *b)
{
	if (b->ram)
		print_joined(s, "--max-ram=", arena_printf(s->arena, "%zu", b->ram));
	if (b->flash)
		print_joined(s, "--max-flash=", arena_printf(s->arena, "%zu", b->flash));
	if (b->cycles)
		print_joined(s, "--max-cycles=", arena_printf(s->arena, "%lld", (long long)b->cycles));
}

void
options_print_code(Str *s, const Options *o)
{
	str_printf(s, " -O%c", o->level);
	if (o->tool == TOOL_MCC)
		print_machine(s, o);
	for (int i = 0; i < o->shapes.n; i++)
		print_shape(s, &o->shapes.v[i]);
	for (int i = 0; i < o->values.n; i++)
		print_input_value(s, &o->values.v[i]);
	for (int i = 0; i < o->dims.n; i++) {
		str_puts(s, " -D ");
		quote_word(s, arena_printf(s->arena, "%s=%ld", o->dims.v[i].name,
		                           (long)o->dims.v[i].value));
	}
	if (o->hosted)
		str_puts(s, " -fhosted");
	if (o->io == IO_ARENA)
		str_puts(s, " -fio=arena");
	if (o->clobber_input)
		str_puts(s, " -fclobber-input");
	for (int i = 0; i < o->regions.n; i++)
		print_joined(s, "-mregion=", arena_printf(s->arena, "%s:%zu", o->regions.v[i].name,
		                                          o->regions.v[i].size));
	print_budget(s, &o->budget);
	if (o->single_rounding)
		str_puts(s, " -fsingle-rounding");
	if (o->tree_limit)
		print_joined(s, "-ntree-limit=", o->tree_limit == TREE_LIMIT_BEST
		                                         ? "best"
		                                         : arena_printf(s->arena, "%d", o->tree_limit));
	print_tree_options(s, o);
	if (o->batch >= 0)
		str_puts(s, o->batch ? " -fbatch" : " -fno-batch");
	print_compression(s, o);
	if (o->passes)
		print_joined(s, "-passes=", o->passes);
	if (o->kernel)
		print_joined(s, "-fkernel=", arena_printf(s->arena, "%d", o->kernel));
	if (o->prefix)
		print_joined(s, "-fprefix=", o->prefix);
}

static void
print_diagnostic_options(Str *s, const Options *o)
{
	for (int i = 0; i < DIAG_COUNT; i++) {
		if (o->warning_off[i])
			print_joined(s, "-Wno-", diag_info[i].option);
		if (o->warning_as_error[i])
			print_joined(s, "-Werror=", diag_info[i].option);
	}
	if (o->json)
		str_puts(s, " -fdiagnostics-format=json");
	if (o->color != COLOR_AUTO)
		print_joined(s, "-fdiagnostics-color=",
		             o->color == COLOR_ALWAYS ? "always" : "never");
}

/* Fields that are printed elsewhere, or that only ask for the printing. */
static bool
is_printed_apart(size_t offset)
{
	static const size_t apart[] = {
		offsetof(Options, verbose),         offsetof(Options, only_show),
		offsetof(Options, output),          offsetof(Options, hosted),
		offsetof(Options, clobber_input),   offsetof(Options, passes),
		offsetof(Options, prefix),          offsetof(Options, report),
		offsetof(Options, attrs),           offsetof(Options, calib),
		offsetof(Options, single_rounding), offsetof(Options, keep_float),
	};
	size_t request = offsetof(Options, request);

	if (offset >= request && offset < request + sizeof(TargetRequest))
		return true;

	for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
		if (apart[i] == offset)
			return true;
	return false;
}

static void
print_value(Str *s, const Option *option, const char *value)
{
	if (option->kind == OPTION_JOINED) {
		print_joined(s, option->spelling, value);
		return;
	}
	str_printf(s, " %s ", option->spelling);
	quote_word(s, value);
}

void
options_print_rest(Str *s, const Options *o)
{
	for (const Option *t = option_table; t->spelling; t++) {
		const void *field = (const char *)o + t->offset;

		if (!(t->programs & o->tool) || t->action == ACTION_CALL ||
		    is_printed_apart(t->offset))
			continue;
		if (t->action == ACTION_YES && *(const bool *)field)
			str_printf(s, " %s", t->spelling);
		if (t->action == ACTION_TEXT && *(const char *const *)field)
			print_value(s, t, *(const char *const *)field);
		if (t->action == ACTION_LIST)
			for (int i = 0; i < ((const Names *)field)->n; i++)
				print_value(s, t, ((const Names *)field)->v[i]);
	}
	if (o->save_temps_in_cwd)
		str_puts(s, " -save-temps=cwd");
	print_joined(s, "-fmax-memory=", arena_printf(s->arena, "%zu", o->max_memory));
	print_diagnostic_options(s, o);
}
