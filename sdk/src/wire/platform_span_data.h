/* Spans of the platform's channel as span data, which every exporter takes: the way back from
 * marline__platform_encode_span. Pure: no socket, thread or clock. */
#ifndef MARLINE_WIRE_PLATFORM_SPAN_DATA_H
#define MARLINE_WIRE_PLATFORM_SPAN_DATA_H

#include "base/arena.h"
#include "wire/platform_trace.h"

/* One span data for each span of a decoded request, in its order; the arena owns them and the
 * texts that had to be decoded, all else borrows from the request. Numbers without fraction and
 * exponent become integers where they fit, others doubles; null is an empty value. The span's
 * environment joins the resource as `deployment.environment.name` unless that is there. An event
 * whose time cannot be read gets the span's start, a link without readable ids is left out; what
 * follows the first syntax error of a member is, too. NULL when out of memory. */
marline_span_data *marline__platform_to_span_data(const struct platform_request *request,
                                                  struct arena *arena);

#endif
