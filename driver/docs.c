/*
 * mcc-docs: writes what is generated from the tables of options and diagnostics
 * to standard output.  Used by the build and by the test that docs/ is current.
 */
#include <stdio.h>
#include <string.h>

#include "driver/help.h"

int
main(int argc, char **argv)
{
	Arena *a = arena_new(NULL, NULL);
	const char *page = argc == 2 ? argv[1] : "";
	Str s;
	bool ok;

	str_init(&s, a);
	if (strcmp(page, "mcc.1") == 0)
		help_man(&s, TOOL_MCC);
	else if (strcmp(page, "mcc-run.1") == 0)
		help_man(&s, TOOL_RUN);
	else if (strcmp(page, "options.md") == 0)
		help_options_page(&s);
	else if (strcmp(page, "diagnostics.md") == 0)
		help_diagnostics_page(&s);
	else
		fprintf(stderr, "usage: mcc-docs mcc.1|mcc-run.1|options.md|diagnostics.md\n");
	ok = fwrite(s.s, 1, s.n, stdout) == s.n && fflush(stdout) == 0 && s.n > 0;
	arena_free(a);
	return ok ? 0 : 2;
}
