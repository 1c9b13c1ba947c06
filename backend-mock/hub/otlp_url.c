/* See otlp_url.h. */
#include "hub/otlp_url.h"

#include <stdio.h>

#include "base/buffer.h"
#include "core/alloc.h"
#include "io/url.h"

char *otlp_traces_url(const char *url, char error[256])
{
    struct url parsed;
    const char *reason = NULL;
    struct buffer out = BUFFER_INIT;
    if (!marline__url_parse(marline__slice_text(url), &parsed, &reason) || url[0] != 'h') {
        (void)snprintf(error, 256, "'%.120s' is no http:// or https:// URL%s%s", url,
                       reason ? ": " : "", reason ? reason : "");
        return NULL;
    }
    size_t size = strlen(url);
    while (!parsed.path[0] && size && url[size - 1] == '/') {
        size--;
    }
    marline__buffer_append(&out, url, size);
    marline__buffer_append_text(&out, parsed.path[0] ? "" : "/v1/traces");
    alloc_check_buffer(&out);
    return marline__buffer_take(&out);
}
