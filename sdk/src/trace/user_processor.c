/* A processor of the user's own, behind the library's table (PRC-01). */
#include "base/clock.h"
#include "base/memory.h"
#include "trace/processor.h"
#include "trace/provider.h"
#include "trace/sync_processors.h"

struct user_processor {
    struct processor base;
    marline_span_processor user;
};

static void on_start(struct processor *p, const marline_span *span, marline_context *parent)
{
    struct user_processor *u = (struct user_processor *)p;
    if (u->user.on_start) {
        marline_span copy = *span;
        u->user.on_start(u->user.user, &copy, parent);
    }
}

static void on_ending(struct processor *p, const marline_span *span)
{
    struct user_processor *u = (struct user_processor *)p;
    marline_span copy = *span;
    u->user.on_ending(u->user.user, &copy);
}

static bool on_end(struct processor *p, struct lane *lane, struct span_record *r)
{
    (void)p;
    (void)lane;
    (void)r;
    return true;
}

static void after_end(struct processor *p, struct span_record *r)
{
    struct user_processor *u = (struct user_processor *)p;
    if (u->user.on_end && !atomic_load(&p->provider->stopped)) {
        u->user.on_end(u->user.user, &r->data);
    }
    marline__provider_release(r, FATE_SEEN);
}

static uint64_t left_ms(uint64_t deadline_ns)
{
    uint64_t now = marline__clock_monotonic_ns(marline__clock_system());
    return now < deadline_ns ? (deadline_ns - now) / NS_PER_MS : 0;
}

static marline_status force_flush(struct processor *p, uint64_t deadline_ns)
{
    struct user_processor *u = (struct user_processor *)p;
    return u->user.force_flush ? u->user.force_flush(u->user.user, left_ms(deadline_ns))
                               : MARLINE_OK;
}

static marline_status shutdown_processor(struct processor *p, uint64_t deadline_ns)
{
    struct user_processor *u = (struct user_processor *)p;
    return u->user.shutdown ? u->user.shutdown(u->user.user, left_ms(deadline_ns)) : MARLINE_OK;
}

static void destroy(struct processor *p)
{
    struct user_processor *u = (struct user_processor *)p;
    if (u->user.destroy) {
        u->user.destroy(u->user.user);
    }
    marline__memory_free(u);
}

static const struct processor_functions functions = {
    .on_start = on_start,
    .on_end = on_end,
    .after_end = after_end,
    .force_flush = force_flush,
    .shutdown = shutdown_processor,
    .destroy = destroy,
};

static const struct processor_functions functions_with_ending = {
    .on_start = on_start,
    .on_ending = on_ending,
    .on_end = on_end,
    .after_end = after_end,
    .force_flush = force_flush,
    .shutdown = shutdown_processor,
    .destroy = destroy,
};

struct processor *marline__user_processor_create(const marline_span_processor *user)
{
    struct user_processor *u = marline__memory_zeroed(sizeof *u);
    if (!u) {
        if (user->destroy) {
            user->destroy(user->user);
        }
        return NULL;
    }
    u->base.functions = user->on_ending ? &functions_with_ending : &functions;
    u->user = *user;
    return &u->base;
}
