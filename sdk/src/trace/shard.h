/* What one thread needs to make spans without sharing a cache line: an id generator, a stock of
 * records, and for each provider a lane with counters and the ends of its queues.
 *
 * A thread takes a shard at its first span and gives it back when it exits; the next new thread
 * goes on with it. Shards, lanes and records are never freed: there are as many as threads and
 * spans were alive at once, and handles of ended spans may still point at records.
 *
 * Fields marked owner are for the thread that has the shard; all others say who uses them. */
#ifndef MARLINE_TRACE_SHARD_H
#define MARLINE_TRACE_SHARD_H

#include <stdatomic.h>
#include <stdint.h>

#include "trace/ids.h"
#include "trace/span_record.h"

enum { CACHE_LINE = 64 };

/* One shard's part of one processor's queue: a stack that the owner of the shard pushes to, newest
 * first, and the processor takes whole. `credits` are places in the queue that this lane has
 * reserved and not used yet. */
struct lane_queue {
    _Alignas(CACHE_LINE) _Atomic(struct span_record *) newest;
    uint32_t credits; /* owner */
};

struct lane {
    atomic_uint_fast64_t provider_id; /* 0 = free, for the owner to use for another provider */
    struct shard *shard;              /* constant */
    struct lane *next_in_shard;       /* owner */
    struct lane *next_in_provider;    /* the provider's mutex */
    /* written by the owner, read by all */
    atomic_uint_fast64_t started;
    atomic_uint_fast64_t unsampled;
    atomic_uint ending; /* calls of end that still use the provider's processors */
    /* owner: the wall clock is read anew when the last reading is older than ANCHOR_NS */
    uint64_t anchor_monotonic_ns;
    uint64_t anchor_wall_ns;
    struct lane_queue queues[PROCESSORS_MAX];
};

struct shard {
    /* owner */
    struct id_source ids;
    struct span_record *free_records;
    struct lane *lanes;
    /* global mutex */
    struct shard *next_idle;
    struct shard *next_all;
    struct slab *slabs;
    /* any thread: records that came back */
    _Alignas(CACHE_LINE) _Atomic(struct span_record *) returned;
};

/* The lane of a provider in the calling thread's shard; made, and handed to
 * marline__provider_adopt_lane, at first use. NULL when out of memory. */
struct lane *marline__shard_my_lane(marline_provider *provider);

/* A record with an odd generation that nobody else knows, or NULL when out of memory. Owner. */
struct span_record *marline__shard_take_record(struct shard *shard);
/* Gives an ended record back to its home. Any thread. */
void marline__shard_return_record(struct span_record *r);

/* Calls the function for every record there is; no lock is held meanwhile. Any thread. */
void marline__shard_each_record(void (*visit)(struct span_record *r, void *user), void *user);

/* Around fork(), called by the provider's handlers. In the child every span that ran or waited is
 * gone, the ids start anew, and the shards of threads that do not exist there are idle. */
void marline__shards_before_fork(void);
void marline__shards_after_fork_in_parent(void);
void marline__shards_after_fork_in_child(void);

#endif
