/*
 * Decision trees.
 *
 * A tree whose nodes can be walked one after the other becomes part of an ensemble, the
 * operator `trees`: its features are the fields, as numbers or labels, and the truth of
 * predicates that are more than one comparison.  Trees that go several ways at once, and
 * those with a penalty for missing values, are written as conditions.
 */
#ifndef MCC_FRONTEND_PMML_TREE_H
#define MCC_FRONTEND_PMML_TREE_H

#include "frontend/pmml/pmml.h"

typedef enum {
	MISSING_LAST,
	MISSING_NULL,
	MISSING_DEFAULT,
	MISSING_WEIGHTED,
	MISSING_AGGREGATE,
	MISSING_NONE
} MissingStrategy;

/* A node of the file; number 0 is the root. */
typedef struct {
	const Xml *e, *predicate;
	int parent, first, children; /* children are consecutive */
	int default_child;           /* number of a node; -1: none */
	int leaf;                    /* among those that can be the result; -1: not yet */
} PNode;

typedef struct {
	const Xml *e; /* the TreeModel */
	MissingStrategy missing;
	bool last_without_child; /* no true child: the result is that of the node */
	double penalty;
	Function function;
	VEC(PNode) node;
	VEC(int) leaf; /* numbers of the nodes that can be the result */
	bool can_be_null;
	bool has_models; /* a node has one, which gives its result */
	Labels *classes; /* of a classification */
} Tree;

bool tree_read(Pmml *p, const Xml *e, Tree *out);

/* Whether the tree can be part of an ensemble. */
bool tree_is_walk(const Tree *t);

/* Where a node has a model, the result is that of the model; `leaf` as in tree_result. */
bool tree_ask_models(Pmml *p, Tree *t, Expr *leaf, Result *r);

/* The number of the node among the leaves. */
int tree_leaf(Pmml *p, Tree *t, int node);

/* ---- Ensembles (forest.c) ---- */

typedef struct Forest Forest;

Forest *forest_new(Pmml *p);

/*
 * Adds a walk.  What its end gives is said later: forest_finish() calls `give` for each
 * leaf of each tree, -1 for no result, which fills in `width` numbers and the first
 * output that they belong to.
 */
bool forest_add(Forest *f, Tree *t);
typedef void ForestLeaf(void *user, int tree, int leaf, double *values, int32_t *target);
Vec *forest_finish(Forest *f, DType sum, int32_t outputs, int32_t width, ForestLeaf *give,
                   void *user, const Loc *loc);

/* ---- Results (tree.c) ---- */

/* The class or number of a leaf: its score. */
bool tree_class(Pmml *p, const Tree *t, int leaf, Labels *classes, int *class);
bool tree_score(Pmml *p, const Tree *t, int leaf, double *score);
/* Its probabilities and confidences by class; false after an error. */
bool tree_distribution(Pmml *p, const Tree *t, int leaf, Labels *classes, int n,
                       double *probability, double *confidence);

/* Makes all labels of the tree known. */
bool tree_collect_classes(Pmml *p, const Tree *t, Labels *classes);

/* The result of a tree from the i32 number of the leaf, below 0: none. */
bool tree_result(Pmml *p, Tree *t, Expr *leaf, Expr *penalty, Result *r);

/* ---- As conditions (tree_code.c) ---- */

bool tree_write(Pmml *p, Tree *t, Result *r);

#endif
