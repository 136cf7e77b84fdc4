/*
 * Trees as conditions: those that go several ways where a value is missing, and those
 * that count missing values.
 *
 * A block for each node is entered with a weight.  Where it is known which child is
 * true, that child gets the whole weight.  Where it is unknown
 *
 *	weightedConfidence  each child that is not false gets the part of the weight that
 *	                    its records are of theirs
 *	aggregateNodes      each child that is not false gets the whole weight
 *	defaultChild        that child gets the weight, and the penalty is multiplied
 *
 * The leaves add, times their weight, the confidences of the classes, or with
 * aggregateNodes the records of each.
 */
#include <math.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/tree.h"

enum { DEEPEST = 20 }; /* nested blocks: three a level */

typedef struct {
	Pmml *p;
	Tree *t;
	LVar *leaf, *penalty;
	LBuf *sum; /* by class; of a regression the score and the weight */
	int classes;
} Writer;

static bool
counts_leaves(const Writer *w)
{
	return w->t->missing == MISSING_DEFAULT;
}

static bool
records_of(Pmml *p, const Xml *e, double *out)
{
	double sum = 0, count;

	if (xml_attr(e, "recordCount"))
		return pmml_number(p, e, "recordCount", out);
	for (const Xml *c = xml_child(e, "ScoreDistribution"); c; c = xml_same(c)) {
		if (!pmml_number(p, c, "recordCount", &count))
			return false;
		sum += count;
	}
	*out = sum;
	return true;
}

/* ---- Ends ---- */

static void
add_to(Writer *w, int i, Expr *weight, double v)
{
	Pmml *p = w->p;
	Expr *x = code_mul(p, weight, code_number(p, v));

	if (v != 0)
		code_put(p, w->sum, i, code_add(p, code_at(p, w->sum, i), x));
}

static bool
write_end(Writer *w, int node, Expr *weight)
{
	Pmml *p = w->p;
	int leaf = tree_leaf(p, w->t, node), n = w->classes;
	double *probability = ARENA_ARRAY(p->a, double, n + 1);
	double *confidence = ARENA_ARRAY(p->a, double, n + 1);
	const Xml *e = w->t->node.v[node].e;
	double score, records;

	loop_set(code(p), w->leaf, code_int(p, leaf));
	if (counts_leaves(w))
		return true;
	if (w->t->function != FN_CLASSIFICATION) {
		if (!tree_score(p, w->t, leaf, &score) || !records_of(p, e, &records))
			return false;
		if (w->t->missing == MISSING_WEIGHTED)
			records = 1;
		add_to(w, 0, weight, score * records);
		add_to(w, 1, weight, records);
		return true;
	}
	if (!tree_distribution(p, w->t, leaf, w->t->classes, n, probability, confidence) ||
	    !records_of(p, e, &records))
		return false;
	for (int i = 0; i < n; i++)
		add_to(w, i, weight,
		       w->t->missing == MISSING_WEIGHTED ? confidence[i]
		                                         : probability[i] * records);
	return true;
}

/* ---- Nodes ---- */

/* Child i: entered with this weight; its number is `picked` when all is known. */
typedef struct {
	Truth truth;
	double records;
} Child;

static bool write_node(Writer *w, int node, Expr *weight, int depth);

static bool
read_children(Writer *w, const PNode *n, Child *child, double *records)
{
	Pmml *p = w->p;

	*records = 0;
	for (int i = 0; i < n->children; i++) {
		const PNode *c = &w->t->node.v[n->first + i];

		if (!predicate_read(p, c->predicate, &child[i].truth) ||
		    !records_of(p, c->e, &child[i].records))
			return false;
		child[i].truth.is_true = code_let(p, "holds", child[i].truth.is_true);
		if (child[i].truth.is_unknown)
			child[i].truth.is_unknown =
				code_let(p, "unknown", child[i].truth.is_unknown);
	}
	return true;
}

/* The first child that is true when none before it is unknown: its number, the number of
 * children for none, one more for unknown. */
static Expr *
pick_child(Writer *w, const PNode *n, const Child *child)
{
	Pmml *p = w->p;
	Expr *e = code_int(p, n->children);

	for (int i = n->children - 1; i >= 0; i--) {
		e = code_select(p, child[i].truth.is_true, code_int(p, i), e);
		if (child[i].truth.is_unknown)
			e = code_select(p, child[i].truth.is_unknown, code_int(p, n->children + 1),
			                e);
	}
	return code_let(p, "picked", e);
}

