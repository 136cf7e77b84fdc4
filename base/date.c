#include "base/date.h"

#include <string.h>

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static double
days_from_civil(int year, int month, int day)
{
	int y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400;
	int of_era = y - era * 400,
	    of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return (double)era * 146097 + (of_era * 365 + of_era / 4 - of_era / 100 + of_year) - 719468;
}

/* `digits` digits and the character behind them. */
static bool
take_digits(const char **s, int digits, char behind, int *out)
{
	*out = 0;
	for (int i = 0; i < digits; i++, ++*s) {
		if (**s < '0' || **s > '9')
			return false;
		*out = 10 * *out + (**s - '0');
	}
	if (behind && *(*s)++ != behind)
		return false;
	return true;
}

bool
date_parse_time(const char *s, double *out)
{
	int h, m, sec;
	double fraction = 0;

	if (!take_digits(&s, 2, ':', &h) || !take_digits(&s, 2, ':', &m) ||
	    !take_digits(&s, 2, 0, &sec) || h > 24 || m > 59 || sec > 60)
		return false;
	if (*s == '.') {
		double unit = 0.1;

		for (s++; *s >= '0' && *s <= '9'; s++, unit /= 10)
			fraction += unit * (*s - '0');
	}
	*out = h * 3600 + m * 60 + sec + fraction;
	return !*s || strcmp(s, "Z") == 0;
}

/* Moves *s behind the date. */
static bool
take_date(const char **s, double *days)
{
	int year, month, day;

	if (!take_digits(s, 4, '-', &year) || !take_digits(s, 2, '-', &month) ||
	    !take_digits(s, 2, 0, &day) || month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	*days = days_from_civil(year, month, day);
	return true;
}

bool
date_parse(const char *s, double *out)
{
	return take_date(&s, out) && !*s;
}

bool
date_parse_both(const char *s, double *out)
{
	double days, seconds = 0;

	if (!take_date(&s, &days))
		return false;
	if (*s && ((*s != 'T' && *s != ' ') || !date_parse_time(s + 1, &seconds)))
		return false;
	*out = days * 86400 + seconds;
	return true;
}
