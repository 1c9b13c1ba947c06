/* Options and environment of the OTLP exporter; see otlp_settings.h. */
#include "trace/otlp_settings.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/blank.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/refuse.h"
#include "trace/environment.h"

static const char default_base[] = "http://localhost:4318";
static const char traces_path[] = "v1/traces";

/* The variable's form for traces beats the general one. */
static const char *variable(const char *suffix, bool *out_is_specific)
{
    char name[64];
    (void)snprintf(name, sizeof name, "OTEL_EXPORTER_OTLP_TRACES_%s", suffix);
    const char *value = marline__environment_text(name);
    if (out_is_specific) {
        *out_is_specific = value != NULL;
    }
    if (value) {
        return value;
    }
    (void)snprintf(name, sizeof name, "OTEL_EXPORTER_OTLP_%s", suffix);
    return marline__environment_text(name);
}

/* ---- endpoint ---- */

static bool is_url(const char *text)
{
    size_t scheme = strncasecmp(text, "http://", 7) == 0    ? 7
                    : strncasecmp(text, "https://", 8) == 0 ? 8
                                                            : 0;
    return scheme > 0 && text[scheme] != '\0' && text[scheme] != '/' && text[scheme] != ':' &&
           !strpbrk(text, " \t\r\n");
}

/* EP-01 to EP-05 */
static char *url_from_base(const char *base)
{
    size_t size = strlen(base);
    struct buffer url = BUFFER_INIT;
    marline__buffer_append(&url, base, size);
    if (base[size - 1] != '/') {
        marline__buffer_append_byte(&url, '/');
    }
    marline__buffer_append_text(&url, traces_path);
    return marline__buffer_take(&url);
}

static char *url_from_environment(void)
{
    bool is_specific = false;
    const char *text = variable("ENDPOINT", &is_specific);
    if (text && !is_url(text)) { /* EP-12, EP-13 */
        marline__log(LOG_WARN,
                     "OTEL_EXPORTER_OTLP_ENDPOINT=%.100s is no http:// or https:// URL; "
                     "%s is used",
                     text, default_base);
        text = NULL;
    }
    if (!text) {
        return url_from_base(default_base);
    }
    return is_specific ? marline__memory_text(text) : url_from_base(text);
}

/* ---- headers ---- */

