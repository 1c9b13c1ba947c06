/* The agent's side of the testing channel as a state machine: what comes in over the connection,
 * from workers and from the clock; what is to be done goes out as actions and texts. No socket, no
 * clock, no random source, no thread inside: `now` and random bits are arguments. Spec
 * wire-protocol §1.4 to §2.11; extensions: design.md, used only with a peer that announced them.
 *
 *   idle --start--> connecting --opened--> open --connected, or 0.5 s--> registering
 *   registering --registered--> registered;   --refused by the backend--> rejected --60 s-->
 * registering connecting --refused--> waiting | failed          (400, 401, 403 are final) any open
 * state --closed--> waiting | failed       (1008 from the peer is final) waiting --backoff over-->
 * connecting any --stop--> (drains in its state) --all delivered, or time over--> closing
 * --closed--> stopped
 *
 * `rejected` is an open connection whose registration the backend refused: it asks again.
 * The shell calls, after each input, marline__session_next_action until it returns false, and asks
 * marline__session_wants_write and marline__session_deadline. */
#ifndef MARLINE_CONNECTOR_SESSION_H
#define MARLINE_CONNECTOR_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"
#include "connector/backoff.h"
#include "connector/ledger.h"
#include "connector/pacer.h"
#include "wire/connector_message.h"
#include <marline/status.h>

enum {
    SESSION_CONNECTED_WAIT_MS = 500,    /* as the stock SDK waits before it registers */
    SESSION_REGISTERED_WAIT_MS = 30000, /* a backend that does not answer is left */
    SESSION_REJECTED_RETRY_MS = 60000,
    SESSION_STABLE_MS = 60000,         /* up for so long: the next backoff starts anew */
    SESSION_IDLE_DEFAULT_MS = 300000,  /* the platform closes after it (§1.6) */
    SESSION_RATE_DEFAULT = 50,         /* messages a second (§1.6) */
    SESSION_RESULT_GAP_MS = 25,        /* a peer without extensions drops results that meet */
    SESSION_MESSAGE_DEFAULT = 1048576, /* bytes of a message (§1.6) */
    SESSION_ACK_WAIT_MS = 30000,       /* then a result is sent again */
    SESSION_ACK_SILENCES = 4,          /* on an open connection; then the result is a dead letter */
    SESSION_DOUBT_MS = 2000,           /* what was written so shortly before a loss may be lost */
    SESSION_LAST_WORDS_MS = 2000,      /* to write cancelled results when the time of stop is up */
    SESSION_CLOSE_WAIT_MS = 3000,      /* for the peer's Close, when the agent stops */
    SESSION_PONGS_MAX = 16,
};

enum session_state {
    SESSION_IDLE,
    SESSION_WAITING,
    SESSION_CONNECTING,
    SESSION_OPEN,
    SESSION_REGISTERING,
    SESSION_REJECTED,
    SESSION_REGISTERED,
    SESSION_CLOSING,
    SESSION_FAILED,
    SESSION_STOPPED,
};

struct session_endpoint {
    uint64_t key;         /* the host's own */
    uint32_t timeout_ms;  /* 0 = none */
    uint32_t concurrency; /* calls at once, 0 = as many as the session allows */
};

struct session_trace {
    char trace_id[33]; /* "" = none */
    uint32_t span_count;
    bool returned; /* the handler did, and its result is about to come: no timeout any more */
    struct trace_ids span; /* of the invocation; trace id 0 = none */
    uint64_t start_unix_ns;
};

/* What the session asks its surroundings; each answers at once. All but the first three may be
 * NULL. */
struct session_host {
    bool (*find_endpoint)(void *user, struct slice name, struct session_endpoint *out);
    bool (*find_metric)(void *user, struct slice name, struct session_endpoint *out);
    /* Appends the JSON arrays `functions` and `metrics` of the registration. */
    void (*write_registration)(void *user, struct buffer *functions, struct buffer *metrics);
    /* What is known of the trace of a running invocation. */
    void (*describe)(void *user, const struct ledger_record *record, struct session_trace *out);
    /* The journal, for results that survive a restart. Calls come in the order of events; what they
     * are told must be durable before the next action or text is taken. */
    /* accepted and stored return what becomes the record's `journal`. */
    uint64_t (*accepted)(void *user, const struct ledger_record *record, struct slice request);
    uint64_t (*stored)(void *user, const struct ledger_record *record);
    void (*settled)(void *user, const struct ledger_record *record);
    /* An invocation that was refused, with its request; or a result that the backend cannot take.
     * Of a refusal, `out_trace` (all zero before) may be given the trace that tells of it. */
    void (*buried)(void *user, const struct ledger_record *record, struct slice request,
                   struct slice result, const char *reason, struct session_trace *out_trace);
    void *user;
};

struct session_options {
    struct slice project_id; /* all texts are copied */
    struct slice environment;
    struct slice agent_id; /* empty = none */
    struct slice sdk_version;
    uint32_t concurrency; /* handlers at once; above 0 */
    uint32_t queue_max;   /* invocations that may wait for a worker */
    uint64_t backoff_first_ns;
    uint64_t backoff_max_ns;
};

