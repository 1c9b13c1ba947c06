/* Requests that come to their end when the server is about to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "http/http_server.h"

enum { WORKERS = 2, QUEUE = 8, WAIT_S = 30, WAIT_MS = 30000 };

static void answer_hello(struct http_request *r)
{
    struct buffer body = BUFFER_INIT;
    marline__buffer_append_text(&body, "hello");
    http_answer(r, 200, "text/plain", &body);
}

static void note_answer(struct http_request *r, unsigned status)
{
    (void)r;
    (void)status;
}

static const char *write_text(const struct http_request *r, unsigned status, const char *text,
                              struct buffer *out)
{
    (void)r;
    (void)status;
    marline__buffer_append_text(out, text);
    return "text/plain";
}

struct fixture {
    struct worker_pool *workers;
    struct http_server *server;
    int client;
};

static int set_up(void **state)
{
    struct fixture *f = alloc_zeroed(sizeof(*f));
    const struct timeval limit = {.tv_sec = WAIT_S};
    int sockets[2];
    f->workers = marline__worker_pool_create(WORKERS, QUEUE);
    const struct http_server_options options = {.workers = f->workers,
                                                .handle = answer_hello,
                                                .answered = note_answer,
                                                .write_refusal = write_text};
    f->server = http_server_start(&options);
    assert_non_null(f->server);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    const struct sockaddr address = {.sa_family = AF_UNIX};
    http_server_adopt(f->server, sockets[0], &address, sizeof(address));
    f->client = sockets[1];
    assert_int_equal(setsockopt(f->client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_server_stop(f->server);
    (void)close(f->client);
    marline__memory_free(f);
    return 0;
}

static void say(const struct fixture *f, const char *text)
{
    assert_int_equal(send(f->client, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads until the text came, or fails. */
static void hear(const struct fixture *f, const char *text)
{
    char heard[4096];
    size_t size = 0;
    heard[0] = '\0';
    while (!strstr(heard, text)) {
        ssize_t n = recv(f->client, heard + size, sizeof(heard) - 1 - size, 0);
        if (n <= 0) {
            fail_msg("'%s' did not come, but '%s'", text, heard);
        }
        size += (size_t)n;
        heard[size] = '\0';
    }
}

/* The server has taken the head when it asks for the body. */
static void begin_post(const struct fixture *f)
{
    say(f, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    hear(f, "100 Continue");
}

static void given_running_server_when_body_arrives_then_handled(void **state)
{
    struct fixture *f = *state;
    begin_post(f);
    say(f, "body");
    hear(f, "hello");
    assert_int_equal(marline__worker_pool_stop(f->workers, WAIT_MS), MARLINE_OK);
}

static void given_drain_that_gave_up_when_body_arrives_then_refused_without_workers(void **state)
{
    struct fixture *f = *state;
    begin_post(f);
    assert_false(http_server_drain(f->server, 0));
    assert_int_equal(marline__worker_pool_stop(f->workers, 0), MARLINE_OK); /* it is freed */
    say(f, "body");
    hear(f, "HTTP/1.1 503");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(given_running_server_when_body_arrives_then_handled, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            given_drain_that_gave_up_when_body_arrives_then_refused_without_workers, set_up,
            tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
