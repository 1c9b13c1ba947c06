/* The public client: one loop thread that owns the session and the socket, and workers that run
 * handlers.
 *
 * A finished invocation reaches the loop through a mailbox. The client is counted, because a
 * handler may outlive the stop: the last of them frees what it still needs. */
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/signals.h"
#include "connector/client_private.h"
#include <marline/dead_letters.h>

enum {
    WORKER_END_MS = 100, /* for idle workers to leave, when a stop has no time left */
};

void marline__client_unref(marline_client *client)
{
    if (atomic_fetch_sub(&client->references, 1) != 1) {
        return;
    }
    marline__registry_deinit(&client->registry);
    marline__registry_deinit(&client->metrics);
    pthread_cond_destroy(&client->shared.changed);
    pthread_mutex_destroy(&client->shared.lock);
    for (size_t i = 0; i < 3; i++) {
        marline__memory_free(client->tls_files[i]);
    }
    marline__memory_free(client->outbox_path);
    marline__memory_free(client->environment);
    marline__memory_free(client->authorization);
    marline__memory_free(client->url);
    marline__memory_free(client);
}

/* ---- endpoints ---- */

static void tell_endpoints_changed(marline_client *client)
{
    pthread_mutex_lock(&client->shared.lock);
    client->shared.endpoints_changed = true;
    if (client->shared.running) {
        marline__websocket_wake(client->loop.ws);
    }
    pthread_mutex_unlock(&client->shared.lock);
}

marline_status marline_client_add_endpoint(marline_client *client, const marline_endpoint *endpoint,
                                           marline_error *error)
{
    if (!client) {
        return marline__refuse(error, MARLINE_EINVAL, "client is NULL");
    }
    marline_status status = marline__registry_add(&client->registry, endpoint, error);
    if (status == MARLINE_OK) {
        tell_endpoints_changed(client);
    }
    return status;
}

marline_status marline_client_add_metric(marline_client *client, const marline_metric *metric,
                                         marline_error *error)
{
    if (!client) {
        return marline__refuse(error, MARLINE_EINVAL, "client is NULL");
    }
    marline_status status = marline__registry_add_metric(&client->metrics, metric, error);
    if (status == MARLINE_OK) {
        tell_endpoints_changed(client);
    }
    return status;
}

marline_status marline_client_remove_endpoint(marline_client *client, const char *name)
{
    if (!client || !name) {
        return MARLINE_EINVAL;
    }
    marline_status status = marline__registry_remove(&client->registry, marline__slice_text(name));
    if (status == MARLINE_OK) {
        tell_endpoints_changed(client);
    }
    return status;
}

marline_status marline_client_remove_metric(marline_client *client, const char *name)
{
    if (!client || !name) {
        return MARLINE_EINVAL;
    }
    marline_status status = marline__registry_remove(&client->metrics, marline__slice_text(name));
    if (status == MARLINE_OK) {
        tell_endpoints_changed(client);
    }
    return status;
}

/* True: the registry has it already, from an earlier call. */
static bool is_known(struct registry *registry, const char *name, marline_handler_fn handler)
{
    struct endpoint *known = marline__registry_find(registry, marline__slice_text(name));
    bool same = known && known->handler == handler;
    marline__endpoint_unref(known);
    return same;
}

marline_status marline_client_add_declared(marline_client *client, marline_error *error)
{
    if (!client) {
        return marline__refuse(error, MARLINE_EINVAL, "client is NULL");
    }
    marline_status status = MARLINE_OK;
    for (size_t i = 0; !status && i < marline_endpoint_declared_count(); i++) {
        const marline_endpoint *e = marline_endpoint_declared(i);
        if (!is_known(&client->registry, e->name, e->handler)) {
            status = marline_client_add_endpoint(client, e, error);
        }
    }
    for (size_t i = 0; !status && i < marline_metric_declared_count(); i++) {
        const marline_metric *m = marline_metric_declared(i);
        if (!is_known(&client->metrics, m->name, m->handler)) {
            status = marline_client_add_metric(client, m, error);
        }
    }
    return status;
}

