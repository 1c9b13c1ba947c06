/* Breaker and spool together, through outages under a clock that is moved by hand. The exporter is
 * a switch: up or down; it remembers the spans that it took. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "trace/outlet.h"

enum {
    BATCH = 50,
    SPANS_MAX = 100000,
    INTERVAL_S = 5,
    MINUTE_S = 60,
    RATE = 200, /* spans a second */
};

/* ---- the exporter, and the world around the outlet ---- */

struct rig {
    char folder[64];
    char path[96];
    struct outlet outlet;
    struct random_seeded seeded;
    struct random_source random;
    uint64_t now_ns;
    bool up;
    size_t takes; /* when down: so many of a batch are taken, and which is told */
    bool tells;
    unsigned attempts;
    uint32_t made; /* spans so far; a span's number is in its id */
    uint8_t *arrived;
    uint32_t last_replayed;
    uint64_t exported;
    uint64_t spooled;
    uint64_t dropped;
};

static void open_outlet(struct rig *r, bool with_spool, uint64_t bytes_max)
{
    struct spool *spool = NULL;
    const struct spool_options options = {r->path, bytes_max};
    if (with_spool) {
        assert_int_equal(marline__spool_open(&options, &spool, NULL), MARLINE_OK);
    }
    marline__outlet_init(&r->outlet, spool, RATE);
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    r->arrived = calloc(SPANS_MAX, 1);
    /* In memory where there is such a place: a busy disk takes its time for every flush. */
    (void)snprintf(r->folder, sizeof r->folder, "%s/marline-outlet-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(r->folder));
    (void)snprintf(r->path, sizeof r->path, "%s/spool.db", r->folder);
    r->random = marline__random_seeded(&r->seeded, 7);
    r->now_ns = 1000 * NS_PER_S;
    r->up = true;
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    char lock[128];
    struct marline_spool_state spool = {0};
    marline__outlet_state(&r->outlet, &spool);
    /* The balance: nothing was in flight, so every span is somewhere. */
    assert_int_equal(r->made, r->exported + r->spooled + r->dropped);
    marline__outlet_deinit(&r->outlet);
    (void)snprintf(lock, sizeof lock, "%s.lock", r->path);
    (void)unlink(r->path);
    (void)unlink(lock);
    int removed = rmdir(r->folder);
    free(r->arrived);
    free(r);
    return removed;
}

static uint32_t number_of(const marline_span_data *span)
{
    uint32_t number;
    memcpy(&number, span->span_id, sizeof number);
    return number - 1;
}

static void take_in(struct rig *r, const marline_span_data *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        r->arrived[number_of(&spans[i])]++;
    }
}

static void attempt(struct rig *r, const marline_span_data *spans, size_t count,
                    marline_export_result *out)
{
    *out = (marline_export_result){0};
    r->attempts++;
    if (r->up) {
        take_in(r, spans, count);
        out->exported = count;
        return;
    }
    out->exported = r->takes < count ? r->takes : count - 1;
    out->failed = count - out->exported;
    take_in(r, spans, out->exported);
    bool *flags = marline__outlet_flags(&r->outlet, count);
    for (size_t i = out->exported; r->tells && i < count; i++) {
        flags[i] = true;
    }
}

static void make_spans(struct rig *r, marline_span_data spans[BATCH], size_t count)
{
    static const marline_scope_data scope;
    static const marline_resource_data resource;
    for (size_t i = 0; i < count; i++) {
        uint32_t number = ++r->made;
        spans[i] = (marline_span_data){
            .trace_id = {1}, .kind = MARLINE_SPAN_KIND_INTERNAL, .name = {"function.a", 10}};
        memcpy(spans[i].span_id, &number, sizeof number);
        spans[i].scope = &scope;
        spans[i].resource = &resource;
    }
    assert_true(r->made <= SPANS_MAX);
}

/* As the batch processor does with a batch that is due. False: it stays in the queue. */
static bool send_batch(struct rig *r, size_t count, bool pressing)
{
    marline_span_data spans[BATCH];
    marline_export_result result = {.failed = count};
    if (marline__outlet_holds(&r->outlet, pressing, r->now_ns)) {
        return false;
    }
    make_spans(r, spans, count);
    if (marline__outlet_way(&r->outlet, pressing, r->now_ns) == OUTLET_EXPORT) {
        attempt(r, spans, count, &result);
        marline__outlet_note(&r->outlet, result.failed, r->now_ns, marline__random_u64(&r->random));
    }
    if (result.failed == 0) {
        r->exported += count;
    } else if (marline__outlet_store(&r->outlet, spans, count)) {
        r->spooled += count;
    } else {
        r->dropped += count;
    }
    return true;
}

