/* Splits the URLs of the product: http, https, ws, wss; host or [IPv6]; port; path. No user info,
 * no query, no fragment. Pure. */
#ifndef MARLINE_IO_URL_H
#define MARLINE_IO_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { URL_HOST_SIZE = 256, URL_PATH_SIZE = 1024 };

struct url {
    bool secure;              /* https or wss */
    char host[URL_HOST_SIZE]; /* without the brackets of IPv6 */
    bool is_ipv6;
    uint16_t port;            /* 80 or 443 where the text has none */
    char path[URL_PATH_SIZE]; /* "" or "/…", trailing slashes removed */
};

/* False: `out_reason` (a fixed text) says what is wrong. */
bool marline__url_parse(struct slice text, struct url *out, const char **out_reason);

#endif
