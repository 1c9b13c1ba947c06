/* See bench_body.h. */
#include "bench_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "wire/otlp.h"
#include "wire/platform_trace.h"

/* What stands for an id in the encoded body, and is found there again. */
enum { PATCH_TRACE_BYTES, PATCH_TRACE_HEX, PATCH_TEST_HEX };
enum { TRACE_PART = 8, TEST_DIGITS = 12, PATCHES_MAX = 1024 };

#define TEXT(text)                                                                                 \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }
#define TEXT_VALUE(text)                                                                           \
    {                                                                                              \
        MARLINE_VALUE_STRING,                                                                      \
        {                                                                                          \
            .string = TEXT(text)                                                                   \
        }                                                                                          \
    }
#define INT_VALUE(number)                                                                          \
    {                                                                                              \
        MARLINE_VALUE_INT,                                                                         \
        {                                                                                          \
            .integer = (number)                                                                    \
        }                                                                                          \
    }

static const marline_attribute resource_attributes[] = {
    {TEXT("service.name"), TEXT_VALUE("order-agent")},
    {TEXT("service.version"), TEXT_VALUE("2.4.1")},
    {TEXT("service.instance.id"), TEXT_VALUE("0d5a7c1e-7b5f-4f0e-9f5b-2f6d3b1f8a11")},
    {TEXT("telemetry.sdk.name"), TEXT_VALUE("marline")},
    {TEXT("telemetry.sdk.language"), TEXT_VALUE("c")},
};
static const marline_resource_data resource = {resource_attributes, 5, {NULL, 0}};
static const marline_scope_data scope = {.name = TEXT("marline.bench"), .version = TEXT("1")};

enum { ATTRIBUTES = 8, TEST_ATTRIBUTE = 1 };
static const marline_attribute span_attributes[ATTRIBUTES] = {
    {TEXT("rhesis.test.run_id"), TEXT_VALUE("aaaaaaaa-0000-4000-8000-000000000001")},
    {TEXT("rhesis.test.id"), TEXT_VALUE("")},
    {TEXT("rhesis.test.configuration_id"), TEXT_VALUE("aaaaaaaa-0000-4000-8000-000000000003")},
    {TEXT("function.name"), TEXT_VALUE("answer_customer")},
    {TEXT("function.duration_ms"), INT_VALUE(1234)},
    {TEXT("ai.model.name"), TEXT_VALUE("gpt-4o-mini")},
    {TEXT("ai.llm.tokens.input"), INT_VALUE(812)},
    {TEXT("ai.llm.tokens.output"), INT_VALUE(164)},
};

struct draft {
    marline_span_data spans[BENCH_BODY_SPANS];
    marline_attribute attributes[BENCH_BODY_SPANS][ATTRIBUTES];
    char tests[BENCH_TRACES][37];
};

static void fill_trace_id(uint8_t id[16], unsigned trace)
{
    static const uint8_t mark[TRACE_PART - 1] = {0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7};
    memset(id, 0x40, 16);
    memcpy(id, mark, sizeof mark);
    id[TRACE_PART - 1] = (uint8_t)trace;
}

static void fill_span_id(uint8_t id[8], size_t index)
{
    static const uint8_t head[6] = {0x9b, 0x71, 0x0c, 0xd5, 0x33, 0xa8};
    memcpy(id, head, sizeof head);
    id[6] = (uint8_t)(index >> 8);
    id[7] = (uint8_t)(index + 1);
}

static void draft_span(struct draft *d, size_t i)
{
    marline_span_data *span = &d->spans[i];
    unsigned trace = (unsigned)(i / BENCH_TRACE_SPANS);
    size_t root = trace * BENCH_TRACE_SPANS;
    bool is_model = i % 3 == 1;
    *span = (marline_span_data){
        .has_parent = i != root,
        .flags = 1,
        .name = TEXT("function.answer_customer"),
        .kind = MARLINE_SPAN_KIND_INTERNAL,
        .start_unix_ns = 1767225600123456000u + i * 1000000,
        .end_unix_ns = 1767225600223456000u + i * 1000000,
        .status = MARLINE_SPAN_STATUS_OK,
        .attributes = d->attributes[i],
        .attribute_count = is_model ? ATTRIBUTES : 5,
        .scope = &scope,
        .resource = &resource,
    };
    if (is_model) {
        span->name = (marline_string)TEXT("ai.llm.invoke");
        span->kind = MARLINE_SPAN_KIND_CLIENT;
    }
    fill_trace_id(span->trace_id, trace);
    fill_span_id(span->span_id, i);
    fill_span_id(span->parent_span_id, root);
    memcpy(d->attributes[i], span_attributes, sizeof span_attributes);
    d->attributes[i][TEST_ATTRIBUTE].value.as.string = (marline_string){d->tests[trace], 36};
}

