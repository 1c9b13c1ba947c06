/* A program that stays. */
#include "agent/long_lived_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agent/child.h"
#include "base/clock.h"
#include "programs/must.h"

enum { CANCEL_POLL_MS = 50, READ_SIZE = 64 * 1024 };

struct long_lived_process {
    struct child child;
};

/* One call. */
struct call {
    struct child *child;
    const struct process_request *request;
    struct process_outcome *out;
    struct line_splitter errors;
    struct buffer input;
    size_t input_sent;
    uint64_t deadline_ns;
    bool is_over;
};

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

struct long_lived_process *long_lived_process_create(void)
{
    struct long_lived_process *p = must_zeroed(sizeof *p);
    p->child = (struct child){0, -1, -1, -1, -1};
    return p;
}

/* Returns false when the time is up. */
static bool wait_for_end(const struct child *c, uint64_t timeout_ms)
{
    struct pollfd end = {c->process, POLLIN, 0};
    return poll(&end, 1, (int)timeout_ms) == 1;
}

static void end_child(struct child *c, int first_signal, uint64_t timeout_ms,
                      struct process_outcome *out)
{
    if (c->pid == 0) {
        return;
    }
    child_close_end(&c->input);
    if (first_signal) {
        child_signal(c, first_signal);
    }
    if (c->process >= 0) {
        (void)wait_for_end(c, timeout_ms);
    }
    child_signal(c, SIGKILL);
    child_reap(c, out);
}

void long_lived_process_hang_up(struct long_lived_process *p)
{
    child_close_end(&p->child.input);
}

void long_lived_process_destroy(struct long_lived_process *p, uint64_t timeout_ms)
{
    struct process_outcome ignored = {0};
    if (p) {
        end_child(&p->child, 0, timeout_ms, &ignored);
        marline__memory_free(p);
    }
}

/* ---- one call ---- */

static void finish(struct call *c, enum process_end end)
{
    if (!c->is_over) {
        c->out->end = end;
        c->is_over = true;
    }
}

/* Everything up to the newline is the answer. What follows it in the same read has no place in the
 * protocol, and makes the next answer wrong, so it ends the program. */
static void read_output(struct call *c)
{
    char data[READ_SIZE];
    size_t size;
    if (!child_read(c->child->output, data, sizeof data, &size)) {
        child_close_end(&c->child->output);
        return;
    }
    const char *newline = memchr(data, '\n', size);
    size_t taken = newline ? (size_t)(newline - data) : size;
    if (c->out->output.size + taken > c->request->output_max) {
        finish(c, PROCESS_TOO_LOUD);
        return;
    }
    marline__buffer_append(&c->out->output, data, taken);
    must_buffer(&c->out->output);
    if (newline) {
        finish(c, taken + 1 == size ? PROCESS_ANSWERED : PROCESS_CHATTERED);
    }
}

static void read_errors(struct call *c)
{
    char data[READ_SIZE];
    size_t size;
    if (child_read(c->child->errors, data, sizeof data, &size)) {
        line_splitter_take(&c->errors, data, size);
    } else {
        child_close_end(&c->child->errors);
    }
}

static void write_input(struct call *c)
{
    ssize_t n =
        write(c->child->input, c->input.data + c->input_sent, c->input.size - c->input_sent);
    if (n > 0) {
        c->input_sent += (size_t)n;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        child_close_end(&c->child->input);
    }
}

static int poll_timeout_ms(const struct call *c)
{
    uint64_t now = now_ns();
    uint64_t left_ms = c->deadline_ns > now ? (c->deadline_ns - now) / NS_PER_MS + 1 : 0;
    uint64_t limit = c->request->is_canceled ? CANCEL_POLL_MS : 60000;
    return (int)(left_ms < limit ? left_ms : limit);
}

static void check_time(struct call *c)
{
    if (c->request->is_canceled && c->request->is_canceled(c->request->user)) {
        finish(c, PROCESS_CANCELED);
    } else if (now_ns() >= c->deadline_ns) {
        finish(c, PROCESS_TIMED_OUT);
    }
}

static void step(struct call *c)
{
    bool has_more = c->input_sent < c->input.size;
    struct pollfd ends[] = {{c->child->output, POLLIN, 0},
                            {c->child->errors, POLLIN, 0},
                            {has_more ? c->child->input : -1, POLLOUT, 0},
                            {c->child->process, POLLIN, 0}};
    if (poll(ends, 4, poll_timeout_ms(c)) > 0) {
        if (ends[1].revents) {
            read_errors(c);
        }
        if (ends[0].revents) {
            read_output(c);
        }
        if (ends[2].revents) {
            write_input(c);
        }
        /* Last: what it said before its end counts. */
        if (ends[3].revents && !ends[0].revents && !ends[1].revents) {
            finish(c, PROCESS_EXITED);
        }
    }
    check_time(c);
}

static bool ensure_started(struct long_lived_process *p, const struct process_request *request,
                           struct process_outcome *out)
{
    struct process_outcome end = {0};
    if (p->child.pid && wait_for_end(&p->child, 0)) { /* it has ended between two calls */
        end_child(&p->child, 0, 0, &end);
    }
    if (p->child.pid) {
        return true;
    }
    int error = child_start(&p->child, request->argv, request->environment, request->folder);
    if (error) {
        end_child(&p->child, SIGKILL, 0, &end);
        out->end = PROCESS_NOT_STARTED;
        out->detail = error;
    }
    return error == 0;
}

/* The program has to go, whatever the reason; an end of its own says how it came. */
static void end_after_failure(struct call *c)
{
    struct process_outcome end = {0};
    end_child(c->child, c->out->end == PROCESS_EXITED ? 0 : SIGTERM, PROCESS_TERM_GRACE_MS, &end);
    if (c->out->end == PROCESS_EXITED) {
        c->out->end = end.end;
        c->out->detail = end.detail;
    }
}

void long_lived_process_call(struct long_lived_process *p, const struct process_request *request,
                             struct process_outcome *out)
{
    *out = (struct process_outcome){.output = BUFFER_INIT};
    if (!ensure_started(p, request, out)) {
        return;
    }
    out->pid = p->child.pid;
    struct call c = {.child = &p->child,
                     .request = request,
                     .out = out,
                     .input = BUFFER_INIT,
                     .deadline_ns = request->timeout_ms ? now_ns() + request->timeout_ms * NS_PER_MS
                                                        : TIME_NEVER};
    line_splitter_init(&c.errors, request->on_error_line, request->user);
    marline__buffer_append_slice(&c.input, request->input);
    marline__buffer_append_byte(&c.input, '\n');
    must_buffer(&c.input);
    write_input(&c); /* there is nearly always room: no need to ask first */
    while (!c.is_over) {
        step(&c);
    }
    line_splitter_finish(&c.errors);
    memcpy(out->last_error_line, c.errors.last_line, sizeof out->last_error_line);
    if (out->end != PROCESS_ANSWERED) {
        end_after_failure(&c);
    }
    line_splitter_deinit(&c.errors);
    marline__buffer_deinit(&c.input);
}
