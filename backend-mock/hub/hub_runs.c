/* Runs: carries out what core/run.h asks for. An invocation is recorded before it is sent, a result
 * is stored before it is linked or acknowledged. */
#include <stdio.h>

#include "base/log.h"
#include "core/alloc.h"
#include "hub/hub_judge.h"
#include "hub/hub_parts.h"
#include "hub/notifier.h"

struct hub_test {
    struct hub_run *run;
    size_t index;
    struct hub_call call;
    char *agent_id;       /* owned: who was asked in an earlier life; NULL = nobody, or unknown */
    bool wanted;          /* invoked, and neither answered nor withdrawn */
    bool sent;            /* the router knows the call */
    uint64_t answered_by; /* the session whose acknowledgement is due; 0 = none */
    uint64_t answered_unix_ns;
    struct hub_judgement *judgement; /* of its answer; NULL = none under way */
};

struct hub_run {
    struct list node;
    bool is_restored; /* to be resumed */
    enum run_status restored_status;
    struct run *run;
    struct uuid organization_id;
    struct uuid run_id;
    char project[UUID_TEXT_SIZE];
    char *environment;
    char *webhook; /* NULL = none */
    struct list waiters;
    size_t holds; /* commits and judgements under way that point here */
    size_t test_count;
    struct hub_test tests[];
};

static void drive(struct hub *hub, struct hub_run *r);

static void free_run(struct hub *hub, struct hub_run *r)
{
    marline__list_remove(&r->node);
    for (struct list *node; (node = marline__list_pop_front(&r->waiters));) {
        struct hub_waiter *waiter = LIST_ENTRY(node, struct hub_waiter, node);
        waiter->done(hub, waiter, run_is_finished(r->run));
    }
    for (size_t i = 0; i < r->test_count; i++) {
        marline__memory_free(r->tests[i].agent_id);
        hub_judge_cancel(hub, r->tests[i].judgement);
    }
    run_destroy(r->run);
    marline__memory_free(r->environment);
    marline__memory_free(r->webhook);
    marline__memory_free(r);
}

/* ---- commits ---- */

struct run_commit {
    struct hub_commit base;
    struct hub_run *run;
    struct hub_test *test; /* NULL for the run's status */
    struct run_action action;
};

static struct run_commit *new_commit(struct hub_run *r, const struct run_action *action,
                                     enum store_write_type type,
                                     void (*done)(struct hub *, struct hub_commit *))
{
    struct run_commit *c = alloc_zeroed(sizeof(*c));
    c->run = r;
    c->action = *action;
    c->test = action->type == RUN_SET_STATUS ? NULL : &r->tests[action->test];
    c->base.commit.write.type = type;
    c->base.done = done;
    r->holds++;
    return c;
}

static bool commit_ok(const struct run_commit *c, const char *what)
{
    const struct store_error *outcome = &c->base.commit.write.outcome;
    if (outcome->status != STORE_OK) {
        /* What an ended loop refuses is left to the next start. */
        bool is_left = c->base.hub->loop.ended && outcome->status == STORE_BUSY;
        marline__log(is_left ? LOG_DEBUG : LOG_ERROR, "run: %s could not be stored: %s", what,
                     outcome->text);
    }
    return outcome->status == STORE_OK;
}

/* Frees the commit, and goes on with its run. */
static void release(struct hub *hub, struct run_commit *c)
{
    struct hub_run *r = c->run;
    r->holds--;
    marline__memory_free(c);
    drive(hub, r);
}

/* ---- status ---- */

static void tell_of_end(struct hub *hub, const struct hub_run *r)
{
    const struct store_untold_run run = {.organization_id = r->organization_id,
                                         .run_id = r->run_id,
                                         .webhook = marline__slice_text(r->webhook)};
    notifier_tell(hub->options.notifier, &run);
}

static void status_done(struct hub *hub, struct hub_commit *commit)
{
    struct run_commit *c = LIST_ENTRY(commit, struct run_commit, base);
    bool ok = commit_ok(c, "status");
    run_on_status_stored(c->run->run, hub_now_ns(hub), ok);
    bool ended = c->action.status == RUN_COMPLETED || c->action.status == RUN_CANCELLED;
    if (ok && ended && c->run->webhook) {
        tell_of_end(hub, c->run);
    }
    release(hub, c);
}

