/*
 * The report of --report= as one page of HTML that needs nothing else.
 */
#ifndef MCC_DRIVER_REPORT_HTML_H
#define MCC_DRIVER_REPORT_HTML_H

#include "codegen/program/program.h"
#include "driver/job.h"

/* Appends the page: sizes, the memory plan over time, each layer's constants and
 * operations, and what compression did to it. */
void report_html(Str *s, const Job *j, const Program *p);

#endif
