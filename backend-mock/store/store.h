/* What the backend keeps, behind one table of functions, so that SQLite, PostgreSQL and the failing
 * store of the tests are used alike. SQL lives behind this header, protocol and threads before it.
 *
 * Writes are values. `store_write_all` carries out a batch of them in ONE transaction, each under a
 * savepoint of its own: a write that fails leaves nothing behind and does not spoil its neighbours.
 * When the call returns STORE_OK the batch is committed and durable; otherwise nothing of it is
 * stored, and it may be tried again as a whole: repeating any write is safe.
 *
 * Linking rule (design C of the linking notes): STORE_LINK is a write of its own, issued only after
 * the call that stored the result or the spans has returned. Both sides do this, so whichever
 * commits second sees the other.
 *
 * Threads: writes from one thread at a time (commit_queue.h provides the thread); reads from any
 * thread, beside a write; a read sees every write that was acknowledged before it began. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"
#include "core/link_key.h"
#include "core/outcome.h"
#include "store/entity.h"
#include "store/explanation.h"
#include "store/ledger.h"
#include "store/turn.h"

enum store_status {
    STORE_OK,
    STORE_NOT_FOUND, /* what the write or query names is not there (or not in the scope) */
    STORE_CONFLICT,  /* the id is taken by something else */
    STORE_INVALID,   /* out of range for every store: never succeeds */
    STORE_BUSY,      /* locked by another process, connection lost, queue full: try again later */
    STORE_FULL,      /* no space on the device */
    STORE_BROKEN,    /* no database, corrupt, of a newer schema, not readable: needs a human */
};

enum { STORE_ERROR_TEXT_SIZE = 256 };

/* `text`: one sentence with the cause and, where there is one, the fix. */
struct store_error {
    enum store_status status;
    char text[STORE_ERROR_TEXT_SIZE];
};

/* Stable lower-case word for logs and metrics. */
const char *store_status_name(enum store_status status);

/* ---- values ---- */

/* Numbers as in opentelemetry-proto. */
struct store_span {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_span_id[8];
    bool has_parent;
    uint8_t kind;   /* 1 INTERNAL … 5 CONSUMER */
    uint8_t status; /* 0 UNSET, 1 OK, 2 ERROR */
    uint64_t start_unix_ns;
    uint64_t end_unix_ns;
    struct slice name;
    struct slice environment;
    struct slice conversation_id; /* NULL data = none; so for the next */
    struct slice status_message;
    struct slice attributes; /* JSON object; events and links JSON arrays, resource an object */
    struct slice events;
    struct slice links;
    struct slice resource;
    const uint8_t (*linked_traces)[16]; /* the trace ids in `links`, so that links are found from */
    size_t linked_trace_count;          /* both ends; NULL, 0 = none */
    bool has_key;
    struct link_key key; /* its organization is that of the write */
    /* out */
    bool duplicate; /* this trace and span id was there already, nothing was changed */
    bool inherited; /* has_key and key were filled in: the context of its trace */
};

/* ---- writes ---- */

enum store_write_type {
    STORE_CREATE_PROJECT,
    STORE_CREATE_TOKEN,
    STORE_CREATE_RUN,
    STORE_SET_RUN_STATUS,
    STORE_SET_RUN_NOTICE,
    STORE_RECORD_INVOKED,
    STORE_RECORD_RECEIVED,
    STORE_INSERT_RESULT,
    STORE_INSERT_SPANS,
    STORE_RECORD_REJECTED,
    STORE_LINK,
    STORE_RECORD_ATTEMPT,
    STORE_ENRICH,
    STORE_INDEX_TEXT,
    STORE_SAVE_ENTITIES,
    STORE_DELETE_ENTITY,
    STORE_SET_MEMBERS,
    STORE_SYNC_ENDPOINTS,
    STORE_RECORD_TURN,
};

/* The organization is created with its first project. The same id again: nothing happens. */
struct store_create_project {
    struct uuid organization_id;
    struct uuid project_id;
    struct slice name;
};

/* Only the hash of a key is ever stored. */
struct store_create_token {
    struct uuid organization_id;
    struct uuid user_id;
    struct uuid project_id; /* nil = not bound to a project */
    uint8_t key_sha256[32];
    struct slice name;
};

