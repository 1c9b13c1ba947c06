/* What the two decoders of OTLP share; see otlp_build.h. */
#include "wire/otlp_build.h"

#include <stdio.h>

#include "wire/otlp_encode.h"
#include "wire/trace_context.h"

bool marline__otlp_invalid(struct otlp_builder *b, const char *what, const char *why)
{
    if (otlp_good(b)) {
        b->invalid = true;
        (void)snprintf(b->request->reason, sizeof b->request->reason, "%s%s%s", what,
                       why[0] != '\0' ? ": " : "", why);
    }
    return false;
}

bool marline__otlp_no_memory(struct otlp_builder *b)
{
    b->no_memory = true;
    return false;
}

bool marline__otlp_list_push(struct otlp_builder *b, const void *item, size_t size)
{
    marline__buffer_append(&b->stack, item, size);
    return !b->stack.failed || marline__otlp_no_memory(b);
}

void *marline__otlp_list_end(struct otlp_builder *b, size_t begin, size_t item_size,
                             size_t *out_count)
{
    size_t size = b->stack.size - begin;
    void *items = NULL;
    if (size > 0) {
        items = marline__arena_copy(&b->request->arena, b->stack.data + begin, size);
        b->stack.size = begin;
    }
    b->no_memory = b->no_memory || (size > 0 && !items);
    *out_count = items ? size / item_size : 0;
    return items;
}

static bool copy_id(uint8_t *out, size_t size, struct slice id)
{
    if (id.size != size) {
        return false;
    }
    memcpy(out, id.data, size);
    return true;
}

static bool copy_trace_id(uint8_t out[16], struct slice id)
{
    return copy_id(out, 16, id) && marline__trace_id_is_valid(out);
}

static bool copy_span_id(uint8_t out[8], struct slice id)
{
    return copy_id(out, 8, id) && marline__span_id_is_valid(out);
}

/* Why the span cannot be stored (§3.2), or NULL. */
static const char *set_ids(marline_span_data *span, const struct otlp_span_ids *ids)
{
    if (!copy_trace_id(span->trace_id, ids->trace_id)) {
        return "a trace id is not 16 bytes, or all zero";
    }
    if (!copy_span_id(span->span_id, ids->span_id)) {
        return "a span id is not 8 bytes, or all zero";
    }
    if (ids->parent_span_id.size > 0 &&
        !copy_id(span->parent_span_id, sizeof span->parent_span_id, ids->parent_span_id)) {
        return "a parent span id is not 8 bytes";
    }
    span->has_parent =
        ids->parent_span_id.size > 0 && marline__span_id_is_valid(span->parent_span_id);
    span->parent_is_remote = span->parent_is_remote && span->has_parent;
    return NULL;
}

bool marline__otlp_add_span(struct otlp_builder *b, marline_span_data *span,
                            const struct otlp_span_ids *ids)
{
    struct otlp_request *request = b->request;
    const char *refusal = set_ids(span, ids);
    if (refusal) {
        if (request->rejected++ == 0) {
            (void)snprintf(request->reason, sizeof request->reason, "%s", refusal);
        }
        return true;
    }
    marline__buffer_append(&request->storage, span, sizeof *span);
    return !request->storage.failed || marline__otlp_no_memory(b);
}

bool marline__otlp_link_ids(marline_link_data *link, struct slice trace_id, struct slice span_id)
{
    return copy_trace_id(link->trace_id, trace_id) && copy_span_id(link->span_id, span_id);
}

void marline__otlp_set_flags(marline_span_data *span, uint64_t flags)
{
    span->flags = (uint8_t)(flags & 0xff);
    span->parent_is_remote = (flags & OTLP_FLAG_IS_REMOTE) != 0;
}

void marline__otlp_set_link_flags(marline_link_data *link, uint64_t flags)
{
    link->flags = (uint8_t)(flags & 0xff);
    link->is_remote = (flags & OTLP_FLAG_IS_REMOTE) != 0;
}

void marline__otlp_set_kind(marline_span_data *span, int64_t kind)
{
    bool known = kind >= MARLINE_SPAN_KIND_INTERNAL && kind <= MARLINE_SPAN_KIND_CONSUMER;
    span->kind = known ? (marline_span_kind)kind : MARLINE_SPAN_KIND_INTERNAL;
}

void marline__otlp_set_status(marline_span_data *span, int64_t code)
{
    bool known = code >= MARLINE_SPAN_STATUS_UNSET && code <= MARLINE_SPAN_STATUS_ERROR;
    span->status = known ? (marline_span_status)code : MARLINE_SPAN_STATUS_UNSET;
}

static enum otlp_decode decode(void (*read)(struct otlp_builder *b, struct slice body),
                               struct slice body, struct otlp_request *out)
{
    *out = (struct otlp_request){.arena = ARENA_INIT};
    struct otlp_builder b = {.request = out};
    read(&b, body);
    out->spans = (marline_span_data *)(void *)out->storage.data;
    out->count = out->storage.size / sizeof *out->spans;
    marline__buffer_deinit(&b.stack);
    marline__buffer_deinit(&b.text);
    if (b.no_memory) {
        return OTLP_DECODE_NO_MEMORY;
    }
    return b.invalid ? OTLP_DECODE_INVALID : OTLP_DECODE_OK;
}

enum otlp_decode marline__otlp_decode(enum otlp_format format, struct slice body,
                                      struct otlp_request *out)
{
    return decode(format == OTLP_JSON ? marline__otlp_json_decode : marline__otlp_protobuf_decode,
                  body, out);
}

enum otlp_decode marline__otlp_decode_protobuf(struct slice body, struct otlp_request *out)
{
    return decode(marline__otlp_protobuf_decode, body, out);
}

void marline__otlp_request_deinit(struct otlp_request *request)
{
    marline__arena_deinit(&request->arena);
    marline__buffer_deinit(&request->storage);
    *request = (struct otlp_request){.arena = ARENA_INIT};
}
