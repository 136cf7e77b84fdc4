/*
 * The segment of a MiningModel whose result is taken: the first that is active, or of a
 * chain the last.
 *
 * Of several targets each has what was chosen among the segments that name it.  Outputs of
 * the segments that may be chosen are outputs of the model, too.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "frontend/pmml/mining.h"
#include "frontend/pmml/output.h"

Expr *
mining_active(Mining *m, const Part *part)
{
	return part->active ? kernel_import(m->p, part->home, part->active) : NULL;
}

static bool
missing_result(Mining *m, const Result *like, Result *out)
{
	Pmml *p = m->p;
	LBuf *list;

	*out = (Result){.classes = like->classes};
	if (like->predicted.is_set)
		out->predicted = value_missing(p, like->predicted.type, like->predicted.labels);
	if (like->entity.is_set)
		out->entity = value_missing(p, like->entity.type, like->entity.labels);
	out->entities = like->entities;
	if (!like->probability)
		return true;
	out->home = kernel_current(p);
	out->probability = list = kernel_scratch(p, "list", DT_F64, like->probability->count);
	for (int i = 0; i < list->count; i++)
		code_put(p, list, i, code_number(p, (double)NAN));
	return true;
}

/*
 * The first that is active, or of a chain the last.  The results of segments are `of`;
 * those that are NULL do not count.
 */
static bool
choose(Mining *m, const Result *const *of, Result *out)
{
	int n = m->parts.n, at = m->method == METHOD_CHAIN ? 0 : n - 1;
	int step = m->method == METHOD_CHAIN ? 1 : -1, start = -1;

	/* Whatever is before one that is always asked does not matter. */
	for (int i = 0, k = at; i < n; i++, k += step)
		if (of[k] && (start < 0 || !m->parts.v[k].active))
			start = k;
	assert(start >= 0);
	*out = *of[start];
	if (!m->parts.v[start].active)
		at = start + step;
	else if (!missing_result(m, of[start], out))
		return false;
	for (; at >= 0 && at < n; at += step) {
		const Part *part = &m->parts.v[at];
		Result before = *out;

		if (of[at] && !result_blend(m->p, m->e, mining_active(m, part), of[at], &before, out))
			return false;
	}
	out->outputs = NULL;
	return true;
}

/* What the segment gives for the target of that name; NULL: it is none of its targets. */
static const Result *
result_for(const Mining *m, const Part *part, const char *name)
{
	const Result *r = result_of_target(&part->result, name);
	const Val *beside;
	Result *other;

	if (r || part->result.ntargets || !model_has_target(part->model, name))
		return r;
	if (strcmp(model_target(m->p, part->model), name) == 0)
		return &part->result;
	if (!(beside = output_find(&part->result, name)))
		return NULL;
	other = ARENA_NEW(m->p->a, Result);
	*other = (Result){.predicted = *beside, .classes = beside->labels};
	return other;
}

static Expr *
chosen_here(Mining *m, const Part *part)
{
	return part->chosen ? kernel_import(m->p, part->chosen_home, part->chosen) : NULL;
}

/* When each segment counts: of a chain when it is active, of `selectFirst` when those
 * before are not. */
static void
find_chosen(Mining *m)
{
	Pmml *p = m->p;
	Expr *taken = NULL;

	for (int i = 0; i < m->parts.n; i++) {
		Part *part = &m->parts.v[i];
		Expr *active = mining_active(m, part), *x = active;

		if (m->method == METHOD_FIRST && taken) {
			x = code_not(p, taken);
			x = active ? code_and(p, active, x) : x;
		}
		part->chosen = x == active ? x : code_let(p, "chosen", x);
		part->chosen_home = kernel_current(p);
		if (!active)
			active = loop_bool(code(p), true);
		taken = taken ? code_link(p, "taken", code_or(p, taken, active), i) : active;
	}
}

/* The result for one target, missing where no segment that is chosen is about it; *known
 * tells whether any is. */
static bool
choose_for(Mining *m, const char *name, bool *known, Result *out)
{
	*known = false;
	for (int i = 0; i < m->parts.n; i++) {
		const Part *part = &m->parts.v[i];
		const Result *r = result_for(m, part, name);
		Expr *chosen = chosen_here(m, part);
		Result before;

		if (!r)
			continue;
		if (!*known && chosen && !missing_result(m, r, out))
			return false;
		*known = true;
		before = *out;
		if (!chosen)
			*out = *r;
		else if (!result_blend(m->p, m->e, chosen, r, &before, out))
			return false;
		out->outputs = NULL;
	}
	return true;
}

