/* Creates a client: checks the options, each with a text that names it, and copies them. */
#include <ctype.h>
#include <stddef.h>

#include "base/memory.h"
#include "connector/client_private.h"
#include "io/url.h"

enum {
    WORKERS_DEFAULT = 8,
    WORKERS_MAX = 1024,
    QUEUE_DEFAULT = 1024,
    RECONNECT_FIRST_MS = 1000,
    RECONNECT_MAX_MS = 60000,
    MESSAGE_MAX = 16 * 1024 * 1024, /* incoming; what uvicorn allows, far above the platform's */
    CONNECT_TIMEOUT_S = 10,
    PING_AFTER_S = 20,    /* below the usual idle limits of proxies */
    HANG_UP_AFTER_S = 40, /* a dead connection is noticed so soon */
    FLUSH_WAIT_MS = 2000,
};

static marline_status check_environment(const char *text, marline_client *client,
                                        marline_error *error)
{
    static const char *const known[] = {"production", "staging", "development", "local"};
    client->environment = marline__memory_text(text && text[0] ? text : "development");
    if (!client->environment) {
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory");
    }
    for (char *c = client->environment; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(client->environment, known[i]) == 0) {
            return MARLINE_OK;
        }
    }
    return marline__refuse(error, MARLINE_EINVAL,
                           "environment '%.40s' is none of production, staging, development, local",
                           text);
}

static marline_status check_project(const char *text, marline_client *client, marline_error *error)
{
    struct uuid project;
    if (!text || !text[0]) {
        return marline__refuse(
            error, MARLINE_EINVAL,
            "no project_id given: set it, or RHESIS_PROJECT_ID, to the project's UUID");
    }
    if (!marline__uuid_parse(marline__slice_text(text), &project)) {
        return marline__refuse(error, MARLINE_EINVAL, "project_id '%.60s' is not a UUID", text);
    }
    marline__uuid_format(&project, client->project_id);
    return MARLINE_OK;
}

static marline_status check_url(const char *base_url, marline_client *client, marline_error *error)
{
    struct url url;
    const char *reason;
    if (!base_url || !base_url[0]) {
        return marline__refuse(error, MARLINE_EINVAL,
                               "no base_url given: set it, or RHESIS_BASE_URL");
    }
    if (!marline__url_parse(marline__slice_text(base_url), &url, &reason)) {
        return marline__refuse(error, MARLINE_EINVAL, "base_url '%.80s': %s", base_url, reason);
    }
    struct buffer text = BUFFER_INIT;
    marline__buffer_append_format(
        &text, url.is_ipv6 ? "%s[%s]:%u%s/connector/ws" : "%s%s:%u%s/connector/ws",
        url.secure ? "wss://" : "ws://", url.host, url.port, url.path);
    client->url = marline__buffer_take(&text);
    return client->url ? MARLINE_OK : marline__refuse(error, MARLINE_ENOMEM, "out of memory");
}

static marline_status check_key(const char *key, marline_client *client, marline_error *error)
{
    if (!key || !key[0]) {
        return marline__refuse(error, MARLINE_EINVAL,
                               "no api_key given: set it, or RHESIS_API_KEY");
    }
    struct buffer text = BUFFER_INIT;
    marline__buffer_append_format(&text, "Bearer %s", key);
    client->authorization = marline__buffer_take(&text);
    return client->authorization ? MARLINE_OK
                                 : marline__refuse(error, MARLINE_ENOMEM, "out of memory");
}

static marline_status copy_tls(const marline_client_options *options, marline_client *client,
                               marline_error *error)
{
    const char *const files[] = {options->tls_ca_file, options->tls_cert_file,
                                 options->tls_key_file};
    for (size_t i = 0; i < 3; i++) {
        client->tls_files[i] = marline__memory_text(files[i]);
        if (files[i] && !client->tls_files[i]) {
            return marline__refuse(error, MARLINE_ENOMEM, "out of memory");
        }
    }
    return MARLINE_OK;
}

static marline_status copy_outbox(const marline_client_options *options, marline_client *client,
                                  marline_error *error)
{
    client->outbox_durable = options->outbox_durable;
    client->outbox_path = marline__memory_text(options->outbox_path);
    if (options->outbox_path && !client->outbox_path) {
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory");
    }
    return MARLINE_OK;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value > 0 ? value : fallback;
}

