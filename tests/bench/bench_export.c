/* marline-bench export: what each export interval, and prompt, costs in requests and CPU, and buys
 * in latency. The sender is a process that traces at a steady rate into a real HTTP receiver; a
 * sender whose exporter throws everything away shows what the tracing itself costs. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "bench_receiver.h"
#include <marline/exporters.h>

enum { SECONDS = 15, CHILDREN = 4, TRACE_SPANS = CHILDREN + 1 };

struct policy {
    const char *name;
    uint32_t interval_ms;
    bool prompt;
    bool discards;
};

static const struct policy policies[] = {
    {"discarded", 5000, false, true}, {"5000ms", 5000, false, false},
    {"1000ms", 1000, false, false},   {"200ms", 200, false, false},
    {"prompt", 5000, true, false},
};

/* ---- the sender's process ---- */

static void discard(void *user, const marline_span_data *spans, size_t count, uint64_t timeout_ms,
                    marline_export_result *out)
{
    (void)user;
    (void)spans;
    (void)timeout_ms;
    out->exported = count;
}

static void make_exporter(const struct policy *policy, uint16_t port, marline_exporter *out)
{
    char endpoint[64];
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u/v1/traces", port);
    marline_otlp_exporter_options options = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    options.endpoint = endpoint;
    options.protocol = MARLINE_OTLP_HTTP_PROTOBUF;
    options.compression = MARLINE_OTLP_COMPRESSION_NONE;
    *out = (marline_exporter){.export_spans = discard};
    if (!policy->discards && marline_exporter_otlp_create(&options, out, NULL) != MARLINE_OK) {
        _exit(3);
    }
}

static marline_provider *make_provider(const struct policy *policy, uint16_t port)
{
    marline_provider *provider = NULL;
    marline_exporter exporter;
    marline_batch_options batch = MARLINE_BATCH_OPTIONS_INIT;
    batch.interval_ms = policy->interval_ms;
    batch.prompt = policy->prompt;
    make_exporter(policy, port, &exporter);
    if (marline_provider_create(NULL, &provider, NULL) != MARLINE_OK ||
        marline_provider_add_batch_processor(provider, &exporter, &batch, NULL) != MARLINE_OK) {
        _exit(3);
    }
    return provider;
}

static void make_span(marline_tracer *tracer, const char *name, marline_context *parent)
{
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.parent = parent;
    marline_span span = marline_span_start(tracer, name, &options);
    marline_span_set_text(&span, "http.request.method", "GET");
    marline_span_set_text(&span, "http.route", "/orders/{id}");
    marline_span_set_int(&span, "http.response.status_code", 200);
    marline_span_end(&span);
}

static void make_trace(marline_tracer *tracer)
{
    marline_span root = marline_span_start(tracer, "GET /orders/{id}", NULL);
    marline_context *context = marline_context_with_span(NULL, &root);
    for (int i = 0; i < CHILDREN; i++) {
        make_span(tracer, "query", context);
    }
    marline_context_unref(context);
    marline_span_set_text(&root, "http.request.method", "GET");
    marline_span_end(&root);
}

static void send_traces(const struct policy *policy, uint16_t port, uint32_t per_second)
{
    marline_provider *provider = make_provider(policy, port);
    marline_tracer *tracer = marline_tracer_get(provider, "bench", "1");
    uint32_t total = per_second * SECONDS;
    uint64_t start_ns = bench_now_ns();
    for (uint32_t made = 0; made < total;) {
        uint64_t due = (bench_now_ns() - start_ns) * per_second / 1000000000u + 1;
        while (made < total && made < due) {
            make_trace(tracer);
            made++;
        }
        uint64_t next_ns = start_ns + (uint64_t)made * 1000000000u / per_second;
        uint64_t now_ns = bench_now_ns();
        (void)poll(NULL, 0, next_ns > now_ns ? (int)((next_ns - now_ns) / 1000000u) + 1 : 0);
    }
    marline_delivery delivery;
    marline_status status = marline_provider_shutdown(provider, 10000);
    marline_provider_delivery(provider, &delivery);
    _exit(status == MARLINE_OK && delivery.started == (uint64_t)total * TRACE_SPANS &&
                  delivery.exported == delivery.started
              ? 0
              : 4);
}

/* ---- measuring ---- */

static double cpu_ms(const struct rusage *used)
{
    return (double)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1e3 +
           (double)(used->ru_utime.tv_usec + used->ru_stime.tv_usec) / 1e3;
}

/* CPU of the sender, in ms for each second of the run. */
static double run_sender(const struct policy *policy, uint16_t port, uint32_t per_second)
{
    struct rusage used;
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        send_traces(policy, port, per_second);
    }
    bench_check(wait4(pid, &status, 0, &used) == pid && status == 0,
                "the sender exported every span");
    return cpu_ms(&used) / SECONDS;
}

static void report(const struct policy *policy, uint32_t per_second, const char *what, double value,
                   const char *unit)
{
    char name[96];
    (void)snprintf(name, sizeof name, "export_%u_per_s_%s_%s", per_second, policy->name, what);
    bench_report(name, value, unit, 0, -1, 0);
}

static void measure(const struct policy *policy, uint32_t per_second)
{
    struct bench_receiver receiver;
    bench_receiver_start(&receiver);
    double cpu = run_sender(policy, receiver.port, per_second);
    bench_receiver_stop(&receiver);
    const struct bench_received *received = receiver.received;
    report(policy, per_second, "cpu", cpu, "ms/s");
    if (!policy->discards) {
        bench_check(received->spans == (uint64_t)per_second * SECONDS * TRACE_SPANS &&
                        received->roots == per_second * SECONDS && received->undecodable == 0,
                    "every span arrived, and could be read");
        report(policy, per_second, "requests", (double)received->requests / SECONDS, "1/s");
        report(policy, per_second, "bytes", (double)received->bytes / SECONDS, "bytes/s");
        report(policy, per_second, "latency_p50", bench_received_latency(received, 0.5), "ms");
        report(policy, per_second, "latency_p99", bench_received_latency(received, 0.99), "ms");
        report(policy, per_second, "latency_max", bench_received_latency(received, 1), "ms");
    }
    bench_receiver_free(&receiver);
}

void bench_export(void)
{
    static const uint32_t rates[] = {10, 1000};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        for (size_t p = 0; p < sizeof policies / sizeof policies[0]; p++) {
            measure(&policies[p], rates[r]);
        }
    }
}
