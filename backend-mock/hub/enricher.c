/* See enricher.h. */
#include "hub/enricher.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/alloc.h"
#include "core/enrichment.h"
#include "hub/self_trace.h"

enum {
    TRACES_PER_ROUND = 64,
    SPANS_PER_INDEX_WRITE = 500, /* a POST that comes meanwhile waits for it: some 10 ms */
    LOOK_EVERY_S = 5,
    /* While others write, a round is followed by a rest of so many times its length: writer and
     * processors belong to those who wait for an answer. */
    RESTS_PER_ROUND = 4,
    REST_MAX_MS = 2000,
};

struct enricher {
    struct store *store;
    struct commit_queue *queue;
    struct price_table *prices;
    marline_tracer *tracer;
    pthread_t thread;
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool wanted;
        bool working;
        marline_span causes[SELF_TRACE_CAUSES_MAX]; /* of the wake-ups since the last round */
        size_t cause_count;
        bool stopping;
        uint64_t enriched;
    } shared;
};

/* ---- one trace ---- */

/* Copies of what the computation needs: rows are valid during their visit only. */
struct collection {
    struct enrichment_span *spans;
    size_t count;
    size_t capacity;
    struct buffer texts; /* name, message, attributes, one after the other */
    size_t *sizes;       /* three per span; SIZE_MAX = no message */
};

static void add_text(struct collection *c, size_t index, struct slice text)
{
    c->sizes[index] = text.data ? text.size : SIZE_MAX;
    marline__buffer_append_slice(&c->texts, text);
}

static void collect_span(void *user, const struct store_span_detail *row)
{
    struct collection *c = user;
    if (c->count == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 32;
        c->spans = alloc_resize(c->spans, c->capacity * sizeof(*c->spans));
        c->sizes = alloc_resize(c->sizes, c->capacity * 3 * sizeof(*c->sizes));
    }
    struct enrichment_span *span = &c->spans[c->count];
    *span = (struct enrichment_span){.has_parent = row->has_parent,
                                     .is_error = row->status == 2,
                                     .duration_ns = row->end_unix_ns - row->start_unix_ns};
    memcpy(span->span_id, row->span_id, sizeof(span->span_id));
    add_text(c, c->count * 3, row->name);
    add_text(c, c->count * 3 + 1, row->status_message);
    add_text(c, c->count * 3 + 2, row->attributes);
    c->count++;
}

static struct slice take_text(const struct collection *c, size_t index, size_t *at)
{
    size_t size = c->sizes[index];
    if (size == SIZE_MAX) {
        return SLICE_EMPTY;
    }
    struct slice text = {c->texts.data ? c->texts.data + *at : "", size};
    *at += size;
    return text;
}

static void point_at_texts(struct collection *c)
{
    size_t at = 0;
    alloc_check_buffer(&c->texts);
    for (size_t i = 0; i < c->count; i++) {
        c->spans[i].name = take_text(c, i * 3, &at);
        c->spans[i].status_message = take_text(c, i * 3 + 1, &at);
        c->spans[i].attributes = take_text(c, i * 3 + 2, &at);
    }
}

enum store_status enricher_compute(struct enricher *e, const struct uuid *organization_id,
                                   const uint8_t trace_id[16], struct enriched *out,
                                   struct store_error *error)
{
    struct collection c = {.texts = BUFFER_INIT};
    struct store_scope scope = {.organization_id = *organization_id};
    struct store_trace_visitor visitor = {.span = collect_span, .user = &c};
    *out = (struct enriched){.data = BUFFER_INIT};
    enum store_status status = store_read_trace(e->store, &scope, trace_id, &visitor, error);
    if (status == STORE_OK) {
        struct enrichment_options options = {e->prices, USD_TO_EUR_DEFAULT};
        struct enrichment_totals totals = {0};
        point_at_texts(&c);
        (void)enrichment_build(c.spans, c.count, &options, &out->data, &totals);
        alloc_check_buffer(&out->data);
        out->spans = c.count;
        out->cost_usd = totals.total_cost_usd;
        out->cost_eur = totals.total_cost_eur;
        if (totals.flawed_count) {
            marline__log(LOG_DEBUG, "enrichment: %llu spans skipped in part",
                         (unsigned long long)totals.flawed_count);
        }
    }
    marline__memory_free(c.spans);
    marline__memory_free(c.sizes);
    marline__buffer_deinit(&c.texts);
    return status;
}

/* ---- writing ---- */

/* Writes that this thread waits for, together: they share transactions. */
struct round {
    struct enricher *enricher;
    pthread_mutex_t lock;
    pthread_cond_t done;
    size_t pending;
    size_t written;
    size_t count;
    struct {
        struct commit commit;
        struct enriched enriched;
        struct uuid organization_id;
        uint8_t trace_id[16];
        uint64_t revision;
    } items[TRACES_PER_ROUND];
};

