/* Exporters that write to a descriptor: OTLP/JSON lines into a file, text for people.
 * Thread: the processor's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/memory.h"
#include "base/time_text.h"
#include "wire/json_writer.h"
#include "wire/otlp.h"
#include <marline/exporters.h>

struct stream_exporter {
    int descriptor;
    bool owns_descriptor;
    struct buffer text;
};

/* False: errno says why; `*out_written` bytes are out. */
static bool write_all(int descriptor, const struct buffer *text, size_t *out_written)
{
    while (*out_written < text->size) {
        ssize_t n = write(descriptor, text->data + *out_written, text->size - *out_written);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        *out_written += (size_t)n;
    }
    return true;
}

static void settle(struct stream_exporter *e, size_t count, marline_export_result *out)
{
    size_t written = 0;
    if (e->text.failed) {
        out->failed = count;
        (void)snprintf(out->reason, sizeof out->reason, "out of memory for %zu spans", count);
        return;
    }
    if (write_all(e->descriptor, &e->text, &written)) {
        out->exported = count;
        return;
    }
    int code = errno;
    out->failed = count;
    char cause[96];
    (void)snprintf(out->reason, sizeof out->reason, "writing spans: %s",
                   strerror_r(code, cause, sizeof cause));
    if (written > 0 && e->owns_descriptor) { /* half a line would spoil the next one */
        off_t end = lseek(e->descriptor, 0, SEEK_END);
        if (end >= (off_t)written && ftruncate(e->descriptor, end - (off_t)written) != 0) {
            (void)snprintf(out->reason, sizeof out->reason, "the file ends in half a batch: %s",
                           strerror_r(errno, cause, sizeof cause));
        }
    }
}

static void export_lines(void *user, const marline_span_data *spans, size_t count,
                         uint64_t timeout_ms, marline_export_result *out)
{
    (void)timeout_ms;
    struct stream_exporter *e = user;
    marline__buffer_clear(&e->text);
    marline__otlp_encode(OTLP_JSON, spans, count, &e->text);
    marline__buffer_append_byte(&e->text, '\n');
    settle(e, count, out);
}

/* ---- text ---- */

static const char *status_word(marline_span_status status)
{
    return status == MARLINE_SPAN_STATUS_ERROR ? "ERROR"
           : status == MARLINE_SPAN_STATUS_OK  ? "OK"
                                               : "-";
}

/* Quoted and escaped as in JSON: one span stays one line whatever its texts hold. */
static void append_quoted(struct buffer *out, marline_string s)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_string(&w, (struct slice){s.data, s.size});
}

static void append_value(struct buffer *out, const marline_value *value)
{
    switch (value->type) {
    case MARLINE_VALUE_STRING:
        append_quoted(out, value->as.string);
        break;
    case MARLINE_VALUE_BOOL:
        marline__buffer_append_text(out, value->as.boolean ? "true" : "false");
        break;
    case MARLINE_VALUE_INT:
        marline__buffer_append_signed(out, value->as.integer);
        break;
    case MARLINE_VALUE_DOUBLE:
        marline__buffer_append_format(out, "%g", value->as.real);
        break;
    case MARLINE_VALUE_BYTES:
        marline__buffer_append_format(out, "<%zu bytes>", value->as.string.size);
        break;
    case MARLINE_VALUE_ARRAY:
        marline__buffer_append_format(out, "[%zu]", value->as.array.count);
        break;
    case MARLINE_VALUE_MAP:
        marline__buffer_append_format(out, "{%zu}", value->as.map.count);
        break;
    case MARLINE_VALUE_EMPTY:
        marline__buffer_append_text(out, "null");
        break;
    }
}

static void append_hex(struct buffer *out, const uint8_t *bytes, size_t size)
{
    char digits[32];
    marline__hex_encode(bytes, size, digits);
    marline__buffer_append(out, digits, 2 * size);
}

/* Bare where that can be read, as it can for every key of a convention. */
static void append_key(struct buffer *out, marline_string key)
{
    static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
    size_t plain = 0;
    while (plain < key.size && memchr(bare, key.data[plain], sizeof bare - 1)) {
        plain++;
    }
    if (plain == key.size && plain > 0) {
        marline__buffer_append(out, key.data, key.size);
    } else {
        append_quoted(out, key);
    }
}

static void append_attributes(struct buffer *out, const marline_attribute *items, uint32_t count,
                              const char *separator)
{
    for (uint32_t i = 0; i < count; i++) {
        marline__buffer_append_text(out, i == 0 ? separator : " ");
        append_key(out, items[i].key);
        marline__buffer_append_byte(out, '=');
        append_value(out, &items[i].value);
    }
}

static void append_events(struct buffer *out, const marline_span_data *span)
{
    for (uint32_t i = 0; i < span->event_count; i++) {
        const marline_event_data *event = &span->events[i];
        marline__buffer_append_text(out, " event=");
        append_quoted(out, event->name);
        append_attributes(out, event->attributes, event->attribute_count, "{");
        marline__buffer_append_text(out, event->attribute_count > 0 ? "}" : "");
    }
}

