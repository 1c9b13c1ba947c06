/* The agent's shell: session, handlers, batches of spans, and the outbox on its disk. Handlers are
 * made up: each takes a while, ends a few spans on the way and its root at the end. */
#include "simulation.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "core/alloc.h"

enum {
    EXPORT_EVERY_S = 5,
    BATCH_MAX = 64,
    CONCURRENCY = 4,
    WAITING_MAX = 16,
    CHILDREN_MAX = 4,
    HANDLER_FAILS = 150, /* in a thousand */
    HANDLER_HANGS = 60,  /* in a thousand: longer than any timeout */
    REQUEST_TIMEOUT_MS = 4000,
    BACKGROUND_SPAN_MS_MAX = 6000,
    DRAIN_MS_MAX = 15000,
    SETTLED_WITHIN_MS = 1000,
    SKEW_NOTABLE_S = 60,
};

static void drive(struct agent *a);
static void begin_export(struct agent *a);

static uint64_t random_of(struct agent *a)
{
    return world_random(&a->sim->world);
}

/* ---- spans ---- */

static uint64_t wall_ns(const struct agent *a)
{
    return world_wall_ns(&a->sim->world) + (uint64_t)a->skew_ns;
}

static void queue_span(struct agent *a, struct span *span)
{
    oracle_span_made(a->sim, span);
    if (marline__batch_schedule_add(&a->batch, 1) == 1) {
        a->queue[a->queued++] = *span;
    }
}

/* ---- handlers ---- */

struct job {
    struct agent *agent;
    char id[INVOCATION_ID_SIZE];
    struct span root;
    uint64_t started_ns;
    bool fails;
    int spans;
};

struct child {
    struct agent *agent;
    struct span span;
};

static struct span make_span(struct agent *a, const struct span *root)
{
    struct span span = *root;
    marline__random_fill(&a->sim->world.random, span.span_id, sizeof span.span_id);
    return span;
}

static void child_ends(struct world *w, void *user, bool dead)
{
    struct child *child = user;
    (void)w;
    if (!dead) {
        child->span.end_unix_ns = wall_ns(child->agent);
        queue_span(child->agent, &child->span);
        drive(child->agent);
    }
    marline__memory_free(child);
}

static void job_ends(struct world *w, void *user, bool dead)
{
    struct job *job = user;
    struct agent *a = job->agent;
    if (!dead) {
        char trace[33];
        job->root.end_unix_ns = wall_ns(a);
        queue_span(a, &job->root);
        marline__hex_encode(job->root.trace_id, sizeof job->root.trace_id, trace);
        const struct message_test_result result = {
            .invocation_id = marline__slice_text(job->id),
            .success = !job->fails,
            .output = job->fails ? SLICE_EMPTY : SLICE("{\"answer\":42}"),
            .error = job->fails ? SLICE("flaky") : SLICE_EMPTY,
            .duration_ms = (double)(w->now_ns - job->started_ns) / (double)NS_PER_MS,
            .trace_id = {trace, 32},
            .span_count = (uint32_t)job->spans,
        };
        world_log(w, "agent %d: %s is done", a->index,
                  name_of(a->sim, marline__slice_text(job->id)).text);
        marline__session_finished(a->session, w->now_ns, &result);
        drive(a);
    }
    marline__memory_free(job);
}

/* Fast, slow, or exactly to the next tick of the export. */
static uint64_t choose_duration(struct agent *a)
{
    struct world *w = &a->sim->world;
    uint64_t kind = world_between(w, 0, 999);
    if (kind < HANDLER_HANGS) {
        return 60 * NS_PER_S;
    }
    if (kind < 150) {
        return a->batch.next_tick_ns > w->now_ns ? a->batch.next_tick_ns - w->now_ns : NS_PER_MS;
    }
    return kind < 600 ? world_between(w, 1, 2500) * NS_PER_MS
                      : world_between(w, 4000, 13000) * NS_PER_MS;
}

static void start_children(struct agent *a, struct job *job, uint64_t duration_ns)
{
    struct world *w = &a->sim->world;
    int children = (int)world_between(w, 0, CHILDREN_MAX);
    for (int i = 0; i < children; i++) {
        struct child *child = alloc_zeroed(sizeof *child);
        *child = (struct child){.agent = a, .span = make_span(a, &job->root)};
        world_after(w, world_between(w, 0, duration_ns), child_ends, child, &a->life);
    }
    job->spans = children + 1;
}