static void item_written(struct commit *commit, void *user)
{
    struct round *round = user;
    (void)pthread_mutex_lock(&round->lock);
    round->written += commit->write.outcome.status == STORE_OK;
    if (--round->pending == 0) {
        (void)pthread_cond_signal(&round->done);
    }
    (void)pthread_mutex_unlock(&round->lock);
}

static void submit(struct round *round, struct commit *commit)
{
    commit->done = item_written;
    commit->user = round;
    commit->write.at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    (void)pthread_mutex_lock(&round->lock);
    round->pending++;
    (void)pthread_mutex_unlock(&round->lock);
    if (!commit_queue_submit(round->enricher->queue, commit)) {
        (void)pthread_mutex_lock(&round->lock);
        round->pending--;
        (void)pthread_mutex_unlock(&round->lock);
    }
}

static void wait_for_writes(struct round *round)
{
    (void)pthread_mutex_lock(&round->lock);
    while (round->pending > 0) {
        (void)pthread_cond_wait(&round->done, &round->lock);
    }
    (void)pthread_mutex_unlock(&round->lock);
}

static struct round *begin_round(struct enricher *e)
{
    struct round *round = alloc_zeroed(sizeof(*round));
    round->enricher = e;
    (void)pthread_mutex_init(&round->lock, NULL);
    (void)pthread_cond_init(&round->done, NULL);
    return round;
}

static void end_round(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        marline__buffer_deinit(&round->items[i].enriched.data);
    }
    (void)pthread_cond_destroy(&round->done);
    (void)pthread_mutex_destroy(&round->lock);
    marline__memory_free(round);
}

static void note_stale(void *user, const struct uuid *organization_id, const uint8_t trace_id[16],
                       uint64_t revision)
{
    struct round *round = user;
    if (round->count < TRACES_PER_ROUND) {
        round->items[round->count].organization_id = *organization_id;
        memcpy(round->items[round->count].trace_id, trace_id, 16);
        round->items[round->count].revision = revision;
        round->count++;
    }
}

/* One span for the round: the traces of a round were made due by the same requests. */
static marline_span trace_round(struct enricher *e, const struct round *round)
{
    marline_span causes[SELF_TRACE_CAUSES_MAX];
    (void)pthread_mutex_lock(&e->shared.lock);
    size_t count = e->shared.cause_count;
    memcpy(causes, e->shared.causes, count * sizeof(causes[0]));
    e->shared.cause_count = 0;
    (void)pthread_mutex_unlock(&e->shared.lock);
    marline_span span = self_trace_start_enrichment(e->tracer, causes, count);
    marline_span_set_int(&span, "marline.batch.traces", (int64_t)round->count);
    return span;
}

static void enrich_item(struct round *round, size_t i)
{
    struct store_error error;
    struct enriched *enriched = &round->items[i].enriched;
    struct store_write *write = &round->items[i].commit.write;
    if (enricher_compute(round->enricher, &round->items[i].organization_id,
                         round->items[i].trace_id, enriched, &error) != STORE_OK) {
        marline__log(LOG_WARN, "enrichment: cannot read a trace: %s", error.text);
        return;
    }
    write->type = STORE_ENRICH;
    write->enrich.organization_id = round->items[i].organization_id;
    memcpy(write->enrich.trace_id, round->items[i].trace_id, 16);
    write->enrich.revision = round->items[i].revision;
    write->enrich.spans = enriched->spans;
    write->enrich.data = marline__buffer_slice(&enriched->data);
    write->enrich.cost_usd = enriched->cost_usd;
    write->enrich.cost_eur = enriched->cost_eur;
    submit(round, &round->items[i].commit);
}

/* One round of traces and of the text index; true when there may be more to do. */
static bool do_round(struct enricher *e, uint64_t *out_writes)
{
    struct round *round = begin_round(e);
    struct store_error error;
    if (store_stale_traces(e->store, TRACES_PER_ROUND, note_stale, round, &error) != STORE_OK) {
        marline__log(LOG_WARN, "enrichment: %s", error.text);
    }
    marline_span span = {.record = NULL};
    if (e->tracer && round->count) {
        span = trace_round(e, round);
    }
    for (size_t i = 0; i < round->count; i++) {
        enrich_item(round, i);
    }
    struct commit index = {.write = {.type = STORE_INDEX_TEXT, .outcome.status = STORE_BUSY}};
    index.write.index_text.limit = SPANS_PER_INDEX_WRITE;
    submit(round, &index);
    wait_for_writes(round);
    marline_span_end(&span);
    *out_writes = round->count + 1;
    (void)pthread_mutex_lock(&e->shared.lock);
    e->shared.enriched += round->written - (index.write.outcome.status == STORE_OK);
    (void)pthread_mutex_unlock(&e->shared.lock);
    bool more = (round->count == TRACES_PER_ROUND && round->written > 1) ||
                (index.write.outcome.status == STORE_OK &&
                 index.write.index_text.indexed == SPANS_PER_INDEX_WRITE);
    end_round(round);
    return more;
}

