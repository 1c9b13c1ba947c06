/* The least that an agent needs of a backend, over libwebsockets, in this process; and a bare echo
 * to compare with, measured by the same code. */
#ifndef TESTS_BENCH_BENCH_PEER_H
#define TESTS_BENCH_BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct bench_load {
    bool echo;         /* the peer sends back what it gets; else it is an agent */
    uint32_t messages; /* to send, or, with `silent`, results to wait for */
    uint32_t at_once;
    bool silent; /* invokes nothing: counts the results that come by themselves */
};

struct bench_figures {
    double p50_us; /* from a message sent to its answer, or since `registered` when silent */
    double p99_us;
    double duration_p50_us; /* of the handler, as the results say; 0 for an echo */
    double per_second;
    uint32_t answers;
};

struct bench_peer;

struct bench_peer *bench_peer_start(void);
void bench_peer_stop(struct bench_peer *b);
uint16_t bench_peer_port(const struct bench_peer *b);
/* Answers what has come, registrations too, without waiting. */
void bench_peer_serve(struct bench_peer *b);
/* Waits for a connection, puts the load on it, and waits for all answers, 60 s at most. */
struct bench_figures bench_peer_measure(struct bench_peer *b, const struct bench_load *load);

#endif
