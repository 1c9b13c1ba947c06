/* Invocations and their results: taken, refused, started, finished, expired, sent, acknowledged.
 * Each accepted invocation gets exactly one result, whatever becomes of its handler. */
#include <stdio.h>

#include "base/log.h"
#include "base/memory.h"
#include "connector/session_private.h"
#include "wire/json_writer.h"

enum { ERROR_TEXT_SIZE = 512, ACK_REASON_SIZE = 200 };

/* ---- results ---- */

static void encode_result(const struct ledger_record *r, const struct message_test_result *result,
                          struct buffer *out)
{
    struct connector_message message = {0};
    if (r->is_metric) {
        message.type = MESSAGE_METRIC_RESULT;
        message.metric_result = (struct message_metric_result){.metric_run_id = r->id,
                                                               .success = result->success,
                                                               .error = result->error,
                                                               .duration_ms = result->duration_ms};
    } else {
        message.type = MESSAGE_TEST_RESULT;
        message.test_result = *result;
        message.test_result.invocation_id = r->id;
        message.test_result.span_count = 0; /* added on the way out, where the peer knows it */
    }
    marline__message_encode(&message, out);
}

/* Puts an encoded result into the ledger; takes the buffer. False: no room or memory. */
static bool store(struct session *s, struct ledger_record *r, struct buffer *encoded,
                  uint32_t span_count)
{
    size_t size = encoded->size;
    char *text = marline__buffer_take(encoded);
    if (!text || !marline__ledger_set_result(&s->ledger, r, text, size)) {
        return false;
    }
    r->span_count = span_count;
    r->deadline_ns = TIME_NEVER;
    marline__session_job_free(r->job);
    r->job = NULL;
    marline__ledger_move(&s->ledger, r, LEDGER_READY);
    if (s->host->stored) {
        r->journal = s->host->stored(s->host->user, r);
    }
    return true;
}

/* Makes an error result; when even that cannot be kept, the invocation is given up, loudly. */
static void store_error(struct session *s, struct ledger_record *r,
                        const struct message_test_result *result)
{
    struct buffer encoded = BUFFER_INIT;
    encode_result(r, result, &encoded);
    if (!store(s, r, &encoded, result->span_count)) {
        marline__log(LOG_ERROR, "invocation %.*s: its result is lost, for lack of memory",
                     SLICE_ARG(r->id));
        s->counters.not_taken++;
        marline__ledger_move(&s->ledger, r, LEDGER_SETTLED);
    }
}

static struct session_trace describe(const struct session *s, const struct ledger_record *r)
{
    struct session_trace trace = {.span_count = 0};
    if (r->state == LEDGER_RUNNING && s->host->describe) {
        s->host->describe(s->host->user, r, &trace);
    }
    return trace;
}

/* Which span the result is about: see the journal. */
static void note_span(struct ledger_record *r, const struct session_trace *trace)
{
    r->span = trace->span;
    r->start_unix_ns = trace->start_unix_ns;
}

static void fail_told(struct session *s, uint64_t now, struct ledger_record *r, const char *text,
                      const struct session_trace *trace)
{
    const struct message_test_result result = {
        .error = marline__slice_text(text),
        .duration_ms = (double)(now - r->started_ns) / (double)NS_PER_MS,
        .trace_id = trace->trace_id[0] ? marline__slice_text(trace->trace_id) : SLICE_EMPTY,
        .span_count = trace->span_count,
    };
    store_error(s, r, &result);
}

static void fail_traced(struct session *s, uint64_t now, struct ledger_record *r, const char *text,
                        const struct session_trace *trace)
{
    note_span(r, trace);
    fail_told(s, now, r, text, trace);
}

static void fail(struct session *s, uint64_t now, struct ledger_record *r, const char *text)
{
    struct session_trace trace = describe(s, r);
    fail_traced(s, now, r, text, &trace);
}

/* An invocation that is never executed: it is kept for whoever wants to know. Its span, if it has
 * one, is the dead letter's: the journal need not keep it with the result as well. */
