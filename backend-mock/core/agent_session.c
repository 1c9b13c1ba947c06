/* See agent_session.h. */
#include "core/agent_session.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "core/alloc.h"
#include "wire/json_reader.h"

enum { CLOSE_NORMAL = 1000 };

/* What this backend understands beyond the plain protocol. Stock agents ignore the member. */
enum {
    CAPABILITIES = CAPABILITY_RESULT_ACK | CAPABILITY_CANCEL | CAPABILITY_DRAIN |
                   CAPABILITY_TRACE_CONTEXT | CAPABILITY_DEADLINE | CAPABILITY_ATTEMPT |
                   CAPABILITY_SPAN_COUNT | CAPABILITY_IN_FLIGHT | CAPABILITY_LIMITS,
};

struct agent_session {
    struct agent_limits limits;
    char *connection_id;
    uint64_t last_text_ns;
    uint32_t capabilities;
    bool draining;
    /* Arrival of the last rate_per_second messages that passed, a ring. */
    uint64_t *arrivals;
    size_t arrival_next;
    size_t arrival_count;
    bool passed_rate; /* the latest message */
    /* The latest message and what it borrows from. */
    struct connector_message message;
    struct buffer scratch;
    struct buffer finite;
    struct buffer reply;
    struct agent_session_counters counters;
};

struct agent_limits agent_limits_default(void)
{
    return (struct agent_limits){.message_size_max = AGENT_MESSAGE_SIZE_MAX,
                                 .rate_per_second = AGENT_RATE_MAX,
                                 .idle_timeout_ms = AGENT_IDLE_TIMEOUT_MS};
}

static void begin_step(struct agent_session *s, struct agent_step *out)
{
    *out = (struct agent_step){.event = AGENT_NOTHING};
    marline__buffer_clear(&s->scratch);
    marline__buffer_clear(&s->finite);
    marline__buffer_clear(&s->reply);
}

static void reply_with(struct agent_session *s, const struct connector_message *message,
                       struct agent_step *out)
{
    marline__message_encode(message, &s->reply);
    alloc_check_buffer(&s->reply);
    out->reply = marline__buffer_slice(&s->reply);
}

static void reply_error(struct agent_session *s, const char *detail, struct agent_step *out)
{
    struct connector_message message = {.type = MESSAGE_ERROR};
    message.error.detail = marline__slice_text(detail);
    reply_with(s, &message, out);
}

static void reply_connected(struct agent_session *s, const struct agent_identity *identity,
                            struct agent_step *out)
{
    struct connector_message message = {.type = MESSAGE_CONNECTED};
    message.connected = (struct message_connected){
        .connection_id = identity->connection_id,
        .organization_id = identity->organization_id,
        .user_id = identity->user_id,
        .capabilities = CAPABILITIES,
        .rate_per_second = s->limits.rate_per_second,
        .message_size_max = s->limits.message_size_max,
        .idle_timeout_ms = s->limits.idle_timeout_ms,
    };
    reply_with(s, &message, out);
}

struct agent_session *agent_session_open(const struct agent_limits *limits,
                                         const struct agent_identity *identity, uint64_t now_ns,
                                         struct agent_step *out)
{
    struct agent_session *s = alloc_zeroed(sizeof(*s));
    s->limits = *limits;
    if (s->limits.rate_per_second > AGENT_RATE_CEILING) {
        s->limits.rate_per_second = AGENT_RATE_CEILING;
    }
    s->connection_id = alloc_slice(identity->connection_id);
    s->last_text_ns = now_ns;
    s->arrivals = alloc_array(s->limits.rate_per_second, sizeof(*s->arrivals));
    begin_step(s, out);
    reply_connected(s, identity, out);
    return s;
}

void agent_session_destroy(struct agent_session *s)
{
    if (!s) {
        return;
    }
    marline__buffer_deinit(&s->scratch);
    marline__buffer_deinit(&s->finite);
    marline__buffer_deinit(&s->reply);
    marline__memory_free(s->arrivals);
    marline__memory_free(s->connection_id);
    marline__memory_free(s);
}

/* ---- limits ---- */

/* Code points of valid UTF-8: bytes that do not continue one. */
static size_t count_characters(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    }
    return count;
}

static bool is_oversize(const struct agent_session *s, struct slice text)
{
    return text.size > s->limits.message_size_max &&
           count_characters(text) > s->limits.message_size_max;
}

/* Counts the message in when it passes; a refused one does not count (§1.6). */
static bool passes_rate(struct agent_session *s, uint64_t now_ns)
{
    size_t max = s->limits.rate_per_second;
    if (max == 0) {
        return true;
    }
    /* The oldest of `max` arrivals stands where the next one goes. */
    if (s->arrival_count == max && now_ns - s->arrivals[s->arrival_next] < NS_PER_S) {
        return false;
    }
    s->arrivals[s->arrival_next] = now_ns;
    s->arrival_next = (s->arrival_next + 1) % max;
    s->arrival_count += s->arrival_count < max;
    return true;
}

struct agent_rate agent_session_rate(const struct agent_session *s, uint64_t now_ns)
{
    struct agent_rate rate = {s->passed_rate, s->limits.rate_per_second, 0};
    uint32_t within = 0;
    for (size_t i = 0; i < s->arrival_count; i++) {
        within += now_ns - s->arrivals[i] < NS_PER_S;
    }
    rate.remaining = rate.limit > within ? rate.limit - within : 0;
    return rate;
}

