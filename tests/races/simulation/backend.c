/* The backend's shell: what backend-mock/http/hub*.c does, without threads and sockets. One writer
 * carries out what waits in one transaction; its callbacks come a moment after the commit, and in
 * that moment a crash may come. */
#include "backend_parts.h"

#include <stdio.h>
#include <string.h>

#include "core/alloc.h"

enum {
    COMMIT_BATCH_MAX = 64,
};

static void take_over(struct backend *b);

/* ---- the commit queue ---- */

static void free_commit(struct commit *c)
{
    marline__memory_free(c->post);
    marline__memory_free(c->spans);
    marline__memory_free(c);
}

static void free_commits(struct commit *c)
{
    while (c) {
        struct commit *next = c->next;
        free_commit(c);
        c = next;
    }
}

struct commit *backend_commit(struct backend *b, enum store_write_type type,
                              void (*done)(struct backend *, struct commit *, bool))
{
    struct commit *c = alloc_zeroed(sizeof *c);
    c->sim = b->sim;
    c->write.type = type;
    c->write.at_unix_ns = world_wall_ns(&b->sim->world);
    c->done = done;
    return c;
}

void backend_submit(struct backend *b, struct commit *c)
{
    if (b->last) {
        b->last->next = c;
    } else {
        b->first = c;
    }
    b->last = c;
    take_over(b);
}

/* The callbacks of a transaction, on the loop. */
static void call_back(struct world *w, void *user, bool dead)
{
    struct backend *b = user;
    (void)w;
    if (dead) {
        return; /* the crash has freed them */
    }
    struct commit *c = b->writing;
    b->writing = NULL;
    while (c) {
        struct commit *next = c->next;
        c->done(b, c, c->write.outcome.status == STORE_OK);
        free_commit(c);
        c = next;
    }
    take_over(b);
    backend_settle(b);
}

static void count_commit(struct oracle *oracle, const struct store_write *write)
{
    if (write->type == STORE_INSERT_SPANS && write->outcome.status == STORE_OK) {
        oracle->received += write->insert_spans.count;
        oracle->stored += write->insert_spans.stored;
        oracle->duplicates += write->insert_spans.duplicates;
    }
}

static bool carry_out(struct backend *b)
{
    struct store_write *writes[COMMIT_BATCH_MAX];
    struct store_error error = {.status = STORE_BUSY};
    size_t count = 0;
    for (struct commit *c = b->writing; c; c = c->next) {
        writes[count++] = &c->write;
    }
    bool fails = world_fault(&b->sim->world, b->sim->world.faults.store_failure);
    if (!fails && store_write_all(b->sim->store, writes, count, &error) == STORE_OK) {
        for (size_t i = 0; i < count; i++) {
            count_commit(&b->sim->oracle, writes[i]);
        }
        return true;
    }
    if (!fails) {
        simulation_store_died(b->sim, &error);
    }
    for (size_t i = 0; i < count; i++) {
        writes[i]->outcome = error;
    }
    return false;
}

static void commit(struct world *w, void *user, bool dead)
{
    struct backend *b = user;
    if (dead) {
        return;
    }
    b->committed = carry_out(b);
    if (b->committed) {
        oracle_check_store(b->sim);
    } else {
        world_visit(w, SITUATION_STORE_FAILED);
        world_log(w, "%s: the store fails a transaction", b->name);
    }
    if (b->committed && world_fault(w, w->faults.backend_crash)) {
        backend_crash(b); /* the moment that two points alone do not survive */
        return;
    }
    world_after(w, world_between(w, 10, 3000) * 1000, call_back, b, &b->life);
}

/* The writer takes what waits, all of it, when it is free. */
static void take_over(struct backend *b)
{
    struct world *w = &b->sim->world;
    if (b->writing || !b->first) {
        return;
    }
    b->writing = b->first;
    b->committed = false;
    size_t count = 1;
    struct commit *end = b->first;
    while (end->next && count < COMMIT_BATCH_MAX) {
        end = end->next;
        count++;
    }
    b->first = end->next;
    b->last = b->first ? b->last : NULL;
    end->next = NULL;
    uint64_t most_ms = world_fault(w, w->faults.slow_store) ? 4000 : 20;
    world_after(w, world_between(w, 1, most_ms) * NS_PER_MS, commit, b, &b->life);
}

