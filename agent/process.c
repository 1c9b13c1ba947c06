/* Runs one program to its end.
 *
 * One poll loop watches the three pipes and the process (a pidfd). Phases, each with a deadline:
 *     RUNNING   until the process ends, or a reason to stop it comes up -> STOPPING
 *     STOPPING  SIGTERM was sent to the group; when it is not gone in time, SIGKILL
 *     DRAINING  the process has ended; what its pipes still hold is read, then all is over
 * The group is killed before the process is reaped: until then its id cannot be anybody else's. */
#include "agent/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/must.h"
#include "base/clock.h"

/* is_canceled is a question, not a descriptor, so it is asked this often. */
enum { CANCEL_POLL_MS = 50, READ_SIZE = 64 * 1024 };

enum phase { RUNNING, STOPPING, DRAINING, OVER };

struct run {
    const struct process_request *request;
    struct process_outcome *out;
    enum phase phase;
    uint64_t phase_deadline_ns; /* of STOPPING and DRAINING */
    uint64_t deadline_ns;       /* of RUNNING */
    bool killed;
    int input; /* each -1 once closed */
    int output;
    int errors;
    int process;
    size_t input_sent;
    struct buffer line;
};

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

static void close_end(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static void signal_group(const struct run *r, int signal_number)
{
    /* ESRCH only says that nobody is left. */
    (void)kill(-r->out->pid, signal_number);
}

static void stop_process(struct run *r, enum process_end reason)
{
    if (r->phase != RUNNING) {
        return;
    }
    r->out->end = reason;
    r->phase = STOPPING;
    r->phase_deadline_ns = now_ns() + PROCESS_TERM_GRACE_MS * NS_PER_MS;
    signal_group(r, SIGTERM);
}

static void start_draining(struct run *r)
{
    r->phase = DRAINING;
    r->phase_deadline_ns = now_ns() + PROCESS_DRAIN_MS * NS_PER_MS;
    close_end(&r->process);
    close_end(&r->input);
}

/* ---- lines of stderr ---- */

static void finish_line(struct run *r)
{
    if (r->line.size == 0) {
        return;
    }
    size_t size = r->line.size;
    while (size > 0 && (r->line.data[size - 1] == '\r' || r->line.data[size - 1] == ' ')) {
        size--;
    }
    r->line.data[size] = '\0';
    if (size > 0) {
        size_t kept = size < PROCESS_LAST_LINE_SIZE - 1 ? size : PROCESS_LAST_LINE_SIZE - 1;
        memcpy(r->out->last_error_line, r->line.data, kept);
        r->out->last_error_line[kept] = '\0';
        if (r->request->on_error_line) {
            r->request->on_error_line(r->request->user, r->line.data);
        }
    }
    marline__buffer_clear(&r->line);
}

static void take_error_text(struct run *r, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n' || r->line.size == PROCESS_LINE_MAX) {
            finish_line(r);
        }
        if (data[i] != '\n') {
            /* A NUL would hide the rest of the line from every reader of text. */
            marline__buffer_append_byte(&r->line, data[i] ? data[i] : ' ');
        }
    }
    must_buffer(&r->line);
}

/* ---- pipes ---- */