static bool passes_limits(struct agent_session *s, bool oversize, uint64_t now_ns,
                          struct agent_step *out)
{
    s->last_text_ns = now_ns;
    if (oversize) {
        char detail[64];
        (void)snprintf(detail, sizeof(detail), "Message too large (max %u bytes)",
                       (unsigned)s->limits.message_size_max);
        s->counters.oversize++;
        reply_error(s, detail, out);
        return false;
    }
    s->passed_rate = passes_rate(s, now_ns);
    if (!s->passed_rate) {
        s->counters.rate_limited++;
        reply_error(s, "Rate limit exceeded", out);
        return false;
    }
    s->counters.messages++;
    return true;
}

/* ---- messages ---- */

static void reply_register_invalid(struct agent_session *s, const char *reason,
                                   struct agent_step *out)
{
    struct connector_message message = {.type = MESSAGE_REGISTERED};
    message.registered.error = marline__slice_text(reason);
    reply_with(s, &message, out);
}

static void accept_registration(struct agent_session *s, struct agent_step *out)
{
    s->capabilities = s->message.registration.capabilities;
    s->draining = false;
    out->event = AGENT_REGISTER;
}

/* What a handler returned is stored and answered as JSON, which NaN and infinities, as Python
 * writes them, are not. */
static void make_finite(struct agent_session *s, struct slice *part)
{
    if (part->size == 0 || marline__json_is_valid(*part, JSON_STRICT)) {
        return;
    }
    size_t start = s->finite.size;
    marline__json_append_finite(&s->finite, *part);
    alloc_check_buffer(&s->finite);
    *part = (struct slice){s->finite.data + start, s->finite.size - start};
}

static void accept_metric_result(struct agent_session *s, struct message_metric_result *m,
                                 struct agent_step *out)
{
    /* Room for both parts at once: the first must not move when the second is written. A token of
     * three bytes becomes one of four. */
    (void)marline__buffer_reserve(&s->finite, 2 * (m->score.size + m->details.size));
    alloc_check_buffer(&s->finite);
    make_finite(s, &m->score);
    make_finite(s, &m->details);
    out->event = AGENT_METRIC_RESULT;
}

static void accept_message(struct agent_session *s, struct agent_step *out)
{
    out->message = &s->message;
    switch (s->message.type) {
    case MESSAGE_REGISTER:
        accept_registration(s, out);
        break;
    case MESSAGE_TEST_RESULT:
        make_finite(s, &s->message.test_result.output);
        out->event = AGENT_RESULT;
        break;
    case MESSAGE_METRIC_RESULT:
        accept_metric_result(s, &s->message.metric_result, out);
        break;
    case MESSAGE_DRAIN:
        s->draining = true;
        out->event = AGENT_DRAIN;
        break;
    case MESSAGE_PONG:
        break;
    default: /* unknown, or a type that only a backend sends: ignored (§2.11) */
        s->counters.unknown_type++;
        break;
    }
}

void agent_session_text(struct agent_session *s, struct slice text, uint64_t now_ns,
                        struct agent_step *out)
{
    begin_step(s, out);
    if (!passes_limits(s, is_oversize(s, text), now_ns, out)) {
        return;
    }
    char reason[DECODE_REASON_SIZE];
    switch (marline__message_decode(text, &s->scratch, &s->message, reason)) {
    case DECODE_OK:
        accept_message(s, out);
        break;
    case DECODE_INVALID_JSON:
    case DECODE_NOT_OBJECT: /* the reference's read loop dies of it; an answer harms nobody */
        s->counters.invalid_json++;
        reply_error(s, "Invalid JSON", out);
        break;
    case DECODE_INVALID:
        s->counters.ill_formed++;
        if (s->message.type == MESSAGE_REGISTER) {
            reply_register_invalid(s, reason, out);
        }
        break;
    case DECODE_NO_MEMORY:
        abort();
    }
}

void agent_session_oversize(struct agent_session *s, uint64_t now_ns, struct agent_step *out)
{
    begin_step(s, out);
    (void)passes_limits(s, true, now_ns, out);
}

void agent_session_binary(struct agent_session *s, uint64_t now_ns, struct agent_step *out)
{
    begin_step(s, out);
    if (passes_limits(s, false, now_ns, out)) {
        s->counters.ill_formed++;
        reply_error(s, "Invalid JSON", out);
    }
}

void agent_session_registered(struct agent_session *s, const struct agent_registration *outcome,
                              struct agent_step *out)
{
    begin_step(s, out);
    struct connector_message message = {.type = MESSAGE_REGISTERED};
    message.registered.success = outcome->error == NULL;
    message.registered.error = marline__slice_text(outcome->error);
    message.registered.sync_stats = outcome->stats;
    if (outcome->metrics_only) {
        message.registered.connection_id = marline__slice_text(s->connection_id);
    }
    reply_with(s, &message, out);
}

/* ---- time ---- */

uint64_t agent_session_deadline(const struct agent_session *s)
{
    return s->limits.idle_timeout_ms ? s->last_text_ns + s->limits.idle_timeout_ms * NS_PER_MS
                                     : TIME_NEVER;
}

void agent_session_tick(struct agent_session *s, uint64_t now_ns, struct agent_step *out)
{
    begin_step(s, out);
    if (now_ns >= agent_session_deadline(s)) {
        out->close_code = CLOSE_NORMAL;
        out->close_reason = "Idle timeout";
    }
}

uint32_t agent_session_capabilities(const struct agent_session *s)
{
    return s->capabilities;
}

bool agent_session_is_draining(const struct agent_session *s)
{
    return s->draining;
}

const struct agent_session_counters *agent_session_counters(const struct agent_session *s)
{
    return &s->counters;
}
