/* The testing channel: connects to a backend, registers endpoints, runs what it is asked to run,
 * and sends the results. One loop thread and a few workers per client. Any thread may call any
 * function. */
#ifndef MARLINE_CLIENT_H
#define MARLINE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <marline/endpoint.h>
#include <marline/status.h>
#include <marline/trace.h>

MARLINE_BEGIN_DECLS

/* A connection to one backend, for one project and environment. */
typedef struct marline_client marline_client;

/* Where a client stands. */
typedef enum marline_client_state {
    MARLINE_CLIENT_IDLE,       /* not started */
    MARLINE_CLIENT_CONNECTING, /* first attempt or reconnecting */
    MARLINE_CLIENT_CONNECTED,  /* open, not yet registered */
    MARLINE_CLIENT_REGISTERED, /* may be invoked */
    MARLINE_CLIENT_FAILED,     /* refused for good: see the error of the event */
    MARLINE_CLIENT_STOPPED,
} marline_client_state;

/* What an event is about. */
typedef enum marline_client_event_type {
    MARLINE_CLIENT_EVENT_STATE,            /* state changed; text says why */
    MARLINE_CLIENT_EVENT_INVOCATION_START, /* about to call the handler */
    MARLINE_CLIENT_EVENT_INVOCATION_END,   /* result made; text is the error or NULL */
    MARLINE_CLIENT_EVENT_RESULT_SENT,      /* handed to the socket */
} marline_client_event_type;

/* Something that happened to a client; all texts are borrowed during the call. */
typedef struct marline_client_event {
    marline_client_event_type type;
    marline_client_state state;
    marline_status status;     /* why, when failed or stopped */
    const char *text;          /* may be NULL; valid during the call */
    const char *invocation_id; /* of invocation events */
    const char *endpoint;
    const marline_test_context *test; /* NULL without one */
} marline_client_event;

/* Called from the loop thread or a worker; must not block, must not call stop. */
typedef void (*marline_client_event_fn)(void *user, const marline_client_event *event);

/* How a client connects and works. Start from MARLINE_CLIENT_OPTIONS_INIT. */
typedef struct marline_client_options {
    size_t size;            /* sizeof(marline_client_options) */
    const char *base_url;   /* required: http(s):// or ws(s)://; path prefixes are kept */
    const char *api_key;    /* required */
    const char *project_id; /* required: a UUID */
    /* optional: NULL = "development"; production, staging, development, local */
    const char *environment;
    uint32_t worker_count;            /* optional: 0 = 8 handlers at once */
    marline_provider *provider;       /* optional, borrowed until destroy: NULL = no spans */
    marline_client_event_fn on_event; /* optional */
    void *user;
    uint32_t queue_max;          /* optional: 0 = 1024 invocations may wait for a worker */
    uint32_t reconnect_first_ms; /* optional: 0 = 1000; bound of the first random wait, */
    uint32_t reconnect_max_ms;   /* optional: 0 = 60000; which doubles up to this one */
    const char *tls_ca_file;     /* optional: NULL = the system's */
    const char *tls_cert_file;   /* optional: client certificate, PEM */
    const char *tls_key_file;    /* optional: its key */
    marline_flush_mode flush;    /* optional */
    uint32_t flush_wait_ms;      /* optional: 0 = 2000; how long a result waits for its spans */
    /* optional: a file (SQLite) that keeps results until the backend has them, over restarts and
     * kill -9; NULL = in memory. Invocations that ran when the program died are then reported as
     * errors at the next start, and none is executed twice; the span of an execution that died with
     * the program before it was exported is recorded again. One process at a time. */
    const char *outbox_path;
    bool outbox_durable; /* optional: the outbox survives a power cut too, at the price of a flush
                          * to the disk per result */
} marline_client_options;

/* Everything left out. */
#define MARLINE_CLIENT_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(marline_client_options), NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 0, 0, 0,      \
            NULL, NULL, NULL, MARLINE_FLUSH_DEFAULT, 0, NULL, false                                \
    }