static void refuse(struct session *s, uint64_t now, struct ledger_record *r, struct slice request,
                   const char *reason)
{
    s->counters.refused++;
    marline__log(LOG_WARN, "invocation %.*s is refused: %s", SLICE_ARG(r->id), reason);
    struct session_trace trace = {.span_count = 0};
    if (s->host->buried) {
        s->host->buried(s->host->user, r, request, SLICE_EMPTY, reason, &trace);
    }
    fail_told(s, now, r, reason, &trace);
}

/* ---- handlers that return ---- */

/* The record whose handler returned, if its result is still wanted. */
static struct ledger_record *take_return(struct session *s, struct slice id, bool is_metric)
{
    struct ledger_record *r = marline__ledger_find(&s->ledger, id, is_metric);
    if (!r) {
        return NULL;
    }
    if (r->cancel) {
        r->cancel = NULL;
        s->cancels_due--;
    }
    marline__ledger_set_busy(&s->ledger, r, false);
    if (r->state != LEDGER_RUNNING) {
        s->counters.late_results++;
        return NULL;
    }
    return r;
}

static void finish(struct session *s, struct ledger_record *r, struct buffer *encoded,
                   const struct message_test_result *summary)
{
    char text[ERROR_TEXT_SIZE];
    size_t size = encoded->size;
    struct session_trace unused = {.span_count = 0};
    if (size > s->message_max) {
        (void)snprintf(text, sizeof text,
                       "the result has %zu bytes, and the backend takes messages of %u at most",
                       size, s->message_max);
        if (s->host->buried) {
            s->host->buried(s->host->user, r, SLICE_EMPTY, marline__buffer_slice(encoded), text,
                            &unused);
        }
        marline__buffer_deinit(encoded);
    } else if (store(s, r, encoded, summary->span_count)) {
        return;
    } else {
        (void)snprintf(text, sizeof text, "the result of %zu bytes could not be kept: out of room",
                       size);
    }
    struct message_test_result refusal = *summary;
    refusal.success = false;
    refusal.output = SLICE_EMPTY;
    refusal.error = marline__slice_text(text);
    store_error(s, r, &refusal);
}

void marline__session_finished(struct session *s, uint64_t now,
                               const struct message_test_result *result)
{
    struct ledger_record *r = take_return(s, result->invocation_id, false);
    if (r) {
        struct buffer encoded = BUFFER_INIT;
        struct session_trace trace = describe(s, r);
        note_span(r, &trace);
        encode_result(r, result, &encoded);
        finish(s, r, &encoded, result);
    }
    marline__session_tick(s, now);
}

void marline__session_metric_finished(struct session *s, uint64_t now,
                                      const struct message_metric_result *result)
{
    struct ledger_record *r = take_return(s, result->metric_run_id, true);
    if (r) {
        struct buffer encoded = BUFFER_INIT;
        const struct connector_message message = {.type = MESSAGE_METRIC_RESULT,
                                                  .metric_result = *result};
        const struct message_test_result summary = {.duration_ms = result->duration_ms};
        marline__message_encode(&message, &encoded);
        finish(s, r, &encoded, &summary);
    }
    marline__session_tick(s, now);
}

/* ---- what is asked for ---- */

/* An id that is known: a repeat gets the result that there is, and is never executed again. */
static void answer_repeat(struct session *s, uint64_t now, struct ledger_record *r)
{
    s->counters.repeats++;
    if (r->state != LEDGER_SETTLED) {
        return; /* its one result is still to come */
    }
    bool kept = r->result != NULL;
    marline__ledger_move(&s->ledger, r, LEDGER_READY);
    if (!kept) {
        r->started_ns = now;
        fail(s, now, r, "this invocation was executed before, and its result is no longer kept");
    }
}

static struct ledger_record *take_new(struct session *s, uint64_t now, struct slice id,
                                      bool is_metric)
{
    struct ledger_record *known = marline__ledger_find(&s->ledger, id, is_metric);
    if (known) {
        answer_repeat(s, now, known);
        return NULL;
    }
    struct ledger_record *r = marline__ledger_add(&s->ledger, id, is_metric);
    if (!r) {
        s->counters.not_taken++;
        marline__log(LOG_ERROR, "invocation %.*s is not taken: no memory, or too many results wait",
                     SLICE_ARG(id));
        return NULL;
    }
    s->counters.accepted++;
    r->started_ns = now;
    r->failure = s->failure;
    return r;
}

