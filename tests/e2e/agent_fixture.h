/* A backend-mock of one's own for tests of the agent: a free port, a temporary folder, a store in
 * it. One per test group or per test. */
#ifndef TESTS_E2E_AGENT_FIXTURE_H
#define TESTS_E2E_AGENT_FIXTURE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "../support/program.h"
#include "agent/process.h"

struct agent_fixture {
    char folder[64];
    struct program backend;
    char base_url[128];
    char project_id[64];
    char api_key[128];
    struct http_client *http;
    struct buffer errors; /* what the last agent_fixture_run_agent wrote to stderr */
};

/* Returns owned; NULL, with the backend's words on stderr, when it does not start. */
struct agent_fixture *agent_fixture_create(void);
/* The same with one more option of `serve`. */
struct agent_fixture *agent_fixture_create_with(const char *option);
void agent_fixture_destroy(struct agent_fixture *f);

/* A file of the temporary folder; the text is valid until the next call. */
const char *agent_fixture_path(const struct agent_fixture *f, const char *name);
/* The file then holds this text alone. */
bool agent_fixture_write(const struct agent_fixture *f, const char *name, const char *text);

/* One REST call with the key. Returns the body, owned; NULL unless the status is 2xx. */
cJSON *agent_fixture_call(struct agent_fixture *f, const char *method, const char *path,
                          const char *body);
/* Starts one test and waits for the run to be completed; returns its first result, owned. */
cJSON *agent_fixture_run_test(struct agent_fixture *f, const char *function_name,
                              const char *inputs);
/* Polls a call until the predicate holds, at most 20 s. */
bool agent_fixture_wait(struct agent_fixture *f, const char *path,
                        bool (*predicate)(const cJSON *body, const void *user), const void *user);

/* Runs the agent to its end. Both lists end with NULL; `environment` (may be NULL) is stronger than
 * the fixture's own settings. */
void agent_fixture_run_agent(struct agent_fixture *f, const char *const *arguments,
                             const char *const *environment, struct process_outcome *out);
/* The same, with one variable of the environment (NULL = none): the test fails unless it exits so
 * and prints both texts. */
void agent_fixture_expect(struct agent_fixture *f, const char *const *arguments,
                          const char *variable, int exit_code, const char *first,
                          const char *second);
/* The same for `check --json`: returns what it printed, owned; NULL, with all that was said on
 * stderr, when that is no JSON or the exit code another. */
cJSON *agent_fixture_check(struct agent_fixture *f, const char *const *arguments, int exit_code);
/* Starts the agent in the background; its log is the file "agent.log" of the folder. */
bool agent_fixture_start_agent(struct agent_fixture *f, struct program *agent,
                               const char *const *arguments);

#endif
