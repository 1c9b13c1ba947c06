/* Providers: creation, tracers, the balance, flush and shutdown; see provider.h. */
#include "trace/provider.h"

#include <sched.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "io/refuse.h"
#include "trace/batch_processor.h"
#include "trace/context.h"
#include "trace/environment.h"
#include "trace/resource.h"
#include "trace/sampler.h"
#include "trace/sync_processors.h"

/* In 1 ms steps, so far in the future that nobody sees it, so near that adding never overflows. */
#define TIMEOUT_MAX_MS (UINT64_MAX / NS_PER_MS / 4)

static _Atomic(marline_provider *) global_provider;
static atomic_uint_fast64_t last_id;

/* ---- fork: all locks are held over it, so that the child finds nothing half done (BSP-07) ---- */

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct list all_providers = {&all_providers, &all_providers};
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    pthread_mutex_lock(&list_mutex);
    LIST_EACH(&all_providers, node)
    {
        marline_provider *provider = LIST_ENTRY(node, marline_provider, link);
        pthread_mutex_lock(&provider->mutex);
        for (unsigned i = 0; i < atomic_load(&provider->processor_count); i++) {
            struct processor *p = provider->processors[i];
            if (p->functions->before_fork) {
                p->functions->before_fork(p);
            }
        }
    }
    marline__shards_before_fork();
}

static void after_fork_in_parent(void)
{
    marline__shards_after_fork_in_parent();
    LIST_EACH(&all_providers, node)
    {
        marline_provider *provider = LIST_ENTRY(node, marline_provider, link);
        for (unsigned i = 0; i < atomic_load(&provider->processor_count); i++) {
            struct processor *p = provider->processors[i];
            if (p->functions->after_fork_in_parent) {
                p->functions->after_fork_in_parent(p);
            }
        }
        pthread_mutex_unlock(&provider->mutex);
    }
    pthread_mutex_unlock(&list_mutex);
}

/* The child's balance is its own. */
static void after_fork_in_child(void)
{
    marline__shards_after_fork_in_child();
    LIST_EACH(&all_providers, node)
    {
        marline_provider *provider = LIST_ENTRY(node, marline_provider, link);
        atomic_store(&provider->exported, 0);
        atomic_store(&provider->spooled, 0);
        for (unsigned i = 0; i < MARLINE_DROP_REASONS; i++) {
            atomic_store(&provider->dropped[i], 0);
        }
        for (unsigned i = 0; i < atomic_load(&provider->processor_count); i++) {
            struct processor *p = provider->processors[i];
            if (p->functions->after_fork_in_child) {
                p->functions->after_fork_in_child(p);
            }
        }
        pthread_mutex_unlock(&provider->mutex);
    }
    pthread_mutex_unlock(&list_mutex);
}

static void register_fork_handlers(void)
{
    if (pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0) {
        marline__log(LOG_ERROR, "out of memory: forked processes must not trace");
    }
}

static void list_provider(marline_provider *provider)
{
    pthread_once(&fork_once, register_fork_handlers);
    pthread_mutex_lock(&list_mutex);
    marline__list_push_back(&all_providers, &provider->link);
    pthread_mutex_unlock(&list_mutex);
}

static void unlist_provider(marline_provider *provider)
{
    pthread_mutex_lock(&list_mutex);
    marline__list_remove(&provider->link);
    pthread_mutex_unlock(&list_mutex);
}

/* ---- tracers ---- */

static void free_tracer(struct marline_tracer *tracer)
{
    marline__span_memory_deinit(&tracer->arena);
    marline__memory_free(tracer);
}

static bool copy_scope(struct marline_tracer *tracer, const marline_tracer_options *o)
{
    struct attribute_list list;
    struct span_memory *arena = &tracer->arena;
    marline__attributes_init(&list, arena, UINT32_MAX);
    marline__attributes_set_all(&list, &marline__no_limits, o->attributes, o->attribute_count);
    tracer->scope =
        (marline_scope_data){.name = marline__string_copy(arena, marline_text(o->name)),
                             .version = marline__string_copy(arena, marline_text(o->version)),
                             .schema_url = marline__string_copy(arena, marline_text(o->schema_url)),
                             .attributes = list.items,
                             .attribute_count = list.count};
    return tracer->scope.name.data && tracer->scope.version.data && tracer->scope.schema_url.data &&
           list.dropped == 0;
}

