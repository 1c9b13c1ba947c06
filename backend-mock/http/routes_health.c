/* For operators: alive, ready, and counters in Prometheus' text format (of this process, since its
 * start). */
#include "core/alloc.h"
#include "http/routes.h"

static void get_healthz(struct http_request *r)
{
    struct buffer body = BUFFER_INIT;
    marline__buffer_append_text(&body, "ok\n");
    http_answer(r, 200, "text/plain; charset=utf-8", &body);
}

/* Ready: the store answers. No key has this hash, so "not found" is the good answer. */
static void get_readyz(struct http_request *r)
{
    static const uint8_t nobody[32];
    struct store_token token;
    struct store_error error;
    enum store_status status =
        store_find_token(http_request_server(r)->store, nobody, &token, &error);
    bool ready = status == STORE_OK || status == STORE_NOT_FOUND;
    struct buffer body = BUFFER_INIT;
    marline__buffer_append_text(&body, ready ? "ready\n" : "the store does not answer: ");
    if (!ready) {
        marline__buffer_append_format(&body, "%s\n", error.text);
    }
    http_answer(r, ready ? 200 : 503, "text/plain; charset=utf-8", &body);
}

/* ---- metrics ---- */

static void describe(struct buffer *out, const char *name, const char *type, const char *help)
{
    marline__buffer_append_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(struct buffer *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    describe(out, name, type, help);
    marline__buffer_append_format(out, "%s %llu\n", name, (unsigned long long)value);
}

static void labelled(struct buffer *out, const char *name, const char *label, const char *value,
                     uint64_t count)
{
    marline__buffer_append_format(out, "%s{%s=\"%s\"} %llu\n", name, label, value,
                                  (unsigned long long)count);
}

static void write_linking(struct buffer *out, const struct hub_counters *hub)
{
    describe(out, "marline_links_total", "counter", "Spans linked to a result, by who found them");
    for (int point = 0; point < LINK_POINT_COUNT; point++) {
        labelled(out, "marline_links_total", "source", link_point_name((enum link_point)point),
                 hub->links[point]);
    }
    describe(out, "marline_link_attempts_total", "counter", "Linking attempts");
    for (int point = 0; point < LINK_POINT_COUNT; point++) {
        labelled(out, "marline_link_attempts_total", "source",
                 link_point_name((enum link_point)point), hub->link_attempts[point]);
    }
    number(out, "marline_link_failures_total", "counter", "Linking attempts that failed",
           hub->linker.failures);
}

static void write_ingest(struct buffer *out, struct ingest_counters *ingest)
{
    describe(out, "marline_spans_total", "counter", "Spans received, by what became of them");
    labelled(out, "marline_spans_total", "outcome", "stored", ingest->stored);
    labelled(out, "marline_spans_total", "outcome", "duplicate", ingest->duplicates);
    labelled(out, "marline_spans_total", "outcome", "rejected", ingest->rejected);
    number(out, "marline_ingest_requests_total", "counter", "Requests that held valid spans",
           ingest->posts);
    number(out, "marline_ingest_failures_total", "counter",
           "Requests with spans that could not be stored", ingest->failed);
}

static void write_agents(struct buffer *out, const struct hub_counters *hub)
{
    number(out, "marline_agents", "gauge", "Agents connected", hub->agents);
    number(out, "marline_runs_active", "gauge", "Test runs under way", hub->runs);
    describe(out, "marline_results_total", "counter", "Results received, by what became of them");
    labelled(out, "marline_results_total", "outcome", "accepted", hub->results_accepted);
    labelled(out, "marline_results_total", "outcome", "repeated", hub->results_repeated);
    labelled(out, "marline_results_total", "outcome", "foreign", hub->results_foreign);
    labelled(out, "marline_results_total", "outcome", "unknown", hub->results_unknown);
    number(out, "marline_results_elsewhere_total", "counter",
           "Results accepted on another connection than their call's",
           hub->results_accepted_elsewhere);
    number(out, "marline_calls_expired_total", "counter", "Calls that nobody answered in time",
           hub->calls_expired);
    describe(out, "marline_agent_messages_total", "counter", "Messages of agents");
    labelled(out, "marline_agent_messages_total", "outcome", "accepted", hub->messages.messages);
    labelled(out, "marline_agent_messages_total", "outcome", "oversize", hub->messages.oversize);
    labelled(out, "marline_agent_messages_total", "outcome", "rate_limited",
             hub->messages.rate_limited);
    labelled(out, "marline_agent_messages_total", "outcome", "invalid_json",
             hub->messages.invalid_json);
}

static void write_forwarding(struct buffer *out, struct forwarder *forwarder)
{
    struct forwarder_counters counters = forwarder_counters(forwarder);
    describe(out, "marline_forwarded_spans_total", "counter",
             "Spans passed on to another receiver, by what became of them");
    labelled(out, "marline_forwarded_spans_total", "outcome", "accepted", counters.spans);
    labelled(out, "marline_forwarded_spans_total", "outcome", "dropped", counters.dropped);
    number(out, "marline_forward_spans_waiting", "gauge", "Spans that wait to be passed on",
           counters.waiting);
}

static void write_server(struct buffer *out, struct server *s)
{
    struct http_server_counters http = http_server_counters(s->http);
    struct commit_queue_counters queue = commit_queue_counters(s->queue);
    number(out, "marline_http_requests_total", "counter", "HTTP requests", http.requests);
    number(out, "marline_http_refused_total", "counter",
           "HTTP requests refused before they were read whole", http.refused);
    number(out, "marline_http_requests_active", "gauge", "HTTP requests under way", http.under_way);
    struct enricher_counters enricher = enricher_counters(s->enricher);
    number(out, "marline_enrichments_total", "counter", "Enrichments of traces stored",
           enricher.enriched);
    number(out, "marline_enricher_behind", "gauge",
           "1 while spans are stored that are not enriched or not in the full-text index",
           enricher.is_behind);
    number(out, "marline_store_writes_total", "counter", "Writes carried out", queue.writes);
    number(out, "marline_store_transactions_total", "counter", "Transactions committed",
           queue.transactions);
    number(out, "marline_store_failed_transactions_total", "counter", "Transactions that failed",
           queue.failed_transactions);
    number(out, "marline_store_writes_waiting", "gauge", "Writes that wait", queue.waiting);
    number(out, "marline_store_writes_refused_total", "counter", "Writes refused, the queue full",
           queue.refused);
}

struct metrics_request {
    struct hub_job job;
    struct http_request *request;
};

/* On the loop. */
static void tell_metrics(struct hub *hub, struct hub_job *job)
{
    struct metrics_request *q = LIST_ENTRY(job, struct metrics_request, job);
    struct server *s = http_request_server(q->request);
    struct hub_counters counters = hub_counters(hub);
    struct buffer body = BUFFER_INIT;
    write_linking(&body, &counters);
    write_ingest(&body, &s->ingest);
    write_agents(&body, &counters);
    write_server(&body, s);
    write_forwarding(&body, s->forwarder);
    http_answer(q->request, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
    marline__memory_free(q);
}

static void get_metrics(struct http_request *r)
{
    struct metrics_request *q = alloc_zeroed(sizeof(*q));
    q->request = r;
    q->job.run = tell_metrics;
    hub_post(http_request_server(r)->hub, &q->job);
}

const struct route routes_health[] = {
    {"GET", "/healthz", ROUTE_OPEN, get_healthz, "Alive"},
    {"GET", "/readyz", ROUTE_OPEN, get_readyz, "The store answers"},
    {"GET", "/metrics", ROUTE_OPEN, get_metrics, "Counters in Prometheus' text format"},
    {0},
};
