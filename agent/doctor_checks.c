/* What can keep an agent from working, asked one by one. */
#include "agent/doctor_checks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/http_client.h"
#include "io/look_up.h"
#include "io/url.h"
#include "io/websocket_client.h"
#include "programs/must.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    REQUEST_TIMEOUT_MS = 10000,
    HANDSHAKE_TIMEOUT_S = 10,
    MESSAGE_MAX = 1024 * 1024, /* as the platform's own SDK takes */
    SKEW_MAX_S = 30, /* beyond, spans and results are sorted wrongly by eye and by query */
};

struct patient {
    const struct connection *connection;
    struct url url;
    struct addrinfo *addresses;
    struct http_client *http;
    struct http_response response;
    char *authorization;
    uint64_t asked_ns; /* monotonic, of the last request */
};

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

struct patient *patient_create(const struct connection *connection)
{
    struct patient *p = must_zeroed(sizeof *p);
    struct buffer b = BUFFER_INIT;
    p->connection = connection;
    p->response = HTTP_RESPONSE_INIT;
    struct http_client_options options = {.tls = {.ca_file = connection->ca_file,
                                                  .certificate_file = connection->certificate_file,
                                                  .key_file = connection->key_file}};
    p->http = must(marline__http_client_create(&options));
    marline__buffer_append_format(&b, "Authorization: Bearer %s", connection->api_key);
    must_buffer(&b);
    p->authorization = marline__buffer_take(&b);
    return p;
}

void patient_destroy(struct patient *p)
{
    if (p->addresses) {
        freeaddrinfo(p->addresses);
    }
    explicit_bzero(p->authorization, strlen(p->authorization));
    marline__memory_free(p->authorization);
    marline__http_response_deinit(&p->response);
    marline__http_client_destroy(p->http);
    marline__memory_free(p);
}

/* ---- findings ---- */

static void __attribute__((format(printf, 2, 3)))
find_well(struct finding *f, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(f->text, sizeof f->text, format, arguments);
    va_end(arguments);
    f->kind = FINDING_OK;
}

static void __attribute__((format(printf, 4, 5)))
find_fault(struct finding *f, enum exit_code code, const char *advice, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(f->text, sizeof f->text, format, arguments);
    va_end(arguments);
    (void)snprintf(f->advice, sizeof f->advice, "%s", advice);
    f->kind = code == EXIT_CODE_OK ? FINDING_WARNING : FINDING_FAILURE;
    f->code = code;
}

/* ---- the network ---- */

static void check_name(struct patient *p, struct finding *out)
{
    const char *reason = NULL;
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (!marline__url_parse(marline__slice_text(p->connection->base_url), &p->url, &reason)) {
        find_fault(out, EXIT_CODE_CONFIGURATION, "set RHESIS_BASE_URL to http(s)://host[:port]",
                   "%s: %s", p->connection->base_url, reason);
        return;
    }
    (void)snprintf(port, sizeof port, "%u", (unsigned)p->url.port);
    int error = getaddrinfo(p->url.host, port, &hints, &p->addresses);
    if (error) {
        find_fault(out, EXIT_CODE_UNREACHABLE,
                   "check the host in RHESIS_BASE_URL, and this machine's DNS", "%s: %s",
                   p->url.host, gai_strerror(error));
        return;
    }
    if (marline__address_is_numeric(p->url.host)) {
        find_well(out, "%s is an address: there is nothing to look up", p->url.host);
        return;
    }
    char address[128] = "";
    (void)getnameinfo(p->addresses->ai_addr, p->addresses->ai_addrlen, address, sizeof address,
                      NULL, 0, NI_NUMERICHOST);
    find_well(out, "%s is %s", p->url.host, address);
}

/* Returns 0, or the errno of the failure. */
static int connect_to(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0) {
        return errno;
    }
    int error = connect(fd, a->ai_addr, a->ai_addrlen) ? errno : 0;
    struct pollfd end = {fd, POLLOUT, 0};
    if (error == EINPROGRESS) {
        socklen_t size = sizeof error;
        error = ETIMEDOUT;
        if (poll(&end, 1, CONNECT_TIMEOUT_MS) == 1 &&
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
            error = errno;
        }
    }
    (void)close(fd);
    return error;
}

