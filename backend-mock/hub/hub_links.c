/* The linker's shell: its attempts are writes, its sweeps reads on a worker. */
#include <stdio.h>

#include "base/log.h"
#include "core/alloc.h"
#include "hub/hub_parts.h"

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

void hub_links_drive(struct hub *hub)
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