/* Delivers what is due of the spool. Returns how many spans went out. */
static size_t replay(struct rig *r)
{
    const marline_span_data *spans;
    marline_export_result result;
    struct outlet_settled settled;
    size_t count = marline__outlet_replay_begin(&r->outlet, r->now_ns, &spans);
    if (count == 0) {
        return 0;
    }
    uint32_t first = number_of(&spans[0]);
    attempt(r, spans, count, &result);
    if (result.failed == 0) {
        assert_true(first >= r->last_replayed); /* in their order */
        r->last_replayed = first;
    }
    marline__outlet_replay_end(&r->outlet, &result, r->now_ns, marline__random_u64(&r->random),
                               &settled);
    r->spooled -= settled.exported + settled.rejected + settled.given_up;
    r->exported += settled.exported;
    r->dropped += settled.rejected + settled.given_up;
    return result.exported;
}

/* A second at a time: a batch every interval, replays whenever they are due. */
static void live(struct rig *r, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        r->now_ns += NS_PER_S;
        if (i % INTERVAL_S == 0) {
            (void)send_batch(r, BATCH, false);
        }
        while (replay(r) > 0) {
        }
    }
}

static void assert_all_arrived_once(const struct rig *r)
{
    for (uint32_t i = 0; i < r->made; i++) {
        if (r->arrived[i] != 1) {
            fail_msg("span %u arrived %u times", i, r->arrived[i]);
        }
    }
}

/* ---- tests ---- */

static void given_outage_of_30_minutes_when_over_then_all_arrive_once_in_order(void **state)
{
    struct rig *r = *state;
    open_outlet(r, true, 0);
    live(r, MINUTE_S);
    r->up = false;
    unsigned before = r->attempts;
    live(r, 30 * MINUTE_S);
    /* Three failures, then probes: at 5, 10, 20, 40 s and once a minute, give or take a half. */
    assert_in_range(r->attempts - before, 30, 75);
    assert_int_equal(r->spooled, 30 * MINUTE_S / INTERVAL_S * BATCH);
    r->up = true;
    live(r, 10 * MINUTE_S);
    assert_int_equal(r->spooled, 0);
    assert_int_equal(r->dropped, 0);
    assert_all_arrived_once(r);
}

static void given_full_spool_when_emptied_then_at_the_rate(void **state)
{
    struct rig *r = *state;
    size_t delivered = 0;
    open_outlet(r, true, 0);
    r->up = false;
    live(r, 10 * MINUTE_S);
    r->up = true;
    r->now_ns += BREAKER_PAUSE_MAX_NS;
    for (unsigned hundredths = 0; hundredths < 1000; hundredths++) {
        r->now_ns += NS_PER_S / 100;
        delivered += replay(r);
    }
    assert_in_range(delivered, 10 * RATE - BATCH, 10 * RATE + BATCH);
}

static void given_outage_when_process_restarts_then_the_next_one_delivers(void **state)
{
    struct rig *r = *state;
    struct marline_spool_state spool = {0};
    open_outlet(r, true, 0);
    r->up = false;
    live(r, 5 * MINUTE_S);
    marline__outlet_deinit(&r->outlet);
    uint64_t left = r->spooled;
    r->made = 0; /* of this process: its balance is its own */
    r->spooled = r->exported = r->dropped = 0;
    memset(r->arrived, 0, SPANS_MAX);
    r->last_replayed = 0;
    open_outlet(r, true, 0);
    r->up = true;
    for (unsigned i = 0; i < 5 * MINUTE_S; i++) {
        r->now_ns += NS_PER_S;
        (void)replay(r);
    }
    marline__outlet_state(&r->outlet, &spool);
    assert_int_equal(spool.recovered, left);
    assert_int_equal(spool.recovered_lost, 0);
    assert_int_equal(spool.waiting_spans, 0);
    for (uint64_t i = 0; i < left; i++) {
        assert_int_equal(r->arrived[i], 1);
    }
}