/* The weights of the children where it is unknown which is true. */
static void
share_weight(Writer *w, const PNode *n, const Child *child, Expr *weight, Expr **out)
{
	Pmml *p = w->p;
	Expr *all = code_number(p, 0), *zero = code_number(p, 0);

	for (int i = 0; i < n->children; i++) {
		Expr *is_false = truth_is_false(p, &child[i].truth);

		out[i] = code_select(p, is_false, zero,
		                     code_number(p, w->t->missing == MISSING_WEIGHTED
		                                            ? child[i].records
		                                            : 1));
		out[i] = code_let(p, "share", out[i]);
		all = code_add(p, all, out[i]);
	}
	all = code_let(p, "all", all);
	for (int i = 0; i < n->children; i++) {
		out[i] = code_mul(p, weight, out[i]);
		if (w->t->missing == MISSING_WEIGHTED)
			out[i] = code_op(p, KOP_DIV, out[i], all);
	}
}

static bool
write_children(Writer *w, int node, Expr *weight, int depth)
{
	Pmml *p = w->p;
	const PNode n = w->t->node.v[node];
	Child *child = ARENA_ARRAY(p->a, Child, n.children);
	Expr **share = ARENA_ARRAY(p->a, Expr *, n.children), *picked, *unknown;
	LBuilder *b = code(p);
	double records;

	if (!read_children(w, &n, child, &records))
		return false;
	picked = pick_child(w, &n, child);
	unknown = code_op(p, KOP_GT, picked, code_int(p, n.children));
	if (counts_leaves(w) && n.default_child >= 0) {
		LVar *way = loop_var(b, "way", picked);

		loop_if(b, unknown);
		loop_set(b, w->penalty, code_mul(p, loop_get(b, w->penalty),
		                                 code_number(p, w->t->penalty)));
		loop_set(b, way, code_int(p, n.default_child - n.first));
		loop_end(b);
		picked = loop_get(b, way);
	} else if (!counts_leaves(w)) {
		share_weight(w, &n, child, weight, share);
	}
	for (int i = 0; i < n.children; i++) {
		Expr *here = code_op(p, KOP_EQ, picked, code_int(p, i)), *with = weight;

		if (!counts_leaves(w)) {
			with = code_select(p, here, weight,
			                   code_select(p, unknown, share[i], code_number(p, 0)));
			with = code_let(p, "weight", with);
			here = code_op(p, KOP_GT, with, code_number(p, 0));
		}
		loop_if(b, here);
		if (!write_node(w, n.first + i, with, depth + 1))
			return false;
		loop_end(b);
	}
	if (!w->t->last_without_child) {
		w->t->can_be_null = true;
		return true;
	}
	loop_if(b, code_op(p, KOP_EQ, picked, code_int(p, n.children)));
	if (!write_end(w, node, weight))
		return false;
	loop_end(b);
	return true;
}

static bool
write_node(Writer *w, int node, Expr *weight, int depth)
{
	if (w->t->node.v[node].children == 0)
		return write_end(w, node, weight);
	if (depth == DEEPEST)
		return pmml_unsupported(
			w->p, w->t->node.v[node].e,
			"a tree with this missingValueStrategy that is deeper than %d", DEEPEST);
	return write_children(w, node, weight, depth);
}

/* ---- Results ---- */

/* The largest sum wins; what the classes have are the sums, or their parts of them. */
static bool
result_of_sums(Writer *w, Result *r)
{
	Pmml *p = w->p;
	Expr *x;

	r->home = kernel_current(p);
	if (w->t->function != FN_CLASSIFICATION) {
		x = code_op(p, KOP_DIV, code_at(p, w->sum, 0), code_at(p, w->sum, 1));
		r->predicted = value_of(p, TYPE_DOUBLE, code_let(p, "score", x));
		return true;
	}
	if (w->t->missing == MISSING_AGGREGATE)
		link_simplemax(p, w->sum, w->classes);
	r->probability = w->sum;
	return result_from_probability(p, r);
}

bool
tree_write(Pmml *p, Tree *t, Result *r)
{
	LBuilder *b = code(p);
	Writer w = {.p = p, .t = t};
	Expr *leaf;

	if (t->has_models && !counts_leaves(&w))
		return pmml_unsupported(p, t->e, "a model in a node of a tree that goes several "
		                                 "ways at once");
	t->classes = r->classes;
	w.classes = r->classes ? r->classes->v.n : 0;
	/* Everything that is asked for in a block must be known before. */
	for (int i = 0; i < t->node.n; i++)
		if (!field_touch(p, t->node.v[i].predicate))
			return false;
	b = code(p);
	w.leaf = loop_var(b, "leaf", code_int(p, -1));
	if (counts_leaves(&w)) {
		w.penalty = loop_var(b, "penalty", code_number(p, 1));
	} else {
		int n = w.classes ? w.classes : 2;

		w.sum = kernel_scratch(p, "sum", DT_F64, n);
		for (int i = 0; i < n; i++)
			code_put(p, w.sum, i, code_number(p, 0));
	}
	if (!write_node(&w, 0, code_number(p, 1), 0))
		return false;
	if (!counts_leaves(&w))
		return result_of_sums(&w, r);
	leaf = code_let(p, "leaf", loop_get(b, w.leaf));
	return tree_result(p, t, leaf, loop_get(b, w.penalty), r) &&
	       tree_ask_models(p, t, leaf, r);
}
