/* What goes wrong around a backend: a full disk, a locked database, PostgreSQL that crashes in the
 * middle of load, two backends on one database, hostile clients. In each case: an error that tells
 * the client to try again, recovery without help, and everything acknowledged is there.
 *
 * Without argument on SQLite; with "postgresql" on a private server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "io/http_client.h"
#include "support/backend_fixture.h"
#ifdef HAVE_POSTGRES
#include "support/postgres_fixture.h"
#endif

enum { NAME_SIZE = 64, TURN_WAIT_MS = 30000 };

#define KEY "rh-trouble-0123456789"

/* ---- spans ---- */

/* A body with one span of its own, of the test whose number is `test`. */
static void write_span(struct buffer *body, unsigned writer, unsigned number, unsigned test)
{
    marline__buffer_clear(body);
    marline__buffer_append_format(
        body,
        "{\"spans\":[{\"trace_id\":\"%016x%016x\",\"span_id\":\"%016x\",\"span_name\":"
        "\"function.x\",\"start_time\":\"2026-01-01T00:00:00Z\",\"end_time\":"
        "\"2026-01-01T00:00:01Z\",\"attributes\":{\"rhesis.test.run_id\":"
        "\"aaaaaaaa-0000-4000-8000-000000000001\",\"rhesis.test.id\":"
        "\"bbbbbbbb-0000-4000-8000-%012x\",\"rhesis.test.configuration_id\":"
        "\"cccccccc-0000-4000-8000-000000000001\"}}]}",
        writer + 1, test + 1, number + 1, test);
}

static int post_span(const struct backend_process *b, unsigned writer, unsigned number)
{
    struct buffer body = BUFFER_INIT;
    struct backend_answer answer;
    write_span(&body, writer, number, number);
    backend_request(b, "POST", "/telemetry/traces", NULL, body.data, &answer);
    int status = answer.status;
    backend_answer_deinit(&answer);
    marline__buffer_deinit(&body);
    return status;
}

static int post_otlp(const struct backend_process *b)
{
    static const char body[] =
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":"
        "\"0123456789abcdef0123456789abcdef\",\"spanId\":\"0123456789abcdef\",\"name\":\"x\","
        "\"kind\":1,\"startTimeUnixNano\":\"1767225600000000000\",\"endTimeUnixNano\":"
        "\"1767225601000000000\"}]}]}]}";
    struct backend_answer answer;
    backend_request(b, "POST", "/v1/traces", NULL, body, &answer);
    int status = answer.status;
    backend_answer_deinit(&answer);
    return status;
}

static long anonymous_kilobytes(const struct backend_process *b)
{
    char path[NAME_SIZE];
    char line[256];
    long kilobytes = -1;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)b->pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "RssAnon:", 8) == 0) {
            kilobytes = strtol(line + 8, NULL, 10);
        }
    }
    (void)fclose(file);
    return kilobytes;
}

/* ---- SQLite: a file that may not grow, or is locked ---- */

struct file_scene {
    struct backend_process b;
    char location[NAME_SIZE];
};

static int setup_file(void **state)
{
    static int number;
    struct file_scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)snprintf(s->location, sizeof s->location, "sqlite:trouble-%d-%d.db", (int)getpid(),
                   number++);
    backend_process_start(
        &s->b, (const char *const[]){"--store", s->location, "--log-level", "error", NULL});
    *state = s;
    return 0;
}

static int teardown_file(void **state)
{
    static const char *const endings[] = {"", ".key", "-wal", "-shm"};
    struct file_scene *s = *state;
    char path[2 * NAME_SIZE];
    assert_int_equal(backend_process_stop(&s->b), 0);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        (void)snprintf(path, sizeof path, "%s%s", strchr(s->location, ':') + 1, endings[i]);
        (void)unlink(path);
    }
    free(s);
    return 0;
}

