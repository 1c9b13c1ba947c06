/* The spool: order, bounds, restarts, owners, damage, a full disk, fork. Files in a temporary
 * folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "trace/spool.h"

enum {
    BODY_SIZE = 1500,
    BATCHES = 40,
    SPANS_EACH = 7,
    SEEDS = 50,
    FLIPS_MAX = 12,
    BEYOND_CACHE = 2500, /* batches that SQLite does not keep in memory */
};

struct fixture {
    char folder[64];
    char path[96];
    struct spool *spool;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    /* In memory where there is such a place: a busy disk takes its time for every flush. */
    (void)snprintf(f->folder, sizeof f->folder, "%s/marline-spool-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof f->path, "%s/spool.db", f->folder);
    *state = f;
    return 0;
}

static void remove_suffix(const struct fixture *f, const char *suffix)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s%s", f->path, suffix);
    (void)unlink(path);
}

static void remove_files(const struct fixture *f)
{
    static const char *const suffixes[] = {"",         "-wal",         "-shm",         ".lock",
                                           ".damaged", ".damaged-wal", ".damaged-shm", ".copy"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        remove_suffix(f, suffixes[i]);
    }
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    marline__spool_close(f->spool);
    remove_files(f);
    int removed = rmdir(f->folder); /* nothing else was left behind */
    free(f);
    return removed;
}

static void open_spool(struct fixture *f, uint64_t bytes_max)
{
    marline_error error = {0};
    const struct spool_options options = {f->path, bytes_max};
    if (marline__spool_open(&options, &f->spool, &error) != MARLINE_OK) {
        fail_msg("%s", error.text);
    }
}

static void close_spool(struct fixture *f)
{
    marline__spool_close(f->spool);
    f->spool = NULL;
}

/* The n-th body: its number, then bytes that depend on it. */
static void make_body(char body[BODY_SIZE], unsigned n)
{
    for (size_t i = 0; i < BODY_SIZE; i++) {
        body[i] = (char)(n * 31 + i * 7);
    }
    (void)snprintf(body, 16, "batch %u", n);
}

static bool put(struct fixture *f, unsigned n)
{
    char body[BODY_SIZE];
    make_body(body, n);
    return marline__spool_put(f->spool, (struct slice){body, sizeof body}, SPANS_EACH);
}

static void fill(struct fixture *f, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        assert_true(put(f, n));
    }
}

/* Takes the oldest; its number, or -1 when there is none. It must be whole. */
static int take(struct fixture *f)
{
    struct spool_batch batch = {.body = BUFFER_INIT};
    char expected[BODY_SIZE];
    int n = -1;
    if (marline__spool_oldest(f->spool, &batch)) {
        assert_int_equal(batch.spans, SPANS_EACH);
        assert_int_equal(batch.body.size, BODY_SIZE);
        n = (int)strtol(batch.body.data + sizeof "batch", NULL, 10);
        make_body(expected, (unsigned)n);
        assert_memory_equal(batch.body.data, expected, BODY_SIZE);
        marline__spool_remove(f->spool, &batch);
    }
    marline__buffer_deinit(&batch.body);
    return n;
}

static struct spool_counts count(const struct fixture *f)
{
    struct spool_counts counts;
    marline__spool_count(f->spool, &counts);
    return counts;
}

/* ---- order, bounds, restarts ---- */

static void given_batches_when_taken_then_in_their_order(void **state)
{
    struct fixture *f = *state;
    open_spool(f, 0);
    assert_int_equal(take(f), -1);
    fill(f, 3);
    assert_int_equal(count(f).batches, 3);
    assert_int_equal(count(f).own_spans, 3 * SPANS_EACH);
    assert_int_equal(take(f), 0);
    assert_int_equal(take(f), 1);
    assert_true(put(f, 3));
    assert_int_equal(take(f), 2);
    assert_int_equal(take(f), 3);
    assert_int_equal(take(f), -1);
    assert_int_equal(count(f).batches, 0);
    assert_int_equal(count(f).bytes, 0);
}

static void given_batches_when_reopened_then_still_there_and_not_own(void **state)
{
    struct fixture *f = *state;
    open_spool(f, 0);
    fill(f, 3);
    assert_int_equal(take(f), 0);
    close_spool(f);
    open_spool(f, 0);
    assert_int_equal(count(f).batches, 2);
    assert_int_equal(count(f).spans, 2 * SPANS_EACH);
    assert_int_equal(count(f).own_spans, 0);
    assert_true(put(f, 9));
    assert_int_equal(count(f).own_spans, SPANS_EACH);
    assert_int_equal(take(f), 1);
    assert_int_equal(count(f).own_spans, SPANS_EACH);
    assert_int_equal(take(f), 2);
    assert_int_equal(take(f), 9);
    assert_int_equal(count(f).own_spans, 0);
}

