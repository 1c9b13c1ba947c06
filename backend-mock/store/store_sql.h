/* Private to the SQL stores. One set of statements serves SQLite and PostgreSQL; what differs is
 * behind a driver: connections, statements, values. Parameters are written ? or ?N in the text;
 * where the two databases must be asked differently, sql_choose picks.
 *
 * A connection belongs to one thread at a time. Bound values are borrowed until the statement is
 * reset; texts of a row until the next step. */
#ifndef STORE_STORE_SQL_H
#define STORE_STORE_SQL_H

#include <pthread.h>

#include "core/attempt.h"
#include "store/store.h"

enum {
    SQL_READERS_MAX = 4,      /* connections for reads; one more reader waits for its turn */
    SQL_STATEMENTS_MAX = 128, /* prepared ones of a connection */
    SQL_PARAMETERS_MAX = 32,  /* of one statement */
};

/* How long a statement is wanted: as long as its connection, or for one question. */
enum sql_lifetime { SQL_KEPT, SQL_ONCE };
/* PostgreSQL: the number of an advisory lock. Every writing transaction of every backend shares it;
 * who has it alone knows that nothing is under way. */
#define SQL_WRITERS_LOCK "5577006791947779411"

enum sql_step { SQL_ROW, SQL_DONE, SQL_FAILED };
enum sql_dialect { SQL_SQLITE, SQL_POSTGRES };
/* PostgreSQL wants to know the type of a NULL too. */
enum sql_type { SQL_INT, SQL_REAL, SQL_TEXT, SQL_BLOB, SQL_UUID };

/* The head of every driver's own. */
struct sql_statement {
    const struct sql_driver *driver;
};

struct sql_connection {
    const struct sql_driver *driver;
    const char *name; /* of the database, for messages */
    struct {
        const char *text; /* statements are found by the address of their text */
        struct sql_statement *statement;
    } statements[SQL_STATEMENTS_MAX];
};

struct sql_driver {
    enum sql_dialect dialect;
    const char *begin_write; /* the statements that open a transaction */
    const char *begin_read;  /* one snapshot for all its reads */
    /* NULL and *error when it cannot be opened. */
    struct sql_connection *(*open)(const char *location, const char *name, bool read_only,
                                   struct store_error *error);
    void (*close)(struct sql_connection *c); /* after its statements are freed */
    /* Called between transactions: brings a lost connection back if it can. */
    void (*refresh)(struct sql_connection *c);
    /* Prepared at the latest by the first step; NULL and *error when that fails here. */
    struct sql_statement *(*prepare)(struct sql_connection *c, const char *text,
                                     enum sql_lifetime lifetime, struct store_error *error);
    void (*free_statement)(struct sql_statement *s);
    void (*bind_null)(struct sql_statement *s, int at, enum sql_type type);
    void (*bind_int)(struct sql_statement *s, int at, int64_t value);
    void (*bind_real)(struct sql_statement *s, int at, double value);
    void (*bind_bytes)(struct sql_statement *s, int at, enum sql_type type, struct slice value);
    /* Keeps what is bound as one more row: the statement then takes an array for each parameter
     * (unnest). NULL where a row is as quick alone, in a library. */
    void (*add_row)(struct sql_statement *s);
    enum sql_step (*step)(struct sql_statement *s);
    void (*reset)(struct sql_statement *s);
    bool (*is_null)(struct sql_statement *s, int at);
    int64_t (*integer)(struct sql_statement *s, int at);
    double (*real)(struct sql_statement *s, int at);
    struct slice (*bytes)(struct sql_statement *s, int at); /* TEXT, BLOB, UUID */
    size_t (*changes)(struct sql_connection *c);            /* rows of the last change */
    bool (*in_transaction)(struct sql_connection *c);
    enum store_status (*execute)(struct sql_connection *c, const char *script,
                                 struct store_error *error);
    /* True when the last failure was a deadlock or the like: the transaction, tried again at once,
     * may well succeed. */
    bool (*is_retriable)(struct sql_connection *c);
    /* Fills *error from the last failure. */
    enum store_status (*failed)(struct sql_connection *c, struct store_error *error);
};

/* ---- statements ---- */

