/* Links: an idempotent UPDATE by key of spans that have none, and its record.
 *
 * Several attempts at linking are carried out together, as one question, one change and one record
 * for all their keys where the database takes many rows in a statement. What holds for one holds
 * for each of them: they run after the commits of what they link, and see all that was committed
 * when the question was asked. */
#include "store/store_sql.h"

#include "base/hex.h"
#include "core/alloc.h"

/* ---- the attempts of a test ---- */

/* Columns 0 to 4: number, when dispatched, the canonical result, when stored, the reported trace.
 */
static void take_attempt(struct known_attempts *known, struct sql_statement *s)
{
    if (known->count == ATTEMPTS_MAX) {
        return;
    }
    struct attempt *a = &known->attempts[known->count];
    a->number = (uint32_t)column_int(s, 0);
    a->dispatched_unix_ns = column_int(s, 1);
    a->finished_unix_ns = column_is_null(s, 3) ? UINT64_MAX : column_int(s, 3);
    a->has_trace = marline__hex_decode(column_text(s, 4), a->trace_id, sizeof a->trace_id);
    known->results[known->count++] = (int64_t)column_int(s, 2);
}

enum store_status sql_attempts(struct sql_connection *c, const struct link_key *key,
                               struct known_attempts *out, struct store_error *error)
{
    static const char sql[] =
        /* Event by context, not a join with all events grouped: that would read every one of them.
         */
        "SELECT a.attempt, a.at, a.result, a.stored_at, a.trace_id FROM ("
        "  SELECT c.attempt, r.ref AS result, r.stored_at, r.trace_id,"
        "   (SELECT min(e.at) FROM events e WHERE e.context_ref = c.ref AND e.type = ?5) AS at"
        "   FROM contexts c"
        "   LEFT JOIN results r ON r.context_ref = c.ref AND r.duplicate_of IS NULL"
        "   WHERE c.run_id = ?1 AND c.test_id = ?2 AND c.configuration_id = ?3"
        "   AND c.organization_id = ?4 AND c.attempt > 0) a"
        " WHERE a.at IS NOT NULL OR a.result IS NOT NULL ORDER BY a.attempt LIMIT ?6";
    out->count = 0;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &key->run);
    bind_uuid(s, 2, &key->test);
    bind_uuid(s, 3, &key->configuration);
    bind_uuid(s, 4, &key->organization);
    bind_int(s, 5, EVENT_INVOKED);
    bind_int(s, 6, ATTEMPTS_MAX);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        take_attempt(out, s);
    }
    return status;
}

/* ---- attempts at linking, several at once ---- */

enum { LINKS_AT_ONCE = 128 }; /* bounds what is remembered of their tests' attempts: 3 KB each */

struct link_try {
    struct store_write *write;
    int64_t context;    /* of the key */
    int64_t unnumbered; /* the context of the same test without a number; 0 = there is none */
    struct known_attempts known;
};

struct link_tries {
    struct sql_store *store;
    struct link_try *tries; /* owned */
    size_t count;
    struct link_change *changes; /* owned; at most two for each */
    size_t change_count;
};

/* What is to become of the waiting spans of a context. */
struct link_change {
    size_t index; /* of the try */
    int64_t context;
    int64_t result; /* 0: there is none, they are counted */
};

size_t sql_links_together(const struct sql_connection *c, struct store_write *const *writes,
                          size_t count)
{
    size_t max = !sql_takes_rows(c) ? 1 : count < LINKS_AT_ONCE ? count : LINKS_AT_ONCE;
    for (size_t n = 0; n < max; n++) {
        const struct link_key *key = &writes[n]->link.key;
        for (size_t i = 0; i < n; i++) {
            /* A key twice, or two attempts of a test: the second sees what the first has done. */
            if (writes[n]->type == STORE_LINK &&
                marline__uuid_equal(&key->test, &writes[i]->link.key.test)) {
                return n;
            }
        }
        if (writes[n]->type != STORE_LINK) {
            return n;
        }
    }
    return max;
}

static enum store_status learn_one(struct link_tries *all, struct link_try *try,
                                   struct store_error *error)
{
    struct sql_connection *c = all->store->writer.connection;
    struct link_key key = try->write->link.key;
    enum store_status status = sql_context(all->store, &key, &try->context, error);
    if (status == STORE_OK) {
        status = sql_attempts(c, &key, &try->known, error);
    }
    try->unnumbered = try->context;
    if (status == STORE_OK && key.attempt != 0) {
        key.attempt = 0;
        status = sql_context_find(c, &key, &try->unnumbered, error);
    }
    return status;
}

