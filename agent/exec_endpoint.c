/* An endpoint served by a program in any language. */
#include "agent/exec_endpoint.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <marline/propagation.h>
#include <marline/trace.h>

#include "agent/child_environment.h"
#include "agent/long_lived_process.h"
#include "agent/output.h"
#include "agent/process.h"
#include "agent/score.h"
#include "base/clock.h"
#include "programs/logger.h"
#include "programs/must.h"
#include "wire/json_pointer.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

enum { MESSAGE_SIZE = 1024, EXCERPT_MAX = 200 };

struct complaint {
    const char *type; /* error.type of the span; NULL while all is well */
    char text[MESSAGE_SIZE];
};

struct watch {
    marline_call *call;
    const struct exec_endpoint *endpoint;
};

static bool is_canceled(void *user)
{
    const struct watch *w = user;
    return marline_call_is_canceled(w->call);
}

static void log_line(void *user, const char *line)
{
    const struct watch *w = user;
    logger_write(LOG_INFO, "%s: %s", w->endpoint->name, line);
}

static marline_status answer(marline_call *call, const struct exec_endpoint *e, struct slice text)
{
    return e->is_metric ? score_set(call, text) : output_set(call, text);
}

/* ---- what went wrong, in words ---- */

static void describe_exit(const struct exec_endpoint *e, const struct process_outcome *o,
                          struct complaint *c)
{
    switch (o->end) {
    case PROCESS_ANSWERED:
        break;
    case PROCESS_CHATTERED:
        c->type = "protocol";
        (void)snprintf(c->text, sizeof c->text,
                       "%s wrote more than one line for one call, and was ended", e->name);
        break;
    case PROCESS_EXITED:
        c->type = "exit_status";
        (void)snprintf(c->text, sizeof c->text, "%s exited with status %d", e->name, o->detail);
        break;
    case PROCESS_SIGNALED:
        c->type = "signal";
        (void)snprintf(c->text, sizeof c->text, "%s was ended by signal %d (%s)", e->name,
                       o->detail, strsignal(o->detail));
        break;
    case PROCESS_TIMED_OUT:
        c->type = "timeout";
        (void)snprintf(c->text, sizeof c->text, "%s timed out after %" PRIu64 " ms and was killed",
                       e->name, e->timeout_ms);
        break;
    case PROCESS_CANCELED:
        c->type = "canceled";
        (void)snprintf(c->text, sizeof c->text, "%s was canceled and killed", e->name);
        break;
    case PROCESS_TOO_LOUD:
        c->type = "output_too_large";
        (void)snprintf(c->text, sizeof c->text,
                       "%s wrote more than %" PRIu64 " bytes to stdout and was killed", e->name,
                       e->output_max);
        break;
    case PROCESS_NOT_STARTED:
        c->type = "not_started";
        (void)snprintf(c->text, sizeof c->text, "%s: cannot start '%s': %s", e->name,
                       e->target->command.items[0], strerror(o->detail));
        break;
    case PROCESS_LOST:
        c->type = "lost";
        (void)snprintf(c->text, sizeof c->text, "%s: cannot wait for it: %s", e->name,
                       strerror(o->detail));
        break;
    }
}

static void add_last_line(const struct process_outcome *o, struct complaint *c)
{
    if (c->type && o->last_error_line[0]) {
        size_t used = strlen(c->text);
        (void)snprintf(c->text + used, sizeof c->text - used, "; last line of stderr: %s",
                       o->last_error_line);
    }
}

static void judge(const struct exec_endpoint *e, const struct process_outcome *o,
                  struct complaint *c)
{
    c->type = NULL;
    if (o->end != PROCESS_EXITED || o->detail != 0) {
        describe_exit(e, o, c);
    } else if (output_trim(marline__buffer_slice(&o->output)).size == 0) {
        c->type = "empty_output";
        (void)snprintf(c->text, sizeof c->text,
                       "%s exited with status 0 but wrote nothing to stdout; a result is expected "
                       "there",
                       e->name);
    }
    add_last_line(o, c);
}

/* ---- the run ---- */

static marline_span start_span(const struct exec_endpoint *e)
{
    char name[256];
    (void)snprintf(name, sizeof name, "function.exec.%s", e->name);
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.kind = MARLINE_SPAN_KIND_CLIENT; /* the caller's side of a program that is run */
    marline_tracer *tracer =
        marline_tracer_get(marline_provider_global(), "marline-agent", marline_version());
    marline_span span = marline_span_start(tracer, name, &options);
    const char *program = e->target->command.items[0];
    const char *slash = strrchr(program, '/');
    marline_span_set_text(&span, "process.executable.name", slash ? slash + 1 : program);
    return span;
}

