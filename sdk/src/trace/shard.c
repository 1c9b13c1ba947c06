/* Shards, their records and their lanes; see shard.h. */
#include "trace/shard.h"

#include <pthread.h>
#include <stddef.h>

#include "base/memory.h"
#include "trace/provider.h"

enum {
    FIRST_SLAB_RECORDS = 16,
    SLAB_RECORDS = 64, /* about 100 KB */
    /* What a span with a name and four attributes writes. */
    PREFETCHED_HEAD = offsetof(struct span_record, inline_attributes[4]),
    PREFETCHED_BYTES = 2 * CACHE_LINE,
};

struct slab {
    struct slab *next;
    uint32_t count;
    struct span_record records[];
};

/* All shards, for fork and for finding the records of a provider. */
static pthread_mutex_t global_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct shard *all_shards;
static struct shard *idle_shards;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static bool key_made;

/* initial-exec: one load instead of a call, and so small that it fits when the library is loaded
 * late. */
static _Thread_local struct shard *mine __attribute__((tls_model("initial-exec")));

static void give_back(void *user)
{
    struct shard *shard = user;
    mine = NULL;
    pthread_mutex_lock(&global_mutex);
    shard->next_idle = idle_shards;
    idle_shards = shard;
    pthread_mutex_unlock(&global_mutex);
}

void marline__shards_before_fork(void)
{
    pthread_mutex_lock(&global_mutex);
}

void marline__shards_after_fork_in_parent(void)
{
    pthread_mutex_unlock(&global_mutex);
}

/* The spans that ran or waited at the fork are the parent's to end and to export; here their
 * handles become inert, and every record is stock again. What they had spilled is lost to the
 * child. */
static void reset_record(struct span_record *r, struct shard *home)
{
    uint64_t generation = atomic_load_explicit(&r->generation, memory_order_relaxed);
    atomic_store_explicit(&r->generation, generation + (generation & 1), memory_order_relaxed);
    atomic_store_explicit(&r->lock, 0, memory_order_relaxed);
    atomic_store_explicit(&r->holders, 0, memory_order_relaxed);
    r->next[0] = home->free_records;
    home->free_records = r;
}

static void reset_shard(struct shard *shard)
{
    marline__ids_seed(&shard->ids);
    shard->free_records = NULL;
    atomic_store_explicit(&shard->returned, NULL, memory_order_relaxed);
    for (struct slab *slab = shard->slabs; slab; slab = slab->next) {
        for (uint32_t i = 0; i < slab->count; i++) {
            reset_record(&slab->records[i], shard);
        }
    }
    for (struct lane *lane = shard->lanes; lane; lane = lane->next_in_shard) {
        atomic_store_explicit(&lane->started, 0, memory_order_relaxed);
        atomic_store_explicit(&lane->unsampled, 0, memory_order_relaxed);
        atomic_store_explicit(&lane->ending, 0, memory_order_relaxed);
        for (unsigned i = 0; i < PROCESSORS_MAX; i++) {
            atomic_store_explicit(&lane->queues[i].newest, NULL, memory_order_relaxed);
            lane->queues[i].credits = 0;
        }
    }
    if (shard != mine) { /* the other threads do not exist in the child */
        shard->next_idle = idle_shards;
        idle_shards = shard;
    }
}

void marline__shards_after_fork_in_child(void)
{
    idle_shards = NULL;
    for (struct shard *shard = all_shards; shard; shard = shard->next_all) {
        reset_shard(shard);
    }
    pthread_mutex_unlock(&global_mutex);
}

static void make_key(void)
{
    key_made = pthread_key_create(&exit_key, give_back) == 0;
}

static struct shard *make_shard(void)
{
    /* Aligned by hand: the allocator need not know of cache lines, and nothing is ever freed. */
    char *block = marline__memory_zeroed(sizeof(struct shard) + CACHE_LINE);
    if (!block) {
        return NULL;
    }
    struct shard *shard = (struct shard *)(void *)(block + (-(uintptr_t)block & (CACHE_LINE - 1)));
    marline__ids_seed(&shard->ids);
    return shard;
}

static struct shard *adopt(void)
{
    pthread_once(&key_once, make_key);
    pthread_mutex_lock(&global_mutex);
    struct shard *shard = idle_shards;
    if (shard) {
        idle_shards = shard->next_idle;
    }
    pthread_mutex_unlock(&global_mutex);
    if (!shard) {
        shard = make_shard();
        if (!shard) {
            return NULL;
        }
        pthread_mutex_lock(&global_mutex);
        shard->next_all = all_shards;
        all_shards = shard;
        pthread_mutex_unlock(&global_mutex);
    }
    if (!key_made || pthread_setspecific(exit_key, shard) != 0) {
        give_back(shard);
        return NULL;
    }
    mine = shard;
    return shard;
}

