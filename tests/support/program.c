/* A program of this project under test. */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"

enum { LOOK_MS = 20, STOP_MS = 10000, ARGUMENTS_MAX = 64, VARIABLES_MAX = 512 };

static uint64_t now_ms(void)
{
    return marline__clock_monotonic_ns(marline__clock_system()) / NS_PER_MS;
}

static bool is_overridden(const char *variable, const char *const *environment)
{
    size_t size = strcspn(variable, "=") + 1;
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, variable, size) == 0) {
            return true;
        }
    }
    return false;
}

/* execve takes pointers to char that it does not write through. */
static char *unqualified(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {text};
    return u.out;
}

static void make_environment(const char *const *environment, char *out[VARIABLES_MAX])
{
    size_t count = 0;
    for (const char *const *v = environment; v && *v && count < VARIABLES_MAX - 1; v++) {
        out[count++] = unqualified(*v);
    }
    for (char **v = environ; *v && count < VARIABLES_MAX - 1; v++) {
        if (!is_overridden(*v, environment)) {
            out[count++] = *v;
        }
    }
    out[count] = NULL;
}

/* In the child. It ends with the test: one that fails leaves without stopping it. */
static _Noreturn void become(const char *path, char **arguments, char **variables, const char *log)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0) {
        _exit(126);
    }
    (void)execve(path, arguments, variables);
    _exit(127);
}

bool program_start(struct program *p, const char *const *argv, const char *const *environment,
                   const char *log)
{
    char path[1024];
    char *arguments[ARGUMENTS_MAX];
    char *variables[VARIABLES_MAX];
    size_t count = 0;
    *p = (struct program){.descriptor = -1};
    (void)snprintf(path, sizeof path, "%s%s", strchr(argv[0], '/') ? "" : MARLINE_BIN_DIR "/",
                   argv[0]);
    for (; argv[count] && count < ARGUMENTS_MAX - 1; count++) {
        arguments[count] = unqualified(argv[count]);
    }
    arguments[count] = NULL;
    make_environment(environment, variables);
    pid_t pid = access(path, X_OK) == 0 ? fork() : -1;
    if (pid < 0) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    if (pid == 0) {
        become(path, arguments, variables, log);
    }
    p->pid = pid;
    p->descriptor = pidfd_open(p->pid, 0);
    return p->descriptor >= 0;
}

bool program_wait(struct program *p, uint64_t timeout_ms)
{
    if (p->pid == 0) {
        return true;
    }
    struct pollfd end = {p->descriptor, POLLIN, 0};
    if (poll(&end, 1, (int)timeout_ms) != 1) {
        return false;
    }
    (void)waitpid(p->pid, &p->status, 0);
    (void)close(p->descriptor);
    p->descriptor = -1;
    p->pid = 0;
    return true;
}

char *program_read_file(const char *path)
{
    struct buffer b = BUFFER_INIT;
    char part[4096];
    size_t size;
    marline__buffer_append_text(&b, "");
    FILE *file = fopen(path, "rbe");
    while (file && (size = fread(part, 1, sizeof part, file)) > 0) {
        marline__buffer_append(&b, part, size);
    }
    if (file) {
        (void)fclose(file);
    }
    char *text = marline__buffer_take(&b);
    return text ? text : marline__memory_text("");
}

bool program_wait_for_text(struct program *p, const char *path, const char *text,
                           uint64_t timeout_ms)
{
    uint64_t deadline = now_ms() + timeout_ms;
    bool has_ended = false;
    for (;;) {
        char *content = program_read_file(path);
        bool found = content[0] && strstr(content, text);
        marline__memory_free(content);
        if (found || has_ended || now_ms() >= deadline) {
            return found;
        }
        has_ended = program_wait(p, LOOK_MS);
    }
}

bool program_wait_for_file(struct program *p, const char *path, uint64_t timeout_ms)
{
    return program_wait_for_text(p, path, "", timeout_ms);
}

void program_signal(const struct program *p, int signal_number)
{
    if (p->pid > 0) {
        (void)kill(p->pid, signal_number);
    }
}

void program_stop(struct program *p)
{
    program_signal(p, SIGTERM);
    if (!program_wait(p, STOP_MS)) {
        program_signal(p, SIGKILL);
        (void)program_wait(p, STOP_MS);
    }
}

int program_exit_status(const struct program *p)
{
    return p->pid == 0 && WIFEXITED(p->status) ? WEXITSTATUS(p->status) : -1;
}
