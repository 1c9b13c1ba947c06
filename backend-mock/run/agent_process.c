/* See agent_process.h. Between fork and exec only calls that are safe in a process with threads. */
#include "run/agent_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "programs/must.h"

enum {
    PATH_SIZE = 4096,
    TAIL_SIZE = 2048, /* of the log, in a message */
    NOT_FOUND = 127,  /* as a shell says it */
    VARIABLES = 4,
};

/* ---- starting ---- */

/* The file beside this program, when it is there. */
static bool find_beside(char out[PATH_SIZE])
{
    ssize_t size = readlink("/proc/self/exe", out, PATH_SIZE - 1);
    if (size <= 0) {
        return false;
    }
    out[size] = '\0';
    char *slash = strrchr(out, '/');
    static const char name[] = "/marline-agent";
    if (!slash || (size_t)(slash - out) + sizeof name > PATH_SIZE) {
        return false;
    }
    memcpy(slash, name, sizeof name);
    return access(out, X_OK) == 0;
}

static int open_log(const char *path, struct failure *f)
{
    char temporary[PATH_SIZE];
    int fd;
    if (path) {
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    } else {
        const char *folder = getenv("TMPDIR");
        (void)snprintf(temporary, sizeof temporary, "%s/marline-agent-XXXXXX",
                       folder && *folder ? folder : "/tmp");
        path = temporary;
        fd = mkostemp(temporary, O_APPEND | O_CLOEXEC);
        if (fd >= 0) {
            (void)unlink(temporary);
        }
    }
    if (fd < 0) {
        failure_set(f, EXIT_CODE_CONFIGURATION, "cannot write the agent's log %s: %s", path,
                    strerror(errno));
    }
    return fd;
}

static char *make_variable(const char *name, const char *value)
{
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_format(&b, "%s=%s", name, value);
    must_buffer(&b);
    return must(marline__buffer_take(&b));
}

static bool is_variable(const char *entry, const char *assignment)
{
    size_t size = strcspn(assignment, "=") + 1;
    return strncmp(entry, assignment, size) == 0;
}

/* This process's environment with `own` put over it. Frees nothing of either. */
static char **make_environment(char *const own[VARIABLES])
{
    size_t count = 0;
    while (environ[count]) {
        count++;
    }
    char **all = must(marline__memory_array(count + VARIABLES + 1, sizeof *all));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        bool replaced = false;
        for (size_t v = 0; v < VARIABLES && own[v]; v++) {
            replaced = replaced || is_variable(environ[i], own[v]);
        }
        if (!replaced) {
            all[n++] = environ[i];
        }
    }
    for (size_t v = 0; v < VARIABLES && own[v]; v++) {
        all[n++] = own[v];
    }
    return all;
}

