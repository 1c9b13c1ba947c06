/* The URL of a webhook: what may be one, and who its receiver is. Pure. */
#ifndef HUB_WEBHOOK_URL_H
#define HUB_WEBHOOK_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "io/url.h"

enum { WEBHOOK_URL_MAX = 2048 }; /* bytes */

/* Why a text cannot be the URL of a webhook, to be put after a name for it; NULL = it can. Path and
 * query are free; a user or a fragment there must not be. */
const char *webhook_url_refuse(const char *url);

/* Two webhooks of one receiver wait for each other. */
struct webhook_receiver {
    char host[URL_HOST_SIZE]; /* all that may be logged: path and query are secrets with many */
    uint16_t port;
};
/* Of a URL that is not refused. */
struct webhook_receiver webhook_url_receiver(const char *url);
bool webhook_receiver_equal(const struct webhook_receiver *a, const struct webhook_receiver *b);

#endif
