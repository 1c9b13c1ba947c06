/* See ws_server.h. A connection:
 *
 *     admitted ──101──▶ open ──ws_connection_close──▶ closing ──queue empty──▶ (lws closes)
 *                        └──peer, error, silence──▶ (lws closes)
 *
 * LWS_CALLBACK_WSI_DESTROY ends every one of them. */
#include "hub/ws_server.h"

#include <libwebsockets.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "core/alloc.h"

enum {
    AUTHORIZATION_MAX = 1024,
    HEAD_MAX = 8192, /* no longer than what the listener peeks at */
    CLOSE_REASON_MAX = 123,
    READ_CHUNK = 4096, /* per connection and read; larger messages come in pieces */
};

struct message {
    struct list node;
    size_t size;
    unsigned char bytes[]; /* LWS_PRE bytes of room, then the text */
};

struct ws_connection {
    struct ws_server *server;
    struct lws *wsi;
    void *user;
    struct buffer incoming;
    size_t incoming_size; /* also counts what was not kept */
    struct list outgoing;
    size_t outgoing_size;
    uint16_t close_code;
    unsigned char close_reason[CLOSE_REASON_MAX];
    size_t close_reason_size;
};

struct ws_server {
    struct ws_server_options options;
    struct lws_context *context;
    struct lws_vhost *vhost;
    lws_sorted_usec_list_t timer;
    bool stopping;
};

/* What libwebsockets keeps per socket. */
struct slot {
    struct ws_connection *connection;
};

/* ---- out ---- */

void *ws_connection_user(const struct ws_connection *c)
{
    return c->user;
}

void ws_connection_send(struct ws_connection *c, struct slice text)
{
    if (c->close_code || !c->wsi) {
        return;
    }
    if (c->outgoing_size + text.size > WS_OUTGOING_MAX) {
        marline__log(LOG_WARN, "agent does not read: %zu bytes wait, connection cut",
                     c->outgoing_size);
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
        return;
    }
    struct message *m = alloc_zeroed(sizeof(*m) + LWS_PRE + text.size);
    m->size = text.size;
    memcpy(m->bytes + LWS_PRE, text.data, text.size);
    marline__list_push_back(&c->outgoing, &m->node);
    c->outgoing_size += text.size;
    lws_callback_on_writable(c->wsi);
}

void ws_connection_close(struct ws_connection *c, uint16_t code, const char *reason)
{
    if (c->close_code || !c->wsi) {
        return;
    }
    c->close_code = code;
    c->close_reason_size = strnlen(reason, CLOSE_REASON_MAX);
    memcpy(c->close_reason, reason, c->close_reason_size);
    lws_callback_on_writable(c->wsi);
}

/* Returns what the callback answers: -1 ends the connection. */
static int write_next(struct ws_connection *c)
{
    struct list *node = marline__list_pop_front(&c->outgoing);
    if (node) {
        struct message *m = LIST_ENTRY(node, struct message, node);
        size_t size = m->size;
        int written = lws_write(c->wsi, m->bytes + LWS_PRE, size, LWS_WRITE_TEXT);
        c->outgoing_size -= size;
        marline__memory_free(m);
        if (written < 0 || (size_t)written < size) {
            return -1;
        }
    }
    if (!marline__list_is_empty(&c->outgoing)) {
        lws_callback_on_writable(c->wsi);
        return 0;
    }
    if (c->close_code) {
        lws_close_reason(c->wsi, (enum lws_close_status)c->close_code, c->close_reason,
                         c->close_reason_size);
        return -1;
    }
    return 0;
}

/* ---- in ---- */

static void finish_message(struct ws_connection *c, bool binary)
{
    const struct ws_server *s = c->server;
    size_t size = c->incoming_size;
    c->incoming_size = 0;
    if (binary) {
        s->options.events->binary(s->options.user, c);
    } else if (size > s->options.keep_max) {
        s->options.events->oversize(s->options.user, c);
    } else {
        struct slice text = c->incoming.data ? marline__buffer_slice(&c->incoming) : SLICE("");
        s->options.events->text(s->options.user, c, text);
    }
    if (c->incoming.capacity > READ_CHUNK) {
        marline__buffer_deinit(&c->incoming); /* an idle agent costs little */
        c->incoming = BUFFER_INIT;
    }
    marline__buffer_clear(&c->incoming);
}

static int receive(struct ws_connection *c, const char *data, size_t size)
{
    if (c->close_code) {
        return 0; /* nothing counts any more */
    }
    c->incoming_size += size;
    if (c->incoming_size > WS_FRAME_MAX) {
        lws_close_reason(c->wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, NULL, 0);
        return -1;
    }
    if (c->incoming_size <= c->server->options.keep_max) {
        marline__buffer_append(&c->incoming, data, size);
        alloc_check_buffer(&c->incoming);
    }
    if (lws_is_final_fragment(c->wsi) && lws_remaining_packet_payload(c->wsi) == 0) {
        finish_message(c, lws_frame_is_binary(c->wsi) != 0);
    }
    return 0;
}

/* ---- upgrade ---- */

