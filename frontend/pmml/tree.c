#include "frontend/pmml/tree.h"

#include <math.h>
#include <string.h>

#include "frontend/pmml/embedded.h"
#include "frontend/pmml/link.h"

/* ---- Reading ---- */

static int
find_child(const Tree *t, const PNode *node, const char *id)
{
	for (int i = 0; i < node->children; i++) {
		const char *other = xml_attr(t->node.v[node->first + i].e, "id");

		if (other && strcmp(other, id) == 0)
			return node->first + i;
	}
	return -1;
}

static bool
add_node(Pmml *p, Tree *t, const Xml *e, int parent)
{
	PNode node = {.e = e, .predicate = predicate_child(e), .parent = parent,
	              .default_child = -1, .leaf = -1};

	if (!node.predicate)
		return pmml_error(p, e, "there is no predicate in it");
	t->has_models = t->has_models || embedded_child(e);
	VEC_PUSH(p->a, &t->node, node);
	return true;
}

/* Nodes level by level, so that children are next to each other. */
static bool
read_nodes(Pmml *p, Tree *t)
{
	const Xml *root = pmml_need_child(p, t->e, "Node");

	if (!root || !add_node(p, t, root, -1))
		return false;
	for (int i = 0; i < t->node.n; i++) {
		const char *id = xml_attr(t->node.v[i].e, "defaultChild");

		t->node.v[i].first = t->node.n;
		for (const Xml *c = xml_child(t->node.v[i].e, "Node"); c; c = xml_same(c))
			if (!add_node(p, t, c, i))
				return false;
		t->node.v[i].children = t->node.n - t->node.v[i].first;
		if (!id || t->missing != MISSING_DEFAULT)
			continue;
		t->node.v[i].default_child = find_child(t, &t->node.v[i], id);
		if (t->node.v[i].default_child < 0)
			return pmml_error(p, t->node.v[i].e,
			                  "defaultChild=\"%.60s\" is no child of it", id);
	}
	return true;
}

bool
tree_read(Pmml *p, const Xml *e, Tree *out)
{
	static const char *const strategies[] = {"lastPrediction",
	                                         "nullPrediction",
	                                         "defaultChild",
	                                         "weightedConfidence",
	                                         "aggregateNodes",
	                                         "none",
	                                         NULL};
	static const char *const no_child[] = {"returnNullPrediction", "returnLastPrediction",
	                                       NULL};
	int missing, last;

	*out = (Tree){.e = e};
	if (!model_function(p, e, &out->function) ||
	    !pmml_word(p, e, "missingValueStrategy", strategies, MISSING_NONE, &missing) ||
	    !pmml_word(p, e, "noTrueChildStrategy", no_child, 0, &last) ||
	    !pmml_number_or(p, e, "missingValuePenalty", 1, &out->penalty))
		return false;
	out->missing = (MissingStrategy)missing;
	out->last_without_child = last == 1;
	return read_nodes(p, out);
}

bool
tree_is_walk(const Tree *t)
{
	return t->missing != MISSING_WEIGHTED && t->missing != MISSING_AGGREGATE &&
	       (t->penalty == 1 || t->missing != MISSING_DEFAULT ||
	        t->function != FN_CLASSIFICATION);
}

int
tree_leaf(Pmml *p, Tree *t, int node)
{
	if (t->node.v[node].leaf < 0) {
		t->node.v[node].leaf = t->leaf.n;
		VEC_PUSH(p->a, &t->leaf, node);
	}
	return t->node.v[node].leaf;
}

/* ---- What a node says ---- */

static const Xml *
leaf_element(const Tree *t, int leaf)
{
	return t->node.v[t->leaf.v[leaf]].e;
}

bool
tree_collect_classes(Pmml *p, const Tree *t, Labels *classes)
{
	for (int i = 0; i < t->node.n; i++) {
		const Xml *e = t->node.v[i].e;

		if (xml_attr(e, "score"))
			labels_add(p, classes, xml_attr(e, "score"));
		for (const Xml *c = xml_child(e, "ScoreDistribution"); c; c = xml_same(c)) {
			const char *text = pmml_need(p, c, "value");

			if (!text)
				return false;
			labels_add(p, classes, text);
		}
	}
	return true;
}