static void take_context(struct link_try *try, struct sql_statement *s)
{
    uint64_t number = column_int(s, 0);
    int64_t ref = (int64_t)column_int(s, 6);
    if (number == try->write->link.key.attempt) {
        try->context = ref;
    }
    if (number == 0) {
        try->unnumbered = ref;
    } else if (!column_is_null(s, 1) || !column_is_null(s, 2)) {
        take_attempt(&try->known, s);
    }
}

static void bind_try(struct sql_statement *s, size_t index, const struct link_key *key)
{
    bind_int(s, 1, index);
    bind_uuid(s, 2, &key->run);
    bind_uuid(s, 3, &key->test);
    bind_uuid(s, 4, &key->configuration);
    bind_uuid(s, 5, &key->organization);
    bind_int(s, 6, key->attempt);
    bind_int(s, 7, EVENT_INVOKED);
}

static enum store_status learn_many(struct link_tries *all, struct store_error *error)
{
    static const char sql[] =
        "SELECT x.attempt, e.at, r.ref, r.stored_at, r.trace_id, k.n, x.ref"
        " FROM unnest(?::bigint[], ?::uuid[], ?::uuid[], ?::uuid[], ?::uuid[], ?::bigint[],"
        " ?::bigint[]) k(n, r, t, c, o, a, invoked)"
        " JOIN contexts x ON x.run_id = k.r AND x.test_id = k.t AND x.configuration_id = k.c"
        " AND x.organization_id = k.o"
        " LEFT JOIN results r ON r.context_ref = x.ref AND r.duplicate_of IS NULL"
        " CROSS JOIN LATERAL (SELECT min(at) AS at FROM events"
        "  WHERE context_ref = x.ref AND type = k.invoked) e"
        " WHERE x.attempt IN (0, k.a) OR e.at IS NOT NULL OR r.ref IS NOT NULL"
        " ORDER BY k.n, x.attempt";
    struct sql_connection *c = all->store->writer.connection;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    for (size_t i = 0; i < all->count; i++) {
        bind_try(s, i, &all->tries[i].write->link.key);
        sql_add_row(s);
    }
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        take_context(&all->tries[column_int(s, 5)], s);
    }
    for (size_t i = 0; status == STORE_OK && i < all->count; i++) {
        struct link_try *try = &all->tries[i];
        if (try->context == 0) { /* nothing of this key was ever stored */
            status = sql_context(all->store, &try->write->link.key, &try->context, error);
        }
    }
    return status;
}

/* What is stored of the keys' tests. */
static enum store_status learn(struct link_tries *all, struct store_error *error)
{
    if (sql_takes_rows(all->store->writer.connection)) {
        return learn_many(all, error);
    }
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < all->count; i++) {
        status = learn_one(all, &all->tries[i], error);
    }
    return status;
}

/* ---- spans that know their attempt, or whose test has but one ---- */

static enum store_status count_waiting(struct sql_connection *c, int64_t context, size_t *out_count,
                                       struct store_error *error)
{
    static const char sql[] =
        "SELECT count(*) FROM spans WHERE context_ref = ? AND result_ref IS NULL";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, context);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        *out_count += (size_t)column_int(s, 0);
        sql_reset(s);
    }
    return status;
}

static enum store_status change_one(struct sql_connection *c, struct store_link *link,
                                    const struct link_change *change, struct store_error *error)
{
    static const char sql[] = "UPDATE spans SET result_ref = ?, link_source = ?"
                              " WHERE context_ref = ? AND result_ref IS NULL";
    if (!change->result) {
        return count_waiting(c, change->context, &link->spans_found, error);
    }
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, change->result);
    bind_int(s, 2, link->point);
    bind_ref(s, 3, change->context);
    enum store_status status = sql_run(c, s, error);
    if (status == STORE_OK) {
        size_t linked = (size_t)sql_changes(c);
        link->linked += linked;
        link->spans_found += linked;
    }
    return status;
}

static enum store_status change_many(struct link_tries *all, struct store_error *error)
{
    /* In the order of contexts, so that two backends at the same keys wait in turn. */
    static const char sql[] =
        "WITH p AS (SELECT * FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[])"
        "  p(n, context, result, point) ORDER BY context),"
        " linked AS (UPDATE spans s SET result_ref = p.result, link_source = p.point FROM p"
        "  WHERE p.result IS NOT NULL AND s.context_ref = p.context AND s.result_ref IS NULL"
        "  RETURNING p.n)"
        " SELECT n, count(*), count(*) FROM linked GROUP BY n UNION ALL"
        " SELECT n, (SELECT count(*) FROM spans s WHERE s.context_ref = p.context"
        "  AND s.result_ref IS NULL), 0 FROM p WHERE result IS NULL";
    struct sql_connection *c = all->store->writer.connection;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    for (size_t i = 0; i < all->change_count; i++) {
        const struct link_change *change = &all->changes[i];
        bind_int(s, 1, change->index);
        bind_ref(s, 2, change->context);
        bind_ref(s, 3, change->result);
        bind_int(s, 4, all->tries[change->index].write->link.point);
        sql_add_row(s);
    }
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        struct store_link *link = &all->tries[column_int(s, 0)].write->link;
        link->spans_found += (size_t)column_int(s, 1);
        link->linked += (size_t)column_int(s, 2);
    }
    return status;
}

