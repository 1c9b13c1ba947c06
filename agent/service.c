/* The two channels of one agent. */
#include "agent/service.h"

#include <inttypes.h>

#include "base/clock.h"
#include "programs/logger.h"

enum exit_code service_exit_code(marline_status status)
{
    switch (status) {
    case MARLINE_OK:
        return EXIT_CODE_OK;
    case MARLINE_EINVAL:
        return EXIT_CODE_CONFIGURATION;
    case MARLINE_EAUTH:
    case MARLINE_ENOTFOUND:
    case MARLINE_EREJECTED:
        return EXIT_CODE_REFUSED;
    case MARLINE_ETIMEDOUT:
    case MARLINE_EIO:
    case MARLINE_EPROTO:
    case MARLINE_ECANCELED:
        return EXIT_CODE_UNREACHABLE;
    case MARLINE_ENOMEM:
    case MARLINE_EFULL:
    case MARLINE_ESTATE:
        break;
    }
    return EXIT_CODE_INTERNAL;
}

enum exit_code service_setup_exit_code(marline_status status)
{
    bool is_file = status == MARLINE_EIO || status == MARLINE_ESTATE;
    return is_file ? EXIT_CODE_CONFIGURATION : service_exit_code(status);
}

const char *service_advice(marline_status status)
{
    if (status == MARLINE_EREJECTED) {
        return "; check RHESIS_PROJECT_ID, and that the key's user is a member of the project";
    }
    if (status == MARLINE_EAUTH) {
        return "; give a valid key by RHESIS_API_KEY, --api-key-file, RHESIS_API_KEY_FILE or "
               "api_key_file in the configuration, and check that it may use the project";
    }
    return "";
}

static marline_status open_provider(struct service *s, const struct service_options *o,
                                    marline_error *error)
{
    const struct connection *c = o->connection;
    marline_provider_options provider = MARLINE_PROVIDER_OPTIONS_INIT;
    marline_status status = marline_provider_create(&provider, &s->provider, error);
    if (status) {
        return status;
    }
    marline_platform_exporter_options platform = {.size = sizeof platform,
                                                  .base_url = c->base_url,
                                                  .api_key = c->api_key,
                                                  .project_id = c->project_id,
                                                  .environment = c->environment,
                                                  .ca_file = c->ca_file,
                                                  .certificate_file = c->certificate_file,
                                                  .key_file = c->key_file};
    marline_exporter exporter;
    status = marline_exporter_platform_create(&platform, &exporter, error);
    if (status) {
        return status;
    }
    if (o->wrap) {
        exporter = o->wrap(o->wrap_user, &exporter);
    }
    marline_batch_options batch = MARLINE_BATCH_OPTIONS_INIT;
    batch.interval_ms = o->export_interval_ms;
    batch.spool_path = o->spool_path ? o->spool_path : "";
    s->ticks_start_ns = marline__clock_monotonic_ns(marline__clock_system());
    return marline_provider_add_batch_processor(s->provider, &exporter, &batch, error);
}

static marline_status open_client(struct service *s, const struct service_options *o,
                                  marline_error *error)
{
    const struct connection *c = o->connection;
    marline_client_options client = MARLINE_CLIENT_OPTIONS_INIT;
    client.base_url = c->base_url;
    client.api_key = c->api_key;
    client.project_id = c->project_id;
    client.environment = c->environment;
    client.worker_count = o->worker_count;
    client.provider = s->provider;
    client.on_event = o->on_event;
    client.user = o->user;
    client.flush = o->flush;
    client.outbox_path = o->outbox_path;
    client.outbox_durable = o->outbox_durable;
    client.tls_ca_file = c->ca_file;
    client.tls_cert_file = c->certificate_file;
    client.tls_key_file = c->key_file;
    return marline_client_create(&client, &s->client, error);
}

bool service_open(struct service *s, const struct service_options *options, struct failure *f)
{
    *s = (struct service){0};
    marline_error error = {0};
    marline_status status = open_provider(s, options, &error);
    if (!status) {
        marline_provider_set_global(s->provider);
        status = open_client(s, options, &error);
    }
    if (status) {
        service_close(s, 0);
        return failure_set(f, service_setup_exit_code(status), "%s", error.text);
    }
    return true;
}

static void log_losses(const marline_provider *provider)
{
    marline_delivery d;
    marline_provider_delivery(provider, &d);
    uint64_t lost = 0;
    for (int i = 0; i < MARLINE_DROP_REASONS; i++) {
        lost += i == MARLINE_DROP_UNSAMPLED ? 0 : d.dropped[i];
    }
    logger_write(lost ? LOG_WARN : LOG_DEBUG,
                 "spans: %" PRIu64 " started, %" PRIu64 " exported, %" PRIu64 " spooled, %" PRIu64
                 " lost",
                 d.started, d.exported, d.spooled, lost);
}

void service_drain(struct service *s, uint64_t timeout_ms)
{
    if (s->client && marline_client_stop(s->client, timeout_ms) == MARLINE_ETIMEDOUT) {
        logger_write(LOG_WARN, "not all invocations were finished in time: the rest is canceled");
    }
}

void service_close(struct service *s, uint64_t timeout_ms)
{
    marline_client_destroy(s->client);
    if (s->provider) {
        (void)marline_provider_shutdown(s->provider, timeout_ms);
        log_losses(s->provider);
        marline_provider_set_global(NULL);
        marline_provider_destroy(s->provider);
    }
    *s = (struct service){0};
}
