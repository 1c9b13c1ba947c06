/* Posts spans to the platform: chunks, retries, the counts of what became of them (wire-protocol
 * §4.8, §5). Decisions about retries are retry.h's, the JSON is platform_trace.h's.
 * Thread: the processor's; cancel comes from any. */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "io/refuse.h"
#include "io/url.h"
#include "trace/http_delivery.h"
#include "wire/platform_trace.h"
#include <marline/trace.h>

static const char path[] = "/telemetry/traces";

struct platform_exporter {
    struct http_delivery delivery;
    bool has_delivery;
    char *url;
    char *authorization; /* the whole header line */
    char *project_id;
    char *environment;
    struct platform_identity identity;
    /* of the running export */
    struct buffer body;
    marline_span_data *accepted; /* those whose names and times the platform takes */
    uint32_t *places;            /* of these in the batch */
    uint32_t *order;
    uint32_t *conversations; /* those of them that name a conversation */
    size_t conversation_count;
    size_t capacity;
};

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

/* Sends what is in the body. An answer's text goes into the reason, so that a refusal is
 * understood.
 */
static enum retry_verdict deliver(struct platform_exporter *e, uint64_t deadline_ns,
                                  char reason[MARLINE_ERROR_TEXT_SIZE])
{
    const char *headers[] = {e->authorization, "Content-Type: application/json"};
    struct http_request request = {.url = e->url,
                                   .headers = headers,
                                   .header_count = 2,
                                   .body = marline__buffer_slice(&e->body)};
    enum retry_verdict verdict = marline__delivery_post(
        &e->delivery, &request, &marline__retry_platform, deadline_ns, reason);
    const struct buffer *answer = &e->delivery.response.body;
    size_t size = strlen(reason);
    if (verdict != RETRY_DELIVERED && e->delivery.response.status > 0 && answer->size > 0) {
        (void)snprintf(reason + size, MARLINE_ERROR_TEXT_SIZE - size, ": %.120s", answer->data);
    }
    return verdict;
}

static struct slice conversation_id(const marline_span_data *span)
{
    static const char key[] = "rhesis.conversation.id";
    for (uint32_t i = 0; i < span->attribute_count; i++) {
        const marline_attribute *a = &span->attributes[i];
        if (a->key.size == sizeof key - 1 && memcmp(a->key.data, key, a->key.size) == 0 &&
            a->value.type == MARLINE_VALUE_STRING) {
            return (struct slice){a->value.as.string.data, a->value.as.string.size};
        }
    }
    return SLICE_EMPTY;
}

/* §4.4: a span's conversation is also that of the other spans of its trace in the same export. */
static struct slice conversation_of(const struct platform_exporter *e,
                                    const marline_span_data *span)
{
    for (size_t i = 0; i < e->conversation_count; i++) {
        const marline_span_data *other = &e->accepted[e->conversations[i]];
        if (memcmp(other->trace_id, span->trace_id, sizeof span->trace_id) == 0) {
            return conversation_id(other);
        }
    }
    return SLICE_EMPTY;
}

static bool encode(struct platform_exporter *e, const uint32_t *order, size_t count)
{
    marline__buffer_clear(&e->body);
    marline__buffer_append_text(&e->body, "{\"spans\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            marline__buffer_append_byte(&e->body, ',');
        }
        const marline_span_data *span = &e->accepted[order[i]];
        e->identity.conversation_id = conversation_of(e, span);
        marline__platform_encode_span(span, &e->identity, &e->body);
    }
    marline__buffer_append_text(&e->body, "]}");
    return !e->body.failed;
}

static void free_arrays(struct platform_exporter *e)
{
    marline__memory_free(e->accepted);
    marline__memory_free(e->places);
    marline__memory_free(e->order);
    marline__memory_free(e->conversations);
}

static bool reserve(struct platform_exporter *e, size_t count)
{
    if (count <= e->capacity) {
        return true;
    }
    free_arrays(e);
    e->accepted = marline__memory_array(count, sizeof *e->accepted);
    e->places = marline__memory_array(count, sizeof *e->places);
    e->order = marline__memory_array(count, sizeof *e->order);
    e->conversations = marline__memory_array(count, sizeof *e->conversations);
    e->capacity = e->accepted && e->places && e->order && e->conversations ? count : 0;
    return e->capacity > 0;
}

/* One span that the platform refuses would cost its whole request (§5.3), so it is sorted out here.
 */
static size_t sort_out(struct platform_exporter *e, const marline_span_data *spans, size_t count,
                       marline_export_result *out)
{
    size_t accepted = 0;
    e->conversation_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct slice name = {spans[i].name.data, spans[i].name.size};
        bool name_ok = marline__platform_span_name_is_valid(name);
        if (name_ok && spans[i].end_unix_ns >= spans[i].start_unix_ns) {
            if (conversation_id(&spans[i]).size > 0) {
                e->conversations[e->conversation_count++] = (uint32_t)accepted;
            }
            e->places[accepted] = (uint32_t)i;
            e->accepted[accepted++] = spans[i];
            continue;
        }
        out->rejected++;
        (void)snprintf(out->reason, sizeof out->reason, "the platform takes no span %s \"%.80s%s",
                       name_ok ? "that ends before it starts:" : "named",
                       name.size ? name.data : "",
                       name_ok ? "\"" : "\": use function.<name> or ai.<domain>.<action>");
    }
    return accepted;
}

/* All from this one on: as the platform's own SDK, no use hurrying the rest. */
static void fail_from(const struct platform_exporter *e, size_t at, size_t count,
                      marline_export_result *out)
{
    out->failed += count - at;
    for (; out->is_failed && at < count; at++) {
        out->is_failed[e->places[e->order[at]]] = true;
    }
}

