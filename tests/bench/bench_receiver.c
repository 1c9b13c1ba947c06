/* See bench_receiver.h. One connection at a time: a sender here has one. */
#include "bench_receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "bench_http.h"
#include "wire/otlp.h"

enum { PIECE = 65536 };

/* ---- the receiver's process ---- */

static void take_roots(struct bench_received *out, const struct otlp_request *request)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    uint64_t now_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    for (size_t i = 0; i < request->count; i++) {
        if (!request->spans[i].has_parent) {
            double ms = (double)(int64_t)(now_ns - request->spans[i].end_unix_ns) / 1e6;
            if (out->roots < BENCH_LATENCIES_MAX) {
                out->latencies_ms[out->roots] = ms;
            }
            out->roots++;
        }
    }
}

static void take(struct bench_received *out, struct slice message)
{
    struct otlp_request request;
    const char *end = memmem(message.data, message.size, "\r\n\r\n", 4);
    size_t head = (size_t)(end - message.data) + 4;
    struct slice body = {message.data + head, message.size - head};
    if (marline__otlp_decode(OTLP_PROTOBUF, body, &request) != OTLP_DECODE_OK) {
        out->undecodable++;
    }
    out->requests++;
    out->bytes += message.size;
    out->spans += request.count;
    take_roots(out, &request);
    marline__otlp_request_deinit(&request);
}

static void serve(int connection, struct bench_received *out)
{
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
    struct buffer in = BUFFER_INIT;
    char piece[PIECE];
    for (ssize_t n; (n = recv(connection, piece, sizeof piece, 0)) > 0;) {
        marline__buffer_append(&in, piece, (size_t)n);
        size_t size = bench_http_answer_size(&in);
        if (size > 0 && in.size >= size) { /* nobody pipelines */
            take(out, (struct slice){in.data, size});
            marline__buffer_clear(&in);
            (void)send(connection, answer, sizeof answer - 1, MSG_NOSIGNAL);
        }
    }
    marline__buffer_deinit(&in);
    (void)close(connection);
}

static void run(int listener, struct bench_received *out)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int connection; (connection = accept(listener, NULL, NULL)) >= 0;) {
        serve(connection, out);
    }
    _exit(1);
}

/* ---- the bench's process ---- */

static int listen_somewhere(uint16_t *out_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        perror("listen");
        exit(1);
    }
    *out_port = ntohs(address.sin_port);
    return listener;
}

void bench_receiver_start(struct bench_receiver *r)
{
    int listener = listen_somewhere(&r->port);
    r->received =
        mmap(NULL, sizeof *r->received, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r->received == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    r->pid = fork();
    if (r->pid == 0) {
        run(listener, r->received);
    }
    (void)close(listener);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t kept(const struct bench_received *received)
{
    return received->roots < BENCH_LATENCIES_MAX ? received->roots : BENCH_LATENCIES_MAX;
}

void bench_receiver_stop(struct bench_receiver *r)
{
    int status;
    (void)kill(r->pid, SIGKILL); /* each request was taken whole before it was answered */
    bench_check(waitpid(r->pid, &status, 0) == r->pid, "the receiver ended");
    qsort(r->received->latencies_ms, kept(r->received), sizeof(double), ascending);
}

void bench_receiver_free(struct bench_receiver *r)
{
    (void)munmap(r->received, sizeof *r->received);
}

double bench_received_latency(const struct bench_received *received, double part)
{
    size_t count = kept(received);
    size_t index = (size_t)(part * (double)count);
    return count == 0 ? 0 : received->latencies_ms[index < count ? index : count - 1];
}
