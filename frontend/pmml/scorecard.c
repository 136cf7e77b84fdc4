/*
 * Scorecard: the sum of what the first attribute of each characteristic that holds gives.
 *
 * With reason codes the difference of each partial score and its baseline counts for the
 * code of the attribute, or of its characteristic; the codes are ranked by what they got,
 * the largest first.  Those that got nothing are left out.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/pmml.h"

typedef struct {
	Pmml *p;
	const Xml *e;
	bool use_reasons, below;
	Labels *codes;
	LBuf *points; /* by code; minus infinity: it has none */
	Expr *score;
} Card;

/* ---- Reading ---- */

static const char *
reason_of(const Xml *attribute)
{
	const char *s = xml_attr(attribute, "reasonCode");

	return s ? s : xml_attr(attribute->parent, "reasonCode");
}

/* The baseline: of the attribute, the characteristic or the card. */
static bool
baseline_of(Card *m, const Xml *attribute, double *out)
{
	const Xml *place[] = {attribute, attribute->parent, m->e};

	for (int i = 0; i < 3; i++)
		if (xml_attr(place[i], "baselineScore"))
			return pmml_number(m->p, place[i], "baselineScore", out);
	return pmml_error(m->p, attribute, "there is no baselineScore for its reason code");
}

static bool
collect_codes(Card *m, const Xml *characteristics)
{
	for (const Xml *c = xml_child(characteristics, "Characteristic"); c; c = xml_same(c))
		for (const Xml *a = xml_child(c, "Attribute"); a; a = xml_same(a)) {
			const char *code = reason_of(a);

			if (!code)
				return pmml_error(m->p, a, "there is no reason code for it");
			labels_add(m->p, m->codes, code);
		}
	return true;
}

static bool
partial_score(Card *m, const Xml *attribute, Expr **out)
{
	const Xml *complex = xml_child(attribute, "ComplexPartialScore");
	const Xml *e = complex ? expression_child(complex) : NULL;
	double number;
	Val v;

	if (e)
		return expression_read(m->p, e, &v) && value_to_number(m->p, e, v, out);
	if (!pmml_number(m->p, attribute, "partialScore", &number))
		return false;
	*out = code_number(m->p, number);
	return true;
}

/* ---- A characteristic ---- */

typedef struct {
	Expr *score, *difference, *code; /* of the first attribute that holds */
} Choice;

static bool
choose_attribute(Card *m, const Xml *characteristic, Choice *out)
{
	Pmml *p = m->p;
	VEC(const Xml *) list = {0};

	*out = (Choice){code_number(p, (double)NAN), code_number(p, (double)NAN), code_int(p, -1)};
	for (const Xml *a = xml_child(characteristic, "Attribute"); a; a = xml_same(a))
		VEC_PUSH(p->a, &list, a);
	for (int i = list.n - 1; i >= 0; i--) {
		const Xml *a = list.v[i], *predicate = predicate_child(a);
		Expr *score, *difference, *holds;
		double baseline;
		Truth t;

		if (!predicate)
			return pmml_error(p, a, "there is no predicate in it");
		if (!predicate_read(p, predicate, &t) || !partial_score(m, a, &score))
			return false;
		holds = code_let(p, "holds", t.is_true);
		out->score = code_link(p, "partial", code_select(p, holds, score, out->score), i);
		if (!m->use_reasons)
			continue;
		if (!baseline_of(m, a, &baseline))
			return false;
		difference = m->below ? code_op(p, KOP_SUB, code_number(p, baseline), score)
		                      : code_op(p, KOP_SUB, score, code_number(p, baseline));
		out->difference = code_link(p, "difference",
		                            code_select(p, holds, difference, out->difference), i);
		out->code = code_select(p, holds, code_int(p, labels_find(m->codes, reason_of(a))),
		                        out->code);
		out->code = code_link(p, "code", out->code, i);
	}
	return list.n > 0 || pmml_error(p, characteristic, "there is no <Attribute> in it");
}