static void encode(struct buffer *out, enum bench_format format, const struct draft *d,
                   const char *project, size_t spans)
{
    const struct platform_identity identity = {.project_id = marline__slice_text(project)};
    if (format == BENCH_OTLP) {
        marline__otlp_encode(OTLP_PROTOBUF, d->spans, spans, out);
        return;
    }
    marline__buffer_append_text(out, "{\"spans\":[");
    for (size_t i = 0; i < spans; i++) {
        marline__buffer_append_text(out, i > 0 ? "," : "");
        marline__platform_encode_span(&d->spans[i], &identity, out);
    }
    marline__buffer_append_text(out, "]}");
}

/* Notes every place where `mark` stands. */
static void find_places(struct bench_body *body, const void *mark, size_t size, unsigned trace,
                        unsigned kind)
{
    const char *at = body->bytes.data;
    const char *end = at + body->bytes.size;
    while ((at = memmem(at, (size_t)(end - at), mark, size)) != NULL) {
        bench_check(body->count < PATCHES_MAX, "room for the ids of a body");
        body->patches[body->count++] =
            (struct bench_patch){(uint32_t)(at - body->bytes.data), (uint8_t)trace, (uint8_t)kind};
        at += size;
    }
}

static void find_trace_places(struct bench_body *body, unsigned trace, const char *test)
{
    uint8_t id[16];
    char hex[2 * TRACE_PART + 1];
    fill_trace_id(id, trace);
    for (size_t i = 0; i < TRACE_PART; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", id[i]);
    }
    find_places(body, id, TRACE_PART, trace, PATCH_TRACE_BYTES);
    find_places(body, hex, 2 * TRACE_PART, trace, PATCH_TRACE_HEX);
    find_places(body, test + 24, TEST_DIGITS, trace, PATCH_TEST_HEX);
}

void bench_body_create(struct bench_body *body, enum bench_format format, const char *project,
                       size_t spans)
{
    struct draft *d = calloc(1, sizeof *d);
    *body = (struct bench_body){.bytes = BUFFER_INIT};
    body->patches = calloc(PATCHES_MAX, sizeof *body->patches);
    for (unsigned trace = 0; trace < BENCH_TRACES; trace++) {
        (void)snprintf(d->tests[trace], sizeof d->tests[trace],
                       "bbbbbbbb-0000-4000-8000-c1c2c3c4c5%02x", trace);
    }
    for (size_t i = 0; i < spans; i++) {
        draft_span(d, i);
    }
    encode(&body->bytes, format, d, project, spans);
    for (unsigned trace = 0; trace < spans / BENCH_TRACE_SPANS; trace++) {
        find_trace_places(body, trace, d->tests[trace]);
    }
    bench_check(!body->bytes.failed && body->count >= 2 * spans, "a body with its ids");
    free(d);
}

void bench_body_deinit(struct bench_body *body)
{
    marline__buffer_deinit(&body->bytes);
    free(body->patches);
}

/* splitmix64: ids as random as an agent's, and known to whoever asks for them later. */
static uint64_t trace_number(uint64_t number, unsigned trace)
{
    uint64_t z = (number * BENCH_TRACES + trace + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void put_hex(char *out, uint64_t value, int digits)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = digits - 1; i >= 0; i--, value >>= 4) {
        out[i] = hex[value & 15];
    }
}

void bench_body_renew(struct bench_body *body, uint64_t number)
{
    for (size_t i = 0; i < body->count; i++) {
        const struct bench_patch *patch = &body->patches[i];
        char *at = body->bytes.data + patch->offset;
        uint64_t trace = trace_number(number, patch->trace);
        if (patch->kind == PATCH_TRACE_BYTES) {
            trace = __builtin_bswap64(trace);
            memcpy(at, &trace, sizeof trace);
        } else if (patch->kind == PATCH_TRACE_HEX) {
            put_hex(at, trace, 2 * TRACE_PART);
        } else {
            put_hex(at, number * BENCH_TRACES + patch->trace, TEST_DIGITS);
        }
    }
}

void bench_body_trace_hex(uint64_t number, unsigned trace, char out[33])
{
    uint8_t id[16];
    fill_trace_id(id, trace);
    put_hex(out, trace_number(number, trace), 2 * TRACE_PART);
    for (size_t i = TRACE_PART; i < 16; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", id[i]);
    }
}

void bench_body_set_test(struct bench_body *body, unsigned which, const char *uuid)
{
    char mark[48];
    char *at = body->bytes.data;
    int n = snprintf(mark, sizeof mark, "\"%s\":\"", span_attributes[which].key.data);
    while ((at = strstr(at, mark)) != NULL) {
        at += n;
        memcpy(at, uuid, 36);
    }
}
