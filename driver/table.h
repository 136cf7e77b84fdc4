/*
 * Rows for models that name their fields (Graph.input_fields), from and to CSV files.
 *
 * The first line has the names.  A column for each input field gives its values: numbers,
 * words of a category, dates; a cell that is empty, NA or N/A is missing.  Other columns
 * are passed over, and a field without a column is missing in every row.  Cells may stand
 * in double quotes.
 */
#ifndef MCC_DRIVER_TABLE_H
#define MCC_DRIVER_TABLE_H

#include "driver/arrays.h"

/* Whether the file's name ends in .csv. */
bool table_is_csv(const char *file);

/* Fills the inputs from the file; one call a row. */
bool table_read(Arrays *x, Job *j, const char *file);

/* Appends all output fields of all calls. */
void table_print(Str *s, const Arrays *x, const Graph *g);

#endif
