/* The insides of a session, shared by its three files: session.c (connection and timers),
 * session_messages.c (what the backend says), session_work.c (invocations and results). */
#ifndef MARLINE_CONNECTOR_SESSION_PRIVATE_H
#define MARLINE_CONNECTOR_SESSION_PRIVATE_H

#include "base/clock.h"
#include "connector/session.h"
#include "connector/session_rules.h"

enum session_writing {
    WRITING_NOTHING,
    WRITING_REGISTER,
    WRITING_DRAIN,
    WRITING_PONG,
    WRITING_RESULT
};

struct session {
    const struct session_host *host;
    char *texts; /* one block for the copied options */
    struct session_options options;
    struct session_rules rules;
    struct session_counters counters;
    struct ledger ledger;
    struct backoff backoff;
    struct pacer pacer;

    enum session_state state;
    struct {
        bool due;
        marline_status status;
        char text[MARLINE_ERROR_TEXT_SIZE];
    } change;
    struct {
        bool due;
        uint16_t code;
        const char *text;
    } close;
    bool connect_due;

    /* of the open connection */
    uint32_t capabilities;
    uint32_t message_max;
    uint64_t idle_ns;
    uint64_t opened_ns;
    uint64_t last_text_ns;
    bool register_due;
    bool drain_due;
    uint32_t pongs_due;
    enum session_writing writing;

    /* timers; TIME_NEVER when they do not run */
    uint64_t reconnect_at;
    uint64_t register_at;
    uint64_t registered_by;
    uint64_t work_at; /* the earliest deadline of an invocation, or earlier */
    uint64_t stop_at;
    uint64_t close_by;

    bool draining;
    bool canceled_all; /* the time of stop is up */
    bool cut_short;    /* …and there was work left */
    uint32_t cancels_due;
    struct trace_ids failure; /* of the dead letter that is being taken again; 0 = none */

    struct buffer scratch; /* of decoding */
    struct buffer outgoing;
};

/* session.c */
void marline__session_change(struct session *s, enum session_state state, marline_status status,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
bool marline__session_is_open(const struct session *s);
void marline__session_check_drained(struct session *s);
static inline bool marline__session_peer_has(const struct session *s, enum capability capability)
{
    return (s->capabilities & capability) != 0;
}

/* session_work.c */
void marline__session_take_test(struct session *s, uint64_t now, struct slice text,
                                const struct message_execute_test *m, const char *malformed);
void marline__session_take_metric(struct session *s, uint64_t now, struct slice text,
                                  const struct message_execute_metric *m, const char *malformed);
void marline__session_take_cancel(struct session *s, uint64_t now, const struct message_cancel *m);
void marline__session_take_ack(struct session *s, const struct message_result_ack *m);
/* Expires what is over time, and finds the next deadline. */
void marline__session_expire_work(struct session *s, uint64_t now);
void marline__session_expire_acks(struct session *s, uint64_t now);
/* Ends all work with an error; results are made for it. */
void marline__session_cancel_all(struct session *s, uint64_t now);
/* Written but unacknowledged results are to be sent again, before those that wait. */
void marline__session_unwrite(struct session *s);
/* After a broken connection to a peer that does not acknowledge: names what may be lost. */
void marline__session_report_doubt(struct session *s, uint64_t now);
struct ledger_record *marline__session_startable(struct session *s);
struct session_job *marline__session_begin(struct session *s, uint64_t now,
                                           struct ledger_record *r);
void marline__session_result_written(struct session *s, uint64_t now, struct ledger_record *r);
/* Appends the ids whose results are still to come: a JSON array. */
void marline__session_write_in_flight(const struct session *s, struct buffer *out);

#endif
