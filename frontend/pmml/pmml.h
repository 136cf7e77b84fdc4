/*
 * The reader of PMML, versions 3.0 to 4.4.
 *
 * A model in PMML is a set of rules about single values, missing ones among them.  The
 * reader writes what they say as loop IR: kernels, operators `kernel` of the graph.
 * Decision trees become the operator `trees`, which takes its features from one kernel
 * and hands its leaves to the next.
 *
 *	../xml/xml.c  the file as a tree of elements
 *	kernel.c      kernels, and values that pass from one to the next
 *	value.c       types and values of PMML, constants, labels
 *	fields.c      names: data dictionary, mining schema, derived fields
 *	predicate.c   predicates in three-valued logic
 *	expression.c  expressions; functions.c the built-in functions
 *	models.def    the kinds of models, a file each
 *	targets.c, output.c  what becomes of a model's result
 *	verification.c       recorded results
 *
 * Functions that return a pointer or bool report errors and then return NULL or false.
 */
#ifndef MCC_FRONTEND_PMML_PMML_H
#define MCC_FRONTEND_PMML_PMML_H

#include "frontend/frontend.h"
#include "frontend/xml/xml.h"
#include "ir/loop/loop.h"
#include "ir/trees.h"

typedef struct Pmml Pmml;
typedef struct Kernel Kernel;
typedef struct Scope Scope;

/* ---- Values (value.c) ---- */

/* What dataType says; see types.def. */
typedef enum {
#define TYPE(id, name, kind) TYPE_##id,
#include "frontend/pmml/types.def"
	TYPE_COUNT
} PType;

/* How a type is computed with. */
typedef enum { KIND_NUMBER, KIND_FLOAT, KIND_INTEGER, KIND_BOOLEAN, KIND_LABEL } PKind;

typedef struct {
	const char *name;
	PKind kind;
} PTypeInfo;

extern const PTypeInfo ptype_info[TYPE_COUNT];

/* Strings by number.  A set grows with the constants that it is compared with. */
typedef struct {
	VEC(const char *) v;
	bool ordered; /* in the order that < means */
	int *slot;    /* by hash: number + 1 */
	int nslots;
} Labels;

Labels *labels_new(Pmml *p);
/* The number of the string, -1: none. */
int labels_find(const Labels *l, const char *text);
/* The same; the set takes in what it does not have. */
int labels_add(Pmml *p, Labels *l, const char *text);

/*
 * A value at a place in the code.
 *
 *	numbers   e is f64; NaN is missing
 *	booleans  e is bool; `missing` tells whether it is missing, then e is false
 *	labels    e is i32, the number of a label; below 0 it is missing
 *
 * An expression may be used in the kernel `home` only, elsewhere by way of value_here();
 * NULL: it is a constant.
 */
typedef struct {
	PType type;
	Kernel *home;
	Expr *e;
	Expr *missing;     /* booleans; NULL: never */
	Labels *labels;
	bool is_set;       /* false: there is no value at all */
	bool never_missing;
	bool labelled;     /* labels: always one of them, or missing */
} Val;

PKind value_kind(const Val *v);
bool value_has_number(const Val *v); /* neither a label nor a boolean */

Val value_number(Pmml *p, double v); /* a constant of type double */
Val value_bool(Pmml *p, Expr *is_true, Expr *missing);
Val value_of(Pmml *p, PType t, Expr *e); /* an expression of the current kernel */
Val value_label(Pmml *p, Labels *l, Expr *e);
Val value_missing(Pmml *p, PType t, Labels *l);

/* The constant that `text` is as a value of type t; labels go to `l`.  Reports at e. */
bool value_constant(Pmml *p, const Xml *e, const char *text, PType t, Labels *l, Val *out);

/* The number that a constant value has; false: it is none. */
bool value_is_constant(const Val *v, double *number);

/* The value in the current kernel. */
Val value_here(Pmml *p, Val v);

/* Whether it is missing: a bool expression, which may be the constant false. */
Expr *value_is_missing(Pmml *p, const Val *v);

/* As a number, NaN where missing; labels are an error. */
bool value_to_number(Pmml *p, const Xml *e, Val v, Expr **out);

/* As another type: rounding, booleans as numbers, labels that are numbers.  */
bool value_cast(Pmml *p, const Xml *e, Val v, PType t, Val *out);

/* condition ? x : y, of one kind; labels get a common set. */
bool value_select(Pmml *p, const Xml *e, Expr *condition, Val x, Val y, Val *out);

/* The label value with numbers of another set; what that does not have becomes `other`. */
Expr *value_relabel(Pmml *p, const Val *v, Labels *to, int other);