static struct marline_tracer *make_tracer(marline_provider *provider,
                                          const marline_tracer_options *o)
{
    struct marline_tracer *tracer = marline__memory_zeroed(sizeof *tracer);
    if (!tracer) {
        return NULL;
    }
    tracer->provider = provider;
    marline__span_memory_init(&tracer->arena, NULL, 0);
    if (!copy_scope(tracer, o)) {
        free_tracer(tracer);
        return NULL;
    }
    return tracer;
}

static bool is_text(marline_string s, const char *text)
{
    size_t size = text ? strlen(text) : 0;
    return s.size == size && (size == 0 || memcmp(s.data, text, size) == 0);
}

static bool is_scope(const marline_scope_data *scope, const marline_tracer_options *o)
{
    return is_text(scope->name, o->name) && is_text(scope->version, o->version) &&
           is_text(scope->schema_url, o->schema_url) &&
           marline__attributes_equal(scope->attributes, scope->attribute_count, o->attributes,
                                     o->attribute_count);
}

/* Under the mutex. */
static struct marline_tracer *find_tracer(marline_provider *provider,
                                          const marline_tracer_options *o)
{
    struct marline_tracer *tracer = atomic_load(&provider->tracers);
    while (tracer && !is_scope(&tracer->scope, o)) {
        tracer = tracer->next;
    }
    return tracer;
}

marline_tracer *marline_tracer_get_with(marline_provider *provider,
                                        const marline_tracer_options *options)
{
    static const marline_tracer_options nothing = MARLINE_TRACER_OPTIONS_INIT;
    const marline_tracer_options *o =
        options && options->size == sizeof *options ? options : &nothing;
    if (!provider) {
        return NULL;
    }
    if (!o->name || o->name[0] == '\0') {
        marline__log(LOG_WARN, "a tracer without a name was asked for"); /* API-02 */
    }
    pthread_mutex_lock(&provider->mutex);
    struct marline_tracer *tracer = find_tracer(provider, o);
    if (!tracer) {
        tracer = make_tracer(provider, o);
        if (tracer) {
            tracer->next = atomic_load(&provider->tracers);
            atomic_store(&provider->tracers, tracer);
        }
    }
    pthread_mutex_unlock(&provider->mutex);
    return tracer ? tracer : provider->default_tracer;
}

marline_tracer *marline_tracer_get(marline_provider *provider, const char *name,
                                   const char *version)
{
    marline_tracer_options options = MARLINE_TRACER_OPTIONS_INIT;
    options.name = name;
    options.version = version;
    return marline_tracer_get_with(provider, &options);
}

bool marline_tracer_is_enabled(const marline_tracer *tracer)
{
    const marline_provider *provider = tracer ? tracer->provider : NULL;
    return provider && !provider->disabled && !atomic_load(&provider->stopped) &&
           atomic_load_explicit(&provider->processor_count, memory_order_acquire) > 0;
}

/* ---- creation ---- */

void marline__provider_ref(marline_provider *provider)
{
    atomic_fetch_add_explicit(&provider->references, 1, memory_order_relaxed);
}

