/* The connection of a session, its timers, and what goes out; see session.h. */
#include "connector/session.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/memory.h"
#include "connector/session_private.h"
#include "io/tls_fault.h"

static const char drain_text[] = "{\"type\":\"drain\"}";
static const char pong_text[] = "{\"type\":\"pong\"}";

/* ---- life ---- */

static struct slice copy_text(char **at, struct slice text)
{
    struct slice copy = {*at, text.size};
    if (text.size > 0) {
        memcpy(*at, text.data, text.size);
    }
    *at += text.size;
    return copy;
}

struct session *marline__session_create(const struct session_options *options,
                                        const struct session_host *host)
{
    size_t size = options->project_id.size + options->environment.size + options->agent_id.size +
                  options->sdk_version.size;
    struct session *s = marline__memory_zeroed(sizeof *s);
    char *at = marline__memory_zeroed(size);
    if (!s || !at) {
        marline__memory_free(s);
        marline__memory_free(at);
        return NULL;
    }
    s->host = host;
    s->texts = at;
    s->options = *options;
    s->options.project_id = copy_text(&at, options->project_id);
    s->options.environment = copy_text(&at, options->environment);
    s->options.agent_id = copy_text(&at, options->agent_id);
    s->options.sdk_version = copy_text(&at, options->sdk_version);
    s->backoff = (struct backoff){options->backoff_first_ns, options->backoff_max_ns, 0};
    s->message_max = SESSION_MESSAGE_DEFAULT;
    s->reconnect_at = s->register_at = s->registered_by = TIME_NEVER;
    s->work_at = s->stop_at = s->close_by = TIME_NEVER;
    s->rules = SESSION_RULES_KEPT;
    marline__ledger_init(&s->ledger);
    return s;
}

void marline__session_set_rules(struct session *s, const struct session_rules *rules)
{
    s->rules = *rules;
}

void marline__session_destroy(struct session *s)
{
    if (s) {
        marline__ledger_deinit(&s->ledger);
        marline__buffer_deinit(&s->scratch);
        marline__buffer_deinit(&s->outgoing);
        marline__memory_free(s->texts);
        marline__memory_free(s);
    }
}

/* ---- states ---- */

void marline__session_change(struct session *s, enum session_state state, marline_status status,
                             const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(s->change.text, sizeof s->change.text, format, arguments);
    va_end(arguments);
    s->state = state;
    s->change.status = status;
    s->change.due = true;
}

bool marline__session_is_open(const struct session *s)
{
    return s->state == SESSION_OPEN || s->state == SESSION_REGISTERING ||
           s->state == SESSION_REJECTED || s->state == SESSION_REGISTERED;
}

static void begin_close(struct session *s, uint16_t code, const char *text)
{
    s->close.due = true;
    s->close.code = code;
    s->close.text = text;
    marline__session_change(s, SESSION_CLOSING, MARLINE_OK, "%s", text);
}

static void stop_now(struct session *s)
{
    s->connect_due = false;
    s->stop_at = s->reconnect_at = s->close_by = TIME_NEVER;
    uint32_t left = marline__ledger_unsettled(&s->ledger);
    if (left > 0) {
        marline__log(LOG_WARN, "stopped with %u result(s) not delivered", left);
    }
    bool late = left > 0 || s->cut_short;
    marline__session_change(s, SESSION_STOPPED, late ? MARLINE_ETIMEDOUT : MARLINE_OK, "%s",
                            left > 0       ? "stopped with results not delivered"
                            : s->cut_short ? "stopped with work canceled"
                                           : "stopped");
}

static void end_session(struct session *s)
{
    if (marline__session_is_open(s)) {
        begin_close(s, 1000, "the agent stops");
    } else if (s->state != SESSION_CLOSING) {
        stop_now(s);
    }
}

/* What a stop waits for. Results that nobody will ever take do not count. */
static bool has_work(const struct session *s)
{
    const uint32_t *counts = s->ledger.counts;
    return counts[LEDGER_WAITING] + counts[LEDGER_RUNNING] > 0 ||
           (s->state != SESSION_FAILED && marline__session_undelivered(s) > 0);
}

