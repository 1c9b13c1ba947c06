/* The simulated backend's runs and its ingest: what backend-mock/hub/hub_runs.c and
 * routes_ingest.c do. An invocation is recorded before it is sent, a result is stored before it is
 * linked or acknowledged, spans are stored before they are linked or answered; mutants break these
 * rules. */
#include "backend_parts.h"

#include <stdio.h>
#include <string.h>

#include "core/alloc.h"

enum {
    RUN_TIMEOUT_MS = 25000,
    RESUME_WAIT_MS = 15000,
    RUN_RETRY_MS = 1000, /* of a run that could not be created */
    SECOND_RESULT_MS_MAX = 8000,
    HTTP_OK = 200,
    HTTP_STORE_FAILED = 500,
};

/* Of a test to the one before it: tests that differ in one part of the key only. */
enum kinship { SAME_TEST, SAME_CONFIGURATION, STRANGERS };

/* ---- runs ---- */

static void status_done(struct backend *b, struct commit *c, bool ok)
{
    struct backend_run *r = c->run;
    if (ok && r->is_failing) {
        world_visit(&b->sim->world, SITUATION_STATUS_RETRIED);
    }
    r->is_failing = !ok;
    run_on_status_stored(r->run, b->sim->world.now_ns, ok);
    backend_drive_run(b, r);
}

static void set_status(struct backend *b, struct backend_run *r, enum run_status status)
{
    struct commit *c = backend_commit(b, STORE_SET_RUN_STATUS, status_done);
    c->run = r;
    c->write.set_run_status.organization_id = b->sim->organization;
    c->write.set_run_status.run_id = r->id;
    c->write.set_run_status.status = status;
    backend_submit(b, c);
}

static bool send_invocation(struct backend *b, struct backend_test *t,
                            const struct run_action *action)
{
    uint64_t number =
        router_find(b->router, marline__slice_text(t->run->project), SLICE("development"));
    struct backend_session *s = backend_session(b, number);
    if (!s && backend_session(b, b->registered[t->run->agent])) {
        world_violate(&b->sim->world, "an agent is connected and registered, and has no route");
    }
    if (!s || agent_session_is_draining(s->agent)) {
        return false;
    }
    char run[UUID_TEXT_SIZE], test[UUID_TEXT_SIZE], configuration[UUID_TEXT_SIZE];
    marline__uuid_format(&action->key.run, run);
    marline__uuid_format(&action->key.test, test);
    marline__uuid_format(&action->key.configuration, configuration);
    const struct message_test_context context = {.present = true,
                                                 .test_run_id = marline__slice_text(run),
                                                 .test_id = marline__slice_text(test),
                                                 .test_configuration_id =
                                                     marline__slice_text(configuration),
                                                 .attempt = action->key.attempt};
    const struct message_conversation_context none = {0};
    struct buffer inputs = BUFFER_INIT;
    (void)marline__message_inputs(action->inputs, &context, &none, &inputs);
    alloc_check_buffer(&inputs);
    struct connector_message message = {.type = MESSAGE_EXECUTE_TEST};
    message.execute_test.invocation_id = marline__slice_text(t->call_id);
    message.execute_test.function_name = action->function_name;
    message.execute_test.inputs = marline__buffer_slice(&inputs);
    const struct router_call call = {.id = marline__slice_text(t->call_id),
                                     .session = number,
                                     .is_test = true,
                                     .project = marline__slice_text(t->run->project),
                                     .environment = SLICE("development"),
                                     .deadline_ns = TIME_NEVER,
                                     .user = t};
    router_call_begin(b->router, &call);
    backend_send(b, s, &message);
    marline__buffer_deinit(&inputs);
    return true;
}

static void invocation_recorded(struct backend *b, struct commit *c, bool ok)
{
    struct backend_test *t = &c->run->state[c->test];
    if (!t->wanted || strcmp(t->call_id, c->action.invocation_id) != 0) {
        return;
    }
    t->sent = ok && send_invocation(b, t, &c->action);
    if (!t->sent) {
        t->wanted = false;
        (void)run_on_failed(c->run->run, b->sim->world.now_ns, marline__slice_text(t->call_id),
                            ok ? SLICE("not connected") : SLICE("not stored"));
        backend_drive_run(b, c->run);
    }
}

