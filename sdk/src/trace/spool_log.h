/* The spool of a forked child: batches one behind the other in a file of its own beside the
 * parent's, PATH.child-PID. Plain reads and writes, because a library's locks that another thread
 * of the parent held at the fork stay locked in the child, SQLite's among them.
 *
 * A batch that was put survives kill -9. When the file's process is gone, whoever has PATH takes up
 * what is left of it (spool.h).
 *
 *   file    mark (16 bytes), where the oldest batch starts (8), batches
 *   batch   spans (4), checksum (4), size (8), body; numbers little-endian
 *
 * What was removed leaves a hole, where the file system can do that: a file that is never quite
 * empty grows in length, but not on the disk.
 *
 * Owner: one process, by a lock on the file. Thread: one at a time. */
#ifndef MARLINE_TRACE_SPOOL_LOG_H
#define MARLINE_TRACE_SPOOL_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"

struct spool_log {
    int fd; /* -1 = not open */
    char *path;
    uint64_t head; /* where the oldest batch starts */
    uint64_t end;
    uint64_t given_back; /* up to here the disk has its room again */
};

#define SPOOL_LOG_CLOSED ((struct spool_log){.fd = -1})

/* Makes a new file for this process. False: it cannot be made; errno says why. */
bool marline__spool_log_create(struct spool_log *l, const char *spool_path);
/* Opens one that another process left. False: that one still has it, or it is none. */
bool marline__spool_log_open(struct spool_log *l, const char *path);
/* Removes the file when nothing is left in it. Any number of times. */
void marline__spool_log_close(struct spool_log *l);
/* In the child of a fork: the file stays its parent's. */
void marline__spool_log_forget(struct spool_log *l);

/* False: the disk is full; then nothing was stored. */
bool marline__spool_log_put(struct spool_log *l, struct slice body, uint32_t spans);

enum spool_log_read { SPOOL_LOG_BATCH, SPOOL_LOG_END, SPOOL_LOG_DAMAGED, SPOOL_LOG_NO_MEMORY };

/* The oldest batch; its body replaces what is in the buffer. */
enum spool_log_read marline__spool_log_oldest(struct spool_log *l, struct buffer *body,
                                              uint32_t *out_spans);
/* Removes the oldest batch, whose body has this size. */
void marline__spool_log_remove(struct spool_log *l, uint64_t size);
/* Renames the file to PATH.damaged, and closes it. */
void marline__spool_log_set_aside(struct spool_log *l);

/* Calls with each file beside the spool's that a child of its process may have left. */
void marline__spool_log_each(const char *spool_path, void (*found)(const char *path, void *user),
                             void *user);

#endif