static void end_span(marline_span *span, const struct process_outcome *o, const struct complaint *c)
{
    if (o->pid > 0) {
        marline_span_set_int(span, "process.pid", o->pid);
    }
    if (o->end == PROCESS_EXITED) {
        marline_span_set_int(span, "process.exit.code", o->detail);
    } else if (o->end == PROCESS_SIGNALED) {
        /* As shells count it: the platform shows one number for both kinds of end. */
        marline_span_set_int(span, "process.exit.code", 128 + o->detail);
    }
    if (c->type) {
        marline_span_fail(span, c->type, c->text);
    } else {
        marline_span_set_status(span, MARLINE_SPAN_STATUS_OK, NULL);
    }
    marline_span_end(span);
}

static void fill_request(const struct exec_endpoint *e, struct watch *watch,
                         const struct words *variables, struct process_request *out)
{
    *out = (struct process_request){.argv = e->target->command.items,
                                    .environment = variables->items,
                                    .folder = e->target->folder,
                                    .timeout_ms = e->timeout_ms,
                                    .output_max = e->output_max,
                                    .is_canceled = is_canceled,
                                    .on_error_line = log_line,
                                    .user = watch};
}

/* Returns owned: TRACEPARENT, TRACESTATE and BAGGAGE below the span. */
static char **make_carrier(const marline_span *span)
{
    static const char *const nothing[] = {NULL};
    marline_context *context = marline_context_with_span(NULL, span);
    char **carrier = marline_environment_create(MARLINE_PROPAGATE_ALL, context, nothing);
    marline_context_unref(context);
    return must(carrier);
}

static marline_status run_once(marline_call *call, const struct exec_endpoint *e,
                               marline_span *span)
{
    struct watch watch = {call, e};
    char **carrier = make_carrier(span);
    struct child_environment environment = {.inherited = environ,
                                            .pass = &e->target->pass,
                                            .fixed = &e->target->environment,
                                            .project_id = e->project_id,
                                            .environment = e->environment,
                                            .invocation_id = marline_call_invocation_id(call),
                                            .test = marline_call_test(call),
                                            .carrier = carrier};
    struct words variables;
    struct process_request request;
    struct process_outcome outcome;
    struct complaint complaint;
    child_environment_build(&environment, &variables);
    fill_request(e, &watch, &variables, &request);
    request.input = marline__slice_text(marline_inputs_json(call));
    process_run(&request, &outcome);
    judge(e, &outcome, &complaint);
    end_span(span, &outcome, &complaint);
    marline_status status = complaint.type
                                ? marline_fail(call, "%s", complaint.text)
                                : answer(call, e, marline__buffer_slice(&outcome.output));
    words_deinit(&variables);
    marline_environment_free(carrier);
    marline__buffer_deinit(&outcome.output);
    return status;
}

/* ---- long-lived programs ---- */

void exec_endpoint_init(struct exec_endpoint *e)
{
    (void)pthread_mutex_init(&e->shared.mutex, NULL);
    if (e->target->is_long_lived) {
        const struct child_environment environment = {.inherited = environ,
                                                      .pass = &e->target->pass,
                                                      .fixed = &e->target->environment,
                                                      .project_id = e->project_id,
                                                      .environment = e->environment};
        child_environment_build(&environment, &e->lasting);
    }
}

/* All are asked to end before the first is waited for, so that they share one time. */
void exec_endpoint_deinit(struct exec_endpoint *e)
{
    uint64_t start = marline__clock_monotonic_ns(marline__clock_system());
    for (size_t i = 0; i < e->shared.idle_count; i++) {
        long_lived_process_hang_up(e->shared.idle[i]);
    }
    for (size_t i = 0; i < e->shared.idle_count; i++) {
        uint64_t now = marline__clock_monotonic_ns(marline__clock_system());
        uint64_t used_ms = (now - start) / NS_PER_MS;
        long_lived_process_destroy(e->shared.idle[i], used_ms < PROCESS_TERM_GRACE_MS
                                                          ? PROCESS_TERM_GRACE_MS - used_ms
                                                          : 0);
    }
    (void)pthread_mutex_destroy(&e->shared.mutex);
    words_deinit(&e->lasting);
}

static struct long_lived_process *take_process(struct exec_endpoint *e)
{
    struct long_lived_process *p = NULL;
    (void)pthread_mutex_lock(&e->shared.mutex);
    if (e->shared.idle_count > 0) {
        p = e->shared.idle[--e->shared.idle_count];
    }
    (void)pthread_mutex_unlock(&e->shared.mutex);
    return p ? p : long_lived_process_create();
}

static void give_process_back(struct exec_endpoint *e, struct long_lived_process *p)
{
    (void)pthread_mutex_lock(&e->shared.mutex);
    bool is_kept = e->shared.idle_count < EXEC_IDLE_MAX;
    if (is_kept) {
        e->shared.idle[e->shared.idle_count++] = p;
    }
    (void)pthread_mutex_unlock(&e->shared.mutex);
    if (!is_kept) {
        long_lived_process_destroy(p, PROCESS_TERM_GRACE_MS);
    }
}