static enum store_status change_all(struct link_tries *all, struct store_error *error)
{
    struct sql_connection *c = all->store->writer.connection;
    if (all->change_count > 0 && sql_takes_rows(c)) {
        return change_many(all, error);
    }
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < all->change_count; i++) {
        const struct link_change *change = &all->changes[i];
        status = change_one(c, &all->tries[change->index].write->link, change, error);
    }
    return status;
}

/* ---- spans without attempt number, of a test with several attempts ---- */

struct chosen {
    int64_t *spans; /* owned */
    int64_t *results;
    size_t count;
    size_t capacity;
};

static void chosen_add(struct chosen *chosen, int64_t span, int64_t result)
{
    if (chosen->count == chosen->capacity) {
        chosen->capacity = chosen->capacity ? 2 * chosen->capacity : 64;
        chosen->spans = alloc_resize(chosen->spans, chosen->capacity * sizeof(int64_t));
        chosen->results = alloc_resize(chosen->results, chosen->capacity * sizeof(int64_t));
    }
    chosen->spans[chosen->count] = span;
    chosen->results[chosen->count++] = result;
}

int64_t sql_choose_result(struct sql_statement *s, const struct known_attempts *known,
                          uint32_t *out_attempt)
{
    uint8_t trace_id[16] = {0};
    (void)column_blob(s, 1, trace_id, sizeof trace_id);
    *out_attempt = attempt_choose(known->attempts, known->count, trace_id, column_int(s, 2), NULL);
    for (size_t i = 0; i < known->count; i++) {
        if (known->attempts[i].number == *out_attempt) {
            return known->results[i];
        }
    }
    return 0;
}

static enum store_status choose_spans(struct sql_connection *c, struct store_link *link,
                                      int64_t context, const struct known_attempts *known,
                                      struct chosen *chosen, struct store_error *error)
{
    struct sql_statement *s = sql_prepare(c, sql_waiting_sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, context);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        uint32_t attempt = ATTEMPT_UNKNOWN;
        int64_t result = sql_choose_result(s, known, &attempt);
        bool wanted = link->key.attempt == 0 || link->key.attempt == attempt;
        link->spans_found += wanted;
        if (wanted && result) {
            chosen_add(chosen, (int64_t)column_int(s, 0), result);
        }
    }
    return status;
}

const char sql_waiting_sql[] = "SELECT s.ref, t.trace_id, s.start_at FROM spans s"
                               " JOIN traces t ON t.ref = s.trace_ref"
                               " WHERE s.context_ref = ? AND s.result_ref IS NULL ORDER BY s.ref";

static enum store_status link_chosen(struct sql_connection *c, struct store_link *link,
                                     const struct chosen *chosen, struct store_error *error)
{
    static const char one[] = "UPDATE spans SET result_ref = ?, link_source = ?"
                              " WHERE ref = ? AND result_ref IS NULL";
    static const char many[] =
        "UPDATE spans s SET result_ref = p.result, link_source = p.point"
        " FROM unnest(?::bigint[], ?::bigint[], ?::bigint[]) p(result, point, ref)"
        " WHERE s.ref = p.ref AND s.result_ref IS NULL";
    bool together = sql_takes_rows(c);
    struct sql_statement *s = sql_prepare(c, together ? many : one, error);
    if (!s) {
        return error->status;
    }
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < chosen->count; i++) {
        bind_ref(s, 1, chosen->results[i]);
        bind_int(s, 2, link->point);
        bind_ref(s, 3, chosen->spans[i]);
        if (together) {
            sql_add_row(s);
        }
        if (!together || i + 1 == chosen->count) {
            status = sql_run(c, s, error);
            link->linked += status == STORE_OK ? sql_changes(c) : 0;
        }
    }
    return status;
}

static enum store_status link_by_choice(struct sql_connection *c, struct link_try *try,
                                        struct store_error *error)
{
    struct chosen chosen = {0};
    struct store_link *link = &try->write->link;
    enum store_status status = choose_spans(c, link, try->unnumbered, &try->known, &chosen, error);
    if (status == STORE_OK) {
        status = link_chosen(c, link, &chosen, error);
    }
    marline__memory_free(chosen.spans);
    marline__memory_free(chosen.results);
    return status;
}

/* ---- what each attempt comes to ---- */

