/* Everything that the agent serves, handed to the client. Main thread. */
#ifndef AGENT_ENDPOINTS_H
#define AGENT_ENDPOINTS_H

#include <marline/client.h>

#include "agent/config.h"
#include "agent/connection.h"
#include "agent/exec_endpoint.h"
#include "agent/http_endpoint.h"
#include "programs/failure.h"

struct endpoints {
    struct exec_endpoint
        *exec; /* one each per endpoint of the configuration; one of them is used */
    struct http_endpoint *http;
    size_t count;
    size_t declared_count; /* of plugins */
};

/* Loads the plugins and prepares the rest. Borrows both until deinit. An agent with nothing to
 * serve is a failure. `previous` (may be NULL) is what was loaded before: its plugins are not
 * loaded again. */
bool endpoints_init(struct endpoints *e, const struct config *config, const struct config *previous,
                    const struct connection *connection, struct failure *f);
/* Takes those of the configuration back; plugins stay. */
void endpoints_remove(const struct config *config, marline_client *client);
bool endpoints_add(const struct endpoints *e, const struct config *config, marline_client *client,
                   struct failure *f);
/* After the client is gone. */
void endpoints_deinit(struct endpoints *e);

#endif