/* The disk of that process is full: no file of it may grow beyond `size`. */
static void limit_files(const struct backend_process *b, rlim_t size)
{
    struct rlimit limit = {.rlim_cur = size, .rlim_max = RLIM_INFINITY};
    assert_int_equal(prlimit(b->pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

static void given_full_disk_when_spans_come_then_refused_and_later_fine(void **state)
{
    struct file_scene *s = *state;
    assert_int_equal(post_span(&s->b, 0, 0), 200);
    limit_files(&s->b, 4096);
    assert_int_equal(post_span(&s->b, 0, 1), 500);
    assert_int_equal(post_otlp(&s->b), 503);
    backend_expect(&s->b, "GET", "/mock/ledger", NULL, 200, "\"stored\":1");
    backend_expect(&s->b, "GET", "/healthz", NULL, 200, "ok");
    limit_files(&s->b, RLIM_INFINITY);
    assert_int_equal(post_span(&s->b, 0, 1), 200);
    assert_int_equal(post_otlp(&s->b), 200);
    backend_expect(&s->b, "GET", "/mock/ledger", NULL, 200, "\"stored\":3");
}

/* Half of the acknowledged are written before the disk is full, and again after it is not; then
 * the process is killed: what was said to be stored is stored. */
static void given_full_disk_in_mid_load_when_killed_then_acknowledged_is_there(void **state)
{
    struct file_scene *s = *state;
    enum { POSTS = 60 };
    bool acknowledged[POSTS] = {false};
    for (unsigned i = 0; i < POSTS; i++) {
        if (i % 20 == 10) {
            limit_files(&s->b, 4096);
        }
        if (i % 20 == 15) {
            limit_files(&s->b, RLIM_INFINITY);
        }
        acknowledged[i] = post_span(&s->b, 0, i) == 200;
        assert_int_equal(acknowledged[i], i % 20 < 10 || i % 20 >= 15);
    }
    backend_process_kill(&s->b);
    backend_process_start(
        &s->b, (const char *const[]){"--store", s->location, "--log-level", "error", NULL});
    backend_expect(&s->b, "GET", "/mock/ledger", NULL, 200, "\"stored\":45");
    for (unsigned i = 0; i < POSTS; i++) {
        if (acknowledged[i]) {
            assert_int_equal(post_span(&s->b, 0, i), 200); /* a repeat */
        }
    }
    backend_expect(&s->b, "GET", "/mock/ledger", NULL, 200,
                   "\"stored\":45,\"rejected\":0,"
                   "\"duplicate\":45");
}

/* The backend's own sweep may hold the file when the test asks for it: the test waits its turn. */
static void given_locked_file_when_spans_come_then_refused_and_later_fine(void **state)
{
    struct file_scene *s = *state;
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(strchr(s->location, ':') + 1, &other), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(other, TURN_WAIT_MS), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(post_otlp(&s->b), 503);
    backend_expect(&s->b, "GET", "/mock/ledger", NULL, 200, "\"stored\":0");
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(post_otlp(&s->b), 200);
    backend_expect(&s->b, "GET", "/mock/ledger", NULL, 200, "\"stored\":1");
}

/* ---- hostile clients; the store does not matter ---- */

enum { SILENT_MAX = 10000, DESCRIPTORS_KEPT = 200, GROWTH_MAX_KB = 16 * 1024 };

/* As many as this process may open, up to ten thousand. */
static int open_silent(const struct backend_process *b, int *sockets)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int count = limit.rlim_cur > SILENT_MAX + DESCRIPTORS_KEPT
                    ? SILENT_MAX
                    : (int)limit.rlim_cur - DESCRIPTORS_KEPT;
    for (int i = 0; i < count; i++) {
        sockets[i] = tcp_connect(b->port);
    }
    return count;
}

static void
given_10000_silent_connections_when_others_ask_then_answered_in_bounded_memory(void **state)
{
    struct backend_process *b = *state;
    int *sockets = calloc(SILENT_MAX, sizeof *sockets);
    struct ws_peer neighbour;
    struct buffer text = BUFFER_INIT;
    assert_non_null(sockets);
    backend_connect_agent(b, &neighbour, &text);
    long before = anonymous_kilobytes(b);
    int count = open_silent(b, sockets);
    assert_int_equal(post_span(b, 0, 0), 200);
    backend_register_agent(&neighbour, &text);
    long growth = anonymous_kilobytes(b) - before;
    print_message("%d silent connections: %ld KB\n", count, growth);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(growth < GROWTH_MAX_KB);
#endif
    for (int i = 0; i < count; i++) {
        (void)close(sockets[i]);
    }
    ws_peer_deinit(&neighbour);
    marline__buffer_deinit(&text);
    free(sockets);
}

static void
given_bodies_that_never_end_when_others_ask_then_answered_and_nothing_stored(void **state)
{
    struct backend_process *b = *state;
    enum { SLOW = 100 };
    int sockets[SLOW];
    struct buffer request = BUFFER_INIT;
    struct buffer body = BUFFER_INIT;
    write_span(&body, 0, 0, 0);
    marline__buffer_append_format(&request,
                                  "POST /telemetry/traces HTTP/1.1\r\nHost: h\r\nAuthorization: "
                                  "Bearer %s\r\nContent-Length: %zu\r\n\r\n",
                                  b->api_key, body.size);
    for (int i = 0; i < SLOW; i++) {
        sockets[i] = tcp_connect(b->port);
        tcp_send(sockets[i], request.data, request.size);
        tcp_send(sockets[i], body.data, body.size - 1 - (size_t)i);
    }
    assert_int_equal(post_span(b, 1, 0), 200);
    for (int i = 0; i < SLOW; i++) { /* cut off in mid-body */
        (void)close(sockets[i]);
    }
    struct backend_answer answer;
    backend_wait_for(b, "/metrics", "\nmarline_http_requests_active 1\n", &answer); /* this one */
    backend_answer_deinit(&answer);
    backend_expect(b, "GET", "/mock/ledger", NULL, 200, "\"stored\":1");
    marline__buffer_deinit(&request);
    marline__buffer_deinit(&body);
}

/* A few hundred kilobytes that become more than the limit of a body. */
static void make_bomb(struct buffer *out)
{
    enum { SIZE = 65 * 1024 * 1024, PIECE = 1024 * 1024 };
    static const Bytef zeros[PIECE];
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_true(marline__buffer_reserve(out, PIECE));
    z.next_out = (Bytef *)out->data;
    z.avail_out = PIECE;
    for (int i = 0; i < SIZE / PIECE; i++) {
        z.next_in = (Bytef *)(uintptr_t)zeros;
        z.avail_in = PIECE;
        assert_int_equal(deflate(&z, Z_NO_FLUSH), Z_OK);
    }
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->size = PIECE - z.avail_out;
    (void)deflateEnd(&z);
}

static void given_gzip_bombs_when_sent_then_413_and_the_memory_is_given_back(void **state)
{
    struct backend_process *b = *state;
    struct buffer bomb = BUFFER_INIT;
    char headers[256];
    make_bomb(&bomb);
    (void)snprintf(headers, sizeof headers,
                   "Authorization: Bearer %s\r\nContent-Encoding: gzip\r\nContent-Type: "
                   "application/json\r\n",
                   b->api_key);
    long before = anonymous_kilobytes(b);
    for (int i = 0; i < 4; i++) {
        backend_expect_raw(b, i % 2 ? "POST /v1/traces" : "POST /telemetry/traces", headers,
                           bomb.data, bomb.size, (const char *const[]){"HTTP/1.1 413", NULL});
    }
    assert_int_equal(post_span(b, 0, 0), 200);
    long growth = anonymous_kilobytes(b) - before;
    print_message("four bombs of %zu bytes: %ld KB\n", bomb.size, growth);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(growth < GROWTH_MAX_KB);
#endif
    marline__buffer_deinit(&bomb);
}

/* ---- PostgreSQL ---- */

#ifdef HAVE_POSTGRES

enum {
    WRITERS = 4,
    BEFORE_CRASH = 40,
    AFTER_CRASH = 80,
    POSTS_MAX = 4000,
    TESTS = 8,
    PAUSE_MS = 20
};

static struct postgres_server server;
static char url[POSTGRES_URL_SIZE];

static void start_backend(struct backend_process *b)
{
    backend_process_start(
        b, (const char *const[]){"--store", url, "--api-key", KEY, "--log-level", "error", NULL});
}

/* Posts from a thread of its own, each until it is acknowledged; no assertion in here. */
struct writer {
    pthread_t thread;
    const struct backend_process *b;
    unsigned number;
    unsigned tests; /* spans go to so many tests in turn; 0 = each to one of its own */
    unsigned posts; /* to do; 0 = until `stop` */
    atomic_bool *stop;
    atomic_uint *accepted; /* of all writers */
    atomic_uint *refused;  /* answered 5xx */
    unsigned done;
    bool is_wrong; /* some other answer, or none */
};

static void post_until_accepted(struct writer *w, struct http_client *client)
{
    struct buffer body = BUFFER_INIT;
    char endpoint[256];
    unsigned test = w->tests ? w->done % w->tests : w->number * POSTS_MAX + w->done;
    write_span(&body, w->tests ? 0 : w->number, w->number * POSTS_MAX + w->done, test);
    (void)snprintf(endpoint, sizeof endpoint, "%s/telemetry/traces", w->b->base_url);
    const char *headers[] = {"Content-Type: application/json", "Authorization: Bearer " KEY};
    const struct http_request request = {.method = "POST",
                                         .url = endpoint,
                                         .headers = headers,
                                         .header_count = 2,
                                         .body = marline__buffer_slice(&body),
                                         .timeout_ms = BACKEND_WAIT_MS};
    for (bool accepted = false; !accepted && !w->is_wrong;) {
        struct http_response response = HTTP_RESPONSE_INIT;
        bool answered =
            marline__http_client_perform(client, &request, &response, NULL) == MARLINE_OK;
        accepted = answered && response.status == 200;
        if (answered && response.status >= 500) {
            (void)atomic_fetch_add(w->refused, 1);
            (void)poll(NULL, 0, PAUSE_MS); /* as a client does that is told to come again */
        } else if (!accepted) {
            w->is_wrong = true;
        }
        marline__http_response_deinit(&response);
    }
    (void)atomic_fetch_add(w->accepted, 1);
    w->done++;
    marline__buffer_deinit(&body);
}

static void *write_spans(void *user)
{
    struct writer *w = user;
    struct http_client *client = marline__http_client_create(NULL);
    while (!w->is_wrong && (w->posts ? w->done < w->posts : !atomic_load(w->stop)) &&
           w->done < POSTS_MAX) {
        post_until_accepted(w, client);
    }
    marline__http_client_destroy(client);
    return NULL;
}

/* Until the counter has reached `count`, looking every few milliseconds. */
static void wait_for_count(atomic_uint *counter, unsigned count)
{
    for (int i = 0; i < BACKEND_WAIT_MS && atomic_load(counter) < count; i++) {
        (void)poll(NULL, 0, 2);
    }
    assert_true(atomic_load(counter) >= count);
}

static void
given_postgres_that_crashes_in_mid_load_when_it_is_back_then_nothing_is_lost(void **state)
{
    (void)state;
    struct backend_process b;
    struct writer writers[WRITERS];
    atomic_bool stop = false;
    atomic_uint accepted = 0;
    atomic_uint refused = 0;
    start_backend(&b);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){
            .b = &b, .number = i, .stop = &stop, .accepted = &accepted, .refused = &refused};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_spans, &writers[i]), 0);
    }
    wait_for_count(&accepted, BEFORE_CRASH);
    postgres_server_crash(&server);
    wait_for_count(&refused, 1);
    assert_true(postgres_server_launch(&server));
    wait_for_count(&accepted, atomic_load(&accepted) + AFTER_CRASH);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WRITERS; i++) {
        (void)pthread_join(writers[i].thread, NULL);
        assert_false(writers[i].is_wrong);
    }
    char stored[NAME_SIZE];
    (void)snprintf(stored, sizeof stored, "\"stored\":%u,", atomic_load(&accepted));
    backend_expect(&b, "GET", "/mock/ledger", NULL, 200, stored);
    assert_int_equal(backend_process_stop(&b), 0);
}

