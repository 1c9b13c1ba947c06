/* The SQL stores' common ground: statements, values, connections, opening and closing. */
#include "store/store_sql.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"

/* ---- errors ---- */

enum store_status error_set(struct store_error *error, enum store_status status, const char *format,
                            ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}

enum store_status sql_failed(struct sql_connection *c, struct store_error *error)
{
    return c->driver->failed(c, error);
}

/* ---- statements ---- */

static size_t slot_of(const char *text)
{
    return ((uintptr_t)text >> 3) % SQL_STATEMENTS_MAX;
}

struct sql_statement *sql_prepare(struct sql_connection *c, const char *text,
                                  struct store_error *error)
{
    size_t at = slot_of(text);
    while (c->statements[at].text && c->statements[at].text != text) {
        at = (at + 1) % SQL_STATEMENTS_MAX;
        assert(at != slot_of(text)); /* more statements than SQL_STATEMENTS_MAX */
    }
    if (!c->statements[at].text) {
        struct sql_statement *statement = c->driver->prepare(c, text, SQL_KEPT, error);
        if (!statement) {
            return NULL;
        }
        c->statements[at].text = text;
        c->statements[at].statement = statement;
    }
    return c->statements[at].statement;
}

void sql_free_statements(struct sql_connection *c)
{
    for (size_t i = 0; i < SQL_STATEMENTS_MAX; i++) {
        if (c->statements[i].text) {
            c->driver->free_statement(c->statements[i].statement);
            c->statements[i].text = NULL;
        }
    }
}

enum store_status sql_execute(struct sql_connection *c, const char *script,
                              struct store_error *error)
{
    return c->driver->execute(c, script, error);
}

enum store_status sql_run(struct sql_connection *c, struct sql_statement *s,
                          struct store_error *error)
{
    enum sql_step step = SQL_ROW;
    while (step == SQL_ROW) {
        step = s->driver->step(s);
    }
    enum store_status status = step == SQL_DONE ? STORE_OK : sql_failed(c, error);
    s->driver->reset(s);
    return status;
}

enum store_status sql_run_returning(struct sql_connection *c, struct sql_statement *s,
                                    int64_t *out_ref, struct store_error *error)
{
    enum store_status status = STORE_OK;
    *out_ref = 0;
    if (sql_row(c, s, &status, error)) {
        *out_ref = s->driver->integer(s, 0);
        status = sql_run(c, s, error);
    }
    return status;
}

bool sql_row(struct sql_connection *c, struct sql_statement *s, enum store_status *out_status,
             struct store_error *error)
{
    enum sql_step step = s->driver->step(s);
    *out_status = STORE_OK;
    if (step == SQL_ROW) {
        return true;
    }
    if (step == SQL_FAILED) {
        *out_status = sql_failed(c, error);
    }
    s->driver->reset(s);
    return false;
}

void sql_reset(struct sql_statement *s)
{
    s->driver->reset(s);
}

size_t sql_changes(struct sql_connection *c)
{
    return c->driver->changes(c);
}

/* ---- values ---- */

void bind_uuid(struct sql_statement *s, int at, const struct uuid *u)
{
    s->driver->bind_bytes(s, at, SQL_UUID, (struct slice){(const char *)u->bytes, sizeof u->bytes});
}

void bind_uuid_or_null(struct sql_statement *s, int at, const struct uuid *u)
{
    if (marline__uuid_is_nil(u)) {
        s->driver->bind_null(s, at, SQL_UUID);
    } else {
        bind_uuid(s, at, u);
    }
}

void bind_text(struct sql_statement *s, int at, struct slice text)
{
    if (text.data) {
        s->driver->bind_bytes(s, at, SQL_TEXT, text);
    } else {
        s->driver->bind_null(s, at, SQL_TEXT);
    }
}

void bind_blob(struct sql_statement *s, int at, const void *data, size_t size)
{
    if (data) {
        s->driver->bind_bytes(s, at, SQL_BLOB, (struct slice){data, size});
    } else {
        s->driver->bind_null(s, at, SQL_BLOB);
    }
}

void bind_int(struct sql_statement *s, int at, uint64_t value)
{
    s->driver->bind_int(s, at, (int64_t)value);
}

void bind_int_or_null(struct sql_statement *s, int at, bool is_null, uint64_t value)
{
    if (is_null) {
        s->driver->bind_null(s, at, SQL_INT);
    } else {
        bind_int(s, at, value);
    }
}

void bind_double(struct sql_statement *s, int at, double value)
{
    s->driver->bind_real(s, at, value);
}

void bind_ref(struct sql_statement *s, int at, int64_t ref)
{
    bind_int_or_null(s, at, ref == 0, (uint64_t)ref);
}

void bind_scope(struct sql_statement *s, const struct store_scope *scope)
{
    bind_uuid(s, 1, &scope->organization_id);
    bind_uuid_or_null(s, 2, &scope->project_id);
    bind_int(s, 3, scope->only_without_project && marline__uuid_is_nil(&scope->project_id));
}

bool column_is_null(struct sql_statement *s, int at)
{
    return s->driver->is_null(s, at);
}