static void note_attempt(struct backend *b, struct backend_run *r, const struct run_action *action)
{
    struct known_attempt *attempt = &r->attempts[action->test][action->key.attempt - 1];
    if (strcmp(attempt->id, action->invocation_id) != 0) {
        *attempt = (struct known_attempt){.executions = 0};
        (void)snprintf(attempt->id, sizeof attempt->id, "%s", action->invocation_id);
    }
    if (action->key.attempt > 1) {
        world_visit(&b->sim->world, SITUATION_ATTEMPT_RETRIED);
    }
}

static void invoke(struct backend *b, struct backend_run *r, const struct run_action *action)
{
    struct backend_test *t = &r->state[action->test];
    struct commit *c = backend_commit(b, STORE_RECORD_INVOKED, invocation_recorded);
    c->run = r;
    c->test = action->test;
    c->action = *action;
    (void)snprintf(t->call_id, sizeof t->call_id, "%s", action->invocation_id);
    t->wanted = true;
    t->restored = t->taken = false;
    t->answered_by = 0;
    note_attempt(b, r, action);
    (void)snprintf(
        t->agent_id, sizeof t->agent_id, "%.*s",
        SLICE_ARG(router_agent_id(b->router, router_find(b->router, marline__slice_text(r->project),
                                                         SLICE("development")))));
    c->write.record_invoked.key = action->key;
    c->write.record_invoked.invocation_id = marline__slice_text(c->action.invocation_id);
    c->write.record_invoked.agent_id = marline__slice_text(t->agent_id);
    backend_submit(b, c);
}

static void await_answer(struct backend *b, struct backend_run *r, const struct run_action *action)
{
    char organization[UUID_TEXT_SIZE];
    struct backend_test *t = &r->state[action->test];
    marline__uuid_format(&b->sim->organization, organization);
    (void)snprintf(t->call_id, sizeof t->call_id, "%s", action->invocation_id);
    t->wanted = t->sent = t->restored = true;
    const struct router_call call = {.id = marline__slice_text(t->call_id),
                                     .organization = marline__slice_text(organization),
                                     .agent_id = marline__slice_text(t->agent_id),
                                     .is_test = true,
                                     .project = marline__slice_text(r->project),
                                     .environment = SLICE("development"),
                                     .deadline_ns = TIME_NEVER,
                                     .user = t};
    router_call_begin(b->router, &call);
}

static void withdraw(struct backend *b, struct backend_test *t)
{
    struct slice id = marline__slice_text(t->call_id);
    world_visit(&b->sim->world, SITUATION_TEST_TIMED_OUT);
    world_log(&b->sim->world, "%s: nobody waits for %s any more", b->name,
              name_of(b->sim, id).text);
    uint64_t session = router_call_session(b->router, id);
    struct backend_session *s = backend_session(b, session);
    if (t->sent && router_cancel(b->router, id) && s) {
        struct connector_message message = {.type = MESSAGE_CANCEL};
        message.cancel.invocation_id = id;
        message.cancel.reason = SLICE("nobody waits for the result");
        backend_send(b, s, &message);
    }
    t->wanted = t->sent = false;
    /* Its result is being made: an answer that comes now is acknowledged with that, not before. */
    t->uncommitted = true;
    t->taken = false;
    t->answered_by = 0;
}

static void second_result_done(struct backend *b, struct commit *c, bool ok)
{
    if (ok) {
        world_visit(&b->sim->world, SITUATION_RESULT_DUPLICATE);
        linker_on_result_committed(b->linker, &c->write.insert_result.key);
    }
}

/* Somebody posts another result for the key, as over REST. */
struct second {
    struct backend *backend;
    struct link_key key;
};

/* This one, or another that is up. */
static struct backend *any_backend(struct backend *b)
{
    struct simulation *s = b->sim;
    struct backend *other =
        &s->backends[world_between(&s->world, 0, (uint64_t)s->backend_count - 1)];
    return other->up ? other : b;
}

static void second_result(struct world *w, void *user, bool dead)
{
    struct second *second = user;
    if (!dead) {
        struct backend *b = any_backend(second->backend);
        struct commit *c = backend_commit(b, STORE_INSERT_RESULT, second_result_done);
        c->write.insert_result.key = second->key;
        c->write.insert_result.status = RESULT_FAIL;
        c->write.insert_result.spare_id = marline__uuid_random(&w->random);
        backend_submit(b, c);
    }
    marline__memory_free(second);
}

