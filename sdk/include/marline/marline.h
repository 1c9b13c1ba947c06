/* Everything of libmarline: endpoints, the testing channel, tracing. */
#ifndef MARLINE_H
#define MARLINE_H

#include <marline/ai.h>
#include <marline/client.h>
#include <marline/context.h>
#include <marline/dead_letters.h>
#include <marline/endpoint.h>
#include <marline/exporters.h>
#include <marline/http.h>
#include <marline/propagation.h>
#include <marline/resource.h>
#include <marline/sampler.h>
#include <marline/span_data.h>
#include <marline/status.h>
#include <marline/trace.h>
#include <marline/work.h>

#endif
