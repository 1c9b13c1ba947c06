/* See bench_agent_program.h. */
#include "bench_agent_program.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "bench_http.h"
#include "bench_peer.h"
#include "bench_program.h"

enum {
    PATH_ROOM = 512,
    CALLS = 2000,
    WARM_UP = 50,
    STARTS = 20,
    IDLE_MS = 10000,
    RUN_TESTS = 30000,
    RUN_AT_ONCE = 256,
    LOOK_MS = 10,
    GIVE_UP_S = 120,
};

#define PROJECT "11111111-1111-4111-8111-111111111111"

extern char **environ;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

/* Programs lie beside this one. */
static void beside(const char *name, char out[PATH_ROOM])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_ROOM - 64);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    (void)snprintf(slash ? slash + 1 : out, 64, "%s", name);
}

/* ---- the agent as a program ---- */

struct stage {
    struct bench_peer *peer;
    char folder[32];
    char config[64];
    pid_t agent;
    int log; /* its stderr */
};

static void write_config(const struct stage *s, const char *endpoint)
{
    FILE *file = fopen(s->config, "w");
    bench_check(file != NULL, "configuration written");
    if (file) {
        (void)fprintf(file, "outbox: outbox.db\nendpoints:\n  - {name: noop, %s}\n", endpoint);
        (void)fclose(file);
    }
}

static void launch(struct stage *s)
{
    char program[PATH_ROOM];
    char url[64];
    int pipes[2];
    beside("marline-agent", program);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", bench_peer_port(s->peer));
    bench_check(pipe(pipes) == 0, "pipe");
    s->agent = fork();
    if (s->agent == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(pipes[1], STDERR_FILENO);
        (void)close(pipes[0]);
        (void)close(pipes[1]);
        (void)setenv("RHESIS_API_KEY", "key", 1);
        (void)setenv("RHESIS_PROJECT_ID", PROJECT, 1);
        (void)setenv("RHESIS_BASE_URL", url, 1);
        (void)execl(program, program, "run", "--config", s->config, NULL);
        perror(program);
        _exit(127);
    }
    (void)close(pipes[1]);
    s->log = pipes[0];
    (void)fcntl(s->log, F_SETFL, O_NONBLOCK);
}

static void open_stage(struct stage *s, const char *endpoint)
{
    *s = (struct stage){.peer = bench_peer_start(), .log = -1};
    (void)snprintf(s->folder, sizeof s->folder, "bench-XXXXXX");
    bench_check(mkdtemp(s->folder) != NULL, "temporary folder");
    (void)snprintf(s->config, sizeof s->config, "%s/agent.yaml", s->folder);
    write_config(s, endpoint);
    launch(s);
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *e = folder ? readdir(folder) : NULL; e; e = readdir(folder)) {
        char file[PATH_ROOM];
        (void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        (void)unlink(file);
    }
    if (folder) {
        (void)closedir(folder);
    }
    (void)rmdir(path);
}

static void end_child(pid_t child)
{
    int status;
    (void)kill(child, SIGKILL);
    bench_check(waitpid(child, &status, 0) == child, "child ended");
}

static void close_stage(struct stage *s)
{
    end_child(s->agent);
    (void)close(s->log);
    remove_folder(s->folder);
    bench_peer_stop(s->peer);
}

/* The log must not fill its pipe while calls are measured: it says what went wrong. */
static struct bench_figures measure_calls(const char *endpoint)
{
    struct stage s;
    open_stage(&s, endpoint);
    (void)fcntl(s.log, F_SETPIPE_SZ, 1 << 20);
    struct bench_figures figures =
        bench_peer_measure(s.peer, &(struct bench_load){.messages = CALLS, .at_once = 1});
    close_stage(&s);
    return figures;
}

/* ---- what they are compared with: what the handler does, without the channel around it ---- */

static double spawn_and_wait_us(void)
{
    static double times[CALLS];
    char *const argv[] = {(char[]){"/bin/echo"}, (char[]){"x"}, NULL};
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    for (size_t i = 0; i < CALLS + WARM_UP; i++) {
        pid_t pid = 0;
        int status = 1;
        uint64_t start = bench_now_ns();
        bool ok = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) == 0 &&
                  waitpid(pid, &status, 0) == pid && status == 0;
        bench_check(ok, "the program ran");
        times[i % CALLS] = (double)(bench_now_ns() - start) / 1e3;
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return median(times, CALLS);
}

static pid_t start_lines(int input[2], int output[2])
{
    char program[PATH_ROOM];
    beside("bench-lines", program);
    bench_check(pipe(input) == 0 && pipe(output) == 0, "pipes");
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(input[0], STDIN_FILENO);
        (void)dup2(output[1], STDOUT_FILENO);
        (void)close(input[1]);
        (void)close(output[0]);
        (void)execl(program, program, NULL);
        _exit(127);
    }
    (void)close(input[0]);
    (void)close(output[1]);
    return pid;
}

