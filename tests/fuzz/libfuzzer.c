/* libfuzzer.c - one target as a libFuzzer program; FUZZ_NAME is given by the Makefile. */
#include <stdlib.h>

#include "fuzz.h"

#define TARGET2(name) fuzz_##name
#define TARGET(name)  TARGET2(name)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TARGET(FUZZ_NAME)((struct fl_slice){(const char *)data, size});
    return 0;
}
