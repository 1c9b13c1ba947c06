/* The agent's own HTTP port. */
#include "agent/health.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "programs/must.h"

enum { CONNECTIONS_MAX = 16, IDLE_TIMEOUT_S = 10 };

struct health {
    const struct health_facts *facts;
    struct MHD_Daemon *daemon;
};

/* ---- the bodies ---- */

static const char *state_name(int state)
{
    static const char *const names[] = {"idle",       "connecting", "connected",
                                        "registered", "failed",     "stopped"};
    return state >= 0 && state <= MARLINE_CLIENT_STOPPED ? names[state] : "unknown";
}

int health_write_life(const struct health_facts *facts, uint64_t now_ns, struct buffer *out)
{
    uint64_t since = atomic_load(&facts->away_since_ns);
    uint64_t away_s = since && now_ns > since ? (now_ns - since) / NS_PER_S : 0;
    int state = atomic_load(&facts->state);
    bool is_healthy = state != MARLINE_CLIENT_FAILED && away_s <= HEALTH_AWAY_MAX_S;
    marline__buffer_append_format(out, "{\"healthy\":%s,\"state\":\"%s\",\"away_s\":%" PRIu64 "}\n",
                                  is_healthy ? "true" : "false", state_name(state), away_s);
    return is_healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

int health_write_readiness(const struct health_facts *facts, struct buffer *out)
{
    int state = atomic_load(&facts->state);
    bool is_ready = state == MARLINE_CLIENT_REGISTERED;
    marline__buffer_append_format(out, "{\"ready\":%s,\"state\":\"%s\"}\n",
                                  is_ready ? "true" : "false", state_name(state));
    return is_ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static void write_metric(struct buffer *out, const char *name, const char *type, const char *help,
                         uint64_t value)
{
    marline__buffer_append_format(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help,
                                  name, type, name, value);
}

static void write_span_metrics(const marline_delivery *spans, struct buffer *out)
{
    static const char *const reasons[MARLINE_DROP_REASONS] = {
        "queue_full", "limits", "rejected", "timeout", "shutdown", "spool_full", "unsampled"};
    write_metric(out, "marline_agent_spans_started_total", "counter", "Spans started",
                 spans->started);
    write_metric(out, "marline_agent_spans_exported_total", "counter",
                 "Spans that the backend acknowledged", spans->exported);
    write_metric(out, "marline_agent_spans_spooled", "gauge",
                 "Spans of this process that wait on disk for a later delivery", spans->spooled);
    write_metric(out, "marline_agent_spans_in_flight", "gauge", "Spans running or waiting",
                 spans->in_flight);
    marline__buffer_append_text(out, "# HELP marline_agent_spans_dropped_total Spans lost, by "
                                     "reason\n# TYPE marline_agent_spans_dropped_total counter\n");
    for (int i = 0; i < MARLINE_DROP_REASONS; i++) {
        marline__buffer_append_format(
            out, "marline_agent_spans_dropped_total{reason=\"%s\"} %" PRIu64 "\n", reasons[i],
            spans->dropped[i]);
    }
}

static void write_spool_metrics(const marline_spool_state *spool, struct buffer *out)
{
    write_metric(out, "marline_agent_spool_spans", "gauge",
                 "Spans in the spool, earlier processes' included", spool->waiting_spans);
    write_metric(out, "marline_agent_spool_bytes", "gauge", "Bytes of them", spool->waiting_bytes);
    write_metric(out, "marline_agent_spool_recovered_total", "counter",
                 "Spans of earlier processes that were delivered", spool->recovered);
    write_metric(out, "marline_agent_spool_lost_total", "counter",
                 "Spans of the spool that were refused, or lost with a damaged file",
                 spool->recovered_lost);
    write_metric(out, "marline_agent_spool_damaged_files_total", "counter",
                 "Damaged spool files that were set aside", spool->damaged_files);
}

void health_write_metrics(const struct health_facts *facts, const marline_delivery *spans,
                          struct buffer *out)
{
    write_metric(out, "marline_agent_registered", "gauge", "1 while tests may come",
                 atomic_load(&facts->state) == MARLINE_CLIENT_REGISTERED);
    write_metric(out, "marline_agent_registrations_total", "counter",
                 "Times that the agent became ready", atomic_load(&facts->connections));
    write_metric(out, "marline_agent_invocations_total", "counter", "Invocations begun",
                 atomic_load(&facts->invocations));
    write_metric(out, "marline_agent_invocations_failed_total", "counter",
                 "Invocations that ended with an error", atomic_load(&facts->invocations_failed));
    write_metric(out, "marline_agent_invocations_running", "gauge", "Invocations running now",
                 atomic_load(&facts->invocations_running));
    write_metric(out, "marline_agent_results_sent_total", "counter",
                 "Results handed to the connection", atomic_load(&facts->results_sent));
    write_span_metrics(spans, out);
}

void health_write_client_metrics(const marline_client_statistics *client, struct buffer *out)
{
    write_metric(out, "marline_agent_last_contact_seconds", "gauge",
                 "Unix time at which the backend last said anything",
                 client->last_contact_unix_ns / NS_PER_S);
    write_metric(out, "marline_agent_invocations_waiting", "gauge",
                 "Invocations that wait for a worker", client->waiting);
    write_metric(out, "marline_agent_invocations_refused_total", "counter",
                 "Invocations that were not executed", client->refused);
    write_metric(out, "marline_agent_invocations_repeated_total", "counter",
                 "Invocations that came again, and were not executed again", client->repeats);
    write_metric(out, "marline_agent_results_undelivered", "gauge",
                 "Results that the backend does not have yet", client->undelivered);
    write_metric(out, "marline_agent_results_doubtful_total", "counter",
                 "Results that may be lost: the backend does not acknowledge",
                 client->results_doubtful);
    write_metric(out, "marline_agent_results_given_up_total", "counter",
                 "Results that became dead letters", client->results_given_up);
    write_metric(out, "marline_agent_outbox_failures_total", "counter",
                 "Writes to the outbox that failed", client->outbox_failures);
}

/* ---- the server ---- */

static enum MHD_Result answer(struct MHD_Connection *connection, int status, const char *type,
                              struct buffer *body)
{
    must_buffer(body);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->size, body->data, MHD_RESPMEM_MUST_COPY);
    marline__buffer_deinit(body);
    if (!response) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

/* The types of the parameters are libmicrohttpd's. */
static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)version;
    (void)upload;
    (void)state;
    const struct health *h = user;
    struct buffer body = BUFFER_INIT;
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        marline__buffer_append_text(&body, "only GET\n");
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", &body);
    }
    if (strcmp(url, "/healthz") == 0) {
        uint64_t now = marline__clock_monotonic_ns(marline__clock_system());
        int status = health_write_life(h->facts, now, &body);
        return answer(connection, status, "application/json", &body);
    }
    if (strcmp(url, "/readyz") == 0) {
        int status = health_write_readiness(h->facts, &body);
        return answer(connection, status, "application/json", &body);
    }
    if (strcmp(url, "/metrics") == 0) {
        marline_delivery spans;
        marline_provider_delivery(h->facts->provider, &spans);
        health_write_metrics(h->facts, &spans, &body);
        marline_spool_state spool;
        marline_provider_spool(h->facts->provider, &spool);
        write_spool_metrics(&spool, &body);
        marline_client_statistics client;
        marline_client_get_statistics(h->facts->client, &client);
        health_write_client_metrics(&client, &body);
        return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4", &body);
    }
    marline__buffer_append_text(&body, "/healthz, /readyz or /metrics\n");
    return answer(connection, MHD_HTTP_NOT_FOUND, "text/plain", &body);
}

