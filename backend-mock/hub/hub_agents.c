/* Agents' connections: frames in and out of agent_session, calls sent and answered. */
#include <stdio.h>

#include "base/hex.h"
#include "base/log.h"
#include "core/alloc.h"
#include "hub/auth.h"
#include "hub/hub_parts.h"

static struct slice number_key(const uint64_t *number)
{
    return (struct slice){(const char *)number, sizeof(*number)};
}

struct hub_session *hub_session_find(const struct hub *hub, uint64_t number)
{
    return text_map_get(&hub->loop.sessions, number_key(&number));
}

/* ---- sending, with the faults that tests ask for ---- */

/* The value of "type", which every message of ours begins with. */
static struct slice type_of(struct slice text)
{
    static const char begin[] = "{\"type\":\"";
    if (!marline__slice_starts(text, begin)) {
        return SLICE_EMPTY;
    }
    const char *word = text.data + sizeof(begin) - 1;
    const char *end = memchr(word, '"', text.size - (sizeof(begin) - 1));
    return end ? (struct slice){word, (size_t)(end - word)} : SLICE_EMPTY;
}

struct delayed_message {
    struct hub_job job;
    uint64_t session;
    char *text;
};

static void send_delayed(struct hub *hub, struct hub_job *job)
{
    struct delayed_message *d = LIST_ENTRY(job, struct delayed_message, job);
    struct hub_session *s = hub_session_find(hub, d->session);
    if (s) {
        ws_connection_send(s->ws, marline__slice_text(d->text));
    }
    marline__memory_free(d->text);
    marline__memory_free(d);
}

static void send_later(struct hub *hub, const struct hub_session *s, struct slice text,
                       uint32_t delay_ms)
{
    struct delayed_message *d = alloc_zeroed(sizeof(*d));
    d->session = s->number;
    d->text = alloc_slice(text);
    d->job.run = send_delayed;
    d->job.deadline_ns = hub_now_ns(hub) + delay_ms * NS_PER_MS;
    hub_post(hub, &d->job);
}

static void send_text(struct hub *hub, struct hub_session *s, struct slice text)
{
    struct slice type = type_of(text);
    struct fault_rule fault =
        faults_match(hub->options.faults, &s->identity.organization_id, FAULT_SENT, type);
    journal_note(hub->options.journal, &s->identity.organization_id, FAULT_SENT, type, 0);
    switch (fault.action) {
    case FAULT_WITHHOLD:
        return;
    case FAULT_CLOSE:
        ws_connection_close(s->ws, fault.code, "A fault was asked for");
        return;
    case FAULT_DELAY:
        send_later(hub, s, text, fault.delay_ms);
        return;
    case FAULT_DUPLICATE:
        ws_connection_send(s->ws, text);
        break;
    default:
        break;
    }
    ws_connection_send(s->ws, text);
}

void hub_session_apply(struct hub *hub, struct hub_session *s, const struct agent_step *step)
{
    if (step->reply.size) {
        if (marline__slice_is(type_of(step->reply), "error")) { /* debug: an agent could flood it */
            marline__log(LOG_DEBUG, "a message of agent %llu is refused: %.*s",
                         (unsigned long long)s->number, SLICE_ARG(step->reply));
        }
        send_text(hub, s, step->reply);
    }
    if (step->close_code) {
        ws_connection_close(s->ws, step->close_code, step->close_reason);
    }
}

bool hub_find_functions(struct hub *hub, struct slice project, struct slice environment,
                        struct slice *out_functions)
{
    const struct hub_session *s =
        hub_session_find(hub, router_find(hub->loop.router, project, environment));
    if (!s) {
        return false;
    }
    char name[HUB_ROUTE_NAME_SIZE];
    (void)snprintf(name, sizeof(name), "%.*s:%.*s", SLICE_ARG(project), SLICE_ARG(environment));
    *out_functions = marline__slice_text(text_map_get(&s->functions, marline__slice_text(name)));
    return true;
}

/* ---- calls ---- */

