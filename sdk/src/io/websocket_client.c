/* The libwebsockets shell: one context, one vhost, one connection. What libwebsockets 4.1.6 leaves
 * open is done here: the cap while a message arrives in pieces, the range of close codes, the
 * one-byte Close (otel.md §9.2), and the look-up of the host, for which it would stop the loop: it
 * is given a numeric address, one after the other, and the name for the Host header and for TLS.
 *
 *   connect       -> dial            IDLE -> DIALLING
 *   look-up done  -> take_answer       first address
 *   no connection -> fail_attempt      next address, or refused -> IDLE
 *   out of time   -> fire_dial_timer   next address, or refused -> IDLE
 *   established   -> handle_open     -> OPEN */
#include "io/websocket_client.h"

#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/signals.h"
#include "io/look_up.h"
#include "io/url.h"

enum {
    CLOSE_REASON_MAX = 123,      /* RFC 6455 §5.5: a control frame has 125 bytes, 2 are the code */
    RECEIVE_CHUNK = 16 * 1024,   /* bytes per callback; large messages come in several */
    KEEP_CAPACITY = 64 * 1024,   /* buffers above this are given back after use */
    HEADERS_SIZE_MAX = 3 * 1024, /* libwebsockets builds the request in a 4 KiB buffer */
    DESCRIPTORS = 16,            /* of this context: socket, wake pipe, and room */
    REFUSAL_SIZE = URL_HOST_SIZE + 200,
    ADDRESS_WAIT_MS = 3000, /* for TCP and TLS to one address, while there are others */
};

enum connection { IDLE, DIALLING, OPEN };

struct websocket_client {
    struct lws_context *context;
    struct lws *wsi; /* of the connection, NULL when idle */
    enum connection connection;
    struct websocket_events events;
    lws_sorted_usec_list_t timer;
    lws_retry_bo_t idle_policy;
    struct url url;
    bool proxied; /* libwebsockets found $http_proxy: the name is the proxy's to look up */
    struct name_source names;
    struct look_up *look_up; /* outlives the attempt that asked for it, if it is slow */
    struct {
        struct look_up_answer route; /* the addresses */
        size_t next;
        bool attempting; /* libwebsockets is at work on an address */
        uint64_t give_up_ns;
        lws_sorted_usec_list_t timer;
    } dial;
    uint32_t connect_timeout_s;
    size_t message_max;
    char *headers[2 * WEBSOCKET_HEADERS_MAX]; /* "name:", "value", … owned */
    size_t header_count;

    struct buffer incoming;
    struct buffer outgoing; /* LWS_PRE bytes of room, then the message */
    int refused_status;
    bool closing; /* a Close of ours is due or was sent */
    uint16_t close_code;
    char close_reason[CLOSE_REASON_MAX + 1];
    struct {
        bool seen;
        uint16_t code;
        char reason[CLOSE_REASON_MAX];
        size_t reason_size;
    } peer_close;
};

/* ---- log ---- */

static void forward_log(int level, const char *line)
{
    size_t size = strcspn(line, "\n");
    bool is_told = strncmp(line, "SSL error:", sizeof "SSL error:" - 1) == 0; /* by `refused` */
    enum log_level ours = level & LLL_ERR && !is_told ? LOG_WARN : LOG_DEBUG;
    marline__log(ours, "libwebsockets: %.*s", (int)size, line);
}

static void set_log_once(void)
{
    lws_set_log_level(LLL_ERR | LLL_WARN, forward_log);
}

/* ---- ends ---- */

static void forget_connection(struct websocket_client *ws)
{
    ws->wsi = NULL;
    ws->connection = IDLE;
    ws->dial.attempting = false;
    lws_sul_cancel(&ws->dial.timer);
    ws->closing = false;
    ws->peer_close.seen = false;
    marline__buffer_deinit(&ws->incoming);
    marline__buffer_deinit(&ws->outgoing);
}

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

static void report_refused(struct websocket_client *ws, const char *reason)
{
    char text[REFUSAL_SIZE];
    char tried[48] = "";
    size_t count = ws->dial.route.count;
    if (count > 1 && ws->dial.next == count) {
        (void)snprintf(tried, sizeof tried, " (%zu addresses tried)", count);
    }
    (void)snprintf(text, sizeof text, "%s:%u: %s%s", ws->url.host, ws->url.port,
                   reason ? reason : "connection failed", tried);
    int status = ws->refused_status;
    forget_connection(ws);
    ws->events.refused(ws->events.user, status, text);
}