static void given_bound_when_reached_then_the_newest_is_refused(void **state)
{
    struct fixture *f = *state;
    open_spool(f, 4 * BODY_SIZE + 10);
    fill(f, 4);
    assert_false(put(f, 4));
    assert_int_equal(count(f).batches, 4);
    assert_int_equal(take(f), 0);
    assert_true(put(f, 5));
    assert_false(put(f, 6));
    assert_int_equal(take(f), 1);
}

static void given_emptied_spool_when_closed_then_the_file_is_small_again(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    open_spool(f, 0);
    fill(f, 200);
    while (take(f) >= 0) {
    }
    close_spool(f);
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(info.st_size < 64 * 1024);
}

/* ---- owners ---- */

static void given_open_spool_when_opened_again_then_refused(void **state)
{
    struct fixture *f = *state;
    struct spool *second = NULL;
    marline_error error = {0};
    const struct spool_options options = {f->path, 0};
    open_spool(f, 0);
    assert_int_equal(marline__spool_open(&options, &second, &error), MARLINE_ESTATE);
    assert_non_null(strstr(error.text, "in use"));
    assert_null(second);
    fill(f, 1);
    assert_int_equal(take(f), 0);
}

static void given_file_of_somebody_else_when_opened_then_left_as_it_is(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "listen: 127.0.0.1:8080\n# surely no database\n";
    char after[sizeof text] = "";
    marline_error error = {0};
    const struct spool_options options = {f->path, 0};
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, sizeof text - 1, file), sizeof text - 1);
    assert_int_equal(fclose(file), 0);
    for (int i = 0; i < 2; i++) { /* nor when it is tried again */
        assert_int_equal(marline__spool_open(&options, &f->spool, &error), MARLINE_EIO);
        assert_non_null(strstr(error.text, "no spool"));
    }
    file = fopen(f->path, "r");
    assert_non_null(file);
    assert_int_equal(fread(after, 1, sizeof text - 1, file), sizeof text - 1);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(after, text);
}

static void given_folder_that_is_not_there_when_opened_then_error_says_so(void **state)
{
    (void)state;
    struct spool *spool = NULL;
    marline_error error = {0};
    const struct spool_options options = {"/nonexistent/marline/spool.db", 0};
    assert_int_equal(marline__spool_open(&options, &spool, &error), MARLINE_EIO);
    assert_non_null(strstr(error.text, "/nonexistent/marline/spool.db"));
}

static void given_fork_when_child_goes_on_then_the_file_stays_the_parents(void **state)
{
    struct fixture *f = *state;
    int status = -1;
    open_spool(f, 0);
    fill(f, 2);
    marline__spool_before_fork(f->spool);
    pid_t child = fork();
    if (child == 0) {
        marline__spool_after_fork_in_child(f->spool);
        bool refused = !put(f, 7);
        struct spool_batch batch = {.body = BUFFER_INIT};
        bool empty = !marline__spool_oldest(f->spool, &batch);
        marline__spool_close(f->spool);
        _exit(refused && empty ? 0 : 1);
    }
    marline__spool_after_fork_in_parent(f->spool);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(put(f, 2));
    close_spool(f); /* and the lock did not stay with the child */
    open_spool(f, 0);
    assert_int_equal(take(f), 0);
    assert_int_equal(take(f), 1);
    assert_int_equal(take(f), 2);
}

/* ---- damage ---- */

static size_t read_file(const char *path, char *out, size_t max)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(out, 1, max, file);
    assert_true(size < max);
    assert_int_equal(fclose(file), 0);
    return size;
}

static void write_file(const char *path, const char *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* What can be taken is whole and in order. Returns how many there were. */
static unsigned take_all(struct fixture *f)
{
    int last = -1;
    unsigned taken = 0;
    for (int n = take(f); n >= 0; n = take(f)) {
        assert_true(n > last);
        last = n;
        taken++;
    }
    return taken;
}

static char content[1024 * 1024];
static char damaged[sizeof content];

static void given_flipped_bits_when_opened_then_only_what_they_hit_is_lost(void **state)
{
    struct fixture *f = *state;
    unsigned survivors = 0;
    unsigned set_aside = 0;
    open_spool(f, 0);
    fill(f, BATCHES);
    close_spool(f);
    size_t size = read_file(f->path, content, sizeof content);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct random_seeded seeded;
        struct random_source random = marline__random_seeded(&seeded, seed);
        memcpy(damaged, content, size);
        for (uint64_t flips = 1 + marline__random_below(&random, FLIPS_MAX); flips > 0; flips--) {
            damaged[marline__random_below(&random, size)] ^=
                (char)(1 << marline__random_below(&random, 8));
        }
        write_file(f->path, damaged, size);
        open_spool(f, 0);
        unsigned taken = take_all(f);
        survivors += taken;
        set_aside += (unsigned)count(f).set_aside;
        assert_int_equal(count(f).batches, 0);
        assert_true(put(f, 0)); /* it goes on */
        assert_int_equal(take(f), 0);
        close_spool(f);
        remove_suffix(f, "-wal");
    }
    print_message("%u of %u batches survived, %u files were set aside\n", survivors,
                  BATCHES * SEEDS, set_aside);
    assert_true(survivors > BATCHES * SEEDS / 10 * 8);
    assert_true(set_aside > SEEDS / 2);
    remove_suffix(f, ".damaged");
}

