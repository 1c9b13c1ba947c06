/* See session_rig.h. */
#include "session_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static bool find_endpoint(void *user, struct slice name, struct session_endpoint *out)
{
    struct rig *rig = user;
    if (marline__slice_is(name, "f")) {
        *out = rig->f;
        return true;
    }
    *out = rig->g;
    return marline__slice_is(name, "g");
}

static void write_registration(void *user, struct buffer *functions, struct buffer *metrics)
{
    (void)user;
    marline__buffer_append_text(functions, "[{\"name\":\"f\"}]");
    marline__buffer_append_text(metrics, "[]");
}

static void describe(void *user, const struct ledger_record *record, struct session_trace *out)
{
    (void)record;
    *out = ((struct rig *)user)->trace;
}

static void note(struct rig *rig, const char *event, const struct ledger_record *record)
{
    size_t used = strlen(rig->journal);
    (void)snprintf(rig->journal + used, sizeof rig->journal - used, "%s %s;", event,
                   record->id_text);
}

static uint64_t accepted(void *user, const struct ledger_record *record, struct slice request)
{
    assert_true(request.size > 0);
    note(user, "accepted", record);
    return 0;
}

static uint64_t stored(void *user, const struct ledger_record *record)
{
    assert_non_null(record->result);
    note(user, "stored", record);
    return 0;
}

static void settled(void *user, const struct ledger_record *record)
{
    note(user, "settled", record);
}

static void buried(void *user, const struct ledger_record *record, struct slice request,
                   struct slice result, const char *reason, struct session_trace *out_trace)
{
    assert_true((request.size > 0) != (result.size > 0));
    assert_true(strlen(reason) > 0);
    note(user, "buried", record);
    const struct rig *rig = user;
    if (rig->refusal_trace) {
        (void)snprintf(out_trace->trace_id, sizeof out_trace->trace_id, "%s", rig->refusal_trace);
    }
}

void rig_restart(struct rig *rig)
{
    marline__session_destroy(rig->session);
    rig->session = marline__session_create(&rig->options, &rig->host);
    assert_non_null(rig->session);
}

int rig_set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    rig->now = 1000 * NS_PER_S;
    rig->f.key = 1;
    rig->g.key = 2;
    rig->host = (struct session_host){.find_endpoint = find_endpoint,
                                      .write_registration = write_registration,
                                      .describe = describe,
                                      .accepted = accepted,
                                      .stored = stored,
                                      .settled = settled,
                                      .buried = buried,
                                      .user = rig};
    rig->options = (struct session_options){
        .project_id = SLICE("11111111-1111-4111-8111-111111111111"),
        .environment = SLICE("development"),
        .agent_id = SLICE("agent-1"),
        .sdk_version = SLICE("0.1.0"),
        .concurrency = 2,
        .queue_max = 3,
        .backoff_first_ns = NS_PER_S,
        .backoff_max_ns = 60 * NS_PER_S,
    };
    rig_restart(rig);
    *state = rig;
    return 0;
}

int rig_tear_down(void **state)
{
    struct rig *rig = *state;
    marline__session_job_free(rig->job);
    marline__session_destroy(rig->session);
    free(rig);
    return 0;
}

struct session_action rig_expect(struct rig *rig, enum session_action_type type)
{
    struct session_action action;
    if (!marline__session_next_action(rig->session, rig->now, &action)) {
        fail_msg("no action instead of %d", type);
    }
    if (action.type != type) {
        fail_msg("action %d (state %d, '%s') instead of %d", action.type, action.state, action.text,
                 type);
    }
    if (type == SESSION_INVOKE) {
        marline__session_job_free(rig->job);
        rig->job = action.job;
    }
    return action;
}

const char *rig_expect_state(struct rig *rig, enum session_state state)
{
    struct session_action action = rig_expect(rig, SESSION_CHANGED);
    assert_int_equal(action.state, state);
    return action.text;
}

void rig_expect_no_action(struct rig *rig)
{
    struct session_action action;
    if (marline__session_next_action(rig->session, rig->now, &action)) {
        fail_msg("unexpected action %d, state %d, '%s'", action.type, action.state, action.text);
    }
}

const char *rig_text(struct rig *rig)
{
    static char text[4096];
    struct slice s;
    bool wanted = marline__session_wants_write(rig->session, rig->now);
    bool there = marline__session_next_text(rig->session, rig->now, &s);
    assert_int_equal(wanted, there);
    if (!there) {
        return NULL;
    }
    (void)snprintf(text, sizeof text, "%.*s", SLICE_ARG(s));
    (void)marline__session_written(rig->session, rig->now);
    return text;
}

void rig_receive(struct rig *rig, const char *text)
{
    marline__session_text(rig->session, rig->now, marline__slice_text(text));
}

void rig_pass_ms(struct rig *rig, uint64_t ms)
{
    rig->now += ms * RIG_MS;
    marline__session_tick(rig->session, rig->now);
}

void rig_open(struct rig *rig)
{
    marline__session_start(rig->session, rig->now);
    rig_expect_state(rig, SESSION_CONNECTING);
    rig_expect(rig, SESSION_CONNECT);
    marline__session_opened(rig->session, rig->now);
    rig_expect_state(rig, SESSION_OPEN);
    rig_expect_no_action(rig);
}

void rig_register(struct rig *rig, const char *extensions)
{
    char connected[512];
    (void)snprintf(connected, sizeof connected, "{\"type\":\"connected\",\"status\":\"success\"%s}",
                   extensions);
    rig_receive(rig, connected);
    assert_non_null(strstr(rig_text(rig), "{\"type\":\"register\""));
    rig_expect_state(rig, SESSION_REGISTERING);
    rig_receive(rig, "{\"type\":\"registered\",\"status\":\"success\"}");
    rig_expect_state(rig, SESSION_REGISTERED);
    rig_expect_no_action(rig);
    rig_pass_ms(rig, 1000); /* the pacer forgets the registration */
}

void rig_invoke(struct rig *rig, const char *id)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"type\":\"execute_test\",\"test_run_id\":\"%s\",\"function_name\":\"f\","
                   "\"inputs\":{\"input\":\"hi\"}}",
                   id);
    rig_receive(rig, text);
    struct session_action action = rig_expect(rig, SESSION_INVOKE);
    assert_true(marline__slice_is(action.id, id));
}

void rig_finish(struct rig *rig, const char *id)
{
    const struct message_test_result result = {
        .invocation_id = marline__slice_text(id),
        .success = true,
        .output = SLICE("{\"output\":\"x\"}"),
        .duration_ms = 4.5,
        .trace_id = SLICE("85094a4cbcd769b66394d2829bd934b9"),
        .span_count = 3,
    };
    marline__session_finished(rig->session, rig->now, &result);
}

void rig_lose(struct rig *rig)
{
    marline__session_closed(rig->session, rig->now, rig->random, 1006, false, SLICE_EMPTY);
}