static void given_spool_is_full_when_outage_goes_on_then_the_newest_are_dropped(void **state)
{
    struct rig *r = *state;
    open_outlet(r, true, 20000);
    r->up = false;
    live(r, 30 * MINUTE_S);
    assert_true(r->dropped > 0);
    uint64_t kept = r->spooled;
    assert_true(kept > BATCH);
    r->up = true;
    live(r, 5 * MINUTE_S);
    assert_int_equal(r->spooled, 0);
    for (uint64_t i = 0; i < kept; i++) { /* the oldest were kept */
        assert_int_equal(r->arrived[i], 1);
    }
}

static void given_no_spool_when_open_then_batches_stay_queued_until_somebody_waits(void **state)
{
    struct rig *r = *state;
    open_outlet(r, false, 0);
    r->up = false;
    for (int i = 0; i < BREAKER_FAILURES_MAX; i++) {
        assert_true(send_batch(r, BATCH, false));
    }
    assert_int_equal(r->dropped, BREAKER_FAILURES_MAX * BATCH);
    assert_false(send_batch(r, BATCH, false));
    assert_true(send_batch(r, BATCH, true)); /* a flush tries all the same */
    assert_false(send_batch(r, BATCH, false));
    r->up = true;
    r->now_ns = marline__breaker_retry_ns(&r->outlet.breaker);
    assert_true(send_batch(r, BATCH, false));
    assert_true(send_batch(r, BATCH, false));
    assert_int_equal(r->exported, 2 * BATCH);
}

static void given_batch_that_always_fails_when_others_pass_then_given_up(void **state)
{
    struct rig *r = *state;
    open_outlet(r, true, 0);
    r->up = false;
    assert_true(send_batch(r, BATCH, false));
    for (unsigned i = 0; i < OUTLET_STUCK_MAX; i++) {
        assert_int_equal(r->spooled, BATCH);
        r->up = true;
        assert_true(send_batch(r, BATCH, false));
        r->up = false;
        r->now_ns += 2 * NS_PER_S;
        (void)replay(r);
    }
    assert_int_equal(r->spooled, 0);
    assert_int_equal(r->dropped, BATCH);
}

static void given_batch_that_gets_through_in_part_when_sent_again_then_only_the_rest(void **state)
{
    struct rig *r = *state;
    open_outlet(r, true, 0);
    r->up = false;
    assert_true(send_batch(r, BATCH, false));
    r->takes = BATCH / 2 - 1;
    r->tells = true;
    struct marline_spool_state spool = {0};
    for (unsigned i = 0; i < 2; i++) {
        r->now_ns += BREAKER_PAUSE_MAX_NS;
        assert_int_equal(replay(r), r->takes);
    }
    marline__outlet_state(&r->outlet, &spool);
    assert_int_equal(spool.waiting_spans, 2);
    assert_int_equal(r->spooled, 2);
    r->up = true;
    r->now_ns += BREAKER_PAUSE_MAX_NS;
    assert_int_equal(replay(r), 2);
    assert_int_equal(r->spooled, 0);
    assert_int_equal(r->exported, BATCH);
    assert_all_arrived_once(r);
}

static void
given_part_of_a_batch_fails_for_ever_when_others_pass_then_only_that_is_given_up(void **state)
{
    struct rig *r = *state;
    open_outlet(r, true, 0);
    r->up = false;
    assert_true(send_batch(r, BATCH, false));
    r->takes = BATCH - 1;
    r->tells = true;
    for (unsigned i = 0; i <= OUTLET_STUCK_MAX; i++) {
        assert_int_equal(r->dropped, 0);
        r->up = true;
        assert_true(send_batch(r, BATCH, false));
        r->up = false;
        r->now_ns += 2 * NS_PER_S;
        (void)replay(r);
        r->takes = 0; /* the last span never passes */
    }
    assert_int_equal(r->spooled, 0);
    assert_int_equal(r->dropped, 1);
    assert_int_equal(r->exported, r->made - 1);
}