static void result_stored(struct backend *b, struct commit *c, bool ok)
{
    struct world *w = &b->sim->world;
    struct backend_test *t = &c->run->state[c->test];
    if (ok) {
        world_log(w, "%s: result of %s is stored", b->name,
                  name_of_key(b->sim, &c->action.key).text);
        t->uncommitted = false;
        if (!world_is_mutant(w, MUTANT_RESULT_LINK_EARLY)) {
            linker_on_result_committed(b->linker, &c->action.key);
        }
        if (t->answered_by) {
            oracle_answer_promised(b->sim, t);
            backend_acknowledge(b, t->answered_by, marline__slice_text(t->call_id));
        }
        if (world_fault(w, w->faults.second_result)) {
            struct second *second = alloc_zeroed(sizeof *second);
            *second = (struct second){b, c->action.key};
            world_after(w, world_between(w, 0, SECOND_RESULT_MS_MAX) * NS_PER_MS, second_result,
                        second, &b->life);
        }
    }
    run_on_result_stored(c->run->run, w->now_ns, c->test, ok);
    backend_drive_run(b, c->run);
}

static void store_result(struct backend *b, struct backend_run *r, const struct run_action *action)
{
    if (world_is_mutant(&b->sim->world, MUTANT_RESULT_LINK_EARLY)) {
        linker_on_result_committed(b->linker, &action->key);
        backend_drive_linker(b);
    }
    struct commit *c = backend_commit(b, STORE_INSERT_RESULT, result_stored);
    c->run = r;
    c->test = action->test;
    c->action = *action;
    struct store_insert_result *write = &c->write.insert_result;
    write->key = action->key;
    write->status = action->result_status;
    write->function_name = action->function_name;
    write->output = action->result.output;
    write->error = action->result.error;
    write->duration_ms = action->result.duration_ms;
    write->trace_id = action->result.trace_id;
    write->span_count = action->result.span_count;
    write->spare_id = marline__uuid_random(&b->sim->world.random);
    backend_submit(b, c);
}

void backend_drive_run(struct backend *b, struct backend_run *r)
{
    struct run_action action;
    while (run_next_action(r->run, &action)) {
        switch (action.type) {
        case RUN_SET_STATUS:
            set_status(b, r, action.status);
            break;
        case RUN_INVOKE:
            invoke(b, r, &action);
            break;
        case RUN_AWAIT:
            await_answer(b, r, &action);
            break;
        case RUN_JUDGE: /* no test here has criteria */
            break;
        case RUN_WITHDRAW:
            withdraw(b, &r->state[action.test]);
            break;
        case RUN_STORE_RESULT:
            store_result(b, r, &action);
            break;
        }
    }
    r->finished = run_is_finished(r->run);
}

static void make_machine(struct backend *b, struct backend_run *r)
{
    const struct run_options options = {
        .organization_id = b->sim->organization, .run_id = r->id, .concurrency = 3};
    r->created = true;
    r->run = run_create(&options, r->tests, r->test_count);
    mutant_run(b->sim->world.mutant, r->run);
}

void backend_served(struct backend *b, int agent)
{
    for (int i = 0; i < b->sim->run_count; i++) {
        struct backend_run *r = &b->sim->runs[i];
        if (r->run && r->backend == b && r->agent == agent) {
            run_release(r->run, b->sim->world.now_ns);
            backend_drive_run(b, r);
        }
    }
}

/* ---- an earlier life ---- */

struct unfinished {
    struct simulation *sim;
    struct backend_run *runs[RUNS_MAX];
    enum run_status status[RUNS_MAX];
    size_t count;
};

/* A store may hold other simulations' runs too. */
static void add_unfinished(void *user, const struct store_run *run)
{
    struct unfinished *all = user;
    for (int i = 0; i < all->sim->run_count; i++) {
        if (marline__uuid_equal(&all->sim->runs[i].id, &run->run_id)) {
            all->runs[all->count] = &all->sim->runs[i];
            all->status[all->count++] = run->status;
        }
    }
}

static void restore_attempt(void *user, const struct store_attempt_row *row)
{
    struct backend_run *r = user;
    (void)snprintf(r->state[row->test].agent_id, sizeof r->state[row->test].agent_id, "%.*s",
                   SLICE_ARG(row->agent_id));
    const struct run_restored from = {row->attempt, row->has_result, row->status};
    run_restore(r->run, row->test, &from);
}

static void remember(void *user, struct slice invocation_id)
{
    router_remember_completed(user, invocation_id);
}