/* Whether the spans say their attempt is the agent's choice; half of them do. */
static void identify(struct agent *a, const struct message_test_context *test, struct span *root)
{
    uint32_t attempt = random_of(a) % 2 ? test->attempt : 0;
    root->attempt = test->attempt;
    root->has_key =
        test->present && link_key_parse(&a->sim->organization, test->test_run_id, test->test_id,
                                        test->test_configuration_id, attempt, &root->key);
}

static void invoke(struct agent *a, const struct session_action *action)
{
    struct world *w = &a->sim->world;
    struct job *job = alloc_zeroed(sizeof *job);
    job->agent = a;
    job->started_ns = w->now_ns;
    job->fails = world_between(w, 0, 999) < HANDLER_FAILS;
    oracle_executed(a->sim, action->id);
    (void)snprintf(job->id, sizeof job->id, "%.*s", SLICE_ARG(action->id));
    marline__random_fill(&w->random, job->root.trace_id, sizeof job->root.trace_id);
    job->root = make_span(a, &job->root);
    job->root.start_unix_ns = wall_ns(a);
    identify(a, &action->job->test.test, &job->root);
    uint64_t duration_ns = choose_duration(a);
    start_children(a, job, duration_ns);
    world_log(w, "agent %d: invokes %s, which takes %.3f s and makes %d span%s", a->index,
              name_of(a->sim, action->id).text, (double)duration_ns / (double)NS_PER_S, job->spans,
              job->spans == 1 ? "" : "s");
    world_after(w, duration_ns, job_ends, job, &a->life);
    marline__session_job_free(action->job);
}

/* Spans of no test, as observed functions make them. */
static void background(struct world *w, void *user, bool dead)
{
    struct agent *a = user;
    if (dead || w->calm) {
        return;
    }
    struct span span = {.start_unix_ns = wall_ns(a), .end_unix_ns = wall_ns(a)};
    marline__random_fill(&w->random, span.trace_id, sizeof span.trace_id);
    span = make_span(a, &span);
    queue_span(a, &span);
    drive(a);
    world_after(w, world_between(w, 1, BACKGROUND_SPAN_MS_MAX) * NS_PER_MS, background, a,
                &a->life);
}

/* ---- export ---- */

struct wait {
    struct agent *agent;
    uint64_t request;
};

static void request_times_out(struct world *w, void *user, bool dead)
{
    struct wait *wait = user;
    (void)w;
    if (!dead) {
        agent_on_answer(wait->agent, wait->request, 0);
    }
    marline__memory_free(wait);
}

static void send_request(struct agent *a)
{
    struct world *w = &a->sim->world;
    struct post *post = alloc_zeroed(sizeof *post + a->exporting * sizeof post->spans[0]);
    post->agent = a->index;
    post->number = ++a->request;
    post->count = a->exporting;
    memcpy(post->id, a->post_id, sizeof post->id);
    memcpy(post->spans, a->queue, a->exporting * sizeof a->queue[0]);
    world_log(w, "agent %d: POST %s, %zu span%s", a->index, post->id, post->count,
              post->count == 1 ? "" : "s");
    network_post(a->sim, post);
    marline__memory_free(post);
    struct wait *wait = alloc_zeroed(sizeof *wait);
    *wait = (struct wait){a, a->request};
    uint64_t left = marline__retry_left_ns(&a->retry, w->now_ns);
    uint64_t most = REQUEST_TIMEOUT_MS * NS_PER_MS;
    world_after(w, left < most ? left : most, request_times_out, wait, &a->life);
}

static void request_again(struct world *w, void *user, bool dead)
{
    (void)w;
    if (!dead) {
        send_request(user);
    }
}

static void begin_export(struct agent *a)
{
    struct world *w = &a->sim->world;
    if (a->exporting > 0) {
        return;
    }
    a->exporting = marline__batch_schedule_take(&a->batch, w->now_ns);
    if (a->exporting == 0) {
        return;
    }
    (void)snprintf(a->post_id, sizeof a->post_id, "%d.%llu.%llu", a->index,
                   (unsigned long long)a->life, (unsigned long long)a->request + 1);
    marline__retry_begin(&a->retry, &marline__retry_platform, w->now_ns, TIME_NEVER);
    send_request(a);
}

static void end_export(struct agent *a)
{
    a->queued -= a->exporting;
    memmove(a->queue, a->queue + a->exporting, a->queued * sizeof a->queue[0]);
    a->exporting = 0;
    marline__batch_schedule_done(&a->batch);
}

