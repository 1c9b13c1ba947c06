/* A run from its seed to its rest: what happens by itself, for how long, and when it is judged. */
#include "simulation.h"

#include <string.h>

#include "core/alloc.h"

enum {
    REST_S = 20, /* at rest for so long: nothing will come any more */
    STEPS_MAX = 200000,
    QUIET_RUNS = 150,   /* in a thousand: no fault at all */
    TWO_BACKENDS = 350, /* in a thousand: two of them on one store */
};

/* Every run has another mixture, so that no fault hides another. */
void faults_mix(struct world *w, struct faults *out)
{
    *out = (struct faults){.network_ms_max = 10};
    if (world_between(w, 0, 999) < QUIET_RUNS) {
        return;
    }
    *out = (struct faults){
        .post_loss = (unsigned)world_between(w, 0, 1) * (unsigned)world_between(w, 20, 300),
        .post_repeat = (unsigned)world_between(w, 0, 1) * (unsigned)world_between(w, 20, 300),
        .cuts = (unsigned)world_between(w, 0, 1) * (unsigned)world_between(w, 5, 60),
        .store_failure = (unsigned)world_between(w, 0, 1) * (unsigned)world_between(w, 10, 200),
        .slow_store = (unsigned)world_between(w, 0, 1) * (unsigned)world_between(w, 10, 200),
        .agent_crash = (unsigned)world_between(w, 0, 1) * (unsigned)world_between(w, 5, 60),
        .agent_stop = (unsigned)world_between(w, 0, 1) * (unsigned)world_between(w, 5, 60),
        .backend_crash = (unsigned)world_between(w, 0, 1) * (unsigned)world_between(w, 5, 60),
        .second_result = (unsigned)world_between(w, 0, 1) * (unsigned)world_between(w, 50, 500),
        .network_ms_max = (unsigned)world_between(w, 1, 10) * (unsigned)world_between(w, 1, 200),
        .skew_s_max = (unsigned)world_between(w, 0, 1) * (unsigned)world_between(w, 1, 600),
    };
}

static bool is_quiet(const struct faults *f)
{
    return !f->post_loss && !f->post_repeat && !f->cuts && !f->store_failure && !f->slow_store &&
           !f->agent_crash && !f->agent_stop && !f->backend_crash && !f->second_result;
}

/* The first line of the log: who is there, and what may go wrong. */
static void log_mixture(struct simulation *s)
{
    const struct faults *f = &s->world.faults;
    const struct {
        const char *what;
        unsigned per_mille;
    } chances[] = {
        {"a POST or an answer is lost", f->post_loss},
        {"a POST comes twice", f->post_repeat},
        {"a message cuts its connection", f->cuts},
        {"the store fails", f->store_failure},
        {"the store is slow", f->slow_store},
        {"an agent crashes, each second", f->agent_crash},
        {"an agent is stopped, each second", f->agent_stop},
        {"a backend crashes, each second and commit", f->backend_crash},
        {"a key gets a second result", f->second_result},
    };
    world_log(&s->world, "%d agent%s, %d backend%s; a message takes up to %u ms%s", s->agent_count,
              s->agent_count == 1 ? "" : "s", s->backend_count, s->backend_count == 1 ? "" : "s",
              f->network_ms_max, s->quiet ? "; nothing goes wrong" : "");
    if (s->world.mutant != MUTANT_NONE) {
        world_log(&s->world, "a deliberate bug: %s", mutant_text(s->world.mutant));
    }
    for (size_t i = 0; i < sizeof chances / sizeof chances[0]; i++) {
        if (chances[i].per_mille) {
            world_log(&s->world, "%4.1f %%  %s", chances[i].per_mille / 10.0, chances[i].what);
        }
    }
}

/* ---- what happens by itself ---- */

struct start {
    struct simulation *sim;
    int agent;
};

static void begin_run(struct world *w, void *user, bool dead)
{
    struct start *start = user;
    (void)w;
    if (!dead) {
        backend_begin_run(backend_of(start->sim, start->agent), start->agent);
    }
    marline__memory_free(start);
}

static void plan_runs(struct simulation *s, int agent)
{
    static const uint64_t from_ms[] = {1500, 9000};
    for (size_t i = 0; i < sizeof from_ms / sizeof from_ms[0]; i++) {
        struct start *start = alloc_zeroed(sizeof *start);
        *start = (struct start){s, agent};
        world_after(&s->world, world_between(&s->world, from_ms[i], 2 * from_ms[i]) * NS_PER_MS,
                    begin_run, start, NULL);
    }
}

/* A crash may come at any moment, also between a commit and what follows it. */
static void crash_agent(struct world *w, void *user, bool dead)
{
    (void)w;
    if (!dead) {
        agent_crash(user);
    }
}

static void stop_agent(struct world *w, void *user, bool dead)
{
    (void)w;
    if (!dead) {
        agent_stop(user);
    }
}

static void crash_backend(struct world *w, void *user, bool dead)
{
    (void)w;
    if (!dead) {
        backend_crash(user);
    }
}