/* The statement for `text` (a static text), reset. NULL and *error when it cannot be had. */
struct sql_statement *sql_prepare(struct sql_connection *c, const char *text,
                                  struct store_error *error);
void sql_free_statements(struct sql_connection *c);
static inline const char *sql_choose(const struct sql_connection *c, const char *sqlite,
                                     const char *postgres)
{
    return c->driver->dialect == SQL_SQLITE ? sqlite : postgres;
}

enum store_status sql_failed(struct sql_connection *c, struct store_error *error);
enum store_status error_set(struct store_error *error, enum store_status status, const char *format,
                            ...) __attribute__((format(printf, 3, 4)));
enum store_status sql_execute(struct sql_connection *c, const char *script,
                              struct store_error *error);
/* Steps to the end and resets. */
enum store_status sql_run(struct sql_connection *c, struct sql_statement *s,
                          struct store_error *error);
/* For INSERT … RETURNING ref: *out_ref is 0 when nothing was inserted. */
enum store_status sql_run_returning(struct sql_connection *c, struct sql_statement *s,
                                    int64_t *out_ref, struct store_error *error);
/* One step: true = a row. False: ended or failed (*out_status), and reset. */
bool sql_row(struct sql_connection *c, struct sql_statement *s, enum store_status *out_status,
             struct store_error *error);
void sql_reset(struct sql_statement *s);
static inline bool sql_takes_rows(const struct sql_connection *c)
{
    return c->driver->add_row != NULL;
}
static inline void sql_add_row(struct sql_statement *s)
{
    s->driver->add_row(s);
}
size_t sql_changes(struct sql_connection *c);

/* Parameters and columns: from 1 and from 0. */
void bind_uuid(struct sql_statement *s, int at, const struct uuid *u);
void bind_uuid_or_null(struct sql_statement *s, int at, const struct uuid *u); /* nil binds NULL */
void bind_text(struct sql_statement *s, int at, struct slice text); /* NULL data binds NULL */
void bind_blob(struct sql_statement *s, int at, const void *data, size_t size); /* so here */
void bind_int(struct sql_statement *s, int at, uint64_t value);
void bind_int_or_null(struct sql_statement *s, int at, bool is_null, uint64_t value);
void bind_double(struct sql_statement *s, int at, double value);
void bind_ref(struct sql_statement *s, int at, int64_t ref); /* 0 binds NULL */
/* ?1 the organization, ?2 its project or NULL, ?3 whether only rows without a project count. */
void bind_scope(struct sql_statement *s, const struct store_scope *scope);
/* The condition on the sources `src` of a statement with such parameters. */
#define SQL_IN_SCOPE "(?2 IS NULL OR src.project_id = ?2) AND (?3 = 0 OR src.project_id IS NULL)"

bool column_is_null(struct sql_statement *s, int at);
struct uuid column_uuid(struct sql_statement *s, int at);  /* NULL reads as nil */
struct slice column_text(struct sql_statement *s, int at); /* NULL reads as {NULL, 0} */
uint64_t column_int(struct sql_statement *s, int at);
double column_double(struct sql_statement *s, int at);
/* False, and `out` untouched, unless the blob has exactly this size. */
bool column_blob(struct sql_statement *s, int at, void *out, size_t size);

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
    bool is_wanted; /* empty, to be filled by the next answer */
};

/* The context of a trace's spans as far as known; CONTEXT_SEVERAL: they differ. */
enum { CONTEXT_SEVERAL = -1 };
struct trace_slot {
    int64_t ref; /* 0 = empty */
    int64_t organization_ref;
    int64_t noted_post; /* the last POST that made it stale */
    uint8_t trace_id[16];
    bool has_root;
    bool is_dirty;       /* has_root or context_ref is to be written */
    bool is_listed;      /* its index is in intern.dirty */
    bool is_wanted;      /* empty, to be filled by the next answer */
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
/* Forgets what another backend may change. */
void intern_forget_traces(struct intern *intern);

struct sql_store {
    struct store base;
    const struct sql_driver *driver;
    char *location;         /* as the driver's open wants it */
    char *name;             /* for messages; no password in it */
    bool shares_connection; /* there is only the writer's: reads take turns with writes */
    struct {
        pthread_mutex_t mutex; /* held for a whole transaction */
        struct sql_connection *connection;
        struct intern intern;
    } writer;
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t returned;
        struct sql_connection *idle[SQL_READERS_MAX];
        size_t idle_count;
        size_t open_count;
    } readers;
};

