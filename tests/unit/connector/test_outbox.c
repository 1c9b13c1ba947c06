/* The outbox on disk: what it keeps over a restart, and what it refuses to open. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "connector/outbox.h"
#include <marline/dead_letters.h>

struct folder {
    char name[64];
    char path[96];
};

static int set_up(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);
    (void)snprintf(folder->name, sizeof folder->name, "outbox-XXXXXX");
    assert_non_null(mkdtemp(folder->name));
    (void)snprintf(folder->path, sizeof folder->path, "%s/box.db", folder->name);
    *state = folder;
    return 0;
}

static int tear_down(void **state)
{
    struct folder *folder = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < 4; i++) {
        char file[128];
        (void)snprintf(file, sizeof file, "%s%s", folder->path, suffixes[i]);
        (void)unlink(file);
    }
    assert_int_equal(rmdir(folder->name), 0);
    free(folder);
    return 0;
}

static struct outbox *open_box(const struct folder *folder, const char *scope)
{
    const struct outbox_options options = {.path = folder->path, .scope = scope};
    struct outbox *box = NULL;
    marline_error error = {MARLINE_OK, ""};
    if (marline__outbox_open(&options, &box, &error) != MARLINE_OK) {
        fail_msg("%s", error.text);
    }
    return box;
}

static uint64_t store(struct outbox *box, uint64_t row, struct slice id, struct slice result,
                      uint32_t span_count)
{
    return marline__outbox_stored(box, &(struct outbox_record){.row = row,
                                                               .id = id,
                                                               .result = result,
                                                               .span_count = span_count,
                                                               .accepted_unix_ns = 8});
}

static bool describe(void *user, const struct outbox_record *record)
{
    marline__buffer_append_format(user, "%.*s:%d:%d:%.*s:%.*s:%u;", SLICE_ARG(record->id),
                                  record->is_metric, record->state, SLICE_ARG(record->request),
                                  SLICE_ARG(record->result), record->span_count);
    return true;
}

static void assert_holds(struct outbox *box, const char *expected)
{
    struct buffer text = BUFFER_INIT;
    assert_int_equal(marline__outbox_load(box, describe, &text), MARLINE_OK);
    assert_string_equal(text.data ? text.data : "", expected);
    marline__buffer_deinit(&text);
}

static void given_records_when_reopened_then_in_order_with_their_states(void **state)
{
    struct outbox *box = open_box(*state, "s");
    marline__outbox_accepted(box, SLICE("a"), false, SLICE("{\"r\":1}"), 5);
    uint64_t b = marline__outbox_accepted(box, SLICE("b"), false, SLICE("{\"r\":2}"), 6);
    marline__outbox_accepted(box, SLICE("a"), true, SLICE("{\"m\":1}"), 7);
    assert_int_equal(store(box, b, SLICE("b"), SLICE("{}"), 3), b);
    marline__outbox_settled(box, store(box, 0, SLICE("c"), SLICE("[]"), 0)); /* was refused */
    marline__outbox_close(box);
    box = open_box(*state, "s");
    assert_holds(box, "a:0:1:{\"r\":1}::0;b:0:2::{}:3;a:1:1:{\"m\":1}::0;c:0:3::[]:0;");
    marline__outbox_close(box);
}

static void given_another_scope_when_loaded_then_nothing_of_it(void **state)
{
    struct outbox *box = open_box(*state, "one");
    (void)store(box, 0, SLICE("a"), SLICE("{}"), 0);
    marline__outbox_close(box);
    box = open_box(*state, "two");
    assert_holds(box, "");
    marline__outbox_close(box);
    box = open_box(*state, "one");
    assert_holds(box, "a:0:2::{}:0;");
    marline__outbox_close(box);
}

static void given_changes_when_not_committed_then_pending(void **state)
{
    struct outbox *box = open_box(*state, "s");
    bool urgent = true;
    assert_false(marline__outbox_is_pending(box, &urgent));
    uint64_t a = marline__outbox_accepted(box, SLICE("a"), false, SLICE("{}"), 1);
    assert_true(marline__outbox_is_pending(box, &urgent));
    assert_true(urgent);
    assert_int_equal(marline__outbox_commit(box), MARLINE_OK);
    assert_false(marline__outbox_is_pending(box, &urgent));
    marline__outbox_settled(box, a);
    assert_true(marline__outbox_is_pending(box, &urgent));
    assert_false(urgent);
    marline__outbox_close(box);
}

