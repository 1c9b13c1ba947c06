/* Which server gets a connection: decided on its first bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/listener.h"

static enum listener_choice choose(const char *head)
{
    return listener_choose(head, strlen(head));
}

static const char upgrade[] = "GET /connector/ws HTTP/1.1\r\nHost: h\r\nUPGRADE:  WebSocket\r\n"
                              "Connection: Upgrade\r\n\r\n";

static void given_upgrade_when_cut_anywhere_then_websocket_only_when_whole(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(upgrade) - 1; n++) {
        assert_int_equal(listener_choose(upgrade, n), LISTENER_MORE);
    }
    assert_int_equal(choose(upgrade), LISTENER_WEBSOCKET);
}

static void given_upgrade_path_with_query_or_slash_then_websocket(void **state)
{
    (void)state;
    assert_int_equal(choose("GET /connector/ws?a=1 HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
                     LISTENER_WEBSOCKET);
    assert_int_equal(choose("GET /connector/ws/ HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
                     LISTENER_WEBSOCKET);
}

static void given_anything_else_then_http(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "P",
        "GET /c/",
        "POST /connector/ws HTTP/1.1\r\n",
        "GET /connector/wsx HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        "GET /connector/ws HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /connector/ws HTTP/1.1\r\nUpgrade: h2c\r\nX: websocket\r\n\r\n",
        "GET /connector/ws\r\n\r\n",
        "\x16\x03\x01",
        "\r\n",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        assert_int_equal(choose(heads[i]), LISTENER_HTTP);
    }
}

static void given_head_longer_than_the_peek_then_http(void **state)
{
    (void)state;
    static char head[LISTENER_PEEK_MAX];
    memset(head, 'x', sizeof(head));
    memcpy(head, upgrade, 40);
    assert_int_equal(listener_choose(head, sizeof(head) - 1), LISTENER_MORE);
    assert_int_equal(listener_choose(head, sizeof(head)), LISTENER_HTTP);
}

static void given_wrong_addresses_when_opened_then_the_error_names_the_form(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",        "8080",  ":8080",   "host:", "h:x",
                                        "h:99999", "1:2:3", "[::1:80", "h:-1",  "127.0.0.1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char error[LISTENER_ERROR_SIZE] = "";
        assert_null(listener_open(wrong[i], error));
        assert_non_null(strstr(error, "HOST:PORT"));
    }
}

static void given_taken_port_when_opened_then_the_error_says_so(void **state)
{
    (void)state;
    char error[LISTENER_ERROR_SIZE] = "";
    struct listener *first = listener_open("127.0.0.1:0", error);
    assert_non_null(first);
    assert_true(listener_is_loopback(first));
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", listener_port(first));
    assert_null(listener_open(address, error));
    assert_non_null(strstr(error, "in use"));
    listener_close(first);
}

static void given_foreign_address_when_opened_then_the_error_names_those_that_fit(void **state)
{
    (void)state;
    char error[LISTENER_ERROR_SIZE] = "";
    assert_null(listener_open("192.0.2.1:0", error)); /* RFC 5737: in documents only */
    assert_non_null(strstr(error, "192.0.2.1:0 is no address of this machine"));
    assert_non_null(strstr(error, "127.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_upgrade_when_cut_anywhere_then_websocket_only_when_whole),
        cmocka_unit_test(given_upgrade_path_with_query_or_slash_then_websocket),
        cmocka_unit_test(given_anything_else_then_http),
        cmocka_unit_test(given_head_longer_than_the_peek_then_http),
        cmocka_unit_test(given_wrong_addresses_when_opened_then_the_error_names_the_form),
        cmocka_unit_test(given_taken_port_when_opened_then_the_error_says_so),
        cmocka_unit_test(given_foreign_address_when_opened_then_the_error_names_those_that_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