static void
add_reason(Card *m, const Choice *c)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	Expr *at, *before, *difference = code_let(p, "difference", c->difference);
	Expr *which = code_let(p, "code", c->code);

	loop_if(b, code_op(p, KOP_GE, which, code_int(p, 0)));
	at = loop_let(b, "at", loop_clamp_idx(b, which, 0, m->codes->v.n - 1));
	before = loop_load(b, m->points, at);
	before = code_select(p, code_op(p, KOP_EQ, before, code_number(p, -HUGE_VAL)),
	                     code_number(p, 0), before);
	loop_store(b, m->points, at, code_add(p, before, difference));
	loop_end(b);
}

static bool
add_characteristic(Card *m, const Xml *c)
{
	Choice choice;

	if (!choose_attribute(m, c, &choice))
		return false;
	m->score = code_let(m->p, "score",
	                    code_add(m->p, m->score,
	                             code_let(m->p, "partial", choice.score)));
	if (m->use_reasons)
		add_reason(m, &choice);
	return true;
}

/* ---- Ranking ---- */

static bool
highest_rank(Card *m, int *out)
{
	const Xml *output = xml_child(m->e, "Output");

	*out = 0;
	for (const Xml *o = xml_child(output, "OutputField"); o; o = xml_same(o)) {
		const char *feature = xml_attr(o, "feature");
		int rank;

		if (!feature || strcmp(feature, "reasonCode") != 0)
			continue;
		if (!pmml_int_or(m->p, o, "rank", 1, 1, 1 << 16, &rank))
			return false;
		*out = rank > *out ? rank : *out;
	}
	*out = *out < m->codes->v.n ? *out : m->codes->v.n;
	return true;
}

static bool
rank_codes(Card *m, Result *r)
{
	Pmml *p = m->p;
	LBuilder *b = code(p);
	Expr *least = code_number(p, -HUGE_VAL), *at;
	int n = m->codes->v.n;

	r->ranked_is_reason = true;
	if (!highest_rank(m, &r->nranked))
		return false;
	r->ranked = ARENA_ARRAY(p->a, Val, r->nranked);
	for (int k = 0; k < r->nranked; k++) {
		Expr *best = link_largest(p, m->points, n);

		at = loop_let(b, "at", loop_clamp_idx(b, best, 0, n - 1));
		best = code_select(p, code_op(p, KOP_EQ, loop_load(b, m->points, at), least),
		                   code_int(p, -1), best);
		r->ranked[k] = value_label(p, m->codes, code_let(p, "reason", best));
		r->ranked[k].labelled = true;
		loop_store(b, m->points, at, least);
	}
	return true;
}

bool
model_scorecard(Pmml *p, const Xml *e, Result *r)
{
	static const char *const algorithms[] = {"pointsAbove", "pointsBelow", NULL};
	const Xml *list = pmml_need_child(p, e, "Characteristics");
	Card m = {.p = p, .e = e, .codes = labels_new(p)};
	double initial;
	int algorithm;

	if (!list || !pmml_number_or(p, e, "initialScore", 0, &initial) ||
	    !pmml_flag(p, e, "useReasonCodes", true, &m.use_reasons) ||
	    !pmml_word(p, e, "reasonCodeAlgorithm", algorithms, 1, &algorithm))
		return false;
	m.below = algorithm == 1;
	m.score = code_number(p, initial);
	if (m.use_reasons && !collect_codes(&m, list))
		return false;
	if (!field_touch(p, list))
		return false;
	if (m.use_reasons && m.codes->v.n > 0) {
		m.points = kernel_scratch(p, "points", DT_F64, m.codes->v.n);
		for (int i = 0; i < m.codes->v.n; i++)
			code_put(p, m.points, i, code_number(p, -HUGE_VAL));
	}
	for (const Xml *c = xml_child(list, "Characteristic"); c; c = xml_same(c))
		if (!add_characteristic(&m, c))
			return false;
	r->predicted = value_of(p, TYPE_DOUBLE, m.score);
	return !m.points || rank_codes(&m, r);
}