static void send_message(struct hub *hub, struct hub_session *s,
                         const struct connector_message *message)
{
    struct buffer text = BUFFER_INIT;
    marline__message_encode(message, &text);
    alloc_check_buffer(&text);
    send_text(hub, s, marline__buffer_slice(&text));
    marline__buffer_deinit(&text);
}

static void acknowledge(struct hub *hub, uint64_t session, struct slice invocation_id,
                        struct slice reason)
{
    struct hub_session *s = hub_session_find(hub, session);
    if (s && agent_session_capabilities(s->agent) & CAPABILITY_RESULT_ACK) {
        struct connector_message message = {.type = MESSAGE_RESULT_ACK};
        message.result_ack.invocation_id = invocation_id;
        message.result_ack.reason = reason;
        send_message(hub, s, &message);
    }
}

void hub_acknowledge(struct hub *hub, uint64_t session, struct slice invocation_id)
{
    acknowledge(hub, session, invocation_id, SLICE_EMPTY);
}

static void encode_invocation(const struct hub_session *s, const struct hub_invocation *invocation,
                              const char *id, struct buffer *out)
{
    uint32_t capabilities = agent_session_capabilities(s->agent);
    struct buffer inputs = BUFFER_INIT;
    struct connector_message message = {.type = MESSAGE_EXECUTE_TEST};
    message.execute_test.invocation_id = marline__slice_text(id);
    message.execute_test.function_name = invocation->function_name;
    message.execute_test.inputs = invocation->inputs;
    if (invocation->test) {
        struct message_test_context test = *invocation->test;
        if (!(capabilities & CAPABILITY_ATTEMPT)) {
            test.attempt = 0;
        }
        if (marline__message_inputs(invocation->inputs, &test, invocation->conversation, &inputs)) {
            message.execute_test.inputs = marline__buffer_slice(&inputs);
        }
        alloc_check_buffer(&inputs);
    }
    if (capabilities & CAPABILITY_DEADLINE) {
        message.execute_test.deadline_ms = invocation->timeout_ms;
    }
    marline__message_encode(&message, out);
    alloc_check_buffer(out);
    marline__buffer_deinit(&inputs);
}

bool hub_call_send(struct hub *hub, const struct hub_invocation *invocation, struct hub_call *call)
{
    uint64_t number = router_find(hub->loop.router, invocation->project, invocation->environment);
    struct hub_session *s = hub_session_find(hub, number);
    if (!s || agent_session_is_draining(s->agent)) {
        return false;
    }
    struct buffer text = BUFFER_INIT;
    encode_invocation(s, invocation, call->id, &text);
    const struct router_call begun = {.id = marline__slice_text(call->id),
                                      .session = number,
                                      .is_test = true,
                                      .project = invocation->project,
                                      .environment = invocation->environment,
                                      .deadline_ns = invocation->deadline_ns,
                                      .user = call};
    router_call_begin(hub->loop.router, &begun);
    const struct self_trace_call sent = {begun.id, invocation->function_name,
                                         invocation->environment, text.size};
    call->sent = self_trace_call(hub->options.tracer, &sent);
    send_text(hub, s, marline__buffer_slice(&text));
    marline__buffer_deinit(&text);
    return true;
}

struct slice hub_agent_id(struct hub *hub, struct slice project, struct slice environment)
{
    const struct router *router = hub->loop.router;
    return router_agent_id(router, router_find(router, project, environment));
}

void hub_call_restore(struct hub *hub, const struct hub_restored_call *from, struct hub_call *call)
{
    char organization[UUID_TEXT_SIZE];
    marline__uuid_format(&from->organization_id, organization);
    const struct router_call begun = {.id = marline__slice_text(call->id),
                                      .organization = marline__slice_text(organization),
                                      .agent_id = from->agent_id,
                                      .is_test = true,
                                      .project = from->project,
                                      .environment = from->environment,
                                      .deadline_ns = TIME_NEVER,
                                      .user = call};
    router_call_begin(hub->loop.router, &begun);
}