void marline__session_check_drained(struct session *s)
{
    if (s->draining && s->state != SESSION_STOPPED && s->state != SESSION_CLOSING && !has_work(s)) {
        end_session(s);
    }
}

/* ---- connection ---- */

void marline__session_start(struct session *s, uint64_t now)
{
    (void)now;
    if (s->state == SESSION_IDLE) {
        s->connect_due = true;
        marline__session_change(s, SESSION_CONNECTING, MARLINE_OK, "connecting");
    }
}

void marline__session_opened(struct session *s, uint64_t now)
{
    if (s->state != SESSION_CONNECTING) {
        return;
    }
    s->opened_ns = s->last_text_ns = now;
    s->register_at = now + SESSION_CONNECTED_WAIT_MS * NS_PER_MS;
    s->capabilities = 0;
    s->message_max = SESSION_MESSAGE_DEFAULT;
    s->idle_ns = SESSION_IDLE_DEFAULT_MS * NS_PER_MS;
    marline__pacer_space(&s->pacer, SESSION_RESULT_GAP_MS * NS_PER_MS);
    s->drain_due = s->draining;
    marline__session_change(s, SESSION_OPEN, MARLINE_OK, "connected");
}

/* Forgets all that belonged to the connection. */
static void lose_connection(struct session *s)
{
    s->register_due = s->drain_due = s->close.due = false;
    s->pongs_due = 0;
    s->register_at = s->registered_by = TIME_NEVER;
    s->capabilities = 0;
    s->writing = WRITING_NOTHING;
    marline__session_unwrite(s);
}

static void wait_to_reconnect(struct session *s, uint64_t now, uint64_t random)
{
    s->reconnect_at = now + marline__backoff_next(&s->backoff, random);
    marline__session_check_drained(s);
}

static const char *explain_status(int http_status)
{
    switch (http_status) {
    case 400:
        return "; the project or the environment may be wrong";
    case 401:
    case 403:
        return ": check the API key, and that it may use the project";
    case 404:
        return ": check the base URL";
    default:
        return "";
    }
}

void marline__session_refused(struct session *s, uint64_t now, uint64_t random, int http_status,
                              const char *reason)
{
    if (s->state != SESSION_CONNECTING) {
        return;
    }
    bool auth = http_status == 401 || http_status == 403;
    const struct tls_fault *tls = http_status == 0 ? marline__tls_fault_of(reason) : NULL;
    if (tls) {
        /* A certificate may be renewed over there: that needs no restart over here. */
        marline__session_change(s, SESSION_WAITING, MARLINE_EIO,
                                "no connection to %s: %s; trying again, in case it is mended",
                                reason, tls->advice);
    } else if (http_status == 0) {
        marline__session_change(
            s, SESSION_WAITING, MARLINE_EIO,
            "no connection to %s; trying again (is the backend running there, and the "
            "base URL right?)",
            reason);
    } else {
        bool final = auth || http_status == 400;
        marline_status status = auth ? MARLINE_EAUTH : final ? MARLINE_EREJECTED : MARLINE_EIO;
        marline__session_change(s, final ? SESSION_FAILED : SESSION_WAITING, status,
                                "the backend refused the connection with HTTP %d%s", http_status,
                                explain_status(http_status));
    }
    if (s->state == SESSION_FAILED) {
        marline__session_check_drained(s);
    } else {
        wait_to_reconnect(s, now, random);
    }
}

