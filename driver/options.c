#include "driver/options.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/llvm/llvm.h"
#include "driver/deps.h"
#include "driver/response.h"
#include "ir/op.h"

#define USAGE(o, ...) diag_report((o)->diag, NULL, E_USAGE, __VA_ARGS__)

/* ---- What options with a meaning of their own do ---- */

static bool
set_nothing(Options *o, const char *value)
{
	(void)o;
	(void)value;
	return true;
}

/* The index of `value` among `words`, or reports those that there are. */
static int
one_of(Options *o, const char *option, const char *value, const char *const *words)
{
	Str list;
	int i;

	for (i = 0; words[i]; i++)
		if (strcmp(value, words[i]) == 0)
			return i;
	str_init(&list, o->arena);
	for (i = 0; words[i]; i++)
		str_printf(&list, "%s'%s'", !i ? "" : words[i + 1] ? ", " : " or ", words[i]);
	USAGE(o, "'%s%s': the value must be %s", option, value, list.s);
	return -1;
}

static bool
set_format(Options *o, const char *value)
{
	Str list;

	o->format = NULL;
	if (strcmp(value, "none") == 0)
		return true;
	str_init(&list, o->arena);
	for (const FrontendFormat *f = frontend_formats; f->name; f++) {
		if (strcmp(f->name, value) == 0) {
			o->format = f->name;
			return true;
		}
		str_printf(&list, "'%s', ", f->name);
	}
	return USAGE(o, "'-x %s': the formats are %s'none'", value, list.s);
}

static bool
set_input_shape(Options *o, const char *value)
{
	InputShape shape;

	if (!frontend_parse_shape(o->arena, value, &shape, o->diag))
		return false;
	VEC_PUSH(o->arena, &o->shapes, shape);
	return true;
}

static bool
set_input_value(Options *o, const char *value)
{
	InputValue given;

	if (!frontend_parse_value(o->arena, value, &given, o->diag))
		return false;
	VEC_PUSH(o->arena, &o->values, given);
	return true;
}

static bool
set_dimension(Options *o, const char *value)
{
	DimValue dim;

	if (!frontend_parse_dim(o->arena, value, &dim, o->diag))
		return false;
	VEC_PUSH(o->arena, &o->dims, dim);
	return true;
}

/* Bytes, or a number with one of the units. */
static bool
read_size(Options *o, const char *option, const char *value, const char *units, size_t *out)
{
	const char *p = value, *unit;
	size_t n = 0;
	bool fits = true;

	for (; isdigit((unsigned char)*p); p++)
		fits = fits && !__builtin_mul_overflow(n, (size_t)10, &n) &&
		       !__builtin_add_overflow(n, (size_t)(*p - '0'), &n);
	if (p != value && *p && (unit = strchr(units, toupper((unsigned char)*p))) != NULL) {
		fits = fits && !__builtin_mul_overflow(n, (size_t)1 << 10 * (unit - units + 1), &n);
		p++;
	}
	if (p == value || *p)
		return USAGE(o, "'%s%s': a size is bytes, or a number with %s", option, value,
		             units[2] ? "K, M or G" : "K or M");
	if (!fits)
		return USAGE(o, "'%s%s' is too large", option, value);
	*out = n;
	return true;
}

static bool
set_max_memory(Options *o, const char *value)
{
	return read_size(o, "-fmax-memory=", value, "KMG", &o->max_memory);
}

/* A budget of nothing could never be met. */
static bool
read_budget(Options *o, const char *option, const char *value, size_t *out)
{
	return read_size(o, option, value, "KM", out) &&
	       (*out || USAGE(o, "'%s%s': a budget is at least 1", option, value));
}

static bool
set_max_ram(Options *o, const char *value)
{
	return read_budget(o, "--max-ram=", value, &o->budget.ram);
}

static bool
set_max_flash(Options *o, const char *value)
{
	return read_budget(o, "--max-flash=", value, &o->budget.flash);
}

/* Whether both are one word for C, where arguments are in small letters and macros in
 * capitals. */
static bool
same_letters(const char *a, const char *b)
{
	while (*a && toupper((unsigned char)*a) == toupper((unsigned char)*b))
		a++, b++;
	return !*a && !*b;
}

