/* One whole backend in this process: its store, its port, its ready-made project and key, and the
 * server on top. It prints nothing. Started and stopped by one thread. */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include "core/agent_session.h"
#include "http/server.h"
#include "programs/failure.h"
#include "ready.h"

struct backend_settings {
    const char *listen; /* HOST:PORT; port 0 = a free one */
    const char *store;
    const char *api_key;        /* NULL = made at the first start */
    const char *otlp_anonymous; /* a project; NULL = a key is needed */
    const char *price_file;     /* NULL = the built-in prices alone */
    const char *forward_otlp;   /* URL of another receiver; NULL = none */
    const char *trace_otlp;     /* URL for spans of our own work; NULL = none */
    const char *webhook;        /* of runs that name none; NULL = nobody is told */
    bool leaves_runs;           /* at the end, to the next start; else they are cancelled */
    const char *name;           /* one of several on a store; NULL = "" */
    enum mock_api mock_api;
    struct agent_limits agent_limits;
};

struct backend {
    struct store *store;
    struct server *server;
    marline_provider *provider; /* NULL unless it traces itself */
    struct ready ready;
};

/* Connections are accepted when it returns true; on failure nothing is left. Raises the process's
 * limit of open descriptors to what it may be. */
bool backend_start(struct backend *b, const struct backend_settings *settings, struct failure *f);
/* Finishes requests, writes what waits, frees. */
void backend_stop(struct backend *b);

#endif
