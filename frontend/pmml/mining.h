/*
 * What mining.c and mining_choice.c share: a MiningModel that is being read.
 */
#ifndef MCC_FRONTEND_PMML_MINING_H
#define MCC_FRONTEND_PMML_MINING_H

#include "frontend/pmml/pmml.h"
#include "frontend/pmml/tree.h"

typedef enum {
	METHOD_MAJORITY,
	METHOD_WEIGHTED_MAJORITY,
	METHOD_AVERAGE,
	METHOD_WEIGHTED_AVERAGE,
	METHOD_MEDIAN,
	METHOD_WEIGHTED_MEDIAN,
	METHOD_MAX,
	METHOD_SUM,
	METHOD_WEIGHTED_SUM,
	METHOD_FIRST,
	METHOD_ALL,
	METHOD_CHAIN
} Method;

typedef enum { TREAT_CONTINUE, TREAT_SKIP, TREAT_RETURN } Treatment;

/* A segment, and what its model gave. */
typedef struct {
	const Xml *e, *predicate, *model;
	const char *id;
	double weight;
	const char *weight_field; /* NULL: the weight is a constant */
	Expr *active;             /* NULL: always */
	Kernel *home;             /* of `active` */
	Expr *chosen;             /* active, and of `selectFirst` the first; NULL: always */
	Kernel *chosen_home;
	Tree *tree;               /* in the ensemble of all trees; NULL: none */
	int number;               /* in it */
	Result result;
} Part;

typedef struct {
	Pmml *p;
	const Xml *e;
	Method method;
	bool keeps_all; /* outputs of a chain */
	Treatment missing;
	double threshold;
	Function function;
	VEC(Part) parts;
	Result *r;
} Mining;

/* The condition under which the segment counts; NULL: always. */
Expr *mining_active(Mining *m, const Part *part);

/* The result of `selectFirst` and of chains, once all segments have theirs. */
bool mining_choose(Mining *m);

#endif