/* NAME:SIZE */
static bool
set_region(Options *o, const char *value)
{
	enum { MOST_REGIONS = 16 };
	const char *colon = strchr(value, ':');
	size_t n = colon ? (size_t)(colon - value) : 0;
	MemoryRegion region = {.name = arena_strndup(o->arena, value, n)};
	bool word = n > 0 && !isdigit((unsigned char)*value);

	for (size_t i = 0; i < n; i++)
		word = word && (isalnum((unsigned char)value[i]) || value[i] == '_');
	if (!word || strstr(region.name, "__") || *value == '_' || value[n - 1] == '_')
		return USAGE(o, "'-mregion=%s': it must be NAME:SIZE, as DTCM:64K, with a name of "
		             "letters, digits and single underscores between them", value);
	if (!read_budget(o, "-mregion=NAME:", colon + 1, &region.size))
		return false;
	for (int i = 0; i < o->regions.n; i++)
		if (same_letters(o->regions.v[i].name, region.name))
			return USAGE(o, "'-mregion=%s': there is a region of that name", value);
	if (o->regions.n == MOST_REGIONS)
		return USAGE(o, "'-mregion=%s': there are at most %d regions", value, MOST_REGIONS);
	VEC_PUSH(o->arena, &o->regions, region);
	return true;
}

static bool
set_max_cycles(Options *o, const char *value)
{
	char *end;
	long long n = isdigit((unsigned char)*value) ? strtoll(value, &end, 10) : 0;

	if (n < 1 || *end || n == LLONG_MAX)
		return USAGE(o, "'--max-cycles=%s': it must be a number of cycles", value);
	o->budget.cycles = n;
	return true;
}

static bool
set_save_temps(Options *o, const char *value)
{
	static const char *const words[] = {"cwd", "obj", NULL};
	int i = one_of(o, "-save-temps=", value, words);

	o->save_temps = true;
	o->save_temps_in_cwd = i == 0;
	return i >= 0;
}

static bool
set_batch(Options *o, const char *value)
{
	(void)value;
	o->batch = 1;
	return true;
}

static bool
set_no_batch(Options *o, const char *value)
{
	(void)value;
	o->batch = 0;
	return true;
}

static bool
set_engine(Options *o, const char *value)
{
	static const char *const words[] = {
		[ENGINE_JIT] = "jit", [ENGINE_INTERP] = "interp", [ENGINE_C] = "c", NULL};
	int i = one_of(o, "--engine=", value, words);

	o->engine = i >= 0 ? (Engine)i : ENGINE_JIT;
	return i >= 0;
}

enum { MOST_THREADS = 1024 };

static bool
set_threads(Options *o, const char *value)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (end == value || *end || n < 0 || n > MOST_THREADS)
		return USAGE(o, "'-j %s': the number of threads is 1 to %d, or 0 for one a processor",
		             value, MOST_THREADS);
	o->threads = (int)n;
	return true;
}

static bool
set_pic(Options *o, const char *value)
{
	(void)value;
	o->request.reloc = RELOC_PIC;
	return true;
}

static bool report_unknown(Options *o, const char *argument);

static bool
set_machine_flag(Options *o, const char *value)
{
	if (!target_knows_flag(o->arena, value))
		return report_unknown(o, arena_printf(o->arena, "-m%s", value));
	VEC_PUSH(o->arena, &o->machine_flags, value);
	return true;
}

/* -g, -g2, -ggdb, -ggdb3, -gdwarf-4. */
static bool
set_debug(Options *o, const char *value)
{
	static const char *const kinds[] = {"dwarf-", "dwarf", "gdb", "", NULL};

	for (int i = 0; kinds[i]; i++) {
		size_t n = strlen(kinds[i]);
		bool level = value[n] >= '0' && value[n] <= '9' && !value[n + 1];

		if (strncmp(value, kinds[i], n) == 0 && (level || (!value[n] && i))) {
			o->debug = !(level && value[n] == '0');
			return true;
		}
	}
	return report_unknown(o, arena_printf(o->arena, "-g%s", value));
}

static bool
set_deps_target(Options *o, const char *value)
{
	value = deps_escaped(o->arena, value);
	VEC_PUSH(o->arena, &o->deps_targets, value);
	return true;
}

static bool
set_no_pic(Options *o, const char *value)
{
	(void)value;
	o->request.reloc = RELOC_STATIC;
	return true;
}

static bool
read_tolerance(Options *o, const char *option, const char *value, double *out)
{
	char *end;

	*out = strtod(value, &end);
	if (end == value || *end || !(*out >= 0) || isinf(*out))
		return USAGE(o, "'%s%s': a tolerance is a number that is not negative", option, value);
	return true;
}

