/* What is known about one run of one scenario. */
#include "agent/check/facts.h"

#include <string.h>
#include <strings.h>

#include "programs/must.h"

void facts_init(struct facts *f, const struct scenario *scenario, double interval_ms)
{
    *f = (struct facts){.scenario = scenario, .interval_ms = interval_ms};
    f->tests = must(marline__memory_array(scenario->test_count, sizeof *f->tests));
    memset(f->tests, 0, scenario->test_count * sizeof *f->tests);
    for (size_t i = 0; i < scenario->test_count; i++) {
        f->tests[i].probe = scenario_probe(scenario, i);
    }
}

void facts_deinit(struct facts *f)
{
    marline__memory_free(f->tests);
    marline__memory_free(f->spans);
    marline__memory_free(f->events);
    *f = (struct facts){0};
}

struct span_fact *facts_add_span(struct facts *f)
{
    f->spans = must_grow(f->spans, f->span_count, &f->span_capacity, sizeof *f->spans);
    struct span_fact *s = &f->spans[f->span_count++];
    memset(s, 0, sizeof *s);
    return s;
}

struct event_fact *facts_add_event(struct facts *f)
{
    f->events = must_grow(f->events, f->event_count, &f->event_capacity, sizeof *f->events);
    struct event_fact *e = &f->events[f->event_count++];
    memset(e, 0, sizeof *e);
    e->test = NO_TEST;
    return e;
}

struct span_fact *facts_find_span(const struct facts *f, const char *trace_id, const char *span_id)
{
    for (size_t i = 0; i < f->span_count; i++) {
        if (strcasecmp(f->spans[i].span_id, span_id) == 0 &&
            strcasecmp(f->spans[i].trace_id, trace_id) == 0) {
            return &f->spans[i];
        }
    }
    return NULL;
}

int facts_find_test(const struct facts *f, const char *test_id, const char *configuration_id)
{
    for (size_t i = 0; i < f->scenario->test_count; i++) {
        const struct test_fact *t = &f->tests[i];
        bool same_configuration = !configuration_id || !*configuration_id ||
                                  !*t->configuration_id ||
                                  strcasecmp(t->configuration_id, configuration_id) == 0;
        if (*t->test_id && strcasecmp(t->test_id, test_id) == 0 && same_configuration) {
            return (int)i;
        }
    }
    return NO_TEST;
}
