/* What the store keeps of turns: an endpoint was asked, and answered. Part of store.h. */
#ifndef STORE_TURN_H
#define STORE_TURN_H

#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"

/* One turn of a conversation, or a call outside any: what was asked and answered, and by which
 * trace. Kept beside the spans and joined when they are read, so that neither has to wait for the
 * other. The same id again: what was under way has ended. */
struct store_record_turn {
    struct uuid id;
    struct uuid organization_id;
    struct uuid project_id;
    struct slice conversation_id; /* NULL data = outside any */
    uint8_t trace_id[16];
    struct slice input;
    struct slice output;      /* NULL data = the turn failed */
    uint64_t started_unix_ns; /* by the clock of the backend, both */
    uint64_t ended_unix_ns;   /* 0 = under way */
};

/* A turn that the trace was caused by, in order of their start. */
struct store_turn_row {
    struct slice conversation_id; /* NULL data = none */
    struct slice input;
    struct slice output; /* NULL data = the turn failed, or is under way */
    uint64_t started_unix_ns;
    uint64_t ended_unix_ns; /* 0 = under way */
};

/* Valid during the call only. */
typedef void (*store_turn_fn)(void *user, const struct store_turn_row *row);

#endif