/* Opens the writer's connection and applies the migrations. Borrows the texts. */
struct store *sql_store_open(const struct sql_driver *driver, const char *location,
                             const char *name, bool shares_connection, struct store_error *error);

/* Creates or upgrades the tables. */
enum store_status sql_migrate(struct sql_connection *c, struct store_error *error);

enum store_status sql_write_all(struct store *store, struct store_write *const *writes,
                                size_t count, struct store_error *error);
enum store_status sql_insert_spans(struct sql_store *store, struct store_write *write,
                                   struct store_error *error);
enum store_status sql_link(struct sql_store *store, struct store_write *write,
                           struct store_error *error);
/* Carries out attempts at linking together; sql_links_together says how many of the first writes
 * may be. *error alone has the outcome of a failure. */
enum store_status sql_link_all(struct sql_store *store, struct store_write *const *writes,
                               size_t count, struct store_error *error);
size_t sql_links_together(const struct sql_connection *c, struct store_write *const *writes,
                          size_t count);
enum store_status sql_record_attempt(struct sql_store *store, struct store_write *write,
                                     struct store_error *error);

/* The row of a key, created when needed. */
enum store_status sql_context(struct sql_store *store, const struct link_key *key, int64_t *out_ref,
                              struct store_error *error);

/* Finds or creates the rows of all these keys in as few statements as the database allows, in an
 * order of their own, so that two backends at the same keys do not block each other; what is left
 * is found one by one. For a database that takes rows. */
enum store_status sql_contexts_warm(struct sql_store *store, const struct link_key *const *keys,
                                    size_t count, struct store_error *error);
/* So for a POST's traces, once the contexts are there. */
enum store_status sql_traces_warm(struct sql_store *store, int64_t organization_ref,
                                  const struct store_insert_spans *in, struct store_error *error);
enum store_status sql_organization(struct sql_store *store, const struct uuid *id, int64_t *out_ref,
                                   struct store_error *error);
/* Project, environment and resource of a span. */
enum store_status sql_source(struct sql_store *store, const struct store_insert_spans *in,
                             const struct store_span *span, int64_t *out_ref,
                             struct store_error *error);

