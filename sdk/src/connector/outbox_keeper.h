/* The helper thread of an outbox. It moves the write-ahead log into the database when that has
 * grown, because that waits for the disk; and it hears when another process asks for something,
 * which that one tells by touching the lock file. It sleeps until one of the two happens. */
#ifndef MARLINE_CONNECTOR_OUTBOX_KEEPER_H
#define MARLINE_CONNECTOR_OUTBOX_KEEPER_H

#include <stdbool.h>

struct outbox_keeper;

/* `path` is the outbox's. on_touched (may be NULL) comes on the keeper's thread. NULL: no memory or
 * no thread. Where the kernel cannot watch the file, on_touched never comes, which is logged. */
struct outbox_keeper *marline__outbox_keeper_start(const char *path, void (*on_touched)(void *user),
                                                   void *user);
/* NULL is allowed. No call of on_touched follows. */
void marline__outbox_keeper_stop(struct outbox_keeper *k);
/* The log has so many pages after a commit. NULL is allowed. */
void marline__outbox_keeper_log_size(struct outbox_keeper *k, int pages);

/* For the other process: wakes the keeper of this outbox. False: there is none, or its lock file
 * may not be touched. Takes no lock, so it cannot be in the way of one that starts. */
bool marline__outbox_keeper_touch(const char *path);

#endif