static int64_t result_of(const struct known_attempts *known, uint32_t attempt)
{
    for (size_t i = 0; i < known->count; i++) {
        if (known->results[i] && (attempt == 0 || attempt == known->attempts[i].number)) {
            return known->results[i];
        }
    }
    return 0;
}

static void add_change(struct link_tries *all, size_t index, int64_t context, int64_t result)
{
    all->changes[all->change_count++] = (struct link_change){index, context, result};
}

/* Spans that do not say which attempt they are of belong to the only one, if there is but one. */
static enum store_status plan_unnumbered(struct link_tries *all, size_t index,
                                         struct store_error *error)
{
    struct link_try *try = &all->tries[index];
    const struct known_attempts *known = &try->known;
    uint32_t attempt = try->write->link.key.attempt;
    if (try->unnumbered == 0) {
        return STORE_OK;
    }
    if (known->count > 1) {
        return link_by_choice(all->store->writer.connection, try, error);
    }
    if (known->count == 0 || attempt == 0 || attempt == known->attempts[0].number) {
        add_change(all, index, try->unnumbered, known->count == 1 ? known->results[0] : 0);
    }
    return STORE_OK;
}

static enum store_status plan(struct link_tries *all, size_t index, struct store_error *error)
{
    struct link_try *try = &all->tries[index];
    struct store_link *link = &try->write->link;
    int64_t result = result_of(&try->known, link->key.attempt);
    link->result_found = result != 0;
    if (link->key.attempt != 0) {
        add_change(all, index, try->context, result);
    }
    return plan_unnumbered(all, index, error);
}

/* ---- the record ---- */

static void bind_record(struct sql_statement *s, const struct store_write *write, int64_t context,
                        const struct store_link *link, struct slice text)
{
    bind_ref(s, 1, context);
    bind_int(s, 2, link->point);
    bind_int(s, 3, write->at_unix_ns);
    bind_int(s, 4, link->result_found);
    bind_int(s, 5, link->spans_found);
    bind_int(s, 6, link->linked);
    bind_text(s, 7, text);
}

#define RECORD                                                                                     \
    "INSERT INTO link_attempts(context_ref, point, at, result_found, spans_found, linked, error)"
static const char record_one[] = RECORD " VALUES(?, ?, ?, ?, ?, ?, ?)";
static const char record_many[] =
    RECORD " SELECT * FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[],"
           " ?::bigint[], ?::text[])";
#undef RECORD

static enum store_status record_all(struct link_tries *all, struct store_error *error)
{
    struct sql_connection *c = all->store->writer.connection;
    bool together = sql_takes_rows(c);
    struct sql_statement *s = sql_prepare(c, together ? record_many : record_one, error);
    if (!s) {
        return error->status;
    }
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < all->count; i++) {
        const struct link_try *try = &all->tries[i];
        bind_record(s, try->write, try->context, &try->write->link, SLICE_EMPTY);
        if (together) {
            sql_add_row(s);
        }
        if (!together || i + 1 == all->count) {
            status = sql_run(c, s, error);
        }
    }
    return status;
}

enum store_status sql_link_all(struct sql_store *store, struct store_write *const *writes,
                               size_t count, struct store_error *error)
{
    struct link_tries all = {.store = store, .count = count};
    all.tries = alloc_zeroed(count * sizeof *all.tries);
    all.changes = alloc_array(2 * count, sizeof *all.changes);
    for (size_t i = 0; i < count; i++) {
        all.tries[i].write = writes[i];
        writes[i]->outcome = (struct store_error){STORE_OK, ""};
        writes[i]->link.spans_found = 0;
        writes[i]->link.linked = 0;
    }
    enum store_status status = learn(&all, error);
    for (size_t i = 0; status == STORE_OK && i < count; i++) {
        status = plan(&all, i, error);
    }
    if (status == STORE_OK) {
        status = change_all(&all, error);
    }
    if (status == STORE_OK) {
        status = record_all(&all, error);
    }
    marline__memory_free(all.tries);
    marline__memory_free(all.changes);
    return status;
}

enum store_status sql_link(struct sql_store *store, struct store_write *write,
                           struct store_error *error)
{
    return sql_link_all(store, &write, 1, error);
}

enum store_status sql_record_attempt(struct sql_store *store, struct store_write *write,
                                     struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    const struct store_record_attempt *in = &write->record_attempt;
    const struct store_link nothing = {.key = in->key, .point = in->point};
    int64_t context = 0;
    enum store_status status = sql_context(store, &in->key, &context, error);
    if (status != STORE_OK) {
        return status;
    }
    struct sql_statement *s = sql_prepare(c, record_one, error);
    if (!s) {
        return error->status;
    }
    bind_record(s, write, context, &nothing, in->error);
    return sql_run(c, s, error);
}
