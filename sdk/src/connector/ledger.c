/* A chained hash table and one list per state; see ledger.h. */
#include "connector/ledger.h"

#include <assert.h>

#include "base/clock.h"
#include "base/memory.h"

/* ---- jobs ---- */

struct session_job *marline__session_job_create(struct slice text)
{
    struct session_job *job = marline__memory_zeroed(sizeof *job);
    if (!job) {
        return NULL;
    }
    struct connector_message message;
    job->scratch = BUFFER_INIT;
    job->text = marline__memory_slice(text);
    if (!job->text || marline__message_decode((struct slice){job->text, text.size}, &job->scratch,
                                              &message, NULL) != DECODE_OK) {
        marline__session_job_free(job);
        return NULL;
    }
    job->is_metric = message.type == MESSAGE_EXECUTE_METRIC;
    if (job->is_metric) {
        job->test.invocation_id = message.execute_metric.metric_run_id;
        job->test.function_name = message.execute_metric.metric_name;
        job->test.inputs = message.execute_metric.inputs;
    } else {
        job->test = message.execute_test;
    }
    return job;
}

void marline__session_job_free(struct session_job *job)
{
    if (job) {
        marline__buffer_deinit(&job->scratch);
        marline__memory_free(job->text);
        marline__memory_free(job);
    }
}

/* ---- table ---- */

static size_t bucket_of(struct slice id, bool is_metric)
{
    uint64_t hash = 0xcbf29ce484222325ull + is_metric; /* FNV-1a */
    for (size_t i = 0; i < id.size; i++) {
        hash = (hash ^ (unsigned char)id.data[i]) * 0x100000001b3ull;
    }
    return (size_t)(hash % LEDGER_BUCKETS);
}

void marline__ledger_init(struct ledger *l)
{
    memset(l, 0, sizeof *l);
    for (int i = 0; i < LEDGER_STATES; i++) {
        marline__list_init(&l->states[i]);
    }
    marline__list_init(&l->busy);
    marline__list_init(&l->kept);
}

void marline__ledger_deinit(struct ledger *l)
{
    for (int i = 0; i < LEDGER_STATES; i++) {
        struct ledger_record *r;
        while ((r = marline__ledger_first(l, (enum ledger_state)i)) != NULL) {
            marline__ledger_drop(l, r);
        }
    }
}

struct ledger_record *marline__ledger_find(const struct ledger *l, struct slice id, bool is_metric)
{
    struct ledger_record *r = l->buckets[bucket_of(id, is_metric)];
    while (r && (r->is_metric != is_metric || !marline__slice_equal(id, r->id))) {
        r = r->chain;
    }
    return r;
}

uint32_t marline__ledger_unsettled(const struct ledger *l)
{
    return l->counts[LEDGER_WAITING] + l->counts[LEDGER_RUNNING] + l->counts[LEDGER_READY] +
           l->counts[LEDGER_WRITTEN];
}

struct ledger_record *marline__ledger_first(const struct ledger *l, enum ledger_state state)
{
    const struct list *head = &l->states[state];
    return head->next == head ? NULL : LIST_ENTRY(head->next, struct ledger_record, node);
}

struct ledger_record *marline__ledger_add(struct ledger *l, struct slice id, bool is_metric)
{
    if (marline__ledger_unsettled(l) >= LEDGER_UNSETTLED_MAX) {
        return NULL;
    }
    struct ledger_record *r = marline__memory_zeroed(sizeof *r);
    char *copy = marline__memory_slice(id);
    if (!r || !copy) {
        marline__memory_free(r);
        marline__memory_free(copy);
        return NULL;
    }
    r->id_text = copy;
    r->id = (struct slice){copy, id.size};
    r->is_metric = is_metric;
    r->state = LEDGER_WAITING;
    r->deadline_ns = TIME_NEVER;
    marline__list_init(&r->busy);
    marline__list_init(&r->kept);
    marline__list_push_back(&l->states[LEDGER_WAITING], &r->node);
    l->counts[LEDGER_WAITING]++;
    struct ledger_record **bucket = &l->buckets[bucket_of(id, is_metric)];
    r->chain = *bucket;
    *bucket = r;
    return r;
}

static void forget_result(struct ledger *l, struct ledger_record *r)
{
    size_t *bytes = r->state == LEDGER_SETTLED ? &l->settled_bytes : &l->unsettled_bytes;
    *bytes -= r->result_size;
    marline__memory_free(r->result);
    r->result = NULL;
    r->result_size = 0;
    marline__list_remove(&r->kept);
}

void marline__ledger_drop(struct ledger *l, struct ledger_record *r)
{
    struct ledger_record **link = &l->buckets[bucket_of(r->id, r->is_metric)];
    while (*link != r) {
        link = &(*link)->chain;
    }
    *link = r->chain;
    marline__list_remove(&r->node);
    l->counts[r->state]--;
    marline__ledger_set_busy(l, r, false);
    forget_result(l, r);
    marline__session_job_free(r->job);
    marline__memory_free(r->id_text);
    marline__memory_free(r);
}

/* Results go first, ids later. A record whose handler still runs stays. */
static void forget_old(struct ledger *l)
{
    struct list *settled = &l->states[LEDGER_SETTLED];
    while (l->settled_bytes > LEDGER_SETTLED_BYTES) {
        forget_result(l, LIST_ENTRY(l->kept.next, struct ledger_record, kept));
    }
    LIST_EACH(settled, old)
    {
        if (l->counts[LEDGER_SETTLED] <= LEDGER_SETTLED_MAX) {
            break;
        }
        struct ledger_record *r = LIST_ENTRY(old, struct ledger_record, node);
        if (marline__list_is_empty(&r->busy)) {
            marline__ledger_drop(l, r);
        }
    }
}

void marline__ledger_move(struct ledger *l, struct ledger_record *r, enum ledger_state state)
{
    if (r->state == LEDGER_SETTLED) { /* asked for again */
        l->settled_bytes -= r->result_size;
        l->unsettled_bytes += r->result_size;
        marline__list_remove(&r->kept);
    }
    marline__list_remove(&r->node);
    l->counts[r->state]--;
    r->state = state;
    marline__list_push_back(&l->states[state], &r->node);
    l->counts[state]++;
    if (state == LEDGER_SETTLED) {
        l->unsettled_bytes -= r->result_size;
        l->settled_bytes += r->result_size;
        if (r->result) {
            marline__list_push_back(&l->kept, &r->kept);
        }
        forget_old(l);
    }
}

bool marline__ledger_set_result(struct ledger *l, struct ledger_record *r, char *result,
                                size_t size)
{
    assert(!r->result);
    if (size > LEDGER_UNSETTLED_BYTES - l->unsettled_bytes) {
        marline__memory_free(result);
        return false;
    }
    l->unsettled_bytes += size;
    r->result = result;
    r->result_size = size;
    return true;
}

void marline__ledger_set_busy(struct ledger *l, struct ledger_record *r, bool busy)
{
    if (busy == !marline__list_is_empty(&r->busy)) {
        return;
    }
    if (busy) {
        marline__list_push_back(&l->busy, &r->busy);
        l->busy_count++;
    } else {
        marline__list_remove(&r->busy);
        l->busy_count--;
    }
}
