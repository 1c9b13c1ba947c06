/* Finds out in the background why the backend cannot be reached, and says it in the log as doctor
 * would: cause and advice, once per cause. A look takes up to half a minute where a name server or
 * a firewall is silent, so it runs on a thread of its own. Main thread. */
#ifndef AGENT_DIAGNOSIS_H
#define AGENT_DIAGNOSIS_H

#include "agent/connection.h"

enum { DIAGNOSIS_PERIOD_MS = 30000 };

struct diagnosis;

/* Copies the connection. Never NULL. */
struct diagnosis *diagnosis_create(const struct connection *connection);
/* A look that is under way is left to end by itself, in silence. */
void diagnosis_destroy(struct diagnosis *d);

/* Looks, unless a look is under way or the last one began less than DIAGNOSIS_PERIOD_MS ago. */
void diagnosis_ask(struct diagnosis *d);
/* The backend was reached: the next cause is told even if it is the same again. */
void diagnosis_forget(struct diagnosis *d);

#endif