/* ---- linking ---- */

static void link_done(struct backend *b, struct commit *c, bool ok)
{
    const struct store_link *link = &c->write.link;
    struct world *w = &b->sim->world;
    if (!ok) {
        world_visit(w, SITUATION_LINK_RETRIED);
    } else {
        world_log(w, "%s: link of %s at point '%s': %s, %zu span%s wait%s, %zu linked", b->name,
                  name_of_key(b->sim, &link->key).text, link_point_name(link->point),
                  link->result_found ? "its result is there" : "no result yet", link->spans_found,
                  link->spans_found == 1 ? "" : "s", link->spans_found == 1 ? "s" : "",
                  link->linked);
    }
    if (ok && link->linked > 0 && link->point == LINK_POINT_SWEEP) {
        world_visit(w, SITUATION_SWEPT);
    }
    linker_attempt_done(b->linker, w->now_ns, &c->link, ok);
}

static void try_link(struct backend *b, const struct linker_action *action)
{
    struct commit *c = backend_commit(b, STORE_LINK, link_done);
    c->link = *action;
    c->write.link.key = action->key;
    c->write.link.point = action->point;
    backend_submit(b, c);
}

struct sweep {
    struct backend *backend;
    size_t count;
    struct link_sighting found[LINKER_SWEEP_KEYS_MAX];
};

static void add_key(void *user, const struct link_key *key, uint64_t span)
{
    struct sweep *sweep = user;
    bool ours = marline__uuid_equal(&key->organization, &sweep->backend->sim->organization);
    if (ours && sweep->count < LINKER_SWEEP_KEYS_MAX) {
        sweep->found[sweep->count++] = (struct link_sighting){*key, span};
    }
}

static void sweep_done(struct world *w, void *user, bool dead)
{
    struct sweep *sweep = user;
    if (!dead) {
        struct backend *b = sweep->backend;
        struct store_error error;
        bool ok = !world_fault(w, w->faults.store_failure);
        if (ok && store_waiting_keys(b->sim->store, LINKER_SWEEP_KEYS_MAX, add_key, sweep,
                                     &error) != STORE_OK) {
            simulation_store_died(b->sim, &error);
            ok = false;
        }
        linker_sweep_done(b->linker, w->now_ns, ok ? sweep->found : NULL, ok ? sweep->count : 0,
                          ok);
        backend_settle(b);
    }
    marline__memory_free(sweep);
}

static void start_sweep(struct backend *b)
{
    struct world *w = &b->sim->world;
    struct sweep *sweep = alloc_zeroed(sizeof *sweep);
    sweep->backend = b;
    world_after(w, world_between(w, 1, 20) * NS_PER_MS, sweep_done, sweep, &b->life);
}

void backend_drive_linker(struct backend *b)
{
    struct linker_action action;
    while (linker_next_action(b->linker, &action)) {
        if (action.type == LINKER_TRY) {
            try_link(b, &action);
        } else {
            start_sweep(b);
        }
    }
}

/* ---- sessions ---- */

struct backend_session *backend_session(struct backend *b, uint64_t number)
{
    bool known = number > 0 && number <= (uint64_t)b->session_count;
    struct backend_session *s = known ? &b->sessions[number - 1] : NULL;
    return s && s->agent ? s : NULL;
}

static struct backend_session *session_by_connection(struct backend *b, int connection)
{
    for (int i = b->session_count - 1; i >= 0; i--) {
        if (b->sessions[i].connection == connection && b->sessions[i].agent) {
            return &b->sessions[i];
        }
    }
    return NULL;
}

void backend_send(struct backend *b, struct backend_session *s,
                  const struct connector_message *message)
{
    struct buffer text = BUFFER_INIT;
    marline__message_encode(message, &text);
    alloc_check_buffer(&text);
    network_text(b->sim, s->connection, TO_AGENT, marline__buffer_slice(&text));
    marline__buffer_deinit(&text);
}

