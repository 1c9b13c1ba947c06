/* What must hold, known from outside the store; see simulation.h. It remembers each span, result
 * and acknowledgement as it was made, derives what each span's link has to be, and reads the store
 * through its public functions only. */
#include "simulation.h"

#include <stdio.h>
#include <string.h>

static struct store_scope scope_of(const struct simulation *s)
{
    return (struct store_scope){.organization_id = s->organization};
}

/* ---- what happens ---- */

void oracle_span_made(struct simulation *s, struct span *span)
{
    struct oracle *o = &s->oracle;
    if (o->span_count == SPANS_MAX) {
        world_violate(&s->world, "more than %d spans: nothing comes to rest", SPANS_MAX);
        return;
    }
    span->span_id[6] = (uint8_t)(o->span_count >> 8);
    span->span_id[7] = (uint8_t)o->span_count;
    o->spans[o->span_count++] = (struct known_span){.span = *span};
}

static struct known_span *known_span(struct oracle *o, const uint8_t span_id[8])
{
    size_t number = (size_t)span_id[6] << 8 | span_id[7];
    bool same = number < o->span_count && memcmp(o->spans[number].span.span_id, span_id,
                                                 sizeof o->spans[0].span.span_id) == 0;
    return same ? &o->spans[number] : NULL;
}

void oracle_spans_acknowledged(struct simulation *s, const struct post *post)
{
    for (size_t i = 0; i < post->count; i++) {
        struct known_span *k = known_span(&s->oracle, post->spans[i].span_id);
        if (k) {
            k->acknowledged = true;
        }
    }
}

static struct known_result *known_result(struct oracle *o, struct slice id)
{
    for (size_t i = 0; i < o->result_count; i++) {
        if (marline__slice_is(id, o->results[i].id)) {
            return &o->results[i];
        }
    }
    return NULL;
}

void oracle_result_made(struct simulation *s, struct slice id)
{
    struct oracle *o = &s->oracle;
    if (!known_result(o, id) && o->result_count < OUTBOX_MAX) {
        struct known_result *k = &o->results[o->result_count++];
        (void)snprintf(k->id, sizeof k->id, "%.*s", SLICE_ARG(id));
    }
}

void oracle_result_acknowledged(struct simulation *s, struct slice id)
{
    struct known_result *k = known_result(&s->oracle, id);
    if (k) {
        k->acknowledged = true;
    }
}

struct place {
    int run; /* -1: no such attempt */
    size_t test;
    size_t attempt;
};

static struct place find_attempt(const struct simulation *s, struct slice id)
{
    for (int i = 0; i < s->run_count; i++) {
        for (size_t t = 0; t < s->runs[i].test_count; t++) {
            for (size_t a = 0; a < ATTEMPTS_SIMULATED; a++) {
                if (marline__slice_is(id, s->runs[i].attempts[t][a].id)) {
                    return (struct place){i, t, a};
                }
            }
        }
    }
    return (struct place){.run = -1};
}

struct known_attempt *oracle_attempt(struct simulation *s, struct slice id)
{
    struct place at = find_attempt(s, id);
    return at.run < 0 ? NULL : &s->runs[at.run].attempts[at.test][at.attempt];
}

struct name name_of(const struct simulation *s, struct slice id)
{
    struct name name;
    struct place at = find_attempt(s, id);
    if (at.run < 0) {
        (void)snprintf(name.text, sizeof name.text, "%.*s", SLICE_ARG(id));
    } else {
        (void)snprintf(name.text, sizeof name.text, "run %d test %zu attempt %zu", at.run, at.test,
                       at.attempt + 1);
    }
    return name;
}

void oracle_answer_promised(struct simulation *s, const struct backend_test *t)
{
    struct known_attempt *attempt = oracle_attempt(s, marline__slice_text(t->call_id));
    if (attempt && t->taken) {
        attempt->is_promised = true;
        attempt->promised = t->status;
    }
}