struct uuid column_uuid(struct sql_statement *s, int at)
{
    struct uuid u = {{0}};
    (void)column_blob(s, at, u.bytes, sizeof u.bytes);
    return u;
}

struct slice column_text(struct sql_statement *s, int at)
{
    return s->driver->is_null(s, at) ? SLICE_EMPTY : s->driver->bytes(s, at);
}

uint64_t column_int(struct sql_statement *s, int at)
{
    return (uint64_t)s->driver->integer(s, at);
}

double column_double(struct sql_statement *s, int at)
{
    return s->driver->real(s, at);
}

bool column_blob(struct sql_statement *s, int at, void *out, size_t size)
{
    struct slice blob = s->driver->bytes(s, at);
    if (blob.size != size || !blob.data) {
        return false;
    }
    memcpy(out, blob.data, size);
    return true;
}

/* ---- connections ---- */

static void close_connection(struct sql_connection *c)
{
    if (c) {
        sql_free_statements(c);
        c->driver->close(c);
    }
}

static struct sql_connection *take_idle(struct sql_store *store)
{
    struct sql_connection *c = NULL;
    (void)pthread_mutex_lock(&store->readers.mutex);
    while (store->readers.idle_count == 0 && store->readers.open_count == SQL_READERS_MAX) {
        (void)pthread_cond_wait(&store->readers.returned, &store->readers.mutex);
    }
    if (store->readers.idle_count > 0) {
        c = store->readers.idle[--store->readers.idle_count];
    } else {
        store->readers.open_count++;
    }
    (void)pthread_mutex_unlock(&store->readers.mutex);
    return c;
}

struct sql_connection *sql_reader_take(struct sql_store *store, struct store_error *error)
{
    if (store->shares_connection) {
        (void)pthread_mutex_lock(&store->writer.mutex);
        return store->writer.connection;
    }
    struct sql_connection *c = take_idle(store);
    if (c) {
        store->driver->refresh(c);
        return c;
    }
    c = store->driver->open(store->location, store->name, true, error);
    if (!c) {
        (void)pthread_mutex_lock(&store->readers.mutex);
        store->readers.open_count--;
        (void)pthread_cond_signal(&store->readers.returned);
        (void)pthread_mutex_unlock(&store->readers.mutex);
    }
    return c;
}

void sql_reader_return(struct sql_store *store, struct sql_connection *c)
{
    if (store->shares_connection) {
        (void)pthread_mutex_unlock(&store->writer.mutex);
        return;
    }
    (void)pthread_mutex_lock(&store->readers.mutex);
    store->readers.idle[store->readers.idle_count++] = c;
    (void)pthread_cond_signal(&store->readers.returned);
    (void)pthread_mutex_unlock(&store->readers.mutex);
}

/* ---- opening and closing ---- */

static void sql_close(struct store *base)
{
    struct sql_store *store = (struct sql_store *)base;
    for (size_t i = 0; i < store->readers.idle_count; i++) {
        close_connection(store->readers.idle[i]);
    }
    close_connection(store->writer.connection);
    intern_clear(&store->writer.intern);
    (void)pthread_mutex_destroy(&store->writer.mutex);
    (void)pthread_mutex_destroy(&store->readers.mutex);
    (void)pthread_cond_destroy(&store->readers.returned);
    marline__memory_free(store->location);
    marline__memory_free(store->name);
    marline__memory_free(store);
}

static const struct store_ops sql_ops = {
    .close = sql_close,
    .write_all = sql_write_all,
    .find_token = sql_find_token,
    .list_projects = sql_list_projects,
    .list_entities = sql_list_entities,
    .read_run = sql_read_run,
    .read_attempts = sql_read_attempts,
    .unfinished_runs = sql_unfinished_runs,
    .untold_runs = sql_untold_runs,
    .answered_invocations = sql_answered_invocations,
    .read_timeline = sql_read_timeline,
    .read_run_spans = sql_read_run_spans,
    .read_ledger = sql_read_ledger,
    .waiting_keys = sql_waiting_keys,
    .list_traces = sql_list_traces,
    .read_trace = sql_read_trace,
    .find_conversation = sql_find_conversation,
    .read_metrics = sql_read_metrics,
    .explain_link = sql_explain_link,
    .stale_traces = sql_stale_traces,
};

struct store *sql_store_open(const struct sql_driver *driver, const char *location,
                             const char *name, bool shares_connection, struct store_error *error)
{
    struct sql_store *store = alloc_zeroed(sizeof *store);
    store->base.ops = &sql_ops;
    store->driver = driver;
    store->location = alloc_slice(marline__slice_text(location));
    store->name = alloc_slice(marline__slice_text(name));
    store->shares_connection = shares_connection;
    (void)pthread_mutex_init(&store->writer.mutex, NULL);
    (void)pthread_mutex_init(&store->readers.mutex, NULL);
    (void)pthread_cond_init(&store->readers.returned, NULL);
    store->writer.connection = driver->open(store->location, store->name, false, error);
    if (!store->writer.connection || sql_migrate(store->writer.connection, error) != STORE_OK) {
        sql_close(&store->base);
        return NULL;
    }
    return &store->base;
}
