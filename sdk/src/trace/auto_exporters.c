/* Exporters by OTEL_TRACES_EXPORTER. */
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/blank.h"
#include "base/log.h"
#include "trace/environment.h"
#include <marline/exporters.h>

static bool is_word(struct slice word, const char *name)
{
    return word.size == strlen(name) && strncasecmp(word.data, name, word.size) == 0;
}

static marline_status add_named(marline_provider *provider, struct slice name, marline_error *error)
{
    marline_exporter exporter;
    marline_status status = MARLINE_OK;
    if (is_word(name, "otlp")) {
        status = marline_exporter_otlp_create(NULL, &exporter, error);
        return status == MARLINE_OK
                   ? marline_provider_add_batch_processor(provider, &exporter, NULL, error)
                   : status;
    }
    if (is_word(name, "console")) {
        status = marline_exporter_console_create(STDOUT_FILENO, &exporter, error);
        return status == MARLINE_OK
                   ? marline_provider_add_simple_processor(provider, &exporter, error)
                   : status;
    }
    if (!is_word(name, "none") && name.size > 0) {
        marline__log(LOG_WARN,
                     "OTEL_TRACES_EXPORTER names %.*s, which is not known; it is left "
                     "out",
                     (int)(name.size < 40 ? name.size : 40), name.data);
    }
    return MARLINE_OK;
}

marline_status marline_provider_add_exporters_from_environment(marline_provider *provider,
                                                               marline_error *error)
{
    if (!provider) {
        return MARLINE_EINVAL;
    }
    const char *text = marline__environment_text("OTEL_TRACES_EXPORTER");
    text = text ? text : "otlp";
    marline_status status = MARLINE_OK;
    while (*text && status == MARLINE_OK) {
        size_t size = strcspn(text, ",");
        status = add_named(provider, marline__blank_strip((struct slice){text, size}), error);
        text += text[size] ? size + 1 : size;
    }
    return status;
}
