/* The store contract on PostgreSQL: a private server, emptied before every test. Exits
 * with 77 (a skip for ctest) where PostgreSQL or libpq is not installed. */
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
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

/* ---- two backends on one database ---- */

enum { RACE_ROUNDS = 20, RACE_KEYS = 8, BUSY_MAX = 100 };

/* A backend that stores the spans of all keys, or their results, and then links them. */
struct party {
    struct fixture *f;
    struct store *store;
    bool has_spans;
    size_t linked;
    struct store_error failure; /* the last */
};

static uint32_t number_of(const struct party *p, uint32_t round, uint32_t i)
{
    return round * RACE_KEYS + (p->has_spans ? i : RACE_KEYS - 1 - i);
}

static void write_all(struct party *p, struct store_write *writes, size_t count)
{
    struct store_write *all[RACE_KEYS];
    struct store_error error;
    for (size_t i = 0; i < count; i++) {
        writes[i].at_unix_ns = 1;
        all[i] = &writes[i];
    }
    /* Deadlocks in a row make the store busy, and whoever is told so asks again. */
    enum store_status status = STORE_BUSY;
    for (int i = 0; status == STORE_BUSY && i < BUSY_MAX; i++) {
        status = store_write_all(p->store, all, count, &error);
    }
    if (status != STORE_OK) {
        p->failure = error;
    }
    for (size_t i = 0; i < count; i++) {
        if (writes[i].outcome.status != STORE_OK) {
            p->failure = writes[i].outcome;
        }
    }
}

static void store_side(struct party *p, uint32_t round)
{
    struct store_write writes[RACE_KEYS];
    struct store_span spans[RACE_KEYS];
    for (uint32_t i = 0; i < RACE_KEYS; i++) {
        uint32_t number = number_of(p, round, i);
        struct link_key key = key_of(p->f, number, 1);
        if (p->has_spans) { /* the other party makes none */
            spans[i] = make_span(p->f, &key, (uint8_t)number);
        }
        writes[i] = (struct store_write){
            .type = STORE_INSERT_RESULT,
            .insert_result = {.project_id = p->f->project, .key = key, .spare_id = id_of(number)}};
    }
    if (p->has_spans) {
        writes[0] = (struct store_write){.type = STORE_INSERT_SPANS,
                                         .insert_spans = {p->f->organization, p->f->project,
                                                          SLICE("p"), spans, RACE_KEYS, 0, 0}};
    }
    write_all(p, writes, p->has_spans ? 1 : RACE_KEYS);
}

static void link_side(struct party *p, uint32_t round)
{
    struct store_write writes[RACE_KEYS];
    for (uint32_t i = 0; i < RACE_KEYS; i++) {
        writes[i] = (struct store_write){
            .type = STORE_LINK,
            .link = {.key = key_of(p->f, number_of(p, round, i), 1),
                     .point = p->has_spans ? LINK_POINT_INGEST : LINK_POINT_RESULT}};
    }
    write_all(p, writes, RACE_KEYS);
    for (size_t i = 0; i < RACE_KEYS; i++) {
        p->linked += writes[i].link.linked;
    }
}

static void *play_party(void *user)
{
    struct party *p = user;
    for (uint32_t round = 0; round < RACE_ROUNDS; round++) {
        store_side(p, round);
        link_side(p, round);
    }
    return NULL;
}

/* Whoever commits second sees the other: nothing is left for a sweeper. */
static void given_two_backends_when_each_links_many_keys_then_every_span_once(void **state)
{
    struct fixture *f = *state;
    struct store_error error;
    struct party parties[2] = {{.f = f, .store = f->store, .has_spans = true},
                               {.f = f, .store = store_open(f->location, &error)}};
    pthread_t threads[2];
    assert_non_null(parties[1].store);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, play_party, &parties[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    store_close(parties[1].store);
    assert_string_equal(parties[0].failure.text, "");
    assert_string_equal(parties[1].failure.text, "");
    assert_int_equal(parties[0].linked + parties[1].linked, RACE_ROUNDS * RACE_KEYS);
    assert_int_equal(read_ledger(f).linked, RACE_ROUNDS * RACE_KEYS);
    assert_int_equal(read_ledger(f).waiting, 0);
}

static int run_own_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(given_backend_terminated_when_written_again_then_it_recovers),
        CONTRACT_TEST(given_nul_in_text_when_stored_then_the_batch_stands),
        CONTRACT_TEST(given_store_when_reopened_then_still_there),
        CONTRACT_TEST(given_many_writes_when_counted_then_no_table_was_read_whole),
        CONTRACT_TEST(given_two_backends_when_each_links_many_keys_then_every_span_once),
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
