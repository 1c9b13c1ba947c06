/* What an agent's outbox keeps for people to look at: invocations that were refused, and results
 * that the backend cannot take. Any thread; also while an agent uses the same outbox. */
#ifndef MARLINE_DEAD_LETTERS_H
#define MARLINE_DEAD_LETTERS_H

#include <stdbool.h>
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
    bool is_retry_asked;     /* marline_dead_letters_retry was called, and no agent took it yet */
} marline_dead_letter;

/* Called once a letter, in the thread that lists. */
typedef void (*marline_dead_letter_fn)(void *user, const marline_dead_letter *letter);

/* Visits all, the oldest first. MARLINE_ENOTFOUND: there is no such file. MARLINE_EIO: it cannot be
 * read, or is no outbox. */
MARLINE_API marline_status marline_dead_letters_list(const char *outbox_path,
                                                     marline_dead_letter_fn visit, void *user,
                                                     marline_error *error);
/* Removes one; number 0 removes all. MARLINE_ENOTFOUND: there is none of that number. */
MARLINE_API marline_status marline_dead_letters_drop(const char *outbox_path, int64_t number,
                                                     marline_error *error);
/* Asks for one to be tried again; number 0 asks for all. The agent that uses the outbox does it at
 * once, else the next one to start: an invocation that was refused is executed, under its old id,
 * in a span that continues the trace of the failure and links to it; a result that could not be
 * delivered is sent again. The letter is gone when the work was taken, and comes back as a new one
 * when it is refused again. out_is_served (may be NULL): whether a running agent was told.
 * MARLINE_ENOTFOUND: there is none of that number. MARLINE_EIO: the file cannot be written. */
MARLINE_API marline_status marline_dead_letters_retry(const char *outbox_path, int64_t number,
                                                      bool *out_is_served, marline_error *error);

MARLINE_END_DECLS
#endif
