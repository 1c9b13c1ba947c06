/* What an agent's outbox keeps for people to look at: invocations that were refused, and results
 * that the backend cannot take. Any thread; also while an agent uses the same outbox. */
#ifndef MARLINE_DEAD_LETTERS_H
#define MARLINE_DEAD_LETTERS_H

#include <stddef.h>
#include <stdint.h>

#include <marline/status.h>

MARLINE_BEGIN_DECLS

/* All texts are borrowed during the call. */
typedef struct marline_dead_letter {
    int64_t number; /* its name in the other functions */
    uint64_t at_unix_ns;
    const char *scope; /* "URL project environment" of the agent that kept it */
    const char *invocation_id;
    const char *reason;
    const char *traceparent; /* of the span of the failure; "" without one */
    /* The message of the protocol as it came: function, inputs, test context, trace context. NULL
     * when only the result is kept. */
    const char *request_json;
    const char *result_json; /* NULL when it was never executed */
} marline_dead_letter;

typedef void (*marline_dead_letter_fn)(void *user, const marline_dead_letter *letter);

/* Visits all, the oldest first. MARLINE_ENOTFOUND: there is no such file. MARLINE_EIO: it cannot be
 * read, or is no outbox. */
MARLINE_API marline_status marline_dead_letters_list(const char *outbox_path,
                                                     marline_dead_letter_fn visit, void *user,
                                                     marline_error *error);
/* Removes one; number 0 removes all. MARLINE_ENOTFOUND: there is none of that number. */
MARLINE_API marline_status marline_dead_letters_drop(const char *outbox_path, int64_t number,
                                                     marline_error *error);

MARLINE_END_DECLS
#endif
