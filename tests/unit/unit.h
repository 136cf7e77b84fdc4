/* The end of every unit test's main(): runs a suite with Check. */
#ifndef MCC_TESTS_UNIT_UNIT_H
#define MCC_TESTS_UNIT_UNIT_H

#include <check.h>

/* The exit status of the test program. */
static inline int
unit_run(Suite *s)
{
	SRunner *runner = srunner_create(s);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
