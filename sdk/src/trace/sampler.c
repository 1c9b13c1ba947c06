/* The samplers, and the environment's choice of sampler and limits; see marline/sampler.h. Any
 * thread. */
#include <marline/sampler.h>

#include <locale.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "trace/environment.h"
#include "trace/sampler.h"
#include "wire/tracestate.h"
#include <marline/trace.h>

enum { FLAG_SAMPLED = 1, TRACE_ID_RANDOM_BITS = 56 };

/* ---- constant ---- */

marline_sampling marline__sample_always(void *user, const marline_sampling_input *input,
                                        marline_sampling_output *out)
{
    (void)user;
    (void)input;
    (void)out;
    return MARLINE_SAMPLING_RECORD_AND_SAMPLE;
}

static marline_sampling sample_never(void *user, const marline_sampling_input *input,
                                     marline_sampling_output *out)
{
    (void)user;
    (void)input;
    (void)out;
    return MARLINE_SAMPLING_DROP;
}

marline_sampler marline_sampler_always_on(void)
{
    return (marline_sampler){marline__sample_always, NULL, NULL, "AlwaysOnSampler"};
}

marline_sampler marline_sampler_always_off(void)
{
    return (marline_sampler){sample_never, NULL, NULL, "AlwaysOffSampler"};
}

/* ---- ratio: sampled iff the low 56 bits of the trace id reach 2^56 * (1 - ratio) ---- */

static uint64_t low_bits(const uint8_t trace_id[16])
{
    uint64_t low = 0;
    for (int i = 16 - TRACE_ID_RANDOM_BITS / 8; i < 16; i++) {
        low = low << 8 | trace_id[i];
    }
    return low;
}

/* The threshold travels in the pointer, so that this sampler needs no memory. */
static marline_sampling sample_ratio(void *user, const marline_sampling_input *input,
                                     marline_sampling_output *out)
{
    (void)out;
    return low_bits(input->trace_id) >= (uint64_t)(uintptr_t)user
               ? MARLINE_SAMPLING_RECORD_AND_SAMPLE
               : MARLINE_SAMPLING_DROP;
}

marline_sampler marline_sampler_ratio(double ratio)
{
    double part = ratio >= 0 ? ratio : 0;
    if (!(ratio < 1)) {
        part = 1;
    }
    const double all = (double)(1ull << TRACE_ID_RANDOM_BITS);
    uint64_t threshold = (uint64_t)(all * (1 - part));
    marline_sampler sampler = {sample_ratio, NULL, NULL, ""};
    memcpy(&sampler.user, &threshold, sizeof sampler.user);
    (void)snprintf(sampler.description, sizeof sampler.description, "TraceIdRatioBased{%f}", part);
    return sampler;
}

/* ---- probability: as ratio, by the randomness and the threshold of the trace state ---- */

static marline_sampling sample_probability(void *user, const marline_sampling_input *input,
                                           marline_sampling_output *out)
{
    uint64_t threshold = (uint64_t)(uintptr_t)user;
    struct tracestate_ot ot =
        marline__tracestate_ot((struct slice){input->trace_state.data, input->trace_state.size});
    uint64_t randomness = ot.has_randomness ? ot.randomness : low_bits(input->trace_id);
    if (randomness < threshold) {
        return MARLINE_SAMPLING_DROP;
    }
    out->has_threshold = true;
    out->threshold = threshold;
    return MARLINE_SAMPLING_RECORD_AND_SAMPLE;
}

marline_sampler marline_sampler_probability(double ratio)
{
    const uint64_t threshold_max = (1ull << TRACE_ID_RANDOM_BITS) - 1;
    marline_sampler sampler = marline_sampler_ratio(ratio);
    uint64_t threshold = (uint64_t)(uintptr_t)sampler.user;
    threshold = threshold < threshold_max ? threshold : threshold_max;
    sampler.decide = sample_probability;
    memcpy(&sampler.user, &threshold, sizeof sampler.user);
    (void)snprintf(sampler.description, sizeof sampler.description, "ProbabilitySampler{%f}",
                   ratio >= 0 && ratio < 1 ? ratio
                   : ratio < 0             ? 0.0
                                           : 1.0);
    return sampler;
}

