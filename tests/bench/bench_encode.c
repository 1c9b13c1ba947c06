/* What a span costs on its way into bytes and out of them, by format. Each round encodes the same
 * batch; the best round counts, because what disturbs only adds. */
#include "bench.h"

#include "wire/otlp.h"
#include "wire/platform_trace.h"

enum { SPANS = 512, BATCHES = 40, ROUNDS = 9 };

#define TEXT(text)                                                                                 \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static const marline_attribute attributes[] = {
    {TEXT("rhesis.test.run_id"),
     {MARLINE_VALUE_STRING, {.string = TEXT("aaaaaaaa-0000-4000-8000-000000000001")}}},
    {TEXT("http.request.method"), {MARLINE_VALUE_STRING, {.string = TEXT("GET")}}},
    {TEXT("http.route"), {MARLINE_VALUE_STRING, {.string = TEXT("/orders/{id}")}}},
    {TEXT("http.response.status_code"), {MARLINE_VALUE_INT, {.integer = 200}}},
};
static const marline_attribute resource_attributes[] = {
    {TEXT("service.name"), {MARLINE_VALUE_STRING, {.string = TEXT("bench")}}},
};
static const marline_resource_data resource = {resource_attributes, 1, {NULL, 0}};
static const marline_scope_data scope = {.name = TEXT("bench"), .version = TEXT("1")};

static marline_span_data spans[SPANS];

static void make_spans(void)
{
    for (size_t i = 0; i < SPANS; i++) {
        marline_span_data *span = &spans[i];
        *span = (marline_span_data){
            .has_parent = true,
            .flags = 3,
            .name = TEXT("function.answer"),
            .kind = MARLINE_SPAN_KIND_INTERNAL,
            .start_unix_ns = 1767225600123456789u + i * 1000,
            .end_unix_ns = 1767225600223456789u + i * 1000,
            .status = MARLINE_SPAN_STATUS_OK,
            .attributes = attributes,
            .attribute_count = sizeof attributes / sizeof attributes[0],
            .scope = &scope,
            .resource = &resource,
        };
        for (size_t k = 0; k < sizeof span->trace_id; k++) {
            span->trace_id[k] = (uint8_t)(i * 31 + k + 1);
        }
        for (size_t k = 0; k < sizeof span->span_id; k++) {
            span->span_id[k] = (uint8_t)(i * 17 + k + 1);
            span->parent_span_id[k] = (uint8_t)(i + k + 1);
        }
    }
}

/* ---- one batch ---- */

typedef void (*batch_function)(struct buffer *body);

static void encode_protobuf(struct buffer *body)
{
    marline__buffer_clear(body);
    marline__otlp_encode(OTLP_PROTOBUF, spans, SPANS, body);
}

static void encode_otlp_json(struct buffer *body)
{
    marline__buffer_clear(body);
    marline__otlp_encode(OTLP_JSON, spans, SPANS, body);
}

static void encode_platform(struct buffer *body)
{
    struct platform_identity identity = {.project_id =
                                             SLICE("11111111-1111-4111-8111-111111111111")};
    marline__buffer_clear(body);
    marline__buffer_append_text(body, "{\"spans\":[");
    for (size_t i = 0; i < SPANS; i++) {
        marline__buffer_append_text(body, i > 0 ? "," : "");
        marline__platform_encode_span(&spans[i], &identity, body);
    }
    marline__buffer_append_text(body, "]}");
}

static void decode_otlp(enum otlp_format format, const struct buffer *body)
{
    struct otlp_request request;
    struct platform_request flat;
    bench_check(marline__otlp_decode(format, marline__buffer_slice(body), &request) ==
                    OTLP_DECODE_OK,
                "what was encoded decodes");
    bench_check(request.count == SPANS && request.rejected == 0, "every span came back");
    bench_check(request.spans[SPANS - 1].attribute_count == spans[0].attribute_count &&
                    request.spans[SPANS - 1].end_unix_ns == spans[SPANS - 1].end_unix_ns,
                "the last span is the last span");
    bench_check(marline__otlp_flatten(request.spans, request.count, &flat) && flat.count == SPANS,
                "the spans are flat");
    marline__platform_request_deinit(&flat);
    marline__otlp_request_deinit(&request);
}

static void decode_protobuf(struct buffer *body)
{
    decode_otlp(OTLP_PROTOBUF, body);
}

static void decode_otlp_json(struct buffer *body)
{
    decode_otlp(OTLP_JSON, body);
}

static void decode_platform(struct buffer *body)
{
    struct platform_request request;
    struct buffer errors = BUFFER_INIT;
    bench_check(marline__platform_decode(marline__buffer_slice(body), &request, &errors) ==
                    PLATFORM_DECODE_OK,
                "what was encoded decodes");
    bench_check(request.count == SPANS, "every span came back");
    bench_check(request.spans[SPANS - 1].end_unix_ns / 1000 == spans[SPANS - 1].end_unix_ns / 1000,
                "the last span is the last span");
    marline__platform_request_deinit(&request);
    marline__buffer_deinit(&errors);
}

/* ---- measuring ---- */

static double span_ns(batch_function run, struct buffer *body)
{
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = bench_now_ns();
        for (int i = 0; i < BATCHES; i++) {
            run(body);
        }
        double each = (double)(bench_now_ns() - start) / (BATCHES * SPANS);
        best = round == 0 || each < best ? each : best;
    }
    return best;
}

static void measure(const char *name, batch_function run, struct buffer *body, double target)
{
    double ns = span_ns(run, body);
    double ratio = ns / bench_clock_pair_ns();
    bench_check(!body->failed, "there was memory");
    bench_report(name, ns, "ns/span", ratio, target, ratio);
}

void bench_encode(void)
{
    static const struct {
        const char *encode_name;
        batch_function encode;
        double target; /* × two reads of the clock */
        const char *size_name;
        const char *decode_name;
        batch_function decode;
    } formats[] = {
        {"encode_otlp_protobuf", encode_protobuf, 2.5, "size_otlp_protobuf",
         "decode_otlp_protobuf_flat", decode_protobuf},
        {"encode_otlp_json", encode_otlp_json, 8, "size_otlp_json", "decode_otlp_json_flat",
         decode_otlp_json},
        {"encode_platform_json", encode_platform, 8, "size_platform_json", "decode_platform_json",
         decode_platform},
    };
    make_spans();
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct buffer body = BUFFER_INIT;
        measure(formats[i].encode_name, formats[i].encode, &body, formats[i].target);
        bench_report(formats[i].size_name, (double)body.size / SPANS, "bytes/span", 0, -1, 0);
        measure(formats[i].decode_name, formats[i].decode, &body, -1);
        marline__buffer_deinit(&body);
    }
}
