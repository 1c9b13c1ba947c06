/* Two decisions by name, so that the provider can recognise the default sampler and skip the call.
 */
#ifndef MARLINE_TRACE_SAMPLER_H
#define MARLINE_TRACE_SAMPLER_H

#include <marline/sampler.h>

marline_sampling marline__sample_always(void *user, const marline_sampling_input *input,
                                        const marline_attribute **out_attributes,
                                        size_t *out_count);
marline_sampling marline__sample_by_parent(void *user, const marline_sampling_input *input,
                                           const marline_attribute **out_attributes,
                                           size_t *out_count);

#endif
