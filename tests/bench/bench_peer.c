/* One connection at a time, one thread; see bench_peer.h. */
#include "bench_peer.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { TEXT_SIZE = 1024, RECEIVE_MAX = 64 * 1024, CONTROL_MAX = 4 };
enum { WAIT_S = 60 };

struct bench_peer {
    struct lws_context *context;
    struct lws *wsi;
    struct bench_load load;
    uint64_t *sent_ns;
    double *latency_us;
    double *duration_us;
    uint32_t sent;
    uint32_t answered;
    uint32_t unacknowledged;
    uint32_t acknowledged; /* answers for which an acknowledgement was written */
    uint32_t *answer_ids;
    const char *controls[CONTROL_MAX];
    uint32_t control_count;
    bool ready; /* the peer may be loaded */
    uint64_t first_ns;
    uint64_t last_ns;
    char received[RECEIVE_MAX];
    size_t received_size;
};

static const char connected_text[] =
    "{\"type\":\"connected\",\"status\":\"success\",\"capabilities\":[\"result_ack\","
    "\"span_count\",\"limits\"]}";
static const char registered_text[] = "{\"type\":\"registered\",\"status\":\"success\"}";

static void write_text(struct lws *wsi, const char *text, size_t size)
{
    static unsigned char room[LWS_PRE + TEXT_SIZE];
    memcpy(room + LWS_PRE, text, size);
    (void)lws_write(wsi, room + LWS_PRE, size, LWS_WRITE_TEXT);
}

static size_t format_invocation(char *out, uint32_t number)
{
    return (size_t)snprintf(
        out, TEXT_SIZE,
        "{\"type\":\"execute_test\",\"test_run_id\":\"b_%010u\",\"function_name\":\"noop\","
        "\"inputs\":{\"input\":\"hi\",\"_rhesis_test_context\":{"
        "\"test_run_id\":\"aaaaaaaa-0000-4000-8000-000000000001\","
        "\"test_id\":\"aaaaaaaa-0000-4000-8000-000000000002\","
        "\"test_configuration_id\":\"aaaaaaaa-0000-4000-8000-000000000003\","
        "\"test_result_id\":null}},\"parameters\":{},\"parameter_version\":null,"
        "\"parameter_experiment_id\":null,\"parameter_source\":null,"
        "\"parameter_source_environment\":null,\"parameter_schema\":null}",
        number);
}

static bool wants_to_send(const struct bench_peer *b)
{
    return b->ready && !b->load.silent && b->sent < b->load.messages &&
           b->sent - b->answered < b->load.at_once;
}

static void send_one(struct bench_peer *b)
{
    char text[TEXT_SIZE];
    if (b->control_count > 0) {
        const char *control = b->controls[0];
        memmove(b->controls, b->controls + 1, --b->control_count * sizeof b->controls[0]);
        write_text(b->wsi, control, strlen(control));
    } else if (b->acknowledged < b->unacknowledged) {
        size_t size = (size_t)snprintf(text, sizeof text,
                                       "{\"type\":\"result_ack\",\"test_run_id\":\"b_%010u\"}",
                                       b->answer_ids[b->acknowledged++]);
        write_text(b->wsi, text, size);
    } else if (wants_to_send(b)) {
        size_t size = format_invocation(text, b->sent);
        b->sent_ns[b->sent++] = bench_now_ns();
        write_text(b->wsi, text, size);
    }
    if (b->control_count > 0 || b->acknowledged < b->unacknowledged || wants_to_send(b)) {
        lws_callback_on_writable(b->wsi);
    }
}

static void take_answer(struct bench_peer *b, const char *text)
{
    const char *id = strstr(text, "\"b_");
    uint32_t number = id ? (uint32_t)strtoul(id + 3, NULL, 10) : UINT32_MAX;
    if (number >= b->load.messages || b->answered >= b->load.messages) {
        bench_check(false, "an answer to nothing that was asked");
        return;
    }
    b->last_ns = bench_now_ns();
    uint64_t since = b->load.silent ? b->first_ns : b->sent_ns[number];
    b->latency_us[b->answered] = (double)(b->last_ns - since) / 1000;
    const char *duration = strstr(text, "\"duration_ms\":");
    if (!b->load.echo && duration) {
        b->duration_us[b->answered] = strtod(duration + strlen("\"duration_ms\":"), NULL) * 1000;
    }
    if (!b->load.echo) {
        b->answer_ids[b->unacknowledged++] = number;
    }
    b->answered++;
}

