/* Stores for the contract suite. */
#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- kinds ---- */

static void create_file(char *out, size_t size)
{
    char folder[] = "/tmp/marline-store-XXXXXX";
    assert_non_null(mkdtemp(folder));
    (void)snprintf(out, size, "sqlite:%s/store.db", folder);
}

static void remove_file(const char *location)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    const char *path = strchr(location, ':') + 1;
    char name[300];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
    (void)snprintf(name, sizeof name, "%s", path);
    *strrchr(name, '/') = '\0';
    assert_int_equal(rmdir(name), 0);
}

static void create_memory(char *out, size_t size)
{
    (void)snprintf(out, size, "sqlite::memory:");
}

static void remove_nothing(const char *location)
{
    (void)location;
}

const struct store_kind sqlite_file_kind = {"sqlite file", create_file, remove_file};
const struct store_kind sqlite_memory_kind = {"sqlite memory", create_memory, remove_nothing};

/* ---- fixture ---- */

static const struct store_kind *kind_under_test = &sqlite_memory_kind;

void fixture_use(const struct store_kind *kind)
{
    kind_under_test = kind;
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    kind_under_test->create(f->location, sizeof f->location);
    struct store_error error = {STORE_OK, ""};
    f->store = store_open(f->location, &error);
    assert_string_equal(error.text, "");
    assert_non_null(f->store);
    f->organization = id_of(0xa0000001);
    f->project = id_of(0xb0000001);
    f->scope = (struct store_scope){.organization_id = f->organization, .project_id = f->project};
    f->now = 1767225600000000000u;
    struct store_write write = {.type = STORE_CREATE_PROJECT,
                                .create_project = {f->organization, f->project, SLICE("demo")}};
    must_write(f, &write);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    kind_under_test->remove(f->location);
    free(f);
    return 0;
}