bool hub_metric_send(struct hub *hub, const struct hub_metric_call *metric, struct hub_call *call)
{
    char route[HUB_METRIC_ROUTE_SIZE];
    struct slice name = hub_metric_route(metric->metric_name, route);
    uint64_t number = router_find(hub->loop.router, metric->organization, name);
    struct hub_session *s = hub_session_find(hub, number);
    if (!s || agent_session_is_draining(s->agent)) {
        return false;
    }
    struct connector_message message = {.type = MESSAGE_EXECUTE_METRIC};
    message.execute_metric.metric_run_id = marline__slice_text(call->id);
    message.execute_metric.metric_name = metric->metric_name;
    message.execute_metric.inputs = metric->inputs;
    const struct router_call begun = {.id = marline__slice_text(call->id),
                                      .session = number,
                                      .project = metric->organization,
                                      .environment = name,
                                      .deadline_ns = metric->deadline_ns,
                                      .user = call};
    router_call_begin(hub->loop.router, &begun);
    send_message(hub, s, &message);
    return true;
}

void hub_call_withdraw(struct hub *hub, struct hub_call *call)
{
    struct slice id = marline__slice_text(call->id);
    struct hub_session *s = hub_session_find(hub, router_call_session(hub->loop.router, id));
    if (!router_cancel(hub->loop.router, id) || !s ||
        !(agent_session_capabilities(s->agent) & CAPABILITY_CANCEL)) {
        return;
    }
    struct connector_message message = {.type = MESSAGE_CANCEL};
    message.cancel.invocation_id = id;
    message.cancel.reason = SLICE("nobody waits for the result");
    send_message(hub, s, &message);
}

static void take_result(struct hub *hub, struct hub_session *s,
                        const struct message_test_result *result)
{
    void *user = NULL;
    struct hub_call *call;
    struct hub_answer answer = {
        .result = result, .failure = "a test result came instead", .session = s->number};
    switch (router_complete(hub->loop.router, result->invocation_id, s->number, &user)) {
    case ROUTER_ACCEPTED:
        call = user;
        hub->loop.answered = call->sent;
        call->done(hub, call, &answer);
        break;
    case ROUTER_COMPLETED:
        if (!hub_runs_result_repeated(hub, result->invocation_id, s->number)) {
            hub_acknowledge(hub, s->number, result->invocation_id);
        }
        break;
    case ROUTER_FOREIGN:
        marline__log(LOG_WARN, "result of %.*s refused: another agent was asked",
                     SLICE_ARG(result->invocation_id));
        break;
    case ROUTER_UNKNOWN:
        marline__log(LOG_WARN, "result of %.*s dropped: no such invocation",
                     SLICE_ARG(result->invocation_id));
        acknowledge(hub, s->number, result->invocation_id,
                    SLICE("nobody waits for this invocation, or not any more"));
        break;
    }
}

static void take_metric_result(struct hub *hub, struct hub_session *s,
                               const struct message_metric_result *metric)
{
    void *user = NULL;
    struct hub_answer answer = {
        .metric = metric, .failure = "a metric result came instead", .session = s->number};
    if (router_complete(hub->loop.router, metric->metric_run_id, s->number, &user) ==
        ROUTER_ACCEPTED) {
        struct hub_call *call = user;
        call->done(hub, call, &answer);
    } else {
        marline__log(LOG_WARN, "metric result of %.*s dropped: not asked for, or late",
                     SLICE_ARG(metric->metric_run_id));
    }
}

static void expire_calls(struct hub *hub, uint64_t now_ns, const char *failure)
{
    const struct hub_answer answer = {.failure = failure};
    for (struct hub_call *call; (call = router_expire(hub->loop.router, now_ns));) {
        call->done(hub, call, &answer);
    }
}

/* ---- frames ---- */

static void handle_event(struct hub *hub, struct hub_session *s, const struct agent_step *step)
{
    switch (step->event) {
    case AGENT_REGISTER:
        hub_registration_begin(hub, s, &step->message->registration);
        break;
    case AGENT_RESULT:
        take_result(hub, s, &step->message->test_result);
        break;
    case AGENT_METRIC_RESULT:
        take_metric_result(hub, s, &step->message->metric_result);
        break;
    case AGENT_DRAIN: /* hub_call_send asks the session */
    case AGENT_NOTHING:
        break;
    }
}

