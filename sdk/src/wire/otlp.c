/* The entry points of OTLP that the two formats share; see otlp.h. */
#include "wire/otlp.h"

#include <assert.h>
#include <strings.h>

#include "wire/otlp_encode.h"

const char *marline__otlp_content_type(enum otlp_format format)
{
    return format == OTLP_JSON ? "application/json" : "application/x-protobuf";
}

static bool is_type(struct slice value, const char *type)
{
    size_t size = strlen(type);
    return value.size == size && strncasecmp(value.data, type, size) == 0;
}

bool marline__otlp_format_of(struct slice content_type, enum otlp_format *out)
{
    const char *end =
        content_type.size > 0 ? memchr(content_type.data, ';', content_type.size) : NULL;
    if (end) {
        content_type.size = (size_t)(end - content_type.data);
    }
    while (content_type.size > 0 && content_type.data[content_type.size - 1] == ' ') {
        content_type.size--;
    }
    bool json = is_type(content_type, "application/json");
    if (!json && !is_type(content_type, "application/x-protobuf")) {
        return false;
    }
    *out = json ? OTLP_JSON : OTLP_PROTOBUF;
    return true;
}

void marline__otlp_encode(enum otlp_format format, const marline_span_data *spans, size_t count,
                          struct buffer *out)
{
    struct otlp_groups groups;
    assert(count > 0);
    if (!marline__otlp_groups_init(&groups, spans, count)) {
        out->failed = true;
    } else if (format == OTLP_JSON) {
        marline__otlp_json_encode(&groups, spans, out);
    } else {
        marline__otlp_protobuf_encode(&groups, spans, out);
    }
    marline__otlp_groups_deinit(&groups);
}