static double pipe_round_trip_us(void)
{
    static double times[CALLS];
    static const char line[] =
        "{\"id\":\"b_0000000001\",\"inputs\":{\"input\":\"\"},\"traceparent\":"
        "\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\",\"test\":null}\n";
    int input[2] = {-1, -1};
    int output[2] = {-1, -1};
    char answer[256];
    pid_t pid = start_lines(input, output);
    for (size_t i = 0; i < CALLS + WARM_UP; i++) {
        uint64_t start = bench_now_ns();
        bool ok = write(input[1], line, sizeof line - 1) == sizeof line - 1 &&
                  read(output[0], answer, sizeof answer) > 0;
        bench_check(ok, "the line was answered");
        times[i % CALLS] = (double)(bench_now_ns() - start) / 1e3;
    }
    (void)close(input[1]);
    (void)close(output[0]);
    end_child(pid);
    return median(times, CALLS);
}

void bench_agent_exec(void)
{
    char endpoint[PATH_ROOM + 64];
    char program[PATH_ROOM];
    double spawn_us = spawn_and_wait_us();
    struct bench_figures exec = measure_calls("exec: [/bin/echo, x]");
    bench_report("agent.spawn_and_wait_p50", spawn_us, "us", 1, -1, 0);
    bench_report("agent.exec_invocation_p50", exec.p50_us, "us", exec.p50_us / spawn_us, -1, 0);
    double exec_ratio = exec.duration_p50_us / spawn_us;
    bench_report("agent.exec_p50", exec.duration_p50_us, "us", exec_ratio, 1.3, exec_ratio);
    double pipe_us = pipe_round_trip_us();
    beside("bench-lines", program);
    (void)snprintf(endpoint, sizeof endpoint, "process: long_lived, exec: [%s]", program);
    struct bench_figures lines = measure_calls(endpoint);
    bench_report("agent.pipe_round_trip_p50", pipe_us, "us", 1, -1, 0);
    bench_report("agent.long_lived_invocation_p50", lines.p50_us, "us", lines.p50_us / pipe_us, -1,
                 0);
    double lines_ratio = lines.duration_p50_us / pipe_us;
    bench_report("agent.long_lived_p50", lines.duration_p50_us, "us", lines_ratio, 3, lines_ratio);
}

/* ---- start and idleness ---- */

/* Of all threads: each time one slept and was woken, or was interrupted. */
static double switches(pid_t process)
{
    char path[64];
    double sum = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *tasks = opendir(path);
    for (struct dirent *e = tasks ? readdir(tasks) : NULL; e; e = readdir(tasks)) {
        char name[PATH_ROOM];
        char line[256];
        (void)snprintf(name, sizeof name, "%s/%s/status", path, e->d_name);
        FILE *file = e->d_name[0] == '.' ? NULL : fopen(name, "r");
        while (file && fgets(line, sizeof line, file)) {
            sum += strncmp(line, "voluntary_ctxt_switches:", 24) == 0 ? strtod(line + 24, NULL) : 0;
        }
        if (file) {
            (void)fclose(file);
        }
    }
    if (tasks) {
        (void)closedir(tasks);
    }
    return sum;
}

/* False: the agent said something else to the end, or nothing for a minute. */
static bool wait_until_ready(const struct stage *s)
{
    char text[8192] = "";
    size_t size = 0;
    struct pollfd readable = {s->log, POLLIN, 0};
    while (!strstr(text, "ready for tests")) {
        ssize_t n =
            poll(&readable, 1, 0) == 1 ? read(s->log, text + size, sizeof text - size - 1) : 0;
        size += n > 0 ? (size_t)n : 0;
        text[size] = '\0';
        if ((readable.revents && n <= 0) || size == sizeof text - 1) {
            (void)fputs(text, stderr);
            return false;
        }
        bench_peer_serve(s->peer);
    }
    return true;
}

void bench_agent_idle(void)
{
    double starts[STARTS];
    double wakeups = 0;
    for (int i = 0; i < STARTS; i++) {
        struct stage s;
        uint64_t start = bench_now_ns();
        open_stage(&s, "exec: [/bin/echo, x]");
        bench_check(wait_until_ready(&s), "the agent became ready");
        starts[i] = (double)(bench_now_ns() - start) / 1e6;
        if (i == STARTS - 1) {
            double before = switches(s.agent);
            (void)poll(NULL, 0, IDLE_MS);
            wakeups = switches(s.agent) - before;
        }
        close_stage(&s);
    }
    double start_ms = median(starts, STARTS);
    bench_report("agent.program_start_to_registered", start_ms, "ms", 0, 50, start_ms);
    bench_report("agent.idle_wakeups", wakeups * 1000 / IDLE_MS, "1/s", 0, 1,
                 wakeups * 1000 / IDLE_MS);
}

/* ---- against the real backend ---- */

