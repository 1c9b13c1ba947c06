/* A backend of the check's own: a marline-backend-mock on a free port, its store in a temporary
 * folder. It ends with this program, however that ends. Main thread. */
#ifndef AGENT_CHECK_OWN_BACKEND_H
#define AGENT_CHECK_OWN_BACKEND_H

#include <stdbool.h>
#include <sys/types.h>

#include "programs/failure.h"

enum { OWN_BACKEND_TEXT_SIZE = 256 };

struct own_backend {
    char folder[64]; /* "" = none */
    char program[OWN_BACKEND_TEXT_SIZE * 4];
    char listen[64]; /* the same port at every start */
    char base_url[OWN_BACKEND_TEXT_SIZE];
    char project_id[OWN_BACKEND_TEXT_SIZE];
    char api_key[OWN_BACKEND_TEXT_SIZE];
    pid_t pid; /* 0 = not running */
};

/* `program` may be NULL: the marline-backend-mock beside this program, else that of PATH. */
bool own_backend_start(struct own_backend *b, const char *program, struct failure *f);
/* Kills it, as a crash would, and starts it again on the same port and store. */
bool own_backend_restart(struct own_backend *b, struct failure *f);
/* Removes the folder too. Fits one that was never started. */
void own_backend_stop(struct own_backend *b);

#endif