/* NULL: it may wait for a worker. Else why not. */
static const char *why_not(const struct session *s, bool found, const char *kind, struct slice name,
                           char text[ERROR_TEXT_SIZE])
{
    if (s->draining) {
        return "the agent is draining and takes no new work";
    }
    if (!found) {
        (void)snprintf(text, ERROR_TEXT_SIZE, "%s '%.*s' not found in registry", kind,
                       SLICE_ARG(name));
        return text;
    }
    if (s->ledger.counts[LEDGER_WAITING] > s->options.queue_max) { /* the new one is counted */
        (void)snprintf(text, ERROR_TEXT_SIZE, "the agent is full: %u invocations wait",
                       s->options.queue_max);
        return text;
    }
    return NULL;
}

static void enqueue(struct session *s, uint64_t now, struct ledger_record *r, struct slice text,
                    const struct session_endpoint *endpoint)
{
    r->job = marline__session_job_create(text);
    if (!r->job) {
        fail(s, now, r, "the agent is out of memory");
        return;
    }
    r->job->endpoint = endpoint->key;
    r->job->failure = r->failure;
    r->endpoint = endpoint->key;
    r->concurrency = endpoint->concurrency;
    r->timeout_ms = endpoint->timeout_ms;
    if (s->host->accepted) {
        r->journal = s->host->accepted(s->host->user, r, text);
    }
}

void marline__session_take_test(struct session *s, uint64_t now, struct slice text,
                                const struct message_execute_test *m, const char *malformed)
{
    struct ledger_record *r = take_new(s, now, m->invocation_id, false);
    if (!r) {
        return;
    }
    char reason[ERROR_TEXT_SIZE];
    struct session_endpoint endpoint = {0};
    bool found = !malformed && s->host->find_endpoint(s->host->user, m->function_name, &endpoint);
    const char *refusal =
        malformed ? malformed : why_not(s, found, "Function", m->function_name, reason);
    if (refusal) {
        refuse(s, now, r, text, refusal);
        return;
    }
    enqueue(s, now, r, text, &endpoint);
    if (r->state == LEDGER_WAITING && m->deadline_ms > 0) {
        r->deadline_ns = now + m->deadline_ms * NS_PER_MS;
        r->deadline_ms = m->deadline_ms;
        s->work_at = r->deadline_ns < s->work_at ? r->deadline_ns : s->work_at;
    }
}

void marline__session_take_metric(struct session *s, uint64_t now, struct slice text,
                                  const struct message_execute_metric *m, const char *malformed)
{
    struct ledger_record *r = take_new(s, now, m->metric_run_id, true);
    if (!r) {
        return;
    }
    char reason[ERROR_TEXT_SIZE];
    struct session_endpoint metric = {0};
    bool found = !malformed && s->host->find_metric &&
                 s->host->find_metric(s->host->user, m->metric_name, &metric);
    const char *refusal =
        malformed ? malformed : why_not(s, found, "Metric", m->metric_name, reason);
    if (refusal) {
        refuse(s, now, r, text, refusal);
        return;
    }
    enqueue(s, now, r, text, &metric);
}

marline_status marline__session_retry(struct session *s, uint64_t now, struct slice request,
                                      struct slice traceparent)
{
    struct connector_message message;
    marline__buffer_clear(&s->scratch);
    if (marline__message_decode(request, &s->scratch, &message, NULL) != DECODE_OK ||
        message.type != MESSAGE_EXECUTE_TEST) {
        return MARLINE_EINVAL;
    }
    struct slice id = message.execute_test.invocation_id;
    struct ledger_record *r = marline__ledger_find(&s->ledger, id, false);
    if (r && (r->state != LEDGER_SETTLED || !marline__list_is_empty(&r->busy))) {
        return MARLINE_ESTATE;
    }
    if (r) {
        marline__ledger_drop(&s->ledger, r);
    }
    if (!marline__traceparent_parse(traceparent, &s->failure)) {
        s->failure = (struct trace_ids){0};
    }
    marline__session_take_test(s, now, request, &message.execute_test, NULL);
    s->failure = (struct trace_ids){0};
    marline__session_tick(s, now);
    return MARLINE_OK;
}

