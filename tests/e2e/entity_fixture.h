/* For tests of the entity routes: one backend on one store for all tests of the program, and for
 * each test an organization of its own with two projects and keys, beside a foreign one. */
#ifndef TESTS_ENTITY_FIXTURE_H
#define TESTS_ENTITY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/backend_fixture.h"

struct session {
    char organization[64];
    char project[64];
    char key[80];
};

struct entities {
    struct backend_process *backend;
    struct session own;
    struct session sibling; /* another project of the organization */
    struct session unbound; /* a key for all its projects */
    struct session foreign; /* another organization */
};

/* Starts the backend on SQLite in memory, or on a private PostgreSQL when the program's argument is
 * "postgresql". Returns what main is to return: 77 when there is no PostgreSQL. */
int entity_tests_run(int argc, char **argv, const struct CMUnitTest *tests, size_t count);

#define ENTITY_TEST(name) cmocka_unit_test_setup_teardown(name, entity_setup, entity_teardown)
int entity_setup(void **state);
int entity_teardown(void **state);

/* A request with the key of the own project; `body` NULL = none. */
void entity_request(struct entities *e, const char *method, const char *path, const char *body,
                    struct backend_answer *out);
/* One request, its status and a part of its body. */
void entity_expect(struct entities *e, const char *method, const char *path, const char *body,
                   int status, const char *text);
/* Creates something by POST and copies the id of the answer. */
void entity_create(struct entities *e, const char *path, const char *body, char id[64]);
/* How often the mark is in the text. */
size_t entity_count(const char *text, const char *mark);

/* An agent of the own project that has registered "answer", whose answer is its "reply", and the
 * metric "brevity"; and the endpoint's id. */
void entity_connect_agent(struct entities *e, struct ws_peer *agent, struct buffer *text,
                          char endpoint[64]);

/* Minimal bodies. */
#define TEST_BODY                                                                                  \
    "{\"prompt\":{\"content\":\"hello\"},\"requirement\":\"R\",\"category\":\"C\","                \
    "\"topic\":\"T\",\"test_type\":\"Single-Turn\"}"
#define ENDPOINT_BODY "{\"name\":\"api\",\"connection_type\":\"REST\",\"url\":\"http://x\"}"
#define SET_BODY                                                                                   \
    "{\"name\":\"set\",\"test_set_type\":\"Single-Turn\",\"tests\":[" TEST_BODY "," TEST_BODY "]}"

#endif