static void chaos(struct world *w, void *user, bool dead)
{
    struct simulation *s = user;
    if (dead || w->calm) {
        return;
    }
    for (int i = 0; i < s->agent_count; i++) {
        if (world_fault(w, w->faults.agent_crash)) {
            world_after(w, world_between(w, 0, NS_PER_S), crash_agent, &s->agents[i], NULL);
        }
        if (world_fault(w, w->faults.agent_stop)) {
            world_after(w, world_between(w, 0, NS_PER_S), stop_agent, &s->agents[i], NULL);
        }
    }
    for (int i = 0; i < s->backend_count; i++) {
        if (world_fault(w, w->faults.backend_crash)) {
            world_after(w, world_between(w, 0, NS_PER_S), crash_backend, &s->backends[i], NULL);
        }
    }
    world_after(w, NS_PER_S, chaos, s, NULL);
}

/* ---- a run ---- */

void simulation_store_died(struct simulation *s, const struct store_error *error)
{
    if (!s->world.violation[0]) {
        s->store_died = true;
        world_violate(&s->world, "the store failed: %s", error->text);
    }
}

/* What an operator has done before. */
static void create_project(struct simulation *s, int agent)
{
    struct store_write write = {.type = STORE_CREATE_PROJECT,
                                .at_unix_ns = world_wall_ns(&s->world)};
    struct store_write *const writes[] = {&write};
    struct store_error error;
    write.create_project = (struct store_create_project){.organization_id = s->organization,
                                                         .project_id = s->agents[agent].project,
                                                         .name = SLICE("simulated")};
    if (store_write_all(s->store, writes, 1, &error) != STORE_OK) {
        simulation_store_died(s, &error);
    }
}

static void set_up(struct simulation *s, const struct simulation_options *options)
{
    struct world *w = &s->world;
    world_init(w, options->seed, options->mutant, options->log);
    if (options->faults) {
        w->faults = *options->faults;
    } else {
        faults_mix(w, &w->faults);
    }
    s->quiet = is_quiet(&w->faults);
    s->organization = marline__uuid_random(&w->random);
    s->agent_count = (int)world_between(w, 1, AGENTS_MAX);
    s->backend_count = world_between(w, 0, 999) < TWO_BACKENDS ? 2 : 1;
    log_mixture(s);
    for (int i = 0; i < s->backend_count; i++) {
        backend_init(s, i);
        backend_start(&s->backends[i]);
    }
    if (s->backend_count > 1) {
        world_visit(w, SITUATION_TWO_BACKENDS);
    }
    for (int i = 0; i < s->agent_count; i++) {
        agent_init(s, i);
        create_project(s, i);
        agent_start(&s->agents[i]);
        plan_runs(s, i);
    }
    world_after(w, NS_PER_S, chaos, s, NULL);
}

static bool is_at_rest(const struct simulation *s)
{
    for (int i = 0; i < s->agent_count; i++) {
        if (!agent_is_at_rest(&s->agents[i])) {
            return false;
        }
    }
    for (int i = 0; i < s->backend_count; i++) {
        if (!backend_is_at_rest(&s->backends[i])) {
            return false;
        }
    }
    return true;
}

/* Plays one second; false when the run is over: at rest, violated, or out of bounds. */
static bool play_second(struct simulation *s, uint64_t second, int *resting_s)
{
    struct world *w = &s->world;
    w->calm = second > CHAOS_S;
    while (!w->violation[0] && world_step(w, second * NS_PER_S)) {
        if (w->steps > STEPS_MAX) {
            world_violate(w, "more than %d steps: something runs in circles", STEPS_MAX);
        }
    }
    w->now_ns = second * NS_PER_S;
    *resting_s = w->calm && is_at_rest(s) ? *resting_s + 1 : 0;
    return !w->violation[0] && *resting_s < REST_S;
}

void simulation_run(const struct simulation_options *options, struct store *store,
                    struct simulation_outcome *out)
{
    struct simulation *s = alloc_zeroed(sizeof *s);
    int resting_s = 0;
    uint64_t second = 1;
    s->store = store;
    set_up(s, options);
    while (play_second(s, second, &resting_s) && second < CHAOS_S + SETTLE_S) {
        second++;
    }
    if (!s->world.violation[0] && resting_s < REST_S) {
        world_violate(&s->world, "I8: not at rest %d s after the last fault", SETTLE_S);
    }
    if (!s->world.violation[0]) {
        oracle_check_rest(s);
    }
    if (!s->world.violation[0]) {
        world_log(&s->world, "at rest; no invariant was violated");
    }
    *out = (struct simulation_outcome){.visited = s->world.visited,
                                       .store_died = s->store_died,
                                       .log_hash = s->world.log_hash,
                                       .steps = s->world.steps,
                                       .virtual_ms = s->world.now_ns / NS_PER_MS};
    memcpy(out->violation, s->world.violation, sizeof out->violation);
    for (int i = 0; i < s->backend_count; i++) {
        backend_deinit(&s->backends[i]);
    }
    for (int i = 0; i < s->agent_count; i++) {
        agent_deinit(&s->agents[i]);
    }
    world_deinit(&s->world);
    marline__memory_free(s);
}