void agent_on_answer(struct agent *a, uint64_t request, int http_status)
{
    struct world *w = &a->sim->world;
    uint64_t wait_ns = 0;
    if (request != a->request || a->exporting == 0) {
        return; /* of an attempt that was given up */
    }
    a->request++; /* neither this answer nor its timeout counts again */
    const struct retry_outcome outcome = {.transport = http_status ? MARLINE_OK : MARLINE_EIO,
                                          .http_status = http_status};
    switch (marline__retry_judge(&a->retry, &outcome, w->now_ns, random_of(a), &wait_ns)) {
    case RETRY_AGAIN:
        world_after(w, wait_ns, request_again, a, &a->life);
        return;
    case RETRY_GIVE_UP:
    case RETRY_REFUSED:
        world_log(w, "agent %d: gives up POST %s", a->index, a->post_id);
        break;
    case RETRY_DELIVERED:
        break;
    }
    end_export(a);
    drive(a);
}

/* ---- outbox ---- */

static struct outbox_entry *entry_at(struct agent *a, uint64_t journal)
{
    return journal > 0 && journal <= a->outbox_count ? &a->outbox[journal - 1] : NULL;
}

static uint64_t add_entry(struct agent *a, struct slice id)
{
    if (a->outbox_count == OUTBOX_MAX) {
        return 0;
    }
    struct outbox_entry *entry = &a->outbox[a->outbox_count++];
    *entry = (struct outbox_entry){.settled_ns = TIME_NEVER};
    (void)snprintf(entry->id, sizeof entry->id, "%.*s", SLICE_ARG(id));
    return a->outbox_count;
}

static uint64_t on_accepted(void *user, const struct ledger_record *record, struct slice request)
{
    (void)request;
    return add_entry(user, record->id);
}

static uint64_t on_stored(void *user, const struct ledger_record *record)
{
    struct agent *a = user;
    uint64_t journal = record->journal ? record->journal : add_entry(a, record->id);
    struct outbox_entry *entry = entry_at(a, journal);
    oracle_result_made(a->sim, record->id);
    if (entry && !entry->result) {
        entry->result = alloc_slice((struct slice){record->result, record->result_size});
        entry->result_size = record->result_size;
        entry->span_count = record->span_count;
    }
    return journal;
}

static void settle(struct agent *a, uint64_t journal)
{
    struct outbox_entry *entry = entry_at(a, journal);
    if (entry && entry->settled_ns == TIME_NEVER) {
        entry->settled_ns = a->sim->world.now_ns;
    }
}

static void on_settled(void *user, const struct ledger_record *record)
{
    settle(user, record->journal);
}

/* That a result is settled is written in its own time: a crash may forget it. */
static void forget_unwritten(struct agent *a)
{
    for (size_t i = 0; i < a->outbox_count; i++) {
        struct outbox_entry *e = &a->outbox[i];
        bool recent = e->settled_ns != TIME_NEVER &&
                      a->sim->world.now_ns - e->settled_ns < SETTLED_WITHIN_MS * NS_PER_MS;
        if (recent && random_of(a) % 2) {
            e->settled_ns = TIME_NEVER;
        }
    }
}

static void restore_entry(struct agent *a, uint64_t journal)
{
    struct world *w = &a->sim->world;
    const struct outbox_entry *e = entry_at(a, journal);
    const struct session_restored from = {.id = marline__slice_text(e->id),
                                          .journal = journal,
                                          .result = {e->result, e->result_size},
                                          .span_count = e->span_count};
    if (!e->result) {
        const struct session_trace trace = {.span_count = 0};
        world_visit(w, SITUATION_INVOCATION_LOST);
        (void)marline__session_restore_lost(a->session, w->now_ns, &from, &trace,
                                            "the agent ended while it was running");
    } else if (e->settled_ns != TIME_NEVER) {
        (void)marline__session_restore_settled(a->session, &from);
    } else {
        world_visit(w, SITUATION_OUTBOX_RESTORED);
        (void)marline__session_restore(a->session, &from);
    }
}

static void restore(struct agent *a)
{
    size_t count = a->outbox_count;
    for (size_t i = 0; i < count; i++) {
        restore_entry(a, i + 1);
    }
}

/* ---- the session's shell ---- */

static bool find_endpoint(void *user, struct slice name, struct session_endpoint *out)
{
    (void)user;
    *out = (struct session_endpoint){.key = 1};
    return marline__slice_is(name, "probe");
}

static void write_registration(void *user, struct buffer *functions, struct buffer *metrics)
{
    (void)user;
    marline__buffer_append_text(functions, "[{\"name\":\"probe\",\"parameters\":{},\"return_type\":"
                                           "\"dict\",\"metadata\":{}}]");
    marline__buffer_append_text(metrics, "[]");
}

