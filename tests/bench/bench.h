/* What the benchmarks share: time, and one JSON line per figure. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

uint64_t bench_now_ns(void);

/* ns of two reads of the monotonic clock, the unit of the ratios; measured once. */
double bench_clock_pair_ns(void);

/* RssAnon of a process; -1 when it cannot be read. */
double bench_anonymous_kilobytes(pid_t process);

/* Prints {"name","value","unit","ratio","target","met"}. `compared` is what must stay at or below
 * `target`: a ratio, or the value itself. A target below 0 = none: met is null. */
void bench_report(const char *name, double value, const char *unit, double ratio, double target,
                  double compared);
/* A check of the benchmark's own output: failing it fails the run. */
void bench_check(bool condition, const char *what);
/* False when a check failed. */
bool bench_is_sound(void);

/* Round trip of a message of usual size through libwebsockets, which does nothing else, on both
 * sides: what those of the testing channel are compared with. */
double bench_echo_p50_us(void);

void bench_trace(void);
void bench_agent(void);
void bench_backend(void); /* on both stores */
void bench_backend_sqlite(void);
void bench_backend_postgresql(void);
void bench_encode(void);
void bench_export(void);
void bench_size(void);

#endif
