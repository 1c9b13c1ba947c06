/* Posts spans as OTLP (otel.md §3.1). What is sent is wire/otlp.h's, where it goes
 * otlp_settings.h's, whether it is sent again retry.h's.
 * Thread: the processor's; cancel comes from any. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "trace/http_delivery.h"
#include "trace/otlp_settings.h"

enum {
    BODY_MAX = 64 * 1024 * 1024, /* CLI-03: before compression */
    OWN_HEADERS = 2,             /* Content-Type, Content-Encoding */
    GZIP_WINDOW = 15 + 16,       /* zlib's way to ask for gzip */
    GZIP_MEMORY = 8,
};

struct otlp_exporter {
    struct http_delivery delivery;
    struct otlp_settings settings;
    /* of the running export */
    struct buffer body;
    struct buffer packed;
    struct buffer scratch;
};

static bool pack(struct otlp_exporter *e)
{
    z_stream z;
    memset(&z, 0, sizeof z);
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return false;
    }
    size_t bound = deflateBound(&z, e->body.size);
    marline__buffer_clear(&e->packed);
    bool ok = marline__buffer_reserve(&e->packed, bound);
    if (ok) {
        z.next_in = (Bytef *)e->body.data;
        z.avail_in = (uInt)e->body.size;
        z.next_out = (Bytef *)e->packed.data;
        z.avail_out = (uInt)bound;
        ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
        e->packed.size = z.total_out;
    }
    (void)deflateEnd(&z);
    return ok;
}

static enum otlp_format answer_format(const struct otlp_exporter *e)
{
    enum otlp_format format = e->settings.format;
    (void)marline__otlp_format_of(marline__slice_text(e->delivery.response.content_type), &format);
    return format;
}

/* CLI-05, CLI-06: of a batch that was taken, what was refused. */
static void read_success(struct otlp_exporter *e, size_t count, marline_export_result *out)
{
    struct otlp_answer answer = {0, SLICE_EMPTY};
    struct slice body = marline__buffer_slice(&e->delivery.response.body);
    marline__buffer_clear(&e->scratch);
    if (!marline__otlp_decode_response(answer_format(e), body, &e->scratch, &answer)) {
        marline__log(LOG_WARN, "%.100s took spans with an answer that is no OTLP", e->settings.url);
    }
    out->rejected = answer.rejected < count ? (size_t)answer.rejected : count;
    out->exported = count - out->rejected;
    if (answer.message.size > 0) {
        (void)snprintf(out->reason, sizeof out->reason, "%.*s",
                       (int)(answer.message.size < 200 ? answer.message.size : 200),
                       answer.message.data);
    }
    if (answer.message.size > 0 && out->rejected == 0) {
        marline__log(LOG_WARN, "%.100s warns: %s", e->settings.url, out->reason);
    }
}

/* CLI-15: the text of a Status says more than its number. */
static void explain_failure(struct otlp_exporter *e, char reason[MARLINE_ERROR_TEXT_SIZE])
{
    const struct http_response *response = &e->delivery.response;
    struct otlp_answer answer;
    size_t size = strlen(reason);
    marline__buffer_clear(&e->scratch);
    if (response->status > 0 &&
        marline__otlp_decode_status(answer_format(e), marline__buffer_slice(&response->body),
                                    &e->scratch, &answer) &&
        answer.message.size > 0) {
        (void)snprintf(reason + size, MARLINE_ERROR_TEXT_SIZE - size, ": %.*s",
                       (int)(answer.message.size < 120 ? answer.message.size : 120),
                       answer.message.data);
    }
}

