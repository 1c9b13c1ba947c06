/* Trace context in environment variables: names, look-up, and the environment of a child. The
 * carrier is opaque: values are neither checked nor changed here. Pure: the environment is an
 * argument, the own one is never changed (otel.md §6). */
#ifndef MARLINE_WIRE_ENV_CARRIER_H
#define MARLINE_WIRE_ENV_CARRIER_H

#include <stdbool.h>

#include "base/buffer.h"

/* Appends the variable's name for a propagator's key: `traceparent` gives TRACEPARENT (EV-01). */
void marline__env_name(struct slice key, struct buffer *out);
/* True for names that marline__env_name can give: ^[A-Z_][A-Z0-9_]*$. */
bool marline__env_name_is_normal(struct slice name);

/* Looks the key's name up in a NULL-terminated "NAME=value" array; false when absent (EV-02). */
bool marline__env_get(const char *const *environment, struct slice key, struct slice *out_value);
/* Walks the normal names: *position starts at 0; false at the end. */
bool marline__env_next(const char *const *environment, size_t *position, struct slice *out_name);

struct env_setting {
    struct slice key;   /* of a propagator */
    struct slice value; /* {NULL, 0}: the child must not have the variable; a NUL ends it */
};

/* Returns owned, in one block (free it with memory_free), NULL when out of memory: a copy of the
 * environment with the settings. What it had under their names is removed first, and of a name that
 * stands twice the first is kept (EV-06, EV-07). */
char **marline__env_copy(const char *const *environment, const struct env_setting *settings,
                         size_t count);

#endif