static bool
set_rtol(Options *o, const char *value)
{
	return read_tolerance(o, "--rtol=", value, &o->rtol);
}

static bool
set_atol(Options *o, const char *value)
{
	return read_tolerance(o, "--atol=", value, &o->atol);
}

static bool
set_io(Options *o, const char *value)
{
	static const char *const words[] = {[IO_CALLER] = "caller", [IO_ARENA] = "arena", NULL};
	int i = one_of(o, "-fio=", value, words);

	o->io = i == IO_ARENA ? IO_ARENA : IO_CALLER;
	return i >= 0;
}

static bool
set_quantize(Options *o, const char *value)
{
	static const char *const words[] = {"int8", "int4", "ternary", "pow2", "int16x8", NULL};
	static const int most[] = {127, 7, 1, 64, 127};
	int i = one_of(o, "-fquantize=", value, words);

	o->weights.most = i >= 0 ? most[i] : 0;
	o->weights.powers = i == 3;
	o->codes = i == 4 ? DT_I16 : DT_I8;
	return i >= 0;
}

static bool
set_cluster(Options *o, const char *value)
{
	char *end;
	long bits = strtol(value, &end, 10);

	if (end == value || *end || bits < 1 || bits > 6)
		return USAGE(o, "'-fcluster=%s': it must be a number of bits from 1 to 6", value);
	o->weights.cluster = (int)bits;
	return true;
}

static bool
set_calib_ranges(Options *o, const char *value)
{
	static const char *const words[] = {
		[RANGE_MSE] = "mse", [RANGE_MIN_MAX] = "minmax",
		[RANGE_PERCENTILE] = "percentile", [RANGE_KL] = "kl", NULL};
	int i = one_of(o, "-fcalib-ranges=", value, words);

	o->ranges = i >= 0 ? (RangeMethod)i : RANGE_MSE;
	return i >= 0;
}

static bool
read_outer_type(Options *o, const char *option, const char *value, DType *out)
{
	static const char *const words[] = {"int8", "uint8", "int16", "float", NULL};
	static const DType types[] = {DT_I8, DT_U8, DT_I16, DT_F32};
	int i = one_of(o, option, value, words);

	*out = types[i >= 0 ? i : 0];
	return i >= 0;
}

static bool
set_input_type(Options *o, const char *value)
{
	return read_outer_type(o, "-finput-type=", value, &o->input_type);
}

static bool
set_output_type(Options *o, const char *value)
{
	return read_outer_type(o, "-foutput-type=", value, &o->output_type);
}

static bool
set_level(Options *o, const char *value)
{
	static const char *const words[] = {"0", "1", "2", "3", "s", "z", NULL};
	int i = one_of(o, "-O", *value ? value : "1", words);

	if (i >= 0)
		o->level = *words[i];
	return i >= 0;
}

/* The warning of that name; reports when there is none. */
static bool
find_warning(Options *o, const char *option, const char *name, DiagCode *code)
{
	Str list;

	*code = diag_find_option(name);
	if (*code != DIAG_COUNT)
		return true;
	str_init(&list, o->arena);
	for (int i = 0; i < DIAG_COUNT; i++)
		if (diag_info[i].option)
			str_printf(&list, "%s'%s'", list.n ? ", " : "", diag_info[i].option);
	return USAGE(o, "unknown warning '%s%s'; there are %s", option, name, list.s);
}

static bool
set_kernel(Options *o, const char *value)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (end == value || *end || n < 1 || n > 100)
		return USAGE(o, "'-fkernel=%s': it must be a number from 1 to 100", value);
	o->kernel = (int)n;
	return true;
}

static bool
set_tree_limit(Options *o, const char *value)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (strcmp(value, "best") == 0) {
		o->tree_limit = TREE_LIMIT_BEST;
		return true;
	}
	if (end == value || *end || n < 1 || n > INT32_MAX / 2)
		return USAGE(o, "'-ntree-limit=%s': it must be a number of iterations, or best", value);
	o->tree_limit = (int)n;
	return true;
}

/* A share in (0, 1], also in percent. */
static bool
read_share(Options *o, const char *option, const char *value, double *out)
{
	char *end;
	double share = strtod(value, &end);

	if (end != value && strcmp(end, "%") == 0) {
		share /= 100;
		end++;
	}
	if (end == value || *end || !(share > 0 && share <= 1))
		return USAGE(o, "'%s%s': it must be a share, as 0.25 or 25%%", option, value);
	*out = share;
	return true;
}