static void check_reach(struct patient *p, struct finding *out)
{
    int error = ECONNREFUSED;
    uint64_t start = now_ns();
    for (const struct addrinfo *a = p->addresses; a; a = a->ai_next) {
        error = connect_to(a);
        if (error == 0) {
            find_well(out, "port %u answers in %.1f ms", (unsigned)p->url.port,
                      (double)(now_ns() - start) / (double)NS_PER_MS);
            return;
        }
    }
    find_fault(out, EXIT_CODE_UNREACHABLE,
               error == ECONNREFUSED
                   ? "nothing listens there: start the backend, or mend the port in RHESIS_BASE_URL"
                   : "a firewall or a missing route: check that this machine may reach the backend",
               "%s port %u: %s", p->url.host, (unsigned)p->url.port, strerror(error));
}

/* ---- HTTP ---- */

/* The port has answered, so what fails is what is spoken there. */
static void explain_no_answer(const struct patient *p, marline_status status, const char *text,
                              struct finding *out)
{
    bool lacks_certificate = p->url.secure && !p->connection->certificate_file;
    if (p->url.secure && strstr(text, "answers without TLS")) {
        find_fault(out, EXIT_CODE_UNREACHABLE,
                   "the port answers without TLS: check scheme (http, not https?) and port of "
                   "RHESIS_BASE_URL",
                   "%s", text);
    } else if (lacks_certificate && strstr(text, "wants a client certificate")) {
        find_fault(out, EXIT_CODE_REFUSED,
                   "the backend wants a client certificate: give one by "
                   "--client-certificate-file and --client-key-file",
                   "%s", text);
    } else if (status == MARLINE_EAUTH) {
        find_fault(out, EXIT_CODE_REFUSED,
                   "the certificate is not trusted here: install the backend's CA (or name it by "
                   "--ca-file), or mend its certificate",
                   "%s", text);
    } else if (status == MARLINE_EPROTO) {
        find_fault(
            out, EXIT_CODE_UNREACHABLE,
            "this is no HTTP server: check scheme (http or https) and port of RHESIS_BASE_URL",
            "%s", text);
    } else {
        find_fault(out, EXIT_CODE_UNREACHABLE,
                   lacks_certificate
                       ? "check scheme and port of RHESIS_BASE_URL; where the backend wants a "
                         "client certificate, give one by --client-certificate-file"
                       : "check scheme and port of RHESIS_BASE_URL",
                   "%s", text);
    }
}

static bool request(struct patient *p, const char *path, const char *body, struct finding *out)
{
    struct buffer url = BUFFER_INIT;
    const char *host = p->url.host;
    marline__buffer_append_format(&url, p->url.is_ipv6 ? "%s://[%s]:%u%s%s" : "%s://%s:%u%s%s",
                                  p->url.secure ? "https" : "http", host, (unsigned)p->url.port,
                                  p->url.path, path);
    must_buffer(&url);
    const char *headers[] = {p->authorization, "Content-Type: application/json"};
    struct http_request r = {.url = url.data,
                             .headers = headers,
                             .header_count = 2,
                             .body = marline__slice_text(body),
                             .timeout_ms = REQUEST_TIMEOUT_MS};
    marline_error error = {0};
    p->asked_ns = now_ns();
    marline_status status = marline__http_client_perform(p->http, &r, &p->response, &error);
    marline__buffer_deinit(&url);
    if (status) {
        explain_no_answer(p, status, error.text, out);
    }
    return status == MARLINE_OK;
}

static void check_http(struct patient *p, struct finding *out)
{
    if (!request(p, "/health", NULL, out)) {
        return;
    }
    double ms = (double)(now_ns() - p->asked_ns) / (double)NS_PER_MS;
    int status = p->response.status;
    if (status == 200) {
        find_well(out, "%s, GET /health answers 200 in %.1f ms",
                  p->url.secure ? "TLS verified" : "no TLS", ms);
    } else if (status >= 500) {
        find_fault(out, EXIT_CODE_UNREACHABLE, "look into the backend's log, and try again later",
                   "GET /health answers HTTP %d", status);
    } else {
        find_fault(out, EXIT_CODE_CONFIGURATION,
                   "another service answers there: check host, port and path of RHESIS_BASE_URL",
                   "GET /health answers HTTP %d", status);
    }
}

