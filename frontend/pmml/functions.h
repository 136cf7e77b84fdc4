/*
 * What the files of built-in functions share: functions.c has those of numbers and
 * truth, functions_text.c those of strings and dates.
 */
#ifndef MCC_FRONTEND_PMML_FUNCTIONS_H
#define MCC_FRONTEND_PMML_FUNCTIONS_H

#include "frontend/pmml/pmml.h"

enum { AGGREGATE_MIN, AGGREGATE_MAX, AGGREGATE_SUM, AGGREGATE_PRODUCT, AGGREGATE_AVG };
enum {
	MATH_LN,
	MATH_LN1P,
	MATH_SQRT,
	MATH_EXP,
	MATH_EXPM1,
	MATH_SIN,
	MATH_COS,
	MATH_TAN,
	MATH_ASIN,
	MATH_ACOS,
	MATH_ATAN,
	MATH_SINH,
	MATH_COSH,
	MATH_TANH,
	MATH_ERF,
	MATH_FLOOR,
	MATH_CEIL,
	MATH_RINT
};
enum { SPECIAL_LOG10, SPECIAL_ROUND, SPECIAL_ABS };
enum { SPECIAL_POW, SPECIAL_MODULO, SPECIAL_THRESHOLD, SPECIAL_HYPOT, SPECIAL_ATAN2 };
enum { NORMAL_CDF, NORMAL_PDF, NORMAL_IDF };
enum {
	TEXT_UPPER,
	TEXT_LOWER,
	TEXT_TRIM,
	TEXT_SUBSTRING,
	TEXT_CONCAT,
	TEXT_LENGTH,
	TEXT_REPLACE,
	TEXT_MATCHES
};
enum { DATE_DAYS, DATE_SECONDS, DATE_MIDNIGHT };

/* A call: `what` is the row's. */
typedef struct {
	Pmml *p;
	const Xml *e;
	int n;
	const Val *x;
	int what;
} Call;

typedef bool FunctionCode(const Call *c, Val *out);

FunctionCode function_text, function_date;

/* Argument i as a number. */
bool call_number(const Call *c, int i, Expr **out);

#endif
