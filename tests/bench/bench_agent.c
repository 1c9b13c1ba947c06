/* marline-bench agent: an agent in a process of its own, with outbox and tracing on, against the
 * least of a backend in this one. */
#include <marline/marline.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "bench_agent_program.h"
#include "bench_peer.h"
#include "connector/outbox.h"
#include "io/websocket_client.h"

#define PROJECT "11111111-1111-4111-8111-111111111111"

enum { WARM_UP = 500, SEQUENTIAL = 5000, PIPELINED = 30000, WAITING = 10000, AT_ONCE = 64 };

/* ---- the bare echo ---- */

struct echo {
    struct websocket_client *ws;
    char text[4096];
    size_t size;
};

static void echo_text(void *user, struct slice message)
{
    struct echo *e = user;
    e->size = message.size < sizeof e->text ? message.size : sizeof e->text;
    memcpy(e->text, message.data, e->size);
    marline__websocket_want_write(e->ws);
}

static void echo_writable(void *user)
{
    struct echo *e = user;
    if (e->size > 0) {
        (void)marline__websocket_write_text(e->ws, (struct slice){e->text, e->size});
        e->size = 0;
    }
}

static void echo_ended(void *user, const struct websocket_end *end)
{
    (void)user;
    (void)end;
    _exit(0);
}

static void echo_refused(void *user, int status, const char *reason)
{
    (void)user;
    (void)fprintf(stderr, "echo refused: %d %s\n", status, reason);
    _exit(1);
}

static void echo_nothing(void *user)
{
    (void)user;
}

static void run_echo(const char *url)
{
    struct echo e = {0};
    const struct websocket_options options = {.url = url,
                                              .message_max = sizeof e.text,
                                              .connect_timeout_s = 10,
                                              .ping_after_s = 60,
                                              .hang_up_after_s = 90};
    const struct websocket_events events = {echo_nothing, echo_refused,  echo_text,
                                            echo_ended,   echo_writable, NULL,
                                            echo_nothing, echo_nothing,  &e};
    if (marline__websocket_create(&options, &events, &e.ws, NULL) != MARLINE_OK) {
        _exit(1);
    }
    marline__websocket_connect(e.ws);
    for (;;) {
        marline__websocket_run(e.ws);
    }
}

/* ---- the agent ---- */

static marline_status noop(marline_call *call, void *user)
{
    (void)user;
    return marline_output_text(call, "");
}

static void discard(void *user, const marline_span_data *spans, size_t count, uint64_t timeout_ms,
                    marline_export_result *out)
{
    (void)user;
    (void)spans;
    (void)timeout_ms;
    memset(out, 0, sizeof *out);
    out->exported = count;
}

struct agent_setup {
    const char *url;
    const char *outbox;
    int report;      /* gets the time from start to registered, in ns */
    const char *key; /* of a backend that takes the spans; NULL = they are discarded */
    const char *project;
};

static void run_agent(const struct agent_setup *setup)
{
    marline_provider *provider = NULL;
    marline_exporter exporter = {.export_spans = discard};
    marline_client *client = NULL;
    marline_error error = {MARLINE_OK, ""};
    marline_client_options options = MARLINE_CLIENT_OPTIONS_INIT;
    const marline_endpoint endpoint = {.size = sizeof endpoint, .name = "noop", .handler = noop};
    options.base_url = setup->url;
    options.api_key = setup->key ? setup->key : "key";
    options.project_id = setup->project ? setup->project : PROJECT;
    options.outbox_path = setup->outbox;
    marline_platform_exporter_options platform = {.size = sizeof platform,
                                                  .base_url = setup->url,
                                                  .api_key = options.api_key,
                                                  .project_id = options.project_id};
    marline_batch_options batch = MARLINE_BATCH_OPTIONS_INIT;
    if (setup->key) {
        batch.queue_max = 65536;
        bench_check(marline_exporter_platform_create(&platform, &exporter, &error) == MARLINE_OK,
                    "exporter made");
    }
    if (marline_provider_create(NULL, &provider, &error) == MARLINE_OK &&
        marline_provider_add_batch_processor(provider, &exporter, &batch, &error) == MARLINE_OK) {
        options.provider = provider;
    }
    uint64_t start = bench_now_ns();
    if (marline_client_create(&options, &client, &error) != MARLINE_OK ||
        marline_client_add_endpoint(client, &endpoint, &error) != MARLINE_OK ||
        marline_client_start(client, &error) != MARLINE_OK ||
        marline_client_wait_registered(client, 10000, &error) != MARLINE_OK) {
        (void)fprintf(stderr, "agent: %s\n", error.text);
        _exit(1);
    }
    uint64_t took = bench_now_ns() - start;
    bench_check(write(setup->report, &took, sizeof took) == sizeof took, "report written");
    for (;;) {
        (void)pause();
    }
}

/* ---- measuring ---- */

struct scene {
    struct bench_peer *backend;
    char url[64];
    char folder[32];
    char outbox[64];
};

static pid_t start_echo(const struct scene *scene)
{
    pid_t child = fork();
    if (child == 0) {
        run_echo(scene->url);
    }
    return child;
}

static pid_t start_agent(const struct scene *scene, int report)
{
    pid_t child = fork();
    if (child == 0) {
        const struct agent_setup setup = {scene->url, scene->outbox, report, NULL, NULL};
        run_agent(&setup);
    }
    return child;
}

static void end_child(pid_t child)
{
    int status;
    (void)kill(child, SIGKILL);
    bench_check(waitpid(child, &status, 0) == child, "child ended");
}