static void end_process(struct world *w, void *user, bool dead);

/* The process ends when its session has. */
static void note_stop(struct agent *a, const struct session_action *action)
{
    if (action->state == SESSION_STOPPED) {
        if (action->status != MARLINE_OK) {
            world_visit(&a->sim->world, SITUATION_STOP_CUT_SHORT);
        }
        world_after(&a->sim->world, 0, end_process, a, &a->life);
    }
}

/* The session's own words, where it has any. */
static const char *describe_change(const struct session_action *action)
{
    static const char *const states[] = {
        [SESSION_IDLE] = "idle",
        [SESSION_WAITING] = "waits before it connects",
        [SESSION_CONNECTING] = "connecting",
        [SESSION_OPEN] = "connected",
        [SESSION_REGISTERING] = "registering",
        [SESSION_REJECTED] = "rejected",
        [SESSION_REGISTERED] = "registered",
        [SESSION_CLOSING] = "closing",
        [SESSION_FAILED] = "failed",
        [SESSION_STOPPED] = "stopped",
    };
    return action->text[0] ? action->text : states[action->state];
}

static void act(struct agent *a, const struct session_action *action)
{
    switch (action->type) {
    case SESSION_CONNECT:
        a->pending = network_connect(a->sim, a->index);
        break;
    case SESSION_CLOSE:
        network_close(a->sim, a->connection, TO_BACKEND, action->code);
        marline__session_closed(a->session, a->sim->world.now_ns, random_of(a), action->code, false,
                                SLICE_EMPTY);
        a->connection = -1;
        break;
    case SESSION_INVOKE:
        invoke(a, action);
        break;
    case SESSION_CANCEL: /* these handlers do not listen */
        break;
    case SESSION_CHANGED:
        world_log(&a->sim->world, "agent %d: %s", a->index, describe_change(action));
        note_stop(a, action);
        break;
    }
}

static void write_texts(struct agent *a)
{
    uint64_t now = a->sim->world.now_ns;
    struct slice text;
    while (a->connection >= 0 && marline__session_wants_write(a->session, now) &&
           marline__session_next_text(a->session, now, &text)) {
        network_text(a->sim, a->connection, TO_BACKEND, text);
        (void)marline__session_written(a->session, now);
    }
}

static void timer(struct world *w, void *user, bool dead)
{
    struct agent *a = user;
    if (!dead && a->timer_at <= w->now_ns) {
        a->timer_at = TIME_NEVER;
        marline__session_tick(a->session, w->now_ns);
        drive(a);
    }
}

static void set_timer(struct agent *a)
{
    struct world *w = &a->sim->world;
    uint64_t at = marline__session_deadline(a->session);
    uint64_t batch_at =
        a->exporting == 0 && a->queued > 0 ? marline__batch_schedule_deadline_ns(&a->batch) : at;
    at = batch_at < at ? batch_at : at;
    at = at < w->now_ns ? w->now_ns : at;
    if (at != TIME_NEVER && at < a->timer_at) {
        a->timer_at = at;
        world_after(w, at - w->now_ns, timer, a, &a->life);
    }
}

/* After every input. */
static void drive(struct agent *a)
{
    struct session_action action;
    uint64_t life = a->life;
    begin_export(a);
    while (a->life == life &&
           marline__session_next_action(a->session, a->sim->world.now_ns, &action)) {
        act(a, &action);
    }
    write_texts(a);
    set_timer(a);
}

void agent_on_opened(struct agent *a, int connection)
{
    if (connection == a->pending) {
        a->pending = -1;
        a->connection = connection;
        marline__session_opened(a->session, a->sim->world.now_ns);
        drive(a);
    }
}

void agent_on_refused(struct agent *a, int connection)
{
    if (connection == a->pending) {
        a->pending = -1;
        marline__session_refused(a->session, a->sim->world.now_ns, random_of(a), 0,
                                 "nobody listens");
        drive(a);
    }
}

void agent_on_text(struct agent *a, int connection, struct slice text)
{
    if (connection == a->connection) {
        marline__session_text(a->session, a->sim->world.now_ns, text);
        drive(a);
    }
}

void agent_on_closed(struct agent *a, int connection, uint16_t code, bool by_peer)
{
    if (connection == a->pending) {
        agent_on_refused(a, connection); /* broken before the upgrade was answered */
    } else if (connection == a->connection) {
        a->connection = -1;
        marline__session_closed(a->session, a->sim->world.now_ns, random_of(a), code, by_peer,
                                SLICE_EMPTY);
        drive(a);
    }
}

/* ---- life ---- */

