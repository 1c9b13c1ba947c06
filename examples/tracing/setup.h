/* The first and last lines of every example here, explained in first_span.c. */
#ifndef EXAMPLES_TRACING_SETUP_H
#define EXAMPLES_TRACING_SETUP_H

#include <stdio.h>

#include <marline/marline.h>

static inline void print_log(void *user, marline_log_level level, const char *text)
{
    (void)user;
    (void)fprintf(stderr, "%s: %s\n", level == MARLINE_LOG_ERROR ? "error" : "note", text);
}

/* Exporters as OTEL_TRACES_EXPORTER says. NULL, after a message, when that cannot be. */
static inline marline_provider *start_tracing(const char *service_name)
{
    marline_provider *provider = NULL;
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    marline_error error = {MARLINE_OK, ""};
    options.service_name = service_name;
    marline_log_set(print_log, NULL);
    if (marline_provider_create(&options, &provider, &error) != MARLINE_OK ||
        marline_provider_add_exporters_from_environment(provider, &error) != MARLINE_OK) {
        (void)fprintf(stderr, "tracing: %s\n", error.text);
        marline_provider_destroy(provider);
        return NULL;
    }
    marline_provider_set_global(provider); /* for MARLINE_OBSERVE and its kin */
    return provider;
}

/* The exit status of a program that did its work: 1 when spans were left behind. */
static inline int stop_tracing(marline_provider *provider)
{
    marline_status status = marline_provider_shutdown(provider, 5000);
    marline_provider_set_global(NULL);
    marline_provider_destroy(provider);
    return status == MARLINE_OK ? 0 : 1;
}

#endif
