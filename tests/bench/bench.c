/* marline-bench: `marline-bench NAME` measures, prints JSON lines, and exits 0 when its own checks
 * passed; a target that is missed is printed, not failed, because it depends on the machine. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool sound = true;

uint64_t bench_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double bench_clock_pair_ns(void)
{
    enum { READS = 1000, ROUNDS = 5000 }; /* short, so that some are not disturbed */
    static double best;
    for (int round = 0; best == 0 || round < ROUNDS; round++) {
        uint64_t start = bench_now_ns();
        for (int i = 0; i < READS; i++) {
            (void)bench_now_ns();
        }
        double pair = 2.0 * (double)(bench_now_ns() - start) / READS;
        best = best == 0 || pair < best ? pair : best;
    }
    return best;
}

double bench_anonymous_kilobytes(pid_t process)
{
    char name[64];
    char line[256];
    double result = -1;
    (void)snprintf(name, sizeof name, "/proc/%d/status", (int)process);
    FILE *file = fopen(name, "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "RssAnon:", 8) == 0) {
            result = strtod(line + 8, NULL);
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return result;
}

void bench_report(const char *name, double value, const char *unit, double ratio, double target,
                  double compared)
{
    const char *met = target < 0 ? "null" : compared <= target ? "true" : "false";
    printf("{\"name\":\"%s\",\"value\":%.2f,\"unit\":\"%s\",\"ratio\":%.2f,\"target\":%.2f,"
           "\"met\":%s}\n",
           name, value, unit, ratio, target < 0 ? 0 : target, met);
    (void)fflush(stdout);
}

void bench_check(bool condition, const char *what)
{
    static const char *last; /* what fails a thousand times is told once */
    if (!condition && what != last) {
        last = what;
        (void)fprintf(stderr, "marline-bench: check failed: %s\n", what);
    }
    sound = sound && condition;
}

bool bench_is_sound(void)
{
    return sound;
}

static const struct {
    const char *name;
    void (*run)(void);
} benches[] = {{"trace", bench_trace},
               {"agent", bench_agent},
               {"backend", bench_backend},
               {"backend-sqlite", bench_backend_sqlite},
               {"backend-postgresql", bench_backend_postgresql},
               {"encode", bench_encode},
               {"export", bench_export},
               {"size", bench_size}};

static void print_usage(FILE *out)
{
    (void)fputs(
        "Usage: marline-bench NAME\n"
        "\n"
        "Measures, and prints a line of JSON per figure: its value, its target, and whether\n"
        "that is met. NAME is one of:\n",
        out);
    for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++) {
        (void)fprintf(out, "  %s\n", benches[i].name);
    }
    (void)fputs("\n"
                "Exit codes: 0 measured, and every figure's own check held (a missed target is\n"
                "printed, not failed) · 1 a check did not hold · 2 unknown name\n",
                out);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof benches / sizeof benches[0]; i++) {
        if (strcmp(argv[1], benches[i].name) == 0) {
            benches[i].run();
            return bench_is_sound() ? 0 : 1;
        }
    }
    bool is_help = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    print_usage(is_help ? stdout : stderr);
    return is_help ? 0 : 2;
}