/* A share that leaves something. */
static bool
read_part(Options *o, const char *option, const char *value, double *out)
{
	if (!read_share(o, option, value, out))
		return false;
	return *out < 1 || USAGE(o, "'%s%s' would leave nothing", option, value);
}

/* At most `keep` of `of` neighbours. */
static bool
set_neighbours(Options *o, const char *value)
{
	enum { MOST_NEIGHBOURS = 32 };
	char *end;
	long keep = strtol(value, &end, 10), of;

	of = *end == ':' && end[1] >= '0' && end[1] <= '9' ? strtol(end + 1, &end, 10) : 0;
	if (*end || keep < 1 || keep >= of || of > MOST_NEIGHBOURS)
		return USAGE(o, "'-fprune=%s': it must be a share, as 0.7 or 70%%, layer:SHARE, "
		             "block:SHARE, channel:SHARE, auto, or N:M with 0 < N < M <= %d, as 2:4",
		             value, MOST_NEIGHBOURS);
	o->weights.keep = (int)keep;
	o->weights.of = (int)of;
	return true;
}

static bool
starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static bool
set_prune(Options *o, const char *value)
{
	WeightOptions *w = &o->weights;
	static const char channel[] = "channel:", layer[] = "layer:", block[] = "block:";

	*w = (WeightOptions){.most = w->most, .powers = w->powers, .cluster = w->cluster};
	o->prune_auto = strcmp(value, "auto") == 0;
	if (o->prune_auto)
		return true;
	if (starts_with(value, channel))
		return read_part(o, "-fprune=channel:", value + strlen(channel), &w->channels);
	if (starts_with(value, block)) {
		w->each_layer = w->blocks = true;
		return read_part(o, "-fprune=block:", value + strlen(block), &w->sparsity);
	}
	if (starts_with(value, layer)) {
		w->each_layer = true;
		return read_part(o, "-fprune=layer:", value + strlen(layer), &w->sparsity);
	}
	if (strchr(value, ':'))
		return set_neighbours(o, value);
	return read_part(o, "-fprune=", value, &w->sparsity);
}

/* Points, with or without a percent sign. */
static bool
set_max_drop(Options *o, const char *value)
{
	char *end;

	o->max_drop = strtod(value, &end);
	o->has_max_drop = true;
	if (end != value && strcmp(end, "%") == 0)
		end++;
	if (end == value || *end || !(o->max_drop >= 0 && o->max_drop <= 100))
		return USAGE(o, "'--max-drop=%s': it must be points of a hundred, as 0.5", value);
	return true;
}

static bool
set_prune_trees(Options *o, const char *value)
{
	o->shrink_auto = strcmp(value, "auto") == 0;
	return o->shrink_auto || read_share(o, "-fprune-trees=", value, &o->shrink.leaves);
}

static bool
set_select_trees(Options *o, const char *value)
{
	return read_share(o, "-fselect-trees=", value, &o->shrink.trees);
}

static bool
set_quantize_trees(Options *o, const char *value)
{
	static const char *const words[] = {"8", "16", "8,8", "8,16", "16,8", "16,16", NULL};
	static const int bits[][2] = {{8, 0}, {16, 0}, {8, 8}, {8, 16}, {16, 8}, {16, 16}};
	int i = one_of(o, "-fquantize-trees=", value, words);

	if (i < 0)
		return false;
	o->shrink.value_bits = bits[i][0];
	o->shrink.threshold_bits = bits[i][1];
	return true;
}

static bool
set_trees(Options *o, const char *value)
{
	const char *comma = strchr(value, ',');
	const char *code = comma ? arena_strndup(o->arena, value, (size_t)(comma - value)) : value;

	o->tree_code = one_of(o, "-ftrees=", code, op_enum_words(OP_TREES, "code"));
	o->tree_keys = -1;
	if (comma)
		o->tree_keys = one_of(o, "-ftrees=WAY,", comma + 1, op_enum_words(OP_TREES, "keys"));
	return o->tree_code >= 0 && (!comma || o->tree_keys >= 0);
}

static bool
set_warning(Options *o, const char *value)
{
	DiagCode code;

	if (strcmp(value, "all") == 0 || strcmp(value, "extra") == 0) {
		memset(o->warning_off, 0, sizeof o->warning_off);
		return true;
	}
	if (!find_warning(o, "-W", value, &code))
		return false;
	o->warning_off[code] = false;
	return true;
}

