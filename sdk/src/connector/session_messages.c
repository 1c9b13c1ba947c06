/* What the backend says, one function per message. Nothing that it says can harm more than the
 * message itself: what is malformed is counted, logged, and answered where there is an id. */
#include "base/log.h"
#include "connector/session_private.h"

static void take_limits(struct session *s, const struct message_connected *m)
{
    if (marline__session_peer_has(s, CAPABILITY_LIMITS)) {
        marline__pacer_limit(&s->pacer, m->rate_per_second); /* 0 = no limit */
        s->message_max = m->message_size_max > 0 ? m->message_size_max : UINT32_MAX;
        s->idle_ns = m->idle_timeout_ms > 0 ? m->idle_timeout_ms * NS_PER_MS : TIME_NEVER;
    } else if (s->capabilities != 0) {
        marline__pacer_limit(&s->pacer, SESSION_RATE_DEFAULT);
    }
}

/* The registration waits for this message, for it tells which extensions it may carry. When it
 * comes late the registration is made again, if it has more to say. */
static void take_connected(struct session *s, const struct message_connected *m)
{
    s->capabilities = m->capabilities;
    take_limits(s, m);
    if (s->state == SESSION_OPEN || s->capabilities != 0) {
        s->register_at = TIME_NEVER;
        s->register_due = true;
    }
}

/* An error with statistics is a registration in part: the route is in place (§2.5). */
static void take_registered(struct session *s, uint64_t now, const struct message_registered *m)
{
    struct slice error = m->error.size ? m->error : m->errors;
    s->registered_by = TIME_NEVER;
    if (m->success || m->sync_stats.size > 0) {
        if (!m->success) {
            marline__log(LOG_WARN, "the backend could not register every endpoint: %.*s",
                         SLICE_ARG(error));
        }
        if (s->state != SESSION_REGISTERED) {
            marline__session_change(s, SESSION_REGISTERED, MARLINE_OK,
                                    m->success ? "%.*s" : "registered in part: %.*s",
                                    SLICE_ARG(error));
        }
        return;
    }
    s->register_at = now + SESSION_REJECTED_RETRY_MS * NS_PER_MS;
    marline__session_change(s, SESSION_REJECTED, MARLINE_EREJECTED,
                            "the backend refused the registration: %.*s", SLICE_ARG(error));
}

static void take_error(struct session *s, const struct message_error *m)
{
    s->counters.peer_errors++;
    marline__log(LOG_WARN, "the backend reports an error: %.*s", SLICE_ARG(m->detail));
}

static void take_malformed(struct session *s, uint64_t now, struct slice text,
                           const struct connector_message *m, const char *reason)
{
    s->counters.invalid_messages++;
    marline__log(LOG_WARN, "a malformed %.*s message came: %s", SLICE_ARG(m->type_name), reason);
    if (m->type == MESSAGE_EXECUTE_TEST && m->execute_test.invocation_id.size > 0) {
        marline__session_take_test(s, now, text, &m->execute_test, reason);
    } else if (m->type == MESSAGE_EXECUTE_METRIC && m->execute_metric.metric_run_id.size > 0) {
        marline__session_take_metric(s, now, text, &m->execute_metric, reason);
    }
}

static void take_message(struct session *s, uint64_t now, struct slice text,
                         const struct connector_message *m)
{
    switch (m->type) {
    case MESSAGE_CONNECTED:
        take_connected(s, &m->connected);
        break;
    case MESSAGE_REGISTERED:
        take_registered(s, now, &m->registered);
        break;
    case MESSAGE_EXECUTE_TEST:
        marline__session_take_test(s, now, text, &m->execute_test, NULL);
        break;
    case MESSAGE_EXECUTE_METRIC:
        marline__session_take_metric(s, now, text, &m->execute_metric, NULL);
        break;
    case MESSAGE_RESULT_ACK:
        marline__session_take_ack(s, &m->result_ack);
        break;
    case MESSAGE_CANCEL:
        marline__session_take_cancel(s, now, &m->cancel);
        break;
    case MESSAGE_PING:
        s->pongs_due += s->pongs_due < SESSION_PONGS_MAX;
        break;
    case MESSAGE_PONG:
        break;
    case MESSAGE_ERROR:
        take_error(s, &m->error);
        break;
    default:
        s->counters.ignored_messages++;
        marline__log(LOG_DEBUG, "a message of type '%.*s' is ignored", SLICE_ARG(m->type_name));
        break;
    }
}

void marline__session_text(struct session *s, uint64_t now, struct slice text)
{
    if (!marline__session_is_open(s)) {
        return;
    }
    struct connector_message message;
    char reason[DECODE_REASON_SIZE];
    marline__buffer_clear(&s->scratch);
    switch (marline__message_decode(text, &s->scratch, &message, reason)) {
    case DECODE_OK:
        take_message(s, now, text, &message);
        break;
    case DECODE_INVALID:
        take_malformed(s, now, text, &message, reason);
        break;
    case DECODE_NO_MEMORY:
        s->counters.not_taken++;
        marline__log(LOG_ERROR, "a message of %zu bytes is lost: out of memory", text.size);
        break;
    case DECODE_INVALID_JSON:
    case DECODE_NOT_OBJECT:
        s->counters.invalid_messages++;
        marline__log(LOG_WARN, "a message of %zu bytes that is no JSON object is ignored",
                     text.size);
        break;
    }
    marline__session_tick(s, now);
}