/* Both write spans of the same tests and traces at once; the results come through either. */
static void given_two_backends_on_one_database_when_both_write_then_all_is_linked(void **state)
{
    (void)state;
    enum { POSTS = 40 };
    struct backend_process b[2];
    struct writer writers[WRITERS];
    atomic_uint accepted = 0;
    atomic_uint refused = 0;
    start_backend(&b[0]);
    start_backend(&b[1]);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.b = &b[i % 2],
                                     .number = i,
                                     .tests = TESTS,
                                     .posts = POSTS,
                                     .accepted = &accepted,
                                     .refused = &refused};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_spans, &writers[i]), 0);
    }
    for (unsigned i = 0; i < TESTS; i++) {
        char body[256];
        (void)snprintf(body, sizeof body,
                       "{\"test_run_id\":\"aaaaaaaa-0000-4000-8000-000000000001\",\"test_id\":"
                       "\"bbbbbbbb-0000-4000-8000-%012x\",\"test_configuration_id\":"
                       "\"cccccccc-0000-4000-8000-000000000001\"}",
                       i);
        backend_expect(&b[i % 2], "POST", "/test_results", body, 200, "\"id\":");
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        (void)pthread_join(writers[i].thread, NULL);
        assert_false(writers[i].is_wrong);
    }
    char all[NAME_SIZE];
    struct backend_answer answer;
    (void)snprintf(all, sizeof all, "\"linked\":%d,\"waiting\":0", WRITERS * POSTS);
    for (size_t i = 0; i < 2; i++) {
        backend_wait_for(&b[i], "/mock/ledger", all, &answer);
        backend_answer_deinit(&answer);
    }
    assert_int_equal(atomic_load(&refused), 0); /* whoever has to wait is not the client */
    assert_int_equal(backend_process_stop(&b[0]), 0);
    assert_int_equal(backend_process_stop(&b[1]), 0);
}

