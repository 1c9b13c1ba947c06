/* Samplers and limits: what of a program's spans is recorded, and how much of each. Given to a
 * provider when it is created, or chosen by environment variables. Rules: otel.md §1.4, §1.6. */
#ifndef MARLINE_SAMPLER_H
#define MARLINE_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include <marline/span_data.h>
#include <marline/status.h>

MARLINE_BEGIN_DECLS

struct marline_span_context;

/* What becomes of a span. */
typedef enum marline_sampling {
    MARLINE_SAMPLING_DROP,
    MARLINE_SAMPLING_RECORD_ONLY, /* processors of your own see it, exporters do not */
    MARLINE_SAMPLING_RECORD_AND_SAMPLE,
} marline_sampling;

/* What is known when a span starts; all borrowed during the call. Later changes of the span never
 * lead to another decision (SMP-03). */
typedef struct marline_sampling_input {
    const struct marline_span_context *parent; /* NULL for a root */
    const uint8_t *trace_id;                   /* 16 bytes */
    marline_string name;
    marline_span_kind kind;
    const marline_attribute *attributes;
    size_t attribute_count;
    const marline_link_data *links;
    size_t link_count;
    const void *clock; /* private */
} marline_sampling_input;

/* Called from any thread, several at once; must not start spans. `out_attributes`, when set, are
 * added to the span; they stay valid until the next call from the same thread. A span of a test
 * invocation is recorded and sampled whatever the sampler says. */
typedef struct marline_sampler {
    marline_sampling (*decide)(void *user, const marline_sampling_input *input,
                               const marline_attribute **out_attributes, size_t *out_count);
    void (*destroy)(void *user); /* optional */
    void *user;
    char description[64];
} marline_sampler;

/* Every span, and none. */
MARLINE_API marline_sampler marline_sampler_always_on(void);
MARLINE_API marline_sampler marline_sampler_always_off(void);
/* Of all traces the given part, 0 to 1 (clamped; NaN = 1), decided by the trace id alone: the same
 * everywhere, and whoever samples less takes a subset (SMP-06, SMP-08). */
MARLINE_API marline_sampler marline_sampler_ratio(double ratio);
/* At most `per_second` new traces a second on average, `burst` at once: adapts the sampled share to
 * the load. per_second and burst are at least 1. */
MARLINE_API marline_status marline_sampler_rate_limited(uint32_t per_second, uint32_t burst,
                                                        marline_sampler *out);
/* What the parent decided; `root` decides for roots. Takes the root sampler, on failure too
 * (SMP-05). */
MARLINE_API marline_status marline_sampler_parent_based(const marline_sampler *root,
                                                        marline_sampler *out);
/* As OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG say; parentbased_always_on when unset or
 * unknown. Also knows parentbased_ratelimited and ratelimited, whose argument is per second. */
MARLINE_API marline_status marline_sampler_from_environment(marline_sampler *out);

/* Counts of what a span keeps; what comes beyond is dropped and counted (LIM-01). 0 keeps none. */
typedef struct marline_span_limits {
    uint32_t attributes;
    uint32_t value_length; /* code points of a text, bytes of a byte array; UINT32_MAX = no limit */
    uint32_t value_depth;  /* arrays and maps nested deeper become empty values */
    uint32_t events;
    uint32_t links;
    uint32_t event_attributes;
    uint32_t link_attributes;
} marline_span_limits;

/* The defaults of OpenTelemetry. */
#define MARLINE_SPAN_LIMITS_INIT                                                                   \
    {                                                                                              \
        128, UINT32_MAX, 64, 128, 128, 128, 128                                                    \
    }

/* OTEL_*_LIMIT, else the defaults of MARLINE_SPAN_LIMITS_INIT. */
MARLINE_API marline_span_limits marline_span_limits_from_environment(void);

MARLINE_END_DECLS
#endif