static void write_test(struct json_writer *w, const marline_test_context *test)
{
    marline__json_key(w, "test");
    if (!test) {
        marline__json_null(w);
        return;
    }
    marline__json_begin_object(w);
    marline__json_member_text(w, "test_run_id", test->test_run_id);
    marline__json_member_text(w, "test_id", test->test_id);
    marline__json_member_text(w, "test_configuration_id", test->test_configuration_id);
    marline__json_end_object(w);
}

static void write_field(void *carrier, const char *name, const char *value)
{
    if (value) {
        marline__json_member_text(carrier, name, value);
    }
}

/* The inputs go out as they came, except that a newline between two tokens would end the line. */
static void write_line(marline_call *call, const marline_span *span, struct buffer *out)
{
    struct json_writer w;
    marline_context *context = marline_context_with_span(NULL, span);
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "id", marline_call_invocation_id(call));
    marline__json_member_raw(&w, "inputs", marline__slice_text(marline_inputs_json(call)));
    marline_inject(MARLINE_PROPAGATE_ALL, context, write_field, &w);
    write_test(&w, marline_call_test(call));
    marline__json_end_object(&w);
    marline_context_unref(context);
    must_buffer(out);
    for (size_t i = 0; i < out->size; i++) {
        out->data[i] = out->data[i] == '\n' || out->data[i] == '\r' ? ' ' : out->data[i];
    }
}

static bool is_id_of(const marline_call *call, struct slice answer)
{
    struct slice raw;
    struct buffer id = BUFFER_INIT;
    bool found =
        marline__json_pointer_find(answer, "/id", &raw) && raw.size >= 2 && raw.data[0] == '"';
    if (found) {
        marline__json_unescape((struct slice){raw.data + 1, raw.size - 2}, &id);
        must_buffer(&id);
        found = marline__slice_is(marline__buffer_slice(&id), marline_call_invocation_id(call));
    }
    marline__buffer_deinit(&id);
    return found;
}

/* Reads {"id","output"} or {"id","error"}; `out` is the raw output. */
static void judge_line(marline_call *call, const struct exec_endpoint *e,
                       const struct process_outcome *o, struct complaint *c, struct slice *out)
{
    struct slice line = marline__buffer_slice(&o->output);
    struct slice error;
    c->type = NULL;
    if (o->end != PROCESS_ANSWERED) {
        describe_exit(e, o, c);
    } else if (!marline__json_is_valid(line, JSON_STRICT) || !is_id_of(call, line)) {
        c->type = "protocol";
        (void)snprintf(c->text, sizeof c->text,
                       "%s answered with a line that is not {\"id\":\"%s\",\"output\":…}: %.*s",
                       e->name, marline_call_invocation_id(call),
                       line.size > EXCERPT_MAX ? EXCERPT_MAX : (int)line.size,
                       line.data ? line.data : "");
    } else if (marline__json_pointer_find(line, "/error", &error) &&
               !marline__slice_is(error, "null")) {
        c->type = "error";
        (void)snprintf(c->text, sizeof c->text, "%s: %.*s", e->name, SLICE_ARG(error));
    } else if (!marline__json_pointer_find(line, "/output", out)) {
        *out = SLICE("null");
    }
    if (o->end != PROCESS_ANSWERED) {
        add_last_line(o, c);
    }
}

static marline_status run_line(marline_call *call, struct exec_endpoint *e, marline_span *span)
{
    struct watch watch = {call, e};
    struct process_request request;
    struct process_outcome outcome;
    struct complaint complaint;
    struct slice output = SLICE_EMPTY;
    struct buffer line = BUFFER_INIT;
    fill_request(e, &watch, &e->lasting, &request);
    write_line(call, span, &line);
    request.input = marline__buffer_slice(&line);
    struct long_lived_process *process = take_process(e);
    long_lived_process_call(process, &request, &outcome);
    judge_line(call, e, &outcome, &complaint, &output);
    if (complaint.type && strcmp(complaint.type, "protocol") == 0) {
        long_lived_process_destroy(process, 0); /* out of step: its next answer would be wrong */
    } else {
        give_process_back(e, process);
    }
    end_span(span, &outcome, &complaint);
    marline_status status =
        complaint.type ? marline_fail(call, "%s", complaint.text) : answer(call, e, output);
    marline__buffer_deinit(&line);
    marline__buffer_deinit(&outcome.output);
    return status;
}

marline_status exec_endpoint_handle(marline_call *call, void *user)
{
    struct exec_endpoint *e = user;
    marline_span span = start_span(e);
    return e->target->is_long_lived ? run_line(call, e, &span) : run_once(call, e, &span);
}