bool
tree_class(Pmml *p, const Tree *t, int leaf, Labels *classes, int *class)
{
	const Xml *e = leaf_element(t, leaf);
	const char *score = xml_attr(e, "score");
	double most = -1, count;

	*class = -1;
	if (score)
		*class = labels_add(p, classes, score);
	for (const Xml *c = xml_child(e, "ScoreDistribution"); c && !score; c = xml_same(c)) {
		if (!pmml_number(p, c, "recordCount", &count))
			return false;
		if (count > most) {
			most = count;
			*class = labels_find(classes, xml_attr(c, "value"));
		}
	}
	return true;
}

bool
tree_score(Pmml *p, const Tree *t, int leaf, double *score)
{
	return pmml_number_or(p, leaf_element(t, leaf), "score", (double)NAN, score);
}

bool
tree_distribution(Pmml *p, const Tree *t, int leaf, Labels *classes, int n, double *probability,
                  double *confidence)
{
	const Xml *e = leaf_element(t, leaf);
	double sum = 0, count;
	int class, entries = 0;

	for (int i = 0; i < n; i++)
		probability[i] = confidence[i] = 0;
	for (const Xml *c = xml_child(e, "ScoreDistribution"); c; c = xml_same(c), entries++) {
		if (!pmml_number(p, c, "recordCount", &count))
			return false;
		sum += count;
	}
	for (const Xml *c = xml_child(e, "ScoreDistribution"); c; c = xml_same(c)) {
		class = labels_find(classes, xml_attr(c, "value"));
		if (!pmml_number(p, c, "recordCount", &count) ||
		    !pmml_number_or(p, c, "probability", sum > 0 ? count / sum : 0,
		                    &probability[class]) ||
		    !pmml_number_or(p, c, "confidence", probability[class], &confidence[class]))
			return false;
	}
	/* A score alone is certain. */
	if (entries == 0 && tree_class(p, t, leaf, classes, &class) && class >= 0)
		probability[class] = confidence[class] = 1;
	return true;
}

/* ---- From the leaf to the result ---- */

static bool
result_distribution(Pmml *p, Tree *t, Expr *leaf, Expr *penalty, Result *r)
{
	int n = r->classes->v.n, leaves = t->leaf.n;
	double *probability = ARENA_ARRAY(p->a, double, leaves * n);
	double *confidence = ARENA_ARRAY(p->a, double, leaves * n);
	LBuf *list[2] = {NULL, NULL};
	LBuilder *b = code(p);

	for (int i = 0; i < leaves; i++)
		if (!tree_distribution(p, t, i, r->classes, n, probability + i * n,
		                       confidence + i * n))
			return false;
	for (int k = 0; k < 2; k++) {
		double *table = k ? confidence : probability;
		bool differs = penalty != NULL;
		LBuf *buf;
		Expr *i, *x, *row;

		for (int j = 0; j < leaves * n; j++)
			differs = differs || fabs(confidence[j] - probability[j]) > 1e-12;
		if (k == 1 && !differs)
			break;
		list[k] = kernel_scratch(p, k ? "confidence" : "probability", DT_F64, n);
		buf = kernel_table(p, k ? "confidences" : "probabilities", DT_F64, leaves * n,
		                   table);
		row = loop_let(b, "row", loop_clamp_idx(b, leaf, 0, leaves - 1));
		i = loop_for(b, "i", 0, n);
		x = loop_load(b, buf, loop_add(b, loop_affine(b, row, n, 0), i));
		if (k == 1 && penalty)
			x = code_mul(p, x, penalty);
		if (t->can_be_null)
			x = code_select(p, code_op(p, KOP_LT, leaf, code_int(p, 0)),
			                code_number(p, (double)NAN), x);
		loop_store(b, list[k], i, x);
		loop_end(b);
	}
	r->probability = list[0];
	r->confidence = list[1];
	return true;
}