static bool
choose_by_target(Mining *m, const Words *names)
{
	TargetResult *t = ARENA_ARRAY(m->p->a, TargetResult, names->n);
	int n = 0;

	for (int i = 0; i < names->n; i++) {
		bool known;

		if (!choose_for(m, names->v[i], &known, &t[n].result))
			return false;
		if (known)
			t[n++].name = names->v[i];
	}
	if (n == 0)
		return pmml_unsupported(m->p, m->e,
		                        "several targets, none of which a segment names,");
	m->r->target = t;
	m->r->ntargets = n;
	return true;
}

/* Whether one value can hold the result of whichever segment is chosen. */
static bool
is_of_one_kind(const Mining *m)
{
	bool chain = m->method == METHOD_CHAIN;
	const Val *first = NULL;

	for (int i = 0; i < m->parts.n; i++) {
		const Part *part = &m->parts.v[chain ? m->parts.n - 1 - i : i];
		const Val *v = &part->result.predicted;

		first = first ? first : v;
		if (!v->is_set || value_has_number(v) != value_has_number(first) ||
		    (!value_has_number(v) && value_kind(v) != value_kind(first)))
			return false;
		if (!part->active)
			break; /* those behind it are never chosen */
	}
	return true;
}

/* The result of the segment that is chosen, whatever its target is. */
static bool
choose_any(Mining *m, const char *target)
{
	const Result **of = ARENA_ARRAY(m->p->a, const Result *, m->parts.n);
	Result wish = *m->r;
	int first = 0;

	/* Models at the start of a chain that have no target only serve those behind them. */
	while (target && m->method == METHOD_CHAIN && first < m->parts.n &&
	       !model_has_target(m->parts.v[first].model, target))
		first++;
	for (int i = first < m->parts.n ? first : 0; i < m->parts.n; i++)
		of[i] = &m->parts.v[i].result;
	if (!choose(m, of, m->r))
		return false;
	m->r->want_probability = wish.want_probability;
	m->r->want_entity = wish.want_entity;
	m->r->target = wish.target;
	m->r->ntargets = wish.ntargets;
	return true;
}

static bool
keep_outputs(Mining *m, const Part *part)
{
	Pmml *p = m->p;
	Expr *chosen = chosen_here(m, part);

	for (int i = 0; part->result.outputs && i < part->result.outputs->n; i++) {
		const ModelOutput *o = &part->result.outputs->v[i];
		const Val *before = output_find(m->r, o->name);
		Val v = o->v;

		if (chosen &&
		    !value_select(p, part->e, chosen, v,
		                  before ? *before : value_missing(p, v.type, v.labels), &v))
			return false;
		result_add_output(p, m->r, o->name, v);
	}
	return true;
}

/* Of the segments that may give the result the outputs are those of the model, too. */
static bool
pass_outputs(Mining *m)
{
	int n = m->parts.n, first = 0, end = n;

	if (m->method == METHOD_CHAIN && !m->keeps_all)
		for (first = n - 1; first > 0 && m->parts.v[first].active;)
			first--;
	for (int i = 0; i < n && m->method == METHOD_FIRST && end == n; i++)
		if (!m->parts.v[i].active)
			end = i + 1;
	for (int i = first; i < end; i++)
		if (!keep_outputs(m, &m->parts.v[i]))
			return false;
	return true;
}

/* The entity is the segment that is chosen, when the models have none. */
static bool
name_segments(Mining *m)
{
	Labels *ids = labels_new(m->p);

	for (int i = 0; i < m->parts.n; i++)
		if (m->parts.v[i].result.entity.is_set)
			return true;
	for (int i = 0; i < m->parts.n; i++) {
		Part *part = &m->parts.v[i];

		part->result.entities = ids;
		if (!value_constant(m->p, part->e, part->id, TYPE_STRING, ids,
		                    &part->result.entity))
			return false;
		part->result.entity.labelled = true;
	}
	return true;
}

bool
mining_choose(Mining *m)
{
	Words names = {0};

	if (m->method == METHOD_FIRST && m->r->want_entity && !name_segments(m))
		return false;
	find_chosen(m);
	model_targets(m->p, m->e, &names);
	if (names.n < 2)
		return choose_any(m, names.n ? names.v[0] : NULL) && pass_outputs(m);
	if (!choose_by_target(m, &names))
		return false;
	return (!is_of_one_kind(m) || choose_any(m, NULL)) && pass_outputs(m);
}
