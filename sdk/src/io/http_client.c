/* The HTTP client; see http_client.h.
 * A multi handle drives the one easy handle because only a multi can be woken from another thread.
 * It also owns the connection cache, so the connection outlives the request. */
#include "io/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/signals.h"
#include "io/tls_fault.h"

enum {
    POLL_MAX_MS = 60000, /* a bound only: cancel wakes the poll, libcurl shortens it for timers */
    POLL_ASK_MS = 100,   /* where the caller has to be asked */
    HOST_SIZE = 128,
};

struct http_client {
    CURLM *multi;
    CURL *easy;
    char *user_agent;
    char *ca_file;
    char *certificate_file;
    char *key_file;
    size_t response_max;
    bool must_start_over;
    atomic_bool canceled;
    char curl_text[CURL_ERROR_SIZE];
    /* of the running request */
    struct http_response *response;
    bool head_is_whole; /* libcurl takes one that is cut off for an answer */
    bool too_large;
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_code;

/* curl_global_init is not thread-safe in every build, and its clean-up could pull the ground from
 * under other users of libcurl in the process: so once, and never undone. */
static void init_libcurl(void)
{
    global_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

void marline__http_response_deinit(struct http_response *response)
{
    marline__buffer_deinit(&response->body);
    *response = HTTP_RESPONSE_INIT;
}

static bool copy_option(char **out, const char *text)
{
    *out = marline__memory_text(text);
    return *out || !text;
}

static bool copy_options(struct http_client *c, const struct http_client_options *options)
{
    static const struct http_client_options defaults;
    const struct http_client_options *o = options ? options : &defaults;
    c->response_max = o->response_max ? o->response_max : HTTP_RESPONSE_MAX_DEFAULT;
    return copy_option(&c->user_agent, o->user_agent ? o->user_agent : "marline") &&
           copy_option(&c->ca_file, o->tls.ca_file) &&
           copy_option(&c->certificate_file, o->tls.certificate_file) &&
           copy_option(&c->key_file, o->tls.key_file);
}

struct http_client *marline__http_client_create(const struct http_client_options *options)
{
    pthread_once(&global_once, init_libcurl);
    struct http_client *c = marline__memory_zeroed(sizeof *c);
    if (!c || global_code != CURLE_OK) {
        marline__memory_free(c);
        return NULL;
    }
    atomic_init(&c->canceled, false);
    c->multi = curl_multi_init();
    c->easy = curl_easy_init();
    if (!c->multi || !c->easy || !copy_options(c, options)) {
        marline__http_client_destroy(c);
        return NULL;
    }
    return c;
}

void marline__http_client_destroy(struct http_client *c)
{
    if (!c) {
        return;
    }
    struct sigpipe_hold hold; /* TLS says goodbye to a peer that may be gone */
    marline__sigpipe_hold(&hold);
    curl_easy_cleanup(c->easy);
    curl_multi_cleanup(c->multi);
    marline__sigpipe_release(&hold);
    marline__memory_free(c->user_agent);
    marline__memory_free(c->ca_file);
    marline__memory_free(c->certificate_file);
    marline__memory_free(c->key_file);
    marline__memory_free(c);
}

/* The old handles are lost to the child on purpose: cleaning them up would say goodbye on the
 * parent's connection. */
void marline__http_client_after_fork(struct http_client *c)
{
    c->multi = NULL;
    c->easy = NULL;
    c->must_start_over = true;
    atomic_store(&c->canceled, false);
}

/* Not in the fork handler itself, where little may be done. */
static bool start_over(struct http_client *c)
{
    if (!c->must_start_over) {
        return true;
    }
    if (!c->multi) {
        c->multi = curl_multi_init();
    }
    if (!c->easy) {
        c->easy = curl_easy_init();
    }
    c->must_start_over = !c->multi || !c->easy;
    return !c->must_start_over;
}

void marline__http_client_cancel(struct http_client *c)
{
    atomic_store(&c->canceled, true);
    if (c->multi) {
        (void)curl_multi_wakeup(c->multi);
    }
}

void marline__http_client_resume(struct http_client *c)
{
    atomic_store(&c->canceled, false);
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct http_client *c = user;
    struct buffer *body = &c->response->body;
    size_t bytes = size * count;
    if (bytes > c->response_max - body->size) {
        c->too_large = true;
        return 0; /* makes libcurl fail with CURLE_WRITE_ERROR */
    }
    marline__buffer_append(body, data, bytes);
    return body->failed ? 0 : bytes;
}

/* Keeps the value of "name: value" when the line has that name. */
static void keep_header(struct slice line, const char *name, char out[HTTP_HEADER_VALUE_SIZE])
{
    size_t n = strlen(name);
    if (line.size <= n || line.data[n] != ':' || strncasecmp(line.data, name, n) != 0) {
        return;
    }
    struct slice value = {line.data + n + 1, line.size - n - 1};
    while (value.size > 0 && strchr(" \t", value.data[0])) {
        value.data++;
        value.size--;
    }
    while (value.size > 0 && strchr(" \t\r\n", value.data[value.size - 1])) {
        value.size--;
    }
    (void)snprintf(out, HTTP_HEADER_VALUE_SIZE, "%.*s", SLICE_ARG(value));
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    struct http_client *c = user;
    struct slice line = {data, size * count};
    if (marline__slice_starts(line, "HTTP/")) { /* a new head, after 100 Continue */
        c->response->content_type[0] = '\0';
        c->response->retry_after[0] = '\0';
        c->response->date[0] = '\0';
        c->head_is_whole = false;
    }
    if (line.size > 0 && line.data[0] == (line.size > 1 ? '\r' : '\n')) {
        c->head_is_whole = true;
    }
    keep_header(line, "Content-Type", c->response->content_type);
    keep_header(line, "Retry-After", c->response->retry_after);
    keep_header(line, "Date", c->response->date);
    return line.size;
}

static bool set_headers(struct curl_slist **list, const struct http_request *request)
{
    /* Without the first, libcurl waits for 100 Continue before large bodies, up to a second. */
    *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; *list && i < request->header_count; i++) {
        struct curl_slist *longer = curl_slist_append(*list, request->headers[i]);
        if (!longer) {
            return false;
        }
        *list = longer;
    }
    return *list != NULL;
}

static void set_method(CURL *easy, const struct http_request *request)
{
    if (request->body.data) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.data);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    }
    if (request->method) {
        (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

/* An option that this build of libcurl lacks leaves the default in place; only the URL, which
 * allocates, can fail for a reason of the caller's. */
static bool set_options(struct http_client *c, const struct http_request *request,
                        struct curl_slist *headers)
{
    CURL *easy = c->easy;
    curl_easy_reset(easy); /* keeps connections and the DNS cache */
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, c->user_agent);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, c->curl_text);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, c);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    if (c->ca_file) {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, c->ca_file);
    }
    if (c->certificate_file) {
        (void)curl_easy_setopt(easy, CURLOPT_SSLCERT, c->certificate_file);
    }
    if (c->key_file) {
        (void)curl_easy_setopt(easy, CURLOPT_SSLKEY, c->key_file);
    }
    set_method(easy, request);
    return curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK;
}

