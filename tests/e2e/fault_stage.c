/* Two threads: the test's, which owns the programs, and the step server's, which does the faults.
 * What both use is under one lock. */
#include "fault_stage.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/program.h"
#include "../support/step_server.h"
#include "../support/tcp_relay.h"
#include "base/clock.h"
#include "io/http_client.h"
#include "programs/must.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    START_MS = 60000, /* a machine may be busy, and each step waits for this test */
    STOP_MS = 60000,
    CALL_MS = 20000,
    HISTORY = 600,
    LOG_TAIL = 6000,
    PATH_SIZE = 160,
};

struct fault_stage {
    char folder[64];
    char steps_path[PATH_SIZE];
    char preload[PATH_SIZE * 4];
    char sanitizer[PATH_SIZE * 4]; /* a preloaded object comes before the sanitizer's own */
    struct http_client *http;
    struct tcp_relay *relay;
    uint16_t relay_port;
    struct step_server *steps;
    struct program agent;
    struct program backend;
    bool is_agent_wanted;
    char base_url[128]; /* past the relay */
    char project_id[64];
    char api_key[128];
    char config[PATH_SIZE];
    char agent_log[PATH_SIZE]; /* of the latest start */
    unsigned agent_starts;     /* with this plan */
    char outbox[PATH_SIZE];
    char executions[PATH_SIZE];
    struct fault_plan plan;
    uint64_t start_ns;

    struct {
        pthread_mutex_t lock;
        bool is_armed;
        uint32_t left[FAULTS_MAX]; /* until the fault's step; 0 = done */
        pid_t agent;               /* 0 = not there */
        pid_t backend;
        bool is_agent_dying; /* it was killed, and may take a while to end */
        bool is_backend_dying;
        int child; /* a pidfd of the last that was seen running, -1 = none */
        uint64_t resume_at_ns;
        bool is_relay_frozen;
        uint64_t reached[64];
        uint64_t done[FAULT_ACTIONS];
        char history[HISTORY][64];
        size_t events;
    } shared;
};

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

/* ---- the step server's thread ---- */

static void note(struct fault_stage *s, const char *text)
{
    char *line = s->shared.history[s->shared.events++ % HISTORY];
    (void)snprintf(line, sizeof s->shared.history[0], "%9.3f ms  %s",
                   (double)(now_ns() - s->start_ns) / 1e6, text);
}

static void signal_child(const struct fault_stage *s, int signal_number)
{
    if (s->shared.child >= 0) {
        (void)pidfd_send_signal(s->shared.child, signal_number, NULL, 0);
    }
}

static void signal_to(pid_t process, int signal_number)
{
    if (process > 0) {
        (void)kill(process, signal_number);
    }
}

/* True: the thread at the step may go on. That of a killed process never does. */
static bool inflict(struct fault_stage *s, const struct fault *f, pid_t process)
{
    bool is_freeze = false;
    switch (f->action) {
    case FAULT_KILL_AGENT:
        signal_to(s->shared.agent, SIGKILL);
        s->shared.is_agent_dying = s->shared.agent > 0;
        break;
    case FAULT_KILL_BACKEND:
        signal_to(s->shared.backend, SIGKILL);
        s->shared.is_backend_dying = s->shared.backend > 0;
        break;
    case FAULT_KILL_CHILD:
        signal_child(s, SIGKILL);
        break;
    case FAULT_CUT:
        tcp_relay_cut(s->relay, s->plan.with_reset);
        break;
    case FAULT_FREEZE_AGENT:
        signal_to(s->shared.agent, SIGSTOP);
        is_freeze = true;
        break;
    case FAULT_FREEZE_BACKEND:
        signal_to(s->shared.backend, SIGSTOP);
        is_freeze = true;
        break;
    case FAULT_FREEZE_CHILD:
        signal_child(s, SIGSTOP);
        is_freeze = true;
        break;
    case FAULT_FREEZE_CONNECTION:
        tcp_relay_freeze(s->relay, true);
        s->shared.is_relay_frozen = true;
        is_freeze = true;
        break;
    case FAULT_ACTIONS:
        break;
    }
    if (is_freeze) {
        s->shared.resume_at_ns = now_ns() + f->pause_ms * NS_PER_MS;
    }
    note(s, fault_action_names[f->action]);
    s->shared.done[f->action]++;
    bool is_dead = (f->action == FAULT_KILL_AGENT && process == s->shared.agent) ||
                   (f->action == FAULT_KILL_BACKEND && process == s->shared.backend);
    return !is_freeze && !is_dead;
}