/* The same, without creating it: 0 = not there. */
enum store_status sql_context_find(struct sql_connection *c, const struct link_key *key,
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
enum store_status sql_attempts(struct sql_connection *c, const struct link_key *key,
                               struct known_attempts *out, struct store_error *error);

/* Would an attempt at this key link something? Where attempts have to be told apart, *out_span is
 * the first span that it would; else 0, for any that waits. */
enum store_status sql_is_linkable(struct sql_connection *c, int64_t context,
                                  const struct link_key *key, bool *out, uint64_t *out_span,
                                  struct store_error *error);

/* Selects ref, trace id and start of the spans of context ?1 that wait, oldest first. */
extern const char sql_waiting_sql[];
/* The result that the span in the current row of that query belongs to; 0 = none yet, or nobody
 * knows. */
int64_t sql_choose_result(struct sql_statement *s, const struct known_attempts *known,
                          uint32_t *out_attempt);

/* Notes the trace of a span that was just inserted, and lets spans without context inherit it
 * through their trace as long as that is unambiguous. `context` is the span's own, or 0. */
enum store_status sql_trace_add(struct sql_store *store, struct trace_slot *trace,
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
enum store_status sql_trace(struct sql_store *store, int64_t organization_ref,
                            const struct trace_start *start, struct trace_slot **out_slot,
                            struct store_error *error);
/* Writes what sql_trace_add left to be written. */
enum store_status sql_trace_save(struct sql_store *store, struct trace_slot *trace,
                                 struct store_error *error);

enum store_status sql_save_entities(struct sql_store *store, struct store_write *write,
                                    struct store_error *error);
enum store_status sql_delete_entity(struct sql_store *store, struct store_write *write,
                                    struct store_error *error);
enum store_status sql_set_members(struct sql_store *store, struct store_write *write,
                                  struct store_error *error);
enum store_status sql_sync_endpoints(struct sql_store *store, struct store_write *write,
                                     struct store_error *error);
enum store_status sql_record_turn(struct sql_store *store, struct store_write *write,
                                  struct store_error *error);
/* The turns of a trace, as store_trace_visitor has them. */
enum store_status sql_visit_turns(struct sql_connection *c, const struct store_scope *scope,
                                  const uint8_t trace_id[16],
                                  const struct store_trace_visitor *visitor,
                                  struct store_error *error);

/* Spans of these traces were stored: what was computed from them is to be computed again. */
enum store_status sql_note_stale(struct sql_connection *c, const int64_t *traces, size_t count,
                                 struct store_error *error);
enum store_status sql_enrich(struct sql_store *store, struct store_write *write,
                             struct store_error *error);
enum store_status sql_index_text(struct sql_store *store, struct store_write *write,
                                 struct store_error *error);

/* A connection for reading; give it back. NULL and *error when none can be opened. */
struct sql_connection *sql_reader_take(struct sql_store *store, struct store_error *error);
void sql_reader_return(struct sql_store *store, struct sql_connection *c);

enum store_status sql_find_token(struct store *store, const uint8_t key_sha256[32],
                                 struct store_token *out, struct store_error *error);
enum store_status sql_list_projects(struct store *store, const struct store_scope *scope,
                                    store_project_fn visit, void *user, struct store_error *error);
enum store_status sql_read_run(struct store *store, const struct store_scope *scope,
                               const struct uuid *run_id, struct store_run *out,
                               store_run_row_fn visit, void *user, struct store_error *error);
enum store_status sql_read_attempts(struct store *store, const struct store_scope *scope,
                                    const struct uuid *run_id, store_attempt_fn visit, void *user,
                                    struct store_error *error);
enum store_status sql_unfinished_runs(struct store *store, struct slice backend, store_run_fn visit,
                                      void *user, struct store_error *error);
enum store_status sql_untold_runs(struct store *store, struct slice backend, size_t limit,
                                  store_untold_fn visit, void *user, struct store_error *error);
enum store_status sql_answered_invocations(struct store *store, size_t limit,
                                           store_invocation_fn visit, void *user,
                                           struct store_error *error);
enum store_status sql_read_timeline(struct store *store, const struct store_scope *scope,
                                    const struct uuid *run_id, store_event_fn visit, void *user,
                                    struct store_error *error);
enum store_status sql_read_run_spans(struct store *store, const struct store_scope *scope,
                                     const struct uuid *run_id, store_span_row_fn visit, void *user,
                                     struct store_error *error);
enum store_status sql_read_ledger(struct store *store, const struct store_scope *scope,
                                  struct store_ledger *out, struct store_error *error);
enum store_status sql_waiting_keys(struct store *store, size_t limit, store_key_fn visit,
                                   void *user, struct store_error *error);

enum store_status sql_list_entities(struct store *store, const struct store_scope *scope,
                                    const struct store_entity_query *query, uint64_t *out_total,
                                    store_entity_fn visit, void *user, struct store_error *error);
enum store_status sql_list_traces(struct store *store, const struct store_scope *scope,
                                  const struct store_trace_filter *filter, uint64_t *out_total,
                                  store_trace_row_fn visit, void *user, struct store_error *error);
enum store_status sql_read_trace(struct store *store, const struct store_scope *scope,
                                 const uint8_t trace_id[16],
                                 const struct store_trace_visitor *visitor,
                                 struct store_error *error);
enum store_status sql_find_conversation(struct store *store, const struct store_scope *scope,
                                        struct slice conversation_id, uint8_t out_trace_id[16],
                                        struct store_error *error);
enum store_status sql_read_metrics(struct store *store, const struct store_scope *scope,
                                   const struct store_trace_filter *filter,
                                   struct store_metrics *out, store_metric_fn visit, void *user,
                                   struct store_error *error);
enum store_status sql_explain_link(struct store *store, const struct store_scope *scope,
                                   const uint8_t trace_id[16], store_link_group_fn visit,
                                   void *user, struct store_error *error);
enum store_status sql_stale_traces(struct store *store, size_t limit, store_stale_fn visit,
                                   void *user, struct store_error *error);

#endif
