/* The session's journal on disk (SQLite, WAL): which invocations were accepted, which results are
 * made and not yet with the backend, which ids are done. It survives kill -9; with `durable` a
 * power cut too. What it is told takes effect with the next commit, so that one commit carries
 * many.
 *
 * One process at a time owns a file (a lock file beside it); others may read and prune its dead
 * letters, and ask for their retry. Used by one thread; see outbox_keeper.h for its helper. */
#ifndef MARLINE_CONNECTOR_OUTBOX_H
#define MARLINE_CONNECTOR_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"
#include "wire/trace_context.h"
#include <marline/status.h>

enum {
    OUTBOX_SETTLED_MAX = 10000,      /* ids remembered over a restart */
    OUTBOX_DEAD_LETTERS_MAX = 10000, /* the oldest go first */
    /* A span that ended so shortly before the last sign of life may have died in the exporter's
     * queue: an interval of 5 s, an export with its retries, and as much again. */
    OUTBOX_SPAN_DOUBT_MS = 30000,
};

enum outbox_state { OUTBOX_ACCEPTED = 1, OUTBOX_STORED = 2, OUTBOX_SETTLED = 3 };

struct outbox_record {
    uint64_t row; /* its name here; 0 = not written yet */
    struct slice id;
    bool is_metric;
    enum outbox_state state;
    uint64_t accepted_unix_ns;
    struct slice request; /* of accepted ones, and as long as their span is in doubt */
    struct slice result;  /* of the others */
    uint32_t span_count;
    struct trace_ids span; /* the execution's, if it may be lost; trace id 0 = none, or it is not */
    uint64_t span_start_unix_ns;
    uint64_t stored_unix_ns;
};

/* A dead letter; request or result may be empty. */
struct outbox_letter {
    struct slice id;
    struct slice request;
    struct slice result;
    const char *reason;
    const char *traceparent; /* of the failure's span, may be "" */
    uint64_t at_unix_ns;
};

struct outbox_options {
    const char *path;
    const char *scope; /* whose records: project, environment and backend; others are left alone */
    bool durable;      /* flush to the disk at each commit */
    /* May be NULL. Another process may have asked for the retry of a dead letter; on a thread of
     * the outbox's own. */
    void (*on_asked)(void *user);
    void *user;
};

struct outbox;

/* MARLINE_ESTATE: another process has it. MARLINE_EIO: cannot be opened, or is no outbox. */
marline_status marline__outbox_open(const struct outbox_options *options, struct outbox **out,
                                    marline_error *error);
/* Commits. NULL is allowed. */
void marline__outbox_close(struct outbox *o);
/* The identity of the agent, made at the first opening of the file. Borrowed. */
const char *marline__outbox_agent_id(const struct outbox *o);

typedef bool (*outbox_visit_fn)(void *user, const struct outbox_record *record);
/* All records of the scope in the order they were accepted; ends early when visit returns false. */
marline_status marline__outbox_load(struct outbox *o, outbox_visit_fn visit, void *user);

/* The ids are the caller's to keep apart: it knows them all. A failure (disk full) is logged and
 * counted, and gives the row 0: the record is then only in memory. */
uint64_t marline__outbox_accepted(struct outbox *o, struct slice id, bool is_metric,
                                  struct slice request, uint64_t now_unix_ns);
/* Of an accepted record (its row), or of one that was refused (row 0). Returns the row. */
uint64_t marline__outbox_stored(struct outbox *o, const struct outbox_record *record);
/* Not urgent: may be lost in a crash, then the result is sent once more. */
void marline__outbox_settled(struct outbox *o, uint64_t row);
/* The spans of all that is settled have been delivered. */
void marline__outbox_forget_spans(struct outbox *o);
/* Keeps an invocation that was not executed, or a result that cannot be delivered. */
void marline__outbox_bury(struct outbox *o, const struct outbox_letter *letter);
void marline__outbox_unbury(struct outbox *o, int64_t number);

/* A dead letter whose retry was asked for. The buffers are the caller's. */
struct outbox_asked {
    int64_t number;
    struct buffer request; /* empty: it was executed, and its result could not be delivered */
    struct buffer result;
    char traceparent[TRACEPARENT_SIZE];
};

/* The first of this scope with a higher number than `after`; false: there is none. */
bool marline__outbox_next_asked(struct outbox *o, int64_t after, struct outbox_asked *out);
/* It stays a dead letter, for this reason. */
void marline__outbox_refuse_retry(struct outbox *o, int64_t number, const char *reason);

/* True: something waits for a commit. `urgent`: something that must not be lost. */
bool marline__outbox_is_pending(const struct outbox *o, bool *out_urgent);
marline_status marline__outbox_commit(struct outbox *o);
uint64_t marline__outbox_failures(const struct outbox *o);

#endif