/* Gives the value a name, so that it is computed once. */
Val value_let(Pmml *p, const char *name, Val v);

/* x == y or x < y and so on, both not missing; false after an error. */
bool value_compare(Pmml *p, const Xml *e, KOp op, Val x, Val y, Expr **out);

/* The type that an attribute names, or `otherwise` without the attribute. */
bool ptype_attr(Pmml *p, const Xml *e, const char *name, PType otherwise, PType *out);

/* ---- Attributes ---- */

/* Reports at the element; false. */
__attribute__((format(printf, 3, 4))) bool pmml_error(Pmml *p, const Xml *e, const char *format,
                                                      ...);
/* "... is not supported". */
__attribute__((format(printf, 3, 4))) bool pmml_unsupported(Pmml *p, const Xml *e,
                                                            const char *format, ...);

/* An attribute that must be there. */
const char *pmml_need(Pmml *p, const Xml *e, const char *name);
/* A child that must be there. */
const Xml *pmml_need_child(Pmml *p, const Xml *e, const char *name);
/* Numbers; the attribute may be absent with the functions that have `otherwise`. */
bool pmml_number(Pmml *p, const Xml *e, const char *name, double *out);
bool pmml_number_or(Pmml *p, const Xml *e, const char *name, double otherwise, double *out);
bool pmml_int_or(Pmml *p, const Xml *e, const char *name, int otherwise, int lo, int hi,
                 int *out);
/* Which of `words` (NULL at its end) the attribute is. */
bool pmml_word(Pmml *p, const Xml *e, const char *name, const char *const *words, int otherwise,
               int *out);
bool pmml_flag(Pmml *p, const Xml *e, const char *name, bool otherwise, bool *out);

/* The text as a number as XML Schema writes it; false: it is none. */
bool pmml_parse_number(const char *text, double *out);

/* The words of <Array>, and as numbers; <REAL-SparseArray> and <INT-SparseArray> too. */
typedef VEC(const char *) Words;
bool pmml_words(Pmml *p, const Xml *array, Words *out);
bool pmml_numbers(Pmml *p, const Xml *array, int *n, double **out);
/* The cell of an <InlineTable>'s row; elements are known by their local names, though
 * columns may be written with a prefix.  NULL: there is none. */
const Xml *pmml_cell(const Xml *row, const char *column);
/* The entries of <Matrix>, row by row. */
bool pmml_matrix(Pmml *p, const Xml *matrix, int *rows, int *cols, double **out);

/* ---- Kernels (kernel.c) ---- */

typedef struct Step Step;

/* A vector between steps: an input of the graph, what a kernel writes, what trees give. */
typedef struct {
	const Step *step; /* that makes it; NULL: an input of the graph */
	DType type;
	int32_t n;
	const char *name;
	Value *value;     /* once the graph is made */
} Vec;

/* The builder of the current kernel. */
LBuilder *code(Pmml *p);

/* A vector as a buffer of the current kernel; starts a kernel behind the step that makes
 * the vector when there is none yet. */
LBuf *kernel_vec(Pmml *p, Vec *v);
/* Constants as a buffer. */
LBuf *kernel_table(Pmml *p, const char *name, DType t, int32_t n, const double *v);
/* Memory of the kernel. */
LBuf *kernel_scratch(Pmml *p, const char *name, DType t, int32_t n);
/* A new vector that the current kernel writes: store() puts the elements. */
Vec *kernel_output(Pmml *p, const char *name, DType t, int32_t n);
LBuf *kernel_output_buf(Pmml *p, Vec *v);

/* The expression, which is of the kernel `home`, in the current one. */
Expr *kernel_import(Pmml *p, Kernel *home, Expr *e);
/* Makes sure that what follows comes behind the kernel. */
Kernel *kernel_current(Pmml *p);

/* Trees as a step behind the current kernel; `features` has the outputs of the kernel. */
Vec *kernel_trees(Pmml *p, Ensemble *e, Vec *features, DType t, int32_t outputs,
                  const char *name, const Loc *loc);

/* All steps as nodes of the graph. */
bool kernel_finish(Pmml *p);

/* ---- Small code (value.c) ---- */

