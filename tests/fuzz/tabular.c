/* The readers of XGBoost and LightGBM models on arbitrary bytes. */
#include "tests/fuzz/reader.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FrontendOptions options = {.format = size > 0 && data[0] == '{' ? "xgboost" : "lightgbm"};

	fuzz_reader("/nonexistent/fuzz", &options, data, size);
	return 0;
}
