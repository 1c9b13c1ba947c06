/* What the end-to-end tests of the backend-mock share: the running program, short requests, and an
 * agent that registers, is invoked and answers. What does not come out as told fails the test. */
#ifndef SUPPORT_BACKEND_FIXTURE_H
#define SUPPORT_BACKEND_FIXTURE_H

#include "support/backend_process.h"
#include "support/ws_peer.h"

/* The ready-made project, and the id of none. */
#define BACKEND_PROJECT "11111111-1111-4111-8111-111111111111"
#define BACKEND_UNKNOWN "99999999-9999-4999-8999-999999999999"

/* A test with a backend of its own in *state (struct backend_process). */
#define BACKEND_TEST(name) cmocka_unit_test_setup_teardown(name, backend_setup, backend_teardown)
int backend_setup(void **state);
int backend_teardown(void **state);

extern const char *const backend_in_memory[]; /* arguments */
extern const char *const backend_one_span;    /* body of POST /telemetry/traces */
extern const char *const backend_success;     /* members of a test_result, after its id */

/* One request with the key, its status and a part of its body. */
void backend_expect(const struct backend_process *b, const char *method, const char *path,
                    const char *body, int status, const char *text);
/* One request over a socket of its own with exactly these header lines ("Name: value\r\n"…), and
 * parts of its answer, the head included (ended by NULL). `line` is "POST /path". */
void backend_expect_raw(const struct backend_process *b, const char *line, const char *headers,
                        const void *data, size_t size, const char *const *expected);
/* The value of a string member of a JSON text. */
void backend_copy_member(const char *json, const char *name, char *out, size_t size);

/* `text` is scratch, and holds the last message received. */
void backend_connect_agent(const struct backend_process *b, struct ws_peer *agent,
                           struct buffer *text);
/* For the ready-made project in "development", with the function "answer". */
void backend_register_agent(struct ws_peer *agent, struct buffer *text);
/* Starts a run of one test, and takes its execute_test. */
void backend_start_run(const struct backend_process *b, struct ws_peer *agent, char run[64],
                       struct buffer *execute);
/* Answers an execute_test; `rest` are the members after the id. */
void backend_send_result(struct ws_peer *agent, const char *execute, const char *rest);
/* Posts one span that carries the test context of an execute_test. */
void backend_post_test_span(const struct backend_process *b, const char *execute,
                            const char *span_id);
/* Waits until GET /mock/runs/{run}{suffix} holds the text. */
void backend_wait_for_run(const struct backend_process *b, const char *run, const char *suffix,
                          const char *mark, struct backend_answer *out);

#endif