static bool
result_entity(Pmml *p, Tree *t, Expr *leaf, Result *r)
{
	double *code_of = ARENA_ARRAY(p->a, double, t->leaf.n);
	bool same = true;

	r->entities = labels_new(p);
	for (int i = 0; i < t->leaf.n; i++) {
		const char *id = xml_attr(leaf_element(t, i), "id");

		/* Without an id a node is known by its number in the file. */
		if (!id)
			id = arena_printf(p->a, "%d", t->leaf.v[i] + 1);
		code_of[i] = labels_add(p, r->entities, id);
		same = same && code_of[i] == i;
	}
	if (!same)
		leaf = code_lookup(p, kernel_table(p, "entities", DT_I32, t->leaf.n, code_of),
		                   t->leaf.n, leaf, code_int(p, -1));
	r->entity = value_label(p, r->entities, leaf);
	r->entity.labelled = true;
	r->entity.never_missing = !t->can_be_null;
	return true;
}

bool
tree_result(Pmml *p, Tree *t, Expr *leaf, Expr *penalty, Result *r)
{
	double *table = ARENA_ARRAY(p->a, double, t->leaf.n);
	bool classes = t->function == FN_CLASSIFICATION;
	Expr *x;

	for (int i = 0; i < t->leaf.n; i++) {
		int class;

		if (classes ? !tree_class(p, t, i, r->classes, &class)
		            : !tree_score(p, t, i, &table[i]))
			return false;
		if (classes)
			table[i] = class;
	}
	r->home = kernel_current(p);
	if (r->want_entity && !result_entity(p, t, leaf, r))
		return false;
	if (!classes) {
		x = code_lookup(p, kernel_table(p, "scores", DT_F64, t->leaf.n, table), t->leaf.n,
		                leaf, code_number(p, (double)NAN));
		r->predicted = value_of(p, TYPE_DOUBLE, code_let(p, "score", x));
		return true;
	}
	x = code_lookup(p, kernel_table(p, "classes", DT_I32, t->leaf.n, table), t->leaf.n, leaf,
	                code_int(p, -1));
	r->predicted = value_label(p, r->classes, code_let(p, "class", x));
	r->predicted.labelled = true;
	r->predicted.never_missing = !t->can_be_null;
	return !r->want_probability || result_distribution(p, t, leaf, penalty, r);
}

bool
tree_ask_models(Pmml *p, Tree *t, Expr *leaf, Result *r)
{
	Kernel *home = kernel_current(p);

	for (int i = 0; i < t->leaf.n; i++) {
		const Xml *model = embedded_child(leaf_element(t, i));
		Result asked = {.want_probability = r->want_probability}, before = *r;
		Expr *is_here;

		if (!model)
			continue;
		if (!embedded_read(p, model, &asked))
			return false;
		is_here = code_op(p, KOP_EQ, kernel_import(p, home, leaf), code_int(p, i));
		if (!result_blend(p, model, code_let(p, "asked", is_here), &asked, &before, r))
			return false;
		r->entity = before.entity;
		r->entities = before.entities;
	}
	return true;
}

static void
give_leaf(void *user, int tree, int leaf, double *values, int32_t *target)
{
	(void)user;
	(void)tree;
	*values = leaf;
	*target = 0;
}

bool
model_tree(Pmml *p, const Xml *e, Result *r)
{
	Tree *t = ARENA_NEW(p->a, Tree);
	Loc loc = pmml_loc(p, e);
	Forest *f;
	Vec *leaves;
	Expr *leaf;

	if (!tree_read(p, e, t))
		return false;
	if (t->function == FN_CLASSIFICATION) {
		r->classes = model_target_labels(p, e);
		if (!tree_collect_classes(p, t, r->classes))
			return false;
	}
	if (!tree_is_walk(t))
		return tree_write(p, t, r);
	f = forest_new(p);
	if (!forest_add(f, t))
		return false;
	leaves = forest_finish(f, DT_I32, 1, 1, give_leaf, NULL, &loc);
	if (!leaves)
		return false;
	leaf = loop_load(code(p), kernel_vec(p, leaves), loop_idx(code(p), 0));
	leaf = code_let(p, "leaf", leaf);
	return tree_result(p, t, leaf, NULL, r) && tree_ask_models(p, t, leaf, r);
}
