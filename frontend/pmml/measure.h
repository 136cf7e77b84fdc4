/*
 * <ComparisonMeasure>: how far apart a row and a list of numbers are.
 */
#ifndef MCC_FRONTEND_PMML_MEASURE_H
#define MCC_FRONTEND_PMML_MEASURE_H

#include "frontend/pmml/pmml.h"

typedef struct Measure Measure;

/*
 * Reads the measure of a model and its fields: the children of `list` with the name
 * `element` and the attributes field, fieldWeight, compareFunction, similarityScale.
 * A field without a value is left out, and what is left is scaled up.
 */
Measure *measure_read(Pmml *p, const Xml *model, const Xml *list, const char *element,
                      const double *missing_weights);

/* How many fields there are; labels are numbers of the field's labels. */
int measure_fields(const Measure *m);
/* Whether the field is a string, compared by its number. */
bool measure_has_labels(const Measure *m, int field);
/* What a text is as a number of the field. */
bool measure_number(Measure *m, const Xml *e, int field, const char *text, double *out);

/* Whether less is nearer. */
bool measure_is_distance(const Measure *m);

/* Computes the distances or similarities to `n` rows of numbers. */
LBuf *measure_compute(Measure *m, int n, const double *rows);

#endif