static bool is_admitted(struct ws_server *s, struct lws *wsi, void **out_user)
{
    char authorization[AUTHORIZATION_MAX];
    int n = lws_hdr_copy(wsi, authorization, sizeof(authorization), WSI_TOKEN_HTTP_AUTHORIZATION);
    struct slice value = n > 0 ? (struct slice){authorization, (size_t)n} : SLICE_EMPTY;
    return s->options.events->admit(s->options.user, value, out_user);
}

/* Answers 403 with nothing in it, and ends the connection. libwebsockets' own helpers would say
 * HTTP/1.0 this early, which some clients do not take for an answer. */
static int refuse(struct lws *wsi)
{
    static const char answer[] = "HTTP/1.1 403 Forbidden\r\n"
                                 "Content-Length: 0\r\n"
                                 "Connection: close\r\n\r\n";
    unsigned char bytes[LWS_PRE + sizeof(answer)];
    memcpy(bytes + LWS_PRE, answer, sizeof(answer) - 1);
    (void)lws_write(wsi, bytes + LWS_PRE, sizeof(answer) - 1, LWS_WRITE_HTTP_HEADERS);
    return -1;
}

static int admit(struct ws_server *s, struct lws *wsi, struct slot *slot)
{
    void *user = NULL;
    if (!is_admitted(s, wsi, &user)) {
        return refuse(wsi);
    }
    struct ws_connection *c = alloc_zeroed(sizeof(*c));
    c->server = s;
    c->wsi = wsi;
    c->user = user;
    marline__list_init(&c->outgoing);
    slot->connection = c;
    return 0;
}

static void end_connection(struct slot *slot)
{
    struct ws_connection *c = slot->connection;
    slot->connection = NULL;
    if (!c) {
        return;
    }
    c->wsi = NULL;
    c->server->options.events->closed(c->server->options.user, c->user);
    LIST_EACH(&c->outgoing, node)
    {
        marline__memory_free(LIST_ENTRY(node, struct message, node));
    }
    marline__buffer_deinit(&c->incoming);
    marline__memory_free(c);
}

/* ---- libwebsockets ---- */

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t size)
{
    struct slot *slot = user;
    struct ws_server *s = lws_context_user(lws_get_context(wsi));
    switch (reason) {
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return admit(s, wsi, slot);
    case LWS_CALLBACK_ESTABLISHED:
        s->options.events->opened(s->options.user, slot->connection);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return receive(slot->connection, in, size);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return write_next(slot->connection);
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        s->options.events->woken(s->options.user);
        return 0;
    case LWS_CALLBACK_HTTP: /* no request but an upgrade is given to this server */
        return -1;
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        if (slot) {
            end_connection(slot);
        }
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "connector",
     .callback = on_event,
     .per_session_data_size = sizeof(struct slot),
     .rx_buffer_size = READ_CHUNK},
    {0},
};

static void on_timer(lws_sorted_usec_list_t *timer)
{
    struct ws_server *s = lws_container_of(timer, struct ws_server, timer);
    s->options.events->timer(s->options.user);
}

static void on_log(int level, const char *line)
{
    enum log_level ours = level & LLL_ERR ? LOG_WARN : LOG_DEBUG;
    marline__log(ours, "websocket: %.*s", (int)strcspn(line, "\n"), line);
}

static const lws_retry_bo_t keepalive = {
    .secs_since_valid_ping = WS_PING_AFTER_S,
    .secs_since_valid_hangup = WS_PING_AFTER_S * 2,
};

struct ws_server *ws_server_create(const struct ws_server_options *options)
{
    struct ws_server *s = alloc_zeroed(sizeof(*s));
    s->options = *options;
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .user = s,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8,
        .max_http_header_data = HEAD_MAX,
        .retry_and_idle_policy = &keepalive,
        .timeout_secs = 10,
    };
    s->context = lws_create_context(&info);
    s->vhost = s->context ? lws_create_vhost(s->context, &info) : NULL;
    if (!s->vhost) {
        ws_server_destroy(s);
        return NULL;
    }
    return s;
}

void ws_server_destroy(struct ws_server *s)
{
    if (!s) {
        return;
    }
    if (s->context) {
        lws_context_destroy(s->context);
    }
    marline__memory_free(s);
}

void ws_server_run(struct ws_server *s)
{
    while (!s->stopping && lws_service(s->context, 0) >= 0) {
    }
}

void ws_server_stop(struct ws_server *s)
{
    s->stopping = true;
}

void ws_server_wake(struct ws_server *s)
{
    lws_cancel_service(s->context);
}

void ws_server_adopt(struct ws_server *s, int socket)
{
    /* Closes the socket itself when it cannot take it. */
    if (!lws_adopt_socket_vhost(s->vhost, socket)) {
        marline__log(LOG_WARN, "websocket: a connection could not be taken over");
    }
}

void ws_server_set_timer(struct ws_server *s, uint64_t deadline_ns, uint64_t now_ns)
{
    lws_usec_t us = LWS_SET_TIMER_USEC_CANCEL;
    if (deadline_ns != TIME_NEVER) {
        us = deadline_ns > now_ns ? (lws_usec_t)((deadline_ns - now_ns) / 1000) + 1 : 1;
    }
    lws_sul_schedule(s->context, 0, &s->timer, on_timer, us);
}
