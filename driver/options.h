/*
 * The command line of mcc and mcc-run.
 *
 * Options are records of options.def; parsing fills in an Options.  Mistakes are
 * reported as E_USAGE without a place.
 */
#ifndef MCC_DRIVER_OPTIONS_H
#define MCC_DRIVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"
#include "codegen/program/program.h"
#include "codegen/target/target.h"
#include "frontend/frontend.h"
#include "passes/compression/compress.h"
#include "passes/compression/trees.h"

/* The programs that an option belongs to: bits. */
typedef enum { TOOL_MCC = 1, TOOL_RUN = 2 } Tool;

typedef VEC(const char *) Names;

typedef struct {
	const char *path;
	const char *format; /* -x; NULL: look at the file */
} InputFile;

typedef enum { ENGINE_JIT, ENGINE_INTERP, ENGINE_C } Engine;

/* What mcc writes; OUTPUT_AUTO: as the output's name says, C without one. */
typedef enum {
	OUTPUT_AUTO,
	OUTPUT_C,
	OUTPUT_ASSEMBLY,
	OUTPUT_OBJECT,
	OUTPUT_IR,
	OUTPUT_BITCODE
} OutputKind;
typedef enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } ColorMode;

typedef struct {
	Arena *arena;
	Diag *diag;
	Tool tool;
	const char *tool_name;

	VEC(InputFile) inputs;
	const char *format; /* -x for the inputs that follow */
	VEC(InputShape) shapes;
	VEC(InputValue) values;
	VEC(DimValue) dims;

	bool help, version, verbose, only_show, print_ops;
	bool single_rounding;
	ProgramIo io;       /* -fio= */
	bool clobber_input; /* -fclobber-input */
	VEC(MemoryRegion) regions; /* -mregion= */
	ProgramBudget budget; /* --max-ram=, --max-flash=, --max-cycles= */
	int tree_limit; /* -ntree-limit */
	int kernel;     /* -fkernel; 0: not given */
	bool print_graph, syntax_only, hosted, report, save_temps, save_temps_in_cwd;
	bool assemble, compile, emit_llvm, debug; /* -S -c -emit-llvm -g */
	int batch; /* -fbatch: 1, -fno-batch: 0, neither: -1 */
	bool verify;
	const char *verify_data; /* --verify=; NULL: made up */
	bool deps, deps_phony;
	const char *output, *prefix, *report_file, *deps_file;
	Names deps_targets;
	size_t max_memory; /* bytes; 0: no limit */

	TargetRequest request; /* what is said about the machine, and what follows from it */
	Names attrs;           /* of -mattr */
	Names machine_flags;   /* other -m options, without -m */
	Machine machine;
	bool print_targets, print_cpus;

	Names run_inputs, run_outputs, run_references;
	Engine engine;
	int threads; /* -j */
	Names dump_layers;
	const char *labels_file;
	bool profile, reset_each;
	double rtol, atol;

	WeightOptions weights;    /* -fquantize=, which sets the greatest code, and -fprune= */
	bool prune_auto;          /* -fprune=auto: what goes is found by search */
	bool has_max_drop;
	double max_drop;          /* --max-drop=, in points */
	const char *calib;        /* -fcalib= */
	RangeMethod ranges;       /* -fcalib-ranges= */
	DType codes; /* of values of quantised models: DT_I8, or DT_I16 by -fquantize=int16x8 */
	DType input_type, output_type; /* -finput-type=, -foutput-type=; DT_COUNT: as `codes` */
	Names keep_float;
	TreeShrink shrink;        /* -fprune-trees= and others */
	bool shrink_auto;         /* -fprune-trees=auto: they are found by search */

	char level;         /* of -O: '0' to '3', 's', 'z' */
	int tree_code, tree_keys; /* -ftrees: a TreeCode and a TreeKeyKind; -1: any */
	const char *passes; /* NULL: those of the level */
	Names print_before, print_after;
	bool print_after_all, verify_each, pass_stats, time_report;

	bool werror, quiet;
	bool warning_off[DIAG_COUNT], warning_as_error[DIAG_COUNT];
	Names remarks, missed;
	bool json;
	ColorMode color;
} Options;

/* Reads the command line, response files included.  False when something was
 * reported to `d`. */
bool options_parse(Options *o, Tool tool, int argc, char **argv, Arena *a, Diag *d);

/* Makes a Diag as the options say. */
void options_init_diag(const Options *o, Diag *d, Arena *a);

/* The options in force that change the generated code, and all others but those
 * for input and output, each after a space and quoted for a shell. */
void options_print_code(Str *s, const Options *o);
void options_print_rest(Str *s, const Options *o);

/* Appends a word, quoted for a POSIX shell when it has to be. */
void quote_word(Str *s, const char *word);

/* ---- The table, for those who document it ---- */

typedef enum {
#define GROUP(id, title) GROUP_##id,
#include "driver/options.def"
	GROUP_COUNT
} OptionGroup;

extern const char *const option_group_title[GROUP_COUNT];

typedef enum {
	OPTION_FLAG,
	OPTION_JOINED,
	OPTION_SEPARATE,
	OPTION_EITHER,
	OPTION_EXPANDED
} OptionKind;

typedef enum { ACTION_YES, ACTION_TEXT, ACTION_LIST, ACTION_CALL, ACTION_REJECT } OptionAction;

typedef struct {
	const char *spelling; /* NULL at the end of the table */
	OptionKind kind;
	unsigned programs; /* TOOL_x */
	OptionGroup group;
	const char *metavar;
	const char *help; /* NULL: not documented */
	OptionAction action;
	size_t offset; /* ACTION_YES, _TEXT, _LIST: of the field in Options */
	bool (*call)(Options *o, const char *value);
	const char *message; /* ACTION_REJECT */
} Option;

extern const Option option_table[];

/* The option with its value's name, as in "-o FILE". */
const char *option_usage(Arena *a, const Option *option);

/* How programs are built; `kernels` becomes a part of it, without remarks. */
ProgramOptions options_program(const Options *o, KernelOptions *kernels);

#endif
