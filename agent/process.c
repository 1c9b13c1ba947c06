/* Runs one program to its end.
 *
 * One poll loop watches the three pipes and the process (a pidfd). Phases, each with a deadline:
 *     RUNNING   until the process ends, or a reason to stop it comes up -> STOPPING
 *     STOPPING  SIGTERM was sent to the group; when it is not gone in time, SIGKILL
 *     DRAINING  the process has ended; what its pipes still hold is read, then all is over
 * The group is killed before the process is reaped: until then its id cannot be anybody else's. */
#include "agent/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agent/child.h"
#include "base/clock.h"
#include "programs/must.h"

/* is_canceled is a question, not a descriptor, so it is asked this often. */
enum { CANCEL_POLL_MS = 50, READ_SIZE = 64 * 1024 };

enum phase { RUNNING, STOPPING, DRAINING, OVER };

struct run {
    const struct process_request *request;
    struct process_outcome *out;
    enum phase phase;
    uint64_t phase_deadline_ns; /* of STOPPING and DRAINING */
    uint64_t deadline_ns;       /* of RUNNING */
    struct child child;
    struct line_splitter errors;
    size_t input_sent;
};

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

static void stop_process(struct run *r, enum process_end reason)
{
    if (r->phase != RUNNING) {
        return;
    }
    r->out->end = reason;
    r->phase = STOPPING;
    r->phase_deadline_ns = now_ns() + PROCESS_TERM_GRACE_MS * NS_PER_MS;
    child_signal(&r->child, SIGTERM);
}

static void start_draining(struct run *r)
{
    r->phase = DRAINING;
    r->phase_deadline_ns = now_ns() + PROCESS_DRAIN_MS * NS_PER_MS;
    child_close_end(&r->child.process);
    child_close_end(&r->child.input);
}

/* ---- pipes ---- */

static void read_output(struct run *r)
{
    char data[READ_SIZE];
    size_t size;
    if (!child_read(r->child.output, data, sizeof data, &size)) {
        child_close_end(&r->child.output);
        return;
    }
    size_t room = r->request->output_max - r->out->output.size;
    marline__buffer_append(&r->out->output, data, size < room ? size : room);
    must_buffer(&r->out->output);
    if (size > room && r->phase == DRAINING) {
        r->out->end = r->out->end == PROCESS_EXITED ? PROCESS_TOO_LOUD : r->out->end;
        child_close_end(&r->child.output);
    } else if (size > room) {
        stop_process(r, PROCESS_TOO_LOUD);
    }
}

static void read_errors(struct run *r)
{
    char data[READ_SIZE];
    size_t size;
    if (!child_read(r->child.errors, data, sizeof data, &size)) {
        child_close_end(&r->child.errors);
        return;
    }
    line_splitter_take(&r->errors, data, size);
}

/* A program that does not read its input, or closes it, is within its rights. */
static void write_input(struct run *r)
{
    struct slice left = {r->request->input.data + r->input_sent,
                         r->request->input.size - r->input_sent};
    ssize_t n = left.size ? write(r->child.input, left.data, left.size) : 0;
    if (n > 0) {
        r->input_sent += (size_t)n;
    }
    bool is_refused = n < 0 && errno != EAGAIN && errno != EINTR;
    if (is_refused || r->input_sent == r->request->input.size) {
        child_close_end(&r->child.input);
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
        child_signal(&r->child, SIGKILL);
        r->phase_deadline_ns = TIME_NEVER; /* SIGKILL cannot be refused: the pidfd will tell */
    } else if (r->phase == DRAINING &&
               (now >= r->phase_deadline_ns || (r->child.output < 0 && r->child.errors < 0))) {
        r->phase = OVER;
    }
}

static void step(struct run *r)
{
    struct pollfd ends[] = {{r->child.output, POLLIN, 0},
                            {r->child.errors, POLLIN, 0},
                            {r->child.input, POLLOUT, 0},
                            {r->child.process, POLLIN, 0}};
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

/* Why it was stopped says more than how it died. */
static void reap(struct run *r)
{
    struct process_outcome end = {.end = PROCESS_EXITED};
    child_signal(&r->child, SIGKILL);
    child_reap(&r->child, &end);
    if (r->out->end == PROCESS_EXITED) {
        r->out->end = end.end;
        r->out->detail = end.detail;
    }
}

/* ---- the start ---- */

static bool start(struct run *r)
{
    int error =
        child_start(&r->child, r->request->argv, r->request->environment, r->request->folder);
    r->out->pid = r->child.pid;
    if (error) {
        r->out->end = r->child.pid ? PROCESS_LOST : PROCESS_NOT_STARTED;
        r->out->detail = error;
        r->phase = OVER;
    }
    return r->child.pid != 0;
}

void process_run(const struct process_request *request, struct process_outcome *out)
{
    *out = (struct process_outcome){.end = PROCESS_EXITED, .output = BUFFER_INIT};
    struct run r = {.request = request, .out = out, .deadline_ns = TIME_NEVER};
    line_splitter_init(&r.errors, request->on_error_line, request->user);
    if (!start(&r)) {
        return;
    }
    if (request->timeout_ms) {
        r.deadline_ns = now_ns() + request->timeout_ms * NS_PER_MS;
    }
    while (r.phase != OVER) {
        step(&r);
    }
    line_splitter_finish(&r.errors);
    memcpy(out->last_error_line, r.errors.last_line, sizeof out->last_error_line);
    reap(&r);
    line_splitter_deinit(&r.errors);
}
