/*
 * ClusteringModel: the cluster whose centre is nearest.
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/measure.h"

static bool
read_missing_weights(Pmml *p, const Xml *e, double **out)
{
	const Xml *array = xml_child(xml_child(e, "MissingValueWeights"), "Array");
	int n, fields = 0;

	*out = NULL;
	for (const Xml *c = xml_child(e, "ClusteringField"); c; c = xml_same(c)) {
		const char *center = xml_attr(c, "isCenterField");

		fields += !center || strcmp(center, "false") != 0;
	}
	if (!array)
		return true;
	if (!pmml_numbers(p, array, &n, out))
		return false;
	return n == fields || pmml_error(p, array, "it has %d weights for %d fields", n, fields);
}

/* The centre of a cluster: numbers, and values of categorical fields. */
static bool
read_center(Pmml *p, const Xml *array, Measure *m, double *out)
{
	int fields = measure_fields(m);
	Words words;

	if (!pmml_words(p, array, &words))
		return false;
	if (words.n != fields)
		return pmml_error(p, array, "it has %d numbers for %d fields", words.n, fields);
	for (int i = 0; i < fields; i++) {
		if (measure_has_labels(m, i)) {
			if (!measure_number(m, array, i, words.v[i], &out[i]))
				return false;
		} else if (!pmml_parse_number(words.v[i], &out[i])) {
			return pmml_error(p, array, "'%.60s' is no number", words.v[i]);
		}
	}
	return true;
}

static bool
read_centers(Pmml *p, const Xml *e, Measure *m, Labels *ids, int *n, double **rows)
{
	int i = 0, fields = measure_fields(m);

	*n = xml_count(e, "Cluster");
	if (*n == 0 || *n > INT32_MAX / 8 / fields)
		return pmml_error(p, e, "there are no clusters, or too many");
	*rows = ARENA_ARRAY(p->a, double, *n * fields);
	for (const Xml *c = xml_child(e, "Cluster"); c; c = xml_same(c), i++) {
		const Xml *array = pmml_need_child(p, c, "Array");
		/* Without an id a cluster is known by its number, from 1. */
		const char *id = xml_attr(c, "id") ? xml_attr(c, "id")
		                                   : arena_printf(p->a, "%d", i + 1);

		if (!array || !read_center(p, array, m, *rows + (ptrdiff_t)i * fields))
			return false;
		if (labels_add(p, ids, id) != i)
			return pmml_error(p, c, "there is another cluster '%.60s'", id);
	}
	return true;
}

/* The names of clusters, where the file has them. */
static void
read_names(Pmml *p, const Xml *e, Result *r)
{
	int i = 0;

	r->ndisplay = r->classes->v.n;
	r->display = ARENA_ARRAY(p->a, const char *, r->ndisplay);
	for (const Xml *c = xml_child(e, "Cluster"); c; c = xml_same(c), i++)
		r->display[i] = xml_attr(c, "name");
}

/* The clusters from the nearest on, as far as they are asked for. */
static void
rank_clusters(Pmml *p, LBuf *list, bool largest_first, Result *r)
{
	int n = list->count < r->want_ranks ? list->count : r->want_ranks;
	LBuf *order;

	if (r->want_ranks < 2)
		return;
	order = link_order(p, list, list->count, largest_first);
	r->nranked = n;
	r->ranked = ARENA_ARRAY(p->a, Val, n);
	r->ranked_affinity = ARENA_ARRAY(p->a, Val, n);
	for (int k = 0; k < n; k++) {
		Expr *at = code_let(p, "ranked", code_at(p, order, k)), *x;

		/* Without a cluster there is no order. */
		at = code_select(p, value_is_missing(p, &r->predicted), code_int(p, -1), at);
		at = code_let(p, "ranked", at);
		r->ranked[k] = value_label(p, r->classes, at);
		r->ranked[k].labelled = true;
		x = code_lookup(p, list, list->count, at, code_number(p, (double)NAN));
		r->ranked_affinity[k] = value_of(p, TYPE_DOUBLE, code_let(p, "affinity", x));
	}
}

bool
model_clustering(Pmml *p, const Xml *e, Result *r)
{
	static const char *const classes[] = {"centerBased", "distributionBased", NULL};
	double *missing, *rows = NULL;
	Measure *m;
	LBuf *list;
	Expr *best;
	int class, n = 0;

	if (!pmml_word(p, e, "modelClass", classes, 0, &class))
		return false;
	if (class == 1)
		return pmml_unsupported(p, e, "a clustering by distributions");
	if (!read_missing_weights(p, e, &missing))
		return false;
	m = measure_read(p, e, e, "ClusteringField", missing);
	r->classes = labels_new(p);
	if (!m || !read_centers(p, e, m, r->classes, &n, &rows))
		return false;
	list = measure_compute(m, n, rows);
	if (!list)
		return false;
	r->home = kernel_current(p);
	best = measure_is_distance(m) ? link_smallest(p, list, n) : link_largest(p, list, n);
	r->predicted = value_label(p, r->classes, code_let(p, "cluster", best));
	r->predicted.labelled = true;
	r->entity = r->predicted;
	r->entities = r->classes;
	r->affinities = list;
	r->affinity = value_of(p, TYPE_DOUBLE,
	                       code_lookup(p, list, n, best, code_number(p, (double)NAN)));
	read_names(p, e, r);
	rank_clusters(p, list, !measure_is_distance(m), r);
	return true;
}
