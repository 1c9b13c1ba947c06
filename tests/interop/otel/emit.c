/* Emits one trace with everything that OTLP can say, by this project's SDK; the OTEL_* variables
 * say how and where to. Prints the trace id. Exit 0: every span was accepted. test_otlp_peers.py
 * holds what a receiver must find. */
#include <stdio.h>

#include <marline/marline.h>

#define TEXT(text)                                                                                 \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const marline_value texts[] = {
    {MARLINE_VALUE_STRING, {.string = TEXT("a")}},
    {MARLINE_VALUE_EMPTY, {.boolean = false}},
    {MARLINE_VALUE_STRING, {.string = TEXT("")}},
};
static const marline_attribute inner[] = {
    {TEXT("deep"), {MARLINE_VALUE_ARRAY, {.array = {texts, 3}}}},
    {TEXT("no"), {MARLINE_VALUE_BOOL, {.boolean = false}}},
};
static const marline_attribute all_types[] = {
    {TEXT("text"), {MARLINE_VALUE_STRING, {.string = TEXT("ü ✓ \"quoted\" \\ \x01\n")}}},
    {TEXT("nul"), {MARLINE_VALUE_STRING, {.string = TEXT("a\0b")}}},
    {TEXT("empty"), {MARLINE_VALUE_STRING, {.string = TEXT("")}}},
    {TEXT("yes"), {MARLINE_VALUE_BOOL, {.boolean = true}}},
    {TEXT("no"), {MARLINE_VALUE_BOOL, {.boolean = false}}},
    {TEXT("largest"), {MARLINE_VALUE_INT, {.integer = INT64_MAX}}},
    {TEXT("smallest"), {MARLINE_VALUE_INT, {.integer = INT64_MIN}}},
    {TEXT("zero"), {MARLINE_VALUE_INT, {.integer = 0}}},
    {TEXT("double"), {MARLINE_VALUE_DOUBLE, {.real = -0.1}}},
    {TEXT("huge"), {MARLINE_VALUE_DOUBLE, {.real = 1e300}}},
    {TEXT("bytes"), {MARLINE_VALUE_BYTES, {.string = TEXT("\xff\x00\xfe")}}},
    {TEXT("nothing"), {MARLINE_VALUE_EMPTY, {.boolean = false}}},
    {TEXT("texts"), {MARLINE_VALUE_ARRAY, {.array = {texts, 3}}}},
    {TEXT("no texts"), {MARLINE_VALUE_ARRAY, {.array = {NULL, 0}}}},
    {TEXT("map"), {MARLINE_VALUE_MAP, {.map = {inner, 2}}}},
};

static marline_context *remote_parent(void)
{
    static const marline_span_context ids = {{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84,
                                              0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c},
                                             {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31},
                                             3,
                                             true};
    return marline_context_with_remote(marline_context_root(), &ids,
                                       (marline_string)TEXT("vendor=1,other=2"));
}

static void emit_children(marline_tracer *tracer, marline_context *context)
{
    static const struct {
        marline_span_kind kind;
        const char *name;
    } children[] = {{MARLINE_SPAN_KIND_CLIENT, "child CLIENT"},
                    {MARLINE_SPAN_KIND_PRODUCER, "child PRODUCER"},
                    {MARLINE_SPAN_KIND_CONSUMER, "child CONSUMER"},
                    {MARLINE_SPAN_KIND_INTERNAL, "child INTERNAL"}};
    for (size_t i = 0; i < COUNT(children); i++) {
        marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
        options.kind = children[i].kind;
        options.parent = context;
        marline_span span = marline_span_start(tracer, children[i].name, &options);
        if (children[i].kind == MARLINE_SPAN_KIND_CLIENT) {
            marline_span_fail(&span, "cart_error", "no such cart");
        }
        marline_span_end(&span);
    }
}

/* Returns the ids by which the receiver's findings are looked up. */
static marline_span emit(marline_provider *provider)
{
    marline_tracer *tracer = marline_tracer_get(provider, "marline.interop", "1.0");
    marline_context *parent = remote_parent();
    marline_span remote = marline_span_current(parent);
    marline_link_data link = marline_link_to(&remote);
    marline_attribute why = {TEXT("why"), {MARLINE_VALUE_STRING, {.string = TEXT("trigger")}}};
    link.trace_state = (marline_string)TEXT("vendor=1");
    link.attributes = &why;
    link.attribute_count = 1;

    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.kind = MARLINE_SPAN_KIND_SERVER;
    options.parent = parent;
    options.start_unix_ns = 1767225600123456789u;
    options.attributes = all_types;
    options.attribute_count = COUNT(all_types);
    options.links = &link;
    options.link_count = 1;
    marline_span span = marline_span_start(tracer, "GET /cart/{id}", &options);
    marline_span_set_text(&span, "one too many", "dropped");
    marline_span_add_event(&span, "cache miss", 1767225600123456790u, &why, 1);
    marline_context *context = marline_context_with_span(parent, &span);
    emit_children(tracer, context);
    marline_span_set_status(&span, MARLINE_SPAN_STATUS_OK, NULL);
    marline_span_end_at(&span, 1767225600999999999u);
    marline_context_unref(context);
    marline_context_unref(parent);
    return span;
}

static void print_log(void *user, marline_log_level level, const char *text)
{
    (void)user;
    (void)level;
    (void)fprintf(stderr, "%s\n", text);
}

int main(void)
{
    marline_provider *provider = NULL;
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    marline_span_limits limits = MARLINE_SPAN_LIMITS_INIT;
    marline_error error = {MARLINE_OK, ""};
    limits.attributes = COUNT(all_types);
    options.limits = &limits;
    marline_log_set(print_log, NULL);
    if (marline_provider_create(&options, &provider, &error) != MARLINE_OK ||
        marline_provider_add_exporters_from_environment(provider, &error) != MARLINE_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    marline_span span = emit(provider);
    char trace_id[MARLINE_TRACE_ID_TEXT_SIZE];
    marline_delivery delivery;
    marline_span_trace_id_text(&span, trace_id);
    (void)marline_provider_shutdown(provider, 20000);
    marline_provider_delivery(provider, &delivery);
    marline_provider_destroy(provider);
    puts(trace_id);
    return delivery.started == 5 && delivery.exported == 5 ? 0 : 1;
}
