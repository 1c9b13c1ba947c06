/* The loop: its time, its start and its end. */
#include "hub/hub.h"

#include <unistd.h>

#include "base/signals.h"
#include "core/alloc.h"
#include "hub/hub_parts.h"
#include "hub/notifier.h"

enum { MESSAGE_BYTES_PER_CHARACTER = 4 }; /* UTF-8 */

/* ---- time ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Runs come to their end or are left, then connections are closed, then the loop ends. */
static void go_on_stopping(struct hub *hub, uint64_t now_ns)
{
    bool late = now_ns >= hub->loop.stop_deadline_ns;
    bool runs_ended = hub->loop.leaves_runs || marline__list_is_empty(&hub->loop.runs);
    if (late || (runs_ended && hub->loop.commits == 0)) {
        hub_agents_close_all(hub);
        if (late || hub->loop.sessions.count == 0) {
            ws_server_stop(hub->loop.ws);
        }
    }
}

void hub_settle(struct hub *hub)
{
    if (hub->loop.ended) {
        return;
    }
    hub_links_drive(hub);
    uint64_t now_ns = hub_now_ns(hub);
    uint64_t deadline =
        earlier(router_next_deadline(hub->loop.router), linker_next_deadline(hub->loop.linker));
    deadline = earlier(deadline, hub_runs_deadline(hub));
    deadline = earlier(deadline, hub->loop.next_idle_ns);
    deadline = earlier(deadline, hub_jobs_deadline(hub));
    if (hub->loop.stopping) {
        go_on_stopping(hub, now_ns);
        deadline = earlier(deadline, hub->loop.stop_deadline_ns);
    }
    ws_server_set_timer(hub->loop.ws, deadline, now_ns);
}

void hub_on_woken(void *user)
{
    struct hub *hub = user;
    hub_jobs_run(hub);
    hub_settle(hub);
}

void hub_on_timer(void *user)
{
    struct hub *hub = user;
    uint64_t now_ns = hub_now_ns(hub);
    hub_jobs_run_delayed(hub, now_ns);
    hub_agents_tick(hub, now_ns);
    hub_runs_tick(hub, now_ns);
    linker_on_tick(hub->loop.linker, now_ns);
    hub_settle(hub);
}

/* ---- life ---- */

struct adoption {
    struct hub_job job;
    int socket;
};

static void adopt_now(struct hub *hub, struct hub_job *job)
{
    struct adoption *adoption = LIST_ENTRY(&job->node, struct adoption, job.node);
    if (hub->loop.stopping) {
        (void)close(adoption->socket);
    } else {
        ws_server_adopt(hub->loop.ws, adoption->socket);
    }
    marline__memory_free(adoption);
}

void hub_adopt(struct hub *hub, int socket)
{
    struct adoption *adoption = alloc_zeroed(sizeof(*adoption));
    adoption->socket = socket;
    adoption->job.run = adopt_now;
    hub_post(hub, &adoption->job);
}

static void *run_loop(void *user)
{
    struct hub *hub = user;
    hub_runs_resume(hub);
    notifier_take_up(hub->options.notifier);
    hub_on_timer(hub);
    ws_server_run(hub->loop.ws);
    hub->loop.ended = true;
    (void)pthread_mutex_lock(&hub->shared.lock);
    hub->shared.stopped = true;
    (void)pthread_mutex_unlock(&hub->shared.lock);
    return NULL;
}

static void init_hub(struct hub *hub, const struct hub_options *options)
{
    hub->options = *options;
    (void)pthread_mutex_init(&hub->shared.lock, NULL);
    marline__list_init(&hub->shared.jobs);
    hub->shared.stopped = true;
    marline__list_init(&hub->loop.runs);
    marline__list_init(&hub->loop.delayed);
    text_map_init(&hub->loop.sessions);
    text_map_init(&hub->loop.uncommitted);
    hub->loop.next_idle_ns = TIME_NEVER;
    hub->loop.router = router_create();
    hub->loop.linker = linker_create(&options->linker);
}