/* Names that the exporter itself sets (otel.md §2.7). */
static bool is_reserved(const char *line)
{
    static const char *const names[] = {
        "Content-Type:", "Content-Encoding:", "Content-Length:", "Host:"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncasecmp(line, names[i], strlen(names[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_token(const char *text, size_t size)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alphanumeric && (c == '\0' || !strchr(marks, c))) {
            return false;
        }
    }
    return size > 0;
}

static bool is_header_line(const char *line)
{
    const char *colon = strchr(line, ':');
    return colon && is_token(line, (size_t)(colon - line)) && !strpbrk(line, "\r\n") &&
           !is_reserved(line);
}

/* Takes the line. Names are compared without case, the last one wins. */
static bool put_header(struct otlp_settings *s, char *line)
{
    size_t name = strcspn(line, ":") + 1;
    for (size_t i = 0; i < s->header_count; i++) {
        if (strncasecmp(s->headers[i], line, name) == 0) {
            marline__memory_free(s->headers[i]);
            s->headers[i] = line;
            return true;
        }
    }
    if (s->header_count == OTLP_HEADERS_MAX) {
        marline__memory_free(line);
        return false;
    }
    s->headers[s->header_count++] = line;
    return true;
}

static bool append_decoded(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        if (byte == '%') {
            if (text.size - i < 3 ||
                !marline__hex_decode((struct slice){text.data + i + 1, 2}, &byte, 1)) {
                return false;
            }
            i += 2;
        }
        if (byte == '\0') {
            return false;
        }
        marline__buffer_append_byte(out, (char)byte);
    }
    return true;
}

/* "k=v" to "k: v"; NULL when it is no such pair. */
static char *header_of_pair(struct slice pair)
{
    const char *equals = pair.size ? memchr(pair.data, '=', pair.size) : NULL;
    if (!equals) {
        return NULL;
    }
    size_t at = (size_t)(equals - pair.data);
    struct buffer line = BUFFER_INIT;
    marline__buffer_append_slice(&line, marline__blank_strip((struct slice){pair.data, at}));
    marline__buffer_append_text(&line, ": ");
    bool ok =
        append_decoded(&line, marline__blank_strip((struct slice){equals + 1, pair.size - at - 1}));
    char *text = marline__buffer_take(&line);
    if (text && (!ok || !is_header_line(text))) {
        marline__memory_free(text);
        return NULL;
    }
    return text;
}

/* A bad pair is skipped. Values are secrets: they are never logged. */
static void headers_from_environment(struct otlp_settings *s)
{
    const char *text = variable("HEADERS", NULL);
    while (text && *text) {
        size_t size = strcspn(text, ",");
        struct slice pair = marline__blank_strip((struct slice){text, size});
        char *line = header_of_pair(pair);
        if (pair.size > 0 && (!line || !put_header(s, line))) {
            marline__log(LOG_WARN, "a pair of OTEL_EXPORTER_OTLP_HEADERS was left out: it is no "
                                   "name=value that may be set");
        }
        text += text[size] ? size + 1 : size;
    }
}

static marline_status headers_from_options(struct otlp_settings *s,
                                           const marline_otlp_exporter_options *o,
                                           marline_error *error)
{
    for (size_t i = 0; o->headers && i < o->header_count; i++) {
        if (!o->headers[i] || !is_header_line(o->headers[i])) {
            return marline__refuse(
                error, MARLINE_EINVAL,
                "a header must be one line \"Name: value\", and not one that the exporter "
                "sets itself");
        }
        char *line = marline__memory_text(o->headers[i]);
        if (!line || !put_header(s, line)) {
            return marline__refuse(error, line ? MARLINE_EFULL : MARLINE_ENOMEM,
                                   "too many headers");
        }
    }
    return MARLINE_OK;
}

/* ---- the rest ---- */

static enum otlp_format format_of(marline_otlp_protocol protocol)
{
    if (protocol != MARLINE_OTLP_FROM_ENVIRONMENT) {
        return protocol == MARLINE_OTLP_HTTP_JSON ? OTLP_JSON : OTLP_PROTOBUF;
    }
    const char *text = variable("PROTOCOL", NULL);
    if (text && strcasecmp(text, "http/json") == 0) {
        return OTLP_JSON;
    }
    if (text && strcasecmp(text, "http/protobuf") != 0) {
        marline__log(LOG_WARN,
                     "OTEL_EXPORTER_OTLP_PROTOCOL=%.40s is not supported; http/protobuf "
                     "is used",
                     text);
    }
    return OTLP_PROTOBUF;
}

static bool gzip_of(marline_otlp_compression compression)
{
    if (compression != MARLINE_OTLP_COMPRESSION_FROM_ENVIRONMENT) {
        return compression == MARLINE_OTLP_COMPRESSION_GZIP;
    }
    const char *text = variable("COMPRESSION", NULL);
    if (text && strcasecmp(text, "gzip") != 0 && strcasecmp(text, "none") != 0) {
        marline__log(LOG_WARN,
                     "OTEL_EXPORTER_OTLP_COMPRESSION=%.40s is not supported; none is "
                     "used",
                     text);
    }
    return text && strcasecmp(text, "gzip") == 0;
}

static uint32_t timeout_of(uint32_t given)
{
    if (given > 0) {
        return given;
    }
    uint32_t general =
        marline__environment_number("OTEL_EXPORTER_OTLP_TIMEOUT", 0, OTLP_TIMEOUT_MS);
    return marline__environment_number("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", 0, general);
}

/* False when out of memory. */
static bool copy_file(char **out, const char *given, const char *suffix)
{
    const char *text = given ? given : variable(suffix, NULL);
    *out = marline__memory_text(text);
    return *out || !text;
}

marline_status marline__otlp_settings_init(struct otlp_settings *s,
                                           const marline_otlp_exporter_options *options,
                                           marline_error *error)
{
    static const marline_otlp_exporter_options defaults = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    const marline_otlp_exporter_options *o = options ? options : &defaults;
    *s = (struct otlp_settings){0};
    if (o->size != sizeof *o) {
        return marline__refuse(error, MARLINE_EINVAL,
                               "OTLP options must be initialised with "
                               "MARLINE_OTLP_EXPORTER_OPTIONS_INIT");
    }
    if (o->endpoint && !is_url(o->endpoint)) {
        return marline__refuse(
            error, MARLINE_EINVAL,
            "the OTLP endpoint must be a URL that starts with http:// or https://");
    }
    s->url = o->endpoint ? marline__memory_text(o->endpoint) : url_from_environment();
    s->format = format_of(o->protocol);
    s->gzip = gzip_of(o->compression);
    s->timeout_ms = timeout_of(o->timeout_ms);
    headers_from_environment(s);
    if (!s->url || !copy_file(&s->ca_file, o->ca_file, "CERTIFICATE") ||
        !copy_file(&s->certificate_file, o->certificate_file, "CLIENT_CERTIFICATE") ||
        !copy_file(&s->key_file, o->key_file, "CLIENT_KEY")) {
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory for an exporter");
    }
    return headers_from_options(s, o, error);
}

void marline__otlp_settings_deinit(struct otlp_settings *s)
{
    for (size_t i = 0; i < s->header_count; i++) {
        marline__memory_free(s->headers[i]);
    }
    marline__memory_free(s->url);
    marline__memory_free(s->ca_file);
    marline__memory_free(s->certificate_file);
    marline__memory_free(s->key_file);
}