static void set_status(struct hub *hub, struct hub_run *r, const struct run_action *action)
{
    struct run_commit *c = new_commit(r, action, STORE_SET_RUN_STATUS, status_done);
    struct store_set_run_status *write = &c->base.commit.write.set_run_status;
    write->organization_id = r->organization_id;
    write->run_id = r->run_id;
    write->status = action->status;
    hub_submit(hub, &c->base);
}

/* ---- invocation ---- */

/* From here on a result that the agent sends (again) is acknowledged when what the test came to is
 * stored, not before: else a crash in between would lose both. */
static void await_commit(struct hub *hub, struct hub_test *t)
{
    text_map_put(&hub->loop.uncommitted, marline__slice_text(t->call.id), t);
}

static void answer_arrived(struct hub *hub, struct hub_call *call, const struct hub_answer *answer)
{
    struct hub_test *t = LIST_ENTRY(call, struct hub_test, call);
    uint64_t now_ns = hub_now_ns(hub);
    if (t->sent) {
        await_commit(hub, t);
    }
    t->wanted = t->sent = false;
    if (!answer->result) {
        (void)run_on_failed(t->run->run, now_ns, marline__slice_text(call->id),
                            marline__slice_text(answer->failure));
    } else {
        const struct message_test_result *result = answer->result;
        struct run_answer a = {.success = result->success,
                               .output = result->output,
                               .error = result->error,
                               .duration_ms = result->duration_ms,
                               .trace_id = result->trace_id,
                               .span_count = result->span_count};
        t->answered_by = answer->session;
        t->answered_unix_ns = marline__clock_wall_ns(marline__clock_system());
        (void)run_on_answer(t->run->run, now_ns, marline__slice_text(call->id), &a);
    }
    drive(hub, t->run);
}

static void send_invocation(struct hub *hub, struct hub_test *t, const struct run_action *action)
{
    char run[UUID_TEXT_SIZE];
    char test[UUID_TEXT_SIZE];
    char configuration[UUID_TEXT_SIZE];
    marline__uuid_format(&action->key.run, run);
    marline__uuid_format(&action->key.test, test);
    marline__uuid_format(&action->key.configuration, configuration);
    struct message_test_context context = {
        .present = true,
        .test_run_id = marline__slice_text(run),
        .test_id = marline__slice_text(test),
        .test_configuration_id = marline__slice_text(configuration),
        .attempt = action->key.attempt,
    };
    struct hub_invocation invocation = {
        .project = marline__slice_text(t->run->project),
        .environment = marline__slice_text(t->run->environment),
        .function_name = action->function_name,
        .inputs = action->inputs,
        .test = &context,
        .timeout_ms = action->timeout_ms,
        .deadline_ns = TIME_NEVER, /* the run keeps the time */
    };
    t->call.done = answer_arrived;
    t->sent = hub_call_send(hub, &invocation, &t->call);
    if (!t->sent) {
        char reason[160];
        (void)snprintf(reason, sizeof(reason), "Project %s (%.32s) not connected", t->run->project,
                       t->run->environment);
        t->wanted = false;
        (void)run_on_failed(t->run->run, hub_now_ns(hub), marline__slice_text(t->call.id),
                            marline__slice_text(reason));
    }
}

static void invocation_recorded(struct hub *hub, struct hub_commit *commit)
{
    struct run_commit *c = LIST_ENTRY(commit, struct run_commit, base);
    struct hub_test *t = c->test;
    bool ok = commit_ok(c, "invocation");
    if (t->wanted && strcmp(t->call.id, c->action.invocation_id) == 0) {
        if (ok) {
            send_invocation(hub, t, &c->action);
        } else {
            t->wanted = false;
            (void)run_on_failed(c->run->run, hub_now_ns(hub), marline__slice_text(t->call.id),
                                SLICE("the invocation could not be stored"));
        }
    }
    release(hub, c);
}

