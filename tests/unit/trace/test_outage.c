/* Outages through the public API: what cannot be delivered is spooled and delivered later, by this
 * process or by the next; nothing is lost to kill -9, a hanging exporter, a fork. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../support/http_peer.h"
#include "../../support/program.h"
#include "../../support/trace_fixture.h"
#include "base/memory.h"
#include "base/random.h"

enum { LONG_MS = 10000, KILLS = 12, SPANS_PER_LIFE = 100, FLUSH_SPANS = 5, WAIT_MS = 30000 };

/* ---- an exporter that is up, down, or hanging ---- */

enum line { LINE_UP, LINE_DOWN, LINE_HANGS, LINE_TAKES_SOME };

struct receiver {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum line line;
    size_t arrived;
    size_t attempts;
    unsigned seen[26]; /* how often a span whose name ends with a to z came */
    bool heeds_cancel;
    bool canceled;
};

static void note_names(struct receiver *r, const marline_span_data *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        r->seen[spans[i].name.data[spans[i].name.size - 1] - 'a']++;
    }
}

/* Every third fails, every third is refused, from the first one on; then nothing passes. */
static void take_some(struct receiver *r, const marline_span_data *spans, size_t count,
                      marline_export_result *out)
{
    for (size_t i = 0; i < count; i++) {
        if (i % 3 == 0) {
            out->failed++;
            out->is_failed[i] = true;
        } else if (i % 3 == 1) {
            out->rejected++;
        } else {
            out->exported++;
            note_names(r, &spans[i], 1);
        }
    }
    (void)snprintf(out->reason, sizeof out->reason, "the line takes some");
    r->line = LINE_DOWN;
}

