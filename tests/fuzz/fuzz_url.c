/* URLs of the settings, and names of variables. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "io/url.h"
#include "wire/env_carrier.h"

static void check_url(struct slice text)
{
    struct url url;
    const char *reason = NULL;
    if (!marline__url_parse(text, &url, &reason)) {
        FUZZ_CHECK(reason && reason[0] != '\0');
        return;
    }
    FUZZ_CHECK(url.port > 0);
    FUZZ_CHECK(url.host[0] != '\0' && strlen(url.host) < URL_HOST_SIZE);
    FUZZ_CHECK(url.path[0] == '\0' || url.path[0] == '/');
    FUZZ_CHECK(!strpbrk(url.host, "/@\r\n \t") && !strpbrk(url.path, "\r\n \t"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = fuzz_input(data, size);
    struct buffer name = BUFFER_INIT;
    check_url(text);
    marline__env_name(text, &name);
    FUZZ_CHECK(marline__env_name_is_normal(marline__buffer_slice(&name)));
    marline__buffer_deinit(&name);
    return 0;
}
