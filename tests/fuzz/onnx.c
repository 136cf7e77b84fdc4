/* The ONNX reader on arbitrary bytes. */
#include "tests/fuzz/reader.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const DimValue dims[] = {{"N", 2}};
	static const FrontendOptions options = {.format = "onnx", .dims = dims, .ndims = 1};

	fuzz_reader("/nonexistent/fuzz.onnx", &options, data, size);
	return 0;
}
