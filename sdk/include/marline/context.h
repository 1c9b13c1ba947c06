/* What travels with the work: the current span, the test it belongs to, identity attributes.
 *
 * A context is immutable and counted; every function that makes one returns it owned, to be given
 * back with marline_context_unref. Any thread may use any context. Each thread has one current
 * context; scopes enter and leave it in stack order on that thread. To carry work to another
 * thread, capture marline_context_current() here and enter it in a scope there. Rules: otel.md
 * CTX-11 to CTX-15. */
#ifndef MARLINE_CONTEXT_H
#define MARLINE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <marline/span_data.h>
#include <marline/status.h>

MARLINE_BEGIN_DECLS

/* A set of what travels, never changed once made. */
typedef struct marline_context marline_context;
struct marline_span;

/* The empty context: a span started under it is a root. Static; ref and unref do nothing to it. */
MARLINE_API marline_context *marline_context_root(void);
/* Returns owned: a snapshot of the calling thread's context, for another thread or a callback. */
MARLINE_API marline_context *marline_context_current(void);
/* NULL is allowed in both. */
MARLINE_API marline_context *marline_context_ref(marline_context *context);
MARLINE_API void marline_context_unref(marline_context *context);

/* Each derives a new context from `parent` (NULL: the thread's current one) and returns it owned.
 * None returns NULL: out of memory, the parent itself comes back with its count raised, and a log
 * line. */
MARLINE_API marline_context *marline_context_with_span(marline_context *parent,
                                                       const struct marline_span *span);
/* Attributes that every span started under the context gets, before its own, so that attribute
 * limits never drop them. Copies. A later value for a key replaces the earlier; none may be removed
 * one by one: marline_context_without_identity clears all. */
MARLINE_API marline_context *marline_context_with_identity(marline_context *parent,
                                                           const marline_attribute *attributes,
                                                           size_t count);
/* Without the identity attributes of the parent. */
MARLINE_API marline_context *marline_context_without_identity(marline_context *parent);

/* The test that an invocation belongs to (wire-protocol §3, §4.3). Texts are copied; NULL = absent.
 */
typedef struct marline_test_context {
    const char *test_run_id;
    const char *test_id;
    const char *test_configuration_id;
    const char *test_result_id;
    uint32_t attempt; /* 0 = not numbered */
} marline_test_context;

/* Installs rhesis.test.run_id, .id, .configuration_id (and .result_id, .attempt where given) as
 * identity attributes, and marks the context as a test's: its spans are always sampled. */
MARLINE_API marline_context *marline_context_with_test(marline_context *parent,
                                                       const marline_test_context *test);

/* Counts the spans started under a context, at any depth and on any thread. */
typedef struct marline_span_group marline_span_group;
/* Returns owned; NULL when out of memory. */
MARLINE_API marline_span_group *marline_span_group_create(void);
/* NULL is allowed. */
MARLINE_API void marline_span_group_unref(marline_span_group *group);
/* Spans started under the new context belong to the group. Takes a reference of its own. */
MARLINE_API marline_context *marline_context_with_group(marline_context *parent,
                                                        marline_span_group *group);
/* Prompt: whenever the last running span of the group ends, its root as a rule, the batch
 * processors export at once instead of at the next tick. Off by default. */
MARLINE_API void marline_span_group_set_prompt(marline_span_group *group, bool is_prompt);
/* How many of its spans were started so far, and how many of them have ended. */
MARLINE_API uint32_t marline_span_group_started(const marline_span_group *group);
MARLINE_API uint32_t marline_span_group_ended(const marline_span_group *group);

/* Makes a context current on this thread until leave. A scope lives on the stack, is not copied,
 * and is left on the thread that entered it, in reverse order; a wrong order is tolerated and
 * logged. */
typedef struct marline_scope {
    /* private */
    marline_context *context;
    const struct marline_span *span;
    void *facts;
    struct marline_scope *outer;
} marline_scope;

/* Takes a reference of its own; NULL context enters the root. */
MARLINE_API void marline_scope_enter(marline_scope *scope, marline_context *context);
/* A second leave does nothing. Fits __attribute__((cleanup)). */
MARLINE_API void marline_scope_leave(marline_scope *scope);

MARLINE_END_DECLS
#endif
