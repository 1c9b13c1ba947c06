/* What only the SQLite store can meet: files of others, damage, locks, restarts. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/open.h"
#include "store_fixture.h"

static const char *path_of(const char *location)
{
    return strchr(location, ':') + 1;
}

static void execute(const char *location, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path_of(location), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void expect_refused(const char *location, enum store_status status, const char *words)
{
    struct store_error error = {STORE_OK, ""};
    assert_null(store_open(location, &error));
    assert_int_equal(error.status, status);
    if (!strstr(error.text, words)) {
        fail_msg("\"%s\" lacks \"%s\"", error.text, words);
    }
}

static int new_file(void **state)
{
    char *location = calloc(1, 256);
    sqlite_file_kind.create(location, 256);
    *state = location;
    return 0;
}

static int remove_file(void **state)
{
    sqlite_file_kind.remove(*state);
    free(*state);
    return 0;
}

static void given_text_file_when_opened_then_not_a_database(void **state)
{
    FILE *file = fopen(path_of(*state), "w");
    for (int i = 0; i < 200; i++) {
        (void)fputs("this is no database\n", file);
    }
    assert_int_equal(fclose(file), 0);
    expect_refused(*state, STORE_BROKEN, "is not an SQLite database");
}

static void given_database_of_another_program_when_opened_then_refused(void **state)
{
    execute(*state, "CREATE TABLE theirs(a)");
    expect_refused(*state, STORE_BROKEN, "another program");
}

static void given_newer_schema_when_opened_then_refused(void **state)
{
    struct store_error error;
    struct store *store = store_open(*state, &error);
    assert_non_null(store);
    store_close(store);
    execute(*state, "PRAGMA user_version = 9999");
    expect_refused(*state, STORE_BROKEN, "newer marline-backend-mock (schema 9999");
}

static void given_missing_folder_when_opened_then_says_so(void **state)
{
    (void)state;
    expect_refused("sqlite:/no/such/folder/store.db", STORE_BROKEN, "does its folder exist");
}

static void given_folder_when_opened_then_refused(void **state)
{
    (void)state;
    expect_refused("sqlite:/tmp", STORE_BROKEN, "/tmp");
}

static void given_unknown_scheme_when_opened_then_known_ones_are_named(void **state)
{
    (void)state;
    expect_refused("mysql://x", STORE_INVALID, "use sqlite:PATH");
    expect_refused("sqlite:", STORE_INVALID, "use sqlite:PATH");
}

/* ---- with a fixture ---- */

static void given_stored_things_when_reopened_then_still_there(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    (void)insert_spans(f, &key, 1, 3);
    (void)insert_result(f, &key);
    store_close(f->store);
    struct store_error error;
    f->store = store_open(f->location, &error);
    assert_non_null(f->store);
    assert_int_equal(read_ledger(f).waiting, 3);
    struct key_list waiting;
    read_waiting(f, 10, &waiting); /* the sweeper finds them after a restart */
    assert_int_equal(waiting.count, 1);
    assert_int_equal(try_link(f, &key, LINK_POINT_SWEEP).linked, 3);
}

static void given_file_locked_by_another_process_when_written_then_busy_and_later_fine(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(path_of(f->location), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct store_span span = make_span(f, NULL, 1);
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .at_unix_ns = 1,
        .insert_spans = {f->organization, f->project, SLICE("p"), &span, 1, 0, 0}};
    assert_int_equal(store_write_one(f->store, &write), STORE_BUSY);
    assert_non_null(strstr(write.outcome.text, "locked by another process"));
    assert_int_equal(read_ledger(f).stored, 0); /* reads go on meanwhile */
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(store_write_one(f->store, &write), STORE_OK);
    assert_int_equal(read_ledger(f).stored, 1);
}

static void given_page_limit_when_reached_then_full_nothing_half_stored_and_later_fine(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    (void)insert_spans(f, &key, 1, 1);
    char *text = calloc(1, 4u << 20);
    memset(text, 'x', (4u << 20) - 1);
    struct store_span spans[2] = {make_span(f, &key, 2), make_span(f, &key, 2)};
    spans[1].attributes = (struct slice){text, (4u << 20) - 1};
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .at_unix_ns = 1,
        .insert_spans = {f->organization, f->project, SLICE("p"), spans, 2, 0, 0}};
    sqlite_store_limit_pages(f->store, 200);
    assert_int_equal(store_write_one(f->store, &write), STORE_FULL);
    assert_non_null(strstr(write.outcome.text, "no space left"));
    assert_int_equal(read_ledger(f).stored, 1);
    sqlite_store_limit_pages(f->store, 1000000);
    assert_int_equal(store_write_one(f->store, &write), STORE_OK);
    assert_int_equal(read_ledger(f).stored, 3);
    free(text);
}

int main(void)
{
    const struct CMUnitTest files[] = {
        cmocka_unit_test_setup_teardown(given_text_file_when_opened_then_not_a_database, new_file,
                                        remove_file),
        cmocka_unit_test_setup_teardown(given_database_of_another_program_when_opened_then_refused,
                                        new_file, remove_file),
        cmocka_unit_test_setup_teardown(given_newer_schema_when_opened_then_refused, new_file,
                                        remove_file),
        cmocka_unit_test(given_missing_folder_when_opened_then_says_so),
        cmocka_unit_test(given_folder_when_opened_then_refused),
        cmocka_unit_test(given_unknown_scheme_when_opened_then_known_ones_are_named),
    };
    const struct CMUnitTest stores[] = {
        cmocka_unit_test_setup_teardown(given_stored_things_when_reopened_then_still_there,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            given_file_locked_by_another_process_when_written_then_busy_and_later_fine,
            fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(
            given_page_limit_when_reached_then_full_nothing_half_stored_and_later_fine,
            fixture_setup, fixture_teardown),
    };
    fixture_use(&sqlite_file_kind);
    return cmocka_run_group_tests(files, NULL, NULL) + cmocka_run_group_tests(stores, NULL, NULL);
}