/* Runs the easy handle to its end. CURLE_ABORTED_BY_CALLBACK = canceled. */
static CURLcode drive(struct http_client *c, const struct http_request *request)
{
    int running = 1;
    int poll_ms = request->is_canceled ? POLL_ASK_MS : POLL_MAX_MS;
    while (running) {
        if (atomic_load(&c->canceled) ||
            (request->is_canceled && request->is_canceled(request->user))) {
            return CURLE_ABORTED_BY_CALLBACK;
        }
        if (curl_multi_perform(c->multi, &running) != CURLM_OK) {
            return CURLE_OUT_OF_MEMORY;
        }
        if (running && curl_multi_poll(c->multi, NULL, 0, poll_ms, NULL) != CURLM_OK) {
            return CURLE_OUT_OF_MEMORY;
        }
    }
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(c->multi, &left))) {
        if (message->msg == CURLMSG_DONE) {
            return message->data.result;
        }
    }
    return CURLE_OUT_OF_MEMORY;
}

static marline_status classify(const struct http_client *c, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return MARLINE_OK;
    case CURLE_URL_MALFORMAT:
        return MARLINE_EINVAL;
    case CURLE_OPERATION_TIMEDOUT:
        return MARLINE_ETIMEDOUT;
    case CURLE_ABORTED_BY_CALLBACK:
        return MARLINE_ECANCELED;
    case CURLE_OUT_OF_MEMORY:
        return MARLINE_ENOMEM;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return MARLINE_EAUTH;
    case CURLE_SSL_CONNECT_ERROR: /* a handshake: an alert comes as an answer to our first bytes */
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: {
        const struct tls_fault *fault = marline__tls_fault_of(c->curl_text);
        return fault && fault->is_for_good ? MARLINE_EAUTH : MARLINE_EIO;
    }
    case CURLE_WRITE_ERROR:
        return c->too_large || !c->response->body.failed ? MARLINE_EPROTO : MARLINE_ENOMEM;
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: the URL's scheme was checked before */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return MARLINE_EPROTO;
    default:
        return MARLINE_EIO;
    }
}

