/* A backend-mock of one's own for tests of the agent. */
#include "agent_fixture.h"

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/words.h"
#include "base/clock.h"
#include "io/http_client.h"
#include "programs/must.h"

enum { START_MS = 20000, CALL_MS = 10000, WAIT_MS = 20000, LOOK_MS = 50, AGENT_MS = 90000 };

static uint64_t now_ms(void)
{
    return marline__clock_monotonic_ns(marline__clock_system()) / NS_PER_MS;
}

const char *agent_fixture_path(const struct agent_fixture *f, const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", f->folder, name);
    return path;
}

bool agent_fixture_write(const struct agent_fixture *f, const char *name, const char *text)
{
    FILE *file = fopen(agent_fixture_path(f, name), "we");
    bool ok = file && fputs(text, file) >= 0;
    return file && fclose(file) == 0 && ok;
}

static bool start_backend(struct agent_fixture *f, const char *option)
{
    char ready[128];
    char store[128];
    char log[128];
    (void)snprintf(ready, sizeof ready, "%s/ready.json", f->folder);
    (void)snprintf(store, sizeof store, "sqlite:%s/marline.db", f->folder);
    (void)snprintf(log, sizeof log, "%s/backend.log", f->folder);
    const char *argv[] = {
        "marline-backend-mock", "serve", "--listen", "127.0.0.1:0", "--store", store,
        "--ready-file",         ready,   option,     NULL};
    if (!program_start(&f->backend, argv, NULL, log) ||
        !program_wait_for_text(&f->backend, ready, "}", START_MS)) {
        char *text = program_read_file(log);
        (void)fprintf(stderr, "backend-mock did not start:\n%s\n", text);
        marline__memory_free(text);
        return false;
    }
    char *text = program_read_file(ready);
    cJSON *json = cJSON_Parse(text);
    marline__memory_free(text);
    const char *base_url = cJSON_GetStringValue(cJSON_GetObjectItem(json, "base_url"));
    const char *project_id = cJSON_GetStringValue(cJSON_GetObjectItem(json, "project_id"));
    const char *api_key = cJSON_GetStringValue(cJSON_GetObjectItem(json, "api_key"));
    bool ok = base_url && project_id && api_key;
    if (ok) {
        (void)snprintf(f->base_url, sizeof f->base_url, "%s", base_url);
        (void)snprintf(f->project_id, sizeof f->project_id, "%s", project_id);
        (void)snprintf(f->api_key, sizeof f->api_key, "%s", api_key);
    }
    cJSON_Delete(json);
    return ok;
}

struct agent_fixture *agent_fixture_create(void)
{
    return agent_fixture_create_with(NULL);
}

struct agent_fixture *agent_fixture_create_with(const char *option)
{
    struct agent_fixture *f = must_zeroed(sizeof *f);
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/marline_agent_XXXXXX");
    f->http = must(marline__http_client_create(NULL));
    if (!mkdtemp(f->folder) || !start_backend(f, option)) {
        agent_fixture_destroy(f);
        return NULL;
    }
    return f;
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *e = folder ? readdir(folder) : NULL; e; e = readdir(folder)) {
        char file[512];
        (void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.') {
            (void)unlink(file);
        }
    }
    if (folder) {
        (void)closedir(folder);
    }
    (void)rmdir(path);
}

void agent_fixture_destroy(struct agent_fixture *f)
{
    if (!f) {
        return;
    }
    program_stop(&f->backend);
    marline__http_client_destroy(f->http);
    marline__buffer_deinit(&f->errors);
    remove_folder(f->folder);
    marline__memory_free(f);
}

cJSON *agent_fixture_call(struct agent_fixture *f, const char *method, const char *path,
                          const char *body)
{
    char url[256];
    char authorization[192];
    (void)snprintf(url, sizeof url, "%s%s", f->base_url, path);
    (void)snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", f->api_key);
    const char *headers[] = {authorization, "Content-Type: application/json"};
    struct http_request request = {.method = method,
                                   .url = url,
                                   .headers = headers,
                                   .header_count = 2,
                                   .body = marline__slice_text(body),
                                   .timeout_ms = CALL_MS};
    struct http_response response = HTTP_RESPONSE_INIT;
    marline_error error = {0};
    cJSON *json = NULL;
    if (marline__http_client_perform(f->http, &request, &response, &error)) {
        (void)fprintf(stderr, "%s\n", error.text);
    } else if (response.status < 200 || response.status > 299) {
        (void)fprintf(stderr, "%s %s: HTTP %d %.*s\n", method, url, response.status,
                      SLICE_ARG(marline__buffer_slice(&response.body)));
    } else {
        json = cJSON_ParseWithLength(response.body.data, response.body.size);
    }
    marline__http_response_deinit(&response);
    return json;
}

bool agent_fixture_wait(struct agent_fixture *f, const char *path,
                        bool (*predicate)(const cJSON *body, const void *user), const void *user)
{
    uint64_t deadline = now_ms() + WAIT_MS;
    bool holds = false;
    while (!holds && now_ms() < deadline) {
        cJSON *body = agent_fixture_call(f, "GET", path, NULL);
        holds = body && predicate(body, user);
        cJSON_Delete(body);
        if (!holds) {
            (void)poll(NULL, 0, LOOK_MS);
        }
    }
    return holds;
}