struct hub *hub_start(const struct hub_options *options)
{
    struct hub *hub = alloc_zeroed(sizeof(*hub));
    int (*start_thread)(pthread_t *, void *(*)(void *), void *) =
        options->start_thread ? options->start_thread : marline__thread_start;
    init_hub(hub, options);
    struct ws_server_options ws = {
        .events = &hub_agent_events,
        .user = hub,
        .keep_max = (size_t)options->agent_limits.message_size_max * MESSAGE_BYTES_PER_CHARACTER,
    };
    hub->loop.ws = ws_server_create(&ws);
    hub->shared.stopped = false;
    if (!hub->loop.ws || !hub_runs_restore(hub) || start_thread(&hub->thread, run_loop, hub) != 0) {
        hub->shared.stopped = true;
        hub_destroy(hub);
        return NULL;
    }
    return hub;
}

static void begin_winding_down(struct hub *hub, struct hub_job *job)
{
    hub->loop.winding_down = true;
    hub_jobs_run_delayed(hub, 0);
    hub_runs_end_waits(hub);
    marline__memory_free(job);
}

void hub_wind_down(struct hub *hub)
{
    struct hub_job *job = alloc_zeroed(sizeof(*job));
    job->run = begin_winding_down;
    hub_post(hub, job);
}

bool hub_is_winding_down(const struct hub *hub)
{
    return hub->loop.winding_down;
}

struct stop {
    struct hub_job job;
    unsigned timeout_ms;
};

static void begin_stop(struct hub *hub, struct hub_job *job)
{
    struct stop *stop = LIST_ENTRY(&job->node, struct stop, job.node);
    hub->loop.stopping = true;
    hub->loop.winding_down = true;
    hub->loop.stop_deadline_ns = hub_now_ns(hub) + stop->timeout_ms * NS_PER_MS;
    hub_jobs_run_delayed(hub, 0);
    if (hub->options.leaves_runs) {
        hub_runs_leave_all(hub);
    } else {
        hub_runs_cancel_all(hub);
    }
    marline__memory_free(stop);
}

void hub_stop(struct hub *hub, unsigned timeout_ms)
{
    struct stop *stop = alloc_zeroed(sizeof(*stop));
    stop->job.run = begin_stop;
    stop->timeout_ms = timeout_ms;
    hub_post(hub, &stop->job);
    (void)pthread_join(hub->thread, NULL);
}

void hub_destroy(struct hub *hub)
{
    if (!hub) {
        return;
    }
    hub->options.notifier =
        NULL; /* it has stopped; who is not told yet is told at the next start */
    hub->loop.winding_down = true;
    hub->loop.stopping = true; /* with its deadline past: writes are refused at once */
    hub->loop.stop_deadline_ns = 0;
    hub->loop.ended = true;
    hub_jobs_run_delayed(hub, 0);
    hub_jobs_run(hub);
    ws_server_destroy(hub->loop.ws);
    hub_jobs_run(hub);
    hub_agents_end_calls(hub);
    hub_jobs_run(hub);
    hub_runs_destroy(hub);
    router_destroy(hub->loop.router);
    linker_destroy(hub->loop.linker);
    text_map_deinit(&hub->loop.sessions);
    text_map_deinit(&hub->loop.uncommitted);
    (void)pthread_mutex_destroy(&hub->shared.lock);
    marline__memory_free(hub);
}

struct hub_counters hub_counters(const struct hub *hub)
{
    const struct router_counters *router = router_counters(hub->loop.router);
    struct hub_counters counters = {
        .agents = hub->loop.sessions.count,
        .results_accepted = router->accepted,
        .results_accepted_elsewhere = router->accepted_elsewhere,
        .results_repeated = router->repeated,
        .results_foreign = router->foreign,
        .results_unknown = router->unknown,
        .calls_expired = router->expired,
        .calls_lost = router->lost,
        .linker = linker_counters(hub->loop.linker),
    };
    for (const struct list *n = hub->loop.runs.next; n != &hub->loop.runs; n = n->next) {
        counters.runs++;
    }
    memcpy(counters.links, hub->loop.links, sizeof(counters.links));
    memcpy(counters.link_attempts, hub->loop.link_attempts, sizeof(counters.link_attempts));
    hub_agents_count(hub, &counters.messages);
    return counters;
}
