/* The platform exporter against a scripted peer, and its retry rule under simulated time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../../support/http_peer.h"
#include "base/clock.h"
#include "trace/retry.h"
#include <marline/trace.h>

/* ---- the rule ---- */

static enum retry_verdict judge(struct retry *r, marline_status transport, int http_status,
                                uint64_t now_ns, uint64_t *wait_ns)
{
    struct retry_outcome outcome = {.transport = transport, .http_status = http_status};
    return marline__retry_judge(r, &outcome, now_ns, 0, wait_ns);
}

static void given_answers_when_judged_then_as_specified(void **state)
{
    (void)state;
    struct {
        marline_status transport;
        int http_status;
        enum retry_verdict verdict;
    } cases[] = {
        {MARLINE_OK, 200, RETRY_DELIVERED},    {MARLINE_OK, 204, RETRY_DELIVERED},
        {MARLINE_OK, 408, RETRY_AGAIN},        {MARLINE_OK, 429, RETRY_AGAIN},
        {MARLINE_OK, 500, RETRY_AGAIN},        {MARLINE_OK, 503, RETRY_AGAIN},
        {MARLINE_OK, 400, RETRY_REFUSED},      {MARLINE_OK, 401, RETRY_REFUSED},
        {MARLINE_OK, 422, RETRY_REFUSED},      {MARLINE_OK, 302, RETRY_REFUSED},
        {MARLINE_EIO, 0, RETRY_AGAIN},         {MARLINE_ETIMEDOUT, 0, RETRY_AGAIN},
        {MARLINE_ECANCELED, 0, RETRY_GIVE_UP}, {MARLINE_EAUTH, 0, RETRY_GIVE_UP},
        {MARLINE_EPROTO, 0, RETRY_GIVE_UP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct retry r;
        uint64_t wait_ns = 0;
        marline__retry_begin(&r, &marline__retry_platform, 0, TIME_NEVER);
        assert_int_equal(judge(&r, cases[i].transport, cases[i].http_status, 0, &wait_ns),
                         cases[i].verdict);
    }
}

static void given_failures_when_judged_then_three_attempts_with_growing_waits(void **state)
{
    (void)state;
    struct retry r;
    uint64_t wait_ns = 0;
    marline__retry_begin(&r, &marline__retry_platform, 0, TIME_NEVER);
    assert_int_equal(judge(&r, MARLINE_OK, 503, 0, &wait_ns), RETRY_AGAIN);
    assert_int_equal(wait_ns, NS_PER_S);
    assert_int_equal(judge(&r, MARLINE_OK, 503, NS_PER_S, &wait_ns), RETRY_AGAIN);
    assert_int_equal(wait_ns, 2 * NS_PER_S);
    assert_int_equal(judge(&r, MARLINE_OK, 503, 3 * NS_PER_S, &wait_ns), RETRY_GIVE_UP);
}

static void given_random_bits_when_judged_then_wait_within_two_seconds_more(void **state)
{
    (void)state;
    struct retry_outcome outcome = {.transport = MARLINE_OK, .http_status = 500};
    for (uint64_t random = 1; random != 0; random *= 5) {
        struct retry r;
        uint64_t wait_ns = 0;
        marline__retry_begin(&r, &marline__retry_platform, 0, TIME_NEVER);
        marline__retry_judge(&r, &outcome, 0, random, &wait_ns);
        assert_in_range(wait_ns, NS_PER_S, 3 * NS_PER_S);
        if (random > UINT64_MAX / 5) {
            break;
        }
    }
}

static void given_budget_when_nearly_used_then_no_wait_that_does_not_fit(void **state)
{
    (void)state;
    struct retry r;
    uint64_t wait_ns = 0;
    marline__retry_begin(&r, &marline__retry_platform, 0, TIME_NEVER);
    assert_int_equal(marline__retry_left_ns(&r, 4 * NS_PER_S), 6 * NS_PER_S);
    assert_int_equal(judge(&r, MARLINE_EIO, 0, 9 * NS_PER_S, &wait_ns), RETRY_GIVE_UP);
    marline__retry_begin(&r, &marline__retry_platform, 0,
                         2 * NS_PER_S); /* the caller's deadline comes first */
    assert_int_equal(marline__retry_left_ns(&r, 3 * NS_PER_S), 0);
}

/* ---- over a socket ---- */

struct fixture {
    struct http_peer *peer;
    marline_exporter exporter;
    marline_export_result result;
};

static void begin(struct fixture *f, const struct http_peer_step *script, size_t count)
{
    *f = (struct fixture){.peer = http_peer_start(script, count)};
    char base[96];
    (void)snprintf(base, sizeof base, "%s/prefix/", http_peer_url(f->peer));
    memcpy(base, "ws", 2); /* ws://… is the same backend */
    memmove(base + 2, base + 4, strlen(base + 4) + 1);
    marline_platform_exporter_options options = {
        .size = sizeof options, .base_url = base, .api_key = "secret", .project_id = "p1"};
    marline_error error = {0};
    assert_int_equal(marline_exporter_platform_create(&options, &f->exporter, &error), MARLINE_OK);
}

static void end(struct fixture *f)
{
    f->exporter.destroy(f->exporter.user);
    http_peer_stop(f->peer);
}

static const marline_scope_data scope;
static const marline_resource_data resource;

static marline_span_data span_named(const char *name, uint8_t id)
{
    return (marline_span_data){.trace_id = {1},
                               .span_id = {id, 1},
                               .flags = 1,
                               .name = marline_text(name),
                               .kind = MARLINE_SPAN_KIND_INTERNAL,
                               .start_unix_ns = NS_PER_S,
                               .end_unix_ns = NS_PER_S,
                               .scope = &scope,
                               .resource = &resource};
}

static void export_all(struct fixture *f, const marline_span_data *spans, size_t count,
                       uint64_t timeout_ms)
{
    f->result = (marline_export_result){0};
    f->exporter.export_spans(f->exporter.user, spans, count, timeout_ms, &f->result);
    assert_int_equal(f->result.exported + f->result.rejected + f->result.failed, count);
}

static size_t occurrences(const char *text, const char *word)
{
    size_t count = 0;
    while ((text = strstr(text, word))) {
        count++;
        text += strlen(word);
    }
    return count;
}

static void given_spans_when_accepted_then_posted_as_the_platform_wants(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 200, NULL, "{\"status\":\"received\"}"}};
    struct fixture f;
    begin(&f, script, 1);
    marline_span_data spans[] = {span_named("function.a", 1), span_named("ai.llm.invoke", 2)};
    export_all(&f, spans, 2, 5000);
    assert_int_equal(f.result.exported, 2);
    assert_string_equal(f.result.reason, "");
    const char *head = http_peer_head(f.peer, 0);
    assert_non_null(strstr(head, "POST /prefix/telemetry/traces HTTP/1.1\r\n"));
    assert_non_null(strstr(head, "\r\nAuthorization: Bearer secret"));
    assert_non_null(strstr(head, "\r\nContent-Type: application/json"));
    const char *body = http_peer_body(f.peer, 0);
    assert_memory_equal(body, "{\"spans\":[{", 11);
    assert_int_equal(occurrences(body, "\"project_id\":\"p1\""), 2);
    assert_int_equal(occurrences(body, "\"environment\":\"development\""), 2);
    assert_string_equal(body + strlen(body) - 3, "}]}");
    end(&f);
}