static void report_closed(struct websocket_client *ws)
{
    if (ws->connection != OPEN) {
        return;
    }
    struct websocket_end end = {WEBSOCKET_CLOSE_ABNORMAL, false, SLICE_EMPTY};
    char reason[CLOSE_REASON_MAX];
    if (ws->peer_close.seen) {
        memcpy(reason, ws->peer_close.reason, ws->peer_close.reason_size);
        end.code = ws->peer_close.code;
        end.reason = (struct slice){reason, ws->peer_close.reason_size};
        end.by_peer = !ws->closing;
    } else if (ws->closing) {
        end.code = ws->close_code;
    }
    forget_connection(ws);
    ws->events.closed(ws->events.user, &end);
}

static void set_close(struct websocket_client *ws, uint16_t code, const char *reason)
{
    ws->closing = true;
    ws->close_code = code;
    (void)snprintf(ws->close_reason, sizeof ws->close_reason, "%s", reason ? reason : "");
}

/* What a callback returns to have the Close sent and the connection ended. */
static int close_now(struct websocket_client *ws)
{
    lws_close_reason(ws->wsi, (enum lws_close_status)ws->close_code,
                     (unsigned char *)ws->close_reason, strlen(ws->close_reason));
    return -1;
}

static int refuse(struct websocket_client *ws, uint16_t code, const char *reason)
{
    set_close(ws, code, reason);
    return close_now(ws);
}

static bool is_wire_code(uint16_t code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != WEBSOCKET_CLOSE_NO_CODE &&
            code != WEBSOCKET_CLOSE_ABNORMAL) ||
           (code >= 3000 && code <= 4999);
}

/* WS-08, WS-09. Returning 0 lets libwebsockets echo the Close. */
static int take_peer_close(struct websocket_client *ws, const unsigned char *payload, size_t size)
{
    ws->peer_close.seen = true;
    ws->peer_close.reason_size = 0;
    ws->peer_close.code = WEBSOCKET_CLOSE_NO_CODE;
    if (size == 0) {
        return 0;
    }
    uint16_t code = size >= 2 ? (uint16_t)(payload[0] << 8 | payload[1]) : 0;
    if (!is_wire_code(code)) {
        ws->peer_close.code = WEBSOCKET_CLOSE_PROTOCOL;
        lws_close_reason(ws->wsi, LWS_CLOSE_STATUS_PROTOCOL_ERR, NULL, 0);
        return -1;
    }
    ws->peer_close.code = code;
    size_t reason_size = size - 2 < CLOSE_REASON_MAX ? size - 2 : CLOSE_REASON_MAX;
    memcpy(ws->peer_close.reason, payload + 2, reason_size);
    ws->peer_close.reason_size = reason_size;
    return 0;
}

/* ---- receiving ---- */

static int take_text(struct websocket_client *ws, const void *data, size_t size)
{
    if (ws->closing) {
        return 0;
    }
    if (lws_frame_is_binary(ws->wsi)) {
        return refuse(ws, WEBSOCKET_CLOSE_WRONG_TYPE, "text messages only");
    }
    if (size > ws->message_max - ws->incoming.size) {
        return refuse(ws, WEBSOCKET_CLOSE_TOO_BIG, "message too large");
    }
    bool whole = lws_is_final_fragment(ws->wsi) != 0;
    if (whole && ws->incoming.size == 0) {
        ws->events.text(ws->events.user, (struct slice){size ? data : "", size});
        return 0;
    }
    marline__buffer_append(&ws->incoming, data, size);
    if (ws->incoming.failed) {
        return refuse(ws, WEBSOCKET_CLOSE_TOO_BIG, "out of memory");
    }
    if (whole) {
        ws->events.text(ws->events.user, marline__buffer_slice(&ws->incoming));
        if (ws->incoming.capacity > KEEP_CAPACITY) {
            marline__buffer_deinit(&ws->incoming);
        } else {
            marline__buffer_clear(&ws->incoming);
        }
    }
    return 0;
}

