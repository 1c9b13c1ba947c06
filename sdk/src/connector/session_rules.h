/* Rules that the session keeps, as switches: a test turns one off and shows that it would notice.
 * Every rule is kept unless such a test says otherwise; nothing but the session itself and tests
 * may include this header (scripts/lint). To be set right after the session was made. */
#ifndef MARLINE_CONNECTOR_SESSION_RULES_H
#define MARLINE_CONNECTOR_SESSION_RULES_H

#include <stdbool.h>

struct session;

struct session_rules {
    bool keep_until_acknowledged; /* a result is not settled by writing it */
    bool report_results;          /* in_flight names results that are made and not settled */
};

#define SESSION_RULES_KEPT ((struct session_rules){true, true})

void marline__session_set_rules(struct session *s, const struct session_rules *rules);

#endif
