/* One simulated run: agents and a backend, made of the machines of production, in one world.
 *
 *   agent.c    the shell of connector/session.h, trace/batch_schedule.h and trace/retry.h
 *   backend.c  the shell of core/agent_session.h, router.h, run.h and linker.h, with a commit queue
 *   network.c  connections that keep order and break, POSTs that get lost, repeated and overtaken
 *   oracle.c   what must hold (I1 to I8 of docs/races.md), known from outside the store
 *
 * The shells do what those of production do, without threads and sockets. One thread. */
#ifndef SIMULATION_SIMULATION_H
#define SIMULATION_SIMULATION_H

#include "connector/session.h"
#include "core/agent_session.h"
#include "core/linker.h"
#include "core/router.h"
#include "core/run.h"
#include "simulation/world.h"
#include "store/store.h"
#include "trace/batch_schedule.h"
#include "trace/retry.h"

enum {
    AGENTS_MAX = 3,
    BACKENDS_MAX = 2, /* on one store */
    TESTS_MAX = 5,    /* of a run */
    RUNS_MAX = 12,    /* of a simulation: a first one per agent, and more after a crash */
    ATTEMPTS_SIMULATED = 3,
    QUEUE_MAX = 256,
    SPANS_MAX = 2048,      /* of a simulation, as the oracle remembers them */
    CONNECTIONS_MAX = 512, /* beyond: the network takes no more, which ends in a violation */
    CHAOS_S = 30,          /* how long things may go wrong */
    SETTLE_S = 400,        /* then all must be at rest within */
};

struct simulation;

/* What the log calls an invocation, or the tests of a key. */
struct name {
    char text[64];
};
struct name name_of(const struct simulation *s, struct slice invocation_id);
struct name name_of_key(const struct simulation *s, const struct link_key *key);

/* ---- network.c ---- */

struct connection {
    int agent;
    bool broken;          /* carries nothing any more */
    bool ended;           /* closed in order: what is under way still arrives */
    uint64_t ready_ns[2]; /* a message may not arrive earlier: order; by direction */
    uint64_t agent_life;  /* of the agent that opened it */
};

struct span {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    bool has_key;
    struct link_key key;
    uint32_t attempt; /* its own, which the key need not say */
    uint64_t start_unix_ns, end_unix_ns;
};

/* A POST of spans on its way. Copied where it is delivered twice. */
struct post {
    int agent;
    int backend;     /* it was sent to: as a load balancer chooses, each time anew */
    uint64_t number; /* of the request: the answer goes to who still waits for it */
    char id[32];
    size_t count;
    struct span spans[];
};

enum { TO_AGENT, TO_BACKEND };

/* Returns the connection's number; -1 when there are too many. */
int network_connect(struct simulation *s, int agent);
void network_text(struct simulation *s, int connection, int direction, struct slice text);
/* The orderly end, told to the other side. */
void network_close(struct simulation *s, int connection, int direction, uint16_t code);
/* Both sides learn of it, each in its time. */
void network_cut(struct simulation *s, int connection);
void network_post(struct simulation *s, const struct post *post);
void network_answer(struct simulation *s, const struct post *post, int http_status);

/* ---- agent.c ---- */

struct outbox_entry {
    char id[INVOCATION_ID_SIZE];
    char *result; /* owned; NULL: accepted, and no more */
    size_t result_size;
    uint32_t span_count;
    uint64_t settled_ns; /* TIME_NEVER: not yet */
};

enum { OUTBOX_MAX = RUNS_MAX * TESTS_MAX * ATTEMPTS_SIMULATED };

struct agent {
    struct simulation *sim;
    int index;
    int home; /* the backend that it connects to */
    uint64_t life;
    bool up;
    struct session_host host;
    struct session *session;
    int connection; /* -1: none */
    int pending;    /* the connection that is being opened; -1: none */
    struct batch_schedule batch;
    struct span queue[QUEUE_MAX];
    size_t queued;
    struct retry retry;
    size_t exporting; /* spans in the export under way, the first of the queue */
    uint64_t request; /* number of the last request */
    char post_id[32];
    uint64_t timer_at;
    struct uuid project;
    char agent_id[16];
    int64_t skew_ns; /* of its wall clock */
    bool stopping;
    /* the disk: outlives a crash */
    struct outbox_entry outbox[OUTBOX_MAX];
    size_t outbox_count;
};

void agent_init(struct simulation *s, int index);
void agent_start(struct agent *a);
void agent_crash(struct agent *a);
/* As SIGTERM does: drains, within a time, and starts again a little later. */
void agent_stop(struct agent *a);
void agent_deinit(struct agent *a);
void agent_on_opened(struct agent *a, int connection);
void agent_on_refused(struct agent *a, int connection);
void agent_on_text(struct agent *a, int connection, struct slice text);
void agent_on_closed(struct agent *a, int connection, uint16_t code, bool by_peer);
void agent_on_answer(struct agent *a, uint64_t request, int http_status);
/* Nothing waits to be exported, and the outbox is empty but for what nobody can take. */
bool agent_is_at_rest(const struct agent *a);

/* ---- backend.c ---- */

struct backend_session {
    int connection;
    uint64_t number;
    struct agent_session *agent; /* NULL: closed */
};

struct backend_test {
    struct backend_run *run;
    char call_id[INVOCATION_ID_SIZE];
    char agent_id[16]; /* who was asked in an earlier life */
    bool wanted;
    bool sent;
    bool uncommitted;
    bool restored; /* the call is one of an earlier life */
    bool taken;    /* the agent's answer is what the test came to, not an error of the backend's */
    enum result_status status;
    uint64_t answered_by;
};

