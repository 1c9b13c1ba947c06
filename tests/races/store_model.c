/* The store made of the transaction engine: what a database would do, in microseconds. */
#include <string.h>

#include "base/memory.h"
#include "store.h"

enum { KEY = 1, RESULT_ID = 7 };

struct model_party {
    int txn; /* NO_TXN between transactions */
    bool autocommits;
    enum step pending;
    int known_result; /* what its last check found */
};

struct model_store {
    struct race_store base;
    const struct design *design;
    struct engine engine;
    struct model_party parties[PARTY_MAX];
};

static struct model_store *model_of(struct race_store *s)
{
    return (struct model_store *)s;
}

static bool reset(struct race_store *s, const struct design *design)
{
    struct model_store *m = model_of(s);
    m->design = design;
    engine_init(&m->engine, m->base.kind == STORE_SQLITE);
    for (int party = 0; party < PARTY_MAX; party++)
        m->parties[party] = (struct model_party){.txn = NO_TXN};
    return true;
}

static enum outcome insert(struct model_store *m, int party, int link, struct sight *sight)
{
    int txn = m->parties[party].txn;
    if (party_is_result(party))
        return engine_insert(&m->engine, txn, TABLE_RESULT, KEY, RESULT_ID, sight);
    enum outcome outcome = OUTCOME_DONE;
    for (int i = 0; i < SPANS_PER_BATCH && outcome == OUTCOME_DONE; i++)
        outcome = engine_insert(&m->engine, txn, TABLE_SPAN, KEY, link, sight);
    return outcome;
}

static enum outcome link(struct model_store *m, int party, struct sight *sight)
{
    int txn = m->parties[party].txn;
    if (party_is_result(party))
        return engine_link(&m->engine, txn, KEY, RESULT_ID, sight);
    return engine_link_joined(&m->engine, txn, KEY, sight);
}

/* A row that the UPDATE reaches is what makes it read the CTE, and so take the lock. */
static enum outcome link_locked(struct model_store *m, int party, struct sight *sight)
{
    struct sight before = {0};
    enum outcome outcome = engine_look(&m->engine, m->parties[party].txn, KEY, &before);
    bool reaches = before.unlinked > 0 && (party_is_result(party) || before.results > 0);
    if (outcome == OUTCOME_DONE && reaches)
        outcome = engine_lock(&m->engine, m->parties[party].txn, KEY);
    if (outcome == OUTCOME_BLOCKED)
        sight->waited = true;
    return outcome == OUTCOME_DONE ? link(m, party, sight) : outcome;
}

static enum outcome check(struct model_store *m, int party, struct sight *sight)
{
    enum outcome outcome = engine_look(&m->engine, m->parties[party].txn, KEY, sight);
    m->parties[party].known_result = sight->results > 0 ? RESULT_ID : NO_VALUE;
    return outcome;
}

static enum outcome lock(struct model_store *m, int party, struct sight *sight)
{
    enum outcome outcome = engine_lock(&m->engine, m->parties[party].txn, KEY);
    sight->waited |= outcome == OUTCOME_BLOCKED;
    return outcome;
}

static enum outcome perform(struct model_store *m, int party, enum step step, struct sight *sight)
{
    struct model_party *p = &m->parties[party];
    switch (step) {
    case STEP_BEGIN:
        return OUTCOME_DONE;
    case STEP_BEGIN_IMMEDIATE: {
        enum outcome outcome = engine_lock_writer(&m->engine, p->txn);
        sight->waited |= outcome == OUTCOME_BLOCKED;
        return outcome;
    }
    case STEP_INSERT:
        return insert(m, party, NO_VALUE, sight);
    case STEP_INSERT_KNOWN:
        return insert(m, party, p->known_result, sight);
    case STEP_LINK:
        return link(m, party, sight);
    case STEP_LINK_LOCKED:
        return link_locked(m, party, sight);
    case STEP_LOCK:
        return lock(m, party, sight);
    case STEP_UPSERT:
        return engine_upsert(&m->engine, p->txn, TABLE_RENDEZVOUS, KEY, sight);
    case STEP_CHECK:
        return check(m, party, sight);
    case STEP_COMMIT:
        return engine_commit(&m->engine, p->txn);
    case STEP_END:
        break;
    }
    return OUTCOME_DONE;
}

/* Begins, or goes on with, the pending step; ends an autocommit transaction with it. */
static enum outcome advance(struct model_store *m, int party, struct sight *sight)
{
    struct model_party *p = &m->parties[party];
    enum outcome outcome = perform(m, party, p->pending, sight);
    if (outcome == OUTCOME_DONE && p->autocommits)
        outcome = engine_commit(&m->engine, p->txn);
    bool ended = p->autocommits || p->pending == STEP_COMMIT || outcome != OUTCOME_DONE;
    if (ended && outcome != OUTCOME_BLOCKED)
        p->txn = NO_TXN;
    return outcome;
}

static enum outcome run(struct race_store *s, int party, enum step step, struct sight *sight)
{
    struct model_store *m = model_of(s);
    struct model_party *p = &m->parties[party];
    bool begins = step == STEP_BEGIN || step == STEP_BEGIN_IMMEDIATE;
    if (p->txn == NO_TXN) {
        p->autocommits = !begins;
        p->txn = engine_begin(&m->engine, m->design->isolation[party]);
    }
    p->pending = step;
    return advance(m, party, sight);
}

static enum outcome resume(struct race_store *s, int party, struct sight *sight)
{
    struct model_store *m = model_of(s);
    if (!engine_may_resume(&m->engine, m->parties[party].txn))
        return OUTCOME_BLOCKED;
    return advance(m, party, sight);
}

static enum outcome sweep(struct race_store *s, struct sight *sight)
{
    struct engine *e = &model_of(s)->engine;
    int txn = engine_begin(e, READ_COMMITTED);
    enum outcome outcome = engine_link_joined(e, txn, KEY, sight);
    return outcome == OUTCOME_DONE ? engine_commit(e, txn) : outcome;
}

static bool look_at_rest(struct race_store *s, struct rest *out_rest)
{
    struct model_store *m = model_of(s);
    struct sight sight = {0};
    int txn = engine_begin(&m->engine, READ_COMMITTED);
    (void)engine_look(&m->engine, txn, KEY, &sight);
    (void)engine_commit(&m->engine, txn);
    out_rest->spans = sight.spans;
    out_rest->unlinked = sight.unlinked;
    if (m->design->joins_at_read)
        out_rest->unlinked = sight.results > 0 ? 0 : sight.spans;
    return true;
}

static void close_model(struct race_store *s)
{
    marline__memory_free(s);
}

static const struct race_store_functions functions = {reset, run,          resume,
                                                      sweep, look_at_rest, close_model};

enum store_open store_model_open(bool as_sqlite, struct race_store **out_store)
{
    struct model_store *m = marline__memory_zeroed(sizeof *m);
    if (!m)
        return STORE_OPEN_FAILED;
    m->base.functions = &functions;
    m->base.kind = as_sqlite ? STORE_SQLITE : STORE_MODEL;
    m->base.counts_views = true;
    m->base.describe = as_sqlite ? "model of SQLite" : "model";
    *out_store = &m->base;
    return STORE_OPEN_OK;
}