void backend_acknowledge(struct backend *b, uint64_t session, struct slice id)
{
    struct backend_session *s = backend_session(b, session);
    oracle_result_acknowledged(b->sim, id);
    if (s && agent_session_capabilities(s->agent) & CAPABILITY_RESULT_ACK) {
        struct connector_message message = {.type = MESSAGE_RESULT_ACK};
        message.result_ack.invocation_id = id;
        backend_send(b, s, &message);
    }
}

static struct backend_test *uncommitted(struct backend *b, struct slice id)
{
    for (int i = 0; i < b->sim->run_count; i++) {
        struct backend_run *r = &b->sim->runs[i];
        for (size_t t = 0; r->run && r->backend == b && t < r->test_count; t++) {
            if (r->state[t].uncommitted && marline__slice_is(id, r->state[t].call_id)) {
                return &r->state[t];
            }
        }
    }
    return NULL;
}

static void answered(struct backend *b, struct backend_test *t, uint64_t session,
                     const struct message_test_result *result)
{
    const struct run_answer answer = {.success = result->success,
                                      .output = result->output,
                                      .error = result->error,
                                      .duration_ms = result->duration_ms,
                                      .trace_id = result->trace_id,
                                      .span_count = result->span_count};
    t->wanted = t->sent = false;
    t->uncommitted = t->taken = true;
    t->status = result->success ? RESULT_PASS : RESULT_ERROR;
    t->answered_by = session;
    world_log(&b->sim->world, "%s: result of %s arrives", b->name,
              name_of(b->sim, result->invocation_id).text);
    if (world_is_mutant(&b->sim->world, MUTANT_RESULT_ACKED_EARLY)) {
        oracle_answer_promised(b->sim, t);
        backend_acknowledge(b, session, result->invocation_id);
    }
    (void)run_on_answer(t->run->run, b->sim->world.now_ns, marline__slice_text(t->call_id),
                        &answer);
    backend_drive_run(b, t->run);
}

static void take_result(struct backend *b, struct backend_session *s,
                        const struct message_test_result *result)
{
    void *user = NULL;
    struct world *w = &b->sim->world;
    uint64_t elsewhere = router_counters(b->router)->accepted_elsewhere;
    switch (router_complete(b->router, result->invocation_id, s->number, &user)) {
    case ROUTER_ACCEPTED:
        if (((struct backend_test *)user)->restored) {
            world_visit(w, SITUATION_RESULT_AWAITED);
        }
        if (router_counters(b->router)->accepted_elsewhere > elsewhere) {
            world_visit(w, SITUATION_RESULT_ELSEWHERE);
        }
        answered(b, user, s->number, result);
        break;
    case ROUTER_COMPLETED: {
        struct backend_test *t = uncommitted(b, result->invocation_id);
        world_visit(w, SITUATION_RESULT_REPEATED);
        if (t) {
            t->answered_by = s->number;
        } else {
            backend_acknowledge(b, s->number, result->invocation_id);
        }
        break;
    }
    case ROUTER_FOREIGN:
    case ROUTER_UNKNOWN: /* every agent here brings what this backend asked it for */
        world_violate(w, "I7: nobody takes the result of %s",
                      name_of(b->sim, result->invocation_id).text);
        break;
    }
}

struct report {
    struct slice in_flight; /* raw JSON array */
};

/* Ids are plain texts of one length: no reader is needed. */
static bool is_listed(const void *reported, struct slice id)
{
    const struct report *report = reported;
    return memmem(report->in_flight.data, report->in_flight.size, id.data, id.size) != NULL;
}

static void end_lost_calls(struct backend *b, const struct backend_session *s,
                           struct slice in_flight)
{
    const struct report report = {in_flight};
    router_reported(b->router, s->number, is_listed, &report);
    for (struct backend_test *t; (t = router_next_lost(b->router));) {
        oracle_lost(b->sim, marline__slice_text(t->call_id));
        world_visit(&b->sim->world, SITUATION_CALL_LOST);
        world_log(&b->sim->world, "%s: %s is lost", b->name,
                  name_of(b->sim, marline__slice_text(t->call_id)).text);
        t->wanted = t->sent = false;
        t->uncommitted = true;
        t->taken = false;
        t->answered_by = 0;
        (void)run_on_failed(t->run->run, b->sim->world.now_ns, marline__slice_text(t->call_id),
                            SLICE("lost"));
        backend_drive_run(b, t->run);
    }
}

