/* Contract: what was acknowledged survives kill -9 of the writer, at whatever moment it comes. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "store/commit_queue.h"
#include "store_contract.h"

enum { ROUNDS = 8, ACKNOWLEDGED_MAX = 150, WRITERS = 16 };

/* ---- the child: writes as fast as it can, telling each acknowledged write ---- */

struct child {
    struct fixture *f;
    struct commit_queue *queue;
    int pipe;
};

struct slot {
    struct commit commit;
    struct store_span span;
    struct child *child;
    uint32_t test;
    bool is_result;
};

static void submit_next(struct slot *slot);

static void acknowledge(struct commit *commit, void *user)
{
    struct slot *slot = user;
    if (commit->write.outcome.status == STORE_OK) {
        const uint32_t told = slot->test * 2 + slot->is_result;
        if (write(slot->child->pipe, &told, sizeof told) != (ssize_t)sizeof told) {
            _exit(2);
        }
    }
    if (slot->is_result) {
        slot->test += WRITERS;
    }
    slot->is_result = !slot->is_result;
    submit_next(slot);
}

static void submit_next(struct slot *slot)
{
    struct fixture *f = slot->child->f;
    struct link_key key = key_of(f, slot->test, 1);
    struct store_write *write = &slot->commit.write;
    *write = (struct store_write){.type = STORE_INSERT_RESULT,
                                  .insert_result = {.project_id = f->project, .key = key}};
    if (!slot->is_result) {
        slot->span = make_span(f, &key, 1);
        memcpy(slot->span.span_id, &slot->test, sizeof slot->test);
        *write = (struct store_write){
            .type = STORE_INSERT_SPANS,
            .insert_spans = {f->organization, f->project, SLICE("p"), &slot->span, 1, 0, 0}};
    }
    slot->commit.done = acknowledge;
    slot->commit.user = slot;
    if (!commit_queue_submit(slot->child->queue, &slot->commit)) {
        _exit(3);
    }
}

static void run_child(struct fixture *f, int pipe, uint32_t first_test)
{
    static struct slot slots[WRITERS];
    struct child child = {.f = f, .pipe = pipe};
    struct store_error error;
    f->store = store_open(f->location, &error);
    child.queue = f->store ? commit_queue_create(f->store, NULL) : NULL;
    if (!child.queue) {
        _exit(1);
    }
    for (uint32_t i = 0; i < WRITERS; i++) {
        slots[i] = (struct slot){.child = &child, .test = first_test + i};
        submit_next(&slots[i]);
    }
    for (;;) {
        (void)pause(); /* until killed */
    }
}

/* ---- the parent ---- */

static size_t read_acknowledged(int pipe, uint32_t *out, size_t count)
{
    size_t size = 0;
    while (size < count * sizeof *out) {
        ssize_t n = read(pipe, (char *)out + size, count * sizeof *out - size);
        if (n <= 0) {
            break;
        }
        size += (size_t)n;
    }
    return size / sizeof *out;
}

static void check(struct fixture *f, const uint32_t *told, size_t count)
{
    struct store_error error;
    f->store = store_open(f->location, &error);
    assert_non_null(f->store);
    for (size_t i = 0; i < count; i++) {
        struct link_key key = key_of(f, told[i] / 2, 1);
        struct store_link link = try_link(f, &key, LINK_POINT_SWEEP);
        if (told[i] % 2) {
            assert_true(link.result_found);
        } else {
            /* Linked here, linked by an earlier turn of this loop, or waiting for a lost result. */
            struct store_span span = make_span(f, &key, 1);
            uint32_t test = told[i] / 2;
            memcpy(span.span_id, &test, sizeof test);
            struct store_write again = {
                .type = STORE_INSERT_SPANS,
                .insert_spans = {f->organization, f->project, SLICE("p"), &span, 1, 0, 0}};
            must_write(f, &again);
            assert_int_equal(again.insert_spans.duplicates, 1);
        }
    }
    store_close(f->store);
    f->store = NULL;
}

static void kill_one_writer(struct fixture *f, uint32_t first_test, size_t acknowledged)
{
    uint32_t told[ACKNOWLEDGED_MAX + 65536 / sizeof(uint32_t)];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        run_child(f, ends[1], first_test);
    }
    (void)close(ends[1]);
    size_t count = read_acknowledged(ends[0], told, acknowledged);
    assert_int_equal(kill(child, SIGKILL), 0);
    count += read_acknowledged(ends[0], told + count, sizeof told / sizeof told[0] - count);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)close(ends[0]);
    assert_true(count >= acknowledged);
    check(f, told, count);
}

static void given_writer_when_killed_at_any_moment_then_acknowledged_is_there(void **state)
{
    struct fixture *f = *state;
    struct random_seeded seeded;
    uint64_t seed = marline__random_u64(marline__random_system());
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct random_source random = marline__random_seeded(&seeded, seed);
    store_close(f->store);
    f->store = NULL;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        kill_one_writer(f, 1 + i * 1000000, 1 + marline__random_below(&random, ACKNOWLEDGED_MAX));
    }
    struct store_error error;
    f->store = store_open(f->location, &error);
    assert_non_null(f->store);
    struct store_ledger ledger = read_ledger(f);
    assert_true(ledger.received == ledger.stored + ledger.duplicate + ledger.rejected);
}

int run_durability_contract(const struct store_kind *kind)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(given_writer_when_killed_at_any_moment_then_acknowledged_is_there),
    };
    fixture_use(kind);
    return cmocka_run_group_tests_name(kind->name, tests, NULL, NULL);
}