Expr *code_number(Pmml *p, double v);
Expr *code_int(Pmml *p, int64_t v); /* i32 */
Expr *code_select(Pmml *p, Expr *condition, Expr *x, Expr *y);
Expr *code_add(Pmml *p, Expr *x, Expr *y);
Expr *code_mul(Pmml *p, Expr *x, Expr *y);
Expr *code_op(Pmml *p, KOp op, Expr *x, Expr *y);
Expr *code_call(Pmml *p, const char *name, Expr *x);
Expr *code_and(Pmml *p, Expr *x, Expr *y);
Expr *code_or(Pmml *p, Expr *x, Expr *y);
Expr *code_not(Pmml *p, Expr *x);
Expr *code_is_nan(Pmml *p, Expr *x);
Expr *code_let(Pmml *p, const char *name, Expr *x);
/* Of a chain that grows with `i` every now and then: expressions may not be too deep. */
Expr *code_link(Pmml *p, const char *name, Expr *x, int i);
Val value_link(Pmml *p, const char *name, Val v, int i);
Expr *code_at(Pmml *p, LBuf *buf, int32_t i); /* an element */
void code_put(Pmml *p, LBuf *buf, int32_t i, Expr *x);
/* An element of a table of n numbers at an i32 index, `otherwise` outside of it. */
Expr *code_lookup(Pmml *p, LBuf *table, int32_t n, Expr *index, Expr *otherwise);

/* ---- Fields (fields.c) ---- */

/* The scope in which names are looked up now. */
Scope *scope_open(Pmml *p);
void scope_close(Pmml *p, Scope *outer);
/* Adds names. */
void scope_define(Pmml *p, const char *name, Val v);
bool scope_define_derived(Pmml *p, const Xml *derived_fields);
bool scope_read_schema(Pmml *p, const Xml *model, bool is_top);

/* The value of the field that e names. */
bool field_value(Pmml *p, const Xml *e, const char *name, Val *out);
/* What the caller gives for the DataField of that name, whatever the schema makes of it;
 * of a target that is what the row should have been. */
bool field_given(Pmml *p, const Xml *e, const char *name, Val *out);
/* The labels of the DataField of this name: those of its values, or of the strings that
 * it is compared with; NULL: there is no such field. */
Labels *field_data_labels(const Pmml *p, const char *name);
/* Makes inputs of the graph of the active fields of the schema in the current scope. */
bool field_declare_inputs(Pmml *p);
/* Whether x is in an <Interval>. */
bool interval_contains(Pmml *p, const Xml *interval, Expr *x, Expr **out);
bool field_exists_here(Pmml *p, const char *name); /* in the innermost scope */
/* The DataField of that name, or NULL. */
const Xml *field_data(const Pmml *p, const char *name);
/* Computes the fields that the element and those in it name, so that they are known
 * before a block opens. */
bool field_touch(Pmml *p, const Xml *e);

bool pmml_read_dictionary(Pmml *p, const Xml *root);

/* ---- Predicates (predicate.c) ---- */

/* In three-valued logic: neither true nor unknown is false. */
typedef struct {
	Expr *is_true;
	Expr *is_unknown; /* NULL: never */
} Truth;

/* The operators of <SimplePredicate>; comparisons first. */
typedef enum {
	PREDICATE_EQUAL,
	PREDICATE_NOT_EQUAL,
	PREDICATE_LESS,
	PREDICATE_LESS_OR_EQUAL,
	PREDICATE_GREATER,
	PREDICATE_GREATER_OR_EQUAL,
	PREDICATE_IS_MISSING,
	PREDICATE_IS_NOT_MISSING
} PredicateOp;

extern const char *const predicate_operators[];

Truth truth_and(Pmml *p, Truth x, Truth y);
Truth truth_or(Pmml *p, Truth x, Truth y);

/* Whether the element is a predicate. */
bool predicate_is(const Xml *e);
/* The child that is one; NULL: none. */
const Xml *predicate_child(const Xml *e);
bool predicate_read(Pmml *p, const Xml *e, Truth *out);
Expr *truth_is_false(Pmml *p, const Truth *t);

/* ---- Expressions (expression.c, functions.c) ---- */

bool expression_is(const Xml *e);
const Xml *expression_child(const Xml *e);
bool expression_read(Pmml *p, const Xml *e, Val *out);
/* The built-in function; *known is false when there is none. */
bool function_apply(Pmml *p, const Xml *e, const char *name, int n, const Val *x, bool *known,
                    Val *out);

/* ---- Models ---- */

typedef enum { FN_REGRESSION, FN_CLASSIFICATION, FN_CLUSTERING, FN_MIXED, FN_OTHER } Function;

/*
 * What a model gives.  Lists by class are buffers of f64 in the kernel `home`, in the
 * order of `classes`.
 */