static int handle(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
                  size_t size);

static const struct lws_protocols protocols[] = {
    {"marline", handle, 0, RECEIVE_CHUNK, 0, NULL, 0},
    {NULL, NULL, 0, 0, 0, NULL, 0},
};

/* ---- dialling ---- */

static void fire_dial_timer(lws_sorted_usec_list_t *timer);

static void set_dial_timer(struct websocket_client *ws, uint64_t at_ns)
{
    uint64_t now = now_ns();
    lws_sul_schedule(ws->context, 0, &ws->dial.timer, fire_dial_timer,
                     at_ns > now ? (lws_usec_t)((at_ns - now + 999) / 1000) : 1);
}

/* An address that was found before the time is up is tried, in what is left of it. */
static bool may_try_next(const struct websocket_client *ws)
{
    return ws->dial.next < ws->dial.route.count && now_ns() < ws->dial.give_up_ns;
}

/* Ends the attempt at one address, once. The next one starts from the timer: libwebsockets may be
 * in the middle of the old one. A peer that answered is the right one, whatever it said. */
static void fail_attempt(struct websocket_client *ws, const char *reason, bool is_answer)
{
    if (ws->connection != DIALLING || !ws->dial.attempting) {
        return;
    }
    ws->dial.attempting = false;
    ws->wsi = NULL;
    if (!is_answer && may_try_next(ws)) {
        set_dial_timer(ws, now_ns());
    } else {
        report_refused(ws, reason);
    }
}

static void start_attempt(struct websocket_client *ws, const char *address)
{
    char host[URL_HOST_SIZE + 16];
    bool standard = ws->url.port == (ws->url.secure ? 443 : 80);
    (void)snprintf(host, sizeof host, ws->url.is_ipv6 ? "[%s]" : "%s", ws->url.host);
    if (!standard) {
        size_t used = strlen(host);
        (void)snprintf(host + used, sizeof host - used, ":%u", ws->url.port);
    }
    struct lws_client_connect_info info = {
        .context = ws->context,
        .address = address,
        .port = ws->url.port,
        .path = ws->url.path[0] ? ws->url.path : "/",
        .host = host, /* TLS asks for this name, and verifies it */
        .ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (ws->url.secure ? LCCSCF_USE_SSL : 0),
        .ietf_version_or_minus_one = -1,
        .local_protocol_name = protocols[0].name,
        .retry_and_idle_policy = &ws->idle_policy,
        .pwsi = &ws->wsi,
    };
    ws->refused_status = 0;
    ws->dial.attempting = true;
    if (!lws_client_connect_via_info(&info)) {
        fail_attempt(ws, "could not start to connect", false);
    }
}

static void try_next_address(struct websocket_client *ws)
{
    const char *address = ws->dial.route.addresses[ws->dial.next++];
    bool last = ws->dial.next == ws->dial.route.count;
    uint64_t soon = now_ns() + ADDRESS_WAIT_MS * NS_PER_MS;
    set_dial_timer(ws, last || soon > ws->dial.give_up_ns ? ws->dial.give_up_ns : soon);
    start_attempt(ws, address);
}

/* Reads the look-up if it is done. */
static void take_answer(struct websocket_client *ws)
{
    const struct look_up_answer *answer = ws->look_up ? marline__look_up_answer(ws->look_up) : NULL;
    if (!answer || ws->connection != DIALLING) {
        return;
    }
    ws->dial.route = *answer;
    marline__look_up_release(ws->look_up);
    ws->look_up = NULL;
    if (ws->dial.route.error) {
        report_refused(ws, ws->dial.route.error);
    } else {
        try_next_address(ws);
    }
}

static void wake_for_answer(void *user)
{
    marline__websocket_wake(user);
}

/* A look-up of an earlier attempt that is still under way is waited for: there is one at most. */
static void look_up(struct websocket_client *ws)
{
    if (ws->look_up) {
        take_answer(ws);
        return;
    }
    if (marline__look_up_start(&ws->names, ws->url.host, wake_for_answer, ws, &ws->look_up) !=
        MARLINE_OK) {
        report_refused(ws, "could not start to look the name up: out of memory or threads");
    }
}