static void remember_child(struct fault_stage *s, pid_t process)
{
    if (s->shared.child >= 0) {
        (void)close(s->shared.child);
    }
    s->shared.child = pidfd_open(process, 0);
}

static bool on_step(void *user, pid_t process, const char *step)
{
    struct fault_stage *s = user;
    bool goes_on = true;
    (void)pthread_mutex_lock(&s->shared.lock);
    note(s, step);
    if (strcmp(step, "running") == 0) {
        remember_child(s, process);
    }
    for (size_t i = 0; i < fault_step_count; i++) {
        s->shared.reached[i] += strcmp(step, fault_steps[i]) == 0;
    }
    for (size_t i = 0; s->shared.is_armed && i < s->plan.fault_count; i++) {
        const struct fault *f = &s->plan.faults[i];
        if (s->shared.left[i] > 0 && strcmp(step, fault_steps[f->step]) == 0 &&
            --s->shared.left[i] == 0) {
            goes_on &= inflict(s, f, process);
        }
    }
    (void)pthread_mutex_unlock(&s->shared.lock);
    return goes_on;
}

static void resume(struct fault_stage *s)
{
    signal_to(s->shared.agent, SIGCONT);
    signal_to(s->shared.backend, SIGCONT);
    signal_child(s, SIGCONT);
    if (s->shared.is_relay_frozen) {
        tcp_relay_freeze(s->relay, false);
        s->shared.is_relay_frozen = false;
    }
    s->shared.resume_at_ns = 0;
    note(s, "all goes on");
}

static int on_tick(void *user)
{
    struct fault_stage *s = user;
    int timeout_ms = -1;
    (void)pthread_mutex_lock(&s->shared.lock);
    uint64_t now = now_ns();
    if (s->shared.resume_at_ns && now >= s->shared.resume_at_ns) {
        resume(s);
        step_server_release(s->steps);
    } else if (s->shared.resume_at_ns) {
        timeout_ms = (int)((s->shared.resume_at_ns - now) / NS_PER_MS) + 1;
    }
    (void)pthread_mutex_unlock(&s->shared.lock);
    return timeout_ms;
}

/* ---- the programs ---- */

static void file_name(const struct fault_stage *s, const char *name, char out[PATH_SIZE])
{
    (void)snprintf(out, PATH_SIZE, "%s/%s", s->folder, name);
}

static bool read_ready_file(struct fault_stage *s, const char *path)
{
    char *text = program_read_file(path);
    cJSON *json = cJSON_Parse(text);
    marline__memory_free(text);
    const char *base_url = cJSON_GetStringValue(cJSON_GetObjectItem(json, "base_url"));
    const char *project_id = cJSON_GetStringValue(cJSON_GetObjectItem(json, "project_id"));
    const char *api_key = cJSON_GetStringValue(cJSON_GetObjectItem(json, "api_key"));
    const char *port = base_url ? strrchr(base_url, ':') : NULL;
    if (port && project_id && api_key) {
        (void)snprintf(s->base_url, sizeof s->base_url, "%s", base_url);
        (void)snprintf(s->project_id, sizeof s->project_id, "%s", project_id);
        (void)snprintf(s->api_key, sizeof s->api_key, "%s", api_key);
        tcp_relay_set_target(s->relay, (uint16_t)strtoul(port + 1, NULL, 10));
    }
    cJSON_Delete(json);
    return port != NULL;
}