/* One test of a run. The test and its configuration are created with the run. */
struct store_run_test {
    struct uuid test_id;
    struct uuid configuration_id;
    struct slice function_name;
    struct slice inputs; /* JSON object */
    uint32_t timeout_ms;
    uint32_t retries;      /* attempts after the first */
    struct slice name;     /* for people; NULL data = none, so for the next */
    struct slice criteria; /* JSON object: what its answer must be, for core/criteria.h */
};

struct store_create_run {
    struct uuid organization_id;
    struct uuid project_id; /* STORE_NOT_FOUND when it is not one of the organization */
    struct uuid run_id;
    struct slice environment;
    uint32_t concurrency;
    const struct store_run_test *tests; /* in the order that reads give them back */
    size_t test_count;
    struct uuid configuration_id; /* nil = none */
    struct slice name;            /* NULL data = none */
    struct slice attributes;      /* JSON object; NULL data = none */
    struct slice webhook;         /* URL to be told of the end; NULL data = none */
    struct slice backend;         /* the name of the one that runs it; NULL data = "" */
};

struct store_set_run_status {
    struct uuid organization_id;
    struct uuid run_id;
    enum run_status status;
};

/* What became of the notice that the run has ended. */
struct store_set_run_notice {
    struct uuid organization_id;
    struct uuid run_id;
    struct slice notice; /* JSON object */
};

/* An attempt was dispatched: timeline event, and the start of the attempt's window (it tells whose
 * a span without attempt number is). Store it before the invocation is sent. */
struct store_record_invoked {
    struct link_key key;
    struct slice invocation_id;
    struct slice agent_id; /* who it goes to; NULL data = the agent did not say */
};

/* The agent's answer arrived: timeline event only. */
struct store_record_received {
    struct link_key key;
    enum result_status status;
};

/* The first result of a key is canonical, its id derived from the key; later ones get spare_id,
 * duplicate_of, and take no links. Run, test and configuration need not be known here. */
struct store_insert_result {
    struct uuid project_id; /* nil = without project */
    struct link_key key;    /* attempt >= 1 */
    enum result_status status;
    struct slice function_name;
    struct slice output;  /* JSON; empty = null */
    struct slice error;   /* NULL data = none */
    struct slice metrics; /* JSON object, as the platform's test_metrics; empty = none */
    double duration_ms;
    struct slice trace_id; /* as reported, a hint only; NULL data = none */
    uint32_t span_count;   /* declared by the agent; 0 = not told */
    struct uuid spare_id;  /* random: the id if the key has its canonical result already */
    /* out */
    struct uuid result_id;
    bool is_duplicate;
    struct uuid duplicate_of;
};

/* One POST. Unique by (organization, trace, span): a repeat changes nothing and is counted. A span
 * without context inherits that of its trace while all others of the trace agree on one. */
struct store_insert_spans {
    struct uuid organization_id;
    struct uuid project_id; /* nil = without project */
    struct slice post_id;   /* of the request; shown in the timeline */
    struct store_span *spans;
    size_t count;
    /* out */
    size_t stored;
    size_t duplicates;
};

/* A POST that was refused whole: counts in the ledger. */
struct store_record_rejected {
    struct uuid organization_id;
    struct slice post_id;
    size_t spans;
};

/* One linking attempt: one idempotent UPDATE by key of spans that wait, and a record of it. The
 * key may be one of spans (attempt 0): every attempt of its test is then looked at. */
struct store_link {
    struct link_key key;
    enum link_point point;
    /* out */
    bool result_found;
    size_t spans_found; /* of the key, that were waiting */
    size_t linked;
};

/* A linking attempt that failed before it could record itself. */
struct store_record_attempt {
    struct link_key key;
    enum link_point point;
    struct slice error;
};

/* Keeps what was computed from all spans of a trace. It is current as long as no span has been
 * added, which is told by the number of spans it was computed from. */
struct store_enrich {
    struct uuid organization_id;
    uint8_t trace_id[16];
    uint64_t
        revision; /* as store_stale_traces told it, before the spans were read; 0 = not asked */
    size_t spans;
    struct slice data; /* JSON object */
    double cost_usd;
    double cost_eur;
};

/* Adds spans that came since the last time, oldest first, to the full-text index. It is a write of
 * its own so that it stays off the path on which spans are acknowledged. */
