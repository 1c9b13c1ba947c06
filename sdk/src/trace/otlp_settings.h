/* Where and how OTLP is sent: the options completed from the environment (otel.md §2.4, §2.6,
 * §2.7). No network. */
#ifndef MARLINE_TRACE_OTLP_SETTINGS_H
#define MARLINE_TRACE_OTLP_SETTINGS_H

#include <stdbool.h>

#include "wire/otlp.h"
#include <marline/exporters.h>

enum {
    OTLP_HEADERS_MAX = 64, /* lines of the request that are not ours; more are refused */
    OTLP_TIMEOUT_MS = 10000,
};

struct otlp_settings {
    char *url;
    enum otlp_format format;
    bool gzip;
    uint32_t timeout_ms;             /* 0 = no limit (ENV-04) */
    char *headers[OTLP_HEADERS_MAX]; /* "Name: value" */
    size_t header_count;
    char *ca_file;
    char *certificate_file;
    char *key_file;
};

/* Free with deinit in every case. */
marline_status marline__otlp_settings_init(struct otlp_settings *s,
                                           const marline_otlp_exporter_options *options,
                                           marline_error *error);
void marline__otlp_settings_deinit(struct otlp_settings *s);

#endif
