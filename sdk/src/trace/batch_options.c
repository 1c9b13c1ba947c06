/* The options of a batch processor, made complete from the environment. */
#include <limits.h>

#include "trace/batch_processor.h"
#include "trace/environment.h"
#include "trace/outlet.h"

static uint32_t option(uint32_t given, const char *variable, uint32_t minimum, uint32_t otherwise)
{
    return given ? given : marline__environment_number(variable, minimum, otherwise);
}

void marline__batch_options_complete(const marline_batch_options *options,
                                     marline_batch_options *out)
{
    static const marline_batch_options defaults = MARLINE_BATCH_OPTIONS_INIT;
    const marline_batch_options *o = options ? options : &defaults;
    *out = (marline_batch_options){
        .size = sizeof *out,
        .queue_max = option(o->queue_max, "OTEL_BSP_MAX_QUEUE_SIZE", 1, 2048),
        .batch_max = option(o->batch_max, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1, 512),
        .interval_ms = option(o->interval_ms, "OTEL_BSP_SCHEDULE_DELAY", 0, 5000),
        .export_timeout_ms = option(o->export_timeout_ms, "OTEL_BSP_EXPORT_TIMEOUT", 0, 30000)};
    if (out->queue_max > INT_MAX) {
        out->queue_max = INT_MAX;
    }
    if (out->batch_max > out->queue_max) {
        out->batch_max = out->queue_max;
    }
    out->prompt = o->prompt;
    out->no_thread = o->no_thread;
    out->spool_path = o->spool_path ? o->spool_path : marline__environment_text("MARLINE_SPOOL");
    out->spool_bytes_max =
        o->spool_bytes_max
            ? o->spool_bytes_max
            : marline__environment_number("MARLINE_SPOOL_BYTES", 1, SPOOL_BYTES_MAX_DEFAULT);
    out->spool_spans_per_s =
        o->spool_spans_per_s ? o->spool_spans_per_s : OUTLET_REPLAY_RATE_DEFAULT;
    if (out->interval_ms == 0) {
        out->interval_ms = 1; /* a delay of 0 means as soon as possible */
    }
}