/* In the child. A group of its own: what a terminal sends to ours is for us to pass on. */
static _Noreturn void become(const char *program, char *const *argv, char *const *environment,
                             int log, pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    int input = open("/dev/null", O_RDONLY);
    if (getppid() == parent && dup2(input, STDIN_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0 &&
        dup2(log, STDERR_FILENO) >= 0) {
        (void)execvpe(program, argv, environment);
        dprintf(STDERR_FILENO, "cannot run %s: %s\n", program, strerrordesc_np(errno));
    }
    _exit(NOT_FOUND);
}

static bool spawn(struct agent_process *a, const char *program, const char *config,
                  char *const own[VARIABLES], struct failure *f)
{
    char name[] = "marline-agent";
    char command[] = "run";
    char option[] = "--config";
    char *file = must_text(config);
    char *argv[] = {name, command, option, file, NULL};
    char **environment = make_environment(own);
    pid_t parent = getpid();
    a->pid = fork();
    if (a->pid == 0) {
        become(program, argv, environment, a->log, parent);
    }
    int error = errno;
    marline__memory_free(environment);
    marline__memory_free(file);
    if (a->pid < 0) {
        a->pid = 0;
        return failure_set(f, EXIT_CODE_INTERNAL, "cannot start the agent: %s", strerror(error));
    }
    a->process = (int)syscall(SYS_pidfd_open, a->pid, 0);
    return true;
}

bool agent_process_start(struct agent_process *a, const struct agent_process_options *options,
                         struct failure *f)
{
    char beside[PATH_SIZE];
    const char *program = options->program;
    *a = AGENT_PROCESS_INIT;
    if (access(options->config, R_OK) != 0) {
        return failure_set(f, EXIT_CODE_CONFIGURATION, "--with-agent %s: %s", options->config,
                           strerror(errno));
    }
    if (!program) {
        program = find_beside(beside) ? beside : "marline-agent";
    }
    a->log = open_log(options->log, f);
    if (a->log < 0) {
        return false;
    }
    char *own[VARIABLES] = {
        make_variable("RHESIS_BASE_URL", options->base_url),
        make_variable("RHESIS_API_KEY", options->api_key),
        make_variable("RHESIS_PROJECT_ID", options->project_id),
        options->environment ? make_variable("RHESIS_ENVIRONMENT", options->environment) : NULL};
    bool ok = spawn(a, program, options->config, own, f);
    for (size_t i = 0; i < VARIABLES && own[i]; i++) {
        explicit_bzero(own[i], strlen(own[i]));
        marline__memory_free(own[i]);
    }
    return ok;
}

/* ---- watching and ending ---- */

/* True when it has ended, within the time. */
static bool wait_for_end(struct agent_process *a, uint32_t timeout_ms)
{
    struct pollfd end = {.fd = a->process, .events = POLLIN};
    const struct clock *clock = marline__clock_system();
    uint64_t deadline = marline__clock_monotonic_ns(clock) + timeout_ms * NS_PER_MS;
    while (a->pid > 0) {
        pid_t ended = waitpid(a->pid, &a->status, WNOHANG);
        if (ended == a->pid || (ended < 0 && errno != EINTR)) {
            a->pid = 0;
            break;
        }
        uint64_t now = marline__clock_monotonic_ns(clock);
        if (now >= deadline) {
            return false;
        }
        (void)poll(&end, 1, (int)((deadline - now) / NS_PER_MS) + 1);
    }
    return true;
}

bool agent_process_is_alive(struct agent_process *a)
{
    return a->pid > 0 && !wait_for_end(a, 0);
}

void agent_process_stop(struct agent_process *a, uint32_t timeout_ms)
{
    enum { KILL_WAIT_MS = 10000 };
    if (!agent_process_is_alive(a)) {
        return;
    }
    (void)kill(a->pid, SIGTERM);
    if (!wait_for_end(a, timeout_ms)) {
        (void)kill(-a->pid, SIGKILL); /* with what it started */
        (void)wait_for_end(a, KILL_WAIT_MS);
    }
}

void agent_process_describe(const struct agent_process *a, char *out, size_t size)
{
    if (WIFSIGNALED(a->status)) {
        (void)snprintf(out, size, "was killed by signal %d", WTERMSIG(a->status));
    } else {
        (void)snprintf(out, size, "ended with exit code %d", WEXITSTATUS(a->status));
    }
}

void agent_process_last_lines(const struct agent_process *a, struct buffer *out)
{
    char tail[TAIL_SIZE];
    off_t end = a->log >= 0 ? lseek(a->log, 0, SEEK_END) : 0;
    off_t start = end > TAIL_SIZE ? end - TAIL_SIZE : 0;
    ssize_t size = end > 0 ? pread(a->log, tail, sizeof tail, start) : 0;
    struct slice text = {tail, size > 0 ? (size_t)size : 0};
    if (start > 0) { /* not half a line */
        const char *newline = memchr(text.data, '\n', text.size);
        size_t skip = newline ? (size_t)(newline + 1 - text.data) : 0;
        text = (struct slice){text.data + skip, text.size - skip};
    }
    while (text.size > 0) {
        const char *newline = memchr(text.data, '\n', text.size);
        size_t line = newline ? (size_t)(newline - text.data) : text.size;
        marline__buffer_append_format(out, "\n    %.*s", (int)line, text.data);
        size_t step = newline ? line + 1 : line;
        text = (struct slice){text.data + step, text.size - step};
    }
    must_buffer(out);
}

void agent_process_deinit(struct agent_process *a)
{
    agent_process_stop(a, 0);
    if (a->process >= 0) {
        (void)close(a->process);
    }
    if (a->log >= 0) {
        (void)close(a->log);
    }
    *a = AGENT_PROCESS_INIT;
}
