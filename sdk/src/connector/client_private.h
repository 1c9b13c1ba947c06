/* The insides of a client, shared by its files: client.c (start, stop, questions), client_options.c
 * (creation), client_loop.c (the loop thread and the workers), client_journal.c (the outbox). */
#ifndef MARLINE_CONNECTOR_CLIENT_PRIVATE_H
#define MARLINE_CONNECTOR_CLIENT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <marline/client.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/uuid.h"
#include "connector/invocation.h"
#include "connector/outbox.h"
#include "connector/registry.h"
#include "connector/session.h"
#include "io/refuse.h"
#include "io/websocket_client.h"
#include "io/worker_pool.h"

struct marline_client {
    atomic_uint references; /* the owner, and each invocation */
    struct websocket_options websocket;
    struct websocket_header headers[3];
    char *url;
    char *authorization;
    char *environment;
    char *tls_files[3];
    char project_id[UUID_TEXT_SIZE];
    char agent_id[UUID_TEXT_SIZE];
    uint32_t workers_max;
    marline_provider *provider;
    marline_tracer *tracer;
    marline_flush_mode flush;
    uint32_t flush_wait_ms;
    marline_client_event_fn on_event;
    void *user;
    struct registry registry;
    struct registry metrics;
    struct session_host host;
    struct session_options session_options;
    char *outbox_path; /* NULL = results are kept in memory */
    bool outbox_durable;
    struct worker_pool *workers; /* set by start, freed by stop */
    pthread_t thread;

    struct {
        struct websocket_client *ws;
        struct session *session;
        struct outbox *outbox; /* NULL = none */
        uint64_t last_contact_unix_ns;
        uint64_t connections;
        uint64_t commit_by; /* for what is not urgent; TIME_NEVER = nothing waits */
        bool retries_wait;  /* of dead letters, for the end of their invocations */
        struct list running;
    } loop; /* the loop thread's, from start to its end */

    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed; /* state, or the loop's end */
        struct list done;       /* the mailbox: invocations whose handler returned */
        bool closed;            /* the mailbox takes nothing any more */
        marline_client_statistics statistics;
        bool retries_asked; /* for dead letters, in the outbox */
        bool endpoints_changed;
        bool stop;
        uint64_t stop_within_ns;
        bool started; /* start was called */
        bool running; /* the socket may be woken */
        bool ended;   /* the loop thread is about to return */
        bool stopped; /* the workers are gone too */
        marline_client_state state;
        marline_status status; /* of the last change */
        char text[MARLINE_ERROR_TEXT_SIZE];
    } shared;
};

void marline__client_unref(marline_client *client);

static inline uint64_t marline__client_now(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

/* client_loop.c */
extern const struct websocket_events marline__client_events; /* `user` is to be set */
void *marline__client_run(void *client);
struct session_host marline__client_host(marline_client *client);

/* client_journal.c; the loop thread's, but for open, which comes before it */
/* Opens the outbox, if one is wanted, before the session is made: it knows the agent's identity. */
marline_status marline__client_open_journal(marline_client *client, marline_error *error);
/* Restores into the session what the outbox holds. */
marline_status marline__client_restore(marline_client *client, marline_error *error);
/* At an orderly end: the spans of what is settled are posted, so that the next start need not. */
void marline__client_flush_journal(marline_client *client);
void marline__client_close_journal(marline_client *client);
/* Adds the journal's functions to the session's host. */
void marline__client_add_journal(const marline_client *client, struct session_host *host);
/* Takes every dead letter whose retry was asked for. */
void marline__client_take_retries(marline_client *client);
/* Before an action or a text is taken: what must not be lost is on disk. */
void marline__client_secure(marline_client *client);
/* Commits what has waited long enough; returns when to call again, TIME_NEVER = nothing waits. */
uint64_t marline__client_tidy_journal(marline_client *client, uint64_t now);

#endif
