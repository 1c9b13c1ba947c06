/* What the files of the hub (hub*.c) share. Loop thread only. */
#ifndef HUB_HUB_PARTS_H
#define HUB_HUB_PARTS_H

#include <pthread.h>

#include "base/clock.h"
#include "core/router.h"
#include "core/text_map.h"
#include "hub/auth.h"
#include "hub/hub.h"
#include "hub/ws_server.h"

struct hub {
    struct hub_options options;
    pthread_t thread;
    struct {
        struct ws_server *ws;
        struct router *router;
        struct linker *linker;
        bool sweeping;
        struct list delayed;      /* jobs whose deadline is to come */
        struct list runs;         /* struct hub_run */
        struct text_map sessions; /* number → struct hub_session */
        uint64_t last_session;
        uint64_t next_idle_ns;       /* no session is idle before */
        struct text_map uncommitted; /* invocation id → struct hub_test: result not yet stored */
        size_t commits;              /* under way */
        marline_span answered;       /* the call whose answer the message under way is */
        bool winding_down;           /* nothing is waited for any more */
        bool stopping;
        bool leaves_runs; /* stopping does not wait for them */
        uint64_t stop_deadline_ns;
        bool ended; /* no more timers */
        uint64_t links[LINK_POINT_COUNT];
        uint64_t link_attempts[LINK_POINT_COUNT];
        struct agent_session_counters closed; /* of connections that have ended */
    } loop;
    struct {
        pthread_mutex_t lock;
        struct list jobs;
        bool stopped; /* the loop has ended */
    } shared;
};

/* Carries out what the machines want, and sets the timer. After every input. */
void hub_settle(struct hub *hub);
void hub_on_woken(void *user);
void hub_on_timer(void *user);

/* hub_jobs.c */
void hub_jobs_run(struct hub *hub);
/* Those whose deadline has come. */
void hub_jobs_run_delayed(struct hub *hub, uint64_t now_ns);
uint64_t hub_jobs_deadline(const struct hub *hub);

/* hub_links.c: does what the linker asks for. */
void hub_links_drive(struct hub *hub);

struct hub_session {
    uint64_t number;
    struct auth_identity identity;
    struct ws_connection *ws; /* NULL before it is open */
    struct agent_session *agent;
    struct text_map functions; /* "project:environment" → owned raw JSON array */
    /* Registrations are looked up beside each other; the latest counts. */
    uint64_t registrations_begun;
    uint64_t registration_applied;
};

/* hub_agents.c */
/* NULL: it has ended. */
struct hub_session *hub_session_find(const struct hub *hub, uint64_t number);
/* Carries out what a step asks for, but for its event. */
void hub_session_apply(struct hub *hub, struct hub_session *s, const struct agent_step *step);
extern const struct ws_events hub_agent_events;
void hub_agents_tick(struct hub *hub, uint64_t now_ns);
void hub_agents_close_all(struct hub *hub);
void hub_agents_count(const struct hub *hub, struct agent_session_counters *out);
/* Every call still in flight ends without an answer. */
void hub_agents_end_calls(struct hub *hub);

/* hub_registration.c */
enum { HUB_ROUTE_NAME_SIZE = 64 }; /* a UUID, ':' and the longest environment */
enum { HUB_METRIC_ROUTE_SIZE = 256 + sizeof("metric:") };
void hub_registration_begin(struct hub *hub, struct hub_session *s,
                            const struct message_register *message);
/* The name under which a metric is routed, beside the organization. */
struct slice hub_metric_route(struct slice name, char out[HUB_METRIC_ROUTE_SIZE]);

/* hub_runs.c */
struct hub_run;
struct hub_run *hub_run_create(struct hub *hub, const struct hub_run_options *options);
/* The run's attempt as stored, before hub_run_resume. */
void hub_run_restore(struct hub_run *run, const struct store_attempt_row *row);
/* From its stored status, by hub_runs_resume. */
void hub_run_resume_later(struct hub_run *run, enum run_status status);
/* All that were restored go on. */
void hub_runs_resume(struct hub *hub);
void hub_runs_tick(struct hub *hub, uint64_t now_ns);
uint64_t hub_runs_deadline(const struct hub *hub);
void hub_runs_cancel_all(struct hub *hub);
/* Nothing more is invoked: what is under way goes on in the next life. */
void hub_runs_leave_all(struct hub *hub);
/* An agent serves these now. */
void hub_runs_served(struct hub *hub, struct slice project, struct slice environment);
void hub_runs_destroy(struct hub *hub);
/* Answers whoever waits for a run. */
void hub_runs_end_waits(struct hub *hub);
/* A result came again before it was stored: the acknowledgement goes to whoever brought it last. */
bool hub_runs_result_repeated(struct hub *hub, struct slice invocation_id, uint64_t session);

/* hub_restore.c: reads the runs that an earlier life left. Before the loop starts; false: the store
 * could not be read. */
bool hub_runs_restore(struct hub *hub);

#endif
