/* Where a schedule is played: the model, SQLite or PostgreSQL, behind one table.
 *
 * A party has one connection. At most one of its statements is under way. A statement that must
 * wait returns OUTCOME_BLOCKED; resume() then says whether it has ended. A statement that failed
 * has ended its transaction. One thread. */
#ifndef RACES_STORE_H
#define RACES_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "designs.h"

struct race_store;

/* The rows of the key when all is done. */
struct rest {
    int spans;
    int unlinked;
};

struct race_store_functions {
    /* A fresh key and idle connections for the next schedule. */
    bool (*reset)(struct race_store *s, const struct design *design);
    enum outcome (*run)(struct race_store *s, int party, enum step step, struct sight *sight);
    enum outcome (*resume)(struct race_store *s, int party, struct sight *sight);
    /* One sweep by a connection of its own: links whatever can be linked. */
    enum outcome (*sweep)(struct race_store *s, struct sight *sight);
    bool (*look_at_rest)(struct race_store *s, struct rest *out_rest);
    void (*close)(struct race_store *s);
};

struct race_store {
    const struct race_store_functions *functions;
    enum store_kind kind;
    bool counts_views;    /* sights tell what was seen, not only what was changed */
    char failure[512];    /* why open, reset or OUTCOME_STORE_FAILED */
    const char *describe; /* for headings: name and version */
};

enum store_open {
    STORE_OPEN_OK,
    STORE_OPEN_MISSING, /* not installed: the message names the package */
    STORE_OPEN_FAILED,
};

/* Each returns owned on success; the message goes to out_why otherwise. */
enum store_open store_model_open(bool as_sqlite, struct race_store **out_store);
enum store_open store_sqlite_open(const char *journal_mode, struct race_store **out_store,
                                  char *out_why, size_t why_size);
/* `programs`: the folder of initdb and postgres; NULL takes Debian's newest. */
enum store_open store_postgres_open(const char *programs, struct race_store **out_store,
                                    char *out_why, size_t why_size);

static inline void race_store_close(struct race_store *s)
{
    if (s)
        s->functions->close(s);
}

#endif
