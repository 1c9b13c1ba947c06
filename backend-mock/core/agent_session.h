/* The backend's side of one agent connection: what each text message means, the limits on them, and
 * the answers (wire-protocol §2, §1.6).
 *
 * Each input gives one step: at most one message to send, at most one event for the owner, and
 * perhaps the end of the connection. What an event asks for (a project looked up, a result stored)
 * is the owner's business; a registration's outcome comes back through agent_session_registered.
 *
 *     open ── text ──▶ open       every message, valid or not
 *     open ── tick ──▶ closing    idle for too long
 *
 * No I/O, no clock, no thread: the caller passes `now` (monotonic). */
#ifndef CORE_AGENT_SESSION_H
#define CORE_AGENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "wire/connector_message.h"

enum {
    AGENT_MESSAGE_SIZE_MAX = 1024 * 1024, /* characters, as the reference counts */
    AGENT_RATE_MAX = 50,                  /* messages in any sliding second */
    AGENT_IDLE_TIMEOUT_MS = 300 * 1000,   /* without a text message */
    AGENT_RATE_CEILING = 10000,           /* what rate_per_second may be set to */
};

struct agent_limits {
    uint32_t message_size_max;
    uint32_t rate_per_second; /* 0 = any */
    uint32_t idle_timeout_ms; /* 0 = never */
};
struct agent_limits agent_limits_default(void);

enum agent_event {
    AGENT_NOTHING,
    AGENT_REGISTER,      /* step.message->registration; owner answers agent_session_registered */
    AGENT_RESULT,        /* step.message->test_result */
    AGENT_METRIC_RESULT, /* step.message->metric_result */
    AGENT_DRAIN,         /* the agent wants nothing new */
};

struct agent_step {
    enum agent_event event;
    const struct connector_message *message; /* borrowed until the next call */
    struct slice reply;                      /* one text to send; empty = none; borrowed likewise */
    uint16_t close_code;                     /* 0 = stays open */
    const char *close_reason;
};

/* Who the connection belongs to: canonical texts, copied. */
struct agent_identity {
    struct slice connection_id;
    struct slice organization_id;
    struct slice user_id;
};

struct agent_session;

/* The step holds `connected`. */
struct agent_session *agent_session_open(const struct agent_limits *limits,
                                         const struct agent_identity *identity, uint64_t now_ns,
                                         struct agent_step *out);
void agent_session_destroy(struct agent_session *s);

/* One whole text message. */
void agent_session_text(struct agent_session *s, struct slice text, uint64_t now_ns,
                        struct agent_step *out);
/* A message that was not kept, because it was surely too large. */
void agent_session_oversize(struct agent_session *s, uint64_t now_ns, struct agent_step *out);
/* A binary message: it has no meaning here. */
void agent_session_binary(struct agent_session *s, uint64_t now_ns, struct agent_step *out);
/* To be called at the deadline; harmless before. */
void agent_session_tick(struct agent_session *s, uint64_t now_ns, struct agent_step *out);
uint64_t agent_session_deadline(const struct agent_session *s); /* TIME_NEVER = none */

/* What became of a registration; slices are borrowed during the call. */
struct agent_registration {
    const char *error;  /* NULL = in place */
    bool metrics_only;  /* adds connection_id */
    struct slice stats; /* raw JSON object `sync_stats`; empty = left out */
};
void agent_session_registered(struct agent_session *s, const struct agent_registration *outcome,
                              struct agent_step *out);

/* Capabilities that the agent announced in its latest `register`. */
uint32_t agent_session_capabilities(const struct agent_session *s);
bool agent_session_is_draining(const struct agent_session *s);

/* What the limit of messages a second (a sliding window) said to the latest message, and how many
 * more would pass now. */
struct agent_rate {
    bool allowed;
    uint32_t limit; /* 0 = any, and `remaining` says nothing */
    uint32_t remaining;
};
struct agent_rate agent_session_rate(const struct agent_session *s, uint64_t now_ns);

struct agent_session_counters {
    uint64_t messages; /* that passed the limits */
    uint64_t oversize;
    uint64_t rate_limited;
    uint64_t invalid_json;
    uint64_t ill_formed; /* a known type without what it needs, or a binary message */
    uint64_t unknown_type;
};
const struct agent_session_counters *agent_session_counters(const struct agent_session *s);

#endif
