/* How far a run is, on one line that is written over and over. Nothing where there is no terminal:
 * a CI log wants one line per thing that happened. One thread. */
#ifndef RUN_PROGRESS_H
#define RUN_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/slice.h"

struct progress {
    FILE *out;
    bool is_shown; /* a terminal, and not told to be quiet */
    bool is_dirty; /* the line holds something */
};

void progress_init(struct progress *p, FILE *out, bool is_wanted);
/* What is being waited for. */
void progress_text(struct progress *p, const char *text);
/* The body of GET /mock/runs/{id}/progress. */
void progress_run(struct progress *p, struct slice body, double seconds);
/* Empties the line. */
void progress_clear(struct progress *p);

#endif