marline_status marline_client_retry_dead_letter(marline_client *client, int64_t number,
                                                marline_error *error)
{
    if (!client || !client->outbox_path) {
        return marline__refuse(error, MARLINE_EINVAL, "the client has no outbox");
    }
    pthread_mutex_lock(&client->shared.lock);
    bool running = client->shared.running;
    pthread_mutex_unlock(&client->shared.lock);
    return running ? marline_dead_letters_retry(client->outbox_path, number, NULL, error)
                   : marline__refuse(error, MARLINE_ESTATE, "the client does not run");
}

/* ---- running ---- */

static marline_status make_parts(marline_client *client, marline_error *error)
{
    struct websocket_events events = marline__client_events;
    events.user = client;
    marline_status status = marline__client_open_journal(client, error);
    if (status != MARLINE_OK) {
        return status;
    }
    client->workers = marline__worker_pool_create(client->workers_max, client->workers_max);
    client->loop.session = marline__session_create(&client->session_options, &client->host);
    if (!client->workers || !client->loop.session) {
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory");
    }
    status = marline__client_restore(client, error);
    return status == MARLINE_OK
               ? marline__websocket_create(&client->websocket, &events, &client->loop.ws, error)
               : status;
}

static void set_running(marline_client *client, bool started, bool running)
{
    pthread_mutex_lock(&client->shared.lock);
    client->shared.started = started;
    client->shared.running = running;
    pthread_mutex_unlock(&client->shared.lock);
}

static void free_parts(marline_client *client)
{
    marline__websocket_destroy(client->loop.ws);
    marline__session_destroy(client->loop.session);
    marline__client_close_journal(client);
    (void)marline__worker_pool_stop(client->workers, 0);
    client->loop.ws = NULL;
    client->loop.session = NULL;
    client->workers = NULL;
}

marline_status marline_client_start(marline_client *client, marline_error *error)
{
    if (!client) {
        return marline__refuse(error, MARLINE_EINVAL, "client is NULL");
    }
    pthread_mutex_lock(&client->shared.lock);
    bool again = client->shared.started;
    client->shared.started = true;
    pthread_mutex_unlock(&client->shared.lock);
    if (again) {
        return marline__refuse(error, MARLINE_ESTATE, "the client was started before");
    }
    marline_status status = make_parts(client, error);
    if (status == MARLINE_OK) {
        set_running(client, true, true);
        if (marline__thread_start(&client->thread, marline__client_run, client) != 0) {
            status = marline__refuse(error, MARLINE_EIO, "the client could not start its thread");
        }
    }
    if (status != MARLINE_OK) {
        set_running(client, false, false);
        free_parts(client);
    }
    return status;
}

marline_client_state marline_client_current_state(const marline_client *client)
{
    if (!client) {
        return MARLINE_CLIENT_IDLE;
    }
    union {
        const marline_client *constant;
        marline_client *mutable; /* a lock is no part of the value */
    } pointer = {client};
    pthread_mutex_lock(&pointer.mutable->shared.lock);
    marline_client_state state = client->shared.state;
    pthread_mutex_unlock(&pointer.mutable->shared.lock);
    return state;
}

void marline_client_get_statistics(const marline_client *client, marline_client_statistics *out)
{
    memset(out, 0, sizeof *out);
    if (client) {
        union {
            const marline_client *constant;
            marline_client *mutable; /* a lock is no part of the value */
        } pointer = {client};
        pthread_mutex_lock(&pointer.mutable->shared.lock);
        *out = client->shared.statistics;
        pthread_mutex_unlock(&pointer.mutable->shared.lock);
    }
}

static struct timespec deadline_after(uint64_t timeout_ms)
{
    const uint64_t year_ms = 366ull * 86400 * 1000;
    uint64_t at = marline__client_now() + (timeout_ms < year_ms ? timeout_ms : year_ms) * NS_PER_MS;
    return (struct timespec){(time_t)(at / NS_PER_S), (long)(at % NS_PER_S)};
}