static void given_many_settled_when_more_come_then_the_oldest_are_forgotten(void **state)
{
    struct outbox *box = open_box(*state, "s");
    (void)store(box, 0, SLICE("kept"), SLICE("{}"), 0); /* never settled */
    for (int i = 0; i < OUTBOX_SETTLED_MAX + 240; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "i%d", i);
        marline__outbox_settled(box, store(box, 0, marline__slice_text(id), SLICE("{}"), 0));
    }
    struct buffer text = BUFFER_INIT;
    assert_int_equal(marline__outbox_load(box, describe, &text), MARLINE_OK);
    assert_memory_equal(text.data, "kept:0:2::{}:0;i240:", 20);
    marline__buffer_deinit(&text);
    assert_int_equal(marline__outbox_failures(box), 0);
    marline__outbox_close(box);
}

static void given_open_outbox_when_opened_again_then_refused_with_reason(void **state)
{
    const struct folder *folder = *state;
    struct outbox *box = open_box(folder, "s");
    const struct outbox_options options = {.path = folder->path, .scope = "s"};
    struct outbox *second = NULL;
    marline_error error;
    assert_int_equal(marline__outbox_open(&options, &second, &error), MARLINE_ESTATE);
    assert_non_null(strstr(error.text, "in use by another process"));
    assert_null(second);
    marline__outbox_close(box);
    marline__outbox_close(open_box(folder, "s"));
}

static void given_no_database_or_no_folder_when_opened_then_refused_with_reason(void **state)
{
    const struct folder *folder = *state;
    int file = open(folder->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(write(file, "this is no database, ", 21), 21);
    }
    close(file);
    const struct outbox_options options = {.path = folder->path, .scope = "s"};
    struct outbox *box = NULL;
    marline_error error;
    assert_int_equal(marline__outbox_open(&options, &box, &error), MARLINE_EIO);
    assert_non_null(strstr(error.text, "not a database"));
    const struct outbox_options nowhere = {.path = "no/such/folder/box.db", .scope = "s"};
    assert_int_equal(marline__outbox_open(&nowhere, &box, &error), MARLINE_EIO);
    assert_non_null(strstr(error.text, "No such file or directory; does its folder exist"));
}

