/* Judges the facts of one scenario. Pure: no clock, no network.
 *
 * Two questions. Does every span that the probes made carry the canonical result of its own test?
 * And did the point link it that this scenario exists to show? The second is asked only where the
 * timing came out as intended (an early span was stored before the result, a late one after it);
 * where it did not, the scenario counts as disturbed: to be repeated, neither passed nor failed. */
#ifndef AGENT_CHECK_VERDICT_H
#define AGENT_CHECK_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/check/facts.h"
#include "agent/words.h"

/* Where to look after a failure: a section of docs/debugging.md. */
enum clue_place {
    PLACE_TRACING, /* traces do not appear */
    PLACE_LINKING, /* traces are there, but not linked */
    PLACE_TESTING, /* a result does not arrive */
};

struct clue {
    const char *rule; /* the invariant that is broken: "I1", … */
    enum clue_place place;
};

struct verdict {
    struct words failures; /* one sentence each: scenario, span, point at fault */
    struct clue *clues;    /* one per failure */
    size_t clue_count;
    size_t clue_capacity;
    struct words disturbances; /* one sentence each: what came out of time */
    size_t spans;              /* made by the probes */
    size_t linked;             /* of those, with the right result */
    size_t by_point[LINK_SWEEP + 1];
};

void verdict_judge(const struct facts *f, struct verdict *out);
void verdict_deinit(struct verdict *v);
static inline bool verdict_is_pass(const struct verdict *v)
{
    return v->failures.count == 0 && v->disturbances.count == 0;
}

/* True when there is nothing left to wait for: every result is in, every span is stored, and all
 * are linked. */
bool facts_are_settled(const struct facts *f);
bool facts_are_stored(const struct facts *f);
/* True when what the scenario shows is that something does not happen: it takes time to see that.
 */
bool facts_show_absence(const struct facts *f);

/* The result that the span has to carry: its test's, or its attempt's; "" = none. */
const char *span_expected_result(const struct facts *f, const struct span_fact *s);
/* Linked to that. */
bool span_is_linked_right(const struct facts *f, const struct span_fact *s);
/* When the result that the span belongs to was stored, by the backend's clock; 0 = not yet. */
double facts_result_stored_at(const struct facts *f, const struct span_fact *s);
/* "Traces do not appear" and so on, as docs/debugging.md calls it. */
const char *clue_place_title(enum clue_place place);

#endif
