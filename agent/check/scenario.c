/* The scenarios of `check` as data. */
#include "agent/check/scenario.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Each test begins a tenth of an interval after a tick. What has to be exported by a tick ends well
 * before it, so that a busy machine does not turn one scenario into another. */

static const struct probe_span fast_spans[] = {
    {"function.check.lookup", 0.1, 0.25, LINK_INGEST, false},
    {"function.check.answer", 0.25, 0.5, LINK_INGEST, false},
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
    {"function.check.plan", 0.1, 0.6, LINK_RESULT, false},
    {"function.check.search", 0.7, 1.6, LINK_RESULT, false},
    {"function.check.answer", 1.7, 2.3, LINK_INGEST, false},
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
    {"function.check.early", 0.1, 0.6, LINK_NONE, false},
    {"function.check.late", 1.0, 2.0, LINK_NONE, false},
};

static const struct probe boundary_probe = {
    .endpoint = "marline_check_boundary",
    .description = "Ends exactly on a tick: result and spans set out at the same moment",
    .spans = boundary_spans,
    .span_count = COUNT(boundary_spans),
    .end = 2.0,
    .root_expected = LINK_NONE,
};

static const struct probe_span spread_spans[] = {
    {"function.check.first", 0.1, 0.6, LINK_RESULT, false},
    {"function.check.second", 0.7, 1.6, LINK_RESULT, false},
    {"function.check.third", 1.7, 2.3, LINK_INGEST, false},
    {"function.check.audit", 2.3, 3.6, LINK_INGEST, true},
};

static const struct probe spread_probe = {
    .endpoint = "marline_check_spread",
    .description = "Spans in four exports: two before the result, one behind it, one much later",
    .spans = spread_spans,
    .span_count = COUNT(spread_spans),
    .end = 2.4,
    .root_expected = LINK_INGEST,
};

static const struct probe_span retried_spans[] = {
    {"function.check.try", 0.1, 0.3, LINK_NONE, false},
};

static const struct probe retried_probe = {
    .endpoint = "marline_check_retried",
    .description = "Fails the first time it is called for a test",
    .spans = retried_spans,
    .span_count = COUNT(retried_spans),
    .end = 0.4,
    .root_expected = LINK_NONE,
    .fails_first = true,
};

static const struct probe silent_probe = {
    .endpoint = "marline_check_silent",
    .description = "Returns a result, and its spans are lost on their way out",
    .spans = retried_spans,
    .span_count = COUNT(retried_spans),
    .end = 0.5,
    .root_expected = LINK_NONE,
    .sends_nothing = true,
};

/* For scenarios in which something breaks: no claim which point links, but that one does. */
static const struct probe brief_probe = {
    .endpoint = "marline_check_brief",
    .description = "Ends early in an interval: there is time to break something before the export",
    .spans = retried_spans,
    .span_count = COUNT(retried_spans),
    .end = 0.4,
    .root_expected = LINK_NONE,
};

static const struct probe_span scheduled_spans[] = {
    {"function.check.lookup", 0.1, 0.2, LINK_NONE, false},
};

static const struct probe scheduled_probe = {
    .endpoint = "marline_check_scheduled",
    .description = "Ends within one interval: what comes when is up to the backend's gates",
    .spans = scheduled_spans,
    .span_count = COUNT(scheduled_spans),
    .end = 0.4,
    .root_expected = LINK_NONE,
};

static const struct probe *const probes[] = {
    &fast_probe,    &slow_probe,   &boundary_probe, &spread_probe,
    &retried_probe, &silent_probe, &brief_probe,    &scheduled_probe,
};

static const struct scenario scheduled = {
    .name = "schedule",
    .title = "result and spans wait at the backend, and are let in step by step",
    .rule = "I1",
    .start = 0.1,
    .probes = {&scheduled_probe},
    .test_count = 1,
};

