/* The batch processor: the thread around batch_schedule.h, and the queue between it and the threads
 * that end spans. */
#ifndef MARLINE_TRACE_BATCH_PROCESSOR_H
#define MARLINE_TRACE_BATCH_PROCESSOR_H

#include "trace/processor.h"
#include <marline/trace.h>

/* Takes the exporter, on failure too. The options are complete: no 0 that stands for a default.
 * `must_spool`: a spool that cannot be had is a failure; else it is done without. */
marline_status marline__batch_processor_create(const marline_exporter *exporter,
                                               const marline_batch_options *options,
                                               bool must_spool, struct processor **out,
                                               marline_error *error);

/* Fills what is 0 from OTEL_BSP_*, else from the defaults (BSP-01, ENV-01 to ENV-04). */
void marline__batch_options_complete(const marline_batch_options *options,
                                     marline_batch_options *out);

#endif
