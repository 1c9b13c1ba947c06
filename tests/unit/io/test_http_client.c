/* The HTTP client against a scripted peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "../../support/http_peer.h"
#include "io/http_client.h"

enum { LONG_MS = 60000 }; /* nothing here takes so long, but a busy machine may stop a while */

struct fixture {
    struct http_peer *peer;
    struct http_client *client;
    struct http_response response;
    marline_error error;
};

static void begin(struct fixture *f, const struct http_peer_step *script, size_t count,
                  const struct http_client_options *options)
{
    *f = (struct fixture){.response = HTTP_RESPONSE_INIT};
    f->peer = http_peer_start(script, count);
    f->client = marline__http_client_create(options);
    assert_non_null(f->client);
}

static void end(struct fixture *f)
{
    marline__http_client_destroy(f->client);
    marline__http_response_deinit(&f->response);
    http_peer_stop(f->peer);
}

static marline_status post(struct fixture *f, const char *body, uint64_t timeout_ms)
{
    const char *headers[] = {"Content-Type: application/json", "Authorization: Bearer k"};
    struct http_request request = {.url = http_peer_url(f->peer),
                                   .headers = headers,
                                   .header_count = 2,
                                   .body = marline__slice_text(body),
                                   .timeout_ms = timeout_ms};
    return marline__http_client_perform(f->client, &request, &f->response, &f->error);
}

static void given_post_when_answered_then_status_body_and_headers_arrive(void **state)
{
    (void)state;
    struct http_peer_step script[] = {
        {HTTP_PEER_ANSWER, 429, "Retry-After:  7 \r\ncontent-type: text/plain\r\n", "slow down"}};
    struct fixture f;
    begin(&f, script, 1, NULL);
    assert_int_equal(post(&f, "{}", LONG_MS), MARLINE_OK);
    assert_int_equal(f.response.status, 429);
    assert_string_equal(f.response.body.data, "slow down");
    assert_string_equal(f.response.retry_after, "7");
    assert_string_equal(f.response.content_type, "text/plain");
    assert_non_null(strstr(http_peer_head(f.peer, 0), "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(http_peer_head(f.peer, 0), "Authorization: Bearer k"));
    assert_null(strstr(http_peer_head(f.peer, 0), "Expect"));
    assert_string_equal(http_peer_body(f.peer, 0), "{}");
    end(&f);
}

static void given_two_requests_when_peer_keeps_alive_then_one_connection_CLI_11(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 200, NULL, "ok"}};
    struct fixture f;
    begin(&f, script, 1, NULL);
    assert_int_equal(post(&f, "1", LONG_MS), MARLINE_OK);
    assert_int_equal(post(&f, "2", LONG_MS), MARLINE_OK);
    assert_string_equal(f.response.body.data, "ok");
    assert_int_equal(http_peer_connection_count(f.peer), 1);
    end(&f);
}

static void given_redirect_when_answered_then_not_followed(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 307, "Location: /elsewhere\r\n", NULL}};
    struct fixture f;
    begin(&f, script, 1, NULL);
    assert_int_equal(post(&f, "x", LONG_MS), MARLINE_OK);
    assert_int_equal(f.response.status, 307);
    assert_int_equal(http_peer_request_count(f.peer), 1);
    end(&f);
}

static void given_answer_above_limit_when_read_then_refused(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 200, NULL, "0123456789"}};
    struct http_client_options options = {.response_max = 9};
    struct fixture f;
    begin(&f, script, 1, &options);
    assert_int_equal(post(&f, "x", LONG_MS), MARLINE_EPROTO);
    assert_non_null(strstr(f.error.text, "larger than 9 bytes"));
    end(&f);
}

static void given_no_answer_when_time_is_up_then_timeout_names_host(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_HANG, 0, NULL, NULL}};
    struct fixture f;
    begin(&f, script, 1, NULL);
    assert_int_equal(post(&f, "x", 50), MARLINE_ETIMEDOUT);
    assert_non_null(strstr(f.error.text, "127.0.0.1:"));
    end(&f);
}