static void given_rest_of_an_earlier_process_when_sent_then_counted_as_recovered(void **state)
{
    struct rig *r = *state;
    struct marline_spool_state spool = {0};
    open_outlet(r, true, 0);
    r->up = false;
    assert_true(send_batch(r, BATCH, false));
    marline__outlet_deinit(&r->outlet);
    r->made = 0;
    r->spooled = 0;
    open_outlet(r, true, 0);
    r->takes = 20;
    r->tells = true;
    assert_int_equal(replay(r), 20);
    marline__outlet_state(&r->outlet, &spool);
    assert_int_equal(spool.recovered, 20);
    assert_int_equal(spool.recovered_lost, 0);
    assert_int_equal(spool.waiting_spans, BATCH - 20);
}

/* The child's spans go out by the parent, within a minute of the child's end. */
static void
given_child_that_ended_in_an_outage_when_a_minute_passes_then_parent_delivers(void **state)
{
    struct rig *r = *state;
    int status = -1;
    open_outlet(r, true, 0);
    (void)replay(r);
    marline__outlet_before_fork(&r->outlet);
    pid_t child = fork();
    if (child == 0) {
        marline__outlet_after_fork_in_child(&r->outlet);
        r->up = false;
        bool good = send_batch(r, BATCH, false) && r->spooled == BATCH;
        marline__outlet_deinit(&r->outlet);
        _exit(good ? 0 : 1);
    }
    marline__outlet_after_fork_in_parent(&r->outlet);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    r->now_ns += OUTLET_ADOPT_PAUSE_NS;
    assert_true(marline__outlet_replay_ns(&r->outlet) <= r->now_ns);
    assert_int_equal(replay(r), BATCH);
    struct marline_spool_state spool = {0};
    marline__outlet_state(&r->outlet, &spool);
    assert_int_equal(spool.recovered, BATCH); /* in no balance of the parent's */
    assert_int_equal(marline__outlet_replay_ns(&r->outlet), r->now_ns + OUTLET_ADOPT_PAUSE_NS);
}

static void given_outage_when_nothing_else_passes_then_never_given_up(void **state)
{
    struct rig *r = *state;
    open_outlet(r, true, 0);
    r->up = false;
    assert_true(send_batch(r, BATCH, false));
    for (unsigned i = 0; i < 3600; i++) {
        r->now_ns += NS_PER_S;
        (void)replay(r);
    }
    assert_int_equal(r->spooled, BATCH);
    r->up = true;
    r->now_ns += BREAKER_PAUSE_MAX_NS;
    assert_int_equal(replay(r), BATCH);
    assert_all_arrived_once(r);
}

/* ---- a spool that cannot be read for now ---- */

static void *no_block(size_t size)
{
    (void)size;
    return NULL;
}

static void *no_more(void *block, size_t size)
{
    (void)block;
    (void)size;
    return NULL;
}

static const struct memory_functions no_memory = {no_block, no_more, free};

static void given_spool_that_cannot_be_read_when_asked_then_left_alone_for_a_second(void **state)
{
    struct rig *r = *state;
    open_outlet(r, true, 0);
    r->up = false;
    assert_true(send_batch(r, BATCH, false));
    r->up = true;
    r->now_ns += NS_PER_S;
    marline__memory_install(&no_memory);
    size_t sent = replay(r);
    marline__memory_install(NULL);
    assert_int_equal(sent, 0);
    assert_int_equal(marline__outlet_replay_ns(&r->outlet), r->now_ns + NS_PER_S);
    r->now_ns += NS_PER_S;
    assert_int_equal(replay(r), BATCH);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(given_outage_of_30_minutes_when_over_then_all_arrive_once_in_order),
        TEST(given_full_spool_when_emptied_then_at_the_rate),
        TEST(given_outage_when_process_restarts_then_the_next_one_delivers),
        TEST(given_spool_is_full_when_outage_goes_on_then_the_newest_are_dropped),
        TEST(given_no_spool_when_open_then_batches_stay_queued_until_somebody_waits),
        TEST(given_batch_that_always_fails_when_others_pass_then_given_up),
        TEST(given_batch_that_gets_through_in_part_when_sent_again_then_only_the_rest),
        TEST(given_part_of_a_batch_fails_for_ever_when_others_pass_then_only_that_is_given_up),
        TEST(given_rest_of_an_earlier_process_when_sent_then_counted_as_recovered),
        TEST(given_child_that_ended_in_an_outage_when_a_minute_passes_then_parent_delivers),
        TEST(given_outage_when_nothing_else_passes_then_never_given_up),
        TEST(given_spool_that_cannot_be_read_when_asked_then_left_alone_for_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
