/* Exporters beside the platform's own (marline/trace.h): OTLP over HTTP, JSON lines, and text for
 * people. Each create function fills a table for marline_provider_add_batch_processor or
 * _simple_processor. Any thread. */
#ifndef MARLINE_EXPORTERS_H
#define MARLINE_EXPORTERS_H

#include <stddef.h>
#include <stdint.h>

#include <marline/status.h>
#include <marline/trace.h>

MARLINE_BEGIN_DECLS

/* How spans are encoded. */
typedef enum marline_otlp_protocol {
    MARLINE_OTLP_FROM_ENVIRONMENT, /* OTEL_EXPORTER_OTLP_PROTOCOL, else http/protobuf */
    MARLINE_OTLP_HTTP_PROTOBUF,
    MARLINE_OTLP_HTTP_JSON,
} marline_otlp_protocol;

/* Whether bodies are compressed. */
typedef enum marline_otlp_compression {
    MARLINE_OTLP_COMPRESSION_FROM_ENVIRONMENT, /* OTEL_EXPORTER_OTLP_COMPRESSION, else none */
    MARLINE_OTLP_COMPRESSION_NONE,
    MARLINE_OTLP_COMPRESSION_GZIP,
} marline_otlp_compression;

/* What is left out comes from OTEL_EXPORTER_OTLP_TRACES_*, else from OTEL_EXPORTER_OTLP_*, else
 * from the defaults of otel.md §2.4. All texts are copied. Redirects are not followed. */
typedef struct marline_otlp_exporter_options {
    size_t size;          /* sizeof(marline_otlp_exporter_options) */
    const char *endpoint; /* optional: the whole URL, used as it is */
    marline_otlp_protocol protocol;
    marline_otlp_compression compression;
    const char *const *headers; /* optional: "Name: value", beside those of the environment */
    size_t header_count;
    uint32_t timeout_ms;          /* optional: one export with all its retries; 0 = environment */
    const char *ca_file;          /* optional: PEM, replaces the system's trust store */
    const char *certificate_file; /* optional: PEM, of this client */
    const char *key_file;         /* optional: PEM, its key */
} marline_otlp_exporter_options;

/* Everything left out. */
#define MARLINE_OTLP_EXPORTER_OPTIONS_INIT                                                         \
    {                                                                                              \
        sizeof(marline_otlp_exporter_options), NULL, MARLINE_OTLP_FROM_ENVIRONMENT,                \
            MARLINE_OTLP_COMPRESSION_FROM_ENVIRONMENT, NULL, 0, 0, NULL, NULL, NULL                \
    }

/* options may be NULL. MARLINE_EINVAL: an endpoint that is no http(s) URL, or a header that is no
 * "Name: value" or may not be replaced. */
MARLINE_API marline_status marline_exporter_otlp_create(
    const marline_otlp_exporter_options *options, marline_exporter *out, marline_error *error);

/* Appends to a file, one batch a line, each an OTLP/JSON request (the OTLP file format). A batch is
 * written whole or not at all: what a full disk cut off is taken back. */
MARLINE_API marline_status marline_exporter_file_create(const char *path, marline_exporter *out,
                                                        marline_error *error);
/* Writes one line of text a span to a descriptor, 1 or 2 as a rule; it is not closed. */
MARLINE_API marline_status marline_exporter_console_create(int descriptor, marline_exporter *out,
                                                           marline_error *error);

/* Adds what OTEL_TRACES_EXPORTER names, a list of otlp, console, none; otlp when unset. An unknown
 * name is logged and left out. */
MARLINE_API marline_status
marline_provider_add_exporters_from_environment(marline_provider *provider, marline_error *error);

MARLINE_END_DECLS
#endif
