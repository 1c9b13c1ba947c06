/* The judgement of one answer by the criteria of its test. It is written as the platform's
 * test_metrics: one entry per expectation ("expect[0]") and metric, each with is_successful and,
 * where it is not, a reason.
 *
 * Pure: it does not call metrics, it says which to call and judges what they answered. Aborts when
 * there is no memory. */
#ifndef CORE_VERDICT_H
#define CORE_VERDICT_H

#include "base/buffer.h"
#include "core/criteria.h"
#include "core/outcome.h"
#include "wire/json_writer.h"

enum { VERDICT_SHOWN_MAX = 120 }; /* bytes of a value in a reason; the rest is cut */

/* What was answered. Borrowed. */
struct verdict_answer {
    bool success;
    struct slice output; /* JSON; empty = null */
    struct slice error;  /* NULL data = none */
    double duration_ms;
};

/* What a metric came to. Borrowed. */
struct verdict_score {
    bool success;
    struct slice score;   /* JSON */
    struct slice details; /* JSON object */
    struct slice error;   /* NULL data = none */
    double duration_ms;
};

/* One answer under judgement. Not to be moved. */
struct verdict {
    const struct criteria *criteria;
    enum result_status status;
    size_t next_metric;   /* to be asked for; up to metric_count */
    struct buffer reason; /* why it is not Pass; the first cause in full, NUL-terminated */
    size_t more_reasons;
    struct buffer metrics; /* test_metrics, whole after verdict_end */
    struct json_writer writer;
};

/* Judges the expectations. An answer that failed is an Error, unless its error is expected, and is
 * then not worth asking for metrics. `criteria` NULL: a success passes. */
void verdict_begin(struct verdict *v, const struct criteria *criteria,
                   const struct verdict_answer *answer);
/* The next metric to be asked for; NULL: none. */
const char *verdict_metric(const struct verdict *v);
/* Its inputs: those of the platform's execute_metric (wire-protocol §2.10). */
void verdict_metric_inputs(const struct verdict *v, struct slice inputs, struct slice output,
                           struct buffer *out);
/* Judges it, and goes on to the next. */
void verdict_add_score(struct verdict *v, const struct verdict_score *score);
void verdict_end(struct verdict *v);
void verdict_deinit(struct verdict *v);

#endif
