/* What is done to the channels, or to their ends. */
#include "agent/check/disturbance.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The backend-mock's faults, per disturbance. */
static const struct {
    enum disturbance disturbance;
    const char *rule;
} rules[] = {
    {DISTURB_RESULT_TWICE,
     "{\"on\":\"received\",\"match\":\"test_result\",\"action\":\"duplicate\"}"},
    /* Twice, with results on their way before, between and behind. */
    {DISTURB_CUT, "{\"on\":\"received\",\"match\":\"test_result\",\"action\":\"close\","
                  "\"code\":1001,\"from\":16}"},
    {DISTURB_CUT, "{\"on\":\"received\",\"match\":\"test_result\",\"action\":\"close\","
                  "\"code\":1001,\"from\":40}"},
    {DISTURB_STORE, "{\"on\":\"store\",\"match\":\"result.store\",\"action\":\"fail\"}"},
    {DISTURB_STORE, "{\"on\":\"store\",\"match\":\"spans.store\",\"action\":\"fail\"}"},
};

static bool uses_faults(enum disturbance d)
{
    return d == DISTURB_RESULT_TWICE || d == DISTURB_CUT || d == DISTURB_STORE;
}

const char *disturbance_obstacle(const struct disturbance_tools *t, const struct scenario *s)
{
    bool is_mock = backend_api_is_mock(t->api);
    if (uses_faults(s->disturbance) && !is_mock) {
        return "only a backend-mock takes faults on purpose (/mock/faults)";
    }
    if (s->disturbance == DISTURB_BACKEND && !t->backend) {
        return "only a backend of the check's own may be killed (--self-contained)";
    }
    if (s->retries && !is_mock) {
        return "the platform does not try a test again";
    }
    return NULL;
}

static bool add_faults(const struct disturbance_tools *t, enum disturbance d, struct failure *f)
{
    for (size_t i = 0; i < COUNT(rules); i++) {
        if (rules[i].disturbance == d && !backend_api_add_fault(t->api, rules[i].rule, f)) {
            return false;
        }
    }
    return true;
}

bool disturbance_prepare(const struct disturbance_tools *t, enum disturbance d,
                         struct disturbance_state *state, struct failure *f)
{
    *state = (struct disturbance_state){0};
    if (d == DISTURB_EXPORT_TWICE) {
        state->repeated_before = span_tap_counts(t->tap).repeated;
        span_tap_repeat(t->tap, true);
        return !backend_api_is_mock(t->api) ||
               backend_api_count_duplicates(t->api, &state->duplicates_before, f);
    }
    return !uses_faults(d) ||
           (backend_api_count_faults(t->api, &state->faults_before, f) && add_faults(t, d, f));
}

bool disturbance_strike(const struct disturbance_tools *t, enum disturbance d, struct facts *facts,
                        struct failure *f)
{
    if (d == DISTURB_BACKEND) {
        facts->disturbance.strikes++;
        return own_backend_restart(t->backend, f);
    }
    if (d == DISTURB_AGENT) {
        facts->disturbance.strikes++;
        return t->restart_agent(t->user, f);
    }
    return true;
}

bool disturbance_is_over(const struct disturbance_tools *t, enum disturbance d,
                         const struct disturbance_state *state, const struct facts *facts)
{
    return d != DISTURB_EXPORT_TWICE ||
           span_tap_counts(t->tap).repeated - state->repeated_before >= facts->span_count;
}

static bool finish_repeats(const struct disturbance_tools *t, const struct disturbance_state *state,
                           struct disturbance_facts *d, struct failure *f)
{
    span_tap_repeat(t->tap, false);
    struct span_tap_counts counts = span_tap_counts(t->tap);
    uint64_t duplicates = 0;
    bool ok = !backend_api_is_mock(t->api) || backend_api_count_duplicates(t->api, &duplicates, f);
    d->repeats = counts.repeated - state->repeated_before;
    d->duplicates = duplicates - state->duplicates_before;
    (void)snprintf(d->refusal, sizeof d->refusal, "%s", counts.refusal);
    return ok;
}

bool disturbance_finish(const struct disturbance_tools *t, enum disturbance d,
                        const struct disturbance_state *state, struct facts *facts,
                        struct failure *f)
{
    struct fault_counts counts;
    if (d == DISTURB_EXPORT_TWICE) {
        return finish_repeats(t, state, &facts->disturbance, f);
    }
    if (!uses_faults(d)) {
        return true;
    }
    if (!backend_api_count_faults(t->api, &counts, f)) {
        return false;
    }
    uint64_t before = state->faults_before.hits;
    facts->disturbance.strikes += counts.hits > before ? counts.hits - before : 0;
    /* Rules that somebody else has set there stay, and so do these beside them. */
    return state->faults_before.rules > 0 || backend_api_clear_faults(t->api, f);
}