typedef struct Result {
	bool want_probability, want_entity, want_error; /* set before: what is asked for */
	int want_ranks; /* of entities: the last one */
	Val predicted;
	Labels *classes;   /* labels of the target, of clusters; NULL: a number */
	const char **display; /* by class: words to show, NULL where there is none */
	int ndisplay;
	Kernel *home;
	LBuf *probability; /* by class; NULL: none */
	LBuf *confidence;  /* by class; NULL: as probability */
	Val entity;        /* entityId, clusterId, ruleId */
	Val affinity;      /* entityAffinity of the winner */
	LBuf *affinities;  /* by entity */
	Labels *entities;
	Val *ranked;       /* entities or reason codes from the best on; NULL: none */
	int nranked;
	Val *ranked_affinity;
	bool ranked_is_reason;
	Val standard_error;
	struct ModelOutputs *outputs; /* by name; targets beside the first one, too */
	int nsegments;
	const struct Segment *segment;
	int ntargets; /* of several targets, each with a result of its own; 0: one target */
	struct TargetResult *target;
} Result;

typedef struct ModelOutput {
	const char *name;
	Val v;
} ModelOutput;

typedef struct ModelOutputs {
	ModelOutput *v;
	int n, cap;
} ModelOutputs;

typedef struct Segment {
	const char *id; /* NULL: it has none */
	const Result *result;
} Segment;

typedef struct TargetResult {
	const char *name;
	Result result;
} TargetResult;

typedef struct {
	const char *name;
	bool (*read)(Pmml *p, const Xml *e, Result *out);
	const char *unsupported; /* why not; NULL: it is read */
} ModelInfo;

/* The row of models.def for the element; NULL: it is no model. */
const ModelInfo *model_find(const Xml *e);
/* The child of e that is a model. */
const Xml *model_child(const Xml *e);

/* A model with its schema, transformations, targets and outputs.  `out` is zero but for
 * what is asked for.  The scope stays that of before. */
bool model_read(Pmml *p, const Xml *e, bool is_top, Result *out);

/* functionName. */
bool model_function(Pmml *p, const Xml *e, Function *out);

/* The target: the name of the MiningField, NULL when there is none; and its labels. */
const char *model_target(const Pmml *p, const Xml *e);
/* All of them. */
void model_targets(const Pmml *p, const Xml *e, Words *out);
bool model_has_target(const Xml *e, const char *name);
Labels *model_target_labels(Pmml *p, const Xml *e);

/* The predicted label: that of the largest number, the first of equals; missing where
 * that is NaN. */
bool result_from_probability(Pmml *p, Result *r);
/* A result beside the first: of another target. */
void result_add_output(Pmml *p, Result *r, const char *name, Val v);
/* The result that is of this target alone; NULL: r does not tell targets apart. */
const Result *result_of_target(const Result *r, const char *name);
/* A number by class. */
Expr *result_probability(Pmml *p, const Result *r, int class);

/* x where `first` holds, else y. */
bool result_blend(Pmml *p, const Xml *e, Expr *first, const Result *x, const Result *y,
                  Result *out);

/* ---- Targets and outputs ---- */

bool targets_apply(Pmml *p, const Xml *model, Result *r);
/* Notes what the fields, children of `parent` with that name, want of the result. */
void output_find_wishes(const Xml *parent, const char *element, Result *r);
/* Computes them for the scope: children of the model itself. */
bool output_define_fields(Pmml *p, const Xml *model, const char *element, Result *r);
bool output_read(Pmml *p, const Xml *model, bool is_top, Result *r);

/* An output of the graph. */
bool output_add(Pmml *p, const Xml *e, const char *name, Val v);

bool verification_read(Pmml *p, const Xml *model);

/* ---- All of it ---- */

/* Fields of the graph's inputs and outputs. */
typedef struct {
	Field field;
	Vec *vec;
	Labels *labels;
} InputField;

typedef struct {
	const char *name;
	Val v;
	int place, element; /* which of Pmml.result it is in, and where */
} GraphOutput;

struct Pmml {
	Arena *a;
	Diag *d;
	const FrontendFile *file;
	Graph *g;
	const Xml *root;
	Scope *scope;      /* innermost */
	Scope *top;        /* of the top model, where global derived fields are computed */
	struct Steps *steps;
	VEC(const Xml *) functions; /* DefineFunction */
	int depth;         /* of expressions and models that are being read */
	VEC(InputField) input_fields;
	VEC(Val) invalid;  /* booleans: the row is invalid, all results are missing */
	VEC(GraphOutput) outputs;
	Vec *result[3];    /* numbers, floats, labels */
	Vec *numbers, *floats, *categories; /* inputs */
};

/* Limits recursion; false and an error when too deep. */
bool pmml_enter(Pmml *p, const Xml *e);
void pmml_leave(Pmml *p);

Loc pmml_loc(const Pmml *p, const Xml *e);

#define MODEL(id, name) bool model_##id(Pmml *p, const Xml *e, Result *out);
#define NO_MODEL(name, why)
#include "frontend/pmml/models.def"

#endif
