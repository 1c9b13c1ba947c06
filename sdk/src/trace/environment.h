/* OTEL_* variables, read by the rules ENV-01 to ENV-05 of otel.md: what cannot be used is named in
 * the log and counts as unset. Reads the environment, so not while another thread changes it. */
#ifndef MARLINE_TRACE_ENVIRONMENT_H
#define MARLINE_TRACE_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

/* NULL when unset or empty. */
const char *marline__environment_text(const char *name);
/* True only for "true" in any letter case. */
bool marline__environment_flag(const char *name);
/* minimum … 2^31-1. */
uint32_t marline__environment_number(const char *name, uint32_t minimum, uint32_t otherwise);

#endif
