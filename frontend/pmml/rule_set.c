/*
 * RuleSetModel: rules that hold speak for a class each.
 *
 *	firstHit      the first one decides
 *	weightedSum   the class with the largest sum of weights
 *	weightedMax   the rule with the largest weight
 *
 * The first method that the file names is taken.  The confidence of the winner is that
 * of its rule; of a sum its part of the number of rules that hold.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/pmml.h"

typedef enum { PICK_SUM, PICK_MAX, PICK_FIRST } Pick;

/* A simple rule, and when it holds. */
typedef struct {
	const Xml *e;
	int class;
	double weight, confidence;
	Expr *holds;
} Rule;

typedef struct {
	Pmml *p;
	const Xml *e, *set;
	Pick pick;
	VEC(Rule) rules;
	Labels *classes, *ids;
} RuleSet;

static bool add_rules(RuleSet *m, const Xml *parent, Expr *outer);

static bool
add_rule(RuleSet *m, const Xml *e, Expr *outer)
{
	Pmml *p = m->p;
	const Xml *predicate = predicate_child(e);
	bool simple = xml_is(e, "SimpleRule");
	Rule rule = {.e = e};
	const char *score;
	Truth t;

	if (!predicate)
		return pmml_error(p, e, "there is no predicate in it");
	if (!predicate_read(p, predicate, &t))
		return false;
	rule.holds = outer ? code_and(p, outer, t.is_true) : t.is_true;
	rule.holds = code_let(p, "rule", rule.holds);
	if (!simple)
		return add_rules(m, e, rule.holds);
	score = pmml_need(p, e, "score");
	if (!score || !pmml_number_or(p, e, "weight", 1, &rule.weight) ||
	    !pmml_number_or(p, e, "confidence", 1, &rule.confidence))
		return false;
	rule.class = labels_add(p, m->classes, score);
	VEC_PUSH(p->a, &m->rules, rule);
	return true;
}

static bool
add_rules(RuleSet *m, const Xml *parent, Expr *outer)
{
	bool ok = true;

	if (!pmml_enter(m->p, parent))
		return false;
	for (const Xml *c = xml_first(parent); ok && c; c = xml_next(c))
		if (xml_is(c, "SimpleRule") || xml_is(c, "CompoundRule"))
			ok = add_rule(m, c, outer);
	pmml_leave(m->p);
	return ok;
}

/* ---- One rule decides ---- */

/* The number of the rule: the first that holds, or the heaviest; below 0: none. */
static Expr *
pick_rule(RuleSet *m)
{
	Pmml *p = m->p;
	Expr *e = code_int(p, -1), *most = code_number(p, -HUGE_VAL);

	if (m->pick == PICK_FIRST) {
		for (int i = m->rules.n - 1; i >= 0; i--) {
			e = code_select(p, m->rules.v[i].holds, code_int(p, i), e);
			e = code_link(p, "hit", e, i);
		}
		return code_let(p, "hit", e);
	}
	for (int i = 0; i < m->rules.n; i++) {
		Expr *w = code_number(p, m->rules.v[i].weight);
		Expr *better = code_let(
			p, "better", code_and(p, m->rules.v[i].holds, code_op(p, KOP_GT, w, most)));

		e = code_let(p, "hit", code_select(p, better, code_int(p, i), e));
		most = code_let(p, "most", code_select(p, better, w, most));
	}
	return e;
}

