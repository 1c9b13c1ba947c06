/* What can keep an agent from working, asked one by one: each check needs those before it. Nothing
 * is registered and nothing is stored at the backend: a running agent's route is not touched. */
#ifndef AGENT_DOCTOR_CHECKS_H
#define AGENT_DOCTOR_CHECKS_H

#include <stddef.h>

#include "agent/connection.h"
#include "programs/exit_code.h"

enum { DOCTOR_TEXT_SIZE = 1024 }; /* a failure of the settings fits */

enum finding_kind {
    FINDING_OK,
    FINDING_WARNING,
    FINDING_FAILURE, /* the later checks make no sense */
};

struct finding {
    enum finding_kind kind;
    enum exit_code code;           /* of a failure */
    char text[DOCTOR_TEXT_SIZE];   /* what was seen */
    char advice[DOCTOR_TEXT_SIZE]; /* one line; "" when all is well */
};

struct patient;

struct doctor_check {
    const char *name;
    void (*run)(struct patient *p, struct finding *out);
};

/* In the order in which they build on each other. */
const struct doctor_check *doctor_checks(size_t *out_count);

/* Asks until the first failure; false when there is none. Blocks, half a minute at most. */
bool doctor_find_fault(const struct connection *connection, struct finding *out);

/* Borrows the connection. Never NULL. */
struct patient *patient_create(const struct connection *connection);
void patient_destroy(struct patient *p);

#endif