struct store_index_text {
    size_t limit;
    /* out */
    size_t indexed; /* less than limit: the index is up to date */
};

struct store_write {
    enum store_write_type type;
    uint64_t at_unix_ns; /* wall clock, recorded with the row; 0: the commit queue's own reading */
    struct store_error outcome;
    union {
        struct store_create_project create_project;
        struct store_create_token create_token;
        struct store_create_run create_run;
        struct store_set_run_status set_run_status;
        struct store_set_run_notice set_run_notice;
        struct store_record_invoked record_invoked;
        struct store_record_received record_received;
        struct store_insert_result insert_result;
        struct store_insert_spans insert_spans;
        struct store_record_rejected record_rejected;
        struct store_link link;
        struct store_record_attempt record_attempt;
        struct store_enrich enrich;
        struct store_index_text index_text;
        struct store_save_entities save_entities;
        struct store_delete_entity delete_entity;
        struct store_set_members set_members;
        struct store_sync_endpoints sync_endpoints;
        struct store_record_turn record_turn;
    };
};

/* ---- reads ---- */

/* What a caller may see. Every read takes one; rows outside are as if absent. */
struct store_scope {
    struct uuid organization_id;
    struct uuid project_id;    /* nil = all projects of the organization */
    bool only_without_project; /* with a nil project_id: rows that have none (§8.1) */
};

struct store_token {
    struct uuid organization_id;
    struct uuid user_id;
    struct uuid project_id; /* nil = not bound */
};

struct store_project {
    struct uuid organization_id;
    struct uuid project_id;
    struct slice name;
};

struct store_run {
    struct uuid organization_id;
    struct uuid project_id;
    struct uuid run_id;
    struct slice environment;
    enum run_status status;
    uint32_t concurrency;
    size_t test_count;
    uint64_t created_unix_ns;
    uint64_t started_unix_ns; /* 0 = not yet; so for the next */
    uint64_t finished_unix_ns;
    struct slice name;    /* valid during the visits; NULL data = none, so for the next two */
    struct slice webhook; /* URL */
    struct slice notice;  /* JSON: what became of the notice to the webhook */
};

/* A run that has ended, with a webhook and without a notice. Valid during the visit. */
struct store_untold_run {
    struct uuid organization_id;
    struct uuid run_id;
    struct slice webhook;
};

/* A test of a run with its canonical result of the latest attempt, if there is one. */
struct store_run_row {
    struct store_run_test test;
    bool has_result;
    struct uuid result_id;
    enum result_status status;
    struct slice output; /* JSON */
    struct slice error;
    double duration_ms;
    struct slice trace_id;
    struct slice metrics; /* JSON; NULL data = none */
    uint32_t attempt;
    uint32_t span_count; /* declared; 0 = not told */
    size_t spans;        /* stored with the context of this test, all attempts */
    size_t linked;
    size_t own_spans; /* linked to this result and not inherited: compare with span_count */
};

/* One attempt of a test that was dispatched, or has a result. */
struct store_attempt_row {
    size_t test; /* its position in the run */
    uint32_t attempt;
    struct slice invocation_id; /* NULL data = not dispatched from here */
    struct slice agent_id;
    bool has_result;
    struct uuid result_id; /* the canonical one; so for the rest */
    enum result_status status;
    struct slice error;
    double duration_ms;
    struct slice trace_id;
};

enum store_event_type {
    EVENT_RUN_STARTED,
    EVENT_INVOKED,
    EVENT_RESULT_RECEIVED,
    EVENT_RESULT_STORED,
    EVENT_SPANS_STORED,
    EVENT_LINK_ATTEMPT,
    EVENT_RUN_FINISHED,
};
const char *store_event_type_name(enum store_event_type type);

struct store_event {
    enum store_event_type type;
    uint64_t at_unix_ns;
    bool has_test; /* false for the two events of the run */
    struct uuid test_id;
    uint32_t attempt;
    struct slice invocation_id; /* INVOKED */
    enum result_status status;  /* RESULT_RECEIVED, RESULT_STORED */
    struct uuid result_id;      /* RESULT_STORED */
    bool is_duplicate;          /* RESULT_STORED */
    size_t spans;               /* SPANS_STORED: of this test in this POST */
    struct slice post_id;       /* SPANS_STORED */
    size_t post_spans;          /* SPANS_STORED: stored by the whole POST */
    enum link_point point;      /* LINK_ATTEMPT; so for the rest */
    bool result_found;
    size_t spans_found;
    size_t linked;
    struct slice error; /* NULL data = none */
};

