/* Turns what a metric answered into its score. */
#ifndef AGENT_SCORE_H
#define AGENT_SCORE_H

#include <marline/endpoint.h>

#include "base/slice.h"

/* A JSON object gives `score` and, where it has them, `details` (an object). A number, a boolean or
 * a text is the score itself, and so is what is no JSON. An object without a score fails the call,
 * and so does a score of another type. */
marline_status score_set(marline_call *call, struct slice text);

#endif