static int empty(void **state)
{
    (void)state;
    return postgres_fixture_empty(&server) ? 0 : -1;
}

static int run_on_postgres(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(
            given_two_backends_on_one_database_when_both_write_then_all_is_linked, empty),
        cmocka_unit_test_setup(
            given_postgres_that_crashes_in_mid_load_when_it_is_back_then_nothing_is_lost, empty),
    };
    int code = postgres_fixture_start(&server, true);
    if (code == 0) {
        postgres_server_url(&server, url, sizeof url);
        code = cmocka_run_group_tests_name("postgresql", tests, NULL, NULL);
    }
    postgres_server_stop(&server);
    return code;
}

#else

static int run_on_postgres(void)
{
    (void)fprintf(stderr, "libpq-dev is not installed\n");
    return 77;
}

#endif

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_file, teardown_file)

int main(int argc, char **argv)
{
    (void)argv;
    const struct CMUnitTest tests[] = {
        FILE_TEST(given_full_disk_when_spans_come_then_refused_and_later_fine),
        FILE_TEST(given_full_disk_in_mid_load_when_killed_then_acknowledged_is_there),
        FILE_TEST(given_locked_file_when_spans_come_then_refused_and_later_fine),
        BACKEND_TEST(
            given_10000_silent_connections_when_others_ask_then_answered_in_bounded_memory),
        BACKEND_TEST(given_bodies_that_never_end_when_others_ask_then_answered_and_nothing_stored),
        BACKEND_TEST(given_gzip_bombs_when_sent_then_413_and_the_memory_is_given_back),
    };
    return argc == 1 ? cmocka_run_group_tests_name("sqlite", tests, NULL, NULL) : run_on_postgres();
}
