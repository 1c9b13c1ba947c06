/* Spans, and what storing them changes around them.
 *
 * A POST is stored in three steps: what its spans point to is found or made; the rows are inserted,
 * where the database can take many at once in one statement; then each span that is new is counted
 * in its trace (store_sql_traces.c), whose context may still change for the whole POST. */
#include "store/store_sql.h"

#include <string.h>

#include "core/alloc.h"

enum { ROWS_PER_STATEMENT = 1000 }; /* bounds the copy that a statement of many rows needs */

/* The references of one span's row. */
struct span_refs {
    int64_t trace;
    int64_t post;
    int64_t source;
    int64_t context; /* 0 = none */
    int64_t ref;     /* of the row itself; 0 = a duplicate */
};

/* A POST under way. */
struct post {
    struct sql_store *store;
    struct store_insert_spans *in;
    struct span_refs *refs; /* one per span */
    int64_t *stale;         /* traces that got a new span; at most one per span */
    size_t stale_count;
    int64_t organization;
    int64_t ref;
};

/* ---- the post ---- */

static enum store_status create_post(struct post *post, const struct store_write *write,
                                     struct store_error *error)
{
    static const char sql[] = "INSERT INTO posts(organization_id, id, at, received, stored,"
                              " duplicate, rejected) VALUES(?, ?, ?, ?, ?, 0, 0)"
                              " RETURNING ref";
    struct sql_connection *c = post->store->writer.connection;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &post->in->organization_id);
    bind_text(s, 2, post->in->post_id.data ? post->in->post_id : SLICE(""));
    bind_int(s, 3, write->at_unix_ns);
    bind_int(s, 4, post->in->count);
    bind_int(s, 5, post->in->count);
    return sql_run_returning(c, s, &post->ref, error);
}

/* Few posts bring duplicates: the others are written once. */
static enum store_status finish_post(struct post *post, struct store_error *error)
{
    static const char sql[] = "UPDATE posts SET stored = ?, duplicate = ? WHERE ref = ?";
    if (post->in->duplicates == 0) {
        return STORE_OK;
    }
    struct sql_connection *c = post->store->writer.connection;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, post->in->stored);
    bind_int(s, 2, post->in->duplicates);
    bind_ref(s, 3, post->ref);
    return sql_run(c, s, error);
}

/* ---- what the spans point to ---- */

/* A trace that has a context already gives it to a span that has none. */
static void inherit(struct trace_slot *trace, struct store_span *span, int64_t *context)
{
    span->inherited = !span->has_key && trace->context_ref > 0;
    if (span->inherited) {
        span->has_key = true;
        span->key = trace->key;
        *context = trace->context_ref;
    }
    trace->has_bare = trace->has_bare || !span->has_key;
}

static enum store_status find_refs(struct post *post, size_t index, struct store_error *error)
{
    struct store_span *span = &post->in->spans[index];
    struct span_refs *refs = &post->refs[index];
    struct trace_slot *trace = NULL;
    refs->post = post->ref;
    enum store_status status = sql_source(post->store, post->in, span, &refs->source, error);
    if (status == STORE_OK && span->has_key) {
        status = sql_context(post->store, &span->key, &refs->context, error);
    }
    if (status == STORE_OK) {
        const struct trace_start start = {post->in, index, refs->context};
        status = sql_trace(post->store, post->organization, &start, &trace, error);
    }
    if (status == STORE_OK) {
        refs->trace = trace->ref;
        inherit(trace, span, &refs->context);
    }
    return status;
}

static enum store_status find_all_refs(struct post *post, struct store_error *error)
{
    struct store_insert_spans *in = post->in;
    enum store_status status = sql_traces_warm(post->store, post->organization, in, error);
    for (size_t i = 0; status == STORE_OK && i < in->count; i++) {
        status = find_refs(post, i, error);
    }
    return status;
}

/* ---- the rows ---- */

