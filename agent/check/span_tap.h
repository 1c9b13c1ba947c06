/* Sits between the batch processor and the exporter of `check`: posts every batch twice, or keeps
 * the spans of a trace back. Control from any thread; exports come on the processor's. */
#ifndef AGENT_CHECK_SPAN_TAP_H
#define AGENT_CHECK_SPAN_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <marline/trace.h>

struct span_tap;

/* Never NULL. */
struct span_tap *span_tap_create(void);
/* After every exporter that goes through it. */
void span_tap_destroy(struct span_tap *tap);

/* `user` is the tap. Takes the exporter; what it returns is to be used in its place. */
marline_exporter span_tap_insert(void *user, const marline_exporter *exporter);

void span_tap_repeat(struct span_tap *tap, bool is_on);
/* From now on, for good. */
void span_tap_drop_trace(struct span_tap *tap, const uint8_t trace_id[16]);

struct span_tap_counts {
    uint64_t exports;  /* batches handed on; a batch of up to 100 spans is one POST */
    uint64_t repeated; /* spans of second exports */
    char refusal[256]; /* of a second export; "" = all were taken */
};
struct span_tap_counts span_tap_counts(struct span_tap *tap);

#endif
