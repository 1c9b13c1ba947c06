/* Trace context and baggage across process boundaries: W3C traceparent, tracestate and baggage, in
 * headers or in environment variables. Any thread. Rules: otel.md §5, §6. */
#ifndef MARLINE_PROPAGATION_H
#define MARLINE_PROPAGATION_H

#include <stdbool.h>
#include <stddef.h>

#include <marline/context.h>
#include <marline/span_data.h>
#include <marline/status.h>
#include <marline/trace.h>

MARLINE_BEGIN_DECLS

/* Which fields are handled, together or alone; 0 = none. */
typedef enum marline_propagators {
    MARLINE_PROPAGATE_NOTHING = 0,
    MARLINE_PROPAGATE_TRACE_CONTEXT = 1,
    MARLINE_PROPAGATE_BAGGAGE = 2,
    MARLINE_PROPAGATE_ALL = 3,
} marline_propagators;

/* As OTEL_PROPAGATORS says; both when unset. Names that are not known are logged and left out. */
MARLINE_API marline_propagators marline_propagators_from_environment(void);

/* Sets one field of a carrier, replacing what it has under the name; a NULL value removes it, which
 * matters when a carrier is used again. Names are lower-case. Both texts are valid during the call.
 */
typedef void (*marline_carrier_set_fn)(void *carrier, const char *name, const char *value);
/* Stores up to `max` values of a field into `out`, in their order, and returns how many there are.
 * Names of HTTP fields are compared without case. The values stay valid until extract returns. */
typedef size_t (*marline_carrier_get_fn)(void *carrier, const char *name, marline_string *out,
                                         size_t max);

/* Writes the context (NULL: the thread's current one) into a carrier. Without a valid span no
 * traceparent and no tracestate are set (EM-03). */
MARLINE_API void marline_inject(marline_propagators propagators, marline_context *context,
                                marline_carrier_set_fn set, void *carrier);
/* Returns owned: `parent` (NULL: the current one) with what the carrier holds. What is absent or
 * malformed leaves the parent's as it is (EM-10). */
MARLINE_API marline_context *marline_extract(marline_propagators propagators,
                                             marline_context *parent, marline_carrier_get_fn get,
                                             void *carrier);

/* ---- environment variables ---- */

/* Returns owned, to be given to marline_environment_free: a copy of a NULL-terminated "NAME=value"
 * array for a child process, with TRACEPARENT, TRACESTATE and BAGGAGE of the context, stale ones
 * removed. The process's own environment is never changed. NULL when out of memory. */
MARLINE_API char **marline_environment_create(marline_propagators propagators,
                                              marline_context *context,
                                              const char *const *environment);
/* Frees the array and its texts. NULL is allowed. */
MARLINE_API void marline_environment_free(char **environment);
/* As extract, from such an array. */
MARLINE_API marline_context *marline_extract_environment(marline_propagators propagators,
                                                         marline_context *parent,
                                                         const char *const *environment);

/* ---- baggage ---- */

/* Each derives a context as in marline/context.h. An entry of the same name is replaced; a NULL
 * value removes it. A name that is no token of RFC 7230 leaves the context as it is. Copies. */
MARLINE_API marline_context *marline_context_with_baggage(marline_context *parent, const char *name,
                                                          const char *value, const char *metadata);
/* Derives a context without any baggage. */
MARLINE_API marline_context *marline_context_without_baggage(marline_context *parent);
/* False when there is no such entry. Borrowed from the context (NULL: the thread's current one). */
MARLINE_API bool marline_context_baggage(marline_context *context, const char *name,
                                         marline_string *out_value);

/* Derives a context that continues a trace of another process: `ids` as its remote parent, with its
 * tracestate (may be empty), which the spans of that trace inherit (CTX-06). Copies. */
MARLINE_API marline_context *marline_context_with_remote(marline_context *parent,
                                                         const marline_span_context *ids,
                                                         marline_string trace_state);

MARLINE_END_DECLS
#endif