struct store_span_row {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_span_id[8];
    bool has_parent;
    struct slice name;
    struct uuid test_id;
    struct uuid configuration_id;
    bool has_result;
    struct uuid result_id;
    enum link_point link_source; /* when it has a result */
    uint64_t stored_unix_ns;
    struct slice post_id;
    bool inherited; /* its context is that of its trace */
};

/* ---- traces ---- */

enum trace_source { TRACE_SOURCE_ALL, TRACE_SOURCE_TEST, TRACE_SOURCE_OPERATION };
enum trace_turns { TRACE_TURNS_ALL, TRACE_TURNS_SINGLE, TRACE_TURNS_MULTI };

/* Parameters of the list (wire-protocol §8.2). All zero with a limit asks for everything. The
 * conditions hold for one span, of which a trace shows the newest; only then comes the page. */
struct store_trace_filter {
    struct slice environment;     /* exact; NULL data = any, so for all texts */
    struct slice conversation_id; /* of the span, or of a turn of its trace */
    struct slice span_name;       /* not looked at when there is a search */
    struct slice search;          /* substring, any case, in any span of the trace */
    struct slice text;            /* words, in the full-text index, in any span of the trace */
    bool has_status;
    uint8_t status;
    uint64_t start_after_unix_ns;  /* inclusive; 0 = any */
    uint64_t start_before_unix_ns; /* inclusive; 0 = any */
    bool has_duration_min;
    bool has_duration_max;
    uint64_t duration_min_ns; /* inclusive, both */
    uint64_t duration_max_ns;
    struct uuid run_id; /* nil = any, so for the next two */
    struct uuid result_id;
    struct uuid test_id;
    enum trace_source source;
    enum trace_turns turns;
    bool all_spans; /* a row per span instead of one per trace; false is the protocol's default */
    uint32_t limit;
    uint32_t offset;
};

struct store_trace_row {
    uint8_t trace_id[16];
    struct uuid project_id;
    struct slice environment;
    struct slice conversation_id;
    uint64_t start_unix_ns; /* of the root, as the next five */
    uint64_t duration_ns;
    struct slice name;
    uint8_t status;
    struct slice attributes; /* JSON object */
    struct uuid run_id;      /* nil = none, so for the next two */
    struct uuid test_id;
    struct uuid result_id;
    size_t span_count; /* of the trace, within the scope */
    double cost_usd;   /* from the enrichment; 0 = none yet */
    double cost_eur;
};

/* One span in full. */
struct store_span_detail {
    struct uuid row_id;
    uint8_t span_id[8];
    uint8_t parent_span_id[8];
    bool has_parent;
    uint8_t kind;
    uint8_t status;
    uint64_t start_unix_ns;
    uint64_t end_unix_ns;
    struct uuid project_id;
    struct slice name;
    struct slice environment;
    struct slice conversation_id;
    struct slice status_message;
    struct slice attributes; /* JSON, as sent; never empty */
    struct slice events;
    struct slice links;
    struct slice resource;
    bool has_key;
    bool inherited;
    struct link_key key;
    bool has_result;
    struct uuid result_id;
    enum link_point link_source;
    uint32_t declared_span_count; /* of that result; 0 = not told */
};

/* The UUID that a stored row shows to the outside. */
struct uuid store_row_id(uint64_t ref);

/* A span of another trace with a link to this one. */
struct store_back_link {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    struct slice name;
    struct slice links; /* JSON array: says which span of this trace it means */
};

struct store_trace_head {
    size_t span_count;         /* within the scope */
    struct slice enriched;     /* JSON object, when it is current; else NULL */
    uint64_t enriched_unix_ns; /* when that was stored; 0 without it */
    double cost_usd;
    double cost_eur;
};

/* Per span, in no order: for percentiles and the breakdown. */
struct store_metric_row {
    uint64_t duration_ns;
    uint8_t status;
    struct slice attributes;
};