static void invoke(struct hub *hub, struct hub_run *r, const struct run_action *action)
{
    struct run_commit *c = new_commit(r, action, STORE_RECORD_INVOKED, invocation_recorded);
    (void)snprintf(c->test->call.id, sizeof(c->test->call.id), "%s", action->invocation_id);
    c->test->wanted = true;
    c->test->answered_by = 0;
    c->test->answered_unix_ns = 0;
    struct store_record_invoked *write = &c->base.commit.write.record_invoked;
    write->key = action->key;
    write->invocation_id = marline__slice_text(c->action.invocation_id);
    write->agent_id = hub_agent_id(hub, marline__slice_text(r->project), /* as things stand */
                                   marline__slice_text(r->environment));
    hub_submit(hub, &c->base);
}

/* An invocation of an earlier life: whether it was sent, only its agent knows. */
static void await_answer(struct hub *hub, struct hub_run *r, const struct run_action *action)
{
    struct hub_test *t = &r->tests[action->test];
    const struct hub_restored_call from = {.organization_id = r->organization_id,
                                           .project = marline__slice_text(r->project),
                                           .environment = marline__slice_text(r->environment),
                                           .agent_id = marline__slice_text(t->agent_id)};
    (void)snprintf(t->call.id, sizeof(t->call.id), "%s", action->invocation_id);
    t->call.done = answer_arrived;
    t->wanted = t->sent = true;
    hub_call_restore(hub, &from, &t->call);
}

/* ---- judging ---- */

static void judged(struct hub *hub, void *user, const struct run_verdict *verdict)
{
    struct hub_test *t = user;
    t->run->holds--;
    (void)run_on_judged(t->run->run, hub_now_ns(hub), t->index, verdict);
    drive(hub, t->run);
}

static void judge(struct hub *hub, struct hub_run *r, const struct run_action *action)
{
    struct hub_test *t = &r->tests[action->test];
    const struct hub_judge_options options = {.organization_id = r->organization_id,
                                              .criteria = action->criteria,
                                              .inputs = action->inputs,
                                              .answer = &action->result,
                                              .done = judged,
                                              .user = t,
                                              .handle = &t->judgement};
    r->holds++;
    hub_judge(hub, &options);
}

static void withdraw(struct hub *hub, struct hub_test *t)
{
    if (t->judgement) {
        t->run->holds--;
        hub_judge_cancel(hub, t->judgement);
    }
    if (t->sent) {
        hub_call_withdraw(hub, &t->call);
        await_commit(hub, t);
    }
    t->wanted = t->sent = false;
}

/* ---- result ---- */

static void receipt_done(struct hub *hub, struct hub_commit *commit)
{
    struct run_commit *c = LIST_ENTRY(commit, struct run_commit, base);
    (void)commit_ok(c, "arrival of a result");
    release(hub, c);
}

static void record_receipt(struct hub *hub, struct hub_run *r, const struct run_action *action)
{
    struct hub_test *t = &r->tests[action->test];
    struct run_commit *c = new_commit(r, action, STORE_RECORD_RECEIVED, receipt_done);
    c->base.commit.write.at_unix_ns = t->answered_unix_ns;
    c->base.commit.write.record_received.key = action->key;
    c->base.commit.write.record_received.status = action->result_status;
    t->answered_unix_ns = 0; /* once, even when the result's store is tried again */
    hub_submit(hub, &c->base);
}

static void result_stored(struct hub *hub, struct hub_commit *commit)
{
    struct run_commit *c = LIST_ENTRY(commit, struct run_commit, base);
    struct hub_test *t = c->test;
    bool ok = commit_ok(c, "result");
    if (ok) {
        struct slice id = marline__slice_text(t->call.id);
        text_map_remove(&hub->loop.uncommitted, id);
        linker_on_result_committed(hub->loop.linker, &c->action.key);
        hub_acknowledge(hub, t->answered_by, id);
    }
    run_on_result_stored(c->run->run, hub_now_ns(hub), c->action.test, ok);
    release(hub, c);
}

static void store_result(struct hub *hub, struct hub_run *r, const struct run_action *action)
{
    if (r->tests[action->test].answered_unix_ns) {
        record_receipt(hub, r, action);
    }
    struct run_commit *c = new_commit(r, action, STORE_INSERT_RESULT, result_stored);
    struct store_insert_result *write = &c->base.commit.write.insert_result;
    (void)marline__uuid_parse(marline__slice_text(r->project), &write->project_id);
    write->key = action->key;
    write->status = action->result_status;
    write->function_name = action->function_name;
    write->output = action->result.output;
    write->error = action->result.error;
    write->duration_ms = action->result.duration_ms;
    write->trace_id = action->result.trace_id;
    write->span_count = action->result.span_count;
    write->spare_id = marline__uuid_random(marline__random_system());
    write->metrics = action->result.metrics;
    hub_submit(hub, &c->base);
}