static void given_newer_schema_when_opened_then_refused(void **state)
{
    const struct folder *folder = *state;
    marline__outbox_close(open_box(folder, "s"));
    sqlite3 *db;
    assert_int_equal(sqlite3_open(folder->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    const struct outbox_options options = {.path = folder->path, .scope = "s"};
    struct outbox *box = NULL;
    marline_error error;
    assert_int_equal(marline__outbox_open(&options, &box, &error), MARLINE_EIO);
    assert_non_null(strstr(error.text, "newer version"));
}

static void given_outbox_when_reopened_then_the_agent_is_the_same(void **state)
{
    char id[64];
    struct outbox *box = open_box(*state, "s");
    (void)snprintf(id, sizeof id, "%s", marline__outbox_agent_id(box));
    assert_int_equal(strlen(id), 36);
    marline__outbox_close(box);
    box = open_box(*state, "other");
    assert_string_equal(marline__outbox_agent_id(box), id);
    marline__outbox_close(box);
}

static void describe_letter(void *user, const marline_dead_letter *letter)
{
    marline__buffer_append_format(user, "%lld %llu %s %s %s %s %s %s;", (long long)letter->number,
                                  (unsigned long long)letter->at_unix_ns, letter->scope,
                                  letter->invocation_id, letter->reason, letter->traceparent,
                                  letter->request_json ? letter->request_json : "-",
                                  letter->result_json ? letter->result_json : "-");
}

static void assert_letters(const struct folder *folder, const char *expected)
{
    struct buffer text = BUFFER_INIT;
    assert_int_equal(marline_dead_letters_list(folder->path, describe_letter, &text, NULL),
                     MARLINE_OK);
    assert_string_equal(text.data ? text.data : "", expected);
    marline__buffer_deinit(&text);
}

static void
given_dead_letters_when_listed_and_dropped_then_exact_also_beside_the_agent(void **state)
{
    const struct folder *folder = *state;
    struct outbox *box = open_box(folder, "s");
    marline__outbox_bury(box, &(struct outbox_letter){.id = SLICE("a"),
                                                      .request = SLICE("{\"r\":1}"),
                                                      .reason = "full",
                                                      .traceparent = "tp",
                                                      .at_unix_ns = 7});
    marline__outbox_bury(box, &(struct outbox_letter){.id = SLICE("b"),
                                                      .result = SLICE("{\"x\":2}"),
                                                      .reason = "too large",
                                                      .traceparent = "",
                                                      .at_unix_ns = 8});
    assert_int_equal(marline__outbox_commit(box), MARLINE_OK);
    assert_letters(folder, "1 7 s a full tp {\"r\":1} -;2 8 s b too large  - {\"x\":2};");
    marline_error error;
    assert_int_equal(marline_dead_letters_drop(folder->path, 9, &error), MARLINE_ENOTFOUND);
    assert_int_equal(marline_dead_letters_drop(folder->path, 1, &error), MARLINE_OK);
    assert_letters(folder, "2 8 s b too large  - {\"x\":2};");
    assert_int_equal(marline_dead_letters_drop(folder->path, 0, &error), MARLINE_OK);
    assert_letters(folder, "");
    marline__outbox_close(box);
    assert_int_equal(marline_dead_letters_list("no/such.db", describe_letter, NULL, &error),
                     MARLINE_ENOTFOUND);
    assert_non_null(strstr(error.text, "no/such.db"));
}

static void note_asked(void *user)
{
    uint64_t one = 1;
    assert_int_equal(write(*(int *)user, &one, sizeof one), sizeof one);
}

static void bury(struct outbox *box, const char *id, struct slice request, struct slice result)
{
    marline__outbox_bury(box, &(struct outbox_letter){.id = marline__slice_text(id),
                                                      .request = request,
                                                      .result = result,
                                                      .reason = "full",
                                                      .traceparent = "tp"});
}

static void given_open_outbox_when_another_asks_for_a_retry_then_told_and_found(void **state)
{
    const struct folder *folder = *state;
    int told = eventfd(0, EFD_CLOEXEC);
    const struct outbox_options options = {
        .path = folder->path, .scope = "s", .on_asked = note_asked, .user = &told};
    struct outbox *box = NULL;
    struct outbox_asked asked = {0};
    bool is_served = false;
    assert_int_equal(marline__outbox_open(&options, &box, NULL), MARLINE_OK);
    bury(box, "a", SLICE("{1}"), SLICE_EMPTY);
    bury(box, "b", SLICE_EMPTY, SLICE("{2}"));
    assert_int_equal(marline__outbox_commit(box), MARLINE_OK);
    assert_false(marline__outbox_next_asked(box, 0, &asked));
    assert_int_equal(marline_dead_letters_retry(folder->path, 2, &is_served, NULL), MARLINE_OK);
    assert_true(is_served);
    assert_int_equal(poll(&(struct pollfd){told, POLLIN, 0}, 1, 20000), 1);
    assert_true(marline__outbox_next_asked(box, 0, &asked));
    assert_int_equal(asked.number, 2);
    assert_int_equal(asked.request.size, 0);
    assert_true(marline__slice_is(marline__buffer_slice(&asked.result), "{2}"));
    assert_string_equal(asked.traceparent, "tp");
    assert_false(marline__outbox_next_asked(box, 2, &asked));
    marline__outbox_refuse_retry(box, 2, "at work");
    assert_int_equal(marline__outbox_commit(box), MARLINE_OK);
    assert_false(marline__outbox_next_asked(box, 0, &asked));
    assert_letters(folder, "1 0 s a full tp {1} -;2 0 s b at work tp - {2};");
    marline__outbox_close(box);
    assert_int_equal(marline_dead_letters_retry(folder->path, 0, &is_served, NULL), MARLINE_OK);
    assert_false(is_served);
    marline__buffer_deinit(&asked.request);
    marline__buffer_deinit(&asked.result);
    (void)close(told);
}

static void given_outbox_of_the_first_version_when_opened_then_brought_up_to_date(void **state)
{
    static const char first[] =
        "PRAGMA journal_mode=WAL;"
        "CREATE TABLE scope(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
        "CREATE TABLE invocation(row INTEGER PRIMARY KEY, scope INTEGER NOT NULL, id BLOB NOT NULL,"
        " is_metric INTEGER NOT NULL, state INTEGER NOT NULL, accepted_ns INTEGER NOT NULL,"
        " request BLOB, result BLOB, span_count INTEGER NOT NULL DEFAULT 0);"
        "CREATE TABLE dead_letter(row INTEGER PRIMARY KEY AUTOINCREMENT, scope INTEGER NOT NULL,"
        " id BLOB NOT NULL, at_ns INTEGER NOT NULL, reason TEXT NOT NULL,"
        " traceparent TEXT NOT NULL, request BLOB, result BLOB);"
        "CREATE TABLE agent(id TEXT NOT NULL);"
        "INSERT INTO scope VALUES(1,'s');"
        "INSERT INTO dead_letter VALUES(1,1,'a',7,'full','tp','{}',NULL);"
        "PRAGMA user_version=1;";
    const struct folder *folder = *state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(folder->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, first, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    marline__outbox_close(open_box(folder, "s"));
    marline__outbox_close(open_box(folder, "s"));
    assert_letters(folder, "1 7 s a full tp {} -;");
    assert_int_equal(marline_dead_letters_retry(folder->path, 1, NULL, NULL), MARLINE_OK);
}

static bool count_records(void *user, const struct outbox_record *record)
{
    assert_int_equal(record->state, OUTBOX_STORED);
    ++*(int *)user;
    return true;
}

/* The limit on the size of a file stands for a disk that is full. */
static void given_full_disk_when_stored_then_counted_and_the_rest_is_intact(void **state)
{
    const struct folder *folder = *state;
    enum { ROOM = 96 * 1024, TEXT = 4096, MANY = 100 };
    static char text[TEXT + 1];
    memset(text, 'x', TEXT);
    struct outbox *box = open_box(folder, "s");
    struct rlimit before;
    void (*action)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ROOM, before.rlim_max}), 0);
    int kept = 0;
    for (int i = 0; i < MANY; i++) {
        struct outbox_record record = {.id = SLICE("id"), .result = marline__slice_text(text)};
        bool stored = marline__outbox_stored(box, &record) != 0;
        kept += marline__outbox_commit(box) == MARLINE_OK && stored;
    }
    assert_in_range(kept, 1, MANY - 1);
    assert_true(marline__outbox_failures(box) > 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, action);
    struct outbox_record record = {.id = SLICE("id"), .result = SLICE("{}")};
    assert_true(marline__outbox_stored(box, &record) != 0); /* there is room again */
    assert_int_equal(marline__outbox_commit(box), MARLINE_OK);
    marline__outbox_close(box);
    int found = 0;
    box = open_box(folder, "s");
    assert_int_equal(marline__outbox_load(box, count_records, &found), MARLINE_OK);
    assert_int_equal(found, kept + 1);
    marline__outbox_close(box);
}