static marline_status configure(marline_client *client, const marline_client_options *o,
                                marline_error *error)
{
    marline_status status = check_url(o->base_url, client, error);
    if (status == MARLINE_OK) {
        status = check_key(o->api_key, client, error);
    }
    if (status == MARLINE_OK) {
        status = check_project(o->project_id, client, error);
    }
    if (status == MARLINE_OK) {
        status = check_environment(o->environment, client, error);
    }
    if (status == MARLINE_OK) {
        status = copy_tls(o, client, error);
    }
    if (status == MARLINE_OK) {
        status = copy_outbox(o, client, error);
    }
    client->workers_max = or_default(o->worker_count, WORKERS_DEFAULT);
    if (status == MARLINE_OK && client->workers_max > WORKERS_MAX) {
        status = marline__refuse(error, MARLINE_EINVAL, "worker_count is above %d", WORKERS_MAX);
    }
    return status;
}

static void fill_options(marline_client *client, const marline_client_options *o)
{
    client->headers[0] = (struct websocket_header){"Authorization", client->authorization};
    client->headers[1] = (struct websocket_header){"X-Rhesis-Project", client->project_id};
    client->headers[2] = (struct websocket_header){"X-Rhesis-Environment", client->environment};
    client->websocket = (struct websocket_options){
        .url = client->url,
        .headers = client->headers,
        .header_count = 3,
        .tls = {client->tls_files[0], client->tls_files[1], client->tls_files[2]},
        .message_max = MESSAGE_MAX,
        .connect_timeout_s = CONNECT_TIMEOUT_S,
        .ping_after_s = PING_AFTER_S,
        .hang_up_after_s = HANG_UP_AFTER_S,
    };
    client->session_options = (struct session_options){
        .project_id = marline__slice_text(client->project_id),
        .environment = marline__slice_text(client->environment),
        .agent_id = marline__slice_text(client->agent_id),
        .sdk_version = marline__slice_text(marline_version()),
        .concurrency = client->workers_max,
        .queue_max = or_default(o->queue_max, QUEUE_DEFAULT),
        .backoff_first_ns = or_default(o->reconnect_first_ms, RECONNECT_FIRST_MS) * NS_PER_MS,
        .backoff_max_ns = or_default(o->reconnect_max_ms, RECONNECT_MAX_MS) * NS_PER_MS,
    };
    client->host = marline__client_host(client);
    client->on_event = o->on_event;
    client->user = o->user;
    client->flush = o->flush;
    client->flush_wait_ms = or_default(o->flush_wait_ms, FLUSH_WAIT_MS);
    client->provider = o->provider;
    client->tracer = o->provider
                         ? marline_tracer_get(o->provider, "marline.connector", marline_version())
                         : NULL;
}

static marline_client *new_client(void)
{
    marline_client *client = marline__memory_zeroed(sizeof *client);
    if (!client) {
        return NULL;
    }
    atomic_init(&client->references, 1);
    marline__registry_init(&client->registry);
    marline__registry_init(&client->metrics);
    marline__list_init(&client->loop.running);
    marline__list_init(&client->shared.done);
    struct uuid id = marline__uuid_random(marline__random_system());
    marline__uuid_format(&id, client->agent_id);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&client->shared.lock, NULL);
    pthread_cond_init(&client->shared.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return client;
}

marline_status marline_client_create(const marline_client_options *options, marline_client **out,
                                     marline_error *error)
{
    if (!options || !out || options->size < offsetof(marline_client_options, queue_max)) {
        return marline__refuse(error, MARLINE_EINVAL,
                               "options and out are required, and options->size must be set");
    }
    marline_client_options known = MARLINE_CLIENT_OPTIONS_INIT;
    memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
    marline_client *client = new_client();
    if (!client) {
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory");
    }
    marline_status status = configure(client, &known, error);
    if (status != MARLINE_OK) {
        marline__client_unref(client);
        return status;
    }
    fill_options(client, &known);
    *out = client;
    return MARLINE_OK;
}