static void dial(struct websocket_client *ws)
{
    ws->connection = DIALLING;
    ws->refused_status = 0;
    ws->dial.route = (struct look_up_answer){0};
    ws->dial.next = 0;
    ws->dial.give_up_ns = now_ns() + ws->connect_timeout_s * NS_PER_S;
    set_dial_timer(ws, ws->dial.give_up_ns);
    if (ws->proxied || marline__address_is_numeric(ws->url.host)) {
        start_attempt(ws, ws->url.host);
    } else {
        look_up(ws);
    }
}

static void fire_dial_timer(lws_sorted_usec_list_t *timer)
{
    struct websocket_client *ws = lws_container_of(timer, struct websocket_client, dial.timer);
    if (ws->connection != DIALLING) {
        return;
    }
    if (ws->dial.attempting && ws->wsi) { /* its end is the attempt's: WSI_DESTROY */
        lws_set_timeout(ws->wsi, PENDING_TIMEOUT_AWAITING_CONNECT_RESPONSE, LWS_TO_KILL_ASYNC);
    } else if (may_try_next(ws)) {
        try_next_address(ws);
    } else {
        report_refused(ws, "the name server did not answer in time");
    }
}

/* ---- the callback ---- */

/* libwebsockets' own text for a certificate that failed is a number. NULL: none failed. */
static const char *explain_tls(const struct websocket_client *ws, struct lws *wsi)
{
    SSL *ssl = ws->url.secure ? lws_get_ssl(wsi) : NULL;
    long verdict = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    return verdict == X509_V_OK ? NULL : X509_verify_cert_error_string(verdict);
}

static int add_headers(struct websocket_client *ws, struct lws *wsi, unsigned char **at,
                       size_t size)
{
    unsigned char *end = *at + size;
    for (size_t i = 0; i < ws->header_count; i++) {
        const char *value = ws->headers[2 * i + 1];
        if (lws_add_http_header_by_name(wsi, (const unsigned char *)ws->headers[2 * i],
                                        (const unsigned char *)value, (int)strlen(value), at,
                                        end) != 0) {
            return -1;
        }
    }
    return 0;
}

static int handle_open(struct websocket_client *ws)
{
    ws->connection = OPEN;
    ws->dial.attempting = false;
    lws_sul_cancel(&ws->dial.timer);
    ws->events.opened(ws->events.user);
    return 0;
}

static void fail_handshake(struct websocket_client *ws, struct lws *wsi, const char *reason)
{
    const char *tls = explain_tls(ws, wsi);
    if (ws->dial.attempting) {
        ws->refused_status = (int)lws_http_client_http_response(wsi);
    }
    fail_attempt(ws, tls ? tls : reason, tls || ws->refused_status != 0);
}

static int handle_writable(struct websocket_client *ws)
{
    if (ws->closing) {
        return close_now(ws);
    }
    ws->events.writable(ws->events.user);
    return 0;
}

static int handle(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
                  size_t size)
{
    (void)session;
    struct lws_context *context = wsi ? lws_get_context(wsi) : NULL;
    struct websocket_client *ws = context ? lws_context_user(context) : NULL;
    if (!ws) {
        return 0;
    }
    switch (reason) {
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        take_answer(ws);
        ws->events.woken(ws->events.user);
        return 0;
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        set_dial_timer(ws, ws->dial.give_up_ns); /* this address is the one */
        return add_headers(ws, wsi, in, size);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        fail_handshake(ws, wsi, in);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        /* A server that takes the connection and never answers the upgrade: 4.1.6 drops the
         * connection after timeout_secs and says nothing else. */
        if (wsi == ws->wsi) {
            fail_attempt(ws, "the server did not answer the handshake in time", false);
        }
        return 0;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        ws->wsi = wsi;
        return handle_open(ws);
    default:
        break;
    }
    if (ws->connection != OPEN || wsi != ws->wsi) {
        return 0;
    }
    switch (reason) {
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return take_text(ws, in, size);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        if (ws->events.alive) {
            ws->events.alive(ws->events.user);
        }
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return handle_writable(ws);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        return take_peer_close(ws, in, size);
    case LWS_CALLBACK_CLIENT_CLOSED:
        report_closed(ws);
        return 0;
    default:
        return 0;
    }
}