void oracle_lost(struct simulation *s, struct slice id)
{
    if (known_result(&s->oracle, id)) {
        world_violate(&s->world, "I7: %s is taken for lost, and its agent has the result",
                      name_of(s, id).text);
    }
}

void oracle_executed(struct simulation *s, struct slice id)
{
    struct known_attempt *attempt = oracle_attempt(s, id);
    if (!attempt) {
        world_violate(&s->world, "%s is executed, and nobody asked for it", name_of(s, id).text);
    } else if (++attempt->executions > 1) {
        world_violate(&s->world, "%s is executed twice", name_of(s, id).text);
    }
}

/* ---- after each commit ---- */

static void expect_results(struct known_span *k)
{
    struct link_key key = k->span.key;
    for (key.attempt = 1; key.attempt <= ATTEMPTS_SIMULATED && !k->has_expected; key.attempt++) {
        k->expected[key.attempt - 1] = link_key_result_id(&key);
    }
    k->has_expected = true;
}

static const struct backend_run *run_of(const struct simulation *s, const struct link_key *key,
                                        size_t *out_test)
{
    for (int i = 0; i < s->run_count; i++) {
        const struct backend_run *run = &s->runs[i];
        for (size_t t = 0; t < run->test_count && marline__uuid_equal(&run->id, &key->run); t++) {
            if (marline__uuid_equal(&run->tests[t].test_id, &key->test) &&
                marline__uuid_equal(&run->tests[t].configuration_id, &key->configuration)) {
                *out_test = t;
                return run;
            }
        }
    }
    return NULL;
}

struct name name_of_key(const struct simulation *s, const struct link_key *key)
{
    struct name name = {"a test of nobody's"};
    size_t test = 0;
    const struct backend_run *run = run_of(s, key, &test);
    if (run && key->attempt) {
        (void)snprintf(name.text, sizeof name.text, "run %zu test %zu attempt %u",
                       (size_t)(run - s->runs), test, (unsigned)key->attempt);
    } else if (run) {
        (void)snprintf(name.text, sizeof name.text, "run %zu test %zu", (size_t)(run - s->runs),
                       test);
    }
    return name;
}

/* Whether the span can be told from those of other attempts of its test: it says its attempt, or
 * there is but one. */
static bool is_certain(const struct simulation *s, const struct known_span *k)
{
    size_t test = 0;
    const struct backend_run *run = run_of(s, &k->span.key, &test);
    return k->span.key.attempt != 0 || !run || !run->attempts[test][1].id[0];
}

/* A span that does not say its attempt may be taken for another's: clocks differ. But not for
 * another test's. */
static bool is_expected(const struct simulation *s, struct known_span *k, const struct uuid *result)
{
    expect_results(k);
    if (is_certain(s, k)) {
        return marline__uuid_equal(result, &k->expected[k->span.attempt - 1]);
    }
    for (size_t a = 0; a < ATTEMPTS_SIMULATED; a++) {
        if (marline__uuid_equal(result, &k->expected[a])) {
            return true;
        }
    }
    return false;
}

static void check_link(struct simulation *s, struct known_span *k, const struct store_span_row *row)
{
    if (k->linked && !row->has_result) {
        world_violate(&s->world, "I3: a link was taken away");
    } else if (k->linked && !marline__uuid_equal(&row->result_id, &k->result)) {
        world_violate(&s->world, "I3: a link moved to another result");
    } else if (k->linked && row->link_source != k->source) {
        world_violate(&s->world, "I3: a span that had its link was linked again");
    } else if (row->has_result && !k->linked && !is_expected(s, k, &row->result_id)) {
        world_violate(&s->world, "I2: a span carries the result of another key");
    }
    if (s->quiet && row->has_result && !k->linked && row->link_source == LINK_POINT_SWEEP) {
        world_violate(&s->world, "the sweeper linked a span in a run without faults");
    }
    k->linked = row->has_result;
    k->result = row->result_id;
    k->source = row->link_source;
}

