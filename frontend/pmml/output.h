/*
 * Outputs of models and of the graph.
 */
#ifndef MCC_FRONTEND_PMML_OUTPUT_H
#define MCC_FRONTEND_PMML_OUTPUT_H

#include "frontend/pmml/pmml.h"

/* The output of that name among those of a model; NULL: none. */
const Val *output_find(const Result *r, const char *name);

/* Stores all outputs, at the end of the last kernel. */
bool output_finish(Pmml *p);
/* Makes outputs of the graph, once it has been made. */
void output_declare(Pmml *p);

#endif
