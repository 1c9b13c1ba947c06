/* See endpoint_call.h. */
#include "http/endpoint_call.h"

#include <stdio.h>

#include "base/clock.h"
#include "core/alloc.h"
#include "core/mapping.h"
#include "http/server.h"
#include "wire/json_reader.h"

static void free_call(struct endpoint_call *c)
{
    marline__buffer_deinit(&c->inputs);
    marline__memory_free(c->response_mapping);
    marline__memory_free(c->environment);
    marline__memory_free(c->function_name);
    marline__memory_free(c);
}

static void answered(struct hub *hub, struct hub_call *call, const struct hub_answer *answer)
{
    struct endpoint_call *c = LIST_ENTRY(call, struct endpoint_call, call);
    c->done(c, answer);
    hub_acknowledge(hub, answer->session, marline__slice_text(call->id));
    free_call(c);
}

/* On the loop. */
static void send_call(struct hub *hub, struct hub_job *job)
{
    struct endpoint_call *c = LIST_ENTRY(job, struct endpoint_call, job);
    struct message_test_context none = {0}; /* takes reserved keys of users out (§2.6) */
    struct hub_invocation invocation = {
        .project = marline__slice_text(c->project),
        .environment = marline__slice_text(c->environment),
        .function_name = marline__slice_text(c->function_name),
        .inputs = marline__buffer_slice(&c->inputs),
        .test = &none,
        .conversation = &c->conversation,
        .timeout_ms = HUB_FUNCTION_TIMEOUT_MS,
        .deadline_ns = hub_now_ns(hub) + HUB_FUNCTION_TIMEOUT_MS * NS_PER_MS,
    };
    if (!hub_call_send(hub, &invocation, &c->call)) {
        c->done(c, NULL);
        free_call(c);
    }
}

void endpoint_call_begin(struct http_request *r, const struct entity_target *target,
                         struct slice input,
                         const struct message_conversation_context *conversation,
                         void (*done)(struct endpoint_call *call, const struct hub_answer *answer),
                         void *user)
{
    struct endpoint_call *c = alloc_zeroed(sizeof(*c));
    uint64_t random = marline__random_u64(marline__random_system());
    c->request = r;
    c->done = done;
    c->user = user;
    if (conversation) {
        c->conversation = *conversation;
    }
    marline__uuid_format(&target->project_id, c->project);
    c->environment = alloc_slice(target->environment);
    c->function_name = alloc_slice(target->function_name);
    c->response_mapping = alloc_slice(target->response_mapping);
    mapping_inputs(target->request_mapping, input, &c->inputs);
    (void)snprintf(c->call.id, sizeof(c->call.id), "invoke_%012llx",
                   (unsigned long long)(random & 0xffffffffffffull));
    c->call.done = answered;
    c->job.run = send_call;
    hub_post(http_request_server(r)->hub, &c->job);
}

void endpoint_call_write_output(const struct endpoint_call *c,
                                const struct message_test_result *result, struct buffer *out)
{
    struct buffer output = BUFFER_INIT; /* Python's NaN is no JSON */
    marline__json_append_finite(&output, result->output);
    alloc_check_buffer(&output);
    mapping_answer(marline__slice_text(c->response_mapping), marline__buffer_slice(&output), out);
    marline__buffer_deinit(&output);
}

/* The platform tells its own failures of the channel by their text, and so takes a function's error
 * of the same text for one (§2.7). */
static bool is_transport_code(struct slice error, struct endpoint_failure *out)
{
    static const struct {
        const char *code;
        const char *type;
        const char *prefix;
    } codes[] = {{"timeout", "sdk_timeout", "SDK function timed out: "},
                 {"send_failed", "sdk_send_failed", "Failed to send to SDK client: "},
                 {"sdk_disconnected", "sdk_disconnected", "SDK client disconnected: "}};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (marline__slice_is(error, codes[i].code)) {
            *out = (struct endpoint_failure){codes[i].type, codes[i].prefix, error};
            return true;
        }
    }
    return false;
}

bool endpoint_call_failed(const struct hub_answer *answer, struct endpoint_failure *out)
{
    if (!answer) {
        *out = (struct endpoint_failure){"sdk_not_connected", "SDK client not connected: ",
                                         SLICE("no agent serves this endpoint now")};
    } else if (!answer->result) {
        *out = (struct endpoint_failure){
            "sdk_timeout", "SDK function timed out: ", marline__slice_text(answer->failure)};
    } else if (answer->result->success) {
        return false;
    } else if (!is_transport_code(answer->result->error, out)) {
        *out = (struct endpoint_failure){"sdk_function_error",
                                         "SDK function error: ", answer->result->error};
    }
    return true;
}
