/* An agent of raw frames: registers one function and answers as fast as a socket allows, so that
 * what is measured is the backend. What fails ends the run. */
#ifndef TESTS_BENCH_BENCH_WS_H
#define TESTS_BENCH_BENCH_WS_H

#include <stdint.h>

#include "base/buffer.h"

struct bench_ws {
    int socket;
    struct buffer in;   /* bytes not yet taken */
    struct buffer text; /* the last message, with a NUL */
};

/* Connects and registers the function "noop" for the environment; waits until that is confirmed. */
void bench_ws_open(struct bench_ws *ws, uint16_t port, const char *key, const char *project,
                   const char *environment);
void bench_ws_close(struct bench_ws *ws);
void bench_ws_send(struct bench_ws *ws, const char *text);
/* The next message whose text holds `mark`. */
const char *bench_ws_expect(struct bench_ws *ws, const char *mark);
/* Answers the execute_test in `text` with success. */
void bench_ws_answer(struct bench_ws *ws, const char *execute);

#endif
