/* From the description of a run to a run under way: stored first, then started on the loop, then
 * told to whoever asked, who may ask for it at once. Embedded in what asks for it. */
#ifndef HTTP_RUN_LAUNCH_H
#define HTTP_RUN_LAUNCH_H

#include "http/server.h"
#include "hub/hub.h"

struct run_launch {
    struct server *server;
    struct store_create_run run; /* what it points to is borrowed until `release` */
    /* Exactly once, with the outcome of storing it; on any thread. To answer the request. */
    void (*stored)(struct run_launch *launch, const struct store_error *outcome);
    /* After that, exactly once, on any thread: may free everything. */
    void (*release)(struct run_launch *launch);
    struct commit commit; /* private, as the next */
    struct hub_job job;
};

/* The four members above are set. Any thread. */
void run_launch_begin(struct run_launch *launch);

#endif