static void resume(struct backend *b, struct backend_run *r, enum run_status status)
{
    const struct store_scope scope = {.organization_id = b->sim->organization};
    struct store_error error;
    if (r->backend != b) {
        world_violate(&b->sim->world, "%s takes up a run of another one's", b->name);
        return;
    }
    make_machine(b, r);
    memset(r->state, 0, sizeof r->state);
    for (size_t i = 0; i < r->test_count; i++) {
        r->state[i].run = r;
    }
    if (store_read_attempts(b->sim->store, &scope, &r->id, restore_attempt, r, &error) !=
        STORE_OK) {
        simulation_store_died(b->sim, &error);
        return;
    }
    world_visit(&b->sim->world, SITUATION_RUN_RESUMED);
    run_resume(r->run, b->sim->world.now_ns, status, RESUME_WAIT_MS * NS_PER_MS);
    backend_drive_run(b, r);
}

void backend_restore(struct backend *b)
{
    struct unfinished all = {.sim = b->sim};
    struct store_error error;
    if (store_answered_invocations(b->sim->store, ROUTER_COMPLETED_MAX, remember, b->router,
                                   &error) != STORE_OK ||
        store_unfinished_runs(b->sim->store, marline__slice_text(b->name), add_unfinished, &all,
                              &error) != STORE_OK) {
        simulation_store_died(b->sim, &error);
        return;
    }
    for (size_t i = 0; i < all.count; i++) {
        resume(b, all.runs[i], all.status[i]);
    }
    for (int i = 0; i < b->sim->run_count; i++) {
        struct backend_run *r = &b->sim->runs[i];
        r->given_up |= r->backend == b && !r->run && !r->finished; /* never stored, or over */
    }
}

static void create_run(struct backend *b, struct backend_run *r);

static void create_again(struct world *w, void *user, bool dead)
{
    struct backend_run *r = user;
    (void)w;
    if (!dead) {
        create_run(r->backend, r);
    }
}

static void run_created(struct backend *b, struct commit *c, bool ok)
{
    struct backend_run *r = c->run;
    struct world *w = &b->sim->world;
    if (!ok) {
        world_after(w, RUN_RETRY_MS * NS_PER_MS, create_again, r, &b->life);
        return;
    }
    make_machine(b, r);
    run_start(r->run, w->now_ns);
    backend_drive_run(b, r);
}

static void create_run(struct backend *b, struct backend_run *r)
{
    struct commit *c = backend_commit(b, STORE_CREATE_RUN, run_created);
    c->run = r;
    for (size_t i = 0; i < r->test_count; i++) {
        c->tests[i] = (struct store_run_test){.test_id = r->tests[i].test_id,
                                              .configuration_id = r->tests[i].configuration_id,
                                              .function_name = r->tests[i].function_name,
                                              .inputs = r->tests[i].inputs,
                                              .timeout_ms = r->tests[i].timeout_ms,
                                              .retries = r->tests[i].retries};
    }
    c->write.create_run = (struct store_create_run){.organization_id = b->sim->organization,
                                                    .project_id = b->sim->agents[r->agent].project,
                                                    .run_id = r->id,
                                                    .environment = SLICE("development"),
                                                    .backend = marline__slice_text(b->name),
                                                    .concurrency = 3,
                                                    .tests = c->tests,
                                                    .test_count = r->test_count};
    backend_submit(b, c);
}

/* Some tests of a run share their test id and differ in the configuration, or the reverse. */
void backend_begin_run(struct backend *b, int agent)
{
    struct world *w = &b->sim->world;
    if (b->sim->run_count == RUNS_MAX || !b->up) {
        return;
    }
    struct backend_run *r = &b->sim->runs[b->sim->run_count++];
    *r = (struct backend_run){.backend = b,
                              .agent = agent,
                              .id = marline__uuid_random(&w->random),
                              .test_count = (size_t)world_between(w, 2, TESTS_MAX)};
    marline__uuid_format(&b->sim->agents[agent].project, r->project);
    for (size_t i = 0; i < r->test_count; i++) {
        uint64_t kinship = i > 0 ? world_between(w, SAME_TEST, STRANGERS) : STRANGERS;
        const struct run_test *before = &r->tests[i > 0 ? i - 1 : 0];
        r->tests[i] = (struct run_test){
            .test_id = kinship == SAME_TEST ? before->test_id : marline__uuid_random(&w->random),
            .configuration_id = kinship == SAME_CONFIGURATION ? before->configuration_id
                                                              : marline__uuid_random(&w->random),
            .function_name = SLICE("probe"),
            .inputs = SLICE("{}"),
            .timeout_ms = RUN_TIMEOUT_MS,
            .retries = (uint32_t)world_between(w, 0, ATTEMPTS_SIMULATED - 1)};
        r->state[i].run = r;
    }
    create_run(b, r);
    backend_settle(b);
}