/* ---- the machine ---- */

/* May free the run. */
static void drive(struct hub *hub, struct hub_run *r)
{
    struct run_action action;
    r->holds++;
    while (run_next_action(r->run, &action)) {
        switch (action.type) {
        case RUN_SET_STATUS:
            set_status(hub, r, &action);
            break;
        case RUN_INVOKE:
            if (!hub->loop.leaves_runs) {
                invoke(hub, r, &action);
            }
            break;
        case RUN_AWAIT:
            await_answer(hub, r, &action);
            break;
        case RUN_JUDGE:
            judge(hub, r, &action);
            break;
        case RUN_WITHDRAW:
            withdraw(hub, &r->tests[action.test]);
            break;
        case RUN_STORE_RESULT:
            store_result(hub, r, &action);
            break;
        }
    }
    r->holds--;
    if (run_is_finished(r->run) && r->holds == 0) {
        free_run(hub, r);
    }
}

struct hub_run *hub_run_create(struct hub *hub, const struct hub_run_options *options)
{
    struct hub_run *r = alloc_zeroed(sizeof(*r) + options->test_count * sizeof(struct hub_test));
    r->organization_id = options->organization_id;
    r->run_id = options->run_id;
    marline__uuid_format(&options->project_id, r->project);
    r->environment = alloc_slice(options->environment);
    r->webhook = options->webhook.size ? alloc_slice(options->webhook) : NULL;
    marline__list_init(&r->waiters);
    r->test_count = options->test_count;
    for (size_t i = 0; i < r->test_count; i++) {
        r->tests[i].run = r;
        r->tests[i].index = i;
    }
    struct run_options run = {.organization_id = options->organization_id,
                              .run_id = options->run_id,
                              .concurrency = options->concurrency};
    r->run = run_create(&run, options->tests, options->test_count);
    marline__list_push_back(&hub->loop.runs, &r->node);
    return r;
}

void hub_run_start(struct hub *hub, const struct hub_run_options *options)
{
    struct hub_run *r = hub_run_create(hub, options);
    run_start(r->run, hub_now_ns(hub));
    drive(hub, r);
}

struct run_test hub_run_test(const struct store_run_test *from)
{
    return (struct run_test){.test_id = from->test_id,
                             .configuration_id = from->configuration_id,
                             .function_name = from->function_name,
                             .inputs = from->inputs,
                             .timeout_ms = from->timeout_ms,
                             .retries = from->retries,
                             .criteria = from->criteria};
}

void hub_run_restore(struct hub_run *r, const struct store_attempt_row *row)
{
    struct hub_test *t = &r->tests[row->test];
    marline__memory_free(t->agent_id);
    t->agent_id = alloc_slice(row->agent_id);
    run_restore(r->run, row->test,
                &(struct run_restored){row->attempt, row->has_result, row->status});
}

void hub_run_resume_later(struct hub_run *r, enum run_status status)
{
    r->is_restored = true;
    r->restored_status = status;
}

void hub_runs_resume(struct hub *hub)
{
    LIST_EACH(&hub->loop.runs, node)
    {
        struct hub_run *r = LIST_ENTRY(node, struct hub_run, node);
        if (r->is_restored) {
            r->is_restored = false;
            run_resume(r->run, hub_now_ns(hub), r->restored_status, HUB_RESUME_WAIT_MS * NS_PER_MS);
            drive(hub, r);
        }
    }
}

void hub_runs_served(struct hub *hub, struct slice project, struct slice environment)
{
    LIST_EACH(&hub->loop.runs, node)
    {
        struct hub_run *r = LIST_ENTRY(node, struct hub_run, node);
        if (marline__slice_is(project, r->project) &&
            marline__slice_is(environment, r->environment)) {
            run_release(r->run, hub_now_ns(hub));
            drive(hub, r);
        }
    }
}

