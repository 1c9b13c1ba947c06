/* The loop, the mailbox, and the linker's shell. */
#include "http/hub.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/signals.h"
#include "core/alloc.h"
#include "http/hub_parts.h"
#include "http/notifier.h"

enum { MESSAGE_BYTES_PER_CHARACTER = 4 }; /* UTF-8 */

uint64_t hub_now_ns(const struct hub *hub)
{
    (void)hub;
    return marline__clock_monotonic_ns(marline__clock_system());
}

/* ---- mailbox ---- */

void hub_post(struct hub *hub, struct hub_job *job)
{
    (void)pthread_mutex_lock(&hub->shared.lock);
    bool wake = marline__list_is_empty(&hub->shared.jobs) && !hub->shared.stopped;
    marline__list_push_back(&hub->shared.jobs, &job->node);
    (void)pthread_mutex_unlock(&hub->shared.lock);
    if (wake) {
        ws_server_wake(hub->loop.ws);
    }
}

static struct hub_job *take_job(struct hub *hub)
{
    (void)pthread_mutex_lock(&hub->shared.lock);
    struct list *node = marline__list_pop_front(&hub->shared.jobs);
    (void)pthread_mutex_unlock(&hub->shared.lock);
    return node ? LIST_ENTRY(node, struct hub_job, node) : NULL;
}

/* Near the end nothing waits any more. */
static bool is_due(const struct hub *hub, const struct hub_job *job, uint64_t now_ns)
{
    return job->deadline_ns <= now_ns || hub->loop.winding_down;
}

static void run_jobs(struct hub *hub)
{
    for (struct hub_job *job; (job = take_job(hub));) {
        if (is_due(hub, job, hub_now_ns(hub))) {
            job->run(hub, job);
        } else {
            marline__list_push_back(&hub->loop.delayed, &job->node);
        }
    }
}

static void run_delayed(struct hub *hub, uint64_t now_ns)
{
    LIST_EACH(&hub->loop.delayed, node)
    {
        struct hub_job *job = LIST_ENTRY(node, struct hub_job, node);
        if (is_due(hub, job, now_ns)) {
            marline__list_remove(&job->node);
            job->run(hub, job);
        }
    }
}

static uint64_t delayed_deadline(const struct hub *hub)
{
    uint64_t earliest = TIME_NEVER;
    LIST_EACH(&hub->loop.delayed, node)
    {
        uint64_t deadline = LIST_ENTRY(node, struct hub_job, node)->deadline_ns;
        earliest = deadline < earliest ? deadline : earliest;
    }
    return earliest;
}

void hub_on_woken(void *user)
{
    struct hub *hub = user;
    run_jobs(hub);
    hub_settle(hub);
}

/* ---- store ---- */

static void finish_commit(struct hub *hub, struct hub_job *job)
{
    struct hub_commit *commit = LIST_ENTRY(&job->node, struct hub_commit, job.node);
    hub->loop.commits--;
    commit->done(hub, commit);
}

/* On the queue's thread. */
static void on_committed(struct commit *commit, void *user)
{
    (void)commit;
    struct hub_commit *c = user;
    hub_post(c->hub, &c->job);
}

void hub_submit(struct hub *hub, struct hub_commit *commit)
{
    commit->hub = hub;
    commit->job.run = finish_commit;
    commit->commit.done = on_committed;
    commit->commit.user = commit;
    if (commit->commit.write.at_unix_ns == 0) {
        commit->commit.write.at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    }
    hub->loop.commits++;
    bool stopped = hub->loop.stopping && hub_now_ns(hub) >= hub->loop.stop_deadline_ns;
    if (stopped || !commit_queue_submit(hub->options.queue, &commit->commit)) {
        struct store_error *outcome = &commit->commit.write.outcome;
        outcome->status = STORE_BUSY;
        (void)snprintf(outcome->text, sizeof(outcome->text), "too many writes wait");
        hub_post(hub, &commit->job);
    }
}

/* ---- linker ---- */

struct link_commit {
    struct hub_commit base;
    struct linker_action action;
};

static void record_done(struct hub *hub, struct hub_commit *commit)
{
    (void)hub;
    marline__memory_free(commit);
}

struct attempt_record {
    struct hub_commit base;
    char error[STORE_ERROR_TEXT_SIZE];
};

/* A linking attempt that failed left no trace of its own in the store. */
static void record_failed_attempt(struct hub *hub, const struct link_commit *link)
{
    const char *text = link->base.commit.write.outcome.text;
    marline__log(LOG_WARN, "linking at point '%s' failed, will be tried again: %s",
                 link_point_name(link->action.point), text);
    struct attempt_record *record = alloc_zeroed(sizeof(*record));
    (void)snprintf(record->error, sizeof(record->error), "%s", text);
    struct store_write *write = &record->base.commit.write;
    write->type = STORE_RECORD_ATTEMPT;
    write->record_attempt.key = link->action.key;
    write->record_attempt.point = link->action.point;
    write->record_attempt.error = marline__slice_text(record->error);
    record->base.done = record_done;
    hub_submit(hub, &record->base);
}

