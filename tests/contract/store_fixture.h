/* A store of the kind under test in a state of its own, and short ways to write and ask. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store.h"

/* How one kind of store is made. */
struct store_kind {
    const char *name;
    /* A new, empty database; its location goes into `out`. */
    void (*create)(char *out, size_t size);
    void (*remove)(const char *location);
};
extern const struct store_kind sqlite_file_kind;
extern const struct store_kind sqlite_memory_kind;

struct fixture {
    struct store *store;
    char location[256];
    struct uuid organization;
    struct uuid project;
    struct store_scope scope;
    uint64_t now; /* wall clock, moved by hand: every write takes one microsecond */
    uint32_t next_span;
};

/* The kind that the tests from now on run on. */
void fixture_use(const struct store_kind *kind);
/* cmocka's setup and teardown: a fresh store each. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

struct uuid id_of(uint32_t number); /* a recognisable UUID */
/* Test `number` of run 1, configuration = test. */
struct link_key key_of(const struct fixture *f, uint32_t number, uint32_t attempt);

/* Carries out a write that must succeed. */
void must_write(struct fixture *f, struct store_write *write);
struct store_insert_result insert_result(struct fixture *f, const struct link_key *key);
struct store_insert_result insert_result_of_trace(struct fixture *f, const struct link_key *key,
                                                  const char *trace_id);
/* One POST of `count` spans of the trace whose id is 16 times `trace`; key NULL = no context. */
struct store_insert_spans insert_spans(struct fixture *f, const struct link_key *key, uint8_t trace,
                                       size_t count);
struct store_link try_link(struct fixture *f, const struct link_key *key, enum link_point point);
void record_invoked(struct fixture *f, const struct link_key *key);
void create_run(struct fixture *f, uint32_t tests); /* run 1 with tests 1 … */
void create_run_of(struct fixture *f, uint32_t tests, struct slice backend);
struct store_ledger read_ledger(struct fixture *f);

/* A span of its own identity; spans of one call share nothing but what is set here. */
struct store_span make_span(struct fixture *f, const struct link_key *key, uint8_t trace);

/* All spans of run 1 as read back; at most 64. */
struct span_list {
    struct store_span_row rows[64];
    size_t count;
};
void read_spans(struct fixture *f, struct span_list *out);

struct key_list {
    struct link_key keys[64];
    uint64_t spans[64]; /* the first that waits, of each */
    size_t count;
};
void read_waiting(struct fixture *f, size_t limit, struct key_list *out);

#define assert_uuid_equal(a, b) assert_memory_equal((a).bytes, (b).bytes, 16)

#endif