static void host_of(const char *url, char out[HOST_SIZE])
{
    const char *start = strstr(url, "://");
    start = start ? start + 3 : url;
    size_t size = strcspn(start, "/?#");
    const char *at = memchr(start, '@', size); /* never show credentials */
    if (at) {
        size -= (size_t)(at + 1 - start);
        start = at + 1;
    }
    (void)snprintf(out, HOST_SIZE, "%.*s", (int)(size < HOST_SIZE ? size : HOST_SIZE - 1), start);
}

/* libcurl's own text names the host again and leaves the system's reason out. */
static void explain_no_connection(const struct http_client *c, const char *host,
                                  marline_error *error)
{
    long code = 0;
    (void)curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &code);
    char text[96];
    (void)snprintf(error->text, sizeof error->text, "cannot connect to %s: %.100s", host,
                   code ? strerror_r((int)code, text, sizeof text) : c->curl_text);
}

static void explain_other(const struct http_client *c, const char *host, CURLcode code,
                          marline_error *error)
{
    const char *cause = c->curl_text[0] ? c->curl_text : curl_easy_strerror(code);
    const struct tls_fault *fault = marline__tls_fault_of(cause);
    if (code == CURLE_COULDNT_CONNECT) {
        explain_no_connection(c, host, error);
    } else if (code == CURLE_GOT_NOTHING && !c->curl_text[0]) {
        (void)snprintf(error->text, sizeof error->text,
                       "%s closed the connection within the head of its answer", host);
    } else if (fault) {
        (void)snprintf(error->text, sizeof error->text, "%.64s: %s (%.120s)", host, fault->advice,
                       cause);
    } else {
        (void)snprintf(error->text, sizeof error->text, "%s: %.120s", host, cause);
    }
}

static void explain(const struct http_client *c, const struct http_request *request,
                    marline_status status, CURLcode code, marline_error *error)
{
    if (!error) {
        return;
    }
    char host[HOST_SIZE];
    host_of(request->url ? request->url : "", host);
    error->code = status;
    switch (status) {
    case MARLINE_EINVAL:
        (void)snprintf(error->text, sizeof error->text,
                       "'%s' is no host of a URL that starts with http:// or https://", host);
        break;
    case MARLINE_ETIMEDOUT:
        (void)snprintf(error->text, sizeof error->text, "%s gave no answer within %llu ms", host,
                       (unsigned long long)request->timeout_ms);
        break;
    case MARLINE_ECANCELED:
        (void)snprintf(error->text, sizeof error->text, "the request to %s was cancelled", host);
        break;
    case MARLINE_EPROTO:
        if (c->too_large) {
            (void)snprintf(error->text, sizeof error->text,
                           "the answer of %s is larger than %zu bytes", host, c->response_max);
            break;
        }
        /* fall through */
    default:
        explain_other(c, host, code, error);
    }
}

static bool has_http_scheme(const char *url)
{
    return url && (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0);
}

marline_status marline__http_client_perform(struct http_client *c,
                                            const struct http_request *request,
                                            struct http_response *response, marline_error *error)
{
    if (!has_http_scheme(request->url)) {
        explain(c, request, MARLINE_EINVAL, CURLE_OK, error);
        return MARLINE_EINVAL;
    }
    response->status = 0;
    response->content_type[0] = response->retry_after[0] = response->date[0] = '\0';
    marline__buffer_clear(&response->body);
    c->response = response;
    c->too_large = c->head_is_whole = false;
    c->curl_text[0] = '\0';
    struct curl_slist *headers = NULL;
    struct sigpipe_hold hold;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    marline__sigpipe_hold(&hold);
    if (start_over(c) && set_headers(&headers, request) && set_options(c, request, headers) &&
        curl_multi_add_handle(c->multi, c->easy) == CURLM_OK) {
        code = drive(c, request);
        (void)curl_multi_remove_handle(c->multi, c->easy);
    }
    marline__sigpipe_release(&hold);
    curl_slist_free_all(headers);
    if (code == CURLE_OK && !c->head_is_whole) {
        code = CURLE_GOT_NOTHING;
    }
    long status_code = 0;
    if (c->easy) {
        (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status_code);
    }
    response->status = (int)status_code;
    marline_status status = classify(c, code);
    if (status != MARLINE_OK) {
        explain(c, request, status, code, error);
    }
    return status;
}