static void append_links(struct buffer *out, const marline_span_data *span)
{
    for (uint32_t i = 0; i < span->link_count; i++) {
        const marline_link_data *link = &span->links[i];
        marline__buffer_append_text(out, " link=");
        append_hex(out, link->trace_id, sizeof link->trace_id);
        marline__buffer_append_byte(out, '/');
        append_hex(out, link->span_id, sizeof link->span_id);
        append_attributes(out, link->attributes, link->attribute_count, "{");
        marline__buffer_append_text(out, link->attribute_count > 0 ? "}" : "");
    }
}

static void append_identity(struct buffer *out, const marline_span_data *span)
{
    static const char *const kinds[] = {
        [MARLINE_SPAN_KIND_SERVER] = " kind=SERVER",
        [MARLINE_SPAN_KIND_CLIENT] = " kind=CLIENT",
        [MARLINE_SPAN_KIND_PRODUCER] = " kind=PRODUCER",
        [MARLINE_SPAN_KIND_CONSUMER] = " kind=CONSUMER",
    };
    marline__buffer_append_text(out, " trace=");
    append_hex(out, span->trace_id, sizeof span->trace_id);
    marline__buffer_append_text(out, " span=");
    append_hex(out, span->span_id, sizeof span->span_id);
    if (span->has_parent) {
        marline__buffer_append_text(out, " parent=");
        append_hex(out, span->parent_span_id, sizeof span->parent_span_id);
    }
    if ((size_t)span->kind < sizeof kinds / sizeof kinds[0] && kinds[span->kind]) {
        marline__buffer_append_text(out, kinds[span->kind]);
    }
}

static void append_span(struct buffer *out, const marline_span_data *span)
{
    char start[TIME_TEXT_SIZE];
    marline__time_format(span->start_unix_ns, start);
    uint64_t ns =
        span->end_unix_ns > span->start_unix_ns ? span->end_unix_ns - span->start_unix_ns : 0;
    marline__buffer_append_format(out, "%s %llu.%03llums %s ", start, ns / NS_PER_MS,
                                  ns % NS_PER_MS / 1000, status_word(span->status));
    append_quoted(out, span->name);
    append_identity(out, span);
    if (span->status_message.size > 0) {
        marline__buffer_append_text(out, " message=");
        append_quoted(out, span->status_message);
    }
    append_attributes(out, span->attributes, span->attribute_count, " ");
    append_events(out, span);
    append_links(out, span);
    marline__buffer_append_byte(out, '\n');
}

static void export_text(void *user, const marline_span_data *spans, size_t count,
                        uint64_t timeout_ms, marline_export_result *out)
{
    (void)timeout_ms;
    struct stream_exporter *e = user;
    marline__buffer_clear(&e->text);
    for (size_t i = 0; i < count; i++) {
        append_span(&e->text, &spans[i]);
    }
    settle(e, count, out);
}

/* ---- creation ---- */

static void after_fork(void *user)
{
    ((struct stream_exporter *)user)->text = BUFFER_INIT;
}

static void destroy(void *user)
{
    struct stream_exporter *e = user;
    if (e->owns_descriptor) {
        (void)close(e->descriptor);
    }
    marline__buffer_deinit(&e->text);
    marline__memory_free(e);
}

static marline_status fail(marline_error *error, marline_status code, const char *what, int number)
{
    if (error) {
        char cause[96];
        error->code = code;
        (void)snprintf(error->text, sizeof error->text, "%.120s%s%s", what, number ? ": " : "",
                       number ? strerror_r(number, cause, sizeof cause) : "");
    }
    return code;
}

static marline_exporter table(struct stream_exporter *e,
                              void (*export_spans)(void *, const marline_span_data *, size_t,
                                                   uint64_t, marline_export_result *))
{
    return (marline_exporter){
        .export_spans = export_spans, .after_fork = after_fork, .destroy = destroy, .user = e};
}

marline_status marline_exporter_file_create(const char *path, marline_exporter *out,
                                            marline_error *error)
{
    if (!path || !out) {
        return fail(error, MARLINE_EINVAL, "the file exporter needs a path", 0);
    }
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return fail(error, MARLINE_EIO, path, errno);
    }
    struct stream_exporter *e = marline__memory_zeroed(sizeof *e);
    if (!e) {
        (void)close(descriptor);
        return fail(error, MARLINE_ENOMEM, "out of memory for an exporter", 0);
    }
    e->descriptor = descriptor;
    e->owns_descriptor = true;
    *out = table(e, export_lines);
    return MARLINE_OK;
}

marline_status marline_exporter_console_create(int descriptor, marline_exporter *out,
                                               marline_error *error)
{
    if (!out || fcntl(descriptor, F_GETFD) < 0) {
        return fail(error, MARLINE_EINVAL, "the console exporter needs an open descriptor", 0);
    }
    struct stream_exporter *e = marline__memory_zeroed(sizeof *e);
    if (!e) {
        return fail(error, MARLINE_ENOMEM, "out of memory for an exporter", 0);
    }
    e->descriptor = descriptor;
    *out = table(e, export_text);
    return MARLINE_OK;
}