struct uuid id_of(uint32_t number)
{
    struct uuid id = {{(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                       (uint8_t)number, 0, 0, 0x40, 0, 0x80}};
    return id;
}

struct link_key key_of(const struct fixture *f, uint32_t number, uint32_t attempt)
{
    return (struct link_key){f->organization, id_of(1), id_of(0x100 + number),
                             id_of(0x200 + number), attempt};
}

/* ---- writing ---- */

void must_write(struct fixture *f, struct store_write *write)
{
    write->at_unix_ns = f->now += 1000;
    enum store_status status = store_write_one(f->store, write);
    if (status != STORE_OK) {
        fail_msg("%s: %s", store_status_name(status), write->outcome.text);
    }
}

struct store_insert_result insert_result_of_trace(struct fixture *f, const struct link_key *key,
                                                  const char *trace_id)
{
    struct store_write write = {.type = STORE_INSERT_RESULT,
                                .insert_result = {.project_id = f->project,
                                                  .key = *key,
                                                  .status = RESULT_PASS,
                                                  .function_name = SLICE("probe"),
                                                  .output = SLICE("{\"a\":1}"),
                                                  .duration_ms = 12.5,
                                                  .trace_id = marline__slice_text(trace_id),
                                                  .span_count = 2}};
    write.insert_result.spare_id = id_of(0xd0000000 + (uint32_t)(f->now / 1000 & 0xffffff));
    must_write(f, &write);
    return write.insert_result;
}

struct store_insert_result insert_result(struct fixture *f, const struct link_key *key)
{
    return insert_result_of_trace(f, key, NULL);
}

struct store_span make_span(struct fixture *f, const struct link_key *key, uint8_t trace)
{
    struct store_span span = {.kind = 1,
                              .status = 1,
                              .start_unix_ns = f->now,
                              .end_unix_ns = f->now + 5000000,
                              .name = SLICE("function.probe"),
                              .environment = SLICE("development"),
                              .attributes = SLICE("{\"k\":\"v\"}"),
                              .events = SLICE("[]"),
                              .links = SLICE("[]"),
                              .resource = SLICE("{\"service.name\":\"t\"}")};
    uint32_t number = ++f->next_span;
    memset(span.trace_id, trace, sizeof span.trace_id);
    memcpy(span.span_id, &number, sizeof number);
    span.has_key = key != NULL;
    if (key) {
        span.key = *key;
    }
    return span;
}

struct store_insert_spans insert_spans(struct fixture *f, const struct link_key *key, uint8_t trace,
                                       size_t count)
{
    struct store_span spans[16];
    assert_true(count <= 16);
    for (size_t i = 0; i < count; i++) {
        spans[i] = make_span(f, key, trace);
    }
    struct store_write write = {
        .type = STORE_INSERT_SPANS,
        .insert_spans = {f->organization, f->project, SLICE("post-1"), spans, count, 0, 0}};
    must_write(f, &write);
    write.insert_spans.spans = NULL;
    return write.insert_spans;
}

struct store_link try_link(struct fixture *f, const struct link_key *key, enum link_point point)
{
    struct store_write write = {.type = STORE_LINK, .link = {.key = *key, .point = point}};
    must_write(f, &write);
    return write.link;
}

void record_invoked(struct fixture *f, const struct link_key *key)
{
    struct store_write write = {.type = STORE_RECORD_INVOKED,
                                .record_invoked = {*key, SLICE("invoke_1"), SLICE("agent-1")}};
    must_write(f, &write);
}

void create_run(struct fixture *f, uint32_t count)
{
    create_run_of(f, count, SLICE_EMPTY);
}

void create_run_of(struct fixture *f, uint32_t count, struct slice backend)
{
    struct store_run_test tests[8];
    assert_true(count <= 8);
    for (uint32_t i = 0; i < count; i++) {
        struct link_key key = key_of(f, i + 1, 1);
        tests[i] = (struct store_run_test){key.test,
                                           key.configuration,
                                           SLICE("probe"),
                                           SLICE("{\"n\":1}"),
                                           1000,
                                           i,
                                           i == 0 ? SLICE("the first") : SLICE_EMPTY,
                                           i == 0 ? SLICE("{}") : SLICE_EMPTY};
    }
    struct store_write write = {.type = STORE_CREATE_RUN,
                                .create_run = {.organization_id = f->organization,
                                               .project_id = f->project,
                                               .run_id = id_of(1),
                                               .environment = SLICE("development"),
                                               .concurrency = 2,
                                               .tests = tests,
                                               .test_count = count,
                                               .webhook = SLICE("http://127.0.0.1:9/done"),
                                               .backend = backend}};
    must_write(f, &write);
}

/* ---- reading ---- */

struct store_ledger read_ledger(struct fixture *f)
{
    struct store_ledger ledger;
    struct store_error error;
    assert_int_equal(store_read_ledger(f->store, &f->scope, &ledger, &error), STORE_OK);
    return ledger;
}

static void add_span(void *user, const struct store_span_row *row)
{
    struct span_list *list = user;
    assert_true(list->count < sizeof list->rows / sizeof list->rows[0]);
    list->rows[list->count++] = *row;
}

void read_spans(struct fixture *f, struct span_list *out)
{
    struct store_error error;
    struct uuid run = id_of(1);
    out->count = 0;
    assert_int_equal(store_read_run_spans(f->store, &f->scope, &run, add_span, out, &error),
                     STORE_OK);
}

static void add_key(void *user, const struct link_key *key, uint64_t span)
{
    struct key_list *list = user;
    assert_true(list->count < sizeof list->keys / sizeof list->keys[0]);
    list->spans[list->count] = span;
    list->keys[list->count++] = *key;
}

void read_waiting(struct fixture *f, size_t limit, struct key_list *out)
{
    struct store_error error;
    out->count = 0;
    assert_int_equal(store_waiting_keys(f->store, limit, add_key, out, &error), STORE_OK);
}