static void write_run(const struct bench_program *backend, struct buffer *out)
{
    marline__buffer_append_format(out, "{\"project_id\":\"%s\",\"concurrency\":%d,\"tests\":[",
                                  backend->project, RUN_AT_ONCE);
    for (int i = 0; i < RUN_TESTS; i++) {
        marline__buffer_append_format(
            out, "%s{\"function_name\":\"noop\",\"inputs\":{\"input\":\"\"}}", i ? "," : "");
    }
    marline__buffer_append_text(out, "]}");
}

static bool is_served(struct bench_http *h, const char *project)
{
    char path[128];
    const char *body = NULL;
    (void)snprintf(path, sizeof path, "/connector/status/%s?environment=development", project);
    return bench_http_get(h, path, &body) == 200 && strstr(body, "noop");
}

/* Waits until GET path holds the text; false when it takes too long. */
static bool wait_for(struct bench_http *h, const char *path, const char *text)
{
    uint64_t give_up = bench_now_ns() + GIVE_UP_S * 1000000000ull;
    while (bench_now_ns() < give_up) {
        const char *body = NULL;
        if (bench_http_get(h, path, &body) == 200 && strstr(body, text)) {
            return true;
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
    return false;
}

static double linked_in_ledger(struct bench_http *h)
{
    const char *body = NULL;
    return bench_http_get(h, "/mock/ledger", &body) == 200 ? bench_json_number(body, "linked") : -1;
}

/* User and system, in seconds. */
static double processor_s(pid_t process)
{
    char path[64];
    char text[1024] = "";
    double ticks = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    FILE *file = fopen(path, "r");
    if (file && fgets(text, sizeof text, file)) {
        char *at = strrchr(text, ')');
        for (int field = 2; at && field < 15; field++) {
            at = strchr(at + 1, ' ');
            ticks += at && field >= 13 ? strtod(at, NULL) : 0; /* utime and stime */
        }
    }
    if (file) {
        (void)fclose(file);
    }
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

static void measure_run(struct bench_http *h, const struct bench_program *backend, pid_t agent)
{
    struct buffer request = BUFFER_INIT;
    const char *body = NULL;
    char run[64] = "";
    char path[128];
    write_run(backend, &request);
    while (!is_served(h, backend->project)) {
        (void)poll(NULL, 0, LOOK_MS);
    }
    double used_s = processor_s(backend->pid) + processor_s(agent);
    uint64_t start = bench_now_ns();
    bench_check(bench_http_perform(h, "POST", "/mock/runs", "application/json",
                                   marline__buffer_slice(&request), &body) < 300 &&
                    bench_json_text(body, "test_run_id", run, sizeof run),
                "run started");
    (void)snprintf(path, sizeof path, "/mock/runs/%s/wait?timeout_ms=120000", run);
    bench_check(bench_http_get(h, path, &body) == 200, "run waited for");
    double run_s = (double)(bench_now_ns() - start) / 1e9;
    used_s = processor_s(backend->pid) + processor_s(agent) - used_s;
    uint64_t give_up = bench_now_ns() + GIVE_UP_S * 1000000000ull;
    while (linked_in_ledger(h) < RUN_TESTS && bench_now_ns() < give_up) {
        (void)poll(NULL, 0, LOOK_MS);
    }
    double linked_s = (double)(bench_now_ns() - start) / 1e9;
    (void)snprintf(path, sizeof path, "/mock/runs/%s", run);
    bench_check(wait_for(h, path, "\"completed\""), "run completed");
    bench_check(linked_in_ledger(h) == RUN_TESTS, "every span stored and linked");
    double rate = RUN_TESTS / run_s;
    bench_report("agent.real_pipelined_rate", rate, "1/s", rate / 6000, 1, 6000 / rate);
    /* Two cores have 333 us for each of 6000 a second: what other load on the machine cannot blur.
     */
    bench_report("agent.real_processor_time", used_s * 1e6 / RUN_TESTS, "us", 0, 333,
                 used_s * 1e6 / RUN_TESTS);
    bench_report("agent.real_all_linked_after", linked_s, "s", linked_s / run_s, -1, 0);
    marline__buffer_deinit(&request);
}

void bench_agent_real(void (*agent)(const char *base_url, const char *key, const char *project,
                                    const char *outbox))
{
    struct bench_program backend;
    struct bench_http h;
    char url[64];
    char outbox[64];
    char folder[32] = "bench-XXXXXX";
    bench_check(bench_program_start(&backend, false) && mkdtemp(folder), "backend started");
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", backend.port);
    (void)snprintf(outbox, sizeof outbox, "%s/outbox.db", folder);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        agent(url, backend.key, backend.project, outbox);
        _exit(1);
    }
    bench_http_open(&h, backend.port, backend.key);
    measure_run(&h, &backend, child);
    bench_http_close(&h);
    end_child(child);
    bench_program_stop(&backend);
    remove_folder(folder);
}
