/* The backend as a whole: listener, HTTP, hub, workers and commit queue around one store. */
#ifndef HTTP_SERVER_OF_BACKEND_H
#define HTTP_SERVER_OF_BACKEND_H

#include "core/agent_session.h"
#include "core/linker.h"
#include "http/http_server.h"
#include "http/listener.h"
#include "hub/enricher.h"
#include "hub/forwarder.h"
#include "hub/hub.h"
#include "hub/journal.h"
#include "hub/notifier.h"
#include "store/commit_gates.h"
#include "store/commit_queue.h"
#include "store/store.h"

enum {
    SERVER_WORKERS = 4,
    SERVER_WORKERS_QUEUE = 8192,    /* one job per request under way, and some of the hub's */
    SERVER_DRAIN_TIMEOUT_MS = 5000, /* for requests, then once more for the hub */
};

/* Who may use the control routes under /mock/. */
enum mock_api {
    MOCK_API_LOOPBACK, /* callers on this machine */
    MOCK_API_ANY,
    MOCK_API_OFF, /* as if they were not there */
};

/* Of span ingest, since the start. Any thread. */
struct ingest_counters {
    _Atomic uint64_t posts;
    _Atomic uint64_t stored;
    _Atomic uint64_t duplicates;
    _Atomic uint64_t rejected; /* spans of refused requests */
    _Atomic uint64_t failed;   /* requests that the store could not take */
};

struct server {
    struct store *store; /* borrowed */
    struct listener *listener;
    struct worker_pool *workers;
    struct commit_gates *gates;
    struct commit_queue *queue;
    struct faults *faults;
    struct journal *journal;
    struct notifier *notifier;
    struct hub *hub;
    struct enricher *enricher;
    struct forwarder *forwarder; /* NULL = nothing is forwarded */
    marline_tracer *tracer;      /* of the backend's own work; borrowed; NULL = none */
    const char *webhook;         /* of runs that name none; borrowed; NULL = nobody is told */
    const char *name;            /* one of several on a store; borrowed; NULL = "" */
    struct http_server *http;
    struct ingest_counters ingest;
    enum mock_api mock_api;
    bool has_otlp_anonymous;
    struct auth_identity otlp_anonymous;
};

struct server_options {
    struct store *store;       /* borrowed until destroy */
    struct listener *listener; /* taken */
    struct agent_limits agent_limits;
    struct linker_options linker;
    enum mock_api mock_api;
    struct price_table *prices;  /* taken */
    struct forwarder *forwarder; /* taken; NULL = none */
    marline_tracer *tracer;      /* borrowed; NULL = the backend does not trace itself */
    const char *webhook;         /* borrowed: of runs that name none; NULL = nobody is told */
    bool leaves_runs;            /* at the end, to the next start; else they are cancelled */
    const char *name;            /* borrowed: each of several on a store has one; NULL = "" */
    size_t body_max;             /* 0 = HTTP_BODY_MAX */
    /* Whose the spans of /v1/traces are that come without a key; false = nobody's, 401. */
    bool has_otlp_anonymous;
    struct auth_identity otlp_anonymous;
};

/* Connections are accepted when it returns. NULL and a sentence in `error` otherwise. */
struct server *server_start(const struct server_options *options, char error[256]);
/* Finishes requests, closes connections, writes what waits, frees. Accepts NULL. False when a
 * worker did not end in time: it may still use the server and its store, which then stay; what was
 * acknowledged is durable all the same. */
bool server_stop(struct server *s);

#endif
