/* What became of each invocation, by id: so that none is executed twice, each has one result, and a
 * result is kept until the peer has it.
 *
 *   waiting -> running -> ready -> written -> settled -> (forgotten, oldest first)
 *      \___________________/  \________________/ a peer that does not acknowledge
 *
 * It keeps records and counts; the session decides. Not thread-safe, no clock. */
#ifndef MARLINE_CONNECTOR_LEDGER_H
#define MARLINE_CONNECTOR_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "wire/connector_message.h"
#include "wire/trace_context.h"

enum {
    LEDGER_UNSETTLED_MAX = 20000,              /* beyond: new invocations are not taken */
    LEDGER_UNSETTLED_BYTES = 64 * 1024 * 1024, /* of results; beyond: outputs are not kept */
    LEDGER_SETTLED_MAX = 10000,                /* ids remembered, to recognise repeats */
    LEDGER_SETTLED_BYTES = 2 * 1024 * 1024,    /* of results kept to answer repeats */
};

enum ledger_state {
    LEDGER_WAITING, /* accepted, no worker free yet */
    LEDGER_RUNNING, /* handed out */
    LEDGER_READY,   /* result made, not written */
    LEDGER_WRITTEN, /* awaits its acknowledgement */
    LEDGER_SETTLED,
    LEDGER_STATES,
};

/* A request as handed to a worker. The message borrows from the two buffers. */
struct session_job {
    char *text;
    struct buffer scratch;
    bool is_metric;
    /* Of a metric: its id, name and inputs, under the names that a test has for them. */
    struct message_execute_test test;
    uint64_t endpoint;        /* as the host named it */
    struct trace_ids failure; /* of a dead letter that is tried again; trace id 0 = none */
};

/* Copies the text and decodes it again; NULL when out of memory. */
struct session_job *marline__session_job_create(struct slice text);
/* NULL is allowed. */
void marline__session_job_free(struct session_job *job);

struct ledger_record {
    struct list node; /* in the list of its state, in order of entry */
    struct list busy; /* in the list of records whose handler has not returned */
    struct list kept; /* settled, with its result still there */
    struct ledger_record *chain;
    enum ledger_state state;
    bool is_metric;
    char *id_text;           /* owned */
    struct slice id;         /* of id_text */
    struct session_job *job; /* owned while waiting */
    uint64_t endpoint;
    uint64_t started_ns;  /* accepted, then handed out */
    uint64_t deadline_ns; /* TIME_NEVER = none */
    uint32_t deadline_ms; /* how long that was, for the error text */
    uint32_t timeout_ms;  /* of the endpoint, 0 = none */
    uint32_t concurrency; /* of the endpoint, 0 = no limit of its own */
    char *result;         /* plain protocol text, owned; NULL = forgotten, or not there yet */
    size_t result_size;
    struct trace_ids span; /* of the execution, to be recorded again if it is lost; 0 = none */
    uint64_t start_unix_ns;
    uint32_t span_count; /* goes with the result where the peer knows the extension */
    uint64_t written_ns;
    uint32_t silences;        /* acknowledgements that did not come in time */
    uint64_t journal;         /* the host's name for it, 0 = none */
    const char *cancel;       /* a cancellation is due, for this reason; fixed text */
    bool cancel_late;         /* its result is made already */
    struct trace_ids failure; /* the span of its failure, when it is tried again; 0 = none */
};

enum { LEDGER_BUCKETS = 4096 };

struct ledger {
    struct list states[LEDGER_STATES];
    uint32_t counts[LEDGER_STATES];
    struct list busy;
    struct list kept;
    uint32_t busy_count;
    size_t unsettled_bytes;
    size_t settled_bytes;
    struct ledger_record *buckets[LEDGER_BUCKETS];
};

void marline__ledger_init(struct ledger *l);
void marline__ledger_deinit(struct ledger *l);

struct ledger_record *marline__ledger_find(const struct ledger *l, struct slice id, bool is_metric);
/* Adds a record in state `waiting`. NULL: out of memory, or LEDGER_UNSETTLED_MAX reached. */
struct ledger_record *marline__ledger_add(struct ledger *l, struct slice id, bool is_metric);
uint32_t marline__ledger_unsettled(const struct ledger *l);
/* Moves a record to the end of another state's list. Settling may forget older records. */
void marline__ledger_move(struct ledger *l, struct ledger_record *r, enum ledger_state state);
/* Takes the result, also on failure; false when LEDGER_UNSETTLED_BYTES are used up. */
bool marline__ledger_set_result(struct ledger *l, struct ledger_record *r, char *result,
                                size_t size);
void marline__ledger_set_busy(struct ledger *l, struct ledger_record *r, bool busy);
void marline__ledger_drop(struct ledger *l, struct ledger_record *r);
/* The first of a state's list, NULL when empty. */
struct ledger_record *marline__ledger_first(const struct ledger *l, enum ledger_state state);

#endif