static void check_span(void *user, const struct store_span_row *row)
{
    struct simulation *s = user;
    struct known_span *k = known_span(&s->oracle, row->span_id);
    if (!k) {
        world_violate(&s->world, "a span is stored that nobody made");
        return;
    }
    if (k->pass == s->oracle.pass) {
        world_violate(&s->world, "I4: a span is stored twice");
    }
    k->pass = s->oracle.pass;
    k->stored = true;
    check_link(s, k, row);
}

static void check_ledger(struct simulation *s)
{
    const struct oracle *o = &s->oracle;
    const struct store_scope scope = scope_of(s);
    struct store_ledger l;
    struct store_error error;
    if (store_read_ledger(s->store, &scope, &l, &error) != STORE_OK) {
        simulation_store_died(s, &error);
        return;
    }
    if (l.received != l.stored + l.rejected + l.duplicate ||
        l.stored != l.linked + l.waiting + l.without_context || l.received != o->received ||
        l.stored != o->stored || l.duplicate != o->duplicates) {
        world_violate(&s->world,
                      "I5: the ledger does not balance: received %llu (%llu), stored %llu (%llu), "
                      "duplicate %llu (%llu), linked %llu, waiting %llu, without context %llu",
                      (unsigned long long)l.received, (unsigned long long)o->received,
                      (unsigned long long)l.stored, (unsigned long long)o->stored,
                      (unsigned long long)l.duplicate, (unsigned long long)o->duplicates,
                      (unsigned long long)l.linked, (unsigned long long)l.waiting,
                      (unsigned long long)l.without_context);
    }
}

void oracle_check_store(struct simulation *s)
{
    const struct store_scope scope = scope_of(s);
    struct store_error error;
    s->oracle.pass++;
    for (int i = 0; i < s->run_count; i++) {
        enum store_status status =
            store_read_run_spans(s->store, &scope, &s->runs[i].id, check_span, s, &error);
        if (status != STORE_OK && status != STORE_NOT_FOUND) {
            simulation_store_died(s, &error);
        }
    }
    check_ledger(s);
}

/* ---- at rest ---- */

struct reading {
    struct simulation *sim;
    struct backend_run *run;
};

static void read_attempt(void *user, const struct store_attempt_row *row)
{
    struct reading *reading = user;
    struct backend_run *run = reading->run;
    if (row->test >= run->test_count || row->attempt > ATTEMPTS_SIMULATED || !row->has_result) {
        return;
    }
    run->attempts[row->test][row->attempt - 1].has_result = true;
    run->attempts[row->test][row->attempt - 1].status = row->status;
    const struct run_test *test = &run->tests[row->test];
    struct link_key key = {reading->sim->organization, run->id, test->test_id,
                           test->configuration_id, row->attempt};
    struct uuid expected = link_key_result_id(&key);
    if (!marline__uuid_equal(&row->result_id, &expected)) {
        world_violate(&reading->sim->world, "a later result has become the canonical one");
    }
}

static void ignore_test(void *user, const struct store_run_row *row)
{
    (void)user;
    (void)row;
}

/* I7: an attempt that was dispatched has its one result; the run is over, and says so. */
static void check_run(struct simulation *s, int number)
{
    struct backend_run *run = &s->runs[number];
    struct reading reading = {s, run};
    const struct store_scope scope = scope_of(s);
    struct store_run row;
    struct store_error error;
    if (store_read_run(s->store, &scope, &run->id, &row, ignore_test, NULL, &error) != STORE_OK ||
        store_read_attempts(s->store, &scope, &run->id, read_attempt, &reading, &error) !=
            STORE_OK) {
        if (error.status != STORE_NOT_FOUND) {
            simulation_store_died(s, &error);
        } else if (!run->given_up) {
            world_violate(&s->world, "I7: run %d is not in the store", number);
        }
        return;
    }
    for (size_t t = 0; t < run->test_count; t++) {
        if (!run->attempts[t][0].id[0]) {
            world_violate(&s->world, "I7: test %zu of run %d was never dispatched", t, number);
        }
        for (size_t a = 0; a < ATTEMPTS_SIMULATED; a++) {
            if (run->attempts[t][a].id[0] && !run->attempts[t][a].has_result) {
                world_violate(&s->world, "I7: %s was accepted and has no result",
                              name_of(s, marline__slice_text(run->attempts[t][a].id)).text);
            }
        }
    }
    if (row.status != RUN_COMPLETED) {
        world_violate(&s->world, "I7: run %d is over, and stored as '%s'", number,
                      run_status_name(row.status));
    }
}

