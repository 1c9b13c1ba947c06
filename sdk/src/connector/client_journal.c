/* Between the session and the outbox: what a restart must not lose. */
#include <stdio.h>

#include "base/log.h"
#include "base/memory.h"
#include "connector/client_private.h"

enum { COMMIT_WITHIN_MS = 50 }; /* what is not urgent waits so long for company */

static const char lost_text[] = "agent restarted: it ended while this invocation was running";

static uint64_t wall_ns(void)
{
    return marline__clock_wall_ns(marline__clock_system());
}

/* ---- what the session reports ---- */

static uint64_t accepted(void *user, const struct ledger_record *record, struct slice request)
{
    const marline_client *client = user;
    return client->loop.outbox ? marline__outbox_accepted(client->loop.outbox, record->id,
                                                          record->is_metric, request, wall_ns())
                               : 0;
}

static uint64_t stored(void *user, const struct ledger_record *record)
{
    const marline_client *client = user;
    const struct outbox_record out = {.row = record->journal,
                                      .id = record->id,
                                      .is_metric = record->is_metric,
                                      .accepted_unix_ns = wall_ns(),
                                      .result = {record->result, record->result_size},
                                      .span_count = record->span_count,
                                      .span = record->span,
                                      .span_start_unix_ns = record->start_unix_ns,
                                      .stored_unix_ns = wall_ns()};
    return client->loop.outbox ? marline__outbox_stored(client->loop.outbox, &out) : 0;
}

static void settled(void *user, const struct ledger_record *record)
{
    const marline_client *client = user;
    if (client->loop.outbox) {
        marline__outbox_settled(client->loop.outbox, record->journal);
    }
}

/* A refused invocation has a span too: it says so in the trace of its test, and a retry goes on
 * from it. */
static void trace_refusal(const marline_client *client, const struct ledger_record *record,
                          struct slice request, const char *reason, struct session_trace *out_trace,
                          char out_traceparent[TRACEPARENT_SIZE])
{
    const struct invocation_failure failure = {0, "refused", reason};
    struct session_job *job = marline__session_job_create(request);
    if (job) { /* else it is malformed: there is nothing to say of it */
        job->failure = record->failure;
        marline__invocation_report_failure(job, client->tracer, &failure, out_trace,
                                           out_traceparent);
    }
}

static void buried(void *user, const struct ledger_record *record, struct slice request,
                   struct slice result, const char *reason, struct session_trace *out_trace)
{
    const marline_client *client = user;
    char traceparent[TRACEPARENT_SIZE] = "";
    if (request.size > 0 && !record->is_metric) {
        trace_refusal(client, record, request, reason, out_trace, traceparent);
    }
    const struct outbox_letter letter = {.id = record->id,
                                         .request = request,
                                         .result = result,
                                         .reason = reason,
                                         .traceparent = traceparent,
                                         .at_unix_ns = wall_ns()};
    if (client->loop.outbox) {
        marline__outbox_bury(client->loop.outbox, &letter);
    }
}

static const char *retry_refusal(marline_status status)
{
    return status == MARLINE_EFULL ? "too many results wait" : "what is kept of it cannot be read";
}

/* An invocation that was refused is executed; one whose result was not taken has it sent again. One
 * that is at work stays asked for until it is settled: its last result may be on its way. */
static void take_retry(marline_client *client, const struct outbox_asked *asked)
{
    struct session *session = client->loop.session;
    struct slice request = marline__buffer_slice(&asked->request);
    struct slice result = marline__buffer_slice(&asked->result);
    uint64_t now = marline__client_now();
    marline_status status =
        request.size > 0
            ? marline__session_retry(session, now, request, marline__slice_text(asked->traceparent))
            : marline__session_deliver_again(session, now, result);
    if (status == MARLINE_OK) {
        marline__outbox_unbury(client->loop.outbox, asked->number);
        return;
    }
    if (status == MARLINE_ESTATE) {
        client->loop.retries_wait = true;
        return;
    }
    marline__log(LOG_WARN, "dead letter %lld is not tried again: %s", (long long)asked->number,
                 retry_refusal(status));
    marline__outbox_refuse_retry(client->loop.outbox, asked->number, retry_refusal(status));
}