/* ---- thread ---- */

static struct timespec after_ms(uint64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + ms * NS_PER_MS;
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec = (long)(ns % NS_PER_S);
    return until;
}

/* Waits unless it is time to stop. */
static void rest(struct enricher *e, uint64_t ms)
{
    struct timespec until = after_ms(ms < REST_MAX_MS ? ms : REST_MAX_MS);
    (void)pthread_mutex_lock(&e->shared.lock);
    int rc = 0;
    while (!e->shared.stopping && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&e->shared.changed, &e->shared.lock, &until);
    }
    (void)pthread_mutex_unlock(&e->shared.lock);
}

static bool is_stopping(struct enricher *e)
{
    (void)pthread_mutex_lock(&e->shared.lock);
    bool stopping = e->shared.stopping;
    (void)pthread_mutex_unlock(&e->shared.lock);
    return stopping;
}

/* Rounds until nothing is left to do, or it is time to stop. */
static void catch_up(struct enricher *e)
{
    bool more = true;
    while (more && !is_stopping(e)) {
        uint64_t writes = commit_queue_counters(e->queue).writes;
        uint64_t start = marline__clock_monotonic_ns(marline__clock_system());
        uint64_t own = 0;
        more = do_round(e, &own);
        if (more && commit_queue_counters(e->queue).writes > writes + own) {
            uint64_t took = marline__clock_monotonic_ns(marline__clock_system()) - start;
            rest(e, RESTS_PER_ROUND * took / NS_PER_MS);
        }
    }
}

/* Waits for a wake-up or the next look; false when it is time to stop. */
static bool wait_for_work(struct enricher *e)
{
    struct timespec until = after_ms(LOOK_EVERY_S * UINT64_C(1000));
    (void)pthread_mutex_lock(&e->shared.lock);
    e->shared.working = false;
    int rc = 0;
    while (!e->shared.wanted && !e->shared.stopping && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&e->shared.changed, &e->shared.lock, &until);
    }
    e->shared.wanted = false;
    e->shared.working = true;
    bool go_on = !e->shared.stopping;
    (void)pthread_mutex_unlock(&e->shared.lock);
    return go_on;
}

static void *work(void *user)
{
    struct enricher *e = user;
    do {
        catch_up(e);
    } while (wait_for_work(e));
    return NULL;
}

struct enricher *enricher_start(struct store *store, struct commit_queue *queue,
                                struct price_table *prices, marline_tracer *tracer)
{
    struct enricher *e = alloc_zeroed(sizeof(*e));
    e->store = store;
    e->queue = queue;
    e->tracer = tracer;
    e->prices = prices ? prices : price_table_create_builtin();
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&e->shared.lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&e->shared.changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (!e->prices || pthread_create(&e->thread, NULL, work, e) != 0) {
        price_table_destroy(e->prices);
        marline__memory_free(e);
        return NULL;
    }
    return e;
}

void enricher_stop(struct enricher *e)
{
    if (!e) {
        return;
    }
    (void)pthread_mutex_lock(&e->shared.lock);
    e->shared.stopping = true;
    (void)pthread_cond_signal(&e->shared.changed);
    (void)pthread_mutex_unlock(&e->shared.lock);
    (void)pthread_join(e->thread, NULL);
}

void enricher_destroy(struct enricher *e)
{
    if (!e) {
        return;
    }
    (void)pthread_cond_destroy(&e->shared.changed);
    (void)pthread_mutex_destroy(&e->shared.lock);
    price_table_destroy(e->prices);
    marline__memory_free(e);
}

void enricher_wake(struct enricher *e, const marline_span *cause)
{
    (void)pthread_mutex_lock(&e->shared.lock);
    e->shared.wanted = true;
    if (e->tracer && e->shared.cause_count < SELF_TRACE_CAUSES_MAX) {
        e->shared.causes[e->shared.cause_count++] = *cause;
    }
    (void)pthread_cond_signal(&e->shared.changed);
    (void)pthread_mutex_unlock(&e->shared.lock);
}

struct enricher_counters enricher_counters(struct enricher *e)
{
    (void)pthread_mutex_lock(&e->shared.lock);
    struct enricher_counters counters = {e->shared.enriched, e->shared.wanted || e->shared.working};
    (void)pthread_mutex_unlock(&e->shared.lock);
    return counters;
}
