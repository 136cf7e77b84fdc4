/*
 * Making the ensembles of decision trees of a model smaller, as the options ask.
 */
#ifndef MCC_DRIVER_SHRINK_H
#define MCC_DRIVER_SHRINK_H

#include "driver/job.h"

/* Whether the options ask for it. */
bool shrink_is_wanted(const Options *o);

/* Reports options that have no effect, or lack another. */
void shrink_check(const Options *o);

/* Shrinks all ensembles of the job's graph as the options ask, and keeps the report in it. */
bool shrink_run(Job *j);

/* The same in that way. */
bool shrink_graph(Job *j, const TreeShrink *how);
bool shrink_is_nothing(const TreeShrink *how);

/* Appends that report, if there is one: as text, or as JSON objects with commas between
 * them. */
void shrink_report(Str *s, const Job *j);
void shrink_report_json(Str *s, const Job *j);

#endif
