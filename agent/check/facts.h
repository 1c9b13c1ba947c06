/* What is known about one run of one scenario: what the probes did, and what the backend says about
 * it. Plain data, filled by the orchestrator, judged by verdict.h, shown by report.h. */
#ifndef AGENT_CHECK_FACTS_H
#define AGENT_CHECK_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/check/scenario.h"

enum { FACT_ID_SIZE = 64, FACT_NAME_SIZE = 96, FACT_TEXT_SIZE = 256 };

enum { ATTEMPTS_MAX = 4 };

struct attempt_fact {
    char result_id[FACT_ID_SIZE];
    char status[FACT_ID_SIZE];
};

struct test_fact {
    const struct probe *probe;
    char test_id[FACT_ID_SIZE]; /* "" = unknown, in every id */
    char configuration_id[FACT_ID_SIZE];
    char result_id[FACT_ID_SIZE]; /* the canonical result; of several attempts the last one's */
    char status[FACT_ID_SIZE];    /* Pass, Fail, Error; "" = none yet */
    char error[FACT_TEXT_SIZE];
    struct attempt_fact attempts[ATTEMPTS_MAX];
    size_t attempt_count; /* 0: the backend does not tell */
};

struct span_fact {
    char trace_id[FACT_ID_SIZE];
    char span_id[FACT_ID_SIZE];
    char name[FACT_NAME_SIZE];
    size_t test;      /* index of the test that it belongs to */
    unsigned attempt; /* from 1; 0 = not numbered */
    enum link_point expected;
    bool is_root;
    bool is_made;    /* one of ours; else the backend has it and no probe made it */
    bool is_dropped; /* made, and never sent: on purpose */
    bool is_stored;  /* the backend has it */
    char result_id[FACT_ID_SIZE];
    enum link_point linked_by;
    double stored_at_ms;
    char post_id[FACT_ID_SIZE];
};

enum event_type {
    EVENT_RUN_STARTED,
    EVENT_INVOKED,
    EVENT_RESULT_RECEIVED,
    EVENT_RESULT_STORED,
    EVENT_SPANS_STORED,
    EVENT_LINK_ATTEMPT,
    EVENT_RUN_FINISHED,
    EVENT_ENRICHED, /* the check's own: read from the trace */
    EVENT_OTHER,
};

enum { NO_TEST = -1 };

struct event_fact {
    double at_ms;
    enum event_type type;
    char type_text[FACT_ID_SIZE];
    int test;          /* index, or NO_TEST */
    unsigned attempt;  /* 0 = not numbered */
    bool is_duplicate; /* of a result */
    enum link_point point;
    bool result_found;
    uint64_t spans_found;
    uint64_t linked;
    uint64_t spans;
    uint64_t post_spans;
    char post_id[FACT_ID_SIZE];
    char text[FACT_TEXT_SIZE]; /* status of a result, error of an attempt */
};

/* What went wrong on purpose, as far as it can be seen. */
struct disturbance_facts {
    uint64_t strikes;             /* how often it has happened */
    uint64_t repeats;             /* spans posted a second time */
    uint64_t duplicates;          /* spans that the backend found to have already */
    bool is_prompt;               /* spans leave before the result */
    char refusal[FACT_TEXT_SIZE]; /* of a repeat; "" = acknowledged */
};

struct facts {
    const struct scenario *scenario;
    char run_id[FACT_ID_SIZE];
    char run_status[FACT_ID_SIZE];
    double interval_ms;
    struct test_fact *tests; /* one per test of the scenario */
    struct span_fact *spans;
    size_t span_count;
    size_t span_capacity;
    struct event_fact *events;
    size_t event_count;
    size_t event_capacity;
    enum link_point scheduled_point; /* that has to link all spans; LINK_NONE = not scheduled */
    char stray_trace_id[FACT_ID_SIZE];
    bool stray_is_stored; /* of scenarios that have one: stored, and not linked to anything */
    struct disturbance_facts disturbance;
    double query_ms;            /* reading a whole trace; 0 = was not tried */
    double enriched_at_ms;      /* when the backend cached that; 0 = not yet, or it does not tell */
    bool is_enriched;           /* the trace that was read */
    char verdict[FACT_ID_SIZE]; /* of the backend on spans without a result; "" = it gives none */
    double test_timeout_ms;
    bool is_forgotten;       /* the backend had the run, and does not know it any more */
    bool is_blind_to_points; /* the backend does not tell which point linked a span, nor when */
};

/* Empty, with room for the tests. */
void facts_init(struct facts *f, const struct scenario *scenario, double interval_ms);
void facts_deinit(struct facts *f);
struct span_fact *facts_add_span(struct facts *f);
struct event_fact *facts_add_event(struct facts *f);
/* NULL when there is none. */
struct span_fact *facts_find_span(const struct facts *f, const char *trace_id, const char *span_id);
/* -1 when there is none; configuration_id may be NULL or "". */
int facts_find_test(const struct facts *f, const char *test_id, const char *configuration_id);

#endif
