/*
 * quantized_graphs FOLDER FIRST COUNT: writes random graphs as FOLDER/gN.mcc, for
 * conformance/quantized_graphs.py.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/quantized_graph.h"

static bool
write_graph(Arena *a, const char *folder, int number)
{
	Graph *g = quantized_graph(a, number);
	FILE *f = fopen(arena_printf(a, "%s/g%d.mcc", folder, number), "w");
	Str s;
	bool ok;

	if (!f)
		return false;
	str_init(&s, a);
	graph_print(&s, g);
	ok = fputs(s.s, f) >= 0;
	return fclose(f) == 0 && ok;
}

int
main(int argc, char **argv)
{
	int first, count;

	if (argc != 4)
		return 2;
	first = atoi(argv[2]);
	count = atoi(argv[3]);
	for (int i = first; i < first + count; i++) {
		Arena *a = arena_new(NULL, NULL);
		bool ok = write_graph(a, argv[1], i);

		arena_free(a);
		if (!ok)
			return 1;
	}
	return 0;
}
