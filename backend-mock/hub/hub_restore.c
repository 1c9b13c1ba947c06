/* Takes up the runs that an earlier life of the backend left: reads them from the store, and hands
 * each to its machine as core/run.h wants it. They go on once the loop runs (hub_runs_resume): a
 * hub that cannot start has no writes under way. Nothing is sent a second time: an invocation
 * without result is awaited from the agent that has it.
 *
 * Runs on the thread that starts the hub, before its loop. */
#include "base/log.h"
#include "core/alloc.h"
#include "hub/hub_parts.h"

struct run_reading {
    struct store_run run;
    char *environment; /* owned, as what follows; `run` points to it */
    char *webhook;
    struct store_run_test *tests;
    char **texts; /* that the tests point to */
    size_t text_count;
    size_t test_count;
    struct hub_run *hub_run;
};

struct readings {
    struct run_reading *items;
    size_t count;
};

static void add_run(void *user, const struct store_run *run)
{
    struct readings *all = user;
    all->items = alloc_resize(all->items, (all->count + 1) * sizeof(*all->items));
    struct run_reading *reading = &all->items[all->count++];
    *reading = (struct run_reading){.run = *run, .environment = alloc_slice(run->environment)};
    reading->run.environment = (struct slice){reading->environment, run->environment.size};
    reading->webhook = run->webhook.data ? alloc_slice(run->webhook) : NULL;
}

static void free_readings(struct readings *all)
{
    for (size_t i = 0; i < all->count; i++) {
        struct run_reading *reading = &all->items[i];
        for (size_t t = 0; t < reading->text_count; t++) {
            marline__memory_free(reading->texts[t]);
        }
        marline__memory_free((void *)reading->texts);
        marline__memory_free(reading->tests);
        marline__memory_free(reading->environment);
        marline__memory_free(reading->webhook);
    }
    marline__memory_free(all->items);
}

static struct slice keep(struct run_reading *reading, struct slice text)
{
    if (!text.data) {
        return text;
    }
    reading->texts = (char **)alloc_resize((void *)reading->texts,
                                           (reading->text_count + 1) * sizeof(*reading->texts));
    char *copy = alloc_slice(text);
    reading->texts[reading->text_count++] = copy;
    return (struct slice){copy, text.size};
}

static void add_test(void *user, const struct store_run_row *row)
{
    struct run_reading *reading = user;
    size_t count = reading->test_count + 1;
    reading->tests = alloc_resize(reading->tests, count * sizeof(*reading->tests));
    struct store_run_test *test = &reading->tests[reading->test_count++];
    *test = row->test;
    test->function_name = keep(reading, row->test.function_name);
    test->inputs = keep(reading, row->test.inputs);
    test->criteria = keep(reading, row->test.criteria);
    test->name = SLICE_EMPTY;
}

static void add_attempt(void *user, const struct store_attempt_row *row)
{
    struct run_reading *reading = user;
    if (row->test < reading->test_count) {
        hub_run_restore(reading->hub_run, row);
    }
}

static struct hub_run *create(struct hub *hub, const struct run_reading *reading)
{
    struct run_test *tests = alloc_array(reading->test_count, sizeof(*tests));
    for (size_t i = 0; i < reading->test_count; i++) {
        tests[i] = hub_run_test(&reading->tests[i]);
    }
    const struct hub_run_options options = {.organization_id = reading->run.organization_id,
                                            .project_id = reading->run.project_id,
                                            .run_id = reading->run.run_id,
                                            .environment = reading->run.environment,
                                            .concurrency = reading->run.concurrency,
                                            .tests = tests,
                                            .test_count = reading->test_count,
                                            .webhook = marline__slice_text(reading->webhook)};
    struct hub_run *run = hub_run_create(hub, &options);
    marline__memory_free(tests);
    return run;
}

static enum store_status restore_run(struct hub *hub, struct run_reading *reading,
                                     struct store_error *error)
{
    const struct store_scope scope = {.organization_id = reading->run.organization_id};
    struct store *store = hub->options.store;
    struct store_run head;
    enum store_status status =
        store_read_run(store, &scope, &reading->run.run_id, &head, add_test, reading, error);
    if (status != STORE_OK) {
        return status;
    }
    reading->hub_run = create(hub, reading);
    return store_read_attempts(store, &scope, &reading->run.run_id, add_attempt, reading, error);
}

static void remember(void *user, struct slice invocation_id)
{
    router_remember_completed(user, invocation_id);
}

bool hub_runs_restore(struct hub *hub)
{
    struct readings all = {0};
    struct store_error error;
    struct store *store = hub->options.store;
    enum store_status status =
        store_answered_invocations(store, ROUTER_COMPLETED_MAX, remember, hub->loop.router, &error);
    if (status == STORE_OK) {
        status = store_unfinished_runs(store, marline__slice_text(hub->options.name), add_run, &all,
                                       &error);
    }
    for (size_t i = 0; status == STORE_OK && i < all.count; i++) {
        status = restore_run(hub, &all.items[i], &error);
    }
    for (size_t i = 0; status == STORE_OK && i < all.count; i++) {
        hub_run_resume_later(all.items[i].hub_run, all.items[i].run.status);
    }
    if (status != STORE_OK) {
        marline__log(LOG_ERROR, "cannot take up the runs that are in the store: %s", error.text);
    } else if (all.count > 0) {
        marline__log(LOG_INFO, "runs of an earlier start: %zu; they go on", all.count);
    }
    free_readings(&all);
    return status == STORE_OK;
}
