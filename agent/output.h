/* Turns what an endpoint answered into the output of a call. */
#ifndef AGENT_OUTPUT_H
#define AGENT_OUTPUT_H

#include <marline/endpoint.h>

#include "base/slice.h"

struct slice output_trim(struct slice text);
/* A JSON object is the output as it is. Any other JSON value, and any other text, becomes
 * {"output": …}, which the default response mapping reads. */
marline_status output_set(marline_call *call, struct slice text);

#endif
