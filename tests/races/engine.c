/* See engine.h. The parts, top down: snapshots and visibility, waiting, serializable conflicts,
 * the single writer, statements. */
#include "engine.h"

#include <assert.h>
#include <string.h>

static struct txn *txn_at(struct engine *e, int txn)
{
    assert(txn >= 0 && txn < e->txn_count);
    return &e->txns[txn];
}

static txn_set bit(int txn)
{
    return (txn_set)1 << txn;
}

void engine_init(struct engine *e, bool single_writer)
{
    *e = (struct engine){.single_writer = single_writer, .writer = NO_TXN};
    for (int key = 0; key < ENGINE_KEY_MAX; key++)
        e->advisory[key] = NO_TXN;
}

int engine_begin(struct engine *e, enum isolation isolation)
{
    assert(e->txn_count < ENGINE_TXN_MAX);
    int txn = e->txn_count++;
    e->txns[txn] = (struct txn){.isolation = isolation, .active = true, .waits_for = NO_TXN};
    return txn;
}

static void finish(struct engine *e, int txn)
{
    struct txn *t = txn_at(e, txn);
    t->active = false;
    t->waits_for = NO_TXN;
    t->resuming = false;
    if (e->writer == txn)
        e->writer = NO_TXN;
    for (int key = 0; key < ENGINE_KEY_MAX; key++) {
        if (e->advisory[key] == txn)
            e->advisory[key] = NO_TXN;
    }
}

void engine_abort(struct engine *e, int txn)
{
    finish(e, txn);
}

static enum outcome fail(struct engine *e, int txn, enum outcome why)
{
    engine_abort(e, txn);
    return why;
}

/* ---- visibility ---- */

static bool sees(const struct engine *e, int txn, int other)
{
    if (other == NO_TXN)
        return false;
    return other == txn || (e->txns[txn].snapshot & bit(other)) != 0;
}

static bool is_aborted(const struct engine *e, int txn)
{
    return !e->txns[txn].active && !e->txns[txn].committed;
}

/* The version of a row that the transaction's snapshot shows, or NULL. */
static struct version *visible(struct engine *e, int txn, struct row *row)
{
    for (int i = 0; i < row->version_count; i++) {
        struct version *v = &row->versions[i];
        if (sees(e, txn, v->made_by) && !sees(e, txn, v->ended_by))
            return v;
    }
    return NULL;
}

/* The version that replaced `v`; NULL when `v` is the newest that counts. */
static struct version *successor(struct row *row, const struct version *v)
{
    for (int i = 0; i < row->version_count; i++) {
        if (row->versions[i].made_by == v->ended_by && &row->versions[i] > v)
            return &row->versions[i];
    }
    return NULL;
}

static bool holds(const struct row *row, enum table table, int key)
{
    return row->table == table && row->key == key;
}

/* ---- waiting ---- */

static bool waits_in_circle(const struct engine *e, int txn)
{
    int at = e->txns[txn].waits_for;
    for (int hops = 0; at != NO_TXN && hops < ENGINE_TXN_MAX; hops++) {
        if (at == txn)
            return true;
        at = e->txns[at].waits_for;
    }
    return false;
}

static enum outcome wait_for(struct engine *e, int txn, int holder, struct sight *sight)
{
    struct txn *t = txn_at(e, txn);
    t->waits_for = holder;
    t->resuming = true;
    if (sight)
        sight->waited = true;
    return waits_in_circle(e, txn) ? fail(e, txn, OUTCOME_DEADLOCK) : OUTCOME_BLOCKED;
}

bool engine_may_resume(const struct engine *e, int txn)
{
    int holder = e->txns[txn].waits_for;
    return holder == NO_TXN || !e->txns[holder].active;
}

/* Start of every statement: a snapshot where the isolation level wants a new one. */
static enum outcome enter(struct engine *e, int txn)
{
    struct txn *t = txn_at(e, txn);
    assert(t->active);
    t->waits_for = NO_TXN;
    if (t->doomed)
        return fail(e, txn, OUTCOME_SERIALIZATION);
    if (t->resuming)
        return OUTCOME_DONE;
    if (!t->has_snapshot || t->isolation == READ_COMMITTED)
        t->snapshot = e->committed;
    t->has_snapshot = true;
    return OUTCOME_DONE;
}

static enum outcome leave(struct engine *e, int txn)
{
    txn_at(e, txn)->resuming = false;
    return OUTCOME_DONE;
}

/* ---- serializable: rw-dependencies and dangerous structures ---- */

static uint32_t read_bit(enum table table, int key)
{
    return (uint32_t)1 << ((int)table * ENGINE_KEY_MAX + key);
}

