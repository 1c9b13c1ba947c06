/* See run_launch.h. */
#include "http/run_launch.h"

#include <stdio.h>

#include "base/clock.h"
#include "core/alloc.h"

/* On the loop. */
static void start(struct hub *hub, struct hub_job *job)
{
    struct run_launch *l = LIST_ENTRY(job, struct run_launch, job);
    const struct store_create_run *run = &l->run;
    struct run_test *tests = alloc_array(run->test_count, sizeof(*tests));
    for (size_t i = 0; i < run->test_count; i++) {
        tests[i] = hub_run_test(&run->tests[i]);
    }
    struct hub_run_options options = {.organization_id = run->organization_id,
                                      .project_id = run->project_id,
                                      .run_id = run->run_id,
                                      .environment = run->environment,
                                      .concurrency = run->concurrency,
                                      .tests = tests,
                                      .test_count = run->test_count,
                                      .webhook = run->webhook};
    hub_run_start(hub, &options);
    marline__memory_free(tests);
    l->stored(l, &l->commit.write.outcome);
    l->release(l);
}

static void tell(struct run_launch *l, const struct store_error *outcome)
{
    if (outcome->status == STORE_OK) { /* told once it runs: who is told may wait for its end */
        l->job.run = start;
        hub_post(l->server->hub, &l->job);
    } else {
        l->stored(l, outcome);
        l->release(l);
    }
}

/* On the commit queue's thread. */
static void stored(struct commit *commit, void *user)
{
    tell(user, &commit->write.outcome);
}

void run_launch_begin(struct run_launch *l)
{
    if (!l->run.webhook.data && l->server->webhook) {
        l->run.webhook = marline__slice_text(l->server->webhook);
    }
    l->run.backend = marline__slice_text(l->server->name);
    l->commit.write.type = STORE_CREATE_RUN;
    l->commit.write.at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    l->commit.write.create_run = l->run;
    l->commit.done = stored;
    l->commit.user = l;
    if (!commit_queue_submit(l->server->queue, &l->commit)) {
        static const struct store_error full = {STORE_BUSY, "too many writes wait"};
        tell(l, &full);
    }
}
