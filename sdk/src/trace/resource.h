/* The resource of a provider: what all its spans have in common (otel.md RES-*, RA-*). */
#ifndef MARLINE_TRACE_RESOURCE_H
#define MARLINE_TRACE_RESOURCE_H

#include <stdbool.h>

#include "base/slice.h"
#include "trace/attribute_list.h"
#include <marline/trace.h>

/* Puts the resource together, all of it copied into the arena: the library's defaults, then the
 * environment, then what was detected, then the options, each beating what came before. False when
 * out of memory. */
bool marline__resource_build(const marline_provider_options *options, struct span_memory *arena,
                             marline_resource_data *out);

/* Reads the text of OTEL_RESOURCE_ATTRIBUTES into the list. One error: nothing is read, false. */
bool marline__resource_parse(struct slice text, struct attribute_list *out);

#endif