void marline__client_take_retries(marline_client *client)
{
    struct outbox_asked asked = {0};
    client->loop.retries_wait = false;
    while (client->loop.outbox &&
           marline__outbox_next_asked(client->loop.outbox, asked.number, &asked)) {
        if (asked.request.failed || asked.result.failed) {
            marline__log(LOG_ERROR, "dead letter %lld is not tried again now: out of memory",
                         (long long)asked.number);
        } else {
            take_retry(client, &asked);
        }
    }
    marline__buffer_deinit(&asked.request);
    marline__buffer_deinit(&asked.result);
}

/* On the outbox's own thread. */
static void on_asked(void *user)
{
    marline_client *client = user;
    pthread_mutex_lock(&client->shared.lock);
    client->shared.retries_asked = true;
    if (client->shared.running) {
        marline__websocket_wake(client->loop.ws);
    }
    pthread_mutex_unlock(&client->shared.lock);
}

void marline__client_add_journal(const marline_client *client, struct session_host *host)
{
    if (client->outbox_path) {
        host->accepted = accepted;
        host->stored = stored;
        host->settled = settled;
        host->buried = buried;
    }
}

/* ---- commits ---- */

void marline__client_secure(marline_client *client)
{
    bool urgent;
    if (client->loop.outbox && marline__outbox_is_pending(client->loop.outbox, &urgent) && urgent) {
        (void)marline__outbox_commit(client->loop.outbox); /* logged and counted there */
    }
}

uint64_t marline__client_tidy_journal(marline_client *client, uint64_t now)
{
    bool urgent;
    if (!client->loop.outbox || !marline__outbox_is_pending(client->loop.outbox, &urgent)) {
        client->loop.commit_by = TIME_NEVER;
    } else if (client->loop.commit_by == TIME_NEVER) {
        client->loop.commit_by = now + COMMIT_WITHIN_MS * NS_PER_MS;
    } else if (now >= client->loop.commit_by) {
        (void)marline__outbox_commit(client->loop.outbox);
        client->loop.commit_by = TIME_NEVER;
    }
    return client->loop.commit_by;
}

/* ---- starting ---- */

/* Invocations that were running when the last process ended. */
struct lost {
    struct list node;
    struct session_job *request;
    uint64_t accepted_unix_ns;
    uint64_t row;
};

struct restoration {
    marline_client *client;
    struct list lost;
    uint32_t results;
    bool failed;
};

static bool remember_lost(struct restoration *r, const struct outbox_record *record)
{
    struct lost *lost = marline__memory_zeroed(sizeof *lost);
    if (lost) {
        lost->request = marline__session_job_create(record->request);
        lost->accepted_unix_ns = record->accepted_unix_ns;
        lost->row = record->row;
        marline__list_push_back(&r->lost, &lost->node);
    }
    return lost && lost->request;
}

/* A result without its span would be a test nobody can look into. */
static void replay_span(const struct restoration *r, const struct outbox_record *record)
{
    struct session_job *request = marline__trace_id_is_valid(record->span.trace_id)
                                      ? marline__session_job_create(record->request)
                                      : NULL;
    if (request) {
        const struct invocation_replay replay = {record->span, record->span_start_unix_ns,
                                                 record->result};
        marline__invocation_replay(request, r->client->tracer, &replay);
    }
}

static bool visit(void *user, const struct outbox_record *record)
{
    struct restoration *r = user;
    struct session *session = r->client->loop.session;
    const struct session_restored from = {.id = record->id,
                                          .is_metric = record->is_metric,
                                          .journal = record->row,
                                          .result = record->result,
                                          .span_count = record->span_count};
    bool restored = true;
    replay_span(r, record);
    switch (record->state) {
    case OUTBOX_ACCEPTED:
        restored = remember_lost(r, record);
        break;
    case OUTBOX_STORED:
        restored = marline__session_restore(session, &from) == MARLINE_OK;
        r->results++;
        break;
    case OUTBOX_SETTLED:
        restored = marline__session_restore_settled(session, &from) == MARLINE_OK;
        break;
    }
    r->failed |= !restored;
    return true;
}