static bool add_slab(struct shard *shard)
{
    uint32_t count = shard->slabs ? SLAB_RECORDS : FIRST_SLAB_RECORDS;
    size_t size = sizeof(struct slab) + count * sizeof(struct span_record);
    char *block = marline__memory_zeroed(size + CACHE_LINE);
    if (!block) {
        return false;
    }
    struct slab *slab = (struct slab *)(void *)(block + (-(uintptr_t)block & (CACHE_LINE - 1)));
    slab->count = count;
    for (uint32_t i = count; i-- > 0;) {
        slab->records[i].home = shard;
        slab->records[i].next[0] = shard->free_records;
        shard->free_records = &slab->records[i];
    }
    pthread_mutex_lock(&global_mutex);
    slab->next = shard->slabs;
    shard->slabs = slab;
    pthread_mutex_unlock(&global_mutex);
    return true;
}

/* Asks for the memory of the record that is next, to write it. The processor's thread had it last,
 * on another core maybe: waiting for that core, line by line, would double the time of a span.
 * Inlined by force: gcc drops calls of a function that does nothing but prefetch. */
__attribute__((always_inline)) static inline void prefetch(const struct span_record *r)
{
    const char *start = (const char *)r;
    for (size_t at = 0; at < PREFETCHED_HEAD; at += CACHE_LINE) {
        __builtin_prefetch(start + at, 1);
    }
    for (size_t at = 0; at < PREFETCHED_BYTES; at += CACHE_LINE) {
        __builtin_prefetch(r->inline_bytes + at, 1);
    }
}

struct span_record *marline__shard_take_record(struct shard *shard)
{
    if (!shard->free_records) {
        shard->free_records =
            atomic_exchange_explicit(&shard->returned, NULL, memory_order_acquire);
        if (!shard->free_records && !add_slab(shard)) {
            return NULL;
        }
    }
    struct span_record *r = shard->free_records;
    shard->free_records = r->next[0];
    if (shard->free_records) {
        prefetch(shard->free_records);
    }
    return r;
}

void marline__shard_return_record(struct span_record *r)
{
    marline__record_clear(r);
    struct shard *home = r->home;
    struct span_record *newest = atomic_load_explicit(&home->returned, memory_order_relaxed);
    do {
        r->next[0] = newest;
    } while (!atomic_compare_exchange_weak_explicit(&home->returned, &newest, r,
                                                    memory_order_release, memory_order_relaxed));
}

static struct lane *make_lane(struct shard *shard)
{
    for (struct lane *lane = shard->lanes; lane; lane = lane->next_in_shard) {
        if (atomic_load_explicit(&lane->provider_id, memory_order_acquire) == 0) {
            return lane;
        }
    }
    char *block = marline__memory_zeroed(sizeof(struct lane) + CACHE_LINE);
    if (!block) {
        return NULL;
    }
    struct lane *lane = (struct lane *)(void *)(block + (-(uintptr_t)block & (CACHE_LINE - 1)));
    lane->shard = shard;
    lane->next_in_shard = shard->lanes;
    shard->lanes = lane;
    return lane;
}

struct lane *marline__shard_my_lane(marline_provider *provider)
{
    struct shard *shard = mine ? mine : adopt();
    if (!shard) {
        return NULL;
    }
    for (struct lane *lane = shard->lanes; lane; lane = lane->next_in_shard) {
        if (atomic_load_explicit(&lane->provider_id, memory_order_relaxed) == provider->id) {
            return lane;
        }
    }
    struct lane *lane = make_lane(shard);
    if (lane) {
        marline__provider_adopt_lane(provider, lane);
    }
    return lane;
}

void marline__shard_each_record(void (*visit)(struct span_record *r, void *user), void *user)
{
    /* What is in the lists stays there, and both grow at the head: the mutex is for the heads. */
    pthread_mutex_lock(&global_mutex);
    struct shard *shards = all_shards;
    pthread_mutex_unlock(&global_mutex);
    for (struct shard *shard = shards; shard; shard = shard->next_all) {
        pthread_mutex_lock(&global_mutex);
        struct slab *slabs = shard->slabs;
        pthread_mutex_unlock(&global_mutex);
        for (struct slab *slab = slabs; slab; slab = slab->next) {
            for (uint32_t i = 0; i < slab->count; i++) {
                visit(&slab->records[i], user);
            }
        }
    }
}