void agent_init(struct simulation *s, int index)
{
    struct agent *a = &s->agents[index];
    a->sim = s;
    a->index = index;
    a->home = s->backend_count > 1 ? (int)(random_of(a) % (uint64_t)s->backend_count) : 0;
    a->project = marline__uuid_random(&s->world.random);
    (void)snprintf(a->agent_id, sizeof a->agent_id, "agent-%d", index);
    uint64_t skew_s = world_between(&s->world, 0, s->world.faults.skew_s_max);
    a->skew_ns = (int64_t)(skew_s * NS_PER_S) * (random_of(a) % 2 ? 1 : -1);
    if (skew_s > SKEW_NOTABLE_S) {
        world_visit(&s->world, SITUATION_CLOCK_SKEWED);
    }
    a->host = (struct session_host){.find_endpoint = find_endpoint,
                                    .write_registration = write_registration,
                                    .accepted = on_accepted,
                                    .stored = on_stored,
                                    .settled = on_settled,
                                    .user = a};
}

void agent_start(struct agent *a)
{
    struct world *w = &a->sim->world;
    char project[UUID_TEXT_SIZE];
    marline__uuid_format(&a->project, project);
    const struct session_options options = {.project_id = marline__slice_text(project),
                                            .environment = SLICE("development"),
                                            .agent_id = marline__slice_text(a->agent_id),
                                            .sdk_version = SLICE("0.1.0"),
                                            .concurrency = CONCURRENCY,
                                            .queue_max = WAITING_MAX,
                                            .backoff_first_ns = NS_PER_S,
                                            .backoff_max_ns = 10 * NS_PER_S};
    const struct batch_schedule_config batch = {
        .queue_max = QUEUE_MAX, .batch_max = BATCH_MAX, .interval_ns = EXPORT_EVERY_S * NS_PER_S};
    a->session = marline__session_create(&options, &a->host);
    mutant_session(w->mutant, a->session);
    marline__batch_schedule_init(&a->batch, &batch, w->now_ns);
    a->up = true;
    a->connection = a->pending = -1;
    a->queued = a->exporting = 0;
    a->timer_at = TIME_NEVER;
    restore(a);
    marline__session_start(a->session, w->now_ns);
    world_after(w, world_between(w, 1, BACKGROUND_SPAN_MS_MAX) * NS_PER_MS, background, a,
                &a->life);
    drive(a);
}

static void restart(struct world *w, void *user, bool dead)
{
    struct agent *a = user;
    if (!dead) {
        world_log(w, "agent %d starts again", a->index);
        agent_start(a);
    }
}

/* What is in memory is gone: spans that wait, handlers that run. The disk stays. */
static void forget_process(struct agent *a)
{
    struct world *w = &a->sim->world;
    a->life++;
    a->up = a->stopping = false;
    marline__session_destroy(a->session);
    a->session = NULL;
    world_after(w, world_between(w, 10, 3000) * NS_PER_MS, restart, a, &a->life);
}

static void end_process(struct world *w, void *user, bool dead)
{
    struct agent *a = user;
    if (!dead) {
        world_log(w, "agent %d ends", a->index);
        forget_process(a);
    }
}

void agent_crash(struct agent *a)
{
    struct world *w = &a->sim->world;
    if (!a->up) {
        return;
    }
    world_log(w, "agent %d crashes", a->index);
    world_visit(w, SITUATION_AGENT_CRASH);
    for (int i = 0; i < a->sim->connection_count; i++) {
        if (a->sim->connections[i].agent == a->index) {
            network_cut(a->sim, i);
        }
    }
    forget_unwritten(a);
    forget_process(a);
}

void agent_stop(struct agent *a)
{
    struct world *w = &a->sim->world;
    if (!a->up || a->stopping) {
        return;
    }
    uint64_t within_ns = world_between(w, 0, DRAIN_MS_MAX) * NS_PER_MS;
    world_log(w, "agent %d is told to stop within %.3f s", a->index,
              (double)within_ns / (double)NS_PER_S);
    world_visit(w, SITUATION_AGENT_STOP);
    a->stopping = true;
    (void)marline__batch_schedule_flush(&a->batch);
    marline__session_stop(a->session, w->now_ns, within_ns);
    drive(a);
}

bool agent_is_at_rest(const struct agent *a)
{
    return a->up && !a->stopping && a->queued == 0 && a->exporting == 0;
}

void agent_deinit(struct agent *a)
{
    marline__session_destroy(a->session);
    for (size_t i = 0; i < a->outbox_count; i++) {
        marline__memory_free(a->outbox[i].result);
    }
}