/* With the faults that tests ask for. */
static void take_message(struct hub *hub, struct hub_session *s, const struct agent_step *step)
{
    const struct uuid *organization = &s->identity.organization_id;
    struct slice type = step->message->type_name;
    struct fault_rule fault = {.action = FAULT_NONE};
    journal_note(hub->options.journal, organization, FAULT_RECEIVED, type, 0);
    if (step->event != AGENT_NOTHING) {
        fault = faults_match(hub->options.faults, organization, FAULT_RECEIVED, type);
    }
    if (fault.action == FAULT_CLOSE) {
        ws_connection_close(s->ws, fault.code, "A fault was asked for");
    } else if (fault.action != FAULT_WITHHOLD) {
        handle_event(hub, s, step);
    }
    if (fault.action == FAULT_DUPLICATE) {
        handle_event(hub, s, step);
    }
}

static void handle_step(struct hub *hub, struct hub_session *s, const struct agent_step *step)
{
    hub_session_apply(hub, s, step);
    if (step->message) {
        take_message(hub, s, step);
    }
    hub_settle(hub);
}

static bool on_admit(void *user, struct slice authorization, void **out_connection_user)
{
    struct hub *hub = user;
    struct auth_identity identity;
    if (hub->loop.stopping ||
        auth_check(hub->options.store, authorization, AUTH_SCHEME_EXACT, &identity) != AUTH_OK) {
        marline__log(LOG_INFO, "agent refused: unknown key");
        return false;
    }
    struct hub_session *s = alloc_zeroed(sizeof(*s));
    s->number = ++hub->loop.last_session;
    s->identity = identity;
    text_map_init(&s->functions);
    *out_connection_user = s;
    return true;
}

static void note_idle_deadline(struct hub *hub, const struct hub_session *s)
{
    uint64_t deadline = agent_session_deadline(s->agent);
    if (deadline < hub->loop.next_idle_ns) {
        hub->loop.next_idle_ns = deadline;
    }
}

static void on_opened(void *user, struct ws_connection *c)
{
    struct hub *hub = user;
    struct hub_session *s = ws_connection_user(c);
    s->ws = c;
    char connection_id[UUID_TEXT_SIZE];
    char organization[UUID_TEXT_SIZE];
    char person[UUID_TEXT_SIZE];
    (void)snprintf(connection_id, sizeof(connection_id), "%016llx%016llx",
                   (unsigned long long)marline__random_u64(marline__random_system()),
                   (unsigned long long)marline__random_u64(marline__random_system()));
    marline__uuid_format(&s->identity.organization_id, organization);
    marline__uuid_format(&s->identity.user_id, person);
    struct agent_identity identity = {.connection_id = marline__slice_text(connection_id),
                                      .organization_id = marline__slice_text(organization),
                                      .user_id = marline__slice_text(person)};
    struct agent_step step;
    s->agent = agent_session_open(&hub->options.agent_limits, &identity, hub_now_ns(hub), &step);
    text_map_put(&hub->loop.sessions, number_key(&s->number), s);
    char credential[2 * sizeof(s->identity.key_sha256)];
    marline__hex_encode(s->identity.key_sha256, sizeof(s->identity.key_sha256), credential);
    router_session_opened(hub->loop.router, s->number, marline__slice_text(organization),
                          (struct slice){credential, sizeof(credential)});
    note_idle_deadline(hub, s);
    handle_step(hub, s, &step);
}

/* Only when the backend traces itself: what the span says is not free. */
static void handle_traced(struct hub *hub, struct hub_session *s, const struct agent_step *step,
                          size_t size, uint64_t start_unix_ns)
{
    char type[40] = "";
    struct self_trace_message traced = {.type = type,
                                        .size = size,
                                        .organization_id = s->identity.organization_id,
                                        .rate = agent_session_rate(s->agent, hub_now_ns(hub)),
                                        .start_unix_ns = start_unix_ns};
    if (step->message) {
        (void)snprintf(type, sizeof(type), "%.*s", SLICE_ARG(step->message->type_name));
    }
    hub->loop.answered = (marline_span){.record = NULL};
    handle_step(hub, s, step);
    traced.call = hub->loop.answered;
    self_trace_message(hub->options.tracer, &traced);
}

