/* Why a trace is linked or not, as the store tells it. Part of store.h. */
#ifndef STORE_EXPLANATION_H
#define STORE_EXPLANATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"
#include "core/link_key.h"
#include "core/outcome.h"

enum link_verdict {
    LINK_DONE,
    LINK_NO_CONTEXT,        /* no span of this group names a test */
    LINK_NO_RESULT,         /* no result of this key is stored */
    LINK_ATTEMPT_AMBIGUOUS, /* the spans do not say which of several attempts they belong to */
    LINK_PENDING,           /* result and spans are there: the next attempt or sweep links them */
};
const char *link_verdict_name(enum link_verdict verdict);

/* One group of spans of the trace that share a context (or have none). */
struct store_link_group {
    bool has_key;
    struct link_key key;
    size_t spans;
    size_t linked;
    size_t inherited;
    enum link_verdict verdict;
    bool has_result;
    struct uuid result_id; /* the canonical one of the key */
    bool has_nearest;      /* with LINK_NO_RESULT: a stored result that shares most of the key */
    struct link_key nearest;
    size_t attempts; /* to link this key, and the last of them */
    uint64_t last_attempt_unix_ns;
    enum link_point last_point;
    struct slice last_error; /* NULL data = none */
};

#endif
