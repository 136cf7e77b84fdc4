/*
 * Fuzz targets.  With -DMCC_FUZZ=ON libFuzzer drives them; else main() of
 * fuzz/run.c reads the files of a corpus, which runs as a test with any
 * compiler.
 */
#ifndef MCC_TESTS_FUZZ_FUZZ_H
#define MCC_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