/* ---- life ---- */

static void fire_timer(lws_sorted_usec_list_t *timer)
{
    struct websocket_client *ws = lws_container_of(timer, struct websocket_client, timer);
    ws->events.timer(ws->events.user);
}

static bool is_loopback(const struct url *url)
{
    return strcmp(url->host, "localhost") == 0 || strncmp(url->host, "127.", 4) == 0 ||
           strcmp(url->host, "::1") == 0;
}

/* Creating a context sets SIGPIPE to ignored for the whole process; a library must not. The thread
 * that runs the loop has the signal blocked instead. */
static struct lws_context *create_context(const struct lws_context_creation_info *info)
{
    struct sigaction before;
    sigaction(SIGPIPE, NULL, &before);
    struct lws_context *context = lws_create_context(info);
    sigaction(SIGPIPE, &before, NULL);
    return context;
}

static bool open_context(struct websocket_client *ws, const struct websocket_options *options)
{
    static pthread_once_t log_once = PTHREAD_ONCE_INIT;
    pthread_once(&log_once, set_log_once);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .user = ws,
        .gid = -1,
        .uid = -1,
        .options = LWS_SERVER_OPTION_VALIDATE_UTF8,
        .fd_limit_per_thread = DESCRIPTORS,
        .timeout_secs = options->connect_timeout_s,
        .connect_timeout_secs = options->connect_timeout_s,
    };
    const char *proxy = getenv("http_proxy");
    if (is_loopback(&ws->url)) {
        info.http_proxy_address = "none:0"; /* port 0 = no proxy, $http_proxy is not looked at */
    } else {
        ws->proxied = proxy && proxy[0] != '\0';
    }
    if (ws->url.secure) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.client_ssl_ca_filepath = options->tls.ca_file;
        info.client_ssl_cert_filepath = options->tls.cert_file;
        info.client_ssl_private_key_filepath = options->tls.key_file;
    }
    ws->context = create_context(&info);
    return ws->context != NULL;
}

static bool is_header_text(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static marline_status copy_headers(struct websocket_client *ws,
                                   const struct websocket_options *options, const char **out_reason)
{
    size_t total = 0;
    *out_reason = "a header holds a control character, or the headers are too long";
    if (options->header_count > WEBSOCKET_HEADERS_MAX) {
        return MARLINE_EINVAL;
    }
    for (size_t i = 0; i < options->header_count; i++) {
        const struct websocket_header *header = &options->headers[i];
        total += strlen(header->name) + strlen(header->value) + 4;
        if (!is_header_text(header->name) || !is_header_text(header->value) ||
            total > HEADERS_SIZE_MAX) {
            return MARLINE_EINVAL;
        }
        struct buffer name = BUFFER_INIT;
        marline__buffer_append_text(&name, header->name);
        marline__buffer_append_byte(&name, ':');
        ws->header_count++;
        ws->headers[2 * i] = marline__buffer_take(&name);
        ws->headers[2 * i + 1] = marline__memory_text(header->value);
        if (!ws->headers[2 * i] || !ws->headers[2 * i + 1]) {
            *out_reason = "out of memory";
            return MARLINE_ENOMEM;
        }
    }
    return MARLINE_OK;
}

/* libwebsockets goes on without a file that it cannot read. NULL: all are readable. */
static const char *unreadable_file(const struct websocket_tls *tls)
{
    const char *const files[] = {tls->ca_file, tls->cert_file, tls->key_file};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] && access(files[i], R_OK) != 0) {
            return files[i];
        }
    }
    return NULL;
}

static marline_status set_up(struct websocket_client *ws, const struct websocket_options *options,
                             const char **out_reason)
{
    if (!marline__url_parse(marline__slice_text(options->url), &ws->url, out_reason)) {
        return MARLINE_EINVAL;
    }
    marline_status status = copy_headers(ws, options, out_reason);
    if (status != MARLINE_OK) {
        return status;
    }
    ws->message_max = options->message_max;
    ws->connect_timeout_s = options->connect_timeout_s;
    ws->names = options->names ? *options->names : *marline__name_source_system();
    ws->idle_policy.secs_since_valid_ping = options->ping_after_s;
    ws->idle_policy.secs_since_valid_hangup = options->hang_up_after_s;
    if (!open_context(ws, options)) {
        *out_reason = "libwebsockets could not be set up: out of memory or descriptors, or a TLS "
                      "file that is not what it should be";
        return MARLINE_EIO;
    }
    return MARLINE_OK;
}

