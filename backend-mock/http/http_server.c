/* libmicrohttpd's thread calls on_request several times per request: at its head, per piece of the
 * body, at its end, and after it was resumed. A request's state:
 *
 *     reading ──end of body──▶ working (suspended) ──http_answer──▶ answered (resumed) ──▶ sent
 *     reading ──refused──▶ discarding ──end of body──▶ answered
 */
#include "http/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/alloc.h"
#include "wire/json_writer.h"

enum {
    CONNECTION_MEMORY = 64 * 1024, /* the head must fit in it */
    RESERVE_MAX = 1024 * 1024,     /* for what a Content-Length promises, before it is there */
    ANSWER_HEADERS_MAX = 4,
};

struct http_server {
    struct http_server_options options;
    struct MHD_Daemon *daemon;
    struct {
        pthread_mutex_t lock;
        pthread_cond_t idle;
        bool draining;
        bool closed;    /* after the drain: workers get nothing any more, they may be gone */
        size_t handing; /* requests that are being given to them */
        size_t under_way;
        size_t body_bytes; /* of all requests under way */
        struct http_server_counters counters;
    } shared;
};

enum request_state { REQUEST_READING, REQUEST_DISCARDING, REQUEST_WORKING, REQUEST_ANSWERED };

struct http_request {
    struct worker_job job;
    struct http_server *server;
    struct MHD_Connection *connection;
    enum request_state state;
    char *method;
    char *path;
    char id[UUID_TEXT_SIZE];
    struct buffer body;
    size_t discarded; /* bytes that came after the refusal */
    struct auth_identity identity;
    marline_span span;
    struct slice parameters[HTTP_PATH_PARAMETERS_MAX];
    /* The answer: written by whoever answers, before the connection is resumed. */
    unsigned status;
    unsigned override_status; /* 0 = none */
    bool cut;
    bool repeated;
    const char *content_type;
    struct buffer answer;
    size_t answer_header_count;
    struct {
        const char *name;
        char *value;
    } answer_headers[ANSWER_HEADERS_MAX];
};

/* ---- what handlers see ---- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (address->sa_family != AF_INET6) {
        return false;
    }
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) ||
           (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET);
}

const char *http_request_method(const struct http_request *r)
{
    return r->method;
}

const char *http_request_path(const struct http_request *r)
{
    return r->path;
}

struct slice http_request_body(const struct http_request *r)
{
    return r->body.data ? marline__buffer_slice(&r->body) : SLICE("");
}

size_t http_request_body_max(const struct http_request *r)
{
    return r->server->options.body_max;
}

void http_request_replace_body(struct http_request *r, struct buffer *body)
{
    struct http_server *s = r->server;
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.body_bytes += body->capacity;
    s->shared.body_bytes -= r->body.capacity;
    (void)pthread_mutex_unlock(&s->shared.lock);
    marline__buffer_deinit(&r->body);
    r->body = *body;
    *body = BUFFER_INIT;
}

static struct slice lookup(const struct http_request *r, enum MHD_ValueKind kind, const char *name)
{
    struct slice value = SLICE_EMPTY;
    if (MHD_lookup_connection_value_n(r->connection, kind, name, strlen(name), &value.data,
                                      &value.size) != MHD_YES) {
        return SLICE_EMPTY;
    }
    return value.data ? value : SLICE("");
}

struct slice http_request_header(const struct http_request *r, const char *name)
{
    return lookup(r, MHD_HEADER_KIND, name);
}

struct slice http_request_query(const struct http_request *r, const char *name)
{
    return lookup(r, MHD_GET_ARGUMENT_KIND, name);
}

static const struct sockaddr *client_address(const struct http_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : NULL;
}

void http_request_client_address(const struct http_request *r, char out[HTTP_CLIENT_ADDRESS_SIZE])
{
    const struct sockaddr *address = client_address(r);
    out[0] = '\0';
    if (address && address->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, out,
                        HTTP_CLIENT_ADDRESS_SIZE);
    } else if (address && address->sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, out,
                        HTTP_CLIENT_ADDRESS_SIZE);
    }
}

marline_span *http_request_span(struct http_request *r)
{
    return &r->span;
}

bool http_request_is_local(const struct http_request *r)
{
    const struct sockaddr *address = client_address(r);
    return address && is_loopback(address);
}

struct slice http_request_parameter(const struct http_request *r, size_t n)
{
    return n < HTTP_PATH_PARAMETERS_MAX ? r->parameters[n] : SLICE_EMPTY;
}

void http_request_set_parameter(struct http_request *r, size_t n, struct slice value)
{
    if (n < HTTP_PATH_PARAMETERS_MAX) {
        r->parameters[n] = value;
    }
}

const char *http_request_id(const struct http_request *r)
{
    return r->id;
}

const struct auth_identity *http_request_identity(const struct http_request *r)
{
    return &r->identity;
}

void http_request_set_identity(struct http_request *r, const struct auth_identity *identity)
{
    r->identity = *identity;
}

struct server *http_request_server(const struct http_request *r)
{
    return r->server->options.server;
}

/* ---- answering ---- */