struct store_metrics {
    uint64_t traces;
    uint64_t spans;
    double cost_usd; /* each trace once */
};

/* Called once per row, in order. The row and its slices are valid during the call only; it must
 * not call the store. */
typedef void (*store_project_fn)(void *user, const struct store_project *row);
typedef void (*store_entity_fn)(void *user, const struct store_entity_row *row);
typedef void (*store_run_row_fn)(void *user, const struct store_run_row *row);
typedef void (*store_run_fn)(void *user, const struct store_run *run);
typedef void (*store_untold_fn)(void *user, const struct store_untold_run *run);
typedef void (*store_invocation_fn)(void *user, struct slice invocation_id);
typedef void (*store_attempt_fn)(void *user, const struct store_attempt_row *row);
typedef void (*store_event_fn)(void *user, const struct store_event *row);
typedef void (*store_span_row_fn)(void *user, const struct store_span_row *row);
typedef void (*store_key_fn)(void *user, const struct link_key *key, uint64_t span);
typedef void (*store_trace_row_fn)(void *user, const struct store_trace_row *row);
typedef void (*store_span_detail_fn)(void *user, const struct store_span_detail *row);
typedef void (*store_back_link_fn)(void *user, const struct store_back_link *row);
typedef void (*store_metric_fn)(void *user, const struct store_metric_row *row);
typedef void (*store_link_group_fn)(void *user, const struct store_link_group *row);
/* `revision` is to be given back with the enrichment. */
typedef void (*store_stale_fn)(void *user, const struct uuid *organization_id,
                               const uint8_t trace_id[16], uint64_t revision);

/* Any of them may be NULL. */
struct store_trace_visitor {
    void (*head)(void *user, const struct store_trace_head *head); /* first */
    store_span_detail_fn span;                                     /* by start */
    store_back_link_fn linked_from;
    store_turn_fn turn; /* last */
    void *user;
};

struct store;

/* One implementation. Every function fills *error when it does not return STORE_OK. */
struct store_ops {
    void (*close)(struct store *store);
    enum store_status (*write_all)(struct store *store, struct store_write *const *writes,
                                   size_t count, struct store_error *error);
    enum store_status (*find_token)(struct store *store, const uint8_t key_sha256[32],
                                    struct store_token *out, struct store_error *error);
    enum store_status (*list_projects)(struct store *store, const struct store_scope *scope,
                                       store_project_fn visit, void *user,
                                       struct store_error *error);
    enum store_status (*list_entities)(struct store *store, const struct store_scope *scope,
                                       const struct store_entity_query *query, uint64_t *out_total,
                                       store_entity_fn visit, void *user,
                                       struct store_error *error);
    enum store_status (*read_run)(struct store *store, const struct store_scope *scope,
                                  const struct uuid *run_id, struct store_run *out,
                                  store_run_row_fn visit, void *user, struct store_error *error);
    enum store_status (*read_attempts)(struct store *store, const struct store_scope *scope,
                                       const struct uuid *run_id, store_attempt_fn visit,
                                       void *user, struct store_error *error);
    enum store_status (*unfinished_runs)(struct store *store, struct slice backend,
                                         store_run_fn visit, void *user, struct store_error *error);
    enum store_status (*untold_runs)(struct store *store, struct slice backend, size_t limit,
                                     store_untold_fn visit, void *user, struct store_error *error);
    enum store_status (*answered_invocations)(struct store *store, size_t limit,
                                              store_invocation_fn visit, void *user,
                                              struct store_error *error);
    enum store_status (*read_timeline)(struct store *store, const struct store_scope *scope,
                                       const struct uuid *run_id, store_event_fn visit, void *user,
                                       struct store_error *error);
    enum store_status (*read_run_spans)(struct store *store, const struct store_scope *scope,
                                        const struct uuid *run_id, store_span_row_fn visit,
                                        void *user, struct store_error *error);
    enum store_status (*read_ledger)(struct store *store, const struct store_scope *scope,
                                     struct store_ledger *out, struct store_error *error);
    enum store_status (*waiting_keys)(struct store *store, size_t limit, store_key_fn visit,
                                      void *user, struct store_error *error);
    enum store_status (*list_traces)(struct store *store, const struct store_scope *scope,
                                     const struct store_trace_filter *filter, uint64_t *out_total,
                                     store_trace_row_fn visit, void *user,
                                     struct store_error *error);
    enum store_status (*read_trace)(struct store *store, const struct store_scope *scope,
                                    const uint8_t trace_id[16],
                                    const struct store_trace_visitor *visitor,
                                    struct store_error *error);
    enum store_status (*find_conversation)(struct store *store, const struct store_scope *scope,
                                           struct slice conversation_id, uint8_t out_trace_id[16],
                                           struct store_error *error);
    enum store_status (*read_metrics)(struct store *store, const struct store_scope *scope,
                                      const struct store_trace_filter *filter,
                                      struct store_metrics *out, store_metric_fn visit, void *user,
                                      struct store_error *error);
    enum store_status (*explain_link)(struct store *store, const struct store_scope *scope,
                                      const uint8_t trace_id[16], store_link_group_fn visit,
                                      void *user, struct store_error *error);
    enum store_status (*stale_traces)(struct store *store, size_t limit, store_stale_fn visit,
                                      void *user, struct store_error *error);
};

