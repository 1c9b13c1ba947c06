/* Private to store_sqlite*.c: connections, cached statements, binding, errors, interned rows. */
#ifndef STORE_STORE_SQLITE_H
#define STORE_STORE_SQLITE_H

#include <pthread.h>
#include <sqlite3.h>

#include "base/hex.h"
#include "core/attempt.h"
#include "store/store.h"

enum {
    SQLITE_READERS_MAX = 4, /* connections for reads; one more reader waits for its turn */
    SQLITE_STATEMENTS_MAX = 128,
    SQLITE_BUSY_TIMEOUT_MS = 2000, /* another process may hold the file that long */
};

/* One connection and its prepared statements, found by the address of their text: SQL is written
 * as static arrays next to its use. One thread at a time. */
struct connection {
    sqlite3 *db;
    const char *name; /* of the file, for messages */
    struct {
        const char *text;
        sqlite3_stmt *statement;
    } statements[SQLITE_STATEMENTS_MAX];
};

/* The prepared statement for `text`, reset, unbound. NULL and *error when it does not compile. */
sqlite3_stmt *connection_statement(struct connection *c, const char *text,
                                   struct store_error *error);

/* Fills *error from the connection's last error and returns its status. */
enum store_status connection_failed(struct connection *c, struct store_error *error);
enum store_status error_set(struct store_error *error, enum store_status status, const char *format,
                            ...) __attribute__((format(printf, 3, 4)));
/* Executes a script. */
enum store_status connection_execute(struct connection *c, const char *script,
                                     struct store_error *error);

/* Steps to the end and resets. */
enum store_status statement_run(struct connection *c, sqlite3_stmt *s, struct store_error *error);
/* One step: true = a row. False: ended or failed (*out_status), and reset. */
bool statement_row(struct connection *c, sqlite3_stmt *s, enum store_status *out_status,
                   struct store_error *error);

/* Binding borrows until the statement is reset. */
void bind_uuid(sqlite3_stmt *s, int at, const struct uuid *u);
void bind_uuid_or_null(sqlite3_stmt *s, int at, const struct uuid *u); /* nil binds NULL */
void bind_text(sqlite3_stmt *s, int at, struct slice text);            /* NULL data binds NULL */
void bind_int(sqlite3_stmt *s, int at, uint64_t value);
void bind_ref(sqlite3_stmt *s, int at, int64_t ref); /* 0 binds NULL */

struct uuid column_uuid(sqlite3_stmt *s, int at);  /* NULL reads as nil */
struct slice column_text(sqlite3_stmt *s, int at); /* NULL reads as {NULL, 0} */
uint64_t column_int(sqlite3_stmt *s, int at);

/* ---- rows that many others point to, remembered by the writer ---- */

enum {
    CONTEXT_CACHE_SIZE = 1024, /* keys under work at the same time; power of two */
    TRACE_CACHE_SIZE = 2048,   /* traces whose spans are coming in; power of two */
    SOURCE_CACHE_SIZE = 64,    /* agents sending at the same time; power of two */
    SOURCE_CACHED_MAX = 8192,  /* bytes: a longer resource is looked up each time */
};

struct context_slot {
    int64_t ref; /* 0 = empty */
    struct link_key key;
};

/* The context of a trace's spans as far as known; CONTEXT_SEVERAL: they differ. */
enum { CONTEXT_SEVERAL = -1 };
struct trace_slot {
    int64_t ref; /* 0 = empty */
    int64_t organization_ref;
    uint8_t trace_id[16];
    bool has_root;
    bool is_dirty;       /* has_root or context_ref is to be written */
    bool is_listed;      /* its index is in intern.dirty */
    bool has_bare;       /* spans without context may be stored */
    int64_t context_ref; /* 0 = none yet */
    struct link_key key; /* when context_ref > 0 */
};

struct source_slot {
    int64_t ref; /* 0 = empty */
    uint64_t hash;
    struct uuid organization_id;
    struct uuid project_id;
    char *text; /* owned: environment, then resource */
    size_t environment_size;
    size_t size;
};

struct intern {
    struct uuid organization_id;
    int64_t organization_ref; /* 0 = empty */
    struct context_slot contexts[CONTEXT_CACHE_SIZE];
    struct trace_slot traces[TRACE_CACHE_SIZE];
    uint16_t dirty[TRACE_CACHE_SIZE]; /* indices of slots; each at most once */
    size_t dirty_count;
    struct source_slot sources[SOURCE_CACHE_SIZE];
};

/* To be called whenever anything was rolled back: a remembered row may never have existed. */
void intern_clear(struct intern *intern);

struct sqlite_store {
    struct store base;
    char *path;
    bool in_memory; /* then there is one connection, and reads take turns with writes */
    struct {
        pthread_mutex_t mutex; /* held for a whole transaction: SQLite has one writer anyway */
        struct connection connection;
        struct intern intern;
    } writer;
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t returned;
        struct connection *idle[SQLITE_READERS_MAX];
        size_t idle_count;
        size_t open_count;
    } readers;
};

/* Creates or upgrades the tables. */
enum store_status sqlite_migrate(struct connection *c, struct store_error *error);

enum store_status sqlite_write_all(struct store *store, struct store_write *const *writes,
                                   size_t count, struct store_error *error);
enum store_status sqlite_insert_spans(struct sqlite_store *store, struct store_write *write,
                                      struct store_error *error);