static bool start_backend(struct fault_stage *s)
{
    char ready[PATH_SIZE];
    char log[PATH_SIZE];
    char store[PATH_SIZE];
    char steps[PATH_SIZE + 16];
    file_name(s, "ready.json", ready);
    file_name(s, "backend.log", log);
    (void)snprintf(store, sizeof store, "sqlite:%s/marline.db", s->folder);
    (void)snprintf(steps, sizeof steps, "MARLINE_STEPS=%s", s->steps_path);
    const char *argv[] = {
        "marline-backend-mock", "serve", "--listen",     "127.0.0.1:0", "--store", store,
        "--ready-file",         ready,   "--rate-limit", "0",           NULL};
    const char *environment[] = {s->preload, s->sanitizer, steps, NULL};
    (void)unlink(ready);
    (void)pthread_mutex_lock(&s->shared.lock);
    bool ok = program_start(&s->backend, argv, environment, log);
    s->shared.backend = ok ? s->backend.pid : 0;
    s->shared.is_backend_dying = false;
    (void)pthread_mutex_unlock(&s->shared.lock);
    return ok && program_wait_for_text(&s->backend, ready, "}", START_MS) &&
           read_ready_file(s, ready);
}

static bool start_agent(struct fault_stage *s)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%" PRIu64 "-%u.log", s->plan.seed, s->agent_starts++);
    file_name(s, name, s->agent_log);
    char texts[4][PATH_SIZE + 32];
    (void)snprintf(texts[0], sizeof texts[0], "RHESIS_BASE_URL=http://127.0.0.1:%u", s->relay_port);
    (void)snprintf(texts[1], sizeof texts[1], "RHESIS_API_KEY=%s", s->api_key);
    (void)snprintf(texts[2], sizeof texts[2], "RHESIS_PROJECT_ID=%s", s->project_id);
    (void)snprintf(texts[3], sizeof texts[3], "MARLINE_STEPS=%s", s->steps_path);
    const char *environment[] = {texts[0],   texts[1],     texts[2], texts[3],
                                 s->preload, s->sanitizer, NULL};
    const char *argv[] = {"marline-agent", "run", "--config", s->config, NULL};
    (void)pthread_mutex_lock(&s->shared.lock);
    bool ok = program_start(&s->agent, argv, environment, s->agent_log);
    s->shared.agent = ok ? s->agent.pid : 0;
    s->shared.is_agent_dying = false;
    note(s, "agent starts");
    (void)pthread_mutex_unlock(&s->shared.lock);
    return ok;
}

/* Under the lock, so that no fault reaches a process of the same number. One that was killed is as
 * good as ended; another may have been seen to end while it was waited for. */
static bool has_ended(struct fault_stage *s, struct program *p, pid_t *shared, bool *is_dying)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    bool ended = program_wait(p, *is_dying ? STOP_MS : 0);
    *shared = ended ? 0 : *shared;
    *is_dying = *is_dying && !ended;
    (void)pthread_mutex_unlock(&s->shared.lock);
    return ended;
}

void fault_stage_look(struct fault_stage *s)
{
    if (has_ended(s, &s->backend, &s->shared.backend, &s->shared.is_backend_dying)) {
        (void)start_backend(s);
    }
    if (s->is_agent_wanted &&
        has_ended(s, &s->agent, &s->shared.agent, &s->shared.is_agent_dying)) {
        (void)start_agent(s);
    }
}

/* ---- one seed ---- */