static bool describe_row(void *user, const struct outbox_record *record)
{
    marline__buffer_append_format(user, "%.*s:%d:%.*s;", SLICE_ARG(record->id), record->state,
                                  SLICE_ARG(record->result));
    return true;
}

/* Accepts one invocation while there is no room for the commit: it is known by its row alone. */
static uint64_t accept_on_full_disk(struct outbox *box, struct slice id, struct slice request)
{
    struct rlimit before;
    void (*action)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1, before.rlim_max}), 0);
    uint64_t row = marline__outbox_accepted(box, id, false, request, 1);
    assert_int_equal(marline__outbox_commit(box), MARLINE_EIO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, action);
    assert_true(row != 0);
    return row;
}

/* Its row went with the transaction: the next invocation must not get it, and its own result must
 * be kept all the same. */
static void given_commit_that_failed_when_both_end_then_each_has_its_own_result(void **state)
{
    struct outbox *box = open_box(*state, "s");
    struct buffer text = BUFFER_INIT;
    uint64_t lost = accept_on_full_disk(box, SLICE("a"), SLICE("{}"));
    uint64_t kept = marline__outbox_accepted(box, SLICE("b"), false, SLICE("{}"), 2);
    assert_int_equal(marline__outbox_commit(box), MARLINE_OK);
    assert_true(kept != lost);
    uint64_t row = store(box, lost, SLICE("a"), SLICE("of a"), 1);
    assert_int_equal(marline__outbox_commit(box), MARLINE_OK);
    assert_int_equal(marline__outbox_load(box, describe_row, &text), MARLINE_OK);
    assert_string_equal(text.data, "b:1:;a:2:of a;");
    marline__outbox_settled(box, row);
    assert_int_equal(marline__outbox_commit(box), MARLINE_OK);
    marline__buffer_clear(&text);
    assert_int_equal(marline__outbox_load(box, describe_row, &text), MARLINE_OK);
    assert_string_equal(text.data, "b:1:;a:3:of a;");
    marline__buffer_deinit(&text);
    marline__outbox_close(box);
}

