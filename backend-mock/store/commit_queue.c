/* Group commit: a list, a mutex, a writer thread. */
#include "store/commit_queue.h"

#include <pthread.h>

#include "core/alloc.h"

struct commit_queue {
    struct store *store;
    const struct clock *clock;
    bool (*hold)(void *user, struct commit *commit);
    void *hold_user;
    bool (*refuse)(void *user, struct store_write *write);
    void *refuse_user;
    size_t writes_max;
    size_t batch_max;
    pthread_t thread;
    struct commit **batch;       /* writer thread only */
    struct store_write **writes; /* writer thread only */
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        struct list waiting;
        bool stopping;
        struct commit_queue_counters counters;
    } shared;
};

/* Takes up to batch_max writes, waiting for the first. 0 = stopped and empty. */
static size_t take_batch(struct commit_queue *queue)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&queue->shared.mutex);
    while (marline__list_is_empty(&queue->shared.waiting) && !queue->shared.stopping) {
        (void)pthread_cond_wait(&queue->shared.changed, &queue->shared.mutex);
    }
    while (count < queue->batch_max) {
        struct list *node = marline__list_pop_front(&queue->shared.waiting);
        if (!node) {
            break;
        }
        queue->batch[count++] = LIST_ENTRY(node, struct commit, node);
    }
    queue->shared.counters.waiting -= count;
    (void)pthread_mutex_unlock(&queue->shared.mutex);
    return count;
}

static void count_batch(struct commit_queue *queue, size_t count, enum store_status status)
{
    (void)pthread_mutex_lock(&queue->shared.mutex);
    queue->shared.counters.writes += count;
    queue->shared.counters.transactions++;
    queue->shared.counters.failed_transactions += status != STORE_OK;
    (void)pthread_mutex_unlock(&queue->shared.mutex);
}

/* Those of the batch that are to be carried out; returns how many. */
static size_t choose_writes(struct commit_queue *queue, size_t count)
{
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++) {
        struct store_write *write = &queue->batch[i]->write;
        write->at_unix_ns =
            write->at_unix_ns ? write->at_unix_ns : marline__clock_wall_ns(queue->clock);
        if (!queue->refuse || !queue->refuse(queue->refuse_user, write)) {
            queue->writes[chosen++] = write;
        }
    }
    return chosen;
}

static void *writer_main(void *argument)
{
    struct commit_queue *queue = argument;
    for (size_t count = take_batch(queue); count > 0; count = take_batch(queue)) {
        struct store_error error;
        enum store_status status = STORE_OK;
        size_t chosen = choose_writes(queue, count);
        if (chosen > 0) {
            status = store_write_all(queue->store, queue->writes, chosen, &error);
        }
        count_batch(queue, count, status);
        for (size_t i = 0; i < count; i++) {
            queue->batch[i]->done(queue->batch[i], queue->batch[i]->user);
        }
    }
    return NULL;
}

static void free_queue(struct commit_queue *queue)
{
    (void)pthread_mutex_destroy(&queue->shared.mutex);
    (void)pthread_cond_destroy(&queue->shared.changed);
    marline__memory_free(queue->batch);
    marline__memory_free(queue->writes);
    marline__memory_free(queue);
}

struct commit_queue *commit_queue_create(struct store *store,
                                         const struct commit_queue_options *options)
{
    const struct commit_queue_options defaults = {0};
    const struct commit_queue_options *o = options ? options : &defaults;
    struct commit_queue *queue = alloc_zeroed(sizeof *queue);
    queue->store = store;
    queue->clock = o->clock ? o->clock : marline__clock_system();
    queue->hold = o->hold;
    queue->hold_user = o->hold_user;
    queue->refuse = o->refuse;
    queue->refuse_user = o->refuse_user;
    queue->writes_max = o->writes_max ? o->writes_max : COMMIT_QUEUE_WRITES_MAX;
    queue->batch_max = o->batch_max ? o->batch_max : COMMIT_QUEUE_BATCH_MAX;
    queue->batch = alloc_array(queue->batch_max, sizeof(struct commit *));
    queue->writes = alloc_array(queue->batch_max, sizeof(struct store_write *));
    marline__list_init(&queue->shared.waiting);
    (void)pthread_mutex_init(&queue->shared.mutex, NULL);
    (void)pthread_cond_init(&queue->shared.changed, NULL);
    if (pthread_create(&queue->thread, NULL, writer_main, queue) != 0) {
        free_queue(queue);
        return NULL;
    }
    return queue;
}

void commit_queue_destroy(struct commit_queue *queue)
{
    if (!queue) {
        return;
    }
    (void)pthread_mutex_lock(&queue->shared.mutex);
    queue->shared.stopping = true;
    (void)pthread_cond_signal(&queue->shared.changed);
    (void)pthread_mutex_unlock(&queue->shared.mutex);
    (void)pthread_join(queue->thread, NULL);
    free_queue(queue);
}

bool commit_queue_submit(struct commit_queue *queue, struct commit *commit)
{
    return (queue->hold && queue->hold(queue->hold_user, commit)) ||
           commit_queue_submit_released(queue, commit);
}

bool commit_queue_submit_released(struct commit_queue *queue, struct commit *commit)
{
    (void)pthread_mutex_lock(&queue->shared.mutex);
    bool accepted = !queue->shared.stopping && queue->shared.counters.waiting < queue->writes_max;
    if (accepted) {
        marline__list_push_back(&queue->shared.waiting, &commit->node);
        queue->shared.counters.waiting++;
        (void)pthread_cond_signal(&queue->shared.changed);
    } else {
        queue->shared.counters.refused++;
    }
    (void)pthread_mutex_unlock(&queue->shared.mutex);
    return accepted;
}

struct commit_queue_counters commit_queue_counters(struct commit_queue *queue)
{
    (void)pthread_mutex_lock(&queue->shared.mutex);
    struct commit_queue_counters counters = queue->shared.counters;
    (void)pthread_mutex_unlock(&queue->shared.mutex);
    return counters;
}
