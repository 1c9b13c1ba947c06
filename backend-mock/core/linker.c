/* When a link is tried. The states of an attempt are the lists it is in. */
#include "core/linker.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "core/alloc.h"
#include "core/rules.h"

enum { BUCKETS = 256 }; /* a thousand attempts at once is a busy backend */

struct attempt_record {
    struct list node;   /* in wanted, or in waiting */
    struct list bucket; /* by key, as long as it lives */
    struct linker_action action;
    uint32_t tries;
    uint64_t due_ns; /* while waiting */
};

struct linker {
    struct linker_options options;
    struct linker_rules rules;
    struct list wanted;
    struct list under_way;
    struct list waiting;
    struct list buckets[BUCKETS];
    size_t attempts;
    uint64_t next_id;
    struct {
        bool wanted;
        bool under_way;
        uint64_t due_ns;
        struct link_sighting *seen; /* owned, sorted: what the last sweep found */
        size_t seen_count;
    } sweep;
    struct linker_counters counters;
};

struct linker_options linker_options_default(void)
{
    return (struct linker_options){
        .policy = {.points = {true, true, true}},
        .sweep_interval_ms = 1000,
        .retry_min_ms = 100,
        .retry_max_ms = 10000,
        .tries_max = 8,
        .attempts_max = 65536,
    };
}

struct linker *linker_create(const struct linker_options *options)
{
    struct linker *linker = alloc_zeroed(sizeof *linker);
    linker->options = *options;
    linker->rules = LINKER_RULES_KEPT;
    marline__list_init(&linker->wanted);
    marline__list_init(&linker->under_way);
    marline__list_init(&linker->waiting);
    for (size_t i = 0; i < BUCKETS; i++) {
        marline__list_init(&linker->buckets[i]);
    }
    return linker;
}

static void forget(struct linker *linker, struct attempt_record *attempt)
{
    marline__list_remove(&attempt->node);
    marline__list_remove(&attempt->bucket);
    marline__memory_free(attempt);
    linker->attempts--;
}

static void forget_all(struct linker *linker, struct list *list)
{
    LIST_EACH(list, node)
    {
        forget(linker, LIST_ENTRY(node, struct attempt_record, node));
    }
}

void linker_destroy(struct linker *linker)
{
    if (!linker) {
        return;
    }
    forget_all(linker, &linker->wanted);
    forget_all(linker, &linker->under_way);
    forget_all(linker, &linker->waiting);
    marline__memory_free(linker->sweep.seen);
    marline__memory_free(linker);
}

void linker_set_rules(struct linker *linker, const struct linker_rules *rules)
{
    linker->rules = *rules;
}

void linker_set_policy(struct linker *linker, const struct linker_policy *policy)
{
    linker->options.policy = *policy;
}

struct linker_policy linker_get_policy(const struct linker *linker)
{
    return linker->options.policy;
}

/* ---- events ---- */

static struct list *bucket_of(struct linker *linker, const struct link_key *key)
{
    return &linker->buckets[link_key_hash(key) % BUCKETS];
}

static void want(struct linker *linker, const struct link_key *key, enum link_point point)
{
    if (linker->attempts >= linker->options.attempts_max) {
        linker->counters.given_up++;
        return;
    }
    struct attempt_record *attempt = alloc_zeroed(sizeof *attempt);
    attempt->action = (struct linker_action){LINKER_TRY, ++linker->next_id, *key, point};
    marline__list_push_back(&linker->wanted, &attempt->node);
    marline__list_push_back(bucket_of(linker, key), &attempt->bucket);
    linker->attempts++;
}

void linker_on_result_committed(struct linker *linker, const struct link_key *key)
{
    if (linker->options.policy.points[LINK_POINT_RESULT]) {
        want(linker, key, LINK_POINT_RESULT);
    }
}

void linker_on_spans_committed(struct linker *linker, const struct link_key *keys, size_t count)
{
    if (!linker->options.policy.points[LINK_POINT_INGEST] || count == 0) {
        return;
    }
    struct link_key *unique = alloc_array(count, sizeof *unique);
    memcpy(unique, keys, count * sizeof *unique);
    count = linker->rules.every_key ? link_keys_unique(unique, count) : 1;
    for (size_t i = 0; i < count; i++) {
        want(linker, &unique[i], LINK_POINT_INGEST);
    }
    marline__memory_free(unique);
}

/* ---- outcomes ---- */

static struct attempt_record *find(struct linker *linker, const struct linker_action *action)
{
    LIST_EACH(bucket_of(linker, &action->key), node)
    {
        struct attempt_record *attempt = LIST_ENTRY(node, struct attempt_record, bucket);
        if (attempt->action.id == action->id) {
            return attempt;
        }
    }
    return NULL;
}