/* Two serializable transactions that overlap: neither's snapshot shows the other's commit. */
static bool are_rivals(const struct engine *e, int a, int b)
{
    const struct txn *x = &e->txns[a], *y = &e->txns[b];
    if (a == b || x->isolation != SERIALIZABLE || y->isolation != SERIALIZABLE)
        return false;
    if (is_aborted(e, a) || is_aborted(e, b))
        return false;
    return !(x->snapshot & bit(b)) && !(y->snapshot & bit(a));
}

/* in → pivot → out where `out` committed first: no serial order exists. */
static bool is_dangerous(const struct engine *e, int in, int pivot, int out)
{
    const struct txn *i = &e->txns[in], *p = &e->txns[pivot], *o = &e->txns[out];
    if (!o->committed || (p->committed && p->commit_order < o->commit_order))
        return false;
    return in == out || !i->committed || i->commit_order > o->commit_order;
}

static bool is_dangerous_pivot(const struct engine *e, int pivot)
{
    const struct txn *p = &e->txns[pivot];
    for (int in = 0; in < e->txn_count; in++) {
        if (!(p->read_by & bit(in)) || is_aborted(e, in))
            continue;
        for (int out = 0; out < e->txn_count; out++) {
            if ((p->reads_of & bit(out)) && !is_aborted(e, out) && is_dangerous(e, in, pivot, out))
                return true;
        }
    }
    return false;
}

/* Notes reader → writer, found by a statement of `self`. False: self must abort. */
static bool note_conflict(struct engine *e, int self, int reader, int writer)
{
    e->txns[reader].reads_of |= bit(writer);
    e->txns[writer].read_by |= bit(reader);
    const int pivots[] = {reader, writer};
    for (int i = 0; i < 2; i++) {
        if (!is_dangerous_pivot(e, pivots[i]))
            continue;
        if (pivots[i] == self || !e->txns[pivots[i]].active)
            return false;
        e->txns[pivots[i]].doomed = true;
    }
    return true;
}

/* A serializable read of (table, key): whoever has written there unseen is a conflict. */
static bool note_read(struct engine *e, int txn, enum table table, int key)
{
    if (e->txns[txn].isolation != SERIALIZABLE)
        return true;
    e->txns[txn].reads |= read_bit(table, key);
    for (int r = 0; r < e->row_count; r++) {
        struct row *row = &e->rows[r];
        for (int i = 0; holds(row, table, key) && i < row->version_count; i++) {
            int maker = row->versions[i].made_by;
            if (are_rivals(e, txn, maker) && !note_conflict(e, txn, txn, maker))
                return false;
        }
    }
    return true;
}

static bool note_write(struct engine *e, int txn, enum table table, int key)
{
    for (int reader = 0; reader < e->txn_count; reader++) {
        if (!(e->txns[reader].reads & read_bit(table, key)) || !are_rivals(e, txn, reader))
            continue;
        if (!note_conflict(e, txn, reader, txn))
            return false;
    }
    return true;
}

/* The first of a structure to commit wins; a pivot that is still running becomes the victim. */
static void doom_pivots(struct engine *e, int committer)
{
    for (int pivot = 0; pivot < e->txn_count; pivot++) {
        if (e->txns[pivot].active && is_dangerous_pivot(e, pivot))
            e->txns[pivot].doomed = true;
    }
    assert(!e->txns[committer].doomed);
}

enum outcome engine_commit(struct engine *e, int txn)
{
    struct txn *t = txn_at(e, txn);
    assert(t->active);
    if (t->doomed)
        return fail(e, txn, OUTCOME_SERIALIZATION);
    t->committed = true;
    t->commit_order = ++e->commits;
    e->committed |= bit(txn);
    finish(e, txn);
    doom_pivots(e, txn);
    return OUTCOME_DONE;
}

/* ---- SQLite's single writer ---- */

enum outcome engine_lock_writer(struct engine *e, int txn)
{
    if (!e->single_writer || e->writer == txn)
        return OUTCOME_DONE;
    if (e->writer != NO_TXN) {
        e->txns[txn].waits_for = e->writer;
        return OUTCOME_BLOCKED;
    }
    struct txn *t = txn_at(e, txn);
    if (t->has_snapshot && t->snapshot != e->committed)
        return fail(e, txn, OUTCOME_SERIALIZATION);
    t->waits_for = NO_TXN;
    e->writer = txn;
    return OUTCOME_DONE;
}

/* Start of a statement that writes. SQLite takes the lock before the snapshot, so that a statement
 * which had to wait sees what the other wrote. */