/* The head of every implementation's own structure. */
struct store {
    const struct store_ops *ops;
};

/* ---- the calls ---- */

/* Opens what `location` names: "sqlite:PATH", "sqlite::memory:", "postgresql://…"; creates and
 * migrates it as needed. NULL and *error otherwise. */
struct store *store_open(const char *location, struct store_error *error);

/* Accepts NULL. No other call may be under way. */
static inline void store_close(struct store *store)
{
    if (store) {
        store->ops->close(store);
    }
}

/* STORE_OK: committed; see each write's outcome. Otherwise: nothing stored, and every outcome is
 * that error. Count 0 does nothing. */
static inline enum store_status store_write_all(struct store *store,
                                                struct store_write *const *writes, size_t count,
                                                struct store_error *error)
{
    return store->ops->write_all(store, writes, count, error);
}

/* One write in a transaction of its own; returns and fills its outcome. */
enum store_status store_write_one(struct store *store, struct store_write *write);

/* STORE_NOT_FOUND: no such key. The comparison takes constant time. */
static inline enum store_status store_find_token(struct store *store, const uint8_t key_sha256[32],
                                                 struct store_token *out, struct store_error *error)
{
    return store->ops->find_token(store, key_sha256, out, error);
}

static inline enum store_status store_list_projects(struct store *store,
                                                    const struct store_scope *scope,
                                                    store_project_fn visit, void *user,
                                                    struct store_error *error)
{
    return store->ops->list_projects(store, scope, visit, user, error);
}

/* One page; *out_total (may be NULL) counts all matches. An id that is not there: no visit. */
static inline enum store_status store_list_entities(struct store *store,
                                                    const struct store_scope *scope,
                                                    const struct store_entity_query *query,
                                                    uint64_t *out_total, store_entity_fn visit,
                                                    void *user, struct store_error *error)
{
    return store->ops->list_entities(store, scope, query, out_total, visit, user, error);
}

/* `out` is complete before the first visit; its slices are valid during the visits only. */
static inline enum store_status store_read_run(struct store *store, const struct store_scope *scope,
                                               const struct uuid *run_id, struct store_run *out,
                                               store_run_row_fn visit, void *user,
                                               struct store_error *error)
{
    return store->ops->read_run(store, scope, run_id, out, visit, user, error);
}

/* By test, then by attempt; STORE_NOT_FOUND when there is no such run. */
static inline enum store_status
store_read_attempts(struct store *store, const struct store_scope *scope, const struct uuid *run_id,
                    store_attempt_fn visit, void *user, struct store_error *error)
{
    return store->ops->read_attempts(store, scope, run_id, visit, user, error);
}

/* What a backend of this name that starts takes up again: its runs, of all organizations, that have
 * tests and are neither completed nor cancelled, oldest first. */
static inline enum store_status store_unfinished_runs(struct store *store, struct slice backend,
                                                      store_run_fn visit, void *user,
                                                      struct store_error *error)
{
    return store->ops->unfinished_runs(store, backend, visit, user, error);
}

/* Runs of this backend, of all organizations, of whose end a webhook is to be told: the first
 * `limit`, oldest first. */