void http_answer_header(struct http_request *r, const char *name, const char *value)
{
    if (r->answer_header_count < ANSWER_HEADERS_MAX) {
        r->answer_headers[r->answer_header_count].name = name;
        r->answer_headers[r->answer_header_count].value = alloc_slice(marline__slice_text(value));
        r->answer_header_count++;
    }
}

static void set_answer(struct http_request *r, unsigned status, const char *content_type,
                       struct buffer *body)
{
    alloc_check_buffer(body);
    r->status = r->override_status ? r->override_status : status;
    r->content_type = content_type;
    r->answer = *body;
    *body = BUFFER_INIT;
}

void http_answer(struct http_request *r, unsigned status, const char *content_type,
                 struct buffer *body)
{
    set_answer(r, status, content_type, body);
    r->server->options.answered(r, r->status);
    r->state = REQUEST_ANSWERED;
    MHD_resume_connection(r->connection); /* from here on the daemon's thread owns the request */
}

void http_answer_cut(struct http_request *r)
{
    struct buffer nothing = BUFFER_INIT;
    r->cut = true;
    http_answer(r, 500, NULL, &nothing);
}

void http_request_override_status(struct http_request *r, unsigned status)
{
    r->override_status = status;
}

bool http_request_is_repeated(const struct http_request *r)
{
    return r->repeated;
}

void http_answer_json(struct http_request *r, unsigned status, struct buffer *body)
{
    /* The control routes are read by people, in a terminal; all else ends as the platform's does.
     */
    if (status < 300 && strncmp(http_request_path(r), "/mock/", sizeof "/mock/" - 1) == 0) {
        marline__buffer_append_byte(body, '\n');
    }
    http_answer(r, status, "application/json", body);
}

static void write_detail(struct buffer *out, const char *detail)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "detail", detail);
    marline__json_end_object(&w);
}

void http_answer_detail(struct http_request *r, unsigned status, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct buffer body = BUFFER_INIT;
    write_detail(&body, text);
    http_answer_json(r, status, &body);
}

void http_answer_failure(struct http_request *r, unsigned status, const char *cause)
{
    marline__log(LOG_ERROR, "request %s %s %s failed: %s", r->id, r->method, r->path, cause);
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "detail", "An unexpected error occurred.");
    marline__json_member_text(&w, "error_id", r->id);
    marline__json_end_object(&w);
    http_answer_json(r, status, &body);
}

/* ---- the daemon's thread ---- */

static enum MHD_Result queue_answer(struct http_request *r)
{
    if (r->cut) {
        return MHD_NO;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->answer.size, r->answer.data, MHD_RESPMEM_PERSISTENT);
    if (!response) {
        return MHD_NO;
    }
    if (r->content_type) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, r->content_type);
    }
    (void)MHD_add_response_header(response, "X-Request-ID", r->id);
    for (size_t i = 0; i < r->answer_header_count; i++) {
        (void)MHD_add_response_header(response, r->answer_headers[i].name,
                                      r->answer_headers[i].value);
    }
    enum MHD_Result queued = MHD_queue_response(r->connection, r->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* The answer is sent when the body has been read and thrown away, or at once at the head. */
static void refuse(struct http_request *r, unsigned status, const char *detail)
{
    struct buffer body = BUFFER_INIT;
    const char *type = r->server->options.write_refusal(r, status, detail, &body);
    set_answer(r, status, type, &body);
    if (status == 503) {
        http_answer_header(r, "Retry-After", "1");
    }
    r->state = REQUEST_DISCARDING;
    struct http_server *s = r->server;
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.counters.refused++;
    s->shared.body_bytes -= r->body.capacity;
    (void)pthread_mutex_unlock(&s->shared.lock);
    marline__buffer_deinit(&r->body);
}

/* Counts the request in; false when the server is shutting down. */
static bool admit(struct http_server *s)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.under_way++;
    s->shared.counters.requests++;
    bool draining = s->shared.draining;
    (void)pthread_mutex_unlock(&s->shared.lock);
    return !draining;
}

