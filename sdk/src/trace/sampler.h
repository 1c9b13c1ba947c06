/* The default sampler, by name, so that the provider can recognise it and skip the call. */
#ifndef MARLINE_TRACE_SAMPLER_H
#define MARLINE_TRACE_SAMPLER_H

#include <stdbool.h>

#include <marline/sampler.h>

marline_sampling marline__sample_always(void *user, const marline_sampling_input *input,
                                        marline_sampling_output *out);
marline_sampling marline__sample_by_parent(void *user, const marline_sampling_input *input,
                                           marline_sampling_output *out);
/* Parent-based, and always on for roots. */
bool marline__sampler_keeps_all(const marline_sampler *sampler);

#endif
