/*
 * What the parts of the C printer share.
 */
#ifndef MCC_CODEGEN_C_PRINT_H
#define MCC_CODEGEN_C_PRINT_H

#include "codegen/c/c.h"
#include "codegen/c/names.h"
#include "codegen/target/arm_products.h"

enum { COLUMNS = 100, TAB = 8 };

typedef enum {
#define HELPER(id, name, text) HELPER_##id,
#include "codegen/c/helpers.def"
	HELPER_COUNT
} HelperKind;

/* Functions on vectors, of 2 << size lanes. */
typedef enum {
#define VECTOR(id, name, result, params, lane, gnu) VECTOR_##id,
#define NATIVE(id, lanes, condition, text)
#include "codegen/c/vectors.def"
	VECTOR_COUNT
} VectorKind;

enum { VECTOR_SIZES = 6 };

/* A function of the mathematical library and its name in C. */
typedef struct {
	const LFunc *fn;
	const char *name;
	Str text;
} ScalarFunc;

/* What the printed code needs from its surroundings. */
typedef struct {
	bool helper[HELPER_COUNT][DT_COUNT][DT_COUNT];
	bool vector[VECTOR_COUNT][VECTOR_SIZES];
	bool math, floats, doubles, signed_shift, infinity, nan, packed, dot, products;
} Uses;

/* The file that is being printed. */
typedef struct {
	Arena *arena;
	const char *prefix, *upper; /* of names, of macros */
	const char *arena_params, *arena_args; /* "void *arena", "arena" */
	bool hosted;
	unsigned isa; /* of the machine */
	bool is_trial; /* what is printed will be thrown away: print no functions for it */
	Names names;   /* global */
	VEC(ScalarFunc *) scalars; /* each behind those it calls */
	Uses uses;
} CFile;

/* The function that is being printed. */
typedef struct {
	CFile *file;
	const LFunc *fn;
	Names names;
	const char **var_name; /* by LVar.index */
	const char **end_name; /* by LVar.index: of a loop's bound; NULL until needed */
	const char **buf_name; /* by LBuf.index */
	bool *var_live;  /* by LVar.index: printed; the others are never read */
	bool *var_used;  /* read by what was printed so far */
	bool *buf_used;
	ArmProducts *products; /* NULL: runs of them are statements like others */
	const char *temp[ARM_RUN_REGISTERS]; /* their temporary values; NULL until needed */
	Str body;
} CFunc;

/* ---- helpers.c ---- */

/* The name of a helper, which will be printed. */
const char *helper_name(CFile *f, HelperKind kind, DType t, DType s);
void helpers_print(Str *s, const CFile *f);

/* Keeps the names of all helpers from being used for anything else. */
void helpers_reserve(CFile *f);

/* The unsigned C type of the same size. */
const char *unsigned_type(DType t);

/* ---- vectors.c ---- */

/* The C type of a vector. */
const char *vector_type(const CFile *f, DType t, int lanes);

/* Prints an expression that is a vector but no variable, and a statement that stores one. */
void vector_print(CFunc *f, Str *s, const Expr *e);
void vector_store_print(CFunc *f, Str *s, const Stmt *st);

/* Types and functions that were used; as for helpers. */
void vectors_print(Str *s, const CFile *f);
void vectors_reserve(CFile *f);

/* ---- expr.c ---- */

/* How tightly an expression binds, loosest first. */
typedef enum {
	PREC_TERNARY,
	PREC_OR,
	PREC_AND,
	PREC_BIT,
	PREC_SHIFT,
	PREC_COMPARE,
	PREC_ADD,
	PREC_MUL,
	PREC_UNARY,
	PREC_CAST,
	PREC_PRIMARY
} Prec;

/* Prints an expression in parentheses when it binds looser than `at_least`. */
void c_expr_print(CFunc *f, Str *s, const Expr *e, Prec at_least);

/* A constant of type t: element i of data. */
void const_print(CFile *f, Str *s, DType t, const void *data, size_t i);

/* ---- scalar.c ---- */

/* The C name of a scalar function, which is printed on first use. */
const char *scalar_name(CFile *f, const LFunc *fn);

/* ---- func.c ---- */

/*
 * Prints parameters, as one line with the parentheses, and body of `fn`.  Buffers
 * with plain[index] may overlap with others and get no restrict; NULL: none.
 * used[index] tells which buffers became parameters; NULL: not wanted.
 */
void func_print(CFile *f, const LFunc *fn, const bool *plain, bool *used, Str *params, Str *body);

/* Adds a line with `depth` tabs, broken at spaces when it is too long. */
void line_print(Str *s, int depth, const char *text, size_t n);

/* ---- interface.c ---- */

/* Whether the graph names all its fields, so that there are structs. */
bool interface_is_whole(const Graph *g);

/* The fields of a graph; takes their names, so it is made before anything else has one. */
typedef struct Interface Interface;
Interface *interface_new(CFile *file, const Graph *g);

/* The types of the fields, and the function that takes them; nothing without fields. */
void interface_print(Interface *x, Str *types, Str *function);

/* ---- data.c ---- */

/* The values of an array, as lines with `depth` tabs; an empty array gets one 0. */
void data_print(CFile *f, Str *s, int depth, DType t, const void *data, size_t n);

#endif