static void on_text(void *user, struct ws_connection *c, struct slice text)
{
    struct hub *hub = user;
    struct hub_session *s = ws_connection_user(c);
    struct agent_step step;
    uint64_t start = hub->options.tracer ? marline__clock_wall_ns(marline__clock_system()) : 0;
    agent_session_text(s->agent, text, hub_now_ns(hub), &step);
    if (hub->options.tracer) {
        handle_traced(hub, s, &step, text.size, start);
    } else {
        handle_step(hub, s, &step);
    }
}

static void on_binary(void *user, struct ws_connection *c)
{
    struct hub *hub = user;
    struct hub_session *s = ws_connection_user(c);
    struct agent_step step;
    agent_session_binary(s->agent, hub_now_ns(hub), &step);
    handle_step(hub, s, &step);
}

static void on_oversize(void *user, struct ws_connection *c)
{
    struct hub *hub = user;
    struct hub_session *s = ws_connection_user(c);
    struct agent_step step;
    agent_session_oversize(s->agent, hub_now_ns(hub), &step);
    handle_step(hub, s, &step);
}

static void add_counters(struct agent_session_counters *sum,
                         const struct agent_session_counters *more)
{
    sum->messages += more->messages;
    sum->oversize += more->oversize;
    sum->rate_limited += more->rate_limited;
    sum->invalid_json += more->invalid_json;
    sum->ill_formed += more->ill_formed;
    sum->unknown_type += more->unknown_type;
}

void hub_agents_count(const struct hub *hub, struct agent_session_counters *out)
{
    struct text_map_cursor cursor;
    *out = hub->loop.closed;
    text_map_begin(&hub->loop.sessions, &cursor);
    for (const struct hub_session *s; (s = text_map_next(&hub->loop.sessions, &cursor, NULL));) {
        add_counters(out, agent_session_counters(s->agent));
    }
}

static void on_closed(void *user, void *connection_user)
{
    struct hub *hub = user;
    struct hub_session *s = connection_user;
    text_map_remove(&hub->loop.sessions, number_key(&s->number));
    router_session_closed(hub->loop.router, s->number);
    struct text_map_cursor cursor;
    text_map_begin(&s->functions, &cursor);
    for (char *functions; (functions = text_map_next(&s->functions, &cursor, NULL));) {
        marline__memory_free(functions);
    }
    text_map_deinit(&s->functions);
    if (s->agent) {
        add_counters(&hub->loop.closed, agent_session_counters(s->agent));
    }
    agent_session_destroy(s->agent);
    marline__memory_free(s);
    hub_settle(hub);
}

const struct ws_events hub_agent_events = {
    .admit = on_admit,
    .opened = on_opened,
    .text = on_text,
    .binary = on_binary,
    .oversize = on_oversize,
    .closed = on_closed,
    .woken = hub_on_woken,
    .timer = hub_on_timer,
};

/* ---- time ---- */

void hub_agents_tick(struct hub *hub, uint64_t now_ns)
{
    expire_calls(hub, now_ns, "timeout");
    if (now_ns < hub->loop.next_idle_ns) {
        return;
    }
    hub->loop.next_idle_ns = TIME_NEVER;
    struct text_map_cursor cursor;
    text_map_begin(&hub->loop.sessions, &cursor);
    for (struct hub_session *s; (s = text_map_next(&hub->loop.sessions, &cursor, NULL));) {
        struct agent_step step;
        agent_session_tick(s->agent, now_ns, &step);
        hub_session_apply(hub, s, &step);
        if (!step.close_code) {
            note_idle_deadline(hub, s);
        }
    }
}

void hub_agents_end_calls(struct hub *hub)
{
    expire_calls(hub, TIME_NEVER, "shutting down");
}

void hub_agents_close_all(struct hub *hub)
{
    struct text_map_cursor cursor;
    text_map_begin(&hub->loop.sessions, &cursor);
    for (struct hub_session *s; (s = text_map_next(&hub->loop.sessions, &cursor, NULL));) {
        ws_connection_close(s->ws, WS_CLOSE_GOING_AWAY, "Shutting down");
    }
}