static void given_names_the_platform_refuses_when_exported_then_only_those_rejected(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 200, NULL, NULL}};
    struct fixture f;
    begin(&f, script, 1);
    marline_span_data spans[] = {span_named("my own name", 1), span_named("function.b", 2),
                                 span_named("function.back", 3)};
    spans[2].start_unix_ns = 2 * NS_PER_S;
    export_all(&f, spans, 3, 5000);
    assert_int_equal(f.result.exported, 1);
    assert_int_equal(f.result.rejected, 2);
    assert_non_null(strstr(f.result.reason, "function.back"));
    assert_null(strstr(http_peer_body(f.peer, 0), "my own name"));
    export_all(&f, spans, 1, 5000);
    assert_int_equal(f.result.rejected, 1);
    assert_int_equal(http_peer_request_count(f.peer), 1); /* nothing left: no request (§4.8) */
    end(&f);
}

static void given_251_spans_when_exported_then_chunks_of_100_100_51_roots_first(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 200, NULL, NULL}};
    struct fixture f;
    begin(&f, script, 1);
    static marline_span_data spans[251];
    for (size_t i = 0; i < 251; i++) {
        spans[i] = span_named(i < 250 ? "function.child" : "function.root", (uint8_t)i);
        spans[i].has_parent = i < 250;
        spans[i].parent_span_id[0] = 9;
    }
    export_all(&f, spans, 251, 5000);
    assert_int_equal(f.result.exported, 251);
    assert_int_equal(http_peer_request_count(f.peer), 3);
    size_t sizes[] = {100, 100, 51};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(occurrences(http_peer_body(f.peer, i), "\"span_name\""), sizes[i]);
    }
    assert_non_null(strstr(http_peer_body(f.peer, 0), "function.root"));
    assert_int_equal(http_peer_connection_count(f.peer), 1);
    end(&f);
}