static void receive(void *user, const marline_span_data *spans, size_t count, uint64_t timeout_ms,
                    marline_export_result *out)
{
    (void)timeout_ms;
    struct receiver *r = user;
    pthread_mutex_lock(&r->mutex);
    r->attempts++;
    pthread_cond_broadcast(&r->changed);
    while (r->line == LINE_HANGS && !(r->canceled && r->heeds_cancel)) {
        pthread_cond_wait(&r->changed, &r->mutex);
    }
    r->canceled = false;
    if (r->line == LINE_UP) {
        r->arrived += count;
        out->exported = count;
        note_names(r, spans, count);
    } else if (r->line == LINE_TAKES_SOME) {
        take_some(r, spans, count, out);
    } else {
        out->failed = count;
        (void)snprintf(out->reason, sizeof out->reason, "the line is down");
    }
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

static void cancel_receive(void *user)
{
    struct receiver *r = user;
    pthread_mutex_lock(&r->mutex);
    r->canceled = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

static void set_line(struct receiver *r, enum line line)
{
    pthread_mutex_lock(&r->mutex);
    r->line = line;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

static void wait_attempts(struct receiver *r, size_t attempts)
{
    pthread_mutex_lock(&r->mutex);
    while (r->attempts < attempts) {
        pthread_cond_wait(&r->changed, &r->mutex);
    }
    pthread_mutex_unlock(&r->mutex);
}

static void wait_arrived(struct receiver *r, size_t arrived)
{
    pthread_mutex_lock(&r->mutex);
    while (r->arrived < arrived) {
        pthread_cond_wait(&r->changed, &r->mutex);
    }
    pthread_mutex_unlock(&r->mutex);
}

/* ---- the fixture: a folder for the spool, a provider ---- */

struct fixture {
    char folder[64];
    char path[96];
    char log[96];
    struct receiver receiver;
    marline_provider *provider;
    marline_tracer *tracer;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    /* In memory where there is such a place: a busy disk takes its time for every flush. */
    (void)snprintf(f->folder, sizeof f->folder, "%s/marline-outage-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof f->path, "%s/spool.db", f->folder);
    (void)snprintf(f->log, sizeof f->log, "%s/log", f->folder);
    pthread_mutex_init(&f->receiver.mutex, NULL);
    pthread_cond_init(&f->receiver.changed, NULL);
    f->receiver.heeds_cancel = true;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"spool.db", "spool.db-wal", "spool.db.lock", "log"};
    if (f->provider) {
        assert_delivery_balanced(f->provider);
        marline_provider_destroy(f->provider);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", f->folder, names[i]);
        (void)unlink(path);
    }
    int removed = rmdir(f->folder);
    pthread_cond_destroy(&f->receiver.changed);
    pthread_mutex_destroy(&f->receiver.mutex);
    free(f);
    return removed;
}

static marline_status add_processor(struct fixture *f, marline_provider *provider,
                                    const char *spool_path, marline_error *error)
{
    marline_exporter exporter = {
        .export_spans = receive, .cancel = cancel_receive, .user = &f->receiver};
    marline_batch_options options = MARLINE_BATCH_OPTIONS_INIT;
    options.interval_ms = 3600 * 1000;
    options.spool_path = spool_path;
    options.spool_spans_per_s = 1000000;
    return marline_provider_add_batch_processor(provider, &exporter, &options, error);
}

static void begin(struct fixture *f, enum line line)
{
    marline_error error = {0};
    f->receiver.line = line;
    assert_int_equal(marline_provider_create(NULL, &f->provider, NULL), MARLINE_OK);
    if (add_processor(f, f->provider, f->path, &error) != MARLINE_OK) {
        fail_msg("%s", error.text);
    }
    f->tracer = marline_tracer_get(f->provider, "outage", NULL);
}

static void end(struct fixture *f)
{
    assert_delivery_balanced(f->provider);
    marline_provider_destroy(f->provider);
    f->provider = NULL;
}

static void make_spans(struct fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        marline_span span = marline_span_start(f->tracer, "function.a", NULL);
        marline_span_end(&span);
    }
}

static marline_delivery delivery(const struct fixture *f)
{
    marline_delivery d;
    marline_provider_delivery(f->provider, &d);
    return d;
}

static marline_spool_state spool_state(const struct fixture *f)
{
    marline_spool_state s;
    marline_provider_spool(f->provider, &s);
    return s;
}

/* ---- tests ---- */

static void given_line_is_down_when_flushed_then_spooled_and_delivered_later(void **state)
{
    struct fixture *f = *state;
    begin(f, LINE_DOWN);
    make_spans(f, 10);
    assert_int_equal(marline_provider_force_flush(f->provider, LONG_MS), MARLINE_OK);
    assert_int_equal(delivery(f).spooled, 10);
    assert_int_equal(delivery(f).in_flight, 0);
    assert_int_equal(spool_state(f).waiting_spans, 10);
    assert_delivery_balanced(f->provider);
    set_line(&f->receiver, LINE_UP);
    make_spans(f, 3); /* new ones do not wait for old ones */
    assert_int_equal(marline_provider_force_flush(f->provider, LONG_MS), MARLINE_OK);
    wait_arrived(&f->receiver, 13);
    /* The worker is back from the exporter when it serves another flush. */
    assert_int_equal(marline_provider_force_flush(f->provider, LONG_MS), MARLINE_OK);
    assert_delivery(f->provider, 13, 0);
    assert_int_equal(spool_state(f).waiting_spans, 0);
    assert_int_equal(spool_state(f).recovered, 0);
}

static void given_batch_of_which_some_fail_when_told_which_then_only_those_are_spooled(void **state)
{
    struct fixture *f = *state;
    begin(f, LINE_TAKES_SOME);
    for (char letter = 'a'; letter <= 'h'; letter++) {
        const char name[] = {'f', '.', letter, '\0'};
        marline_span span = marline_span_start(f->tracer, name, NULL);
        marline_span_end(&span);
    }
    assert_int_equal(marline_provider_force_flush(f->provider, LONG_MS), MARLINE_OK);
    assert_int_equal(delivery(f).spooled, 3);
    assert_int_equal(delivery(f).exported, 2);
    assert_int_equal(delivery(f).dropped[MARLINE_DROP_REJECTED], 3);
    set_line(&f->receiver, LINE_UP);
    wait_arrived(&f->receiver, 3);
    assert_int_equal(marline_provider_force_flush(f->provider, LONG_MS), MARLINE_OK);
    assert_delivery(f->provider, 5, 3);
    for (int i = 0; i < 8; i++) { /* once each, and what was refused not at all */
        assert_int_equal(f->receiver.seen[i], i % 3 == 1 ? 0 : 1);
    }
}

static void given_spooled_spans_when_next_process_starts_then_it_delivers_them(void **state)
{
    struct fixture *f = *state;
    begin(f, LINE_DOWN);
    make_spans(f, 10);
    assert_int_equal(marline_provider_shutdown(f->provider, LONG_MS), MARLINE_OK);
    assert_int_equal(delivery(f).spooled, 10);
    end(f);
    begin(f, LINE_UP);
    wait_arrived(&f->receiver, 10);
    assert_int_equal(marline_provider_force_flush(f->provider, LONG_MS), MARLINE_OK);
    assert_int_equal(spool_state(f).recovered, 10);
    assert_int_equal(spool_state(f).waiting_spans, 0);
    assert_delivery(f->provider, 0, 0); /* another process's are not in this one's balance */
}

static void given_hanging_exporter_when_shut_down_then_all_is_spooled(void **state)
{
    struct fixture *f = *state;
    begin(f, LINE_HANGS);
    make_spans(f, 512); /* a batch: it is in the exporter */
    wait_attempts(&f->receiver, 1);
    make_spans(f, 100);
    assert_int_equal(marline_provider_shutdown(f->provider, 20), MARLINE_OK);
    assert_int_equal(delivery(f).spooled, 612);
    assert_int_equal(delivery(f).in_flight, 0);
}

static void given_exporter_that_never_returns_when_shut_down_then_all_is_spooled(void **state)
{
    struct fixture *f = *state;
    begin(f, LINE_HANGS);
    f->receiver.heeds_cancel = false;
    make_spans(f, 512);
    wait_attempts(&f->receiver, 1);
    make_spans(f, 100);
    assert_int_equal(marline_provider_shutdown(f->provider, 20), MARLINE_OK);
    assert_int_equal(delivery(f).spooled, 612);
    assert_delivery_balanced(f->provider);
    set_line(&f->receiver, LINE_UP);
    wait_arrived(&f->receiver, 512); /* it comes back, and finds nobody */
    end(f);
}

static void given_spool_in_use_when_second_is_added_then_refused_or_done_without(void **state)
{
    struct fixture *f = *state;
    marline_provider *second = NULL;
    marline_error error = {0};
    begin(f, LINE_UP);
    assert_int_equal(marline_provider_create(NULL, &second, NULL), MARLINE_OK);
    assert_int_equal(add_processor(f, second, f->path, &error), MARLINE_ESTATE);
    assert_int_equal(error.code, MARLINE_ESTATE);
    assert_non_null(strstr(error.text, f->path));
    /* One that the environment names is for whoever comes first. */
    assert_int_equal(setenv("MARLINE_SPOOL", f->path, 1), 0);
    assert_int_equal(add_processor(f, second, NULL, &error), MARLINE_OK);
    assert_int_equal(unsetenv("MARLINE_SPOOL"), 0);
    marline_provider_destroy(second);
}

static void given_path_in_environment_when_down_then_spooled_there(void **state)
{
    struct fixture *f = *state;
    f->receiver.line = LINE_DOWN;
    assert_int_equal(setenv("MARLINE_SPOOL", f->path, 1), 0);
    assert_int_equal(marline_provider_create(NULL, &f->provider, NULL), MARLINE_OK);
    assert_int_equal(add_processor(f, f->provider, NULL, NULL), MARLINE_OK);
    assert_int_equal(unsetenv("MARLINE_SPOOL"), 0);
    f->tracer = marline_tracer_get(f->provider, "outage", NULL);
    make_spans(f, 4);
    assert_int_equal(marline_provider_shutdown(f->provider, LONG_MS), MARLINE_OK);
    assert_int_equal(spool_state(f).waiting_spans, 4);
    assert_int_equal(access(f->path, F_OK), 0);
}

static void given_full_spool_when_down_then_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    marline_exporter exporter = {.export_spans = receive, .user = &f->receiver};
    marline_batch_options options = MARLINE_BATCH_OPTIONS_INIT;
    f->receiver.line = LINE_DOWN;
    options.spool_path = f->path;
    options.spool_bytes_max = 4000;
    assert_int_equal(marline_provider_create(NULL, &f->provider, NULL), MARLINE_OK);
    assert_int_equal(marline_provider_add_batch_processor(f->provider, &exporter, &options, NULL),
                     MARLINE_OK);
    f->tracer = marline_tracer_get(f->provider, "outage", NULL);
    for (int i = 0; i < 20; i++) {
        make_spans(f, 10);
        assert_int_equal(marline_provider_force_flush(f->provider, LONG_MS), MARLINE_OK);
    }
    marline_delivery d = delivery(f);
    assert_true(d.spooled >= 10);
    assert_true(d.dropped[MARLINE_DROP_SPOOL_FULL] >= 10);
    assert_int_equal(d.spooled + d.dropped[MARLINE_DROP_SPOOL_FULL], 200);
    assert_int_equal(marline_provider_shutdown(f->provider, LONG_MS), MARLINE_OK);
}

static void given_fork_when_both_trace_in_an_outage_then_both_spool_and_all_arrives(void **state)
{
    struct fixture *f = *state;
    int status = -1;
    skip_fork_under_sanitizers();
    begin(f, LINE_DOWN);
    make_spans(f, 5);
    assert_int_equal(marline_provider_force_flush(f->provider, LONG_MS), MARLINE_OK);
    pid_t child = fork();
    if (child == 0) {
        make_spans(f, 3);
        (void)marline_provider_shutdown(f->provider, LONG_MS);
        marline_delivery d = delivery(f);
        _exit(d.started == 3 && d.spooled == 3 && d.in_flight == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    make_spans(f, 5);
    assert_int_equal(marline_provider_shutdown(f->provider, LONG_MS), MARLINE_OK);
    assert_int_equal(delivery(f).spooled, 10);
    end(f);
    begin(f, LINE_UP);
    wait_arrived(&f->receiver, 13);
}

/* ---- kill -9 ---- */

static bool has_arrived(struct http_peer *peer, long n)
{
    char name[32];
    (void)snprintf(name, sizeof name, "\"span-%ld.\"", n);
    size_t count = http_peer_request_count(peer);
    for (size_t i = 0; i < count; i++) {
        if (strstr(http_peer_body(peer, i), name)) {
            return true;
        }
    }
    return false;
}

static void start_writer(struct fixture *f, struct program *p, const char *url, long first,
                         long count)
{
    char numbers[2][24];
    (void)snprintf(numbers[0], sizeof numbers[0], "%ld", first);
    (void)snprintf(numbers[1], sizeof numbers[1], "%ld", count);
    const char *const argv[] = {SPOOL_WRITER, url, f->path, numbers[0], numbers[1], NULL};
    assert_true(program_start(p, argv, NULL, f->log));
}

/* The program is killed once it has said that so many spans are kept, wherever it is by then. */
static long live_until_killed(struct fixture *f, const char *url, long first, long wanted)
{
    struct program p;
    char text[32];
    long kept = first;
    start_writer(f, &p, url, first, SPANS_PER_LIFE);
    (void)snprintf(text, sizeof text, "kept %ld.", first + wanted);
    assert_true(program_wait_for_text(&p, f->log, text, WAIT_MS));
    program_signal(&p, SIGKILL);
    assert_true(program_wait(&p, WAIT_MS));
    char *log = program_read_file(f->log);
    for (const char *at = strstr(log, "kept "); at; at = strstr(at + 1, "kept ")) {
        kept = strtol(at + sizeof "kept", NULL, 10);
    }
    marline__memory_free(log);
    assert_true(kept >= first + wanted);
    return kept;
}

static void given_kills_when_line_was_down_then_every_kept_span_arrives(void **state)
{
    struct fixture *f = *state;
    static const struct http_peer_step refuse[] = {{HTTP_PEER_ANSWER, 503, NULL, NULL}};
    static const struct http_peer_step accept[] = {{HTTP_PEER_ANSWER, 200, NULL, "{}"}};
    struct http_peer *down = http_peer_start(refuse, 1);
    struct http_peer *up = http_peer_start(accept, 1);
    struct random_seeded seeded;
    struct random_source random = marline__random_seeded(&seeded, (uint64_t)time(NULL));
    bool kept[KILLS * SPANS_PER_LIFE] = {false};
    print_message("seed %llu\n", (unsigned long long)seeded.state);
    for (long life = 0; life < KILLS; life++) {
        long first = life * SPANS_PER_LIFE;
        long wanted = (long)(1 + marline__random_below(&random, 20)) * FLUSH_SPANS;
        long until = live_until_killed(f, http_peer_url(down), first, wanted);
        memset(kept + first, true, (size_t)(until - first));
    }
    struct program p;
    for (size_t kills = 1; kills <= 3; kills++) { /* in the midst of delivering, too */
        start_writer(f, &p, http_peer_url(up), 0, 0);
        assert_true(http_peer_wait(up, 4 * kills));
        program_signal(&p, SIGKILL);
        assert_true(program_wait(&p, WAIT_MS));
    }
    start_writer(f, &p, http_peer_url(up), 0, 0);
    assert_true(program_wait(&p, WAIT_MS));
    assert_int_equal(program_exit_status(&p), 0);
    for (long n = 0; n < KILLS * SPANS_PER_LIFE; n++) {
        if (kept[n] && !has_arrived(up, n)) {
            fail_msg("span %ld was kept, and is lost", n);
        }
    }
    http_peer_stop(up);
    http_peer_stop(down);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(given_line_is_down_when_flushed_then_spooled_and_delivered_later),
        TEST(given_batch_of_which_some_fail_when_told_which_then_only_those_are_spooled),
        TEST(given_spooled_spans_when_next_process_starts_then_it_delivers_them),
        TEST(given_hanging_exporter_when_shut_down_then_all_is_spooled),
        TEST(given_exporter_that_never_returns_when_shut_down_then_all_is_spooled),
        TEST(given_spool_in_use_when_second_is_added_then_refused_or_done_without),
        TEST(given_path_in_environment_when_down_then_spooled_there),
        TEST(given_full_spool_when_down_then_dropped_and_counted),
        TEST(given_fork_when_both_trace_in_an_outage_then_both_spool_and_all_arrives),
        TEST(given_kills_when_line_was_down_then_every_kept_span_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