/* Empty containers are stored as NULL: most spans have neither events nor links. */
static struct slice unless_empty(struct slice json, const char *empty)
{
    return marline__slice_is(json, empty) || json.size == 0 ? SLICE_EMPTY : json;
}

static void bind_span(struct sql_statement *s, const struct store_span *span,
                      const struct span_refs *refs)
{
    bind_ref(s, 1, refs->trace);
    bind_blob(s, 2, span->span_id, sizeof span->span_id);
    bind_blob(s, 3, span->has_parent ? span->parent_span_id : NULL, sizeof span->parent_span_id);
    bind_ref(s, 4, refs->source);
    bind_ref(s, 5, refs->post);
    bind_ref(s, 6, refs->context);
    bind_ref(s, 7, span->inherited);
    bind_int(s, 8, span->kind);
    bind_int(s, 9, span->status);
    bind_int(s, 10, span->start_unix_ns);
    bind_int(s, 11, span->end_unix_ns - span->start_unix_ns);
    bind_text(s, 12, span->name.data ? span->name : SLICE(""));
    bind_text(s, 13, span->status_message);
    bind_text(s, 14, span->conversation_id);
    bind_text(s, 15, unless_empty(span->attributes, "{}"));
    bind_text(s, 16, unless_empty(span->events, "[]"));
    bind_text(s, 17, unless_empty(span->links, "[]"));
}

#define SPAN_COLUMNS                                                                               \
    "trace_ref, span_id, parent_span_id, source_ref, post_ref, context_ref, inherited, kind,"      \
    " status, start_at, duration_ns, name, status_message, conversation_id, attributes, events,"   \
    " links"

static enum store_status insert_row(struct post *post, size_t index, struct store_error *error)
{
    static const char sql[] = "INSERT INTO spans(" SPAN_COLUMNS ")"
                              " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                              " ON CONFLICT DO NOTHING RETURNING ref";
    struct sql_connection *c = post->store->writer.connection;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_span(s, &post->in->spans[index], &post->refs[index]);
    return sql_run_returning(c, s, &post->refs[index].ref, error);
}

/* Rows come back in the order in which they went in, without the duplicates. */
static size_t match_row(struct post *post, struct sql_statement *s, size_t index, size_t end)
{
    uint8_t span_id[8] = {0};
    int64_t trace = (int64_t)column_int(s, 1);
    (void)column_blob(s, 2, span_id, sizeof span_id);
    for (; index < end; index++) {
        if (post->refs[index].trace == trace &&
            memcmp(post->in->spans[index].span_id, span_id, sizeof span_id) == 0) {
            post->refs[index].ref = (int64_t)column_int(s, 0);
            return index + 1;
        }
    }
    return end;
}

static enum store_status insert_many(struct post *post, size_t begin, size_t end,
                                     struct store_error *error)
{
    static const char sql[] =
        "INSERT INTO spans(" SPAN_COLUMNS ") SELECT * FROM unnest(?::bigint[], ?::bytea[],"
        " ?::bytea[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[],"
        " ?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::text[],"
        " ?::text[], ?::text[]) ON CONFLICT DO NOTHING RETURNING ref, trace_ref, span_id";
    struct sql_connection *c = post->store->writer.connection;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    for (size_t i = begin; i < end; i++) {
        bind_span(s, &post->in->spans[i], &post->refs[i]);
        sql_add_row(s);
    }
    enum store_status status = STORE_OK;
    size_t next = begin;
    while (sql_row(c, s, &status, error)) {
        next = match_row(post, s, next, end);
    }
    return status;
}

static enum store_status insert_rows(struct post *post, struct store_error *error)
{
    bool many = sql_takes_rows(post->store->writer.connection);
    size_t step = many ? ROWS_PER_STATEMENT : 1;
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < post->in->count; i += step) {
        size_t end = post->in->count - i > step ? i + step : post->in->count;
        status = many ? insert_many(post, i, end, error) : insert_row(post, i, error);
    }
    return status;
}

