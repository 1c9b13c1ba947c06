/* Shows the outcome of a check. Pure but for the stream. */
#ifndef AGENT_CHECK_REPORT_H
#define AGENT_CHECK_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "agent/check/orchestrator.h"

/* A timeline per scenario, then the verdict, with an explanation of each failure. */
void report_text(const struct check *c, const char *base_url, bool has_colour, FILE *out);
/* Both ways to flush, scenario by scenario. */
void report_comparison(const struct check *batch, const struct check *prompt, FILE *out);
/* One JSON object and a newline. The scenarios are those of the first check; a second one follows
 * as "prompt", of the same shape. */
void report_json(const struct check *const *checks, size_t count, FILE *out);
/* JUnit XML, a suite per check, one test case per scenario. */
void report_junit(const struct check *const *checks, size_t count, FILE *out);
/* One line per failure. */
void report_failures(const struct check *c, FILE *out);

#endif
