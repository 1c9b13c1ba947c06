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

/* ---- fork ---- */

/* The child does its part, and tells by its exit status whether all was as it should be. Held: it
 * waits until `release` is closed. */
struct child {
    pid_t pid;
    int ready[2];
    int release[2];
};

static bool is_child(struct fixture *f, struct child *c)
{
    assert_int_equal(pipe(c->ready), 0);
    assert_int_equal(pipe(c->release), 0);
    marline__spool_before_fork(f->spool);
    c->pid = fork();
    if (c->pid == 0) {
        close(c->ready[0]);
        close(c->release[1]);
        marline__spool_after_fork_in_child(f->spool);
        return true;
    }
    marline__spool_after_fork_in_parent(f->spool);
    close(c->ready[1]);
    close(c->release[0]);
    return false;
}

/* In the child: says that its batches are stored, and holds its file until it may end. */
static void hold(struct child *c)
{
    char byte = 0;
    close(c->ready[1]);
    (void)!read(c->release[0], &byte, 1);
}

static void wait_ready(struct child *c)
{
    char byte = 0;
    assert_int_equal(read(c->ready[0], &byte, 1), 0);
}

static int end_child(struct child *c)
{
    int status = -1;
    close(c->release[1]);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    close(c->ready[0]);
    return status;
}

static void childs_path(const struct fixture *f, const struct child *c, char out[128])
{
    (void)snprintf(out, 128, "%s.child-%d", f->path, (int)c->pid);
}

static void given_fork_when_child_goes_on_then_in_a_file_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct child c;
    char path[128];
    open_spool(f, 0);
    fill(f, 2);
    if (is_child(f, &c)) {
        bool good = count(f).batches == 0 && put(f, 10) && put(f, 11) && put(f, 12);
        good &= count(f).own_spans == 3 * SPANS_EACH && take(f) == 10;
        good &= count(f).batches == 2 && count(f).bytes == 2 * BODY_SIZE;
        marline__spool_close(f->spool);
        _exit(good ? 0 : 1);
    }
    assert_int_equal(end_child(&c), 0);
    childs_path(f, &c, path);
    assert_int_equal(access(path, F_OK), 0);
    assert_true(put(f, 2));
    assert_true(marline__spool_has_forked(f->spool));
    assert_int_equal(count(f).spans, 3 * SPANS_EACH);
    marline__spool_adopt(f->spool);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(count(f).spans, 5 * SPANS_EACH);
    assert_int_equal(count(f).own_spans, 3 * SPANS_EACH);
    assert_true(put(f, 3));
    assert_int_equal(count(f).own_spans, 4 * SPANS_EACH);
    const int expected[] = {0, 1, 2, 11, 12, 3};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(take(f), expected[i]);
    }
    assert_int_equal(count(f).own_spans, 0);
    assert_int_equal(take(f), -1);
}

static void given_child_that_delivered_all_when_it_ends_then_nothing_is_left(void **state)
{
    struct fixture *f = *state;
    struct child c;
    char path[128];
    open_spool(f, 3 * BODY_SIZE);
    if (is_child(f, &c)) {
        bool good = take(f) == -1;
        for (unsigned round = 0; round < 3; round++) { /* its room comes back */
            good &= put(f, 1) && put(f, 2) && put(f, 3) && !put(f, 4);
            good &= take(f) == 1 && take(f) == 2 && take(f) == 3 && take(f) == -1;
        }
        good &= count(f).spans == 0;
        marline__spool_close(f->spool);
        _exit(good ? 0 : 1);
    }
    assert_int_equal(end_child(&c), 0);
    childs_path(f, &c, path);
    assert_int_equal(access(path, F_OK), -1);
}

static void
given_child_whose_spool_is_never_empty_when_time_passes_then_its_file_stays_small(void **state)
{
    enum { ROUNDS = 3000, DISK_MAX = 2 * 1024 * 1024 }; /* of 4.5 MB that went through */
    struct fixture *f = *state;
    struct child c;
    char path[128];
    struct stat info;
    open_spool(f, 3 * BODY_SIZE);
    if (is_child(f, &c)) {
        bool good = put(f, 0);
        for (unsigned n = 1; n < ROUNDS; n++) {
            good &= put(f, n) && take(f) == (int)n - 1;
        }
        marline__spool_close(f->spool);
        _exit(good ? 0 : 1);
    }
    assert_int_equal(end_child(&c), 0);
    childs_path(f, &c, path);
    assert_int_equal(stat(path, &info), 0);
    assert_in_range(info.st_blocks * 512, 0, DISK_MAX);
    marline__spool_adopt(f->spool);
    assert_int_equal(take(f), ROUNDS - 1);
    assert_int_equal(take(f), -1);
}

static void given_children_when_killed_then_the_next_process_takes_up_what_they_kept(void **state)
{
    struct fixture *f = *state;
    struct child children[2];
    open_spool(f, 0);
    for (unsigned i = 0; i < 2; i++) {
        if (is_child(f, &children[i])) {
            (void)put(f, 10 * (i + 1));
            (void)put(f, 10 * (i + 1) + 1);
            hold(&children[i]);
            _exit(1);
        }
        wait_ready(&children[i]);
    }
    marline__spool_adopt(f->spool);
    assert_int_equal(count(f).batches, 0); /* both hold their files */
    close_spool(f);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(kill(children[i].pid, SIGKILL), 0);
        assert_true(WIFSIGNALED(end_child(&children[i])));
    }
    open_spool(f, 0);
    assert_int_equal(count(f).spans, 4 * SPANS_EACH);
    assert_int_equal(count(f).own_spans, 0);
    int first = take(f);
    assert_true(first == 10 || first == 20);
    assert_int_equal(take(f), first + 1);
    assert_int_equal(take(f), 30 - first);
    assert_int_equal(take(f), 31 - first);
    assert_int_equal(take(f), -1);
}