static bool
set_no_warning(Options *o, const char *value)
{
	bool error = strncmp(value, "error=", 6) == 0;
	DiagCode code;

	if (strcmp(value, "error") == 0) {
		o->werror = false;
		return true;
	}
	if (!find_warning(o, "-Wno-", error ? value + 6 : value, &code))
		return false;
	if (error)
		o->warning_as_error[code] = false;
	else
		o->warning_off[code] = true;
	return true;
}

static bool
set_werror_of(Options *o, const char *value)
{
	DiagCode code;

	if (!find_warning(o, "-Werror=", value, &code))
		return false;
	o->warning_as_error[code] = true;
	o->warning_off[code] = false;
	return true;
}

static bool
set_diag_format(Options *o, const char *value)
{
	static const char *const words[] = {"text", "json", NULL};
	int i = one_of(o, "-fdiagnostics-format=", value, words);

	o->json = i == 1;
	return i >= 0;
}

static bool
set_color(Options *o, const char *value)
{
	static const char *const words[] = {"auto", "always", "never", NULL};
	int i = one_of(o, "-fdiagnostics-color=", value, words);

	o->color = i == 1 ? COLOR_ALWAYS : i == 2 ? COLOR_NEVER : COLOR_AUTO;
	return i >= 0;
}

/* ---- The table ---- */

const char *const option_group_title[GROUP_COUNT] = {
#define GROUP(id, title) title,
#include "driver/options.def"
};

#define TOOL_BOTH (TOOL_MCC | TOOL_RUN)
#define YES(field) .action = ACTION_YES, .offset = offsetof(Options, field)
#define TEXT(field) .action = ACTION_TEXT, .offset = offsetof(Options, field)
#define LIST(field) .action = ACTION_LIST, .offset = offsetof(Options, field)
#define CALL(function) .action = ACTION_CALL, .call = set_##function
#define REJECT(text) .action = ACTION_REJECT, .message = text