enum store_status sqlite_link(struct sqlite_store *store, struct store_write *write,
                              struct store_error *error);
enum store_status sqlite_record_attempt(struct sqlite_store *store, struct store_write *write,
                                        struct store_error *error);

/* The row of a key, created when needed. */
enum store_status sqlite_context(struct sqlite_store *store, const struct link_key *key,
                                 int64_t *out_ref, struct store_error *error);

/* The same, without creating it: 0 = not there. */
enum store_status sqlite_context_find(struct connection *c, const struct link_key *key,
                                      int64_t *out_ref, struct store_error *error);

enum {
    ATTEMPTS_MAX = 64
}; /* of one test that are looked at; the platform's maximum is far below */
struct known_attempts {
    struct attempt attempts[ATTEMPTS_MAX];
    int64_t results[ATTEMPTS_MAX]; /* the canonical result's row; 0 = none yet */
    size_t count;
};
/* The attempts of the key's test, whatever the attempt in the key. */
enum store_status sqlite_attempts(struct connection *c, const struct link_key *key,
                                  struct known_attempts *out, struct store_error *error);

/* Would an attempt at this key link something? */
enum store_status sqlite_is_linkable(struct connection *c, int64_t context,
                                     const struct link_key *key, bool *out,
                                     struct store_error *error);

/* Selects ref, trace id and start of the spans of context ?1 that wait. */
extern const char sqlite_waiting_sql[];
/* The result that the span in the current row of that query belongs to; 0 = none yet, or nobody
 * knows. */
int64_t sqlite_choose_result(sqlite3_stmt *s, const struct known_attempts *known,
                             uint32_t *out_attempt);

/* Notes the trace of a span that was just inserted, and lets spans without context inherit it
 * through their trace as long as that is unambiguous. `context` is the span's own, or 0. */
enum store_status sqlite_trace_add(struct sqlite_store *store, struct trace_slot *trace,
                                   const struct store_span *span, int64_t context,
                                   struct store_error *error);
/* What is known of a trace when a span of it comes: a new one is stored with it at once, so that
 * most traces are written but once. */
struct trace_start {
    const struct store_insert_spans *in;
    size_t index;    /* the span */
    int64_t context; /* of the span; 0 = none */
};
/* The slot of a trace, created when needed; valid until the next call. */
enum store_status sqlite_trace(struct sqlite_store *store, int64_t organization_ref,
                               const struct trace_start *start, struct trace_slot **out_slot,
                               struct store_error *error);
/* Writes what sqlite_trace_add left to be written. */
enum store_status sqlite_trace_save(struct sqlite_store *store, struct trace_slot *trace,
                                    struct store_error *error);

enum store_status sqlite_enrich(struct sqlite_store *store, struct store_write *write,
                                struct store_error *error);
enum store_status sqlite_index_text(struct sqlite_store *store, struct store_write *write,
                                    struct store_error *error);

/* A connection for reading; give it back. NULL and *error when none can be opened. */
struct connection *sqlite_reader_take(struct sqlite_store *store, struct store_error *error);
void sqlite_reader_return(struct sqlite_store *store, struct connection *c);

enum store_status sqlite_find_token(struct store *store, const uint8_t key_sha256[32],
                                    struct store_token *out, struct store_error *error);
enum store_status sqlite_list_projects(struct store *store, const struct store_scope *scope,
                                       store_project_fn visit, void *user,
                                       struct store_error *error);
enum store_status sqlite_read_run(struct store *store, const struct store_scope *scope,
                                  const struct uuid *run_id, struct store_run *out,
                                  store_run_row_fn visit, void *user, struct store_error *error);
enum store_status sqlite_read_timeline(struct store *store, const struct store_scope *scope,
                                       const struct uuid *run_id, store_event_fn visit, void *user,
                                       struct store_error *error);
enum store_status sqlite_read_run_spans(struct store *store, const struct store_scope *scope,
                                        const struct uuid *run_id, store_span_row_fn visit,
                                        void *user, struct store_error *error);
enum store_status sqlite_read_ledger(struct store *store, const struct store_scope *scope,
                                     struct store_ledger *out, struct store_error *error);
enum store_status sqlite_waiting_keys(struct store *store, size_t limit, store_key_fn visit,
                                      void *user, struct store_error *error);

enum store_status sqlite_list_traces(struct store *store, const struct store_scope *scope,
                                     const struct store_trace_filter *filter, uint64_t *out_total,
                                     store_trace_row_fn visit, void *user,
                                     struct store_error *error);
enum store_status sqlite_read_trace(struct store *store, const struct store_scope *scope,
                                    const uint8_t trace_id[16],
                                    const struct store_trace_visitor *visitor,
                                    struct store_error *error);
enum store_status sqlite_read_metrics(struct store *store, const struct store_scope *scope,
                                      const struct store_trace_filter *filter,
                                      struct store_metrics *out, store_metric_fn visit, void *user,
                                      struct store_error *error);
enum store_status sqlite_explain_link(struct store *store, const struct store_scope *scope,
                                      const uint8_t trace_id[16], store_link_group_fn visit,
                                      void *user, struct store_error *error);
enum store_status sqlite_stale_traces(struct store *store, size_t limit, store_stale_fn visit,
                                      void *user, struct store_error *error);

#endif
