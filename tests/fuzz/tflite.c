/* The TFLite reader on arbitrary bytes. */
#include "tests/fuzz/reader.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const FrontendOptions options = {.format = "tflite"};

	fuzz_reader("fuzz.tflite", &options, data, size);
	return 0;
}
