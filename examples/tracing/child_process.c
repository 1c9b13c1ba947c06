/* Trace context handed to a child process through its environment.
 *
 *     OTEL_TRACES_EXPORTER=console build/dev/bin/examples/child-process
 *
 * The parent passes TRACEPARENT, TRACESTATE and BAGGAGE; any OpenTelemetry program can be the
 * child, in any language. Here it is this program again. */
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "setup.h"

extern char **environ;

/* ---- the child ---- */

static int resize(void)
{
    marline_provider *provider = start_tracing("resizer");
    if (!provider) {
        return 1;
    }
    marline_context *context = marline_extract_environment(
        MARLINE_PROPAGATE_ALL, marline_context_root(), (const char *const *)environ);
    marline_scope scope;
    marline_scope_enter(&scope, context); /* from here on, spans are children of the parent's */
    {
        MARLINE_OBSERVE(resized, "resize");
        marline_string album;
        if (marline_context_baggage(NULL, "album", &album)) {
            marline_span_set_string(&resized.span, "album", album);
        }
    }
    marline_scope_leave(&scope);
    marline_context_unref(context);
    return stop_tracing(provider);
}

/* ---- the parent ---- */

static bool run_child(char *program)
{
    char mode[] = "resize";
    char *arguments[] = {program, mode, NULL};
    /* A copy for the child, from the current context. The own environment is never changed: other
     * threads may be reading it. */
    char **environment =
        marline_environment_create(MARLINE_PROPAGATE_ALL, NULL, (const char *const *)environ);
    pid_t child = 0;
    int status = -1;
    if (!environment || posix_spawn(&child, program, NULL, NULL, arguments, environment) != 0 ||
        waitpid(child, &status, 0) != child) {
        status = -1;
    }
    marline_environment_free(environment);
    return status == 0;
}

static void publish_album(char *program)
{
    MARLINE_OBSERVE(publish, "publish album");
    marline_context *context = marline_context_with_baggage(NULL, "album", "alps-2026", NULL);
    marline_scope scope;
    marline_scope_enter(&scope, context);
    if (!run_child(program)) {
        marline_span_fail(&publish.span, "child_failed", "the resizer failed");
    }
    marline_scope_leave(&scope);
    marline_context_unref(context);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "resize") == 0) {
        return resize();
    }
    marline_provider *provider = start_tracing("album");
    if (!provider) {
        return 1;
    }
    char program[] = "/proc/self/exe";
    publish_album(program);
    return stop_tracing(provider);
}