/* Grows the body; false when all bodies together would take too much. */
static bool grow_body(struct http_request *r, size_t more)
{
    struct http_server *s = r->server;
    size_t before = r->body.capacity;
    if (!marline__buffer_reserve(&r->body, more)) {
        abort();
    }
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.body_bytes += r->body.capacity - before;
    bool fits = s->shared.body_bytes <= HTTP_BODIES_MAX;
    (void)pthread_mutex_unlock(&s->shared.lock);
    return fits;
}

static const char too_large[] = "Request body too large";
static const char overloaded[] = "Too many requests at once";

static void expect_body(struct http_request *r)
{
    struct slice text = http_request_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    unsigned long long length = text.data ? strtoull(text.data, NULL, 10) : 0;
    if (length > r->server->options.body_max) {
        refuse(r, 413, too_large);
    } else if (length > 0 && !grow_body(r, length < RESERVE_MAX ? length : RESERVE_MAX)) {
        refuse(r, 503, overloaded);
    }
}

static struct http_request *begin_request(struct http_server *s, struct MHD_Connection *connection,
                                          const char *url, const char *method)
{
    struct http_request *r = alloc_zeroed(sizeof(*r));
    r->server = s;
    r->connection = connection;
    r->method = alloc_slice(marline__slice_text(method));
    r->path = alloc_slice(marline__slice_text(url));
    struct uuid id = marline__uuid_random(marline__random_system());
    marline__uuid_format(&id, r->id);
    if (!admit(s)) {
        refuse(r, 503, "Shutting down");
    } else {
        expect_body(r);
    }
    return r;
}

static void take_body(struct http_request *r, const char *data, size_t size)
{
    if (r->state != REQUEST_READING) {
        r->discarded += size;
        return;
    }
    if (r->body.size + size > r->server->options.body_max) {
        refuse(r, 413, too_large);
    } else if (!grow_body(r, size)) {
        refuse(r, 503, overloaded);
    } else {
        marline__buffer_append(&r->body, data, size);
    }
}

static void answer_overloaded(struct http_request *r)
{
    struct buffer body = BUFFER_INIT;
    const char *type = r->server->options.write_refusal(r, 503, overloaded, &body);
    http_answer_header(r, "Retry-After", "1");
    http_answer(r, 503, type, &body);
}

static void handle_on_worker(struct worker_job *job, bool canceled)
{
    struct http_request *r = LIST_ENTRY(&job->node, struct http_request, job.node);
    if (canceled) {
        answer_overloaded(r);
    } else {
        r->server->options.handle(r);
    }
}

/* False when no worker takes it: then the request is the caller's. A body may still arrive, or a
 * request be handled again, when the drain has given up on it and the pool is freed. */
static bool hand_over(struct http_request *r)
{
    struct http_server *s = r->server;
    (void)pthread_mutex_lock(&s->shared.lock);
    bool open = !s->shared.closed;
    s->shared.handing += open;
    (void)pthread_mutex_unlock(&s->shared.lock);
    if (!open) {
        return false;
    }
    bool taken = marline__worker_pool_submit(s->options.workers, &r->job) == MARLINE_OK;
    (void)pthread_mutex_lock(&s->shared.lock);
    if (--s->shared.handing == 0) {
        (void)pthread_cond_broadcast(&s->shared.idle);
    }
    (void)pthread_mutex_unlock(&s->shared.lock);
    return taken;
}

static void give_to_worker(struct http_request *r)
{
    r->state = REQUEST_WORKING;
    r->job.run = handle_on_worker;
    MHD_suspend_connection(r->connection);
    if (!hand_over(r)) {
        answer_overloaded(r);
    }
}

