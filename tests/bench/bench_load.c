/* See bench_load.h. One epoll loop in the child; the figures come back through a pipe. */
#include "bench_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "bench_http.h"

enum { ROOM = 65536, EVENTS = 64, WAIT_MS = 60000 };

struct lane {
    int socket;
    struct bench_body body;
    struct buffer head;
    size_t sent; /* of head and body */
    struct buffer in;
    uint64_t started_ns;
    bool is_busy;
};

struct load {
    const struct bench_ingest *wanted;
    struct lane *lanes;
    int epoll;
    uint32_t begun;
    uint32_t ended;
    double *latency_ms;
    struct bench_ingest_figures figures;
};

static void watch(struct load *load, struct lane *lane, bool for_writing)
{
    struct epoll_event event = {.events = EPOLLIN | (for_writing ? EPOLLOUT : 0), .data.ptr = lane};
    bench_check(epoll_ctl(load->epoll, EPOLL_CTL_MOD, lane->socket, &event) == 0, "epoll");
}

/* Returns false when the socket takes no more for now. */
static bool send_rest(struct lane *lane)
{
    while (lane->sent < lane->head.size + lane->body.bytes.size) {
        bool in_head = lane->sent < lane->head.size;
        const struct buffer *from = in_head ? &lane->head : &lane->body.bytes;
        size_t at = in_head ? lane->sent : lane->sent - lane->head.size;
        ssize_t n = send(lane->socket, from->data + at, from->size - at,
                         MSG_NOSIGNAL | MSG_DONTWAIT | (in_head ? MSG_MORE : 0));
        if (n < 0 && errno == EAGAIN) {
            return false;
        }
        if (n <= 0) {
            _exit(1); /* the parent misses the figures */
        }
        lane->sent += (size_t)n;
    }
    return true;
}

static void begin_post(struct load *load, struct lane *lane)
{
    if (load->begun == load->wanted->posts) {
        return;
    }
    bench_body_renew(&lane->body, load->wanted->first + load->begun++);
    lane->sent = 0;
    lane->is_busy = true;
    lane->started_ns = bench_now_ns();
    if (!send_rest(lane)) {
        watch(load, lane, true);
    }
}

static void end_post(struct load *load, struct lane *lane, size_t size)
{
    bool ok = memcmp(lane->in.data, "HTTP/1.1 200", 12) == 0;
    *(ok ? &load->figures.accepted : &load->figures.refused) += 1;
    load->latency_ms[load->ended++] = (double)(bench_now_ns() - lane->started_ns) / 1e6;
    marline__buffer_consume(&lane->in, size);
    lane->is_busy = false;
    begin_post(load, lane);
}

static void receive(struct load *load, struct lane *lane)
{
    if (!marline__buffer_reserve(&lane->in, ROOM)) {
        _exit(1);
    }
    ssize_t n = recv(lane->socket, lane->in.data + lane->in.size, ROOM, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        _exit(1);
    }
    lane->in.size += n > 0 ? (size_t)n : 0;
    size_t size = bench_http_answer_size(&lane->in);
    if (lane->is_busy && size > 0 && lane->in.size >= size) {
        end_post(load, lane, size);
    }
}

static void serve(struct load *load)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(load->epoll, events, EVENTS, WAIT_MS);
    if (count <= 0) {
        _exit(1);
    }
    for (int i = 0; i < count; i++) {
        struct lane *lane = events[i].data.ptr;
        if ((events[i].events & EPOLLOUT) && send_rest(lane)) {
            watch(load, lane, false);
        }
        if (events[i].events & ~(uint32_t)EPOLLOUT) {
            receive(load, lane);
        }
    }
}

static void open_lane(struct load *load, struct lane *lane)
{
    const struct bench_ingest *w = load->wanted;
    bool otlp = w->format == BENCH_OTLP;
    lane->socket = bench_connect(w->port);
    bench_body_create(&lane->body, w->format, w->project, BENCH_BODY_SPANS);
    bench_http_head(&lane->head, "POST", otlp ? "/v1/traces" : "/telemetry/traces", w->key,
                    otlp ? "application/x-protobuf" : "application/json", lane->body.bytes.size);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = lane};
    bench_check(epoll_ctl(load->epoll, EPOLL_CTL_ADD, lane->socket, &event) == 0, "epoll");
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct bench_ingest_figures run(const struct bench_ingest *wanted)
{
    struct load load = {.wanted = wanted, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    load.lanes = calloc(wanted->connections, sizeof *load.lanes);
    load.latency_ms = calloc(wanted->posts, sizeof *load.latency_ms);
    for (unsigned i = 0; i < wanted->connections; i++) {
        open_lane(&load, &load.lanes[i]);
    }
    uint64_t start = bench_now_ns();
    for (unsigned i = 0; i < wanted->connections; i++) {
        begin_post(&load, &load.lanes[i]);
    }
    while (load.ended < wanted->posts) {
        serve(&load);
    }
    double seconds = (double)(bench_now_ns() - start) / 1e9;
    struct bench_ingest_figures figures = load.figures;
    figures.spans_per_second = figures.accepted * (double)BENCH_BODY_SPANS / seconds;
    qsort(load.latency_ms, load.ended, sizeof(double), compare);
    figures.p50_ms = load.latency_ms[load.ended / 2];
    figures.p99_ms = load.latency_ms[(uint64_t)load.ended * 99 / 100];
    return figures;
}

struct bench_ingest_figures bench_ingest_run(const struct bench_ingest *wanted)
{
    int ends[2];
    struct bench_ingest_figures figures = {0};
    bench_check(pipe(ends) == 0, "pipe");
    pid_t child = fork();
    if (child == 0) {
        figures = run(wanted);
        _exit(write(ends[1], &figures, sizeof figures) == sizeof figures ? 0 : 1);
    }
    (void)close(ends[1]);
    bool told = read(ends[0], &figures, sizeof figures) == sizeof figures;
    (void)close(ends[0]);
    int status = 1;
    (void)waitpid(child, &status, 0);
    bench_check(told && status == 0, "the load generator came to its end");
    return figures;
}