static void given_connection_closed_when_waiting_then_io_error(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_CLOSE, 0, NULL, NULL}};
    struct fixture f;
    begin(&f, script, 1, NULL);
    assert_int_equal(post(&f, "x", LONG_MS), MARLINE_EIO);
    end(&f);
}

static void given_head_that_is_cut_off_when_read_then_no_answer(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_RAW, 0, NULL, "HTTP/1.1 200 OK\r\nContent-Le"}};
    struct fixture f;
    begin(&f, script, 1, NULL);
    assert_int_equal(post(&f, "x", LONG_MS), MARLINE_EIO);
    assert_non_null(strstr(f.error.text, "within the head of its answer"));
    end(&f);
}

static void given_garbage_when_read_then_protocol_error(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_RAW, 0, NULL, "SSH-2.0-x\r\n\r\n"}};
    struct fixture f;
    begin(&f, script, 1, NULL);
    assert_int_equal(post(&f, "x", LONG_MS), MARLINE_EPROTO);
    end(&f);
}

static void given_nobody_listens_when_posted_then_error_names_host_and_cause(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 200, NULL, NULL}};
    struct fixture f;
    begin(&f, script, 1, NULL);
    char url[64];
    (void)strncpy(url, http_peer_url(f.peer), sizeof url - 1);
    url[sizeof url - 1] = '\0';
    http_peer_stop(f.peer);
    struct http_request request = {.url = url, .timeout_ms = LONG_MS};
    assert_int_equal(marline__http_client_perform(f.client, &request, &f.response, &f.error),
                     MARLINE_EIO);
    assert_non_null(strstr(f.error.text, url + strlen("http://")));
    assert_non_null(strstr(f.error.text, "refused"));
    f.peer = http_peer_start(script, 1);
    end(&f);
}

static void given_url_of_other_scheme_when_requested_then_invalid(void **state)
{
    (void)state;
    static const char *const urls[] = {"ftp://h/", "h:80", "", "file:///etc/passwd", "http://:x/"};
    struct http_client *client = marline__http_client_create(NULL);
    struct http_response response = HTTP_RESPONSE_INIT;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct http_request request = {.url = urls[i], .timeout_ms = 1000};
        assert_int_equal(marline__http_client_perform(client, &request, &response, NULL),
                         MARLINE_EINVAL);
    }
    marline__http_response_deinit(&response);
    marline__http_client_destroy(client);
}

static void *perform_in_thread(void *user)
{
    struct fixture *f = user;
    marline_status status = post(f, "x", LONG_MS);
    return (void *)(intptr_t)status;
}

static void given_running_request_when_canceled_then_ends_and_later_ones_too(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_HANG, 0, NULL, NULL},
                                      {HTTP_PEER_ANSWER, 200, NULL, NULL}};
    struct fixture f;
    begin(&f, script, 2, NULL);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, perform_in_thread, &f), 0);
    assert_true(http_peer_wait(f.peer, 1));
    marline__http_client_cancel(f.client);
    void *status = NULL;
    pthread_join(thread, &status);
    assert_int_equal((intptr_t)status, MARLINE_ECANCELED);
    assert_int_equal(post(&f, "x", LONG_MS), MARLINE_ECANCELED);
    marline__http_client_resume(f.client);
    assert_int_equal(post(&f, "x", LONG_MS), MARLINE_OK);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_post_when_answered_then_status_body_and_headers_arrive),
        cmocka_unit_test(given_two_requests_when_peer_keeps_alive_then_one_connection_CLI_11),
        cmocka_unit_test(given_redirect_when_answered_then_not_followed),
        cmocka_unit_test(given_answer_above_limit_when_read_then_refused),
        cmocka_unit_test(given_no_answer_when_time_is_up_then_timeout_names_host),
        cmocka_unit_test(given_connection_closed_when_waiting_then_io_error),
        cmocka_unit_test(given_head_that_is_cut_off_when_read_then_no_answer),
        cmocka_unit_test(given_garbage_when_read_then_protocol_error),
        cmocka_unit_test(given_nobody_listens_when_posted_then_error_names_host_and_cause),
        cmocka_unit_test(given_url_of_other_scheme_when_requested_then_invalid),
        cmocka_unit_test(given_running_request_when_canceled_then_ends_and_later_ones_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
