/* The store contract on PostgreSQL: a private server, emptied before every test. Exits
 * with 77 (a skip for ctest) where PostgreSQL or libpq is not installed. */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_contract.h"
#include "support/postgres_fixture.h"

enum { LOOKS_MAX = 3000, LOOK_MS = 20 };

static struct postgres_server server;
static char address[192];

static void create_empty(char *out, size_t size)
{
    assert_true(postgres_fixture_empty(&server));
    (void)snprintf(out, size, "postgresql:///postgres?user=races&host=%s", server.folder);
}

static void leave(const char *location)
{
    (void)location; /* the server goes as a whole */
}

static const struct store_kind postgres_kind = {"postgresql", create_empty, leave};

/* ---- what only this store can meet ---- */

static void given_backend_terminated_when_written_again_then_it_recovers(void **state)
{
    struct fixture *f = *state;
    (void)insert_spans(f, NULL, 1, 1);
    PGconn *link = PQconnectdb(address);
    PQclear(PQexec(link, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                         " WHERE datname = 'postgres' AND pid <> pg_backend_pid()"));
    PQfinish(link);
    struct store_span span = make_span(f, NULL, 2);
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .at_unix_ns = 1,
        .insert_spans = {f->organization, f->project, SLICE("p"), &span, 1, 0, 0}};
    assert_int_equal(store_write_one(f->store, &write), STORE_BUSY);
    assert_int_equal(store_write_one(f->store, &write), STORE_OK);
    struct store_ledger ledger;
    struct store_error error;
    enum store_status first = store_read_ledger(f->store, &f->scope, &ledger, &error);
    assert_true(first == STORE_OK || first == STORE_BUSY);
    assert_int_equal(read_ledger(f).stored, 2);
}

static void given_nul_in_text_when_stored_then_the_batch_stands(void **state)
{
    struct fixture *f = *state;
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    struct store_span span = make_span(f, &key, 1);
    span.name = SLICE("function.a\0b");
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .insert_spans = {f->organization, f->project, SLICE("p"), &span, 1, 0, 0}};
    must_write(f, &write);
    assert_int_equal(read_ledger(f).stored, 1);
}

static void given_wrong_address_when_opened_then_cause_without_password(void **state)
{
    (void)state;
    struct store_error error;
    assert_null(store_open("postgresql://u:secret@127.0.0.1:1/none", &error));
    assert_int_equal(error.status, STORE_BROKEN);
    assert_non_null(strstr(error.text, "cannot connect to PostgreSQL database none on 127.0.0.1"));
    assert_null(strstr(error.text, "secret"));
}

static void open_store(struct fixture *f)
{
    struct store_error error;
    f->store = store_open(f->location, &error);
    assert_non_null(f->store);
}

static void given_store_when_reopened_then_still_there(void **state)
{
    struct fixture *f = *state;
    (void)insert_spans(f, NULL, 1, 3);
    store_close(f->store);
    open_store(f);
    assert_int_equal(read_ledger(f).stored, 3);
}

/* The answer of a query of one row and column, as a number; -1 = there was none. */
static long ask(PGconn *link, const char *sql)
{
    PGresult *result = PQexec(link, sql);
    long value = PQntuples(result) == 1 ? strtol(PQgetvalue(result, 0, 0), NULL, 10) : -1;
    PQclear(result);
    return value;
}

/* A session's counters are there to be read when it is gone from the list of sessions. */
static void close_store(struct fixture *f, PGconn *link)
{
    static const char others[] = "SELECT count(*) FROM pg_stat_activity"
                                 " WHERE datname = 'postgres' AND pid <> pg_backend_pid()";
    store_close(f->store);
    f->store = NULL;
    for (int i = 0; i < LOOKS_MAX && ask(link, others) != 0; i++) {
        (void)poll(NULL, 0, LOOK_MS);
    }
    assert_int_equal(ask(link, others), 0);
}

/* A plan that was made for small tables is kept while they grow. */
static void given_many_writes_when_counted_then_no_table_was_read_whole(void **state)
{
    enum { ROUNDS = 20 };
    struct fixture *f = *state;
    PGconn *link = PQconnectdb(address);
    static const char scans[] = "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN"
                                " ('contexts', 'events', 'results', 'spans', 'traces')";
    close_store(f, link); /* making the indexes has read the tables, too */
    long before = ask(link, scans);
    open_store(f);
    for (uint8_t i = 1; i <= ROUNDS; i++) {
        struct link_key key = key_of(f, i, 1);
        (void)insert_spans(f, &key, i, 3);
        (void)insert_result(f, &key);
        (void)try_link(f, &key, LINK_POINT_RESULT);
    }
    close_store(f, link); /* it forgets what it remembers */
    open_store(f);
    for (uint8_t i = 1; i <= ROUNDS; i++) {
        struct link_key key = key_of(f, i, 1);
        (void)insert_spans(f, &key, i, 3);
        assert_int_equal(try_link(f, &key, LINK_POINT_INGEST).linked, 3);
    }
    close_store(f, link);
    assert_int_equal(ask(link, scans), before);
    PQfinish(link);
    open_store(f);
}

static int run_own_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(given_backend_terminated_when_written_again_then_it_recovers),
        CONTRACT_TEST(given_nul_in_text_when_stored_then_the_batch_stands),
        CONTRACT_TEST(given_store_when_reopened_then_still_there),
        CONTRACT_TEST(given_many_writes_when_counted_then_no_table_was_read_whole),
        cmocka_unit_test(given_wrong_address_when_opened_then_cause_without_password),
    };
    fixture_use(&postgres_kind);
    return cmocka_run_group_tests_name("postgresql alone", tests, NULL, NULL);
}

static int run_all(void)
{
    return run_entity_contract(&postgres_kind) + run_link_contract(&postgres_kind) +
           run_failure_contract(&postgres_kind) + run_trace_contract(&postgres_kind) +
           run_document_contract(&postgres_kind) + run_durability_contract(&postgres_kind) +
           run_own_tests();
}

int main(void)
{
    int code = postgres_fixture_start(&server, false);
    if (code == 0) {
        postgres_server_address(&server, address, sizeof address);
        code = run_all();
    }
    postgres_server_stop(&server);
    return code;
}