void marline__session_closed(struct session *s, uint64_t now, uint64_t random, uint16_t code,
                             bool by_peer, struct slice reason)
{
    bool was_closing = s->state == SESSION_CLOSING;
    if (!was_closing && !marline__session_is_open(s)) {
        return;
    }
    if (now - s->opened_ns >= SESSION_STABLE_MS * NS_PER_MS) {
        marline__backoff_reset(&s->backoff);
    }
    if (code == 1006 && !marline__session_peer_has(s, CAPABILITY_RESULT_ACK)) {
        marline__session_report_doubt(s, now);
    }
    lose_connection(s);
    if (s->draining && (s->canceled_all || !has_work(s))) {
        stop_now(s);
        return;
    }
    const char *by = by_peer ? "by the backend" : code == 1006 ? "unexpectedly" : "by the agent";
    bool final = by_peer && code == 1008;
    marline__session_change(s, final ? SESSION_FAILED : SESSION_WAITING,
                            final ? MARLINE_EAUTH : MARLINE_EIO, "closed %s: %u%s%.*s%s", by, code,
                            reason.size ? " " : "", SLICE_ARG(reason),
                            final ? "; the credentials were refused: check the API key" : "");
    if (!final) {
        wait_to_reconnect(s, now, random);
    }
}

void marline__session_endpoints_changed(struct session *s, uint64_t now)
{
    (void)now;
    if (s->state == SESSION_REGISTERING || s->state == SESSION_REJECTED ||
        s->state == SESSION_REGISTERED) {
        s->register_due = true;
    }
}

void marline__session_stop(struct session *s, uint64_t now, uint64_t within_ns)
{
    uint64_t at = within_ns < TIME_NEVER - now ? now + within_ns : TIME_NEVER;
    if (s->state == SESSION_STOPPED) {
        return;
    }
    if (!s->draining) {
        s->draining = true;
        s->drain_due = marline__session_is_open(s);
    }
    s->stop_at = at < s->stop_at ? at : s->stop_at;
    if (s->state == SESSION_IDLE || s->state == SESSION_FAILED) {
        marline__session_cancel_all(s, now); /* nobody is there to hear of it */
        stop_now(s);
        return;
    }
    marline__session_tick(s, now);
}

/* ---- timers ---- */

static uint64_t keepalive_at(const struct session *s)
{
    if (!marline__session_is_open(s) || s->idle_ns == TIME_NEVER) {
        return TIME_NEVER;
    }
    return s->last_text_ns + s->idle_ns / 5 * 4;
}

static void tick_stop(struct session *s, uint64_t now)
{
    if (now >= s->close_by) {
        stop_now(s);
        return;
    }
    if (now < s->stop_at) {
        return;
    }
    if (!s->canceled_all) {
        s->canceled_all = true;
        s->stop_at = now + SESSION_LAST_WORDS_MS * NS_PER_MS;
        marline__session_cancel_all(s, now);
        if (s->state == SESSION_REGISTERED) {
            return;
        }
    }
    s->stop_at = TIME_NEVER;
    end_session(s);
}

static void tick_connection(struct session *s, uint64_t now)
{
    if (s->state == SESSION_WAITING && now >= s->reconnect_at) {
        s->reconnect_at = TIME_NEVER;
        s->connect_due = true;
        marline__session_change(s, SESSION_CONNECTING, MARLINE_OK, "connecting again");
    }
    if (marline__session_is_open(s) && now >= s->register_at) {
        s->register_at = TIME_NEVER;
        s->register_due = true;
    }
    if (marline__session_is_open(s) && now >= s->registered_by) {
        s->registered_by = TIME_NEVER;
        begin_close(s, 1001, "the backend does not answer the registration");
    }
    if (now >= keepalive_at(s) && s->pongs_due == 0) {
        s->pongs_due = 1;
    }
}