/* ---- ingest ---- */

static void spans_stored(struct backend *b, struct commit *c, bool ok)
{
    struct world *w = &b->sim->world;
    if (!ok) {
        world_visit(w, SITUATION_POST_REFUSED);
        if (!world_is_mutant(w, MUTANT_POST_ACKED_EARLY)) {
            network_answer(b->sim, c->post, HTTP_STORE_FAILED);
        }
        return;
    }
    world_log(w, "%s: POST %s is stored: %zu new, %zu known", b->name, c->post->id,
              c->write.insert_spans.stored, c->write.insert_spans.duplicates);
    struct link_key *keys = alloc_array(c->post->count, sizeof *keys);
    size_t count = 0;
    for (size_t i = 0; i < c->post->count; i++) {
        if (c->post->spans[i].has_key) {
            keys[count++] = c->post->spans[i].key;
        }
    }
    if (!world_is_mutant(w, MUTANT_SPAN_LINK_EARLY)) {
        linker_on_spans_committed(b->linker, keys, count);
    }
    marline__memory_free(keys);
    if (!world_is_mutant(w, MUTANT_POST_ACKED_EARLY)) {
        oracle_spans_acknowledged(b->sim, c->post);
        network_answer(b->sim, c->post, HTTP_OK);
    }
}

static void note_mixture(struct backend *b, const struct post *post)
{
    const struct link_key *first = NULL;
    bool several = false, none = false;
    for (size_t i = 0; i < post->count; i++) {
        const struct span *span = &post->spans[i];
        none |= !span->has_key;
        several |= span->has_key && first && !link_key_equal(first, &span->key);
        first = span->has_key && !first ? &span->key : first;
    }
    if (several && none) {
        world_visit(&b->sim->world, SITUATION_BATCH_MIXED);
    }
}

static void note_elsewhere(struct backend *b, const struct post *post)
{
    for (size_t i = 0; i < post->count; i++) {
        if (post->spans[i].has_key && backend_of(b->sim, post->agent) != b) {
            world_visit(&b->sim->world, SITUATION_STORED_ELSEWHERE);
        }
    }
}

static void link_early(struct backend *b, const struct post *post)
{
    for (size_t i = 0; i < post->count; i++) {
        if (post->spans[i].has_key) {
            linker_on_spans_committed(b->linker, &post->spans[i].key, 1);
        }
    }
    backend_drive_linker(b);
}

void backend_on_post(struct backend *b, const struct post *post)
{
    struct world *w = &b->sim->world;
    size_t size = sizeof *post + post->count * sizeof post->spans[0];
    note_mixture(b, post);
    note_elsewhere(b, post);
    if (world_is_mutant(w, MUTANT_SPAN_LINK_EARLY)) {
        link_early(b, post);
    }
    if (world_is_mutant(w, MUTANT_POST_ACKED_EARLY)) {
        oracle_spans_acknowledged(b->sim, post);
        network_answer(b->sim, post, HTTP_OK);
    }
    struct commit *c = backend_commit(b, STORE_INSERT_SPANS, spans_stored);
    c->post = alloc_zeroed(size);
    memcpy(c->post, post, size);
    c->spans = alloc_array(post->count, sizeof *c->spans);
    for (size_t i = 0; i < post->count; i++) {
        const struct span *from = &c->post->spans[i];
        struct store_span *to = &c->spans[i];
        memcpy(to->trace_id, from->trace_id, sizeof to->trace_id);
        memcpy(to->span_id, from->span_id, sizeof to->span_id);
        to->kind = 1;
        to->start_unix_ns = from->start_unix_ns;
        to->end_unix_ns = from->end_unix_ns;
        to->name = SLICE("function.probe");
        to->environment = SLICE("development");
        to->attributes = to->resource = SLICE("{}");
        to->events = to->links = SLICE("[]");
        to->has_key = from->has_key;
        to->key = from->key;
    }
    c->write.insert_spans =
        (struct store_insert_spans){.organization_id = b->sim->organization,
                                    .project_id = b->sim->agents[post->agent].project,
                                    .post_id = marline__slice_text(c->post->id),
                                    .spans = c->spans,
                                    .count = post->count};
    backend_submit(b, c);
    backend_settle(b);
}
