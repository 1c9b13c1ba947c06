/* What the WebSocket client is made with, as far as no connection is needed: options, and the
 * system's look-up of names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "io/websocket_client.h"

static void given_bad_options_when_create_then_reason(void **state)
{
    (void)state;
    const struct websocket_header evil = {"Authorization", "Bearer x\r\nX-Evil: 1"};
    const struct {
        struct websocket_options options;
        const char *part;
    } cases[] = {
        {{.url = "ftp://h"}, "does not start with"},
        {{.url = "ws://"}, "host is missing"},
        {{.url = "ws://h:0"}, "port"},
        {{.url = "ws://h:65536"}, "port"},
        {{.url = "ws://u@h"}, "character"},
        {{.url = "ws://127.0.0.1:1", .headers = &evil, .header_count = 1}, "header"},
    };
    const struct websocket_events events = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct websocket_client *ws = NULL;
        marline_error error;
        assert_int_equal(marline__websocket_create(&cases[i].options, &events, &ws, &error),
                         MARLINE_EINVAL);
        assert_null(ws);
        assert_non_null(strstr(error.text, cases[i].part));
    }
}

static void given_the_system_when_localhost_is_asked_for_then_numeric_addresses(void **state)
{
    (void)state;
    struct look_up_answer answer = {0};
    const struct name_source *system = marline__name_source_system();
    system->find(system->user, "localhost", &answer);
    assert_null(answer.error);
    assert_true(answer.count > 0);
    for (size_t i = 0; i < answer.count; i++) {
        assert_true(marline__address_is_numeric(answer.addresses[i]));
    }
    assert_false(marline__address_is_numeric("localhost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_bad_options_when_create_then_reason),
        cmocka_unit_test(given_the_system_when_localhost_is_asked_for_then_numeric_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