static marline_status fail(marline_error *error, marline_status status, const char *url,
                           const char *reason, const char *file)
{
    if (error) {
        error->code = status;
        (void)snprintf(error->text, sizeof error->text, "WebSocket to %s: %s%s", url ? url : "",
                       reason, file ? file : "");
    }
    return status;
}

marline_status marline__websocket_create(const struct websocket_options *options,
                                         const struct websocket_events *events,
                                         struct websocket_client **out, marline_error *error)
{
    const char *file = unreadable_file(&options->tls);
    if (file) {
        return fail(error, MARLINE_EIO, options->url, "cannot read the TLS file ", file);
    }
    struct websocket_client *ws = marline__memory_zeroed(sizeof *ws);
    if (!ws) {
        return fail(error, MARLINE_ENOMEM, options->url, "out of memory", NULL);
    }
    const char *reason = "";
    ws->events = *events;
    marline_status status = set_up(ws, options, &reason);
    if (status != MARLINE_OK) {
        marline__websocket_destroy(ws);
        return fail(error, status, options->url, reason, NULL);
    }
    *out = ws;
    return MARLINE_OK;
}

void marline__websocket_destroy(struct websocket_client *ws)
{
    if (!ws) {
        return;
    }
    ws->connection = IDLE; /* no more events */
    marline__look_up_release(ws->look_up);
    if (ws->context) {
        struct sigpipe_hold hold; /* TLS says goodbye to a peer that may be gone */
        lws_sul_cancel(&ws->timer);
        lws_sul_cancel(&ws->dial.timer);
        marline__sigpipe_hold(&hold);
        lws_context_destroy(ws->context);
        marline__sigpipe_release(&hold);
    }
    for (size_t i = 0; i < 2 * ws->header_count; i++) {
        marline__memory_free(ws->headers[i]);
    }
    marline__buffer_deinit(&ws->incoming);
    marline__buffer_deinit(&ws->outgoing);
    marline__memory_free(ws);
}

/* ---- doing ---- */

void marline__websocket_connect(struct websocket_client *ws)
{
    if (ws->connection == IDLE) {
        dial(ws);
    }
}

void marline__websocket_want_write(struct websocket_client *ws)
{
    if (ws->connection == OPEN) {
        lws_callback_on_writable(ws->wsi);
    }
}

marline_status marline__websocket_write_text(struct websocket_client *ws, struct slice text)
{
    static const char room[LWS_PRE];
    struct buffer *b = &ws->outgoing;
    marline__buffer_clear(b);
    marline__buffer_append(b, room, sizeof room);
    marline__buffer_append_slice(b, text);
    if (b->failed) {
        return MARLINE_ENOMEM;
    }
    int written =
        lws_write(ws->wsi, (unsigned char *)b->data + sizeof room, text.size, LWS_WRITE_TEXT);
    if (b->capacity > KEEP_CAPACITY) {
        marline__buffer_deinit(b);
    }
    return written < (int)text.size ? MARLINE_EIO : MARLINE_OK;
}

void marline__websocket_close(struct websocket_client *ws, uint16_t code, const char *reason)
{
    if (ws->connection != OPEN || ws->closing) {
        return;
    }
    set_close(ws, code, reason);
    lws_callback_on_writable(ws->wsi);
}

void marline__websocket_set_timer(struct websocket_client *ws, uint64_t after_ns)
{
    const uint64_t day_us = 86400ull * 1000 * 1000;
    if (after_ns == UINT64_MAX) {
        lws_sul_cancel(&ws->timer);
        return;
    }
    uint64_t us = (after_ns + 999) / 1000;
    lws_sul_schedule(ws->context, 0, &ws->timer, fire_timer,
                     (lws_usec_t)(us < day_us ? us : day_us));
}

void marline__websocket_run(struct websocket_client *ws)
{
    lws_service(ws->context, 0);
}

void marline__websocket_wake(struct websocket_client *ws)
{
    lws_cancel_service(ws->context);
}