static void register_agent(struct backend *b, struct backend_session *s,
                           const struct message_register *message)
{
    struct agent_step step;
    if (message->agent_id.size) {
        router_session_identified(b->router, s->number, message->agent_id);
    }
    router_register(b->router, s->number, message->project_id, message->environment);
    b->registered[b->sim->connections[s->connection].agent] = s->number;
    const struct agent_registration outcome = {.stats = SLICE("{}")};
    agent_session_registered(s->agent, &outcome, &step);
    if (step.reply.size) {
        network_text(b->sim, s->connection, TO_AGENT, step.reply);
    }
    backend_served(b, b->sim->connections[s->connection].agent);
    if (message->agent_id.size && message->in_flight.size) {
        end_lost_calls(b, s, message->in_flight);
    }
}

static void handle(struct backend *b, struct backend_session *s, const struct agent_step *step)
{
    if (step->reply.size) {
        network_text(b->sim, s->connection, TO_AGENT, step->reply);
    }
    if (step->event == AGENT_REGISTER) {
        register_agent(b, s, &step->message->registration);
    } else if (step->event == AGENT_RESULT) {
        take_result(b, s, &step->message->test_result);
    }
    if (step->close_code) {
        network_close(b->sim, s->connection, TO_AGENT, step->close_code);
    }
    backend_settle(b);
}

bool backend_on_connect(struct backend *b, int connection)
{
    char organization[UUID_TEXT_SIZE];
    marline__uuid_format(&b->sim->organization, organization);
    struct backend_session *s = &b->sessions[b->session_count++];
    *s = (struct backend_session){.connection = connection, .number = (uint64_t)b->session_count};
    const struct agent_identity identity = {.connection_id = SLICE("connection"),
                                            .organization_id = marline__slice_text(organization),
                                            .user_id = marline__slice_text(organization)};
    const struct agent_limits limits = agent_limits_default();
    struct agent_step step;
    s->agent = agent_session_open(&limits, &identity, b->sim->world.now_ns, &step);
    router_session_opened(b->router, s->number, marline__slice_text(organization), SLICE("key"));
    handle(b, s, &step);
    return true;
}

void backend_on_text(struct backend *b, int connection, struct slice text)
{
    struct backend_session *s = b->up ? session_by_connection(b, connection) : NULL;
    if (s) {
        struct agent_step step;
        agent_session_text(s->agent, text, b->sim->world.now_ns, &step);
        handle(b, s, &step);
    }
}

/* A later session of the same agent has the route already. */
static bool is_stale(const struct backend *b, const struct backend_session *s)
{
    int agent = b->sim->connections[s->connection].agent;
    for (int i = (int)s->number; i < b->session_count; i++) {
        if (b->sessions[i].agent && b->sim->connections[b->sessions[i].connection].agent == agent) {
            return true;
        }
    }
    return false;
}

void backend_on_closed(struct backend *b, int connection)
{
    struct backend_session *s = b->up ? session_by_connection(b, connection) : NULL;
    if (!s) {
        return;
    }
    if (is_stale(b, s)) {
        world_visit(&b->sim->world, SITUATION_HALF_OPEN);
    }
    router_session_closed(b->router, s->number);
    agent_session_destroy(s->agent);
    s->agent = NULL;
    backend_settle(b);
}

/* ---- time ---- */

static void timer(struct world *w, void *user, bool dead)
{
    struct backend *b = user;
    if (dead || b->timer_at > w->now_ns) {
        return;
    }
    b->timer_at = TIME_NEVER;
    for (int i = 0; i < b->sim->run_count; i++) {
        struct backend_run *r = &b->sim->runs[i];
        if (r->run && r->backend == b) {
            run_on_tick(r->run, w->now_ns);
            backend_drive_run(b, r);
        }
    }
    linker_on_tick(b->linker, w->now_ns);
    backend_settle(b);
}

static uint64_t next_deadline(const struct backend *b)
{
    uint64_t at = linker_next_deadline(b->linker);
    for (int i = 0; i < b->sim->run_count; i++) {
        const struct backend_run *r = &b->sim->runs[i];
        uint64_t run_at = r->run && r->backend == b ? run_next_deadline(r->run) : TIME_NEVER;
        at = run_at < at ? run_at : at;
    }
    return at;
}