static void report_lost(struct restoration *r, struct lost *lost)
{
    struct session_trace trace = {.span_count = 0};
    struct session_job *request = lost->request;
    const struct message_test_context *test = &request->test.test;
    struct slice id = request->test.invocation_id;
    char *id_copy = marline__memory_slice(id);
    id.data = id_copy;
    bool is_metric = request->is_metric;
    if (!is_metric) {
        marline__log(LOG_WARN,
                     "invocation %.*s (test run %.*s, test %.*s, configuration %.*s) was "
                     "running when the agent ended: reported as an error",
                     SLICE_ARG(id), SLICE_ARG(test->test_run_id), SLICE_ARG(test->test_id),
                     SLICE_ARG(test->test_configuration_id));
        const struct invocation_failure failure = {lost->accepted_unix_ns, "agent_restarted",
                                                   lost_text};
        marline__invocation_report_failure(request, r->client->tracer, &failure, &trace, NULL);
    } else {
        marline__session_job_free(request);
    }
    const struct session_restored from = {.id = id, .is_metric = is_metric, .journal = lost->row};
    r->failed |=
        !id_copy || marline__session_restore_lost(r->client->loop.session, marline__client_now(),
                                                  &from, &trace, lost_text) != MARLINE_OK;
    marline__memory_free(id_copy);
}

marline_status marline__client_restore(marline_client *client, marline_error *error)
{
    if (!client->loop.outbox) {
        return MARLINE_OK;
    }
    struct restoration r = {.client = client};
    marline__list_init(&r.lost);
    marline_status status = marline__outbox_load(client->loop.outbox, visit, &r);
    struct list *node;
    while ((node = marline__list_pop_front(&r.lost)) != NULL) {
        struct lost *lost = LIST_ENTRY(node, struct lost, node);
        if (lost->request) {
            report_lost(&r, lost);
        }
        marline__memory_free(lost);
    }
    marline__client_secure(client);
    if (r.results > 0) {
        marline__log(LOG_INFO, "the outbox holds %u result(s) of an earlier run", r.results);
    }
    if (r.failed) {
        marline__log(LOG_ERROR,
                     "some records of the outbox could not be restored; they stay there");
    }
    return status == MARLINE_OK
               ? status
               : marline__refuse(error, status, "outbox %s cannot be read", client->outbox_path);
}

marline_status marline__client_open_journal(marline_client *client, marline_error *error)
{
    client->loop.commit_by = TIME_NEVER;
    if (!client->outbox_path) {
        return MARLINE_OK;
    }
    struct buffer scope = BUFFER_INIT;
    marline__buffer_append_format(&scope, "%s %s %s", client->url, client->project_id,
                                  client->environment);
    const struct outbox_options options = {.path = client->outbox_path,
                                           .scope = scope.data,
                                           .durable = client->outbox_durable,
                                           .on_asked = on_asked,
                                           .user = client};
    marline_status status = scope.failed
                                ? marline__refuse(error, MARLINE_ENOMEM, "out of memory")
                                : marline__outbox_open(&options, &client->loop.outbox, error);
    marline__buffer_deinit(&scope);
    if (status == MARLINE_OK) {
        (void)snprintf(client->agent_id, sizeof client->agent_id, "%s",
                       marline__outbox_agent_id(client->loop.outbox));
    }
    return status;
}

void marline__client_flush_journal(marline_client *client)
{
    bool orderly = client->loop.outbox && client->shared.status == MARLINE_OK;
    if (orderly && client->provider &&
        marline_provider_force_flush(client->provider, client->flush_wait_ms) == MARLINE_OK) {
        marline__outbox_forget_spans(client->loop.outbox);
    }
}

void marline__client_close_journal(marline_client *client)
{
    marline__outbox_close(client->loop.outbox);
    client->loop.outbox = NULL;
}