void marline__session_tick(struct session *s, uint64_t now)
{
    marline__session_expire_work(s, now);
    marline__session_expire_acks(s, now);
    tick_connection(s, now);
    tick_stop(s, now);
    marline__session_check_drained(s);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t marline__session_deadline(const struct session *s)
{
    uint64_t at = earlier(earlier(s->work_at, s->stop_at), s->close_by);
    if (s->state == SESSION_WAITING) {
        at = earlier(at, s->reconnect_at);
    }
    if (!marline__session_is_open(s)) {
        return at;
    }
    at = earlier(at, earlier(s->register_at, s->registered_by));
    if (s->pongs_due == 0) {
        at = earlier(at, keepalive_at(s));
    }
    const struct ledger_record *written = marline__ledger_first(&s->ledger, LEDGER_WRITTEN);
    if (written) {
        at = earlier(at, written->written_ns + SESSION_ACK_WAIT_MS * NS_PER_MS);
    }
    if (s->state == SESSION_REGISTERED && marline__ledger_first(&s->ledger, LEDGER_READY)) {
        at = earlier(at, marline__pacer_ready_ns(&s->pacer));
    }
    return at;
}

/* ---- actions ---- */

static bool next_cancel(struct session *s, struct session_action *out)
{
    LIST_EACH(&s->ledger.busy, node)
    {
        struct ledger_record *r = LIST_ENTRY(node, struct ledger_record, busy);
        if (r->cancel) {
            out->type = SESSION_CANCEL;
            out->id = r->id;
            out->is_metric = r->is_metric;
            out->text = r->cancel;
            out->late = r->cancel_late;
            r->cancel = NULL;
            s->cancels_due--;
            return true;
        }
    }
    return false;
}

bool marline__session_next_action(struct session *s, uint64_t now, struct session_action *out)
{
    *out = (struct session_action){.state = s->state, .text = ""};
    struct ledger_record *r;
    if (s->change.due) {
        s->change.due = false;
        out->type = SESSION_CHANGED;
        out->status = s->change.status;
        out->text = s->change.text;
    } else if (s->close.due) {
        s->close.due = false;
        out->type = SESSION_CLOSE;
        out->code = s->close.code;
        out->text = s->close.text;
        s->close_by = s->draining ? now + SESSION_CLOSE_WAIT_MS * NS_PER_MS : TIME_NEVER;
    } else if (s->connect_due) {
        s->connect_due = false;
        out->type = SESSION_CONNECT;
    } else if (s->cancels_due > 0 && next_cancel(s, out)) {
        return true;
    } else if ((r = marline__session_startable(s)) != NULL) {
        out->type = SESSION_INVOKE;
        out->id = r->id;
        out->is_metric = r->is_metric;
        out->job = marline__session_begin(s, now, r);
    } else {
        return false;
    }
    return true;
}

/* ---- texts ---- */

static enum session_writing next_writing(const struct session *s, uint64_t now)
{
    if (!marline__session_is_open(s)) {
        return WRITING_NOTHING;
    }
    if (s->register_due) {
        return WRITING_REGISTER;
    }
    if (s->drain_due && marline__session_peer_has(s, CAPABILITY_DRAIN)) {
        return WRITING_DRAIN;
    }
    if (s->pongs_due > 0) {
        return WRITING_PONG;
    }
    if (s->state == SESSION_REGISTERED && now >= marline__pacer_ready_ns(&s->pacer) &&
        marline__ledger_first(&s->ledger, LEDGER_READY)) {
        return WRITING_RESULT;
    }
    return WRITING_NOTHING;
}

bool marline__session_wants_write(const struct session *s, uint64_t now)
{
    return next_writing(s, now) != WRITING_NOTHING;
}

static void write_registration(struct session *s, struct buffer *out)
{
    struct buffer functions = BUFFER_INIT;
    struct buffer metrics = BUFFER_INIT;
    struct buffer in_flight = BUFFER_INIT;
    s->host->write_registration(s->host->user, &functions, &metrics);
    struct connector_message message = {.type = MESSAGE_REGISTER};
    struct message_register *m = &message.registration;
    m->project_id = s->options.project_id;
    m->environment = s->options.environment;
    m->sdk_version = s->options.sdk_version;
    m->functions = marline__buffer_slice(&functions);
    m->metrics = marline__buffer_slice(&metrics);
    if (s->capabilities != 0) {
        m->capabilities = CAPABILITY_RESULT_ACK | CAPABILITY_CANCEL | CAPABILITY_DRAIN |
                          CAPABILITY_TRACE_CONTEXT | CAPABILITY_DEADLINE | CAPABILITY_ATTEMPT |
                          CAPABILITY_SPAN_COUNT | CAPABILITY_IN_FLIGHT | CAPABILITY_LIMITS;
        m->agent_id = s->options.agent_id.size > 0 ? s->options.agent_id : SLICE_EMPTY;
        m->concurrency = s->options.concurrency;
    }
    if (marline__session_peer_has(s, CAPABILITY_IN_FLIGHT)) {
        marline__session_write_in_flight(s, &in_flight);
        m->in_flight = marline__buffer_slice(&in_flight);
    }
    marline__message_encode(&message, out);
    out->failed |= functions.failed || metrics.failed || in_flight.failed;
    marline__buffer_deinit(&functions);
    marline__buffer_deinit(&metrics);
    marline__buffer_deinit(&in_flight);
}

/* The stored text is of the plain protocol; the span count is put before its closing brace. */
static struct slice compose_result(struct session *s, const struct ledger_record *r)
{
    struct slice plain = {r->result, r->result_size};
    if (r->span_count == 0 || r->is_metric ||
        !marline__session_peer_has(s, CAPABILITY_SPAN_COUNT)) {
        return plain;
    }
    struct buffer *out = &s->outgoing;
    marline__buffer_clear(out);
    marline__buffer_append(out, plain.data, plain.size - 1);
    marline__buffer_append_text(out, ",\"span_count\":");
    marline__buffer_append_unsigned(out, r->span_count);
    marline__buffer_append_byte(out, '}');
    return out->failed ? plain : marline__buffer_slice(out);
}

bool marline__session_next_text(struct session *s, uint64_t now, struct slice *out)
{
    s->writing = next_writing(s, now);
    switch (s->writing) {
    case WRITING_REGISTER:
        marline__buffer_clear(&s->outgoing);
        write_registration(s, &s->outgoing);
        *out = marline__buffer_slice(&s->outgoing);
        if (s->outgoing.failed) {
            s->register_due = false;
            s->register_at = now + SESSION_REJECTED_RETRY_MS * NS_PER_MS;
            s->writing = WRITING_NOTHING;
            marline__log(LOG_ERROR, "cannot register: out of memory; it is tried again later");
        }
        break;
    case WRITING_DRAIN:
        *out = SLICE(drain_text);
        break;
    case WRITING_PONG:
        *out = SLICE(pong_text);
        break;
    case WRITING_RESULT:
        *out = compose_result(s, marline__ledger_first(&s->ledger, LEDGER_READY));
        break;
    case WRITING_NOTHING:
        break;
    }
    return s->writing != WRITING_NOTHING;
}

static void registration_written(struct session *s, uint64_t now)
{
    s->register_due = false;
    s->registered_by = now + SESSION_REGISTERED_WAIT_MS * NS_PER_MS;
    if (s->state == SESSION_OPEN) {
        s->register_at = TIME_NEVER;
        marline__session_change(s, SESSION_REGISTERING, MARLINE_OK, "connected, registering");
    }
}

const struct ledger_record *marline__session_written(struct session *s, uint64_t now)
{
    struct ledger_record *r = NULL;
    s->last_text_ns = now;
    marline__pacer_sent(&s->pacer, now);
    switch (s->writing) {
    case WRITING_REGISTER:
        registration_written(s, now);
        break;
    case WRITING_DRAIN:
        s->drain_due = false;
        break;
    case WRITING_PONG:
        s->pongs_due--;
        break;
    case WRITING_RESULT:
        r = marline__ledger_first(&s->ledger, LEDGER_READY);
        marline__session_result_written(s, now, r);
        break;
    case WRITING_NOTHING:
        break;
    }
    s->writing = WRITING_NOTHING;
    marline__session_check_drained(s);
    return r;
}

/* ---- questions ---- */

enum session_state marline__session_state(const struct session *s)
{
    return s->state;
}

const struct session_counters *marline__session_counters(const struct session *s)
{
    return &s->counters;
}

uint32_t marline__session_undelivered(const struct session *s)
{
    return s->ledger.counts[LEDGER_READY] + s->ledger.counts[LEDGER_WRITTEN];
}

uint32_t marline__session_running(const struct session *s)
{
    return s->ledger.busy_count;
}

uint32_t marline__session_waiting(const struct session *s)
{
    return s->ledger.counts[LEDGER_WAITING];
}

bool marline__session_is_draining(const struct session *s)
{
    return s->draining;
}
