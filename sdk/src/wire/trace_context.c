/* The traceparent field; see trace_context.h. */
#include "wire/trace_context.h"

#include "base/blank.h"
#include "base/hex.h"

enum {
    /* "00-<32>-<16>-<2>" */
    FIELD_SIZE = 55,
    TRACE_ID_AT = 3,
    SPAN_ID_AT = 36,
    FLAGS_AT = 53,
    VERSION_FORBIDDEN = 0xff,
};

static bool any_set(const uint8_t *bytes, size_t size)
{
    uint8_t all = 0;
    for (size_t i = 0; i < size; i++) {
        all |= bytes[i];
    }
    return all != 0;
}

bool marline__trace_id_is_valid(const uint8_t trace_id[16])
{
    return any_set(trace_id, 16);
}

bool marline__span_id_is_valid(const uint8_t span_id[8])
{
    return any_set(span_id, 8);
}

static bool read_hex(struct slice value, size_t at, uint8_t *out, size_t size)
{
    return marline__hex_decode_lower((struct slice){value.data + at, 2 * size}, out, size);
}

/* A later version may add more after a dash; version 00 is complete as it stands. */
static bool tail_is_allowed(struct slice value, uint8_t version)
{
    return value.size == FIELD_SIZE || (version > 0 && value.data[FIELD_SIZE] == '-');
}

bool marline__traceparent_parse(struct slice value, struct trace_ids *out)
{
    struct trace_ids ids;
    uint8_t version;
    value = marline__blank_strip(value);
    if (value.size < FIELD_SIZE || !read_hex(value, 0, &version, 1) ||
        version == VERSION_FORBIDDEN || !tail_is_allowed(value, version)) {
        return false;
    }
    if (value.data[TRACE_ID_AT - 1] != '-' || value.data[SPAN_ID_AT - 1] != '-' ||
        value.data[FLAGS_AT - 1] != '-') {
        return false;
    }
    if (!read_hex(value, TRACE_ID_AT, ids.trace_id, sizeof ids.trace_id) ||
        !read_hex(value, SPAN_ID_AT, ids.span_id, sizeof ids.span_id) ||
        !read_hex(value, FLAGS_AT, &ids.flags, 1) || !marline__trace_id_is_valid(ids.trace_id) ||
        !marline__span_id_is_valid(ids.span_id)) {
        return false;
    }
    ids.flags &= TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM;
    *out = ids;
    return true;
}

void marline__traceparent_format(const struct trace_ids *ids, char out[TRACEPARENT_SIZE])
{
    uint8_t flags = ids->flags & (TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM);
    memcpy(out, "00-", 3);
    marline__hex_encode(ids->trace_id, sizeof ids->trace_id, out + TRACE_ID_AT);
    out[SPAN_ID_AT - 1] = '-';
    marline__hex_encode(ids->span_id, sizeof ids->span_id, out + SPAN_ID_AT);
    out[FLAGS_AT - 1] = '-';
    marline__hex_encode(&flags, 1, out + FLAGS_AT);
    out[FIELD_SIZE] = '\0';
}
