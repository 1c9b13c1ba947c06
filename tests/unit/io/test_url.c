/* URLs taken apart, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/url.h"

static void given_url_when_parse_then_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool secure;
        const char *host;
        uint16_t port;
        const char *path;
    } cases[] = {
        {"http://h", false, "h", 80, ""},
        {"https://h/", true, "h", 443, ""},
        {"ws://h:8080//", false, "h", 8080, ""},
        {"wss://h.example/x/y/", true, "h.example", 443, "/x/y"},
        {"HTTP://127.0.0.1:1", false, "127.0.0.1", 1, ""},
        {"ws://[::1]:9000/p", false, "::1", 9000, "/p"},
        {"wss://[fe80::1]", true, "fe80::1", 443, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct url url;
        const char *reason;
        assert_true(marline__url_parse(marline__slice_text(cases[i].text), &url, &reason));
        assert_int_equal(url.secure, cases[i].secure);
        assert_string_equal(url.host, cases[i].host);
        assert_int_equal(url.port, cases[i].port);
        assert_string_equal(url.path, cases[i].path);
    }
}

static void given_bad_url_when_parse_then_reason(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "h:80",
        "ftp://h",
        "http://",
        "http:///p",
        "http://:80",
        "http://h:",
        "http://h:x",
        "http://h:0",
        "http://h:65536",
        "http://h:1 ",
        "http://u@h",
        "ws://[::1",
        "ws://[::1]x",
        "http://h?q",
        "http://h#f",
        "http://h/\r\n",
        "http://h/\xc3\xa4",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct url url;
        const char *reason = NULL;
        assert_false(marline__url_parse(marline__slice_text(bad[i]), &url, &reason));
        assert_non_null(reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_url_when_parse_then_parts),
        cmocka_unit_test(given_bad_url_when_parse_then_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