static bool write_config(const struct fault_stage *s)
{
    const struct fault_plan *p = &s->plan;
    FILE *file = fopen(s->config, "we");
    if (!file) {
        return false;
    }
    (void)fprintf(file,
                  "outbox: %s\n"
                  "flush: %s\n"
                  "export_interval_ms: %" PRIu32 "\n"
                  "log_level: debug\n"
                  "endpoints:\n"
                  "  - name: work\n"
                  "    timeout_ms: %" PRIu32 "\n"
                  "    process: %s\n"
                  "    exec: [%s, %s, %s, %s]\n",
                  s->outbox, p->is_prompt ? "prompt" : "batch", p->export_interval_ms,
                  p->call_timeout_ms, p->is_long_lived ? "long_lived" : "per_call",
                  MARLINE_TEST_DIR "/step-handler", s->steps_path, s->executions,
                  p->is_long_lived ? "lines" : "once");
    return fclose(file) == 0;
}

static void name_files(struct fault_stage *s)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%" PRIu64 ".yaml", s->plan.seed);
    file_name(s, name, s->config);
    (void)snprintf(name, sizeof name, "%" PRIu64 ".db", s->plan.seed);
    file_name(s, name, s->outbox);
    (void)snprintf(name, sizeof name, "%" PRIu64 ".executions", s->plan.seed);
    file_name(s, name, s->executions);
}

static bool wait_for_agent(struct fault_stage *s)
{
    return program_wait_for_text(&s->agent, s->agent_log, "ready for tests", START_MS);
}

bool fault_stage_begin(struct fault_stage *s, const struct fault_plan *plan)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    s->plan = *plan;
    s->agent_starts = 0;
    s->start_ns = now_ns();
    s->shared.events = 0;
    (void)pthread_mutex_unlock(&s->shared.lock);
    name_files(s);
    s->is_agent_wanted = true;
    if (!write_config(s) || !start_agent(s) || !wait_for_agent(s)) {
        return false;
    }
    (void)pthread_mutex_lock(&s->shared.lock);
    for (size_t i = 0; i < plan->fault_count; i++) {
        s->shared.left[i] = plan->faults[i].occurrence;
    }
    s->shared.is_armed = true;
    (void)pthread_mutex_unlock(&s->shared.lock);
    return true;
}

void fault_stage_calm(struct fault_stage *s)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.is_armed = false;
    s->shared.resume_at_ns = s->shared.resume_at_ns ? 1 : 0;
    (void)pthread_mutex_unlock(&s->shared.lock);
    step_server_wake(s->steps);
}

/* One that has just been started is not told before it listens. */
static bool drain_agent(struct fault_stage *s)
{
    if (!wait_for_agent(s)) {
        return false;
    }
    program_signal(&s->agent, SIGTERM);
    return program_wait(&s->agent, STOP_MS) && program_exit_status(&s->agent) == 0;
}

/* A fault may have killed it a moment ago, so that it dies instead of draining: once. */
bool fault_stage_end(struct fault_stage *s)
{
    bool ok = drain_agent(s);
    bool was_killed =
        s->agent.pid == 0 && WIFSIGNALED(s->agent.status) && WTERMSIG(s->agent.status) == SIGKILL;
    if (!ok && was_killed) {
        ok = start_agent(s) && drain_agent(s);
    }
    s->is_agent_wanted = false;
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.agent = s->agent.pid;
    (void)pthread_mutex_unlock(&s->shared.lock);
    return ok;
}

/* ---- questions ---- */

cJSON *fault_stage_call(struct fault_stage *s, const char *method, const char *path,
                        const char *body)
{
    char url[256];
    char authorization[192];
    (void)snprintf(url, sizeof url, "%s%s", s->base_url, path);
    (void)snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", s->api_key);
    const char *headers[] = {authorization, "Content-Type: application/json"};
    struct http_request request = {.method = method,
                                   .url = url,
                                   .headers = headers,
                                   .header_count = 2,
                                   .body = marline__slice_text(body),
                                   .timeout_ms = CALL_MS};
    struct http_response response = HTTP_RESPONSE_INIT;
    cJSON *json = NULL;
    if (marline__http_client_perform(s->http, &request, &response, NULL) == MARLINE_OK &&
        response.status >= 200 && response.status <= 299) {
        json = cJSON_ParseWithLength(response.body.data, response.body.size);
    }
    marline__http_response_deinit(&response);
    return json;
}