_Static_assert(sizeof(void *) == sizeof(uint64_t), "the ratio sampler keeps 64 bits in a pointer");

/* ---- rate-limited: a bucket of tokens, kept as the time at which it was last empty ---- */

struct rate {
    uint64_t interval_ns; /* one token */
    uint64_t depth_ns;    /* a full bucket */
    atomic_uint_fast64_t empty_at_ns;
};

static marline_sampling sample_rate(void *user, const marline_sampling_input *input,
                                    marline_sampling_output *out)
{
    (void)out;
    struct rate *rate = user;
    uint64_t now_ns = marline__clock_monotonic_ns(input->clock);
    uint64_t empty_at = atomic_load_explicit(&rate->empty_at_ns, memory_order_relaxed);
    uint64_t next;
    do {
        uint64_t floor = now_ns > rate->depth_ns ? now_ns - rate->depth_ns : 0;
        next = (empty_at > floor ? empty_at : floor) + rate->interval_ns;
        if (next > now_ns) {
            return MARLINE_SAMPLING_DROP;
        }
    } while (!atomic_compare_exchange_weak_explicit(&rate->empty_at_ns, &empty_at, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return MARLINE_SAMPLING_RECORD_AND_SAMPLE;
}

marline_status marline_sampler_rate_limited(uint32_t per_second, uint32_t burst,
                                            marline_sampler *out)
{
    if (!out || per_second == 0 || burst == 0) {
        return MARLINE_EINVAL;
    }
    struct rate *rate = marline__memory_zeroed(sizeof *rate);
    if (!rate) {
        return MARLINE_ENOMEM;
    }
    rate->interval_ns = NS_PER_S / per_second;
    rate->depth_ns = rate->interval_ns * burst;
    *out = (marline_sampler){sample_rate, marline__memory_free, rate, ""};
    (void)snprintf(out->description, sizeof out->description, "RateLimited{%u/s,%u}", per_second,
                   burst);
    return MARLINE_OK;
}

/* ---- parent-based ---- */

enum { PARENTS = 4 };

struct by_parent {
    marline_sampler root;
    marline_sampler parents[PARENTS]; /* without decide: the parent's bit */
};

bool marline__sampler_keeps_all(const marline_sampler *sampler)
{
    if (sampler->decide != marline__sample_by_parent) {
        return false;
    }
    const struct by_parent *b = sampler->user;
    bool all = b->root.decide == marline__sample_always;
    for (size_t i = 0; i < PARENTS; i++) {
        all &= b->parents[i].decide == NULL;
    }
    return all;
}

marline_sampling marline__sample_by_parent(void *user, const marline_sampling_input *input,
                                           marline_sampling_output *out)
{
    const struct by_parent *b = user;
    if (!input->parent) {
        return b->root.decide(b->root.user, input, out);
    }
    bool sampled = input->parent->flags & FLAG_SAMPLED;
    const marline_sampler *own =
        &b->parents[(input->parent->is_remote ? 0 : 2) + (sampled ? 0 : 1)];
    if (own->decide) {
        return own->decide(own->user, input, out);
    }
    return sampled ? MARLINE_SAMPLING_RECORD_AND_SAMPLE : MARLINE_SAMPLING_DROP;
}

static void destroy_sampler(const marline_sampler *sampler)
{
    if (sampler && sampler->destroy) {
        sampler->destroy(sampler->user);
    }
}

static void destroy_parent_based(void *user)
{
    struct by_parent *b = user;
    destroy_sampler(&b->root);
    for (size_t i = 0; i < PARENTS; i++) {
        destroy_sampler(&b->parents[i]);
    }
    marline__memory_free(b);
}

marline_status marline_sampler_parent_based_with(const marline_parent_based_options *options,
                                                 marline_sampler *out)
{
    if (!options || options->size != sizeof *options || !options->root || !options->root->decide ||
        !out) {
        return MARLINE_EINVAL;
    }
    const marline_sampler *parents[PARENTS] = {options->remote_sampled, options->remote_unsampled,
                                               options->local_sampled, options->local_unsampled};
    struct by_parent *b = marline__memory_zeroed(sizeof *b);
    if (!b) {
        destroy_sampler(options->root);
        for (size_t i = 0; i < PARENTS; i++) {
            destroy_sampler(parents[i]);
        }
        return MARLINE_ENOMEM;
    }
    b->root = *options->root;
    for (size_t i = 0; i < PARENTS; i++) {
        b->parents[i] = parents[i] ? *parents[i] : (marline_sampler){0};
    }
    *out = (marline_sampler){marline__sample_by_parent, destroy_parent_based, b, ""};
    (void)snprintf(out->description, sizeof out->description, "ParentBased{root=%.*s}", 40,
                   b->root.description);
    return MARLINE_OK;
}

marline_status marline_sampler_parent_based(const marline_sampler *root, marline_sampler *out)
{
    const marline_parent_based_options options = {.size = sizeof options, .root = root};
    return marline_sampler_parent_based_with(&options, out);
}

/* ---- environment ---- */

static double ratio_argument(void)
{
    const char *text = marline__environment_text("OTEL_TRACES_SAMPLER_ARG");
    if (!text) {
        return 1;
    }
    char *end = NULL;
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* the program's may want a comma */
    double ratio = plain ? strtod_l(text, &end, plain) : strtod(text, &end);
    if (plain) {
        freelocale(plain);
    }
    if (*end != '\0' || !(ratio >= 0 && ratio <= 1)) {
        marline__log(LOG_WARN, "OTEL_TRACES_SAMPLER_ARG=%.40s is no number from 0 to 1; 1 is used",
                     text);
        return 1;
    }
    return ratio;
}

enum { RATE_DEFAULT = 100 };

marline_status marline_sampler_from_environment(marline_sampler *out)
{
    if (!out) {
        return MARLINE_EINVAL;
    }
    static const char parent_prefix[] = "parentbased_";
    const char *text = marline__environment_text("OTEL_TRACES_SAMPLER");
    const char *name = text ? text : "parentbased_always_on";
    bool by_parent = strncasecmp(name, parent_prefix, sizeof parent_prefix - 1) == 0;
    const char *root = by_parent ? name + sizeof parent_prefix - 1 : name;
    marline_sampler sampler = marline_sampler_always_on();
    if (strcasecmp(root, "always_off") == 0) {
        sampler = marline_sampler_always_off();
    } else if (strcasecmp(root, "traceidratio") == 0) {
        sampler = marline_sampler_ratio(ratio_argument());
    } else if (strcasecmp(root, "ratelimited") == 0) {
        uint32_t rate = marline__environment_number("OTEL_TRACES_SAMPLER_ARG", 1, RATE_DEFAULT);
        marline_status status = marline_sampler_rate_limited(rate, rate, &sampler);
        if (status != MARLINE_OK) {
            return status;
        }
    } else if (strcasecmp(root, "always_on") != 0) {
        marline__log(LOG_WARN,
                     "OTEL_TRACES_SAMPLER=%.40s is not known; parentbased_always_on is "
                     "used",
                     text);
        by_parent = true;
    }
    if (!by_parent) {
        *out = sampler;
        return MARLINE_OK;
    }
    return marline_sampler_parent_based(&sampler, out);
}

marline_span_limits marline_span_limits_from_environment(void)
{
    marline_span_limits l = MARLINE_SPAN_LIMITS_INIT;
    l.attributes = marline__environment_number(
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", 0,
        marline__environment_number("OTEL_ATTRIBUTE_COUNT_LIMIT", 0, l.attributes));
    l.value_length = marline__environment_number(
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", 0,
        marline__environment_number("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", 0, l.value_length));
    l.events = marline__environment_number("OTEL_SPAN_EVENT_COUNT_LIMIT", 0, l.events);
    l.links = marline__environment_number("OTEL_SPAN_LINK_COUNT_LIMIT", 0, l.links);
    l.event_attributes =
        marline__environment_number("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", 0, l.event_attributes);
    l.link_attributes =
        marline__environment_number("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", 0, l.link_attributes);
    return l;
}