static enum outcome enter_write(struct engine *e, int txn, struct sight *sight)
{
    if (e->single_writer) {
        enum outcome outcome = engine_lock_writer(e, txn);
        if (outcome == OUTCOME_BLOCKED && sight)
            sight->waited = true;
        if (outcome != OUTCOME_DONE)
            return outcome;
    }
    return enter(e, txn);
}

/* ---- statements ---- */

static void add_row(struct engine *e, int txn, enum table table, int key, int value)
{
    assert(e->row_count < ENGINE_ROW_MAX);
    struct row *row = &e->rows[e->row_count++];
    *row = (struct row){.table = table, .key = key, .version_count = 1};
    row->versions[0] = (struct version){.value = value, .made_by = txn, .ended_by = NO_TXN};
}

enum outcome engine_insert(struct engine *e, int txn, enum table table, int key, int value,
                           struct sight *sight)
{
    enum outcome outcome = enter_write(e, txn, sight);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (!note_write(e, txn, table, key))
        return fail(e, txn, OUTCOME_SERIALIZATION);
    add_row(e, txn, table, key, value);
    if (sight)
        sight->changed++;
    return leave(e, txn);
}

static void count_visible(struct engine *e, int txn, int key, struct sight *sight)
{
    int spans = 0, unlinked = 0, results = 0;
    for (int r = 0; r < e->row_count; r++) {
        struct row *row = &e->rows[r];
        const struct version *v = row->key == key ? visible(e, txn, row) : NULL;
        if (!v)
            continue;
        results += row->table == TABLE_RESULT;
        spans += row->table == TABLE_SPAN;
        unlinked += row->table == TABLE_SPAN && v->value == NO_VALUE;
    }
    if (!sight)
        return;
    sight->spans = spans;
    sight->unlinked = unlinked;
    sight->results = results;
}

/* How far one row's update came. */
enum grip {
    GRIP_TAKEN,   /* *out_version is ours to replace */
    GRIP_SKIPPED, /* another changed it, and it no longer qualifies */
    GRIP_WAIT,
    GRIP_LOST, /* another changed it, and the isolation level forbids to build on that */
};

/* Takes the lock of a row whose version `v` the snapshot shows. */
static enum grip grip_row(struct engine *e, int txn, struct row *row, struct version *v,
                          struct sight *sight, struct version **out_version, int *out_holder)
{
    while (v->ended_by != NO_TXN && !is_aborted(e, v->ended_by)) {
        if (v->ended_by == txn)
            return GRIP_SKIPPED;
        *out_holder = v->ended_by;
        if (e->txns[v->ended_by].active)
            return GRIP_WAIT;
        if (e->txns[txn].isolation != READ_COMMITTED)
            return GRIP_LOST;
        v = successor(row, v);
        assert(v);
        if (sight)
            sight->rechecked = true;
    }
    *out_version = v;
    return GRIP_TAKEN;
}

static void replace(int txn, struct row *row, struct version *v, int value)
{
    assert(row->version_count < ENGINE_VERSION_MAX);
    v->ended_by = txn;
    row->versions[row->version_count++] =
        (struct version){.value = value, .made_by = txn, .ended_by = NO_TXN};
}

/* Sets the link of one span row that qualifies by the snapshot and, after a wait, by its newest
 * version (PostgreSQL's EvalPlanQual). */
static enum outcome link_row(struct engine *e, int txn, struct row *row, int value,
                             struct sight *sight)
{
    struct version *v = visible(e, txn, row);
    if (!v || v->value != NO_VALUE)
        return OUTCOME_DONE;
    int holder = NO_TXN;
    switch (grip_row(e, txn, row, v, sight, &v, &holder)) {
    case GRIP_WAIT:
        return wait_for(e, txn, holder, sight);
    case GRIP_LOST:
        return fail(e, txn, OUTCOME_SERIALIZATION);
    case GRIP_SKIPPED:
        return OUTCOME_DONE;
    case GRIP_TAKEN:
        break;
    }
    if (v->value != NO_VALUE)
        return OUTCOME_DONE;
    if (!note_write(e, txn, TABLE_SPAN, row->key))
        return fail(e, txn, OUTCOME_SERIALIZATION);
    replace(txn, row, v, value);
    if (sight)
        sight->changed++;
    return OUTCOME_DONE;
}

static enum outcome link_rows(struct engine *e, int txn, int key, int value, struct sight *sight)
{
    for (int r = 0; r < e->row_count; r++) {
        if (!holds(&e->rows[r], TABLE_SPAN, key))
            continue;
        enum outcome outcome = link_row(e, txn, &e->rows[r], value, sight);
        if (outcome != OUTCOME_DONE)
            return outcome;
    }
    return leave(e, txn);
}