static struct addrinfo *resolve(const char *address, struct failure *f)
{
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (!colon || colon == address) {
        failure_set(f, EXIT_CODE_CONFIGURATION,
                    "health address '%s' is not of the form HOST:PORT, such as 127.0.0.1:9090",
                    address);
        return NULL;
    }
    bool is_bracketed = address[0] == '[' && colon[-1] == ']';
    size_t brackets = is_bracketed ? 2 : 0;
    char *host =
        must_slice((struct slice){address + is_bracketed, (size_t)(colon - address) - brackets});
    int error = getaddrinfo(host, colon + 1, &hints, &found);
    marline__memory_free(host);
    if (error) {
        failure_set(f, EXIT_CODE_CONFIGURATION, "health address '%s': %s", address,
                    gai_strerror(error));
        return NULL;
    }
    return found;
}

struct health *health_start(const char *address, const struct health_facts *facts,
                            struct failure *f)
{
    struct addrinfo *found = resolve(address, f);
    if (!found) {
        return NULL;
    }
    struct health *h = must_zeroed(sizeof *h);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD;
    flags |= found->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0u;
    h->facts = facts;
    h->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, handle, h, MHD_OPTION_SOCK_ADDR, found->ai_addr,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_END);
    freeaddrinfo(found);
    if (!h->daemon) {
        failure_set(f, EXIT_CODE_CONFIGURATION,
                    "cannot listen on %s for /healthz: is the port in use?", address);
        marline__memory_free(h);
        return NULL;
    }
    return h;
}

void health_stop(struct health *h)
{
    if (h) {
        MHD_stop_daemon(h->daemon);
        marline__memory_free(h);
    }
}

unsigned health_port(const struct health *h)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}