static void check_clock(struct patient *p, struct finding *out)
{
    struct tm tm = {0};
    const char *end = strptime(p->response.date, "%a, %d %b %Y %H:%M:%S", &tm);
    if (!end) {
        find_well(out, "the backend does not tell its time");
        return;
    }
    double skew = difftime(timegm(&tm), time(NULL));
    if (fabs(skew) > SKEW_MAX_S) {
        find_fault(out, EXIT_CODE_OK, "set this machine's clock (timedatectl), or the backend's",
                   "the clocks differ by %.0f s", fabs(skew));
    } else {
        find_well(out, "the clocks differ by less than %.0f s", fabs(skew) + 1);
    }
}

static void check_key(struct patient *p, struct finding *out)
{
    if (!request(p, "/tokens/current", NULL, out)) {
        return;
    }
    int status = p->response.status;
    if (status == 401 || status == 403) {
        find_fault(out, EXIT_CODE_REFUSED,
                   "the key is wrong, expired or revoked: give a valid one by RHESIS_API_KEY, "
                   "--api-key-file, RHESIS_API_KEY_FILE or api_key_file in the configuration",
                   "GET /tokens/current answers HTTP %d", status);
    } else if (status == 200) {
        find_well(out, "accepted");
    } else {
        find_fault(out, EXIT_CODE_OK, "the checks of the channels below will show whether it works",
                   "GET /tokens/current answers HTTP %d: the key cannot be judged by it", status);
    }
}

static void check_project(struct patient *p, struct finding *out)
{
    char path[256];
    (void)snprintf(path, sizeof path, "/connector/status/%s?environment=%s",
                   p->connection->project_id, p->connection->environment);
    if (!request(p, path, NULL, out)) {
        return;
    }
    int status = p->response.status;
    if (status == 200) {
        bool is_connected = memmem(p->response.body.data, p->response.body.size,
                                   "\"connected\":true", strlen("\"connected\":true")) != NULL;
        find_well(out, "%s (%s), %s", p->connection->project_id, p->connection->environment,
                  is_connected ? "an agent serves it now" : "no agent serves it now");
    } else if (status == 403 || status == 404) {
        find_fault(out, EXIT_CODE_REFUSED,
                   "check RHESIS_PROJECT_ID, and that the key's user is a member of the project",
                   status == 403 ? "the key, which is valid, may not use the project %s (HTTP %d)"
                                 : "the backend knows no project %s (HTTP %d)",
                   p->connection->project_id, status);
    } else {
        find_fault(out, EXIT_CODE_UNREACHABLE, "look into the backend's log", "project %s: HTTP %d",
                   p->connection->project_id, status);
    }
}

/* ---- both channels ---- */

static void check_tracing(struct patient *p, struct finding *out)
{
    /* A POST without spans is refused for its shape, and by that shows that route and key are in
     * order, with nothing stored. */
    if (!request(p, "/telemetry/traces", "{\"spans\":[]}", out)) {
        return;
    }
    int status = p->response.status;
    if (status == 422 || (status >= 200 && status < 300)) {
        find_well(out, "POST /telemetry/traces is answered");
    } else if (status == 401 || status == 403) {
        find_fault(out, EXIT_CODE_REFUSED, "the key may not send traces: ask for that permission",
                   "POST /telemetry/traces answers HTTP %d", status);
    } else {
        find_fault(out, status >= 500 ? EXIT_CODE_UNREACHABLE : EXIT_CODE_CONFIGURATION,
                   "check the path of RHESIS_BASE_URL, and any proxy before the backend",
                   "POST /telemetry/traces answers HTTP %d", status);
    }
}

struct handshake {
    struct websocket_client *ws;
    bool is_over;
    bool is_open;
    int http_status;
    char reason[DOCTOR_TEXT_SIZE / 2];
};

/* The loop may be about to wait for something that does not matter any more. */
static void end_handshake(struct handshake *h)
{
    h->is_over = true;
    marline__websocket_wake(h->ws);
}

static void on_opened(void *user)
{
    struct handshake *h = user;
    h->is_open = true;
    marline__websocket_close(h->ws, WEBSOCKET_CLOSE_NORMAL, "");
}

static void on_refused(void *user, int http_status, const char *reason)
{
    struct handshake *h = user;
    h->http_status = http_status;
    (void)snprintf(h->reason, sizeof h->reason, "%s", reason ? reason : "");
    end_handshake(h);
}

static void on_text(void *user, struct slice message)
{
    (void)user;
    (void)message;
}

