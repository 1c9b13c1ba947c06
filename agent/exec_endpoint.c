/* An endpoint served by a program in any language. */
#include "agent/exec_endpoint.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <marline/trace.h>

#include "agent/child_environment.h"
#include "agent/logger.h"
#include "agent/output.h"
#include "agent/process.h"

enum { MESSAGE_SIZE = 1024 };

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

/* ---- what went wrong, in words ---- */

static void describe_exit(const struct exec_endpoint *e, const struct process_outcome *o,
                          struct complaint *c)
{
    switch (o->end) {
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
    if (c->type && o->last_error_line[0]) {
        size_t used = strlen(c->text);
        (void)snprintf(c->text + used, sizeof c->text - used, "; last line of stderr: %s",
                       o->last_error_line);
    }
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

static void run_program(marline_call *call, const struct exec_endpoint *e, const marline_span *span,
                        struct process_outcome *out)
{
    struct words environment;
    child_environment_build(
        &(struct child_environment){.inherited = environ,
                                    .pass = &e->target->pass,
                                    .fixed = &e->target->environment,
                                    .project_id = e->project_id,
                                    .environment = e->environment,
                                    .invocation_id = marline_call_invocation_id(call),
                                    .test = marline_call_test(call),
                                    .span = span},
        &environment);
    struct watch watch = {call, e};
    struct process_request request = {.argv = e->target->command.items,
                                      .environment = environment.items,
                                      .folder = e->target->folder,
                                      .input = marline__slice_text(marline_inputs_json(call)),
                                      .timeout_ms = e->timeout_ms,
                                      .output_max = e->output_max,
                                      .is_canceled = is_canceled,
                                      .on_error_line = log_line,
                                      .user = &watch};
    process_run(&request, out);
    words_deinit(&environment);
}

marline_status exec_endpoint_handle(marline_call *call, void *user)
{
    const struct exec_endpoint *e = user;
    marline_span span = start_span(e);
    struct process_outcome outcome;
    run_program(call, e, &span, &outcome);
    struct complaint complaint;
    judge(e, &outcome, &complaint);
    end_span(&span, &outcome, &complaint);
    marline_status status = complaint.type
                                ? marline_fail(call, "%s", complaint.text)
                                : output_set(call, marline__buffer_slice(&outcome.output));
    marline__buffer_deinit(&outcome.output);
    return status;
}
