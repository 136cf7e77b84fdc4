/*
 * Formulas that several models need.
 */
#ifndef MCC_FRONTEND_PMML_LINK_H
#define MCC_FRONTEND_PMML_LINK_H

#include "frontend/pmml/pmml.h"

/* The standard normal distribution, and its inverse. */
Expr *link_normal_cdf(Pmml *p, Expr *x);
Expr *link_normal_idf(Pmml *p, Expr *x);

/* Inverse link functions, by the words that files use. */
typedef enum {
	LINK_IDENTITY,
	LINK_LOGIT,
	LINK_PROBIT,
	LINK_CLOGLOG,
	LINK_LOGLOG,
	LINK_CAUCHIT,
	LINK_EXP
} Link;

Expr *link_inverse(Pmml *p, Link link, Expr *x);

/* x to the power of a constant: small whole ones are products. */
Expr *link_power(Pmml *p, Expr *x, double exponent);

/* Sorts the numbers among the n elements, leaves NaNs out; the middle of them, or NaN. */
Expr *link_median(Pmml *p, LBuf *v, int n);

/* Divides n elements by their sum. */
void link_simplemax(Pmml *p, LBuf *v, int n);
void link_softmax(Pmml *p, LBuf *v, int n);

/* The i32 number of the largest of n elements, the first of equals; -1 where the first
 * is NaN. */
Expr *link_largest(Pmml *p, LBuf *v, int n);
Expr *link_smallest(Pmml *p, LBuf *v, int n);
/* The numbers of the elements in the order of their values, the first of equals first, as
 * a buffer of i32. */
LBuf *link_order(Pmml *p, LBuf *v, int n, bool largest_first);

#endif
