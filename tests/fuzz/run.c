/* Feeds each file of the named folders to the fuzz target. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, n;

	if (!f) {
		perror(path);
		return 0;
	}
	do {
		data = realloc(data, size + 65536);
		n = fread(data + size, 1, 65536, f);
		size += n;
	} while (n);
	fclose(f);
	/* Exactly as large as the file, so that reading past its end is noticed. */
	data = realloc(data, size ? size : 1);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

int
main(int argc, char **argv)
{
	int runs = 0;

	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		struct dirent *e;

		if (!d) {
			perror(argv[i]);
			return 1;
		}
		while ((e = readdir(d)) != NULL) {
			char path[4096];

			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
			printf("%s\n", path);
			fflush(stdout);
			if (!run_file(path))
				return 1;
			runs++;
		}
		closedir(d);
	}
	printf("%d files\n", runs);
	return runs == 0;
}