void http_request_handle_again(struct http_request *r)
{
    r->repeated = true;
    if (!hand_over(r)) {
        answer_overloaded(r);
    }
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **request)
{
    (void)version;
    struct http_request *r = *request;
    if (!r) {
        *request = r = begin_request(user, connection, url, method);
        return r->state == REQUEST_DISCARDING ? queue_answer(r) : MHD_YES;
    }
    if (*size > 0) {
        take_body(r, data, *size);
        *size = 0;
        /* Whoever goes on sending what was refused is cut off. */
        return r->discarded > r->server->options.body_max ? MHD_NO : MHD_YES;
    }
    if (r->state == REQUEST_READING) {
        give_to_worker(r);
        return MHD_YES;
    }
    return queue_answer(r);
}

static void on_completed(void *user, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    (void)connection;
    (void)code;
    struct http_server *s = user;
    struct http_request *r = *request;
    if (!r) {
        return;
    }
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.body_bytes -= r->body.capacity;
    if (--s->shared.under_way == 0) {
        (void)pthread_cond_broadcast(&s->shared.idle);
    }
    (void)pthread_mutex_unlock(&s->shared.lock);
    for (size_t i = 0; i < r->answer_header_count; i++) {
        marline__memory_free(r->answer_headers[i].value);
    }
    marline__buffer_deinit(&r->body);
    marline__buffer_deinit(&r->answer);
    marline__memory_free(r->method);
    marline__memory_free(r->path);
    marline__memory_free(r);
    *request = NULL;
}

static void on_log(void *user, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void on_log(void *user, const char *format, va_list arguments)
{
    (void)user;
    char text[256];
    (void)vsnprintf(text, sizeof(text), format, arguments);
    size_t n = strcspn(text, "\n");
    marline__log(LOG_DEBUG, "http: %.*s", (int)n, text);
}

/* ---- life ---- */

struct http_server *http_server_start(const struct http_server_options *options)
{
    struct http_server *s = alloc_zeroed(sizeof(*s));
    s->options = *options;
    if (s->options.body_max == 0) {
        s->options.body_max = HTTP_BODY_MAX;
    }
    (void)pthread_mutex_init(&s->shared.lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->shared.idle, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    /* The logger comes first: libmicrohttpd applies options in order. */
    s->daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC |
                             MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
                         0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)HTTP_IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    if (!s->daemon) {
        http_server_stop(s);
        return NULL;
    }
    return s;
}

void http_server_adopt(struct http_server *s, int socket, const struct sockaddr *address,
                       socklen_t address_size)
{
    /* Closes the socket itself when it refuses it. */
    if (MHD_add_connection(s->daemon, socket, address, address_size) != MHD_YES) {
        marline__log(LOG_WARN, "http: connection refused, %d are open", HTTP_CONNECTIONS_MAX);
    }
}

bool http_server_drain(struct http_server *s, unsigned timeout_ms)
{
    struct timespec deadline;
    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += (long)(timeout_ms % 1000) * (long)NS_PER_MS;
    if (deadline.tv_nsec >= (long)NS_PER_S) {
        deadline.tv_sec++;
        deadline.tv_nsec -= (long)NS_PER_S;
    }
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.draining = true;
    int rc = 0;
    while (s->shared.under_way > 0 && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&s->shared.idle, &s->shared.lock, &deadline);
    }
    s->shared.closed = true;
    while (s->shared.handing > 0) { /* it waits for nobody */
        (void)pthread_cond_wait(&s->shared.idle, &s->shared.lock);
    }
    bool idle = s->shared.under_way == 0;
    (void)pthread_mutex_unlock(&s->shared.lock);
    return idle;
}

void http_server_stop(struct http_server *s)
{
    if (!s) {
        return;
    }
    if (s->daemon) {
        MHD_stop_daemon(s->daemon);
    }
    (void)pthread_cond_destroy(&s->shared.idle);
    (void)pthread_mutex_destroy(&s->shared.lock);
    marline__memory_free(s);
}

struct http_server_counters http_server_counters(struct http_server *s)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    struct http_server_counters counters = s->shared.counters;
    counters.under_way = s->shared.under_way;
    (void)pthread_mutex_unlock(&s->shared.lock);
    return counters;
}