static void export_chunks(struct platform_exporter *e, size_t count, size_t first_size,
                          uint64_t deadline_ns, marline_export_result *out)
{
    size_t size = first_size;
    for (size_t at = 0; at < count; at += size, size = PLATFORM_SPANS_PER_POST) {
        size = size < count - at ? size : count - at;
        enum retry_verdict verdict = RETRY_GIVE_UP;
        if (encode(e, e->order + at, size)) {
            verdict = deliver(e, deadline_ns, out->reason);
        } else {
            (void)snprintf(out->reason, sizeof out->reason, "out of memory for %zu spans", size);
        }
        if (verdict == RETRY_DELIVERED) {
            out->exported += size;
        } else if (verdict == RETRY_REFUSED) {
            out->rejected += size; /* the next chunk may be to its liking */
        } else {
            fail_from(e, at, count, out);
            return;
        }
    }
}

static void export_spans(void *user, const marline_span_data *spans, size_t count,
                         uint64_t timeout_ms, marline_export_result *out)
{
    struct platform_exporter *e = user;
    uint64_t deadline_ns = timeout_ms ? now_ns() + timeout_ms * NS_PER_MS : TIME_NEVER;
    marline__delivery_begin(&e->delivery);
    if (!reserve(e, count)) {
        out->failed = count;
        (void)snprintf(out->reason, sizeof out->reason, "out of memory for %zu spans", count);
        return;
    }
    size_t accepted = sort_out(e, spans, count, out);
    if (accepted > 0) {
        size_t first = marline__platform_plan_chunks(e->accepted, accepted, e->order);
        char refused[MARLINE_ERROR_TEXT_SIZE];
        memcpy(refused, out->reason, sizeof refused);
        export_chunks(e, accepted, first, deadline_ns, out);
        if (out->exported == accepted) { /* then the last answer is no reason */
            memcpy(out->reason, refused, sizeof refused);
        }
    }
}

static void cancel(void *user)
{
    struct platform_exporter *e = user;
    marline__delivery_cancel(&e->delivery);
}

/* The parent's connection, and what its thread was building, are not ours to touch. */
static void after_fork(void *user)
{
    struct platform_exporter *e = user;
    e->body = BUFFER_INIT;
    e->accepted = NULL;
    e->places = e->order = e->conversations = NULL;
    e->capacity = 0;
    marline__delivery_after_fork(&e->delivery);
}

static void destroy(void *user)
{
    struct platform_exporter *e = user;
    if (e->has_delivery) {
        marline__delivery_deinit(&e->delivery);
    }
    marline__buffer_deinit(&e->body);
    marline__memory_free(e->url);
    marline__memory_free(e->authorization);
    marline__memory_free(e->project_id);
    marline__memory_free(e->environment);
    free_arrays(e);
    marline__memory_free(e);
}

/* ---- creation ---- */

/* ws:// and wss:// stand for http:// and https://; a path prefix stays (wire-protocol §1.1). NULL
 * when out of memory. */
static char *ingest_url(const struct url *base)
{
    struct buffer text = BUFFER_INIT;
    marline__buffer_append_format(&text, base->is_ipv6 ? "%s://[%s]:%u%s%s" : "%s://%s:%u%s%s",
                                  base->secure ? "https" : "http", base->host, base->port,
                                  base->path, path);
    return marline__buffer_take(&text);
}

static bool copy_options(struct platform_exporter *e, const struct url *base,
                         const marline_platform_exporter_options *options)
{
    struct buffer line = BUFFER_INIT;
    marline__buffer_append_text(&line, "Authorization: Bearer ");
    marline__buffer_append_text(&line, options->api_key);
    e->authorization = marline__buffer_take(&line);
    e->url = ingest_url(base);
    e->project_id = marline__memory_text(options->project_id);
    e->environment = marline__memory_text(options->environment);
    e->identity.project_id = marline__slice_text(e->project_id);
    e->identity.environment = marline__slice_text(e->environment);
    struct http_client_options http = {.tls = {.ca_file = options->ca_file,
                                               .certificate_file = options->certificate_file,
                                               .key_file = options->key_file}};
    e->has_delivery = marline__delivery_init(&e->delivery, &http);
    return e->authorization && e->url && (e->project_id || !options->project_id) &&
           (e->environment || !options->environment) && e->has_delivery;
}

marline_status marline_exporter_platform_create(const marline_platform_exporter_options *options,
                                                marline_exporter *out, marline_error *error)
{
    if (!options || options->size != sizeof *options || !out) {
        return marline__refuse(error, MARLINE_EINVAL,
                               "the platform exporter needs its options, with their size set");
    }
    if (!options->api_key || options->api_key[0] == '\0' || strpbrk(options->api_key, "\r\n")) {
        return marline__refuse(error, MARLINE_EINVAL,
                               "the platform exporter needs an API key of one line");
    }
    struct url base;
    const char *reason = NULL;
    if (!marline__url_parse(marline__slice_text(options->base_url), &base, &reason)) {
        if (error) {
            error->code = MARLINE_EINVAL;
            (void)snprintf(error->text, sizeof error->text, "the base URL \"%.100s\": %s",
                           options->base_url ? options->base_url : "", reason);
        }
        return MARLINE_EINVAL;
    }
    struct platform_exporter *e = marline__memory_zeroed(sizeof *e);
    if (!e) {
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory for an exporter");
    }
    if (!copy_options(e, &base, options)) {
        destroy(e);
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory for an exporter");
    }
    *out = (marline_exporter){.export_spans = export_spans,
                              .cancel = cancel,
                              .after_fork = after_fork,
                              .destroy = destroy,
                              .user = e,
                              .keeps_timeout = true};
    return MARLINE_OK;
}