marline_status marline__session_deliver_again(struct session *s, uint64_t now, struct slice result)
{
    struct connector_message message;
    marline__buffer_clear(&s->scratch);
    if (marline__message_decode(result, &s->scratch, &message, NULL) != DECODE_OK ||
        (message.type != MESSAGE_TEST_RESULT && message.type != MESSAGE_METRIC_RESULT)) {
        return MARLINE_EINVAL;
    }
    bool is_metric = message.type == MESSAGE_METRIC_RESULT;
    struct slice id =
        is_metric ? message.metric_result.metric_run_id : message.test_result.invocation_id;
    const struct ledger_record *known = marline__ledger_find(&s->ledger, id, is_metric);
    if (known && (known->state != LEDGER_SETTLED || !marline__list_is_empty(&known->busy))) {
        return MARLINE_ESTATE;
    }
    const struct session_restored from = {.id = id, .is_metric = is_metric, .result = result};
    if (marline__session_restore(s, &from) != MARLINE_OK) {
        return MARLINE_EFULL;
    }
    struct ledger_record *r = marline__ledger_find(&s->ledger, id, is_metric);
    if (s->host->stored) {
        r->journal = s->host->stored(s->host->user, r);
    }
    marline__session_tick(s, now);
    return MARLINE_OK;
}

/* ---- starting ---- */

static bool endpoint_has_room(const struct session *s, const struct ledger_record *r)
{
    if (r->concurrency == 0) {
        return true;
    }
    uint32_t running = 0;
    LIST_EACH(&s->ledger.busy, node)
    {
        running += LIST_ENTRY(node, struct ledger_record, busy)->endpoint == r->endpoint;
    }
    return running < r->concurrency;
}

struct ledger_record *marline__session_startable(struct session *s)
{
    if (s->ledger.busy_count >= s->options.concurrency) {
        return NULL;
    }
    LIST_EACH(&s->ledger.states[LEDGER_WAITING], node)
    {
        struct ledger_record *r = LIST_ENTRY(node, struct ledger_record, node);
        if (endpoint_has_room(s, r)) {
            return r;
        }
    }
    return NULL;
}

struct session_job *marline__session_begin(struct session *s, uint64_t now, struct ledger_record *r)
{
    struct session_job *job = r->job;
    r->job = NULL;
    r->started_ns = now;
    if (r->timeout_ms > 0 && r->timeout_ms * NS_PER_MS < r->deadline_ns - now) {
        r->deadline_ns = now + r->timeout_ms * NS_PER_MS;
        r->deadline_ms = r->timeout_ms;
    }
    s->work_at = r->deadline_ns < s->work_at ? r->deadline_ns : s->work_at;
    marline__ledger_set_busy(&s->ledger, r, true);
    marline__ledger_move(&s->ledger, r, LEDGER_RUNNING);
    return job;
}

/* ---- ending early ---- */

static void cancel(struct session *s, struct ledger_record *r, const char *why, bool late)
{
    if (!marline__list_is_empty(&r->busy)) {
        s->cancels_due += r->cancel == NULL;
        r->cancel = why;
        r->cancel_late = late;
    }
}

void marline__session_take_cancel(struct session *s, uint64_t now, const struct message_cancel *m)
{
    struct ledger_record *r = marline__ledger_find(&s->ledger, m->invocation_id, false);
    if (r && r->state == LEDGER_WAITING) {
        fail(s, now, r, "canceled by the backend before it began");
    } else if (r && r->state == LEDGER_RUNNING) {
        cancel(s, r, "canceled by the backend", false);
    }
}