static void on_closed(void *user, const struct websocket_end *end)
{
    struct handshake *h = user;
    (void)end;
    end_handshake(h);
}

static void on_nothing(void *user)
{
    (void)user;
}

static void on_timer(void *user)
{
    struct handshake *h = user;
    if (!h->is_over && !h->is_open) {
        (void)snprintf(h->reason, sizeof h->reason, "no answer in %d s", HANDSHAKE_TIMEOUT_S);
    }
    end_handshake(h);
}

static void judge_handshake(const struct handshake *h, struct finding *out)
{
    if (h->is_open) {
        find_well(out, "the WebSocket at /connector/ws opens");
    } else if (h->http_status == 401 || h->http_status == 403) {
        find_fault(out, EXIT_CODE_REFUSED, "the key may not connect an agent: check RHESIS_API_KEY",
                   "the upgrade is answered HTTP %d", h->http_status);
    } else if (h->http_status) {
        find_fault(out, EXIT_CODE_UNREACHABLE,
                   "a proxy before the backend must pass WebSocket upgrades of /connector/ws on",
                   "the upgrade is answered HTTP %d", h->http_status);
    } else {
        find_fault(out, EXIT_CODE_UNREACHABLE,
                   "a proxy before the backend must pass WebSocket upgrades of /connector/ws on",
                   "the WebSocket does not open: %s", h->reason);
    }
}

static void check_testing(struct patient *p, struct finding *out)
{
    struct handshake h = {0};
    struct buffer url = BUFFER_INIT;
    struct websocket_header headers[] = {
        {"Authorization", p->authorization + strlen("Authorization: ")},
        {"X-Rhesis-Project", p->connection->project_id},
        {"X-Rhesis-Environment", p->connection->environment}};
    const struct websocket_events events = {.opened = on_opened,
                                            .refused = on_refused,
                                            .text = on_text,
                                            .closed = on_closed,
                                            .writable = on_nothing,
                                            .woken = on_nothing,
                                            .timer = on_timer,
                                            .user = &h};
    marline_error error = {0};
    marline__buffer_append_format(
        &url, p->url.is_ipv6 ? "%s://[%s]:%u%s/connector/ws" : "%s://%s:%u%s/connector/ws",
        p->url.secure ? "wss" : "ws", p->url.host, (unsigned)p->url.port, p->url.path);
    must_buffer(&url);
    struct websocket_options options = {.url = url.data,
                                        .headers = headers,
                                        .header_count = 3,
                                        .message_max = MESSAGE_MAX,
                                        .tls = {.ca_file = p->connection->ca_file,
                                                .cert_file = p->connection->certificate_file,
                                                .key_file = p->connection->key_file},
                                        .connect_timeout_s = HANDSHAKE_TIMEOUT_S,
                                        .ping_after_s = 20,
                                        .hang_up_after_s = 40};
    marline_status status = marline__websocket_create(&options, &events, &h.ws, &error);
    if (status) {
        find_fault(out, EXIT_CODE_INTERNAL, "report this", "%s", error.text);
    } else {
        marline__websocket_set_timer(h.ws, (HANDSHAKE_TIMEOUT_S + 2) * NS_PER_S);
        marline__websocket_connect(h.ws);
        while (!h.is_over) {
            marline__websocket_run(h.ws);
        }
        marline__websocket_destroy(h.ws);
        judge_handshake(&h, out);
    }
    marline__buffer_deinit(&url);
}

const struct doctor_check *doctor_checks(size_t *out_count)
{
    static const struct doctor_check checks[] = {
        {"name", check_name},       {"reach", check_reach},     {"http", check_http},
        {"clock", check_clock},     {"key", check_key},         {"project", check_project},
        {"tracing", check_tracing}, {"testing", check_testing},
    };
    *out_count = sizeof checks / sizeof checks[0];
    return checks;
}

bool doctor_find_fault(const struct connection *connection, struct finding *out)
{
    size_t count;
    const struct doctor_check *checks = doctor_checks(&count);
    struct patient *p = patient_create(connection);
    *out = (struct finding){0};
    for (size_t i = 0; i < count && out->kind != FINDING_FAILURE; i++) {
        *out = (struct finding){0};
        checks[i].run(p, out);
    }
    patient_destroy(p);
    return out->kind == FINDING_FAILURE;
}
