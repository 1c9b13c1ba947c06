/* The loop's mailbox, and the writes whose outcome comes back through it. */
#include <stdio.h>

#include "base/clock.h"
#include "hub/hub_parts.h"

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

void hub_jobs_run(struct hub *hub)
{
    for (struct hub_job *job; (job = take_job(hub));) {
        if (is_due(hub, job, hub_now_ns(hub))) {
            job->run(hub, job);
        } else {
            marline__list_push_back(&hub->loop.delayed, &job->node);
        }
    }
}

void hub_jobs_run_delayed(struct hub *hub, uint64_t now_ns)
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

uint64_t hub_jobs_deadline(const struct hub *hub)
{
    uint64_t earliest = TIME_NEVER;
    LIST_EACH(&hub->loop.delayed, node)
    {
        uint64_t deadline = LIST_ENTRY(node, struct hub_job, node)->deadline_ns;
        earliest = deadline < earliest ? deadline : earliest;
    }
    return earliest;
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
        (void)snprintf(outcome->text, sizeof(outcome->text), "%s",
                       stopped ? "the backend stops" : "too many writes wait");
        hub_post(hub, &commit->job);
    }
}
