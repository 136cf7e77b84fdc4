/*
 * AnomalyDetectionModel: what the model in it says, as an anomaly score.
 *
 *	iforest          2^(-h / c(n)), with the average path h of the trees, n samples and
 *	                 the average path c(n) of a search tree with n entries
 *	ocsvm, other     the result itself
 *	clusterMeanDist  the distance to the cluster by the mean one of that cluster
 */
#include <math.h>
#include <string.h>

#include "frontend/pmml/link.h"
#include "frontend/pmml/pmml.h"

typedef enum { ANOMALY_FOREST, ANOMALY_SVM, ANOMALY_CLUSTER, ANOMALY_OTHER } Algorithm;

static double
average_path(double n)
{
	if (n <= 1)
		return 0;
	if (n == 2)
		return 1;
	return 2 * (log(n - 1) + 0.57721566490153286061) - 2 * (n - 1) / n;
}

static bool
forest_score(Pmml *p, const Xml *e, const Result *in, Val *out)
{
	double n;
	Expr *x;

	if (!pmml_number(p, e, "sampleDataSize", &n))
		return false;
	if (!(n >= 2))
		return pmml_error(p, e, "sampleDataSize has to be 2 or more");
	if (!value_to_number(p, e, in->predicted, &x))
		return false;
	x = code_mul(p, x, code_number(p, -0.69314718055994530942 / average_path(n)));
	*out = value_of(p, TYPE_DOUBLE, code_let(p, "score", code_call(p, "exp", x)));
	return true;
}

static bool
cluster_score(Pmml *p, const Xml *e, const Result *in, Val *out)
{
	const Xml *means = pmml_need_child(p, e, "MeanClusterDistances");
	const Xml *array = means ? pmml_need_child(p, means, "Array") : NULL;
	double *mean;
	Val cluster = value_here(p, in->predicted), distance = value_here(p, in->affinity);
	LBuf *table;
	Expr *x;
	int n;

	if (!array || !pmml_numbers(p, array, &n, &mean))
		return false;
	if (!in->affinity.is_set || n != in->classes->v.n)
		return pmml_error(p, array, "there must be one distance for each cluster");
	table = kernel_table(p, "mean_distance", DT_F64, n, mean);
	x = code_lookup(p, table, n, cluster.e, code_number(p, (double)NAN));
	*out = value_of(p, TYPE_DOUBLE, code_let(p, "score", code_op(p, KOP_DIV, distance.e, x)));
	return true;
}

bool
model_anomaly_detection(Pmml *p, const Xml *e, Result *r)
{
	static const char *const words[] = {"iforest", "ocsvm", "clusterMeanDist", "other", NULL};
	const Xml *inner = model_child(e);
	Result *in = ARENA_NEW(p->a, Result);
	int algorithm;

	if (!inner)
		return pmml_error(p, e, "there is no model in it");
	if (!pmml_need(p, e, "algorithmType") ||
	    !pmml_word(p, e, "algorithmType", words, 0, &algorithm) ||
	    !model_read(p, inner, false, in))
		return false;
	if (!in->predicted.is_set)
		return pmml_error(p, inner, "it has no result");
	switch ((Algorithm)algorithm) {
	case ANOMALY_FOREST: return forest_score(p, e, in, &r->predicted);
	case ANOMALY_CLUSTER: return cluster_score(p, e, in, &r->predicted);
	case ANOMALY_SVM:
	case ANOMALY_OTHER: break;
	}
	r->predicted = in->predicted;
	return true;
}
