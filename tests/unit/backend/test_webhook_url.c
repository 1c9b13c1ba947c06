/* URLs of webhooks: which may be, and whose they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/webhook_url.h"

static void given_urls_when_checked_then_taken_or_refused_with_the_reason(void **state)
{
    static const struct {
        const char *url;
        const char *reason; /* NULL = it is taken */
    } cases[] = {
        {"http://h", NULL},
        {"https://h:8443/a//b/?token=x/y?z&u=a@b", NULL},
        {"HTTP://h?x=1", NULL},
        {"http://[::1]:80/", NULL},
        {"", "must be an http:// or https:// URL"},
        {"ftp://h/", "must be an http:// or https:// URL"},
        {"file:///etc/passwd", "must be an http:// or https:// URL"},
        {"http://", "must be an http:// or https:// URL with a host"},
        {"http://?x=1", "must be an http:// or https:// URL with a host"},
        {"http://h:0/", "must be an http:// or https:// URL with a host"},
        {"http://h/a b", "must be written in printable ASCII: other characters as %XX"},
        {"http://h/\xc3\xa4", "must be written in printable ASCII: other characters as %XX"},
        {"http://h/\r\nX: y", "must be written in printable ASCII: other characters as %XX"},
        {"http://h/#top", "must have no fragment (#…): it would not be sent"},
        {"http://user:word@h/", "must have no user before its host (user@host)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *reason = webhook_url_refuse(cases[i].url);
        if (!reason != !cases[i].reason || (reason && strcmp(reason, cases[i].reason) != 0)) {
            fail_msg("%s: %s", cases[i].url, reason ? reason : "taken");
        }
    }
}

static void given_too_long_url_when_checked_then_refused(void **state)
{
    char url[WEBHOOK_URL_MAX + 2] = "http://h/?";
    (void)state;
    memset(url + strlen(url), 'a', sizeof(url) - strlen(url) - 1);
    assert_string_equal(webhook_url_refuse(url), "is too long (up to 2048 bytes)");
    url[WEBHOOK_URL_MAX] = '\0';
    assert_null(webhook_url_refuse(url));
}

static void given_urls_when_receivers_are_compared_then_host_and_port_count(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool same;
    } cases[] = {
        {"http://h/a", "http://H:80/b?x=1", true}, {"https://h?k=1", "https://h:443/", true},
        {"http://h/", "https://h/", false},        {"http://h/", "http://g/", false},
        {"http://h:81/", "http://h/", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct webhook_receiver a = webhook_url_receiver(cases[i].a);
        struct webhook_receiver b = webhook_url_receiver(cases[i].b);
        assert_int_equal(webhook_receiver_equal(&a, &b), cases[i].same);
    }
    assert_string_equal(webhook_url_receiver("http://h/secret?key=secret").host, "h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_urls_when_checked_then_taken_or_refused_with_the_reason),
        cmocka_unit_test(given_too_long_url_when_checked_then_refused),
        cmocka_unit_test(given_urls_when_receivers_are_compared_then_host_and_port_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
