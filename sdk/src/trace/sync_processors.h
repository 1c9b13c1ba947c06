/* The processors that work in the thread that ends a span. */
#ifndef MARLINE_TRACE_SYNC_PROCESSORS_H
#define MARLINE_TRACE_SYNC_PROCESSORS_H

#include "trace/processor.h"
#include <marline/trace.h>

/* Each takes its argument, on failure too; NULL when out of memory. */
struct processor *marline__simple_processor_create(const marline_exporter *exporter);
struct processor *marline__user_processor_create(const marline_span_processor *user);

#endif
