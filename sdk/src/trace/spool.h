/* A bounded file of batches that could not be delivered (SQLite, WAL), kept in their order. It
 * survives kill -9; a batch that was stored is there until it is removed. It knows bytes and how
 * many spans they stand for, nothing else.
 *
 * Bounds: the bytes of all batches together; what does not fit is not stored, the older stay.
 *
 * Damage: every batch has a checksum, and the file is checked when it is opened. A damaged file is
 * renamed to PATH.damaged (one is kept, the newest), whatever can still be read is copied into a
 * new file, and what cannot is counted.
 *
 * Owner: one process, by PATH.lock. The file stays the parent's over a fork: a child has a file of
 * its own beside it, made with its first batch (spool_log.h). Whoever has PATH takes up what a
 * child left that is no more: on opening, and, after a fork, when it is asked to. Threads: any, one
 * at a time goes in; the lock is held over I/O, so that a fork never meets a write half done. The
 * counts can be read at any time. */
#ifndef MARLINE_TRACE_SPOOL_H
#define MARLINE_TRACE_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"
#include <marline/status.h>

#define SPOOL_BYTES_MAX_DEFAULT (64ull * 1024 * 1024)

struct spool;

struct spool_options {
    const char *path;
    uint64_t bytes_max; /* 0 = the default */
};

/* MARLINE_ESTATE: another process has it. MARLINE_EIO: it cannot be opened, or is no spool. */
marline_status marline__spool_open(const struct spool_options *options, struct spool **out,
                                   marline_error *error);
/* NULL is allowed. */
void marline__spool_close(struct spool *s);

/* False: full, or the disk is; then nothing was stored. */
bool marline__spool_put(struct spool *s, struct slice body, uint32_t spans);

struct spool_batch {
    int64_t id;
    uint32_t spans;
    bool is_own; /* stored by this process, since the file was opened */
    struct buffer body;
};

/* Reads the oldest batch; false when there is none. Its buffer is the caller's, and reused. */
bool marline__spool_oldest(struct spool *s, struct spool_batch *out);
/* Puts what is left of the batch that oldest() gave in its place. False: it stays as it is. */
bool marline__spool_replace(struct spool *s, struct spool_batch *batch, struct slice body,
                            uint32_t spans);
/* Takes up what children left that are gone. Their batches are not this process's own. */
void marline__spool_adopt(struct spool *s);
/* True: there were children, so adopt() may find something. Any thread. */
bool marline__spool_has_forked(const struct spool *s);
/* Removes the batch that oldest() gave. */
void marline__spool_remove(struct spool *s, const struct spool_batch *batch);

struct spool_counts {
    uint64_t batches; /* that wait */
    uint64_t spans;
    uint64_t own_spans; /* of these, stored by this process since the file was opened */
    uint64_t bytes;
    uint64_t set_aside;  /* files, since opening */
    uint64_t lost_spans; /* by damage, as far as they could be counted, since opening */
};

void marline__spool_count(const struct spool *s, struct spool_counts *out);

/* Around fork(): taken, given back; in the child it is empty, and goes on in a file of its own. */
void marline__spool_before_fork(struct spool *s);
void marline__spool_after_fork_in_parent(struct spool *s);
void marline__spool_after_fork_in_child(struct spool *s);

#endif