static void given_file_cut_anywhere_when_opened_then_the_rest_is_read(void **state)
{
    struct fixture *f = *state;
    open_spool(f, 0);
    fill(f, BATCHES);
    close_spool(f);
    size_t size = read_file(f->path, content, sizeof content);
    for (size_t cut = 1; cut < size; cut += 5003) {
        write_file(f->path, content, cut);
        open_spool(f, 0);
        (void)take_all(f);
        assert_true(put(f, 0));
        assert_int_equal(take_all(f), 1);
        close_spool(f);
        remove_suffix(f, "-wal");
    }
}

static void given_garbage_in_our_place_when_opened_then_set_aside_and_gone_on(void **state)
{
    struct fixture *f = *state;
    char aside[128];
    open_spool(f, 0);
    fill(f, 1);
    close_spool(f);
    memset(damaged, 'x', 8192);
    write_file(f->path, damaged, 8192);
    open_spool(f, 0);
    assert_int_equal(count(f).set_aside, 1);
    assert_true(put(f, 5));
    assert_int_equal(take(f), 5);
    (void)snprintf(aside, sizeof aside, "%s.damaged", f->path);
    assert_int_equal(read_file(aside, content, sizeof content), 8192);
    assert_memory_equal(content, damaged, 8192);
}

/* Every byte of a file that is in use. */
static void spoil(const char *path)
{
    struct stat info;
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(stat(path, &info), 0);
    for (off_t i = 0; i < info.st_size; i++) {
        (void)putc('x', file);
    }
    assert_int_equal(fclose(file), 0);
}

/* In the process that made the file, and with something in the way of setting it aside. */
static void given_damage_that_cannot_be_set_aside_when_it_can_then_gone_on(void **state)
{
    struct fixture *f = *state;
    char aside[128];
    char log[128];
    (void)snprintf(aside, sizeof aside, "%s.damaged", f->path);
    assert_int_equal(mkdir(aside, 0700), 0);
    open_spool(f, 0);
    fill(f, BEYOND_CACHE);
    (void)snprintf(log, sizeof log, "%s-wal", f->path);
    spoil(f->path);
    spoil(log);
    assert_int_equal(take(f), -1);
    assert_false(put(f, 1));
    assert_false(put(f, 2));
    assert_int_equal(count(f).set_aside, 0);
    assert_int_equal(rmdir(aside), 0);
    assert_true(put(f, 5));
    assert_int_equal(count(f).set_aside, 1);
    assert_int_equal(take(f), 5);
}

/* ---- a full disk ---- */

/* Files of this process may not grow beyond it: stands for a disk that is full. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void given_full_disk_when_stored_then_refused_and_works_again_later(void **state)
{
    struct fixture *f = *state;
    unsigned stored = 0;
    (void)signal(SIGXFSZ, SIG_IGN);
    open_spool(f, 0);
    limit_files(128 * 1024);
    while (stored < 1000 && put(f, stored)) {
        stored++;
    }
    assert_in_range(stored, 10, 200);
    assert_false(put(f, 999));
    assert_int_equal(count(f).batches, stored);
    assert_int_equal(take(f), 0); /* whether or not the removal could be written */
    limit_files(RLIM_INFINITY);
    assert_true(put(f, stored));
    for (unsigned n = 1; n <= stored; n++) {
        assert_int_equal(take(f), n);
    }
    assert_int_equal(take(f), -1);
    assert_int_equal(count(f).set_aside, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(given_batches_when_taken_then_in_their_order),
        TEST(given_batches_when_reopened_then_still_there_and_not_own),
        TEST(given_bound_when_reached_then_the_newest_is_refused),
        TEST(given_emptied_spool_when_closed_then_the_file_is_small_again),
        TEST(given_open_spool_when_opened_again_then_refused),
        TEST(given_file_of_somebody_else_when_opened_then_left_as_it_is),
        TEST(given_folder_that_is_not_there_when_opened_then_error_says_so),
        TEST(given_fork_when_child_goes_on_then_the_file_stays_the_parents),
        TEST(given_flipped_bits_when_opened_then_only_what_they_hit_is_lost),
        TEST(given_file_cut_anywhere_when_opened_then_the_rest_is_read),
        TEST(given_garbage_in_our_place_when_opened_then_set_aside_and_gone_on),
        TEST(given_damage_that_cannot_be_set_aside_when_it_can_then_gone_on),
        TEST(given_full_disk_when_stored_then_refused_and_works_again_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