/* What the oracle knows of an attempt. */
struct known_attempt {
    char id[INVOCATION_ID_SIZE]; /* empty: never dispatched */
    int executions;
    bool has_result; /* in the store, as the oracle read it */
    enum result_status status;
    bool is_promised; /* the agent was told that its own answer is stored, which is: */
    enum result_status promised;
    bool has_spans; /* linked to that result */
};

struct backend_run {
    struct backend *backend;
    struct run *run; /* NULL: not created yet, or over */
    bool created;    /* in the store, as far as the backend knows */
    bool finished;
    bool given_up;   /* a crash came before it was in the store, or after its end was */
    bool is_failing; /* the last status could not be stored */
    int agent;
    struct uuid id;
    struct run_test tests[TESTS_MAX];
    struct backend_test state[TESTS_MAX];
    struct known_attempt attempts[TESTS_MAX][ATTEMPTS_SIMULATED];
    size_t test_count;
    char project[UUID_TEXT_SIZE];
};

struct commit;

struct backend {
    struct simulation *sim;
    int index;
    char name[16]; /* in the log */
    uint64_t life;
    bool up;
    struct backend_session sessions[CONNECTIONS_MAX];
    int session_count;
    uint64_t registered[AGENTS_MAX]; /* each agent's session that registered last */
    struct router *router;
    struct linker *linker;
    struct commit *first, *last; /* wait for the writer */
    struct commit *writing;      /* in its hands */
    bool committed;              /* in the store, and its callbacks still to come */
    uint64_t timer_at;
    uint32_t sweep_interval_ms;
};

void backend_init(struct simulation *s, int index);
void backend_start(struct backend *b);
void backend_crash(struct backend *b);
void backend_deinit(struct backend *b);
/* False: refused. */
bool backend_on_connect(struct backend *b, int connection);
void backend_on_text(struct backend *b, int connection, struct slice text);
void backend_on_closed(struct backend *b, int connection);
void backend_on_post(struct backend *b, const struct post *post);
/* The one that this agent connects to. */
struct backend *backend_of(struct simulation *s, int agent);
/* A run of a few tests for this agent. */
void backend_begin_run(struct backend *b, int agent);
/* Takes up the runs that are in the store. */
void backend_restore(struct backend *b);
bool backend_is_at_rest(const struct backend *b);

/* ---- oracle.c ---- */

struct known_span {
    struct span span;
    bool acknowledged;
    bool stored;
    bool linked;
    struct uuid result;                       /* when linked */
    struct uuid expected[ATTEMPTS_SIMULATED]; /* the ids that its attempts' results have */
    bool has_expected;
    uint64_t pass; /* the last check that met it */
    enum link_point source;
};

struct known_result {
    char id[INVOCATION_ID_SIZE];
    int run;
    bool acknowledged;
};

struct oracle {
    struct known_span spans[SPANS_MAX];
    size_t span_count;
    struct known_result results[OUTBOX_MAX];
    size_t result_count;
    uint64_t received, stored, duplicates; /* of committed writes */
    uint64_t pass;
};

/* Numbers the span, in the last bytes of its id. */
void oracle_span_made(struct simulation *s, struct span *span);
void oracle_spans_acknowledged(struct simulation *s, const struct post *post);
/* The backend takes it for lost. */
void oracle_lost(struct simulation *s, struct slice id);
/* The agent's handler begins. */
void oracle_executed(struct simulation *s, struct slice id);
/* The agent's outbox has a result for this invocation. */
void oracle_result_made(struct simulation *s, struct slice id);
void oracle_result_acknowledged(struct simulation *s, struct slice id);
/* And it was the agent's own answer that is stored. */
void oracle_answer_promised(struct simulation *s, const struct backend_test *t);
/* NULL: no such attempt was ever dispatched. */
struct known_attempt *oracle_attempt(struct simulation *s, struct slice id);
/* After each commit: I2, I3, I4, I5. */
void oracle_check_store(struct simulation *s);
/* I1, I6, I7, I8. */
void oracle_check_rest(struct simulation *s);

/* ---- simulation.c ---- */

struct simulation {
    struct world world;
    struct store *store; /* borrowed */
    struct uuid organization;
    struct connection connections[CONNECTIONS_MAX];
    int connection_count;
    int agent_count;
    struct agent agents[AGENTS_MAX];
    struct backend backends[BACKENDS_MAX];
    int backend_count;
    struct backend_run runs[RUNS_MAX];
    int run_count;
    struct oracle oracle;
    bool store_died; /* the real one, not a fault of the world's; the violation says how */
    bool quiet;      /* a run without any fault: the sweeper must find nothing */
};

struct simulation_options {
    uint64_t seed;
    enum mutant mutant;
    const struct faults *faults; /* NULL: a mix of the seed's own choosing */
    FILE *log;                   /* NULL: none */
};

struct simulation_outcome {
    char violation[512]; /* empty: none */
    bool store_died;     /* then no invariant was violated: the store failed, as said there */
    uint64_t visited;    /* situations */
    uint64_t log_hash;
    uint64_t steps;
    uint64_t virtual_ms;
};

/* A call of the store failed by itself: ends the run. */
void simulation_store_died(struct simulation *s, const struct store_error *error);
/* The store must be empty, or hold other organizations only. */
void simulation_run(const struct simulation_options *options, struct store *store,
                    struct simulation_outcome *out);
void faults_mix(struct world *w, struct faults *out);

#endif