const Option option_table[] = {
#define OPTION(spelling_, kind_, programs_, group_, metavar_, action_, help_) \
	{.spelling = spelling_, .kind = OPTION_##kind_, .programs = TOOL_##programs_, \
	 .group = GROUP_##group_, .metavar = metavar_, .help = help_, action_},
#include "driver/options.def"
	{0},
};

const char *
option_usage(Arena *a, const Option *option)
{
	bool space = option->kind == OPTION_SEPARATE || option->kind == OPTION_EITHER;

	return arena_printf(a, "%s%s%s", option->spelling, space ? " " : "",
	                    option->metavar ? option->metavar : "");
}

/* ---- Parsing ---- */

static bool
matches(const Option *option, const char *argument)
{
	switch (option->kind) {
	case OPTION_FLAG:
	case OPTION_SEPARATE:
		return strcmp(argument, option->spelling) == 0;
	case OPTION_JOINED:
	case OPTION_EITHER:
		return strncmp(argument, option->spelling, strlen(option->spelling)) == 0;
	case OPTION_EXPANDED:
		break;
	}
	return false;
}

/* The option with the longest spelling that fits. */
static const Option *
find_option(const Options *o, const char *argument)
{
	const Option *best = NULL;

	for (const Option *t = option_table; t->spelling; t++)
		if ((t->programs & o->tool) && matches(t, argument) &&
		    (!best || strlen(t->spelling) > strlen(best->spelling)))
			best = t;
	return best;
}

enum { LONGEST_GUESS = 40 };

static int
smallest(int a, int b, int c)
{
	int ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many letters to insert, delete or replace to get from one to the other. */
static int
edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
	int row[LONGEST_GUESS + 1];

	for (size_t j = 0; j <= nb; j++)
		row[j] = (int)j;
	for (size_t i = 1; i <= na; i++) {
		int corner = row[0];

		row[0] = (int)i;
		for (size_t j = 1; j <= nb; j++) {
			int old = row[j];

			row[j] = smallest(corner + (a[i - 1] != b[j - 1]), old + 1, row[j - 1] + 1);
			corner = old;
		}
	}
	return row[nb];
}

/* The option that `argument` looks most like, or NULL when none comes close. */
static const Option *
guess_option(const Options *o, const char *argument)
{
	size_t n = strcspn(argument, "=");
	int best_distance = n < 6 ? 2 : 4;
	const Option *best = NULL;

	if (argument[n] == '=')
		n++;
	for (const Option *t = option_table; t->spelling; t++) {
		size_t m = strlen(t->spelling);
		int distance;

		if (!(t->programs & o->tool) || !t->help || m < 3 || n > LONGEST_GUESS ||
		    m > LONGEST_GUESS)
			continue;
		distance = edit_distance(argument, n, t->spelling, m);
		if (distance < best_distance) {
			best = t;
			best_distance = distance;
		}
	}
	return best;
}

static bool
report_unknown(Options *o, const char *argument)
{
	const Option *guess = guess_option(o, argument);

	if (guess)
		return USAGE(o, "unknown option '%s'; did you mean '%s'?", argument, guess->spelling);
	return USAGE(o, "unknown option '%s'", argument);
}

static bool
apply(Options *o, const Option *option, const char *value)
{
	void *field = (char *)o + option->offset;

	switch (option->action) {
	case ACTION_YES:
		*(bool *)field = true;
		return true;
	case ACTION_TEXT:
		*(const char **)field = value;
		return true;
	case ACTION_LIST:
		VEC_PUSH(o->arena, (Names *)field, value);
		return true;
	case ACTION_CALL:
		return option->call(o, value);
	case ACTION_REJECT:
		return USAGE(o, "'%s': %s", option->spelling, option->message);
	}
	return false;
}

/* Applies words->v[*i], taking the next word too where the option needs it. */
static bool
parse_option(Options *o, const Names *words, int *i)
{
	const char *argument = words->v[*i];
	const Option *option = find_option(o, argument);
	const char *value;

	if (!option)
		return report_unknown(o, argument);
	value = argument + strlen(option->spelling);
	if (option->kind == OPTION_SEPARATE || (option->kind == OPTION_EITHER && !*value)) {
		if (*i + 1 == words->n)
			return USAGE(o, "'%s' needs a value: %s", argument,
			             option_usage(o->arena, option));
		value = words->v[++*i];
	}
	return apply(o, option, value);
}

bool
options_parse(Options *o, Tool tool, int argc, char **argv, Arena *a, Diag *d)
{
	Names words = {0};
	bool ok = true, only_files = false;

	*o = (Options){
		.arena = a,
		.diag = d,
		.tool = tool,
		.tool_name = tool == TOOL_MCC ? "mcc" : "mcc-run",
		.level = '2',
		.batch = -1,
		.shrink = {.trees = 1, .leaves = 1},
		.tree_code = -1,
		.tree_keys = -1,
		.threads = 1,
		.engine = llvm_major_version() ? ENGINE_JIT : ENGINE_INTERP,
		.rtol = 1e-4,
		.atol = 1e-5,
		.max_memory = (size_t)4 << 30,
		.codes = DT_I8,
		.input_type = tool == TOOL_MCC ? DT_COUNT : DT_F32,
		.output_type = tool == TOOL_MCC ? DT_COUNT : DT_F32,
	};
	if (!response_expand(&words, argc - 1, argv + 1, a, d))
		return false;
	for (int i = 0; i < words.n; i++) {
		const char *word = words.v[i];

		if (!only_files && strcmp(word, "--") == 0) {
			only_files = true;
		} else if (only_files || word[0] != '-' || !word[1]) {
			InputFile file = {word, o->format};

			VEC_PUSH(a, &o->inputs, file);
		} else if (!parse_option(o, &words, &i)) {
			ok = false;
		}
	}
	if (o->report && !o->report_file)
		o->report_file = "-";
	if (o->verify_data)
		o->verify = true;
	o->request.attrs = o->attrs.v;
	o->request.nattrs = o->attrs.n;
	o->request.flags = o->machine_flags.v;
	o->request.nflags = o->machine_flags.n;
	return ok;
}

void
options_init_diag(const Options *o, Diag *d, Arena *a)
{
	diag_init(d, a);
	d->warnings_are_errors = o->werror;
	d->quiet = o->quiet;
	memcpy(d->disabled, o->warning_off, sizeof d->disabled);
	memcpy(d->as_error, o->warning_as_error, sizeof d->as_error);
}

ProgramOptions
options_program(const Options *o, KernelOptions *kernels)
{
	*kernels = (KernelOptions){.target = &o->machine.facts, .level = o->level,
	                            .skip = o->kernel > 0 ? o->kernel - 1 : 0};
	return (ProgramOptions){.kernels = kernels, .io = o->io,
	                        .clobber_input = o->clobber_input, .nregions = o->regions.n,
	                        .region = o->regions.v, .budget = o->budget};
}
