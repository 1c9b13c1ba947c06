/* The store contract on PostgreSQL: a private server, emptied before every test. Exits
 * with 77 (a skip for ctest) where PostgreSQL or libpq is not installed. */
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "store_contract.h"
#include "support/postgres_fixture.h"

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

static void given_store_when_reopened_then_still_there(void **state)
{
    struct fixture *f = *state;
    (void)insert_spans(f, NULL, 1, 3);
    store_close(f->store);
    struct store_error error;
    f->store = store_open(f->location, &error);
    assert_non_null(f->store);
    assert_int_equal(read_ledger(f).stored, 3);
}

static int run_own_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(given_backend_terminated_when_written_again_then_it_recovers),
        CONTRACT_TEST(given_nul_in_text_when_stored_then_the_batch_stands),
        CONTRACT_TEST(given_store_when_reopened_then_still_there),
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
