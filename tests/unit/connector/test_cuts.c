/* The connection cut at every step of an invocation, in seeded order, with an outbox and a backend
 * that acknowledges: each invocation is executed exactly once, and ends in exactly one result. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../support/frame_server.h"
#include "base/random.h"
#include <marline/marline.h>

enum { ROUNDS = 7, LONG_MS = 10000 };

/* Where the first connection of a run ends. */
enum step {
    CUT_BEFORE_UPGRADE,
    CUT_AFTER_UPGRADE,
    CUT_AFTER_CONNECTED,
    CUT_AFTER_REGISTER,
    CUT_AFTER_REGISTERED,
    CUT_IN_INVOCATION, /* half of its frame */
    CUT_AFTER_INVOCATION,
    CUT_AFTER_RESULT, /* read, not acknowledged */
    CUT_NEVER,
    STEPS,
};

struct rig {
    struct frame_server server;
    struct buffer text;
    char folder[64];
    char outbox[96];
    marline_client *client;
    bool connected; /* the client has an open connection to the server */
    atomic_int calls;
};

static marline_status count(marline_call *call, void *user)
{
    atomic_fetch_add((atomic_int *)user, 1);
    return marline_output_text(call, marline_call_invocation_id(call));
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    frame_server_start(&rig->server);
    (void)snprintf(rig->folder, sizeof rig->folder, "cuts-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->outbox, sizeof rig->outbox, "%s/outbox.db", rig->folder);
    marline_client_options options = MARLINE_CLIENT_OPTIONS_INIT;
    options.base_url = rig->server.url;
    options.api_key = "rh-key";
    options.project_id = "11111111-1111-4111-8111-111111111111";
    options.outbox_path = rig->outbox;
    options.reconnect_first_ms = 1;
    options.reconnect_max_ms = 1;
    const marline_endpoint endpoint = {
        .size = sizeof endpoint, .name = "count", .handler = count, .user = &rig->calls};
    assert_int_equal(marline_client_create(&options, &rig->client, NULL), MARLINE_OK);
    assert_int_equal(marline_client_add_endpoint(rig->client, &endpoint, NULL), MARLINE_OK);
    assert_int_equal(marline_client_start(rig->client, NULL), MARLINE_OK);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    frame_server_stop(&rig->server);
    marline_client_destroy(rig->client);
    for (size_t i = 0; i < 4; i++) {
        char file[128];
        (void)snprintf(file, sizeof file, "%s%s", rig->outbox, suffixes[i]);
        (void)unlink(file);
    }
    assert_int_equal(rmdir(rig->folder), 0);
    marline__buffer_deinit(&rig->text);
    free(rig);
    return 0;
}

static const char *read_text(struct rig *rig)
{
    return frame_server_read_text(&rig->server, &rig->text);
}

static void cut(struct rig *rig)
{
    frame_server_drop(&rig->server);
    rig->connected = false;
}

static size_t format_invocation(char *out, size_t size, int run)
{
    return (size_t)snprintf(out, size,
                            "{\"type\":\"execute_test\",\"test_run_id\":\"run_%d\","
                            "\"function_name\":\"count\",\"inputs\":{}}",
                            run);
}

static void invoke(struct rig *rig, int run)
{
    char text[256];
    (void)format_invocation(text, sizeof text, run);
    frame_server_send_text(&rig->server, text);
}

static void invoke_half(struct rig *rig, int run)
{
    char text[256];
    size_t size = format_invocation(text, sizeof text, run);
    assert_in_range(size, 1, 125);
    const unsigned char head[] = {0x81, (unsigned char)size};
    frame_server_send_bytes(&rig->server, head, sizeof head);
    frame_server_send_bytes(&rig->server, text, size / 2);
}

static void expect_result(struct rig *rig, int run)
{
    char start[128];
    int size = snprintf(start, sizeof start,
                        "{\"type\":\"test_result\",\"test_run_id\":\"run_%d\","
                        "\"status\":\"success\",\"output\":{\"output\":\"run_%d\"}",
                        run, run);
    const char *text = read_text(rig);
    if (strncmp(text, start, (size_t)size) != 0) {
        fail_msg("instead of the result of run %d: %s", run, text);
    }
}

/* Serves a connection up to the step, and cuts it there. False: it is still open. */
static bool serve_until(struct rig *rig, enum step step, int run)
{
    static const char connected[] = "{\"type\":\"connected\",\"status\":\"success\","
                                    "\"capabilities\":[\"result_ack\",\"in_flight\",\"limits\"]}";
    if (!rig->connected) {
        if (step == CUT_BEFORE_UPGRADE) {
            frame_server_accept(&rig->server);
            return true;
        }
        frame_server_accept_open(&rig->server);
        if (step == CUT_AFTER_UPGRADE) {
            return true;
        }
        frame_server_send_text(&rig->server, connected);
        if (step == CUT_AFTER_CONNECTED) {
            return true;
        }
        /* One that waited in vain for what was just said registers twice, at first without them. */
        while (!strstr(read_text(rig), "\"capabilities\"")) {
        }
        if (step == CUT_AFTER_REGISTER) {
            return true;
        }
        frame_server_send_text(&rig->server, "{\"type\":\"registered\",\"status\":\"success\"}");
        rig->connected = true;
    }
    if (step <= CUT_AFTER_REGISTERED) {
        return true;
    }
    if (step == CUT_IN_INVOCATION) {
        invoke_half(rig, run);
        return true;
    }
    invoke(rig, run);
    if (step == CUT_AFTER_INVOCATION) {
        return true;
    }
    expect_result(rig, run);
    return step == CUT_AFTER_RESULT;
}

static void acknowledge(struct rig *rig, int run)
{
    char text[128];
    (void)snprintf(text, sizeof text, "{\"type\":\"result_ack\",\"test_run_id\":\"run_%d\"}", run);
    frame_server_send_text(&rig->server, text);
    /* The pong comes after all that the client had to say: so nothing was said twice. */
    frame_server_send_text(&rig->server, "{\"type\":\"ping\"}");
    assert_string_equal(read_text(rig), "{\"type\":\"pong\"}");
}

static void play(struct rig *rig, enum step step, int run)
{
    if (serve_until(rig, step, run)) {
        cut(rig);
        (void)serve_until(rig, CUT_NEVER, run); /* the backend asks again */
    }
    acknowledge(rig, run);
}

static void given_cuts_at_every_step_then_each_executed_once_with_one_result(void **state)
{
    struct rig *rig = *state;
    struct random_seeded generator;
    uint64_t seed = marline__random_u64(marline__random_system());
    const struct random_source random = marline__random_seeded(&generator, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    int run = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int step = 0; step < STEPS; step++, run++) {
            bool shuffled = round > 0; /* the first round has each step once, in order */
            play(rig, shuffled ? (enum step)marline__random_below(&random, STEPS) : (enum step)step,
                 run);
            assert_int_equal(atomic_load(&rig->calls), run + 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            given_cuts_at_every_step_then_each_executed_once_with_one_result, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