static uint64_t retry_delay_ns(const struct linker_options *options, uint32_t tries)
{
    uint64_t delay_ms = options->retry_min_ms;
    for (uint32_t i = 1; i < tries && delay_ms < options->retry_max_ms; i++) {
        delay_ms *= 2;
    }
    delay_ms = delay_ms < options->retry_max_ms ? delay_ms : options->retry_max_ms;
    return delay_ms * NS_PER_MS;
}

void linker_attempt_done(struct linker *linker, uint64_t now_ns, const struct linker_action *action,
                         bool ok)
{
    struct attempt_record *attempt = find(linker, action);
    if (!attempt) {
        return;
    }
    if (ok) {
        forget(linker, attempt);
        return;
    }
    linker->counters.failures++;
    if (attempt->tries >= linker->options.tries_max) {
        linker->counters.given_up++;
        forget(linker, attempt);
        return;
    }
    attempt->due_ns = now_ns + retry_delay_ns(&linker->options, attempt->tries);
    marline__list_remove(&attempt->node);
    marline__list_push_back(&linker->waiting, &attempt->node);
}

/* ---- sweeping ---- */

static bool has_attempt(struct linker *linker, const struct link_key *key)
{
    LIST_EACH(bucket_of(linker, key), node)
    {
        if (link_key_equal(&LIST_ENTRY(node, struct attempt_record, bucket)->action.key, key)) {
            return true;
        }
    }
    return false;
}

static int compare_sightings(const void *a, const void *b)
{
    const struct link_sighting *x = a;
    const struct link_sighting *y = b;
    int order = link_key_compare(&x->key, &y->key);
    return order ? order : (x->span > y->span) - (x->span < y->span);
}

static bool was_seen(const struct linker *linker, const struct link_sighting *sighting)
{
    return linker->sweep.seen_count > 0 &&
           bsearch(sighting, linker->sweep.seen, linker->sweep.seen_count, sizeof *sighting,
                   compare_sightings);
}

void linker_sweep_done(struct linker *linker, uint64_t now_ns, const struct link_sighting *found,
                       size_t count, bool ok)
{
    linker->sweep.under_way = false;
    linker->sweep.due_ns = now_ns + linker->options.sweep_interval_ms * NS_PER_MS;
    if (!ok || !linker->options.policy.points[LINK_POINT_SWEEP]) {
        return; /* what was seen before stands: the next sweep compares with it */
    }
    struct link_sighting *seen = alloc_array(count, sizeof *seen);
    if (count > 0) {
        memcpy(seen, found, count * sizeof *seen);
        for (size_t i = 0; i < count && !linker->rules.same_span; i++) {
            seen[i].span = 0;
        }
        qsort(seen, count, sizeof *seen, compare_sightings);
    }
    for (size_t i = 0; i < count; i++) {
        if (was_seen(linker, &seen[i]) && !has_attempt(linker, &seen[i].key)) {
            want(linker, &seen[i].key, LINK_POINT_SWEEP);
        }
    }
    marline__memory_free(linker->sweep.seen);
    linker->sweep.seen = seen;
    linker->sweep.seen_count = count;
}

/* ---- time ---- */

static bool sweep_is_idle(const struct linker *linker)
{
    return linker->options.policy.points[LINK_POINT_SWEEP] && !linker->sweep.under_way &&
           !linker->sweep.wanted;
}

void linker_on_tick(struct linker *linker, uint64_t now_ns)
{
    LIST_EACH(&linker->waiting, node)
    {
        if (LIST_ENTRY(node, struct attempt_record, node)->due_ns <= now_ns) {
            marline__list_remove(node);
            marline__list_push_back(&linker->wanted, node);
        }
    }
    linker->sweep.wanted =
        linker->sweep.wanted || (sweep_is_idle(linker) && linker->sweep.due_ns <= now_ns);
}

uint64_t linker_next_deadline(const struct linker *linker)
{
    uint64_t deadline = sweep_is_idle(linker) ? linker->sweep.due_ns : TIME_NEVER;
    LIST_EACH(&linker->waiting, node)
    {
        uint64_t due = LIST_ENTRY(node, struct attempt_record, node)->due_ns;
        deadline = due < deadline ? due : deadline;
    }
    return deadline;
}

bool linker_next_action(struct linker *linker, struct linker_action *out)
{
    struct list *node = marline__list_pop_front(&linker->wanted);
    if (node) {
        struct attempt_record *attempt = LIST_ENTRY(node, struct attempt_record, node);
        marline__list_push_back(&linker->under_way, node);
        attempt->tries++;
        linker->counters.tries++;
        *out = attempt->action;
        return true;
    }
    if (linker->sweep.wanted) {
        linker->sweep.wanted = false;
        linker->sweep.under_way = true;
        linker->counters.sweeps++;
        *out = (struct linker_action){.type = LINKER_SWEEP};
        return true;
    }
    return false;
}

struct linker_counters linker_counters(const struct linker *linker)
{
    return linker->counters;
}
