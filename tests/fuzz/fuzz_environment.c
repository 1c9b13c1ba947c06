/* OTEL_* variables: the first byte names the variable, the rest is its value. */
#include "fuzz/fuzz.h"

#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "trace/batch_processor.h"
#include "trace/otlp_settings.h"
#include <marline/propagation.h>
#include <marline/sampler.h>

static const char *const variables[] = {
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_PROPAGATORS",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
};

static void check_settings(void)
{
    struct otlp_settings settings;
    if (marline__otlp_settings_init(&settings, NULL, NULL) == MARLINE_OK) {
        FUZZ_CHECK(strncasecmp(settings.url, "http", 4) == 0);
        FUZZ_CHECK(settings.header_count <= OTLP_HEADERS_MAX);
        for (size_t i = 0; i < settings.header_count; i++) {
            FUZZ_CHECK(!strpbrk(settings.headers[i], "\r\n"));
            FUZZ_CHECK(strstr(settings.headers[i], ": "));
        }
    }
    marline__otlp_settings_deinit(&settings);
}

static void check_sampler(void)
{
    marline_sampler sampler;
    if (marline_sampler_from_environment(&sampler) == MARLINE_OK) {
        FUZZ_CHECK(sampler.decide && sampler.description[0] != '\0');
        if (sampler.destroy) {
            sampler.destroy(sampler.user);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *variable = variables[data[0] % (sizeof variables / sizeof *variables)];
    char *value = marline__memory_slice(fuzz_input(data + 1, size - 1));
    marline_batch_options options;
    FUZZ_CHECK(value && setenv(variable, value, 1) == 0);
    check_settings();
    check_sampler();
    (void)marline_propagators_from_environment();
    (void)marline_span_limits_from_environment();
    marline__batch_options_complete(NULL, &options);
    FUZZ_CHECK(options.queue_max > 0 && options.batch_max > 0);
    FUZZ_CHECK(options.batch_max <= options.queue_max && options.interval_ms > 0);
    FUZZ_CHECK(unsetenv(variable) == 0);
    marline__memory_free(value);
    return 0;
}