static void open_scene(struct scene *scene)
{
    scene->backend = bench_peer_start();
    (void)snprintf(scene->url, sizeof scene->url, "ws://127.0.0.1:%u",
                   bench_peer_port(scene->backend));
    (void)snprintf(scene->folder, sizeof scene->folder, "bench-XXXXXX");
    bench_check(mkdtemp(scene->folder) != NULL, "temporary folder");
    (void)snprintf(scene->outbox, sizeof scene->outbox, "%s/outbox.db", scene->folder);
}

static void remove_outbox(const struct scene *scene)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < 4; i++) {
        char file[80];
        (void)snprintf(file, sizeof file, "%s%s", scene->outbox, suffixes[i]);
        (void)unlink(file);
    }
}

static void close_scene(struct scene *scene)
{
    remove_outbox(scene);
    (void)rmdir(scene->folder);
    bench_peer_stop(scene->backend);
}

static struct bench_figures measure_echo(uint32_t messages)
{
    struct scene scene;
    open_scene(&scene);
    pid_t child = start_echo(&scene);
    struct bench_figures figures = bench_peer_measure(
        scene.backend, &(struct bench_load){.echo = true, .messages = messages, .at_once = 1});
    end_child(child);
    close_scene(&scene);
    return figures;
}

struct agent_figures {
    struct bench_figures load;
    double registered_ms;
    double kilobytes;
};

static struct agent_figures measure_agent(const struct bench_load *load)
{
    struct scene scene;
    struct agent_figures figures = {0};
    int report[2];
    uint64_t took = 0;
    open_scene(&scene);
    bench_check(pipe(report) == 0, "pipe");
    pid_t child = start_agent(&scene, report[1]);
    figures.load = bench_peer_measure(scene.backend, load);
    bench_check(read(report[0], &took, sizeof took) == sizeof took, "the agent registered");
    figures.registered_ms = (double)took / 1e6;
    figures.kilobytes = bench_anonymous_kilobytes(child);
    end_child(child);
    close(report[0]);
    close(report[1]);
    close_scene(&scene);
    return figures;
}

static void fill_outbox(const struct scene *scene)
{
    char scope[256];
    (void)snprintf(scope, sizeof scope, "%s/connector/ws " PROJECT " development", scene->url);
    const struct outbox_options options = {.path = scene->outbox, .scope = scope};
    struct outbox *box = NULL;
    bench_check(marline__outbox_open(&options, &box, NULL) == MARLINE_OK, "outbox opened");
    for (uint32_t i = 0; box && i < WAITING; i++) {
        char id[16];
        char result[256];
        (void)snprintf(id, sizeof id, "b_%010u", i);
        (void)snprintf(result, sizeof result,
                       "{\"type\":\"test_result\",\"test_run_id\":\"%s\",\"status\":\"success\","
                       "\"output\":{\"output\":\"\"},\"error\":null,\"duration_ms\":0.1,"
                       "\"trace_id\":null}",
                       id);
        const struct outbox_record record = {
            .id = marline__slice_text(id), .result = marline__slice_text(result), .span_count = 1};
        bench_check(marline__outbox_stored(box, &record) != 0, "result stored");
    }
    marline__outbox_close(box);
}

static struct bench_figures measure_waiting(void)
{
    struct scene scene;
    int report[2];
    open_scene(&scene);
    fill_outbox(&scene);
    bench_check(pipe(report) == 0, "pipe");
    pid_t child = start_agent(&scene, report[1]);
    struct bench_figures figures = bench_peer_measure(
        scene.backend, &(struct bench_load){.messages = WAITING, .silent = true});
    end_child(child);
    close(report[0]);
    close(report[1]);
    close_scene(&scene);
    return figures;
}

double bench_echo_p50_us(void)
{
    (void)measure_echo(WARM_UP);
    return measure_echo(SEQUENTIAL).p50_us;
}

static void run_exporting_agent(const char *base_url, const char *key, const char *project,
                                const char *outbox)
{
    const struct agent_setup setup = {base_url, outbox, open("/dev/null", O_WRONLY), key, project};
    run_agent(&setup);
}

void bench_agent(void)
{
    (void)measure_echo(WARM_UP);
    struct bench_figures echo = measure_echo(SEQUENTIAL);
    struct agent_figures one =
        measure_agent(&(struct bench_load){.messages = SEQUENTIAL, .at_once = 1});
    double ratio = one.load.p50_us / echo.p50_us;
    bench_report("agent.echo_p50", echo.p50_us, "us", 1, -1, 0);
    bench_report("agent.invocation_p50", one.load.p50_us, "us", ratio, 4, ratio);
    bench_report("agent.invocation_p99", one.load.p99_us, "us", one.load.p99_us / echo.p99_us, -1,
                 0);
    struct agent_figures many =
        measure_agent(&(struct bench_load){.messages = PIPELINED, .at_once = AT_ONCE});
    bench_report("agent.pipelined_rate", many.load.per_second, "1/s", many.load.per_second / 6000,
                 1, 6000 / many.load.per_second);
    struct agent_figures idle = measure_agent(&(struct bench_load){.messages = 1, .at_once = 1});
    bench_report("agent.idle_anonymous", idle.kilobytes / 1024, "MB", 0, 6, idle.kilobytes / 1024);
    bench_report("agent.start_to_registered", idle.registered_ms, "ms", 0, 50, idle.registered_ms);
    struct bench_figures waiting = measure_waiting();
    double all_s = waiting.answers / waiting.per_second;
    bench_report("agent.outbox_10000_delivered", all_s, "s", 0, 5, all_s);
    bench_agent_exec();
    bench_agent_idle();
    bench_agent_real(run_exporting_agent);
}