static void expire(struct session *s, uint64_t now, struct ledger_record *r)
{
    char text[ERROR_TEXT_SIZE];
    if (describe(s, r).returned) {
        r->deadline_ns = TIME_NEVER; /* in time, only its spans are on their way */
        return;
    }
    (void)snprintf(text, sizeof text, "timed out after %u ms%s", r->deadline_ms,
                   r->state == LEDGER_WAITING ? " of waiting for a worker" : "");
    fail(s, now, r, text);
    cancel(s, r, "timed out", true);
}

void marline__session_expire_work(struct session *s, uint64_t now)
{
    static const enum ledger_state states[] = {LEDGER_WAITING, LEDGER_RUNNING};
    if (now < s->work_at) {
        return;
    }
    s->work_at = TIME_NEVER;
    for (size_t i = 0; i < 2; i++) {
        LIST_EACH(&s->ledger.states[states[i]], node)
        {
            struct ledger_record *r = LIST_ENTRY(node, struct ledger_record, node);
            if (r->deadline_ns <= now) {
                expire(s, now, r);
            } else if (r->deadline_ns < s->work_at) {
                s->work_at = r->deadline_ns;
            }
        }
    }
}

void marline__session_cancel_all(struct session *s, uint64_t now)
{
    struct ledger_record *r;
    s->cut_short = s->ledger.counts[LEDGER_WAITING] + s->ledger.counts[LEDGER_RUNNING] > 0;
    while ((r = marline__ledger_first(&s->ledger, LEDGER_WAITING)) != NULL) {
        fail(s, now, r, "canceled before it began: the agent stopped");
    }
    while ((r = marline__ledger_first(&s->ledger, LEDGER_RUNNING)) != NULL) {
        fail(s, now, r, "canceled: the agent stopped before the handler returned");
        cancel(s, r, "the agent stops", true);
    }
}

/* ---- delivery ---- */

static void settle(struct session *s, struct ledger_record *r)
{
    if (s->host->settled) {
        s->host->settled(s->host->user, r);
    }
    marline__ledger_move(&s->ledger, r, LEDGER_SETTLED);
}

void marline__session_result_written(struct session *s, uint64_t now, struct ledger_record *r)
{
    s->counters.results_written++;
    r->written_ns = now;
    /* The acknowledgement is of test results; metrics have none. */
    bool awaits = marline__session_peer_has(s, CAPABILITY_RESULT_ACK) && !r->is_metric;
    if (awaits && s->rules.keep_until_acknowledged) {
        marline__ledger_move(&s->ledger, r, LEDGER_WRITTEN);
    } else {
        settle(s, r);
    }
}

/* A result that no repetition will bring home. */
static void give_up(struct session *s, struct ledger_record *r, const char *reason)
{
    s->counters.results_given_up++;
    marline__log(LOG_WARN, "invocation %.*s: %s", SLICE_ARG(r->id), reason);
    if (s->host->buried) {
        struct session_trace unused = {.span_count = 0};
        s->host->buried(s->host->user, r, SLICE_EMPTY, (struct slice){r->result, r->result_size},
                        reason, &unused);
    }
    settle(s, r);
}

/* With a reason: the backend does not wait for it, such as a new one with an empty store. */
void marline__session_take_ack(struct session *s, const struct message_result_ack *m)
{
    char reason[ACK_REASON_SIZE];
    struct ledger_record *r = marline__ledger_find(&s->ledger, m->invocation_id, false);
    if (!r || (r->state != LEDGER_WRITTEN && r->state != LEDGER_READY)) {
        return;
    }
    if (m->reason.size > 0) {
        (void)snprintf(reason, sizeof reason, "the backend did not take the result: %.*s",
                       SLICE_ARG(m->reason));
        give_up(s, r, reason);
    } else {
        settle(s, r);
    }
}

void marline__session_expire_acks(struct session *s, uint64_t now)
{
    struct ledger_record *r;
    while ((r = marline__ledger_first(&s->ledger, LEDGER_WRITTEN)) != NULL &&
           now - r->written_ns >= SESSION_ACK_WAIT_MS * NS_PER_MS) {
        if (++r->silences < SESSION_ACK_SILENCES) {
            s->counters.results_repeated++;
            marline__ledger_move(&s->ledger, r, LEDGER_READY);
        } else {
            give_up(s, r, "the backend never acknowledged the result");
        }
    }
}

