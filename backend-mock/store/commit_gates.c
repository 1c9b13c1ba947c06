/* Gates in front of the commit queue: a mutex and a few lists. */
#include "store/commit_gates.h"

#include <pthread.h>

#include "core/alloc.h"

/* A write behind a gate, and where its outcome goes once it was let through. */
struct held {
    struct list node;
    struct commit *commit;
    struct commit_gates *gates;
    struct uuid organization;
    enum commit_step step;
    void (*done)(struct commit *commit, void *user);
    void *user;
};

struct organization_gates {
    bool is_used;
    struct uuid organization;
    struct commit_gate gate[STEP_COUNT];
    struct list waiting[STEP_COUNT];
};

struct commit_gates {
    pthread_mutex_t mutex;
    _Atomic size_t shut; /* gates of anybody; 0 spares the look-up */
    bool is_retired;     /* opened for good */
    struct organization_gates table[COMMIT_GATES_ORGANIZATIONS_MAX];
};

static const char *const step_names[STEP_COUNT] = {"result.store", "result.link", "spans.store",
                                                   "spans.link"};

const char *commit_step_name(enum commit_step step)
{
    return step_names[step];
}

bool commit_step_parse(struct slice name, enum commit_step *out)
{
    for (int i = 0; i < STEP_COUNT; i++) {
        if (marline__slice_is(name, step_names[i])) {
            *out = (enum commit_step)i;
            return true;
        }
    }
    return false;
}

struct commit_gates *commit_gates_create(void)
{
    struct commit_gates *gates = alloc_zeroed(sizeof *gates);
    (void)pthread_mutex_init(&gates->mutex, NULL);
    return gates;
}

void commit_gates_destroy(struct commit_gates *gates)
{
    if (gates) {
        (void)pthread_mutex_destroy(&gates->mutex);
        marline__memory_free(gates);
    }
}

/* With the mutex held. NULL: there is none, or no room for it. */
static struct organization_gates *find(struct commit_gates *gates, const struct uuid *organization,
                                       bool may_add)
{
    struct organization_gates *unused = NULL;
    for (size_t i = 0; i < COMMIT_GATES_ORGANIZATIONS_MAX; i++) {
        struct organization_gates *o = &gates->table[i];
        if (o->is_used && marline__uuid_equal(&o->organization, organization)) {
            return o;
        }
        unused = unused || o->is_used ? unused : o;
    }
    if (may_add && unused) {
        unused->is_used = true;
        unused->organization = *organization;
        for (int i = 0; i < STEP_COUNT; i++) {
            marline__list_init(&unused->waiting[i]);
        }
        return unused;
    }
    return NULL;
}

/* ---- writes ---- */

bool commit_step_of(const struct store_write *write, struct uuid *out_organization,
                    enum commit_step *out)
{
    switch (write->type) {
    case STORE_INSERT_RESULT:
        *out_organization = write->insert_result.key.organization;
        *out = STEP_RESULT_STORE;
        return true;
    case STORE_INSERT_SPANS:
        *out_organization = write->insert_spans.organization_id;
        *out = STEP_SPANS_STORE;
        return true;
    case STORE_LINK:
        *out_organization = write->link.key.organization;
        *out = write->link.point == LINK_POINT_RESULT ? STEP_RESULT_LINK : STEP_SPANS_LINK;
        return write->link.point != LINK_POINT_SWEEP;
    default:
        return false;
    }
}

bool commit_gates_hold(void *user, struct commit *commit)
{
    struct commit_gates *gates = user;
    struct uuid organization;
    enum commit_step step;
    if (gates->shut == 0 || !commit_step_of(&commit->write, &organization, &step)) {
        return false;
    }
    (void)pthread_mutex_lock(&gates->mutex);
    struct organization_gates *o = find(gates, &organization, false);
    bool is_held = o && o->gate[step].is_shut;
    if (is_held) {
        struct held *held = alloc_zeroed(sizeof *held);
        held->commit = commit;
        held->gates = gates;
        held->organization = organization;
        held->step = step;
        marline__list_push_back(&o->waiting[step], &held->node);
        o->gate[step].waiting++;
    }
    (void)pthread_mutex_unlock(&gates->mutex);
    return is_held;
}

