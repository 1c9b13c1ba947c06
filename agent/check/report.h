/* Shows the outcome of a check. Pure but for the stream. */
#ifndef AGENT_CHECK_REPORT_H
#define AGENT_CHECK_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "agent/check/orchestrator.h"

/* A timeline per scenario, then the verdict. */
void report_text(const struct check *c, const char *base_url, bool has_colour, FILE *out);
/* One JSON object and a newline. */
void report_json(const struct check *c, FILE *out);
/* JUnit XML, one test case per scenario. */
void report_junit(const struct check *c, FILE *out);
/* One line per failure. */
void report_failures(const struct check *c, FILE *out);

#endif
