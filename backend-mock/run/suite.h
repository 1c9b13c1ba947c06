/* A file of tests for `marline-backend-mock run`: what it says, read from YAML (or JSON, which is
 * YAML). Every complaint names file, line and key. It knows nothing of how the tests are run.
 *
 *     concurrency: 4                 # of the run; all keys but `tests` are optional
 *     timeout_ms: 10000              # defaults of the tests: timeout_ms, retries
 *     tests:
 *       - name: greets by name
 *         endpoint: greet
 *         inputs: {name: Ada}
 *         expect: {pointer: /output, equals: "Hello, Ada!"}
 *         metrics: [{name: brevity, min: 0.2}] */
#ifndef RUN_SUITE_H
#define RUN_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "programs/failure.h"

enum {
    SUITE_TIMEOUT_DEFAULT_MS = 60000,
    SUITE_TIMEOUT_MAX_MS = 24 * 3600 * 1000, /* as POST /mock/runs allows; so for the next three */
    SUITE_RETRIES_MAX = 10,
    SUITE_CONCURRENCY_MAX = 1000,
    SUITE_TESTS_MAX = 100000,
    SUITE_NAME_MAX = 255, /* bytes, of tests, endpoints and environments */
};

struct suite_test {
    char *name; /* owned, as the next four; never NULL */
    char *endpoint;
    char *inputs; /* JSON object */
    char *expect; /* JSON, or NULL; so for the next */
    char *metrics;
    uint32_t timeout_ms;
    uint32_t retries;
};

struct suite {
    char *name; /* NULL = none, as the next two */
    char *environment;
    char *webhook;
    uint32_t concurrency;
    uint32_t timeout_ms; /* defaults of the tests */
    uint32_t retries;
    struct suite_test *tests;
    size_t count;
    size_t capacity;
};

/* On failure nothing is left to free. */
bool suite_read(struct suite *s, const char *path, struct failure *f);
void suite_deinit(struct suite *s);

/* The body of POST /mock/runs. */
void suite_write_run(const struct suite *s, const char *project_id, struct buffer *out);

#endif
