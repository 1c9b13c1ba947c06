/* See webhook_url.h. */
#include "hub/webhook_url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Scheme, host and port. The rest is the receiver's, so it is taken as it is. */
static bool parse(const char *url, struct url *out)
{
    const char *reason = NULL;
    const char *host = strstr(url, "://");
    size_t size = host ? (size_t)(host - url) + 3 : 0;
    size += strcspn(url + size, "/?#");
    return marline__url_parse((struct slice){url, size}, out, &reason);
}

static bool is_printable(const char *text)
{
    for (; *text; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

const char *webhook_url_refuse(const char *url)
{
    struct url parsed;
    if (strlen(url) > WEBHOOK_URL_MAX) {
        return "is too long (up to 2048 bytes)";
    }
    if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0) {
        return "must be an http:// or https:// URL";
    }
    if (!is_printable(url)) {
        return "must be written in printable ASCII: other characters as %XX";
    }
    if (strchr(url, '#')) {
        return "must have no fragment (#…): it would not be sent";
    }
    const char *host = strstr(url, "://") + 3;
    if (memchr(host, '@', strcspn(host, "/?"))) {
        return "must have no user before its host (user@host)";
    }
    return parse(url, &parsed) ? NULL : "must be an http:// or https:// URL with a host";
}

struct webhook_receiver webhook_url_receiver(const char *url)
{
    struct url parsed;
    struct webhook_receiver receiver = {.host = "an unknown host"};
    if (parse(url, &parsed)) {
        (void)snprintf(receiver.host, sizeof(receiver.host), "%s", parsed.host);
        receiver.port = parsed.port;
    }
    return receiver;
}

bool webhook_receiver_equal(const struct webhook_receiver *a, const struct webhook_receiver *b)
{
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}
