/*
 * Dates and times as ISO 8601 writes them, as numbers.
 */
#ifndef MCC_BASE_DATE_H
#define MCC_BASE_DATE_H

#include <stdbool.h>

/* 2024-02-29: days since 1970-01-01. */
bool date_parse(const char *text, double *days);

/* 13:45:00 or 13:45:00.5: seconds since midnight. */
bool date_parse_time(const char *text, double *seconds);

/* Both, with a T or a blank between: seconds since 1970-01-01; a date alone is midnight.
 * A Z at the end is allowed, other zones are not. */
bool date_parse_both(const char *text, double *seconds);

#endif
