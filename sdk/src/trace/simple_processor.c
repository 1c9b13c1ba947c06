/* Exports each span by itself, from the thread that ends it (PRC-03): for tests and consoles, not
 * for services, because end() waits for the exporter. The monitor lets them
 * through one by one. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "trace/monitor.h"
#include "trace/processor.h"
#include "trace/provider.h"
#include "trace/sync_processors.h"

enum {
    EXPORT_TIMEOUT_MS = 30000,
    CANCEL_GRACE_MS = 200, /* for an exporter to notice its cancel */
};

struct simple_processor {
    struct processor base;
    marline_exporter exporter;
    struct monitor monitor;
    bool exporting;
    pthread_t exporting_thread; /* while exporting */
    bool closed;
};

/* Keeps every span for after_end, where blocking is allowed. */
static bool on_end(struct processor *p, struct lane *lane, struct span_record *r)
{
    (void)p;
    (void)lane;
    if (r->data.flags & 1) {
        return true;
    }
    marline__provider_release(r, FATE_DROPPED + MARLINE_DROP_UNSAMPLED); /* PRC-08 */
    return false;
}

enum entry { ENTRY_GRANTED, ENTRY_CLOSED, ENTRY_OWN };

static bool is_in_exporter(const struct simple_processor *s)
{
    return s->exporting && pthread_equal(s->exporting_thread, pthread_self());
}

/* One export at a time. A span that the exporter itself makes cannot wait for the export that it is
 * part of. */
static enum entry enter_export(struct simple_processor *s)
{
    marline__monitor_lock(&s->monitor);
    enum entry entry = is_in_exporter(s) ? ENTRY_OWN : ENTRY_GRANTED;
    while (entry == ENTRY_GRANTED && s->exporting && !s->closed) {
        (void)marline__monitor_wait(&s->monitor, TIME_NEVER);
    }
    if (entry == ENTRY_GRANTED && s->closed) {
        entry = ENTRY_CLOSED;
    }
    if (entry == ENTRY_GRANTED) {
        s->exporting = true;
        s->exporting_thread = pthread_self();
    }
    marline__monitor_unlock(&s->monitor);
    return entry;
}

static void leave_export(struct simple_processor *s)
{
    marline__monitor_lock(&s->monitor);
    s->exporting = false;
    marline__monitor_notify(&s->monitor);
    marline__monitor_unlock(&s->monitor);
}

static unsigned export_one(struct simple_processor *s, const struct span_record *r)
{
    marline_export_result result = {0};
    s->exporter.export_spans(s->exporter.user, &r->data, 1, EXPORT_TIMEOUT_MS, &result);
    if (result.exported > 0) {
        return FATE_EXPORTED;
    }
    marline__log(LOG_WARN, "a span was not exported: %s",
                 result.reason[0] ? result.reason : "the exporter gave no reason");
    return FATE_DROPPED + (result.rejected > 0 ? MARLINE_DROP_REJECTED : MARLINE_DROP_TIMEOUT);
}

static void after_end(struct processor *p, struct span_record *r)
{
    struct simple_processor *s = (struct simple_processor *)p;
    unsigned fate = FATE_DROPPED + MARLINE_DROP_SHUTDOWN;
    switch (enter_export(s)) {
    case ENTRY_GRANTED:
        fate = export_one(s, r);
        leave_export(s);
        break;
    case ENTRY_OWN:
        fate = FATE_DROPPED + MARLINE_DROP_REJECTED;
        break;
    case ENTRY_CLOSED:
        break;
    }
    marline__provider_release(r, fate);
}

static marline_status force_flush(struct processor *p, uint64_t deadline_ns)
{
    struct simple_processor *s = (struct simple_processor *)p;
    uint64_t now = marline__clock_monotonic_ns(marline__clock_system());
    uint64_t left_ms = now < deadline_ns ? (deadline_ns - now) / NS_PER_MS : 0;
    return s->exporter.force_flush ? s->exporter.force_flush(s->exporter.user, left_ms)
                                   : MARLINE_OK;
}

/* Waits for the export that runs, then cancels it; one that heeds no cancel is left to the thread
 * that waits in it. */
static marline_status shutdown_processor(struct processor *p, uint64_t deadline_ns)
{
    struct simple_processor *s = (struct simple_processor *)p;
    marline__monitor_lock(&s->monitor);
    s->closed = true;
    marline__monitor_notify(&s->monitor);
    while (s->exporting && marline__monitor_wait(&s->monitor, deadline_ns)) {
    }
    bool in_time = !s->exporting;
    marline__monitor_unlock(&s->monitor);
    if (in_time || !s->exporter.cancel) {
        return in_time ? MARLINE_OK : MARLINE_ETIMEDOUT;
    }
    s->exporter.cancel(s->exporter.user);
    deadline_ns += CANCEL_GRACE_MS * NS_PER_MS;
    marline__monitor_lock(&s->monitor);
    while (s->exporting && marline__monitor_wait(&s->monitor, deadline_ns)) {
    }
    marline__monitor_unlock(&s->monitor);
    return MARLINE_ETIMEDOUT;
}

static void before_fork(struct processor *p)
{
    marline__monitor_lock(&((struct simple_processor *)p)->monitor);
}

static void after_fork_in_parent(struct processor *p)
{
    marline__monitor_unlock(&((struct simple_processor *)p)->monitor);
}

static void after_fork_in_child(struct processor *p)
{
    struct simple_processor *s = (struct simple_processor *)p;
    (void)marline__monitor_init(&s->monitor);
    s->exporting = false; /* that thread is the parent's */
    if (s->exporter.after_fork) {
        s->exporter.after_fork(s->exporter.user);
    }
}

static void destroy(struct processor *p)
{
    struct simple_processor *s = (struct simple_processor *)p;
    if (s->exporter.destroy) {
        s->exporter.destroy(s->exporter.user);
    }
    marline__monitor_deinit(&s->monitor);
    marline__memory_free(s);
}

static const struct processor_functions functions = {
    .on_end = on_end,
    .after_end = after_end,
    .force_flush = force_flush,
    .shutdown = shutdown_processor,
    .before_fork = before_fork,
    .after_fork_in_parent = after_fork_in_parent,
    .after_fork_in_child = after_fork_in_child,
    .destroy = destroy,
};

struct processor *marline__simple_processor_create(const marline_exporter *exporter)
{
    struct simple_processor *s = marline__memory_zeroed(sizeof *s);
    if (!s || !marline__monitor_init(&s->monitor)) {
        marline__memory_free(s);
        if (exporter->destroy) {
            exporter->destroy(exporter->user);
        }
        return NULL;
    }
    s->base.functions = &functions;
    s->exporter = *exporter;
    return &s->base;
}