enum session_action_type {
    SESSION_CONNECT,
    SESSION_CLOSE,  /* code, text */
    SESSION_INVOKE, /* job: taken by the shell; it answers with marline__session_finished, once */
    SESSION_CANCEL, /* id, text: the work shall end; a result for it is wanted no more if `late` */
    SESSION_CHANGED /* state; status and text say why */
};

struct session_action {
    enum session_action_type type;
    enum session_state state;
    marline_status status;
    uint16_t code;
    bool late;
    bool is_metric;
    struct session_job *job;
    struct slice id;  /* this and text: valid until the next call of the session */
    const char *text; /* never NULL */
};

struct session_counters {
    uint64_t accepted; /* invocations taken, refused ones included */
    uint64_t refused;
    uint64_t invalid_messages; /* no JSON object, or malformed */
    uint64_t ignored_messages; /* of unknown type, or not for an agent */
    uint64_t peer_errors;      /* messages of type `error` */
    uint64_t repeats;          /* invocations that came again */
    uint64_t not_taken;        /* out of memory, or LEDGER_UNSETTLED_MAX */
    uint64_t late_results;     /* handlers that returned after their result was made */
    uint64_t results_written;
    uint64_t results_repeated; /* sent again: no acknowledgement came */
    uint64_t results_doubtful; /* written to a plain peer shortly before its connection broke */
    uint64_t results_given_up; /* nor after SESSION_ACK_SILENCES */
};

struct session;

/* Borrows the host. NULL when out of memory. */
struct session *marline__session_create(const struct session_options *options,
                                        const struct session_host *host);
void marline__session_destroy(struct session *s);

/* ---- before start: what an earlier life left behind ---- */

struct session_restored {
    struct slice id; /* texts are copied */
    bool is_metric;
    uint64_t journal;
    struct slice result;
    uint32_t span_count;
};

/* A result that was stored and not settled; it is sent once registered. */
marline_status marline__session_restore(struct session *s, const struct session_restored *from);
/* An invocation known to be done; the result (may be empty) answers a repeat. */
marline_status marline__session_restore_settled(struct session *s,
                                                const struct session_restored *from);
/* An invocation that was accepted and has no result: it gets an error. */
marline_status marline__session_restore_lost(struct session *s, uint64_t now,
                                             const struct session_restored *from,
                                             const struct session_trace *trace, const char *error);

/* ---- inputs ---- */

void marline__session_start(struct session *s, uint64_t now);
void marline__session_opened(struct session *s, uint64_t now);
/* The connection never opened; http_status 0: no answer of HTTP. */
void marline__session_refused(struct session *s, uint64_t now, uint64_t random, int http_status,
                              const char *reason);
void marline__session_text(struct session *s, uint64_t now, struct slice text);
void marline__session_closed(struct session *s, uint64_t now, uint64_t random, uint16_t code,
                             bool by_peer, struct slice reason);
/* The handler of an INVOKE returned. The first result of an invocation counts; later ones only free
 * the worker. `result` may borrow. */
void marline__session_finished(struct session *s, uint64_t now,
                               const struct message_test_result *result);
void marline__session_metric_finished(struct session *s, uint64_t now,
                                      const struct message_metric_result *result);
/* The endpoints changed: registers again, at once where connected. */
void marline__session_endpoints_changed(struct session *s, uint64_t now);
/* Executes a dead letter again: its request, under its old id, in the trace of its failure (a
 * traceparent; may be empty). MARLINE_EINVAL: it is no execute_test. MARLINE_ESTATE: that id is at
 * work. */
marline_status marline__session_retry(struct session *s, uint64_t now, struct slice request,
                                      struct slice traceparent);
/* Sends the result of a dead letter (a test_result or metric_result) again. MARLINE_EINVAL: it is
 * none. MARLINE_ESTATE: that id is at work. MARLINE_EFULL: no room or memory. */
marline_status marline__session_deliver_again(struct session *s, uint64_t now, struct slice result);
/* Drains: refuses new invocations, and ends when all is done and delivered, or after the time. A
 * second call shortens the time. */
void marline__session_stop(struct session *s, uint64_t now, uint64_t within_ns);
/* To be called at marline__session_deadline; earlier or later does no harm. */
void marline__session_tick(struct session *s, uint64_t now);

/* ---- outputs ---- */

bool marline__session_next_action(struct session *s, uint64_t now, struct session_action *out);
/* True: a text waits and may go now. */
bool marline__session_wants_write(const struct session *s, uint64_t now);
/* The next text; false when none may go now. Borrowed until marline__session_written. */
bool marline__session_next_text(struct session *s, uint64_t now, struct slice *out);
/* The text handed out last is written. Returns the record of its invocation, valid until the next
 * call, or NULL when it was no result. */
const struct ledger_record *marline__session_written(struct session *s, uint64_t now);
/* When tick is due; TIME_NEVER = no timer runs. */
uint64_t marline__session_deadline(const struct session *s);

enum session_state marline__session_state(const struct session *s);
const struct session_counters *marline__session_counters(const struct session *s);
/* Results made and not settled. */
uint32_t marline__session_undelivered(const struct session *s);
/* Handlers that have not returned, and invocations that wait for a worker. */
uint32_t marline__session_running(const struct session *s);
uint32_t marline__session_waiting(const struct session *s);
bool marline__session_is_draining(const struct session *s);

#endif