static bool count_doubtful(void *user, const struct outbox_record *record)
{
    *(int *)user += marline__trace_id_is_valid(record->span.trace_id);
    return true;
}

/* An execution whose result is settled at this time of the wall clock. */
static void settle_at(struct outbox *box, uint64_t unix_s)
{
    struct outbox_record record = {.id = SLICE("id"),
                                   .result = SLICE("{}"),
                                   .span = {.trace_id = {1}, .span_id = {1}, .flags = 1},
                                   .stored_unix_ns = unix_s * NS_PER_S};
    record.row = marline__outbox_accepted(box, record.id, false, SLICE("{}"), unix_s * NS_PER_S);
    (void)marline__outbox_stored(box, &record);
    marline__outbox_settled(box, record.row);
}

static void given_clock_set_back_when_killed_then_the_latest_spans_are_still_in_doubt(void **state)
{
    const struct folder *folder = *state;
    struct outbox *box = open_box(folder, "s");
    int doubtful = 0;
    settle_at(box, 1000);
    settle_at(box, 5000); /* so long after it that the first is safe */
    assert_int_equal(marline__outbox_load(box, count_doubtful, &doubtful), MARLINE_OK);
    assert_int_equal(doubtful, 1);
    settle_at(box, 2000); /* the clock was set back */
    doubtful = 0;
    assert_int_equal(marline__outbox_load(box, count_doubtful, &doubtful), MARLINE_OK);
    assert_int_equal(doubtful, 2);
    marline__outbox_close(box);
}

#define BOXED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOXED(given_records_when_reopened_then_in_order_with_their_states),
        BOXED(given_another_scope_when_loaded_then_nothing_of_it),
        BOXED(given_changes_when_not_committed_then_pending),
        BOXED(given_many_settled_when_more_come_then_the_oldest_are_forgotten),
        BOXED(given_open_outbox_when_opened_again_then_refused_with_reason),
        BOXED(given_no_database_or_no_folder_when_opened_then_refused_with_reason),
        BOXED(given_newer_schema_when_opened_then_refused),
        BOXED(given_dead_letters_when_listed_and_dropped_then_exact_also_beside_the_agent),
        BOXED(given_outbox_when_reopened_then_the_agent_is_the_same),
        BOXED(given_open_outbox_when_another_asks_for_a_retry_then_told_and_found),
        BOXED(given_full_disk_when_stored_then_counted_and_the_rest_is_intact),
        BOXED(given_commit_that_failed_when_both_end_then_each_has_its_own_result),
        BOXED(given_clock_set_back_when_killed_then_the_latest_spans_are_still_in_doubt),
        BOXED(given_outbox_of_the_first_version_when_opened_then_brought_up_to_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