static bool is_completed(const cJSON *body, const void *user)
{
    const char *status = cJSON_GetStringValue(cJSON_GetObjectItem(body, "status"));
    return status && strcmp(status, (const char *)user) == 0;
}

cJSON *agent_fixture_run_test(struct agent_fixture *f, const char *function_name,
                              const char *inputs)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "{\"project_id\":\"%s\",\"tests\":[{\"function_name\":\"%s\",\"inputs\":%s,"
                   "\"timeout_ms\":20000}]}",
                   f->project_id, function_name, inputs);
    cJSON *run = agent_fixture_call(f, "POST", "/mock/runs", text);
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(run, "test_run_id"));
    char path[128];
    (void)snprintf(path, sizeof path, "/mock/runs/%s", id ? id : "none");
    cJSON_Delete(run);
    if (!id || !agent_fixture_wait(f, path, is_completed, "completed")) {
        return NULL;
    }
    cJSON *body = agent_fixture_call(f, "GET", path, NULL);
    cJSON *result = cJSON_DetachItemFromArray(cJSON_GetObjectItem(body, "results"), 0);
    cJSON_AddItemToObject(result, "path", cJSON_CreateString(path));
    cJSON_Delete(body);
    return result;
}

/* The fixture's settings come first, so that a test can override each of them. */
static void make_environment(const struct agent_fixture *f, const char *const *own,
                             struct words *out)
{
    char text[256];
    *out = (struct words){0};
    for (; own && *own; own++) {
        words_add(out, *own);
    }
    (void)snprintf(text, sizeof text, "RHESIS_BASE_URL=%s", f->base_url);
    words_add(out, text);
    (void)snprintf(text, sizeof text, "RHESIS_API_KEY=%s", f->api_key);
    words_add(out, text);
    (void)snprintf(text, sizeof text, "RHESIS_PROJECT_ID=%s", f->project_id);
    words_add(out, text);
    for (char **v = environ; *v; v++) {
        words_add(out, *v);
    }
}

static void keep_error_line(void *user, const char *line)
{
    struct agent_fixture *f = user;
    marline__buffer_append_format(&f->errors, "%s\n", line);
}

void agent_fixture_run_agent(struct agent_fixture *f, const char *const *arguments,
                             const char *const *environment, struct process_outcome *out)
{
    struct words command = {0};
    struct words variables;
    words_add(&command, MARLINE_BIN_DIR "/marline-agent");
    for (; *arguments; arguments++) {
        words_add(&command, *arguments);
    }
    make_environment(f, environment, &variables);
    struct process_request request = {.argv = command.items,
                                      .environment = variables.items,
                                      .timeout_ms = AGENT_MS,
                                      .output_max = 1024 * 1024,
                                      .on_error_line = keep_error_line,
                                      .user = f};
    marline__buffer_clear(&f->errors);
    marline__buffer_append_text(&f->errors, "");
    process_run(&request, out);
    words_deinit(&command);
    words_deinit(&variables);
}

cJSON *agent_fixture_check(struct agent_fixture *f, const char *const *arguments, int exit_code)
{
    struct process_outcome outcome;
    cJSON *json = NULL;
    agent_fixture_run_agent(f, arguments, NULL, &outcome);
    if (outcome.end == PROCESS_EXITED && outcome.detail == exit_code) {
        json = cJSON_ParseWithLength(outcome.output.data, outcome.output.size);
    }
    if (!json) {
        (void)fprintf(stderr, "exit %d, %s\n%.*s\n", outcome.detail, f->errors.data,
                      SLICE_ARG(marline__buffer_slice(&outcome.output)));
    }
    marline__buffer_deinit(&outcome.output);
    return json;
}

void agent_fixture_expect(struct agent_fixture *f, const char *const *arguments,
                          const char *variable, int exit_code, const char *first,
                          const char *second)
{
    const char *environment[] = {variable, NULL};
    struct process_outcome outcome;
    agent_fixture_run_agent(f, arguments, environment, &outcome);
    marline__buffer_append_byte(&outcome.output, '\0');
    if (outcome.end != PROCESS_EXITED || outcome.detail != exit_code ||
        !strstr(outcome.output.data, first) || !strstr(outcome.output.data, second)) {
        fail_msg("exit %d, without '%s' or '%s':\n%s", outcome.detail, first, second,
                 outcome.output.data);
    }
    marline__buffer_deinit(&outcome.output);
}

bool agent_fixture_start_agent(struct agent_fixture *f, struct program *agent,
                               const char *const *arguments)
{
    char url[160];
    char key[160];
    char project[96];
    (void)snprintf(url, sizeof url, "RHESIS_BASE_URL=%s", f->base_url);
    (void)snprintf(key, sizeof key, "RHESIS_API_KEY=%s", f->api_key);
    (void)snprintf(project, sizeof project, "RHESIS_PROJECT_ID=%s", f->project_id);
    const char *environment[] = {url, key, project, NULL};
    return program_start(agent, arguments, environment, agent_fixture_path(f, "agent.log"));
}