static bool
decide_by_rule(RuleSet *m, int otherwise, double confidence, Result *r)
{
	Pmml *p = m->p;
	int n = m->rules.n;
	double *class = ARENA_ARRAY(p->a, double, n), *sure = ARENA_ARRAY(p->a, double, n);
	double *id = ARENA_ARRAY(p->a, double, n);
	Expr *hit = pick_rule(m), *e, *x;
	LBuf *list;

	for (int i = 0; i < n; i++) {
		const char *text = xml_attr(m->rules.v[i].e, "id");

		class[i] = m->rules.v[i].class;
		sure[i] = m->rules.v[i].confidence;
		id[i] = labels_add(p, m->ids, text ? text : arena_printf(p->a, "%d", i + 1));
	}
	e = n ? code_lookup(p, kernel_table(p, "rule_class", DT_I32, n, class), n, hit,
	                    code_int(p, otherwise))
	      : code_int(p, otherwise);
	r->predicted = value_label(p, m->classes, code_let(p, "class", e));
	r->predicted.labelled = true;
	r->home = kernel_current(p);
	if (r->want_entity && n) {
		e = code_lookup(p, kernel_table(p, "rule_id", DT_I32, n, id), n, hit,
		                code_int(p, -1));
		r->entities = m->ids;
		r->entity = value_label(p, m->ids, e);
		r->entity.labelled = true;
	}
	if (!r->want_probability)
		return true;
	x = code_number(p, confidence);
	if (n)
		x = code_lookup(p, kernel_table(p, "rule_confidence", DT_F64, n, sure), n, hit, x);
	x = code_let(p, "sure", x);
	r->probability = list = kernel_scratch(p, "confidence", DT_F64, m->classes->v.n);
	for (int i = 0; i < list->count; i++)
		code_put(p, list, i,
		         code_select(p, code_op(p, KOP_EQ, r->predicted.e, code_int(p, i)), x,
		                     code_number(p, 0)));
	return true;
}

/* ---- A sum decides ---- */

static bool
decide_by_sum(RuleSet *m, int otherwise, double confidence, Result *r)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	LBuf *list = kernel_scratch(p, "weights", DT_F64, m->classes->v.n);
	Expr *count = code_number(p, 0), *one = code_number(p, 1), *none, *best, *i;

	for (int k = 0; k < list->count; k++)
		code_put(p, list, k, code_number(p, 0));
	for (int k = 0; k < m->rules.n; k++) {
		const Rule *rule = &m->rules.v[k];

		loop_if(b, rule->holds);
		code_put(p, list, rule->class,
		         code_add(p, code_at(p, list, rule->class), code_number(p, rule->weight)));
		loop_end(b);
		count = code_let(p, "count",
		                 code_select(p, rule->holds, code_add(p, count, one), count));
	}
	none = code_let(p, "no_rule", code_op(p, KOP_EQ, count, code_number(p, 0)));
	best = code_select(p, none, code_int(p, otherwise), link_largest(p, list, list->count));
	r->home = kernel_current(p);
	r->predicted = value_label(p, m->classes, code_let(p, "class", best));
	r->predicted.labelled = true;
	i = loop_for(b, "i", 0, list->count);
	loop_store(b, list, i, code_select(p, none, code_number(p, 0),
	                                   code_op(p, KOP_DIV, loop_load(b, list, i), count)));
	loop_end(b);
	if (otherwise >= 0)
		code_put(p, list, otherwise,
		         code_select(p, none, code_number(p, confidence),
		                     code_at(p, list, otherwise)));
	r->probability = list;
	return true;
}

bool
model_rule_set(Pmml *p, const Xml *e, Result *r)
{
	static const char *const criteria[] = {"weightedSum", "weightedMax", "firstHit", NULL};
	RuleSet m = {.p = p, .e = e, .set = pmml_need_child(p, e, "RuleSet")};
	const Xml *method = m.set ? pmml_need_child(p, m.set, "RuleSelectionMethod") : NULL;
	const char *text = m.set ? xml_attr(m.set, "defaultScore") : NULL;
	int pick, otherwise;
	double confidence;

	if (!method || !pmml_need(p, method, "criterion") ||
	    !pmml_word(p, method, "criterion", criteria, 0, &pick) ||
	    !pmml_number_or(p, m.set, "defaultConfidence", 0, &confidence))
		return false;
	m.pick = (Pick)pick;
	m.classes = r->classes = model_target_labels(p, e);
	m.ids = labels_new(p);
	otherwise = text ? labels_add(p, m.classes, text) : -1;
	if (!field_touch(p, m.set) || !add_rules(&m, m.set, NULL))
		return false;
	if (m.classes->v.n == 0)
		return pmml_error(p, m.set, "there are no classes");
	return m.pick == PICK_SUM ? decide_by_sum(&m, otherwise, confidence, r)
	                          : decide_by_rule(&m, otherwise, confidence, r);
}
