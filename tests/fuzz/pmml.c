/* The reader of PMML on arbitrary bytes. */
#include "tests/fuzz/reader.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FrontendOptions options = {.format = "pmml"};

	fuzz_reader("/nonexistent/fuzz", &options, data, size);
	return 0;
}
