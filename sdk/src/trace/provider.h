/* A provider: the fixed part that every span of it shares, its processors, and the balance of what
 * became of its spans. Any thread. */
#ifndef MARLINE_TRACE_PROVIDER_H
#define MARLINE_TRACE_PROVIDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "trace/processor.h"
#include "trace/shard.h"
#include "trace/span_record.h"

struct marline_tracer {
    marline_provider *provider;
    struct marline_tracer *next;
    marline_scope_data scope;
    struct span_memory arena; /* of the scope's texts */
};

struct marline_provider {
    struct list link;       /* the list of all providers */
    atomic_uint references; /* its owner's, and of each processor that may be left behind */
    /* constant after creation */
    uint64_t id; /* never 0, never used again */
    const struct clock *clock;
    marline_span_limits limits;
    marline_sampler sampler;
    marline_id_generator ids; /* without functions: the library's own */
    bool keeps_all;           /* the sampler is parent-based, always on: decided without a call */
    bool disabled;            /* OTEL_SDK_DISABLED: nothing is recorded, ids pass through */
    marline_resource_data resource;
    struct span_memory arena; /* of the resource */
    struct marline_tracer *default_tracer;
    /* processors are added, never removed: readers take the count first */
    atomic_uint processor_count;
    struct processor *processors[PROCESSORS_MAX];
    atomic_bool wants_starts;  /* a processor has on_start */
    atomic_bool wants_endings; /* a processor has on_ending */
    atomic_bool stopped;
    pthread_mutex_t mutex; /* adding tracers, processors, lanes */
    _Atomic(struct marline_tracer *) tracers;
    _Atomic(struct lane *) lanes;
    /* spans that all processors are done with */
    _Alignas(CACHE_LINE) atomic_uint_fast64_t exported;
    atomic_uint_fast64_t spooled;
    atomic_uint_fast64_t dropped[MARLINE_DROP_REASONS];
};

/* As marline_provider_create, with a clock to borrow (NULL: the system's). */
marline_status marline__provider_create(const marline_provider_options *options,
                                        const struct clock *clock, marline_provider **out,
                                        marline_error *error);
/* Takes the processor, on failure too. */
marline_status marline__provider_add(marline_provider *provider, struct processor *processor,
                                     marline_error *error);
/* An exporter that a shutdown leaves behind goes on reading scopes and the resource: they stay
 * until the last reference goes, all else ends with the provider. Any thread. */
void marline__provider_ref(marline_provider *provider);
void marline__provider_unref(marline_provider *provider);
void marline__provider_adopt_lane(marline_provider *provider, struct lane *lane);
/* One processor is done with an ended span; the last one gives the record back. Any thread. */
void marline__provider_release(struct span_record *r, unsigned fate);
/* As release, for a record whose data somebody may go on reading: it is never used again. */
void marline__provider_forfeit(struct span_record *r, unsigned fate);
/* Of the spans that were released as spooled, so many have another fate now. */
void marline__provider_unspool(marline_provider *provider, uint64_t count, unsigned fate);
/* Records of the provider that run or wait, counted one by one: to check in_flight at rest. */
uint64_t marline__provider_count_records(marline_provider *provider);

#endif