static void link_done(struct hub *hub, struct hub_commit *commit)
{
    struct link_commit *link = LIST_ENTRY(commit, struct link_commit, base);
    bool ok = commit->commit.write.outcome.status == STORE_OK;
    if (!ok) {
        record_failed_attempt(hub, link);
    }
    hub->loop.link_attempts[link->action.point]++;
    hub->loop.links[link->action.point] += ok ? commit->commit.write.link.linked : 0;
    linker_attempt_done(hub->loop.linker, hub_now_ns(hub), &link->action, ok);
    marline__memory_free(link);
}

static void try_link(struct hub *hub, const struct linker_action *action)
{
    struct link_commit *link = alloc_zeroed(sizeof(*link));
    link->action = *action;
    link->base.commit.write.type = STORE_LINK;
    link->base.commit.write.link.key = action->key;
    link->base.commit.write.link.point = action->point;
    link->base.done = link_done;
    hub_submit(hub, &link->base);
}

struct sweep {
    struct worker_job work;
    struct hub_job job;
    struct hub *hub;
    bool ok;
    size_t count;
    struct link_sighting found[LINKER_SWEEP_KEYS_MAX];
};

static void add_waiting_key(void *user, const struct link_key *key, uint64_t span)
{
    struct sweep *sweep = user;
    if (sweep->count < LINKER_SWEEP_KEYS_MAX) {
        sweep->found[sweep->count++] = (struct link_sighting){*key, span};
    }
}

static void finish_sweep(struct hub *hub, struct hub_job *job)
{
    struct sweep *sweep = LIST_ENTRY(&job->node, struct sweep, job.node);
    hub->loop.sweeping = false;
    linker_sweep_done(hub->loop.linker, hub_now_ns(hub), sweep->ok ? sweep->found : NULL,
                      sweep->ok ? sweep->count : 0, sweep->ok);
    marline__memory_free(sweep);
}

/* On a worker. */
static void read_waiting_keys(struct worker_job *work, bool canceled)
{
    struct sweep *sweep = LIST_ENTRY(&work->node, struct sweep, work.node);
    if (!canceled) {
        struct store_error error;
        uint64_t start_unix_ns = marline__clock_wall_ns(marline__clock_system());
        sweep->ok = store_waiting_keys(sweep->hub->options.store, LINKER_SWEEP_KEYS_MAX,
                                       add_waiting_key, sweep, &error) == STORE_OK;
        if (!sweep->ok) {
            marline__log(LOG_WARN, "sweep: %s", error.text);
        }
        self_trace_sweep(sweep->hub->options.tracer, start_unix_ns, sweep->ok ? NULL : error.text,
                         sweep->count);
    }
    hub_post(sweep->hub, &sweep->job);
}

static void start_sweep(struct hub *hub)
{
    struct sweep *sweep = alloc_zeroed(sizeof(*sweep));
    sweep->hub = hub;
    sweep->work.run = read_waiting_keys;
    sweep->job.run = finish_sweep;
    hub->loop.sweeping = true;
    if (marline__worker_pool_submit(hub->options.workers, &sweep->work) != MARLINE_OK) {
        hub_post(hub, &sweep->job);
    }
}

static void drive_linker(struct hub *hub)
{
    struct linker_action action;
    while (linker_next_action(hub->loop.linker, &action)) {
        if (action.type == LINKER_TRY) {
            try_link(hub, &action);
        } else {
            start_sweep(hub);
        }
    }
}

void hub_spans_committed(struct hub *hub, const struct link_key *keys, size_t count)
{
    linker_on_spans_committed(hub->loop.linker, keys, count);
}

struct linker *hub_linker(struct hub *hub)
{
    return hub->loop.linker;
}

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
    drive_linker(hub);
    uint64_t now_ns = hub_now_ns(hub);
    uint64_t deadline =
        earlier(router_next_deadline(hub->loop.router), linker_next_deadline(hub->loop.linker));
    deadline = earlier(deadline, hub_runs_deadline(hub));
    deadline = earlier(deadline, hub->loop.next_idle_ns);
    deadline = earlier(deadline, delayed_deadline(hub));
    if (hub->loop.stopping) {
        go_on_stopping(hub, now_ns);
        deadline = earlier(deadline, hub->loop.stop_deadline_ns);
    }
    ws_server_set_timer(hub->loop.ws, deadline, now_ns);
}

void hub_on_timer(void *user)
{
    struct hub *hub = user;
    uint64_t now_ns = hub_now_ns(hub);
    run_delayed(hub, now_ns);
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
    run_delayed(hub, 0);
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
    run_delayed(hub, 0);
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
    run_delayed(hub, 0);
    run_jobs(hub);
    ws_server_destroy(hub->loop.ws);
    run_jobs(hub);
    hub_agents_end_calls(hub);
    run_jobs(hub);
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