static bool has_result(const struct simulation *s, const struct known_span *k)
{
    size_t test = 0;
    const struct backend_run *run = run_of(s, &k->span.key, &test);
    return run && run->attempts[test][k->span.attempt - 1].has_result;
}

/* I1, and I6 of spans. */
static void check_spans_at_rest(struct simulation *s)
{
    for (size_t i = 0; i < s->oracle.span_count; i++) {
        const struct known_span *k = &s->oracle.spans[i];
        if (!k->span.has_key) {
            continue; /* the ledger counts these */
        }
        if (k->acknowledged && !k->stored) {
            world_violate(&s->world, "I6: a span was acknowledged and is not stored");
        }
        bool found = has_result(s, k);
        if (k->stored && found != k->linked && is_certain(s, k)) {
            world_violate(&s->world, found
                                         ? "I1: a span waits at rest although its result is stored"
                                         : "I1: a span is linked and there is no result");
        }
    }
}

/* I6 of results, and that the outbox delivered what it held. */
static void check_results_at_rest(struct simulation *s)
{
    for (size_t i = 0; i < s->oracle.result_count; i++) {
        const struct known_result *k = &s->oracle.results[i];
        const struct known_attempt *attempt = oracle_attempt(s, marline__slice_text(k->id));
        if (attempt && k->acknowledged && !attempt->has_result) {
            world_violate(&s->world, "I6: the result of %s was acknowledged and is not stored",
                          name_of(s, marline__slice_text(k->id)).text);
        }
        if (attempt && attempt->is_promised && attempt->promised != attempt->status) {
            world_violate(&s->world, "I6: the result of %s was acknowledged, and another is stored",
                          name_of(s, marline__slice_text(k->id)).text);
        }
        if (attempt && !k->acknowledged) {
            world_violate(&s->world, "I7: the result of %s never left the outbox",
                          name_of(s, marline__slice_text(k->id)).text);
        }
    }
}

static void note_attempts(struct simulation *s)
{
    for (size_t i = 0; i < s->oracle.span_count; i++) {
        const struct known_span *k = &s->oracle.spans[i];
        size_t test = 0;
        const struct backend_run *run = k->linked ? run_of(s, &k->span.key, &test) : NULL;
        if (run) {
            struct known_attempt *attempts = s->runs[run - s->runs].attempts[test];
            attempts[k->span.attempt - 1].has_spans |=
                marline__uuid_equal(&k->result, &k->expected[k->span.attempt - 1]);
            if (attempts[0].has_spans && attempts[1].has_spans) {
                world_visit(&s->world, SITUATION_ATTEMPTS_APART);
            }
        }
    }
}

static void note_orders(struct simulation *s)
{
    const struct link_key *by_result = NULL;
    for (size_t i = 0; i < s->oracle.span_count; i++) {
        const struct known_span *k = &s->oracle.spans[i];
        if (k->linked && k->source == LINK_POINT_RESULT) {
            world_visit(&s->world, SITUATION_SPANS_FIRST);
            by_result = &k->span.key;
        }
        if (k->linked && k->source == LINK_POINT_INGEST) {
            world_visit(&s->world, SITUATION_RESULT_FIRST);
            if (by_result && link_key_equal(by_result, &k->span.key)) {
                world_visit(&s->world, SITUATION_BOTH_POINTS);
            }
        }
    }
}

void oracle_check_rest(struct simulation *s)
{
    oracle_check_store(s);
    for (int i = 0; i < s->run_count; i++) {
        check_run(s, i);
    }
    check_spans_at_rest(s);
    check_results_at_rest(s);
    note_orders(s);
    note_attempts(s);
}
