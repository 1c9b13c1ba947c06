/* OTLP requests and answers in protobuf. */
#include "fuzz/fuzz_otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_otlp(OTLP_PROTOBUF, data, size);
}
