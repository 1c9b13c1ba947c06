/* The scenarios of `check` as data. */
#include "agent/check/scenario.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Each test begins a tenth of an interval after a tick. What has to be exported by a tick ends well
 * before it, so that a busy machine does not turn one scenario into another. */

static const struct probe_span fast_spans[] = {
    {"function.check.lookup", 0.1, 0.25, LINK_INGEST},
    {"function.check.answer", 0.25, 0.5, LINK_INGEST},
};

static const struct probe fast_probe = {
    .endpoint = "marline_check_fast",
    .description = "Ends, and has its result, before the exporter's next tick",
    .spans = fast_spans,
    .span_count = COUNT(fast_spans),
    .end = 0.5,
    .root_expected = LINK_INGEST,
};

static const struct probe_span slow_spans[] = {
    {"function.check.plan", 0.1, 0.6, LINK_RESULT},
    {"function.check.search", 0.7, 1.6, LINK_RESULT},
    {"function.check.answer", 1.7, 2.3, LINK_INGEST},
};

static const struct probe slow_probe = {
    .endpoint = "marline_check_slow",
    .description = "Outlasts two exports: children leave before the result, the root after it",
    .spans = slow_spans,
    .span_count = COUNT(slow_spans),
    .end = 2.5,
    .root_expected = LINK_INGEST,
};

/* No claims: when the late spans are stored right after the result, point 2 may come first and link
 * the early one too. */
static const struct probe_span boundary_spans[] = {
    {"function.check.early", 0.1, 0.6, LINK_NONE},
    {"function.check.late", 1.0, 2.0, LINK_NONE},
};

static const struct probe boundary_probe = {
    .endpoint = "marline_check_boundary",
    .description = "Ends exactly on a tick: result and spans set out at the same moment",
    .spans = boundary_spans,
    .span_count = COUNT(boundary_spans),
    .end = 2.0,
    .root_expected = LINK_NONE,
};

static const struct probe_span scheduled_spans[] = {
    {"function.check.lookup", 0.1, 0.2, LINK_NONE},
};

static const struct probe scheduled_probe = {
    .endpoint = "marline_check_scheduled",
    .description = "Ends within one interval: what comes when is up to the backend's gates",
    .spans = scheduled_spans,
    .span_count = COUNT(scheduled_spans),
    .end = 0.4,
    .root_expected = LINK_NONE,
};

static const struct probe *const probes[] = {&fast_probe, &slow_probe, &boundary_probe,
                                             &scheduled_probe};

static const struct scenario scheduled = {
    .name = "schedule",
    .title = "result and spans wait at the backend, and are let in step by step",
    .start = 0.1,
    .tests = {&scheduled_probe},
    .test_count = 1,
};

static const struct scenario scenarios[] = {
    {.name = "fast",
     .title = "the result comes first: point 1 finds no span yet, point 2 links",
     .start = 0.1,
     .tests = {&fast_probe},
     .test_count = 1},
    {.name = "slow",
     .title = "spans come before and after the result: point 1 links the first, point 2 the rest",
     .start = 0.1,
     .tests = {&slow_probe},
     .test_count = 1},
    {.name = "boundary",
     .title = "result and spans set out together, on the tick: both points race, none may miss",
     .start = 0.1,
     .tests = {&boundary_probe},
     .test_count = 1},
    {.name = "mixed",
     .title = "fast and slow tests side by side, their spans in the same POST, one span of no test",
     .start = 0.1,
     .tests = {&fast_probe, &slow_probe, &fast_probe, &slow_probe},
     .test_count = 4,
     .has_stray = true,
     .shares_a_post = true},
};

const char *link_point_name(enum link_point p)
{
    static const char *const names[] = {"none", "result", "ingest", "sweep"};
    return names[p];
}

const char *link_point_title(enum link_point p)
{
    static const char *const titles[] = {"no point", "point 1 (result stored)",
                                         "point 2 (spans stored)", "the sweeper"};
    return titles[p];
}

size_t scenario_count(void)
{
    return COUNT(scenarios);
}

const struct scenario *scenario_at(size_t index)
{
    return &scenarios[index];
}

const struct scenario *scenario_scheduled(void)
{
    return &scheduled;
}

const struct scenario *scenario_find(const char *name)
{
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return &scenarios[i];
        }
    }
    return NULL;
}

double scenario_end(const struct scenario *s)
{
    double end = 0;
    for (size_t i = 0; i < s->test_count; i++) {
        end = s->tests[i]->end > end ? s->tests[i]->end : end;
    }
    return end;
}

size_t probe_count(void)
{
    return COUNT(probes);
}

const struct probe *probe_at(size_t index)
{
    return probes[index];
}