static struct hub_run *find_run(struct hub *hub, const struct uuid *organization_id,
                                const struct uuid *run_id)
{
    LIST_EACH(&hub->loop.runs, node)
    {
        struct hub_run *r = LIST_ENTRY(node, struct hub_run, node);
        if (marline__uuid_equal(&r->run_id, run_id) &&
            marline__uuid_equal(&r->organization_id, organization_id)) {
            return r;
        }
    }
    return NULL;
}

bool hub_run_cancel(struct hub *hub, const struct uuid *organization_id, const struct uuid *run_id)
{
    struct hub_run *r = find_run(hub, organization_id, run_id);
    if (r) {
        run_cancel(r->run, hub_now_ns(hub));
        drive(hub, r);
    }
    return r != NULL;
}

bool hub_run_wait(struct hub *hub, const struct uuid *organization_id, const struct uuid *run_id,
                  struct hub_waiter *waiter)
{
    struct hub_run *r = find_run(hub, organization_id, run_id);
    if (r) {
        marline__list_push_back(&r->waiters, &waiter->node);
        waiter->deadline_ns = hub_is_winding_down(hub) ? 0 : waiter->deadline_ns;
    }
    return r != NULL;
}

static void expire_waiters(struct hub *hub, struct hub_run *r, uint64_t now_ns)
{
    LIST_EACH(&r->waiters, node)
    {
        struct hub_waiter *waiter = LIST_ENTRY(node, struct hub_waiter, node);
        if (waiter->deadline_ns <= now_ns) {
            marline__list_remove(&waiter->node);
            waiter->done(hub, waiter, false);
        }
    }
}

void hub_runs_end_waits(struct hub *hub)
{
    LIST_EACH(&hub->loop.runs, node)
    {
        expire_waiters(hub, LIST_ENTRY(node, struct hub_run, node), TIME_NEVER);
    }
}

bool hub_runs_result_repeated(struct hub *hub, struct slice invocation_id, uint64_t session)
{
    struct hub_test *t = text_map_get(&hub->loop.uncommitted, invocation_id);
    if (t) {
        t->answered_by = session;
    }
    return t != NULL;
}

void hub_runs_tick(struct hub *hub, uint64_t now_ns)
{
    LIST_EACH(&hub->loop.runs, node)
    {
        struct hub_run *r = LIST_ENTRY(node, struct hub_run, node);
        expire_waiters(hub, r, now_ns);
        run_on_tick(r->run, now_ns);
        drive(hub, r);
    }
}

uint64_t hub_runs_deadline(const struct hub *hub)
{
    uint64_t earliest = TIME_NEVER;
    LIST_EACH(&hub->loop.runs, node)
    {
        struct hub_run *r = LIST_ENTRY(node, struct hub_run, node);
        uint64_t deadline = run_next_deadline(r->run);
        earliest = deadline < earliest ? deadline : earliest;
        LIST_EACH(&r->waiters, waiting)
        {
            deadline = LIST_ENTRY(waiting, struct hub_waiter, node)->deadline_ns;
            earliest = deadline < earliest ? deadline : earliest;
        }
    }
    return earliest;
}

static size_t count_runs(const struct hub *hub)
{
    size_t count = 0;
    LIST_EACH(&hub->loop.runs, node)
    {
        count++;
    }
    return count;
}

void hub_runs_leave_all(struct hub *hub)
{
    size_t count = count_runs(hub);
    hub->loop.leaves_runs = true;
    if (count > 0) {
        marline__log(LOG_INFO, "runs under way: %zu; they go on at the next start on this store",
                     count);
    }
}

void hub_runs_cancel_all(struct hub *hub)
{
    size_t count = count_runs(hub);
    if (count > 0) {
        marline__log(LOG_INFO,
                     "runs under way: %zu; they are cancelled, a store in memory has no next start",
                     count);
    }
    LIST_EACH(&hub->loop.runs, node)
    {
        struct hub_run *r = LIST_ENTRY(node, struct hub_run, node);
        run_cancel(r->run, hub_now_ns(hub));
        drive(hub, r);
    }
}

void hub_runs_destroy(struct hub *hub)
{
    LIST_EACH(&hub->loop.runs, node)
    {
        free_run(hub, LIST_ENTRY(node, struct hub_run, node));
    }
}
