/* The parts of a store that do not depend on the database: names, and the choice of one. */
#include "store/store.h"

#include <stdio.h>

#include "store/open.h"

const char *store_status_name(enum store_status status)
{
    static const char *const names[] = {"ok",   "not_found", "conflict", "invalid",
                                        "busy", "full",      "broken"};
    return names[status];
}

const char *store_event_type_name(enum store_event_type type)
{
    static const char *const names[] = {"run_started",   "invoked",      "result_received",
                                        "result_stored", "spans_stored", "link_attempt",
                                        "run_finished"};
    return names[type];
}

const char *link_verdict_name(enum link_verdict verdict)
{
    static const char *const names[] = {"linked", "no_context", "no_result", "attempt_ambiguous",
                                        "pending"};
    return names[verdict];
}

struct uuid store_row_id(uint64_t ref)
{
    struct uuid id = {{'M', 'a', 'r', 'l', 0, 0, 0x80, 0, 0x80}}; /* version 8: our own layout */
    for (int i = 0; i < 7; i++) {
        id.bytes[15 - i] = (uint8_t)(ref >> (8 * i));
    }
    return id;
}

enum store_status store_write_one(struct store *store, struct store_write *write)
{
    struct store_error error;
    struct store_write *const writes[] = {write};
    enum store_status status = store_write_all(store, writes, 1, &error);
    return status == STORE_OK ? write->outcome.status : status;
}

struct store *store_open(const char *location, struct store_error *error)
{
    static const char sqlite[] = "sqlite:";
    struct slice text = marline__slice_text(location);
    if (marline__slice_starts(text, sqlite) && text.size > sizeof sqlite - 1) {
        return store_open_sqlite(location + sizeof sqlite - 1, error);
    }
    if (marline__slice_starts(text, "postgresql://") ||
        marline__slice_starts(text, "postgres://")) {
        return store_open_postgres(location, error);
    }
    error->status = STORE_INVALID;
    (void)snprintf(error->text, sizeof error->text,
                   "\"%.100s\" names no store; use sqlite:PATH, sqlite::memory: or postgresql://…",
                   location);
    return NULL;
}
