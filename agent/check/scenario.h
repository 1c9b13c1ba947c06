/* The scenarios of `check` as data: which probes run, when their spans end, and which linking point
 * each span is there to show. Times are in export intervals after a tick of the exporter, so that a
 * scenario means the same at any interval; at the usual 5 s, 0.4 is 2 s. Constant data. */
#ifndef AGENT_CHECK_SCENARIO_H
#define AGENT_CHECK_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>

enum link_point {
    LINK_NONE,   /* not linked; as an expectation: no claim */
    LINK_RESULT, /* point 1: tried when a result has been stored */
    LINK_INGEST, /* point 2: tried when spans have been stored */
    LINK_SWEEP,  /* the sweeper: repairs what both points missed */
};

/* "result", "ingest", "sweep", as on the wire; "none". */
const char *link_point_name(enum link_point p);
/* "point 1 (result stored)" and so on, for a person. */
const char *link_point_title(enum link_point p);

struct probe_span {
    const char *name;
    double start;
    double end;
    /* The point that has to link it. LINK_RESULT also claims that it is stored before the result of
     * its test, LINK_INGEST that it is stored after. */
    enum link_point expected;
    bool is_late; /* ends when nobody waits for it any more: after the invocation */
};

/* A test function made for this: it does nothing but start and end spans on time. */
struct probe {
    const char *endpoint;
    const char *description;
    const struct probe_span *spans; /* children of the invocation's span, one after the other */
    size_t span_count;
    double end; /* of the invocation, and so of its root span and its result */
    enum link_point root_expected;
    bool fails_first;   /* the first attempt of a test */
    bool sends_nothing; /* its spans are dropped on their way out */
};

enum { SCENARIO_PROBES_MAX = 4, SCENARIO_TESTS_MAX = 64 };

/* What is done to the channels or their ends while a scenario runs. */
enum disturbance {
    DISTURB_NOTHING,
    DISTURB_EXPORT_TWICE,
    DISTURB_RESULT_TWICE,
    DISTURB_CUT,
    DISTURB_STORE,
    DISTURB_BACKEND, /* killed and started again, between result and spans */
    DISTURB_AGENT,   /* ended and started again, between result and spans */
};

struct scenario {
    const char *name;
    const char *title; /* one line: what it shows */
    /* What it shows where spans leave at once with the end of their test; NULL = the same. */
    const char *prompt_title;
    const char *rule; /* the invariant that it is there to test: "I4", … */
    double start;     /* when its tests begin */
    const struct probe *probes[SCENARIO_PROBES_MAX]; /* of its tests, in turn */
    size_t test_count;
    unsigned retries;
    enum disturbance disturbance; /* if there is one, it runs alone */
    bool has_no_result; /* its spans name a test of which nobody has a result, nor ever will */
    bool has_stray;     /* an observed call outside any test runs beside them */
    bool shares_a_post; /* spans of several of its tests must travel in one POST */
};

size_t scenario_count(void);
const struct scenario *scenario_at(size_t index);
/* NULL when there is none of that name. */
const struct scenario *scenario_find(const char *name);
/* The one that `--schedule` plays; not among those above. It claims no point: the schedule does. */
const struct scenario *scenario_scheduled(void);
const struct probe *scenario_probe(const struct scenario *s, size_t test);
/* The latest end of its tests, late spans included. */
double scenario_end(const struct scenario *s);

/* Every probe that a scenario uses. */
size_t probe_count(void);
const struct probe *probe_at(size_t index);

#endif
