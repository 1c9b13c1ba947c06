/* Between the batch processor and the exporter. */
#include "agent/check/span_tap.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "programs/must.h"

struct span_tap {
    pthread_mutex_t mutex; /* of all below */
    bool repeats;
    uint8_t (*dropped)[16]; /* trace ids */
    size_t dropped_count;
    size_t dropped_capacity;
    struct span_tap_counts counts;
};

/* One exporter behind the tap. */
struct tapped {
    struct span_tap *tap;
    marline_exporter inner;
};

struct span_tap *span_tap_create(void)
{
    struct span_tap *tap = must_zeroed(sizeof *tap);
    (void)pthread_mutex_init(&tap->mutex, NULL);
    return tap;
}

void span_tap_destroy(struct span_tap *tap)
{
    if (tap) {
        (void)pthread_mutex_destroy(&tap->mutex);
        marline__memory_free(tap->dropped);
        marline__memory_free(tap);
    }
}

/* ---- the exporter ---- */

/* With the mutex held. */
static bool is_dropped(const struct span_tap *tap, const marline_span_data *span)
{
    for (size_t i = 0; i < tap->dropped_count; i++) {
        if (memcmp(tap->dropped[i], span->trace_id, sizeof tap->dropped[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Returns owned: those that are not dropped, in their order. */
static marline_span_data *choose(struct span_tap *tap, const marline_span_data *spans, size_t count,
                                 size_t *out_count)
{
    marline_span_data *chosen = must(marline__memory_array(count ? count : 1, sizeof *chosen));
    *out_count = 0;
    (void)pthread_mutex_lock(&tap->mutex);
    for (size_t i = 0; i < count; i++) {
        if (!is_dropped(tap, &spans[i])) {
            chosen[(*out_count)++] = spans[i];
        }
    }
    (void)pthread_mutex_unlock(&tap->mutex);
    return chosen;
}

static bool count_export(struct span_tap *tap)
{
    (void)pthread_mutex_lock(&tap->mutex);
    tap->counts.exports++;
    bool repeats = tap->repeats;
    (void)pthread_mutex_unlock(&tap->mutex);
    return repeats;
}

static void export_again(struct tapped *t, const marline_span_data *spans, size_t count,
                         uint64_t timeout_ms)
{
    marline_export_result result = {0};
    t->inner.export_spans(t->inner.user, spans, count, timeout_ms, &result);
    (void)pthread_mutex_lock(&t->tap->mutex);
    t->tap->counts.repeated += count;
    if (result.exported < count) {
        (void)snprintf(t->tap->counts.refusal, sizeof t->tap->counts.refusal, "%s",
                       *result.reason ? result.reason : "not taken");
    }
    (void)pthread_mutex_unlock(&t->tap->mutex);
}

static void export_spans(void *user, const marline_span_data *spans, size_t count,
                         uint64_t timeout_ms, marline_export_result *out)
{
    struct tapped *t = user;
    size_t chosen_count;
    marline_span_data *chosen = choose(t->tap, spans, count, &chosen_count);
    *out = (marline_export_result){.exported = count};
    if (chosen_count > 0) {
        bool repeats = count_export(t->tap);
        t->inner.export_spans(t->inner.user, chosen, chosen_count, timeout_ms, out);
        out->exported += count - chosen_count; /* to the processor, dropped is delivered */
        if (repeats) {
            export_again(t, chosen, chosen_count, timeout_ms);
        }
    }
    marline__memory_free(chosen);
}

static marline_status force_flush(void *user, uint64_t timeout_ms)
{
    struct tapped *t = user;
    return t->inner.force_flush ? t->inner.force_flush(t->inner.user, timeout_ms) : MARLINE_OK;
}

static void cancel(void *user)
{
    struct tapped *t = user;
    if (t->inner.cancel) {
        t->inner.cancel(t->inner.user);
    }
}

static void destroy(void *user)
{
    struct tapped *t = user;
    if (t->inner.destroy) {
        t->inner.destroy(t->inner.user);
    }
    marline__memory_free(t);
}

marline_exporter span_tap_insert(void *user, const marline_exporter *exporter)
{
    struct tapped *t = must_zeroed(sizeof *t);
    *t = (struct tapped){user, *exporter};
    return (marline_exporter){.export_spans = export_spans,
                              .force_flush = force_flush,
                              .cancel = cancel,
                              .destroy = destroy,
                              .user = t};
}

/* ---- control ---- */

void span_tap_repeat(struct span_tap *tap, bool is_on)
{
    (void)pthread_mutex_lock(&tap->mutex);
    tap->repeats = is_on;
    (void)pthread_mutex_unlock(&tap->mutex);
}

void span_tap_drop_trace(struct span_tap *tap, const uint8_t trace_id[16])
{
    (void)pthread_mutex_lock(&tap->mutex);
    tap->dropped =
        must_grow(tap->dropped, tap->dropped_count, &tap->dropped_capacity, sizeof *tap->dropped);
    memcpy(tap->dropped[tap->dropped_count++], trace_id, sizeof *tap->dropped);
    (void)pthread_mutex_unlock(&tap->mutex);
}

struct span_tap_counts span_tap_counts(struct span_tap *tap)
{
    (void)pthread_mutex_lock(&tap->mutex);
    struct span_tap_counts counts = tap->counts;
    (void)pthread_mutex_unlock(&tap->mutex);
    return counts;
}