/* After every input. */
void backend_settle(struct backend *b)
{
    struct world *w = &b->sim->world;
    backend_drive_linker(b);
    uint64_t at = next_deadline(b);
    at = at < w->now_ns ? w->now_ns : at;
    if (at != TIME_NEVER && at < b->timer_at) {
        b->timer_at = at;
        world_after(w, at - w->now_ns, timer, b, &b->life);
    }
}

/* ---- life ---- */

void backend_init(struct simulation *s, int index)
{
    struct backend *b = &s->backends[index];
    b->sim = s;
    b->index = index;
    b->sweep_interval_ms = (uint32_t)world_between(&s->world, 1, 5) * 1000;
    (void)snprintf(b->name, sizeof b->name, s->backend_count > 1 ? "backend %d" : "backend", index);
}

struct backend *backend_of(struct simulation *s, int agent)
{
    return &s->backends[s->agents[agent].home];
}

void backend_start(struct backend *b)
{
    struct linker_options options = linker_options_default();
    const struct world *w = &b->sim->world;
    options.sweep_interval_ms = b->sweep_interval_ms;
    mutant_points(w->mutant, &options.policy);
    b->linker = linker_create(&options);
    mutant_linker(w->mutant, b->linker);
    b->router = router_create();
    mutant_router(w->mutant, b->router);
    b->session_count = 0;
    memset(b->registered, 0, sizeof b->registered);
    b->timer_at = TIME_NEVER;
    b->up = true;
    backend_restore(b);
    backend_settle(b);
}

static void forget_machines(struct backend *b)
{
    free_commits(b->first);
    free_commits(b->writing);
    b->first = b->last = b->writing = NULL;
    b->committed = false;
    for (int i = 0; i < b->session_count; i++) {
        agent_session_destroy(b->sessions[i].agent);
        b->sessions[i].agent = NULL;
    }
    for (int i = 0; i < b->sim->run_count; i++) {
        if (b->sim->runs[i].backend == b) {
            run_destroy(b->sim->runs[i].run);
            b->sim->runs[i].run = NULL;
        }
    }
    linker_destroy(b->linker);
    router_destroy(b->router);
    b->linker = NULL;
    b->router = NULL;
}

static void restart(struct world *w, void *user, bool dead)
{
    struct backend *b = user;
    if (dead) {
        return;
    }
    world_log(w, "%s starts again", b->name);
    backend_start(b);
    for (int agent = 0; agent < b->sim->agent_count; agent++) {
        if (backend_of(b->sim, agent) == b) {
            backend_begin_run(b, agent);
        }
    }
}

void backend_crash(struct backend *b)
{
    struct world *w = &b->sim->world;
    if (!b->up) {
        return;
    }
    world_log(w, "%s crashes", b->name);
    world_visit(w, SITUATION_BACKEND_CRASH);
    for (int i = 0; i < b->sim->backend_count; i++) {
        if (i != b->index && b->sim->backends[i].up) {
            world_visit(w, SITUATION_CRASH_APART);
        }
    }
    for (const struct commit *c = b->writing; c && b->committed; c = c->next) {
        if (c->write.type == STORE_INSERT_RESULT || c->write.type == STORE_INSERT_SPANS) {
            world_visit(w, SITUATION_CRASH_AFTER_COMMIT);
        }
    }
    forget_machines(b);
    b->life++;
    b->up = false;
    for (int i = 0; i < b->sim->connection_count; i++) {
        if (backend_of(b->sim, b->sim->connections[i].agent) == b) {
            network_cut(b->sim, i);
        }
    }
    world_after(w, world_between(w, 100, 3000) * NS_PER_MS, restart, b, &b->life);
}

bool backend_is_at_rest(const struct backend *b)
{
    if (!b->up || b->writing || b->first) {
        return false;
    }
    for (int i = 0; i < b->sim->run_count; i++) {
        const struct backend_run *r = &b->sim->runs[i];
        if (r->backend == b && !r->finished && !r->given_up) {
            return false;
        }
    }
    return true;
}

void backend_deinit(struct backend *b)
{
    forget_machines(b);
}