static const struct scenario scenarios[] = {
    {.name = "fast",
     .title = "the result comes first: point 1 finds no span yet, point 2 links",
     .prompt_title = "all spans leave when the test ends, the result right behind them",
     .rule = "I1",
     .start = 0.1,
     .probes = {&fast_probe},
     .test_count = 1},
    {.name = "slow",
     .title = "spans come before and after the result: point 1 links the first, point 2 the rest",
     .prompt_title = "spans leave at two ticks and when the test ends, the result behind them all",
     .rule = "I1",
     .start = 0.1,
     .probes = {&slow_probe},
     .test_count = 1},
    {.name = "boundary",
     .title = "result and spans set out together, on the tick: both points race, none may miss",
     .prompt_title = "the test ends on the tick: two exports meet, the result right behind them",
     .rule = "I1",
     .start = 0.1,
     .probes = {&boundary_probe},
     .test_count = 1},
    {.name = "mixed",
     .title = "fast and slow tests side by side, their spans in the same POST, one span of no test",
     .prompt_title = "fast and slow tests side by side, one span of no test beside them",
     .rule = "I2",
     .start = 0.1,
     .probes = {&fast_probe, &slow_probe},
     .test_count = 4,
     .has_stray = true,
     .shares_a_post = true},
    {.name = "spread",
     .title = "spans in four exports, two of them before the result; the last ends after the test",
     .prompt_title = "spans in four exports, three of them before the result, one after the test",
     .rule = "I1",
     .start = 0.1,
     .probes = {&spread_probe},
     .test_count = 1},
    {.name = "retried",
     .title = "the first attempt fails, the second passes: each attempt keeps its own spans",
     .rule = "I2",
     .start = 0.1,
     .probes = {&retried_probe},
     .test_count = 1,
     .retries = 1},
    {.name = "no-spans",
     .title = "a result whose spans never come: the run ends all the same, nothing is linked",
     .rule = "I7",
     .start = 0.1,
     .probes = {&silent_probe},
     .test_count = 1},
    {.name = "no-result",
     .title = "spans of a test that has no result: stored, and linked to none",
     .rule = "I2",
     .start = 0.1,
     .probes = {&brief_probe},
     .test_count = 1,
     .has_no_result = true},
    {.name = "export-twice",
     .title = "every POST of spans is sent twice: acknowledged twice, stored and linked once",
     .rule = "I4",
     .start = 0.1,
     .probes = {&brief_probe},
     .test_count = 2,
     .disturbance = DISTURB_EXPORT_TWICE},
    {.name = "result-twice",
     .title = "the backend gets the result twice: one result stays, and keeps the spans",
     .rule = "I4",
     .start = 0.1,
     .probes = {&brief_probe},
     .test_count = 1,
     .disturbance = DISTURB_RESULT_TWICE},
    {.name = "cut",
     .title = "64 tests, the connection is closed twice among their results: one result each",
     .rule = "I7",
     .start = 0.1,
     .probes = {&brief_probe},
     .test_count = 64,
     .disturbance = DISTURB_CUT},
    {.name = "store-fails",
     .title = "the store refuses a result and a POST of spans once: the retries are linked",
     .rule = "I6",
     .start = 0.1,
     .probes = {&brief_probe},
     .test_count = 1,
     .disturbance = DISTURB_STORE},
    {.name = "agent-restart",
     .title = "the agent ends behind the result, its spans unsent: they leave on its way out",
     .rule = "I8",
     .start = 0.1,
     .probes = {&brief_probe},
     .test_count = 1,
     .disturbance = DISTURB_AGENT},
    {.name = "backend-restart",
     .title = "the backend is killed behind the result, and started again: it remembers",
     .rule = "I6",
     .start = 0.1,
     .probes = {&brief_probe},
     .test_count = 1,
     .disturbance = DISTURB_BACKEND},
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

const struct probe *scenario_probe(const struct scenario *s, size_t test)
{
    size_t count = 1;
    while (count < SCENARIO_PROBES_MAX && s->probes[count]) {
        count++;
    }
    return s->probes[test % count];
}

static double probe_end(const struct probe *p)
{
    double end = p->end;
    for (size_t i = 0; i < p->span_count; i++) {
        end = p->spans[i].end > end ? p->spans[i].end : end;
    }
    return end;
}

double scenario_end(const struct scenario *s)
{
    double end = 0;
    for (size_t i = 0; i < SCENARIO_PROBES_MAX && s->probes[i]; i++) {
        double own = probe_end(s->probes[i]);
        end = own > end ? own : end;
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
