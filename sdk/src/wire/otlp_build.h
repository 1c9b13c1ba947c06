/* What the two decoders of OTLP share: the request that is being built, and lists whose length is
 * found out on the way. Private to this layer.
 *
 * A list is pushed item by item onto one stack and, when it ends, moved into the request's arena;
 * the lists nested in it lived above it and are gone by then. */
#ifndef MARLINE_WIRE_OTLP_BUILD_H
#define MARLINE_WIRE_OTLP_BUILD_H

#include "wire/otlp.h"

struct otlp_builder {
    struct otlp_request *request;
    struct buffer stack;
    struct buffer text; /* one string while its escapes are resolved */
    bool invalid;
    bool no_memory;
};

/* Each sets the reason of the first failure and returns false. */
bool marline__otlp_invalid(struct otlp_builder *b, const char *what, const char *why);
bool marline__otlp_no_memory(struct otlp_builder *b);

static inline bool otlp_good(const struct otlp_builder *b)
{
    return !b->invalid && !b->no_memory;
}

static inline size_t otlp_list_begin(const struct otlp_builder *b)
{
    return b->stack.size;
}

bool marline__otlp_list_push(struct otlp_builder *b, const void *item, size_t size);
/* Returns the items pushed since begin, owned by the arena; NULL with count 0 when there are none
 * or memory is out. */
void *marline__otlp_list_end(struct otlp_builder *b, size_t begin, size_t item_size,
                             size_t *out_count);

struct otlp_span_ids {
    struct slice trace_id; /* raw bytes */
    struct slice span_id;
    struct slice parent_span_id; /* empty or all zero: a root */
};

/* Adds the span with these ids, or counts it as rejected. False when out of memory. */
bool marline__otlp_add_span(struct otlp_builder *b, marline_span_data *span,
                            const struct otlp_span_ids *ids);
/* Fills the ids of a link; false when they cannot be. */
bool marline__otlp_link_ids(marline_link_data *link, struct slice trace_id, struct slice span_id);

void marline__otlp_set_flags(marline_span_data *span, uint64_t flags);
void marline__otlp_set_link_flags(marline_link_data *link, uint64_t flags);
void marline__otlp_set_kind(marline_span_data *span, int64_t kind);
void marline__otlp_set_status(marline_span_data *span, int64_t code);

/* Read the spans of a whole body into b->request. */
void marline__otlp_protobuf_decode(struct otlp_builder *b, struct slice body);
void marline__otlp_json_decode(struct otlp_builder *b, struct slice body);

#endif
