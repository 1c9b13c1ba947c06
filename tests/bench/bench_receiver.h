/* An OTLP receiver in a process of its own, so that what it costs is not counted with the sender:
 * it decodes every body, and notes how long ago the roots in it ended. */
#ifndef TESTS_BENCH_BENCH_RECEIVER_H
#define TESTS_BENCH_BENCH_RECEIVER_H

#include <stdint.h>
#include <sys/types.h>

enum { BENCH_LATENCIES_MAX = 1 << 16 };

/* What arrived; shared with the receiver, to be read after its stop. */
struct bench_received {
    uint32_t requests;
    uint32_t undecodable;
    uint64_t bytes;
    uint64_t spans;
    uint32_t roots;
    double latencies_ms[BENCH_LATENCIES_MAX]; /* of the first so many roots; sorted by the stop */
};

struct bench_receiver {
    pid_t pid;
    uint16_t port;
    struct bench_received *received;
};

void bench_receiver_start(struct bench_receiver *r);
/* To be called when the sender has closed its connection and ended. */
void bench_receiver_stop(struct bench_receiver *r);
void bench_receiver_free(struct bench_receiver *r);
/* The latency that `part` of the roots stayed below; part 1 = the longest. 0 without any. */
double bench_received_latency(const struct bench_received *received, double part);

#endif
