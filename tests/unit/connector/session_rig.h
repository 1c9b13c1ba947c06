/* A session with a made-up host and a clock moved by hand, and short ways to say what happens. */
#ifndef MARLINE_TESTS_SESSION_RIG_H
#define MARLINE_TESTS_SESSION_RIG_H

#include "base/clock.h"
#include "connector/session.h"

enum { RIG_MS = 1000000 };

struct rig {
    struct session *session;
    struct session_host host;
    struct session_options options;
    uint64_t now;
    uint64_t random;
    /* the endpoint that the host knows, by the name "f"; the name "g" has the other */
    struct session_endpoint f;
    struct session_endpoint g;
    struct session_trace trace; /* what describe answers */
    const char *refusal_trace;  /* of every dead letter; NULL = none */
    char journal[4096];         /* "accepted id;stored id;…" */
    struct session_job *job;    /* of the last INVOKE, freed with the rig */
};

int rig_set_up(void **state);
int rig_tear_down(void **state);
/* Makes the session anew with rig->options. */
void rig_restart(struct rig *rig);

/* The next action must be of this type; its details. INVOKE keeps the job in rig->job. */
struct session_action rig_expect(struct rig *rig, enum session_action_type type);
/* The next action must be a change to this state; returns its text. */
const char *rig_expect_state(struct rig *rig, enum session_state state);
void rig_expect_no_action(struct rig *rig);
/* The next text, which counts as written; NULL when none may go now. */
const char *rig_text(struct rig *rig);
void rig_receive(struct rig *rig, const char *text);
/* Moves the clock, and ticks. */
void rig_pass_ms(struct rig *rig, uint64_t ms);

/* start, connect, open: state OPEN. */
void rig_open(struct rig *rig);
/* …, connected with these capabilities (JSON members, may be ""), register, registered. */
void rig_register(struct rig *rig, const char *extensions);
/* execute_test of "f" arrives; its INVOKE is taken. */
void rig_invoke(struct rig *rig, const char *id);
/* The handler returned {"output":"x"} after 4.5 ms. */
void rig_finish(struct rig *rig, const char *id);
void rig_lose(struct rig *rig);

#define EXTENSIONS                                                                                 \
    ",\"capabilities\":[\"result_ack\",\"cancel\",\"drain\",\"deadline\",\"span_count\","          \
    "\"in_flight\",\"limits\"],\"limits\":{\"rate_per_second\":1000,\"message_size_max\":4096,"    \
    "\"idle_timeout_ms\":60000}"
#define RESULT(id)                                                                                 \
    "{\"type\":\"test_result\",\"test_run_id\":\"" id "\",\"status\":\"success\","                 \
    "\"output\":{\"output\":\"x\"},\"error\":null,\"duration_ms\":4.5,"                            \
    "\"trace_id\":\"85094a4cbcd769b66394d2829bd934b9\"}"
#define ERROR_RESULT(id, text, ms)                                                                 \
    "{\"type\":\"test_result\",\"test_run_id\":\"" id "\",\"status\":\"error\",\"output\":null,"   \
    "\"error\":\"" text "\",\"duration_ms\":" ms ",\"trace_id\":null}"

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)

#endif
