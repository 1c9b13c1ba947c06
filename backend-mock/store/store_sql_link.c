/* Links in SQLite: one idempotent UPDATE by key of spans that have none, and its record. */
#include "store/store_sql.h"

#include "base/hex.h"
#include "core/alloc.h"

/* ---- the attempts of a test ---- */

static struct attempt read_attempt(struct sql_statement *s)
{
    struct attempt a = {
        .number = (uint32_t)column_int(s, 0),
        .dispatched_unix_ns = column_int(s, 1),
        .finished_unix_ns = column_is_null(s, 3) ? UINT64_MAX : column_int(s, 3),
    };
    a.has_trace = marline__hex_decode(column_text(s, 4), a.trace_id, sizeof a.trace_id);
    return a;
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
        out->attempts[out->count] = read_attempt(s);
        out->results[out->count++] = (int64_t)column_int(s, 2);
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

static enum store_status link_context(struct sql_connection *c, struct store_link *link,
                                      int64_t context, int64_t result, struct store_error *error)
{
    static const char sql[] = "UPDATE spans SET result_ref = ?, link_source = ?"
                              " WHERE context_ref = ? AND result_ref IS NULL";
    if (!result) {
        return count_waiting(c, context, &link->spans_found, error);
    }
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, result);
    bind_int(s, 2, link->point);
    bind_ref(s, 3, context);
    enum store_status status = sql_run(c, s, error);
    if (status == STORE_OK) {
        size_t linked = (size_t)sql_changes(c);
        link->linked += linked;
        link->spans_found += linked;
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
                               " WHERE s.context_ref = ? AND s.result_ref IS NULL";

static enum store_status link_span(struct sql_connection *c, struct store_link *link, int64_t span,
                                   int64_t result, struct store_error *error)
{
    static const char sql[] = "UPDATE spans SET result_ref = ?, link_source = ?"
                              " WHERE ref = ? AND result_ref IS NULL";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, result);
    bind_int(s, 2, link->point);
    bind_ref(s, 3, span);
    enum store_status status = sql_run(c, s, error);
    link->linked += status == STORE_OK ? (size_t)sql_changes(c) : 0;
    return status;
}

static enum store_status link_by_choice(struct sql_connection *c, struct store_link *link,
                                        int64_t context, const struct known_attempts *known,
                                        struct store_error *error)
{
    struct chosen chosen = {0};
    enum store_status status = choose_spans(c, link, context, known, &chosen, error);
    for (size_t i = 0; status == STORE_OK && i < chosen.count; i++) {
        status = link_span(c, link, chosen.spans[i], chosen.results[i], error);
    }
    marline__memory_free(chosen.spans);
    marline__memory_free(chosen.results);
    return status;
}

/* ---- one attempt at linking ---- */

/* `context` is that of the link's key; a key without number is the one looked for. */
static enum store_status link_unnumbered(struct sql_connection *c, struct store_link *link,
                                         int64_t context, const struct known_attempts *known,
                                         struct store_error *error)
{
    struct link_key key = link->key;
    key.attempt = 0;
    enum store_status status =
        link->key.attempt ? sql_context_find(c, &key, &context, error) : STORE_OK;
    if (status != STORE_OK || context == 0) {
        return status;
    }
    if (known->count > 1) {
        return link_by_choice(c, link, context, known, error);
    }
    bool other = known->count == 1 && link->key.attempt != 0 &&
                 link->key.attempt != known->attempts[0].number;
    if (other) {
        return STORE_OK;
    }
    return link_context(c, link, context, known->count == 1 ? known->results[0] : 0, error);
}

static int64_t result_of(const struct known_attempts *known, uint32_t attempt)
{
    for (size_t i = 0; i < known->count; i++) {
        if (known->results[i] && (attempt == 0 || attempt == known->attempts[i].number)) {
            return known->results[i];
        }
    }
    return 0;
}

static enum store_status record(struct sql_connection *c, const struct store_write *write,
                                int64_t context, const struct store_link *link, struct slice text,
                                struct store_error *error)
{
    static const char sql[] = "INSERT INTO link_attempts(context_ref, point, at, result_found,"
                              " spans_found, linked, error) VALUES(?, ?, ?, ?, ?, ?, ?)";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, context);
    bind_int(s, 2, link->point);
    bind_int(s, 3, write->at_unix_ns);
    bind_int(s, 4, link->result_found);
    bind_int(s, 5, link->spans_found);
    bind_int(s, 6, link->linked);
    bind_text(s, 7, text);
    return sql_run(c, s, error);
}

enum store_status sql_link(struct sql_store *store, struct store_write *write,
                           struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    struct store_link *link = &write->link;
    struct known_attempts known;
    int64_t context = 0;
    link->spans_found = 0;
    link->linked = 0;
    enum store_status status = sql_context(store, &link->key, &context, error);
    if (status == STORE_OK) {
        status = sql_attempts(c, &link->key, &known, error);
    }
    if (status != STORE_OK) {
        return status;
    }
    int64_t result = result_of(&known, link->key.attempt);
    link->result_found = result != 0;
    if (link->key.attempt != 0) {
        status = link_context(c, link, context, result, error);
    }
    if (status == STORE_OK) {
        status = link_unnumbered(c, link, context, &known, error);
    }
    return status == STORE_OK ? record(c, write, context, link, SLICE_EMPTY, error) : status;
}

enum store_status sql_record_attempt(struct sql_store *store, struct store_write *write,
                                     struct store_error *error)
{
    const struct store_record_attempt *in = &write->record_attempt;
    const struct store_link nothing = {.key = in->key, .point = in->point};
    int64_t context = 0;
    enum store_status status = sql_context(store, &in->key, &context, error);
    return status == STORE_OK
               ? record(store->writer.connection, write, context, &nothing, in->error, error)
               : status;
}