static void given_child_of_a_child_when_both_spool_then_each_in_its_own(void **state)
{
    struct fixture *f = *state;
    struct child c;
    open_spool(f, 0);
    if (is_child(f, &c)) {
        struct child inner;
        bool good = put(f, 10);
        if (is_child(f, &inner)) {
            good &= count(f).batches == 0 && put(f, 20);
            marline__spool_close(f->spool);
            _exit(good ? 0 : 1);
        }
        good &= end_child(&inner) == 0 && put(f, 11) && take(f) == 10 && take(f) == 11;
        good &= !marline__spool_has_forked(f->spool); /* taking up is for who has the path */
        marline__spool_close(f->spool);
        _exit(good ? 0 : 1);
    }
    assert_int_equal(end_child(&c), 0);
    marline__spool_adopt(f->spool);
    assert_int_equal(take(f), 20);
    assert_int_equal(take(f), -1);
}

static void given_no_room_when_taking_up_then_the_rest_waits_in_its_file(void **state)
{
    struct fixture *f = *state;
    struct child c;
    open_spool(f, 4 * BODY_SIZE);
    fill(f, 2);
    if (is_child(f, &c)) {
        bool good = put(f, 10) && put(f, 11) && put(f, 12);
        _exit(good ? 0 : 1);
    }
    assert_int_equal(end_child(&c), 0);
    marline__spool_adopt(f->spool);
    assert_int_equal(count(f).batches, 4);
    const int expected[] = {0, 1, 10, 11};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(take(f), expected[i]);
    }
    marline__spool_adopt(f->spool);
    assert_int_equal(take(f), 12);
    assert_int_equal(take(f), -1);
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

/* A child's file that is cut or hit anywhere: what was before that is read, and what is not a
 * child's file is left alone. */
static void
given_damage_in_a_childs_file_when_taken_up_then_what_was_before_it_is_kept(void **state)
{
    struct fixture *f = *state;
    struct child c;
    char path[128];
    char aside[144];
    open_spool(f, 0);
    if (is_child(f, &c)) {
        bool good = put(f, 0) && put(f, 1) && put(f, 2);
        _exit(good ? 0 : 1);
    }
    assert_int_equal(end_child(&c), 0);
    childs_path(f, &c, path);
    (void)snprintf(aside, sizeof aside, "%s.damaged", path);
    size_t size = read_file(path, content, sizeof content);
    size_t each = (size - 24) / 3;
    assert_int_equal(each, BODY_SIZE + 16);
    for (size_t at = 0; at < size; at += at < 64 ? 1 : 97) {
        write_file(path, content, at);
        marline__spool_adopt(f->spool);
        size_t whole = at < 24 ? 0 : (at - 24) / each;
        for (size_t n = 0; n < whole; n++) {
            assert_int_equal(take(f), n);
        }
        assert_int_equal(take(f), -1);
        assert_int_equal(access(path, F_OK), -1);
        (void)unlink(aside);
    }
    for (size_t at = 24; at < size; at += at < 64 ? 1 : 97) {
        memcpy(damaged, content, size);
        damaged[at] ^= 0x41;
        write_file(path, damaged, size);
        uint64_t before = count(f).set_aside;
        marline__spool_adopt(f->spool);
        for (size_t n = 0; n < (at - 24) / each; n++) {
            assert_int_equal(take(f), n);
        }
        assert_int_equal(take(f), -1);
        assert_int_equal(count(f).set_aside, before + 1);
        assert_int_equal(unlink(aside), 0);
    }
    static const char text[] = "somebody else's file, by chance of that name";
    write_file(path, text, sizeof text);
    marline__spool_adopt(f->spool);
    assert_int_equal(read_file(path, content, sizeof content), sizeof text);
    assert_int_equal(unlink(path), 0);
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
        TEST(given_fork_when_child_goes_on_then_in_a_file_of_its_own),
        TEST(given_child_that_delivered_all_when_it_ends_then_nothing_is_left),
        TEST(given_child_whose_spool_is_never_empty_when_time_passes_then_its_file_stays_small),
        TEST(given_children_when_killed_then_the_next_process_takes_up_what_they_kept),
        TEST(given_child_of_a_child_when_both_spool_then_each_in_its_own),
        TEST(given_no_room_when_taking_up_then_the_rest_waits_in_its_file),
        TEST(given_damage_in_a_childs_file_when_taken_up_then_what_was_before_it_is_kept),
        TEST(given_flipped_bits_when_opened_then_only_what_they_hit_is_lost),
        TEST(given_file_cut_anywhere_when_opened_then_the_rest_is_read),
        TEST(given_garbage_in_our_place_when_opened_then_set_aside_and_gone_on),
        TEST(given_damage_that_cannot_be_set_aside_when_it_can_then_gone_on),
        TEST(given_full_disk_when_stored_then_refused_and_works_again_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