static void take_text(struct bench_peer *b, const char *text)
{
    if (b->load.echo || strncmp(text, "{\"type\":\"test_result\"", 21) == 0) {
        take_answer(b, text);
    } else if (strncmp(text, "{\"type\":\"register\"", 18) == 0) {
        b->controls[b->control_count++] = registered_text;
        b->ready = true;
        b->first_ns = bench_now_ns();
    }
    lws_callback_on_writable(b->wsi);
}

static void open_peer(struct bench_peer *b, struct lws *wsi)
{
    b->wsi = wsi;
    b->received_size = 0;
    if (b->load.echo) {
        b->ready = true;
        b->first_ns = bench_now_ns();
    } else {
        b->controls[b->control_count++] = connected_text;
    }
    lws_callback_on_writable(wsi);
}

static void receive(struct bench_peer *b, const char *data, size_t size, bool is_final)
{
    if (size >= RECEIVE_MAX - b->received_size) {
        bench_check(false, "a message of the expected size");
        return;
    }
    memcpy(b->received + b->received_size, data, size);
    b->received_size += size;
    if (is_final) {
        b->received[b->received_size] = '\0';
        b->received_size = 0;
        take_text(b, b->received);
    }
}

static int handle(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
                  size_t size)
{
    (void)session;
    struct bench_peer *b = lws_context_user(lws_get_context(wsi));
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        open_peer(b, wsi);
        break;
    case LWS_CALLBACK_RECEIVE:
        receive(b, in, size, lws_is_final_fragment(wsi) != 0);
        break;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        send_one(b);
        break;
    case LWS_CALLBACK_CLOSED:
        b->wsi = NULL;
        break;
    default:
        break;
    }
    return 0;
}

static const struct lws_protocols protocols[] = {{"bench", handle, 0, RECEIVE_MAX, 0, NULL, 0},
                                                 {NULL, NULL, 0, 0, 0, NULL, 0}};

struct bench_peer *bench_peer_start(void)
{
    struct bench_peer *b = calloc(1, sizeof *b);
    lws_set_log_level(LLL_ERR, NULL);
    const struct lws_context_creation_info info = {
        .port = 0, .iface = "127.0.0.1", .protocols = protocols, .user = b, .gid = -1, .uid = -1};
    b->context = lws_create_context(&info);
    if (!b->context) {
        abort();
    }
    return b;
}

void bench_peer_stop(struct bench_peer *b)
{
    lws_context_destroy(b->context);
    free(b);
}

uint16_t bench_peer_port(const struct bench_peer *b)
{
    return (uint16_t)lws_get_vhost_listen_port(lws_get_vhost_by_name(b->context, "default"));
}

void bench_peer_serve(struct bench_peer *b)
{
    lws_service(b->context, -1);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

struct bench_figures bench_peer_measure(struct bench_peer *b, const struct bench_load *load)
{
    struct bench_figures figures = {0};
    struct lws_context *context = b->context;
    memset(b, 0, sizeof *b);
    b->context = context;
    b->load = *load;
    b->sent_ns = calloc(load->messages, sizeof *b->sent_ns);
    b->latency_us = calloc(load->messages, sizeof *b->latency_us);
    b->duration_us = calloc(load->messages, sizeof *b->duration_us);
    b->answer_ids = calloc(load->messages, sizeof *b->answer_ids);
    uint64_t give_up = bench_now_ns() + WAIT_S * 1000000000ull;
    while (b->answered < load->messages && bench_now_ns() < give_up) {
        lws_service(context, 0);
    }
    while (b->acknowledged < b->unacknowledged && b->wsi && bench_now_ns() < give_up) {
        lws_service(context, 0);
    }
    bench_check(b->answered == load->messages, "every message was answered, once");
    if (b->answered > 0) {
        qsort(b->latency_us, b->answered, sizeof *b->latency_us, compare);
        qsort(b->duration_us, b->answered, sizeof *b->duration_us, compare);
        figures.duration_p50_us = b->duration_us[b->answered / 2];
        figures.p50_us = b->latency_us[b->answered / 2];
        figures.p99_us = b->latency_us[(uint64_t)b->answered * 99 / 100];
        figures.per_second = b->answered * 1e9 / (double)(b->last_ns - b->first_ns);
        figures.answers = b->answered;
    }
    free(b->sent_ns);
    free(b->latency_us);
    free(b->duration_us);
    free(b->answer_ids);
    return figures;
}