static void given_refused_chunk_when_others_follow_then_they_are_still_sent(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 422, NULL, "{\"detail\":[]}"},
                                      {HTTP_PEER_ANSWER, 200, NULL, NULL}};
    struct fixture f;
    begin(&f, script, 2);
    static marline_span_data spans[150];
    for (size_t i = 0; i < 150; i++) {
        spans[i] = span_named("function.child", (uint8_t)i);
        spans[i].has_parent = true;
    }
    export_all(&f, spans, 150, 5000);
    assert_int_equal(f.result.rejected, 100);
    assert_int_equal(f.result.exported, 50);
    assert_int_equal(http_peer_request_count(f.peer), 2);
    end(&f);
}

static void given_lost_connection_when_posting_then_tried_again_and_delivered(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_CLOSE, 0, NULL, NULL},
                                      {HTTP_PEER_ANSWER, 200, NULL, NULL}};
    struct fixture f;
    begin(&f, script, 2);
    marline_span_data span = span_named("function.a", 1);
    export_all(&f, &span, 1, 20000);
    assert_int_equal(f.result.exported, 1);
    assert_int_equal(http_peer_request_count(f.peer), 2);
    assert_string_equal(http_peer_body(f.peer, 0), http_peer_body(f.peer, 1));
    end(&f);
}

static void given_time_is_short_when_answer_is_503_then_failed_with_reason(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 503, NULL, "busy"}};
    struct fixture f;
    begin(&f, script, 1);
    marline_span_data span = span_named("function.a", 1);
    export_all(&f, &span, 1, 1000); /* no wait of a second fits */
    assert_int_equal(f.result.failed, 1);
    assert_non_null(strstr(f.result.reason, "HTTP 503: busy"));
    end(&f);
}

struct running {
    struct fixture *f;
    marline_span_data span;
};

static void *export_in_thread(void *user)
{
    struct running *r = user;
    export_all(r->f, &r->span, 1, 0);
    return NULL;
}

static void given_wait_before_retry_when_canceled_then_returns_at_once_CLI_10(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 503, NULL, NULL},
                                      {HTTP_PEER_HANG, 0, NULL, NULL}};
    struct fixture f;
    begin(&f, script, 2);
    struct running r = {&f, span_named("function.a", 1)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, export_in_thread, &r), 0);
    assert_true(http_peer_wait(f.peer, 1));
    f.exporter.cancel(f.exporter.user);
    pthread_join(thread, NULL);
    assert_int_equal(f.result.failed, 1);
    end(&f);
}