enum outcome engine_link(struct engine *e, int txn, int key, int value, struct sight *sight)
{
    bool first = !e->txns[txn].resuming;
    enum outcome outcome = enter_write(e, txn, sight);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (first)
        count_visible(e, txn, key, sight);
    if (!note_read(e, txn, TABLE_SPAN, key))
        return fail(e, txn, OUTCOME_SERIALIZATION);
    return link_rows(e, txn, key, value, sight);
}

static int visible_value(struct engine *e, int txn, enum table table, int key)
{
    for (int r = 0; r < e->row_count; r++) {
        const struct version *v =
            holds(&e->rows[r], table, key) ? visible(e, txn, &e->rows[r]) : NULL;
        if (v)
            return v->value;
    }
    return NO_VALUE;
}

enum outcome engine_link_joined(struct engine *e, int txn, int key, struct sight *sight)
{
    bool first = !e->txns[txn].resuming;
    enum outcome outcome = enter_write(e, txn, sight);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (first)
        count_visible(e, txn, key, sight);
    if (!note_read(e, txn, TABLE_RESULT, key) || !note_read(e, txn, TABLE_SPAN, key))
        return fail(e, txn, OUTCOME_SERIALIZATION);
    int result = visible_value(e, txn, TABLE_RESULT, key);
    if (result == NO_VALUE)
        return leave(e, txn);
    return link_rows(e, txn, key, result, sight);
}

enum outcome engine_look(struct engine *e, int txn, int key, struct sight *sight)
{
    enum outcome outcome = enter(e, txn);
    if (outcome != OUTCOME_DONE)
        return outcome;
    count_visible(e, txn, key, sight);
    if (!note_read(e, txn, TABLE_RESULT, key) || !note_read(e, txn, TABLE_SPAN, key))
        return fail(e, txn, OUTCOME_SERIALIZATION);
    return leave(e, txn);
}

/* A unique key sees more than a snapshot: any row of the key that is not aborted is in the way. */
static struct row *row_of_key(struct engine *e, enum table table, int key)
{
    for (int r = 0; r < e->row_count; r++) {
        struct row *row = &e->rows[r];
        if (holds(row, table, key) && !is_aborted(e, row->versions[0].made_by))
            return row;
    }
    return NULL;
}

enum outcome engine_upsert(struct engine *e, int txn, enum table table, int key,
                           struct sight *sight)
{
    enum outcome outcome = enter_write(e, txn, sight);
    if (outcome != OUTCOME_DONE)
        return outcome;
    struct row *row = row_of_key(e, table, key);
    if (!row) {
        add_row(e, txn, table, key, 1);
    } else {
        struct version *newest = &row->versions[0];
        int holder = newest->made_by;
        if (holder != txn && e->txns[holder].active)
            return wait_for(e, txn, holder, sight);
        if (e->txns[txn].isolation != READ_COMMITTED && !visible(e, txn, row))
            return fail(e, txn, OUTCOME_SERIALIZATION);
        switch (grip_row(e, txn, row, newest, sight, &newest, &holder)) {
        case GRIP_WAIT:
            return wait_for(e, txn, holder, sight);
        case GRIP_LOST:
            return fail(e, txn, OUTCOME_SERIALIZATION);
        case GRIP_SKIPPED:
            return leave(e, txn);
        case GRIP_TAKEN:
            replace(txn, row, newest, newest->value + 1);
            break;
        }
    }
    if (sight)
        sight->changed++;
    return leave(e, txn);
}

enum outcome engine_lock(struct engine *e, int txn, int key)
{
    enum outcome outcome = enter(e, txn);
    if (outcome != OUTCOME_DONE)
        return outcome;
    int holder = e->advisory[key];
    if (holder != NO_TXN && holder != txn)
        return wait_for(e, txn, holder, NULL);
    e->advisory[key] = txn;
    return leave(e, txn);
}

int engine_first_value(const struct engine *e, enum table table, int key)
{
    for (int r = 0; r < e->row_count; r++) {
        const struct row *row = &e->rows[r];
        for (int i = 0; holds(row, table, key) && i < row->version_count; i++) {
            const struct version *v = &row->versions[i];
            bool made = (e->committed & bit(v->made_by)) != 0;
            bool ended = v->ended_by != NO_TXN && (e->committed & bit(v->ended_by)) != 0;
            if (made && !ended)
                return v->value;
        }
    }
    return NO_VALUE;
}