/* Copies the texts. MARLINE_EINVAL names the option at fault. */
MARLINE_API marline_status marline_client_create(const marline_client_options *options,
                                                 marline_client **out, marline_error *error);
/* Stops at once if still running, and frees. */
MARLINE_API void marline_client_destroy(marline_client *client);

/* Before or after start (then it registers again). Copies texts. A name that is taken:
 * MARLINE_EINVAL. */
MARLINE_API marline_status marline_client_add_endpoint(marline_client *client,
                                                       const marline_endpoint *endpoint,
                                                       marline_error *error);
/* As for endpoints. */
MARLINE_API marline_status marline_client_add_metric(marline_client *client,
                                                     const marline_metric *metric,
                                                     marline_error *error);
/* Running invocations of it end as they would have. MARLINE_ENOTFOUND. */
MARLINE_API marline_status marline_client_remove_endpoint(marline_client *client, const char *name);
/* As for endpoints. */
MARLINE_API marline_status marline_client_remove_metric(marline_client *client, const char *name);
/* Adds all that was declared so far with MARLINE_ENDPOINT and MARLINE_METRIC, and is not in the
 * client yet. */
MARLINE_API marline_status marline_client_add_declared(marline_client *client,
                                                       marline_error *error);

/* As marline_dead_letters_retry (marline/dead_letters.h) for the client's own outbox.
 * MARLINE_ESTATE: the client does not run. */
MARLINE_API marline_status marline_client_retry_dead_letter(marline_client *client, int64_t number,
                                                            marline_error *error);

/* Starts the threads and connects, and reconnects for as long as it takes. Returns at once. */
MARLINE_API marline_status marline_client_start(marline_client *client, marline_error *error);
/* At this moment; the next may differ. */
MARLINE_API marline_client_state marline_client_current_state(const marline_client *client);
/* Waits until the client is registered: MARLINE_OK; until it failed for good: the cause, with a
 * text (MARLINE_EAUTH: credentials refused); until the backend refused the registration, such as
 * for an unknown project: MARLINE_EREJECTED, though the client asks again every minute; or until
 * the timeout: MARLINE_ETIMEDOUT, with the last reason why it is not connected. */
MARLINE_API marline_status marline_client_wait_registered(marline_client *client,
                                                          uint64_t timeout_ms,
                                                          marline_error *error);
/* Accepts nothing new, lets running handlers finish and their results leave, closes with 1000. What
 * is not done when the time is up is cancelled, and reported to the backend as an error within half
 * a second more; then MARLINE_ETIMEDOUT. A handler that does not return even so is left alone with
 * its thread. A second call, from another thread, shortens the time of the first. With an outbox an
 * orderly end flushes the provider, for flush_wait_ms at most, so that the next start need not
 * record those spans again; else flush it afterwards. */
MARLINE_API marline_status marline_client_stop(marline_client *client, uint64_t timeout_ms);

/* Where a client stands, for health checks and metrics. Counters count from its start. */
typedef struct marline_client_statistics {
    uint64_t last_contact_unix_ns; /* when the backend last said anything; 0 = never */
    uint64_t connections;          /* opened so far */
    uint64_t invocations;          /* taken, refused ones included */
    uint64_t refused;
    uint64_t repeats;          /* came again, and were not executed again */
    uint64_t late_results;     /* of handlers that overran */
    uint64_t results_sent;     /* written to the backend */
    uint64_t results_repeated; /* written again, for want of an acknowledgement */
    uint64_t results_doubtful; /* may be lost: a backend that does not acknowledge */
    uint64_t results_given_up; /* never acknowledged: dead letters */
    uint64_t invalid_messages;
    uint64_t backend_errors;  /* messages of type error */
    uint64_t outbox_failures; /* disk full and the like */
    uint32_t running;
    uint32_t waiting;     /* for a worker */
    uint32_t undelivered; /* results made, and not yet with the backend */
} marline_client_statistics;

/* A snapshot, taken at once. */
MARLINE_API void marline_client_get_statistics(const marline_client *client,
                                               marline_client_statistics *out);

MARLINE_END_DECLS
#endif