enum { MANY = 251 };

struct running_batch {
    struct fixture *f;
    char names[MANY][32];
    marline_span_data spans[MANY];
    bool is_failed[MANY];
};

static void *export_batch_in_thread(void *user)
{
    struct running_batch *r = user;
    r->f->result = (marline_export_result){.is_failed = r->is_failed};
    r->f->exporter.export_spans(r->f->exporter.user, r->spans, MANY, 0, &r->f->result);
    return NULL;
}

static void given_some_chunks_when_the_rest_fails_then_told_which_spans_PRC_07(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 200, NULL, NULL},
                                      {HTTP_PEER_HANG, 0, NULL, NULL}};
    struct fixture f;
    begin(&f, script, 2);
    static struct running_batch r;
    r.f = &f;
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(r.names[i], sizeof r.names[i], i == 7 ? "unfit" : "function.a%zu_", i);
        r.spans[i] = span_named(r.names[i], (uint8_t)i);
        r.spans[i].has_parent = i % 3 != 0;
        r.spans[i].parent_span_id[0] = 9;
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, export_batch_in_thread, &r), 0);
    assert_true(http_peer_wait(f.peer, 2));
    f.exporter.cancel(f.exporter.user);
    pthread_join(thread, NULL);
    assert_int_equal(f.result.exported, 100);
    assert_int_equal(f.result.rejected, 1);
    assert_int_equal(f.result.failed, MANY - 101);
    for (size_t i = 0; i < MANY; i++) {
        bool arrived = strstr(http_peer_body(f.peer, 0), r.names[i]) != NULL;
        assert_int_equal(r.is_failed[i], i != 7 && !arrived);
    }
    end(&f);
}

static void given_bad_options_when_created_then_refused_with_cause(void **state)
{
    (void)state;
    marline_exporter exporter;
    marline_error error;
    marline_platform_exporter_options cases[] = {
        {.size = sizeof cases[0], .base_url = NULL, .api_key = "k"},
        {.size = sizeof cases[0], .base_url = "ftp://h", .api_key = "k"},
        {.size = sizeof cases[0], .base_url = "http://h", .api_key = NULL},
        {.size = sizeof cases[0], .base_url = "http://h", .api_key = ""},
        {.size = sizeof cases[0], .base_url = "http://h", .api_key = "k\r\nX: y"},
        {.size = 0, .base_url = "http://h", .api_key = "k"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        error = (marline_error){0};
        assert_int_equal(marline_exporter_platform_create(&cases[i], &exporter, &error),
                         MARLINE_EINVAL);
        assert_int_equal(error.code, MARLINE_EINVAL);
        assert_true(error.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_answers_when_judged_then_as_specified),
        cmocka_unit_test(given_failures_when_judged_then_three_attempts_with_growing_waits),
        cmocka_unit_test(given_random_bits_when_judged_then_wait_within_two_seconds_more),
        cmocka_unit_test(given_budget_when_nearly_used_then_no_wait_that_does_not_fit),
        cmocka_unit_test(given_spans_when_accepted_then_posted_as_the_platform_wants),
        cmocka_unit_test(given_names_the_platform_refuses_when_exported_then_only_those_rejected),
        cmocka_unit_test(given_251_spans_when_exported_then_chunks_of_100_100_51_roots_first),
        cmocka_unit_test(given_refused_chunk_when_others_follow_then_they_are_still_sent),
        cmocka_unit_test(given_lost_connection_when_posting_then_tried_again_and_delivered),
        cmocka_unit_test(given_time_is_short_when_answer_is_503_then_failed_with_reason),
        cmocka_unit_test(given_wait_before_retry_when_canceled_then_returns_at_once_CLI_10),
        cmocka_unit_test(given_some_chunks_when_the_rest_fails_then_told_which_spans_PRC_07),
        cmocka_unit_test(given_bad_options_when_created_then_refused_with_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