void marline__session_report_doubt(struct session *s, uint64_t now)
{
    struct list *settled = &s->ledger.states[LEDGER_SETTLED];
    for (struct list *node = settled->previous; node != settled; node = node->previous) {
        const struct ledger_record *r = LIST_ENTRY(node, struct ledger_record, node);
        if (r->written_ns == 0 || now - r->written_ns > SESSION_DOUBT_MS * NS_PER_MS) {
            return;
        }
        s->counters.results_doubtful++;
        marline__log(LOG_WARN,
                     "the result of invocation %.*s may be lost: the connection broke right after "
                     "it, and this backend does not acknowledge results",
                     SLICE_ARG(r->id));
    }
}

void marline__session_unwrite(struct session *s)
{
    uint32_t waiting = s->ledger.counts[LEDGER_READY];
    struct ledger_record *r;
    while ((r = marline__ledger_first(&s->ledger, LEDGER_WRITTEN)) != NULL) {
        s->counters.results_repeated++;
        marline__ledger_move(&s->ledger, r, LEDGER_READY);
    }
    for (; waiting > 0; waiting--) { /* those that waited before come after */
        r = marline__ledger_first(&s->ledger, LEDGER_READY);
        marline__ledger_move(&s->ledger, r, LEDGER_READY);
    }
}

void marline__session_write_in_flight(const struct session *s, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_array(&w);
    int end = s->rules.report_results ? LEDGER_SETTLED : LEDGER_READY;
    for (int state = LEDGER_WAITING; state < end; state++) {
        LIST_EACH(&s->ledger.states[state], node)
        {
            const struct ledger_record *r = LIST_ENTRY(node, struct ledger_record, node);
            if (!r->is_metric) {
                marline__json_string(&w, r->id);
            }
        }
    }
    marline__json_end_array(&w);
}

/* ---- an earlier life ---- */

static struct ledger_record *restore(struct session *s, const struct session_restored *from)
{
    struct ledger_record *older = marline__ledger_find(&s->ledger, from->id, from->is_metric);
    if (older) { /* a retry came after it */
        marline__ledger_drop(&s->ledger, older);
    }
    struct ledger_record *r = marline__ledger_add(&s->ledger, from->id, from->is_metric);
    if (r) {
        r->journal = from->journal;
        r->span_count = from->span_count;
    }
    return r;
}

marline_status marline__session_restore(struct session *s, const struct session_restored *from)
{
    char *copy = marline__memory_slice(from->result);
    struct ledger_record *r = copy ? restore(s, from) : NULL;
    if (!r) {
        marline__memory_free(copy);
        return MARLINE_ENOMEM;
    }
    if (!marline__ledger_set_result(&s->ledger, r, copy, from->result.size)) {
        marline__ledger_drop(&s->ledger, r);
        return MARLINE_EFULL;
    }
    marline__ledger_move(&s->ledger, r, LEDGER_READY);
    return MARLINE_OK;
}

marline_status marline__session_restore_settled(struct session *s,
                                                const struct session_restored *from)
{
    struct ledger_record *r = restore(s, from);
    if (!r) {
        return MARLINE_ENOMEM;
    }
    char *copy = from->result.size > 0 ? marline__memory_slice(from->result) : NULL;
    if (copy) { /* without a copy a repeat is told that the result is gone */
        (void)marline__ledger_set_result(&s->ledger, r, copy, from->result.size);
    }
    marline__ledger_move(&s->ledger, r, LEDGER_SETTLED);
    return MARLINE_OK;
}

marline_status marline__session_restore_lost(struct session *s, uint64_t now,
                                             const struct session_restored *from,
                                             const struct session_trace *trace, const char *error)
{
    struct ledger_record *r = restore(s, from);
    if (!r) {
        return MARLINE_ENOMEM;
    }
    r->started_ns = now;
    fail_traced(s, now, r, error, trace);
    return MARLINE_OK;
}