const char *fault_stage_project(const struct fault_stage *s)
{
    return s->project_id;
}

const char *fault_stage_outbox(const struct fault_stage *s)
{
    return s->outbox;
}

const char *fault_stage_executions(const struct fault_stage *s)
{
    return s->executions;
}

uint64_t fault_stage_reached(struct fault_stage *s, size_t step)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    uint64_t count = s->shared.reached[step];
    (void)pthread_mutex_unlock(&s->shared.lock);
    return count;
}

uint64_t fault_stage_done(struct fault_stage *s, enum fault_action action)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    uint64_t count = s->shared.done[action];
    (void)pthread_mutex_unlock(&s->shared.lock);
    return count;
}

static void print_tail(const char *path, FILE *out)
{
    char *text = program_read_file(path);
    size_t size = strlen(text);
    (void)fprintf(out, "---- %s\n%s\n", path, text + (size > LOG_TAIL ? size - LOG_TAIL : 0));
    marline__memory_free(text);
}

void fault_stage_explain(struct fault_stage *s, FILE *out)
{
    char log[PATH_SIZE];
    char name[64];
    (void)pthread_mutex_lock(&s->shared.lock);
    size_t first = s->shared.events > HISTORY ? s->shared.events - HISTORY : 0;
    for (size_t i = first; i < s->shared.events; i++) {
        (void)fprintf(out, "%s\n", s->shared.history[i % HISTORY]);
    }
    (void)pthread_mutex_unlock(&s->shared.lock);
    for (unsigned i = 0; i < s->agent_starts; i++) {
        (void)snprintf(name, sizeof name, "%" PRIu64 "-%u.log", s->plan.seed, i);
        file_name(s, name, log);
        print_tail(log, out);
    }
    file_name(s, "backend.log", log);
    print_tail(log, out);
}

/* ---- from beginning to end ---- */

struct fault_stage *fault_stage_create(void)
{
    struct fault_stage *s = must_zeroed(sizeof *s);
    const struct step_events events = {on_step, on_tick, s};
    (void)pthread_mutex_init(&s->shared.lock, NULL);
    s->shared.child = -1;
    s->start_ns = now_ns();
    s->http = must(marline__http_client_create(NULL));
    (void)snprintf(s->folder, sizeof s->folder, "/tmp/marline_lost_XXXXXX");
    (void)snprintf(s->preload, sizeof s->preload, "LD_PRELOAD=%s", MARLINE_STEP_SHIM);
    const char *sanitizer = getenv("ASAN_OPTIONS");
    (void)snprintf(s->sanitizer, sizeof s->sanitizer, "ASAN_OPTIONS=%s:verify_asan_link_order=0",
                   sanitizer ? sanitizer : "");
    s->relay = tcp_relay_start(&s->relay_port);
    if (!mkdtemp(s->folder)) {
        (void)fault_stage_destroy(s);
        return NULL;
    }
    file_name(s, "steps", s->steps_path);
    s->steps = step_server_start(s->steps_path, &events);
    if (!start_backend(s)) {
        fault_stage_explain(s, stderr);
        (void)fault_stage_destroy(s);
        return NULL;
    }
    return s;
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

bool fault_stage_destroy(struct fault_stage *s)
{
    if (!s) {
        return true;
    }
    if (s->steps) {
        fault_stage_calm(s);
    }
    program_stop(&s->agent);
    program_stop(&s->backend);
    bool ok = program_exit_status(&s->backend) == 0;
    if (!ok) {
        (void)puts("FAILED: the backend did not end well");
        fault_stage_explain(s, stdout);
    }
    step_server_stop(s->steps);
    tcp_relay_stop(s->relay);
    marline__http_client_destroy(s->http);
    if (s->shared.child >= 0) {
        (void)close(s->shared.child);
    }
    remove_folder(s->folder);
    (void)pthread_mutex_destroy(&s->shared.lock);
    marline__memory_free(s);
    return ok;
}