/* With the lock held. True: the wait is over, with *out. */
static bool is_decided(const marline_client *client, marline_status *out)
{
    switch (client->shared.state) {
    case MARLINE_CLIENT_REGISTERED:
        *out = MARLINE_OK;
        return true;
    case MARLINE_CLIENT_FAILED:
        *out = client->shared.status;
        return true;
    case MARLINE_CLIENT_CONNECTED:
        *out = client->shared.status;
        return client->shared.status == MARLINE_EREJECTED;
    case MARLINE_CLIENT_STOPPED:
        *out = MARLINE_ECANCELED;
        return true;
    default:
        return false;
    }
}

marline_status marline_client_wait_registered(marline_client *client, uint64_t timeout_ms,
                                              marline_error *error)
{
    if (!client) {
        return marline__refuse(error, MARLINE_EINVAL, "client is NULL");
    }
    struct timespec deadline = deadline_after(timeout_ms);
    marline_status status = MARLINE_ETIMEDOUT;
    int waited = 0;
    pthread_mutex_lock(&client->shared.lock);
    while (!is_decided(client, &status) && waited == 0) {
        waited = pthread_cond_timedwait(&client->shared.changed, &client->shared.lock, &deadline);
        status = MARLINE_ETIMEDOUT;
    }
    (void)is_decided(client, &status);
    if (status == MARLINE_ETIMEDOUT) {
        (void)marline__refuse(error, status, "not registered within %llu ms: %.180s",
                              (unsigned long long)timeout_ms,
                              client->shared.text[0] ? client->shared.text : "no attempt was made");
    } else if (status != MARLINE_OK) {
        (void)marline__refuse(error, status, "%s", client->shared.text);
    }
    pthread_mutex_unlock(&client->shared.lock);
    return status;
}

/* ---- stopping ---- */

/* Asks the loop to stop, and waits for its end: the session keeps the deadline. True: this call is
 * the one that cleans up. */
static bool wait_for_loop(marline_client *client, uint64_t timeout_ms)
{
    pthread_mutex_lock(&client->shared.lock);
    bool mine = client->shared.started && !client->shared.stopped;
    client->shared.stopped |= mine;
    if (client->shared.running) {
        uint64_t within_ns =
            timeout_ms < TIME_NEVER / NS_PER_MS ? timeout_ms * NS_PER_MS : TIME_NEVER;
        /* The loop may not have read an earlier call yet: the shorter time counts, as it does when
         * both are read. */
        bool is_shortest = !client->shared.stop || within_ns < client->shared.stop_within_ns;
        client->shared.stop_within_ns = is_shortest ? within_ns : client->shared.stop_within_ns;
        client->shared.stop = true;
        marline__websocket_wake(client->loop.ws);
    }
    while (client->shared.started && !client->shared.ended) {
        pthread_cond_wait(&client->shared.changed, &client->shared.lock);
    }
    pthread_mutex_unlock(&client->shared.lock);
    return mine;
}

marline_status marline_client_stop(marline_client *client, uint64_t timeout_ms)
{
    if (!client) {
        return MARLINE_EINVAL;
    }
    uint64_t start = marline__client_now();
    bool mine = wait_for_loop(client, timeout_ms);
    marline_status status = client->shared.status; /* the loop has ended: nobody writes it */
    if (!mine) {
        return status;
    }
    pthread_join(client->thread, NULL);
    uint64_t used_ms = (marline__client_now() - start) / NS_PER_MS;
    uint64_t left_ms = timeout_ms > used_ms + WORKER_END_MS ? timeout_ms - used_ms : WORKER_END_MS;
    if (marline__worker_pool_stop(client->workers, left_ms) != MARLINE_OK) {
        status = MARLINE_ETIMEDOUT;
    }
    client->workers = NULL;
    return status;
}

void marline_client_destroy(marline_client *client)
{
    if (client) {
        (void)marline_client_stop(client, 0);
        marline__client_unref(client);
    }
}
