#define _XOPEN_SOURCE 700

#include "driver/timing.h"

#include <assert.h>
#include <sys/resource.h>
#include <time.h>

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void
timing_begin(Timing *t, const char *name)
{
	assert(t->nsteps < TIMING_MAX_STEPS);
	t->name[t->nsteps] = name;
	t->start[t->nsteps++] = now();
}

void
timing_report(Str *s, Timing *t)
{
	struct rusage usage;
	double total;

	t->start[t->nsteps] = now();
	total = t->start[t->nsteps] - t->start[0];
	str_puts(s, "step            seconds     part\n");
	for (int i = 0; i < t->nsteps; i++) {
		double seconds = t->start[i + 1] - t->start[i];

		str_printf(s, "%-14s %8.3f %7.1f%%\n", t->name[i], seconds,
		           total > 0 ? 100 * seconds / total : 0);
	}
	str_printf(s, "%-14s %8.3f\n", "total", total);
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		str_printf(s, "%-14s %8.1f MiB\n", "peak memory", (double)usage.ru_maxrss / 1024);
}