void marline__provider_unref(marline_provider *provider)
{
    if (atomic_fetch_sub_explicit(&provider->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct marline_tracer *tracer = atomic_load(&provider->tracers);
    while (tracer) {
        struct marline_tracer *next = tracer->next;
        free_tracer(tracer);
        tracer = next;
    }
    marline__span_memory_deinit(&provider->arena);
    pthread_mutex_destroy(&provider->mutex);
    marline__memory_free(provider);
}

static void free_provider(marline_provider *provider)
{
    unsigned count = atomic_exchange(&provider->processor_count, 0);
    for (unsigned i = 0; i < count; i++) {
        provider->processors[i]->functions->destroy(provider->processors[i]);
    }
    if (provider->sampler.destroy) {
        provider->sampler.destroy(provider->sampler.user);
    }
    if (provider->ids.destroy) {
        provider->ids.destroy(provider->ids.user);
    }
    marline__provider_unref(provider);
}

/* True: of the options, else of the environment. Takes the options' sampler in either case. */
static bool set_sampler(marline_provider *provider, const marline_provider_options *options)
{
    if (options && options->sampler) {
        provider->sampler = *options->sampler;
    } else if (marline_sampler_from_environment(&provider->sampler) != MARLINE_OK) {
        return false;
    }
    provider->keeps_all = marline__sampler_keeps_all(&provider->sampler);
    return provider->sampler.decide != NULL;
}

static bool init_provider(marline_provider *provider, const marline_provider_options *options)
{
    if (options && options->ids) {
        provider->ids = *options->ids;
    }
    provider->id = atomic_fetch_add(&last_id, 1) + 1;
    provider->disabled = marline__environment_flag("OTEL_SDK_DISABLED");
    provider->limits =
        options && options->limits ? *options->limits : marline_span_limits_from_environment();
    marline__span_memory_init(&provider->arena, NULL, 0);
    if (!set_sampler(provider, options) ||
        !marline__resource_build(options, &provider->arena, &provider->resource)) {
        return false;
    }
    provider->default_tracer = marline_tracer_get(provider, "marline", MARLINE_VERSION);
    return provider->default_tracer != NULL;
}

marline_status marline__provider_create(const marline_provider_options *options,
                                        const struct clock *clock, marline_provider **out,
                                        marline_error *error)
{
    if (!out || (options && options->size != sizeof *options)) {
        return marline__refuse(
            error, MARLINE_EINVAL,
            "provider options must be initialised with MARLINE_PROVIDER_OPTIONS_INIT");
    }
    if (options && options->ids && (!options->ids->trace_id || !options->ids->span_id)) {
        return marline__refuse(error, MARLINE_EINVAL, "an id generator needs trace_id and span_id");
    }
    marline_provider *provider = marline__memory_zeroed(sizeof *provider);
    if (!provider || pthread_mutex_init(&provider->mutex, NULL) != 0) {
        marline__memory_free(provider);
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory for a provider");
    }
    atomic_init(&provider->references, 1);
    provider->clock = clock ? clock : marline__clock_system();
    if (!init_provider(provider, options)) {
        free_provider(provider);
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory for a provider");
    }
    list_provider(provider);
    *out = provider;
    return MARLINE_OK;
}

marline_status marline_provider_create(const marline_provider_options *options,
                                       marline_provider **out, marline_error *error)
{
    return marline__provider_create(options, NULL, out, error);
}

void marline_provider_set_global(marline_provider *provider)
{
    atomic_store(&global_provider, provider);
}

marline_provider *marline_provider_global(void)
{
    return atomic_load_explicit(&global_provider, memory_order_acquire);
}

marline_status marline__provider_add(marline_provider *provider, struct processor *processor,
                                     marline_error *error)
{
    pthread_mutex_lock(&provider->mutex);
    unsigned count = atomic_load(&provider->processor_count);
    marline_status status = MARLINE_OK;
    bool used = false;
    if (provider->disabled) {
        /* nothing will come: no thread, no connection */
    } else if (atomic_load(&provider->stopped)) {
        status = marline__refuse(error, MARLINE_ESTATE, "the provider is shut down");
    } else if (count == PROCESSORS_MAX) {
        status = marline__refuse(error, MARLINE_EFULL, "a provider has at most 8 processors");
    } else {
        processor->provider = provider;
        processor->index = count;
        if (processor->functions->start && !processor->functions->start(processor)) {
            status =
                marline__refuse(error, MARLINE_ENOMEM, "the processor's thread cannot be started");
        } else {
            used = true;
            provider->processors[count] = processor;
            if (processor->functions->on_start) {
                atomic_store_explicit(&provider->wants_starts, true, memory_order_relaxed);
            }
            if (processor->functions->on_ending) {
                atomic_store_explicit(&provider->wants_endings, true, memory_order_relaxed);
            }
            atomic_store_explicit(&provider->processor_count, count + 1, memory_order_release);
        }
    }
    pthread_mutex_unlock(&provider->mutex);
    if (!used) {
        processor->functions->destroy(processor);
    }
    return status;
}

marline_status marline_provider_add_batch_processor(marline_provider *provider,
                                                    const marline_exporter *exporter,
                                                    const marline_batch_options *options,
                                                    marline_error *error)
{
    if (!provider || !exporter || !exporter->export_spans ||
        (options && options->size != sizeof *options)) {
        if (exporter && exporter->destroy) {
            exporter->destroy(exporter->user);
        }
        return marline__refuse(
            error, MARLINE_EINVAL,
            "a batch processor needs a provider, an exporter with export_spans, and options "
            "initialised with MARLINE_BATCH_OPTIONS_INIT");
    }
    marline_batch_options complete;
    marline__batch_options_complete(options, &complete);
    bool must_spool = options && options->spool_path;
    struct processor *processor = NULL;
    marline_status status = marline__batch_processor_create(
        exporter, &complete, must_spool && !provider->disabled, &processor, error);
    return status == MARLINE_OK ? marline__provider_add(provider, processor, error) : status;
}

marline_status marline_provider_add_simple_processor(marline_provider *provider,
                                                     const marline_exporter *exporter,
                                                     marline_error *error)
{
    if (!provider || !exporter || !exporter->export_spans) {
        if (exporter && exporter->destroy) {
            exporter->destroy(exporter->user);
        }
        return marline__refuse(
            error, MARLINE_EINVAL,
            "a simple processor needs a provider and an exporter with export_spans");
    }
    struct processor *processor = marline__simple_processor_create(exporter);
    return processor ? marline__provider_add(provider, processor, error)
                     : marline__refuse(error, MARLINE_ENOMEM, "out of memory for a processor");
}

marline_status marline_provider_add_processor(marline_provider *provider,
                                              const marline_span_processor *user,
                                              marline_error *error)
{
    if (!provider || !user) {
        if (user && user->destroy) {
            user->destroy(user->user);
        }
        return marline__refuse(error, MARLINE_EINVAL,
                               "a processor needs a provider and its functions");
    }
    struct processor *processor = marline__user_processor_create(user);
    return processor ? marline__provider_add(provider, processor, error)
                     : marline__refuse(error, MARLINE_ENOMEM, "out of memory for a processor");
}

void marline__provider_adopt_lane(marline_provider *provider, struct lane *lane)
{
    pthread_mutex_lock(&provider->mutex);
    lane->next_in_provider = atomic_load(&provider->lanes);
    atomic_store_explicit(&lane->provider_id, provider->id, memory_order_relaxed);
    atomic_store_explicit(&provider->lanes, lane, memory_order_release);
    pthread_mutex_unlock(&provider->mutex);
}

/* ---- the balance ---- */

/* Exported by one is exported; else spooled by one is spooled; else the first reason for a loss
 * counts; else it was seen. */
static unsigned join_fates(unsigned known, unsigned fate)
{
    if (known == FATE_EXPORTED || fate == FATE_EXPORTED) {
        return FATE_EXPORTED;
    }
    if (known == FATE_SPOOLED || fate == FATE_SPOOLED) {
        return FATE_SPOOLED;
    }
    return known >= FATE_DROPPED ? known : fate;
}

static atomic_uint_fast64_t *counter_of(marline_provider *provider, unsigned fate)
{
    if (fate >= FATE_DROPPED) {
        return &provider->dropped[fate - FATE_DROPPED];
    }
    return fate == FATE_SPOOLED ? &provider->spooled : &provider->exported;
}

static void settle(struct span_record *r, unsigned fate)
{
    unsigned known = atomic_load_explicit(&r->fate, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&r->fate, &known, join_fates(known, fate),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    if (atomic_fetch_sub_explicit(&r->holders, 1, memory_order_acq_rel) != 1) {
        return;
    }
    marline_provider *provider = r->provider;
    fate = atomic_load_explicit(&r->fate, memory_order_relaxed);
    if (!atomic_load_explicit(&r->forfeited, memory_order_relaxed)) {
        marline__shard_return_record(r);
    }
    /* Counted last: who sees a span settled may rely on its record being back. */
    atomic_fetch_add_explicit(counter_of(provider, fate), 1, memory_order_release);
}

/* Where another exporter delivered spans of the batch, they do not count as spooled: then there are
 * fewer to move, which only shows while several batches are spooled at once. */
void marline__provider_unspool(marline_provider *provider, uint64_t count, unsigned fate)
{
    uint64_t spooled = atomic_load_explicit(&provider->spooled, memory_order_relaxed);
    uint64_t moved;
    do {
        moved = count < spooled ? count : spooled;
    } while (!atomic_compare_exchange_weak_explicit(&provider->spooled, &spooled, spooled - moved,
                                                    memory_order_acq_rel, memory_order_relaxed));
    atomic_fetch_add_explicit(counter_of(provider, fate), moved, memory_order_release);
}

void marline__provider_release(struct span_record *r, unsigned fate)
{
    settle(r, fate);
}

void marline__provider_forfeit(struct span_record *r, unsigned fate)
{
    atomic_store_explicit(&r->forfeited, true, memory_order_relaxed);
    settle(r, fate);
}

void marline_provider_delivery(const marline_provider *provider, marline_delivery *out)
{
    if (!out) {
        return;
    }
    *out = (marline_delivery){0};
    if (!provider) {
        return;
    }
    /* What is settled first: a span is started before it is settled, so nothing goes negative. */
    out->exported = atomic_load_explicit(&provider->exported, memory_order_acquire);
    uint64_t settled = out->exported;
    for (unsigned i = 0; i < MARLINE_DROP_REASONS; i++) {
        out->dropped[i] = atomic_load_explicit(&provider->dropped[i], memory_order_acquire);
        settled += out->dropped[i];
    }
    /* After those, because a span leaves this count before it enters one of them. */
    out->spooled = atomic_load_explicit(&provider->spooled, memory_order_acquire);
    settled += out->spooled;
    const struct lane *lane = atomic_load_explicit(&provider->lanes, memory_order_acquire);
    for (; lane; lane = lane->next_in_provider) {
        uint64_t unsampled = atomic_load_explicit(&lane->unsampled, memory_order_acquire);
        out->dropped[MARLINE_DROP_UNSAMPLED] += unsampled;
        settled += unsampled;
        out->started += atomic_load_explicit(&lane->started, memory_order_relaxed);
    }
    out->in_flight = out->started - settled;
}

void marline_provider_spool(const marline_provider *provider, marline_spool_state *out)
{
    if (!out) {
        return;
    }
    *out = (marline_spool_state){0};
    unsigned count =
        provider ? atomic_load_explicit(&provider->processor_count, memory_order_acquire) : 0;
    for (unsigned i = 0; i < count; i++) {
        const struct processor *p = provider->processors[i];
        if (p->functions->add_spool_state) {
            p->functions->add_spool_state(p, out);
        }
    }
}

struct record_count {
    const marline_provider *provider;
    uint64_t count;
};

static void count_record(struct span_record *r, void *user)
{
    struct record_count *c = user;
    marline__record_lock(r);
    if (r->provider == c->provider && !atomic_load(&r->forfeited) &&
        ((atomic_load(&r->generation) & 1) || atomic_load(&r->holders) > 0)) {
        c->count++;
    }
    marline__record_unlock(r);
}

uint64_t marline__provider_count_records(marline_provider *provider)
{
    struct record_count c = {provider, 0};
    marline__shard_each_record(count_record, &c);
    return c.count;
}

/* ---- flush and shutdown ---- */

static uint64_t deadline_after(uint64_t timeout_ms)
{
    uint64_t bounded = timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS;
    return marline__clock_monotonic_ns(marline__clock_system()) + bounded * NS_PER_MS;
}

static marline_status first_failure(marline_status one, marline_status two)
{
    return one != MARLINE_OK ? one : two;
}

marline_status marline_provider_force_flush(marline_provider *provider, uint64_t timeout_ms)
{
    if (!provider) {
        return MARLINE_EINVAL;
    }
    if (atomic_load(&provider->stopped)) {
        return MARLINE_ESTATE;
    }
    uint64_t deadline_ns = deadline_after(timeout_ms);
    marline_status status = MARLINE_OK;
    unsigned count = atomic_load_explicit(&provider->processor_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) { /* all work at once; then each is waited for */
        struct processor *p = provider->processors[i];
        if (p->functions->prompt) {
            p->functions->prompt(p);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        struct processor *p = provider->processors[i];
        status = first_failure(status, p->functions->force_flush(p, deadline_ns));
    }
    return status;
}

uint64_t marline_provider_pump(marline_provider *provider)
{
    uint64_t next_ns = TIME_NEVER;
    unsigned count =
        provider ? atomic_load_explicit(&provider->processor_count, memory_order_acquire) : 0;
    for (unsigned i = 0; i < count; i++) {
        struct processor *p = provider->processors[i];
        uint64_t wanted_ns = p->functions->pump ? p->functions->pump(p) : TIME_NEVER;
        next_ns = wanted_ns < next_ns ? wanted_ns : next_ns;
    }
    if (next_ns == TIME_NEVER) {
        return UINT64_MAX;
    }
    uint64_t now = marline__clock_monotonic_ns(marline__clock_system());
    return next_ns > now ? (next_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;
}

marline_status marline_provider_shutdown(marline_provider *provider, uint64_t timeout_ms)
{
    if (!provider) {
        return MARLINE_EINVAL;
    }
    pthread_mutex_lock(&provider->mutex);
    bool again = atomic_exchange(&provider->stopped, true);
    pthread_mutex_unlock(&provider->mutex);
    if (again) {
        return MARLINE_ESTATE;
    }
    uint64_t deadline_ns = deadline_after(timeout_ms);
    marline_status status = MARLINE_OK;
    unsigned count = atomic_load_explicit(&provider->processor_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        struct processor *p = provider->processors[i];
        if (p->functions->prompt) {
            p->functions->prompt(p);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        struct processor *p = provider->processors[i];
        status = first_failure(status, p->functions->shutdown(p, deadline_ns));
    }
    return status;
}

/* Every record is visited under its lock: an end that is under way is through then, whatever span
 * the record belongs to by now. */
static void make_inert(struct span_record *r, void *user)
{
    const marline_provider *provider = user;
    marline__record_lock(r);
    uint64_t generation = atomic_load_explicit(&r->generation, memory_order_relaxed);
    bool running = (generation & 1) && r->provider == provider;
    if (running) {
        atomic_store_explicit(&r->generation, generation + 1, memory_order_release);
    }
    marline__record_unlock(r);
    if (running) {
        marline__facts_unref(r->facts);
        r->facts = NULL;
        marline__shard_return_record(r);
    }
}

/* An end that is under way has its lane marked since before it unlocked its record. */
static void wait_for_ends(marline_provider *provider)
{
    struct lane *lane = atomic_load(&provider->lanes);
    for (; lane; lane = lane->next_in_provider) {
        while (atomic_load_explicit(&lane->ending, memory_order_acquire) > 0) {
            (void)sched_yield();
        }
    }
}

static void free_lanes(marline_provider *provider)
{
    struct lane *lane = atomic_load(&provider->lanes);
    while (lane) {
        struct lane *next = lane->next_in_provider;
        atomic_store_explicit(&lane->started, 0, memory_order_relaxed);
        atomic_store_explicit(&lane->unsampled, 0, memory_order_relaxed);
        lane->anchor_wall_ns = 0;
        for (unsigned i = 0; i < PROCESSORS_MAX; i++) {
            lane->queues[i].credits = 0;
        }
        atomic_store_explicit(&lane->provider_id, 0, memory_order_release);
        lane = next;
    }
}

void marline_provider_destroy(marline_provider *provider)
{
    if (!provider) {
        return;
    }
    marline_provider *self = provider;
    (void)atomic_compare_exchange_strong(&global_provider, &self, NULL);
    (void)marline_provider_shutdown(provider, 0);
    unlist_provider(provider);
    marline__shard_each_record(make_inert, provider);
    wait_for_ends(provider);
    free_lanes(provider);
    free_provider(provider);
}