/* On the queue's thread. */
static void on_committed(struct commit *commit, void *user)
{
    struct held *held = user;
    commit->done = held->done;
    commit->user = held->user;
    commit->done(commit, commit->user);
    struct commit_gates *gates = held->gates;
    (void)pthread_mutex_lock(&gates->mutex);
    struct organization_gates *o = find(gates, &held->organization, false);
    o->gate[held->step].committed++;
    (void)pthread_mutex_unlock(&gates->mutex);
    marline__memory_free(held);
}

/* Not with the mutex held: a full queue calls back at once. The time of the write is that of its
 * release, so that timelines show the order that was played. */
static void let_through(struct commit_queue *queue, struct held *held)
{
    struct commit *commit = held->commit;
    held->done = commit->done;
    held->user = commit->user;
    commit->done = on_committed;
    commit->user = held;
    commit->write.at_unix_ns = 0;
    if (!commit_queue_submit_released(queue, commit)) {
        commit->write.outcome = (struct store_error){STORE_BUSY, "too many writes wait"};
        on_committed(commit, held);
    }
}

static struct held *take(struct commit_gates *gates, const struct uuid *organization,
                         enum commit_step step)
{
    struct held *held = NULL;
    (void)pthread_mutex_lock(&gates->mutex);
    struct organization_gates *o = find(gates, organization, false);
    struct list *node = o ? marline__list_pop_front(&o->waiting[step]) : NULL;
    if (node) {
        o->gate[step].waiting--;
        held = LIST_ENTRY(node, struct held, node);
    }
    (void)pthread_mutex_unlock(&gates->mutex);
    return held;
}

/* ---- control ---- */

size_t commit_gates_release(struct commit_gates *gates, struct commit_queue *queue,
                            const struct uuid *organization, enum commit_step step, size_t count)
{
    size_t released = 0;
    for (struct held *held; released < count && (held = take(gates, organization, step));) {
        let_through(queue, held);
        released++;
    }
    return released;
}

bool commit_gates_set(struct commit_gates *gates, struct commit_queue *queue,
                      const struct uuid *organization, enum commit_step step, bool is_shut)
{
    (void)pthread_mutex_lock(&gates->mutex);
    struct organization_gates *o = find(gates, organization, is_shut && !gates->is_retired);
    bool is_possible = !is_shut || (o && !gates->is_retired);
    if (o && is_possible && o->gate[step].is_shut != is_shut) {
        o->gate[step].is_shut = is_shut;
        gates->shut += is_shut ? 1 : (size_t)-1;
    }
    (void)pthread_mutex_unlock(&gates->mutex);
    if (!is_shut) {
        (void)commit_gates_release(gates, queue, organization, step, SIZE_MAX);
    }
    return is_possible;
}

void commit_gates_open_all(struct commit_gates *gates, struct commit_queue *queue)
{
    for (size_t i = 0; i < COMMIT_GATES_ORGANIZATIONS_MAX; i++) {
        (void)pthread_mutex_lock(&gates->mutex);
        gates->is_retired = true;
        bool is_used = gates->table[i].is_used;
        struct uuid organization = gates->table[i].organization;
        (void)pthread_mutex_unlock(&gates->mutex);
        for (int step = 0; is_used && step < STEP_COUNT; step++) {
            (void)commit_gates_set(gates, queue, &organization, (enum commit_step)step, false);
        }
    }
}

void commit_gates_read(struct commit_gates *gates, const struct uuid *organization,
                       struct commit_gate out[STEP_COUNT])
{
    (void)pthread_mutex_lock(&gates->mutex);
    struct organization_gates *o = find(gates, organization, false);
    for (int i = 0; i < STEP_COUNT; i++) {
        out[i] = o ? o->gate[i] : (struct commit_gate){0};
    }
    (void)pthread_mutex_unlock(&gates->mutex);
}