static inline enum store_status store_untold_runs(struct store *store, struct slice backend,
                                                  size_t limit, store_untold_fn visit, void *user,
                                                  struct store_error *error)
{
    return store->ops->untold_runs(store, backend, limit, visit, user, error);
}

/* Invocations, of all organizations, whose result is stored: the latest `limit`, oldest first. */
static inline enum store_status store_answered_invocations(struct store *store, size_t limit,
                                                           store_invocation_fn visit, void *user,
                                                           struct store_error *error)
{
    return store->ops->answered_invocations(store, limit, visit, user, error);
}

/* In order of time; STORE_NOT_FOUND when there is no such run. */
static inline enum store_status store_read_timeline(struct store *store,
                                                    const struct store_scope *scope,
                                                    const struct uuid *run_id, store_event_fn visit,
                                                    void *user, struct store_error *error)
{
    return store->ops->read_timeline(store, scope, run_id, visit, user, error);
}

/* In order of storing; STORE_NOT_FOUND when there is no such run. */
static inline enum store_status store_read_run_spans(struct store *store,
                                                     const struct store_scope *scope,
                                                     const struct uuid *run_id,
                                                     store_span_row_fn visit, void *user,
                                                     struct store_error *error)
{
    return store->ops->read_run_spans(store, scope, run_id, visit, user, error);
}

/* Organization-wide; the project of the scope is not looked at. */
static inline enum store_status store_read_ledger(struct store *store,
                                                  const struct store_scope *scope,
                                                  struct store_ledger *out,
                                                  struct store_error *error)
{
    return store->ops->read_ledger(store, scope, out, error);
}

/* For the sweeper: keys, of all organizations, of which spans wait although a result is stored. At
 * most `limit`, oldest first. */
static inline enum store_status store_waiting_keys(struct store *store, size_t limit,
                                                   store_key_fn visit, void *user,
                                                   struct store_error *error)
{
    return store->ops->waiting_keys(store, limit, visit, user, error);
}

/* One page, newest first; *out_total counts all matches, also those before and after the page.
 * STORE_INVALID when `text` cannot be understood. */
static inline enum store_status store_list_traces(struct store *store,
                                                  const struct store_scope *scope,
                                                  const struct store_trace_filter *filter,
                                                  uint64_t *out_total, store_trace_row_fn visit,
                                                  void *user, struct store_error *error)
{
    return store->ops->list_traces(store, scope, filter, out_total, visit, user, error);
}

/* All spans of a trace in the scope. STORE_NOT_FOUND when there is none. */
static inline enum store_status
store_read_trace(struct store *store, const struct store_scope *scope, const uint8_t trace_id[16],
                 const struct store_trace_visitor *visitor, struct store_error *error)
{
    return store->ops->read_trace(store, scope, trace_id, visitor, error);
}

/* The trace that a conversation's turns continue: that of the first of them that was stored.
 * STORE_NOT_FOUND when none was. */
static inline enum store_status store_find_conversation(struct store *store,
                                                        const struct store_scope *scope,
                                                        struct slice conversation_id,
                                                        uint8_t out_trace_id[16],
                                                        struct store_error *error)
{
    return store->ops->find_conversation(store, scope, conversation_id, out_trace_id, error);
}

/* Looks only at environment and the two start times of the filter. `out` is complete when the call
 * returns. */
static inline enum store_status store_read_metrics(struct store *store,
                                                   const struct store_scope *scope,
                                                   const struct store_trace_filter *filter,
                                                   struct store_metrics *out, store_metric_fn visit,
                                                   void *user, struct store_error *error)
{
    return store->ops->read_metrics(store, scope, filter, out, visit, user, error);
}

/* One row per context in the trace. STORE_NOT_FOUND when no span of it is in the scope. */
static inline enum store_status
store_explain_link(struct store *store, const struct store_scope *scope, const uint8_t trace_id[16],
                   store_link_group_fn visit, void *user, struct store_error *error)
{
    return store->ops->explain_link(store, scope, trace_id, visit, user, error);
}

/* Traces whose enrichment is missing or not current, of all organizations, oldest first. */
static inline enum store_status store_stale_traces(struct store *store, size_t limit,
                                                   store_stale_fn visit, void *user,
                                                   struct store_error *error)
{
    return store->ops->stale_traces(store, limit, visit, user, error);
}

#endif