/* ---- what is new ---- */

static enum store_status insert_links(struct sql_connection *c, const struct store_span *span,
                                      int64_t ref, struct store_error *error)
{
    static const char sql[] = "INSERT INTO span_links(trace_id, span_ref) VALUES(?, ?)"
                              " ON CONFLICT DO NOTHING";
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < span->linked_trace_count; i++) {
        struct sql_statement *s = sql_prepare(c, sql, error);
        if (!s) {
            return error->status;
        }
        bind_blob(s, 1, span->linked_traces[i], 16);
        bind_ref(s, 2, ref);
        status = sql_run(c, s, error);
    }
    return status;
}

static enum store_status add_new(struct post *post, size_t index, struct store_error *error)
{
    struct store_span *span = &post->in->spans[index];
    const struct span_refs *refs = &post->refs[index];
    struct trace_slot *trace = NULL;
    const struct trace_start start = {post->in, index, refs->context};
    enum store_status status = insert_links(post->store->writer.connection, span, refs->ref, error);
    if (status == STORE_OK) {
        status = sql_trace(post->store, post->organization, &start, &trace, error);
    }
    if (status == STORE_OK && trace->noted_post != post->ref) {
        trace->noted_post = post->ref;
        post->stale[post->stale_count++] = trace->ref;
    }
    return status == STORE_OK ? sql_trace_add(post->store, trace, span, refs->context, error)
                              : status;
}

/* What the slots still hold back; those of other writes are saved already. */
static enum store_status save_traces(struct sql_store *store, struct store_error *error)
{
    enum store_status status = STORE_OK;
    struct intern *intern = &store->writer.intern;
    while (status == STORE_OK && intern->dirty_count > 0) {
        struct trace_slot *trace = &intern->traces[intern->dirty[--intern->dirty_count]];
        trace->is_listed = false;
        status = trace->is_dirty ? sql_trace_save(store, trace, error) : STORE_OK;
    }
    return status;
}

static enum store_status add_all_new(struct post *post, struct store_error *error)
{
    struct store_insert_spans *in = post->in;
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < in->count; i++) {
        in->spans[i].duplicate = post->refs[i].ref == 0;
        in->duplicates += in->spans[i].duplicate;
        if (!in->spans[i].duplicate) {
            status = add_new(post, i, error);
        }
    }
    in->stored = in->count - in->duplicates;
    if (status == STORE_OK) {
        status =
            sql_note_stale(post->store->writer.connection, post->stale, post->stale_count, error);
    }
    return status == STORE_OK ? save_traces(post->store, error) : status;
}

/* What a first try that failed left in the spans. */
static void disinherit(struct store_insert_spans *in)
{
    for (size_t i = 0; i < in->count; i++) {
        in->spans[i].has_key = in->spans[i].has_key && !in->spans[i].inherited;
        in->spans[i].inherited = false;
    }
}

enum store_status sql_insert_spans(struct sql_store *store, struct store_write *write,
                                   struct store_error *error)
{
    struct store_insert_spans *in = &write->insert_spans;
    struct post post = {.store = store, .in = in};
    in->stored = 0;
    in->duplicates = 0;
    disinherit(in);
    post.refs = alloc_array(in->count + 1, sizeof *post.refs);
    post.stale = alloc_array(in->count + 1, sizeof *post.stale);
    enum store_status status =
        sql_organization(store, &in->organization_id, &post.organization, error);
    if (status == STORE_OK) {
        status = create_post(&post, write, error);
    }
    if (status == STORE_OK) {
        status = find_all_refs(&post, error);
    }
    if (status == STORE_OK) {
        status = insert_rows(&post, error);
    }
    if (status == STORE_OK) {
        status = add_all_new(&post, error);
    }
    marline__memory_free(post.refs);
    marline__memory_free(post.stale);
    return status == STORE_OK ? finish_post(&post, error) : status;
}
