/* Samplers and limits: what of a program's spans is recorded, and how much of each. Given to a
 * provider when it is created, or chosen by environment variables. Rules: otel.md §1.4, §1.6. */
#ifndef MARLINE_SAMPLER_H
#define MARLINE_SAMPLER_H

#include <stdbool.h>
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
    marline_string trace_state;                /* the parent's */
    const uint8_t *trace_id;                   /* 16 bytes */
    marline_string name;
    marline_span_kind kind;
    const marline_attribute *attributes;
    size_t attribute_count;
    const marline_link_data *links;
    size_t link_count;
    const void *clock; /* private */
} marline_sampling_input;

/* What a sampler wants beside its decision; all zero when it is called. What it points to stays
 * valid until the next call from the same thread. */
typedef struct marline_sampling_output {
    const marline_attribute *attributes; /* added to the span */
    size_t attribute_count;
    /* Instead of the parent's, W3C tracestate; empty text clears it. NULL keeps it (CTX-06). */
    const marline_string *trace_state;
    bool has_threshold; /* writes `th` into the trace state (TST-05) */
    uint64_t threshold; /* 0 ... 2^56 - 1 */
} marline_sampling_output;

/* Called from any thread, several at once; must not start spans. A span of a test invocation is
 * recorded and sampled whatever the sampler says. */
typedef struct marline_sampler {
    marline_sampling (*decide)(void *user, const marline_sampling_input *input,
                               marline_sampling_output *out);
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
/* As ratio (0 counts as 2^-56), and says so: the trace state of what is sampled carries the
 * threshold `ot=th:...`, so that whoever counts spans knows how many each stands for. Randomness
 * that the trace state brings (`rv`) goes before the trace id's (SMP-07, in development). */
MARLINE_API marline_sampler marline_sampler_probability(double ratio);
/* At most `per_second` new traces a second on average, `burst` at once: adapts the sampled share to
 * the load. per_second and burst are at least 1. */
MARLINE_API marline_status marline_sampler_rate_limited(uint32_t per_second, uint32_t burst,
                                                        marline_sampler *out);
/* What the parent decided; `root` decides for roots. Takes the root sampler, on failure too
 * (SMP-05). */
MARLINE_API marline_status marline_sampler_parent_based(const marline_sampler *root,
                                                        marline_sampler *out);

/* Which sampler decides, by the parent. */
typedef struct marline_parent_based_options {
    size_t size;                             /* sizeof(marline_parent_based_options) */
    const marline_sampler *root;             /* required; all are taken, on failure too */
    const marline_sampler *remote_sampled;   /* optional: NULL = always on */
    const marline_sampler *remote_unsampled; /* optional: NULL = always off */
    const marline_sampler *local_sampled;    /* optional: NULL = always on */
    const marline_sampler *local_unsampled;  /* optional: NULL = always off */
} marline_parent_based_options;

/* As parent_based, with a sampler of one's own for each kind of parent (SMP-05). */
MARLINE_API marline_status marline_sampler_parent_based_with(
    const marline_parent_based_options *options, marline_sampler *out);
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
