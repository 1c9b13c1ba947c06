/* The two channels of one agent: a provider that exports spans to the platform, and the client that
 * serves endpoints. Main thread. */
#ifndef AGENT_SERVICE_H
#define AGENT_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <marline/client.h>
#include <marline/trace.h>

#include "agent/connection.h"
#include "programs/failure.h"

struct service_options {
    const struct connection *connection;
    uint32_t export_interval_ms; /* 0 = OTEL_BSP_SCHEDULE_DELAY, else 5000 */
    uint32_t worker_count;
    marline_flush_mode flush;
    const char *outbox_path; /* NULL = results are kept in memory */
    bool outbox_durable;
    const char *spool_path;           /* NULL = spans that cannot be delivered are dropped */
    marline_client_event_fn on_event; /* may be NULL */
    void *user;
    /* Optional: takes the exporter, returns the one to use in its place. */
    marline_exporter (*wrap)(void *wrap_user, const marline_exporter *exporter);
    void *wrap_user;
};

struct service {
    marline_provider *provider;
    marline_client *client;
    uint64_t ticks_start_ns; /* monotonic: the exporter's tick k is k intervals later */
};

/* Creates both, and makes the provider the process's; connects nothing yet. */
bool service_open(struct service *s, const struct service_options *options, struct failure *f);
/* Ends the client: nothing new is accepted, what runs may finish within the time. Once. Another
 * thread may shorten the time with marline_client_stop until this returns. */
void service_drain(struct service *s, uint64_t timeout_ms);
/* Posts the spans that are left, within the time; logs what could not be delivered; frees. Fits a
 * service that failed to open; ends the client at once where that was not done. */
void service_close(struct service *s, uint64_t timeout_ms);

/* The exit code for a refusal of the SDK. */
enum exit_code service_exit_code(marline_status status);
/* The same before anything was connected: what failed is a file, such as the outbox. */
enum exit_code service_setup_exit_code(marline_status status);
/* "; " and what to do about it, as far as the SDK's text does not say so itself; else "". */
const char *service_advice(marline_status status);

#endif