/* Returns false when the pipe has nothing more, ever. */
static bool read_some(int fd, char *data, size_t capacity, size_t *out_size)
{
    ssize_t n = read(fd, data, capacity);
    *out_size = n > 0 ? (size_t)n : 0;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void read_output(struct run *r)
{
    char data[READ_SIZE];
    size_t size;
    if (!read_some(r->output, data, sizeof data, &size)) {
        close_end(&r->output);
        return;
    }
    size_t room = r->request->output_max - r->out->output.size;
    marline__buffer_append(&r->out->output, data, size < room ? size : room);
    must_buffer(&r->out->output);
    if (size > room && r->phase == DRAINING) {
        r->out->end = r->out->end == PROCESS_EXITED ? PROCESS_TOO_LOUD : r->out->end;
        close_end(&r->output);
    } else if (size > room) {
        stop_process(r, PROCESS_TOO_LOUD);
    }
}

static void read_errors(struct run *r)
{
    char data[READ_SIZE];
    size_t size;
    if (!read_some(r->errors, data, sizeof data, &size)) {
        close_end(&r->errors);
        return;
    }
    take_error_text(r, data, size);
}

/* A program that does not read its input, or closes it, is within its rights. */
static void write_input(struct run *r)
{
    struct slice left = {r->request->input.data + r->input_sent,
                         r->request->input.size - r->input_sent};
    ssize_t n = left.size ? write(r->input, left.data, left.size) : 0;
    if (n > 0) {
        r->input_sent += (size_t)n;
    }
    bool is_refused = n < 0 && errno != EAGAIN && errno != EINTR;
    if (is_refused || r->input_sent == r->request->input.size) {
        close_end(&r->input);
    }
}

/* ---- the loop ---- */

static uint64_t next_deadline(const struct run *r)
{
    uint64_t deadline = r->phase == RUNNING ? r->deadline_ns : r->phase_deadline_ns;
    if (r->phase == RUNNING && r->request->is_canceled) {
        uint64_t ask = now_ns() + CANCEL_POLL_MS * NS_PER_MS;
        deadline = ask < deadline ? ask : deadline;
    }
    return deadline;
}

static int poll_timeout_ms(uint64_t deadline_ns)
{
    if (deadline_ns == TIME_NEVER) {
        return -1;
    }
    uint64_t now = now_ns();
    uint64_t left_ms = deadline_ns > now ? (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;
    return left_ms > 60000 ? 60000 : (int)left_ms;
}

static void check_time(struct run *r)
{
    uint64_t now = now_ns();
    if (r->phase == RUNNING && r->request->is_canceled &&
        r->request->is_canceled(r->request->user)) {
        stop_process(r, PROCESS_CANCELED);
    } else if (r->phase == RUNNING && now >= r->deadline_ns) {
        stop_process(r, PROCESS_TIMED_OUT);
    } else if (r->phase == STOPPING && now >= r->phase_deadline_ns) {
        signal_group(r, SIGKILL);
        r->killed = true;
        r->phase_deadline_ns = TIME_NEVER; /* SIGKILL cannot be refused: the pidfd will tell */
    } else if (r->phase == DRAINING &&
               (now >= r->phase_deadline_ns || (r->output < 0 && r->errors < 0))) {
        r->phase = OVER;
    }
}

static void step(struct run *r)
{
    struct pollfd ends[] = {{r->output, POLLIN, 0},
                            {r->errors, POLLIN, 0},
                            {r->input, POLLOUT, 0},
                            {r->process, POLLIN, 0}};
    if (poll(ends, 4, poll_timeout_ms(next_deadline(r))) > 0) {
        if (ends[0].revents) {
            read_output(r);
        }
        if (ends[1].revents) {
            read_errors(r);
        }
        if (ends[2].revents) {
            write_input(r);
        }
        if (ends[3].revents) {
            start_draining(r);
        }
    }
    check_time(r);
}

static void reap(struct run *r)
{
    signal_group(r, SIGKILL);
    int status = 0;
    pid_t pid;
    do {
        pid = waitpid(r->out->pid, &status, 0);
    } while (pid < 0 && errno == EINTR);
    if (r->out->end != PROCESS_EXITED) {
        return; /* why it was stopped says more than how it died */
    }
    if (pid < 0) {
        r->out->end = PROCESS_LOST;
        r->out->detail = errno;
    } else if (WIFSIGNALED(status)) {
        r->out->end = PROCESS_SIGNALED;
        r->out->detail = WTERMSIG(status);
    } else {
        r->out->detail = WEXITSTATUS(status);
    }
}

/* ---- the start ---- */

struct pipes {
    int input[2];
    int output[2];
    int errors[2];
};

static void close_pair(int pair[2])
{
    close_end(&pair[0]);
    close_end(&pair[1]);
}

static void close_pipes(struct pipes *p)
{
    close_pair(p->input);
    close_pair(p->output);
    close_pair(p->errors);
}

static int open_pipes(struct pipes *p)
{
    *p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(p->input, O_CLOEXEC) || pipe2(p->output, O_CLOEXEC) || pipe2(p->errors, O_CLOEXEC)) {
        return errno;
    }
    /* Only our ends: the program expects to block. */
    if (fcntl(p->input[1], F_SETFL, O_NONBLOCK) || fcntl(p->output[0], F_SETFL, O_NONBLOCK) ||
        fcntl(p->errors[0], F_SETFL, O_NONBLOCK)) {
        return errno;
    }
    return 0;
}

static int set_actions(posix_spawn_file_actions_t *actions, const struct pipes *p,
                       const char *folder)
{
    int error = posix_spawn_file_actions_adddup2(actions, p->input[0], STDIN_FILENO);
    error = error ? error : posix_spawn_file_actions_adddup2(actions, p->output[1], STDOUT_FILENO);
    error = error ? error : posix_spawn_file_actions_adddup2(actions, p->errors[1], STDERR_FILENO);
    error = error ? error : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    if (!error && folder) {
        error = posix_spawn_file_actions_addchdir_np(actions, folder);
    }
    return error;
}

/* A group of its own, no blocked signal, and default actions where this program ignores or handles
 * a signal. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int error = posix_spawnattr_setpgroup(attributes, 0);
    error = error ? error : posix_spawnattr_setsigmask(attributes, &none);
    error = error ? error : posix_spawnattr_setsigdefault(attributes, &all);
    return error ? error
                 : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP |
                                                            POSIX_SPAWN_SETSIGMASK |
                                                            POSIX_SPAWN_SETSIGDEF);
}

static int spawn(const struct process_request *request, const struct pipes *p, pid_t *out_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) {
        return error;
    }
    error = posix_spawnattr_init(&attributes);
    if (!error) {
        error = set_attributes(&attributes);
        error = error ? error : set_actions(&actions, p, request->folder);
        error = error ? error
                      : posix_spawnp(out_pid, request->argv[0], &actions, &attributes,
                                     request->argv, request->environment);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

static bool start(struct run *r)
{
    struct pipes pipes;
    int error = open_pipes(&pipes);
    error = error ? error : spawn(r->request, &pipes, &r->out->pid);
    if (error) {
        close_pipes(&pipes);
        r->out->end = PROCESS_NOT_STARTED;
        r->out->detail = error;
        return false;
    }
    r->input = pipes.input[1];
    r->output = pipes.output[0];
    r->errors = pipes.errors[0];
    pipes.input[1] = pipes.output[0] = pipes.errors[0] = -1;
    close_pipes(&pipes);
    r->process = pidfd_open(r->out->pid, 0);
    if (r->process < 0) {
        r->out->end = PROCESS_LOST;
        r->out->detail = errno;
        r->phase = OVER;
    }
    return true;
}

void process_run(const struct process_request *request, struct process_outcome *out)
{
    *out = (struct process_outcome){.end = PROCESS_EXITED, .output = BUFFER_INIT};
    struct run r = {.request = request,
                    .out = out,
                    .deadline_ns = TIME_NEVER,
                    .input = -1,
                    .output = -1,
                    .errors = -1,
                    .process = -1,
                    .line = BUFFER_INIT};
    if (!start(&r)) {
        return;
    }
    if (request->timeout_ms) {
        r.deadline_ns = now_ns() + request->timeout_ms * NS_PER_MS;
    }
    while (r.phase != OVER) {
        step(&r);
    }
    finish_line(&r);
    reap(&r);
    close_end(&r.input);
    close_end(&r.output);
    close_end(&r.errors);
    close_end(&r.process);
    marline__buffer_deinit(&r.line);
}
