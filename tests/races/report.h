/* What marline-races shows: the list, the table of an exploration, a schedule in lanes. */
#ifndef RACES_REPORT_H
#define RACES_REPORT_H

#include <stdio.h>

#include "base/buffer.h"
#include "explore.h"

void report_list(FILE *out);

void report_table_head(FILE *out, const struct race_store *store);
void report_table_row(FILE *out, const struct design *design, enum store_kind kind,
                      const struct tally *tally);
/* The object of explore --json. */
void report_json(struct buffer *out, const struct design *const *explored,
                 const struct tally *tallies, size_t count, const struct race_store *store);

/* `decided`: the point of no return, 0 when it does not lose. */
void report_play(FILE *out, const struct design *design, const struct race_store *store,
                 const char *schedule, const struct play *play, int decided);

#endif