static void post(struct otlp_exporter *e, size_t count, uint64_t deadline_ns,
                 marline_export_result *out)
{
    const char *headers[OTLP_HEADERS_MAX + OWN_HEADERS];
    char content_type[64];
    (void)snprintf(content_type, sizeof content_type, "Content-Type: %s",
                   marline__otlp_content_type(e->settings.format));
    size_t header_count = 0;
    headers[header_count++] = content_type;
    if (e->settings.gzip) {
        headers[header_count++] = "Content-Encoding: gzip";
    }
    for (size_t i = 0; i < e->settings.header_count; i++) {
        headers[header_count++] = e->settings.headers[i];
    }
    struct http_request request = {
        .url = e->settings.url,
        .headers = headers,
        .header_count = header_count,
        .body = marline__buffer_slice(e->settings.gzip ? &e->packed : &e->body)};
    char reason[MARLINE_ERROR_TEXT_SIZE] = "";
    enum retry_verdict verdict =
        marline__delivery_post(&e->delivery, &request, &marline__retry_otlp, deadline_ns, reason);
    if (verdict == RETRY_DELIVERED) {
        read_success(e, count, out);
        return;
    }
    explain_failure(e, reason);
    memcpy(out->reason, reason, sizeof out->reason);
    *(verdict == RETRY_REFUSED ? &out->rejected : &out->failed) = count;
}

static uint64_t deadline_of(const struct otlp_exporter *e, uint64_t timeout_ms)
{
    uint64_t limit = e->settings.timeout_ms;
    if (limit == 0 || (timeout_ms > 0 && timeout_ms < limit)) {
        limit = timeout_ms;
    }
    uint64_t now = marline__clock_monotonic_ns(marline__clock_system());
    return limit > 0 ? now + limit * NS_PER_MS : TIME_NEVER;
}

static void export_spans(void *user, const marline_span_data *spans, size_t count,
                         uint64_t timeout_ms, marline_export_result *out)
{
    struct otlp_exporter *e = user;
    uint64_t deadline_ns = deadline_of(e, timeout_ms);
    marline__delivery_begin(&e->delivery);
    marline__buffer_clear(&e->body);
    marline__otlp_encode(e->settings.format, spans, count, &e->body);
    if (e->body.failed || (e->settings.gzip && !pack(e))) {
        out->failed = count;
        (void)snprintf(out->reason, sizeof out->reason, "out of memory for %zu spans", count);
    } else if (e->body.size > BODY_MAX) {
        out->rejected = count;
        (void)snprintf(out->reason, sizeof out->reason,
                       "%zu spans make a request of %zu bytes, more than OTLP allows", count,
                       e->body.size);
    } else {
        post(e, count, deadline_ns, out);
    }
}

static void cancel(void *user)
{
    marline__delivery_cancel(&((struct otlp_exporter *)user)->delivery);
}

static void after_fork(void *user)
{
    struct otlp_exporter *e = user;
    e->body = e->packed = e->scratch = BUFFER_INIT;
    marline__delivery_after_fork(&e->delivery);
}

static void destroy(void *user)
{
    struct otlp_exporter *e = user;
    marline__delivery_deinit(&e->delivery);
    marline__otlp_settings_deinit(&e->settings);
    marline__buffer_deinit(&e->body);
    marline__buffer_deinit(&e->packed);
    marline__buffer_deinit(&e->scratch);
    marline__memory_free(e);
}

marline_status marline_exporter_otlp_create(const marline_otlp_exporter_options *options,
                                            marline_exporter *out, marline_error *error)
{
    struct otlp_exporter *e = out ? marline__memory_zeroed(sizeof *e) : NULL;
    if (!e) {
        return out ? MARLINE_ENOMEM : MARLINE_EINVAL;
    }
    marline_status status = marline__otlp_settings_init(&e->settings, options, error);
    struct http_client_options http = {
        .user_agent = "OTel-OTLP-Exporter-C/" MARLINE_VERSION " marline", /* CLI-12 */
        .tls = {e->settings.ca_file, e->settings.certificate_file, e->settings.key_file}};
    if (status == MARLINE_OK && !marline__delivery_init(&e->delivery, &http)) {
        status = MARLINE_ENOMEM;
    }
    if (status != MARLINE_OK) {
        marline__otlp_settings_deinit(&e->settings);
        marline__memory_free(e);
        return status;
    }
    *out = (marline_exporter){.export_spans = export_spans,
                              .cancel = cancel,
                              .after_fork = after_fork,
                              .destroy = destroy,
                              .user = e,
                              .keeps_timeout = true};
    return MARLINE_OK;
}
